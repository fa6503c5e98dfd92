/* test_rebuild - deleting the index changes no answer, and no crash loses one [design I6].
 *
 * A random run of changes over a few accounts (its seed is printed; RESTANTE_SEED repeats one). All
 * answers of the API are written down as text; then the index is deleted, or a copy of the
 * directory taken between commits is opened, and the text must be the same.
 */
#include "tests/unit/volume_fixture.h"

#include <inttypes.h>
#include <sqlite3.h>

#include "lib/mime.h"

#define ACCOUNTS 3

static uint64_t rng;
static account_id accounts[ACCOUNTS];

static uint32_t
draw(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)((rng >> 16) % below);
}

/* ---- all answers as text ---- */

static void
dump_messages(struct buf *b, const struct mailbox_info *m)
{
	struct message_row *rows;
	struct err e = ERR_INIT;
	size_t count;

	rows = fx_rows(m->id, WANT_EXPUNGED | WANT_PLACE | WANT_SUMMARY, &count);
	for (size_t i = 0; i < count; i++) {
		const struct message_row *r = &rows[i];
		struct buf bytes;

		assert_true(buf_printf(b,
		    "  %u %u [%.*s] %" PRIu64 " %" PRId64 "%+d %" PRId64 "%+d t%" PRIu64
		    " s%" PRIu64 " b%" PRIu64 "%s sum%zu\n",
		    r->uid, r->flags, SLICE_ARG(r->keywords), r->modseq, r->internaldate.sec,
		    r->internaldate.zone_min, r->savedate.sec, r->savedate.zone_min, r->threadid,
		    r->size, r->blob, r->expunged ? " expunged" : "", r->summary.len));
		assert_true(buf_append_slice(b, r->summary));
		assert_true(buf_append(b, r->sha256, sizeof r->sha256));
		buf_init(&bytes, 1u << 20);
		if (volume_read_blob(fx_v, &r->place, 0, r->size, &bytes, &e) != RC_OK)
			fail_msg("blob of %u: %s", r->uid, e.text);
		assert_true(buf_append_slice(b, buf_slice(&bytes)));
		buf_fini(&bytes);
	}
}

static void
dump_mailbox(struct buf *b, const struct mailbox_info *m)
{
	struct view_changes vc;
	struct slice *words;
	struct err e = ERR_INIT;
	size_t count;

	assert_true(buf_printf(b,
	                       " %" PRIu64 " %.*s v%u n%u h%" PRIu64 " e%u u%u d%u/%" PRIu64
	                       " s%" PRIu64 " use%x sub%d kids%d ",
	                       m->id, SLICE_ARG(m->name), m->uidvalidity, m->uidnext,
	                       m->highestmodseq, m->exists, m->unseen, m->deleted, m->deleted_size,
	                       m->size, m->special_use, m->subscribed, m->has_children));
	for (int i = 0; i < MAILBOXID_LEN; i++)
		assert_true(buf_printf(b, "%02x", m->mailboxid[i]));
	assert_int_equal(volume_list_keywords(fx_v, m->id, &fx_arena, &words, &count, &e), RC_OK);
	for (size_t i = 0; i < count; i++)
		assert_true(buf_printf(b, " %.*s", SLICE_ARG(words[i])));
	assert_int_equal(volume_read_changes(fx_v, m->id, 1, 1, m->uidnext, 100000, &fx_arena, &vc,
	                                     &e),
	                 RC_OK);
	assert_true(buf_printf(b, "\n vanished %" PRIu64 " ", uid_set_size(&vc.vanished)));
	assert_true(uid_set_format(&vc.vanished, b));
	for (size_t i = 0; i < vc.changed_count; i++)
		assert_true(buf_printf(b, " %u", vc.changed[i].uid));
	view_changes_fini(&vc);
	assert_true(buf_printf(b, "\n"));
	dump_messages(b, m);
}

