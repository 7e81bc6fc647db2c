/* SPDX-License-Identifier: MIT */
/* What went wrong, in words, filled where it failed; the outermost caller logs it. */
#ifndef TMAIL_UTIL_ERR_H
#define TMAIL_UTIL_ERR_H

struct err {
	int code;       /* errno value where there is one, else 0 */
	char text[500]; /* always terminated */
};

/* Fill ERR (may be NULL) and return -1, so that a caller writes: return err_set(err, "..."). */
int err_set(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* As err_set(), with ": strerror(errno)" appended and code = errno. */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Put "context: " before what ERR already says; returns -1. */
int err_context(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
