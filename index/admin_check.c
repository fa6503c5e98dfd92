/* admin_check - verify a volume and tell each finding. See admin.h. Writes nothing. */
#include "index/admin_impl.h"
#include "store/piece.h"

#include <stdio.h>

/* One volume's check under way. */
struct checking {
	struct admin_call *c;
	struct volume     *v;
	char               what[80];
};

/* The file's name, as it is in log/. */
static void
append_file(struct buf *line, struct seg_id seg)
{
	char name[PIECE_NAME_LEN];

	piece_name(&seg, name);
	buf_append_str(line, name);
}

void
admin_append_finding(struct buf *line, struct volume *v, struct seg_id seg, uint64_t offset,
    uint64_t len, log_lsn first, log_lsn last, const char *what)
{
	buf_printf(line, "%s: ", volume_name(v));
	if (seg.seq != 0) {
		append_file(line, seg);
		buf_printf(line, " offset %llu", (unsigned long long)offset);
		if (len > 0)
			buf_printf(line, " (%llu byte%s)", (unsigned long long)len,
			           admin_plural(len));
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

/* ---- a finding as text ---- */

/* "; anna/INBOX UID 3:5,9": the names are people's own, so they are quoted when they need it. */
static void
append_name(struct buf *line, struct slice name, uint64_t id)
{
	bool plain = name.len > 0;

	for (size_t i = 0; i < name.len; i++)
		plain = plain && name.ptr[i] > ' ' && name.ptr[i] < 0x7F && name.ptr[i] != '"' &&
		        name.ptr[i] != '\\';
	if (plain)
		buf_append_slice(line, name);
	else if (name.len > 0)
		admin_append_quoted(line, name);
	else
		admin_append_lsn(line, id);
}

static void
append_named(struct buf *line, const struct check_named *n)
{
	buf_append_str(line, "; ");
	if (n->account_name.len == 0)
		buf_append_str(line, n->account != 0 ? CHECK_NOBODY " " : CHECK_NOBODY);
	if (n->account_name.len > 0 || n->account != 0)
		append_name(line, n->account_name, n->account);
	if (n->mailbox != 0) {
		buf_append_byte(line, '/');
		append_name(line, n->mailbox_name, n->mailbox);
	}
	if (n->uids.count > 0) {
		buf_append_str(line, " UID ");
		(void)uid_set_format(&n->uids, line);
	}
}

static void
append_damage(struct buf *line, struct volume *v, const struct check_finding *f)
{
	admin_append_finding(line, v, f->seg, f->offset, f->len, f->first, f->last, f->what);
	if (f->mended[0] != '\0')
		buf_printf(line, "; %s", f->mended);
	if (f->has_frame && (f->frame_seg.kind != f->seg.kind || f->frame != f->offset)) {
		buf_append_str(line, "; frame in ");
		append_file(line, f->frame_seg);
		buf_printf(line, " at %llu", (unsigned long long)f->frame);
	}
	if (f->records[0] != '\0')
		buf_printf(line, "; records: %s", f->records);
	for (size_t i = 0; i < f->named_count; i++)
		append_named(line, &f->named[i]);
	if (f->more)
		buf_append_str(line, "; and others");
}

/* ---- and as JSON ---- */

static void
add_piece(struct json *j, const char *key, struct seg_id seg)
{
	char name[PIECE_NAME_LEN];

	piece_name(&seg, name);
	json_cstr(j, key, name);
}

static void
add_uids(struct json *j, const struct uid_set *uids)
{
	struct buf text;

	buf_init(&text, 1u << 16);
	if (uid_set_format(uids, &text))
		json_str(j, "uids", buf_slice(&text));
	buf_fini(&text);
}

static void
add_named(struct json *j, const struct check_named *n)
{
	json_object(j, NULL);
	if (n->account_name.len > 0)
		json_str(j, "account", n->account_name);
	admin_json_lsn(j, "account_id", n->account);
	if (n->mailbox_name.len > 0)
		json_str(j, "mailbox", n->mailbox_name);
	if (n->mailbox != 0)
		admin_json_lsn(j, "mailbox_id", n->mailbox);
	if (n->uids.count > 0)
		add_uids(j, &n->uids);
	json_end(j);
}

static void
add_place(struct json *j, const struct check_finding *f)
{
	add_piece(j, "file", f->seg);
	json_u64(j, "offset", f->offset);
	if (f->len > 0)
		json_u64(j, "bytes", f->len);
	if (!f->has_frame)
		return;
	add_piece(j, "frame_file", f->frame_seg);
	json_u64(j, "frame", f->frame);
}

static void
add_damage(struct json *j, const struct check_finding *f)
{
	json_cstr(j, "what", f->what);
	if (f->seg.seq != 0)
		add_place(j, f);
	if (f->first != 0)
		admin_json_lsn(j, "first", f->first);
	if (f->first != 0 && f->last >= f->first)
		admin_json_lsn(j, "last", f->last);
	if (f->records[0] != '\0')
		json_cstr(j, "records", f->records);
	if (f->mended[0] != '\0')
		json_cstr(j, "byte", f->mended);
	if (f->difference)
		return;
	json_array(j, "concerns");
	for (size_t i = 0; i < f->named_count; i++)
		add_named(j, &f->named[i]);
	json_end(j);
	json_bool(j, "others", f->more);
}

void
admin_send_damage(struct admin_call *c, struct volume *v, const struct check_finding *f)
{
	struct json j;

	if (c->json) {
		json_init(&j, &c->line);
		json_object(&j, NULL);
		json_cstr(&j, "volume", volume_name(v));
		json_cstr(&j, "finding", f->difference ? "difference" : "damage");
		add_damage(&j, f);
		json_end(&j);
	} else {
		append_damage(&c->line, v, f);
	}
	admin_send(c);
}

static void
on_found(void *arg, const struct check_finding *f)
{
	struct checking *k = arg;

	admin_send_damage(k->c, k->v, f);
}

/* ---- the check ---- */

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
		return r->starts_anew ? "log sound, INDEX WRONG (made of the damaged log; the "
		                        "next start makes it anew)"
		                      : "log sound, INDEX WRONG (reindex makes it anew)";
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

static void
send_text(struct checking *k, const struct check_result *r)
{
	tell_index(k, r->index);
	admin_printf(k->c,
	    "%s: %s: %llu frame%s, %llu record%s, %llu blob%s, %llu message%s, %llu mailbox%s, "
	    "%llu account%s; damage %llu, differences between log and index %llu",
	    volume_name(k->v), verdict(r), (unsigned long long)r->frames, admin_plural(r->frames),
	    (unsigned long long)r->records, admin_plural(r->records), (unsigned long long)r->blobs,
	    admin_plural(r->blobs), (unsigned long long)r->messages, admin_plural(r->messages),
	    (unsigned long long)r->mailboxes, r->mailboxes == 1 ? "" : "es",
	    (unsigned long long)r->accounts, admin_plural(r->accounts),
	    (unsigned long long)r->damage, (unsigned long long)r->differences);
}

static void
send_json(struct checking *k, const struct check_result *r)
{
	static const char *const indexes[] = {
		[CHECK_INDEX_THERE] = "there", [CHECK_INDEX_MISSING] = "missing",
		[CHECK_INDEX_OTHER_VERSION] = "other version",
	};
	struct json j;

	json_init(&j, &k->c->line);
	json_object(&j, NULL);
	json_cstr(&j, "volume", volume_name(k->v));
	json_bool(&j, "sound", r->damage == 0 && r->differences == 0);
	json_u64(&j, "damage", r->damage);
	json_u64(&j, "differences", r->differences);
	json_cstr(&j, "index", indexes[r->index]);
	json_u64(&j, "frames", r->frames);
	json_u64(&j, "records", r->records);
	json_u64(&j, "blobs", r->blobs);
	json_u64(&j, "blob_bytes", r->blob_bytes);
	json_u64(&j, "messages", r->messages);
	json_u64(&j, "mailboxes", r->mailboxes);
	json_u64(&j, "accounts", r->accounts);
	json_end(&j);
	admin_send(k->c);
}

static enum admin_exit
check_volume(struct admin_call *c, struct volume *v)
{
	struct checking k = { .c = c, .v = v };
	const struct check_report rep = { &k, on_found };
	struct check_result r = { 0 };
	struct err e = ERR_INIT;

	snprintf(k.what, sizeof k.what, "checking %.60s", volume_name(v));
	admin_tell_wait(c, v);
	if (volume_check(v, &rep, on_progress, &k, &r, &e) != RC_OK) {
		err_add(&e, "%s", volume_name(v));
		return admin_fail(c, &e);
	}
	if (c->json)
		send_json(&k, &r);
	else
		send_text(&k, &r);
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
