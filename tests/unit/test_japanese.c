/* Japanese mail as it is sent: for each way of writing, a UTF-8 SEARCH finds it, the sort key shows
 * it, and so does PREVIEW. The octets are made by hand; the words are 請求 (invoice), kana and what
 * JIS charsets disagree about. */
#include "tests/unit/imap_rig.h"

#include "lib/mime.h"
#include "lib/text.h"

static const struct japanese_case {
	const char  *name;
	struct slice mail;
	const char  *key;
	const char  *needle;
	bool         in_key;            /* of SORT: the base subject */
	bool         in_preview;
} cases[] = {
	{ "ISO-2022-JP subject",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: =?ISO-2022-JP?B?GyRCQEE1YT1xGyhC?=\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "請求", true, false },
	{ "ISO-2022-JP body",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: text/plain; charset=iso-2022-jp\r\n"
	  "Content-Transfer-Encoding: 7bit\r\n"
	  "\r\n"
	  "\x1b$B8f@A5a=q\x1b(B\r\n"),
	  "BODY", "請求", false, true },
	{ "ISO-2022-JP body in base64",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: text/plain; charset=\"iso-2022-jp\"\r\n"
	  "Content-Transfer-Encoding: base64\r\n"
	  "\r\n"
	  "GyRCOGZAQTVhPXEbKEINCg==\r\n"),
	  "BODY", "請求", false, true },
	{ "CP932 subject called Shift_JIS",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: =?Shift_JIS?B?h0CQv4uB?=\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "①請求", true, false },
	{ "CP932 body called Shift_JIS",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: text/plain; charset=Shift_JIS\r\n"
	  "Content-Transfer-Encoding: 8bit\r\n"
	  "\r\n"
	  "\x87\x8a\x87@\x90\xbf\x8b\x81\r\n"),
	  "BODY", "㈱①請求", false, true },
	{ "CP932 subject called ISO-2022-JP",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: =?ISO-2022-JP?B?kL+LgQ==?=\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "請求", true, false },
	{ "CP932 body called ISO-2022-JP",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: text/plain; charset=ISO-2022-JP\r\n"
	  "Content-Transfer-Encoding: 8bit\r\n"
	  "\r\n"
	  "\x82\xa8\x90\xbf\x8b\x81\r\n"),
	  "BODY", "請求", false, true },
	{ "NEC row in ISO-2022-JP",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: text/plain; charset=ISO-2022-JP\r\n"
	  "\r\n"
	  "\x1b$B-!@A5a\x1b(B\r\n"),
	  "BODY", "①請求", false, true },
	{ "EUC-JP subject in Q",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: =?euc-jp?Q?=C0=C1=B5=E1?=\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "請求", true, false },
	{ "EUC-JP body",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: text/plain; charset=EUC-JP\r\n"
	  "Content-Transfer-Encoding: 8bit\r\n"
	  "\r\n"
	  "\xc0\xc1\xb5\xe1\r\n"),
	  "BODY", "請求", false, true },
	{ "UTF-8 character over two encoded-words",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: =?UTF-8?B?6Ks=?=\r\n"
	  " =?UTF-8?B?i+axgg==?=\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "請求", true, false },
	{ "EUC-JP character over two encoded-words",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: =?EUC-JP?Q?=C0?= =?EUC-JP?Q?=C1=B5?= =?EUC-JP?Q?=E1?=\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "請求", true, false },
	{ "ISO-2022-JP in two encoded-words",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: =?ISO-2022-JP?B?GyRCQEEbKEI=?=\r\n"
	  "\x09=?ISO-2022-JP?B?GyRCNWEbKEI=?=\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "請求", true, false },
	{ "half-width kana in Shift_JIS",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: =?Shift_JIS?B?vrK3rbM=?=\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "セイキュウ", true, false },
	{ "half-width voiced kana in ISO-2022-JP",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: text/plain; charset=iso-2022-jp\r\n"
	  "\r\n"
	  "\x1b(I6^\x1b(B\r\n"),
	  "BODY", "ガ", false, true },
	{ "file name of RFC 2231",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Disposition: attachment; filename*=utf-8''%E8%AB%8B%E6%B1%82.pdf\r\n"
	  "Content-Type: application/pdf\r\n"
	  "\r\n"
	  "%PDF\r\n"),
	  "TEXT", "請求.pdf", false, false },
	{ "file name in pieces",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Disposition: attachment;\r\n"
	  " filename*0*=shift_jis'ja'%90%BF;\r\n"
	  " filename*1*=%8B%81;\r\n"
	  " filename*2=.pdf\r\n"
	  "Content-Type: application/pdf\r\n"
	  "\r\n"
	  "%PDF\r\n"),
	  "HEADER Content-Disposition", "請求.pdf", false, false },
	{ "file name in an encoded-word",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: application/pdf; name=\"=?ISO-2022-JP?B?GyRCQEE1YRsoQi5wZGY=?=\"\r\n"
	  "\r\n"
	  "%PDF\r\n"),
	  "TEXT", "請求.pdf", false, false },
	{ "file name of a part",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: multipart/mixed; boundary=b\r\n"
	  "\r\n"
	  "--b\r\n"
	  "Content-Type: text/plain\r\n"
	  "\r\n"
	  "hi\r\n"
	  "--b\r\n"
	  "Content-Type: application/pdf\r\n"
	  "Content-Disposition: attachment; filename*=UTF-8''%E8%AB%8B%E6%B1%82.pdf\r\n"
	  "\r\n"
	  "x\r\n"
	  "--b--\r\n"),
	  "TEXT", "請求.pdf", false, false },
	{ "raw ISO-2022-JP subject",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: \x1b$B8f@A5a\x1b(B\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "請求", true, false },
	{ "raw UTF-8 subject",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: \xe8\xab\x8b\xe6\xb1\x82\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "請求", true, false },
	{ "raw Shift_JIS subject without label",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: \x82\xb2\x90\xbf\x8b\x81\x82\xcc\x8c\x8f\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "請求", true, false },
	{ "raw EUC-JP subject without label",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: \xa4\xb4\xc0\xc1\xb5\xe1\xa4\xce\xb7\xef\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "SUBJECT", "請求", true, false },
	{ "raw EUC-JP subject of a labelled message",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: \xc0\xc1\xb5\xe1\r\n"
	  "Content-Type: text/plain; charset=euc-jp\r\n"
	  "\r\n"
	  "x\r\n"),
	  "SUBJECT", "請求", false, false },
	{ "raw Shift_JIS body without label",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "\r\n"
	  "\x82\xb2\x90\xbf\x8b\x81\x82\xcc\x8c\x8f\r\n"),
	  "BODY", "請求", false, true },
	{ "display name",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Sender: b@example.jp\r\n"
	  "Reply-To: c@example.jp\r\n"
	  "Cc: =?ISO-2022-JP?B?GyRCQEE1YTc4GyhC?= <d@example.jp>\r\n"
	  "\r\n"
	  "nothing\r\n"),
	  "CC", "請求係", false, false },
	{ "HTML in Shift_JIS",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: text/html; charset=shift_jis\r\n"
	  "Content-Transfer-Encoding: base64\r\n"
	  "\r\n"
	  "PGh0bWw+PHN0eWxlPnB7fTwvc3R5bGU+PHA+jOSQvzxiPouBPC9iPo+RPC9wPg==\r\n"),
	  "BODY", "請求書", false, true },
	{ "HTML with references",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: text/html; charset=us-ascii\r\n"
	  "\r\n"
	  "<p>&#35531;&#x6c42;\r\n"),
	  "BODY", "請求", false, true },
	{ "subject of an embedded message",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: message/rfc822\r\n"
	  "\r\n"
	  "Subject: =?utf-8?B?6KuL5rGC?=\r\n"
	  "\r\n"
	  "body\r\n"),
	  "BODY", "請求", false, false },
	{ "body of an embedded message",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: message/rfc822\r\n"
	  "\r\n"
	  "Content-Type: text/plain; charset=euc-jp\r\n"
	  "\r\n"
	  "\xc0\xc1\xb5\xe1\r\n"),
	  "TEXT", "請求", false, false },
	{ "wave dash",
	  SLICE_INIT("From: a@example.jp\r\n"
	  "Subject: x\r\n"
	  "Content-Type: text/plain; charset=iso-2022-jp\r\n"
	  "\r\n"
	  "\x1b$B#1!A#2\x1b(B\r\n"),
	  "BODY", "1～2", false, false },
};

