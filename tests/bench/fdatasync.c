/* fdatasync - how often this disk makes 4 KiB durable, one after the other: the limit beside which
 * delivery is quoted.
 *
 *     fdatasync DIRECTORY SECONDS
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static double
now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int
main(int argc, char **argv)
{
	static const char block[4096] = "x";
	char path[4096];
	double start, seconds;
	long count = 0;
	int fd;

	if (argc != 3) {
		fprintf(stderr, "usage: fdatasync DIRECTORY SECONDS\n");
		return 2;
	}
	snprintf(path, sizeof path, "%s/fdatasync.%d", argv[1], (int)getpid());
	fd = open(path, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
	if (fd < 0) {
		perror(path);
		return 1;
	}
	unlink(path);
	start = now_s();
	do {
		if (write(fd, block, sizeof block) != (ssize_t)sizeof block || fdatasync(fd) != 0) {
			perror(path);
			return 1;
		}
		count++;
		seconds = now_s() - start;
	} while (seconds < atof(argv[2]));
	printf("{\"appends_with_fdatasync_per_s\":%.0f,\"ms_each\":%.3f}\n",
	       (double)count / seconds, seconds * 1e3 / (double)count);
	close(fd);
	return 0;
}
