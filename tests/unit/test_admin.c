/* admin: every verb over a real volume (two of them), as the tool and the daemon run it. */
#include "tests/unit/unit.h"

#include <ftw.h>
#include <sqlite3.h>
#include <stdio.h>
#include <unistd.h>

#include "index/admin.h"

#define ARGV_MAX 12
#define VERIFIER "SCRAM-SHA-256$10000:AAAAAAAAAAAAAAAAAAAAAA==$" \
                 "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="

static char dir[64];
static char paths[2][80];
static struct volume *volumes[2];

/* What a call printed. */
static struct buf printed, complained;
static const struct admin_absent *absent;       /* one, or NULL */
static unsigned lines_wanted;   /* the reader goes away after so many */
static unsigned lines_seen;

static bool
take_line(void *arg, struct slice text)
{
	(void)arg;
	assert_true(slice_find_byte(text, '\n') == text.len);
	buf_append_slice(&printed, text);
	buf_append_byte(&printed, '\n');
	return ++lines_seen < lines_wanted;
}

static void
take_error(void *arg, struct slice text)
{
	(void)arg;
	buf_append_slice(&complained, text);
	buf_append_byte(&complained, '\n');
}

static enum admin_exit
run_words(bool online, const char *command)
{
	static const struct admin_output out = { NULL, take_line, take_error, NULL, NULL };
	struct admin ad = { .volumes = volumes, .volume_count = 2, .online = online,
	                    .started_ms = 1, .out = &out };
	const char *argv[ARGV_MAX];
	char words[1024];
	int argc = 0;

	ad.absent = absent;
	ad.absent_count = absent != NULL ? 1 : 0;
	assert_true(slice_to_cstr(slice_str(command), words, sizeof words));
	for (char *p = strtok(words, " "); p != NULL; p = strtok(NULL, " ")) {
		assert_true(argc < ARGV_MAX);
		argv[argc++] = p;
	}
	buf_reset(&printed);
	buf_reset(&complained);
	lines_seen = 0;
	return admin_run(&ad, argc, argv);
}

static enum admin_exit
run(const char *command)
{
	lines_wanted = 1000000;
	return run_words(false, command);
}

static void
run_ok(const char *command)
{
	assert_int_equal(run(command), ADMIN_OK);
	assert_int_equal(complained.len, 0);
}

static bool
holds(const struct buf *b, const char *text)
{
	return slice_find(buf_slice(b), slice_str(text)) < b->len;
}

static int
remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st;
	(void)flag;
	(void)ftw;
	return remove(path);
}

static int
make_volumes(void **state)
{
	struct err e = ERR_INIT;

	(void)state;
	buf_init(&printed, 16u << 20);
	buf_init(&complained, 1u << 20);
	snprintf(dir, sizeof dir, "/tmp/test_admin.XXXXXX");
	if (mkdtemp(dir) == NULL)
		return 1;
	for (int i = 0; i < 2; i++) {
		struct volume_params p = { .name = i == 0 ? "v1" : "v2", .path = paths[i],
		                           .mode = VOLUME_WRITE };

		snprintf(paths[i], sizeof paths[i], "%s/%d", dir, i);
		if (volume_create(paths[i], &e) != RC_OK ||
		    volume_open(&p, &volumes[i], &e) != RC_OK) {
			print_error("%s\n", e.text);
			return 1;
		}
	}
	return 0;
}

