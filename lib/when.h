/* when - moments and ages as an admin writes them, and how we write moments for people.
 *
 * A moment: "2026-11-21", "2026-11-21 10:00", "2026-11-21T10:00:00.5", with "Z", "+01:00" or "+0100" behind it or else
 * in the local time of this process; or "now"; or an age, so long ago: "90s", "30m", "12h", "3d", "2w". A date alone is
 * its midnight. A local time that the clock skipped or passed twice is what mktime(3) makes of it. All in microseconds
 * since 1970-01-01 UTC. Any thread.
 */
#ifndef RESTANTE_LIB_WHEN_H
#define RESTANTE_LIB_WHEN_H

#include "lib/err.h"

/* A number and its unit, without which it is 0 only. RC_SYNTAX. */
MUST_USE enum rc when_parse_age(struct slice text, uint64_t *out_us, struct err *e);
/* `now_us` is what ages count from. RC_SYNTAX: e says what a moment may look like; an age that reaches beyond 1970 is
 * cut there. */
MUST_USE enum rc when_parse(struct slice text, uint64_t now_us, uint64_t *out_us, struct err *e);

#define WHEN_TEXT_MAX 48u

/* "2026-11-21 10:00:00", local, and with its microseconds; when_parse reads both. Rounded down. */
void when_format(uint64_t us, char out[WHEN_TEXT_MAX]);
void when_format_us(uint64_t us, char out[WHEN_TEXT_MAX]);
/* "2026-11-21T09:00:00.000000Z", for programs. */
void when_format_utc(uint64_t us, char out[WHEN_TEXT_MAX]);
/* "3 days", "12 hours", "90 seconds": the largest unit that leaves no rest; nothing below a second. */
void when_format_age(uint64_t us, char out[WHEN_TEXT_MAX]);

#endif
