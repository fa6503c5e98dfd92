/* admin_status - what the server and its volumes are doing. See admin.h. */
#include "index/admin_impl.h"

#include <unistd.h>

#include "lib/clock.h"
#include "lib/process.h"
#include "lib/when.h"

#define LOG_ROWS 2u             /* of send_volume_text: those that need no index */

static uint64_t
uptime_s(const struct admin *ad)
{
	return (clock_mono_ms() - ad->started_ms) / 1000;
}

static void
send_server_text(struct admin_call *c)
{
	uint64_t up;

	if (!c->ad->online) {
		admin_printf(c, "no restanted answers: looking at the stopped volumes");
		return;
	}
	buf_printf(&c->line, "restanted is running: pid %ld", (long)process_pid());
	if (c->ad->started_ms != 0) {
		up = uptime_s(c->ad);
		buf_append_str(&c->line, ", up for ");
		if (up >= 86400)
			buf_printf(&c->line, "%llu day%s ", (unsigned long long)(up / 86400),
			    admin_plural(up / 86400));
		buf_printf(&c->line, "%02u:%02u:%02u", (unsigned)(up / 3600 % 24),
		    (unsigned)(up / 60 % 60), (unsigned)(up % 60));
	}
	admin_send(c);
}

static void
send_lsn(struct admin_call *c, const char *what, log_lsn lsn)
{
	buf_printf(&c->line, "  %-16s ", what);
	admin_append_lsn(&c->line, lsn);
	admin_send(c);
}

static void
send_scrub_text(struct admin_call *c, const struct scrub_status *s)
{
	uint64_t part = s->total == 0 ? 100 : s->done >= s->total ? 99 : s->done * 100 / s->total;

	if (s->rate == 0) {
		admin_printf(c, "  %-16s off", "scrub");
		return;
	}
	buf_printf(&c->line, "  %-16s round %llu: %llu %%, %llu finding%s", "scrub",
	    (unsigned long long)(s->rounds + 1), (unsigned long long)part,
	    (unsigned long long)s->findings, admin_plural(s->findings));
	if (s->rounds > 0) {
		char text[WHEN_TEXT_MAX];

		when_format(s->ended_us, text);
		buf_printf(&c->line, "; the last one ended %s with %llu", text,
		           (unsigned long long)s->last_findings);
	}
	admin_send(c);
}

static void
send_volume_text(struct admin_call *c, const struct volume_status *s, bool indexed)
{
	const struct {
		const char *what;
		uint64_t    value;
	} rows[] = {
		{ "log bytes", s->log_bytes },
		{ "segments", s->segments },
		{ "accounts", s->accounts },
		{ "mailboxes", s->mailboxes },
		{ "messages", s->messages },
		{ "expunged", s->expunged },
		{ "blobs", s->blobs },
		{ "message bytes", s->message_bytes },
		{ "index bytes", s->index_bytes },
		{ "changes", s->changes },
		{ "batches", s->batches },
		{ "syncs", s->syncs },
		{ "queued", s->queued },
	};

	admin_printf(c, "volume %s%s%s", s->name, s->stalled ? ": STALLED, takes no changes" : "",
	    !s->full ? "" : s->stalled ? ": DISK FULL" : ": DISK FULL, takes only what frees space");
	admin_printf(c, "  %-16s %u", "epoch", s->epoch);
	if (s->damage > 0)
		admin_printf(c, "  %-16s %llu (see restantectl check)", "damage",
		    (unsigned long long)s->damage);
	send_lsn(c, "last LSN", s->last_lsn);
	if (indexed)
		send_lsn(c, "applied LSN", s->applied_lsn);
	else
		admin_printf(c, "  no index that can be read; the next start makes one");
	for (size_t i = 0; i < (indexed ? sizeof rows / sizeof rows[0] : LOG_ROWS); i++)
		admin_printf(c, "  %-16s %llu", rows[i].what, (unsigned long long)rows[i].value);
	if (c->ad->online)
		send_scrub_text(c, &s->scrub);
}

static void
add_scrub_json(struct json *j, const struct scrub_status *s)
{
	json_object(j, "scrub");
	json_u64(j, "rate", s->rate);
	json_u64(j, "done", s->done);
	json_u64(j, "total", s->total);
	json_u64(j, "findings", s->findings);
	json_u64(j, "rounds", s->rounds);
	json_u64(j, "ended", s->ended_us / 1000000u);
	json_u64(j, "last_findings", s->last_findings);
	json_end(j);
}

static void
send_time(struct admin_call *c, const char *what, uint64_t us)
{
	char text[WHEN_TEXT_MAX];

	if (us == 0)
		return;
	when_format(us, text);
	admin_printf(c, "  %-16s %s", what, text);
}

/* The name of the account that is being moved away; empty: none, or it just came to its end. */
static struct slice
moving_name(struct admin_call *c, struct volume *v, const struct volume_status *s)
{
	struct account_info info;
	struct err e = ERR_INIT;

	if (s->moving == 0 || volume_get_account(v, s->moving, &c->arena, &info, &e) != RC_OK)
		return SLICE_NONE;
	return info.name;
}

