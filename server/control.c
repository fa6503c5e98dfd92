/* control - the unix socket by which restantectl reaches the running daemon. See control.h.
 *
 * Blocking threads, as requests are few and their work blocks. The listening thread watches the
 * sockets of requests under way for the caller's end, as a request may work for long without a word
 * to say. Closing shuts them down, so that output and input fail; a request that looks at neither
 * that nor control_gone is waited for.
 */
#define _GNU_SOURCE
#include "server/control.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "index/admin.h"
#include "lib/logging.h"
#include "lib/options.h"

#define REQUEST_TIMEOUT_S 30
#define LINE_OUT_MAX      (16u << 20)
#define REQUEST_INVALID   2             /* exit status: usage */
#define PIECE_LINE_MAX    24u           /* "data 65536" */

enum input_state {
	INPUT_UNASKED,
	INPUT_ASKED,
	INPUT_ENDED,
};

struct control_call {
	struct control_call *next;
	struct control      *control;
	int                  fd;
	atomic_bool          gone;      /* nobody reads any more */
	pthread_t            thread;
	bool                 done;      /* under the control's lock: to be joined */
	enum input_state     input;
	size_t               piece;     /* bytes of the piece that were not handed on yet */
	size_t               at, len;   /* of `in`: where unread bytes begin and end */
	char                 in[CONTROL_LINE_MAX];
};

struct control {
	int                  fd;
	int                  stop[2];   /* a pipe: closing its end wakes the listening thread */
	control_handler      handler;
	void                *arg;
	pthread_t            thread;
	bool                 started;
	atomic_bool          closing;
	pthread_mutex_t      lock;
	struct control_call *calls;
	unsigned             call_count;
};

/* ---- words ---- */

/* Decode a word in place. No word holds a NUL, as they become C strings. */
static bool
word_decode(char *word)
{
	char *to = word;

	if (strcmp(word, "%") == 0) {
		*word = '\0';
		return true;
	}
	for (const char *p = word; *p != '\0'; p++) {
		int high, low;

		if (*p != '%') {
			*to++ = *p;
			continue;
		}
		high = ascii_hex_value((uint8_t)p[1]);
		low = high >= 0 ? ascii_hex_value((uint8_t)p[2]) : -1;
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*to++ = (char)(high << 4 | low);
		p += 2;
	}
	*to = '\0';
	return true;
}

int
control_parse(char *line, const char **argv, int max)
{
	int n = 0;

	for (char *p = line; p != NULL; n++) {
		char *end = strchr(p, ' ');

		if (end != NULL)
			*end = '\0';
		if (n == max || *p == '\0' || !word_decode(p))
			return -1;
		argv[n] = p;
		p = end != NULL ? end + 1 : NULL;
	}
	return n;
}

/* ---- answers ---- */

