/* The filter of COMPRESS=DEFLATE against zlib on the other side, over a connection of the test that
 * takes and gives a few octets at a time and often none. */
#include "tests/unit/unit.h"

#include <zlib.h>

#include "lib/buf.h"
#include "server/deflate.h"

#define BOTH_MAX (64u << 20)

/* ---- the connection below ---- */

static struct wire {
	struct filter filter;
	struct buf    in, out;          /* what the peer has sent, and gets */
	size_t        piece;            /* octets taken or given at once */
	bool          stalls;           /* every other call says WANT */
	unsigned      calls;
} wire;

static enum stream_result
wire_read(struct filter *f, uint8_t *ptr, size_t cap, size_t *n)
{
	(void)f;
	if (wire.in.len == 0 || (wire.stalls && wire.calls++ % 2 == 0))
		return STREAM_WANT_READ;
	*n = wire.piece < cap ? wire.piece : cap;
	if (*n > wire.in.len)
		*n = wire.in.len;
	memcpy(ptr, wire.in.ptr, *n);
	buf_consume(&wire.in, *n);
	return STREAM_OK;
}

static enum stream_result
wire_write(struct filter *f, const uint8_t *ptr, size_t len, size_t *n)
{
	(void)f;
	if (wire.stalls && wire.calls++ % 2 == 0)
		return STREAM_WANT_WRITE;
	*n = wire.piece < len ? wire.piece : len;
	assert_true(buf_append(&wire.out, ptr, *n));
	return STREAM_OK;
}

static enum stream_result
wire_flush(struct filter *f)
{
	(void)f;
	return STREAM_OK;
}

static void
wire_finish(struct filter *f)
{
	(void)f;
}

static const struct filter_ops wire_ops = { wire_read, wire_write, wire_flush, wire_finish,
                                            wire_finish };

/* ---- the peer ---- */

static z_stream out_z, in_z;    /* its compressor, its decompressor */
static struct buf seen;         /* what the peer has inflated */
static struct filter *f;

