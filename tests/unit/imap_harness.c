/* imap_harness - see imap_harness.h. */
#include "tests/unit/imap_harness_impl.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "sasl/credential.h"
#include "sasl/library.h"
#include "server/aliases.h"
#include "server/regulars.h"
#include "server/core.h"
#include "server/guard.h"
#include "server/imap/imap.h"
#include "server/familiar.h"
#include "server/remember.h"
#include "server/server.h"
#include "server/session.h"

/* ---- the world ---- */

static void
on_notify(void *arg, struct volume *v, mailbox_id mailbox, mail_modseq modseq)
{
	struct imap_world *w = arg;

	(void)v;
	pthread_mutex_lock(&w->lock);
	for (size_t i = 0; i < SESSIONS_MAX && !w->mute; i++) {
		struct session *s = w->sessions[i];

		if (s == NULL || s->watched != mailbox)
			continue;
		s->latest = modseq > s->latest ? modseq : s->latest;
		s->changed = s->changed || s->listens;
	}
	pthread_cond_broadcast(&w->happened);
	pthread_mutex_unlock(&w->lock);
}

static enum rc
find_account(void *arg, struct slice name, struct arena *a, struct sasl_account *out, struct err *e)
{
	struct imap_world *w = arg;
	struct account_info info;
	struct credential_info *creds;
	struct sasl_verifier *verifiers;
	size_t n;
	enum rc rc = volume_find_account(w->volume, name, a, &info, e);

	if (rc == RC_OK)
		rc = volume_list_credentials(w->volume, info.id, a, &creds, &n, e);
	if (rc != RC_OK)
		return rc;
	verifiers = arena_array(a, n + 1, sizeof *verifiers);
	assert_non_null(verifiers);
	for (size_t i = 0; i < n; i++)
		verifiers[i] = (struct sasl_verifier){ creds[i].name,
		                                       credential_scope(creds[i].value),
		                                       creds[i].value };
	*out = (struct sasl_account){ info.name, info.id, (info.flags & ACCOUNT_LOCKED) != 0,
	                              verifiers, n };
	return RC_OK;
}

static void
make_account(struct imap_world *w)
{
	struct change *c = change_new(CHANGE_ACCOUNT_CREATE);
	struct buf verifier;
	struct err e = ERR_INIT;

	assert_non_null(c);
	buf_init(&verifier, CREDENTIAL_TEXT_MAX);
	assert_int_equal(credential_make(SLICE("secret"), &verifier, &e), RC_OK);
	c->u.account.name = arena_dup(&c->arena, SLICE("anna"));
	c->u.account.credential_name = arena_dup(&c->arena, SLICE("password"));
	c->u.account.credential_value = arena_dup(&c->arena, buf_slice(&verifier));
	assert_int_equal(volume_submit_wait(w->volume, c), RC_OK);
	w->account = c->u.account.id;
	change_free(&c);
	buf_fini(&verifier);
}

static void
open_volume(struct imap_world *w)
{
	struct volume_params params = { .name = "v1", .path = w->dir, .mode = VOLUME_WRITE,
	                                .notify = on_notify,
	                                .notify_arg = w };
	struct err e = ERR_INIT;

	if (volume_open(&params, &w->volume, &e) != RC_OK)
		fail_msg("%s", e.text);
}

struct volume *
imap_world_reopen(struct imap_world *w)
{
	volume_close(&w->volume);
	open_volume(w);
	return w->volume;
}

