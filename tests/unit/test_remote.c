/* remote: the IMAP and POP3 clients against servers that say what a script says, each
 * at its socket.
 *
 * A script is lines: "S: ..." is sent with a CRLF, "s: ..." without; "C: ..." must be what the
 * client sends next; "X" ends the connection, and the next line is about the next one. "E: ..." is
 * sent with a CRLF, "e: ..." without, again and again until the client has enough, which ends the
 * connection too; "N..." is sent for the numbers 128, 129 ... as often as its first word says. What
 * the source gives is written down and compared.
 */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/buf.h"
#include "tools/remote.h"

struct peer {
	const char *const *script;
	int                listener, fd;
	char               wrong[600];          /* what the client should not have done */
};

/* A line of the client without its CRLF; "" at the end. */
static void
peer_line(struct peer *p, char *dst, size_t size)
{
	size_t n = 0;
	char c;

	while (n + 1 < size && read(p->fd, &c, 1) == 1 && c != '\n')
		dst[n++] = c;
	dst[n > 0 && dst[n - 1] == '\r' ? n - 1 : n] = '\0';
}

static bool
peer_send(struct peer *p, const char *text, bool ended)
{
	return send(p->fd, text, strlen(text), MSG_NOSIGNAL) >= 0 &&
	       (!ended || send(p->fd, "\r\n", 2, MSG_NOSIGNAL) >= 0);
}

/* The step's text many times over in one piece. */
static void
peer_send_ever(struct peer *p, const char *text, bool ended)
{
	char many[8192] = "";
	size_t n = 0, len = strlen(text) + (ended ? 2 : 0);

	for (; n + len < sizeof many; n += len)
		snprintf(many + n, sizeof many - n, "%s%s", text, ended ? "\r\n" : "");
	while (peer_send(p, many, false))
		;
	close(p->fd);
	p->fd = -1;
}

/* The format holds one %u or %c. */
static void
peer_send_numbered(struct peer *p, const char *step)
{
	unsigned long times = strtoul(step + 1, NULL, 10);
	const char *at = strchr(step, ' ') + 1, *mark = strchr(at, '%');

	for (unsigned n = 128; n < 128 + times; n++) {
		char line[200], number[12] = { (char)n };

		if (mark[1] == 'u')
			snprintf(number, sizeof number, "%u", n);
		snprintf(line, sizeof line, "%.*s%s%s", (int)(mark - at), at, number, mark + 2);
		(void)peer_send(p, line, true);
	}
}

static void
peer_step(struct peer *p, const char *step)
{
	char line[500];

	if (p->fd < 0)
		p->fd = accept(p->listener, NULL, NULL);
	if (step[0] == 'X') {
		close(p->fd);
		p->fd = -1;
	} else if (step[0] == 'C') {
		peer_line(p, line, sizeof line);
		if (strcmp(line, step + 3) != 0)
			snprintf(p->wrong, sizeof p->wrong, "\"%s\" instead of \"%s\"", line,
			         step + 3);
	} else if (step[0] == 'E' || step[0] == 'e') {
		peer_send_ever(p, step + 3, step[0] == 'E');
	} else if (step[0] == 'N') {
		peer_send_numbered(p, step);
	} else {
		(void)peer_send(p, step + 3, step[0] == 'S');
	}
}

static void *
peer_run(void *arg)
{
	struct peer *p = arg;

	p->fd = -1;
	for (const char *const *s = p->script; *s != NULL && p->wrong[0] == '\0'; s++)
		peer_step(p, *s);
	if (p->fd >= 0)
		close(p->fd);
	close(p->listener);
	return NULL;
}

/* ---- what the source gives ---- */

struct notes {
	struct buf out;
};

static void
note(void *arg, const char *text)
{
	struct notes *r = arg;

	buf_printf(&r->out, "! %s\n", text);
}

/* False: the source is of no further use. */
static bool
note_text(struct notes *r, struct import_source *source, size_t enough)
{
	struct err e = ERR_INIT;
	uint8_t piece[7];
	size_t got, all = 0;
	enum rc rc;

	buf_append_str(&r->out, " (");
	while ((rc = source->read(source->state, piece, sizeof piece, &got, &e)) == RC_OK &&
	       got > 0 && (enough == 0 || all < enough)) {
		buf_append(&r->out, piece, got);
		all += got;
	}
	if (rc == RC_OK && got > 0)
		buf_append_str(&r->out, " enough\n");
	else if (rc == RC_OK)
		buf_append_str(&r->out, ")\n");
	else
		buf_printf(&r->out, " %s: %s\n", rc_name(rc), e.text);
	return rc != RC_CANCELLED;
}

