/* record - what a record says: absolute statements, encoded to and decoded from bytes.
 *
 * Of two records of one object the one with the higher LSN wins. What a replay needs is in the record: UIDs, MODSEQs,
 * dates with zones, ids; it parses no message, asks no clock and draws no random number. Encoding appends to a buffer;
 * decoding borrows slices from the record's bytes and takes arrays from an arena. Decoders check every bound and return
 * RC_CORRUPT with what is wrong; unknown trailing bytes of a known type are ignored (room for later fields).
 * doc/restante-log.5 has the bytes. Pure functions, any thread.
 */
#ifndef RESTANTE_STORE_RECORD_H
#define RESTANTE_STORE_RECORD_H

#include "lib/arena.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "store/types.h"

enum record_type {
	RECORD_COUNTERS = 1,
	RECORD_ACCOUNT = 2,
	RECORD_CREDENTIAL = 3,
	RECORD_MAILBOX = 4,
	RECORD_SUBSCRIPTION = 5,
	RECORD_BLOB = 6,
	RECORD_MESSAGES = 7,
	RECORD_FLAGS = 8,
	RECORD_EXPUNGE = 9,
	RECORD_GONE = 10,
	RECORD_SOME_MESSAGES = 11,
	RECORD_PURGE = 12,
	RECORD_UIDL = 13,
	RECORD_SUMMARY = 14,
	RECORD_SECRET = 15,
	RECORD_DELIVERY = 16,
};

/* In the log alone: a blob record that has chunks of method CHUNK_BASE64, so that who does not know these refuses the log.
 * Once decoded it is a RECORD_BLOB. */
#define RECORD_STORED_BLOB_BASE64 17u

/* The same of one whose summary is packed with its first chunk (store/front.h), whatever its chunks' methods are. */
#define RECORD_STORED_BLOB_FRONT 18u

/* A delivery record whose key has DELIVERY_KEY_KEPT bytes, not DELIVERY_KEY_LEN. */
#define RECORD_STORED_DELIVERY 19u

/* System flags; keywords stand beside them as text. */
enum mail_flag {
	FLAG_ANSWERED = 1 << 0,
	FLAG_FLAGGED = 1 << 1,
	FLAG_DELETED = 1 << 2,
	FLAG_SEEN = 1 << 3,
	FLAG_DRAFT = 1 << 4,
};
#define FLAG_ALL 31u

/* Special uses [RFC 6154 s2, RFC 8457 s3, RFC 9979]. */
enum special_use {
	USE_ALL = 1 << 0,
	USE_ARCHIVE = 1 << 1,
	USE_DRAFTS = 1 << 2,
	USE_FLAGGED = 1 << 3,
	USE_JUNK = 1 << 4,
	USE_SENT = 1 << 5,
	USE_TRASH = 1 << 6,
	USE_IMPORTANT = 1 << 7,
	USE_SNOOZED = 1 << 8,
	USE_SCHEDULED = 1 << 9,
	USE_MEMOS = 1 << 10,
};

/* Of an account. */
enum account_flag {
	ACCOUNT_LOCKED = 1 << 0,        /* nobody may log in, and no mail is taken in */
};

#define MAILBOXID_LEN 16
#define SHA256_LEN    32
#define ACCOUNT_NAME_MAX 255            /* bytes */
#define MAILBOX_NAME_MAX 1000           /* bytes of UTF-8, the whole path */
#define KEYWORDS_MAX     4096           /* bytes of one message's keywords, separators included */
#define HIDDEN_MAX       1024           /* bytes of an account's hidden capabilities, separators included */
#define PURGE_REASON_MAX 1000           /* bytes of UTF-8 */
#define SECRET_NAME_MAX  64             /* bytes */
#define SECRET_MAX       64             /* bytes of a secret */
#define DELIVERY_KEY_LEN  32
#define DELIVERY_KEY_KEPT 16    /* of which the first so many are noted; the first releases noted all */
#define UIDL_MAX         70             /* bytes of a POP3 unique-id [RFC 1939 s7] */