/* Western text that looks Japanese to a careless guess. */
static const struct western_case {
	const char *name;
	const char *octets, *utf8;
} western[] = {
	{ "one letter", "caf\xe9 noir", "café noir" },
	{ "two letters that are an ideograph in EUC-JP", "cr\xe9\xe9" "e", "créée" },
	{ "letters that are half-width kana", "\xc4\xd6\xdc", "ÄÖÜ" },
	{ "sharp s behind a letter", "Gr\xfc\xdf" "e", "Grüße" },
	{ "quotes of windows-1252", "\x93quoted\x94", "“quoted”" },
	{ "UTF-8 with a stray octet", "\xe8\xab\x8b\xe6\xb1\x82\xff", "請求" },
};

/* The case is found by the test's own state, which the rig needs for itself. */
static const void *the_case;

static int
case_setup(void **state)
{
	the_case = *state;
	return rig_setup(state);
}

static bool
has_folded(struct slice text, const char *needle)
{
	struct buf a, b;
	bool found;

	buf_init(&a, 1u << 16);
	buf_init(&b, 1u << 16);
	assert_true(text_searchfold(text, &a) && text_searchfold(slice_str(needle), &b));
	found = slice_find(buf_slice(&a), buf_slice(&b)) < a.len;
	buf_fini(&a);
	buf_fini(&b);
	return found;
}

