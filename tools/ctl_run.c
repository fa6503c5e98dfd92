/* ctl_run - where a verb runs: in the daemon if its control socket answers, else here, over the
 * volumes themselves.
 *
 * Verbs that change something, and lists, which must be true, take the volume's lock here; the
 * daemon may be about to start or to end, so who holds the lock is waited for, and then the control
 * socket is tried once more. check, dump and status only look, take no lock and write nothing. So
 * does --dry-run of any verb over volumes that ended well; one whose index lacks something is taken
 * over as for the verb itself.
 */
#include "tools/ctl.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "index/move.h"
#include "lib/text.h"
#include "store/piece.h"

#define LOCK_WAIT_MS 3000u
#define DYING_MS     50            /* between two tries to reach a daemon that is ending */
#define DYING_TRIES  40u

/* What is told may hold names out of mail, of files and of other servers. */
static void
put_clean(FILE *to, struct slice text)
{
	struct buf clean;

	buf_init(&clean, 3 * text.len + 1);
	(void)text_for_terminal(text, &clean);
	fwrite(clean.ptr, 1, clean.len, to);
	buf_fini(&clean);
}

void
ctl_error(const struct ctl *ctl, const char *fmt, ...)
{
	struct buf text;
	va_list ap;
	uint8_t *to;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	buf_init(&text, SIZE_MAX);
	to = len >= 0 ? buf_reserve(&text, (size_t)len + 1) : NULL;
	if (to != NULL) {
		va_start(ap, fmt);
		(void)vsnprintf((char *)to, (size_t)len + 1, fmt, ap);
		va_end(ap);
		buf_commit(&text, (size_t)len);
	}
	fprintf(stderr, "restantectl: %s", ctl->prefix != NULL ? ctl->prefix : "");
	put_clean(stderr, buf_slice(&text));
	fputc('\n', stderr);
	buf_fini(&text);
}

/* With `become`, its user too: for good, or as ctl_owner_lend. */
static bool
load_conf(struct ctl *ctl, enum rc (*become)(const char *user, struct err *e))
{
	struct err e = ERR_INIT;

	if ((ctl->conf != NULL || conf_load(ctl->conf_path, &ctl->conf, &e) == RC_OK) &&
	    (become == NULL || become(ctl->conf->server.user, &e) == RC_OK))
		return true;
	ctl_error(ctl, "%s", e.text);
	if (ctl->conf == NULL && !ctl->conf_given && access(ctl->conf_path, F_OK) != 0)
		ctl_error(ctl,
		    "name your configuration with -c FILE; restantectl init DIR makes a first one");
	return false;
}

bool
ctl_prepare(struct ctl *ctl)
{
	return ctl->conf != NULL || load_conf(ctl, ctl_owner_become);
}

/* ---- output ---- */

struct output {
	const struct ctl   *ctl;
	const struct ctl_bulk *bulk;    /* NULL: lines are printed */
	bool                terminal;   /* standard output is one: programs get the
	                                 * octets as they are */
	struct ctl_progress progress;
};

static bool
print_line(void *arg, struct slice text)
{
	struct output *o = arg;

	if (o->bulk != NULL) {
		bool more;

		ctl_owner_own(true);
		more = o->bulk->line(o->bulk->arg, text);
		ctl_owner_own(false);
		return more;
	}
	if (o->ctl->quiet)
		return true;
	ctl_progress_clear(&o->progress);
	if (o->terminal)
		put_clean(stdout, text);
	else
		fwrite(text.ptr, 1, text.len, stdout);
	return putchar('\n') != EOF && ferror(stdout) == 0;
}

static void
print_error(void *arg, struct slice text)
{
	struct output *o = arg;

	ctl_progress_clear(&o->progress);
	if (o->bulk != NULL)
		ctl_progress_clear(o->bulk->progress);
	fflush(stdout);
	ctl_error(o->ctl, "%.*s", SLICE_ARG(text));
}

static void
print_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct output *o = arg;

	ctl_progress_show(&o->progress, what, done, total);
}

static void
print_finding(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first,
    log_lsn last, const char *what)
{
	struct output *o = arg;
	char name[PIECE_NAME_LEN];

	(void)len;
	(void)first;
	(void)last;
	ctl_progress_clear(&o->progress);
	if (seg.seq == 0) {
		ctl_error(o->ctl, "%s", what);
		return;
	}
	piece_name(&seg, name);
	ctl_error(o->ctl, "damage in log/%s at offset %llu: %s (see restantectl check)", name,
	    (unsigned long long)offset, what);
}

