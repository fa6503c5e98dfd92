/* aliases - further names of accounts, from a file. See aliases.h. */
#include "server/aliases.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/logging.h"
#include "lib/text.h"
#include "server/keys.h"

#define LOOK_MS 1000u

struct aliases {
	atomic_uint   refs;
	struct arena  arena;
	struct alias *list;             /* in the order of names */
	size_t        count, room;
};

/* As names of accounts are compared; ptr is NULL without memory. Most are ASCII. */
static struct slice
fold(struct slice name, struct arena *a)
{
	struct slice out = SLICE_NONE;
	struct buf b;

	if (text_is_ascii(name)) {
		uint8_t *to = arena_alloc(a, name.len + 1);

		for (size_t i = 0; to != NULL && i < name.len; i++)
			to[i] = ascii_lower(name.ptr[i]);
		return slice_of(to, to != NULL ? name.len : 0);
	}
	buf_init(&b, 4 * name.len + 16);
	if (text_casefold(name, &b))
		out = arena_dup(a, buf_slice(&b));
	buf_fini(&b);
	return out;
}

/* ---- reading ---- */

struct parser {
	const char     *path;
	struct slice    rest;
	unsigned        line;           /* of what was read last */
	struct aliases *out;
	struct err     *e;
};

static enum rc
fail_at(struct parser *p, unsigned line, const char *what, struct slice word)
{
	if (word.len == 0)
		return err_set(p->e, RC_SYNTAX, "%.200s:%u: %s", p->path, line, what);
	word = text_cut(word, 80);
	return err_set(p->e, RC_SYNTAX, "%.200s:%u: %s: %.*s", p->path, line, what,
	               SLICE_ARG(word));
}

static bool
next_line(struct parser *p, struct slice *out)
{
	size_t lf = slice_find_byte(p->rest, '\n');

	if (p->rest.len == 0)
		return false;
	*out = slice_sub(p->rest, 0, lf);
	p->rest = slice_sub(p->rest, lf + 1, p->rest.len);
	p->line++;
	return true;
}

static bool
is_word(struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] <= 32 || s.ptr[i] == 127)
			return false;
	return s.len > 0 && s.len <= ALIAS_NAME_MAX && text_utf8_valid(s);
}

static enum rc
read_targets(struct parser *p, struct alias *al, struct slice text)
{
	struct slice *list;
	size_t n = 1;

	for (size_t i = 0; i < text.len; i++)
		n += text.ptr[i] == ',';
	if (n > ALIAS_TARGETS_MAX)
		return fail_at(p, al->number, "too many accounts", SLICE_NONE);
	list = arena_array(&p->out->arena, n, sizeof *list);
	if (list == NULL)
		return err_nomem(p->e);
	al->targets = list;
	while (text.len > 0) {
		size_t comma = slice_find_byte(text, ',');
		struct slice word = slice_trim(slice_sub(text, 0, comma));

		text = slice_sub(text, comma + 1, text.len);
		if (word.len == 0)
			continue;
		if (!is_word(word) || strchr("|/:\"<", word.ptr[0]) != NULL)
			return fail_at(p, al->number, "no account of this server", word);
		list[al->count] = arena_dup(&p->out->arena, word);
		if (list[al->count++].ptr == NULL)
			return err_nomem(p->e);
	}
	return al->count > 0 ? RC_OK : fail_at(p, al->number, "an alias for no account", al->name);
}

static struct alias *
new_alias(struct aliases *out)
{
	if (out->count == out->room) {
		size_t room = out->room * 2 + 64;
		struct alias *more = realloc(out->list, room * sizeof *more);

		if (more == NULL)
			return NULL;
		out->list = more;
		out->room = room;
	}
	out->list[out->count] = (struct alias){ .name = SLICE_NONE };
	return &out->list[out->count++];
}

/* "name: targets", continued on lines that begin with a blank, which are put behind
 * it in the arena. */
