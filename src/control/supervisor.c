/* SPDX-License-Identifier: MIT */
#include "control/supervisor.h"
#include "control/channel.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "util/str.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
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
	int signal_fd;
	int channel; /* to the worker; -1: there is none */
	struct channel_message message;
	pid_t worker;
	uint64_t stop_at; /* clock_ms(), while stopping */
	bool stopping;
};

int
supervisor_channel(const struct supervisor *s)
{
	return s->channel;
}

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
		.crash_slots = s->slots, .slot_count = s->config->loops, .channel = s->channel };
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
	struct err err;
	int end[2];

	fflush(NULL);
	if (channel_open(end, &err) < 0)
		fatal("%s", err.text);
	s->worker = fork();
	if (s->worker < 0)
		fatal("cannot make the worker process: %s", strerror(errno));
	s->channel = end[s->worker > 0 ? 0 : 1];
	close(end[s->worker > 0 ? 1 : 0]);
	if (s->worker > 0)
		return false;
	close(s->signal_fd);
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

static int
next_signal(const struct supervisor *s)
{
	struct signalfd_siginfo info;

	return read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info ? (int)info.ssi_signo : 0;
}

static void
begin_to_stop(struct supervisor *s)
{
	if (s->stopping)
		return;
	s->stopping = true;
	s->stop_at = clock_ms() + STOP_MS;
	if (s->config->stopping != NULL)
		s->config->stopping(s, s->config->arg);
	if (s->worker > 0)
		kill(s->worker, SIGTERM);
}

/* SIGCHLD is looked at by who waits for the worker. */
static void
take_signals(struct supervisor *s)
{
	int sig;

	while ((sig = next_signal(s)) != 0) {
		if (sig == SIGTERM || sig == SIGINT)
			begin_to_stop(s);
		else if (sig == SIGHUP && !s->stopping && s->config->hangup != NULL)
			s->config->hangup(s, s->config->arg);
	}
}

static void
take_messages(struct supervisor *s)
{
	int rc;

	while (s->channel >= 0 && (rc = channel_receive(s->channel, &s->message)) != 0) {
		if (rc < 0) {
			close(s->channel);
			s->channel = -1;
		} else if (s->config->message != NULL)
			s->config->message(s, &s->message, s->config->arg);
		else if (s->message.fd >= 0)
			close(s->message.fd);
	}
}

/* Until something happens, clock_ms() is UNTIL (0: no end), or the tick is due. */
static void
wait_for_events(struct supervisor *s, uint64_t until)
{
	struct pollfd p[3] = { { .fd = s->signal_fd, .events = POLLIN }, { .fd = s->channel, .events = POLLIN },
		{ .fd = s->config->wake_fd, .events = POLLIN } };
	int64_t ms = s->config->tick != NULL ? s->config->tick(s, s->config->arg) : -1;
	uint64_t now = clock_ms();

	if (until != 0 && (ms < 0 || now + (uint64_t)ms > until))
		ms = until > now ? (int64_t)(until - now) : 0;
	if (poll(p, 3, ms < 0 ? -1 : (int)ms) <= 0)
		return;
	take_signals(s);
	take_messages(s);
}

/* Waits for the worker's end; its status, or -1 when it had to be killed after the time for stopping. */
static int
attend(struct supervisor *s)
{
	int status;

	for (;;) {
		wait_for_events(s, s->stop_at);
		if (waitpid(s->worker, &status, WNOHANG) == s->worker)
			break;
		if (s->stop_at != 0 && clock_ms() >= s->stop_at) {
			log_event(LOG_ERROR, "supervisor", "the worker did not end in %d s: killing it", STOP_MS / 1000);
			kill(s->worker, SIGKILL);
			waitpid(s->worker, &status, 0);
			status = -1;
			break;
		}
	}
	take_messages(s); /* its last words */
	if (s->channel >= 0)
		close(s->channel);
	s->channel = -1;
	s->worker = 0;
	if (s->config->worker_gone != NULL)
		s->config->worker_gone(s, s->config->arg);
	return status;
}

/* False when the supervisor was told to stop meanwhile. */
static bool
wait_before_restart(struct supervisor *s, uint64_t ms)
{
	uint64_t until = clock_ms() + ms;

	while (clock_ms() < until && !s->stopping)
		wait_for_events(s, until);
	return !s->stopping;
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
	s.signal_fd = signalfd(-1, &s.signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (s.signal_fd < 0)
		fatal("cannot wait for signals: %s", strerror(errno));
	s.channel = -1;
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
