/* SPDX-License-Identifier: MIT */
#include "util/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
check_failed(const char *cond, const char *file, int line, const char *func)
{
	fprintf(stderr, "tmail: bug: %s:%d: %s: check failed: %s\n", file, line, func, cond);
	abort();
}

void
fatal(const char *fmt, ...)
{
	va_list ap;

	fputs("tmail: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	exit(1);
}

static void *
must(void *p, size_t size)
{
	if (p == NULL)
		fatal("out of memory (%zu bytes wanted): give the machine more memory or lower limits { } and queue { memory_total }",
		    size);
	return p;
}

void *
xmalloc(size_t size)
{
	return must(malloc(size ? size : 1), size);
}

void *
xaligned_alloc(size_t alignment, size_t size)
{
	return must(aligned_alloc(alignment, size), size);
}

void *
xcalloc(size_t count, size_t size)
{
	return must(calloc(count ? count : 1, size ? size : 1), count * size);
}

void *
xrealloc(void *old, size_t size)
{
	return must(realloc(old, size ? size : 1), size);
}

char *
xstrndup(const char *s, size_t n)
{
	char *p = xmalloc(n + 1);

	memcpy(p, s, n);
	p[n] = '\0';
	return p;
}

char *
xstrdup(const char *s)
{
	return xstrndup(s, strlen(s));
}

void *
xmemdup(const void *p, size_t n)
{
	void *copy = xmalloc(n);

	if (n > 0)
		memcpy(copy, p, n);
	return copy;
}