static enum rc
read_alias(struct parser *p, unsigned number, struct slice text)
{
	size_t colon = slice_find_byte(text, ':');
	struct slice name = slice_trim(slice_sub(text, 0, colon));
	struct alias *al;

	if (colon == text.len)
		return fail_at(p, number, "expected \"name: account, ...\"", SLICE_NONE);
	if (!is_word(name) || slice_eq(name, SLICE("@")))
		return fail_at(p, number, "no name of an alias", name);
	al = new_alias(p->out);
	if (al == NULL)
		return err_nomem(p->e);
	al->number = number;
	al->name = fold(name, &p->out->arena);
	if (al->name.ptr == NULL)
		return err_nomem(p->e);
	return read_targets(p, al, slice_sub(text, colon + 1, text.len));
}

static bool
is_comment(struct slice line)
{
	struct slice t = slice_trim(line);

	return t.len == 0 || t.ptr[0] == '#';
}

static enum rc
read_all(struct parser *p)
{
	struct buf logical;
	struct slice line;
	unsigned began = 0;
	enum rc rc = RC_OK;

	buf_init(&logical, ALIASES_FILE_MAX + 1);
	while (rc == RC_OK && next_line(p, &line)) {
		if (is_comment(line))
			continue;
		if (line.ptr[0] == ' ' || line.ptr[0] == '\t') {
			if (began == 0)
				rc = fail_at(p, p->line, "nothing that this line continues",
				             SLICE_NONE);
		} else {
			if (began != 0)
				rc = read_alias(p, began, buf_slice(&logical));
			buf_reset(&logical);
			began = p->line;
		}
		buf_append_slice(&logical, line);
	}
	if (rc == RC_OK && logical.failed)
		rc = err_nomem(p->e);
	if (rc == RC_OK && began != 0)
		rc = read_alias(p, began, buf_slice(&logical));
	buf_fini(&logical);
	return rc;
}

static int
by_name(const void *a, const void *b)
{
	return slice_cmp(((const struct alias *)a)->name, ((const struct alias *)b)->name);
}

static enum rc
sort_and_check(struct parser *p)
{
	struct aliases *out = p->out;

	if (out->count == 0)
		return RC_OK;
	qsort(out->list, out->count, sizeof *out->list, by_name);
	for (size_t i = 1; i < out->count; i++) {
		const struct alias *a = &out->list[i - 1], *b = &out->list[i];

		if (slice_eq(a->name, b->name))
			return fail_at(p, a->number > b->number ? a->number : b->number,
			               "an alias that was there before", a->name);
	}
	return RC_OK;
}

enum rc
aliases_parse(struct slice text, const char *path, struct aliases **out, struct err *e)
{
	struct parser p = { path, text, 0, calloc(1, sizeof(struct aliases)), e };
	enum rc rc;

	*out = NULL;
	if (p.out == NULL)
		return err_nomem(e);
	atomic_init(&p.out->refs, 1);
	arena_init(&p.out->arena, 8u * ALIASES_FILE_MAX);
	rc = read_all(&p);
	if (rc == RC_OK)
		rc = sort_and_check(&p);
	if (rc != RC_OK) {
		aliases_unref(&p.out);
		return rc;
	}
	*out = p.out;
	return RC_OK;
}

void
aliases_unref(struct aliases **ap)
{
	struct aliases *a = *ap;

	*ap = NULL;
	if (a == NULL || atomic_fetch_sub(&a->refs, 1) > 1)
		return;
	arena_fini(&a->arena);
	free(a->list);
	free(a);
}

enum rc
aliases_find(const struct aliases *all, struct slice name, struct arena *a,
             const struct alias **out, struct err *e)
{
	struct alias wanted = { .name = SLICE_NONE };

	*out = NULL;
	if (all == NULL || all->count == 0)
		return RC_NOT_FOUND;
	wanted.name = fold(name, a);
	if (wanted.name.ptr == NULL)
		return err_nomem(e);
	*out = bsearch(&wanted, all->list, all->count, sizeof *all->list, by_name);
	return *out != NULL ? RC_OK : RC_NOT_FOUND;
}

/* ---- the book ---- */

struct alias_book {
	pthread_mutex_t lock;
	char           *path;           /* NULL: none */
	struct stat     seen;           /* of the file, whether it could be read or not */
	uint64_t        look_ms;        /* when to look again */
	struct aliases *now;
};

