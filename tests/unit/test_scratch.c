/* SPDX-License-Identifier: MIT */
#include "scratch.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static void
end_by(int signal)
{
	const struct rlimit no_core = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no_core);
	if (signal == 0)
		_exit(1);
	kill(getpid(), signal);
	pause();
}

static void
make_and_end(int out, int signal)
{
	char path[SCRATCH_PATH], file[SCRATCH_PATH + 8];
	FILE *f;

	scratch_new(path);
	snprintf(file, sizeof file, "%s/file", path);
	f = fopen(file, "w");
	if (f == NULL || fputs("left", f) < 0 || fclose(f) != 0 || write(out, path, sizeof path) != sizeof path)
		_exit(2);
	end_by(signal);
}

static void
vanishes_after(int signal)
{
	const struct timespec pause = { .tv_nsec = 5000000 };
	char path[SCRATCH_PATH];
	int fd[2], tries;
	pid_t pid;

	assert_int_equal(pipe(fd), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		make_and_end(fd[1], signal);
	assert_int_equal(read(fd[0], path, sizeof path), sizeof path);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(fd[0]);
	close(fd[1]);
	for (tries = 0; access(path, F_OK) == 0 && tries < 4000; tries++)
		nanosleep(&pause, NULL);
	assert_int_equal(access(path, F_OK), -1);
}

static void
a_tests_folder_goes_however_the_test_ends(void **state)
{
	(void)state;
	vanishes_after(0);
	vanishes_after(SIGABRT);
	vanishes_after(SIGKILL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tests_folder_goes_however_the_test_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
