/* test_volume_threads - readers, deliverers and a checker at once: each read is one committed
 * state, what was answered is read, and the end of it all equals the log. For
 * ThreadSanitizer above all. */
#include "tests/unit/expect.h"
#include "tests/unit/volume_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#define DELIVERERS 4
#define READERS    4
#define EACH       60

static mailbox_id  box;
static account_id  anna;
static atomic_bool stop;

static struct change *
make_append(struct ingested *m)
{
	struct change *c = change_new(CHANGE_APPEND);
	struct append_message *am = arena_array(&c->arena, 1, sizeof *am);

	am->content = m;
	am->targets = arena_array(&c->arena, 1, sizeof *am->targets);
	am->targets[0].mailbox = box;
	am->target_count = 1;
	c->u.append.messages = am;
	c->u.append.message_count = 1;
	return c;
}

static void *
deliver(void *arg)
{
	struct err e = ERR_INIT;
	struct arena a;

	(void)arg;
	arena_init(&a, 1u << 20);
	for (int i = 0; i < EACH; i++) {
		struct mailbox_info m;
		struct ingested *content = NULL;
		struct ingest *in = NULL;
		struct change *c;

		expect(ingest_new(fx_v, 0, &in, &e) == RC_OK &&
		       ingest_feed(in, SLICE(TEST_MAIL), &e) == RC_OK);
		expect(ingest_finish(&in, &content, &e) == RC_OK);
		c = make_append(content);
		expect(volume_submit_wait(fx_v, c) == RC_OK);
		/* Read-your-writes. */
		expect(volume_get_mailbox(fx_v, box, &a, &m, &e) == RC_OK);
		expect(m.uidnext > c->u.append.messages[0].targets[0].uid);
		expect(m.highestmodseq >= c->u.append.messages[0].targets[0].modseq);
		change_free(&c);
		arena_reset(&a);
	}
	arena_fini(&a);
	return NULL;
}

static void *
store_and_expunge(void *arg)
{
	(void)arg;
	for (mail_uid i = 1; i <= EACH; i++) {
		struct change *c = change_new(i % 3 == 0 ? CHANGE_EXPUNGE : CHANGE_STORE);

		if (c->kind == CHANGE_EXPUNGE) {
			c->u.expunge.mailbox = box;
			c->u.expunge.any = true;
			expect(uid_set_add(&c->u.expunge.uids, i, i));
		} else {
			c->u.store.mailbox = box;
			c->u.store.op = STORE_ADD;
			c->u.store.flags = FLAG_SEEN;
			expect(uid_set_add(&c->u.store.uids, 1, i));
		}
		expect(volume_submit_wait(fx_v, c) == RC_OK);
		change_free(&c);
	}
	return NULL;
}

/* The state may be a later one, and both ways of looking are taken: of what was there before
 * nothing else is named. */
static void
find_changed(const struct uid_set *view, mail_modseq highest)
{
	const mail_modseq since[] = { 0, highest - 1, highest };
	struct uid_set changed, common;
	struct err e = ERR_INIT;

	uid_set_init(&changed, 100000);
	uid_set_init(&common, 100000);
	for (size_t i = 0; i < UNIT_COUNT(since); i++) {
		for (mail_uid from = 1; from != 0;)
			expect(volume_find_changed(fx_v, box, view, since[i], &from, &changed,
			                           &e) == RC_OK);
		expect(uid_set_intersect(&common, &changed, view));
		expect(uid_set_size(&common) == uid_set_size(&changed));
	}
	uid_set_fini(&common);
	uid_set_fini(&changed);
}

