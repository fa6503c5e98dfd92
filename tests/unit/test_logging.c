/* logging: quoting, cutting, levels; and clock, which stamps the lines. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/logging.h"

static int ends[2];
static char got[65536];

static int
open_pipe(void **state)
{
	(void)state;
	if (pipe(ends) != 0)
		return 1;
	log_set_fd(ends[1]);
	log_set_level(LOGLEVEL_INFO);
	return 0;
}

static int
close_pipe(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* What was written, without the time stamp. */
static const char *
logged(void)
{
	ssize_t n;
	char *level;

	log_set_fd(STDERR_FILENO);
	close(ends[1]);
	n = read(ends[0], got, sizeof got - 1);
	close(ends[0]);
	assert_true(n >= 0);
	got[n] = '\0';
	assert_int_equal(pipe(ends), 0);
	log_set_fd(ends[1]);
	if (n == 0)
		return "";
	level = strstr(got, "level=");
	assert_non_null(level);
	return level;
}

static const struct value_case {
	const char  *name;
	struct slice in;
	const char  *want;
} value_cases[] = {
	{ "plain", SLICE_INIT("anna"), "v=anna" },
	{ "empty", SLICE_INIT(""), "v=\"\"" },
	{ "blank", SLICE_INIT("a b"), "v=\"a b\"" },
	{ "equals sign", SLICE_INIT("a=b"), "v=\"a=b\"" },
	{ "quote", SLICE_INIT("a\"b"), "v=\"a\\\"b\"" },
	{ "backslash", SLICE_INIT("a\\b"), "v=\"a\\\\b\"" },
	{ "newline forges nothing", SLICE_INIT("a\nts=1 ev=x"), "v=\"a\\x0ats=1 ev=x\"" },
	{ "NUL", SLICE_INIT("a\0b"), "v=\"a\\x00b\"" },
	{ "DEL", SLICE_INIT("\x7f"), "v=\"\\x7f\"" },
	{ "UTF-8", SLICE_INIT("M\xc3\xbcller"), "v=\"M\xc3\xbcller\"" },
	{ "C1 control", SLICE_INIT("\xc2\x9b"), "v=\"\\xc2\\x9b\"" },
	{ "Latin-1", SLICE_INIT("M\xfcller"), "v=\"M\\xfcller\"" },
	{ "cut UTF-8", SLICE_INIT("\xe6\x97"), "v=\"\\xe6\\x97\"" },
	{ "overlong", SLICE_INIT("\xc0\xaf"), "v=\"\\xc0\\xaf\"" },
	{ "surrogate", SLICE_INIT("\xed\xa0\x80"), "v=\"\\xed\\xa0\\x80\"" },
};

static void
test_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(value_cases); i++) {
		const struct value_case *k = &value_cases[i];
		struct slice in = unit_copy(k->in);
		struct logline l;
		char want[128];

		log_begin(&l, LOGLEVEL_INFO, "t");
		log_str(&l, "v", in);
		log_end(&l);
		snprintf(want, sizeof want, "level=info ev=t %s\n", k->want);
		assert_string_equal(logged(), want);
		unit_drop(in);
	}
}

static void
test_kinds(void **state)
{
	struct err e = ERR_INIT;
	struct logline l;

	(void)state;
	log_begin(&l, LOGLEVEL_WARN, "a.b");
	log_u64(&l, "n", UINT64_MAX);
	log_int(&l, "i", INT64_MIN);
	log_hex(&l, "sid", 0x7f3a);
	log_cstr(&l, "none", NULL);
	err_os(&e, 2, "open x");
	log_err(&l, &e);
	log_end(&l);
	log_end(&l);
	assert_string_equal(logged(),
	    "level=warn ev=a.b n=18446744073709551615 i=-9223372036854775808 sid=7f3a none=\"\" "
	    "err=\"not found\" os=2 text=\"open x: No such file or directory\"\n");
}

