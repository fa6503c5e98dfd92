/* recovery: torn tails at every byte, bit flips at every byte, forged frames, crashes
 * within recovery. */
#define _GNU_SOURCE
#include "tests/unit/store_tools.h"
#include "tests/unit/store_faults.h"

#include <fcntl.h>
#include <sys/stat.h>

/* A volume's files in memory, as a power cut would leave them: taken while the log is open. */
struct image {
	uint8_t *head, *seg;
	size_t   head_len, seg_len;
};

static uint8_t *
slurp(const char *dir, const char *name, size_t *len)
{
	char path[128];
	struct stat st;
	uint8_t *p;
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	*len = (size_t)st.st_size;
	p = malloc(*len);
	assert_true(p != NULL && read(fd, p, *len) == (ssize_t)*len);
	close(fd);
	return p;
}

static void
spit(const char *dir, const char *name, const uint8_t *bytes, size_t len)
{
	char path[128];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0 && write(fd, bytes, len) == (ssize_t)len);
	close(fd);
}

static struct image
image_take(const char *path)
{
	struct image i;

	i.head = slurp(path, "head", &i.head_len);
	i.seg = slurp(path, "log/s-1-1.seg", &i.seg_len);
	return i;
}

static void
image_free(struct image *i)
{
	free(i->head);
	free(i->seg);
}

/* Put the image in place, the segment cut to `len`. What was made later goes: a name is
 * never used twice. */
static void
image_restore(const struct image *i, const char *path, size_t len)
{
	char later[128];

	snprintf(later, sizeof later, "%s/log/s-2-2.seg", path);
	(void)unlink(later);
	spit(path, "head", i->head, i->head_len);
	spit(path, "log/s-1-1.seg", i->seg, len);
}

/* n synced frames with values 1..n in an open segment; where each ends. The volume is left
 * as by a crash. */
static struct image
crashed_volume(char path[64], uint32_t n, uint64_t ends[])
{
	struct told *t = told_new();
	struct image image;
	struct log *log;

	volume_make(path);
	log = volume_open(path);
	append_counters(log, 1, n);
	replay_all(log, t, 0);
	assert_int_equal(t->count, n);
	for (uint32_t i = 0; i < n; i++)
		ends[i] = t->frame[i].offset + t->frame[i].len;
	image = image_take(path);
	log_close(&log);
	free(t);
	return image;
}

/* Open, replay into t (findings of both counted) and close. */
static size_t
open_and_replay(const char *path, log_lsn known_synced, struct told *t)
{
	struct told *opening = told_new();
	struct log_report rep = told_report(opening);
	struct log_params p = { .path = path, .mode = LOG_WRITE, .known_synced = known_synced };
	struct err e = ERR_INIT;
	struct log *log;
	size_t findings;

	if (log_open(&p, &rep, &log, &e) != RC_OK)
		fail_msg("open: %s", e.text);
	findings = opening->findings;
	replay_all(log, t, 0);
	assert_true(log_last(log) >= (t->count > 0 ? t->lsn[t->count - 1] : 0));
	log_close(&log);
	free(opening);
	return findings;
}

static void
test_torn_tail(void **state)
{
	struct told *t = told_new();
	struct image image;
	uint64_t ends[8];
	char path[64];

	(void)state;
	image = crashed_volume(path, 8, ends);
	for (uint64_t cut = ends[3]; cut <= ends[7]; cut++) {
		size_t want = 0;

		while (want < 8 && ends[want] <= cut)
			want++;
		image_restore(&image, path, cut);
		assert_int_equal(open_and_replay(path, 0, t), 0);
		assert_int_equal(t->findings, 0);
		assert_int_equal(t->count, want);
		for (size_t i = 0; i < want; i++)
			assert_int_equal(t->value[i], i + 1);
	}
	image_free(&image);
	volume_remove(path);
	free(t);
}