static int
start(void **state)
{
	(void)state;
	memset(&out_z, 0, sizeof out_z);
	memset(&in_z, 0, sizeof in_z);
	assert_int_equal(deflateInit2(&out_z, 6, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
	assert_int_equal(inflateInit2(&in_z, -15), Z_OK);
	wire = (struct wire){ .filter = { &wire_ops, NULL }, .piece = 4096 };
	buf_init(&wire.in, BOTH_MAX);
	buf_init(&wire.out, BOTH_MAX);
	buf_init(&seen, BOTH_MAX);
	f = deflate_new(&wire.filter, SLICE_NONE);
	assert_non_null(f);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	f->ops->free(f);
	buf_fini(&wire.in);
	buf_fini(&wire.out);
	buf_fini(&seen);
	deflateEnd(&out_z);
	inflateEnd(&in_z);
	return 0;
}

/* The peer compresses this and sends it. */
static void
peer_sends(struct slice s, int flush)
{
	uint8_t chunk[4096];
	int ret;

	out_z.next_in = (Bytef *)(uintptr_t)s.ptr;
	out_z.avail_in = (uInt)s.len;
	do {
		out_z.next_out = chunk;
		out_z.avail_out = sizeof chunk;
		ret = deflate(&out_z, flush);
		assert_true(ret == Z_OK || ret == Z_STREAM_END || ret == Z_BUF_ERROR);
		assert_true(buf_append(&wire.in, chunk, sizeof chunk - out_z.avail_out));
	} while (out_z.avail_out == 0);
}

/* What has come from us, inflated into `seen`. */
static void
peer_reads(void)
{
	uint8_t chunk[4096];
	int ret;

	in_z.next_in = wire.out.ptr;
	in_z.avail_in = (uInt)wire.out.len;
	do {
		in_z.next_out = chunk;
		in_z.avail_out = sizeof chunk;
		ret = inflate(&in_z, Z_SYNC_FLUSH);
		assert_true(ret == Z_OK || ret == Z_BUF_ERROR);
		assert_true(buf_append(&seen, chunk, sizeof chunk - in_z.avail_out));
	} while (in_z.avail_out == 0);
	assert_int_equal(in_z.avail_in, 0);
	buf_reset(&wire.out);
}

/* The same, each octet alone. */
static void
peer_reads_octets(void)
{
	struct buf all = wire.out;

	buf_init(&wire.out, BOTH_MAX);
	for (size_t i = 0; i < all.len; i++) {
		assert_true(buf_append_byte(&wire.out, all.ptr[i]));
		peer_reads();
	}
	buf_fini(&all);
}

/* The same, and the stream ends where the octets end. */
static void
peer_reads_last(void)
{
	uint8_t chunk[100];

	in_z.next_in = wire.out.ptr;
	in_z.avail_in = (uInt)wire.out.len;
	in_z.next_out = chunk;
	in_z.avail_out = sizeof chunk;
	assert_int_equal(inflate(&in_z, Z_SYNC_FLUSH), Z_STREAM_END);
	assert_int_equal(in_z.avail_in, 0);
	buf_reset(&wire.out);
}

/* ---- our side ---- */

static void
flush(void)
{
	enum stream_result r;

	while ((r = f->ops->flush(f)) == STREAM_WANT_WRITE)
		;
	assert_int_equal(r, STREAM_OK);
}

/* Write all of it, `piece` octets at a time, and flush. */
static void
we_send(struct slice s, size_t piece)
{
	for (size_t at = 0, n = 0; at < s.len; at += n) {
		size_t left = s.len - at;
		enum stream_result r = f->ops->write(f, s.ptr + at, left < piece ? left : piece,
		                                     &n);

		assert_true(r == STREAM_OK || r == STREAM_WANT_WRITE);
		assert_true(r != STREAM_OK || n > 0);
		if (r != STREAM_OK)
			n = 0;
	}
	flush();
}

/* Read `cap` octets at a time until nothing more is there. */
static enum stream_result
we_read(struct buf *into, size_t cap)
{
	uint8_t *chunk = malloc(cap);   /* of the exact size */
	enum stream_result r;

	assert_non_null(chunk);
	do {
		size_t n = 0;

		r = f->ops->read(f, chunk, cap, &n);
		if (r == STREAM_OK)
			assert_true(n > 0 && n <= cap && buf_append(into, chunk, n));
	} while (r == STREAM_OK || (r == STREAM_WANT_READ && wire.in.len > 0));
	free(chunk);
	return r;
}

static void
expect_read(struct slice want, size_t cap)
{
	struct buf got;

	buf_init(&got, BOTH_MAX);
	assert_int_equal(we_read(&got, cap), STREAM_WANT_READ);
	assert_int_equal(got.len, want.len);
	assert_memory_equal(got.ptr, want.ptr, want.len);
	buf_fini(&got);
}

/* Lines that repeat themselves, with something new in each; the caller frees it. */
static struct slice
make_text(size_t lines, unsigned seed)
{
	struct buf b;

	buf_init(&b, BOTH_MAX);
	for (size_t i = 0; i < lines; i++) {
		seed = seed * 1103515245u + 12345u;
		assert_true(buf_printf(&b, "* %zu FETCH (FLAGS (\\Seen) UID %u RFC822.SIZE %u)\r\n",
		                       i, seed >> 8, seed));
	}
	return buf_slice(&b);
}

static void
drop_text(struct slice s)
{
	free((void *)(uintptr_t)s.ptr);
}

/* ---- out ---- */

/* All that waits on the wire says `text`. */
static void
expect_peer_reads(struct slice text)
{
	peer_reads();
	assert_int_equal(seen.len, text.len);
	assert_memory_equal(seen.ptr, text.ptr, text.len);
	buf_reset(&seen);
}

static void
test_out_in_any_pieces(void **state)
{
	static const size_t pieces[] = { 1, 7, 4096, 65536 };
	struct slice text = make_text(500, 1);

	(void)state;
	wire.stalls = true;
	for (size_t i = 0; i < UNIT_COUNT(pieces); i++) {
		wire.piece = pieces[i];
		we_send(text, pieces[UNIT_COUNT(pieces) - 1 - i]);
		expect_peer_reads(text);
	}
	drop_text(text);
}

/* Nothing is held back at a flush, and a flush without a word costs no octet. */
static void
test_each_flush_is_seen(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++) {
		we_send(SLICE("* 23 EXISTS\r\n"), 100);
		peer_reads();
		assert_int_equal(seen.len, 13);
		buf_reset(&seen);
		flush();
		assert_int_equal(wire.out.len, 0);
	}
}

static void
test_it_does_compress(void **state)
{
	struct slice text = make_text(5000, 2);

	(void)state;
	we_send(text, 65536);
	assert_true(wire.out.len * 3 < text.len);
	drop_text(text);
}

/* What was given back while the session slept is not missed by the peer. */
static void
test_out_after_rests(void **state)
{
	struct slice text = make_text(50, 3);

	(void)state;
	for (int i = 0; i < 50; i++) {
		we_send(text, 65536);
		deflate_rest(f);
		expect_peer_reads(text);
	}
	drop_text(text);
}

/* ---- splices ---- */

static unsigned dice;

static unsigned
roll(unsigned sides)
{
	dice = dice * 1103515245u + 12345u;
	return (dice >> 16) % sides;
}

/* Raw deflate as a chunk of the log is: of some level and strategy, or stored, with a full flush and
 * no final block. */
static void
pack_chunk(struct slice s, struct buf *out)
{
	static const int levels[] = { 0, 1, 4, 9 };
	z_stream z = { .next_in = (Bytef *)(uintptr_t)s.ptr, .avail_in = (uInt)s.len };
	int strategy = roll(3) == 0 ? Z_HUFFMAN_ONLY : Z_DEFAULT_STRATEGY;

	assert_int_equal(deflateInit2(&z, levels[roll(4)], Z_DEFLATED, -15, 8, strategy), Z_OK);
	buf_reset(out);
	z.next_out = buf_reserve(out, s.len + 1000);
	z.avail_out = (uInt)s.len + 1000;
	assert_int_equal(deflate(&z, Z_FULL_FLUSH), Z_OK);
	assert_int_equal(z.avail_in, 0);
	buf_commit(out, s.len + 1000 - z.avail_out);
	deflateEnd(&z);
}

static void
we_splice(struct slice s)
{
	for (size_t n; s.len > 0; s = slice_sub(s, n, s.len)) {
		enum stream_result r = deflate_splice(f, s.ptr, s.len, &n);

		assert_true(r == STREAM_OK || r == STREAM_WANT_WRITE);
		assert_true(r != STREAM_OK || n > 0);
		if (r != STREAM_OK)
			n = 0;
	}
}

/* Ranges of one text, so that each finds itself in those before: written, spliced, flushed, slept
 * over. Where a flush was, zlib has all that was said, from octets that come one by one. */
static void
say_things(struct slice text, unsigned ops)
{
	struct buf chunk, said;

	buf_init(&chunk, BOTH_MAX);
	buf_init(&said, BOTH_MAX);
	while (ops-- > 0) {
		size_t from = roll((unsigned)text.len), len = roll(roll(3) == 0 ? 60000 : 300);
		struct slice s = slice_sub(text, from, from + len < text.len ? from + len : text.len);
		size_t n = 0;

		if (roll(2) == 0) {
			pack_chunk(s, &chunk);
			we_splice(buf_slice(&chunk));
		} else {
			for (size_t at = 0; at < s.len; at += n)
				if (f->ops->write(f, s.ptr + at, s.len - at, &n) != STREAM_OK)
					n = 0;
		}
		assert_true(buf_append_slice(&said, s));
		if (roll(3) > 0)
			continue;
		flush();
		if (roll(4) == 0)
			deflate_rest(f);
		peer_reads_octets();
		assert_int_equal(seen.len, said.len);
		assert_memory_equal(seen.ptr, said.ptr, said.len);
	}
	buf_reset(&seen);
	flush();
	peer_reads();
	buf_fini(&chunk);
	buf_fini(&said);
}

static void
test_splices_and_writes_in_any_order(void **state)
{
	static const size_t pieces[] = { 1, 5, 1000, 16384, 1u << 20 };
	struct slice text = make_text(2000, 4);

	(void)state;
	for (dice = 0; dice < 40; dice++) {
		unsigned seed = dice;

		wire.piece = pieces[seed % UNIT_COUNT(pieces)];
		wire.stalls = seed % 3 == 0;
		say_things(text, 30);
		buf_reset(&seen);
		dice = seed;
	}
	drop_text(text);
}

/* A splice that stands between two writes of the same: what is behind must not be said by what is
 * before. And a splice is short on the wire. */
static void
test_splice_between_equals(void **state)
{
	struct slice text = make_text(40, 4), other = make_text(60, 9);
	struct buf chunk, want;

	(void)state;
	buf_init(&chunk, BOTH_MAX);
	buf_init(&want, BOTH_MAX);
	pack_chunk(other, &chunk);
	we_send(text, 65536);
	we_splice(buf_slice(&chunk));
	we_send(text, 65536);
	assert_true(buf_append_slice(&want, text) && buf_append_slice(&want, other) &&
	            buf_append_slice(&want, text));
	expect_peer_reads(buf_slice(&want));
	we_splice(buf_slice(&chunk));
	flush();
	assert_int_equal(wire.out.len, chunk.len);      /* nothing was added to it */
	expect_peer_reads(other);
	buf_fini(&chunk);
	buf_fini(&want);
	drop_text(text);
	drop_text(other);
}

/* ---- in ---- */

static void
test_in_in_any_pieces(void **state)
{
	static const size_t pieces[] = { 1, 3, 4096, 65536 };
	struct slice text = make_text(300, 5);

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(pieces); i++) {
		for (size_t j = 0; j < UNIT_COUNT(pieces); j++) {
			wire.stalls = i % 2 == 0;
			wire.piece = pieces[i];
			peer_sends(text, j % 2 == 0 ? Z_SYNC_FLUSH : Z_FULL_FLUSH);
			expect_read(text, pieces[j]);
		}
	}
	drop_text(text);
}

