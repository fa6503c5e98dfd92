/* The sandbox, from inside: each case is a process of its own that closes it and tries something.
 * What must fail fails in the way that it must; what is loaded late loads. On a kernel without
 * Landlock or seccomp the cases fail, and say so. */
#define _GNU_SOURCE
#include "tests/unit/unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <iconv.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/evp.h>
#include <openssl/provider.h>

#include "server/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

static char dir[64];            /* holds "in", which is allowed, and "out", which is not */

/* ---- things to try: 0, or the errno of what was refused ---- */

static int
result(long r)
{
	return r < 0 ? errno : 0;
}

static int
in(const char *name, int flags)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return result(open(path, flags | O_CLOEXEC, 0600));
}

static int write_inside(void) { return in("in/new", O_WRONLY | O_CREAT); }
static int read_outside(void) { return in("out/file", O_RDONLY); }
static int write_outside(void) { return in("out/file", O_WRONLY); }
static int create_outside(void) { return in("out/new", O_WRONLY | O_CREAT); }
static int
truncate_outside(void)
{
	char p[128];
	snprintf(p, sizeof p, "%s/out/file", dir);
	return result(truncate(p, 0));
}
static int read_system(void) { return result(open("/etc/passwd", O_RDONLY | O_CLOEXEC)); }
static int write_system(void) { return result(open("/etc/passwd", O_WRONLY | O_CLOEXEC)); }
static int read_processes(void) { return result(open("/proc/1/cmdline", O_RDONLY | O_CLOEXEC)); }

static int
rename_inside(void)
{
	char a[128], b[128];

	snprintf(a, sizeof a, "%s/in/a", dir);
	snprintf(b, sizeof b, "%s/in/below/b", dir);
	return in("in/a", O_WRONLY | O_CREAT) != 0 ? errno : result(rename(a, b));
}

static int
take_out(void)
{
	char a[128], b[128];

	snprintf(a, sizeof a, "%s/in/c", dir);
	snprintf(b, sizeof b, "%s/out/c", dir);
	return in("in/c", O_WRONLY | O_CREAT) != 0 ? 0 : result(rename(a, b));
}

static int
execute(void)
{
	char *argv[] = { (char *)"true", NULL };

	return result(execv("/bin/true", argv));
}

static int trace(void) { return result(ptrace(PTRACE_TRACEME, 0, NULL, NULL)); }
static int
look_into(void)
{
	return result(syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}
static int
mount_something(void)
{
	return result(syscall(SYS_mount, "none", dir, "tmpfs", 0, NULL));
}
static int leave_namespace(void) { return result(syscall(SYS_unshare, 0)); }
static int load_module(void) { return result(syscall(SYS_init_module, NULL, 0, "")); }
static int load_bpf(void) { return result(syscall(SYS_bpf, 0, NULL, 0)); }
static int use_io_uring(void) { return result(syscall(425, 1, NULL)); }
static int use_keys(void) { return result(syscall(SYS_keyctl, 0, 0, 0, 0, 0)); }
static int become_root(void) { return result(syscall(SYS_setuid, 0)); }
static int make_process(void) { pid_t p = fork(); if (p == 0) _exit(0); return result(p); }
static int signal_parent(void) { return result(kill(getppid(), 0)); }
static int open_inet(void) { return result(socket(AF_INET, SOCK_STREAM, 0)); }
/* A connection that exists, to be taken off its peer. The sandbox has no connect(2) to make
 * one: before it. */
static int connection = -1;
static int
unsettle(void)
{
	struct sockaddr a = { .sa_family = AF_UNSPEC };
	return result(connect(connection, &a, sizeof a));
}
static int
connect_by_sending(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9),
	                         .sin_addr = { htonl(INADDR_LOOPBACK) } };

	return result(sendto(connection, "x", 1, MSG_FASTOPEN | MSG_NOSIGNAL, (struct sockaddr *)&a,
	                     sizeof a));
}
static int send_to_peer(void) { return result(send(connection, "x", 1, MSG_NOSIGNAL)); }
static int
signal_thread_of_parent(void)
{
	return result(syscall(SYS_tgkill, getppid(), getppid(), 0));
}
static int signal_itself(void) { return raise(0); }
static int open_raw(void) { return result(socket(AF_PACKET, SOCK_RAW, 0)); }
static int open_netlink(void) { return result(socket(AF_NETLINK, SOCK_RAW, 0)); }
static int open_unix(void) { return result(socket(AF_UNIX, SOCK_STREAM, 0)); }
static int push_input(void) { return result(syscall(SYS_ioctl, 0, 0x5412, "x")); }  /* TIOCSTI */