int
imap_world_setup(void **state)
{
	static bool sasl_ready;
	struct imap_world *w = calloc(1, sizeof *w);
	struct err e = ERR_INIT;

	assert_non_null(w);
	strcpy(w->dir, "/tmp/imap-world-XXXXXX");
	assert_non_null(mkdtemp(w->dir));
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->happened, NULL);
	if (!sasl_ready && sasl_library_init(NULL, &e) == RC_OK)
		sasl_ready = true;
	log_set_level(LOGLEVEL_ERROR);
	if (volume_create(w->dir, &e) != RC_OK)
		fail_msg("%s", e.text);
	open_volume(w);
	w->sasl = (struct sasl_accounts){ .arg = w, .find = find_account };
	assert_int_equal(guard_new(&w->guard, &e), RC_OK);
	assert_int_equal(remember_new(&w->remember, &e), RC_OK);
	assert_int_equal(familiar_new(&w->familiar, &e), RC_OK);
	w->conf.limits = (struct conf_limits){ .message_size = 1u << 20, .command_size = 65536,
	                                       .bad_commands = 20,
	                                       .auth_timeout = 120, .auth_failures = 3,
	                                       .progress_interval = 3600000 };
	w->conf.server.unauthenticate = true;
	w->protocol = &imap_protocol;
	imap_world_next_stream(w, false, true, true);
	imap_world_next_peer(w, "127.0.0.1", "");
	w->conf.lmtp.aliases = w->conf.lmtp.postmaster = "";
	w->settings.conf = &w->conf;
	assert_int_equal(alias_book_new(&w->aliases, &e), RC_OK);
	assert_int_equal(regulars_new(&w->regulars, &e), RC_OK);
	make_account(w);
	*state = w;
	return 0;
}

int
imap_world_teardown(void **state)
{
	struct imap_world *w = *state;
	char command[128];

	pool_free(&w->pool);
	volume_close(&w->volume);
	alias_book_free(&w->aliases);
	regulars_free(&w->regulars);
	guard_free(&w->guard);
	remember_free(&w->remember);
	familiar_free(&w->familiar);
	snprintf(command, sizeof command, "rm -rf '%s'", w->dir);
	assert_int_equal(system(command), 0);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->happened);
	free(w);
	return 0;
}

void
imap_world_mute(struct imap_world *w)
{
	pthread_mutex_lock(&w->lock);
	w->mute = true;
	pthread_mutex_unlock(&w->lock);
}

void
imap_world_help(struct imap_world *w, unsigned threads)
{
	struct err e = ERR_INIT;

	pool_free(&w->pool);
	if (threads > 0)
		assert_int_equal(pool_new(threads, &w->pool, &e), RC_OK);
}

struct pool *
imap_world_pool(struct imap_world *w)
{
	return w->pool;
}

struct conf *
imap_world_conf(struct imap_world *w)
{
	return &w->conf;
}

struct volume *
imap_world_volume(struct imap_world *w)
{
	return w->volume;
}

account_id
imap_world_account(struct imap_world *w)
{
	return w->account;
}

const char *
imap_world_dir(struct imap_world *w)
{
	return w->dir;
}

void
imap_world_speak(struct imap_world *w, const struct protocol *protocol)
{
	w->protocol = protocol;
}

void
imap_world_next_stream(struct imap_world *w, bool tls, bool plaintext_allowed, bool can_starttls)
{
	w->tls = tls;
	w->plaintext = plaintext_allowed;
	w->starttls = can_starttls;
}

void
imap_world_next_peer(struct imap_world *w, const char *peer, const char *certificate)
{
	w->peer = peer;
	w->certificate = certificate;
}

mail_uid
imap_world_deliver(struct imap_world *w, const char *mailbox, const char *message)
{
	struct change *c = change_new(CHANGE_APPEND);
	struct append_message *m = arena_array(&c->arena, 1, sizeof *m);
	struct mailbox_info box;
	struct ingest *in;
	struct err e = ERR_INIT;
	mail_uid uid;

	assert_int_equal(volume_find_mailbox(w->volume, w->account, slice_str(mailbox), &c->arena,
	                                     &box, &e),
	                 RC_OK);
	assert_int_equal(ingest_new(w->volume, 0, &in, &e), RC_OK);
	assert_int_equal(ingest_feed(in, slice_str(message), &e), RC_OK);
	m->targets = arena_array(&c->arena, 1, sizeof *m->targets);
	m->targets[0].mailbox = box.id;
	m->target_count = 1;
	m->keywords = SLICE("");
	m->internaldate = (struct mail_date){ 837593065, 120 };
	assert_int_equal(ingest_finish(&in, &m->content, &e), RC_OK);
	c->u.append.messages = m;
	c->u.append.message_count = 1;
	assert_int_equal(volume_submit_wait(w->volume, c), RC_OK);
	uid = m->targets[0].uid;
	change_free(&c);
	return uid;
}

/* ---- the core's half of the contract ---- */

static void
drain(struct session *s)
{
	assert_false(s->out.failed);
	if (s->out.len > s->largest)
		s->largest = s->out.len;
	assert_true(buf_append_slice(&s->received, buf_slice(&s->out)));
	buf_reset(&s->out);
}

