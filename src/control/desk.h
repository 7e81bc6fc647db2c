/* SPDX-License-Identifier: MIT */
/* What an administrator asks of the supervisor, and its answers on their way back to the control thread. */
#ifndef TMAIL_CONTROL_DESK_H
#define TMAIL_CONTROL_DESK_H

#include "util/err.h"

#include <stdbool.h>
#include <stdint.h>

struct desk;

/* CHANNEL is the worker's end, borrowed. */
struct desk *desk_new(int channel);
void desk_free(struct desk **desk);

/* Control thread: asks for a reload. The request's number, or 0 with ERR. */
uint32_t desk_ask_reload(struct desk *desk, struct err *err);

/* Control thread: waits for the answer to SERIAL, at most MS. Its text, the caller's to free; NULL: not yet. */
char *desk_await(struct desk *desk, uint32_t serial, unsigned ms);

/* Control thread: nobody waits for it any more. */
void desk_forget(struct desk *desk, uint32_t serial);

/* Main thread: the supervisor's answer. */
void desk_answer(struct desk *desk, uint32_t serial, const char *text);

#endif
