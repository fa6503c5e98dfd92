/* sim_bytes - see sim_impl.h.
 *
 * An edit keeps the old bytes and the new ones: what is durable is the file as it is with its edits
 * taken back, so a sync costs nothing but forgetting them, and no second copy of any file is kept.
 */
#define _GNU_SOURCE
#include "tests/crash/sim_impl.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
sim_our_fd(struct sim_file *f)
{
	if (f->fd < 0) {
		f->fd = open(f->real, O_RDWR | O_CLOEXEC);
		assert(f->fd >= 0);
	}
	return f->fd;
}

uint64_t
sim_size_of(struct sim_file *f)
{
	struct stat st;

	return fstat(sim_our_fd(f), &st) == 0 ? (uint64_t)st.st_size : 0;
}

static struct edit *
add_edit(struct sim_file *f, uint64_t off, size_t len, size_t old_len, const void *bytes)
{
	struct edit *ed = sim_must(calloc(1, sizeof *ed));

	ed->seq = ++sim.seq;
	ed->off = off;
	ed->len = len;
	ed->old_len = old_len;
	ed->bytes = sim_must(malloc(len + old_len + 1));
	if (bytes != NULL)
		memcpy(ed->bytes, bytes, len);
	else
		memset(ed->bytes, 0, len);
	ed->prev = f->last;
	if (f->last != NULL)
		f->last->next = ed;
	else
		f->first = ed;
	f->last = ed;
	return ed;
}

void
sim_free_edits(struct sim_file *f)
{
	while (f->first != NULL) {
		struct edit *ed = f->first;

		f->first = ed->next;
		free(ed->bytes);
		free(ed);
	}
	f->last = NULL;
}

/* Pages that are written to again are dirty again, as a whole. */
static void
dirty_stale(struct sim_file *f, uint64_t off, uint64_t end)
{
	struct stale **p = &f->stale, *s;

	while ((s = *p) != NULL) {
		struct edit *ed;

		if (s->off >= end || s->off + s->len <= off) {
			p = &s->next;
			continue;
		}
		ed = add_edit(f, s->off, s->len, s->len, NULL);
		ed->old_size = ed->new_size = sim_size_of(f);
		if (pread(f->fd, ed->bytes, s->len, (off_t)s->off) < 0)
			abort();
		memcpy(ed->bytes + ed->len, s->disk, s->len);
		*p = s->next;
		free(s);
	}
}

/* A write that is about to be done, or zeros with bytes NULL. */
void
sim_note_write(struct sim_file *f, uint64_t off, size_t len, const void *bytes)
{
	uint64_t size = sim_size_of(f);
	size_t old_len = off >= size ? 0 : size - off < len ? (size_t)(size - off) : len;
	struct edit *ed;

	if (len == 0)
		return;
	dirty_stale(f, off / PAGE * PAGE, (off + len + PAGE - 1) / PAGE * PAGE);
	ed = add_edit(f, off, len, old_len, bytes);
	ed->old_size = size;
	ed->new_size = off + len > size ? off + len : size;
	if (old_len > 0 && pread(f->fd, ed->bytes + len, old_len, (off_t)off) != (ssize_t)old_len)
		abort();
}

void
sim_note_truncate(struct sim_file *f, uint64_t len)
{
	uint64_t size = sim_size_of(f);
	size_t old_len = len < size ? (size_t)(size - len) : 0;
	struct edit *ed;

	dirty_stale(f, len / PAGE * PAGE, UINT64_MAX);
	ed = add_edit(f, len, 0, old_len, NULL);
	ed->old_size = size;
	ed->new_size = len;
	ed->truncates = true;
	if (old_len > 0 && pread(f->fd, ed->bytes, old_len, (off_t)len) != (ssize_t)old_len)
		abort();
}

struct image {
	uint8_t *bytes;
	uint64_t size, cap;
};

bool
sim_keeps(const struct fate *t, uint64_t seq)
{
	switch (t->mood) {
	case KEEP_NONE:
		return false;
	case KEEP_ALL:
		return true;
	case KEEP_FIRST:
		return seq <= t->up_to;
	case KEEP_SOME:
	case KEEP_LENGTHS:
	case KEEP_FILES:
		return sim_draw(2) == 0;
	case MOODS:
		break;
	}
	return false;
}

/* The edit's sectors, each by chance, or a first part of them. */
static void
tear(const struct edit *ed, struct image *im)
{
	uint64_t unit = sim_draw(2) == 0 ? SECTOR : PAGE, end = ed->off + ed->len;
	uint64_t until = sim_draw(2) == 0 ? ed->off + sim_draw(ed->len) : UINT64_MAX;

	for (uint64_t at = ed->off; at < end;) {
		uint64_t next = (at / unit + 1) * unit;
		size_t n = (size_t)((next < end ? next : end) - at);

		if (until == UINT64_MAX ? sim_draw(2) == 0 : next <= until) {
			memcpy(im->bytes + at, ed->bytes + (at - ed->off), n);
			if (at + n > im->size)
				im->size = at + n;
		}
		at += n;
	}
}

