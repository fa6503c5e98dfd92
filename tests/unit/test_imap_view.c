/* The view: sequence numbers, sets, and what is told when, with several sessions on one mailbox. */
#include "tests/unit/imap_rig.h"

#define FLAGS_WITH(keywords) \
	"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft " keywords ")\r\n" \
	"* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft " keywords " \\*)] Flags are kept\r\n"

/* ---- sets ---- */

static const struct set_case {
	const char *name;
	const char *view;       /* UIDs: ranges */
	const char *set;
	bool        uids;
	const char *want;       /* UIDs, or "BAD" */
} sets[] = {
	{ "one", "1:5", "2", false, "2" },
	{ "sequence to UID over a gap", "2:3,7:9", "3", false, "7" },
	{ "range over a gap", "2:3,7:9", "2:4", false, "3,7:8" },
	{ "reversed", "2:3,7:9", "4:2", false, "3,7:8" },
	{ "star", "2:3,7:9", "*", false, "9" },
	{ "to star", "2:3,7:9", "3:*", false, "7:9" },
	{ "star first", "2:3,7:9", "*:4", false, "8:9" },
	{ "all", "2:3,7:9", "1:*", false, "2:3,7:9" },
	{ "several, unordered", "2:3,7:9", "5,1,3", false, "2,7,9" },
	{ "overlapping", "2:3,7:9", "1:3,2:4", false, "2:3,7:8" },
	{ "beyond", "2:3,7:9", "6", false, "BAD" },
	{ "range beyond", "2:3,7:9", "4:6", false, "BAD" },
	{ "star and beyond is the last", "2:3,7:9", "6:*", false, "9" },
	{ "all of nothing", "", "1:*", false, "" },
	{ "star of nothing", "", "*", false, "" },
	{ "one of nothing", "", "1", false, "BAD" },
	{ "uid", "2:3,7:9", "7", true, "7" },
	{ "uids not there", "2:3,7:9", "4:6,10", true, "" },
	{ "uid range", "2:3,7:9", "3:8", true, "3,7:8" },
	{ "uid star", "2:3,7:9", "*", true, "9" },
	{ "uid beyond star", "2:3,7:9", "50:*", true, "9" },
	{ "uid star of nothing", "", "1:*", true, "" },
	{ "largest uid", "4294967295", "4294967295", true, "4294967295" },
	{ "one in three ranges", "1,3,5,7", "2:3", false, "3,5" },
};

static void
set_view(struct imap_view *view, const char *text)
{
	struct cursor c;
	struct arena a;
	struct seq_set set = { .count = 0 };

	arena_init(&a, 65536);
	cur_init(&c, slice_str(text));
	if (*text != '\0')
		assert_true(parse_sequence_set(&c, &a, &set));
	for (uint32_t i = 0; i < set.count; i++)
		assert_true(uid_set_add(&view->uids, (mail_uid)set.ranges[i].first,
		                        (mail_uid)set.ranges[i].last));
	view->exists = (uint32_t)uid_set_size(&view->uids);
	view->loaded = true;
	arena_fini(&a);
}

static void
test_set(void **state)
{
	const struct set_case *k = *state;
	struct imap im = { .mailbox = 1 };
	struct seq_set set;
	struct uid_set out;
	struct cursor c;
	struct buf text;

	imap_view_init(&im.view);
	arena_init(&im.arena, 65536);
	buf_init(&im.reply, 1000);
	buf_init(&text, 1000);
	set_view(&im.view, k->view);
	cur_init(&c, slice_str(k->set));
	assert_true(parse_sequence_set(&c, &im.arena, &set));
	if (imap_resolve_numbers(&im, &set, k->uids, &out)) {
		assert_true(uid_set_format(&out, &text));
		uid_set_fini(&out);
	} else {
		assert_int_equal(im.status, IMAP_BAD);
		buf_append_str(&text, "BAD");
	}
	buf_append_byte(&text, 0);
	assert_string_equal((const char *)text.ptr, k->want);
	imap_view_reset(&im.view);
	arena_fini(&im.arena);
	buf_fini(&im.reply);
	buf_fini(&text);
}

/* Against numbers counted one by one: rank by walking, and the taking away of sets, over views
 * with many gaps. */
