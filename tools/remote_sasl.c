/* remote_sasl - see remote_sasl.h.
 *
 * As on the server's side (sasl/library.c) only the plugins of our mechanisms are loaded, and
 * nothing of the system's configuration counts. Of SCRAM the server's signature is checked by the
 * plugin: an OK without it is no login.
 */
#include "tools/remote_sasl.h"

#include <stdlib.h>

#include <sasl/sasl.h>

#include "lib/base64.h"

#define MESSAGE_MAX 8192u

struct remote_sasl {
	sasl_conn_t          *conn;
	sasl_callback_t       callbacks[5];
	sasl_secret_t        *password;
	const char           *user, *login;     /* for whom; who */
	const char           *mechanism;
	struct secret         text;             /* the last answer in base64 */
	bool                  complete;
};

typedef int (*callback)(void);
/* libsasl2 keeps callbacks of different types in one. */
#define CALLBACK(f) ((callback)(void (*)(void))(f))

static int
verify_file(void *context, const char *path, sasl_verify_type_t type)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash != NULL ? slash + 1 : path;

	(void)context;
	if (type != SASL_VRFY_PLUGIN)
		return SASL_CONTINUE;
	return strncmp(name, "libplain.", 9) == 0 || strncmp(name, "libscram.", 9) == 0
	           ? SASL_OK
	           : SASL_CONTINUE;
}

static int
no_log(void *context, int level, const char *text)
{
	(void)context;
	(void)level;
	(void)text;
	return SASL_OK;
}

static int
get_name(void *context, int id, const char **result, unsigned *len)
{
	const struct remote_sasl *s = context;

	*result = id == SASL_CB_AUTHNAME ? s->login : s->user;
	if (len != NULL)
		*len = (unsigned)strlen(*result);
	return SASL_OK;
}

static int
get_password(sasl_conn_t *conn, void *context, int id, sasl_secret_t **out)
{
	struct remote_sasl *s = context;

	(void)conn;
	(void)id;
	*out = s->password;
	return SASL_OK;
}

static enum rc
sasl_error(struct err *e, const struct remote_sasl *s, int status)
{
	enum rc rc = status == SASL_NOMEM ? RC_NOMEM
	             : status == SASL_BADSERV || status == SASL_BADAUTH || status == SASL_BADPROT
	                 ? RC_DENIED
	                 : RC_IO;

	if (status == SASL_NOMECH)
		return err_set(e, RC_NOT_FOUND,
		    "libsasl2 has no plugin for %s (package libsasl2-modules on Debian)",
		    s->mechanism);
	return err_set(e, rc, "%s: %s", s->mechanism,
	    status == SASL_BADSERV ? "the server does not know the password that it checks" :
	    sasl_errstring(status, NULL, NULL));
}

/* The library is set up once for the process. */
static int
init_library(void)
{
	static const sasl_callback_t callbacks[] = {
		{ SASL_CB_LOG, CALLBACK(no_log), NULL },
		{ SASL_CB_VERIFYFILE, CALLBACK(verify_file), NULL },
		{ SASL_CB_LIST_END, NULL, NULL },
	};
	static bool ready;
	int status = ready ? SASL_OK : sasl_client_init(callbacks);

	ready = status == SASL_OK;
	return status;
}

static enum rc
copy_password(struct remote_sasl *s, struct slice password, struct err *e)
{
	s->password = malloc(sizeof *s->password + password.len);
	if (s->password == NULL)
		return err_nomem(e);
	s->password->len = password.len;
	memcpy(s->password->data, password.ptr, password.len);
	s->password->data[password.len] = '\0';
	return RC_OK;
}

enum rc
remote_sasl_new(const struct remote_options *options, const char *service, const char *mechanism,
    struct remote_sasl **out, struct err *e)
{
	struct remote_sasl *s = calloc(1, sizeof *s);
	const char *host = options->url.is_unix ? "localhost" : options->url.host;
	int status;

