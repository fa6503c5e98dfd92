/* when: what an admin may write as a time, what not, and that what we write is read back. */
#include "tests/unit/unit.h"

#include <time.h>

#include "lib/when.h"

#define NOW UINT64_C(1800000000000000)          /* 2027-01-15 08:00:00 UTC */
#define NONE UINT64_MAX

static const struct when_case {
	const char *name, *in, *tz;
	uint64_t    want;       /* NONE: refused */
} cases[] = {
	{ "a day is its midnight", "2026-11-21", "UTC", 1795219200000000u },
	{ "local midnight", "2026-11-21", "Europe/Berlin", 1795215600000000u },
	{ "minutes", "2026-11-21 10:05", "UTC", 1795255500000000u },
	{ "seconds", "2026-11-21 10:05:09", "UTC", 1795255509000000u },
	{ "T between", "2026-11-21T10:05:09", "UTC", 1795255509000000u },
	{ "fraction", "2026-11-21 10:05:09.25", "UTC", 1795255509250000u },
	{ "finer than we keep", "2026-11-21 10:05:09.1234567", "UTC", 1795255509123456u },
	{ "Z", "2026-11-21T10:05:09Z", "Asia/Tokyo", 1795255509000000u },
	{ "zone", "2026-11-21T10:05:09+01:00", "UTC", 1795251909000000u },
	{ "zone without colon", "2026-11-21T10:05:09-0330", "UTC", 1795268109000000u },
	{ "blank before the zone", "2026-11-21 10:05:09 +0100", "UTC", 1795251909000000u },
	{ "summer time", "2026-07-01 12:00", "Europe/Berlin", 1782900000000000u },
	{ "blanks around", " 2026-11-21 ", "UTC", 1795219200000000u },
	{ "leap day", "2028-02-29", "UTC", 1835395200000000u },
	{ "now", "Now", "UTC", NOW },
	{ "seconds ago", "90s", "UTC", NOW - 90000000u },
	{ "minutes ago", "30m", "UTC", NOW - 1800000000u },
	{ "hours ago", "12h", "UTC", NOW - 43200000000u },
	{ "days ago", "3d", "UTC", NOW - 259200000000u },
	{ "weeks ago", "2w", "UTC", NOW - 1209600000000u },
	{ "before 1970", "40000w", "UTC", 0 },
	{ "no leap day", "2026-02-29", "UTC", NONE },
	{ "30 February", "2026-02-30", "UTC", NONE },
	{ "month 13", "2026-13-01", "UTC", NONE },
	{ "day 0", "2026-01-00", "UTC", NONE },
	{ "hour 24", "2026-11-21 24:00", "UTC", NONE },
	{ "second 60", "2026-11-21 10:00:60", "UTC", NONE },
	{ "hour alone", "2026-11-21 10", "UTC", NONE },
	{ "dot without digits", "2026-11-21 10:00:00.", "UTC", NONE },
	{ "short year", "26-11-21", "UTC", NONE },
	{ "single digits", "2026-1-2", "UTC", NONE },
	{ "signs", "2026-+1-02", "UTC", NONE },
	{ "year before 1970", "1969-12-31", "UTC", NONE },
	{ "zone minutes", "2026-11-21T10:00:00+01:60", "UTC", NONE },
	{ "half a zone", "2026-11-21T10:00:00+01", "UTC", NONE },
	{ "more behind", "2026-11-21T10:00:00Zx", "UTC", NONE },
	{ "a blank behind the Z", "2026-11-21T10:00:00Z z", "UTC", NONE },
	{ "number alone", "2026", "UTC", NONE },
	{ "unit alone", "d", "UTC", NONE },
	{ "negative", "-3d", "UTC", NONE },
	{ "two units", "1h30m", "UTC", NONE },
	{ "too large", "99999999999999999999d", "UTC", NONE },
	{ "empty", "", "UTC", NONE },
	{ "words", "yesterday", "UTC", NONE },
};

static void
set_zone(const char *tz)
{
	assert_int_equal(setenv("TZ", tz, 1), 0);
	tzset();
}

