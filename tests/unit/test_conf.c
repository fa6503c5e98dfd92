/* conf: what a file may say, what is refused and in which words, and that the manual
 * has every key. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/conf.h"

#define WHOLE "[volume v1]\npath = volumes/v1\n[listen a]\nprotocol = imap\nport = 10143\n"

static char dir[64];
static char file[80];

static int
make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/test_conf.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(file, sizeof file, "%s/restante.conf", dir);
	return 0;
}

static int
drop_dir(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

static enum rc
load(struct slice text, struct conf **c, struct err *e)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text.ptr, 1, text.len, f), text.len);
	fclose(f);
	return conf_load(file, c, e);
}

static void
test_defaults(void **state)
{
	struct err e = ERR_INIT;
	struct conf *c;
	char want[128];

	(void)state;
	assert_int_equal(load(SLICE(WHOLE), &c, &e), RC_OK);
	assert_string_equal(c->path, file);
	assert_string_equal(c->dir, dir);
	assert_string_equal(c->server.user, "");
	assert_int_equal(c->server.log_level, LOGLEVEL_INFO);
	snprintf(want, sizeof want, "%s/control.sock", dir);
	assert_string_equal(c->server.control_socket, want);
	assert_false(c->server.allow_plaintext_on_loopback);
	assert_int_equal(c->server.idle_timeout, 1800);
	assert_int_equal(c->server.account_quota, 0);
	assert_int_equal(c->server.overquota_reply, CONF_OVERQUOTA_452);
	assert_string_equal(c->tls.certificate, "");
	assert_int_equal(c->tls.min_version, CONF_TLS_1_2);
	assert_int_equal(c->limits.message_size, 100 * 1024 * 1024);
	assert_int_equal(c->n_volumes, 1);
	snprintf(want, sizeof want, "%s/volumes/v1", dir);
	assert_string_equal(c->volumes[0].named.name, "v1");
	assert_string_equal(c->volumes[0].path, want);
	assert_int_equal(c->volumes[0].durability, CONF_STRICT);
	assert_int_equal(c->n_listens, 1);
	assert_string_equal(c->listens[0].address, "127.0.0.1");
	assert_int_equal(c->listens[0].port, 10143);
	assert_string_equal(c->listens[0].socket, "");
	conf_free(&c);
	assert_null(c);
	conf_free(&c);
}

static void
test_all_set(void **state)
{
	static const char text[] =
	    "\xef\xbb\xbf# a comment\r\n"
	    "  [server]\r\n"
	    "\tuser = restante ; who\n"
	    "log_level: debug\n"
	    "allow_plaintext_on_loopback = yes\n"
	    "idle_timeout = 2h\n"
	    "account_quota = 3G\n"
	    "overquota_reply = 552\n"
	    "control_socket = /run/r.sock\n"
	    "[ tls ] ; here\n"
	    "certificate = c.pem\nkey = /k.pem\nmin_version = 1.3\n"
	    "[volume v.1]\npath=/srv/mail\ndurability=relaxed\n"
	    "[listen s]\nprotocol=lmtp\nsocket=lmtp.sock\nmode=0600\n"
	    "[listen  t]\nprotocol=imaps\naddress=::\nport=65535\n"
	    "[limits]\nmessage_size=64K\nmax_recipients=100\nauth_timeout=90";
	struct err e = ERR_INIT;
	struct conf *c;
	char want[128];

	(void)state;
	assert_int_equal(load(slice_str(text), &c, &e), RC_OK);
	assert_string_equal(c->server.user, "restante");
	assert_int_equal(c->server.log_level, LOGLEVEL_DEBUG);
	assert_true(c->server.allow_plaintext_on_loopback);
	assert_int_equal(c->server.idle_timeout, 7200);
	assert_true(c->server.account_quota == UINT64_C(3) << 30);
	assert_int_equal(c->server.overquota_reply, CONF_OVERQUOTA_552);
	assert_string_equal(c->server.control_socket, "/run/r.sock");
	snprintf(want, sizeof want, "%s/c.pem", dir);
	assert_string_equal(c->tls.certificate, want);
	assert_string_equal(c->tls.key, "/k.pem");
	assert_int_equal(c->tls.min_version, CONF_TLS_1_3);
	assert_int_equal(c->volumes[0].durability, CONF_RELAXED);
	assert_string_equal(c->volumes[0].path, "/srv/mail");
	snprintf(want, sizeof want, "%s/lmtp.sock", dir);
	assert_string_equal(c->listens[0].socket, want);
	assert_int_equal(c->listens[0].mode, 0600);
	assert_int_equal(c->listens[0].port, 0);
	assert_int_equal(c->listens[1].protocol, CONF_IMAPS);
	assert_string_equal(c->listens[1].named.name, "t");
	assert_int_equal(c->listens[1].port, 65535);
	assert_int_equal(c->limits.message_size, 65536);
	assert_int_equal(c->limits.max_recipients, 100);
	assert_int_equal(c->limits.auth_timeout, 90);
	conf_free(&c);
}

static void
test_lists(void **state)
{
	static const char text[] = WHOLE
	    "[auth]\nadmins = a, b c ,d\n[lmtp]\nnetworks = 192.0.2.0/24,::1\n"
	    "[tls]\ncertificate = c\nkey = k\n[certificate x]\ncertificate = c\nkey = k\n";
	struct err e = ERR_INIT;
	struct conf *c;
	char want[128];

	(void)state;
	assert_int_equal(load(slice_str(text), &c, &e), RC_OK);
	assert_int_equal(c->auth.admins.count, 3);
	assert_string_equal(c->auth.admins.words[0], "a");
	assert_string_equal(c->auth.admins.words[1], "b c");
	assert_string_equal(c->auth.admins.words[2], "d");
	assert_int_equal(c->lmtp.networks.count, 2);
	assert_int_equal(c->lmtp.networks.list[0].bits, 120);
	assert_int_equal(c->lmtp.networks.list[1].bits, 128);
	assert_int_equal(c->n_certificates, 1);
	assert_string_equal(c->certificates[0].named.name, "x");
	snprintf(want, sizeof want, "%s/k", dir);
	assert_string_equal(c->certificates[0].key, want);
	conf_free(&c);
	assert_int_equal(load(SLICE(WHOLE), &c, &e), RC_OK);
	assert_int_equal(c->auth.admins.count, 0);
	assert_int_equal(c->lmtp.networks.count, 0);
	conf_free(&c);
}

/* What a listener asks of clients, given what [tls] says. */
static void
test_client_certificates(void **state)
{
	struct conf_tls tls = { .client_ca = "/ca.pem",
	                        .client_certificates = CONF_CLIENT_OPTIONAL };
	struct conf_tls none = { .client_ca = "", .client_certificates = CONF_CLIENT_OPTIONAL };

	(void)state;
	assert_int_equal(conf_listen_client(&tls, CONF_LISTEN_AS_TLS), CONF_CLIENT_OPTIONAL);
	assert_int_equal(conf_listen_client(&tls, CONF_LISTEN_OFF), CONF_CLIENT_OFF);
	assert_int_equal(conf_listen_client(&tls, CONF_LISTEN_OPTIONAL), CONF_CLIENT_OPTIONAL);
	assert_int_equal(conf_listen_client(&tls, CONF_LISTEN_REQUIRED), CONF_CLIENT_REQUIRED);
	assert_int_equal(conf_listen_client(&none, CONF_LISTEN_AS_TLS), CONF_CLIENT_OFF);
	assert_int_equal(conf_listen_client(&none, CONF_LISTEN_OPTIONAL), CONF_CLIENT_OFF);
}

