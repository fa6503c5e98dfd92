/* session - what a protocol (imap/, pop3/, lmtp/) sees of one connection.
 *
 * The core (reactor, stream, session) owns sockets, TLS, timers and threads; a protocol is a table of functions over a
 * state of its own and two buffers: input to consume, output to fill. The contract of threads: at any moment a session
 * has one owner. `advance` runs on the reactor and never blocks: no hashing, no large loops, and of log and index at most
 * a little that is read without waiting (lib/nowait.h), which session_took_long tells of.
 * Everything else is a step on the pool: `step` fills at most about SESSION_OUT_SOFT bytes of output and says MORE,
 * DONE or WAIT. While a step is under way the reactor touches neither buffers nor state, and reads nothing
 * from the socket. Waking a thread of the pool and being woken by it costs more than most answers, so a step that is
 * short and need not wait is light: it runs on the reactor.
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
#define SESSION_BINDING_MAX 64u
#define SESSION_DELAY_MAX_MS 10000u     /* of session_delay_login */

enum session_next {
	NEXT_INPUT,             /* wants more input, or a notification: nothing to do now */
	NEXT_STEP,              /* run step on the pool */
	NEXT_AGAIN,             /* answered into the output: flush as far as the socket takes it, then
	                         * call advance again */
	NEXT_STARTTLS,          /* flush in clear, throw away all input that came before the handshake, do
	                         * it, call advance */
	NEXT_COMPRESS,          /* flush, deflate both directions from the next octet on (what is in the input came
	                         * deflated), call advance [RFC 4978] */
	NEXT_PLAIN,             /* flush, end the compression of both directions, call advance; there must be no input
				 * behind the command, as it came compressed: else the connection is closed */
	NEXT_CLOSE,             /* flush and close */
};

enum step_result {
	STEP_MORE,              /* run step again: once the output has gone out, or while it does and that before it has */
	STEP_DONE,              /* command over: flush, then advance */
	STEP_WAIT,              /* run step again after session_wake (which may already have come) */
	STEP_WAIT_ADVANCE,      /* the same, but then call advance: what is left to do needs no pool */
	STEP_CLOSE,             /* flush and close */
	STEP_POOL,              /* of a light one: run step again, on the pool; what it did is not repeated, or undone */
};

enum session_end {
	END_TIMEOUT,
	END_SHUTDOWN,           /* SIGTERM */
	END_OVERFLOW,           /* the input buffer is full and advance wants more */
	END_KICKED,             /* the admin ended it */
	END_MEMORY,             /* limits.memory or login_memory is passed */
	END_CHANGED,            /* the account's password or a credential is another, it is locked, deleted or moved */
};

/* What session_login came to. */
enum session_entry {
	ENTRY_OK,
	ENTRY_FULL,             /* the account has limits.max_connections_per_account already */
	ENTRY_CHANGED,          /* the account changed while its credentials were looked at: try again */
};

/* What the peer owes while we wait for input; limits.command_timeout and min_rate bound the last two. */
enum session_awaits {
	AWAITS_COMMAND,         /* nothing has begun: the session may be idle */
	AWAITS_REST,            /* of a command, a line, a short literal */
	AWAITS_DATA,            /* octets that may be many: of a message, or of what is thrown away */
};

