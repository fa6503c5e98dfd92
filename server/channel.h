/* channel - what the supervisor and the server say to each other, descriptors included.
 *
 * A pair of SOCK_SEQPACKET sockets: a message arrives whole or not at all, so neither side ever waits for the rest of
 * one, and the end of either process is seen by the other. The server asks and is answered; the supervisor says nothing
 * of its own accord but by signals. Rejected: handing descriptors down by exec, as the server then could not be told
 * anew when a port that was in use is free; lines of text on a pipe, which cannot carry descriptors.
 */
#ifndef RESTANTE_SERVER_CHANNEL_H
#define RESTANTE_SERVER_CHANNEL_H

#include <limits.h>

#include "lib/err.h"

#define CHANNEL_FDS_MAX  250u           /* Linux allows 253 in one message */
#define CHANNEL_DATA_MAX 4096u

enum channel_kind {
	/* Questions of the server. */
	ASK_STARTED,            /* the configuration of the start: listeners and user; ANSWER_DONE with a descriptor */
	ASK_CURRENT,            /* the one in force; likewise */
	ASK_NEXT,               /* the one that SIGHUP has read; likewise */
	ASK_LISTENERS,          /* ANSWER_SOCKETS for each, then ANSWER_DONE with the control socket */
	ASK_CONTROL,            /* let the control socket listen, in the supervisor's name (SO_PEERCRED); ANSWER_DONE */
	ASK_FILE,               /* data: a path that the configuration names; ANSWER_DONE with a descriptor */
	/* What it tells without being answered. */
	TELL_READY,
	TELL_RELOADED,          /* what ASK_NEXT gave is in force */
	TELL_RELOAD_FAILED,     /* it is not */
	/* Answers. */
	ANSWER_SOCKETS,         /* data: number of the listener, uint32_t; its descriptors, or some of them */
	ANSWER_DONE,
	ANSWER_ERROR,           /* data: struct err */
};

_Static_assert(CHANNEL_DATA_MAX >= PATH_MAX && CHANNEL_DATA_MAX >= sizeof(struct err),
               "what is sent has room");

struct channel_message {
	enum channel_kind kind;
	size_t            len;
	uint8_t           data[CHANNEL_DATA_MAX];
	unsigned          fd_count;
	int               fds[CHANNEL_FDS_MAX];         /* the receiver's */
};

/* Both ends close on exec. */
MUST_USE enum rc channel_pair(int ends[2], struct err *e);
/* m->fds stay the caller's. RC_BUSY: `wait` is false, and the other side does not read. */
MUST_USE enum rc channel_send(int fd, const struct channel_message *m, bool wait, struct err *e);
/* RC_NOT_FOUND: the other side has ended. RC_BUSY: `wait` is false, and nothing is there. RC_SYNTAX: no message of
 * ours. On failure no descriptor is left open. */
MUST_USE enum rc channel_receive(int fd, struct channel_message *m, bool wait, struct err *e);
/* Close m->fds[first...]. */
void channel_close_fds(struct channel_message *m, unsigned first);

#endif
