/* PLAIN and LOGIN against made-up accounts, through the real libsasl2. The accounts are:
 *
 *   anna       id 1, password "pencil"; found under any case; another "app pencil"; two app
 *              passwords, one for IMAP only
 *   bert       id 2, password "pencil"
 *   closed     id 3, password "pencil", disabled
 *   newcomer   id 4, no password yet
 *   damaged    id 5, its verifier is not one
 *   mended     id 6, password "pencil", after a verifier that is none
 *   flaky      cannot be looked up
 *   apps       id 7, has nothing but the two app passwords
 *   old        id 8, password "pencil", of the first release: only SCRAM-SHA-256
 *   shadow     id 9, password "pencil", a hash of crypt(3)
 */
#include "tests/unit/sasl_fixture.h"

#include "sasl/app_password.h"
#include "sasl/credential.h"
#include "sasl/internal.h"
#include "sasl/library.h"

#include <pthread.h>
#include <stdio.h>
#include <time.h>

static uint8_t pencil_text[CREDENTIAL_TEXT_MAX], second_text[CREDENTIAL_TEXT_MAX];
static uint8_t phone_text[CREDENTIAL_TEXT_MAX], laptop_text[CREDENTIAL_TEXT_MAX];
static struct slice pencil_sha_256, pencil_sha_1;               /* words of pencil_text */
static char phone_password[APP_PASSWORD_TEXT_MAX + 1], laptop_password[APP_PASSWORD_TEXT_MAX + 1];
static struct sasl_verifier pencil[4], mended[2], old[1];

static const struct sasl_verifier damaged[] = { { SLICE_INIT("password"), SASL_SERVICE_ALL,
                                                SLICE_INIT("pencil") } };

/* Python: crypt.crypt("pencil", "$6$abcdefgh$") */
static const struct sasl_verifier shadow[] = {
	{ SLICE_INIT("password"), SASL_SERVICE_ALL,
	  SLICE_INIT("{CRYPT}$6$abcdefgh$BPABm5D7ZFU2YVfMLyE5XRqe91qwdcZ6APg7kB/YBeADxUUqXXhg3mlHBbjpyHcrE9xl/9BuqqivCjN2qGEi30") },
};

static const struct sasl_account fakes[] = {
	{ SLICE_INIT("anna"),     1, false, pencil,  4 },
	{ SLICE_INIT("bert"),     2, false, pencil,  1 },
	{ SLICE_INIT("closed"),   3, true,  pencil,  1 },
	{ SLICE_INIT("newcomer"), 4, false, NULL,    0 },
	{ SLICE_INIT("damaged"),  5, false, damaged, 1 },
	{ SLICE_INIT("mended"),   6, false, mended,  2 },
	{ SLICE_INIT("apps"),     7, false, pencil + 2, 2 },
	{ SLICE_INIT("old"),      8, false, old,     1 },
	{ SLICE_INIT("shadow"),   9, false, shadow,  1 },
};

static struct sasl_fakes all_fakes = { fakes, UNIT_COUNT(fakes) };
static const struct sasl_accounts accounts = { .arg = &all_fakes, .find = sasl_fixture_find };

static const struct sasl_setup setup = { .service = "imap", .host = "mail.example", .tls = true,
	                                 .accounts = &accounts };

static struct sasl_exchange *
new_exchange(const struct sasl_setup *s)
{
	struct sasl_exchange *x = NULL;
	struct err e = ERR_INIT;

	assert_int_equal(sasl_exchange_new(s, &x, &e), RC_OK);
	assert_non_null(x);
	return x;
}

enum how { WITH_INITIAL, WITHOUT_INITIAL };

