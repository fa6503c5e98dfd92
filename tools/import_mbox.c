/* import_mbox - mbox files: one, or a tree of them (also Thunderbird's, with its ".sbd").
 *
 * A message begins with a line "From ... DATE" behind an empty line, or at the file's begin. How
 * lines that look so are kept apart differs [RFC 4155 names none]; what is understood:
 *
 *     mboxrd, mboxo   ">From " at a line's begin loses one ">" (mboxrd: also ">>From " and so on)
 *     mboxcl2         Content-Length is believed when such a line, or the file's end, stands where
 *                     it says; then nothing is unquoted
 *
 * Status, X-Status, X-Keywords, X-UID, X-IMAPbase and X-IMAP are what mail programs write for
 * themselves: they become flags, keywords, UIDs and UIDVALIDITY and are left out of the message.
 * Where restante-messages stands beside a file it was exported by us: these fields are then the
 * message's own, and the file's end is made as it was. INTERNALDATE is the date of the From line.
 *
 * One window of the file is held, and one header.
 */
#include "tools/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/date.h"
#include "tools/import_meta.h"
#include "tools/import_tree.h"

#define PATH_SIZE   4096
#define WINDOW      (64u << 10)
#define AHEAD       1024u               /* bytes that are in the window at a line's begin,
                                         * unless the file ends */
#define HEADER_MAX  (1u << 20)          /* what is longer counts as body */
#define OUT_MAX     (HEADER_MAX + 2 * WINDOW)
#define NO_LENGTH   UINT64_MAX

struct mbox {
	const struct import_options *options;
	struct tree         tree;
	size_t              file;       /* the next one */
	const char         *path;       /* of the open one */
	int                 fd;
	struct import_meta *meta;       /* NULL: none */
	uint32_t            number;     /* of the message in it, from 1 */

	uint8_t             window[WINDOW];
	size_t              at, len;    /* unread bytes of it */
	uint64_t            offset;     /* of the file, of window[len] */
	bool                eof;

	bool                in_message;
	bool                untold;     /* its header was read, and it was not told yet */
	bool                line_start, last_empty;
	uint64_t            left;       /* of a body of known length; NO_LENGTH: up to the
	                                 * next From line */
	struct slice        held[2];    /* line ends that may not be the message's */
	unsigned            held_count;
	uint64_t            size;       /* of the message with CRLF, without what is held */
	uint64_t            want_size;  /* 0: not known */
	struct buf          out;        /* ready to be read */
	size_t              out_at;

	struct import_message message;
	struct buf          words;
	struct import_mailbox box;
	char                label[PATH_SIZE];
};

/* ---- the window ---- */

/* At least `n` bytes, unless the file ends. */
static enum rc
fill(struct mbox *m, size_t n, struct err *e)
{
	if (m->len - m->at >= n || m->eof)
		return RC_OK;
	memmove(m->window, m->window + m->at, m->len - m->at);
	m->len -= m->at;
	m->at = 0;
	while (m->len < sizeof m->window && !m->eof) {
		ssize_t got = read(m->fd, m->window + m->len, sizeof m->window - m->len);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_os(e, errno, "%s", m->path);
		m->eof = got == 0;
		m->len += (size_t)got;
		m->offset += (uint64_t)got;
	}
	return RC_OK;
}

static struct slice
ahead(const struct mbox *m)
{
	return slice_of(m->window + m->at, m->len - m->at);
}

/* "From anna@example.org Sat Jan  3 01:05:34 1996": is there a date behind the sender? */
static bool
is_from_line(struct slice text, struct date *date)
{
	struct slice line = slice_sub(text, 0, slice_find_byte(text, '\n'));

	if (!slice_starts(line, SLICE("From ")) || line.len > AHEAD)
		return false;
	line = slice_trim(slice_sub(line, 5, line.len));
	while (line.len > 0) {          /* a sender may hold spaces */
		line = slice_sub(line, slice_find_byte(line, ' '), line.len);
		line = slice_trim(line);
		if (date_parse_rfc5322(line, date))
			return true;
	}
	return false;
}

/* ---- what goes out ---- */

