/* Stored passwords: preparation [RFC 4013], the text form and its strictness,
 * making and checking. */
#include "tests/unit/unit.h"

#include "sasl/app_password.h"
#include "sasl/credential.h"
#include "sasl/crypt_hash.h"
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

/* Made with Python's crypt module on Debian 12. */
#define SHA512_PENCIL \
	"$6$abcdefgh$BPABm5D7ZFU2YVfMLyE5XRqe91qwdcZ6APg7kB/YBeADxUUqXXhg3mlHBbjpyHcrE9xl/9BuqqivCjN2qGEi30"
#define SHA512_HASH \
	"BPABm5D7ZFU2YVfMLyE5XRqe91qwdcZ6APg7kB/YBeADxUUqXXhg3mlHBbjpyHcrE9xl/9BuqqivCjN2qGEi30"
#define SHA512_ROUNDS \
	"$6$rounds=1000$abcdefgh$Knnmxd98KHugNnOEMiuuOil9enL9wC.Gd0LZtfQJmggKQg10F6efqtTzhVr4DKX75QXLfDgIDLs3j7rHMhpQG."
#define SHA256_PENCIL "$5$abcdefgh$2fBC4A6a5zMUaFynrzCXz1gz3QtUtBsVxjmcncJUE67"
#define YESCRYPT_PENCIL "$y$j9T$abcdefgh$kff4zjKKNjmHWBD6KG8N2k8WunPqZGAsrQj0LdJ5QM9"
#define BCRYPT_REST "$05$abcdefghijklmnopqrstuu680Yiaj5hFUaJTH/rTAcbA2PQEGfiZu"
#define BCRYPT_PENCIL "$2b" BCRYPT_REST
#define SHA512_LATIN1 \
	"$6$abcdefgh$lKc0QFUzWbQEhYx7AmPfW.qJRpfG5hs/sl77ShjHyw5hL3xq9NrKCK8.uZPsnsTdtftSQRwQ18592.e4BgZHA."

#define SALT   "W22ZaJ0SNY7soEsUEjb6gQ=="
#define STORED "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY="
#define SERVER "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
#define STORED_1 "6dlGYMOdZcOPutkcNY8U2g7vK9Y="
#define SERVER_1 "D+CSWLOshSulAsxiupA+qs2/fTE="
#define GOOD_1 "SCRAM-SHA-1$4096:QSXCR+Q6sek8bf92$" STORED_1 ":" SERVER_1
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
	{ "parse: other scheme",        SLICE_INIT("SCRAM-SHA-512$4096:" SALT "$" STORED ":" SERVER), "not SCRAM" },
	{ "parse: keys of the other hash", SLICE_INIT("SCRAM-SHA-1$4096:" SALT "$" STORED ":" SERVER), "StoredKey" },
	{ "parse: SHA-1",               SLICE_INIT(GOOD_1), NULL },
	{ "parse: SHA-1's key too short", SLICE_INIT("SCRAM-SHA-256$4096:" SALT "$" STORED_1 ":" SERVER), "StoredKey" },
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

#define APP "SHA-256$AAECAwQFBgc=$" SERVER