static int
drop_volumes(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		volume_close(&volumes[i]);
	buf_fini(&printed);
	buf_fini(&complained);
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- words ---- */

static const struct usage_case {
	const char      *name;
	const char      *command;
	enum admin_exit  want;
	const char      *says;
} usages[] = {
	{ "nothing",            "",                               ADMIN_USAGE,  "usage" },
	{ "unknown verb",       "frob",                           ADMIN_USAGE,  "usage" },
	{ "half a verb",        "user",                           ADMIN_USAGE,  "usage" },
	{ "unknown second word", "user frob",                     ADMIN_USAGE,  "usage" },
	{ "word missing",       "user add anna",                  ADMIN_USAGE,  "usage: user add" },
	{ "word too many",      "user delete anna boris",         ADMIN_USAGE,  "usage: user delete" },
	{ "unknown option",     "check --frob",                   ADMIN_USAGE,  "usage: check" },
	{ "option of another",  "check --all",                    ADMIN_USAGE,  "usage: check" },
	{ "value missing",      "user list --volume",             ADMIN_USAGE,  "usage: user list" },
	{ "no such volume",     "user list --volume v3",          ADMIN_FAILED, "no volume v3" },
	{ "bytes not a number", "quota set anna many",            ADMIN_USAGE,  "usage: quota set" },
	{ "no such account",    "quota set nobody 1",             ADMIN_FAILED, "nobody: there is no such account" },
	{ "no limit",           "quota set anna",                 ADMIN_USAGE,  "usage: quota set" },
	{ "messages no number", "quota set --messages 1K anna 1", ADMIN_USAGE,  "usage: quota set" },
	{ "nothing to hide",    "user hide anna",                 ADMIN_USAGE,  "usage: user hide" },
	{ "unhide nothing",     "user unhide anna",               ADMIN_USAGE,  "usage: user unhide" },
	{ "unhide all and one", "user unhide --all anna IDLE",    ADMIN_USAGE,  "usage: user unhide" },
	{ "password in clear",  "user add clear secret",          ADMIN_FAILED, "no verifier" },
	{ "option as a name",   "user delete -- --yes",           ADMIN_FAILED, "--yes: there is no such account" },
	{ "name with a slash",  "user add a/b " VERIFIER,         ADMIN_FAILED, "a/b: a name may not hold U+002F" },
};

static void
test_usage(void **state)
{
	const struct usage_case *k = *state;

	assert_int_equal(run(k->command), k->want);
	assert_true(holds(&complained, k->says));
	assert_int_equal(printed.len, 0);
}

static void
test_verb_access(void **state)
{
	static const char *const add[] = { "user", "add" }, *const list[] = { "user", "list" },
	*const check[] = { "check" };
	static const char *const frob[] = { "frob" };
	struct admin_grammar g;

	(void)state;
	assert_true(admin_find_grammar(2, add, &g));
	assert_int_equal(g.access, ADMIN_WRITES);
	assert_true(admin_find_grammar(2, list, &g));
	assert_int_equal(g.access, ADMIN_READS);
	assert_true(admin_find_grammar(1, check, &g));
	assert_int_equal(g.access, ADMIN_LOOKS);
	assert_false(admin_find_grammar(1, add, &g));
	assert_false(admin_find_grammar(1, frob, &g));
	assert_false(admin_find_grammar(0, frob, &g));
}

static const struct name_case {
	const char  *name;
	struct slice in;
	enum rc      want;
} names[] = {
	{ "plain",               SLICE_INIT("anna"),                         RC_OK },
	{ "address",             SLICE_INIT("anna.b+c@example.org"),         RC_OK },
	{ "not ASCII",           SLICE_INIT("\xc3\xa4nne\xe6\x97\xa5"),      RC_OK },
	{ "combining mark",      SLICE_INIT("a\xcc\x88nne"),                 RC_OK },
	{ "empty",               SLICE_INIT(""),                             RC_SYNTAX },
	{ "space",               SLICE_INIT("a b"),                          RC_SYNTAX },
	{ "no-break space",      SLICE_INIT("a\xc2\xa0" "b"),                RC_SYNTAX },
	{ "zero-width space",    SLICE_INIT("a\xe2\x80\x8b" "b"),            RC_SYNTAX },
	{ "right-to-left override", SLICE_INIT("a\xe2\x80\xae" "b"),         RC_SYNTAX },
	{ "line separator",      SLICE_INIT("a\xe2\x80\xa8"),                RC_SYNTAX },
	{ "slash",               SLICE_INIT("a/b"),                          RC_SYNTAX },
	{ "NUL",                 SLICE_INIT("a\0"),                          RC_SYNTAX },
	{ "newline",             SLICE_INIT("a\n"),                          RC_SYNTAX },
	{ "DEL",                 SLICE_INIT("a\x7f"),                        RC_SYNTAX },
	{ "control of Latin-1",  SLICE_INIT("a\xc2\x85"),                    RC_SYNTAX },
	{ "not UTF-8",           SLICE_INIT("a\xff"),                        RC_SYNTAX },
	{ "cut character",       SLICE_INIT("a\xc3"),                        RC_SYNTAX },
};

static void
test_name(void **state)
{
	const struct name_case *k = *state;
	struct slice in = unit_copy(k->in);
	struct err e = ERR_INIT;

	assert_int_equal(admin_check_name(in, &e), k->want);
	unit_drop(in);
}

static void
test_name_length(void **state)
{
	struct err e = ERR_INIT;
	char name[ACCOUNT_NAME_MAX + 1];

	(void)state;
	memset(name, 'a', sizeof name);
	assert_int_equal(admin_check_name(slice_of(name, ACCOUNT_NAME_MAX), &e), RC_OK);
	assert_int_equal(admin_check_name(slice_of(name, ACCOUNT_NAME_MAX + 1), &e), RC_LIMIT);
}

static const struct size_case {
	const char *in;
	bool        ok;
	uint64_t    want;
} sizes[] = {
	{ "0", true, 0 },
	{ "1000", true, 1000 },
	{ "1K", true, 1024 },
	{ "5m", true, 5u << 20 },
	{ "2G", true, UINT64_C(2) << 30 },
	{ "3T", true, UINT64_C(3) << 40 },
	{ "9223372036854775807", true, INT64_MAX },
	{ "9223372036854775808", false, 0 },
	{ "8388607T", true, UINT64_C(8388607) << 40 },
	{ "8388608T", false, 0 },
	{ "", false, 0 },
	{ "K", false, 0 },
	{ "-1", false, 0 },
	{ "1.5G", false, 0 },
	{ "1KB", false, 0 },
	{ "many", false, 0 },
};

static void
test_size(void **state)
{
	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(sizes); i++) {
		uint64_t got = 0;

		assert_int_equal(admin_parse_size(slice_str(sizes[i].in), &got), sizes[i].ok);
		if (sizes[i].ok)
			assert_int_equal(got, sizes[i].want);
	}
}

