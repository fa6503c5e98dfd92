/* import_meta - restante-messages, and the reading of such small files. See import_meta.h. */
#include "tools/import_meta.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FILE_MAX (UINT32_C(1) << 30)

struct import_meta {
	struct buf            text;
	struct import_mailbox mailbox;
	struct meta_row      *rows;     /* in the order of ids */
	size_t                count;
};

/* ---- small files ---- */

enum rc
import_read_file(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	ssize_t n = 1;

	if (fd < 0)
		return err_os(e, errno, "%s", path);
	while (n > 0) {
		uint8_t *to = buf_reserve(out, 65536);

		if (to == NULL) {
			close(fd);
			return err_set(e, RC_LIMIT, "%s is too large", path);
		}
		n = read(fd, to, 65536);
		if (n > 0)
			buf_commit(out, (size_t)n);
	}
	if (n < 0)
		err_os(e, errno, "%s", path);
	close(fd);
	return n < 0 ? e->code : RC_OK;
}

bool
import_take_line(struct slice *text, struct slice *line)
{
	size_t n;

	if (text->len == 0)
		return false;
	n = slice_find_byte(*text, '\n');
	*line = slice_sub(*text, 0, n);
	if (line->len > 0 && line->ptr[line->len - 1] == '\r')
		line->len--;
	*text = slice_sub(*text, n + 1, text->len);
	return true;
}

struct slice
import_take_field(struct slice *line, uint8_t sep)
{
	size_t n = slice_find_byte(*line, sep);
	struct slice field = slice_sub(*line, 0, n);

	*line = slice_sub(*line, n + 1, line->len);
	return field;
}

/* ---- flags ---- */

static const struct {
	char     letter;
	uint32_t flag;
} letters[] = {
	{ 'D', FLAG_DRAFT }, { 'F', FLAG_FLAGGED }, { 'R', FLAG_ANSWERED }, { 'S', FLAG_SEEN },
	{ 'T', FLAG_DELETED },
};

uint32_t
import_flags_of(struct slice s)
{
	uint32_t flags = 0;

	for (size_t i = 0; i < s.len; i++)
		for (size_t k = 0; k < sizeof letters / sizeof letters[0]; k++)
			flags |= s.ptr[i] == (uint8_t)letters[k].letter ? letters[k].flag : 0;
	return flags;
}

void
import_letters_of(uint32_t flags, char out[META_FLAGS_SIZE])
{
	for (size_t k = 0; k < sizeof letters / sizeof letters[0]; k++)
		if ((flags & letters[k].flag) != 0)
			*out++ = letters[k].letter;
	*out = '\0';
}

/* ---- reading ---- */

static int
compare_rows(const void *a, const void *b)
{
	const struct meta_row *x = a, *y = b;

	return slice_cmp(x->id, y->id);
}

static struct slice
text_field(struct slice *line)
{
	struct slice s = import_take_field(line, '\t');

	return slice_eq(s, SLICE("-")) ? SLICE_NONE : s;
}

/* A number with perhaps a sign; 0 if it is none. */
static int64_t
number_field(struct slice *line)
{
	struct slice s = import_take_field(line, '\t');
	bool minus = s.len > 0 && s.ptr[0] == '-';
	uint64_t n = 0;

	if (!slice_to_u64(minus ? slice_sub(s, 1, s.len) : s, INT64_MAX, &n))
		return 0;
	return minus ? -(int64_t)n : (int64_t)n;
}

static bool
parse_head(struct import_meta *m, struct slice line)
{
	if (!slice_eq(import_take_field(&line, '\t'), SLICE(META_NAME)) || number_field(&line) != 1)
		return false;
	m->mailbox.uidvalidity = (uint32_t)number_field(&line);
	m->mailbox.uidnext = (mail_uid)number_field(&line);
	m->mailbox.special_use = (uint32_t)number_field(&line);
	m->mailbox.name = line;
	return true;
}

