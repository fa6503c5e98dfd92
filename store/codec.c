/* codec - zlib behind codec.h, and ISA-L before it where the build has it (igzip.h).
 *
 * One deflate stream per way of compressing, as deflateParams on a used stream may emit bytes.
 * Rejected: one codec per thread in thread-local storage, which nobody frees when libuv's
 * pool threads end.
 */
#include "store/codec.h"

#include "lib/lz.h"
#include "store/igzip.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <zlib.h>

#define POOL_MAX 16
#define HOW_COUNT 4

struct codec {
	struct igzip *igzip;            /* NULL: zlib deflates */
	struct igunzip *igunzip;        /* NULL: none is made yet, or zlib inflates */
	z_stream deflate[HOW_COUNT];
	bool     deflate_ready[HOW_COUNT];
	z_stream again;
	int      again_level;           /* 0: not ready */
	z_stream inflate;
	bool     inflate_ready;
	struct lz_packer *packer;       /* NULL: none is made yet */
	uint8_t  room[3][CODEC_ROOM];
};

static struct {
	pthread_mutex_t lock;
	struct codec   *free[POOL_MAX];
	size_t          count;
} pool = { .lock = PTHREAD_MUTEX_INITIALIZER };

struct codec *
codec_get(void)
{
	struct codec *c = NULL;

	pthread_mutex_lock(&pool.lock);
	if (pool.count > 0)
		c = pool.free[--pool.count];
	pthread_mutex_unlock(&pool.lock);
	if (c != NULL)
		return c;
	c = calloc(1, sizeof *c);
	if (c != NULL)
		c->igzip = igzip_new();
	return c;
}

static void
codec_free(struct codec *c)
{
	for (size_t i = 0; i < HOW_COUNT; i++)
		if (c->deflate_ready[i])
			deflateEnd(&c->deflate[i]);
	if (c->again_level != 0)
		deflateEnd(&c->again);
	if (c->inflate_ready)
		inflateEnd(&c->inflate);
	igzip_free(c->igzip);
	igunzip_free(c->igunzip);
	lz_packer_free(&c->packer);
	free(c);
}

void
codec_put(struct codec *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&pool.lock);
	if (pool.count < POOL_MAX) {
		pool.free[pool.count++] = c;
		c = NULL;
	}
	pthread_mutex_unlock(&pool.lock);
	if (c != NULL)
		codec_free(c);
}

uint8_t *
codec_room(struct codec *c, unsigned which)
{
	assert(which < 3);
	return c->room[which];
}

uint8_t
codec_dictionary(enum codec_how how)
{
	switch (how) {
	case CODEC_TEXT:
	case CODEC_BASE64:
		return DICTIONARY_NONE;
	case CODEC_HEADER:
		return DICTIONARY_HEADER;
	case CODEC_SUMMARY:
		return DICTIONARY_SUMMARY;
	}
	return DICTIONARY_NONE;
}

/* A fresh deflate stream for `how`, or NULL. */
static z_stream *
deflate_stream(struct codec *c, enum codec_how how)
{
	static const struct {
		int level, strategy;
	} set[HOW_COUNT] = {
		[CODEC_TEXT] = { 4, Z_DEFAULT_STRATEGY },
		[CODEC_BASE64] = { 4, Z_HUFFMAN_ONLY },
		[CODEC_HEADER] = { 6, Z_DEFAULT_STRATEGY },
		[CODEC_SUMMARY] = { 6, Z_DEFAULT_STRATEGY },
	};
	struct slice dict = dictionary_get(codec_dictionary(how));
	z_stream *z = &c->deflate[how];

	if (c->deflate_ready[how]) {
		if (deflateReset(z) != Z_OK)
			return NULL;
	} else {
		if (deflateInit2(z, set[how].level, Z_DEFLATED, -15, 8, set[how].strategy) != Z_OK)
			return NULL;
		c->deflate_ready[how] = true;
	}
	if (dict.len > 0 && deflateSetDictionary(z, dict.ptr, (uInt)dict.len) != Z_OK)
		return NULL;
	return z;
}

static size_t
run_deflate(z_stream *z, struct slice in, uint8_t *out, size_t room)
{
	assert(in.len <= UINT32_MAX && room <= UINT32_MAX);
	z->next_in = (Bytef *)(uintptr_t)in.ptr;
	z->avail_in = (uInt)in.len;
	z->next_out = out;
	z->avail_out = (uInt)room;
	/* Room left over is zlib's only sign that the flush is complete. */
	if (deflate(z, Z_FULL_FLUSH) != Z_OK || z->avail_in > 0 || z->avail_out == 0)
		return 0;
	return room - z->avail_out;
}

