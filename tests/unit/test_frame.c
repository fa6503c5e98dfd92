/* frame: the worked example of doc/restante-log.5, byte for byte; headers that hold
 * and that do not. */
#include "lib/siphash.h"
#include "store/head.h"
#include "tests/unit/store_tools.h"

static const uint8_t key[SEGMENT_KEY_LEN] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
                                              15 };

/* The segment, frame and records of the manual's example. */
static void
example(struct buf *out)
{
	struct segment_hdr seg = { .seq = 1, .epoch = 1 };
	struct frame_hdr h = { .first_lsn = LSN_MAKE(1, 1), .synced_lsn = 0,
	                       .time_us = UINT64_C(1700000000000000),
	                       .who = { .account = 0, .session = 5, .protocol = PROTO_ADMIN },
	                       .record_count = 2 };
	struct record records[] = {
		{ .type = RECORD_COUNTERS, .u.counters.uidvalidity = 300 },
		{ .type = RECORD_FLAGS, .u.flags = { .mailbox = LSN_MAKE(1, 7), .modseq = LSN_MAKE(1, 0) >> 8, .flags = FLAG_SEEN,
		                                     .keywords = SLICE_INIT("$Junk"),
		                                     .uids = (const struct uid_range[]){ { 5, 5 },
		                                                                         { 7, 9 } }, .range_count = 2 } },
	};
	uint8_t hdr[FRAME_HDR_LEN], shdr[SEGMENT_HDR_LEN], rhdr[RECORD_HDR_LEN];
	struct buf body, one;

	memset(seg.volume_id, 0xaa, sizeof seg.volume_id);
	memcpy(seg.key, key, sizeof key);
	segment_hdr_encode(&seg, shdr);
	buf_init(&body, 1000);
	buf_init(&one, 1000);
	for (size_t i = 0; i < 2; i++) {
		buf_reset(&one);
		assert_true(record_encode(&records[i], &one));
		record_hdr_encode(&(struct record_hdr){ (uint8_t)records[i].type, 0,
		                                        (uint32_t)one.len },
		                  rhdr);
		assert_true(buf_append(&body, rhdr, sizeof rhdr) &&
		            buf_append_slice(&body, buf_slice(&one)));
	}
	h.body_len = (uint32_t)body.len;
	h.body_sum = siphash(key, body.ptr, body.len);
	frame_hdr_encode(&h, key, SEGMENT_HDR_LEN, hdr);
	assert_true(buf_append(out, shdr, sizeof shdr) && buf_append(out, hdr, sizeof hdr) &&
	            buf_append_slice(out, buf_slice(&body)));
	buf_fini(&body);
	buf_fini(&one);
}

static void
hex_lines(struct slice bytes, struct buf *out)
{
	for (size_t i = 0; i < bytes.len; i++) {
		if (i % 16 == 0)
			assert_true(buf_printf(out, "%04zx ", i));
		assert_true(buf_printf(out, " %02x%s", bytes.ptr[i],
		                       i % 16 == 15 || i + 1 == bytes.len ? "\n" : ""));
	}
}

/* Lines of the manual that look like "0000  xx xx ...", as bytes: of the which-th
 * example from 1. */
static void
read_manual(unsigned which, struct buf *out)
{
	unsigned block = 0;
	FILE *f = fopen(UNIT_SRCDIR "/doc/restante-log.5", "r");
	char line[256];

	if (f == NULL)
		fail_msg("cannot open the manual in " UNIT_SRCDIR);
	while (fgets(line, sizeof line, f) != NULL) {
		unsigned at, value;
		int n = 0, used;

		if (sscanf(line, "%4x %n", &at, &n) != 1 || n != 6)
			continue;
		block += at == 0;
		if (block != which || at != out->len)
			continue;
		while (sscanf(line + n, "%2x%n", &value, &used) == 1) {
			assert_true(buf_append_byte(out, (uint8_t)value));
			n += used;
		}
	}
	fclose(f);
}

