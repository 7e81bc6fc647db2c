/* SPDX-License-Identifier: MIT */
/* What the worker gives up before it reads the first byte from the network. */
#ifndef TMAIL_CONTROL_SANDBOX_H
#define TMAIL_CONTROL_SANDBOX_H

#include "util/err.h"

#include <sys/types.h>

/* The account the worker runs as. */
struct account {
	const char *name;
	uid_t uid;
	gid_t gid;
};

/* Finds the account NAME; without root it is always the present one. */
int account_find(const char *name, struct account *out, struct err *err);

/* For good: becomes ACCOUNT (when root), no_new_privs, no files but WRITABLE folders and what is needed to run
 * (Landlock, where the kernel has it), no system calls a mail gateway has no use for (seccomp: exec, ptrace,
 * mounting, modules, ...). A kernel without Landlock or seccomp is a warning in the log, not an error. */
int sandbox_enter(const struct account *account, const char *const *writable, unsigned count, struct err *err);

#endif
