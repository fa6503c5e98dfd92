/* record: every type there and back, at its limits, cut at every byte, and with
 * every byte changed. */
#include "tests/unit/store_tools.h"

#include "store/codec.h"
#include "store/front.h"

static const struct blob_chunk chunks[] = {
	{ 900, 300, 0x01020304, CHUNK_DEFLATE_HEADER, 1 }, { 65536, 65536, 0xffffffff, CHUNK_STORED, 0 },
};
static const struct record_message messages[] = {
	{ .blob = LSN_MAKE(1, 5), .flags = FLAG_SEEN | FLAG_DRAFT, .keywords = SLICE_INIT("$Junk work"),
	  .internaldate = { 1700000000, 120 }, .savedate = { -1, -720 }, .threadid = UINT64_MAX },
	{ .blob = LSN_MAKE(LSN_EPOCH_MAX, 1), .internaldate = { INT64_MIN, INT16_MIN }, .savedate = { INT64_MAX, INT16_MAX } },
};
static const struct uid_range uids[] = { { 1, 1 }, { 3, 9 }, { 4294967290u, 4294967295u } };
static const struct uid_range two[] = { { 5, 5 }, { 9, 9 } };
static uint8_t data[65836];

static struct record cases[] = {
	{ .type = RECORD_COUNTERS, .u.counters = { 4294967295u } },
	{ .type = RECORD_ACCOUNT, .u.account = { .id = 77, .generation = 3, .name = SLICE_INIT("anna@example.org"),
	                                         .created_us = 1700000000000000,
	                                         .quota_bytes = UINT64_MAX, .deleted = true } },
	{ .type = RECORD_ACCOUNT, .u.account = { .name = SLICE_INIT(""), .hidden = SLICE_INIT("") } },
	{ .type = RECORD_ACCOUNT, .u.account = { .id = 9, .name = SLICE_INIT("b"),
	                                         .quota_messages = INT64_MAX, .arriving = true,
	                                         .flags = ACCOUNT_LOCKED,
	                                         .hidden = SLICE_INIT("CONDSTORE IMAP4REV2") } },
	{ .type = RECORD_CREDENTIAL, .u.credential = { 77, SLICE_INIT("password"), SLICE_INIT("SCRAM-SHA-256$4096:x") } },
	{ .type = RECORD_SECRET, .u.secret = { SLICE_INIT("sasl"), SLICE_INIT("0123456789abcdef") } },
	{ .type = RECORD_DELIVERY, .u.delivery = { SLICE_INIT("0123456789abcdef0123456789ABCDEF"), UINT64_MAX, INT64_MAX, 0 } },
	{ .type = RECORD_DELIVERY, .u.delivery = { SLICE_INIT("0123456789abcdef"), 0, 1700000000, 1700003600 } },
	{ .type = RECORD_MAILBOX, .u.mailbox = { .id = 78, .account = 77, .name = SLICE_INIT("INBOX/a"), .uidvalidity = 9,
	                                         .uidnext = 4294967295u, .highestmodseq = INT64_MAX,
	                                         .special_use = USE_SENT | USE_IMPORTANT,
	                                         .mailboxid = { 1, 2, 255 } } },
	{ .type = RECORD_SUBSCRIPTION, .u.subscription = { 77, SLICE_INIT("Sent"), true } },
	{ .type = RECORD_BLOB, .u.blob = { .size = 66436, .header_len = 900, .lines = 12, .sha256 = { 9, 8, 7 },
	                                   .chunks = chunks, .chunk_count = 2,
	                                   .summary = SLICE_INIT("short"),
	                                   .data = { data, sizeof data } } },
	{ .type = RECORD_BLOB, .u.blob = { .size = 66436, .chunks = chunks, .chunk_count = 2,
	                                   .summary = SLICE_INIT("(\"TEXT\" \"PLAIN\" (\"CHARSET\" "
	                                                         "\"utf-8\") NIL NIL \"8BIT\""),
	                                   .body = { { 4, 2, SEG_BODY }, 0, 65836 } } },
	{ .type = RECORD_MESSAGES, .u.messages = { 78, INT64_MAX, 4294967294u, messages, 2, NULL, 0 } },
	{ .type = RECORD_FLAGS, .u.flags = { 78, 5, FLAG_DELETED, SLICE_INIT("$Forwarded"), uids, 3 } },
	{ .type = RECORD_MAILBOX, .u.mailbox = { .id = 78, .account = 77, .name = SLICE_INIT("Sent"), .uidvalidity = 1, .uidnext = 1,
	                                         .highestmodseq = 1, .expunge_floor = INT64_MAX,
	                                         .change_floor = 200 } },
	{ .type = RECORD_EXPUNGE, .u.expunge = { 78, 6, uids, 3 } },
	{ .type = RECORD_GONE },
	{ .type = RECORD_SOME_MESSAGES, .u.messages = { 78, 7, 5, messages, 2, two, 2 } },
	{ .type = RECORD_PURGE, .u.purge = { LSN_MAKE(2, 9), { 1, 2, 3 }, SLICE_INIT("asked for by its author") } },
	{ .type = RECORD_UIDL, .u.uidl = { 78, 4294967295u, SLICE_INIT("0000001a4f") } },
	{ .type = RECORD_SUMMARY, .u.summary = { LSN_MAKE(3, 5), SLICE_INIT("short") } },
	{ .type = RECORD_SUMMARY, .u.summary = { 1, SLICE_INIT("(\"TEXT\" \"PLAIN\" (\"CHARSET\" \"utf-8\") NIL NIL \"8BIT\" \"8BIT\"") } },
};

