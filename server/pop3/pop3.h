/* pop3 - one POP3 session [RFC 1939, 2449, 2595, 3206, 5034, 6856]: its state and what its commands share.
 *
 * A session is a snapshot: the maildrop is INBOX as it was at login, kept as (UID, size) pairs. Deletions happen at
 * QUIT, as one change; a connection that breaks deletes nothing. Several sessions on one maildrop may be open: a
 * message that another one expunged is still served from its tombstone.
 */
#ifndef RESTANTE_SERVER_POP3_POP3_H
#define RESTANTE_SERVER_POP3_POP3_H

#include "lib/conf.h"
#include "lib/mime.h"
#include "lib/secret.h"
#include "server/login.h"
#include "server/pop3/texts.h"
#include "server/session.h"

#define POP3_LINE_MAX     255u          /* octets of a command with its CRLF [RFC 2449 s4] */
#define POP3_RESPONSE_MAX 12544u        /* of a line before login: base64 of SASL_MESSAGE_MAX, also behind
                                         * AUTH [RFC 5034 s4] */
#define POP3_UIDL_SIZE    17u           /* of a unique-id of our own, with its NUL */
#define POP3_ARENA_MAX    (4u << 20)    /* a page of rows, or one message's chunk table */

enum pop3_state {               /* [RFC 1939 s3]; bits, so that the table can name both */
	POP3_AUTHORIZATION = 1 << 0,
	POP3_TRANSACTION = 1 << 1,
	POP3_ANY_STATE = POP3_AUTHORIZATION | POP3_TRANSACTION,
};

struct pop3_message {
	uint64_t size;
	mail_uid uid;
	bool     deleted;
	char    *uidl;                  /* taken over from another server; NULL: our own. Heap */
};

struct pop3_maildrop {
	struct pop3_message *messages;  /* heap */
	uint32_t             count;
	uint32_t             cap;
	uint32_t             uidvalidity;
	mail_uid             uidnext;
	uint32_t             deleted;
	uint64_t             size;      /* of those not deleted */
	mailbox_id           mailbox;
	bool                 loaded;    /* all messages are; then come the unique-ids, */
	mail_uid             uidl_from; /* from this UID on */
	bool                 uidl_done;
};

/* RETR and TOP: where the message being sent stands. */
struct pop3_transfer {
	struct blob_place place;        /* its chunks lie in the session's arena */
	uint64_t          at;           /* octets of the message taken so far */
	uint64_t          lines_left;   /* of the body, for TOP; UINT64_MAX for RETR */
	bool              in_body;
	bool              line_start;   /* the next octet begins a line */
	bool              line_has_text;        /* TOP: the line so far is not empty */
	bool              started;
	bool              said;         /* so far it was made ahead, and is to go out first */
	bool              answered;     /* RETR: what is left to do is to read ahead */
	bool              over;
	const struct mime_part *parts;  /* without UTF8: whose headers may have to be put into ASCII; in the arena */
	uint32_t          nparts;
	uint32_t          part;         /* the next of them */
};

/* Answers to the RETRs that are about to come: ahead.c */
#define POP3_AHEAD_MAX   16u
#define POP3_AHEAD_BYTES (1u << 20)     /* dots are doubled, and headers put into ASCII */
struct pop3_ahead {
	uint32_t   last;                /* the message that RETR has asked for */
	bool       follows;             /* it came behind the one before it */
	uint32_t   row;                 /* the first message of those that are here, in order */
	uint32_t   count;
	struct {
		uint64_t size;          /* of the message */
		size_t   end;           /* of its answer in `bytes` */
	} of[POP3_AHEAD_MAX];
	struct buf bytes;
	bool       wanted;              /* RETR has come since we last looked what is next */
	bool       is_long;             /* `row` alone is here, as far as the transfer says */
	struct pop3_transfer transfer;
	struct arena arena;             /* of its chunks and parts */
};

struct pop3_command;

struct pop3 {
	struct session       *s;
	enum pop3_state       state;
	struct arena          arena;            /* of the command */
	const struct pop3_command *cmd;         /* whose step is under way */
	bool                  skip_line;        /* the rest of an overlong line is thrown away */
	bool                  in_auth;          /* lines are SASL messages */
	bool                  closing;          /* QUIT: end once its answer is out */
	uint64_t              opened_ms;        /* for limits.auth_timeout: until login, talking does not help */

	struct slice          user_name;        /* USER's, heap */
	struct secret         password;         /* PASS's, or a message of SASL as it was sent */
	struct slice          mechanism;        /* AUTH's, in the arena */
	bool                  has_initial;      /* AUTH came with an initial response */
	struct login          login;
	bool                  identified;       /* credentials are good: the maildrop is being loaded */

	struct volume        *volume;
	account_id            account;
	struct pop3_maildrop  drop;
	bool                  read_only;        /* no message may be marked or go */
	bool                  utf8;             /* the client has said UTF8 [RFC 6856 s2.1] */
	const struct pop3_language *lang;       /* of what is said to people */
	uint32_t              row;              /* LIST, UIDL: the next to tell; RETR, TOP: index of the message */
	struct pop3_transfer  transfer;
	struct pop3_ahead     ahead;
	struct change        *change;
};

