/* files - directories of the power-cut tests, copied and emptied behind the back of the simulated disk. */
#ifndef RESTANTE_TESTS_CRASH_FILES_H
#define RESTANTE_TESTS_CRASH_FILES_H

#include <stdbool.h>

/* All that lies in `from`, into `to`, which is made; names that begin with a dot are left out, holes stay holes. */
void files_copy(const char *from, const char *to);
/* What lies in it goes, itself not. One that is not there is empty. */
void files_empty(const char *path);
bool files_exist(const char *dir, const char *name);
/* How many names in dir/log begin so. */
unsigned files_count(const char *dir, const char *begin);

#endif
