/* import_open - which kind of source a name is. See import.h.
 *
 * What files are is found out by looking at them; --format settles it where the look could err.
 * Formats that only their own server can read are named, with what to do instead.
 */
#include "tools/import.h"

#include <errno.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"

#define DEPTH_MAX 4

void
import_complain(const struct import_options *options, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX + 512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	options->complain(options->complain_arg, text);
}

struct mail_date
import_date_of(int64_t sec)
{
	int zone = sec > 0 && sec < INT64_MAX / 1000000
	               ? clock_zone_minutes((uint64_t)sec * 1000000u)
	               : 0;

	return (struct mail_date){ sec, (int16_t)zone };
}

/* ---- links ---- */

#define LINK_TEXT \
	"it is a symbolic link and is not followed; what it leads to can be a source of its own"

bool
import_is_link(const char *path, const struct import_options *options)
{
	struct stat st;

	if (lstat(path, &st) != 0 || !S_ISLNK(st.st_mode))
		return false;
	import_complain(options, "%s: " LINK_TEXT, path);
	return true;
}

const char *
import_why_not_opened(void)
{
	return errno == ELOOP ? LINK_TEXT : strerror(errno);
}

/* ---- what is it ---- */

static bool
has(const char *dir, const char *name)
{
	char path[4096];
	struct stat st;
	int n = snprintf(path, sizeof path, "%s/%s", dir, name);

	return n > 0 && (size_t)n < sizeof path && stat(path, &st) == 0;
}

static bool
begins_as_mbox(const char *path)
{
	char head[5] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool yes = fd >= 0 && read(fd, head, 5) == 5 && memcmp(head, "From ", 5) == 0;

	if (fd >= 0)
		close(fd);
	return yes;
}

enum kind {
	KIND_UNKNOWN,
	KIND_MAILDIR,
	KIND_MBOX,
	KIND_EML,
	KIND_DBOX,
	KIND_CYRUS,
};

static enum kind
kind_of_file(const char *path, const char *name)
{
	size_t len = strlen(name);

	if (len > 4 && strcmp(name + len - 4, ".eml") == 0)
		return KIND_EML;
	if (strncmp(name, "dbox.index", 10) == 0 || strncmp(name, "u.1", 4) == 0 ||
	    strcmp(name, "dovecot.map.index") == 0)
		return KIND_DBOX;
	if (strcmp(name, "cyrus.header") == 0 || strcmp(name, "cyrus.index") == 0)
		return KIND_CYRUS;
	return begins_as_mbox(path) ? KIND_MBOX : KIND_UNKNOWN;
}

/* The first thing in the tree that tells. */
static enum kind
kind_of_tree(const char *dir, int depth)
{
	enum kind kind = KIND_UNKNOWN;
	struct dirent *d;
	DIR *dp;

	if (has(dir, "cur") && (has(dir, "new") || has(dir, "tmp")))
		return KIND_MAILDIR;
	if (has(dir, "dbox-Mails") || has(dir, "mailboxes") || has(dir, "storage/m.1"))
		return KIND_DBOX;
	dp = depth < DEPTH_MAX ? opendir(dir) : NULL;
	while (dp != NULL && kind == KIND_UNKNOWN && (d = readdir(dp)) != NULL) {
		char path[4096];
		struct stat st;
		int n = snprintf(path, sizeof path, "%s/%s", dir, d->d_name);

		if (n < 0 || (size_t)n >= sizeof path || strcmp(d->d_name, ".") == 0 ||
		    strcmp(d->d_name, "..") == 0 || stat(path, &st) != 0)
			continue;
		if (S_ISDIR(st.st_mode))
			kind = kind_of_tree(path, depth + 1);
		else if (S_ISREG(st.st_mode))
			kind = kind_of_file(path, d->d_name);
	}
	if (dp != NULL)
		closedir(dp);
	return kind;
}

static enum rc
kind_of(const char *path, const char *format, enum kind *out, struct err *e)
{
	struct stat st;

	if (stat(path, &st) != 0) {
		err_os(e, errno, "it cannot be read");
		return e->code;
	}
	if (format != NULL)
		*out = strcmp(format, "maildir") == 0 ? KIND_MAILDIR
		       : strcmp(format, "mbox") == 0  ? KIND_MBOX
		                                      : KIND_EML;
	else if (S_ISDIR(st.st_mode))
		*out = kind_of_tree(path, 0);
	else
		*out = begins_as_mbox(path) ? KIND_MBOX : KIND_EML;
	return RC_OK;
}

enum rc
import_open(const char *source, const struct import_options *options, struct import_source *out,
            struct err *e)
{
	enum kind kind = KIND_UNKNOWN;
	enum rc rc;

	rc = kind_of(source, options->format, &kind, e);
	if (rc != RC_OK)
		return rc;
	switch (kind) {
	case KIND_MAILDIR:
		return import_open_maildir(source, options, out, e);
	case KIND_MBOX:
		return import_open_mbox(source, options, out, e);
	case KIND_EML:
		return import_open_eml(source, options, out, e);
	case KIND_DBOX:
		return err_set(e, RC_SYNTAX,
		               "this is Dovecot's sdbox or mdbox, which only Dovecot reads: make a "
		               "Maildir of it (doveadm -o mail_location=... backup -u USER "
		               "maildir:DIR), or import from Dovecot over IMAP");
	case KIND_CYRUS:
		return err_set(e, RC_SYNTAX,
		               "this is a Cyrus spool, whose flags stand in its own index: import "
		               "from Cyrus over IMAP");
	case KIND_UNKNOWN:
		break;
	}
	return err_set(e, RC_SYNTAX,
	    "there is no Maildir, no mbox and no file *.eml in it; say with --format which it is");
}
