/* imap_table - all commands. Adding one is a row here, a cmd_*.c, a test, a line in
 * doc/rfc-table.md. */
#include "server/imap/commands.h"

static const struct imap_command *const commands[] = {
	&imap_cmd_append,      &imap_cmd_authenticate, &imap_cmd_capability,  &imap_cmd_check,
	&imap_cmd_close,       &imap_cmd_compress,     &imap_cmd_copy,         &imap_cmd_create,
	&imap_cmd_delete,
	&imap_cmd_enable,      &imap_cmd_examine,      &imap_cmd_expunge,     &imap_cmd_fetch,
	&imap_cmd_getquota,    &imap_cmd_getquotaroot, &imap_cmd_replace,     &imap_cmd_uid_replace,
	&imap_cmd_id,          &imap_cmd_idle,         &imap_cmd_list,        &imap_cmd_login,
	&imap_cmd_logout,      &imap_cmd_lsub,         &imap_cmd_move,        &imap_cmd_namespace,
	&imap_cmd_noop,        &imap_cmd_rename,       &imap_cmd_search,      &imap_cmd_select,
	&imap_cmd_starttls,    &imap_cmd_status,       &imap_cmd_store,       &imap_cmd_subscribe,
	&imap_cmd_uid_copy,    &imap_cmd_uid_expunge,  &imap_cmd_uid_fetch,   &imap_cmd_uid_move,
	&imap_cmd_unauthenticate,
	&imap_cmd_uid_search,  &imap_cmd_uid_store,    &imap_cmd_unselect,    &imap_cmd_unsubscribe,
};

/* What a session may do that nobody proved anything for; what is not here changes something, or
 * might. In its states only: the mailbox is selected for reading, so FETCH sets no \Seen and CLOSE
 * expunges nothing. */
static const struct imap_command *const readers[] = {
	&imap_cmd_capability, &imap_cmd_check,     &imap_cmd_close,      &imap_cmd_compress,
	&imap_cmd_enable,
	&imap_cmd_examine,    &imap_cmd_fetch,     &imap_cmd_uid_fetch,  &imap_cmd_getquota,
	&imap_cmd_getquotaroot,
	&imap_cmd_id,         &imap_cmd_idle,      &imap_cmd_list,       &imap_cmd_logout,
	&imap_cmd_lsub,
	&imap_cmd_namespace,  &imap_cmd_noop,      &imap_cmd_search,     &imap_cmd_uid_search,
	&imap_cmd_select,
	&imap_cmd_status,     &imap_cmd_unauthenticate, &imap_cmd_unselect,
};

bool
imap_table_only_reads(const struct imap_command *cmd)
{
	for (size_t i = 0; i < sizeof readers / sizeof readers[0]; i++)
		if (readers[i] == cmd)
			return true;
	return false;
}

const struct imap_command *
imap_table_find(struct slice name)
{
	for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
		if (slice_eq_nocase(name, slice_str(commands[i]->name)))
			return commands[i];
	}
	return NULL;
}