static void
encode(const struct record *r, struct buf *b)
{
	buf_init(b, 1 << 20);
	assert_true(record_encode(r, b));
	if (r->type == RECORD_BLOB)
		assert_true(buf_append_slice(b, r->u.blob.data));
}

/* Encode what was decoded: the same bytes. */
static void
check_same(const struct record *got, struct slice bytes)
{
	struct buf again;

	encode(got, &again);
	assert_true(slice_eq(buf_slice(&again), bytes));
	buf_fini(&again);
}

static enum rc
decode_copy(enum record_type type, struct slice in, struct arena *a, struct record *out,
            uint8_t **copy)
{
	struct err e = ERR_INIT;

	*copy = malloc(in.len > 0 ? in.len : 1);
	assert_non_null(*copy);
	if (in.len > 0)
		memcpy(*copy, in.ptr, in.len);
	arena_reset(a);
	return record_decode(type, 500, slice_of(*copy, in.len), a, out, &e);
}

static uint32_t
varint_len(uint64_t v)
{
	uint32_t n = 1;

	while ((v >>= 7) != 0)
		n++;
	return n;
}

/* Where a record ended before it had the fields that came later: limits of messages and hidden
 * capabilities of an account, floors of a mailbox. */
static size_t
first_form(const struct record *r, size_t len)
{
	if (r->type == RECORD_ACCOUNT)
		return len - varint_len(r->u.account.quota_messages) - 3 - r->u.account.hidden.len;
	if (r->type == RECORD_MAILBOX)
		return len - varint_len(r->u.mailbox.expunge_floor) -
		       varint_len(r->u.mailbox.change_floor);
	return len;
}

/* Such a one means no limit and nothing hidden. */
static void
test_account_first_form(void **state)
{
	static const char bytes[] = "\x05\x01\x01" "a\x00\x64\x00";
	struct record out;
	struct arena a;
	uint8_t *copy;

	(void)state;
	arena_init(&a, 4096);
	assert_int_equal(decode_copy(RECORD_ACCOUNT, slice_of(bytes, sizeof bytes - 1), &a, &out,
	                             &copy),
	                 RC_OK);
	assert_int_equal(out.u.account.quota_bytes, 100);
	assert_int_equal(out.u.account.quota_messages, 0);
	assert_int_equal(out.u.account.hidden.len, 0);
	arena_fini(&a);
	free(copy);
}