/* One PLAIN exchange with `message`; the identity as "name/id", or "" in who. */
static enum sasl_result
plain(struct slice message, enum how how, char who[300])
{
	struct sasl_exchange *x = new_exchange(&setup);
	struct slice copy = unit_copy(message);
	enum sasl_result r;
	struct buf challenge;

	buf_init(&challenge, 1000);
	assert_true(buf_append_str(&challenge, "left over"));
	r = sasl_exchange_start(x, SLICE("PLAIN"), how == WITH_INITIAL ? copy : SLICE_NONE,
	                        &challenge);
	if (how == WITHOUT_INITIAL) {
		assert_int_equal(r, SASL_EX_CONTINUE);
		assert_int_equal(challenge.len, 0);
		r = sasl_exchange_step(x, copy, &challenge);
	}
	assert_int_equal(challenge.len, 0);
	who[0] = '\0';
	if (r == SASL_EX_OK) {
		const struct sasl_identity *id = &sasl_exchange_success(x)->authorized;

		snprintf(who, 300, "%s/%d", id->name, (int)id->id);
		assert_string_equal(sasl_exchange_success(x)->authenticated.name, id->name);
	} else {
		assert_string_not_equal(sasl_exchange_error(x)->text, "");
		assert_null(strstr(sasl_exchange_error(x)->text, "pencil"));
	}
	buf_fini(&challenge);
	unit_drop(copy);
	sasl_exchange_free(&x);
	assert_null(x);
	return r;
}

#define LONG_50  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define LONG_250 LONG_50 LONG_50 LONG_50 LONG_50 LONG_50

