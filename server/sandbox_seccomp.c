/* sandbox_seccomp - system calls, by libseccomp. See sandbox.h and seccomp(2).
 *
 * A list of what is allowed, as a list of what is not would miss what kernels will learn. Two ways
 * of refusal: what only an attacker calls (to start a program, to look into another process, to
 * mount, to load into the kernel) kills the process, which the supervisor logs as a crash by signal
 * 31. Everything else fails with ENOSYS, as on a kernel that does not have it: libraries try what
 * is new and know what to do without; killing would make a mail server die of an upgraded C
 * library. io_uring is among these, as what it does passes by every filter.
 *
 * Memory is writable or executable, never first one and then the other (what lies in a file can be
 * mapped to be executed: libraries are). A new process cannot be made, only threads: clone3, whose
 * flags a filter cannot see, counts as missing.
 *
 * A filter cannot see to whom connect(2) goes either, and a socket that was accepted can be taken
 * off its peer by it and be connected to somebody else. Landlock refuses that from version 4 on; so
 * that it holds before, too, the call is there only if something needs it. MSG_FASTOPEN is a
 * connect in disguise.
 */
#define _GNU_SOURCE
#include "config.h"
#include "server/sandbox.h"

#ifdef HAVE_SECCOMP

#include <errno.h>
#include <linux/fs.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true          /* the leak checker stops all threads by ptrace, from a
                                 * process of its own */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED true
#endif
#endif
#ifndef SANITIZED
#define SANITIZED false
#endif

/* Names that this architecture, or this libseccomp, does not know are passed over. */
static const char *const allowed[] = {
	/* files */
	"read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "preadv2",
	"pwritev2", "open", "openat",
	"openat2", "close", "close_range", "lseek", "_llseek", "stat", "lstat", "fstat",
	"newfstatat", "stat64", "lstat64", "fstat64",
	"fstatat64", "statx", "statfs", "fstatfs", "statfs64", "fstatfs64", "access", "faccessat",
	"faccessat2", "readlink",
	"readlinkat", "getdents", "getdents64", "getcwd", "mkdir", "mkdirat", "rmdir", "unlink",
	"unlinkat", "rename", "renameat",
	"renameat2", "link", "linkat", "chmod", "fchmod", "fchmodat", "chown", "fchown", "fchownat",
	"umask", "truncate", "truncate64",
	"ftruncate", "ftruncate64", "fallocate", "fsync", "fdatasync", "sync_file_range", "syncfs",
	"fadvise64", "fadvise64_64",
	"readahead", "flock", "fcntl", "fcntl64", "dup", "dup2", "dup3", "pipe", "pipe2",
	"utimensat", "utimensat_time64",
	"copy_file_range", "sendfile", "sendfile64", "inotify_init1", "inotify_add_watch",
	"inotify_rm_watch", "fgetxattr", "getxattr", "lgetxattr",
	/* memory */
	"munmap", "mremap", "madvise", "brk", "msync", "mincore", "mlock", "mlock2", "munlock",
	"membarrier", "memfd_create",
	/* threads and signals */
	"futex", "futex_time64", "futex_waitv", "set_robust_list", "get_robust_list", "rseq",
	"sched_yield", "sched_getaffinity",
	"sched_setaffinity", "sched_getparam", "sched_getscheduler", "sched_setscheduler",
	"sched_setparam", "sched_get_priority_max",
	"sched_get_priority_min", "getpriority", "setpriority", "ioprio_set", "ioprio_get", "exit",
	"exit_group", "set_tid_address",
	"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigreturn", "rt_sigtimedwait",
	"rt_sigtimedwait_time64", "rt_sigsuspend",
	"rt_sigpending", "sigaltstack", "restart_syscall", "gettid", "prctl", "arch_prctl",
	/* waiting and time */
	"epoll_create", "epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "epoll_pwait2",
	"eventfd", "eventfd2", "poll",
	"ppoll", "ppoll_time64", "select", "_newselect", "pselect6", "pselect6_time64",
	"timerfd_create", "timerfd_settime",
	"timerfd_settime64", "timerfd_gettime", "timerfd_gettime64", "clock_gettime",
	"clock_gettime64", "clock_getres",
	"clock_getres_time64", "clock_nanosleep", "clock_nanosleep_time64", "nanosleep",
	"gettimeofday", "time", "times", "alarm",
	/* sockets that exist */
	"accept", "accept4", "listen", "getsockname", "getpeername", "getsockopt", "setsockopt",
	"send", "recv", "recvfrom", "recvmsg",
	"recvmmsg", "recvmmsg_time64", "shutdown",
	/* questions */
	"getpid", "getppid", "getuid", "geteuid", "getgid", "getegid", "getuid32", "geteuid32",
	"getgid32", "getegid32", "getresuid",
	"getresgid", "getgroups", "getgroups32", "getpgrp", "getpgid", "getsid", "uname", "sysinfo",
	"getrlimit", "ugetrlimit",
	"prlimit64", "getrusage", "getrandom", "getcpu", "capget",
};

