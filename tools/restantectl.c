/* restantectl - the admin's tool: the table of verbs and the command line. See tools/ctl.h. */
#include "lib/process.h"
#include "tools/ctl.h"
#include "tools/import_remote.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "config.h"

#define CONF_DEFAULT RESTANTE_SYSCONFDIR "/restante/restante.conf"

/* What stands behind the words, options and usage are the admin verb's: whole() fills them in. */
#define OF_ADMIN 0, 0, NULL, false

static const struct ctl_verb verbs[] = {
	{ { "init", NULL }, 1, 1, "--base-port= --user=", true, ctl_init,
	  "init [--base-port N] [--user USER] DIR",
	  "Make DIR with a configuration, a self-signed certificate and a volume, to be started.\n"
	  "  --base-port N  listeners on 127.0.0.1: imap N+143, imaps N+993, pop3 N+110,\n"
	  "                 pop3s N+995, lmtp N+24 (10000)\n"
	  "  --user USER    as root: who the server becomes (restante, made if missing)\n" },
	{ { "user", "add" }, 1, 1, "--volume= --quota=", false, ctl_user_add,
	  "user add [--volume V] [--quota BYTES] NAME",
	  "Add an account. The password is typed, or is one line of standard input.\n"
	  "  --volume V     in this volume (the first of the configuration)\n"
	  "  --quota BYTES  as quota set; otherwise account_quota of the configuration\n" },
	{ { "user", "import" }, 0, 0, "--volume= --quota=", false, ctl_user_import,
	  "user import [--volume V] [--quota BYTES]",
	  "Add accounts from lines name:password on standard input. Lines that cannot be used are\n"
	  "told with their numbers, the others are added. A password may be a hash: "
	  "{CRYPT}$6$...,\n"
	  "{SHA512-CRYPT}, {SHA256-CRYPT}, {BLF-CRYPT}, {SCRAM-SHA-256} and {SCRAM-SHA-1}, as in "
	  "a passwd-file.\n" },
	{ { "user", "app-password" }, 2, 3, "--only= --json", false, ctl_user_app_password,
	  "user app-password add [--only imap,pop3] [--json] NAME LABEL | list [--json] NAME | "
	  "revoke NAME LABEL",
	  "Make a password for one program or device, and show it this once; list those that an "
	  "account has; take\n"
	  "one back. They are for PLAIN and LOGIN. LABEL is letters, digits and -._@+\n"
	  "  --only LIST    good for these alone: imap, pop3, lmtp, submission\n" },
	{ { "user", "lock" }, OF_ADMIN, ctl_forward, NULL,
	  "Let nobody log in to an account: its sessions end, and LMTP refuses mail for it.\n" },
	{ { "user", "unlock" }, OF_ADMIN, ctl_forward, NULL,
	  "Undo that.\n" },
	{ { "account", "lock" }, OF_ADMIN, ctl_forward, NULL,
	  "The same as user lock.\n" },
	{ { "account", "unlock" }, OF_ADMIN, ctl_forward, NULL,
	  "The same as user unlock.\n" },
	{ { "user", "list" }, OF_ADMIN, ctl_forward, NULL,
	  "List the accounts, a line each: name, volume, messages, bytes, quota, and locked if so; "
	  "tabs between.\n" },
	{ { "user", "passwd" }, 1, 1, "", false, ctl_user_passwd, "user passwd NAME",
	  "Set an account's password: typed, or one line of standard input.\n" },
	{ { "user", "delete" }, 1, 1, "--yes", false, ctl_user_delete, "user delete [--yes] NAME",
	  "Delete an account and its mail; undelete --account brings it back within "
	  "the retention.\n"
	  "Asks first on a terminal; elsewhere --yes must be given.\n" },
	{ { "user", "show" }, OF_ADMIN, ctl_forward, NULL,
	  "Show an account: its row of user list, and a line for each credential: name, kinds "
	  "of verifiers.\n" },
	{ { "user", "move" }, OF_ADMIN, ctl_forward, NULL,
	  "Move an account to another volume, with UIDs and all that clients know. "
	  "Its changes and\n"
	  "deliveries are put off meanwhile; its sessions end when it is done.\n" },
	{ { "volume", "retire" }, OF_ADMIN, ctl_forward, NULL,
	  "Move every account of a volume to another one.\n"
	  "  --to VOLUME    where they go\n" },
	{ { "user", "rename" }, OF_ADMIN, ctl_forward, NULL,
	  "Give an account another name. Its mail, password and sessions stay.\n" },
	{ { "user", "hide" }, OF_ADMIN, ctl_forward, NULL,
	  "Do not show these IMAP capabilities to the account, for a client that "
	  "trips over one.\n" },
	{ { "user", "unhide" }, OF_ADMIN, ctl_forward, NULL,
	  "Show them again.\n  --all          whatever is hidden\n" },
	{ { "mailbox", "list" }, OF_ADMIN, ctl_forward, NULL,
	  "List the mailboxes of an account.\n" },
	{ { "mailbox", "create" }, OF_ADMIN, ctl_forward, NULL,
	  "Make a mailbox in an account, and its parents if they are missing.\n"
	  "  --special-use USE  Archive, Drafts, Junk, Sent, Trash, Important, Snoozed,\n"
	  "                     Scheduled or Memos\n" },
	{ { "mailbox", "delete" }, 2, 2, "--yes", false, ctl_mailbox_delete,
	  "mailbox delete [--yes] NAME MAILBOX",
	  "Delete a mailbox and its mail; undelete brings it back. Asks first on a terminal;\n"
	  "elsewhere --yes must be given. One with others below it is not deleted.\n" },
	{ { "mailbox", "rename" }, OF_ADMIN, ctl_forward, NULL,
	  "Rename a mailbox, with all below it. Renaming INBOX moves its mail.\n" },
	{ { "mailbox", "subscribe" }, OF_ADMIN, ctl_forward, NULL,
	  "Subscribe an account to a mailbox.\n" },
	{ { "mailbox", "unsubscribe" }, OF_ADMIN, ctl_forward, NULL,
	  "Undo that.\n" },
	{ { "who", NULL }, OF_ADMIN, ctl_forward_live, NULL,
	  "List the sessions that are logged in, of all accounts or one, a line each: id, "
	  "account, protocol,\n"
	  "address, since when, the command under way, selected mailbox, bytes in and out, "
	  "TLS, mechanism;\n"
	  "tabs between.\n"
	  "  --all           those too that are not logged in, and those of MTAs\n"
	  "  --peer NETWORK  only from there: 192.0.2.1, 2001:db8::/32\n" },
	{ { "kick", NULL }, OF_ADMIN, ctl_forward_live, NULL,
	  "End sessions, of an account or as the options say; they are told so. All that is "
	  "given must fit.\n"
	  "  --session ID    the one that who shows with this id\n"
	  "  --peer NETWORK  those from there, logged in or not\n" },
	{ { "block", "list" }, OF_ADMIN, ctl_forward_live, NULL,
	  "List who is kept out for too many wrong passwords, a line each: account (- for all), "
	  "network, until\n"
	  "when; tabs between.\n" },
	{ { "block", "clear" }, OF_ADMIN, ctl_forward_live, NULL,
	  "Let them try again: an account, an address or network such as 192.0.2.0/24, or "
	  "all. Their wrong\n"
	  "passwords are forgotten.\n" },
	{ { "quota", "set" }, OF_ADMIN, ctl_forward, NULL,
	  "Limit an account's mail; BYTES may end with K, M, G or T, 0 is no limit.\n"
	  "  --messages N   the number of messages, 0 is no limit. What is not given stays.\n" },
	{ { "quota", "show" }, OF_ADMIN, ctl_forward, NULL,
	  "Show the quota and use of an account, or of all.\n" },
	{ { "quota", "recount" }, OF_ADMIN, ctl_forward, NULL,
	  "Count the messages of an account, or of all, one by one and compare with the "
	  "counters that\n"
	  "quotas use. They are changed with what they count, so the difference is 0; "
	  "exit status 3\n"
	  "if it is not.\n" },
	{ { "import", NULL }, 2, CTL_ARGS_MAX,
	  "--mailbox= --into= --format= --keep-uids --keep-uidl --since= --resume= --force "
	  "--dry-run --json " IMPORT_REMOTE_OPTIONS,
	  false, ctl_import,
	  "import [--mailbox M] [--into FOLDER] [--format maildir|mbox|eml] [--keep-uids] "
	  "[--keep-uidl] [--since TIME]"
	  " [--resume FILE] [--password-file FILE] [--auth-user ADMIN] [--uidl-format FORMAT] "
	  "[--ca-file FILE] [--insecure] [--starttls]"
	  " [--no-tls] [--force] [--dry-run] [--json] NAME SOURCE...",
	  "Take messages into an account: Maildirs with their folders, mbox files, files *.eml, or "
	  "trees of them;\n"
	  "or what another server has, as imaps://USER@HOST[/MAILBOX], imap://..., "
	  "pops://USER@HOST or pop://...\n"
	  "The password there is typed, or is one line of standard input; of several servers or "
	  "users, one line for each.\n"
	  "What a mailbox has already is passed over, so an import that was cut is run "
	  "again as it was.\n"
	  "  --mailbox M    what a source that is one mailbox is called; of many mailboxes, take "
	  "this one only\n"
	  "  --into FOLDER  make the source's mailboxes below FOLDER\n"
	  "  --format F     what the files are, if that is not found out\n"
	  "  --keep-uids    keep UIDs and UIDVALIDITYs, where the source says them\n"
	  "  --keep-uidl    keep the unique-ids of POP3, where the source says them\n"
	  "  --since TIME   messages that came in at TIME or later: 2026-11-21, \"2026-11-21 "
	  "10:00\", 30d\n"
	  "  --resume FILE  keep in FILE what is done, for sources where looking again is dear\n"
	  "  --password-file FILE  the password of another server is the first line of "
	  "FILE, and so on\n"
	  "  --auth-user ADMIN     log in there as ADMIN, with ADMIN's password, for "
	  "the URL's user\n"
	  "  --uidl-format FORMAT  what an IMAP server's POP3 calls its messages, for --keep-uidl: "
	  "%08Xu%08Xv\n"
	  "  --ca-file FILE        trust these certificates instead of the system's\n"
	  "  --insecure            trust any certificate\n"
	  "  --starttls            with imap:// and pop:// of this machine, too\n"
	  "  --no-tls              go on in the clear where the server has no TLS\n"
	  "  --force        take files that do not begin like messages, too\n"
	  "  --dry-run      change nothing, say what would be done\n" },
	{ { "export", NULL }, 2, 2, "--format= --mailbox= --uid= --dry-run --json", false,
	  ctl_export,
	  "export --format maildir|mbox|eml [--mailbox M] [--uid SET] [--dry-run] "
	  "[--json] NAME TARGET",
	  "Write an account's messages to TARGET, which must not exist: a Maildir with folders, a "
	  "directory of mbox files\n"
	  "or of files *.eml. With --mailbox an mbox is one file, and TARGET - is "
	  "standard output.\n"
	  "  --mailbox M    this mailbox only\n"
	  "  --uid SET      these UIDs only: 4,7:9,12:*\n"
	  "  --dry-run      write nothing, count the messages\n" },
	{ { "undelete", NULL }, OF_ADMIN, ctl_forward, NULL,
	  "Bring deleted messages of an account back, as new messages behind the others; or a\n"
	  "deleted mailbox, by its name; or with --account a deleted account with its password,\n"
	  "subscriptions, quota and mail. Run it again if it was cut: what is back is skipped.\n"
	  "  --mailbox M    of this mailbox only; if it was deleted, what was in it then\n"
	  "  --since TIME   deleted then or later (as long ago as the retention): 3d, 12h,\n"
	  "                 2026-11-21, \"2026-11-21 10:00\"\n"
	  "  --message-id ID  the message with this Message-ID\n"
	  "  --uid SET      these UIDs of the mailbox: 4, 1:3,7\n"
	  "  --into FOLDER  not where they were, but here\n"
	  "  --moved        those too that were moved to another mailbox\n"
	  "  --merge        with --account: into an account of this name that was made since\n"
	  "  --dry-run      tell only what would be done\n" },
	{ { "restore", NULL }, 0, 1,
	  "--volume= --at= --from= --mailbox= --into= --rate= --dry-run --json", false,
	  ctl_restore,
	  "restore [--at TIME] [--from DIR] [--mailbox M] [--into FOLDER] [--dry-run] "
	  "[--json] NAME |"
	  " restore --from DIR [--volume V] [--rate BYTES] [--dry-run] [--json]",
	  "Put an account's mailboxes, or one, as they were at a moment into new "
	  "folders beside what\n"
	  "is there: \"Restored TIME/...\". Nothing that is there is changed.\n"
	  "  --at TIME      as of then: 3d, 12h, 2026-11-21, \"2026-11-21 10:00\"\n"
	  "  --from DIR     out of a backup; without --at as of its end\n"
	  "  --mailbox M    this mailbox only\n"
	  "  --into FOLDER  below this folder; of one mailbox into it\n"
	  "  --dry-run      tell only what would be done\n"
	  "Without NAME: put a whole volume back from a backup, into the place that the "
	  "configuration\n"
	  "names, which must be empty. At the next start clients are told anew what is there.\n"
	  "  --volume V     which one, if there are several\n"
	  "  --rate BYTES   not more of them in a second\n" },
	{ { "history", NULL }, OF_ADMIN, ctl_forward, NULL,
	  "What happened to an account, a mailbox or a message, in order: when, by which "
	  "protocol and\n"
	  "session, what. Mailboxes have the names that they had then.\n"
	  "  --mailbox M    of the mailbox of this name, from when it had the name\n"
	  "  --uid SET      of these messages of it\n"
	  "  --message-id ID  of the message with this Message-ID, in all mailboxes\n"
	  "  --since TIME   what happened then or later\n" },
	{ { "check", NULL }, OF_ADMIN, ctl_forward, NULL,
	  "Verify every frame, record and message of the log and compare log and index.\n"
	  "Writes nothing. Exit status 3 if anything is wrong.\n" },
	{ { "backup", NULL }, OF_ADMIN, ctl_backup, NULL,
	  "Copy each volume to DIR/NAME: all of it at first, later only what is new. "
	  "The server may\n"
	  "run. What is cut is taken up by the next call, and the copy before it "
	  "counts until then.\n"
	  "Exit status 3 if damage was met in what was copied; it is copied as it is.\n"
	  "  --rate BYTES   not more of them in a second\n"
	  "  --dry-run      say how much it would be\n" },
	{ { "verify", NULL }, 1, 1, "--json", true, ctl_verify, "verify [--json] DIR",
	  "Check the backup in DIR, or all those in it, as check does. Needs no "
	  "configuration, writes\n"
	  "nothing. Exit status 3 if anything is wrong.\n" },
	{ { "scrub", NULL }, OF_ADMIN, ctl_forward, NULL,
	  "Read what does not change any more, past the page cache: frames, chunks and messages.\n"
	  "Writes nothing. Exit status 3 if anything is wrong.\n" },
	{ { "reindex", NULL }, 0, 0, "--volume= --force --reparse --all --dry-run --json", false,
	  ctl_reindex,
	  "reindex [--volume V] [--force] | reindex --reparse [--volume V] [--all] "
	  "[--dry-run] [--json]",
	  "Make the index anew from the log. The server must be stopped.\n"
	  "  --force        of a damaged log too: what is lost there is lost then; "
	  "the old index is\n"
	  "                 kept as index.db.old. Exit status 3.\n"
	  "With --reparse: parse stored messages anew that an older release has parsed, "
	  "and write what\n"
	  "IMAP tells of their structure to the log. The server may run. If it is cut, "
	  "run it again:\n"
	  "only the rest is done. Exit status 3 if messages could not be read.\n"
	  "  --all          parse every message, and write what differs\n"
	  "  --dry-run      tell only how many there are\n" },
	{ { "volume", "create" }, 1, 1, "--new", false, ctl_volume_create,
	  "volume create [--new] NAME",
	  "Make the empty volume of a section [volume NAME] that the configuration has.\n"
	  "  --new          though the running server misses this volume: it never had mail,\n"
	  "                 or its mail is given up\n" },
	{ { "compact", NULL }, OF_ADMIN, ctl_forward, NULL,
	  "Give back the space of what was expunged, deleted or stated anew longer ago than "
	  "the retention.\n"
	  "  --all          every segment, not only those of which enough is dead\n"
	  "  --recompress L compress every message anew, at zlib level 1 to 9\n"
	  "  --rate BYTES   read and write no more in a second, 0 is no limit\n"
	  "  --retention A  another age than that of the configuration: 12h, 3d, 0s\n"
	  "  --dry-run      tell what would be done\n" },
	{ { "dump", NULL }, OF_ADMIN, ctl_forward, NULL,
	  "Print every record of the log, a line each, without messages. Writes nothing.\n" },
	{ { "lint", NULL }, 1, CTL_ARGS_MAX, "--mailbox= --uid= --json", false, ctl_lint,
	  "lint [--json] FILE... | lint --mailbox M [--uid SET] [--json] NAME",
	  "Say what in messages is against the standards, a line each, with line numbers.\n"
	  "FILE is one message, - is standard input. Exit status 3 if there are errors.\n"
	  "  --mailbox M    the messages of this mailbox of the account NAME\n"
	  "  --uid SET      only these, such as 4,7:9,12:*\n" },
	{ { "expunge", NULL }, OF_ADMIN, ctl_forward, NULL,
	  "Expunge the messages that came into a mailbox longer ago than AGE, such as 30d or 12h.\n"
	  "undelete brings them back as long as the log remembers.\n"
	  "  --mailbox M    a name, or a special use such as Trash (those for trash and junk)\n"
	  "  --all          of all accounts\n"
	  "  --dry-run      tell only how many there are\n" },
	{ { "purge", NULL }, OF_ADMIN, ctl_purge, NULL,
	  "Remove a message from all mailboxes, for good: nothing brings it back. Asks first on a\n"
	  "terminal; elsewhere --yes must be given. Its bytes leave the log with the "
	  "next compaction.\n"
	  "  --reason TEXT  kept in the log beside who and when\n"
	  "  --dry-run      tell only what would go\n" },
	{ { "dedup", NULL }, OF_ADMIN, ctl_forward, NULL,
	  "Tell how many contents are stored more than once. Changes nothing.\n" },
	{ { "status", NULL }, OF_ADMIN, ctl_forward, NULL,
	  "What the server and its volumes are doing.\n" },
};

