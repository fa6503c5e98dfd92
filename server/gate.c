/* gate - one try to log in. See gate.h. */
#include "server/gate.h"

#include "lib/clock.h"
#include "lib/logging.h"
#include "lib/secret.h"
#include "server/remember.h"

#define VALUE_MAX 4096u         /* of a credential */

static uint64_t
now_s(void)
{
	return clock_mono_ms() / 1000u;
}

static struct guard_rules
rules_of(const struct conf *conf)
{
	const struct conf_auth *a = &conf->auth;

	return (struct guard_rules){
		.failures = a->max_failures,
		.network_failures = a->max_network_failures,
		.account_failures = a->max_account_failures,
		.window = a->failure_window,
		.block = a->block_time,
		.known = a->known_time,
		.trusted = a->trusted_networks.list,
		.trusted_count = a->trusted_networks.count,
	};
}

static struct guard_try
try_of(const struct gate *g)
{
	return (struct guard_try){ g->ip, slice_of(g->name, g->name_len), g->password };
}

static void
set_name(struct gate *g, struct slice name)
{
	g->named = true;
	g->name_len = name.len < sizeof g->name ? name.len : sizeof g->name;
	if (g->name_len > 0)
		memcpy(g->name, name.ptr, g->name_len);
}

/* The first name is that of whoever proves to be somebody. */
static enum rc
gate_find(void *arg, struct slice name, struct arena *a, struct sasl_account *out, struct err *e)
{
	const struct sasl_accounts *inner;
	struct guard_rules rules;
	struct guard_try t;
	struct gate *g = arg;
	enum rc rc;

	inner = server_sasl_accounts(g->srv);
	rc = inner->find(inner->arg, name, a, out, e);
	if (g->named || g->exempt || (rc != RC_OK && rc != RC_NOT_FOUND))
		return rc;
	set_name(g, rc == RC_OK ? out->name : name);
	rules = rules_of(g->conf);
	t = try_of(g);
	g->blocked = !guard_allows(server_guard(g->srv), &rules, &t, now_s());
	return g->blocked ? err_set(e, RC_BUSY, GATE_BLOCKED) : rc;
}

static const struct sasl_verifier *
gate_recall(void *arg, const struct sasl_account *a, unsigned service, struct slice password)
{
	struct gate *g = arg;

	if (g->conf->auth.remember == 0)
		return NULL;
	return remember_find(server_remember(g->srv), a, service, password, now_s(), &g->until_s);
}

/* What cannot be put into the present form stays as it is: it has let somebody in, after all. */
static void
upgrade(struct gate *g, struct slice value, struct slice name, struct slice password)
{
	struct err e = ERR_INIT;

	if (!credential_wants_upgrade(value) ||
	    !slice_to_cstr(name, g->credential, sizeof g->credential))
		return;
	buf_reset(&g->old_value);
	buf_reset(&g->new_value);
	if (credential_upgrade(value, password, &g->new_value, &e) != RC_OK ||
	    !buf_append_slice(&g->old_value, value))
		buf_reset(&g->new_value);
}

static void
gate_accepted(void *arg, const struct sasl_account *a, unsigned service,
              const struct sasl_verifier *used, struct slice password)
{
	struct gate *g = arg;
	uint64_t now = now_s(), remember = g->conf->auth.remember;

	remember_put(server_remember(g->srv), a, service, password, used, now, remember);
	g->until_s = remember > 0 ? now + remember : 0;
	upgrade(g, used->text, used->name, password);
}

static void
gate_rejected(void *arg, const struct sasl_account *a, struct slice password)
{
	struct gate *g = arg;

	(void)a;
	g->password = guard_password(server_guard(g->srv), password);
}

void
gate_open(struct gate *g, struct server *srv, const struct conf *conf, const uint8_t *ip)
{
	*g = (struct gate){ .srv = srv, .conf = conf, .ip = ip };
	g->version = server_accounts_version(srv);
	g->accounts = (struct sasl_accounts){ g, gate_find, gate_recall, gate_accepted,
	                                      gate_rejected };
	buf_init(&g->old_value, VALUE_MAX);
	buf_init(&g->new_value, VALUE_MAX);
}

void
gate_close(struct gate *g)
{
	secret_wipe_buf(&g->old_value);
	secret_wipe_buf(&g->new_value);
	buf_fini(&g->old_value);
	buf_fini(&g->new_value);
	g->srv = NULL;
}

