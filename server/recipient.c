/* recipient - whose mailbox an address is. See recipient.h. */
#include "server/recipient.h"

#include "server/aliases.h"
#include "server/core.h"

/* One search. */
struct search {
	struct server        *srv;
	struct arena         *a;
	const struct aliases *aliases;
	const struct conf    *conf;
	struct slice          domain;
	struct recipient     *out;
	struct err            doubt;    /* why it could not be said whether a name
	                                 * is an account's */
	bool                  bare;     /* the local part alone was asked for, behind the address */
	struct err           *e;
};

static enum rc
nobody(struct search *s)
{
	return err_set(s->e, RC_NOT_FOUND, "no such account");
}

/* What is before a "+" that is not the first octet, or all. */
static struct slice
without_detail(struct slice local, struct slice *detail)
{
	size_t plus = slice_find_byte(local, '+');

	*detail = SLICE_NONE;
	if (plus == 0 || plus >= local.len)
		return local;
	*detail = slice_sub(local, plus + 1, local.len);
	return slice_sub(local, 0, plus);
}

/* ---- accounts ---- */

static enum rc
add_account(struct search *s, struct volume *v, const struct account_info *info,
            struct slice detail, size_t room)
{
	struct recipient *out = s->out;

	if (out->accounts == NULL)
		out->accounts = arena_array(s->a, room, sizeof *out->accounts);
	if (out->accounts == NULL)
		return err_nomem(s->e);
	for (size_t i = 0; i < out->count; i++)
		if (out->accounts[i].volume == v && out->accounts[i].info.id == info->id)
			return RC_OK;
	out->accounts[out->count++] = (struct recipient_account){ v, *info, detail };
	return RC_OK;
}

static enum rc
find_account(struct search *s, struct slice name, struct slice detail, size_t room)
{
	struct account_info info;
	struct volume *v = NULL;
	enum rc rc;

	if (name.len == 0 || name.len > ACCOUNT_NAME_MAX)
		return nobody(s);
	rc = server_find_account(s->srv, name, s->a, &v, &info, s->e);
	if (rc == RC_OK)
		return add_account(s, v, &info, detail, room);
	if (rc == RC_NOT_FOUND || rc == RC_NOMEM)
		return rc;
	if (s->doubt.code == RC_OK)
		s->doubt = *s->e;
	return nobody(s);
}

/* An account as an alias or the configuration names it: with its own detail, or the address's. */
static enum rc
add_target(struct search *s, struct slice target, struct slice detail, size_t room)
{
	enum rc rc = find_account(s, target, detail, room);
	struct slice own, name;

	if (rc != RC_NOT_FOUND)
		return rc;
	name = without_detail(target, &own);
	if (own.len > 0)
		rc = find_account(s, name, own, room);
	if (rc == RC_NOT_FOUND && s->out->missing++ == 0)
		s->out->first_missing = arena_dup(s->a, target);
	return rc;
}

/* ---- aliases ---- */

static enum rc
find_alias(struct search *s, struct slice name, struct slice detail)
{
	const struct alias *al;
	enum rc found = aliases_find(s->aliases, name, s->a, &al, s->e);

	if (found != RC_OK)
		return found == RC_NOT_FOUND ? nobody(s) : found;
	s->out->alias = name;
	for (size_t i = 0; i < al->count; i++) {
		enum rc rc = add_target(s, al->targets[i], detail, al->count);

		if (rc != RC_OK && rc != RC_NOT_FOUND)
			return rc;
	}
	return s->out->count > 0 ? RC_OK : nobody(s);
}

static enum rc
find_name(struct search *s, struct slice name, struct slice detail)
{
	enum rc rc = find_alias(s, name, detail);

	if (rc == RC_NOT_FOUND && s->out->alias.len == 0)
		rc = find_account(s, name, detail, 1);
	return rc;
}

/* As an address of its domain, then as a bare name. What a quoted local part hides an "@" in is no
 * bare name: "a@b"@c must not reach a@b. */
