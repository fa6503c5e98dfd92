/* SCRAM, EXTERNAL, LOGIN, ANONYMOUS through the real libsasl2: what each takes for a proof, and
 * what it does not; which mechanisms which connection is offered. PLAIN is in test_sasl_exchange.
 * The accounts are:
 *
 *   anna      id 1, password "pencil"; found under any case
 *   bert      id 2, password "pencil"
 *   closed    id 3, password "pencil", locked
 *   newcomer  id 4, no password
 *   old       id 5, password "pencil", SCRAM-SHA-256 only
 *   flaky     cannot be looked up
 */
#include "tests/unit/sasl_fixture.h"

#include "sasl/credential.h"
#include "sasl/internal.h"
#include "sasl/library.h"
#include "tests/scram_client.h"

static uint8_t pencil_text[CREDENTIAL_TEXT_MAX];
static struct sasl_verifier pencil[1], old[1];

static const struct sasl_account fakes[] = {
	{ SLICE_INIT("anna"),     1, false, pencil, 1 },
	{ SLICE_INIT("bert"),     2, false, pencil, 1 },
	{ SLICE_INIT("closed"),   3, true,  pencil, 1 },
	{ SLICE_INIT("newcomer"), 4, false, NULL,   0 },
	{ SLICE_INIT("old"),      5, false, old,    1 },
	{ SLICE_INIT("twin"),     1, false, pencil, 1 },        /* of another volume */
};

static struct sasl_fakes all_fakes = { fakes, UNIT_COUNT(fakes) };
static const struct sasl_accounts accounts = { .arg = &all_fakes, .find = sasl_fixture_find };

#define EXPORTER "the exporter of this connection!"
#define ENDPOINT "the hash of our own certificate."

static bool
fake_binding(void *arg, struct slice type, uint8_t *out, size_t cap, size_t *len)
{
	const char *data = slice_eq(type, SLICE("tls-exporter")) ? EXPORTER : ENDPOINT;

	assert_true(slice_eq(type, SLICE("tls-exporter")) ||
	            slice_eq(type, SLICE("tls-server-end-point")));
	assert_true(cap >= 64);
	if (arg != NULL && slice_eq(type, slice_str(arg)))      /* this one is not there */
		return false;
	*len = strlen(data);
	memcpy(out, data, *len);
	return true;
}

static const char *const admins[] = { "Nobody", "ANNA" };

static const struct sasl_policy policy = { .mechanisms = SASL_MECH_ALL, .admins = admins,
                                           .nadmins = 2,
	                                   .sources = { .own = true } };
static const struct sasl_setup setup = { .service = "imap", .host = "mail.example", .tls = true,
                                         .accounts = &accounts,
	                                 .policy = &policy,
	                                 .secret = SLICE_INIT("the volume's secret"),
	                                 .binding = fake_binding };
static const struct sasl_setup unbound = { .service = "imap", .host = "mail.example", .tls = true,
	                                   .accounts = &accounts, .policy = &policy,
	                                   .secret = SLICE_INIT("the volume's secret") };

/* ---- an exchange of any mechanism ---- */

struct talk {
	struct sasl_exchange *x;
	struct buf            challenge;
	char                  text[SASL_MESSAGE_MAX + 1];       /* of the challenge */
};

static void
talk_begin(struct talk *t, const struct sasl_setup *s)
{
	struct err e = ERR_INIT;

	*t = (struct talk){ .x = NULL };
	assert_int_equal(sasl_exchange_new(s, &t->x, &e), RC_OK);
	buf_init(&t->challenge, SASL_MESSAGE_MAX);
}

static void
talk_end(struct talk *t)
{
	sasl_exchange_free(&t->x);
	buf_fini(&t->challenge);
}

static enum sasl_result
note(struct talk *t, enum sasl_result r)
{
	assert_true(slice_to_cstr(buf_slice(&t->challenge), t->text, sizeof t->text));
	return r;
}

static enum sasl_result
say_first(struct talk *t, const char *mechanism, const char *message)
{
	struct slice copy = message != NULL ? unit_copy(slice_str(message)) : SLICE_NONE;
	enum sasl_result r = sasl_exchange_start(t->x, slice_str(mechanism), copy, &t->challenge);

	if (message != NULL)
		unit_drop(copy);
	return note(t, r);
}

static enum sasl_result
say(struct talk *t, const char *message)
{
	struct slice copy = unit_copy(slice_str(message));
	enum sasl_result r = sasl_exchange_step(t->x, copy, &t->challenge);

	unit_drop(copy);
	return note(t, r);
}

/* Who it is at the end: "anna for bert by SCRAM-SHA-256 with password", or "". */
static void
assert_success(struct talk *t, const char *want)
{
	const struct sasl_success *s = sasl_exchange_success(t->x);
	char text[900];

	snprintf(text, sizeof text, "%s for %s by %s with %s%s", s->authenticated.name,
	         s->authorized.name, s->mechanism, s->credential[0] != '\0' ? s->credential : "-",
	         s->anonymous ? ", anonymous" : "");
	assert_string_equal(text, want);
}