static const struct plain_case {
	const char      *name;
	struct slice     in;
	enum sasl_result want;
	const char      *who;
} plain_cases[] = {
	{ "plain: right",                  SLICE_INIT("\0anna\0pencil"),         SASL_EX_OK,        "anna/1" },
	{ "plain: second verifier",        SLICE_INIT("\0anna\0app pencil"),     SASL_EX_OK,        "anna/1" },
	{ "plain: name is canonicalised",  SLICE_INIT("\0ANNA\0pencil"),         SASL_EX_OK,        "anna/1" },
	{ "plain: same authzid",           SLICE_INIT("anna\0anna\0pencil"),     SASL_EX_OK,        "anna/1" },
	{ "plain: authzid in other case",  SLICE_INIT("Anna\0aNNa\0pencil"),     SASL_EX_OK,        "anna/1" },
	{ "plain: other authzid",          SLICE_INIT("bert\0anna\0pencil"),     SASL_EX_UNAUTHORIZED, "" },
	{ "plain: unknown authzid",        SLICE_INIT("nemo\0anna\0pencil"),     SASL_EX_UNAUTHORIZED, "" },
	{ "plain: other authzid, wrong password", SLICE_INIT("bert\0anna\0pencel"), SASL_EX_FAILED, "" },
	{ "plain: authzid, wrong password", SLICE_INIT("anna\0anna\0pencel"),    SASL_EX_FAILED,    "" },
	{ "plain: unknown for itself",     SLICE_INIT("nemo\0nemo\0pencil"),     SASL_EX_FAILED,    "" },
	{ "plain: unknown for anna",       SLICE_INIT("anna\0nemo\0pencil"),     SASL_EX_FAILED,    "" },
	{ "plain: wrong",                  SLICE_INIT("\0anna\0pencel"),         SASL_EX_FAILED,    "" },
	{ "plain: other's second",         SLICE_INIT("\0bert\0app pencil"),     SASL_EX_FAILED,    "" },
	{ "plain: unknown",                SLICE_INIT("\0nemo\0pencil"),         SASL_EX_FAILED,    "" },
	{ "plain: disabled",               SLICE_INIT("\0closed\0pencil"),       SASL_EX_FAILED,    "" },
	{ "plain: without password",       SLICE_INIT("\0newcomer\0pencil"),     SASL_EX_FAILED,    "" },
	{ "plain: empty password",         SLICE_INIT("\0anna\0"),               SASL_EX_FAILED,    "" },
	{ "plain: password not UTF-8",     SLICE_INIT("\0anna\0\xff"),           SASL_EX_FAILED,    "" },
	{ "plain: damaged verifier",       SLICE_INIT("\0damaged\0pencil"),      SASL_EX_TEMPFAIL,  "" },
	{ "plain: after a damaged one",    SLICE_INIT("\0mended\0pencil"),       SASL_EX_OK,        "mended/6" },
	{ "plain: wrong after a damaged one", SLICE_INIT("\0mended\0pencel"),    SASL_EX_TEMPFAIL,  "" },
	{ "plain: unfit after a damaged one", SLICE_INIT("\0mended\0\xff"),      SASL_EX_TEMPFAIL,  "" },
	{ "plain: look-up fails",          SLICE_INIT("\0flaky\0pencil"),        SASL_EX_TEMPFAIL,  "" },
	{ "plain: authzid look-up fails",  SLICE_INIT("flaky\0anna\0pencil"),    SASL_EX_TEMPFAIL,  "" },
	{ "plain: space around the name",  SLICE_INIT("\0 anna \0pencil"),       SASL_EX_FAILED,    "" },
	{ "plain: name of spaces",         SLICE_INIT("\0  \0pencil"),           SASL_EX_FAILED,    "" },
	{ "plain: realm is not cut off",   SLICE_INIT("\0anna@x\0pencil"),       SASL_EX_FAILED,    "" },
	{ "plain: longest name",           SLICE_INIT("\0" LONG_250 "bbbbb\0p"), SASL_EX_FAILED,    "" },
	{ "plain: overlong name",          SLICE_INIT("\0" LONG_250 "bbbbbb\0p"), SASL_EX_MALFORMED, "" },
	{ "plain: overlong authzid",       SLICE_INIT(LONG_250 "bbbbbb\0anna\0pencil"), SASL_EX_MALFORMED, "" },
	{ "plain: very long name",         SLICE_INIT("\0" LONG_250 LONG_250 LONG_250 LONG_250 LONG_250 "\0p"),
	  SASL_EX_MALFORMED, "" },
	{ "plain: control in the name",    SLICE_INIT("\0an\001na\0pencil"),     SASL_EX_MALFORMED, "" },
	{ "plain: libsasl2's nobody",      SLICE_INIT("\001\0\001\0pencil"),     SASL_EX_MALFORMED, "" },
	{ "plain: name not UTF-8",         SLICE_INIT("\0\xe9ric\0pencil"),      SASL_EX_MALFORMED, "" },
	{ "plain: empty",                  SLICE_INIT(""),                       SASL_EX_MALFORMED, "" },
	{ "plain: one NUL",                SLICE_INIT("\0"),                     SASL_EX_MALFORMED, "" },
	{ "plain: two NULs",               SLICE_INIT("\0\0"),                   SASL_EX_MALFORMED, "" },
	{ "plain: no NUL",                 SLICE_INIT("anna pencil"),            SASL_EX_MALFORMED, "" },
	{ "plain: no password part",       SLICE_INIT("\0anna"),                 SASL_EX_MALFORMED, "" },
	{ "plain: no name",                SLICE_INIT("\0\0pencil"),             SASL_EX_MALFORMED, "" },
	{ "plain: authzid, no name",       SLICE_INIT("anna\0\0pencil"),         SASL_EX_MALFORMED, "" },
	{ "plain: NUL after the password", SLICE_INIT("\0anna\0pencil\0"),       SASL_EX_MALFORMED, "" },
	{ "plain: NUL in the password",    SLICE_INIT("\0anna\0pen\0cil"),       SASL_EX_MALFORMED, "" },
	{ "plain: in base64",              SLICE_INIT("AGFubmEAcGVuY2ls"),       SASL_EX_MALFORMED, "" },
};

static void
test_plain(void **state)
{
	const struct plain_case *k = *state;
	char who[300];

	assert_int_equal(plain(k->in, WITH_INITIAL, who), k->want);
	assert_string_equal(who, k->who);
	assert_int_equal(plain(k->in, WITHOUT_INITIAL, who), k->want);
	assert_string_equal(who, k->who);
}

