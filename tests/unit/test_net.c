/* SPDX-License-Identifier: MIT */
#include "scratch.h"
#include "net/addr.h"
#include "net/io.h"
#include "net/keyring.h"
#include "net/listener.h"
#include "net/loop.h"
#include "net/task.h"
#include "net/work.h"
#include "util/check.h"
#include "util/clock.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

static struct loop *loop;

static void
begin(struct post *p)
{
	void (*fn)(void) = *(void (**)(void))(p + 1);

	fn();
}

/* Runs FN on a fresh loop's stack and serves until something calls loop_stop(). */
static void
serve(void (*fn)(void))
{
	struct {
		struct post post;
		void (*fn)(void);
	} start = { .post = { .fn = begin }, .fn = fn };
	struct err err;

	assert_int_equal(loop_new(&loop, 0, &err), 0);
	loop_post(loop, &start.post);
	loop_run(loop);
	loop_free(&loop);
}

/* ---- addresses ---- */

static void
addresses_parse_and_print(void **state)
{
	static const struct {
		const char *text;
		const char *printed; /* NULL: refused */
		const char *literal;
	} row[] = {
		{ "192.0.2.1:25", "192.0.2.1:25", "[192.0.2.1]" },
		{ "192.0.2.1", "192.0.2.1:25", "[192.0.2.1]" },
		{ "[2001:db8::1]:2525", "[2001:db8::1]:2525", "[IPv6:2001:db8::1]" },
		{ "2001:db8::1", "[2001:db8::1]:25", "[IPv6:2001:db8::1]" },
		{ ":587", ":587", NULL },
		{ "[::]:587", "[::]:587", "[IPv6:::]" },
		{ "unix:/run/x.sock", "unix:/run/x.sock", NULL },
		{ "unix:x", NULL, NULL },
		{ "mail.example:25", NULL, NULL },
		{ "192.0.2.1:0", NULL, NULL },
		{ "192.0.2.1:65536", NULL, NULL },
		{ "192.0.2.1:x", NULL, NULL },
		{ "[192.0.2.1", NULL, NULL },
		{ "1.2.3.4.5:25", NULL, NULL },
	};
	struct addr a;
	struct err err;
	char out[ADDR_TEXT];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof row / sizeof *row; i++) {
		if (addr_parse(row[i].text, 25, &a, &err) < 0) {
			assert_null(row[i].printed);
			assert_true(strlen(err.text) > 0);
			continue;
		}
		assert_non_null(row[i].printed);
		assert_string_equal(addr_text(&a, out), row[i].printed);
		if (row[i].literal != NULL)
			assert_string_equal(addr_literal(&a, out), row[i].literal);
	}
	assert_int_equal(addr_parse("192.0.2.1", 0, &a, &err), -1);
}

/* Listens on TEXT, with PORT in place of the text's; returns the port, or 0. */
static uint16_t
listen_on(const char *text, uint16_t port, int *fd)
{
	socklen_t len = sizeof(struct sockaddr_in6);
	struct addr a;
	struct err err;

	if (addr_parse(text, 0, &a, &err) < 0)
		return 0;
	a.u.in6.sin6_port = htons(port); /* where the port of IPv4 is too */
	*fd = listener_bind(&a, &err);
	if (*fd < 0 || getsockname(*fd, &a.u.sa, &len) < 0)
		return 0;
	return ntohs(a.u.in6.sin6_port);
}

static void
both_families_are_one_listener_or_two(void **state)
{
	int four = -1, six = -1, dual = -1, taken = -1;
	uint16_t port = listen_on("0.0.0.0:1", 0, &four);

	(void)state;
	assert_int_not_equal(port, 0);
	if (listen_on("[::]:1", port, &six) == 0)
		skip(); /* a machine without IPv6 */
	close(four);
	close(six);
	port = listen_on(":1", 0, &dual);
	assert_int_not_equal(port, 0);
	assert_int_equal(listen_on("0.0.0.0:1", port, &taken), 0);
	close(dual);
}

