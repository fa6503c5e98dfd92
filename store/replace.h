/* replace - small files of their own beside a volume's log and index, written whole or not at all.
 *
 * Any thread; one at a time for a name.
 */
#ifndef RESTANTE_STORE_REPLACE_H
#define RESTANTE_STORE_REPLACE_H

#include "lib/err.h"
#include "lib/slice.h"

/* Make the file of this text (mode 0600): under another name, path.new, synced and renamed, its directory synced. On
 * failure the former one is there, and nothing else. */
MUST_USE enum rc file_replace(const char *path, struct slice text, struct err *e);
/* Sync the directory that `path` lies in: what was made, renamed or removed there lasts. */
MUST_USE enum rc file_sync_dir(const char *path, struct err *e);

#endif
