/* SPDX-License-Identifier: MIT */
#include "util/buf.h"
#include "util/clock.h"
#include "util/file.h"
#include "util/log.h"
#include "util/log_format.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static char path[64];
static int fd;

static int
open_file(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/tmail-test-log.XXXXXX");
	fd = mkstemp(path);
	return fd < 0 || log_open(fd, LOG_INFO, NULL) < 0 ? -1 : 0;
}

static int
remove_file(void **state)
{
	(void)state;
	log_close();
	close(fd);
	return unlink(path);
}

/* Everything written so far; the writer is stopped. */
static char *
contents(struct buf *b)
{
	log_close();
	assert_int_equal(file_read(path, 100u << 20, b, NULL), 0);
	return buf_str(b);
}

static void
record_has_time_level_event_and_keys(void **state)
{
	struct log_record r;
	struct buf b = { 0 };
	unsigned y, mo, d, h, mi, s, ms;
	int end = 0;
	char *text;

	(void)state;
	log_begin(&r, LOG_WARN, "received");
	log_id(&r, "msg", 0);
	log_u64(&r, "size", UINT64_MAX);
	log_str(&r, "none", NULL);
	log_str(&r, "from", "a@b.example");
	log_end(&r);
	text = contents(&b);
	assert_int_equal(sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ%n", &y, &mo, &d, &h, &mi, &s, &ms, &end), 7);
	assert_int_equal(end, 24);
	assert_string_equal(text + end,
	    " warn event=received msg=2222222222222 size=18446744073709551615 from=a@b.example\n");
	buf_fini(&b);
}

static void
hostile_values_are_quoted(void **state)
{
	static const struct {
		const char *value;
		size_t len;
		const char *written;
	} row[] = {
		{ "plain/;:.!~", 11, "plain/;:.!~" },
		{ "", 0, "\"\"" },
		{ "two words", 9, "\"two words\"" },
		{ "a=b", 3, "\"a=b\"" },
		{ "say \"hi\"", 8, "\"say \\\"hi\\\"\"" },
		{ "back\\slash", 10, "\"back\\\\slash\"" },
		{ "x\nevent=forged", 14, "\"x\\x0aevent=forged\"" },
		{ "\0\r\x7f\xff\x1b[2J", 8, "\"\\x00\\x0d\\x7f\\xff\\x1b[2J\"" },
	};
	struct log_record r;
	char want[100];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof row / sizeof *row; i++) {
		log_begin(&r, LOG_INFO, "e");
		log_bytes(&r, "v", row[i].value, row[i].len);
		r.text[r.len] = '\0';
		snprintf(want, sizeof want, "Z info event=e v=%s", row[i].written);
		assert_string_equal(r.text + 23, want);
	}
}

static void
long_values_are_cut_and_later_keys_survive(void **state)
{
	struct log_record r;
	char big[5000];

	(void)state;
	memset(big, '"', sizeof big);
	log_begin(&r, LOG_INFO, "e");
	log_bytes(&r, "v", big, sizeof big);
	log_str(&r, "verdict", "reject");
	r.text[r.len] = '\0';
	assert_false(r.cut);
	assert_non_null(strstr(r.text, "\\\"...\" verdict=reject"));
	assert_true(r.len <= 25 + 30 + LOG_VALUE_MAX);
}

/* Whatever is put in, and however much of it: one line, balanced quotes, a mark at the end. */
static void
full_record_says_so_and_stays_one_line(void **state)
{
	struct log_record r;
	char big[900], *text, *line;
	struct buf b = { 0 };
	size_t n, i, quotes;

	(void)state;
	memset(big, 'x', sizeof big);
	for (n = 0; n < sizeof big; n += 7) {
		log_begin(&r, LOG_INFO, "e");
		for (i = 0; i < 6; i++)
			log_bytes(&r, "key", big, i % 2 ? n : 300);
		log_bytes(&r, "spaces", "a b", 3);
		log_u64(&r, "number", UINT64_MAX);
		log_id(&r, "id", 1);
		assert_true(r.len < LOG_RECORD_MAX);
		log_end(&r);
	}
	text = contents(&b);
	for (line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		assert_true(strlen(line) + 1 <= LOG_RECORD_MAX);
		for (quotes = i = 0; line[i] != '\0'; i++)
			quotes += line[i] == '"';
		assert_int_equal(quotes % 2, 0);
		assert_null(strstr(line, "= "));
		assert_true(strstr(line, " id=2222222222223") != NULL || strstr(line, " truncated=yes") != NULL);
	}
	buf_fini(&b);
}

