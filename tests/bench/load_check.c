/* load_check - what the generated mail is like: sizes, how well it compresses, and that no two are
 * alike. Nothing is sent; with --out the messages are written into files.
 */
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "tests/bench/load.h"

struct hashes {
	uint8_t (*all)[SHA256_DIGEST_LENGTH];
	size_t    count, max;
};

void
mail_begin(struct load_worker *w)
{
	w->state = load_alloc(1, sizeof(struct hashes));
}

static void
write_out(const struct load_worker *w)
{
	char path[4096];
	FILE *f;

	snprintf(path, sizeof path, "%s/%08llu.eml", w->opt->out,
	    (unsigned long long)(w->opt->first + w->job));
	f = fopen(path, "wb");
	if (f == NULL || fwrite(w->mail.bytes, 1, w->mail.len, f) != w->mail.len || fclose(f) != 0)
		load_fail("cannot write %s", path);
}

static uint64_t
deflated_size(const struct mail *mail)
{
	uLongf len = compressBound(mail->len);
	Bytef *packed = load_alloc(len, 1);

	if (compress2(packed, &len, (const Bytef *)mail->bytes, mail->len, 6) != Z_OK)
		load_fail("zlib failed");
	free(packed);
	return len;
}

void
mail_op(struct load_worker *w)
{
	struct hashes *h = w->state;
	double since = load_now_ms();

	mail_make(&w->opt->recipe, w->opt->first + w->job, 0, &w->mail);
	load_sample(w, since);
	if (h->count == h->max) {
		h->max = h->max * 2 + 1024;
		h->all = load_realloc(h->all, h->max, sizeof *h->all);
	}
	SHA256((const uint8_t *)w->mail.bytes, w->mail.len, h->all[h->count++]);
	w->packed += deflated_size(&w->mail);
	w->bytes += w->mail.len;
	w->messages++;
	if (w->opt->out != NULL)
		write_out(w);
}

static int
by_hash(const void *a, const void *b)
{
	return memcmp(a, b, SHA256_DIGEST_LENGTH);
}

void
mail_end(struct load_worker *w)
{
	struct hashes *h = w->state;

	qsort(h->all, h->count, sizeof *h->all, by_hash);
	for (size_t i = 1; i < h->count; i++)
		if (memcmp(h->all[i - 1], h->all[i], sizeof *h->all) == 0)
			load_fail("two messages are alike");
	free(h->all);
}
