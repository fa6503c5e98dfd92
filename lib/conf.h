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
#include "lib/network.h"

#define CONF_FILE_MAX     (1024u * 1024u)       /* bytes */
#define CONF_VOLUMES_MAX  64u
#define CONF_LISTENS_MAX  64u
#define CONF_CERTIFICATES_MAX 256u
#define CONF_AGES_MAX     16u
#define CONF_MAILBOX_MAX  255u                  /* bytes of a name */

enum conf_protocol {
	CONF_IMAP,
	CONF_IMAPS,
	CONF_POP3,
	CONF_POP3S,
	CONF_LMTP,
	CONF_LMTPS,
	CONF_SASLAUTHD,
};

enum conf_durability {
	CONF_STRICT,
	CONF_RELAXED,           /* flag changes alone may be answered before they are synced */
};

enum conf_tls_version {
	CONF_TLS_1_2,
	CONF_TLS_1_3,
};

/* Of TLS clients, by certificate. */
enum conf_client_certificates {
	CONF_CLIENT_OFF,        /* not asked for */
	CONF_CLIENT_OPTIONAL,
	CONF_CLIENT_REQUIRED,
};

/* What of [tls] a listener does otherwise. */
enum conf_listen_certificates {
	CONF_LISTEN_AS_TLS,
	CONF_LISTEN_OFF,
	CONF_LISTEN_OPTIONAL,
	CONF_LISTEN_REQUIRED,
};

/* Where in a client's certificate its name stands. */
enum conf_client_name {
	CONF_CLIENT_EMAIL,      /* subjectAltName rfc822Name */
	CONF_CLIENT_DNS,        /* subjectAltName dNSName */
	CONF_CLIENT_CN,         /* commonName of the subject */
	CONF_CLIENT_UID,        /* userid of the subject */
};

enum conf_overquota {
	CONF_OVERQUOTA_452,
	CONF_OVERQUOTA_552,
};

struct conf_list {
	const char *const *words;
	size_t             count;
};

struct conf_networks {
	const struct network *list;
	size_t                count;
};

/* What a section with a name begins with. */
struct conf_named {
	const char *name;
	unsigned    line;                       /* of the section's header */
};

enum conf_language {            /* in the order of server/pop3/texts.h */
	CONF_ENGLISH,
	CONF_GERMAN,
	CONF_JAPANESE,
};

struct conf_server {
	const char         *user;               /* "" stays who one is */
	const char         *hostname;           /* "" asks the system */
	enum log_level      log_level;
	const char         *control_socket;     /* path */
	uint64_t            reactors;           /* 0: one per core */
	uint64_t            pool_threads;       /* 0: the server chooses */
	bool                sandbox;
	struct conf_list    sandbox_paths;      /* directories that it may write in besides the volumes */
	bool                sandbox_connect;    /* TCP to others, for plugins of libsasl2 */
	bool                allow_plaintext_on_loopback;
	bool                unauthenticate;
	struct conf_networks proxy_networks;
	uint64_t            idle_timeout;       /* seconds */
	uint64_t            stop_timeout;       /* seconds */
	uint64_t            account_quota;      /* bytes, given to new accounts; 0: no limit */
	enum conf_overquota overquota_reply;
};

struct conf_tls {
	const char           *certificate;      /* path, PEM; "" no TLS */
	const char           *key;              /* path, PEM */
	enum conf_tls_version min_version;
	bool                  starttls;
	const char           *client_ca;        /* path, PEM; "" client certificates are not asked for */
	const char           *client_crl;       /* path, PEM; "" none */
	enum conf_client_certificates client_certificates;
	enum conf_client_name client_name;
};

struct conf_certificate {
	struct conf_named named;
	const char       *certificate;          /* path, PEM */
	const char       *key;                  /* path, PEM */
};

struct conf_auth {
	uint64_t max_failures;                  /* of an account from a network before it is blocked there; 0: never */
	uint64_t max_network_failures;          /* of a network, likewise */
	uint64_t max_account_failures;          /* of an account; then answers come as late as they can. 0: never */
	uint64_t failure_window;                /* seconds in which so many are forgotten */
	uint64_t block_time;                    /* seconds of the first block */
	uint64_t known_time;                    /* seconds that a network is known from a good login; 0: never */
	struct conf_networks trusted_networks;
	uint64_t remember;                      /* seconds that a good password is; 0: never */
	struct conf_list admins;                /* names of accounts */
	struct conf_list mechanisms;            /* of SASL; none: all. Checked by server/policy.c */
	const char      *anonymous;             /* name of an account, or "" */
	struct conf_list password_sources;
	const char      *saslauthd_socket;      /* path */
	const char      *sasl_config;           /* path, or "" */
	const char      *oauth_keys;            /* path; "": no tokens; else issuer and audience are there */
	const char      *oauth_issuer;
	struct conf_list oauth_audience;
	const char      *oauth_claim;
	const char      *oauth_scope;           /* "": none is asked for */
	uint64_t         oauth_skew;            /* seconds */
	struct conf_list oauth_hosts;           /* none: any */
	const char      *oauth_discovery;       /* URL, or "" */
};