static void
let_go(struct mbox *m, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		buf_append_slice(&m->out, m->held[0]);
		m->size += 2;
		m->held[0] = m->held[1];
		m->held_count--;
	}
}

static void
emit_text(struct mbox *m, struct slice s)
{
	if (s.len == 0)
		return;
	let_go(m, m->held_count);
	buf_append_slice(&m->out, s);
	m->size += s.len;
}

static void
emit_eol(struct mbox *m, bool crlf)
{
	if (m->held_count == 2)
		let_go(m, 1);
	m->held[m->held_count++] = crlf ? SLICE("\r\n") : SLICE("\n");
}

/* The empty line before the next From line is not the message's; a line end that it did not have
 * goes too. One that had a last CR got the LF alone. */
static void
end_message(struct mbox *m)
{
	uint64_t size;

	m->in_message = false;
	if (m->left == NO_LENGTH && m->held_count > 0 && m->last_empty)
		m->held_count--;
	size = m->size + 2u * m->held_count;
	if (m->held_count > 0 && m->want_size > 0 && size == m->want_size + 2)
		m->held_count--;
	else if (m->held_count > 0 && m->want_size > 0 && size == m->want_size + 1)
		m->held[m->held_count - 1] = SLICE("\r");
	let_go(m, m->held_count);
}

/* ---- lines of the body ---- */

static bool
is_quoted(struct slice line)
{
	size_t n = 0;

	while (n < line.len && line.ptr[n] == '>')
		n++;
	return n > 0 && slice_starts(slice_sub(line, n, line.len), SLICE("From "));
}

/* At a line's begin: is the message over, is there a ">" to be dropped? */
static bool
begin_line(struct mbox *m)
{
	struct slice text = ahead(m);
	struct date date;

	m->line_start = false;
	if (text.len == 0 || (m->last_empty && is_from_line(text, &date)))
		return false;
	if (is_quoted(text))
		m->at++;
	m->last_empty = true;           /* until something is in it */
	return true;
}

static void
take_piece(struct mbox *m)
{
	struct slice text = ahead(m);
	size_t n = slice_find_byte(text, '\n');
	bool eol = n < text.len, crlf = eol && n > 0 && text.ptr[n - 1] == '\r';
	size_t body = n - (crlf ? 1 : 0);

	if (!eol && body > 1 && text.ptr[body - 1] == '\r' && !m->eof)
		body--;                 /* its LF may follow */
	emit_text(m, slice_sub(text, 0, body));
	m->last_empty = m->last_empty && body == 0;
	m->at += eol ? n + 1 : body;
	if (eol) {
		emit_eol(m, crlf);
		m->line_start = true;
	}
}

/* More into `out`. */
static enum rc
take_body(struct mbox *m, struct err *e)
{
	enum rc rc = fill(m, AHEAD, e);

	if (rc != RC_OK)
		return rc;
	if (m->left != NO_LENGTH) {
		struct slice part = slice_sub(ahead(m), 0,
		                              m->left < WINDOW ? (size_t)m->left : WINDOW);

		let_go(m, m->held_count);
		buf_append_slice(&m->out, part);
		m->at += part.len;
		m->left -= part.len;
		if (m->left == 0 || part.len == 0)
			end_message(m);
		return RC_OK;
	}
	if ((m->line_start && !begin_line(m)) || m->len == m->at)
		end_message(m);
	else
		take_piece(m);
	return RC_OK;
}

/* ---- the header ---- */

/* "X-IMAPbase: 1094807374 0000000020 NonJunk": UIDVALIDITY, the last UID, keywords. */
static void
read_base(struct mbox *m, struct slice value)
{
	uint64_t n;

	value = slice_trim(value);
	if (slice_to_u64(import_take_field(&value, ' '), UINT32_MAX, &n))
		m->box.uidvalidity = (uint32_t)n;
	value = slice_trim(value);
	if (slice_to_u64(import_take_field(&value, ' '), UINT32_MAX - 1, &n))
		m->box.uidnext = (mail_uid)n + 1;
}