struct protocol {
	const char *name;                       /* "imap": in logs */
	uint8_t     who;                        /* enum frame_protocol */
	/* Reactor. The session's protocol state, or NULL without memory. */
	void *(*open)(struct session *s);
	/* Reactor, once, when nothing of the session is under way any more; the peer is gone. Frees state; must not
	 * block. A clean-up that needs I/O (ingest_abort) is done by `cleanup`. */
	void (*close)(void *state);
	/* Pool, once, before close; may be NULL. */
	void (*cleanup)(void *state);
	/* Reactor, when all is over: has cleanup anything to do? NULL: always. */
	bool (*needs_cleanup)(const void *state);
	/* Reactor: write the greeting. Called after the TLS handshake on implicit-TLS listeners. */
	enum session_next (*greet)(void *state);
	/* Reactor: look at input and at session_take_notified, decide what comes next. */
	enum session_next (*advance)(void *state);
	/* Pool; reactor, or where session_wake is called, when `light` has said so. */
	enum step_result (*step)(void *state);
	/* Reactor, no step under way: write the protocol's farewell; the core flushes and closes. */
	void (*bye)(void *state, enum session_end why);
	const char *alpn;       /* its name in TLS [RFC 7301]; NULL: it has none, any offer is passed over */
	/* Reactor, no step under way: bytes of the state that a client can make grow. NULL: none. */
	uint64_t (*held)(const void *state);
	/* Reactor, no step under way: the peer has been silent for seconds, memory is to be given back. NULL: none is held. */
	void (*rest)(void *state);
	/* Reactor, after advance has said NEXT_INPUT. NULL: the rest of a command if something is left in the input. */
	enum session_awaits (*awaits)(void *state);
	/* Reactor, the peer is silent, all is said and other sessions have had their turn: make what it will ask for next, within
	 * some 0.3 ms and without waiting (lib/nowait.h). True: there is more of that to do, in another turn. NULL: never. It
	 * needs a rest. */
	bool (*foresee)(void *state);
	/* Right before a step, on the reactor or where session_wake is called: it is to be run on the reactor, or there.
	 * It will be over within some 0.3 ms, and read log and index only without waiting (lib/nowait.h); where that is
	 * refused it says STEP_POOL. Asked where session_wake is called it may decide nothing yet, and the reactor asks
	 * again. NULL: none is. */
	bool (*light)(void *state);
};

extern const struct protocol imap_protocol;
extern const struct protocol pop3_protocol;
extern const struct protocol lmtp_protocol;
extern const struct protocol saslauthd_protocol;

/* The bytes that came and are not consumed yet (buf_consume), and the bytes to send. Memory is given back when idle. */
struct buf *session_in(struct session *s);
struct buf *session_out(struct session *s);
/* The output has reached its soft limit: say STEP_MORE. */
bool session_out_full(const struct session *s);
/* Output may be added that is raw deflate already, for a client that inflates: the session is compressed and has room
 * for the note of it. */
bool session_can_splice(struct session *s);
/* What stands in the output from octet `from` to its end is that: blocks as deflate_splice wants them. Once after each
 * session_can_splice. */
void session_splice(struct session *s, size_t from);
/* In a step that runs on the pool, with an empty output: send these octets at once, from where they lie, as far as the
 * client takes them. How many went; the others are to be written to the output next. */
size_t session_send_now(struct session *s, struct slice octets);

struct pool;
/* In a step: the pool, for a job that does a part of it on another thread and holds so many bytes; NULL: there is no
 * memory for that. The job must not touch the session, which may end before it. */
struct pool *session_helpers(struct session *s, uint64_t bytes);
/* In advance: it has taken as long as a light step. */
void session_took_long(struct session *s);
/* Take back what was said beyond the first `len` octets of the output, splices too. */
void session_unsay(struct session *s, size_t len);
/* The peer has closed its sending side or is gone: no more input will come. */
bool session_at_eof(const struct session *s);

uint64_t       session_id(const struct session *s);
const char    *session_peer(const struct session *s);          /* "192.0.2.1", "unix" */
/* The client is at a unix socket of ours, with no proxy between. */
bool           session_is_unix(const struct session *s);
/* The client is on this machine: a unix socket, or an address of the loopback; never what came through a proxy. */
bool           session_is_loopback(const struct session *s);
uint8_t        session_protocol(const struct session *s);      /* enum frame_protocol */
/* 16 bytes, IPv4 mapped into IPv6; NULL: a unix socket, or a proxy there that has told none. */
const uint8_t *session_ip(const struct session *s);
bool           session_has_tls(const struct session *s);       /* TLS is up */
bool           session_is_compressed(const struct session *s);
bool           session_can_starttls(const struct session *s);  /* configured, not turned off, and TLS is not up */
/* The channel binding of this IANA name ("tls-exporter", "tls-server-end-point"), of at most SESSION_BINDING_MAX
 * octets. False: no TLS, or not defined for this connection. [RFC 9266, 5929] */
bool session_channel_binding(const struct session *s, struct slice type, uint8_t *out, size_t cap,
                             size_t *len);
