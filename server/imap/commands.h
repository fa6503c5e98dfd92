/* commands - the rows of the command table. Each is defined in the cmd_*.c of its family, with designated initialisers;
 * imap_table.c alone lists them. */
#ifndef RESTANTE_SERVER_IMAP_COMMANDS_H
#define RESTANTE_SERVER_IMAP_COMMANDS_H

#include "server/imap/imap.h"

/* cmd_any.c */
extern const struct imap_command imap_cmd_capability, imap_cmd_noop, imap_cmd_logout, imap_cmd_id,
    imap_cmd_check;
/* cmd_auth.c */
extern const struct imap_command imap_cmd_login, imap_cmd_authenticate, imap_cmd_starttls;
/* cmd_enable.c */
extern const struct imap_command imap_cmd_enable;
/* cmd_select.c */
extern const struct imap_command imap_cmd_select, imap_cmd_examine, imap_cmd_close,
    imap_cmd_unselect;
/* cmd_list.c */
extern const struct imap_command imap_cmd_list, imap_cmd_lsub, imap_cmd_namespace;
/* cmd_status.c */
extern const struct imap_command imap_cmd_status;
/* cmd_mailbox.c */
extern const struct imap_command imap_cmd_create, imap_cmd_delete, imap_cmd_rename,
    imap_cmd_subscribe, imap_cmd_unsubscribe;
/* cmd_append.c */
extern const struct imap_command imap_cmd_append;
/* cmd_replace.c */
extern const struct imap_command imap_cmd_replace, imap_cmd_uid_replace;
/* cmd_quota.c */
extern const struct imap_command imap_cmd_getquota, imap_cmd_getquotaroot;
/* cmd_compress.c */
extern const struct imap_command imap_cmd_compress;
/* cmd_unauthenticate.c */
extern const struct imap_command imap_cmd_unauthenticate;
/* cmd_idle.c */
extern const struct imap_command imap_cmd_idle;
/* cmd_fetch.c, cmd_store.c, cmd_search.c */
extern const struct imap_command imap_cmd_fetch, imap_cmd_uid_fetch;
extern const struct imap_command imap_cmd_store, imap_cmd_uid_store;
extern const struct imap_command imap_cmd_search, imap_cmd_uid_search;
/* cmd_copy.c */
extern const struct imap_command imap_cmd_copy, imap_cmd_uid_copy, imap_cmd_move, imap_cmd_uid_move;
/* cmd_expunge.c */
extern const struct imap_command imap_cmd_expunge, imap_cmd_uid_expunge;

#endif
