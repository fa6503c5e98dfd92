/* compaction of a damaged volume: nothing of a damaged segment is rewritten, no message's content
 * is given up anywhere, all the rest is served, check tells the same before and after; and once the
 * bytes are mended, compaction goes on. [design 3]
 *
 * Damage is there before, or comes at a moment that a compaction's progress shows: between survey
 * and rewrite, between writing and reading back, between that and the index's learning of it. */
#include "tests/unit/compact_fixture.h"

#include <dirent.h>

static struct {
	account_id       anna;
	mailbox_id       inbox, work;
	struct cf_served served;
} vol;

static int
setup(void **state)
{
	if (fx_setup(state) != 0)
		return -1;
	vol.anna = fx_account("anna");
	vol.inbox = fx_box(vol.anna, "INBOX");
	vol.work = fx_box(vol.anna, "Sent");
	vol.served = (struct cf_served){ NULL, 0 };
	return 0;
}

static int
teardown(void **state)
{
	cf_served_drop(&vol.served);
	return fx_teardown(state);
}

/* INBOX 1 to 30 over several segments; every third is expunged, of which 6 lives on as a copy;
 * all are flagged. */
static void
fill(void)
{
	cf_open_small();
	for (uint32_t i = 0; i < 30; i++)
		(void)fx_append(vol.inbox, cf_big_mail(i, 6), 0, "");
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, vol.inbox, 5, 6, vol.work)), RC_OK);
	(void)fx_store(vol.inbox, 1, 30, STORE_ADD, FLAG_SEEN, "");
	(void)fx_store(vol.inbox, 1, 30, STORE_ADD, FLAG_FLAGGED, "work");
	for (mail_uid uid = 3; uid <= 30; uid += 3)
		(void)fx_expunge(vol.inbox, uid, uid);
	cf_served_add(&vol.served, vol.inbox);
	cf_served_add(&vol.served, vol.work);
	assert_int_equal(vol.served.count, 22);
}

static struct message_row
row_of(mailbox_id box, mail_uid uid)
{
	size_t n;
	const struct message_row *rows = fx_rows(box, WANT_PLACE, &n), *row = cf_row(rows, n, uid);

	assert_non_null(row);
	return *row;
}

static bool
lies_there(mailbox_id box, mail_uid uid, const struct seg_id *seg)
{
	struct message_row row = row_of(box, uid);

	return seg_id_same(&row.place.addr.seg, seg);
}

/* ---- what check tells ---- */

struct told {
	unsigned findings, differences;
	bool     named;                 /* INBOX and this UID */
	mail_uid uid;
	struct seg_id seg;
	uint64_t frame;
	char     text[300];
};

static void
on_found(void *arg, const struct check_finding *f)
{
	struct told *t = arg;

	if (f->difference) {
		t->differences++;
		return;
	}
	t->findings++;
	t->seg = f->seg;
	t->frame = f->has_frame ? f->frame : 0;
	(void)snprintf(t->text, sizeof t->text, "%s", f->what);
	for (size_t i = 0; i < f->named_count; i++)
		t->named = t->named || (slice_eq(f->named[i].account_name, SLICE("anna")) &&
		                        slice_eq(f->named[i].mailbox_name, SLICE("INBOX")) &&
		                        uid_set_contains(&f->named[i].uids, t->uid));
}

static struct told
check_for(mail_uid uid)
{
	struct told t = { .uid = uid };
	const struct check_report rep = { &t, on_found };
	struct check_result r;
	struct err e = ERR_INIT;

	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, &r, &e), RC_OK);
	return t;
}

static void
expect_named(const struct seg_id *seg, mail_uid uid)
{
	struct told t = check_for(uid);

	if (t.findings != 1 || !t.named || t.frame == 0 || !seg_id_same(&t.seg, seg))
		fail_msg("%u findings, %s, frame at %llu of %llu-%u: %s", t.findings,
		         t.named ? "named" : "not named", (unsigned long long)t.frame,
		         (unsigned long long)t.seg.seq, t.seg.epoch, t.text);
}

