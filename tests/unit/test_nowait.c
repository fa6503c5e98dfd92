/* nowait: what is in memory is read, what is not is refused, and what the file system cannot tell is refused for good. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include "lib/nowait.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGES 64u
#define TRIES 200

static size_t  page;
static uint8_t octets[PAGES * 65536u];

static int
make_file(size_t len)
{
	char name[] = "nowait-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	assert_int_equal(unlink(name), 0);
	for (size_t i = 0; i < len; i++)
		octets[i] = (uint8_t)(i / page + 1);
	assert_int_equal(pwrite(fd, octets, len, 0), (ssize_t)len);
	assert_int_equal(fsync(fd), 0);
	return fd;
}

/* False: the file system keeps its files in memory. */
static bool
evict(int fd, size_t from, size_t len)
{
	unsigned char resident[PAGES];
	void *at = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, (off_t)from);
	bool gone = true;

	assert_true(at != MAP_FAILED);
	assert_int_equal(posix_fadvise(fd, (off_t)from, (off_t)len, POSIX_FADV_DONTNEED), 0);
	assert_int_equal(mincore(at, len, resident), 0);
	for (size_t i = 0; i < (len + page - 1) / page; i++)
		gone = gone && (resident[i] & 1) == 0;
	(void)munmap(at, len);
	return gone;
}

static void
read_now(int fd, size_t from, size_t len, size_t want)
{
	uint8_t *got = malloc(len);

	assert_non_null(got);
	nowait_begin();
	assert_true(nowait_is_on());
	assert_int_equal(nowait_pread(fd, got, len, (off_t)from), (ssize_t)want);
	assert_false(nowait_end());
	assert_false(nowait_is_on());
	assert_memory_equal(got, octets + from, want);
	free(got);
}

/* True: refused. Else it came in time, as a fast disk's octets may, and then all of it. */
static bool
ask_now(int fd, size_t from, size_t len)
{
	uint8_t *got = malloc(len);
	ssize_t n;

	assert_non_null(got);
	nowait_begin();
	errno = 0;
	n = nowait_pread(fd, got, len, (off_t)from);
	assert_true(nowait_end() == (n < 0));
	if (n < 0) {
		assert_int_equal(errno, EAGAIN);
	} else {
		assert_int_equal(n, len);
		assert_memory_equal(got, octets + from, len);
	}
	free(got);
	return n < 0;
}

/* All tests but the last: a system that cannot do it answers nothing. */
static bool
is_possible(int fd)
{
	uint8_t octet;

	nowait_begin();
	(void)nowait_pread(fd, &octet, 1, 0);
	(void)nowait_end();
	return nowait_is_possible();
}

static void
test_in_memory(void **state)
{
	int fd = make_file(3 * page + 100);

	(void)state;
	if (!is_possible(fd))
		skip();
	read_now(fd, 0, 3 * page + 100, 3 * page + 100);
	read_now(fd, page - 1, 2, 2);
	read_now(fd, page, 3 * page, 2 * page + 100);   /* beyond the end */
	read_now(fd, 3 * page + 100, 5, 0);
	read_now(fd, 5 * page, 5, 0);
	(void)close(fd);
}

static void
test_on_disk(void **state)
{
	int fd = make_file(PAGES * page);
	bool refused = false;
	uint8_t octet;

	(void)state;
	if (!is_possible(fd) || !evict(fd, 0, PAGES * page))
		skip();
	for (int i = 0; i < TRIES && !refused; i++)
		refused = evict(fd, 0, PAGES * page) && ask_now(fd, 0, page);
	assert_true(refused);
	assert_int_equal(pread(fd, &octet, 1, 0), 1);
	read_now(fd, 0, page, page);
	(void)close(fd);
}

/* Half of it is there: no half answer. */
static void
test_half(void **state)
{
	int fd = make_file(PAGES * page);
	bool refused = false;
	uint8_t octet;

	(void)state;
	if (!is_possible(fd) || !evict(fd, 0, PAGES * page))
		skip();
	assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_RANDOM), 0);
	for (int i = 0; i < TRIES && !refused; i++) {
		(void)evict(fd, 0, PAGES * page);
		assert_int_equal(pread(fd, &octet, 1, 0), 1);
		read_now(fd, 0, page, page);
		refused = ask_now(fd, 0, PAGES * page);
		(void)ask_now(fd, page - 1, 2);
	}
	assert_true(refused);
	(void)close(fd);
}

static void
test_refuse(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	nowait_begin();
	assert_int_equal(nowait_refuse(&e), RC_WAIT);
	assert_int_equal(e.code, RC_WAIT);
	assert_true(nowait_end());
	nowait_begin();                                 /* each begins anew */
	assert_false(nowait_end());
	assert_string_equal(rc_name(RC_WAIT), "would wait");
}

/* The last: from here on nothing is asked any more. */
static void
test_impossible(void **state)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC), file = make_file(page);

	(void)state;
	if (fd < 0)
		skip();
	assert_true(ask_now(fd, 0, 10));
	assert_false(nowait_is_possible());
	assert_true(ask_now(file, 0, 10));
	(void)close(fd);
	(void)close(file);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_in_memory), cmocka_unit_test(test_on_disk),
		cmocka_unit_test(test_half),      cmocka_unit_test(test_refuse),
		cmocka_unit_test(test_impossible),
	};

	page = (size_t)sysconf(_SC_PAGESIZE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