static void
test_round_trip(void **state)
{
	const struct record *r = *state;
	struct record out;
	struct arena a;
	struct buf b;
	uint8_t *copy;

	arena_init(&a, 1 << 20);
	encode(r, &b);
	assert_int_equal(decode_copy((enum record_type)record_stored_type(r), buf_slice(&b), &a, &out, &copy), RC_OK);
	assert_int_equal(out.lsn, 500);
	assert_int_equal(out.type, r->type);
	if (r->type == RECORD_ACCOUNT && r->u.account.id == 0) {
		assert_int_equal(out.u.account.id, 500);
		out.u.account.id = 0;
	}
	if (r->type == RECORD_BLOB)
		assert_true(slice_eq(out.u.blob.summary, r->u.blob.summary));
	if (r->type == RECORD_BLOB && r->u.blob.data.len > 0)
		assert_true(out.u.blob.data.ptr == copy + out.u.blob.data_offset);
	if (r->type == RECORD_MESSAGES)
		assert_int_equal(out.u.messages.messages[1].internaldate.zone_min, INT16_MIN);
	check_same(&out, buf_slice(&b));
	free(copy);
	assert_true(buf_append_byte(&b, 0xee));         /* a later version's field: ignored */
	assert_int_equal(decode_copy((enum record_type)record_stored_type(r), buf_slice(&b), &a, &out, &copy), RC_OK);
	free(copy);
	b.len--;
	for (size_t cut = 0; cut < b.len; cut = cut < 400 ? cut + 1 : cut + 997) {
		if (cut == first_form(r, b.len) || (r->type == RECORD_ACCOUNT && cut >= b.len - 2))
			continue;
		assert_int_equal(decode_copy((enum record_type)record_stored_type(r), slice_sub(buf_slice(&b), 0, cut), &a, &out,
		                             &copy),
		                 RC_CORRUPT);
		free(copy);
	}
	for (size_t at = 0; at < b.len && at < 400; at++) {
		for (int bit = 0; bit < 8; bit++) {
			b.ptr[at] ^= (uint8_t)(1 << bit);
			(void)decode_copy((enum record_type)record_stored_type(r), buf_slice(&b), &a, &out, &copy);
			free(copy);
			b.ptr[at] ^= (uint8_t)(1 << bit);
		}
	}
	arena_fini(&a);
	buf_fini(&b);
}

static const struct reject_case {
	const char      *name;
	enum record_type type;
	struct slice     in;
	const char      *want;
} rejects[] = {
	{ "unknown type", (enum record_type)99, SLICE_INIT(""), "record type 99 is unknown" },
	{ "number over 32 bits", RECORD_COUNTERS, SLICE_INIT("\x80\x80\x80\x80\x10"), "counters record: bad uidvalidity at byte 5" },
	{ "number over 64 bits", RECORD_COUNTERS, SLICE_INIT("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"),
	  "counters record: bad uidvalidity at byte 10" },
	{ "name beyond the end", RECORD_SUBSCRIPTION, SLICE_INIT("\x01\x05" "abcd"), "subscription record: bad name at byte 2" },
	{ "bool of 2", RECORD_SUBSCRIPTION, SLICE_INIT("\x01\x01" "a\x02"), "subscription record: bad subscribed at byte 4" },
	{ "some messages without a UID", RECORD_SOME_MESSAGES, SLICE_INIT("\x01\x01\x00"), "some messages record: bad ranges at byte 3" },
	{ "count beyond the bytes", RECORD_EXPUNGE, SLICE_INIT("\x01\x01\xff\xff\xff\xff\x0f"), "expunge record: bad ranges at byte 7" },
	{ "uid 0", RECORD_EXPUNGE, SLICE_INIT("\x01\x01\x01\x00\x00"), "expunge record: bad uid at byte 5" },
	{ "uid beyond 2^32", RECORD_EXPUNGE, SLICE_INIT("\x01\x01\x01\x02\xff\xff\xff\xff\x0f"), "expunge record: bad uid at byte 9" },
	{ "no messages", RECORD_MESSAGES, SLICE_INIT("\x01\x01\x01\x00"), "messages record: bad uid at byte 4" },
	{ "first uid 0", RECORD_MESSAGES,
	  SLICE_INIT("\x01\x01\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00"),
	  "messages record: bad uid at byte 4" },
	{ "65th bit", RECORD_ACCOUNT, SLICE_INIT("\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02" "\x00\x00\x00\x00"),
	  "account record: bad generation at byte 11" },
	{ "last uid beyond 2^32", RECORD_MESSAGES, SLICE_INIT("\x01\x01\xff\xff\xff\xff\x0f\x02"), "messages record: bad uid at byte 8" },
};

