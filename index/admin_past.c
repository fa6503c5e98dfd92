/* admin_past - times, UIDs and names as these verbs take them, and their results as lines.
 * See admin_past.h. */
#include "index/admin_past.h"

#include "index/names.h"
#include "lib/clock.h"

#define UID_RANGES_MAX 10000u

/* ---- options ---- */

enum admin_exit
admin_moment(struct admin_call *c, const char *option, uint64_t *out_us)
{
	const char *text = admin_option(c, option);
	struct err e = ERR_INIT;

	if (text == NULL || when_parse(slice_str(text), clock_wall_us(), out_us, &e) == RC_OK)
		return ADMIN_OK;
	admin_complain(c, "%s: %s", option, e.text);
	return ADMIN_USAGE;
}

enum admin_exit
admin_uids(struct admin_call *c, struct uid_set *out, bool *given)
{
	const char *text = admin_option(c, "--uid");

	uid_set_init(out, UID_RANGES_MAX);
	*given = text != NULL;
	if (text == NULL || uid_set_parse(slice_str(text), out))
		return ADMIN_OK;
	admin_complain(c, "--uid: \"%.60s\" is no set of UIDs, as 4 or 1:3,7", text);
	return ADMIN_USAGE;
}

enum admin_exit
admin_mailbox_name(struct admin_call *c, const char *option, struct slice *out)
{
	const char *text = admin_option(c, option);
	struct err e = ERR_INIT;

	*out = SLICE("");
	if (text == NULL || name_mailbox_make(slice_str(text), &c->arena, out, &e) == RC_OK)
		return ADMIN_OK;
	admin_complain(c, "%s: no mailbox can be called \"%.100s\": %s", option, text, e.text);
	return ADMIN_FAILED;
}

/* ---- how far back ---- */

enum admin_exit
admin_look_back(struct admin_call *c, struct volume *v, struct looking_back *out)
{
	struct log_stats stats = { .segments = 0 };
	struct err e = ERR_INIT;
	uint64_t retention = c->ad->retention_us, begin = 0;

	*out = (struct looking_back){ .c = c, .v = v, .what = "reading the log",
	                              .now_us = clock_wall_us() };
	if (past_begin_us(volume_log(v), &begin, &e) != RC_OK)
		return admin_fail(c, &e);
	log_get_stats(volume_log(v), &stats);
	out->remembers_us = begin;
	if (stats.compacted_us > retention && stats.compacted_us - retention > begin)
		out->remembers_us = stats.compacted_us - retention;
	return ADMIN_OK;
}

const char *
admin_remembers(struct looking_back *lb)
{
	char when[WHEN_TEXT_MAX];
	struct slice text;

	if (lb->remembers_us == 0)
		return "the log is empty";
	when_format(lb->remembers_us, when);
	text = arena_printf(&lb->c->arena, "the log remembers since %s", when);
	return text.ptr != NULL ? (const char *)text.ptr : "the log does not go back far enough";
}

/* ---- the past ---- */

bool
admin_on_past(void *arg, uint64_t done, uint64_t total)
{
	struct looking_back *lb = arg;

	return admin_progress(lb->c, lb->what, done, total);
}

static void
on_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
         const char *what)
{
	struct looking_back *lb = arg;
	struct buf line;

	lb->damaged = true;
	buf_init(&line, 4096);
	admin_append_finding(&line, lb->v, seg, offset, len, first, last, what);
	lb->c->ad->out->error(lb->c->ad->out->arg, buf_slice(&line));
	buf_fini(&line);
}

enum admin_exit
admin_open_past(struct looking_back *lb, struct past_params *pp)
{
	struct err e = ERR_INIT;
	enum rc rc;

	pp->volume = lb->v;
	pp->report = (struct log_report){ lb, on_found };
	pp->progress = admin_on_past;
	pp->progress_arg = lb;
	log_hold(volume_log(lb->v));
	rc = past_open(pp, &lb->past, &e);
	log_unhold(volume_log(lb->v));
	if (rc == RC_NOT_FOUND) {
		admin_complain(lb->c, "%s: there was no such account then; %s", lb->c->args[0],
		    admin_remembers(lb));
		return ADMIN_FAILED;
	}
	return rc == RC_OK ? ADMIN_OK : admin_fail(lb->c, &e);
}

enum admin_exit
admin_close_past(struct looking_back *lb)
{
	bool damaged = lb->damaged || (lb->past != NULL && past_is_damaged(lb->past));

	past_close(&lb->past);
	if (!damaged)
		return ADMIN_OK;
	admin_complain(lb->c,
	    "%s: the log is damaged, something may be missing here (see restantectl check)",
	    volume_name(lb->v));
	return ADMIN_DAMAGE;
}

/* ---- accounts that are no more ---- */

static enum rc
find_deleted_in(struct admin_call *c, struct volume *v, const char *name, struct past_owner *out,
                struct err *e)
{
	struct looking_back lb = { .c = c, .v = v, .what = "looking for the account" };
	const struct past_params how = { .progress = admin_on_past, .progress_arg = &lb };
	enum rc rc;

