/* fuzz_sasl - whole exchanges of every mechanism, through the real libsasl2 and our own plugins.
 *
 * The first byte chooses the mechanism, the second what the connection is like, the rest are the
 * client's messages with 0xff between them; where they end, the client has left. A message "$"
 * stands for the SCRAM message that a client who knows the password would send now, "$x" for the
 * one of a client who is bound to another channel.
 *
 * Held against: only accounts that exist and are not locked get in, by the proof that the mechanism
 * asks for, and only the admin as another; the password is in no reason; and nothing comes
 * after the end.
 */
#include <stdio.h>
#include <stdlib.h>

#include "lib/secret.h"
#include "sasl/credential.h"
#include "sasl/internal.h"
#include "sasl/library.h"
#include "sasl/oauth.h"
#include "tests/scram_client.h"

#define BINDING "0123456789abcdef0123456789abcdef"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Of "pencil", with 4096 rounds so that a run is not all hashing. */
static char            sha_256[CREDENTIAL_TEXT_MAX];
static struct jwks    *keys;

static void
require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_sasl: broken: %s\n", what);
		abort();
	}
}

static enum rc
find(void *arg, struct slice name, struct arena *a, struct sasl_account *out, struct err *e)
{
	static const struct slice names[] = { SLICE_INIT("anna"), SLICE_INIT("bert"),
	                                      SLICE_INIT("closed") };
	struct sasl_verifier *v = arena_zalloc(a, sizeof *v);

	(void)arg;
	if (v == NULL)
		return err_nomem(e);
	if (slice_eq(name, SLICE("flaky")))
		return err_set(e, RC_BUSY, "busy");
	*v = (struct sasl_verifier){ SLICE("password"), SASL_SERVICE_ALL, slice_str(sha_256) };
	for (size_t i = 0; i < 3; i++) {
		if (slice_eq_nocase(name, names[i])) {
			*out = (struct sasl_account){ .name = names[i], .id = i + 1,
			                              .disabled = i == 2, .verifiers = v,
				                      .nverifiers = 1 };
			return RC_OK;
		}
	}
	return err_set(e, RC_NOT_FOUND, "none");
}

static bool
binding(void *arg, struct slice type, uint8_t *out, size_t cap, size_t *len)
{
	(void)arg;
	(void)type;
	require(cap >= sizeof BINDING - 1, "room for a binding");
	*len = sizeof BINDING - 1;
	memcpy(out, BINDING, *len);
	return true;
}

static struct jwks *
give_keys(void *arg)
{
	(void)arg;
	return jwks_ref(keys);
}

static const struct sasl_accounts accounts = { .find = find };
static const char *const admins[] = { "anna" };
static const char *const audiences[] = { "mail" };

static void
start_library(void)
{
	static const char set[] = "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":"
	                          "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
	struct credential c = { .hash = SCRAM_SHA_256, .iterations = CREDENTIAL_ITERATIONS_MIN,
	                        .salt_len = 16 };
	struct err e = ERR_INIT;
	struct buf b;

	if (sha_256[0] != '\0')
		return;
	buf_init(&b, sizeof sha_256 - 1);
	require(sasl_library_init(NULL, &e) == RC_OK, e.text);
	require(scram_derive(c.hash, SLICE("pencil"), slice_of(c.salt, c.salt_len), c.iterations,
	            &c.keys, &e) == RC_OK,
	    "keys");
	require(credential_format(&c, &b, &e) == RC_OK &&
	            slice_to_cstr(buf_slice(&b), sha_256, sizeof sha_256),
	    "verifier");
	buf_fini(&b);
	if (jwks_parse(slice_str(set), &keys, &e) != RC_OK)
		keys = NULL;
}

/* ---- one exchange ---- */

struct run {
	struct sasl_exchange *x;
	struct sasl_setup     setup;
	enum sasl_mechanism   mechanism;
	struct scram_client   client;
	char                  header[300];
	bool                  knows;            /* the password was said, or shown to be known */
	struct buf            challenge;
};

/* A client that knows the password answers what the server said; what it said first was whatever
 * the input held, so only the usual forms are followed. */
static bool
answer_scram(struct run *r, bool bound_elsewhere, char out[1600])
{
	char server_first[700];

	r->client.hash = sasl_without_plus(r->mechanism) == SASL_MECH_SCRAM_SHA_256 ? "SHA-256"
	                                                                            : "SHA-1";
	r->client.password = "pencil";
	r->client.binding = bound_elsewhere       ? SLICE("another channel")
	                    : r->header[0] == 'p' ? SLICE(BINDING)
	                                          : SLICE("");
	r->client.header = r->header;
	return r->header[0] != '\0' &&
	       slice_to_cstr(buf_slice(&r->challenge), server_first, sizeof server_first) &&
	       scram_client_final(&r->client, server_first, out);
}

