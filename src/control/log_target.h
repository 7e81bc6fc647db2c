/* SPDX-License-Identifier: MIT */
/* Opens what `log { to }` names, in the supervisor. */
#ifndef TMAIL_CONTROL_LOG_TARGET_H
#define TMAIL_CONTROL_LOG_TARGET_H

#include "util/err.h"

struct settings;

/* A descriptor that log_open() takes, the caller's to close: a duplicate of ORIGINAL, the standard error we were started
 * with, or the file. */
int log_target_open(const struct settings *s, int original, struct err *err);

/* Standard error goes to the log's file too: a failed check or a sanitizer has its last word there. */
void log_target_redirect(const struct settings *s, int fd, int original);

#endif
