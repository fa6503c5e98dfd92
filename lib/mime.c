/* mime - the streaming parser. See mime.h.
 *
 * Input is looked at line by line, a line in as many pieces as it comes. Of a line only its head is
 * kept, as long as a boundary can be; header lines also go to the field collector. The entities
 * that are open form a stack of `levels`: the message, within it a multipart, within that its
 * current part, and so on. A delimiter line closes all levels above the multipart whose delimiter
 * it is. Since depth, boundaries and heads are bounded, the work per byte is.
 *
 * BODYSTRUCTURE holds sizes before what is nested, so each entity's strings are rendered into a
 * pool when its header ends and put together at the end of the message.
 *
 * Rejected: a tree built in memory and walked later (bounded only by the message), and delimiter
 * lines matched exactly (RFC 2046 s5.1.2 asks for the prefix only; mailers do add white
 * space and more).
 */
#include "lib/mime.h"

#include "lib/mime_header.h"
#include "lib/mime_keys.h"
#include "lib/mime_render.h"
#include "lib/octets.h"

#include <assert.h>
#include <stdlib.h>

#define HEAD_MAX        (MIME_BOUNDARY_MAX + 4u)        /* "--" boundary "--" */
#define LEVELS_MAX      (MIME_DEPTH_MAX + 1u)
#define TABLE_MAX       (2u * MIME_PARTS_MAX)           /* each multipart may get one part that
                                                         * it does not have */
#define TABLE_FIRST     8u
#define MINIMAL_MAX     64u     /* bytes of a part's strings when the pool is full */
#define POOL_MAX        (MIME_STRUCTURE_MAX + TABLE_MAX * 3u * MINIMAL_MAX)
#define SCRATCH_MAX     (4u << 20)                      /* above any one part's strings */

#define TEXT_BASIC      "\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7BIT\""
#define MULTIPART_BASIC "\"mixed\" NIL NIL NIL NIL"
#define MESSAGE_BASIC   "\"message\" \"rfc822\" NIL NIL NIL \"7BIT\""
#define LEAF_BASIC      "\"application\" \"octet-stream\" NIL NIL NIL \"7BIT\""
#define NIL_EXT         "NIL NIL NIL NIL"
#define NIL_ENVELOPE    "(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"

enum level_state {
	LEVEL_HEADER,
	LEVEL_BODY,             /* of a leaf */
	LEVEL_INSIDE,           /* a container: between, before or behind its parts */
};

struct level {
	uint32_t         part;
	uint32_t         children;
	enum level_state state;
	bool             digest;
	uint64_t         lines_before;  /* line ends seen before the body */
	size_t           boundary_len;  /* 0: none, or its close-delimiter has come */
	uint8_t          boundary[MIME_BOUNDARY_MAX];
};

/* A piece of the pool. */
struct span {
	uint32_t off, len;
};

struct strings {
	struct span basic, ext, envelope;
};

struct mime_parser {
	uint64_t off;                   /* bytes seen */
	uint64_t lines;                 /* line ends seen */
	uint64_t line_off;              /* where the current line began */
	uint64_t line_lines;            /* `lines` at that point */
	unsigned eol_len;               /* of the line end before the current line: 0, 1, 2 */
	uint8_t  last;                  /* byte seen last */
	size_t   head_len;
	uint8_t  head[HEAD_MAX];

	uint32_t depth;                 /* open levels */
	uint32_t boundaries;            /* of which have a boundary */

	struct mime_part *parts;
	struct strings   *strings;      /* of parts[i] */
	uint32_t nparts, cap;

	struct mime_header header;
	struct buf pool, envelope, key_text, structure, basic, ext;
	struct mime_keys keys;
	uint32_t flags;
	bool     nomem;
	uint64_t steps;

	struct level levels[LEVELS_MAX];        /* 30 KiB that are not cleared before; the last */
};

static void open_part(struct mime_parser *p, uint32_t parent, uint32_t flags);

