/* Who is told of which mailbox. */
#include "tests/unit/unit.h"

#include "server/hub.h"

static char volumes[2];
#define VOLUME(i) ((struct volume *)(void *)(volumes + (i)))

struct seen {
	struct watcher w;
	unsigned       count;
};

static void
count(struct watcher *w)
{
	((struct seen *)(void *)w)->count++;
}

static struct hub *
new_hub(void)
{
	struct err e = ERR_INIT;
	struct hub *h;

	assert_int_equal(hub_new(&h, &e), RC_OK);
	return h;
}

static void
test_only_the_watched(void **state)
{
	struct seen a = { { .changed = count }, 0 };
	struct hub *h = new_hub();

	(void)state;
	hub_unwatch(h, &a.w);
	hub_watch(h, &a.w, VOLUME(0), 5);
	hub_listen(&a.w, true);
	hub_notify(h, VOLUME(0), 6, 1);
	hub_notify(h, VOLUME(1), 5, 1);
	assert_int_equal(a.count, 0);
	hub_notify(h, VOLUME(0), 5, 1);
	assert_int_equal(a.count, 1);
	hub_watch(h, &a.w, VOLUME(1), 5);
	hub_notify(h, VOLUME(0), 5, 1);
	assert_int_equal(a.count, 1);
	hub_notify(h, VOLUME(1), 5, 1);
	assert_int_equal(a.count, 2);
	hub_unwatch(h, &a.w);
	hub_unwatch(h, &a.w);
	hub_notify(h, VOLUME(1), 5, 1);
	assert_int_equal(a.count, 2);
	hub_free(&h);
}

/* Who does not listen is not called, and finds what was told: of this mailbox, since it is watched. */
static void
test_latest(void **state)
{
	struct seen a = { { .changed = count }, 0 };
	struct hub *h = new_hub();

	(void)state;
	hub_notify(h, VOLUME(0), 5, 9);
	hub_watch(h, &a.w, VOLUME(0), 5);
	assert_int_equal(hub_latest(&a.w), 0);
	hub_notify(h, VOLUME(0), 6, 8);
	hub_notify(h, VOLUME(1), 5, 8);
	assert_int_equal(hub_latest(&a.w), 0);
	hub_notify(h, VOLUME(0), 5, 10);
	assert_int_equal(hub_latest(&a.w), 10);
	hub_notify(h, VOLUME(0), 5, 7);
	assert_int_equal(hub_latest(&a.w), 10);
	assert_int_equal(a.count, 0);
	hub_listen(&a.w, true);
	hub_notify(h, VOLUME(0), 5, MODSEQ_GONE);
	assert_int_equal(a.count, 1);
	hub_listen(&a.w, false);
	hub_notify(h, VOLUME(0), 5, 11);
	assert_int_equal(a.count, 1);
	assert_true(hub_latest(&a.w) == MODSEQ_GONE);
	hub_watch(h, &a.w, VOLUME(0), 6);
	assert_int_equal(hub_latest(&a.w), 0);
	hub_unwatch(h, &a.w);
	hub_free(&h);
}

/* Many watchers of few mailboxes share buckets; they leave from the front, the
 * middle and the end. */
static void
test_many(void **state)
{
	enum { N = 3000 };
	struct seen *all = calloc(N, sizeof *all);
	struct hub *h = new_hub();

	(void)state;
	for (unsigned i = 0; i < N; i++) {
		all[i].w.changed = count;
		hub_listen(&all[i].w, true);
		hub_watch(h, &all[i].w, VOLUME(0), i % 10);
	}
	hub_notify(h, VOLUME(0), 3, 1);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(all[i].count, i % 10 == 3);
	for (unsigned i = 0; i < N; i += 3)
		hub_unwatch(h, &all[i].w);
	hub_notify(h, VOLUME(0), 3, 1);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(all[i].count, i % 10 != 3 ? 0 : i % 3 == 0 ? 1 : 2);
	for (unsigned i = 2; i < N; i += 3)
		hub_unwatch(h, &all[i].w);
	hub_notify(h, VOLUME(0), 3, 1);
	for (unsigned i = 0; i < N; i++)
		assert_int_equal(all[i].count, i % 10 != 3  ? 0
		                               : i % 3 == 0 ? 1
		                               : i % 3 == 2 ? 2
		                                            : 3);
	for (unsigned i = 0; i < N; i++)
		hub_unwatch(h, &all[i].w);
	hub_free(&h);
	free(all);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_only_the_watched),
		cmocka_unit_test(test_latest),
		cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
