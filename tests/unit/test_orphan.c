/* orphan: segments that nothing lists, behind a write of the head that failed or was torn. */
#define _GNU_SOURCE
#include "tests/unit/compact_fixture.h"

#include <dirent.h>
#include <errno.h>
#include <stdatomic.h>

#include "store/fs.h"
#include "store/head.h"

static struct fs_ops failing;
static atomic_int    head_writes, head_syncs;   /* counts down to the failure, which lasts; 0: none */
static atomic_int    renames;                   /* the same, but it does not last */
static atomic_bool   lasts;
static ino_t         head_inode;

static bool
fails(int fd, atomic_int *count)
{
	struct stat st;

	if (atomic_load(count) == 0 || fstat(fd, &st) != 0 || st.st_ino != head_inode)
		return false;
	if (atomic_fetch_sub(count, 1) > 1)
		return false;
	if (lasts)
		atomic_store(count, 1);
	errno = EIO;
	return true;
}

static ssize_t
failing_pwritev(int fd, const struct iovec *iov, int count, off_t off)
{
	return fails(fd, &head_writes) ? -1 : fs_posix.pwritev(fd, iov, count, off);
}

static int
failing_fdatasync(int fd)
{
	return fails(fd, &head_syncs) ? -1 : fs_posix.fdatasync(fd);
}

static int
failing_rename(int from_dirfd, const char *from, int to_dirfd, const char *to)
{
	if (atomic_load(&renames) > 0 && strstr(to, ".kept") != NULL && atomic_fetch_sub(&renames, 1) == 1) {
		errno = EIO;
		return -1;
	}
	return fs_posix.rename(from_dirfd, from, to_dirfd, to);
}

static void
head_path(char path[400])
{
	(void)snprintf(path, 400, "%s/head", fx_dir);
}

static int
setup(void **state)
{
	char path[400];
	struct stat st;

	failing = fs_posix;
	failing.pwritev = failing_pwritev;
	failing.fdatasync = failing_fdatasync;
	failing.rename = failing_rename;
	fs = &failing;
	head_writes = head_syncs = renames = 0;
	lasts = false;
	if (fx_setup(state) != 0)
		return 1;
	head_path(path);
	assert_int_equal(stat(path, &st), 0);
	head_inode = st.st_ino;
	return 0;
}

static int
teardown(void **state)
{
	head_writes = head_syncs = renames = 0;
	(void)fx_teardown(state);
	fs = &fs_posix;
	return 0;
}

static bool
ends_so(const char *name, const char *end)
{
	size_t len = strlen(name), n = strlen(end);

	return len >= n && strcmp(name + len - n, end) == 0;
}

static unsigned
count_named(const char *start, const char *end)
{
	char path[400];
	struct dirent *d;
	unsigned n = 0;
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s/log", fx_dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL)
		n += strncmp(d->d_name, start, strlen(start)) == 0 && ends_so(d->d_name, end);
	closedir(dir);
	return n;
}

static unsigned
count_files(const char *start)
{
	return count_named(start, "");
}

static uint32_t
count_listed(void)
{
	struct root_segment *segs;
	struct seg_id *dropped;
	struct err e = ERR_INIT;
	uint32_t count, more;

	assert_int_equal(log_list_segments(volume_log(fx_v), &segs, &count, &e), RC_OK);
	assert_int_equal(log_list_dropped(volume_log(fx_v), &dropped, &more, &e), RC_OK);
	for (uint32_t i = 0; i < more; i++)
		count += dropped[i].kind == SEG_LOG;
	free(segs);
	free(dropped);
	return count;
}

/* Until the volume takes changes again. */
static void
wait_until_alive(mailbox_id box)
{
	for (int i = 0; i < 2000; i++) {
		struct change *c = fx_make_store(box, 1, 1, STORE_ADD, FLAG_SEEN, "");

		if (fx_run(c) == RC_OK)
			return;
		usleep(5000);
	}
	fail_msg("the volume does not come back");
}

/* Mails in several segments, half of them gone. Returns the mailbox; *served: the rest of them. */
static mailbox_id
fill(struct cf_served *served)
{
	mailbox_id box;

	cf_open_small();
	box = fx_box(fx_account("anna"), "INBOX");
	for (uint32_t i = 0; i < 8; i++)
		(void)fx_append(box, cf_big_mail(i, 25), 0, "");
	(void)fx_append(box, cf_big_mail(20, 2500), 0, "");     /* a body of its own */
	(void)fx_expunge(box, 2, 6);
	*served = (struct cf_served){ NULL, 0 };
	cf_served_add(served, box);
	return box;
}

