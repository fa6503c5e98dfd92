/* test_bitrot - every byte of a small volume's files is changed in turn: check tells where, in
 * which frame and record, and whose mailbox and message it is; and all the rest is served
 * meanwhile. [FIELD s5, property 5]
 *
 * The volume has a frame of every kind, a sealed and an open segment, and an out-of-line body. */
#include "tests/unit/volume_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "index/volume_impl.h"
#include "store/head.h"
#include "store/piece.h"

#define FRAMES_MAX 40
#define WHOM_MAX   4

/* One mailbox, or an account alone, that a frame concerns. */
struct whom {
	const char *account, *mailbox, *uids;
};

static struct step {
	const char      *name;
	const char      *records;
	struct whom      whom[WHOM_MAX];
	struct frame_info f;
} steps[FRAMES_MAX];
static size_t step_count;

static struct {
	mailbox_id inbox, sent, ben_inbox;
	account_id anna, ben;
	struct seg_id body;
	uint64_t   body_len;
} box;

/* What is read while a byte is wrong. */
static struct kept_mail {
	mailbox_id  mailbox;
	mail_uid    uid;
	struct slice bytes;
	struct message_row row;
} mails[20];
static size_t mail_count;

/* ---- the volume ---- */

static enum rc
see_record(void *arg, const struct frame_info *f, const struct record *r,
           const struct log_addr *addr, struct err *e)
{
	(void)arg, (void)addr, (void)e, (void)f;
	if (r->type == RECORD_BLOB && r->u.blob.body.len > 0) {
		box.body = r->u.blob.body.seg;
		box.body_len = r->u.blob.body.len;
	}
	return RC_OK;
}

static enum rc
see_frame(void *arg, const struct frame_info *f, struct err *e)
{
	(void)e;
	*(struct frame_info *)arg = *f;
	return RC_OK;
}

/* The change that has just been made is the last frame of the log. */
static void
done(const char *name, const char *records, struct whom a, struct whom b)
{
	struct step *s = &steps[step_count++];
	struct replay rp = { .arg = &s->f, .record = see_record, .frame = see_frame };
	struct err e = ERR_INIT;

	assert_true(step_count < FRAMES_MAX);
	s->name = name;
	s->records = records;
	s->whom[0] = a;
	s->whom[1] = b;
	assert_int_equal(log_replay(fx_v->log, &rp, false, NULL, &e), RC_OK);
	assert_true(step_count < 2 || steps[step_count - 2].f.first_lsn != s->f.first_lsn);
}

/* The bytes of an earlier message are another's too. */
static void
also(const char *name, struct whom w)
{
	for (size_t i = 0; i < step_count; i++)
		for (size_t k = 0; strcmp(steps[i].name, name) == 0 && k < WHOM_MAX; k++)
			if (steps[i].whom[k].account == NULL) {
				steps[i].whom[k] = w;
				break;
			}
}

#define NOBODY           ((struct whom){ NULL, NULL, NULL })
#define ACCOUNT(a)       ((struct whom){ a, NULL, NULL })
#define MAILBOX(a, m)    ((struct whom){ a, m, NULL })
#define MESSAGES(a, m, u) ((struct whom){ a, m, u })

#define ACCOUNT_RECORDS "counters, account, credential, mailbox, subscription"

