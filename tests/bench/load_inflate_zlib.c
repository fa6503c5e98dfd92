/* load_inflate_zlib - see load_inflate.h. */
#include "tests/bench/load_inflate.h"

#include <stdlib.h>
#include <zlib.h>

#include "tests/bench/load.h"

struct inflater {
	z_stream z;
};

struct inflater *
inflater_new(void)
{
	struct inflater *inf = load_alloc(1, sizeof *inf);

	if (inflateInit2(&inf->z, -15) != Z_OK)
		load_fail("zlib: no memory");
	return inf;
}

void
inflater_free(struct inflater *inf)
{
	inflateEnd(&inf->z);
	free(inf);
}

size_t
inflater_run(struct inflater *inf, const uint8_t **in, size_t *len, void *out, size_t max)
{
	int rc;

	inf->z.next_in = (Bytef *)(uintptr_t)*in;
	inf->z.avail_in = (uInt)*len;
	inf->z.next_out = out;
	inf->z.avail_out = (uInt)max;
	rc = inflate(&inf->z, Z_SYNC_FLUSH);
	if (rc == Z_STREAM_END ? inf->z.avail_out == (uInt)max : rc != Z_OK && rc != Z_BUF_ERROR)
		load_fail("the deflated stream is damaged or has ended (%d)", rc);
	*in = inf->z.next_in;
	*len = inf->z.avail_in;
	return max - inf->z.avail_out;
}