/* Values as a whole: what is not known, or said twice, makes all of it worthless. */
static const struct value_case {
	const char *name;
	const char *in;
	unsigned    scope;      /* 0: refused */
	bool        upgrade;
} value_cases[] = {
	{ "value: of the first release",  GOOD,                                   SASL_SERVICE_ALL, true },
	{ "value: SHA-1 alone",           GOOD_1,                                 SASL_SERVICE_ALL, true },
	{ "value: both",                  GOOD " " GOOD_1,                        SASL_SERVICE_ALL, false },
	{ "value: the other order",       GOOD_1 " " GOOD,                        SASL_SERVICE_ALL, false },
	{ "value: crypt",                 "{CRYPT}$6$x",                          SASL_SERVICE_ALL, true },
	{ "value: app",                   APP,                                    SASL_SERVICE_ALL, false },
	{ "value: app, for two",          APP " only=pop3,imap created=5",        SASL_SERVICE_IMAP | SASL_SERVICE_POP3, false },
	{ "value: attribute in front",    "only=imap " GOOD,                      SASL_SERVICE_IMAP, true },
	{ "value: lmtp and submission",   GOOD " only=lmtp,submission",           SASL_SERVICE_LMTP | SASL_SERVICE_SUBMISSION,
	  true },
	{ "value: empty",                 "",                                     0, false },
	{ "value: a password",            "pencil",                               0, false },
	{ "value: no verifier",           "only=imap",                            0, false },
	{ "value: empty crypt",           "{CRYPT}",                              0, false },
	{ "value: two spaces",            GOOD "  " GOOD_1,                       0, false },
	{ "value: space in front",        " " GOOD,                               0, false },
	{ "value: space behind",          GOOD " ",                               0, false },
	{ "value: twice",                 GOOD " " GOOD,                          0, false },
	{ "value: unknown service",       APP " only=imap,nntp",                  0, false },
	{ "value: no service",            APP " only=",                           0, false },
	{ "value: comma behind",          APP " only=imap,",                      0, false },
	{ "value: comma in front",        APP " only=,imap",                      0, false },
	{ "value: limits twice",          APP " only=imap only=pop3",             0, false },
	{ "value: unknown attribute",     APP " until=9",                         0, false },
	{ "value: bad time",              APP " created=-1",                      0, false },
};

static void
test_value(void **state)
{
	const struct value_case *k = *state;
	struct slice copy = unit_copy(slice_str(k->in));
	struct credential_value v;
	struct err e = ERR_INIT;

	assert_int_equal(credential_read(copy, &v, &e), k->scope != 0 ? RC_OK : RC_CORRUPT);
	assert_int_equal(credential_scope(copy), k->scope);
	assert_int_equal(credential_wants_upgrade(copy), k->upgrade);
	for (size_t cut = 0; cut < copy.len; cut++) {
		struct slice part = unit_copy(slice_sub(copy, 0, cut));

		(void)!credential_read(part, &v, &e);
		unit_drop(part);
	}
	unit_drop(copy);
}

/* What `value` becomes when `password` is sent; "" if it stays. */
static enum rc
upgrade(const char *value, const char *password, char *dst, size_t size)
{
	struct err e = ERR_INIT;
	struct buf out;
	enum rc rc;

	dst[0] = '\0';
	buf_init(&out, CREDENTIAL_TEXT_MAX);
	rc = credential_upgrade(slice_str(value), slice_str(password), &out, &e);
	if (rc == RC_OK)
		assert_true(slice_to_cstr(buf_slice(&out), dst, size));
	buf_fini(&out);
	return rc;
}

static void
test_upgrade(void **state)
{
	char text[CREDENTIAL_TEXT_MAX + 1], more[CREDENTIAL_TEXT_MAX + 1];
	struct credential_value v;
	struct err e = ERR_INIT;

	(void)state;
	/* What is there stays, to the byte. */
	assert_int_equal(upgrade(GOOD, "pencil", text, sizeof text), RC_OK);
	assert_true(slice_starts(slice_str(text), SLICE(GOOD " SCRAM-SHA-1$")));
	assert_false(credential_wants_upgrade(slice_str(text)));
	assert_int_equal(upgrade(text, "pencil", more, sizeof more), RC_EXISTS);
	assert_int_equal(upgrade(GOOD_1 " only=imap", "pencil", text, sizeof text), RC_OK);
	assert_non_null(strstr(text, GOOD_1 " only=imap"));
	assert_int_equal(upgrade(GOOD, "Pencil", text, sizeof text), RC_DENIED);
	assert_int_equal(upgrade("pencil", "pencil", text, sizeof text), RC_CORRUPT);
	assert_int_equal(upgrade(APP, "pencil", text, sizeof text), RC_DENIED);
	/* A hash of crypt(3) goes. */
	assert_int_equal(upgrade("{CRYPT}" SHA512_PENCIL " only=pop3", "pencil", text, sizeof text),
	                 RC_OK);
	assert_int_equal(credential_read(slice_str(text), &v, &e), RC_OK);
	assert_null(v.crypt.ptr);
	assert_int_equal(v.only, SASL_SERVICE_POP3);
	assert_true(matches(slice_str(text), SLICE("pencil")));
	/* A password that was fit for crypt(3) and is not for SCRAM leaves it. */
	assert_int_equal(upgrade("{CRYPT}" SHA512_LATIN1, "caf\xe9", text, sizeof text), RC_SYNTAX);
	assert_true(matches(SLICE("{CRYPT}" SHA512_LATIN1), SLICE("caf\xe9")));
}