static void
wait_for_wake(struct session *s)
{
	pthread_mutex_lock(&s->w->lock);
	while (!s->wake)
		pthread_cond_wait(&s->w->happened, &s->w->lock);
	s->wake = false;
	pthread_mutex_unlock(&s->w->lock);
}

/* A command's steps. False: the session ends. */
static bool
run_steps(struct session *s)
{
	const struct protocol *p = s->w->protocol;

	for (;;) {
		bool light = p->light != NULL && p->light(s->state);
		enum step_result r = p->step(s->state);

		s->steps++;
		s->light_steps += light;
		drain(s);
		switch (r) {
		case STEP_MORE:
			if (s->steps == s->end_after)
				return false;
			break;
		case STEP_DONE:
			return true;
		case STEP_WAIT_ADVANCE:
		case STEP_WAIT:
			wait_for_wake(s);
			break;
		case STEP_POOL:
			assert_true(light);
			s->refused_steps++;
			break;
		case STEP_CLOSE:
			return false;
		}
	}
}

static void
take_changed(struct session *s)
{
	pthread_mutex_lock(&s->w->lock);
	if (s->changed)
		s->notified = true;
	s->changed = false;
	pthread_mutex_unlock(&s->w->lock);
}

static bool
is_changed(struct session *s)
{
	bool changed;

	pthread_mutex_lock(&s->w->lock);
	changed = s->changed;
	pthread_mutex_unlock(&s->w->lock);
	return changed;
}

static void
end(struct session *s)
{
	drain(s);
	s->closed = true;
}

static void
run(struct session *s, enum session_next next)
{
	while (!s->closed) {
		unsigned lights = s->light_steps;
		bool quiet;

		drain(s);
		switch (next) {
		case NEXT_INPUT:
			if (!is_changed(s))
				return;
			break;
		case NEXT_STEP:
			if (!run_steps(s)) {
				end(s);
				return;
			}
			break;
		case NEXT_AGAIN:
			break;
		case NEXT_STARTTLS:
			buf_fini(&s->in);
			s->tls = true;
			s->starttls = false;
			break;
		case NEXT_COMPRESS:     /* octets are the same here: tests/unit/test_deflate.c
		                         * has the filter */
			s->compressed = true;
			break;
		case NEXT_PLAIN:
			s->compressed = false;
			break;
		case NEXT_CLOSE:
			end(s);
			return;
		}
		take_changed(s);
		quiet = s->light_steps > lights && s->in.len == 0 && !s->notified;
		next = s->w->protocol->advance(s->state);
		assert_false(quiet && next == NEXT_CLOSE);      /* the light step says so: STEP_CLOSE */
	}
}

struct session *
imap_connect(struct imap_world *w)
{
	struct session *s = calloc(1, sizeof *s);
	size_t i = 0;

	assert_non_null(s);
	s->w = w;
	s->soft = SESSION_OUT_SOFT;
	s->tls = w->tls;
	s->plaintext = w->plaintext;
	s->starttls = w->starttls;
	s->peer = w->peer;
	if (!session_is_unix(s))
		assert_true(network_parse(slice_str(s->peer), &s->from));
	s->certificate = w->certificate;
	buf_init(&s->in, SESSION_IN_MAX);
	buf_init(&s->out, SESSION_OUT_MAX);
	buf_init(&s->received, 256u << 20);
	pthread_mutex_lock(&w->lock);
	while (w->sessions[i] != NULL)
		i++;
	assert_true(i < SESSIONS_MAX);
	w->sessions[i] = s;
	pthread_mutex_unlock(&w->lock);
	s->state = s->w->protocol->open(s);
	assert_non_null(s->state);
	run(s, s->w->protocol->greet(s->state));
	return s;
}

void
imap_disconnect(struct session **sp)
{
	struct session *s = *sp;

	pthread_mutex_lock(&s->w->lock);
	for (size_t i = 0; i < SESSIONS_MAX; i++) {
		if (s->w->sessions[i] == s)
			s->w->sessions[i] = NULL;
	}
	pthread_mutex_unlock(&s->w->lock);
	if (s->w->protocol->cleanup != NULL)
		s->w->protocol->cleanup(s->state);
	s->w->protocol->close(s->state);
	buf_fini(&s->in);
	buf_fini(&s->out);
	buf_fini(&s->received);
	free(s);
	*sp = NULL;
}