static struct meta_row
parse_row(struct slice line)
{
	struct meta_row r = { .id = import_take_field(&line, '\t') };

	r.uid = (mail_uid)number_field(&line);
	r.internaldate.sec = number_field(&line);
	r.internaldate.zone_min = (int16_t)number_field(&line);
	r.flags = import_flags_of(text_field(&line));
	r.keywords = text_field(&line);
	r.uidl = text_field(&line);
	r.size = (uint64_t)number_field(&line);
	return r;
}

static enum rc
parse(struct import_meta *m, const char *path, struct err *e)
{
	struct slice text = buf_slice(&m->text), line;
	size_t lines = 0;

	if (!import_take_line(&text, &line) || !parse_head(m, line))
		return err_set(e, RC_SYNTAX, "%s is none of ours", path);
	for (size_t i = 0; i < text.len; i++)
		lines += text.ptr[i] == '\n';
	m->rows = calloc(lines + 1, sizeof *m->rows);
	if (m->rows == NULL)
		return err_nomem(e);
	while (m->count < lines && import_take_line(&text, &line))
		m->rows[m->count++] = parse_row(line);
	if (m->count > 1)
		qsort(m->rows, m->count, sizeof *m->rows, compare_rows);
	return RC_OK;
}

enum rc
import_meta_load(const char *path, struct import_meta **out, struct err *e)
{
	struct import_meta *m = calloc(1, sizeof *m);
	enum rc rc;

	*out = NULL;
	if (m == NULL)
		return err_nomem(e);
	buf_init(&m->text, FILE_MAX);
	rc = import_read_file(path, &m->text, e);
	if (rc == RC_OK)
		rc = parse(m, path, e);
	if (rc == RC_OK)
		*out = m;
	else
		import_meta_free(&m);
	return rc;
}

void
import_meta_free(struct import_meta **mp)
{
	struct import_meta *m = *mp;

	*mp = NULL;
	if (m == NULL)
		return;
	buf_fini(&m->text);
	free(m->rows);
	free(m);
}

void
import_meta_mailbox(const struct import_meta *m, struct import_mailbox *out)
{
	*out = m->mailbox;
}

struct slice
import_meta_name(const struct import_meta *m, const char *path, struct slice name)
{
	const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;

	if (m == NULL || m->mailbox.name.len == 0)
		return name;
	return slice_starts(slice_str(base + (base[0] == '.')), SLICE(META_ODD)) ? m->mailbox.name
	                                                                         : name;
}

const struct meta_row *
import_meta_find(const struct import_meta *m, struct slice id)
{
	struct meta_row wanted = { .id = id };

	if (m == NULL || m->count == 0)
		return NULL;
	return bsearch(&wanted, m->rows, m->count, sizeof *m->rows, compare_rows);
}

/* ---- writing ---- */

bool
meta_write_mailbox(FILE *f, const struct import_mailbox *m)
{
	return fprintf(f, META_NAME "\t1\t%" PRIu32 "\t%" PRIu32 "\t%" PRIu32 "\t%.*s\n",
	               m->uidvalidity, m->uidnext, m->special_use, SLICE_ARG(m->name)) > 0;
}

bool
meta_write_row(FILE *f, const struct meta_row *r)
{
	struct slice nothing = SLICE("-");
	struct slice keywords = r->keywords.len > 0 ? r->keywords : nothing,
	             uidl = r->uidl.len > 0 ? r->uidl : nothing;
	char flags[META_FLAGS_SIZE];

	import_letters_of(r->flags, flags);
	return fprintf(f, "%.*s\t%" PRIu32 "\t%" PRId64 "\t%d\t%s\t%.*s\t%.*s\t%" PRIu64 "\n",
	               SLICE_ARG(r->id), r->uid, r->internaldate.sec, r->internaldate.zone_min,
	               flags[0] != '\0' ? flags : "-", SLICE_ARG(keywords), SLICE_ARG(uidl),
	               r->size) > 0;
}
