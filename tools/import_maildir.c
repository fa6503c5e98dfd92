/* import_maildir - Maildirs: one, a Maildir++ with its folders, or a tree of them
 * (Dovecot's layout "fs").
 *
 * Flags are the letters in the file's name, the keywords of a-z those of dovecot-keywords,
 * INTERNALDATE is the file's time, as Dovecot, Courier and most others keep it. UIDs, UIDVALIDITY
 * and POP3 unique-ids stand in dovecot-uidlist or courierimapuiddb; restante-messages, of an export
 * of ours, knows all. The order is that of the UIDs, then that of the times which begin the names.
 * A file may be renamed by a client while we read: then it is looked for once more by its base
 * name. One mailbox's names are held at a time.
 */
#include "tools/import.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mutf7.h"
#include "lib/text.h"
#include "tools/import_meta.h"

#define PATH_SIZE     4096
#define DEPTH_MAX     32
#define KEYWORDS      26
#define SMALL_MAX     (UINT32_C(1) << 30)

struct folder {
	char *path;
	char *name;
};

struct entry {
	char       *file;               /* "cur/NAME" */
	size_t      base_len;           /* of NAME without its flags */
	mail_uid    uid;
	struct slice uidl;              /* in the uidlist's text */
};

/* A line of a uidlist. */
struct listed {
	struct slice base;
	mail_uid     uid;
	struct slice uidl;
};

struct maildir {
	const struct import_options *options;
	const char         *root;
	bool                plus;       /* folders are ".A.B" */
	struct folder      *folders;
	size_t              folder_count, folder_cap, folder;   /* `folder`: the next to be told */
	struct buf          subscriptions;
	struct slice        unsubscribed;       /* what was not told of them */
	bool                subscriptions_v2;

	/* Of the folder told last: */
	struct buf          uidlist, keyword_text;
	struct slice        keywords[KEYWORDS];
	struct import_meta *meta;
	struct entry       *entries;
	size_t              entry_count, entry_cap, entry;      /* `entry`: the next to be told */
	uint32_t            uidvalidity;
	mail_uid            uidnext;
	int                 fd;         /* of the message told last, -1: not open */

	struct buf          words;      /* of the message */
	char                label[PATH_SIZE];
	struct buf          name;       /* of a subscription */
};

static struct slice
base_of(const char *file)
{
	const char *name = strchr(file, '/') != NULL ? strchr(file, '/') + 1 : file;

	return slice_of(name, strcspn(name, ":"));
}

/* ---- folders ---- */

