/* test_columns_race - columns follow the writer's answers while others take them, bring them up to date and give them
 * back. Whenever they say that they are of the mailbox's last MODSEQ they are what its rows are. */
#include "tests/unit/expect.h"
#include "tests/unit/volume_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

#include "index/columns.h"
#include "lib/nowait.h"

#define CHANGERS 3
#define READERS  3
#define EACH     150
#define FEW      4u

static account_id   anna;
static mailbox_id   boxes[2];
static _Atomic mail_uid newest[2];
static atomic_bool  stop;
static atomic_uint  compared, peeked;

static uint32_t
below(uint64_t *seed, uint32_t n)
{
	*seed = *seed * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)((*seed >> 33) % n);
}

/* ---- who changes ---- */

static mail_uid
some_uid(uint64_t *seed, unsigned i)
{
	mail_uid last = atomic_load(&newest[i]), back = below(seed, 40);

	return last > back ? last - back : 1;
}

static struct change *
make_append(uint64_t *seed, unsigned i)
{
	static const char *const words[] = { "", "", "", "green" };
	const mailbox_id to[2] = { boxes[i], boxes[below(seed, 2)] };
	struct change *c = fx_make_append(to, 1 + below(seed, 2), SLICE(TEST_MAIL),
	                                  below(seed, 32), words[below(seed, 4)]);

	if (below(seed, 3) == 0) {
		unsigned k = below(seed, 2);

		c->u.append.replaced_mailbox = boxes[k];
		c->u.append.replaced_uid = some_uid(seed, k);
	}
	return c;
}

static struct change *
make_change(uint64_t *seed, unsigned i)
{
	static const enum store_op ops[] = { STORE_ADD, STORE_REMOVE, STORE_REPLACE };
	static const char *const words[] = { "", "", "", "", "green", "Work late" };
	mail_uid first = some_uid(seed, i), last = first + below(seed, 3);
	struct change *c;

	switch (below(seed, 8)) {
	case 0:
	case 1:
		return make_append(seed, i);
	case 2:
		last = first + below(seed, 25);
		break;
	case 3:
		c = fx_change(CHANGE_EXPUNGE);
		c->u.expunge.mailbox = boxes[i];
		c->u.expunge.any = true;
		expect(uid_set_add(&c->u.expunge.uids, first, last));
		return c;
	case 4:
		return fx_make_copy(CHANGE_MOVE, boxes[i], first, last, boxes[below(seed, 2)]);
	case 5:
		return fx_make_copy(CHANGE_COPY, boxes[i], first, first, boxes[below(seed, 2)]);
	default:
		break;
	}
	return fx_make_store(boxes[i], first, last, ops[below(seed, 3)], below(seed, 32),
	                     words[below(seed, 6)]);
}

static void
note_newest(unsigned i, mail_uid uid)
{
	mail_uid was = atomic_load(&newest[i]);

	while (was < uid && !atomic_compare_exchange_weak(&newest[i], &was, uid))
		;
}

static void
note_result(const struct change *c)
{
	const struct change_copy *m = &c->u.copy;

	if (c->kind == CHANGE_APPEND)
		for (uint32_t k = 0; k < c->u.append.messages[0].target_count; k++) {
			const struct append_target *t = &c->u.append.messages[0].targets[k];

			note_newest(t->mailbox == boxes[1], t->uid);
		}
	else if ((c->kind == CHANGE_MOVE || c->kind == CHANGE_COPY) && m->count > 0)
		note_newest(m->target == boxes[1], m->first_uid + m->count - 1);
}

static void *
change_things(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;

	for (int n = 0; n < EACH; n++) {
		struct change *c = make_change(&seed, below(&seed, 2));
		enum rc rc = volume_submit_wait(fx_v, c);

		expect(rc == RC_OK || (rc == RC_CANCELLED && c->kind == CHANGE_APPEND));
		if (rc == RC_OK)
			note_result(c);
		change_free(&c);
	}
	return NULL;
}

/* ---- who reads ---- */

static bool
is_same(const struct columns *c, const struct column_row *got, const struct message_row *want)
{
	return got->uid == want->uid && got->flags == want->flags &&
	       columns_modseq(c, got) == want->modseq &&
	       got->internaldate == want->internaldate.sec &&
	       got->zone == want->internaldate.zone_min && got->savedate == want->savedate.sec &&
	       got->savezone == want->savedate.zone_min && got->threadid == want->threadid &&
	       got->size == want->size &&
	       slice_eq(columns_keywords(c, got), want->keywords);
}