/* Seconds since 1970-01-01 UTC and the zone it was written in: INTERNALDATE keeps both. */
struct mail_date {
	int64_t sec;
	int16_t zone_min;       /* minutes east of UTC */
};

/* High-water marks of the volume; they never die. */
struct record_counters {
	uint32_t uidvalidity;   /* the last one given */
};

struct record_account {
	account_id   id;        /* LSN of the record that made it; 0 in that record: it is its own LSN */
	uint64_t     generation;
	struct slice name;      /* UTF-8, NFC, as given */
	uint64_t     created_us;
	uint64_t     quota_bytes;       /* 0: unlimited */
	bool         deleted;   /* tombstone: account, credentials, mailboxes, messages are gone */
	/* Behind the others, since they came later: a record without them means 0 and "". */
	uint64_t     quota_messages;    /* 0: unlimited */
	struct slice hidden;    /* IMAP capabilities not shown: upper case, in ASCII order, one space between */
	bool         arriving;  /* a copy that a move is making: owns nothing yet, and is not found by its name */
	uint32_t     flags;     /* enum account_flag */
};

/* One named credential of an account; an empty value takes it away. */
struct record_credential {
	account_id   account;
	struct slice name;      /* "password" is the main one, "app:LABEL" an app password */
	struct slice value;     /* "SCRAM-SHA-256$... SCRAM-SHA-1$...": the business of sasl/credential.h */
};

struct record_mailbox {
	mailbox_id   id;        /* LSN of the record that made it; 0 in that record */
	account_id   account;
	struct slice name;      /* UTF-8, NFC, "/" between levels; INBOX in capitals */
	uint32_t     uidvalidity;
	mail_uid     uidnext;           /* high-water marks as of this record; a replay takes the maximum */
	mail_modseq  highestmodseq;
	uint32_t     special_use;       /* enum special_use */
	uint8_t      mailboxid[MAILBOXID_LEN];
	bool         deleted;
	/* Behind the others, since they came later; 0: none. Both only grow. */
	mail_modseq  expunge_floor;     /* expunges up to here are not remembered one by one */
	mail_modseq  change_floor;      /* a MODSEQ told below this counts as 0: the volume was put back since */
};

struct record_subscription {
	account_id   account;
	struct slice name;
	bool         subscribed;
};

enum chunk_method {
	CHUNK_STORED,           /* the bytes themselves */
	CHUNK_DEFLATE,          /* raw deflate, ends on a byte boundary with a full flush, no final block */
	CHUNK_DEFLATE_HEADER,   /* the same, with the preset dictionary for mail headers */
	CHUNK_BASE64,           /* text in base64 as the octets that it says: base64_chunk.h */
#define CHUNK_METHOD_LAST CHUNK_BASE64
};

struct blob_chunk {
	uint32_t raw_len;       /* bytes of the message it holds, at most 64 KiB */
	uint32_t stored_len;
	uint32_t crc;           /* CRC-32 of the stored bytes */
	uint8_t  method;        /* enum chunk_method */
	uint8_t  dictionary;    /* id of the preset dictionary, 0: none */
};

/* One message's immutable bytes. Its id is this record's LSN. */
struct record_blob {
	uint64_t           size;        /* bytes of the message (RFC822.SIZE) */
	uint32_t           header_len;  /* bytes of the header block with its blank line */
	uint32_t           lines;
	uint8_t            sha256[SHA256_LEN];  /* of the whole message as served */
	const struct blob_chunk *chunks;
	uint32_t           chunk_count;
	struct slice       summary;     /* lib/mime's encoded summary, as it is (plain) */
	struct slice       packed;      /* the same as front_pack makes it, for the log; empty, or out of line:
	                                 * record_encode has its own form */
	struct log_addr    body;        /* kind SEG_BODY: where the chunks lie, if out of line; else len is 0 */
	struct slice       data;        /* the chunks' stored bytes, if inline */
	uint64_t           data_offset; /* decode only: of `data` from the record's first byte */
};

