/* ctl_progress - how far long work is: a bar on a terminal, a plain line now and then elsewhere. */
#include "tools/ctl.h"

#include <inttypes.h>
#include <unistd.h>

#include "lib/clock.h"

#define BAR_AFTER_MS  300u      /* shorter work shows nothing */
#define BAR_STEP_MS   100u
#define LINE_STEP_MS  5000u
#define BAR_WIDTH     30

void
ctl_progress_init(struct ctl_progress *p)
{
	*p = (struct ctl_progress){ .terminal = isatty(STDERR_FILENO) == 1 };
}

void
ctl_progress_clear(struct ctl_progress *p)
{
	if (p->shown)
		fputs("\r\033[K", stderr);
	p->shown = false;
}

/* Another piece of work begins its time anew. True if it is time to tell something. */
static bool
is_due(struct ctl_progress *p, const char *what)
{
	uint64_t now = clock_mono_ms();

	if (strncmp(p->what, what, sizeof p->what - 1) != 0) {
		ctl_progress_clear(p);
		snprintf(p->what, sizeof p->what, "%s", what);
		p->started_ms = p->told_ms = now;
		return false;
	}
	if (now - p->started_ms < BAR_AFTER_MS ||
	    now - p->told_ms < (p->terminal ? BAR_STEP_MS : LINE_STEP_MS))
		return false;
	p->told_ms = now;
	return true;
}

void
ctl_progress_text(
    char *dst, size_t size, const char *what, uint64_t done, uint64_t total, uint64_t ms)
{
	double rate = ms > 0 ? (double)done * 1000.0 / (double)ms : 0.0;
	uint64_t left =
	    rate > 0 && done < total ? (uint64_t)((double)(total - done) / rate) + 1 : 0;
	unsigned percent =
	    total > 0 && done < total ? (unsigned)((double)done * 100.0 / (double)total) : 100;

	snprintf(dst, size, "%s: %u %%, %.1f MB/s, %" PRIu64 ":%02u left", what, percent,
	    rate / 1e6, left / 60, (unsigned)(left % 60));
}

static void
show(struct ctl_progress *p, const char *text, int filled)
{
	char bar[BAR_WIDTH + 1];

	if (!p->terminal) {
		fprintf(stderr, "%s\n", text);
		return;
	}
	for (int i = 0; i < BAR_WIDTH; i++)
		bar[i] = i < filled ? '#' : '.';
	bar[BAR_WIDTH] = '\0';
	if (filled >= 0)
		fprintf(stderr, "\r\033[K[%s] %s", bar, text);
	else
		fprintf(stderr, "\r\033[K%s", text);
	fflush(stderr);
	p->shown = true;
}

void
ctl_progress_show(struct ctl_progress *p, const char *what, uint64_t done, uint64_t total)
{
	char text[200];
	int filled =
	    total > 0 && done < total ? (int)((double)done * BAR_WIDTH / (double)total) : BAR_WIDTH;

	if (!is_due(p, what))
		return;
	ctl_progress_text(text, sizeof text, what, done, total, clock_mono_ms() - p->started_ms);
	show(p, text, filled);
}

void
ctl_progress_count(struct ctl_progress *p, const char *what, uint64_t done)
{
	char text[200];
	uint64_t ms;

	if (!is_due(p, what))
		return;
	ms = clock_mono_ms() - p->started_ms;
	snprintf(text, sizeof text, "%s: %" PRIu64 ", %.1f/s", what, done,
	    ms > 0 ? (double)done * 1000.0 / (double)ms : 0.0);
	show(p, text, -1);
}