static void
note_item(struct notes *r, const struct import_item *item)
{
	const struct import_message *m = &item->message;

	if (item->event == IMPORT_MAILBOX)
		buf_printf(&r->out, "box %.*s %u %u %x%s\n", SLICE_ARG(item->mailbox.name),
		    item->mailbox.uidvalidity, item->mailbox.uidnext, item->mailbox.special_use,
		    item->mailbox.subscribe ? " subscribed" : "");
	else if (item->event == IMPORT_SUBSCRIPTION)
		buf_printf(&r->out, "subscribed %.*s\n", SLICE_ARG(item->mailbox.name));
	else if (item->event == IMPORT_MESSAGE)
		buf_printf(&r->out, "%u %x[%.*s] %lld%+d %llu <%.*s> <%.*s>", m->uid, m->flags,
		    SLICE_ARG(m->keywords), (long long)m->internaldate.sec,
		    m->internaldate.zone_min, (unsigned long long)m->size, SLICE_ARG(m->uidl),
		    SLICE_ARG(m->key));
}

struct remote_case {
	const char        *name;
	bool               pop3, keep_uids, starttls;
	const char        *mailbox;             /* of the URL */
	size_t             enough;              /* so much of a text is read, 0: all */
	const char        *skip;                /* numbers of messages that are not read: "1 3" */
	const char *const *script;
	const char        *want;
};

static bool
is_skipped(const struct remote_case *k, unsigned n)
{
	char number[8];

	snprintf(number, sizeof number, "%u", n);
	return k->skip != NULL && strstr(k->skip, number) != NULL;
}

static void
note_all(const struct remote_case *k, struct notes *r, struct import_source *source)
{
	struct import_item item;
	struct err e = ERR_INIT;
	unsigned messages = 0;
	enum rc rc;

	do {
		rc = source->next(source->state, &item, &e);
		if (rc != RC_OK)
			break;
		note_item(r, &item);
		if (item.event != IMPORT_MESSAGE)
			continue;
		if (is_skipped(k, ++messages))
			buf_append_str(&r->out, " -\n");
		else if (!note_text(r, source, k->enough))
			break;
	} while (item.event != IMPORT_END && messages < 1000);
	if (rc != RC_OK)
		buf_printf(&r->out, "%s: %s\n", rc_name(rc), e.text);
	source->close(source->state);
}

static void
run_case(const struct remote_case *k, struct notes *r, const char *path)
{
	struct remote_options remote = { .starttls = k->starttls, .timeout_ms = 20000,
	                                 .noise_max = 4u << 20,
	                                 .warn = note, .warn_arg = r };
	struct import_options options = { .keep_uids = k->keep_uids, .complain = note,
	                                  .complain_arg = r };
	struct import_source source;
	struct secret password;
	struct err e = ERR_INIT;

	remote.url = (struct remote_url){ .protocol = k->pop3 ? REMOTE_POP3 : REMOTE_IMAP,
	                                  .is_unix = true };
	snprintf(remote.url.host, sizeof remote.url.host, "%s", path);
	snprintf(remote.url.user, sizeof remote.url.user, "anna");
	snprintf(remote.url.mailbox, sizeof remote.url.mailbox, "%s",
	    k->mailbox != NULL ? k->mailbox : "");
	assert_int_equal(secret_init(&password, 100, &e), RC_OK);
	assert_true(secret_append(&password, SLICE("pass\"word")));
	remote.password = &password;
	if (remote_open(&remote, &options, &source, &e) == RC_OK)
		note_all(k, r, &source);
	else
		buf_printf(&r->out, "%s: %s\n%s", rc_name(e.code), e.text,
		    source.close != NULL ? "closed twice" : "");
	secret_fini(&password);
}

static void
replace(char *text, const char *what, const char *by)
{
	char *at;

	while ((at = strstr(text, what)) != NULL) {
		memmove(at + strlen(by), at + strlen(what), strlen(at + strlen(what)) + 1);
		memcpy(at, by, strlen(by));
	}
}

