/* library - the process-wide state of libsasl2. */
#ifndef RESTANTE_SASL_LIBRARY_H
#define RESTANTE_SASL_LIBRARY_H

#include "sasl/sources.h"

/* All of it may be NULL. */
struct sasl_library_options {
	const char                *plugin_dir;  /* where libsasl2's plugins are; NULL: the place it was built with */
	const char                *config_dir;  /* with a file restante.conf for auxprop plugins; NULL or
	                                         * "": none is read */
	const struct sasl_sources *sources;     /* whose plugins are to be loaded */
};

/* Set libsasl2 up as a server: once per process, before any thread that uses sasl/ starts. No file of configuration is
 * read unless one is named, no plugin is loaded but those of the mechanisms we offer and of the sources. RC_OK;
 * RC_NOT_FOUND: a plugin is missing; RC_IO: libsasl2 refused. */
MUST_USE enum rc sasl_library_init(const struct sasl_library_options *o, struct err *e);
/* After the last exchange is freed. */
void sasl_library_fini(void);

#endif
