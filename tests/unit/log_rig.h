/* SPDX-License-Identifier: MIT */
/* What the tests of the log share: numbered records whose content follows from their number, and what was adopted. */
#ifndef TMAIL_TESTS_LOG_RIG_H
#define TMAIL_TESTS_LOG_RIG_H

#include "spool/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk;

enum { RIG_MAX = 5000, RIG_SEGMENT = 64 << 10, RIG_HEAD = 40 };

/* What the last rig_adopt() was told. */
struct rig_seen {
	unsigned count, alarms;
	struct {
		log_pos pos;
		uint32_t unit, id;
		uint8_t type;
		uint64_t body_len;
	} record[RIG_MAX];
	char alarm[400]; /* the last one */
};
extern struct rig_seen seen;

/* A log with small segments; a failure ends the test. DISK NULL: a real folder. */
struct spool_log *rig_open(const char *path, struct disk *disk, bool foreground);

/* Adopts into seen; a failure ends the test. Returns the number of epochs. */
int rig_adopt(struct spool_log *log);
int rig_try_adopt(struct spool_log *log); /* -1: it failed */

/* A unit of one record: number ID, BODY_LEN bytes. As spool_log_append(). */
int rig_put(struct spool_log *log, uint32_t id, size_t body_len, enum log_room room, bool sync, log_pos *pos,
    uint32_t *broken, struct err *err);

/* The same for messages, synced, ending the test on failure. */
log_pos rig_must_put(struct spool_log *log, uint32_t id, size_t body_len);

/* Reads the record back and compares. -1 with err->code when it cannot be read; other bytes end the test. */
int rig_read(struct spool_log *log, log_pos pos, uint32_t id, uint64_t body_len, struct err *err);
void rig_must_read(struct spool_log *log, log_pos pos, uint32_t id, uint64_t body_len);

/* Is record ID among the seen ones? Its index, or -1. */
int rig_find(uint32_t id);

#endif