static void
test_walk_and_remove(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed < 200; seed++) {
		struct imap_view view;
		struct uid_set gone;
		struct view_walk walk = { 0, 0 };
		bool in[64] = { false };
		uint32_t seq = 0, r = seed;

		imap_view_init(&view);
		uid_set_init(&gone, 100);
		view.loaded = true;
		view.recent_from = 20;
		for (mail_uid u = 1; u < 64; u++) {
			r = r * 1664525u + 1013904223u;
			in[u] = (r >> 20) % 3 > 0;
			if (in[u])
				assert_true(uid_set_add(&view.uids, u, u));
		}
		for (mail_uid u = 1; u < 64; u++)
			assert_int_equal(imap_view_seq(&view, &walk, u), in[u] ? ++seq : 0);
		for (mail_uid u = 1; u < 64; u++) {
			r = r * 1664525u + 1013904223u;
			if (in[u] && (r >> 20) % 2 == 0) {
				assert_true(uid_set_add(&gone, u, u));
				in[u] = false;
			}
		}
		assert_true(imap_view_remove(&view, &gone));
		seq = 0;
		for (mail_uid u = 1; u < 64; u++) {
			assert_int_equal(uid_set_contains(&view.uids, u), in[u]);
			seq += in[u];
		}
		assert_int_equal(view.exists, seq);
		imap_view_reset(&view);
		uid_set_fini(&gone);
	}
}

/* ---- own changes ---- */

#define EPOCH(e) ((mail_modseq)(e) << 32)

static const struct own_case {
	const char *name;
	mail_modseq changed_told, expunged_told, before, given, want_changed, want_expunged;
} owns[] = {
	{ "own: the next one is told", 7, 7, 7, 8, 8, 8 },
	{ "own: expunges stay untold", 7, 5, 7, 8, 8, 5 },
	{ "own: another's came between", 7, 7, 7, 9, 7, 7 },
	{ "own: another's was not told before", 6, 6, 7, 8, 6, 6 },
	{ "own: nothing was changed", 7, 7, 7, 0, 7, 7 },
	{ "own: the first of an epoch", 7, 7, 7, EPOCH(3), EPOCH(3), EPOCH(3) },
	{ "own: the second of an epoch", 7, 7, 7, EPOCH(3) + 1, 7, 7 },
};

static void
test_own(void **state)
{
	const struct own_case *k = *state;
	struct imap_view view;

	imap_view_init(&view);
	view.changed_told = k->changed_told;
	view.expunged_told = k->expunged_told;
	assert_int_equal(imap_view_own_change(&view, k->before, k->given),
	                 k->want_changed != k->changed_told);
	assert_int_equal(view.changed_told, k->want_changed);
	assert_int_equal(view.expunged_told, k->want_expunged);
	imap_view_reset(&view);
}

static const struct own_expunge_case {
	const char *name;
	bool        loaded;
	mail_modseq changed_told, expunged_told, before, given, want_gone_to;
} own_expunges[] = {
	{ "own expunge: the next one is told", true, 7, 7, 7, 8, 8 },
	{ "own expunge: the first of an epoch", true, 7, 7, 7, EPOCH(3), EPOCH(3) },
	{ "own expunge: the view is not loaded", false, 7, 7, 7, 8, 0 },
	{ "own expunge: others are untold", true, 7, 5, 7, 8, 0 },
	{ "own expunge: flags are untold", true, 7, 8, 8, 9, 0 },
	{ "own expunge: another's came between", true, 7, 7, 7, 9, 0 },
	{ "own expunge: another's was not told before", true, 6, 6, 7, 8, 0 },
};

static void
test_own_expunge(void **state)
{
	const struct own_expunge_case *k = *state;
	struct imap_view view;
	struct uid_set gone;

	imap_view_init(&view);
	uid_set_init(&gone, 10);
	view.loaded = k->loaded;
	view.changed_told = k->changed_told;
	view.expunged_told = k->expunged_told;
	assert_true(uid_set_add(&view.uids, 2, 9) && uid_set_add(&gone, 1, 3));
	imap_view_own_expunge(&view, &gone, k->before, k->given);
	assert_int_equal(view.gone_to, k->want_gone_to);
	assert_int_equal(view.behind, k->want_gone_to != 0);
	assert_int_equal(uid_set_size(&view.gone), k->want_gone_to != 0 ? 2 : 0);
	assert_int_equal(view.changed_told, k->want_gone_to != 0 ? k->given : k->changed_told);
	assert_int_equal(view.expunged_told, k->expunged_told);
	uid_set_fini(&gone);
	imap_view_reset(&view);
}

