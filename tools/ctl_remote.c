/* ctl_remote - a verb run by the daemon. See server/control.h for the lines.
 *
 * While there is something to send, both directions are waited for at once and nothing blocks: the
 * daemon may answer at length before it takes more. At most one piece is held for sending, and of
 * the answer one line or what one read gave.
 */
#define _GNU_SOURCE
#include "tools/ctl.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_LINE_MAX (16u << 20)
#define REQUEST_MAX     65536u
#define NOT_UNDERSTOOD  "restanted answered in a way that this restantectl does not understand"
#define PATIENCE_MS     10000           /* of silence until we say whom we wait for */
#define PIECE_MAX       65536u          /* bytes sent at once */
#define PIECE_HEAD_MAX  24u             /* of the line before them */

int
ctl_connect(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd, os;

	if (!slice_to_cstr(slice_str(path), sa.sun_path, sizeof sa.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (connect(fd, (const struct sockaddr *)&sa, sizeof sa) == 0)
		return fd;
	os = errno;
	close(fd);
	errno = os;
	return -1;
}

long
ctl_peer_pid(int fd)
{
#ifdef SO_PEERCRED
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		return (long)cred.pid;
#else
	(void)fd;
#endif
	return 0;
}

/* ---- the request ---- */

static bool
is_plain(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	    (c != '\0' && strchr("-._~/@+:=,$", c) != NULL);
}

bool
ctl_encode(int argc, const char *const *argv, struct buf *out)
{
	for (int i = 0; i < argc; i++) {
		if (i > 0)
			buf_append_byte(out, ' ');
		if (argv[i][0] == '\0')
			buf_append_byte(out, '%');
		for (const char *p = argv[i]; *p != '\0'; p++) {
			if (is_plain((uint8_t)*p))
				buf_append_byte(out, (uint8_t)*p);
			else
				buf_printf(out, "%%%02X", (uint8_t)*p);
		}
	}
	buf_append_byte(out, '\n');
	return !out->failed;
}

static bool
send_all(int fd, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = send(fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		bytes = slice_sub(bytes, (size_t)n, bytes.len);
	}
	return true;
}

/* ---- the answer ---- */

struct answer {
	int                        fd;
	const struct admin_output *out;
	const struct admin_input  *input;
	struct buf                 have;
	size_t                     data;        /* bytes of a piece that are still to come */
	bool                       sending;     /* the verb asked for `input`, and its end
	                                         * is not sent yet */
	bool                       last;        /* what stands in `give` is the end */
	struct buf                 give;        /* to be sent */
	bool                       heard;       /* anything */
	bool                       unread;      /* it ended without having read the request */
	bool                       done;        /* exit line read, or nobody reads us */
	enum admin_exit            status;
};

static void
complain(const struct answer *a, const char *text)
{
	a->out->error(a->out->arg, slice_str(text));
}

/* "DONE TOTAL WHAT" */
static void
take_progress(const struct answer *a, struct slice rest)
{
	size_t first = slice_find_byte(rest, ' ');
	struct slice tail = slice_sub(rest, first + 1, rest.len);
	size_t second = slice_find_byte(tail, ' ');
	uint64_t done, total;
	char what[200];

	if (a->out->progress != NULL &&
	    slice_to_u64(slice_sub(rest, 0, first), UINT64_MAX, &done) &&
	    slice_to_u64(slice_sub(tail, 0, second), UINT64_MAX, &total) &&
	    slice_to_cstr(slice_sub(tail, second + 1, tail.len), what, sizeof what))
		a->out->progress(a->out->arg, what, done, total);
}

/* One line of the answer. False: not one. */
static bool
take_line(struct answer *a, struct slice line)
{
	size_t end = slice_find_byte(line, ' ');
	struct slice kind = slice_sub(line, 0, end), rest = slice_sub(line, end + 1, line.len);
	uint64_t status;

	if (slice_eq(kind, SLICE("out"))) {
		a->done = !a->out->line(a->out->arg, rest);
	} else if (slice_eq(kind, SLICE("err"))) {
		a->out->error(a->out->arg, rest);
	} else if (slice_eq(kind, SLICE("progress"))) {
		take_progress(a, rest);
	} else if (slice_eq(kind, SLICE("data")) && a->out->data != NULL &&
	    slice_to_u64(rest, PIECE_MAX, &status)) {
		a->data = (size_t)status;
	} else if (slice_eq(line, SLICE("input")) && a->input != NULL) {
		a->sending = true;
	} else if (slice_eq(kind, SLICE("exit")) && slice_to_u64(rest, ADMIN_DAMAGE, &status)) {
		a->status = (enum admin_exit)status;
		a->done = true;
	} else {
		return false;
	}
	return true;
}

/* Bytes of the piece that are there; how many. */
static size_t
take_data(struct answer *a, struct slice have)
{
	struct slice part = slice_sub(have, 0, a->data);

	a->data -= part.len;
	if (part.len > 0)
		a->done = !a->out->data(a->out->arg, part);
	return part.len;
}

/* All whole lines that are there, and pieces as far as they are. */
static bool
take_lines(struct answer *a)
{
	size_t used = 0;

	while (!a->done) {
		struct slice left = slice_sub(buf_slice(&a->have), used, a->have.len);
		size_t end;

		if (a->data > 0 && left.len > 0) {
			used += take_data(a, left);
			continue;
		}
		end = slice_find_byte(left, '\n');

		if (end == left.len)
			break;
		if (!take_line(a, slice_sub(left, 0, end)))
			return false;
		used += end + 1;
	}
	buf_consume(&a->have, used);
	return true;
}

static void
wait_for_bytes(const struct answer *a, bool *told)
{
	struct pollfd p = { a->fd, POLLIN, 0 };
	char text[80];

	if (*told || poll(&p, 1, PATIENCE_MS) != 0)
		return;
	*told = true;
	snprintf(text, sizeof text, "still waiting for restanted (pid %ld) to answer",
	    ctl_peer_pid(a->fd));
	complain(a, text);
}

/* ---- what the verb takes ---- */

/* The next piece into `give`. */
static void
next_piece(struct answer *a)
{
	uint8_t bytes[PIECE_MAX];
	struct err e = ERR_INIT;
	size_t n = 0;
	enum rc rc = a->input->read(a->input->arg, bytes, sizeof bytes, &n, &e);

	buf_reset(&a->give);
	a->last = rc != RC_OK || n == 0;
	if (rc != RC_OK) {
		complain(a, e.text[0] != '\0' ? e.text : rc_name(rc));
		buf_append_str(&a->give, "abort\n");
	} else if (n == 0) {
		buf_append_str(&a->give, "end\n");
	} else {
		buf_printf(&a->give, "data %zu\n", n);
		buf_append(&a->give, bytes, n);
	}
}

/* As much as the socket takes now. A daemon that reads no more has an answer under way
 * that says why. */
static void
send_some(struct answer *a)
{
	ssize_t n = send(a->fd, a->give.ptr, a->give.len, MSG_NOSIGNAL | MSG_DONTWAIT);

	if (n > 0) {
		buf_consume(&a->give, (size_t)n);
		a->sending = !(a->last && a->give.len == 0);
	} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
		a->sending = false;
	}
}

/* Wait until something can be read, sending meanwhile. */
static void
exchange(struct answer *a)
{
	while (a->sending) {
		struct pollfd p = { a->fd, POLLIN | POLLOUT, 0 };

		if (a->give.len == 0)
			next_piece(a);
		if (a->give.failed) {
			complain(a, "no memory");
			a->sending = false;
			return;
		}
		if (poll(&p, 1, -1) < 0)
			continue;
		if ((p.revents & POLLOUT) != 0)
			send_some(a);
		if ((p.revents & ~POLLOUT) != 0)
			return;
	}
}

static void
read_answer(struct answer *a)
{
	bool told = false;

	while (!a->done) {
		uint8_t *to = buf_reserve(&a->have, 65536);
		ssize_t n;

		if (to == NULL) {
			complain(a, "restanted sent a line that is too long");
			return;
		}
		exchange(a);
		wait_for_bytes(a, &told);
		n = recv(a->fd, to, 65536, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == ECONNRESET && !a->heard) {
			a->unread = true;
			return;
		}
		if (n <= 0) {
			complain(a, "restanted ended the connection before it was done");
			return;
		}
		a->heard = true;
		buf_commit(&a->have, (size_t)n);
		if (!take_lines(a)) {
			complain(a, NOT_UNDERSTOOD);
			return;
		}
	}
}

enum admin_exit
ctl_remote(int fd, int argc, const char *const *argv, const struct admin_output *out,
    const struct admin_input *input)
{
	bool unread;
	enum admin_exit status = ctl_remote_once(fd, argc, argv, out, input, &unread);
	struct answer a = { .out = out };

	if (unread)
		complain(&a, "restanted has just ended");
	return status;
}

enum admin_exit
ctl_remote_once(int fd, int argc, const char *const *argv, const struct admin_output *out,
    const struct admin_input *input, bool *unread)
{
	struct answer a = { .fd = fd, .out = out, .input = input, .status = ADMIN_FAILED };
	struct buf request;

	buf_init(&request, REQUEST_MAX);
	buf_init(&a.have, ANSWER_LINE_MAX + 65536);
	buf_init(&a.give, PIECE_MAX + PIECE_HEAD_MAX);
	if (!ctl_encode(argc, argv, &request))
		complain(&a, "the request is too long");
	else if (!send_all(fd, buf_slice(&request)))
		a.unread = true;
	else
		read_answer(&a);
	secret_wipe_buf(&request);
	buf_fini(&request);
	buf_fini(&a.have);
	buf_fini(&a.give);
	close(fd);
	*unread = a.unread;
	return a.status;
}