/* The same, but what was not written reads as zeros, and the log goes on afterwards. */
static void
test_torn_tail_zeros(void **state)
{
	struct told *t = told_new();
	struct image image;
	uint64_t ends[8];
	char path[64];

	(void)state;
	image = crashed_volume(path, 8, ends);
	for (uint64_t cut = ends[6] + 1; cut < ends[7]; cut += 7) {
		uint8_t *whole = malloc(image.seg_len);
		struct log *log;

		memcpy(whole, image.seg, image.seg_len);
		memset(image.seg + cut, 0, image.seg_len - cut);
		image_restore(&image, path, image.seg_len);
		log = volume_open(path);
		assert_int_equal(log_last(log), LSN_MAKE(1, 7));
		append_counters(log, 1000, 2);
		log_close(&log);
		assert_int_equal(open_and_replay(path, 0, t), 0);
		assert_int_equal(t->count, 9);
		assert_int_equal(t->value[8], 1001);
		assert_int_equal(t->lsn[7], LSN_MAKE(2, 1));
		free(image.seg);
		image.seg = whole;
	}
	image_free(&image);
	volume_remove(path);
	free(t);
}

/* Each byte of the fourth of eight frames, and of the last one. Later frames hold a mark above the
 * fourth: damage. */
static void
test_bit_flips(void **state)
{
	struct told *t = told_new();
	struct image image;
	uint64_t ends[8];
	char path[64];

	(void)state;
	image = crashed_volume(path, 8, ends);
	for (uint64_t at = ends[2]; at < ends[3]; at++) {
		image.seg[at] ^= 0x40;
		image_restore(&image, path, image.seg_len);
		assert_int_equal(open_and_replay(path, 0, t), 1);
		/* and again by each replay: the damage stays known */
		assert_int_equal(t->findings, 1);
		assert_int_equal(t->count, 7);
		for (size_t i = 0; i < 7; i++)
			assert_int_equal(t->value[i], i < 3 ? i + 1 : i + 2);
		assert_int_equal(t->found_offset, ends[2]);
		assert_int_equal(t->found_len, ends[3] - ends[2]);
		assert_int_equal(t->found_first, LSN_MAKE(1, 4));
		image.seg[at] ^= 0x40;
	}
	for (uint64_t at = ends[6]; at < ends[7]; at++) {
		image.seg[at] ^= 0x01;
		image_restore(&image, path, image.seg_len);
		/* nobody knows that it was synced */
		assert_int_equal(open_and_replay(path, 0, t), 0);
		assert_int_equal(t->count, 7);
		image_restore(&image, path, image.seg_len);
		assert_int_equal(open_and_replay(path, LSN_MAKE(1, 8), t), 1);  /* the index does */
		assert_int_equal(t->count, 7);
		image.seg[at] ^= 0x01;
	}
	image_free(&image);
	volume_remove(path);
	free(t);
}

/* Everything below a sealed length is damage, whatever the marks say; the last frame too. */
static void
test_flip_in_sealed(void **state)
{
	struct told *t = told_new();
	struct image image;
	uint64_t ends[8];
	char path[64];
	size_t len;
	uint8_t *seg;

	(void)state;
	image = crashed_volume(path, 8, ends);          /* closed meanwhile: sealed */
	seg = slurp(path, "log/s-1-1.seg", &len);
	seg[ends[7] - 1] ^= 1;
	spit(path, "log/s-1-1.seg", seg, len);
	assert_int_equal(open_and_replay(path, 0, t), 0);
	assert_int_equal(t->findings, 1);
	assert_int_equal(t->count, 7);
	spit(path, "log/s-1-1.seg", seg, ends[3] + 5);  /* and a file that is too short */
	open_and_replay(path, 0, t);
	assert_int_equal(t->findings, 1);
	assert_int_equal(t->count, 4);
	seg[ends[7] - 1] ^= 1;
	seg[44] ^= 1;   /* the segment's own header: the head has its key too */
	spit(path, "log/s-1-1.seg", seg, len);
	open_and_replay(path, 0, t);
	assert_int_equal(t->findings, 1);
	assert_int_equal(t->count, 8);
	free(seg);
	image_free(&image);
	volume_remove(path);
	free(t);
}

/* Unsynced writes reach the disk in any order: bad, then good, is a legal torn tail when no mark
 * says otherwise. */
