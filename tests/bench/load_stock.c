/* load_stock - see load_stock.h. */
#include "tests/bench/load_stock.h"

#include <stdlib.h>

#include "tests/bench/load.h"

/* Octets of all workers'; what is beyond is made as it is sent. */
#define STOCK_MAX ((size_t)256 << 20)

static void
add(struct stock *s, const struct mail_recipe *recipe, uint64_t number)
{
	struct mail *m;

	if (s->count == s->max) {
		s->max = s->max * 2 + 64;
		s->mails = load_realloc(s->mails, s->max, sizeof *s->mails);
	}
	m = &s->mails[s->count++];
	*m = (struct mail){ 0 };
	mail_make(recipe, number, 0, m);
	m->bytes = load_realloc(m->bytes, m->len, 1);
	m->max = m->len;
	s->bytes += m->len;
}

void
stock_fill(struct load_worker *w, const struct mail_recipe *recipe, size_t each)
{
	const struct load_options *opt = w->opt;

	for (size_t job = w->number; job < opt->operations; job += opt->threads) {
		for (size_t i = 0; i < each; i++) {
			if (w->stock.bytes >= STOCK_MAX / opt->threads)
				return;
			add(&w->stock, recipe, opt->first + job * each + i);
		}
	}
}

void
stock_take(struct load_worker *w, const struct mail_recipe *recipe, uint64_t number)
{
	struct stock *s = &w->stock;

	if (s->taken == s->count) {
		mail_make(recipe, number, 0, &w->mail);
		return;
	}
	free(w->mail.bytes);
	w->mail = s->mails[s->taken++];
	if (w->mail.number != number)
		load_fail("message %llu is in the place of %llu",
		    (unsigned long long)w->mail.number, (unsigned long long)number);
}

void
stock_free(struct stock *s)
{
	while (s->taken < s->count)
		free(s->mails[s->taken++].bytes);
	free(s->mails);
	*s = (struct stock){ 0 };
}