static void
test_parse(void **state)
{
	const struct when_case *k = *state;
	struct slice in = unit_copy(slice_str(k->in));
	struct err e = ERR_INIT;
	uint64_t got = 0;

	set_zone(k->tz);
	if (k->want == NONE) {
		assert_int_equal(when_parse(in, NOW, &got, &e), RC_SYNTAX);
		assert_non_null(strstr(e.text, "is no time"));
	} else {
		assert_int_equal(when_parse(in, NOW, &got, &e), RC_OK);
		assert_int_equal(got, k->want);
	}
	unit_drop(in);
	for (size_t cut = 0; cut < strlen(k->in); cut++) {
		struct slice prefix = unit_copy(slice_of(k->in, cut));

		(void)(when_parse(prefix, NOW, &got, &e) == RC_OK);
		unit_drop(prefix);
	}
}

static void
test_age(void **state)
{
	struct err e = ERR_INIT;
	uint64_t us = 1;

	(void)state;
	assert_int_equal(when_parse_age(SLICE("0"), &us, &e), RC_OK);
	assert_int_equal(us, 0);
	assert_int_equal(when_parse_age(SLICE("7d"), &us, &e), RC_OK);
	assert_int_equal(us, UINT64_C(604800000000));
	assert_int_equal(when_parse_age(SLICE("5"), &us, &e), RC_SYNTAX);
	assert_int_equal(when_parse_age(SLICE("5s"), &us, &e), RC_OK);
	assert_int_equal(us, 5000000);
	assert_int_equal(when_parse_age(SLICE("5y"), &us, &e), RC_SYNTAX);
	assert_non_null(strstr(e.text, "\"5y\" is no age"));
	assert_int_equal(when_parse_age(SLICE(""), &us, &e), RC_SYNTAX);
	assert_int_equal(when_parse_age(SLICE("d"), &us, &e), RC_SYNTAX);
}

static void
test_format(void **state)
{
	static const uint64_t moments[] = { 0, 1, 1795255509123456u, 1782900000999999u,
	                                    253402300799000000u };
	static const char *const zones[] = { "UTC", "Europe/Berlin", "America/St_Johns" };
	char text[WHEN_TEXT_MAX];
	struct err e = ERR_INIT;
	uint64_t back;

	(void)state;
	for (size_t z = 0; z < UNIT_COUNT(zones); z++) {
		set_zone(zones[z]);
		for (size_t i = 0; i < UNIT_COUNT(moments); i++) {
			when_format_utc(moments[i], text);
			assert_int_equal(when_parse(slice_str(text), NOW, &back, &e), RC_OK);
			assert_int_equal(back, moments[i]);
			if (i < 2 || i > 3)
				continue;       /* locally in another year than 1970 to 9999 */
			when_format_us(moments[i], text);
			assert_int_equal(when_parse(slice_str(text), NOW, &back, &e), RC_OK);
			assert_int_equal(back, moments[i]);
			when_format(moments[i], text);
			assert_int_equal(when_parse(slice_str(text), NOW, &back, &e), RC_OK);
			assert_int_equal(back, moments[i] / 1000000 * 1000000);
		}
	}
	set_zone("UTC");
	when_format(1795255509123456u, text);
	assert_string_equal(text, "2026-11-21 10:05:09");
	when_format_us(1795255509000056u, text);
	assert_string_equal(text, "2026-11-21 10:05:09.000056");
	when_format_utc(1795255509123456u, text);
	assert_string_equal(text, "2026-11-21T10:05:09.123456Z");
	when_format(UINT64_MAX, text);          /* anything, but within the buffer */
	when_format_utc(UINT64_MAX, text);
}

static void
test_format_age(void **state)
{
	static const struct {
		uint64_t    us;
		const char *want;
	} ages[] = {
		{ 0, "0 seconds" }, { 1000000, "1 second" }, { 90000000, "90 seconds" }, { 3600000000u, "1 hour" },
		{ 5400000000u, "90 minutes" }, { 604800000000u, "7 days" }, { 86400000000u, "1 day" },
	};
	char text[WHEN_TEXT_MAX];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(ages); i++) {
		when_format_age(ages[i].us, text);
		assert_string_equal(text, ages[i].want);
	}
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(cases) + 3];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_parse, NULL, NULL,
		                                  (void *)(uintptr_t)&cases[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_age);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_format);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_format_age);
	return _cmocka_run_group_tests("when", tests, n, NULL, NULL);
}
