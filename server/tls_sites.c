/* tls_sites - which certificates answer to which host name. See tls_sites.h.
 *
 * Of two certificates with one name and one kind of key the first in the configuration is shown. A
 * certificate for a name is supplemented by wildcard ones with other kinds of keys. The default
 * site is that of [tls] and of certificates that have all of its names.
 *
 * Sites with the same certificates are one, so that there are about as many SSL_CTX as
 * certificates, not as names.
 */
#include "server/tls_sites.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/tls_pem.h"

#define HOST_NAME_MAX_LEN 253u

static bool
has_kind(const struct tls_site *s, int kind)
{
	for (size_t i = 0; i < s->n_certs; i++)
		if (s->certs[i]->kind == kind)
			return true;
	return false;
}

static void
add_certificate(struct tls_site *s, const struct tls_certificate *c)
{
	if (!has_kind(s, c->kind) && s->n_certs < TLS_KINDS)
		s->certs[s->n_certs++] = c;
}

static void
add_all_with(struct tls_site *site, const struct tls_sites *s, const char *name)
{
	for (size_t i = 0; i < s->n_certs; i++)
		if (tls_certificate_has_name(&s->certs[i], name))
			add_certificate(site, &s->certs[i]);
}

/* "mail.example.org" -> "*.example.org"; false: there is nothing above it. */
static bool
wildcard_of(const char *name, char out[HOST_NAME_MAX_LEN + 3])
{
	const char *dot = strchr(name, '.');

	if (name[0] == '*' || dot == NULL || dot[1] == '\0')
		return false;
	(void)snprintf(out, HOST_NAME_MAX_LEN + 3, "*%s", dot);
	return true;
}

/* ---- making them ---- */

static bool
digest_names(struct tls_site *s)
{
	EVP_MD_CTX *md = EVP_MD_CTX_new();
	bool ok = md != NULL && EVP_DigestInit_ex(md, EVP_sha256(), NULL) == 1;

	for (size_t i = 0; i < s->n_certs; i++)
		for (size_t k = 0; k < s->certs[i]->n_names; k++)
			ok = ok && EVP_DigestUpdate(md, s->certs[i]->names[k],
			               strlen(s->certs[i]->names[k]) + 1) == 1;
	ok = ok && EVP_DigestFinal_ex(md, s->digest, NULL) == 1;
	EVP_MD_CTX_free(md);
	return ok;
}

/* Find or make the site with these certificates. */
static enum rc
settle_site(struct tls_sites *s, struct tls_site *site, tls_make_ctx *make, void *arg, size_t *at,
            struct err *e)
{
	for (*at = 0; *at < s->n_sites; ++*at)
		if (s->sites[*at].n_certs == site->n_certs &&
		    memcmp(s->sites[*at].certs, site->certs, sizeof site->certs) == 0)
			return RC_OK;
	site->ctx = make(arg);
	if (site->ctx == NULL)
		return err_nomem(e);
	s->sites[s->n_sites++] = *site;
	if (!digest_names(&s->sites[*at]))
		return err_nomem(e);
	for (size_t i = 0; i < site->n_certs; i++) {
		const struct tls_certificate *c = site->certs[i];

		if (SSL_CTX_use_cert_and_key(site->ctx, c->leaf, c->key, c->chain, 1) != 1)
			return tls_fail(e, c->label);
	}
	return RC_OK;
}

static enum rc
make_default(struct tls_sites *s, tls_make_ctx *make, void *arg, struct err *e)
{
	struct tls_site site = { .ctx = NULL };
	size_t at;

	add_certificate(&site, &s->certs[0]);
	for (size_t i = 1; i < s->n_certs; i++)
		if (tls_certificate_covers(&s->certs[i], &s->certs[0]))
			add_certificate(&site, &s->certs[i]);
	return settle_site(s, &site, make, arg, &at, e);
}

static int
compare_site_names(const void *a, const void *b)
{
	return strcmp(((const struct tls_site_name *)a)->name,
	              ((const struct tls_site_name *)b)->name);
}