enum conf_locked {
	CONF_LOCKED_550,
	CONF_LOCKED_450,
};

struct conf_lmtp {
	struct conf_networks networks;          /* may deliver, besides the loopback and unix sockets */
	struct conf_networks trusted_networks;  /* may use XCLIENT and XFORWARD */
	bool                 trust_socket;      /* so may who comes by a unix socket */
	struct conf_list     certificate_names; /* of clients that may deliver */
	struct conf_list     auth_accounts;     /* that may deliver after AUTH */
	const char          *aliases;           /* path; "": none */
	struct conf_list     catch_all;         /* "domain=account", or an account for all other domains */
	const char          *postmaster;        /* account; "": the one of that name */
	bool                 create_detail;
	uint64_t             create_detail_limit;       /* mailboxes of an account */
	struct conf_list     junk_headers;      /* "Field: value*" */
	enum conf_locked     locked_reply;
	uint64_t             duplicate_window;  /* seconds; 0: none is told */
};

struct conf_pop3 {
	uint64_t           login_delay;         /* seconds; 0: none */
	enum conf_language language;            /* what "LANG *" chooses */
};

struct conf_limits {
	uint64_t message_size;                  /* bytes */
	uint64_t max_connections;
	uint64_t max_connections_per_ip;
	uint64_t max_connections_per_account;   /* 0: any number */
	uint64_t command_size;                  /* bytes of one command without message literals */
	uint64_t bad_commands;                  /* in a row before the connection is ended */
	uint64_t handshake_timeout;             /* seconds, of TLS and of a proxy's header */
	uint64_t memory, login_memory;          /* bytes that all sessions hold, and those before login */
	uint64_t command_timeout;               /* seconds from the beginning of a command to its end */
	uint64_t min_rate;                      /* bytes in a second, of messages and answers; 0: any */
	uint64_t max_recipients;                /* of one LMTP transaction */
	uint64_t auth_timeout;                  /* seconds until logged in */
	uint64_t auth_failures;                 /* on one connection */
	uint64_t auth_delay;                    /* milliseconds before the first failure is answered; 0: none */
	bool     defer_backfill;
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
	struct conf_named    named;
	const char          *path;              /* directory */
	enum conf_durability durability;
};

struct conf_listen {
	struct conf_named  named;
	enum conf_protocol protocol;
	const char        *address;             /* numeric, IPv4 or IPv6 */
	uint64_t           port;                /* 0: a unix socket */
	const char        *socket;              /* path; "": TCP */
	uint64_t           mode;                /* of the unix socket */
	const char        *group;               /* likewise; "": the server's user's */
	enum conf_listen_certificates client_certificates;
	bool               proxy_protocol;
};

struct conf {
	struct arena        arena;
	const char         *path;               /* absolute */
	const char         *dir;                /* its directory, absolute */
	struct slice        text;               /* of the file, as it was read */
	struct conf_server  server;
	struct conf_tls     tls;
	struct conf_auth    auth;
	struct conf_lmtp    lmtp;
	struct conf_pop3    pop3;
	struct conf_limits  limits;
	struct conf_maintenance maintenance;
	struct conf_volume *volumes;            /* in the order of the file; at least one */
	size_t              n_volumes;
	struct conf_listen *listens;            /* likewise */
	size_t              n_listens;
	struct conf_certificate *certificates;  /* likewise; may be none */
	size_t              n_certificates;
};

/* Read and check the file. On failure *out is NULL and e->text begins with "FILE:LINE: " (only "FILE: " when it cannot
 * be read: RC_NOT_FOUND, RC_DENIED, RC_IO). Wrong content is RC_SYNTAX. Reads no other file. */
MUST_USE enum rc conf_load(const char *path, struct conf **out, struct err *e);
/* The same from the text that conf_load has read, in a process that may not be allowed to read the file: `path` is the
 * `path` of what was loaded. Reads no file. */
MUST_USE enum rc conf_load_text(const char *path, struct slice text, struct conf **out,
                                struct err *e);
/* Is `path` the value of a key that names a file to be read: a certificate, a key and the like? */
bool conf_names_file(const struct conf *c, const char *path);
void conf_free(struct conf **c);           /* accepts a pointer to NULL, leaves NULL behind */

/* Append every section and key with type, default and help, for people. */
void conf_describe(struct buf *out);

/* "imap", "pop3s", ... */
const char *conf_protocol_name(enum conf_protocol p);
bool conf_protocol_is_tls(enum conf_protocol p);        /* from the first byte on */
/* Are client certificates asked for at a listener, all considered. */
enum conf_client_certificates conf_listen_client(const struct conf_tls *tls,
                                                 enum conf_listen_certificates listen);

#endif
