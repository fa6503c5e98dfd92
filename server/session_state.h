/* session_state - the inside of a session, for the files that make it: session.c (its life), session_begin.c,
 * session_end.c, session_peer.c and session_api.c (what protocols call). */
#ifndef RESTANTE_SERVER_SESSION_STATE_H
#define RESTANTE_SERVER_SESSION_STATE_H

#include <netinet/in.h>
#include <stdatomic.h>

#include "server/core.h"
#include "server/proxy_protocol.h"
#include "server/refusal.h"
#include "server/registry.h"
#include "server/session_core.h"
#include "server/stream.h"

enum sess_state {
	SESS_PROXY,             /* the header of the proxy is awaited */
	SESS_HANDSHAKE,         /* TLS is being set up; then greet or advance */
	SESS_GREET,
	SESS_READ,              /* between commands: reads, or sleeps until input or a notification */
	SESS_ADVANCE,           /* the protocol looks at its input */
	SESS_STEP,              /* a step is to be handed to the pool */
	SESS_WORK,              /* a step is on the pool, or said WAIT: nothing of the session is ours */
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
	EVENT_STEPPED = 1 << 0, /* the step is over, as s->result says: the session is ours again */
	EVENT_CHANGED = 1 << 1,
	EVENT_RUN = 1 << 2,     /* the session let others go first */
	EVENT_END = 1 << 3,     /* it is to end: s->ordered says why */
	EVENT_CLEANED = 1 << 4, /* the last of it */
};

/* A range of the output that goes into the compressed stream as it is. */
struct splice {
	size_t from, to;
};
#define SPLICES_MAX 64u

struct output {
	struct buf     bytes;
	size_t         at;              /* so many of them are sent */
	struct splice *splices;         /* in order; SPLICES_MAX or NULL */
	unsigned       splice, splice_count;    /* the next; how many */
};

struct session {
	struct session         *prev, *next;    /* on its reactor */
	struct reactor         *reactor;
	struct server          *srv;
	struct settings        *settings;
	const struct protocol  *protocol;
	enum conf_listen_certificates client_certificates;      /* of the listener */
	void                   *state;
	enum sess_state         st;
	enum sess_after         after;
	unsigned                turns;          /* commands in a row without letting others go first */

	struct stream           stream;
	uv_poll_t               poll;
	int                     polled;         /* events asked for, 0: stopped */
	struct pool_job         job;
	enum step_result        result;
	bool                    owes_answer;    /* of STEP_WAIT_ADVANCE: not even a shutdown comes before it */
	struct wheel_node       timer;
	struct wheel_node       rest;           /* a compressed session that is silent gives memory back */
	struct spare            spare;          /* session_sleep.c */
	uint32_t                timeout_ms;
	/* session_progress.c: the peer's time for the command that comes and for taking what we say. */
	uint64_t                in_left_ms, out_left_ms;
	uint64_t                waits_since_ms, stalls_since_ms;
	enum session_awaits     awaits;         /* while `waits` */
	bool                    waits, stalls;
	uint32_t                delay_ms;       /* session_delay, until the next flush */
	uint64_t                step_since_ms;  /* of the last step */

	struct buf              in;
	struct output           out, sending;   /* what the protocol fills, and what it said before */
	size_t                  moved_behind;   /* octets sent while the step runs */
	bool                    step_sends;     /* SESS_WORK: nothing was left to send, so the stream is the step's */
	uint64_t                held;           /* as last weighed, and how it counts */
	bool                    held_as_stranger;
	bool                    eof;
	bool                    greeted;
	bool                    stopping;
	enum session_end        stop_as;        /* while stopping: what to say */

	struct post             post;
	atomic_int              wake;           /* enum sess_wake */
	struct watcher          watcher;
	bool                    changed;        /* EVENT_CHANGED came and advance has not been called since */
	bool                    notified;       /* for session_take_notified */

	/* What other threads look at through the registry. */
	struct member           member;
	bool                    is_member;
	atomic_int              ordered;        /* enum session_end, of EVENT_END */
	_Atomic(const char *)   activity;
	_Atomic(const char *)   tls_version;
	atomic_uint_least64_t   mailbox;        /* watched */
	atomic_uint_least64_t   bytes_in, bytes_out;
	char                    mechanism[REGISTRY_MECHANISM_MAX + 1];  /* written while the member is nobody's */

