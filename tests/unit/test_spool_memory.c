/* SPDX-License-Identifier: MIT */
/* What a deferred message costs in memory, while it waits and after a restart. Argument: how many (20,000); with many,
 * the time of the restart is of interest too. */
#include "scratch.h"
#include "net/loop.h"
#include "spool/committer.h"
#include "spool/store.h"
#include "util/arena.h"
#include "util/check.h"
#include "util/clock.h"
#include "util/pool.h"

#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

enum { AT_ONCE = 1000, LIMIT = 256 };

static unsigned wanted = 20000;
static const char key[] = "domain:example.net";

static size_t
heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd + pool_bytes(&stored_pool);
}

static size_t
resident(void)
{
	unsigned long size, pages = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	check(f != NULL && fscanf(f, "%lu %lu", &size, &pages) == 2);
	fclose(f);
	return pages * 4096;
}

static struct message *
make(struct spool *spool)
{
	struct arena *a = arena_new(0);
	struct message *m = message_new(spool_next_id(spool), &a);

	m->received = clock_wall();
	m->sender = "sender@example.org";
	m->rcpt = arena_zalloc(m->arena, sizeof *m->rcpt);
	m->rcpt_count = 1;
	m->rcpt[0].address = "somebody@example.net";
	m->rcpt[0].group = message_group(m, key);
	message_append(m, "Subject: x\r\n\r\nhello\r\n", 21);
	return m;
}

static void
pass(struct spool *spool)
{
	port_hand_over(&spool->port[0]);
	committer_pass(spool);
	port_receive(&spool->port[0]);
}

static void
commit_some(struct spool *spool)
{
	static struct job job[AT_ONCE];
	struct message *m[AT_ONCE];
	unsigned i;

	memset(job, 0, sizeof job);
	for (i = 0; i < AT_ONCE; i++) {
		m[i] = make(spool);
		check(commit_begin(&spool->port[0], m[i], &job[i]) == 0);
	}
	pass(spool);
	for (i = 0; i < AT_ONCE; i++) {
		check(job[i].written && job[i].result == 0);
		message_unref(&m[i]);
	}
}

static void
defer_all(struct spool *spool)
{
	struct rcpt_state rcpt = { .reply = (char *)(uintptr_t)"451 4.7.1 try later" };
	struct outcome o = { .rcpt = &rcpt, .count = 1, .count_attempt = true, .peer = "192.0.2.1:25" };
	struct queue *q = queue_get(&spool->port[0], key, strlen(key));
	struct entry *e;

	while ((e = queue_take(q)) != NULL) {
		o.next_attempt = clock_wall() + 1000 + (int64_t)(entry_id(e) * 7919 % 3600);
		entry_finish(e, &o);
	}
	pass(spool);
}

static struct spool *
begin(const char *path, struct loop **loop)
{
	/* Small segments: the log keeps the index of the one being written in memory. */
	struct spool_config config = { .path = path, .segment_size = 4 << 20, .memory_max = 1 << 20, .memory_total = 1 << 30, .cache = 1 << 30,
		.foreground = true, .loop_count = 1 };
	struct spool *spool;
	struct err err;

	check(loop_new(loop, 0, &err) == 0);
	config.loops = loop;
	if (spool_open(&spool, &config, &err) < 0)
		fatal("%s", err.text);
	return spool;
}

static void
report(const char *when, size_t heap_bytes, size_t resident_bytes)
{
	printf("%s: %zu bytes of heap, %zu resident, for each of %u\n", when, heap_bytes / wanted, resident_bytes / wanted,
	    wanted);
}

static void
a_deferred_message_takes_at_most_256_bytes(void **state)
{
	char path[SCRATCH_PATH];
	size_t heap_before, resident_before, fixed = heap();
	struct spool_stats s;
	struct spool *spool;
	struct loop *loop;
	uint64_t began;
	unsigned i;

	(void)state;
	scratch_new(path);
	spool = begin(path, &loop);
	fixed = heap() - fixed; /* what a spool takes when it is empty */
	for (i = 0; i < 2; i++) /* what batches need once */
		commit_some(spool);
	defer_all(spool);
	heap_before = heap();
	resident_before = resident();
	for (i = 0; i < wanted / AT_ONCE; i++) {
		commit_some(spool);
		defer_all(spool);
	}
	spool_stats(spool, &s);
	assert_int_equal(s.deferred, wanted + 2 * AT_ONCE);
	report("waiting", heap() - heap_before, resident() - resident_before);
	assert_true((heap() - heap_before) / wanted <= LIMIT);
	spool_close(&spool);
	loop_free(&loop);

	malloc_trim(0);
	heap_before = heap() + fixed;
	resident_before = resident();
	began = clock_ms();
	spool = begin(path, &loop);
	printf("restart with %u: %llu ms\n", wanted, (unsigned long long)(clock_ms() - began));
	spool_stats(spool, &s);
	assert_int_equal(s.deferred, wanted + 2 * AT_ONCE);
	report("after the restart", heap() - heap_before, resident() - resident_before);
	assert_true((heap() - heap_before) / (wanted + 2 * AT_ONCE) <= LIMIT);
	spool_close(&spool);
	loop_free(&loop);
	scratch_remove(path);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_deferred_message_takes_at_most_256_bytes),
	};

	if (argc > 1)
		wanted = (unsigned)strtoul(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
