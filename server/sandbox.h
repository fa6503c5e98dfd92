/* sandbox - what is taken from the server before it reads the first byte from outside, mail that lies in
 * a log included.
 *
 * Linux: Landlock (files and TCP) and seccomp (system calls); OpenBSD: unveil and pledge (never tried there); elsewhere
 * nothing. Whoever makes the server execute code of his own finds no program to start, no file but the volumes to
 * write, no socket to open to the outside. What is loaded late must work nevertheless: character sets of iconv, plugins
 * of libsasl2, providers of OpenSSL, all from the system's directories; certificates come from the supervisor, whatever
 * is allowed here (keys.h).
 */
#ifndef RESTANTE_SERVER_SANDBOX_H
#define RESTANTE_SERVER_SANDBOX_H

#include "lib/conf.h"

#define SANDBOX_PATHS_MAX 512u

/* Directories and files; those that do not exist are left out. The strings are the caller's. */
struct sandbox {
	const char *read[SANDBOX_PATHS_MAX];    /* may be read, with all that is below */
	size_t      read_count;
	const char *write[SANDBOX_PATHS_MAX];   /* and changed, but nothing there may be executed */
	size_t      write_count;
	bool        connect;                    /* TCP to others */
	bool        ask;                        /* unix sockets of others: saslauthd */
};

/* What holds us now. */
struct sandbox_report {
	unsigned landlock;      /* version of the kernel's interface; 0: none */
	bool     seccomp;
	bool     other;         /* pledge and unveil */
};

/* Close it around this process, for good. Before any other thread is made: those that exist stay outside of a part of
 * it. What this system does not have is no error, but missing in the report. */
MUST_USE enum rc sandbox_enter(const struct sandbox *s, struct sandbox_report *report,
                               struct err *e);
/* With what the configuration says; logs what holds, and a warning if that is not all. With `sandbox = no` nothing is
 * done but to give up gaining rights by execution. */
MUST_USE enum rc sandbox_start(const struct conf *conf, struct err *e);

/* The system's part: sandbox_linux.c and the like. */
MUST_USE enum rc sandbox_landlock(const struct sandbox *s, unsigned *version, struct err *e);
MUST_USE enum rc sandbox_seccomp(const struct sandbox *s, bool *on, struct err *e);

#endif
