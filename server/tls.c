/* tls - the certificate and rules that TLS connections are made with. See tls.h.
 *
 * Renegotiation and TLS compression are off [RFC 9325 s3.3, s3.4]. Idle connections hold no record buffers
 * (SSL_MODE_RELEASE_BUFFERS). ALPN guards against one protocol's messages being replayed to another.
 */
#include "server/tls.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct tls {
	SSL_CTX *ctx;
};

/* e gets "what FILE: OpenSSL's reason". */
static enum rc
tls_fail(struct err *e, const char *what, const char *path)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
	enum rc rc = err_set(e, RC_SYNTAX, "%s %s: %s", what, path, reason != NULL ? reason : "unusable");

	ERR_clear_error();
	return rc;
}

static int
choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len, const unsigned char *in, unsigned in_len,
            void *arg)
{
	const char *want = SSL_get_app_data(ssl);
	size_t want_len = want != NULL ? strlen(want) : 0;

	(void)arg;
	if (want == NULL)
		return SSL_TLSEXT_ERR_NOACK;
	for (unsigned at = 0; at < in_len; at += 1u + in[at]) {
		if (in[at] == want_len && at + 1 + want_len <= in_len && memcmp(in + at + 1, want, want_len) == 0) {
			*out = in + at + 1;
			*out_len = in[at];
			return SSL_TLSEXT_ERR_OK;
		}
	}
	return SSL_TLSEXT_ERR_ALERT_FATAL;
}

static void
set_rules(SSL_CTX *ctx, enum conf_tls_version min)
{
	SSL_CTX_set_min_proto_version(ctx, min == CONF_TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION);
	SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
	                         SSL_OP_IGNORE_UNEXPECTED_EOF);
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
	                      SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_alpn_select_cb(ctx, choose_alpn, NULL);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);
}

/* OpenSSL has no words for what the system refuses. */
static enum rc
check_readable(const char *what, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return err_os(e, errno, "%s %s", what, path);
	close(fd);
	return RC_OK;
}

static enum rc
load_files(SSL_CTX *ctx, const struct conf_tls *conf, struct err *e)
{
	const char *key = conf->key[0] != '\0' ? conf->key : conf->certificate;
	enum rc rc;

	rc = check_readable("certificate", conf->certificate, e);
	if (rc == RC_OK)
		rc = check_readable("key", key, e);
	if (rc != RC_OK)
		return rc;
	ERR_clear_error();
	if (SSL_CTX_use_certificate_chain_file(ctx, conf->certificate) != 1)
		return tls_fail(e, "certificate", conf->certificate);
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
		return tls_fail(e, "key", key);
	if (SSL_CTX_check_private_key(ctx) != 1)
		return tls_fail(e, "key", key);
	return RC_OK;
}

enum rc
tls_new(const struct conf_tls *conf, struct tls **out, struct err *e)
{
	struct tls *t;
	enum rc rc;

	*out = NULL;
	if (conf->certificate[0] == '\0')
		return RC_OK;
	t = calloc(1, sizeof *t);
	if (t == NULL)
		return err_nomem(e);
	t->ctx = SSL_CTX_new(TLS_server_method());
	if (t->ctx == NULL) {
		rc = err_nomem(e);
		goto out;
	}
	set_rules(t->ctx, conf->min_version);
	rc = load_files(t->ctx, conf, e);
	if (rc != RC_OK)
		goto out;
	*out = t;
	t = NULL;
out:
	tls_free(&t);
	return rc;
}

void
tls_free(struct tls **t)
{
	if (*t == NULL)
		return;
	SSL_CTX_free((*t)->ctx);
	free(*t);
	*t = NULL;
}

SSL *
tls_connection_new(struct tls *t, int fd, const char *alpn)
{
	SSL *ssl = SSL_new(t->ctx);

	if (ssl == NULL)
		return NULL;
	if (SSL_set_fd(ssl, fd) != 1) {
		SSL_free(ssl);
		return NULL;
	}
	SSL_set_app_data(ssl, (char *)(uintptr_t)alpn);
	SSL_set_accept_state(ssl);
	return ssl;
}
