/* lint_output - see lint_output.h. */
#include "lib/lint_output.h"

bool
lint_append_text(struct buf *out, const char *where, const struct lint_finding *f)
{
	return buf_printf(out, "%s:%llu: %s: %.*s [%s, RFC %u %s]", where,
	    (unsigned long long)f->line, lint_severity_name(f->code->severity), SLICE_ARG(f->text),
	    f->code->name, f->code->rfc, f->code->section);
}

void
lint_append_json(struct json *j, const struct lint_finding *f)
{
	json_u64(j, "line", f->line);
	json_cstr(j, "severity", lint_severity_name(f->code->severity));
	json_cstr(j, "code", f->code->name);
	json_str(j, "text", f->text);
	json_u64(j, "rfc", f->code->rfc);
	json_cstr(j, "section", f->code->section);
}