/* ---- telling ---- */

static void
test_own_and_others_flags(void **state)
{
	struct session *a, *b;

	(void)state;
	fx_append_n(rig_inbox(), 3);
	a = rig_selected();
	b = rig_selected();
	rig_expect(a, "1 STORE 2 +FLAGS (\\Flagged)",
	           "* 2 FETCH (FLAGS (\\Flagged \\Recent))\r\n1 OK STORE completed\r\n");
	rig_expect(a, "2 NOOP", "2 OK NOOP completed\r\n");
	rig_expect(b, "3 NOOP", "* 2 FETCH (FLAGS (\\Flagged))\r\n3 OK NOOP completed\r\n");
	rig_expect(b, "4 NOOP", "4 OK NOOP completed\r\n");
	/* Silent: not echoed to oneself, told to others. */
	rig_expect(a, "5 STORE 1:2 FLAGS.SILENT (\\Seen)", "5 OK STORE completed\r\n");
	rig_expect(a, "6 NOOP", "6 OK NOOP completed\r\n");
	rig_expect(b, "7 NOOP",
	    "* 1 FETCH (FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS (\\Seen))\r\n7 OK NOOP completed\r\n");
	rig_end(a);
	rig_end(b);
}

/* Others' changes to a message that one's own .SILENT STORE touches are told. */
static void
test_silent_still_tells_others(void **state)
{
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 2);
	a = rig_selected();
	fx_store(rig_inbox(), 1, 1, STORE_ADD, FLAG_FLAGGED, "");
	rig_expect(a, "1 STORE 1 +FLAGS.SILENT (\\Seen)",
	           "* 1 FETCH (FLAGS (\\Flagged \\Recent))\r\n1 OK STORE completed\r\n");
	rig_expect(a, "2 NOOP", "2 OK NOOP completed\r\n");
	rig_end(a);
}

static void
test_exists(void **state)
{
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 2);
	a = rig_selected();
	fx_append_n(rig_inbox(), 1);
	rig_expect(a, "1 FETCH 1 UID",
	           "* 1 FETCH (UID 1)\r\n* 3 EXISTS\r\n* 3 RECENT\r\n1 OK FETCH completed\r\n");
	rig_expect(a, "2 FETCH 3 (UID FLAGS)",
	           "* 3 FETCH (UID 3 FLAGS (\\Recent))\r\n2 OK FETCH completed\r\n");
	rig_end(a);
	a = rig_selected();     /* the first one has been told: not recent any more */
	rig_expect(a, "3 FETCH 3 FLAGS", "* 3 FETCH (FLAGS ())\r\n3 OK FETCH completed\r\n");
	rig_end(a);
}

static void
test_expunge_waits(void **state)
{
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 6);
	a = rig_selected();
	fx_expunge(rig_inbox(), 2, 3);
	fx_append_n(rig_inbox(), 1);
	/* Not with FETCH, STORE, SEARCH; what is gone is still answered, new mail is told. */
	rig_expect(a, "1 FETCH 2:4 UID",
	           "* 2 FETCH (UID 2)\r\n* 3 FETCH (UID 3)\r\n* 4 FETCH (UID 4)\r\n"
	           "* 7 EXISTS\r\n* 7 RECENT\r\n1 OK FETCH completed\r\n");
	rig_expect(a, "2 STORE 2,4 FLAGS (\\Seen)",
	           "* 4 FETCH (FLAGS (\\Seen \\Recent))\r\n"
	           "2 NO [EXPUNGEISSUED] Some of the messages no longer exist; the others "
	           "were changed\r\n");
	rig_expect(a, "3 SEARCH ALL", "* SEARCH 1 4 5 6 7\r\n3 OK SEARCH completed\r\n");
	rig_expect(a, "4 NOOP", "* 2 EXPUNGE\r\n* 2 EXPUNGE\r\n4 OK NOOP completed\r\n");
	rig_expect(a, "5 UID FETCH 1:* FLAGS",
	    "* 1 FETCH (UID 1 FLAGS (\\Recent))\r\n"
	    "* 2 FETCH (UID 4 FLAGS (\\Seen \\Recent))\r\n* 3 FETCH (UID 5 FLAGS (\\Recent))\r\n"
	    "* 4 FETCH (UID 6 FLAGS (\\Recent))\r\n* 5 FETCH (UID 7 FLAGS (\\Recent))\r\n"
	    "5 OK UID FETCH completed\r\n");
	rig_end(a);
}

