/* admin_compact - give back space: restantectl compact. See admin.h. */
#include "index/admin_impl.h"

#include <stdio.h>

#include "index/maintenance.h"
#include "lib/when.h"

#define THRESHOLD 30u           /* percent: what is worth it when the admin asks */

struct compacting {
	struct admin_call *c;
	struct volume     *v;
};

static bool
on_progress(void *arg, const char *what, uint64_t done, uint64_t total)
{
	struct compacting *k = arg;
	char text[100];

	(void)snprintf(text, sizeof text, "%s %.60s", what, volume_name(k->v));
	return admin_progress(k->c, text, done, total);
}

static void
send_json(struct admin_call *c, struct volume *v, const struct compact_result *r)
{
	struct json j;

	json_init(&j, &c->line);
	json_object(&j, NULL);
	json_cstr(&j, "volume", volume_name(v));
	json_bool(&j, "dry_run", admin_flag(c, "--dry-run"));
	json_u64(&j, "segments", r->segments);
	json_u64(&j, "records", r->records);
	json_u64(&j, "dead_records", r->dead_records);
	json_u64(&j, "bytes", r->bytes);
	json_u64(&j, "dead_bytes", r->dead_bytes);
	json_u64(&j, "chosen", r->chosen);
	json_u64(&j, "chosen_dead_bytes", r->chosen_dead);
	json_u64(&j, "made", r->rewritten);
	json_u64(&j, "written_bytes", r->written);
	json_u64(&j, "left_alone", r->left_alone);
	json_u64(&j, "no_room", r->no_room);
	json_u64(&j, "reclaimed_bytes", r->reclaimed);
	json_u64(&j, "damage", r->damage);
	json_end(&j);
	admin_send(c);
}

static void
send_text(struct admin_call *c, struct volume *v, const struct compact_result *r)
{
	const char *name = volume_name(v);

	admin_printf(c, "%s: %llu of %llu record%s dead, %llu of %llu byte%s, in %llu segment%s",
	    name, (unsigned long long)r->dead_records, (unsigned long long)r->records,
	    admin_plural(r->records), (unsigned long long)r->dead_bytes,
	    (unsigned long long)r->bytes, admin_plural(r->bytes), (unsigned long long)r->segments,
	    admin_plural(r->segments));
	if (admin_flag(c, "--dry-run"))
		admin_printf(c, "%s: would rewrite %llu segment%s, of which %llu byte%s dead", name,
		    (unsigned long long)r->chosen, admin_plural(r->chosen),
		    (unsigned long long)r->chosen_dead, r->chosen_dead == 1 ? " is" : "s are");
	else
		admin_printf(c, "%s: %llu segment%s made of %llu, %llu byte%s given back", name,
		    (unsigned long long)r->rewritten, admin_plural(r->rewritten),
		    (unsigned long long)r->chosen, (unsigned long long)r->reclaimed,
		    admin_plural(r->reclaimed));
	if (!admin_flag(c, "--all") && r->dead_bytes > r->chosen_dead)
		admin_printf(c,
		    "%s: %llu dead bytes are in segments of which less than the threshold is dead, "
		    "or in the one that is being written: --all rewrites these, too",
		    name, (unsigned long long)(r->dead_bytes - r->chosen_dead));
	if (r->left_alone > 0)
		admin_printf(c,
		    "%s: %llu left alone, as something in them came back to life "
		    "meanwhile; try again",
		    name, (unsigned long long)r->left_alone);
	if (r->no_room > 0)
		admin_complain(c,
		    "%s: %llu not rewritten: the disk has no room for what is left of them", name,
		    (unsigned long long)r->no_room);
	if (r->damage > 0)
		admin_complain(c,
		    "%s: the log has damage (%llu finding%s, see restantectl check): no message's "
		    "content was given up",
		    name, (unsigned long long)r->damage, admin_plural(r->damage));
}

static enum admin_exit
compact_volume(struct admin_call *c, struct volume *v, struct compact_params *p)
{
	struct compacting k = { c, v };
	struct compact_result r;
	struct err e = ERR_INIT;

	p->arg = &k;
	admin_tell_wait(c, v);
	if (volume_compact(v, p, &r, &e) != RC_OK) {
		err_add(&e, "%s", volume_name(v));
		return admin_fail(c, &e);
	}
	if (c->json)
		send_json(c, v, &r);
	else
		send_text(c, v, &r);
	if (r.damage > 0)
		return ADMIN_DAMAGE;
	return r.no_room > 0 ? ADMIN_FAILED : ADMIN_OK;
}

static enum admin_exit
take_options(struct admin_call *c, struct compact_params *p)
{
	const char *level = admin_option(c, "--recompress"), *rate = admin_option(c, "--rate");
	const char *retention = admin_option(c, "--retention");
	struct err e = ERR_INIT;
	uint64_t n = 0;

	if (level != NULL && (!admin_parse_count(slice_str(level), &n) || n < 1 || n > 9)) {
		admin_complain(c, "--recompress %s: a level is 1 to 9", level);
		return ADMIN_USAGE;
	}
	p->level = (int)n;
	if (rate != NULL && !admin_parse_size(slice_str(rate), &p->rate)) {
		admin_complain(c, "--rate %s: bytes per second, perhaps with K, M or G", rate);
		return ADMIN_USAGE;
	}
	if (retention != NULL &&
	    when_parse_age(slice_str(retention), &p->retention_us, &e) != RC_OK) {
		admin_complain(c, "--retention %s: %s", retention, e.text);
		return ADMIN_USAGE;
	}
	return ADMIN_OK;
}

enum admin_exit
admin_compact(struct admin_call *c)
{
	struct compact_params p = {
		.retention_us = c->ad->retention_us,
		.threshold = THRESHOLD,
		.all = admin_flag(c, "--all"),
		.rate = c->ad->compact_rate,
		.dry_run = admin_flag(c, "--dry-run"),
		.wait = true,
		.stop = c->ad->gone,
		.progress = on_progress,
	};
	enum admin_exit status = take_options(c, &p);
	struct volume *v;
	size_t i = 0;

	maintenance_be_low();
	while (status != ADMIN_USAGE && (v = admin_next_volume(c, &i)) != NULL && !c->stopped)
		status = admin_worse(status, compact_volume(c, v, &p));
	return status;
}
