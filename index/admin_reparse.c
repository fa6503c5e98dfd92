/* admin_reparse - new summaries of stored messages: restantectl reindex --reparse. See admin.h;
 * volume_reparse does it. */
#include "index/admin_impl.h"

#include <stdio.h>

#include "lib/mime.h"

struct reparsing {
	struct admin_call *c;
	struct volume     *v;
	char               what[80];
};

static bool
on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct reparsing *k = arg;

	return admin_progress(k->c, k->what, done, total);
}

static void
on_unreadable(void *arg, blob_id blob, const char *what)
{
	struct reparsing *k = arg;

	admin_complain(k->c, "%s: content " LSN_FORMAT " keeps the summary that it has: %s",
	    volume_name(k->v), LSN_ARG(blob), what);
}

static void
send_json(struct reparsing *k, const struct reparse_result *r)
{
	struct json j;

	json_init(&j, &k->c->line);
	json_object(&j, NULL);
	json_cstr(&j, "volume", volume_name(k->v));
	json_u64(&j, "parser", MIME_PARSER_VERSION);
	json_u64(&j, "contents", r->contents);
	json_u64(&j, "other_parser", r->other);
	json_u64(&j, "made", r->made);
	json_u64(&j, "unreadable", r->unreadable);
	json_bool(&j, "dry_run", admin_flag(k->c, "--dry-run"));
	json_end(&j);
	admin_send(k->c);
}

static void
send_text(struct reparsing *k, const struct reparse_result *r)
{
	admin_printf(k->c,
	    "%s: %llu of %llu content%s %s a new summary; parsed by another release's parser: %llu",
	    volume_name(k->v), (unsigned long long)r->made, (unsigned long long)r->contents,
	    admin_plural(r->contents), admin_flag(k->c, "--dry-run") ? "would get" : "got",
	    (unsigned long long)r->other);
	if (r->unreadable > 0)
		admin_complain(k->c, "%s: %llu could not be read (see restantectl check)",
		    volume_name(k->v), (unsigned long long)r->unreadable);
}

static enum admin_exit
reparse_volume(struct admin_call *c, struct volume *v)
{
	struct reparsing k = { .c = c, .v = v };
	const struct reparse_params p = {
		.all = admin_flag(c, "--all"), .dry_run = admin_flag(c, "--dry-run"),
		.progress = on_progress,
		.unreadable = on_unreadable, .arg = &k,
	};
	struct reparse_result r;
	struct err e = ERR_INIT;

	snprintf(k.what, sizeof k.what, "reparsing %.60s", volume_name(v));
	if (volume_reparse(v, &p, &r, &e) != RC_OK) {
		err_add(&e,
		    "%s: %llu content%s got a new summary before; run it again for the rest",
		    volume_name(v), (unsigned long long)r.made, admin_plural(r.made));
		return admin_fail(c, &e);
	}
	if (c->json)
		send_json(&k, &r);
	else
		send_text(&k, &r);
	return r.unreadable > 0 ? ADMIN_DAMAGE : ADMIN_OK;
}

enum admin_exit
admin_reparse(struct admin_call *c)
{
	enum admin_exit status = ADMIN_OK;
	struct volume *v;
	size_t i = 0;

	if (!admin_flag(c, "--reparse"))
		return ADMIN_USAGE;     /* of a volume that is open the index is not made anew */
	while ((v = admin_next_volume(c, &i)) != NULL && !c->stopped)
		status = admin_worse(status, reparse_volume(c, v));
	return status;
}