/* All names of all certificates, sorted, none twice. */
static void
collect_names(struct tls_sites *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->n_certs; i++)
		for (size_t k = 0; k < s->certs[i].n_names; k++)
			s->names[s->n_names++].name = s->certs[i].names[k];
	if (s->n_names > 0)
		qsort(s->names, s->n_names, sizeof *s->names, compare_site_names);
	for (size_t i = 0; i < s->n_names; i++)
		if (kept == 0 || strcmp(s->names[kept - 1].name, s->names[i].name) != 0)
			s->names[kept++] = s->names[i];
	s->n_names = kept;
}

static enum rc
make_sites(struct tls_sites *s, tls_make_ctx *make, void *arg, struct err *e)
{
	size_t names = 0;
	enum rc rc;

	for (size_t i = 0; i < s->n_certs; i++)
		names += s->certs[i].n_names;
	s->names = calloc(names + 1, sizeof *s->names);
	s->sites = calloc(names + 1, sizeof *s->sites);
	if (s->names == NULL || s->sites == NULL)
		return err_nomem(e);
	collect_names(s);
	rc = make_default(s, make, arg, e);
	for (size_t i = 0; i < s->n_names && rc == RC_OK; i++) {
		struct tls_site site = { .ctx = NULL };
		char wildcard[HOST_NAME_MAX_LEN + 3];

		add_all_with(&site, s, s->names[i].name);
		if (wildcard_of(s->names[i].name, wildcard))
			add_all_with(&site, s, wildcard);
		rc = settle_site(s, &site, make, arg, &s->names[i].site, e);
	}
	return rc;
}

static enum rc
load_certificates(struct tls_sites *s, const struct conf *conf, struct err *e)
{
	enum rc rc = RC_OK;

	s->certs = calloc(conf->n_certificates + 1, sizeof *s->certs);
	if (s->certs == NULL)
		return err_nomem(e);
	rc = tls_certificate_load("[tls]", conf->tls.certificate, conf->tls.key, &s->certs[0], e);
	s->n_certs = rc == RC_OK;
	for (size_t i = 0; i < conf->n_certificates && rc == RC_OK; i++) {
		const struct conf_certificate *c = &conf->certificates[i];
		char label[TLS_LABEL_MAX];

		(void)snprintf(label, sizeof label, "[certificate %.40s]", c->named.name);
		rc = tls_certificate_load(label, c->certificate, c->key, &s->certs[i + 1], e);
		s->n_certs += rc == RC_OK;
	}
	return rc;
}

enum rc
tls_sites_init(const struct conf *conf, tls_make_ctx *make, void *arg, struct tls_sites *out,
               struct err *e)
{
	enum rc rc;

	*out = (struct tls_sites){ .certs = NULL };
	rc = load_certificates(out, conf, e);
	if (rc == RC_OK)
		rc = make_sites(out, make, arg, e);
	if (rc != RC_OK)
		tls_sites_fini(out);
	return rc;
}

void
tls_sites_fini(struct tls_sites *s)
{
	for (size_t i = 0; i < s->n_sites; i++)
		SSL_CTX_free(s->sites[i].ctx);
	for (size_t i = 0; i < s->n_certs; i++)
		tls_certificate_fini(&s->certs[i]);
	free(s->sites);
	free(s->names);
	free(s->certs);
	*s = (struct tls_sites){ .certs = NULL };
}

/* ---- finding one ---- */

static const struct tls_site *
find_name(const struct tls_sites *s, const char *name)
{
	struct tls_site_name key = { name, 0 };
	const struct tls_site_name *hit;

	hit = s->n_names > 0 ? bsearch(&key, s->names, s->n_names, sizeof key, compare_site_names)
	                     : NULL;
	return hit != NULL ? &s->sites[hit->site] : NULL;
}

const struct tls_site *
tls_sites_find(const struct tls_sites *s, struct slice name)
{
	char lower[HOST_NAME_MAX_LEN + 1], wildcard[HOST_NAME_MAX_LEN + 3];
	const struct tls_site *site;

	if (name.len > 0 && name.ptr[name.len - 1] == '.')
		name.len--;
	/* A name that is none: not even the wildcard itself can be asked for. */
	if (name.len == 0 || name.ptr[0] == '*' || !slice_to_cstr(name, lower, sizeof lower))
		return NULL;
	for (char *c = lower; *c != '\0'; c++)
		*c = (char)ascii_lower((uint8_t)*c);
	site = find_name(s, lower);
	if (site == NULL && wildcard_of(lower, wildcard))
		site = find_name(s, wildcard);
	return site;
}