/* ---- what a compaction leaves ---- */

static enum rc
try_compact(struct compact_params p, struct compact_result *r, struct err *e)
{
	*e = (struct err)ERR_INIT;
	return volume_compact(fx_v, &p, r, e);
}

/* Files in log/ of segments, and of them those that the root does not list any more. */
static unsigned
count_unlisted(void)
{
	char path[400];
	unsigned n = 0;
	struct dirent *d;
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s/log", fx_dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		unsigned long long seq;
		unsigned epoch;
		struct seg_id id;

		if (sscanf(d->d_name, "s-%llu-%u.seg", &seq, &epoch) != 2)
			continue;
		id = (struct seg_id){ seq, epoch, SEG_LOG };
		n += !cf_is_listed(&id, SEGMENT_OPEN) && !cf_is_listed(&id, SEGMENT_SEALED) &&
		     !cf_is_listed(&id, SEGMENT_COMPACTED);
	}
	closedir(dir);
	return n;
}

/* Mended: all that is dead goes now, and the index made anew says the same. */
static void
expect_it_goes_on(size_t live_blobs)
{
	struct compact_result r = cf_compact_all();

	assert_int_equal(r.damage, 0);
	assert_true(r.rewritten > 0);
	assert_int_equal(cf_blobs(), live_blobs);
	assert_int_equal(count_unlisted(), 0);
	cf_check_clean();
	assert_int_equal(cf_served_check(&vol.served, 0), 0);
}

/* ---- damage that was there before ---- */

/* The damaged segment stays where and as it was; the others are rewritten, each dead
 * content among them. */
static void
run_damaged_segment(enum segment_state state)
{
	struct message_row bad = row_of(vol.inbox, 14);
	const struct seg_id seg = bad.place.addr.seg;
	size_t blobs = cf_blobs();
	struct compact_result r;

	assert_true(cf_is_listed(&seg, state));
	cf_flip(fx_dir, &seg, bad.place.addr.offset + 100, 0x04);
	assert_int_equal(cf_blobs(), blobs - 1);
	expect_named(&seg, 14);
	r = cf_compact_all();
	assert_true(r.damage > 0 && r.rewritten > 0 && r.dead_records > 0);
	assert_true(cf_is_listed(&seg, state));
	assert_int_equal(cf_blobs(), blobs - 1);
	assert_int_equal(cf_served_check(&vol.served, bad.blob), 1);
	expect_named(&seg, 14);
	/* Again, with what was merged by now, and after a start. */
	r = cf_compact_all();
	assert_int_equal(cf_blobs(), blobs - 1);
	cf_open_small();
	expect_named(&seg, 14);
	assert_int_equal(cf_served_check(&vol.served, bad.blob), 1);
	cf_flip(fx_dir, &seg, bad.place.addr.offset + 100, 0x04);
	expect_it_goes_on(21);
	assert_false(cf_is_listed(&seg, state));
}

static void
test_sealed_segment(void **state)
{
	(void)state;
	fill();
	run_damaged_segment(SEGMENT_SEALED);
}

static void
test_compacted_segment(void **state)
{
	struct compact_result r;

	(void)state;
	fill();
	r = cf_compact((struct compact_params){ .all = true, .retention_us = CF_HOUR_US });
	assert_true(r.rewritten > 2 && r.dead_records == 0);
	run_damaged_segment(SEGMENT_COMPACTED);
}

/* A segment that is not there at all is damage like any other. */
static void
test_missing_segment(void **state)
{
	char from[400], to[400], name[PIECE_NAME_LEN];
	struct message_row bad;
	size_t blobs;

	(void)state;
	fill();
	bad = row_of(vol.inbox, 14);
	piece_name(&bad.place.addr.seg, name);
	(void)snprintf(from, sizeof from, "%s/log/%s", fx_dir, name);
	(void)snprintf(to, sizeof to, "%s/away", fx_dir);
	volume_close(&fx_v);
	assert_int_equal(rename(from, to), 0);
	cf_open_small();
	blobs = cf_blobs();
	assert_true(blobs < 30);
	assert_true(cf_compact_all().damage > 0);
	assert_int_equal(cf_blobs(), blobs);
	assert_true(check_for(14).named);
	volume_close(&fx_v);
	assert_int_equal(rename(to, from), 0);
	cf_open_small();
	assert_true(cf_is_listed(&bad.place.addr.seg, SEGMENT_SEALED));
	expect_it_goes_on(21);
}

