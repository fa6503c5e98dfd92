/* igzip_none - a build without ISA-L: zlib does everything. See igzip.h. */
#include "store/igzip.h"

bool
igzip_is_here(void)
{
	return false;
}

struct igzip *
igzip_new(void)
{
	return NULL;
}

void
igzip_free(struct igzip *g)
{
	(void)g;
}

size_t
igzip_deflate(struct igzip *g, enum codec_how how, struct slice in, uint8_t *out, size_t room)
{
	(void)g;
	(void)how;
	(void)in;
	(void)out;
	(void)room;
	return 0;
}

struct igunzip *
igunzip_new(void)
{
	return NULL;
}

void
igunzip_free(struct igunzip *g)
{
	(void)g;
}

bool
igzip_inflate(struct igunzip *g, struct slice in, uint8_t *out, size_t raw_len)
{
	(void)g;
	(void)in;
	(void)out;
	(void)raw_len;
	return false;
}

bool
igzip_inflate_front(struct igunzip *g, struct slice in, uint8_t *out, size_t n)
{
	return igzip_inflate(g, in, out, n);
}

bool
igzip_crc(struct slice s, uint32_t *out)
{
	(void)s;
	(void)out;
	return false;
}
