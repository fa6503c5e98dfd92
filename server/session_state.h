/* session_state - the inside of a session, for the two files that make it: session.c (its life) and session_api.c (what
 * protocols call). */
#ifndef RESTANTE_SERVER_SESSION_STATE_H
#define RESTANTE_SERVER_SESSION_STATE_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "server/core.h"
#include "server/session_core.h"
#include "server/stream.h"

enum sess_state {
	SESS_HANDSHAKE,         /* TLS is being set up; then greet or advance */
	SESS_GREET,
	SESS_READ,              /* between commands: reads, or sleeps until input or a notification */
	SESS_ADVANCE,           /* the protocol looks at its input */
	SESS_STEP,              /* a step is to be handed to the pool */
	SESS_WORK,              /* a step is on the pool: nothing of the session is ours */
	SESS_PARKED,            /* a step said WAIT: nothing happens before session_wake */
	SESS_DELAY,             /* session_delay: a deadline stands before the output */
	SESS_FLUSH,             /* output goes out; then s->after */
	SESS_LINGER,            /* said goodbye; what the peer still sends is thrown away until it closes */
	SESS_CLOSED,            /* handles are closing, cleanup is on the pool */
};

enum sess_after {
	AFTER_READ,
	AFTER_ADVANCE,
	AFTER_STEP,
	AFTER_STARTTLS,
	AFTER_COMPRESS,
	AFTER_PLAIN,
	AFTER_CLOSE,
};

/* session_wake may come before or after the step that said WAIT has returned. */
enum sess_wake {
	WAKE_NONE,
	WAKE_AWAITED,
	WAKE_CAME,
};

/* What other threads say: bits of s->post. */
enum sess_event {
	EVENT_WAKE = 1 << 0,
	EVENT_CHANGED = 1 << 1,
	EVENT_RUN = 1 << 2,     /* the session let others go first */
};

struct session {
	struct session         *prev, *next;    /* on its reactor */
	struct reactor         *reactor;
	struct server          *srv;
	struct settings        *settings;
	const struct protocol  *protocol;
	void                   *state;
	enum sess_state         st;
	enum sess_after         after;
	unsigned                turns;          /* commands in a row without letting others go first */

	struct stream           stream;
	uv_poll_t               poll;
	int                     polled;         /* events asked for, 0: stopped */
	uv_work_t               work;
	enum step_result        result;
	enum sess_state         woken;          /* where session_wake leads: SESS_STEP or SESS_ADVANCE */
	bool                    owes_answer;    /* of STEP_WAIT_ADVANCE: not even a shutdown comes before it */
	struct wheel_node       timer;
	struct wheel_node       rest;           /* a compressed session that is silent gives memory back */
	uint32_t                timeout_ms;
	uint32_t                delay_ms;       /* session_delay, until the next flush */

	struct buf              in, out;
	size_t                  out_at;         /* bytes of `out` that are sent */
	size_t                  partial;        /* of a command that was not complete when we last waited for input */
	bool                    eof;
	bool                    greeted;
	bool                    stopping;

	struct post             post;
	atomic_int              wake;           /* enum sess_wake */
	struct watcher          watcher;
	bool                    changed;        /* EVENT_CHANGED came and advance has not been called since */
	bool                    notified;       /* for session_take_notified */

	uint64_t                id;
	struct peer_key         key;
	bool                    is_unix;
	bool                    loopback;
	char                    peer[INET6_ADDRSTRLEN];
	char                   *user;
	unsigned                bad_commands;
	const char             *ended;          /* why, for the log */
	uint64_t                began_ms;
	uint64_t                bytes_in, bytes_out;
};

#endif
