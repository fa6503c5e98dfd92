/* What is said of certificates and keys that cannot be used, and which certificate answers
 * to which name. */
#include "tests/unit/tls_fixture.h"

#include "lib/logging.h"
#include "server/tls_sites.h"

static char dir[] = "/tmp/restante-tls-XXXXXX";

static const char *
at(const char *name)
{
	static char paths[8][80];
	static unsigned turn;
	char *p = paths[turn++ % 8];

	snprintf(p, sizeof paths[0], "%s/%s", dir, name);
	return p;
}

static int
make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int
drop_dir(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static void
write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
}

/* The error's text must begin with "[tls]: " and end with `want`; "%s" in it is the directory. */
static void
expect_refused(const char *cert, const char *key, const char *want)
{
	struct tls_certificate c;
	struct err e = ERR_INIT;
	char text[400];

	assert_int_not_equal(tls_certificate_load("[tls]", at(cert), at(key), &c, &e), RC_OK);
	assert_null(c.leaf);
	snprintf(text, sizeof text, want, dir, dir);
	if (strstr(e.text, text) == NULL || strncmp(e.text, "[tls]: ", 7) != 0)
		assert_string_equal(e.text, text);
	assert_int_equal(ERR_peek_error(), 0);
}

static void
test_refused(void **state)
{
	struct tls_recipe r = { .cn = "a.example" };
	struct tls_recipe weak = { .cn = "a.example", .kind = "RSA1024" };
	EVP_PKEY *key = tls_fixture_key(NULL);
	FILE *f;

	(void)state;
	tls_fixture_pair(&r, at("a.pem"), at("a.key"));
	tls_fixture_pair(&r, at("b.pem"), at("b.key"));
	tls_fixture_pair(&weak, at("weak.pem"), at("weak.key"));
	write_text(at("empty"), "");
	write_text(at("cut"), "-----BEGIN CERTIFICATE-----\nMIIB");
	f = fopen(at("locked.key"), "w");
	assert_int_equal(PEM_write_PrivateKey(f, key, EVP_aes_256_cbc(), NULL, 0, NULL,
	                                      (char *)(uintptr_t) "secret"),
	                 1);
	fclose(f);
	EVP_PKEY_free(key);
	expect_refused("none.pem", "a.key", "certificate: %s/none.pem: No such file or directory");
	expect_refused("a.pem", "none.key", "key: %s/none.key: No such file or directory");
	expect_refused("empty", "a.key", "certificate: %s/empty: there is no certificate in it");
	expect_refused("a.key", "a.key", "certificate: %s/a.key: there is no certificate in it");
	expect_refused("cut", "a.key", "certificate: %s/cut: ");
	expect_refused("a.pem", "a.pem", "key: %s/a.pem: there is no private key in it");
	expect_refused("a.pem", "empty", "key: %s/empty: there is no private key in it");
	expect_refused("a.pem", "locked.key", "key: %s/locked.key: the key is encrypted");
	expect_refused("a.pem", "b.key",
	               "%s/b.key: the key does not belong to the certificate %s/a.pem");
	expect_refused("weak.pem", "weak.key",
	               "key: %s/weak.key: an RSA key of 1024 bits is too weak");
	expect_refused("", "a.key", "certificate: %s/: not a regular file");
}

/* A root, an authority, a certificate; in a file in all orders. */
static void
test_chain(void **state)
{
	EVP_PKEY *root_key = tls_fixture_key(NULL), *ca_key = tls_fixture_key(NULL),
	         *key = tls_fixture_key(NULL);
	struct tls_recipe root_recipe = { .cn = "root", .ca = true };
	X509 *root = tls_fixture_certificate(&root_recipe, root_key);
	struct tls_recipe ca_recipe = { .cn = "ca", .ca = true, .issuer = root,
	                                .issuer_key = root_key };
	X509 *ca = tls_fixture_certificate(&ca_recipe, ca_key);
	struct tls_recipe recipe = { .cn = "a", .san = "DNS:a.example", .issuer = ca,
	                             .issuer_key = ca_key };
	X509 *leaf = tls_fixture_certificate(&recipe, key);
	struct tls_certificate c;
	struct err e = ERR_INIT;

	(void)state;
	tls_fixture_write_key(at("chain.key"), key);
	tls_fixture_write(at("good.pem"), (X509 *[]){ leaf, ca, NULL });
	tls_fixture_write(at("whole.pem"), (X509 *[]){ leaf, ca, root, NULL });
	tls_fixture_write(at("swapped.pem"), (X509 *[]){ leaf, root, ca, NULL });
	tls_fixture_write(at("backward.pem"), (X509 *[]){ root, ca, leaf, NULL });
	assert_int_equal(tls_certificate_load("[tls]", at("good.pem"), at("chain.key"), &c, &e),
	                 RC_OK);
	assert_int_equal(sk_X509_num(c.chain), 1);
	tls_certificate_fini(&c);
	assert_int_equal(tls_certificate_load("[tls]", at("whole.pem"), at("chain.key"), &c, &e),
	                 RC_OK);
	tls_certificate_fini(&c);
	expect_refused("swapped.pem", "chain.key",
	               "%s/swapped.pem: certificate 2 did not issue certificate 1");
	expect_refused("backward.pem", "chain.key",
	               "the key belongs to certificate 3 of %s/backward.pem");
	X509_free(leaf);
	X509_free(ca);
	X509_free(root);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(root_key);
}

