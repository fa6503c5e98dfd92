/* imap sessions: transcripts of what a client sends and must get, each played whole and
 * octet by octet. */
#include "tests/unit/imap_harness.h"

#include <unistd.h>

#define MAIL "Subject: hi\r\n\r\nHello\r\n"

#define PLAY(name, ...) \
	static void \
	name(void **state) \
	{ \
		static const struct imap_exchange x[] = { __VA_ARGS__ }; \
		IMAP_SCRIPT(*state, x); \
	}

#define PLAY_RAW(name, ...) \
	static void \
	name(void **state) \
	{ \
		static const struct imap_exchange x[] = { __VA_ARGS__ }; \
		IMAP_SCRIPT_RAW(*state, x); \
	}

/* ---- before login ---- */

PLAY_RAW(test_greeting_and_logout,
         { "", "* OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE STARTTLS "
               "AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN AUTH=LOGIN<*>] Restante ready\r\n" },
         { "a NOOP\r\n", "a OK NOOP completed\r\n" },
         { "a CAPABILITY\r\n", "* CAPABILITY IMAP4rev1 <*>\r\na OK CAPABILITY completed\r\n" },
         { "a LOGOUT\r\n", "* BYE Logging out\r\na OK LOGOUT completed\r\n" }, { "a NOOP\r\n", "" })

PLAY_RAW(test_not_logged_in, { "", "<*>" },
         { "a SELECT INBOX\r\n", "a BAD SELECT: Log in first\r\n" },
         { "a APPEND INBOX {5}\r\n", "a BAD APPEND: Log in first\r\n" },
         { "a NOOP\r\n", "a OK NOOP completed\r\n" },
         { "a APPEND INBOX {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n",
           "a BAD APPEND: Log in first\r\nc OK NOOP completed\r\n" },
         { "a XYZZY\r\n", "a BAD Unknown command\r\n" })

PLAY_RAW(test_login_literals,
	{ "", "<*>" },
	{ "a LOGIN {4}\r\n", "+ Go on\r\n" },
	{ "anna {6+}\r\nsecret\r\n", "a OK [CAPABILITY IMAP4rev1 <*> UIDPLUS <*>] Logged in\r\n" },
	{ "b LOGIN anna secret\r\n", "b BAD LOGIN: Already logged in\r\n" })

PLAY_RAW(test_login_failures, { "", "<*>" },
         { "a LOGIN anna wrong\r\n", "a NO [AUTHENTICATIONFAILED] Wrong name or password\r\n" },
         { "b LOGIN nobody \"se\\\"cret\"\r\n",
           "b NO [AUTHENTICATIONFAILED] Wrong name or password\r\n" },
         { "c LOGIN anna\r\n", "c BAD LOGIN: expected one space\r\n" },
         { "d LOGIN anna secret extra\r\n", "d BAD LOGIN: expected end of command\r\n" },
         { "e LOGIN anna wrong\r\nf NOOP\r\n",
           "* BYE Too many failed logins\r\n"
           "e NO [AUTHENTICATIONFAILED] Wrong name or password\r\n" })

PLAY_RAW(test_authenticate, { "", "<*>" }, { "a AUTHENTICATE PLAIN\r\n", "+ \r\n" },
         { "*\r\n", "a BAD AUTHENTICATE cancelled\r\n" }, { "b AUTHENTICATE PLAIN\r\n", "+ \r\n" },
         { "not base64\r\n",
           "b BAD AUTHENTICATE: expected a message of the mechanism, in base64\r\n" },
         { "c AUTHENTICATE X-NONE\r\n", "c NO [CANNOT] Mechanism is not offered\r\n" },
         { "d AUTHENTICATE PLAIN AGFubmEAd3Jvbmc=\r\n",
           "d NO [AUTHENTICATIONFAILED] Wrong name or password\r\n" },
         { "e AUTHENTICATE PLAIN\r\nAGFubmEAc2VjcmV0\r\nf NOOP\r\n",
           "+ \r\ne OK [CAPABILITY <*>] Logged in\r\nf OK NOOP completed\r\n" })

PLAY_RAW(test_authenticate_initial,
	{ "", "<*>" },
	{ "a AUTHENTICATE PLAIN AGFubmEAc2VjcmV0\r\n", "a OK [CAPABILITY <*>] Logged in\r\n" })