/* ---- SCRAM ---- */

static enum sasl_result
scram(const struct sasl_setup *s, const char *mechanism, struct scram_client *c, bool initial,
      struct talk *t)
{
	char first[1024], final[1600];
	enum sasl_result r;

	talk_begin(t, s);
	scram_client_first(c, first);
	r = say_first(t, mechanism, initial ? first : NULL);
	if (!initial) {
		assert_int_equal(r, SASL_EX_CONTINUE);
		assert_string_equal(t->text, "");
		r = say(t, first);
	}
	if (r != SASL_EX_CONTINUE)
		return r;
	assert_true(scram_client_final(c, t->text, final));
	r = say(t, final);
	if (r != SASL_EX_CONTINUE)
		return r;
	assert_string_equal(t->text, c->server_final);  /* the server proves itself, too */
	return say(t, "");
}

static const struct scram_case {
	const char      *name, *mechanism, *header;
	struct slice     binding;
	const char      *user, *password;
	enum sasl_result want;
	const char      *who;           /* or what the log is told */
} scram_cases[] = {
#define P256 "SCRAM-SHA-256"
#define P1   "SCRAM-SHA-1"
	{ "scram: 256", P256, "n,,", SLICE_INIT(""), "anna", "pencil", SASL_EX_OK,
	  "anna for anna by SCRAM-SHA-256 with password" },
	{ "scram: 1", P1, "n,,", SLICE_INIT(""), "anna", "pencil", SASL_EX_OK, "anna for anna by SCRAM-SHA-1 with password" },
	{ "scram: 256 in another case", "scram-sha-256", "n,,", SLICE_INIT(""), "ANNA", "pencil", SASL_EX_OK,
	  "anna for anna by SCRAM-SHA-256 with password" },
	{ "scram: plus, exporter", P256 "-PLUS", "p=tls-exporter,,", SLICE_INIT(EXPORTER), "anna", "pencil", SASL_EX_OK,
	  "anna for anna by SCRAM-SHA-256-PLUS with password" },
	{ "scram: plus, end point", P256 "-PLUS", "p=tls-server-end-point,,", SLICE_INIT(ENDPOINT), "anna", "pencil",
	  SASL_EX_OK, "anna for anna by SCRAM-SHA-256-PLUS with password" },
	{ "scram: 1 plus", P1 "-PLUS", "p=tls-exporter,,", SLICE_INIT(EXPORTER), "bert", "pencil", SASL_EX_OK,
	  "bert for bert by SCRAM-SHA-1-PLUS with password" },
	{ "scram: as oneself", P256, "n,a=Anna,", SLICE_INIT(""), "anna", "pencil", SASL_EX_OK,
	  "anna for anna by SCRAM-SHA-256 with password" },
	{ "scram: an admin as another", P256, "n,a=bert,", SLICE_INIT(""), "anna", "pencil", SASL_EX_OK,
	  "anna for bert by SCRAM-SHA-256 with password" },
	{ "scram: an admin as nobody", P256, "n,a=nemo,", SLICE_INIT(""), "anna", "pencil", SASL_EX_UNAUTHORIZED,
	  "asked to act as an account that there is not" },
	{ "scram: an admin as a locked one", P256, "n,a=closed,", SLICE_INIT(""), "anna", "pencil", SASL_EX_UNAUTHORIZED,
	  "asked to act as an account that is locked" },
	{ "scram: as one of the same id", P256, "n,a=anna,", SLICE_INIT(""), "twin", "pencil", SASL_EX_UNAUTHORIZED,
	  "asked to act as another account" },
	{ "scram: another as the admin", P256, "n,a=anna,", SLICE_INIT(""), "bert", "pencil", SASL_EX_UNAUTHORIZED,
	  "asked to act as another account" },
	{ "scram: another as nobody", P256, "n,a=nemo,", SLICE_INIT(""), "bert", "pencil", SASL_EX_UNAUTHORIZED,
	  "asked to act as another account" },
	{ "scram: another with a wrong password", P256, "n,a=anna,", SLICE_INIT(""), "bert", "pencel", SASL_EX_FAILED,
	  "wrong password" },
	{ "scram: wrong password", P256, "n,,", SLICE_INIT(""), "anna", "pencel", SASL_EX_FAILED, "wrong password" },
	{ "scram: unknown", P256, "n,,", SLICE_INIT(""), "nemo", "pencil", SASL_EX_FAILED, "unknown account" },
	{ "scram: unknown for anna", P256, "n,a=anna,", SLICE_INIT(""), "nemo", "pencil", SASL_EX_FAILED, "unknown account" },
	{ "scram: locked", P256, "n,,", SLICE_INIT(""), "closed", "pencil", SASL_EX_FAILED, "account is locked" },
	{ "scram: no verifier", P256, "n,,", SLICE_INIT(""), "newcomer", "", SASL_EX_FAILED,
	  "account has no verifier for SCRAM-SHA-256; a login that sends the password makes one" },
	{ "scram: no verifier of this hash", P1, "n,,", SLICE_INIT(""), "old", "pencil", SASL_EX_FAILED,
	  "account has no verifier for SCRAM-SHA-1; a login that sends the password makes one" },
	{ "scram: verifier of the other hash", P256, "n,,", SLICE_INIT(""), "old", "pencil", SASL_EX_OK,
	  "old for old by SCRAM-SHA-256 with password" },
	{ "scram: look-up fails", P256, "n,,", SLICE_INIT(""), "flaky", "pencil", SASL_EX_TEMPFAIL,
	  "authentication identity: no index" },
	{ "scram: look-up of the other fails", P256, "n,a=flaky,", SLICE_INIT(""), "anna", "pencil", SASL_EX_TEMPFAIL,
	  "authorization identity: no index" },
	/* [RFC 5802 s6] */
	{ "bind: other data", P256 "-PLUS", "p=tls-exporter,,", SLICE_INIT("the exporter of another server!!"), "anna", "pencil",
	  SASL_EX_FAILED, "channel binding does not match: is somebody between the client and us?" },
	{ "bind: data of the other type", P256 "-PLUS", "p=tls-exporter,,", SLICE_INIT(ENDPOINT), "anna", "pencil",
	  SASL_EX_FAILED, "channel binding does not match: is somebody between the client and us?" },
	{ "bind: no data", P256 "-PLUS", "p=tls-exporter,,", SLICE_INIT(""), "anna", "pencil", SASL_EX_FAILED,
	  "channel binding does not match: is somebody between the client and us?" },
	{ "bind: data cut", P256 "-PLUS", "p=tls-exporter,,", SLICE_INIT("the exporter of this connection"), "anna", "pencil",
	  SASL_EX_FAILED, "channel binding does not match: is somebody between the client and us?" },
	{ "bind: data and more", P256 "-PLUS", "p=tls-exporter,,", SLICE_INIT(EXPORTER "!"), "anna", "pencil", SASL_EX_FAILED,
	  "channel binding does not match: is somebody between the client and us?" },
	{ "bind: unknown name, other data", P256 "-PLUS", "p=tls-exporter,,", SLICE_INIT("x"), "nemo", "pencil",
	  SASL_EX_FAILED, "channel binding does not match: is somebody between the client and us?" },
	{ "bind: tls-unique", P256 "-PLUS", "p=tls-unique,,", SLICE_INIT(EXPORTER), "anna", "pencil", SASL_EX_FAILED,
	  "this connection has no channel binding of the type that the client asks for" },
	{ "bind: no type", P256 "-PLUS", "p=,,", SLICE_INIT(EXPORTER), "anna", "pencil", SASL_EX_FAILED,
	  "this connection has no channel binding of the type that the client asks for" },
	{ "bind: under the name without -PLUS", P256, "p=tls-exporter,,", SLICE_INIT(EXPORTER), "anna", "pencil",
	  SASL_EX_FAILED, "channel binding asked for, but not by a -PLUS mechanism" },
	{ "bind: -PLUS without", P256 "-PLUS", "n,,", SLICE_INIT(""), "anna", "pencil", SASL_EX_FAILED,
	  "a -PLUS mechanism without channel binding" },
	{ "bind: -PLUS and y", P1 "-PLUS", "y,,", SLICE_INIT(""), "anna", "pencil", SASL_EX_FAILED,
	  "a -PLUS mechanism without channel binding" },
	{ "bind: downgrade", P256, "y,,", SLICE_INIT(""), "anna", "pencil", SASL_EX_FAILED,
	  "the client was not told of -PLUS, which is offered here: is somebody between it and us?" },
	{ "bind: downgrade, 1", P1, "y,,", SLICE_INIT(""), "anna", "pencil", SASL_EX_FAILED,
	  "the client was not told of -PLUS, which is offered here: is somebody between it and us?" },
	{ "bind: data behind n", P256, "n,,", SLICE_INIT(EXPORTER), "anna", "pencil", SASL_EX_FAILED,
	  "c= is not the header that the client began with" },
};