/* A frame with a message whose few bytes lie in a body of their own, as only large ones do. */
static void
append_with_body(void)
{
	struct log_params lp = { .path = fx_dir, .mode = LOG_WRITE };
	static const char text[] = "Subject: away\r\n\r\nout of line\r\n";
	const struct frame_who who = { .account = box.anna, .protocol = PROTO_SYSTEM };
	struct record blob = { .type = RECORD_BLOB }, messages = { .type = RECORD_MESSAGES };
	struct mailbox_info inbox = fx_mailbox(box.anna, "INBOX");
	struct ingested *m = fx_ingest(SLICE(TEST_MAIL));
	struct slice summary = arena_dup(&fx_arena, ingested_blob(m)->summary), data;
	struct record_message one;
	struct blob_writer *w;
	struct log_batch *b;
	struct log_body *body;
	struct log *log;
	struct err e = ERR_INIT;

	ingested_unref(&m);
	volume_close(&fx_v);
	assert_int_equal(log_open(&lp, NULL, &log, &e), RC_OK);
	assert_int_equal(blob_writer_new(log, &w, &e), RC_OK);
	assert_int_equal(blob_writer_feed(w, slice_str(text), BLOB_TEXT, &e), RC_OK);
	assert_int_equal(blob_writer_finish(w, &blob.u.blob, &e), RC_OK);
	data = blob.u.blob.data;
	assert_int_equal(log_body_begin(log, &body, &e), RC_OK);
	assert_int_equal(log_body_write(body, data, &e), RC_OK);
	assert_int_equal(log_body_finish(&body, &blob.u.blob.body, &e), RC_OK);
	blob.u.blob.data = SLICE_NONE;
	blob.u.blob.header_len = 17;
	blob.u.blob.summary = summary;
	assert_int_equal(log_batch_new(log, &b, &e), RC_OK);
	log_frame_begin(b, &who);
	assert_int_equal(log_frame_add(b, &blob, &e), RC_OK);
	one = (struct record_message){ .blob = blob.lsn, .keywords = SLICE(""),
	                               .threadid = blob.lsn };
	messages.u.messages = (struct record_messages){ .mailbox = box.inbox,
	                                                .modseq = inbox.highestmodseq + 1,
		.first_uid = inbox.uidnext, .messages = &one, .count = 1 };
	assert_int_equal(log_frame_add(b, &messages, &e), RC_OK);
	log_frame_end(b);
	assert_int_equal(log_append(log, b, false, false, &e), RC_OK);
	log_batch_free(&b);
	blob_writer_free(&w);
	log_close(&log);
	fx_open();
}

static void
set_password(account_id id)
{
	struct change *c = fx_change(CHANGE_CREDENTIAL);

	c->u.account.id = id;
	c->u.account.credential_name = SLICE("password");
	c->u.account.credential_value = SLICE("SCRAM-SHA-256$y");
	assert_int_equal(fx_run(c), RC_OK);
}

static void
set_quota(account_id id)
{
	struct change *c = fx_change(CHANGE_ACCOUNT_QUOTA);

	c->u.account.id = id;
	c->u.account.quota_bytes = 1 << 20;
	assert_int_equal(fx_run(c), RC_OK);
}

static void
subscribe(account_id id)
{
	struct change *c = fx_change(CHANGE_SUBSCRIBE);

	c->u.subscribe = (struct change_subscribe){ id, SLICE("news"), true };
	assert_int_equal(fx_run(c), RC_OK);
}

/* The first segment is sealed: the volume was closed behind it. */
static void
fill_sealed(void)
{
	struct change *c;
	mailbox_id both[2];

	box.anna = fx_account("anna");
	done("account", ACCOUNT_RECORDS, ACCOUNT("anna"), NOBODY);
	box.ben = fx_account("ben");
	done("another", ACCOUNT_RECORDS, ACCOUNT("ben"), NOBODY);
	both[0] = box.inbox = fx_box(box.anna, "INBOX");
	both[1] = box.ben_inbox = fx_box(box.ben, "INBOX");
	box.sent = fx_box(box.anna, "Sent");
	(void)fx_append(box.inbox, SLICE(TEST_MAIL), 0, "");
	done("message", "blob, messages", MESSAGES("anna", "INBOX", "1"), NOBODY);
	c = fx_make_append(both, 2, SLICE("Subject: two\r\n\r\nfor both\r\n"), 0, "k");
	assert_int_equal(fx_run(c), RC_OK);
	done("two recipients", "blob, messages", MESSAGES("anna", "INBOX", "2"),
	     MESSAGES("ben", "INBOX", "1"));
	(void)fx_store(box.inbox, 1, 2, STORE_ADD, FLAG_SEEN, "work");
	done("flags", "flags", MESSAGES("anna", "INBOX", "1:2"), NOBODY);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, box.inbox, 1, 2, box.sent)), RC_OK);
	done("copy", "messages", MESSAGES("anna", "Sent", "1:2"), NOBODY);
	also("message", MESSAGES("anna", "Sent", "1"));
	also("two recipients", MESSAGES("anna", "Sent", "2"));
	assert_int_equal(
	    fx_run(fx_make_copy(CHANGE_MOVE, box.inbox, 2, 2, fx_box(box.anna, "Trash"))), RC_OK);
	done("move", "messages, expunge", MESSAGES("anna", "Trash", "1"),
	    MESSAGES("anna", "INBOX", "2"));
	also("two recipients", MESSAGES("anna", "Trash", "1"));
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, box.ben, "new", NULL), RC_OK);
	done("create", "counters, mailbox", MAILBOX("ben", "new"), NOBODY);
}

