/* TLS connections, both ends: which certificate is shown, what is resumed where,
 * who a client is. */
#include "tests/unit/tls_fixture.h"

#include "server/tls_binding.h"
#include "server/tls_tickets.h"

static char dir[] = "/tmp/restante-tls-XXXXXX";
static char paths[12][80];
static struct conf_certificate more[3];
static struct conf conf;

enum { CERT, KEY, RSA_CERT, RSA_KEY, WILD_CERT, WILD_KEY, CA, CRL, SPARE_CERT, SPARE_KEY };

/* An authority and what it has signed. */
static X509 *ca;
static EVP_PKEY *ca_key;

static int
set_up(void **state)
{
	static const struct tls_recipe own = { .cn = "x", .san = "DNS:mail.example" };
	static const struct tls_recipe rsa = { .cn = "x", .san = "DNS:mail.example", .kind = "RSA",
	                                       .md = NULL };
	static const struct tls_recipe wild = { .cn = "x", .san = "DNS:*.example.org" };
	struct tls_recipe authority = { .cn = "ca", .ca = true };

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	for (size_t i = 0; i < UNIT_COUNT(paths); i++)
		snprintf(paths[i], sizeof paths[i], "%s/%zu.pem", dir, i);
	tls_fixture_pair(&own, paths[CERT], paths[KEY]);
	tls_fixture_pair(&rsa, paths[RSA_CERT], paths[RSA_KEY]);
	tls_fixture_pair(&wild, paths[WILD_CERT], paths[WILD_KEY]);
	ca_key = tls_fixture_key(NULL);
	ca = tls_fixture_certificate(&authority, ca_key);
	tls_fixture_write(paths[CA], (X509 *[]){ ca, NULL });
	more[0] = (struct conf_certificate){ { "rsa", 1 }, paths[RSA_CERT], paths[RSA_KEY] };
	more[1] = (struct conf_certificate){ { "wild", 2 }, paths[WILD_CERT], paths[WILD_KEY] };
	conf.certificates = more;
	conf.n_certificates = 2;
	return 0;
}

static int
fresh_conf(void **state)
{
	(void)state;
	conf.tls = (struct conf_tls){ .certificate = paths[CERT], .key = paths[KEY],
	                              .client_ca = "", .client_crl = "" };
	return 0;
}

