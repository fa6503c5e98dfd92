/* tls_certificate - one certificate of ours. See tls_certificate.h.
 *
 * What clients would refuse is refused here, with words: a server that starts with a key of
 * somebody else's certificate looks well until the first client comes. But a certificate that has
 * run out is served, with a warning: mail still arrives, users can still decide, and a restart must
 * not make things worse.
 *
 * The chain is not put in order silently: what init scripts glue together in the wrong order
 * also lacks pieces.
 */
#include "server/tls_certificate.h"

#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/logging.h"
#include "server/tls_pem.h"

#define RSA_BITS_MIN  2048      /* [RFC 9325 s4.5] */
#define EC_BITS_MIN   224
#define HOST_NAME_MAX_LEN 253u
#define SOON_DAYS     14
#define DAY_S         86400
#define LOG_NAMES_MAX 400u      /* octets of names in a log line */

/* ---- is it fit for use ---- */

static enum rc
check_strength(EVP_PKEY *key, const char *path, struct err *e)
{
	int bits = EVP_PKEY_get_bits(key);

	switch (EVP_PKEY_get_base_id(key)) {
	case EVP_PKEY_RSA:
	case EVP_PKEY_RSA_PSS:
		if (bits < RSA_BITS_MIN)
			return err_set(e, RC_SYNTAX,
			    "%s: an RSA key of %d bits is too weak; clients want %d or more", path,
			    bits, RSA_BITS_MIN);
		return RC_OK;
	case EVP_PKEY_EC:
		if (bits < EC_BITS_MIN)
			return err_set(e, RC_SYNTAX,
			    "%s: an EC key of %d bits is too weak; clients want P-256 or more",
			    path, bits);
		return RC_OK;
	case EVP_PKEY_ED25519:
	case EVP_PKEY_ED448:
		return RC_OK;
	default:
		return err_set(e, RC_SYNTAX, "%s: a key of this kind cannot be used for TLS", path);
	}
}

/* The key of another certificate in the file: a chain that begins with its root. */
static enum rc
check_belongs(const struct tls_certificate *c, const char *cert_path, const char *key_path,
              struct err *e)
{
	if (X509_check_private_key(c->leaf, c->key) == 1)
		return RC_OK;
	ERR_clear_error();
	for (int i = 0; i < sk_X509_num(c->chain); i++) {
		bool fits = X509_check_private_key(sk_X509_value(c->chain, i), c->key) == 1;

		ERR_clear_error();
		if (fits)
			return err_set(e, RC_SYNTAX,
			               "%s: the key belongs to certificate %d of %s, which must "
			               "be the first one",
			               key_path, i + 2, cert_path);
	}
	return err_set(e, RC_SYNTAX, "%s: the key does not belong to the certificate %s", key_path,
	               cert_path);
}

/* Each certificate is followed by its issuer's [RFC 8446 s4.4.2, RFC 5246 s7.4.2]. */
static enum rc
check_chain(const struct tls_certificate *c, const char *path, struct err *e)
{
	X509 *subject = c->leaf;

	for (int i = 0; i < sk_X509_num(c->chain); i++) {
		X509 *issuer = sk_X509_value(c->chain, i);
		bool follows = X509_check_issued(issuer, subject) == X509_V_OK;

		ERR_clear_error();
		if (!follows)
			return err_set(e, RC_SYNTAX,
			               "%s: certificate %d did not issue certificate %d: each must "
			               "be followed by its issuer's",
			               path, i + 2, i + 1);
		subject = issuer;
	}
	return RC_OK;
}

/* ---- names ---- */

static int
compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A host name in ASCII (A-labels of an IDN among them), perhaps with "*" as its first
 * label, or NULL. */