static void
test_scram(void **state)
{
	const struct scram_case *k = *state;

	for (unsigned initial = 0; initial < 2; initial++) {
		struct scram_client c = { .hash = strstr(k->mechanism, "256") != NULL ? "SHA-256"
		                          : "SHA-1", .header = k->header,
			                  .binding = k->binding, .user = k->user,
			                  .password = k->password };
		struct talk t;

		assert_int_equal(scram(&setup, k->mechanism, &c, initial == 1, &t), k->want);
		if (k->want == SASL_EX_OK)
			assert_success(&t, k->who);
		else
			assert_string_equal(sasl_exchange_error(t.x)->text, k->who);
		talk_end(&t);
	}
}

/* "y" is right where -PLUS is not offered. */
static void
test_scram_y_unbound(void **state)
{
	struct scram_client c = { .hash = "SHA-256", .header = "y,,", .user = "anna",
	                          .password = "pencil" };
	struct talk t;

	(void)state;
	assert_int_equal(scram(&unbound, P256, &c, true, &t), SASL_EX_OK);
	talk_end(&t);
}

static const struct message_case {
	const char      *name, *first, *final;  /* final NULL: refused at once. $R
	                                         * stands for the nonce */
	enum sasl_result want;
} message_cases[] = {
	{ "message: empty, then nothing", "", NULL, SASL_EX_CONTINUE },
	{ "message: no header", "n=anna,r=abcdefgh", NULL, SASL_EX_MALFORMED },
	{ "message: unknown flag", "x,,n=anna,r=abcdefgh", NULL, SASL_EX_MALFORMED },
	{ "message: one comma", "n,n=anna", NULL, SASL_EX_MALFORMED },
	{ "message: no comma", "nnnnnnnnnnnnnnnn", NULL, SASL_EX_MALFORMED },
	{ "message: flag and more", "nn,,n=anna,r=abcdefgh", NULL, SASL_EX_MALFORMED },
	{ "message: no authzid tag", "n,bert,n=anna,r=abcdefgh", NULL, SASL_EX_MALFORMED },
	{ "message: no name", "n,,r=abcdefgh", NULL, SASL_EX_MALFORMED },
	{ "message: empty name", "n,,n=,r=abcdefgh", NULL, SASL_EX_MALFORMED },
	{ "message: no nonce", "n,,n=anna", NULL, SASL_EX_MALFORMED },
	{ "message: mandatory extension", "n,,m=1,n=anna,r=abcdefgh", NULL, SASL_EX_MALFORMED },
	{ "message: bad escape", "n,,n=an=2Xna,r=abcdefgh", NULL, SASL_EX_MALFORMED },
	{ "message: control in the name", "n,,n=an\001na,r=abcdefgh", NULL, SASL_EX_MALFORMED },
	{ "message: optional extension", "n,,n=anna,r=abcdefgh,x=1", NULL, SASL_EX_CONTINUE },
	{ "message: escapes", "n,a=an=3Dna,n=a=2Cn,r=abcdefgh", NULL, SASL_EX_CONTINUE },
	{ "message: final empty", "n,,n=anna,r=abcdefgh", "", SASL_EX_MALFORMED },
	{ "message: final without c=", "n,,n=anna,r=abcdefgh", "r=$R,p=YWJj", SASL_EX_MALFORMED },
	{ "message: c= no base64", "n,,n=anna,r=abcdefgh", "c=bi!s,r=$R,p=YWJj", SASL_EX_MALFORMED },
	{ "message: c= of another header", "n,,n=anna,r=abcdefgh", "c=eSws,r=$R,p=YWJj", SASL_EX_FAILED },
	{ "message: no proof", "n,,n=anna,r=abcdefgh", "c=biws,r=$R", SASL_EX_MALFORMED },
	{ "message: short proof", "n,,n=anna,r=abcdefgh", "c=biws,r=$R,p=YWJj", SASL_EX_MALFORMED },
	{ "message: nonce of our own missing", "n,,n=anna,r=abcdefgh",
	  "c=biws,r=abcdefgh,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", SASL_EX_MALFORMED },
	{ "message: proof of zeros", "n,,n=anna,r=abcdefgh",
	  "c=biws,r=$R,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", SASL_EX_FAILED },
	{ "message: something behind the proof", "n,,n=anna,r=abcdefgh",
	  "c=biws,r=$R,p=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=,x=1", SASL_EX_MALFORMED },
};

