/* export_write - a stream of messages becomes Maildir, mbox or files *.eml. See export.h.
 *
 * Octets are kept. In Maildir and mbox lines end with LF, as their readers expect, but for a line
 * whose last octet is a CR: that one keeps its CRLF, so that an import makes of all of it what it
 * was. mbox quotes as mboxrd. Files *.eml are the messages as they are. What has no place in a file
 * stands beside it in restante-messages (import_meta.h); a Maildir also gets dovecot-uidlist and
 * dovecot-keywords, so that Dovecot goes on with the UIDs and keywords.
 */
#define _GNU_SOURCE
#include "tools/export.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/mutf7.h"
#include "tools/import_meta.h"

#define PATH_SIZE 4096
#define KEYWORDS  26
#define ODD_TRIES 1000

struct export_writer {
	struct parcel_handler handler;
	enum export_format format;
	const char *path;
	bool        single, to_stdout;
	bool        made_top;           /* the directory at `path` */
	unsigned    odd;                /* mailboxes whose names cannot be those of files */

	char        dir[PATH_SIZE];     /* of the mailbox; mbox: its file */
	FILE       *meta;
	FILE       *uidlist;            /* Maildir */
	char       *keywords[KEYWORDS]; /* that have a letter in this mailbox */
	uint32_t    number;             /* of the message in its mailbox */
	FILE       *subscriptions;

	FILE       *file;               /* messages go here */
	char        name[PATH_SIZE];    /* of the message's file while it is written */
	struct parcel_message message;
	struct buf  texts;              /* its keywords and unique-id */
	long        began;              /* mbox: where it begins */
	uint64_t    size, written;      /* as in the mailbox, as in the file */

	bool        cr, after_cr;  /* a CR waits for what follows; the octet before it was one */
	bool        line_start;
	uint8_t     from[6];            /* "From " as far as it has been seen */
	size_t      from_len;
	uint8_t     last;

	uint64_t    count, bytes;
};

static enum rc
io_error(const char *path, struct err *e)
{
	return err_os(e, errno, "%s", path);
}

/* ---- octets ---- */

static void
put_octet(struct export_writer *w, uint8_t b)
{
	(void)putc(b, w->file);
	w->written++;
	w->last = b;
}

/* One octet of a line in mboxrd: ">*From " gets one ">" more. */
static void
put_quoted(struct export_writer *w, uint8_t b)
{
	static const uint8_t from[] = "From ";

	if (w->line_start && w->from_len == 0 && b == '>') {
		put_octet(w, b);
		return;
	}
	if (w->line_start && b == from[w->from_len]) {
		w->from[w->from_len++] = b;
		if (w->from_len < 5)
			return;
		put_octet(w, '>');
	} else {
		w->line_start = false;
	}
	for (size_t i = 0; i < w->from_len; i++)
		put_octet(w, w->from[i]);
	if (w->from_len < 5)
		put_octet(w, b);
	w->from_len = 0;
	w->line_start = b == '\n';
}

static void
put_line_octet(struct export_writer *w, uint8_t b)
{
	if (w->format == EXPORT_MBOX)
		put_quoted(w, b);
	else
		put_octet(w, b);
}

/* CRLF becomes LF, unless a CR stands before it. */
static void
put_text(struct export_writer *w, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t b = s.ptr[i];

		if (w->cr && (b != '\n' || w->after_cr))
			put_line_octet(w, '\r');
		if (b == '\r') {
			w->after_cr = w->cr;
			w->cr = true;
			continue;
		}
		put_line_octet(w, b);
		w->cr = w->after_cr = false;
	}
}

static void
end_text(struct export_writer *w)
{
	if (w->cr)
		put_line_octet(w, '\r');
	for (size_t i = 0; i < w->from_len; i++)
		put_octet(w, w->from[i]);
	w->from_len = 0;
	w->cr = w->after_cr = false;
}

/* ---- mailboxes ---- */

/* All directories on the way to a file, the topmost by us: what somebody has put there since it was
 * looked for, such as a link to another place, is not written into. */