	log_hold(volume_log(v));
	rc = past_find_owner(volume_log(v), slice_str(name), PAST_END, true, &how, &c->arena, out,
	                     e);
	log_unhold(volume_log(v));
	return rc;
}

enum admin_exit
admin_find_deleted(struct admin_call *c, const char *name, bool tell, struct volume **out_v,
                   struct past_owner *out)
{
	struct past_owner o;
	struct err e = ERR_INIT;
	struct volume *v;
	size_t i = 0;

	*out_v = NULL;
	while ((v = admin_next_volume(c, &i)) != NULL) {
		enum rc rc = find_deleted_in(c, v, name, &o, &e);

		if (rc != RC_OK && rc != RC_NOT_FOUND)
			return tell ? admin_fail(c, &e) : ADMIN_FAILED;
		if (rc == RC_OK && (*out_v == NULL || o.deleted_us > out->deleted_us)) {
			*out_v = v;
			*out = o;
		}
	}
	if (*out_v != NULL)
		return ADMIN_OK;
	if (tell)
		admin_complain(c,
		    "%s: no account of this name was deleted, as far as the log remembers", name);
	return ADMIN_FAILED;
}

enum admin_exit
admin_find_or_explain(struct admin_call *c, const char *name, struct volume **v,
                      struct account_info *out)
{
	char when[WHEN_TEXT_MAX];
	struct err e = ERR_INIT;
	struct past_owner o;
	enum rc rc = admin_look_up(c, name, v, out, &e);

	if (rc != RC_NOT_FOUND)
		return rc == RC_OK ? ADMIN_OK : admin_fail(c, &e);
	if (admin_find_deleted(c, name, false, v, &o) != ADMIN_OK) {
		admin_complain(c, "%s: there is no such account", name);
		return ADMIN_FAILED;
	}
	when_format(o.deleted_us, when);
	admin_complain(c,
	    "%s: there is no such account; it was deleted at %s: restantectl undelete --account "
	    "%s brings it back",
	    name, when, name);
	return ADMIN_FAILED;
}

/* ---- results ---- */

void
admin_add_counts(struct restore_counts *sum, const struct restore_counts *k)
{
	sum->restored += k->restored;
	sum->present += k->present;
	sum->lost += k->lost;
	sum->purged += k->purged;
	sum->moved += k->moved;
	sum->bare += k->bare;
}

static void
append_count(struct buf *out, uint64_t n, const char *text)
{
	if (n > 0)
		buf_printf(out, ", %llu %s", (unsigned long long)n, text);
}

static bool
tell_text(struct admin_call *c, const struct restore_line *l, const struct restore_counts *k)
{
	struct buf *out = &c->line;
	char when[WHEN_TEXT_MAX];

	buf_append_slice(out, l->mailbox);
	if (l->deleted_us != 0) {
		when_format(l->deleted_us, when);
		buf_printf(out, " (deleted at %s)", when);
	}
	if (!slice_eq(l->mailbox, l->into)) {
		buf_append_str(out, " into ");
		buf_append_slice(out, l->into);
	}
	buf_printf(out, ": %llu message%s %s back", (unsigned long long)k->restored,
	    admin_plural(k->restored),
	    l->dry_run         ? "would come"
	    : k->restored == 1 ? "is"
	                       : "are");
	append_count(out, k->present, "there already");
	append_count(out, k->moved, "moved elsewhere, not deleted");
	append_count(out, k->purged, "purged for good");
	append_count(out, k->lost, "LOST: the content is gone");
	append_count(out, k->bare, "longer ago than the log remembers");
	return admin_send(c);
}

static bool
tell_json(struct admin_call *c, const struct restore_line *l, const struct restore_counts *k)
{
	char when[WHEN_TEXT_MAX];
	struct json j;

	json_init(&j, &c->line);
	json_object(&j, NULL);
	json_str(&j, "mailbox", l->mailbox);
	json_str(&j, "into", l->into);
	if (l->deleted_us != 0) {
		when_format_utc(l->deleted_us, when);
		json_cstr(&j, "deleted", when);
	}
	json_bool(&j, "dry_run", l->dry_run);
	json_bool(&j, "made", k->made);
	json_u64(&j, "restored", k->restored);
	json_u64(&j, "present", k->present);
	json_u64(&j, "moved", k->moved);
	json_u64(&j, "purged", k->purged);
	json_u64(&j, "lost", k->lost);
	json_u64(&j, "forgotten", k->bare);
	json_end(&j);
	return admin_send(c);
}

bool
admin_tell_restored(struct admin_call *c, const struct restore_line *l,
                    const struct restore_counts *k)
{
	return c->json ? tell_json(c, l, k) : tell_text(c, l, k);
}

enum admin_exit
admin_tell_sum(struct admin_call *c, const struct restore_counts *sum, bool dry_run)
{
	if (!c->json)
		admin_printf(c, "%llu message%s %s", (unsigned long long)sum->restored,
		    admin_plural(sum->restored),
		    dry_run ? "in all; nothing was changed" : "in all");
	if (sum->lost == 0)
		return ADMIN_OK;
	admin_complain(c,
	    "%llu message%s cannot come back: the content is not in the volume any more",
	    (unsigned long long)sum->lost, admin_plural(sum->lost));
	return ADMIN_FAILED;
}
