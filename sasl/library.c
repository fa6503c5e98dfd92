/* library - starting and ending libsasl2 with our settings instead of the system's. See library.h.
 *
 * An operator configures Restante in one file: libsasl2's own files (/etc/sasl2/NAME.conf) are not read, and its
 * environment variables count only where plugins are looked for. Of the plugins, those of our mechanisms are loaded and
 * no other: a package that brings one more must not change what we offer, nor bring its code into the process.
 */
#include "sasl/library.h"

#include "sasl/internal.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MECHANISMS      "PLAIN"
#define PLUGIN_FILES    "libplain."
#define APPLICATION     "restante"

/* Written before threads start, read by all. */
static struct {
	bool        ready;
	char        mechanisms[64];
	const char *plugin_dir;
	char        log[256];           /* what libsasl2 complained of last while it was set up */
} library;

static const struct option {
	const char *name, *value;
} options[] = {
	{ "mech_list",         MECHANISMS },
	{ "auxprop_plugin",    SASL_AUXPROP_NAME },
	{ "canon_user_plugin", "INTERNAL" },
	/* libsasl2 tries this after our own password check said no; there is no such method, so the no stays. */
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
	*path = library.plugin_dir;
	return SASL_OK;
}

static int
verify_file(void *context, const char *path, sasl_verify_type_t type)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	(void)context;
	if (type != SASL_VRFY_PLUGIN)
		return SASL_CONTINUE;   /* not to be read, and no error */
	return strncmp(name, PLUGIN_FILES, strlen(PLUGIN_FILES)) == 0 ? SASL_OK : SASL_CONTINUE;
}

static int
log_setup(void *context, int level, const char *text)
{
	(void)context;
	if (!library.ready && (level == SASL_LOG_ERR || level == SASL_LOG_FAIL))
		snprintf(library.log, sizeof library.log, "%s", text);
	return SASL_OK;
}

static const sasl_callback_t callbacks[] = {
	{ SASL_CB_GETOPT,     SASL_FN(get_option),  NULL },
	{ SASL_CB_LOG,        SASL_FN(log_setup),   NULL },
	{ SASL_CB_VERIFYFILE, SASL_FN(verify_file), NULL },
	{ SASL_CB_LIST_END,   NULL,                       NULL },
};

/* The same with a folder of our choice. */
static const sasl_callback_t callbacks_with_path[] = {
	{ SASL_CB_GETOPT,     SASL_FN(get_option),  NULL },
	{ SASL_CB_LOG,        SASL_FN(log_setup),   NULL },
	{ SASL_CB_VERIFYFILE, SASL_FN(verify_file), NULL },
	{ SASL_CB_GETPATH,    SASL_FN(get_path),    NULL },
	{ SASL_CB_LIST_END,   NULL,                       NULL },
};

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

/* What libsasl2 is able to do with what it loaded. */
static enum rc
list_mechanisms(struct err *e)
{
	sasl_conn_t *conn = NULL;
	const char *list = "";
	int rc;

	rc = sasl_server_new("imap", "localhost", NULL, NULL, NULL, NULL, 0, &conn);
	if (rc == SASL_OK)
		rc = sasl_listmech(conn, NULL, "", " ", "", &list, NULL, NULL);
	if (rc == SASL_OK)
		snprintf(library.mechanisms, sizeof library.mechanisms, "%s", list);
	sasl_dispose(&conn);
	if (rc == SASL_OK && strcmp(library.mechanisms, MECHANISMS) == 0)
		return RC_OK;
	return err_set(e, RC_NOT_FOUND,
	               "libsasl2 finds no plugin for %s (package libsasl2-modules on Debian)%s%s",
	               MECHANISMS, library.log[0] != '\0' ? ": " : "", library.log);
}

enum rc
sasl_library_init(const char *plugin_dir, struct err *e)
{
	int rc;

	assert(!library.ready);
	library.plugin_dir = plugin_dir;
	library.log[0] = '\0';
	sasl_set_mutex(mutex_new, mutex_lock, mutex_unlock, mutex_free);
	rc = sasl_server_init(plugin_dir != NULL ? callbacks_with_path : callbacks, APPLICATION);
	if (rc == SASL_OK)
		rc = sasl_auxprop_register();
	if (rc != SASL_OK) {
		sasl_library_fini();
		return err_set(e, RC_IO, "libsasl2: %s %s", sasl_errstring(rc, NULL, NULL),
		               library.log);
	}
	if (list_mechanisms(e) != RC_OK) {
		sasl_library_fini();
		return e->code;
	}
	library.ready = true;
	return RC_OK;
}

void
sasl_library_fini(void)
{
	library.ready = false;
	library.mechanisms[0] = '\0';
	sasl_done();
}

const char *
sasl_library_mechanisms(void)
{
	return library.mechanisms;
}
