/* blob: chunks made and read back, spliced, damaged; and the compressor's promises. */
#include "store/codec.h"
#include "store/fs.h"
#include "lib/nowait.h"
#include "lib/siphash.h"
#include "tests/unit/store_tools.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>
#include <zlib.h>

struct message {
	uint8_t *bytes;
	size_t   len, header_len;
};

struct part {
	enum blob_content kind;
	size_t            len;
};

static const struct blob_case {
	const char *name;
	struct part parts[5];
	size_t      chunks;             /* wanted */
	bool        out_of_line;
} cases[] = {
	{ "empty", { { BLOB_HEADER, 0 } }, 0, false },
	{ "header only", { { BLOB_HEADER, 300 } }, 1, false },
	{ "small mail", { { BLOB_HEADER, 700 }, { BLOB_TEXT, 900 } }, 2, false },
	{ "one byte of body", { { BLOB_HEADER, 700 }, { BLOB_TEXT, 1 } }, 2, false },
	{ "exactly one chunk", { { BLOB_TEXT, 65536 } }, 1, false },
	{ "one byte more", { { BLOB_TEXT, 65537 } }, 2, false },
	{ "long header", { { BLOB_HEADER, 100000 }, { BLOB_TEXT, 10 } }, 3, false },
	{ "tiny text joins base64", { { BLOB_HEADER, 500 }, { BLOB_TEXT, 200 }, { BLOB_BASE64, 60000 } }, 2, false },
	{ "long text does not", { { BLOB_HEADER, 500 }, { BLOB_TEXT, 2000 }, { BLOB_BASE64, 60000 } }, 3, false },
	{ "text after base64", { { BLOB_HEADER, 500 }, { BLOB_BASE64, 100000 }, { BLOB_TEXT, 70000 } }, 5, false },
	{ "inline at 1 MiB or so", { { BLOB_HEADER, 500 }, { BLOB_BASE64, 1300000 } }, 21, false },
	{ "out of line", { { BLOB_HEADER, 500 }, { BLOB_BASE64, 3000000 }, { BLOB_TEXT, 5000 } }, 48, true },
};

static size_t
fill(uint8_t *p, const struct part *part, uint32_t *seed)
{
	static const char words[] =
	    "Received: from mail.example.org by mx; Subject: the quick brown fox Content-Type: ";
	static const char b64[] =
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

	for (size_t i = 0; i < part->len; i++) {
		if (part->kind == BLOB_BASE64)
			p[i] = (uint8_t)(i % 78 == 76   ? '\r'
			                 : i % 78 == 77 ? '\n'
			                                : b64[next_random(seed) >> 16 & 63]);
		else
			p[i] = (uint8_t)words[(i + next_random(seed) % 3) % (sizeof words - 1)];
	}
	return part->len;
}

static struct message
make_message(const struct blob_case *k)
{
	struct message m = { .len = 0 };
	uint32_t seed = 3;

	for (size_t i = 0; i < 5; i++)
		m.len += k->parts[i].len;
	m.bytes = malloc(m.len + 1);
	assert_non_null(m.bytes);
	m.len = 0;
	for (size_t i = 0; i < 5; i++)
		m.len += fill(m.bytes + m.len, &k->parts[i], &seed);
	m.header_len = k->parts[0].kind == BLOB_HEADER ? k->parts[0].len : 0;
	return m;
}

static struct blob_writer *
write_blob(struct log *log, const struct blob_case *k, const struct message *m, size_t step,
           struct record_blob *out)
{
	struct blob_writer *w;
	struct err e = ERR_INIT;
	size_t at = 0;

	memset(out, 0, sizeof *out);
	assert_int_equal(blob_writer_new(log, &w, &e), RC_OK);
	for (size_t i = 0; i < 5; i++) {
		for (size_t done = 0, n; done < k->parts[i].len; done += n) {
			n = k->parts[i].len - done < step ? k->parts[i].len - done : step;
			assert_int_equal(blob_writer_feed(w, slice_of(m->bytes + at + done, n),
			                                  k->parts[i].kind, &e),
			                 RC_OK);
		}
		at += k->parts[i].len;
	}
	assert_int_equal(blob_writer_finish(w, out, &e), RC_OK);
	out->header_len = (uint32_t)m->header_len;
	return w;
}