/* The n-th call for the head fails while a compaction is at work, and the volume goes on in place: all that is there is
 * listed, whichever of the two roots it was. */
static void
fail_in_compaction(atomic_int *what, int n)
{
	const struct compact_params p = { .all = true, .level = 1 };
	struct compact_result r;
	struct cf_served served;
	struct err e = ERR_INIT;
	mailbox_id box = fill(&served);

	*what = n;
	if (volume_compact(fx_v, &p, &r, &e) == RC_OK)
		assert_true(*what > 0);         /* it did not come to that */
	*what = 0;
	wait_until_alive(box);
	assert_int_equal(count_files("s-"), count_listed());
	assert_int_equal(cf_served_check(&served, 0), 0);
	cf_check_clean();
	(void)cf_compact_all();
	(void)cf_compact_all();
	assert_int_equal(count_files("s-"), count_listed());
	assert_int_equal(count_files("b-"), 1);
	assert_int_equal(cf_served_check(&served, 0), 0);
	cf_served_drop(&served);
}

static void
test_head_fails_under_compaction(void **state)
{
	for (int n = 1; n <= 12; n++) {
		if (n > 1)
			(void)setup(state);
		fail_in_compaction(n % 2 == 0 ? &head_writes : &head_syncs, (n + 1) / 2);
		if (n < 12)
			(void)teardown(state);
	}
}

/* An append needs a new segment and the head cannot be written. */
static void
test_head_fails_under_a_new_segment(void **state)
{
	struct cf_served served;
	mailbox_id box = fill(&served);

	(void)state;
	for (int n = 1; n <= 4; n++) {
		atomic_int *what = n % 2 == 0 ? &head_writes : &head_syncs;

		*what = (n + 1) / 2;
		for (uint32_t i = 0; i < 4 && *what > 0; i++) {
			const struct slice mail = cf_big_mail(40 + i, 25);
			struct change *c = fx_make_append(&box, 1, mail, 0, "");

			(void)fx_run(c);
		}
		assert_int_equal(*what, 0);
		wait_until_alive(box);
		assert_int_equal(count_files("s-"), count_listed());
	}
	assert_int_equal(cf_served_check(&served, 0), 0);
	cf_check_clean();
	cf_served_drop(&served);
}

static void
tear_slot(unsigned slot)
{
	char path[400];
	uint8_t c;
	int fd;

	head_path(path);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, (off_t)(slot * HEAD_SLOT_LEN + 40)), 1);
	c ^= 1;
	assert_int_equal(pwrite(fd, &c, 1, (off_t)(slot * HEAD_SLOT_LEN + 40)), 1);
	close(fd);
}

/* The power fails while the head is written: one copy is torn, and what the compaction made is not in
 * the other. */
static void
test_torn_head_behind_compaction(void **state)
{
	const struct compact_params p = { .all = true };
	struct compact_result r;
	struct cf_served served;
	struct err e = ERR_INIT;

	for (unsigned slot = 0; slot < 2; slot++) {
		if (slot > 0) {
			(void)teardown(state);
			(void)setup(state);
		}
		(void)fill(&served);
		lasts = true;
		head_writes = 3;        /* two for the seal */
		assert_int_not_equal(volume_compact(fx_v, &p, &r, &e), RC_OK);
		volume_close(&fx_v);
		head_writes = 0;
		lasts = false;
		assert_true(count_files("s-") > 0);
		tear_slot(slot);
		cf_open_small();
		assert_int_equal(count_files("s-"), count_listed());
		assert_int_equal(cf_served_check(&served, 0), 0);
		cf_check_clean();
		cf_served_drop(&served);
	}
}

/* The same while a new segment is listed: it is empty. */
static void
test_torn_head_under_a_new_segment(void **state)
{
	struct cf_served served;

	for (unsigned slot = 0; slot < 2; slot++) {
		mailbox_id box;
		unsigned files;

		if (slot > 0) {
			(void)teardown(state);
			(void)setup(state);
		}
		box = fill(&served);
		lasts = true;
		head_writes = 1;
		for (uint32_t i = 0; i < 4; i++)
			(void)fx_run(fx_make_append(&box, 1, cf_big_mail(40 + i, 25), 0, ""));
		volume_close(&fx_v);
		head_writes = 0;
		lasts = false;
		files = count_files("s-");
		tear_slot(slot);
		cf_open_small();
		assert_int_equal(count_files("s-"), files - 1);
		assert_int_equal(count_files("s-"), count_listed());
		assert_int_equal(cf_served_check(&served, 0), 0);
		cf_check_clean();
		cf_served_drop(&served);
	}
}

