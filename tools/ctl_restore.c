/* ctl_restore - what restantectl does itself of restore: a directory is named as its shell sees it.
 *
 * The verb runs in the daemon, whose working directory is another one.
 */
#include "tools/ctl.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

enum admin_exit
ctl_restore(struct ctl *ctl)
{
	char path[PATH_MAX];

	if (ctl->argc == 0)
		return ctl_restore_volume(ctl);
	for (int i = 0; i < ctl->options.count; i++) {
		struct option_given *g = &ctl->options.given[i];

		if (g->value == NULL || g->name_len != strlen("--from") ||
		    strncmp(g->name, "--from", g->name_len) != 0)
			continue;
		if (realpath(g->value, path) == NULL) {
			ctl_error(ctl, "--from %s: %s", g->value, strerror(errno));
			return ADMIN_FAILED;
		}
		g->name = "--from";     /* not with the value behind a "=" */
		g->value = path;
	}
	return ctl_forward(ctl);
}