#define L(k) "[volume v]\npath=v\n[listen a]\nprotocol=imap\nport=1\n" k

static const struct bad_case {
	const char  *name;
	struct slice text;
	const char  *want;      /* what follows "FILE:" */
} bad_cases[] = {
	{ "unknown section", SLICE_INIT("\n[servers]\n"),
	  "2: unknown section [servers]: there are server, tls, certificate NAME, auth, lmtp, "
	  "pop3, limits, maintenance, volume NAME, listen NAME" },
	{ "unknown key", SLICE_INIT("[server]\nusr = x\n"), "2: [server] has no key usr" },
	{ "key of another section", SLICE_INIT("[server]\npath = x\n"), "2: [server] has no key path" },
	{ "key twice", SLICE_INIT("[server]\nuser=a\nuser=a\n"), "3: [server] user appears twice" },
	{ "section twice", SLICE_INIT("[tls]\n[server]\n[tls]\n"), "3: section [tls] appears twice" },
	{ "empty section twice", SLICE_INIT("[server]\n[server]\n"), "2: section [server] appears twice" },
	{ "volume twice", SLICE_INIT("[volume v]\npath=a\n[volume v]\n"),
	  "3: section [volume v] appears twice (first in line 1)" },
	{ "one path for two volumes", SLICE_INIT("[volume v]\npath=a\n[volume w]\npath=a\n"),
	  "3: [volume w] has the path of [volume v]" },
	{ "listener twice", SLICE_INIT(L("[listen a]\n")), "6: section [listen a] appears twice (first in line 3)" },
	{ "one port for two", SLICE_INIT(L("[listen b]\nprotocol=lmtp\nport=1\n")),
	  "6: [listen b] has the address and port, or socket, of [listen a]" },
	{ "catch-all without a domain", SLICE_INIT("[lmtp]\ncatch_all = anna, =boris\n"),
	  "1: [lmtp] catch_all: =boris: allowed: domain=account, or an account" },
	{ "catch-all without an account", SLICE_INIT("[lmtp]\ncatch_all = example.org=\n"),
	  "1: [lmtp] catch_all: example.org=: allowed: domain=account, or an account" },
	{ "junk without a field", SLICE_INIT("[lmtp]\njunk_headers = : YES\n"),
	  "1: [lmtp] junk_headers: : YES: allowed: Field: value, or a field" },
	{ "LMTP on the port of SMTP", SLICE_INIT(L("[listen b]\nprotocol=lmtp\nport=25\n")),
	  "6: [listen b] port 25 is for SMTP, not for LMTP: use another, or a socket" },
	{ "name wanted", SLICE_INIT("[volume]\n"),
	  "1: section [volume NAME]: a name of at most 40 letters, digits, - _ . is needed" },
	{ "name leaves the directory", SLICE_INIT("[volume ../v]\n"),
	  "1: section [volume NAME]: a name of at most 40 letters, digits, - _ . is needed" },
	{ "name is the parent", SLICE_INIT("[volume ..]\n"),
	  "1: section [volume NAME]: a name of at most 40 letters, digits, - _ . is needed" },
	{ "name not wanted", SLICE_INIT("[server x]\n"), "1: section [server] takes no name" },
	{ "key before sections", SLICE_INIT("user = x\n"), "1: user stands before the first [section]" },
	{ "no equals sign", SLICE_INIT("[server]\nuser\n"), "2: expected [section] or key = value" },
	{ "header not closed", SLICE_INIT("[server\n"), "1: expected [section] and nothing behind it" },
	{ "text behind header", SLICE_INIT("[server] user = x\n"), "1: expected [section] and nothing behind it" },
	{ "word", SLICE_INIT("[server]\nlog_level = loud\n"),
	  "2: [server] log_level = loud: allowed: error, warn, info, debug" },
	{ "yes or no", SLICE_INIT("[server]\nallow_plaintext_on_loopback = true\n"),
	  "2: [server] allow_plaintext_on_loopback = true: allowed: yes or no" },
	{ "number", SLICE_INIT("[server]\nreactors = -1\n"),
	  "2: [server] reactors = -1: allowed: a number from 0 to 256" },
	{ "number above", SLICE_INIT("[server]\nreactors = 257\n"),
	  "2: [server] reactors = 257: allowed: a number from 0 to 256" },
	{ "number with suffix", SLICE_INIT("[server]\nreactors = 1K\n"),
	  "2: [server] reactors = 1K: allowed: a number from 0 to 256" },
	{ "size overflows", SLICE_INIT("[limits]\nmessage_size = 18446744073709551615G\n"),
	  "2: [limits] message_size = 18446744073709551615G: allowed: "
	  "bytes from 1024 to 4294967295, also with K, M or G" },
	{ "size wraps into the range", SLICE_INIT("[limits]\nmessage_size = 18014398509481985K\n"),
	  "2: [limits] message_size = 18014398509481985K: allowed: "
	  "bytes from 1024 to 4294967295, also with K, M or G" },
	{ "size suffix alone", SLICE_INIT("[limits]\ncommand_size = K\n"),
	  "2: [limits] command_size = K: allowed: bytes from 1024 to 16777216, also with K, M or G" },
	{ "comment behind a value", SLICE_INIT("[server]\nuser = a # who\n"),
	  "2: [server] user: a # behind a value begins no comment: comments stand on lines of their own" },
	{ "comment for a value", SLICE_INIT("[server]\nuser = #none\n"),
	  "2: [server] user: a # behind a value begins no comment: comments stand on lines of their own" },
	{ "duration", SLICE_INIT("[server]\nidle_timeout = 30 minutes\n"),
	  "2: [server] idle_timeout = 30 minutes: allowed: a time from 1s to 604800s, with s, m, h or d" },
	{ "mode", SLICE_INIT("[listen a]\nmode = 0668\n"),
	  "2: [listen a] mode = 0668: allowed: an octal number from 0 to 0777" },
	{ "address is a name", SLICE_INIT("[listen a]\naddress = localhost\n"),
	  "2: [listen a] address = localhost: allowed: an IPv4 or IPv6 address in digits" },
	{ "port 0", SLICE_INIT("[listen a]\nport = 0\n"), "2: [listen a] port = 0: allowed: a number from 1 to 65535" },
	{ "empty path", SLICE_INIT("[volume v]\npath =\n"), "2: [volume v] path = : allowed: a path" },
	{ "key missing", SLICE_INIT("\n[volume v]\n\n[tls]\n"), "2: [volume v] lacks the key path" },
	{ "key missing at end", SLICE_INIT("[listen v]\nport=1"), "1: [listen v] lacks the key protocol" },
	{ "neither port nor socket", SLICE_INIT("[listen v]\nprotocol=imap\n"),
	  "1: [listen v] wants either port or socket" },
	{ "port and socket", SLICE_INIT("[listen v]\nprotocol=imap\nport=1\nsocket=s\n"),
	  "1: [listen v] wants either port or socket" },
	{ "TLS without certificate", SLICE_INIT("[volume v]\npath=v\n[listen a]\nprotocol=imaps\nport=1\n"),
	  "3: [listen a] speaks TLS: [tls] certificate and key are needed" },
	{ "certificate without key", SLICE_INIT(L("[tls]\ncertificate=c\n")), "7: [tls] wants both certificate and key" },
	{ "further certificate alone", SLICE_INIT(L("[certificate x]\ncertificate=c\nkey=k\n")),
	  "6: [certificate x] is a further one: [tls] certificate and key are needed" },
	{ "clients verified by nobody", SLICE_INIT(L("client_certificates=required\n")),
	  "6: client_certificates = required needs [tls] client_ca" },
	{ "also in [tls]", SLICE_INIT(L("[tls]\nclient_certificates=required\n")),
	  "7: client_certificates = required needs [tls] client_ca" },
	{ "revoked by nobody", SLICE_INIT(L("[tls]\nclient_crl=c\n")), "7: [tls] client_crl needs client_ca" },
	{ "certificate without key in a section", SLICE_INIT("[certificate c]\ncertificate=c\n[tls]\n"),
	  "1: [certificate c] lacks the key key" },
	{ "certificate twice", SLICE_INIT("[certificate c]\ncertificate=c\nkey=k\n[certificate c]\n"),
	  "4: section [certificate c] appears twice (first in line 1)" },
	{ "network", SLICE_INIT("[lmtp]\nnetworks = ::1, 192.0.2.1/24\n"),
	  "2: [lmtp] networks = ::1, 192.0.2.1/24: allowed: "
	  "IP addresses and networks, as in \"192.0.2.0/24, 2001:db8::/32\"; at most 256" },
	{ "empty network", SLICE_INIT("[lmtp]\nnetworks = ::1,,::2\n"),
	  "2: [lmtp] networks = ::1,,::2: allowed: "
	  "IP addresses and networks, as in \"192.0.2.0/24, 2001:db8::/32\"; at most 256" },
	{ "empty word", SLICE_INIT("[auth]\nadmins = a, , b\n"),
	  "2: [auth] admins = a, , b: allowed: words with commas between them; at most 64" },
	{ "no volume", SLICE_INIT("[listen a]\nprotocol=imap\nport=1\n"), "3: there is no section [volume NAME]" },
	{ "no listener", SLICE_INIT("[volume v]\npath=v\n"), "2: there is no section [listen NAME]" },
	{ "empty file", SLICE_INIT(""), "0: there is no section [volume NAME]" },
	{ "NUL", SLICE_INIT("[server]\nuser = a\0b\n"), "2: line holds a NUL byte" },
	{ "first error is told", SLICE_INIT("[server]\nx=1\n[nope]\n"), "2: [server] has no key x" },
};

