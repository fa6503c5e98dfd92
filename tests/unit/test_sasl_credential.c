/* Stored passwords: preparation [RFC 4013], the text form and its strictness, making and checking. */
#include "tests/unit/unit.h"

#include "sasl/credential.h"
#include "sasl/saslprep.h"

static const struct prep_case {
	const char  *name;
	struct slice in;
	const char  *want;      /* NULL: refused */
} prep_cases[] = {
	/* The examples of RFC 4013 section 3. */
	{ "prep: soft hyphen goes",             SLICE_INIT("I\xc2\xadX"),           "IX" },
	{ "prep: no change",                    SLICE_INIT("user"),                 "user" },
	{ "prep: case is kept",                 SLICE_INIT("USER"),                 "USER" },
	{ "prep: feminine ordinal",             SLICE_INIT("\xc2\xaa"),             "a" },
	{ "prep: roman nine",                   SLICE_INIT("\xe2\x85\xa8"),         "IX" },
	{ "prep: control refused",              SLICE_INIT("\007"),                 NULL },
	{ "prep: arabic then digit refused",    SLICE_INIT("\xd8\xa7\x31"),         NULL },

	{ "prep: ASCII spaces stay",            SLICE_INIT(" a  b "),               " a  b " },
	{ "prep: no-break space",               SLICE_INIT("a\xc2\xa0" "b"),        "a b" },
	{ "prep: ideographic space",            SLICE_INIT("a\xe3\x80\x80" "b"),    "a b" },
	{ "prep: zero width space is a space",  SLICE_INIT("a\xe2\x80\x8b" "b"),    "a b" },
	{ "prep: combining composes",           SLICE_INIT("e\xcc\x81"),            "\xc3\xa9" },
	{ "prep: full width",                   SLICE_INIT("\xef\xbc\xa1"),         "A" },
	{ "prep: marks are ordered",            SLICE_INIT("a\xcc\x81\xcc\xa3"),    "\xe1\xba\xa1\xcc\x81" },
	{ "prep: arabic within arabic",         SLICE_INIT("\xd8\xa7\x31\xd8\xa8"), "\xd8\xa7\x31\xd8\xa8" },
	{ "prep: hebrew",                       SLICE_INIT("\xd7\xa9\xd7\x9c"),     "\xd7\xa9\xd7\x9c" },
	{ "prep: hebrew and latin refused",     SLICE_INIT("\xd7\xa9z\xd7\x9c"),    NULL },
	{ "prep: CJK",                          SLICE_INIT("\xe6\x97\xa5"),         "\xe6\x97\xa5" },
	{ "prep: emoji",                        SLICE_INIT("\xf0\x9f\x94\x91"),     "\xf0\x9f\x94\x91" },
	{ "prep: variation selector goes",      SLICE_INIT("x\xef\xb8\x8f"),        "x" },
	{ "prep: empty refused",                SLICE_INIT(""),                     NULL },
	{ "prep: mapped to nothing refused",    SLICE_INIT("\xc2\xad"),             NULL },
	{ "prep: NUL refused",                  SLICE_INIT("a\0b"),                 NULL },
	{ "prep: DEL refused",                  SLICE_INIT("a\x7f"),                NULL },
	{ "prep: line feed refused",            SLICE_INIT("a\n"),                  NULL },
	{ "prep: C1 control refused",           SLICE_INIT("\xc2\x85"),             NULL },
	{ "prep: direction mark refused",       SLICE_INIT("a\xe2\x80\x8e"),        NULL },
	{ "prep: line separator refused",       SLICE_INIT("a\xe2\x80\xa8"),        NULL },
	{ "prep: private use refused",          SLICE_INIT("\xee\x80\x80"),         NULL },
	{ "prep: non-character refused",        SLICE_INIT("\xef\xbf\xbe"),         NULL },
	{ "prep: replacement refused",          SLICE_INIT("\xef\xbf\xbd"),         NULL },
	{ "prep: tag refused",                  SLICE_INIT("\xf3\xa0\x80\xa1"),     NULL },
	{ "prep: unassigned refused",           SLICE_INIT("\xcd\xb8"),             NULL },
	{ "prep: surrogate refused",            SLICE_INIT("\xed\xa0\x80"),         NULL },
	{ "prep: overlong refused",             SLICE_INIT("\xc0\xaf"),             NULL },
	{ "prep: cut character refused",        SLICE_INIT("a\xc3"),                NULL },
	{ "prep: stray continuation refused",   SLICE_INIT("\xa9"),                 NULL },
	{ "prep: above Unicode refused",        SLICE_INIT("\xf4\x90\x80\x80"),     NULL },
};

