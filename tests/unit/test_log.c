/* log: create, open, append, replay, read; frames, batches, rolls, locks, takeovers. */
#define _GNU_SOURCE
#include "tests/unit/store_tools.h"

#include "store/codec.h"

#include <pthread.h>

static void
test_append_replay(void **state)
{
	struct told *t = told_new();
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	assert_int_equal(log_epoch(log), 1);
	assert_int_equal(log_last(log), 0);
	append_counters(log, 100, 20);
	assert_int_equal(log_last(log), LSN_MAKE(1, 20));
	replay_all(log, t, 0);
	assert_int_equal(t->count, 20);
	log_close(&log);

	log = volume_open(path);
	assert_int_equal(log_epoch(log), 2);
	assert_int_equal(log_last(log), LSN_MAKE(1, 20));
	append_counters(log, 120, 5);
	replay_all(log, t, 0);
	assert_int_equal(t->count, 25);
	assert_int_equal(t->findings, 0);
	for (size_t i = 0; i < 25; i++) {
		assert_int_equal(t->value[i], 100 + i);
		assert_int_equal(t->lsn[i], i < 20 ? LSN_MAKE(1, i + 1) : LSN_MAKE(2, i - 19));
		assert_int_equal(t->frame[i].who.account, 7);
		assert_int_equal(t->frame[i].who.session, 99);
		assert_int_equal(t->frame[i].who.protocol, PROTO_IMAP);
		assert_true(i == 0 || t->frame[i].time_us >= t->frame[i - 1].time_us);
	}
	replay_all(log, t, LSN_MAKE(1, 18));
	assert_int_equal(t->count, 7);
	assert_int_equal(t->lsn[0], LSN_MAKE(1, 19));
	replay_all(log, t, LSN_MAKE(2, 5));
	assert_int_equal(t->count, 0);
	log_close(&log);
	volume_remove(path);
	free(t);
}

static void
test_frames(void **state)
{
	struct record r = { .type = RECORD_COUNTERS };
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct log_batch *b;
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	b = batch_make(log);
	log_frame_begin(b, &tools_who);
	log_frame_end(b);
	assert_true(log_batch_empty(b));
	log_frame_begin(b, &tools_who);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(log_next_lsn(b), LSN_MAKE(1, i));
		r.u.counters.uidvalidity = i;
		assert_int_equal(log_frame_add(b, &r, &e), RC_OK);
		assert_int_equal(r.lsn, LSN_MAKE(1, i));
	}
	log_frame_end(b);
	log_frame_begin(b, &tools_who);
	assert_int_equal(log_frame_add(b, &r, &e), RC_OK);
	log_frame_abandon(b);
	assert_int_equal(log_next_lsn(b), LSN_MAKE(1, 4));
	assert_int_equal(add_counter(b, 4), LSN_MAKE(1, 4));
	assert_int_equal(log_append(log, b, false, false, &e), RC_OK);
	replay_all(log, t, 0);
	assert_int_equal(t->count, 4);
	assert_int_equal(t->frame[2].record_count, 3);
	assert_int_equal(t->frame[3].first_lsn, LSN_MAKE(1, 4));
	assert_int_equal(t->value[3], 4);
	replay_all(log, t, LSN_MAKE(1, 2));     /* from the middle of a frame */
	assert_int_equal(t->count, 2);
	assert_int_equal(t->lsn[0], LSN_MAKE(1, 3));
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
	free(t);
}

/* A frame may have max_append bytes and not one more; what did not fit leaves no trace. */
static void
test_frame_limit(void **state)
{
	size_t len = 8u << 20;
	uint8_t *big = calloc(1, len);
	struct blob_chunk c = { 1, 1, 0, CHUNK_STORED, 0 };
	struct record r = { .type = RECORD_BLOB, .u.blob = { .chunks = &c, .chunk_count = 1 } };
	struct err e = ERR_INIT;
	struct log_batch *b;
	char path[64];
	struct log *log;
	size_t fits = 0;

	(void)state;
	assert_non_null(big);
	volume_make(path);
	log = volume_open(path);
	b = batch_make(log);
	for (size_t n = len; n > len - 1000 && fits == 0; n--) {
		r.u.blob.data = slice_of(big, n);
		log_batch_reset(b);
		log_frame_begin(b, &tools_who);
		if (log_frame_add(b, &r, &e) == RC_OK) {
			fits = n;
			log_frame_end(b);
		} else {
			assert_int_equal(e.code, RC_LIMIT);
			log_frame_abandon(b);
			assert_true(log_batch_empty(b));
			assert_int_equal(log_batch_bytes(b), 0);
		}
	}
	assert_true(fits > 0);
	assert_int_equal(log_batch_bytes(b), 8u << 20);
	assert_int_equal(log_append(log, b, false, false, &e), RC_OK);
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
	free(big);
}

