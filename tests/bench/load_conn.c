/* load_conn - see load_conn.h.
 *
 * Layers: socket, TLS, deflate. conn_more() adds what is there to the reading buffer through all of
 * them. TLS reads with a large buffer of OpenSSL's own, so that a system call brings many records.
 * The buffer grows only for a line that does not fit.
 *
 * Rejected: MSG_TRUNC, with which the kernel passes over literals without a copy. The generator
 * would cost less, but a real client takes its mail.
 */
#define _GNU_SOURCE
#include "tests/bench/load_conn.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <zlib.h>

#include "tests/bench/load.h"
#include "tests/bench/load_inflate.h"

#define PER_ADDRESS 20000u
#define TLS_READ    (128u << 10)
#define PATIENCE_S  120                 /* for any answer */
#define OUT_MAX     (1u << 20)          /* collected octets that are sent unasked */

struct conn {
	int      fd;
	SSL     *ssl;
	bool     resumed;
	bool     quickack;
	bool     deflated;
	z_stream up;
	struct inflater *down;
	uint8_t *packed;                /* what came deflated */
	size_t   packed_max, packed_len;
	const uint8_t *packed_at;       /* packed_len octets there are still to be inflated */
	char    *in;                    /* [in_pos, in_end) is unread */
	size_t   in_pos, in_end, in_max;
	char    *out;
	size_t   out_len, out_max;
};

static SSL_CTX *tls_context;
static pthread_once_t tls_once = PTHREAD_ONCE_INIT;
static _Thread_local SSL_SESSION *tls_session;

/* TLS 1.3 sends tickets behind the handshake, more than one: the newest is kept. */
static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(tls_session);
	tls_session = session;
	return 1;
}

/* The certificate is the server's own: nothing to check it against. */
static int
accept_certificate(X509_STORE_CTX *store, void *arg)
{
	(void)store;
	(void)arg;
	return 1;
}

static void
tls_init(void)
{
	tls_context = SSL_CTX_new(TLS_client_method());
	if (tls_context == NULL)
		load_fail("TLS: no context");
	SSL_CTX_set_mode(tls_context, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_verify(tls_context, SSL_VERIFY_NONE, NULL);
	SSL_CTX_set_cert_verify_callback(tls_context, accept_certificate, NULL);
	/* Few of everything, as OpenSSL 3 looks at each on each connection; the servers choose
	 * these anyway. */
	if (SSL_CTX_set1_groups_list(tls_context, "X25519:P-256") != 1 ||
	    SSL_CTX_set1_sigalgs_list(tls_context, "ECDSA+SHA256:RSA-PSS+SHA256:RSA+SHA256") != 1 ||
	    SSL_CTX_set_cipher_list(tls_context, "ECDHE+AESGCM") != 1)
		load_fail("TLS: OpenSSL lacks what the servers use");
	SSL_CTX_set_session_cache_mode(
	    tls_context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(tls_context, keep_session);
}

static void
tls_start(struct conn *c, const struct conn_target *target)
{
	pthread_once(&tls_once, tls_init);
	c->ssl = SSL_new(tls_context);
	if (c->ssl == NULL || SSL_set_fd(c->ssl, c->fd) != 1)
		load_fail("TLS: no memory");
	if (target->buffer >= CONN_LARGE) {
		SSL_set_default_read_buffer_len(c->ssl, TLS_READ);
		SSL_set_read_ahead(c->ssl, 1);
	} else if (target->buffer <= CONN_SMALL) {
		SSL_set_mode(c->ssl, SSL_MODE_RELEASE_BUFFERS);
	}
	if (target->resume && tls_session != NULL)
		SSL_set_session(c->ssl, tls_session);
	if (SSL_connect(c->ssl) != 1)
		load_fail("TLS handshake with port %d: %s", target->port,
		          ERR_reason_error_string(ERR_peek_last_error()));
	c->resumed = SSL_session_reused(c->ssl) == 1;
}

/* One address has some 28,000 ports for connections to one port. */
static void
bind_address(int fd, size_t number)
{
	struct sockaddr_in from = { .sin_family = AF_INET };
	int one = 1;

	if (number < PER_ADDRESS)
		return;
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK + (uint32_t)(number / PER_ADDRESS));
	setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
	if (bind(fd, (const struct sockaddr *)&from, sizeof from) != 0)
		load_fail("bind to an address of 127.0.0.0/8: %s", strerror(errno));
}

struct conn *
conn_open(const struct conn_target *target)
{
	struct sockaddr_in to = { .sin_family = AF_INET,
		.sin_port = htons((uint16_t)target->port) };
	struct conn *c = load_alloc(1, sizeof *c);
	struct timeval patience = { .tv_sec = PATIENCE_S };
	int one = 1;

	if (inet_pton(AF_INET, target->host, &to.sin_addr) != 1)
		load_fail("not an IPv4 address: %s", target->host);
	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0)
		load_fail("socket: %s", strerror(errno));
	if (strncmp(target->host, "127.", 4) == 0)
		bind_address(c->fd, target->number);
	if (connect(c->fd, (const struct sockaddr *)&to, sizeof to) != 0)
		load_fail("connect to %s port %d: %s", target->host, target->port, strerror(errno));
	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	c->quickack = target->quickack;
	c->in_max = target->buffer;
	c->in = load_realloc(NULL, c->in_max, 1);
	if (target->tls)
		tls_start(c, target);
	return c;
}