/* Rows of one moment, with its HIGHESTMODSEQ. */
static mail_modseq
read_rows(mailbox_id box, struct arena *a, struct message_row **rows, size_t *count)
{
	struct mailbox_info m = { .highestmodseq = 0 };
	struct uid_set all;
	struct err e = ERR_INIT;

	uid_set_init(&all, 1);
	expect(uid_set_add(&all, 1, UINT32_MAX));
	volume_moment_begin(fx_v);
	expect(volume_get_mailbox(fx_v, box, a, &m, &e) == RC_OK);
	expect(volume_read_messages(fx_v, box, &all, 1, 1u << 20, 0, a, rows, count, &e) == RC_OK);
	volume_moment_end(fx_v);
	uid_set_fini(&all);
	return m.highestmodseq;
}

static void
compare(const struct columns *c, mailbox_id box, struct arena *a)
{
	struct message_row *rows;
	size_t count, n;
	const struct column_row *got = columns_rows(c, &n);
	mail_modseq at = columns_at(c), highest = read_rows(box, a, &rows, &count);

	expect(at <= highest);
	if (at != highest)
		return;
	expect(n == count);
	for (size_t i = 0; i < n && i < count; i++)
		expect(is_same(c, &got[i], &rows[i]));
	atomic_fetch_add(&compared, 1);
}

static void
peek(mailbox_id box, struct arena *a, uint64_t *seed)
{
	struct message_row *rows, got[FEW];
	struct uid_set few;
	size_t count, from;
	mail_modseq highest = read_rows(box, a, &rows, &count);

	if (count < FEW)
		return;
	from = count - FEW - below(seed, (uint32_t)(count - FEW + 1) < 20 ? (uint32_t)(count - FEW + 1) : 20);
	uid_set_init(&few, FEW);
	for (size_t i = 0; i < FEW; i++)
		expect(uid_set_add(&few, rows[from + i].uid, rows[from + i].uid));
	if (columns_peek(fx_v, box, highest, &few, a, got)) {
		for (size_t i = 0; i < FEW; i++)
			expect(got[i].modseq > highest ||
			       (got[i].uid == rows[from + i].uid &&
			        got[i].flags == rows[from + i].flags &&
			        got[i].modseq == rows[from + i].modseq &&
			        slice_eq(got[i].keywords, rows[from + i].keywords)));
		atomic_fetch_add(&peeked, 1);
	}
	uid_set_fini(&few);
}

static void
refresh(struct columns *c, bool light)
{
	struct err e = ERR_INIT;
	enum rc rc = RC_OK;
	bool done = false;

	if (light)
		nowait_begin();
	do
		rc = columns_refresh(fx_v, c, &done, &e);
	while (!light && rc == RC_OK && !done);
	if (light)
		(void)nowait_end();
	expect(rc == RC_OK || (light && rc == RC_WAIT));
}

static void *
read_things(void *arg)
{
	uint64_t seed = (uint64_t)(uintptr_t)arg;
	struct arena a;

	arena_init(&a, 16u << 20);
	while (!atomic_load(&stop)) {
		mailbox_id box = boxes[below(&seed, 2)];
		struct columns *c = columns_take(fx_v, box,
		                                 below(&seed, 4) == 0 ? COLUMNS_ANEW : COLUMNS_KEPT);

		if (c != NULL) {
			if (columns_at(c) != 0)
				compare(c, box, &a);
			if (below(&seed, 3) > 0)
				refresh(c, columns_at(c) != 0 && below(&seed, 2) == 0);
			if (columns_at(c) != 0)
				compare(c, box, &a);
			columns_give(fx_v, &c);
		}
		arena_reset(&a);
		peek(box, &a, &seed);
		arena_reset(&a);
	}
	arena_fini(&a);
	return NULL;
}

static void
test_race(void **state)
{
	pthread_t changers[CHANGERS], readers[READERS];

	(void)state;
	anna = fx_account("anna");
	boxes[0] = fx_box(anna, "INBOX");
	boxes[1] = fx_box(anna, "Trash");
	fx_append_n(boxes[0], 20);
	fx_append_n(boxes[1], 5);
	newest[0] = 20;
	newest[1] = 5;
	for (uintptr_t i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, read_things, (void *)(i + 101)), 0);
	for (uintptr_t i = 0; i < CHANGERS; i++)
		assert_int_equal(pthread_create(&changers[i], NULL, change_things, (void *)(i + 1)), 0);
	for (int i = 0; i < CHANGERS; i++)
		(void)pthread_join(changers[i], NULL);
	stop = true;
	for (int i = 0; i < READERS; i++)
		(void)pthread_join(readers[i], NULL);
	assert_int_equal(expect_failed(), 0);
	assert_true(compared > 10);
	assert_true(peeked > 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_race, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests_name("columns_race", tests, NULL, NULL);
}