static void
test_refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(bad_cases); i++) {
		const struct bad_case *k = &bad_cases[i];
		struct err e = ERR_INIT;
		struct conf *c;
		char want[512];

		snprintf(want, sizeof want, "%s:%s", file, k->want);
		if (load(k->text, &c, &e) != RC_SYNTAX || strcmp(e.text, want) != 0)
			fail_msg("%s: got \"%s\", want \"%s\"", k->name, e.text, want);
		assert_null(c);
	}
}

/* Whatever a file is cut off at, the answer is a configuration or an error. */
static void
test_prefixes(void **state)
{
	static const char text[] = WHOLE "[server]\nuser = x\n[tls]\n";

	(void)state;
	for (size_t len = 0; len < sizeof text; len++) {
		struct err e = ERR_INIT;
		struct conf *c;
		enum rc rc = load(slice_of(text, len), &c, &e);

		assert_true((rc == RC_OK) == (c != NULL));
		assert_true(rc == RC_OK || rc == RC_SYNTAX);
		conf_free(&c);
	}
}

static void
test_long_lines(void **state)
{
	struct err e = ERR_INIT;
	struct conf *c;
	struct buf text;

	(void)state;
	buf_init(&text, 8192);
	buf_append_str(&text, "#");
	for (int i = 0; i < 300; i++)
		buf_append_str(&text, "long ");
	buf_append_str(&text, "\n" WHOLE);
	assert_int_equal(load(buf_slice(&text), &c, &e), RC_OK);
	conf_free(&c);
	buf_reset(&text);
	buf_append_str(&text, "[server]\nhostname = ");
	for (int i = 0; i < 300; i++)
		buf_append_str(&text, "x");
	assert_int_equal(load(buf_slice(&text), &c, &e), RC_SYNTAX);
	assert_non_null(strstr(e.text, ":2: line is longer than 197 bytes"));
	buf_fini(&text);
}

