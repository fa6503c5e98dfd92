/* lmtp - one LMTP session [RFC 2033]: mail comes in.
 *
 * Nearly everything runs in steps on the pool, as RCPT already asks the index: a step takes as many complete commands as
 * have come (MTAs pipeline them), or a piece of the mail data. The mode says what the bytes of the input are:
 *
 *     COMMANDS --DATA--> DATA --CRLF.CRLF--> COMMIT --writers have answered--> COMMANDS
 *
 * A message is ingested once for each volume that its recipients live on, and committed there with one change for all
 * of them. One answer for each accepted recipient follows, in the order of their RCPTs, also after failures.
 */
#ifndef RESTANTE_SERVER_LMTP_LMTP_H
#define RESTANTE_SERVER_LMTP_LMTP_H

#include <stdatomic.h>

#include "lib/arena.h"
#include "server/lmtp/dots.h"
#include "server/lmtp/path.h"
#include "server/server.h"
#include "server/session.h"

#define LMTP_LINE_MAX      2048u        /* octets of a command with its CRLF; at least 512 and extensions
                                         * [RFC 5321 s4.5.3.1.4] */
#define LMTP_TIMEOUT_MS    300000u      /* [RFC 5321 s4.5.3.2.7] */
#define LMTP_MSGID_MAX     250u         /* octets of a Message-ID in logs */
#define LMTP_ARENA_MAX     (64u << 20)  /* of one transaction: recipients */

enum lmtp_mode {
	LMTP_COMMANDS,
	LMTP_LONG_LINE,         /* the rest of a line that was too long is thrown away */
	LMTP_DATA,
	LMTP_COMMIT,
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
	struct append_target *targets;  /* one per mailbox */
	uint32_t         target_count;
	account_id       account;       /* of the first recipient */
	struct slice     message_id;    /* with its <>, cut to LMTP_MSGID_MAX; empty: none */
};

struct lmtp_usage {
	uint64_t quota, used;                   /* bytes; a quota of 0 is none */
	uint64_t quota_messages, messages;
};

struct lmtp_rcpt {
	struct slice       text;        /* as written, for logs and traces */
	struct lmtp_group *group;
	mailbox_id         mailbox;
	struct slice       account;     /* names, for logs */
	struct slice       folder;
	struct lmtp_usage  usage;       /* of the account, at RCPT */
	uint32_t           target;      /* index in the group's targets */
	struct lmtp_rcpt  *next;
};

struct lmtp {
	struct session   *s;
	enum lmtp_mode    mode;
	enum lmtp_want    want;
	size_t            used;         /* bytes of the input that this step has dealt with; consumed at its end, at once */
	bool              long_cr;      /* LMTP_LONG_LINE: what was thrown away last ended with a CR */
	bool              helo_given;
	char              helo[LMTP_DOMAIN_MAX + 1];
	/* The transaction, in its arena: */
	struct arena      arena;
	bool              mail_given;
	bool              mail_refused;         /* the last MAIL; RSET and LHLO forget it */
	bool              smtputf8;
	struct slice      sender;
	uint64_t          declared_size;        /* SIZE=; 0: not given */
	struct lmtp_rcpt *rcpts, **rcpts_end;
	uint32_t          rcpt_count;
	struct lmtp_group *groups;
	struct dots       dots;
	uint64_t          began_ms;             /* of DATA */
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

/* One answer line: "250 2.0.0 ..." without CRLF. */
void lmtp_reply(struct lmtp *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* commands.c - Execute one line (without CRLF). */
void lmtp_command(struct lmtp *l, struct slice line);
/* A mistake of the client: answers, counts it, and ends the session when there were too many. */
void lmtp_bad(struct lmtp *l, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* transaction.c */
void lmtp_transaction_init(struct lmtp *l);
/* Forget the transaction; pool thread, as what is being ingested is given up. */
void lmtp_transaction_reset(struct lmtp *l);
void lmtp_rcpt_add(struct lmtp *l, const struct lmtp_path *path);
/* The answer to a recipient whose account is full, and its log line: what is used of which quotas. */
void lmtp_refuse_quota(struct lmtp *l, struct slice to, struct slice account, struct lmtp_usage u);

/* deliver.c */
/* Begin to ingest. False: it cannot, and has been answered. */
bool lmtp_data_begin(struct lmtp *l);
/* Take what has come of the mail data; true when it is complete. */
bool lmtp_data_feed(struct lmtp *l);
/* Hand the message to the writers. True: session_wake will come. */
bool lmtp_commit(struct lmtp *l);
/* All went well and few are to be answered: that is done on the reactor, as another turn over the pool would cost more. */
bool lmtp_commit_is_small(const struct lmtp *l);
/* One answer for each recipient. */
void lmtp_commit_answer(struct lmtp *l);

/* trace.c - Return-Path and Received. */
void lmtp_trace(const struct lmtp *l, uint64_t now_us, struct buf *out);
/* The transaction's name in traces, logs and answers: "7f3a-2". */
#define LMTP_ID_MAX 40
void lmtp_id(const struct lmtp *l, char out[LMTP_ID_MAX]);

#endif
