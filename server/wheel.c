/* wheel - deadlines of many sessions. See wheel.h. */
#include "server/wheel.h"

#include <stddef.h>

static void
list_init(struct wheel_node *head)
{
	head->prev = head->next = head;
}

static void
list_push(struct wheel_node *head, struct wheel_node *n)
{
	n->prev = head->prev;
	n->next = head;
	head->prev->next = n;
	head->prev = n;
}

static void
list_remove(struct wheel_node *n)
{
	n->prev->next = n->next;
	n->next->prev = n->prev;
	n->prev = n->next = NULL;
}

void
wheel_init(struct wheel *w, uint64_t now_ms)
{
	for (unsigned i = 0; i < WHEEL_SLOTS; i++)
		list_init(&w->slots[i]);
	w->tick = now_ms / WHEEL_TICK_MS;
}

/* The first tick at which the deadline has come for sure, within one turn of the wheel. */
static uint64_t
tick_of(const struct wheel *w, uint64_t deadline_ms)
{
	uint64_t tick = deadline_ms / WHEEL_TICK_MS + 1;

	if (tick <= w->tick)
		return w->tick + 1;
	return tick < w->tick + WHEEL_SLOTS ? tick : w->tick + WHEEL_SLOTS - 1;
}

void
wheel_set(struct wheel *w, struct wheel_node *n, uint64_t deadline_ms)
{
	uint64_t tick = tick_of(w, deadline_ms);

	n->deadline_ms = deadline_ms;
	if (n->next != NULL) {
		if (n->tick <= tick)
			return;
		list_remove(n);
	}
	n->tick = tick;
	list_push(&w->slots[tick % WHEEL_SLOTS], n);
}

void
wheel_clear(struct wheel_node *n)
{
	if (n->next != NULL)
		list_remove(n);
}

/* Nodes are taken from the slot into a list of their own first, as `expired` may put others
 * into the slot. */
static void
slot_advance(struct wheel *w, struct wheel_node *slot, uint64_t now_ms,
             void (*expired)(struct wheel_node *n))
{
	struct wheel_node due;

	list_init(&due);
	while (slot->next != slot) {
		struct wheel_node *n = slot->next;

		list_remove(n);
		list_push(&due, n);
	}
	while (due.next != &due) {
		struct wheel_node *n = due.next;

		list_remove(n);
		if (n->deadline_ms <= now_ms)
			expired(n);
		else
			wheel_set(w, n, n->deadline_ms);
	}
}

void
wheel_advance(struct wheel *w, uint64_t now_ms, void (*expired)(struct wheel_node *n))
{
	uint64_t now = now_ms / WHEEL_TICK_MS;

	/* After a long pause one turn is enough to see every slot. */
	if (now > w->tick + WHEEL_SLOTS)
		w->tick = now - WHEEL_SLOTS;
	while (w->tick < now) {
		w->tick++;
		slot_advance(w, &w->slots[w->tick % WHEEL_SLOTS], now_ms, expired);
	}
}