static void
read_status(struct mbox *m, struct slice value)
{
	static const struct {
		char     letter;
		uint32_t flag;
	} letters[] = { { 'R', FLAG_SEEN }, { 'A', FLAG_ANSWERED }, { 'F', FLAG_FLAGGED },
	                { 'D', FLAG_DELETED },
		        { 'T', FLAG_DRAFT } };

	for (size_t i = 0; i < value.len; i++)
		for (size_t k = 0; k < sizeof letters / sizeof letters[0]; k++)
			m->message.flags |= value.ptr[i] == (uint8_t)letters[k].letter
			                        ? letters[k].flag
			                        : 0;
}

static void
read_words(struct mbox *m, struct slice value)
{
	while (value.len > 0) {
		struct slice word = slice_trim(import_take_field(&value, ' '));

		if (word.len > 0 && m->words.len > 0)
			buf_append_byte(&m->words, ' ');
		buf_append_slice(&m->words, word);
	}
}

/* A field that mail programs write for themselves: read and left out. */
static bool
read_field(struct mbox *m, struct slice field)
{
	size_t colon = slice_find_byte(field, ':');
	struct slice name = slice_sub(field, 0, colon),
	             value = slice_trim(slice_sub(field, colon + 1, field.len));
	uint64_t n;

	if (m->meta != NULL)
		return false;
	if (slice_eq_nocase(name, SLICE("Status")) || slice_eq_nocase(name, SLICE("X-Status")))
		read_status(m, value);
	else if (slice_eq_nocase(name, SLICE("X-Keywords")))
		read_words(m, value);
	else if (slice_eq_nocase(name, SLICE("X-UID")))
		m->message.uid = slice_to_u64(value, UINT32_MAX - 1, &n) ? (mail_uid)n : 0;
	else if (slice_eq_nocase(name, SLICE("X-IMAPbase")) ||
	         slice_eq_nocase(name, SLICE("X-IMAP")))
		read_base(m, value);
	else
		return false;
	return true;
}

/* Is there a From line, or the file's end, where Content-Length says? */
static void
try_length(struct mbox *m, struct slice value)
{
	uint64_t n, from = m->offset - (m->len - m->at);
	char text[AHEAD + 2];
	struct date date;
	struct stat st;
	ssize_t got;

	if (!slice_to_u64(slice_trim(value), INT64_MAX / 2, &n) || fstat(m->fd, &st) != 0)
		return;
	if (from + n > (uint64_t)st.st_size)
		return;
	got = pread(m->fd, text, sizeof text, (off_t)(from + n));
	if (got < 0)
		return;
	if (got == 0 || (got == 1 && text[0] == '\n') ||
	    (got > 1 && text[0] == '\n' &&
	        is_from_line(slice_of(text + 1, (size_t)got - 1), &date)))
		m->left = n;
}

/* The next line of the header with its line end, into *line; a line longer than the
 * window is cut. */
static enum rc
header_line(struct mbox *m, struct slice *line, struct err *e)
{
	enum rc rc = fill(m, WINDOW / 2, e);
	struct slice text = ahead(m);
	size_t n = slice_find_byte(text, '\n');

	*line = slice_sub(text, 0, n + 1);
	m->at += line->len;
	return rc;
}

static void
emit_line(struct mbox *m, struct slice line)
{
	bool eol = line.len > 0 && line.ptr[line.len - 1] == '\n';
	bool crlf = eol && line.len > 1 && line.ptr[line.len - 2] == '\r';

	emit_text(m, slice_sub(line, 0, line.len - (crlf ? 2u : eol ? 1u : 0u)));
	if (eol)
		emit_eol(m, crlf);
}

/* The header into `out`, what is the mbox's own left out of it. */
static enum rc
take_header(struct mbox *m, struct slice *length, struct err *e)
{
	static _Thread_local char kept[32];
	bool dropped = false;
	size_t bytes = 0;
	enum rc rc = RC_OK;

	*length = SLICE_NONE;
	for (;;) {
		struct slice line;
		bool folded;

		rc = header_line(m, &line, e);
		if (rc != RC_OK || line.len == 0)
			return rc;
		folded = line.ptr[0] == ' ' || line.ptr[0] == '\t';
		if (slice_trim(line).len == 0) {
			emit_line(m, line);
			return RC_OK;
		}
		dropped = folded ? dropped : read_field(m, line);
		if (slice_starts_nocase(line, SLICE("Content-Length:")) &&
		    slice_to_cstr(slice_trim(line), kept, sizeof kept))
			*length = slice_str(kept + 15);
		/* Of others ">From " in a header is what a mail program of old put there. */
		if (!dropped)
			emit_line(m,
			    slice_sub(line, m->meta != NULL && is_quoted(line) ? 1 : 0, line.len));
		bytes += line.len;
		if (bytes > HEADER_MAX - WINDOW)
			return RC_OK;
	}
}

