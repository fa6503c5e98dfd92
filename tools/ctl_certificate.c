/* ctl_certificate - a key and a certificate signed by itself: TLS from the first minute.
 *
 * It is an end entity's certificate, not a CA's: whoever trusts it trusts this server only.
 */
#include "tools/ctl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#define VALID_DAYS 3650

static enum rc
fail_ssl(struct err *e, const char *what)
{
	char text[200] = "";
	unsigned long code = ERR_get_error();

	if (code != 0)
		ERR_error_string_n(code, text, sizeof text);
	return err_set(e, RC_IO, "certificate: %s: %s", what, text);
}

static bool
set_serial(X509 *cert)
{
	unsigned char bytes[16];
	BIGNUM *bn = NULL;
	bool ok = RAND_bytes(bytes, sizeof bytes) == 1;

	bytes[0] &= 0x7F;               /* positive [RFC 5280 s4.1.2.2] */
	bytes[0] |= 0x40;               /* and never zero */
	if (ok)
		bn = BN_bin2bn(bytes, sizeof bytes, NULL);
	ok = bn != NULL && BN_to_ASN1_INTEGER(bn, X509_get_serialNumber(cert)) != NULL;
	BN_free(bn);
	return ok;
}

static bool
add_extension(X509 *cert, X509V3_CTX *ctx, int nid, const char *value)
{
	X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, ctx, nid, value);
	bool ok = ext != NULL && X509_add_ext(cert, ext, -1) == 1;

	X509_EXTENSION_free(ext);
	return ok;
}

static bool
add_extensions(X509 *cert, const char *hostname)
{
	X509V3_CTX ctx;
	char names[400];

	snprintf(names, sizeof names, "DNS:localhost,IP:127.0.0.1,IP:::1%s%s",
	    hostname[0] != '\0' ? ",DNS:" : "", hostname);
	X509V3_set_ctx_nodb(&ctx);
	X509V3_set_ctx(&ctx, cert, cert, NULL, NULL, 0);
	return add_extension(cert, &ctx, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(cert, &ctx, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(cert, &ctx, NID_ext_key_usage, "serverAuth") &&
	    add_extension(cert, &ctx, NID_subject_key_identifier, "hash") &&
	    add_extension(cert, &ctx, NID_subject_alt_name, names);
}

/* A common name is at most 64 characters [RFC 5280 appendix A.1]. */
static bool
set_names(X509 *cert, const char *hostname)
{
	const char *cn = hostname[0] != '\0' && strlen(hostname) <= 64 ? hostname : "localhost";
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1,
	           -1, 0) == 1 &&
	    X509_set_issuer_name(cert, name) == 1;
}

static X509 *
make_certificate(EVP_PKEY *key, const char *hostname)
{
	X509 *cert = X509_new();

	if (cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
	    X509_gmtime_adj(X509_getm_notBefore(cert), -3600) != NULL && /* clocks differ */
	    X509_time_adj_ex(X509_getm_notAfter(cert), VALID_DAYS, 0, NULL) != NULL &&
	    X509_set_pubkey(cert, key) == 1 && set_names(cert, hostname) &&
	    add_extensions(cert, hostname) && X509_sign(cert, key, EVP_sha256()) > 0)
		return cert;
	X509_free(cert);
	return NULL;
}

static FILE *
create_file(const char *path, mode_t mode, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
	FILE *f = fd >= 0 && fchmod(fd, mode) == 0 ? fdopen(fd, "w") : NULL;

	if (f == NULL) {
		err_os(e, errno, "%s", path);
		if (fd >= 0)
			close(fd);
	}
	return f;
}

/* Close what was written; false if it did not reach the disk. */
static enum rc
finish_file(FILE *f, bool ok, const char *path, struct err *e)
{
	enum rc rc = RC_OK;

	if (!ok)
		rc = fail_ssl(e, path);
	else if (fflush(f) != 0 || fsync(fileno(f)) != 0)
		rc = err_os(e, errno, "%s", path);
	fclose(f);
	return rc;
}

enum rc
ctl_certificate_make(
    const char *hostname, const char *cert_path, const char *key_path, struct err *e)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");
	X509 *cert = key != NULL ? make_certificate(key, hostname) : NULL;
	enum rc rc = RC_OK;
	FILE *f;
	bool ok;

	if (cert == NULL) {
		rc = fail_ssl(e, "cannot be made");
		goto out;
	}
	f = create_file(key_path, 0600, e);
	if (f == NULL) {
		rc = e->code;
		goto out;
	}
	ok = PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1;
	rc = finish_file(f, ok, key_path, e);
	if (rc != RC_OK)
		goto out;
	f = create_file(cert_path, 0644, e);
	rc = f != NULL ? finish_file(f, PEM_write_X509(f, cert) == 1, cert_path, e) : e->code;
out:
	X509_free(cert);
	EVP_PKEY_free(key);
	return rc;
}