static void
test_unsynced_out_of_order(void **state)
{
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct image image;
	struct log_batch *b;
	char path[64];
	struct log *log;
	uint64_t third;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	append_counters(log, 1, 2);
	b = batch_make(log);
	for (uint32_t v = 3; v <= 5; v++)
		assert_int_equal(append_counter(log, b, v, true, &e), RC_OK);
	replay_all(log, t, 0);
	assert_int_equal(t->count, 5);
	third = t->frame[2].offset;
	image = image_take(path);
	image.seg[third + 20] ^= 1;
	log_batch_free(&b);
	log_close(&log);
	image_restore(&image, path, image.seg_len);
	assert_int_equal(open_and_replay(path, 0, t), 0);
	assert_int_equal(t->findings, 0);
	assert_int_equal(t->count, 2);
	image_free(&image);
	volume_remove(path);
	free(t);
}

/* A mail that holds a frame's bytes, in three ways: a copy of an earlier frame, one made with the
 * segment's very key for another place, and one of another segment. The frame before it is damaged,
 * so that recovery searches its bytes. */
static void
test_forged_frame(void **state)
{
	uint8_t forged[FRAME_HDR_LEN + RECORD_HDR_LEN + 1], mail[4000];
	struct blob_chunk c = { sizeof mail, sizeof mail, 0, CHUNK_STORED, 0 };
	struct record r = { .type = RECORD_BLOB };
	struct frame_hdr h = { .body_len = RECORD_HDR_LEN + 1, .record_count = 1,
	                       .first_lsn = LSN_MAKE(1, 900) };
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct image image;
	struct log_batch *b;
	char path[64];
	struct log *log;
	uint64_t mail_frame, len;

	(void)state;
	volume_make(path);
	log = volume_open(path);
	append_counters(log, 41, 1);
	image = image_take(path);
	memset(mail, 'm', sizeof mail);
	replay_all(log, t, 0);
	len = t->frame[0].len;
	memcpy(mail + 100, image.seg + SEGMENT_HDR_LEN, len);
	frame_hdr_encode(&h, image.seg + 40, 0, forged);
	memcpy(mail + 1000, forged, sizeof forged);
	memset(image.seg + 40, 0x5a, 16);
	frame_hdr_encode(&h, image.seg + 40, SEGMENT_HDR_LEN + len + 500, forged);
	memcpy(mail + 2000, forged, sizeof forged);
	image_free(&image);
	r.u.blob = (struct record_blob){ .size = sizeof mail, .chunks = &c, .chunk_count = 1,
	                                 .data = slice_of(mail, sizeof mail) };
	b = batch_make(log);
	log_frame_begin(b, &tools_who);
	assert_int_equal(log_frame_add(b, &r, &e), RC_OK);
	log_frame_end(b);
	assert_int_equal(log_append(log, b, false, false, &e), RC_OK);
	log_batch_free(&b);
	append_counters(log, 42, 2);
	replay_all(log, t, 0);
	assert_int_equal(t->count, 4);
	mail_frame = t->frame[1].offset;
	image = image_take(path);
	log_close(&log);
	image.seg[mail_frame + 9] ^= 1; /* its header: its length is not to be trusted any more */
	image_restore(&image, path, image.seg_len);
	assert_int_equal(open_and_replay(path, 0, t), 1);
	assert_int_equal(t->count, 3);
	assert_int_equal(t->value[0], 41);
	assert_int_equal(t->value[1], 42);
	assert_int_equal(t->value[2], 43);
	image_free(&image);
	volume_remove(path);
	free(t);
}

/* Even with the key and in the right place: an LSN that was given before, or one of another epoch,
 * is no next frame. */
static void
test_wrong_lsn(void **state)
{
	static const log_lsn lsns[] = { LSN_MAKE(1, 8), LSN_MAKE(1, 1), LSN_MAKE(2, 50), 0 };
	struct told *t = told_new();
	struct image image;
	uint64_t ends[8];
	char path[64];

	(void)state;
	image = crashed_volume(path, 8, ends);
	for (size_t i = 0; i < 4; i++) {
		uint64_t len = ends[7] - ends[6];
		struct frame_hdr h;

		assert_true(frame_hdr_decode(image.seg + ends[6], image.seg + 40, ends[6], &h));
		memcpy(image.seg + ends[7], image.seg + ends[6], len);
		h.first_lsn = lsns[i];
		frame_hdr_encode(&h, image.seg + 40, ends[7], image.seg + ends[7]);
		image_restore(&image, path, image.seg_len);
		open_and_replay(path, 0, t);
		assert_int_equal(t->count, 8);
	}
	image_free(&image);
	volume_remove(path);
	free(t);
}

