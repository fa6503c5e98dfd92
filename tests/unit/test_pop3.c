/* pop3 sessions: transcripts of what a client sends and must get, each played whole and octet by
 * octet. */
#define _GNU_SOURCE
#include "tests/unit/imap_harness.h"

#include <stdio.h>
#include <unistd.h>

#include "lib/text.h"
#include "server/pop3/delay.h"
#include "server/pop3/pop3.h"
#include "tests/unit/nowait_reads.h"

#define HELLO { "", "+OK Restante ready\r\n" }
#define LOGIN { "USER anna\r\nPASS secret\r\n", \
	"+OK Now the password\r\n+OK <*> messages (<*> octets)\r\n" }
#define BYE   { "QUIT\r\n", "+OK Goodbye\r\n" }
#define PLAIN "AGFubmEAc2VjcmV0"        /* NUL anna NUL secret */

#define PLAY(name, ...) \
	static void \
	name(void **state) \
	{ \
		static const struct imap_exchange x[] = { HELLO, __VA_ARGS__ }; \
		IMAP_SCRIPT_RAW(*state, x); \
	}

/* ---- before login ---- */

PLAY(test_quit_at_once, { "quit\r\nNOOP\r\n", "+OK Goodbye\r\n" })

PLAY(test_capa,
	{ "CAPA\r\n",
	  "+OK Capability list follows\r\nTOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n"
	  "PIPELINING\r\nUTF8 USER\r\nLANG\r\nEXPIRE NEVER\r\nUSER\r\n"
	  "SASL SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN<*>\r\nSTLS\r\n"
	  "IMPLEMENTATION Restante\r\n.\r\n" },
	LOGIN,
	{ "capa \r\n",
	  "+OK <*>USER\r\nSASL SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN<*>\r\nIMPLEMENTATION <*>\r\n.\r\n" },
	BYE)

PLAY(test_not_logged_in,
	{ "STAT\r\n", "-ERR Log in first\r\n" },
	{ "PASS secret\r\n", "-ERR USER comes first\r\n" },
	{ "USER\r\n", "-ERR USER needs a name\r\n" },
	{ "USER anna\r\nPASS\r\n", "+OK Now the password\r\n-ERR PASS needs a password\r\n" },
	{ "APOP anna x\r\n", "-ERR Unknown command\r\n" },
	{ "\r\n", "-ERR Unknown command\r\n" },
	BYE)

PLAY(test_login_failures,
	{ "USER nobody\r\nPASS x\r\n",
	  "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n" },
	{ "PASS secret\r\n", "-ERR USER comes first\r\n" },
	{ "USER anna\r\nPASS secret \r\n",
	  "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n" },
	{ "AUTH PLAIN AGFubmEAd3Jvbmc=\r\nNOOP\r\n", "-ERR [AUTH] Wrong name or password\r\n" })

PLAY(test_auth,
     { "AUTH \r\n",
       "+OK Mechanisms follow\r\nSCRAM-SHA-256\r\nSCRAM-SHA-1\r\nPLAIN\r\nLOGIN\r\n.\r\n" },
     { "AUTH FROB\r\n", "-ERR No such mechanism here\r\n" },
     { "AUTH PLAIN =\r\n", "-ERR The message does not follow the mechanism\r\n" },
     { "AUTH PLAIN =AAA\r\n", "-ERR The message does not follow the mechanism\r\n" },
     { "AUTH PLAIN " PLAIN " x\r\n", "-ERR The message does not follow the mechanism\r\n" },
     { "AUTH PLAIN\r\n", "+ \r\n" }, { "*\r\n", "-ERR Authentication cancelled\r\n" },
     { "AUTH PLAIN\r\n", "+ \r\n" },
     { "=\r\n", "-ERR The message does not follow the mechanism\r\n" },
     { "auth plain \r\n", "+ \r\n" },
     { PLAIN "\r\nAUTH PLAIN\r\n", "+OK <*> messages (<*> octets)\r\n-ERR Already logged in\r\n" },
     BYE)

PLAY(test_auth_initial,
	{ "AUTH PLAIN " PLAIN "\r\nNOOP\r\n", "+OK <*> octets)\r\n+OK Nothing done\r\n" })

