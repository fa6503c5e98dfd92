/* supervisor - the process that was started. See supervisor.h.
 *
 * Handlers of signals write to a pipe, so that one poll waits for signals and for the server's
 * questions. A child that ends by a status of its own (it was told to stop, or could not start)
 * decides how the whole ends; one that a signal has killed has crashed and is started again, the
 * first time at once, then after 1, 2, 4 ... seconds, unless it never was ready: who started us
 * learns of that at once, and connections are not waiting yet. One that was started again after a
 * crash and ends by itself before it is ready is tried a few times more: a certificate may be
 * renewed in this moment, or the disk be full; and its status 2 would tell systemd that there is no
 * use in trying.
 *
 * A server that hangs when it should end is killed after stop_timeout: what was acknowledged is
 * durable, and whoever stops us must not wait for ever.
 *
 * The new server is this program executed anew, through a descriptor that was opened at the start:
 * fresh memory with new random addresses and canaries, and a binary that was upgraded meanwhile
 * changes nothing before a restart. Rejected: fork without exec, which hands a crashed server's
 * layout to the next one.
 */
#define _GNU_SOURCE
#include "server/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "server/parent.h"
#include "server/preflight.h"
#include "server/restart.h"
#include "server/systemd.h"
#include "server/trusted.h"

#define WAIT_FIRST_MS 1000u
#define WAIT_MAX_MS   30000u
#define CALM_MS       60000u            /* a server that ran so long has not crashed "again" */
#define FAILED_MAX    6u                /* starts after a crash that may fail, one after the other:
                                         * about a minute */
#define HEARD_MAX     16

struct supervisor {
	const char      *program;
	struct conf     *started;
	struct conf     *current;       /* in force; may be `started` */
	struct conf     *next;          /* read by SIGHUP, not asked for yet; or NULL */
	struct conf     *handed;        /* asked for, not in force yet; or NULL */
	struct identity  user;
	struct listeners listeners;
	struct err       unbound;       /* why there are no listeners; RC_OK: they are bound */
	int              self;          /* this program; -1: by its name */
	int              signals[2];    /* pipe */
	pid_t            child;         /* 0: none */
	int              channel;
	bool             ready;         /* the present child */
	bool             ever_ready;
	bool             ending;
	unsigned         crashes;       /* in a row, and starts that failed since */
	unsigned         failed;        /* starts, since the last that did not */
	uint64_t         born_ms;
	uint64_t         wait_ms;       /* from the last crash to the next child */
	uint64_t         restart_ms;    /* when that is */
	uint64_t         patience_ms;   /* while ending: when it ends with the child */
	bool             killed;        /* then */
	int              status;        /* of the whole, when `done` */
	bool             done;
	struct channel_message message; /* being read or answered */
};

static int signal_pipe = -1;

static void
log_failure(const char *ev, const struct err *e)
{
	struct logline l;

	log_begin(&l, LOGLEVEL_ERROR, ev);
	log_err(&l, e);
	log_end(&l);
}

/* ---- what is in force ---- */

static void
conf_drop(struct supervisor *s, struct conf **c)
{
	if (*c != s->started)
		conf_free(c);
	*c = NULL;
}

static void
conf_accept(struct supervisor *s, bool good)
{
	if (s->handed == NULL)
		return;
	if (!good) {
		conf_free(&s->handed);
		return;
	}
	conf_drop(s, &s->current);
	s->current = s->handed;
	s->handed = NULL;
}

static void
tell_systemd_reloading(void)
{
	char text[64];

	snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%llu",
	         (unsigned long long)clock_mono_ms() * 1000);
	systemd_notify(text);
}

/* SIGHUP. The server is told only of a configuration without a fault. */
static void
reload(struct supervisor *s)
{
	struct err e = ERR_INIT;
	struct conf *c;

	tell_systemd_reloading();
	if (conf_load(s->started->path, &c, &e) != RC_OK) {
		log_failure("server.reload_failed", &e);
		systemd_notify("READY=1");
		return;
	}
	(void)restart_tell_fixed(s->started, c);
	conf_free(&s->next);
	s->next = c;
	if (s->ready)
		(void)kill(s->child, SIGHUP);
}

/* ---- the server's questions ---- */