static void
test_roll(void **state)
{
	struct told *t = told_new();
	struct log_stats st;
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open_as(path, LOG_WRITE, 1000, NULL, NULL);
	append_counters(log, 0, 100);
	log_get_stats(log, &st);
	assert_true(st.segments >= 9);
	replay_all(log, t, 0);
	assert_int_equal(t->count, 100);
	log_close(&log);
	log = volume_open_as(path, LOG_READ, 0, NULL, t);
	replay_all(log, t, LSN_MAKE(1, 50));
	assert_int_equal(t->count, 50);
	for (size_t i = 0; i < t->count; i++)
		assert_int_equal(t->value[i], 50 + i);
	log_close(&log);
	volume_remove(path);
	free(t);
}

static void
test_lock_and_follow(void **state)
{
	struct log_params p = { .mode = LOG_WRITE, .lock_wait_ms = 50 };
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct log *log, *other;
	char path[64], pid[32];

	(void)state;
	volume_make(path);
	assert_int_equal(log_create(path, &e), RC_EXISTS);
	p.path = path;
	log = volume_open(path);
	append_counters(log, 1, 3);
	assert_int_equal(log_open(&p, NULL, &other, &e), RC_BUSY);
	snprintf(pid, sizeof pid, "process %d", (int)getpid());
	assert_non_null(strstr(e.text, pid));
	/* a follower needs no lock, sees what is there */
	other = volume_open_as(path, LOG_READ, 0, NULL, t);
	append_counters(log, 4, 3);
	replay_all(other, t, 0);
	assert_int_equal(t->count, 3);
	assert_int_equal(t->findings, 0);
	log_close(&other);
	assert_int_equal(log_epoch(log), 1);
	log_close(&log);
	assert_int_equal(log_open(&p, NULL, &log, &e), RC_OK);
	assert_int_equal(log_epoch(log), 2);
	log_close(&log);
	volume_remove(path);
	free(t);
}

/* Each takeover has an id; the chain knows those of before and no other. */
static void
test_takeovers(void **state)
{
	uint64_t ids[6];
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	for (int i = 0; i < 6; i++) {
		log = volume_open(path);
		ids[i] = log_takeover_id(log);
		assert_int_equal(log_epoch(log), i + 1);
		for (int k = 0; k <= i; k++)
			assert_true(log_knows_takeover(log, ids[k]));
		assert_false(log_knows_takeover(log, ids[i] + 1));
		log_close(&log);
	}
	volume_remove(path);
}

static void
test_not_a_volume(void **state)
{
	struct log_params p = { .mode = LOG_WRITE };
	struct err e = ERR_INIT;
	struct log *log;
	char path[64];

	(void)state;
	volume_make(path);
	p.path = "/nonexistent/volume";
	assert_int_equal(log_open(&p, NULL, &log, &e), RC_NOT_FOUND);
	assert_int_equal(log_create("/nonexistent/volume", &e), RC_NOT_FOUND);
	p.path = path;
	p.mode = LOG_READ;
	assert_int_equal(log_open(&p, NULL, &log, &e), RC_OK);
	struct log_batch *b = batch_make(log);
	assert_int_equal(append_counter(log, b, 1, false, &e), RC_DENIED);
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
}

