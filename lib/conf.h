/* conf - the configuration: an INI file, checked whole before anything of it is used.
 *
 * What a file may hold stands in one table in conf.c: section, key, type, default, range, help. conf_describe prints
 * that table; a test compares it with restante.conf(5). An unknown or repeated section or key, a bad value, a missing
 * one, are errors that name file, line, key and what is allowed. Relative paths are relative to the directory of the
 * configuration file; here they are absolute already. A loaded configuration never changes and may be read by any
 * thread. All strings belong to it; a string that was not given and has no default is "".
 */
#ifndef RESTANTE_LIB_CONF_H
#define RESTANTE_LIB_CONF_H

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/logging.h"

#define CONF_FILE_MAX     (1024u * 1024u)       /* bytes */
#define CONF_VOLUMES_MAX  64u
#define CONF_LISTENS_MAX  64u
#define CONF_AGES_MAX     16u
#define CONF_MAILBOX_MAX  255u                  /* bytes of a name */

enum conf_protocol {
	CONF_IMAP,
	CONF_IMAPS,
	CONF_POP3,
	CONF_POP3S,
	CONF_LMTP,
	CONF_LMTPS,
};

enum conf_durability {
	CONF_STRICT,
	CONF_RELAXED,           /* flag changes alone may be answered before they are synced */
};

enum conf_tls_version {
	CONF_TLS_1_2,
	CONF_TLS_1_3,
};

enum conf_overquota {
	CONF_OVERQUOTA_452,
	CONF_OVERQUOTA_552,
};

struct conf_server {
	const char         *user;               /* "" stays who one is */
	const char         *hostname;           /* "" asks the system */
	enum log_level      log_level;
	const char         *control_socket;     /* path */
	uint64_t            reactors;           /* 0: one per core */
	uint64_t            pool_threads;       /* 0: the server chooses */
	bool                allow_plaintext_on_loopback;
	bool                unauthenticate;
	uint64_t            idle_timeout;       /* seconds */
	uint64_t            account_quota;      /* bytes, given to new accounts; 0: no limit */
	enum conf_overquota overquota_reply;
};

struct conf_tls {
	const char           *certificate;      /* path, PEM; "" no TLS */
	const char           *key;              /* path, PEM */
	enum conf_tls_version min_version;
};

struct conf_limits {
	uint64_t message_size;                  /* bytes */
	uint64_t max_connections;
	uint64_t max_connections_per_ip;
	uint64_t command_size;                  /* bytes of one command without message literals */
	uint64_t bad_commands;                  /* in a row before the connection is ended */
	uint64_t max_recipients;                /* of one LMTP transaction */
	uint64_t auth_timeout;                  /* seconds until logged in */
	uint64_t auth_failures;                 /* on one connection */
	uint64_t auth_delay;                    /* milliseconds before the first failure is answered; 0: none */
	uint64_t progress_interval;             /* milliseconds between two INPROGRESS [RFC 9585] */
};

/* "Trash 30d": a mailbox, by its name or special use, and how long messages stay in it. */
struct conf_age {
	const char *mailbox;
	uint64_t    age;                        /* seconds */
};

struct conf_ages {
	const struct conf_age *list;
	size_t                 count;
};

struct conf_maintenance {
	uint64_t retention;                     /* seconds, never less than idle_timeout */
	uint64_t compact_threshold;             /* percent; 0: off */
	uint64_t compact_rate;                  /* bytes per second; 0: no limit */
	uint64_t compact_interval;              /* seconds */
	uint64_t scrub_rate;                    /* bytes per second; 0: off */
	uint64_t tombstones;                    /* of one mailbox */
	struct conf_ages autoexpunge;
};

struct conf_volume {
	const char          *name;
	unsigned             line;              /* of the section's header */
	const char          *path;              /* directory */
	enum conf_durability durability;
};

struct conf_listen {
	const char        *name;
	unsigned           line;
	enum conf_protocol protocol;
	const char        *address;             /* numeric, IPv4 or IPv6 */
	uint64_t           port;                /* 0: a unix socket */
	const char        *socket;              /* path; "": TCP */
	uint64_t           mode;                /* of the unix socket */
};

struct conf {
	struct arena        arena;
	const char         *path;               /* absolute */
	const char         *dir;                /* its directory, absolute */
	struct conf_server  server;
	struct conf_tls     tls;
	struct conf_limits  limits;
	struct conf_maintenance maintenance;
	struct conf_volume *volumes;            /* in the order of the file; at least one */
	size_t              n_volumes;
	struct conf_listen *listens;            /* likewise */
	size_t              n_listens;
};

/* Read and check the file. On failure *out is NULL and e->text begins with "FILE:LINE: " (only "FILE: " when it cannot be
 * read: RC_NOT_FOUND, RC_DENIED, RC_IO). Wrong content is RC_SYNTAX. Reads no other file. */
MUST_USE enum rc conf_load(const char *path, struct conf **out, struct err *e);
void conf_free(struct conf **c);           /* accepts a pointer to NULL, leaves NULL behind */

/* Append every section and key with type, default and help, for people. */
void conf_describe(struct buf *out);

/* "imap", "pop3s", ... */
const char *conf_protocol_name(enum conf_protocol p);
bool conf_protocol_is_tls(enum conf_protocol p);        /* from the first byte on */

#endif