	uint64_t                id;
	struct peer_key         key;
	bool                    is_unix;
	bool                    loopback;
	bool                    proxied;        /* by a listener that proxies speak to */
	enum peers_kind         kind;           /* as which it is counted in the server's peers */
	bool                    counted;        /* `key` is counted there, too */
	enum refusal            refused;        /* else: it is only told so, by refused_until_ms */
	uint64_t                refused_until_ms;
	bool                    tls_first;
	char                    peer[INET6_ADDRSTRLEN];
	char                   *user;
	unsigned                bad_commands;
	const char             *ended;          /* why, for the log */
	uint64_t                began_ms, began_us;     /* the same moment of both clocks */
};

#define SESSION_BYE_MS     10000u       /* to take our last words */
#define SESSION_ORDERED_MS 400u         /* the same for a session that must end within a second */

/* ---- session.c: reactor ---- */

/* Whose connection it is is known: the protocol may begin. */
void session_open(struct session *s);
/* From now on it is one that is only told why it is one too many. */
void session_refuse(struct session *s, enum refusal why);
/* Go on from s->st as far as it goes. */
void session_run(struct session *s);
/* The protocol's farewell, then the end; `why` is for the log. */
void session_bye(struct session *s, enum session_end end, const char *why);
void session_deadline(struct session *s, uint32_t ms);
uint32_t session_handshake_ms(const struct session *s);
void session_on_post(struct post *p, unsigned events);
void session_on_changed(struct watcher *w);     /* any thread */

/* ---- session_output.c: reactor, a step may be under way ---- */

enum sent {
	SENT_ALL,               /* of s->sending, and it is flushed */
	SENT_SHARE,             /* so much that others come first now */
	SENT_WAITS,             /* *want says for what */
	SENT_LOST,
};

/* *moved grows by the octets that went. */
enum sent session_send(struct session *s, size_t *moved, enum stream_result *want);
/* No step under way. If all is sent, what the protocol has filled is to be sent now. True: it is, and there is
 * something. */
bool session_turn_output(struct session *s);
/* Pool, behind a step whose stream it is: send what it has made. False: not all of it, the reactor is to go on. */
bool session_send_step(struct session *s);
void session_init_output(struct session *s);
/* Give the memory back; nothing is left to send. */
void session_drop_output(struct session *s);
uint64_t session_output_held(const struct session *s);

/* ---- session_progress.c: the session's owner; session_await and session_stalled the reactor ---- */

/* The peer has all its time again: a new command may begin. */
void session_begin_command(struct session *s);
/* Input is waited for from now on, with a deadline; again after each session_heard. False: the time is over. */
bool session_await(struct session *s);
/* The waiting is over: n octets have come, 0: something else has happened. */
void session_heard(struct session *s, size_t n);
/* The socket takes no more: a deadline stands until session_moved. Harmless when repeated. False: the time is over. */
bool session_stalled(struct session *s);
/* So much of the output was taken. */
void session_moved(struct session *s, size_t n);

/* ---- session_memory.c: reactor, no step under way ---- */

/* False: it has grown and there is no room for that. */
bool session_weigh(struct session *s);
void session_weigh_nothing(struct session *s);

/* ---- session_sleep.c: reactor ---- */

/* All is said, and nothing is there to be read. */
void session_sleep(struct session *s);

/* ---- session_end.c: reactor ---- */

/* Closed and cleaned up: the end. */
void session_end(struct session *s);

/* No step under way. Idempotent. The session is freed later. */
void session_close(struct session *s, const char *why);
/* Once it is to end it ends, for the first reason. Where a client does not take what we say, it is cut off: at once in
 * the middle of an answer, which has no place for a farewell. */
void session_order_end(struct session *s, enum session_end why);
/* For the log: why s->stop_as. */
const char *session_stop_text(const struct session *s);

/* ---- session_peer.c ---- */

/* `ss` NULL: a unix socket. */
void session_set_peer(struct session *s, const struct sockaddr_storage *ss);
void session_join_registry(struct session *s);
/* It was let in and is one too many: session_refuse. False: those that are told so are too many,
 * too. Logs. */
bool session_turn_away(struct session *s, enum refusal why);
/* Read the header of the proxy as far as it has come, and not a byte more. PROXY_OK: the session is
 * its client's now. */
enum proxy_result session_read_proxy(struct session *s);

#endif