static enum rc
make_dirs(struct export_writer *w, char *path, struct err *e)
{
	size_t top = strlen(w->path);

	for (char *p = strchr(path + 1, '/'); p != NULL; p = strchr(p + 1, '/')) {
		bool is_top;
		int failed;

		*p = '\0';
		is_top = (size_t)(p - path) == top;
		failed = mkdir(path, 0700) != 0 && (errno != EEXIST || (is_top && !w->made_top))
		             ? errno
		             : 0;
		w->made_top = w->made_top || (is_top && failed == 0);
		*p = '/';
		if (failed != 0)
			return err_os(e, failed, "%s", path);
	}
	return RC_OK;
}

/* A level as a part of a folder's name in a Maildir: modified UTF-7, and the dot, which parts
 * levels, as that would be. */
static void
append_plus_level(struct buf *out, struct slice level)
{
	struct buf name;

	buf_init(&name, PATH_SIZE);
	if (mutf7_encode(level, &name) != MUTF7_OK) {
		buf_reset(&name);
		buf_append_slice(&name, level);
	}
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] == '.')
			buf_append_str(out, IMPORT_DOT);
		else
			buf_append_byte(out, name.ptr[i]);
	}
	buf_fini(&name);
}

static bool
ends_with(struct slice s, struct slice end)
{
	return s.len >= end.len && slice_eq(slice_sub(s, s.len - end.len, s.len), end);
}

/* In a tree of files a level is called as it is. Not so one that is hidden, means something to the
 * system, or would be read as another name by the import (import_tree.c). */
static bool
is_file_name(struct slice level, bool first)
{
	return level.ptr[0] != '.' && !ends_with(level, SLICE(".mbox")) &&
	       !ends_with(level, SLICE(".sbd")) && !(first && slice_eq(level, SLICE("mbox")));
}

/* Where a mailbox goes: a directory, or the file of an mbox. */
static bool
place_mailbox(struct export_writer *w, struct slice name)
{
	bool plus = w->format == EXPORT_MAILDIR, first = true, ok = true;
	struct buf path;

	buf_init(&path, PATH_SIZE - 64);
	buf_append_str(&path, w->path);
	if (!w->single && !(plus && slice_eq(name, SLICE("INBOX")))) {
		buf_append_str(&path, plus ? "/." : "/");
		while (name.len > 0) {
			if (!first)
				buf_append_byte(&path, plus ? '.' : '/');
			struct slice level = import_take_field(&name, '/');

			if (plus)
				append_plus_level(&path, level);
			else
				buf_append_slice(&path, level);
			ok = ok && (plus || is_file_name(level, first));
			first = false;
		}
		if (w->format == EXPORT_MBOX)
			buf_append_str(&path, ".mbox");
	}
	ok = ok && !path.failed && slice_to_cstr(buf_slice(&path), w->dir, sizeof w->dir);
	buf_fini(&path);
	return ok;
}

/* Where a mailbox goes whose name no file can have, or another one has already. What it is
 * called stands in restante-messages, where the import finds it. */
static void
place_odd(struct export_writer *w)
{
	w->odd++;
	switch (w->format) {
	case EXPORT_MAILDIR:
		(void)snprintf(w->dir, sizeof w->dir, "%.4000s/." META_ODD "%u", w->path, w->odd);
		break;
	case EXPORT_MBOX:
		(void)snprintf(w->dir, sizeof w->dir, "%.4000s/" META_ODD "%u.mbox", w->path,
		               w->odd);
		break;
	case EXPORT_EML:
		(void)snprintf(w->dir, sizeof w->dir, "%.4000s/" META_ODD "%u", w->path, w->odd);
		break;
	}
}

static FILE *
create(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	FILE *f = fd >= 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL)
		(void)io_error(path, e);
	return f;
}

static enum rc
close_file(FILE **f, const char *path, struct err *e)
{
	FILE *file = *f;
	bool bad;

	*f = NULL;
	if (file == NULL)
		return RC_OK;
	bad = ferror(file) != 0;
	return fclose(file) != 0 || bad ? io_error(path, e) : RC_OK;
}