static int
tear_down(void **state)
{
	char command[64];

	(void)state;
	X509_free(ca);
	EVP_PKEY_free(ca_key);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static struct tls *
load(const struct tls *before)
{
	struct err e = ERR_INIT;
	struct tls *t;

	if (tls_new(&conf, before, &t, &e) != RC_OK)
		fail_msg("%s", e.text);
	return t;
}

/* ---- which certificate ---- */

static const struct shown_case {
	const char *name, *sni, *sigalgs;
	int         version;
	int         want;               /* path of the certificate; -1: the handshake fails */
} shown_cases[] = {
	{ "no name", NULL, NULL, 0, CERT },
	{ "its name", "mail.example", NULL, 0, CERT },
	{ "its name, TLS 1.2", "mail.example", NULL, TLS1_2_VERSION, CERT },
	{ "only RSA is known", "mail.example", "RSA-PSS+SHA256:RSA+SHA256", 0, RSA_CERT },
	{ "only RSA is known, TLS 1.2", "mail.example", "RSA-PSS+SHA256:RSA+SHA256", TLS1_2_VERSION, RSA_CERT },
	{ "only RSA is known, no name", NULL, "RSA-PSS+SHA256:RSA+SHA256", 0, RSA_CERT },
	{ "only ECDSA is known", "mail.example", "ECDSA+SHA256", 0, CERT },
	{ "wildcard", "Some.Example.ORG", NULL, 0, WILD_CERT },
	{ "wildcard, TLS 1.2", "some.example.org", NULL, TLS1_2_VERSION, WILD_CERT },
	{ "wildcard has no RSA", "some.example.org", "RSA-PSS+SHA256", 0, -1 },
	{ "unknown name", "other.example", NULL, 0, CERT },
};

static void
test_shown(void **state)
{
	const struct shown_case *k = *state;
	SSL_CTX *ctx = tls_fixture_client(k->version);
	struct tls *t = load(NULL);
	struct tls_pipe p;

	if (k->sigalgs != NULL)
		assert_int_equal(SSL_CTX_set1_sigalgs_list(ctx, k->sigalgs), 1);
	tls_pipe_open(&p, t, (struct tls_params){ .alpn = NULL }, ctx, k->sni, NULL);
	assert_int_equal(p.up, k->want >= 0);
	if (k->want >= 0) {
		FILE *f = fopen(paths[k->want], "r");
		X509 *want = PEM_read_X509(f, NULL, NULL, NULL);

		assert_int_equal(X509_cmp(SSL_get0_peer_certificate(p.client), want), 0);
		X509_free(want);
		fclose(f);
	}
	tls_pipe_close(&p);
	tls_free(&t);
	SSL_CTX_free(ctx);
}

/* ---- resumption ---- */

static SSL_SESSION *kept;

static int
keep_session(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(kept);
	kept = session;
	return 1;
}

static SSL_CTX *
keeping_client(int version)
{
	SSL_CTX *ctx = tls_fixture_client(version);

	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(ctx, keep_session);
	return ctx;
}

struct visit {
	const char                   *sni, *protocol;
	enum conf_listen_certificates client;
};

/* Connect, with what was kept if anything; was it resumed? */
static bool
visit(struct tls *t, SSL_CTX *ctx, struct visit v)
{
	struct tls_params params = { .alpn = NULL, .protocol = v.protocol != NULL ? v.protocol
	                             : "imap", .client = v.client };
	SSL_SESSION *with = kept;
	uint8_t end[TLS_BINDING_MAX], seen[TLS_BINDING_MAX];
	size_t end_len, seen_len;
	struct tls_pipe p;
	bool resumed;

	kept = NULL;
	tls_pipe_open(&p, t, params, ctx, v.sni, with);
	SSL_SESSION_free(with);
	assert_true(p.up);
	resumed = SSL_session_reused(p.server.ssl);
	/* Both know the same certificate of the server, also when it has changed since. */
	assert_true(
	    tls_binding(p.server.ssl, SLICE("tls-server-end-point"), end, sizeof end, &end_len));
	assert_int_equal(X509_digest(SSL_get0_peer_certificate(p.client), EVP_sha256(), seen, NULL),
	                 1);
	seen_len = 32;
	assert_int_equal(end_len, seen_len);
	assert_memory_equal(end, seen, seen_len);
	tls_pipe_close(&p);
	return resumed;
}

static void
forget(SSL_CTX *ctx)
{
	SSL_SESSION_free(kept);
	kept = NULL;
	SSL_CTX_free(ctx);
}

static const struct resume_case {
	const char  *name;
	struct visit first, second;
	bool         resumed;
} resume_cases[] = {
	{ "same", { "mail.example", NULL, 0 }, { "mail.example", NULL, 0 }, true },
	{ "no name", { NULL, NULL, 0 }, { NULL, NULL, 0 }, true },
	{ "another host", { "mail.example", NULL, 0 }, { "a.example.org", NULL, 0 }, false },
	{ "another protocol", { NULL, "imap", 0 }, { NULL, "pop3", 0 }, false },
	{ "a listener that asks for certificates", { NULL, NULL, CONF_LISTEN_OFF }, { NULL, NULL, CONF_LISTEN_OPTIONAL }, false },
	{ "one that does not", { NULL, NULL, CONF_LISTEN_OPTIONAL }, { NULL, NULL, CONF_LISTEN_OFF }, false },
};

static void
test_resume(void **state)
{
	static const int versions[] = { TLS1_2_VERSION, TLS1_3_VERSION };
	const struct resume_case *k = *state;

	conf.tls.client_ca = paths[CA];
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX *ctx = keeping_client(versions[i]);
		struct tls *t = load(NULL);

		assert_false(visit(t, ctx, k->first));
		assert_non_null(kept);
		assert_int_equal(visit(t, ctx, k->second), k->resumed);
		/* What comes of it can be resumed in turn. */
		if (k->resumed && versions[i] == TLS1_3_VERSION)
			assert_true(visit(t, ctx, k->second));
		tls_free(&t);
		forget(ctx);
	}
}

/* The keys outlive settings, and renewed certificates; but not another object that has
 * none of its past. */
static void
test_resume_after_reload(void **state)
{
	static const struct tls_recipe renewed = { .cn = "x", .san = "DNS:mail.example" };
	SSL_CTX *ctx = keeping_client(0);
	struct tls *t = load(NULL), *next;
	struct err e = ERR_INIT;

	(void)state;
	assert_false(visit(t, ctx, (struct visit){ "mail.example", NULL, 0 }));
	next = load(t);
	tls_free(&t);
	assert_true(visit(next, ctx, (struct visit){ "mail.example", NULL, 0 }));
	tls_fixture_pair(&renewed, paths[CERT], paths[KEY]);
	assert_int_equal(tls_refresh(next, &e), RC_OK);
	assert_true(visit(next, ctx, (struct visit){ "mail.example", NULL, 0 }));
	assert_true(visit(next, ctx, (struct visit){ "mail.example", NULL, 0 }));
	tls_free(&next);
	t = load(NULL);
	assert_false(visit(t, ctx, (struct visit){ "mail.example", NULL, 0 }));
	tls_free(&t);
	forget(ctx);
}

