/* store_tools - what the tests of store/ share: a scratch volume, records to append, and a list of what
 * a replay tells. */
#ifndef RESTANTE_TESTS_STORE_TOOLS_H
#define RESTANTE_TESTS_STORE_TOOLS_H

#include "store/blob.h"
#include "store/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define TOLD_MAX 4096

/* What a replay told, as numbers. */
struct told {
	log_lsn  lsn[TOLD_MAX];
	uint64_t value[TOLD_MAX];       /* a counter's uidvalidity, a blob's size */
	struct log_addr addr[TOLD_MAX];
	uint64_t data_offset[TOLD_MAX];
	struct frame_info frame[TOLD_MAX];
	size_t   count;
	size_t   findings;
	char     last_finding[200];
	struct seg_id found_seg;
	uint64_t found_offset, found_len;
	log_lsn  found_first, found_last;
};

static inline void
told_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
           const char *what)
{
	struct told *t = arg;

	t->findings++;
	t->found_seg = seg;
	t->found_offset = offset;
	t->found_len = len;
	t->found_first = first;
	t->found_last = last;
	snprintf(t->last_finding, sizeof t->last_finding, "%s", what);
}

static inline enum rc
told_record(void *arg, const struct frame_info *f, const struct record *r,
            const struct log_addr *addr, struct err *e)
{
	struct told *t = arg;

	(void)e;
	assert_true(t->count < TOLD_MAX);
	t->lsn[t->count] = r->lsn;
	t->addr[t->count] = *addr;
	t->frame[t->count] = *f;
	t->value[t->count] = 0;
	if (r->type == RECORD_COUNTERS)
		t->value[t->count] = r->u.counters.uidvalidity;
	if (r->type == RECORD_BLOB) {
		t->value[t->count] = r->u.blob.size;
		t->data_offset[t->count] = r->u.blob.data_offset;
	}
	t->count++;
	return RC_OK;
}

static inline struct log_report
told_report(struct told *t)
{
	return (struct log_report){ t, told_found };
}

static inline struct told *
told_new(void)
{
	struct told *t = calloc(1, sizeof *t);

	assert_non_null(t);
	return t;
}

/* Replay all into an emptied list. */
static inline void
replay_all(struct log *log, struct told *t, log_lsn after)
{
	struct replay rp = { .arg = t, .after = after, .record = told_record };
	struct log_report rep = told_report(t);
	struct err e = ERR_INIT;

	memset(t, 0, sizeof *t);
	if (log_replay(log, &rp, true, &rep, &e) != RC_OK)
		fail_msg("replay: %s", e.text);
}

/* A directory of its own, with a volume in it. */
static inline void
volume_make(char path[64])
{
	struct err e = ERR_INIT;

	snprintf(path, 64, "/tmp/restante-test-XXXXXX");
	assert_non_null(mkdtemp(path));
	if (log_create(path, &e) != RC_OK)
		fail_msg("create: %s", e.text);
}

static inline void
volume_remove(const char *path)
{
	char cmd[128];

	assert_true(strncmp(path, "/tmp/restante-test-", 19) == 0);
	snprintf(cmd, sizeof cmd, "rm -rf '%s'", path);
	assert_int_equal(system(cmd), 0);
}

static inline struct log *
volume_open_as(const char *path, enum log_mode mode, uint64_t max_segment,
               const struct backend_ops *ops, struct told *t)
{
	struct log_params p = { .path = path, .mode = mode, .max_segment = max_segment,
	                        .backend = ops };
	struct log_report rep = told_report(t);
	struct err e = ERR_INIT;
	struct log *log;

	if (log_open(&p, t != NULL ? &rep : NULL, &log, &e) != RC_OK)
		fail_msg("open: %s", e.text);
	return log;
}

static inline struct log *
volume_open(const char *path)
{
	return volume_open_as(path, LOG_WRITE, 0, NULL, NULL);
}

static inline struct log_batch *
batch_make(struct log *log)
{
	struct log_batch *b;
	struct err e = ERR_INIT;

	assert_int_equal(log_batch_new(log, &b, &e), RC_OK);
	return b;
}

static const struct frame_who tools_who = { .account = 7, .session = 99, .protocol = PROTO_IMAP };

/* One frame with one counters record. */
static inline log_lsn
add_counter(struct log_batch *b, uint32_t value)
{
	struct record r = { .type = RECORD_COUNTERS, .u.counters.uidvalidity = value };
	struct err e = ERR_INIT;

	log_frame_begin(b, &tools_who);
	assert_int_equal(log_frame_add(b, &r, &e), RC_OK);
	log_frame_end(b);
	return r.lsn;
}

static inline enum rc
append_counter(struct log *log, struct log_batch *b, uint32_t value, bool unsynced, struct err *e)
{
	log_batch_reset(b);
	add_counter(b, value);
	return log_append(log, b, unsynced, false, e);
}

/* n frames, one append each, with values from first on. */
static inline void
append_counters(struct log *log, uint32_t first, uint32_t n)
{
	struct log_batch *b = batch_make(log);
	struct err e = ERR_INIT;

	for (uint32_t i = 0; i < n; i++)
		if (append_counter(log, b, first + i, false, &e) != RC_OK)
			fail_msg("append: %s", e.text);
	log_batch_free(&b);
}

/* Deterministic numbers. */
static inline uint32_t
next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

#endif