PLAY_RAW(test_flawed_lines,
	{ "", "<*>" },
	{ "\r\n", "* BAD Expected a tag and a command\r\n" },
	{ "+ NOOP\r\n", "* BAD Expected a tag and a command\r\n" },
	{ "a\r\n", "* BAD Expected a tag and a command\r\n" },
	{ "a  NOOP\r\n", "a BAD Expected a command name\r\n" },
	{ "a NOOP\n", "a BAD Command holds NUL, or CR or LF that is no CRLF\r\n" },
	{ "a NO\rOP\r\n", "a BAD Command holds NUL, or CR or LF that is no CRLF\r\n" },
	{ "a NOOP \r\n", "a BAD NOOP: expected end of command\r\n" },
	{ "a UID\r\n", "a BAD Expected a command name\r\n" },
	{ "b NOOP\r\n", "b OK NOOP completed\r\n" })

PLAY_RAW(test_http,
	{ "", "<*>" },
	{ "POST / HTTP/1.1\r\na LOGIN anna secret\r\n",
	  "* BAD Expected a tag and a command\r\n* BYE This is IMAP\r\n" })

static void
test_no_plaintext(void **state)
{
	static const struct imap_exchange x[] = {
		{ "", "* OK [CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE STARTTLS LOGINDISABLED] <*>\r\n" },
		{ "a LOGIN anna secret\r\n", "a NO [PRIVACYREQUIRED] Passwords are taken under TLS only\r\n" },
		{ "a AUTHENTICATE PLAIN\r\n", "a NO [PRIVACYREQUIRED] Passwords are taken under TLS only\r\n" },
		{ "b STARTTLS\r\nevil NOOP\r\n", "b OK Begin TLS negotiation now\r\n<*>" },
		{ "c CAPABILITY\r\n",
		  "* CAPABILITY IMAP4rev1 IMAP4rev2 LITERAL+ SASL-IR ID ENABLE IDLE "
		  "AUTH=SCRAM-SHA-256 AUTH=SCRAM-SHA-1 AUTH=PLAIN AUTH=LOGIN<*>\r\nc OK <*>\r\n" },
		{ "c STARTTLS\r\n", "c BAD TLS is on already\r\n" },
		{ "d LOGIN anna secret\r\n", "d OK <*>\r\n" },
	};
	struct session *s;

	imap_world_next_stream(*state, false, false, true);
	s = imap_connect(*state);
	imap_play(s, x, UNIT_COUNT(x), false);
	imap_disconnect(&s);
	imap_world_next_stream(*state, false, true, true);
}

static void
test_too_long(void **state)
{
	struct session *s = imap_connect(*state);
	static char line[20000];
	static const struct imap_exchange x[] = { { "b NOOP\r\n", "b OK NOOP completed\r\n" } };
	static const struct imap_exchange big[] = {
		{ "c LOGIN {13313}\r\n", "c BAD Command is over the limit command_size\r\n" },
		{ "d LOGIN {14000+}\r\n", "" }
	};

	memset(line, 'x', sizeof line);
	memcpy(line, "a LOGIN ", 8);
	memcpy(line + sizeof line - 2, "\r\n", 2);
	imap_forget(s);
	imap_send(s, slice_of(line, sizeof line));
	assert_true(
	    slice_eq(imap_received(s), SLICE("a BAD Command is over the limit command_size\r\n")));
	imap_forget(s);
	imap_play(s, x, 1, false);
	imap_play(s, big, 2, false);
	memset(line, '\n', sizeof line);
	imap_send(s, slice_of(line, 14000));
	assert_int_equal(imap_received(s).len, 0);
	imap_send(s, SLICE("\r\n"));
	assert_true(
	    slice_eq(imap_received(s), SLICE("d BAD Command is over the limit command_size\r\n")));
	imap_forget(s);
	imap_send(s, SLICE("e LOGIN {99999999+}\r\n"));
	assert_true(imap_is_closed(s));
	imap_disconnect(&s);
}

static void
test_bad_commands(void **state)
{
	struct session *s = imap_connect(*state);

	for (int i = 0; i < 19; i++)
		imap_send(s, SLICE("a XYZZY\r\n"));
	imap_send(s, SLICE("a NOOP\r\n"));
	for (int i = 0; i < 19; i++)
		imap_send(s, SLICE("a XYZZY\r\n"));
	assert_false(imap_is_closed(s));
	imap_forget(s);
	imap_send(s, SLICE("a XYZZY\r\n"));
	assert_true(slice_eq(imap_received(s),
	                     SLICE("a BAD Unknown command\r\n* BYE Too many bad commands\r\n")));
	assert_true(imap_is_closed(s));
	imap_disconnect(&s);
}

