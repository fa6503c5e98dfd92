/* LMTP sessions: who may deliver, who may say for whom, AUTH, each script whole and
 * octet by octet. */
#include "tests/unit/imap_harness.h"

#include "server/session.h"

#define HELLO { "", "220 <*> LMTP Restante\r\n" }, { "LHLO mta.example\r\n", "250-<*>250 SIZE 1048576\r\n" }

/* base64 of \0anna\0secret, of \0anna\0wrong */
#define GOOD "AGFubmEAc2VjcmV0"
#define BAD  "AGFubmEAd3Jvbmc="

static const char *const both[] = { "anna", "boris" };
static const char *const other[] = { "boris" };
static const char *const names[] = { "mx.example" };
static const struct network net = { { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 0 },
                                    120 };

static int
setup(void **state)
{
	int failed = imap_world_setup(state);

	imap_world_speak(*state, &lmtp_protocol);
	imap_world_conf(*state)->limits.max_recipients = 100;
	return failed;
}

#define PLAY(world, ...) \
	do { \
		static const struct imap_exchange script[] = { HELLO, __VA_ARGS__ }; \
		IMAP_SCRIPT_RAW(world, script); \
	} while (0)

#define REFUSED \
	{ "MAIL FROM:<a@b.example>\r\n", "530 5.7.0 Authentication required\r\n" }, \
	{ "RCPT TO:<anna>\r\n", "503 5.5.1 MAIL was refused\r\n" }, \
	{ "DATA\r\n", "503 5.5.1 MAIL was refused\r\n" }, \
	{ "BDAT 4\r\nQUIT", "503 5.5.1 MAIL was refused\r\n" }, \
	{ "BDAT 4 LAST\r\nQUIT", "" }, \
	{ "NOOP\r\n", "250 2.0.0 OK\r\n" }

#define TAKEN { "MAIL FROM:<a@b.example>\r\nRCPT TO:<anna>\r\n", "250 2.1.0 Sender ok\r\n250 2.1.5 Recipient ok\r\n" }

static void
test_who_may_deliver(void **state)
{
	struct imap_world *w = *state;
	struct conf *conf = imap_world_conf(w);

	PLAY(w, TAKEN);
	imap_world_next_peer(w, "::1", "");
	PLAY(w, TAKEN);
	imap_world_next_peer(w, "unix", "");
	PLAY(w, TAKEN);
	imap_world_next_peer(w, "192.0.2.7", "");
	PLAY(w, REFUSED);
	conf->lmtp.networks = (struct conf_networks){ &net, 1 };
	PLAY(w, TAKEN);
	imap_world_next_peer(w, "192.0.3.7", "");
	PLAY(w, REFUSED);
	imap_world_next_peer(w, "192.0.3.7", "MX.example");
	PLAY(w, REFUSED);
	conf->lmtp.certificate_names = (struct conf_list){ names, 1 };
	PLAY(w, TAKEN);
	imap_world_next_peer(w, "192.0.3.7", "mx.example.evil");
	PLAY(w, REFUSED);
}

static void
test_auth(void **state)
{
	struct imap_world *w = *state;
	struct conf *conf = imap_world_conf(w);

	imap_world_next_peer(w, "198.51.100.1", "");
	PLAY(w, { "AUTH PLAIN " GOOD "\r\n", "502 5.5.1 AUTH is not offered here\r\n" }, REFUSED);
	conf->lmtp.auth_accounts = (struct conf_list){ other, 1 };
	PLAY(w, { "AUTH PLAIN " GOOD "\r\n", "535 5.7.8 The account may not deliver\r\n" },
	     REFUSED);
	conf->lmtp.auth_accounts = (struct conf_list){ both, 2 };
	PLAY(w, { "LHLO x\r\n", "250-<*>250-AUTH <*>PLAIN<*>\r\n250 SIZE 1048576\r\n" },
	     { "AUTH PLAIN " BAD "\r\n", "535 5.7.8 Authentication failed\r\n" }, REFUSED,
	     { "AUTH PLAIN " GOOD "\r\n", "235 2.7.0 Authenticated\r\n" },
	     { "AUTH PLAIN " GOOD "\r\n", "503 5.5.1 Authenticated already\r\n" }, TAKEN,
	     { "RSET\r\n", "250 2.0.0 Forgotten\r\n" });
	PLAY(w, { "AUTH PLAIN\r\n", "334 \r\n" }, { GOOD "\r\n", "235 2.7.0 Authenticated\r\n" },
	     TAKEN);
	PLAY(w, { "AUTH PLAIN\r\n", "334 \r\n" },
	     { "*\r\n", "501 5.7.0 Authentication cancelled\r\n" },
	     { "AUTH PLAIN\r\n", "334 \r\n" }, { "NOOP\r\n", "50<*>\r\n" },
	     { "AUTH PLAIN\r\n", "334 \r\n" }, { "!\r\n", "501 5.5.2 <*>\r\n" },
	     { "AUTH PLAIN =====\r\n", "501 5.5.2 <*>\r\n" },
	     { "AUTH CRAM-MD5\r\n", "504 5.5.4 No such mechanism here\r\n" },
	     { "AUTH\r\n", "501 5.5.4 Syntax: AUTH <*>\r\n" }, REFUSED);
	PLAY(w, { "AUTH PLAIN " BAD "\r\n", "535 5.7.8 <*>\r\n" },
	     { "AUTH PLAIN " BAD "\r\n", "535 5.7.8 <*>\r\n" },
	     { "AUTH PLAIN " BAD "\r\nNOOP\r\n", "421 4.7.0 Too many failed logins\r\n" });
	imap_world_next_stream(w, false, false, true);
	PLAY(w,
	     { "AUTH PLAIN " GOOD "\r\n", "504 5.5.4 Passwords are accepted under TLS only\r\n" },
	     REFUSED);
}

