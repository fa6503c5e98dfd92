/* stream - bytes of one connection. See stream.h.
 *
 * TLS uses the socket itself instead of a BIO over a filter below: it only ever stands on the
 * socket, and so OpenSSL moves records between kernel and its own (released when idle) buffers
 * without a copy of ours between.
 */
#include "server/stream.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/deflate.h"

#ifndef MSG_MORE
#define MSG_MORE 0                      /* then segments are more, and nothing else */
#endif

/* OpenSSL's buffers: the record that comes, and the messages of a handshake. Else it has none
 * (SSL_MODE_RELEASE_BUFFERS). */
#define TLS_RECORD_BYTES    17408u
#define TLS_HANDSHAKE_BYTES 36864u

/* ---- the socket ---- */

static struct stream *
stream_of_socket(struct filter *f)
{
	return (struct stream *)(void *)((char *)f - offsetof(struct stream, socket));
}

static enum stream_result
socket_read(struct filter *f, uint8_t *ptr, size_t cap, size_t *n)
{
	ssize_t got;

	do
		got = recv(stream_of_socket(f)->fd, ptr, cap, 0);
	while (got < 0 && errno == EINTR);
	if (got > 0) {
		*n = (size_t)got;
		return STREAM_OK;
	}
	if (got == 0)
		return STREAM_EOF;
	return errno == EAGAIN || errno == EWOULDBLOCK ? STREAM_WANT_READ : STREAM_ERROR;
}

static enum stream_result
socket_write(struct filter *f, const uint8_t *ptr, size_t len, size_t *n)
{
	const struct stream *st = stream_of_socket(f);
	int flags = MSG_NOSIGNAL | (st->ending ? MSG_MORE : 0);
	ssize_t put;

	do
		put = send(st->fd, ptr, len, flags);
	while (put < 0 && errno == EINTR);
	if (put > 0) {
		*n = (size_t)put;
		return STREAM_OK;
	}
	return put < 0 && errno != EAGAIN && errno != EWOULDBLOCK ? STREAM_ERROR
	                                                          : STREAM_WANT_WRITE;
}

static enum stream_result
socket_flush(struct filter *f)
{
	(void)f;
	return STREAM_OK;
}

static void
socket_finish(struct filter *f)
{
	(void)shutdown(stream_of_socket(f)->fd, SHUT_WR);
}

static void
socket_free(struct filter *f)
{
	(void)f;
}

static const struct filter_ops socket_ops = { socket_read, socket_write, socket_flush,
                                              socket_finish, socket_free };

/* ---- TLS ---- */

struct tls_filter {
	struct filter         filter;
	struct tls_connection tls;
	bool                  up;       /* the handshake is done */
};

static struct tls_filter *
tls_filter_of(struct filter *f)
{
	return (struct tls_filter *)(void *)((char *)f - offsetof(struct tls_filter, filter));
}

/* Of a certificate that was refused: why, such as "CRL has expired". Plain text at a port for TLS, the
 * usual mistake in a mail program's settings, is a "wrong version number" to OpenSSL. */
static const char *
tls_failure(const SSL *ssl)
{
	unsigned long code = ERR_peek_error();
	long verified = SSL_get_verify_result(ssl);

	if (ERR_GET_LIB(code) == ERR_LIB_SSL &&
	    ERR_GET_REASON(code) == SSL_R_CERTIFICATE_VERIFY_FAILED && verified != X509_V_OK)
		return X509_verify_cert_error_string(verified);
	if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER)
		return "what came is not TLS";
	return ERR_reason_error_string(code);
}

