/* ingest - a message on its way in: line ends made CRLF, parsed, hashed, compressed, all in one
 * pass. See volume.h.
 *
 * Bytes go through in pieces: each line is shown to the MIME parser, whose hint says what the line
 * is (header, text, base64), and runs of one kind go to the blob writer, which cuts chunks where
 * the kind changes. Memory is bounded by the parser's limits and the blob writer's inline maximum.
 *
 * Whoever streams slowly may meet a recovery of the log. It changes nothing here: an out-of-line
 * body is a file of its own, and what names it is written afterwards.
 */
#include "index/ingest.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "index/volume_impl.h"
#include "lib/mime.h"
#include "lib/octets.h"
#include "store/codec.h"
#include "store/front.h"

#define CRLF_BUF   (16u << 10)
#define DIRECT_MIN 1024u        /* fewer are collected */

/* Lines and members of lists, each of which may be a field, a part, an address or a parameter: a
 * piece with so many takes some 0.5 ms at worst. Mail that people write has one in some thirty
 * octets. */
#define QUICK_MARKS 3000u
/* And the end of a message that had so many lines, if they made as many parts as can be. */
#define QUICK_LINES 16000u

struct ingest {
	uint64_t            max_size;
	uint64_t            size;               /* after line ends were made CRLF */
	struct mime_parser *mime;
	struct blob_writer *blob;
	bool                in_header;
	bool                line_empty;         /* nothing but perhaps a CR since the last LF */
	bool                last_cr;
	bool                mid_line;           /* the last octet taken was not an LF */
	bool                keep_octets;        /* line ends stay as they are */
	uint64_t            lines;              /* of what was taken */
	size_t              pending;            /* bytes in crlf */
	uint8_t             crlf[CRLF_BUF];
};

struct ingested {
	_Atomic uint32_t    refs;
	struct blob_writer *writer;             /* owns chunks and data of blob */
	struct record_blob  blob;
	struct buf          summary, packed;
};

/* ---- begin and end ---- */

static void
ingest_free(struct ingest **inp)
{
	struct ingest *in = *inp;

	*inp = NULL;
	mime_parser_free(&in->mime);
	blob_writer_free(&in->blob);
	free(in);
}

enum rc
ingest_new(struct volume *v, uint64_t max_size, struct ingest **out, struct err *e)
{
	struct ingest *in = malloc(sizeof *in);
	enum rc rc = RC_OK;

	*out = NULL;
	if (in == NULL)
		return err_nomem(e);
	in->max_size = max_size;
	in->size = 0;
	in->blob = NULL;
	in->in_header = true;
	in->line_empty = true;
	in->last_cr = false;
	in->mid_line = false;
	in->keep_octets = false;
	in->lines = 0;
	in->pending = 0;
	in->mime = mime_parser_new();
	if (in->mime == NULL)
		rc = err_nomem(e);
	else if (v->writer == NULL)
		rc = err_set(e, RC_BUSY, "the volume takes no messages now");
	else
		rc = blob_writer_new(v->log, &in->blob, e);
	if (rc != RC_OK) {
		ingest_free(&in);
		return rc;
	}
	*out = in;
	return RC_OK;
}

void
ingest_keep_octets(struct ingest *in)
{
	in->keep_octets = true;
}

void
ingest_abort(struct ingest **inp)
{
	if (*inp != NULL)
		ingest_free(inp);
}

size_t
ingest_held(const struct ingest *in)
{
	return blob_writer_held(in->blob);
}

/* In as many octets as their counters can hold. */
static size_t
count_marks_of_block(const uint8_t *p, size_t vectors)
{
	octets16 found = { 0 };
	size_t n = 0;

	for (size_t i = 0; i < vectors; i++, p += sizeof found) {
		octets16 v = octets_load(p);

		found -= (octets16)((v == '\n') | (v == ',') | (v == ';'));
	}
	for (size_t i = 0; i < sizeof found; i++)
		n += found[i];
	return n;
}

static size_t
count_marks(struct slice s)
{
	size_t n = 0, i = 0;

	while (s.len - i >= sizeof(octets16)) {
		size_t vectors = (s.len - i) / sizeof(octets16);

		if (vectors > UINT8_MAX)
			vectors = UINT8_MAX;
		n += count_marks_of_block(s.ptr + i, vectors);
		i += vectors * sizeof(octets16);
	}
	for (; i < s.len; i++)
		n += s.ptr[i] == '\n' || s.ptr[i] == ',' || s.ptr[i] == ';';
	return n;
}

