/* server - what all sessions share. See server.h and core.h. */
#include "index/maintenance.h"
#include "server/core.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "index/move.h"
#include "lib/clock.h"
#include "server/restart.h"
#include "store/piece.h"

#define PROGRESS_MS 5000u

/* What a volume was opened with. */
struct opened {
	struct settings          *settings;     /* that `conf` is of */
	const struct conf_volume *conf;
	uint64_t                  told_ms;      /* of its progress: a volume may rebuild its index later too */
};

struct server {
	pthread_mutex_t      lock;              /* of `settings` */
	struct settings     *settings;
	struct settings     *first;             /* as at the start */
	char                 hostname[256];
	struct hub          *hub;
	struct peers        *peers;
	struct volume       *volumes[CONF_VOLUMES_MAX];
	struct maintainer   *maintainers[CONF_VOLUMES_MAX];     /* of them; NULL: not begun */
	struct opened        opened[CONF_VOLUMES_MAX];
	_Atomic size_t       volume_count;      /* SIGHUP adds some; what is below stays until the end */
	struct reactor     **reactors;
	unsigned             reactor_count;
	atomic_uint          turn;
	struct sasl_accounts accounts;
};

/* ---- settings ---- */

enum rc
settings_new(struct conf **conf, struct settings **out, struct err *e)
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
	rc = tls_new(&s->conf->tls, &s->tls, e);
	if (rc != RC_OK) {
		settings_unref(&s);
		return rc;
	}
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

_Static_assert(CONF_AGES_MAX == AUTOEXPUNGE_MAX && CONF_MAILBOX_MAX < AUTOEXPUNGE_NAME, "what is configured fits");

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

static enum rc find_sasl_account(void *arg, struct slice name, struct arena *a, struct sasl_account *out, struct err *e);

static enum rc
set_hostname(struct server *srv, struct err *e)
{
	const char *configured = srv->settings->conf->server.hostname;

	if (configured[0] == '\0') {
		if (gethostname(srv->hostname, sizeof srv->hostname - 1) != 0)
			return err_set(e, RC_IO, "the system has no host name; set hostname in [server]");
		return RC_OK;
	}
	if (strlen(configured) >= sizeof srv->hostname)
		return err_set(e, RC_LIMIT, "hostname is longer than %zu octets", sizeof srv->hostname - 1);
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
	srv->settings = *settings;
	*settings = NULL;
	srv->accounts = (struct sasl_accounts){ srv, find_sasl_account };
	rc = set_hostname(srv, e);
	if (rc == RC_OK)
		rc = hub_new(&srv->hub, e);
	if (rc == RC_OK)
		rc = peers_new(&srv->peers, e);
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
	for (unsigned i = 0; i < srv->reactor_count; i++)
		reactor_free(&srv->reactors[i]);
	free(srv->reactors);
	for (size_t i = srv->volume_count; i > 0; i--) {
		maintainer_stop(&srv->maintainers[i - 1]);
		volume_close(&srv->volumes[i - 1]);
		settings_unref(&srv->opened[i - 1].settings);
	}
	peers_free(&srv->peers);
	hub_free(&srv->hub);
	settings_unref(&srv->settings);
	settings_unref(&srv->first);
	pthread_mutex_destroy(&srv->lock);
	free(srv);
}

unsigned
server_reactor_count(const struct server *srv)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	if (srv->settings->conf->server.reactors > 0)
		return (unsigned)srv->settings->conf->server.reactors;
	return cores > 0 && cores < 256 ? (unsigned)cores : 1;
}

enum rc
server_make_reactors(struct server *srv, struct err *e)
{
	unsigned n = server_reactor_count(srv);

	srv->reactors = calloc(n, sizeof(struct reactor *));
	if (srv->reactors == NULL)
		return err_nomem(e);
	for (unsigned i = 0; i < n; i++) {
		enum rc rc = reactor_new(srv, i, &srv->reactors[i], e);

		if (rc != RC_OK)
			return rc;
		srv->reactor_count++;
	}
	return RC_OK;
}

struct reactor *
server_reactor(const struct server *srv, unsigned i)
{
	return i < srv->reactor_count ? srv->reactors[i] : NULL;
}

struct reactor *
server_next_reactor(struct server *srv)
{
	return srv->reactors[atomic_fetch_add(&srv->turn, 1) % srv->reactor_count];
}

struct hub *
server_hub(struct server *srv)
{
	return srv->hub;
}