static void
test_reject(void **state)
{
	const struct reject_case *k = *state;
	uint8_t *copy = malloc(k->in.len + 1);
	struct err e = ERR_INIT;
	struct record out;
	struct arena a;

	memcpy(copy, k->in.ptr, k->in.len);
	arena_init(&a, 4096);
	assert_int_equal(record_decode(k->type, 1, slice_of(copy, k->in.len), &a, &out, &e),
	                 RC_CORRUPT);
	assert_string_equal(e.text, k->want);
	arena_fini(&a);
	free(copy);
}

/* A blob with decoded base64 has a number that older versions refuse; it is read as the blob that it is. */
static void
test_stored_type(void **state)
{
	struct blob_chunk some[2] = { chunks[0], chunks[1] };
	struct record r = { .type = RECORD_BLOB, .u.blob = { .size = 66436, .chunks = some, .chunk_count = 2,
	                                                     .data = { data, sizeof data } } }, out;
	struct err e = ERR_INIT;
	struct arena a;
	struct buf b;

	(void)state;
	assert_int_equal(record_stored_type(&r), RECORD_BLOB);
	some[1].method = CHUNK_BASE64;
	assert_int_equal(record_stored_type(&r), 17);
	assert_int_equal(record_type_of(17), RECORD_BLOB);
	assert_int_equal(record_type_of(RECORD_DELIVERY), RECORD_DELIVERY);
	assert_string_equal(record_type_name((enum record_type)17), "blob");
	assert_false(record_is_skippable((enum record_type)17));
	encode(&r, &b);
	arena_init(&a, 4096);
	assert_int_equal(record_decode((enum record_type)17, 1, buf_slice(&b), &a, &out, &e), RC_OK);
	assert_int_equal(out.type, RECORD_BLOB);
	assert_int_equal(out.u.blob.chunks[1].method, CHUNK_BASE64);
	buf_fini(&b);
	arena_fini(&a);
}

static const struct slice front = SLICE_INIT("From: Ada Lovelace <ada@example.org>\r\nSubject: the engine weaves\r\n\r\n");
static const struct slice front_summary = SLICE_INIT(
    "\x03(\"the engine weaves\" ((\"Ada Lovelace\" NIL \"ada\" \"example.org\")))the engine weaves");

static struct record
front_record(struct buf *packed, const struct blob_chunk *chunk)
{
	struct record r = { .type = RECORD_BLOB, .u.blob = { .size = front.len, .chunks = chunk, .chunk_count = 1,
	                                                     .summary = front_summary, .data = front } };
	struct codec *c = codec_get();

	buf_init(packed, 1000);
	assert_true(front_pack(c, front, front_summary, packed));
	codec_put(c);
	r.u.blob.packed = buf_slice(packed);
	return r;
}

static enum rc
decode_front(const struct record *r, struct record *out)
{
	struct arena a;
	struct buf b;
	uint8_t *copy;
	enum rc rc;

	arena_init(&a, 1 << 20);
	encode(r, &b);
	rc = decode_copy((enum record_type)RECORD_STORED_BLOB_FRONT, buf_slice(&b), &a, out, &copy);
	if (rc == RC_OK)
		check_same(out, buf_slice(&b));
	free(copy);
	buf_fini(&b);
	arena_fini(&a);
	return rc;
}