static void
test_plain_prefixes(void **state)
{
	const struct slice message = SLICE("anna\0anna\0pencil");
	char who[300];

	(void)state;
	for (size_t cut = 0; cut < message.len; cut++) {
		enum sasl_result want = cut < 10 ? SASL_EX_MALFORMED : SASL_EX_FAILED;

		assert_int_equal(plain(slice_sub(message, 0, cut), WITH_INITIAL, who), want);
		assert_int_equal(plain(slice_sub(message, 0, cut), WITHOUT_INITIAL, who), want);
	}
}

static void
test_message_limit(void **state)
{
	static const char head[] = "\0anna\0";
	uint8_t message[SASL_MESSAGE_MAX + 1];
	char who[300];

	(void)state;
	memset(message, 'x', sizeof message);
	memcpy(message, head, sizeof head - 1);
	assert_int_equal(plain(slice_of(message, sizeof message - 1), WITH_INITIAL, who),
	                 SASL_EX_FAILED);
	assert_int_equal(plain(slice_of(message, sizeof message), WITH_INITIAL, who),
	                 SASL_EX_MALFORMED);
	assert_int_equal(plain(slice_of(message, sizeof message), WITHOUT_INITIAL, who),
	                 SASL_EX_MALFORMED);
}

static const char *
offered(const struct sasl_setup *s)
{
	static char names[SASL_MECHANISMS_TEXT];

	return sasl_mechanisms(s, names);
}

/* No mechanism's code is in the process but of those that may be configured; SCRAM brings hashes
 * that are not asked for. */
static void
test_mechanisms_loaded(void **state)
{
	enum sasl_mechanism m;

	(void)state;
	for (const char **one = sasl_global_listmech(); *one != NULL; one++)
		if (strncmp(*one, "SCRAM-", 6) != 0)
			assert_true(sasl_mechanism_find(slice_str(*one), &m));
}

static enum sasl_result
start(const struct sasl_setup *s, struct slice mechanism)
{
	struct sasl_exchange *x = new_exchange(s);
	enum sasl_result r;
	struct buf challenge;

	buf_init(&challenge, 100);
	r = sasl_exchange_start(x, mechanism, SLICE("\0anna\0pencil"), &challenge);
	buf_fini(&challenge);
	sasl_exchange_free(&x);
	return r;
}

static void
test_mechanism_choice(void **state)
{
	const struct sasl_setup clear = { .service = "imap", .host = "h", .accounts = &accounts };

	(void)state;
	assert_int_equal(start(&setup, SLICE("plain")), SASL_EX_OK);
	assert_int_equal(start(&clear, SLICE("PLAIN")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, SLICE("")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, SLICE("PLAI")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, SLICE("PLAIN ")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, SLICE("PLAIN\0")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, SLICE("EXTERNAL")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, SLICE("ANONYMOUS")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, SLICE("CRAM-MD5")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, SLICE("SCRAM-SHA-256-PLUS")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, SLICE("OAUTHBEARER")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, SLICE("NTLM")), SASL_EX_NO_MECHANISM);
	assert_int_equal(start(&setup, slice_str(LONG_250)), SASL_EX_NO_MECHANISM);
}

static void
test_cancel(void **state)
{
	struct sasl_exchange *x = new_exchange(&setup);
	struct buf challenge;

	(void)state;
	buf_init(&challenge, 100);
	assert_int_equal(sasl_exchange_start(x, SLICE("PLAIN"), SLICE_NONE, &challenge),
	                 SASL_EX_CONTINUE);
	assert_int_equal(sasl_exchange_cancel(x), SASL_EX_CANCELLED);
	assert_int_equal(sasl_exchange_error(x)->code, RC_CANCELLED);
	sasl_exchange_free(&x);
	sasl_exchange_free(&x);
	buf_fini(&challenge);
}

