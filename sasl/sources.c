/* sources - asking other places for a password. See sources.h.
 *
 * An auxprop plugin is asked through a libsasl2 connection of its own, whose options name that
 * plugin alone. It never takes part in exchanges: SCRAM works with what we give (auxprop.c), and a
 * plugin that answered for an account that is not here would open what is not theirs.
 */
#include "sasl/sources.h"

#include <stdatomic.h>

#include "lib/secret.h"
#include "sasl/internal.h"
#include "sasl/saslauthd.h"

static atomic_uint under_way;

/* A plugin's name goes into the name of a file. */
static bool
is_word(const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i < n; i++)
		if ((word[i] < 'a' || word[i] > 'z') && (word[i] < '0' || word[i] > '9'))
			return false;
	return n > 0 && n <= 32;
}

static enum rc
add_source(struct sasl_sources *s, const char *word, struct err *e)
{
	bool own = strcmp(word, "restante") == 0, twice = own && s->own;

	for (size_t i = 0; i < s->count; i++)
		twice = twice || strcmp(s->others[i], word) == 0;
	if (twice)
		return err_set(e, RC_SYNTAX, "%.40s comes twice", word);
	if (own && s->count > 0)
		return err_set(e, RC_SYNTAX,
		               "restante comes before other sources, as it asks nobody");
	if (!is_word(word) || s->count == SASL_SOURCES_MAX)
		return err_set(e, RC_SYNTAX,
		    "%.40s is no source of passwords; there are: restante, saslauthd, names of "
		    "auxprop plugins of libsasl2 (sasldb, sql, ...)",
		    word);
	if (own)
		s->own = true;
	else
		s->others[s->count++] = word;
	return RC_OK;
}

enum rc
sasl_sources_read(const char *const *words, size_t count, const char *saslauthd,
                  struct sasl_sources *out, struct err *e)
{
	*out = (struct sasl_sources){ .own = count == 0, .saslauthd = saslauthd };
	for (size_t i = 0; i < count; i++)
		if (add_source(out, words[i], e) != RC_OK)
			return e->code;
	return RC_OK;
}

/* ---- auxprop ---- */

/* Options of a connection that only asks one plugin; `context` is its name. */
static int
get_option(void *context, const char *plugin, const char *name, const char **value, unsigned *len)
{
	(void)plugin;
	if (strcmp(name, "pwcheck_method") == 0)
		*value = "auxprop";
	else if (strcmp(name, "auxprop_plugin") == 0)
		*value = context;
	else
		return SASL_FAIL;
	if (len != NULL)
		*len = (unsigned)strlen(*value);
	return SASL_OK;
}

static int
drop_log(void *context, int level, const char *text)
{
	(void)context;
	(void)level;
	(void)text;
	return SASL_OK;
}

static enum rc
take_answer(int rc, sasl_conn_t *conn, const char *plugin, bool *match, struct err *e)
{
	const char *detail = conn != NULL ? sasl_errdetail(conn) : NULL;

	*match = rc == SASL_OK;
	if (rc == SASL_OK || rc == SASL_NOUSER || rc == SASL_BADAUTH)
		return RC_OK;
	return err_set(e, RC_IO, "auxprop plugin %s: %s", plugin,
	               detail != NULL ? detail : sasl_errstring(rc, NULL, NULL));
}

static enum rc
auxprop_check(const char *plugin, const char *service, const char *host, const char *name,
              struct slice password, bool *match, struct err *e)
{
	const sasl_callback_t callbacks[] = {
		{ SASL_CB_GETOPT,   SASL_FN(get_option), (void *)(uintptr_t)plugin },
		{ SASL_CB_LOG,      SASL_FN(drop_log),   NULL },
		{ SASL_CB_LIST_END, NULL,                NULL },
	};
	sasl_conn_t *conn = NULL;
	struct secret text;
	enum rc result = secret_init(&text, password.len + 1, e);
	int rc;

	if (result != RC_OK || !secret_append(&text, password) ||
	    !secret_append(&text, SLICE("\0"))) {
		secret_fini(&text);
		return result;
	}
	rc = sasl_server_new(service, host, NULL, NULL, NULL, callbacks, 0, &conn);
	if (rc == SASL_OK)
		rc = sasl_checkpass(conn, name, (unsigned)strlen(name), (const char *)text.ptr,
		                    (unsigned)password.len);
	result = take_answer(rc, conn, plugin, match, e);
	sasl_dispose(&conn);
	secret_fini(&text);
	return result;
}

/* ---- all of them ---- */

static enum rc
ask_all(const struct sasl_sources *s, const char *service, const char *host, const char *name,
        struct slice password, const char **source, struct err *e)
{
	struct err worst = ERR_INIT;
	bool match = false;

	for (size_t i = 0; i < s->count && !match; i++) {
		struct err one = ERR_INIT;
		enum rc rc;

		if (strcmp(s->others[i], "saslauthd") == 0)
			rc = saslauthd_check(s->saslauthd, service, slice_str(name), password,
			                     SASL_SOURCE_TIMEOUT_MS, &match, &one);
		else
			rc = auxprop_check(s->others[i], service, host, name, password, &match,
			                   &one);
		if (rc != RC_OK)
			worst = one;
		if (match)
			*source = s->others[i];
	}
	if (!match)
		*e = worst;
	return match ? RC_OK : worst.code;
}

/* They take C strings: what holds a NUL is no password of theirs. libsasl2 takes an empty password
 * for one whose length is not said. */
enum rc
sasl_sources_check(const struct sasl_sources *s, const char *service, const char *host,
                   struct slice name, struct slice password, const char **source, struct err *e)
{
	char text[SASL_NAME_MAX + 1];
	enum rc rc;

	*source = NULL;
	if (s->count == 0 || password.len == 0 || slice_find_byte(password, 0) < password.len ||
	    !slice_to_cstr(name, text, sizeof text))
		return RC_OK;
	if (atomic_fetch_add(&under_way, 1) >= SASL_SOURCE_CHECKS_MAX)
		rc = err_set(e, RC_BUSY, "%d other checks wait for sources of passwords",
		             SASL_SOURCE_CHECKS_MAX);
	else
		rc = ask_all(s, service, host, text, password, source, e);
	atomic_fetch_sub(&under_way, 1);
	return rc;
}
