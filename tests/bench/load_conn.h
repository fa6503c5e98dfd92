/* load_conn - a client's connection: TCP, TLS if asked, COMPRESS=DEFLATE if asked, and a buffer
 * each way.
 *
 * Reading is made for large answers: one read() fills a large buffer, lines are found in it with
 * memchr, literals are passed over by their count. Any failure ends the program.
 */
#ifndef RESTANTE_BENCH_LOAD_CONN_H
#define RESTANTE_BENCH_LOAD_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONN_LARGE (256u << 10)         /* a buffer for throughput */
#define CONN_SHORT (16u << 10)          /* one for a session that soon ends */
#define CONN_SMALL (2u << 10)           /* one for thousands of idle sessions */

struct conn;

struct conn_target {
	const char *host;
	int         port;
	bool        tls;
	bool resume; /* TLS: offer the session of this thread's last connection */
	bool        quickack;           /* acknowledge at once: for servers without TCP_NODELAY */
	size_t      buffer;             /* octets of the reading buffer, to begin with */
	size_t number; /* on 127.0.0.1 each 20,000 have an address of their own to come from */
};

/* The caller's; ended by conn_close, which accepts a pointer to NULL and leaves NULL behind. */
struct conn *conn_open(const struct conn_target *target);
void conn_close(struct conn **c);

bool conn_resumed(const struct conn *c);
/* The thread ends: the TLS session of its last connection is forgotten. */
void conn_end_thread(void);
/* From here on all is deflated, both ways. */
void conn_compress(struct conn *c);

/* Collect octets to send; conn_flush sends them with as few calls as the layers need. */
void conn_put(struct conn *c, const void *data, size_t len);
void conn_printf(struct conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void conn_flush(struct conn *c);

/* The next line without its CRLF; valid until the next call that reads. */
char *conn_line(struct conn *c, size_t *len);
/* The next `n` octets: passed over, or copied. */
void conn_skip(struct conn *c, uint64_t n);
void conn_read(struct conn *c, void *dst, size_t n);

#endif
