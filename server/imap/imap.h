/* imap - one IMAP session: its state, the command under way, the mailbox view; and the table of commands.
 *
 * Life of a command: the framer collects one command (lines and literals, bounded) from the session's input on the
 * reactor; the table names its parser, its states and its run function; parse and check happen on the reactor (pure
 * functions over the frame), run is called in steps until it says it is done, on the pool or, where it reads little,
 * on the reactor; then untagged changes that the command allows are told and the tagged answer goes out. APPEND alone
 * streams its literal: see cmd_append.c.
 *
 * A new command is a row in the table (imap_table.c), a cmd_*.c, a test, a line in doc/rfc-table.md.
 */
#ifndef RESTANTE_SERVER_IMAP_IMAP_H
#define RESTANTE_SERVER_IMAP_IMAP_H

#include "index/volume.h"
#include "server/imap/cursor.h"
#include "server/imap/view.h"
#include "server/server.h"
#include "server/session.h"

enum imap_state {               /* [RFC 9051 s3]; bits, so that the table can name several */
	IMAP_NOT_AUTH = 1 << 0,
	IMAP_AUTH = 1 << 1,
	IMAP_SELECTED = 1 << 2,
	IMAP_LOGOUT = 1 << 3,
};

/* What a command does to the client's sequence numbers: which untagged changes may be told with its answer. */
enum imap_effect {
	EFFECT_NONE,            /* tell everything, EXPUNGE included (NOOP, UID commands, ...) [RFC 9051 s7.5.1] */
	EFFECT_USES_SEQ,        /* FETCH, STORE, SEARCH: no EXPUNGE may be told */
	EFFECT_NO_VIEW,         /* changes the selection itself, or does not look at it: tell nothing */
};

/* What one run of a command says. */
enum imap_result {
	IMAP_MORE,              /* call run again when the output has drained */
	IMAP_WAIT,              /* call run again after session_wake: a change was submitted */
	IMAP_INPUT,             /* wants more of the client (AUTHENTICATE, IDLE, APPEND): calls `input`
	                         * on the reactor */
	IMAP_DONE,              /* imap->reply says what the tagged answer is */
	IMAP_BYE,               /* the session ends; an untagged BYE has been written */
	IMAP_POOL,              /* of a light run: it goes on on the pool */
};

enum imap_status {
	IMAP_OK,
	IMAP_NO,
	IMAP_BAD,
};

/* What is to happen with an announced literal. */
enum imap_literal {
	LITERAL_COLLECT,        /* into the frame, within the limits of a command */
	LITERAL_STREAM,
	LITERAL_REFUSE,         /* the cursor says what was expected */
};

struct imap;

struct imap_command {
	const char *name;               /* upper case */
	unsigned    states;             /* enum imap_state bits */
	enum imap_effect effect;
	/* Reactor, pure: the arguments behind the name up to the end of the command, into imap->args (arena of the
	 * command). False: the cursor says what was expected -> BAD. Must leave the cursor at the end. */
	bool (*parse)(struct imap *im, struct cursor *c);
	/* Reactor, cheap: may this run now? False: imap_reply was called (NO or BAD). NULL: yes. */
	bool (*check)(struct imap *im);
	/* Pool, or reactor where it is light. Called again and again; keeps its place in im->args. NULL: done already
	 * by check (imap_reply was called). */
	enum imap_result (*run)(struct imap *im);
	/* Reactor: `light` in server/session.h, of the next run: it asks neither index nor log. NULL: none is. */
	bool (*light)(struct imap *im);
	/* Reactor, cheap: the next run is likely to be light, though it reads: little, and what may be refused
	 * (lib/nowait.h). NULL: none is. */
	bool (*reads_little)(struct imap *im);
	/* Such a run was refused something: args become what they were before it, or what makes the next
	 * run do the same. What it has written is taken back already, and it has submitted no change. NULL: it leaves
	 * them so by itself. */
	void (*undo)(struct imap *im);
	/* Reactor, after run said IMAP_INPUT, and again whenever input or a notification comes: takes what it can
	 * (imap_input, imap_input_taken, or the framer). NEXT_INPUT: not enough yet; NEXT_STEP: call run again.
	 * NULL if never. */
	enum session_next (*input)(struct imap *im);
	/* Pool or reactor, the connection is lost or the command ends: give up what args own beyond the arena; must not
	 * block for long. im->change is freed by imap.c, after this. NULL if nothing. */
	void (*drop)(struct imap *im);
	/* Reactor, pure: a literal is announced at the end of what has come of the command (c stands behind the name).
	 * LITERAL_STREAM: args are ready, run is called, and the octets are the command's to take. NULL: collect. */
	enum imap_literal (*literal)(struct imap *im, struct cursor *c);
};

