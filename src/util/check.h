/* SPDX-License-Identifier: MIT */
/* Assertions that stay on in production, and the end of the process with one clear line. */
#ifndef TMAIL_UTIL_CHECK_H
#define TMAIL_UTIL_CHECK_H

#include <stddef.h>

/* A broken invariant is a bug: say where and abort, so that the supervisor restarts a sane process. */
#define check(cond) ((cond) ? (void)0 : check_failed(#cond, __FILE__, __LINE__, __func__))

_Noreturn void check_failed(const char *cond, const char *file, int line, const char *func);

/* Out of memory or an environment that cannot be used: one line on standard error, exit status 1. */
_Noreturn void fatal(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Allocation that never returns NULL: a failing allocation is fatal (DESIGN: budgets come before walls).
 * xcalloc() zeroes; xrealloc() keeps old contents; xstrdup()/xmemdup() copy. Free with free(). */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
/* SIZE is a multiple of ALIGNMENT, a power of two. */
void *xaligned_alloc(size_t alignment, size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *old, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, returns_nonnull));
char *xstrndup(const char *s, size_t n) __attribute__((malloc, returns_nonnull));
void *xmemdup(const void *p, size_t n) __attribute__((malloc, returns_nonnull));

#endif
