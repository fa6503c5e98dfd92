/* sandbox_landlock - files and TCP, by Landlock. See sandbox.h and landlock(7).
 *
 * By system calls, as the C library has no functions for them; numbers and structures are the
 * kernel's, written down here because the headers of the system that this is built on may be older
 * than the kernel that it runs on. Rights that the kernel does not know yet are not asked for.
 */
#define _GNU_SOURCE
#include "server/sandbox.h"

#ifdef __linux__

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NR_CREATE_RULESET 444
#define NR_ADD_RULE       445
#define NR_RESTRICT_SELF  446
#define ASK_VERSION       1u
#define RULE_PATH_BENEATH 1

/* Rights to files. */
#define FS_EXECUTE    (UINT64_C(1) << 0)
#define FS_WRITE_FILE (UINT64_C(1) << 1)
#define FS_READ_FILE  (UINT64_C(1) << 2)
#define FS_READ_DIR   (UINT64_C(1) << 3)
#define FS_MAKE_CHAR  (UINT64_C(1) << 6)
#define FS_MAKE_BLOCK (UINT64_C(1) << 11)
#define FS_TRUNCATE   (UINT64_C(1) << 14)
#define FS_IOCTL_DEV  (UINT64_C(1) << 15)
#define FS_OF_FILES   (FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV)
#define FS_READ       (FS_READ_FILE | FS_READ_DIR)
#define FS_NEVER      (FS_EXECUTE | FS_MAKE_CHAR | FS_MAKE_BLOCK)

#define NET_BIND_TCP    (UINT64_C(1) << 0)
#define NET_CONNECT_TCP (UINT64_C(1) << 1)

#define SCOPE_ABSTRACT_UNIX (UINT64_C(1) << 0)
#define SCOPE_SIGNAL        (UINT64_C(1) << 1)

struct ruleset {
	uint64_t fs, net, scope;
};

struct path_rule {
	uint64_t allowed;
	int32_t  fd;
} __attribute__((packed));

/* All rights to files that a version knows: 13 at first, then refer, truncate, ioctl of devices. */
static uint64_t
fs_rights(unsigned version)
{
	unsigned bits = version >= 5 ? 16 : version >= 3 ? 15 : version == 2 ? 14 : 13;

	return (UINT64_C(1) << bits) - 1;
}

static enum rc
allow(int ruleset, const char *path, uint64_t rights, struct err *e)
{
	struct path_rule rule = { rights, open(path, O_PATH | O_CLOEXEC) };
	struct stat st;
	long failed;
	int os;

	if (rule.fd < 0)
		return RC_OK;           /* not there, or not for us: then nothing is taken away */
	if (fstat(rule.fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed &= FS_OF_FILES;
	failed = syscall(NR_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0);
	os = errno;
	close(rule.fd);
	return failed == 0 ? RC_OK : err_os(e, os, "Landlock: %s", path);
}

static enum rc
fill(int ruleset, const struct sandbox *s, uint64_t known, struct err *e)
{
	enum rc rc = RC_OK;

	for (size_t i = 0; i < s->read_count && rc == RC_OK; i++)
		rc = allow(ruleset, s->read[i], FS_READ & known, e);
	for (size_t i = 0; i < s->write_count && rc == RC_OK; i++)
		rc = allow(ruleset, s->write[i], known & ~FS_NEVER, e);
	return rc;
}

enum rc
sandbox_landlock(const struct sandbox *s, unsigned *version, struct err *e)
{
	long v = syscall(NR_CREATE_RULESET, NULL, 0, ASK_VERSION), fd;
	struct ruleset set = { .net = NET_BIND_TCP | (s->connect ? 0 : NET_CONNECT_TCP),
	                       .scope = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL };
	enum rc rc;

	*version = 0;
	if (v < 1)
		return RC_OK;           /* not in this kernel, or not switched on */
	set.fs = fs_rights((unsigned)v);
	fd = syscall(NR_CREATE_RULESET, &set, v >= 6 ? 24 : v >= 4 ? 16 : 8, 0);
	if (fd < 0)
		return err_os(e, errno, "Landlock");
	rc = fill((int)fd, s, set.fs, e);
	if (rc == RC_OK &&
	    (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || syscall(NR_RESTRICT_SELF, fd, 0) != 0))
		rc = err_os(e, errno, "Landlock");
	close((int)fd);
	if (rc == RC_OK)
		*version = (unsigned)v;
	return rc;
}

#else

enum rc
sandbox_landlock(const struct sandbox *s, unsigned *version, struct err *e)
{
	(void)s;
	(void)e;
	*version = 0;
	return RC_OK;
}

#endif