/* ---- here ---- */

static struct volume_params
params_of(const struct conf_volume *cv, enum volume_mode mode, struct output *o)
{
	return (struct volume_params){
		.name = cv->named.name,
		.path = cv->path,
		.mode = mode,
		.lock_wait_ms = LOCK_WAIT_MS,
		/* What a takeover meets. Those that only look tell findings themselves. */
		.report = { o, mode == VOLUME_WRITE ? print_finding : NULL },
		.progress = print_progress,
		.progress_arg = o,
	};
}

/* What a move that was cut has left. */
static enum rc
settle_moves(struct ctl *ctl, struct err *e)
{
	uint32_t removed;
	enum rc rc = move_settle(ctl->volumes, ctl->volume_count, &removed, e);

	if (rc != RC_OK)
		ctl_close(ctl);
	return rc;
}

/* Root, who gave the command, wonders what root may not do. */
static enum rc
name_user(struct err *e)
{
	const struct passwd *pw = getpwuid(geteuid());

	return pw != NULL ? err_add(e, "as the user %s", pw->pw_name) : e->code;
}

static enum rc
open_volumes(struct ctl *ctl, enum volume_mode mode, struct output *o, struct err *e)
{
	for (size_t i = 0; i < ctl->conf->n_volumes; i++) {
		struct volume_params p = params_of(&ctl->conf->volumes[i], mode, o);
		enum rc rc = volume_open(&p, &ctl->volumes[i], e);

		if (rc != RC_OK) {
			ctl_close(ctl);
			return rc == RC_DENIED ? name_user(e) : rc;
		}
		ctl->volume_count = i + 1;
	}
	ctl_progress_clear(&o->progress);
	return mode == VOLUME_WRITE ? settle_moves(ctl, e) : RC_OK;
}

void
ctl_close(struct ctl *ctl)
{
	ctl_owner_own(false);
	for (size_t i = 0; i < ctl->volume_count; i++)
		volume_close(&ctl->volumes[i]);
	ctl->volume_count = 0;
}

static enum admin_exit
run_here(struct ctl *ctl, int argc, const char *const *argv, const struct admin_output *out,
    const struct admin_input *input)
{
	struct admin ad = {
		.volumes = ctl->volumes, .volume_count = ctl->volume_count, .out = out,
		.input = input,
		.retention_us = ctl->conf != NULL ? ctl->conf->maintenance.retention * 1000000u : 0,
		.message_size = ctl->conf != NULL ? ctl->conf->limits.message_size : 0,
	};

	return admin_run(&ad, argc, argv);
}

/* Does this verb want the lock? */
static enum volume_mode
mode_of(int argc, const char *const *argv)
{
	struct admin_grammar g;

	if (admin_find_grammar(argc, argv, &g) && g.access == ADMIN_LOOKS)
		return VOLUME_READ;
	return VOLUME_WRITE;
}

static bool
is_dry_run(int argc, const char *const *argv)
{
	for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "--dry-run") == 0)
			return true;
	return false;
}

/* Do the indexes say all that the logs say? Behind a kill, or with one that must be made
 * anew, they do not. */
static bool
are_current(const struct ctl *ctl)
{
	for (size_t i = 0; i < ctl->volume_count; i++) {
		struct volume_status s;
		struct err e = ERR_INIT;

		if (volume_get_status(ctl->volumes[i], &s, &e) != RC_OK ||
		    s.applied_lsn != s.last_lsn)
			return false;
	}
	return true;
}

/* What changes nothing leaves the volumes as they are, down to the epoch in their heads; but for a
 * verb that takes messages in, whose large ones lie in the volume for a moment. */
static enum rc
open_for(struct ctl *ctl, int argc, const char *const *argv, struct output *o, struct err *e)
{
	bool takes = o->bulk != NULL && o->bulk->read != NULL;
	enum volume_mode mode = mode_of(argc, argv);
	struct err look = ERR_INIT;

	if (mode == VOLUME_WRITE && is_dry_run(argc, argv) && !takes) {
		if (open_volumes(ctl, VOLUME_READ, o, &look) == RC_OK && are_current(ctl))
			return RC_OK;
		ctl_close(ctl);
	}
	return open_volumes(ctl, mode, o, e);
}

/* ---- there or here ---- */

enum place {
	PLACE_DAEMON,
	PLACE_HERE,
	PLACE_NOWHERE,          /* told already */
};

