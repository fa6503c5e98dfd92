/* trusted - files that root opens for a server that may not. See trusted.h.
 *
 * The path is walked from "/" by descriptors, links followed by hand, so that what was looked at is
 * what is opened. A directory is trusted if neither its owner is the server's user nor group nor
 * others may write in it; or if it is sticky and what we take from it is root's (there, only the
 * owner can take a file's name away) and has no other name.
 */
#define _GNU_SOURCE
#include "server/trusted.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINKS_MAX 16

struct walk {
	const struct identity *id;
	int                    dir;             /* where we are; -1: nowhere */
	bool                   sticky;          /* others may write in it, but not take away
	                                         * what is not theirs */
	unsigned               links;
	char                   rest[PATH_MAX];  /* of the path, without leading slashes */
};

static enum rc
check_regular(int *fd, const char *path, struct err *e)
{
	struct stat st;

	if (fstat(*fd, &st) == 0 && S_ISREG(st.st_mode))
		return RC_OK;
	close(*fd);
	*fd = -1;
	return err_set(e, RC_SYNTAX, "%.300s: not a regular file", path);
}

/* ---- the walk ---- */

static void
skip_slashes(char *path)
{
	memmove(path, path + strspn(path, "/"), strlen(path + strspn(path, "/")) + 1);
}

/* Take the next component off. False: there is none. */
static bool
next_component(struct walk *w, char part[NAME_MAX + 1])
{
	size_t n = strcspn(w->rest, "/");

	if (n == 0 || n > NAME_MAX)
		return false;
	memcpy(part, w->rest, n);
	part[n] = '\0';
	memmove(w->rest, w->rest + n, strlen(w->rest + n) + 1);
	skip_slashes(w->rest);
	return true;
}

/* Could the server's user have put this entry here? */
static bool
entry_is_safe(const struct walk *w, const struct stat *st)
{
	if (!w->sticky)
		return true;
	return st->st_uid == 0 && (S_ISDIR(st->st_mode) || st->st_nlink == 1);
}

static enum rc
enter_dir(struct walk *w, int fd, struct err *e)
{
	struct stat st;

	if (w->dir >= 0)
		close(w->dir);
	w->dir = fd;
	if (fd < 0 || fstat(fd, &st) != 0)
		return err_os(e, errno, "a directory of it");
	w->sticky = (st.st_mode & (S_IWGRP | S_IWOTH)) != 0;
	if (st.st_uid == w->id->uid || (w->sticky && (st.st_mode & S_ISVTX) == 0))
		return err_set(e, RC_DENIED,
		               "a directory of it may be changed by others than root");
	return RC_OK;
}

static enum rc
follow(struct walk *w, const char *part, struct err *e)
{
	char target[PATH_MAX], whole[2 * PATH_MAX];
	ssize_t n = readlinkat(w->dir, part, target, sizeof target - 1);

	if (n < 0)
		return err_os(e, errno, "a link of it");
	target[n] = '\0';
	if (++w->links > LINKS_MAX ||
	    snprintf(whole, sizeof whole, "%s/%s", target, w->rest) >= PATH_MAX)
		return err_set(e, RC_LIMIT, "too many links");
	strcpy(w->rest, whole);
	if (target[0] != '/')
		return RC_OK;
	skip_slashes(w->rest);
	return enter_dir(w, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), e);
}

/* One component further; the last one ends in *fd. */
static enum rc
step(struct walk *w, const char *part, int *fd, struct err *e)
{
	struct stat st;

	if (fstatat(w->dir, part, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return err_os(e, errno, "%s", part);
	if (!entry_is_safe(w, &st))
		return err_set(e, RC_DENIED, "%s may have been put there by others than root",
		               part);
	if (S_ISLNK(st.st_mode))
		return follow(w, part, e);
	if (w->rest[0] != '\0')
		return enter_dir(w,
		                 openat(w->dir, part,
		                        O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC),
		                 e);
	*fd = openat(w->dir, part, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (*fd < 0)
		return err_os(e, errno, "%s", part);
	if (fstat(*fd, &st) == 0 && entry_is_safe(w, &st))
		return RC_OK;
	close(*fd);
	*fd = -1;
	return err_set(e, RC_DENIED, "%s is being changed", part);
}

static enum rc
open_as_root(const char *path, const struct identity *id, int *fd, struct err *e)
{
	struct walk w = { .id = id, .dir = -1 };
	char part[NAME_MAX + 1];
	enum rc rc;

	if (path[0] != '/' || strlen(path) >= sizeof w.rest)
		return err_set(e, RC_LIMIT, "not a usable path");
	strcpy(w.rest, path);
	skip_slashes(w.rest);
	rc = enter_dir(&w, open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), e);
	while (rc == RC_OK && *fd < 0)
		rc = next_component(&w, part) ? step(&w, part, fd, e)
		                              : err_set(e, RC_SYNTAX, "not a regular file");
	if (w.dir >= 0)
		close(w.dir);
	return rc;
}

/* What the file itself allows is its owner's business when a key is read; who may change it is
 * asked for here only. */
bool
trusted_is_safe(const char *path, const struct identity *id, struct err *why)
{
	struct stat st;
	int fd = -1;

	if (open_as_root(path, id, &fd, why) != RC_OK)
		return false;
	if (fstat(fd, &st) != 0 || st.st_uid == id->uid || (st.st_mode & (S_IWGRP | S_IWOTH)) != 0)
		err_set(why, RC_DENIED, "the file may be changed by others than root");
	close(fd);
	return why->code == RC_OK;
}

enum rc
trusted_open(const char *path, const struct identity *id, int *fd, struct err *e)
{
	struct err why = ERR_INIT;
	int os;

	*fd = -1;
	if (!privileges_lend(id))
		return err_set(e, RC_DENIED, "%.300s: cannot become user %s", path, id->name);
	/* Not blocking: a FIFO has nobody at its other end. */
	*fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	os = errno;
	privileges_return(id);
	if (*fd >= 0)
		return check_regular(fd, path, e);
	if (os != EACCES || !id->other)
		return err_os(e, os, "%.300s", path);
	if (open_as_root(path, id, fd, &why) == RC_OK)
		return check_regular(fd, path, e);
	if (why.code == RC_NOT_FOUND)
		return err_os(e, why.os, "%.300s", path);
	return err_set(e, RC_DENIED,
	               "%.200s: %s, as user %s; and root does not read it for it: %.150s", path,
	               strerror(os), id->name, why.text);
}
