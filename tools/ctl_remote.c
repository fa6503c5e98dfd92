/* ctl_remote - a verb run by the daemon. See server/control.h for the lines. */
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
	struct buf                 have;
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
	} else if (slice_eq(kind, SLICE("exit")) && slice_to_u64(rest, ADMIN_DAMAGE, &status)) {
		a->status = (enum admin_exit)status;
		a->done = true;
	} else {
		return false;
	}
	return true;
}

/* All whole lines that are there. */
static bool
take_lines(struct answer *a)
{
	size_t used = 0;

	while (!a->done) {
		struct slice left = slice_sub(buf_slice(&a->have), used, a->have.len);
		size_t end = slice_find_byte(left, '\n');

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
		wait_for_bytes(a, &told);
		n = recv(a->fd, to, 65536, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			complain(a, "restanted ended the connection before it was done");
			return;
		}
		buf_commit(&a->have, (size_t)n);
		if (!take_lines(a)) {
			complain(a, NOT_UNDERSTOOD);
			return;
		}
	}
}

enum admin_exit
ctl_remote(int fd, int argc, const char *const *argv, const struct admin_output *out)
{
	struct answer a = { .fd = fd, .out = out, .status = ADMIN_FAILED };
	struct buf request;

	buf_init(&request, REQUEST_MAX);
	buf_init(&a.have, ANSWER_LINE_MAX + 65536);
	if (!ctl_encode(argc, argv, &request))
		complain(&a, "the request is too long");
	else if (!send_all(fd, buf_slice(&request)))
		complain(&a, "restanted does not take the request");
	else
		read_answer(&a);
	secret_wipe_buf(&request);
	buf_fini(&request);
	buf_fini(&a.have);
	close(fd);
	return a.status;
}
