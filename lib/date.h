/* date - RFC 5322 and IMAP dates to and from seconds since 1970. Pure functions, no time zone database, no locale. */
#ifndef RESTANTE_LIB_DATE_H
#define RESTANTE_LIB_DATE_H

#include "lib/slice.h"

struct date {
	int64_t unix_time;      /* seconds since 1970-01-01 00:00:00 UTC, zone applied */
	int32_t day;            /* days since 1970-01-01 of the date as written, zone ignored */
	int16_t zone;           /* minutes east of UTC; 0 when missing or not understood */
};

/* date-time [RFC 5322 s3.3, s4.3], leniently: comments, missing weekday, seconds or zone, 2- and 3-digit years, named
 * zones, also asctime(3) and ISO 8601 order. An invalid time counts as 00:00:00, an invalid zone as UTC
 * [RFC 5256 s2.2]. False when there is no valid day, month and year. */
bool date_parse_rfc5322(struct slice s, struct date *out);
/* date-time of IMAP without its quotes: "17-Jul-1996 02:44:25 -0700" [RFC 9051 s9]; strict. */
bool date_parse_imap(struct slice s, struct date *out);
/* date-text of IMAP without quotes: "1-Feb-1994" [RFC 9051 s9]; *day as in struct date. */
bool date_parse_imap_day(struct slice s, int32_t *day);

/* Days since 1970 that the moment falls on at that offset from UTC (SINCE, BEFORE, ON). */
int32_t date_day_of(int64_t unix_time, int zone);

#define DATE_IMAP_LEN    26u    /* without the NUL */
#define DATE_RFC5322_MAX 31u
/* "17-Jul-1996 02:44:25 -0700", the day padded with a space: INTERNALDATE without its quotes. The moment is clipped to
 * years 0 to 9999 and the zone to what four digits hold. */
void date_format_imap(int64_t unix_time, int zone, char out[DATE_IMAP_LEN + 1]);
/* "Wed, 17 Jul 1996 02:44:25 -0700": Received and Date. */
void date_format_rfc5322(int64_t unix_time, int zone, char out[DATE_RFC5322_MAX + 1]);

#endif