static void
test_message(void **state)
{
	const struct message_case *k = *state;
	struct talk t;
	char final[800], nonce[500];
	const char *at;
	enum sasl_result r;

	talk_begin(&t, &setup);
	r = say_first(&t, P256, k->first);
	if (k->final != NULL) {
		assert_int_equal(r, SASL_EX_CONTINUE);
		assert_int_equal(sscanf(t.text, "r=%499[^,]", nonce), 1);
		at = strstr(k->final, "$R");
		snprintf(final, sizeof final, "%.*s%s%s", at != NULL ? (int)(at - k->final) : 700,
		         k->final, at != NULL ? nonce : "", at != NULL ? at + 2 : "");
		r = say(&t, final);
	}
	assert_int_equal(r, k->want);
	talk_end(&t);
}

/* What the server shows of an account: salt and count. */
static void
show(const struct sasl_setup *s, const char *mechanism, const char *user, char out[300])
{
	struct scram_client c = { .hash = strstr(mechanism, "256") != NULL ? "SHA-256" : "SHA-1",
	                          .header = "n,,", .user = user,
		                  .password = "?" };
	struct talk t;

	assert_int_equal(scram(s, mechanism, &c, true, &t), SASL_EX_FAILED);
	snprintf(out, 300, "%s %u", c.salt, c.iterations);
	talk_end(&t);
}

