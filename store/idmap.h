/* idmap - 64-bit keys to 64-bit values, in memory. Key 0 is not a key. Used by one thread at a time. */
#ifndef RESTANTE_STORE_IDMAP_H
#define RESTANTE_STORE_IDMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idmap {
	uint64_t *slots;        /* key, value, key, value, ... */
	size_t    size;         /* pairs: a power of two, or 0 */
	size_t    used;
};

/* All zero is an empty map. */
void idmap_fini(struct idmap *m);
/* The value, to be read or changed until the next call; NULL: not there. */
uint64_t *idmap_find(const struct idmap *m, uint64_t key);
/* The same, made with value 0 if it is not there; NULL: no memory. */
uint64_t *idmap_add(struct idmap *m, uint64_t key);
void idmap_remove(struct idmap *m, uint64_t key);

#endif
