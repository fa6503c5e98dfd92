/* preflight - what can be known to fail is found before anything is bound or opened, as the user that is to run.
 *
 * Main thread, before any other. What an admin meets most: files made by root that the configured user cannot use.
 */
#ifndef RESTANTE_SERVER_PREFLIGHT_H
#define RESTANTE_SERVER_PREFLIGHT_H

#include "lib/conf.h"

/* May the user of [server] (as whom root will run) use the volumes and the place of the control socket? Changes nothing.
 * The error names path and user. Certificate files that this user cannot read again, and a key that others may read or
 * change, are logged as warnings. */
MUST_USE enum rc preflight_check(const struct conf *conf, struct err *e);

#endif