/* What UW-IMAP keeps in the first message is no mail. */
static bool
is_internal(const struct mbox *m)
{
	return m->number == 1 && m->meta == NULL &&
	       slice_find(buf_slice(&m->out),
	           SLICE("Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA")) <
	           m->out.len;
}

static void
use_meta(struct mbox *m)
{
	const struct meta_row *r;
	char id[16];

	(void)snprintf(id, sizeof id, "%u", m->number);
	r = import_meta_find(m->meta, slice_str(id));
	if (r == NULL)
		return;
	m->message.flags = r->flags;
	m->message.keywords = r->keywords;
	m->message.internaldate = r->internaldate;
	m->message.uid = r->uid;
	m->message.uidl = r->uidl;
	m->want_size = r->size;
}

/* The From line and the header of the next message. */
static enum rc
begin_message(struct mbox *m, struct err *e)
{
	struct date date = { .unix_time = 0 };
	struct slice line, length;
	enum rc rc = header_line(m, &line, e);

	if (rc != RC_OK)
		return rc;
	m->in_message = m->untold = true;
	m->number++;
	m->held_count = 0;
	m->size = m->want_size = 0;
	m->left = NO_LENGTH;
	m->out_at = 0;
	buf_reset(&m->out);
	buf_reset(&m->words);
	m->message = (struct import_message){ .uid = 0 };
	if (is_from_line(line, &date))
		m->message.internaldate = (struct mail_date){ date.unix_time, date.zone };
	rc = take_header(m, &length, e);
	m->message.keywords = buf_slice(&m->words);
	m->line_start = m->last_empty = true;
	if (rc == RC_OK && length.len > 0 && m->meta == NULL)
		try_length(m, length);
	(void)snprintf(m->label, sizeof m->label, "%s, message %u", m->path, m->number);
	m->message.label = slice_str(m->label);
	use_meta(m);
	return rc;
}

/* ---- files ---- */

static void
close_file(struct mbox *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
	import_meta_free(&m->meta);
}

/* False: told, and passed over. */
static bool
open_file(struct mbox *m, const struct tree_file *f, struct err *e)
{
	char meta[PATH_SIZE];
	struct err why = ERR_INIT;
	struct slice name = slice_str(f->mailbox);

	m->path = f->path;
	m->fd = tree_open(&m->tree, f->path);
	m->at = m->len = 0;
	m->offset = m->number = 0;
	m->eof = m->in_message = m->untold = false;
	m->box = (struct import_mailbox){ .uidvalidity = 0 };
	if (m->fd < 0 || fill(m, AHEAD, e) != RC_OK) {
		import_complain(m->options, "%s: %s", f->path,
		                m->fd < 0 ? import_why_not_opened() : e->text);
		return false;
	}
	if (m->len > 0 && !slice_starts(ahead(m), SLICE("From "))) {
		import_complain(m->options,
		    "%s: this is no mbox, it does not begin with a line \"From \"", f->path);
		return false;
	}
	if (snprintf(meta, sizeof meta, "%s." META_NAME, f->path) < (int)sizeof meta &&
	    import_meta_load(meta, &m->meta, &why) != RC_OK && why.code != RC_NOT_FOUND)
		import_complain(m->options, "%s", why.text);
	if (m->meta != NULL)
		import_meta_mailbox(m->meta, &m->box);
	m->box.name = m->options->mailbox != NULL ? name : import_meta_name(m->meta, f->path, name);
	return true;
}