static enum rc
write_keywords(struct export_writer *w, struct err *e)
{
	char path[PATH_SIZE + 32];
	FILE *f = NULL;
	enum rc rc = RC_OK;

	(void)snprintf(path, sizeof path, "%s/dovecot-keywords", w->dir);
	for (int i = 0; i < KEYWORDS && w->keywords[i] != NULL && rc == RC_OK; i++) {
		if (f == NULL)
			f = create(path, e);
		if (f == NULL)
			rc = e->code;
		else
			fprintf(f, "%d %s\n", i, w->keywords[i]);
		free(w->keywords[i]);
		w->keywords[i] = NULL;
	}
	if (f != NULL && rc == RC_OK)
		rc = close_file(&f, path, e);
	return rc;
}

static enum rc
close_mailbox(struct export_writer *w, struct err *e)
{
	enum rc rc = RC_OK;

	if (w->format == EXPORT_MBOX && w->file != NULL && !w->to_stdout)
		rc = close_file(&w->file, w->dir, e);
	if (rc == RC_OK)
		rc = close_file(&w->meta, w->dir, e);
	if (rc == RC_OK)
		rc = close_file(&w->uidlist, w->dir, e);
	if (rc == RC_OK && w->format == EXPORT_MAILDIR)
		rc = write_keywords(w, e);
	return rc;
}

static enum rc
open_maildir(struct export_writer *w, const struct parcel_mailbox *m, struct err *e)
{
	static const char *const subs[] = { "cur/", "new/", "tmp/" };
	char path[PATH_SIZE + 32];
	enum rc rc = RC_OK;

	for (size_t i = 0; i < 3 && rc == RC_OK; i++) {
		(void)snprintf(path, sizeof path, "%s/%s", w->dir, subs[i]);
		rc = make_dirs(w, path, e);
	}
	if (rc != RC_OK)
		return rc;
	(void)snprintf(path, sizeof path, "%s/dovecot-uidlist", w->dir);
	w->uidlist = create(path, e);
	if (w->uidlist == NULL)
		return e->code;
	fprintf(w->uidlist, "3 V%" PRIu32 " N%" PRIu32 "\n", m->uidvalidity, m->uidnext);
	if (w->dir[strlen(w->path)] == '\0')
		return RC_OK;
	/* Maildir++ marks folders so */
	(void)snprintf(path, sizeof path, "%s/maildirfolder", w->dir);
	w->file = create(path, e);
	return w->file != NULL ? close_file(&w->file, path, e) : e->code;
}

/* The files of a mailbox in w->dir. */
static enum rc
open_mailbox(struct export_writer *w, const struct parcel_mailbox *m, struct err *e)
{
	const struct import_mailbox im = { m->name, m->uidvalidity, m->uidnext, m->special_use,
	                                   false };
	char path[PATH_SIZE + 32];
	enum rc rc;

	(void)snprintf(path, sizeof path, "%s%s", w->dir, w->format == EXPORT_MBOX ? "" : "/");
	rc = make_dirs(w, path, e);
	if (rc == RC_OK && w->format == EXPORT_MAILDIR)
		rc = open_maildir(w, m, e);
	if (rc == RC_OK && w->format == EXPORT_MBOX) {
		w->file = create(w->dir, e);
		rc = w->file != NULL ? RC_OK : e->code;
	}
	(void)snprintf(path, sizeof path, "%s%s" META_NAME, w->dir,
	               w->format == EXPORT_MBOX ? "." : "/");
	if (rc == RC_OK)
		w->meta = create(path, e);
	if (rc == RC_OK && w->meta == NULL)
		rc = e->code;
	if (rc == RC_OK && !meta_write_mailbox(w->meta, &im))
		rc = io_error(path, e);
	return rc;
}

static bool
is_odd(const struct err *e)
{
	return e->os == EEXIST || e->os == ENOTDIR || e->os == EISDIR || e->os == ENAMETOOLONG;
}