static void
redo(const struct edit *ed, const struct fate *t, struct image *im)
{
	bool torn = (t->mood == KEEP_FIRST && ed->seq == t->up_to) ||
	            (t->mood >= KEEP_SOME && sim_draw(4) == 0);

	if (!sim_keeps(t, ed->seq)) {
		if (t->mood == KEEP_LENGTHS && ed->new_size > im->size && sim_draw(2) == 0)
			im->size = ed->new_size;
		return;
	}
	if (ed->truncates) {
		if (ed->new_size < im->size)
			memset(im->bytes + ed->new_size, 0, im->size - ed->new_size);
		im->size = ed->new_size;
	} else if (torn) {
		tear(ed, im);
	} else {
		memcpy(im->bytes + ed->off, ed->bytes, ed->len);
		if (ed->off + ed->len > im->size)
			im->size = ed->off + ed->len;
	}
}

static void
undo(const struct edit *ed, struct image *im)
{
	memcpy(im->bytes + ed->off, ed->bytes + ed->len, ed->old_len);
	if (ed->old_size < im->size)
		memset(im->bytes + ed->old_size, 0, im->size - ed->old_size);
	im->size = ed->old_size;
}

/* What the disk holds of the file if these are the chances. */
static void
develop(struct sim_file *f, const struct fate *t, struct image *im)
{
	uint64_t size = sim_size_of(f);

	im->cap = size;
	for (const struct edit *ed = f->first; ed != NULL; ed = ed->next) {
		uint64_t most = ed->old_size > ed->new_size ? ed->old_size : ed->new_size;

		if (most > im->cap)
			im->cap = most;
	}
	im->bytes = sim_must(calloc(1, im->cap + 1));
	im->size = size;
	for (uint64_t at = 0; at < size;) {
		ssize_t n = pread(f->fd, im->bytes + at, size - at, (off_t)at);

		if (n <= 0)
			abort();
		at += (uint64_t)n;
	}
	for (const struct stale *s = f->stale; s != NULL; s = s->next)
		memcpy(im->bytes + s->off, s->disk, s->len);
	for (const struct edit *ed = f->last; ed != NULL; ed = ed->prev)
		undo(ed, im);
	for (const struct edit *ed = f->first; ed != NULL; ed = ed->next)
		redo(ed, t, im);
}

void
sim_free_stale(struct sim_file *f)
{
	while (f->stale != NULL) {
		struct stale *s = f->stale;

		f->stale = s->next;
		free(s);
	}
}

/* A sync that failed: by chance each edit is on the disk or not, and the pages that are not
 * count as clean. */
void
sim_fail_sync(struct sim_file *f)
{
	struct fate t = { .mood = KEEP_SOME };
	struct image im;
	uint8_t cache[PAGE];
	uint64_t size = sim_size_of(f);

	if (f->first == NULL)
		return;
	t.mood = sim_draw(2) == 0 ? KEEP_NONE : KEEP_SOME;
	develop(f, &t, &im);
	sim_free_edits(f);
	sim_free_stale(f);
	if (im.cap < size)
		abort();
	for (uint64_t at = 0; at < size; at += PAGE) {
		size_t n = size - at < PAGE ? (size_t)(size - at) : PAGE;
		struct stale *s;

		if (pread(f->fd, cache, n, (off_t)at) != (ssize_t)n)
			abort();
		if (memcmp(cache, im.bytes + at, n) == 0)
			continue;
		s = sim_must(calloc(1, sizeof *s));
		s->off = at;
		s->len = n;
		memcpy(s->disk, im.bytes + at, n);
		s->next = f->stale;
		f->stale = s;
	}
	free(im.bytes);
}

void
sim_put_image(struct sim_file *f, const struct fate *t)
{
	struct fate whole = *t;
	struct image im;

	if (f->is_dir || (f->first == NULL && f->stale == NULL))
		return;
	if (t->mood == KEEP_FILES)
		whole.mood = sim_draw(2) == 0 ? KEEP_ALL : KEEP_NONE;
	develop(f, &whole, &im);
	if (ftruncate(f->fd, 0) != 0 || ftruncate(f->fd, (off_t)im.size) != 0)
		abort();
	if (im.size > 0 && pwrite(f->fd, im.bytes, im.size, 0) != (ssize_t)im.size)
		abort();
	free(im.bytes);
}