/* The mailbox is told before its first message, whose header says what UIDVALIDITY it has. */
static enum rc
next_file(struct mbox *m, struct import_item *out, bool *told, struct err *e)
{
	enum rc rc = RC_OK;

	*told = false;
	close_file(m);
	if (!open_file(m, &m->tree.files[m->file++], e)) {
		close_file(m);
		return RC_OK;
	}
	if (m->len > 0)
		rc = begin_message(m, e);
	if (rc != RC_OK)
		return rc;
	*told = true;
	*out = (struct import_item){ .event = IMPORT_MAILBOX, .mailbox = m->box };
	return RC_OK;
}

static enum rc
skip_rest(struct mbox *m, struct err *e)
{
	enum rc rc = RC_OK;

	while (rc == RC_OK && m->in_message) {
		buf_reset(&m->out);
		rc = take_body(m, e);
	}
	buf_reset(&m->out);
	m->out_at = 0;
	return rc;
}

/* A body of known length is followed by an empty line. */
static enum rc
skip_empty(struct mbox *m, struct err *e)
{
	enum rc rc = fill(m, AHEAD, e);

	while (rc == RC_OK && m->at < m->len &&
	       (m->window[m->at] == '\n' || m->window[m->at] == '\r')) {
		m->at++;
		rc = fill(m, AHEAD, e);
	}
	return rc;
}

/* ---- the source ---- */

/* Past the message at hand, to the next one of the open file; none: not in_message. */
static enum rc
advance(struct mbox *m, struct err *e)
{
	enum rc rc = skip_rest(m, e);

	if (rc == RC_OK)
		rc = skip_empty(m, e);
	if (rc == RC_OK && m->at < m->len)
		rc = begin_message(m, e);
	return rc;
}

static enum rc
mbox_next(void *state, struct import_item *out, struct err *e)
{
	struct mbox *m = state;
	bool told = false;
	enum rc rc = RC_OK;

	*out = (struct import_item){ .event = IMPORT_END };
	if (m->fd >= 0 && !m->untold)
		rc = advance(m, e);
	while (rc == RC_OK && m->untold && is_internal(m)) {
		m->untold = false;
		rc = advance(m, e);
	}
	if (rc == RC_OK && m->untold) {
		m->untold = false;
		*out = (struct import_item){ .event = IMPORT_MESSAGE, .message = m->message };
		return RC_OK;
	}
	while (rc == RC_OK && !told && m->file < m->tree.count)
		rc = next_file(m, out, &told, e);
	return rc;
}

static enum rc
mbox_read(void *state, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	struct mbox *m = state;
	size_t n;

	*got = 0;
	while (m->out_at == m->out.len && m->in_message) {
		enum rc rc;

		buf_reset(&m->out);
		m->out_at = 0;
		rc = take_body(m, e);
		if (rc != RC_OK)
			return rc;
	}
	if (m->out.failed)
		return err_nomem(e);
	n = m->out.len - m->out_at < size ? m->out.len - m->out_at : size;
	if (n > 0)
		memcpy(to, m->out.ptr + m->out_at, n);
	m->out_at += n;
	*got = n;
	return RC_OK;
}

static void
mbox_close(void *state)
{
	struct mbox *m = state;

	close_file(m);
	tree_fini(&m->tree);
	buf_fini(&m->out);
	buf_fini(&m->words);
	free(m);
}

static bool
is_mbox(const char *path)
{
	uint8_t head[5];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool yes = fd >= 0 && read(fd, head, sizeof head) == (ssize_t)sizeof head &&
	           memcmp(head, "From ", 5) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

enum rc
import_open_mbox(const char *path, const struct import_options *options, struct import_source *out,
                 struct err *e)
{
	struct mbox *m = calloc(1, sizeof *m);
	enum rc rc;

	if (m == NULL)
		return err_nomem(e);
	m->options = options;
	m->fd = -1;
	buf_init(&m->out, OUT_MAX);
	buf_init(&m->words, 65536);
	rc = tree_list(&m->tree, path, true, is_mbox, options, e);
	if (rc != RC_OK) {
		mbox_close(m);
		return rc;
	}
	*out = (struct import_source){ m, mbox_next, mbox_read, mbox_close };
	return RC_OK;
}
