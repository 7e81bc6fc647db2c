/* SPDX-License-Identifier: MIT */
/* The gateway: reads the configuration, opens what needs privileges, and hands over to the supervisor. */
#include "control/log_target.h"
#include "control/reload.h"
#include "control/sandbox.h"
#include "control/supervisor.h"
#include "control/systemd.h"
#include "control/watch.h"
#include "control/worker.h"
#include "directory/settings.h"
#include "net/listener.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"
#include "util/file.h"
#include "util/log.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char help[] =
    "Usage: tmaild [-c FILE] [-t] [--discard]\n"
    "The tmail mail gateway: accepts mail, queues it, relays it. Runs in the foreground.\n"
    "\n"
    "  -c, --config FILE  the configuration; without it a demonstration runs: 127.0.0.1:2525\n"
    "                     relays to 127.0.0.1:2526, with its queue in ./tmail-state\n"
    "  -t, --test         check the configuration and exit: 0 when it is good, 1 when not\n"
    "      --discard      accept mail and throw it away (for measuring, loses everything)\n"
    "  -h, --help         this text\n"
    "  -V, --version      the version\n"
    "\n"
    "SIGHUP, and `tmail reload`, read the configuration again and open the log again.\n"
    "SIGTERM ends it: transactions under way are finished, what was accepted stays queued.\n"
    "Configuration: tmail.conf(5). Administration: tmail(1).\n";

enum { BIND_TRIES = 30 };

struct arguments {
	const char *config;
	bool test, discard;
};

struct gateway {
	struct worker_config worker;
	struct reload *reload;
	struct watch *watch;
	int original_stderr;
};

static void
parse_arguments(struct arguments *a, int argc, char **argv)
{
	static const struct option longs[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "test", no_argument, NULL, 't' },
		{ "discard", no_argument, NULL, 'D' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int c;

	while ((c = getopt_long(argc, argv, "c:thV", longs, NULL)) != -1)
		switch (c) {
		case 'c':
			a->config = optarg;
			break;
		case 't':
			a->test = true;
			break;
		case 'D':
			a->discard = true;
			break;
		case 'h':
			fputs(help, stdout);
			exit(0);
		case 'V':
			puts("tmaild " PACKAGE_VERSION);
			exit(0);
		default:
			fputs("Try: tmaild --help\n", stderr);
			exit(2);
		}
	if (optind < argc) {
		fprintf(stderr, "tmaild: unexpected argument: %s\nTry: tmaild --help\n", argv[optind]);
		exit(2);
	}
}

static struct settings *
load(const char *path)
{
	struct settings *s = NULL;
	struct buf errors = { 0 };
	struct err err;

	if (settings_load(&s, path, &errors) < 0) {
		fputs(buf_str(&errors), stderr);
		buf_fini(&errors);
		exit(1);
	}
	buf_fini(&errors);
	if (secrets_read(s, &err) < 0)
		fatal("%s", err.text);
	return s;
}

static void
raise_descriptor_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

/* The one before us may still be ending: its worker dies with it, but not in the same instant. */
static void
lock_state(const struct settings *s)
{
	const struct timespec moment = { .tv_nsec = 50 * 1000 * 1000 };
	const char *path = arena_printf(s->arena, "%s/lock", s->state);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600), i;

	if (fd < 0)
		fatal("cannot open %s: %s", path, strerror(errno));
	for (i = 0; flock(fd, LOCK_EX | LOCK_NB) < 0; i++) {
		if (i == 100)
			fatal("another tmaild works in %s (its lock is held); stop it, or give this one a state folder of its own",
			    s->state);
		nanosleep(&moment, NULL);
	}
}

/* The state folder is ours, only those below it the worker's: it cannot lead us astray with links. */
static void
make_for_worker(const struct settings *s, const char *name, const struct account *account)
{
	const char *path = arena_printf(s->arena, "%s/%s", s->state, name);

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		fatal("cannot make folder %s: %s", path, strerror(errno));
	if (getuid() == 0 && lchown(path, account->uid, account->gid) < 0)
		fatal("cannot give %s to account %s: %s", path, account->name, strerror(errno));
}

static void
prepare_state(const struct settings *s, const struct account *account)
{
	struct err err;

	if (file_mkdirs(s->state, 0755, &err) < 0)
		fatal("%s", err.text);
	lock_state(s);
	make_for_worker(s, "spool", account);
	make_for_worker(s, "history", account);
}