bool
ingest_is_quick(const struct ingest *in, struct slice more)
{
	/* each octet may be an LF that becomes two */
	return more.len <= codec_quick_len() && in->lines <= QUICK_LINES &&
	       blob_writer_stays_inline(in->blob, in->pending + 2 * more.len) &&
	       (more.len <= QUICK_MARKS || count_marks(more) <= QUICK_MARKS);
}

size_t
ingested_held(const struct ingested *m)
{
	return blob_writer_held(m->writer) + m->summary.cap + m->packed.cap;
}

/* ---- bytes ---- */

/* What a line is that the parser has just seen: content of the part that is open, if that began
 * before the line's end. */
static enum blob_content
kind_of_line(const struct ingest *in)
{
	struct mime_hint h;

	if (in->in_header)
		return BLOB_HEADER;
	h = mime_boundary_hint(in->mime);
	if (h.in_body && h.body_off < in->size && h.encoding == TRANSFER_BASE64)
		return BLOB_BASE64;
	return BLOB_TEXT;
}

/* The blank line behind the message's header is still of the header. */
static void
follow_header(struct ingest *in, struct slice line)
{
	bool ends = line.len > 0 && line.ptr[line.len - 1] == '\n';
	size_t body = line.len - (ends ? (line.len > 1 ? 2u : 1u) : 0);

	if (body > 0 && !(body == 1 && line.ptr[0] == '\r' && !ends))
		in->line_empty = false;
}

/* Show the parser a line, or lines of a body that are all of one kind. Their length. */
static size_t
take_lines(struct ingest *in, struct slice bytes)
{
	uint64_t lines = 0;
	size_t n = in->in_header ? 0 : mime_body_run(in->mime, bytes, &lines);
	struct slice line;

	if (n == 0) {
		n = slice_find_byte(bytes, '\n');
		lines = n < bytes.len;
		n += lines;
		line = slice_sub(bytes, 0, n);
		mime_feed(in->mime, line);
		if (in->in_header)
			follow_header(in, line);
	}
	in->size += n;
	in->lines += lines;
	return n;
}

/* Bytes with CRLF line ends, as the message will be served. */
static enum rc
take(struct ingest *in, struct slice bytes, struct err *e)
{
	struct slice run = { bytes.ptr, 0 };
	enum blob_content kind = BLOB_HEADER;
	enum rc rc = RC_OK;

	while (rc == RC_OK && bytes.len > 0) {
		size_t n = take_lines(in, bytes);
		enum blob_content k = kind_of_line(in);

		if (run.len > 0 && k != kind) {
			rc = blob_writer_feed(in->blob, run, kind, e);
			run = slice_of(bytes.ptr, 0);
		}
		kind = k;
		run.len += n;
		if (bytes.ptr[n - 1] == '\n') {
			in->in_header = in->in_header && !in->line_empty;
			in->line_empty = true;
		}
		bytes = slice_sub(bytes, n, bytes.len);
	}
	if (rc == RC_OK && run.len > 0)
		rc = blob_writer_feed(in->blob, run, kind, e);
	return rc;
}

static enum rc
take_checked(struct ingest *in, struct slice s, struct err *e)
{
	if (in->max_size > 0 && s.len > in->max_size - in->size)
		return err_set(e, RC_LIMIT, "message is larger than %llu bytes",
		               (unsigned long long)in->max_size);
	return take(in, s, e);
}

static enum rc
flush(struct ingest *in, struct err *e)
{
	struct slice s = { in->crlf, in->pending };

	in->pending = 0;
	return take_checked(in, s, e);
}

/* Up to the first LF without a CR before it, from the start of a line on. */
static size_t
find_bare_lf(struct slice s)
{
	size_t i = 1;

	if (s.ptr[0] == '\n')
		return 0;
	for (; i + sizeof(octets16) <= s.len; i += sizeof(octets16)) {
		octets16 v = octets_load(s.ptr + i), before = octets_load(s.ptr + i - 1);

		if (octets_fold((octets16)((v == '\n') & (before != '\r'))) != 0)
			break;
	}
	while (i < s.len && (s.ptr[i] != '\n' || s.ptr[i - 1] == '\r'))
		i++;
	return i;
}

/* Whole lines at the beginning, whose ends are right already. */
static size_t
find_right_lines(struct slice s)
{
	size_t n = find_bare_lf(s);

	while (n > 0 && s.ptr[n - 1] != '\n')
		n--;
	return n;
}