struct mime_parser *
mime_parser_new(void)
{
	struct mime_parser *p = malloc(sizeof *p);

	if (p == NULL)
		return NULL;
	memset(p, 0, offsetof(struct mime_parser, levels));
	mime_header_init(&p->header);
	buf_init(&p->pool, POOL_MAX);
	buf_init(&p->envelope, SCRATCH_MAX);
	buf_init(&p->key_text, MIME_KEYS_MAX);
	buf_init(&p->structure, MIME_SUMMARY_MAX);
	buf_init(&p->basic, SCRATCH_MAX);
	buf_init(&p->ext, SCRATCH_MAX);
	open_part(p, 0, MIME_PART_ROOT);
	if (p->nomem)
		mime_parser_free(&p);
	return p;
}

void
mime_parser_free(struct mime_parser **pp)
{
	struct mime_parser *p = *pp;

	if (p == NULL)
		return;
	mime_header_fini(&p->header);
	buf_fini(&p->pool);
	buf_fini(&p->envelope);
	buf_fini(&p->key_text);
	buf_fini(&p->structure);
	buf_fini(&p->basic);
	buf_fini(&p->ext);
	free(p->parts);
	free(p->strings);
	free(p);
	*pp = NULL;
}

static struct level *
top(struct mime_parser *p)
{
	assert(p->depth > 0);
	return &p->levels[p->depth - 1];
}

/* --- the part table and its strings --- */

static bool
grow_table(struct mime_parser *p)
{
	uint32_t cap = p->cap > 0 ? p->cap * 2 : TABLE_FIRST;
	struct mime_part *parts = realloc(p->parts, cap * sizeof *parts);
	struct strings *strings;

	if (parts != NULL)
		p->parts = parts;
	strings = parts != NULL ? realloc(p->strings, cap * sizeof *strings) : NULL;
	if (strings == NULL) {
		p->nomem = true;
		return false;
	}
	p->strings = strings;
	p->cap = cap;
	return true;
}

/* A new entry at the end, whose header begins at the current offset; its index, or UINT32_MAX
 * without memory. */
static uint32_t
add_part(struct mime_parser *p, uint32_t parent, uint32_t flags)
{
	assert(p->nparts < TABLE_MAX);
	if (p->nparts == p->cap && !grow_table(p))
		return UINT32_MAX;
	p->parts[p->nparts] = (struct mime_part){
		.parent = parent, .next = p->nparts + 1, .flags = flags,
		.header_off = p->off, .body_off = p->off,
	};
	memset(&p->strings[p->nparts], 0, sizeof p->strings[0]);
	return p->nparts++;
}

static void
open_part(struct mime_parser *p, uint32_t parent, uint32_t flags)
{
	uint32_t number = (flags & MIME_PART_ROOT) != 0 ? 0 : ++top(p)->children;
	uint32_t part = add_part(p, parent, flags);
	struct level *l;

	if (part == UINT32_MAX)
		return;
	assert(p->depth < LEVELS_MAX);
	p->parts[part].number = number;
	l = &p->levels[p->depth++];
	l->part = part;
	l->children = 0;
	l->state = LEVEL_HEADER;
	l->digest = false;
	l->boundary_len = 0;
	mime_header_reset(&p->header);
}

/* Put `s` into the pool; what does not fit there any more is replaced by `minimal`, for which there
 * is always room. */
static struct span
pool_put(struct mime_parser *p, const struct buf *s, const char *minimal)
{
	struct slice text = buf_slice(s);
	struct span at = { (uint32_t)p->pool.len, 0 };

	if (s->failed)
		p->nomem = true;  /* scratch has room for every header that is within its limits */
	if (p->pool.len + text.len > MIME_STRUCTURE_MAX) {
		text = slice_str(minimal);
		p->flags |= MIME_CUT;
	}
	if (!buf_append_slice(&p->pool, text))
		p->nomem = true;
	else
		at.len = (uint32_t)text.len;
	return at;
}

static const char *
minimal_basic(enum mime_kind kind)
{
	switch (kind) {
	case MIME_LEAF:
		return LEAF_BASIC;
	case MIME_TEXT:
		return TEXT_BASIC;
	case MIME_MULTIPART:
		return MULTIPART_BASIC;
	case MIME_MESSAGE:
		return MESSAGE_BASIC;
	}
	return LEAF_BASIC;
}

