/* account - finding who a client claims to be and checking the password at equal cost.
 * See account.h. */
#include "sasl/account.h"

#include "sasl/app_password.h"

#include <assert.h>
#include <utf8proc.h>

#define ATTEMPT_ARENA_MAX 65536u

void
sasl_attempt_init(struct sasl_attempt *t)
{
	*t = (struct sasl_attempt){ 0 };
	arena_init(&t->arena, ATTEMPT_ARENA_MAX);
}

void
sasl_attempt_fini(struct sasl_attempt *t)
{
	arena_fini(&t->arena);
	t->known = false;
	t->used = NULL;
}

/* What could be a name at all: the storage is asked for nothing else. Controls would only serve
 * to confuse logs. */
static enum rc
check_name(struct slice name, struct err *e)
{
	size_t at = 0;

	if (name.len == 0 || name.len > SASL_NAME_MAX)
		return err_set(e, RC_SYNTAX, "a name has 1 to %d octets", SASL_NAME_MAX);
	while (at < name.len) {
		utf8proc_int32_t c;
		utf8proc_ssize_t len =
		        utf8proc_iterate(name.ptr + at, (utf8proc_ssize_t)(name.len - at), &c);

		if (len <= 0)
			return err_set(e, RC_SYNTAX, "the name is not UTF-8");
		if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			return err_set(e, RC_SYNTAX, "the name holds a control character");
		at += (size_t)len;
	}
	return RC_OK;
}

enum rc
sasl_attempt_find(struct sasl_attempt *t, const struct sasl_accounts *accounts, struct slice name,
                  struct err *e)
{
	enum rc rc;

	t->known = false;
	t->used = NULL;
	t->accounts = accounts;
	t->account = (struct sasl_account){ 0 };
	if (check_name(name, e) != RC_OK)
		return e->code;
	rc = accounts->find(accounts->arg, name, &t->arena, &t->account, e);
	if (rc == RC_NOT_FOUND) {
		*e = (struct err)ERR_INIT;
		return RC_OK;
	}
	if (rc != RC_OK)
		return rc == RC_SYNTAX ? err_set(e, RC_IO, "account look-up answered SYNTAX") : rc;
	assert(t->account.name.len > 0 && t->account.name.len <= SASL_NAME_MAX);
	assert(slice_find_byte(t->account.name, 0) == t->account.name.len);
	t->known = true;
	return RC_OK;
}

static bool
is_app(const struct sasl_verifier *v)
{
	return slice_starts(v->name, SLICE(APP_PASSWORD_PREFIX));
}

/* What the passwords of one kind say. One that is damaged does not keep the others from being
 * tried, but is told of if none matches. *other: one that matches, of other services. */
static enum rc
check_kind(const struct sasl_account *a, bool app, unsigned service, struct slice password,
           const struct sasl_verifier **used, const struct sasl_verifier **other, struct err *e)
{
	struct err worst = ERR_INIT;

	for (size_t i = 0; i < a->nverifiers && *used == NULL; i++) {
		const struct sasl_verifier *v = &a->verifiers[i];
		bool match = false;

		if (is_app(v) != app)
			continue;
		if (credential_check_plain(v->text, password, &match, e) != RC_OK)
			worst = *e;
		if (match && (v->scope & service) != 0)
			*used = v;
		else if (match)
			*other = v;
	}
	*e = *used != NULL ? (struct err)ERR_INIT : worst;
	return e->code;
}

static bool
has_password(const struct sasl_account *a)
{
	for (size_t i = 0; i < a->nverifiers; i++)
		if (!is_app(&a->verifiers[i]))
			return true;
	return false;
}

/* App passwords first: they cost next to nothing, and who has one is not made to pay for the other.
 * Whoever fails has paid once for the main password, whether there is one or not. */