/* Came and went between two commands: never heard of. Came, was told, and went: one EXPUNGE,
 * also if the ranges were not loaded in between. */
static void
test_short_lives(void **state)
{
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 2);
	a = rig_selected();
	fx_append_n(rig_inbox(), 2);
	fx_expunge(rig_inbox(), 3, 3);
	rig_expect(a, "1 NOOP", "* 3 EXISTS\r\n* 3 RECENT\r\n1 OK NOOP completed\r\n");
	assert_false(rig_imap(a)->view.loaded);
	fx_expunge(rig_inbox(), 4, 4);
	fx_store(rig_inbox(), 2, 2, STORE_ADD, FLAG_SEEN, "");
	rig_expect(a, "2 FETCH 3 UID",
	    "* 3 FETCH (UID 4)\r\n* 2 FETCH (FLAGS (\\Seen \\Recent))\r\n2 OK FETCH completed\r\n");
	fx_append_n(rig_inbox(), 1);
	fx_expunge(rig_inbox(), 5, 5);
	rig_expect(a, "3 FETCH 1 UID", "* 1 FETCH (UID 1)\r\n3 OK FETCH completed\r\n");
	rig_expect(a, "4 NOOP", "* 3 EXPUNGE\r\n4 OK NOOP completed\r\n");
	rig_expect(a, "5 FETCH 1:* UID",
	           "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 2)\r\n5 OK FETCH completed\r\n");
	rig_end(a);
}

/* A keyword that others made in the mailbox is named before it is seen [RFC 9051 s7.3.5]; once. */
static void
test_others_new_keyword(void **state)
{
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 2);
	a = rig_selected();
	fx_store(rig_inbox(), 1, 1, STORE_ADD, 0, "$x");
	rig_expect(a, "1 NOOP",
	           FLAGS_WITH("$x") "* 1 FETCH (FLAGS (\\Recent $x))\r\n1 OK NOOP completed\r\n");
	fx_store(rig_inbox(), 2, 2, STORE_ADD, 0, "$X");
	rig_expect(a, "2 NOOP", "* 2 FETCH (FLAGS (\\Recent $x))\r\n2 OK NOOP completed\r\n");
	fx_store(rig_inbox(), 2, 2, STORE_REMOVE, 0, "$x");
	fx_store(rig_inbox(), 2, 2, STORE_ADD, 0, "$y");
	rig_expect(a, "2 FETCH 2 FLAGS", FLAGS_WITH("$x $y") "* 2 FETCH (FLAGS (\\Recent $y))\r\n"
	           "* 2 FETCH (FLAGS (\\Recent $y))\r\n2 OK FETCH completed\r\n");
	fx_store(rig_inbox(), 2, 2, STORE_REPLACE, 0, "$x");
	(void)rig_send(a, "3 EXAMINE INBOX");
	fx_store(rig_inbox(), 2, 2, STORE_ADD, 0, "$b");
	rig_expect(a, "4 NOOP",
	           "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $b $x $y)\r\n"
	           "* OK [PERMANENTFLAGS ()] No flags can be changed\r\n"
	           "* 2 FETCH (FLAGS ($b $x))\r\n4 OK NOOP completed\r\n");
	rig_end(a);
}

/* APPEND, COPY and STORE in the mailbox that is selected. */
static void
test_own_new_keyword(void **state)
{
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 1);
	a = rig_selected();
	assert_true(slice_starts(slice_str(rig_send(a, "1 APPEND INBOX ($a) {8+}\r\na: b\r\n\r\n")),
	    SLICE(FLAGS_WITH("$a") "* 2 EXISTS\r\n* 2 RECENT\r\n1 OK [APPENDUID ")));
	rig_expect(
	    a, "2 STORE 1 +FLAGS.SILENT ($b)", FLAGS_WITH("$a $b") "2 OK STORE completed\r\n");
	rig_expect(a, "3 STORE 2 +FLAGS.SILENT ($b)", "3 OK STORE completed\r\n");
	rig_end(a);
}