static void
answer(struct supervisor *s, enum channel_kind kind)
{
	struct err e = ERR_INIT;

	s->message.kind = kind;
	if (channel_send(s->channel, &s->message, false, &e) == RC_OK || e.os == EPIPE ||
	    e.os == ECONNRESET)
		return;
	/* It does not read its answers, and is not our server any more; or it would wait for
	 * this one for ever. */
	log_failure("server.no_answer", &e);
	(void)kill(s->child, SIGKILL);
}

static void
answer_error(struct supervisor *s, const struct err *e)
{
	s->message.fd_count = 0;
	s->message.len = sizeof *e;
	memcpy(s->message.data, e, sizeof *e);
	answer(s, ANSWER_ERROR);
}

/* The descriptor is closed here. */
static void
answer_fd(struct supervisor *s, int fd)
{
	s->message.len = 0;
	s->message.fd_count = 1;
	s->message.fds[0] = fd;
	answer(s, ANSWER_DONE);
	close(fd);
}

/* A file without a name, which the receiver may as well write to: nobody reads this one again. */
static int
anonymous_file(void)
{
#ifdef __linux__
	return memfd_create("restante.conf", MFD_CLOEXEC);
#else
	char path[] = "/tmp/restante.XXXXXX";
	int fd = mkstemp(path);

	if (fd >= 0) {
		(void)unlink(path);
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	return fd;
#endif
}

static bool
write_all(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		p += n;
		len -= (size_t)n;
	}
	return true;
}

static void
answer_conf(struct supervisor *s, const struct conf *c)
{
	struct err e = ERR_INIT;
	int fd = anonymous_file();

	if (fd >= 0 && write_all(fd, c->path, strlen(c->path) + 1) &&
	    write_all(fd, c->text.ptr, c->text.len)) {
		answer_fd(s, fd);
		return;
	}
	err_os(&e, errno, "handing the configuration over");
	if (fd >= 0)
		close(fd);
	answer_error(s, &e);
}

static void
answer_next(struct supervisor *s)
{
	if (s->next != NULL) {
		conf_free(&s->handed);
		s->handed = s->next;
		s->next = NULL;
	}
	answer_conf(s, s->handed != NULL ? s->handed : s->current);
}

/* All configurations that the server may be reading by. */
static bool
is_named(const struct supervisor *s, const char *path)
{
	return conf_names_file(s->current, path) ||
	       (s->handed != NULL && conf_names_file(s->handed, path));
}

static void
answer_file(struct supervisor *s)
{
	struct channel_message *m = &s->message;
	const char *path = (const char *)m->data;
	struct err e = ERR_INIT;
	int fd;

	if (m->len == 0 || path[m->len - 1] != '\0' || !is_named(s, path))
		err_set(&e, RC_DENIED, "a file that the configuration does not name");
	else if (trusted_open(path, &s->user, &fd, &e) == RC_OK) {
		answer_fd(s, fd);
		return;
	}
	answer_error(s, &e);
}

static void
answer_sockets(struct supervisor *s, uint32_t number)
{
	const struct listener *l = &s->listeners.all[number];
	struct channel_message *m = &s->message;

	for (unsigned k = 0; k < l->fd_count; k += m->fd_count) {
		m->fd_count = l->fd_count - k < CHANNEL_FDS_MAX ? l->fd_count - k : CHANNEL_FDS_MAX;
		memcpy(m->fds, l->fds + k, m->fd_count * sizeof m->fds[0]);
		m->len = sizeof number;
		memcpy(m->data, &number, sizeof number);
		answer(s, ANSWER_SOCKETS);
	}
}

static void
bind_listeners(struct supervisor *s)
{
	s->unbound = (struct err)ERR_INIT;
	listeners_close(&s->listeners);
	if (listeners_prepare(s->started, 0, &s->listeners, &s->unbound) != RC_OK ||
	    listeners_bind(s->started, &s->user, &s->listeners, &s->unbound) != RC_OK)
		listeners_unlink(&s->listeners);
}

/* What was in use at the start may be free by now: a server that was ending. */
static void
answer_listeners(struct supervisor *s)
{
	struct err gone = ERR_INIT;

	if (s->ending) {                /* they are closed */
		err_set(&gone, RC_CANCELLED, "the server is ending");
		answer_error(s, &gone);
		return;
	}
	if (s->unbound.code != RC_OK)
		bind_listeners(s);
	if (s->unbound.code != RC_OK) {
		answer_error(s, &s->unbound);
		return;
	}
	for (uint32_t i = 0; i < s->listeners.count; i++)
		answer_sockets(s, i);
	s->message.len = 0;
	s->message.fd_count = 1;
	s->message.fds[0] = s->listeners.control;
	answer(s, ANSWER_DONE);
}

