/* import_eml - files with one message each: a file, or all *.eml of a tree, whose directories
 * are mailboxes.
 *
 * A file that does not begin like a message is told and passed over, so that a slip of the hand
 * gives nobody /etc/passwd for mail; not one of an export, whose directory says what it is.
 * INTERNALDATE is the file's time. What restante-messages says of a directory counts for its files,
 * so that what we exported comes back as it was.
 */
#include "tools/import.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tools/import_meta.h"
#include "tools/import_tree.h"

#define PATH_SIZE 4096

struct eml {
	const struct import_options *options;
	struct tree         tree;
	size_t              at;         /* the next file */
	const char         *mailbox;    /* told last; NULL: none */
	char                dir[PATH_SIZE];     /* that `meta` is of */
	struct import_meta *meta;       /* NULL: none */
	int                 fd;
};

static bool
is_eml(const char *path)
{
	size_t len = strlen(path);

	return len > 4 && strcmp(path + len - 4, ".eml") == 0;
}

static void
enter_dir(struct eml *m, const char *path)
{
	const char *slash = strrchr(path, '/');
	int len = slash != NULL ? (int)(slash - path) : 0;
	char dir[PATH_SIZE], file[PATH_SIZE];
	struct err e = ERR_INIT;

	(void)snprintf(dir, sizeof dir, "%.*s", slash != NULL ? len : 1,
	               slash != NULL ? path : ".");
	if (strcmp(dir, m->dir) == 0)
		return;
	strcpy(m->dir, dir);
	import_meta_free(&m->meta);
	if (snprintf(file, sizeof file, "%s/" META_NAME, dir) >= (int)sizeof file)
		return;
	if (import_meta_load(file, &m->meta, &e) != RC_OK && e.code != RC_NOT_FOUND)
		import_complain(m->options, "%s", e.text);
}

static void
tell_mailbox(struct eml *m, const char *name, struct import_item *out)
{
	struct import_mailbox box = { .uidvalidity = 0 };

	if (m->meta != NULL)
		import_meta_mailbox(m->meta, &box);
	box.name = m->options->mailbox != NULL ? slice_str(name)
	                                       : import_meta_name(m->meta, m->dir, slice_str(name));
	m->mailbox = name;
	*out = (struct import_item){ .event = IMPORT_MAILBOX, .mailbox = box };
}

/* Of a file of which nothing else says that it is one. An empty one is told as such
 * when it is read. */
static bool
is_message(const struct eml *m, const char *path)
{
	uint8_t head[IMPORT_LOOK];
	ssize_t n = pread(m->fd, head, sizeof head, 0);
	const char *why = n > 0 && !m->options->force
	                      ? import_is_no_message(slice_of(head, (size_t)n))
	                      : NULL;

	if (why != NULL)
		import_complain(m->options, "%s: %s (--force takes it anyway)", path, why);
	return why == NULL;
}

/* False: told, and passed over. */
static bool
tell_message(struct eml *m, const char *path, struct import_item *out)
{
	const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
	const struct meta_row *r = import_meta_find(m->meta, slice_str(base));
	struct stat st;

	m->fd = tree_open(&m->tree, path);
	if (m->fd < 0 || fstat(m->fd, &st) != 0) {
		import_complain(m->options, "%s: %s", path, import_why_not_opened());
		return false;
	}
	*out = (struct import_item){ .event = IMPORT_MESSAGE };
	out->message.label = slice_str(path);
	out->message.internaldate = import_date_of(st.st_mtime);
	out->message.size = (uint64_t)st.st_size;
	if (r == NULL)
		return is_message(m, path);
	out->message.internaldate = r->internaldate;
	out->message.flags = r->flags;
	out->message.keywords = r->keywords;
	out->message.uid = r->uid;
	out->message.uidl = r->uidl;
	return true;
}

static void
close_file(struct eml *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
}

static enum rc
eml_next(void *state, struct import_item *out, struct err *e)
{
	struct eml *m = state;

	(void)e;
	close_file(m);
	while (m->at < m->tree.count) {
		const struct tree_file *f = &m->tree.files[m->at];

		enter_dir(m, f->path);
		if (m->mailbox == NULL || strcmp(m->mailbox, f->mailbox) != 0) {
			tell_mailbox(m, f->mailbox, out);
			return RC_OK;
		}
		m->at++;
		if (tell_message(m, f->path, out))
			return RC_OK;
		close_file(m);
	}
	*out = (struct import_item){ .event = IMPORT_END };
	return RC_OK;
}

static enum rc
eml_read(void *state, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	struct eml *m = state;
	ssize_t n;

	do
		n = read(m->fd, to, size);
	while (n < 0 && errno == EINTR);
	*got = n > 0 ? (size_t)n : 0;
	return n >= 0 ? RC_OK : err_set(e, RC_IO, "%s", strerror(errno));
}

static void
eml_close(void *state)
{
	struct eml *m = state;

	close_file(m);
	import_meta_free(&m->meta);
	tree_fini(&m->tree);
	free(m);
}

enum rc
import_open_eml(const char *path, const struct import_options *options, struct import_source *out,
                struct err *e)
{
	struct eml *m = calloc(1, sizeof *m);
	enum rc rc;

	if (m == NULL)
		return err_nomem(e);
	m->options = options;
	m->fd = -1;
	rc = tree_list(&m->tree, path, false, is_eml, options, e);
	if (rc != RC_OK) {
		free(m);
		return rc;
	}
	*out = (struct import_source){ m, eml_next, eml_read, eml_close };
	return RC_OK;
}