static void
test_unreadable(void **state)
{
	struct err e = ERR_INIT;
	struct conf *c;

	(void)state;
	assert_int_equal(conf_load("/nonexistent/restante.conf", &c, &e), RC_NOT_FOUND);
	unlink(file);
	assert_int_equal(conf_load(file, &c, &e), RC_NOT_FOUND);
	assert_int_equal(conf_load(dir, &c, &e), RC_IO);        /* a directory */
	assert_null(c);
}

/* Where the section or heading that begins before `at` ends. */
static const char *
manual_end(const char *at)
{
	const char *section = strstr(at, "\n.Ss "), *heading = strstr(at, "\n.Sh ");

	assert_non_null(heading);
	return section != NULL && section < heading ? section : heading;
}

/* The page's text of one key of a section ("server", "listen NAME"), up to the next one's. */
static bool
manual_entry(const char *manual, const char *section, const char *name, char *out, size_t size)
{
	char find[80];
	const char *begin, *next, *end;

	snprintf(find, sizeof find, "\n.Ss [%s]\n", section);
	begin = strstr(manual, find);
	if (begin == NULL)
		return false;
	begin += strlen(find);
	end = manual_end(begin);
	snprintf(find, sizeof find, "\n.It Cm %s", name);
	do
		begin = strstr(begin + 1, find);
	while (begin != NULL && begin < end && strchr(" \n", begin[strlen(find)]) == NULL);
	if (begin == NULL || begin >= end)
		return false;
	next = strstr(begin + 1, "\n.It Cm ");
	if (next != NULL && next < end)
		end = next;
	return slice_to_cstr(slice_of(begin, (size_t)(end - begin)), out, size);
}

