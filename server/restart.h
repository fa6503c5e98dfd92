/* restart - what a configuration says that a running server cannot follow. */
#ifndef RESTANTE_SERVER_RESTART_H
#define RESTANTE_SERVER_RESTART_H

#include "lib/conf.h"

/* Log one warning for each key, or section, in which `now` differs from what the server was started with and that takes
 * a restart. Returns how many. Any thread. */
unsigned restart_tell(const struct conf *started, const struct conf *now);
/* The same for what the supervisor has fixed, which stays even when the server is started again. The supervisor. */
unsigned restart_tell_fixed(const struct conf *started, const struct conf *now);
/* The same for a volume that is open: it is not there any more, or is another. */
unsigned restart_tell_volume(const struct conf_volume *opened, const struct conf *now);

#endif