static bool
call_send(struct control_call *call, struct slice bytes)
{
	while (!atomic_load(&call->gone) && bytes.len > 0) {
		ssize_t n = send(call->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			atomic_store(&call->gone, true);
		else
			bytes = slice_sub(bytes, (size_t)n, bytes.len);
	}
	return !atomic_load(&call->gone);
}

const atomic_bool *
control_gone(const struct control_call *call)
{
	return &call->gone;
}

/* "kind TEXT\n"; a line end in the text would forge a line of its own. */
static bool
call_line(struct control_call *call, const char *kind, struct slice text)
{
	struct buf b;
	bool ok;

	buf_init(&b, LINE_OUT_MAX);
	buf_append_str(&b, kind);
	buf_append_byte(&b, ' ');
	for (size_t i = 0; i < text.len; i++)
		buf_append_byte(&b, text.ptr[i] == '\n' || text.ptr[i] == '\r' ? ' ' : text.ptr[i]);
	buf_append_byte(&b, '\n');
	ok = !b.failed && call_send(call, buf_slice(&b));
	buf_fini(&b);
	return ok;
}

bool
control_out(struct control_call *call, struct slice text)
{
	return call_line(call, "out", text);
}

bool
control_err(struct control_call *call, struct slice text)
{
	return call_line(call, "err", text);
}

bool
control_progress(struct control_call *call, const char *what, uint64_t done, uint64_t total)
{
	char text[256];

	snprintf(text, sizeof text, "%llu %llu %s", (unsigned long long)done,
	         (unsigned long long)total, what);
	return call_line(call, "progress", slice_str(text));
}

static void
call_exit(struct control_call *call, int status)
{
	char text[16];

	snprintf(text, sizeof text, "%d", status);
	(void)call_line(call, "exit", slice_str(text));
}

/* ---- bytes of the result ---- */

/* Bulk data goes at the other end's pace: an export into a slow pipe is not given up. */
static void
call_be_patient(struct control_call *call)
{
	static const struct timeval never = { 0, 0 };

	(void)setsockopt(call->fd, SOL_SOCKET, SO_RCVTIMEO, &never, sizeof never);
	(void)setsockopt(call->fd, SOL_SOCKET, SO_SNDTIMEO, &never, sizeof never);
}

bool
control_data(struct control_call *call, struct slice bytes)
{
	char line[PIECE_LINE_MAX];

	call_be_patient(call);
	while (!atomic_load(&call->gone) && bytes.len > 0) {
		struct slice piece = slice_sub(bytes, 0, CONTROL_DATA_MAX);

		snprintf(line, sizeof line, "data %zu\n", piece.len);
		if (!call_send(call, slice_str(line)) || !call_send(call, piece))
			return false;
		bytes = slice_sub(bytes, piece.len, bytes.len);
	}
	return !atomic_load(&call->gone);
}

/* ---- requests ---- */

/* Only the daemon's own user and root. The socket's mode says the same, but not on every system. */
static bool
peer_allowed(int fd)
{
	uid_t uid;
#ifdef SO_PEERCRED
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return false;
	uid = cred.uid;
#else
	gid_t gid;

	if (getpeereid(fd, &uid, &gid) != 0)
		return false;
#endif
	return uid == 0 || uid == geteuid();
}

/* More bytes behind those of `in`, which moves to its front first. False: there is no room, or
 * nobody to send any. */
static bool
call_fill(struct control_call *call)
{
	ssize_t n;

	memmove(call->in, call->in + call->at, call->len - call->at);
	call->len -= call->at;
	call->at = 0;
	if (call->len == sizeof call->in)
		return false;
	do
		n = recv(call->fd, call->in + call->len, sizeof call->in - call->len, 0);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return false;
	call->len += (size_t)n;
	return true;
}

/* One line without its LF and with a NUL into `line` of `size` bytes. What came behind it
 * stays in `in`. */
static bool
call_line_in(struct control_call *call, char *line, size_t size)
{
	size_t seen = 0, n;

	for (;;) {
		const char *from = call->in + call->at;
		const char *end = memchr(from + seen, '\n', call->len - call->at - seen);

		if (end != NULL) {
			n = (size_t)(end - from);
			break;
		}
		seen = call->len - call->at;
		if (seen >= size || !call_fill(call))
			return false;
	}
	if (n >= size || memchr(call->in + call->at, '\0', n) != NULL)
		return false;
	memcpy(line, call->in + call->at, n);
	line[n] = '\0';
	call->at += n + 1;
	return true;
}

/* ---- what the caller sends ---- */

/* The line before a piece, or behind the last. */
static enum rc
call_piece(struct control_call *call, struct err *e)
{
	char line[PIECE_LINE_MAX];
	uint64_t n;

	if (!call_line_in(call, line, sizeof line))
		return err_set(e, RC_CANCELLED, "restantectl has gone away");
	if (strcmp(line, "end") == 0) {
		call->input = INPUT_ENDED;
		return RC_OK;
	}
	if (strcmp(line, "abort") == 0)
		return err_set(e, RC_CANCELLED, "restantectl gave up");
	if (strncmp(line, "data ", 5) != 0 ||
	    !slice_to_u64(slice_str(line + 5), CONTROL_DATA_MAX, &n) || n == 0)
		return err_set(e, RC_SYNTAX, "restantectl sent what restanted does not understand");
	call->piece = (size_t)n;
	return RC_OK;
}

enum rc
control_read(struct control_call *call, uint8_t *to, size_t size, size_t *got, struct err *e)
{
	size_t have;

	*got = 0;
	if (call->input == INPUT_UNASKED) {
		call_be_patient(call);
		call->input = INPUT_ASKED;
		if (!call_send(call, SLICE("input\n")))
			return err_set(e, RC_CANCELLED, "restantectl has gone away");
	}
	if (call->input == INPUT_ASKED && call->piece == 0) {
		enum rc rc = call_piece(call, e);

		if (rc != RC_OK)
			return rc;
	}
	if (call->input == INPUT_ENDED)
		return RC_OK;
	if (call->at == call->len && !call_fill(call))
		return err_set(e, RC_CANCELLED, "restantectl has gone away");
	have = call->len - call->at;
	have = have < call->piece ? have : call->piece;
	have = have < size ? have : size;
	memcpy(to, call->in + call->at, have);
	call->at += have;
	call->piece -= have;
	*got = have;
	return RC_OK;
}

/* ---- serving ---- */

/* What was asked for, of whom, for the audit: the verb's words, the values of its options, of which
 * none is ever a secret, and the first argument, never a later one, as that may be a verifier. Of a
 * request that was no valid one only the first word, as its arguments may stand anywhere. */
static void
log_words(struct logline *l, int argc, const char *const *argv)
{
	struct admin_grammar g = { .words = 1, .options = "" };
	struct options o = { .count = 0 };
	struct err e = ERR_INIT;
	char verb[64];
	int at;

	(void)admin_find_grammar(argc, argv, &g);
	snprintf(verb, sizeof verb, "%s%s%s", argv[0], g.words > 1 ? " " : "",
	         g.words > 1 ? argv[1] : "");
	log_cstr(l, "verb", verb);
	o.declared = g.options;
	for (at = g.words; at < argc && argv[at][0] == '-'; at++) {
		bool took_next = false;

		if (strcmp(argv[at], "--") == 0) {
			at++;
			break;
		}
		if (options_take(&o, argv[at], at + 1 < argc ? argv[at + 1] : NULL, &took_next,
		                 &e) != RC_OK)
			break;
		at += took_next;
	}
	for (int i = 0; i < o.count; i++) {
		char key[32];

		snprintf(key, sizeof key, "%.*s", (int)o.given[i].name_len - 2,
		         o.given[i].name + 2);
		if (o.given[i].value != NULL)
			log_cstr(l, key, o.given[i].value);
	}
	if (at < argc)
		log_cstr(l, "name", argv[at]);
}

static void
log_request(const struct control_call *call, int argc, const char *const *argv, int status)
{
	struct logline l;

	log_begin(&l, LOGLEVEL_INFO, "control.request");
	if (status == REQUEST_INVALID)
		log_cstr(&l, "verb", argv[0]);
	else
		log_words(&l, argc, argv);
	log_int(&l, "exit", status);
	if (status != 0 && atomic_load(&call->gone))
		log_cstr(&l, "text",
		    atomic_load(&call->control->closing) ? "cut: restanted ends"
		                                         : "cut: restantectl has gone away");
	log_end(&l);
}

static void
call_serve(struct control_call *call)
{
	const char *argv[CONTROL_WORDS_MAX + 1];
	char *line = malloc(CONTROL_LINE_MAX);
	int argc, status;

	if (line == NULL || !call_line_in(call, line, CONTROL_LINE_MAX)) {
		free(line);
		return;
	}
	argc = control_parse(line, argv, CONTROL_WORDS_MAX);
	if (argc <= 0) {
		control_err(call,
		            SLICE("bad request: words, percent-encoded, with one space between"));
		call_exit(call, REQUEST_INVALID);
		free(line);
		return;
	}
	argv[argc] = NULL;
	status = call->control->handler(call->control->arg, call, argc, argv);
	log_request(call, argc, argv, status);
	call_exit(call, status);
	free(line);
}

static void *
call_main(void *arg)
{
	struct control_call *call = arg;
	struct control *c = call->control;

	call_serve(call);
	(void)shutdown(call->fd, SHUT_RDWR);
	pthread_mutex_lock(&c->lock);
	call->done = true;
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

/* Take finished calls out; with `all`, wait for the others too. */
static void
reap_calls(struct control *c, bool all)
{
	struct control_call **at = &c->calls;

	while (*at != NULL) {
		struct control_call *call = *at;
		bool done;

		pthread_mutex_lock(&c->lock);
		done = call->done;
		pthread_mutex_unlock(&c->lock);
		if (!done && !all) {
			at = &call->next;
			continue;
		}
		if (!done) {
			atomic_store(&call->gone, true);
			(void)shutdown(call->fd, SHUT_RDWR);
		}
		pthread_join(call->thread, NULL);
		*at = call->next;
		close(call->fd);
		free(call);
		c->call_count--;
	}
}

static void
accept_call(struct control *c)
{
	struct timeval limit = { REQUEST_TIMEOUT_S, 0 };
	struct control_call *call;
	int fd = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0) {
		if (errno != EAGAIN && errno != EINTR)
			(void)poll(NULL, 0, 100);       /* no descriptors, no memory: do not spin */
		return;
	}
	reap_calls(c, false);
	call = c->call_count < CONTROL_CALLS_MAX && peer_allowed(fd) ? calloc(1, sizeof *call)
	                                                             : NULL;
	if (call == NULL) {
		close(fd);
		return;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	call->control = c;
	call->fd = fd;
	if (pthread_create(&call->thread, NULL, call_main, call) != 0) {
		close(fd);
		free(call);
		return;
	}
	call->next = c->calls;
	c->calls = call;
	c->call_count++;
}

/* Callers that are not known to have gone away: only their end is waited for, as what they send is
 * the request's to read. A request that has just ended looks like one whose caller left; nobody
 * asks it any more. */
static nfds_t
watch_calls(const struct control *c, struct pollfd *fds, struct control_call **of)
{
	nfds_t n = 0;

	for (struct control_call *call = c->calls; call != NULL; call = call->next) {
		if (atomic_load(&call->gone))
			continue;
		fds[n] = (struct pollfd){ call->fd, 0, 0 };
		of[n++] = call;
	}
	return n;
}

static void *
control_main(void *arg)
{
	struct control *c = arg;
	struct control_call *of[CONTROL_CALLS_MAX];
	struct pollfd fds[2 + CONTROL_CALLS_MAX] = { { c->fd, POLLIN, 0 },
	                                             { c->stop[0], POLLIN, 0 } };

	for (;;) {
		nfds_t n = watch_calls(c, fds + 2, of);

		if (poll(fds, 2 + n, -1) < 0) {
			if (errno != EINTR)
				return NULL;
			continue;
		}
		if (fds[1].revents != 0)
			return NULL;
		for (nfds_t i = 0; i < n; i++)
			if ((fds[2 + i].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
				atomic_store(&of[i]->gone, true);
		if (fds[0].revents != 0)
			accept_call(c);
	}
}

/* ---- life ---- */

enum rc
control_open(int fd, control_handler handler, void *arg, struct control **out, struct err *e)
{
	struct control *c = calloc(1, sizeof *c);

	*out = NULL;
	if (c == NULL) {
		close(fd);
		return err_nomem(e);
	}
	c->fd = fd;
	c->stop[0] = c->stop[1] = -1;
	c->handler = handler;
	c->arg = arg;
	pthread_mutex_init(&c->lock, NULL);
	if (pipe2(c->stop, O_CLOEXEC) != 0) {
		enum rc rc = err_os(e, errno, "pipe");

		control_close(&c);
		return rc;
	}
	*out = c;
	return RC_OK;
}

enum rc
control_start(struct control *c, struct err *e)
{
	int failed;

	failed = pthread_create(&c->thread, NULL, control_main, c);
	if (failed != 0)
		return err_os(e, failed, "thread of the control socket");
	c->started = true;
	return RC_OK;
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

void
control_close(struct control **cp)
{
	struct control *c = *cp;

	if (c == NULL)
		return;
	*cp = NULL;
	atomic_store(&c->closing, true);
	close_fd(c->stop[1]);
	if (c->started)
		pthread_join(c->thread, NULL);
	reap_calls(c, true);
	close_fd(c->stop[0]);
	close_fd(c->fd);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
