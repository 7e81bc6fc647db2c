/* SPDX-License-Identifier: MIT */
/* A history file of any bytes is read to its end: what is whole is seen, nothing else, in bounded time. Then the input
 * as the fields of an event, which goes through a block and comes back the same. */
#include "history/scan.h"
#include "util/buf.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
see(const struct history_view *e, void *arg)
{
	struct history_value v;
	size_t at = 0, n = 0;

	while (history_next(e, &at, &v)) {
		check(v.field >= HISTORY_NUMBERS || v.len <= e->len);
		n += v.len;
	}
	check(n <= e->len && at == e->len);
	++*(unsigned *)arg;
}

static unsigned
scan(const void *p, size_t n)
{
	struct history_scan s = { .dir = -1, .fd = -1 };
	int fd = memfd_create("history", MFD_CLOEXEC);
	unsigned count = 0;

	check(fd >= 0 && write(fd, p, n) == (ssize_t)n);
	history_scan_enter_fd(&s, fd);
	while (history_scan_step(&s, UINT64_MAX, NULL, see, &count))
		;
	history_scan_end(&s);
	return count;
}

static void
through_a_block(const uint8_t *data, size_t size)
{
	struct buf body = { 0 }, block = { 0 };
	struct history_keys keys = { 0 };
	struct history_view e;
	char *copy = xmemdup(data, size);

	if (history_event_read(copy, size, &e) == 0) {
		history_body_add(&body, copy, size);
		history_block_put(&block, body.data, body.len, &keys);
		check(scan(block.data, block.len) == 1);
	}
	free(copy);
	free(keys.key);
	buf_fini(&body);
	buf_fini(&block);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size > 1 << 18)
		return 0;
	scan(data, size);
	through_a_block(data, size);
	return 0;
}