static void
networks_match_their_hosts(void **state)
{
	static const struct {
		const char *net, *host;
		int has; /* -1: the network is refused */
	} row[] = {
		{ "10.0.0.0/8", "10.1.2.3", 1 },
		{ "10.0.0.0/8", "11.1.2.3", 0 },
		{ "192.0.2.128/25", "192.0.2.129", 1 },
		{ "192.0.2.128/25", "192.0.2.127", 0 },
		{ "0.0.0.0/0", "203.0.113.1", 1 },
		{ "0.0.0.0/0", "2001:db8::1", 0 },
		{ "2001:db8::/33", "2001:db8:7fff::1", 1 },
		{ "2001:db8::/33", "2001:db8:8000::1", 0 },
		{ "127.0.0.1", "127.0.0.1", 1 },
		{ "127.0.0.1", "127.0.0.2", 0 },
		{ "10.0.0.1/8", "10.0.0.1", -1 },
		{ "10.0.0.0/33", "10.0.0.1", -1 },
		{ "example/8", "10.0.0.1", -1 },
	};
	struct network n;
	struct addr a;
	struct err err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof row / sizeof *row; i++) {
		assert_int_equal(addr_parse(row[i].host, 25, &a, &err), 0);
		assert_int_equal(network_parse(row[i].net, &n, &err), row[i].has < 0 ? -1 : 0);
		if (row[i].has >= 0)
			assert_int_equal(network_has(&n, &a), row[i].has);
	}
	assert_int_equal(addr_parse("::ffff:192.0.2.7", 25, &a, &err), 0);
	addr_unmap(&a);
	assert_int_equal(network_parse("192.0.2.0/24", &n, &err), 0);
	assert_true(network_has(&n, &a));
}

/* ---- tasks and timers ---- */

static char trail[256];

static void
mark(const char *s)
{
	strncat(trail, s, sizeof trail - strlen(trail) - 1);
}

static struct task *sleeper;

static void
sleeper_task(void *arg)
{
	(void)arg;
	sleeper = task_self();
	mark("a");
	assert_int_equal(task_wait(loop_now(loop) + 10000), TASK_WOKEN);
	mark("c");
	assert_int_equal(task_wait(loop_now(loop) + 30), TASK_TIMEOUT);
	mark("d");
	assert_int_equal(task_wait(loop_now(loop) + 10000), TASK_CANCELLED);
	mark("f");
	assert_int_equal(task_wait(loop_now(loop) + 10000), TASK_CANCELLED);
	assert_true(task_cancelled());
	loop_stop(loop);
}

static void
waker_task(void *arg)
{
	(void)arg;
	mark("b");
	task_wake(sleeper);
	task_wake(sleeper); /* a second wake is no second event */
	task_sleep(120);
	mark("e");
	task_cancel(sleeper);
}

static void
start_sleepers(void)
{
	assert_int_equal(task_start(sleeper_task, NULL, "sleeper"), 0);
	assert_int_equal(task_start(waker_task, NULL, "waker"), 0);
}

static void
waits_end_by_wake_deadline_and_cancellation(void **state)
{
	(void)state;
	trail[0] = '\0';
	serve(start_sleepers);
	assert_string_equal(trail, "abcdef");
}

static unsigned alive, peak;

static void
crowd_task(void *arg)
{
	volatile char deep[8192];

	memset((char *)(uintptr_t)deep, (int)(intptr_t)arg, sizeof deep);
	if (++alive > peak)
		peak = alive;
	task_sleep(20 + (uintptr_t)arg % 50);
	assert_int_equal((unsigned char)deep[4096], (unsigned char)(uintptr_t)arg);
	if (--alive == 0)
		loop_stop(loop);
}

static void
start_crowd(void)
{
	uintptr_t i;

	for (i = 0; i < 2000; i++)
		assert_int_equal(task_start(crowd_task, (void *)i, "crowd"), 0);
	task_set_limit(2000);
	assert_int_equal(task_start(crowd_task, NULL, "crowd"), -1);
	task_set_limit(16000);
}

static void
two_thousand_tasks_keep_their_stacks_apart(void **state)
{
	(void)state;
	alive = peak = 0;
	serve(start_crowd);
	assert_int_equal(peak, 2000);
}

static uint64_t fired_at[3];
static struct timer timers[3];

static void
on_timer(struct timer *t)
{
	fired_at[t - timers] = loop_now(loop);
	if (t == &timers[1])
		loop_stop(loop);
}

static uint64_t timers_began;