/* The dictionary survives a rest, wherever the rest comes; also that of a peer whose flush ends
 * within an octet. */
static void
test_in_after_rests(void **state)
{
	static const int flushes[] = { Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_PARTIAL_FLUSH };
	struct slice text = make_text(5, 6), more = make_text(2000, 7);

	(void)state;
	for (size_t i = 0; i < 60; i++) {
		struct slice s = i == 40 ? more : text;

		wire.piece = i < 20 ? 1 : 4096;
		peer_sends(s, flushes[i % UNIT_COUNT(flushes)]);
		expect_read(s, 4096);
		deflate_rest(f);
		deflate_rest(f);
	}
	drop_text(text);
	drop_text(more);
}

/* A rest in the middle of a block keeps what it must. */
static void
test_in_rest_at_each_octet(void **state)
{
	struct slice text = make_text(20, 8);
	struct buf sent, got;

	(void)state;
	buf_init(&got, BOTH_MAX);
	buf_init(&sent, BOTH_MAX);
	for (int i = 0; i < 3; i++)
		peer_sends(text, Z_SYNC_FLUSH);
	assert_true(buf_append_slice(&sent, buf_slice(&wire.in)));
	buf_reset(&wire.in);
	for (size_t i = 0; i < sent.len; i++) {
		assert_true(buf_append_byte(&wire.in, sent.ptr[i]));
		assert_int_equal(we_read(&got, 64), STREAM_WANT_READ);
		deflate_rest(f);
	}
	assert_int_equal(got.len, 3 * text.len);
	for (size_t i = 0; i < 3; i++)
		assert_memory_equal(got.ptr + i * text.len, text.ptr, text.len);
	buf_fini(&sent);
	buf_fini(&got);
	drop_text(text);
}