static const char *const deadly[] = {
	"execve", "execveat", "ptrace", "process_vm_readv", "process_vm_writev", "kcmp",
	"pidfd_getfd", "mount", "umount", "umount2",
	"pivot_root", "chroot", "move_mount", "open_tree", "fsopen", "fsmount", "mount_setattr",
	"setns", "unshare", "init_module",
	"finit_module", "delete_module", "kexec_load", "kexec_file_load", "bpf", "perf_event_open",
	"userfaultfd", "mknod", "mknodat",
	"open_by_handle_at", "reboot", "swapon", "swapoff", "iopl", "ioperm", "acct", "quotactl",
	"settimeofday", "sethostname",
};

/* What the sanitizers do besides. */
static const char *const sanitizers[] = {
	"ptrace", "clone", "wait4", "kill", "mmap", "mprotect", "personality", "process_vm_readv",
	"set_thread_area", "fork",
};

/* What descriptors are asked by ioctl: not blocking, close on exec, how much is there, is it a
 * terminal, copy by reference. */
static const unsigned long ioctls[] = { FIONBIO, FIOCLEX, FIONCLEX, FIONREAD, TCGETS, TIOCGWINSZ,
                                        FICLONE, FICLONERANGE };

#ifdef __s390__
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static int
add_names(scmp_filter_ctx f, uint32_t action, const char *const *names, size_t count)
{
	int failed = 0;

	for (size_t i = 0; i < count && failed == 0; i++) {
		int nr = seccomp_syscall_resolve_name(names[i]);

		if (nr == __NR_SCMP_ERROR)
			continue;
		failed = seccomp_rule_add(f, action, nr, 0);
		/* Not on this architecture; or what comes earlier, for sanitizers, allows it. */
		if (failed == -EDOM || failed == -EEXIST)
			failed = 0;
	}
	return failed;
}

/* Allowed if argument number `arg` is `value` where `mask` has ones. */
static int
add_masked(scmp_filter_ctx f, int nr, unsigned arg, uint64_t mask, uint64_t value)
{
	const struct scmp_arg_cmp cmp = { .arg = arg, .op = SCMP_CMP_MASKED_EQ, .datum_a = mask,
	                                  .datum_b = value };

	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, nr, 1, &cmp);
}

static int
add_equal(scmp_filter_ctx f, int nr, unsigned arg, uint64_t value)
{
	const struct scmp_arg_cmp cmp = { .arg = arg, .op = SCMP_CMP_EQ, .datum_a = value };

	return seccomp_rule_add_array(f, SCMP_ACT_ALLOW, nr, 1, &cmp);
}

static int
add_socket(scmp_filter_ctx f, unsigned family)
{
	int failed = add_equal(f, SCMP_SYS(socket), 0, family);

	return failed != 0 ? failed : add_equal(f, SCMP_SYS(socketpair), 0, family);
}