/* Who connects asks the system which process is at the other end: the one that listens. */
static void
answer_control(struct supervisor *s)
{
	struct err e = ERR_INIT;

	if (s->listeners.control < 0 || listen(s->listeners.control, 16) != 0) {
		err_os(&e, errno, "listen on the control socket");
		answer_error(s, &e);
		return;
	}
	s->message.len = s->message.fd_count = 0;
	answer(s, ANSWER_DONE);
}

static void
child_is_ready(struct supervisor *s)
{
	s->ready = s->ever_ready = true;
	s->failed = 0;
	systemd_notify("READY=1");
	if (s->next != NULL)
		(void)kill(s->child, SIGHUP);   /* it came while the server was starting */
}

static void
child_has_reloaded(struct supervisor *s, bool good)
{
	conf_accept(s, good);
	systemd_notify("READY=1");
}

static void
on_message(struct supervisor *s)
{
	struct err e = ERR_INIT;

	if (channel_receive(s->channel, &s->message, false, &e) != RC_OK) {
		if (e.code == RC_SYNTAX)
			(void)kill(s->child, SIGKILL);
		else if (e.code != RC_BUSY) {
			close(s->channel);  /* it has ended, or is about to; SIGCHLD tells how */
			s->channel = -1;
		}
		return;
	}
	channel_close_fds(&s->message, 0);      /* it has none to give */
	switch (s->message.kind) {
	case ASK_STARTED:
		answer_conf(s, s->started);
		break;
	case ASK_CURRENT:
		answer_conf(s, s->current);
		break;
	case ASK_NEXT:
		answer_next(s);
		break;
	case ASK_LISTENERS:
		answer_listeners(s);
		break;
	case ASK_CONTROL:
		answer_control(s);
		break;
	case ASK_FILE:
		answer_file(s);
		break;
	case TELL_READY:
		child_is_ready(s);
		break;
	case TELL_RELOADED:
		child_has_reloaded(s, true);
		break;
	case TELL_RELOAD_FAILED:
		child_has_reloaded(s, false);
		break;
	case ANSWER_SOCKETS:
	case ANSWER_DONE:
	case ANSWER_ERROR:
		(void)kill(s->child, SIGKILL);
		break;
	}
}

/* ---- the child ---- */

static const int caught[] = { SIGTERM, SIGINT, SIGHUP, SIGCHLD };

/* All that is ours closes by itself; what whoever started us left open is none of the
 * server's business. */
static void
close_inherited(void)
{
#ifdef CLOSE_RANGE_CLOEXEC
	(void)close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
#endif
}

/* In the child, all signals blocked: what has come for it meanwhile must not be taken by a handler
 * of the supervisor's. SIGHUP is for the supervisor, but a terminal and `killall` send it to both:
 * until the server takes signals, it means nothing. */
static void
become_server(const struct supervisor *s, int channel)
{
	char tie[32], path[PATH_MAX];
	char *argv[] = { (char *)"restanted", (char *)"-c", path, (char *)"--server", tie, NULL };
	sigset_t none;

	for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
		signal(caught[i], caught[i] == SIGHUP ? SIG_IGN : SIG_DFL);
	close_inherited();
	parent_tie(channel, s->listeners.reactors, tie);
	snprintf(path, sizeof path, "%s", s->started->path);
	(void)unsetenv("NOTIFY_SOCKET");        /* systemd listens to the process that it started */
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (fcntl(channel, F_SETFD, 0) == 0) {
#ifdef __linux__
		extern char **environ;

		if (s->self >= 0)
			fexecve(s->self, argv, environ);
#endif
		if (s->self < 0)
			execvp(s->program, argv);
	}
	fprintf(stderr, "restanted: cannot execute itself: %s\n", strerror(errno));
	_exit(EXIT_FAILURE);
}

static enum rc
start_child(struct supervisor *s, struct err *e)
{
	int ends[2];
	sigset_t all, before;
	enum rc rc = channel_pair(ends, e);

	if (rc != RC_OK)
		return rc;
	s->ready = false;
	s->born_ms = clock_mono_ms();
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &before);
	s->child = fork();
	if (s->child == 0)
		become_server(s, ends[1]);
	if (s->child < 0)
		rc = err_os(e, errno, "fork");
	sigprocmask(SIG_SETMASK, &before, NULL);
	close(ends[1]);
	if (rc == RC_OK) {
		s->channel = ends[0];
		return RC_OK;
	}
	s->child = 0;
	close(ends[0]);
	return rc;
}