/* Who talks without logging in is ended too. */
static void
test_login_timeout(void **state)
{
	static const struct imap_exchange in_time[] = { { "", "<*>" },
	                                                { "a NOOP\r\n",
	                                                  "a OK NOOP completed\r\n" } };
	static const struct imap_exchange late[] = { { "b NOOP\r\n",
	                                               "* BYE Timeout before login\r\n" } };
	static const struct imap_exchange begun[] = { { "", "<*>" },
	                                              { "c AUTHENTICATE PLAIN\r\n", "+ \r\n" } };
	static const struct imap_exchange slow[] = { { "A", "* BYE Timeout before login\r\n" } };
	struct session *s = imap_connect(*state), *t = imap_connect(*state),
	               *u = imap_connect(*state);

	imap_play(s, in_time, 2, false);
	imap_play(u, begun, 2, false);
	imap_send(t, SLICE("a LOGIN anna secret\r\n"));
	imap_forget(t);
	imap_world_conf(*state)->limits.auth_timeout = 0;
	usleep(5000);
	imap_play(s, late, 1, false);
	assert_true(imap_is_closed(s));
	imap_play(u, slow, 1, false);
	assert_true(imap_is_closed(u));
	imap_play(t, in_time + 1, 1, false);
	imap_world_conf(*state)->limits.auth_timeout = 120;
	imap_disconnect(&s);
	imap_disconnect(&t);
	imap_disconnect(&u);
}

/* ---- mailboxes ---- */

PLAY(test_any_state, { "a ID NIL\r\n", "* ID (\"name\" \"Restante\")\r\na OK ID completed\r\n" },
     { "a ID (\"name\" \"x\" \"os\" NIL)\r\n",
       "* ID (\"name\" \"Restante\")\r\na OK ID completed\r\n" },
     { "a ID (\"name\")\r\n", "a BAD ID: expected one space\r\n" },
     { "a NAMESPACE\r\n", "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\na OK NAMESPACE completed\r\n" },
     { "a ENABLE X-UNKNOWN\r\n", "* ENABLED\r\na OK ENABLE completed\r\n" },
     { "a ENABLE\r\n", "a BAD ENABLE: expected one space\r\n" },
     { "a CHECK\r\n", "a BAD CHECK: Select a mailbox first\r\n" },
     { "a STARTTLS\r\n", "a BAD STARTTLS: Already logged in\r\n" })

PLAY(
    test_select,
    { "a SELECT inbox\r\n",
      "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n"
      "* OK [PERMANENTFLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft \\*)] Flags are kept\r\n"
      "* 0 EXISTS\r\n* 0 RECENT\r\n* OK [UIDVALIDITY <*>] UIDs are valid\r\n"
      "* OK [UIDNEXT 1] Predicted next UID\r\n* OK [MAILBOXID (M<*>)] <*>\r\n"
      "* OK [HIGHESTMODSEQ <*>] Highest\r\na OK [READ-WRITE] SELECT completed\r\n" },
    { "b EXAMINE \"Sent\"\r\n",
      "* OK [CLOSED] Previous mailbox is closed\r\n* FLAGS <*>\r\n* OK [PERMANENTFLAGS ()] <*>\r\n"
      "b OK [READ-ONLY] EXAMINE completed\r\n" },
    { "c SELECT none\r\n",
      "* OK [CLOSED] Previous mailbox is closed\r\nc NO [NONEXISTENT] No such mailbox\r\n" },
    { "c CLOSE\r\n", "c BAD CLOSE: Select a mailbox first\r\n" },
    { "d SELECT {5+}\r\nINBOX\r\n", "<*>d OK [READ-WRITE] SELECT completed\r\n" },
    { "d CHECK\r\n", "d OK CHECK completed\r\n" },
    { "e UNSELECT\r\n", "e OK UNSELECT completed\r\n" },
    { "e SELECT \"a&bad\"\r\n", "e NO [NONEXISTENT] No such mailbox\r\n" },
    { "f SELECT INBOX\r\ng CLOSE\r\n",
      "<*>f OK [READ-WRITE] SELECT completed\r\ng OK CLOSE completed\r\n" })