struct pop3_command {
	const char *name;               /* upper case */
	unsigned    states;             /* enum pop3_state bits */
	bool        keep_spaces;        /* spaces around the argument belong to it */
	/* Reactor: `arg` is what stands behind the name and one space, `has_arg` whether there is any. Answers, or
	 * leaves the work to step. Reads what is in memory at most (lib/nowait.h). */
	enum session_next (*start)(struct pop3 *p, struct slice arg, bool has_arg);
	/* Pool; NULL if start does all. */
	enum step_result  (*step)(struct pop3 *p);
};

const struct pop3_command *pop3_command_find(struct slice name);

/* One-line answers, in the session's language (texts.h); `fmt` may begin with a response code. They return NEXT_AGAIN,
 * to be returned by start. */
enum session_next pop3_ok(struct pop3 *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
enum session_next pop3_err(struct pop3 *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* -ERR with a text that has no conversions. */
enum session_next pop3_refuse(struct pop3 *p, const char *text);
/* Log what an operator needs, answer "-ERR [SYS/TEMP] ...", or [SYS/PERM] where it will not get better
 * [RFC 3206 s4]. */
void pop3_internal_error(struct pop3 *p, const char *ev, const struct err *e);

/* capa.c: CAPA, UTF8, LANG */
enum session_next pop3_start_capa(struct pop3 *p, struct slice arg, bool has_arg);
enum session_next pop3_start_utf8(struct pop3 *p, struct slice arg, bool has_arg);
enum session_next pop3_start_lang(struct pop3 *p, struct slice arg, bool has_arg);

/* login.c: USER, PASS, AUTH, STLS */
enum session_next pop3_start_user(struct pop3 *p, struct slice arg, bool has_arg);
enum session_next pop3_start_pass(struct pop3 *p, struct slice arg, bool has_arg);
enum session_next pop3_start_auth(struct pop3 *p, struct slice arg, bool has_arg);
enum session_next pop3_start_stls(struct pop3 *p, struct slice arg, bool has_arg);
enum session_next pop3_auth_line(struct pop3 *p, struct slice line);
void              pop3_auth_end(struct pop3 *p);        /* the exchange, if there is one, is over */
enum step_result  pop3_step_pass(struct pop3 *p);
enum step_result  pop3_step_auth(struct pop3 *p);

/* maildrop.c */
/* Load the snapshot piece by piece: STEP_MORE until all is there, then STEP_DONE with the answer written. Pool. */
enum step_result pop3_maildrop_load(struct pop3 *p);
/* Message `number` (from 1) that is not deleted, or NULL with -ERR written. */
struct pop3_message *pop3_maildrop_get(struct pop3 *p, struct slice number);
/* commands.c: the unique-id that a message has unless it brought one along. */
void pop3_uidl_own(const struct pop3_maildrop *drop, mail_uid uid, char out[POP3_UIDL_SIZE]);
void pop3_maildrop_free(struct pop3_maildrop *drop);
enum session_next pop3_start_quit(struct pop3 *p, struct slice arg, bool has_arg);
enum step_result  pop3_step_quit(struct pop3 *p);

/* retr.c: RETR, TOP */
enum session_next pop3_start_retr(struct pop3 *p, struct slice arg, bool has_arg);
enum session_next pop3_start_top(struct pop3 *p, struct slice arg, bool has_arg);
enum step_result  pop3_step_retr(struct pop3 *p);
/* RETR of a message begins, which row describes as pop3_find_message found it; what it needs lies in the arena. */
MUST_USE enum rc  pop3_transfer_open(const struct pop3 *p, struct pop3_transfer *t, const struct message_row *row,
                                     struct arena *a, struct err *e);
/* Headers that are still to be said may take long to put into ASCII: not for a reactor. */
bool              pop3_transfer_is_slow(const struct pop3_transfer *t);
/* Its next 64 KiB or less, stuffed. Pool; reactor, without waiting. */
MUST_USE enum rc  pop3_transfer_piece(const struct pop3 *p, struct pop3_transfer *t, struct buf *out, struct err *e);
void              pop3_transfer_end(const struct pop3_transfer *t, struct buf *out);
/* All of a message as RETR says it behind +OK. Likewise; p->transfer is used for it. */
MUST_USE enum rc  pop3_put_message(struct pop3 *p, const struct message_row *row, struct buf *out, struct err *e);
MUST_USE enum rc  pop3_find_message(const struct pop3 *p, uint32_t row, struct arena *a, struct message_row **rows, size_t *n,
                                    struct err *e);
MUST_USE enum rc  pop3_verify_begin(const struct pop3 *p, const struct blob_place *place, struct err *e);

/* ahead.c */
/* RETR asks for p->row. */
void pop3_ahead_note(struct pop3 *p);
/* Its answer is here and was written. Reactor. */
bool pop3_ahead_take(struct pop3 *p);
/* Are there messages worth reading behind p->row? */
bool pop3_ahead_is_due(const struct pop3 *p);
void pop3_ahead_read(struct pop3 *p);           /* pool; reactor, without waiting */
void pop3_ahead_drop(struct pop3 *p);

/* foresee.c: reactor */
/* protocol.foresee */
bool pop3_foresee(void *state);
/* As pop3_ahead_take, of a long message. */
bool pop3_foreseen_take(struct pop3 *p);
/* The beginning of its answer is here and was written; p->transfer goes on behind it. */
bool pop3_foreseen_begin(struct pop3 *p);

#endif