/* A multipart without parts gets one, since the grammar of BODYSTRUCTURE wants it: its whole body
 * as plain text, so that clients show what there is. */
static void
add_lone_part(struct mime_parser *p, uint32_t parent)
{
	uint32_t i = add_part(p, parent, MIME_PART_PLAIN);
	const struct mime_part *m;

	if (i == UINT32_MAX)
		return;
	m = &p->parts[parent];
	p->parts[i].number = 1;
	p->parts[i].kind = MIME_TEXT;
	p->parts[i].header_off = p->parts[i].body_off = m->body_off;
	p->parts[i].body_len = m->body_len;
	p->parts[i].lines = m->lines;
	buf_reset(&p->basic);
	buf_reset(&p->ext);
	buf_append_str(&p->basic, TEXT_BASIC);
	buf_append_str(&p->ext, NIL_EXT);
	p->strings[i].basic = pool_put(p, &p->basic, TEXT_BASIC);
	p->strings[i].ext = pool_put(p, &p->ext, NIL_EXT);
}

/* --- entities --- */

/* The header of a message is complete: its envelope, and for the outermost one the sort keys. */
static void
finish_message_header(struct mime_parser *p, uint32_t part)
{
	bool cut = false;

	buf_reset(&p->basic);
	if (part == 0) {
		mime_render_envelope(&p->header, &p->envelope, &cut);
		p->flags |= mime_keys_make(&p->header, &p->key_text, &p->keys);
		p->flags |= p->header.subjects ? MIME_SUBJECTS : 0;
		p->nomem = p->nomem || p->envelope.failed || p->key_text.failed;
	} else {
		mime_render_envelope(&p->header, &p->basic, &cut);
		p->strings[p->parts[part].parent].envelope = pool_put(p, &p->basic, NIL_ENVELOPE);
	}
	if (cut)
		p->flags |= MIME_CUT;
}

static enum mime_default
default_of(const struct mime_parser *p)
{
	return p->depth > 1 && p->levels[p->depth - 2].digest ? MIME_DEFAULT_MESSAGE
	                                                      : MIME_DEFAULT_TEXT;
}

/* The header of the entity on top ends at `end`: find out what it is and open what it contains. */
static void
finish_header(struct mime_parser *p, uint64_t end, uint64_t lines)
{
	struct level *l = top(p);
	struct mime_part *part = &p->parts[l->part];
	bool opaque = p->depth >= LEVELS_MAX || p->nparts >= MIME_PARTS_MAX;
	struct mime_content c;

	mime_header_end(&p->header);
	p->nomem = p->nomem || p->header.nomem;
	if ((part->flags & MIME_PART_ROOT) != 0)
		finish_message_header(p, l->part);
	buf_reset(&p->basic);
	buf_reset(&p->ext);
	mime_render_content(&p->header, default_of(p), opaque, &c, &p->basic, &p->ext);
	p->strings[l->part].basic = pool_put(p, &p->basic, minimal_basic(c.kind));
	p->strings[l->part].ext = pool_put(p, &p->ext, NIL_EXT);
	part->header_len = end - part->header_off;
	part->body_off = end;
	part->kind = c.kind;
	part->encoding = c.encoding;
	part->flags |= c.flags;
	if ((c.flags & MIME_PART_ATTACHMENT) != 0)
		p->flags |= MIME_HAS_ATTACHMENT;
	if (c.cut)
		p->flags |= MIME_CUT;
	l->lines_before = lines;
	l->digest = c.digest;
	l->state = c.kind == MIME_MULTIPART || c.kind == MIME_MESSAGE ? LEVEL_INSIDE : LEVEL_BODY;
	if (c.kind == MIME_MULTIPART && c.boundary_len > 0) {
		memcpy(l->boundary, c.boundary, c.boundary_len);
		l->boundary_len = c.boundary_len;
		p->boundaries++;
	}
}