static log_lsn
append_blob(struct log *log, struct record_blob *blob, struct blob_place *place)
{
	struct record r = { .type = RECORD_BLOB, .u.blob = *blob };
	struct log_batch *b = batch_make(log);
	struct err e = ERR_INIT;
	uint64_t data_offset;

	add_counter(b, 1);
	log_frame_begin(b, &tools_who);
	assert_int_equal(log_frame_add(b, &r, &e), RC_OK);
	log_frame_end(b);
	assert_false(log_batch_blob_addr(b, r.lsn, &place->addr, &data_offset));
	assert_int_equal(log_append(log, b, false, false, &e), RC_OK);
	assert_false(log_batch_blob_addr(b, r.lsn + 1, &place->addr, &data_offset));
	assert_true(log_batch_blob_addr(b, r.lsn, &place->addr, &data_offset));
	place->addr.offset += data_offset;
	place->addr.len = blob->data.len;
	if (blob->body.len > 0)
		place->addr = blob->body;
	place->chunks = blob->chunks;
	place->chunk_count = blob->chunk_count;
	place->size = blob->size;
	log_batch_free(&b);
	return r.lsn;
}

static void
check_range(struct log *log, const struct blob_place *p, const struct message *m, size_t from,
            size_t len)
{
	struct err e = ERR_INIT;
	size_t want = from >= m->len ? 0 : m->len - from < len ? m->len - from : len;
	struct buf out;

	buf_init(&out, want + 1);
	assert_true(buf_append_byte(&out, 'x'));
	if (blob_read(log, p, from, len, &out, &e) != RC_OK)
		fail_msg("read: %s", e.text);
	assert_int_equal(out.len, want + 1);
	assert_true(want == 0 || memcmp(out.ptr + 1, m->bytes + from, want) == 0);
	if (want > 0) {
		struct buf small;

		buf_init(&small, want - 1);
		assert_int_equal(blob_read(log, p, from, len, &small, &e), RC_LIMIT);
		buf_fini(&small);
	}
	buf_fini(&out);
}

static void
check_sha256(const struct message *m, const uint8_t *got)
{
	uint8_t want[SHA256_LEN];

	assert_int_equal(EVP_Digest(m->bytes, m->len, want, NULL, EVP_sha256(), NULL), 1);
	assert_memory_equal(got, want, SHA256_LEN);
}

static void
assert_same_chunks(const struct blob_chunk *a, const struct blob_chunk *b, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		assert_true(a[i].raw_len == b[i].raw_len && a[i].stored_len == b[i].stored_len &&
		            a[i].crc == b[i].crc && a[i].method == b[i].method &&
		            a[i].dictionary == b[i].dictionary);
}

static void
test_round_trip(void **state)
{
	const struct blob_case *k = *state;
	struct message m = make_message(k);
	struct told *t = told_new();
	struct record_blob blob, other;
	struct blob_place place;
	struct err e = ERR_INIT;
	struct blob_writer *w, *w2;
	uint32_t seed = 11;
	char path[64];
	struct log *log;

	volume_make(path);
	log = volume_open(path);
	w = write_blob(log, k, &m, 4000, &blob);
	w2 = write_blob(log, k, &m, SIZE_MAX, &other);          /* how it was fed does not matter */
	assert_int_equal(blob.chunk_count, k->chunks);
	assert_int_equal(blob.body.len > 0, k->out_of_line);
	assert_int_equal(other.chunk_count, blob.chunk_count);
	assert_same_chunks(blob.chunks, other.chunks, blob.chunk_count);
	assert_int_equal(blob.size, m.len);
	check_sha256(&m, blob.sha256);
	append_blob(log, &blob, &place);
	check_range(log, &place, &m, 0, m.len);
	check_range(log, &place, &m, 0, SIZE_MAX);
	check_range(log, &place, &m, m.len, 10);
	for (int i = 0; i < 30 && m.len > 0; i++)
		check_range(log, &place, &m, next_random(&seed) % m.len,
		            next_random(&seed) % 70000 + 1);
	assert_int_equal(blob_verify(log, &place, 0, UINT64_MAX, &e), RC_OK);
	replay_all(log, t, 0);
	assert_int_equal(t->count, 2);
	assert_int_equal(t->findings, 0);
	assert_int_equal(t->value[1], m.len);
	if (!k->out_of_line)
		assert_int_equal(t->addr[1].offset + t->data_offset[1], place.addr.offset);
	blob_writer_free(&w);
	blob_writer_free(&w2);
	log_close(&log);
	volume_remove(path);
	free(m.bytes);
	free(t);
}

