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
	[SEC_CERTIFICATE] = { "certificate", true,
	                      "A further certificate, for other names or with another kind of key." },
	[SEC_AUTH] = { "auth", false, "Who may log in, and how." },
	[SEC_LMTP] = { "lmtp", false, "How mail comes in." },
	[SEC_POP3] = { "pop3", false, "What is particular to POP3." },
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
	{ SEC_SERVER, "sandbox", KEY_BOOL, AT(conf_server, sandbox), "yes", 0, 0, { NULL },
	  "Take from the server what it does not need of the system (Landlock and seccomp on Linux)." },
	{ SEC_SERVER, "sandbox_paths", KEY_LIST, AT(conf_server, sandbox_paths),
	  "/backup, /media, /mnt, /srv, /var/backups", 0, 64, { NULL },
	  "Directories, besides the volumes, that the running server may read and write: for backups." },
	{ SEC_SERVER, "sandbox_connect", KEY_BOOL, AT(conf_server, sandbox_connect), "no", 0, 0, { NULL },
	  "Let the server connect to others by TCP, as plugins of libsasl2 (SQL, LDAP) may have to." },
	{ SEC_SERVER, "allow_plaintext_on_loopback", KEY_BOOL,
	  AT(conf_server, allow_plaintext_on_loopback), "no", 0, 0, { NULL },
	  "Take passwords without TLS on connections from 127.0.0.0/8 and ::1." },
	{ SEC_SERVER, "unauthenticate", KEY_BOOL, AT(conf_server, unauthenticate), "yes", 0, 0,
	  { NULL },
	  "Let IMAP clients give a login up and log in again on the same connection (RFC 8437)." },
	{ SEC_SERVER, "proxy_networks", KEY_NETWORKS, AT(conf_server, proxy_networks), "", 0, 256, { NULL },
	  "Proxies that listeners with proxy_protocol = yes take connections from, and from nobody else." },
	{ SEC_SERVER, "idle_timeout", KEY_DURATION, AT(conf_server, idle_timeout), "30m", 1,
	  7 * DAY, { NULL }, "A logged-in connection that is silent for so long is ended." },
	{ SEC_SERVER, "stop_timeout", KEY_DURATION, AT(conf_server, stop_timeout), "100s", 1, 3600, { NULL },
	  "A server that has not ended so long after SIGTERM is killed." },
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
	{ SEC_TLS, "starttls", KEY_BOOL, AT(conf_tls, starttls), "yes", 0, 0, { NULL },
	  "Offer STARTTLS and STLS on connections that begin in the clear." },
	{ SEC_TLS, "client_ca", KEY_PATH, AT(conf_tls, client_ca), "", 0, 0, { NULL },
	  "PEM file: the authorities whose client certificates are good; empty: none is asked for." },
	{ SEC_TLS, "client_crl", KEY_PATH, AT(conf_tls, client_crl), "", 0, 0, { NULL },
	  "PEM file: which client certificates these authorities have revoked." },
	{ SEC_TLS, "client_certificates", KEY_WORD, AT(conf_tls, client_certificates), "optional", 0, 0,
	  { "off", "optional", "required" }, "Whether clients are asked for a certificate, given client_ca." },
	{ SEC_TLS, "client_name", KEY_WORD, AT(conf_tls, client_name), "email", 0, 0,
	  { "email", "dns", "cn", "uid" }, "Where in a client's certificate the name of its account stands." },

	{ SEC_VOLUME, "path", KEY_PATH, AT(conf_volume, path), NULL, 1, 0, { NULL },
	  "The volume's directory." },
	{ SEC_VOLUME, "durability", KEY_WORD, AT(conf_volume, durability), "strict", 0, 0,
	  { "strict", "relaxed" },
	  "strict: everything is synced before it is answered; relaxed: flag changes within a second." },

	{ SEC_LISTEN, "protocol", KEY_WORD, AT(conf_listen, protocol), NULL, 0, 0,
	  { "imap", "imaps", "pop3", "pop3s", "lmtp", "lmtps", "saslauthd" },
	  "imaps, pop3s, lmtps: TLS from the first byte. saslauthd: checks passwords for an MTA; unix socket only." },
	{ SEC_LISTEN, "address", KEY_ADDRESS, AT(conf_listen, address), "127.0.0.1", 0, 0, { NULL },
	  "IPv4 or IPv6 address in digits; 0.0.0.0 or :: for all." },
	{ SEC_LISTEN, "port", KEY_NUMBER, AT(conf_listen, port), "", 1, 65535, { NULL },
	  "TCP port; either this or socket must be given." },
	{ SEC_LISTEN, "socket", KEY_PATH, AT(conf_listen, socket), "", 1, 0, { NULL },
	  "Path of a unix socket instead of address and port." },
	{ SEC_LISTEN, "mode", KEY_MODE, AT(conf_listen, mode), "0666", 0, 0777, { NULL },
	  "Permissions of the unix socket, in octal." },
	{ SEC_LISTEN, "group", KEY_TEXT, AT(conf_listen, group), "", 0, 64, { NULL },
	  "Group of the unix socket; empty: that of the server's user." },
	{ SEC_LISTEN, "client_certificates", KEY_WORD, AT(conf_listen, client_certificates), "as-tls", 0, 0,
	  { "as-tls", "off", "optional", "required" },
	  "Whether clients are asked for a certificate here; as-tls: as in [tls]." },
	{ SEC_LISTEN, "proxy_protocol", KEY_BOOL, AT(conf_listen, proxy_protocol), "no", 0, 0, { NULL },
	  "Connections come through a proxy and begin with its header (PROXY protocol, version 2)." },

	{ SEC_CERTIFICATE, "certificate", KEY_PATH, AT(conf_certificate, certificate), NULL, 1, 0, { NULL },
	  "PEM file: certificate, then its chain." },
	{ SEC_CERTIFICATE, "key", KEY_PATH, AT(conf_certificate, key), NULL, 1, 0, { NULL }, "PEM file: the private key." },

	{ SEC_AUTH, "max_failures", KEY_NUMBER, AT(conf_auth, max_failures), "10", 0, 100000, { NULL },
	  "Wrong passwords for one account from one network that block it there for a time; 0: never." },
	{ SEC_AUTH, "max_network_failures", KEY_NUMBER, AT(conf_auth, max_network_failures), "200", 0, 100000, { NULL },
	  "Wrong passwords from one network, for all accounts, that block it; 0: never." },
	{ SEC_AUTH, "max_account_failures", KEY_NUMBER, AT(conf_auth, max_account_failures), "100", 0, 100000, { NULL },
	  "Wrong passwords for one account, from everywhere, that delay further ones the most; 0: never." },
	{ SEC_AUTH, "failure_window", KEY_DURATION, AT(conf_auth, failure_window), "1h", 1, 7 * DAY, { NULL },
	  "The time in which that many wrong passwords are forgotten again." },
	{ SEC_AUTH, "block_time", KEY_DURATION, AT(conf_auth, block_time), "15m", 1, DAY, { NULL },
	  "How long the first block lasts; each further one twice as long." },
	{ SEC_AUTH, "known_time", KEY_DURATION, AT(conf_auth, known_time), "30d", 0, 365 * DAY, { NULL },
	  "An account is not blocked where it logged in within this time; 0: nothing is known." },
	{ SEC_AUTH, "trusted_networks", KEY_NETWORKS, AT(conf_auth, trusted_networks), "", 0, 256, { NULL },
	  "Never blocked, as is loopback: webmail, where many people come from one address." },
	{ SEC_AUTH, "remember", KEY_DURATION, AT(conf_auth, remember), "2m", 0, 3600, { NULL },
	  "A right password is not hashed again within this time; 0: it is, always." },
	{ SEC_AUTH, "admins", KEY_LIST, AT(conf_auth, admins), "", 0, 64, { NULL },
	  "Accounts that may act as any other, as migration tools need it." },
	{ SEC_AUTH, "mechanisms", KEY_LIST, AT(conf_auth, mechanisms), "", 0, 16, { NULL },
	  "SASL mechanisms that may be offered; empty: all that are safe." },
	{ SEC_AUTH, "anonymous", KEY_TEXT, AT(conf_auth, anonymous), "", 0, 255, { NULL },
	  "Account that ANONYMOUS opens for reading; empty: ANONYMOUS is not offered." },
	{ SEC_AUTH, "password_sources", KEY_LIST, AT(conf_auth, password_sources), "restante", 0, 8, { NULL },
	  "Who is asked whether a password is right: restante, saslauthd, or an auxprop plugin of libsasl2." },
	{ SEC_AUTH, "saslauthd_socket", KEY_PATH, AT(conf_auth, saslauthd_socket), "/run/saslauthd/mux", 1, 0, { NULL },
	  "Unix socket of saslauthd." },
	{ SEC_AUTH, "sasl_config", KEY_PATH, AT(conf_auth, sasl_config), "", 0, 0, { NULL },
	  "Folder with libsasl2's file restante.conf, for auxprop plugins; empty: none is read." },
	{ SEC_AUTH, "oauth_keys", KEY_PATH, AT(conf_auth, oauth_keys), "", 0, 0, { NULL },
	  "File with the issuer's public keys (JWK Set): access tokens are taken, by OAUTHBEARER and XOAUTH2." },
	{ SEC_AUTH, "oauth_issuer", KEY_TEXT, AT(conf_auth, oauth_issuer), "", 0, 500, { NULL },
	  "Who must have issued a token (iss); needed with oauth_keys." },
	{ SEC_AUTH, "oauth_audience", KEY_LIST, AT(conf_auth, oauth_audience), "", 0, 64, { NULL },
	  "For whom a token must be: one of these is in its aud; needed with oauth_keys." },
	{ SEC_AUTH, "oauth_claim", KEY_TEXT, AT(conf_auth, oauth_claim), "email", 1, 100, { NULL },
	  "The claim of a token that holds the account's name." },
	{ SEC_AUTH, "oauth_scope", KEY_TEXT, AT(conf_auth, oauth_scope), "", 0, 500, { NULL },
	  "A scope that a token must have." },
	{ SEC_AUTH, "oauth_skew", KEY_DURATION, AT(conf_auth, oauth_skew), "60s", 0, 600, { NULL },
	  "How far the issuer's clock may be from ours." },
	{ SEC_AUTH, "oauth_hosts", KEY_LIST, AT(conf_auth, oauth_hosts), "", 0, 64, { NULL },
	  "Names of this server; a client that says with a token to have connected to another is refused." },
	{ SEC_AUTH, "oauth_discovery", KEY_TEXT, AT(conf_auth, oauth_discovery), "", 0, 500, { NULL },
	  "URL of the issuer's OpenID configuration, told to clients whose token is refused." },

	{ SEC_LMTP, "networks", KEY_NETWORKS, AT(conf_lmtp, networks), "", 0, 256, { NULL },
	  "Besides the loopback, who may deliver over TCP without a login." },
	{ SEC_LMTP, "certificate_names", KEY_LIST, AT(conf_lmtp, certificate_names), "", 0, 256, { NULL },
	  "Names in verified client certificates with which one may deliver from anywhere." },
	{ SEC_LMTP, "auth_accounts", KEY_LIST, AT(conf_lmtp, auth_accounts), "", 0, 256, { NULL },
	  "Accounts that may deliver from anywhere once they have logged in (AUTH)." },
	{ SEC_LMTP, "trusted_networks", KEY_NETWORKS, AT(conf_lmtp, trusted_networks), "127.0.0.0/8, ::1/128", 0, 256,
	  { NULL }, "Who may say in whose name a connection or message comes (XCLIENT, XFORWARD)." },
	{ SEC_LMTP, "trust_socket", KEY_BOOL, AT(conf_lmtp, trust_socket), "yes", 0, 0, { NULL },
	  "So may who comes by a unix socket." },
	{ SEC_LMTP, "aliases", KEY_PATH, AT(conf_lmtp, aliases), "", 0, 0, { NULL },
	  "File with further names of accounts." },
	{ SEC_LMTP, "catch_all", KEY_LIST, AT(conf_lmtp, catch_all), "", 0, 1000, { NULL },
	  "Who gets mail for nobody: domain=account for a domain, an account alone for all others." },
	{ SEC_LMTP, "postmaster", KEY_TEXT, AT(conf_lmtp, postmaster), "", 0, 255, { NULL },
	  "Account that gets mail for postmaster; empty: the account or alias of that name." },
	{ SEC_LMTP, "create_detail", KEY_BOOL, AT(conf_lmtp, create_detail), "no", 0, 0, { NULL },
	  "Make the mailbox that user+detail names when there is none." },
	{ SEC_LMTP, "create_detail_limit", KEY_NUMBER, AT(conf_lmtp, create_detail_limit), "100", 1, 100000, { NULL },
	  "But not when the account has so many mailboxes already." },
	{ SEC_LMTP, "junk_headers", KEY_LIST, AT(conf_lmtp, junk_headers), "", 0, 64, { NULL },
	  "Header fields (Field: value, * for any text) of messages that go to the junk mailbox." },
	{ SEC_LMTP, "locked_reply", KEY_WORD, AT(conf_lmtp, locked_reply), "550", 0, 0, { "550", "450" },
	  "What is answered for a locked account: 550 (bounce) or 450 (try again)." },
	{ SEC_LMTP, "duplicate_window", KEY_DURATION, AT(conf_lmtp, duplicate_window), "5d", 0, 30 * DAY, { NULL },
	  "A delivery whose reply was lost is known for so long when it comes again; 0: not." },

	{ SEC_POP3, "login_delay", KEY_DURATION, AT(conf_pop3, login_delay), "0", 0, DAY, { NULL },
	  "Least time between two logins to an account (RFC 2449); 0: none." },
	{ SEC_POP3, "language", KEY_WORD, AT(conf_pop3, language), "en", 0, 0, { "en", "de", "ja" },
	  "Of answers to clients that ask for the server's own language (LANG *)." },

	{ SEC_LIMITS, "message_size", KEY_SIZE, AT(conf_limits, message_size), "100M", KIB,
	  4 * GIB - 1, { NULL }, "Bytes of one message." },
	{ SEC_LIMITS, "max_connections", KEY_NUMBER, AT(conf_limits, max_connections), "16000", 1,
	  10000000, { NULL }, "Connections at one time." },
	{ SEC_LIMITS, "max_connections_per_ip", KEY_NUMBER, AT(conf_limits, max_connections_per_ip),
	  "1000", 1, 10000000, { NULL }, "Of these, from one address." },
	{ SEC_LIMITS, "max_connections_per_account", KEY_NUMBER, AT(conf_limits, max_connections_per_account),
	  "100", 0, 10000000, { NULL }, "Of these, IMAP and POP3 logged in to one account; 0: any number." },
	{ SEC_LIMITS, "command_size", KEY_SIZE, AT(conf_limits, command_size), "64K", KIB, 16 * MIB,
	  { NULL }, "Bytes of one command, message literals not counted." },
	{ SEC_LIMITS, "bad_commands", KEY_NUMBER, AT(conf_limits, bad_commands), "20", 1, 10000,
	  { NULL }, "Bad commands in a row that end the connection." },
	{ SEC_LIMITS, "handshake_timeout", KEY_DURATION, AT(conf_limits, handshake_timeout), "30s", 1, 3600, { NULL },
	  "Time for a proxy's header, and again for setting TLS up." },
	{ SEC_LIMITS, "memory", KEY_SIZE, AT(conf_limits, memory), "1G", MIB, UINT64_MAX / 2, { NULL },
	  "Bytes that all connections together hold for their clients." },
	{ SEC_LIMITS, "login_memory", KEY_SIZE, AT(conf_limits, login_memory), "512M", 64 * KIB, UINT64_MAX / 2, { NULL },
	  "Of these, for clients that have not logged in." },
	{ SEC_LIMITS, "command_timeout", KEY_DURATION, AT(conf_limits, command_timeout), "5m", 1, DAY, { NULL },
	  "Time for a command that has begun to come whole; for a message, time that it may lag behind min_rate." },
	{ SEC_LIMITS, "min_rate", KEY_SIZE, AT(conf_limits, min_rate), "100", 0, MIB, { NULL },
	  "Bytes in a second at which a message must come, and an answer be taken, on average; 0: any." },
	{ SEC_LIMITS, "max_recipients", KEY_NUMBER, AT(conf_limits, max_recipients), "1000", 100,
	  100000, { NULL }, "Recipients of one LMTP transaction." },
	{ SEC_LIMITS, "auth_timeout", KEY_DURATION, AT(conf_limits, auth_timeout), "2m", 1, DAY,
	  { NULL }, "Time to log in." },
	{ SEC_LIMITS, "auth_failures", KEY_NUMBER, AT(conf_limits, auth_failures), "5", 1, 1000,
	  { NULL }, "Failed logins that end the connection." },
	{ SEC_LIMITS, "auth_delay", KEY_NUMBER, AT(conf_limits, auth_delay), "1000", 0, 10000,
	  { NULL },
	  "Milliseconds before a failed login is answered, doubled by each on the connection; 0: at once." },
	{ SEC_LIMITS, "defer_backfill", KEY_BOOL, AT(conf_limits, defer_backfill), "no", 0, 0, { NULL },
	  "Have Apple's Mail put off for a day what it downloads in the background." },
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

_Static_assert(KEY_COUNT <= CONF_KEYS_MAX, "the reader has no room for a key");

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
	case KEY_NETWORKS:
		snprintf(out, size, "IP addresses and networks, as in \"192.0.2.0/24, 2001:db8::/32\"; at most %llu", max);
		return;
	case KEY_LIST:
		if (k->words[0] == NULL) {
			snprintf(out, size, "words with commas between them; at most %llu", max);
			return;
		}
		len = (size_t)snprintf(out, size, "of these, with commas between them: ");
		break;
	case KEY_WORD:
		out[0] = '\0';
		break;
	}
	for (size_t i = 0; i < WORDS_MAX && k->words[i] != NULL && len < size; i++)
		len += (size_t)snprintf(out + len, size - len, i == 0 ? "%s" : ", %s", k->words[i]);
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
			char allowed[CONF_ALLOWED_MAX];

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