/* A summary packed with the first chunk comes back whole, under a number that older versions refuse. */
static void
test_front(void **state)
{
	const struct blob_chunk chunk = { (uint32_t)front.len, (uint32_t)front.len, 0, CHUNK_STORED, 0 };
	struct record r, out;
	struct buf b, packed;
	struct arena a;
	uint8_t *copy;

	(void)state;
	r = front_record(&packed, &chunk);
	assert_true(packed.len < front_summary.len / 2);
	assert_int_equal(record_stored_type(&r), 18);
	assert_int_equal(record_type_of(18), RECORD_BLOB);
	assert_false(record_is_skippable((enum record_type)18));
	encode(&r, &b);
	arena_init(&a, 1 << 20);
	assert_int_equal(decode_copy((enum record_type)18, buf_slice(&b), &a, &out, &copy), RC_OK);
	assert_int_equal(out.type, RECORD_BLOB);
	assert_true(slice_eq(out.u.blob.summary, front_summary));
	assert_true(slice_eq(out.u.blob.data, front));
	check_same(&out, buf_slice(&b));
	free(copy);
	for (size_t cut = 0; cut < b.len; cut++) {
		assert_int_equal(decode_copy((enum record_type)18, slice_sub(buf_slice(&b), 0, cut), &a, &out, &copy),
		                 RC_CORRUPT);
		free(copy);
	}
	for (size_t at = 0; at < b.len; at++)
		for (int bit = 0; bit < 8; bit++) {
			b.ptr[at] ^= (uint8_t)(1 << bit);
			(void)decode_copy((enum record_type)18, buf_slice(&b), &a, &out, &copy);
			free(copy);
			b.ptr[at] ^= (uint8_t)(1 << bit);
		}
	/* a body elsewhere has another form, as its first chunk is not at hand */
	r.u.blob.body = (struct log_addr){ { 4, 2, SEG_BODY }, 0, front.len };
	r.u.blob.data = SLICE_NONE;
	assert_int_equal(record_stored_type(&r), RECORD_BLOB);
	buf_fini(&b);
	buf_fini(&packed);
	arena_fini(&a);
}

/* Each behind the form's byte: dictionary, length, bytes. */
static void
test_bad_front(void **state)
{
	const struct blob_chunk chunk = { (uint32_t)front.len, (uint32_t)front.len, 0, CHUNK_STORED, 0 };
	static const struct slice bad[] = {
		SLICE_INIT("\x02\x05\x03\x30" "ab"),           /* fewer literals than it says */
		SLICE_INIT("\x02\x05\x05\x40" "abcd"),         /* fewer than the length */
		SLICE_INIT("\x02\x03\x05\x40" "abcd"),         /* more */
		SLICE_INIT("\x02\x05\x05\x10" "a\xff\xff\x01"),  /* before the base */
		SLICE_INIT("\x63\x01\x02\x10" "a"),            /* no such dictionary */
		SLICE_INIT("\x02\x81\x80\x02\x02\x10" "a"),    /* longer than can be */
		SLICE_INIT("\x02\x01\x03\x10" "a"),            /* beyond the end of the record's data */
	};
	struct record r, out;
	struct buf packed;

	(void)state;
	r = front_record(&packed, &chunk);
	assert_int_equal(decode_front(&r, &out), RC_OK);
	r.u.blob.packed = SLICE("\x02\x01\x02\x10" "a");
	assert_int_equal(decode_front(&r, &out), RC_OK);
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		r.u.blob.packed = bad[i];
		assert_int_equal(decode_front(&r, &out), RC_CORRUPT);
	}
	buf_fini(&packed);
}