/* Time never goes back, whatever the clock says: not behind a frame of before the restart, nor
 * across a clean close. */
static void
test_time(void **state)
{
	const uint64_t future = UINT64_C(1) << 62;
	struct told *t = told_new();
	struct image image;
	uint64_t ends[8];
	struct frame_hdr h;
	struct log *log;
	char path[64];

	(void)state;
	image = crashed_volume(path, 8, ends);
	assert_true(frame_hdr_decode(image.seg + ends[6], image.seg + 40, ends[6], &h));
	h.time_us = future;
	frame_hdr_encode(&h, image.seg + 40, ends[6], image.seg + ends[6]);
	image_restore(&image, path, image.seg_len);
	for (uint32_t i = 0; i < 3; i++) {
		log = volume_open(path);
		append_counters(log, 9 + i, 1);
		replay_all(log, t, 0);
		assert_int_equal(t->count, 9 + i);
		assert_true(t->frame[8 + i].time_us == future);
		log_close(&log);
	}
	image_free(&image);
	volume_remove(path);
	free(t);
}

/* A roll settles what is unsynced in the segment it leaves. */
static void
test_roll_syncs(void **state)
{
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct log_batch *b;
	char path[64];
	struct log *log;

	(void)state;
	volume_make(path);
	log = volume_open_as(path, LOG_WRITE, 300, faulty_backend(), NULL);
	b = batch_make(log);
	assert_int_equal(append_counter(log, b, 1, true, &e), RC_OK);
	assert_int_equal(append_counter(log, b, 2, true, &e), RC_OK);
	fault.sync_dead = 1;
	assert_int_equal(append_counter(log, b, 3, true, &e), RC_IO);
	assert_true(log_is_dead(log));
	assert_int_equal(log_reopen(log, NULL, &e), RC_OK);
	for (uint32_t v = 3; v < 20; v++)
		assert_int_equal(append_counter(log, b, v, true, &e), RC_OK);
	replay_all(log, t, 0);
	assert_int_equal(t->count, 19);
	for (size_t i = 0; i < 19; i++)
		assert_int_equal(t->value[i], i + 1);
	log_batch_free(&b);
	log_close(&log);
	volume_remove(path);
	free(t);
}

/* A header that lies across two windows of the search is found. */
static void
test_search_edge(void **state)
{
	static uint8_t data[300000];
	struct told *t = told_new();
	struct err e = ERR_INIT;

	(void)state;
	for (size_t d = 0; d < 100; d += 9) {
		uint32_t len = (256u << 10) - 200 + (uint32_t)d, at = 0;
		struct blob_chunk c[5] = { { .raw_len = 0 } };
		struct record r = { .type = RECORD_BLOB,
		                    .u.blob = { .size = len, .chunks = c, .chunk_count = 5,
		                                                     .data = { data, len } } };
		struct image image;
		struct log_batch *b;
		char path[64];
		struct log *log;

		for (int i = 0; i < 5; i++, at += c[0].raw_len)
			c[i].raw_len = c[i].stored_len = i < 4 ? len / 5 : len - at;
		volume_make(path);
		log = volume_open(path);
		b = batch_make(log);
		log_frame_begin(b, &tools_who);
		assert_int_equal(log_frame_add(b, &r, &e), RC_OK);
		log_frame_end(b);
		assert_int_equal(log_append(log, b, false, false, &e), RC_OK);
		append_counters(log, 5, 1);
		image = image_take(path);
		log_batch_free(&b);
		log_close(&log);
		image.seg[SEGMENT_HDR_LEN + 5] ^= 1;
		image_restore(&image, path, image.seg_len);
		assert_int_equal(open_and_replay(path, 0, t), 1);
		assert_int_equal(t->count, 1);
		assert_int_equal(t->value[0], 5);
		image_free(&image);
		volume_remove(path);
	}
	free(t);
}