size_t
codec_deflate(struct codec *c, enum codec_how how, struct slice in, uint8_t *out, size_t room)
{
	z_stream *z;

	if (c->igzip != NULL)
		return igzip_deflate(c->igzip, how, in, out, room);
	z = deflate_stream(c, how);
	return z != NULL ? run_deflate(z, in, out, room) : 0;
}

size_t
codec_deflate_again(struct codec *c, int level, uint8_t dictionary, struct slice in, uint8_t *out,
                    size_t room)
{
	struct slice dict = dictionary_get(dictionary);

	assert(level >= 1 && level <= 9);
	if (c->again_level == level) {
		if (deflateReset(&c->again) != Z_OK)
			return 0;
	} else {
		if (c->again_level != 0)
			deflateEnd(&c->again);
		c->again_level = 0;
		if (deflateInit2(&c->again, level, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
			return 0;
		c->again_level = level;
	}
	if (dict.len > 0 && deflateSetDictionary(&c->again, dict.ptr, (uInt)dict.len) != Z_OK)
		return 0;
	return run_deflate(&c->again, in, out, room);
}

/* ISA-L's, where it is the faster one; NULL: zlib's turn. */
static struct igunzip *
fast_inflater(struct codec *c, uint8_t dictionary, size_t raw_len)
{
	if (dictionary != DICTIONARY_NONE || raw_len < IGUNZIP_MIN)
		return NULL;
	if (c->igunzip == NULL)
		c->igunzip = igunzip_new();
	return c->igunzip;
}

/* zlib's stream, set to begin; NULL: unknown dictionary, or no memory. */
static z_stream *
inflate_stream(struct codec *c, uint8_t dictionary, struct slice in, uint8_t *out, size_t room)
{
	struct slice dict = dictionary_get(dictionary);
	z_stream *z = &c->inflate;

	if (in.len > UINT32_MAX || room > UINT32_MAX ||
	    (dictionary != DICTIONARY_NONE && dict.len == 0))
		return NULL;
	if (c->inflate_ready ? inflateReset(z) != Z_OK : inflateInit2(z, -15) != Z_OK)
		return NULL;
	c->inflate_ready = true;
	if (dict.len > 0 && inflateSetDictionary(z, dict.ptr, (uInt)dict.len) != Z_OK)
		return NULL;
	z->next_in = (Bytef *)(uintptr_t)in.ptr;
	z->avail_in = (uInt)in.len;
	z->next_out = out;
	z->avail_out = (uInt)room;
	return z;
}

/* What is left behind the last byte may be the marker of the flush alone: it yields nothing. */
static bool
ends_here(z_stream *z)
{
	uint8_t spare;
	int zr;

	if (z->avail_in == 0)
		return true;
	z->next_out = &spare;
	z->avail_out = 1;
	zr = inflate(z, Z_SYNC_FLUSH);
	return (zr == Z_OK || zr == Z_BUF_ERROR) && z->avail_out == 1 && z->avail_in == 0;
}

bool
codec_inflate(struct codec *c, uint8_t dictionary, struct slice in, uint8_t *out, size_t raw_len)
{
	struct igunzip *fast = fast_inflater(c, dictionary, raw_len);
	uint8_t spare;
	z_stream *z;
	int zr;

	if (fast != NULL && igzip_inflate(fast, in, out, raw_len))
		return true;
	/* zlib wants a place even for nothing */
	z = inflate_stream(c, dictionary, in, raw_len > 0 ? out : &spare, raw_len);
	if (z == NULL)
		return false;
	zr = inflate(z, Z_SYNC_FLUSH);
	return (zr == Z_OK || zr == Z_BUF_ERROR) && z->avail_out == 0 && ends_here(z);
}

bool
codec_inflate_front(struct codec *c, uint8_t dictionary, struct slice in, uint8_t *out, size_t n)
{
	struct igunzip *fast = fast_inflater(c, dictionary, n);
	z_stream *z;

	assert(n > 0);
	if (fast != NULL && igzip_inflate_front(fast, in, out, n))
		return true;
	z = inflate_stream(c, dictionary, in, out, n);
	return z != NULL && inflate(z, Z_SYNC_FLUSH) == Z_OK && z->avail_out == 0;
}

struct lz_packer *
codec_packer(struct codec *c)
{
	if (c->packer == NULL) {
		c->packer = lz_packer_new();
		if (c->packer != NULL)
			lz_packer_base(c->packer, dictionary_get(DICTIONARY_SUMMARY));
	}
	return c->packer;
}

size_t
codec_quick_len(void)
{
	return igzip_is_here() ? 64u << 10 : 12u << 10;
}

uint32_t
codec_crc(struct slice s)
{
	uint32_t crc;

	if (igzip_crc(s, &crc))
		return crc;
	return (uint32_t)crc32_z(crc32_z(0, NULL, 0), s.ptr, s.len);
}