/* Unknown, locked and without a verifier look like accounts with a wrong password: the same at each
 * try and in each spelling, each name another, also behind a restart. */
static void
test_fakes(void **state)
{
	static const char *const names[] = { "nemo", "closed", "newcomer", "anna" };
	char first[4][300], again[300], real[300];
	struct err e = ERR_INIT;

	(void)state;
	show(&setup, P256, "anna", real);
	for (size_t i = 0; i < UNIT_COUNT(names); i++) {
		show(&setup, P256, names[i], first[i]);
		assert_int_equal(strlen(first[i]), strlen(real));
		assert_string_equal(strchr(first[i], ' '), strchr(real, ' '));
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(first[i], first[k]);
		show(&setup, P256, names[i], again);
		assert_string_equal(first[i], again);
	}
	show(&setup, P256, "nEMo", again);
	assert_string_equal(first[0], again);
	sasl_library_fini();
	assert_int_equal(sasl_library_init(NULL, &e), RC_OK);
	show(&setup, P256, "nemo", again);
	assert_string_equal(first[0], again);
	show(&setup, P1, "nemo", again);
	assert_string_not_equal(first[0], again);
}

/* Another secret makes other salts; without one they last as long as the process. */
static void
test_fakes_secret(void **state)
{
	struct sasl_setup other = setup, none = setup;
	char ours[300], theirs[300];

	(void)state;
	other.secret = SLICE("another secret");
	none.secret = SLICE("");
	show(&setup, P256, "nemo", ours);
	show(&other, P256, "nemo", theirs);
	assert_string_not_equal(ours, theirs);
	show(&none, P256, "nemo", ours);
	show(&none, P256, "nemo", theirs);
	assert_string_equal(ours, theirs);
}

/* The server's last words are answered with nothing. */
static void
test_after_success(void **state)
{
	struct scram_client c = { .hash = "SHA-256", .header = "n,,", .user = "anna",
	                          .password = "pencil" };
	char first[1024], final[1600];
	struct talk t;

	(void)state;
	talk_begin(&t, &setup);
	assert_int_equal(say_first(&t, P256, scram_client_first(&c, first)), SASL_EX_CONTINUE);
	assert_true(scram_client_final(&c, t.text, final));
	assert_int_equal(say(&t, final), SASL_EX_CONTINUE);
	assert_int_equal(say(&t, "and one more thing"), SASL_EX_MALFORMED);
	talk_end(&t);
}

/* Left at any point. Valgrind and AddressSanitizer look at what stays behind. */
static void
test_dead(void **state)
{
	struct scram_client c = { .hash = "SHA-256", .header = "p=tls-exporter,,",
	                          .binding = SLICE(EXPORTER), .user = "anna",
		                  .password = "pencil" };
	char first[1024], final[1600];
	struct talk t;

	(void)state;
	for (unsigned steps = 0; steps < 5; steps++) {
		talk_begin(&t, &setup);
		if (steps > 0)
			assert_int_equal(say_first(&t, P256 "-PLUS", NULL), SASL_EX_CONTINUE);
		if (steps > 1)
			assert_int_equal(say(&t, scram_client_first(&c, first)), SASL_EX_CONTINUE);
		if (steps > 2) {
			assert_true(scram_client_final(&c, t.text, final));
			assert_int_equal(say(&t, final), SASL_EX_CONTINUE);
		}
		if (steps > 3)
			assert_int_equal(sasl_exchange_cancel(t.x), SASL_EX_CANCELLED);
		talk_end(&t);
	}
}

/* ---- LOGIN, EXTERNAL, ANONYMOUS ---- */

