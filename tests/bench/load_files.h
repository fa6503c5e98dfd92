/* load_files - mail from the files of a directory instead of made mail. */
#ifndef RESTANTE_BENCH_LOAD_FILES_H
#define RESTANTE_BENCH_LOAD_FILES_H

#include "tests/bench/load_mail.h"

/* Each file of `dir` is a message, its lines ended with CRLF. In memory until the program ends. */
void files_load(const char *dir);
/* By the order of names; from the first again when there are no more. */
const struct mail *files_at(uint64_t number);

#endif
