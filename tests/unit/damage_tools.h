/* damage_tools - mail that can be found in the log, and damaged there. Beside volume_fixture. */
#ifndef RESTANTE_TESTS_UNIT_DAMAGE_TOOLS_H
#define RESTANTE_TESTS_UNIT_DAMAGE_TOOLS_H

#include "tests/unit/volume_fixture.h"

#include <dirent.h>
#include <fcntl.h>

/* Flip a byte of the text in every file of the log. */
static inline void
damage_log(const char *needle)
{
	char path[300], cmd[600];
	struct dirent *d;
	DIR *dir;
	unsigned hits = 0;

	(void)snprintf(path, sizeof path, "%.250s/log", fx_dir);
	dir = opendir(path);
	assert_non_null(dir);
	while ((d = readdir(dir)) != NULL) {
		struct buf b;
		size_t at;
		int fd;
		ssize_t n;

		if (d->d_name[0] == '.')
			continue;
		(void)snprintf(cmd, sizeof cmd, "%s/%s", path, d->d_name);
		fd = open(cmd, O_RDWR);
		if (fd < 0)
			continue;
		buf_init(&b, 64u << 20);
		while ((n = read(fd, buf_reserve(&b, 65536), 65536)) > 0)
			buf_commit(&b, (size_t)n);
		at = slice_find(buf_slice(&b), slice_str(needle));
		if (at < b.len) {
			assert_int_equal(pwrite(fd, "#", 1, (off_t)at), 1);
			hits++;
		}
		buf_fini(&b);
		close(fd);
	}
	closedir(dir);
	assert_true(hits > 0);
}

/* Random octets, without line ends, do not shrink, so they stand in the log as they are. */
static inline void
fill_random(struct buf *b, size_t n, uint32_t seed)
{
	while (n-- > 0) {
		uint8_t c;

		seed = seed * 1664525u + 1013904223u;
		c = (uint8_t)((seed >> 24) % 255 + 1);
		buf_append_byte(b, c == '\n' || c == '\r' ? 'x' : c);
	}
}

#endif