PLAY(test_mailboxes, { "a CREATE foo/bar\r\n", "a OK [MAILBOXID (<*>)] CREATE completed\r\n" },
     { "a CREATE foo/\r\n", "a NO [ALREADYEXISTS] Mailbox already exists\r\n" },
     { "a CREATE inbox\r\n", "a NO [ALREADYEXISTS] Mailbox already exists\r\n" },
     { "a CREATE \"f%\"\r\n", "a NO [CANNOT] Mailbox names hold no wildcards\r\n" },
     { "a CREATE \"f//b\"\r\n", "a NO [CANNOT] <*>\r\n" },
     { "a CREATE \"\"\r\n", "a NO [CANNOT] <*>\r\n" },
     { "a CREATE w (USE (\\All))\r\n", "a NO [USEATTR] <*>\r\n" },
     { "a CREATE w (USE (\\Sent)\r\n", "a BAD CREATE: expected )\r\n" },
     { "a CREATE w (USE (\\Archive))\r\n", "a OK [MAILBOXID (<*>)] CREATE completed\r\n" },
     { "a LIST \"\" w\r\n",
       "* LIST (\\HasNoChildren \\Archive) \"/\" w\r\na OK LIST completed\r\n" },
     { "a DELETE foo\r\n", "a NO [HASCHILDREN] Delete the mailboxes below it first\r\n" },
     { "a DELETE INBOX\r\n", "a NO [CANNOT] INBOX cannot be deleted\r\n" },
     { "a RENAME foo fo&AOQ-\r\n", "a OK RENAME completed\r\n" },
     { "a RENAME foo fob\r\n", "a NO [NONEXISTENT] No such mailbox\r\n" },
     { "a RENAME w INBOX\r\n", "a NO [ALREADYEXISTS] Mailbox already exists\r\n" },
     { "a LIST \"\" fo*\r\n",
       "* LIST (\\HasChildren) \"/\" fo&AOQ-\r\n* LIST (\\HasNoChildren) \"/\" fo&AOQ-/bar\r\n"
       "a OK LIST completed\r\n" },
     { "a SELECT w\r\n", "<*>a OK [READ-WRITE] SELECT completed\r\n" },
     { "a DELETE w\r\n",
       "* OK [CLOSED] The selected mailbox was deleted\r\na OK DELETE completed\r\n" },
     { "a DELETE fo&AOQ-/bar\r\nb DELETE fo&AOQ-\r\n",
       "a OK DELETE completed\r\nb OK DELETE completed\r\n" },
     { "a DELETE w\r\n", "a NO [NONEXISTENT] No such mailbox\r\n" })

PLAY(test_subscribe, { "a CREATE news/c\r\n", "a OK [MAILBOXID (<*>)] CREATE completed\r\n" },
     { "a SUBSCRIBE news/none\r\n", "a NO [NONEXISTENT] No such mailbox\r\n" },
     { "a SUBSCRIBE news/c\r\n", "a OK SUBSCRIBE completed\r\n" },
     { "a LSUB \"\" news*\r\n",
       "* LSUB (\\HasNoChildren) \"/\" news/c\r\na OK LSUB completed\r\n" },
     { "a LSUB \"\" n%\r\n",
       "* LSUB (\\Noselect \\HasChildren) \"/\" news\r\na OK LSUB completed\r\n" },
     { "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" n%\r\n",
       "* LIST (\\HasChildren) \"/\" news (\"CHILDINFO\" (\"SUBSCRIBED\"))\r\na OK "
       "LIST completed\r\n" },
     { "a LIST (SUBSCRIBED RECURSIVEMATCH) \"\" n*\r\n", /* what is returned itself hides
	                                                          * nothing */
       "* LIST (\\Subscribed \\HasNoChildren) \"/\" news/c\r\na OK LIST completed\r\n" },
     { "a LIST (SUBSCRIBED) \"\" n*\r\n",
       "* LIST (\\Subscribed \\HasNoChildren) \"/\" news/c\r\na OK LIST completed\r\n" },
     { "a DELETE news/c\r\n", "a OK DELETE completed\r\n" },
     { "a LIST (SUBSCRIBED) \"\" n*\r\n", "* LIST (\\NonExistent \\Subscribed \\HasNoChildren) "
                                          "\"/\" news/c\r\na OK LIST completed\r\n" },
     { "a LIST (RECURSIVEMATCH) \"\" *\r\n",
       "a BAD LIST: expected SUBSCRIBED or SPECIAL-USE with RECURSIVEMATCH\r\n" },
     { "a UNSUBSCRIBE news/c\r\n", "a OK UNSUBSCRIBE completed\r\n" },
     { "a UNSUBSCRIBE news/c\r\n", "a OK UNSUBSCRIBE <*>\r\n" },
     { "a DELETE news\r\n", "a OK DELETE completed\r\n" })

