/* SPDX-License-Identifier: MIT */
#include "util/thread.h"
#include "util/check.h"
#include "util/err.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>

struct start {
	const char *name;
	void *(*fn)(void *);
	void *arg;
};

/* A thread names itself: the name of another is written through /proc, which the sandbox does not have. */
static void *
begin(void *arg)
{
	struct start s = *(struct start *)arg;

	free(arg);
	pthread_setname_np(pthread_self(), s.name);
	return s.fn(s.arg);
}

int
thread_start(pthread_t *thread, const char *name, void *(*fn)(void *), void *arg, struct err *err)
{
	/* A thread's own faults: their handler says which task it was. */
	static const int own[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS };
	struct start *s = xmalloc(sizeof *s);
	sigset_t all, old;
	unsigned i;
	int rc;

	*s = (struct start){ .name = name, .fn = fn, .arg = arg };
	sigfillset(&all);
	for (i = 0; i < sizeof own / sizeof *own; i++)
		sigdelset(&all, own[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	rc = pthread_create(thread, NULL, begin, s);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (rc == 0)
		return 0;
	free(s);
	errno = rc;
	return err_sys(err, "cannot start the thread '%s'", name);
}
