/* idmap - a hash table with open addressing; what is removed is closed up, so that look-ups stay
 * short. See idmap.h. */
#include "store/idmap.h"

#include <assert.h>
#include <stdlib.h>

#define FIRST_SIZE 64u

void
idmap_fini(struct idmap *m)
{
	free(m->slots);
	*m = (struct idmap){ NULL, 0, 0 };
}

/* Ids are near each other; the product spreads them. */
static size_t
home(const struct idmap *m, uint64_t key)
{
	return (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 20) & (m->size - 1);
}

/* Where the key is, or belongs. */
static size_t
slot_of(const struct idmap *m, uint64_t key)
{
	size_t i = home(m, key);

	while (m->slots[2 * i] != 0 && m->slots[2 * i] != key)
		i = (i + 1) & (m->size - 1);
	return i;
}

uint64_t *
idmap_find(const struct idmap *m, uint64_t key)
{
	size_t i;

	assert(key != 0);
	if (m->size == 0)
		return NULL;
	i = slot_of(m, key);
	return m->slots[2 * i] == key ? &m->slots[2 * i + 1] : NULL;
}

static bool
make_room(struct idmap *m)
{
	struct idmap bigger = { NULL, m->size > 0 ? m->size * 2 : FIRST_SIZE, m->used };

	if (m->used < m->size / 2)
		return true;
	bigger.slots = calloc(bigger.size, 2 * sizeof *bigger.slots);
	if (bigger.slots == NULL)
		return false;
	for (size_t i = 0; i < m->size; i++) {
		size_t to;

		if (m->slots[2 * i] == 0)
			continue;
		to = slot_of(&bigger, m->slots[2 * i]);
		bigger.slots[2 * to] = m->slots[2 * i];
		bigger.slots[2 * to + 1] = m->slots[2 * i + 1];
	}
	free(m->slots);
	*m = bigger;
	return true;
}

uint64_t *
idmap_add(struct idmap *m, uint64_t key)
{
	uint64_t *there = idmap_find(m, key);
	size_t i;

	if (there != NULL)
		return there;
	if (!make_room(m))
		return NULL;
	i = slot_of(m, key);
	m->slots[2 * i] = key;
	m->slots[2 * i + 1] = 0;
	m->used++;
	return &m->slots[2 * i + 1];
}

/* Move up what would not be found across the hole. */
void
idmap_remove(struct idmap *m, uint64_t key)
{
	size_t hole, i;

	if (idmap_find(m, key) == NULL)
		return;
	hole = i = slot_of(m, key);
	for (;;) {
		size_t want;

		i = (i + 1) & (m->size - 1);
		if (m->slots[2 * i] == 0)
			break;
		want = home(m, m->slots[2 * i]);
		if (((i - want) & (m->size - 1)) < ((i - hole) & (m->size - 1)))
			continue;
		m->slots[2 * hole] = m->slots[2 * i];
		m->slots[2 * hole + 1] = m->slots[2 * i + 1];
		hole = i;
	}
	m->slots[2 * hole] = m->slots[2 * hole + 1] = 0;
	m->used--;
}