/* Writable or executable; nothing becomes executable later. */
static int
add_memory(scmp_filter_ctx f)
{
	static const char *const maps[] = { "mmap", "mmap2" };
	int failed = add_masked(f, SCMP_SYS(mprotect), 2, PROT_EXEC, 0);

	for (size_t i = 0; i < COUNT(maps) && failed == 0; i++) {
		int nr = seccomp_syscall_resolve_name(maps[i]);

		failed = add_masked(f, nr, 2, PROT_EXEC, 0);
		if (failed == 0)        /* a library, loaded late */
			failed = add_masked(f, nr, 2, PROT_EXEC | PROT_WRITE, PROT_EXEC);
		if (failed == -EDOM)
			failed = 0;
	}
	return failed;
}

/* Each with its flags, which are the argument of that number. */
static int
add_sending(scmp_filter_ctx f)
{
	int failed = add_masked(f, SCMP_SYS(sendto), 3, MSG_FASTOPEN, 0);

	if (failed == 0)
		failed = add_masked(f, SCMP_SYS(sendmsg), 2, MSG_FASTOPEN, 0);
	return failed != 0 ? failed : add_masked(f, SCMP_SYS(sendmmsg), 3, MSG_FASTOPEN, 0);
}

static int
add_sockets(scmp_filter_ctx f, const struct sandbox *s)
{
	int failed = add_sending(f);

	if (failed == 0)        /* saslauthd, nscd and the like */
		failed = add_socket(f, AF_UNIX);
	if (failed == 0 && (s->ask || s->connect))
		failed = seccomp_rule_add(f, SCMP_ACT_ALLOW, SCMP_SYS(connect), 0);
	if (failed == 0 && s->connect)
		failed = add_socket(f, AF_INET);
	if (failed == 0 && s->connect)
		failed = add_socket(f, AF_INET6);
	return failed;
}

static int
add_arguments(scmp_filter_ctx f, const struct sandbox *s)
{
	int failed = add_memory(f);

	if (failed == 0)
		failed = add_masked(f, SCMP_SYS(clone), CLONE_FLAGS_ARG, CLONE_THREAD,
		                    CLONE_THREAD);
	for (size_t i = 0; i < COUNT(ioctls) && failed == 0; i++)
		failed = add_equal(f, SCMP_SYS(ioctl), 1, ioctls[i]);
	if (failed == 0)        /* its own threads: abort, raise, pthread_kill */
		failed = add_equal(f, SCMP_SYS(tgkill), 0, (uint64_t)getpid());
	return failed != 0 ? failed : add_sockets(f, s);
}

static int
fill(scmp_filter_ctx f, const struct sandbox *s)
{
	int failed = add_names(f, SCMP_ACT_ALLOW, allowed, COUNT(allowed));

	if (failed == 0 && SANITIZED)
		failed = add_names(f, SCMP_ACT_ALLOW, sanitizers, COUNT(sanitizers));
	if (failed == 0)
		failed = add_arguments(f, s);
	if (failed == 0)
		failed = add_names(f, SCMP_ACT_KILL_PROCESS, deadly, COUNT(deadly));
	return failed;
}

enum rc
sandbox_seccomp(const struct sandbox *s, bool *on, struct err *e)
{
	scmp_filter_ctx f = seccomp_init(SCMP_ACT_ERRNO(ENOSYS));
	int failed;

	*on = false;
	if (f == NULL)
		return err_nomem(e);
	failed = fill(f, s);
	if (failed == 0)
		failed = seccomp_load(f);
	seccomp_release(f);
	*on = failed == 0;
	/* Told by the report: a kernel without it, or a container that does not let us. */
	if (failed == -EINVAL || failed == -ENOSYS || failed == -EPERM || failed == -EACCES ||
	    failed == -ECANCELED)
		return RC_OK;
	return failed == 0 ? RC_OK : err_os(e, -failed, "seccomp");
}

#else

enum rc
sandbox_seccomp(const struct sandbox *s, bool *on, struct err *e)
{
	(void)s;
	(void)e;
	*on = false;
	return RC_OK;
}

#endif