/* What stands behind ".Ql NAME = " in the text, or on a line of an example of several: taken,
 * wherever it is allowed. */
static void
check_example(const char *section, const char *name, const char *entry)
{
	char find[80], text[400], file_text[700];
	struct err e = ERR_INIT;
	struct conf *c;
	const char *at;

	snprintf(find, sizeof find, "\n.Ql %s = ", name);
	at = strstr(entry, find);
	if (at == NULL) {
		snprintf(find, sizeof find, "\n%s = ", name);
		at = strstr(entry, find);
	}
	if (at == NULL)
		fail_msg("restante.conf.5 has no example of [%s] %s", section, name);
	snprintf(text, sizeof text, "%.*s", (int)strcspn(at + strlen(find), "\n"),
	         at + strlen(find));
	if (strlen(text) > 2 && strpbrk(text + strlen(text) - 2, ".;:") != NULL &&
	    text[strlen(text) - 2] == ' ')
		text[strlen(text) - 2] = '\0';
	snprintf(file_text, sizeof file_text, "[%s]\n%s = %s\n" WHOLE, section, name, text);
	if (load(slice_str(file_text), &c, &e) == RC_OK)
		conf_free(&c);
	else if (strstr(e.text, "allowed") != NULL || strstr(e.text, "has no key") != NULL)
		fail_msg("restante.conf.5, example of [%s] %s: %s", section, name, e.text);
}