#define VERBS (sizeof verbs / sizeof verbs[0])

static struct ctl_verb
whole(const struct ctl_verb *row)
{
	struct ctl_verb v = *row;
	struct admin_grammar g;
	bool found;

	if (v.options != NULL)
		return v;
	found = admin_find_grammar(v.words[1] != NULL ? 2 : 1, v.words, &g);
	assert(found);
	v.min_args = g.min_args;
	v.max_args = g.max_args;
	v.options = g.options;
	v.usage = g.usage;
	return v;
}

/* ---- help ---- */

static const char *
conf_option(const struct ctl_verb *verb)
{
	return verb->no_conf ? "" : "[-c FILE] ";
}

/* All verbs, or those that begin with `word`. False: there is none. */
static bool
print_usage(FILE *to, const char *word)
{
	const char *head = "usage: ";
	bool any = false;

	for (size_t i = 0; i < VERBS; i++) {
		struct ctl_verb v = whole(&verbs[i]);

		if (word != NULL && strcmp(word, v.words[0]) != 0)
			continue;
		fprintf(to, "%srestantectl %s%s\n", head, conf_option(&v), v.usage);
		head = "       ";
		any = true;
	}
	if (word == NULL)
		fputs("       restantectl -h | -V\n"
		      "FILE is " CONF_DEFAULT " unless given.\n"
		      "Every verb has --help, which help VERB prints too. See restantectl(8).\n", to);
	return any;
}