/* All commands; UID FETCH and the like are rows of their own with the name "UID FETCH". NULL if unknown. The rows are
 * declared in commands.h and defined, with designated initialisers, in the cmd_*.c files. */
const struct imap_command *imap_table_find(struct slice name);
/* Changes nothing, so that a session that may only read may do it. */
bool imap_table_only_reads(const struct imap_command *cmd);

struct imap {
	struct session  *s;
	struct server   *srv;
	enum imap_state  state;
	struct arena     arena;         /* of the command; reset when its tagged answer is queued */

	/* The command under way. */
	const struct imap_command *cmd;
	struct slice     tag;
	bool             uid_command;   /* "UID ..." */
	void            *args;          /* of the command's own type, in the arena */
	struct change   *change;        /* the one submitted and not yet freed, or NULL */
	enum imap_status status;        /* set by imap_reply */
	bool             all_told;      /* of this command: nothing is news since it last told */
	bool             no_expunge;    /* of this command none may be told: sequence numbers in UID SEARCH
	                                 * [RFC 9051 s7.5.1] */
	struct buf       reply;         /* "[CODE ...] text" of the tagged answer */
	struct uid_set   reply_set;     /* stands in `reply` before its octet reply_at, and goes out in
	                                 * pieces: it may be */
	size_t           reply_at;      /* longer than any piece. Empty: there is none */

	/* Who. */
	struct volume   *volume;        /* of the account; NULL before login */
	account_id       account;
	struct slice     user;          /* owned by the session */
	struct slice     hidden;        /* capabilities hidden for the account, one space between; owned
	                                 * by the session */

	/* The selected mailbox. */
	mailbox_id       mailbox;       /* 0: none */
	bool             read_only;     /* EXAMINE */
	struct imap_view view;

	/* ENABLEd [RFC 5161, 9051 s6.3.1]; UNAUTHENTICATE takes all of it back [RFC 8437 s3]. */
	bool             rev2;          /* IMAP4rev2: no RECENT, ESEARCH instead of SEARCH, UID in every FETCH */
	bool             utf8_accept;   /* UTF8=ACCEPT [RFC 9755 s3] */
	bool             utf8;          /* either of them: quoted strings and mailbox names in UTF-8, no
	                                 * modified UTF-7 */
	bool             condstore;     /* MODSEQs are told with flags; also by CONDSTORE-enabling commands
	                                 * [RFC 7162 s3.1] */
	bool             qresync;       /* VANISHED instead of EXPUNGE [RFC 7162 s3.2.3]; implies condstore */
	bool             uidonly;       /* no sequence numbers in either direction [RFC 9586] */

	bool             ended; /* an untagged BYE has been written (imap_bye): the session closes, no tagged answer */

	struct imap_private *priv;      /* framer, SASL exchange, ...: imap.c's own */
};

/* ---- helpers for commands ---- */

/* Set the tagged answer: fixed text, with an optional response code in brackets written by the caller:
 * imap_reply(im, IMAP_NO, "[TRYCREATE] No such mailbox"). */
