/* tokens - see tokens.h.
 *
 * There is no watcher: a look costs an open and a stat, tokens are verified on pool threads, and a
 * set of keys that nobody is using may be as old as it likes. One thread looks, the others take
 * what there is meanwhile.
 */
#include "server/tokens.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/logging.h"
#include "server/keys.h"

#define LOOK_MS 1000u

struct tokens {
	struct sasl_tokens sasl;
	const char        *path;
	pthread_mutex_t    lock;        /* of what follows */
	struct jwks       *keys;
	struct stat        seen;        /* of the file, good or not, that was read last; zeros: it
	                                 * could not be opened */
	uint64_t           looked_ms;
};

static bool
is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static enum rc
read_all(int fd, struct buf *out, struct err *e)
{
	for (;;) {
		uint8_t *to = buf_reserve(out, 4096);
		ssize_t n;

		if (to == NULL)
			return err_set(e, RC_SYNTAX, "more than %u bytes", JWKS_FILE_MAX);
		n = read(fd, to, 4096);
		if (n == 0)
			return RC_OK;
		if (n < 0 && errno != EINTR)
			return err_os(e, errno, "read");
		if (n > 0)
			buf_commit(out, (size_t)n);
	}
}

static enum rc
read_keys(const char *path, struct jwks **out, struct stat *st, struct err *e)
{
	struct buf text;
	enum rc rc;
	int fd;

	*out = NULL;
	*st = (struct stat){ 0 };
	rc = keys_open(path, &fd, e);
	if (rc != RC_OK)
		return rc;
	buf_init(&text, JWKS_FILE_MAX + 4096);
	if (fstat(fd, st) != 0)         /* before it is read: what changes meanwhile is seen
	                                 * at the next look */
		rc = err_os(e, errno, "stat");
	if (rc == RC_OK)
		rc = read_all(fd, &text, e);
	if (rc == RC_OK)
		rc = jwks_parse(buf_slice(&text), out, e);
	close(fd);
	buf_fini(&text);
	return rc == RC_OK ? RC_OK : err_add(e, "%s", path);
}

static void
log_keys(const char *path, const struct jwks *keys)
{
	struct logline l;

	log_begin(&l, LOGLEVEL_INFO, "tokens.keys");
	log_cstr(&l, "file", path);
	log_u64(&l, "count", jwks_count(keys));
	log_end(&l);
}

static void
log_kept(const struct err *e)
{
	struct logline l;

	log_begin(&l, LOGLEVEL_ERROR, "tokens.keys_kept");
	log_err(&l, e);
	log_end(&l);
}

/* Is it this thread's turn to look? `*seen` is then what the file was like. */
static bool
take_turn(struct tokens *t, struct stat *seen)
{
	uint64_t now = clock_mono_ms();
	bool mine;

	pthread_mutex_lock(&t->lock);
	mine = now - t->looked_ms >= LOOK_MS;
	if (mine)
		t->looked_ms = now;
	*seen = t->seen;
	pthread_mutex_unlock(&t->lock);
	return mine;
}

static void
look(struct tokens *t)
{
	struct err e = ERR_INIT;
	struct stat seen, st = { 0 };
	struct jwks *keys = NULL;
	bool gone;

	if (!take_turn(t, &seen))
		return;
	gone = keys_stat(t->path, &st, &e) != RC_OK;
	if (is_same_file(&st, &seen))
		return;
	if (!gone && read_keys(t->path, &keys, &st, &e) == RC_OK)
		log_keys(t->path, keys);
	else
		log_kept(&e);
	pthread_mutex_lock(&t->lock);
	t->seen = st;
	if (keys != NULL) {
		struct jwks *old = t->keys;

		t->keys = keys;
		keys = old;
	}
	pthread_mutex_unlock(&t->lock);
	jwks_unref(&keys);
}

static struct jwks *
give_keys(void *arg)
{
	struct tokens *t = arg;
	struct jwks *keys;

	look(t);
	pthread_mutex_lock(&t->lock);
	keys = jwks_ref(t->keys);
	pthread_mutex_unlock(&t->lock);
	return keys;
}

static void
set_policy(struct tokens *t, const struct conf_auth *conf)
{
	t->sasl = (struct sasl_tokens){
		.policy = {
			.issuer = slice_str(conf->oauth_issuer),
			.audiences = conf->oauth_audience.words,
			.audience_count = conf->oauth_audience.count,
			.claim = slice_str(conf->oauth_claim),
			.scope = slice_str(conf->oauth_scope),
			.skew_s = conf->oauth_skew,
		},
		.hosts = conf->oauth_hosts.words,
		.host_count = conf->oauth_hosts.count,
		.discovery = conf->oauth_discovery,
		.keys = give_keys,
		.keys_arg = t,
	};
}

enum rc
tokens_new(const struct conf_auth *conf, struct tokens **out, struct err *e)
{
	struct tokens *t;
	enum rc rc;

	*out = NULL;
	if (conf->oauth_keys[0] == '\0')
		return RC_OK;
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return err_nomem(e);
	pthread_mutex_init(&t->lock, NULL);
	set_policy(t, conf);
	t->path = conf->oauth_keys;
	t->looked_ms = clock_mono_ms();
	rc = read_keys(t->path, &t->keys, &t->seen, e);
	if (rc != RC_OK) {
		tokens_free(&t);
		return err_add(e, "[auth] oauth_keys");
	}
	*out = t;
	return RC_OK;
}

void
tokens_free(struct tokens **pt)
{
	struct tokens *t = *pt;

	*pt = NULL;
	if (t == NULL)
		return;
	jwks_unref(&t->keys);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

const struct sasl_tokens *
tokens_for_sasl(const struct tokens *t)
{
	return t != NULL ? &t->sasl : NULL;
}
