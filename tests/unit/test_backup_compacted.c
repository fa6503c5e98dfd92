/* a backup of a volume that is compacted between one copy and the next: new pieces come, dropped
 * ones go, bodies too; the former copy counts, with all that it had, until the new head is written;
 * each copy passes verify and serves all messages as they were when it was made. test_copy has the
 * copying itself. */
#define _GNU_SOURCE
#include "tests/unit/compact_fixture.h"

#include <dirent.h>
#include <errno.h>

#include "store/copy.h"
#include "store/fs.h"

static struct {
	char             place[300], target[320];
	mailbox_id       inbox, sent, other;
	uint32_t         mails;
} vol;

static int
setup(void **state)
{
	if (fx_setup(state) != 0)
		return -1;
	(void)snprintf(vol.place, sizeof vol.place, "%s.backup", fx_dir);
	(void)snprintf(vol.target, sizeof vol.target, "%s/v1", vol.place);
	assert_int_equal(mkdir(vol.place, 0700), 0);
	cf_open_small();
	vol.inbox = fx_box(fx_account("anna"), "INBOX");
	vol.sent = fx_box(fx_account("ben"), "Sent");
	vol.other = fx_box(fx_account("carl"), "INBOX");
	vol.mails = 0;
	return 0;
}

static int
teardown(void **state)
{
	fx_remove(vol.place);
	return fx_teardown(state);
}

/* ---- the volume and its copies ---- */

static void
append(mailbox_id box, uint32_t count, size_t kib)
{
	for (uint32_t i = 0; i < count; i++)
		(void)fx_append(box, cf_big_mail(++vol.mails, kib), 0, "");
}

static void
take_all(struct cf_served *s)
{
	*s = (struct cf_served){ NULL, 0 };
	cf_served_add(s, vol.inbox);
	cf_served_add(s, vol.sent);
	cf_served_add(s, vol.other);
}

static enum rc
copy_as(const struct copy_params *p, struct copy_result *r, struct err *e)
{
	*e = (struct err)ERR_INIT;
	return log_copy(volume_log(fx_v), p, NULL, r, e);
}

static struct copy_result
copy_now(void)
{
	const struct copy_params p = { .path = vol.target };
	struct copy_result r;
	struct err e;

	if (copy_as(&p, &r, &e) != RC_OK)
		fail_msg("copy: %s", e.text);
	assert_int_equal(r.damage, 0);
	return r;
}

/* How many files log/ of a volume has, and with `same` how many of them another's has too. */
static unsigned
count_files(const char *dir, const char *same)
{
	char path[400];
	unsigned n = 0;
	struct dirent *d;
	DIR *handle;

	(void)snprintf(path, sizeof path, "%s/log", dir);
	handle = opendir(path);
	assert_non_null(handle);
	while ((d = readdir(handle)) != NULL) {
		(void)snprintf(path, sizeof path, "%s/log/%s", same != NULL ? same : dir,
		               d->d_name);
		n += d->d_name[0] != '.' && access(path, F_OK) == 0;
	}
	closedir(handle);
	return n;
}

