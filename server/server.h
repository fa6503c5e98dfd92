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
struct guard;
struct remember;
struct familiar;
struct regulars;

#define SERVER_NAME    "Restante"

/* Find an account over all volumes. Does I/O: steps only. *v stays open as long as the server runs. RC_NOT_FOUND: there
 * is none. Anything else: it was not found, and not every volume could be asked, as one is absent or cannot be read. */
MUST_USE enum rc server_find_account(struct server *srv, struct slice name, struct arena *a,
                                     struct volume **v, struct account_info *out, struct err *e);
/* Of all volumes, with which volumes there are: volume_accounts_version. Any thread. */
uint64_t server_accounts_version(const struct server *srv);
/* Likewise of all that decides whose mailbox an address is, but for the file of aliases. */
uint64_t server_recipients_version(const struct server *srv);
/* Accounts may be missing: damage was found in the log of a volume (volume_is_damaged). Any thread. */
bool server_misses_accounts(const struct server *srv);
/* Is an account called by an address of this domain? Does I/O. */
bool server_knows_domain(struct server *srv, struct slice domain);
/* Callbacks for sasl/: accounts of all volumes. */
const struct sasl_accounts *server_sasl_accounts(struct server *srv);
/* From which answers for unknown accounts are made (struct sasl_setup); empty: there is none. */
struct slice server_sasl_secret(const struct server *srv);
/* Of tries to log in; see gate.h. */
struct guard *server_guard(struct server *srv);
struct remember *server_remember(struct server *srv);
struct familiar *server_familiar(struct server *srv);
struct regulars *server_regulars(struct server *srv);
/* Valid as long as the server runs; unchanged by SIGHUP. */
const char *server_hostname(const struct server *srv);

#endif