static const struct plain_case {
	const char      *name, *mechanism, *external, *anonymous;
	const char      *said[3];       /* NULL: no initial response, or the end */
	enum sasl_result want;
	const char      *who;
} plain_cases[] = {
	{ "login: right", "LOGIN", "", "", { NULL, "anna", "pencil" }, SASL_EX_OK, "anna for anna by LOGIN with password" },
	{ "login: name in another case", "LOGIN", "", "", { NULL, "ANNA", "pencil" }, SASL_EX_OK,
	  "anna for anna by LOGIN with password" },
	{ "login: name at once", "LOGIN", "", "", { "anna" }, SASL_EX_MALFORMED, "LOGIN has no initial response" },
	{ "login: empty at once", "LOGIN", "", "", { "" }, SASL_EX_MALFORMED, "LOGIN has no initial response" },
	{ "login: wrong", "LOGIN", "", "", { NULL, "anna", "pencel" }, SASL_EX_FAILED, "wrong password" },
	{ "login: unknown", "LOGIN", "", "", { NULL, "nemo", "pencil" }, SASL_EX_FAILED, "unknown account" },
	{ "login: locked", "LOGIN", "", "", { NULL, "closed", "pencil" }, SASL_EX_FAILED, "account is locked" },
	{ "login: empty password", "LOGIN", "", "", { NULL, "anna", "" }, SASL_EX_FAILED, "wrong password" },
	{ "login: empty name", "LOGIN", "", "", { NULL, "", "pencil" }, SASL_EX_MALFORMED,
	  "authentication identity: a name has 1 to 255 octets" },
	{ "login: control in the name", "LOGIN", "", "", { NULL, "an\001na", "pencil" }, SASL_EX_MALFORMED,
	  "authentication identity: the name holds a control character" },
	{ "login: look-up fails", "LOGIN", "", "", { NULL, "flaky", "pencil" }, SASL_EX_TEMPFAIL,
	  "authentication identity: no index" },
	{ "external: right", "EXTERNAL", "anna", "", { "" }, SASL_EX_OK, "anna for anna by EXTERNAL with -" },
	{ "external: without initial", "EXTERNAL", "anna", "", { NULL, "" }, SASL_EX_OK, "anna for anna by EXTERNAL with -" },
	{ "external: as oneself", "EXTERNAL", "Anna", "", { "anna" }, SASL_EX_OK, "anna for anna by EXTERNAL with -" },
	{ "external: an admin as another", "EXTERNAL", "anna", "", { "bert" }, SASL_EX_OK, "anna for bert by EXTERNAL with -" },
	{ "external: as another", "EXTERNAL", "bert", "", { "anna" }, SASL_EX_UNAUTHORIZED, "asked to act as another account" },
	{ "external: as one of the same id", "EXTERNAL", "twin", "", { "anna" }, SASL_EX_UNAUTHORIZED,
	  "asked to act as another account" },
	{ "external: of an admin's id", "EXTERNAL", "twin", "", { "bert" }, SASL_EX_UNAUTHORIZED,
	  "asked to act as another account" },
	{ "external: as nobody", "EXTERNAL", "bert", "", { "nemo" }, SASL_EX_UNAUTHORIZED, "asked to act as another account" },
	{ "external: no such account", "EXTERNAL", "nemo", "", { "" }, SASL_EX_FAILED, "unknown account" },
	{ "external: no such account, as one", "EXTERNAL", "nemo", "", { "anna" }, SASL_EX_UNAUTHORIZED,
	  "asked to act as another account" },
	{ "external: locked", "EXTERNAL", "closed", "", { "" }, SASL_EX_FAILED, "account is locked" },
	{ "external: without a password", "EXTERNAL", "newcomer", "", { "" }, SASL_EX_OK,
	  "newcomer for newcomer by EXTERNAL with -" },
	{ "external: look-up fails", "EXTERNAL", "flaky", "", { "" }, SASL_EX_TEMPFAIL, "authentication identity: no index" },
	{ "external: called anonymous", "EXTERNAL", "anonymous", "", { "" }, SASL_EX_FAILED, NULL },
	{ "external: no certificate", "EXTERNAL", "", "", { "" }, SASL_EX_NO_MECHANISM, NULL },
	{ "external: no certificate, a name", "EXTERNAL", "", "", { "anna" }, SASL_EX_NO_MECHANISM, NULL },
	{ "anonymous: right", "ANONYMOUS", "", "bert", { "someone@example.org" }, SASL_EX_OK,
	  "bert for bert by ANONYMOUS with -, anonymous" },
	{ "anonymous: without a trace", "ANONYMOUS", "", "bert", { NULL, "" }, SASL_EX_OK,
	  "bert for bert by ANONYMOUS with -, anonymous" },
	{ "anonymous: naming another", "ANONYMOUS", "", "bert", { "anna" }, SASL_EX_OK,
	  "bert for bert by ANONYMOUS with -, anonymous" },
	{ "anonymous: account is not there", "ANONYMOUS", "", "nemo", { "x" }, SASL_EX_FAILED, "unknown account" },
	{ "anonymous: account is locked", "ANONYMOUS", "", "closed", { "x" }, SASL_EX_FAILED, "account is locked" },
	{ "anonymous: off", "ANONYMOUS", "", "", { "x" }, SASL_EX_NO_MECHANISM, NULL },
};

static void
test_plain(void **state)
{
	const struct plain_case *k = *state;
	struct sasl_policy p = policy;
	struct sasl_setup s = setup;
	struct talk t;
	enum sasl_result r;

	p.anonymous = k->anonymous;
	s.policy = &p;
	s.external = slice_str(k->external);
	talk_begin(&t, &s);
	r = say_first(&t, k->mechanism, k->said[0]);
	for (size_t i = 1; i < 3 && k->said[i] != NULL; i++) {
		assert_int_equal(r, SASL_EX_CONTINUE);
		r = say(&t, k->said[i]);
	}
	assert_int_equal(r, k->want);
	if (r == SASL_EX_OK)
		assert_success(&t, k->who);
	else if (k->who != NULL)
		assert_string_equal(sasl_exchange_error(t.x)->text, k->who);
	talk_end(&t);
}

/* ---- proofs ---- */