static void
test_remote(void **state)
{
	const struct remote_case *k = *state;
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	char dir[] = "/tmp/remote-XXXXXX";
	struct peer peer = { .script = k->script };
	struct notes r;
	pthread_t thread;

	assert_non_null(mkdtemp(dir));
	snprintf(sa.sun_path, sizeof sa.sun_path, "%s/s", dir);
	peer.listener = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(peer.listener, (struct sockaddr *)&sa, sizeof sa), 0);
	assert_int_equal(listen(peer.listener, 5), 0);
	assert_int_equal(pthread_create(&thread, NULL, peer_run, &peer), 0);
	buf_init(&r.out, 1u << 20);
	run_case(k, &r, sa.sun_path);
	pthread_join(thread, NULL);
	unlink(sa.sun_path);
	rmdir(dir);
	buf_append_byte(&r.out, '\0');
	replace((char *)r.out.ptr, sa.sun_path, "PATH");
	assert_string_equal(peer.wrong, "");
	assert_string_equal((const char *)r.out.ptr, k->want);
	buf_fini(&r.out);
}

/* ---- the scripts ---- */

#define SCRIPT(...) ((const char *const[]){ __VA_ARGS__, NULL })
/* Commands r1 to r3 of a server that lists one mailbox. */
#define LOGIN "S: * OK [CAPABILITY IMAP4rev1] hello", "C: r1 LOGIN \"anna\" \"pass\\\"word\"", \
	"S: r1 OK [CAPABILITY IMAP4rev1] in"
#define LISTED LOGIN, "C: r2 LIST \"\" \"*\"", "S: * LIST () \"/\" inbox", "S: r2 OK", "C: r3 LSUB \"\" \"*\"", \
	"S: * LSUB () \"/\" INBOX", "S: r3 OK"
#define EXAMINED LISTED, "C: r4 EXAMINE \"inbox\"", "S: * 3 EXISTS", "S: * OK [UIDVALIDITY 7] x", \
	"S: * OK [UIDNEXT 9] x", "S: r4 OK [READ-ONLY] x", "C: r5 UID SEARCH UID 1:*", "S: * SEARCH 5 2 3", "S: r5 OK"
#define ITEMS " (UID FLAGS INTERNALDATE RFC822.SIZE)"
#define DATE " INTERNALDATE \"17-Jul-1996 02:44:25 -0700\" RFC822.SIZE 3"
#define KNOWN EXAMINED, "C: r6 UID FETCH 2:3,5" ITEMS, "S: * 1 FETCH (UID 2 FLAGS (\\Seen $Work)" DATE ")", \
	"S: * 2 FETCH (UID 3 FLAGS ()" DATE ")", "S: * 3 FETCH (UID 5 FLAGS (\\Deleted)" DATE ")", "S: r6 OK"
/* Another connection to the mailbox. */
#define AGAIN(login, examine) "S: * OK [CAPABILITY IMAP4rev1] hello", "C: " login " LOGIN \"anna\" \"pass\\\"word\"", \
	"S: " login " OK [CAPABILITY IMAP4rev1] in", "C: " examine " EXAMINE \"inbox\""
#define GOODBYE "C: r10 LOGOUT"
#define BOX "box INBOX 7 9 0 subscribed\n"
#define KEY(uid) "<> <inbox;UIDVALIDITY=7/;UID=" #uid ">"
#define M2 "2 8[$Work] 837596665-420 3 " KEY(2)
#define M3 "3 0[] 837596665-420 3 " KEY(3)
#define M5 "5 4[] 837596665-420 3 " KEY(5)
#define POP_LISTED "C: CAPA", "S: +OK", "S: USER", "S: TOP", "S: UIDL", "S: .", "C: USER anna", "S: +OK", \
	"C: PASS pass\"word", "S: +OK", "C: CAPA", "S: +OK", "S: TOP", "S: ."
#define TOPPED(n) "C: TOP " #n " 0", "S: +OK", "S: Received: from x; Tue,", "S:  3 Nov 2026 10:00:00 +0100", "S: ", "S: ."
#define POP_DATE "1793696400+60"