/* What was said in clear does not count under TLS. */
PLAY(test_stls, { "USER anna\r\n", "+OK Now the password\r\n" },
     { "STLS now\r\n", "-ERR STLS takes no argument\r\n" }, { "STLS\r\n", "+OK Begin TLS now\r\n" },
     { "PASS secret\r\n", "-ERR USER comes first\r\n" },
     { "STLS\r\n", "-ERR TLS is already up, or no certificate is configured\r\n" },
     { "CAPA\r\n", "+OK <*>USER\r\nSASL SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN<*>\r\nIMPLEMENTATION "
                   "Restante\r\n.\r\n" },
     LOGIN, BYE)

static void
test_no_plaintext(void **state)
{
	static const struct imap_exchange x[] = {
		HELLO,
		{ "CAPA\r\n",
		  "+OK <*>EXPIRE NEVER\r\nS<*>TLS\r\nIMPLEMENTATION <*>\r\n.\r\n" },
		{ "USER anna\r\n", "-ERR Passwords are accepted under TLS only\r\n" },
		{ "AUTH PLAIN " PLAIN "\r\n", "-ERR Passwords are accepted under TLS only\r\n" },
	};

	imap_world_next_stream(*state, false, false, true);
	IMAP_SCRIPT_RAW(*state, x);
	imap_world_next_stream(*state, false, true, true);
}

PLAY(test_http,
	{ "POST / HTTP/1.1\r\nUSER anna\r\n", "-ERR This is POP3\r\n" },
	{ "PASS secret\r\n", "" })

static void
test_tls_on_the_plain_port(void **state)
{
	static const uint8_t hello[] = "\x16\x03\x01\x00\n";
	struct session *s = imap_connect(*state);

	imap_send(s, slice_of(hello, sizeof hello - 1));
	assert_true(imap_is_closed(s));
	imap_disconnect(&s);
}

static void
test_nul(void **state)
{
	static const uint8_t line[] = "US\0ER anna\r\n";
	struct session *s = imap_connect(*state);

	imap_forget(s);
	imap_send(s, slice_of(line, sizeof line - 1));
	assert_true(slice_eq(imap_received(s), SLICE("-ERR NUL is not allowed in a command\r\n")));
	imap_disconnect(&s);
}

static void
test_login_timeout(void **state)
{
	static const struct imap_exchange early[] = { HELLO, { "CAPA\r\n", "+OK <*>" } };
	static const struct imap_exchange late[] = { { "CAPA\r\n", "" } };
	static const struct imap_exchange in[] = { HELLO, LOGIN };
	static const struct imap_exchange stays[] = { { "NOOP\r\n", "+OK Nothing done\r\n" } };
	struct session *s = imap_connect(*state), *t = imap_connect(*state);

	imap_play(s, early, 2, false);
	imap_play(t, in, 2, false);
	imap_world_conf(*state)->limits.auth_timeout = 0;
	usleep(5000);
	imap_play(s, late, 1, false);
	assert_true(imap_is_closed(s));
	imap_play(t, stays, 1, false);
	imap_world_conf(*state)->limits.auth_timeout = 120;
	imap_disconnect(&s);
	imap_disconnect(&t);
}

/* Protocol errors end a session when nothing else comes between. */
static void
test_bad_commands(void **state)
{
	struct session *s = imap_connect(*state);

	for (int i = 0; i < 100; i++)
		imap_send(s, SLICE("FROB\r\nCAPA\r\n"));
	assert_false(imap_is_closed(s));
	for (int i = 0; i < 19; i++)
		imap_send(s, SLICE("FROB\r\n"));
	assert_false(imap_is_closed(s));
	imap_send(s, SLICE("FROB\r\n"));
	assert_true(imap_is_closed(s));
	imap_disconnect(&s);
}

/* ---- long lines: the same answer wherever they are cut ---- */

static void
play_length(struct imap_world *w, const char *before, size_t octets, size_t cut, const char *expect)
{
	struct session *s = imap_connect(w);
	struct buf line;

	buf_init(&line, 1u << 20);
	for (size_t i = 0; i < octets - 2; i++)
		buf_append_byte(&line, 'A');
	buf_append_str(&line, "\r\nQUIT\r\n");
	imap_send(s, slice_str(before));
	imap_forget(s);
	imap_send(s, slice_sub(buf_slice(&line), 0, cut));
	imap_send(s, slice_sub(buf_slice(&line), cut, line.len));
	if (!slice_eq(imap_received(s), slice_str(expect)))
		fail_msg("%zu octets cut at %zu: %.*s", octets, cut, SLICE_ARG(imap_received(s)));
	buf_fini(&line);
	imap_disconnect(&s);
}