static const struct login_case {
	const char  *name;
	struct slice user, password;
	enum rc      want;
	uint64_t     id;
} login_cases[] = {
	{ "login: right",             SLICE_INIT("anna"),     SLICE_INIT("pencil"),   RC_OK,      1 },
	{ "login: other case",        SLICE_INIT("Bert"),     SLICE_INIT("pencil"),   RC_OK,      2 },
	{ "login: wrong",             SLICE_INIT("anna"),     SLICE_INIT("Pencil"),   RC_DENIED,  0 },
	{ "login: prefix",            SLICE_INIT("anna"),     SLICE_INIT("penci"),    RC_DENIED,  0 },
	{ "login: empty password",    SLICE_INIT("anna"),     SLICE_INIT(""),         RC_DENIED,  0 },
	{ "login: NUL in password",   SLICE_INIT("anna"),     SLICE_INIT("pencil\0"), RC_DENIED,  0 },
	{ "login: unknown",           SLICE_INIT("nemo"),     SLICE_INIT("pencil"),   RC_DENIED,  0 },
	{ "login: empty name",        SLICE_INIT(""),         SLICE_INIT("pencil"),   RC_DENIED,  0 },
	{ "login: NUL in name",       SLICE_INIT("anna\0"),   SLICE_INIT("pencil"),   RC_DENIED,  0 },
	{ "login: overlong name",     SLICE_INIT(LONG_250 "aaaaaa"), SLICE_INIT("p"), RC_DENIED,  0 },
	{ "login: disabled",          SLICE_INIT("closed"),   SLICE_INIT("pencil"),   RC_DENIED,  0 },
	{ "login: without password",  SLICE_INIT("newcomer"), SLICE_INIT(""),         RC_DENIED,  0 },
	{ "login: damaged verifier",  SLICE_INIT("damaged"),  SLICE_INIT("pencil"),   RC_CORRUPT, 0 },
	{ "login: look-up fails",     SLICE_INIT("flaky"),    SLICE_INIT("pencil"),   RC_BUSY,    0 },
};

static enum rc
check_login(const char *service, struct slice name, struct slice password, struct sasl_identity *id,
            struct err *e)
{
	struct sasl_setup s = setup;
	struct sasl_success who;
	enum rc rc;

	s.service = service;
	rc = sasl_password_login(&s, name, password, &who, e);
	*id = who.authenticated;
	assert_string_equal(who.credential, id->credential);
	return rc;
}

static unsigned rejections;

static void
count_rejection(void *arg, const struct sasl_account *a, struct slice password)
{
	(void)arg;
	(void)a;
	(void)password;
	rejections++;
}

/* Whoever counts guesses hears of each, also of those that a damaged credential beside the right
 * one leaves undecided. */
static void
test_rejected(void **state)
{
	static const struct {
		struct slice name, password;
		enum rc want;
		unsigned rejections;
	} cases[] = {
		{ SLICE_INIT("anna"), SLICE_INIT("pencil"), RC_OK, 0 },
		{ SLICE_INIT("anna"), SLICE_INIT("pencel"), RC_DENIED, 1 },
		{ SLICE_INIT("nemo"), SLICE_INIT("pencel"), RC_DENIED, 1 },
		{ SLICE_INIT("closed"), SLICE_INIT("pencil"), RC_DENIED, 1 },
		{ SLICE_INIT("mended"), SLICE_INIT("pencil"), RC_OK, 0 },
		{ SLICE_INIT("mended"), SLICE_INIT("pencel"), RC_CORRUPT, 1 },
	};
	struct sasl_accounts counting = accounts;
	struct sasl_setup s = setup;

	(void)state;
	counting.rejected = count_rejection;
	s.accounts = &counting;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct sasl_success who;
		struct err e = ERR_INIT;

		rejections = 0;
		assert_int_equal(sasl_password_login(&s, cases[i].name, cases[i].password, &who,
		                                     &e),
		                 cases[i].want);
		assert_int_equal(rejections, cases[i].rejections);
	}
}

