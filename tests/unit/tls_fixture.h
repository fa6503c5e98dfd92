/* tls_fixture - certificates made on the spot, and both ends of a TLS connection in one thread. */
#ifndef RESTANTE_TESTS_UNIT_TLS_FIXTURE_H
#define RESTANTE_TESTS_UNIT_TLS_FIXTURE_H

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "server/tls.h"
#include "tests/unit/unit.h"

/* What a certificate is made of. */
struct tls_recipe {
	const char   *cn;
	const char   *san;              /* as openssl.cnf has it: "DNS:a.example,email:b@example"; NULL: none */
	const char   *kind;             /* "EC" (default), "RSA", "RSA1024", "ED25519" */
	const EVP_MD *md;               /* NULL: SHA-256 */
	int           days;             /* valid for; 0: 30; below: it has ended so many days ago */
	bool          ca;
	X509         *issuer;           /* NULL: itself */
	EVP_PKEY     *issuer_key;
};

static inline EVP_PKEY *
tls_fixture_key(const char *kind)
{
	EVP_PKEY *key;

	if (kind != NULL && strcmp(kind, "RSA") == 0)
		key = EVP_RSA_gen(2048);
	else if (kind != NULL && strcmp(kind, "RSA1024") == 0)
		key = EVP_RSA_gen(1024);
	else if (kind != NULL && strcmp(kind, "ED25519") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		key = EVP_EC_gen("P-256");
	assert_non_null(key);
	return key;
}

static inline void
tls_fixture_extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *ext;
	X509V3_CTX ctx;

	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(ext);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
}

static inline X509 *
tls_fixture_certificate(const struct tls_recipe *r, EVP_PKEY *key)
{
	static long serial = 1;
	X509 *cert = X509_new(), *issuer = r->issuer != NULL ? r->issuer : cert;
	int days = r->days == 0 ? 30 : r->days;
	const EVP_MD *md = r->md != NULL ? r->md : EVP_sha256();

	assert_non_null(cert);
	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), serial++);
	X509_time_adj_ex(X509_getm_notBefore(cert), days < 0 ? days - 1 : -1, 0, NULL);
	X509_time_adj_ex(X509_getm_notAfter(cert), days, 0, NULL);
	X509_set_pubkey(cert, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_UTF8,
	                           (const unsigned char *)r->cn, -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(issuer));
	tls_fixture_extend(cert, issuer, NID_basic_constraints,
	                   r->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (r->san != NULL)
		tls_fixture_extend(cert, issuer, NID_subject_alt_name, r->san);
	if (EVP_PKEY_get_base_id(r->issuer_key != NULL ? r->issuer_key : key) == EVP_PKEY_ED25519)
		md = NULL;
	assert_true(X509_sign(cert, r->issuer_key != NULL ? r->issuer_key : key, md) > 0);
	return cert;
}

/* The certificates, NULL at the end, in one file. */
static inline void
tls_fixture_write(const char *path, X509 *const *certs)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	for (; *certs != NULL; certs++)
		assert_int_equal(PEM_write_X509(f, *certs), 1);
	assert_int_equal(fclose(f), 0);
}

static inline void
tls_fixture_write_key(const char *path, EVP_PKEY *key)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
}

/* A certificate and its key, in these files. */
static inline void
tls_fixture_pair(const struct tls_recipe *r, const char *cert_path, const char *key_path)
{
	EVP_PKEY *key = tls_fixture_key(r->kind);
	X509 *certs[2] = { tls_fixture_certificate(r, key), NULL };

	tls_fixture_write(cert_path, certs);
	tls_fixture_write_key(key_path, key);
	X509_free(certs[0]);
	EVP_PKEY_free(key);
}

/* ---- a connection ---- */

struct tls_pipe {
	int                   fds[2];
	struct tls_connection server;
	SSL                  *client;
	bool                  up;               /* both say that the handshake is done */
	int                   server_error, client_error;
};

/* Both take turns until both are done or one has failed. The client reads, so that it gets tickets and late alerts. */
static inline void
tls_pipe_run(struct tls_pipe *p)
{
	bool server_up = false, client_up = false;

	for (int i = 0; i < 50; i++) {
		char c;
		int n;

		if (!client_up) {
			n = SSL_do_handshake(p->client);
			client_up = n == 1;
			p->client_error = SSL_get_error(p->client, n);
		} else {
			n = SSL_read(p->client, &c, 1);
			p->client_error = SSL_get_error(p->client, n);
		}
		if (!server_up) {
			n = SSL_do_handshake(p->server.ssl);
			server_up = n == 1;
			p->server_error = SSL_get_error(p->server.ssl, n);
		}
	}
	p->up = server_up && client_up && p->client_error == SSL_ERROR_WANT_READ;
	if (server_up)
		tls_connection_up(&p->server);
	ERR_clear_error();
}

/* `ctx` is the client's. `sni` and `session` may be NULL. */
static inline void
tls_pipe_open(struct tls_pipe *p, struct tls *t, struct tls_params params, SSL_CTX *ctx,
              const char *sni, SSL_SESSION *session)
{
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p->fds), 0);
	assert_int_equal(fcntl(p->fds[0], F_SETFL, O_NONBLOCK), 0);
	assert_int_equal(fcntl(p->fds[1], F_SETFL, O_NONBLOCK), 0);
	if (params.protocol == NULL)
		params.protocol = "imap";
	assert_true(tls_connection_init(&p->server, t, p->fds[0], &params));
	p->client = SSL_new(ctx);
	assert_non_null(p->client);
	assert_int_equal(SSL_set_fd(p->client, p->fds[1]), 1);
	if (sni != NULL)
		assert_int_equal(SSL_set_tlsext_host_name(p->client, sni), 1);
	if (session != NULL)
		assert_int_equal(SSL_set_session(p->client, session), 1);
	SSL_set_connect_state(p->client);
	tls_pipe_run(p);
}

static inline void
tls_pipe_close(struct tls_pipe *p)
{
	SSL_set_shutdown(p->client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN); /* else its session counts as bad */
	SSL_free(p->client);
	tls_connection_fini(&p->server);
	close(p->fds[0]);
	close(p->fds[1]);
}

/* Verifies nothing. */
static inline SSL_CTX *
tls_fixture_client(int version)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert_non_null(ctx);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	if (version != 0) {
		assert_int_equal(SSL_CTX_set_min_proto_version(ctx, version), 1);
		assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
	}
	return ctx;
}

#endif
