/* library - starting and ending libsasl2 with our settings instead of the system's. See library.h.
 *
 * An operator configures Restante in one file: libsasl2's own files (/etc/sasl2/NAME.conf) are not
 * read, and its environment variables count only where plugins are looked for. Of the plugins,
 * those of our mechanisms are loaded and no other: a package that brings one more must not change
 * what we offer, nor bring its code into the process.
 */
#include "sasl/library.h"

#include "lib/secret.h"
#include "sasl/internal.h"
#include "sasl/oauth.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define APPLICATION     "restante"

/* What libsasl2 may use at all; EXTERNAL is part of it. -PLUS is not a name of its own there. */
#define MECHANISMS \
	"EXTERNAL SCRAM-SHA-256 SCRAM-SHA-1 OAUTHBEARER XOAUTH2 PLAIN LOGIN ANONYMOUS"
static const char *const plugin_files[] = { "libplain.", "liblogin.", "libscram.",
                                            "libanonymous." };

/* Written before threads start, read by all. */
static struct {
	bool        ready;
	uint32_t    mechanisms;         /* that there is code for; bits */
	uint8_t     secret[32];
	struct sasl_library_options options;
	char        log[256];           /* what libsasl2 complained of last while it was set up */
} library;

static const struct option {
	const char *name, *value;
} options[] = {
	{ "mech_list",         MECHANISMS },
	{ "auxprop_plugin",    SASL_AUXPROP_NAME },
	{ "canon_user_plugin", "INTERNAL" },
	/* libsasl2 tries this after our own password check said no; there is no such method,
	 * so the no stays. */
	{ "pwcheck_method",    "none" },
	{ "auto_transition",   "no" },
};

static int
get_option(void *context, const char *plugin, const char *name, const char **value, unsigned *len)
{
	(void)context;
	(void)plugin;
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		if (strcmp(options[i].name, name) == 0) {
			*value = options[i].value;
			if (len != NULL)
				*len = (unsigned)strlen(options[i].value);
			return SASL_OK;
		}
	}
	return SASL_FAIL;
}

static int
get_path(void *context, const char **path)
{
	(void)context;
	*path = library.options.plugin_dir;
	return SASL_OK;
}

static int
get_config_path(void *context, char **path)
{
	(void)context;
	*path = (char *)(uintptr_t)library.options.config_dir;
	return SASL_OK;
}

static bool
reads_config(void)
{
	return library.options.config_dir != NULL && library.options.config_dir[0] != '\0';
}

/* "libNAME.so" of one of the sources. */
static bool
is_source_file(const char *file)
{
	const struct sasl_sources *s = library.options.sources;

	for (size_t i = 0; s != NULL && i < s->count; i++) {
		size_t n = strlen(s->others[i]);

		if (strncmp(file, "lib", 3) == 0 && strncmp(file + 3, s->others[i], n) == 0 &&
		    file[3 + n] == '.')
			return true;
	}
	return false;
}

static int
verify_file(void *context, const char *path, sasl_verify_type_t type)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	(void)context;
	if (type == SASL_VRFY_CONF)
		return reads_config() ? SASL_OK : SASL_CONTINUE;
	if (type != SASL_VRFY_PLUGIN)
		return SASL_CONTINUE;   /* not to be read, and no error */
	for (size_t i = 0; i < sizeof plugin_files / sizeof plugin_files[0]; i++)
		if (strncmp(name, plugin_files[i], strlen(plugin_files[i])) == 0)
			return SASL_OK;
	return is_source_file(name) ? SASL_OK : SASL_CONTINUE;
}

static int
log_setup(void *context, int level, const char *text)
{
	(void)context;
	if (!library.ready && (level == SASL_LOG_ERR || level == SASL_LOG_FAIL))
		snprintf(library.log, sizeof library.log, "%s", text);
	return SASL_OK;
}

#define CALLBACKS_MAX 6

/* libsasl2 keeps a pointer to it. */
static void
set_callbacks(sasl_callback_t out[CALLBACKS_MAX])
{
	size_t n = 0;

	out[n++] = (sasl_callback_t){ SASL_CB_GETOPT, SASL_FN(get_option), NULL };
	out[n++] = (sasl_callback_t){ SASL_CB_LOG, SASL_FN(log_setup), NULL };
	out[n++] = (sasl_callback_t){ SASL_CB_VERIFYFILE, SASL_FN(verify_file), NULL };
	if (library.options.plugin_dir != NULL)
		out[n++] = (sasl_callback_t){ SASL_CB_GETPATH, SASL_FN(get_path), NULL };
	if (reads_config())
		out[n++] = (sasl_callback_t){ SASL_CB_GETCONFPATH, SASL_FN(get_config_path), NULL };
	out[n] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
}