static void
test_line_lengths(void **state)
{
	static const struct {
		const char *name, *before;
		size_t octets;
		const char *expect;
	} rows[] = {
		{ "longest", "USER anna\r\nPASS secret\r\n", 255,
		  "-ERR Unknown command\r\n+OK Goodbye\r\n" },
		{ "too long", "USER anna\r\nPASS secret\r\n", 256,
		  "-ERR The line is too long\r\n+OK Goodbye\r\n" },
		{ "longest before login", "", 12544, "-ERR Unknown command\r\n+OK Goodbye\r\n" },
		{ "too long before login", "", 12545,
		  "-ERR The line is too long\r\n+OK Goodbye\r\n" },
		{ "far too long", "", 300000, "-ERR The line is too long\r\n+OK Goodbye\r\n" },
		{ "longer than SASL", "AUTH PLAIN\r\n", 6002,
		  "-ERR The message does not follow the mechanism\r\n+OK Goodbye\r\n" },
		{ "ends the exchange", "AUTH PLAIN\r\n", 20000,
		  "-ERR The line is too long\r\n+OK Goodbye\r\n" },
	};

	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		size_t n = rows[i].octets, cuts[] = { 0, 1, 254, n - 2, n - 1, n, n + 1, n + 6 };

		for (size_t k = 0; k < UNIT_COUNT(cuts); k++)
			play_length(*state, rows[i].before, n, cuts[k], rows[i].expect);
	}
}

/* ---- the maildrop ---- */

static int
setup(void **state)
{
	static const char *const mail[] = {
		"A: b\r\n\r\n.x\r\n..\r\nlast\r\n",
		"only a head",
		"A: b\r\n\r\n",
		"\r\n.",
	};
	int failed = imap_world_setup(state);

	imap_world_speak(*state, &pop3_protocol);
	for (size_t i = 0; failed == 0 && i < UNIT_COUNT(mail); i++)
		(void)imap_world_deliver(*state, "INBOX", mail[i]);
	return failed;
}

PLAY(test_listings,
	LOGIN,
	{ "STAT\r\n", "+OK 4 44\r\n" },
	{ "LIST\r\n", "+OK 4 messages (44 octets)\r\n1 22\r\n2 11\r\n3 8\r\n4 3\r\n.\r\n" },
	{ "LIST 2 \r\n", "+OK 2 11\r\n" },
	{ "UIDL  3\r\n", "+OK 3 <*>00000003\r\n" },
	{ "UIDL\r\n",
	  "+OK 4 messages (44 octets)\r\n1 <*>\r\n2 <*>\r\n3 <*>\r\n4 <*>00000004\r\n.\r\n" },
	{ "LIST 5\r\n", "-ERR No such message, there are 4\r\n" },
	{ "DELE 2\r\nDELE 2\r\n",
	  "+OK Marked to be deleted\r\n-ERR Message 2 is marked to be deleted\r\n" },
	{ "STAT\r\nLIST\r\n",
	  "+OK 3 33\r\n+OK 3 messages (33 octets)\r\n1 22\r\n3 8\r\n4 3\r\n.\r\n" },
	{ "RSET\r\nSTAT\r\nQUIT\r\n",
	  "+OK Nothing is marked any more\r\n+OK 4 44\r\n+OK Goodbye\r\n" })

PLAY(test_retr_and_top,
	LOGIN,
	{ "RETR 1\r\n", "+OK 22 octets\r\nA: b\r\n\r\n..x\r\n...\r\nlast\r\n.\r\n" },
	{ "RETR 2\r\n", "+OK 11 octets\r\nonly a head\r\n.\r\n" },
	{ "RETR 4\r\n", "+OK 3 octets\r\n\r\n..\r\n.\r\n" },
	{ "TOP 1 0\r\n", "+OK 22 octets\r\nA: b\r\n\r\n.\r\n" },
	{ "TOP 1  2\r\n", "+OK 22 octets\r\nA: b\r\n\r\n..x\r\n...\r\n.\r\n" },
	{ "TOP 1 4294967295\r\n", "+OK 22 octets\r\nA: b\r\n\r\n..x\r\n...\r\nlast\r\n.\r\n" },
	{ "TOP 2 0\r\n", "+OK 11 octets\r\nonly a head\r\n.\r\n" },
	{ "TOP 3 1\r\n", "+OK 8 octets\r\nA: b\r\n\r\n.\r\n" },
	{ "TOP 4 0\r\nTOP 4 1\r\n", "+OK 3 octets\r\n\r\n.\r\n+OK 3 octets\r\n\r\n..\r\n.\r\n" },
	{ "TOP 1\r\nTOP 1 -1\r\nRETR\r\nRETR 1 2\r\n",
	  "-ERR TOP needs a message number and a number of lines\r\n"
	  "-ERR TOP needs a message number and a number of lines\r\n"
	  "-ERR RETR needs a message number\r\n-ERR A message number is expected\r\n" },
	BYE)

