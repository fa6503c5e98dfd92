/* load_inflate_isal - see load_inflate.h. */
#include "tests/bench/load_inflate.h"

#include <isa-l.h>
#include <stdlib.h>

#include "tests/bench/load.h"

struct inflater {
	struct inflate_state state;
};

struct inflater *
inflater_new(void)
{
	struct inflater *inf = load_alloc(1, sizeof *inf);

	isal_inflate_init(&inf->state);         /* a raw stream */
	return inf;
}

void
inflater_free(struct inflater *inf)
{
	free(inf);
}

size_t
inflater_run(struct inflater *inf, const uint8_t **in, size_t *len, void *out, size_t max)
{
	struct inflate_state *s = &inf->state;
	int rc;

	s->next_in = (uint8_t *)(uintptr_t)*in;
	s->avail_in = (uint32_t)*len;
	s->next_out = out;
	s->avail_out = (uint32_t)max;
	rc = isal_inflate(s);
	if (rc < 0 || (s->block_state == ISAL_BLOCK_FINISH && s->avail_out == (uint32_t)max))
		load_fail("the deflated stream is damaged or has ended (%d)", rc);
	*in = s->next_in;
	*len = s->avail_in;
	return max - s->avail_out;
}
