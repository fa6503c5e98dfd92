/* igzip - see igzip.h.
 *
 * Level 2: on text it is as small as zlib's level 4, on base64 as small as Huffman codes alone, and
 * it is the fastest of the levels that are. Level 3, a third slower for 1.7 % fewer bytes, for the
 * text of bodies; of headers it would take 3 bytes. What a dictionary makes of the stream's tables is
 * worked out once in the process, for one level, and copied.
 *
 * Rejected: level 0 (its fixed codes do not shrink base64 at all).
 *
 * Inflating 64 KiB of base64: 607 MB/s against zlib's 359 and libdeflate's 488; of text 1,350
 * against 830 and 1,425; of 1.4 KB of text both the same, of 2.8 KB a quarter less. A header with its
 * dictionary takes 8.0 us, and 7.4 by zlib.
 */
#include "store/igzip.h"

#include "store/codec.h"

#include <assert.h>
#include <isa-l.h>
#include <pthread.h>
#include <stdlib.h>

#define LEVEL      2
#define LEVEL_TEXT 3
#define LEVEL_BUF  ISAL_DEF_LVL3_DEFAULT

_Static_assert(LEVEL_BUF >= ISAL_DEF_LVL2_DEFAULT, "there is room for either level");

struct igzip {
	struct isal_zstream z;
	uint8_t             level_buf[LEVEL_BUF];
};

/* By id; of those that cannot be made `ready` stays false. */
static struct {
	pthread_once_t   once;
	bool             ready[DICTIONARY_SUMMARY + 1];
	struct isal_dict made[DICTIONARY_SUMMARY + 1];
} dictionaries = { .once = PTHREAD_ONCE_INIT };

static void
reset(struct igzip *g, uint32_t level)
{
	isal_deflate_reset(&g->z);
	g->z.level = level;
	g->z.level_buf = g->level_buf;
	g->z.level_buf_size = LEVEL_BUF;
	g->z.gzip_flag = IGZIP_DEFLATE;
	g->z.flush = FULL_FLUSH;
	g->z.end_of_stream = 0;
}

static struct igzip *
new_stream(void)
{
	struct igzip *g = malloc(sizeof *g);

	if (g == NULL)
		return NULL;
	isal_deflate_init(&g->z);
	return g;
}

static void
make_dictionaries(void)
{
	struct igzip *g = new_stream();

	for (uint8_t id = DICTIONARY_HEADER; g != NULL && id <= DICTIONARY_SUMMARY; id++) {
		struct slice text = dictionary_get(id);

		reset(g, LEVEL);
		dictionaries.ready[id] =
		    isal_deflate_process_dict(&g->z, &dictionaries.made[id],
		                              (uint8_t *)(uintptr_t)text.ptr,
		                              (uint32_t)text.len) == COMP_OK;
	}
	igzip_free(g);
}

bool
igzip_is_here(void)
{
	return true;
}

struct igzip *
igzip_new(void)
{
	(void)pthread_once(&dictionaries.once, make_dictionaries);
	return new_stream();
}

void
igzip_free(struct igzip *g)
{
	free(g);
}

static bool
set_dictionary(struct igzip *g, uint8_t id)
{
	if (id == DICTIONARY_NONE)
		return true;
	return id <= DICTIONARY_SUMMARY && dictionaries.ready[id] &&
	       isal_deflate_reset_dict(&g->z, &dictionaries.made[id]) == COMP_OK;
}

/* The empty stored block of a full flush. */
static bool
ends_flushed(const uint8_t *out, size_t n)
{
	static const uint8_t marker[] = { 0x00, 0x00, 0xff, 0xff };

	return n > sizeof marker && memcmp(out + n - sizeof marker, marker, sizeof marker) == 0;
}

size_t
igzip_deflate(struct igzip *g, enum codec_how how, struct slice in, uint8_t *out, size_t room)
{
	size_t n;

	assert(in.len <= UINT32_MAX && room <= UINT32_MAX);
	reset(g, how == CODEC_TEXT ? LEVEL_TEXT : LEVEL);
	if (in.len == 0 || !set_dictionary(g, codec_dictionary(how)))
		return 0;
	g->z.next_in = (uint8_t *)(uintptr_t)in.ptr;
	g->z.avail_in = (uint32_t)in.len;
	g->z.next_out = out;
	g->z.avail_out = (uint32_t)room;
	/* Room left over is the sign that nothing is held back. */
	if (isal_deflate(&g->z) != COMP_OK || g->z.avail_in > 0 || g->z.avail_out == 0)
		return 0;
	n = room - g->z.avail_out;
	return ends_flushed(out, n) ? n : 0;
}

struct igunzip {
	struct inflate_state state;
};

struct igunzip *
igunzip_new(void)
{
	return malloc(sizeof(struct igunzip));
}

void
igunzip_free(struct igunzip *g)
{
	free(g);
}

static int
inflate_stateless(struct igunzip *g, struct slice in, uint8_t *out, size_t room)
{
	struct inflate_state *z = &g->state;

	assert(in.len <= UINT32_MAX && room <= UINT32_MAX);
	isal_inflate_reset(z);
	z->crc_flag = ISAL_DEFLATE;
	z->next_in = (uint8_t *)(uintptr_t)in.ptr;
	z->avail_in = (uint32_t)in.len;
	z->next_out = out;
	z->avail_out = (uint32_t)room;
	return isal_inflate_stateless(z);
}

bool
igzip_inflate(struct igunzip *g, struct slice in, uint8_t *out, size_t raw_len)
{
	/* There is no final block: the input ends behind the marker of the flush. */
	int r = inflate_stateless(g, in, out, raw_len);

	return (r == ISAL_DECOMP_OK || r == ISAL_END_INPUT) && g->state.avail_in == 0 &&
	       g->state.avail_out == 0;
}

bool
igzip_inflate_front(struct igunzip *g, struct slice in, uint8_t *out, size_t n)
{
	return inflate_stateless(g, in, out, n) == ISAL_OUT_OVERFLOW && g->state.avail_out == 0;
}

bool
igzip_crc(struct slice s, uint32_t *out)
{
	*out = crc32_gzip_refl(0, s.ptr, s.len);
	return true;
}