static void
test_login(void **state)
{
	const struct login_case *k = *state;
	struct slice user = unit_copy(k->user), password = unit_copy(k->password);
	struct sasl_identity id;
	struct err e = ERR_INIT;

	assert_int_equal(check_login("imap", user, password, &id, &e), k->want);
	assert_int_equal(id.id, k->id);
	if (k->want != RC_OK) {
		assert_int_equal(e.code, k->want);
		assert_string_equal(id.name, "");
	}
	unit_drop(user);
	unit_drop(password);
}

static int64_t
cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return t.tv_sec * INT64_C(1000000000) + t.tv_nsec;
}

static int64_t
login_cost(struct slice name)
{
	struct sasl_identity id;
	struct err e = ERR_INIT;
	int64_t begin = cpu_ns();

	assert_int_equal(check_login("imap", name, SLICE("pencil?"), &id, &e), RC_DENIED);
	return cpu_ns() - begin;
}

/* The least CPU time of some tries is what the code costs, without what the machine added; the
 * names take turns, as that may drift. They are equal within a hundredth as a rule; without the
 * hash one would be a hundredth. */
static void
test_same_cost(void **state)
{
	static const struct slice names[] = { SLICE_INIT("bert"), SLICE_INIT("nemo"),
		                              SLICE_INIT("newcomer"), SLICE_INIT("closed"),
		                              SLICE_INIT("old"), SLICE_INIT("apps") };
	int64_t least[UNIT_COUNT(names)] = { INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX, INT64_MAX,
	                                     INT64_MAX };

	(void)state;
	for (size_t i = 0; i < 15 * UNIT_COUNT(names); i++) {
		size_t who = i % UNIT_COUNT(names);
		int64_t took = login_cost(names[who]);

		least[who] = took < least[who] ? took : least[who];
	}
	for (size_t i = 1; i < UNIT_COUNT(names); i++) {
		assert_true(least[i] > least[0] / 2);
		assert_true(least[i] / 2 < least[0]);
	}
}

static enum rc
login_by(const char *user, const char *password, const char *service, struct sasl_identity *id)
{
	struct err e = ERR_INIT;

	return check_login(service, slice_str(user), slice_str(password), id, &e);
}

/* Which credential let somebody in is told, and each is for what it is for. */
static void
test_app_passwords(void **state)
{
	struct sasl_identity id;

	(void)state;
	assert_int_equal(login_by("anna", phone_password, "imap", &id), RC_OK);
	assert_string_equal(id.credential, "app:phone");
	assert_false(id.upgrade);
	assert_int_equal(login_by("anna", phone_password, "pop", &id), RC_DENIED);
	assert_int_equal(login_by("anna", phone_password, "smtp", &id), RC_DENIED);
	assert_int_equal(login_by("anna", laptop_password, "pop", &id), RC_OK);
	assert_string_equal(id.credential, "app:laptop");
	assert_int_equal(login_by("anna", "pencil", "pop", &id), RC_OK);
	assert_string_equal(id.credential, "password");
	assert_int_equal(login_by("apps", laptop_password, "lmtp", &id), RC_OK);
	assert_int_equal(login_by("apps", "pencil", "imap", &id), RC_DENIED);
	assert_int_equal(login_by("bert", laptop_password, "imap", &id), RC_DENIED);
	assert_string_equal(id.credential, "");
}

/* What the log of an older release, or an import, lacks is told with the login that can mend it. */
static void
test_upgrade_is_told(void **state)
{
	struct sasl_identity id;

	(void)state;
	assert_int_equal(login_by("anna", "pencil", "imap", &id), RC_OK);
	assert_false(id.upgrade);
	assert_int_equal(login_by("old", "pencil", "imap", &id), RC_OK);
	assert_true(id.upgrade);
	assert_int_equal(login_by("shadow", "pencil", "imap", &id), RC_OK);
	assert_true(id.upgrade);
	assert_int_equal(login_by("shadow", "Pencil", "imap", &id), RC_DENIED);
	assert_false(id.upgrade);
}

/* A locked account, one with other credentials and one for another service have no SCRAM
 * verifier to offer. */
