/* fuzz_imap_command - any input through the framer and the parsers of all commands, as a session
 * would, but without a session: nothing runs.
 *
 * The first octet chooses the state, the size of the pieces in which the input comes, and how names
 * are encoded. What is checked beside memory: the framer takes all input, the cursor stays inside,
 * a failure says what was expected.
 */
#include <assert.h>
#include <stdlib.h>

#include "server/imap/imap.h"
#include "server/imap/private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct framer_limits limits = { 4096, 8, 4096, true };

/* Tag, name, and what the command makes of the rest. */
static enum imap_literal
parse_frame(struct imap *im, bool announced)
{
	struct cursor c;
	struct slice tag, name;
	enum imap_literal what = LITERAL_COLLECT;

	arena_reset(&im->arena);
	im->args = NULL;
	cur_init(&c, buf_slice(&im->priv->framer.frame));
	if (!parse_tag(&c, &tag) || !cur_space(&c) || !parse_atom(&c, &name))
		return LITERAL_COLLECT;
	im->uid_command = slice_eq_nocase(name, SLICE("UID"));
	if (im->uid_command && (!cur_space(&c) || !parse_atom(&c, &name)))
		return LITERAL_COLLECT;
	name.len += im->uid_command ? 4 : 0;
	name.ptr -= im->uid_command ? 4 : 0;
	im->cmd = imap_table_find(name);
	if (im->cmd == NULL || (im->cmd->states & im->state) == 0)
		return LITERAL_COLLECT;
	if (announced && im->cmd->literal != NULL)
		what = im->cmd->literal(im, &c);
	else if (!announced && im->cmd->parse != NULL && !im->cmd->parse(im, &c))
		assert(c.expected != NULL);
	assert(c.pos <= c.in.len);
	return what;
}

static void
on_literal(struct imap *im)
{
	struct framer *f = &im->priv->framer;

	switch (parse_frame(im, true)) {
	case LITERAL_COLLECT:
		framer_collect(f);
		break;
	case LITERAL_STREAM:
		framer_stream(f);
		break;
	case LITERAL_REFUSE:
		framer_refuse(f, "refused", !f->literal.sync);
		break;
	}
}

/* False: the connection would be closed. */
static bool
feed(struct imap *im, struct slice in)
{
	struct framer *f = &im->priv->framer;

	for (;;) {
		size_t used = 0;
		enum framer_event ev;

		if (f->state == FRAMER_STREAMING && f->literal_left > 0) {
			used = in.len < f->literal_left ? in.len : (size_t)f->literal_left;
			framer_streamed(f, used);
			in = slice_sub(in, used, in.len);
			if (f->literal_left > 0)
				return true;
		}
		ev = framer_feed(f, in, &used);
		in = slice_sub(in, used, in.len);
		if (ev == FRAMER_CLOSE)
			return false;
		if (ev == FRAMER_LITERAL)
			on_literal(im);
		if (ev == FRAMER_COMMAND)
			parse_frame(im, false);
		if (ev == FRAMER_COMMAND || ev == FRAMER_REFUSED)
			framer_next(f);
		if (ev == FRAMER_MORE) {
			assert(in.len == 0);
			return true;
		}
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct imap_private priv = { .phase = PHASE_COMMAND };
	struct imap im = { .priv = &priv };
	size_t piece;

	if (size == 0)
		return 0;
	im.state = (enum imap_state)(1u << (data[0] & 3) % 3);
	im.utf8 = (data[0] & 4) != 0;
	piece = (data[0] & 8) != 0 ? 1 : size;
	arena_init(&im.arena, 1u << 20);
	framer_init(&priv.framer, &limits);
	for (size_t at = 1; at < size; at += piece) {
		struct slice in = slice_sub(slice_of(data, size), at, at + piece);
		uint8_t *copy = malloc(in.len);

		if (copy == NULL)
			break;
		memcpy(copy, in.ptr, in.len);
		if (!feed(&im, slice_of(copy, in.len)))
			at = size;
		free(copy);
	}
	framer_fini(&priv.framer);
	arena_fini(&im.arena);
	return 0;
}
