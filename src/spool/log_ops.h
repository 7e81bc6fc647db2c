/* SPDX-License-Identifier: MIT */
/* What a log implements; the calls are spool/log.h's. Private to the logs. */
#ifndef TMAIL_SPOOL_LOG_OPS_H
#define TMAIL_SPOOL_LOG_OPS_H

#include "spool/log.h"

struct log_ops {
	void (*close)(struct spool_log *log);
	uint32_t (*epoch)(const struct spool_log *log);
	uint64_t (*append_max)(const struct spool_log *log);
	int (*append)(struct spool_log *log, const struct log_unit *units, unsigned count, enum log_room room, bool sync,
	    uint32_t *broken, struct err *err);
	int (*sync)(struct spool_log *log, uint32_t *broken, struct err *err);
	int (*read)(struct spool_log *log, log_pos pos, bool with_body, bool checked, struct log_view *out,
	    struct err *err);
	bool (*pin)(struct spool_log *log, uint32_t segment);
	void (*unpin)(struct spool_log *log, uint32_t segment);
	int (*scan)(struct spool_log *log, uint32_t segment, log_scan_fn *fn, void *arg, struct err *err);
	int (*free)(struct spool_log *log, uint32_t segment, struct err *err);
	uint64_t (*used)(struct spool_log *log, uint32_t segment);
	unsigned (*segments)(struct spool_log *log);
	uint32_t (*current)(struct spool_log *log);
	bool (*room)(struct spool_log *log);
	int (*adopt)(struct spool_log *log, log_scan_fn *fn, log_alarm_fn *alarm, void *arg, struct err *err);
};

/* The first member of every log. */
struct spool_log {
	const struct log_ops *ops;
};

int log_file_open(struct spool_log **log, const struct log_config *config, struct err *err);
int log_discard_open(struct spool_log **log, const struct log_config *config, struct err *err);

#endif
