/* restantectl's parts: the control socket's client, lines and passwords, progress, the
 * certificate, init. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "sasl/credential.h"
#include "server/control.h"
#include "tools/ctl.h"

static char dir[64];

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/test_ctl.XXXXXX");
	return mkdtemp(dir) == NULL ? 1 : 0;
}

static int
drop_dir(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- requests ---- */

static const struct word_case {
	const char *name;
	const char *words[4];
	int         count;
	const char *line;
} requests[] = {
	{ "plain",       { "user", "list", "--json" }, 3,            "user list --json\n" },
	{ "empty word",  { "user", "delete", "" }, 3,                "user delete %\n" },
	{ "space and percent", { "a b", "100%" }, 2,                 "a%20b 100%25\n" },
	{ "line end",    { "a\nexit 0", "\r" }, 2,                   "a%0Aexit%200 %0D\n" },
	{ "UTF-8",       { "\xc3\xa4nne" }, 1,                       "%C3%A4nne\n" },
	{ "verifier",    { "SCRAM-SHA-256$10:a+/=$b:c" }, 1,         "SCRAM-SHA-256$10:a+/=$b:c\n" },
	{ "quotes",      { "\"", "'", "\\" }, 3,                     "%22 %27 %5C\n" },
};

/* What the client writes is what the daemon's parser reads. */
static void
test_request(void **state)
{
	const struct word_case *k = *state;
	const char *argv[4];
	char line[256];
	struct buf out;

	buf_init(&out, 4096);
	assert_true(ctl_encode(k->count, k->words, &out));
	assert_true(slice_eq(buf_slice(&out), slice_str(k->line)));
	assert_true(slice_to_cstr(slice_sub(buf_slice(&out), 0, out.len - 1), line, sizeof line));
	assert_int_equal(control_parse(line, argv, 4), k->count);
	for (int i = 0; i < k->count; i++)
		assert_string_equal(argv[i], k->words[i]);
	buf_fini(&out);
}

/* ---- answers ---- */

static struct buf heard;
static unsigned lines_wanted;

static bool
hear_line(void *arg, struct slice text)
{
	(void)arg;
	buf_printf(&heard, "<%.*s>", SLICE_ARG(text));
	return --lines_wanted > 0;
}

static void
hear_error(void *arg, struct slice text)
{
	(void)arg;
	buf_printf(&heard, "!%.*s!", SLICE_ARG(text));
}

static void
hear_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	(void)arg;
	buf_printf(&heard, "(%s %u/%u)", what, (unsigned)done, (unsigned)total);
}

static const struct answer_case {
	const char     *name;
	const char     *answer;
	enum admin_exit want;
	const char     *heard;
} answers[] = {
	{ "lines",         "out a b\nout \nerr e f\nexit 0\n",         ADMIN_OK,     "<a b><>!e f!" },
	{ "damage",        "exit 3\n",                                 ADMIN_DAMAGE, "" },
	{ "progress",      "progress 5 10 checking v1\nexit 0\n",      ADMIN_OK,     "(checking v1 5/10)" },
	{ "bad progress",  "progress x 10 y\nprogress 1\nexit 0\n",    ADMIN_OK,     "" },
	{ "no exit line",  "out a\n",                                  ADMIN_FAILED,
	                   "<a>!restanted ended the connection before it was done!" },
	{ "half a line",   "out a",                                    ADMIN_FAILED,
	                   "!restanted ended the connection before it was done!" },
	{ "unknown kind",  "frob\n",                                   ADMIN_FAILED,
	                   "!restanted answered in a way that this restantectl does not understand!" },
	{ "status that is none", "exit 4\n",                           ADMIN_FAILED,
	                   "!restanted answered in a way that this restantectl does not understand!" },
	{ "text behind the exit", "exit 1\nout a\n",                   ADMIN_FAILED, "" },
};

struct daemon {
	int         fd;
	const char *answer;
	size_t      cut;
	char        request[64];
};