static void
dump_account(struct buf *b, const struct account_info *a)
{
	struct credential_info *creds;
	struct mailbox_info *boxes;
	struct slice *subs;
	struct err e = ERR_INIT;
	size_t count;

	assert_true(buf_printf(b,
	                       "%" PRIu64 " %.*s g%" PRIu64 " c%" PRIu64 " q%" PRIu64 "/%" PRIu64
	                       " u%" PRIu64 "/%" PRIu64 " hides %.*s\n",
	                       a->id, SLICE_ARG(a->name), a->generation, a->created_us,
	                       a->quota_bytes, a->quota_messages, a->used_bytes, a->used_messages,
	                       SLICE_ARG(a->hidden)));
	assert_int_equal(volume_list_credentials(fx_v, a->id, &fx_arena, &creds, &count, &e),
	                 RC_OK);
	for (size_t i = 0; i < count; i++)
		assert_true(buf_printf(b, " %.*s=%.*s\n", SLICE_ARG(creds[i].name),
		                       SLICE_ARG(creds[i].value)));
	assert_int_equal(volume_list_subscriptions(fx_v, a->id, &fx_arena, &subs, &count, &e),
	                 RC_OK);
	for (size_t i = 0; i < count; i++)
		assert_true(buf_printf(b, " lsub %.*s\n", SLICE_ARG(subs[i])));
	assert_int_equal(volume_list_mailboxes(fx_v, a->id, &fx_arena, &boxes, &count, &e), RC_OK);
	for (size_t i = 0; i < count; i++)
		dump_mailbox(b, &boxes[i]);
}

static void
dump_all(struct buf *b)
{
	struct account_info *list;
	struct volume_status st;
	struct err e = ERR_INIT;
	size_t count;

	buf_init(b, 256u << 20);
	arena_reset(&fx_arena);
	assert_int_equal(volume_get_status(fx_v, &st, &e), RC_OK);
	assert_true(buf_printf(b,
	                       "%" PRIu64 " accounts %" PRIu64 " mailboxes %" PRIu64
	                       " messages %" PRIu64 " expunged %" PRIu64 " blobs %" PRIu64
	                       " bytes\n",
	                       st.accounts, st.mailboxes, st.messages, st.expunged, st.blobs,
	                       st.message_bytes));
	assert_int_equal(volume_list_accounts(fx_v, SLICE_NONE, 1000, &fx_arena, &list, &count, &e),
	                 RC_OK);
	for (size_t i = 0; i < count; i++)
		dump_account(b, &list[i]);
}

static void
assert_same(const struct buf *was, const struct buf *now, const char *what)
{
	size_t at = 0;

	if (was->len == now->len && memcmp(was->ptr, now->ptr, was->len) == 0)
		return;
	while (at < was->len && at < now->len && was->ptr[at] == now->ptr[at])
		at++;
	at = at > 60 ? at - 60 : 0;
	(void)fprintf(stderr, "was: %.*s\nnow: %.*s\n", 160, (const char *)was->ptr + at, 160,
	              (const char *)now->ptr + at);
	fail_msg("answers differ: %s", what);
}

static void
assert_check_is_clean(void)
{
	struct check_report rep = { NULL, fx_check_found };
	struct check_result r;
	struct err e = ERR_INIT;

	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.damage, 0);
	assert_int_equal(r.differences, 0);
}

/* ---- random changes ---- */

static const char *const names[] = {
	"INBOX", "Sent", "Trash", "Archive", "w", "w/a", "w/a/b", "W", "\xc3\x84", "INBOX/old",
};
static const char *const words[] = { "", "red", "Red blue", "$Forwarded", "BLUE", "a b c RED" };
static const char *const mails[] = {
	TEST_MAIL,
	"Subject: two\r\nIn-Reply-To: <1@example.org>\r\n\r\n",
	"From: x\nTo: y\n\nbare\nlines\n",
	"no header at all",
	"Message-ID: <a@x>\r\nSubject: first\r\n\r\none\r\n",
	"Message-ID: <b@x>\r\nReferences: <a@x>\r\n\r\ntwo\r\n",
	"Message-ID: <c@x>\r\nReferences: <z@x> <b@x>\r\n\r\nthree\r\n",
	"In-Reply-To: <c@x>\r\n\r\nfour\r\n",
	"Message-ID: <z@x>\r\n\r\nlate\r\n",
	("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\n"
	 "Content-Transfer-Encoding: base64\r\n\r\naGVsbG8=\r\n--b--\r\n"),
};

#define PICK(a) ((a)[draw(UNIT_COUNT(a))])

/* Some mailbox of some account; 0 if there is none of the name drawn. */
static mailbox_id
pick_box(void)
{
	struct mailbox_info m;
	struct err e = ERR_INIT;

	if (volume_find_mailbox(fx_v, PICK(accounts), slice_str(PICK(names)), &fx_arena, &m, &e) !=
	    RC_OK)
		return 0;
	return m.id;
}

static void
random_append(void)
{
	mailbox_id boxes[3] = { pick_box(), pick_box(), pick_box() };
	struct change *c = fx_make_append(boxes, 1 + draw(3), slice_str(PICK(mails)), draw(32),
	                                  PICK(words));

	c->u.append.each_target = draw(2) == 0;
	(void)fx_run(c);
}

