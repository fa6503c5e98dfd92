/* copy: a log copied to a directory, again and again, cut at every call, and what takes
 * such a copy over. */
#define _GNU_SOURCE
#include "tests/unit/store_tools.h"
#include "store/copy.h"
#include "store/fs.h"
#include "store/head.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define SEGMENT 2000u

static char source[64], place[64], target[80];
static struct log *log_open_now;
static struct told *told;

static int
setup(void **state)
{
	(void)state;
	volume_make(source);
	snprintf(place, sizeof place, "/tmp/restante-test-XXXXXX");
	assert_non_null(mkdtemp(place));
	snprintf(target, sizeof target, "%s/copy", place);
	log_open_now = volume_open_as(source, LOG_WRITE, SEGMENT, NULL, NULL);
	told = told_new();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	log_close(&log_open_now);
	volume_remove(source);
	volume_remove(place);
	free(told);
	return 0;
}

static void
make_body(void)
{
	struct log_body *body;
	struct log_addr addr;
	struct err e = ERR_INIT;

	assert_int_equal(log_body_begin(log_open_now, &body, &e), RC_OK);
	assert_int_equal(log_body_write(body, SLICE("a large message"), &e), RC_OK);
	assert_int_equal(log_body_finish(&body, &addr, &e), RC_OK);
}

static enum rc
copy_with(const struct copy_params *p, struct copy_result *r, struct err *e)
{
	struct log_report rep = told_report(told);

	*e = (struct err)ERR_INIT;
	return log_copy(log_open_now, p, &rep, r, e);
}

static struct copy_result
copy_now(void)
{
	const struct copy_params p = { .path = target };
	struct copy_result r;
	struct err e;

	if (copy_with(&p, &r, &e) != RC_OK)
		fail_msg("copy: %s", e.text);
	return r;
}

/* Calls that change something, counted; from the `cut`-th on they fail, as after a death. */
static struct {
	int cut, calls, os;
} world;