static void
fill_open(void)
{
	set_password(box.ben);
	done("password", "credential", ACCOUNT("ben"), NOBODY);
	set_quota(box.anna);
	done("quota", "account", ACCOUNT("anna"), NOBODY);
	subscribe(box.ben);
	done("subscription", "subscription", ACCOUNT("ben"), NOBODY);
	(void)fx_append(box.inbox, SLICE("Subject: late\r\n\r\none more\r\n"), 0, "");
	done("late message", "blob, messages", MESSAGES("anna", "INBOX", "4"), NOBODY);
	(void)fx_expunge(box.sent, 2, 2);
	done("expunge", "expunge", MESSAGES("anna", "Sent", "2"), NOBODY);
}

static int
setup(void **state)
{
	char cmd[1024];

	step_count = mail_count = 0;
	if (fx_setup(state) != 0)
		return -1;
	fill_sealed();
	append_with_body();
	done("out of line", "blob, messages", MESSAGES("anna", "INBOX", "3"), NOBODY);
	fx_reopen();
	fill_open();
	/* As a kill leaves it. */
	(void)snprintf(cmd, sizeof cmd, "cp -r '%s' '%s.crash'", fx_dir, fx_dir);
	assert_int_equal(system(cmd), 0);
	volume_close(&fx_v);
	(void)snprintf(cmd, sizeof cmd, "rm -rf '%s' && mv '%s.crash' '%s'", fx_dir, fx_dir,
	               fx_dir);
	assert_int_equal(system(cmd), 0);
	fx_open_as(VOLUME_READ);
	return 0;
}

/* ---- what check tells ---- */

struct seen {
	const struct step *want;        /* NULL: anything about the right piece will do */
	struct seg_id      seg;
	bool               hit;         /* the piece, the frame, the records and all
	                                 * whom it concerns */
	unsigned           strangers;   /* named, but not concerned */
	char               last[400];
};

static bool
matches(const struct whom *w, const struct check_named *n)
{
	struct buf uids;
	bool same;

	if (!slice_eq(n->account_name, slice_str(w->account)))
		return false;
	if (w->mailbox == NULL)
		return true;
	if (!slice_eq(n->mailbox_name, slice_str(w->mailbox)))
		return false;
	if (w->uids == NULL)
		return true;
	buf_init(&uids, 1000);
	assert_true(uid_set_format(&n->uids, &uids));
	same = slice_eq(buf_slice(&uids), slice_str(w->uids));
	buf_fini(&uids);
	return same;
}

static bool
is_wanted(const struct step *s, const struct check_named *n)
{
	for (size_t i = 0; i < WHOM_MAX && s->whom[i].account != NULL; i++)
		if (matches(&s->whom[i], n))
			return true;
	return false;
}

static bool
names_all(const struct step *s, const struct check_finding *f)
{
	for (size_t i = 0; i < WHOM_MAX && s->whom[i].account != NULL; i++) {
		bool found = false;

		for (size_t k = 0; k < f->named_count && !found; k++)
			found = matches(&s->whom[i], &f->named[k]);
		if (!found)
			return false;
	}
	return true;
}

