/* date - see date.h.
 *
 * The mail date parser collects what it can recognise in any order instead of following one
 * grammar: real Date fields come in RFC 5322, asctime, ISO 8601 and mixed orders, and a sort key is
 * worth more than strictness. Calendar arithmetic is ours since timegm() is not in POSIX and
 * mktime() knows local time only.
 */
#include "lib/date.h"

#include <stdio.h>

#define DAY_SECONDS 86400

static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
/* 1970 began on Thursday */
static const char weekdays[7][4] = { "Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed" };

/* Named zones [RFC 5322 s4.3] and a few that mail still carries. */
static const struct {
	char    name[5];
	int16_t minutes;
} zones[] = {
	{ "UT", 0 }, { "GMT", 0 }, { "UTC", 0 }, { "Z", 0 },
	{ "EST", -300 }, { "EDT", -240 }, { "CST", -360 }, { "CDT", -300 },
	{ "MST", -420 }, { "MDT", -360 }, { "PST", -480 }, { "PDT", -420 },
	{ "CET", 60 }, { "CEST", 120 }, { "MET", 60 }, { "MEST", 120 }, { "BST", 60 },
	{ "JST", 540 },
};

/* Days since 1970-01-01, proleptic Gregorian; years counted from March so that the leap
 * day comes last. */
static int32_t
days_from_civil(int y, int m, int d)
{
	int era, yoe, doy;

	y -= m <= 2;
	era = (y >= 0 ? y : y - 399) / 400;
	yoe = y - era * 400;
	doy = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

struct civil {
	int year, month, day;
};

static struct civil
civil_from_days(int64_t days)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int doe = (int)(z - era * 146097);
	int yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int mp = (5 * doy + 2) / 153;
	int month = mp < 10 ? mp + 3 : mp - 9;

	return (struct civil){ (int)(yoe + era * 400) + (month <= 2), month,
	                       doy - (153 * mp + 2) / 5 + 1 };
}

static bool
civil_valid(int y, int m, int d)
{
	static const int8_t len[12] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;

	return y >= 0 && y <= 9999 && m >= 1 && m <= 12 && d >= 1 &&
	       d <= len[m - 1] + (m == 2 && leap);
}

/* 1..12 for a word that starts with a month's three letters, or 0. */
static int
month_of(struct slice word)
{
	for (int i = 0; i < 12; i++)
		if (slice_starts_nocase(word, slice_str(months[i])))
			return i + 1;
	return 0;
}

struct scan {
	struct slice in;
	size_t at;
	int year, month, day;   /* -1: not seen */
	int hour, minute, second;
	bool have_time, have_zone;
	int zone;
};

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