static void
compare_example(unsigned which, void (*make)(struct buf *out))
{
	struct buf want, got, text;

	buf_init(&want, 1000);
	buf_init(&got, 1000);
	buf_init(&text, 4000);
	make(&want);
	read_manual(which, &got);
	if (!slice_eq(buf_slice(&want), buf_slice(&got))) {
		hex_lines(buf_slice(&want), &text);
		fail_msg("the manual shows other bytes; the code writes\n%.*s",
		         SLICE_ARG(buf_slice(&text)));
	}
	buf_fini(&want);
	buf_fini(&got);
	buf_fini(&text);
}

/* The manual's head. */
static void
example_head(struct buf *out)
{
	struct root_segment seg = { { 4, 3, SEG_LOG }, SEGMENT_COMPACTED, 1000, LSN_MAKE(1, 1),
	                            LSN_MAKE(2, 20),
		                    UINT64_C(1700000000000000), { 0 } };
	struct seg_id dropped[] = { { 1, 1, SEG_LOG }, { 7, 2, SEG_BODY } };
	struct root r = { .epoch = 3, .pid = 42, .floor = LSN_MAKE(1, 9), .takeovers = { 11 },
	                  .takeover_count = 1,
		          .segments = &seg, .segment_count = 1, .compactions = 4,
		          .compacted_us = UINT64_C(1700000500000000),
		          .dropped = dropped, .dropped_count = 2 };
	struct err e = ERR_INIT;

	memset(r.volume_id, 0xaa, sizeof r.volume_id);
	memcpy(seg.key, key, sizeof key);
	assert_int_equal(head_encode(&r, 9, out, &e), RC_OK);
}

static void
test_worked_example(void **state)
{
	(void)state;
	compare_example(1, example);
	compare_example(2, example_head);
}

