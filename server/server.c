/* server - what all sessions share. See server.h and core.h. */
#include "index/maintenance.h"
#include "server/core.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "index/move.h"
#include "lib/clock.h"
#include "server/absent.h"
#include "server/aliases.h"
#include "server/familiar.h"
#include "server/lmtp/retry.h"
#include "server/guard.h"
#include "server/parent.h"
#include "server/regulars.h"
#include "server/remember.h"
#include "server/restart.h"
#include "server/tls_watch.h"
#include "store/piece.h"

#define PROGRESS_MS 5000u

/* What a volume was opened with. */
struct opened {
	struct settings          *settings;     /* that `conf` is of */
	const struct conf_volume *conf;
	uint64_t                  told_ms;      /* of its progress: a volume may rebuild its
	                                         * index later too */
};

struct server {
	pthread_mutex_t      lock;              /* of `settings` */
	struct settings     *settings;
	struct settings     *first;             /* as at the start */
	char                 hostname[256];
	struct hub          *hub;
	struct peers        *peers;
	struct budget        budget;
	struct registry     *registry;
	struct alias_book   *aliases;
	struct guard        *guard;
	struct remember     *remember;
	struct familiar     *familiar;
	struct regulars     *regulars;
	_Atomic uint64_t     reloads;
	struct volume       *volumes[CONF_VOLUMES_MAX];
	struct maintainer   *maintainers[CONF_VOLUMES_MAX];     /* of them; NULL: not begun */
	struct opened        opened[CONF_VOLUMES_MAX];
	_Atomic size_t       volume_count;      /* SIGHUP adds some; what is below
	                                         * stays until the end */
	struct absent        absent;
	struct tls_watch    *tls_watch;
	struct pool         *pool;
	struct reactor     **reactors;
	unsigned             reactor_count;
	struct sasl_accounts accounts;
	uint8_t              sasl_secret[VOLUME_SECRET_LEN];
	atomic_bool          has_sasl_secret;
};

/* ---- settings ---- */

enum rc
settings_new(struct conf **conf, const struct settings *before, struct settings **out,
             struct err *e)
{
	struct settings *s = calloc(1, sizeof *s);
	enum rc rc;

	*out = NULL;
	if (s == NULL) {
		conf_free(conf);
		return err_nomem(e);
	}
	atomic_init(&s->refs, 1);
	s->conf = *conf;
	*conf = NULL;
	rc = policy_read(s->conf, &s->policy, e);
	if (rc == RC_OK)
		rc = tls_new(s->conf, before != NULL ? before->tls : NULL, &s->tls, e);
	if (rc == RC_OK)
		rc = tokens_new(&s->conf->auth, &s->tokens, e);
	if (rc != RC_OK) {
		settings_unref(&s);
		return rc;
	}
	s->policy.tokens = tokens_for_sasl(s->tokens);
	*out = s;
	return RC_OK;
}

void
settings_unref(struct settings **sp)
{
	struct settings *s = *sp;

	*sp = NULL;
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	tls_free(&s->tls);
	tokens_free(&s->tokens);
	conf_free(&s->conf);
	free(s);
}

struct settings *
server_settings(struct server *srv)
{
	struct settings *s;

	pthread_mutex_lock(&srv->lock);
	s = srv->settings;
	atomic_fetch_add(&s->refs, 1);
	pthread_mutex_unlock(&srv->lock);
	return s;
}

static struct maintenance_params
maintenance_of(const struct conf *conf)
{
	const struct conf_maintenance *m = &conf->maintenance;
	struct maintenance_params p = {
		.retention_s = m->retention,
		.compact_threshold = m->compact_threshold,
		.compact_rate = m->compact_rate,
		.compact_interval_s = m->compact_interval,
		.scrub_rate = m->scrub_rate,
		.tombstones = m->tombstones,
	};

	for (size_t i = 0; i < m->autoexpunge.count; i++) {
		const struct conf_age *a = &m->autoexpunge.list[i];
		struct autoexpunge_rule *rule = &p.autoexpunge.rules[p.autoexpunge.count++];

		rule->age_s = a->age;
		(void)snprintf(rule->mailbox, sizeof rule->mailbox, "%s", a->mailbox);
	}
	return p;
}