/* How many counters the copy holds: 1, 2, ... without a gap or a finding. */
static size_t
count_copy(void)
{
	struct told *t = told_new();
	struct log *log = volume_open_as(target, LOG_READ, 0, NULL, t);
	size_t n;

	assert_int_equal(t->findings, 0);
	assert_true(log_is_copy(log));
	replay_all(log, t, 0);
	n = t->count;
	assert_int_equal(t->findings, 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(t->value[i], i + 1);
	log_close(&log);
	free(t);
	return n;
}

static bool
is_there(const char *name)
{
	char path[160];

	snprintf(path, sizeof path, "%s/%s", target, name);
	return access(path, F_OK) == 0;
}

static void
test_copy_again_and_again(void **state)
{
	struct copy_result r;
	uint64_t whole;

	(void)state;
	r = copy_now();
	assert_true(r.fresh);
	assert_int_equal(count_copy(), 0);
	append_counters(log_open_now, 1, 100);
	make_body();
	r = copy_now();
	assert_false(r.fresh);
	assert_int_equal(count_copy(), 100);
	assert_int_equal(r.bytes_copied, r.bytes);
	assert_int_equal(r.bodies, 1);
	assert_int_equal(r.last_lsn, log_last(log_open_now));
	whole = r.bytes;
	r = copy_now();
	assert_int_equal(r.bytes_copied, 0);
	assert_int_equal(r.pieces_copied, 0);
	assert_int_equal(r.bytes, whole);
	/* Only the rest of the open segment. */
	append_counters(log_open_now, 101, 1);
	r = copy_now();
	assert_int_equal(r.pieces_copied, 1);
	assert_true(r.bytes_copied < 200);
	assert_int_equal(r.bytes_copied, r.bytes - whole);
	assert_int_equal(count_copy(), 101);
	whole = r.bytes;
	/* Over the ends of segments, and of the process. */
	append_counters(log_open_now, 102, 50);
	log_close(&log_open_now);
	log_open_now = volume_open_as(source, LOG_WRITE, SEGMENT, NULL, NULL);
	append_counters(log_open_now, 152, 50);
	r = copy_now();
	assert_int_equal(r.bytes_copied, r.bytes - whole);
	assert_int_equal(count_copy(), 201);
	assert_int_equal(r.removed, 0);
}

/* A stopped volume is copied without its lock, and ends where it was left. */
static void
test_copy_of_a_stopped_volume(void **state)
{
	(void)state;
	append_counters(log_open_now, 1, 30);
	log_close(&log_open_now);
	log_open_now = volume_open_as(source, LOG_READ, 0, NULL, NULL);
	copy_now();
	assert_int_equal(count_copy(), 30);
}

/* What was written and is not synced is not in it. */
static void
test_copy_ends_where_it_is_synced(void **state)
{
	struct log_batch *b = batch_make(log_open_now);
	struct err e = ERR_INIT;
	struct copy_result r;

	(void)state;
	append_counters(log_open_now, 1, 3);
	assert_int_equal(append_counter(log_open_now, b, 4, true, &e), RC_OK);
	r = copy_now();
	assert_int_equal(count_copy(), 3);
	assert_int_equal(r.last_lsn, log_last(log_open_now) - 1);
	assert_int_equal(log_sync(log_open_now, &e), RC_OK);
	copy_now();
	assert_int_equal(count_copy(), 4);
	log_batch_free(&b);
}

static void
test_dry_run_writes_nothing(void **state)
{
	const struct copy_params p = { .path = target, .dry_run = true };
	struct copy_result r;
	struct err e;

	(void)state;
	append_counters(log_open_now, 1, 30);
	assert_int_equal(copy_with(&p, &r, &e), RC_OK);
	assert_true(r.fresh && r.bytes_copied == r.bytes && r.bytes > 1000);
	assert_int_not_equal(access(target, F_OK), 0);
	copy_now();
	append_counters(log_open_now, 31, 30);
	assert_int_equal(copy_with(&p, &r, &e), RC_OK);
	assert_true(!r.fresh && r.bytes_copied > 1000 && r.bytes_copied < r.bytes);
	assert_int_equal(count_copy(), 30);
}

/* ---- where nothing is copied to ---- */

static void
expect_refusal(enum rc want, const char *text)
{
	const struct copy_params p = { .path = target };
	struct copy_result r;
	struct err e;

	assert_int_equal(copy_with(&p, &r, &e), want);
	if (strstr(e.text, text) == NULL)
		fail_msg("%s", e.text);
}

static void
test_no_backup_there(void **state)
{
	struct err e = ERR_INIT;
	char name[128];

	(void)state;
	append_counters(log_open_now, 1, 3);
	assert_int_equal(mkdir(target, 0700), 0);
	snprintf(name, sizeof name, "%s/letter", target);
	assert_int_equal(close(open(name, O_CREAT | O_WRONLY, 0600)), 0);
	expect_refusal(RC_EXISTS, "is not empty, and no backup");
	assert_false(is_there("head.part") || is_there("log"));
	assert_int_equal(unlink(name), 0);
	assert_int_equal(log_create(target, &e), RC_OK);
	expect_refusal(RC_EXISTS, "is a volume of its own");
}

static void
test_backup_of_another_volume(void **state)
{
	char other[64];
	struct log *mine = log_open_now;

	(void)state;
	append_counters(log_open_now, 1, 3);
	copy_now();
	volume_make(other);
	log_open_now = volume_open(other);
	expect_refusal(RC_DENIED, "backup of another volume");
	log_close(&log_open_now);
	log_open_now = mine;
	volume_remove(other);
	assert_int_equal(count_copy(), 3);
}

static void
test_fresh_only(void **state)
{
	const struct copy_params p = { .path = target, .fresh_only = true };
	struct copy_result r;
	struct err e;

	(void)state;
	append_counters(log_open_now, 1, 3);
	assert_int_equal(copy_with(&p, &r, &e), RC_OK);
	assert_int_equal(copy_with(&p, &r, &e), RC_EXISTS);
	assert_int_equal(count_copy(), 3);
}

/* Somebody serves it: it is in use, and once served it is a volume of its own. */
static void
test_copy_in_use(void **state)
{
	struct err e = ERR_INIT;
	struct log *served;

	(void)state;
	append_counters(log_open_now, 1, 3);
	copy_now();
	served = volume_open(target);
	expect_refusal(RC_BUSY, "in use");
	assert_int_equal(log_settle_copy(served, &e), RC_OK);
	log_close(&served);
	expect_refusal(RC_EXISTS, "is a volume of its own");
}

/* ---- the takeover ---- */

static void
test_takeover_passes_over_epochs(void **state)
{
	struct err e = ERR_INIT;
	uint32_t epoch = log_epoch(log_open_now);
	struct log *copy;

	(void)state;
	append_counters(log_open_now, 1, 3);
	copy_now();
	copy = volume_open(target);
	assert_int_equal(log_epoch(copy), epoch + COPY_EPOCHS + 1);
	assert_true(log_is_copy(copy));
	log_close(&copy);
	copy = volume_open(target);     /* cut before it was settled */
	assert_int_equal(log_epoch(copy), epoch + 2 * (COPY_EPOCHS + 1));
	append_counters(copy, 4, 1);
	assert_int_equal(log_settle_copy(copy, &e), RC_OK);
	assert_false(log_is_copy(copy));
	append_counters(copy, 5, 1);
	log_close(&copy);
	copy = volume_open(target);
	assert_false(log_is_copy(copy));
	assert_int_equal(log_epoch(copy), epoch + 2 * (COPY_EPOCHS + 1) + 1);
	replay_all(copy, told, 0);
	assert_int_equal(told->count, 5);
	log_close(&copy);
}

/* Put back again: what others made of the same bytes may have told is passed over too. */
static void
test_takeover_passes_over_others(void **state)
{
	uint32_t epoch = log_epoch(log_open_now);
	const struct copy_params p = { .path = target, .fresh_only = true,
	                               .epoch = epoch + 2 * COPY_EPOCHS };
	const struct copy_params used_up = { .path = target, .fresh_only = true,
	                                     .epoch = LSN_EPOCH_MAX - COPY_EPOCHS };
	struct copy_result r;
	struct err e = ERR_INIT;
	struct log *copy;

	(void)state;
	append_counters(log_open_now, 1, 3);
	assert_int_equal(copy_with(&used_up, &r, &e), RC_LIMIT);
	e = (struct err)ERR_INIT;
	assert_int_equal(copy_with(&p, &r, &e), RC_OK);
	copy = volume_open(target);
	assert_int_equal(log_epoch(copy), epoch + 3 * COPY_EPOCHS + 1);
	log_close(&copy);
}

/* The one that was put back goes into the same backup: what it has is there, what was lost goes. The former one, should it
 * live on, does not take that away. */
static void
test_backup_of_what_was_put_back(void **state)
{
	const struct copy_params p = { .path = target, .fresh_only = true };
	char backup[128], back[128];
	struct copy_result r;
	struct err e = ERR_INIT;

	(void)state;
	append_counters(log_open_now, 1, 40);
	copy_now();
	strcpy(backup, target);
	snprintf(back, sizeof back, "%s/back", place);
	log_close(&log_open_now);
	/* Its lost future is in the backup too. */
	log_open_now = volume_open_as(backup, LOG_READ, 0, NULL, NULL);
	strcpy(target, back);
	assert_int_equal(copy_with(&p, &r, &e), RC_OK);
	log_close(&log_open_now);
	strcpy(target, backup);
	log_open_now = volume_open_as(source, LOG_WRITE, SEGMENT, NULL, NULL);
	append_counters(log_open_now, 41, 40);
	copy_now();
	assert_int_equal(count_copy(), 80);
	log_close(&log_open_now);
	log_open_now = volume_open_as(back, LOG_WRITE, SEGMENT, NULL, NULL);
	append_counters(log_open_now, 41, 5);
	assert_int_equal(log_settle_copy(log_open_now, &e), RC_OK);
	r = copy_now();
	assert_true(r.removed > 0);
	assert_int_equal(count_copy(), 45);
	log_close(&log_open_now);
	log_open_now = volume_open_as(source, LOG_WRITE, SEGMENT, NULL, NULL);
	expect_refusal(RC_DENIED, "that was put back");
	assert_int_equal(count_copy(), 45);
}

/* ---- damage ---- */

static void
flip(const char *dir, const char *name, off_t at)
{
	char path[160];
	uint8_t byte;
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, at), 1);
	byte ^= 0x40;
	assert_int_equal(pwrite(fd, &byte, 1, at), 1);
	close(fd);
}

