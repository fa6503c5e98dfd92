/* lint_output - a finding as a line of text or as members of a JSON object: one form for files and mailboxes. */
#ifndef RESTANTE_LIB_LINT_OUTPUT_H
#define RESTANTE_LIB_LINT_OUTPUT_H

#include "lib/json.h"
#include "lib/lint.h"

/* Append "WHERE:LINE: severity: text [code, RFC n section s]", without a line end. */
bool lint_append_text(struct buf *out, const char *where, const struct lint_finding *f);
/* "line", "severity", "code", "text", "rfc", "section" of the object that is open. */
void lint_append_json(struct json *j, const struct lint_finding *f);

#endif
