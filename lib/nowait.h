/* nowait - a thread's promise not to wait for a disk, and reads that keep it.
 *
 * Between nowait_begin and nowait_end what this thread reads comes out of memory (the kernel's page cache counts) or is
 * refused: the read fails with RC_WAIT, nothing is counted or reported as damage, and the same call works outside the
 * mode. Whoever gets RC_WAIT gives up what it has begun and has it done where waiting is allowed. A refusal may also
 * stand for another failure: where waiting is allowed it will be met again and called by its name. Whoever has got all he
 * read was refused nothing, and may do what cannot be taken back.
 */
#ifndef RESTANTE_LIB_NOWAIT_H
#define RESTANTE_LIB_NOWAIT_H

#include <sys/types.h>

#include "lib/err.h"

/* Not nested. */
void nowait_begin(void);
/* True: something was refused since. */
bool nowait_end(void);
bool nowait_is_on(void);
/* False from the first read on that neither the system nor the file system can do without waiting: asking again is of
 * no use. Any thread. */
bool nowait_is_possible(void);

/* In the mode: fill *e, note the refusal, return RC_WAIT. */
enum rc nowait_refuse(struct err *e);
/* In the mode: `len` bytes, fewer only at the file's end; -1 with EAGAIN when that would wait, which notes the refusal.
 * Nothing of dst counts then. */
ssize_t nowait_pread(int fd, void *dst, size_t len, off_t off);

#endif