/* Answer in two pieces. */
static void *
serve(void *arg)
{
	struct daemon *d = arg;
	size_t len = strlen(d->answer);
	ssize_t n = read(d->fd, d->request, sizeof d->request - 1);

	d->request[n > 0 ? n : 0] = '\0';
	(void)send(d->fd, d->answer, d->cut, MSG_NOSIGNAL);
	(void)usleep(d->cut > 0 && d->cut < len ? 500 : 0);
	(void)send(d->fd, d->answer + d->cut, len - d->cut, MSG_NOSIGNAL);
	close(d->fd);
	return NULL;
}

static enum admin_exit
ask(const char *answer, size_t cut)
{
	static const struct admin_output out = { NULL, hear_line, hear_error, hear_progress, NULL };
	static const char *const argv[] = { "status", "--json" };
	struct daemon d = { .answer = answer, .cut = cut };
	enum admin_exit status;
	pthread_t thread;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	d.fd = fds[1];
	buf_reset(&heard);
	assert_int_equal(pthread_create(&thread, NULL, serve, &d), 0);
	status = ctl_remote(fds[0], 2, argv, &out, NULL);
	pthread_join(thread, NULL);
	assert_string_equal(d.request, "status --json\n");
	return status;
}

static void
test_answer(void **state)
{
	const struct answer_case *k = *state;

	buf_init(&heard, 4096);
	for (size_t cut = 0; cut <= strlen(k->answer); cut++) {
		lines_wanted = 1000;
		assert_int_equal(ask(k->answer, cut), k->want);
		assert_true(slice_eq(buf_slice(&heard), slice_str(k->heard)));
	}
	buf_fini(&heard);
}

static void
test_answer_nobody_reads(void **state)
{
	(void)state;
	buf_init(&heard, 4096);
	lines_wanted = 2;
	assert_int_equal(ask("out a\nout b\nout c\nexit 0\n", 0), ADMIN_FAILED);
	assert_true(slice_eq(buf_slice(&heard), SLICE("<a><b>")));
	buf_fini(&heard);
}

static void
test_connect(void **state)
{
	char long_path[300];

	(void)state;
	memset(long_path, 'x', sizeof long_path - 1);
	long_path[sizeof long_path - 1] = '\0';
	assert_int_equal(ctl_connect(long_path), -1);
	assert_int_equal(errno, ENAMETOOLONG);
	assert_int_equal(ctl_connect("/nonexistent/control.sock"), -1);
	assert_int_equal(errno, ENOENT);
}

/* ---- lines of standard input ---- */

static const struct line_case {
	const char  *name;
	struct slice in;
	const char  *want;      /* each line in <>, one that is too long as <!> */
} line_cases[] = {
	{ "lines",            SLICE_INIT("one\ntwo\n"),             "<one><two>" },
	{ "last one unended", SLICE_INIT("one\ntwo"),               "<one><two>" },
	{ "CR LF",            SLICE_INIT("one\r\n\r\nt\rwo\r\n"),   "<one><><t\rwo>" },
	{ "blank",            SLICE_INIT("\n\n"),                   "<><>" },
	{ "nothing",          SLICE_INIT(""),                       "" },
	{ "too long",         SLICE_INIT("123456789\nok\n"),        "<!><ok>" },
	{ "just fits",        SLICE_INIT("12345678\n"),             "<12345678>" },
};

static void
read_lines(struct slice in, struct buf *got)
{
	struct err e = ERR_INIT;
	struct ctl_reader r;
	struct secret line;
	int ends[2];
	enum rc rc;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], in.ptr, in.len), in.len);
	close(ends[1]);
	ctl_reader_init(&r, ends[0]);
	assert_int_equal(secret_init(&line, 8, &e), RC_OK);
	while ((rc = ctl_reader_line(&r, &line, &e)) != RC_NOT_FOUND) {
		assert_true(rc == RC_OK || rc == RC_LIMIT);
		if (rc == RC_OK)
			buf_printf(got, "<%.*s>", SLICE_ARG(secret_slice(&line)));
		else
			buf_append_str(got, "<!>");
	}
	secret_fini(&line);
	ctl_reader_fini(&r);
	close(ends[0]);
}

static void
test_lines(void **state)
{
	const struct line_case *k = *state;
	struct buf got;

	buf_init(&got, 4096);
	read_lines(k->in, &got);
	assert_true(slice_eq(buf_slice(&got), slice_str(k->want)));
	buf_fini(&got);
}