struct peers *
server_peers(struct server *srv)
{
	return srv->peers;
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
on_damage(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last, const char *what)
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
	log_cstr(&l, "volume", p->conf->name);
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
open_volume(struct server *srv, struct settings *settings, const struct conf_volume *c, uint32_t lock_wait_ms,
            struct err *e)
{
	size_t at = srv->volume_count;
	struct volume_params p = {
		.name = c->name,
		.path = c->path,
		.mode = VOLUME_WRITE,
		.relaxed = c->durability == CONF_RELAXED,
		.lock_wait_ms = 0,
		.report = { (void *)(uintptr_t)c->name, on_damage },
		.progress = on_progress,
		.notify = hub_notify,
		.notify_arg = srv->hub,
	};
	uint64_t began = clock_mono_ms();
	enum rc rc;

	if (at == CONF_VOLUMES_MAX)
		return err_set(e, RC_LIMIT, "volume %s: more than %u volumes", c->name, CONF_VOLUMES_MAX);
	srv->opened[at] = (struct opened){ settings, c, began };
	p.progress_arg = &srv->opened[at];
	rc = volume_open(&p, &srv->volumes[at], e);
	if (rc == RC_BUSY && lock_wait_ms > 0) {
		log_waiting(c->name, lock_wait_ms, e);
		*e = (struct err)ERR_INIT;
		p.lock_wait_ms = lock_wait_ms;
		rc = volume_open(&p, &srv->volumes[at], e);
	}
	if (rc != RC_OK)
		return err_add(e, "volume %s", c->name);
	atomic_fetch_add(&settings->refs, 1);
	log_opened(c->name, srv->volumes[at], clock_mono_ms() - began);
	return RC_OK;
}

/* No reason not to start: accounts are found by their generation, and a copy that is not finished not at all. */
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
	return rc;
}

void
server_stop_maintenance(struct server *srv)
{
	for (size_t i = 0; i < srv->volume_count; i++) {
		volume_stop_maintenance(srv->volumes[i]);
		maintainer_stop(&srv->maintainers[i]);
	}
}

enum rc
server_open_volumes(struct server *srv, uint32_t lock_wait_ms, struct err *e)
{
	const struct conf *conf = srv->settings->conf;
	enum rc rc = RC_OK;

	srv->first = server_settings(srv);
	for (size_t i = 0; i < conf->n_volumes && rc == RC_OK; i++) {
		rc = open_volume(srv, srv->first, &conf->volumes[i], lock_wait_ms, e);
		srv->volume_count += rc == RC_OK;
	}
	if (rc == RC_OK) {
		settle_moves(srv->volumes, srv->volume_count);
		maintain(srv);
	}
	return rc;
}

/* ---- volumes that the configuration names anew ---- */

/* Of its accounts that another volume has too the one with the higher generation is found, as after every move that was
 * cut; the other goes at the next start, as moves may be under way now. */
static enum rc
add_volume(struct server *srv, struct settings *settings, const struct conf_volume *c, struct err *e)
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

static bool
is_open(const struct server *srv, const char *name)
{
	for (size_t i = 0; i < srv->volume_count; i++)
		if (strcmp(srv->opened[i].conf->name, name) == 0)
			return true;
	return false;
}

/* On the thread of signals, which SIGTERM waits for: a volume whose index must be rebuilt takes its time. One that cannot be
 * opened is told, and tried again at the next SIGHUP. */
static void
add_volumes(struct server *srv)
{
	struct settings *s = server_settings(srv);

	for (size_t i = 0; i < srv->volume_count; i++)
		(void)restart_tell_volume(srv->opened[i].conf, s->conf);
	for (size_t i = 0; i < s->conf->n_volumes; i++) {
		const struct conf_volume *c = &s->conf->volumes[i];
		struct err e = ERR_INIT;
		struct logline l;

		if (is_open(srv, c->name) || add_volume(srv, s, c, &e) == RC_OK)
			continue;
		log_begin(&l, LOGLEVEL_ERROR, "volume.add_failed");
		log_cstr(&l, "volume", c->name);
		log_err(&l, &e);
		log_end(&l);
	}
	settings_unref(&s);
}