struct record_message {
	blob_id          blob;
	uint32_t         flags;         /* enum mail_flag */
	struct slice     keywords;      /* atoms in ASCII order, one space between, "" for none */
	struct mail_date internaldate;
	struct mail_date savedate;
	uint64_t         threadid;      /* 0: none given */
	uint64_t         size;          /* RFC822.SIZE, not in the record; 0: who wants it asks for it */
};

/* Messages appear in a mailbox. A messages record has consecutive UIDs; of some messages, it has those of the ranges:
 * what compaction has left of a messages record. */
struct record_messages {
	mailbox_id  mailbox;
	mail_modseq modseq;
	mail_uid    first_uid;
	const struct record_message *messages;
	uint32_t    count;
	const struct uid_range *uids;           /* NULL: consecutive from first_uid; else with `count` members, of which
	                                         * first_uid is the first */
	uint32_t    range_count;
};

/* These messages have exactly these flags and keywords. */
struct record_flags {
	mailbox_id   mailbox;
	mail_modseq  modseq;
	uint32_t     flags;
	struct slice keywords;
	const struct uid_range *uids;
	uint32_t     range_count;
};

/* These messages are expunged (tombstones). */
struct record_expunge {
	mailbox_id  mailbox;
	mail_modseq modseq;
	const struct uid_range *uids;
	uint32_t    range_count;
};

/* This content is removed for good, whatever names it. */
struct record_purge {
	blob_id      blob;
	uint8_t      sha256[SHA256_LEN];
	struct slice reason;    /* UTF-8, for people */
};

/* What a later parser makes of a blob that is there: instead of the blob record's own summary. */
struct record_summary {
	blob_id      blob;
	struct slice summary;   /* as in record_blob */
};

/* A message's POP3 unique-id, taken over from another server. */
struct record_uidl {
	mailbox_id   mailbox;
	mail_uid     uid;
	struct slice text;
};

/* Random bytes that the server keeps over restarts, by what they are for. */
struct record_secret {
	struct slice name;
	struct slice value;
};

/* A delivery whose answer its client may not have got: it stands in the frame that has the message. What is one is
 * (key, session). */
struct record_delivery {
	struct slice key;                       /* says which delivery it is: recipient, sender, content */
	uint64_t session;
	uint64_t at_s;                          /* seconds since 1970, more or less, but never less than of the delivery
	                                         * record before */
	uint64_t until_s;                       /* it is forgotten once a delivery record is of a later time; 0: it is
	                                         * now, as the client has got the answer */
};

struct record {
	enum record_type type;
	log_lsn          lsn;
	union {
		struct record_counters     counters;
		struct record_account      account;
		struct record_credential   credential;
		struct record_mailbox      mailbox;
		struct record_subscription subscription;
		struct record_blob         blob;
		struct record_messages     messages;
		struct record_flags        flags;
		struct record_expunge      expunge;
		struct record_purge        purge;
		struct record_uidl         uidl;
		struct record_summary      summary;
		struct record_secret       secret;
		struct record_delivery     delivery;
	} u;           /* nothing of a gone record */
};

/* Append the record's body (without type and length: the frame adds them). r->lsn is not written: it follows from the
 * frame. False if the buffer is full. For a blob the data is not appended: the caller writes r->u.blob.data behind. */
bool record_encode(const struct record *r, struct buf *out);

/* `body` is the record's bytes; slices in *out borrow from it, arrays come from `a`. An id of 0 in an account or
 * mailbox record is replaced by `lsn`. RC_CORRUPT: bad bytes; RC_LIMIT: arena full. */
MUST_USE enum rc record_decode(enum record_type type, log_lsn lsn, struct slice body,
                               struct arena *a, struct record *out, struct err *e);

const char *record_type_name(enum record_type type);   /* "counters", ...; NULL for a number that is none */
/* What the number in a record's header stands for, and the number to write there. */
enum record_type record_type_of(uint8_t stored);
uint8_t record_stored_type(const struct record *r);
/* May a reader that does not know the type pass over it? */
bool record_is_skippable(enum record_type type);

#endif
