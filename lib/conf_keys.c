/* conf_keys - the table of all keys, and its description. See conf_keys.h; conf_describe: conf.h.
 *
 * A key is a row here and a field in conf.h: reading, checking, presets and the description follow
 * from the row. */
#include "lib/conf_keys.h"

#include <stddef.h>
#include <stdio.h>

const struct section_def conf_sections[] = {
	[SEC_SERVER] = { "server", false, "The process as a whole." },
	[SEC_TLS] = { "tls", false, "Needed for imaps, pop3s, lmtps and for STARTTLS and STLS." },
	[SEC_VOLUME] = { "volume", true, "A directory with mail. At least one." },
	[SEC_LISTEN] = { "listen", true,
	                 "Where connections are accepted: address and port, or a unix socket. "
	                 "At least one." },
	[SEC_LIMITS] = { "limits", false, "How much one client may ask for." },
	[SEC_MAINTENANCE] = { "maintenance", false, "What the server does with its volumes by itself." },
};

const struct key_def conf_keys[] = {
#define AT(type, field) offsetof(struct type, field)
	{ SEC_SERVER, "user", KEY_TEXT, AT(conf_server, user), "", 0, 64, { NULL },
	  "Who to become when started as root; empty: stay who one is." },
	{ SEC_SERVER, "hostname", KEY_TEXT, AT(conf_server, hostname), "", 0, 255, { NULL },
	  "Name in greetings and trace headers; empty: the system's." },
	{ SEC_SERVER, "log_level", KEY_WORD, AT(conf_server, log_level), "info", 0, 0,
	  { "error", "warn", "info", "debug" }, "The least important lines that are written." },
	{ SEC_SERVER, "control_socket", KEY_PATH, AT(conf_server, control_socket), "control.sock",
	  1, 0, { NULL }, "Unix socket by which restantectl reaches the running daemon." },
	{ SEC_SERVER, "reactors", KEY_NUMBER, AT(conf_server, reactors), "0", 0, 256, { NULL },
	  "Network threads; 0: one per core." },
	{ SEC_SERVER, "pool_threads", KEY_NUMBER, AT(conf_server, pool_threads), "0", 0, 1024,
	  { NULL },
	  "Worker threads for disk, index and passwords; 0: chosen by the number of cores." },
	{ SEC_SERVER, "allow_plaintext_on_loopback", KEY_BOOL,
	  AT(conf_server, allow_plaintext_on_loopback), "no", 0, 0, { NULL },
	  "Take passwords without TLS on connections from 127.0.0.0/8 and ::1." },
	{ SEC_SERVER, "unauthenticate", KEY_BOOL, AT(conf_server, unauthenticate), "yes", 0, 0,
	  { NULL },
	  "Let IMAP clients give a login up and log in again on the same connection (RFC 8437)." },
	{ SEC_SERVER, "idle_timeout", KEY_DURATION, AT(conf_server, idle_timeout), "30m", 1,
	  7 * DAY, { NULL }, "A logged-in connection that is silent for so long is ended." },
	{ SEC_SERVER, "account_quota", KEY_SIZE, AT(conf_server, account_quota), "0", 0,
	  UINT64_MAX / 2, { NULL },
	  "Bytes of mail a new account may hold; 0: no limit." },
	{ SEC_SERVER, "overquota_reply", KEY_WORD, AT(conf_server, overquota_reply), "452", 0, 0,
	  { "452", "552" },
	  "What LMTP answers for a full account: 452 (try again) or 552 (bounce)." },

	{ SEC_TLS, "certificate", KEY_PATH, AT(conf_tls, certificate), "", 0, 0, { NULL },
	  "PEM file: certificate, then its chain." },
	{ SEC_TLS, "key", KEY_PATH, AT(conf_tls, key), "", 0, 0, { NULL },
	  "PEM file: the private key." },
	{ SEC_TLS, "min_version", KEY_WORD, AT(conf_tls, min_version), "1.2", 0, 0,
	  { "1.2", "1.3" }, "The oldest TLS version accepted." },

	{ SEC_VOLUME, "path", KEY_PATH, AT(conf_volume, path), NULL, 1, 0, { NULL },
	  "The volume's directory." },
	{ SEC_VOLUME, "durability", KEY_WORD, AT(conf_volume, durability), "strict", 0, 0,
	  { "strict", "relaxed" },
	  "strict: everything is synced before it is answered; relaxed: flag changes within a second." },

	{ SEC_LISTEN, "protocol", KEY_WORD, AT(conf_listen, protocol), NULL, 0, 0,
	  { "imap", "imaps", "pop3", "pop3s", "lmtp", "lmtps" },
	  "imaps, pop3s, lmtps: TLS from the first byte." },
	{ SEC_LISTEN, "address", KEY_ADDRESS, AT(conf_listen, address), "127.0.0.1", 0, 0, { NULL },
	  "IPv4 or IPv6 address in digits; 0.0.0.0 or :: for all." },
	{ SEC_LISTEN, "port", KEY_NUMBER, AT(conf_listen, port), "", 1, 65535, { NULL },
	  "TCP port; either this or socket must be given." },
	{ SEC_LISTEN, "socket", KEY_PATH, AT(conf_listen, socket), "", 1, 0, { NULL },
	  "Path of a unix socket instead of address and port." },
	{ SEC_LISTEN, "mode", KEY_MODE, AT(conf_listen, mode), "0666", 0, 0777, { NULL },
	  "Permissions of the unix socket, in octal." },

	{ SEC_LIMITS, "message_size", KEY_SIZE, AT(conf_limits, message_size), "100M", KIB,
	  4 * GIB - 1, { NULL }, "Bytes of one message." },
	{ SEC_LIMITS, "max_connections", KEY_NUMBER, AT(conf_limits, max_connections), "16000", 1,
	  10000000, { NULL }, "Connections at one time." },
	{ SEC_LIMITS, "max_connections_per_ip", KEY_NUMBER, AT(conf_limits, max_connections_per_ip),
	  "1000", 1, 10000000, { NULL }, "Of these, from one address." },
	{ SEC_LIMITS, "command_size", KEY_SIZE, AT(conf_limits, command_size), "64K", KIB, 16 * MIB,
	  { NULL }, "Bytes of one command, message literals not counted." },
	{ SEC_LIMITS, "bad_commands", KEY_NUMBER, AT(conf_limits, bad_commands), "20", 1, 10000,
	  { NULL }, "Bad commands in a row that end the connection." },
	{ SEC_LIMITS, "max_recipients", KEY_NUMBER, AT(conf_limits, max_recipients), "1000", 100,
	  100000, { NULL }, "Recipients of one LMTP transaction." },
	{ SEC_LIMITS, "auth_timeout", KEY_DURATION, AT(conf_limits, auth_timeout), "2m", 1, DAY,
	  { NULL }, "Time to log in." },
	{ SEC_LIMITS, "auth_failures", KEY_NUMBER, AT(conf_limits, auth_failures), "5", 1, 1000,
	  { NULL }, "Failed logins that end the connection." },
	{ SEC_LIMITS, "auth_delay", KEY_NUMBER, AT(conf_limits, auth_delay), "1000", 0, 10000,
	  { NULL },
	  "Milliseconds before a failed login is answered, doubled by each on the connection; 0: at once." },
	{ SEC_LIMITS, "progress_interval", KEY_NUMBER, AT(conf_limits, progress_interval), "10000",
	  1, 600000, { NULL },
	  "Milliseconds between two messages that an IMAP command still runs." },

	{ SEC_MAINTENANCE, "retention", KEY_DURATION, AT(conf_maintenance, retention), "7d", 0, 3650 * DAY, { NULL },
	  "What was expunged or deleted can be brought back for so long." },
	{ SEC_MAINTENANCE, "compact_threshold", KEY_NUMBER, AT(conf_maintenance, compact_threshold), "30", 0, 100,
	  { NULL }, "Percent of a segment that must be dead before it is compacted; 0: never by itself." },
	{ SEC_MAINTENANCE, "compact_rate", KEY_SIZE, AT(conf_maintenance, compact_rate), "16M", 0, UINT64_MAX / 2,
	  { NULL }, "Bytes that a compaction reads and writes in a second; 0: as fast as it goes." },
	{ SEC_MAINTENANCE, "compact_interval", KEY_DURATION, AT(conf_maintenance, compact_interval), "1d", 1, 365 * DAY,
	  { NULL }, "How often a changed log is surveyed for what is dead." },
	{ SEC_MAINTENANCE, "scrub_rate", KEY_SIZE, AT(conf_maintenance, scrub_rate), "1M", 0, UINT64_MAX / 2, { NULL },
	  "Bytes of the log that are read and verified in a second; 0: none." },
	{ SEC_MAINTENANCE, "tombstones", KEY_NUMBER, AT(conf_maintenance, tombstones), "100000", 100, 1000000000,
	  { NULL }, "Expunges that a mailbox remembers one by one." },
	{ SEC_MAINTENANCE, "autoexpunge", KEY_AGES, AT(conf_maintenance, autoexpunge), "", 1, 3650 * DAY, { NULL },
	  "Messages that have been in these mailboxes (names or special uses) for so long are expunged." },
#undef AT
};

