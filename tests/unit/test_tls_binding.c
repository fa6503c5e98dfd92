/* Channel bindings: both ends must come to the same octets, and no other connection to these. */
#include "tests/unit/tls_fixture.h"

#include "server/tls_binding.h"
#include "server/tls_certificate.h"

static char dir[] = "/tmp/restante-tls-XXXXXX";
static char cert_path[64], key_path[64];
static struct conf conf;

static int
make_dir(void **state)
{
	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	snprintf(cert_path, sizeof cert_path, "%s/cert.pem", dir);
	snprintf(key_path, sizeof key_path, "%s/key.pem", dir);
	conf.tls = (struct conf_tls){ .certificate = cert_path, .key = key_path, .client_ca = "",
	                              .client_crl = "" };
	return 0;
}

static int
drop_dir(void **state)
{
	(void)state;
	unlink(cert_path);
	unlink(key_path);
	return rmdir(dir);
}

/* tls-server-end-point: the hash of the certificate's signature, but never MD5 or SHA-1
 * [RFC 5929 s4.1]. */
static const struct end_case {
	const char *name;
	const char *kind;
	const EVP_MD *(*md)(void);
	const EVP_MD *(*want)(void);    /* NULL: not defined */
} end_cases[] = {
	{ "SHA-256", "EC", EVP_sha256, EVP_sha256 },
	{ "SHA-384", "EC", EVP_sha384, EVP_sha384 },
	{ "SHA-512", "RSA", EVP_sha512, EVP_sha512 },
	{ "SHA-1 becomes SHA-256", "RSA", EVP_sha1, EVP_sha256 },
	{ "MD5 becomes SHA-256", "RSA", EVP_md5, EVP_sha256 },
	{ "Ed25519 hashes with SHA-512 inside", "ED25519", EVP_sha256, EVP_sha512 },
};

static void
test_end_point(void **state)
{
	const struct end_case *k = *state;
	EVP_PKEY *key = tls_fixture_key(k->kind);
	struct tls_recipe r = { .cn = "localhost", .md = k->md() };
	X509 *cert = tls_fixture_certificate(&r, key);
	uint8_t got[TLS_BINDING_MAX], want[EVP_MAX_MD_SIZE], *der = NULL;
	size_t len;
	unsigned want_len;
	int der_len = i2d_X509(cert, &der);

	assert_true(der_len > 0);
	assert_int_equal(EVP_Digest(der, (size_t)der_len, want, &want_len, k->want(), NULL), 1);
	assert_true(tls_certificate_end_point(cert, got, sizeof got, &len));
	assert_int_equal(len, want_len);
	assert_memory_equal(got, want, len);
	assert_false(tls_certificate_end_point(cert, got, want_len - 1, &len));
	OPENSSL_free(der);
	X509_free(cert);
	EVP_PKEY_free(key);
}

/* What the client's library exports by the label and length of the RFC. */
static void
expect_exporter(SSL *client, SSL *server, uint8_t out[32])
{
	uint8_t got[TLS_BINDING_MAX];
	size_t len;

	assert_int_equal(SSL_export_keying_material(client, out, 32, "EXPORTER-Channel-Binding", 24,
	                                            (const uint8_t *)"", 0, 1),
	                 1);
	assert_true(tls_binding(server, SLICE("tls-exporter"), got, sizeof got, &len));
	assert_int_equal(len, 32);
	assert_memory_equal(got, out, 32);
	assert_false(tls_binding(server, SLICE("tls-exporter"), got, 31, &len));
}

static void
test_connection(int version)
{
	struct tls_recipe r = { .cn = "localhost", .md = EVP_sha384() };
	SSL_CTX *ctx = tls_fixture_client(version);
	struct tls_params params = { .alpn = NULL };
	struct err e = ERR_INIT;
	uint8_t first[32], second[32], end[TLS_BINDING_MAX];
	struct tls_pipe p;
	struct tls *t;
	size_t len;

	tls_fixture_pair(&r, cert_path, key_path);
	assert_int_equal(tls_new(&conf, NULL, &t, &e), RC_OK);
	tls_pipe_open(&p, t, params, ctx, NULL, NULL);
	assert_true(p.up);
	assert_int_equal(SSL_version(p.client), version);
	expect_exporter(p.client, p.server.ssl, first);
	assert_true(
	    tls_binding(p.server.ssl, SLICE("tls-server-end-point"), end, sizeof end, &len));
	assert_int_equal(len, 48);
	assert_false(tls_binding(p.server.ssl, SLICE("tls-unique"), end, sizeof end, &len));
	assert_false(tls_binding(p.server.ssl, SLICE("TLS-EXPORTER"), end, sizeof end, &len));
	assert_false(tls_binding(p.server.ssl, SLICE(""), end, sizeof end, &len));
	tls_pipe_close(&p);
	tls_pipe_open(&p, t, params, ctx, NULL, NULL);
	expect_exporter(p.client, p.server.ssl, second);
	assert_memory_not_equal(first, second, 32);
	tls_pipe_close(&p);
	tls_free(&t);
	SSL_CTX_free(ctx);
}

static void
test_tls_1_3(void **state)
{
	(void)state;
	test_connection(TLS1_3_VERSION);
}

static void
test_tls_1_2(void **state)
{
	(void)state;
	test_connection(TLS1_2_VERSION);
}

/* Without the extended master secret two connections may share theirs: no exporter then, but the
 * certificate's hash. */
static void
test_no_extended_master_secret(void **state)
{
	struct tls_recipe r = { .cn = "localhost" };
	SSL_CTX *ctx = tls_fixture_client(TLS1_2_VERSION);
	struct err e = ERR_INIT;
	uint8_t out[TLS_BINDING_MAX];
	struct tls_pipe p;
	struct tls *t;
	size_t len;

	(void)state;
	tls_fixture_pair(&r, cert_path, key_path);
	assert_int_equal(tls_new(&conf, NULL, &t, &e), RC_OK);
	SSL_CTX_set_options(ctx, SSL_OP_NO_EXTENDED_MASTER_SECRET);
	tls_pipe_open(&p, t, (struct tls_params){ .alpn = NULL }, ctx, NULL, NULL);
	assert_true(p.up);
	assert_false(tls_binding(p.server.ssl, SLICE("tls-exporter"), out, sizeof out, &len));
	assert_true(
	    tls_binding(p.server.ssl, SLICE("tls-server-end-point"), out, sizeof out, &len));
	tls_pipe_close(&p);
	tls_free(&t);
	SSL_CTX_free(ctx);
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(end_cases) + 3];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(end_cases); i++)
		tests[n++] = (struct CMUnitTest){ end_cases[i].name, test_end_point, NULL, NULL,
		                                  (void *)(uintptr_t)&end_cases[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_tls_1_3);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_tls_1_2);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_no_extended_master_secret);
	return _cmocka_run_group_tests("tls_binding", tests, n, make_dir, drop_dir);
}