/* What was begun of a mailbox that has no place there; another's files were not touched. */
static void
discard_mailbox(struct export_writer *w)
{
	if (w->file != NULL) {
		(void)fclose(w->file);
		if (w->format == EXPORT_MBOX)
			(void)unlink(w->dir);
	}
	if (w->uidlist != NULL)
		(void)fclose(w->uidlist);
	w->file = w->uidlist = NULL;
}

static enum rc
on_mailbox(void *arg, const struct parcel_mailbox *m, struct err *e)
{
	struct export_writer *w = arg;
	struct err why = ERR_INIT;
	enum rc rc = close_mailbox(w, e);

	w->number = 0;
	if (rc != RC_OK || w->to_stdout)
		return rc;
	if (!place_mailbox(w, m->name))
		place_odd(w);
	rc = open_mailbox(w, m, &why);
	for (unsigned n = 0;
	     rc != RC_OK && !w->single && w->made_top && is_odd(&why) && n < ODD_TRIES; n++) {
		discard_mailbox(w);
		place_odd(w);
		rc = open_mailbox(w, m, &why);
	}
	if (rc != RC_OK)
		*e = why;
	return rc;
}

/* ---- messages ---- */

static enum rc
begin_mbox(struct export_writer *w, struct err *e)
{
	time_t when = (time_t)w->message.internaldate.sec;
	struct tm tm;
	char date[32];

	if (gmtime_r(&when, &tm) == NULL || asctime_r(&tm, date) == NULL)
		strcpy(date, "Thu Jan  1 00:00:00 1970\n");
	w->began = w->to_stdout ? 0 : ftell(w->file);
	if (fprintf(w->file, "From MAILER-DAEMON %s", date) < 0)
		return io_error(w->dir, e);
	return RC_OK;
}

static enum rc
on_message(void *arg, const struct parcel_message *m, struct err *e)
{
	struct export_writer *w = arg;

	w->message = *m;
	buf_reset(&w->texts);
	if (!buf_append_slice(&w->texts, m->keywords) || !buf_append_slice(&w->texts, m->uidl))
		return err_nomem(e);
	w->message.keywords = slice_sub(buf_slice(&w->texts), 0, m->keywords.len);
	w->message.uidl = slice_sub(buf_slice(&w->texts), m->keywords.len, w->texts.len);
	w->size = w->written = 0;
	w->line_start = true;
	w->last = '\n';
	w->number++;
	if (w->format == EXPORT_MBOX)
		return begin_mbox(w, e);
	if (w->to_stdout) {
		w->file = stdout;
		return w->count == 0 ? RC_OK
		                     : err_set(e, RC_LIMIT,
		                           "only one message can be written to standard output; "
		                           "name one with --mailbox and --uid");
	}
	(void)snprintf(w->name, sizeof w->name,
	               w->format == EXPORT_MAILDIR ? "%.4000s/tmp/%u" : "%.4000s/.%u.tmp", w->dir,
	               m->uid);
	w->file = create(w->name, e);
	return w->file != NULL ? RC_OK : e->code;
}

static enum rc
on_data(void *arg, struct slice bytes, struct err *e)
{
	struct export_writer *w = arg;

	w->size += bytes.len;
	if (w->format == EXPORT_EML)
		(void)fwrite(bytes.ptr, 1, bytes.len, w->file);
	else
		put_text(w, bytes);
	return ferror(w->file) == 0 ? RC_OK : io_error(w->dir, e);
}

/* The letter of a keyword; 0 if all are taken. */
static char
letter_of(struct export_writer *w, struct slice word)
{
	for (int i = 0; i < KEYWORDS; i++) {
		if (w->keywords[i] == NULL)
			w->keywords[i] = slice_strdup(word);
		if (w->keywords[i] != NULL && slice_eq(slice_str(w->keywords[i]), word))
			return (char)('a' + i);
	}
	return 0;
}

