/* SPDX-License-Identifier: MIT */
#include "scratch.h"
#include "util/check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A shell waits for the end of a pipe that only the test holds open: it comes with the test's end, whatever that is. */
static void
watch(const char *path)
{
	int fd[2];

	check(pipe2(fd, O_CLOEXEC) == 0);
	switch (fork()) {
	case -1:
		fatal("cannot fork");
	case 0:
		dup2(fd[0], STDIN_FILENO);
		setsid(); /* what is sent to the test's process group is not meant for it */
		execl("/bin/sh", "sh", "-c", "exec >/dev/null 2>&1; read x; rm -rf \"$0\"", path, (char *)NULL);
		_exit(127);
	}
	close(fd[0]);
}

void
scratch_new(char path[SCRATCH_PATH])
{
	const char *tmp = getenv("TMPDIR");

	check(snprintf(path, SCRATCH_PATH, "%s/tmail-unit-XXXXXX", tmp != NULL ? tmp : "/tmp") < SCRATCH_PATH);
	if (mkdtemp(path) == NULL)
		fatal("cannot make a folder %s", path);
	watch(path);
}

void
scratch_remove(const char *path)
{
	char command[SCRATCH_PATH + 16];

	snprintf(command, sizeof command, "rm -rf '%s'", path);
	check(system(command) == 0);
}