/* Not by a link: see import_is_link. */
static bool
is_dir(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

static bool
is_maildir(const char *path)
{
	char cur[PATH_SIZE];
	int n = snprintf(cur, sizeof cur, "%s/cur", path);

	return n > 0 && (size_t)n < sizeof cur && is_dir(cur);
}

/* Folders have names in modified UTF-7, or, by some servers, in UTF-8. */
static bool
decode_name(struct slice raw, struct buf *out)
{
	size_t begin = out->len, at;
	struct buf name;
	bool ok;

	buf_init(&name, PATH_SIZE);
	for (; (at = slice_find(raw, SLICE(IMPORT_DOT))) < raw.len;
	     raw = slice_sub(raw, at + strlen(IMPORT_DOT), raw.len)) {
		buf_append_slice(&name, slice_sub(raw, 0, at));
		buf_append_byte(&name, '.');
	}
	ok = buf_append_slice(&name, raw) && !name.failed;
	if (ok && mutf7_decode(buf_slice(&name), out) != MUTF7_OK) {
		out->len = begin;
		ok = buf_append_slice(out, buf_slice(&name));
	}
	buf_fini(&name);
	return ok;
}

static bool
add_folder(struct maildir *m, const char *path, struct slice name)
{
	struct folder *f;

	if (m->folder_count == m->folder_cap) {
		size_t cap = m->folder_cap > 0 ? m->folder_cap * 2 : 16;

		f = realloc(m->folders, cap * sizeof *f);
		if (f == NULL)
			return false;
		m->folders = f;
		m->folder_cap = cap;
	}
	f = &m->folders[m->folder_count++];
	f->path = strdup(path);
	f->name = slice_strdup(name);
	return f->path != NULL && f->name != NULL;
}

/* ".A.B" is A/B; a plain directory is one level. */
static bool
append_level(const char *entry, bool plus, struct buf *name)
{
	bool ok = true;

	if (!plus)
		return (name->len == 0 || buf_append_byte(name, '/')) &&
		       decode_name(slice_str(entry), name);
	for (struct slice rest = slice_str(entry + 1); rest.len > 0 && ok;) {
		struct slice level = import_take_field(&rest, '.');

		ok = (name->len == 0 || buf_append_byte(name, '/')) && decode_name(level, name);
	}
	return ok;
}

static enum rc list_folders(struct maildir *m, const char *path, struct slice name, int depth,
                            struct err *e);

static enum rc
list_entry(struct maildir *m, const char *dir, struct slice above, const char *entry, int depth,
           struct err *e)
{
	bool plus = entry[0] == '.';
	char path[PATH_SIZE];
	struct buf name;
	enum rc rc = RC_OK;
	int n = snprintf(path, sizeof path, "%s/%s", dir, entry);

	if (strcmp(entry, ".") == 0 || strcmp(entry, "..") == 0 || strcmp(entry, "cur") == 0 ||
	    strcmp(entry, "new") == 0 || strcmp(entry, "tmp") == 0 || n < 0 ||
	    (size_t)n >= sizeof path || import_is_link(path, m->options) || !is_dir(path))
		return RC_OK;
	if (plus && !is_maildir(path))
		return RC_OK;
	m->plus = m->plus || plus;
	buf_init(&name, PATH_SIZE);
	if (!buf_append_slice(&name, above) || !append_level(entry, plus, &name))
		import_complain(m->options, "%s: this cannot be a mailbox's name", path);
	else
		rc = list_folders(m, path, buf_slice(&name), depth + 1, e);
	buf_fini(&name);
	return rc;
}

static enum rc
list_folders(struct maildir *m, const char *path, struct slice name, int depth, struct err *e)
{
	DIR *dp = opendir(path);
	struct dirent *d;
	enum rc rc = RC_OK;

	if (dp == NULL) {
		import_complain(m->options, "%s: %s", path, strerror(errno));
		return RC_OK;
	}
	if (is_maildir(path) && !add_folder(m, path, name.len > 0 ? name : SLICE("INBOX")))
		rc = err_nomem(e);
	while (rc == RC_OK && depth < DEPTH_MAX && (d = readdir(dp)) != NULL)
		rc = list_entry(m, path, name, d->d_name, depth, e);
	closedir(dp);
	return rc;
}

/* INBOX first, then by name, so that a mailbox comes before those below it. */
static int
compare_folders(const void *a, const void *b)
{
	const struct folder *x = a, *y = b;
	bool xi = strcmp(x->name, "INBOX") == 0, yi = strcmp(y->name, "INBOX") == 0;

	return xi != yi ? (xi ? -1 : 1) : strcmp(x->name, y->name);
}

/* One Maildir is the mailbox that --mailbox says; of many, it is the one that is wanted. */
static enum rc
choose_folders(struct maildir *m, struct err *e)
{
	const char *wanted = m->options->mailbox;
	size_t kept = 0;

	if (wanted == NULL)
		return RC_OK;
	if (m->folder_count == 1) {
		free(m->folders[0].name);
		m->folders[0].name = strdup(wanted);
		return m->folders[0].name != NULL ? RC_OK : err_nomem(e);
	}
	for (size_t i = 0; i < m->folder_count; i++) {
		struct folder *f = &m->folders[i];

		if (strcmp(f->name, wanted) == 0) {
			m->folders[kept++] = *f;
		} else {
			free(f->path);
			free(f->name);
		}
	}
	m->folder_count = kept;
	return kept > 0 ? RC_OK : err_set(e, RC_NOT_FOUND, "there is no mailbox %s in it", wanted);
}

/* ---- subscriptions ---- */

static void
load_subscriptions(struct maildir *m)
{
	static const char *const files[] = { "subscriptions", "courierimapsubscribed" };
	struct err e = ERR_INIT;
	char path[PATH_SIZE];
	struct slice line;

	for (size_t i = 0; i < 2 && m->subscriptions.len == 0; i++) {
		buf_reset(&m->subscriptions);
		if (snprintf(path, sizeof path, "%s/%s", m->root, files[i]) < (int)sizeof path)
			(void)!import_read_file(path, &m->subscriptions, &e);
	}
	m->unsubscribed = buf_slice(&m->subscriptions);
	if (slice_starts(m->unsubscribed, SLICE("V\t2"))) {
		m->subscriptions_v2 = true;
		(void)import_take_line(&m->unsubscribed, &line);
	}
	if (m->options->mailbox != NULL)
		m->unsubscribed = SLICE_NONE;
}

/* The next name of the file. False: none is left. */
static bool
next_subscription(struct maildir *m, struct slice *out)
{
	uint8_t sep = m->subscriptions_v2 ? '\t' : m->plus ? '.' : '/';
	struct slice line;

	while (import_take_line(&m->unsubscribed, &line)) {
		bool ok = true;

		if (slice_starts(line, SLICE("INBOX.")))
			line = slice_sub(line, 6, line.len);
		buf_reset(&m->name);
		while (line.len > 0 && ok)
			ok = (m->name.len == 0 || buf_append_byte(&m->name, '/')) &&
			    decode_name(import_take_field(&line, sep), &m->name);
		*out = buf_slice(&m->name);
		if (ok && out->len > 0)
			return true;
	}
	return false;
}

/* ---- what stands beside the messages ---- */

static void
free_entries(struct maildir *m)
{
	for (size_t i = 0; i < m->entry_count; i++)
		free(m->entries[i].file);
	m->entry_count = m->entry = 0;
	import_meta_free(&m->meta);
	buf_reset(&m->uidlist);
	buf_reset(&m->keyword_text);
	memset(m->keywords, 0, sizeof m->keywords);
	m->uidvalidity = m->uidnext = 0;
}

/* "3 $Forwarded" is what the letter d means. */
static void
load_keywords(struct maildir *m, const char *path)
{
	struct err e = ERR_INIT;
	struct slice text, line;

	if (import_read_file(path, &m->keyword_text, &e) != RC_OK)
		return;
	text = buf_slice(&m->keyword_text);
	while (import_take_line(&text, &line)) {
		uint64_t n;

		if (slice_to_u64(import_take_field(&line, ' '), KEYWORDS - 1, &n))
			m->keywords[n] = line;
	}
}

static int
compare_listed(const void *a, const void *b)
{
	const struct listed *x = a, *y = b;

	return slice_cmp(x->base, y->base);
}

/* Version 3 of Dovecot: "3 V1275660208 N25022 G..."; version 1, and Courier's:
 * "1 UIDVALIDITY UIDNEXT". */
static bool
parse_uid_head(struct maildir *m, struct slice line)
{
	struct slice version = import_take_field(&line, ' ');
	uint64_t n;

	if (slice_eq(version, SLICE("1"))) {
		if (slice_to_u64(import_take_field(&line, ' '), UINT32_MAX, &n))
			m->uidvalidity = (uint32_t)n;
		if (slice_to_u64(import_take_field(&line, ' '), UINT32_MAX, &n))
			m->uidnext = (mail_uid)n;
		return true;
	}
	while (slice_eq(version, SLICE("3")) && line.len > 0) {
		struct slice field = import_take_field(&line, ' ');

		if (field.len < 2 || !slice_to_u64(slice_sub(field, 1, field.len), UINT32_MAX, &n))
			continue;
		if (field.ptr[0] == 'V')
			m->uidvalidity = (uint32_t)n;
		else if (field.ptr[0] == 'N')
			m->uidnext = (mail_uid)n;
	}
	return slice_eq(version, SLICE("3"));
}

/* "25006 W1394 P0001 :NAME"; of version 1 "25006 NAME". */
static bool
parse_uid_line(struct slice line, struct listed *out)
{
	uint64_t n;

	*out = (struct listed){ .uid = 0 };
	if (!slice_to_u64(import_take_field(&line, ' '), UINT32_MAX, &n))
		return false;
	out->uid = (mail_uid)n;
	while (line.len > 0 && line.ptr[0] != ':') {
		struct slice field = import_take_field(&line, ' ');

		if (line.len == 0) {
			line = field;
			break;
		}
		if (field.ptr[0] == 'P')
			out->uidl = slice_sub(field, 1, field.len);
	}
	if (line.len > 0 && line.ptr[0] == ':')
		line = slice_sub(line, 1, line.len);
	out->base = slice_sub(line, 0, slice_find_byte(line, ':'));
	return out->base.len > 0;
}

static void
match_listed(struct maildir *m, struct listed *all, size_t n)
{
	if (n > 1)
		qsort(all, n, sizeof *all, compare_listed);
	for (size_t i = 0; i < m->entry_count && n > 0; i++) {
		struct listed wanted = { .base = base_of(m->entries[i].file) };
		const struct listed *hit = bsearch(&wanted, all, n, sizeof *all, compare_listed);

		if (hit == NULL)
			continue;
		m->entries[i].uid = hit->uid;
		m->entries[i].uidl = hit->uidl;
	}
}

static enum rc
load_uids(struct maildir *m, const char *path, bool *found, struct err *e)
{
	struct err sub = ERR_INIT;
	struct slice text, line;
	struct listed *all;
	size_t lines = 0, n = 0;

	*found = import_read_file(path, &m->uidlist, &sub) == RC_OK;
	text = buf_slice(&m->uidlist);
	if (!*found || !import_take_line(&text, &line) || !parse_uid_head(m, line))
		return RC_OK;
	for (size_t i = 0; i < text.len; i++)
		lines += text.ptr[i] == '\n';
	all = calloc(lines + 1, sizeof *all);
	if (all == NULL)
		return err_nomem(e);
	while (n < lines && import_take_line(&text, &line))
		n += parse_uid_line(line, &all[n]) ? 1 : 0;
	match_listed(m, all, n);
	free(all);
	return RC_OK;
}

static enum rc
load_meta(struct maildir *m, const char *path, struct err *e)
{
	struct err sub = ERR_INIT;
	struct import_mailbox box;
	enum rc rc = import_meta_load(path, &m->meta, &sub);

	if (rc == RC_NOMEM)
		return err_nomem(e);
	if (rc != RC_OK && rc != RC_NOT_FOUND)
		import_complain(m->options, "%s", sub.text);
	if (rc != RC_OK)
		return RC_OK;
	import_meta_mailbox(m->meta, &box);
	m->uidvalidity = box.uidvalidity;
	m->uidnext = box.uidnext;
	for (size_t i = 0; i < m->entry_count; i++) {
		const struct meta_row *r = import_meta_find(m->meta, base_of(m->entries[i].file));

		if (r != NULL) {
			m->entries[i].uid = r->uid;
			m->entries[i].uidl = r->uidl;
		}
	}
	return RC_OK;
}

/* ---- messages ---- */

static enum rc
add_entry(struct maildir *m, const char *sub, const char *name, struct err *e)
{
	struct entry *en;
	size_t len = strlen(sub) + strlen(name) + 2;

	if (m->entry_count == m->entry_cap) {
		size_t cap = m->entry_cap > 0 ? m->entry_cap * 2 : 256;

		en = realloc(m->entries, cap * sizeof *en);
		if (en == NULL)
			return err_nomem(e);
		m->entries = en;
		m->entry_cap = cap;
	}
	en = &m->entries[m->entry_count];
	*en = (struct entry){ .file = malloc(len) };
	if (en->file == NULL)
		return err_nomem(e);
	snprintf(en->file, len, "%s/%s", sub, name);
	m->entry_count++;
	return RC_OK;
}

static enum rc
list_messages(struct maildir *m, const char *folder, const char *sub, struct err *e)
{
	char path[PATH_SIZE];
	struct dirent *d;
	enum rc rc = RC_OK;
	DIR *dp;

	(void)snprintf(path, sizeof path, "%s/%s", folder, sub);
	if (import_is_link(path, m->options))
		return RC_OK;
	dp = opendir(path);
	if (dp == NULL && errno != ENOENT)
		import_complain(m->options, "%s: %s", path, strerror(errno));
	while (dp != NULL && rc == RC_OK && (d = readdir(dp)) != NULL)
		if (d->d_name[0] != '.')
			rc = add_entry(m, sub, d->d_name, e);
	if (dp != NULL)
		closedir(dp);
	return rc;
}

static int
compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	struct slice xb = base_of(x->file), yb = base_of(y->file);
	unsigned long long xt, yt;

	if (x->uid != y->uid)           /* those without come last */
		return x->uid == 0 ? 1 : y->uid == 0 ? -1 : x->uid < y->uid ? -1 : 1;
	xt = strtoull((const char *)xb.ptr, NULL, 10);
	yt = strtoull((const char *)yb.ptr, NULL, 10);
	return xt != yt ? (xt < yt ? -1 : 1) : slice_cmp(xb, yb);
}