/* A body names nothing: its damage keeps nothing else alive, and stays as it is to be told, also
 * where all that holds is compressed anew. */
static void
test_damaged_body(void **state)
{
	struct compact_result r;
	struct message_row bad, good;

	(void)state;
	(void)fx_append(vol.inbox, cf_big_mail(1, 1800), 0, "");
	(void)fx_append(vol.inbox, cf_big_mail(2, 1800), 0, "");
	(void)fx_append(vol.inbox, cf_big_mail(3, 1800), 0, "");
	(void)fx_append(vol.inbox, cf_big_mail(4, 3), 0, "");
	(void)fx_expunge(vol.inbox, 1, 1);
	cf_served_add(&vol.served, vol.inbox);
	bad = row_of(vol.inbox, 2);
	good = row_of(vol.inbox, 3);
	assert_int_equal(bad.place.addr.seg.kind, SEG_BODY);
	cf_flip(fx_dir, &bad.place.addr.seg, bad.place.addr.len / 2, 0x80);
	expect_named(&bad.place.addr.seg, 2);
	r = cf_compact_all();
	assert_int_equal(r.rewritten, 1);
	assert_int_equal(cf_blobs(), 3);
	assert_int_equal(cf_served_check(&vol.served, bad.blob), 1);
	expect_named(&bad.place.addr.seg, 2);
	r = cf_compact((struct compact_params){ .all = true, .level = 1 });
	assert_int_equal(r.rewritten, 1);
	assert_int_equal(cf_served_check(&vol.served, bad.blob), 1);
	expect_named(&bad.place.addr.seg, 2);
	assert_false(lies_there(vol.inbox, 3, &good.place.addr.seg));
	cf_flip(fx_dir, &bad.place.addr.seg, bad.place.addr.len / 2, 0x80);
	(void)cf_compact((struct compact_params){ .all = true, .level = 9 });
	assert_false(lies_there(vol.inbox, 2, &bad.place.addr.seg));
	expect_it_goes_on(3);
}

/* ---- damage that comes meanwhile ---- */

/* What happens once, at a moment of a compaction. */
struct moment {
	bool          (*is_now)(const char *what, uint64_t done, uint64_t total);
	void          (*happen)(struct moment *m);
	bool          happened;
	struct seg_id seg;
	uint64_t      at;
	blob_id       blob;
};

static bool
watch(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct moment *m = arg;

	if (!m->happened && m->is_now(what, done, total)) {
		m->happened = true;
		m->happen(m);
	}
	return true;
}

static bool
is_surveyed(const char *what, uint64_t done, uint64_t total)
{
	/* Segments' headers are in the total, and no frame's bytes. */
	return strcmp(what, "surveying") == 0 && done + 1500 > total;
}

static bool
is_rewriting(const char *what, uint64_t done, uint64_t total)
{
	(void)done, (void)total;
	return strcmp(what, "compacting") == 0;
}

/* Read, written, read back: the last third. Of one group in which nothing is dead. */
static bool
is_read_back(const char *what, uint64_t done, uint64_t total)
{
	return strcmp(what, "compacting") == 0 && done > total / 3 * 2;
}

/* All of it. */
static bool
is_verified(const char *what, uint64_t done, uint64_t total)
{
	return strcmp(what, "compacting") == 0 && done + 1000 > total;
}

static void
flip_it(struct moment *m)
{
	cf_flip(fx_dir, &m->seg, m->at, 0x20);
}

static enum rc
compact_with(struct moment *m, struct compact_params p, struct compact_result *r, struct err *e)
{
	enum rc rc;

	p.progress = watch;
	p.arg = m;
	rc = try_compact(p, r, e);
	assert_true(m->happened);
	return rc;
}