static enum rc
find_local(struct search *s, struct slice local, struct slice detail)
{
	struct slice address;
	enum rc rc;

	s->bare = false;
	if (s->domain.len == 0)
		return find_name(s, local, detail);
	address = arena_printf(s->a, "%.*s@%.*s", SLICE_ARG(local), SLICE_ARG(s->domain));
	if (address.ptr == NULL)
		return err_nomem(s->e);
	rc = find_name(s, address, detail);
	if (rc != RC_NOT_FOUND || s->out->alias.len > 0 || slice_find_byte(local, '@') < local.len)
		return rc;
	s->bare = true;
	return find_name(s, local, detail);
}

/* ---- those that take what is nobody's ---- */

static enum rc
find_configured(struct search *s, struct slice target)
{
	s->out->alias = target;
	return add_target(s, target, SLICE_NONE, 1);
}

/* "example.org=anna" is for a domain, "anna" for all others. */
static enum rc
find_catch_all(struct search *s)
{
	const struct conf_list *list = &s->conf->lmtp.catch_all;
	struct slice address = arena_printf(s->a, "@%.*s", SLICE_ARG(s->domain)),
	             general = SLICE_NONE;
	enum rc rc = address.ptr != NULL ? find_alias(s, address, SLICE_NONE) : err_nomem(s->e);

	s->out->unclaimed = true;
	if (rc != RC_NOT_FOUND || s->out->alias.len > 0)
		return rc;
	for (size_t i = 0; i < list->count; i++) {
		struct slice word = slice_str(list->words[i]);
		size_t equals = slice_find_byte(word, '=');

		if (equals == word.len)
			general = word;
		else if (slice_eq_nocase(slice_trim(slice_sub(word, 0, equals)), s->domain))
			return find_configured(s,
			                       slice_trim(slice_sub(word, equals + 1, word.len)));
	}
	return general.len > 0 ? find_configured(s, general) : nobody(s);
}

static bool
is_postmaster(const struct search *s, struct slice local)
{
	return s->conf->lmtp.postmaster[0] != '\0' && slice_eq_nocase(local, SLICE("postmaster"));
}

static enum rc
find(struct search *s, struct slice local)
{
	struct slice detail, name = without_detail(local, &detail);
	enum rc rc;

	if (s->domain.len == 0 && is_postmaster(s, local))
		return find_configured(s, slice_str(s->conf->lmtp.postmaster));
	rc = find_local(s, local, SLICE_NONE);
	if (rc == RC_NOT_FOUND && s->out->alias.len == 0 && detail.len > 0)
		rc = find_local(s, name, detail);
	if (rc != RC_NOT_FOUND || s->out->alias.len > 0)
		return rc;
	if (is_postmaster(s, name))
		return find_configured(s, slice_str(s->conf->lmtp.postmaster));
	return find_catch_all(s);
}

/* Accounts that were looked for and not found may be there all the same: a refusal would have the
 * MTA bounce their mail, a catch-all or a namesake would get it, and an alias would
 * leave them out. */
static bool
is_unsure(struct search *s, enum rc rc)
{
	const struct recipient *to = s->out;

	if (s->doubt.code == RC_OK && server_misses_accounts(s->srv))
		(void)err_set(&s->doubt, RC_CORRUPT,
		              "a volume is damaged: accounts may be missing");
	if (s->doubt.code == RC_OK)
		return false;
	return rc == RC_NOT_FOUND || to->unclaimed || to->missing > 0 ||
	       (s->bare && server_knows_domain(s->srv, s->domain));
}

enum rc
server_find_recipient(struct server *srv, struct slice local_part, struct slice domain,
                      struct arena *a, struct recipient *out, struct err *e)
{
	struct settings *settings;
	struct aliases *aliases;
	struct search s = { .srv = srv, .a = a, .domain = domain, .out = out, .e = e };
	enum rc rc;

	*out = (struct recipient){ .accounts = NULL };
	/* Accounts have printable names; what no account can be called is not asked for. */
	if (slice_find_byte(local_part, '\0') < local_part.len)
		return nobody(&s);
	settings = server_settings(srv);
	aliases = alias_book_get(server_alias_book(srv));
	s.conf = settings->conf;
	s.aliases = aliases;
	rc = find(&s, local_part);
	out->unsure = is_unsure(&s, rc);
	if (out->unsure)
		*e = s.doubt;
	if (out->alias.len > 0)
		out->alias = arena_dup(a, out->alias);
	aliases_unref(&aliases);
	settings_unref(&settings);
	return rc;
}
