/* load_search - SEARCH with the criteria given, and any other command, again and again in one
 * session. */
#include <stdio.h>
#include <string.h>

#include "tests/bench/load.h"

/* The arguments with spaces between them. */
static void
join(const struct load_options *opt, char *to, size_t size)
{
	size_t len = 0;

	to[0] = '\0';
	for (char **arg = opt->args; *arg != NULL; arg++) {
		len += (size_t)snprintf(
		    to + len, size - len, "%s%s", arg == opt->args ? "" : " ", *arg);
		if (len >= size)
			load_fail("the arguments are too long");
	}
}

static void
count_matches(void *arg, const char *line, size_t len)
{
	struct load_worker *w = arg;

	if (len < 8 || memcmp(line, "* SEARCH", 8) != 0)
		return;
	for (const char *p = line + 8; p + 1 < line + len; p++)
		w->matches += *p == ' ' && p[1] >= '0' && p[1] <= '9';
}

void
search_op(struct load_worker *w)
{
	char text[2048];
	double since;

	join(w->opt, text, sizeof text);
	w->imap.on_line = count_matches;
	w->imap.arg = w;
	w->matches = 0;
	since = load_now_ms();
	imap_command(&w->imap, "SEARCH %s", text);
	load_sample(w, since);
}

void
command_op(struct load_worker *w)
{
	char text[2048];
	double since;

	join(w->opt, text, sizeof text);
	since = load_now_ms();
	imap_command(&w->imap, "%s", text);
	load_sample(w, since);
	w->bytes += w->imap.bytes;
}
