/* admin_scrub - a round of the scrub at once. See admin.h. Writes nothing. */
#include "index/admin_impl.h"

#include <stdio.h>

/* One volume's round under way. */
struct scrubbing {
	struct admin_call *c;
	struct volume     *v;
	char               what[80];
};

static void
on_found(void *arg, const struct check_finding *f)
{
	struct scrubbing *k = arg;

	admin_send_damage(k->c, k->v, f);
}

static bool
on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct scrubbing *k = arg;

	return admin_progress(k->c, k->what, done, total);
}

static void
send_result(struct scrubbing *k, const struct scrub_result *r)
{
	struct json j;

	if (!k->c->json) {
		admin_printf(k->c,
		             "%s: %s: %llu sealed segment%s, %llu byte%s, %llu blob%s; damage %llu",
		             volume_name(k->v), r->findings > 0 ? "DAMAGED" : "sound",
		             (unsigned long long)r->segments, admin_plural(r->segments),
		             (unsigned long long)r->bytes, admin_plural(r->bytes),
		             (unsigned long long)r->blobs, admin_plural(r->blobs),
		             (unsigned long long)r->findings);
		return;
	}
	json_init(&j, &k->c->line);
	json_object(&j, NULL);
	json_cstr(&j, "volume", volume_name(k->v));
	json_bool(&j, "sound", r->findings == 0);
	json_u64(&j, "damage", r->findings);
	json_u64(&j, "segments", r->segments);
	json_u64(&j, "bytes", r->bytes);
	json_u64(&j, "blobs", r->blobs);
	json_end(&j);
	admin_send(k->c);
}

static enum admin_exit
scrub_volume(struct admin_call *c, struct volume *v)
{
	struct scrubbing k = { .c = c, .v = v };
	const struct check_report rep = { &k, on_found };
	struct scrub_result r;
	struct err e = ERR_INIT;

	(void)snprintf(k.what, sizeof k.what, "scrubbing %.60s", volume_name(v));
	if (volume_scrub(v, &rep, on_progress, &k, &r, &e) != RC_OK) {
		err_add(&e, "%s", volume_name(v));
		return admin_fail(c, &e);
	}
	send_result(&k, &r);
	return r.findings > 0 ? ADMIN_DAMAGE : ADMIN_OK;
}

enum admin_exit
admin_scrub(struct admin_call *c)
{
	enum admin_exit status = ADMIN_OK;
	struct volume *v;
	size_t i = 0;

	while ((v = admin_next_volume(c, &i)) != NULL && !c->stopped)
		status = admin_worse(status, scrub_volume(c, v));
	return status;
}