static void
test_first_unseen(void **state)
{
	struct session *a;

	(void)state;
	a = rig_session();
	assert_null(strstr(rig_send(a, "1 SELECT INBOX"), "UNSEEN"));
	fx_append_n(rig_inbox(), 4);
	assert_non_null(strstr(rig_send(a, "2 SELECT INBOX"), "* OK [UNSEEN 1] "));
	fx_store(rig_inbox(), 1, 3, STORE_ADD, FLAG_SEEN, "");
	fx_expunge(rig_inbox(), 2, 2);
	assert_non_null(strstr(rig_send(a, "3 EXAMINE INBOX"), "* OK [UNSEEN 3] "));
	fx_store(rig_inbox(), 4, 4, STORE_ADD, FLAG_SEEN, "");
	assert_null(strstr(rig_send(a, "4 SELECT INBOX"), "UNSEEN"));
	rig_end(a);
}

static void
test_uid_command_tells_uid(void **state)
{
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 3);
	a = rig_selected();
	fx_store(rig_inbox(), 3, 3, STORE_ADD, FLAG_DELETED, "$x");
	fx_expunge(rig_inbox(), 1, 1);
	rig_expect(a, "1 UID FETCH 2 UID", "* 2 FETCH (UID 2)\r\n" FLAGS_WITH("$x")
	           "* 3 FETCH (UID 3 FLAGS (\\Deleted \\Recent $x))\r\n"
	           "* 1 EXPUNGE\r\n1 OK UID FETCH completed\r\n");
	rig_end(a);
}

/* IMAP4rev2: the UID always, \Recent never. */
static void
test_rev2_news(void **state)
{
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 1);
	a = rig_selected();
	rig_imap(a)->rev2 = true;
	fx_append_n(rig_inbox(), 1);
	fx_store(rig_inbox(), 1, 1, STORE_ADD, FLAG_SEEN, "");
	rig_expect(a, "1 NOOP",
	           "* 1 FETCH (UID 1 FLAGS (\\Seen))\r\n* 2 EXISTS\r\n1 OK NOOP completed\r\n");
	rig_end(a);
}

static void
test_deleted_mailbox(void **state)
{
	struct session *a;

	(void)state;
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, rig_account, "box", ""), RC_OK);
	a = rig_session();
	(void)rig_send(a, "1 SELECT box");
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_DELETE, rig_account, "box", ""), RC_OK);
	rig_expect(a, "2 NOOP", "* BYE The selected mailbox was deleted\r\n");
	assert_true(imap_is_closed(a));
	rig_end(a);
}

/* Long news come in bounded pieces, and all of them: flags of one STORE (one MODSEQ), then
 * expunges with gaps. */
static void
test_long_news(void **state)
{
	struct session *a;
	const char *said;
	unsigned n = 0;

	(void)state;
	fx_append_n(rig_inbox(), 700);
	a = rig_selected();
	imap_set_out_soft(a, 1000);
	fx_store(rig_inbox(), 1, 690, STORE_ADD, FLAG_SEEN, "");
	for (mail_uid u = 2; u <= 600; u += 2)
		fx_expunge(rig_inbox(), u, u);
	said = rig_send(a, "1 NOOP");
	for (mail_uid u = 1; u <= 690; u++) {
		char line[80];

		if (u <= 600 && u % 2 == 0)
			continue;
		(void)snprintf(line, sizeof line, "* %u FETCH (FLAGS (\\Seen \\Recent))\r\n", u);
		assert_memory_equal(said, line, strlen(line));
		said += strlen(line);
	}
	for (mail_uid u = 2; u <= 600; u += 2, n++) {
		char line[80];

		(void)snprintf(line, sizeof line, "* %u EXPUNGE\r\n", u - n);
		assert_memory_equal(said, line, strlen(line));
		said += strlen(line);
	}
	assert_string_equal(said, "1 OK NOOP completed\r\n");
	assert_true(imap_steps(a) > 4);
	assert_true(imap_largest_output(a) < 20000);
	rig_expect(a, "2 NOOP", "2 OK NOOP completed\r\n");
	assert_int_equal(rig_imap(a)->view.exists, 400);
	rig_end(a);
}

/* However many messages have it: before the first of them. */
static void
test_long_news_of_a_keyword(void **state)
{
	static const char first[] = FLAGS_WITH("$x") "* 1 FETCH (FLAGS (\\Recent $x))\r\n";
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 300);
	a = rig_selected();
	fx_store(rig_inbox(), 1, 300, STORE_ADD, 0, "$x");
	assert_memory_equal(rig_send(a, "1 NOOP"), first, sizeof first - 1);
	rig_end(a);
}