/* 32 MiB in some 32 KiB of deflate: no more is made of it at once than there is room for. */
static void
test_a_bomb_fills_only_the_room(void **state)
{
	static uint8_t zeros[1u << 20];
	uint8_t room[1000];
	uint64_t total = 0;
	size_t n;

	(void)state;
	for (int i = 0; i < 32; i++)
		peer_sends(slice_of(zeros, sizeof zeros), Z_NO_FLUSH);
	peer_sends(SLICE(""), Z_SYNC_FLUSH);
	assert_true(wire.in.len < 65536);
	while (f->ops->read(f, room, sizeof room, &n) == STREAM_OK) {
		assert_true(n <= sizeof room);
		total += n;
	}
	assert_int_equal(total, 32 * sizeof zeros);
}

/* Empty blocks for ever: each call reads the connection once, and then the reactor
 * turns to others. */
static void
test_in_of_empty_blocks(void **state)
{
	uint8_t out[64];
	size_t n, left;

	(void)state;
	wire.piece = 16384;
	for (int i = 0; i < 20000; i++)
		assert_true(buf_append(&wire.in, "\x00\x00\x00\xff\xff", 5));
	while (wire.in.len > 0) {
		left = wire.in.len;
		assert_int_equal(f->ops->read(f, out, sizeof out, &n), STREAM_WANT_READ);
		assert_true(left - wire.in.len <= wire.piece);
	}
	peer_sends(SLICE("a NOOP\r\n"), Z_SYNC_FLUSH);
	expect_read(SLICE("a NOOP\r\n"), 64);
}