void imap_reply(struct imap *im, enum imap_status st, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same with a set, which may be of any length, where `text` begins; the set is taken over, and left empty. `code`
 * ends in a blank, `text` begins behind the set: imap_reply_set(im, IMAP_OK, "[MODIFIED ", &uids,
 * "] Some were changed"). From run, on a command whose changes are told with it (not EFFECT_NO_VIEW). */
void imap_reply_set(struct imap *im, enum imap_status st, const char *code, struct uid_set *set,
                    const char *text);
/* The answer for a failed read or a refused change: [NONEXISTENT], [ALREADYEXISTS], [OVERQUOTA], [LIMIT],
 * [UNAVAILABLE], [SERVERBUG], ... with a fixed sentence [RFC 5530]; what operators need is logged here, once. When
 * im->change is durable all the same, the session ends with BYE instead [design I1]. */
void imap_reply_error(struct imap *im, enum rc rc, const struct err *e);
/* NO for the target of APPEND, COPY and the like that does not exist: with TRYCREATE unless no mailbox can have the
 * name. */
void imap_reply_no_target(struct imap *im, struct slice name);

/* Write "* BYE text" and end the session after this step. From run, check, input or imap_tell_changes. */
void imap_bye(struct imap *im, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Nothing is selected any more: view, watch, state IMAP_AUTH. Writes nothing. Any owner thread. */
void imap_unselect(struct imap *im);

/* Output: to session_out. imap_out_* write the productions of RFC 9051 s9. */
struct buf *imap_out(struct imap *im);
void imap_out_astring(struct buf *out, struct slice s);         /* atom, quoted or literal */
void imap_out_string(struct buf *out, struct slice s);          /* quoted or literal; NUL goes out as 0x80 */
void imap_out_text(struct imap *im, struct slice utf8);        /* quoted, also beyond ASCII if im->utf8; or literal */
void imap_out_nstring(struct buf *out, struct slice s);         /* NIL for ptr NULL */
void imap_out_mailbox(struct imap *im, struct slice utf8_name); /* modified UTF-7 unless im->utf8 */
/* "* LIST (attributes) "/" name", and with a `given` of parse_mailbox_given in IMAP4rev2 its OLDNAME: what SELECT, and
 * commands with a name in another form than NFC, tell of a mailbox. */
void imap_out_list(struct imap *im, const struct mailbox_info *box, struct slice given);
/* The objectid of a mailbox, "M0123..." [RFC 8474 s4]. */
void imap_out_mailboxid(struct buf *out, const uint8_t id[MAILBOXID_LEN]);
void imap_out_flags(struct buf *out, uint32_t flags, struct slice keywords, bool recent);       /* "(\Seen $x)" */
void imap_out_date(struct buf *out, struct mail_date d);        /* "17-Jul-1996 02:44:25 -0700", quoted */

/* Input that came and is not taken yet, and taking some of it. Owner thread. */
struct slice imap_input(const struct imap *im);
void imap_input_taken(struct imap *im, size_t n);

/* Submit c and wait for it: im->change = c, returns IMAP_WAIT. When run is called again im->change has its results; the
 * command frees it with change_free. Sets who, done and done_arg. */
enum imap_result imap_submit(struct imap *im, struct change *c);

/* Tell the client what changed in the selected mailbox since (EXISTS, RECENT, FETCH flags, EXPUNGE if `expunge`), from
 * the index, and move the view on. At most about the soft limit of output at once: true when all is told, false to be
 * called again (IMAP_MORE), also where it was refused something (lib/nowait.h): then nothing was told. */
bool imap_tell_changes(struct imap *im, bool expunge);
/* A message of this session's own came into the selected mailbox: EXISTS and RECENT as imap_tell_changes would say them, if
 * that is all there is to tell. Else nothing happens. */
void imap_tell_own_append(struct imap *im, mail_uid uid, mail_modseq modseq);
/* imap_tell_changes would tell nothing, and ask nobody: nothing has happened since it last told. Owner thread. */
bool imap_is_quiet(const struct imap *im, bool expunge);

/* After imap_tell_changes, before the tagged answer: HIGHESTMODSEQ if expunges wait while MODSEQs above theirs may have
 * been shown, or if they do so no more [RFC 7162 s3.2]. */
void imap_tell_highest(struct imap *im);
/* The last of a command that expunges: IMAP_MORE until all changes are told, then the tagged "OK [HIGHESTMODSEQ n] NAME
 * completed". Pool. */
enum imap_result imap_tell_and_complete(struct imap *im);

/* "* FLAGS" and PERMANENTFLAGS of the selected mailbox if it has keywords that were not told yet, or in any case
 * [RFC 9051 s7.3.5, s7.1]. Goes before anything that shows such a keyword. Pool. */
MUST_USE enum rc imap_tell_keywords(struct imap *im, bool always, struct err *e);

/* "* 5 FETCH (" or, when UIDONLY is on, "* 1234 UIDFETCH (" without its closing: every answer about a message begins
 * so. `seq` is not looked at with UIDONLY. */
void imap_out_fetch_begin(struct imap *im, uint32_t seq, mail_uid uid);
/* The same with FLAGS, whole: with the UID for UID commands, in IMAP4rev2 and where condstore is on, then with the
 * MODSEQ. */
void imap_out_fetch_flags(struct imap *im, uint32_t seq, const struct message_row *row);
/* "E..." and "T...": the ObjectIDs of a message and of its thread [RFC 8474]. */
void imap_out_emailid(struct buf *out, const uint8_t sha256[SHA256_LEN]);
void imap_out_threadid(struct buf *out, uint64_t threadid);
/* "* VANISHED 1:3" or "* VANISHED (EARLIER) 1:3" [RFC 7162 s3.2.10] of a set of any length: one line of its ranges from
 * *from on (an index), not longer than a piece of output; *from moves on, and is gone->count when all are told. Nothing
 * for an empty set. */
void imap_out_vanished_piece(struct imap *im, const struct uid_set *gone, size_t *from,
                             bool earlier);
/* The ranges of a set, written from *from on (an index) with commas between, until the output is full; true when that
 * was the last one. */
bool imap_out_set_piece(struct imap *im, const struct uid_set *set, size_t *from);
/* "MODSEQ (n)" of a message: told is what came up to there before the command is over. */
void imap_out_modseq(struct imap *im, mail_modseq modseq);
/* FETCH with the MODSEQ alone (and the UID): what .SILENT leaves [RFC 7162 s3.1.3]. */
void imap_out_fetch_modseq(struct imap *im, uint32_t seq, const struct message_row *row);
/* "* OK [HIGHESTMODSEQ n] text": up to n the client knows everything of the selected mailbox. */
void imap_out_highestmodseq(struct imap *im, const char *text);
/* The client used a CONDSTORE-enabling command: from here on MODSEQs are told. In a selected mailbox the first time
 * writes "* OK [HIGHESTMODSEQ n]" [RFC 7162 s3.1]. */
void imap_enable_condstore(struct imap *im);

/* A command that takes long calls this each time it has done a piece: now and then it writes
 * "* OK [INPROGRESS ("tag" done total)]" [RFC 9585 s4]. total 0: not known. */
void imap_progress(struct imap *im, uint64_t done, uint64_t total);

/* Is this capability hidden for the account (restantectl user hide)? A hidden one is neither advertised nor enabled;
 * commands that belong to it still work. */
bool imap_is_hidden(const struct imap *im, struct slice capability);

/* The capability list for the state and stream as they are, without "CAPABILITY ". */
void imap_out_capabilities(struct imap *im, struct buf *out);

/* ---- parsing shared by commands: grammar productions [RFC 9051 s9], in parse.c ---- */

struct seq_set {                /* as written; "*" is SEQ_STAR, resolved against the view by imap_resolve_set */
	struct seq_range { uint64_t first, last; } *ranges;
	uint32_t count;
	bool     saved_result;  /* "$" */
};
#define SEQ_STAR    UINT64_MAX
#define SEQ_SET_MAX 4096u

struct partial_range {          /* [RFC 9394 s4] */
	bool     from_end;      /* "-1:-100": 1 is the last one */
	uint32_t first, last;   /* ordered, from 1 */
};

bool parse_tag(struct cursor *c, struct slice *out);
bool parse_sequence_set(struct cursor *c, struct arena *a, struct seq_set *out);
bool parse_astring(struct cursor *c, struct arena *a, struct slice *out);
bool parse_string(struct cursor *c, struct arena *a, struct slice *out);        /* quoted or literal */
bool parse_nstring(struct cursor *c, struct arena *a, struct slice *out);       /* ptr NULL for NIL */
bool parse_atom(struct cursor *c, struct slice *out);
bool parse_number(struct cursor *c, uint32_t *out);
bool parse_number64(struct cursor *c, uint64_t *out);
bool parse_nz_number(struct cursor *c, uint32_t *out);
/* What a name becomes that can be no mailbox's; volume_find_mailbox gives RC_NOT_FOUND, CREATE RC_DENIED for it. */
#define IMAP_NAME_OF_NONE SLICE("\x7f")
/* A mailbox name to UTF-8 NFC: modified UTF-7 undone unless im->utf8, INBOX folded, trailing "/" kept. */
bool parse_mailbox(struct imap *im, struct cursor *c, struct slice *out);
/* The same; *given is the name in UTF-8 as the client wrote it when that was not the mailbox's own form (not in NFC, or
 * INBOX in another case), for OLDNAME [RFC 9051 s6.3.9.7, s8]; else its ptr is NULL. */
bool parse_mailbox_given(struct imap *im, struct cursor *c, struct slice *out, struct slice *given);
/* A pattern of LIST as on the wire; imap_name_from_wire makes it comparable with names. */
bool parse_list_mailbox(struct cursor *c, struct arena *a, struct slice *out);
/* The second half of parse_mailbox, into im->arena. */
bool imap_name_from_wire(struct imap *im, struct cursor *c, struct slice wire, struct slice *out);
/* "(\Seen $x)" or a bare list; system flags into *flags, keywords space-separated into *keywords.
 * \Recent is refused. */
bool parse_flag_list(struct cursor *c, struct arena *a, uint32_t *flags, struct slice *keywords);
bool parse_date_time(struct cursor *c, struct mail_date *out);                  /* quoted date-time */
bool parse_date(struct cursor *c, int64_t *day_start);                          /* date: seconds at 00:00 UTC of it */
bool parse_partial_range(struct cursor *c, struct partial_range *out);
bool parse_end(struct cursor *c);                                               /* nothing may follow */

/* The UIDs that a sequence-set (or UID set, if im->uid_command) means in the view; numbers beyond the view are BAD for
 * sequence numbers (false, imap_reply was called), ignored for UIDs. Loads the view: pool. */
bool imap_resolve_set(struct imap *im, const struct seq_set *set, struct uid_set *out);
/* The same, for UIDs or sequence numbers by `uids`. *out is made here in both; on success the caller's
 * to uid_set_fini. */
bool imap_resolve_numbers(struct imap *im, const struct seq_set *set, bool uids,
                          struct uid_set *out);
/* The members of `in` that the range names, by their order, added to *out. False without memory. */
bool imap_partial_of(const struct uid_set *in, const struct partial_range *p, struct uid_set *out);

/* With UIDONLY on no argument may be a sequence number: true, and BAD [UIDREQUIRED] is set, if it is on [RFC 9586 s3].
 * imap_refuse_command is for the check of commands that are refused unless they are "UID ..." [s3.2, s3.8]. */
bool imap_refuse_numbers(struct imap *im);
bool imap_refuse_command(struct imap *im);

#endif
