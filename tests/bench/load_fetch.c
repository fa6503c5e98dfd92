/* load_fetch - all messages' data, all bodies, one body after another. What came is counted: so
 * many FETCH responses as the mailbox has messages, so many literals as bodies; --verify also makes
 * each message again and compares.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/load.h"
#include "tests/bench/load_words.h"

/* What mode random works with. */
struct uids {
	uint64_t  *uids;
	size_t     count, max;
	struct rng rng;
};

static void
count_all(struct load_worker *w)
{
	if (w->imap.fetched != w->imap.exists)
		load_fail("the mailbox has %llu messages, %llu FETCH responses came",
		          (unsigned long long)w->imap.exists, (unsigned long long)w->imap.fetched);
	w->messages += w->imap.fetched;
	w->bytes += w->imap.bytes;
}

/* FETCH 1:* with the items of the mode. */
void
fetch_op(struct load_worker *w)
{
	double since = load_now_ms();

	imap_command(&w->imap, "FETCH 1:* %s", w->opt->args[0]);
	load_sample(w, since);
	count_all(w);
}

static void
verify_literal(void *arg, struct conn *c, uint64_t len)
{
	struct load_worker *w = arg;
	char *bytes = load_alloc((size_t)len + 1, 1);

	conn_read(c, bytes, (size_t)len);
	mail_verify(bytes, (size_t)len, &w->mail);
	w->verified++;
	free(bytes);
}

static void
set_verify(struct load_worker *w)
{
	w->imap.on_literal = w->opt->verify ? verify_literal : NULL;
	w->imap.arg = w;
}

void
bodies_op(struct load_worker *w)
{
	double since = load_now_ms();

	set_verify(w);
	imap_command(&w->imap, "UID FETCH 1:* BODY.PEEK[]");
	load_sample(w, since);
	if (w->imap.literals != w->imap.exists)
		load_fail("the mailbox has %llu messages, %llu bodies came as literals",
		          (unsigned long long)w->imap.exists, (unsigned long long)w->imap.literals);
	w->imap.bytes = w->imap.literal_bytes;
	count_all(w);
}

static void
keep_uids(void *arg, const char *line, size_t len)
{
	struct uids *u = arg;
	const char *p = line, *end = line + len;

	if (len < 8 || memcmp(line, "* SEARCH", 8) != 0)
		return;
	for (p += 8; p + 1 < end && *p == ' ';) {
		char *next;

		if (u->count == u->max) {
			u->max = u->max * 2 + 1024;
			u->uids = load_realloc(u->uids, u->max, sizeof *u->uids);
		}
		u->uids[u->count++] = strtoull(p + 1, &next, 10);
		p = next;
	}
}

void
random_begin(struct load_worker *w)
{
	struct uids *u = load_alloc(1, sizeof *u);

	session_begin_inbox(w);
	w->imap.on_line = keep_uids;
	w->imap.arg = u;
	imap_command(&w->imap, "UID SEARCH ALL");
	w->imap.on_line = NULL;
	if (u->count == 0 || u->count != w->imap.exists)
		load_fail("the mailbox has %llu messages, UID SEARCH ALL names %zu",
		    (unsigned long long)w->imap.exists, u->count);
	u->rng = rng_of(w->opt->recipe.seed, w->number);
	w->state = u;
	set_verify(w);
}

void
random_op(struct load_worker *w)
{
	struct uids *u = w->state;
	uint64_t uid = u->uids[rng_below(&u->rng, (uint32_t)u->count)];
	double since = load_now_ms();

	imap_command(&w->imap, "UID FETCH %llu BODY.PEEK[]", (unsigned long long)uid);
	load_sample(w, since);
	if (w->imap.literals != 1)
		load_fail("no body of UID %llu came", (unsigned long long)uid);
	w->messages++;
	w->bytes += w->imap.literal_bytes;
}

void
random_end(struct load_worker *w)
{
	struct uids *u = w->state;

	free(u->uids);
	session_end(w);
}