/* The rewrite reads what the survey read no more: it ends, and the next survey knows. */
static void
run_damage_before_rewrite(bool (*is_now)(const char *what, uint64_t done, uint64_t total))
{
	struct message_row bad;
	struct moment m = { .is_now = is_now, .happen = flip_it };
	struct compact_result r;
	struct err e;
	size_t blobs;

	fill();
	/* the last segment has live ones only */
	(void)fx_append(vol.inbox, cf_big_mail(40, 3), 0, "");
	bad = row_of(vol.inbox, 29);
	m.seg = bad.place.addr.seg;
	m.at = bad.place.addr.offset + bad.place.addr.len - 1;
	assert_int_equal(compact_with(&m, (struct compact_params){ .all = true }, &r, &e),
	                 RC_CORRUPT);
	assert_non_null(strstr(e.text, "does not match its sum"));
	assert_int_equal(r.damage, 0);
	assert_true(cf_is_listed(&m.seg, SEGMENT_SEALED));
	assert_int_equal(count_unlisted(), 0);
	assert_int_equal(cf_served_check(&vol.served, bad.blob), 1);
	expect_named(&m.seg, 29);
	blobs = cf_blobs();
	assert_true(cf_compact_all().damage > 0);
	assert_int_equal(cf_blobs(), blobs);
	expect_named(&m.seg, 29);
	flip_it(&m);
	expect_it_goes_on(22);
}

static void
test_between_survey_and_rewrite(void **state)
{
	(void)state;
	run_damage_before_rewrite(is_surveyed);
}

/* The groups before it were sound, and are swapped already. */
static void
test_during_the_rewrite(void **state)
{
	(void)state;
	run_damage_before_rewrite(is_rewriting);
}

/* The piece that was made last. */
static void
flip_made(struct moment *m)
{
	char path[400];
	struct dirent *d;
	DIR *dir;

	(void)snprintf(path, sizeof path, "%s/log", fx_dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		unsigned long long seq;
		unsigned epoch;

		if (sscanf(d->d_name, "s-%llu-%u.seg", &seq, &epoch) == 2 && seq > m->seg.seq)
			m->seg = (struct seg_id){ seq, epoch, SEG_LOG };
	}
	closedir(dir);
	flip_it(m);
}

/* One segment; nothing in it dies, so that it is made anew byte for byte. */
static void
fill_one(uint32_t mails)
{
	for (uint32_t i = 0; i < mails; i++)
		(void)fx_append(vol.inbox, cf_big_mail(i, 6), 0, "");
	cf_served_add(&vol.served, vol.inbox);
}

/* What was written does not come back from the disk: it is thrown away, the sources stay, and
 * nothing is lost. */
static void
test_between_writing_and_reading_back(void **state)
{
	struct moment m = { .is_now = is_read_back, .happen = flip_made };
	struct compact_result r;
	struct err e;

	(void)state;
	fill_one(150);
	m.at = row_of(vol.inbox, 140).place.addr.offset;        /* beyond what is read at once */
	assert_true(m.at > (600u << 10));
	assert_int_equal(compact_with(&m,
	                              (struct compact_params){ .all = true,
	                                                       .retention_us = CF_HOUR_US },
	                              &r, &e),
	                 RC_CORRUPT);
	assert_non_null(strstr(e.text, "as read back"));
	assert_int_equal(r.rewritten, 0);
	assert_int_equal(count_unlisted(), 0);
	cf_check_clean();
	assert_int_equal(cf_served_check(&vol.served, 0), 0);
	expect_it_goes_on(150);
}

/* The new segment rots before the index has learned of it: as long as it does not hold, the old
 * pieces stay, and what is in them is served. */