static enum rc
prep_copy(struct slice in, struct secret *out)
{
	struct slice copy = unit_copy(in);
	struct err e = ERR_INIT;
	enum rc rc;

	assert_int_equal(secret_init(out, SASLPREP_OUT_MAX, &e), RC_OK);
	rc = saslprep(copy, out, &e);
	assert_int_equal(rc, e.code);
	unit_drop(copy);
	return rc;
}

static void
test_prep(void **state)
{
	const struct prep_case *k = *state;
	struct secret out;

	if (k->want == NULL) {
		assert_int_equal(prep_copy(k->in, &out), RC_SYNTAX);
	} else {
		assert_int_equal(prep_copy(k->in, &out), RC_OK);
		assert_int_equal(out.len, strlen(k->want));
		assert_memory_equal(out.ptr, k->want, out.len);
	}
	secret_fini(&out);
	for (size_t cut = 0; cut < k->in.len; cut++) {
		(void)!prep_copy(slice_sub(k->in, 0, cut), &out);
		secret_fini(&out);
	}
}

/* U+FDFA becomes 18 characters of 33 octets: the most that NFKC makes of three. */
static void
test_prep_limits(void **state)
{
	uint8_t in[SASLPREP_MAX + 1];
	struct secret out;

	(void)state;
	memset(in, 'x', sizeof in);
	assert_int_equal(prep_copy(slice_of(in, SASLPREP_MAX), &out), RC_OK);
	assert_int_equal(out.len, SASLPREP_MAX);
	secret_fini(&out);
	assert_int_equal(prep_copy(slice_of(in, SASLPREP_MAX + 1), &out), RC_LIMIT);
	secret_fini(&out);
	for (size_t i = 0; i + 3 <= sizeof in; i += 3)
		memcpy(in + i, "\xef\xb7\xba", 3);
	assert_int_equal(prep_copy(slice_of(in, 300), &out), RC_OK);
	assert_int_equal(out.len, 3300);
	secret_fini(&out);
	assert_int_equal(prep_copy(slice_of(in, 600), &out), RC_LIMIT);
	secret_fini(&out);
	assert_int_equal(prep_copy(slice_of(in, 1023), &out), RC_LIMIT);
	secret_fini(&out);
}

#define SALT   "W22ZaJ0SNY7soEsUEjb6gQ=="
#define STORED "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define GOOD   "SCRAM-SHA-256$4096:" SALT "$" STORED ":" SERVER

