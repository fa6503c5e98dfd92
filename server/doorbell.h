/* doorbell - wakes a loop from any thread.
 *
 * Not uv_async: there the loop's thread spins, and in the end yields, until who woke it has come back from the kernel,
 * which is 3 % of the processor time where threads answer each other for each command.
 */
#ifndef RESTANTE_SERVER_DOORBELL_H
#define RESTANTE_SERVER_DOORBELL_H

#include <uv.h>

#include "lib/err.h"

struct doorbell {
	uv_poll_t poll;                 /* data is the user's */
	int       inside, outside;      /* of a pipe, or the same one */
	void    (*rung)(struct doorbell *d);
};

/* `rung` is called on the loop's thread behind each ring, once for those that come together. */
MUST_USE enum rc doorbell_open(struct doorbell *d, uv_loop_t *loop,
                               void (*rung)(struct doorbell *d), struct err *e);
/* Any thread, until doorbell_close; in vain from doorbell_unplug on. */
void doorbell_ring(struct doorbell *d);
/* The loop's thread: the loop no longer has it. */
void doorbell_unplug(struct doorbell *d);
/* The loop is over. */
void doorbell_close(struct doorbell *d);

#endif