/* Keys change; tickets of the key before are taken, of older ones not; and once a day the client
 * must prove itself anew, however often it has come meanwhile. */
static void
test_tickets_age(void **state)
{
	SSL_CTX *ctx = keeping_client(TLS1_3_VERSION);
	struct visit v = { NULL, NULL, 0 };
	struct tls *t = load(NULL);
	struct tls_pipe p;
	struct tls_tickets *tickets;

	(void)state;
	tls_pipe_open(&p, t, (struct tls_params){ .alpn = NULL }, ctx, NULL, NULL);
	tickets = tls_tickets_ref(tls_tickets_of(p.server.ssl));
	tls_pipe_close(&p);
	assert_true(visit(t, ctx, v));
	tls_tickets_age(tickets, TLS_TICKETS_ROTATE_S);
	assert_true(visit(t, ctx, v));                  /* by the key before */
	tls_tickets_age(tickets, TLS_TICKETS_ROTATE_S / 2);
	tls_tickets_tidy(tickets);
	assert_true(visit(t, ctx, v));                  /* by the one after */
	tls_tickets_age(tickets, 2 * TLS_TICKETS_ROTATE_S);
	tls_tickets_tidy(tickets);                      /* none is left: a new one is made */
	assert_false(visit(t, ctx, v));
	for (unsigned passed = 0; passed + TLS_TICKETS_ROTATE_S < TLS_TICKETS_VERIFIED_S;
	     passed += TLS_TICKETS_ROTATE_S) {
		tls_tickets_age(tickets, TLS_TICKETS_ROTATE_S);
		assert_true(visit(t, ctx, v));
	}
	tls_tickets_age(tickets, TLS_TICKETS_ROTATE_S);
	assert_false(visit(t, ctx, v));
	tls_tickets_unref(&tickets);
	tls_free(&t);
	forget(ctx);
}

static void
test_no_early_data(void **state)
{
	SSL_CTX *ctx = keeping_client(TLS1_3_VERSION);
	struct tls *t = load(NULL);

	(void)state;
	assert_false(visit(t, ctx, (struct visit){ NULL, NULL, 0 }));
	assert_int_equal(SSL_SESSION_get_max_early_data(kept), 0);
	tls_free(&t);
	forget(ctx);
}

/* ---- clients ---- */

/* Make `ctx` show a certificate with these names, of our authority or of itself. */
static void
show(SSL_CTX *ctx, const char *san, int days, bool trusted)
{
	struct tls_recipe r = { .cn = "carla", .san = san, .days = days };
	EVP_PKEY *key = tls_fixture_key(NULL);
	X509 *cert;

	if (trusted) {
		r.issuer = ca;
		r.issuer_key = ca_key;
	}
	cert = tls_fixture_certificate(&r, key);
	assert_int_equal(SSL_CTX_use_cert_and_key(ctx, cert, key, NULL, 1), 1);
	X509_free(cert);
	EVP_PKEY_free(key);
}

static const struct client_case {
	const char *name, *san;
	enum conf_client_name kind;
	const char *want;               /* NULL: none */
} client_cases[] = {
	{ "first address", "DNS:host.example,email:Carla@example,email:other@example", CONF_CLIENT_EMAIL, "Carla@example" },
	{ "first host", "email:carla@example,DNS:host.example", CONF_CLIENT_DNS, "host.example" },
	{ "common name", "email:carla@example", CONF_CLIENT_CN, "carla" },
	{ "no user id", "email:carla@example", CONF_CLIENT_UID, NULL },
	{ "no address, however good the rest", "DNS:host.example", CONF_CLIENT_EMAIL, NULL },
	{ "no alternative names", NULL, CONF_CLIENT_EMAIL, NULL },
};

