/* stream - bytes of one connection, through whatever filters lie between socket and session.
 *
 * Filters are stacked: the socket at the bottom, TLS on it, a compressor on that. All have one interface and none
 * blocks. The session reads into the reactor's buffer and writes from its own output, so a filter holds bytes only as
 * its format demands. Used by one thread: the session's reactor.
 */
#ifndef RESTANTE_SERVER_STREAM_H
#define RESTANTE_SERVER_STREAM_H

#include "lib/slice.h"
#include "server/tls.h"

enum stream_result {
	STREAM_OK,
	STREAM_WANT_READ,       /* try again when the socket is readable */
	STREAM_WANT_WRITE,      /* ... writable */
	STREAM_EOF,             /* the peer has ended its side */
	STREAM_ERROR,           /* the connection is broken */
};

struct filter;

struct filter_ops {
	/* STREAM_OK: *n > 0 bytes were moved. */
	enum stream_result (*read)(struct filter *f, uint8_t *ptr, size_t cap, size_t *n);
	enum stream_result (*write)(struct filter *f, const uint8_t *ptr, size_t len, size_t *n);
	/* Tell the peer that no more will be written, as far as the socket takes it. */
	void (*finish)(struct filter *f);
	void (*free)(struct filter *f);
};

struct filter {
	const struct filter_ops *ops;
	struct filter           *below;         /* NULL: f is the socket, or stands on it directly */
};

struct stream {
	int            fd;
	struct filter  socket;
	struct filter *top;
	struct filter *tls;             /* NULL: in clear */
};

/* The stream owns `fd` from now on; it must be non-blocking. */
void stream_init(struct stream *st, int fd);
/* Frees the filters and closes the socket. */
void stream_fini(struct stream *st);

enum stream_result stream_read(struct stream *st, uint8_t *ptr, size_t cap, size_t *n);
enum stream_result stream_write(struct stream *st, const uint8_t *ptr, size_t len, size_t *n);
void stream_finish(struct stream *st);

/* Put TLS on the socket; nothing else may lie on it yet. False without memory. Then stream_handshake until STREAM_OK. */
bool stream_start_tls(struct stream *st, struct tls *t, const char *alpn);
enum stream_result stream_handshake(struct stream *st);
/* For logs: "TLSv1.3", or NULL. */
const char *stream_tls_version(const struct stream *st);

#endif
