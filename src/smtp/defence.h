/* SPDX-License-Identifier: MIT */
/* What a session's errors lead to, and how often a client may do what. */
#ifndef TMAIL_SMTP_DEFENCE_H
#define TMAIL_SMTP_DEFENCE_H

#include <stdbool.h>
#include <stdint.h>

struct session;

/* After a command that was refused, when the session had BEFORE errors: may end it, or have its replies held back. */
void defence_errors(struct session *s, uint32_t before);

/* May the session begin one more message? False: it was refused. */
bool defence_message(struct session *s);

/* The reply is held back: out of the buffers, so that those go back to the loop. */
void defence_hold(struct session *s);

/* Not in a task: waits until the reply may go out, whatever the client sends, then serves the session. */
void defence_wait(struct session *s);

/* In the session's task: what was held back goes out. */
void defence_release(struct session *s);

#endif
