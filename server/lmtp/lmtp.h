/* lmtp - one LMTP session [RFC 2033]: mail comes in.
 *
 * Nearly everything runs in steps on the pool, as RCPT already asks the index: a step takes as many complete commands
 * as have come (MTAs pipeline them), or a piece of the mail data. One mode says what the bytes of the input are, and
 * one function (lmtp_work in lmtp.c) goes from one to the next; nothing is stacked:
 *
 *     COMMANDS --DATA--> DATA --CRLF.CRLF--> COMMIT --writers have answered--> COMMANDS
 *              --AUTH--> AUTH --the exchange is over--> COMMANDS
 *              --BDAT--> CHUNK --its last octet--> COMMANDS, or COMMIT behind the last chunk
 *
 * (FOLDERS comes before COMMIT when mailboxes have to be made.)
 *
 * A message is ingested once for each volume that its recipients live on, and committed there with one change for all
 * of them. One answer for each accepted recipient follows, in the order of their RCPTs, also after failures.
 */
#ifndef RESTANTE_SERVER_LMTP_LMTP_H
#define RESTANTE_SERVER_LMTP_LMTP_H

#include <stdatomic.h>

#include "lib/arena.h"
#include "server/lmtp/dots.h"
#include "server/lmtp/forward.h"
#include "server/lmtp/path.h"
#include "server/lmtp/retry.h"
#include "server/login.h"
#include "server/server.h"
#include "server/session.h"

#define LMTP_LINE_MAX      2048u        /* octets of a command with its CRLF; at least 512 and extensions
                                         * [RFC 5321 s4.5.3.1.4] */
#define LMTP_AUTH_LINE_MAX 16384u       /* of an answer of AUTH; at least 12288 [RFC 4954 s4] */
#define LMTP_TIMEOUT_MS    300000u      /* [RFC 5321 s4.5.3.2.7] */
#define LMTP_MSGID_MAX     250u         /* octets of a Message-ID in logs */
#define LMTP_ARENA_MAX     (64u << 20)  /* of one transaction: recipients */
#define LMTP_HEAD_MAX      (256u << 10) /* octets of a message in which junk_headers are looked for */

enum lmtp_mode {
	LMTP_COMMANDS,
	LMTP_AUTH,              /* a line is the answer to a challenge */
	LMTP_LONG_LINE,         /* the rest of a line that was too long is thrown away */
	LMTP_DATA,
	LMTP_CHUNK,             /* chunk_left octets of BDAT */
	LMTP_FOLDERS,           /* mailboxes are being made, then commit */
	LMTP_COMMIT,
};

enum lmtp_chunk {
	LMTP_CHUNK_MORE,        /* octets are missing */
	LMTP_CHUNK_OVER,        /* answered: a command comes next */
	LMTP_CHUNK_LAST,        /* the message is complete */
};

enum lmtp_want {
	LMTP_GO_ON,
	LMTP_STARTTLS,
	LMTP_QUIT,
};

/* Recipients on one volume share a message. */
struct lmtp_group {
	struct lmtp_group *next;
	struct volume   *volume;
	struct ingest   *ingest;
	struct ingested *content;
	struct change   *change;        /* after the commit: results */
	uint64_t         size;
	enum rc          rc;            /* the first failure */
	struct err       err;
	bool             told;          /* the log has it */
	struct append_target *targets;  /* one per mailbox */
	uint32_t         target_count;
	account_id       account;       /* of the first recipient */
	struct slice     message_id;    /* with its <>, cut to LMTP_MSGID_MAX; empty: none */
};

struct lmtp_usage {
	uint64_t quota, used;                   /* bytes; a quota of 0 is none */
	uint64_t quota_messages, messages;
};

/* Where a copy for a recipient goes. */
struct lmtp_place {
	struct lmtp_place *next;        /* of the same recipient */
	struct lmtp_group *group;
	mailbox_id         mailbox;
	account_id         account;
	struct slice       name;        /* of the account, for logs */
	struct slice       folder;      /* of the mailbox, likewise */
	struct slice       wanted;      /* a mailbox to be made when the message has come; empty: none */
	bool               named;       /* the address names the mailbox */
	uint32_t           boxes;       /* that the account has; 0: an earlier place wants the same */
	struct lmtp_usage  usage;       /* of the account, at RCPT */
	uint32_t           target;      /* index in the group's targets */
};