/* More vectors than one system call takes. */
static void
test_many_vectors(void **state)
{
	static uint8_t bytes[1500][600];
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct log_batch *b;
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	b = batch_make(log);
	for (size_t i = 0; i < 1500; i++) {
		struct blob_chunk c = { 600, 600, 0, CHUNK_STORED, 0 };
		struct record r = { .type = RECORD_BLOB,
		                    .u.blob = { .size = 600, .chunks = &c, .chunk_count = 1,
		                                                     .data = { bytes[i], 600 } } };

		memset(bytes[i], (int)i, 600);
		log_frame_begin(b, &tools_who);
		assert_int_equal(log_frame_add(b, &r, &e), RC_OK);
		log_frame_end(b);
	}
	assert_int_equal(log_append(log, b, false, false, &e), RC_OK);
	for (size_t i = 0; i < 1500; i += 100) {
		uint64_t data_offset;
		struct log_addr addr;
		uint8_t got[600];

		assert_true(log_batch_blob_addr(b, LSN_MAKE(1, i + 1), &addr, &data_offset));
		assert_int_equal(log_read(log, &addr, data_offset, got, 600, &e), RC_OK);
		assert_memory_equal(got, bytes[i], 600);
		assert_int_equal(log_read(log, &addr, data_offset + 1, got, 600, &e), RC_CORRUPT);
	}
	replay_all(log, t, 0);
	assert_int_equal(t->count, 1500);
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
	free(t);
}

/* An abandoned blob is forgotten, though its LSN is given again. */
static void
test_abandoned_blob(void **state)
{
	static uint8_t bytes[3][900];
	struct err e = ERR_INIT;
	struct log_batch *b;
	struct log_addr addr;
	uint64_t data_offset;
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	b = batch_make(log);
	for (uint32_t i = 0; i < 3; i++) {
		struct blob_chunk c = { 700 + i, 700 + i, 0, CHUNK_STORED, 0 };
		struct record r = { .type = RECORD_BLOB, .u.blob = { .size = 700 + i, .chunks = &c,
		                    .chunk_count = 1,
		                                                     .data = { bytes[i],
		                                                               700 + i } } };

		memset(bytes[i], (int)i, sizeof bytes[i]);
		log_frame_begin(b, &tools_who);
		assert_int_equal(log_frame_add(b, &r, &e), RC_OK);
		assert_int_equal(r.lsn, LSN_MAKE(1, 1));
		if (i < 2)
			log_frame_abandon(b);
		else
			log_frame_end(b);
	}
	assert_int_equal(log_append(log, b, false, false, &e), RC_OK);
	assert_true(log_batch_blob_addr(b, LSN_MAKE(1, 1), &addr, &data_offset));
	assert_int_equal(addr.len - data_offset, 702);
	assert_int_equal(log_read(log, &addr, data_offset, bytes[0], 702, &e), RC_OK);
	assert_memory_equal(bytes[0], bytes[2], 702);
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
}

static log_lsn
add_blob(struct log_batch *b, const uint8_t *bytes, uint32_t len)
{
	struct blob_chunk c = { len, len, codec_crc(slice_of(bytes, len)), CHUNK_STORED, 0 };
	struct record r = { .type = RECORD_BLOB, .u.blob = { .size = len, .chunks = &c, .chunk_count = 1,
	                                                     .data = { bytes, len } } };
	struct err e = ERR_INIT;

	assert_int_equal(log_frame_add(b, &r, &e), RC_OK);
	return r.lsn;
}

/* Of records 2, 3 and 5 of test_resumed. */
static void
check_blobs(struct log *log, const struct log_batch *b, const uint8_t *bytes)
{
	static const struct { uint32_t n; size_t skip, len; } blobs[] = {
		{ 2, 0, 3000 }, { 3, 1, 100 }, { 5, 2, 600 },
	};
	struct err e = ERR_INIT;
	uint8_t got[3000];

	for (size_t i = 0; i < 3; i++) {
		uint64_t data_offset;
		struct log_addr addr;

		assert_true(log_batch_blob_addr(b, LSN_MAKE(1, blobs[i].n), &addr, &data_offset));
		assert_int_equal(addr.len - data_offset, blobs[i].len);
		assert_int_equal(log_read(log, &addr, data_offset, got, blobs[i].len, &e), RC_OK);
		assert_memory_equal(got, bytes + blobs[i].skip, blobs[i].len);
	}
}

