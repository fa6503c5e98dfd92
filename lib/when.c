/* when - moments and ages. See when.h.
 *
 * Rejected: strptime(3), which takes spaces and signs anywhere and tells nothing about
 * fractions and zones.
 */
#define _GNU_SOURCE
#include "lib/when.h"

#include <stdio.h>
#include <time.h>

#define US_PER_S  UINT64_C(1000000)
#define AGE_S_MAX (UINT64_C(1) << 40)   /* some 34,000 years: what microseconds can hold */

static const struct unit {
	char        letter;
	uint32_t    seconds;
	const char *name;
} units[] = {
	{ 's', 1, "second" }, { 'm', 60, "minute" }, { 'h', 3600, "hour" },
	{ 'd', 86400, "day" }, { 'w', 604800, "week" },
};

#define UNITS (sizeof units / sizeof units[0])

/* ---- ages ---- */

static bool
take_age(struct slice text, uint64_t *out_us)
{
	uint32_t seconds = 1;
	uint64_t n;

	for (size_t i = 0; i < UNITS && text.len > 0; i++) {
		if (text.ptr[text.len - 1] == units[i].letter) {
			seconds = units[i].seconds;
			text.len--;
			break;
		}
	}
	if (!slice_to_u64(text, AGE_S_MAX / seconds, &n))
		return false;
	*out_us = n * seconds * US_PER_S;
	return true;
}

enum rc
when_parse_age(struct slice text, uint64_t *out_us, struct err *e)
{
	/* Days were meant, perhaps: what is no age is asked for again, what is too short
	 * an age deletes. */
	bool bare = text.len > 0 && text.ptr[text.len - 1] >= '0' && text.ptr[text.len - 1] <= '9';

	if (take_age(text, out_us) && (!bare || *out_us == 0))
		return RC_OK;
	return err_set(e, RC_SYNTAX,
	    "\"%.*s\" is no age: a number with s, m, h, d or w, as 12h or 3d",
	    text.len < 40 ? (int)text.len : 40, text.len > 0 ? (const char *)text.ptr : "");
}

/* ---- moments ---- */

/* Exactly `digits` digits, of a number from `min` to `max`. */
static bool
take_number(struct slice *s, size_t digits, int min, int max, int *out)
{
	uint64_t n;

	if (s->len < digits || !slice_to_u64(slice_sub(*s, 0, digits), (uint64_t)max, &n) ||
	    n < (uint64_t)min)
		return false;
	*out = (int)n;
	*s = slice_sub(*s, digits, s->len);
	return true;
}

static bool
take_byte(struct slice *s, char c)
{
	if (s->len == 0 || s->ptr[0] != (uint8_t)c)
		return false;
	*s = slice_sub(*s, 1, s->len);
	return true;
}

/* "." and digits; what is finer than a microsecond is dropped. */
static bool
take_fraction(struct slice *s, uint32_t *us)
{
	uint32_t unit = (uint32_t)US_PER_S / 10;
	size_t n = 0;

	*us = 0;
	if (!take_byte(s, '.'))
		return true;
	while (n < s->len && s->ptr[n] >= '0' && s->ptr[n] <= '9') {
		*us += (uint32_t)(s->ptr[n++] - '0') * unit;
		unit /= 10;
	}
	*s = slice_sub(*s, n, s->len);
	return n > 0;
}

static bool
take_clock(struct slice *s, struct tm *tm, uint32_t *us)
{
	if (!take_byte(s, ' ') && !take_byte(s, 'T'))
		return true;            /* midnight */
	if (!take_number(s, 2, 0, 23, &tm->tm_hour) || !take_byte(s, ':') ||
	    !take_number(s, 2, 0, 59, &tm->tm_min))
		return false;
	if (!take_byte(s, ':'))
		return true;
	return take_number(s, 2, 0, 59, &tm->tm_sec) && take_fraction(s, us);
}