/* Longer than the reader's own room, so that lines lie across its ends. */
static void
test_lines_across_reads(void **state)
{
	struct buf in, want, got;

	(void)state;
	buf_init(&in, 65536);
	buf_init(&want, 65536);
	buf_init(&got, 65536);
	for (int i = 0; i < 1500; i++) {
		buf_printf(&in, "%d\n", i * 7919 % 10000000);
		buf_printf(&want, "<%d>", i * 7919 % 10000000);
	}
	read_lines(buf_slice(&in), &got);
	assert_true(slice_eq(buf_slice(&got), buf_slice(&want)));
	buf_fini(&in);
	buf_fini(&want);
	buf_fini(&got);
}

static const struct import_case {
	const char  *name;
	struct slice in;
	enum rc      want;
	const char  *user, *password;
} imports[] = {
	{ "plain",            SLICE_INIT("anna:secret"),     RC_OK,     "anna", "secret" },
	{ "colons in the password", SLICE_INIT("anna:a:b:"), RC_OK,     "anna", "a:b:" },
	{ "spaces in the password", SLICE_INIT("anna: a b "), RC_OK,    "anna", " a b " },
	{ "no colon",         SLICE_INIT("anna"),            RC_SYNTAX, NULL, NULL },
	{ "no password",      SLICE_INIT("anna:"),           RC_SYNTAX, NULL, NULL },
	{ "no name",          SLICE_INIT(":secret"),         RC_SYNTAX, NULL, NULL },
	{ "bad name",         SLICE_INIT("an na:secret"),    RC_SYNTAX, NULL, NULL },
};

static void
test_import(void **state)
{
	const struct import_case *k = *state;
	struct slice in = unit_copy(k->in), name, password;
	struct err e = ERR_INIT;

	assert_int_equal(ctl_split_import(in, &name, &password, &e), k->want);
	if (k->want == RC_OK) {
		assert_true(slice_eq(name, slice_str(k->user)));
		assert_true(slice_eq(password, slice_str(k->password)));
	}
	for (size_t cut = 0; cut < in.len; cut++)
		(void)!ctl_split_import(slice_sub(in, 0, cut), &name, &password, &e);
	unit_drop(in);
}

/* One line of standard input that is no terminal. */
static enum rc
read_password(struct slice in, struct buf *out, struct err *e)
{
	int saved = dup(STDIN_FILENO), ends[2];
	enum rc rc;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], in.ptr, in.len), in.len);
	close(ends[1]);
	assert_int_equal(dup2(ends[0], STDIN_FILENO), STDIN_FILENO);
	close(ends[0]);
	rc = ctl_password_verifier("anna", out, e);
	if (saved >= 0) {
		assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
		close(saved);
	}
	return rc;
}

static void
test_password(void **state)
{
	struct err e = ERR_INIT;
	struct buf out;
	bool match = false;

	(void)state;
	buf_init(&out, CREDENTIAL_TEXT_MAX);
	assert_int_equal(read_password(SLICE("a b:c\r\nnot this\n"), &out, &e), RC_OK);
	assert_int_equal(credential_check_plain(buf_slice(&out), SLICE("a b:c"), &match, &e),
	                 RC_OK);
	assert_true(match);
	buf_reset(&out);
	assert_int_equal(read_password(SLICE("\n"), &out, &e), RC_SYNTAX);
	assert_int_equal(read_password(SLICE(""), &out, &e), RC_SYNTAX);
	assert_int_equal(read_password(SLICE("a\0b\n"), &out, &e), RC_SYNTAX);
	assert_int_equal(out.len, 0);
	buf_fini(&out);
}

/* ---- progress ---- */

static void
test_progress_text(void **state)
{
	char text[100];

	(void)state;
	ctl_progress_text(text, sizeof text, "checking v1", 25000000, 100000000, 5000);
	assert_string_equal(text, "checking v1: 25 %, 5.0 MB/s, 0:16 left");
	ctl_progress_text(text, sizeof text, "x", 0, 1000, 1000);
	assert_string_equal(text, "x: 0 %, 0.0 MB/s, 0:00 left");
	ctl_progress_text(text, sizeof text, "x", 1000, 1000, 0);
	assert_string_equal(text, "x: 100 %, 0.0 MB/s, 0:00 left");
	ctl_progress_text(text, sizeof text, "x", 5, 0, 1000);
	assert_string_equal(text, "x: 100 %, 0.0 MB/s, 0:00 left");
}

