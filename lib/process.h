/* process - which process we are to others, and what every process begins with.
 *
 * The server runs as a child of the process that was started; that one is the one to signal and the one to name. Set
 * before the first thread, then read by any. */
#ifndef RESTANTE_LIB_PROCESS_H
#define RESTANTE_LIB_PROCESS_H

#include <sys/types.h>

void process_set_pid(pid_t pid);
/* The pid that was set, or our own. */
pid_t process_pid(void);
/* Standard input, output and error are open from now on, and what was closed gives and takes nothing: else the first
 * files and sockets would get their numbers, and lines of the log would be written into them. First thing in main();
 * what is started later inherits them. Ends the process if it cannot be done. */
void process_open_standard(void);

#endif
