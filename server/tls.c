/* tls - the certificates and rules that TLS connections are made with. See tls.h.
 *
 * Renegotiation and TLS compression are off [RFC 9325 s3.3, s3.5]; of TLS 1.2 only suites with
 * forward secrecy and AEAD are spoken [s4.2]. Idle connections hold no record buffers
 * (SSL_MODE_RELEASE_BUFFERS). ALPN guards against one protocol's messages being
 * replayed to another.
 *
 * Certificate, host name and the scope of tickets are decided when the client's hello has come and
 * before OpenSSL looks for a session in it: in its callback for server names it would be too late
 * to keep a session of one host name, protocol or policy for client certificates from being resumed
 * under another.
 */
#include "server/tls.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/bytes.h"
#include "server/keys.h"
#include "server/tls_client.h"
#include "server/tls_pem.h"
#include "server/tls_sites.h"
#include "server/tls_socket.h"
#include "server/tls_tickets.h"

/* The order is of no great importance: all are good. Phones without AES in hardware get ChaCha20.
 * [RFC 9325 s4.2] */
#define CIPHERS_1_2 "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:" \
                    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:" \
                    "ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
/* The one that all must speak first [RFC 8446 s9.1]: a handshake hashes its messages and derives its
 * keys with SHA-256, which processors have in hardware, rather than SHA-384. */
#define CIPHERS_1_3 "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"
#define GROUPS         "X25519:P-256:P-384"
#define SECURITY_LEVEL 2        /* 112 bits: no RSA below 2048, no SHA-1 in certificates */

/* All that is read of files. */
struct tls_set {
	atomic_uint         refs;
	struct tls_sites    sites;
	struct tls_client   client;
	struct tls_tickets *tickets;
	enum conf_tls_version min_version;
	enum conf_client_name client_name;
	uint8_t             stamp[TLS_STAMP_LEN];
};

struct tls {
	const struct conf  *conf;
	struct tls_tickets *tickets;
	pthread_mutex_t     lock;               /* of `set` */
	struct tls_set     *set;
};

/* ---- what OpenSSL asks ---- */