/* One file may hold both, the key first. */
static void
test_one_file(void **state)
{
	struct tls_recipe r = { .cn = "a.example" };
	struct tls_certificate c;
	struct err e = ERR_INIT;
	char command[300];

	(void)state;
	tls_fixture_pair(&r, at("one.pem"), at("one.key"));
	snprintf(command, sizeof command, "cd %s && cat one.key one.pem > both.pem", dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(tls_certificate_load("[tls]", at("both.pem"), at("both.pem"), &c, &e),
	                 RC_OK);
	tls_certificate_fini(&c);
}

static void
test_names(void **state)
{
	struct tls_recipe r = {
		.cn = "ignored.example",
		.san = "DNS:B.example,DNS:a.example,DNS:b.example,DNS:*.A.example,DNS:x*.example,DNS:*,email:who@example,"
		       "DNS:xn--bcher-kva.example,IP:192.0.2.1,DNS:dot.example.",
	};
	struct tls_recipe bare = { .cn = "Only.Example" };
	static const char *const want[] = { "*.a.example", "a.example", "b.example", "dot.example",
	                                    "xn--bcher-kva.example" };
	struct tls_certificate c;
	struct err e = ERR_INIT;

	(void)state;
	tls_fixture_pair(&r, at("n.pem"), at("n.key"));
	assert_int_equal(tls_certificate_load("[tls]", at("n.pem"), at("n.key"), &c, &e), RC_OK);
	assert_int_equal(c.n_names, UNIT_COUNT(want));
	for (size_t i = 0; i < c.n_names; i++)
		assert_string_equal(c.names[i], want[i]);
	tls_certificate_fini(&c);
	tls_fixture_pair(&bare, at("n.pem"), at("n.key"));
	assert_int_equal(tls_certificate_load("[tls]", at("n.pem"), at("n.key"), &c, &e), RC_OK);
	assert_int_equal(c.n_names, 1);
	assert_string_equal(c.names[0], "only.example");
	tls_certificate_fini(&c);
}

/* ---- what operators are told ---- */

static const struct warn_case {
	const char *name;
	int         from, until;        /* days from now */
	const char *want;               /* event; NULL: no warning */
} warn_cases[] = {
	{ "fresh", -1, 60, NULL },
	{ "runs out soon", -80, 10, "ev=tls.certificate_expires " },
	{ "has run out", -90, -1, "ev=tls.certificate_expired " },
	{ "of a short kind, fresh", -1, 5, NULL },
	{ "of a short kind, late", -6, 1, "ev=tls.certificate_expires " },
	{ "not valid yet", 2, 60, "ev=tls.certificate_not_valid_yet " },
};

static void
test_warning(void **state)
{
	const struct warn_case *k = *state;
	struct tls_recipe r = { .cn = "a.example" };
	EVP_PKEY *key = tls_fixture_key(NULL);
	X509 *cert = tls_fixture_certificate(&r, key);
	struct tls_certificate c = { .label = "[tls]", .leaf = cert, .key = key };
	char said[4096];
	ssize_t n;
	int ends[2];

	X509_time_adj_ex(X509_getm_notBefore(cert), k->from, 0, NULL);
	X509_time_adj_ex(X509_getm_notAfter(cert), k->until, 60, NULL);
	assert_int_equal(pipe(ends), 0);
	log_set_fd(ends[1]);
	tls_certificate_warn(&c);
	log_set_fd(2);
	close(ends[1]);
	n = read(ends[0], said, sizeof said - 1);
	close(ends[0]);
	said[n > 0 ? n : 0] = '\0';
	if (k->want == NULL)
		assert_string_equal(said, "");
	else if (strstr(said, k->want) == NULL || strchr(said, '\n') != said + strlen(said) - 1)
		assert_string_equal(said, k->want);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* ---- sites ---- */

static SSL_CTX *
plain_ctx(void *arg)
{
	(void)arg;
	return SSL_CTX_new(TLS_server_method());
}

static const struct site_case {
	const char  *name;
	struct slice asked;
	const char  *labels;            /* of the certificates, in order; NULL: the default */
} site_cases[] = {
	{ "its name", SLICE_INIT("mail.example"), "[tls] [certificate rsa]" },
	{ "any case", SLICE_INIT("MAIL.Example"), "[tls] [certificate rsa]" },
	{ "dot behind", SLICE_INIT("mail.example."), "[tls] [certificate rsa]" },
	{ "a name of one alone", SLICE_INIT("old.example"), "[certificate rsa]" },
	{ "name before wildcard, which supplements", SLICE_INIT("a.wild.example"), "[certificate named] [certificate wild]" },
	{ "wildcard", SLICE_INIT("b.wild.example"), "[certificate wild]" },
	{ "wildcard is one label", SLICE_INIT("b.c.wild.example"), NULL },
	{ "wildcard is a label", SLICE_INIT("wild.example"), NULL },
	{ "wildcard is not a name", SLICE_INIT("*.wild.example"), NULL },
	{ "unknown", SLICE_INIT("nobody.example"), NULL },
	{ "empty", SLICE_INIT(""), NULL },
	{ "a dot", SLICE_INIT("."), NULL },
	{ "NUL", SLICE_INIT("mail.example\0x"), NULL },
	{ "part", SLICE_INIT("mail.exampl"), NULL },
};

static struct tls_sites sites;

static int
make_sites(void **state)
{
	static struct conf_certificate more[4];
	struct conf conf = { .tls = { .client_ca = "", .client_crl = "" }, .certificates = more,
	                     .n_certificates = 4 };
	static const struct tls_recipe recipes[] = {
		{ .cn = "x", .san = "DNS:mail.example,DNS:imap.example" },
		{ .cn = "x", .san = "DNS:imap.example,DNS:mail.example,DNS:old.example", .kind = "RSA" },
		{ .cn = "x", .san = "DNS:a.wild.example" },
		{ .cn = "x", .san = "DNS:*.wild.example", .kind = "RSA" },
		{ .cn = "x", .san = "DNS:mail.example" },               /* comes too late */
	};
	static const char *const names[] = { "tls", "rsa", "named", "wild", "late" };
	static char paths[5][2][80];
	struct err e = ERR_INIT;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		snprintf(paths[i][0], 80, "%s/s%zu.pem", dir, i);
		snprintf(paths[i][1], 80, "%s/s%zu.key", dir, i);
		tls_fixture_pair(&recipes[i], paths[i][0], paths[i][1]);
		if (i > 0)
			more[i - 1] = (struct conf_certificate){ { names[i], 1 }, paths[i][0],
			                                         paths[i][1] };
	}
	conf.tls.certificate = paths[0][0];
	conf.tls.key = paths[0][1];
	return tls_sites_init(&conf, plain_ctx, NULL, &sites, &e) == RC_OK ? 0 : -1;
}

static int
drop_sites(void **state)
{
	(void)state;
	tls_sites_fini(&sites);
	return 0;
}

static void
test_site(void **state)
{
	const struct site_case *k = *state;
	struct slice asked = unit_copy(k->asked);
	const struct tls_site *s = tls_sites_find(&sites, asked);
	char got[200] = "";

	unit_drop(asked);
	if (k->labels == NULL) {
		assert_null(s);
		return;
	}
	assert_non_null(s);
	for (size_t i = 0; i < s->n_certs; i++)
		snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i > 0 ? " " : "",
		         s->certs[i]->label);
	assert_string_equal(got, k->labels);
}