/* Messages behind the one that was asked for are read before they are, told as they are then asked for, and given back. */
static void
test_ahead(void **state)
{
	static const struct imap_exchange begin[] = { HELLO, LOGIN,
		{ "RETR 1\r\n", "+OK 22 octets\r\nA: b\r\n\r\n..x\r\n...\r\nlast\r\n.\r\n" } };
	static const struct imap_exchange more[] = {
		{ "DELE 2\r\nRETR 2\r\n",
		  "+OK Marked to be deleted\r\n-ERR Message 2 is marked to be deleted\r\n" },
		{ "RETR 3\r\nRETR 3\r\n",
		  "+OK 8 octets\r\nA: b\r\n\r\n.\r\n+OK 8 octets\r\nA: b\r\n\r\n.\r\n" },
		{ "RSET\r\nRETR 2\r\n",
		  "+OK Nothing is marked any more\r\n+OK 11 octets\r\nonly a head\r\n.\r\n" },
		{ "RETR 4\r\nRETR 4\r\n",
		  "+OK 3 octets\r\n\r\n..\r\n.\r\n+OK 3 octets\r\n\r\n..\r\n.\r\n" },
	};
	static const struct imap_exchange rested[] = {
		{ "RETR 2\r\n", "+OK 11 octets\r\nonly a head\r\n.\r\n" }, BYE };
	struct session *s = imap_connect(*state);
	struct pop3 *p = imap_session_state(s);

	refuse_all = true;
	imap_play(s, begin, 3, false);
	assert_int_equal(p->ahead.count, 3);
	imap_play(s, more, 4, false);
	assert_int_equal(p->ahead.count, 0);
	imap_play(s, begin + 2, 1, false);
	assert_int_equal(p->ahead.count, 3);
	pop3_protocol.rest(p);
	assert_int_equal(p->ahead.count, 0);
	assert_null(p->ahead.bytes.ptr);
	imap_play(s, rested, 1, false);
	assert_int_equal(p->ahead.count, 2);
	imap_play(s, rested + 1, 1, false);
	imap_disconnect(&s);
	refuse_all = false;
}

/* What is in memory is told at once; whatever read is refused, the step says the same, once. */
static void
test_retr_refused(void **state)
{
	static const struct imap_exchange login[] = { HELLO, LOGIN };
	static const struct imap_exchange retr[] = {
		{ "RETR 1\r\n", "+OK 22 octets\r\nA: b\r\n\r\n..x\r\n...\r\nlast\r\n.\r\n" },
		{ "NOOP\r\nRETR 2\r\n", "+OK<*>\r\n+OK 11 octets\r\nonly a head\r\n.\r\n" },
		BYE };
	struct session *s;
	struct pop3 *p;
	unsigned at = 0, had;

	do {
		s = imap_connect(*state);
		p = imap_session_state(s);
		refuse_at = 0;
		imap_play(s, login, 2, false);
		reads = 0;
		refuse_at = ++at;
		assert_int_equal(imap_long_turns(s), 0);
		imap_play(s, retr, 1, false);
		assert_int_equal(imap_long_turns(s), 1);
		had = reads;
		assert_true(had > 0);
		assert_true((p->ahead.count > 0) == (had >= at));  /* the step reads on */
		imap_play(s, retr + 1, 2, false);
		imap_disconnect(&s);
	} while (had >= at);
	assert_true(at > 1);
	refuse_at = 0;
}

