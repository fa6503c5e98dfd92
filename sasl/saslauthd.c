/* saslauthd - one question over its unix socket. See saslauthd.h.
 *
 *   question: user, password, service, realm, each as a length of 16 bits (big-endian)
 *   and its octets
 *   answer:   one such string that begins with "OK" or "NO"
 */
#include "sasl/saslauthd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/secret.h"

#define QUESTION_MAX 8192       /* what saslauthd reads at most */
#define ANSWER_MAX   1024

struct call {
	int         fd;
	uint64_t    deadline_ms;
	const char *path;
};

static enum rc
wait_for(const struct call *c, short events, struct err *e)
{
	uint64_t now = clock_mono_ms();
	struct pollfd p = { .fd = c->fd, .events = events };
	int n = now >= c->deadline_ms ? 0 : poll(&p, 1, (int)(c->deadline_ms - now));

	if (n > 0 || (n < 0 && errno == EINTR))
		return RC_OK;
	if (n < 0)
		return err_os(e, errno, "wait for saslauthd at %s", c->path);
	return err_set(e, RC_IO, "saslauthd at %s does not answer", c->path);
}

/* A full queue of connections is EAGAIN on a unix socket, and poll does not tell when
 * there is room. */
static enum rc
connect_to(struct call *c, struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };

	if (!slice_to_cstr(slice_str(c->path), to.sun_path, sizeof to.sun_path))
		return err_set(e, RC_LIMIT, "path of saslauthd's socket is too long: %s", c->path);
	c->fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (c->fd < 0)
		return err_os(e, errno, "socket");
	if (fcntl(c->fd, F_SETFD, FD_CLOEXEC) < 0 || fcntl(c->fd, F_SETFL, O_NONBLOCK) < 0)
		return err_os(e, errno, "fcntl");
	while (connect(c->fd, (const struct sockaddr *)&to, sizeof to) < 0) {
		int os = errno;

		if (os != EAGAIN && os != EINTR) {
			err_os(e, os, "connect to saslauthd at %s", c->path);
			return e->code = RC_IO;
		}
		if (clock_mono_ms() >= c->deadline_ms)
			return err_set(e, RC_IO, "saslauthd at %s does not answer", c->path);
		(void)poll(NULL, 0, 10);
	}
	return RC_OK;
}

static enum rc
send_all(const struct call *c, struct slice bytes, struct err *e)
{
	while (bytes.len > 0) {
		ssize_t n = send(c->fd, bytes.ptr, bytes.len, MSG_NOSIGNAL);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_os(e, errno, "write to saslauthd at %s", c->path);
		if (n > 0)
			bytes = slice_sub(bytes, (size_t)n, bytes.len);
		else if (wait_for(c, POLLOUT, e) != RC_OK)
			return e->code;
	}
	return RC_OK;
}

static enum rc
receive(const struct call *c, uint8_t *out, size_t len, struct err *e)
{
	size_t got = 0;

	while (got < len) {
		ssize_t n = read(c->fd, out + got, len - got);

		if (n == 0)
			return err_set(e, RC_IO, "saslauthd at %s hung up", c->path);
		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_os(e, errno, "read from saslauthd at %s", c->path);
		if (n > 0)
			got += (size_t)n;
		else if (wait_for(c, POLLIN, e) != RC_OK)
			return e->code;
	}
	return RC_OK;
}

static bool
put_string(struct secret *out, struct slice s)
{
	uint8_t len[2] = { (uint8_t)(s.len >> 8), (uint8_t)(s.len & 0xff) };

	return s.len <= UINT16_MAX && secret_append(out, slice_of(len, 2)) && secret_append(out, s);
}

/* "anna@example.org" is user and realm, as libsasl2 asks. */
static bool
put_question(struct secret *out, struct slice name, struct slice password, const char *service)
{
	size_t at = name.len;

	for (size_t i = 0; i < name.len; i++)
		if (name.ptr[i] == '@')
			at = i;
	return put_string(out, slice_sub(name, 0, at)) && put_string(out, password) &&
	       put_string(out, slice_str(service)) &&
	       put_string(out, at < name.len ? slice_sub(name, at + 1, name.len) : SLICE(""));
}

static enum rc
read_answer(const struct call *c, bool *match, struct err *e)
{
	uint8_t head[2] = { 0 }, text[ANSWER_MAX];
	size_t len;

	if (receive(c, head, 2, e) != RC_OK)
		return e->code;
	len = (size_t)head[0] << 8 | head[1];
	if (len < 2 || len > sizeof text)
		return err_set(e, RC_IO, "saslauthd at %s answers with %zu octets", c->path, len);
	if (receive(c, text, len, e) != RC_OK)
		return e->code;
	*match = text[0] == 'O' && text[1] == 'K';
	return RC_OK;
}

enum rc
saslauthd_check(const char *path, const char *service, struct slice name, struct slice password,
                int timeout_ms, bool *match, struct err *e)
{
	struct call c = { .fd = -1, .deadline_ms = clock_mono_ms() + (uint64_t)timeout_ms,
	                  .path = path };
	struct secret question;
	enum rc rc = secret_init(&question, QUESTION_MAX, e);

	*match = false;
	if (rc == RC_OK && !put_question(&question, name, password, service))
		rc = err_set(e, RC_LIMIT, "too long for saslauthd");
	if (rc == RC_OK)
		rc = connect_to(&c, e);
	if (rc == RC_OK)
		rc = send_all(&c, secret_slice(&question), e);
	if (rc == RC_OK)
		rc = read_answer(&c, match, e);
	if (c.fd >= 0)
		close(c.fd);
	secret_fini(&question);
	return rc;
}
