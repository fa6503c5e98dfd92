/* imap_harness - IMAP, or by imap_world_speak another protocol, without sockets and reactors: a real temporary volume
 * with one account (anna, password "secret"), and sessions over buffers, moved by the test's own thread. It defines
 * session_* and server_*, so it is linked instead of the server's core.
 *
 * A script is a list of exchanges: what the client sends and what must come back, to the byte, except that "<*>" in the
 * expectation stands for any text. imap_script plays it on a fresh connection as it is, and then again with every octet
 * of the client alone.
 */
#ifndef RESTANTE_TESTS_UNIT_IMAP_HARNESS_H
#define RESTANTE_TESTS_UNIT_IMAP_HARNESS_H

#include "tests/unit/unit.h"

#include "index/volume.h"
#include "lib/conf.h"

struct imap_world;              /* a volume and what sessions share */
struct session;
struct protocol;

/* For cmocka's setup and teardown: *state is the world. The volume is deleted with it. */
int imap_world_setup(void **state);
int imap_world_teardown(void **state);

struct conf   *imap_world_conf(struct imap_world *w);          /* may be changed before a session is made */
struct volume *imap_world_volume(struct imap_world *w);
/* The same one, after an end and a start. No session may look at it meanwhile. */
struct volume *imap_world_reopen(struct imap_world *w);
account_id     imap_world_account(struct imap_world *w);
const char    *imap_world_dir(struct imap_world *w);            /* the volume's directory */
/* Deliver a message behind the sessions' backs; returns its UID. */
mail_uid imap_world_deliver(struct imap_world *w, const char *mailbox, const char *message);
/* From now on sessions are told of no change, as if all of it fell between a commit and its notification. */
void     imap_world_mute(struct imap_world *w);
/* What the next connections speak; at first IMAP. */
void imap_world_speak(struct imap_world *w, const struct protocol *protocol);
/* What the next connection is like; at first loopback without TLS, plaintext allowed, STARTTLS possible. */
void imap_world_next_stream(struct imap_world *w, bool tls, bool plaintext_allowed,
                            bool can_starttls);

/* From now on steps have a pool of so many threads to help them; 0: none, as at first. */
void imap_world_help(struct imap_world *w, unsigned threads);
struct pool *imap_world_pool(struct imap_world *w);

/* Whence, "unix" for such a socket, and the name in its certificate or "". Strings that stay. */
void imap_world_next_peer(struct imap_world *w, const char *peer, const char *certificate);

/* A connection that has got its greeting. imap_disconnect ends it at any point, as if the peer had gone. */
struct session *imap_connect(struct imap_world *w);
void            imap_disconnect(struct session **s);
/* Send, and run until the session waits for more. */
void         imap_send(struct session *s, struct slice bytes);
/* Run because something may have happened (a notification). Waits up to a second for one. */
void         imap_wait_notified(struct session *s);
/* All that was received since the last imap_forget. */
struct slice imap_received(const struct session *s);
void         imap_forget(struct session *s);
bool         imap_is_closed(const struct session *s);
/* The output is full from here on (SESSION_OUT_SOFT at first); how many steps were run, how many of them a reactor would
 * have run itself, and the most that one left in the output. */
void         imap_set_out_soft(struct session *s, size_t octets);
/* The peer goes when so many were run, if there is more to do. */
void         imap_end_after(struct session *s, unsigned steps);
unsigned     imap_steps(const struct session *s);
unsigned     imap_light_steps(const struct session *s);
unsigned     imap_long_turns(const struct session *s);         /* calls of session_took_long */
unsigned     imap_refused_steps(const struct session *s);      /* light ones that were to be run again on the pool */
size_t       imap_largest_output(const struct session *s);
/* The protocol's state: struct imap. */
void        *imap_session_state(struct session *s);

struct imap_exchange {
	const char *send;       /* NULL: nothing, wait for a notification */
	const char *expect;
};

/* Log in, then play it; whole, then octet by octet. The script must leave the world as it found it. */
void imap_script(struct imap_world *w, const struct imap_exchange *x, size_t count);
/* The same without logging in, and with the greeting as first expectation (send ""). */
void imap_script_raw(struct imap_world *w, const struct imap_exchange *x, size_t count);
/* Play it once, on a connection at hand. */
void imap_play(struct session *s, const struct imap_exchange *x, size_t count, bool split);

#define IMAP_SCRIPT(w, x)     imap_script((w), (x), UNIT_COUNT(x))
#define IMAP_SCRIPT_RAW(w, x) imap_script_raw((w), (x), UNIT_COUNT(x))

#endif
