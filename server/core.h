/* core - what the parts of the server's core share; protocols do not see it. See server.h.
 *
 * `struct settings` is what SIGHUP replaces: configuration and TLS. Sessions hold a reference to those they began with.
 */
#ifndef RESTANTE_SERVER_CORE_H
#define RESTANTE_SERVER_CORE_H

#include <stdatomic.h>

#include "server/budget.h"
#include "server/hub.h"
#include "server/peers.h"
#include "server/policy.h"
#include "server/pool.h"
#include "server/reactor.h"
#include "server/registry.h"
#include "server/server.h"
#include "server/tls.h"
#include "server/tokens.h"

struct absent;
struct alias_book;

struct settings {
	atomic_uint  refs;
	struct conf *conf;
	struct tls  *tls;               /* NULL: none configured */
	struct tokens *tokens;          /* likewise */
	struct sasl_policy policy;      /* of logins; points into conf and tokens */
};

/* Takes the configuration over, also on failure. `before`: those that it follows, or NULL. */
MUST_USE enum rc settings_new(struct conf **conf, const struct settings *before,
                              struct settings **out, struct err *e);
void settings_unref(struct settings **s);

/* Takes the settings over. */
MUST_USE enum rc server_new(struct settings **settings, struct server **out, struct err *e);
/* All sessions and reactors are gone. Closes the volumes. */
void server_free(struct server **srv);
/* Those that open; others are absent (absent.h). Fails if none opens. */
MUST_USE enum rc server_open_volumes(struct server *srv, uint32_t lock_wait_ms, struct err *e);
/* Compaction and the like, and a look at certificates, from now on. */
MUST_USE enum rc server_start_maintenance(struct server *srv, struct err *e);
/* End it, also what the admin has begun: before the control socket is closed, which waits for its calls. */
void server_stop_maintenance(struct server *srv);
/* Those that are open now; they stay open. Any thread. */
struct volume *const *server_volumes(const struct server *srv, size_t *count);
/* n event loops, and the pool for what they must not do. */
MUST_USE enum rc server_make_reactors(struct server *srv, unsigned n, struct err *e);
struct reactor *server_reactor(const struct server *srv, unsigned i);
/* Where a connection that came to `own` is to live: there, unless another has clearly fewer. Any thread. */
struct reactor *server_lightest_reactor(const struct server *srv, struct reactor *own);

/* Any thread. The caller's reference. */
struct settings *server_settings(struct server *srv);
/* SIGHUP: take what the supervisor has read, open volumes that are new in it. On failure everything stays as it was;
 * that a volume cannot be opened is logged and no failure. One thread at a time. */
MUST_USE enum rc server_reload(struct server *srv, struct err *e);
struct hub *server_hub(struct server *srv);
struct pool *server_pool(struct server *srv);
struct peers *server_peers(struct server *srv);
struct budget *server_budget(struct server *srv);
struct registry *server_registry(struct server *srv);
struct alias_book *server_alias_book(struct server *srv);
struct absent *server_absent(struct server *srv);
/* How often the configuration was replaced. Any thread. */
uint64_t server_reloads(const struct server *srv);
/* For struct sasl_accounts; `arg` is the server. */
MUST_USE enum rc server_find_sasl_account(void *arg, struct slice name, struct arena *a,
                                          struct sasl_account *out, struct err *e);

#endif
