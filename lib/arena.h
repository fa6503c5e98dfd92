/* arena - memory of one lifetime, freed at once, with a ceiling.
 *
 * Parsed arguments and response scratch live in the command arena and are never freed one by one; what outlives the
 * command is copied out. Allocations are aligned for any type and not zeroed unless said. Used by one thread at a time.
 */
#ifndef RESTANTE_LIB_ARENA_H
#define RESTANTE_LIB_ARENA_H

#include "lib/slice.h"

struct arena_block;

struct arena {
	struct arena_block *head;       /* newest first */
	size_t              used;       /* bytes handed out since the last reset, padding included */
	size_t              max;
};

void arena_init(struct arena *a, size_t max);
void arena_reset(struct arena *a);     /* everything handed out is gone; one small block is kept */
void arena_fini(struct arena *a);      /* frees all; usable again as after arena_init */

/* NULL when `max` would be passed or memory is out: answered like any client error (RC_LIMIT). */
void *arena_alloc(struct arena *a, size_t len);
void *arena_zalloc(struct arena *a, size_t len);
/* n elements of `size` bytes, zeroed; the product is checked. */
void *arena_array(struct arena *a, size_t n, size_t size);
/* A copy of s; ptr is NULL on failure (also never NULL for an empty s on success). */
struct slice arena_dup(struct arena *a, struct slice s);
/* A NUL-terminated copy, or NULL (no memory, or s holds a NUL). */
char *arena_cstr(struct arena *a, struct slice s);
/* printf into the arena; ptr is NULL on failure. */
struct slice arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
