/* admin_past - what undelete, restore and history have in common. Of admin_*.c only. */
#ifndef RESTANTE_INDEX_ADMIN_PAST_H
#define RESTANTE_INDEX_ADMIN_PAST_H

#include "index/admin_impl.h"
#include "index/restore.h"
#include "lib/when.h"

/* One such verb under way, in one volume. */
struct looking_back {
	struct admin_call *c;
	struct volume     *v;
	const char        *what;        /* is being done, for progress */
	uint64_t           now_us;
	uint64_t           remembers_us;        /* the log is complete from here on */
	struct past       *past;
	bool               damaged;
};

/* The moments of an option. ADMIN_USAGE: told already, but for how the verb is used. *out stays if it is not given. */
enum admin_exit admin_moment(struct admin_call *c, const char *option, uint64_t *out_us);
/* "1:3,7,10:*" of --uid. *given is false without it. */
enum admin_exit admin_uids(struct admin_call *c, struct uid_set *out, bool *given);
/* The mailbox of that option, as names are stored; empty without it. ADMIN_FAILED: no mailbox can be called so. */
enum admin_exit admin_mailbox_name(struct admin_call *c, const char *option, struct slice *out);

/* Finds out how far back this volume's log goes. */
enum admin_exit admin_look_back(struct admin_call *c, struct volume *v, struct looking_back *out);
/* "the log remembers since 2026-11-15 12:00:00" */
const char *admin_remembers(struct looking_back *lb);
/* Make the past; `event` may be NULL. Told already if it is not ADMIN_OK. */
enum admin_exit admin_open_past(struct looking_back *lb, struct past_params *pp);
/* Ends it; the status that damage met on the way adds. */
enum admin_exit admin_close_past(struct looking_back *lb);
/* The account of that name that was deleted last, of all volumes. ADMIN_FAILED: told if `tell`. */
enum admin_exit admin_find_deleted(struct admin_call *c, const char *name, bool tell,
                                   struct volume **v, struct past_owner *out);
/* As admin_find; of an account that was deleted the error says when, and what brings it back. */
enum admin_exit admin_find_or_explain(struct admin_call *c, const char *name, struct volume **v,
                                      struct account_info *out);
/* For struct restore and past_params: progress of what lb->what says. */
bool admin_on_past(void *lb, uint64_t done, uint64_t total);

/* ---- what restore_messages did, a line per mailbox ---- */

struct restore_line {
	struct slice mailbox, into;
	uint64_t     deleted_us;        /* when the mailbox was deleted; 0 */
	bool         dry_run;
};
/* False when nobody reads any more. */
bool admin_tell_restored(struct admin_call *c, const struct restore_line *l,
                         const struct restore_counts *k);
void admin_add_counts(struct restore_counts *sum, const struct restore_counts *k);
/* The last line, and the exit status. */
enum admin_exit admin_tell_sum(struct admin_call *c, const struct restore_counts *sum,
                               bool dry_run);

#endif
