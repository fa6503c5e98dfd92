/* session - what a protocol (imap/, pop3/, lmtp/) sees of one connection.
 *
 * The core (reactor, stream, session) owns sockets, TLS, timers and threads; a protocol is a table of functions over a
 * state of its own and two buffers: input to consume, output to fill. The contract of threads: at any moment a session
 * has one owner. `advance` runs on the reactor and never blocks: no file I/O, no SQLite, no hashing, no large loops.
 * Everything else is a step on the pool: `step` fills at most about SESSION_OUT_SOFT bytes of output and says MORE, DONE
 * or WAIT. While a step is under way the reactor touches neither buffers nor state, and reads nothing from the socket.
 *
 *     bytes arrive -> advance -> NEXT_STEP -> step ... step -> advance -> NEXT_INPUT (idle)
 *
 * All session_* functions may be called from advance and step; session_wake alone from any thread.
 */
#ifndef RESTANTE_SERVER_SESSION_H
#define RESTANTE_SERVER_SESSION_H

#include "index/volume.h"
#include "lib/buf.h"
#include "lib/logging.h"

struct session;
struct server;
struct conf;

#define SESSION_IN_MAX   65536u         /* bytes of input kept at most: a protocol consumes or refuses before */
#define SESSION_OUT_SOFT 65536u         /* a step stops here and says MORE */
#define SESSION_OUT_MAX  (8u << 20)     /* no single piece of answer may be larger */
#define SESSION_DELAY_MAX_MS 10000u     /* of session_delay_login */

enum session_next {
	NEXT_INPUT,             /* wants more input, or a notification: nothing to do now */
	NEXT_STEP,              /* run step on the pool */
	NEXT_AGAIN,             /* answered into the output: flush as far as the socket takes it, then call advance again */
	NEXT_STARTTLS,          /* flush in clear, throw away all input that came before the handshake, do it, call advance */
	NEXT_COMPRESS,          /* flush, deflate both directions from the next octet on (what is in the input came deflated),
				 * call advance [RFC 4978] */
	NEXT_PLAIN,             /* flush, end the compression of both directions, call advance; there must be no input
				 * behind the command, as it came compressed: else the connection is closed */
	NEXT_CLOSE,             /* flush and close */
};

enum step_result {
	STEP_MORE,              /* run step again when the output has drained */
	STEP_DONE,              /* command over: flush, then advance */
	STEP_WAIT,              /* run step again after session_wake (which may already have come) */
	STEP_WAIT_ADVANCE,      /* the same, but then call advance: what is left to do needs no pool */
	STEP_CLOSE,             /* flush and close */
};

enum session_end {
	END_TIMEOUT,
	END_SHUTDOWN,           /* SIGTERM */
	END_OVERFLOW,           /* the input buffer is full and advance wants more */
};

struct protocol {
	const char *name;                       /* "imap": in logs */
	uint8_t     who;                        /* enum frame_protocol */
	/* Reactor. The session's protocol state, or NULL without memory. */
	void *(*open)(struct session *s);
	/* Reactor, once, when nothing of the session is under way any more; the peer is gone. Frees state; must not block.
	 * A clean-up that needs I/O (ingest_abort) is done by `cleanup`. */
	void (*close)(void *state);
	/* Pool, once, before close; may be NULL. */
	void (*cleanup)(void *state);
	/* Reactor: write the greeting. Called after the TLS handshake on implicit-TLS listeners. */
	enum session_next (*greet)(void *state);
	/* Reactor: look at input and at session_take_notified, decide what comes next. */
	enum session_next (*advance)(void *state);
	/* Pool. */
	enum step_result (*step)(void *state);
	/* Reactor, no step under way: write the protocol's farewell; the core flushes and closes. */
	void (*bye)(void *state, enum session_end why);
	const char *alpn;                       /* its name in TLS [RFC 7301]; NULL: it has none, any offer is passed over */
};

extern const struct protocol imap_protocol;
extern const struct protocol pop3_protocol;
extern const struct protocol lmtp_protocol;

/* The bytes that came and are not consumed yet (buf_consume), and the bytes to send. Memory is given back when idle. */
struct buf *session_in(struct session *s);
struct buf *session_out(struct session *s);
/* The output has reached its soft limit: say STEP_MORE. */
bool session_out_full(const struct session *s);
/* The peer has closed its sending side or is gone: no more input will come. */
bool session_at_eof(const struct session *s);

uint64_t       session_id(const struct session *s);
const char    *session_peer(const struct session *s);          /* "192.0.2.1", "unix" */
bool           session_is_unix(const struct session *s);
bool           session_has_tls(const struct session *s);       /* TLS is up */
bool           session_is_compressed(const struct session *s);
bool           session_can_starttls(const struct session *s);  /* a certificate is configured and TLS is not up */
/* May PLAIN and LOGIN be used here: under TLS, or loopback with allow_plaintext_on_loopback. */
bool           session_plaintext_allowed(const struct session *s);
struct server *session_server(const struct session *s);
/* Configuration as it was when the session began; unchanged by SIGHUP. */
const struct conf *session_conf(const struct session *s);

/* Close (with bye) when neither input nor output moved for so long, or one command that advance leaves in the input was
 * not complete by then. 0: the configured default. Counts only while waiting for the peer, not during steps. */
void session_set_timeout(struct session *s, uint32_t ms);

/* What is in the output, and all that comes after, goes out only so many milliseconds after this advance or step has
 * returned (rounded up to a tick of the reactor's wheel, half a second). Nothing is read meanwhile and no thread is held;
 * a shutdown cuts it short. The last call counts. */
void session_delay(struct session *s, uint32_t ms);
/* The delay that slows guessing of passwords: limits.auth_delay, doubled with every failed login of this connection, at
 * most SESSION_DELAY_MAX_MS. `failures` counts the present one. */
void session_delay_login(struct session *s, uint64_t failures);

/* The one mailbox whose changes wake this session; watch before the first read of it. A notification that comes makes
 * the core call advance (once no step is under way) with session_take_notified true once. */
void session_watch(struct session *s, struct volume *v, mailbox_id mailbox);
void session_unwatch(struct session *s);
bool session_take_notified(struct session *s);

/* Any thread: what a step said STEP_WAIT or STEP_WAIT_ADVANCE for has come. Must be called exactly once for each, before
 * or after the step returns; the session lives until then. Typically from struct change's done. */
void session_wake(struct session *s);

/* Name and account for logs; the core adds sid, peer and protocol to lines begun with session_log. */
void session_set_user(struct session *s, struct slice name);
void session_log(struct session *s, struct logline *l, enum log_level level, const char *ev);

/* Count a protocol error; true when there were so many that the session should end. */
bool session_bad_command(struct session *s);
/* A command was understood: the count begins anew. */
void session_good_command(struct session *s);

#endif
