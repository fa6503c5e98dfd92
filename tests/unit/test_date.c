/* date: mail dates as they really come, IMAP dates strictly, and both formats back. */
#include "tests/unit/unit.h"

#include "lib/date.h"

static const struct mail_case {
	const char  *name;
	struct slice in;
	int64_t      want;      /* -1: no date */
	int32_t      day;
	int16_t      zone;
} mail[] = {
	{ "RFC 5322", SLICE_INIT("Fri, 21 Nov 1997 09:55:06 -0600"), 880127706, 10186, -360 },
	{ "comment behind", SLICE_INIT("Mon, 7 Feb 1994 21:52:25 -0800 (PST)"), 760686745, 8803, -480 },
	{ "comments and folding", SLICE_INIT("Thu,\r\n  13\r\n Feb (a (b) \\) c)\r\n 1969\r\n 23:32\r\n -0330 (N)"),
	  -27723480, -322, -210 },
	{ "no seconds, named zone", SLICE_INIT("21 Nov 97 09:55 GMT"), 880106100, 10186, 0 },
	{ "two digits below 50", SLICE_INIT("1 Jan 00 00:00:00 +0000"), 946684800, 10957, 0 },
	{ "two digits from 50", SLICE_INIT("1 Jan 60 00:00:00 +0000"), -315619200, -3653, 0 },
	{ "three digits", SLICE_INIT("1 Jan 100 00:00:00 +0000"), 946684800, 10957, 0 },
	{ "RFC 5256 example", SLICE_INIT("31 Dec 2000 16:01:33 -0800"), 978307293, 11322, -480 },
	{ "asctime", SLICE_INIT("Fri Nov 21 09:55:06 1997"), 880106106, 10186, 0 },
	{ "asctime with zone", SLICE_INIT("Fri Nov 21 09:55:06 EST 1997"), 880124106, 10186, -300 },
	{ "ISO 8601", SLICE_INIT("1997-11-21T09:55:06-06:00"), 880127706, 10186, -360 },
	{ "dashes", SLICE_INIT("21-Nov-1997 09:55:06 +0000"), 880106106, 10186, 0 },
	{ "invalid time is midnight", SLICE_INIT("21 Nov 1997 25:99:06 +0000"), 880070400, 10186, 0 },
	{ "invalid zone is UTC", SLICE_INIT("21 Nov 1997 09:55:06 +9999"), 880106106, 10186, 0 },
	{ "unknown zone is UTC", SLICE_INIT("21 Nov 1997 09:55:06 XYZ"), 880106106, 10186, 0 },
	{ "PM", SLICE_INIT("21 Nov 1997 09:55:06 PM +0000"), 880149306, 10186, 0 },
	{ "long month name", SLICE_INIT("21 November 1997"), 880070400, 10186, 0 },
	{ "leap day", SLICE_INIT("29 Feb 2000 00:00:00 +0000"), 951782400, 11016, 0 },
	{ "no leap day", SLICE_INIT("29 Feb 1900 00:00:00 +0000"), -1, 0, 0 },
	{ "day 0", SLICE_INIT("0 Nov 1997 00:00:00"), -1, 0, 0 },
	{ "no year", SLICE_INIT("21 Nov"), -1, 0, 0 },
	{ "no month", SLICE_INIT("21 97 1997 09:55:06"), -1, 0, 0 },
	{ "empty", SLICE_INIT(""), -1, 0, 0 },
	{ "open comment", SLICE_INIT("(21 Nov 1997"), -1, 0, 0 },
	{ "endless digits", SLICE_INIT("99999999999999999999999999 Nov 1997"), -1, 0, 0 },
};

static void
test_mail(void **state)
{
	const struct mail_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct date d = { 0, 0, 0 };

	assert_int_equal(date_parse_rfc5322(in, &d), k->want != -1);
	if (k->want != -1) {
		assert_int_equal(d.unix_time, k->want);
		assert_int_equal(d.day, k->day);
		assert_int_equal(d.zone, k->zone);
	}
	unit_drop(in);
	for (size_t cut = 0; cut < k->in.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(k->in, 0, cut));

		(void)date_parse_rfc5322(prefix, &d);
		unit_drop(prefix);
	}
}

