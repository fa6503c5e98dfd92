/* budget - the memory that all sessions together hold for their clients, and the part of those that have not logged in.
 *
 * What counts is what a client can make grow: input and output, TLS records and handshakes, compressors, frames,
 * literals, messages on their way in, lists of a command and of a mailbox. The fixed part of a session is bounded by
 * the number of connections. Any thread; sums are exact as soon as each session has been weighed (session_weigh).
 */
#ifndef RESTANTE_SERVER_BUDGET_H
#define RESTANTE_SERVER_BUDGET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "server/refusal.h"

struct conf_limits;

struct budget {
	atomic_uint_least64_t all, strangers;   /* bytes; the second is part of the first */
};

/* A session that held `from` bytes holds `to`. */
void budget_change(struct budget *b, uint64_t from, bool was_stranger, uint64_t to,
                   bool is_stranger);
/* At most half of it is spent: memory may go into what only makes things quicker. Otherwise sessions would end for that. */
bool budget_is_ample(struct budget *b, const struct conf_limits *limits);
/* The limit that is passed, if any. Strangers' limit counts for strangers only. */
enum refusal budget_passed(struct budget *b, const struct conf_limits *limits, bool stranger);

#endif
