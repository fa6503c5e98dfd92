/* format: a volume of a newer major version is refused by its head and by any segment, and nothing
 * of it is written. */
#include "lib/bytes.h"
#include "lib/siphash.h"
#include "store/head.h"
#include "tests/unit/volume_fixture.h"

#include <fcntl.h>

static const uint8_t no_key[SIPHASH_KEY_LEN];

static int
open_file(const char *name)
{
	char path[512];
	int fd;

	(void)snprintf(path, sizeof path, "%s/%s", fx_dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	return fd;
}

/* A slot as version 2 would write it. */
static void
age_slot(off_t at)
{
	uint8_t *slot = malloc(HEAD_SLOT_LEN);
	int fd = open_file("head");
	uint32_t len;

	assert_non_null(slot);
	assert_int_equal(pread(fd, slot, HEAD_SLOT_LEN, at), HEAD_SLOT_LEN);
	len = get_le32(slot + 8);
	slot[7] = '2';
	put_le64(slot + len - 8, siphash(no_key, slot, len - 8));
	assert_int_equal(pwrite(fd, slot, len, at), len);
	close(fd);
	free(slot);
}

static void
age_segment(const char *name)
{
	uint8_t hdr[64];
	int fd = open_file(name);

	assert_int_equal(pread(fd, hdr, sizeof hdr, 0), sizeof hdr);
	hdr[6] = '2';
	put_le64(hdr + 56, siphash(no_key, hdr, 56));
	assert_int_equal(pwrite(fd, hdr, sizeof hdr, 0), sizeof hdr);
	close(fd);
}

static uint64_t
sum_of_head(void)
{
	uint8_t *all = malloc(HEAD_FILE_LEN);
	int fd = open_file("head");
	uint64_t sum;

	assert_non_null(all);
	assert_int_equal(pread(fd, all, HEAD_FILE_LEN, 0), HEAD_FILE_LEN);
	sum = siphash(no_key, all, HEAD_FILE_LEN);
	close(fd);
	free(all);
	return sum;
}

static void
try_open(enum volume_mode mode)
{
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = mode,
	                           .report = { NULL, fx_found } };
	struct err e = ERR_INIT;
	struct volume *v;

	fx_findings = 0;
	assert_int_equal(volume_open(&p, &v, &e), RC_DENIED);
	assert_non_null(strstr(e.text, "is of format 2"));
	assert_non_null(strstr(e.text, "newer version of Restante"));
	assert_int_equal(fx_findings, 0);
}

static void
test_newer_head(void **state)
{
	uint64_t before;

	(void)state;
	volume_close(&fx_v);
	/* one is enough: the other may be what it was before the newer version came */
	age_slot(0);
	before = sum_of_head();
	try_open(VOLUME_WRITE);
	try_open(VOLUME_READ);
	assert_true(before == sum_of_head());
	age_slot(HEAD_SLOT_LEN);
	try_open(VOLUME_WRITE);
}

static void
test_newer_segment(void **state)
{
	struct check_result got;
	struct err e = ERR_INIT;
	char index[512];

	(void)state;
	(void)fx_account("anna");
	volume_close(&fx_v);
	age_segment("log/s-1-1.seg");
	fx_open_as(VOLUME_READ);
	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &got, &e), RC_DENIED);
	assert_non_null(strstr(e.text, "segment s-1-1 is of format 2"));
	volume_close(&fx_v);
	(void)snprintf(index, sizeof index, "%s/index.db", fx_dir);
	assert_int_equal(unlink(index), 0);
	try_open(VOLUME_WRITE);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_newer_head, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_newer_segment, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