static enum rc
open_folder(struct maildir *m, const struct folder *f, struct err *e)
{
	char path[PATH_SIZE];
	bool found = false;
	enum rc rc;

	free_entries(m);
	rc = list_messages(m, f->path, "cur", e);
	if (rc == RC_OK)
		rc = list_messages(m, f->path, "new", e);
	(void)snprintf(path, sizeof path, "%s/dovecot-keywords", f->path);
	load_keywords(m, path);
	(void)snprintf(path, sizeof path, "%s/dovecot-uidlist", f->path);
	if (rc == RC_OK)
		rc = load_uids(m, path, &found, e);
	(void)snprintf(path, sizeof path, "%s/courierimapuiddb", f->path);
	if (rc == RC_OK && !found)
		rc = load_uids(m, path, &found, e);
	(void)snprintf(path, sizeof path, "%s/" META_NAME, f->path);
	if (rc == RC_OK)
		rc = load_meta(m, path, e);
	if (rc == RC_OK && m->entry_count > 1)
		qsort(m->entries, m->entry_count, sizeof *m->entries, compare_entries);
	return rc;
}

static void
next_folder(struct maildir *m, struct import_item *out)
{
	const struct folder *f = &m->folders[m->folder++];
	struct import_mailbox box = { .special_use = 0 };

	if (m->meta != NULL)
		import_meta_mailbox(m->meta, &box);
	out->event = IMPORT_MAILBOX;
	out->mailbox = (struct import_mailbox){
		.name = m->options->mailbox != NULL ? slice_str(f->name) :
		    import_meta_name(m->meta, f->path, slice_str(f->name)),
		.uidvalidity = m->uidvalidity, .uidnext = m->uidnext,
		.special_use = box.special_use,
	};
}

