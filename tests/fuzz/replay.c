/* SPDX-License-Identifier: MIT */
/* The main of a fuzz target in ordinary builds: runs files through LLVMFuzzerTestOneInput() and reports how many.
 *
 *	fuzz_NAME [FILE | FOLDER]...
 *
 * Without arguments, as `make check` calls it: every file of $srcdir/tests/fuzz/corpus/NAME. No file at all is a
 * failure, so that a lost corpus is noticed. */
#include "util/buf.h"
#include "util/file.h"

#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INPUT_MAX = 64 << 20, SECONDS_EACH = 60 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static unsigned long inputs;

static void
replay_file(const char *path)
{
	struct buf b = { 0 };
	struct err err;
	uint8_t *exact;

	if (file_read(path, INPUT_MAX, &b, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(1);
	}
	/* A copy of exactly this size, so that AddressSanitizer sees the first byte read too far. */
	exact = malloc(b.len ? b.len : 1);
	if (exact == NULL)
		abort();
	if (b.len > 0)
		memcpy(exact, b.data, b.len);
	alarm(SECONDS_EACH);
	LLVMFuzzerTestOneInput(exact, b.len);
	alarm(0);
	inputs++;
	free(exact);
	buf_fini(&b);
}

static int
is_visible(const struct dirent *e)
{
	return e->d_name[0] != '.';
}

static void
replay(const char *path)
{
	struct dirent **entry;
	struct buf b = { 0 };
	struct stat st;
	int i, n;

	if (stat(path, &st) < 0 || !S_ISDIR(st.st_mode)) {
		replay_file(path);
		return;
	}
	n = scandir(path, &entry, is_visible, alphasort);
	for (i = 0; i < n; i++) {
		b.len = 0;
		buf_printf(&b, "%s/%s", path, entry[i]->d_name);
		replay(buf_str(&b));
		free(entry[i]);
	}
	if (n >= 0)
		free(entry);
	buf_fini(&b);
}

/* "…/.libs/lt-fuzz_conf" is "conf". */
static const char *
target_name(const char *argv0)
{
	const char *at = strstr(strrchr(argv0, '/') ? strrchr(argv0, '/') : argv0, "fuzz_");

	return at != NULL ? at + 5 : argv0;
}

int
main(int argc, char **argv)
{
	const char *srcdir = getenv("srcdir");
	struct buf b = { 0 };
	int i;

	if (LLVMFuzzerInitialize != NULL)
		LLVMFuzzerInitialize(&argc, &argv);
	for (i = 1; i < argc; i++)
		replay(argv[i]);
	if (argc < 2) {
		buf_printf(&b, "%s/tests/fuzz/corpus/%s", srcdir ? srcdir : ".", target_name(argv[0]));
		replay(buf_str(&b));
		buf_fini(&b);
	}
	printf("%lu inputs replayed\n", inputs);
	return inputs == 0;
}
