/* remote_conn - see remote_conn.h.
 *
 * The socket never blocks; poll() does, for the timeout at most, under plain reads and under
 * OpenSSL alike.
 *
 * The certificate [RFC 7817 s3]: the host of the URL is the only reference identity. It is compared
 * with the DNS-IDs, a wildcard counting as the whole left-most label only; of an address with the
 * iPAddress names. SRV-IDs are for clients that find their server by SRV records, which we do not;
 * URI-IDs do not apply; the common name may be looked at for old deployments, and is not: no
 * authority has issued such certificates for years, and the admin of another can pass it as
 * --ca-file only when it names the host properly, or say --insecure.
 */
#define _GNU_SOURCE
#include "tools/remote_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/clock.h"

struct remote_conn {
	int      fd;
	unsigned timeout_ms;
	SSL_CTX *ctx;
	SSL     *ssl;                   /* NULL: in the clear */
	size_t   from, to;              /* of bytes: read and not taken */
	uint8_t  bytes[REMOTE_CONN_BUFFER];
};

/* ---- connecting ---- */

static enum rc
wait_for(int fd, short what, unsigned timeout_ms, struct err *e)
{
	uint64_t end = clock_mono_ms() + timeout_ms;

	for (;;) {
		struct pollfd p = { fd, what, 0 };
		uint64_t now = clock_mono_ms();
		int n = now < end ? poll(&p, 1, (int)(end - now)) : 0;

		if (n > 0)
			return RC_OK;
		if (n == 0)
			return err_os(e, ETIMEDOUT, "no answer for %u seconds", timeout_ms / 1000);
		if (errno != EINTR)
			return err_os(e, errno, "poll");
	}
}

/* A connected socket in *out, or why not. */
static enum rc
connect_to(const struct sockaddr *sa, socklen_t len, unsigned timeout_ms, int *out, struct err *e)
{
	int fd = socket(sa->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), os = 0,
	    one = 1;
	socklen_t size = sizeof os;
	enum rc rc = RC_OK;

	if (fd < 0)
		return err_os(e, errno, "socket");
	if (connect(fd, sa, len) != 0) {
		if (errno != EINPROGRESS)
			rc = err_os(e, errno, "connecting");
		else
			rc = wait_for(fd, POLLOUT, timeout_ms, e);
		if (rc == RC_OK && getsockopt(fd, SOL_SOCKET, SO_ERROR, &os, &size) == 0 && os != 0)
			rc = err_os(e, os, "connecting");
	}
	if (rc != RC_OK) {
		close(fd);
		/* no file that is missing or forbidden */
		return rc == RC_IO ? rc : (e->code = RC_IO);
	}
	if (sa->sa_family != AF_UNIX)
		(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	*out = fd;
	return RC_OK;
}

static enum rc
connect_path(const char *path, unsigned timeout_ms, int *out, struct err *e)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	if (!slice_to_cstr(slice_str(path), sa.sun_path, sizeof sa.sun_path))
		return err_set(e, RC_LIMIT, "the path of the socket is too long");
	return connect_to((const struct sockaddr *)&sa, sizeof sa, timeout_ms, out, e);
}

static enum rc
connect_host(const char *host, uint16_t port, unsigned timeout_ms, int *out, struct err *e)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
		.ai_flags = AI_ADDRCONFIG | AI_NUMERICSERV },
	                *list;
	enum rc rc = RC_NOT_FOUND;
	char service[8];
	int status;

	snprintf(service, sizeof service, "%u", port);
	status = getaddrinfo(host, service, &hints, &list);
	if (status != 0)
		return err_set(e, RC_IO, "looking up the host: %s",
		    status == EAI_SYSTEM ? strerror(errno) : gai_strerror(status));
	for (const struct addrinfo *a = list; a != NULL && rc != RC_OK; a = a->ai_next)
		rc = connect_to(a->ai_addr, a->ai_addrlen, timeout_ms, out, e);
	freeaddrinfo(list);
	return rc;
}

enum rc
remote_conn_open(const char *host, uint16_t port, const char *socket_path, unsigned timeout_ms,
    struct remote_conn **out, struct err *e)
{
	struct remote_conn *c;
	int fd = -1;
	enum rc rc = socket_path != NULL ? connect_path(socket_path, timeout_ms, &fd, e) :
	    connect_host(host, port, timeout_ms, &fd, e);