static const struct imap_case {
	const char *name, *in;
	bool        ok;
	int64_t     want;
} imap[] = {
	{ "RFC 9051", "17-Jul-1996 02:44:25 -0700", true, 837596665 },
	{ "padded day", " 7-Jul-1996 02:44:25 +0000", true, 836707465 },
	{ "month in any case", "17-JUL-1996 02:44:25 -0700", true, 837596665 },
	{ "one digit without padding", "7-Jul-1996 02:44:25 +0000", false, 0 },
	{ "no zone", "17-Jul-1996 02:44:25", false, 0 },
	{ "more behind", "17-Jul-1996 02:44:25 -0700 ", false, 0 },
	{ "hour 24", "17-Jul-1996 24:00:00 -0700", false, 0 },
	{ "day 31 of June", "31-Jun-1996 00:00:00 -0700", false, 0 },
	{ "zone minutes", "17-Jul-1996 02:44:25 -0760", false, 0 },
	{ "year of two digits", "17-Jul-96 02:44:25 -0700", false, 0 },
	{ "empty", "", false, 0 },
};

static void
test_imap(void **state)
{
	const struct imap_case *k = *state;
	struct slice in = unit_copy(slice_str(k->in));
	struct date d;

	assert_int_equal(date_parse_imap(in, &d), k->ok);
	if (k->ok) {
		char text[DATE_IMAP_LEN + 1];

		assert_int_equal(d.unix_time, k->want);
		date_format_imap(d.unix_time, d.zone, text);
		assert_true(slice_eq_nocase(slice_str(text), in));
	}
	for (size_t cut = 0; cut < in.len; cut++) {
		struct slice prefix = unit_copy(slice_sub(in, 0, cut));

		assert_true(!date_parse_imap(prefix, &d) || cut == DATE_IMAP_LEN);
		unit_drop(prefix);
	}
	unit_drop(in);
}

static void
test_imap_day(void **state)
{
	int32_t day = 0;

	(void)state;
	assert_true(date_parse_imap_day(SLICE("1-Feb-1994"), &day));
	assert_int_equal(day, 8797);
	assert_true(date_parse_imap_day(SLICE("01-feb-1994"), &day));
	assert_int_equal(day, 8797);
	assert_false(date_parse_imap_day(SLICE("30-Feb-1994"), &day));
	assert_false(date_parse_imap_day(SLICE("1-Feb-94"), &day));
	assert_false(date_parse_imap_day(SLICE(" 1-Feb-1994"), &day));
	assert_false(date_parse_imap_day(SLICE("1-Feb-1994 "), &day));
	assert_false(date_parse_imap_day(SLICE(""), &day));
}

static void
test_format(void **state)
{
	char imap_text[DATE_IMAP_LEN + 1], mail_text[DATE_RFC5322_MAX + 1];

	(void)state;
	date_format_rfc5322(837596665, -420, mail_text);
	assert_string_equal(mail_text, "Wed, 17 Jul 1996 02:44:25 -0700");
	date_format_rfc5322(-1, 0, mail_text);
	assert_string_equal(mail_text, "Wed, 31 Dec 1969 23:59:59 +0000");
	date_format_imap(951782400, 330, imap_text);
	assert_string_equal(imap_text, "29-Feb-2000 05:30:00 +0530");
	date_format_imap(INT64_MAX, INT16_MAX, imap_text);
	assert_string_equal(imap_text, "31-Dec-9999 23:59:59 +2359");
	date_format_imap(INT64_MIN, INT16_MIN, imap_text);
	assert_string_equal(imap_text, " 1-Jan-0000 00:00:00 -2359");
	assert_int_equal(date_day_of(-1, 0), -1);
	assert_int_equal(date_day_of(0, -1), -1);
	assert_int_equal(date_day_of(86399, 1), 1);
}

/* Every day of 800 years, there and back. */
static void
test_calendar(void **state)
{
	(void)state;
	for (int64_t day = -146097; day < 146097; day++) {
		char text[DATE_IMAP_LEN + 1];
		struct date d;

		date_format_imap(day * 86400 + 3600, 0, text);
		assert_true(date_parse_imap(slice_str(text), &d));
		assert_int_equal(d.unix_time, day * 86400 + 3600);
	}
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(mail) + UNIT_COUNT(imap) + 3];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(mail); i++)
		tests[n++] = (struct CMUnitTest){ mail[i].name, test_mail, NULL, NULL,
		                                  (void *)(uintptr_t)&mail[i] };
	for (size_t i = 0; i < UNIT_COUNT(imap); i++)
		tests[n++] = (struct CMUnitTest){ imap[i].name, test_imap, NULL, NULL,
		                                  (void *)(uintptr_t)&imap[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_imap_day);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_format);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_calendar);
	return _cmocka_run_group_tests("date", tests, n, NULL, NULL);
}
