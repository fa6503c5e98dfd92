/* clock - the times of this machine. See clock.h. */
#include "lib/clock.h"

#include <assert.h>
#include <time.h>

#define US_PER_S 1000000u

uint64_t
clock_wall_us(void)
{
	struct timespec t;
	int failed = clock_gettime(CLOCK_REALTIME, &t);

	assert(failed == 0);
	if (t.tv_sec < 0)
		return 0;               /* a clock set before 1970 */
	return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t
clock_mono_ms(void)
{
	struct timespec t;
	int failed = clock_gettime(CLOCK_MONOTONIC, &t);

	assert(failed == 0);
	return (uint64_t)t.tv_sec * 1000u + (uint64_t)t.tv_nsec / 1000000u;
}

int
clock_zone_minutes(uint64_t wall_us)
{
	time_t t = (time_t)(wall_us / US_PER_S);
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return 0;
	return (int)(tm.tm_gmtoff / 60);
}
