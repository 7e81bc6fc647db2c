/* SPDX-License-Identifier: MIT */
#include "control/supervisor.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "util/str.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* A worker that lived this long died of something new: the next one starts at once. */
enum { YOUNG_MS = 60000, WAIT_MAX_MS = 30000, STOP_MS = 27000, HELD_AFTER = 2, CRASHES_MAX = 1024 };

struct crash {
	uint64_t id;
	unsigned count;
};

struct supervisor {
	const struct supervisor_config *config;
	struct crash crash[CRASHES_MAX];
	unsigned crash_count;
	uint64_t held[CRASHES_MAX];
	volatile uint64_t *slots;
	unsigned restarts;
	int64_t started;
	sigset_t signals;
	pid_t worker;
	bool stopping;
};

static char *
crashes_path(const struct supervisor *s)
{
	struct buf b = { 0 };

	buf_printf(&b, "%s/crashes", s->config->state);
	return buf_take(&b);
}

/* "ID COUNT" lines; what is unreadable is as if it were not there. */
static void
crashes_load(struct supervisor *s)
{
	char *path = crashes_path(s), *line, *rest, *space;
	struct buf b = { 0 };

	if (file_read(path, 65536, &b, NULL) == 0)
		for (rest = buf_str(&b); (line = strsep(&rest, "\n")) != NULL && s->crash_count < CRASHES_MAX;) {
			struct crash *c = &s->crash[s->crash_count];

			if ((space = strchr(line, ' ')) == NULL)
				continue;
			*space = '\0';
			c->count = (unsigned)strtoul(space + 1, NULL, 10);
			if (id_parse(line, &c->id) == 0)
				s->crash_count++;
		}
	buf_fini(&b);
	free(path);
}

static void
crashes_save(struct supervisor *s)
{
	char *path = crashes_path(s), id[ID_TEXT];
	struct buf b = { 0 };
	struct err err;
	unsigned i;

	for (i = 0; i < s->crash_count; i++) {
		id_text(s->crash[i].id, id);
		buf_printf(&b, "%s %u\n", id, s->crash[i].count);
	}
	if (file_replace(path, b.data, b.len, 0600, &err) < 0)
		log_event(LOG_ERROR, "supervisor", "%s", err.text);
	buf_fini(&b);
	free(path);
}

static void
blame(struct supervisor *s, uint64_t id)
{
	char text[ID_TEXT];
	unsigned i;

	for (i = 0; i < s->crash_count && s->crash[i].id != id; i++)
		;
	if (i == CRASHES_MAX) {
		memmove(s->crash, s->crash + 1, (CRASHES_MAX - 1) * sizeof *s->crash);
		i--;
		s->crash_count--;
	}
	if (i == s->crash_count) {
		s->crash[i].id = id;
		s->crash[i].count = 0;
		s->crash_count++;
	}
	s->crash[i].count++;
	id_text(id, text);
	log_event(LOG_ERROR, "crash", "the worker died while it handled message %s (%u time%s)%s", text, s->crash[i].count,
	    s->crash[i].count == 1 ? "" : "s", s->crash[i].count >= HELD_AFTER ? ": the message will be held" : "");
}

static void
blame_slots(struct supervisor *s)
{
	bool any = false;
	unsigned i;

	for (i = 0; i < s->config->loops; i++)
		if (s->slots[i] != 0) {
			blame(s, s->slots[i]);
			s->slots[i] = 0;
			any = true;
		}
	if (any)
		crashes_save(s);
}

static int
be_worker(struct supervisor *s)
{
	struct worker_history h = { .crashed = s->held, .restarts = s->restarts, .started = s->started,
		.crash_slots = s->slots, .slot_count = s->config->loops };
	unsigned i;

	for (i = 0; i < s->crash_count; i++)
		if (s->crash[i].count >= HELD_AFTER)
			s->held[h.crashed_count++] = s->crash[i].id;
	return s->config->worker(&h, s->config->arg);
}

