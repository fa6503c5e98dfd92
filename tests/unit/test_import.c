/* What an import stands on: the stream of messages, wanted UIDs, unique-ids and UIDVALIDITYs. */
#include "tests/unit/unit.h"

#include <stdlib.h>

#include "index/import_seen.h"
#include "index/ingest.h"
#include "index/parcel.h"
#include "tests/unit/volume_fixture.h"

/* ---- the stream ---- */

static struct buf heard;

static enum rc
hear_mailbox(void *arg, const struct parcel_mailbox *m, struct err *e)
{
	(void)arg;
	(void)e;
	buf_printf(&heard, "M%.*s:%u:%u:%u:%d;", SLICE_ARG(m->name), m->uidvalidity, m->uidnext,
	           m->special_use, m->subscribe);
	return RC_OK;
}

static enum rc
hear_name(void *arg, struct slice name, struct err *e)
{
	(void)arg;
	(void)e;
	buf_printf(&heard, "S%.*s;", SLICE_ARG(name));
	return RC_OK;
}

static enum rc
hear_message(void *arg, const struct parcel_message *m, struct err *e)
{
	(void)arg;
	(void)e;
	buf_printf(&heard, "I%u:%u:%lld:%d:%u:%.*s:%.*s;", (unsigned)m->seq, m->flags,
	           (long long)m->internaldate.sec, m->internaldate.zone_min, m->uid,
	           SLICE_ARG(m->uidl), SLICE_ARG(m->keywords));
	return RC_OK;
}

static enum rc
hear_data(void *arg, struct slice bytes, struct err *e)
{
	(void)arg;
	(void)e;
	buf_append_slice(&heard, bytes);
	return RC_OK;
}

static enum rc
hear_end(void *arg, bool whole, struct err *e)
{
	(void)arg;
	(void)e;
	buf_append_str(&heard, whole ? ";E" : ";X");
	return RC_OK;
}

static const struct parcel_handler handler = { NULL, hear_mailbox, hear_name, hear_message,
                                               hear_data, hear_end };

static void
make_stream(struct buf *b)
{
	const struct parcel_mailbox m = { SLICE("A/b"), 7, 4294967295u, 5, true, 2 };
	const struct parcel_message one = { 1, 31, SLICE("x y"), { -5, -90 }, 17, SLICE("u1"), 2 };
	const struct parcel_message two = { 2, 0, SLICE_NONE, { INT64_MAX, 840 }, 0, SLICE_NONE,
	                                    0 };

	buf_init(b, 1u << 20);
	assert_true(parcel_put_begin(b) && parcel_put_mailbox(b, &m) &&
	            parcel_put_message(b, &one));
	assert_true(parcel_put_data(b, SLICE("a")) && parcel_put_data(b, SLICE("b")) &&
	            parcel_put_end(b, true));
	assert_true(parcel_put_message(b, &two) && parcel_put_end(b, false));
	assert_true(parcel_put_subscription(b, SLICE("Z")) && parcel_put_close(b));
}

/* In two pieces, cut at every octet, each on a heap block of its own; and every prefix alone is
 * no whole stream. */
static void
test_stream(void **state)
{
	struct err e = ERR_INIT;
	struct buf b;

	(void)state;
	make_stream(&b);
	buf_init(&heard, 4096);
	for (size_t cut = 0; cut <= b.len; cut++) {
		uint8_t *first = malloc(cut + 1);
		struct parcel_reader r;

		memcpy(first, b.ptr, cut);
		buf_reset(&heard);
		parcel_reader_init(&r, &handler);
		assert_int_equal(parcel_feed(&r, slice_of(first, cut), &e), RC_OK);
		assert_int_equal(r.closed, cut == b.len);
		assert_int_equal(parcel_feed(&r, slice_of(b.ptr + cut, b.len - cut), &e), RC_OK);
		assert_true(r.closed);
		assert_true(slice_eq(buf_slice(&heard),
		                     SLICE("MA/b:7:4294967295:5:1;I1:31:-5:-90:17:u1:x y;ab;E"
		                           "I2:0:9223372036854775807:840:0::;;XSZ;")));
		parcel_reader_fini(&r);
		free(first);
	}
	buf_fini(&heard);
	buf_fini(&b);
}

/* No octet changed makes the reader read too far or wait for ever; types out of
 * order are refused. */