/* ---- verbs ---- */

static void
test_accounts(void **state)
{
	(void)state;
	run_ok("user add anna " VERIFIER);
	assert_true(slice_eq(buf_slice(&printed), SLICE("anna: added to v1\n")));
	run_ok("user add --volume v2 --quota 5M boris " VERIFIER);
	assert_true(slice_eq(buf_slice(&printed), SLICE("boris: added to v2\n")));
	assert_int_equal(run("user add ANNA " VERIFIER), ADMIN_FAILED);
	assert_true(holds(&complained, "anna already"));
	/* A name is one in all volumes. */
	assert_int_equal(run("user add --volume v1 Boris " VERIFIER), ADMIN_FAILED);
	assert_int_equal(run("user add --volume v2 anna " VERIFIER), ADMIN_FAILED);
	run_ok("user list");
	assert_true(slice_eq(buf_slice(&printed), SLICE("anna\tv1\t0 messages\t0 bytes\tno quota\n"
	    "boris\tv2\t0 messages\t0 bytes\tquota 5242880\n")));
	run_ok("user list --json --volume v2");
	assert_true(slice_starts(buf_slice(&printed),
	                         SLICE("{\"name\":\"boris\",\"volume\":\"v2\",\"id\":\"")));
	run_ok("user passwd Boris " VERIFIER);
	assert_true(slice_eq(buf_slice(&printed), SLICE("Boris: the password is set\n")));
	assert_int_equal(run("user passwd nobody " VERIFIER), ADMIN_FAILED);
	run_ok("quota set Boris 1K");
	assert_true(slice_eq(buf_slice(&printed), SLICE("Boris: quota 1024 bytes\n")));
	run_ok("quota show boris");
	assert_true(holds(&printed, "\tquota 1024\n"));
	run_ok("quota set BORIS 0");
	assert_true(slice_eq(buf_slice(&printed), SLICE("BORIS: no quota\n")));
	run_ok("quota show boris");
	assert_true(holds(&printed, "no quota"));
	run_ok("quota set --messages 9 BORIS 0");
	assert_true(slice_eq(buf_slice(&printed), SLICE("BORIS: quota 9 messages\n")));
	run_ok("quota set boris 2K");
	assert_true(slice_eq(buf_slice(&printed), SLICE("boris: quota 2048 bytes, 9 messages\n")));
	run_ok("quota set --messages 7 boris");
	assert_true(slice_eq(buf_slice(&printed), SLICE("boris: quota 2048 bytes, 7 messages\n")));
	run_ok("quota set boris --messages 9");
	run_ok("user list --volume v2");
	assert_true(holds(&printed, "\tquota 2048, 9 messages\n"));
	run_ok("user show --json boris");
	assert_true(holds(&printed,
	    "\"quota\":2048,\"quota_messages\":9,\"hidden\":[],\"locked\":false,\"credentials\":[{"
	    "\"name\":\"password\",\"kinds\":[\"SCRAM-SHA-256\"],\"only\":[]}]}"));
	run_ok("quota set boris --messages 0 0");
	assert_true(slice_eq(buf_slice(&printed), SLICE("boris: no quota\n")));
	run_ok("quota show");
	assert_true(holds(&printed, "anna\t") && holds(&printed, "boris\t"));
	run_ok("user delete boris");
	assert_true(slice_starts(buf_slice(&printed),
	    SLICE("boris: deleted, with its mail; undelete --account brings it back until ")));
	assert_int_equal(run("user delete boris"), ADMIN_FAILED);
	run_ok("user list");
	assert_false(holds(&printed, "boris"));
}