static void
finish(struct supervisor *s, int status)
{
	s->done = true;
	s->status = status;
}

/* Also when it could not be started for lack of memory. */
static void
plan_restart(struct supervisor *s)
{
	uint64_t now = clock_mono_ms();

	if (now - s->born_ms >= CALM_MS)
		s->crashes = 0;
	s->wait_ms = s->crashes == 0  ? 0
	             : s->crashes > 5 ? WAIT_MAX_MS
	                              : WAIT_FIRST_MS << (s->crashes - 1);
	s->crashes++;
	s->restart_ms = now + s->wait_ms;
}

static void
log_crash(const struct supervisor *s, pid_t pid, int sig, bool again)
{
	struct logline l;

	log_begin(&l, LOGLEVEL_ERROR, "server.crashed");
	log_int(&l, "pid", pid);
	log_int(&l, "signal", sig);
	log_cstr(&l, "name", strsignal(sig));
	if (again) {
		log_u64(&l, "crashes", s->crashes);
		log_u64(&l, "restart_ms", s->wait_ms);
	}
	log_end(&l);
}

/* It has ended by a status of its own. */
static void
child_has_exited(struct supervisor *s, int status, bool was_ready)
{
	bool again = !s->ending && s->ever_ready && !was_ready && status != EXIT_SUCCESS &&
	             s->failed < FAILED_MAX;

	if (!again) {
		finish(s, status);
		return;
	}
	s->failed++;
	plan_restart(s);
	log_event(LOGLEVEL_ERROR, "server.start_failed", "status=%d failed=%u restart_ms=%llu",
	          status, s->failed, (unsigned long long)s->wait_ms);
}

static void
child_has_ended(struct supervisor *s, int status)
{
	pid_t pid = s->child;
	bool again, was_ready = s->ready;

	s->child = 0;
	s->ready = false;
	if (s->channel >= 0)
		close(s->channel);
	s->channel = -1;
	conf_free(&s->handed);
	if (WIFEXITED(status)) {
		child_has_exited(s, WEXITSTATUS(status), was_ready);
		return;
	}
	/* It was not yet there to hear it; SIGINT comes from the terminal. */
	if (s->ending && (WTERMSIG(status) == SIGTERM || WTERMSIG(status) == SIGINT)) {
		finish(s, EXIT_SUCCESS);
		return;
	}
	if (s->killed) {
		finish(s, EXIT_FAILURE);
		return;
	}
	again = !s->ending && s->ever_ready;
	if (again)
		plan_restart(s);
	log_crash(s, pid, WTERMSIG(status), again);
	if (!again)
		finish(s, EXIT_FAILURE);
}

/* What it said before it ended counts: that it was ready, and which configuration it took. No more
 * than a server says that is in order: one that never stops must not keep us from
 * hearing signals. */
static void
hear_out(struct supervisor *s)
{
	struct pollfd p = { s->channel, POLLIN, 0 };

	for (int i = 0; i < HEARD_MAX && s->channel >= 0 && poll(&p, 1, 0) > 0; i++)
		on_message(s);
}

static void
reap(struct supervisor *s)
{
	int status;
	pid_t pid;

	hear_out(s);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == s->child)
			child_has_ended(s, status);
}

static void
restart_child(struct supervisor *s)
{
	struct err e = ERR_INIT;

	if (start_child(s, &e) == RC_OK) {
		log_event(LOGLEVEL_INFO, "server.restarted", "pid=%ld crashes=%u", (long)s->child,
		          s->crashes);
		return;
	}
	log_failure("server.restart_failed", &e);
	plan_restart(s);
}

/* ---- signals ---- */

static void
on_signal(int sig)
{
	unsigned char byte = (unsigned char)sig;
	int os = errno;

	(void)!write(signal_pipe, &byte, 1);
	errno = os;
}

/* Before the child hears of it: whoever connects from now on is refused and goes elsewhere, instead
 * of waiting in a socket that nobody serves. */
static void
end(struct supervisor *s)
{
	if (s->ending)
		return;
	s->ending = true;
	s->patience_ms = clock_mono_ms() + s->current->server.stop_timeout * 1000;
	systemd_notify("STOPPING=1");
	if (s->unbound.code == RC_OK)
		listeners_close(&s->listeners);
	if (s->child > 0)
		(void)kill(s->child, SIGTERM);
	else
		finish(s, EXIT_SUCCESS);
}