_Static_assert(CONF_AGES_MAX == AUTOEXPUNGE_MAX && CONF_MAILBOX_MAX < AUTOEXPUNGE_NAME,
               "what is configured fits");

/* What volumes do in the background follows the present settings. */
static void
maintain(struct server *srv)
{
	struct settings *s = server_settings(srv);

	for (size_t i = 0; i < srv->volume_count; i++)
		volume_set_scrub_rate(srv->volumes[i], s->conf->maintenance.scrub_rate);
	settings_unref(&s);
}

/* ---- the server ---- */

static enum rc
set_hostname(struct server *srv, struct err *e)
{
	const char *configured = srv->settings->conf->server.hostname;

	if (configured[0] == '\0') {
		if (gethostname(srv->hostname, sizeof srv->hostname - 1) != 0)
			return err_set(e, RC_IO,
			               "the system has no host name; set hostname in [server]");
		return RC_OK;
	}
	if (strlen(configured) >= sizeof srv->hostname)
		return err_set(e, RC_LIMIT, "hostname is longer than %zu octets",
		               sizeof srv->hostname - 1);
	strcpy(srv->hostname, configured);
	return RC_OK;
}

enum rc
server_new(struct settings **settings, struct server **out, struct err *e)
{
	struct server *srv = calloc(1, sizeof *srv);
	enum rc rc;

	*out = NULL;
	if (srv == NULL) {
		settings_unref(settings);
		return err_nomem(e);
	}
	pthread_mutex_init(&srv->lock, NULL);
	absent_init(&srv->absent);
	srv->settings = *settings;
	*settings = NULL;
	srv->accounts = (struct sasl_accounts){ .arg = srv, .find = server_find_sasl_account };
	rc = set_hostname(srv, e);
	if (rc == RC_OK)
		rc = hub_new(&srv->hub, e);
	if (rc == RC_OK)
		rc = peers_new(&srv->peers, e);
	if (rc == RC_OK)
		rc = registry_new(&srv->registry, e);
	if (rc == RC_OK)
		rc = alias_book_new(&srv->aliases, e);
	if (rc == RC_OK)
		rc = alias_book_load(srv->aliases, srv->settings->conf->lmtp.aliases, e);
	if (rc == RC_OK)
		rc = guard_new(&srv->guard, e);
	if (rc == RC_OK)
		rc = remember_new(&srv->remember, e);
	if (rc == RC_OK)
		rc = familiar_new(&srv->familiar, e);
	if (rc == RC_OK)
		rc = regulars_new(&srv->regulars, e);
	if (rc != RC_OK) {
		server_free(&srv);
		return rc;
	}
	*out = srv;
	return RC_OK;
}

void
server_free(struct server **sp)
{
	struct server *srv = *sp;

	if (srv == NULL)
		return;
	*sp = NULL;
	pool_free(&srv->pool);          /* nothing is under way: the sessions have ended */
	for (unsigned i = 0; i < srv->reactor_count; i++)
		reactor_free(&srv->reactors[i]);
	free(srv->reactors);
	for (size_t i = srv->volume_count; i > 0; i--) {
		maintainer_stop(&srv->maintainers[i - 1]);
		volume_close(&srv->volumes[i - 1]);
		settings_unref(&srv->opened[i - 1].settings);
	}
	alias_book_free(&srv->aliases);
	peers_free(&srv->peers);
	registry_free(&srv->registry);
	guard_free(&srv->guard);
	remember_free(&srv->remember);
	familiar_free(&srv->familiar);
	regulars_free(&srv->regulars);
	hub_free(&srv->hub);
	settings_unref(&srv->settings);
	settings_unref(&srv->first);
	absent_fini(&srv->absent);
	pthread_mutex_destroy(&srv->lock);
	free(srv);
}

