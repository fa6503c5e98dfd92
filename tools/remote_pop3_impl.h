/* remote_pop3_impl - what the parts of the POP3 client share. Of remote_pop3*.c only.
 *
 * One connection: commands and the login (remote_pop3_login.c), the list of messages (remote_pop3_list.c), their dates
 * (remote_pop3_date.c), their texts (remote_pop3.c). A connection that failed is `broken` until pop3_reconnect makes it
 * anew. One thread.
 */
#ifndef RESTANTE_TOOLS_REMOTE_POP3_IMPL_H
#define RESTANTE_TOOLS_REMOTE_POP3_IMPL_H

#include "tools/remote_conn.h"
#include "tools/remote_pop3.h"

#define POP3_MESSAGES_MAX 1000000u
#define POP3_BREAKS_MAX   2u

struct drop {                           /* a message */
	uint32_t     number;            /* in this session, 0: not there any more */
	uint64_t     size;
	struct slice uidl;              /* "" if the server has none */
	struct mail_date date;
};

struct pop3 {
	const struct remote_options  *remote;
	const struct import_options  *options;
	char                          server[REMOTE_HOST_MAX + 20];
	struct remote_conn           *conn;
	bool                          broken, safe, warned;
	struct {
		bool stls, user, pipelining, top, utf8;
		bool known;             /* the server has CAPA */
		char mechanisms[256];
	} can;
	bool                          no_top;   /* whatever it says: its answers do not end */
	bool                          top_worked;     /* -ERR is about one message, then */
	struct arena                  arena;    /* of the list */
	struct drop                  *drops;
	size_t                        count;
	size_t                        at;       /* the message told */
	size_t                        dated;    /* `date` is known of those before */
	size_t                        asked;    /* RETR was sent for those before */
	size_t                        answered; /* and read to the end for those before */
	bool                          told_mailbox, told;     /* the mailbox; a message */
	bool                          reading, done;
	enum pop3_text                state;
	uint64_t                      got;      /* octets of the text given out */
	unsigned                      ahead, breaks;
	char                          label[40];
};

/* ---- remote_pop3_login.c ---- */

/* The connection is of no further use; returns e->code. */
enum rc pop3_broken(struct pop3 *p, struct err *e);
/* Send a command, wiped behind. */
MUST_USE enum rc pop3_say(struct pop3 *p, const char *word, struct slice argument, struct err *e);
/* A status line. RC_DENIED: "-ERR", whose text is the error's. */
MUST_USE enum rc pop3_status(struct pop3 *p, struct err *e);
/* A line of a list. *more is false at its end. */
MUST_USE enum rc pop3_list_line(struct pop3 *p, struct slice *line, bool *more, struct err *e);
void pop3_disconnect(struct pop3 *p);
/* A new connection, logged in. Errors name the server. */
MUST_USE enum rc pop3_connect(struct pop3 *p, struct err *e);

/* ---- remote_pop3_list.c ---- */

/* Fills p->drops. Errors name the server. */
MUST_USE enum rc pop3_list(struct pop3 *p, struct err *e);
/* On a new connection: the numbers that the messages have now, found by their UIDLs. */
MUST_USE enum rc pop3_list_again(struct pop3 *p, struct err *e);

/* ---- remote_pop3_date.c ---- */

/* The date of the message told, and of some behind it, if need be on a new connection. Errors name the server. */
MUST_USE enum rc pop3_know_date(struct pop3 *p, struct err *e);

/* ---- remote_pop3.c ---- */

/* A connection as good as the one before. RC_CANCELLED: there is none to be had. */
MUST_USE enum rc pop3_reconnect(struct pop3 *p, struct err *e);
/* Read over what was asked for, and not read, of the messages before `end`. */
MUST_USE enum rc pop3_skip_answers(struct pop3 *p, size_t end, struct err *e);

#endif