static const struct parse_case {
	const char  *name;
	struct slice in;
	const char  *want;      /* in the error text; NULL: good */
} parse_cases[] = {
	{ "parse: good",                SLICE_INIT(GOOD), NULL },
	{ "parse: most iterations",     SLICE_INIT("SCRAM-SHA-256$1000000:" SALT "$" STORED ":" SERVER), NULL },
	{ "parse: shortest salt",       SLICE_INIT("SCRAM-SHA-256$4096:AAECAwQFBgc=$" STORED ":" SERVER), NULL },
	{ "parse: empty",               SLICE_INIT(""), "not SCRAM" },
	{ "parse: other scheme",        SLICE_INIT("SCRAM-SHA-1$4096:" SALT "$" STORED ":" SERVER), "not SCRAM" },
	{ "parse: scheme in lower case", SLICE_INIT("scram-sha-256$4096:" SALT "$" STORED ":" SERVER), "not SCRAM" },
	{ "parse: password in clear",   SLICE_INIT("pencil"), "not SCRAM" },
	{ "parse: space in front",      SLICE_INIT(" " GOOD), "not SCRAM" },
	{ "parse: no iterations",       SLICE_INIT("SCRAM-SHA-256$:" SALT "$" STORED ":" SERVER), "iteration" },
	{ "parse: too few iterations",  SLICE_INIT("SCRAM-SHA-256$4095:" SALT "$" STORED ":" SERVER), "iteration" },
	{ "parse: too many iterations", SLICE_INIT("SCRAM-SHA-256$1000001:" SALT "$" STORED ":" SERVER), "iteration" },
	{ "parse: iterations overflow", SLICE_INIT("SCRAM-SHA-256$18446744073709555712:" SALT "$" STORED ":" SERVER),
	  "iteration" },
	{ "parse: leading zero",        SLICE_INIT("SCRAM-SHA-256$04096:" SALT "$" STORED ":" SERVER), "iteration" },
	{ "parse: sign",                SLICE_INIT("SCRAM-SHA-256$+4096:" SALT "$" STORED ":" SERVER), "iteration" },
	{ "parse: no colon",            SLICE_INIT("SCRAM-SHA-256$4096"), "iteration" },
	{ "parse: no salt",             SLICE_INIT("SCRAM-SHA-256$4096:$" STORED ":" SERVER), "salt" },
	{ "parse: salt of 7 octets",    SLICE_INIT("SCRAM-SHA-256$4096:AAECAwQFBg==$" STORED ":" SERVER), "salt" },
	{ "parse: salt of 66 octets",   SLICE_INIT("SCRAM-SHA-256$4096:" STORED STORED "$" STORED ":" SERVER), "salt" },
	{ "parse: salt not base64",     SLICE_INIT("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6g!==$" STORED ":" SERVER),
	  "salt" },
	{ "parse: salt without padding", SLICE_INIT("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ$" STORED ":" SERVER),
	  "salt" },
	{ "parse: salt with stray bits", SLICE_INIT("SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gR==$" STORED ":" SERVER),
	  "salt" },
	{ "parse: salt with a space",   SLICE_INIT("SCRAM-SHA-256$4096: " SALT "   $" STORED ":" SERVER), "salt" },
	{ "parse: padding in the salt", SLICE_INIT("SCRAM-SHA-256$4096:W2==aJ0SNY7soEsUEjb6gQ==$" STORED ":" SERVER),
	  "salt" },
	{ "parse: no stored key",       SLICE_INIT("SCRAM-SHA-256$4096:" SALT "$:" SERVER), "StoredKey" },
	{ "parse: short stored key",    SLICE_INIT("SCRAM-SHA-256$4096:" SALT "$" SALT ":" SERVER), "StoredKey" },
	{ "parse: no server key",       SLICE_INIT("SCRAM-SHA-256$4096:" SALT "$" STORED), "StoredKey" },
	{ "parse: empty server key",    SLICE_INIT("SCRAM-SHA-256$4096:" SALT "$" STORED ":"), "ServerKey" },
	{ "parse: short server key",    SLICE_INIT("SCRAM-SHA-256$4096:" SALT "$" STORED ":" SALT), "ServerKey" },
	{ "parse: trailing newline",    SLICE_INIT(GOOD "\n"), "ServerKey" },
	{ "parse: trailing four",       SLICE_INIT(GOOD "AAAA"), "ServerKey" },
	{ "parse: trailing NUL",        SLICE_INIT(GOOD "\0"), "ServerKey" },
	{ "parse: one field too many",  SLICE_INIT(GOOD ":" SERVER), "ServerKey" },
};

static enum rc
parse_copy(struct slice in, struct credential *c, struct err *e)
{
	struct slice copy = unit_copy(in);
	enum rc rc = credential_parse(copy, c, e);

	unit_drop(copy);
	return rc;
}

static void
test_parse(void **state)
{
	const struct parse_case *k = *state;
	struct err e = ERR_INIT;
	struct credential c;
	struct buf out;

	if (k->want != NULL) {
		assert_int_equal(parse_copy(k->in, &c, &e), RC_CORRUPT);
		assert_non_null(strstr(e.text, k->want));
		return;
	}
	assert_int_equal(parse_copy(k->in, &c, &e), RC_OK);
	buf_init(&out, CREDENTIAL_TEXT_MAX);
	assert_int_equal(credential_format(&c, &out, &e), RC_OK);
	assert_true(slice_eq(buf_slice(&out), k->in));
	buf_fini(&out);
	for (size_t cut = 0; cut < k->in.len; cut++)
		assert_int_equal(parse_copy(slice_sub(k->in, 0, cut), &c, &e), RC_CORRUPT);
}