static void
test_stream_damaged(void **state)
{
	static const char *const orders[] = { "M", "BB", "BI", "BD", "BE", "BMD", "BMIM", "BMIZ",
	                                      "BZM", "BMIEE" };
	struct buf b;

	(void)state;
	make_stream(&b);
	buf_init(&heard, 1u << 20);
	for (size_t i = 0; i < b.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct parcel_reader r;
			struct err e = ERR_INIT;

			b.ptr[i] ^= (uint8_t)(1u << bit);
			parcel_reader_init(&r, &handler);
			(void)!parcel_feed(&r, buf_slice(&b), &e);
			parcel_reader_fini(&r);
			b.ptr[i] ^= (uint8_t)(1u << bit);
		}
	}
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
		const struct parcel_mailbox m = { .name = SLICE("A") };
		const struct parcel_message msg = { .seq = 1 };
		struct parcel_reader r;
		struct err e = ERR_INIT;

		buf_reset(&b);
		for (const char *p = orders[i]; *p != '\0'; p++)
			assert_true(*p == 'B'   ? parcel_put_begin(&b)
			            : *p == 'M' ? parcel_put_mailbox(&b, &m)
			            : *p == 'I' ? parcel_put_message(&b, &msg)
			            : *p == 'D' ? parcel_put_data(&b, SLICE("x"))
			            : *p == 'E' ? parcel_put_end(&b, true)
			                        : parcel_put_close(&b));
		parcel_reader_init(&r, &handler);
		assert_int_equal(parcel_feed(&r, buf_slice(&b), &e), RC_SYNTAX);
		parcel_reader_fini(&r);
	}
	buf_fini(&heard);
	buf_fini(&b);
}

/* ---- wanted UIDs, unique-ids ---- */

static struct change *
make_append(mailbox_id box, mail_uid uid, const char *uidl)
{
	struct change *c = fx_make_append(&box, 1, SLICE(TEST_MAIL), 0, "");

	c->u.append.messages[0].uid = uid;
	c->u.append.messages[0].uidl = slice_str(uidl);
	return c;
}

