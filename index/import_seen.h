/* import_seen - what the mailboxes of an account held when an import began, so that what comes again is found.
 *
 * A message is there already if the mailbox has one of the same bytes (SHA-256) and INTERNALDATE. Each message of the
 * mailbox answers for one of the source only, and what the import itself adds answers for none: a source that has one
 * message three times gives three, the first time, and none when it is read again. So an import that was cut is simply
 * run again, whatever it had done. About 60 bytes for each message of the mailboxes that are imported into.
 *
 * One thread.
 */
#ifndef RESTANTE_INDEX_IMPORT_SEEN_H
#define RESTANTE_INDEX_IMPORT_SEEN_H

#include "index/volume.h"

struct import_seen;
struct seen_box;

MUST_USE enum rc import_seen_new(struct volume *v, struct import_seen **out, struct err *e);
void import_seen_free(struct import_seen **s);

/* The mailbox as it was when it was asked for first. It lives as long as `s`. */
MUST_USE enum rc import_seen_box(struct import_seen *s, mailbox_id mailbox, struct seen_box **out,
                                 struct err *e);
/* The UID of a message with these bytes and this INTERNALDATE that has answered for none yet; 0: there is none. */
mail_uid seen_box_claim(struct seen_box *b, const uint8_t sha256[SHA256_LEN], int64_t internaldate);
/* Was there a message of this UID, and, *same, with these bytes? */
bool seen_box_has_uid(const struct seen_box *b, mail_uid uid, const uint8_t sha256[SHA256_LEN],
                      bool *same);
/* May this unique-id be given here: no other message has it, nor is it one that we would make for the mailbox. It is
 * taken then. */
MUST_USE enum rc seen_box_take_uidl(struct import_seen *s, struct seen_box *b, uint32_t uidvalidity,
                                    struct slice uidl, bool *ok, struct err *e);

#endif