static void
send_maintenance(struct admin_call *c, struct volume *v, const struct volume_status *s)
{
	struct slice moving = moving_name(c, v, s);

	if (s->maintenance != NULL)
		admin_printf(c, "  %-16s %s", "under way", s->maintenance);
	if (moving.len > 0)
		admin_printf(c, "  %-16s %.*s, to another volume", "being moved",
		             SLICE_ARG(moving));
	else if (s->work != NULL)
		admin_printf(c, "  %-16s %s", "under way", s->work);
	send_time(c, "backed up", s->backed_up_us);
	if (s->backed_up_us != 0)
		admin_printf(c, "  %-16s %s", "backup in", s->backed_up_to);
	send_time(c, "surveyed", s->surveyed_us);
	if (s->surveyed_us != 0)
		admin_printf(c, "  %-16s %llu", "dead bytes", (unsigned long long)s->dead_bytes);
	send_time(c, "compacted", s->compacted_us);
	if (s->dropped > 0)
		admin_printf(c, "  %-16s %llu file%s, %llu byte%s", "to be deleted",
		    (unsigned long long)s->dropped, admin_plural(s->dropped),
		    (unsigned long long)s->dropped_bytes, admin_plural(s->dropped_bytes));
}

static void
add_volume_json(struct json *j, const struct volume_status *s, struct slice moving, bool indexed)
{
	json_object(j, NULL);
	json_cstr(j, "name", s->name);
	json_u64(j, "epoch", s->epoch);
	admin_json_lsn(j, "last_lsn", s->last_lsn);
	json_u64(j, "log_bytes", s->log_bytes);
	json_u64(j, "segments", s->segments);
	json_u64(j, "damage", s->damage);
	json_bool(j, "indexed", indexed);
	if (indexed) {
		admin_json_lsn(j, "applied_lsn", s->applied_lsn);
		json_u64(j, "accounts", s->accounts);
		json_u64(j, "mailboxes", s->mailboxes);
		json_u64(j, "messages", s->messages);
		json_u64(j, "expunged", s->expunged);
		json_u64(j, "blobs", s->blobs);
		json_u64(j, "message_bytes", s->message_bytes);
		json_u64(j, "index_bytes", s->index_bytes);
	}
	json_u64(j, "changes", s->changes);
	json_u64(j, "batches", s->batches);
	json_u64(j, "syncs", s->syncs);
	json_u64(j, "queued", s->queued);
	json_u64(j, "dead_bytes", s->dead_bytes);
	json_u64(j, "surveyed_us", s->surveyed_us);
	json_u64(j, "compacted_us", s->compacted_us);
	json_u64(j, "dropped_pieces", s->dropped);
	json_u64(j, "dropped_bytes", s->dropped_bytes);
	if (s->maintenance != NULL)
		json_cstr(j, "under_way", s->maintenance);
	if (s->work != NULL)
		json_cstr(j, "work", s->work);
	if (moving.len > 0)
		json_str(j, "moving", moving);
	if (s->backed_up_us != 0) {
		json_u64(j, "backed_up_us", s->backed_up_us);
		json_cstr(j, "backed_up_to", s->backed_up_to);
	}
	json_bool(j, "stalled", s->stalled);
	json_bool(j, "full", s->full);
	add_scrub_json(j, &s->scrub);
	json_end(j);
}

static void
begin_json(struct admin_call *c, struct json *j)
{
	json_init(j, &c->line);
	json_object(j, NULL);
	json_bool(j, "running", c->ad->online);
	if (c->ad->online)
		json_u64(j, "pid", (uint64_t)process_pid());
	if (c->ad->online && c->ad->started_ms != 0)
		json_u64(j, "uptime_s", uptime_s(c->ad));
	json_array(j, "volumes");
}

static void
add_absent_json(struct admin_call *c, struct json *j)
{
	json_array(j, "unavailable");
	for (size_t i = 0; i < c->ad->absent_count; i++) {
		json_object(j, NULL);
		json_cstr(j, "name", c->ad->absent[i].volume);
		json_cstr(j, "reason", c->ad->absent[i].reason);
		json_end(j);
	}
	json_end(j);
}

enum admin_exit
admin_status(struct admin_call *c)
{
	enum admin_exit status = ADMIN_OK;
	struct volume_status s;
	struct err e = ERR_INIT;
	struct json j;

	if (c->json)
		begin_json(c, &j);
	else
		send_server_text(c);
	for (size_t i = 0; i < c->ad->volume_count; i++) {
		struct volume *v = c->ad->volumes[i];
		/* A stopped volume's index may be missing; all that the log says is in s
		 * nevertheless. */
		bool indexed = volume_get_status(v, &s, &e) == RC_OK;

		if (!indexed && c->ad->online) {
			err_add(&e, "volume %s", volume_name(v));
			status = admin_worse(status, admin_fail(c, &e));
			continue;
		}
		if (c->json) {
			add_volume_json(&j, &s, moving_name(c, v, &s), indexed);
			continue;
		}
		send_volume_text(c, &s, indexed);
		send_maintenance(c, v, &s);
	}
	if (c->json) {
		json_end(&j);
		add_absent_json(c, &j);
		json_end(&j);
		admin_send(c);
	}
	for (size_t i = 0; i < c->ad->absent_count && !c->json; i++)
		admin_printf(c, ADMIN_NOT_AVAILABLE "%s", c->ad->absent[i].volume,
		    c->ad->absent[i].reason);
	return c->ad->absent_count > 0 ? admin_worse(status, ADMIN_FAILED) : status;
}
