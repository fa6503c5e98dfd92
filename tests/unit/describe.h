/* describe - all that a client can see of an account, as text: equal texts, equal mail. Bytes and
 * summaries as hashes. */
#ifndef RESTANTE_TESTS_UNIT_DESCRIBE_H
#define RESTANTE_TESTS_UNIT_DESCRIBE_H

#include "lib/siphash.h"
#include "tests/unit/volume_fixture.h"

static inline uint64_t
describe_hash(struct slice s)
{
	static const uint8_t no_key[SIPHASH_KEY_LEN];

	return siphash(no_key, s.ptr, s.len);
}

static inline void
describe_message(struct volume *v, const struct message_row *r, struct buf *out)
{
	struct err e = ERR_INIT;
	struct buf bytes;

	buf_init(&bytes, 64u << 20);
	assert_true(buf_printf(out,
	    "  %u %smodseq %llu flags %u [%.*s] %lld%+d saved %lld thread %llx size %llu", r->uid,
	    r->expunged ? "expunged " : "", (unsigned long long)r->modseq, r->flags,
	    SLICE_ARG(r->keywords), (long long)r->internaldate.sec, r->internaldate.zone_min,
	    (long long)r->savedate.sec, (unsigned long long)r->threadid,
	    (unsigned long long)r->size));
	if (r->place.chunk_count > 0) {
		if (volume_read_blob(v, &r->place, 0, r->size, &bytes, &e) != RC_OK)
			fail_msg("message %u: %s", r->uid, e.text);
		assert_true(buf_printf(out, " bytes %016llx sha %02x%02x summary %016llx",
		                       (unsigned long long)describe_hash(buf_slice(&bytes)),
		                       r->sha256[0], r->sha256[31],
		                       (unsigned long long)describe_hash(r->summary)));
	}
	assert_true(buf_append_byte(out, '\n'));
	buf_fini(&bytes);
}

static inline void
describe_mailbox(struct volume *v, const struct mailbox_info *m, bool expunged, struct buf *out)
{
	struct err e = ERR_INIT;
	struct message_uidl *uidls;
	struct message_row *rows;
	struct uid_set all;
	size_t n;

	uid_set_init(&all, 1);
	assert_true(uid_set_add(&all, 1, UINT32_MAX));
	assert_true(buf_printf(out,
	    " %.*s: uidvalidity %u uidnext %u highestmodseq %llu exists %u unseen %u "
	    "deleted %u size %llu"
	    " use %u%s id %016llx\n",
	    SLICE_ARG(m->name), m->uidvalidity, m->uidnext, (unsigned long long)m->highestmodseq,
	    m->exists, m->unseen, m->deleted, (unsigned long long)m->size, m->special_use,
	    m->subscribed ? " subscribed" : "",
	    (unsigned long long)describe_hash(slice_of(m->mailboxid, sizeof m->mailboxid))));
	assert_int_equal(volume_read_messages(v, m->id, &all, 1, 100000,
	                     WANT_PLACE | WANT_SUMMARY | (expunged ? WANT_EXPUNGED : 0u), &fx_arena,
	                     &rows, &n, &e),
	    RC_OK);
	for (size_t i = 0; i < n; i++)
		describe_message(v, &rows[i], out);
	assert_int_equal(volume_list_uidls(v, m->id, 1, 1000, &fx_arena, &uidls, &n, &e), RC_OK);
	for (size_t i = 0; i < n; i++)
		assert_true(
		    buf_printf(out, "  %u uidl %.*s\n", uidls[i].uid, SLICE_ARG(uidls[i].text)));
	uid_set_fini(&all);
}

/* `expunged`: what is remembered of messages that are gone, too. */
static inline void
describe_account(struct volume *v, struct slice name, bool expunged, struct buf *out)
{
	struct credential_info *credentials;
	struct account_info a;
	struct mailbox_info *list;
	struct slice *names;
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(volume_find_account(v, name, &fx_arena, &a, &e), RC_OK);
	assert_true(buf_printf(out, "%.*s: quota %llu %llu used %llu %llu hides [%.*s]\n",
	    SLICE_ARG(a.name), (unsigned long long)a.quota_bytes,
	    (unsigned long long)a.quota_messages, (unsigned long long)a.used_bytes,
	    (unsigned long long)a.used_messages, SLICE_ARG(a.hidden)));
	assert_int_equal(volume_list_credentials(v, a.id, &fx_arena, &credentials, &n, &e), RC_OK);
	for (size_t i = 0; i < n; i++)
		assert_true(buf_printf(out, " credential %.*s %016llx\n",
		                       SLICE_ARG(credentials[i].name),
		                       (unsigned long long)describe_hash(credentials[i].value)));
	assert_int_equal(volume_list_subscriptions(v, a.id, &fx_arena, &names, &n, &e), RC_OK);
	for (size_t i = 0; i < n; i++)
		assert_true(buf_printf(out, " subscribed to %.*s\n", SLICE_ARG(names[i])));
	assert_int_equal(volume_list_mailboxes(v, a.id, &fx_arena, &list, &n, &e), RC_OK);
	for (size_t i = 0; i < n; i++)
		describe_mailbox(v, &list[i], expunged, out);
}

#endif
