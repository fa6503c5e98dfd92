/* stream - bytes of one connection, through whatever filters lie between socket and session.
 *
 * Filters are stacked: the socket at the bottom, TLS on it, a compressor (deflate.h) on that. All have one interface
 * and none blocks. The session reads into the reactor's buffer and writes from its own output, so a filter holds bytes
 * only as its format demands. Used by one thread: the session's reactor.
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
	STREAM_GARBLED,         /* what came is not in the format of a filter: nothing that follows can be read */
	STREAM_ERROR,           /* the connection is broken */
};

struct filter;

struct filter_ops {
	/* STREAM_OK: *n > 0 bytes were moved. */
	enum stream_result (*read)(struct filter *f, uint8_t *ptr, size_t cap, size_t *n);
	enum stream_result (*write)(struct filter *f, const uint8_t *ptr, size_t len, size_t *n);
	/* Whoever reads below sees all that was written. STREAM_OK, STREAM_WANT_*: not yet; STREAM_ERROR. */
	enum stream_result (*flush)(struct filter *f);
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
	struct filter *deflate;         /* NULL: none lies on it; it may have ended */
	bool           ending;          /* stream_ending */
};

/* The stream owns `fd` from now on; it must be non-blocking. */
void stream_init(struct stream *st, int fd);
/* Frees the filters and closes the socket. */
void stream_fini(struct stream *st);

enum stream_result stream_read(struct stream *st, uint8_t *ptr, size_t cap, size_t *n);
enum stream_result stream_write(struct stream *st, const uint8_t *ptr, size_t len, size_t *n);
/* The same for octets that are raw deflate already (see deflate_splice), on a stream that is compressed. */
enum stream_result stream_splice(struct stream *st, const uint8_t *ptr, size_t len, size_t *n);
/* All that was written is on its way: until then a filter may hold some of it back. */
enum stream_result stream_flush(struct stream *st);
void stream_finish(struct stream *st);
/* What is written from now on is the last: it may wait for stream_finish, to leave in one segment with it. */
void stream_ending(struct stream *st);

/* Put TLS on the socket; nothing else may lie on it yet, but for a compressor that has ended: it goes, with what it
 * still holds of the time before. False without memory. Then stream_handshake until STREAM_OK. */
bool stream_start_tls(struct stream *st, struct tls *t, const struct tls_params *p);
enum stream_result stream_handshake(struct stream *st);
/* Its TLS, or NULL. */
const struct tls_connection *stream_tls(const struct stream *st);

/* Compress both directions from the next octet on; what was written must be flushed. `early`: input that was read
 * already and is compressed. False without memory. */
bool stream_start_deflate(struct stream *st, struct slice early);
/* The opposite, in both directions: stream_last_deflate, the last output, its flush, stream_end_deflate. */
void stream_last_deflate(struct stream *st);
void stream_end_deflate(struct stream *st);
bool stream_is_compressed(const struct stream *st);
/* Bytes that it holds of input and output, about. */
uint64_t stream_held(const struct stream *st);
/* The peer has been silent for a while: give memory back. All is flushed. */
void stream_rest(struct stream *st);

#endif