/* The embedded message of the part on top begins where the part's body does. */
static void
open_embedded(struct mime_parser *p)
{
	uint32_t parent = top(p)->part;
	uint64_t off = p->parts[parent].body_off;
	uint32_t before = p->nparts;

	open_part(p, parent, MIME_PART_ROOT);
	if (p->nparts > before)
		p->parts[before].header_off = p->parts[before].body_off = off;
}

/* The header on top ends; `end` and `lines` as in finish_header. */
static void
header_done(struct mime_parser *p, uint64_t end, uint64_t lines)
{
	finish_header(p, end, lines);
	if (p->parts[top(p)->part].kind == MIME_MESSAGE && !p->nomem)
		open_embedded(p);
}

/* The line end before a delimiter belongs to it, also when it would end a header [RFC 2046 s5.1.1];
 * so a part never reaches beyond what it is in. */
static void
clip_part(struct mime_part *part, uint64_t end)
{
	if (part->header_off > end)
		part->header_off = end;
	if (part->header_len > end - part->header_off)
		part->header_len = end - part->header_off;
	part->body_off = part->header_off + part->header_len;
	part->body_len = end - part->body_off;
}

static void
close_top(struct mime_parser *p, uint64_t end, uint64_t lines)
{
	struct level *l = top(p);
	struct mime_part *part = &p->parts[l->part];

	clip_part(part, end);
	part->lines = lines > l->lines_before ? lines - l->lines_before : 0;
	if (part->kind == MIME_MULTIPART && l->children == 0)
		add_lone_part(p, l->part);
	p->parts[l->part].next = p->nparts;
	if (l->boundary_len > 0)
		p->boundaries--;
	p->depth--;
}

/* Close levels until `keep` are left. Bodies end at `end` with `lines` line ends before it; a
 * header that is still open ends at header_end. */
static void
close_levels(struct mime_parser *p, uint32_t keep, uint64_t end, uint64_t lines,
             uint64_t header_end)
{
	while (p->depth > keep && !p->nomem) {
		if (top(p)->state == LEVEL_HEADER)
			header_done(p, header_end, lines);
		else
			close_top(p, end, lines);
	}
}

/* --- lines --- */

/* delimiter = "--" boundary; close-delimiter = delimiter "--" [RFC 2046 s5.1.1]. The open level
 * whose boundary is the longest one that the head starts with (of equals the innermost),
 * or UINT32_MAX. */
static uint32_t
match_delimiter(struct mime_parser *p)
{
	uint32_t found = UINT32_MAX;
	size_t longest = 0;

	if (p->boundaries == 0 || p->head_len < 3 || p->head[0] != '-' || p->head[1] != '-')
		return UINT32_MAX;
	for (uint32_t i = p->depth; i-- > 0;) {
		const struct level *l = &p->levels[i];

		if (l->boundary_len <= longest || l->boundary_len > p->head_len - 2)
			continue;
		p->steps += l->boundary_len;
		if (memcmp(p->head + 2, l->boundary, l->boundary_len) == 0) {
			found = i;
			longest = l->boundary_len;
		}
	}
	return found;
}

static void
take_delimiter(struct mime_parser *p, uint32_t index)
{
	struct level *l = &p->levels[index];
	size_t at = 2 + l->boundary_len;
	bool closing = p->head_len >= at + 2 && p->head[at] == '-' && p->head[at + 1] == '-';
	uint64_t lines = p->line_lines - (p->eol_len > 0);

	if (top(p)->state == LEVEL_HEADER)
		mime_header_drop_line(&p->header);
	close_levels(p, index + 1, p->line_off - p->eol_len, lines, p->line_off);
	if (p->nomem)
		return;
	if (closing) {
		l->boundary_len = 0;
		p->boundaries--;
	} else if (p->nparts < MIME_PARTS_MAX) {
		open_part(p, l->part, 0);
	} else {
		p->flags |= MIME_CUT;
	}
}

static bool
head_is_blank(const struct mime_parser *p)
{
	return (p->head_len == 1 && p->head[0] == '\n')
	    || (p->head_len == 2 && p->head[0] == '\r' && p->head[1] == '\n');
}

static void
line_start(struct mime_parser *p)
{
	p->line_off = p->off;
	p->line_lines = p->lines;
	p->head_len = 0;
}

