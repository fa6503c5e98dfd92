/* wheel - deadlines of many sessions, cheap to move.
 *
 * A node lies in the slot of its deadline, or in the farthest slot if that is beyond the wheel. Moving a deadline
 * further away only writes the number: the node is put into its new slot when its old one comes round. So a session
 * that answers a thousand commands touches the lists once in a turn of the wheel. Deadlines are met within one tick.
 * Rejected: a uv_timer for each session (a heap operation per command). Used by one thread: the reactor's.
 */
#ifndef RESTANTE_SERVER_WHEEL_H
#define RESTANTE_SERVER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#define WHEEL_TICK_MS 500u
#define WHEEL_SLOTS   128u

struct wheel_node {
	struct wheel_node *prev, *next; /* NULL while not in the wheel */
	uint64_t           deadline_ms;
	uint64_t           tick;        /* of the slot it lies in */
};

struct wheel {
	struct wheel_node slots[WHEEL_SLOTS];   /* list heads */
	uint64_t          tick;                 /* all slots up to this one have been looked at */
};

void wheel_init(struct wheel *w, uint64_t now_ms);
/* Set or move a node's deadline. */
void wheel_set(struct wheel *w, struct wheel_node *n, uint64_t deadline_ms);
void wheel_clear(struct wheel_node *n);        /* harmless when it is not in the wheel */
/* Take out every node whose deadline has come and hand it to `expired`, which may set and clear any node. */
void wheel_advance(struct wheel *w, uint64_t now_ms, void (*expired)(struct wheel_node *n));

#endif
