/* files - see files.h. */
#define _GNU_SOURCE
#include "tests/crash/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void
copy_file(const char *from, const char *to)
{
	static uint8_t block[256 << 10];
	struct stat st;
	ssize_t n;
	int in = open(from, O_RDONLY | O_CLOEXEC),
	    out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (in < 0 || out < 0 || fstat(in, &st) != 0 || ftruncate(out, st.st_size) != 0)
		abort();
	/* The reserve is a hole and stays one. */
	while (strstr(from, "/reserve") == NULL && (n = read(in, block, sizeof block)) > 0)
		if (write(out, block, (size_t)n) != n)
			abort();
	(void)close(in);
	(void)close(out);
}

void
files_copy(const char *from, const char *to)
{
	struct dirent *de;
	DIR *dir = opendir(from);

	if (dir == NULL || (mkdir(to, 0700) != 0 && access(to, F_OK) != 0))
		abort();
	while ((de = readdir(dir)) != NULL) {
		char a[600], b[600];

		if (de->d_name[0] == '.')
			continue;
		(void)snprintf(a, sizeof a, "%s/%s", from, de->d_name);
		(void)snprintf(b, sizeof b, "%s/%s", to, de->d_name);
		if (de->d_type == DT_DIR)
			files_copy(a, b);
		else
			copy_file(a, b);
	}
	(void)closedir(dir);
}

void
files_empty(const char *path)
{
	struct dirent *de;
	DIR *dir = opendir(path);

	while (dir != NULL && (de = readdir(dir)) != NULL) {
		char sub[600];

		if (strcmp(de->d_name, ".") == 0 || strcmp(de->d_name, "..") == 0)
			continue;
		(void)snprintf(sub, sizeof sub, "%s/%s", path, de->d_name);
		if (de->d_type == DT_DIR) {
			files_empty(sub);
			(void)rmdir(sub);
		} else {
			(void)unlink(sub);
		}
	}
	if (dir != NULL)
		(void)closedir(dir);
}

bool
files_exist(const char *dir, const char *name)
{
	char path[600];

	(void)snprintf(path, sizeof path, "%s/%s", dir, name);
	return access(path, F_OK) == 0;
}

unsigned
files_count(const char *dir, const char *begin)
{
	char path[600];
	struct dirent *de;
	unsigned n = 0;
	DIR *d;

	(void)snprintf(path, sizeof path, "%s/log", dir);
	d = opendir(path);
	while (d != NULL && (de = readdir(d)) != NULL)
		n += strncmp(de->d_name, begin, strlen(begin)) == 0;
	if (d != NULL)
		(void)closedir(d);
	return n;
}
