/* The control socket's data channel: bytes to and from a verb, between server/control.c and
 * tools/ctl_remote.c. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/control.h"
#include "server/listener.h"
#include "tools/ctl.h"

static char dir[64], path[80];
static struct control *control;
static atomic_uint_fast64_t handled;    /* bytes that the handler read */
static atomic_int seen;                 /* rc that ended its reading, -1: none yet */

/* ---- the daemon's side ---- */

/* Byte i of a stream: no period that a piece's length divides. */
static uint8_t
byte_at(uint64_t i)
{
	return (uint8_t)(i * 7 + i / 251);
}

static enum rc
read_all(struct control_call *call, bool echo, struct err *e)
{
	static _Thread_local uint8_t bytes[10000];
	uint64_t at = 0;
	size_t n;
	enum rc rc;

	while ((rc = control_read(call, bytes, sizeof bytes, &n, e)) == RC_OK && n > 0) {
		for (size_t i = 0; i < n; i++)
			assert_int_equal(bytes[i], byte_at(at + i));
		at += n;
		atomic_store(&handled, at);
		if (echo && !control_data(call, slice_of(bytes, n)))
			return err_set(e, RC_CANCELLED, "nobody reads");
		if (echo && at % 3 == 0)
			(void)control_progress(call, "echo", at, 0);
	}
	atomic_store(&seen, (int)rc);
	return rc;
}

/* Verbs: take N pieces or all, echo, give N bytes, refuse. */
static int
handle(void *arg, struct control_call *call, int argc, const char *const *argv)
{
	struct err e = ERR_INIT;
	uint8_t byte;
	size_t n;

	(void)arg;
	(void)argc;
	if (strcmp(argv[0], "refuse") == 0) {
		control_err(call, SLICE("no"));
		return 2;
	}
	if (strcmp(argv[0], "one") == 0)
		return control_read(call, &byte, 1, &n, &e) == RC_OK && n == 1 && byte == byte_at(0)
		           ? 0
		           : 1;
	if (strcmp(argv[0], "give") == 0) {
		uint64_t total = strtoull(argv[1], NULL, 10);
		uint8_t bytes[999];

		for (uint64_t at = 0; at < total; at += n) {
			n = total - at < sizeof bytes ? (size_t)(total - at) : sizeof bytes;
			for (size_t i = 0; i < n; i++)
				bytes[i] = byte_at(at + i);
			if (!control_data(call, slice_of(bytes, n)))
				return 1;
			if (at % 9990 == 0 && !control_out(call, SLICE("data 5")))
				return 1;
			atomic_store(&handled, at + n);
		}
		return 0;
	}
	if (read_all(call, strcmp(argv[0], "echo") == 0, &e) == RC_OK)
		return 0;
	control_err(call, slice_str(e.text));
	return 1;
}

static int
start(void **state)
{
	struct err e = ERR_INIT;
	int fd;

	(void)state;
	snprintf(dir, sizeof dir, "/tmp/test_control.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/control.sock", dir);
	atomic_store(&handled, 0);
	atomic_store(&seen, -1);
	if (listener_bind_unix(path, 0600, &fd, &e) != RC_OK || listen(fd, 16) != 0)
		return 1;
	return control_open(fd, handle, NULL, &control, &e) == RC_OK &&
	               control_start(control, &e) == RC_OK
	           ? 0
	           : 1;
}

static int
stop(void **state)
{
	(void)state;
	control_close(&control);
	(void)unlink(path);
	return rmdir(dir);
}

/* ---- the caller's side ---- */

struct caller {
	uint64_t total, given;          /* bytes to send */
	uint64_t fail_at;               /* give up there, 0: never */
	size_t   step;
	uint64_t heard;                 /* bytes that came back */
	uint64_t stop_at;               /* read no more than that, 0: all */
	unsigned lines, progress;
	char     errors[256];
};

