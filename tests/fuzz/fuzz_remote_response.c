/* fuzz_remote_response - what an IMAP server says to restantectl import.
 *
 * The first octet says in pieces of which size the rest comes in. Checked beside memory: reading
 * ends, no response takes more than its limit, a text is as long as was said, and how the octets
 * are cut makes no difference.
 */
#include <stdio.h>
#include <stdlib.h>

#include "tools/remote_response.h"
#include "tools/remote_url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "broken: %s\n", what);
	abort();
}

struct script {
	struct slice left;
	size_t       step;
};

static enum rc
fill(void *arg, struct slice *have, struct err *e)
{
	struct script *s = arg;

	*have = slice_sub(s->left, 0, s->step);
	return have->len > 0 ? RC_OK : err_set(e, RC_IO, "end");
}

static void
take(void *arg, size_t n)
{
	struct script *s = arg;

	require(n <= s->left.len && n <= s->step, "no more is taken than was given");
	s->left = slice_sub(s->left, n, s->left.len);
}

static uint64_t
take_text(struct remote_lex *l, struct remote_response *r)
{
	uint64_t n = 0;
	struct slice piece;

	while (remote_response_text(l, r, 7, &piece) && piece.len > 0) {
		require(piece.len <= 7, "a piece is as small as asked for");
		n += piece.len;
	}
	require(l->rc != RC_OK || n == r->text_len, "a text is as long as was said");
	return n;
}

/* A sum over what was understood. */
static uint64_t
read_all(struct slice in, size_t step)
{
	struct script script = { in, step };
	struct remote_lex lex;
	struct remote_response r;
	struct uid_set found;
	uint64_t sum = 0;

	remote_lex_init(&lex, (struct remote_source){ fill, take, &script }, 0);
	uid_set_init(&found, 100);
	while (remote_response_read(&lex, &found, &r)) {
		require(lex.spent <= REMOTE_RESPONSE_MAX, "the limit holds");
		sum = sum * 31 + (uint64_t)r.kind;
		if (r.at_text) {
			sum += take_text(&lex, &r);
			if (!remote_response_resume(&lex, &r))
				break;
		}
		sum = sum * 31 + r.fetch.uid + r.number + r.text.len + r.list.name.len +
		      r.fetch.keywords.len;
	}
	require(lex.rc != RC_OK, "it ends with a reason");
	sum = sum * 31 + (uint64_t)lex.rc + uid_set_size(&found);
	remote_lex_fini(&lex);
	uid_set_fini(&found);
	return sum;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	struct remote_url url;
	struct err e = ERR_INIT;

	if (size == 0)
		return 0;
	(void)(remote_url_parse(in, &url, &e) == RC_OK && remote_url_is_local(&url));
	in = slice_sub(in, 1, size);
	require(read_all(in, SIZE_MAX) == read_all(in, (size_t)data[0] + 1),
	        "cuts make no difference");
	return 0;
}