static void *
mutex_new(void)
{
	pthread_mutex_t *m = malloc(sizeof *m);

	if (m != NULL && pthread_mutex_init(m, NULL) != 0) {
		free(m);
		m = NULL;
	}
	return m;
}

static int
mutex_lock(void *m)
{
	return pthread_mutex_lock(m) == 0 ? 0 : -1;
}

static int
mutex_unlock(void *m)
{
	return pthread_mutex_unlock(m) == 0 ? 0 : -1;
}

static void
mutex_free(void *m)
{
	if (m != NULL)
		pthread_mutex_destroy(m);
	free(m);
}

/* What libsasl2 has code for. A mechanism whose plugin is missing is not offered; without PLAIN
 * hardly anybody could log in. */
static enum rc
list_mechanisms(struct err *e)
{
	enum sasl_mechanism m;

	for (const char **one = sasl_global_listmech(); one != NULL && *one != NULL; one++)
		if (sasl_mechanism_find(slice_str(*one), &m))
			library.mechanisms |= SASL_MECH_BIT(m);
	if ((library.mechanisms & SASL_MECH_BIT(SASL_MECH_SCRAM_SHA_256)) != 0)
		library.mechanisms |= SASL_MECH_BIT(SASL_MECH_SCRAM_SHA_256_PLUS);
	if ((library.mechanisms & SASL_MECH_BIT(SASL_MECH_SCRAM_SHA_1)) != 0)
		library.mechanisms |= SASL_MECH_BIT(SASL_MECH_SCRAM_SHA_1_PLUS);
	if ((library.mechanisms & SASL_MECH_BIT(SASL_MECH_PLAIN)) != 0)
		return RC_OK;
	return err_set(e, RC_NOT_FOUND,
	    "libsasl2 finds no plugin for PLAIN (package libsasl2-modules on Debian)%s%s",
	    library.log[0] != '\0' ? ": " : "", library.log);
}

/* auxprop_plugin_info calls it once for each plugin of the name asked for, and around them. */
static void
note_plugin(sasl_auxprop_plug_t *plugin, sasl_info_callback_stage_t stage, void *found)
{
	if (plugin != NULL && stage == SASL_INFO_LIST_MECH)
		*(bool *)found = true;
}

static enum rc
find_sources(struct err *e)
{
	const struct sasl_sources *s = library.options.sources;

	for (size_t i = 0; s != NULL && i < s->count; i++) {
		bool found = strcmp(s->others[i], "saslauthd") == 0;

		if (!found)
			(void)auxprop_plugin_info(s->others[i], note_plugin, &found);
		if (!found)
			return err_set(e, RC_NOT_FOUND,
			               "libsasl2 finds no auxprop plugin %s (password_sources)%s%s",
			               s->others[i], library.log[0] != '\0' ? ": " : "",
			               library.log);
	}
	return RC_OK;
}

enum rc
sasl_library_init(const struct sasl_library_options *o, struct err *e)
{
	static sasl_callback_t callbacks[CALLBACKS_MAX];
	int rc;

	assert(!library.ready);
	library.options = o != NULL ? *o : (struct sasl_library_options){ 0 };
	set_callbacks(callbacks);
	library.log[0] = '\0';
	sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
	rc = sasl_server_init(callbacks, APPLICATION);
	if (rc == SASL_OK)
		rc = sasl_auxprop_register();
	if (rc == SASL_OK)
		rc = sasl_oauth_register(&library.mechanisms);
	if (rc != SASL_OK) {
		sasl_library_fini();
		return err_set(e, RC_IO, "libsasl2: %s %s", sasl_errstring(rc, NULL, NULL),
		               library.log);
	}
	if (list_mechanisms(e) != RC_OK || find_sources(e) != RC_OK ||
	    secret_random(library.secret, sizeof library.secret, e) != RC_OK) {
		sasl_library_fini();
		return e->code;
	}
	library.ready = true;
	library.options = (struct sasl_library_options){ 0 };    /* has done its work, and may go */
	return RC_OK;
}

void
sasl_library_fini(void)
{
	library.ready = false;
	library.mechanisms = 0;
	secret_wipe(library.secret, sizeof library.secret);
	sasl_done();
}

uint32_t
sasl_library_mechanisms(void)
{
	return library.mechanisms;
}

struct slice
sasl_library_secret(void)
{
	return slice_of(library.secret, sizeof library.secret);
}