/* The default: [tls] and what has all its names; and names with the same certificates share
 * what they can. */
static void
test_default_site(void **state)
{
	(void)state;
	assert_int_equal(sites.sites[0].n_certs, 2);
	assert_string_equal(sites.sites[0].certs[0]->label, "[tls]");
	assert_string_equal(sites.sites[0].certs[1]->label, "[certificate rsa]");
	assert_ptr_equal(tls_sites_find(&sites, SLICE("mail.example")), &sites.sites[0]);
	assert_ptr_equal(tls_sites_find(&sites, SLICE("imap.example")), &sites.sites[0]);
	assert_int_equal(sites.n_sites, 4);
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(site_cases) + UNIT_COUNT(warn_cases) + 5];
	size_t n = 0;

	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_refused);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_chain);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_one_file);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_names);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(test_default_site,
	                                                                make_sites, drop_sites);
	for (size_t i = 0; i < UNIT_COUNT(warn_cases); i++)
		tests[n++] = (struct CMUnitTest){ warn_cases[i].name, test_warning, NULL, NULL,
		                                  (void *)(uintptr_t)&warn_cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(site_cases); i++)
		tests[n++] = (struct CMUnitTest){ site_cases[i].name, test_site, make_sites,
		                                  drop_sites,
		                                  (void *)(uintptr_t)&site_cases[i] };
	return _cmocka_run_group_tests("tls_certificate", tests, n, make_dir, drop_dir);
}
