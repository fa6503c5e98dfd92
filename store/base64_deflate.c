/* base64_deflate - see base64_deflate.h [RFC 1951 s3.2.7].
 *
 * The code: 61 letters have 6 bits, 3 letters, CR and LF 7, "=" and the end of the block 8. It is complete, and a line
 * of 76 characters takes 59 octets. All of the block's header is the same each time, so it is made once.
 */
#include "store/base64_deflate.h"

#include "lib/bytes.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#define LITERALS   257u                 /* and the end of the block */
#define END        256u
#define DISTANCES  2u                   /* never used; some readers want a complete code */
#define HEAD_MAX   64u
#define STORED_MAX 65535u
#define SLACK      8u                   /* a flush writes so many octets and counts fewer */

static const char rare[] = "+/z";
static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/* Bits are filled in from the lowest on. */
struct bits {
	uint8_t *dst;
	uint64_t acc;
	unsigned n;             /* in acc, fewer than 8 between any two calls */
};

static struct {
	pthread_once_t once;
	uint8_t        len[LITERALS];
	uint16_t       code[LITERALS];  /* lowest bit first */
	uint16_t       pair[4096];      /* two letters: 12 to 14 bits, and in the highest two
	                                 * how many more than 12 */
	uint8_t        head[HEAD_MAX];
	size_t         head_len;
	unsigned       head_bits;       /* of the octet behind head_len */
} made = { .once = PTHREAD_ONCE_INIT };

/* As many as are whole octets go out. */
static inline void
flush_bits(struct bits *b)
{
	put_le64(b->dst, b->acc);
	b->dst += b->n / 8;
	b->acc >>= b->n & ~7u;
	b->n &= 7;
}

static inline void
add_bits(struct bits *b, uint64_t v, unsigned n)
{
	b->acc |= v << b->n;
	b->n += n;
}

static void
put_bits(struct bits *b, uint64_t v, unsigned n)
{
	add_bits(b, v, n);
	flush_bits(b);
}

/* ---- the code ---- */

static void
set_lengths(void)
{
	for (size_t i = 0; i < 64; i++)
		made.len[(uint8_t)letters[i]] = strchr(rare, letters[i]) != NULL ? 7 : 6;
	made.len['\r'] = made.len['\n'] = 7;
	made.len['='] = made.len[END] = 8;
}

static uint16_t
reversed(unsigned code, unsigned len)
{
	unsigned r = 0;

	for (unsigned i = 0; i < len; i++)
		r |= (code >> i & 1) << (len - 1 - i);
	return (uint16_t)r;
}

/* Codes of one length follow each other in the order of their symbols, behind all shorter ones [RFC 1951 s3.2.2]. */
static void
set_codes(void)
{
	unsigned code = 0;

	for (unsigned len = 1; len <= 8; len++, code <<= 1)
		for (unsigned s = 0; s < LITERALS; s++)
			if (made.len[s] == len)
				made.code[s] = reversed(code++, len);
}

static void
set_pairs(void)
{
	for (unsigned i = 0; i < 4096; i++) {
		uint8_t a = (uint8_t)letters[i >> 6], z = (uint8_t)letters[i & 63];
		unsigned bits = made.code[a] | (unsigned)made.code[z] << made.len[a];

		made.pair[i] = (uint16_t)(bits | (made.len[a] + made.len[z] - 12u) << 14);
	}
}

/* One of the eight symbols of the code for lengths, each of which has three bits. */
static void
put_length_symbol(struct bits *b, unsigned symbol)
{
	static const uint8_t used[8] = { 0, 1, 6, 7, 8, 16, 17, 18 };
	unsigned i = 0;

	while (used[i] != symbol)
		i++;
	put_bits(b, reversed(i, 3), 3);
}

/* `run` symbols have this length. */
static void
put_lengths(struct bits *b, unsigned len, unsigned run)
{
	while (len == 0 && run >= 11) {
		unsigned n = run < 138 ? run : 138;

		put_length_symbol(b, 18);
		put_bits(b, n - 11, 7);
		run -= n;
	}
	for (; run > 0; run--)
		put_length_symbol(b, len);
}

