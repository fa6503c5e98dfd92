/* ctl - what the parts of restantectl share. One thread.
 *
 * A command line becomes a `struct ctl`: the verb, its words and options. Most verbs are then run by ctl_run, in the
 * daemon through its control socket or, when none answers, here over the volumes themselves, by the same code
 * (index/admin.h).
 */
#ifndef RESTANTE_TOOLS_CTL_H
#define RESTANTE_TOOLS_CTL_H

#include <stdio.h>

#include "index/admin.h"
#include "lib/conf.h"
#include "lib/options.h"
#include "lib/secret.h"

#define CTL_ARGS_MAX 63

struct ctl;
struct ctl_progress;

struct ctl_verb {
	const char *words[2];           /* the second may be NULL */
	int         min_args, max_args;
	const char *options;            /* see lib/options.h; what the admin verb of these words declares, and its own;
	                                 * NULL: see OF_ADMIN in restantectl.c */
	bool        no_conf;            /* needs no configuration */
	enum admin_exit (*run)(struct ctl *ctl);
	const char *usage;              /* what stands behind "restantectl [-c FILE] " */
	const char *help;
};

struct ctl {
	const char            *conf_path;
	bool                   conf_given;      /* by -c; else it is the default */
	struct conf           *conf;            /* set by ctl_prepare */
	const struct ctl_verb *verb;
	const char            *args[CTL_ARGS_MAX + 1];  /* NULL behind the last */
	int                    argc;
	struct options         options;
	bool                   quiet;           /* what was done is not told line by line */
	const char            *prefix;          /* of error lines of this call: "line 3: "; "" for none */
	struct volume         *volumes[CONF_VOLUMES_MAX];       /* opened here: the daemon is not running */
	size_t                 volume_count;
};

/* ---- ctl_run.c ---- */

/* Read the configuration and, as root, become its user. False: told already. */
MUST_USE bool ctl_prepare(struct ctl *ctl);
/* Run an admin verb, in the daemon or here. Volumes opened here stay open for the next call. */
enum admin_exit ctl_run(struct ctl *ctl, int argc, const char *const *argv);
/* A verb with bytes of its own to take or give. As root it keeps root's rights over the files that they come from or go
 * to. */
struct ctl_bulk {
	void *arg;
	bool (*line)(void *arg, struct slice text);     /* instead of printing */
	bool (*data)(void *arg, struct slice bytes);    /* NULL: the verb gives none */
	enum rc (*read)(void *arg, uint8_t *to, size_t size, size_t *got, struct err *e);  /* NULL: it takes none */
	struct ctl_progress *progress;                  /* cleared before something else is told */
};
enum admin_exit ctl_run_bulk(struct ctl *ctl, int argc, const char *const *argv,
                             const struct ctl_bulk *bulk);