/* Letters behind ":2,": flags, P for a message passed on, a-z keywords. */
static void
read_letters(struct maildir *m, const char *file, struct import_message *out)
{
	const char *info = strstr(file, ":2,");
	bool passed = false;

	buf_reset(&m->words);
	for (const char *p = info != NULL ? info + 3 : ""; *p != '\0'; p++) {
		out->flags |= import_flags_of(slice_of(p, 1));
		passed = passed || *p == 'P';
		if (*p >= 'a' && *p <= 'z' && m->keywords[*p - 'a'].len > 0) {
			buf_append_slice(&m->words, m->keywords[*p - 'a']);
			buf_append_byte(&m->words, ' ');
		}
	}
	if (passed)
		buf_append_str(&m->words, "$Forwarded ");
	out->keywords = slice_sub(buf_slice(&m->words), 0, m->words.len > 0 ? m->words.len - 1 : 0);
}

/* The file, or what a client has renamed it to. */
static int
open_entry(struct maildir *m, const char *folder, struct entry *en)
{
	struct slice base = base_of(en->file);
	char path[PATH_SIZE];
	struct dirent *d;
	DIR *dp;
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", folder, en->file);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
	if (fd >= 0 || errno != ENOENT)
		return fd;
	(void)snprintf(path, sizeof path, "%s/cur", folder);
	dp = opendir(path);
	while (dp != NULL && fd < 0 && (d = readdir(dp)) != NULL) {
		if (!slice_eq(base_of(d->d_name), base))
			continue;
		fd = openat(dirfd(dp), d->d_name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
		if (snprintf(m->label, sizeof m->label, "%s/%s", path, d->d_name) >=
		    (int)sizeof m->label)
			m->label[0] = '\0';
		break;
	}
	if (dp != NULL)
		closedir(dp);
	if (fd < 0)
		errno = ENOENT;
	return fd;
}

/* Fills *out; false: this one is passed over. */
static bool
tell_entry(struct maildir *m, const struct folder *f, struct entry *en, struct import_item *out)
{
	const struct meta_row *r = import_meta_find(m->meta, base_of(en->file));
	struct stat st;

	(void)snprintf(m->label, sizeof m->label, "%s/%s", f->path, en->file);
	m->fd = open_entry(m, f->path, en);
	if (m->fd < 0 || fstat(m->fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		if (m->fd < 0 && errno == ENOENT)
			return false;           /* expunged meanwhile */
		import_complain(m->options, "%s: %s", m->label,
		    m->fd >= 0 ? "it is no file" : import_why_not_opened());
		return false;
	}
	out->event = IMPORT_MESSAGE;
	out->message = (struct import_message){
		.label = slice_str(m->label),
		.internaldate = import_date_of(st.st_mtime),
		.uid = en->uid,
		.uidl = en->uidl,
		.size = (uint64_t)st.st_size,
	};
	read_letters(m, strrchr(m->label, '/') != NULL ? strrchr(m->label, '/') : "",
	             &out->message);
	if (r != NULL) {
		out->message.internaldate = r->internaldate;
		out->message.keywords = r->keywords;
	}
	return true;
}

static void
close_entry(struct maildir *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

/* ---- the source ---- */

static enum rc
maildir_next(void *state, struct import_item *out, struct err *e)
{
	struct maildir *m = state;

	close_entry(m);
	while (m->entry < m->entry_count)
		if (tell_entry(m, &m->folders[m->folder - 1], &m->entries[m->entry++], out))
			return RC_OK;
		else
			close_entry(m);
	if (m->folder < m->folder_count) {
		enum rc rc = open_folder(m, &m->folders[m->folder], e);

		if (rc == RC_OK)
			next_folder(m, out);
		return rc;
	}
	*out = (struct import_item){ .event = IMPORT_END };
	if (next_subscription(m, &out->mailbox.name))
		out->event = IMPORT_SUBSCRIPTION;
	return RC_OK;
}

static enum rc
maildir_read(void *state, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	struct maildir *m = state;
	ssize_t n;

	do
		n = read(m->fd, to, size);
	while (n < 0 && errno == EINTR);
	*got = n > 0 ? (size_t)n : 0;
	return n >= 0 ? RC_OK : err_set(e, RC_IO, "%s", strerror(errno));
}

static void
maildir_close(void *state)
{
	struct maildir *m = state;

	close_entry(m);
	free_entries(m);
	for (size_t i = 0; i < m->folder_count; i++) {
		free(m->folders[i].path);
		free(m->folders[i].name);
	}
	free(m->folders);
	free(m->entries);
	buf_fini(&m->subscriptions);
	buf_fini(&m->uidlist);
	buf_fini(&m->keyword_text);
	buf_fini(&m->words);
	buf_fini(&m->name);
	free(m);
}

enum rc
import_open_maildir(const char *path, const struct import_options *options,
                    struct import_source *out, struct err *e)
{
	struct maildir *m = calloc(1, sizeof *m);
	enum rc rc;

	if (m == NULL)
		return err_nomem(e);
	m->options = options;
	m->root = path;
	m->fd = -1;
	buf_init(&m->subscriptions, SMALL_MAX);
	buf_init(&m->uidlist, SMALL_MAX);
	buf_init(&m->keyword_text, SMALL_MAX);
	buf_init(&m->words, 65536);
	buf_init(&m->name, PATH_SIZE);
	rc = list_folders(m, path, SLICE_NONE, 0, e);
	if (rc == RC_OK)
		rc = choose_folders(m, e);
	if (rc != RC_OK) {
		maildir_close(m);
		return rc;
	}
	if (m->folder_count > 1)
		qsort(m->folders, m->folder_count, sizeof *m->folders, compare_folders);
	load_subscriptions(m);
	*out = (struct import_source){ m, maildir_next, maildir_read, maildir_close };
	return RC_OK;
}
