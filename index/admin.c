/* admin - the table of verbs, and what all of them need. See admin.h.
 *
 * Each call has one arena and one line buffer. Handlers tell their own errors and return the exit
 * status; when the reader has gone away they stop at the next line.
 */
#include "index/admin_impl.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <utf8proc.h>

#include "lib/clock.h"
#include "lib/text.h"

#define CALL_ARENA_MAX   (256u << 20)
#define PROGRESS_STEP_MS 100u

static enum admin_exit admin_who(struct admin_call *c);
static enum admin_exit admin_kick(struct admin_call *c);
static enum admin_exit admin_block_list(struct admin_call *c);
static enum admin_exit admin_block_clear(struct admin_call *c);

struct admin_verb {
	const char *words[2];           /* the second may be NULL */
	int         min_args, max_args;
	const char *options;
	enum admin_access access;
	enum admin_exit (*run)(struct admin_call *c);
	const char *usage;
};

static const struct admin_verb verbs[] = {
	{ { "user", "add" }, 2, 2, "--volume= --quota=", ADMIN_WRITES, admin_user_add,
	    "user add [--volume NAME] [--quota BYTES] NAME VERIFIER" },
	{ { "user", "list" }, 0, 0, "--volume= --json", ADMIN_READS, admin_user_list,
	    "user list [--volume V] [--json]" },
	{ { "user", "passwd" }, 2, 2, "", ADMIN_WRITES, admin_user_passwd,
	    "user passwd NAME VERIFIER" },
	{ { "user", "delete" }, 1, 1, "", ADMIN_WRITES, admin_user_delete, "user delete NAME" },
	{ { "user", "show" }, 1, 1, "--json", ADMIN_READS, admin_user_show,
	    "user show [--json] NAME" },
	{ { "user", "lock" }, 1, 1, "", ADMIN_WRITES, admin_user_lock, "user lock NAME" },
	{ { "user", "unlock" }, 1, 1, "", ADMIN_WRITES, admin_user_unlock, "user unlock NAME" },
	{ { "account", "lock" }, 1, 1, "", ADMIN_WRITES, admin_user_lock, "account lock NAME" },
	{ { "account", "unlock" }, 1, 1, "", ADMIN_WRITES, admin_user_unlock,
	    "account unlock NAME" },
	{ { "app-password", "add" }, 3, 3, "", ADMIN_WRITES, admin_app_password_add,
	    "app-password add NAME LABEL VERIFIER" },
	{ { "app-password", "list" }, 1, 1, "--json", ADMIN_READS, admin_app_password_list,
	    "app-password list [--json] NAME" },
	{ { "app-password", "revoke" }, 2, 2, "", ADMIN_WRITES, admin_app_password_revoke,
	    "app-password revoke NAME LABEL" },
	{ { "user", "hide" }, 2, ADMIN_ARGS_MAX - 1, "", ADMIN_WRITES, admin_user_hide,
	    "user hide NAME CAPABILITY..." },
	{ { "user", "unhide" }, 1, ADMIN_ARGS_MAX - 1, "--all", ADMIN_WRITES, admin_user_unhide,
	    "user unhide [--all] NAME [CAPABILITY...]" },
	{ { "user", "move" }, 2, 2, "--json", ADMIN_WRITES, admin_user_move,
	    "user move [--json] NAME VOLUME" },
	{ { "volume", "retire" }, 1, 1, "--to= --json", ADMIN_WRITES, admin_volume_retire,
	    "volume retire --to VOLUME [--json] VOLUME" },
	{ { "user", "rename" }, 2, 2, "", ADMIN_WRITES, admin_user_rename, "user rename NAME NEW" },
	{ { "mailbox", "create" }, 2, 2, "--special-use=", ADMIN_WRITES, admin_mailbox_create,
	    "mailbox create [--special-use USE] NAME MAILBOX" },
	{ { "mailbox", "delete" }, 2, 2, "", ADMIN_WRITES, admin_mailbox_delete,
	    "mailbox delete NAME MAILBOX" },
	{ { "mailbox", "rename" }, 3, 3, "", ADMIN_WRITES, admin_mailbox_rename,
	    "mailbox rename NAME MAILBOX NEW" },
	{ { "mailbox", "subscribe" }, 2, 2, "", ADMIN_WRITES, admin_mailbox_subscribe,
	    "mailbox subscribe NAME MAILBOX" },
	{ { "mailbox", "unsubscribe" }, 2, 2, "", ADMIN_WRITES, admin_mailbox_unsubscribe,
	    "mailbox unsubscribe NAME MAILBOX" },
	{ { "mailbox", "list" }, 1, 1, "--json", ADMIN_READS, admin_mailbox_list,
	    "mailbox list [--json] NAME" },
	{ { "lint", NULL }, 1, 1, "--mailbox= --uid= --json", ADMIN_READS, admin_lint,
	    "lint --mailbox MAILBOX [--uid SET] [--json] NAME" },
	{ { "expunge", NULL }, 0, 1, "--older-than= --mailbox= --all --volume= --dry-run --json",
	    ADMIN_WRITES, admin_expunge,
	    "expunge --older-than AGE [--mailbox M] [--dry-run] [--json] NAME|--all" },
	{ { "purge", NULL }, 0, 1,
	    "--message-id= --sha256= --reason= --volume= --dry-run --json --yes",
	    ADMIN_WRITES, admin_purge,
	    "purge --message-id ID|--sha256 HEX [--reason TEXT] [--dry-run] [--json] "
	    "[--yes] [NAME]" },
	{ { "dedup", NULL }, 0, 1, "--volume= --json", ADMIN_READS, admin_dedup,
	    "dedup [--volume V] [--json] [NAME]" },
	{ { "who", NULL }, 0, 1, "--peer= --all --json", ADMIN_LOOKS, admin_who,
	    "who [--all] [--peer NETWORK] [--json] [NAME]" },
	{ { "kick", NULL }, 0, 1, "--session= --peer= --json", ADMIN_LOOKS, admin_kick,
	    "kick [--session ID] [--peer NETWORK] [--json] [NAME]" },
	{ { "block", "list" }, 0, 0, "--json", ADMIN_LOOKS, admin_block_list,
	    "block list [--json]" },
	{ { "block", "clear" }, 0, 1, "--json", ADMIN_LOOKS, admin_block_clear,
	    "block clear [--json] [NAME|NETWORK]" },
	{ { "quota", "set" }, 1, 2, "--messages=", ADMIN_WRITES, admin_quota_set,
	    "quota set [--messages N] NAME [BYTES]" },
	{ { "quota", "show" }, 0, 1, "--json", ADMIN_READS, admin_quota_show,
	    "quota show [--json] [NAME]" },
	{ { "quota", "recount" }, 0, 1, "--json", ADMIN_READS, admin_quota_recount,
	    "quota recount [--json] [NAME]" },
	{ { "undelete", NULL }, 1, 1,
	    "--volume= --mailbox= --since= --message-id= --uid= --into= --moved --account --merge "
	    "--dry-run --json", ADMIN_WRITES, admin_undelete,
	    "undelete [--volume V] [--mailbox M] [--since TIME] [--message-id ID] [--uid SET] "
	    "[--into FOLDER] [--moved]"
	    " [--dry-run] [--json] NAME | undelete --account [--merge] [--dry-run] [--json] NAME" },
	{ { "restore", NULL }, 1, 1, "--volume= --at= --from= --mailbox= --into= --dry-run --json",
	    ADMIN_WRITES, admin_restore,
	    "restore [--at TIME] [--from DIR] [--mailbox M] [--into FOLDER] [--dry-run] "
	    "[--json] NAME" },
	{ { "history", NULL }, 1, 1, "--volume= --mailbox= --uid= --message-id= --since= --json",
	    ADMIN_READS, admin_history,
	    "history [--volume V] [--mailbox M] [--uid SET] [--message-id ID] [--since "
	    "TIME] [--json] NAME" },
	{ { "check", NULL }, 0, 0, "--volume= --json", ADMIN_LOOKS, admin_check,
	    "check [--volume V] [--json]" },
	{ { "compact", NULL }, 0, 0,
	    "--volume= --all --recompress= --rate= --retention= --dry-run --json",
	    ADMIN_WRITES, admin_compact,
	    "compact [--volume V] [--all] [--recompress LEVEL] [--rate BYTES] [--retention AGE]"
	    " [--dry-run] [--json]" },
	{ { "backup", NULL }, 1, 1, "--volume= --rate= --dry-run --json", ADMIN_LOOKS, admin_backup,
	    "backup [--volume V] [--rate BYTES] [--dry-run] [--json] DIR" },
	{ { "dump", NULL }, 0, 0, "--volume= --json", ADMIN_LOOKS, admin_dump,
	    "dump [--volume V] [--json]" },
	{ { "export", NULL }, 1, 1, "--mailbox= --uid= --dry-run", ADMIN_READS, admin_export,
	    "export [--mailbox M] [--uid SET] [--dry-run] NAME" },
	{ { "import", NULL }, 1, 1, "--dry-run --keep-uids --keep-uidl", ADMIN_WRITES, admin_import,
	    "import [--keep-uids] [--keep-uidl] [--dry-run] NAME" },
	{ { "reindex", NULL }, 0, 0, "--volume= --reparse --all --dry-run --json", ADMIN_WRITES,
	    admin_reparse, "reindex --reparse [--volume NAME] [--all] [--dry-run] [--json]" },
	{ { "scrub", NULL }, 0, 0, "--volume= --json", ADMIN_LOOKS, admin_scrub,
	    "scrub [--volume V] [--json]" },
	{ { "status", NULL }, 0, 0, "--json", ADMIN_LOOKS, admin_status, "status [--json]" },
};

