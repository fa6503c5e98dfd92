/* import_tree - mail files in directories. See import_tree.h. */
#define _GNU_SOURCE
#include "tools/import_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define PATH_SIZE 4096
#define DEPTH_MAX 32

struct walk {
	struct tree *t;
	bool         file_is_mailbox;
	bool       (*accept)(const char *path);
	const struct import_options *options;
};

void
tree_fini(struct tree *t)
{
	for (size_t i = 0; i < t->count; i++) {
		free(t->files[i].path);
		free(t->files[i].mailbox);
	}
	free(t->files);
	*t = (struct tree){ .files = NULL };
}

static enum rc
add_file(struct tree *t, const char *path, const char *mailbox, struct err *e)
{
	struct tree_file *f;

	if (t->count == t->cap) {
		size_t cap = t->cap > 0 ? t->cap * 2 : 64;

		f = realloc(t->files, cap * sizeof *f);
		if (f == NULL)
			return err_nomem(e);
		t->files = f;
		t->cap = cap;
	}
	f = &t->files[t->count++];
	*f = (struct tree_file){ strdup(path), strdup(mailbox) };
	return f->path != NULL && f->mailbox != NULL ? RC_OK : err_nomem(e);
}

/* What a level of the tree is called: without ".mbox", and Thunderbird's ".sbd" for what is
 * below a mailbox. */
static void
append_level(char *name, size_t size, const char *level)
{
	size_t len = strlen(level), at = strlen(name);

	if (len > 5 && strcmp(level + len - 5, ".mbox") == 0)
		len -= 5;
	else if (len > 4 && strcmp(level + len - 4, ".sbd") == 0)
		len -= 4;
	(void)snprintf(name + at, size - at, "%s%.*s", at > 0 ? "/" : "", (int)len, level);
	if (strcasecmp(name, "inbox") == 0 || strcmp(name, "mbox") == 0)
		(void)snprintf(name, size, "INBOX");
}

static enum rc
walk(const struct walk *w, const char *dir, const char *name, int depth, struct err *e)
{
	struct dirent **all;
	int n = scandir(dir, &all, NULL, alphasort);
	enum rc rc = RC_OK;

	if (n < 0)
		import_complain(w->options, "%s: %s", dir, strerror(errno));
	for (int i = 0; i < n; i++) {
		char path[PATH_SIZE], below[PATH_SIZE];
		struct stat st;

		(void)snprintf(path, sizeof path, "%s/%s", dir, all[i]->d_name);
		(void)snprintf(below, sizeof below, "%s", name);
		if (rc == RC_OK && all[i]->d_name[0] != '.' && strlen(path) < sizeof path - 1 &&
		    !import_is_link(path, w->options) && lstat(path, &st) == 0) {
			bool is_dir = S_ISDIR(st.st_mode);

			if (is_dir || w->file_is_mailbox)
				append_level(below, sizeof below, all[i]->d_name);
			if (is_dir && depth < DEPTH_MAX)
				rc = walk(w, path, below, depth + 1, e);
			else if (S_ISREG(st.st_mode) && w->accept(path))
				rc = add_file(w->t, path, below[0] != '\0' ? below : "INBOX", e);
		}
		free(all[i]);
	}
	if (n >= 0)
		free(all);
	return rc;
}

int
tree_open(const struct tree *t, const char *path)
{
	return open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (t->found ? O_NOFOLLOW : 0));
}

/* Of many mailboxes the one that is wanted; what is one is called so. */
static enum rc
choose(struct tree *t, const char *wanted, struct err *e)
{
	size_t kept = 0;
	bool one = true;

	for (size_t i = 1; i < t->count; i++)
		one = one && strcmp(t->files[i].mailbox, t->files[0].mailbox) == 0;
	for (size_t i = 0; i < t->count; i++) {
		struct tree_file *f = &t->files[i];

		if (one) {
			free(f->mailbox);
			f->mailbox = strdup(wanted);
			if (f->mailbox == NULL)
				return err_nomem(e);
		} else if (strcmp(f->mailbox, wanted) != 0) {
			free(f->path);
			free(f->mailbox);
			continue;
		}
		t->files[kept++] = *f;
	}
	t->count = kept;
	return kept > 0 ? RC_OK : err_set(e, RC_NOT_FOUND, "there is no mailbox %s in it", wanted);
}

static int
compare_files(const void *a, const void *b)
{
	const struct tree_file *x = a, *y = b;
	bool xi = strcmp(x->mailbox, "INBOX") == 0, yi = strcmp(y->mailbox, "INBOX") == 0;
	int c = xi != yi ? (xi ? -1 : 1) : strcmp(x->mailbox, y->mailbox);

	return c != 0 ? c : strverscmp(x->path, y->path);
}

enum rc
tree_list(struct tree *t, const char *path, bool file_is_mailbox, bool (*accept)(const char *path),
          const struct import_options *options, struct err *e)
{
	struct walk w = { t, file_is_mailbox, accept, options };
	const char *base = strrchr(path, '/') != NULL ? strrchr(path, '/') + 1 : path;
	char name[PATH_SIZE] = "";
	struct stat st;
	enum rc rc;

	*t = (struct tree){ .files = NULL };
	if (stat(path, &st) != 0)
		return err_os(e, errno, "it cannot be read");
	t->found = S_ISDIR(st.st_mode);
	if (t->found) {
		rc = walk(&w, path, "", 0, e);
	} else {
		if (file_is_mailbox)
			append_level(name, sizeof name, base);
		rc = add_file(t, path, name[0] != '\0' ? name : "INBOX", e);
	}
	if (rc == RC_OK && options->mailbox != NULL && t->count > 0)
		rc = choose(t, options->mailbox, e);
	if (rc == RC_OK && t->count > 1)
		qsort(t->files, t->count, sizeof *t->files, compare_files);
	if (rc != RC_OK)
		tree_fini(t);
	return rc;
}