/* The beginning of every block: what it is, and the lengths of its codes. */
static void
set_head(void)
{
	static const uint8_t order[] = { 16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1 };
	struct bits b = { .dst = made.head };
	unsigned run = 1;

	put_bits(&b, 4, 3);             /* not final, codes of its own */
	put_bits(&b, LITERALS - 257, 5);
	put_bits(&b, DISTANCES - 1, 5);
	put_bits(&b, sizeof order - 4, 4);
	for (size_t i = 0; i < sizeof order; i++)
		put_bits(&b, order[i] <= 1 || (order[i] >= 6 && order[i] <= 8) || order[i] >= 16 ? 3 : 0, 3);
	for (unsigned s = 1; s <= LITERALS; s++, run++) {
		if (s < LITERALS && made.len[s] == made.len[s - 1])
			continue;
		put_lengths(&b, made.len[s - 1], run);
		run = 0;
	}
	put_lengths(&b, 1, DISTANCES);
	made.head_len = (size_t)(b.dst - made.head);
	made.head_bits = b.n;
	assert(made.head_len + SLACK <= HEAD_MAX);
	made.head[made.head_len] = (uint8_t)b.acc;
}

static void
make(void)
{
	set_lengths();
	set_codes();
	set_pairs();
	set_head();
}

/* ---- blocks ---- */

/* A stored block; also an empty one, which brings what follows to an octet's boundary. */
static void
put_stored(struct bits *b, struct slice s)
{
	uint16_t n = (uint16_t)s.len;

	assert(s.len <= STORED_MAX);
	put_bits(b, 0, 3);
	if (b->n > 0)
		put_bits(b, 0, 8 - b->n);
	put_le16(b->dst, n);
	put_le16(b->dst + 2, (uint16_t)~n);
	b->dst += 4;
	if (n > 0)
		memcpy(b->dst, s.ptr, n);
	b->dst += n;
}

static inline void
add_pair(struct bits *b, unsigned i)
{
	unsigned v = made.pair[i];

	add_bits(b, v & 0x3fff, 12 + (v >> 14));
}

static inline void
add_quad(struct bits *b, const uint8_t *in)
{
	add_pair(b, (unsigned)in[0] << 4 | in[1] >> 4);
	add_pair(b, (in[1] & 0x0fu) << 8 | in[2]);
}

static void
put_symbol(struct bits *b, unsigned symbol)
{
	put_bits(b, made.code[symbol], made.len[symbol]);
}

static void
put_quads(struct bits *to, const uint8_t *in, size_t quads)
{
	struct bits b = *to;

	for (; quads >= 2; quads -= 2, in += 6) {
		add_quad(&b, in);
		add_quad(&b, in + 3);
		flush_bits(&b);
	}
	if (quads > 0) {
		add_quad(&b, in);
		flush_bits(&b);
	}
	*to = b;
}

static void
put_padded(struct bits *b, const uint8_t *in, size_t left)
{
	unsigned bits = (unsigned)in[0] << 16 | (left == 2 ? (unsigned)in[1] << 8 : 0);

	put_symbol(b, (uint8_t)letters[bits >> 18]);
	put_symbol(b, (uint8_t)letters[bits >> 12 & 63]);
	put_symbol(b, left == 2 ? (uint8_t)letters[bits >> 6 & 63] : '=');
	put_symbol(b, '=');
}

static void
put_lines(struct bits *b, const uint8_t *in, const struct base64_lines *lines)
{
	size_t left = base64_octets(lines), text = lines->len;

	memcpy(b->dst, made.head, made.head_len);
	b->dst += made.head_len;
	b->acc = made.head[made.head_len];
	b->n = made.head_bits;
	while (text > 0) {
		size_t quads = text / 4 < lines->quads ? text / 4 : lines->quads;
		size_t whole = quads < left / 3 ? quads : left / 3;

		put_quads(b, in, whole);
		in += 3 * whole;
		left -= 3 * whole;
		if (whole < quads)
			put_padded(b, in, left);
		text -= 4 * quads;
		if (text == 0)
			break;
		add_bits(b, made.code['\r'], made.len['\r']);
		put_symbol(b, '\n');
		text -= 2;
	}
	put_symbol(b, END);
}

size_t
base64_deflate_max(size_t len)
{
	return len + HEAD_MAX + 2 * 5 + 2 * SLACK;
}

size_t
base64_deflate(struct slice front, const uint8_t *octets, const struct base64_lines *lines,
               struct slice back, uint8_t *dst)
{
	struct bits b = { .dst = dst };

	(void)pthread_once(&made.once, make);
	if (front.len > 0)
		put_stored(&b, front);
	put_lines(&b, octets, lines);
	put_stored(&b, back);
	return (size_t)(b.dst - dst);
}
