/* parcel - messages on their way between restantectl and a volume: the one stream that import reads and export writes.
 *
 * Records of a type, a length (4 bytes, little-endian) and a body:
 *
 *     B  version (1)                     the first
 *     M  a mailbox                       the messages that follow are of it
 *     S  a name                          is subscribed
 *     I  a message                       its bytes follow: any number of D, then E, or X: it is not to be had after all
 *     D  bytes
 *     Z                                  the last: without it the stream was cut
 *
 * So an export can be imported again as it is. Both ends are of one release, as restantectl and restanted are; another
 * version is refused. Numbers are bounded and texts limited by the decoder; what they mean is the reader's affair.
 * Rejected: tar or mbox as the stream, which have no place for UIDs, keywords and zones.
 *
 * Pure functions over buffers; a reader is used by one thread.
 */
#ifndef RESTANTE_INDEX_PARCEL_H
#define RESTANTE_INDEX_PARCEL_H

#include "lib/buf.h"
#include "lib/err.h"
#include "store/record.h"

#define PARCEL_VERSION  1u
#define PARCEL_DATA_MAX 32768u          /* bytes of one D */
#define PARCEL_BODY_MAX 65536u          /* of any record */

struct parcel_mailbox {
	struct slice name;
	uint32_t     uidvalidity;       /* 0: none wanted */
	mail_uid     uidnext;           /* 0: none wanted */
	uint32_t     special_use;
	bool         subscribe;
	uint64_t     messages;          /* that follow, 0: not known */
};

struct parcel_message {
	uint64_t         seq;           /* the sender's number, for the answers */
	uint32_t         flags;         /* enum mail_flag */
	struct slice     keywords;
	struct mail_date internaldate;
	mail_uid         uid;           /* 0: none wanted */
	struct slice     uidl;
	uint64_t         size;          /* 0: not known */
};

/* Append one record. False: the buffer is full, or a text is longer than fits. */
bool parcel_put_begin(struct buf *out);
bool parcel_put_mailbox(struct buf *out, const struct parcel_mailbox *m);
bool parcel_put_subscription(struct buf *out, struct slice name);
bool parcel_put_message(struct buf *out, const struct parcel_message *m);
bool parcel_put_data(struct buf *out, struct slice bytes);              /* at most PARCEL_DATA_MAX */
bool parcel_put_end(struct buf *out, bool whole);                       /* E or X */
bool parcel_put_close(struct buf *out);

/* What a reader tells. Slices are valid during the call. Not RC_OK ends the reading. */
struct parcel_handler {
	void *arg;
	enum rc (*mailbox)(void *arg, const struct parcel_mailbox *m, struct err *e);
	enum rc (*subscription)(void *arg, struct slice name, struct err *e);
	enum rc (*message)(void *arg, const struct parcel_message *m, struct err *e);
	enum rc (*data)(void *arg, struct slice bytes, struct err *e);
	enum rc (*end)(void *arg, bool whole, struct err *e);
};

struct parcel_reader {
	const struct parcel_handler *handler;
	struct buf have;
	bool       begun, in_mailbox, in_message;
	bool       closed;              /* Z was read: the stream is whole */
};

void parcel_reader_init(struct parcel_reader *r, const struct parcel_handler *handler);
void parcel_reader_fini(struct parcel_reader *r);
/* Any piece of the stream. RC_SYNTAX: it is none; or what the handler returned. */
MUST_USE enum rc parcel_feed(struct parcel_reader *r, struct slice bytes, struct err *e);

#endif
