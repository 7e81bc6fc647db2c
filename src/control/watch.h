/* SPDX-License-Identifier: MIT */
/* The supervisor's eye on certificates: what is renewed on disk is read and handed to the worker, and what comes to its
 * end is warned about. */
#ifndef TMAIL_CONTROL_WATCH_H
#define TMAIL_CONTROL_WATCH_H

#include <stdint.h>

struct reload;
struct supervisor;
struct watch;
struct worker_config;

/* Both are borrowed; NOW is what is in force. */
struct watch *watch_new(const struct worker_config *now, struct reload *reload);
void watch_free(struct watch **watch);

/* The worker died: what was on its way to it is looked at again. */
void watch_again(struct watch *watch);

/* Readable when a folder with certificates has changed; -1: the kernel does not tell, files are looked at every minute
 * all the same. */
int watch_fd(const struct watch *watch);

/* Does what is due; the milliseconds until there is something to do again. */
int64_t watch_tick(struct watch *watch, struct supervisor *s);

#endif