/* ---- certificate and init ---- */

static void
check_certificate(const char *cert_path, const char *key_path, const char *hostname)
{
	FILE *f = fopen(cert_path, "r");
	X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
	EVP_PKEY *key;

	assert_non_null(cert);
	fclose(f);
	f = fopen(key_path, "r");
	key = PEM_read_PrivateKey(f, NULL, NULL, NULL);
	assert_non_null(key);
	fclose(f);
	assert_int_equal(X509_check_private_key(cert, key), 1);
	assert_int_equal(X509_verify(cert, key), 1);
	assert_int_equal(EVP_PKEY_get_bits(key), 256);
	assert_int_equal(X509_check_host(cert, "localhost", 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(cert, hostname, 0, 0, NULL), 1);
	assert_int_equal(X509_check_host(cert, "other.example.org", 0, 0, NULL), 0);
	assert_int_equal(X509_check_ip_asc(cert, "127.0.0.1", 0), 1);
	assert_int_equal(X509_check_ip_asc(cert, "::1", 0), 1);
	assert_int_equal(X509_get_extension_flags(cert) & (EXFLAG_CA | EXFLAG_INVALID), 0);
	assert_true(X509_cmp_current_time(X509_get0_notBefore(cert)) < 0);
	assert_true(X509_cmp_current_time(X509_get0_notAfter(cert)) > 0);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static void
test_certificate(void **state)
{
	char cert[100], key[100], again[100];
	struct err e = ERR_INIT;
	struct stat st;

	(void)state;
	snprintf(cert, sizeof cert, "%s/cert.pem", dir);
	snprintf(key, sizeof key, "%s/key.pem", dir);
	snprintf(again, sizeof again, "%s/again.pem", dir);
	assert_int_equal(ctl_certificate_make("mail.example.org", cert, key, &e), RC_OK);
	check_certificate(cert, key, "mail.example.org");
	assert_int_equal(stat(key, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(cert, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	/* Nothing is overwritten. */
	assert_int_equal(ctl_certificate_make("", again, key, &e), RC_EXISTS);
	assert_int_equal(ctl_certificate_make("", cert, again, &e), RC_EXISTS);
}

static const struct {
	const char        *name;
	enum conf_protocol protocol;
	unsigned           port;
} listeners[] = {
	{ "imaps", CONF_IMAPS, 20993 }, { "pop3s", CONF_POP3S, 20995 }, { "imap", CONF_IMAP, 20143 },
	{ "pop3", CONF_POP3, 20110 },   { "lmtp", CONF_LMTP, 20024 },   { "lmtp-socket", CONF_LMTP, 0 },
};

static enum admin_exit
init(const char *where, const char *base_port)
{
	static const struct ctl_verb verb = { .usage = "init DIR",
	                                      .options = "--base-port= --user=" };
	struct ctl ctl = { .verb = &verb, .args = { where }, .argc = 1, .prefix = "" };
	struct err e = ERR_INIT;
	bool took_next;

	ctl.options.declared = verb.options;
	if (base_port != NULL)
		assert_int_equal(options_take(&ctl.options, "--base-port", base_port, &took_next,
		                              &e),
		                 RC_OK);
	if (geteuid() == 0)
		assert_int_equal(options_take(&ctl.options, "--user", "root", &took_next, &e),
		                 RC_OK);
	return ctl_init(&ctl);
}

static void
test_init(void **state)
{
	struct err e = ERR_INIT;
	char where[100], path[140];
	struct conf *c;
	struct stat st;

	(void)state;
	snprintf(where, sizeof where, "%s/a/site", dir);
	assert_int_equal(init(where, "20000"), ADMIN_OK);
	snprintf(path, sizeof path, "%s/restante.conf", where);
	assert_int_equal(conf_load(path, &c, &e), RC_OK);
	assert_true(c->server.allow_plaintext_on_loopback);
	assert_string_equal(c->server.user, geteuid() == 0 ? "root" : "");
	assert_int_equal(c->n_volumes, 1);
	assert_int_equal(c->n_listens, UNIT_COUNT(listeners));
	for (size_t i = 0; i < UNIT_COUNT(listeners); i++) {
		assert_string_equal(c->listens[i].named.name, listeners[i].name);
		assert_int_equal(c->listens[i].protocol, listeners[i].protocol);
		assert_string_equal(c->listens[i].address, "127.0.0.1");
		assert_int_equal(c->listens[i].port, listeners[i].port);
	}
	assert_int_equal(c->listens[5].mode, 0666);
	snprintf(path, sizeof path, "%s/head", c->volumes[0].path);
	assert_int_equal(stat(path, &st), 0);
	check_certificate(c->tls.certificate, c->tls.key, "localhost");
	conf_free(&c);
	assert_int_equal(init(where, NULL), ADMIN_FAILED);
}

static void
test_init_refuses(void **state)
{
	char where[200], sock[240];
	struct stat st;
	int fd;

	(void)state;
	snprintf(where, sizeof where, "%s/b", dir);
	assert_int_equal(init(where, "64541"), ADMIN_USAGE);
	assert_int_equal(init(where, "-1"), ADMIN_USAGE);
	assert_int_equal(init(where, ""), ADMIN_USAGE);
	assert_int_equal(stat(where, &st), -1);
	/* Whatever would be used is in the way, nothing else is made. */
	assert_int_equal(mkdir(where, 0755), 0);
	snprintf(sock, sizeof sock, "%s/lmtp.sock", where);
	fd = open(sock, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(init(where, NULL), ADMIN_FAILED);
	snprintf(sock, sizeof sock, "%s/key.pem", where);
	assert_int_equal(stat(sock, &st), -1);
	/* Its sockets could not be bound. */
	snprintf(where, sizeof where, "%s/%080d", dir, 0);
	assert_int_equal(init(where, NULL), ADMIN_FAILED);
}

/* Only root can try what another user may reach. */
static void
test_barred(void **state)
{
	char shut[100], below[140], found[200];
	struct err e = ERR_INIT;

	(void)state;
	if (geteuid() != 0)
		skip();
	snprintf(shut, sizeof shut, "%s/shut", dir);
	snprintf(below, sizeof below, "%s/shut/x/y", dir);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(mkdir(shut, 0700), 0);
	assert_int_equal(ctl_owner_barred("nobody", below, found, sizeof found, &e), RC_OK);
	assert_string_equal(found, shut);
	assert_int_equal(ctl_owner_barred("nobody", shut, found, sizeof found, &e), RC_OK);
	assert_string_equal(found, "");
	/* Root never is. */
	snprintf(below, sizeof below, "%s/shut/site", dir);
	assert_int_equal(ctl_owner_barred("root", below, found, sizeof found, &e), RC_OK);
	assert_string_equal(found, "");
}

#define FIXED 9

int
main(void)
{
	struct CMUnitTest tests[FIXED + UNIT_COUNT(requests) + UNIT_COUNT(answers) +
	                        UNIT_COUNT(line_cases) + UNIT_COUNT(imports)] = {
		cmocka_unit_test(test_answer_nobody_reads),
		cmocka_unit_test(test_connect),
		cmocka_unit_test(test_lines_across_reads),
		cmocka_unit_test(test_password),
		cmocka_unit_test(test_progress_text),
		cmocka_unit_test(test_certificate),
		cmocka_unit_test(test_init),
		cmocka_unit_test(test_init_refuses),
		cmocka_unit_test(test_barred),
	};
	struct CMUnitTest *t = tests + FIXED;

#define ADD_ROWS(table, test) \
	for (size_t i = 0; i < UNIT_COUNT(table); i++) \
		*t++ = (struct CMUnitTest){ table[i].name, test, NULL, NULL, (void *)(uintptr_t)&table[i] }
	ADD_ROWS(requests, test_request);
	ADD_ROWS(answers, test_answer);
	ADD_ROWS(line_cases, test_lines);
	ADD_ROWS(imports, test_import);
#undef ADD_ROWS
	return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
