/* library - the process-wide state of libsasl2. */
#ifndef RESTANTE_SASL_LIBRARY_H
#define RESTANTE_SASL_LIBRARY_H

#include "lib/err.h"

/* Set libsasl2 up as a server: once per process, before any thread that uses sasl/ starts. `plugin_dir` is where its
 * plugins are, or NULL for the place it was built with. No file of configuration is read, no plugin is loaded but those
 * of the mechanisms we offer. RC_OK; RC_NOT_FOUND: a plugin is missing; RC_IO: libsasl2 refused. */
MUST_USE enum rc sasl_library_init(const char *plugin_dir, struct err *e);
/* After the last exchange is freed. */
void sasl_library_fini(void);

#endif