enum rc
server_reload(struct server *srv, struct err *e)
{
	struct settings *old = server_settings(srv), *new = NULL;
	struct maintenance_params maintenance;
	struct conf *conf = NULL;
	enum rc rc = conf_load(old->conf->path, &conf, e);

	settings_unref(&old);
	if (rc != RC_OK)
		return rc;
	rc = settings_new(&conf, &new, e);
	if (rc != RC_OK)
		return rc;
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
	settings_unref(&old);
	add_volumes(srv);
	maintain(srv);
	return RC_OK;
}

struct volume *const *
server_volumes(const struct server *srv, size_t *count)
{
	*count = srv->volume_count;
	return srv->volumes;
}

/* ---- accounts ---- */

/* A move between volumes that was cut leaves two: the higher generation owns [design, section 3]. */
enum rc
server_find_account(struct server *srv, struct slice name, struct arena *a, struct volume **v,
                    struct account_info *out, struct err *e)
{
	bool found = false;

	for (size_t i = 0; i < srv->volume_count; i++) {
		struct account_info info;
		enum rc rc = volume_find_account(srv->volumes[i], name, a, &info, e);

		if (rc == RC_NOT_FOUND)
			continue;
		if (rc != RC_OK)
			return rc;
		if (found && info.generation <= out->generation)
			continue;
		found = true;
		*out = info;
		*v = srv->volumes[i];
	}
	return found ? RC_OK : err_set(e, RC_NOT_FOUND, "no such account");
}

/* local@domain, or local alone if there is no domain. */
static enum rc
find_address(struct server *srv, struct slice local, struct slice domain, struct arena *a, struct volume **v,
             struct account_info *out, struct err *e)
{
	struct slice name = local;

	if (domain.len > 0) {
		name = arena_printf(a, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(domain));
		if (name.ptr == NULL)
			return err_nomem(e);
	}
	if (name.len == 0 || name.len > ACCOUNT_NAME_MAX)
		return err_set(e, RC_NOT_FOUND, "no such account");
	return server_find_account(srv, name, a, v, out, e);
}

/* As an address of its domain, then as a bare name. What a quoted local part hides an "@" in is no bare name: "a@b"@c
 * must not reach a@b. */
static enum rc
find_local(struct server *srv, struct slice local, struct slice domain, struct arena *a, struct volume **v,
           struct account_info *out, struct err *e)
{
	enum rc rc = find_address(srv, local, domain, a, v, out, e);

	if (rc != RC_NOT_FOUND || domain.len == 0 || slice_find_byte(local, '@') < local.len)
		return rc;
	return find_address(srv, local, SLICE_NONE, a, v, out, e);
}

enum rc
server_find_recipient(struct server *srv, struct slice local_part, struct slice domain, struct arena *a,
                      struct volume **v, struct account_info *out, struct slice *detail, struct err *e)
{
	size_t plus = slice_find_byte(local_part, '+');
	enum rc rc;

	*detail = SLICE_NONE;
	/* Accounts have printable names; what no account can be called is not asked for. */
	if (slice_find_byte(local_part, '\0') < local_part.len)
		return err_set(e, RC_NOT_FOUND, "no such account");
	rc = find_local(srv, local_part, domain, a, v, out, e);
	if (rc != RC_NOT_FOUND || plus == 0 || plus >= local_part.len)
		return rc;
	*detail = slice_sub(local_part, plus + 1, local_part.len);
	return find_local(srv, slice_sub(local_part, 0, plus), domain, a, v, out, e);
}

bool
server_misses_accounts(const struct server *srv)
{
	for (size_t i = 0; i < srv->volume_count; i++)
		if (volume_is_damaged(srv->volumes[i]))
			return true;
	return false;
}

static enum rc
find_sasl_account(void *arg, struct slice name, struct arena *a, struct sasl_account *out, struct err *e)
{
	struct server *srv = arg;
	struct account_info info;
	struct credential_info *creds;
	struct slice *verifiers;
	struct volume *v;
	size_t n;
	enum rc rc = server_find_account(srv, name, a, &v, &info, e);

	if (rc != RC_OK)
		return rc;
	rc = volume_list_credentials(v, info.id, a, &creds, &n, e);
	if (rc != RC_OK)
		return rc;
	verifiers = arena_array(a, n > 0 ? n : 1, sizeof *verifiers);
	if (verifiers == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		verifiers[i] = creds[i].value;
	*out = (struct sasl_account){ .name = info.name, .id = info.id, .verifiers = verifiers, .nverifiers = n };
	return RC_OK;
}

const struct sasl_accounts *
server_sasl_accounts(struct server *srv)
{
	return &srv->accounts;
}
