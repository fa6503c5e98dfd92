/* replay - stands in for libFuzzer where there is none: runs a fuzz target once over
 * each file named.
 *
 * With it every corpus is a regression test under any compiler. Each input is copied into a heap
 * block of its exact size, so that AddressSanitizer sees the first byte read too far.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The whole file in *data (the caller frees it); false if it cannot be read. */
static int
read_file(const char *path, uint8_t **data, size_t *size)
{
	FILE *f = fopen(path, "rb");
	uint8_t chunk[4096];
	size_t n;

	*data = NULL;
	*size = 0;
	if (f == NULL)
		return 0;
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0) {
		uint8_t *p = realloc(*data, *size + n);

		if (p == NULL)
			break;
		memcpy(p + *size, chunk, n);
		*data = p;
		*size += n;
	}
	n = (size_t)ferror(f);
	fclose(f);
	return n == 0;
}

int
main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		uint8_t *data;
		size_t size;

		if (!read_file(argv[i], &data, &size)) {
			perror(argv[i]);
			return 1;
		}
		fprintf(stderr, "%s: %zu bytes\n", argv[i], size);
		LLVMFuzzerTestOneInput(data, size);
		free(data);
	}
	fprintf(stderr, "%d inputs replayed\n", argc - 1);
	return 0;
}