static void
start_timers(void)
{
	int i;

	for (i = 0; i < 3; i++)
		timer_init(&timers[i], on_timer);
	timers_began = loop_now(loop);
	timer_set(&timers[0], timers_began + 500);
	timer_set(&timers[0], timers_began + 40); /* earlier */
	timer_set(&timers[1], timers_began + 30);
	timer_set(&timers[1], timers_began + 150); /* later */
	timer_set(&timers[2], timers_began + 50);
	timer_clear(&timers[2]);
}

static void
timers_fire_at_their_last_setting(void **state)
{
	(void)state;
	memset(fired_at, 0, sizeof fired_at);
	serve(start_timers);
	assert_in_range(fired_at[0] - timers_began, 40, 120);
	assert_in_range(fired_at[1] - timers_began, 150, 260);
	assert_int_equal(fired_at[2], 0);
}

/* ---- work and posts ---- */

static pthread_t worker_thread;

static void
on_worker(void *arg)
{
	worker_thread = pthread_self();
	*(int *)arg = 42;
}

static void
work_task(void *arg)
{
	int result = 0;

	(void)arg;
	work_run(on_worker, &result);
	assert_int_equal(result, 42);
	assert_false(pthread_equal(worker_thread, pthread_self()));
	work_stop(); /* the worker may still be on its way out of loop_post() */
	loop_stop(loop);
}

static void
start_work(void)
{
	assert_int_equal(task_start(work_task, NULL, "work"), 0);
}

static void
work_runs_on_another_thread_and_is_awaited(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(work_start(2, &err), 0);
	serve(start_work);
}

enum { POSTERS = 4, POSTS = 5000 };
static pthread_t poster[POSTERS];
static struct post posts[POSTERS][POSTS];
static int posts_run, next_of[POSTERS];

static void
on_post(struct post *p)
{
	int from = (int)((p - &posts[0][0]) / POSTS), number = (int)((p - &posts[0][0]) % POSTS), i;

	assert_int_equal(number, next_of[from]++);
	if (++posts_run < POSTERS * POSTS)
		return;
	for (i = 0; i < POSTERS; i++)
		pthread_join(poster[i], NULL); /* a poster may still be on its way out of loop_post() */
	loop_stop(loop);
}

static void *
poster_thread(void *arg)
{
	int i;

	for (i = 0; i < POSTS; i++) {
		posts[(intptr_t)arg][i].fn = on_post;
		loop_post(loop, &posts[(intptr_t)arg][i]);
	}
	return NULL;
}

static void
start_posters(void)
{
	intptr_t i;

	for (i = 0; i < POSTERS; i++)
		assert_int_equal(pthread_create(&poster[i], NULL, poster_thread, (void *)i), 0);
}

static void
posts_of_each_thread_arrive_in_order_and_none_is_lost(void **state)
{
	(void)state;
	posts_run = 0;
	memset(next_of, 0, sizeof next_of);
	serve(start_posters);
	assert_int_equal(posts_run, POSTERS * POSTS);
}

/* ---- streams ---- */

static int pair[2];
static struct tls_ctx *server_tls, *client_tls;
static size_t received;
enum { BULK = 3 * 1000 * 1000 };

static void
receiver_task(void *arg)
{
	struct io io;
	struct err err;
	char buf[10000];
	ssize_t r;
	size_t i;

	io_init(&io, pair[0]);
	if (arg != NULL)
		assert_int_equal(io_tls_accept(&io, server_tls, TLS_ASK_NOTHING, loop_now(loop) + 5000, &err), 0);
	while ((r = io_read(&io, buf, sizeof buf, loop_now(loop) + 5000)) > 0)
		for (i = 0; i < (size_t)r; i++, received++)
			assert_int_equal((unsigned char)buf[i], received % 251);
	assert_int_equal(r, 0);
	io_close(&io);
	loop_stop(loop);
}

