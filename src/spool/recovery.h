/* SPDX-License-Identifier: MIT */
#ifndef TMAIL_SPOOL_RECOVERY_H
#define TMAIL_SPOOL_RECOVERY_H

#include "spool/store.h"

/* Before the committer starts: adopts what earlier lives left and fills the queues. */
int spool_recover(struct spool *spool, struct err *err);

#endif