static enum admin_exit
usage_error(const char *why, const char *what, const struct ctl_verb *verb)
{
	fprintf(stderr, "restantectl: %s%s%s\n", why, what[0] != '\0' ? ": " : "", what);
	if (verb != NULL)
		fprintf(stderr, "usage: restantectl %s%s\n", conf_option(verb), verb->usage);
	else
		fputs("restantectl --help lists all verbs and options\n", stderr);
	return ADMIN_USAGE;
}

/* No verb has these words. Shown is what could have been meant. */
static enum admin_exit
unknown_verb(int argc, char **argv)
{
	bool known_group = false;

	for (size_t i = 0; i < VERBS; i++)
		known_group = known_group || strcmp(argv[0], verbs[i].words[0]) == 0;
	if (!known_group)
		return usage_error("unknown verb", argv[0], NULL);
	if (argc == 1)
		fprintf(stderr, "restantectl: %s: what is to be done?\n", argv[0]);
	else
		fprintf(stderr, "restantectl: unknown verb: %s %s\n", argv[0], argv[1]);
	print_usage(stderr, argv[0]);
	return ADMIN_USAGE;
}

static void
print_verb_help(const struct ctl_verb *verb)
{
	printf("usage: restantectl %s%s\n\n%s", conf_option(verb), verb->usage, verb->help);
	if (options_declared(verb->options, "--json"))
		puts("  --json         one JSON object per line");
}