static void
on_found(void *arg, const struct check_finding *f)
{
	struct seen *s = arg;

	if (f->difference)
		return;
	(void)snprintf(s->last, sizeof s->last, "%s; %s; %s; named %zu", f->what, f->records,
	               f->mended, f->named_count);
	for (size_t i = 0; i < f->named_count; i++) {
		size_t at = strlen(s->last);

		(void)snprintf(s->last + at, sizeof s->last - at, " %.*s/%.*s",
		               (int)f->named[i].account_name.len,
		               f->named[i].account_name.ptr == NULL
		                   ? ""
		                   : (const char *)f->named[i].account_name.ptr,
		               (int)f->named[i].mailbox_name.len,
		               f->named[i].mailbox_name.ptr == NULL
		                   ? ""
		                   : (const char *)f->named[i].mailbox_name.ptr);
	}
	if (f->seg.seq != s->seg.seq ||
	    (f->seg.seq != 0 && (f->seg.epoch != s->seg.epoch || f->seg.kind != s->seg.kind)))
		return;
	if (s->want == NULL) {
		s->hit = true;
		return;
	}
	if (!f->has_frame || f->frame != s->want->f.offset ||
	    f->frame_seg.seq != s->want->f.seg.seq || f->first != s->want->f.first_lsn ||
	    !names_all(s->want, f))
		return;
	s->hit = s->want->f.offset == f->offset
	             ? strcmp(f->records, s->want->records) == 0 || f->mended[0] == '\0'
	             : strcmp(f->records, "blob") == 0;
	for (size_t i = 0; i < f->named_count; i++)
		s->strangers += !is_wanted(s->want, &f->named[i]);
}

/* ---- what is served ---- */

static void
read_mails(mailbox_id id)
{
	struct err e = ERR_INIT;
	struct message_row *rows;
	size_t count;

	rows = fx_rows(id, WANT_PLACE, &count);
	for (size_t i = 0; i < count; i++) {
		struct buf b;

		buf_init(&b, 1u << 20);
		assert_int_equal(volume_read_blob(fx_v, &rows[i].place, 0, UINT64_MAX, &b, &e),
		                 RC_OK);
		assert_true(mail_count < 20);
		mails[mail_count++] = (struct kept_mail){ id, rows[i].uid,
		                                          arena_dup(&fx_arena, buf_slice(&b)),
		                                          rows[i] };
		buf_fini(&b);
	}
}

/* All but what the byte is in, and that is refused. How many are refused. */
static unsigned
check_served(const struct seg_id *seg, uint64_t at)
{
	unsigned refused = 0;

	for (size_t i = 0; i < mail_count; i++) {
		const struct log_addr *a = &mails[i].row.place.addr;
		bool hurt = a->seg.seq == seg->seq && a->seg.epoch == seg->epoch &&
		            a->seg.kind == seg->kind && at >= a->offset && at < a->offset + a->len;
		struct err e = ERR_INIT;
		struct buf b;
		enum rc rc;

		buf_init(&b, 1u << 20);
		rc = volume_read_blob(fx_v, &mails[i].row.place, 0, UINT64_MAX, &b, &e);
		if (rc != (hurt ? RC_CORRUPT : RC_OK))
			fail_msg("byte %llu: mail %zu: %s", (unsigned long long)at, i, e.text);
		if (!hurt)
			assert_true(slice_eq(buf_slice(&b), mails[i].bytes));
		refused += hurt;
		buf_fini(&b);
	}
	return refused;
}

/* ---- the bytes ---- */

static int fd;

static void
flip(uint64_t at, uint8_t x)
{
	uint8_t c;

	assert_int_equal(pread(fd, &c, 1, (off_t)at), 1);
	c ^= x;
	assert_int_equal(pwrite(fd, &c, 1, (off_t)at), 1);
}

