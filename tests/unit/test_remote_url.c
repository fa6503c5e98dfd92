/* remote_url: what RFC 5092 and RFC 2384 allow, what we add, and what is refused. */
#include "tests/unit/unit.h"

#include <stdio.h>

#include "tools/remote_url.h"

static const struct url_case {
	const char *name;
	const char *in;
	const char *want;       /* "protocol tls user auth host port mailbox uidvalidity", or
	                         * part of the error */
	bool        local;
} cases[] = {
	{ "imap", "imap://anna@imap.example.org", "imap clear anna - imap.example.org 143 - 0", false },
	{ "imaps", "imaps://anna@imap.example.org/", "imap tls anna - imap.example.org 993 - 0", false },
	{ "pop", "pop://anna@example.org", "pop clear anna - example.org 110 - 0", false },
	{ "pops", "pops://anna@example.org:10995", "pop tls anna - example.org 10995 - 0", false },
	{ "curl's words", "POP3S://anna@example.org", "pop tls anna - example.org 995 - 0", false },
	{ "no user", "imap://example.org", "imap clear - - example.org 143 - 0", false },
	{ "RFC 5092 mailbox", "imap://minbari.example.org/gray-council;UIDVALIDITY=385759045",
	  "imap clear - - minbari.example.org 143 gray-council 385759045", false },
	{ "RFC 5092 user with AUTH", "imap://john;AUTH=*@minbari.example.org/babylon5/personel",
	  "imap clear john - minbari.example.org 143 babylon5/personel 0", false },
	{ "mechanism", "imap://;AUTH=scram-sha-256@example.org", "imap clear - SCRAM-SHA-256 example.org 143 - 0", false },
	{ "RFC 2384 auth", "pop://rg;AUTH=plain@mailsrv.example.org:8110", "pop clear rg PLAIN mailsrv.example.org 8110 - 0",
	  false },
	{ "encoded", "imap://a%40b%3ac@h/%E5%8F%B0/%e6%97%a5%20x", "imap clear a@b:c - h 143 \xe5\x8f\xb0/\xe6\x97\xa5 x 0",
	  false },
	{ "address as user", "imap://anna@example.org@imap.example.org", "imap clear anna@example.org - imap.example.org 143 - 0",
	  false },
	{ "IPv4", "imap://127.0.0.1:1143", "imap clear - - 127.0.0.1 1143 - 0", true },
	{ "IPv4 elsewhere", "imap://192.0.2.127", "imap clear - - 192.0.2.127 143 - 0", false },
	{ "IPv6", "imaps://a@[::1]:1993/INBOX", "imap tls a - ::1 1993 INBOX 0", true },
	{ "IPv6 elsewhere", "imaps://a@[2001:db8::1]", "imap tls a - 2001:db8::1 993 - 0", false },
	{ "localhost", "pop://LocalHost", "pop clear - - LocalHost 110 - 0", true },
	{ "no number behind the colon", "imap://h:/", "imap clear - - h 143 - 0", false },
	{ "socket", "imap://anna@%2Frun%2fimap.sock/INBOX", "imap clear anna - /run/imap.sock 0 INBOX 0", true },
	{ "semicolon in a mailbox", "imap://h/a%3Bb", "imap clear - - h 143 a;b 0", false },

	{ "not ours", "https://example.org/", "must begin with", false },
	{ "a path", "/var/mail/anna", "must begin with", false },
	{ "empty", "", "must begin with", false },
	{ "password", "imap://anna:secret@example.org", "no password", false },
	{ "password, address as user", "imap://anna@example.org:secret@example.org", "no password", false },
	{ "no host", "imap://anna@/INBOX", "no host", false },
	{ "no host at all", "imap://", "no host", false },
	{ "port 0", "imap://h:0", "port", false },
	{ "port too large", "imap://h:65536", "port", false },
	{ "port with sign", "imap://h:+1", "port", false },
	{ "broken IPv6", "imap://[::1", "IPv6", false },
	{ "no IPv6", "imap://[h]", "IPv6", false },
	{ "text behind IPv6", "imap://[::1]x", "only a port", false },
	{ "host with a space", "imap://a b", "a host is", false },
	{ "host beyond ASCII", "imap://b\xc3\xbc" "cher.example", "xn--", false },
	{ "socket and TLS", "imaps://%2Frun%2fimap.sock", "no TLS", false },
	{ "socket and port", "imap://%2Frun%2fimap.sock:143", "no port", false },
	{ "APOP", "pop://a;AUTH=+APOP@h", "may be *", false },
	{ "empty mechanism", "imap://a;AUTH=@h", "only ;AUTH=", false },
	{ "other parameter", "imap://a;TLS=yes@h", "only ;AUTH=", false },
	{ "message", "imap://h/INBOX/;UID=20", "messages cannot", false },
	{ "search", "imap://h/INBOX?UNSEEN", "searches", false },
	{ "parameter of a mailbox", "imap://h/INBOX;UID=20", "UIDVALIDITY", false },
	{ "UIDVALIDITY 0", "imap://h/INBOX;UIDVALIDITY=0", "UIDVALIDITY", false },
	{ "UIDVALIDITY too large", "imap://h/INBOX;UIDVALIDITY=4294967296", "UIDVALIDITY", false },
	{ "path of POP", "pop://h/INBOX", "one maildrop", false },
	{ "percent at the end", "imap://h/a%", "hexadecimal", false },
	{ "percent and one digit", "imap://h/a%4", "hexadecimal", false },
	{ "percent and no digits", "imap://h/a%zz", "hexadecimal", false },
	{ "NUL", "imap://h/a%00b", "control character", false },
	{ "line end", "imap://a%0d%0ab@h/", "control character", false },
	{ "not UTF-8", "imap://h/%ff", "UTF-8", false },
};

