/* backend: the file backend under real limits: file size, full disk, descriptors, and its
 * handling of names. */
#define _GNU_SOURCE
#include "tests/unit/store_tools.h"
#include "store/codec.h"
#include "lib/nowait.h"
#include "store/fdcache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define BIG 100000u

/* A frame of about BIG bytes. */
static enum rc
append_big(struct log *log, struct log_batch *b, bool reserve_ok, struct err *e)
{
	static uint8_t data[BIG];
	struct blob_chunk c[2] = { { 50000, 50000, 0, CHUNK_STORED, 0 },
	                           { 50000, 50000, 0, CHUNK_STORED, 0 } };
	struct record r = { .type = RECORD_BLOB,
	                    .u.blob = { .size = BIG, .chunks = c, .chunk_count = 2,
	                                                     .data = { data, BIG } } };

	c[0].crc = c[1].crc = codec_crc(slice_of(data, 50000));
	log_batch_reset(b);
	log_frame_begin(b, &tools_who);
	assert_int_equal(log_frame_add(b, &r, e), RC_OK);
	log_frame_end(b);
	return log_append(log, b, false, reserve_ok, e);
}

static void
set_file_limit(rlim_t bytes)
{
	struct rlimit l;

	assert_int_equal(getrlimit(RLIMIT_FSIZE, &l), 0);
	l.rlim_cur = bytes < l.rlim_max ? bytes : l.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* A limit reached: refused before a byte is written, as often as tried; all goes on
 * when it is lifted. */
static void
test_file_size_limit(void **state)
{
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct log_body *body;
	struct log_stats st;
	struct log_batch *b;
	char path[64];
	struct log *log;
	uint32_t n = 0;

	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	volume_make(path);
	log = volume_open(path);
	b = batch_make(log);
	set_file_limit(1500000);
	while (append_big(log, b, false, &e) == RC_OK)
		n++;
	assert_int_equal(n, 14);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(append_big(log, b, false, &e), RC_IO);
		assert_int_equal(e.os, ENOSPC);
		assert_false(log_is_dead(log));
	}
	/* what fits exactly still goes in */
	assert_int_equal(append_counter(log, b, 7, false, &e), RC_OK);
	assert_int_equal(log_body_begin(log, &body, &e), RC_OK);
	while (log_body_write(body, slice_of((const uint8_t[BIG]){ 0 }, BIG), &e) == RC_OK)
		;
	assert_int_equal(e.code, RC_IO);
	log_body_abort(&body);
	log_get_stats(log, &st);
	assert_int_equal(st.bodies, 0);
	replay_all(log, t, 0);
	assert_int_equal(t->count, n + 1);
	set_file_limit(RLIM_INFINITY);
	assert_int_equal(append_big(log, b, false, &e), RC_OK);
	replay_all(log, t, 0);
	assert_int_equal(t->count, n + 2);
	assert_int_equal(t->lsn[n + 1], LSN_MAKE(1, n + 2));
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
	free(t);
}

static bool
write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return ok;
}

/* A mount namespace of the child's own; who is not root becomes it in a user namespace. */
static bool
enter_namespace(void)
{
	char uid[64], gid[64];

	snprintf(uid, sizeof uid, "0 %u 1", (unsigned)geteuid());
	snprintf(gid, sizeof gid, "0 %u 1", (unsigned)getegid());
	if (geteuid() == 0) {
		if (unshare(CLONE_NEWNS) != 0)
			return false;
	} else if (unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0 ||
	           !write_text("/proc/self/setgroups", "deny") ||
	           !write_text("/proc/self/uid_map", uid) ||
	           !write_text("/proc/self/gid_map", gid)) {
		return false;
	}
	/* Inside a chroot "/" is no mount point, and nothing above it can be made private. */
	return mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 || errno == EINVAL;
}