/* Text chunks of a body one after the other and an empty final block are one deflate stream of the body
 * [design, section 3]. */
static void
test_splice(void **state)
{
	static const struct blob_case k = { "splice",
		{ { BLOB_HEADER, 900 }, { BLOB_TEXT, 150000 }, { BLOB_TEXT, 3000 } },
		0, false };
	struct message m = make_message(&k);
	size_t at = 0, body_len = m.len - m.header_len;
	uint8_t *out = malloc(body_len + 1), *header = malloc(m.header_len);
	static const uint8_t end[] = { 0x03, 0x00 };    /* final block, fixed codes, empty */
	z_stream z = { .next_out = out, .avail_out = (uInt)body_len + 1 };
	struct record_blob blob;
	struct blob_writer *w;
	struct codec *c = codec_get();
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	w = write_blob(log, &k, &m, SIZE_MAX, &blob);
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	for (uint32_t i = 0; i < blob.chunk_count; i++) {
		struct slice s = slice_sub(blob.data, at, at + blob.chunks[i].stored_len);

		at += s.len;
		if (i == 0) {
			assert_int_equal(blob.chunks[0].method, CHUNK_DEFLATE_HEADER);
			assert_true(
			    codec_inflate(c, blob.chunks[0].dictionary, s, header, m.header_len));
			assert_memory_equal(header, m.bytes, m.header_len);
			continue;
		}
		assert_int_equal(blob.chunks[i].method, CHUNK_DEFLATE);
		z.next_in = (Bytef *)(uintptr_t)s.ptr;
		z.avail_in = (uInt)s.len;
		assert_int_equal(inflate(&z, Z_NO_FLUSH), Z_OK);
		assert_int_equal(z.avail_in, 0);
	}
	z.next_in = (Bytef *)(uintptr_t)end;
	z.avail_in = sizeof end;
	assert_int_equal(inflate(&z, Z_FINISH), Z_STREAM_END);
	assert_int_equal(z.total_out, body_len);
	assert_memory_equal(out, m.bytes + m.header_len, body_len);
	inflateEnd(&z);
	codec_put(c);
	blob_writer_free(&w);
	log_close(&log);
	volume_remove(path);
	free(m.bytes);
	free(out);
	free(header);
}

/* From any byte on, in whole chunks where they go and in parts where they do not: what zlib makes of
 * it is the message. Parts stand in stored blocks here, as a session's own output stands between. */
static void
inflate_from(struct log *log, const struct blob_place *p, const struct message *m, size_t from,
             size_t to)
{
	struct buf wire, part;
	z_stream z = { .next_in = NULL };
	uint8_t *out = malloc(to - from + 1);
	struct err e = ERR_INIT;
	size_t at = from, whole = 0;

	buf_init(&wire, m->len * 2 + 10000);
	while (at < to) {
		uint64_t raw, end = blob_chunk_end(p, at);
		size_t n = end < to ? (size_t)end - at : to - at, had = wire.len;

		assert_true(end > at && end <= m->len);
		assert_int_equal(blob_read_deflated(log, p, at, to - at, &wire, &raw, &e), RC_OK);
		assert_true(raw > 0 ? raw == n && end <= to : wire.len == had);
		whole += raw > 0;
		for (size_t k = raw; k < n; k += 60000) {
			size_t len = n - k < 60000 ? n - k : 60000;

			buf_init(&part, len);
			assert_int_equal(blob_read(log, p, at + k, len, &part, &e), RC_OK);
			assert_true(buf_append_byte(&wire, 0) &&
			            buf_append(&wire, (uint8_t[]){ (uint8_t)len, (uint8_t)(len >> 8),
			                       (uint8_t)~len, (uint8_t)(~len >> 8) }, 4) &&
			            buf_append_slice(&wire, buf_slice(&part)));
			buf_fini(&part);
		}
		at += n;
	}
	assert_true(whole > 0 || to - from < 200000);
	z.next_in = wire.ptr;
	z.avail_in = (uInt)wire.len;
	z.next_out = out;
	z.avail_out = (uInt)(to - from) + 1;
	assert_int_equal(inflateInit2(&z, -15), Z_OK);
	assert_int_equal(inflate(&z, Z_SYNC_FLUSH), Z_OK);
	assert_true(z.avail_in == 0 && z.total_out == to - from);
	assert_memory_equal(out, m->bytes + from, to - from);
	inflateEnd(&z);
	buf_fini(&wire);
	free(out);
}