static void
test_levels(void **state)
{
	enum log_level level;

	(void)state;
	log_event(LOGLEVEL_DEBUG, "quiet", "%s", "");
	assert_string_equal(logged(), "");
	log_set_level(LOGLEVEL_DEBUG);
	log_event(LOGLEVEL_DEBUG, "loud", "n=%d", 5);
	assert_string_equal(logged(), "level=debug ev=loud n=5\n");
	log_set_level(LOGLEVEL_ERROR);
	assert_false(log_wanted(LOGLEVEL_WARN));
	assert_true(log_wanted(LOGLEVEL_ERROR));
	log_event(LOGLEVEL_WARN, "quiet", "%s", "");
	assert_string_equal(logged(), "");
	assert_true(log_level_parse("warn", &level));
	assert_int_equal(level, LOGLEVEL_WARN);
	assert_false(log_level_parse("Warn", &level));
}

static void
test_event_stays_one_line(void **state)
{
	(void)state;
	log_event(LOGLEVEL_INFO, "e", "a=1\nb=%d", 2);
	assert_string_equal(logged(), "level=info ev=e a=1?b=2\n");
}

/* Values of every length, up to and beyond all limits: whole lines within LOG_LINE_MAX,
 * cut ones marked. */
static void
test_cutting(void **state)
{
	static char big[3000];

	(void)state;
	memset(big, 'x', sizeof big);
	for (size_t len = 400; len < sizeof big; len += 7) {
		struct logline l;
		const char *line;
		size_t n;

		big[0] = len % 2 == 0 ? 'x' : '\n';
		log_begin(&l, LOGLEVEL_INFO, "cut");
		for (int i = 0; i < 5; i++)
			log_str(&l, "key", slice_of(big, len % 600));
		log_str(&l, "last", slice_of(big, len));
		log_end(&l);
		line = logged();
		n = strlen(got);
		assert_true(n <= LOG_LINE_MAX);
		assert_int_equal(got[n - 1], '\n');
		assert_ptr_equal(strchr(line, '\n'), got + n - 1);
		if (len > LOG_VALUE_MAX)
			assert_string_equal(got + n - 9, " cut=yes\n");
	}
	big[sizeof big - 1] = '\0';
	log_event(LOGLEVEL_INFO, "cut", "a=%s", big + 1);
	logged();
	assert_true(strlen(got) <= LOG_LINE_MAX);
	assert_string_equal(got + strlen(got) - 9, " cut=yes\n");
}

static void *
chatter(void *arg)
{
	for (int i = 0; i < 50; i++)
		log_event(LOGLEVEL_INFO, "chat", "who=%d pad=%s end=1", *(int *)arg,
		          "................................");
	return NULL;
}

static void
test_threads_do_not_mix(void **state)
{
	pthread_t threads[4];
	int who[4];
	size_t lines = 0;

	(void)state;
	for (int i = 0; i < 4; i++) {
		who[i] = i;
		assert_int_equal(pthread_create(&threads[i], NULL, chatter, &who[i]), 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	logged();
	for (char *p = got; *p != '\0'; p = strchr(p, '\n') + 1, lines++) {
		assert_memory_equal(p, "ts=", 3);
		assert_memory_equal(strchr(p, '\n') - 6, " end=1", 6);
	}
	assert_int_equal(lines, 200);
}

static void
test_clock(void **state)
{
	uint64_t mono = clock_mono_ms();
	struct timespec nap = { 0, 3000000 };
	char ts[40];
	unsigned year;

	(void)state;
	nanosleep(&nap, NULL);
	assert_true(clock_mono_ms() >= mono + 2);
	assert_true(clock_wall_us() > UINT64_C(1700000000) * 1000000);
	setenv("TZ", "XYZ-05:30", 1);
	tzset();
	assert_int_equal(clock_zone_minutes(clock_wall_us()), 330);
	setenv("TZ", "ABC+03", 1);
	tzset();
	assert_int_equal(clock_zone_minutes(0), -180);
	log_event(LOGLEVEL_INFO, "x", "%s", "");
	logged();
	assert_int_equal(sscanf(got, "ts=%u-%*u-%*uT%*u:%*u:%*u.%*u%39s", &year, ts), 2);
	assert_true(year >= 2023);
	assert_memory_equal(ts, "Z", 1);        /* UTC whatever the zone */
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_values, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(test_kinds, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(test_levels, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(test_event_stays_one_line, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(test_cutting, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(test_threads_do_not_mix, open_pipe, close_pipe),
		cmocka_unit_test_setup_teardown(test_clock, open_pipe, close_pipe),
	};

	return cmocka_run_group_tests_name("logging", tests, NULL, NULL);
}
