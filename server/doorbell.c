/* doorbell - see doorbell.h. An eventfd where there is one, else a pipe. */
#define _GNU_SOURCE
#include "server/doorbell.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <unistd.h>

#ifdef __linux__
#include <sys/eventfd.h>

static int
open_ends(struct doorbell *d)
{
	d->inside = d->outside = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return d->inside < 0 ? -1 : 0;
}
#else
static int
open_ends(struct doorbell *d)
{
	int ends[2];

	if (pipe(ends) != 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		(void)fcntl(ends[i], F_SETFD, FD_CLOEXEC);
		(void)fcntl(ends[i], F_SETFL, O_NONBLOCK);
	}
	d->inside = ends[0];
	d->outside = ends[1];
	return 0;
}
#endif

static void
on_readable(uv_poll_t *poll, int status, int events)
{
	struct doorbell *d = (struct doorbell *)(void *)poll;
	uint64_t rings[32];

	(void)status, (void)events;
	while (read(d->inside, rings, sizeof rings) == (ssize_t)sizeof rings)
		;
	d->rung(d);
}

enum rc
doorbell_open(struct doorbell *d, uv_loop_t *loop, void (*rung)(struct doorbell *d), struct err *e)
{
	int failed;

	d->rung = rung;
	if (open_ends(d) != 0)
		return err_os(e, errno, "event loop wake-up");
	failed = uv_poll_init(loop, &d->poll, d->inside);
	if (failed != 0) {
		doorbell_close(d);
		return err_os(e, -failed, "event loop wake-up");
	}
	failed = uv_poll_start(&d->poll, UV_READABLE, on_readable);
	assert(failed == 0);
	return RC_OK;
}

/* A bell that is full of rings rings. */
void
doorbell_ring(struct doorbell *d)
{
	static const uint64_t one = 1;
	ssize_t n;

	do
		n = write(d->outside, &one, sizeof one);
	while (n < 0 && errno == EINTR);
}

void
doorbell_unplug(struct doorbell *d)
{
	uv_close((uv_handle_t *)&d->poll, NULL);
}

void
doorbell_close(struct doorbell *d)
{
	close(d->inside);
	if (d->outside != d->inside)
		close(d->outside);
}
