/* export - what a stream of messages is written to: Maildir, mbox, files *.eml. See ctl_export.c.
 *
 * A writer makes everything below a path that did not exist, and never looks at what is elsewhere. One thread.
 */
#ifndef RESTANTE_TOOLS_EXPORT_H
#define RESTANTE_TOOLS_EXPORT_H

#include "index/parcel.h"

struct export_writer;

enum export_format {
	EXPORT_MAILDIR,
	EXPORT_MBOX,
	EXPORT_EML,
};

/* Write below `path`, which is made, or to standard output if it is "-" (mbox; eml of one message). `single`: one
 * mailbox comes, and `path` is its own. */
MUST_USE enum rc export_open(enum export_format format, const char *path, bool single,
                             struct export_writer **out, struct err *e);
const struct parcel_handler *export_handler(struct export_writer *w);
/* After the stream: close and sync all. */
MUST_USE enum rc export_finish(struct export_writer *w, struct err *e);
uint64_t export_count(const struct export_writer *w);
uint64_t export_bytes(const struct export_writer *w);
void export_free(struct export_writer **w);

#endif
