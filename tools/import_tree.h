/* import_tree - the files of a tree that hold mail, and the mailboxes that they are or are in. One thread. */
#ifndef RESTANTE_TOOLS_IMPORT_TREE_H
#define RESTANTE_TOOLS_IMPORT_TREE_H

#include "tools/import.h"

struct tree_file {
	char *path;
	char *mailbox;
};

struct tree {
	struct tree_file *files;
	size_t            count, cap;
	bool              found;        /* the files were found in a directory, not named */
};

/* List `path`, a file or a tree. With `file_is_mailbox` (mbox) a file's mailbox is its path below the root, else (eml)
 * its directory's. What is none by `accept` is not listed; hidden files are not looked at. With options->mailbox: what
 * a single file is called, or of many mailboxes the one that is wanted. */
MUST_USE enum rc tree_list(struct tree *t, const char *path, bool file_is_mailbox,
                           bool (*accept)(const char *path), const struct import_options *options,
                           struct err *e);
void tree_fini(struct tree *t);
/* To read one of the files; -1 with errno. Found ones are not followed if they have become links. */
int tree_open(const struct tree *t, const char *path);

#endif
