/* base64_text - see base64_text.h.
 *
 * Lines are encoded and decoded one at a time, twelve octets in a step where the processor has SSSE3 (after W. Mula and
 * D. Lemire, "Faster Base64 Encoding and Decoding Using AVX2 Instructions", 2018), else twelve bits by a table. A
 * step of twelve octets reads sixteen and writes sixteen characters whatever is left of the line, one the other way
 * likewise: what is too much is overwritten by the next line, so the last lines, behind which there is no room for it,
 * go by the table.
 */
#include "store/base64_text.h"

#include <assert.h>
#include <pthread.h>
#include <string.h>

#define FRONT_MAX 4096u                 /* bytes of text in which lines are looked for */
#define LINE_ROOM (4 * BASE64_QUADS_MAX + 2)
#define STEP      16u                   /* read and written at once by the fast way */
#define NO_SEXTET 0x80u

static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static struct {
	pthread_once_t once;
	uint8_t        sextet[256];
	uint8_t        pair[4096][2];   /* the characters for twelve bits */
	void         (*line)(const uint8_t *in, size_t quads, uint8_t *dst);
	void         (*octets)(const uint8_t *in, size_t quads, uint8_t *dst);
	bool         (*is_letters)(const uint8_t *in, size_t quads);
} tables = { .once = PTHREAD_ONCE_INIT };

static inline void
encode_quad(const uint8_t in[3], uint8_t *dst)
{
	unsigned bits = (unsigned)in[0] << 16 | (unsigned)in[1] << 8 | in[2];

	memcpy(dst, tables.pair[bits >> 12], 2);
	memcpy(dst + 2, tables.pair[bits & 0xfff], 2);
}

static void
line_by_table(const uint8_t *in, size_t quads, uint8_t *dst)
{
	for (; quads > 0; quads--, in += 3, dst += 4)
		encode_quad(in, dst);
}

static inline void
decode_quad(const uint8_t *p, uint8_t *dst)
{
	const uint8_t *t = tables.sextet;
	unsigned bits = (unsigned)(t[p[0]] & 63) << 18 | (unsigned)(t[p[1]] & 63) << 12 |
	                (unsigned)(t[p[2]] & 63) << 6 | (t[p[3]] & 63);

	dst[0] = (uint8_t)(bits >> 16);
	dst[1] = (uint8_t)(bits >> 8);
	dst[2] = (uint8_t)bits;
}

static void
octets_by_table(const uint8_t *in, size_t quads, uint8_t *dst)
{
	for (; quads > 0; quads--, in += 4, dst += 3)
		decode_quad(in, dst);
}

static bool
is_quad(const uint8_t *p)
{
	const uint8_t *t = tables.sextet;

	return ((t[p[0]] | t[p[1]] | t[p[2]] | t[p[3]]) & NO_SEXTET) == 0;
}

static bool
is_letters_by_table(const uint8_t *in, size_t quads)
{
	while (quads > 0 && is_quad(in)) {
		quads--;
		in += 4;
	}
	return quads == 0;
}

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("ssse3"))) static void
line_by_ssse3(const uint8_t *in, size_t quads, uint8_t *dst)
{
	const __m128i spread = _mm_setr_epi8(1, 0, 2, 1, 4, 3, 5, 4, 7, 6, 8, 7, 10, 9, 11, 10);
	const __m128i shift = _mm_setr_epi8('a' - 26, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52,
	                                    '0' - 52, '0' - 52, '0' - 52, '0' - 52, '0' - 52, '+' - 62,
	                                    '/' - 63, 'A', 0, 0);

	for (size_t i = 0; i < quads; i += 4, in += 12, dst += 16) {
		__m128i v = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(const void *)in), spread);
		__m128i high = _mm_mulhi_epu16(_mm_and_si128(v, _mm_set1_epi32(0x0fc0fc00)),
		                               _mm_set1_epi32(0x04000040));
		__m128i low = _mm_mullo_epi16(_mm_and_si128(v, _mm_set1_epi32(0x003f03f0)),
		                              _mm_set1_epi32(0x01000010));
		__m128i sextets = _mm_or_si128(high, low);
		__m128i kind = _mm_subs_epu8(sextets, _mm_set1_epi8(51));
		__m128i upper = _mm_cmpgt_epi8(_mm_set1_epi8(26), sextets);

		kind = _mm_or_si128(kind, _mm_and_si128(upper, _mm_set1_epi8(13)));
		_mm_storeu_si128((__m128i *)(void *)dst,
		                 _mm_add_epi8(_mm_shuffle_epi8(shift, kind), sextets));
	}
}