/* Lines and pieces (64 KiB each) end everywhere around each other. */
static void
test_pieces(void **state)
{
	static const struct imap_exchange hello[] = { HELLO }, login[] = { LOGIN };
	struct session *s;
	struct buf mail, want;

	for (size_t pad = 65525; pad <= 65537; pad++) {
		mail_uid uid;
		char cmd[64];

		buf_init(&mail, 1u << 20);
		buf_init(&want, 1u << 20);
		for (size_t i = 0; i < pad; i++)
			buf_append_byte(&mail, '.');
		buf_append_str(&mail, "\r\n.y\r\n\r\n");
		buf_printf(&want, "+OK %zu octets\r\n.", mail.len);
		buf_append(&want, mail.ptr, pad);
		buf_append_str(&want, "\r\n..y\r\n\r\n.\r\n");
		buf_append_byte(&mail, 0);
		uid = imap_world_deliver(*state, "INBOX", (const char *)mail.ptr);
		s = imap_connect(*state);
		imap_play(s, hello, 1, false);
		imap_play(s, login, 1, false);
		snprintf(cmd, sizeof cmd, "RETR %u\r\n", uid);
		imap_send(s, slice_str(cmd));
		assert_true(slice_eq(imap_received(s), buf_slice(&want)));
		imap_forget(s);
		snprintf(cmd, sizeof cmd, "TOP %u 0\r\n", uid);
		imap_send(s, slice_str(cmd));
		assert_true(slice_eq(imap_received(s), buf_slice(&want)));
		imap_disconnect(&s);
		buf_fini(&mail);
		buf_fini(&want);
	}
}

/* ---- languages, the delay between logins ---- */

/* The conversions of a format, one behind the other. */
static void
conversions(const char *fmt, char *out, size_t size)
{
	size_t n = 0;

	for (const char *c = fmt; *c != '\0'; c++) {
		if (*c != '%')
			continue;
		for (; n + 1 < size && strchr("%lu", *c) != NULL && *c != '\0'; c++)
			out[n++] = *c;
		c--;
	}
	out[n] = '\0';
}

/* What is said in one language can be said in all, with the same arguments, within a line
 * [RFC 2449 s3]. */
static void
test_texts(void **state)
{
	size_t languages = 0, rows = 0, code_len;

	(void)state;
	while (pop3_languages[languages].tag != NULL)
		languages++;
	assert_int_equal(languages, 3);
	for (; pop3_text_row(rows, 0) != NULL; rows++) {
		char english[64], other[64];

		conversions(pop3_text_row(rows, 0), english, sizeof english);
		for (size_t l = 0; l < languages; l++) {
			const char *text = pop3_text_row(rows, l);

			assert_true(text_utf8_valid(slice_str(text)));
			assert_true(strlen(text) > 0 && strlen(text) < 350 &&
			            strpbrk(text, "[\r\n") == NULL);
			conversions(text, other, sizeof other);
			assert_string_equal(other, english);
			assert_ptr_equal(pop3_text(&pop3_languages[l], pop3_text_row(rows, 0),
			                           &code_len),
			                 text);
			assert_int_equal(code_len, 0);
		}
	}
	assert_true(rows > 50);
	assert_string_equal(pop3_text(&pop3_languages[1], "[AUTH] Goodbye", &code_len),
	                    "Auf Wiedersehen");
	assert_int_equal(code_len, 7);
	assert_string_equal(pop3_text(&pop3_languages[1], "not there", &code_len), "not there");
}

static void
test_language_ranges(void **state)
{
	static const struct {
		const char *range, *tag;
	} rows[] = { { "en", "en" }, { "DE", "de" }, { "de-AT", "de" }, { "ja-JP-x-y", "ja" },
	             { "d", NULL }, { "deu", NULL },
		{ "", NULL }, { "-", NULL }, { "de--", "de" }, { "mul", NULL } };

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(rows); i++) {
		const struct pop3_language *l = pop3_language_find(slice_str(rows[i].range));

		if (rows[i].tag == NULL)
			assert_null(l);
		else
			assert_string_equal(l->tag, rows[i].tag);
	}
}

static void
test_delay_table(void **state)
{
	const struct volume *v = imap_world_volume(*state);
	uint64_t now = 1000000;

	assert_true(pop3_delay_pass(v, 7, 0, now));             /* no delay is configured */
	assert_true(pop3_delay_pass(v, 7, 60, now));
	/* refused ones do not count as logins */
	assert_false(pop3_delay_pass(v, 7, 60, now + 59999));
	assert_true(pop3_delay_pass(v, 8, 60, now + 59999));
	assert_true(pop3_delay_pass(v, 7, 60, now + 60000));
	assert_false(pop3_delay_pass(v, 7, 60, now + 60001));
	for (account_id id = 100; id < 100 + 4 * POP3_DELAY_ACCOUNTS; id++)
		assert_true(pop3_delay_pass(v, id, 60, now + 60002 + id / 1000));
	for (account_id id = 100 + 3 * POP3_DELAY_ACCOUNTS; id < 100 + 4 * POP3_DELAY_ACCOUNTS;
	     id++)
		assert_false(pop3_delay_pass(v, id, 60, now + 61000));
	assert_true(pop3_delay_pass(v, 7, 60, now + 61000));    /* forgotten among so many */
}