/* Small chunks are read together: damage to one of them is found, and a range of the others is read. */
static void
test_damage_among_small(void **state)
{
	static const struct blob_case k = { "small",
		{ { BLOB_HEADER, 900 }, { BLOB_TEXT, 5000 }, { BLOB_BASE64, 5000 }, { BLOB_TEXT, 5000 } }, 4, false };
	struct message m = make_message(&k);
	struct record_blob blob;
	struct blob_place place;
	struct blob_writer *w;
	struct blob_chunk chunks[4];
	struct err e = ERR_INIT;
	char path[64];
	struct log *log;
	struct buf out;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	w = write_blob(log, &k, &m, SIZE_MAX, &blob);
	assert_int_equal(blob.chunk_count, 4);
	assert_int_equal(blob.chunks[2].method, CHUNK_BASE64);
	append_blob(log, &blob, &place);
	assert_int_equal(blob_chunks_end(&place, 0), m.len);
	assert_int_equal(blob_chunks_end(&place, m.len - 1), m.len);
	memcpy(chunks, blob.chunks, sizeof chunks);
	place.chunks = chunks;
	for (uint32_t bad = 0; bad < 4; bad++) {
		size_t at = 0;

		chunks[bad].crc ^= 1;
		for (uint32_t i = 0; i < 4; at += chunks[i++].raw_len) {
			buf_init(&out, m.len);
			assert_int_equal(blob_read(log, &place, at + 1, 10, &out, &e), i == bad ? RC_CORRUPT : RC_OK);
			buf_fini(&out);
		}
		buf_init(&out, m.len);
		assert_int_equal(blob_read(log, &place, 0, m.len, &out, &e), RC_CORRUPT);
		buf_fini(&out);
		chunks[bad].crc ^= 1;
	}
	blob_writer_free(&w);
	log_close(&log);
	volume_remove(path);
	free(m.bytes);
}

static void
test_deflated_ranges(void **state)
{
	static const struct blob_case k = { "deflated",
		{ { BLOB_HEADER, 900 }, { BLOB_TEXT, 150000 }, { BLOB_BASE64, 90000 },
		    { BLOB_TEXT, 3000 } },
		0, false };
	struct message m = make_message(&k);
	struct record_blob blob;
	struct blob_place place;
	struct blob_writer *w;
	uint32_t seed = 5;
	char path[64];
	struct log *log;

	(void)state;
	for (size_t i = 900; i < 900 + 65536 + 65536; i++)      /* two full chunks that are stored */
		m.bytes[i] = (uint8_t)(next_random(&seed) >> 7);
	volume_make(path);
	log = volume_open(path);
	w = write_blob(log, &k, &m, SIZE_MAX, &blob);
	assert_int_equal(blob.chunks[1].method, CHUNK_STORED);
	assert_int_equal(blob.chunks[1].raw_len, 65536);
	append_blob(log, &blob, &place);
	inflate_from(log, &place, &m, 0, m.len);
	for (int i = 0; i < 100; i++) {
		size_t from = next_random(&seed) % m.len;

		inflate_from(log, &place, &m, from, from + 1 + next_random(&seed) % (m.len - from));
	}
	assert_int_equal(blob_chunk_end(&place, m.len), m.len);
	blob_writer_free(&w);
	log_close(&log);
	volume_remove(path);
	free(m.bytes);
}

/* What does not shrink is stored; a flipped bit is found by every read that needs its chunk,
 * and by no other. */
