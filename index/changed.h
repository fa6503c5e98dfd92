/* changed - which messages of a mailbox have a MODSEQ above a given one.
 *
 * Only messages that were changed since they came are in an index by MODSEQ (`message_changed`, row column
 * `changed`). Those that were not lie in the order of MODSEQs by their UIDs, as UIDs are given in that order; so below
 * a message that is not above the given MODSEQ no unchanged one is. The answer is all above the highest such message
 * (the stop), and of what lies below it what the index has.
 *
 * Where messages do not come in that order (an account moved here, a damaged log) they count as changed, and so does
 * all that is there then: see apply_message.c and the mailbox's `ordered_from`. */
#ifndef RESTANTE_INDEX_CHANGED_H
#define RESTANTE_INDEX_CHANGED_H

#include "index/db.h"
#include "store/types.h"

/* The stop among the messages below UID `end`, 0 if there is none. Looks at no more than `most` + 1 messages.
 * RC_LIMIT: more than `most` messages below `end` are above `since`; e is left alone. */
MUST_USE enum rc changed_find_stop(struct db *db, mailbox_id mailbox, mail_modseq since,
                                   uint64_t end, uint64_t most, mail_uid *stop, struct err *e);

#define CHANGED_END (UINT64_C(1) << 32)         /* an `end` above all UIDs */

/* Columns of the messages m, joined as `joined` says. CHANGED_ARGS are its arguments ?1 to ?4, further ones may
 * follow. The two halves have no message in common and no order; ORDER BY takes numbers of columns. */
#define CHANGED_SELECT(columns, joined)                                                           \
	"SELECT " columns " FROM message m INDEXED BY message_changed" joined                     \
	" WHERE m.mailbox=?1 AND m.changed AND m.modseq > ?2 AND m.uid < ?3"                      \
	" UNION ALL SELECT " columns " FROM message m" joined                                     \
	" WHERE m.mailbox=?1 AND m.uid > ?3 AND m.uid < ?4"
#define CHANGED_ARGS(mailbox, since, stop, end) \
	DB_NUM(mailbox), DB_NUM(since), DB_NUM(stop), DB_NUM(end)

#endif