PLAY(test_list,
     { "a LIST \"\" \"\"\r\n", "* LIST (\\Noselect) \"/\" \"\"\r\na OK LIST completed\r\n" },
     { "a LIST \"\" %\r\n",
       "* LIST (\\HasNoChildren \\Archive) \"/\" Archive\r\n* LIST (\\HasNoChildren \\Drafts) "
       "\"/\" Drafts\r\n"
       "* LIST (\\HasNoChildren) \"/\" INBOX\r\n* LIST (\\HasNoChildren \\Junk) \"/\" Junk\r\n"
       "* LIST (\\HasNoChildren \\Sent) \"/\" Sent\r\n* LIST (\\HasNoChildren "
       "\\Trash) \"/\" Trash\r\n"
       "a OK LIST completed\r\n" },
     { "a LIST \"\" inBOX\r\n", "* LIST (\\HasNoChildren) \"/\" INBOX\r\na OK LIST completed\r\n" },
     { "a LIST \"\" (S* Tr%sh) RETURN (SUBSCRIBED STATUS (MESSAGES UNSEEN))\r\n",
       "* LIST (\\Subscribed \\HasNoChildren \\Sent) \"/\" Sent\r\n* STATUS Sent "
       "(MESSAGES 0 UNSEEN 0)\r\n"
       "* LIST (\\Subscribed \\HasNoChildren \\Trash) \"/\" Trash\r\n* STATUS Trash "
       "(MESSAGES 0 UNSEEN 0)\r\n"
       "a OK LIST completed\r\n" },
     { "a LIST (SPECIAL-USE) \"\" J%\r\n",
       "* LIST (\\HasNoChildren \\Junk) \"/\" Junk\r\na OK LIST completed\r\n" },
     { "a LIST () \"\" Junk RETURN ()\r\n",
       "* LIST (\\HasNoChildren \\Junk) \"/\" Junk\r\na OK LIST completed\r\n" },
     { "a LIST \"\" %/%\r\n", "a OK LIST completed\r\n" },
     { "a LIST \"\" *\r\nb LSUB \"\" Junk\r\n", "<*>a OK LIST completed\r\n* LSUB (\\HasNoChildren "
                                                "\\Junk) \"/\" Junk\r\nb OK LSUB completed\r\n" },
     { "a LIST \"\"\r\n", "a BAD LIST: expected one space\r\n" },
     { "a LIST \"\" % RETURN (FOO)\r\n",
       "a BAD LIST: expected SUBSCRIBED, CHILDREN, SPECIAL-USE or STATUS\r\n" })

PLAY(test_status,
     { "a STATUS Drafts (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE APPENDLIMIT)\r\n",
       "* STATUS Drafts (MESSAGES 0 RECENT 0 UIDNEXT 1 UIDVALIDITY <*> UNSEEN 0 DELETED 0 SIZE 0 "
       "APPENDLIMIT 1048576)\r\n"
       "a OK STATUS completed\r\n" },
     { "a STATUS none (MESSAGES)\r\n", "a NO [NONEXISTENT] No such mailbox\r\n" },
     { "a STATUS INBOX ()\r\n", "a BAD STATUS: expected MESSAGES, <*>\r\n" },
     { "a STATUS INBOX (MESSAGES\r\n", "a BAD STATUS: expected )\r\n" })

/* ---- APPEND ---- */