struct lmtp_rcpt {
	struct slice       text;        /* as written, for logs and traces */
	struct lmtp_place *places;      /* several for an alias of several accounts */
	struct lmtp_rcpt  *next;
};

/* A mailbox that is being made for a place. */
struct lmtp_making {
	struct lmtp_making *next;
	struct lmtp_place  *place;
	struct change      *create, *subscribe;
};

struct lmtp {
	struct session   *s;
	enum lmtp_mode    mode;
	enum lmtp_want    want;
	uint64_t          consumed;     /* octets of the connection before those of the input */
	size_t            used;         /* bytes of the input that this step has dealt with; consumed at
	                                 * its end, at once */
	bool              light;        /* this step runs on the reactor, */
	unsigned          light_left;   /* for so many commands more, */
	bool              heavy;        /* and its last one wants to be run again, on the pool */
	bool              long_cr;      /* LMTP_LONG_LINE: what was thrown away last ended with a CR */
	uint64_t          opened_ms;    /* for limits.auth_timeout: who may not deliver does not stay by talking */
	bool              helo_given;
	char              helo[LMTP_DOMAIN_MAX + 1];
	struct login      login;
	bool              authenticated;        /* as one of auth_accounts */
	bool              told_denied;          /* the log has it */
	struct lmtp_retry retry;
	struct forward    client;               /* XCLIENT: for whom the peer speaks */
	struct forward    forward;              /* XFORWARD: from where the next message, or this one, comes */
	/* The transaction, in its arena: */
	struct arena      arena;
	bool              mail_given;
	bool              mail_refused;         /* the last MAIL; RSET and LHLO forget it */
	bool              smtputf8;
	bool              binary;               /* BODY=BINARYMIME */
	struct slice      sender;
	struct slice      envid;                /* as sent; empty: not given */
	uint64_t          declared_size;        /* SIZE=; 0: not given */
	struct lmtp_rcpt *rcpts, **rcpts_end;
	uint32_t          rcpt_count, place_count;
	struct lmtp_group *groups;
	struct lmtp_making *makings;
	struct buf        head;                 /* the beginning of the message, when [lmtp] junk_headers asks for it */
	bool              junk;
	struct dots       dots;
	bool              chunked;              /* it has begun with BDAT */
	bool              chunk_failed;         /* a chunk was refused: all others are, and the last one for
	                                         * each recipient */
	uint64_t          announced;            /* octets of its chunks so far */
	/* The chunk that is coming: */
	uint64_t          chunk_size, chunk_left;
	bool              chunk_last;
	const char       *chunk_refusal;        /* what is said behind it, which is thrown away; NULL: it is taken */
	uint64_t          began_ms;             /* of DATA, or the first BDAT */
	uint32_t          number;               /* transactions so far */
	atomic_uint       pending;              /* changes that are not answered */
};

/* What of the input is not dealt with. */
static inline struct slice
lmtp_input(struct lmtp *l)
{
	struct slice in = buf_slice(session_in(l->s));

	return slice_sub(in, l->used, in.len);
}

/* Octets that have come since the connection began. */
static inline uint64_t
lmtp_received(struct lmtp *l)
{
	return l->consumed + session_in(l->s)->len;
}