/* In a child: a disk of 16 MiB filled to the brim. 0: passed, 77: no such disk can be had here. */
static int
full_disk(const char *path)
{
	static const char mib[1 << 20];
	char filler[64];
	struct err e = ERR_INIT;
	struct log_batch *b;
	struct told *t = told_new();
	struct log_body *body;
	struct log *log;
	uint32_t n = 0;
	int fd;

	snprintf(filler, sizeof filler, "%s/filler", path);
	if (!enter_namespace() || mount("tmpfs", path, "tmpfs", 0, "size=16m") != 0) {
		print_error("a tmpfs on %s: %s\n", path, strerror(errno));
		return 77;
	}
	if (log_create(path, &e) != RC_OK)
		return 1;
	log = volume_open(path);
	b = batch_make(log);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	if (write(fd, mib, sizeof mib) != sizeof mib)
		return 1;
	while (append_big(log, b, false, &e) == RC_OK)
		n++;
	if (e.os != ENOSPC || log_is_dead(log) || n < 50) {
		print_error("after %u: %s\n", n, e.text);
		return 2;
	}
	while (write(fd, path, 16) > 0)
		;
	while (append_counter(log, b, 1, false, &e) == RC_OK)
		n++;
	if (e.os != ENOSPC || log_is_dead(log) || !log_is_starved(log))
		return 3;
	if (append_big(log, b, true, &e) != RC_OK)      /* what frees space has the reserve */
		return 4;
	n++;
	/* From now on nothing else is taken, whatever room is left. */
	if (!log_is_starved(log) || append_counter(log, b, 1, false, &e) != RC_IO ||
	    e.os != ENOSPC || log_is_dead(log) || log_give_up_reserve(log))
		return 9;
	if (append_big(log, b, true, &e) != RC_OK)
		return 10;
	n++;
	log_close(&log);
	while (write(fd, path, 16) > 0)
		;
	log = volume_open(path);                        /* a takeover needs none */
	replay_all(log, t, 0);
	if (t->count != n || t->findings != 0) {
		print_error("%zu of %u, %zu findings: %s\n", t->count, n, t->findings,
		            t->last_finding);
		return 5;
	}
	log_batch_free(&b);
	b = batch_make(log);
	if (append_counter(log, b, 1, false, &e) != RC_IO || e.os != ENOSPC || log_is_dead(log))
		return 6;
	if (log_body_begin(log, &body, &e) != RC_IO || e.os != ENOSPC)
		return 11;
	if (ftruncate(fd, 0) != 0 || append_counter(log, b, 1, false, &e) != RC_OK ||
	    log_is_starved(log))
		return 7;
	replay_all(log, t, 0);
	log_batch_free(&b);
	log_close(&log);
	close(fd);
	(void)umount(path);
	n = (uint32_t)t->count - n;
	free(t);
	return n == 1 ? 0 : 8;
}

