/* SPDX-License-Identifier: MIT */
/* One request of the admin socket being answered, in steps short enough that other clients are served between
 * them. Runs on the control thread, which may wait for disk and loops. */
#ifndef TMAIL_CONTROL_JOB_H
#define TMAIL_CONTROL_JOB_H

#include "control/control.h"
#include "util/buf.h"
#include "util/json.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>

struct arena;

enum arg_type { ARG_TEXT = 1, ARG_NUMBER, ARG_FLAG, ARG_IDS };

/* What a command understands under "args"; a table ends with a row without name. */
struct admin_arg {
	const char *name;
	enum arg_type type;
};

struct job;

struct admin_command {
	const char *name;             /* "queue.list" */
	const struct admin_arg *args; /* its own, or NULL */
	bool filter;                  /* takes the filter's too: filter.h */
	int variant;                  /* tells rows apart that share their functions */
	size_t state_size;            /* job->state: that many zeroed bytes */
	int (*begin)(struct job *job);  /* -1 after job_fail(); may be NULL */
	bool (*step)(struct job *job);  /* one slice; true: there is more. Writes results by job_result() */
	void (*end)(struct job *job);   /* releases what state holds, also after a failed begin; may be NULL */
};

/* By name, or NULL. */
const struct admin_command *admin_command_find(const char *name);

/* Fields are the commands' to read. */
struct job {
	const struct admin_command *command;
	const struct control_config *config;
	const struct settings *settings; /* a reference, or NULL in tests: those in force when the job began */
	struct ucred peer;   /* who asked */
	json_t *args;        /* an object; strings in it live as long as the job */
	struct arena *arena; /* likewise, for what the command makes */
	void *state;
	struct buf *out;
	bool failed;
};

/* Starts what the N bytes at LINE ask for. NULL: the refusal stands in OUT already. */
struct job *job_new(const struct control_config *config, const struct ucred *peer, const char *line, size_t n,
    struct buf *out);

/* One slice; true: call again. False: the final line stands in OUT. */
bool job_step(struct job *job);
void job_free(struct job **job);

/* Writes {"result": VALUE}; the reference is taken. */
void job_result(struct job *job, json_t *value);

/* Ends the job with {"error": {"code": CODE, "text": ...}}; returns -1. Codes are in doc/admin-protocol.md. */
int job_fail(struct job *job, const char *code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* The same line without a job. */
void job_refuse(struct buf *out, const char *code, const char *text);

#endif