static void
test_login_delay(void **state)
{
	static const struct imap_exchange first[] = { HELLO,
	                                              { "CAPA\r\n",
	                                                "+OK<*>LOGIN-DELAY 3600\r\n<*>" }, LOGIN };
	static const struct imap_exchange again[] = {
		HELLO,
		{ "USER anna\r\nPASS secret\r\n", "+OK Now the password\r\n-ERR [LOGIN-DELAY] <*>\r\n" },
		{ "AUTH PLAIN " PLAIN "\r\nSTAT\r\n", "-ERR [LOGIN-DELAY] <*>\r\n-ERR Log in first\r\n" },
		{ "USER anna\r\nPASS wrong\r\n", "+OK Now the password\r\n-ERR [AUTH] Wrong name or password\r\n" },
	}, free[] = { LOGIN, BYE };
	struct session *a, *b;

	imap_world_conf(*state)->pop3.login_delay = 3600;
	a = imap_connect(*state);
	b = imap_connect(*state);
	imap_play(a, first, 3, false);
	imap_play(b, again, 4, false);
	imap_world_conf(*state)->pop3.login_delay = 0;
	imap_play(b, free, 2, false);
	imap_disconnect(&a);
	imap_disconnect(&b);
}

/* Two sessions delete; each sees its snapshot until its end. Runs last: it empties the maildrop. */
static void
test_two_sessions(void **state)
{
	static const struct imap_exchange both[] = { HELLO, LOGIN }, deletes[] = {
		{ "DELE 1\r\nDELE 2\r\n", "+OK <*>\r\n+OK <*>\r\n" },
		{ "QUIT\r\n", "+OK 2 messages deleted, goodbye\r\n" },
	};
	static const struct imap_exchange still[] = {
		{ "RETR 1\r\n", "+OK 22 octets\r\nA: b\r\n<*>.\r\n" },
		{ "DELE 2\r\nDELE 3\r\nQUIT\r\n",
		  "+OK <*>\r\n+OK <*>\r\n+OK 2 messages deleted, goodbye\r\n" },
	};
	static const struct imap_exchange left[] = { HELLO, LOGIN,
		{ "RETR 1\r\n", "+OK 3 octets\r\n\r\n..\r\n.\r\n" } };
	struct session *a = imap_connect(*state), *b = imap_connect(*state);
	struct session *c = imap_connect(*state), *d;

	imap_play(a, both, 2, false);
	imap_play(b, both, 2, false);
	imap_play(c, both, 2, false);
	imap_send(c, SLICE("DELE 4\r\n"));
	imap_disconnect(&c);            /* without QUIT: nothing goes */
	imap_play(a, deletes, 2, false);
	assert_true(imap_is_closed(a));
	imap_play(b, still, 2, true);
	d = imap_connect(*state);
	imap_play(d, left, 3, false);
	imap_disconnect(&a);
	imap_disconnect(&b);
	imap_disconnect(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_quit_at_once),
		cmocka_unit_test(test_capa),
		cmocka_unit_test(test_not_logged_in),
		cmocka_unit_test(test_login_failures),
		cmocka_unit_test(test_auth),
		cmocka_unit_test(test_auth_initial),
		cmocka_unit_test(test_stls),
		cmocka_unit_test(test_no_plaintext),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_tls_on_the_plain_port),
		cmocka_unit_test(test_nul),
		cmocka_unit_test(test_login_timeout),
		cmocka_unit_test(test_bad_commands),
		cmocka_unit_test(test_line_lengths),
		cmocka_unit_test(test_listings),
		cmocka_unit_test(test_retr_and_top),
		cmocka_unit_test(test_ahead),
		cmocka_unit_test(test_retr_refused),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_texts),
		cmocka_unit_test(test_language_ranges),
		cmocka_unit_test(test_delay_table),
		cmocka_unit_test(test_login_delay),
		cmocka_unit_test(test_two_sessions),
	};

	return cmocka_run_group_tests_name("pop3", tests, setup, imap_world_teardown);
}