/* ---- lines ---- */

bool
admin_is_over(struct admin_call *c)
{
	if (c->ad->gone != NULL && atomic_load(c->ad->gone))
		c->stopped = true;
	return c->stopped;
}

bool
admin_send(struct admin_call *c)
{
	const struct admin_output *out = c->ad->out;

	if (c->line.failed)
		admin_complain(c, "a line is longer than %u bytes, or there is no memory for it",
		    ADMIN_LINE_MAX);
	else if (!admin_is_over(c) && !out->line(out->arg, buf_slice(&c->line)))
		c->stopped = true;
	buf_reset(&c->line);
	return !c->stopped;
}

bool
admin_printf(struct admin_call *c, const char *fmt, ...)
{
	va_list ap, again;
	uint8_t *to;
	int len;

	va_start(ap, fmt);
	va_copy(again, ap);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	to = len >= 0 ? buf_reserve(&c->line, (size_t)len + 1) : NULL;
	if (to != NULL) {
		vsnprintf((char *)to, (size_t)len + 1, fmt, again);
		buf_commit(&c->line, (size_t)len);
	}
	va_end(again);
	return admin_send(c);
}

void
admin_complain(struct admin_call *c, const char *fmt, ...)
{
	char text[ERR_TEXT_MAX + 256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	c->ad->out->error(c->ad->out->arg, slice_str(text));
}

enum admin_exit
admin_fail(struct admin_call *c, const struct err *e)
{
	if (c->stopped)
		return ADMIN_FAILED;
	admin_complain(c, "%s", e->text[0] != '\0' ? e->text : rc_name(e->code));
	return e->code == RC_CORRUPT ? ADMIN_DAMAGE : ADMIN_FAILED;
}

bool
admin_is_lost(enum rc rc)
{
	return rc == RC_CORRUPT || rc == RC_NOT_FOUND;
}

bool
admin_progress(struct admin_call *c, const char *what, uint64_t done, uint64_t total)
{
	const struct admin_output *out = c->ad->out;
	uint64_t now = clock_mono_ms();

	if (!admin_is_over(c) && out->progress != NULL &&
	    (now - c->told_ms >= PROGRESS_STEP_MS || done >= total)) {
		c->told_ms = now;
		out->progress(out->arg, what, done, total);
	}
	return !c->stopped;
}

void
admin_append_lsn(struct buf *out, log_lsn lsn)
{
	buf_printf(out, "%u.%llu", LSN_EPOCH(lsn),
	    (unsigned long long)(lsn & ((UINT64_C(1) << LSN_COUNTER_BITS) - 1)));
}

void
admin_json_lsn(struct json *j, const char *key, log_lsn lsn)
{
	char text[40];

	snprintf(text, sizeof text, "%u.%llu", LSN_EPOCH(lsn),
	    (unsigned long long)(lsn & ((UINT64_C(1) << LSN_COUNTER_BITS) - 1)));
	json_cstr(j, key, text);
}

void
admin_append_quoted(struct buf *out, struct slice s)
{
	buf_append_byte(out, '"');
	while (s.len > 0) {
		uint32_t cp;
		size_t n = text_utf8_next(s, &cp);

		if (n == 0 || cp < 0x20 || (cp >= 0x7F && cp < 0xA0))
			for (size_t i = 0; i < (n == 0 ? 1 : n); i++)
				buf_printf(out, "\\x%02x", s.ptr[i]);
		else if (cp == '"' || cp == '\\')
			buf_printf(out, "\\%c", (int)cp);
		else
			buf_append_slice(out, slice_sub(s, 0, n));
		s = slice_sub(s, n == 0 ? 1 : n, s.len);
	}
	buf_append_byte(out, '"');
}

void
admin_append_piece(struct buf *out, struct seg_id seg)
{
	if (seg.kind == SEG_BODY)
		buf_printf(out, "b-%u-%llu", seg.epoch, (unsigned long long)seg.seq);
	else
		buf_printf(out, "s-%llu-%u", (unsigned long long)seg.seq, seg.epoch);
}

/* ---- what words mean ---- */

/* Letters, digits, marks, punctuation and symbols: nothing that is invisible, a separator or not
 * assigned. */
static bool
is_name_char(uint32_t cp)
{
	switch (utf8proc_category((utf8proc_int32_t)cp)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
	case UTF8PROC_CATEGORY_ZS:
		return false;
	default:                /* not our enum */
		return cp != '/';
	}
}

enum rc
admin_check_name(struct slice name, struct err *e)
{
	if (name.len == 0)
		return err_set(e, RC_SYNTAX, "the name is empty");
	if (name.len > ACCOUNT_NAME_MAX)
		return err_set(e, RC_LIMIT, "the name is longer than %u bytes", ACCOUNT_NAME_MAX);
	while (name.len > 0) {
		uint32_t cp;
		size_t n = text_utf8_next(name, &cp);

		if (n == 0)
			return err_set(e, RC_SYNTAX, "the name is not UTF-8");
		if (!is_name_char(cp))
			return err_set(e, RC_SYNTAX,
			    "a name may not hold U+%04X (no spaces, slashes, control or "
			    "invisible characters)",
			    (unsigned)cp);
		name = slice_sub(name, n, name.len);
	}
	return RC_OK;
}

bool
admin_parse_size(struct slice text, uint64_t *out)
{
	static const char suffixes[] = "KMGT";
	unsigned shift = 0;

	if (text.len > 0) {
		const char *hit =
		    memchr(suffixes, ascii_upper(text.ptr[text.len - 1]), sizeof suffixes - 1);

		if (hit != NULL) {
			shift = 10 * (unsigned)(hit - suffixes + 1);
			text.len--;
		}
	}
	/* What SQLite can hold. */
	if (!slice_to_u64(text, (uint64_t)INT64_MAX >> shift, out))
		return false;
	*out <<= shift;
	return true;
}

bool
admin_parse_count(struct slice text, uint64_t *out)
{
	return slice_to_u64(text, INT64_MAX, out);
}

enum admin_exit
admin_worse(enum admin_exit a, enum admin_exit b)
{
	return a > b ? a : b;
}

const char *
admin_option(const struct admin_call *c, const char *name)
{
	assert(options_declared(c->verb->options, name));
	return options_value(&c->options, name);
}

bool
admin_flag(const struct admin_call *c, const char *name)
{
	return options_given(&c->options, name);
}

static struct volume *
next_volume(const struct admin_call *c, size_t *i)
{
	if (c->only != NULL)
		return (*i)++ == 0 ? c->only : NULL;
	return *i < c->ad->volume_count ? c->ad->volumes[(*i)++] : NULL;
}

struct volume *
admin_next_volume(struct admin_call *c, size_t *i)
{
	struct volume *v = next_volume(c, i);

	if (v != NULL || c->only != NULL || c->incomplete)
		return v;
	for (size_t k = 0; k < c->ad->absent_count; k++)
		admin_complain(c, "volume %s is not available and was left out: %s",
		    c->ad->absent[k].volume, c->ad->absent[k].reason);
	c->incomplete = c->ad->absent_count > 0;
	return NULL;
}

bool
admin_may_give(struct admin_call *c, const char *name)
{
	if (c->ad->absent_count == 0)
		return true;
	admin_complain(c, "%s: volume %s is not available and may have an account of this name: %s",
	    name, c->ad->absent[0].volume, c->ad->absent[0].reason);
	return false;
}

struct volume *
admin_find_volume(struct admin_call *c, const char *name)
{
	for (size_t i = 0; i < c->ad->volume_count; i++)
		if (strcmp(volume_name(c->ad->volumes[i]), name) == 0)
			return c->ad->volumes[i];
	for (size_t i = 0; i < c->ad->absent_count; i++)
		if (strcmp(c->ad->absent[i].volume, name) == 0) {
			admin_complain(c, "volume %s is not available: %s", name,
			    c->ad->absent[i].reason);
			return NULL;
		}
	admin_complain(c, "there is no volume %s", name);
	return NULL;
}

enum rc
admin_look_up(struct admin_call *c, const char *name, struct volume **v, struct account_info *out,
              struct err *e)
{
	struct err unread = ERR_INIT;
	struct account_info found;
	struct volume *in;
	size_t i = 0;

	*v = NULL;
	while ((in = next_volume(c, &i)) != NULL) {
		struct err one = ERR_INIT;
		enum rc rc = volume_find_account(in, slice_str(name), &c->arena, &found, &one);

		if (rc != RC_OK && rc != RC_NOT_FOUND)
			unread = one;
		if (rc != RC_OK || (*v != NULL && found.generation <= out->generation))
			continue;
		*out = found;
		*v = in;
	}
	if (*v != NULL)
		return RC_OK;
	if (unread.code != RC_OK) {
		*e = unread;
		return e->code;
	}
	if (c->only == NULL && c->ad->absent_count > 0)
		return err_set(e, RC_BUSY,
		    "%s: no volume that is available has such an account; volume %s is not", name,
		    c->ad->absent[0].volume);
	return err_set(e, RC_NOT_FOUND, "%s: there is no such account", name);
}

enum admin_exit
admin_find(struct admin_call *c, const char *name, struct volume **v, struct account_info *out)
{
	struct err e = ERR_INIT;

	return admin_look_up(c, name, v, out, &e) == RC_OK ? ADMIN_OK : admin_fail(c, &e);
}

enum admin_exit
admin_change(struct admin_call *c, struct volume *v, struct change **change, const char *what)
{
	struct change *ch = *change;
	enum admin_exit status = ADMIN_OK;
	enum rc rc;

	ch->who = (struct frame_who){ .protocol = PROTO_ADMIN };
	rc = volume_submit_wait(v, ch);
	if (rc != RC_OK && ch->durable) {
		admin_complain(c, "%s: done, but the index is behind: %s", what, ch->err.text);
	} else if (rc != RC_OK) {
		admin_complain(
		    c, "%s: %s", what, ch->err.text[0] != '\0' ? ch->err.text : rc_name(rc));
		status = ADMIN_FAILED;
	}
	change_free(change);
	return status;
}

void
admin_tell_wait(struct admin_call *c, struct volume *v)
{
	const char *what = volume_claimed(v, CLAIM_MAINTENANCE);

	if (what != NULL)
		admin_complain(c, "volume %s: %s is under way; waiting for its end", volume_name(v),
		               what);
}

/* ---- verbs of the daemon alone ---- */

/* The daemon's, or NULL: told already. */
static const struct admin_live *
live(struct admin_call *c)
{
	if (c->ad->live == NULL)
		admin_complain(c, "restanted is not running: there is nobody to ask");
	return c->ad->live;
}

static enum admin_exit
admin_who(struct admin_call *c)
{
	const struct admin_live *l = live(c);

	return l != NULL ? l->who(l->arg, c) : ADMIN_FAILED;
}

static enum admin_exit
admin_kick(struct admin_call *c)
{
	const struct admin_live *l = live(c);

	return l != NULL ? l->kick(l->arg, c) : ADMIN_FAILED;
}

static enum admin_exit
admin_block_list(struct admin_call *c)
{
	const struct admin_live *l = live(c);

	return l != NULL ? l->block_list(l->arg, c) : ADMIN_FAILED;
}

static enum admin_exit
admin_block_clear(struct admin_call *c)
{
	const struct admin_live *l = live(c);

	return l != NULL ? l->block_clear(l->arg, c) : ADMIN_FAILED;
}

/* ---- the call ---- */

static const struct admin_verb *
find_verb(int argc, const char *const *argv)
{
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		const struct admin_verb *v = &verbs[i];

		if (argc < 1 || strcmp(argv[0], v->words[0]) != 0)
			continue;
		if (v->words[1] == NULL || (argc > 1 && strcmp(argv[1], v->words[1]) == 0))
			return v;
	}
	return NULL;
}