static void
open_piece(const struct seg_id *seg)
{
	char name[PIECE_NAME_LEN], path[400];

	piece_name(seg, name);
	(void)snprintf(path, sizeof path, "%s/log/%s", fx_dir, name);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
}

static struct {
	unsigned tried, refused, strangers;
} counts;

static void
one_byte(const struct seg_id *seg, uint64_t at, const struct step *want)
{
	static const uint8_t changes[] = { 0x01, 0xFF, 0x80, 0x10 };
	struct seen s = { .want = want, .seg = *seg };
	const struct check_report rep = { &s, on_found };
	struct check_result r;
	struct err e = ERR_INIT;
	uint8_t x = changes[counts.tried++ % sizeof changes];

	flip(at, x);
	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, &r, &e), RC_OK);
	if (r.damage == 0 || !s.hit)
		fail_msg("byte %llu of %llu-%u ^ %02x (%s, frame at %llu): %u findings, the last: "
		         "%s",
		         (unsigned long long)at, (unsigned long long)seg->seq, seg->epoch, x,
		         want != NULL ? want->name : "no frame",
		         want != NULL ? (unsigned long long)want->f.offset : 0, (unsigned)r.damage,
		         s.last);
	if (s.strangers > 0 && getenv("UNIT_VERBOSE") != NULL)
		print_message("byte %llu (%s): %s\n", (unsigned long long)at, want->name, s.last);
	counts.strangers += s.strangers;
	counts.refused += check_served(seg, at);
	flip(at, x);
}

static const struct step *
step_at(const struct seg_id *seg, uint64_t at)
{
	for (size_t i = 0; i < step_count; i++) {
		const struct frame_info *f = &steps[i].f;

		if (f->seg.seq == seg->seq && f->seg.epoch == seg->epoch && at >= f->offset &&
		    at < f->offset + f->len)
			return &steps[i];
	}
	return NULL;
}

/* Every byte; a sanitizer, which makes all of it many times slower, gets a sample. */
#if defined(__SANITIZE_THREAD__)
#define SAMPLE 37u
#elif defined(__SANITIZE_ADDRESS__)
#define SAMPLE 11u
#else
#define SAMPLE 1u
#endif

/* Up to where its frames end. */
static void
every_byte_of_segment(const struct seg_id *seg)
{
	uint64_t end = 0;

	for (size_t i = 0; i < step_count; i++)
		if (steps[i].f.seg.seq == seg->seq && steps[i].f.seg.epoch == seg->epoch)
			end = steps[i].f.offset + steps[i].f.len;
	open_piece(seg);
	for (uint64_t at = 0; at < end; at += SAMPLE)
		one_byte(seg, at, step_at(seg, at));
	(void)close(fd);
}

static void
test_every_byte_of_the_log(void **state)
{
	const struct step *away = &steps[0];
	struct check_result r;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < step_count; i++)
		if (strcmp(steps[i].name, "out of line") == 0)
			away = &steps[i];
	read_mails(box.inbox);
	read_mails(box.sent);
	read_mails(box.ben_inbox);
	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage + r.differences, 0);
	for (size_t i = 0; i < step_count; i++)
		if (i == 0 || steps[i].f.seg.seq != steps[i - 1].f.seg.seq ||
		    steps[i].f.seg.epoch != steps[i - 1].f.seg.epoch)
			every_byte_of_segment(&steps[i].f.seg);
	open_piece(&box.body);
	assert_true(box.body_len > 0);
	for (uint64_t at = 0; at < box.body_len; at += SAMPLE)
		one_byte(&box.body, at, away);
	(void)close(fd);
	print_message("%u bytes changed, %u times a message was refused, %u strangers named\n",
	              counts.tried, counts.refused, counts.strangers);
	assert_true(counts.refused > 0);
	assert_int_equal(counts.strangers, 0);
	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage + r.differences, 0);
}