static struct slice
subject_key(mail_uid uid)
{
	struct message_row *row;
	struct mime_summary *s = arena_alloc(&fx_arena, sizeof *s);
	struct uid_set one;
	struct err e = ERR_INIT;
	size_t n;

	uid_set_init(&one, 1);
	assert_true(uid_set_add(&one, uid, uid));
	assert_int_equal(volume_read_messages(fx_v, rig_inbox(), &one, 1, 1, WANT_SUMMARY,
	                                      &fx_arena, &row, &n, &e),
	                 RC_OK);
	assert_int_equal(n, 1);
	assert_int_equal(mime_summary_decode(row->summary, &fx_arena, s, &e), RC_OK);
	uid_set_fini(&one);
	return s->keys.subject;
}

static void
expect_found(struct session *s, const char *key, const char *needle, bool found)
{
	char line[300], want[100];

	(void)snprintf(line, sizeof line, "1 SEARCH CHARSET UTF-8 %s {%zu+}\r\n%s", key,
	               strlen(needle), needle);
	(void)snprintf(want, sizeof want, "* SEARCH%s\r\n1 OK SEARCH completed\r\n",
	               found ? " 1" : "");
	rig_expect(s, line, want);
}

static void
test_japanese(void **state)
{
	const struct japanese_case *k = the_case;
	mail_uid uid = fx_append(rig_inbox(), k->mail, 0, "");
	struct session *s = rig_selected();

	(void)state;
	expect_found(s, k->key, k->needle, true);
	expect_found(s, k->key, "請願", false);
	if (k->in_key)
		assert_true(has_folded(subject_key(uid), k->needle));
	if (k->in_preview)
		assert_true(has_folded(slice_str(rig_send(s, "2 FETCH 1 PREVIEW")), k->needle));
	rig_end(s);
}

static void
test_western(void **state)
{
	const struct western_case *k = the_case;
	struct session *s;
	struct buf mail;

	(void)state;
	buf_init(&mail, 1000);
	buf_append_str(&mail, "Subject: ");
	buf_append_str(&mail, k->octets);
	buf_append_str(&mail, "\r\n\r\n");
	buf_append_str(&mail, k->octets);
	fx_append(rig_inbox(), buf_slice(&mail), 0, "");
	buf_fini(&mail);
	s = rig_selected();
	expect_found(s, "SUBJECT", k->utf8, true);
	expect_found(s, "BODY", k->utf8, true);
	rig_end(s);
}

int
main(void)
{
	struct CMUnitTest tests[UNIT_COUNT(cases) + UNIT_COUNT(western)];
	size_t n = 0;

	for (size_t i = 0; i < UNIT_COUNT(cases); i++)
		tests[n++] = (struct CMUnitTest){ cases[i].name, test_japanese, case_setup,
		                                  rig_teardown,
		                                  (void *)(uintptr_t)&cases[i] };
	for (size_t i = 0; i < UNIT_COUNT(western); i++)
		tests[n++] = (struct CMUnitTest){ western[i].name, test_western, case_setup,
		                                  rig_teardown,
		                                  (void *)(uintptr_t)&western[i] };
	return _cmocka_run_group_tests("japanese", tests, n, NULL, NULL);
}