static void
test_locks(void **state)
{
	(void)state;
	run_ok("user add lena " VERIFIER);
	run_ok("user lock LENA");
	assert_true(slice_starts(buf_slice(&printed), SLICE("LENA: locked: ")));
	run_ok("quota set lena 1K");
	run_ok("user list");
	assert_true(holds(&printed, "lena\t") && holds(&printed, "\tquota 1024\tlocked\n"));
	run_ok("account unlock lena");
	assert_true(slice_eq(buf_slice(&printed), SLICE("lena: unlocked\n")));
	run_ok("user list");
	assert_false(holds(&printed, "locked"));
	assert_int_equal(run("user lock nobody"), ADMIN_FAILED);
	run_ok("history lena");
	assert_true(holds(&printed, "account locked\n") && holds(&printed, "account unlocked\n"));
	run_ok("user delete lena");
}

/* Kinds are shown, verifiers never. */
static void
test_app_passwords(void **state)
{
	(void)state;
	run_ok("user add app1 {CRYPT}$6$salt$secrethash");
	run_ok("app-password add app1 phone SHA-256$salt$secrethash");
	assert_true(slice_eq(buf_slice(&printed), SLICE("app1: app password phone added\n")));
	assert_int_equal(run("app-password add app1 phone SHA-256$other$secrethash"), ADMIN_FAILED);
	assert_true(holds(&complained, "there is a credential of this name"));
	assert_int_equal(run("app-password add app1 tablet secret"), ADMIN_FAILED);
	assert_int_equal(run("user add app2 secret"), ADMIN_FAILED);
	run_ok("user show app1");
	assert_true(holds(&printed, "\napp:phone\tSHA-256\n") &&
	            holds(&printed, "\npassword\t{CRYPT}$6$\n"));
	assert_false(holds(&printed, "secret") || holds(&printed, "salt"));
	run_ok("user list --json");
	assert_false(holds(&printed, "secret") || holds(&printed, "salt"));
	run_ok("dump");
	assert_true(holds(&printed, "name=\"app:phone\" removed=no scheme=\"SHA-256\""));
	assert_false(holds(&printed, "secret") || holds(&printed, "$salt"));
	run_ok("app-password list app1");
	assert_true(slice_eq(buf_slice(&printed), SLICE("phone\t\tall\n")));
	run_ok("app-password revoke app1 phone");
	assert_int_equal(run("app-password revoke app1 phone"), ADMIN_FAILED);
	run_ok("app-password list --json app1");
	assert_int_equal(printed.len, 0);
	for (unsigned i = 0; i < 64; i++) {
		char verb[80];

		(void)snprintf(verb, sizeof verb, "app-password add app1 a%u SHA-256$s$h", i);
		run_ok(verb);
	}
	assert_int_equal(run("app-password add app1 more SHA-256$s$h"), ADMIN_FAILED);
	assert_true(holds(&complained, "revoke one"));
	run_ok("user delete app1");
}

