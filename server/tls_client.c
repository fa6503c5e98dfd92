/* tls_client - certificates of clients. See tls_client.h.
 *
 * A name is taken from one place, which the configuration names, and only the first value of it: a
 * certificate that has none there is nobody, rather than somebody by a weaker kind of name. A CA
 * that signs addresses need not have looked at common names.
 */
#include "server/tls_client.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

#include "lib/bytes.h"
#include "server/tls_pem.h"

#define NAME_MAX_LEN 320        /* octets: an address [RFC 5321 s4.5.3.1] */

/* ---- who may sign ---- */

static enum rc
digest_files(const struct conf_tls *conf, uint8_t *out, struct err *e)
{
	const char *paths[] = { conf->client_ca, conf->client_crl };
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	enum rc rc = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1 ? RC_OK
	                                                                          : err_nomem(e);

	for (size_t i = 0; i < 2 && rc == RC_OK; i++) {
		struct tls_pem pem = { NULL, 0 };
		uint8_t len[8];

		if (paths[i][0] != '\0')
			rc = tls_pem_read(paths[i], &pem, e);
		put_le64(len, pem.len);
		if (rc == RC_OK && (EVP_DigestUpdate(md, len, sizeof len) != 1 ||
		                    EVP_DigestUpdate(md, pem.ptr, pem.len) != 1))
			rc = err_nomem(e);
		tls_pem_wipe(&pem);
	}
	if (rc == RC_OK && EVP_DigestFinal_ex(md, out, NULL) != 1)
		rc = err_nomem(e);
	EVP_MD_CTX_free(md);
	return rc;
}

static enum rc
add_authorities(struct tls_client *c, const char *path, struct err *e)
{
	STACK_OF(X509) *list;
	enum rc rc = tls_pem_certificates(path, &list, e);

	for (int i = 0; rc == RC_OK && i < sk_X509_num(list); i++) {
		X509 *ca = sk_X509_value(list, i);
		X509_NAME *name = X509_NAME_dup(X509_get_subject_name(ca));

		if (name == NULL || sk_X509_NAME_push(c->authorities, name) <= 0) {
			X509_NAME_free(name);
			rc = err_nomem(e);
		} else if (X509_STORE_add_cert(c->store, ca) != 1) {
			rc = tls_fail(e, path);
		}
	}
	sk_X509_pop_free(list, X509_free);
	return rc;
}

static enum rc
add_crls(struct tls_client *c, const char *path, struct err *e)
{
	STACK_OF(X509_CRL) *list;
	enum rc rc = tls_pem_crls(path, &list, e);

	for (int i = 0; rc == RC_OK && i < sk_X509_CRL_num(list); i++)
		if (X509_STORE_add_crl(c->store, sk_X509_CRL_value(list, i)) != 1)
			rc = tls_fail(e, path);
	sk_X509_CRL_pop_free(list, X509_CRL_free);
	if (rc == RC_OK)
		X509_STORE_set_flags(c->store, X509_V_FLAG_CRL_CHECK);
	return rc;
}

enum rc
tls_client_init(const struct conf_tls *conf, struct tls_client *out, struct err *e)
{
	enum rc rc;

	*out = (struct tls_client){ .store = NULL };
	if (conf->client_ca[0] == '\0')
		return RC_OK;
	out->store = X509_STORE_new();
	out->authorities = sk_X509_NAME_new_null();
	rc = out->store != NULL && out->authorities != NULL ? digest_files(conf, out->digest, e)
	                                                    : err_nomem(e);
	if (rc == RC_OK)
		rc = add_authorities(out, conf->client_ca, e);
	if (rc != RC_OK)
		err_add(e, "[tls] client_ca");
	if (rc == RC_OK && conf->client_crl[0] != '\0') {
		rc = add_crls(out, conf->client_crl, e);
		if (rc != RC_OK)
			err_add(e, "[tls] client_crl");
	}
	if (rc != RC_OK)
		tls_client_fini(out);
	return rc;
}

void
tls_client_fini(struct tls_client *c)
{
	X509_STORE_free(c->store);
	sk_X509_NAME_pop_free(c->authorities, X509_NAME_free);
	*c = (struct tls_client){ .store = NULL };
}

bool
tls_client_apply(const struct tls_client *c, SSL_CTX *ctx)
{
	STACK_OF(X509_NAME) *names;

	if (c->store == NULL)
		return true;
	names = SSL_dup_CA_list(c->authorities);
	if (names == NULL)
		return false;
	SSL_CTX_set_client_CA_list(ctx, names);
	SSL_CTX_set1_cert_store(ctx, c->store);
	return true;
}

/* ---- whose it is ---- */

/* Printable, without blanks at its ends: what a log line and an account's name can bear. */
static char *
clean_name(const uint8_t *ptr, int len)
{
	struct slice s = len > 0 ? slice_of(ptr, (size_t)len) : SLICE_NONE;

	if (s.len == 0 || s.len > NAME_MAX_LEN || slice_trim(s).len != s.len)
		return NULL;
	for (size_t i = 0; i < s.len; i++)
		if (s.ptr[i] < ' ' || s.ptr[i] == 0x7f)
			return NULL;
	return slice_strdup(s);
}

static char *
alternative_name(X509 *cert, int type)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	char *found = NULL;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && found == NULL; i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (n->type == type) {
			found = clean_name(ASN1_STRING_get0_data(n->d.ia5),
			                   ASN1_STRING_length(n->d.ia5));
			break;
		}
	}
	GENERAL_NAMES_free(names);
	return found;
}

/* The last one is the most particular one. */
static char *
subject_name(X509 *cert, int nid)
{
	const X509_NAME *subject = X509_get_subject_name(cert);
	unsigned char *text = NULL;
	int at = -1, next, len;
	char *found;

	while ((next = X509_NAME_get_index_by_NID(subject, nid, at)) >= 0)
		at = next;
	if (at < 0)
		return NULL;
	len = ASN1_STRING_to_UTF8(&text,
	                          X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
	found = len > 0 ? clean_name(text, len) : NULL;
	if (len >= 0)
		OPENSSL_free(text);
	return found;
}

char *
tls_client_name(X509 *cert, enum conf_client_name kind)
{
	char *name = NULL;

	switch (kind) {
	case CONF_CLIENT_EMAIL:
		name = alternative_name(cert, GEN_EMAIL);
		break;
	case CONF_CLIENT_DNS:
		name = alternative_name(cert, GEN_DNS);
		break;
	case CONF_CLIENT_CN:
		name = subject_name(cert, NID_commonName);
		break;
	case CONF_CLIENT_UID:
		name = subject_name(cert, NID_userId);
		break;
	}
	ERR_clear_error();
	return name;
}
