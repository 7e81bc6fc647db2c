/* SPDX-License-Identifier: MIT */
#include "delivery/schedule.h"

#include "directory/settings.h"
#include "util/random.h"

uint64_t
schedule_jitter(uint64_t wait)
{
	uint64_t tenth = wait / 10;

	return wait - tenth + random_below(2 * tenth + 1);
}

int64_t
schedule_end(const struct queue_settings *q, int64_t received, bool null_sender)
{
	return received + (int64_t)(null_sender ? q->bounce_lifetime : q->lifetime);
}

int64_t
schedule_next(const struct queue_settings *q, unsigned attempts, int64_t received, bool null_sender, int64_t now)
{
	int64_t end = schedule_end(q, received, null_sender);
	uint64_t wait = q->retry_min;
	int64_t next;

	while (attempts-- > 0 && wait < q->retry_max)
		wait *= 2;
	if (wait > q->retry_max)
		wait = q->retry_max;
	next = now + (int64_t)schedule_jitter(wait);
	if (next > end)
		next = end;
	return next > now ? next : now + 1;
}

bool
schedule_warn(const struct queue_settings *q, int64_t received, bool warned, int64_t now)
{
	return q->warn_after > 0 && !warned && now - received >= (int64_t)q->warn_after;
}