static void
test_in_garbage(void **state)
{
	struct buf got;

	(void)state;
	buf_init(&got, BOTH_MAX);
	peer_sends(SLICE("a NOOP\r\n"), Z_SYNC_FLUSH);
	assert_true(buf_append_str(&wire.in, "b NOOP\r\n\xff\xff\xff\xff"));
	assert_int_equal(we_read(&got, 4096), STREAM_GARBLED);
	buf_fini(&got);
}

static void
test_early_octets_come_first(void **state)
{
	struct filter *late;

	(void)state;
	peer_sends(SLICE("a NOOP\r\n"), Z_SYNC_FLUSH);
	late = deflate_new(&wire.filter, buf_slice(&wire.in));
	assert_non_null(late);
	buf_reset(&wire.in);
	peer_sends(SLICE("b NOOP\r\n"), Z_SYNC_FLUSH);
	f->ops->free(f);
	f = late;
	expect_read(SLICE("a NOOP\r\nb NOOP\r\n"), 4096);
}

/* ---- the end, and beginning again ---- */

/* The peer stops compressing behind its command and goes on in clear, all of it at once or
 * octet by octet. */
static void
test_end(void **state)
{
	static const int flushes[] = { Z_SYNC_FLUSH, Z_FULL_FLUSH, Z_FINISH };
	static const size_t pieces[] = { 1, 2, 3, 5, 4096 };
	struct buf got;

	buf_init(&got, BOTH_MAX);
	for (size_t i = 0; i < UNIT_COUNT(flushes) * UNIT_COUNT(pieces); i++) {
		stop(state);
		start(state);
		wire.piece = pieces[i / UNIT_COUNT(flushes)];
		peer_sends(SLICE("a UNAUTHENTICATE\r\n"), flushes[i % UNIT_COUNT(flushes)]);
		assert_true(buf_append_str(&wire.in, "b NOOP\r\n"));
		while (got.len < 18) {
			uint8_t octet;
			size_t n;

			if (f->ops->read(f, &octet, 1, &n) == STREAM_OK)
				assert_true(buf_append_byte(&got, octet));
			else
				assert_true(wire.in.len > 0);
		}
		assert_memory_equal(got.ptr, "a UNAUTHENTICATE\r\n", 18);
		buf_reset(&got);
		deflate_last(f);
		we_send(SLICE("a OK\r\n"), 1);
		deflate_end(f);
		peer_reads_last();
		assert_false(deflate_is_on(f));
		assert_false(deflate_is_over(f));
		we_send(SLICE("plain"), 100);
		assert_int_equal(wire.out.len, 5);
		expect_read(SLICE("b NOOP\r\n"), 4096);
		assert_true(deflate_is_over(f));
	}
	buf_fini(&got);
}

