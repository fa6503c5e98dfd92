/* load - what the parts of the load generator share: options, workers, modes.
 *
 * A run has one mode and so many workers, each a thread with a connection of its own and blocking
 * sockets. All begin (untimed), wait for each other, and then do operations until the run's number
 * or time is used up. Whatever a server answers wrongly ends the program at once (load_fail):
 * nothing is measured on wrong answers, and so nothing here returns an error.
 */
#ifndef RESTANTE_BENCH_LOAD_H
#define RESTANTE_BENCH_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/load_imap.h"
#include "tests/bench/load_mail.h"
#include "tests/bench/load_stock.h"

struct load_options {
	const char *host;
	const char *user;               /* %d in it: the connection's number modulo users */
	const char *password;
	const char *rcpt;               /* as user; what RCPT TO gets */
	const char *mailbox;
	const char *out;                /* directory that mode mail writes into, or NULL */
	int         port;
	int         lmtp_port;          /* 0: none */
	bool        tls, resume, compress, verify, bdat, wait, quickack;
	size_t      connections;
	size_t      threads;            /* as many, or less where the mode's sessions only wait */
	size_t      buffer;             /* of a connection */
	size_t      users;
	size_t      operations;         /* of all connections; 0: until `seconds` are over */
	double      seconds;
	size_t      recipients;         /* of one message */
	size_t      first;              /* number of the first generated message */
	size_t      largest;            /* fill: the octets of one more, large message; 0: none */
	struct mail_recipe recipe;
	char      **args;               /* of the mode; ends with NULL */
};

struct load_worker {
	const struct load_options *opt;
	size_t   number;                /* 0, 1 ... of the connections */
	size_t   turn;                  /* the operation's number in this worker */
	size_t   job;                   /* ... and in the whole run */
	/* What is counted. */
	uint64_t bytes;
	uint64_t messages;
	uint64_t verified;
	uint64_t matches;               /* of the last search */
	uint64_t exists;                /* messages in the mailbox */
	uint64_t packed;                /* mode mail: octets of the messages, each deflated */
	uint64_t handshakes, resumed;   /* of TLS */
	float *samples; /* milliseconds, of all operations that called load_sample */
	size_t   sample_count, sample_max;
	double   ended;                 /* when its last operation was over */
	/* What the modes work with. */
	struct imap  imap;
	struct imap  second;            /* another session */
	struct conn *conn;              /* LMTP or POP3 */
	struct mail  mail;
	struct stock stock;
	void        *state;             /* the mode's own; freed at the end */
};

struct load_mode {
	const char *name;
	const char *args;               /* for the usage text */
	size_t      arg_count;          /* at least so many */
	void      (*begin)(struct load_worker *w);      /* NULL: nothing to do */
	void      (*op)(struct load_worker *w);
	void      (*end)(struct load_worker *w);        /* NULL: nothing to do */
	bool partly; /* an operation has untimed parts: seconds are those of the samples alone */
	size_t      buffer;             /* of its connections; 0: CONN_LARGE */
	bool        hold;               /* the sessions stay until SIGTERM */
};

_Noreturn void load_fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* calloc and realloc that end the program when there is no memory. */
void *load_alloc(size_t count, size_t size);
void *load_realloc(void *p, size_t count, size_t size);

double load_now_ms(void);
/* An operation began at `since` and ends now. */
void load_sample(struct load_worker *w, double since);
bool load_stopped(void);                /* SIGTERM or SIGINT came */

/* `pattern` with %d replaced; valid until the thread's next call. */
const char *load_name(const char *pattern, size_t number);
size_t load_arg_number(const struct load_options *opt, size_t arg, size_t otherwise);

/* A connection for the worker: connected, TLS, nothing said yet. */
struct conn *load_connect(struct load_worker *w, size_t number, int port, bool tls);
/* An IMAP session of user `number`, logged in, compressed if so asked. */
void load_login(struct load_worker *w, struct imap *im, size_t number);

/* The modes' functions, by file. */
void lmtp_begin(struct load_worker *w);
void fill_begin(struct load_worker *w);
void lmtp_op(struct load_worker *w);
void lmtp_end(struct load_worker *w);
void fill_op(struct load_worker *w);
void lmtp_open(struct load_worker *w, int port);
/* Deliver w->mail to user `number` and the ones behind; returns when all have said 250. */
void lmtp_deliver(struct load_worker *w, size_t number, size_t recipients);

void session_begin_inbox(struct load_worker *w);        /* log in, SELECT the mailbox */
void session_end(struct load_worker *w);                /* LOGOUT */

void login_op(struct load_worker *w);
void select_op(struct load_worker *w);
void fetch_op(struct load_worker *w);
void bodies_op(struct load_worker *w);
void random_begin(struct load_worker *w);
void random_op(struct load_worker *w);
void random_end(struct load_worker *w);
void late_begin(struct load_worker *w);
void late_op(struct load_worker *w);
void pop3_op(struct load_worker *w);
void store_op(struct load_worker *w);
void store_end(struct load_worker *w);
void copy_op(struct load_worker *w);
void move_op(struct load_worker *w);
void expunge_op(struct load_worker *w);
void append_begin(struct load_worker *w);
void append_op(struct load_worker *w);
void multiappend_op(struct load_worker *w);
void search_op(struct load_worker *w);
void command_op(struct load_worker *w);
void qresync_begin(struct load_worker *w);
void qresync_op(struct load_worker *w);
void qresync_end(struct load_worker *w);
void session_begin(struct load_worker *w);
void session_op(struct load_worker *w);
void session_over(struct load_worker *w);
void idle_op(struct load_worker *w);
void idle_over(struct load_worker *w);                  /* when all have ended */
void exists_begin(struct load_worker *w);
void exists_op(struct load_worker *w);
void exists_end(struct load_worker *w);
void mail_begin(struct load_worker *w);
void mail_op(struct load_worker *w);
void mail_end(struct load_worker *w);

/* Append w->mail to the mailbox, with its date; most are seen. The command is sent, its answer to
 * be read. */
void append_send(struct load_worker *w, struct imap *im, const char *mailbox);

#endif