static void
random_replace(void)
{
	mailbox_id box = pick_box();
	struct change *c = fx_make_append(&box, 1, slice_str(PICK(mails)), draw(32), PICK(words));

	c->u.append.replaced_mailbox = draw(2) == 0 ? box : pick_box();
	c->u.append.replaced_uid = 1 + draw(30);
	(void)fx_run(c);
}

static void
random_copy(enum change_kind kind)
{
	mail_uid first = 1 + draw(30);

	(void)fx_run(fx_make_copy(kind, pick_box(), first, first + draw(10), pick_box()));
}

static void
random_expunge(void)
{
	struct change *c = fx_change(CHANGE_EXPUNGE);
	mail_uid first = 1 + draw(40);

	c->u.expunge.mailbox = pick_box();
	c->u.expunge.all = draw(3) == 0;
	c->u.expunge.any = draw(3) == 0;
	assert_true(uid_set_add(&c->u.expunge.uids, first, first + draw(6)));
	(void)fx_run(c);
}

static void
random_account(void)
{
	static const char *const who[ACCOUNTS] = { "anna", "Ben", "\xc3\xa4nne@example.org" };
	struct change *c = fx_change(CHANGE_ACCOUNT_DELETE);
	size_t i = draw(ACCOUNTS);

	c->u.account.id = accounts[i];
	(void)fx_run(c);
	accounts[i] = fx_account(who[i]);
}

static void
random_admin(void)
{
	static const enum change_kind kinds[] = { CHANGE_ACCOUNT_QUOTA, CHANGE_ACCOUNT_HIDE,
	                                          CHANGE_CREDENTIAL };
	static const char *const hidden[] = { "", "qresync CONDSTORE", "UTF8=ACCEPT" };
	struct change *c = fx_change(PICK(kinds));

	c->u.account.id = PICK(accounts);
	c->u.account.quota_bytes = draw(3) == 0 ? 20000 : 0;
	c->u.account.quota_messages = draw(3) == 0 ? 40 : 0;
	c->u.account.hidden = slice_str(PICK(hidden));
	c->u.account.credential_name = draw(2) == 0 ? SLICE("password") : SLICE("app");
	c->u.account.credential_value = draw(3) == 0 ? SLICE("") : SLICE("secret");
	(void)fx_run(c);
}

static void
random_subscribe(void)
{
	struct change *c = fx_change(CHANGE_SUBSCRIBE);

	c->u.subscribe.account = PICK(accounts);
	c->u.subscribe.name = slice_str(PICK(names));
	c->u.subscribe.subscribed = draw(2) == 0;
	(void)fx_run(c);
}

static void
random_change(void)
{
	mail_uid first = 1 + draw(30);
	uint32_t n = draw(100);

	if (n < 34)
		random_append();
	else if (n < 40)
		random_replace();
	else if (n < 58)
		(void)fx_run(fx_make_store(pick_box(), first, first + draw(12),
		                           (enum store_op)draw(3), draw(32), PICK(words)));
	else if (n < 66)
		random_expunge();
	else if (n < 72)
		random_copy(CHANGE_COPY);
	else if (n < 77)
		random_copy(CHANGE_MOVE);
	else if (n < 84)
		(void)fx_name_change(CHANGE_MAILBOX_CREATE, PICK(accounts), PICK(names), "");
	else if (n < 88)
		(void)fx_name_change(CHANGE_MAILBOX_DELETE, PICK(accounts), PICK(names), "");
	else if (n < 92)
		(void)fx_name_change(CHANGE_MAILBOX_RENAME, PICK(accounts), PICK(names),
		                     PICK(names));
	else if (n < 95)
		random_subscribe();
	else if (n < 99)
		random_admin();
	else
		random_account();
	arena_reset(&fx_arena);
}

static int
setup(void **state)
{
	const char *seed = getenv("RESTANTE_SEED");
	int r = fx_setup(state);

	rng = seed != NULL ? strtoull(seed, NULL, 10) : (uint64_t)getpid() * 2654435761u + 1;
	(void)fprintf(stderr, "# RESTANTE_SEED=%" PRIu64 "\n", rng);
	accounts[0] = fx_account("anna");
	accounts[1] = fx_account("Ben");
	accounts[2] = fx_account("\xc3\xa4nne@example.org");
	return r;
}

/* ---- the tests ---- */

static void
delete_index(void)
{
	char cmd[512];

	(void)snprintf(cmd, sizeof cmd, "rm -f '%s'/index.db*", fx_dir);
	assert_int_equal(system(cmd), 0);
}

