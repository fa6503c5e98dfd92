/* parent - the server's tie to its supervisor. See parent.h.
 *
 * Questions are asked one at a time, under a lock. That the supervisor has died is told by the
 * kernel where it can (PR_SET_PDEATHSIG), as that works at once and whatever this process does; and
 * everywhere by the end of the channel, which a thread waits for.
 */
#define _GNU_SOURCE
#include "server/parent.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

#include "lib/logging.h"
#include "lib/process.h"

static struct parent {
	pthread_mutex_t lock;           /* of the channel, from question to answer */
	int             fd;             /* -1: no supervisor */
	unsigned        reactors;
} parent = { PTHREAD_MUTEX_INITIALIZER, -1, 0 };

void
parent_tie(int fd, unsigned reactors, char out[32])
{
	snprintf(out, 32, "%d,%u", fd, reactors);
}

enum rc
parent_attach(const char *tie, struct err *e)
{
	struct stat st;
	int fd = -1, type = 0;
	socklen_t len = sizeof type;

	if (sscanf(tie, "%d,%u", &fd, &parent.reactors) != 2 || parent.reactors == 0 ||
	    fstat(fd, &st) != 0 || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 ||
	    type != SOCK_SEQPACKET)
		return err_set(e, RC_SYNTAX,
		               "--server is for restanted itself: it starts the server so");
	(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	parent.fd = fd;
	process_set_pid(getppid());
	return RC_OK;
}

bool
parent_present(void)
{
	return parent.fd >= 0;
}

/* ---- life and death ---- */

static bool
parent_is_gone(int timeout_ms)
{
	struct pollfd p = { parent.fd, 0, 0 };

	return poll(&p, 1, timeout_ms) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

static void *
watch_main(void *arg)
{
	(void)arg;
	while (!parent_is_gone(-1))
		;
	_exit(EXIT_FAILURE);
	return NULL;
}

enum rc
parent_bind_life(struct err *e)
{
	sigset_t all, before;
	pthread_t thread;
	int failed;

#ifdef __linux__
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
		return err_os(e, errno, "prctl");
#endif
	if (parent_is_gone(0))          /* before the call above: then nobody signals any more */
		_exit(EXIT_FAILURE);
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	failed = pthread_create(&thread, NULL, watch_main, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed != 0)
		return err_os(e, failed, "thread");
	pthread_detach(thread);
	return RC_OK;
}

/* ---- questions ---- */

/* The next answer; an error that it tells becomes ours. */
static enum rc
next_answer(struct channel_message *m, struct err *e)
{
	enum rc rc = channel_receive(parent.fd, m, true, e);

	if (rc != RC_OK)
		return rc;
	if (m->kind != ANSWER_ERROR)
		return RC_OK;
	channel_close_fds(m, 0);
	if (m->len != sizeof *e)
		return err_set(e, RC_SYNTAX, "the supervisor gave no answer");
	memcpy(e, m->data, sizeof *e);
	return e->code;
}

/* A question whose answer is one descriptor. */
static enum rc
ask_fd(enum channel_kind what, const char *path, int *fd, struct err *e)
{
	struct channel_message *m = malloc(sizeof *m);
	enum rc rc;

	*fd = -1;
	if (m == NULL)
		return err_nomem(e);
	m->kind = what;
	m->fd_count = 0;
	m->len = strlen(path) + 1;
	memcpy(m->data, path, m->len);
	pthread_mutex_lock(&parent.lock);
	rc = channel_send(parent.fd, m, true, e);
	if (rc == RC_OK)
		rc = next_answer(m, e);
	pthread_mutex_unlock(&parent.lock);
	if (rc == RC_OK && m->fd_count == 1)
		*fd = m->fds[0];
	else if (rc == RC_OK)
		rc = err_set(e, RC_SYNTAX, "the supervisor gave no descriptor");
	free(m);
	return rc;
}

enum rc
parent_open(const char *path, int *fd, struct err *e)
{
	*fd = -1;
	if (strlen(path) >= CHANNEL_DATA_MAX)
		return err_set(e, RC_LIMIT, "%.200s: path too long", path);
	return ask_fd(ASK_FILE, path, fd, e);
}

/* The supervisor's text: path, NUL, bytes of the file. */
static enum rc
conf_from(int fd, struct conf **out, struct err *e)
{
	struct buf b;
	struct stat st;
	uint8_t *to;
	size_t name;
	ssize_t n;
	enum rc rc;

	buf_init(&b, CONF_FILE_MAX + CHANNEL_DATA_MAX);
	if (fstat(fd, &st) != 0 || st.st_size <= 0 ||
	    (to = buf_reserve(&b, (size_t)st.st_size)) == NULL) {
		buf_fini(&b);
		return err_nomem(e);
	}
	n = pread(fd, to, (size_t)st.st_size, 0);
	buf_commit(&b, n > 0 ? (size_t)n : 0);
	name = slice_find_byte(buf_slice(&b), '\0');
	if (n != st.st_size || name >= b.len)
		rc = err_set(e, RC_IO, "the configuration was not handed over");
	else
		rc = conf_load_text((const char *)b.ptr, slice_sub(buf_slice(&b), name + 1, b.len),
		                    out, e);
	buf_fini(&b);
	return rc;
}

enum rc
parent_conf(enum channel_kind which, struct conf **out, struct err *e)
{
	enum rc rc;
	int fd;

	*out = NULL;
	rc = ask_fd(which, "", &fd, e);
	if (rc != RC_OK)
		return rc;
	rc = conf_from(fd, out, e);
	close(fd);
	return rc;
}

/* ---- listeners ---- */

static enum rc
adopt(struct listeners *ls, struct channel_message *m, struct err *e)
{
	uint32_t number;
	unsigned k = 0;

	memcpy(&number, m->data, sizeof number);
	while (k < m->fd_count && listeners_adopt(ls, number, m->fds[k]))
		k++;
	if (k == m->fd_count)
		return RC_OK;
	channel_close_fds(m, k);
	return err_set(e, RC_SYNTAX, "more sockets than listeners");
}

static enum rc
take_listeners(struct listeners *ls, struct channel_message *m, struct err *e)
{
	enum rc rc;

	m->kind = ASK_LISTENERS;
	m->len = m->fd_count = 0;
	rc = channel_send(parent.fd, m, true, e);
	while (rc == RC_OK) {
		rc = next_answer(m, e);
		if (rc != RC_OK || m->kind == ANSWER_DONE)
			break;
		rc = adopt(ls, m, e);
	}
	if (rc == RC_OK && m->fd_count == 1)
		ls->control = m->fds[0];
	else if (rc == RC_OK)
		rc = err_set(e, RC_SYNTAX, "the supervisor gave no control socket");
	return rc;
}

enum rc
parent_listeners(const struct conf *started, struct listeners *out, struct err *e)
{
	struct channel_message *m = malloc(sizeof *m);
	enum rc rc;

	*out = (struct listeners)LISTENERS_INIT;
	if (m == NULL)
		return err_nomem(e);
	rc = listeners_prepare(started, parent.reactors, out, e);
	if (rc == RC_OK) {
		pthread_mutex_lock(&parent.lock);
		rc = take_listeners(out, m, e);
		pthread_mutex_unlock(&parent.lock);
	}
	free(m);
	return rc;
}

enum rc
parent_listen_control(struct err *e)
{
	struct channel_message *m = malloc(sizeof *m);
	enum rc rc;

	if (m == NULL)
		return err_nomem(e);
	m->kind = ASK_CONTROL;
	m->len = m->fd_count = 0;
	pthread_mutex_lock(&parent.lock);
	rc = channel_send(parent.fd, m, true, e);
	if (rc == RC_OK)
		rc = next_answer(m, e);
	pthread_mutex_unlock(&parent.lock);
	free(m);
	return rc;
}

void
parent_tell(enum channel_kind what)
{
	struct channel_message *m;
	struct err e = ERR_INIT;

	m = parent_present() ? malloc(sizeof *m) : NULL;
	if (m == NULL)
		return;
	m->kind = what;
	m->len = m->fd_count = 0;
	pthread_mutex_lock(&parent.lock);
	if (channel_send(parent.fd, m, true, &e) != RC_OK)
		/* then we end in a moment */
		log_event(LOGLEVEL_WARN, "server.no_supervisor", "%s", "");
	pthread_mutex_unlock(&parent.lock);
	free(m);
}
