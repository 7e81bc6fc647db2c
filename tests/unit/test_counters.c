/* SPDX-License-Identifier: MIT */
#include "util/counters.h"

#include <ctype.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>

enum { THREADS = 40, EACH = 5000 };

static void *
add(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < EACH; i++) {
		counter_add(COUNTER_COMMANDS, 3);
		counter_add(COUNTER_SESSIONS_OPEN, 1);
	}
	return NULL;
}

static void *
sub(void *arg)
{
	int i;

	(void)arg;
	for (i = 0; i < EACH; i++)
		counter_sub(COUNTER_SESSIONS_OPEN, 1);
	return NULL;
}

static void
many_threads_add_up(void **state)
{
	uint64_t all[COUNTER_COUNT];
	pthread_t t[THREADS];
	int i;

	(void)state;
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, add, NULL), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	counters_read(all);
	assert_true(all[COUNTER_COMMANDS] == 3ull * THREADS * EACH);
	assert_true(all[COUNTER_SESSIONS_OPEN] == 1ull * THREADS * EACH);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, sub, NULL), 0);
	for (i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	assert_true(counter_get(COUNTER_SESSIONS_OPEN) == 0);
}

/* Names are what scripts and dashboards are built on. */
static void
every_counter_has_a_distinct_name_and_prose(void **state)
{
	const struct counter_info *c;
	const char *p;
	int i, j;

	(void)state;
	for (i = 0; i < COUNTER_COUNT; i++) {
		c = &counter_info[i];
		for (p = c->name; *p != '\0'; p++)
			assert_true(islower((unsigned char)*p) || *p == '_');
		assert_true(isupper((unsigned char)c->help[0]));
		assert_true(c->help[strlen(c->help) - 1] != '.');
		assert_true(c->kind == COUNTER_TOTAL || c->kind == COUNTER_LEVEL);
		for (j = 0; j < i; j++)
			assert_string_not_equal(c->name, counter_info[j].name);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_threads_add_up),
		cmocka_unit_test(every_counter_has_a_distinct_name_and_prose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