static void
test_damage_is_told_and_copied(void **state)
{
	struct copy_result r;
	struct log *log;

	(void)state;
	append_counters(log_open_now, 1, 100);
	flip(source, "log/s-2-1.seg", 300);
	r = copy_now();
	assert_int_equal(r.damage, 1);
	assert_int_equal(told->findings, 1);
	assert_int_equal(told->found_seg.seq, 2);
	log = volume_open_as(target, LOG_READ, 0, NULL, NULL);
	replay_all(log, told, 0);
	assert_int_equal(told->count, 99);
	assert_int_equal(told->findings, 1);
	log_close(&log);
	assert_int_equal(copy_now().damage, 0);         /* nothing was copied now */
}

static void
test_missing_segment_is_told_and_comes_later(void **state)
{
	char from[160], to[160];
	struct copy_result r;

	(void)state;
	append_counters(log_open_now, 1, 100);
	snprintf(from, sizeof from, "%s/log/s-2-1.seg", source);
	snprintf(to, sizeof to, "%s/kept", place);
	assert_int_equal(rename(from, to), 0);
	r = copy_now();
	assert_int_equal(r.damage, 1);
	assert_string_equal(told->last_finding, "the segment is missing");
	assert_int_equal(rename(to, from), 0);
	r = copy_now();
	assert_int_equal(r.pieces_copied, 1);
	assert_int_equal(r.damage, 0);
	assert_int_equal(count_copy(), 100);
}

