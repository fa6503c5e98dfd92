/* budget - see budget.h. Two counters: a session changes them once in a turn and only when it
 * holds more or less. */
#include "server/budget.h"

#include "lib/conf.h"

static void
change(atomic_uint_least64_t *sum, uint64_t from, uint64_t to)
{
	if (to > from)
		atomic_fetch_add_explicit(sum, to - from, memory_order_relaxed);
	else if (to < from)
		atomic_fetch_sub_explicit(sum, from - to, memory_order_relaxed);
}

void
budget_change(struct budget *b, uint64_t from, bool was_stranger, uint64_t to, bool is_stranger)
{
	change(&b->all, from, to);
	change(&b->strangers, was_stranger ? from : 0, is_stranger ? to : 0);
}

bool
budget_is_ample(struct budget *b, const struct conf_limits *limits)
{
	return atomic_load_explicit(&b->all, memory_order_relaxed) <= limits->memory / 2;
}

enum refusal
budget_passed(struct budget *b, const struct conf_limits *limits, bool stranger)
{
	if (stranger &&
	    atomic_load_explicit(&b->strangers, memory_order_relaxed) > limits->login_memory)
		return REFUSAL_LOGIN_MEMORY;
	if (atomic_load_explicit(&b->all, memory_order_relaxed) > limits->memory)
		return REFUSAL_MEMORY;
	return REFUSAL_NONE;
}
