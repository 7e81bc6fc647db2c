/* SPDX-License-Identifier: MIT */
/* The spool's records: the first byte chooses the type, the next two the head's length, the rest is head and body.
 * What decodes is encoded again and decodes to the same. */
#include "spool/record.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
walk_groups(const char *head, size_t len)
{
	struct message_head h;
	const char *key;
	size_t n, total = 0;
	uint32_t rcpts, i;

	if (record_get_message(head, len, &h) < 0)
		return;
	check(memchr(h.blob, '\0', sizeof h.blob) != NULL && h.blob_len <= h.size);
	for (i = 0; i < h.group_count && message_head_group(&h, &key, &n, &rcpts) == 0; i++)
		total += n + (n > 0 ? (unsigned char)key[n - 1] & 1 : 0);
	check(total <= 2 * len);
}

static void
same_text(const char *a, const char *b)
{
	check((a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0));
}

static void
try_message(const char *head, size_t head_len, const char *body, size_t len)
{
	struct buf h = { 0 }, b = { 0 };
	struct message *m, *again;
	struct chunk *c;
	struct err err;
	uint32_t i;

	walk_groups(head, head_len);
	if (record_load_message(head, head_len, body, len, &m, &err) < 0)
		return;
	record_put_message(&h, &b, m);
	for (c = m->first; c != NULL; c = c->next)
		buf_add(&b, c->data, c->len);
	check(record_load_message(h.data, h.len, b.data, b.len, &again, &err) == 0);
	check(again->id == m->id && again->size == m->size && again->rcpt_count == m->rcpt_count &&
	    again->group_count == m->group_count && again->blob_len == m->blob_len);
	same_text(again->sender, m->sender);
	same_text(again->envid, m->envid);
	same_text(again->helo, m->helo);
	same_text(again->login, m->login);
	for (i = 0; i < m->rcpt_count; i++) {
		same_text(again->rcpt[i].address, m->rcpt[i].address);
		same_text(again->rcpt[i].orcpt, m->rcpt[i].orcpt);
		check(again->rcpt[i].group == m->rcpt[i].group);
	}
	message_unref(&m);
	message_unref(&again);
	buf_fini(&h);
	buf_fini(&b);
}

static void
try_state(const char *head, size_t len)
{
	struct state_head s, again;
	struct buf b = { 0 };
	char *key, *reason;

	if (record_get_state(head, len, &s) < 0)
		return;
	key = s.key != NULL ? xstrndup(s.key, s.key_len) : NULL;
	reason = s.reason != NULL ? xstrndup(s.reason, s.reason_len) : NULL;
	s.key = key;
	s.reason = reason;
	record_put_state(&b, &s);
	check(record_get_state(b.data, b.len, &again) == 0);
	check(again.id == s.id && again.group == s.group && again.state == s.state && again.flags == s.flags &&
	    again.attempts == s.attempts && again.next_attempt == s.next_attempt);
	buf_fini(&b);
	free(key);
	free(reason);
}

static void
try_rcpts(const char *head, size_t head_len, const char *body, size_t len)
{
	struct arena *a = arena_new(0);
	struct rcpt_state *rcpt, *again;
	struct rcpts_head h;
	struct buf b = { 0 };
	const char *peer;
	size_t n, m, i;

	record_get_rcpts_head(head, head_len, &h);
	if (record_get_rcpts(body, len, a, &rcpt, &n, &peer) == 0) {
		record_put_rcpts(&b, rcpt, n, peer);
		check(record_get_rcpts(b.data, b.len, a, &again, &m, &peer) == 0 && m == n);
		for (i = 0; i < n; i++) {
			check(again[i].index == rcpt[i].index && again[i].status == rcpt[i].status);
			check((again[i].reply == NULL) == (rcpt[i].reply == NULL));
			check(again[i].reply == NULL || strpbrk(again[i].reply, "\r\n\t\x7f") == NULL);
		}
	}
	buf_fini(&b);
	arena_free(&a);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct done_head d;
	size_t head_len;
	char *head, *body;

	if (size < 3)
		return 0;
	head_len = (size_t)data[1] | (size_t)data[2] << 8;
	if (head_len > size - 3)
		head_len = size - 3;
	/* Each in memory of its own, so that a step outside is seen. */
	head = xmemdup(data + 3, head_len);
	body = xmemdup(data + 3 + head_len, size - 3 - head_len);
	switch (data[0] % 4) {
	case 0:
		try_message(head, head_len, body, size - 3 - head_len);
		break;
	case 1:
		try_state(head, head_len);
		break;
	case 2:
		try_rcpts(head, head_len, body, size - 3 - head_len);
		break;
	case 3:
		record_get_done(head, head_len, &d);
		break;
	}
	free(head);
	free(body);
	return 0;
}
