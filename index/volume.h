/* volume - the mailbox API: all that protocols and tools see of storage.
 *
 * A volume is one log, one index, one writer. Every call is a message: plain values in, copies out; no read transaction
 * and no pointer into log or index outlives a call. Arrays and slices of results come from the caller's arena.
 *
 * Reads (volume_find_*, volume_read_*, volume_list_*, ...) do file I/O and SQLite: call them from steps on the pool or
 * from tools, never on a reactor; any thread, any number at once. Each sees one committed snapshot. What a caller did
 * and was answered, everybody reads (read-your-writes).
 * Writes are `struct change` (index/change.h): made by the caller, submitted, answered by a callback on the
 * writer's thread.
 *
 * Names are UTF-8 (NFC), hierarchy separator "/"; INBOX in any case is INBOX. Text for clients is the
 * protocols' affair.
 */
#ifndef RESTANTE_INDEX_VOLUME_H
#define RESTANTE_INDEX_VOLUME_H

#include <stdatomic.h>

#include "index/change.h"
#include "store/blob.h"
#include "store/record.h"

#define VOLUME_SECRET_LEN 32
#define MODSEQ_GONE       UINT64_MAX

/* A format for its path and its name. */
#define VOLUME_MISSING \
	"there is no volume in %s: mount its disk, put it back from a backup (restantectl restore) or, " \
	"only if it was never made, run restantectl volume create %s"

struct volume;

enum volume_mode {
	VOLUME_WRITE,           /* owns the volume; RC_BUSY with the owner's pid in the text if somebody else does */
	VOLUME_READ,            /* looks only: no lock, nothing written; log and index may be moving underneath */
};