/* True in the new process. */
static bool
start_worker(struct supervisor *s)
{
	pid_t parent = getpid();

	fflush(NULL);
	s->worker = fork();
	if (s->worker < 0)
		fatal("cannot make the worker process: %s", strerror(errno));
	if (s->worker > 0)
		return false;
	/* Without its supervisor a worker would keep ports and spool from the next one. It is safe at any moment. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	return true;
}

static void
say_how_it_ended(int status)
{
	if (WIFSIGNALED(status))
		log_event(LOG_ERROR, "crash", "the worker was ended by signal %d (%s)", WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	else
		log_event(LOG_ERROR, "crash", "the worker ended with status %d", WEXITSTATUS(status));
}

/* The next signal, or 0 after MS milliseconds (negative: no end). */
static int
next_signal(struct supervisor *s, int64_t ms)
{
	struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
	int sig;

	do
		sig = ms < 0 ? sigwaitinfo(&s->signals, NULL) : sigtimedwait(&s->signals, NULL, &t);
	while (sig < 0 && errno == EINTR);
	return sig < 0 ? 0 : sig;
}

/* Waits for the worker's end; its status, or -1 when it had to be killed after the time for stopping. */
static int
attend(struct supervisor *s)
{
	uint64_t stop_at = 0;
	int sig, status;

	for (;;) {
		sig = next_signal(s, stop_at == 0 ? -1 : stop_at > clock_ms() ? (int64_t)(stop_at - clock_ms()) : 0);
		if (sig == SIGCHLD && waitpid(s->worker, &status, WNOHANG) == s->worker)
			return status;
		if ((sig == SIGTERM || sig == SIGINT) && !s->stopping) {
			s->stopping = true;
			stop_at = clock_ms() + STOP_MS;
			kill(s->worker, SIGTERM);
		}
		if (sig == SIGHUP)
			log_event(LOG_WARN, "supervisor", "reloading is not built yet: restart to apply a new configuration");
		if (sig == 0 && stop_at != 0) {
			log_event(LOG_ERROR, "supervisor", "the worker did not end in %d s: killing it", STOP_MS / 1000);
			kill(s->worker, SIGKILL);
			waitpid(s->worker, &status, 0);
			return -1;
		}
	}
}

/* False when the supervisor was told to stop meanwhile. */
static bool
wait_before_restart(struct supervisor *s, uint64_t ms)
{
	uint64_t until = clock_ms() + ms;
	int sig;

	while (clock_ms() < until) {
		sig = next_signal(s, (int64_t)(until - clock_ms()));
		if (sig == SIGTERM || sig == SIGINT)
			return false;
	}
	return true;
}

int
supervisor_run(const struct supervisor_config *config, bool *is_worker)
{
	static struct supervisor s;
	uint64_t born, wait = 0;
	int status;

	s.config = config;
	s.started = clock_wall();
	s.slots = mmap(NULL, sizeof *s.slots * config->loops, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (s.slots == MAP_FAILED)
		fatal("cannot map shared memory: %s", strerror(errno));
	crashes_load(&s);
	sigemptyset(&s.signals);
	sigaddset(&s.signals, SIGCHLD);
	sigaddset(&s.signals, SIGTERM);
	sigaddset(&s.signals, SIGINT);
	sigaddset(&s.signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &s.signals, NULL);
	for (;;) {
		born = clock_ms();
		*is_worker = start_worker(&s);
		if (*is_worker)
			return be_worker(&s);
		status = attend(&s);
		if (s.stopping)
			return status == 0 ? 0 : 1;
		if (WIFEXITED(status) && WEXITSTATUS(status) == 2 && s.restarts == 0)
			return 1; /* it could not start, and said why */
		say_how_it_ended(status);
		blame_slots(&s);
		wait = clock_ms() - born > YOUNG_MS ? 0 : wait == 0 && s.restarts == 0 ? 1 : wait < 500 ? 500 : wait * 2;
		if (wait > WAIT_MAX_MS)
			wait = WAIT_MAX_MS;
		if (!wait_before_restart(&s, wait))
			return 0;
		s.restarts++;
		log_event(LOG_WARN, "supervisor", "starting the worker again (restart %u)", s.restarts);
	}
}