static const struct remote_case cases[] = {
	{ .name = "imap: all messages, ahead", .script = SCRIPT(KNOWN, "C: r7 UID FETCH 2 (UID BODY.PEEK[])",
	    "S: * 1 FETCH (UID 2 BODY[] {3}", "S: a\nb)", "S: r7 OK", "C: r8 UID FETCH 3 (UID BODY.PEEK[])",
	    "C: r9 UID FETCH 5 (UID BODY.PEEK[])", "S: * 2 FETCH (BODY[] {12}", "S: 0123456789", "S:  UID 3)", "S: r8 OK",
	    "S: * 3 FETCH (UID 5 BODY[] \"xyz\")", "S: r9 OK", GOODBYE),
	  .want = BOX M2 " (a\nb)\n" M3 " (0123456789\r\n)\n" M5 " (xyz)\n" },
	{ .name = "imap: other order, with what was not asked for", .script = SCRIPT(KNOWN,
	    "C: r7 UID FETCH 2 (UID BODY.PEEK[])", "S: * 9 EXISTS", "S: * 1 EXPUNGE", "S: * 3 FETCH (UID 5 BODY[] {1}", "S: n)",
	    "S: * 1 FETCH (UID 2 BODY[] {1}", "S: a)", "S: * 2 FETCH (FLAGS (\\Seen))", "S: r7 OK",
	    "C: r8 UID FETCH 3 (UID BODY.PEEK[])", "C: r9 UID FETCH 5 (UID BODY.PEEK[])", "S: * 3 FETCH (UID 5 BODY[] {1}",
	    "S: c)", "S: r9 OK", "S: * 2 FETCH (UID 3 BODY[] {1}", "S: b)", "S: r8 OK", "C: r10 UID FETCH 5 (UID BODY.PEEK[])",
	    "S: * 3 FETCH (UID 5 BODY[] {1}", "S: c)", "S: r10 OK", "C: r11 LOGOUT"),
	  .want = BOX M2 " (a)\n" M3 " (b)\n" M5 " (c)\n" },
	{ .name = "imap: passed over", .skip = "1 2", .script = SCRIPT(KNOWN, "C: r7 UID FETCH 5 (UID BODY.PEEK[])",
	    "S: * 3 FETCH (UID 5 BODY[] {1}", "S: c)", "S: r7 OK", "C: r8 LOGOUT"),
	  .want = BOX M2 " -\n" M3 " -\n" M5 " (c)\n" },
	{ .name = "imap: one refused, one gone", .script = SCRIPT(KNOWN, "C: r7 UID FETCH 2 (UID BODY.PEEK[])",
	    "S: r7 NO [SERVERBUG] it is damaged", "C: r8 UID FETCH 3 (UID BODY.PEEK[])", "S: r8 OK",
	    "C: r9 UID FETCH 3 (UID BODY.PEEK[])", "S: r9 OK", "C: r10 UID FETCH 5 (UID BODY.PEEK[])",
	    "S: * 3 FETCH (UID 5 BODY[] {1}", "S: c)", "S: r10 OK", "C: r11 LOGOUT"),
	  .want = BOX M2 " ( corrupt: imap://PATH: the server says: it is damaged\n"
	    M3 " ( not found: imap://PATH: it is gone there since it was found\n" M5 " (c)\n" },
	{ .name = "imap: another message in its place", .script = SCRIPT(KNOWN, "C: r7 UID FETCH 2 (UID BODY.PEEK[])",
	    "S: * 1 FETCH (BODY[] {1}", "S: a UID 3)", "S: r7 OK", "C: r8 UID FETCH 3 (UID BODY.PEEK[])",
	    "C: r9 UID FETCH 5 (UID BODY.PEEK[])", "S: * 1 FETCH (UID 3 BODY[] {1}", "S: b)", "S: r8 OK",
	    "S: * 3 FETCH (UID 5 BODY[] {1}", "S: c)", "S: r9 OK", GOODBYE),
	  .want = BOX M2 " (a corrupt: imap://PATH: the server sends message "
	                 "3 in its place\n" M3 " (b)\n" M5 " (c)\n" },
	{ .name = "imap: a connection that breaks within a text", .script = SCRIPT(KNOWN,
	    "C: r7 UID FETCH 2 (UID BODY.PEEK[])", "S: * 1 FETCH (UID 2 BODY[] {12}", "s: 01234",
	    "X", "S: * OK [CAPABILITY IMAP4rev1] hello",
	    "C: r8 LOGIN \"anna\" \"pass\\\"word\"", "S: r8 OK [CAPABILITY IMAP4rev1] in", "C: r9 EXAMINE \"inbox\"",
	    "S: * 3 EXISTS", "S: r9 OK [UIDVALIDITY 7]", "C: r10 UID FETCH 2 (UID BODY.PEEK[])",
	    "S: * 1 FETCH (UID 2 BODY[] {12}", "S: 0123456789", "S: )", "S: r10 OK", "C: r11 UID FETCH 3 (UID BODY.PEEK[])",
	    "C: r12 UID FETCH 5 (UID BODY.PEEK[])", "S: * 2 FETCH (UID 3 BODY[] {1}", "S: b)", "S: r11 OK",
	    "S: * 3 FETCH (UID 5 BODY[] {1}", "S: c)", "S: r12 OK", "C: r13 LOGOUT"),
	  .want = BOX M2 " (0123456789\r\n)\n" M3 " (b)\n" M5 " (c)\n" },
	{ .name = "imap: another UIDVALIDITY behind the break", .script = SCRIPT(KNOWN,
	    "C: r7 UID FETCH 2 (UID BODY.PEEK[])", "X", "S: * OK [CAPABILITY IMAP4rev1] hello",
	    "C: r8 LOGIN \"anna\" \"pass\\\"word\"", "S: r8 OK [CAPABILITY IMAP4rev1] in", "C: r9 EXAMINE \"inbox\"",
	    "S: r9 OK [UIDVALIDITY 8]", "C: r10 LOGOUT"),
	  .want = BOX M2 " ( cancelled: imap://PATH: INBOX: its UIDVALIDITY has changed while it "
	                 "was read (after: the server "
	    "has ended the connection)\n" },
	{ .name = "imap: names", .script = SCRIPT("S: * OK [CAPABILITY IMAP4rev1 NAMESPACE] hello",
	    "C: r1 LOGIN \"anna\" \"pass\\\"word\"", "S: r1 OK [CAPABILITY IMAP4rev1 NAMESPACE] in", "C: r2 NAMESPACE",
	    "S: * NAMESPACE ((\"INBOX.\" \".\")) ((\"user.\" \".\")) NIL", "S: r2 OK", "C: r3 LIST \"\" \"*\"",
	    "S: * LIST () \".\" \"INBOX.Entw&APw-rfe.a/b\"", "S: * LIST () \".\" INBOX.INBOX",
	    "S: * LIST (\\Sent) \".\" \"INBOX.Tom & Jerry\"", "S: * LIST () \".\" user.bert", "S: * LIST () \".\" user",
	    "S: * LIST (\\Noselect) \".\" INBOX.x", "S: * LIST () \".\" INBOX", "S: * LIST () \".\" INBOX.a_b",
	    "S: * LIST () \".\" INBOX.a/b", "S: r3 OK", "C: r4 LSUB \"\" \"*\"", "S: * LSUB () \".\" INBOX.gone",
	    "S: * LSUB (\\Noselect) \".\" INBOX.x", "S: * LSUB () \".\" INBOX.a_b", "S: r4 OK",
	    "C: r5 EXAMINE \"INBOX\"", "S: r5 OK [UIDVALIDITY 1]", "C: r6 EXAMINE \"INBOX.Entw&APw-rfe.a/b\"",
	    "S: r6 OK [UIDVALIDITY 2]", "C: r7 EXAMINE \"INBOX.INBOX\"", "S: r7 NO [NOPERM] not you",
	    "C: r8 EXAMINE \"INBOX.Tom & Jerry\"", "S: r8 OK [UIDVALIDITY 3]", "C: r9 EXAMINE \"INBOX.a_b\"",
	    "S: r9 OK [UIDVALIDITY 4]", "C: r10 EXAMINE \"INBOX.a/b\"", "S: r10 OK [UIDVALIDITY 5]", "C: r11 LOGOUT"),
	  .want = "box INBOX 1 0 0\nbox Entw\xc3\xbcrfe/a_b 2 0 0\n"
	          "! imap://PATH: INBOX/INBOX: the server says NO: not you\n"
	    "box Tom & Jerry 3 0 20\nbox a_b 4 0 0 subscribed\nbox a_b (2) 5 0 0\nsubscribed gone\n" },
	{ .name = "imap: names in UTF-8", .mailbox = "\xc3\xbc", .script = SCRIPT(
	    "S: * OK [CAPABILITY IMAP4rev1 ENABLE UTF8=ACCEPT] hello", "C: r1 LOGIN \"anna\" \"pass\\\"word\"",
	    "S: r1 OK [CAPABILITY IMAP4rev1 ENABLE UTF8=ACCEPT] in", "C: r2 ENABLE UTF8=ACCEPT",
	    "S: * ENABLED X UTF8=ACCEPT", "S: r2 OK",
	    "C: r3 LIST \"\" \"*\"", "S: * LIST () \"/\" INBOX", "S: * LIST () \"/\" \"\xc3\xbc\"", "S: r3 OK",
	    "C: r4 LSUB \"\" \"*\"", "S: r4 OK", "C: r5 EXAMINE \"\xc3\xbc\"", "S: r5 OK [UIDVALIDITY 1]", "C: r6 LOGOUT"),
	  .want = "box \xc3\xbc 1 0 0\n" },
	{ .name = "imap: no such mailbox", .mailbox = "Sent", .script = SCRIPT(LISTED, "C: r4 LOGOUT"),
	  .want = "not found: imap://PATH: the server has no mailbox Sent\n" },
	{ .name = "imap: UIDs that do not last", .keep_uids = true, .script = SCRIPT(LISTED, "C: r4 EXAMINE \"inbox\"",
	    "S: * NO [UIDNOTSTICKY] x", "S: r4 OK [UIDVALIDITY 7]", "C: r5 LOGOUT"),
	  .want = "! imap://PATH: INBOX: the server gives it other UIDs each time, they "
	          "cannot be kept\n" },
	{ .name = "imap: turned away", .script = SCRIPT("S: * BYE too many\x1b[2J"),
	  .want = "io: imap://PATH: the server turns us away: too many?[2J\n" },
	{ .name = "imap: wrong password", .script = SCRIPT("S: * OK [CAPABILITY IMAP4rev1] hello",
	    "C: r1 LOGIN \"anna\" \"pass\\\"word\"", "S: r1 NO [AUTHENTICATIONFAILED] no", "C: r2 LOGOUT"),
	  .want = "denied: imap://PATH: login as anna refused: no\n" },
	{ .name = "imap: not without TLS", .starttls = true, .script = SCRIPT("S: * OK [CAPABILITY IMAP4rev1] hello", "C: r1 LOGOUT"),
	  .want = "denied: imap://PATH: the server offers no STARTTLS, so all would go in the "
	          "clear; imaps:// is TLS from the "
	    "start, --no-tls does without\n" },
	{ .name = "imap: no server", .script = SCRIPT("S: HTTP/1.1 400 Bad Request"),
	  .want = "syntax: imap://PATH: greeting: the server's answer cannot be understood: OK, NO "
	          "or BAD expected\n" },
	{ .name = "imap: PLAIN, waiting for the server", .mailbox = "x", .script = SCRIPT("S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello",
	    "C: r1 AUTHENTICATE PLAIN", "S: + ", "C: AGFubmEAcGFzcyJ3b3Jk", "S: r1 NO no", "C: r2 LOGOUT"),
	  .want = "denied: imap://PATH: login as anna refused: no\n" },

	{ .name = "imap: UTF-8 that is not enabled after all", .mailbox = "\xc3\xbc", .script = SCRIPT(
	    "S: * OK [CAPABILITY IMAP4rev1 ENABLE UTF8=ACCEPT] hello", "C: r1 LOGIN \"anna\" \"pass\\\"word\"",
	    "S: r1 OK [CAPABILITY IMAP4rev1 ENABLE UTF8=ACCEPT] in", "C: r2 ENABLE UTF8=ACCEPT", "S: * ENABLED", "S: r2 OK",
	    "C: r3 LIST \"\" \"*\"", "S: * LIST () \"/\" \"&APw-\"", "S: r3 OK", "C: r4 LSUB \"\" \"*\"", "S: r4 OK",
	    "C: r5 EXAMINE \"&APw-\"", "S: r5 OK [UIDVALIDITY 1]", "C: r6 LOGOUT"),
	  .want = "box \xc3\xbc 1 0 0\n" },

	/* servers without end */
	{ .name = "imap: lines without end", .script = SCRIPT(LOGIN, "C: r2 LIST \"\" \"*\"", "E: * OK Still here"),
	  .want = "limit: imap://PATH: listing the mailboxes: the server's answer does not end\n" },
	{ .name = "imap: a line without end", .script = SCRIPT(LOGIN, "C: r2 LIST \"\" \"*\"", "s: * OK ", "e: x"),
	  .want = "limit: imap://PATH: listing the mailboxes: the server's answer is too long\n" },
	{ .name = "imap: a greeting without end", .script = SCRIPT("s: * OK ", "e: x"),
	  .want = "limit: imap://PATH: greeting: the server's answer is too long\n" },
	{ .name = "imap: challenges without end", .script = SCRIPT("S: * OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello",
	    "C: r1 AUTHENTICATE PLAIN", "E: + "),
	  .want = "denied: imap://PATH: the server's challenges do not end\n" },
	{ .name = "imap: mailboxes without end", .script = SCRIPT(LOGIN, "C: r2 LIST \"\" \"*\"",
	    "N50001 * LIST () \"/\" box%u", "S: r2 OK", "X"),
	  .want = "limit: imap://PATH: listing the mailboxes: the server has too "
	          "many mailboxes\n" },
	{ .name = "imap: mailboxes of one name without end", .script = SCRIPT(LOGIN, "C: r2 LIST \"\" \"*\"",
	    "N128 * LIST () \"/\" box%c", "S: r2 OK", "X"),
	  .want = "limit: imap://PATH: listing the mailboxes: the server has too "
	          "many mailboxes\n" },
	{ .name = "imap: subscriptions without end", .script = SCRIPT(LOGIN, "C: r2 LIST \"\" \"*\"", "S: r2 OK",
	    "C: r3 LSUB \"\" \"*\"", "N50001 * LSUB () \"/\" box%u", "S: r3 OK", "X"),
	  .want = "limit: imap://PATH: the server has too many mailboxes\n" },
	{ .name = "imap: UIDs without end", .script = SCRIPT(LISTED, "C: r4 EXAMINE \"inbox\"", "S: * 3 EXISTS", "S: r4 OK",
	    "C: r5 UID SEARCH UID 1:*", "s: * SEARCH", "e:  7 8",
	    AGAIN("r6", "r7"), "S: * 3 EXISTS", "S: r7 OK", "C: r8 UID SEARCH UID 1:*", "E: * SEARCH 7",
	    AGAIN("r9", "r10"), "S: * 3 EXISTS", "S: r10 OK", "C: r11 UID SEARCH UID 1:*", "E: * ESEARCH UID ALL 1:9"),
	  .want = "limit: imap://PATH: INBOX: the server's answer does not end\n" },
	{ .name = "imap: all UIDs that there are", .script = SCRIPT(LISTED, "C: r4 EXAMINE \"inbox\"",
	    "S: * 4294967295 EXISTS", "S: r4 OK", "C: r5 UID SEARCH UID 1:*", "S: * ESEARCH UID ALL 1:4294967295", "S: r5 OK",
	    "C: r6 LOGOUT"),
	  .want = "! imap://PATH: INBOX: the server finds more than 16777216 messages in it\n" },
	{ .name = "imap: a text without end", .enough = 10, .script = SCRIPT(KNOWN, "C: r7 UID FETCH 2 (UID BODY.PEEK[])",
	    "S: * 1 FETCH (UID 2 BODY[] {99999999999}", "e: 0123456", AGAIN("r8", "r9"), "S: r9 OK [UIDVALIDITY 7]",
	    "C: r10 UID FETCH 3 (UID BODY.PEEK[])", "S: * 2 FETCH (UID 3 BODY[] {1}", "S: b)", "S: r10 OK",
	    "C: r11 UID FETCH 5 (UID BODY.PEEK[])", "S: * 3 FETCH (UID 5 BODY[] {99999999999}", "e: 9876543", AGAIN("r12", "r13"),
	    "S: r13 OK [UIDVALIDITY 7]", "C: r14 LOGOUT"),
	  .want = BOX M2 " (01234560123456 enough\n" M3 " (b)\n" M5 " (98765439876543 enough\n" },
	{ .name = "imap: a text that was not asked for, without end", .script = SCRIPT(KNOWN,
	    "C: r7 UID FETCH 2 (UID BODY.PEEK[])", "S: * 9 FETCH (UID 99 BODY[] {99999999999}", "e: x", AGAIN("r8", "r9"),
	    "S: r9 OK [UIDVALIDITY 7]", "C: r10 UID FETCH 2 (UID BODY.PEEK[])", "S: * 1 FETCH (UID 2 BODY[] {1}", "S: a)",
	    "S: r10 OK", "C: r11 UID FETCH 3 (UID BODY.PEEK[])", "C: r12 UID FETCH 5 (UID BODY.PEEK[])", "S: r11 NO x",
	    "S: r12 NO y", "C: r13 LOGOUT"),
	  .want = BOX M2 " (a)\n" M3 " ( corrupt: imap://PATH: the server says: x\n"
	    M5 " ( corrupt: imap://PATH: the server says: y\n" },
	{ .name = "pop3: a line without end", .pop3 = true, .script = SCRIPT("s: +OK ", "e: x"),
	  .want = "limit: pop://PATH: greeting: the server sends a line without end\n" },
	{ .name = "pop3: capabilities without end", .pop3 = true, .script = SCRIPT("S: +OK hello", "C: CAPA", "S: +OK", "E: X"),
	  .want = "limit: pop://PATH: the server's list of capabilities does not end\n" },
	{ .name = "pop3: challenges without end", .pop3 = true, .script = SCRIPT("S: +OK hello", "C: CAPA", "S: +OK",
	    "S: SASL PLAIN", "S: .", "C: AUTH PLAIN AGFubmEAcGFzcyJ3b3Jk", "E: + "),
	  .want = "denied: pop://PATH: the server's challenges do not end\n" },
	{ .name = "pop3: unique-ids without end", .pop3 = true, .script = SCRIPT("S: +OK hello", POP_LISTED, "C: LIST", "S: +OK",
	    "S: 1 3", "S: .", "C: UIDL", "S: +OK", "E: 1 a"),
	  .want = "limit: pop://PATH: the server has too many messages\n" },
	{ .name = "pop3: a header without end", .pop3 = true, .script = SCRIPT("S: +OK hello", POP_LISTED, "C: LIST", "S: +OK",
	    "S: 1 3", "S: .", "C: UIDL", "S: -ERR", "C: TOP 1 0", "S: +OK", "E: A: b"),
	  .want = "box INBOX 0 0 0 subscribed\n"
	          "cancelled: pop://PATH: the server's answer to TOP does not end\n" },
	{ .name = "pop3: a text without end", .pop3 = true, .enough = 10, .script = SCRIPT("S: +OK hello", POP_LISTED, "C: LIST",
	    "S: +OK", "S: 1 3", "S: 2 3", "S: .", "C: UIDL", "S: +OK", "S: 1 aaa", "S: 2 bbb", "S: .", TOPPED(1), TOPPED(2),
	    "C: RETR 1", "S: +OK", "e: 0123456", "S: +OK hello", POP_LISTED, "C: LIST", "S: +OK", "S: 1 3", "S: 2 3", "S: .",
	    "C: UIDL", "S: +OK", "S: 1 aaa", "S: 2 bbb", "S: .", "C: RETR 2", "S: +OK", "S: b", "S: .", "C: QUIT"),
	  .want = "box INBOX 0 0 0 subscribed\n"
	          "0 0[] " POP_DATE " 3 <aaa> <aaa> (012345601234 enough\n"
	    "0 0[] " POP_DATE " 3 <bbb> <bbb> (b\r\n)\n" },

	{ .name = "pop3: all messages", .pop3 = true, .script = SCRIPT("S: +OK hello", POP_LISTED, "C: LIST", "S: +OK",
	    "S: 1 3 octets", "S: 2 12", "S: .", "C: UIDL", "S: +OK", "S: 1 aaa", "S: 2 b b", "S: .", TOPPED(1), TOPPED(2), "C: RETR 1",
	    "S: +OK", "S: ..", "S: .\rx", "S: .", "C: RETR 2", "S: -ERR damaged", "C: QUIT"),
	  .want = "box INBOX 0 0 0 subscribed\n0 0[] " POP_DATE " 3 <aaa> <aaa> (.\r\n\rx\r\n)\n"
	    "0 0[] " POP_DATE " 12 <> <> ( corrupt: pop://PATH: the server says: damaged\n" },
	{ .name = "pop3: a connection that breaks, other numbers", .pop3 = true, .script = SCRIPT("S: +OK hello", POP_LISTED,
	    "C: LIST", "S: +OK", "S: 1 3", "S: 2 12", "S: .", "C: UIDL", "S: +OK", "S: 1 aaa", "S: 2 bbb", "S: .", TOPPED(1),
	    TOPPED(2), "C: RETR 1", "S: +OK", "S: one", "S: .", "C: RETR 2", "S: +OK", "S: 0123456789", "X", "S: +OK hello",
	    POP_LISTED, "C: LIST", "S: +OK", "S: 1 12", "S: .", "C: UIDL", "S: +OK", "S: 1 bbb", "S: .", "C: RETR 1",
	    "S: +OK", "S: 0123456789", "S: x", "S: .", "C: QUIT"),
	  .want = "box INBOX 0 0 0 subscribed\n0 0[] " POP_DATE " 3 <aaa> <aaa> (one\r\n)\n"
	    "0 0[] " POP_DATE " 12 <bbb> <bbb> (0123456789\r\nx\r\n)\n" },
	{ .name = "pop3: wrong password", .pop3 = true, .script = SCRIPT("S: +OK hello", "C: CAPA", "S: -ERR", "C: USER anna",
	    "S: +OK", "C: PASS pass\"word", "S: -ERR [AUTH] no", "C: QUIT"),
	  .want = "denied: pop://PATH: login as anna refused: the server says: [AUTH] no\n" },
	{ .name = "pop3: no server", .pop3 = true, .script = SCRIPT("S: * OK hello"),
	  .want = "syntax: pop://PATH: greeting: the server's answer cannot be understood: "
	          "* OK hello\n" },
};

int
main(void)
{
	static struct CMUnitTest tests[UNIT_COUNT(cases)];
	size_t n = 0;

	signal(SIGPIPE, SIG_IGN);
	for (; n < UNIT_COUNT(cases); n++)
		tests[n] = (struct CMUnitTest){ cases[n].name, test_remote, NULL, NULL,
		                                (void *)(uintptr_t)&cases[n] };
	return _cmocka_run_group_tests("remote", tests, n, NULL, NULL);
}
