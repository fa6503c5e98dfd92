/* tls - the certificates and rules that TLS connections are made with.
 *
 * A `struct tls` belongs to one configuration; SIGHUP makes a new one, which takes the ticket keys of the one before.
 * What it has read of files is a set that never changes; when files have changed, tls_refresh puts a new set in its
 * place. Connections keep the set that they began with.
 */
#ifndef RESTANTE_SERVER_TLS_H
#define RESTANTE_SERVER_TLS_H

#include <openssl/ssl.h>

#include "lib/conf.h"

struct tls;
struct tls_set;

#define TLS_STAMP_LEN 32

/* Read what [tls] and [certificate NAME] name. `before`: whose tickets are to be taken further, or NULL. RC_OK with
 * *out NULL when no certificate is configured. The error names section and file. `conf` must stay. Does I/O. */
MUST_USE enum rc tls_new(const struct conf *conf, const struct tls *before, struct tls **out,
                         struct err *e);
/* No connection is being made of it; those that were made go on. */
void tls_free(struct tls **t);

/* Facts of all files that it is made of: differs when one has changed. Does I/O. Any thread. */
void tls_stamp(const struct tls *t, uint8_t out[TLS_STAMP_LEN]);
/* The facts of the files when the present set was read. Any thread. */
void tls_loaded_stamp(struct tls *t, uint8_t out[TLS_STAMP_LEN]);
/* Read the files anew. On failure all stays as it was. Does I/O. Any thread, one at a time. */
MUST_USE enum rc tls_refresh(struct tls *t, struct err *e);
/* Destroy keys of tickets that have had their time. Called every now and then. Any thread. */
void tls_tidy(struct tls *t);
/* Say in the log which certificates are served; or only warn of those that run out. Any thread. */
void tls_log(struct tls *t);
void tls_warn(struct tls *t);

/* What a connection is begun with. */
struct tls_params {
	/* The one application protocol spoken here: a client that offers others only is refused [RFC 7301 s3.2]; NULL:
	 * none is looked at. Must stay. */
	const char                   *alpn;
	const char                   *protocol; /* sessions are resumed within one only; must stay */
	enum conf_listen_certificates client;   /* of the listener */
};

/* The server's side of one TLS connection. Used by one thread at a time. */
struct tls_connection {
	SSL            *ssl;
	struct tls_set *set;
	const char     *alpn, *protocol;
	char           *client;                 /* name in the client's verified certificate, or NULL */
	const char     *failed;                 /* why, if OpenSSL knows; NULL: it does not, or nothing has */
	int             fd;
	uint8_t         mode;                   /* enum conf_client_certificates */
	bool            named;                  /* the client asked for a host name that we have */
	bool            ending;                 /* what is written now goes with the end of the connection */
};

/* On the socket `fd`, which stays the caller's. False without memory; then *c is as after tls_connection_fini. `c` must
 * stay where it is. Any thread. */
bool tls_connection_init(struct tls_connection *c, struct tls *t, int fd,
                         const struct tls_params *p);
void tls_connection_fini(struct tls_connection *c);
/* The handshake is done: find out who the client is. */
void tls_connection_up(struct tls_connection *c);

#endif