/* Each key as conf_describe tells it stands in the page, in its section: with the default, or that
 * there is none; with a unit, if it is in bytes; and with an example that can be used. */
static void
test_manual_has_every_key(void **state)
{
	static char manual[65536];
	FILE *f = fopen(UNIT_SRCDIR "/doc/restante.conf.5", "r");
	char section[64] = "", name[64] = "", preset[64], want[160], entry[8192] = "";
	struct buf out;
	char *save = NULL;

	(void)state;
	assert_non_null(f);
	manual[fread(manual, 1, sizeof manual - 1, f)] = '\0';
	fclose(f);
	buf_init(&out, 65536);
	conf_describe(&out);
	assert_true(buf_append_byte(&out, 0));
	for (char *line = strtok_r((char *)out.ptr, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		if (sscanf(line, "[%63[^]]]", section) == 1)
			continue;
		if (strncmp(line, "      bytes", 11) == 0 && strstr(entry, "ytes") == NULL)
			fail_msg("restante.conf.5 does not say that [%s] %s is bytes", section,
			         name);
		if (line[0] != ' ' || line[2] == ' ' || sscanf(line, "  %63[a-z_]", name) != 1)
			continue;
		if (!manual_entry(manual, section, name, entry, sizeof entry))
			fail_msg("restante.conf.5 lacks [%s] %s", section, name);
		if (sscanf(line, "  %*[a-z_] = %63[^\n]", preset) == 1)
			snprintf(want, sizeof want, "\n.It Cm %s No = Ar %s\n", name, preset);
		else
			snprintf(want, sizeof want, "\n.It Cm %s\n", name);
		if (strncmp(entry, want, strlen(want)) != 0)
			fail_msg("restante.conf.5, [%s]:\n%s\ninstead of%s", section, entry, want);
		if (strstr(line, "(must be given)") != NULL &&
		    strstr(entry, "Must be given") == NULL)
			fail_msg("restante.conf.5 does not say that [%s] %s must be given", section,
			         name);
		check_example(section, name, entry);
	}
	buf_fini(&out);
}

/* A session may be silent for idle_timeout, and still be told what was expunged before. */
static void
test_retention(void **state)
{
	static const struct {
		const char *text;
		uint64_t    retention;
	} cases[] = {
		{ WHOLE, 7 * 86400 },
		{ WHOLE "[maintenance]\nretention = 0s\n", 1800 },
		{ WHOLE "[maintenance]\nretention = 1799s\n", 1800 },
		{ WHOLE "[maintenance]\nretention = 1801s\n", 1801 },
		{ WHOLE "[maintenance]\nretention = 0s\n[server]\nidle_timeout = 2s\n", 2 },
		{ WHOLE "[server]\nidle_timeout = 7d\n[maintenance]\nretention = 1d\n", 7 * 86400 },
	};

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		struct err e = ERR_INIT;
		struct conf *c;

		assert_int_equal(load(slice_str(cases[i].text), &c, &e), RC_OK);
		assert_int_equal(c->maintenance.retention, cases[i].retention);
		conf_free(&c);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_all_set),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_client_certificates),
		cmocka_unit_test(test_retention),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_unreadable),
		cmocka_unit_test(test_manual_has_every_key),
	};

	return cmocka_run_group_tests_name("conf", tests, make_dir, drop_dir);
}
