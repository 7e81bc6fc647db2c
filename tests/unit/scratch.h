/* SPDX-License-Identifier: MIT */
/* A folder for a test's files that goes with the test, however the test ends: returns, fails, aborts, is killed. */
#ifndef TMAIL_TESTS_SCRATCH_H
#define TMAIL_TESTS_SCRATCH_H

enum { SCRATCH_PATH = 256 };

/* Makes a folder of its own under TMPDIR, its path into PATH. It is removed once this process and those it forked have
 * gone. */
void scratch_new(char path[SCRATCH_PATH]);

/* Removes it now. */
void scratch_remove(const char *path);

#endif