__attribute__((target("ssse3"))) static void
octets_by_ssse3(const uint8_t *in, size_t quads, uint8_t *dst)
{
	const __m128i shift = _mm_setr_epi8(0, 63 - '/', 62 - '+', 52 - '0', -'A', -'A', 26 - 'a', 26 - 'a',
	                                    0, 0, 0, 0, 0, 0, 0, 0);
	const __m128i order = _mm_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);

	for (size_t i = 0; i < quads; i += 4, in += 16, dst += 12) {
		__m128i v = _mm_loadu_si128((const __m128i *)(const void *)in);
		__m128i high = _mm_and_si128(_mm_srli_epi32(v, 4), _mm_set1_epi8(0x0f));
		__m128i slash = _mm_cmpeq_epi8(v, _mm_set1_epi8('/'));

		v = _mm_add_epi8(v, _mm_shuffle_epi8(shift, _mm_add_epi8(high, slash)));
		v = _mm_maddubs_epi16(v, _mm_set1_epi32(0x01400140));
		v = _mm_madd_epi16(v, _mm_set1_epi32(0x00011000));
		_mm_storeu_si128((__m128i *)(void *)dst, _mm_shuffle_epi8(v, order));
	}
}

/* Bits say which low halves each high half goes with; 0x10: with none. */
__attribute__((target("ssse3"))) static inline int
find_others(const uint8_t *in)
{
	const __m128i lows = _mm_setr_epi8(0x15, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11, 0x11,
	                                   0x13, 0x1a, 0x1b, 0x1b, 0x1b, 0x1a);
	const __m128i highs = _mm_setr_epi8(0x10, 0x10, 0x01, 0x02, 0x04, 0x08, 0x04, 0x08, 0x10, 0x10,
	                                    0x10, 0x10, 0x10, 0x10, 0x10, 0x10);
	__m128i v = _mm_loadu_si128((const __m128i *)(const void *)in);
	__m128i low = _mm_and_si128(v, _mm_set1_epi8(0x0f));
	__m128i high = _mm_and_si128(_mm_srli_epi32(v, 4), _mm_set1_epi8(0x0f));
	__m128i both = _mm_and_si128(_mm_shuffle_epi8(lows, low), _mm_shuffle_epi8(highs, high));

	return _mm_movemask_epi8(_mm_cmpgt_epi8(both, _mm_setzero_si128()));
}

/* The last step goes back over what the one before has seen. */
__attribute__((target("ssse3"))) static bool
is_letters_by_ssse3(const uint8_t *in, size_t quads)
{
	size_t i = 0;

	if (quads < 4)
		return is_letters_by_table(in, quads);
	for (; i + 4 <= quads; i += 4)
		if (find_others(in + 4 * i) != 0)
			return false;
	return i == quads || find_others(in + 4 * (quads - 4)) == 0;
}

static void
choose_ways(void)
{
	bool fast = __builtin_cpu_supports("ssse3");

	tables.line = fast ? line_by_ssse3 : line_by_table;
	tables.octets = fast ? octets_by_ssse3 : octets_by_table;
	tables.is_letters = fast ? is_letters_by_ssse3 : is_letters_by_table;
}
#else
static void
choose_ways(void)
{
	tables.line = line_by_table;
	tables.octets = octets_by_table;
	tables.is_letters = is_letters_by_table;
}
#endif

static void
make_tables(void)
{
	memset(tables.sextet, NO_SEXTET, sizeof tables.sextet);
	for (unsigned i = 0; i < 64; i++)
		tables.sextet[(uint8_t)letters[i]] = (uint8_t)i;
	for (unsigned i = 0; i < 4096; i++) {
		tables.pair[i][0] = (uint8_t)letters[i >> 6];
		tables.pair[i][1] = (uint8_t)letters[i & 63];
	}
	choose_ways();
}

static void
need_tables(void)
{
	(void)pthread_once(&tables.once, make_tables);
}

/* ---- lengths ---- */

static size_t
line_len(const struct base64_lines *b)
{
	return 4 * (size_t)b->quads + 2;
}

static size_t
quads_of(const struct base64_lines *b)
{
	return b->len / line_len(b) * b->quads + b->len % line_len(b) / 4;
}

bool
base64_is_possible(const struct base64_lines *b)
{
	if (b->quads == 0 || b->quads > BASE64_QUADS_MAX || b->padding > 2)
		return false;
	return b->len > 0 && b->len % line_len(b) % 4 == 0;
}

size_t
base64_octets(const struct base64_lines *b)
{
	return quads_of(b) * 3 - b->padding;
}

/* ---- finding ---- */

static bool
is_crlf(struct slice s, size_t at)
{
	return s.len >= 2 && at <= s.len - 2 && s.ptr[at] == '\r' && s.ptr[at + 1] == '\n';
}

/* How many whole quads without padding stand at `at`, at most `max`. */
static unsigned
count_quads(struct slice s, size_t at, unsigned max)
{
	unsigned n = 0;

	if (max < BASE64_QUADS_MAX && s.len - at >= 4 * (size_t)max && tables.is_letters(s.ptr + at, max))
		return max;
	while (n < max && s.len - at >= 4 && is_quad(s.ptr + at)) {
		n++;
		at += 4;
	}
	return n;
}

