/* SPDX-License-Identifier: MIT */
/* What history is told about a session's messages and refused recipients. No-ops where history is off. */
#ifndef TMAIL_SMTP_SESSION_HISTORY_H
#define TMAIL_SMTP_SESSION_HISTORY_H

#include "history/history.h"

struct message;
struct session;

/* The transaction's message came in whole. */
void session_history_received(const struct session *s);

/* It is on stable storage. */
void session_history_committed(const struct message *m);

/* A command of a transaction was refused: a recipient, or all that was accepted before. */
void session_history_refused(const struct session *s, int code, const char *enhanced, const char *text);

/* SIZE bytes of it came, then no more. */
void session_history_aborted(const struct session *s, uint64_t size, const char *reason);

#endif
