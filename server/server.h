/* server - what all sessions share: configuration, volumes, who is an account, SASL.
 *
 * Made by main before the first reactor, unchanged afterwards except for the configuration, which SIGHUP replaces,
 * and volumes, which it adds: none is closed before the end, as sessions keep pointers to them.
 */
#ifndef RESTANTE_SERVER_SERVER_H
#define RESTANTE_SERVER_SERVER_H

#include "index/volume.h"
#include "lib/conf.h"
#include "sasl/account.h"
#include "sasl/exchange.h"

struct server;

#define SERVER_NAME    "Restante"

/* Find an account over all volumes. Does I/O: steps only. RC_NOT_FOUND. *v stays open as long as the server runs. */
MUST_USE enum rc server_find_account(struct server *srv, struct slice name, struct arena *a, struct volume **v,
                                     struct account_info *out, struct err *e);
/* A recipient address [design, section 7]: user@domain, else user, else user without +detail; *detail is then the
 * detail or empty. */
MUST_USE enum rc server_find_recipient(struct server *srv, struct slice local_part, struct slice domain,
                                       struct arena *a, struct volume **v, struct account_info *out,
                                       struct slice *detail, struct err *e);
/* Accounts may be missing: damage was found in the log of a volume (volume_is_damaged). Any thread. */
bool server_misses_accounts(const struct server *srv);
/* Callbacks for sasl/: accounts of all volumes. */
const struct sasl_accounts *server_sasl_accounts(struct server *srv);
/* Valid as long as the server runs; unchanged by SIGHUP. */
const char *server_hostname(const struct server *srv);

#endif
