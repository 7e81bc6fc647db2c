/* SPDX-License-Identifier: MIT */
#include "util/thread.h"
#include "util/err.h"

#include <errno.h>
#include <signal.h>

int
thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg, struct err *err)
{
	sigset_t all, old;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(thread, NULL, fn, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc != 0) {
		errno = rc;
		return err_sys(err, "cannot start the thread '%s'", name);
	}
	pthread_setname_np(*thread, name);
	return 0;
}