static void
test_damage(void **state)
{
	static const struct blob_case k = { "damage",
	                                    { { BLOB_HEADER, 900 }, { BLOB_TEXT, 200000 } }, 5,
	                                    false };
	struct message m = make_message(&k);
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct record_blob blob;
	struct blob_place place;
	struct blob_writer *w;
	char path[64], file[128];
	struct log *log;
	struct buf out;
	uint64_t at, had;
	uint8_t c;
	FILE *f;

	(void)state;
	for (size_t i = m.header_len; i < m.len; i++)
		m.bytes[i] = (uint8_t)(rand() >> 7);
	volume_make(path);
	log = volume_open(path);
	w = write_blob(log, &k, &m, SIZE_MAX, &blob);
	assert_int_equal(blob.chunks[1].method, CHUNK_STORED);
	append_blob(log, &blob, &place);
	at = place.addr.offset + blob.chunks[0].stored_len + blob.chunks[1].stored_len + 1000;
	snprintf(file, sizeof file, "%s/log/s-1-1.seg", path);
	f = fopen(file, "r+b");
	assert_non_null(f);
	assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
	c = (uint8_t)fgetc(f);
	assert_int_equal(fseek(f, (long)at, SEEK_SET), 0);
	fputc(c ^ 0x10, f);
	fclose(f);
	buf_init(&out, m.len);
	assert_int_equal(blob_read(log, &place, 0, m.len, &out, &e), RC_CORRUPT);
	assert_int_equal(blob_verify(log, &place, 70000, 1, &e), RC_CORRUPT);
	assert_int_equal(blob_read_deflated(log, &place, 66436, m.len, &out, &had, &e), RC_CORRUPT);
	assert_int_equal(blob_verify(log, &place, 0, 60000, &e), RC_OK);
	check_range(log, &place, &m, 0, 66000);
	check_range(log, &place, &m, 140000, 60000);
	replay_all(log, t, 0);
	assert_int_equal(t->findings, 1);       /* the frame's sum */
	assert_int_equal(t->count, 1);
	buf_fini(&out);
	blob_writer_free(&w);
	log_close(&log);
	volume_remove(path);
	free(m.bytes);
	free(t);
}

static unsigned waited;

static ssize_t
pread_waiting(int fd, void *dst, size_t len, off_t off)
{
	waited += nowait_is_on();
	return pread(fd, dst, len, off);
}

