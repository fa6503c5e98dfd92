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
	fs = &failing;
	head_writes = head_syncs = 0;
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
	head_writes = head_syncs = 0;
	(void)fx_teardown(state);
	fs = &fs_posix;
	return 0;
}

static unsigned
count_files(const char *start)
{
	char path[400];
	struct dirent *d;
	unsigned n = 0;
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s/log", fx_dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL)
		n += strncmp(d->d_name, start, strlen(start)) == 0;
	closedir(dir);
	return n;
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

static void
copy_head(bool back)
{
	char cmd[900];

	(void)snprintf(cmd, sizeof cmd, back ? "cp '%s/kept' '%s/head'" : "cp '%s/head' '%s/kept'", fx_dir, fx_dir);
	assert_int_equal(system(cmd), 0);
}

/* The copy of the head that holds is an old one: what it does not list is all there is of that mail. */
static void
test_mail_beyond_an_old_head(void **state)
{
	struct cf_served served;
	mailbox_id box = fill(&served);
	unsigned files;

	(void)state;
	volume_close(&fx_v);
	copy_head(false);
	cf_open_small();
	for (uint32_t i = 0; i < 4; i++)
		(void)fx_append(box, cf_big_mail(60 + i, 25), 0, "");
	volume_close(&fx_v);
	files = count_files("s-");
	copy_head(true);
	tear_slot(1);
	cf_open_small();
	assert_int_equal(count_files("s-"), files);
	assert_true(count_listed() < files);
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
		cmocka_unit_test_setup_teardown(test_mail_beyond_an_old_head, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
