/* options - what stands behind a verb's words. See options.h. */
#include "lib/options.h"

#include <string.h>

/* The declaration of this option, or NULL; *value: it takes one. */
static const char *
find_declared(const char *declared, const char *name, size_t len, bool *value)
{
	const char *p = declared;

	while (*p != '\0') {
		size_t n = strcspn(p, " ");
		bool has = p[n - 1] == '=';

		if (n - has == len && strncmp(p, name, len) == 0) {
			*value = has;
			return p;
		}
		p += n + strspn(p + n, " ");
	}
	return NULL;
}

static const struct option_given *
find_given(const struct options *o, const char *name)
{
	size_t len = strlen(name);

	for (int i = o->count; i-- > 0;)
		if (o->given[i].name_len == len && strncmp(o->given[i].name, name, len) == 0)
			return &o->given[i];
	return NULL;
}

enum rc
options_take(struct options *o, const char *word, const char *next, bool *took_next, struct err *e)
{
	size_t len = strcspn(word, "=");
	struct option_given g = { .name = word, .name_len = len };
	bool value;

	*took_next = false;
	if (find_declared(o->declared, word, len, &value) == NULL)
		return err_set(e, RC_SYNTAX, "unknown option: %s", word);
	if (o->count == OPTIONS_MAX)
		return err_set(e, RC_SYNTAX, "more than %d options", OPTIONS_MAX);
	if (word[len] == '=')
		g.value = word + len + 1;
	else if (value)
		g.value = next;
	if (value && g.value == NULL)
		return err_set(e, RC_SYNTAX, "a value is missing behind: %s", word);
	if (!value && g.value != NULL)
		return err_set(e, RC_SYNTAX, "this option takes no value: %s", word);
	*took_next = value && word[len] != '=';
	o->given[o->count++] = g;
	return RC_OK;
}

bool
options_given(const struct options *o, const char *name)
{
	return find_given(o, name) != NULL;
}

const char *
options_value(const struct options *o, const char *name)
{
	const struct option_given *g = find_given(o, name);

	return g != NULL ? g->value : NULL;
}

bool
options_declared(const char *declared, const char *name)
{
	bool value;

	return find_declared(declared, name, strlen(name), &value) != NULL;
}