static void
test_scram_verifier(void **state)
{
	static const struct {
		const char *name;
		bool        sha_256, sha_1;
	} cases[] = { { "anna", true, true }, { "old", true, false }, { "closed", false, false },
		      { "apps", false, false }, { "shadow", false, false }, { "nemo", false, false } };
	struct err e = ERR_INIT;
	struct sasl_attempt t;
	struct slice word;

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		sasl_attempt_init(&t);
		assert_int_equal(sasl_attempt_find(&t, &accounts, slice_str(cases[i].name), &e),
		                 RC_OK);
		assert_int_equal(sasl_attempt_scram(&t, SASL_SERVICE_IMAP, SCRAM_SHA_256, &word) !=
		                     NULL,
		                 cases[i].sha_256);
		if (cases[i].sha_256)
			assert_true(slice_eq(word, pencil_sha_256));
		assert_int_equal(
		    sasl_attempt_scram(&t, SASL_SERVICE_IMAP, SCRAM_SHA_1, &word) != NULL,
		    cases[i].sha_1);
		if (cases[i].sha_1)
			assert_true(slice_eq(word, pencil_sha_1));
		sasl_attempt_fini(&t);
	}
}

#define THREADS       8
#define THREAD_ROUNDS 12

static void *
many_exchanges(void *arg)
{
	size_t *good = arg;

	for (size_t i = 0; i < THREAD_ROUNDS; i++) {
		const struct plain_case *k = &plain_cases[i % UNIT_COUNT(plain_cases)];
		struct sasl_exchange *x = NULL;
		struct err e = ERR_INIT;
		struct buf challenge;

		buf_init(&challenge, 100);
		if (sasl_exchange_new(&setup, &x, &e) == RC_OK &&
		    sasl_exchange_start(x, SLICE("PLAIN"), SLICE_NONE, &challenge) ==
		        SASL_EX_CONTINUE &&
		    sasl_exchange_step(x, k->in, &challenge) == k->want)
			++*good;
		sasl_exchange_free(&x);
		buf_fini(&challenge);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	pthread_t threads[THREADS];
	size_t good[THREADS] = { 0 };

	(void)state;
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, many_exchanges, &good[i]), 0);
	for (size_t i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(good[i], THREAD_ROUNDS);
	}
}

static void *
step_elsewhere(void *arg)
{
	struct sasl_exchange *x = arg;
	struct buf challenge;
	bool good;

	buf_init(&challenge, 100);
	good = sasl_exchange_step(x, SLICE("\0anna\0pencil"), &challenge) == SASL_EX_OK;
	buf_fini(&challenge);
	return good ? x : NULL;
}

/* An exchange begun on one pool thread goes on on another and ends on a third. */
static void
test_moves_between_threads(void **state)
{
	struct sasl_exchange *x = new_exchange(&setup);
	struct buf challenge;
	pthread_t thread;
	void *result = NULL;

	(void)state;
	buf_init(&challenge, 100);
	assert_int_equal(sasl_exchange_start(x, SLICE("PLAIN"), SLICE_NONE, &challenge),
	                 SASL_EX_CONTINUE);
	assert_int_equal(pthread_create(&thread, NULL, step_elsewhere, x), 0);
	assert_int_equal(pthread_join(thread, &result), 0);
	assert_ptr_equal(result, x);
	assert_string_equal(sasl_exchange_success(x)->authorized.name, "anna");
	sasl_exchange_free(&x);
	buf_fini(&challenge);
}

/* Before the library is up, nothing is offered; without its plugins it does not come up, and says
 * what is missing. */
static void
check_missing_plugins(void)
{
	const struct sasl_library_options nowhere = { .plugin_dir = "/nonexistent" };
	struct err e = ERR_INIT;

	assert_string_equal(offered(&setup), "");
	assert_int_equal(sasl_library_init(&nowhere, &e), RC_NOT_FOUND);
	assert_non_null(strstr(e.text, "libsasl2-modules"));
	assert_string_equal(offered(&setup), "");
}

