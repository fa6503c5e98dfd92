/* admin_purge - one content out of all mailboxes for good, and what is stored more than once.
 *
 * Purge expunges every message that has the content, mailbox by mailbox, and then writes the purge
 * record, which says who, when and why, and takes the content from the index; its bytes go when the
 * segment is compacted. A stop in the midst leaves messages expunged and the content still there:
 * said again, it goes on. A copy made meanwhile refuses the record, and is found at the next try.
 */
#include "index/admin_impl.h"

#include <stdio.h>

#include "lib/logging.h"

#define TRIES 10

struct run {
	struct admin_call *c;
	struct volume     *v;
	account_id         account;     /* 0: all */
	bool               dry, json;
};

/* ---- what to purge ---- */

static bool
parse_sha256(const char *hex, uint8_t out[SHA256_LEN])
{
	if (strlen(hex) != 2 * SHA256_LEN)
		return false;
	for (size_t i = 0; i < SHA256_LEN; i++) {
		int high = ascii_hex_value((uint8_t)hex[2 * i]),
		    low = ascii_hex_value((uint8_t)hex[2 * i + 1]);

		if (high < 0 || low < 0)
			return false;
		out[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* As it is kept: with its brackets. */
static struct slice
whole_id(struct admin_call *c, const char *id)
{
	if (id == NULL || id[0] == '<')
		return slice_str(id);
	return arena_printf(&c->arena, "<%s>", id);
}

/* ---- one content ---- */

/* The copies from `i` on that are in its mailbox. */
static enum admin_exit
expunge_copies(struct run *r, const struct found_copy *copies, size_t n, size_t *i)
{
	struct change *ch = change_new(CHANGE_EXPUNGE);
	mailbox_id mailbox = copies[*i].mailbox;
	struct uid_set *uids;

	if (ch == NULL) {
		admin_complain(r->c, "out of memory");
		return ADMIN_FAILED;
	}
	ch->u.expunge.mailbox = mailbox;
	ch->u.expunge.any = true;
	uids = &ch->u.expunge.uids;
	for (; *i < n && copies[*i].mailbox == mailbox && uids->count < uids->max; (*i)++)
		/* no memory: found at the next try */
		(void)uid_set_add(uids, copies[*i].uid, copies[*i].uid);
	return admin_change(r->c, r->v, &ch, "purge");
}

/* Expunge the copies that are meant: *expunged of them. *others: how many more there are. */
static enum admin_exit
expunge_content(struct run *r, blob_id blob, uint64_t *expunged, uint64_t *others)
{
	struct found_copy *copies;
	struct err e = ERR_INIT;
	enum admin_exit status = ADMIN_OK;
	size_t n, meant = 0;

	if (volume_find_copies(r->v, blob, &r->c->arena, &copies, &n, &e) != RC_OK)
		return admin_fail(r->c, &e);
	for (size_t i = 0; i < n; i++)
		if (r->account == 0 || copies[i].account == r->account)
			copies[meant++] = copies[i];
	*others = n - meant;
	*expunged += meant;
	for (size_t i = 0; i < meant && status == ADMIN_OK && !r->dry;)
		status = expunge_copies(r, copies, meant, &i);
	return status;
}

/* *done: the record is written. Otherwise a copy came meanwhile. */
static enum admin_exit
write_record(struct run *r, blob_id blob, bool *done)
{
	const char *reason = admin_option(r->c, "--reason");
	struct change *ch = change_new(CHANGE_PURGE);
	enum admin_exit status = ADMIN_OK;
	enum rc rc;

	if (ch == NULL) {
		admin_complain(r->c, "out of memory");
		return ADMIN_FAILED;
	}
	ch->u.purge.blob = blob;
	ch->u.purge.reason = slice_str(reason);
	ch->who = (struct frame_who){ .protocol = PROTO_ADMIN };
	rc = volume_submit_wait(r->v, ch);
	*done = rc == RC_OK || ch->durable || rc == RC_NOT_FOUND;
	if (!*done && rc != RC_EXISTS) {
		admin_complain(r->c, "purge: %s",
		               ch->err.text[0] != '\0' ? ch->err.text : rc_name(rc));
		status = ADMIN_FAILED;
	}
	change_free(&ch);
	return status;
}

static void
append_hex(const struct found_content *f, char out[2 * SHA256_LEN + 1])
{
	for (size_t i = 0; i < SHA256_LEN; i++)
		snprintf(out + 2 * i, 3, "%02x", f->sha256[i]);
}

/* Where it runs in the server; the record is in the log either way. */
static void
log_content(struct run *r, const struct found_content *f, uint64_t expunged, uint64_t others)
{
	const char *reason = admin_option(r->c, "--reason");
	char hex[2 * SHA256_LEN + 1];
	struct logline l;

	if (!r->c->ad->online)
		return;
	append_hex(f, hex);
	log_begin(&l, LOGLEVEL_INFO, "volume.purged");
	log_cstr(&l, "volume", volume_name(r->v));
	log_cstr(&l, "sha256", hex);
	log_u64(&l, "messages", expunged);
	log_u64(&l, "kept", others);
	if (reason != NULL)
		log_cstr(&l, "reason", reason);
	log_end(&l);
}

static bool
tell_content(struct run *r, const struct found_content *f, uint64_t expunged, uint64_t others)
{
	char hex[2 * SHA256_LEN + 1];
	struct json j;

	append_hex(f, hex);
	if (!r->json)
		return admin_printf(r->c, "%s: %s %s %llu message%s, %llu byte%s each%s",
		    volume_name(r->v), hex, r->dry ? "would be removed from" : "removed from",
		    (unsigned long long)expunged, admin_plural(expunged),
		    (unsigned long long)f->size, admin_plural(f->size),
		    others > 0 ? "; other accounts keep it" : "");
	json_init(&j, &r->c->line);
	json_object(&j, NULL);
	json_cstr(&j, "volume", volume_name(r->v));
	json_cstr(&j, "sha256", hex);
	json_u64(&j, "bytes", f->size);
	json_u64(&j, "messages", expunged);
	json_u64(&j, "kept", others);
	json_bool(&j, "purged", !r->dry && others == 0);
	json_bool(&j, "dry_run", r->dry);
	json_end(&j);
	return admin_send(r->c);
}

static enum admin_exit
purge_content(struct run *r, const struct found_content *f)
{
	enum admin_exit status = ADMIN_OK;
	uint64_t expunged = 0, others = 0;
	bool done = false;

	for (int i = 0; i < TRIES && status == ADMIN_OK && !done; i++) {
		status = expunge_content(r, f->blob, &expunged, &others);
		done = r->dry || others > 0;
		if (status == ADMIN_OK && !done)
			status = write_record(r, f->blob, &done);
	}
	if (status == ADMIN_OK && !done) {
		admin_complain(r->c,
		               "the message is copied again and again; nothing is purged yet");
		status = ADMIN_FAILED;
	}
	if (status == ADMIN_OK && !r->dry)
		log_content(r, f, expunged, others);
	if (status == ADMIN_OK && !tell_content(r, f, expunged, others))
		status = ADMIN_FAILED;
	return status;
}

static enum admin_exit
purge_volume(struct run *r, const uint8_t *sha256, struct slice message_id, size_t *found)
{
	struct claim claim = { .kind = CLAIM_WORK, .what = "a purge" };
	enum admin_exit status = ADMIN_OK;
	struct found_content *list;
	struct err e = ERR_INIT;
	size_t n;

	if (volume_find_contents(r->v, sha256, message_id, &r->c->arena, &list, &n, &e) != RC_OK)
		return admin_fail(r->c, &e);
	*found += n;
	if (volume_claim(r->v, &claim, &e) != RC_OK)
		return admin_fail(r->c, &e);
	for (size_t i = 0; i < n && status == ADMIN_OK; i++)
		status = purge_content(r, &list[i]);
	volume_release(r->v, &claim);
	return status;
}

enum admin_exit
admin_purge(struct admin_call *c)
{
	const char *hex = admin_option(c, "--sha256"), *id = admin_option(c, "--message-id");
	struct run r = { .c = c, .dry = admin_flag(c, "--dry-run"),
	                 .json = admin_flag(c, "--json") };
	enum admin_exit status = ADMIN_OK;
	struct account_info account = { .id = 0 };
	uint8_t sha256[SHA256_LEN];
	size_t i = 0, found = 0;

	if ((hex != NULL) == (id != NULL) || (hex != NULL && !parse_sha256(hex, sha256)) ||
	    (id != NULL && id[0] == '\0'))
		return ADMIN_USAGE;
	if (c->argc > 0)
		status = admin_find(c, c->args[0], &c->only, &account);
	r.account = account.id;
	while (status == ADMIN_OK && (r.v = admin_next_volume(c, &i)) != NULL)
		status = purge_volume(&r, hex != NULL ? sha256 : NULL, whole_id(c, id), &found);
	if (status != ADMIN_OK)
		return status;
	if (found == 0) {
		admin_complain(c, "there is no message with %s %s",
		    hex != NULL ? "SHA-256" : "Message-ID", hex != NULL ? hex : id);
		return ADMIN_FAILED;
	}
	return ADMIN_OK;
}

/* ---- equal contents ---- */

static enum admin_exit
tell_totals(struct admin_call *c, struct volume *v, const struct content_totals *t)
{
	struct json j;

	if (!admin_flag(c, "--json"))
		return admin_printf(c,
		           "%s: %llu stored, %llu content%s; %llu of them more than once: %llu "
		           "cop%s too many, %llu byte%s in the log, %llu before compression",
		           volume_name(v), (unsigned long long)t->blobs,
		           (unsigned long long)t->contents, admin_plural(t->contents),
		           (unsigned long long)t->doubled, (unsigned long long)t->copies,
		           t->copies == 1 ? "y" : "ies", (unsigned long long)t->log_bytes,
		           admin_plural(t->log_bytes), (unsigned long long)t->bytes)
		           ? ADMIN_OK
		           : ADMIN_FAILED;
	json_init(&j, &c->line);
	json_object(&j, NULL);
	json_cstr(&j, "volume", volume_name(v));
	json_u64(&j, "stored", t->blobs);
	json_u64(&j, "contents", t->contents);
	json_u64(&j, "doubled", t->doubled);
	json_u64(&j, "copies", t->copies);
	json_u64(&j, "log_bytes", t->log_bytes);
	json_u64(&j, "bytes", t->bytes);
	json_end(&j);
	return admin_send(c) ? ADMIN_OK : ADMIN_FAILED;
}

enum admin_exit
admin_dedup(struct admin_call *c)
{
	enum admin_exit status = ADMIN_OK;
	struct account_info account = { .id = 0 };
	struct content_totals totals;
	struct err e = ERR_INIT;
	struct volume *v;
	size_t i = 0;

	if (c->argc > 0)
		status = admin_find(c, c->args[0], &c->only, &account);
	while (status == ADMIN_OK && (v = admin_next_volume(c, &i)) != NULL) {
		if (volume_count_contents(v, account.id, &totals, &e) != RC_OK)
			return admin_fail(c, &e);
		status = tell_totals(c, v, &totals);
	}
	return status;
}
