/* SPDX-License-Identifier: MIT */
#include "util/arena.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/crc32c.h"
#include "util/list.h"
#include "util/map.h"
#include "util/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void
crc32c_matches_rfc3720_vectors(void **state)
{
	unsigned char z[32] = { 0 }, i;

	(void)state;
	assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283u);
	assert_int_equal(crc32c(0, z, sizeof z), 0x8a9136aau);
	for (i = 0; i < 32; i++)
		z[i] = i;
	assert_int_equal(crc32c(0, z, sizeof z), 0x46dd794eu);
	assert_int_equal(crc32c(crc32c(0, z, 11), z + 11, 21), 0x46dd794eu);
}

static void
id_text_round_trips_and_sorts(void **state)
{
	const uint64_t ids[] = { 0, 1, 31, 32, 1u << 20, UINT64_MAX / 3, UINT64_MAX };
	char a[ID_TEXT], b[ID_TEXT] = "";
	uint64_t back;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof ids / sizeof *ids; i++) {
		id_text(ids[i], a);
		assert_int_equal(strlen(a), 13);
		assert_int_equal(id_parse(a, &back), 0);
		assert_true(back == ids[i]);
		assert_true(strcmp(b, a) < 0);
		memcpy(b, a, sizeof b);
	}
	assert_int_equal(id_parse("zzzzzzzzzzzzz", &back), -1);
	assert_int_equal(id_parse("2222", &back), -1);
	assert_int_equal(id_parse("22222222222222", &back), -1);
	assert_int_equal(id_parse("22222 2222222", &back), -1);
}

struct member {
	struct map_link link;
	uint64_t key;
};

static void
map_finds_what_was_added_and_not_what_was_removed(void **state)
{
	static struct member m[1000];
	struct map map = { 0 };
	struct map_link *l;
	size_t i;

	(void)state;
	for (i = 0; i < 1000; i++) {
		m[i].key = i * 7;
		map_add(&map, &m[i].link, hash_u64(m[i].key));
	}
	for (i = 0; i < 1000; i += 2)
		map_remove(&map, &m[i].link);
	assert_int_equal(map.count, 500);
	for (i = 0; i < 1000; i++) {
		for (l = map_first(&map, hash_u64(i * 7)); l != NULL; l = map_next(l))
			if (list_entry(l, struct member, link)->key == i * 7)
				break;
		assert_true((l != NULL) == (i % 2 == 1));
	}
	map_fini(&map);
}

/* Ids of many lives have their low bits in common. */
static void
map_spreads_hashes_that_differ_in_their_upper_bits_alone(void **state)
{
	static struct member m[4096];
	struct map map = { 0 };
	size_t i, longest = 0, n;
	struct map_link *l;

	(void)state;
	for (i = 0; i < 4096; i++)
		map_add(&map, &m[i].link, (uint64_t)i << 40 | 1);
	for (i = 0; i < map.buckets; i++) {
		for (n = 0, l = map.bucket[i]; l != NULL; l = l->next)
			n++;
		longest = n > longest ? n : longest;
	}
	assert_in_range(longest, 1, 20);
	map_fini(&map);
}

static void
buffer_grows_and_drops(void **state)
{
	struct buf b = { 0 };
	int i;

	(void)state;
	for (i = 0; i < 1000; i++)
		buf_printf(&b, "%d,", i);
	assert_true(strncmp(buf_str(&b), "0,1,2,", 6) == 0);
	buf_drop(&b, 4);
	assert_true(strncmp(buf_str(&b), "2,3,", 4) == 0);
	buf_fini(&b);
	buf_add_u32(&b, 0x01020304);
	assert_memory_equal(b.data, "\4\3\2\1", 4);
	buf_fini(&b);
}

static void
arena_keeps_small_and_large_pieces(void **state)
{
	struct arena *a = arena_new(0);
	char *p[300];
	int i;

	(void)state;
	for (i = 0; i < 300; i++) {
		p[i] = arena_alloc(a, (size_t)i * i + 1);
		memset(p[i], i, (size_t)i * i + 1);
	}
	for (i = 0; i < 300; i++)
		assert_true((unsigned char)p[i][i * i] == (unsigned char)i);
	arena_free(&a);
	assert_null(a);
}

static void
numbers_refuse_what_is_not_one(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(str_u64("18446744073709551615", 20, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(str_u64("18446744073709551616", 20, UINT64_MAX, &v), -1);
	assert_int_equal(str_u64("", 0, 9, &v), -1);
	assert_int_equal(str_u64("-1", 2, 9, &v), -1);
	assert_int_equal(str_u64("10", 2, 9, &v), -1);
	assert_int_equal(str_u64("0x1", 3, 9, &v), -1);
}

static void
date_is_rfc5322(void **state)
{
	char d[40];

	(void)state;
	setenv("TZ", "EST5", 1);
	clock_rfc5322(0, d, sizeof d);
	assert_string_equal(d, "Wed, 31 Dec 1969 19:00:00 -0500");
	clock_iso8601(951827696, d, sizeof d);
	assert_string_equal(d, "2000-02-29T12:34:56Z");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c_matches_rfc3720_vectors),
		cmocka_unit_test(id_text_round_trips_and_sorts),
		cmocka_unit_test(map_finds_what_was_added_and_not_what_was_removed),
		cmocka_unit_test(map_spreads_hashes_that_differ_in_their_upper_bits_alone),
		cmocka_unit_test(buffer_grows_and_drops),
		cmocka_unit_test(arena_keeps_small_and_large_pieces),
		cmocka_unit_test(numbers_refuse_what_is_not_one),
		cmocka_unit_test(date_is_rfc5322),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