static void
take_signals(struct supervisor *s)
{
	unsigned char bytes[64];
	ssize_t n = read(s->signals[0], bytes, sizeof bytes);

	for (ssize_t i = 0; i < n; i++)
		if (bytes[i] == SIGTERM || bytes[i] == SIGINT)
			end(s);
	for (ssize_t i = 0; i < n && !s->ending; i++)
		if (bytes[i] == SIGHUP) {
			reload(s);
			break;                  /* once for all that came together */
		}
	reap(s);
}

static enum rc
catch_signals(struct supervisor *s, struct err *e)
{
	struct sigaction sa = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

	if (pipe2(s->signals, O_CLOEXEC | O_NONBLOCK) != 0)
		return err_os(e, errno, "pipe");
	signal_pipe = s->signals[1];
	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < sizeof caught / sizeof caught[0]; i++)
		(void)sigaction(caught[i], &sa, NULL);
	signal(SIGPIPE, SIG_IGN);
	return RC_OK;
}

/* ---- life ---- */

/* Until something is to be done that nobody asks for; -1: there is nothing. */
static int
time_to_act(const struct supervisor *s)
{
	uint64_t now = clock_mono_ms(), due = s->child > 0 ? s->patience_ms : s->restart_ms;

	if (s->child > 0 && (!s->ending || s->killed))
		return -1;
	return due > now ? (int)(due - now) : 0;
}

static void
kill_child(struct supervisor *s)
{
	s->killed = true;
	log_event(LOGLEVEL_ERROR, "server.killed",
	          "pid=%ld text=\"it did not end within stop_timeout\"", (long)s->child);
	(void)kill(s->child, SIGKILL);
}

static void
act(struct supervisor *s)
{
	if (s->child > 0)
		kill_child(s);
	else
		restart_child(s);
}

static void
turn(struct supervisor *s)
{
	struct pollfd p[2] = { { s->signals[0], POLLIN, 0 }, { s->channel, POLLIN, 0 } };
	int n = poll(p, s->channel >= 0 ? 2 : 1, time_to_act(s));

	if (n > 0 && p[0].revents != 0)
		take_signals(s);
	if (n > 0 && s->channel >= 0 && p[1].revents != 0)
		on_message(s);
	if (!s->done && time_to_act(s) == 0)
		act(s);
}

/* The child loads its libraries meanwhile: a third of a start. Its first question is not answered
 * before all this is done, and it can do nothing without. */
static enum rc
look_and_bind(struct supervisor *s, struct err *e)
{
	enum rc rc = preflight_check(s->started, e);

	if (rc != RC_OK)
		return rc;
	bind_listeners(s);
	if (s->unbound.code == RC_OK || s->unbound.code == RC_EXISTS)
		return RC_OK;
	*e = s->unbound;
	return e->code;
}

static void
drop_child(struct supervisor *s)
{
	(void)kill(s->child, SIGKILL);
	(void)waitpid(s->child, NULL, 0);
	close(s->channel);
	s->child = 0;
	s->channel = -1;
}

static enum rc
begin(struct supervisor *s, struct err *e)
{
	enum rc rc = catch_signals(s, e);

	if (rc == RC_OK)
		rc = privileges_find(s->started->server.user, &s->user, e);
	if (rc == RC_OK)
		rc = listeners_prepare(s->started, 0, &s->listeners, e);
	if (rc != RC_OK)
		return rc;
#ifdef __linux__
	s->self = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
#endif
	rc = start_child(s, e);
	if (rc != RC_OK)
		return rc;
	rc = look_and_bind(s, e);
	if (rc != RC_OK)
		drop_child(s);
	return rc;
}

int
supervisor_run(struct conf **conf, const char *program)
{
	struct supervisor s = {
		.program = program, .started = *conf, .current = *conf, .listeners = LISTENERS_INIT,
		.self = -1,
		.channel = -1, .status = EXIT_FAILURE,
	};
	struct err e = ERR_INIT;

	*conf = NULL;
	if (begin(&s, &e) == RC_OK) {
		while (!s.done)
			turn(&s);
	} else {
		log_failure("server.failed", &e);
	}
	listeners_close(&s.listeners);
	conf_free(&s.next);
	conf_free(&s.handed);
	conf_drop(&s, &s.current);
	conf_free(&s.started);
	return s.status;
}