/* A copy that lost a piece, or the end of one, or has one that is no longer of this log,
 * gets it again. */
static void
test_spoilt_copy_is_mended(void **state)
{
	char path[160];

	(void)state;
	append_counters(log_open_now, 1, 100);
	make_body();
	copy_now();
	snprintf(path, sizeof path, "%s/log/s-1-1.seg", target);
	assert_int_equal(unlink(path), 0);
	snprintf(path, sizeof path, "%s/log/s-2-1.seg", target);
	assert_int_equal(truncate(path, 500), 0);
	flip(target, "log/s-3-1.seg", 45);      /* in its key */
	snprintf(path, sizeof path, "%s/log/b-1-1.blob", target);
	assert_int_equal(truncate(path, 3), 0);
	assert_int_equal(copy_now().pieces_copied, 4);
	assert_int_equal(count_copy(), 100);
}

/* ---- cuts ---- */

static bool
dead(void)
{
	world.calls++;
	errno = world.os;
	return world.cut > 0 && world.calls >= world.cut;
}

static int
cut_open(int dirfd, const char *path, int flags, mode_t mode)
{
	return (flags & O_CREAT) != 0 && dead() ? -1 : fs_posix.open(dirfd, path, flags, mode);
}

static ssize_t
cut_pwritev(int fd, const struct iovec *iov, int count, off_t off)
{
	struct iovec half = { iov[0].iov_base, iov[0].iov_len / 2 };

	if (!dead())
		return fs_posix.pwritev(fd, iov, count, off);
	if (world.calls == world.cut && half.iov_len > 0)       /* torn */
		(void)!fs_posix.pwritev(fd, &half, 1, off);
	errno = world.os;
	return -1;
}

static int
cut_fsync(int fd)
{
	return dead() ? -1 : fs_posix.fsync(fd);
}

static int
cut_fdatasync(int fd)
{
	return dead() ? -1 : fs_posix.fdatasync(fd);
}

static int
cut_mkdir(int dirfd, const char *path, mode_t mode)
{
	return dead() ? -1 : fs_posix.mkdir(dirfd, path, mode);
}

static int
cut_unlink(int dirfd, const char *path)
{
	return dead() ? -1 : fs_posix.unlink(dirfd, path);
}