static bool
is_help(const char *word)
{
	return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

/* ---- the command line ---- */

static bool
find_verb(int argc, char **argv, int *used, struct ctl_verb *out)
{
	for (size_t i = 0; i < VERBS && argc > 0; i++) {
		const struct ctl_verb *v = &verbs[i];

		if (strcmp(argv[0], v->words[0]) != 0)
			continue;
		*used = v->words[1] != NULL ? 2 : 1;
		if (v->words[1] == NULL || (argc > 1 && strcmp(argv[1], v->words[1]) == 0)) {
			*out = whole(v);
			return true;
		}
	}
	return false;
}

/* `help [VERB]`: what --help prints. */
static enum admin_exit
tell_help(int argc, char **argv)
{
	struct ctl_verb verb;
	int used;

	if (argc > 0 && is_help(argv[0]))
		argc = 0;
	if (argc > 0 && find_verb(argc, argv, &used, &verb))
		print_verb_help(&verb);
	else if (argc > 1 || !print_usage(stdout, argc == 0 ? NULL : argv[0]))
		return unknown_verb(argc, argv);
	return ADMIN_OK;
}

static enum admin_exit
take_option(struct ctl *ctl, const char *word, const char *next, bool *took_next)
{
	struct err e = ERR_INIT;

	if (options_take(&ctl->options, word, next, took_next, &e) == RC_OK)
		return ADMIN_OK;
	return usage_error(e.text, "", ctl->verb);
}

/* The words that a verb must have end its usage, but for those in brackets. */
static enum admin_exit
missing_word(const struct ctl *ctl)
{
	const char *name = ctl->verb->usage + strlen(ctl->verb->usage);
	char word[24];

	while (name[-1] == ']') {       /* words that need not be there */
		while (*name != '[')
			name--;
		name--;
	}
	for (int i = ctl->verb->min_args - ctl->argc; i > 0; i--)
		do
			name--;
		while (name[-1] != ' ');
	snprintf(word, sizeof word, "%.*s", (int)strcspn(name, " "), name);
	return usage_error("missing", word, ctl->verb);
}

/* Words behind the verb. */
static enum admin_exit
take_words(struct ctl *ctl, int argc, char **argv)
{
	bool options = true;

	ctl->options.declared = ctl->verb->options;
	for (int i = 0; i < argc; i++) {
		enum admin_exit status = ADMIN_OK;
		bool took_next = false;

		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && argv[i][0] == '-' && argv[i][1] != '\0')
			status = take_option(ctl, argv[i], argv[i + 1], &took_next);
		else if (ctl->argc == ctl->verb->max_args)
			status = usage_error("too many words", argv[i], ctl->verb);
		else
			ctl->args[ctl->argc++] = argv[i];
		if (status != ADMIN_OK)
			return status;
		i += took_next ? 1 : 0;
	}
	if (ctl->argc < ctl->verb->min_args)
		return missing_word(ctl);
	return ADMIN_OK;
}