	*out = NULL;
	if (rc != RC_OK)
		return rc;
	c = malloc(sizeof *c);
	if (c == NULL) {
		close(fd);
		return err_nomem(e);
	}
	c->fd = fd;
	c->timeout_ms = timeout_ms;
	c->ctx = NULL;
	c->ssl = NULL;
	c->from = c->to = 0;
	*out = c;
	return RC_OK;
}

void
remote_conn_close(struct remote_conn **conn)
{
	struct remote_conn *c = *conn;

	if (c == NULL)
		return;
	if (c->ssl != NULL && SSL_is_init_finished(c->ssl))
		(void)SSL_shutdown(c->ssl);     /* says so; what the peer answers does not matter */
	SSL_free(c->ssl);
	SSL_CTX_free(c->ctx);
	close(c->fd);
	explicit_bzero(c, sizeof *c);           /* challenges of SASL passed through */
	free(c);
	*conn = NULL;
}

/* ---- TLS ---- */

/* What OpenSSL has to say, its first complaint. */
static enum rc
tls_error(struct err *e, const char *what)
{
	unsigned long code = ERR_get_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;

	ERR_clear_error();
	return err_set(e, RC_IO, "%s: %s", what, reason != NULL ? reason : "the connection ended");
}

/* An operation on c->ssl returned `n`, not above 0. RC_OK: try again. */
static enum rc
tls_wait(struct remote_conn *c, int n, const char *what, struct err *e)
{
	int os = errno;

	switch (SSL_get_error(c->ssl, n)) {
	case SSL_ERROR_WANT_READ:
		return wait_for(c->fd, POLLIN, c->timeout_ms, e);
	case SSL_ERROR_WANT_WRITE:
		return wait_for(c->fd, POLLOUT, c->timeout_ms, e);
	case SSL_ERROR_ZERO_RETURN:
		return err_set(e, RC_IO, "the server has ended the connection");
	case SSL_ERROR_SYSCALL:
		if (ERR_peek_error() == 0 && os != 0)
			return err_os(e, os, "%s", what);
		return tls_error(e, what);
	default:
		return tls_error(e, what);
	}
}

static enum rc
tls_trust(struct remote_conn *c, const char *ca_file, struct err *e)
{
	if (ca_file == NULL)
		return SSL_CTX_set_default_verify_paths(c->ctx) == 1 ? RC_OK :
		    tls_error(e, "the system's certificates of authorities");
	if (SSL_CTX_load_verify_file(c->ctx, ca_file) == 1)
		return RC_OK;
	return tls_error(e, ca_file);
}

