/* slice - a view of bytes that somebody else owns.
 *
 * Bytes from outside (wire, disk) are slices: they may contain NUL and are not terminated. A slice is valid as long as
 * what it points into; what must live longer is copied out, visibly (arena_dup, buf_append_slice). Functions are pure
 * and may be used from any thread. Case folding is ASCII only, never locale.
 */
#ifndef RESTANTE_LIB_SLICE_H
#define RESTANTE_LIB_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define MUST_USE __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

struct slice {
	const uint8_t *ptr;
	size_t         len;
};

#define SLICE_INIT(lit) { (const uint8_t *)("" lit), sizeof(lit) - 1 }
#define SLICE(lit) ((struct slice)SLICE_INIT(lit))
#define SLICE_NONE ((struct slice){ NULL, 0 })
/* For printf("%.*s"): bytes that hold no NUL and are fit to print. */
#define SLICE_ARG(s) (int)(s).len, (const char *)(s).ptr

/* A slice over the C string `s` without its NUL; NULL gives the empty slice. */
struct slice slice_str(const char *s);

static inline struct slice
slice_of(const void *ptr, size_t len)
{
	return (struct slice){ ptr, len };
}

/* Bytes [from, to) of s; both ends are clipped to its length. */
struct slice slice_sub(struct slice s, size_t from, size_t to);

bool slice_eq(struct slice a, struct slice b);
bool slice_eq_nocase(struct slice a, struct slice b);
/* A copy that ends with NUL, for free(); NULL: no memory. */
char *slice_strdup(struct slice s);
bool slice_starts(struct slice s, struct slice prefix);
bool slice_starts_nocase(struct slice s, struct slice prefix);
bool slice_ends_nocase(struct slice s, struct slice suffix);
/* Less, equal, greater as memcmp; of two with a common prefix the shorter is less. */
int slice_cmp(struct slice a, struct slice b);
int slice_cmp_nocase(struct slice a, struct slice b);

/* Offset of the first `c`, or s.len if there is none. */
size_t slice_find_byte(struct slice s, uint8_t c);
size_t slice_count_byte(struct slice s, uint8_t c);
/* Offset of the first `a` that a `b` follows, or s.len. Sixteen octets at a time, whatever they are. */
size_t slice_find_pair(struct slice s, uint8_t a, uint8_t b);
/* Offset of the first `needle`, or s.len if there is none; an empty needle is found at 0. */
size_t slice_find(struct slice s, struct slice needle);
size_t slice_find_nocase(struct slice s, struct slice needle);

/* Without leading and trailing spaces, tabs, CRs and LFs. */
struct slice slice_trim(struct slice s);

/* Decimal digits only, all of the slice, at most `max`; false otherwise (empty, sign, overflow). */
bool slice_to_u64(struct slice s, uint64_t max, uint64_t *out);

/* Copy into `dst` of `size` bytes with a final NUL. False if it does not fit or holds a NUL: dst is then "". */
bool slice_to_cstr(struct slice s, char *dst, size_t size);

uint8_t ascii_lower(uint8_t c);
uint8_t ascii_upper(uint8_t c);
int     ascii_hex_value(uint8_t c);    /* 0..15, or -1: not a hexadecimal digit */

#endif