static enum rc
give(void *arg, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	struct caller *c = arg;
	uint64_t n = c->total - c->given;

	n = n < c->step ? n : c->step;
	n = n < size ? n : size;
	if (c->fail_at > 0 && c->given >= c->fail_at)
		return err_set(e, RC_IO, "the source broke");
	for (size_t i = 0; i < n; i++)
		to[i] = byte_at(c->given + i);
	c->given += n;
	*got = (size_t)n;
	return RC_OK;
}

static bool
hear_data(void *arg, struct slice bytes)
{
	struct caller *c = arg;

	for (size_t i = 0; i < bytes.len; i++)
		assert_int_equal(bytes.ptr[i], byte_at(c->heard + i));
	c->heard += bytes.len;
	return c->stop_at == 0 || c->heard < c->stop_at;
}

static bool
hear_line(void *arg, struct slice text)
{
	struct caller *c = arg;

	assert_true(slice_eq(text, SLICE("data 5")));
	c->lines++;
	return true;
}

static void
hear_error(void *arg, struct slice text)
{
	struct caller *c = arg;

	(void)slice_to_cstr(text, c->errors, sizeof c->errors);
}

static void
hear_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct caller *c = arg;

	(void)what;
	(void)done;
	(void)total;
	c->progress++;
}

static enum admin_exit
call(struct caller *c, const char *verb, const char *arg)
{
	const struct admin_output out = { c, hear_line, hear_error, hear_progress, hear_data };
	const struct admin_input input = { c, give };
	const char *argv[] = { verb, arg };
	int fd = ctl_connect(path);

	assert_true(fd >= 0);
	return ctl_remote(fd, arg != NULL ? 2 : 1, argv, &out, &input);
}

static void
test_take(void **state)
{
	static const struct {
		uint64_t total;
		size_t   step;
	} cases[] = { { 0, 1 }, { 1, 1 }, { 65536, 65536 }, { 65537, 70000 }, { 300000, 777 },
	              { 9 << 20, 65536 } };

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct caller c = { .total = cases[i].total, .step = cases[i].step };

		atomic_store(&handled, 0);
		assert_int_equal(call(&c, "take", NULL), ADMIN_OK);
		assert_int_equal(atomic_load(&handled), cases[i].total);
	}
}

/* Both directions are full at once: whoever waited to send without reading would wait for ever. */
static void
test_echo(void **state)
{
	struct caller c = { .total = 20 << 20, .step = 65536 };

	(void)state;
	assert_int_equal(call(&c, "echo", NULL), ADMIN_OK);
	assert_int_equal(c.heard, c.total);
	assert_true(c.progress > 0);
}

static void
test_give(void **state)
{
	struct caller c = { .step = 1 };

	(void)state;
	assert_int_equal(call(&c, "give", "1000000"), ADMIN_OK);
	assert_int_equal(c.heard, 1000000);
	assert_int_equal(c.lines, 101);
	assert_int_equal(c.given, 0);
}

/* What is refused has asked for nothing, and nothing was sent. */
static void
test_refused(void **state)
{
	struct caller c = { .total = 1 << 20, .step = 65536 };

	(void)state;
	assert_int_equal(call(&c, "refuse", NULL), ADMIN_USAGE);
	assert_string_equal(c.errors, "no");
	assert_int_equal(c.given, 0);
}

/* A verb that ends before it took all: its status is heard all the same. */
static void
test_takes_no_more(void **state)
{
	struct caller c = { .total = 8 << 20, .step = 65536 };

	(void)state;
	for (int i = 0; i < 50; i++) {
		c.given = 0;
		assert_int_equal(call(&c, "one", NULL), ADMIN_OK);
		assert_true(c.given < c.total);
	}
}

static void
test_source_breaks(void **state)
{
	struct caller c = { .total = 8 << 20, .step = 65536, .fail_at = 1 << 20 };

	(void)state;
	assert_int_equal(call(&c, "take", NULL), ADMIN_FAILED);
	assert_int_equal(atomic_load(&seen), RC_CANCELLED);
	assert_int_equal(atomic_load(&handled), 1 << 20);
	assert_string_equal(c.errors, "restantectl gave up");
}