static int
cut_rename(int from, const char *a, int to, const char *b)
{
	return dead() ? -1 : fs_posix.rename(from, a, to, b);
}

static struct fs_ops cutting;

static void
cut_at(int n, int os)
{
	cutting = fs_posix;
	cutting.open = cut_open;
	cutting.pwritev = cut_pwritev;
	cutting.fsync = cut_fsync;
	cutting.fdatasync = cut_fdatasync;
	cutting.mkdir = cut_mkdir;
	cutting.unlink = cut_unlink;
	cutting.rename = cut_rename;
	world.cut = n;
	world.calls = 0;
	world.os = os;
	fs = &cutting;
}

/* The copy is as it was or as it should be, whatever the cut left; NULL: there was none before. */
static void
expect_one_of(size_t before, size_t after)
{
	size_t n;

	if (before == 0 && !is_there("head"))
		return;
	n = count_copy();
	if (n != before && n != after)
		fail_msg("%zu records, not %zu nor %zu (call %d)", n, before, after, world.cut);
}

static void
run_cuts(size_t before, size_t after, int os)
{
	const struct copy_params p = { .path = target };
	char keep[80], cmd[600];
	struct copy_result r;
	struct err e;
	enum rc rc;

	snprintf(keep, sizeof keep, "%s/keep", place);
	snprintf(cmd, sizeof cmd, "rm -rf %s %s; [ ! -d %s.0 ] || cp -a %s.0 %s", keep, target,
	         keep, keep, target);
	for (int n = 1;; n++) {
		assert_int_equal(system(cmd), 0);
		cut_at(n, os);
		rc = copy_with(&p, &r, &e);
		fs = &fs_posix;
		expect_one_of(before, after);
		if (rc == RC_OK && world.calls < world.cut)
			break;
		if (rc != RC_OK)
			assert_int_equal(e.os, os);
		copy_now();     /* the next try takes it up, and makes the head whole */
		world.cut = 0;
		assert_int_equal(count_copy(), after);
		world.cut = n;
	}
	assert_true(world.calls > 20);
}

static void
test_cut_at_every_call(void **state)
{
	char cmd[600];

	(void)state;
	append_counters(log_open_now, 1, 30);
	make_body();
	run_cuts(0, 30, EIO);
	snprintf(cmd, sizeof cmd, "cp -a %s %s/keep.0", target, place);
	assert_int_equal(system(cmd), 0);
	append_counters(log_open_now, 31, 40);
	make_body();
	run_cuts(30, 70, EIO);
	run_cuts(30, 70, ENOSPC);
}

struct stopping {
	int left;
};

static bool
stop_soon(void *arg, uint64_t done, uint64_t total)
{
	struct stopping *s = arg;

	(void)done, (void)total;
	return s->left-- > 0;
}

static void
test_stopped_between_pieces(void **state)
{
	struct stopping s;
	const struct copy_params p = { .path = target, .progress = stop_soon, .progress_arg = &s };
	struct copy_result r;
	struct err e;

	(void)state;
	append_counters(log_open_now, 1, 20);
	copy_now();
	append_counters(log_open_now, 21, 80);
	for (int n = 0;; n++) {
		s.left = n;
		if (copy_with(&p, &r, &e) == RC_OK)
			break;
		assert_int_equal(e.code, RC_CANCELLED);
		assert_int_equal(count_copy(), 20);
	}
	assert_int_equal(count_copy(), 100);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_copy_again_and_again),
		CASE(test_copy_of_a_stopped_volume),
		CASE(test_copy_ends_where_it_is_synced),
		CASE(test_dry_run_writes_nothing),
		CASE(test_no_backup_there),
		CASE(test_backup_of_another_volume),
		CASE(test_fresh_only),
		CASE(test_copy_in_use),
		CASE(test_takeover_passes_over_epochs),
		CASE(test_takeover_passes_over_others),
		CASE(test_backup_of_what_was_put_back),
		CASE(test_damage_is_told_and_copied),
		CASE(test_missing_segment_is_told_and_comes_later),
		CASE(test_spoilt_copy_is_mended),
		CASE(test_cut_at_every_call),
		CASE(test_stopped_between_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