/* The client's first message, as it may have to be repeated. */
static void
note_first(struct run *r, struct slice message)
{
	size_t a = slice_find_byte(message, ',');
	size_t b = a + 1 + slice_find_byte(slice_sub(message, a + 1, message.len), ',') + 1;

	if (r->header[0] != '\0' || b >= message.len || b >= sizeof r->header)
		return;
	if (!slice_to_cstr(slice_sub(message, 0, b), r->header, sizeof r->header) ||
	    !slice_to_cstr(slice_sub(message, b, message.len), r->client.first_bare,
	        sizeof r->client.first_bare))
		r->header[0] = '\0';
}

static void
check_success(const struct run *r)
{
	const struct sasl_success *s = sasl_exchange_success(r->x);
	bool anna = strcmp(s->authenticated.name, "anna") == 0,
	     bert = strcmp(s->authenticated.name, "bert") == 0;

	require(anna || bert, "an account that may log in");
	require(strcmp(s->authorized.name, "closed") != 0, "no locked one");
	require(anna || strcmp(s->authorized.name, s->authenticated.name) == 0,
	    "only the admin as another");
	require(s->anonymous == (r->mechanism == SASL_MECH_ANONYMOUS), "anonymous by ANONYMOUS");
	switch (sasl_proof_of(r->mechanism)) {
	case PROOF_PASSWORD:
	case PROOF_SCRAM:
		require(r->knows, "the password");
		break;
	case PROOF_EXTERNAL:
		require(anna && r->setup.external.len > 0, "the certificate");
		break;
	case PROOF_ANONYMOUS:
		require(bert, "the configured account");
		break;
	case PROOF_TOKEN:
	case PROOF_NONE:
		require(false, "a token that nobody could sign");
		break;
	}
}

static enum sasl_result
take(struct run *r, struct slice message, bool first)
{
	const char *name = sasl_mechanism_name(r->mechanism);
	char made[1600];

	if (sasl_is_scram(r->mechanism) &&
	    (slice_eq(message, SLICE("$")) || slice_eq(message, SLICE("$x"))) &&
	    answer_scram(r, message.len == 2, made)) {
		r->knows = message.len == 1;
		message = slice_str(made);
	} else if (sasl_is_scram(r->mechanism)) {
		note_first(r, message);
	} else if (slice_find(message, SLICE("pencil")) < message.len) {
		r->knows = true;
	}
	return first ? sasl_exchange_start(r->x, slice_str(name), message, &r->challenge)
	             : sasl_exchange_step(r->x, message, &r->challenge);
}

static void
play(struct run *r, struct slice rest, bool initial)
{
	enum sasl_result result = SASL_EX_CONTINUE;
	size_t messages = 0;

	if (!initial)
		result = take(r, SLICE_NONE, true);
	while (result == SASL_EX_CONTINUE && rest.len > 0 && messages < 8) {
		size_t n = slice_find_byte(rest, 0xff);

		require(r->challenge.len <= SASL_MESSAGE_MAX, "a challenge within its limit");
		result = take(r, slice_sub(rest, 0, n), initial && messages == 0);
		rest = slice_sub(rest, n + 1, rest.len);
		messages++;
	}
	if (result == SASL_EX_OK)
		check_success(r);
	else if (result != SASL_EX_CONTINUE)
		require(strstr(sasl_exchange_error(r->x)->text, "pencil") == NULL &&
		            sasl_exchange_error(r->x)->text[0] != '\0',
		    "a reason that tells no password");
	else
		(void)sasl_exchange_cancel(r->x);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct sasl_tokens tokens = { .policy = { .issuer = SLICE("https://id.example"),
	                                          .audiences = audiences,
		                                  .audience_count = 1, .claim = SLICE("sub"),
		                                  .skew_s = 60 },
		                      .discovery = "", .keys = give_keys };
	struct sasl_policy policy = { .mechanisms = SASL_MECH_ALL, .admins = admins, .nadmins = 1,
	                              .anonymous = "bert",
		                      .sources = { .own = true } };
	struct run r = { .x = NULL };
	struct err e = ERR_INIT;

	if (size < 2)
		return 0;
	start_library();
	if (keys != NULL)
		policy.tokens = &tokens;
	r.mechanism = (enum sasl_mechanism)(data[0] % SASL_MECH_COUNT);
	r.setup = (struct sasl_setup){ .service = "imap", .host = "mail.example",
	                               .tls = (data[1] & 1) == 0,
		                       .cleartext_ok = (data[1] & 2) != 0, .accounts = &accounts,
		                       .policy = &policy,
		                       .secret = SLICE("secret"),
		                       .external = slice_str((data[1] & 4) == 0 ? "anna" : ""),
		                       .binding = (data[1] & 8) == 0 ? binding : NULL };
	buf_init(&r.challenge, SASL_MESSAGE_MAX);
	require(sasl_exchange_new(&r.setup, &r.x, &e) == RC_OK, "an exchange");
	play(&r, slice_of(data + 2, size - 2), (data[1] & 16) == 0);
	sasl_exchange_free(&r.x);
	buf_fini(&r.challenge);
	return 0;
}