	*out = NULL;
	if (s == NULL)
		return err_nomem(e);
	s->mechanism = mechanism;
	s->login = options->admin != NULL ? options->admin : options->url.user;
	s->user = options->admin != NULL ? options->url.user : "";
	s->callbacks[0] = (sasl_callback_t){ SASL_CB_USER, CALLBACK(get_name), s };
	s->callbacks[1] = (sasl_callback_t){ SASL_CB_AUTHNAME, CALLBACK(get_name), s };
	s->callbacks[2] = (sasl_callback_t){ SASL_CB_PASS, CALLBACK(get_password), s };
	s->callbacks[3] = (sasl_callback_t){ SASL_CB_LOG, CALLBACK(no_log), NULL };
	s->callbacks[4] = (sasl_callback_t){ SASL_CB_LIST_END, NULL, NULL };
	if (secret_init(&s->text, 2 * MESSAGE_MAX, e) != RC_OK ||
	    copy_password(s, secret_slice(options->password), e) != RC_OK) {
		remote_sasl_free(&s);
		return RC_NOMEM;
	}
	status = init_library();
	if (status == SASL_OK)
		status = sasl_client_new(service, host, NULL, NULL, s->callbacks, 0, &s->conn);
	if (status != SASL_OK) {
		(void)sasl_error(e, s, status);
		remote_sasl_free(&s);
		return e->code;
	}
	*out = s;
	return RC_OK;
}

void
remote_sasl_free(struct remote_sasl **sasl)
{
	struct remote_sasl *s = *sasl;

	if (s == NULL)
		return;
	sasl_dispose(&s->conn);
	if (s->password != NULL)
		secret_wipe(s->password, sizeof *s->password + s->password->len);
	free(s->password);
	secret_fini(&s->text);
	free(s);
	*sasl = NULL;
}

const char *
remote_sasl_choose(const struct remote_options *options, struct slice offered, bool safe)
{
	static const char *const names[] = { "PLAIN", "SCRAM-SHA-256" };

	for (size_t i = 0; i < 2; i++) {
		const char *name = names[safe ? i : 1 - i];
		size_t at = 0;

		if (options->url.auth[0] != '\0' && strcmp(options->url.auth, name) != 0)
			continue;
		while (at < offered.len) {
			struct slice left = slice_sub(offered, at, offered.len);
			size_t end = slice_find_byte(left, ' ');

			if (slice_eq_nocase(slice_sub(left, 0, end), slice_str(name)))
				return name;
			at += end + 1;
		}
	}
	return NULL;
}

/* The mechanism's text as base64. */
static enum rc
encode(struct remote_sasl *s, const char *text, unsigned len, struct slice *out, struct err *e)
{
	struct buf b;
	bool ok;

	buf_init(&b, 2 * MESSAGE_MAX);
	secret_reset(&s->text);
	ok = len <= MESSAGE_MAX && buf_reserve(&b, 2 * MESSAGE_MAX) != NULL &&
	    base64_encode(slice_of(text, len), &b) && secret_append(&s->text, buf_slice(&b));
	secret_wipe_buf(&b);
	buf_fini(&b);
	*out = secret_slice(&s->text);
	return ok ? RC_OK : err_set(e, RC_LIMIT, "%s: the answer is too long", s->mechanism);
}

enum rc
remote_sasl_start(struct remote_sasl *s, struct slice *base64, bool *any, struct err *e)
{
	const char *text = NULL, *mechanism;
	unsigned len = 0;
	int status = sasl_client_start(s->conn, s->mechanism, NULL, &text, &len, &mechanism);

	*base64 = SLICE_NONE;
	*any = text != NULL;
	if (status != SASL_OK && status != SASL_CONTINUE)
		return sasl_error(e, s, status);
	s->complete = status == SASL_OK;
	return *any ? encode(s, text, len, base64, e) : RC_OK;
}

enum rc
remote_sasl_step(struct remote_sasl *s, struct slice challenge, struct slice *base64, struct err *e)
{
	const char *text = NULL;
	unsigned len = 0;
	struct buf in;
	int status = SASL_OK;

	*base64 = SLICE_NONE;
	if (s->complete && challenge.len == 0)
		return RC_OK;           /* SCRAM's last word came with the one before */
	buf_init(&in, MESSAGE_MAX);
	if (!base64_decode(challenge, &in))
		status = SASL_BADPROT;
	else
		status = sasl_client_step(s->conn, (const char *)in.ptr, (unsigned)in.len, NULL,
		                          &text, &len);
	buf_fini(&in);
	if (status != SASL_OK && status != SASL_CONTINUE)
		return sasl_error(e, s, status);
	s->complete = status == SASL_OK;
	return len > 0 ? encode(s, text, len, base64, e) : RC_OK;
}

enum rc
remote_sasl_finish(struct remote_sasl *s, struct err *e)
{
	return s->complete
	           ? RC_OK
	           : err_set(e, RC_DENIED,
	                 "%s: the server says OK without having proved that it knows the password",
	                 s->mechanism);
}