static enum rc
check_verifiers(struct sasl_attempt *t, unsigned service, struct slice password,
                const struct sasl_verifier **other, struct err *e)
{
	struct err main_err = ERR_INIT;
	const struct sasl_account *a = &t->account;

	if (t->known && check_kind(a, true, service, password, &t->used, other, e) == RC_OK &&
	    t->used != NULL)
		return RC_OK;
	if (!t->known || !has_password(a))
		return e->code != RC_OK ? e->code : credential_check_nobody(password, e);
	(void)check_kind(a, false, service, password, &t->used, other, &main_err);
	if (t->used != NULL || e->code == RC_OK)
		*e = main_err;
	return e->code;
}

/* NULL: it must be checked. */
static const struct sasl_verifier *
recall(const struct sasl_attempt *t, unsigned service, struct slice password)
{
	const struct sasl_accounts *in = t->accounts;

	if (!t->known || t->account.disabled || in->recall == NULL)
		return NULL;
	return in->recall(in->arg, &t->account, service, password);
}

/* What the check came to. */
static void
tell(const struct sasl_attempt *t, unsigned service, struct slice password)
{
	const struct sasl_accounts *in = t->accounts;
	bool right = t->used != NULL && !t->account.disabled;

	if (right && in->accepted != NULL)
		in->accepted(in->arg, &t->account, service, t->used, password);
	else if (!right && in->rejected != NULL)
		in->rejected(in->arg, t->known ? &t->account : NULL, password);
}

enum rc
sasl_attempt_check(struct sasl_attempt *t, unsigned service, struct slice password, struct err *e)
{
	const struct sasl_verifier *other = NULL;
	enum rc rc;

	t->used = recall(t, service, password);
	if (t->used != NULL)
		return RC_OK;
	rc = check_verifiers(t, service, password, &other, e);
	/* also of a try that one damaged credential leaves undecided: the others said no */
	tell(t, service, password);
	if (rc != RC_OK)
		return rc;
	if (!t->known)
		return err_set(e, RC_DENIED, "unknown account");
	if (t->account.disabled) {
		t->used = NULL;
		return err_set(e, RC_DENIED, "account is locked");
	}
	if (t->account.nverifiers == 0)
		return err_set(e, RC_DENIED, "account has no password");
	if (t->used != NULL)
		return RC_OK;
	if (other != NULL)
		return err_set(e, RC_DENIED, "%.*s is not for this protocol (--only)",
		               SLICE_ARG(other->name));
	return err_set(e, RC_DENIED, "wrong password");
}

const struct sasl_verifier *
sasl_attempt_scram(const struct sasl_attempt *t, unsigned service, enum scram_hash hash,
                   struct slice *word)
{
	struct credential_value v;
	struct err e = ERR_INIT;

	for (size_t i = 0; t->known && !t->account.disabled && i < t->account.nverifiers; i++) {
		const struct sasl_verifier *one = &t->account.verifiers[i];
		struct slice found;

		if (is_app(one) || (one->scope & service) == 0 ||
		    credential_read(one->text, &v, &e) != RC_OK)
			continue;
		found = hash == SCRAM_SHA_256 ? v.scram_sha_256 : v.scram_sha_1;
		if (found.ptr == NULL)
			continue;
		*word = found;
		return one;
	}
	return NULL;
}

bool
sasl_attempt_same(const struct sasl_attempt *a, const struct sasl_attempt *b)
{
	return a->known && b->known && a->account.id == b->account.id &&
	       slice_eq(a->account.name, b->account.name);
}

void
sasl_attempt_identity(const struct sasl_attempt *t, struct sasl_identity *out)
{
	bool fits = t->known && slice_to_cstr(t->account.name, out->name, sizeof out->name);

	assert(fits);
	(void)fits;
	out->id = t->account.id;
	out->credential[0] = '\0';
	out->upgrade = t->used != NULL && credential_wants_upgrade(t->used->text);
	/* A name from the log that is too long is only not told. */
	if (t->used != NULL)
		(void)slice_to_cstr(t->used->name, out->credential, sizeof out->credential);
}
