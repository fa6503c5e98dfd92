/* lint_date - date-time, exactly [RFC 5322 s3.3], the obsolete forms told [s4.3]. */
#include "lib/lint_impl.h"

#include "lib/date.h"

static const char days[] = "MonTueWedThuFriSatSun";
static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char zones[] = "UT GMTESTEDTCSTCDTMSTMDTPSTPDT";

struct parts {
	int      weekday;       /* 0: Monday; -1: not said */
	unsigned day, year, year_digits, hour, minute, second;
	int      month;         /* 0.. */
	bool     comments;      /* where RFC 5322 has them in its obsolete part only */
	bool     named_zone;
};

/* Which of the three-letter words stands here? -1: none. */
static int
take_name(struct lint_cursor *c, const char *names)
{
	struct slice word = slice_sub(c->in, c->at, c->at + 3);

	for (int i = 0; names[0] != '\0'; i++, names += 3) {
		if (slice_eq_nocase(word, slice_of(names, 3))) {
			c->at += 3;
			return i;
		}
	}
	return -1;
}

/* Blanks must stand here; a comment is obsolete. */
static bool
take_gap(struct lint_cursor *c, struct parts *p)
{
	bool blanks = lint_skip_blanks(c);

	if (lint_peek(c) == '(')
		p->comments = lint_skip_cfws(c);
	return blanks || p->comments;
}

static const char *
take_day(struct lint_cursor *c, struct parts *p)
{
	lint_skip_cfws(c);
	p->weekday = take_name(c, days);
	if (p->weekday >= 0) {
		if (!lint_take_byte(c, ','))
			return "no comma behind the day of the week";
		take_gap(c, p);
	}
	if (!lint_take_digits(c, 1, 2, &p->day))
		return p->weekday < 0 ? "neither a day of the week nor of the month"
		                      : "no day of the month";
	if (!take_gap(c, p))
		return "no blank behind the day";
	p->month = take_name(c, months);
	if (p->month < 0)
		return "no month";
	if (!take_gap(c, p))
		return "no blank behind the month";
	return NULL;
}

static const char *
take_time(struct lint_cursor *c, struct parts *p)
{
	size_t from = c->at;

	if (!lint_take_digits(c, 2, 8, &p->year))
		return "no year";
	p->year_digits = (unsigned)(c->at - from);
	if (!take_gap(c, p))
		return "no blank behind the year";
	if (!lint_take_digits(c, 2, 2, &p->hour) || !lint_take_byte(c, ':') ||
	    !lint_take_digits(c, 2, 2, &p->minute))
		return "no time of day";
	if (lint_take_byte(c, ':') && !lint_take_digits(c, 2, 2, &p->second))
		return "no seconds";
	if (!take_gap(c, p))
		return "no blank before the zone";
	return NULL;
}

/* zone = (FWS ( "+" / "-" ) 4DIGIT) / obs-zone */
static const char *
take_zone(struct lint_cursor *c, struct parts *p)
{
	struct slice word;
	unsigned offset;

	if (lint_peek(c) == '+' || lint_peek(c) == '-') {
		c->at++;
		if (!lint_take_digits(c, 4, 4, &offset))
			return "a zone that is not four digits";
		return offset % 100 < 60 ? NULL : "a zone with more than 59 minutes";
	}
	p->named_zone = true;
	if (slice_starts_nocase(slice_sub(c->in, c->at, c->in.len), SLICE("UT")) &&
	    c->in.len - c->at <= 2) {
		c->at += 2;
		return NULL;
	}
	if (take_name(c, zones) >= 0)
		return NULL;
	return lint_take_run(c, lint_is_atext, &word) && word.len == 1 ? NULL
	                                                               : "no zone that is known";
}

static const char *
check_ranges(const struct parts *p)
{
	static const unsigned char lengths[] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (p->year % 4 == 0 && p->year % 100 != 0) || p->year % 400 == 0;

	if (p->day == 0 || p->day > lengths[p->month] ||
	    (p->month == 1 && p->day == 29 && p->year_digits >= 4 && !leap))
		return "the month has no such day";
	if (p->year_digits >= 4 && p->year < 1900)
		return "a year before 1900";
	if (p->hour > 23 || p->minute > 59 || p->second > 60)
		return "no such time of day";
	return NULL;
}

/* Days since 1970 are counted by the parser of delivery: one calendar is enough. */
static void
check_weekday(struct lint_cursor *c, const struct parts *p)
{
	struct date date;

	if (p->weekday < 0 || p->year_digits != 4 || !date_parse_rfc5322(c->in, &date))
		return;
	if ((date.day % 7 + 7 + 3) % 7 != p->weekday)
		lint_report_at(c->l, c->in.ptr, LINT_DATE_WEEKDAY,
		               "the date is no %.3s, but a %.3s", days + 3 * p->weekday,
		               days + 3 * ((date.day % 7 + 7 + 3) % 7));
}

void
lint_date(struct lint_cursor *c, enum lint_code code)
{
	struct parts p = { .weekday = -1 };
	const char *why = take_day(c, &p);
	struct lint_shown shown;

	if (why == NULL)
		why = take_time(c, &p);
	if (why == NULL)
		why = take_zone(c, &p);
	if (why == NULL)
		why = check_ranges(&p);
	if (why == NULL) {
		lint_skip_cfws(c);
		why = lint_at_end(c) ? NULL : "something behind the date";
	}
	if (why != NULL) {
		lint_report_at(c->l, lint_here(c), code, "%s: %s", why,
		               lint_show(&shown, slice_trim(c->in)));
		return;
	}
	if (p.named_zone || p.comments || p.year_digits < 4)
		lint_report_at(c->l, c->in.ptr, LINT_OBSOLETE, "the date has %s",
		               p.named_zone ? "a zone by name"
		               : p.comments ? "comments within"
		                            : "a year of less than four digits");
	check_weekday(c, &p);
}
