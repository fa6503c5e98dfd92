/* clock - the times of this machine. Any thread. */
#ifndef RESTANTE_LIB_CLOCK_H
#define RESTANTE_LIB_CLOCK_H

#include <stdint.h>

/* Microseconds since 1970-01-01 UTC; may jump when the clock is set. */
uint64_t clock_wall_us(void);
/* Milliseconds since some moment; never goes back. For timeouts and durations. */
uint64_t clock_mono_ms(void);
/* What the local zone was, is or will be ahead of UTC at that moment, in minutes (-1439 to 1439). */
int clock_zone_minutes(uint64_t wall_us);

#endif