static void
test_client_name(void **state)
{
	const struct client_case *k = *state;

	conf.tls.client_ca = paths[CA];
	conf.tls.client_certificates = CONF_CLIENT_OPTIONAL;
	conf.tls.client_name = k->kind;
	for (int version = TLS1_2_VERSION; version <= TLS1_3_VERSION; version++) {
		SSL_CTX *ctx = keeping_client(version);
		struct tls *t = load(NULL);

		show(ctx, k->san, 0, true);
		for (int round = 0; round < 2; round++) {       /* the second one is resumed */
			SSL_SESSION *with = kept;
			struct tls_pipe p;

			kept = NULL;
			tls_pipe_open(&p, t, (struct tls_params){ .alpn = NULL }, ctx, NULL, with);
			SSL_SESSION_free(with);
			assert_true(p.up);
			assert_int_equal(SSL_session_reused(p.server.ssl), round);
			if (k->want == NULL)
				assert_null(p.server.client);
			else
				assert_string_equal(p.server.client, k->want);
			tls_pipe_close(&p);
		}
		tls_free(&t);
		forget(ctx);
	}
}

static bool
is_let_in(enum conf_listen_certificates listen, bool shows, int days, bool trusted)
{
	SSL_CTX *ctx = tls_fixture_client(0);
	struct tls *t = load(NULL);
	struct tls_pipe p;
	bool up;

	if (shows)
		show(ctx, "email:carla@example", days, trusted);
	tls_pipe_open(&p, t, (struct tls_params){ .alpn = NULL, .client = listen }, ctx, NULL,
	              NULL);
	up = p.up;
	if (up && listen == CONF_LISTEN_OFF)
		assert_null(p.server.client);
	tls_pipe_close(&p);
	tls_free(&t);
	SSL_CTX_free(ctx);
	return up;
}

static void
test_client_required(void **state)
{
	(void)state;
	conf.tls.client_ca = paths[CA];
	conf.tls.client_certificates = CONF_CLIENT_OPTIONAL;
	assert_true(is_let_in(CONF_LISTEN_AS_TLS, false, 0, false));
	assert_true(is_let_in(CONF_LISTEN_AS_TLS, true, 0, true));
	assert_false(is_let_in(CONF_LISTEN_AS_TLS, true, 0, false));
	assert_false(is_let_in(CONF_LISTEN_AS_TLS, true, -1, true));
	assert_false(is_let_in(CONF_LISTEN_REQUIRED, false, 0, false));
	assert_false(is_let_in(CONF_LISTEN_REQUIRED, true, 0, false));
	assert_true(is_let_in(CONF_LISTEN_REQUIRED, true, 0, true));
	assert_true(is_let_in(CONF_LISTEN_OFF, true, 0, false));
	conf.tls.client_certificates = CONF_CLIENT_REQUIRED;
	assert_false(is_let_in(CONF_LISTEN_AS_TLS, false, 0, false));
	assert_true(is_let_in(CONF_LISTEN_OPTIONAL, false, 0, false));
}

/* A list of what the authority has revoked: `cert`, or nothing. */
static void
write_crl(X509 *cert, int days)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *now = X509_gmtime_adj(NULL, -10 * 86400),
	          *next = X509_gmtime_adj(NULL, days * 86400);
	FILE *f = fopen(paths[CRL], "w");

	X509_CRL_set_version(crl, X509_CRL_VERSION_2);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca));
	X509_CRL_set1_lastUpdate(crl, now);
	X509_CRL_set1_nextUpdate(crl, next);
	if (cert != NULL) {
		X509_REVOKED *r = X509_REVOKED_new();

		X509_REVOKED_set_serialNumber(r, X509_get_serialNumber(cert));
		X509_REVOKED_set_revocationDate(r, now);
		X509_CRL_add0_revoked(crl, r);
	}
	assert_true(X509_CRL_sign(crl, ca_key, EVP_sha256()) > 0);
	assert_int_equal(PEM_write_X509_CRL(f, crl), 1);
	fclose(f);
	ASN1_TIME_free(now);
	ASN1_TIME_free(next);
	X509_CRL_free(crl);
}

static void
test_revoked(void **state)
{
	SSL_CTX *ctx = keeping_client(0);
	struct tls *t;
	struct err e = ERR_INIT;
	struct tls_pipe p;

	(void)state;
	conf.tls.client_ca = paths[CA];
	conf.tls.client_crl = paths[CRL];
	conf.tls.client_certificates = CONF_CLIENT_OPTIONAL;
	write_crl(NULL, 30);
	t = load(NULL);
	show(ctx, "email:carla@example", 0, true);
	assert_false(visit(t, ctx, (struct visit){ NULL, NULL, 0 }));
	assert_true(visit(t, ctx, (struct visit){ NULL, NULL, 0 }));
	/* Revoked: also a session from before does not help. */
	write_crl(SSL_CTX_get0_certificate(ctx), 30);
	assert_int_equal(tls_refresh(t, &e), RC_OK);
	tls_pipe_open(&p, t, (struct tls_params){ .alpn = NULL }, ctx, NULL, kept);
	assert_false(p.up);
	assert_null(p.server.client);
	tls_pipe_close(&p);
	/* A list that is overdue says nothing good of anybody. */
	write_crl(NULL, -1);
	assert_int_equal(tls_refresh(t, &e), RC_OK);
	tls_pipe_open(&p, t, (struct tls_params){ .alpn = NULL }, ctx, NULL, NULL);
	assert_false(p.up);
	tls_pipe_close(&p);
	tls_free(&t);
	forget(ctx);
}

