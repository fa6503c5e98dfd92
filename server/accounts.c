/* accounts - who has one, over all volumes. See server.h. */
#include "server/absent.h"
#include "server/core.h"

/* Nobody has the name, but not everybody could be asked. */
static enum rc
cannot_tell(struct server *srv, const struct err *unread, struct err *e)
{
	char names[ERR_TEXT_MAX / 2];

	if (unread->code != RC_OK) {
		*e = *unread;
		return e->code;
	}
	return err_set(e, RC_BUSY, "the account may be in a volume that is not available: %s",
	               absent_names(server_absent(srv), names, sizeof names));
}

/* Each part only goes up, and one that is added is counted. */
uint64_t
server_accounts_version(const struct server *srv)
{
	size_t count;
	struct volume *const *volumes = server_volumes(srv, &count);
	uint64_t sum = count;

	for (size_t i = 0; i < count; i++)
		sum += volume_accounts_version(volumes[i]);
	return sum;
}

uint64_t
server_recipients_version(const struct server *srv)
{
	size_t count;
	struct volume *const *volumes = server_volumes(srv, &count);
	uint64_t sum = count + server_reloads(srv);

	for (size_t i = 0; i < count; i++)
		sum += volume_places_version(volumes[i]);
	return sum;
}

/* A move between volumes that was cut leaves two: the higher generation owns [design, section 3].
 * Who is found in one volume is served, whatever the others are like. */
enum rc
server_find_account(struct server *srv, struct slice name, struct arena *a, struct volume **v,
                    struct account_info *out, struct err *e)
{
	bool partial = absent_count(server_absent(srv)) > 0, found = false;
	struct err unread = ERR_INIT;
	size_t count;
	struct volume *const *volumes = server_volumes(srv, &count);

	for (size_t i = 0; i < count; i++) {
		struct account_info info;
		struct err one = ERR_INIT;  /* that another volume does not have it is no error */
		enum rc rc = volume_find_account(volumes[i], name, a, &info, &one);

		if (rc == RC_NOMEM) {
			*e = one;
			return rc;
		}
		if (rc != RC_OK && rc != RC_NOT_FOUND && unread.code == RC_OK) {
			unread = one;
			(void)err_add(&unread, "volume %s", volume_name(volumes[i]));
		}
		if (rc != RC_OK || (found && info.generation <= out->generation))
			continue;
		found = true;
		*out = info;
		*v = volumes[i];
	}
	if (found)
		return RC_OK;
	if (partial || unread.code != RC_OK)
		return cannot_tell(srv, &unread, e);
	return err_set(e, RC_NOT_FOUND, "no such account");
}

/* One that cannot be read says nothing. */
bool
server_knows_domain(struct server *srv, struct slice domain)
{
	size_t count;
	struct volume *const *volumes = server_volumes(srv, &count);
	bool known = false;

	for (size_t i = 0; i < count && !known; i++) {
		struct err e = ERR_INIT;

		known = volume_knows_domain(volumes[i], domain, &e) == RC_OK;
	}
	return known;
}

bool
server_misses_accounts(const struct server *srv)
{
	size_t count;
	struct volume *const *volumes = server_volumes(srv, &count);

	for (size_t i = 0; i < count; i++)
		if (volume_is_damaged(volumes[i]))
			return true;
	return false;
}

enum rc
server_find_sasl_account(void *arg, struct slice name, struct arena *a, struct sasl_account *out,
                  struct err *e)
{
	struct server *srv = arg;
	struct account_info info;
	struct credential_info *creds;
	struct sasl_verifier *verifiers;
	struct volume *v;
	size_t n;
	enum rc rc = server_find_account(srv, name, a, &v, &info, e);

	if (rc != RC_OK)
		return rc;
	rc = volume_list_credentials(v, info.id, a, &creds, &n, e);
	if (rc != RC_OK)
		return rc;
	verifiers = arena_array(a, n > 0 ? n : 1, sizeof *verifiers);
	if (verifiers == NULL)
		return err_nomem(e);
	for (size_t i = 0; i < n; i++)
		verifiers[i] = (struct sasl_verifier){ creds[i].name,
		                                       credential_scope(creds[i].value),
		                                       creds[i].value };
	*out = (struct sasl_account){ .name = info.name, .id = info.id,
	                              .disabled = (info.flags & ACCOUNT_LOCKED) != 0,
	                              .verifiers = verifiers,
		                      .nverifiers = n };
	return RC_OK;
}