/* Whom we expect there. */
static bool
tls_expect(SSL *ssl, const char *host)
{
	X509_VERIFY_PARAM *param = SSL_get0_param(ssl);
	uint8_t address[16];

	if (inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
	X509_VERIFY_PARAM_set_hostflags(
	    param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1 &&
	       SSL_set_tlsext_host_name(ssl, host) == 1;
}

static enum rc
tls_prepare(struct remote_conn *c, const struct remote_tls *tls, struct err *e)
{
	c->ctx = SSL_CTX_new(TLS_client_method());
	if (c->ctx == NULL || SSL_CTX_set_min_proto_version(c->ctx, TLS1_2_VERSION) != 1)
		return tls_error(e, "TLS");
	if (tls_trust(c, tls->ca_file, e) != RC_OK)
		return e->code;
	c->ssl = SSL_new(c->ctx);
	if (c->ssl == NULL || !tls_expect(c->ssl, tls->host) || SSL_set_fd(c->ssl, c->fd) != 1)
		return tls_error(e, "TLS");
	SSL_set_verify(c->ssl, tls->insecure ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
	return RC_OK;
}

enum rc
remote_conn_start_tls(struct remote_conn *c, const struct remote_tls *tls, char *flaw, size_t size,
                      struct err *e)
{
	enum rc rc = tls_prepare(c, tls, e);
	long verdict;

	snprintf(flaw, size, "%s", "");
	while (rc == RC_OK) {
		int n = SSL_connect(c->ssl);

		if (n == 1)
			break;
		rc = tls_wait(c, n, "TLS handshake", e);
	}
	verdict = c->ssl != NULL ? SSL_get_verify_result(c->ssl) : X509_V_OK;
	if (verdict == X509_V_OK)
		return rc;
	ERR_clear_error();
	if (!tls->insecure)
		return err_set(e, RC_DENIED, "the server's certificate is not to be trusted: %s",
		    X509_verify_cert_error_string(verdict));
	snprintf(flaw, size, "%s", X509_verify_cert_error_string(verdict));
	return rc;
}

/* ---- bytes ---- */

enum rc
remote_conn_send(struct remote_conn *c, struct slice bytes, struct err *e)
{
	enum rc rc = RC_OK;

	while (bytes.len > 0 && rc == RC_OK) {
		int piece = bytes.len < 16384 ? (int)bytes.len : 16384;
		ssize_t n;

		errno = 0;
		n = c->ssl != NULL ? SSL_write(c->ssl, bytes.ptr, piece) :
		    send(c->fd, bytes.ptr, (size_t)piece, MSG_NOSIGNAL);
		if (n > 0)
			bytes = slice_sub(bytes, (size_t)n, bytes.len);
		else if (c->ssl != NULL)
			rc = tls_wait(c, (int)n, "sending", e);
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			rc = wait_for(c->fd, POLLOUT, c->timeout_ms, e);
		else if (errno != EINTR)
			rc = err_os(e, errno, "sending");
	}
	return rc;
}

/* Room for more at the end of the buffer, which is not full. */
static enum rc
read_more(struct remote_conn *c, struct err *e)
{
	enum rc rc = RC_OK;

	if (c->from == c->to)
		c->from = c->to = 0;
	if (c->to == sizeof c->bytes) {
		memmove(c->bytes, c->bytes + c->from, c->to - c->from);
		c->to -= c->from;
		c->from = 0;
	}
	while (rc == RC_OK) {
		ssize_t n;

		errno = 0;
		n = c->ssl != NULL
		        ? SSL_read(c->ssl, c->bytes + c->to, (int)(sizeof c->bytes - c->to))
		        : recv(c->fd, c->bytes + c->to, sizeof c->bytes - c->to, 0);
		if (n > 0) {
			c->to += (size_t)n;
			return RC_OK;
		}
		if (c->ssl != NULL)
			rc = tls_wait(c, (int)n, "receiving", e);
		else if (n == 0)
			rc = err_set(e, RC_IO, "the server has ended the connection");
		else if (errno == EAGAIN || errno == EWOULDBLOCK)
			rc = wait_for(c->fd, POLLIN, c->timeout_ms, e);
		else if (errno != EINTR)
			rc = err_os(e, errno, "receiving");
	}
	return rc;
}

enum rc
remote_conn_fill(struct remote_conn *c, struct slice *have, struct err *e)
{
	enum rc rc = c->from < c->to ? RC_OK : read_more(c, e);

	*have = rc == RC_OK ? slice_of(c->bytes + c->from, c->to - c->from) : SLICE_NONE;
	return rc;
}

void
remote_conn_take(struct remote_conn *c, size_t n)
{
	c->from += n;
}

bool
remote_conn_pending(const struct remote_conn *c)
{
	return c->from < c->to || (c->ssl != NULL && SSL_pending(c->ssl) > 0);
}

enum rc
remote_conn_line(struct remote_conn *c, struct slice *line, struct err *e)
{
	size_t seen = 0;

	for (;;) {
		struct slice have = slice_of(c->bytes + c->from, c->to - c->from);
		size_t end = seen + slice_find_byte(slice_sub(have, seen, have.len), '\n');

		if (end < have.len) {
			c->from += end + 1;
			*line = slice_sub(have, 0,
			                  end > 0 && have.ptr[end - 1] == '\r' ? end - 1 : end);
			return RC_OK;
		}
		seen = have.len;
		if (have.len == sizeof c->bytes)
			return err_set(e, RC_LIMIT, "the server sends a line without end");
		if (read_more(c, e) != RC_OK)
			return e->code;
	}
}