static void
test_hidden_capabilities(void **state)
{
	(void)state;
	run_ok("user add helen " VERIFIER);
	run_ok("user hide helen qresync Condstore");
	assert_true(slice_eq(buf_slice(&printed), SLICE("helen: hides CONDSTORE QRESYNC\n")));
	run_ok("user hide HELEN idle QRESYNC");
	assert_true(slice_eq(buf_slice(&printed), SLICE("HELEN: hides CONDSTORE IDLE QRESYNC\n")));
	assert_int_equal(run("user hide helen auth=plain"), ADMIN_FAILED);
	assert_true(holds(&complained, "AUTH=PLAIN cannot be hidden"));
	assert_int_equal(run("user hide helen imap4rev1"), ADMIN_FAILED);
	assert_int_equal(run("user hide helen a(b"), ADMIN_FAILED);
	assert_int_equal(run("user hide nobody IDLE"), ADMIN_FAILED);
	run_ok("quota set helen 1K");
	run_ok("user unhide helen condstore METADATA");
	assert_true(slice_eq(buf_slice(&printed), SLICE("helen: hides IDLE QRESYNC\n")));
	run_ok("user show helen");
	assert_true(holds(&printed, "\tquota 1024\thides IDLE QRESYNC\n"));
	run_ok("user list --json");
	assert_true(holds(&printed, "\"hidden\":[\"IDLE\",\"QRESYNC\"]"));
	run_ok("user unhide --all helen");
	assert_true(slice_eq(buf_slice(&printed), SLICE("helen: nothing is hidden\n")));
	run_ok("user show helen");
	assert_false(holds(&printed, "hides"));
	run_ok("user delete helen");
}

static void
test_many_accounts_are_listed_in_pages(void **state)
{
	size_t lines = 0;
	char command[256];

	(void)state;
	for (int i = 0; i < 600; i++) {
		snprintf(command, sizeof command, "user add --volume v2 many%03d " VERIFIER, i);
		run_ok(command);
	}
	run_ok("user list --volume v2");
	for (size_t i = 0; i < printed.len; i++)
		lines += printed.ptr[i] == '\n';
	assert_int_equal(lines, 600);
	assert_true(holds(&printed, "many000\t") && holds(&printed, "many256\t") &&
	            holds(&printed, "many599\t"));
}

static void
test_mailboxes(void **state)
{
	(void)state;
	run_ok("user add dora " VERIFIER);
	run_ok("mailbox list dora");
	assert_true(slice_starts(buf_slice(&printed), SLICE("       0 messages")));
	assert_true(holds(&printed, "  INBOX\n") && holds(&printed, "  Trash (\\Trash)\n"));
	run_ok("mailbox list --json dora");
	assert_true(holds(&printed, "{\"name\":\"Sent\",") &&
	            holds(&printed, "\"special_use\":[\"\\\\Sent\"]"));
	assert_int_equal(run("mailbox list nobody"), ADMIN_FAILED);
}