static void
level_decides_what_is_written(void **state)
{
	struct buf b = { 0 };

	(void)state;
	assert_int_equal(log_open(fd, LOG_WARN, NULL), 0);
	assert_false(log_wants(LOG_INFO));
	log_event(LOG_INFO, "unwanted", "x");
	log_event(LOG_ERROR, "wanted", "%s is %d", "it", 7);
	contents(&b);
	assert_null(strstr(b.data, "unwanted"));
	assert_non_null(strstr(b.data, " error event=wanted detail=\"it is 7\"\n"));
	log_open(fd, LOG_INFO, NULL);
	buf_fini(&b);
}

enum { PRODUCERS = 4, EACH = 20000 };

static void *
produce(void *arg)
{
	struct log_record r;
	int i;

	for (i = 0; i < EACH; i++) {
		log_begin(&r, LOG_INFO, "e");
		log_u64(&r, "producer", (uint64_t)(size_t)arg);
		log_u64(&r, "i", (uint64_t)i);
		log_end(&r);
	}
	return NULL;
}

/* Every record is there whole and in its producer's order, or it is counted. */
static void
concurrent_producers_lose_nothing_uncounted(void **state)
{
	pthread_t t[PRODUCERS];
	struct buf b = { 0 };
	uint64_t before = log_lost(), lines = 0;
	long next[PRODUCERS] = { 0 };
	unsigned producer;
	char *line, *save, *text;
	size_t i;
	long n;

	(void)state;
	for (i = 0; i < PRODUCERS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, produce, (void *)i), 0);
	for (i = 0; i < PRODUCERS; i++)
		pthread_join(t[i], NULL);
	text = contents(&b);
	for (line = strtok_r(text, "\n", &save); line != NULL; line = strtok_r(NULL, "\n", &save)) {
		if (strstr(line, "event=log_lines_lost") != NULL)
			continue;
		assert_int_equal(sscanf(line + 24, " info event=e producer=%u i=%ld", &producer, &n), 2);
		assert_true(producer < PRODUCERS && n >= next[producer]);
		next[producer] = n + 1;
		lines++;
	}
	assert_true(lines + log_lost() - before == PRODUCERS * EACH);
	buf_fini(&b);
}

/* A reader that does not read: producers go on at once, losses are counted, and told when it reads again. */
static void
full_ring_counts_and_later_tells(void **state)
{
	int p[2];
	uint64_t before = log_lost(), lost, started = clock_ms();
	struct buf b = { 0 };
	struct log_record r;
	char text[700], want[100];
	ssize_t n;
	int i;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(log_open(p[1], LOG_INFO, NULL), 0);
	memset(text, 'x', sizeof text);
	for (i = 0; i < 12000; i++) {
		log_begin(&r, LOG_INFO, "e");
		log_bytes(&r, "text", text, sizeof text);
		log_end(&r);
	}
	lost = log_lost() - before;
	assert_true(lost > 0);
	assert_true(clock_ms() - started < 5000);
	snprintf(want, sizeof want, " error event=log_lines_lost lost=%llu ", (unsigned long long)lost);
	do {
		n = read(p[0], buf_reserve(&b, 65536), 65536);
		assert_true(n > 0);
		b.len += (size_t)n;
	} while (strstr(buf_str(&b), "log_lines_lost") == NULL || b.data[b.len - 1] != '\n');
	assert_non_null(strstr(b.data, want));
	assert_int_equal(log_open(fd, LOG_INFO, NULL), 0);
	close(p[0]);
	close(p[1]);
	buf_fini(&b);
}