/* Its two halves share the verb, not their options. */
static bool
reindex_is_clear(const struct options *o)
{
	bool of_reparse = options_given(o, "--all") || options_given(o, "--dry-run") ||
	                  options_given(o, "--json");

	return options_given(o, "--reparse") ? !options_given(o, "--force") : !of_reparse;
}

/* What can be judged without asking anybody. */
static enum admin_exit
check_words(const struct ctl *ctl)
{
	const char *messages = options_value(&ctl->options, "--messages");
	const char *quota = options_value(&ctl->options, "--quota");
	bool limits = options_declared(ctl->verb->options, "--messages");
	uint64_t n;

	if (limits && ctl->argc == 2 && !admin_parse_size(slice_str(ctl->args[1]), &n))
		return usage_error("not a number of bytes", ctl->args[1], ctl->verb);
	if (limits && ctl->argc == 1 && messages == NULL)
		return usage_error("missing", "BYTES or --messages", ctl->verb);
	if (options_declared(ctl->verb->options, "--to") &&
	    strcmp(ctl->verb->words[0], "volume") == 0 && !options_given(&ctl->options, "--to"))
		return usage_error("missing", "--to VOLUME", ctl->verb);
	if (messages != NULL && !admin_parse_count(slice_str(messages), &n))
		return usage_error("not a number of messages", messages, ctl->verb);
	if (strcmp(ctl->verb->words[0], "lint") == 0 && options_given(&ctl->options, "--mailbox") &&
	    ctl->argc > 1)
		return usage_error("too many words", ctl->args[1], ctl->verb);
	if (strcmp(ctl->verb->words[0], "lint") == 0 && options_given(&ctl->options, "--uid") &&
	    !options_given(&ctl->options, "--mailbox"))
		return usage_error("--uid goes with --mailbox", "", ctl->verb);
	if (strcmp(ctl->verb->words[0], "user") == 0 &&
	    options_declared(ctl->verb->options, "--all") &&
	    options_given(&ctl->options, "--all") != (ctl->argc == 1))
		return usage_error("either capabilities or --all", "", ctl->verb);
	if (strcmp(ctl->verb->words[0], "reindex") == 0 && !reindex_is_clear(&ctl->options))
		return usage_error("--all, --dry-run and --json go with --reparse, --force does "
		                   "not",
		                   "", ctl->verb);
	if (quota != NULL && !admin_parse_size(slice_str(quota), &n))
		return usage_error("not a number of bytes", quota, ctl->verb);
	return ADMIN_OK;
}