static void
test_full_disk(void **state)
{
	char path[] = "/tmp/restante-test-XXXXXX";
	pid_t pid;
	int status;

	(void)state;
	assert_non_null(mkdtemp(path));
	pid = fork();
	if (pid == 0)
		_exit(full_disk(path));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	(void)umount(path);             /* what a child that failed in a chroot left behind */
	assert_int_equal(rmdir(path), 0);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int opened;

static int
open_null(int dirfd, const struct seg_id *id)
{
	(void)dirfd;
	if (id->seq == 999) {
		errno = ENOENT;
		return -1;
	}
	opened++;
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void
test_fdcache(void **state)
{
	struct fdcache *c = fdcache_new(-1, open_null);
	int fd[FDCACHE_SLOTS + 2], slot[FDCACHE_SLOTS + 2];
	struct err e = ERR_INIT;

	(void)state;
	opened = 0;
	for (uint32_t round = 0; round < 3; round++)
		for (uint64_t i = 0; i < FDCACHE_SLOTS; i++) {
			assert_int_equal(fdcache_get(c, &(struct seg_id){ i, 1, SEG_LOG }, &fd[0],
			                             &slot[0], &e),
			                 RC_OK);
			fdcache_put(c, fd[0], slot[0]);
		}
	assert_int_equal(opened, FDCACHE_SLOTS);
	assert_int_equal(fdcache_get(c, &(struct seg_id){ 5, 1, SEG_BODY }, &fd[0], &slot[0], &e),
	                 RC_OK);
	fdcache_put(c, fd[0], slot[0]); /* another kind, another piece; the oldest goes */
	assert_int_equal(opened, FDCACHE_SLOTS + 1);
	assert_int_equal(fdcache_get(c, &(struct seg_id){ 1, 1, SEG_LOG }, &fd[0], &slot[0], &e),
	                 RC_OK);
	fdcache_put(c, fd[0], slot[0]);
	assert_int_equal(opened, FDCACHE_SLOTS + 1);
	for (uint64_t i = 0; i < FDCACHE_SLOTS + 2; i++)  /* more in use than there are slots */
		assert_int_equal(fdcache_get(c, &(struct seg_id){ 100 + i, 1, SEG_LOG }, &fd[i],
		                             &slot[i], &e),
		                 RC_OK);
	assert_int_equal(slot[FDCACHE_SLOTS], -1);
	for (uint64_t i = 0; i < FDCACHE_SLOTS + 2; i++)
		fdcache_put(c, fd[i], slot[i]);
	assert_int_equal(fdcache_get(c, &(struct seg_id){ 999, 1, SEG_LOG }, &fd[0], &slot[0], &e),
	                 RC_NOT_FOUND);
	fdcache_free(&c);
}

/* Who may not wait opens nothing, and closes no deleted file. */
static void
test_fdcache_nowait(void **state)
{
	struct fdcache *c = fdcache_new(-1, open_null);
	struct seg_id id = { 1, 1, SEG_LOG }, other = { 2, 1, SEG_LOG };
	struct err e = ERR_INIT;
	int fd, slot, other_fd;

	(void)state;
	opened = 0;
	nowait_begin();
	assert_int_equal(fdcache_get(c, &id, &fd, &slot, &e), RC_WAIT);
	assert_true(nowait_end());
	assert_int_equal(opened, 0);
	assert_int_equal(fdcache_get(c, &id, &fd, &slot, &e), RC_OK);
	fdcache_put(c, fd, slot);
	nowait_begin();
	assert_int_equal(fdcache_get(c, &id, &fd, &slot, &e), RC_OK);
	fdcache_forget(c, &id);
	fdcache_put(c, fd, slot);
	assert_false(nowait_end());
	assert_true(fcntl(fd, F_GETFD) >= 0);
	assert_int_equal(opened, 1);
	assert_int_equal(fdcache_get(c, &other, &other_fd, &slot, &e), RC_OK);
	assert_true(fcntl(fd, F_GETFD) >= 0);
	fdcache_put(c, other_fd, slot);                         /* any other reader closes it */
	assert_true(fcntl(fd, F_GETFD) < 0);
	fdcache_free(&c);
}

/* A symbolic link in place of a file is not followed, an existing name not reused. */
static void
test_names(void **state)
{
	struct err e = ERR_INIT;
	struct log_batch *b;
	char path[64], name[128];
	struct log *log;
	int fd;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	b = batch_make(log);
	snprintf(name, sizeof name, "%s/log/s-1-1.seg", path);
	assert_int_equal(symlink("/dev/full", name), 0);
	snprintf(name, sizeof name, "%s/log/s-2-1.seg", path);
	fd = open(name, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0 && write(fd, "x", 1) == 1);
	close(fd);
	assert_int_equal(append_counter(log, b, 1, false, &e), RC_EXISTS);
	assert_int_equal(append_counter(log, b, 1, false, &e), RC_EXISTS);
	assert_int_equal(append_counter(log, b, 1, false, &e), RC_OK);
	fd = open(name, O_RDONLY);
	assert_true(fd >= 0 && read(fd, path + 60, 2) == 1);
	close(fd);
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
}

/* Out of descriptors: errors of the operation, and all works again afterwards. */
static void
test_no_descriptors(void **state)
{
	struct err e = ERR_INIT;
	struct log_batch *b;
	struct told *t = told_new();
	char path[64];
	struct log *log;
	int fds[2000], n = 0;
	struct rlimit l, low;

	(void)state;
	volume_make(path);
	log = volume_open_as(path, LOG_WRITE, 300, NULL, NULL);
	b = batch_make(log);
	assert_int_equal(append_counter(log, b, 1, false, &e), RC_OK);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &l), 0);
	low = l;
	low.rlim_cur = 200;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	while (n < 2000 && (fds[n] = open("/dev/null", O_RDONLY)) >= 0)
		n++;
	for (uint32_t i = 0; i < 10; i++) {             /* sooner or later it wants to roll */
		enum rc rc = append_counter(log, b, 2, false, &e);

		assert_true(rc == RC_OK || (rc == RC_IO && e.os == EMFILE));
	}
	assert_int_equal(e.os, EMFILE);
	assert_false(log_is_dead(log));
	while (n > 0)
		close(fds[--n]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
	assert_int_equal(append_counter(log, b, 3, false, &e), RC_OK);
	replay_all(log, t, 0);
	assert_int_equal(t->findings, 0);
	assert_int_equal(t->value[t->count - 1], 3);
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_size_limit), cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_fdcache),         cmocka_unit_test(test_fdcache_nowait),
		cmocka_unit_test(test_names),           cmocka_unit_test(test_no_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