/* As root, or as that user: there is nobody better to run this as. */
static bool
is_servers_user(const struct ctl *ctl)
{
	const struct passwd *pw = getpwuid(geteuid());

	return pw != NULL && strcmp(pw->pw_name, ctl->conf->server.user) == 0;
}

static enum place
find_daemon(const struct ctl *ctl, int *fd)
{
	const char *path = ctl->conf->server.control_socket;

	*fd = ctl_connect(path);
	if (*fd >= 0)
		return PLACE_DAEMON;
	if (errno == ENOENT || errno == ECONNREFUSED || errno == ENAMETOOLONG)
		return PLACE_HERE;
	if (errno == EACCES && is_servers_user(ctl))
		ctl_error(ctl,
		    "control socket %s: %s: the user %s must be able to pass the directories above",
		    path, strerror(EACCES), ctl->conf->server.user);
	else if (errno == EACCES)
		ctl_error(ctl, "control socket %s: %s; run this as the server's user or as root",
		    path, strerror(errno));
	else
		ctl_error(ctl, "control socket %s: %s", path, strerror(errno));
	return PLACE_NOWHERE;
}

static bool
give_data(void *arg, struct slice bytes)
{
	struct output *o = arg;
	bool more;

	ctl_owner_own(true);
	more = o->bulk->data(o->bulk->arg, bytes);
	ctl_owner_own(false);
	return more;
}

static enum rc
take_bytes(void *arg, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	struct output *o = arg;
	enum rc rc;

	ctl_owner_own(true);
	rc = o->bulk->read(o->bulk->arg, to, size, got, e);
	ctl_owner_own(false);
	return rc;
}

enum admin_exit
ctl_run(struct ctl *ctl, int argc, const char *const *argv)
{
	return ctl_run_bulk(ctl, argc, argv, NULL);
}

/* By the daemon or here, as it turns out; *unread as of ctl_remote_once. */
static enum admin_exit
run_somewhere(struct ctl *ctl, int argc, const char *const *argv, struct output *o,
              const struct admin_output *out, const struct admin_input *input, bool *unread)
{
	enum place place = PLACE_HERE;
	struct err e = ERR_INIT;
	int fd = -1;

	if (ctl->volume_count == 0)
		place = find_daemon(ctl, &fd);
	if (o->bulk != NULL && place == PLACE_HERE && !load_conf(ctl, ctl_owner_lend))
		return ADMIN_FAILED;
	if (place == PLACE_HERE && ctl->volume_count == 0 &&
	    open_for(ctl, argc, argv, o, &e) != RC_OK) {
		place = e.code == RC_BUSY ? find_daemon(ctl, &fd) : PLACE_HERE;
		if (place == PLACE_HERE) {
			ctl_progress_clear(&o->progress);
			ctl_error(ctl, "%s", e.text);
			return e.code == RC_CORRUPT ? ADMIN_DAMAGE : ADMIN_FAILED;
		}
	}
	if (place == PLACE_DAEMON)
		return ctl_remote_once(fd, argc, argv, out, input, unread);
	return place == PLACE_HERE ? run_here(ctl, argc, argv, out, input) : ADMIN_FAILED;
}

enum admin_exit
ctl_run_bulk(struct ctl *ctl, int argc, const char *const *argv, const struct ctl_bulk *bulk)
{
	struct output o = { .ctl = ctl, .bulk = bulk, .terminal = isatty(STDOUT_FILENO) == 1 };
	const struct admin_output out = {
		.arg = &o, .line = print_line, .error = print_error, .progress = print_progress,
		.data = bulk != NULL && bulk->data != NULL ? give_data : NULL,
	};
	const struct admin_input in = { &o, take_bytes };
	const struct admin_input *input = bulk != NULL && bulk->read != NULL ? &in : NULL;
	enum admin_exit status = ADMIN_FAILED;
	bool unread = true;

	ctl_progress_init(&o.progress);
	if (bulk != NULL ? !load_conf(ctl, NULL) : !ctl_prepare(ctl))
		return ADMIN_FAILED;
	/* A server that was killed needs a moment to be gone, its socket with it. */
	for (unsigned n = 0; unread && n < DYING_TRIES; n++) {
		if (n > 0)
			(void)poll(NULL, 0, DYING_MS);
		unread = false;
		status = run_somewhere(ctl, argc, argv, &o, &out, input, &unread);
	}
	if (unread)
		ctl_error(ctl, "restanted ended the connection before it was done");
	ctl_progress_clear(&o.progress);
	if (bulk != NULL)
		ctl_owner_own(true);    /* what the verb does behind its bytes, up to ctl_close */
	return status;
}

