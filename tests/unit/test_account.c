/* test_account - locks and credentials in the log and the index: preconditions, what is told of a
 * change, what survives. */
#include "tests/unit/volume_fixture.h"

#define TOLD_MAX_HERE 8u

static account_id told[TOLD_MAX_HERE];
static _Atomic size_t told_count;

static void
on_changed(void *arg, struct volume *v, account_id account)
{
	assert_ptr_equal(arg, told);
	assert_ptr_equal(v, fx_v);
	assert_true(told_count < TOLD_MAX_HERE);
	told[told_count++] = account;
}

static void
open_listening(void)
{
	const struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE,
		                         .report = { NULL, fx_found },
		                         .account_changed = on_changed,
		                         .account_arg = told };
	struct err e = ERR_INIT;

	volume_close(&fx_v);
	assert_int_equal(volume_open(&p, &fx_v, &e), RC_OK);
	told_count = 0;
}

/* How many were told since the last time; of this account all of them. */
static size_t
told_of(account_id id)
{
	size_t n = told_count;

	for (size_t i = 0; i < n; i++)
		assert_int_equal(told[i], id);
	told_count = 0;
	return n;
}

static struct account_info
get(account_id id)
{
	struct account_info a;
	struct err e = ERR_INIT;

	assert_int_equal(volume_get_account(fx_v, id, &fx_arena, &a, &e), RC_OK);
	return a;
}

static enum rc
set_flags(account_id id, uint32_t set, uint32_t clear)
{
	struct change *c = fx_change(CHANGE_ACCOUNT_FLAGS);

	c->u.account.id = id;
	c->u.account.flags_set = set;
	c->u.account.flags_clear = clear;
	return fx_run(c);
}

static enum rc
set_credential(account_id id, const char *name, const char *value, const char *old, bool new_one)
{
	struct change *c = fx_change(CHANGE_CREDENTIAL);

	c->u.account.id = id;
	c->u.account.credential_name = slice_str(name);
	c->u.account.credential_value = slice_str(value);
	c->u.account.credential_old = slice_str(old);
	c->u.account.credential_new = new_one;
	return fx_run(c);
}

/* Its value, "" if there is none. */
static const char *
credential(account_id id, const char *name)
{
	struct credential_info *list;
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(volume_list_credentials(fx_v, id, &fx_arena, &list, &n, &e), RC_OK);
	for (size_t i = 0; i < n; i++) {
		char *text = arena_alloc(&fx_arena, list[i].value.len + 1);

		assert_non_null(text);
		assert_true(slice_to_cstr(list[i].value, text, list[i].value.len + 1));
		if (slice_eq(list[i].name, slice_str(name)))
			return text;
	}
	return "";
}

static void
test_lock(void **state)
{
	account_id anna = fx_account("anna"), ben = fx_account("ben");
	struct change *c;

	(void)state;
	open_listening();
	assert_int_equal(get(anna).flags, 0);
	assert_int_equal(set_flags(12345, ACCOUNT_LOCKED, 0), RC_NOT_FOUND);
	assert_int_equal(set_flags(anna, ACCOUNT_LOCKED, 0), RC_OK);
	assert_int_equal(told_of(anna), 1);
	assert_int_equal(get(anna).flags, ACCOUNT_LOCKED);
	assert_int_equal(get(ben).flags, 0);
	assert_int_equal(set_flags(anna, ACCOUNT_LOCKED, 0), RC_OK);
	assert_int_equal(told_of(anna), 0);
	/* Each change leaves what the others set. */
	c = fx_change(CHANGE_ACCOUNT_QUOTA);
	c->u.account.id = anna;
	c->u.account.quota_bytes = 5;
	assert_int_equal(fx_run(c), RC_OK);
	c = fx_change(CHANGE_ACCOUNT_RENAME);
	c->u.account.id = anna;
	c->u.account.name = SLICE("anne");
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(told_of(anna), 0);
	fx_reopen();
	assert_int_equal(get(anna).flags, ACCOUNT_LOCKED);
	open_listening();
	assert_int_equal(set_flags(anna, 0, ACCOUNT_LOCKED), RC_OK);
	assert_int_equal(told_of(anna), 0);
	assert_int_equal(get(anna).flags, 0);
	assert_int_equal(get(anna).quota_bytes, 5);
}