void
imap_send(struct session *s, struct slice bytes)
{
	while (bytes.len > 0 && !s->closed) {
		size_t n = bytes.len < buf_room(&s->in) ? bytes.len : buf_room(&s->in);

		assert_true(n > 0);
		assert_true(buf_append_slice(&s->in, slice_sub(bytes, 0, n)));
		bytes = slice_sub(bytes, n, bytes.len);
		take_changed(s);
		run(s, s->w->protocol->advance(s->state));
	}
}

void
imap_wait_notified(struct session *s)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 1;
	pthread_mutex_lock(&s->w->lock);
	while (!s->changed && pthread_cond_timedwait(&s->w->happened, &s->w->lock, &until) == 0)
		;
	pthread_mutex_unlock(&s->w->lock);
	if (s->closed)
		return;
	take_changed(s);
	run(s, s->w->protocol->advance(s->state));
}

struct slice
imap_received(const struct session *s)
{
	return buf_slice(&s->received);
}

void
imap_forget(struct session *s)
{
	buf_reset(&s->received);
}

bool
imap_is_closed(const struct session *s)
{
	return s->closed;
}

void
imap_set_out_soft(struct session *s, size_t octets)
{
	s->soft = octets;
}

unsigned
imap_steps(const struct session *s)
{
	return s->steps;
}

unsigned
imap_long_turns(const struct session *s)
{
	return s->long_turns;
}

void
imap_end_after(struct session *s, unsigned steps)
{
	s->end_after = steps;
}

unsigned
imap_light_steps(const struct session *s)
{
	return s->light_steps;
}

unsigned
imap_refused_steps(const struct session *s)
{
	return s->refused_steps;
}

size_t
imap_largest_output(const struct session *s)
{
	return s->largest;
}

void *
imap_session_state(struct session *s)
{
	return s->state;
}

/* ---- scripts ---- */

/* `want` with "<*>" for any text; the shortest that lets the rest match. */
static bool
matches(struct slice want, struct slice got)
{
	size_t star = slice_find(want, SLICE("<*>"));

	if (star == want.len)
		return slice_eq(want, got);
	if (!slice_starts(got, slice_sub(want, 0, star)))
		return false;
	want = slice_sub(want, star + 3, want.len);
	for (size_t from = star; from <= got.len; from++) {
		if (matches(want, slice_sub(got, from, got.len)))
			return true;
	}
	return false;
}

static void
expect(struct session *s, const struct imap_exchange *x)
{
	struct slice got = imap_received(s);

	if (!matches(slice_str(x->expect), got))
		fail_msg("\nsent:     %s\nexpected: %s\nreceived: %.*s",
		         x->send != NULL ? x->send : "(nothing)", x->expect, SLICE_ARG(got));
	imap_forget(s);
}

void
imap_play(struct session *s, const struct imap_exchange *x, size_t count, bool split)
{
	for (size_t i = 0; i < count; i++) {
		struct slice bytes = slice_str(x[i].send);

		if (x[i].send == NULL)
			imap_wait_notified(s);
		for (size_t k = 0; split && k < bytes.len; k++)
			imap_send(s, slice_sub(bytes, k, k + 1));
		if (!split)
			imap_send(s, bytes);
		expect(s, &x[i]);
	}
}

void
imap_script_raw(struct imap_world *w, const struct imap_exchange *x, size_t count)
{
	for (int split = 0; split < 2; split++) {
		struct session *s = imap_connect(w);

		imap_play(s, x, count, split == 1);
		imap_disconnect(&s);
	}
}

void
imap_script(struct imap_world *w, const struct imap_exchange *x, size_t count)
{
	static const struct imap_exchange login[] = {
		{ "", "* OK [CAPABILITY <*>\r\n" },
		{ "login LOGIN anna secret\r\n", "login OK [CAPABILITY <*>] Logged in\r\n" },
	};

	for (int split = 0; split < 2; split++) {
		struct session *s = imap_connect(w);

		imap_play(s, login, UNIT_COUNT(login), false);
		imap_play(s, x, count, split == 1);
		imap_disconnect(&s);
	}
}