/* *zoned is false if there is none; *east: seconds. */
static bool
take_zone(struct slice *s, bool *zoned, int *east)
{
	int sign = 1, hours, minutes;

	*zoned = s->len > 0;
	*east = 0;
	(void)take_byte(s, ' ');
	if (!*zoned || take_byte(s, 'Z'))
		return true;
	if (take_byte(s, '-'))
		sign = -1;
	else if (!take_byte(s, '+'))
		return false;
	if (!take_number(s, 2, 0, 23, &hours))
		return false;
	(void)take_byte(s, ':');
	if (!take_number(s, 2, 0, 59, &minutes))
		return false;
	*east = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool
take_moment(struct slice s, uint64_t *out_us)
{
	struct tm tm = { .tm_isdst = -1 }, made;
	uint32_t us = 0;
	bool zoned;
	int east, day;
	time_t t;

	if (!take_number(&s, 4, 1970, 9999, &tm.tm_year) || !take_byte(&s, '-') ||
	    !take_number(&s, 2, 1, 12, &tm.tm_mon) || !take_byte(&s, '-') ||
	    !take_number(&s, 2, 1, 31, &tm.tm_mday))
		return false;
	if (!take_clock(&s, &tm, &us) || !take_zone(&s, &zoned, &east) || s.len > 0)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	day = tm.tm_mday;
	made = tm;
	t = timegm(&made);
	if (made.tm_mday != day)
		return false;           /* 30 February */
	t = zoned ? t - east : mktime(&tm);
	if (t < 0)
		return false;
	*out_us = (uint64_t)t * US_PER_S + us;
	return true;
}

enum rc
when_parse(struct slice text, uint64_t now_us, uint64_t *out_us, struct err *e)
{
	uint64_t age;

	text = slice_trim(text);
	if (slice_eq_nocase(text, SLICE("now"))) {
		*out_us = now_us;
		return RC_OK;
	}
	/* A number alone could be meant as a year, or as seconds since 1970: it is nothing. */
	if (text.len > 0 && (text.ptr[text.len - 1] < '0' || text.ptr[text.len - 1] > '9') &&
	    take_age(text, &age)) {
		*out_us = age < now_us ? now_us - age : 0;
		return RC_OK;
	}
	if (take_moment(text, out_us))
		return RC_OK;
	return err_set(e, RC_SYNTAX,
	    "\"%.*s\" is no time: 2026-11-21, \"2026-11-21 10:00\", 2026-11-21T10:00:00+01:00, or "
	    "an age as 12h or 3d",
	    text.len < 60 ? (int)text.len : 60, text.len > 0 ? (const char *)text.ptr : "");
}

/* ---- for people and programs ---- */

static void
format_tm(const struct tm *tm, char sep, char out[WHEN_TEXT_MAX])
{
	(void)snprintf(out, WHEN_TEXT_MAX, "%04d-%02d-%02d%c%02d:%02d:%02d", tm->tm_year + 1900,
	               tm->tm_mon + 1, tm->tm_mday, sep, tm->tm_hour, tm->tm_min, tm->tm_sec);
}

static void
add_fraction(uint64_t us, const char *behind, char out[WHEN_TEXT_MAX])
{
	size_t n = strlen(out);

	(void)snprintf(out + n, WHEN_TEXT_MAX - n, ".%06u%s", (unsigned)(us % US_PER_S), behind);
}

void
when_format(uint64_t us, char out[WHEN_TEXT_MAX])
{
	time_t t = (time_t)(us / US_PER_S);
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		tm = (struct tm){ .tm_year = 70, .tm_mday = 1 };
	format_tm(&tm, ' ', out);
}

void
when_format_us(uint64_t us, char out[WHEN_TEXT_MAX])
{
	when_format(us, out);
	add_fraction(us, "", out);
}

void
when_format_utc(uint64_t us, char out[WHEN_TEXT_MAX])
{
	time_t t = (time_t)(us / US_PER_S);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL)
		tm = (struct tm){ .tm_year = 70, .tm_mday = 1 };
	format_tm(&tm, 'T', out);
	add_fraction(us, "Z", out);
}

void
when_format_age(uint64_t us, char out[WHEN_TEXT_MAX])
{
	uint64_t s = us / US_PER_S, n = s;
	const char *name = units[0].name;

	for (size_t i = 1; i < UNITS - 1 && s > 0; i++) {       /* weeks are told as days */
		if (s % units[i].seconds == 0) {
			n = s / units[i].seconds;
			name = units[i].name;
		}
	}
	(void)snprintf(out, WHEN_TEXT_MAX, "%llu %s%s", (unsigned long long)n, name,
	               n == 1 ? "" : "s");
}