void
conn_close(struct conn **conn)
{
	struct conn *c = *conn;

	if (c == NULL)
		return;
	if (c->deflated) {
		deflateEnd(&c->up);
		inflater_free(c->down);
	}
	if (c->ssl != NULL) {
		SSL_shutdown(c->ssl);
		SSL_free(c->ssl);
	}
	close(c->fd);
	free(c->packed);
	free(c->in);
	free(c->out);
	free(c);
	*conn = NULL;
}

void
conn_end_thread(void)
{
	SSL_SESSION_free(tls_session);
	tls_session = NULL;
}

bool
conn_resumed(const struct conn *c)
{
	return c->resumed;
}

void
conn_compress(struct conn *c)
{
	if (c->in_pos != c->in_end)
		load_fail("octets behind the answer to COMPRESS that are not deflated");
	c->packed_max = c->in_max;
	/* What is sent is little: a small window is enough. */
	if (deflateInit2(&c->up, 1, Z_DEFLATED, -9, c->in_max >= CONN_LARGE ? 8 : 1,
		Z_DEFAULT_STRATEGY) != Z_OK)
		load_fail("zlib: no memory");
	c->down = inflater_new();
	c->packed = load_realloc(NULL, c->packed_max, 1);
	c->deflated = true;
}

/* --- sending --- */

static void
send_all(struct conn *c, const char *p, size_t len)
{
	while (len > 0) {
		size_t part = len < (1u << 30) ? len : 1u << 30;
		ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, p, (int)part)
					   : send(c->fd, p, part, MSG_NOSIGNAL);

		if (n <= 0 && (c->ssl != NULL || errno != EINTR))
			load_fail("sending: %s", c->ssl != NULL ? "TLS failed" : strerror(errno));
		if (n > 0) {
			p += n;
			len -= (size_t)n;
		}
	}
}

static void
send_deflated(struct conn *c)
{
	char packed[16384];

	c->up.next_in = (Bytef *)c->out;
	c->up.avail_in = (uInt)c->out_len;
	do {
		c->up.next_out = (Bytef *)packed;
		c->up.avail_out = sizeof packed;
		deflate(&c->up, Z_SYNC_FLUSH);
		send_all(c, packed, sizeof packed - c->up.avail_out);
	} while (c->up.avail_out == 0);
}

void
conn_flush(struct conn *c)
{
	if (c->out_len == 0)
		return;
	if (c->deflated)
		send_deflated(c);
	else
		send_all(c, c->out, c->out_len);
	c->out_len = 0;
}

