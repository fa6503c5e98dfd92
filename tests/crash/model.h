/* model - what a volume must hold: the oracle of the power-cut tests.
 *
 * A model is a plain picture of a volume. `model_apply` changes it by an operation's own rules, written apart from the
 * product's; `model_read` makes one of what a volume tells through index/volume.h, bodies included; `model_differs`
 * compares. What only the volume decides (MODSEQs, ids, UIDVALIDITYs, SAVEDATEs) is 0 in an operation that was not
 * answered, and must then lie above everything that was ever told.
 */
#ifndef RESTANTE_TESTS_CRASH_MODEL_H
#define RESTANTE_TESTS_CRASH_MODEL_H

#include "index/volume.h"

#define NAME_LEN   48
#define ACCOUNTS   4
#define BOXES      16
#define MESSAGES   40
#define SUBSCRIBED 16
#define TARGETS    4
#define MAILS      8
#define MAIL_BIG   (MAILS - 1)          /* goes out of line */
#define MAIL_SMALL (MAILS - 2)          /* mails below this are small */
#define KEYWORDS   3
#define MODEL_MAIL_MAX (1300u << 10)    /* no mail is longer */

struct model_message {
	mail_uid         uid;
	mail_modseq      modseq;
	uint32_t         flags;
	unsigned         keyword;       /* of model_keywords */
	unsigned         mail;
	int64_t          internaldate;
	struct mail_date savedate;      /* sec 0: not known */
};

struct model_box {
	char        name[NAME_LEN];
	mailbox_id  id;
	uint8_t     mailboxid[MAILBOXID_LEN];
	uint32_t    uidvalidity;
	mail_uid    uidnext;
	mail_modseq highest;
	unsigned    count;
	struct model_message messages[MESSAGES];
};

struct model_account {
	char       name[NAME_LEN];
	account_id id;
	uint64_t   quota_bytes, quota_messages;
	uint64_t   used_bytes, used_messages;   /* only read; compared with the messages */
	uint32_t   flags;
	char       hidden[NAME_LEN];
	char       password[NAME_LEN];
	unsigned   box_count;
	struct model_box boxes[BOXES];
	unsigned   subscribed_count;
	char       subscribed[SUBSCRIBED][NAME_LEN];
};

struct model {
	unsigned             count;
	struct model_account accounts[ACCOUNTS];
};

/* Everything that was ever told to a client. */
struct heard {
	uint32_t uidvalidity;
	unsigned count;
	struct {
		mailbox_id  id;
		mail_uid    uidnext;
		mail_modseq highest;
	} boxes[512];
};

enum op_kind {
	OP_DELIVER,
	OP_DELIVER_MANY,                /* one message, several recipients, each answered by itself */
	OP_DELIVER_BIG,
	OP_STORE,
	OP_COPY,
	OP_MOVE,
	OP_EXPUNGE,
	OP_REPLACE,
	OP_CREATE,
	OP_RENAME,
	OP_DELETE,
	OP_SUBSCRIBE,
	OP_ACCOUNT_CREATE,
	OP_ACCOUNT_DELETE,
	OP_QUOTA,
	OP_HIDE,
	OP_LOCK,
	OP_CREDENTIAL,
	OP_IMPORT,                      /* a delivery that wants the UID `first` */
	OP_UNDELETE,                    /* the expunged message `first` of `box` comes back into targets[0] */
	OP_PURGE,                       /* the content of the expunged message `first` of `box` goes for good */
	OP_ACCOUNT_RESTORE,             /* with INBOX and Work */
	OP_CHANGES,                     /* how many change something; those that follow do not */
	OP_CHECKPOINT = OP_CHANGES,     /* of the index */
	OP_CLOSE,                       /* seal, checkpoint, let go */
	OP_REINDEX,
	OP_OPEN,                        /* the volume after a cut: recovery */
	OP_RENEW,                       /* the first start of a copy */
	OP_MOVE_ACCOUNT,                /* to another volume */
	OP_KEEP,                        /* what shows no change: compaction, reaping, pruning, copying */
};

struct op {
	enum op_kind kind;
	bool         answered;          /* the results below were told */
	bool         relaxed;           /* it was told, but may be lost */
	bool         logged;            /* it is in the log; what changes nothing is not, and syncs nothing */
	char         account[NAME_LEN];
	char         box[NAME_LEN];
	char         to[NAME_LEN];      /* COPY, MOVE: box; RENAME: new name */
	mail_uid     first, last;
	enum store_op store;
	uint32_t     flags;
	unsigned     keyword;
	unsigned     mail;
	uint64_t     number;            /* quota; SUBSCRIBE, HIDE, LOCK: 0 or 1 */
	uint64_t     delivery;          /* names it to the volume, in each session that makes it; 0: nothing does */
	uint64_t     session;
	bool         again;             /* once more, as its client does not know */
	bool         suppressed;        /* result: it had been delivered */
	unsigned     target_count;
	struct {
		char account[NAME_LEN];
		char box[NAME_LEN];
		mail_uid    uid;        /* result; COPY, MOVE: of the first in targets[0] */
		mail_modseq modseq;     /* result */
	} targets[TARGETS];
	mail_modseq  modseq;            /* result: of STORE, EXPUNGE, MOVE's and REPLACE's expunge */
};

extern const char *const model_keywords[KEYWORDS];
extern const int64_t model_date;                        /* INTERNALDATE of what operations append */
/* The mails there are: [0, MAIL_SMALL) small, one of 60 KB, one that goes out of line. */
struct slice model_mail(unsigned mail);
void model_init_mails(void);

struct model_account *model_account(struct model *m, const char *name);         /* NULL: none */
struct model_box *model_box(struct model *m, const char *account, const char *name);
struct model_box *model_find_box(struct model_account *a, const char *name);     /* `a` may be NULL */

/* NULL, or what was told wrongly. A new account gets the boxes and subscriptions that `fresh` has. */
const char *model_apply(struct model *m, const struct op *op, const struct model_account *fresh);
/* False: the volume could not be read, or tells nonsense; `why` says. */
bool model_read(struct volume *v, struct model *out, char *why, size_t size);
/* False: they are equal, where `want` knows; `got` was read. */
bool model_differs(const struct model *want, const struct model *got, const struct heard *told,
                   char *why, size_t size);
void model_tell(const struct model *m, struct heard *told);
/* The mailbox that, by an answered operation that made `is` of `was`, got a HIGHESTMODSEQ which was told before, of a
 * change that may have been lost since; NULL: none. */
const struct model_box *model_tells_again(const struct model *was, const struct model *is,
                                          const struct heard *told);
/* What a client that was away since `then` is told now, against the difference of the two pictures. */
bool model_resync_is_wrong(struct volume *v, const struct model *then, const struct model *now,
                           char *why, size_t size);

#endif