static void
wait_for(atomic_int *what, int not_this)
{
	for (int i = 0; i < 2000 && atomic_load(what) == not_this; i++)
		(void)usleep(5000);
	assert_int_not_equal(atomic_load(what), not_this);
}

/* Killed in a piece, between two, and before the first. */
static void
test_caller_dies(void **state)
{
	static const char *const sent[] = { "take\n", "take\ndata 4\n\0\7", "take\ndata 4\n",
	                                    "take\ndata 1\n" };
	static const size_t lens[] = { 5, 14, 12, 13 };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		int fd = ctl_connect(path);

		atomic_store(&seen, -1);
		assert_int_equal(send(fd, sent[i], lens[i], MSG_NOSIGNAL), lens[i]);
		(void)usleep(2000);
		close(fd);
		wait_for(&seen, -1);
		assert_int_equal(atomic_load(&seen), RC_CANCELLED);
	}
}

static void
test_bad_pieces(void **state)
{
	static const char *const sent[] = {
		"take\nfrob\n", "take\ndata 0\n", "take\ndata 65537\n", "take\ndata -1\n", "take\ndata x\n",
		"take\ndata 4294967297\n",
	};

	(void)state;
	for (size_t i = 0; i < sizeof sent / sizeof sent[0]; i++) {
		int fd = ctl_connect(path);
		char answer[200] = "";
		size_t have = 0;
		ssize_t n;

		assert_true(send(fd, sent[i], strlen(sent[i]), MSG_NOSIGNAL) > 0);
		while ((n = recv(fd, answer + have, sizeof answer - 1 - have, 0)) > 0)
			have += (size_t)n;
		assert_non_null(strstr(answer, "exit 1\n"));
		assert_non_null(strstr(answer, "does not understand"));
		close(fd);
	}
}

/* A reader that goes away ends the verb; one that is slow only delays it, and little
 * is held for it. */
static void
test_reader_leaves(void **state)
{
	struct caller c = { .step = 1, .stop_at = 100000 };
	uint64_t at;

	(void)state;
	assert_int_equal(call(&c, "give", "1000000000"), ADMIN_FAILED);
	at = atomic_load(&handled);
	assert_true(at < 4 << 20);
	(void)usleep(20000);
	assert_true(atomic_load(&handled) < 4 << 20);
}

static void *
close_soon(void *arg)
{
	(void)arg;
	for (int i = 0; i < 2000 && atomic_load(&handled) == 0; i++)
		(void)usleep(1000);
	control_close(&control);
	return NULL;
}

/* The daemon ends while a verb waits for bytes, or to get rid of some. */
static void
test_daemon_ends(void **state)
{
	struct caller c = { .total = UINT64_MAX, .step = 100 };
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, close_soon, NULL), 0);
	assert_int_equal(call(&c, *state, "99999999999"), ADMIN_FAILED);
	assert_string_equal(c.errors, "restanted ended the connection before it was done");
	pthread_join(thread, NULL);
}

int
main(void)
{
#define CONTROL_TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)
	const struct CMUnitTest tests[] = {
		CONTROL_TEST(test_take),
		CONTROL_TEST(test_echo),
		CONTROL_TEST(test_give),
		CONTROL_TEST(test_refused),
		CONTROL_TEST(test_takes_no_more),
		CONTROL_TEST(test_source_breaks),
		CONTROL_TEST(test_caller_dies),
		CONTROL_TEST(test_bad_pieces),
		CONTROL_TEST(test_reader_leaves),
		{ "daemon ends, taking", test_daemon_ends, start, stop, "take" },
		{ "daemon ends, giving", test_daemon_ends, start, stop, "give" },
		{ "daemon ends, both", test_daemon_ends, start, stop, "echo" },
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