/* RFC 4954 s4: not within a transaction; a line that is too long ends the exchange, and what is
 * left of it is no command. */
static void
test_auth_out_of_place(void **state)
{
	static char line[20000];
	struct imap_world *w = *state;
	struct session *s;

	imap_world_conf(w)->lmtp.auth_accounts = (struct conf_list){ both, 2 };
	PLAY(w, TAKEN, { "AUTH PLAIN " GOOD "\r\n", "503 5.5.1 No AUTH within a transaction\r\n" });
	s = imap_connect(w);
	imap_send(s, SLICE("AUTH PLAIN\r\n"));
	imap_forget(s);
	imap_send(s, SLICE("LHLO x\r\nAUTH PLAIN\r\n"));
	imap_forget(s);
	memset(line, 'A', sizeof line);
	imap_send(s, slice_of(line, sizeof line));
	imap_send(s, SLICE("\nQUIT\n\r\nNOOP\r\n"));
	assert_true(slice_eq(imap_received(s),
	    SLICE("500 5.5.6 Line too long (limit 16384 octets)\r\n250 2.0.0 OK\r\n")));
	imap_disconnect(&s);
}

/* TLS begins anew [RFC 3207 s4.2]: what was said before it, a login too, is forgotten. */
static void
test_starttls_forgets(void **state)
{
	struct imap_world *w = *state;

	imap_world_conf(w)->lmtp.auth_accounts = (struct conf_list){ both, 2 };
	imap_world_next_peer(w, "198.51.100.1", "");
	PLAY(w, { "AUTH PLAIN " GOOD "\r\n", "235 2.7.0 Authenticated\r\n" },
	     { "STARTTLS\r\n", "220 2.0.0 Begin TLS\r\n" },
	     { "MAIL FROM:<a@b.example>\r\n", "503 5.5.1 LHLO first\r\n" },
	     { "LHLO x\r\n", "250-<*>\r\n250 SIZE 1048576\r\n" }, REFUSED);
	PLAY(w, { "AUTH PLAIN\r\n", "334 \r\n" }, { "STARTTLS\r\n", "501 5.5.2 <*>\r\n" });
}

static void
test_forward(void **state)
{
	struct imap_world *w = *state;
	struct conf *conf = imap_world_conf(w);

	PLAY(w,
	     { "XFORWARD ADDR=192.0.2.1\r\n",
	       "550 5.7.0 Not from here ([lmtp] trusted_networks)\r\n" },
	     { "XCLIENT ADDR=192.0.2.1\r\n",
	       "550 5.7.0 Not from here ([lmtp] trusted_networks)\r\n" });
	conf->lmtp.trusted_networks = (struct conf_networks){ &net, 1 };
	imap_world_next_peer(w, "192.0.2.9", "");
	PLAY(w,
	     { "LHLO x\r\n",
	       "250-<*>250-XCLIENT NAME <*>\r\n250-XFORWARD NAME <*>\r\n250 SIZE 1048576\r\n" },
	     { "XFORWARD NAME=mx.example ADDR=IPV6:2001:db8::1 PORT=25\r\n", "250 2.0.0 OK\r\n" },
	     { "XFORWARD IDENT=4Wq+2B1 SOURCE=REMOTE PROTO=ESMTP HELO=[UNAVAILABLE]\r\n",
	       "250 2.0.0 OK\r\n" },
	     { "XFORWARD\r\n", "501 5.5.4 Syntax: XFORWARD <*>\r\n" },
	     { "XFORWARD ADDR=host\r\n", "501 5.5.4 <*>\r\n" },
	     { "XFORWARD LOGIN=x\r\n", "501 5.5.4 <*>\r\n" },
	     { "XFORWARD NAME=a+0Ab\r\n", "501 5.5.4 <*>\r\n" },
	     { "XFORWARD PORT=65536\r\n", "501 5.5.4 <*>\r\n" },
	     { "XFORWARD NAME\r\n", "501 5.5.4 <*>\r\n" });
	/* It gives no right: who is connected may not deliver. */
	PLAY(w, { "XCLIENT ADDR=127.0.0.1 LOGIN=anna\r\n", "220 <*> LMTP Restante\r\n" },
	     { "MAIL FROM:<a@b.example>\r\n", "503 5.5.1 LHLO first\r\n" },
	     { "LHLO x\r\n", "250-<*>250 SIZE 1048576\r\n" }, REFUSED);
	imap_world_next_peer(w, "unix", "");
	PLAY(w, { "XFORWARD ADDR=192.0.2.1\r\n", "550 5.7.0 <*>\r\n" });
	conf->lmtp.trust_socket = true;
	PLAY(w, { "XFORWARD ADDR=192.0.2.1\r\n", "250 2.0.0 OK\r\n" }, TAKEN,
	     { "XFORWARD ADDR=192.0.2.1\r\n", "503 5.5.1 Not within a transaction\r\n" },
	     { "XCLIENT ADDR=192.0.2.1\r\n", "503 5.5.1 Not within a transaction\r\n" });
}