/* As `verify` looks at it: without an index, writing nothing. */
static void
verify(const char *dir)
{
	struct volume_params p = { .name = "copy", .path = dir, .mode = VOLUME_READ,
	                           .report = { NULL, fx_found } };
	unsigned findings = 0;
	const struct check_report rep = { &findings, cf_finding };
	struct check_result r;
	struct err e = ERR_INIT;
	struct volume *v;

	fx_findings = 0;
	if (volume_open(&p, &v, &e) != RC_OK)
		fail_msg("%s: %s", dir, e.text);
	assert_int_equal(volume_check(v, &rep, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(findings + fx_findings + r.damage + r.differences, 0);
	volume_close(&v);
}

/* A second copy of the copy, since to be served makes a volume of its own of it; this one has just
 * these messages. */
static void
expect_served(const struct cf_served *want)
{
	struct volume *mine = fx_v;
	char served[340], cmd[1400], dir[sizeof fx_dir];
	struct cf_served all;

	verify(vol.target);
	(void)snprintf(served, sizeof served, "%s/served", vol.place);
	(void)snprintf(cmd, sizeof cmd, "rm -rf '%s' && cp -a '%s' '%s'", served, vol.target,
	               served);
	assert_int_equal(system(cmd), 0);
	memcpy(dir, fx_dir, sizeof dir);
	(void)snprintf(fx_dir, sizeof fx_dir, "%.250s", served);
	fx_open();
	assert_int_equal(cf_served_check(want, 0), 0);
	take_all(&all);
	assert_int_equal(all.count, want->count);
	cf_served_drop(&all);
	cf_check_clean();
	volume_close(&fx_v);
	memcpy(fx_dir, dir, sizeof fx_dir);
	fx_v = mine;
}

static void
compact_now(void)
{
	struct compact_result r = cf_compact_all();

	assert_true(r.rewritten > 0 && r.damage == 0);
}

/* ---- the tests ---- */

static void
fill(void)
{
	append(vol.inbox, 20, 5);
	append(vol.sent, 12, 5);
	append(vol.inbox, 2, 1400);
	append(vol.other, 10, 5);
	append(vol.sent, 1, 1400);
	(void)fx_store(vol.inbox, 1, 22, STORE_ADD, FLAG_SEEN, "work");
}

/* What is dead, in the log and of bodies: half of INBOX with one of its bodies, and a mailbox. */
static void
give_up(void)
{
	(void)fx_expunge(vol.inbox, 3, 12);
	(void)fx_expunge(vol.inbox, 21, 21);
	(void)fx_expunge(vol.other, 1, 9);
}

/* The copy has what the root lists, byte for byte, and nothing else. */
static void
expect_same_pieces(void)
{
	char cmd[1024];

	assert_int_equal(count_files(vol.target, NULL), count_files(fx_dir, NULL));
	(void)snprintf(cmd, sizeof cmd,
	               "cd '%s/log' && for f in *; do cmp -s -n $(stat -c %%s $f) $f "
	               "'%s/log/'$f || exit 1; done",
	               vol.target, fx_dir);
	assert_int_equal(system(cmd), 0);
}

static void
test_again_after_a_compaction(void **state)
{
	struct cf_served before, after;
	struct copy_result r;
	unsigned common;

	(void)state;
	fill();
	take_all(&before);
	r = copy_now();
	assert_true(r.fresh && r.bodies == 3 && r.segments > 3);
	expect_served(&before);
	give_up();
	compact_now();
	assert_true(count_files(fx_dir, NULL) < count_files(vol.target, NULL));
	expect_served(&before);         /* it was the copy that kept them */
	take_all(&after);
	common = count_files(fx_dir, vol.target);
	r = copy_now();
	assert_int_equal(r.bodies, 2);
	assert_true(r.pieces_copied > 0 && r.removed > 0);
	assert_int_equal(r.pieces_copied, count_files(fx_dir, NULL) - common);
	assert_true(r.bytes_copied < r.bytes);
	expect_same_pieces();
	expect_served(&after);
	/* Nothing is new; then a little. */
	assert_int_equal(copy_now().bytes_copied, 0);
	append(vol.inbox, 1, 5);
	r = copy_now();
	assert_int_equal(r.pieces_copied, 1);
	assert_int_equal(r.removed, 0);
	cf_served_drop(&after);
	take_all(&after);
	expect_served(&after);
	cf_served_drop(&before);
	cf_served_drop(&after);
}

/* Compactions of what was compacted and copied, also with other levels, over starts. */
static void
test_again_and_again(void **state)
{
	struct cf_served now;

	(void)state;
	fill();
	(void)copy_now();
	for (unsigned round = 0; round < 6; round++) {
		const struct compact_params p = { .threshold = 1, .all = round % 2 == 0,
		                                  .level = round == 3 ? 9 : 0 };

		(void)fx_expunge(vol.inbox, 2 + round * 3, 3 + round * 3);
		append(vol.sent, 6, 5);
		if (round == 2)
			append(vol.other, 1, 1400);
		(void)cf_compact(p);
		if (round % 3 == 1)
			cf_open_small();
		(void)copy_now();
		expect_same_pieces();
		take_all(&now);
		expect_served(&now);
		cf_served_drop(&now);
	}
}

/* Somebody reads what was dropped, so that it still lies there: it is of no copy. */
static void
test_dropped_pieces_are_not_copied(void **state)
{
	struct cf_served now;
	struct seg_id *ids;
	struct err e = ERR_INIT;
	uint32_t count;

	(void)state;
	fill();
	give_up();
	log_hold(volume_log(fx_v));
	compact_now();
	assert_int_equal(log_list_dropped(volume_log(fx_v), &ids, &count, &e), RC_OK);
	assert_true(count > 3);
	take_all(&now);
	(void)copy_now();
	assert_int_equal(count_files(vol.target, NULL) + count, count_files(fx_dir, NULL));
	expect_served(&now);
	log_unhold(volume_log(fx_v));
	assert_int_equal(copy_now().removed, 0);
	cf_served_drop(&now);
	free(ids);
}

/* ---- a compaction while it is copied ---- */

struct meanwhile {
	unsigned calls;
	bool     done;
};

static bool
compact_meanwhile(void *arg, uint64_t done, uint64_t total)
{
	struct meanwhile *m = arg;
	const struct compact_params p = { .all = true };
	struct compact_result r;
	struct err e = ERR_INIT;

	(void)done, (void)total;
	if (++m->calls == 2) {
		give_up();
		m->done = volume_compact(fx_v, &p, &r, &e) == RC_OK && r.rewritten > 0;
	}
	return true;
}

/* It is what was there when it began: nothing of it is reaped until it has been copied. */
static void
test_compacted_while_it_is_copied(void **state)
{
	struct meanwhile m = { 0, false };
	const struct copy_params p = { .path = vol.target, .progress = compact_meanwhile,
	                               .progress_arg = &m };
	struct cf_served before, after;
	struct copy_result r;
	struct err e;

	(void)state;
	fill();
	take_all(&before);
	assert_int_equal(copy_as(&p, &r, &e), RC_OK);
	assert_true(m.done);
	assert_int_equal(r.damage, 0);
	expect_served(&before);
	take_all(&after);
	assert_true(after.count < before.count);
	(void)cf_compact_all();
	assert_true(copy_now().removed > 0);
	expect_same_pieces();
	expect_served(&after);
	cf_served_drop(&before);
	cf_served_drop(&after);
}

/* ---- cuts ---- */

static struct {
	unsigned cut, calls;
} world;

static bool
dead(void)
{
	errno = EIO;
	return ++world.calls >= world.cut;
}

static int
cut_open(int dirfd, const char *path, int flags, mode_t mode)
{
	return (flags & O_CREAT) != 0 && dead() ? -1 : fs_posix.open(dirfd, path, flags, mode);
}

static ssize_t
cut_pwritev(int fd, const struct iovec *iov, int count, off_t off)
{
	return dead() ? -1 : fs_posix.pwritev(fd, iov, count, off);
}

static int
cut_fsync(int fd)
{
	return dead() ? -1 : fs_posix.fsync(fd);
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

static enum rc
copy_cut(unsigned n)
{
	static struct fs_ops cutting;
	const struct copy_params p = { .path = vol.target };
	struct copy_result r;
	struct err e;
	enum rc rc;

	cutting = fs_posix;
	cutting.open = cut_open;
	cutting.pwritev = cut_pwritev;
	cutting.fsync = cut_fsync;
	cutting.unlink = cut_unlink;
	cutting.rename = cut_rename;
	world.cut = n;
	world.calls = 0;
	fs = &cutting;
	rc = copy_as(&p, &r, &e);
	fs = &fs_posix;
	return rc;
}

static uint64_t
count_messages(void)
{
	struct volume_params p = { .name = "copy", .path = vol.target, .mode = VOLUME_READ };
	struct check_result r;
	struct err e = ERR_INIT;
	struct volume *v;

	if (volume_open(&p, &v, &e) != RC_OK)
		fail_msg("call %u: %s", world.cut, e.text);
	assert_int_equal(volume_check(v, NULL, NULL, NULL, &r, &e), RC_OK);
	if (r.damage + r.differences > 0)
		fail_msg("call %u: %u findings", world.cut, (unsigned)r.damage);
	volume_close(&v);
	return r.messages;
}

/* Cut before the head is written it is the former one, behind that the new one, each whole,
 * whatever lies beside it. */
static void
test_cut_at_every_call(void **state)
{
	struct cf_served before, after;
	char keep[340], cmd[1400];
	unsigned former = 0, fresh = 0;
	enum rc rc;

	(void)state;
	fill();
	take_all(&before);
	(void)copy_now();
	give_up();
	compact_now();
	take_all(&after);
	(void)snprintf(keep, sizeof keep, "%s/keep", vol.place);
	(void)snprintf(cmd, sizeof cmd, "cp -a '%s' '%s'", vol.target, keep);
	assert_int_equal(system(cmd), 0);
	(void)snprintf(cmd, sizeof cmd, "rm -rf '%s' && cp -a '%s' '%s'", vol.target, keep,
	               vol.target);
	for (unsigned n = 1;; n++) {
		uint64_t messages;

		assert_int_equal(system(cmd), 0);
		rc = copy_cut(n);
		messages = count_messages();
		assert_true(messages == before.count || messages == after.count);
		/* What was cut behind the head is nevertheless a copy. */
		assert_true(rc != RC_OK || messages == after.count);
		former += messages == before.count;
		fresh += messages == after.count;
		if (world.calls < world.cut)
			break;
		if (n % 5 == 0)
			expect_served(messages == before.count ? &before : &after);
	}
	assert_true(former > 10 && fresh > 3);
	expect_served(&after);
	expect_same_pieces();
	cf_served_drop(&before);
	cf_served_drop(&after);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_again_after_a_compaction),
		CASE(test_again_and_again),
		CASE(test_dropped_pieces_are_not_copied),
		CASE(test_compacted_while_it_is_copied),
		CASE(test_cut_at_every_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