static void
test_lock_survives_reindex(void **state)
{
	struct reindex_result done;
	struct volume_params p;
	account_id anna = fx_account("anna");
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(set_flags(anna, ACCOUNT_LOCKED, 0), RC_OK);
	volume_close(&fx_v);
	p = (struct volume_params){ .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE };
	assert_int_equal(volume_reindex(&p, false, &done, &e), RC_OK);
	fx_open();
	assert_int_equal(get(anna).flags, ACCOUNT_LOCKED);
}

static void
test_credentials(void **state)
{
	account_id anna = fx_account("anna");

	(void)state;
	open_listening();
	assert_int_equal(set_credential(anna, "password", "SCRAM-SHA-256$y", "", false), RC_OK);
	assert_int_equal(told_of(anna), 1);
	assert_int_equal(set_credential(anna, "password", "SCRAM-SHA-256$z", "SCRAM-SHA-256$x",
	                                false),
	                 RC_CANCELLED);
	assert_int_equal(set_credential(anna, "password", "SCRAM-SHA-256$z", "", true), RC_EXISTS);
	assert_int_equal(told_of(anna), 0);
	assert_string_equal(credential(anna, "password"), "SCRAM-SHA-256$y");
	assert_int_equal(set_credential(anna, "password", "SCRAM-SHA-256$z", "SCRAM-SHA-256$y",
	                                false),
	                 RC_OK);
	assert_int_equal(told_of(anna), 1);
	assert_int_equal(set_credential(anna, "app:phone", "", "", false), RC_NOT_FOUND);
	assert_int_equal(set_credential(anna, "app:phone", "v", "w", false), RC_CANCELLED);
	assert_int_equal(set_credential(anna, "app:phone", "v", "", true), RC_OK);
	assert_int_equal(told_of(anna), 0);             /* a new one ends nobody's session */
	assert_int_equal(set_credential(anna, "app:phone", "", "", false), RC_OK);
	assert_int_equal(told_of(anna), 1);
	assert_string_equal(credential(anna, "app:phone"), "");
	assert_string_equal(credential(anna, "password"), "SCRAM-SHA-256$z");
	assert_int_equal(set_credential(anna, "", "v", "", false), RC_DENIED);
	assert_int_equal(set_credential(12345, "password", "v", "", false), RC_NOT_FOUND);
}

static void
test_same_secret_is_not_told(void **state)
{
	account_id anna = fx_account("anna");
	struct change *c = fx_change(CHANGE_CREDENTIAL);

	(void)state;
	open_listening();
	c->u.account.id = anna;
	c->u.account.credential_name = SLICE("password");
	c->u.account.credential_value = SLICE("SCRAM-SHA-256$x SCRAM-SHA-1$x");
	c->u.account.credential_old = SLICE("SCRAM-SHA-256$x");
	c->u.account.same_secret = true;
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(told_of(anna), 0);
	assert_string_equal(credential(anna, "password"), "SCRAM-SHA-256$x SCRAM-SHA-1$x");
}

static void
test_deletion_is_told(void **state)
{
	account_id anna = fx_account("anna");
	struct change *c = fx_change(CHANGE_ACCOUNT_DELETE);

	(void)state;
	open_listening();
	c->u.account.id = anna;
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(told_of(anna), 1);
}

/* An address of the domain is the name of an account; case does not matter, a
 * subdomain is another. */
static void
test_domains_are_known(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	(void)fx_account("example.org");
	assert_int_equal(volume_knows_domain(fx_v, SLICE("example.org"), &e), RC_NOT_FOUND);
	(void)fx_account("anna@mail.Example.Org");
	assert_int_equal(volume_knows_domain(fx_v, SLICE("MAIL.example.org"), &e), RC_OK);
	assert_int_equal(volume_knows_domain(fx_v, SLICE("example.org"), &e), RC_NOT_FOUND);
	assert_int_equal(volume_knows_domain(fx_v, SLICE("org"), &e), RC_NOT_FOUND);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_lock, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_lock_survives_reindex, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_domains_are_known, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_credentials, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_same_secret_is_not_told, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_deletion_is_told, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests_name("account", tests, NULL, NULL);
}
