/* mechanism - the table of mechanisms, and of those that are refused. See mechanism.h. */
#include "sasl/mechanism.h"

#include <assert.h>
#include <stdio.h>

static const char *const names[SASL_MECH_COUNT] = {
	[SASL_MECH_EXTERNAL] = "EXTERNAL",
	[SASL_MECH_SCRAM_SHA_256_PLUS] = "SCRAM-SHA-256-PLUS",
	[SASL_MECH_SCRAM_SHA_1_PLUS] = "SCRAM-SHA-1-PLUS",
	[SASL_MECH_SCRAM_SHA_256] = "SCRAM-SHA-256",
	[SASL_MECH_SCRAM_SHA_1] = "SCRAM-SHA-1",
	[SASL_MECH_OAUTHBEARER] = "OAUTHBEARER",
	[SASL_MECH_XOAUTH2] = "XOAUTH2",
	[SASL_MECH_PLAIN] = "PLAIN",
	[SASL_MECH_LOGIN] = "LOGIN",
	[SASL_MECH_ANONYMOUS] = "ANONYMOUS",
};

static const struct refused {
	const char *name, *why;
} refused[] = {
	{ "CRAM-MD5", "it needs the password itself on the server, and only verifiers are kept" },
	{ "DIGEST-MD5", "it needs the password or what is worth as much on the server (RFC 6331)" },
	{ "NTLM", "it needs what is worth as much as the password on the server, "
	  "and rests on MD4" },
	{ "APOP", "it needs the password itself on the server, and only verifiers are kept" },
};

const char *
sasl_mechanism_name(enum sasl_mechanism m)
{
	assert(m >= 0 && m < SASL_MECH_COUNT);
	return names[m];
}

bool
sasl_mechanism_find(struct slice name, enum sasl_mechanism *out)
{
	for (unsigned m = 0; m < SASL_MECH_COUNT; m++) {
		if (slice_eq_nocase(name, slice_str(names[m]))) {
			*out = (enum sasl_mechanism)m;
			return true;
		}
	}
	return false;
}

static enum rc
refuse(const char *word, struct err *e)
{
	char all[SASL_MECHANISMS_TEXT];

	for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
		if (slice_eq_nocase(slice_str(word), slice_str(refused[i].name)))
			return err_set(e, RC_SYNTAX, "mechanism %s is never offered: %s",
			               refused[i].name, refused[i].why);
	return err_set(e, RC_SYNTAX, "mechanism %.40s is not known; there are: %s", word,
	               sasl_mechanism_write(SASL_MECH_ALL, all));
}

enum rc
sasl_mechanism_read(const char *const *words, size_t count, uint32_t *out, struct err *e)
{
	enum sasl_mechanism m;
	uint32_t bits = count == 0 ? SASL_MECH_ALL : 0;

	for (size_t i = 0; i < count; i++) {
		if (!sasl_mechanism_find(slice_str(words[i]), &m))
			return refuse(words[i], e);
		bits |= SASL_MECH_BIT(m);
	}
	*out = bits;
	return RC_OK;
}

const char *
sasl_mechanism_write(uint32_t bits, char out[SASL_MECHANISMS_TEXT])
{
	size_t len = 0;

	out[0] = '\0';
	for (unsigned m = 0; m < SASL_MECH_COUNT; m++)
		if ((bits & SASL_MECH_BIT(m)) != 0)
			len += (size_t)snprintf(out + len, SASL_MECHANISMS_TEXT - len, "%s%s",
			                        len > 0 ? " " : "", names[m]);
	assert(len < SASL_MECHANISMS_TEXT);
	return out;
}