static void
test_compressed_behind_the_end(void **state)
{
	struct buf got;

	(void)state;
	buf_init(&got, BOTH_MAX);
	peer_sends(SLICE("a UNAUTHENTICATE\r\n"), Z_BLOCK);
	assert_int_equal(we_read(&got, 4096), STREAM_WANT_READ);
	assert_int_equal(got.len, 18);
	deflate_end(f);
	peer_sends(SLICE("b LOGIN anna secret\r\n"), Z_SYNC_FLUSH);
	assert_int_equal(we_read(&got, 4096), STREAM_GARBLED);
	assert_int_equal(got.len, 18);
	buf_fini(&got);
}

/* The peer was quick: the next COMPRESS and what it says then came while the first still lay
 * on the stream. */
static void
test_again(void **state)
{
	uint8_t line[14];
	size_t n;

	(void)state;
	peer_sends(SLICE("a\r\n"), Z_SYNC_FLUSH);
	assert_true(buf_append_str(&wire.in, "b COMPRESS\r\n"));
	deflateReset(&out_z);
	peer_sends(SLICE("c NOOP\r\n"), Z_SYNC_FLUSH);
	assert_int_equal(f->ops->read(f, line, sizeof line, &n), STREAM_OK);
	assert_int_equal(n, 3);
	deflate_end(f);
	assert_int_equal(f->ops->read(f, line, sizeof line, &n), STREAM_OK);
	assert_int_equal(n, sizeof line);       /* the command, and two octets of what follows */
	assert_false(deflate_is_over(f));
	assert_true(deflate_again(f, slice_of(line + 12, 2)));
	expect_read(SLICE("c NOOP\r\n"), 4096);
	we_send(SLICE("c OK\r\n"), 100);
	peer_reads();
	assert_int_equal(seen.len, 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_out_in_any_pieces, start, stop),
		cmocka_unit_test_setup_teardown(test_each_flush_is_seen, start, stop),
		cmocka_unit_test_setup_teardown(test_it_does_compress, start, stop),
		cmocka_unit_test_setup_teardown(test_out_after_rests, start, stop),
		cmocka_unit_test_setup_teardown(test_splices_and_writes_in_any_order, start, stop),
		cmocka_unit_test_setup_teardown(test_splice_between_equals, start, stop),
		cmocka_unit_test_setup_teardown(test_in_in_any_pieces, start, stop),
		cmocka_unit_test_setup_teardown(test_in_after_rests, start, stop),
		cmocka_unit_test_setup_teardown(test_in_rest_at_each_octet, start, stop),
		cmocka_unit_test_setup_teardown(test_a_bomb_fills_only_the_room, start, stop),
		cmocka_unit_test_setup_teardown(test_in_of_empty_blocks, start, stop),
		cmocka_unit_test_setup_teardown(test_in_garbage, start, stop),
		cmocka_unit_test_setup_teardown(test_early_octets_come_first, start, stop),
		cmocka_unit_test_setup_teardown(test_end, start, stop),
		cmocka_unit_test_setup_teardown(test_compressed_behind_the_end, start, stop),
		cmocka_unit_test_setup_teardown(test_again, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