static void
test_rebuild_gives_same_answers(void **state)
{
	(void)state;
	for (int round = 0; round < 6; round++) {
		struct buf was, now;

		for (int i = 0; i < 150; i++)
			random_change();
		assert_check_is_clean();
		dump_all(&was);
		volume_close(&fx_v);
		if (round % 2 == 0)
			delete_index();
		fx_open();
		dump_all(&now);
		assert_same(&was, &now, round % 2 == 0 ? "index deleted" : "reopened");
		assert_int_equal(fx_findings, 0);
		buf_fini(&was);
		buf_fini(&now);
	}
}

/* A copy of the directory is what a crash between two commits leaves. Every answer that was given
 * is in it, whether its index is there, older than the log, or gone. */
static void
test_crash_between_commits(void **state)
{
	char live[256], old[300], cmd[1400];

	(void)state;
	(void)snprintf(live, sizeof live, "%s", fx_dir);
	(void)snprintf(old, sizeof old, "%s.old", live);
	for (int round = 0; round < 8; round++) {
		struct volume *running = fx_v;
		struct buf was, now;

		for (int i = 0; i < 25; i++)
			random_change();
		/* An index from before the changes that follow. */
		(void)snprintf(cmd, sizeof cmd,
		    "rm -rf '%s' && mkdir '%s' && cp '%s'/index.db* '%s'", old, old, live, old);
		assert_int_equal(system(cmd), 0);
		for (int i = 0; i < 25; i++)
			random_change();
		dump_all(&was);
		(void)snprintf(fx_dir, sizeof fx_dir, "%.240s.crash", live);
		(void)snprintf(cmd, sizeof cmd, "cp -R '%s' '%s'", live, fx_dir);
		assert_int_equal(system(cmd), 0);
		if (round % 4 == 1)
			delete_index();
		if (round % 4 == 2) {
			delete_index();
			(void)snprintf(cmd, sizeof cmd, "cp '%s'/index.db* '%s'", old, fx_dir);
			assert_int_equal(system(cmd), 0);
		}
		fx_open();
		dump_all(&now);
		assert_same(&was, &now, "after a crash");
		assert_check_is_clean();
		volume_close(&fx_v);
		fx_remove(fx_dir);
		fx_remove(old);
		(void)snprintf(fx_dir, sizeof fx_dir, "%s", live);
		fx_v = running;
		buf_fini(&was);
		buf_fini(&now);
	}
	assert_int_equal(fx_findings, 0);
}

