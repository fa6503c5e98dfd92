/* frame: the worked example of doc/restante-log.5, byte for byte; headers that hold and that do not. */
#include "lib/siphash.h"
#include "store/head.h"
#include "tests/unit/store_tools.h"

static const uint8_t key[SEGMENT_KEY_LEN] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 };

/* The segment, frame and records of the manual's example. */
static void
example(struct buf *out)
{
	struct segment_hdr seg = { .seq = 1, .epoch = 1 };
	struct frame_hdr h = { .first_lsn = LSN_MAKE(1, 1), .synced_lsn = 0, .time_us = UINT64_C(1700000000000000),
	                       .who = { .account = 0, .session = 5, .protocol = PROTO_ADMIN }, .record_count = 2 };
	struct record records[] = {
		{ .type = RECORD_COUNTERS, .u.counters.uidvalidity = 300 },
		{ .type = RECORD_FLAGS, .u.flags = { .mailbox = LSN_MAKE(1, 7), .modseq = LSN_MAKE(1, 0) >> 8, .flags = FLAG_SEEN,
		                                     .keywords = SLICE_INIT("$Junk"),
		                                     .uids = (const struct uid_range[]){ { 5, 5 }, { 7, 9 } }, .range_count = 2 } },
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
		record_hdr_encode(&(struct record_hdr){ (uint8_t)records[i].type, 0, (uint32_t)one.len }, rhdr);
		assert_true(buf_append(&body, rhdr, sizeof rhdr) && buf_append_slice(&body, buf_slice(&one)));
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
		assert_true(buf_printf(out, " %02x%s", bytes.ptr[i], i % 16 == 15 || i + 1 == bytes.len ? "\n" : ""));
	}
}

/* Lines of the manual that look like "0000  xx xx ...", as bytes. */
static void
read_manual(struct buf *out)
{
	FILE *f = fopen(UNIT_SRCDIR "/doc/restante-log.5", "r");
	char line[256];

	if (f == NULL)
		fail_msg("cannot open the manual in " UNIT_SRCDIR);
	while (fgets(line, sizeof line, f) != NULL) {
		unsigned at, value;
		int n = 0, used;

		if (sscanf(line, "%4x %n", &at, &n) != 1 || n != 6 || at != out->len)
			continue;
		while (sscanf(line + n, "%2x%n", &value, &used) == 1) {
			assert_true(buf_append_byte(out, (uint8_t)value));
			n += used;
		}
	}
	fclose(f);
}

static void
test_worked_example(void **state)
{
	struct buf want, got, text;

	(void)state;
	buf_init(&want, 1000);
	buf_init(&got, 1000);
	buf_init(&text, 4000);
	example(&want);
	read_manual(&got);
	if (!slice_eq(buf_slice(&want), buf_slice(&got))) {
		hex_lines(buf_slice(&want), &text);
		fail_msg("the manual shows other bytes; the code writes\n%.*s", SLICE_ARG(buf_slice(&text)));
	}
	buf_fini(&want);
	buf_fini(&got);
	buf_fini(&text);
}

static void
test_frame_header(void **state)
{
	const struct frame_hdr in = { .body_len = 7, .record_count = 3, .first_lsn = LSN_MAKE(2, 9), .synced_lsn = LSN_MAKE(2, 8),
	                              .time_us = 11, .who = { 12, 13, PROTO_LMTP }, .flags = FRAME_UNSYNCED, .body_sum = 14 };
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

static void
test_head_slot(void **state)
{
	struct root_segment segs[2] = {
		{ { 1, 1, SEG_LOG }, SEGMENT_SEALED, 1000, LSN_MAKE(1, 1), LSN_MAKE(1, 9), 77, { 1 } },
		{ { 2, 3, SEG_LOG }, SEGMENT_OPEN, 64, LSN_MAKE(3, 1), LSN_MAKE(3, 0), 78, { 2 } },
	};
	struct root in = { .volume_id = { 9 }, .epoch = 3, .pid = 42, .floor = 5, .takeovers = { 11, 12, 13 },
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

		assert_true(a->id.seq == w->id.seq && a->id.epoch == w->id.epoch && a->id.kind == SEG_LOG && a->state == w->state);
		assert_true(a->len == w->len && a->first_lsn == w->first_lsn && a->last_lsn == w->last_lsn);
		assert_true(a->last_time_us == w->last_time_us && memcmp(a->key, w->key, SEGMENT_KEY_LEN) == 0);
	}
	root_fini(&out);
	for (size_t cut = 0; cut < b.len; cut++)
		assert_int_equal(head_decode(slice_of(b.ptr, cut), &out, &generation, &e), RC_CORRUPT);
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
		cmocka_unit_test(test_segment_header), cmocka_unit_test(test_head_slot), cmocka_unit_test(test_record_take),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