static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in,
            unsigned in_len, void *arg)
{
	const struct tls_connection *c = SSL_get_app_data(ssl);
	const char *want = c->alpn;
	size_t want_len = want != NULL ? strlen(want) : 0;

	(void)arg;
	if (want == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (unsigned at = 0; at < in_len; at += 1u + in[at]) {
		if (in[at] == want_len && at + 1 + want_len <= in_len &&
		    memcmp(in + at + 1, want, want_len) == 0) {
			*out = in + at + 1;
			*out_len = in[at];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

/* server_name = list of (type, name), of which one type and one name are known [RFC 6066 s3]. What
 * is malformed is no name here, and refused by OpenSSL later. */
static struct slice
hello_name(SSL *ssl)
{
	const unsigned char *p;
	size_t len, list, name;

	if (SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_server_name, &p, &len) != 1 || len < 5)
		return SLICE_NONE;
	list = (size_t)p[0] << 8 | p[1];
	name = (size_t)p[3] << 8 | p[4];
	if (list != len - 2 || p[2] != TLSEXT_NAMETYPE_host_name || name > len - 5)
		return SLICE_NONE;
	return slice_of(p + 5, name);
}

/* Where a session may be resumed: for the same host, protocol and demands on the client alone. */
static bool
set_context(const struct tls_connection *c, const struct tls_site *site)
{
	uint8_t what[1 + TLS_CLIENT_DIGEST + TLS_DIGEST_LEN + 16] = { c->mode };
	uint8_t context[TLS_DIGEST_LEN];
	size_t protocol = strlen(c->protocol);

	if (c->mode != CONF_CLIENT_OFF)
		memcpy(what + 1, c->set->client.digest, TLS_CLIENT_DIGEST);
	memcpy(what + 1 + TLS_CLIENT_DIGEST, site->digest, TLS_DIGEST_LEN);
	memcpy(what + 1 + TLS_CLIENT_DIGEST + TLS_DIGEST_LEN, c->protocol,
	       protocol < 16 ? protocol : 16);
	return EVP_Digest(what, sizeof what, context, NULL, EVP_sha256(), NULL) == 1 &&
	       SSL_set_session_id_context(c->ssl, context, sizeof context) == 1;
}

static int
on_hello(SSL *ssl, int *alert, void *arg)
{
	struct tls_connection *c = SSL_get_app_data(ssl);
	const struct tls_site *site = tls_sites_find(&c->set->sites, hello_name(ssl));

	(void)arg;
	c->named = site != NULL;
	if (site == NULL)
		site = &c->set->sites.sites[0];
	if (SSL_set_SSL_CTX(ssl, site->ctx) != NULL && set_context(c, site))
		return SSL_CLIENT_HELLO_SUCCESS;
	*alert = SSL_AD_INTERNAL_ERROR;
	return SSL_CLIENT_HELLO_ERROR;
}

/* A name that we do not have is no reason to refuse: old programs send what their users typed
 * [RFC 6066 s3]. */
static int
on_name(SSL *ssl, int *alert, void *arg)
{
	const struct tls_connection *c = SSL_get_app_data(ssl);

	(void)alert, (void)arg;
	return c->named ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

struct tls_tickets *
tls_tickets_of(SSL *ssl)
{
	const struct tls_connection *c = SSL_get_app_data(ssl);

	return c->set->tickets;
}

/* ---- rules ---- */

static bool
set_rules(SSL_CTX *ctx, const struct tls_set *set)
{
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
	                             SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA |
	                             SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
	SSL_CTX_set_client_hello_cb(ctx, on_hello, NULL);
	SSL_CTX_set_tlsext_servername_callback(ctx, on_name);
	SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
	tls_tickets_apply(ctx);
	return SSL_CTX_set_min_proto_version(ctx, set->min_version == CONF_TLS_1_3
	                                              ? TLS1_3_VERSION
	                                              : TLS1_2_VERSION) == 1 &&
	       SSL_CTX_set_cipher_list(ctx, CIPHERS_1_2) == 1 &&
	       SSL_CTX_set_ciphersuites(ctx, CIPHERS_1_3) == 1 &&
	       SSL_CTX_set1_groups_list(ctx, GROUPS) == 1 && tls_client_apply(&set->client, ctx);
}

static SSL_CTX *
make_ctx(void *arg)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	if (ctx != NULL && set_rules(ctx, arg))
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* ---- the files ---- */

static void
stamp_file(EVP_MD_CTX *md, const char *path)
{
	uint8_t facts[7 * 8] = { 0 };
	struct err e = ERR_INIT;
	struct stat st;

	if (path[0] != '\0' && keys_stat(path, &st, &e) == RC_OK) {
		put_le64(facts, (uint64_t)st.st_dev);
		put_le64(facts + 8, (uint64_t)st.st_ino);
		put_le64(facts + 16, (uint64_t)st.st_size);
		put_le64(facts + 24, (uint64_t)st.st_mtim.tv_sec);
		put_le64(facts + 32, (uint64_t)st.st_mtim.tv_nsec);
		put_le64(facts + 40, (uint64_t)st.st_ctim.tv_sec);
		put_le64(facts + 48, (uint64_t)st.st_ctim.tv_nsec);
	}
	(void)EVP_DigestUpdate(md, facts, sizeof facts);
}

static void
stamp_files(const struct conf *conf, uint8_t out[TLS_STAMP_LEN])
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();

	memset(out, 0, TLS_STAMP_LEN);
	if (md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1) {
		stamp_file(md, conf->tls.certificate);
		stamp_file(md, conf->tls.key);
		stamp_file(md, conf->tls.client_ca);
		stamp_file(md, conf->tls.client_crl);
		for (size_t i = 0; i < conf->n_certificates; i++) {
			stamp_file(md, conf->certificates[i].certificate);
			stamp_file(md, conf->certificates[i].key);
		}
		(void)EVP_DigestFinal_ex(md, out, NULL);
	}
	EVP_MD_CTX_free(md);
}

/* ---- sets ---- */

static void
set_unref(struct tls_set **sp)
{
	struct tls_set *s = *sp;

	*sp = NULL;
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	tls_sites_fini(&s->sites);
	tls_client_fini(&s->client);
	tls_tickets_unref(&s->tickets);
	free(s);
}

static struct tls_set *
present_set(struct tls *t)
{
	struct tls_set *s;

	pthread_mutex_lock(&t->lock);
	s = t->set;
	atomic_fetch_add(&s->refs, 1);
	pthread_mutex_unlock(&t->lock);
	return s;
}

static enum rc
load_set(const struct tls *t, struct tls_set **out, struct err *e)
{
	struct tls_set *s = calloc(1, sizeof *s);
	enum rc rc;

	*out = NULL;
	if (s == NULL)
		return err_nomem(e);
	atomic_init(&s->refs, 1);
	s->tickets = tls_tickets_ref(t->tickets);
	s->min_version = t->conf->tls.min_version;
	s->client_name = t->conf->tls.client_name;
	/* before they are read: what changes meanwhile is seen later */
	stamp_files(t->conf, s->stamp);
	rc = tls_client_init(&t->conf->tls, &s->client, e);
	if (rc == RC_OK)
		rc = tls_sites_init(t->conf, make_ctx, s, &s->sites, e);
	if (rc != RC_OK) {
		set_unref(&s);
		return rc;
	}
	*out = s;
	return RC_OK;
}

enum rc
tls_new(const struct conf *conf, const struct tls *before, struct tls **out, struct err *e)
{
	struct tls *t;
	enum rc rc = RC_OK;

	*out = NULL;
	if (conf->tls.certificate[0] == '\0')
		return RC_OK;
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return err_nomem(e);
	pthread_mutex_init(&t->lock, NULL);
	t->conf = conf;
	if (before != NULL)
		t->tickets = tls_tickets_ref(before->tickets);
	else
		rc = tls_tickets_new(&t->tickets, e);
	if (rc == RC_OK)
		rc = load_set(t, &t->set, e);
	if (rc != RC_OK)
		tls_free(&t);
	*out = t;
	return rc;
}

void
tls_free(struct tls **tp)
{
	struct tls *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	set_unref(&t->set);
	tls_tickets_unref(&t->tickets);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

void
tls_stamp(const struct tls *t, uint8_t out[TLS_STAMP_LEN])
{
	stamp_files(t->conf, out);
}

void
tls_loaded_stamp(struct tls *t, uint8_t out[TLS_STAMP_LEN])
{
	pthread_mutex_lock(&t->lock);
	memcpy(out, t->set->stamp, TLS_STAMP_LEN);
	pthread_mutex_unlock(&t->lock);
}

enum rc
tls_refresh(struct tls *t, struct err *e)
{
	struct tls_set *fresh, *old;
	enum rc rc = load_set(t, &fresh, e);

	if (rc != RC_OK)
		return rc;
	pthread_mutex_lock(&t->lock);
	old = t->set;
	t->set = fresh;
	pthread_mutex_unlock(&t->lock);
	set_unref(&old);
	return RC_OK;
}

void
tls_tidy(struct tls *t)
{
	tls_tickets_tidy(t->tickets);
}

void
tls_log(struct tls *t)
{
	struct tls_set *s = present_set(t);

	for (size_t i = 0; i < s->sites.n_certs; i++)
		tls_certificate_log(&s->sites.certs[i]);
	set_unref(&s);
}

void
tls_warn(struct tls *t)
{
	struct tls_set *s = present_set(t);

	for (size_t i = 0; i < s->sites.n_certs; i++)
		tls_certificate_warn(&s->sites.certs[i]);
	set_unref(&s);
}

/* ---- a connection ---- */

/* A certificate that is shown must be good, also where none is required: else the client would be
 * asked for a password and nobody would see that its certificate has run out. */
static int
verify_mode(enum conf_client_certificates client)
{
	switch (client) {
	case CONF_CLIENT_OFF:
		return SSL_VERIFY_NONE;
	case CONF_CLIENT_OPTIONAL:
		return SSL_VERIFY_PEER;
	case CONF_CLIENT_REQUIRED:
		return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
	}
	return SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT;
}

bool
tls_connection_init(struct tls_connection *c, struct tls *t, int fd, const struct tls_params *p)
{
	enum conf_client_certificates client = conf_listen_client(&t->conf->tls, p->client);

	*c = (struct tls_connection){ .set = present_set(t), .alpn = p->alpn,
	                              .protocol = p->protocol, .fd = fd,
	                              .mode = (uint8_t)client };
	c->ssl = SSL_new(c->set->sites.sites[0].ctx);
	if (c->ssl == NULL || !tls_socket_attach(c) || SSL_set_app_data(c->ssl, c) != 1) {
		tls_connection_fini(c);
		return false;
	}
	SSL_set_verify(c->ssl, verify_mode(client), NULL);
	SSL_set_accept_state(c->ssl);
	return true;
}

void
tls_connection_fini(struct tls_connection *c)
{
	SSL_free(c->ssl);
	set_unref(&c->set);
	free(c->client);
	*c = (struct tls_connection){ .ssl = NULL };
}

void
tls_connection_up(struct tls_connection *c)
{
	X509 *cert = SSL_get0_peer_certificate(c->ssl);

	/* A session that is resumed brings the certificate along, which may have run
	 * out meanwhile. */
	if (cert != NULL && SSL_get_verify_result(c->ssl) == X509_V_OK &&
	    X509_cmp_current_time(X509_get0_notAfter(cert)) > 0)
		c->client = tls_client_name(cert, c->set->client_name);
}
