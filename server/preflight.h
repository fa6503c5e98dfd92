/* preflight - what can be known to fail is found before anything is bound or opened, as the user that is to run.
 *
 * Main thread, before any other. What an admin meets most: files made by root that the configured user cannot use.
 */
#ifndef RESTANTE_SERVER_PREFLIGHT_H
#define RESTANTE_SERVER_PREFLIGHT_H

#include "lib/conf.h"

/* Before a start: may the user of [server] (as whom root will run) use at least one of the volumes, may we make the
 * sockets, are there their groups, and can certificates, keys and the other files that it names be had (trusted_open)?
 * Changes nothing. The error names path and user. A key that others may read or change, and a configuration that this
 * user could change, are logged as warnings. */
MUST_USE enum rc preflight_check(const struct conf *conf, struct err *e);
/* For who only asks: the same, of all volumes. */
MUST_USE enum rc preflight_check_all(const struct conf *conf, struct err *e);

#endif