/* A recovery that dies before or while sealing is done again by the next one. */
static void
test_crash_in_recovery(void **state)
{
	const struct backend_ops *ops = faulty_backend();
	struct log_params p = { .mode = LOG_WRITE, .backend = ops };
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct image image;
	uint64_t ends[8];
	char path[64];
	struct log *log;

	(void)state;
	image = crashed_volume(path, 8, ends);
	image_restore(&image, path, ends[7] - 1);
	p.path = path;
	for (int i = 0; i < 3; i++) {
		fault.seal_fails = 1;
		assert_int_equal(log_open(&p, NULL, &log, &e), RC_IO);
	}
	assert_int_equal(log_open(&p, NULL, &log, &e), RC_OK);
	assert_int_equal(log_epoch(log), 5);
	assert_int_equal(log_last(log), LSN_MAKE(1, 7));
	replay_all(log, t, 0);
	assert_int_equal(t->count, 7);
	log_close(&log);
	image_free(&image);
	volume_remove(path);
	free(t);
}

/* One slot of the head torn or rotten: nothing is lost. Both: no guessing. */
static void
test_head_slots(void **state)
{
	struct log_params p = { .mode = LOG_WRITE };
	struct told *t = told_new();
	struct err e = ERR_INIT;
	struct image image;
	uint64_t ends[8];
	char path[64];
	struct log *log;

	(void)state;
	image = crashed_volume(path, 8, ends);
	p.path = path;
	for (size_t at = 0; at < 64 + 8 + 64 + 8; at += 3) {
		for (size_t slot = 0; slot < 2; slot++) {
			image.head[slot * (512 << 10) + at] ^= 0x08;
			image_restore(&image, path, image.seg_len);
			assert_int_equal(open_and_replay(path, 0, t), 1);
			assert_int_equal(t->count, 8);
			image.head[slot * (512 << 10) + at] ^= 0x08;
		}
	}
	/* a write that reached only one slot: the newer one counts */
	for (size_t slot = 0; slot < 2; slot++) {
		size_t len, half = 512 << 10;
		uint8_t *newer;

		image_restore(&image, path, image.seg_len);
		open_and_replay(path, 0, t);
		newer = slurp(path, "head", &len);
		memcpy(newer + slot * half, image.head + slot * half, half);
		spit(path, "head", newer, len);
		free(newer);
		assert_int_equal(log_open(&p, NULL, &log, &e), RC_OK);
		assert_int_equal(log_epoch(log), 3);
		log_close(&log);
	}
	image.head[20] ^= 1;
	image.head[(512 << 10) + 20] ^= 1;
	image_restore(&image, path, image.seg_len);
	assert_int_equal(log_open(&p, NULL, &log, &e), RC_CORRUPT);
	spit(path, "head", image.head, 10);
	assert_int_equal(log_open(&p, NULL, &log, &e), RC_CORRUPT);
	image_free(&image);
	volume_remove(path);
	free(t);
}

static void
test_missing_segment(void **state)
{
	struct told *t = told_new();
	struct image image;
	uint64_t ends[8];
	char path[64], seg[128];

	(void)state;
	image = crashed_volume(path, 8, ends);
	image_restore(&image, path, image.seg_len);
	snprintf(seg, sizeof seg, "%s/log/s-1-1.seg", path);
	assert_int_equal(unlink(seg), 0);
	assert_int_equal(open_and_replay(path, 0, t), 1);
	assert_int_equal(t->count, 0);
	image_free(&image);
	volume_remove(path);
	free(t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_torn_tail),
		cmocka_unit_test(test_torn_tail_zeros),
		cmocka_unit_test(test_bit_flips),
		cmocka_unit_test(test_flip_in_sealed),
		cmocka_unit_test(test_unsynced_out_of_order),
		cmocka_unit_test(test_forged_frame),
		cmocka_unit_test(test_crash_in_recovery),
		cmocka_unit_test(test_head_slots),
		cmocka_unit_test(test_missing_segment),
		cmocka_unit_test(test_wrong_lsn),
		cmocka_unit_test(test_search_edge),
		cmocka_unit_test(test_time),
		cmocka_unit_test(test_roll_syncs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
