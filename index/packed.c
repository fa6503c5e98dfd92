/* packed - see packed.h.
 *
 * Listings unpack a hundred thousand of these, so it is no deflate: inflating 600 bytes with a dictionary takes ten
 * times as long as lz_unpack and gives as few bytes.
 */
#include "index/packed.h"

#include "lib/leb128.h"
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

bool
packed_summary_put(struct lz_packer *k, struct slice summary, struct buf *out)
{
	uint8_t room[LZ_MAX];
	size_t most = summary.len < sizeof room ? summary.len : sizeof room;
	size_t n = lz_pack(k, summary, room, most);

	if (n > 0)
		return leb128_put(out, summary.len) && buf_append(out, room, n);
	return leb128_put(out, 0) && buf_append_slice(out, summary);
}

/* How many bytes are packed in what is left of *row behind the number; 0: none, it is as it is. */
static bool
take_number(struct slice *row, size_t *out)
{
	uint64_t v = 0;
	bool ok = leb128_take(row, 3, LZ_MAX, &v);

	*out = (size_t)v;
	return ok;
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
