/* sasl_fixture - made-up accounts for the tests of sasl/. */
#ifndef RESTANTE_TESTS_UNIT_SASL_FIXTURE_H
#define RESTANTE_TESTS_UNIT_SASL_FIXTURE_H

#include "tests/unit/unit.h"

#include "sasl/account.h"

struct sasl_fakes {
	const struct sasl_account *list;
	size_t                     count;
};

/* For struct sasl_accounts; `arg` is the fakes. Names are found under any case; "flaky" cannot be looked up. */
static inline enum rc
sasl_fixture_find(void *arg, struct slice name, struct arena *a, struct sasl_account *out,
                  struct err *e)
{
	const struct sasl_fakes *fakes = arg;

	if (slice_eq(name, SLICE("flaky")))
		return err_set(e, RC_BUSY, "no index");
	for (size_t i = 0; i < fakes->count; i++) {
		if (!slice_eq_nocase(fakes->list[i].name, name))
			continue;
		*out = fakes->list[i];
		out->name = arena_dup(a, out->name);
		return out->name.ptr != NULL ? RC_OK : err_nomem(e);
	}
	return err_set(e, RC_NOT_FOUND, "no such account");
}

#endif