static void
sender_task(void *arg)
{
	struct iovec v[300];
	struct io io;
	struct err err;
	char *bulk = xmalloc(BULK);
	int i;

	for (i = 0; i < BULK; i++)
		bulk[i] = (char)(i % 251);
	io_init(&io, pair[1]);
	if (arg != NULL) {
		assert_int_equal(io_tls_connect(&io, client_tls, NULL, loop_now(loop) + 5000, &err), 0);
		assert_string_equal(io_tls_version(&io), "TLSv1.3");
	}
	for (i = 0; i < 300; i++) {
		v[i].iov_base = bulk + (size_t)i * 10000;
		v[i].iov_len = 10000;
	}
	assert_int_equal(io_writev(&io, v, 300, loop_now(loop) + 5000), 0);
	io_close(&io);
	free(bulk);
}

static void *with_tls;

static void
start_bulk(void)
{
	assert_int_equal(task_start(receiver_task, with_tls, "receiver"), 0);
	assert_int_equal(task_start(sender_task, with_tls, "sender"), 0);
}

static void
bulk(void *tls)
{
	received = 0;
	with_tls = tls;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	serve(start_bulk);
	assert_int_equal(received, BULK);
}

static void
plain_stream_carries_bulk_through_a_full_socket(void **state)
{
	(void)state;
	bulk(NULL);
}

static void
tls_stream_carries_bulk_through_a_full_socket(void **state)
{
	char folder[SCRATCH_PATH], path[SCRATCH_PATH + 8], command[1024];
	struct keyring ring = { 0 };
	struct err err;

	(void)state;
	scratch_new(folder);
	snprintf(path, sizeof path, "%s/cert", folder);
	snprintf(command, sizeof command,
	    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=gateway.example "
	    "-keyout %s.key -out %s >/dev/null 2>&1", path, path);
	assert_int_equal(system(command), 0);
	snprintf(command, sizeof command, "%s.key", path);
	assert_int_equal(keyring_read(&ring, path, command, &err), 0);
	assert_int_equal(tls_server_new(&server_tls, &ring, &err), 0);
	assert_int_equal(tls_client_new(&client_tls, false, NULL, &err), 0);
	bulk(path);
	tls_free(&server_tls);
	tls_free(&client_tls);
	keyring_fini(&ring);
	scratch_remove(folder);
}

static struct io idle_io;
static int idle_events;

static void
on_idle(struct io *io, bool timed_out)
{
	char c;

	if (!timed_out) {
		assert_int_equal(io_recv(io, &c, 1), 1);
		assert_int_equal(c, 'x');
		idle_events++;
		io_idle(io, on_idle, loop_now(loop) + 60);
		return;
	}
	io_close(io);
	close(pair[1]);
	loop_stop(loop);
}

static void
start_idle(void)
{
	io_init(&idle_io, pair[0]);
	io_idle(&idle_io, on_idle, loop_now(loop) + 5000);
	assert_int_equal(write(pair[1], "xxx", 3), 3);
}

static void
idle_stream_needs_no_task_and_times_out(void **state)
{
	(void)state;
	idle_events = 0;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	serve(start_idle);
	assert_int_equal(idle_events, 3);
}

static void
silent_task(void *arg)
{
	struct io io;
	char c;

	(void)arg;
	io_init(&io, pair[0]);
	assert_int_equal(io_read(&io, &c, 1, loop_now(loop) + 50), -1);
	assert_int_equal(errno, ETIMEDOUT);
	io_close(&io);
	loop_stop(loop);
}

static void
start_silent(void)
{
	assert_int_equal(task_start(silent_task, NULL, "silent"), 0);
}

static void
read_of_a_silent_peer_ends_at_its_deadline(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	serve(start_silent);
	close(pair[1]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_parse_and_print),
		cmocka_unit_test(both_families_are_one_listener_or_two),
		cmocka_unit_test(networks_match_their_hosts),
		cmocka_unit_test(waits_end_by_wake_deadline_and_cancellation),
		cmocka_unit_test(two_thousand_tasks_keep_their_stacks_apart),
		cmocka_unit_test(timers_fire_at_their_last_setting),
		cmocka_unit_test(work_runs_on_another_thread_and_is_awaited),
		cmocka_unit_test(posts_of_each_thread_arrive_in_order_and_none_is_lost),
		cmocka_unit_test(plain_stream_carries_bulk_through_a_full_socket),
		cmocka_unit_test(tls_stream_carries_bulk_through_a_full_socket),
		cmocka_unit_test(idle_stream_needs_no_task_and_times_out),
		cmocka_unit_test(read_of_a_silent_peer_ends_at_its_deadline),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
