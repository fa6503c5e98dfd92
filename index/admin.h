/* admin - the admin's verbs over open volumes: what restantectl does on a stopped volume and the daemon does for it
 * through the control socket, in one place, so that both answer alike.
 *
 * A verb is a list of words ("user", "add", "anna", "SCRAM-SHA-256$..."), checked against one table; its output is lines
 * of text or JSON. Passwords never come here: restantectl makes the verifier. Calls block (I/O, waiting for the writer):
 * a thread of their own or a tool's main thread.
 */
#ifndef RESTANTE_INDEX_ADMIN_H
#define RESTANTE_INDEX_ADMIN_H

#include "index/volume.h"

/* Exit statuses of restantectl [design, section 7]. */
enum admin_exit {
	ADMIN_OK = 0,
	ADMIN_FAILED = 1,
	ADMIN_USAGE = 2,
	ADMIN_DAMAGE = 3,
};

struct admin_output {
	void  *arg;
	/* One line of result, without its line end. False: nobody reads any more, stop. */
	bool (*line)(void *arg, struct slice text);
	/* One line for stderr. */
	void (*error)(void *arg, struct slice text);
	/* Progress of long work: a bar on a terminal, plain lines in a pipe; may be NULL. */
	void (*progress)(void *arg, const char *what, uint64_t done, uint64_t total);
};

struct admin {
	struct volume *const *volumes;
	size_t                volume_count;
	bool                  online;           /* inside the daemon */
	const struct admin_output *out;
};

enum admin_exit admin_run(struct admin *ad, int argc, const char *const *argv);

/* May this verb run inside a daemon, and does it need the volume writable. False: unknown verb. */
bool admin_verb_info(int argc, const char *const *argv, bool *online_ok, bool *needs_write);

#endif
