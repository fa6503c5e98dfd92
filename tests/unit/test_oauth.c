/* OAUTHBEARER and XOAUTH2: their messages, and whole exchanges through the real libsasl2.
 * The accounts are:
 *
 *   anna       id 1, admin: no
 *   bert       id 2
 *   closed     id 3, locked
 *   root       id 4, may act as others
 *   flaky      cannot be looked up
 */
#include "tests/unit/sasl_fixture.h"
#include "tests/unit/token_tools.h"

#include "lib/clock.h"
#include "sasl/exchange.h"
#include "sasl/library.h"
#include "sasl/oauth.h"
#include "sasl/oauth_message.h"

/* ---- messages ---- */

static const char *const request_names[] = {
	[OAUTH_TOKEN] = "token", [OAUTH_QUERY] = "query", [OAUTH_OTHER] = "other", [OAUTH_END] = "end",
	[OAUTH_MALFORMED] = "malformed",
};

/* "kind user|token|host|port"; what was not sent is "-". */
static void
render(enum oauth_request r, const struct oauth_message *m, char *out, size_t size)
{
	if (r == OAUTH_TOKEN)
		snprintf(out, size, "token %s|%.*s|%.*s|%.*s", m->user, SLICE_ARG(m->token),
		         m->host.ptr != NULL ? (int)m->host.len : 1,
		         m->host.ptr != NULL ? (const char *)m->host.ptr : "-",
		         m->port.ptr != NULL ? (int)m->port.len : 1,
		         m->port.ptr != NULL ? (const char *)m->port.ptr : "-");
	else
		snprintf(out, size, "%s", request_names[r]);
}

typedef enum oauth_request (*message_parser)(struct slice in, struct oauth_message *out);

struct message_case {
	struct slice in;
	const char  *want;
};

static void
try_messages(message_parser parse, const struct message_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct oauth_message m;
		char got[400];

		for (size_t cut = 0; cut <= cases[i].in.len; cut++) {
			struct slice copy = unit_copy(slice_sub(cases[i].in, 0, cut));

			render(parse(copy, &m), &m, got, sizeof got);
			unit_drop(copy);
		}
		assert_string_equal(got, cases[i].want);
	}
}

#define T "auth=Bearer tok\001"