/* Both verifiers are of the password, each alone. */
static void
test_make_both(void **state)
{
	struct credential_value v;
	struct err e = ERR_INIT;
	struct buf out;

	(void)state;
	buf_init(&out, CREDENTIAL_TEXT_MAX);
	assert_int_equal(credential_make(SLICE("pencil"), &out, &e), RC_OK);
	assert_int_equal(credential_read(buf_slice(&out), &v, &e), RC_OK);
	assert_true(matches(v.scram_sha_256, SLICE("pencil")));
	assert_true(matches(v.scram_sha_1, SLICE("pencil")));
	assert_false(matches(v.scram_sha_1, SLICE("pencil ")));
	buf_fini(&out);
	assert_true(matches(SLICE(GOOD_1), SLICE("pencil")));
}

static const struct crypt_case {
	const char *name;
	const char *hash;
	const char *want;       /* in the error text; NULL: good, of "pencil" */
} crypt_cases[] = {
	{ "crypt: SHA-512",            SHA512_PENCIL, NULL },
	{ "crypt: SHA-512 with rounds", SHA512_ROUNDS, NULL },
	{ "crypt: SHA-256",            SHA256_PENCIL, NULL },
	{ "crypt: yescrypt",           YESCRYPT_PENCIL, NULL },
	{ "crypt: bcrypt 2b",          BCRYPT_PENCIL, NULL },
	{ "crypt: bcrypt 2y",          "$2y" BCRYPT_REST, NULL },
	{ "crypt: MD5",                "$1$abcdefgh$4wpe9m3BeGJqSvUjzRpKt/", "MD5" },
	{ "crypt: DES",                "ab01FAX.bQRSU", "method" },
	{ "crypt: empty",              "", "method" },
	{ "crypt: no method",          "$", "method" },
	{ "crypt: method alone",       "$6$", "cut" },
	{ "crypt: scrypt",             "$7$CU..../....2Q9obwLhin8qvQl6sisAO/$E1HizYWxBmnIH4sdPkd1UOML9t62Gf.wvNTnt5XFzs8",
	  "method" },
	{ "crypt: too many rounds",    "$6$rounds=500001$abcdefgh$" SHA512_HASH, "rounds" },
	{ "crypt: rounds overflow",    "$6$rounds=99999999999999999999$abcdefgh$" SHA512_HASH, "rounds" },
	{ "crypt: few rounds",         "$6$rounds=999$abcdefgh$" SHA512_HASH, "rounds" },
	{ "crypt: no salt",            "$6$$" SHA512_HASH, "salt" },
	{ "crypt: long salt",          "$6$abcdefghabcdefgha$" SHA512_HASH, "salt" },
	{ "crypt: salt with a colon",  "$6$abc:efgh$" SHA512_HASH, "salt" },
	{ "crypt: cut",                "$6$abcdefgh$" "abc", "cut" },
	{ "crypt: longer",             SHA512_PENCIL "a", "longer" },
	{ "crypt: bcrypt cost 13",     "$2b$13$abcdefghijklmnopqrstuuzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "cost" },
	{ "crypt: bcrypt cost 31",     "$2b$31$abcdefghijklmnopqrstuuzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "cost" },
	{ "crypt: bcrypt cost of one digit", "$2b$5$abcdefghijklmnopqrstuuzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "cost" },
	{ "crypt: yescrypt of 128 MiB", "$y$jCT$abcdefgh$" "0123456789012345678901234567890123456789abc", "MiB" },
	{ "crypt: yescrypt of more",   "$y$jzz$abcdefgh$" "0123456789012345678901234567890123456789abc", "MiB" },
	{ "crypt: yescrypt in parallel", "$y$j9T5.$abcdefgh$" "0123456789012345678901234567890123456789abc", "parameters" },
};

static void
test_crypt(void **state)
{
	const struct crypt_case *k = *state;
	struct slice copy = unit_copy(slice_str(k->hash));
	struct err e = ERR_INIT;
	bool match = true;

	if (k->want != NULL) {
		assert_int_equal(crypt_hash_examine(copy, &e), RC_SYNTAX);
		assert_non_null(strstr(e.text, k->want));
		assert_int_equal(crypt_hash_check(copy, SLICE("pencil"), &match, &e), RC_CORRUPT);
		assert_false(match);
	} else {
		assert_int_equal(crypt_hash_examine(copy, &e), RC_OK);
		assert_int_equal(crypt_hash_check(copy, SLICE("pencil"), &match, &e), RC_OK);
		assert_true(match);
		assert_int_equal(crypt_hash_check(copy, SLICE("pencil2"), &match, &e), RC_OK);
		assert_false(match);
		assert_int_equal(crypt_hash_check(copy, SLICE("pencil\0"), &match, &e), RC_OK);
		assert_false(match);
		for (size_t cut = 0; cut < copy.len; cut++) {
			struct slice part = unit_copy(slice_sub(copy, 0, cut));

			assert_int_equal(crypt_hash_examine(part, &e), RC_SYNTAX);
			unit_drop(part);
		}
	}
	unit_drop(copy);
}

static const struct import_case {
	const char *name;
	const char *in;
	const char *password;   /* that is good then; NULL: refused */
	const char *want;       /* how the value begins; or in the error text */
} import_cases[] = {
	{ "import: in clear",        "pencil",                      "pencil",     "SCRAM-SHA-256$" },
	{ "import: colon in clear",  "a:b",                         "a:b",        "SCRAM-SHA-256$" },
	{ "import: PLAIN",           "{PLAIN}{CRYPT}x",             "{CRYPT}x",   "SCRAM-SHA-256$" },
	{ "import: lower case",      "{plain}pencil",               "pencil",     "SCRAM-SHA-256$" },
	{ "import: CLEARTEXT",       "{CLEARTEXT}a:b",              "a:b",        "SCRAM-SHA-256$" },
	{ "import: brace alone",     "{",                           "{",          "SCRAM-SHA-256$" },
	{ "import: no word",         "{}x",                         "{}x",        "SCRAM-SHA-256$" },
	{ "import: space in braces", "{a b}x",                      "{a b}x",     "SCRAM-SHA-256$" },
	{ "import: CRYPT",           "{CRYPT}" SHA512_PENCIL,       "pencil",     "{CRYPT}$6$" },
	{ "import: fields behind",   "{CRYPT}" SHA512_PENCIL ":1:2::/home", "pencil", "{CRYPT}$6$" },
	{ "import: SHA512-CRYPT",    "{SHA512-CRYPT}" SHA512_PENCIL, "pencil",    "{CRYPT}$6$" },
	{ "import: SHA256-CRYPT",    "{SHA256-CRYPT}" SHA256_PENCIL, "pencil",    "{CRYPT}$5$" },
	{ "import: BLF-CRYPT",       "{BLF-CRYPT}$2y" BCRYPT_REST,  "pencil",     "{CRYPT}$2y$" },
	{ "import: SCRAM-SHA-256",   "{SCRAM-SHA-256}4096," SALT "," STORED "," SERVER, "pencil", GOOD },
	{ "import: SCRAM, fields behind", "{SCRAM-SHA-256}4096," SALT "," STORED "," SERVER ":1:2", "pencil", GOOD },
	{ "import: SCRAM-SHA-1",     "{SCRAM-SHA-1}4096,QSXCR+Q6sek8bf92," STORED_1 "," SERVER_1, "pencil", GOOD_1 },
	{ "import: hash alone",      SHA512_PENCIL,                 NULL,         "write {CRYPT}" },
	{ "import: MD5 alone",       "$1$abc$x",                    NULL,         "write {CRYPT}" },
	{ "import: other method",    "{SHA512-CRYPT}" SHA256_PENCIL, NULL,        "not of {SHA512-CRYPT}" },
	{ "import: unknown scheme",  "{SSHA}abcd",                  NULL,         "{PLAIN}{SSHA}" },
	{ "import: encoded",         "{SHA512-CRYPT.B64}abcd",      NULL,         "not known here" },
	{ "import: empty hash",      "{CRYPT}",                     NULL,         "method" },
	{ "import: space in a hash", "{CRYPT}$6$abcdefgh$ x",       NULL,         "cut" },
	{ "import: SCRAM cut",       "{SCRAM-SHA-256}4096," SALT "," STORED, NULL, "wants iterations" },
	{ "import: few iterations",  "{SCRAM-SHA-256}1," SALT "," STORED "," SERVER, NULL, "iteration" },
	{ "import: SCRAM with a space", "{SCRAM-SHA-256}4096," SALT "," STORED "," SERVER " only=imap", NULL, "ServerKey" },
};

static void
test_import(void **state)
{
	const struct import_case *k = *state;
	struct slice copy = unit_copy(slice_str(k->in));
	struct err e = ERR_INIT;
	struct buf out;

	buf_init(&out, CREDENTIAL_TEXT_MAX);
	if (k->password == NULL) {
		assert_int_equal(credential_import(copy, &out, &e), RC_SYNTAX);
		assert_non_null(strstr(e.text, k->want));
	} else {
		assert_int_equal(credential_import(copy, &out, &e), RC_OK);
		assert_true(slice_starts(buf_slice(&out), slice_str(k->want)));
		assert_true(matches(buf_slice(&out), slice_str(k->password)));
	}
	for (size_t cut = 0; k->in[0] == '{' && cut < copy.len; cut++) {
		struct slice part = unit_copy(slice_sub(copy, 0, cut));

		buf_reset(&out);
		(void)!credential_import(part, &out, &e);
		unit_drop(part);
	}
	buf_fini(&out);
	unit_drop(copy);
}

static void
test_app_password(void **state)
{
	char shown[APP_PASSWORD_TEXT_MAX + 1], other[APP_PASSWORD_TEXT_MAX + 1];
	struct err e = ERR_INIT;
	struct secret s;
	struct buf one;
	size_t at = 0;

	(void)state;
	buf_init(&one, CREDENTIAL_TEXT_MAX);
	assert_int_equal(secret_init(&s, APP_PASSWORD_TEXT_MAX, &e), RC_OK);
	assert_int_equal(app_password_make(&s, &one, &e), RC_OK);
	assert_true(slice_to_cstr(secret_slice(&s), shown, sizeof shown));
	assert_int_equal(strlen(shown), 34);
	assert_true(matches(buf_slice(&one), slice_str(shown)));
	/* As people copy it. */
	for (size_t i = 0; shown[i] != '\0'; i++)
		if (shown[i] != '-')
			other[at++] = (char)ascii_upper((uint8_t)shown[i]);
	other[at] = '\0';
	assert_int_equal(at, APP_PASSWORD_LEN);
	assert_true(matches(buf_slice(&one), slice_str(other)));
	other[3] = other[3] == 'A' ? 'B' : 'A';
	assert_false(matches(buf_slice(&one), slice_str(other)));
	other[at - 1] = '\0';
	assert_false(matches(buf_slice(&one), slice_str(other)));
	assert_false(matches(buf_slice(&one), SLICE("")));
	assert_false(matches(buf_slice(&one), SLICE("pencil")));
	secret_fini(&s);
	buf_fini(&one);
}

static void
test_labels(void **state)
{
	char longest[APP_PASSWORD_LABEL_MAX + 2];

	(void)state;
	memset(longest, 'x', sizeof longest);
	assert_true(app_password_is_label(SLICE("phone")));
	assert_false(app_password_is_label(SLICE("anna:phone")));
	assert_true(app_password_is_label(SLICE("K-9_mail@pixel+2.1")));
	assert_false(app_password_is_label(SLICE("")));
	assert_false(app_password_is_label(SLICE("my phone")));
	assert_false(app_password_is_label(SLICE("t\xc3\xa9l")));
	assert_false(app_password_is_label(SLICE("a\0b")));
	assert_true(app_password_is_label(slice_of(longest, APP_PASSWORD_LABEL_MAX)));
	assert_false(app_password_is_label(slice_of(longest, APP_PASSWORD_LABEL_MAX + 1)));
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
	assert_int_equal(credential_check_plain(SLICE("pencil"), SLICE("pencil"), &match, &e),
	                 RC_CORRUPT);
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
	assert_int_equal(credential_make(SLICE("gr\xc3\xbc\xc3\x9f"), &one, &e), RC_OK);
	assert_int_equal(credential_make(SLICE("gr\xc3\xbc\xc3\x9f"), &two, &e), RC_OK);
	assert_false(slice_eq(buf_slice(&one), buf_slice(&two)));       /* salted */
	assert_true(matches(buf_slice(&one), SLICE("gr\xc3\xbc\xc3\x9f")));
	assert_true(matches(buf_slice(&one), SLICE("gru\xcc\x88\xc3\x9f")));
	assert_false(matches(buf_slice(&one), SLICE("gr\xc3\xbcss")));
	assert_int_equal(credential_parse(slice_sub(buf_slice(&two), 0,
	                                            slice_find_byte(buf_slice(&two), ' ')),
	                                  &c, &e),
	                 RC_OK);
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
	assert_int_equal(credential_make(SLICE(""), &out, &e), RC_SYNTAX);
	assert_string_equal(e.text, "password: empty");
	assert_int_equal(credential_make(SLICE("a\tb"), &out, &e), RC_SYNTAX);
	assert_int_equal(credential_make(SLICE("caf\xe9"), &out, &e), RC_SYNTAX);
	assert_string_equal(e.text, "password: not UTF-8 at octet 4");
	assert_int_equal(out.len, 0);
	buf_fini(&out);
	buf_init(&out, 20);
	assert_int_equal(credential_make(SLICE("pencil"), &out, &e), RC_LIMIT);
	buf_fini(&out);
}

int
main(void)
{
	struct CMUnitTest tests[8 + UNIT_COUNT(prep_cases) + UNIT_COUNT(parse_cases) +
	                        UNIT_COUNT(value_cases) + UNIT_COUNT(crypt_cases) +
	                        UNIT_COUNT(import_cases)] = {
		cmocka_unit_test(test_prep_limits),  cmocka_unit_test(test_check_example),
		cmocka_unit_test(test_make),         cmocka_unit_test(test_make_refuses),
		cmocka_unit_test(test_make_both),    cmocka_unit_test(test_upgrade),
		cmocka_unit_test(test_app_password), cmocka_unit_test(test_labels),
	};
	size_t n = 8;

	for (size_t i = 0; i < UNIT_COUNT(prep_cases); i++)
		tests[n++] = (struct CMUnitTest){ prep_cases[i].name, test_prep, NULL, NULL,
			                          (void *)(uintptr_t)&prep_cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(parse_cases); i++)
		tests[n++] = (struct CMUnitTest){ parse_cases[i].name, test_parse, NULL, NULL,
			                          (void *)(uintptr_t)&parse_cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(value_cases); i++)
		tests[n++] = (struct CMUnitTest){ value_cases[i].name, test_value, NULL, NULL,
			                          (void *)(uintptr_t)&value_cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(crypt_cases); i++)
		tests[n++] = (struct CMUnitTest){ crypt_cases[i].name, test_crypt, NULL, NULL,
			                          (void *)(uintptr_t)&crypt_cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(import_cases); i++)
		tests[n++] = (struct CMUnitTest){ import_cases[i].name, test_import, NULL, NULL,
			                          (void *)(uintptr_t)&import_cases[i] };
	return cmocka_run_group_tests_name("sasl_credential", tests, NULL, NULL);
}
