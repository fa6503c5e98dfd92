/* load_files - see load_files.h. */
#define _GNU_SOURCE
#include "tests/bench/load_files.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/bench/load.h"

static struct mail *files;
static size_t count;

static void
read_file(const char *dir, const char *name, struct mail *out)
{
	char path[4096];
	struct stat st;
	FILE *f;

	if (snprintf(path, sizeof path, "%s/%s", dir, name) >= (int)sizeof path ||
	    (f = fopen(path, "rb")) == NULL)
		load_fail("%s/%s cannot be opened", dir, name);
	if (fstat(fileno(f), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size == 0)
		load_fail("%s is not a file with something in it", path);
	out->len = out->max = (size_t)st.st_size;
	out->bytes = load_alloc(out->max, 1);
	if (fread(out->bytes, 1, out->len, f) != out->len)
		load_fail("%s cannot be read", path);
	fclose(f);
}

static int
is_no_dot(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

void
files_load(const char *dir)
{
	struct dirent **names;
	int found = scandir(dir, &names, is_no_dot, alphasort);

	if (found <= 0)
		load_fail("no messages in %s", dir);
	files = load_alloc((size_t)found, sizeof *files);
	count = (size_t)found;
	for (size_t i = 0; i < count; i++) {
		read_file(dir, names[i]->d_name, &files[i]);
		free(names[i]);
	}
	free(names);
}

const struct mail *
files_at(uint64_t number)
{
	return &files[number % count];
}