static void
test_bearer_messages(void **state)
{
	static const struct message_case cases[] = {
		{ SLICE_INIT("n,a=user@example.com,\001host=server.example.com\001port=143\001" T "\001"),
		  "token user@example.com|tok|server.example.com|143" },  /* [RFC 7628 s4.1] */
		{ SLICE_INIT("n,,\001" T "\001"), "token |tok|-|-" },
		{ SLICE_INIT("y,,\001auth=BeArEr   tok\001\001"), "token |tok|-|-" },
		{ SLICE_INIT("n,a=a=2Cb=3Dc,\001" T "\001"), "token a,b=c|tok|-|-" },
		{ SLICE_INIT("n,a=\303\244,\001" T "\001"), "token \303\244|tok|-|-" },
		{ SLICE_INIT("n,,\001user=bert\001mthd=GET\001" T "x=\t\r\n~\001\001"), "token |tok|-|-" },
		{ SLICE_INIT("n,,\001host=\001" T "\001"), "token |tok||-" },
		{ SLICE_INIT("n,,\001port=65535\001" T "\001"), "token |tok|-|65535" },
		{ SLICE_INIT("n,,\001auth=\001\001"), "query" },                /* [s4.3] */
		{ SLICE_INIT("n,,\001auth=Bearer \001\001"), "query" },
		{ SLICE_INIT(""), "query" },
		{ SLICE_INIT("\001"), "end" },
		{ SLICE_INIT("n,,\001\001"), "other" },
		{ SLICE_INIT("n,,\001auth=Basic dTpw\001\001"), "other" },
		{ SLICE_INIT("n,,\001auth=Bearertok\001\001"), "other" },
		{ SLICE_INIT("n,,\001" T T "\001"), "other" },
		{ SLICE_INIT("\001\001"), "malformed" },
		{ SLICE_INIT(T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001" T), "malformed" },
		{ SLICE_INIT("n,," T "\001"), "malformed" },
		{ SLICE_INIT("n,\001" T "\001"), "malformed" },
		{ SLICE_INIT("F,n,,\001" T "\001"), "malformed" },
		{ SLICE_INIT("p=tls-exporter,,\001" T "\001"), "malformed" },
		{ SLICE_INIT("N,,\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,a=,\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,a=x=2cy,\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,a=x=,\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,a=x\000y,\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,user=x,\001" T "\001"), "malformed" },  /* the slip of s4.4 */
		{ SLICE_INIT("n,,\001" T "\001\001"), "malformed" },
		{ SLICE_INIT("n,,\001" T "\001x"), "malformed" },
		{ SLICE_INIT("n,,\001=x\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001a1=x\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001a\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001a=\303\244\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001a=\000\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001host=a\001host=b\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001port=0\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001port=0143\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001port=65536\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001port=\001" T "\001"), "malformed" },
		{ SLICE_INIT("n,,\001port=-1\001" T "\001"), "malformed" },
	};

	(void)state;
	try_messages(oauth_parse_bearer, cases, UNIT_COUNT(cases));
}

static void
test_xoauth2_messages(void **state)
{
	static const struct message_case cases[] = {
		{ SLICE_INIT("user=anna@example.com\001" T "\001"), "token anna@example.com|tok|-|-" },
		{ SLICE_INIT("user=\303\244\001" T "\001"), "token \303\244|tok|-|-" },
		{ SLICE_INIT(T "user=anna\001\001"), "token anna|tok|-|-" },
		{ SLICE_INIT("user=anna\001auth=\001\001"), "query" },
		{ SLICE_INIT(""), "query" },
		{ SLICE_INIT("user=anna\001\001"), "other" },
		{ SLICE_INIT("user=anna\001" T T "\001"), "other" },
		{ SLICE_INIT("\001"), "malformed" },
		{ SLICE_INIT(T "\001"), "malformed" },
		{ SLICE_INIT("user=\001" T "\001"), "malformed" },
		{ SLICE_INIT("user=anna\001user=bert\001" T "\001"), "malformed" },
		{ SLICE_INIT("user=an\000na\001" T "\001"), "malformed" },
		{ SLICE_INIT("user=anna\001" T), "malformed" },
		{ SLICE_INIT("user=anna" T "\001"), "other" },
		{ SLICE_INIT("n,,\001user=anna\001" T "\001"), "malformed" },
	};

	(void)state;
	try_messages(oauth_parse_xoauth2, cases, UNIT_COUNT(cases));
}

static void
test_long_names(void **state)
{
	struct oauth_message m;
	char text[400];

	(void)state;
	for (int n = 255; n <= 256; n++) {
		snprintf(text, sizeof text, "n,a=%0*d,\001" T "\001", n, 0);
		assert_int_equal(oauth_parse_bearer(slice_str(text), &m),
		                 n == 255 ? OAUTH_TOKEN : OAUTH_MALFORMED);
		snprintf(text, sizeof text, "user=%0*d\001" T "\001", n, 0);
		assert_int_equal(oauth_parse_xoauth2(slice_str(text), &m),
		                 n == 255 ? OAUTH_TOKEN : OAUTH_MALFORMED);
	}
}

/* ---- exchanges ---- */

static const struct sasl_account fakes[] = {
	{ SLICE_INIT("anna"), 1, false, NULL, 0 },
	{ SLICE_INIT("bert"), 2, false, NULL, 0 },
	{ SLICE_INIT("closed"), 3, true, NULL, 0 },
	{ SLICE_INIT("root"), 4, false, NULL, 0 },
};

static EVP_PKEY *key;
static struct jwks *set;

static struct jwks *
give_keys(void *arg)
{
	(void)arg;
	return jwks_ref(set);
}

static const char *const audiences[] = { "mail" };
static const char *const hosts[] = { "mail.example", "imap.mail.example" };
static const char *const admins[] = { "Root" };
static struct sasl_fakes all_fakes = { fakes, UNIT_COUNT(fakes) };
static const struct sasl_accounts accounts = { .arg = &all_fakes, .find = sasl_fixture_find };
static struct sasl_tokens tokens = {
	.policy = { .issuer = SLICE_INIT("https://id.example"), .audiences = audiences,
	            .audience_count = 1,
	            .claim = SLICE_INIT("sub"), .scope = SLICE_INIT("mail.all"), .skew_s = 60 },
	.hosts = hosts,
	.host_count = 2,
	.discovery = "https://id.example/.well-known/openid-configuration",
	.keys = give_keys,
};
static struct sasl_policy policy = { .mechanisms = SASL_MECH_ALL, .tokens = &tokens,
                                     .admins = admins, .nadmins = 1 };
static const struct sasl_setup setup = { .service = "imap", .host = "mail.example", .tls = true,
                                         .accounts = &accounts,
	                                 .policy = &policy };

static int
start(void **state)
{
	struct err e = ERR_INIT;
	struct buf text;

	(void)state;
	buf_init(&text, TOKEN_TEXT_MAX);
	key = token_key_new(TOKEN_EDDSA);
	buf_append_str(&text, "{\"keys\":[");
	token_jwk(&text, key, TOKEN_EDDSA, "");
	buf_append_str(&text, "]}");
	assert_int_equal(jwks_parse(buf_slice(&text), &set, &e), RC_OK);
	buf_fini(&text);
	return sasl_library_init(NULL, &e) == RC_OK ? 0 : -1;
}

static int
stop(void **state)
{
	(void)state;
	jwks_unref(&set);
	EVP_PKEY_free(key);
	sasl_library_fini();
	return 0;
}

/* A token for `sub`, good for five minutes from now, or one without the scope. */
static void
make_token(struct buf *out, const char *sub, const char *scope)
{
	unsigned long long now = clock_wall_us() / 1000000u;
	char claims[400];

	snprintf(claims, sizeof claims,
	         "{\"iss\":\"https://id.example\",\"aud\":\"mail\",\"sub\":\"%s\",\"scope\":\"%s\","
	         "\"iat\":%llu,\"exp\":%llu}",
	         sub, scope, now, now + 300);
	token_sign(out, key, TOKEN_EDDSA, SLICE("{\"alg\":\"EdDSA\"}"), slice_str(claims));
}

/* printf with the token as its last argument. */
static void
make_message(struct buf *out, const char *before, const char *sub, const char *scope)
{
	struct buf token;

	make_token(&token, sub, scope);
	buf_init(out, TOKEN_TEXT_MAX);
	buf_printf(out, "%s\001auth=Bearer %.*s\001\001", before, SLICE_ARG(buf_slice(&token)));
	assert_false(out->failed);
	buf_fini(&token);
}

struct outcome {
	char             challenge[512];        /* "": none was sent */
	char             who[80];               /* "anna>bert by MECHANISM", after success */
	char             claimed[64];
	char             why[ERR_TEXT_MAX];
	enum sasl_result result;
};

static void
look(struct sasl_exchange *x, enum sasl_result r, struct outcome *out)
{
	out->result = r;
	snprintf(out->claimed, sizeof out->claimed, "%.*s", SLICE_ARG(sasl_exchange_claimed(x)));
	snprintf(out->why, sizeof out->why, "%s", sasl_exchange_error(x)->text);
	if (r == SASL_EX_OK) {
		const struct sasl_success *s = sasl_exchange_success(x);

		snprintf(out->who, sizeof out->who, "%.16s>%.16s by %.20s", s->authenticated.name,
		         s->authorized.name, s->mechanism);
	}
}

/* The whole exchange; a challenge is answered with `answer`, NULL: with a cancel. */
static struct outcome
run(const struct sasl_setup *s, const char *mech, struct slice message, const char *answer)
{
	struct outcome out = { 0 };
	struct sasl_exchange *x;
	struct err e = ERR_INIT;
	struct buf challenge;
	enum sasl_result r;

	buf_init(&challenge, 4096);
	assert_int_equal(sasl_exchange_new(s, &x, &e), RC_OK);
	r = sasl_exchange_start(x, slice_str(mech), message, &challenge);
	if (r == SASL_EX_CONTINUE) {
		assert_true(
		    slice_to_cstr(buf_slice(&challenge), out.challenge, sizeof out.challenge));
		r = answer != NULL ? sasl_exchange_step(x, slice_str(answer), &challenge)
		                   : sasl_exchange_cancel(x);
	}
	look(x, r, &out);
	sasl_exchange_free(&x);
	buf_fini(&challenge);
	return out;
}

static struct outcome
run_made(const char *mech, const char *before, const char *sub, const char *scope)
{
	struct outcome out;
	struct buf m;

	make_message(&m, before, sub, scope);
	out = run(&setup, mech, buf_slice(&m), "\001");
	buf_fini(&m);
	return out;
}

static void
test_success(void **state)
{
	static const struct {
		const char *mech, *before, *sub, *who;
	} cases[] = {
		{ "OAUTHBEARER", "n,,", "anna", "anna>anna by OAUTHBEARER" },
		{ "oauthbearer", "n,a=anna,", "anna", "anna>anna by OAUTHBEARER" },
		{ "OAUTHBEARER", "n,a=ANNA,\001host=MAIL.example\001port=993", "anna", "anna>anna by OAUTHBEARER" },
		{ "OAUTHBEARER", "n,a=bert,", "root", "root>bert by OAUTHBEARER" },
		{ "XOAUTH2", "user=anna", "Anna", "anna>anna by XOAUTH2" },
		{ "XOAUTH2", "user=anna", "root", "root>anna by XOAUTH2" },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct outcome o = run_made(cases[i].mech, cases[i].before, cases[i].sub,
		                            "mail.all");

		assert_int_equal(o.result, SASL_EX_OK);
		assert_string_equal(o.who, cases[i].who);
		assert_string_equal(o.challenge, "");
	}
}

#define DISCOVERY "\"openid-configuration\":\"https://id.example/.well-known/openid-configuration\"}"

static void
test_failure(void **state)
{
	static const struct {
		const char *mech, *before, *sub, *scope, *challenge, *claimed, *why;
	} cases[] = {
		{ "OAUTHBEARER", "n,a=anna,", "nobody", "mail.all", "{\"status\":\"invalid_token\",\"scope\":\"mail.all\"," DISCOVERY,
		  "nobody", "unknown account" },
		{ "OAUTHBEARER", "n,,", "closed", "mail.all", "{\"status\":\"invalid_token\",\"scope\":\"mail.all\"," DISCOVERY,
		  "closed", "disabled" },
		{ "OAUTHBEARER", "n,a=anna,", "an\\u0001na", "mail.all",
		  "{\"status\":\"invalid_token\",\"scope\":\"mail.all\"," DISCOVERY, "an\001na", "unknown account" },
		{ "OAUTHBEARER", "n,a=anna,", "anna", "other", "{\"status\":\"insufficient_scope\",\"scope\":\"mail.all\"," DISCOVERY,
		  "anna", "scope" },
		{ "OAUTHBEARER", "n,a=anna,\001host=elsewhere.example", "anna", "mail.all",
		  "{\"status\":\"invalid_request\",\"scope\":\"mail.all\"," DISCOVERY, "anna", "another host" },
		{ "XOAUTH2", "user=anna", "nobody", "mail.all",
		  "{\"status\":\"401\",\"schemes\":\"Bearer\",\"scope\":\"mail.all\"," DISCOVERY, "nobody", "unknown account" },
		{ "XOAUTH2", "user=anna", "anna", "other",
		  "{\"status\":\"403\",\"schemes\":\"Bearer\",\"scope\":\"mail.all\"," DISCOVERY, "anna", "scope" },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct outcome o = run_made(cases[i].mech, cases[i].before, cases[i].sub,
		                            cases[i].scope);

		assert_int_equal(o.result, SASL_EX_FAILED);
		assert_string_equal(o.challenge, cases[i].challenge);
		assert_string_equal(o.claimed, cases[i].claimed);
		if (strstr(o.why, cases[i].why) == NULL)
			fail_msg("\"%s\" does not say \"%s\"", o.why, cases[i].why);
	}
}

/* A good token opens no account but its own. */
static void
test_other_account(void **state)
{
	static const struct {
		const char *mech, *before, *sub;
	} cases[] = {
		{ "OAUTHBEARER", "n,a=bert,", "anna" },
		{ "OAUTHBEARER", "n,a=nobody,", "anna" },
		{ "OAUTHBEARER", "n,a=nobody,", "root" },
		{ "XOAUTH2", "user=bert", "anna" },
		{ "XOAUTH2", "user=root", "anna" },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct outcome o = run_made(cases[i].mech, cases[i].before, cases[i].sub,
		                            "mail.all");

		assert_int_equal(o.result, SASL_EX_UNAUTHORIZED);
		assert_string_equal(o.claimed, cases[i].sub);
	}
	/* Nor does an admin get into an account that is locked. */
	assert_int_equal(run_made("OAUTHBEARER", "n,a=closed,", "root", "mail.all").result,
	                 SASL_EX_UNAUTHORIZED);
}

static void
test_not_now(void **state)
{
	(void)state;
	assert_int_equal(run_made("OAUTHBEARER", "n,,", "flaky", "mail.all").result,
	                 SASL_EX_TEMPFAIL);
	assert_int_equal(run_made("XOAUTH2", "user=flaky", "anna", "mail.all").result,
	                 SASL_EX_TEMPFAIL);
}

/* The client's dummy answer ends it, whatever it is; "*" too, and the failure stays one
 * [RFC 7628 s4.3]. */
static void
test_dummy_answer(void **state)
{
	static const char *const answers[] = { "\001", "", "n,,\001auth=Bearer x\001\001", NULL };

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(answers); i++) {
		struct outcome o = run(&setup, "OAUTHBEARER", SLICE("n,a=anna,\001auth=\001\001"),
		                       answers[i]);

		assert_int_equal(o.result, SASL_EX_FAILED);
		assert_non_null(strstr(o.challenge, "\"invalid_token\""));
		assert_string_equal(o.claimed, "anna");
		assert_string_equal(o.why, "no token");
	}
}

static void
test_without_challenge(void **state)
{
	(void)state;
	assert_int_equal(run(&setup, "OAUTHBEARER", SLICE("\001"), "").result, SASL_EX_FAILED);
	assert_int_equal(run(&setup, "OAUTHBEARER", SLICE("n,,\001x"), "").result,
	                 SASL_EX_MALFORMED);
	assert_int_equal(run(&setup, "XOAUTH2", SLICE("\001"), "").result, SASL_EX_MALFORMED);
}

/* A second good message after a bad one is no second try. */
static void
test_no_second_try(void **state)
{
	struct outcome o;
	struct buf m;
	char answer[2000];

	(void)state;
	make_message(&m, "n,,", "anna", "mail.all");
	assert_true(slice_to_cstr(buf_slice(&m), answer, sizeof answer));
	o = run(&setup, "OAUTHBEARER", SLICE("n,a=anna,\001auth=Bearer x\001\001"), answer);
	assert_int_equal(o.result, SASL_EX_FAILED);
	buf_fini(&m);
}

/* Without an initial response the server waits for it. */
static void
test_client_first(void **state)
{
	struct sasl_exchange *x;
	struct buf m, challenge;
	struct err e = ERR_INIT;

	(void)state;
	buf_init(&challenge, 4096);
	make_message(&m, "n,,", "anna", "mail.all");
	assert_int_equal(sasl_exchange_new(&setup, &x, &e), RC_OK);
	assert_int_equal(sasl_exchange_start(x, SLICE("OAUTHBEARER"), SLICE_NONE, &challenge),
	                 SASL_EX_CONTINUE);
	assert_int_equal(challenge.len, 0);
	assert_int_equal(sasl_exchange_step(x, buf_slice(&m), &challenge), SASL_EX_OK);
	sasl_exchange_free(&x);
	buf_fini(&m);
	buf_fini(&challenge);
}

/* Only where there are keys, and where nobody listens [RFC 7628 s3]. */
static void
test_offered(void **state)
{
	struct sasl_policy without = policy;
	struct sasl_setup s = setup;
	char names[SASL_MECHANISMS_TEXT];

	(void)state;
	assert_non_null(strstr(sasl_mechanisms(&s, names), "OAUTHBEARER XOAUTH2"));
	s.tls = false;
	assert_null(strstr(sasl_mechanisms(&s, names), "OAUTH"));
	assert_int_equal(run(&s, "OAUTHBEARER", SLICE("n,,\001auth=\001\001"), "").result,
	                 SASL_EX_NO_MECHANISM);
	s.cleartext_ok = true;
	assert_non_null(strstr(sasl_mechanisms(&s, names), "OAUTHBEARER XOAUTH2"));
	s.tls = true;
	without.tokens = NULL;
	s.policy = &without;
	assert_null(strstr(sasl_mechanisms(&s, names), "OAUTH"));
	assert_int_equal(run(&s, "XOAUTH2", SLICE("user=a\001auth=\001\001"), "").result,
	                 SASL_EX_NO_MECHANISM);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bearer_messages),
		cmocka_unit_test(test_xoauth2_messages),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_success),
		cmocka_unit_test(test_failure),
		cmocka_unit_test(test_other_account),
		cmocka_unit_test(test_not_now),
		cmocka_unit_test(test_dummy_answer),
		cmocka_unit_test(test_without_challenge),
		cmocka_unit_test(test_no_second_try),
		cmocka_unit_test(test_client_first),
		cmocka_unit_test(test_offered),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
