/* mailbox_row - reading rows of the mailbox and account tables: shared by queries and by the writer's resolving. */
#ifndef RESTANTE_INDEX_MAILBOX_ROW_H
#define RESTANTE_INDEX_MAILBOX_ROW_H

#include "index/db.h"
#include "index/volume.h"

/* The columns that mailbox_from_row takes, in its order, of a table or alias m. */
#define MAILBOX_COLUMNS "m.id, m.account, m.name, m.uidvalidity, m.uidnext, m.highestmodseq, " \
                        "m.exists_, m.unseen," \
                        " m.deleted, m.size, m.special_use, m.mailboxid, m.deleted_size," \
                        " m.expunge_floor, m.change_floor"
/* The two more that the public queries want: subscribed, has_children. '0' is the byte after '/'. */
#define MAILBOX_EXTRA   ", EXISTS(SELECT 1 FROM subscription s WHERE s.account=m.account AND " \
                        "s.name=m.name)," \
                        " EXISTS(SELECT 1 FROM mailbox c WHERE c.account=m.account" \
                        " AND c.name > CAST(m.name || X'2f' AS BLOB) AND c.name < CAST(m.name || " \
                        "X'30' AS BLOB))"
#define MAILBOX_EXTRA_COLUMN 15

/* recent_from is set to uidnext. RC_NOMEM: arena full. RC_CORRUPT: numbers that no mailbox has; they must not get into
 * the log. */
MUST_USE enum rc mailbox_from_row(sqlite3_stmt *q, struct arena *a, struct mailbox_info *out,
                                  struct err *e);
/* Without subscribed and has_children. RC_NOT_FOUND. */
MUST_USE enum rc mailbox_get(struct db *db, mailbox_id id, struct arena *a,
                             struct mailbox_info *out, struct err *e);
MUST_USE enum rc mailbox_find(struct db *db, account_id account, struct slice name, struct arena *a,
                              struct mailbox_info *out, struct err *e);

#define ACCOUNT_COLUMNS "id, name, generation, created, quota, used_bytes, used_messages, " \
                        "quota_messages, hidden," \
                        " flags"
MUST_USE enum rc account_from_row(sqlite3_stmt *q, struct arena *a, struct account_info *out,
                                  struct err *e);
MUST_USE enum rc account_get(struct db *db, account_id id, struct arena *a,
                             struct account_info *out, struct err *e);
/* By folded name. */
MUST_USE enum rc account_find(struct db *db, struct slice key, struct arena *a,
                              struct account_info *out, struct err *e);

/* Those of an account, in the order of names. */
MUST_USE enum rc account_list_credentials(struct db *db, account_id id, struct arena *a,
                                          struct credential_info **out, size_t *count,
                                          struct err *e);

/* The columns of a message, of a table m joined with kwset k. */
#define MESSAGE_COLUMNS "m.uid, m.modseq, m.flags, coalesce(k.text, X''), m.blob, " \
                        "m.internaldate, m.zone, m.savedate," \
                        " m.savezone, m.threadid, m.size"
#define MESSAGE_COLUMN_COUNT 11
#define MESSAGE_KEYWORDS " LEFT JOIN kwset k ON m.kw != 0 AND k.id = m.kw"
/* A UID; RC_CORRUPT if it is none. SQLite's pages have no sums: damage may read as any number. */
MUST_USE enum rc uid_from_row(sqlite3_stmt *q, int column, mail_uid *out, struct err *e);
/* `floor`: the mailbox's change_floor. No message has a MODSEQ below it: so what was told of a state that was lost
 * later counts as changed, and no MODSEQ goes back. */
MUST_USE enum rc message_from_row(sqlite3_stmt *q, mail_modseq floor, struct arena *a,
                                  struct message_row *out, struct err *e);
/* Add the UIDs below `end` that exist, without looking at each message where that can be helped. RC_LIMIT: too many
 * ranges. */
MUST_USE enum rc mailbox_uids(struct db *db, mailbox_id mailbox, mail_uid end, struct uid_set *out,
                              struct err *e);
/* 0 of a mailbox that is not there. */
MUST_USE enum rc mailbox_change_floor(struct db *db, mailbox_id mailbox, mail_modseq *out,
                                      struct err *e);

#endif