#define KEY_COUNT (sizeof conf_keys / sizeof conf_keys[0])

const size_t conf_key_count = KEY_COUNT;

_Static_assert(KEY_COUNT <= 64, "the reader keeps a bit per key");

void
conf_key_allowed(const struct key_def *k, char *out, size_t size)
{
	unsigned long long min = k->min, max = k->max;
	size_t len = 0;

	switch (k->type) {
	case KEY_TEXT:
		snprintf(out, size, "text of at most %llu bytes", max);
		return;
	case KEY_PATH:
		snprintf(out, size, "a path");
		return;
	case KEY_ADDRESS:
		snprintf(out, size, "an IPv4 or IPv6 address in digits");
		return;
	case KEY_BOOL:
		snprintf(out, size, "yes or no");
		return;
	case KEY_NUMBER:
		snprintf(out, size, "a number from %llu to %llu", min, max);
		return;
	case KEY_SIZE:
		snprintf(out, size, "bytes from %llu to %llu, also with K, M or G", min, max);
		return;
	case KEY_DURATION:
		snprintf(out, size, "a time from %llus to %llus, with s, m, h or d", min, max);
		return;
	case KEY_MODE:
		snprintf(out, size, "an octal number from 0 to %04llo", max);
		return;
	case KEY_AGES:
		snprintf(out, size, "mailboxes with ages (with s, m, h or d), as in \"Trash 30d, Junk 30d\"; at most %u",
		         CONF_AGES_MAX);
		return;
	case KEY_WORD:
		out[0] = '\0';
		for (size_t i = 0; i < WORDS_MAX && k->words[i] != NULL && len < size; i++)
			len += (size_t)snprintf(out + len, size - len, i == 0 ? "%s" : ", %s",
			                        k->words[i]);
		return;
	}
}

void
conf_describe(struct buf *out)
{
	for (size_t s = 0; s < CONF_SECTION_COUNT; s++) {
		const struct section_def *def = &conf_sections[s];

		buf_printf(out, "%s[%s%s]\n%s\n", s == 0 ? "" : "\n", def->name,
		           def->named ? " NAME" : "", def->help);
		for (size_t i = 0; i < KEY_COUNT; i++) {
			const struct key_def *k = &conf_keys[i];
			char allowed[160];

			if (k->section != s)
				continue;
			conf_key_allowed(k, allowed, sizeof allowed);
			if (k->preset == NULL)
				buf_printf(out, "\n  %s  (must be given)\n", k->name);
			else
				buf_printf(out, "\n  %s = %s\n", k->name, k->preset);
			buf_printf(out, "      %s\n      %s\n", allowed, k->help);
		}
	}
}