/* ---- reading anew ---- */

static void
test_refresh(void **state)
{
	static const struct tls_recipe other = { .cn = "x", .san = "DNS:mail.example" };
	uint8_t loaded[TLS_STAMP_LEN], now[TLS_STAMP_LEN];
	SSL_CTX *ctx = tls_fixture_client(0);
	struct tls *t = load(NULL);
	struct err e = ERR_INIT;
	struct tls_pipe p;

	(void)state;
	tls_stamp(t, now);
	tls_loaded_stamp(t, loaded);
	assert_memory_equal(now, loaded, sizeof now);
	/* A new certificate with the old key: what was loaded stays. */
	tls_fixture_pair(&other, paths[CERT], paths[SPARE_KEY]);
	tls_stamp(t, now);
	assert_memory_not_equal(now, loaded, sizeof now);
	assert_int_not_equal(tls_refresh(t, &e), RC_OK);
	assert_non_null(strstr(e.text, "the key does not belong to the certificate"));
	tls_pipe_open(&p, t, (struct tls_params){ .alpn = NULL }, ctx, NULL, NULL);
	assert_true(p.up);
	/* Complete: new connections have it, the old one goes on. */
	assert_int_equal(rename(paths[SPARE_KEY], paths[KEY]), 0);
	assert_int_equal(tls_refresh(t, &e), RC_OK);
	assert_int_equal(SSL_write(p.server.ssl, "x", 1), 1);
	tls_pipe_close(&p);
	tls_pipe_open(&p, t, (struct tls_params){ .alpn = NULL }, ctx, NULL, NULL);
	assert_true(p.up);
	/* A connection may outlive all of it. */
	tls_free(&t);
	assert_int_equal(SSL_write(p.server.ssl, "x", 1), 1);
	tls_pipe_close(&p);
	SSL_CTX_free(ctx);
}

/* A socket that takes no more is asked again; one whose peer has left has failed. */
static void
test_what_a_socket_says(void **state)
{
	SSL_CTX *ctx = tls_fixture_client(0);
	struct tls *t = load(NULL);
	static char many[65536];
	struct tls_pipe p;
	BIO *bio;
	int n;

	(void)state;
	tls_pipe_open(&p, t, (struct tls_params){ .alpn = NULL }, ctx, NULL, NULL);
	assert_true(p.up);
	bio = SSL_get_wbio(p.server.ssl);
	do
		n = BIO_write(bio, many, sizeof many);
	while (n > 0);
	assert_int_equal(n, -1);
	assert_true(BIO_should_write(bio));
	shutdown(p.fds[1], SHUT_RD);
	assert_int_equal(BIO_write(bio, many, sizeof many), -1);
	assert_false(BIO_should_retry(bio));
	assert_int_equal(BIO_read(bio, many, sizeof many), -1);
	assert_true(BIO_should_read(bio));
	shutdown(p.fds[1], SHUT_WR);
	assert_int_equal(BIO_read(bio, many, sizeof many), 0);
	assert_false(BIO_should_retry(bio));
	assert_true(BIO_eof(bio));
	tls_pipe_close(&p);
	tls_free(&t);
	SSL_CTX_free(ctx);
}

#define ROWS(table, function) \
	for (size_t i = 0; i < UNIT_COUNT(table); i++) \
		tests[n++] = (struct CMUnitTest){ (table)[i].name, function, fresh_conf, NULL, (void *)(uintptr_t)&(table)[i] }
#define ONE(function) tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup(function, fresh_conf)

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(shown_cases) + UNIT_COUNT(resume_cases) +
	                        UNIT_COUNT(client_cases) + 8];
	size_t n = 0;

	ROWS(shown_cases, test_shown);
	ROWS(resume_cases, test_resume);
	ONE(test_resume_after_reload);
	ONE(test_tickets_age);
	ONE(test_no_early_data);
	ROWS(client_cases, test_client_name);
	ONE(test_client_required);
	ONE(test_revoked);
	ONE(test_refresh);
	ONE(test_what_a_socket_says);
	return _cmocka_run_group_tests("tls", tests, n, set_up, tear_down);
}