enum admin_exit
ctl_run_opened(struct ctl *ctl, int argc, const char *const *argv)
{
	struct output o = { .ctl = ctl, .terminal = isatty(STDOUT_FILENO) == 1 };
	const struct admin_output out = {
		.arg = &o, .line = print_line, .error = print_error, .progress = print_progress
	};
	enum admin_exit status;

	ctl_progress_init(&o.progress);
	status = run_here(ctl, argc, argv, &out, NULL);
	ctl_progress_clear(&o.progress);
	return status;
}

enum admin_exit
ctl_forward(struct ctl *ctl)
{
	const char *argv[3 + 2 * OPTIONS_MAX + CTL_ARGS_MAX];
	int n = 0;

	for (int i = 0; i < 2 && ctl->verb->words[i] != NULL; i++)
		argv[n++] = ctl->verb->words[i];
	for (int i = 0; i < ctl->options.count; i++) {
		const struct option_given *g = &ctl->options.given[i];

		argv[n++] = g->name;
		if (g->value != NULL && g->name[g->name_len] == '\0')
			argv[n++] = g->value;
	}
	argv[n++] = "--";
	for (int i = 0; i < ctl->argc; i++)
		argv[n++] = ctl->args[i];
	return ctl_run(ctl, n, argv);
}

enum admin_exit
ctl_forward_live(struct ctl *ctl)
{
	enum place place;
	int fd;

	if (!ctl_prepare(ctl))
		return ADMIN_FAILED;
	place = find_daemon(ctl, &fd);
	if (place == PLACE_DAEMON) {
		close(fd);      /* ends between here and there are told by the verb itself */
		return ctl_forward(ctl);
	}
	if (place == PLACE_HERE)
		ctl_error(ctl, "restanted is not running: nothing answers at %s",
		    ctl->conf->server.control_socket);
	return ADMIN_FAILED;
}

/* ---- reindex ---- */

static enum admin_exit
reindex_volume(struct ctl *ctl, const struct conf_volume *cv, struct output *o)
{
	struct volume_params p = params_of(cv, VOLUME_WRITE, o);
	struct err e = ERR_INIT;
	struct reindex_result r;
	enum rc rc = volume_reindex(&p, options_given(&ctl->options, "--force"), &r, &e);

	ctl_progress_clear(&o->progress);
	if (rc != RC_OK) {
		ctl_error(ctl, "%s: %s", cv->named.name, e.text);
		return rc == RC_CORRUPT ? ADMIN_DAMAGE : ADMIN_FAILED;
	}
	printf("%s: the index is new\n", cv->named.name);
	if (r.kept[0] != '\0')
		printf("%s: the old one is kept as %s/%s\n", cv->named.name, cv->path, r.kept);
	if (r.damage > 0)
		ctl_error(ctl, "%s: the log is damaged: the index is of what is left of it",
		    cv->named.name);
	return r.damage > 0 ? ADMIN_DAMAGE : ADMIN_OK;
}

enum admin_exit
ctl_reindex(struct ctl *ctl)
{
	const char *volume = options_value(&ctl->options, "--volume");
	struct output o = { .ctl = ctl };
	enum admin_exit status = ADMIN_OK;
	bool found = false;
	enum place place;
	int fd;

	if (options_given(&ctl->options, "--reparse"))
		return ctl_forward(ctl);
	if (!ctl_prepare(ctl))
		return ADMIN_FAILED;
	place = find_daemon(ctl, &fd);
	if (place == PLACE_DAEMON) {
		ctl_error(ctl,
		    "reindex needs a stopped server: stop it (kill -TERM %ld, or by your service "
		    "manager), run this, start it again",
		    ctl_peer_pid(fd));
		close(fd);
	}
	if (place != PLACE_HERE)
		return ADMIN_FAILED;
	ctl_progress_init(&o.progress);
	for (size_t i = 0; i < ctl->conf->n_volumes; i++) {
		enum admin_exit one;

		if (volume != NULL && strcmp(volume, ctl->conf->volumes[i].named.name) != 0)
			continue;
		found = true;
		one = reindex_volume(ctl, &ctl->conf->volumes[i], &o);
		status = one > status ? one : status;
	}
	if (!found) {
		ctl_error(ctl, "there is no volume %s", volume);
		return ADMIN_FAILED;
	}
	return status;
}