enum rc
server_make_reactors(struct server *srv, unsigned n, struct err *e)
{
	enum rc rc = pool_new(srv->settings->conf->server.pool_threads, &srv->pool, e);

	if (rc != RC_OK)
		return rc;
	srv->reactors = calloc(n, sizeof(struct reactor *));
	if (srv->reactors == NULL)
		return err_nomem(e);
	for (unsigned i = 0; rc == RC_OK && i < n; i++) {
		rc = reactor_new(srv, i, &srv->reactors[i], e);
		if (rc == RC_OK)
			srv->reactor_count++;
	}
	return rc;
}

struct pool *
server_pool(struct server *srv)
{
	return srv->pool;
}

struct reactor *
server_reactor(const struct server *srv, unsigned i)
{
	return i < srv->reactor_count ? srv->reactors[i] : NULL;
}

/* A hand-over wakes a thread, so among many connections a few more than elsewhere are no reason for it; of four that work all
 * should have their share of the processors. */
struct reactor *
server_lightest_reactor(const struct server *srv, struct reactor *own)
{
	unsigned here = reactor_load(own), least = here - here / 8;
	struct reactor *best = own;

	for (unsigned i = 0; i < srv->reactor_count; i++) {
		unsigned load = reactor_load(srv->reactors[i]);

		if (load < least) {
			least = load;
			best = srv->reactors[i];
		}
	}
	return best;
}

struct hub *
server_hub(struct server *srv)
{
	return srv->hub;
}

struct budget *
server_budget(struct server *srv)
{
	return &srv->budget;
}

struct peers *
server_peers(struct server *srv)
{
	return srv->peers;
}

struct registry *
server_registry(struct server *srv)
{
	return srv->registry;
}

struct alias_book *
server_alias_book(struct server *srv)
{
	return srv->aliases;
}

struct absent *
server_absent(struct server *srv)
{
	return &srv->absent;
}

struct guard *
server_guard(struct server *srv)
{
	return srv->guard;
}

struct remember *
server_remember(struct server *srv)
{
	return srv->remember;
}

struct familiar *
server_familiar(struct server *srv)
{
	return srv->familiar;
}

struct regulars *
server_regulars(struct server *srv)
{
	return srv->regulars;
}

uint64_t
server_reloads(const struct server *srv)
{
	return atomic_load(&srv->reloads);
}

const char *
server_hostname(const struct server *srv)
{
	return srv->hostname;
}

/* ---- volumes ---- */

/* As restantectl writes it: epoch.counter. */
static void
log_lsn_as_told(struct logline *l, const char *key, log_lsn lsn)
{
	char text[40];

	if (lsn == 0)
		return;
	(void)snprintf(text, sizeof text, "%u.%llu", LSN_EPOCH(lsn),
	               (unsigned long long)(lsn & ((UINT64_C(1) << LSN_COUNTER_BITS) - 1)));
	log_cstr(l, key, text);
}

static void
on_damage(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
          const char *what)
{
	const char *name = arg;
	struct logline l;

	log_begin(&l, LOGLEVEL_ERROR, "volume.damage");
	log_cstr(&l, "volume", name);
	if (seg.seq != 0) {             /* else it is about the volume as a whole */
		char file[PIECE_NAME_LEN];

		piece_name(&seg, file);
		log_cstr(&l, "file", file);
		log_u64(&l, "offset", offset);
		log_u64(&l, "bytes", len);
		log_lsn_as_told(&l, "first", first);
		log_lsn_as_told(&l, "last", last);
	}
	log_cstr(&l, "what", what);
	log_end(&l);
}