static int
bind_admin(const struct settings *s)
{
	const char *slash = strrchr(s->admin.socket, '/');
	struct addr a;
	struct err err;
	mode_t old;
	int fd;

	if (slash != NULL && slash != s->admin.socket &&
	    file_mkdirs(arena_strndup(s->arena, s->admin.socket, (size_t)(slash - s->admin.socket)), 0755, &err) < 0)
		fatal("%s", err.text);
	if (addr_parse(arena_printf(s->arena, "unix:%s", s->admin.socket), 0, &a, &err) < 0)
		fatal("admin { socket }: %s", err.text);
	old = umask(0777 & ~s->admin.mode);
	fd = listener_bind(&a, &err);
	umask(old);
	if (fd < 0)
		fatal("%s", err.text);
	return fd;
}

/* ---- what the supervisor does beside minding the worker ---- */

static void
on_hangup(struct supervisor *s, void *arg)
{
	reload_begin(((struct gateway *)arg)->reload, s, 0);
}

static void
on_message(struct supervisor *s, struct channel_message *m, void *arg)
{
	struct gateway *g = arg;

	if (m->kind == CHANNEL_READY)
		systemd_ready();
	else if (m->kind == CHANNEL_RELOAD)
		reload_begin(g->reload, s, m->serial);
	else if (m->kind == CHANNEL_APPLIED || m->kind == CHANNEL_REFUSED)
		reload_answered(g->reload, s, m);
	if (m->fd >= 0)
		close(m->fd);
}

static void
on_stopping(struct supervisor *s, void *arg)
{
	(void)s;
	(void)arg;
	systemd_stopping();
}

static void
on_worker_gone(struct supervisor *s, void *arg)
{
	(void)s;
	reload_lost(((struct gateway *)arg)->reload);
	watch_again(((struct gateway *)arg)->watch);
}

static int64_t
on_tick(struct supervisor *s, void *arg)
{
	int64_t look = watch_tick(((struct gateway *)arg)->watch, s), tell = systemd_tick();

	return look < 0 || (tell >= 0 && tell < look) ? tell : look;
}

static int
run_worker(const struct worker_history *history, void *arg)
{
	return worker_run(history, &((struct gateway *)arg)->worker);
}

/* Of the sockets we were started with, those no listener is for. */
static void
close_others(struct sockets *given, const struct sockets *used)
{
	char text[ADDR_TEXT];
	unsigned i;

	for (i = 0; i < given->count; i++) {
		if (sockets_find(used, &given->place[i].address) != NULL)
			continue;
		log_event(LOG_WARN, "systemd", "no listener has the address %s, whose socket was handed over",
		    addr_text(&given->place[i].address, text));
		close(given->place[i].fd);
	}
	free(given->place);
}

static void
open_all(struct gateway *g, const struct arguments *a)
{
	struct worker_config *w = &g->worker;
	struct sockets given = { 0 };
	struct err err;

	systemd_sockets(&given);
	raise_descriptor_limit();
	prepare_state(w->settings, &w->account);
	w->path = a->config;
	w->discard = a->discard;
	g->original_stderr = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	if ((w->log_fd = log_target_open(w->settings, g->original_stderr, &err)) < 0)
		fatal("%s", err.text);
	log_target_redirect(w->settings, w->log_fd, g->original_stderr);
	if (sockets_bind(&w->sockets, &given, w->settings, BIND_TRIES, &err) < 0)
		fatal("%s", err.text);
	close_others(&given, &w->sockets);
	w->admin_fd = bind_admin(w->settings);
	reload_init(g->reload, w, g->original_stderr);
	g->watch = watch_new(w, g->reload);
}

int
main(int argc, char **argv)
{
	struct arguments a = { 0 };
	static struct reload reload;
	struct gateway g = { .reload = &reload };
	struct supervisor_config supervisor = { .worker = run_worker, .hangup = on_hangup, .message = on_message,
		.worker_gone = on_worker_gone, .stopping = on_stopping, .tick = on_tick, .arg = &g };
	struct worker_config *w = &g.worker;
	struct err err;
	bool is_worker;
	int status;

	systemd_init();
	parse_arguments(&a, argc, argv);
	w->settings = load(a.config);
	if (credentials_open(&w->credentials, w->settings, &err) < 0)
		fatal("%s", err.text);
	if (a.test) {
		printf("%s: good\n", a.config ? a.config : "embedded configuration");
		credentials_fini(&w->credentials);
		settings_free(&w->settings);
		return 0;
	}
	if (account_find(w->settings->user, &w->account, &err) < 0)
		fatal("%s", err.text);
	open_all(&g, &a);
	supervisor.state = xstrdup(w->settings->state);
	supervisor.loops = w->settings->threads;
	supervisor.wake_fd = watch_fd(g.watch);
	status = supervisor_run(&supervisor, &is_worker);
	if (!is_worker)
		unlink(w->settings->admin.socket);
	watch_free(&g.watch);
	reload_fini(g.reload);
	sockets_fini(&w->sockets);
	credentials_fini(&w->credentials);
	settings_free(&w->settings);
	free((char *)(uintptr_t)supervisor.state);
	return status;
}