static char *
host_name(const ASN1_STRING *s)
{
	const unsigned char *ptr = ASN1_STRING_get0_data(s);
	size_t len = ASN1_STRING_length(s) > 0 ? (size_t)ASN1_STRING_length(s) : 0;
	char *name;

	if (len > 0 && ptr[len - 1] == '.')
		len--;
	if (len == 0 || len > HOST_NAME_MAX_LEN)
		return NULL;
	for (size_t i = 0; i < len; i++)
		if (ptr[i] <= ' ' || ptr[i] >= 0x7f ||
		    (ptr[i] == '*' && (i > 0 || len < 2 || ptr[1] != '.')))
			return NULL;
	name = slice_strdup(slice_of(ptr, len));
	for (size_t i = 0; name != NULL && i < len; i++)
		name[i] = (char)ascii_lower((uint8_t)name[i]);
	return name;
}

/* Takes the name over; NULL is passed by. */
static void
add_name(struct tls_certificate *c, char *name)
{
	if (name == NULL)
		return;
	if (tls_certificate_has_name(c, name))
		free(name);
	else
		c->names[c->n_names++] = name;
}

/* The common name counts only where there are no better ones [RFC 6125 s6.4.4]. */
static enum rc
read_names(struct tls_certificate *c, struct err *e)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(c->leaf, NID_subject_alt_name, NULL, NULL);
	const X509_NAME *subject = X509_get_subject_name(c->leaf);
	int n = sk_GENERAL_NAME_num(all) > 0 ? sk_GENERAL_NAME_num(all) : 0;
	int cn = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);

	ERR_clear_error();
	c->names = calloc((size_t)n + 1, sizeof *c->names);
	for (int i = 0; c->names != NULL && i < n; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		if (g->type == GEN_DNS)
			add_name(c, host_name(g->d.dNSName));
	}
	GENERAL_NAMES_free(all);
	if (c->names == NULL)
		return err_nomem(e);
	if (c->n_names == 0 && cn >= 0)
		add_name(c, host_name(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, cn))));
	qsort(c->names, c->n_names, sizeof *c->names, compare_names);
	return RC_OK;
}

bool
tls_certificate_has_name(const struct tls_certificate *c, const char *name)
{
	for (size_t i = 0; i < c->n_names; i++)
		if (strcmp(c->names[i], name) == 0)
			return true;
	return false;
}

bool
tls_certificate_covers(const struct tls_certificate *c, const struct tls_certificate *other)
{
	for (size_t i = 0; i < other->n_names; i++)
		if (!tls_certificate_has_name(c, other->names[i]))
			return false;
	return other->n_names > 0;
}

/* ---- its hash ---- */

/* The hash of the certificate's signature, but never a weak one [RFC 5929 s4.1]. Ed25519 has none
 * of its own, so strictly nothing is defined; OpenSSL and GnuTLS both take the one that it uses
 * inside. NULL: none. */
static const EVP_MD *
signature_hash(X509 *cert)
{
	int hash, kind;

	if (X509_get_signature_info(cert, &hash, &kind, NULL, NULL) != 1)
		return NULL;
	switch (hash) {
	case NID_md5:
	case NID_sha1:
	case NID_md5_sha1:
		return EVP_sha256();
	case NID_undef:
		return kind == NID_ED25519 ? EVP_sha512() : NULL;
	default:
		return EVP_get_digestbynid(hash);
	}
}

bool
tls_certificate_end_point(X509 *cert, uint8_t *out, size_t cap, size_t *len)
{
	const EVP_MD *md = signature_hash(cert);
	unsigned n = 0;
	bool ok = md != NULL && cap >= (size_t)EVP_MD_get_size(md) &&
	          X509_digest(cert, md, out, &n) == 1;

	ERR_clear_error();
	*len = n;
	return ok;
}

/* ---- all of it ---- */

static enum rc
load(struct tls_certificate *c, const char *cert_path, const char *key_path, struct err *e)
{
	enum rc rc = tls_pem_certificates(cert_path, &c->chain, e);

	if (rc != RC_OK)
		return err_add(e, "certificate");
	c->leaf = sk_X509_shift(c->chain);
	rc = tls_pem_key(key_path, &c->key, e);
	if (rc == RC_OK)
		rc = check_strength(c->key, key_path, e);
	if (rc != RC_OK)
		return err_add(e, "key");
	rc = check_belongs(c, cert_path, key_path, e);
	if (rc == RC_OK)
		rc = check_chain(c, cert_path, e);
	c->kind = EVP_PKEY_get_base_id(c->key);
	return rc == RC_OK ? read_names(c, e) : rc;
}

