/* special_use - see special_use.h. */
#include "index/special_use.h"

static const struct {
	const char      *name;
	enum special_use use;
} uses_named[] = {
	{ "\\All", USE_ALL },   { "\\Archive", USE_ARCHIVE }, { "\\Drafts", USE_DRAFTS },
	{ "\\Flagged", USE_FLAGGED },
	{ "\\Junk", USE_JUNK }, { "\\Sent", USE_SENT },       { "\\Trash", USE_TRASH },
	{ "\\Important", USE_IMPORTANT },
	{ "\\Snoozed", USE_SNOOZED }, { "\\Scheduled", USE_SCHEDULED }, { "\\Memos", USE_MEMOS },
};

#define USE_COUNT (sizeof uses_named / sizeof uses_named[0])

uint32_t
special_use_named(struct slice name)
{
	for (size_t i = 0; i < USE_COUNT; i++) {
		if (slice_eq_nocase(name, slice_str(uses_named[i].name + 1)))
			return uses_named[i].use;
	}
	return 0;
}

const char *
special_use_name(uint32_t use)
{
	for (size_t i = 0; i < USE_COUNT; i++) {
		if (use == uses_named[i].use)
			return uses_named[i].name;
	}
	return NULL;
}

void
special_use_out(struct buf *out, uint32_t uses)
{
	for (size_t i = 0; i < USE_COUNT; i++) {
		if ((uses & uses_named[i].use) != 0)
			buf_printf(out, " %s", uses_named[i].name);
	}
}