/* The name in the client's certificate ([tls] client_name); empty: it has shown none. Whoever is named here has proved
 * it: certificates that are not good end the handshake. Stays as long as the session. */
struct slice   session_certificate_name(const struct session *s);
/* The host name the client asked for in TLS; empty: none. Stays likewise. */
struct slice   session_tls_sni(const struct session *s);
/* "TLSv1.3", "TLS_AES_256_GCM_SHA384"; NULL: no TLS. */
const char    *session_tls_version(const struct session *s);
const char    *session_tls_cipher(const struct session *s);
/* May PLAIN and LOGIN be used here: under TLS, or loopback with allow_plaintext_on_loopback. */
bool           session_plaintext_allowed(const struct session *s);
struct server *session_server(const struct session *s);
/* Configuration as it was when the session began; unchanged by SIGHUP. */
const struct conf *session_conf(const struct session *s);
/* Of the same configuration: who may log in, and how. */
const struct sasl_policy *session_sasl_policy(const struct session *s);

/* Close (with bye) when nothing came for so long while nothing had begun (AWAITS_COMMAND), or when what has begun comes
 * or is taken too slowly; 0: the configured default. Counts only while waiting for the peer, not during steps. */
void session_set_timeout(struct session *s, uint32_t ms);

/* What is in the output, and all that comes after, goes out only so many milliseconds after this advance, or after this
 * step was asked for (rounded up to a tick of the reactor's wheel, half a second). Nothing is read meanwhile and no
 * thread is held; a shutdown cuts it short. The last call counts. */
void session_delay(struct session *s, uint32_t ms);
/* The delay that slows guessing of passwords: limits.auth_delay, doubled with every failed login of this connection, at
 * most SESSION_DELAY_MAX_MS. `failures` counts the present one. */
void session_delay_login(struct session *s, uint64_t failures);

/* The one mailbox whose changes concern this session; watch before the first read of it. */
void session_watch(struct session *s, struct volume *v, mailbox_id mailbox);
void session_unwatch(struct session *s);
/* Where the mailbox is, as last told since session_watch; 0: nothing was told; MODSEQ_GONE: it is no more. Whatever was
 * answered to anybody is in it. */
mail_modseq session_watched_modseq(const struct session *s);
/* While it is wanted, a notification that comes makes the core call advance (once no step is under way) with
 * session_take_notified true once; session_watched_modseq says behind this what came before. */
void session_listen(struct session *s, bool wanted);
bool session_take_notified(struct session *s);

/* Any thread: what a step said STEP_WAIT or STEP_WAIT_ADVANCE for has come. Must be called exactly once for each,
 * before or after the step returns; the session lives until then. Typically from struct change's done.
 * `here`: this thread has the time to run the next step if that is light, and to send what it says. */
void session_wake(struct session *s, bool here);

/* The session is the account's from now on: it ends within a second when the account changes (END_CHANGED), counts
 * among its connections and is told by `restantectl who`. `since` is what session_login_moment said before the
 * credentials were read. `mechanism`: how it proved itself, copied. */
uint64_t session_login_moment(struct session *s);
enum session_entry session_login(struct session *s, struct volume *v, account_id account,
                                 const char *mechanism, uint64_t since);
/* After it, when an admin entered for another: the session ends with the admin's account too. ENTRY_OK or _CHANGED. */
enum session_entry session_login_admin(struct session *s, struct volume *v, account_id account,
                                       uint64_t since);
void session_logout(struct session *s);        /* harmless when it is nobody's */
/* For `restantectl who`: the command under way, a static text; NULL: none. */
void session_set_activity(struct session *s, const char *what);

/* Name and account for logs; the core adds sid, peer and protocol to lines begun with session_log. */
void session_set_user(struct session *s, struct slice name);
void session_log(struct session *s, struct logline *l, enum log_level level, const char *ev);
/* What TLS has agreed on: tls, cipher, and so on; nothing without. */
void session_log_tls(const struct session *s, struct logline *l);

/* Count a protocol error; true when there were so many that the session should end. */
bool session_bad_command(struct session *s);
/* A command was understood: the count begins anew, and so does the peer's time (session_bad_command too). */
void session_good_command(struct session *s);

#endif
