/* SPDX-License-Identifier: MIT */
/* One record a decision, key=value, through a ring to a writer thread; a full ring loses lines and counts them.
 *
 *	struct log_record r;
 *
 *	log_begin(&r, LOG_INFO, "delivered");
 *	log_id(&r, "msg", id);
 *	log_str(&r, "to", rcpt);
 *	log_end(&r);
 *
 * Values are quoted where they hold anything but printable ASCII without space, quote, backslash and '=';
 * other bytes become \xHH. No call blocks. */
#ifndef TMAIL_UTIL_LOG_H
#define TMAIL_UTIL_LOG_H

#include "util/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level {
	LOG_ERROR = 1, /* an administrator has to act */
	LOG_WARN,      /* something is degraded and goes on */
	LOG_INFO,      /* decisions about mail: the default */
	LOG_DEBUG
};

/* Records are cut at LOG_RECORD_MAX bytes, line end included; one value at LOG_VALUE_MAX as written, then "...". */
enum { LOG_RECORD_MAX = 2048, LOG_VALUE_MAX = 768 };

struct log_record {
	bool live; /* false: below the level, every call is a no-op */
	bool cut;  /* something did not fit: the record ends in truncated=yes */
	size_t len;
	char text[LOG_RECORD_MAX];
};

void log_begin(struct log_record *r, enum log_level level, const char *event);
void log_str(struct log_record *r, const char *key, const char *value); /* NULL value: nothing is added */
void log_bytes(struct log_record *r, const char *key, const void *p, size_t n);
void log_u64(struct log_record *r, const char *key, uint64_t value);
void log_id(struct log_record *r, const char *key, uint64_t id);
void log_end(struct log_record *r);

/* For the rare lines: "event" and a ready "detail" text under the key detail=. */
void log_event(enum log_level level, const char *event, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* True when records of LEVEL are written. */
bool log_wants(enum log_level level);

/* How records are written from now on, also before log_open(). Any thread. */
enum log_format { LOG_TEXT = 0, LOG_JSON };
void log_set_format(enum log_format format);

/* Where records go. Until log_open() they are written to standard error at once.
 * FD is borrowed: standard error or a file opened for appending. Starts the writer thread. Called again it changes
 * FD and LEVEL (a rotated log file); the old descriptor may be closed afterwards. */
int log_open(int fd, enum log_level level, struct err *err);

/* Writes what the ring holds and stops the writer thread; gives up after 2 s on a reader that does not read. Records
 * go to standard error again. */
void log_close(void);

/* The level as records name it: "error", "warn", "info", "debug". */
const char *log_level_name(enum log_level level);

/* After fork() in the child: forget the parent's writer thread. */
void log_after_fork(void);

/* Lines lost because the ring was full. */
uint64_t log_lost(void);

#endif