static enum admin_exit
run_verb(struct ctl *ctl, int argc, char **argv)
{
	enum admin_exit status;
	struct ctl_verb verb;
	int used = 0;

	if (argc == 0)
		return usage_error("what is to be done?", "", NULL);
	if (strcmp(argv[0], "help") == 0)
		return tell_help(argc - 1, argv + 1);
	if (!find_verb(argc, argv, &used, &verb))
		return argc > 1 && is_help(argv[1]) && print_usage(stdout, argv[0])
		           ? ADMIN_OK
		           : unknown_verb(argc, argv);
	ctl->verb = &verb;
	for (int i = used; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (is_help(argv[i])) {
			print_verb_help(ctl->verb);
			return ADMIN_OK;
		}
	}
	status = take_words(ctl, argc - used, argv + used);
	if (status == ADMIN_OK)
		status = check_words(ctl);
	if (status == ADMIN_OK)
		status = verb.run(ctl);
	ctl->verb = NULL;               /* it ends here */
	return status;
}

/* Options before the verb. False: *status is the end. */
static bool
take_global(struct ctl *ctl, int argc, char **argv, int *used, enum admin_exit *status)
{
	int i = 1;

	*status = ADMIN_OK;
	while (i < argc && argv[i][0] == '-') {
		if (is_help(argv[i])) {
			print_usage(stdout, NULL);
			return false;
		}
		if (strcmp(argv[i], "-V") == 0 || strcmp(argv[i], "--version") == 0) {
			puts("restantectl " RESTANTE_VERSION);
			return false;
		}
		if (strcmp(argv[i], "-c") != 0 || i + 1 == argc) {
			*status = usage_error("unknown option, or no file given", argv[i], NULL);
			return false;
		}
		ctl->conf_path = argv[i + 1];
		ctl->conf_given = true;
		i += 2;
	}
	*used = i;
	return true;
}

int
main(int argc, char **argv)
{
	struct ctl ctl = { .conf_path = CONF_DEFAULT, .prefix = "" };
	enum admin_exit status;
	int used;

	process_open_standard();
	signal(SIGPIPE, SIG_IGN);       /* a pager that went away ends what is printed */
	log_set_level(LOGLEVEL_WARN);
	if (take_global(&ctl, argc, argv, &used, &status))
		status = run_verb(&ctl, argc - used, argv + used);
	ctl_close(&ctl);
	ctl_owner_return();
	conf_free(&ctl.conf);
	/* who reads no more has read what it wanted: head, a pager */
	if (fflush(stdout) != 0 && errno != EPIPE && status == ADMIN_OK) {
		fputs("restantectl: standard output cannot be written\n", stderr);
		status = ADMIN_FAILED;
	}
	return (int)status;
}
