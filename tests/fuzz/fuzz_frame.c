/* fuzz_frame - any bytes as an open segment, as a head's slot and as a frame's records.
 *
 * The segment's key is fixed. So that the fuzzer gets past the sums, every place that the input
 * marks with "RFR?" is made a frame whose sums hold: its length and counts stay the input's. Held
 * against: a scan ends, goes only forward, covers every byte once, and stays within the segment.
 */
#include "lib/bytes.h"
#include "lib/siphash.h"
#include "store/head.h"
#include "store/scan.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_frame: broken: %s\n", what);
		abort();
	}
}

/* A backend of one segment in memory. */
static uint8_t *seg_bytes;
static size_t   seg_len;

static void
mem_caps(struct backend *b, struct backend_caps *out)
{
	(void)b;
	*out = (struct backend_caps){ .max_append = 65536, .max_segment = 1u << 20 };
}

static enum rc
mem_read(struct backend *b, const struct seg_id *id, uint64_t off, void *dst, size_t len,
         size_t *got, struct err *e)
{
	(void)b;
	(void)id;
	(void)e;
	*got = off >= seg_len ? 0 : seg_len - (size_t)off < len ? seg_len - (size_t)off : len;
	if (*got > 0)
		memcpy(dst, seg_bytes + off, *got);
	return RC_OK;
}

static const struct backend_ops mem_ops = { .caps = mem_caps, .read = mem_read };

/* Make the frame marked at `at` hold. */
static void
bless(size_t at, const uint8_t *key, log_lsn *lsn)
{
	uint32_t len = get_le32(seg_bytes + at + 4) % 512;
	struct frame_hdr h = { .body_len = len, .record_count = seg_bytes[at + 48] % 4 + 1u };

	if (len > seg_len - at - FRAME_HDR_LEN)
		len = 0;
	h.first_lsn = *lsn + seg_bytes[at + 8] % 2;
	h.synced_lsn = get_le64(seg_bytes + at + 16);
	h.time_us = get_le64(seg_bytes + at + 24);
	h.body_sum = siphash(key, seg_bytes + at + FRAME_HDR_LEN, len);
	*lsn = frame_last_lsn(&h) + 1;
	frame_hdr_encode(&h, key, at, seg_bytes + at);
}

static void
walk_records(const struct scan_item *item)
{
	struct slice rest = item->body, body;
	struct record_hdr h;
	struct record rec;
	struct arena a;
	struct err e = ERR_INIT;

	arena_init(&a, 16u << 20);
	while (record_take(&rest, &h, &body)) {
		enum rc rc = record_decode((enum record_type)h.type, 1, body, &a, &rec, &e);

		require(rc == RC_OK || rc == RC_CORRUPT || rc == RC_LIMIT,
		        "a record decodes or is refused");
	}
	arena_fini(&a);
}

static void
walk(struct scan *s)
{
	uint64_t at = SEGMENT_HDR_LEN < s->end ? SEGMENT_HDR_LEN : s->end;
	struct scan_item item;
	struct err e = ERR_INIT;

	for (;;) {
		require(scan_next(s, &item, &e) == RC_OK, "memory can be read");
		if (item.kind == SCAN_END)
			break;
		require(item.offset == at && item.len > 0 && item.len <= s->end - at,
		        "items cover the segment");
		at += item.len;
		if (item.kind == SCAN_FRAME)
			walk_records(&item);
	}
	require(at == s->end, "to its end");
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct root_segment seg = { .id = { 1, 1, SEG_LOG }, .first_lsn = LSN_MAKE(1, 1),
	                            .key = { 3, 1, 4, 1, 5 } };
	struct backend b = { &mem_ops };
	log_lsn lsn = seg.first_lsn;
	struct err e = ERR_INIT;
	uint64_t generation;
	struct root root;
	struct scan s;

	if (head_decode(slice_of(data, size), &root, &generation, &e) == RC_OK)
		root_fini(&root);
	seg_len = size;
	seg_bytes = malloc(size > 0 ? size : 1);
	if (seg_bytes == NULL)
		return 0;
	if (size > 0)
		memcpy(seg_bytes, data, size);
	for (size_t at = SEGMENT_HDR_LEN; at + FRAME_HDR_LEN <= size; at++)
		if (memcmp(data + at, "RFR", 3) == 0)
			bless(at, seg.key, &lsn);
	require(scan_init(&s, &b, &seg, size, &e) == RC_OK, "memory can be read");
	walk(&s);
	scan_fini(&s);
	free(seg_bytes);
	return 0;
}