static void
make_room(struct conn *c, size_t len)
{
	if (c->out_len > 0 && c->out_len + len > OUT_MAX)
		conn_flush(c);
	if (c->out_len + len <= c->out_max)
		return;
	c->out_max = (c->out_len + len) * 2;
	c->out = load_realloc(c->out, c->out_max, 1);
}

void
conn_put(struct conn *c, const void *data, size_t len)
{
	make_room(c, len);
	memcpy(c->out + c->out_len, data, len);
	c->out_len += len;
}

void
conn_printf(struct conn *c, const char *format, ...)
{
	char text[4096];
	va_list ap;
	int n;

	va_start(ap, format);
	n = vsnprintf(text, sizeof text, format, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof text)
		load_fail("a command is too long");
	conn_put(c, text, (size_t)n);
}

/* --- reading --- */

static size_t
read_some(struct conn *c, void *dst, size_t max)
{
	ssize_t n;
	int one = 1;

	if (c->quickack)                        /* the kernel forgets it again and again */
		setsockopt(c->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
	do
		n = c->ssl != NULL ? SSL_read(c->ssl, dst, max < (1u << 30) ? (int)max : 1 << 30)
		                   : recv(c->fd, dst, max, 0);
	while (n < 0 && c->ssl == NULL && errno == EINTR && !load_stopped());
	if (n == 0)
		load_fail("the server closed the connection");
	if (n < 0 && errno == EAGAIN)
		load_fail("no answer for %d s", PATIENCE_S);
	if (n < 0)
		load_fail("reading: %s", c->ssl != NULL ? "TLS failed" : strerror(errno));
	return (size_t)n;
}

static size_t
inflate_some(struct conn *c, void *dst, size_t max)
{
	size_t n;

	while ((n = inflater_run(c->down, &c->packed_at, &c->packed_len, dst, max)) == 0) {
		c->packed_len = read_some(c, c->packed, c->packed_max);
		c->packed_at = c->packed;
	}
	return n;
}

/* At least one octet more in the buffer. What is unread moves to its beginning only when the end is
 * near. */
static void
conn_more(struct conn *c)
{
	if (c->in_pos == c->in_end)
		c->in_pos = c->in_end = 0;
	if (c->in_pos > 0 && c->in_max - c->in_end < c->in_max / 4) {
		memmove(c->in, c->in + c->in_pos, c->in_end - c->in_pos);
		c->in_end -= c->in_pos;
		c->in_pos = 0;
	}
	if (c->in_end == c->in_max) {
		c->in_max *= 2;
		c->in = load_realloc(c->in, c->in_max, 1);
	}
	if (c->deflated)
		c->in_end += inflate_some(c, c->in + c->in_end, c->in_max - c->in_end);
	else
		c->in_end += read_some(c, c->in + c->in_end, c->in_max - c->in_end);
}

char *
conn_line(struct conn *c, size_t *len)
{
	size_t seen = 0;
	char *line, *nl;

	while (
	    (nl = memchr(c->in + c->in_pos + seen, '\n', c->in_end - c->in_pos - seen)) == NULL) {
		seen = c->in_end - c->in_pos;
		conn_more(c);
	}
	line = c->in + c->in_pos;
	*len = (size_t)(nl - line);
	c->in_pos += *len + 1;
	if (*len == 0 || line[*len - 1] != '\r')
		load_fail("a line does not end with CRLF");
	--*len;
	return line;
}

void
conn_skip(struct conn *c, uint64_t n)
{
	while (n > c->in_end - c->in_pos) {
		n -= c->in_end - c->in_pos;
		c->in_pos = c->in_end;
		conn_more(c);
	}
	c->in_pos += (size_t)n;
}

void
conn_read(struct conn *c, void *dst, size_t n)
{
	char *to = dst;

	for (;;) {
		size_t part = c->in_end - c->in_pos < n ? c->in_end - c->in_pos : n;

		memcpy(to, c->in + c->in_pos, part);
		c->in_pos += part;
		to += part;
		n -= part;
		if (n == 0)
			return;
		conn_more(c);
	}
}
