/* admin_impl - one call of an admin verb, as its handlers see it. Of admin_*.c only. */
#ifndef RESTANTE_INDEX_ADMIN_IMPL_H
#define RESTANTE_INDEX_ADMIN_IMPL_H

#include "index/admin.h"
#include "lib/json.h"
#include "lib/options.h"

#define ADMIN_ARGS_MAX 64
#define ADMIN_LINE_MAX (15u << 20)      /* bytes of one line; the control socket carries 16 MiB */

struct admin_verb;

struct admin_call {
	struct admin            *ad;
	const struct admin_verb *verb;
	const char              *args[ADMIN_ARGS_MAX];  /* the words that are no options; NULL behind them */
	int                      argc;
	struct options           options;
	bool                     json;          /* --json */
	struct volume           *only;          /* --volume; NULL: all */
	struct arena             arena;         /* of the call */
	struct buf               line;          /* the line that is being made */
	bool                     incomplete;    /* a volume that is not open was left out */
	bool                     stopped;       /* nobody reads any more: see admin_is_over */
	void                    *arg;           /* the handler's own */
	uint64_t                 told_ms;       /* of the last progress */
};

/* Has who asked gone away? Then the verb ends as soon as it can; what it has done stays done. */
bool admin_is_over(struct admin_call *c);
/* Send what stands in `line` and empty it. False when nobody reads any more. */
bool admin_send(struct admin_call *c);
bool admin_printf(struct admin_call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* One line for stderr. */
void admin_complain(struct admin_call *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* The error's text, and the exit status that goes with it. */
enum admin_exit admin_fail(struct admin_call *c, const struct err *e);
/* What reading a message came to: its bytes are wrong, or the file that they stood in is gone. */
bool admin_is_lost(enum rc rc);
/* At most ten times a second, and at the end. False when nobody reads any more. */
bool admin_progress(struct admin_call *c, const char *what, uint64_t done, uint64_t total);

/* The value of an option that the verb declares; NULL: not given. */
const char *admin_option(const struct admin_call *c, const char *name);
bool admin_flag(const struct admin_call *c, const char *name);

/* The volumes that the call is about: `*i` runs from 0; NULL behind the last. That some are not open
 * is told then. */
struct volume *admin_next_volume(struct admin_call *c, size_t *i);
/* May nobody else have this name, that no open volume has? False: told already. */
bool admin_may_give(struct admin_call *c, const char *name);
/* NULL: there is none, told already. */
struct volume *admin_find_volume(struct admin_call *c, const char *name);
/* The account of that name, wherever it is; of two, which a move leaves for a moment, the owner. RC_NOT_FOUND. */
MUST_USE enum rc admin_look_up(struct admin_call *c, const char *name, struct volume **v,
                               struct account_info *out, struct err *e);
/* The same. ADMIN_FAILED: told already. */
enum admin_exit admin_find(struct admin_call *c, const char *name, struct volume **v,
                           struct account_info *out);
/* Submit, wait, tell what went wrong, free. `what` says what was tried. */
enum admin_exit admin_change(struct admin_call *c, struct volume *v, struct change **change,
                             const char *what);

/* Before work that waits its turn in a volume: says on stderr what it waits for. */
void admin_tell_wait(struct admin_call *c, struct volume *v);
/* The worse of two. */
enum admin_exit admin_worse(enum admin_exit a, enum admin_exit b);

/* "2.17": epoch and counter. */
void admin_append_lsn(struct buf *out, log_lsn lsn);
void admin_json_lsn(struct json *j, const char *key, log_lsn lsn);
/* In quotes; quotes, backslashes, control characters and what is not UTF-8 escaped. */
void admin_append_quoted(struct buf *out, struct slice s);
/* The name of a piece's file. */
void admin_append_piece(struct buf *out, struct seg_id seg);
/* Send a finding of a check or scrub: a line, or with --json an object. */
void admin_send_damage(struct admin_call *c, struct volume *v, const struct check_finding *f);
/* A finding of log_report in one line. */
void admin_append_finding(struct buf *line, struct volume *v, struct seg_id seg, uint64_t offset,
                          uint64_t len, log_lsn first, log_lsn last, const char *what);

/* A credential's value for people: what kinds of verifiers it has and what it is for, never a verifier. "SCRAM-SHA-256,
 * SCRAM-SHA-1", "{CRYPT}$6$", "SHA-256 only=imap,pop3". In JSON the members "kinds", "only" and "created". */
void admin_append_kinds(struct buf *out, struct slice value);
void admin_json_kinds(struct json *j, struct slice value);
/* A line each, or "credentials" of the account's object. */
enum admin_exit admin_send_credentials(struct admin_call *c, struct volume *v,
                                       const struct account_info *a);
enum admin_exit admin_json_credentials(struct admin_call *c, struct volume *v, account_id id,
                                       struct json *j);

/* Every account of a volume, in the order of names; the worst of what `one` returns. What is in the call's arena is
 * gone between pages. */
enum admin_exit admin_each_account(struct admin_call *c, struct volume *v,
                                   enum admin_exit (*one)(struct admin_call *c, struct volume *v,
                                                          const struct account_info *a));

enum admin_exit admin_user_add(struct admin_call *c);
enum admin_exit admin_user_list(struct admin_call *c);
enum admin_exit admin_user_lock(struct admin_call *c);
enum admin_exit admin_user_unlock(struct admin_call *c);
enum admin_exit admin_app_password_add(struct admin_call *c);
enum admin_exit admin_app_password_list(struct admin_call *c);
enum admin_exit admin_app_password_revoke(struct admin_call *c);
enum admin_exit admin_user_passwd(struct admin_call *c);
enum admin_exit admin_user_delete(struct admin_call *c);
enum admin_exit admin_user_show(struct admin_call *c);
enum admin_exit admin_user_hide(struct admin_call *c);
enum admin_exit admin_user_unhide(struct admin_call *c);
enum admin_exit admin_mailbox_list(struct admin_call *c);
enum admin_exit admin_mailbox_create(struct admin_call *c);
enum admin_exit admin_mailbox_delete(struct admin_call *c);
enum admin_exit admin_mailbox_rename(struct admin_call *c);
enum admin_exit admin_mailbox_subscribe(struct admin_call *c);
enum admin_exit admin_mailbox_unsubscribe(struct admin_call *c);
enum admin_exit admin_user_rename(struct admin_call *c);
enum admin_exit admin_user_move(struct admin_call *c);
enum admin_exit admin_volume_retire(struct admin_call *c);
enum admin_exit admin_quota_recount(struct admin_call *c);
enum admin_exit admin_lint(struct admin_call *c);
enum admin_exit admin_expunge(struct admin_call *c);
enum admin_exit admin_purge(struct admin_call *c);
enum admin_exit admin_dedup(struct admin_call *c);
enum admin_exit admin_quota_set(struct admin_call *c);
enum admin_exit admin_quota_show(struct admin_call *c);
enum admin_exit admin_undelete(struct admin_call *c);
enum admin_exit admin_undelete_account(struct admin_call *c);
enum admin_exit admin_restore(struct admin_call *c);
enum admin_exit admin_history(struct admin_call *c);
enum admin_exit admin_backup(struct admin_call *c);
enum admin_exit admin_check(struct admin_call *c);
enum admin_exit admin_dump(struct admin_call *c);
enum admin_exit admin_scrub(struct admin_call *c);
enum admin_exit admin_reparse(struct admin_call *c);
enum admin_exit admin_status(struct admin_call *c);
enum admin_exit admin_compact(struct admin_call *c);
enum admin_exit admin_import(struct admin_call *c);
enum admin_exit admin_export(struct admin_call *c);

#endif