PLAY(test_append, { "a CREATE ap\r\n", "a OK [MAILBOXID (<*>)] CREATE completed\r\n" },
     { "a APPEND ap {22}\r\n", "+ Go on\r\n" },
     { MAIL "\r\n", "a OK [APPENDUID <*> 1] APPEND completed\r\n" },
     { "b APPEND ap (\\Seen $Fwd) \" 1-Jan-2026 12:00:00 +0100\" {22+}\r\n" MAIL "\r\nc NOOP\r\n",
       "b OK [APPENDUID <*> 2] APPEND completed\r\nc OK NOOP completed\r\n" },
     { "b APPEND {2+}\r\nap (\\Deleted) ~{22+}\r\n" MAIL " \"01-Jan-2026 12:00:00 +0100\" {22}\r\n",
       "+ Go on\r\n" },
     { MAIL "\r\n", "b OK [APPENDUID <*> 3:4] APPEND completed\r\n" },
     { "c STATUS ap (MESSAGES UNSEEN DELETED SIZE)\r\n",
       "* STATUS ap (MESSAGES 4 UNSEEN 3 DELETED 1 SIZE 88)\r\nc OK STATUS completed\r\n" },
     { "d SELECT ap\r\n", "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Fwd)\r\n<*>* 4 "
                          "EXISTS\r\n<*>d OK <*>\r\n" },
     { "e APPEND ap {22+}\r\n" MAIL "\r\n",
       "* 5 EXISTS\r\n* 5 RECENT\r\ne OK [APPENDUID <*> 5] APPEND completed\r\n" },
     { "f CLOSE\r\n", "f OK CLOSE completed\r\n" },
     { "g STATUS ap (MESSAGES)\r\n", "* STATUS ap (MESSAGES 4)\r\ng OK STATUS completed\r\n" },
     { "z DELETE ap\r\n", "z OK DELETE completed\r\n" })

PLAY(test_append_refused, { "a APPEND none {22}\r\n", "a NO [TRYCREATE] No such mailbox\r\n" },
     { "a APPEND none {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n",
       "a NO [TRYCREATE] No such mailbox\r\nc OK NOOP completed\r\n" },
     { "a APPEND none {8+}\r\nb NOOP\r\n {8+}\r\nd NOOP\r\n\r\nc NOOP\r\n",
       "a NO [TRYCREATE] No such mailbox\r\nc OK NOOP completed\r\n" },
     { "a APPEND INBOX {1048577}\r\n", "a NO [TOOBIG] Message is over the limit message_size\r\n" },
     { "a APPEND INBOX {0}\r\n", "a NO [CANNOT] Message is empty\r\n" },
     { "a APPEND INBOX (\\Recent) {5}\r\n", "a BAD APPEND: expected \\Answered, <*>\r\n" },
     { "a APPEND INBOX (\\Foo) {8+}\r\nb NOOP\r\n\r\n",
       "a BAD APPEND: expected \\Answered, <*>\r\n" },
     { "a APPEND INBOX \"1-Jan-2026 12:00:00 +0100\" {5}\r\n",
       "a BAD APPEND: expected date-time\r\n" },
     { "a APPEND INBOX\r\n", "a BAD APPEND: expected mailbox, <*>\r\n" },
     { "a APPEND INBOX {22+}\r\n" MAIL "x\r\n", "a BAD APPEND: expected end of command\r\n" },
     { "a APPEND INBOX {22+}\r\n" MAIL " (\\Foo) {8+}\r\nb NOOP\r\n\r\nc NOOP\r\n",
       "a BAD APPEND: expected \\Answered, <*>\r\nc OK NOOP completed\r\n" },
     { "a APPEND INBOX {99999999999999999999}\r\n",
       "a BAD [TOOBIG] Literal is over the limit of 63 bits\r\n" },
     { "c STATUS INBOX (MESSAGES)\r\n",
       "* STATUS INBOX (MESSAGES 0)\r\nc OK STATUS completed\r\n" })

static void
send_raw(struct session *s, const char *bytes, size_t len)
{
	imap_send(s, slice_of(bytes, len));
}

static void
test_append_nul(void **state)
{
	static const struct imap_exchange login[] = {
		{ "", "<*>" }, { "a LOGIN anna secret\r\n", "a OK <*>\r\n" }, { "b CREATE nul\r\n", "b OK <*>\r\n" } };
	struct session *s = imap_connect(*state);

	imap_play(s, login, 3, false);
	send_raw(s, "a APPEND nul {8+}\r\n" "a: b\r\n\r\0" "\r\nb NOOP\r\n", 19 + 8 + 10);
	assert_true(slice_eq(imap_received(s),
	    SLICE("a BAD APPEND: a message with NUL needs a literal8\r\nb OK NOOP completed\r\n")));
	imap_forget(s);
	send_raw(s, "a APPEND nul ~{8+}\r\n" "a: b\r\n\r\0" "\r\n", 20 + 8 + 2);
	assert_true(slice_starts(imap_received(s), SLICE("a OK [APPENDUID")));
	imap_forget(s);
	imap_send(s, SLICE("z DELETE nul\r\n"));
	imap_disconnect(&s);
}