/* One answer line: "250 2.0.0 ..." without CRLF. */
void lmtp_reply(struct lmtp *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* commands.c - Execute one line (without CRLF). */
void lmtp_command(struct lmtp *l, struct slice line);
/* May it be run on the reactor? It may find then that it cannot be, and sets `heavy` instead of answering. */
bool lmtp_command_is_light(struct slice line);
void lmtp_greeting(struct lmtp *l);
/* A mistake of the client: answers, counts it, and ends the session when there were too many. */
void lmtp_bad(struct lmtp *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* access.c */
/* It may deliver. */
bool lmtp_is_welcome(const struct lmtp *l);
/* False: MAIL is refused. Pool or reactor; logs the first time. */
bool lmtp_may_deliver(struct lmtp *l);
/* May it use XCLIENT and XFORWARD? */
bool lmtp_trusts(const struct lmtp *l);
bool lmtp_offers_auth(struct lmtp *l);
/* Pool: hashes. */
void lmtp_auth(struct lmtp *l, struct slice arg);
void lmtp_auth_line(struct lmtp *l, struct slice line);
void lmtp_auth_too_long(struct lmtp *l);

/* envelope.c */
void lmtp_mail(struct lmtp *l, struct slice arg);
void lmtp_rcpt(struct lmtp *l, struct slice arg);
/* The answer to what needs a transaction when there is none. */
void lmtp_mail_missing(struct lmtp *l);

/* chunk.c */
void lmtp_bdat(struct lmtp *l, struct slice arg);
/* Is this line, which is no command, a BDAT all the same? Answered then, and the session ends. */
bool lmtp_bdat_garbled(struct lmtp *l, struct slice line);
/* Take what has come of the chunk. */
enum lmtp_chunk lmtp_chunk_feed(struct lmtp *l);

/* transaction.c */
void lmtp_transaction_init(struct lmtp *l);
/* Forget the transaction; pool thread, as what is being ingested is given up. */
void lmtp_transaction_reset(struct lmtp *l);
void lmtp_rcpt_add(struct lmtp *l, const struct lmtp_path *path);
/* The answer to a recipient whose account is full, and its log line: what is used of which quotas. */
void lmtp_refuse_quota(struct lmtp *l, struct slice to, struct slice account, struct lmtp_usage u);

/* deliver.c - a group that fails takes no more; lmtp_data_failed tells when none is left. */
/* Begin to ingest. */
void lmtp_data_begin(struct lmtp *l);
/* So many octets are announced; above message_size all fail at once. */
void lmtp_data_expect(struct lmtp *l, uint64_t octets);
/* Some of it will never come: all fail. */
void lmtp_data_spoil(struct lmtp *l);
/* Some of the message, free of the protocol's own octets. */
void lmtp_data_take(struct lmtp *l, struct slice piece);
bool lmtp_data_failed(const struct lmtp *l);
/* One answer to all that failed, and the log lines. */
void lmtp_data_answer_failure(struct lmtp *l);
/* What has come behind DATA can be taken, and the message completed, within the time of ingest_is_quick and without a
 * file or the index being touched. */
bool lmtp_data_is_light(struct lmtp *l);
/* Take what has come behind DATA; true when it is complete. */
bool lmtp_data_feed(struct lmtp *l);
/* So many changes are about to be submitted; lmtp_answered, on a writer's thread, counts their answers and wakes. */
void lmtp_await(struct lmtp *l, unsigned n);
void lmtp_answered(struct lmtp *l);
/* The message is complete: end its ingestion and decide where it goes. True: mailboxes are being made first, and
 * session_wake will come. */
bool lmtp_complete(struct lmtp *l);
/* Hand the message to the writers. True: session_wake will come. */
bool lmtp_commit(struct lmtp *l);
/* All went well and few are to be answered: that is done on the reactor, as another turn over the pool
 * would cost more. */
bool lmtp_commit_is_small(const struct lmtp *l);
/* One answer for each recipient. */
void lmtp_commit_answer(struct lmtp *l);

/* folder.c - Steps, which may do I/O. */
/* The mailbox that `detail` names (empty: none), or INBOX; fills the place's mailbox, folder, named, wanted. */
enum rc lmtp_folder_find(struct lmtp *l, struct lmtp_place *p, struct volume *v,
                         struct slice detail, struct err *e);
/* Those that are in INBOX go to the mailbox for junk. */
void lmtp_folder_junk(struct lmtp *l);
/* Make the mailboxes that are wanted. True: session_wake will come, and then lmtp_folder_made. */
bool lmtp_folder_make(struct lmtp *l);
void lmtp_folder_made(struct lmtp *l);
void lmtp_folder_forget(struct lmtp *l);
/* May mail make a mailbox of this name? No control characters and wildcards, at most LMTP_DETAIL_LEVELS levels of at
 * most LMTP_DETAIL_LEVEL_MAX octets, and none that is taken for INBOX or a special use. Pure. */
#define LMTP_DETAIL_LEVELS    3u
#define LMTP_DETAIL_LEVEL_MAX 64u
bool lmtp_folder_allowed(struct slice name);

/* trace.c - Return-Path and Received. */
void lmtp_trace(const struct lmtp *l, uint64_t now_us, struct buf *out);
/* The transaction's name in traces, logs and answers: "7f3a-2". */
#define LMTP_ID_MAX 40         /* with its NUL */
void lmtp_id(const struct lmtp *l, char out[LMTP_ID_MAX]);

#endif
