/* wal_file - a VFS of SQLite's whose WAL is written a commit at a time.
 *
 * SQLite writes each frame's head and page by a call of their own. Here they are collected and go to the file in one
 * piece, with the page that ends a transaction, before SQLite tells other connections of it; what fails is that page's
 * write. All other files are those of the VFS that was SQLite's default.
 *
 * For connections with synchronous=NORMAL or OFF, where SQLite splits no write, and of which none writes to a WAL that
 * another one has collected for: one connection writes to a database at a time, as long as it is open. */
#ifndef RESTANTE_INDEX_WAL_FILE_H
#define RESTANTE_INDEX_WAL_FILE_H

/* Its name for sqlite3_open_v2. NULL, which is the default VFS: it could not be made. Any thread. */
const char *wal_file_vfs(void);

#endif