/* To the buffer: up to the line's end, as far as there is room. */
static size_t
buffer_line(struct ingest *in, struct slice bytes)
{
	size_t n = slice_find_byte(bytes, '\n');
	bool lf = n < bytes.len;

	/* Room for this piece, and for CR and LF behind it. */
	if (n > CRLF_BUF - 2 - in->pending) {
		n = CRLF_BUF - 2 - in->pending;
		lf = false;
	}
	if (n > 0) {
		memcpy(in->crlf + in->pending, bytes.ptr, n);
		in->pending += n;
		in->last_cr = bytes.ptr[n - 1] == '\r';
	}
	if (lf) {
		if (!in->last_cr && !in->keep_octets)
			in->crlf[in->pending++] = '\r';
		in->crlf[in->pending++] = '\n';
		in->last_cr = false;
	}
	in->mid_line = !lf;
	return n + (lf ? 1 : 0);
}

/* Until the input ends, or `line` and a line ends. */
static enum rc
feed_buffer(struct ingest *in, struct slice *bytes, bool line, struct err *e)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && bytes->len > 0 && (!line || in->mid_line)) {
		size_t n = buffer_line(in, *bytes);

		*bytes = slice_sub(*bytes, n, bytes->len);
		if (in->pending >= CRLF_BUF - 2)
			rc = flush(in, e);
	}
	return rc;
}

/* Much at once, if its line ends are right, goes without the buffer. */
enum rc
ingest_feed(struct ingest *in, struct slice bytes, struct err *e)
{
	enum rc rc = RC_OK;

	if (bytes.len >= DIRECT_MIN && !in->keep_octets) {
		size_t n;

		rc = feed_buffer(in, &bytes, true, e);
		n = rc == RC_OK && bytes.len >= DIRECT_MIN ? find_right_lines(bytes) : 0;
		if (n >= DIRECT_MIN) {
			rc = flush(in, e);
			if (rc == RC_OK)
				rc = take_checked(in, slice_sub(bytes, 0, n), e);
			bytes = slice_sub(bytes, n, bytes.len);
		}
	}
	return rc == RC_OK ? feed_buffer(in, &bytes, false, e) : rc;
}

/* ---- the end ---- */

static enum rc
encode_summary(struct ingest *in, struct ingested *m, struct err *e)
{
	struct mime_summary s;
	enum rc rc = mime_finish(in->mime, &s, e);

	if (rc != RC_OK)
		return rc;
	if (!mime_summary_encode(&s, &m->summary))
		return err_nomem(e);
	m->blob.summary = buf_slice(&m->summary);
	m->blob.header_len = s.header_len < UINT32_MAX ? (uint32_t)s.header_len : UINT32_MAX;
	m->blob.lines = s.lines < UINT32_MAX ? (uint32_t)s.lines : UINT32_MAX;
	return RC_OK;
}

static enum rc
finish(struct ingest *in, struct ingested *m, struct err *e)
{
	enum rc rc;

	rc = flush(in, e);
	if (rc == RC_OK)
		rc = blob_writer_finish(in->blob, &m->blob, e);
	if (rc == RC_OK)
		rc = encode_summary(in, m, e);
	if (rc == RC_OK) {
		blob_writer_pack_summary(in->blob, &m->blob, &m->packed);
		m->writer = in->blob;
		in->blob = NULL;
	}
	return rc;
}

enum rc
ingest_finish(struct ingest **inp, struct ingested **out, struct err *e)
{
	struct ingest *in = *inp;
	struct ingested *m = calloc(1, sizeof *m);
	enum rc rc;

	*inp = NULL;
	*out = NULL;
	if (m == NULL) {
		rc = err_nomem(e);
	} else {
		atomic_init(&m->refs, 1);
		buf_init(&m->summary, MIME_SUMMARY_MAX);
		buf_init(&m->packed, FRONT_SUMMARY_MAX + FRONT_MORE);
		rc = finish(in, m, e);
	}
	ingest_free(&in);
	if (rc != RC_OK) {
		ingested_unref(&m);
		return rc;
	}
	*out = m;
	return RC_OK;
}

uint64_t
ingested_size(const struct ingested *m)
{
	return m->blob.size;
}

const struct record_blob *
ingested_blob(const struct ingested *m)
{
	return &m->blob;
}

void
ingested_ref(struct ingested *m)
{
	(void)atomic_fetch_add(&m->refs, 1);
}

void
ingested_unref(struct ingested **mp)
{
	struct ingested *m = *mp;

	*mp = NULL;
	if (m == NULL || atomic_fetch_sub(&m->refs, 1) > 1)
		return;
	blob_writer_free(&m->writer);
	buf_fini(&m->summary);
	buf_fini(&m->packed);
	free(m);
}