enum rc
alias_book_new(struct alias_book **out, struct err *e)
{
	struct alias_book *b = calloc(1, sizeof *b);

	*out = b;
	if (b == NULL)
		return err_nomem(e);
	pthread_mutex_init(&b->lock, NULL);
	return RC_OK;
}

void
alias_book_free(struct alias_book **bp)
{
	struct alias_book *b = *bp;

	*bp = NULL;
	if (b == NULL)
		return;
	aliases_unref(&b->now);
	pthread_mutex_destroy(&b->lock);
	free(b->path);
	free(b);
}

static enum rc
read_file(const char *path, struct buf *out, struct stat *st, struct err *e)
{
	enum rc rc;
	int fd;

	rc = keys_open(path, &fd, e);
	if (rc != RC_OK)
		return rc;
	if (fstat(fd, st) != 0)
		rc = err_os(e, errno, "%s", path);
	while (rc == RC_OK) {
		uint8_t *to = buf_reserve(out, 65536);
		ssize_t n = to != NULL ? read(fd, to, 65536) : 0;

		if (to == NULL)
			rc = err_set(e, RC_LIMIT, "%s: larger than %u bytes", path,
			             ALIASES_FILE_MAX);
		else if (n < 0 && errno != EINTR)
			rc = err_os(e, errno, "%s", path);
		else if (n > 0)
			buf_commit(out, (size_t)n);
		else if (n == 0)
			break;
	}
	close(fd);
	return rc;
}

static enum rc
read_aliases(const char *path, struct aliases **out, struct stat *st, struct err *e)
{
	struct buf text;
	enum rc rc;

	*out = NULL;
	buf_init(&text, ALIASES_FILE_MAX + 65536u);
	rc = read_file(path, &text, st, e);
	if (rc == RC_OK)
		rc = aliases_parse(buf_slice(&text), path, out, e);
	buf_fini(&text);
	return rc;
}

enum rc
alias_book_load(struct alias_book *b, const char *path, struct err *e)
{
	struct aliases *new = NULL, *old;
	struct stat st = { 0 };
	char *copy = path[0] != '\0' ? strdup(path) : NULL;
	enum rc rc = RC_OK;

	if (path[0] != '\0' && copy == NULL)
		return err_nomem(e);
	if (copy != NULL)
		rc = read_aliases(path, &new, &st, e);
	if (rc != RC_OK) {
		free(copy);
		return err_add(e, "[lmtp] aliases");
	}
	pthread_mutex_lock(&b->lock);
	old = b->now;
	free(b->path);
	b->path = copy;
	b->seen = st;
	b->now = new;
	pthread_mutex_unlock(&b->lock);
	aliases_unref(&old);
	return RC_OK;
}

static bool
same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* With the lock: who delivers meanwhile waits, once after each change of the file. */
static void
look(struct alias_book *b)
{
	struct stat st = { 0 };
	struct aliases *new;
	struct err e = ERR_INIT;
	struct logline line;
	enum rc rc = keys_stat(b->path, &st, &e);

	if (rc == RC_OK && same_file(&st, &b->seen))
		return;
	if (rc == RC_OK)
		rc = read_aliases(b->path, &new, &st, &e);
	if (rc == RC_OK) {
		aliases_unref(&b->now);
		b->now = new;
	}
	if (rc == RC_OK || !same_file(&st, &b->seen)) {
		log_begin(&line, rc == RC_OK ? LOGLEVEL_INFO : LOGLEVEL_ERROR,
		          rc == RC_OK ? "aliases.loaded" : "aliases.failed");
		if (rc == RC_OK)
			log_u64(&line, "aliases", b->now->count);
		else
			log_err(&line, &e);
		log_end(&line);
	}
	b->seen = st;
}

struct aliases *
alias_book_get(struct alias_book *b)
{
	uint64_t now = clock_mono_ms();
	struct aliases *out;

	pthread_mutex_lock(&b->lock);
	if (b->path != NULL && now >= b->look_ms) {
		b->look_ms = now + LOOK_MS;
		look(b);
	}
	out = b->now;
	if (out != NULL)
		atomic_fetch_add(&out->refs, 1);
	pthread_mutex_unlock(&b->lock);
	return out;
}
