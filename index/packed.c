/* packed - see packed.h.
 *
 * Listings unpack a hundred thousand of these, so it is no deflate: inflating 600 bytes with a dictionary takes ten
 * times as long as lz_unpack and gives as few bytes.
 */
#include "index/packed.h"

#include "lib/mime.h"
#include "store/codec.h"

static struct slice
base(void)
{
	return dictionary_get(DICTIONARY_SUMMARY);
}

struct lz_packer *
packed_summary_packer(void)
{
	struct lz_packer *k = lz_packer_new();

	if (k != NULL)
		lz_packer_base(k, base());
	return k;
}

static bool
put_number(struct buf *out, size_t v)
{
	bool ok = true;

	for (; v >= 0x80; v >>= 7)
		ok = buf_append_byte(out, (uint8_t)(v | 0x80)) && ok;
	return buf_append_byte(out, (uint8_t)v) && ok;
}

bool
packed_summary_put(struct lz_packer *k, struct slice summary, struct buf *out)
{
	uint8_t room[LZ_MAX];
	size_t most = summary.len < sizeof room ? summary.len : sizeof room;
	size_t n = lz_pack(k, summary, room, most);

	if (n > 0)
		return put_number(out, summary.len) && buf_append(out, room, n);
	return put_number(out, 0) && buf_append_slice(out, summary);
}

/* How many bytes are packed in what is left of *row behind the number; 0: none, it is as it is. */
static bool
take_number(struct slice *row, size_t *out)
{
	*out = 0;
	for (size_t i = 0; i < 3 && i < row->len; i++) {
		*out |= (size_t)(row->ptr[i] & 0x7f) << (7 * i);
		if (row->ptr[i] < 0x80) {
			*row = slice_sub(*row, i + 1, row->len);
			return *out <= LZ_MAX;
		}
	}
	return false;
}

enum rc
packed_summary_get(struct slice row, struct arena *a, struct slice *out, struct err *e)
{
	uint8_t *raw;
	size_t len;

	*out = SLICE("");
	if (!take_number(&row, &len))
		return RC_OK;
	if (len == 0) {
		*out = arena_dup(a, row);
		return out->ptr != NULL ? RC_OK : err_nomem(e);
	}
	raw = arena_alloc(a, len + LZ_SLACK);
	if (raw == NULL)
		return err_nomem(e);
	if (lz_unpack(base(), row, raw, len))
		*out = slice_of(raw, len);
	return RC_OK;
}

uint32_t
packed_summary_version(struct slice row)
{
	uint8_t raw[LZ_MAX + LZ_SLACK];
	size_t len;

	if (!take_number(&row, &len))
		return 0;
	if (len == 0)
		return mime_summary_version(row);
	return lz_unpack(base(), row, raw, len) ? mime_summary_version(slice_of(raw, len)) : 0;
}
