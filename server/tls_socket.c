/* tls_socket - what OpenSSL reads from and writes to. See tls_socket.h.
 *
 * Each segment that is sent wakes the client. OpenSSL's own BIO makes one of each thing that TLS says for
 * itself; here the ticket goes with the greeting, which follows at once, and what is said last with
 * the end of the connection. What nothing follows (the ticket after STARTTLS) the kernel sends
 * after 200 ms, or with the next answer.
 */
#include "server/tls_socket.h"

#include <errno.h>
#include <openssl/bio.h>
#include <pthread.h>
#include <sys/socket.h>

#ifndef MSG_MORE
#define MSG_MORE 0
#endif

static pthread_once_t once = PTHREAD_ONCE_INIT;
static BIO_METHOD *method;

static bool
is_transient(int os)
{
	return os == EAGAIN || os == EWOULDBLOCK || os == EINTR;
}

static int
socket_read(BIO *bio, char *ptr, int cap)
{
	const struct tls_connection *c = BIO_get_data(bio);
	ssize_t n = recv(c->fd, ptr, (size_t)cap, 0);

	BIO_clear_retry_flags(bio);
	if (n < 0 && is_transient(errno))
		BIO_set_retry_read(bio);
	if (n == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return (int)n;
}

/* Of TLS 1.2 the ticket is followed by what the client waits for, in one write. */
static bool
more_follows(const struct tls_connection *c)
{
	return c->ending || SSL_get_state(c->ssl) == TLS_ST_SW_SESSION_TICKET;
}

/* What fails must be -1: to OpenSSL 3.2 and later, 0 is a write of nothing that went well. */
static int
socket_write(BIO *bio, const char *ptr, int len)
{
	const struct tls_connection *c = BIO_get_data(bio);
	ssize_t n = send(c->fd, ptr, (size_t)len, MSG_NOSIGNAL | (more_follows(c) ? MSG_MORE : 0));

	BIO_clear_retry_flags(bio);
	if (n < 0 && is_transient(errno))
		BIO_set_retry_write(bio);
	return (int)n;
}

static long
socket_ctrl(BIO *bio, int what, long number, void *ptr)
{
	(void)number, (void)ptr;
	if (what == BIO_CTRL_EOF)
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	return what == BIO_CTRL_FLUSH;
}

static void
make_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_TYPE_SOURCE_SINK | BIO_get_new_index(), "socket");

	if (m != NULL && BIO_meth_set_read(m, socket_read) == 1 &&
	    BIO_meth_set_write(m, socket_write) == 1 && BIO_meth_set_ctrl(m, socket_ctrl) == 1)
		method = m;
	else
		BIO_meth_free(m);
}

bool
tls_socket_attach(struct tls_connection *c)
{
	BIO *bio;

	(void)pthread_once(&once, make_method);
	bio = method != NULL ? BIO_new(method) : NULL;
	if (bio == NULL)
		return false;
	BIO_set_data(bio, c);
	BIO_set_init(bio, 1);
	SSL_set_bio(c->ssl, bio, bio);
	return true;
}