static int
write_and_execute(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1,
	           0) == MAP_FAILED
	           ? errno
	           : 0;
}

static int
make_executable(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? 0 : result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

/* Late: a module of the C library that no other part of the test has used. */
static int
load_charset(void)
{
	iconv_t cd = iconv_open("UTF-8", "EUC-TW");

	return cd == (iconv_t)-1 ? errno : iconv_close(cd);
}

static int
load_provider(void)
{
	OSSL_PROVIDER *p = OSSL_PROVIDER_load(NULL, "legacy");

	return p != NULL && EVP_get_digestbyname("MD4") != NULL ? 0 : ENOENT;
}

static void *
nothing(void *arg)
{
	return arg;
}

static int
make_thread(void)
{
	pthread_t t;
	int failed = pthread_create(&t, NULL, nothing, NULL);

	return failed != 0 ? failed : pthread_join(t, NULL);
}

/* ---- the cases ---- */

static const struct sandbox_case {
	const char *name;
	int       (*try)(void);
	int         want;       /* 0, an errno, or minus a signal */
	int         other;      /* as good */
	bool        loose;      /* sanitizers need it themselves: not tried in their builds */
} cases[] = {
	{ "writes in a volume", write_inside, 0, 0, false },
	{ "renames in a volume", rename_inside, 0, 0, false },
	{ "reads no other file", read_outside, EACCES, 0, false },
	{ "writes no other file", write_outside, EACCES, 0, false },
	{ "makes no other file", create_outside, EACCES, 0, false },
	{ "cuts no other file", truncate_outside, EACCES, 0, false },
	{ "takes no file out", take_out, EACCES, EXDEV, false },
	{ "reads the system's files", read_system, 0, 0, false },
	{ "writes no file of the system", write_system, EACCES, 0, false },
	{ "sees no other process", read_processes, EACCES, 0, false },
	{ "starts no program", execute, -SIGSYS, 0, false },
	{ "traces nobody", trace, -SIGSYS, 0, true },
	{ "reads no other memory", look_into, -SIGSYS, 0, true },
	{ "mounts nothing", mount_something, -SIGSYS, 0, false },
	{ "makes no namespace", leave_namespace, -SIGSYS, 0, false },
	{ "loads no module", load_module, -SIGSYS, 0, false },
	{ "loads no BPF", load_bpf, -SIGSYS, 0, false },
	{ "has no io_uring", use_io_uring, ENOSYS, 0, false },
	{ "has no keyring", use_keys, ENOSYS, 0, false },
	{ "becomes nobody else", become_root, ENOSYS, 0, false },
	{ "makes no process", make_process, ENOSYS, 0, true },
	{ "signals nobody", signal_parent, ENOSYS, 0, true },
	{ "opens no connection", open_inet, ENOSYS, 0, false },
	{ "takes no connection off its peer", unsettle, ENOSYS, 0, false },
	{ "connects by no sending", connect_by_sending, ENOSYS, 0, false },
	{ "sends to its peer", send_to_peer, 0, 0, false },
	{ "signals no thread of others", signal_thread_of_parent, ENOSYS, 0, true },
	{ "signals itself", signal_itself, 0, 0, false },
	{ "has no raw socket", open_raw, ENOSYS, 0, false },
	{ "asks no netlink", open_netlink, ENOSYS, 0, false },
	{ "may ask saslauthd", open_unix, 0, 0, false },
	{ "types into no terminal", push_input, ENOSYS, 0, false },
	{ "has no memory to write and execute", write_and_execute, ENOSYS, 0, true },
	{ "makes no memory executable", make_executable, ENOSYS, 0, true },
	{ "loads a character set late", load_charset, 0, 0, false },
	{ "loads a provider late", load_provider, 0, 0, false },
	{ "makes a thread", make_thread, 0, 0, false },
};

/* Both ends in this process. */
static int
make_connection(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof a;
	int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0);

	if (bind(l, (struct sockaddr *)&a, sizeof a) != 0 || listen(l, 1) != 0 ||
	    getsockname(l, (struct sockaddr *)&a, &len) != 0 ||
	    connect(c, (struct sockaddr *)&a, sizeof a) != 0)
		return -1;
	return accept(l, NULL, NULL);
}