static void
maildir_flags(struct export_writer *w, char *out, size_t size)
{
	char flags[META_FLAGS_SIZE];
	bool used[KEYWORDS] = { false };
	size_t n;

	import_letters_of(w->message.flags, flags);
	n = (size_t)snprintf(out, size, "%s", flags);
	for (struct slice rest = w->message.keywords; rest.len > 0;) {
		char letter = letter_of(w, import_take_field(&rest, ' '));

		if (letter != 0)
			used[letter - 'a'] = true;
	}
	for (int i = 0; i < KEYWORDS && n + 1 < size; i++)
		if (used[i])
			out[n++] = (char)('a' + i);
	out[n] = '\0';
}

static enum rc
write_meta(struct export_writer *w, const char *id, struct err *e)
{
	const struct meta_row r = {
		slice_str(id), w->message.uid, w->message.internaldate, w->message.flags,
		w->message.keywords, w->message.uidl, w->size,
	};

	if (w->meta == NULL || meta_write_row(w->meta, &r))
		return RC_OK;
	return io_error(w->dir, e);
}

/* The message's file gets its time and its name. */
static enum rc
keep_file(struct export_writer *w, const char *path, struct err *e)
{
	struct timespec times[2] = { { 0, UTIME_OMIT },
	                             { (time_t)w->message.internaldate.sec, 0 } };
	enum rc rc = RC_OK;

	if (fflush(w->file) != 0 || futimens(fileno(w->file), times) != 0)
		rc = io_error(w->name, e);
	if (rc == RC_OK)
		rc = close_file(&w->file, w->name, e);
	if (rc == RC_OK && rename(w->name, path) != 0)
		rc = io_error(path, e);
	return rc;
}

static enum rc
end_maildir(struct export_writer *w, struct err *e)
{
	char base[160], flags[48], path[PATH_SIZE + 256];
	enum rc rc;

	(void)snprintf(base, sizeof base,
	               "%" PRId64 ".U%" PRIu32 "N%" PRIu64 ".restante,S=%" PRIu64 ",W=%" PRIu64,
	               w->message.internaldate.sec > 0 ? w->message.internaldate.sec : 0,
	               w->message.uid, w->count, w->written, w->size);
	maildir_flags(w, flags, sizeof flags);
	(void)snprintf(path, sizeof path, "%s/cur/%s:2,%s", w->dir, base, flags);
	rc = keep_file(w, path, e);
	if (rc != RC_OK)
		return rc;
	fprintf(w->uidlist, "%" PRIu32 " ", w->message.uid);
	if (w->message.uidl.len > 0)
		fprintf(w->uidlist, "P%.*s ", SLICE_ARG(w->message.uidl));
	fprintf(w->uidlist, ":%s:2,%s\n", base, flags);
	return write_meta(w, base, e);
}

static enum rc
end_eml(struct export_writer *w, struct err *e)
{
	char base[32], path[PATH_SIZE + 64];
	enum rc rc;

	if (w->to_stdout) {
		w->file = NULL;
		return fflush(stdout) == 0 ? RC_OK : io_error("standard output", e);
	}
	(void)snprintf(base, sizeof base, "%" PRIu32 ".eml", w->message.uid);
	(void)snprintf(path, sizeof path, "%s/%s", w->dir, base);
	rc = keep_file(w, path, e);
	return rc == RC_OK ? write_meta(w, base, e) : rc;
}

static enum rc
end_mbox(struct export_writer *w, struct err *e)
{
	char id[16];

	if (w->last != '\n')
		(void)putc('\n', w->file);
	(void)putc('\n', w->file);
	(void)snprintf(id, sizeof id, "%" PRIu32, w->number);
	return ferror(w->file) == 0 ? write_meta(w, id, e) : io_error(w->dir, e);
}

/* A damaged message leaves nothing behind; in a pipe what went is gone, and the
 * next one follows. */
