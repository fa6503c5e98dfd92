/* load_stock - a worker's messages, made before the clock starts: who sends mail has it already,
 * and making it would take the processors that are measured.
 */
#ifndef RESTANTE_BENCH_LOAD_STOCK_H
#define RESTANTE_BENCH_LOAD_STOCK_H

#include <stddef.h>
#include <stdint.h>

#include "tests/bench/load_mail.h"

struct load_worker;

/* Zeroed is empty. */
struct stock {
	struct mail *mails;             /* in the order in which they are taken */
	size_t       count, max, taken;
	size_t       bytes;
};

/* Make the `each` messages of each operation that this worker will do: those of the run's operation
 * k are numbered first + k * each and following. None where nobody knows how many there will be. */
void stock_fill(struct load_worker *w, const struct mail_recipe *recipe, size_t each);
/* Message `number` of the recipe into w->mail: out of the stock, or made now where it has none. */
void stock_take(struct load_worker *w, const struct mail_recipe *recipe, uint64_t number);
void stock_free(struct stock *s);

#endif