/* A rebuild of a large index takes minutes: say now and then how far it is. */
static void
on_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct opened *p = arg;
	uint64_t now = clock_mono_ms();
	struct logline l;

	if (now - p->told_ms < PROGRESS_MS)
		return;
	p->told_ms = now;
	log_begin(&l, LOGLEVEL_INFO, "volume.progress");
	log_cstr(&l, "volume", p->conf->named.name);
	log_cstr(&l, "what", what);
	log_u64(&l, "done", done);
	log_u64(&l, "total", total);
	log_end(&l);
}

/* The error's text ends with the owner's pid, if it is known. */
static void
log_waiting(const char *name, uint32_t wait_ms, const struct err *e)
{
	const char *pid = strstr(e->text, "process ");
	struct logline l;

	log_begin(&l, LOGLEVEL_WARN, "volume.waiting");
	log_cstr(&l, "volume", name);
	if (pid != NULL)
		log_cstr(&l, "pid", pid + strlen("process "));
	log_u64(&l, "ms", wait_ms);
	log_cstr(&l, "text", e->text);
	log_end(&l);
}

static void
log_opened(const char *name, struct volume *v, uint64_t ms)
{
	struct log_stats stats = { 0 };
	struct volume_start start;
	struct logline l;

	log_get_stats(volume_log(v), &stats);
	volume_get_start(v, &start);
	log_begin(&l, LOGLEVEL_INFO, "volume.opened");
	log_cstr(&l, "volume", name);
	log_u64(&l, "epoch", log_epoch(volume_log(v)));
	log_u64(&l, "segments", stats.segments);
	log_u64(&l, "log_bytes", stats.bytes);
	log_cstr(&l, "stop", start.clean ? "clean" : "unclean");
	log_cstr(&l, "index", start.rebuilt ? "rebuilt" : "kept");
	log_u64(&l, "replayed", start.replayed);
	log_cstr(&l, "damaged", volume_is_damaged(v) ? "yes" : "no");
	log_u64(&l, "ms", ms);
	log_end(&l);
}

/* Into the next place, of which nobody knows before volume_count says so. */
static enum rc
open_volume(struct server *srv, struct settings *settings, const struct conf_volume *c,
            uint32_t lock_wait_ms, struct err *e)
{
	size_t at = srv->volume_count;
	struct volume_params p = {
		.name = c->named.name,
		.path = c->path,
		.mode = VOLUME_WRITE,
		.relaxed = c->durability == CONF_RELAXED,
		.lock_wait_ms = 0,
		.report = { (void *)(uintptr_t)c->named.name, on_damage },
		.progress = on_progress,
		.notify = hub_notify,
		.notify_arg = srv->hub,
		.session_alive = lmtp_session_alive,
		.account_changed = registry_account_changed,
		.account_arg = srv->registry,
	};
	uint64_t began = clock_mono_ms();
	enum rc rc;

	if (at == CONF_VOLUMES_MAX)
		return err_set(e, RC_LIMIT, "volume %s: more than %u volumes", c->named.name,
		               CONF_VOLUMES_MAX);
	srv->opened[at] = (struct opened){ settings, c, began };
	p.progress_arg = &srv->opened[at];
	rc = volume_open(&p, &srv->volumes[at], e);
	if (rc == RC_BUSY && lock_wait_ms > 0) {
		log_waiting(c->named.name, lock_wait_ms, e);
		*e = (struct err)ERR_INIT;
		p.lock_wait_ms = lock_wait_ms;
		rc = volume_open(&p, &srv->volumes[at], e);
	}
	if (rc != RC_OK)
		return err_add(e, "volume %s", c->named.name);
	atomic_fetch_add(&settings->refs, 1);
	log_opened(c->named.name, srv->volumes[at], clock_mono_ms() - began);
	return RC_OK;
}

/* No reason not to start: accounts are found by their generation, and a copy that is not
 * finished not at all. */