/* What libsasl2 says does not let in by itself; nor does the proof of another mechanism. */
static void
test_proofs(void **state)
{
	struct talk t;

	(void)state;
	talk_begin(&t, &setup);
	assert_int_equal(say_first(&t, "PLAIN", NULL), SASL_EX_CONTINUE);
	t.x->authc.known = true;
	t.x->genuine = true;
	sasl_exchange_prove_token(t.x);
	assert_int_equal(t.x->proof, PROOF_NONE);
	t.x->proof = PROOF_EXTERNAL;
	assert_int_equal(sasl_exchange_step(t.x, SLICE("\0anna\0pencel"), &t.challenge),
	                 SASL_EX_FAILED);
	assert_int_equal(t.x->proof, PROOF_NONE);
	talk_end(&t);
	for (unsigned m = 0; m < SASL_MECH_COUNT; m++)
		assert_int_not_equal(sasl_proof_of((enum sasl_mechanism)m), PROOF_NONE);
}

/* libsasl2 accepts, but it was not given the account's verifier: a fault, and nobody gets in. */
static void
test_accepted_without_proof(void **state)
{
	struct scram_client c = { .hash = "SHA-256", .header = "n,,", .user = "anna",
	                          .password = "pencil" };
	char first[1024], final[1600];
	struct talk t;

	(void)state;
	talk_begin(&t, &setup);
	assert_int_equal(say_first(&t, P256, scram_client_first(&c, first)), SASL_EX_CONTINUE);
	assert_true(scram_client_final(&c, t.text, final));
	assert_true(t.x->genuine);
	t.x->genuine = false;
	t.x->proof = PROOF_PASSWORD;            /* that of another mechanism */
	assert_int_equal(say(&t, final), SASL_EX_TEMPFAIL);
	assert_string_equal(sasl_exchange_error(t.x)->text,
	                    "libsasl2 accepts SCRAM-SHA-256 without its proof");
	talk_end(&t);
}

/* ---- the list ---- */

/* Every set of mechanisms on every kind of connection: what is offered is a part of what is
 * configured, what a connection cannot do is not offered, and what would need the password
 * itself never is. */
static void
check_offer(uint32_t configured, unsigned kind, struct sasl_setup s)
{
	struct sasl_policy p = policy;
	char names[SASL_MECHANISMS_TEXT];
	bool privacy, bound;
	uint32_t want = 0;

	p.mechanisms = configured;
	s.policy = &p;
	s.tls = (kind & 1) != 0;
	s.cleartext_ok = (kind & 2) != 0;
	s.external = slice_str((kind & 4) != 0 ? "anna" : "");
	s.binding = (kind & 8) != 0 ? fake_binding : NULL;
	p.anonymous = (kind & 16) != 0 ? "bert" : "";
	privacy = s.tls || s.cleartext_ok;
	bound = s.tls && s.binding != NULL;
	if (s.tls && s.external.len > 0)
		want |= SASL_MECH_BIT(SASL_MECH_EXTERNAL);
	if (bound)
		want |= SASL_MECH_BIT(SASL_MECH_SCRAM_SHA_256_PLUS) |
		        SASL_MECH_BIT(SASL_MECH_SCRAM_SHA_1_PLUS);
	if (privacy)
		want |= SASL_MECH_BIT(SASL_MECH_SCRAM_SHA_256) |
		        SASL_MECH_BIT(SASL_MECH_SCRAM_SHA_1) | SASL_MECH_BIT(SASL_MECH_PLAIN) |
		        SASL_MECH_BIT(SASL_MECH_LOGIN);
	if (privacy && p.anonymous[0] != '\0')
		want |= SASL_MECH_BIT(SASL_MECH_ANONYMOUS);
	assert_int_equal(sasl_offered(&s), want & configured);
	sasl_mechanisms(&s, names);
	assert_null(strstr(names, "MD5"));
	assert_null(strstr(names, "NTLM"));
	assert_null(strstr(names, "APOP"));
}

static void
test_offer(void **state)
{
	(void)state;
	for (uint32_t configured = 0; configured <= SASL_MECH_ALL; configured++)
		for (unsigned kind = 0; kind < 32; kind++)
			check_offer(configured, kind, setup);
}

static void
test_order(void **state)
{
	struct sasl_policy p = policy;
	struct sasl_setup s = setup;
	char names[SASL_MECHANISMS_TEXT];

	(void)state;
	p.anonymous = "bert";
	s.policy = &p;
	s.external = SLICE("anna");
	assert_string_equal(sasl_mechanisms(&s, names),
	                    "EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 "
	                    "SCRAM-SHA-1 PLAIN LOGIN ANONYMOUS");
	assert_string_equal(sasl_mechanism_write(SASL_MECH_ALL, names),
	                    "EXTERNAL SCRAM-SHA-256-PLUS SCRAM-SHA-1-PLUS SCRAM-SHA-256 "
	                    "SCRAM-SHA-1 OAUTHBEARER XOAUTH2 PLAIN LOGIN ANONYMOUS");
	s.binding_arg = (void *)(uintptr_t)"tls-exporter";  /* TLS 1.2: the other type is left */
	sasl_mechanisms(&s, names);
	assert_non_null(strstr(names, "-PLUS"));
}