static void
test_status(void **state)
{
	(void)state;
	run_ok("status");
	assert_true(holds(&printed, "no restanted answers") && holds(&printed, "volume v2\n"));
	run_ok("status --json");
	assert_true(slice_starts(buf_slice(&printed),
	                         SLICE("{\"running\":false,\"volumes\":[{\"name\":\"v1\",")));
	lines_wanted = 1000;
	assert_int_equal(run_words(true, "status --json"), ADMIN_OK);
	assert_true(slice_starts(buf_slice(&printed), SLICE("{\"running\":true,\"pid\":")));
	assert_true(holds(&printed, "\"uptime_s\":"));
}

static void
test_check(void **state)
{
	(void)state;
	run_ok("check");
	assert_true(holds(&printed, "v1: sound: ") && holds(&printed, "v2: sound: "));
	run_ok("check --volume v2");
	assert_false(holds(&printed, "v1: "));
}

/* The last record of the log, a verifier, is damaged; of a volume that nobody writes. */
static void
damage_log(const char *path)
{
	char command[200];
	FILE *f;
	long at = 0;
	int c;

	snprintf(command, sizeof command, "%s/log/s-1-1.seg", path);
	f = fopen(command, "r+");
	assert_non_null(f);
	for (long i = 0; (c = fgetc(f)) != EOF; i++)
		at = c != 0 ? i : at;
	assert_int_equal(fseek(f, at, SEEK_SET), 0);
	assert_int_not_equal(fputc(0, f), EOF);
	fclose(f);
}

static void
test_check_finds_damage(void **state)
{
	struct volume *const first = volumes[0];
	struct volume_params p = { .name = "v3", .mode = VOLUME_WRITE };
	struct err e = ERR_INIT;
	char path[80], command[120];

	(void)state;
	snprintf(path, sizeof path, "%s/damaged", dir);
	p.path = path;
	assert_int_equal(volume_create(path, &e), RC_OK);
	assert_int_equal(volume_open(&p, &volumes[0], &e), RC_OK);
	run_ok("user add --volume v3 anton " VERIFIER);
	volume_close(&volumes[0]);
	damage_log(path);
	p.mode = VOLUME_READ;
	assert_int_equal(volume_open(&p, &volumes[0], &e), RC_OK);
	assert_int_equal(run("check --volume v3"), ADMIN_DAMAGE);
	assert_true(holds(&printed, "v3: s-1-1.seg offset ") &&
	            holds(&printed, "v3: DAMAGED: "));
	assert_int_equal(run("dump --volume v3"), ADMIN_DAMAGE);
	assert_true(holds(&complained, "v3: s-1-1.seg offset "));
	/* The worst volume tells. */
	assert_int_equal(run("check"), ADMIN_DAMAGE);
	/* What nobody has read yet is not known; a segment that is gone is. */
	run_ok("status --json");
	assert_false(holds(&printed, "\"damage\":1"));
	volume_close(&volumes[0]);
	snprintf(command, sizeof command, "rm '%s/log/s-1-1.seg'", path);
	assert_int_equal(system(command), 0);
	assert_int_equal(volume_open(&p, &volumes[0], &e), RC_OK);
	run_ok("status --json");
	assert_true(holds(&printed, "\"damage\":1"));
	run_ok("status");
	assert_true(holds(&printed, "  damage           1 (see restantectl check)\n"));
	volume_close(&volumes[0]);
	volumes[0] = first;
}