static void
run_sql(const char *sql)
{
	char path[300];
	sqlite3 *db;

	(void)snprintf(path, sizeof path, "%s/index.db", fx_dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

/* An index of another volume, one from the future, and one that was never finished
 * are not believed. */
static void
test_foreign_index_is_refused(void **state)
{
	static const char *const sql[] = {
		"UPDATE meta SET volume = X'00112233445566778899aabbccddeeff'",
		"UPDATE meta SET takeover = takeover + 1",
		"UPDATE meta SET applied = applied + 1000",
		"UPDATE meta SET schema = schema + 1",
		"DELETE FROM meta",
		"DROP TABLE message",
	};

	(void)state;
	for (int i = 0; i < 60; i++)
		random_change();
	for (size_t i = 0; i < UNIT_COUNT(sql); i++) {
		struct buf was, now;

		dump_all(&was);
		volume_close(&fx_v);
		run_sql("UPDATE mailbox SET exists_=77");       /* what only a rebuild puts right */
		run_sql(sql[i]);
		fx_open();
		dump_all(&now);
		assert_same(&was, &now, sql[i]);
		buf_fini(&was);
		buf_fini(&now);
	}
}

static void
keep_text(void *arg, const struct check_finding *f)
{
	assert_int_equal(f->seg.seq + f->seg.epoch + f->first, 0);
	assert_true(buf_printf(arg, "%s\n", f->what));
}

/* The findings of a check that are about no place in the log. */
static const char *
check_text(struct check_result *r)
{
	static struct buf text;
	const struct check_report rep = { &text, keep_text };
	struct err e = ERR_INIT;
	char *copy;

	buf_init(&text, 1u << 20);
	assert_int_equal(volume_check(fx_v, &rep, NULL, NULL, r, &e), RC_OK);
	copy = arena_array(&fx_arena, text.len + 1, 1);
	assert_non_null(copy);
	if (text.len > 0)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	buf_fini(&text);
	return copy;
}

static void
expect_line(const char *text, const char *line)
{
	if (strstr(text, line) != NULL)
		return;
	print_error("no '%s'", line);
	print_error(" in: %s", text);
	fail();
}

/* check finds what is wrong in the index, row by row. */
static void
test_check_finds_differences(void **state)
{
	struct check_result r;
	char want[200];
	const char *text;
	mailbox_id box;

	(void)state;
	fx_append_n(fx_box(accounts[0], "INBOX"), 5);
	volume_close(&fx_v);
	run_sql("UPDATE message SET flags=9 WHERE uid=2; DELETE FROM message WHERE uid=4;"
	        "INSERT INTO subscription VALUES(1, X'41')");
	fx_open();
	text = check_text(&r);
	assert_int_equal(r.differences, 3);
	assert_int_equal(r.damage, 0);
	box = fx_box(accounts[0], "INBOX");
	(void)snprintf(want, sizeof want,
	    "message " LSN_FORMAT " (anna/INBOX) UID 2: index and log differ\n", LSN_ARG(box));
	expect_line(text, want);
	expect_line(text, "(anna/INBOX) UID 4: in the log, not in the index\n");
	expect_line(text, "subscription 0.1 \"A\": in the index, not in the log\n");
	/* Many of one kind are counted. */
	fx_append_n(box, 60);
	volume_close(&fx_v);
	run_sql("DELETE FROM message WHERE uid>5");
	fx_open();
	text = check_text(&r);
	assert_int_equal(r.differences, 63);
	expect_line(text, "message: and 12 more\n");
}

/* Of an index that lacks the log's end, and a torn copy of the head. */
static void
test_check_of_the_whole(void **state)
{
	struct check_result r;
	struct err e = ERR_INIT;
	char path[400], cmd[1200];
	FILE *f;

	(void)state;
	fx_reopen();
	volume_close(&fx_v);
	(void)snprintf(cmd, sizeof cmd, "cp '%s/index.db' '%s/kept.db'", fx_dir, fx_dir);
	assert_int_equal(system(cmd), 0);
	fx_open();
	fx_append_n(fx_box(accounts[0], "INBOX"), 2);
	(void)check_text(&r);
	assert_int_equal(r.differences + r.damage, 0);
	volume_close(&fx_v);
	(void)snprintf(cmd, sizeof cmd, "mv '%s/kept.db' '%s/index.db'", fx_dir, fx_dir);
	assert_int_equal(system(cmd), 0);
	(void)snprintf(path, sizeof path, "%s/head", fx_dir);
	f = fopen(path, "r+b");
	assert_non_null(f);
	assert_int_equal(fputc('?', f), '?');
	assert_int_equal(fclose(f), 0);
	fx_open_as(VOLUME_READ);
	{
		const char *text = check_text(&r);

		expect_line(text, "the index is behind the log by 4 records");
		expect_line(text, "a copy of the head does not hold\n");
	}
	assert_int_equal(r.differences, 1);
	assert_int_equal(r.damage, 1);
	volume_close(&fx_v);
	fx_open();
	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	assert_int_equal(r.differences + r.damage, 0);
}

/* Damage that shows while the volume is open: the first read that fails has the index made anew. */
static void
test_damage_while_open(void **state)
{
	mailbox_id inbox = fx_box(accounts[0], "INBOX");
	struct message_row *rows;
	struct uid_set uids;
	struct buf was, now;
	struct err e = ERR_INIT;
	enum rc rc = RC_CORRUPT;
	size_t count;

	(void)state;
	fx_append_n(inbox, 5);
	dump_all(&was);
	run_sql("DROP TABLE message");
	uid_set_init(&uids, 1);
	assert_true(uid_set_add(&uids, 1, 9));
	assert_int_equal(volume_read_messages(fx_v, inbox, &uids, 1, 9, 0, &fx_arena, &rows, &count,
	                                      &e),
	                 RC_CORRUPT);
	for (int i = 0; i < 500 && rc == RC_CORRUPT; i++) {
		(void)usleep(20000);
		rc = volume_read_messages(fx_v, inbox, &uids, 1, 9, 0, &fx_arena, &rows, &count,
		                          &e);
	}
	assert_int_equal(rc, RC_OK);
	uid_set_fini(&uids);
	dump_all(&now);
	assert_same(&was, &now, "made anew");
	buf_fini(&was);
	buf_fini(&now);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, fx_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_rebuild_gives_same_answers),
		CASE(test_crash_between_commits),
		CASE(test_foreign_index_is_refused),
		CASE(test_check_finds_differences),
		CASE(test_check_of_the_whole),
		CASE(test_damage_while_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
