/* registry - all sessions of the server, and by account: who is there, how many, and how to end them.
 *
 * A session on whichever reactor is a member from its first byte to its end, and of an account from login to logout; of
 * two when an admin acts as another: it ends with either.
 * Other threads never touch a session but through its member's two functions, which run under the registry's lock: so a
 * member that was found cannot go away meanwhile. Any thread; one lock, held for no longer than a walk
 * over the members.
 *
 * A login that is under way when its account changes must not slip through: it notes registry_moment() before it reads
 * the credentials, and registry_enter refuses it if the account has changed since.
 */
#ifndef RESTANTE_SERVER_REGISTRY_H
#define RESTANTE_SERVER_REGISTRY_H

#include "index/volume.h"
#include "lib/network.h"
#include "server/session.h"

#define REGISTRY_MECHANISM_MAX 20u
#define REGISTRY_PEER_MAX      46u

/* What `who` tells of a session. */
struct registry_row {
	uint64_t       id;
	struct volume *volume;          /* NULL: not logged in */
	account_id     account;
	struct volume *admin_volume;    /* NULL: no admin entered for the account */
	account_id     admin;
	mailbox_id     mailbox;         /* 0: none */
	const char    *protocol;        /* static text, as the next two */
	const char    *activity;        /* the command under way; NULL: waits for the client */
	const char    *tls;             /* "TLSv1.3"; NULL: in clear */
	char           peer[REGISTRY_PEER_MAX];
	char           mechanism[REGISTRY_MECHANISM_MAX + 1];
	uint64_t       began_us;        /* clock_wall_us */
	uint64_t       bytes_in, bytes_out;
};

/* A member's place among those that end with an account. */
struct tie {
	struct tie    *prev, *next;                     /* of the account's bucket */
	struct member *m;
	struct volume *volume;                          /* NULL: it is tied to none */
	account_id     account;
};

/* A session's place in it; embedded there. */
struct member {
	struct member *prev, *next;                     /* of all */
	struct tie     owner;                           /* whose mail it has; volume NULL: nobody's */
	struct tie     admin;                           /* who proved to be somebody and asked for another's mail */
	uint64_t       id;
	uint8_t        ip[NETWORK_IP_LEN];              /* of its peer */
	bool           has_ip;                          /* else it is a unix socket */
	/* Any thread, under the registry's lock; neither may call the registry. */
	void         (*end)(struct member *m, enum session_end why);
	void         (*describe)(const struct member *m, struct registry_row *row);
};

/* Which sessions: all that every given part fits. */
struct registry_filter {
	struct volume        *volume;   /* with `account`; NULL: any. An admin's are those that he opened
	                                 * of others, too */
	account_id            account;
	uint64_t              id;       /* 0: any */
	const struct network *network;  /* NULL: any */
};

enum registry_result {
	REGISTRY_OK,
	REGISTRY_FULL,          /* the account has as many sessions as it may */
	REGISTRY_CHANGED,       /* it has changed since the login began */
};

struct registry;

MUST_USE enum rc registry_new(struct registry **out, struct err *e);
void registry_free(struct registry **r);

/* `m` is filled but for the links and the account. */
void registry_add(struct registry *r, struct member *m);
/* Also leaves its account. From then on nobody calls its functions. */
void registry_remove(struct registry *r, struct member *m);

uint64_t registry_moment(struct registry *r);
/* max 0: any number. */
enum registry_result registry_enter(struct registry *r, struct member *m, struct volume *v,
                                    account_id account, uint64_t moment, uint64_t max);
/* After it: the session ends with this account too, that of the admin who entered for another.
 * REGISTRY_OK or _CHANGED. */
enum registry_result registry_enter_admin(struct registry *r, struct member *m, struct volume *v,
                                          account_id account, uint64_t moment);
void registry_leave(struct registry *r, struct member *m);

/* The account's password was changed, a credential revoked, it was locked, deleted or moved: all its sessions end, and
 * logins under way. For struct volume_params; account 0: it is not known which, so all of the volume. */
void registry_account_changed(void *r, struct volume *v, account_id account);

/* End those that fit; how many. */
size_t registry_end(struct registry *r, const struct registry_filter *f, enum session_end why);
/* A copy of what they are, on the heap, in the order of their beginning. RC_OK or RC_NOMEM. */
MUST_USE enum rc registry_list(struct registry *r, const struct registry_filter *f,
                               struct registry_row **rows, size_t *count, struct err *e);

#endif