static void
settle_moves(struct volume *const *volumes, size_t count)
{
	struct err e = ERR_INIT;
	struct logline l;
	uint32_t removed;
	enum rc rc = move_settle(volumes, count, &removed, &e);

	if (rc == RC_OK && removed == 0)
		return;
	log_begin(&l, rc == RC_OK ? LOGLEVEL_INFO : LOGLEVEL_WARN, "server.move_settled");
	log_u64(&l, "removed", removed);
	if (rc != RC_OK)
		log_err(&l, &e);
	log_end(&l);
}

enum rc
server_start_maintenance(struct server *srv, struct err *e)
{
	struct maintenance_params p = maintenance_of(srv->settings->conf);
	enum rc rc = RC_OK;

	for (size_t i = 0; i < srv->volume_count && rc == RC_OK; i++)
		rc = maintainer_start(srv->volumes[i], &p, &srv->maintainers[i], e);
	return rc == RC_OK ? tls_watch_start(srv, &srv->tls_watch, e) : rc;
}

void
server_stop_maintenance(struct server *srv)
{
	tls_watch_stop(&srv->tls_watch);
	for (size_t i = 0; i < srv->volume_count; i++) {
		volume_stop_maintenance(srv->volumes[i]);
		maintainer_stop(&srv->maintainers[i]);
	}
}

/* The volume of this name; NULL: it is not open. */
static struct volume *
find_open(const struct server *srv, const char *name)
{
	for (size_t i = 0; i < srv->volume_count; i++)
		if (strcmp(srv->opened[i].conf->named.name, name) == 0)
			return srv->volumes[i];
	return NULL;
}

/* The first volume keeps it; while that is absent every unknown name gets a temporary answer, and
 * none is needed. One that cannot be written to (a full disk) has none when it is new: then unknown
 * accounts look different after each restart, and that is all. */
static void
take_sasl_secret(struct server *srv)
{
	struct volume *v = find_open(srv, srv->first->conf->volumes[0].named.name);
	struct err e = ERR_INIT;
	struct logline l;

	if (v == NULL || srv->has_sasl_secret)
		return;
	srv->has_sasl_secret = volume_secret(v, "sasl", srv->sasl_secret, &e) == RC_OK;
	if (srv->has_sasl_secret)
		return;
	log_begin(&l, LOGLEVEL_WARN, "sasl.no_secret");
	log_err(&l, &e);
	log_end(&l);
}

/* Those that open, if any does. One owner's lock is waited for once, as all volumes have the same
 * one as a rule. */
static enum rc
open_volumes(struct server *srv, uint32_t lock_wait_ms, struct absent_list *absent, struct err *e)
{
	const struct conf *conf = srv->first->conf;
	uint64_t until = clock_mono_ms() + lock_wait_ms;
	struct err first = ERR_INIT;

	for (size_t i = 0; i < conf->n_volumes; i++) {
		uint64_t now = clock_mono_ms();
		struct err one = ERR_INIT;
		uint32_t wait_ms = now < until ? (uint32_t)(until - now) : 0;
		enum rc rc = open_volume(srv, srv->first, &conf->volumes[i], wait_ms, &one);

		if (rc == RC_NOMEM) {
			*e = one;
			return rc;
		}
		srv->volume_count += rc == RC_OK;
		if (rc == RC_OK)
			continue;
		if (first.code == RC_OK)
			first = one;
		if (conf->n_volumes > 1)
			absent_add(absent, conf->volumes[i].named.name, &one);
	}
	if (srv->volume_count > 0)
		return RC_OK;
	*e = first;
	return e->code;
}

/* An account that one volume has may be another's leftover, or the other way round: with one absent
 * nothing is deleted. */
enum rc
server_open_volumes(struct server *srv, uint32_t lock_wait_ms, struct err *e)
{
	struct absent_list *absent = calloc(1, sizeof *absent);
	enum rc rc;

	if (absent == NULL)
		return err_nomem(e);
	srv->first = server_settings(srv);
	rc = open_volumes(srv, lock_wait_ms, absent, e);
	absent_replace(&srv->absent, absent);
	if (rc == RC_OK && absent->count == 0)
		settle_moves(srv->volumes, srv->volume_count);
	if (rc == RC_OK) {
		maintain(srv);
		take_sasl_secret(srv);
	}
	free(absent);
	return rc;
}

