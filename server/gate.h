/* gate - one try to log in, between sasl/ and what the server remembers of earlier ones.
 *
 * Whoever lets somebody in (a session's login, the saslauthd socket) opens a gate for the try, hands gate_accounts to
 * sasl/ instead of the server's own, and tells the gate what came of it. The gate then asks the guard as soon as a name
 * is known, before anything is hashed; answers a password that was right a short while ago from memory; notes one that
 * was right for next time; and puts a credential of an old form into the present one, which needs the password.
 *
 * One try at a time, one thread at a time; tries of one exchange may go on on another thread. It does not wait for
 * anything but a look-up in the index.
 */
#ifndef RESTANTE_SERVER_GATE_H
#define RESTANTE_SERVER_GATE_H

#include "index/volume.h"
#include "server/familiar.h"
#include "server/guard.h"
#include "server/server.h"

/* What the log says of who is kept out. */
#define GATE_BLOCKED "blocked after too many failures"

struct gate {
	struct server       *srv;
	const struct conf   *conf;
	struct sasl_accounts accounts;                  /* the server's, looked at on their way */
	const uint8_t       *ip;                        /* NULL: a unix socket */
	bool                 exempt;
	bool                 named, blocked;
	char                 name[GUARD_NAME_MAX];      /* the account's; of one that does not exist as it was sent */
	size_t               name_len;
	uint64_t             password;                  /* guard_password of the one that was wrong */
	char                 credential[CREDENTIAL_NAME_MAX + 1];       /* to be put into the present form */
	struct buf           old_value, new_value;
	uint64_t             version;                   /* server_accounts_version when the try began */
	uint64_t             until_s;                   /* the account's own password was right: so long that is
	                                                 * remembered; 0: it was not */
};

/* `conf` and `ip` must stay until gate_close. */
void gate_open(struct gate *g, struct server *srv, const struct conf *conf, const uint8_t *ip);
void gate_close(struct gate *g);       /* harmless when repeated, and on a zeroed gate */
/* This try is no guess at a secret (a client certificate): nobody is kept out, nothing is counted. */
void gate_exempt(struct gate *g);

/* Has this name and password let somebody in a short while ago, and would it now? Then sasl/ need not be asked: what
 * follows is gate_succeeded. Neither waits nor hashes a password; strings of *out live in `a`. */
bool gate_recognize(struct gate *g, unsigned service, struct slice name, struct slice password,
                    struct arena *a, struct guest *out);
/* They have let `who` in by sasl/, for nobody's mail but its own: to be recognized next time. */
void gate_acquaint(const struct gate *g, unsigned service, struct slice name, struct slice password,
                   const struct guest *who);
/* For struct sasl_setup, as long as the gate is open. */
const struct sasl_accounts *gate_accounts(const struct gate *g);
/* sasl/ failed because the guard does not let this account and network try: to be answered like a wrong password. */
bool gate_is_blocked(const struct gate *g);
/* Our own credentials said no, whatever others may say. */
bool gate_saw_wrong(const struct gate *g);
/* Refused, for whatever reason the client is to blame for. `claimed`: who it said it is, if the gate was not asked.
 * Returns how late the answer should come, for session_delay_login. Logs a block that begins. */
unsigned gate_failed(struct gate *g, struct slice claimed);
/* Proven to be the account that was named first. `authenticated` is its name; v and account are whose mail it gets, and
 * `who` what a change of its credential goes by in the log. */
void gate_succeeded(struct gate *g, struct slice authenticated, struct volume *v,
                    const struct account_info *account, struct frame_who who);

#endif