static void
test_frame_header(void **state)
{
	const struct frame_hdr in = { .body_len = 7, .record_count = 3, .first_lsn = LSN_MAKE(2, 9),
	                              .synced_lsn = LSN_MAKE(2, 8),
	                              .time_us = 11, .who = { 12, 13, PROTO_LMTP },
	                              .flags = FRAME_UNSYNCED, .body_sum = 14 };
	uint8_t bytes[FRAME_HDR_LEN], other[SEGMENT_KEY_LEN] = { 1 };
	struct frame_hdr out;

	(void)state;
	frame_hdr_encode(&in, key, 64, bytes);
	assert_true(frame_hdr_decode(bytes, key, 64, &out));
	assert_int_equal(out.body_len, 7);
	assert_int_equal(out.record_count, 3);
	assert_int_equal(out.first_lsn, LSN_MAKE(2, 9));
	assert_int_equal(out.synced_lsn, LSN_MAKE(2, 8));
	assert_int_equal(frame_last_lsn(&out), LSN_MAKE(2, 11));
	assert_int_equal(out.time_us, 11);
	assert_int_equal(out.who.account, 12);
	assert_int_equal(out.who.session, 13);
	assert_int_equal(out.who.protocol, PROTO_LMTP);
	assert_int_equal(out.flags, FRAME_UNSYNCED);
	assert_int_equal(out.body_sum, 14);
	assert_false(frame_hdr_decode(bytes, key, 65, &out));           /* another place */
	assert_false(frame_hdr_decode(bytes, other, 64, &out));         /* another segment */
	for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(frame_hdr_decode(bytes, key, 64, &out));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void
test_segment_header(void **state)
{
	struct segment_hdr in = { .seq = 5, .epoch = 6, .volume_id = { 7 }, .key = { 8 } }, out;
	uint8_t bytes[SEGMENT_HDR_LEN];

	(void)state;
	segment_hdr_encode(&in, bytes);
	assert_true(segment_hdr_decode(slice_of(bytes, sizeof bytes), &out));
	assert_int_equal(out.seq, 5);
	assert_int_equal(out.epoch, 6);
	assert_memory_equal(out.volume_id, in.volume_id, VOLUME_ID_LEN);
	assert_memory_equal(out.key, in.key, SEGMENT_KEY_LEN);
	assert_false(segment_hdr_decode(slice_of(bytes, sizeof bytes - 1), &out));
	for (size_t bit = 0; bit < 8 * sizeof bytes; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(segment_hdr_decode(slice_of(bytes, sizeof bytes), &out));
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

/* What stands behind the segments: as it was, and never believed when a bit or the end is lost. */
static void
test_head_more(void **state)
{
	struct seg_id dropped[] = { { 1, 1, SEG_LOG }, { 7, 2, SEG_BODY } };
	struct root in = { .epoch = 3, .flags = ROOT_COPY, .compactions = 4, .compacted_us = 5,
	                   .dropped = dropped,
		           .dropped_count = 2 }, out;
	struct err e = ERR_INIT;
	uint64_t generation;
	struct buf b;

	(void)state;
	buf_init(&b, HEAD_SLOT_LEN);
	assert_int_equal(head_encode(&in, 17, &b, &e), RC_OK);
	assert_int_equal(head_decode(buf_slice(&b), &out, &generation, &e), RC_OK);
	assert_true(out.flags == ROOT_COPY && out.compactions == 4 && out.compacted_us == 5 &&
	            out.dropped_count == 2);
	assert_true(seg_id_same(&out.dropped[0], &dropped[0]) &&
	            seg_id_same(&out.dropped[1], &dropped[1]));
	root_fini(&out);
	for (size_t cut = 0; cut < b.len; cut++)
		assert_int_equal(head_decode(slice_of(b.ptr, cut), &out, &generation, &e),
		                 RC_CORRUPT);
	for (size_t bit = 0; bit < 8 * b.len; bit++) {
		b.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(head_decode(buf_slice(&b), &out, &generation, &e), RC_CORRUPT);
		b.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	buf_fini(&b);
}

#define SEGMENT(n) { { n, 1, SEG_LOG }, SEGMENT_SEALED, 100, LSN_MAKE(1, n), LSN_MAKE(1, n), 7, { 0 } }

/* Neighbours give their place to one segment, wait in the list of what was dropped, and are
 * forgotten; what does not fit changes nothing. */
static void
test_root_change(void **state)
{
	struct root_segment segs[4] = { SEGMENT(1), SEGMENT(2), SEGMENT(3), SEGMENT(4) },
	                    add = SEGMENT(9);
	struct root first = { .segments = segs, .segment_count = 4, .floor = 2 }, r;
	struct seg_id drop[] = { { 2, 1, SEG_LOG }, { 3, 1, SEG_LOG }, { 5, 1, SEG_BODY } };
	struct seg_id apart[] = { { 1, 1, SEG_LOG }, { 3, 1, SEG_LOG } };
	struct seg_id none = { 8, 1, SEG_LOG }, open = { 4, 1, SEG_LOG };
	struct root_change c = { .add = &add, .drop = drop, .drop_count = 3, .floor = 1,
	                         .time_us = 5 };
	struct err e = ERR_INIT;

	(void)state;
	segs[3].state = SEGMENT_OPEN;
	assert_int_equal(root_copy(&r, &first, &e), RC_OK);
	assert_int_equal(root_apply(&r, &c, &e), RC_OK);
	assert_true(r.segment_count == 3 && r.segments[0].id.seq == 1 &&
	            r.segments[1].id.seq == 9 && r.segments[2].id.seq == 4);
	assert_true(r.dropped_count == 3 && r.compactions == 9 && r.compacted_us == 5 &&
	            r.floor == 2);
	c = (struct root_change){ .forget = drop, .forget_count = 2, .floor = 3 };
	assert_int_equal(root_apply(&r, &c, &e), RC_OK);
	assert_true(r.dropped_count == 1 && r.dropped[0].seq == 5 && r.compactions == 9 &&
	            r.floor == 3);
	root_fini(&r);
	for (unsigned i = 0; i < 4; i++) {
		const struct root_change bad[] = { { .add = &add, .drop = apart, .drop_count = 2 },
			                           { .add = &add, .drop = &none, .drop_count = 1 },
			                           { .add = &add, .drop = &open, .drop_count = 1 }, { .add = &add } };

		assert_int_equal(root_copy(&r, &first, &e), RC_OK);
		assert_int_equal(root_apply(&r, &bad[i], &e), RC_BUSY);
		root_fini(&r);
	}
}

static void
test_head_slot(void **state)
{
	struct root_segment segs[2] = {
		{ { 1, 1, SEG_LOG }, SEGMENT_SEALED, 1000, LSN_MAKE(1, 1), LSN_MAKE(1, 9), 77, { 1 } },
		{ { 2, 3, SEG_LOG }, SEGMENT_OPEN, 64, LSN_MAKE(3, 1), LSN_MAKE(3, 0), 78, { 2 } },
	};
	struct root in = { .volume_id = { 9 }, .epoch = 3, .pid = 42, .floor = 5,
	                   .takeovers = { 11, 12, 13 },
	                   .takeover_count = 3, .segments = segs, .segment_count = 2 }, out;
	struct err e = ERR_INIT;
	uint64_t generation;
	struct buf b;

	(void)state;
	buf_init(&b, HEAD_SLOT_LEN);
	assert_int_equal(head_encode(&in, 17, &b, &e), RC_OK);
	assert_int_equal(head_decode(buf_slice(&b), &out, &generation, &e), RC_OK);
	assert_int_equal(generation, 17);
	assert_int_equal(out.epoch, 3);
	assert_int_equal(out.pid, 42);
	assert_int_equal(out.floor, 5);
	assert_int_equal(out.takeover_count, 3);
	assert_memory_equal(out.takeovers, in.takeovers, 24);
	assert_int_equal(out.segment_count, 2);
	for (size_t i = 0; i < 2; i++) {
		const struct root_segment *a = &out.segments[i], *w = &segs[i];

		assert_true(a->id.seq == w->id.seq && a->id.epoch == w->id.epoch &&
		            a->id.kind == SEG_LOG && a->state == w->state);
		assert_true(a->len == w->len && a->first_lsn == w->first_lsn &&
		            a->last_lsn == w->last_lsn);
		assert_true(a->last_time_us == w->last_time_us &&
		            memcmp(a->key, w->key, SEGMENT_KEY_LEN) == 0);
	}
	root_fini(&out);
	for (size_t cut = 0; cut < b.len; cut++)
		assert_int_equal(head_decode(slice_of(b.ptr, cut), &out, &generation, &e),
		                 RC_CORRUPT);
	for (size_t bit = 0; bit < 8 * b.len; bit++) {
		b.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(head_decode(buf_slice(&b), &out, &generation, &e), RC_CORRUPT);
		b.ptr[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	in.segment_count = 10000;
	assert_int_equal(head_encode(&in, 1, &b, &e), RC_LIMIT);
	buf_fini(&b);
}

static void
test_record_take(void **state)
{
	struct slice rest = SLICE("\x01\x00\x02\x00\x00\x00" "ab" "\x02\x01\x00\x00\x00\x00"), body;
	struct record_hdr h;

	(void)state;
	for (size_t cut = 0; cut < 8; cut++) {
		struct slice part = slice_sub(rest, 0, cut);

		assert_false(record_take(&part, &h, &body));
	}
	assert_true(record_take(&rest, &h, &body));
	assert_true(h.type == 1 && h.flags == 0 && slice_eq(body, SLICE("ab")));
	assert_true(record_take(&rest, &h, &body));
	assert_true(h.type == 2 && h.flags == RECORD_SKIPPABLE && body.len == 0);
	assert_false(record_take(&rest, &h, &body));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worked_example), cmocka_unit_test(test_frame_header),
		cmocka_unit_test(test_segment_header), cmocka_unit_test(test_head_slot),
		cmocka_unit_test(test_head_more), cmocka_unit_test(test_root_change), cmocka_unit_test(test_record_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