static void
login(struct session *s)
{
	imap_send(s, SLICE("login LOGIN anna secret\r\n"));
	imap_forget(s);
}

/* Half a megabyte of short lines that end with LF alone, so what is stored is larger
 * than what is sent. */
static void
test_append_large(void **state)
{
	static char head[] = "a APPEND INBOX {524288+}\r\n", body[524288 + 10];
	static const struct imap_exchange after[] = {
		{ "b STATUS INBOX (SIZE)\r\n", "* STATUS INBOX (SIZE 786432)\r\nb OK STATUS completed\r\n" },
		{ "c SELECT INBOX\r\n", "<*>c OK <*>" },
		{ "d STORE 1 +FLAGS.SILENT (\\Deleted)\r\n", "d OK <*>" },
		{ "e CLOSE\r\n", "e OK CLOSE completed\r\n" },
	};
	static const struct imap_exchange too_big[] = {
		{ "b NOOP\r\n", "b OK NOOP completed\r\n" },
		{ "b STATUS INBOX (MESSAGES)\r\n", "* STATUS INBOX (MESSAGES 0)\r\nb OK STATUS completed\r\n" },
	};
	struct session *s = imap_connect(*state);

	for (size_t i = 0; i < 524288; i++)
		body[i] = i % 2 == 0 ? 'x' : '\n';
	memcpy(body + 524288, "\r\nb NOOP\r\n", 10);
	login(s);
	imap_send(s, slice_of(head, sizeof head - 1));
	imap_send(s, slice_of(body, sizeof body));
	assert_true(slice_starts(imap_received(s), SLICE("a OK [APPENDUID ")));
	assert_true(slice_ends_nocase(imap_received(s), SLICE("b OK NOOP completed\r\n")));
	imap_forget(s);
	imap_play(s, after, UNIT_COUNT(after), false);
	imap_world_conf(*state)->limits.message_size = 600000;
	imap_send(s, slice_of(head, sizeof head - 1));
	imap_send(s, slice_of(body, sizeof body));
	assert_true(slice_eq(imap_received(s),
	                     SLICE("a NO [TOOBIG] Message is over the limit message_size\r\n"
	                           "b OK NOOP completed\r\n")));
	imap_forget(s);
	imap_play(s, too_big, UNIT_COUNT(too_big), false);
	imap_world_conf(*state)->limits.message_size = 1u << 20;
	imap_disconnect(&s);
}

static void
set_quota(struct imap_world *w, uint64_t bytes)
{
	struct change *c = change_new(CHANGE_ACCOUNT_QUOTA);

	c->u.account.id = imap_world_account(w);
	c->u.account.quota_bytes = bytes;
	assert_int_equal(volume_submit_wait(imap_world_volume(w), c), RC_OK);
	change_free(&c);
}

static void
test_over_quota(void **state)
{
	static const struct imap_exchange x[] = {
		{ "a APPEND INBOX {22+}\r\n" MAIL "\r\n", "a NO [OVERQUOTA] Quota exceeded\r\n" },
		{ "a APPEND INBOX {22+}\r\n" MAIL " {22+}\r\n" MAIL "\r\n", "a NO [OVERQUOTA] Quota exceeded\r\n" },
		{ "b STATUS INBOX (MESSAGES)\r\n", "* STATUS INBOX (MESSAGES 0)\r\nb OK STATUS completed\r\n" },
	};

	set_quota(*state, 10);
	IMAP_SCRIPT(*state, x);
	set_quota(*state, 0);
}

/* More commands than the input buffer holds, in one go. */
static void
test_pipelined(void **state)
{
	struct session *s = imap_connect(*state);
	struct buf in, want;

	buf_init(&in, 1u << 20);
	buf_init(&want, 1u << 20);
	for (int i = 0; i < 9999; i++) {
		buf_printf(&in, "t%d NOOP\r\n", i);
		buf_printf(&want, "t%d OK NOOP completed\r\n", i);
	}
	login(s);
	imap_send(s, buf_slice(&in));
	assert_true(slice_eq(imap_received(s), buf_slice(&want)));
	buf_fini(&in);
	buf_fini(&want);
	imap_disconnect(&s);
}