void
gate_exempt(struct gate *g)
{
	g->exempt = true;
}

const struct sasl_accounts *
gate_accounts(const struct gate *g)
{
	return &g->accounts;
}

bool
gate_is_blocked(const struct gate *g)
{
	return g->blocked;
}

bool
gate_saw_wrong(const struct gate *g)
{
	return g->password != 0;
}

bool
gate_recognize(struct gate *g, unsigned service, struct slice name, struct slice password,
               struct arena *a, struct guest *out)
{
	struct guard_rules rules = rules_of(g->conf);
	struct guard_try t;

	if (g->conf->auth.remember == 0 ||
	    !familiar_find(server_familiar(g->srv), service, name, password, g->version, now_s(), a,
	                   out))
		return false;
	set_name(g, out->account.name);
	t = try_of(g);
	return guard_allows(server_guard(g->srv), &rules, &t, now_s());
}

void
gate_acquaint(const struct gate *g, unsigned service, struct slice name, struct slice password,
              const struct guest *who)
{
	if (g->until_s != 0)
		familiar_put(server_familiar(g->srv), service, name, password, g->version,
		             g->until_s, who);
}

static void
log_block(const struct gate *g, const struct guard_outcome *o)
{
	char text[NETWORK_TEXT_MAX];
	struct network net;
	struct logline l;

	network_of_peer(g->ip, &net);
	network_format(&net, text);
	log_begin(&l, LOGLEVEL_WARN, "auth.blocked");
	log_cstr(&l, "network", text);
	if (!o->network)
		log_str(&l, "user", slice_of(g->name, g->name_len));
	log_u64(&l, "seconds", o->blocked_s);
	log_end(&l);
}

unsigned
gate_failed(struct gate *g, struct slice claimed)
{
	struct guard_rules rules = rules_of(g->conf);
	struct guard_outcome o;
	struct guard_try t;

	if (g->exempt)
		return 1;
	if (g->blocked)
		return GUARD_FAILURES_MOST;
	if (!g->named)
		set_name(g, claimed);
	t = try_of(g);
	guard_failed(server_guard(g->srv), &rules, &t, now_s(), &o);
	if (o.blocked_s > 0)
		log_block(g, &o);
	return o.failures;
}

/* Writer's thread. Nobody waits: if the credential was changed meanwhile it stays what
 * it has become. */
static void
upgraded(struct change *c, void *arg)
{
	struct logline l;

	(void)arg;
	if (c->rc == RC_OK) {
		log_begin(&l, LOGLEVEL_INFO, "auth.upgraded");
		log_u64(&l, "account", c->u.account.id);
		log_str(&l, "credential", c->u.account.credential_name);
		log_end(&l);
	}
	change_free(&c);
}

static void
submit_upgrade(const struct gate *g, struct volume *v, account_id account, struct frame_who who)
{
	struct change *c = change_new(CHANGE_CREDENTIAL);

	if (c == NULL)
		return;
	c->u.account.id = account;
	c->u.account.credential_name = arena_dup(&c->arena, slice_str(g->credential));
	c->u.account.credential_value = arena_dup(&c->arena, buf_slice(&g->new_value));
	c->u.account.credential_old = arena_dup(&c->arena, buf_slice(&g->old_value));
	c->u.account.same_secret = true;
	if (c->u.account.credential_name.ptr == NULL || c->u.account.credential_value.ptr == NULL ||
	    c->u.account.credential_old.ptr == NULL) {
		change_free(&c);
		return;
	}
	c->who = who;
	c->done = upgraded;
	volume_submit(v, c);
}

void
gate_succeeded(struct gate *g, struct slice authenticated, struct volume *v,
               const struct account_info *account, struct frame_who who)
{
	struct guard_rules rules = rules_of(g->conf);
	struct guard_try t;

	if (!g->exempt) {
		set_name(g, authenticated);
		t = try_of(g);
		guard_succeeded(server_guard(g->srv), &rules, &t, now_s());
	}
	/* Of an admin who acts as another the credential is in the other account's volume
	 * only by chance. */
	if (g->new_value.len > 0 && slice_eq(authenticated, account->name))
		submit_upgrade(g, v, account->id, who);
}