/* What happens to the index of a stopped volume, and what check says then. */
static const struct index_case {
	const char    *name;
	bool           remove;
	const char    *sql;
	const char    *want;
	enum admin_exit status;
} index_cases[] = {
	{ "missing", true, NULL, "v3: index: not there; the next start makes it anew\nv3: log sound: ", ADMIN_OK },
	{ "older", false, "UPDATE meta SET schema = 2",
	  "v3: index: made by another version; the next start makes it anew\nv3: log sound: ", ADMIN_OK },
	{ "first version", false, "UPDATE meta SET schema = 1; ALTER TABLE meta DROP COLUMN damaged",
	  "v3: index: made by another version; the next start makes it anew\nv3: log sound: ", ADMIN_OK },
	{ "older, of other tables", false, "UPDATE meta SET schema = 2; DROP TABLE mailbox; DROP TABLE message",
	  "v3: index: made by another version; the next start makes it anew\nv3: log sound: ", ADMIN_OK },
	{ "unreadable", false, "DROP TABLE meta", "v3: log sound, INDEX WRONG ", ADMIN_DAMAGE },
	{ "column lost", false, "ALTER TABLE meta DROP COLUMN damaged", "v3: log sound, INDEX WRONG ", ADMIN_DAMAGE },
	{ "of another volume", false, "UPDATE meta SET volume = X'00112233445566778899aabbccddeeff'",
	  "v3: log sound, INDEX WRONG ", ADMIN_DAMAGE },
};