static void
test_between_reading_back_and_relocation(void **state)
{
	struct moment m = { .is_now = is_verified, .happen = flip_made };
	struct compact_result r;
	struct err e;

	(void)state;
	fill_one(8);
	m.at = row_of(vol.inbox, 5).place.addr.offset;
	assert_int_equal(compact_with(&m,
	                              (struct compact_params){ .all = true,
	                                                       .retention_us = CF_HOUR_US },
	                              &r, &e),
	                 RC_CORRUPT);
	assert_int_equal(r.rewritten, 1);
	assert_true(cf_is_listed(&m.seg, SEGMENT_COMPACTED));
	assert_int_equal(count_unlisted(), 1);
	assert_int_equal(cf_served_check(&vol.served, 0), 0);
	expect_named(&m.seg, 5);
	assert_int_equal(try_compact((struct compact_params){ .all = true }, &r, &e), RC_CORRUPT);
	fx_reopen();
	assert_int_equal(count_unlisted(), 1);
	assert_int_equal(cf_served_check(&vol.served, 0), 0);
	expect_named(&m.seg, 5);
	assert_int_equal(fx_append(vol.inbox, SLICE(TEST_MAIL), 0, ""), 9);
	flip_it(&m);
	expect_it_goes_on(9);
}

/* ---- what is written meanwhile ---- */

static void
append_and_flip(struct moment *m)
{
	mail_uid uid = fx_append(vol.work, cf_big_mail(50, 4), 0, "");
	struct message_row row = row_of(vol.work, uid);

	m->seg = row.place.addr.seg;
	m->at = row.place.addr.offset + 5;
	m->blob = row.blob;
	flip_it(m);
}

/* Nobody can tell any more whether what came since the survey names something that was to go. */
static void
test_damage_since_the_survey(void **state)
{
	struct moment m = { .is_now = is_surveyed, .happen = append_and_flip };
	struct compact_result r;
	struct err e;

	(void)state;
	fill();
	assert_int_equal(compact_with(&m, (struct compact_params){ .all = true }, &r, &e), RC_OK);
	assert_int_equal(r.rewritten, 0);
	assert_true(r.left_alone > 2);
	assert_int_equal(cf_blobs(), 30);
	assert_int_equal(count_unlisted(), 0);
	assert_int_equal(cf_served_check(&vol.served, 0), 0);
	flip_it(&m);
	expect_it_goes_on(22);
}

static void
bring_back(struct moment *m)
{
	struct change *c = fx_change(CHANGE_RESTORE);

	c->u.restore.mailbox = vol.work;
	c->u.restore.messages = arena_array(&c->arena, 1, sizeof *c->u.restore.messages);
	c->u.restore.messages[0].blob = m->blob;
	c->u.restore.messages[0].keywords = SLICE("");
	c->u.restore.count = 1;
	assert_int_equal(volume_submit_wait(fx_v, c), RC_OK);
	assert_int_equal(c->u.restore.lost, 0);
	change_free(&c);
}

/* What was dead when it was surveyed and lives when it would go, stays with its segment;
 * the others go on. */
static void
test_reference_since_the_survey(void **state)
{
	struct moment m = { .is_now = is_surveyed, .happen = bring_back };
	struct compact_result r;
	struct err e;

	(void)state;
	cf_open_small();
	for (uint32_t i = 0; i < 30; i++)
		(void)fx_append(vol.inbox, cf_big_mail(i, 6), 0, "");
	m.blob = row_of(vol.inbox, 13).blob;
	(void)fx_expunge(vol.inbox, 11, 20);
	assert_int_equal(compact_with(&m, (struct compact_params){ .all = true }, &r, &e), RC_OK);
	assert_int_equal(r.left_alone, 1);
	assert_true(r.rewritten > 0);
	cf_served_add(&vol.served, vol.work);
	assert_int_equal(vol.served.count, 1);
	assert_int_equal(vol.served.mails[0].blob, m.blob);
	expect_it_goes_on(21);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_sealed_segment),
		CASE(test_compacted_segment),
		CASE(test_missing_segment),
		CASE(test_damaged_body),
		CASE(test_between_survey_and_rewrite),
		CASE(test_during_the_rewrite),
		CASE(test_between_writing_and_reading_back),
		CASE(test_between_reading_back_and_relocation),
		CASE(test_damage_since_the_survey),
		CASE(test_reference_since_the_survey),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
