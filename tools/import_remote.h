/* import_remote - restantectl import from imap:// and pop:// URLs: the options about logging in, and the passwords.
 * One thread. */
#ifndef RESTANTE_TOOLS_IMPORT_REMOTE_H
#define RESTANTE_TOOLS_IMPORT_REMOTE_H

#include "tools/ctl.h"
#include "tools/remote.h"

/* The options that go with a URL, see lib/options.h. */
#define IMPORT_REMOTE_OPTIONS \
	"--password-file= --auth-user= --uidl-format= --ca-file= --insecure --starttls --no-tls"

struct import_password;

struct import_login {
	struct ctl             *ctl;
	struct import_password *passwords;      /* one for each user and server */
	size_t                  count;
	struct remote_options   remote;         /* of the URL that is open */
};

/* If some of the sources are URLs: check all of them, and get a password for each user and server (host and port) among
 * them, in the order in which they come: lines of --password-file, typed, or lines of standard input. RC_SYNTAX: an
 * option or a URL is wrong, a password is missing. Ended by import_login_fini in any case. */
MUST_USE enum rc import_login_init(struct import_login *l, struct ctl *ctl,
                                   const char *const *sources, int count, struct err *e);
void import_login_fini(struct import_login *l);
/* remote_open. One at a time; the login outlives the source. */
MUST_USE enum rc import_login_open(struct import_login *l, const char *url,
                                   const struct import_options *options, struct import_source *out,
                                   struct err *e);

#endif