static void
spoil_index(const char *path, const struct index_case *k)
{
	char file[120];
	sqlite3 *db;

	snprintf(file, sizeof file, "%s/index.db", path);
	if (k->remove) {
		assert_int_equal(unlink(file), 0);
		return;
	}
	assert_int_equal(sqlite3_open(file, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, k->sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
test_check_of_an_index_to_be_made_anew(void **state)
{
	struct volume *const first = volumes[0];
	struct volume_params p = { .name = "v3" };
	struct err e = ERR_INIT;
	char path[80];

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(index_cases); i++) {
		const struct index_case *k = &index_cases[i];

		snprintf(path, sizeof path, "%s/anew%zu", dir, i);
		p.path = path;
		p.mode = VOLUME_WRITE;
		assert_int_equal(volume_create(path, &e), RC_OK);
		assert_int_equal(volume_open(&p, &volumes[0], &e), RC_OK);
		run_ok("user add --volume v3 anton " VERIFIER);
		volume_close(&volumes[0]);
		spoil_index(path, k);
		p.mode = VOLUME_READ;
		assert_int_equal(volume_open(&p, &volumes[0], &e), RC_OK);
		if (run("check --volume v3") != k->status || !holds(&printed, k->want) ||
		    !holds(&printed, " 1 account; "))
			fail_msg("%s: %.*s", k->name, SLICE_ARG(buf_slice(&printed)));
		volume_close(&volumes[0]);
		/* The log is verified nevertheless. */
		damage_log(path);
		assert_int_equal(volume_open(&p, &volumes[0], &e), RC_OK);
		assert_int_equal(run("check --volume v3"), ADMIN_DAMAGE);
		assert_true(holds(&printed, "v3: DAMAGED: "));
		volume_close(&volumes[0]);
	}
	volumes[0] = first;
}

static void
test_dump(void **state)
{
	(void)state;
	run_ok("user add emil " VERIFIER);
	run_ok("dump --volume v1");
	assert_true(holds(&printed, " type=account ") && holds(&printed, " name=\"emil\" "));
	assert_true(holds(&printed, " type=credential ") &&
	            holds(&printed, " scheme=\"SCRAM-SHA-256\" "));
	assert_true(holds(&printed, " account_name=\"emil\" "));
	assert_false(holds(&printed, "10000") || holds(&printed, "AAAAAAAA"));
	run_ok("dump --json");
	assert_true(holds(&printed, "\"account_name\":\"emil\","));
	assert_true(holds(&printed, "\"type\":\"credential\",") &&
	            holds(&printed, "\"scheme\":\"SCRAM-SHA-256\""));
	assert_false(holds(&printed, "AAAAAAAA"));
}

/* head, a closed pager: the call ends soon, and nothing is reported as damage. */
static void
test_reader_goes_away(void **state)
{
	static const char *const commands[] = { "dump", "user list", "mailbox list emil" };

	(void)state;
	for (size_t i = 0; i < UNIT_COUNT(commands); i++) {
		lines_wanted = 2;
		assert_int_equal(run_words(false, commands[i]), ADMIN_FAILED);
		assert_int_equal(lines_seen, 2);
		assert_int_equal(complained.len, 0);
	}
}

/* What is asked of all volumes is not told as if there were no other; a name may be taken there. */
static void
test_a_volume_is_absent(void **state)
{
	static const struct admin_absent v3 = { "v3", "no such disk" };
	static const struct {
		const char     *command;
		enum admin_exit want;
		const char     *says;
	} cases[] = {
		{ "user list", ADMIN_FAILED, "volume v3 is not available and was left out: no such disk" },
		{ "user list --volume v1", ADMIN_OK, "" },
		{ "user list --volume v3", ADMIN_FAILED, "volume v3 is not available: no such disk" },
		{ "check", ADMIN_FAILED, "volume v3 is not available and was left out" },
		{ "user show present", ADMIN_OK, "" },
		{ "user show nobody", ADMIN_FAILED, "no volume that is available has such an account" },
		{ "user add nobody " VERIFIER, ADMIN_FAILED, "nobody: volume v3 is not available and may" },
		{ "user add present " VERIFIER, ADMIN_FAILED, "there is an account present already" },
		{ "user rename present nobody", ADMIN_FAILED, "nobody: volume v3 is not available and may" },
		{ "status", ADMIN_FAILED, "" },
	};

	(void)state;
	run_ok("user add --volume v2 present " VERIFIER);
	absent = &v3;
	for (size_t i = 0; i < UNIT_COUNT(cases); i++) {
		if (run(cases[i].command) != cases[i].want ||
		    (cases[i].says[0] != '\0' && !holds(&complained, cases[i].says)))
			fail_msg("%s: %.*s", cases[i].command, SLICE_ARG(buf_slice(&complained)));
		if (cases[i].says[0] == '\0')
			assert_int_equal(complained.len, 0);
	}
	assert_true(holds(&printed, "volume v3: NOT AVAILABLE: no such disk"));
	assert_int_equal(run("status --json"), ADMIN_FAILED);
	assert_true(
	    holds(&printed, "],\"unavailable\":[{\"name\":\"v3\",\"reason\":\"no such disk\"}]}"));
	absent = NULL;
	run_ok("user delete present");
}

#define FIXED 16

int
main(void)
{
	struct CMUnitTest tests[FIXED + UNIT_COUNT(usages) + UNIT_COUNT(names)] = {
		cmocka_unit_test(test_verb_access),
		cmocka_unit_test(test_name_length),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_accounts),
		cmocka_unit_test(test_hidden_capabilities),
		cmocka_unit_test(test_locks),
		cmocka_unit_test(test_app_passwords),
		cmocka_unit_test(test_many_accounts_are_listed_in_pages),
		cmocka_unit_test(test_mailboxes),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_check_finds_damage),
		cmocka_unit_test(test_check_of_an_index_to_be_made_anew),
		cmocka_unit_test(test_dump),
		cmocka_unit_test(test_reader_goes_away),
		cmocka_unit_test(test_a_volume_is_absent),
	};
	struct CMUnitTest *t = tests + FIXED;

	for (size_t i = 0; i < UNIT_COUNT(usages); i++)
		*t++ = (struct CMUnitTest){ usages[i].name, test_usage, NULL, NULL,
		                            (void *)(uintptr_t)&usages[i] };
	for (size_t i = 0; i < UNIT_COUNT(names); i++)
		*t++ = (struct CMUnitTest){ names[i].name, test_name, NULL, NULL,
		                            (void *)(uintptr_t)&names[i] };
	return cmocka_run_group_tests(tests, make_volumes, drop_volumes);
}