/* Between the pieces of one telling not all is known. */
static void
test_added_behind_pieces(void **state)
{
	struct session *a;

	(void)state;
	fx_append_n(rig_inbox(), 4);
	a = rig_selected();
	imap_set_out_soft(a, 1);
	for (mail_uid u = 1; u <= 3; u++)
		fx_expunge(rig_inbox(), u, u);
	fx_append_n(rig_inbox(), 1);
	rig_expect(a, "1 NOOP",
	           "* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n* 1 EXPUNGE\r\n* 2 EXISTS\r\n* 2 RECENT\r\n"
	           "1 OK NOOP completed\r\n");
	rig_end(a);
}

/* Behind an APPEND to the selected mailbox answer and news are one step: a session that is to end does so between
 * steps, and would leave what is durable without its answer. */
static void
test_append_answers_with_its_news(void **state)
{
	struct session *a;
	unsigned before;

	(void)state;
	fx_append_n(rig_inbox(), 1);
	a = rig_selected();
	(void)rig_send(a, "1 APPEND INBOX {6+}\r\na: b\r\n");
	before = imap_steps(a);
	assert_non_null(strstr(rig_send(a, "2 APPEND INBOX {6+}\r\na: b\r\n"), "* 3 EXISTS\r\n"));
	assert_int_equal(imap_steps(a) - before, 4);    /* the mailbox, the message, its commit, the answer */
	rig_end(a);
}

/* A MODSEQ that is shown is told up to, though the notification of its change is still to come. */
static void
test_shown_before_notified(void **state)
{
	struct session *a;
	const char *said;

	(void)state;
	fx_append_n(rig_inbox(), 3);
	a = rig_selected();
	(void)rig_send(a, "1 ENABLE CONDSTORE");
	(void)rig_send(a, "2 FETCH 1 UID");
	imap_world_mute(rig_world);
	fx_expunge(rig_inbox(), 2, 2);
	fx_store(rig_inbox(), 1, 1, STORE_ADD, FLAG_DRAFT, "");
	said = rig_send(a, "3 FETCH 1 MODSEQ");
	assert_non_null(strstr(said, "FLAGS (\\Draft \\Recent)"));
	assert_non_null(strstr(said, "Some expunges are not told yet"));
	assert_non_null(strstr(rig_send(a, "4 NOOP"), "* 2 EXPUNGE\r\n"));
	rig_expect(a, "5 NOOP", "5 OK NOOP completed\r\n");
	rig_end(a);
}

int
main(void)
{
	static const struct CMUnitTest others[] = {
		cmocka_unit_test(test_walk_and_remove),
		cmocka_unit_test_setup_teardown(test_own_and_others_flags, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_silent_still_tells_others, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_exists, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_expunge_waits, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_short_lives, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_others_new_keyword, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_own_new_keyword, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_first_unseen, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_uid_command_tells_uid, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_rev2_news, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_deleted_mailbox, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_long_news, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_long_news_of_a_keyword, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_added_behind_pieces, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_append_answers_with_its_news, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_shown_before_notified, rig_setup, rig_teardown),
	};
	struct CMUnitTest tests[UNIT_COUNT(sets) + UNIT_COUNT(owns) + UNIT_COUNT(own_expunges) +
	                        UNIT_COUNT(others)];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(sets); i++)
		tests[n++] = (struct CMUnitTest){ sets[i].name, test_set, NULL, NULL,
		                                  (void *)(uintptr_t)&sets[i] };
	for (size_t i = 0; i < UNIT_COUNT(owns); i++)
		tests[n++] = (struct CMUnitTest){ owns[i].name, test_own, NULL, NULL,
		                                  (void *)(uintptr_t)&owns[i] };
	for (size_t i = 0; i < UNIT_COUNT(own_expunges); i++)
		tests[n++] = (struct CMUnitTest){ own_expunges[i].name, test_own_expunge, NULL, NULL,
		                                  (void *)(uintptr_t)&own_expunges[i] };
	for (size_t i = 0; i < UNIT_COUNT(others); i++)
		tests[n++] = others[i];
	return _cmocka_run_group_tests("imap_view", tests, n, NULL, NULL);
}
