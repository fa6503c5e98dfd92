/* tls_pem - what PEM files hold. See tls_pem.h.
 *
 * OpenSSL's own functions that take a path are of no use: the file may be one that only the
 * supervisor can open (keys.h), and they have no words for what the system refuses. What a file
 * holds besides what is asked for (text, a key in front of its certificate) is passed over, so that
 * one file may serve as both.
 */
#include "server/tls_pem.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <stdlib.h>
#include <unistd.h>

#include "server/keys.h"

enum rc
tls_fail(struct err *e, const char *what)
{
	unsigned long code = ERR_peek_error();
	const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
	enum rc rc = err_set(e, RC_SYNTAX, "%s: %s", what, reason != NULL ? reason : "unusable");

	ERR_clear_error();
	return rc;
}

/* ---- the file ---- */

static enum rc
read_all(int fd, const char *path, struct tls_pem *out, struct err *e)
{
	ssize_t n = 1;

	while (n > 0 && out->len <= TLS_PEM_MAX) {
		n = read(fd, out->ptr + out->len, TLS_PEM_MAX + 1 - out->len);
		if (n < 0 && errno == EINTR)
			n = 1;
		else if (n < 0)
			return err_os(e, errno, "%s", path);
		else
			out->len += (size_t)n;
	}
	return out->len <= TLS_PEM_MAX
	           ? RC_OK
	           : err_set(e, RC_LIMIT, "%s: larger than %u bytes", path, TLS_PEM_MAX);
}

enum rc
tls_pem_read(const char *path, struct tls_pem *out, struct err *e)
{
	enum rc rc;
	int fd;

	*out = (struct tls_pem){ NULL, 0 };
	rc = keys_open(path, &fd, e);
	if (rc != RC_OK)
		return rc;
	out->ptr = malloc(TLS_PEM_MAX + 1);
	rc = out->ptr != NULL ? read_all(fd, path, out, e) : err_nomem(e);
	close(fd);
	if (rc != RC_OK)
		tls_pem_wipe(out);
	return rc;
}

void
tls_pem_wipe(struct tls_pem *pem)
{
	if (pem->ptr != NULL)
		OPENSSL_cleanse(pem->ptr, pem->len);
	free(pem->ptr);
	*pem = (struct tls_pem){ NULL, 0 };
}

static enum rc
open_bio(const char *path, struct tls_pem *pem, BIO **out, struct err *e)
{
	enum rc rc = tls_pem_read(path, pem, e);

	*out = NULL;
	if (rc != RC_OK)
		return rc;
	ERR_clear_error();
	*out = BIO_new_mem_buf(pem->ptr, (int)pem->len);
	if (*out != NULL)
		return RC_OK;
	tls_pem_wipe(pem);
	return err_nomem(e);
}

/* ---- what is in it ---- */

/* The end of a file looks like an error, too: "no start line". */
static bool
is_end_of_file(void)
{
	unsigned long code = ERR_peek_last_error();

	return ERR_GET_LIB(code) == ERR_LIB_PEM && ERR_GET_REASON(code) == PEM_R_NO_START_LINE;
}

/* OpenSSL would ask for a password on the terminal. */
static int
no_password(char *buf, int size, int writing, void *arg)
{
	(void)buf, (void)size, (void)writing, (void)arg;
	return -1;
}

static enum rc
read_certificates(BIO *bio, STACK_OF(X509) *list, const char *path, struct err *e)
{
	X509 *cert;

	while ((cert = PEM_read_bio_X509(bio, NULL, no_password, NULL)) != NULL) {
		if (sk_X509_push(list, cert) <= 0) {
			X509_free(cert);
			return err_nomem(e);
		}
	}
	if (!is_end_of_file())
		return tls_fail(e, path);
	ERR_clear_error();
	return sk_X509_num(list) > 0
	           ? RC_OK
	           : err_set(e, RC_SYNTAX, "%s: there is no certificate in it", path);
}

enum rc
tls_pem_certificates(const char *path, STACK_OF(X509) **out, struct err *e)
{
	STACK_OF(X509) *list = NULL;
	struct tls_pem pem;
	BIO *bio;
	enum rc rc = open_bio(path, &pem, &bio, e);

	*out = NULL;
	if (rc != RC_OK)
		return rc;
	list = sk_X509_new_null();
	rc = list != NULL ? read_certificates(bio, list, path, e) : err_nomem(e);
	BIO_free(bio);
	tls_pem_wipe(&pem);
	if (rc == RC_OK)
		*out = list;
	else
		sk_X509_pop_free(list, X509_free);
	return rc;
}

static enum rc
read_crls(BIO *bio, STACK_OF(X509_CRL) *list, const char *path, struct err *e)
{
	X509_CRL *crl;

	while ((crl = PEM_read_bio_X509_CRL(bio, NULL, no_password, NULL)) != NULL) {
		if (sk_X509_CRL_push(list, crl) <= 0) {
			X509_CRL_free(crl);
			return err_nomem(e);
		}
	}
	if (!is_end_of_file())
		return tls_fail(e, path);
	ERR_clear_error();
	return sk_X509_CRL_num(list) > 0
	           ? RC_OK
	           : err_set(e, RC_SYNTAX, "%s: there is no revocation list in it", path);
}

enum rc
tls_pem_crls(const char *path, STACK_OF(X509_CRL) **out, struct err *e)
{
	STACK_OF(X509_CRL) *list = NULL;
	struct tls_pem pem;
	BIO *bio;
	enum rc rc = open_bio(path, &pem, &bio, e);

	*out = NULL;
	if (rc != RC_OK)
		return rc;
	list = sk_X509_CRL_new_null();
	rc = list != NULL ? read_crls(bio, list, path, e) : err_nomem(e);
	BIO_free(bio);
	tls_pem_wipe(&pem);
	if (rc == RC_OK)
		*out = list;
	else
		sk_X509_CRL_pop_free(list, X509_CRL_free);
	return rc;
}

/* For some of these OpenSSL says no more than "unsupported". */
static enum rc
key_fail(struct slice text, const char *path, struct err *e)
{
	if (slice_find(text, SLICE("PRIVATE KEY-----")) == text.len)
		return err_set(e, RC_SYNTAX, "%s: there is no private key in it", path);
	if (slice_find(text, SLICE("ENCRYPTED")) < text.len)
		return err_set(e, RC_SYNTAX,
		    "%s: the key is encrypted, and nobody is there to give its password", path);
	return tls_fail(e, path);
}

enum rc
tls_pem_key(const char *path, EVP_PKEY **out, struct err *e)
{
	struct tls_pem pem;
	BIO *bio;
	enum rc rc = open_bio(path, &pem, &bio, e);

	*out = NULL;
	if (rc != RC_OK)
		return rc;
	*out = PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	if (*out == NULL)
		rc = key_fail(slice_of(pem.ptr, pem.len), path, e);
	ERR_clear_error();
	BIO_free(bio);
	tls_pem_wipe(&pem);
	return rc;
}