/* The verb as it was typed, with all its options. */
enum admin_exit ctl_forward(struct ctl *ctl);
/* The same for a verb that only the daemon can do. */
enum admin_exit ctl_forward_live(struct ctl *ctl);
/* Over the volumes that are open in `ctl`, wherever they lie; no configuration is looked at. */
enum admin_exit ctl_run_opened(struct ctl *ctl, int argc, const char *const *argv);
enum admin_exit ctl_reindex(struct ctl *ctl);
enum admin_exit ctl_restore(struct ctl *ctl);
enum admin_exit ctl_volume_create(struct ctl *ctl);
void ctl_close(struct ctl *ctl);
/* "restantectl: ..." on stderr. */
void ctl_error(const struct ctl *ctl, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* ---- ctl_backup.c ---- */

enum admin_exit ctl_backup(struct ctl *ctl);
enum admin_exit ctl_verify(struct ctl *ctl);
/* restore without a NAME: a whole volume, into the empty place that the configuration names. */
enum admin_exit ctl_restore_volume(struct ctl *ctl);

/* ---- ctl_remote.c: the control socket, see server/control.h ---- */

/* A connection, or -1 with errno. */
int  ctl_connect(const char *path);
/* The pid at the other end, 0 if the system does not tell. */
long ctl_peer_pid(int fd);
/* The request as one line with its LF. */
bool ctl_encode(int argc, const char *const *argv, struct buf *out);
/* Send the request, pass the answer on to `out`, and what `input` gives (may be NULL) when the verb asks for it. Closes
 * fd. */
enum admin_exit ctl_remote(int fd, int argc, const char *const *argv,
                           const struct admin_output *out, const struct admin_input *input);
/* The same; *unread, with nothing told: the daemon ended before it read the request, which may be made anew. */
enum admin_exit ctl_remote_once(int fd, int argc, const char *const *argv,
                                const struct admin_output *out, const struct admin_input *input,
                                bool *unread);

/* ---- ctl_progress.c ---- */

struct ctl_progress {
	bool     terminal;              /* stderr is one: a bar; else a line every few seconds */
	bool     shown;                 /* a bar stands on the terminal's line */
	uint64_t started_ms, told_ms;
	char     what[80];
};

void ctl_progress_init(struct ctl_progress *p);
/* done, total: bytes */
void ctl_progress_show(struct ctl_progress *p, const char *what, uint64_t done, uint64_t total);
/* The same for things that are counted and whose number is not known. */
void ctl_progress_count(struct ctl_progress *p, const char *what, uint64_t done);
/* Take the bar away, so that other text can be written. */
void ctl_progress_clear(struct ctl_progress *p);
/* One line of what ctl_progress_show would tell, without control characters. */
void ctl_progress_text(char *dst, size_t size, const char *what, uint64_t done, uint64_t total,
                       uint64_t ms);

/* ---- ctl_password.c ---- */

/* Lines of a file descriptor, wiped behind the reader. */
struct ctl_reader {
	int     fd;
	size_t  start, len;
	uint8_t bytes[4096];
};

void ctl_reader_init(struct ctl_reader *r, int fd);
void ctl_reader_fini(struct ctl_reader *r);
/* The next line without its LF or CR LF into `out`, emptied first. RC_NOT_FOUND: the end; RC_LIMIT: longer than fits,
 * the line was skipped; RC_IO. */
MUST_USE enum rc ctl_reader_line(struct ctl_reader *r, struct secret *out, struct err *e);
/* The password that `name` has elsewhere: typed when stdin is a terminal, else one line of stdin.
 * RC_NOT_FOUND: none. */
MUST_USE enum rc ctl_password_ask(const char *name, struct secret *out, struct err *e);
/* A new password for `name` and its verifier into `out`: typed twice when stdin is a terminal, else
 * one line of stdin. */
MUST_USE enum rc ctl_password_verifier(const char *name, struct buf *out, struct err *e);

/* ---- ctl_user.c ---- */

/* Something that cannot be undone: ask on a terminal; without one --yes must be given. ADMIN_OK: go on. */
enum admin_exit ctl_ask(struct ctl *ctl, const char *question);
enum admin_exit ctl_purge(struct ctl *ctl);
enum admin_exit ctl_user_add(struct ctl *ctl);
enum admin_exit ctl_user_import(struct ctl *ctl);
enum admin_exit ctl_user_app_password(struct ctl *ctl);
enum admin_exit ctl_user_passwd(struct ctl *ctl);
enum admin_exit ctl_user_delete(struct ctl *ctl);
enum admin_exit ctl_mailbox_delete(struct ctl *ctl);
/* Parts of an import line; the password may hold colons. RC_SYNTAX says what is wrong. */
MUST_USE enum rc ctl_split_import(struct slice line, struct slice *name, struct slice *password,
                                  struct err *e);

/* ---- ctl_lint.c ---- */

enum admin_exit ctl_lint(struct ctl *ctl);
/* ---- ctl_import.c, ctl_export.c ---- */

enum admin_exit ctl_import(struct ctl *ctl);
enum admin_exit ctl_export(struct ctl *ctl);

/* ---- ctl_init.c and its helpers ---- */

enum admin_exit ctl_init(struct ctl *ctl);
/* ctl_certificate.c: a key of P-256 (mode 0600) and a certificate signed by it, for localhost, 127.0.0.1, ::1 and
 * `hostname` (may be ""). Neither file may exist. */
MUST_USE enum rc ctl_certificate_make(const char *hostname, const char *cert_path,
                                      const char *key_path, struct err *e);

/* ---- ctl_owner.c: users of the system ---- */

/* As root: become this user for good, with its groups. Otherwise, and for "" and root: nothing. */
MUST_USE enum rc ctl_owner_become(const char *user, struct err *e);
/* As root: act as this user from now on, but for what ctl_owner_own covers. */
MUST_USE enum rc ctl_owner_lend(const char *user, struct err *e);
/* After ctl_owner_lend: files are root's to open and make for this thread (true), or the user's again (false). Threads
 * of the volume never notice. Only on Linux; elsewhere nothing: files of others are then reached through
 * the daemon only. */
void ctl_owner_own(bool own);
/* The end of ctl_owner_lend, with no thread left: root's process again, which debuggers and leak checkers
 * may look into. */
void ctl_owner_return(void);
/* Make the system user if it is missing. RC_NOT_FOUND: could not, and e says what to do. *made: it was missing. */
MUST_USE enum rc ctl_owner_ensure(const char *user, bool *made, struct err *e);
/* The topmost directory above `path` (absolute, without links) that the user may not pass, into dst; "" if there is
 * none. */
MUST_USE enum rc ctl_owner_barred(const char *user, const char *path, char *dst, size_t size,
                                  struct err *e);

#endif
