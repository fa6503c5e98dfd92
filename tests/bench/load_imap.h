/* load_imap - commands and their answers, of one IMAP session. Only what the modes need is
 * understood: the tagged line, the numbers of EXISTS, UIDVALIDITY, UIDNEXT and HIGHESTMODSEQ,
 * capabilities, and where literals are.
 */
#ifndef RESTANTE_BENCH_LOAD_IMAP_H
#define RESTANTE_BENCH_LOAD_IMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/bench/load_conn.h"

struct imap {
	struct conn *conn;
	unsigned     tag;
	char         capabilities[2048];        /* the last that were said; " NAME NAME " */
	bool         logged_in_capabilities;    /* they were said after LOGIN */
	uint64_t     exists, uid_validity, uid_next, modseq;    /* of the selected mailbox */
	uint64_t     fetched;                   /* FETCH responses, since imap_send */
	uint64_t     expunged;                  /* EXPUNGE responses, since imap_send */
	uint64_t     literals, literal_bytes;   /* since imap_send */
	uint64_t bytes; /* of the answers, about: lines and literals; since imap_send */
	/* Called, where set, for each untagged response: its octets up to the first literal. */
	void       (*on_line)(void *arg, const char *line, size_t len);
	/* Called, where set, for each literal; must take all its octets from conn. */
	void       (*on_literal)(void *arg, struct conn *c, uint64_t len);
	void        *arg;
};

/* Read the greeting of im->conn and log in. */
void imap_login(struct imap *im, const char *user, const char *password);
void imap_logout(struct imap *im);
void imap_close(struct imap *im);

/* Send a command without its tag and CRLF. */
void imap_send(struct imap *im, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Collect the tag and the command's beginning only; for commands with literals. */
void imap_start(struct imap *im, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Read up to the tagged line, which must say OK. */
void imap_wait(struct imap *im);
/* Both. */
void imap_command(struct imap *im, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same; false if the server says NO. */
bool imap_try(struct imap *im, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Read up to the continuation request. */
void imap_wait_plus(struct imap *im);
/* Read one untagged response. */
void imap_response(struct imap *im);

/* Whether the server says that it has this capability; asks it where the login did not tell. */
bool imap_can(struct imap *im, const char *capability);
/* A literal behind what was collected, without waiting for its continuation where the server is
 * known to allow that: call imap_can once before the command. */
void imap_put_literal(struct imap *im, const char *data, size_t len);

void imap_select(struct imap *im, const char *mailbox);
/* What stands before the names of the user's own mailboxes besides INBOX; `prefix` has room for 64
 * octets. */
void imap_prefix(struct imap *im, char *prefix);

#endif