static void
copy_head(bool back)
{
	char cmd[900];

	(void)snprintf(cmd, sizeof cmd, back ? "cp '%s/kept' '%s/head'" : "cp '%s/head' '%s/kept'", fx_dir, fx_dir);
	assert_int_equal(system(cmd), 0);
}

/* Mail that only a newer head lists: both its copies are lost, an old one holds. Returns how many bodies there are. */
static unsigned
lose_head_behind_mail(mailbox_id box)
{
	unsigned bodies;

	volume_close(&fx_v);
	copy_head(false);
	cf_open_small();
	for (uint32_t i = 0; i < 4; i++)
		(void)fx_append(box, cf_big_mail(60 + i, 25), 0, "");
	(void)fx_append(box, cf_big_mail(70, 2500), 0, "");
	volume_close(&fx_v);
	bodies = count_files("b-");
	copy_head(true);
	tear_slot(1);
	return bodies;
}

static uint64_t
damage_told(void)
{
	struct check_result r;
	struct err e = ERR_INIT;

	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	return r.damage;
}

/* What an old head does not list is all there is of that mail: no start removes it, each tells of it, and new mail gets
 * names and numbers of its own. */
static void
test_mail_beyond_an_old_head(void **state)
{
	struct cf_served served;
	mailbox_id box = fill(&served);
	unsigned bodies = lose_head_behind_mail(box), files = count_files("s-"), kept = 0;

	(void)state;
	for (unsigned start = 0; start < 3; start++) {
		cf_open_small();
		assert_true(damage_told() > 0);
		if (start == 0) {
			kept = count_named("s-", ".kept");
			assert_int_equal(count_files("s-"), files);
		}
		assert_true(kept > 1);
		assert_int_equal(count_named("s-", ".kept"), kept);
		assert_int_equal(count_named("s-", ".seg"), count_listed());
		assert_int_equal(cf_served_check(&served, 0), 0);
		assert_int_equal(count_files("b-"), bodies + start);
		for (uint32_t i = 0; i < 8; i++)
			(void)fx_append(box, cf_big_mail(80 + 8 * start + i, 25), 0, "");
		(void)fx_append(box, cf_big_mail(71 + start, 2500), 0, "");
		assert_int_equal(cf_served_check(&served, 0), 0);
		volume_close(&fx_v);
	}
	cf_served_drop(&served);
}

static void
expect_no_start(void)
{
	const struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE };
	struct err e = ERR_INIT;

	assert_int_equal(volume_open(&p, &fx_v, &e), RC_IO);
	fx_v = NULL;
}

/* The power fails again at that start, in any write of the head. */
static void
test_power_fails_again(void **state)
{
	for (int n = 1; n <= 2; n++) {
		struct cf_served served;
		mailbox_id box;
		unsigned files;

		if (n > 1) {
			(void)teardown(state);
			(void)setup(state);
		}
		box = fill(&served);
		(void)lose_head_behind_mail(box);
		files = count_files("s-");
		head_writes = n;
		expect_no_start();
		assert_true(count_named("s-", ".kept") > 1);
		assert_int_equal(count_files("s-"), files);
		cf_open_small();
		assert_int_equal(count_files("s-"), files);
		(void)fx_append(box, cf_big_mail(80, 25), 0, "");
		(void)fx_append(box, cf_big_mail(81, 2500), 0, "");
		assert_int_equal(cf_served_check(&served, 0), 0);
		cf_served_drop(&served);
	}
}

/* One of several cannot be put aside: no start, nothing is lost, and the next start does it. */
static void
test_not_put_aside(void **state)
{
	struct cf_served served;
	mailbox_id box = fill(&served);
	unsigned files;

	(void)state;
	(void)lose_head_behind_mail(box);
	files = count_files("s-");
	renames = 2;
	expect_no_start();
	assert_int_equal(count_named("s-", ".kept"), 1);
	assert_int_equal(count_files("s-"), files);
	cf_open_small();
	assert_true(count_named("s-", ".kept") > 1);
	assert_int_equal(count_files("s-"), files);
	assert_int_equal(count_named("s-", ".seg"), count_listed());
	assert_int_equal(cf_served_check(&served, 0), 0);
	cf_served_drop(&served);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_head_fails_under_compaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_head_fails_under_a_new_segment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn_head_behind_compaction, setup, teardown),
		cmocka_unit_test_setup_teardown(test_torn_head_under_a_new_segment, setup, teardown),
		cmocka_unit_test_setup_teardown(test_mail_beyond_an_old_head, setup, teardown),
		cmocka_unit_test_setup_teardown(test_power_fails_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_put_aside, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
