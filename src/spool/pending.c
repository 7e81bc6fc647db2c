/* SPDX-License-Identifier: MIT */
/* Stands in until spool/walk.c lands; weak, so that it gives way. */
#include "spool/spool.h"

__attribute__((weak)) struct spool_walk *
spool_walk_begin(struct spool *spool)
{
	(void)spool;
	return NULL;
}

__attribute__((weak)) unsigned
spool_walk_next(struct spool_walk *w, struct entry_info *out, unsigned max)
{
	(void)w;
	(void)out;
	(void)max;
	return 0;
}

__attribute__((weak)) void
spool_walk_end(struct spool_walk **w)
{
	*w = NULL;
}

__attribute__((weak)) int
spool_inspect(struct spool *spool, uint64_t id, bool content, struct spool_detail *out, struct err *err)
{
	(void)spool;
	(void)id;
	(void)content;
	(void)out;
	return err_set(err, "no such message");
}

__attribute__((weak)) void
spool_detail_fini(struct spool_detail *d)
{
	(void)d;
}

__attribute__((weak)) int
spool_act(struct spool *spool, uint64_t id, const char *key, enum spool_action action, const char *reason,
    struct err *err)
{
	(void)spool;
	(void)id;
	(void)key;
	(void)action;
	(void)reason;
	return err_set(err, "no such message");
}