bool
admin_find_grammar(int argc, const char *const *argv, struct admin_grammar *out)
{
	const struct admin_verb *v = find_verb(argc, argv);

	if (v != NULL)
		*out = (struct admin_grammar){
			v->words[1] != NULL ? 2 : 1, v->min_args, v->max_args, v->options, v->usage,
			v->access
		};
	return v != NULL;
}

/* What all verbs' options mean alike. */
static enum admin_exit
use_options(struct admin_call *c)
{
	const char *volume = options_value(&c->options, "--volume");

	c->json = admin_flag(c, "--json");
	if (volume != NULL)
		c->only = admin_find_volume(c, volume);
	return volume == NULL || c->only != NULL ? ADMIN_OK : ADMIN_FAILED;
}

static enum admin_exit
take_words(struct admin_call *c, int argc, const char *const *argv)
{
	struct err e = ERR_INIT;
	bool options = true;

	c->options.declared = c->verb->options;
	for (int i = c->verb->words[1] != NULL ? 2 : 1; i < argc; i++) {
		const char *next = i + 1 < argc ? argv[i + 1] : NULL;
		bool took_next = false;

		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && strncmp(argv[i], "--", 2) == 0) {
			if (options_take(&c->options, argv[i], next, &took_next, &e) != RC_OK) {
				admin_complain(c, "%s", e.text);
				return ADMIN_USAGE;
			}
		} else if (c->argc == c->verb->max_args)
			return ADMIN_USAGE;
		else
			c->args[c->argc++] = argv[i];
		i += took_next ? 1 : 0;
	}
	return c->argc < c->verb->min_args ? ADMIN_USAGE : use_options(c);
}

enum admin_exit
admin_run(struct admin *ad, int argc, const char *const *argv)
{
	struct admin_call c = { .ad = ad, .verb = find_verb(argc, argv) };
	enum admin_exit status;

	assert(ad->out != NULL && ad->volume_count > 0);
	if (c.verb == NULL) {
		admin_complain(&c, "usage: no such verb: %.40s %.40s", argc > 0 ? argv[0] : "",
		    argc > 1 ? argv[1] : "");
		return ADMIN_USAGE;
	}
	arena_init(&c.arena, CALL_ARENA_MAX);
	buf_init(&c.line, ADMIN_LINE_MAX);
	status = take_words(&c, argc, argv);
	if (status == ADMIN_OK)
		status = c.verb->run(&c);
	if (c.incomplete)
		status = admin_worse(status, ADMIN_FAILED);
	if (status == ADMIN_USAGE)
		admin_complain(&c, "usage: %s", c.verb->usage);
	buf_fini(&c.line);
	arena_fini(&c.arena);
	return status;
}