static void
render(const struct remote_url *u, char *dst, size_t size)
{
	snprintf(dst, size, "%s %s %s %s %s %u %s %u", u->protocol == REMOTE_IMAP ? "imap" : "pop",
	    u->tls ? "tls" : "clear", u->user[0] != '\0' ? u->user : "-",
	    u->auth[0] != '\0' ? u->auth : "-", u->host, u->port,
	    u->mailbox[0] != '\0' ? u->mailbox : "-", u->uidvalidity);
}

static void
test_url(void **state)
{
	const struct url_case *k = *state;
	struct slice in = unit_copy(slice_str(k->in));
	struct remote_url url;
	struct err e = ERR_INIT;
	char text[3000];

	if (remote_url_parse(in, &url, &e) == RC_OK) {
		render(&url, text, sizeof text);
		assert_string_equal(text, k->want);
		assert_int_equal(remote_url_is_local(&url), k->local);
		assert_true(remote_url_is(in));
	} else {
		assert_int_equal(e.code, RC_SYNTAX);
		if (strstr(e.text, k->want) == NULL)
			fail_msg("error: %s", e.text);
		assert_null(strstr(e.text, "secret"));
	}
	unit_drop(in);
	for (size_t cut = 0; k->in[cut] != '\0'; cut++) {
		struct slice prefix = unit_copy(slice_of(k->in, cut));

		if (remote_url_parse(prefix, &url, &e) != RC_OK)
			assert_int_equal(e.code, RC_SYNTAX);
		unit_drop(prefix);
	}
}

/* A part of any length. */
static void
test_long(void **state)
{
	static const char *const forms[] = { "imap://%s@h/", "imap://a;AUTH=%s@h", "imap://%s/",
	                                     "imap://h/%s", "imap://h:%s" };
	char part[5001], text[6000];
	struct remote_url url;
	struct err e = ERR_INIT;

	(void)state;
	memset(part, '1', sizeof part - 1);
	part[sizeof part - 1] = '\0';
	for (size_t i = 0; i < UNIT_COUNT(forms); i++) {
		size_t n = strcspn(forms[i], "%");

		snprintf(text, sizeof text, "%.*s%s%s", (int)n, forms[i], part, forms[i] + n + 2);
		assert_int_equal(remote_url_parse(slice_str(text), &url, &e), RC_SYNTAX);
	}
}

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(cases) + 1];
	size_t n = 0;

	for (; n < UNIT_COUNT(cases); n++)
		tests[n] = (struct CMUnitTest){ cases[n].name, test_url, NULL, NULL,
		                                (void *)(uintptr_t)&cases[n] };
	tests[n++] = (struct CMUnitTest)cmocka_unit_test(test_long);
	return _cmocka_run_group_tests("remote_url", tests, n, NULL, NULL);
}