struct volume_params {
	const char       *name;         /* "v1", for logs */
	const char       *path;         /* directory with head, log/, index.db */
	enum volume_mode  mode;
	bool              relaxed;      /* durability = relaxed */
	uint32_t          lock_wait_ms;
	uint32_t          readers;      /* read connections kept at most; 0: 8 */
	uint64_t          max_segment;  /* bytes of a segment; 0: the backend's own size. Tests roll often */
	struct log_report report;       /* damage found at the open and later; found may be NULL */
	/* Progress of a replay or rebuild at the open; may be NULL. */
	void            (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
	void             *progress_arg;
	/* After each commit, before what is in it is answered, on the writer's thread: this mailbox is now at this
	 * MODSEQ, or is no more (MODSEQ_GONE). Must not block. May be NULL. */
	void            (*notify)(void *arg, struct volume *v, mailbox_id mailbox,
	                          mail_modseq modseq);
	void             *notify_arg;
	/* After each commit that replaced or took away a credential of this account, locked it, deleted it or moved it
	 * to another volume: sessions that came in by what was true before shall end. 0: some account, which one was
	 * not noted for want of memory. A credential that is new, or was only put in another form
	 * (change_account.same_secret), is none of these. On the writer's thread; must not block. May be NULL. */
	void            (*account_changed)(void *arg, struct volume *v, account_id account);
	void             *account_arg;
	/* Is this session (frame_who.session) open in this process, so that its client may still get an answer or show
	 * that it has? Asked for duplicates, see append_target.delivery_key. On the writer's thread; must not block for
	 * long. NULL: none is. */
	bool            (*session_alive)(void *arg, uint64_t session);
	void             *session_arg;
};

/* Make an empty volume in `path` (made if missing). RC_EXISTS if there is one. */
MUST_USE enum rc volume_create(const char *path, struct err *e);
/* Take the log over, bring the index up to it (rebuilding it if it is missing, damaged or not of this log), start the
 * writer. */
MUST_USE enum rc volume_open(const struct volume_params *p, struct volume **out, struct err *e);
/* Finish queued changes, sync, checkpoint, let go. No call may be under way. */
void volume_close(struct volume **v);
/* What the open met. */
struct volume_start {
	bool     clean;                 /* the owner before closed the volume, or had changed nothing */
	bool     rebuilt;               /* the index was made anew */
	uint64_t replayed;              /* records that were applied to the index */
};
void volume_get_start(const struct volume *v, struct volume_start *out);
const char *volume_name(const struct volume *v);
struct log *volume_log(struct volume *v);
/* Records may be missing from the index, accounts too: damage was found in the log, now or when the index was made.
 * Stays true until an index is made of a sound log. Any thread, cheap. */
bool volume_is_damaged(const struct volume *v);

/* ---- accounts ---- */

struct account_info {
	account_id   id;
	struct slice name;              /* as created */
	uint64_t     generation;
	uint64_t     created_us;
	uint64_t     quota_bytes;       /* 0: unlimited */
	uint64_t     quota_messages;    /* 0: unlimited */
	uint64_t     used_bytes;        /* of messages not expunged */
	uint64_t     used_messages;
	struct slice hidden;            /* IMAP capabilities not shown to this account, upper case, one space between */
	uint32_t     flags;             /* enum account_flag */
};

struct credential_info {
	struct slice name;
	struct slice value;
};

/* Another number since it was asked for: an account or a credential may be another, or be gone. The same: what was read
 * after it was asked for still holds, but for what is used. It goes up before a change is answered. Any thread. */
uint64_t volume_accounts_version(const struct volume *v);
/* Likewise of accounts and mailboxes: which there are and how they are called. */
uint64_t volume_places_version(const struct volume *v);
/* Names compare NFC, case-folded. RC_NOT_FOUND. */
MUST_USE enum rc volume_find_account(struct volume *v, struct slice name, struct arena *a,
                                     struct account_info *out, struct err *e);
/* Is an account called by an address of this domain ("anna@" and it)? RC_NOT_FOUND: none is. Reads all
 * names. */
MUST_USE enum rc volume_knows_domain(struct volume *v, struct slice domain, struct err *e);
MUST_USE enum rc volume_get_account(struct volume *v, account_id id, struct arena *a,
                                    struct account_info *out, struct err *e);
/* Up to `limit` accounts with names after `after` (empty: from the first), in the order of folded names. */
MUST_USE enum rc volume_list_accounts(struct volume *v, struct slice after, uint32_t limit,
                                      struct arena *a, struct account_info **out, size_t *count,
                                      struct err *e);
/* What the account's counters say, and its messages counted one by one, of the same snapshot. The two never differ. */
MUST_USE enum rc volume_recount(struct volume *v, account_id id, uint64_t *bytes,
                                uint64_t *messages, uint64_t *counted_bytes,
                                uint64_t *counted_messages, struct err *e);
MUST_USE enum rc volume_list_credentials(struct volume *v, account_id id, struct arena *a,
                                         struct credential_info **out, size_t *count,
                                         struct err *e);

/* The volume's secret of this name, for the server: random, made the first time it is asked for (by an owner;
 * RC_NOT_FOUND otherwise), the same from then on: after restarts, a reindex, in backups. Nothing shows it to anybody.
 * Any thread that may wait for the writer. */
MUST_USE enum rc volume_secret(struct volume *v, const char *name, uint8_t out[VOLUME_SECRET_LEN],
                               struct err *e);

/* ---- mailboxes ---- */

struct mailbox_info {
	mailbox_id   id;
	account_id   account;
	struct slice name;
	uint32_t     uidvalidity;
	mail_uid     uidnext;
	mail_modseq  highestmodseq;     /* at least 1 */
	uint32_t     exists;
	uint32_t     unseen;            /* messages without \Seen */
	uint32_t     deleted;           /* messages with \Deleted */
	uint64_t     size;              /* sum of RFC822.SIZE */
	uint64_t     deleted_size;      /* of those with \Deleted [RFC 9208 s5.3] */
	mail_uid     recent_from;       /* UIDs from here on are \Recent for the next read-write SELECT
	                                 * [RFC 3501 s2.3.2]; kept in memory only; uidnext if none is */
	mail_modseq  expunge_floor;     /* as in struct record_mailbox */
	mail_modseq  change_floor;
	uint32_t     special_use;
	uint8_t      mailboxid[MAILBOXID_LEN];
	bool         subscribed;
	bool         has_children;
};

/* All that this thread reads of the index between the two is of one moment: that of the first read. Not nested; for a few
 * reads in a row, as connections are few. */
void volume_moment_begin(struct volume *v);
void volume_moment_end(struct volume *v);

MUST_USE enum rc volume_find_mailbox(struct volume *v, account_id account, struct slice name,
                                     struct arena *a, struct mailbox_info *out, struct err *e);
MUST_USE enum rc volume_get_mailbox(struct volume *v, mailbox_id id, struct arena *a,
                                    struct mailbox_info *out, struct err *e);
/* All of an account, INBOX first, then in the order of names. */
MUST_USE enum rc volume_list_mailboxes(struct volume *v, account_id account, struct arena *a,
                                       struct mailbox_info **out, size_t *count, struct err *e);
/* Subscribed names, whether such a mailbox exists or not, in the order of names. */
MUST_USE enum rc volume_list_subscriptions(struct volume *v, account_id account, struct arena *a,
                                           struct slice **out, size_t *count, struct err *e);
/* All keywords ever used in the mailbox, first spelling kept: what FLAGS lists. */
MUST_USE enum rc volume_list_keywords(struct volume *v, mailbox_id mailbox, struct arena *a,
                                      struct slice **out, size_t *count, struct err *e);
/* A read-write SELECT takes the recent messages: returns recent_from and moves it to uidnext. */
mail_uid volume_claim_recent(struct volume *v, mailbox_id mailbox, mail_uid uidnext);

/* ---- views: what a session knows of its mailbox ---- */

/* The UIDs below `uidnext` that existed when the mailbox was at `modseq`, whatever was expunged since (within the
 * retention). *out was initialised by the caller and is emptied first. */
MUST_USE enum rc volume_read_view(struct volume *v, mailbox_id mailbox, mail_uid uidnext,
                                  mail_modseq modseq, struct uid_set *out, struct err *e);
/* The first message without \Seen; 0: there is none. */
MUST_USE enum rc volume_find_unseen(struct volume *v, mailbox_id mailbox, mail_uid *out,
                                    struct err *e);

struct message_row {
	mail_uid         uid;
	uint32_t         flags;
	struct slice     keywords;      /* as in record_message */
	mail_modseq      modseq;        /* never below the mailbox's change_floor */
	struct mail_date internaldate;
	struct mail_date savedate;
	uint64_t         threadid;
	uint64_t         size;
	blob_id          blob;
	bool             expunged;      /* a tombstone: only for views that still have it */
	bool             lost;          /* its blob's record is damaged in the log: size is 0, and no
	                                 * sound message's is; false where flags alone are read */
	struct slice     summary;       /* if wanted: encoded, for mime_summary_decode */
	struct blob_place place;        /* if wanted; chunks are in the arena */
	uint8_t          sha256[SHA256_LEN];    /* if the place is wanted: names the EMAILID */
};

struct view_changes {
	struct mailbox_info now;        /* of the same snapshot; name is in the arena */
	struct uid_set      added;      /* UIDs >= uidnext asked with, that exist now */
	struct uid_set      vanished;   /* expunged with a modseq > expunged_since, of those below the uidnext asked
	                                 * with; all UIDs that are not there, if expunged_since is
	                                 * below expunge_floor */
	struct message_row *changed;    /* flags or keywords changed: modseq > changed_since, not expunged, uid <
	                                 * uidnext asked with; in the order of modseq; no summary, no place. A
	                                 * changed_since below change_floor counts as 0 */
	size_t              changed_count;
	bool                more;       /* there are more than `limit`, and `changed` may lack any of them, or all: ask again
	                                 * with a higher limit */
	bool                gone;       /* the mailbox has been deleted */
};

/* What happened since. The uid_sets of *out are made here, unless it fails; view_changes_fini frees them. */
MUST_USE enum rc volume_read_changes(struct volume *v, mailbox_id mailbox,
                                     mail_modseq changed_since, mail_modseq expunged_since,
                                     mail_uid uidnext, uint32_t limit, struct arena *a,
                                     struct view_changes *out, struct err *e);
void view_changes_fini(struct view_changes *c);

/* ---- messages ---- */

enum message_want {
	WANT_SUMMARY = 1 << 0,
	WANT_PLACE = 1 << 1,
	WANT_EXPUNGED = 1 << 2,         /* tombstones too */
	WANT_ONLY_FLAGS = 1 << 3,       /* with neither of the first two: UID, flags, keywords and MODSEQ alone */
	WANT_ONLY_CONTENT = 1 << 4,     /* with WANT_PLACE: UID, blob, size, place, sha256 and summary alone are asked for.
	                                 * Of one message without NULs, and where one may not wait, they may be those of a
	                                 * moment ago, without the summary: what then cannot be read may be elsewhere, or
	                                 * purged */
};

/* Rows of the members of `uids` that are >= from, in the order of UIDs, at most `limit`. Never opens the log. The
 * caller goes on with from = last uid + 1 until fewer than `limit` come back. */
MUST_USE enum rc volume_read_messages(struct volume *v, mailbox_id mailbox,
                                      const struct uid_set *uids, mail_uid from, uint32_t limit,
                                      uint32_t want, struct arena *a, struct message_row **out,
                                      size_t *count, struct err *e);

/* RC_CORRUPT: it is lost. For whoever is about to tell its octets or their number. */
MUST_USE enum rc message_row_check(const struct message_row *m, struct err *e);

/* The members of `uids` from *from on that exist and came or changed later than `since` (modseq > since), added to
 * *out: FETCH CHANGEDSINCE, QRESYNC; a `since` below the mailbox's change_floor counts as 0. Their rows are then read
 * with volume_read_messages. Looks at no more than some 20,000 rows (about 20 ms): *from is then where to go on, and 0
 * when all were looked at. Begin with 1. Where little has changed all is found at once. RC_LIMIT: more ranges than fit.
 * RC_NOT_FOUND: no such mailbox. */
MUST_USE enum rc volume_find_changed(struct volume *v, mailbox_id mailbox,
                                     const struct uid_set *uids, mail_modseq since, mail_uid *from,
                                     struct uid_set *out, struct err *e);

/* What a message is known by when it comes again: for import. */
struct message_content {
	mail_uid uid;
	int64_t  internaldate;          /* seconds */
	uint8_t  sha256[SHA256_LEN];    /* all zero if its blob is lost */
};
/* Of the messages from UID `from` on, at most `limit`, in the order of UIDs. */
MUST_USE enum rc volume_list_contents(struct volume *v, mailbox_id mailbox, mail_uid from,
                                      uint32_t limit, struct arena *a, struct message_content **out,
                                      size_t *count, struct err *e);

struct message_summary {
	mail_uid     uid;
	struct slice summary;           /* as in message_row */
};
/* Of the members from UID `from` on that have one, at most `limit`, in the order of UIDs. RC_NOMEM, RC_LIMIT: the arena
 * is full. */
MUST_USE enum rc volume_list_summaries(struct volume *v, mailbox_id mailbox,
                                       const struct uid_set *uids, mail_uid from, uint32_t limit,
                                       struct arena *a, struct message_summary **out,
                                       size_t *count, struct err *e);

/* A unique-id of POP3 that was taken over. */
struct message_uidl {
	mail_uid     uid;
	struct slice text;
};
/* Those of messages from UID `from` on, at most `limit`, in the order of UIDs. Most mailboxes have none. */
MUST_USE enum rc volume_list_uidls(struct volume *v, mailbox_id mailbox, mail_uid from,
                                   uint32_t limit, struct arena *a, struct message_uidl **out,
                                   size_t *count, struct err *e);

/* Message bytes [from, from+len) of a place, appended to out. RC_CORRUPT: damaged (logged once). */
MUST_USE enum rc volume_read_blob(struct volume *v, const struct blob_place *place, uint64_t from,
                                  uint64_t len, struct buf *out, struct err *e);
/* The same as raw deflate where a whole chunk allows it; see blob_read_deflated. *raw may be 0 although a chunk begins
 * there: then, too, volume_read_blob has it. */
MUST_USE enum rc volume_read_deflated(struct volume *v, const struct blob_place *place, uint64_t from,
                                      uint64_t len, struct buf *out, uint64_t *raw, struct err *e);
MUST_USE enum rc volume_verify_blob(struct volume *v, const struct blob_place *place, uint64_t from,
                                    uint64_t len, struct err *e);

/* ---- by age and by content ---- */

/* Messages from UID *from on that came into the mailbox before `before` (seconds since 1970; their SAVEDATE, or
 * INTERNALDATE where there is none), the first `limit` of them: added to *out, their sizes to *bytes. *from is then
 * where to go on, and 0 at the end. Begin with 1. */
MUST_USE enum rc volume_find_old(struct volume *v, mailbox_id mailbox, int64_t before,
                                 uint32_t limit, mail_uid *from, struct uid_set *out,
                                 uint64_t *bytes, struct err *e);

struct found_content {
	blob_id  blob;
	uint64_t size;
	uint8_t  sha256[SHA256_LEN];
};
/* Contents with this SHA-256, or when it is NULL with this Message-ID (brackets included). Looks at all that are
 * stored: slow in a large volume. None is no error. */
MUST_USE enum rc volume_find_contents(struct volume *v, const uint8_t *sha256,
                                      struct slice message_id, struct arena *a,
                                      struct found_content **out, size_t *count, struct err *e);
struct found_copy {
	account_id account;
	mailbox_id mailbox;
	mail_uid   uid;
};
/* The messages that have it, in the order of mailboxes and UIDs; not the expunged ones. Looks at all messages. */
MUST_USE enum rc volume_find_copies(struct volume *v, blob_id blob, struct arena *a,
                                    struct found_copy **out, size_t *count, struct err *e);

struct content_totals {
	uint64_t blobs;                 /* stored */
	uint64_t contents;              /* different ones, by SHA-256 */
	uint64_t doubled;               /* of these, stored more than once */
	uint64_t copies;                /* blobs that one would do without */
	uint64_t log_bytes;             /* their bytes in the log */
	uint64_t bytes;                 /* and before compression */
};
/* Of the volume, or of what is in the mailboxes of one account (0: all). Looks at all that are stored. */
MUST_USE enum rc volume_count_contents(struct volume *v, account_id account,
                                       struct content_totals *out, struct err *e);

/* ---- ingest: a message on its way in ---- */

struct ingest;
struct ingested;                        /* a message parsed, hashed, compressed: ready to be committed */

/* Parse, hash and compress a message as it streams in. LF-only line ends become CRLF; nothing else changes. `max_size`
 * counts bytes of the message as stored; 0: no limit. */
MUST_USE enum rc ingest_new(struct volume *v, uint64_t max_size, struct ingest **out,
                            struct err *e);
/* Before the first byte: line ends are left as they are too. For a message whose sender says that it is binary
 * [RFC 3030 s3], where an LF may be no end of a line. */
void     ingest_keep_octets(struct ingest *in);
MUST_USE enum rc ingest_feed(struct ingest *in, struct slice bytes, struct err *e);    /* RC_LIMIT: over max_size */
/* Ends and frees `in`, also on failure. */
MUST_USE enum rc ingest_finish(struct ingest **in, struct ingested **out, struct err *e);
void     ingest_abort(struct ingest **in);
/* These octets more, and its end, take some 0.3 ms, at worst some 2 ms, and touch no file. */
bool     ingest_is_quick(const struct ingest *in, struct slice more);
size_t   ingest_held(const struct ingest *in);          /* bytes of memory that it has, its parser's not counted */
size_t   ingested_held(const struct ingested *m);
uint64_t ingested_size(const struct ingested *m);       /* RFC822.SIZE */
void     ingested_ref(struct ingested *m);
void     ingested_unref(struct ingested **m);           /* any thread */

/* ---- maintenance ---- */

/* Of the scrub in the background. */
struct scrub_status {
	uint64_t rate;                  /* bytes per second, 0: off */
	uint64_t done, total;           /* bytes of this round; bodies are in the first alone */
	uint64_t findings;              /* of this round */
	uint64_t rounds;                /* that ended */
	uint64_t ended_us;              /* when the last one did; 0: none */
	uint64_t last_findings;         /* of it */
};

struct volume_status {
	const char *name;
	struct scrub_status scrub;
	uint32_t    epoch;
	log_lsn     last_lsn, applied_lsn;
	uint64_t    accounts, mailboxes, messages, expunged, blobs;
	uint64_t    message_bytes;
	uint64_t    log_bytes, index_bytes, segments;
	uint64_t    damage;             /* findings in the log since the open; at least 1 while volume_is_damaged */
	uint64_t    changes, batches, syncs, queued;
	uint64_t    dead_bytes;         /* of the log at the last survey, */
	uint64_t    surveyed_us;        /* when that was; 0: none since the open */
	uint64_t    dropped, dropped_bytes;     /* pieces that compaction has replaced, not deleted yet */
	uint64_t    compacted_us;       /* when compaction last replaced something; 0: never */
	const char *maintenance;        /* what is under way; NULL: nothing */
	const char *work;               /* what the admin does with accounts now; NULL: nothing */
	account_id  moving;             /* to another volume; 0: none */
	uint64_t    backed_up_us;       /* when the last backup began that was made while it was open for
	                                 * writing; 0: none */
	char        backed_up_to[1024]; /* its path, cut if it is longer */
	bool        stalled;            /* takes no changes: log or index failed and is being recovered */
	bool        full;               /* so is the disk: takes only what frees space */
};
MUST_USE enum rc volume_get_status(struct volume *v, struct volume_status *out, struct err *e);

/* Of mailboxes that remember more than `keep` expunges forget the oldest, as far as they happened before this time
 * (seconds since 1970): whoever comes with a MODSEQ from before is told all UIDs that are not there. No session may
 * still have to tell one of them. *dropped: about how many. Any thread; waits for the writer. */
MUST_USE enum rc volume_prune(struct volume *v, uint64_t keep, uint64_t before_s, uint64_t *dropped,
                              struct err *e);

/* What is done one at a time in a volume, as two of a kind would spoil each other's work. */
enum claim_kind {
	CLAIM_MAINTENANCE,      /* check, compaction, backup */
	CLAIM_WORK,             /* the admin's on accounts: undelete, restore, move, purge */
	CLAIM_IMPORT,           /* into one account: an import passes over what was there when it began */
};
/* Its holder's memory until it is released; he fills in the first three. */
struct claim {
	enum claim_kind kind;
	const char     *what;           /* for who is refused; a literal */
	account_id      account;        /* CLAIM_IMPORT: the one; else 0 */
	struct claim   *next;           /* the volume's */
};
/* RC_BUSY, with what is under way in the text. Any thread. */
MUST_USE enum rc volume_claim(struct volume *v, struct claim *c, struct err *e);
/* The same, but waits for what is under way: for as long as that takes. */
void volume_claim_wait(struct volume *v, struct claim *c);
/* Any thread, once. */
void volume_release(struct volume *v, struct claim *c);
/* What is under way of this kind, not of one account; NULL: nothing. Any thread. */
const char *volume_claimed(struct volume *v, enum claim_kind kind);
/* For the status, also after a restart: a copy of the volume was made. One thread at a time, with CLAIM_MAINTENANCE. A
 * volume that is open for reading remembers it until it is closed. */
void volume_note_backup(struct volume *v, uint64_t time_us, const char *where);

/* The end is near: a compaction that is under way, whoever began it, ends soon (RC_CANCELLED), and none begins. */
void volume_stop_maintenance(struct volume *v);

struct compact_params {
	uint64_t     retention_us;      /* a record dies when what supersedes it is older than this */
	unsigned     threshold;         /* percent of a segment that must be dead; 0: only small segments are merged */
	bool         all;               /* every segment, the open one too */
	int          level;             /* 1 to 9: blobs are deflated anew at this zlib level, in every
	                                 * segment; 0: not */
	uint64_t     rate;              /* bytes read and written per second; 0: as fast as it goes */
	bool         dry_run;           /* tell what would be done */
	bool         wait;              /* for other maintenance that is under way; else RC_BUSY */
	const atomic_bool *stop;        /* may be NULL; set by any thread: end soon, RC_CANCELLED */
	/* May be NULL; false cancels. */
	bool       (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
	void        *arg;
};

struct compact_result {
	uint64_t segments, records, dead_records;       /* of the survey */
	uint64_t bytes, dead_bytes;     /* of segments and bodies */
	uint64_t chosen, chosen_dead;   /* segments to be rewritten, and bytes in them that were dead */
	uint64_t rewritten;             /* segments made */
	uint64_t written;               /* bytes of these and of bodies */
	uint64_t left_alone;            /* not replaced, as something in them came to life again meanwhile */
	uint64_t no_room;               /* not rewritten for lack of space */
	uint64_t reclaimed;             /* bytes of the log that went */
	uint64_t damage;                /* findings: with any, no message's content is given up */
};
/* Give back the space of what is dead: survey, rewrite, swap; see store/compact.h. What it has done stays done when it
 * is cut. The volume is open for writing. Any thread but the writer's; takes long. */
MUST_USE enum rc volume_compact(struct volume *v, const struct compact_params *p,
                                struct compact_result *out, struct err *e);

/* What the log was compared with. The latter two are no differences, as the next start makes the index anew: of a
 * volume that was restored, or whose server was upgraded, and has not been started since. */
enum check_index {
	CHECK_INDEX_THERE,              /* the index; one that cannot be used is a difference */
	CHECK_INDEX_MISSING,            /* nothing: there is none, and nobody has the volume open for writing */
	CHECK_INDEX_OTHER_VERSION,      /* nothing: it is of another schema */
};
struct check_result {
	uint64_t frames, records, blobs, messages, mailboxes, accounts;
	uint64_t damage;                /* findings in the log */
	uint64_t differences;           /* between log and index */
	uint64_t blob_bytes;            /* of messages that were inflated and hashed */
	enum check_index index;
	bool     starts_anew;           /* the index was made of a damaged log: if that is sound
	                                 * now, a start makes another one */
};
/* Whom a finding concerns: an account, one of its mailboxes, messages there; as far as each is known. */
struct check_named {
	account_id     account;
	struct slice   account_name;    /* empty: not known */
	mailbox_id     mailbox;         /* 0: the account as a whole */
	struct slice   mailbox_name;
	struct uid_set uids;            /* of the mailbox; expunged ones too */
};
#define CHECK_NOBODY "a deleted or unknown account"
/* One thing that is wrong; valid during the call. */
struct check_finding {
	const char    *what;
	bool           difference;      /* between log and index; else damage of the log */
	struct seg_id  seg;             /* seq 0: no place in the log */
	uint64_t       offset, len;     /* in it; len 0: unknown */
	bool           has_frame;
	struct seg_id  frame_seg;       /* the frame concerned, and */
	uint64_t       frame;           /* its offset */
	log_lsn        first, last;     /* of the records, 0: unknown */
	const char    *records;         /* "blob, messages": what they are; "" unknown */
	const char    *mended;          /* "byte 1234 is 0x41 and was 0x61"; "" unknown */
	const struct check_named *named;
	size_t         named_count;
	bool           more;            /* there are others than those named */
};
struct check_report {
	void  *arg;
	void (*found)(void *arg, const struct check_finding *f);
};
/* Verify every frame, record and chunk, that every message inflates to the bytes of its SHA-256, then compare what the
 * log says with what the index says. Writes nothing. Works on an open volume (online) of either mode.
 * `rep` may be NULL. */
MUST_USE enum rc volume_check(struct volume *v, const struct check_report *rep,
                              bool (*progress)(void *arg, uint64_t done, uint64_t total),
                              void *progress_arg, struct check_result *out, struct err *e);
struct scrub_result {
	uint64_t segments, bytes, blobs, findings;
};
/* One round over sealed segments and bodies at once, past the page cache: frame sums, chunk CRCs, SHA-256. Findings are
 * told as check tells them. Writes nothing; works on an open volume of either mode. */
MUST_USE enum rc volume_scrub(struct volume *v, const struct check_report *rep,
                              bool (*progress)(void *arg, uint64_t done, uint64_t total),
                              void *progress_arg, struct scrub_result *out, struct err *e);
/* The same in the background, round and round, at this rate; 0: not (as after the open). Of a volume that is open for
 * writing; one thread at a time. */
void volume_set_scrub_rate(struct volume *v, uint64_t bytes_per_s);
struct reparse_params {
	bool     all;   /* parse every content; else those that another version of the parser has parsed */
	bool     dry_run;
	/* May be NULL; false cancels. */
	bool   (*progress)(void *arg, uint64_t done, uint64_t total);
	/* A content that cannot be read keeps the summary that it has. May be NULL. */
	void   (*unreadable)(void *arg, blob_id blob, const char *what);
	void    *arg;
};
struct reparse_result {
	uint64_t contents;              /* looked at */
	uint64_t other;                 /* of these, parsed by another version than this program has */
	uint64_t made;                  /* got a new summary; with dry_run: would get one */
	uint64_t unreadable;
};
/* Parse stored messages anew and write the summaries that come out differently to the log, some dozens at a time, so
 * that deliveries go on in between. What is done stays done when it is cut, and is not done again by the next call. The
 * volume is open for writing. RC_BUSY: another one is under way. RC_CANCELLED: progress said so, or the volume is about
 * to close. Any thread but the writer's; takes long. */
MUST_USE enum rc volume_reparse(struct volume *v, const struct reparse_params *p,
                                struct reparse_result *out, struct err *e);

struct reindex_result {
	uint64_t damage;                /* findings in the log */
	char     kept[32];              /* the old index's file now, "index.db.old" or with a number; "" if none is */
};
/* Build the index anew from the log; the volume must not be open anywhere. Leaves it closed. A damaged log may give
 * back less than the present index knows: RC_CORRUPT then says so and nothing has changed, unless `force`, which keeps
 * the old index as index.db.old (.2, .3 ... if there is one), one file. */
MUST_USE enum rc volume_reindex(const struct volume_params *p, bool force,
                                struct reindex_result *out, struct err *e);

#endif