/* A quad with padding whose unused bits are 0, as every encoder leaves them: how much padding, 0: it is none. */
static unsigned
count_padding(struct slice s, size_t at)
{
	const uint8_t *p = s.ptr + at, *t = tables.sextet;

	if (s.len - at < 4 || p[3] != '=' || ((t[p[0]] | t[p[1]]) & NO_SEXTET))
		return 0;
	if (p[2] == '=')
		return (t[p[1]] & 0x0f) == 0 ? 2 : 0;
	return (t[p[2]] & (NO_SEXTET | 0x03)) == 0 ? 1 : 0;
}

/* The lines that begin at b->front, as far as they go. */
static void
measure_lines(struct slice s, struct base64_lines *b)
{
	size_t at = b->front;

	b->padding = 0;
	for (;;) {
		unsigned n = count_quads(s, at, b->quads);

		at += 4 * (size_t)n;
		if (n < b->quads) {
			b->padding = count_padding(s, at);
			n += b->padding > 0 ? 1 : 0;
			at += b->padding > 0 ? 4 : 0;
		}
		if (n < b->quads || !is_crlf(s, at))
			break;
		at += 2;
		if (b->padding > 0)
			break;
	}
	b->len = at - b->front;
}

/* Lines of another length may begin with the last one of those that were too few; not before, as all of these would be
 * too few again. */
bool
base64_find(struct slice text, struct base64_lines *b)
{
	size_t at = 0, limit = text.len / 2 < FRONT_MAX ? text.len / 2 : FRONT_MAX;

	need_tables();
	while (at <= limit) {
		*b = (struct base64_lines){ .front = at };
		b->quads = count_quads(text, at, BASE64_QUADS_MAX);
		if (b->quads == 0 || !is_crlf(text, at + 4 * (size_t)b->quads)) {
			at += slice_find_byte(slice_sub(text, at, text.len), '\n') + 1;
			continue;
		}
		measure_lines(text, b);
		if (b->len >= text.len / 2)
			return true;
		at += b->len / line_len(b) * line_len(b);
	}
	return false;
}

/* ---- decoding ---- */

/* Whole lines, while there is text and room for the fast way to go too far; how many. */
static size_t
decode_fast(struct slice text, const struct base64_lines *b, uint8_t *dst)
{
	size_t lines = 0, at = 0;

	for (; text.len - at >= line_len(b) + 2 * STEP; lines++, at += line_len(b))
		tables.octets(text.ptr + at, b->quads, dst + 3 * b->quads * lines);
	return lines;
}

void
base64_decode_lines(struct slice text, const struct base64_lines *b, uint8_t *dst)
{
	size_t lines, at;

	assert(text.len == b->len);
	need_tables();
	lines = decode_fast(text, b, dst);
	dst += 3 * b->quads * lines;
	for (at = line_len(b) * lines; text.len - at >= 4; at += 2) {
		size_t left = (text.len - at) / 4, n = b->quads < left ? b->quads : left;

		octets_by_table(text.ptr + at, n, dst);
		at += 4 * n;
		dst += 3 * n;
		if (text.len - at < 2)
			break;
	}
}

/* ---- encoding ---- */

/* The line that begins with `in`, of which `left` octets are there, by the table. */
static void
slow_line(const struct base64_lines *b, const uint8_t *in, size_t left, uint8_t *dst)
{
	size_t whole = left / 3 < b->quads ? left / 3 : b->quads;

	line_by_table(in, whole, dst);
	if (whole < b->quads && left % 3 > 0) {
		uint8_t last[3] = { in[3 * whole], left % 3 == 2 ? in[3 * whole + 1] : 0, 0 };

		encode_quad(last, dst + 4 * whole);
		memset(dst + 4 * whole + 1 + left % 3, '=', 3 - left % 3);
	}
	memcpy(dst + 4 * (size_t)b->quads, "\r\n", 2);
}

/* Whole lines from the start of one on, while there is room for the fast way to go too far; how many. */
static size_t
fast_lines(const struct base64_lines *b, const uint8_t *in, size_t left, uint8_t *dst, size_t room)
{
	size_t quads = b->quads, lines = 0;

	for (; left >= 3 * quads + STEP && room >= line_len(b) + STEP; lines++) {
		tables.line(in, quads, dst);
		memcpy(dst + 4 * quads, "\r\n", 2);
		in += 3 * quads;
		left -= 3 * quads;
		dst += line_len(b);
		room -= line_len(b);
	}
	return lines;
}

void
base64_encode_lines(const uint8_t *octets, const struct base64_lines *b, size_t from, size_t to, uint8_t *dst)
{
	uint8_t line[LINE_ROOM];
	size_t total = base64_octets(b);

	assert(from <= to && to <= b->len);
	need_tables();
	while (from < to) {
		size_t number = from / line_len(b), skip = from % line_len(b), n;
		size_t octet = number * b->quads * 3;

		if (skip == 0) {
			n = line_len(b) * fast_lines(b, octets + octet, total - octet, dst, to - from);
			from += n;
			dst += n;
			if (n > 0)
				continue;
		}
		slow_line(b, octets + octet, total - octet, line);
		n = line_len(b) - skip < to - from ? line_len(b) - skip : to - from;
		memcpy(dst, line + skip, n);
		from += n;
		dst += n;
	}
}