static enum stream_result
tls_result(struct tls_filter *t, int ret)
{
	switch (SSL_get_error(t->tls.ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return STREAM_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return STREAM_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return STREAM_EOF;
	default:
		/* Nothing more may be said on this connection, not even close_notify
		 * [SSL_shutdown(3)]. */
		t->up = false;
		t->tls.failed = tls_failure(t->tls.ssl);
		return STREAM_ERROR;
	}
}

static enum stream_result
tls_read(struct filter *f, uint8_t *ptr, size_t cap, size_t *n)
{
	struct tls_filter *t = tls_filter_of(f);
	int ret;

	ERR_clear_error();
	ret = SSL_read_ex(t->tls.ssl, ptr, cap, n);
	return ret == 1 ? STREAM_OK : tls_result(t, ret);
}

static enum stream_result
tls_write(struct filter *f, const uint8_t *ptr, size_t len, size_t *n)
{
	struct tls_filter *t = tls_filter_of(f);
	int ret;

	ERR_clear_error();
	ret = SSL_write_ex(t->tls.ssl, ptr, len, n);
	return ret == 1 ? STREAM_OK : tls_result(t, ret);
}

/* What SSL_write has taken is with the socket. */
static enum stream_result
tls_flush(struct filter *f)
{
	(void)f;
	return STREAM_OK;
}

static void
tls_finish(struct filter *f)
{
	struct tls_filter *t = tls_filter_of(f);

	if (!t->up)
		return;
	t->tls.ending = true;
	ERR_clear_error();
	(void)SSL_shutdown(t->tls.ssl);
	ERR_clear_error();
}

static void
tls_filter_free(struct filter *f)
{
	struct tls_filter *t = tls_filter_of(f);

	tls_connection_fini(&t->tls);
	free(t);
}

static const struct filter_ops tls_ops = { tls_read, tls_write, tls_flush, tls_finish,
                                           tls_filter_free };

static void
drop_deflate(struct stream *st)
{
	st->top = st->deflate->below;
	st->deflate->ops->free(st->deflate);
	st->deflate = NULL;
}

bool
stream_start_tls(struct stream *st, struct tls *t, const struct tls_params *p)
{
	struct tls_filter *f;

	if (st->deflate != NULL && !deflate_is_on(st->deflate))
		drop_deflate(st);
	assert(st->top == &st->socket);
	f = calloc(1, sizeof *f);
	if (f == NULL)
		return false;
	if (!tls_connection_init(&f->tls, t, st->fd, p)) {
		free(f);
		return false;
	}
	f->filter.ops = &tls_ops;
	st->top = st->tls = &f->filter;
	return true;
}

enum stream_result
stream_handshake(struct stream *st)
{
	struct tls_filter *t = tls_filter_of(st->tls);
	int ret;

	ERR_clear_error();
	ret = SSL_do_handshake(t->tls.ssl);
	if (ret != 1)
		return tls_result(t, ret);
	t->up = true;
	tls_connection_up(&t->tls);
	return STREAM_OK;
}

const struct tls_connection *
stream_tls(const struct stream *st)
{
	return st->tls != NULL ? &tls_filter_of(st->tls)->tls : NULL;
}

/* ---- the stack ---- */

void
stream_init(struct stream *st, int fd)
{
	*st = (struct stream){ .fd = fd, .socket = { &socket_ops, NULL } };
	st->top = &st->socket;
}

void
stream_fini(struct stream *st)
{
	while (st->top != NULL) {
		struct filter *f = st->top;

		st->top = f == &st->socket ? NULL : f->below != NULL ? f->below : &st->socket;
		f->ops->free(f);
	}
	st->tls = st->deflate = NULL;
	if (st->fd >= 0)
		(void)close(st->fd);
	st->fd = -1;
}

enum stream_result
stream_read(struct stream *st, uint8_t *ptr, size_t cap, size_t *n)
{
	if (st->deflate != NULL && deflate_is_over(st->deflate))
		drop_deflate(st);
	return st->top->ops->read(st->top, ptr, cap, n);
}

enum stream_result
stream_write(struct stream *st, const uint8_t *ptr, size_t len, size_t *n)
{
	return st->top->ops->write(st->top, ptr, len, n);
}

enum stream_result
stream_splice(struct stream *st, const uint8_t *ptr, size_t len, size_t *n)
{
	return deflate_splice(st->deflate, ptr, len, n);
}

enum stream_result
stream_flush(struct stream *st)
{
	return st->top->ops->flush(st->top);
}

void
stream_ending(struct stream *st)
{
	st->ending = true;
	if (st->tls != NULL)
		tls_filter_of(st->tls)->tls.ending = true;
}

void
stream_finish(struct stream *st)
{
	if (st->top != &st->socket)
		st->top->ops->finish(st->top);
	st->socket.ops->finish(&st->socket);
}

bool
stream_start_deflate(struct stream *st, struct slice early)
{
	if (st->deflate != NULL)
		return deflate_again(st->deflate, early);
	st->deflate = deflate_new(st->top, early);
	if (st->deflate == NULL)
		return false;
	st->top = st->deflate;
	return true;
}

void
stream_last_deflate(struct stream *st)
{
	deflate_last(st->deflate);
}

void
stream_end_deflate(struct stream *st)
{
	deflate_end(st->deflate);
}

bool
stream_is_compressed(const struct stream *st)
{
	return st->deflate != NULL && deflate_is_on(st->deflate);
}

uint64_t
stream_held(const struct stream *st)
{
	uint64_t n = 0;

	if (st->tls != NULL && !tls_filter_of(st->tls)->up)
		n += TLS_HANDSHAKE_BYTES;
	else if (st->tls != NULL && SSL_has_pending(tls_filter_of(st->tls)->tls.ssl))
		n += TLS_RECORD_BYTES;
	return st->deflate != NULL ? n + deflate_held(st->deflate) : n;
}

void
stream_rest(struct stream *st)
{
	if (stream_is_compressed(st))
		deflate_rest(st->deflate);
}
