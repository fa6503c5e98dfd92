/* compact_fixture - volumes of several segments for the tests of compaction: mails that do not shrink,
 * compactions in one line, and what is served, kept to be compared. */
#ifndef RESTANTE_TESTS_UNIT_COMPACT_FIXTURE_H
#define RESTANTE_TESTS_UNIT_COMPACT_FIXTURE_H

#include "tests/unit/volume_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "store/compact.h"
#include "store/piece.h"

#define CF_HOUR_US     UINT64_C(3600000000)
#define CF_SEGMENT     60000u
#define CF_MAILS_MAX   4096u

/* A mail of about `kib` KiB that does not compress; `n` makes it another one. */
static inline struct slice
cf_big_mail(uint32_t n, size_t kib)
{
	static char mail[4u << 20];
	size_t len = (size_t)snprintf(mail, sizeof mail,
	    "From: a@example.org\r\nSubject: %u\r\nMessage-ID: <%u@example.org>\r\n\r\n", n, n);
	uint32_t x = n * 2654435761u + 1;

	for (size_t i = 0; i < kib * 1024; i++) {
		x = x * 1664525u + 1013904223u;
		mail[len++] = i % 70 == 69 ? '\n' : (char)(33 + (x >> 16) % 90);
	}
	return slice_of((const uint8_t *)mail, len);
}

static inline void
cf_open_small(void)
{
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE,
	                           .max_segment = CF_SEGMENT,
		                   .report = { NULL, fx_found } };
	struct err e = ERR_INIT;

	volume_close(&fx_v);
	if (volume_open(&p, &fx_v, &e) != RC_OK)
		fail_msg("open: %s", e.text);
}

static inline void
cf_finding(void *arg, const struct check_finding *f)
{
	unsigned *count = arg;

	++*count;
	fprintf(stderr, "check: %s\n", f->what);
}

static inline void
cf_check_clean(void)
{
	unsigned findings = 0;
	const struct check_report rep = { .arg = &findings, .found = cf_finding };
	struct check_result r;
	struct err e = ERR_INIT;

	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(findings, 0);
	assert_int_equal(r.damage + r.differences, 0);
}

static inline struct compact_result
cf_compact(struct compact_params p)
{
	struct compact_result r;
	struct err e = ERR_INIT;

	if (volume_compact(fx_v, &p, &r, &e) != RC_OK)
		fail_msg("compact: %s", e.text);
	return r;
}

/* All segments, nothing kept back. */
static inline struct compact_result
cf_compact_all(void)
{
	return cf_compact((struct compact_params){ .all = true });
}

/* ---- what is served ---- */

struct cf_mail {
	mailbox_id   mailbox;
	mail_uid     uid;
	blob_id      blob;
	struct slice bytes;     /* heap */
};

/* Messages as they were read once. */
struct cf_served {
	struct cf_mail *mails;
	size_t          count;
};

static inline void
cf_served_add(struct cf_served *s, mailbox_id box)
{
	struct err e = ERR_INIT;
	struct message_row *rows;
	struct buf b;
	size_t n;

	if (s->mails == NULL)
		s->mails = calloc(CF_MAILS_MAX, sizeof *s->mails);
	assert_non_null(s->mails);
	rows = fx_rows(box, WANT_PLACE, &n);
	buf_init(&b, 8u << 20);
	for (size_t i = 0; i < n; i++) {
		buf_reset(&b);
		assert_int_equal(volume_read_blob(fx_v, &rows[i].place, 0, UINT64_MAX, &b, &e),
		                 RC_OK);
		assert_true(s->count < CF_MAILS_MAX);
		s->mails[s->count++] = (struct cf_mail){ box, rows[i].uid, rows[i].blob,
		                                         unit_copy(buf_slice(&b)) };
	}
	buf_fini(&b);
}

static inline void
cf_served_drop(struct cf_served *s)
{
	for (size_t i = 0; i < s->count; i++)
		unit_drop(s->mails[i].bytes);
	free(s->mails);
	*s = (struct cf_served){ NULL, 0 };
}

static inline const struct message_row *
cf_row(const struct message_row *rows, size_t n, mail_uid uid)
{
	for (size_t i = 0; i < n; i++)
		if (rows[i].uid == uid)
			return &rows[i];
	return NULL;
}

/* All of them can be read as they were, but for those of the blob `lost` (0: none), which are refused. How many
 * are. */
static inline size_t
cf_served_check(const struct cf_served *s, blob_id lost)
{
	const struct message_row *rows = NULL;
	size_t n = 0, refused = 0;
	struct buf b;

	buf_init(&b, 8u << 20);
	for (size_t i = 0; i < s->count; i++) {
		const struct cf_mail *m = &s->mails[i];
		const struct message_row *row;
		struct err e = ERR_INIT;
		enum rc rc;

		if (i == 0 || m->mailbox != s->mails[i - 1].mailbox)
			rows = fx_rows(m->mailbox, WANT_PLACE, &n);
		row = cf_row(rows, n, m->uid);
		assert_non_null(row);
		buf_reset(&b);
		rc = volume_read_blob(fx_v, &row->place, 0, UINT64_MAX, &b, &e);
		if (rc != (m->blob == lost ? RC_CORRUPT : RC_OK))
			fail_msg("UID %u: %d, %s", m->uid, (int)rc, e.text);
		refused += rc != RC_OK;
		if (rc == RC_OK)
			assert_true(slice_eq(buf_slice(&b), m->bytes));
	}
	buf_fini(&b);
	return refused;
}

/* ---- bytes ---- */

/* A byte of a piece of the volume in `dir` becomes another; a second time, it is mended. */
static inline void
cf_flip(const char *dir, const struct seg_id *id, uint64_t at, uint8_t x)
{
	char name[PIECE_NAME_LEN], path[400];
	uint8_t c;
	int fd;

	piece_name(id, name);
	(void)snprintf(path, sizeof path, "%s/log/%s", dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &c, 1, (off_t)at), 1);
	c ^= x;
	assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
	assert_int_equal(close(fd), 0);
}

static inline bool
cf_is_listed(const struct seg_id *id, enum segment_state state)
{
	struct root_segment *segs;
	struct err e = ERR_INIT;
	uint32_t count;
	bool found = false;

	assert_int_equal(log_list_segments(volume_log(fx_v), &segs, &count, &e), RC_OK);
	for (uint32_t i = 0; i < count; i++)
		found = found || (seg_id_same(&segs[i].id, id) && segs[i].state == state);
	free(segs);
	return found;
}

static inline enum rc
cf_count_blob(void *arg, const struct frame_info *f, const struct record *r,
              const struct log_addr *addr, struct err *e)
{
	size_t *n = arg;

	(void)f, (void)addr, (void)e;
	*n += r->type == RECORD_BLOB;
	return RC_OK;
}

/* How many messages' contents the log holds, as far as it can be read. */
static inline size_t
cf_blobs(void)
{
	size_t n = 0;
	struct replay rp = { .arg = &n, .record = cf_count_blob };
	struct err e = ERR_INIT;

	assert_int_equal(log_replay(volume_log(fx_v), &rp, false, NULL, &e), RC_OK);
	return n;
}

#endif