/* In the child: 0 to 99 are what was tried. */
static void
run(const struct sandbox_case *k, bool connect)
{
	struct sandbox s = { .read = { "/usr", "/lib", "/lib64", "/etc" }, .read_count = 4,
	                     .write_count = 1, .connect = connect };
	struct sandbox_report report;
	struct err e = ERR_INIT;
	char inside[80];

	snprintf(inside, sizeof inside, "%s/in", dir);
	s.write[0] = inside;
	connection = make_connection();
	if (sandbox_enter(&s, &report, &e) != RC_OK || report.landlock == 0 || !report.seccomp) {
		fprintf(stderr, "no sandbox here: landlock=%u seccomp=%d %s\n", report.landlock,
		    report.seccomp, e.text);
		_exit(255);
	}
	_exit(k->try());
}

static void
test_case(void **state)
{
	const struct sandbox_case *k = *state;
	int status, got;
	pid_t pid;

	if (k->loose && SANITIZED)
		return;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run(k, false);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	got = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	if (got != k->want && (k->other == 0 || got != k->other))
		fail_msg("%s: %d (%s), not %d", k->name, got, strerror(got), k->want);
}

/* What is allowed by sandbox_connect; binding to a port is not. */
static int
connect_and_bind(void)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(9),
	                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	if (fd < 0)
		return errno;
	if (connect(fd, (struct sockaddr *)&a, sizeof a) != 0 && errno != ECONNREFUSED)
		return errno;
	a.sin_port = htons(20000);
	return bind(fd, (struct sockaddr *)&a, sizeof a) == 0 ? EEXIST : 0;
}

static void
test_connect(void **state)
{
	static const struct sandbox_case k = { "connects", connect_and_bind, 0, 0, false };
	int status;
	pid_t pid;

	(void)state;
	fflush(NULL);
	pid = fork();
	if (pid == 0)
		run(&k, true);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int
make(void **state)
{
	char path[128];
	int fd;

	(void)state;
	strcpy(dir, "/tmp/test_sandbox.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/in/below", dir);
	*strrchr(path, '/') = '\0';
	if (mkdir(path, 0700) != 0)
		return 1;
	path[strlen(path)] = '/';
	if (mkdir(path, 0700) != 0)
		return 1;
	snprintf(path, sizeof path, "%s/out", dir);
	if (mkdir(path, 0700) != 0)
		return 1;
	snprintf(path, sizeof path, "%s/out/file", dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	return fd < 0 || close(fd) != 0;
}

static int
clear(void **state)
{
	static const char *const names[] = { "in/new", "in/a", "in/c", "in/below/b", "in/below",
	                                     "in", "out/file", "out/new",
	                                     "out/c", "out", "" };

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		char path[128];

		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		(void)remove(path);
	}
	return 0;
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + 1];

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[i] = (struct CMUnitTest){ cases[i].name, test_case, NULL, NULL,
		                                (void *)(uintptr_t)&cases[i] };
	tests[UNIT_COUNT(cases)] = (struct CMUnitTest)cmocka_unit_test(test_connect);
	return cmocka_run_group_tests_name("sandbox", tests, make, clear);
}