static enum rc
drop_message(struct export_writer *w, struct err *e)
{
	w->number--;
	if (w->to_stdout)
		return err_set(e, RC_CORRUPT,
		               "a damaged message cannot be taken back from standard output");
	if (w->format != EXPORT_MBOX) {
		(void)fclose(w->file);
		w->file = NULL;
		return unlink(w->name) == 0 ? RC_OK : io_error(w->name, e);
	}
	if (fflush(w->file) != 0 || ftruncate(fileno(w->file), w->began) != 0 ||
	    fseek(w->file, w->began, SEEK_SET) != 0)
		return io_error(w->dir, e);
	return RC_OK;
}

static enum rc
on_end(void *arg, bool whole, struct err *e)
{
	struct export_writer *w = arg;
	enum rc rc = RC_OK;

	end_text(w);
	if (!whole)
		return drop_message(w, e);
	switch (w->format) {
	case EXPORT_MAILDIR:
		rc = end_maildir(w, e);
		break;
	case EXPORT_MBOX:
		rc = end_mbox(w, e);
		break;
	case EXPORT_EML:
		rc = end_eml(w, e);
		break;
	}
	w->count++;
	w->bytes += w->size;
	return rc;
}

/* Dovecot's subscriptions, version 2: levels with a tab between. Other formats have no
 * place for them. */
static enum rc
on_subscription(void *arg, struct slice name, struct err *e)
{
	struct export_writer *w = arg;
	char path[PATH_SIZE + 32];
	bool first = true;

	if (w->format != EXPORT_MAILDIR)
		return RC_OK;
	(void)snprintf(path, sizeof path, "%s/subscriptions", w->path);
	if (w->subscriptions == NULL) {
		w->subscriptions = create(path, e);
		if (w->subscriptions == NULL)
			return e->code;
		fprintf(w->subscriptions, "V\t2\n\n");
	}
	while (name.len > 0) {
		struct slice level = import_take_field(&name, '/');

		fprintf(w->subscriptions, "%s%.*s", first ? "" : "\t", SLICE_ARG(level));
		first = false;
	}
	fputc('\n', w->subscriptions);
	return RC_OK;
}

/* ---- life ---- */

enum rc
export_open(enum export_format format, const char *path, bool single, struct export_writer **out,
            struct err *e)
{
	struct export_writer *w = calloc(1, sizeof *w);

	*out = w;
	if (w == NULL)
		return err_nomem(e);
	w->format = format;
	w->path = path;
	w->single = single;
	w->to_stdout = strcmp(path, "-") == 0;
	w->file = w->to_stdout ? stdout : NULL;
	w->handler = (struct parcel_handler){ w, on_mailbox, on_subscription, on_message, on_data,
	                                      on_end };
	buf_init(&w->texts, PARCEL_BODY_MAX);
	return RC_OK;
}

const struct parcel_handler *
export_handler(struct export_writer *w)
{
	return &w->handler;
}

enum rc
export_finish(struct export_writer *w, struct err *e)
{
	enum rc rc = close_mailbox(w, e);
	int fd;

	if (rc == RC_OK)
		rc = close_file(&w->subscriptions, w->path, e);
	if (w->to_stdout)
		return rc == RC_OK && fflush(stdout) != 0 ? io_error("standard output", e) : rc;
	if (rc != RC_OK)
		return rc;
	fd = open(w->path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || syncfs(fd) != 0)
		rc = io_error(w->path, e);
	if (fd >= 0)
		close(fd);
	return rc;
}

uint64_t
export_count(const struct export_writer *w)
{
	return w->count;
}

uint64_t
export_bytes(const struct export_writer *w)
{
	return w->bytes;
}

void
export_free(struct export_writer **wp)
{
	struct export_writer *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	if (w->file != NULL && !w->to_stdout)
		(void)fclose(w->file);
	if (w->meta != NULL)
		(void)fclose(w->meta);
	if (w->uidlist != NULL)
		(void)fclose(w->uidlist);
	if (w->subscriptions != NULL)
		(void)fclose(w->subscriptions);
	for (int i = 0; i < KEYWORDS; i++)
		free(w->keywords[i]);
	buf_fini(&w->texts);
	free(w);
}