/* Of both slots, all that is used. */
static void
test_every_byte_of_the_head(void **state)
{
	const struct seg_id none = { 0, 0, 0 };
	char path[400];

	(void)state;
	(void)snprintf(path, sizeof path, "%s/head", fx_dir);
	fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	for (unsigned slot = 0; slot < 2; slot++) {
		uint8_t len[4];
		uint32_t used;

		assert_int_equal(pread(fd, len, 4, (off_t)(slot * HEAD_SLOT_LEN + 8)), 4);
		used = (uint32_t)len[0] | (uint32_t)len[1] << 8;
		assert_true(used > 100 && used < 10000);
		for (uint32_t at = 0; at < used; at += SAMPLE)
			one_byte(&none, slot * (uint64_t)HEAD_SLOT_LEN + at, NULL);
	}
	(void)close(fd);
}

/* ---- scrub ---- */

/* What does not change any more: the sealed segment and the body; every 7th byte. */
static void
scrub_bytes(const struct seg_id *seg, uint64_t end, const struct step *want)
{
	open_piece(seg);
	for (uint64_t at = 0; at < end; at += 7) {
		const struct step *step = want != NULL ? want : step_at(seg, at);
		struct seen s = { .want = step, .seg = *seg };
		const struct check_report rep = { &s, on_found };
		struct scrub_result r;
		struct err e = ERR_INIT;

		flip(at, 0x20);
		assert_int_equal(volume_scrub(fx_v, &rep, NULL, NULL, &r, &e), RC_OK);
		if (r.findings == 0 || !s.hit)
			fail_msg("byte %llu (%s): %u findings, the last: %s",
			         (unsigned long long)at, step != NULL ? step->name : "no frame",
			         (unsigned)r.findings, s.last);
		flip(at, 0x20);
	}
	(void)close(fd);
}

static void
test_scrub_finds_it_too(void **state)
{
	const struct step *away = NULL, *last = &steps[0];
	struct scrub_result r;
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < step_count; i++) {
		away = strcmp(steps[i].name, "out of line") == 0 ? &steps[i] : away;
		last = steps[i].f.seg.seq == steps[0].f.seg.seq ? &steps[i] : last;
	}
	assert_int_equal(volume_scrub(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	assert_true(r.findings == 0 && r.segments >= 2 && r.blobs >= 3);
	scrub_bytes(&steps[0].f.seg, last->f.offset + last->f.len, NULL);
	scrub_bytes(&box.body, box.body_len, away);
}

static struct scrub_status
scrub_status(void)
{
	struct volume_status st;
	struct err e = ERR_INIT;

	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	return st.scrub;
}

/* In the background: a round ends, the next one does not begin at once, and where it was is known
 * to the next start. */
static void
test_scrub_in_the_background(void **state)
{
	const struct timespec pause = { 0, 10 * 1000000L };
	uint64_t damage;

	(void)state;
	volume_close(&fx_v);
	fx_open();
	open_piece(&steps[2].f.seg);
	flip(steps[2].f.offset + 100, 1);
	assert_int_equal(scrub_status().rate, 0);
	volume_set_scrub_rate(fx_v, 100u << 20);
	for (int i = 0; i < 3000 && scrub_status().rounds == 0; i++)
		(void)nanosleep(&pause, NULL);
	assert_int_equal(scrub_status().rounds, 1);
	assert_int_equal(scrub_status().last_findings, 1);
	assert_true(scrub_status().ended_us > 0);
	damage = fx_findings;
	flip(steps[2].f.offset + 100, 1);
	fx_reopen();
	volume_set_scrub_rate(fx_v, 100u << 20);
	for (int i = 0; i < 20; i++)
		(void)nanosleep(&pause, NULL);
	volume_set_scrub_rate(fx_v, 1);
	assert_int_equal(scrub_status().rounds, 1);
	volume_set_scrub_rate(fx_v, 0);
	assert_int_equal(scrub_status().rate, 0);
	assert_int_equal(fx_findings, damage);  /* told by itself, not as a finding of the open */
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_byte_of_the_log, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_every_byte_of_the_head, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_scrub_finds_it_too, setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_scrub_in_the_background, setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