static void
closing_gives_up_on_a_stuck_reader(void **state)
{
	int p[2];
	uint64_t before = log_lost(), started = clock_ms();
	int i;

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(log_open(p[1], LOG_INFO, NULL), 0);
	for (i = 0; i < 3000; i++)
		log_event(LOG_INFO, "e", "a hundred bytes or so make this larger than a pipe, number %d", i);
	log_close();
	assert_true(clock_ms() - started < 10000);
	assert_true(log_lost() > before);
	close(p[0]);
	close(p[1]);
}

static void
failed_writes_are_counted_and_told_later(void **state)
{
	int full = open("/dev/full", O_WRONLY);
	uint64_t before = log_lost();
	struct buf b = { 0 };
	char want[64];

	(void)state;
	if (full < 0)
		skip();
	assert_int_equal(log_open(full, LOG_INFO, NULL), 0);
	log_event(LOG_INFO, "e", "lost");
	log_close();
	assert_int_equal(log_lost() - before, 1);
	assert_int_equal(log_open(fd, LOG_INFO, NULL), 0);
	log_event(LOG_INFO, "e", "kept");
	contents(&b);
	assert_non_null(strstr(b.data, "detail=kept"));
	snprintf(want, sizeof want, " lost_in_all=%llu\n", (unsigned long long)log_lost());
	assert_non_null(strstr(b.data, " error event=log_lines_lost lost="));
	assert_non_null(strstr(b.data, want));
	close(full);
	buf_fini(&b);
}

static void
child_logs_on_its_own_after_fork(void **state)
{
	struct buf b = { 0 };
	int status = 0;
	pid_t pid;

	(void)state;
#if defined(__SANITIZE_THREAD__)
	skip(); /* ThreadSanitizer forbids threads after the fork of a process that has some */
#endif
	log_event(LOG_INFO, "parent", "before");
	pid = fork();
	if (pid == 0) {
		log_after_fork();
		if (log_open(fd, LOG_INFO, NULL) < 0)
			_exit(1);
		log_event(LOG_INFO, "child", "own");
		log_close();
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	contents(&b);
	assert_non_null(strstr(b.data, "event=child detail=own\n"));
	assert_non_null(strstr(b.data, "event=parent detail=before\n"));
	assert_null(strstr(strstr(b.data, "event=parent") + 1, "event=parent"));
	buf_fini(&b);
}

static void
json_says_what_the_text_says(void **state)
{
	static const char text[] =
	    "2026-01-01T00:00:00.000Z info event=x a=1 b=\"two words\" c=\"q\\\"b\\\\h\\x0a\" d= e=\"\"\n"
	    "2026-01-01T00:00:00.000Z warn event=y\n";
	struct buf out = { 0 };

	(void)state;
	log_format_json(text, sizeof text - 1, &out);
	assert_string_equal(buf_str(&out),
	    "{\"time\":\"2026-01-01T00:00:00.000Z\",\"level\":\"info\",\"event\":\"x\",\"a\":\"1\","
	    "\"b\":\"two words\",\"c\":\"q\\\"b\\\\h\\\\x0a\",\"d\":\"\",\"e\":\"\"}\n"
	    "{\"time\":\"2026-01-01T00:00:00.000Z\",\"level\":\"warn\",\"event\":\"y\"}\n");
	buf_fini(&out);
}

#define log_test(f) cmocka_unit_test_setup_teardown(f, open_file, remove_file)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(json_says_what_the_text_says),
		log_test(record_has_time_level_event_and_keys),
		log_test(hostile_values_are_quoted),
		log_test(long_values_are_cut_and_later_keys_survive),
		log_test(full_record_says_so_and_stays_one_line),
		log_test(level_decides_what_is_written),
		log_test(concurrent_producers_lose_nothing_uncounted),
		log_test(full_ring_counts_and_later_tells),
		log_test(closing_gives_up_on_a_stuck_reader),
		log_test(failed_writes_are_counted_and_told_later),
		log_test(child_logs_on_its_own_after_fork),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