static bool
matches(struct slice verifier, struct slice password)
{
	struct slice copy = unit_copy(password);
	struct err e = ERR_INIT;
	bool match = true;

	assert_int_equal(credential_check_plain(verifier, copy, &match, &e), RC_OK);
	unit_drop(copy);
	return match;
}

/* The example of RFC 7677 as a verifier. The keys were computed with Python's hashlib and hmac. */
static void
test_check_example(void **state)
{
	struct slice verifier = slice_str(GOOD);
	struct err e = ERR_INIT;
	bool match = true;

	(void)state;
	assert_true(matches(verifier, SLICE("pencil")));
	assert_true(matches(verifier, SLICE("pen\xc2\xad" "cil")));
	assert_false(matches(verifier, SLICE("Pencil")));
	assert_false(matches(verifier, SLICE("pencil ")));
	assert_false(matches(verifier, SLICE("pencil\0")));
	assert_false(matches(verifier, SLICE("penci")));
	assert_false(matches(verifier, SLICE("")));
	assert_false(matches(verifier, SLICE("\xff")));
	assert_int_equal(credential_check_plain(SLICE("pencil"), SLICE("pencil"), &match, &e), RC_CORRUPT);
	assert_false(match);
}

static void
test_make(void **state)
{
	struct err e = ERR_INIT;
	struct credential c;
	struct buf one, two;

	(void)state;
	buf_init(&one, CREDENTIAL_TEXT_MAX);
	buf_init(&two, CREDENTIAL_TEXT_MAX);
	assert_int_equal(credential_make_scram(SLICE("gr\xc3\xbc\xc3\x9f"), &one, &e), RC_OK);
	assert_int_equal(credential_make_scram(SLICE("gr\xc3\xbc\xc3\x9f"), &two, &e), RC_OK);
	assert_false(slice_eq(buf_slice(&one), buf_slice(&two)));       /* salted */
	assert_true(matches(buf_slice(&one), SLICE("gr\xc3\xbc\xc3\x9f")));
	assert_true(matches(buf_slice(&one), SLICE("gru\xcc\x88\xc3\x9f")));
	assert_false(matches(buf_slice(&one), SLICE("gr\xc3\xbcss")));
	assert_int_equal(credential_parse(buf_slice(&two), &c, &e), RC_OK);
	assert_int_equal(c.iterations, CREDENTIAL_ITERATIONS);
	assert_int_equal(c.salt_len, CREDENTIAL_SALT_LEN);
	buf_fini(&one);
	buf_fini(&two);
}

static void
test_make_refuses(void **state)
{
	struct err e = ERR_INIT;
	struct buf out;

	(void)state;
	buf_init(&out, CREDENTIAL_TEXT_MAX);
	assert_int_equal(credential_make_scram(SLICE(""), &out, &e), RC_SYNTAX);
	assert_string_equal(e.text, "password: empty");
	assert_int_equal(credential_make_scram(SLICE("a\tb"), &out, &e), RC_SYNTAX);
	assert_int_equal(credential_make_scram(SLICE("caf\xe9"), &out, &e), RC_SYNTAX);
	assert_string_equal(e.text, "password: not UTF-8 at octet 4");
	assert_int_equal(out.len, 0);
	buf_fini(&out);
	buf_init(&out, 20);
	assert_int_equal(credential_make_scram(SLICE("pencil"), &out, &e), RC_LIMIT);
	buf_fini(&out);
}

int
main(void)
{
	struct CMUnitTest tests[4 + UNIT_COUNT(prep_cases) + UNIT_COUNT(parse_cases)] = {
		cmocka_unit_test(test_prep_limits),
		cmocka_unit_test(test_check_example),
		cmocka_unit_test(test_make),
		cmocka_unit_test(test_make_refuses),
	};
	size_t n = 4;

	for (size_t i = 0; i < UNIT_COUNT(prep_cases); i++)
		tests[n++] = (struct CMUnitTest){ prep_cases[i].name, test_prep, NULL, NULL,
			                          (void *)(uintptr_t)&prep_cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(parse_cases); i++)
		tests[n++] = (struct CMUnitTest){ parse_cases[i].name, test_parse, NULL, NULL,
			                          (void *)(uintptr_t)&parse_cases[i] };
	return cmocka_run_group_tests_name("sasl_credential", tests, NULL, NULL);
}