/* A locked account is refused, for good or for now; in an alias of several it is passed over. */
static void
test_locked(void **state)
{
	struct imap_world *w = *state;
	struct change *c = change_new(CHANGE_ACCOUNT_FLAGS);

	assert_non_null(c);
	c->u.account.id = imap_world_account(w);
	c->u.account.flags_set = ACCOUNT_LOCKED;
	assert_int_equal(volume_submit_wait(imap_world_volume(w), c), RC_OK);
	change_free(&c);
	PLAY(w,
	     { "MAIL FROM:<a@b.example>\r\nRCPT TO:<anna>\r\n",
	       "250 2.1.0 Sender ok\r\n550 5.2.1 Mailbox disabled\r\n" },
	     { "DATA\r\n", "503 5.5.1 No valid recipients\r\n" });
	imap_world_conf(w)->lmtp.locked_reply = CONF_LOCKED_450;
	PLAY(w, { "MAIL FROM:<a@b.example>\r\nRCPT TO:<anna+x@c>\r\n",
	          "250 2.1.0 Sender ok\r\n450 4.2.1 Mailbox disabled for now\r\n" });
}

#define MAIL "Subject: tea\r\n\r\nAt five?\r\n.\r\n"

static unsigned
light_steps_of(struct imap_world *w, unsigned recipients, struct slice mail)
{
	struct session *s = imap_connect(w);
	unsigned n;

	imap_send(s, SLICE("LHLO x\r\nMAIL FROM:<>\r\n"));
	for (unsigned i = 0; i < recipients; i++)
		imap_send(s, SLICE("RCPT TO:<anna>\r\n"));
	imap_send(s, SLICE("DATA\r\n"));
	imap_forget(s);
	n = imap_light_steps(s);
	imap_send(s, mail);
	assert_true(slice_find(imap_received(s), SLICE("250 2.0.0 Delivered")) <
	            imap_received(s).len);
	n = imap_light_steps(s) - n;
	imap_disconnect(&s);
	return n;
}

/* On a reactor, with many others: a little mail for a few. */
static void
test_light(void **state)
{
	struct imap_world *w = *state;
	struct buf lines;

	buf_init(&lines, 65536);
	assert_true(buf_append_str(&lines, "Subject: tea\r\n\r\n"));
	for (int i = 0; i < 20000; i++)
		assert_true(buf_append_str(&lines, "\r\n"));
	assert_true(buf_append_str(&lines, ".\r\n"));
	assert_true(light_steps_of(w, 1, SLICE(MAIL)) > 0);
	assert_int_equal(light_steps_of(w, 90, SLICE(MAIL)), 0);
	assert_int_equal(light_steps_of(w, 1, buf_slice(&lines)), 0);
	buf_fini(&lines);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_may_deliver, setup, imap_world_teardown),
		cmocka_unit_test_setup_teardown(test_auth, setup, imap_world_teardown),
		cmocka_unit_test_setup_teardown(test_auth_out_of_place, setup, imap_world_teardown),
		cmocka_unit_test_setup_teardown(test_starttls_forgets, setup, imap_world_teardown),
		cmocka_unit_test_setup_teardown(test_locked, setup, imap_world_teardown),
		cmocka_unit_test_setup_teardown(test_forward, setup, imap_world_teardown),
		cmocka_unit_test_setup_teardown(test_light, setup, imap_world_teardown),
	};

	return cmocka_run_group_tests_name("lmtp_session", tests, NULL, NULL);
}