/* The first chunk is too long to be a base, does not inflate; or there is none, but a form that wants one. */
static void
test_no_front(void **state)
{
	static uint8_t much[FRONT_MAX + 1];
	struct blob_chunk chunk = { sizeof much, sizeof much, 0, CHUNK_STORED, 0 };
	struct record r, out;
	struct buf packed;
	struct arena a;
	uint8_t *copy;

	(void)state;
	r = front_record(&packed, &chunk);
	r.u.blob.packed = SLICE("\x02\x01\x02\x10" "a");
	r.u.blob.size = sizeof much;
	r.u.blob.data = slice_of(much, sizeof much);
	assert_int_equal(decode_front(&r, &out), RC_CORRUPT);
	r.u.blob.size = r.u.blob.data.len = chunk.raw_len = chunk.stored_len = FRONT_MAX;
	assert_int_equal(decode_front(&r, &out), RC_OK);
	chunk.method = CHUNK_DEFLATE_HEADER;
	chunk.dictionary = DICTIONARY_HEADER;
	memset(much, 0xff, sizeof much);
	assert_int_equal(decode_front(&r, &out), RC_CORRUPT);
	chunk.method = CHUNK_BASE64;
	assert_int_equal(decode_front(&r, &out), RC_CORRUPT);
	arena_init(&a, 1 << 20);
	assert_int_equal(decode_copy(RECORD_SUMMARY, SLICE("\x01\x02\x02\x01\x02\x10" "a"), &a, &out, &copy), RC_CORRUPT);
	free(copy);
	arena_fini(&a);
	buf_fini(&packed);
}

/* What is noted of a delivery's key is shorter now. */
static void
test_stored_delivery(void **state)
{
	struct record r = { .type = RECORD_DELIVERY, .u.delivery = { .key = SLICE_INIT("0123456789abcdef") } };

	(void)state;
	assert_int_equal(record_stored_type(&r), 19);
	assert_int_equal(record_type_of(19), RECORD_DELIVERY);
	assert_true(record_is_skippable(r.type));
	r.u.delivery.key = SLICE("0123456789abcdef0123456789abcdef");
	assert_int_equal(record_stored_type(&r), RECORD_DELIVERY);
}

static void
test_limits(void **state)
{
	struct record r = { .type = RECORD_BLOB, .u.blob = { .size = 66436, .chunks = chunks,
	                    .chunk_count = 2,
	                                                     .data = { data, sizeof data } } }, out;
	struct err e = ERR_INIT;
	struct arena a;
	struct buf b, small;

	(void)state;
	encode(&r, &b);
	arena_init(&a, 8);
	assert_int_equal(record_decode(r.type, 1, buf_slice(&b), &a, &out, &e), RC_LIMIT);
	buf_init(&small, 20);
	assert_false(record_encode(&r, &small));
	buf_fini(&small);
	buf_fini(&b);
	r.u.blob.size++;                        /* the chunks do not hold it all */
	encode(&r, &b);
	a.max = 4096;
	assert_int_equal(record_decode(r.type, 1, buf_slice(&b), &a, &out, &e), RC_CORRUPT);
	assert_string_equal(record_type_name(RECORD_EXPUNGE), "expunge");
	assert_null(record_type_name((enum record_type)0));
	buf_fini(&b);
	arena_fini(&a);
}

int
main(void)
{
	struct CMUnitTest tests[64];
	size_t n = 0;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		tests[n++] = (struct CMUnitTest){ record_type_name(cases[i].type), test_round_trip,
		                                  NULL, NULL, &cases[i] };
	for (size_t i = 0; i < sizeof rejects / sizeof *rejects; i++)
		tests[n++] = (struct CMUnitTest){ rejects[i].name, test_reject, NULL, NULL,
		                                  (void *)(uintptr_t)&rejects[i] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_account_first_form);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_stored_type);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_front);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_bad_front);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_no_front);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_stored_delivery);
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_limits);
	return _cmocka_run_group_tests("record", tests, n, NULL, NULL);
}