/* A line is complete, or the message ended within it. */
static void
end_line(struct mime_parser *p, unsigned eol_len)
{
	uint32_t level = match_delimiter(p);

	if (level != UINT32_MAX)
		take_delimiter(p, level);
	else if (top(p)->state == LEVEL_HEADER && head_is_blank(p))
		header_done(p, p->off, p->lines);
	p->eol_len = eol_len;
	line_start(p);
}

/* Keep the head of lines that may matter: all in headers, those that begin with '-' elsewhere. */
static void
keep_head(struct mime_parser *p, struct slice piece, bool starts)
{
	size_t n = sizeof p->head - p->head_len;

	if (top(p)->state != LEVEL_HEADER && (starts ? piece.ptr[0] != '-' : p->head_len == 0))
		return;
	if (n > piece.len)
		n = piece.len;
	memcpy(p->head + p->head_len, piece.ptr, n);
	p->head_len += n;
	p->steps += n;
}

/* A piece of one line, with its line end if `ends`. */
static void
take_piece(struct mime_parser *p, struct slice piece, bool ends)
{
	bool starts = p->off == p->line_off;
	uint8_t before = piece.len > 1 ? piece.ptr[piece.len - 2] : p->last;
	unsigned eol_len = 0;

	keep_head(p, piece, starts);
	if (top(p)->state == LEVEL_HEADER) {
		mime_header_feed(&p->header, piece, starts);
		p->steps += piece.len;
	}
	p->off += piece.len;
	p->last = piece.ptr[piece.len - 1];
	if (!ends)
		return;
	p->lines++;
	eol_len = before == '\r' && p->off - p->line_off > 1 ? 2 : 1;
	end_line(p, eol_len);
}

/* Flags of the bytes of s: MIME_HAS_8BIT, MIME_HAS_NUL. */
static uint32_t
byte_flags(struct slice s)
{
	octets16 all = { 0 }, nuls = { 0 };
	bool nul = false;
	uint64_t bits;
	size_t i = 0;

	for (; s.len - i >= sizeof all; i += sizeof all) {
		all |= octets_load(s.ptr + i);
		nuls |= (octets16)(octets_load(s.ptr + i) == 0);
	}
	bits = octets_fold(all);
	for (; i < s.len; i++) {
		bits |= s.ptr[i];
		nul = nul || s.ptr[i] == 0;
	}
	return ((bits & 0x8080808080808080u) != 0 ? MIME_HAS_8BIT : 0) |
	       (nul || octets_fold(nuls) != 0 ? MIME_HAS_NUL : 0);
}

/* The length of the whole lines up to the first that may be a delimiter. */
static size_t
find_run(struct slice bytes, bool delimited)
{
	size_t n = bytes.len;

	if (delimited && n > 0 && bytes.ptr[0] == '-')
		return 0;
	if (delimited)
		n = slice_find_pair(bytes, '\n', '-');
	if (n < bytes.len)
		return n + 1;
	while (n > 0 && bytes.ptr[n - 1] != '\n')
		n--;
	return n;
}

/* Whole lines of a body that can be no delimiter: they are only counted. */
static size_t
take_run(struct mime_parser *p, struct slice bytes)
{
	size_t n;

	if (p->nomem || p->depth == 0 || top(p)->state == LEVEL_HEADER || p->off != p->line_off)
		return 0;
	n = find_run(bytes, p->boundaries > 0);
	if (n == 0)
		return 0;
	p->lines += slice_count_byte(slice_sub(bytes, 0, n), '\n');
	p->flags |= byte_flags(slice_sub(bytes, 0, n));
	p->eol_len = n > 1 && bytes.ptr[n - 2] == '\r' ? 2 : 1;
	p->last = '\n';
	p->off += n;
	line_start(p);
	return n;
}

size_t
mime_body_run(struct mime_parser *p, struct slice bytes, uint64_t *lines)
{
	uint64_t before = p->lines;
	size_t n = take_run(p, bytes);

	p->steps += n;
	*lines = p->lines - before;
	return n;
}