static void
check_uidls(mailbox_id box)
{
	struct message_uidl *rows;
	struct err e = ERR_INIT;
	size_t n;

	assert_int_equal(volume_list_uidls(fx_v, box, 1, 100, &fx_arena, &rows, &n, &e), RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(rows[0].uid, 10);
	assert_true(slice_eq(rows[0].text, SLICE("abc")));
}

static void
test_wanted_uid(void **state)
{
	account_id a = fx_account("anna");
	mailbox_id box = fx_box(a, "INBOX");
	struct change *c;

	(void)state;
	assert_int_equal(fx_run(make_append(box, 10, "abc")), RC_OK);
	assert_int_equal(fx_mailbox(a, "INBOX").uidnext, 11);
	assert_int_equal(fx_run(make_append(box, 10, "")), RC_EXISTS);
	assert_int_equal(fx_run(make_append(box, 9, "")), RC_EXISTS);
	assert_int_equal(fx_run(make_append(box, UINT32_MAX, "")), RC_EXISTS);
	assert_int_equal(fx_run(make_append(box, 12, "bad id")), RC_SYNTAX);
	assert_int_equal(fx_append(box, SLICE(TEST_MAIL), 0, ""), 11);
	check_uidls(box);
	assert_int_equal(fx_run(fx_make_copy(CHANGE_COPY, box, 10, 10, box)), RC_OK);
	check_uidls(box);
	/* What the index knows, the log does: without it all is the same. */
	volume_close(&fx_v);
	{
		struct volume_params p = { .name = "v1", .path = fx_dir, .mode = VOLUME_WRITE };
		struct reindex_result r;
		struct err e = ERR_INIT;

		assert_int_equal(volume_reindex(&p, false, &r, &e), RC_OK);
	}
	fx_open();
	check_uidls(box);
	c = fx_change(CHANGE_EXPUNGE);
	c->u.expunge.mailbox = box;
	c->u.expunge.any = true;
	assert_true(uid_set_add(&c->u.expunge.uids, 10, 10));
	assert_int_equal(fx_run(c), RC_OK);
	{
		struct message_uidl *rows;
		struct err e = ERR_INIT;
		size_t n;

		assert_int_equal(volume_list_uidls(fx_v, box, 1, 100, &fx_arena, &rows, &n, &e),
		                 RC_OK);
		assert_int_equal(n, 0);
	}
}

/* ---- wanted UIDVALIDITYs ---- */

static enum rc
adopt(account_id a, const char *name, uint32_t uidvalidity, mail_uid uidnext)
{
	struct change *c = fx_change(CHANGE_MAILBOX_ADOPT);

	c->u.mailbox.account = a;
	c->u.mailbox.name = slice_str(name);
	c->u.mailbox.uidvalidity = uidvalidity;
	c->u.mailbox.uidnext = uidnext;
	return fx_run(c);
}

static void
test_adopt(void **state)
{
	account_id a = fx_account("anna");
	uint32_t last = fx_mailbox(a, "Archive").uidvalidity;
	struct change *c;

	(void)state;
	assert_int_equal(adopt(a, "INBOX", 77, 0), RC_OK);
	assert_int_equal(fx_mailbox(a, "INBOX").uidvalidity, 77);
	assert_int_equal(adopt(a, "INBOX", UINT32_MAX, 0), RC_LIMIT);
	assert_int_equal(adopt(a, "Nowhere", 5, 0), RC_NOT_FOUND);
	(void)fx_append(fx_box(a, "INBOX"), SLICE(TEST_MAIL), 0, "");
	assert_int_equal(adopt(a, "INBOX", 78, 0), RC_EXISTS);
	assert_int_equal(adopt(a, "INBOX", 77, 500), RC_OK);
	assert_int_equal(fx_mailbox(a, "INBOX").uidnext, 500);
	assert_int_equal(adopt(a, "INBOX", 0, 3), RC_OK);
	assert_int_equal(fx_append(fx_box(a, "INBOX"), SLICE(TEST_MAIL), 0, ""), 500);
	/* A higher one raises the volume's counter, so that it is never given to another. */
	c = fx_change(CHANGE_MAILBOX_CREATE);
	c->u.mailbox.account = a;
	c->u.mailbox.name = SLICE("High");
	c->u.mailbox.uidvalidity = last + 1000;
	assert_int_equal(fx_run(c), RC_OK);
	assert_int_equal(fx_mailbox(a, "High").uidvalidity, last + 1000);
	assert_int_equal(fx_name_change(CHANGE_MAILBOX_CREATE, a, "Next", ""), RC_OK);
	assert_true(fx_mailbox(a, "Next").uidvalidity > last + 1000);
}

/* ---- what was there ---- */

static void
test_seen(void **state)
{
	account_id a = fx_account("anna");
	mailbox_id box = fx_box(a, "INBOX");
	struct ingested *m = fx_ingest(SLICE(TEST_MAIL));
	struct import_seen *s;
	struct seen_box *b, *again;
	struct err e = ERR_INIT;
	uint8_t sha[SHA256_LEN], other[SHA256_LEN] = { 0 };
	bool same, ok;

	(void)state;
	memcpy(sha, ingested_blob(m)->sha256, sizeof sha);
	ingested_unref(&m);
	fx_append_n(box, 2);
	assert_int_equal(import_seen_new(fx_v, &s, &e), RC_OK);
	assert_int_equal(import_seen_box(s, box, &b, &e), RC_OK);
	fx_append_n(box, 1);            /* came later: answers for none */
	assert_int_equal(seen_box_claim(b, sha, 1700000001), 0);
	assert_int_equal(seen_box_claim(b, other, 1700000000), 0);
	assert_int_equal(seen_box_claim(b, sha, 1700000000), 1);
	assert_int_equal(seen_box_claim(b, sha, 1700000000), 2);
	assert_int_equal(seen_box_claim(b, sha, 1700000000), 0);
	assert_true(seen_box_has_uid(b, 2, sha, &same) && same);
	assert_true(seen_box_has_uid(b, 2, other, &same) && !same);
	assert_false(seen_box_has_uid(b, 3, sha, &same));
	assert_int_equal(import_seen_box(s, box, &again, &e), RC_OK);
	assert_ptr_equal(again, b);
	assert_int_equal(seen_box_take_uidl(s, b, 0x12345678, SLICE("one"), &ok, &e), RC_OK);
	assert_true(ok);
	assert_int_equal(seen_box_take_uidl(s, b, 0x12345678, SLICE("one"), &ok, &e), RC_OK);
	assert_false(ok);
	assert_int_equal(seen_box_take_uidl(s, b, 0x12345678, SLICE("1234567800000001"), &ok, &e),
	                 RC_OK);
	assert_false(ok);
	assert_int_equal(seen_box_take_uidl(s, b, 0x12345678, SLICE("a b"), &ok, &e), RC_OK);
	assert_false(ok);
	import_seen_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stream),
		cmocka_unit_test(test_stream_damaged),
		cmocka_unit_test_setup_teardown(test_wanted_uid, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_adopt, fx_setup, fx_teardown),
		cmocka_unit_test_setup_teardown(test_seen, fx_setup, fx_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