/* The peer goes away in the middle of a message: nothing is left behind (the sanitizer watches). */
static void
test_append_broken_off(void **state)
{
	static const struct imap_exchange x[] = {
		{ "", "<*>" }, { "a LOGIN anna secret\r\n", "a OK <*>\r\n" },
		{ "a APPEND INBOX {22+}\r\n" MAIL " {22+}\r\nSubj", "" } };
	struct session *s = imap_connect(*state);

	imap_play(s, x, UNIT_COUNT(x), false);
	imap_disconnect(&s);
}

/* ---- IDLE and two sessions ---- */

static void
test_idle(void **state)
{
	static const struct imap_exchange begin[] = {
		{ "", "<*>" },
		{ "a LOGIN anna secret\r\n", "a OK <*>\r\n" },
		{ "a CREATE idle\r\n", "a OK [MAILBOXID (<*>)] CREATE completed\r\n" },
		{ "b IDLE\r\n", "+ idling\r\n" },
		{ "DONE\r\n", "b OK IDLE completed\r\n" },
		{ "c SELECT idle\r\n", "<*>c OK <*>\r\n" },
		{ "d IDLE\r\nDONE\r\ne IDLE\r\n", "+ idling\r\nd OK IDLE completed\r\n+ idling\r\n" },
	};
	static const struct imap_exchange told[] = {
		{ NULL, "* 1 EXISTS\r\n* 1 RECENT\r\n" },
		{ "quit\r\n", "e BAD IDLE: expected DONE\r\n" },
	};
	static const struct imap_exchange end[] = {
		{ "f NOOP\r\n", "* 2 EXISTS\r\n* 2 RECENT\r\nf OK NOOP completed\r\n" },
		{ "g UNSELECT\r\nh DELETE idle\r\n", "g OK <*>\r\nh OK DELETE completed\r\n" },
	};
	struct session *s = imap_connect(*state);

	imap_play(s, begin, UNIT_COUNT(begin), false);
	imap_world_deliver(*state, "idle", MAIL);
	imap_play(s, told, UNIT_COUNT(told), false);
	imap_world_deliver(*state, "idle", MAIL);
	imap_play(s, end, UNIT_COUNT(end), false);
	imap_disconnect(&s);
}

static void
test_mailbox_deleted_by_another(void **state)
{
	static const struct imap_exchange begin[] = {
		{ "", "<*>" }, { "a LOGIN anna secret\r\n", "a OK <*>\r\n" },
		{ "a CREATE gone\r\n", "a OK <*>\r\n" }, { "a SELECT gone\r\n", "<*>a OK <*>\r\n" } };
	static const struct imap_exchange other[] = {
		{ "", "<*>" }, { "a LOGIN anna secret\r\n", "a OK <*>\r\n" }, { "a DELETE gone\r\n", "a OK <*>\r\n" } };
	static const struct imap_exchange end[] = { { "b NOOP\r\n", "* BYE <*>\r\n" } };
	struct session *s = imap_connect(*state), *t = imap_connect(*state);

	imap_play(s, begin, UNIT_COUNT(begin), false);
	imap_play(t, other, UNIT_COUNT(other), false);
	imap_play(s, end, 1, false);
	assert_true(imap_is_closed(s));
	imap_disconnect(&s);
	imap_disconnect(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting_and_logout),
		cmocka_unit_test(test_not_logged_in),
		cmocka_unit_test(test_login_literals),
		cmocka_unit_test(test_login_failures),
		cmocka_unit_test(test_authenticate),
		cmocka_unit_test(test_authenticate_initial),
		cmocka_unit_test(test_flawed_lines),
		cmocka_unit_test(test_http),
		cmocka_unit_test(test_no_plaintext),
		cmocka_unit_test(test_too_long),
		cmocka_unit_test(test_bad_commands),
		cmocka_unit_test(test_login_timeout),
		cmocka_unit_test(test_any_state),
		cmocka_unit_test(test_select),
		cmocka_unit_test(test_mailboxes),
		cmocka_unit_test(test_subscribe),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_append),
		cmocka_unit_test(test_append_refused),
		cmocka_unit_test(test_append_nul),
		cmocka_unit_test(test_append_large),
		cmocka_unit_test(test_over_quota),
		cmocka_unit_test(test_pipelined),
		cmocka_unit_test(test_append_broken_off),
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_mailbox_deleted_by_another),
	};

	return cmocka_run_group_tests_name("imap_session", tests, imap_world_setup,
	                                   imap_world_teardown);
}