struct slice
server_sasl_secret(const struct server *srv)
{
	return slice_of(srv->sasl_secret, srv->has_sasl_secret ? sizeof srv->sasl_secret : 0);
}

/* ---- volumes that the configuration names anew ---- */

/* Of its accounts that another volume has too the one with the higher generation is found, as after
 * every move that was cut; the other goes at the next start, as moves may be under way now. */
static enum rc
add_volume(struct server *srv, struct settings *settings, const struct conf_volume *c,
           struct err *e)
{
	struct maintenance_params p = maintenance_of(settings->conf);
	size_t at = srv->volume_count;
	enum rc rc = open_volume(srv, settings, c, 0, e);

	if (rc != RC_OK)
		return rc;
	settle_moves(&srv->volumes[at], 1);
	rc = maintainer_start(srv->volumes[at], &p, &srv->maintainers[at], e);
	if (rc != RC_OK) {
		volume_close(&srv->volumes[at]);
		settings_unref(&srv->opened[at].settings);
		return rc;
	}
	srv->volume_count = at + 1;
	return RC_OK;
}

/* On the thread of signals, which SIGTERM waits for: a volume whose index must be rebuilt takes its
 * time. One that cannot be opened is told, and tried again at the next SIGHUP. */
static void
add_volumes(struct server *srv, struct absent_list *absent)
{
	struct settings *s = server_settings(srv);

	for (size_t i = 0; i < srv->volume_count; i++)
		(void)restart_tell_volume(srv->opened[i].conf, s->conf);
	for (size_t i = 0; i < s->conf->n_volumes; i++) {
		const struct conf_volume *c = &s->conf->volumes[i];
		struct err e = ERR_INIT;

		if (find_open(srv, c->named.name) == NULL && add_volume(srv, s, c, &e) != RC_OK)
			absent_add(absent, c->named.name, &e);
	}
	absent_replace(&srv->absent, absent);
	take_sasl_secret(srv);
	settings_unref(&s);
}

enum rc
server_reload(struct server *srv, struct err *e)
{
	struct settings *old, *new = NULL;
	struct maintenance_params maintenance;
	struct absent_list *absent = calloc(1, sizeof *absent);
	struct conf *conf = NULL;
	enum rc rc = absent != NULL ? parent_conf(ASK_NEXT, &conf, e) : err_nomem(e);

	if (rc != RC_OK) {
		free(absent);
		return rc;
	}
	old = server_settings(srv);
	rc = settings_new(&conf, old, &new, e);
	settings_unref(&old);
	if (rc == RC_OK)
		rc = alias_book_load(srv->aliases, new->conf->lmtp.aliases, e);
	if (rc != RC_OK) {
		settings_unref(&new);
		free(absent);
		return rc;
	}
	log_set_level(new->conf->server.log_level);
	(void)restart_tell(srv->first->conf, new->conf);
	maintenance = maintenance_of(new->conf);
	for (size_t i = 0; i < srv->volume_count; i++)
		if (srv->maintainers[i] != NULL)
			maintainer_configure(srv->maintainers[i], &maintenance);
	pthread_mutex_lock(&srv->lock);
	old = srv->settings;
	srv->settings = new;
	pthread_mutex_unlock(&srv->lock);
	atomic_fetch_add(&srv->reloads, 1);
	settings_unref(&old);
	if (new->tls != NULL)
		tls_log(new->tls);
	add_volumes(srv, absent);
	free(absent);
	maintain(srv);
	return RC_OK;
}

struct volume *const *
server_volumes(const struct server *srv, size_t *count)
{
	*count = srv->volume_count;
	return srv->volumes;
}

const struct sasl_accounts *
server_sasl_accounts(struct server *srv)
{
	return &srv->accounts;
}
