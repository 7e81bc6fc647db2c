/* SPDX-License-Identifier: MIT */
#include "util/clock.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t wall_offset;
static pthread_once_t offset_once = PTHREAD_ONCE_INIT;

static void
read_offset(void)
{
	const char *s = getenv("TMAIL_TEST_CLOCK_OFFSET");

	wall_offset = s != NULL ? strtoll(s, NULL, 10) : 0;
}

uint64_t
clock_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000u + (uint64_t)t.tv_nsec / 1000u;
}

uint64_t
clock_ms(void)
{
	return clock_us() / 1000u;
}

int64_t
clock_wall(void)
{
	pthread_once(&offset_once, read_offset);
	return (int64_t)time(NULL) + wall_offset;
}

int64_t
clock_wall_ms(void)
{
	struct timespec t;

	pthread_once(&offset_once, read_offset);
	clock_gettime(CLOCK_REALTIME, &t);
	return ((int64_t)t.tv_sec + wall_offset) * 1000 + t.tv_nsec / 1000000;
}

/* Month and day names are the protocol's, not the locale's. */
void
clock_rfc5322(int64_t wall, char *out, size_t size)
{
	static const char day[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char month[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov",
		"Dec" };
	time_t t = (time_t)wall;
	struct tm tm;
	long off;

	localtime_r(&t, &tm);
	off = tm.tm_gmtoff / 60;
	snprintf(out, size, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld", day[tm.tm_wday], tm.tm_mday, month[tm.tm_mon],
	    tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, off < 0 ? '-' : '+', labs(off) / 60, labs(off) % 60);
}

void
clock_iso8601(int64_t wall, char *out, size_t size)
{
	time_t t = (time_t)wall;
	struct tm tm;

	gmtime_r(&t, &tm);
	snprintf(out, size, "%04d-%02d-%02dT%02d:%02d:%02dZ", tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour,
	    tm.tm_min, tm.tm_sec);
}
