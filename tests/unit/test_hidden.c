/* test_hidden - lists of hidden capabilities: what may stand in one, and that the
 * account keeps it. */
#include "tests/unit/volume_fixture.h"

#include "index/hidden.h"

static const struct hide_case {
	const char *name;
	const char *in;
	enum rc     want;
	const char *out;
} cases[] = {
	{ "empty",           "",                           RC_OK,     "" },
	{ "sorted, upper",   "qresync Condstore IDLE",     RC_OK,     "CONDSTORE IDLE QRESYNC" },
	{ "doubles",         "idle IDLE Idle",             RC_OK,     "IDLE" },
	{ "with signs",      "LITERAL+ compress=deflate",  RC_OK,     "COMPRESS=DEFLATE LITERAL+" },
	{ "rev2",            "imap4rev2",                  RC_OK,     "IMAP4REV2" },
	{ "rev1",            "IDLE imap4rev1",             RC_DENIED, "IMAP4REV1 cannot be hidden" },
	{ "starttls",        "StartTLS",                   RC_DENIED, "STARTTLS cannot be hidden" },
	{ "logindisabled",   "LOGINDISABLED",              RC_DENIED, "LOGINDISABLED cannot be hidden" },
	{ "mechanism",       "auth=plain",                 RC_DENIED, "AUTH=PLAIN cannot be hidden" },
	{ "no atom",         "ID(LE",                      RC_SYNTAX, "that is no name of a capability" },
	{ "no ASCII",        "\xc3\xa4",                   RC_SYNTAX, "that is no name of a capability" },
};

static void
test_normalise(void **state)
{
	const struct hide_case *k = *state;
	struct err e = ERR_INIT;
	struct slice out;
	struct arena a;

	arena_init(&a, 1u << 16);
	assert_int_equal(hidden_normalise(slice_str(k->in), &a, &out, &e), k->want);
	if (k->want == RC_OK)
		assert_true(slice_eq(out, slice_str(k->out)));
	else
		assert_string_equal(e.text, k->out);
	arena_fini(&a);
}

static void
test_limit(void **state)
{
	char text[HIDDEN_MAX + 64] = "";
	struct err e = ERR_INIT;
	struct slice out;
	struct arena a;
	size_t len = 0;

	(void)state;
	for (unsigned i = 0; len < HIDDEN_MAX - 8; i++)
		len += (size_t)snprintf(text + len, sizeof text - len, "%sX%06u",
		                        len > 0 ? " " : "", 100000 + i);
	arena_init(&a, 1u << 16);
	assert_int_equal(hidden_normalise(slice_str(text), &a, &out, &e), RC_OK);
	(void)snprintf(text + len, sizeof text - len, " YYYYYYYYYYY");
	assert_int_equal(hidden_normalise(slice_str(text), &a, &out, &e), RC_LIMIT);
	arena_fini(&a);
}

static enum rc
hide(account_id id, const char *list)
{
	struct change *c = fx_change(CHANGE_ACCOUNT_HIDE);

	c->u.account.id = id;
	c->u.account.hidden = slice_str(list);
	return fx_run(c);
}

static struct account_info
get(account_id id)
{
	struct account_info a;
	struct err e = ERR_INIT;

	assert_int_equal(volume_get_account(fx_v, id, &fx_arena, &a, &e), RC_OK);
	return a;
}

/* Each change leaves what the others set. */
static void
test_account_keeps_it(void **state)
{
	account_id anna = fx_account("anna");
	struct change *c;

	(void)state;
	assert_int_equal(get(anna).hidden.len, 0);
	assert_int_equal(hide(anna, "qresync condstore"), RC_OK);
	c = fx_change(CHANGE_ACCOUNT_QUOTA);
	c->u.account.id = anna;
	c->u.account.quota_bytes = 5;
	c->u.account.quota_messages = 7;
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(hide(anna, "auth=plain"), RC_DENIED);
	assert_int_equal(hide(12345, "IDLE"), RC_NOT_FOUND);
	fx_reopen();
	assert_true(slice_eq(get(anna).hidden, SLICE("CONDSTORE QRESYNC")));
	assert_int_equal(hide(anna, ""), RC_OK);
	assert_int_equal(get(anna).hidden.len, 0);
	assert_int_equal(get(anna).quota_bytes, 5);
	assert_int_equal(get(anna).quota_messages, 7);
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + 2];
	size_t n = 0;

	for (; n < UNIT_COUNT(cases); n++)
		tests[n] = (struct CMUnitTest){ cases[n].name, test_normalise, NULL, NULL,
		                                (void *)(uintptr_t)&cases[n] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_limit);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(test_account_keeps_it,
	                                                                fx_setup, fx_teardown);
	return _cmocka_run_group_tests("hidden", tests, n, NULL, NULL);
}
