/* admin_check - verify a volume and tell each finding. See admin.h. Writes nothing. */
#include "index/admin_impl.h"

#include <stdio.h>

/* One volume's check under way. */
struct checking {
	struct admin_call *c;
	struct volume     *v;
	char               what[80];
};

void
admin_append_finding(struct buf *line, struct volume *v, struct seg_id seg, uint64_t offset,
    uint64_t len, log_lsn first, log_lsn last, const char *what)
{
	buf_printf(line, "%s: ", volume_name(v));
	if (seg.seq != 0) {
		buf_append_str(line, seg.kind == SEG_BODY ? "body " : "segment ");
		admin_append_piece(line, seg);
		buf_printf(line, " offset %llu", (unsigned long long)offset);
		if (len > 0)
			buf_printf(line, " (%llu bytes)", (unsigned long long)len);
		buf_append_str(line, ": ");
	}
	if (first != 0) {
		buf_append_str(line, "LSN ");
		admin_append_lsn(line, first);
	}
	if (first != 0 && last > first) {
		buf_append_str(line, " to ");
		admin_append_lsn(line, last);
	}
	buf_printf(line, "%s%s", first != 0 ? ": " : "", what);
}

static void
on_found(void *arg, struct seg_id seg, uint64_t offset, uint64_t len, log_lsn first, log_lsn last,
    const char *what)
{
	struct checking *k = arg;

	admin_append_finding(&k->c->line, k->v, seg, offset, len, first, last, what);
	admin_send(k->c);
}

static bool
on_progress(void *arg, uint64_t done, uint64_t total)
{
	struct checking *k = arg;

	return admin_progress(k->c, k->what, done, total);
}

static const char *
verdict(const struct check_result *r)
{
	if (r->damage > 0)
		return "DAMAGED";
	if (r->differences > 0)
		return "log sound, INDEX WRONG (reindex makes it anew)";
	return r->index == CHECK_INDEX_THERE ? "sound" : "log sound";
}

static void
tell_index(struct checking *k, enum check_index index)
{
	const char *what = NULL;

	switch (index) {
	case CHECK_INDEX_THERE:
		return;
	case CHECK_INDEX_MISSING:
		what = "not there";
		break;
	case CHECK_INDEX_OTHER_VERSION:
		what = "made by another version";
		break;
	}
	admin_printf(k->c, "%s: index: %s; the next start makes it anew", volume_name(k->v), what);
}

static enum admin_exit
check_volume(struct admin_call *c, struct volume *v)
{
	struct checking k = { .c = c, .v = v };
	const struct log_report rep = { &k, on_found };
	struct check_result r = { 0 };
	struct err e = ERR_INIT;

	snprintf(k.what, sizeof k.what, "checking %.60s", volume_name(v));
	if (volume_check(v, &rep, on_progress, &k, &r, &e) != RC_OK) {
		err_add(&e, "%s", volume_name(v));
		return admin_fail(c, &e);
	}
	tell_index(&k, r.index);
	admin_printf(c,
	    "%s: %s: %llu frames, %llu records, %llu blobs, %llu messages, %llu mailboxes, "
	    "%llu accounts; damage %llu, differences between log and index %llu",
	    volume_name(v), verdict(&r), (unsigned long long)r.frames,
	    (unsigned long long)r.records, (unsigned long long)r.blobs,
	    (unsigned long long)r.messages, (unsigned long long)r.mailboxes,
	    (unsigned long long)r.accounts, (unsigned long long)r.damage,
	    (unsigned long long)r.differences);
	return r.damage > 0 || r.differences > 0 ? ADMIN_DAMAGE : ADMIN_OK;
}

enum admin_exit
admin_check(struct admin_call *c)
{
	enum admin_exit status = ADMIN_OK;
	struct volume *v;
	size_t i = 0;

	while ((v = admin_next_volume(c, &i)) != NULL && !c->stopped)
		status = admin_worse(status, check_volume(c, v));
	return status;
}
