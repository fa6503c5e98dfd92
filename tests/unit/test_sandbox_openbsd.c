/* What sandbox.c asks of OpenBSD. The file is compiled here as that system would, with stand-ins
 * for its two calls that note what they are told: so it compiles, and asks for what it should.
 * Whether that is enough there is not shown. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdio.h>

/* What <unistd.h> has there. */
static int unveil(const char *path, const char *permissions);
static int pledge(const char *promises, const char *execpromises);

#undef __linux__
#define __OpenBSD__ 1
#include "server/sandbox.c"

static char said[4096];         /* "read PATH r", one a line */
static const char *failing;     /* this path, with this errno */
static int failing_errno;

static void
note(const char *verb, const char *a, const char *b)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof said - len, "%s %s %s\n", verb, a != NULL ? a : "-",
	         b != NULL ? b : "-");
}

static int
unveil(const char *path, const char *permissions)
{
	note("unveil", path, permissions);
	if (failing != NULL && path != NULL && strcmp(path, failing) == 0) {
		errno = failing_errno;
		return -1;
	}
	return 0;
}

static int
pledge(const char *promises, const char *execpromises)
{
	assert_null(execpromises);
	note("pledge", promises, NULL);
	return 0;
}

static const struct sandbox paths = { .read = { "/usr", "/etc" }, .read_count = 2,
                                      .write = { "/var/mail" }, .write_count = 1 };

static enum rc
enter(const struct sandbox *s, const char *path, int os)
{
	struct sandbox_report report;
	struct err e = ERR_INIT;
	enum rc rc;

	said[0] = '\0';
	failing = path;
	failing_errno = os;
	rc = sandbox_enter(s, &report, &e);
	assert_true(report.other);
	assert_int_equal(e.code, rc);
	return rc;
}

static void
test_enter(void **state)
{
	const char *want =
	    "unveil /usr r\nunveil /etc r\nunveil /var/mail rwc\nunveil - -\npledge ";

	(void)state;
	assert_int_equal(enter(&paths, NULL, 0), RC_OK);
	assert_memory_equal(said, want, strlen(want));
	assert_int_equal(enter(&paths, "/etc", ENOENT), RC_OK);
	assert_memory_equal(said, want, strlen(want));
}

/* Then the server does not start: what was taken away before is no half of a sandbox. */
static void
test_refused(void **state)
{
	(void)state;
	assert_int_equal(enter(&paths, "/etc", EPERM), RC_DENIED);
	assert_string_equal(said, "unveil /usr r\nunveil /etc r\n");
	assert_int_equal(enter(&paths, "/var/mail", E2BIG), RC_IO);
	assert_null(strstr(said, "pledge"));
}

static bool
promised(const char *word)
{
	char text[64];

	snprintf(text, sizeof text, " %s ", word);
	return strstr(strstr(said, "pledge"), text) != NULL;
}

static void
test_promises(void **state)
{
	static const char *const always[] = { "stdio", "rpath", "wpath", "cpath", "fattr", "flock",
	                                      "unix", "recvfd", "getpw",
		                              "prot_exec", "error" };
	static const char *const never[] = { "proc", "exec", "id", "chown", "tty", "unveil",
	                                     "settime", "sendfd", "dpath" };
	struct sandbox s = paths;

	(void)state;
	for (int connects = 0; connects < 2; connects++) {
		s.connect = connects != 0;
		assert_int_equal(enter(&s, NULL, 0), RC_OK);
		for (size_t i = 0; i < UNIT_COUNT(always); i++)
			assert_true(promised(always[i]));
		for (size_t i = 0; i < UNIT_COUNT(never); i++)
			assert_false(promised(never[i]));
		assert_int_equal(promised("inet"), s.connect);
		assert_int_equal(promised("dns"), s.connect);
	}
}

/* From the configuration: volumes may be written. */
static void
test_start(void **state)
{
	struct conf_volume volume = { .path = "/nowhere/v1" };
	struct conf conf = { .volumes = &volume, .n_volumes = 1 };
	struct err e = ERR_INIT;

	(void)state;
	said[0] = '\0';
	failing = NULL;
	assert_int_equal(sandbox_start(&conf, &e), RC_OK);
	assert_string_equal(said, "");
	conf.server.sandbox = true;
	assert_int_equal(sandbox_start(&conf, &e), RC_OK);
	assert_non_null(strstr(said, "unveil /usr r\n"));
	assert_non_null(strstr(said, "unveil /nowhere/v1 rwc\n"));
	assert_non_null(strstr(said, "unveil /tmp rwc\n"));
	assert_true(promised("stdio"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_enter),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_promises),
		cmocka_unit_test(test_start),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