/* ANONYMOUS is for reading. */
static void
test_anonymous_service(void **state)
{
	static const char *const services[] = { "lmtp", "smtp", "submission", "" };
	struct sasl_policy p = policy;
	struct sasl_setup s = setup;

	(void)state;
	p.anonymous = "bert";
	s.policy = &p;
	assert_int_not_equal(sasl_offered(&s) & SASL_MECH_BIT(SASL_MECH_ANONYMOUS), 0);
	s.service = "pop";
	assert_int_not_equal(sasl_offered(&s) & SASL_MECH_BIT(SASL_MECH_ANONYMOUS), 0);
	for (size_t i = 0; i < UNIT_COUNT(services); i++) {
		s.service = services[i];
		assert_int_equal(sasl_offered(&s) & SASL_MECH_BIT(SASL_MECH_ANONYMOUS), 0);
	}
}

static void
test_configured(void **state)
{
	static const char *const good[] = { "plain", "SCRAM-SHA-256-PLUS" };
	static const char *const refused[] = { "CRAM-MD5", "digest-md5", "NTLM", "APOP" };
	static const char *const unknown[] = { "GSSAPI", "", "PLAIN LOGIN", "SCRAM-SHA-512",
	                                       "OTP" };
	uint32_t bits = 0;
	struct err e = ERR_INIT;

	(void)state;
	assert_int_equal(sasl_mechanism_read(good, 2, &bits, &e), RC_OK);
	assert_int_equal(bits, SASL_MECH_BIT(SASL_MECH_PLAIN) |
	                           SASL_MECH_BIT(SASL_MECH_SCRAM_SHA_256_PLUS));
	assert_int_equal(sasl_mechanism_read(NULL, 0, &bits, &e), RC_OK);
	assert_int_equal(bits, SASL_MECH_ALL);
	for (size_t i = 0; i < UNIT_COUNT(refused); i++) {
		assert_int_equal(sasl_mechanism_read(&refused[i], 1, &bits, &e), RC_SYNTAX);
		assert_non_null(strstr(e.text, "is never offered: it needs"));
	}
	for (size_t i = 0; i < UNIT_COUNT(unknown); i++) {
		assert_int_equal(sasl_mechanism_read(&unknown[i], 1, &bits, &e), RC_SYNTAX);
		assert_non_null(strstr(e.text, "is not known; there are: EXTERNAL"));
	}
}

static void
make_accounts(void)
{
	struct err e = ERR_INIT;
	struct credential_value v;
	struct buf b;

	buf_init(&b, CREDENTIAL_TEXT_MAX);
	assert_int_equal(credential_make(SLICE("pencil"), &b, &e), RC_OK);
	memcpy(pencil_text, b.ptr, b.len);
	pencil[0] = (struct sasl_verifier){ SLICE("password"), SASL_SERVICE_ALL,
	                                    slice_of(pencil_text, b.len) };
	buf_fini(&b);
	assert_int_equal(credential_read(pencil[0].text, &v, &e), RC_OK);
	old[0] = (struct sasl_verifier){ SLICE("password"), SASL_SERVICE_ALL, v.scram_sha_256 };
}

static int
set_up(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	make_accounts();
	assert_int_equal(sasl_library_init(NULL, &e), RC_OK);
	return 0;
}

static int
tear_down(void **state)
{
	(void)state;
	sasl_library_fini();
	return 0;
}

int
main(void)
{
	struct CMUnitTest tests[11 + UNIT_COUNT(scram_cases) + UNIT_COUNT(message_cases) +
	                        UNIT_COUNT(plain_cases)] = {
		cmocka_unit_test(test_scram_y_unbound),
		cmocka_unit_test(test_fakes),
		cmocka_unit_test(test_fakes_secret),
		cmocka_unit_test(test_after_success),
		cmocka_unit_test(test_dead),
		cmocka_unit_test(test_proofs),
		cmocka_unit_test(test_offer),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_accepted_without_proof),
		cmocka_unit_test(test_configured),
		cmocka_unit_test(test_anonymous_service),
	};
	size_t n = 11;

	for (size_t i = 0; i < UNIT_COUNT(scram_cases); i++)
		tests[n++] = (struct CMUnitTest){ scram_cases[i].name, test_scram, NULL, NULL,
			                          (void *)(uintptr_t)&scram_cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(message_cases); i++)
		tests[n++] = (struct CMUnitTest){ message_cases[i].name, test_message, NULL, NULL,
			                          (void *)(uintptr_t)&message_cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(plain_cases); i++)
		tests[n++] = (struct CMUnitTest){ plain_cases[i].name, test_plain, NULL, NULL,
			                          (void *)(uintptr_t)&plain_cases[i] };
	return cmocka_run_group_tests_name("sasl_mechanisms", tests, set_up, tear_down);
}
