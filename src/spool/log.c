/* SPDX-License-Identifier: MIT */
#include "spool/log.h"
#include "spool/batch.h"
#include "spool/log_ops.h"

#include <stddef.h>

int
spool_log_open(struct spool_log **log, const struct log_config *config, struct err *err)
{
	return config->discard ? log_discard_open(log, config, err) : log_file_open(log, config, err);
}

void
spool_log_close(struct spool_log **log)
{
	if (*log != NULL)
		(*log)->ops->close(*log);
	*log = NULL;
}

uint32_t
spool_log_epoch(const struct spool_log *log)
{
	return log->ops->epoch(log);
}

uint64_t
spool_log_append_max(const struct spool_log *log)
{
	return log->ops->append_max(log);
}

uint64_t
spool_log_unit_size(const struct log_unit *unit)
{
	return unit_length(unit);
}

int
spool_log_append(struct spool_log *log, const struct log_unit *units, unsigned count, enum log_room room, bool sync,
    uint32_t *broken, struct err *err)
{
	*broken = 0;
	return log->ops->append(log, units, count, room, sync, broken, err);
}

int
spool_log_sync(struct spool_log *log, uint32_t *broken, struct err *err)
{
	*broken = 0;
	return log->ops->sync(log, broken, err);
}

int
spool_log_read(struct spool_log *log, log_pos pos, bool with_body, bool checked, struct log_view *out, struct err *err)
{
	return log->ops->read(log, pos, with_body, checked, out, err);
}

bool
spool_log_pin(struct spool_log *log, uint32_t segment)
{
	return log->ops->pin(log, segment);
}

void
spool_log_unpin(struct spool_log *log, uint32_t segment)
{
	log->ops->unpin(log, segment);
}

int
spool_log_scan(struct spool_log *log, uint32_t segment, log_scan_fn *fn, void *arg, struct err *err)
{
	return log->ops->scan(log, segment, fn, arg, err);
}

int
spool_log_free(struct spool_log *log, uint32_t segment, struct err *err)
{
	return log->ops->free(log, segment, err);
}

uint64_t
spool_log_used(struct spool_log *log, uint32_t segment)
{
	return log->ops->used(log, segment);
}

unsigned
spool_log_segments(struct spool_log *log)
{
	return log->ops->segments(log);
}

uint32_t
spool_log_current(struct spool_log *log)
{
	return log->ops->current(log);
}

bool
spool_log_room(struct spool_log *log)
{
	return log->ops->room(log);
}

int
spool_log_adopt(struct spool_log *log, log_scan_fn *fn, log_alarm_fn *alarm, void *arg, struct err *err)
{
	return log->ops->adopt(log, fn, alarm, arg, err);
}