/* A frame that is opened once more, before and behind small and large records; abandoned it is as it was, and whose. */
static void
test_resumed(void **state)
{
	static const uint8_t bytes[3000] = { 1, 2, 3 };
	const struct frame_who other = { 8, 100, PROTO_LMTP };
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct log_batch *b;
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	b = batch_make(log);
	assert_null(log_batch_last_who(b));
	assert_int_equal(add_counter(b, 1), LSN_MAKE(1, 1));
	for (int i = 0; i < 4; i++) {           /* begun and resumed ones that come to nothing */
		if (i % 2 == 0)
			log_frame_begin(b, &other);
		else
			log_frame_resume(b, &other);
		assert_int_equal(add_blob(b, bytes, i < 2 ? 100 : sizeof bytes), LSN_MAKE(1, 2));
		log_frame_abandon(b);
		assert_int_equal(log_batch_last_who(b)->session, tools_who.session);
		assert_int_equal(log_next_lsn(b), LSN_MAKE(1, 2));
	}
	log_frame_resume(b, &other);
	assert_int_equal(add_blob(b, bytes, sizeof bytes), LSN_MAKE(1, 2));
	assert_int_equal(add_blob(b, bytes + 1, 100), LSN_MAKE(1, 3));
	log_frame_end(b);
	assert_int_equal(log_batch_last_who(b)->session, other.session);
	log_frame_resume(b, &other);
	log_frame_end(b);                       /* with nothing */
	assert_int_equal(add_counter(b, 4), LSN_MAKE(1, 4));
	log_frame_resume(b, &other);
	assert_int_equal(add_blob(b, bytes + 2, 600), LSN_MAKE(1, 5));
	log_frame_end(b);
	assert_int_equal(log_append(log, b, false, false, &e), RC_OK);
	check_blobs(log, b, bytes);
	replay_all(log, t, 0);
	assert_int_equal(t->findings, 0);
	assert_int_equal(t->count, 5);
	assert_int_equal(t->frame[0].record_count, 3);
	assert_int_equal(t->frame[0].who.session, other.session);
	assert_int_equal(t->frame[3].record_count, 2);
	assert_int_equal(t->frame[3].first_lsn, LSN_MAKE(1, 4));
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
	free(t);
}

/* Readers go on while the writer appends, rolls and takes the log over from itself. For
 * TSan above all. */
struct reader {
	struct log  *log;
	_Atomic bool stop;
	uint64_t     replays;
};

static enum rc
expect_order(void *arg, const struct frame_info *f, const struct record *r,
             const struct log_addr *addr, struct err *e)
{
	struct { struct log *log; log_lsn last; } *x = arg;
	uint8_t byte;

	(void)f;
	assert_true(r->lsn > x->last);
	x->last = r->lsn;
	return log_read(x->log, addr, 0, &byte, 1, e);
}

static void *
reader_main(void *arg)
{
	struct reader *r = arg;

	while (!r->stop) {
		struct { struct log *log; log_lsn last; } x = { r->log, 0 };
		struct replay rp = { .arg = &x, .record = expect_order };
		struct err e = ERR_INIT;

		if (log_replay(r->log, &rp, true, NULL, &e) != RC_OK)
			fail_msg("replay: %s", e.text);
		assert_true(log_last(r->log) >= x.last);
		assert_true(log_knows_takeover(r->log, log_takeover_id(r->log)));
		r->replays++;
	}
	return NULL;
}

static void
test_readers(void **state)
{
	struct reader r = { .replays = 0 };
	struct err e = ERR_INIT;
	struct told *t = told_new();
	pthread_t threads[2];
	char path[64];

	(void)state;
	volume_make(path);
	r.log = volume_open_as(path, LOG_WRITE, 4000, NULL, NULL);
	struct reader r2 = { .log = r.log };
	assert_int_equal(pthread_create(&threads[0], NULL, reader_main, &r), 0);
	assert_int_equal(pthread_create(&threads[1], NULL, reader_main, &r2), 0);
	for (uint32_t i = 0; i < 8; i++) {
		append_counters(r.log, i * 50, 50);
		assert_int_equal(log_reopen(r.log, NULL, &e), RC_OK);
	}
	r.stop = r2.stop = true;
	pthread_join(threads[0], NULL);
	pthread_join(threads[1], NULL);
	replay_all(r.log, t, 0);
	assert_int_equal(t->count, 400);
	assert_int_equal(t->findings, 0);
	log_close(&r.log);
	volume_remove(path);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_replay), cmocka_unit_test(test_frames),
		cmocka_unit_test(test_frame_limit),   cmocka_unit_test(test_roll),
		cmocka_unit_test(test_lock_and_follow), cmocka_unit_test(test_takeovers),
		cmocka_unit_test(test_not_a_volume), cmocka_unit_test(test_many_vectors),
		cmocka_unit_test(test_readers), cmocka_unit_test(test_abandoned_blob),
		cmocka_unit_test(test_resumed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