static bool
is_alpha(uint8_t c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

static uint8_t
peek(const struct scan *s)
{
	return s->at < s->in.len ? s->in.ptr[s->at] : 0;
}

/* Digits at the cursor; *v saturates. Returns how many. */
static int
take_number(struct scan *s, int *v)
{
	int n = 0;

	*v = 0;
	for (; is_digit(peek(s)); s->at++, n += n < 100)
		*v = *v > 99999 ? 100000 : *v * 10 + (peek(s) - '0');
	return n;
}

/* Comments nest [RFC 5322 s3.2.2]; one that is not closed takes the rest. */
static void
skip_comment(struct scan *s)
{
	size_t depth = 0;

	do {
		uint8_t c = s->in.ptr[s->at++];

		if (c == '\\' && s->at < s->in.len)
			s->at++;
		depth += c == '(';
		depth -= c == ')';
	} while (depth > 0 && s->at < s->in.len);
}

static void
scan_word(struct scan *s)
{
	size_t from = s->at;
	struct slice word;

	while (is_alpha(peek(s)))
		s->at++;
	word = slice_sub(s->in, from, s->at);
	if (s->month < 0 && month_of(word) > 0) {
		s->month = month_of(word);
		return;
	}
	if (s->have_time && s->hour < 12 && slice_eq_nocase(word, SLICE("PM")))
		s->hour += 12;
	for (size_t i = 0; i < sizeof zones / sizeof zones[0] && s->have_time && !s->have_zone;
	     i++) {
		if (slice_eq_nocase(word, slice_str(zones[i].name))) {
			s->zone = zones[i].minutes;
			s->have_zone = true;
		}
	}
}

/* ":" minute [":" second ["." digits]] behind an hour. */
static void
scan_time(struct scan *s, int hour)
{
	int minute = -1, second = 0, junk;

	s->at++;
	if (take_number(s, &minute) == 0)
		minute = -1;
	if (peek(s) == ':') {
		s->at++;
		take_number(s, &second);
	}
	if ((peek(s) == '.' || peek(s) == ',') && s->at + 1 < s->in.len &&
	    is_digit(s->in.ptr[s->at + 1])) {
		s->at++;
		take_number(s, &junk);
	}
	s->have_time = true;
	if (hour <= 23 && minute >= 0 && minute <= 59 && second <= 60) {
		s->hour = hour;
		s->minute = minute;
		s->second = second;
	}
}

/* ("+" / "-") 4DIGIT, also with a colon or two digits; invalid counts as UTC [RFC 5256 s2.2]. */
static void
scan_zone(struct scan *s)
{
	int sign = peek(s) == '-' ? -1 : 1, v, minutes = 0, n;

	s->at++;
	n = take_number(s, &v);
	if (n == 0)
		return;
	if (n <= 2 && peek(s) == ':') {
		s->at++;
		take_number(s, &minutes);
	} else if (n == 4) {
		minutes = v % 100;
		v /= 100;
	} else if (n > 2) {
		v = 99;
	}
	s->have_zone = true;
	if (v <= 23 && minutes <= 59)
		s->zone = sign * (v * 60 + minutes);
}

/* Year of 2 or 3 digits [RFC 5322 s4.3]. */
static int
full_year(int v, int digits)
{
	if (digits == 2)
		return v < 50 ? v + 2000 : v + 1900;
	return digits == 3 ? v + 1900 : v;
}

/* "-" month "-" day behind a year of four digits: ISO 8601. */
static void
scan_iso(struct scan *s, int year)
{
	s->year = year;
	s->at++;
	take_number(s, &s->month);
	if (peek(s) == '-') {
		s->at++;
		take_number(s, &s->day);
	}
}

static void
scan_digits(struct scan *s)
{
	int v, n = take_number(s, &v);

	if (peek(s) == ':' && !s->have_time)
		scan_time(s, v);
	else if (n == 4 && s->year < 0 && peek(s) == '-' && s->at + 1 < s->in.len &&
	         is_digit(s->in.ptr[s->at + 1]))
		scan_iso(s, v);
	else if (n <= 2 && s->day < 0)
		s->day = v;
	else if (s->year < 0 && n >= 2 && n <= 4)
		s->year = full_year(v, n);
}

bool
date_parse_rfc5322(struct slice in, struct date *out)
{
	struct scan s = { .in = in, .year = -1, .month = -1, .day = -1 };

	while (s.at < in.len) {
		uint8_t c = peek(&s);

		if (c == '(')
			skip_comment(&s);
		else if (is_alpha(c))
			scan_word(&s);
		else if (is_digit(c))
			scan_digits(&s);
		else if ((c == '+' || c == '-') && s.have_time && !s.have_zone)
			scan_zone(&s);
		else
			s.at++;
	}
	if (!civil_valid(s.year, s.month, s.day))
		return false;
	out->day = days_from_civil(s.year, s.month, s.day);
	out->zone = (int16_t)s.zone;
	out->unix_time = (int64_t)out->day * DAY_SECONDS + s.hour * 3600 + s.minute * 60 +
	                 s.second - s.zone * 60;
	return true;
}

/* Exactly n digits; false otherwise. */
static bool
fixed_number(struct scan *s, int n, int *v)
{
	for (int i = 0; i < n; i++)
		if (s->at + (size_t)i >= s->in.len || !is_digit(s->in.ptr[s->at + (size_t)i]))
			return false;
	*v = 0;
	for (int i = 0; i < n; i++)
		*v = *v * 10 + (s->in.ptr[s->at++] - '0');
	return true;
}

static bool
fixed_byte(struct scan *s, uint8_t c)
{
	if (peek(s) != c)
		return false;
	s->at++;
	return true;
}

/* "-" date-month "-" date-year [RFC 9051 s9] */
static bool
fixed_month_year(struct scan *s)
{
	if (!fixed_byte(s, '-') || s->at + 3 > s->in.len)
		return false;
	s->month = month_of(slice_sub(s->in, s->at, s->at + 3));
	s->at += 3;
	return s->month > 0 && fixed_byte(s, '-') && fixed_number(s, 4, &s->year);
}

/* date-time = date-day-fixed "-" date-month "-" date-year SP time SP zone [RFC 9051 s9] */
bool
date_parse_imap(struct slice in, struct date *out)
{
	struct scan s = { .in = in };
	int zone, sign;

	if (!(fixed_byte(&s, ' ') ? fixed_number(&s, 1, &s.day) : fixed_number(&s, 2, &s.day)))
		return false;
	if (!fixed_month_year(&s) || !fixed_byte(&s, ' ') || !fixed_number(&s, 2, &s.hour) ||
	    !fixed_byte(&s, ':') || !fixed_number(&s, 2, &s.minute) || !fixed_byte(&s, ':') ||
	    !fixed_number(&s, 2, &s.second) || !fixed_byte(&s, ' '))
		return false;
	sign = peek(&s) == '-' ? -1 : 1;
	if (!(fixed_byte(&s, '+') || fixed_byte(&s, '-')) || !fixed_number(&s, 4, &zone) ||
	    s.at != in.len)
		return false;
	if (!civil_valid(s.year, s.month, s.day) || s.hour > 23 || s.minute > 59 || s.second > 60
	    || zone / 100 > 23 || zone % 100 > 59)
		return false;
	out->zone = (int16_t)(sign * (zone / 100 * 60 + zone % 100));
	out->day = days_from_civil(s.year, s.month, s.day);
	out->unix_time = (int64_t)out->day * DAY_SECONDS + s.hour * 3600 + s.minute * 60 +
	                 s.second - out->zone * 60;
	return true;
}

/* date-text = date-day "-" date-month "-" date-year [RFC 9051 s9] */
bool
date_parse_imap_day(struct slice in, int32_t *day)
{
	struct scan s = { .in = in };

	if (!fixed_number(&s, 2, &s.day) && !fixed_number(&s, 1, &s.day))
		return false;
	if (!fixed_month_year(&s) || s.at != in.len || !civil_valid(s.year, s.month, s.day))
		return false;
	*day = days_from_civil(s.year, s.month, s.day);
	return true;
}

static int64_t
floor_day(int64_t seconds)
{
	return seconds / DAY_SECONDS - (seconds % DAY_SECONDS < 0);
}

#define UNIX_MIN (-62167219200)         /* 0000-01-01 00:00:00 */
#define UNIX_MAX 253402300799           /* 9999-12-31 23:59:59 */

static int64_t
clip(int64_t v, int64_t low, int64_t high)
{
	return v < low ? low : v > high ? high : v;
}

int32_t
date_day_of(int64_t unix_time, int zone)
{
	return (int32_t)floor_day(clip(unix_time, UNIX_MIN, UNIX_MAX) + (int64_t)zone * 60);
}

struct clock_face {
	struct civil date;
	int weekday, hour, minute, second;
	char sign;
	int zone_hour, zone_minute;
};

/* Clipped so that every number has the width that the formats give it. */
static struct clock_face
clock_face_of(int64_t unix_time, int zone)
{
	int minutes = (int)clip(zone, -1439, 1439);
	int64_t local = clip(unix_time + (int64_t)minutes * 60, UNIX_MIN, UNIX_MAX);
	int64_t day = floor_day(local);
	int rest = (int)(local - day * DAY_SECONDS);
	int away = minutes < 0 ? -minutes : minutes;

	return (struct clock_face){
		civil_from_days(day), (int)((day % 7 + 7) % 7), rest / 3600, rest / 60 % 60,
		rest % 60, minutes < 0 ? '-' : '+', away / 60, away % 60,
	};
}

static char *
put_pair(char *p, int v)
{
	p[0] = (char)('0' + v / 10 % 10);
	p[1] = (char)('0' + v % 10);
	return p + 2;
}

static char *
put_text(char *p, const char *text)
{
	size_t n = strlen(text);

	memcpy(p, text, n);
	return p + n;
}

/* "hh:mm:ss +zzzz" and a NUL. */
static void
put_time(char *p, const struct clock_face *f)
{
	p = put_pair(p, f->hour);
	*p++ = ':';
	p = put_pair(p, f->minute);
	*p++ = ':';
	p = put_pair(p, f->second);
	*p++ = ' ';
	*p++ = f->sign;
	p = put_pair(put_pair(p, f->zone_hour), f->zone_minute);
	*p = '\0';
}

/* One for each message of a listing: printf would take longer than all the rest of its line. */
void
date_format_imap(int64_t unix_time, int zone, char out[DATE_IMAP_LEN + 1])
{
	struct clock_face f = clock_face_of(clip(unix_time, UNIX_MIN, UNIX_MAX), zone);
	char *p = put_pair(out, f.date.day);

	if (out[0] == '0')
		out[0] = ' ';
	*p++ = '-';
	memcpy(p, months[f.date.month - 1], 3);
	p += 3;
	*p++ = '-';
	p = put_pair(put_pair(p, f.date.year / 100), f.date.year % 100);
	*p++ = ' ';
	put_time(p, &f);
}

void
date_format_rfc5322(int64_t unix_time, int zone, char out[DATE_RFC5322_MAX + 1])
{
	struct clock_face f = clock_face_of(clip(unix_time, UNIX_MIN, UNIX_MAX), zone);
	char *p = put_text(put_text(out, weekdays[f.weekday]), ", ");

	p = put_pair(p, f.date.day);
	if (p[-2] == '0') {
		p[-2] = p[-1];
		p--;
	}
	*p++ = ' ';
	p = put_text(p, months[f.date.month - 1]);
	*p++ = ' ';
	p = put_pair(put_pair(p, f.date.year / 100), f.date.year % 100);
	*p++ = ' ';
	put_time(p, &f);
}