enum rc
tls_certificate_load(const char *label, const char *cert_path, const char *key_path,
                     struct tls_certificate *out, struct err *e)
{
	enum rc rc;

	*out = (struct tls_certificate){ .leaf = NULL };
	(void)snprintf(out->label, sizeof out->label, "%s", label);
	rc = load(out, cert_path, key_path, e);
	if (rc == RC_OK)
		return RC_OK;
	tls_certificate_fini(out);
	return err_add(e, "%s", label);
}

void
tls_certificate_fini(struct tls_certificate *c)
{
	for (size_t i = 0; i < c->n_names; i++)
		free(c->names[i]);
	free(c->names);
	X509_free(c->leaf);
	EVP_PKEY_free(c->key);
	sk_X509_pop_free(c->chain, X509_free);
	*c = (struct tls_certificate){ .leaf = NULL };
}

/* ---- what operators learn of it ---- */

static void
log_time(struct logline *l, const char *key, const ASN1_TIME *when)
{
	char text[32];
	struct tm tm;

	if (ASN1_TIME_to_tm(when, &tm) == 1 &&
	    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		log_cstr(l, key, text);
}

static void
log_names(struct logline *l, const struct tls_certificate *c)
{
	struct buf names;

	buf_init(&names, LOG_NAMES_MAX + HOST_NAME_MAX_LEN + 16u);
	for (size_t i = 0; i < c->n_names; i++) {
		if (names.len > LOG_NAMES_MAX) {
			buf_append_str(&names, ",...");
			break;
		}
		buf_printf(&names, "%s%s", i > 0 ? "," : "", c->names[i]);
	}
	log_str(l, "names", buf_slice(&names));
	buf_fini(&names);
}

void
tls_certificate_log(const struct tls_certificate *c)
{
	struct logline l;
	char key[40];

	(void)snprintf(key, sizeof key, "%s-%d", OBJ_nid2sn(c->kind), EVP_PKEY_get_bits(c->key));
	log_begin(&l, LOGLEVEL_INFO, "tls.certificate");
	log_cstr(&l, "section", c->label);
	log_cstr(&l, "key", key);
	log_names(&l, c);
	log_time(&l, "until", X509_get0_notAfter(c->leaf));
	log_end(&l);
	tls_certificate_warn(c);
}

static void
warn(const struct tls_certificate *c, const char *ev, const char *key, const ASN1_TIME *when)
{
	struct logline l;

	log_begin(&l, LOGLEVEL_WARN, ev);
	log_cstr(&l, "section", c->label);
	log_names(&l, c);
	log_time(&l, key, when);
	log_end(&l);
}

/* Those that live for some days only are renewed late: a quarter of their life must do. */
static int
soon_s(const X509 *cert)
{
	int days = 0, seconds = 0;

	if (ASN1_TIME_diff(&days, &seconds, X509_get0_notBefore(cert), X509_get0_notAfter(cert)) !=
	        1 ||
	    days / 4 >= SOON_DAYS)
		return SOON_DAYS * DAY_S;
	return days * DAY_S / 4;
}

void
tls_certificate_warn(const struct tls_certificate *c)
{
	const ASN1_TIME *from = X509_get0_notBefore(c->leaf), *until = X509_get0_notAfter(c->leaf);
	time_t soon = time(NULL) + soon_s(c->leaf);

	if (X509_cmp_current_time(until) < 0)
		warn(c, "tls.certificate_expired", "until", until);
	else if (X509_cmp_time(until, &soon) < 0)
		warn(c, "tls.certificate_expires", "until", until);
	if (X509_cmp_current_time(from) > 0)
		warn(c, "tls.certificate_not_valid_yet", "from", from);
}
