/* fuzz_imap_date - any octets as a date: of a header, of APPEND, of SEARCH.
 *
 * Held against: a strict date that is accepted and written again is the same moment and zone, in
 * exactly its length; the lenient parser gives days that dates can have; productions agree with the
 * functions below them.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/date.h"
#include "server/imap/imap.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_imap_date: broken: %s\n", what);
		abort();
	}
}

static void
try_strict(struct slice in)
{
	char text[DATE_IMAP_LEN + 1];
	struct date d, again;

	if (!date_parse_imap(in, &d))
		return;
	date_format_imap(d.unix_time, d.zone, text);
	require(strlen(text) == DATE_IMAP_LEN, "length");
	require(date_parse_imap(slice_str(text), &again), "its own form is accepted");
	require(again.unix_time == d.unix_time && again.zone == d.zone, "the same moment");
	require(d.day == date_day_of(d.unix_time, d.zone), "the day as written");
}

static void
try_lenient(struct slice in)
{
	char text[DATE_RFC5322_MAX + 1];
	struct date d, again;

	if (!date_parse_rfc5322(in, &d))
		return;
	require(d.zone > -6000 && d.zone < 6000, "zone of four digits");
	date_format_rfc5322(d.unix_time, d.zone, text);
	require(strlen(text) <= DATE_RFC5322_MAX, "length");
	require(date_parse_rfc5322(slice_str(text), &again), "its own form is accepted");
}

static void
try_productions(struct slice in)
{
	struct mail_date moment;
	struct cursor c;
	int64_t day;

	cur_init(&c, in);
	if (!parse_date_time(&c, &moment))
		require(c.expected != NULL && c.failed_at <= in.len,
		        "a failure says what was expected");
	require(c.pos <= in.len, "the cursor stays inside");
	cur_init(&c, in);
	if (parse_date(&c, &day))
		require(day % 86400 == 0, "a day begins at 00:00");
	else
		require(c.expected != NULL && c.failed_at <= in.len,
		        "a failure says what was expected");
	require(c.pos <= in.len, "the cursor stays inside");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice in = slice_of(data, size);
	int32_t day;

	try_strict(in);
	try_lenient(in);
	try_productions(in);
	(void)date_parse_imap_day(in, &day);
	return 0;
}