/* Who may not wait gets all of it or RC_WAIT, and no damage is seen in what is not there. */
static void
test_nowait(void **state)
{
	static const struct blob_case k = { "nowait", { { BLOB_HEADER, 900 }, { BLOB_BASE64, 3000000 } },
	                                    0, true };
	struct message m = make_message(&k);
	struct err e = ERR_INIT;
	struct record_blob blob;
	struct blob_place place;
	struct blob_writer *w;
	unsigned refused = 0;
	struct fs_ops ours = fs_posix;
	char path[64], file[160];
	struct log *log;
	struct buf out;
	uint64_t had;
	enum rc rc;
	int fd;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	w = write_blob(log, &k, &m, SIZE_MAX, &blob);
	append_blob(log, &blob, &place);
	snprintf(file, sizeof file, "%s/log/b-%u-%llu.blob", path, place.addr.seg.epoch,
	         (unsigned long long)place.addr.seg.seq);
	fd = open(file, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	ours.pread = pread_waiting;
	fs = &ours;
	buf_init(&out, m.len);
	for (int i = 0; i < 4; i++) {
		if (i % 2 == 0)
			assert_int_equal(posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
		out.len = 0;
		nowait_begin();
		rc = blob_read(log, &place, 0, m.len, &out, &e);
		assert_true(rc == (nowait_end() ? RC_WAIT : RC_OK));
		refused += rc == RC_WAIT;
		assert_true(i % 2 == 0 || rc == RC_OK || !nowait_is_possible());
		nowait_begin();
		rc = blob_read_deflated(log, &place, 0, m.len, &out, &had, &e);
		assert_true(rc == (nowait_end() ? RC_WAIT : RC_OK));
		check_range(log, &place, &m, 0, m.len);
	}
	fs = &fs_posix;
	assert_int_equal(waited, 0);
	assert_true(refused > 0);       /* at least the first time: the piece was not open */
	(void)close(fd);
	buf_fini(&out);
	blob_writer_free(&w);
	log_close(&log);
	volume_remove(path);
	free(m.bytes);
}

static void
test_abort_removes(void **state)
{
	static const struct blob_case k = { "abort", { { BLOB_BASE64, 3000000 } }, 0, true };
	struct message m = make_message(&k);
	struct blob_writer *w;
	struct err e = ERR_INIT;
	struct log_stats st;
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	assert_int_equal(blob_writer_new(log, &w, &e), RC_OK);
	assert_int_equal(blob_writer_feed(w, slice_of(m.bytes, m.len), BLOB_BASE64, &e), RC_OK);
	log_get_stats(log, &st);
	assert_int_equal(st.bodies, 1);
	blob_writer_free(&w);
	log_get_stats(log, &st);
	assert_int_equal(st.bodies, 0);
	log_close(&log);
	volume_remove(path);
	free(m.bytes);
}

static void
test_chunk_table(void **state)
{
	const struct blob_chunk in[2] = { { 65536, 1234, 0xdeadbeef, CHUNK_DEFLATE_HEADER, 1 },
	                                  { 5, 5, 7, CHUNK_STORED, 0 } };
	struct blob_chunk *out;
	struct err e = ERR_INIT;
	struct arena a;
	struct buf b;
	uint32_t n;

	(void)state;
	arena_init(&a, 4096);
	buf_init(&b, 100);
	assert_true(blob_chunks_encode(in, 2, &b));
	assert_int_equal(blob_chunks_decode(buf_slice(&b), &a, &out, &n, &e), RC_OK);
	assert_int_equal(n, 2);
	assert_same_chunks(out, in, 2);
	for (size_t cut = 1; cut < b.len; cut++)
		assert_int_equal(blob_chunks_decode(slice_of(b.ptr, cut), &a, &out, &n, &e),
		                 cut == 14 ? RC_OK : RC_CORRUPT);
	b.ptr[3] = 1;
	assert_int_equal(blob_chunks_decode(buf_slice(&b), &a, &out, &n, &e), RC_CORRUPT);
	assert_int_equal(blob_chunks_decode(SLICE_NONE, &a, &out, &n, &e), RC_OK);
	arena_fini(&a);
	buf_fini(&b);
}

/* A dictionary on disk never changes: if this fails, add a new id instead of changing the text. */
static void
test_dictionaries_are_pinned(void **state)
{
	static const uint8_t key[SIPHASH_KEY_LEN];
	struct slice h = dictionary_get(DICTIONARY_HEADER), s = dictionary_get(DICTIONARY_SUMMARY);

	(void)state;
	assert_int_equal(dictionary_get(0).len, 0);
	assert_int_equal(dictionary_get(3).len, 0);
	assert_true(siphash(key, h.ptr, h.len) == UINT64_C(0xafdd34e0789224d8));
	assert_true(siphash(key, s.ptr, s.len) == UINT64_C(0xbab40864b408799f));
}

static void
test_codec_refuses(void **state)
{
	struct slice text = SLICE("Subject: the same, the same, the same, the same, the same\r\n");
	uint8_t packed[200], raw[200];
	struct codec *c = codec_get();
	size_t n;

	(void)state;
	n = codec_deflate(c, CODEC_TEXT, text, packed, sizeof packed);
	assert_true(n > 0 && n < text.len);
	for (size_t room = 0; room <= n; room++)
		assert_int_equal(codec_deflate(c, CODEC_TEXT, text, raw, room), 0);
	assert_true(codec_inflate(c, 0, slice_of(packed, n), raw, text.len));
	assert_memory_equal(raw, text.ptr, text.len);
	assert_false(codec_inflate(c, 0, slice_of(packed, n), raw, text.len - 1));
	assert_false(codec_inflate(c, 0, slice_of(packed, n), raw, text.len + 1));
	assert_false(codec_inflate(c, 9, slice_of(packed, n), raw, text.len));
	for (size_t cut = 0; cut + 6 < n; cut++)
		assert_false(codec_inflate(c, 0, slice_of(packed, cut), raw, text.len));
	assert_true(codec_deflate(c, CODEC_HEADER, text, packed, sizeof packed) < n);
	codec_put(c);
}

int
main(void)
{
	struct CMUnitTest tests[sizeof cases / sizeof *cases + 9];
	size_t n = 0;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		tests[n++] =
		    (struct CMUnitTest){ cases[i].name, test_round_trip, NULL, NULL,
		                         (void *)(uintptr_t)&cases[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_splice);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_damage_among_small);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_deflated_ranges);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_damage);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_nowait);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_abort_removes);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_chunk_table);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_dictionaries_are_pinned);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_codec_refuses);
	return _cmocka_run_group_tests("blob", tests, n, NULL, NULL);
}