void
mime_feed(struct mime_parser *p, struct slice bytes)
{
	p->steps += bytes.len;
	while (bytes.len > 0 && !p->nomem) {
		size_t run = take_run(p, bytes), n;
		struct slice piece;
		uint32_t flags;
		bool ends;

		bytes = slice_sub(bytes, run, bytes.len);
		if (bytes.len == 0)
			break;
		n = slice_find_byte(bytes, '\n');
		ends = n < bytes.len;
		piece = slice_sub(bytes, 0, n + ends);
		flags = byte_flags(piece);

		if (p->depth == 1 && p->levels[0].state == LEVEL_HEADER &&
		    (flags & MIME_HAS_8BIT) != 0)
			flags |= MIME_HAS_8BIT_HEADER;
		p->flags |= flags;
		take_piece(p, piece, ends);
		bytes = slice_sub(bytes, piece.len, bytes.len);
	}
}

/* --- the end --- */

static void
put_span(struct mime_parser *p, struct span s)
{
	buf_append(&p->structure, p->pool.ptr + s.off, s.len);
}

/* What stands before the parts within, or all of a part that has none. */
static void
render_opening(struct mime_parser *p, uint32_t i)
{
	const struct mime_part *part = &p->parts[i];

	buf_append_byte(&p->structure, '(');
	if (part->kind == MIME_MULTIPART)
		return;
	put_span(p, p->strings[i].basic);
	buf_append_byte(&p->structure, ' ');
	buf_append_u64(&p->structure, part->body_len);
	if (part->kind == MIME_MESSAGE) {
		buf_append_byte(&p->structure, ' ');
		put_span(p, p->strings[i].envelope);
		buf_append_byte(&p->structure, ' ');
	}
}

static void
render_closing(struct mime_parser *p, uint32_t i)
{
	const struct mime_part *part = &p->parts[i];

	buf_append_byte(&p->structure, ' ');
	if (part->kind == MIME_MULTIPART) {
		put_span(p, p->strings[i].basic);
	} else {
		if (part->kind != MIME_LEAF) {
			buf_append_u64(&p->structure, part->lines);
			buf_append_byte(&p->structure, ' ');
		}
		put_span(p, p->strings[i].ext);
	}
	buf_append_byte(&p->structure, ')');
}

/* body [RFC 9051 s9] of the whole table: preorder, each container closed before the first
 * part behind it. */
static void
render_structure(struct mime_parser *p)
{
	uint32_t open[LEVELS_MAX + 1], depth = 0;

	for (uint32_t i = 0; i < p->nparts; i++) {
		while (depth > 0 && p->parts[open[depth - 1]].next <= i)
			render_closing(p, open[--depth]);
		render_opening(p, i);
		assert(depth < LEVELS_MAX + 1);
		open[depth++] = i;
	}
	while (depth > 0)
		render_closing(p, open[--depth]);
}

enum rc
mime_finish(struct mime_parser *p, struct mime_summary *out, struct err *e)
{
	if (!p->nomem && p->off > p->line_off)
		end_line(p, 0);
	close_levels(p, 0, p->off, p->lines, p->off);
	if (!p->nomem)
		render_structure(p);
	if (p->nomem || p->structure.failed)
		return err_nomem(e);
	if (p->header.cut)
		p->flags |= MIME_CUT;
	*out = (struct mime_summary){
		.version = MIME_PARSER_VERSION, .flags = p->flags, .size = p->off,
		.header_len = p->parts[0].header_len, .lines = p->lines,
		.envelope = buf_slice(&p->envelope), .bodystructure = buf_slice(&p->structure),
		.keys = p->keys, .parts = p->parts, .nparts = p->nparts,
	};
	return RC_OK;
}

struct mime_hint
mime_boundary_hint(const struct mime_parser *p)
{
	const struct level *l = p->depth > 0 ? &p->levels[p->depth - 1] : NULL;

	if (l == NULL || l->state != LEVEL_BODY)
		return (struct mime_hint){ p->off, TRANSFER_7BIT, false };
	return (struct mime_hint){ p->parts[l->part].body_off, p->parts[l->part].encoding, true };
}

uint64_t
mime_steps(const struct mime_parser *p)
{
	return p->steps;
}