/* Within one answer everything fits together. */
static void
read_once(struct arena *a, mail_modseq *last)
{
	struct view_changes vc;
	struct message_row *rows;
	struct uid_set s;
	struct buf b;
	size_t count;
	struct err e = ERR_INIT;

	expect(volume_read_changes(fx_v, box, 0, 0, 1, 1000000, a, &vc, &e) == RC_OK);
	expect(uid_set_size(&vc.added) == vc.now.exists);
	expect(vc.now.highestmodseq >= *last);
	*last = vc.now.highestmodseq;
	uid_set_init(&s, 100000);
	expect(volume_read_view(fx_v, box, vc.now.uidnext, vc.now.highestmodseq, &s, &e) == RC_OK);
	expect(uid_set_size(&s) == vc.now.exists);
	find_changed(&s, vc.now.highestmodseq);
	expect(volume_read_messages(fx_v, box, &s, 1, 20, WANT_PLACE | WANT_SUMMARY | WANT_EXPUNGED,
	                            a, &rows, &count, &e) == RC_OK);
	buf_init(&b, 1u << 20);
	for (size_t i = 0; i < count; i++) {
		buf_reset(&b);
		expect(volume_read_blob(fx_v, &rows[i].place, 0, UINT64_MAX, &b, &e) == RC_OK);
		expect(slice_eq(buf_slice(&b), SLICE(TEST_MAIL)));
	}
	(void)volume_claim_recent(fx_v, box, vc.now.uidnext);
	buf_fini(&b);
	uid_set_fini(&s);
	view_changes_fini(&vc);
}

static void *
read_on(void *arg)
{
	mail_modseq last = 0;
	struct arena a;

	(void)arg;
	arena_init(&a, 64u << 20);
	while (!atomic_load(&stop)) {
		read_once(&a, &last);
		arena_reset(&a);
	}
	arena_fini(&a);
	return NULL;
}

static void *
check_on(void *arg)
{
	struct err e = ERR_INIT;

	(void)arg;
	while (!atomic_load(&stop)) {
		struct check_result r;
		struct volume_status st;

		expect(volume_check(fx_v, NULL, NULL, NULL, &r, &e) == RC_OK);
		expect(r.damage == 0 && r.differences == 0);
		expect(volume_get_status(fx_v, &st, &e) == RC_OK);
		expect(st.applied_lsn <= st.last_lsn);
	}
	return NULL;
}

static void
test_readers_during_writes(void **state)
{
	pthread_t writers[DELIVERERS + 1];
	pthread_t readers[READERS + 1];
	struct mailbox_info m;

	(void)state;
	anna = fx_account("anna");
	box = fx_box(anna, "INBOX");
	atomic_store(&stop, false);
	for (int i = 0; i < DELIVERERS; i++)
		assert_int_equal(pthread_create(&writers[i], NULL, deliver, NULL), 0);
	assert_int_equal(pthread_create(&writers[DELIVERERS], NULL, store_and_expunge, NULL), 0);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_on, NULL), 0);
	assert_int_equal(pthread_create(&readers[READERS], NULL, check_on, NULL), 0);
	for (int i = 0; i <= DELIVERERS; i++)
		pthread_join(writers[i], NULL);
	atomic_store(&stop, true);
	for (int i = 0; i <= READERS; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(expect_failed(), 0);
	m = fx_mailbox(anna, "INBOX");
	assert_int_equal(m.uidnext, DELIVERERS * EACH + 1);
}

/* The mailbox named, and once per commit that touched it. */
static atomic_int told;

static void
notify(void *arg, struct volume *v, mailbox_id mailbox, mail_modseq modseq)
{
	(void)arg, (void)v;
	expect(mailbox == box && modseq > 0);
	atomic_fetch_add(&told, 1);
}

static void
test_notify(void **state)
{
	struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE,
	                           .notify = notify };
	struct err e = ERR_INIT;

	(void)state;
	anna = fx_account("anna");
	box = fx_box(anna, "INBOX");
	volume_close(&fx_v);
	assert_int_equal(volume_open(&p, &fx_v, &e), RC_OK);
	fx_append_n(box, 2);
	(void)fx_store(box, 1, 2, STORE_ADD, FLAG_SEEN, "");
	(void)fx_store(box, 1, 2, STORE_ADD, FLAG_SEEN, "");    /* changes nothing */
	(void)fx_expunge(box, 1, 1);
	assert_int_equal(atomic_load(&told), 4);
	assert_int_equal(expect_failed(), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_readers_during_writes, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_notify, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
