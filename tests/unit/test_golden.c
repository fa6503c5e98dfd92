/* golden - volumes that earlier versions wrote are read for ever: opened, checked, compared with
 * what was in them, served on. tests/golden/make makes one; GOLDEN_WRITE=1 in the environment then
 * writes the text that it is compared with. */
#include "tests/unit/describe.h"

#define GOLDEN_DIR UNIT_SRCDIR "/tests/golden"

static const char *const golden[] = { "v1", "parser2", "base64", "front" };

/* An empty directory with the volume's files. */
static int
unpack(void **state)
{
	const char *tmp = getenv("TMPDIR");
	char command[1024];

	(void)snprintf(fx_dir, sizeof fx_dir, "%s/restante-golden-XXXXXX",
	               tmp != NULL ? tmp : "/tmp");
	assert_non_null(mkdtemp(fx_dir));
	(void)snprintf(command, sizeof command, "tar -C '%s' -xJf '" GOLDEN_DIR "/%s.tar.xz'",
	               fx_dir, (const char *)*state);
	assert_int_equal(system(command), 0);
	arena_init(&fx_arena, 256u << 20);
	fx_findings = 0;
	return 0;
}

static void
describe_all(struct buf *out)
{
	struct account_info *list;
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(volume_list_accounts(fx_v, SLICE(""), 1000, &fx_arena, &list, &n, &e),
	                 RC_OK);
	for (size_t i = 0; i < n; i++)
		describe_account(fx_v, list[i].name, true, out);
}

/* The same as was written down, or, if asked, written down. */
static void
compare(const char *name, struct slice text)
{
	char path[512], *want = malloc(text.len + 2);
	FILE *f;
	size_t n;

	(void)snprintf(path, sizeof path, GOLDEN_DIR "/%s.txt", name);
	f = fopen(path, getenv("GOLDEN_WRITE") != NULL ? "w" : "r");
	if (f == NULL || want == NULL)
		fail_msg("%s cannot be opened", path);
	if (getenv("GOLDEN_WRITE") != NULL) {
		assert_int_equal(fwrite(text.ptr, 1, text.len, f), text.len);
	} else {
		n = fread(want, 1, text.len + 1, f);
		if (!slice_eq(slice_of(want, n), text))
			fail_msg("%s differs from what is read now:\n%.*s", path, SLICE_ARG(text));
	}
	fclose(f);
	free(want);
}

static void
check(void)
{
	struct check_result r;
	struct err e = ERR_INIT;

	assert_int_equal(volume_check(fx_v, NULL, NULL, NULL, &r, &e), RC_OK);
	assert_true(r.damage == 0 && r.differences == 0 && r.messages > 10);
}

/* What an older parser has parsed is parsed anew. */
static void
reparse(void)
{
	const struct reparse_params p = { .all = false };
	struct reparse_result r;
	struct err e = ERR_INIT;

	assert_int_equal(volume_reparse(fx_v, &p, &r, &e), RC_OK);
	assert_true(r.contents > 10 && r.made == r.other && r.unreadable == 0);
	assert_int_equal(volume_reparse(fx_v, &p, &r, &e), RC_OK);
	assert_int_equal(r.other, 0);
}

static void
test_reads(void **state)
{
	struct account_info anna;
	struct err e = ERR_INIT;
	struct buf out;

	buf_init(&out, 4u << 20);
	fx_open_as(VOLUME_READ);
	check();
	volume_close(&fx_v);
	fx_open();
	assert_int_equal(fx_findings, 0);
	describe_all(&out);
	compare(*state, buf_slice(&out));
	assert_int_equal(volume_find_account(fx_v, SLICE("anna"), &fx_arena, &anna, &e), RC_OK);
	fx_append_n(fx_box(anna.id, "INBOX"), 3);
	fx_reopen();
	check();
	reparse();
	check();
	buf_fini(&out);
}

int
main(void)
{
	struct CMUnitTest tests[sizeof golden / sizeof golden[0]];

	for (size_t i = 0; i < sizeof golden / sizeof golden[0]; i++)
		tests[i] = (struct CMUnitTest){ golden[i], test_reads, unpack, fx_teardown,
		                                (void *)(uintptr_t)golden[i] };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
