/* tls_watch - notices that certificates have been renewed. See tls_watch.h.
 *
 * Files are read when they have looked the same twice: a program that writes chain and key one
 * after the other is done then, mostly. If not (a new certificate with the old key), what was
 * loaded stays in use, and only what is still wrong after QUIET_MS is an error for the log.
 *
 * Rejected: waiting for events of the file system. Certificates are symbolic links into other
 * directories (certbot), or mounted ones that are exchanged as a whole (containers), or on file
 * systems without events; a look costs some microseconds.
 */
#define _GNU_SOURCE
#include "server/tls_watch.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"

#define LOOK_S   2
#define QUIET_MS 10000u
#define WARN_MS  (24u * 3600u * 1000u)

struct tls_watch {
	struct server  *srv;
	pthread_t       thread;
	pthread_mutex_t lock;                   /* of `ending` */
	pthread_cond_t  wake;
	bool            ending;
	uint8_t         seen[TLS_STAMP_LEN];    /* at the last look */
	uint64_t        failing_ms;             /* since when; 0: not */
	bool            told;                   /* that it fails */
	uint64_t        warned_ms;
};

/* ---- one look ---- */

static void
failed(struct tls_watch *w, const struct err *e)
{
	uint64_t now = clock_mono_ms();
	struct logline l;

	if (w->failing_ms == 0)
		w->failing_ms = now;
	if (w->told || now - w->failing_ms < QUIET_MS)
		return;
	w->told = true;
	log_begin(&l, LOGLEVEL_ERROR, "tls.reload_failed");
	log_err(&l, e);
	log_cstr(&l, "meanwhile", "the certificates that were read before stay in use");
	log_end(&l);
}

static void
look_at(struct tls_watch *w, struct tls *t)
{
	uint8_t loaded[TLS_STAMP_LEN], now[TLS_STAMP_LEN];
	struct err e = ERR_INIT;
	bool still;

	tls_loaded_stamp(t, loaded);
	tls_stamp(t, now);
	still = memcmp(now, w->seen, sizeof now) == 0;
	memcpy(w->seen, now, sizeof now);
	if (memcmp(now, loaded, sizeof now) == 0) {
		w->failing_ms = 0;
		w->told = false;
		return;
	}
	if (!still)
		return;
	if (tls_refresh(t, &e) != RC_OK) {
		failed(w, &e);
		return;
	}
	w->failing_ms = 0;
	w->told = false;
	log_event(LOGLEVEL_INFO, "tls.reloaded", "%s", "");
	tls_log(t);
}

static void
look(struct tls_watch *w)
{
	struct settings *s = server_settings(w->srv);

	if (s->tls != NULL) {
		look_at(w, s->tls);
		tls_tidy(s->tls);
		if (clock_mono_ms() - w->warned_ms >= WARN_MS) {
			w->warned_ms = clock_mono_ms();
			tls_warn(s->tls);
		}
	}
	settings_unref(&s);
}

/* ---- the thread ---- */

/* False: the server ends. */
static bool
pause_between(struct tls_watch *w)
{
	struct timespec until;
	bool go;

	(void)clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += LOOK_S;
	pthread_mutex_lock(&w->lock);
	while (!w->ending && pthread_cond_timedwait(&w->wake, &w->lock, &until) != ETIMEDOUT)
		;
	go = !w->ending;
	pthread_mutex_unlock(&w->lock);
	return go;
}

static void *
watch_main(void *arg)
{
	struct tls_watch *w = arg;

	while (pause_between(w))
		look(w);
	OPENSSL_thread_stop();
	return NULL;
}

enum rc
tls_watch_start(struct server *srv, struct tls_watch **out, struct err *e)
{
	struct tls_watch *w = calloc(1, sizeof *w);
	struct settings *settings;
	pthread_condattr_t attr;
	int failure;

	*out = NULL;
	if (w == NULL)
		return err_nomem(e);
	w->srv = srv;
	w->warned_ms = clock_mono_ms();
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->wake, &attr);
	pthread_condattr_destroy(&attr);
	failure = pthread_create(&w->thread, NULL, watch_main, w);
	if (failure != 0) {
		pthread_cond_destroy(&w->wake);
		pthread_mutex_destroy(&w->lock);
		free(w);
		return err_os(e, failure, "thread that watches certificates");
	}
	settings = server_settings(srv);
	if (settings->tls != NULL)
		tls_log(settings->tls);
	settings_unref(&settings);
	*out = w;
	return RC_OK;
}

void
tls_watch_stop(struct tls_watch **wp)
{
	struct tls_watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	pthread_mutex_lock(&w->lock);
	w->ending = true;
	pthread_cond_signal(&w->wake);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	pthread_cond_destroy(&w->wake);
	pthread_mutex_destroy(&w->lock);
	free(w);
}