static struct slice
make_verifier(struct slice password, uint8_t text[CREDENTIAL_TEXT_MAX])
{
	struct err e = ERR_INIT;
	struct buf b;
	size_t len;

	buf_init(&b, CREDENTIAL_TEXT_MAX - 1);
	assert_int_equal(credential_make(password, &b, &e), RC_OK);
	memcpy(text, b.ptr, b.len);
	len = b.len;
	buf_fini(&b);
	return slice_of(text, len);
}

static struct sasl_verifier
make_app(const char *name, const char *only, uint8_t text[CREDENTIAL_TEXT_MAX],
         char shown[APP_PASSWORD_TEXT_MAX + 1])
{
	struct err e = ERR_INIT;
	struct secret s;
	struct buf b;
	size_t len;

	buf_init(&b, CREDENTIAL_TEXT_MAX - 1);
	assert_int_equal(secret_init(&s, APP_PASSWORD_TEXT_MAX, &e), RC_OK);
	assert_int_equal(app_password_make(&s, &b, &e), RC_OK);
	assert_true(slice_to_cstr(secret_slice(&s), shown, APP_PASSWORD_TEXT_MAX + 1));
	assert_true(buf_append_str(&b, only));
	memcpy(text, b.ptr, b.len);
	len = b.len;
	secret_fini(&s);
	buf_fini(&b);
	return (struct sasl_verifier){ slice_str(name), credential_scope(slice_of(text, len)),
	                               slice_of(text, len) };
}

static void
make_accounts(void)
{
	const struct slice main_name = SLICE("password");
	size_t cut;

	pencil[0] = (struct sasl_verifier){ main_name, SASL_SERVICE_ALL,
	                                    make_verifier(SLICE("pencil"), pencil_text) };
	pencil[1] = (struct sasl_verifier){ SLICE("second"), SASL_SERVICE_ALL,
		                            make_verifier(SLICE("app pencil"), second_text) };
	pencil[2] = make_app("app:phone", " only=imap created=1700000000", phone_text,
	                     phone_password);
	pencil[3] = make_app("app:laptop", "", laptop_text, laptop_password);
	cut = slice_find_byte(pencil[0].text, ' ');
	pencil_sha_256 = slice_sub(pencil[0].text, 0, cut);
	pencil_sha_1 = slice_sub(pencil[0].text, cut + 1, pencil[0].text.len);
	old[0] = (struct sasl_verifier){ main_name, SASL_SERVICE_ALL, pencil_sha_256 };
}

static int
set_up(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	make_accounts();
	mended[0] = damaged[0];
	mended[1] = pencil[0];
	check_missing_plugins();
	assert_int_equal(sasl_library_init(NULL, &e), RC_OK);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	sasl_library_fini();
	assert_string_equal(offered(&setup), "");
	return 0;
}

int
main(void)
{
	struct CMUnitTest tests[12 + UNIT_COUNT(plain_cases) + UNIT_COUNT(login_cases)] = {
		cmocka_unit_test(test_rejected),
		cmocka_unit_test(test_plain_prefixes),
		cmocka_unit_test(test_message_limit),
		cmocka_unit_test(test_mechanisms_loaded),
		cmocka_unit_test(test_mechanism_choice),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_app_passwords),
		cmocka_unit_test(test_upgrade_is_told),
		cmocka_unit_test(test_scram_verifier),
		cmocka_unit_test(test_same_cost),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_moves_between_threads),
	};
	size_t n = 12;

	for (size_t i = 0; i < UNIT_COUNT(plain_cases); i++)
		tests[n++] = (struct CMUnitTest){ plain_cases[i].name, test_plain, NULL, NULL,
			                          (void *)(uintptr_t)&plain_cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(login_cases); i++)
		tests[n++] = (struct CMUnitTest){ login_cases[i].name, test_login, NULL, NULL,
			                          (void *)(uintptr_t)&login_cases[i] };
	return cmocka_run_group_tests_name("sasl_exchange", tests, set_up, tear_down);
}
