/* SPDX-License-Identifier: MIT */
#include "history/block.h"

#include "util/check.h"
#include "util/crc32c.h"
#include "util/str.h"

#include <stdlib.h>
#include <string.h>

enum {
	MAGIC = 0x31486d74, /* "tmH1" */
	KEY_BITS = 10,      /* a key: one wrong yes in a hundred */
	PROBES = 5,
};

/* FNV-1a with a final mix: the same on every machine, for ever. */
static uint64_t
hash(uint8_t type, const unsigned char *p, size_t n, bool fold)
{
	uint64_t h = (0xcbf29ce484222325ull ^ type) * 0x100000001b3ull;
	size_t i;

	for (i = 0; i < n; i++)
		h = (h ^ (unsigned char)(fold ? ascii_lower((char)p[i]) : (char)p[i])) * 0x100000001b3ull;
	h ^= h >> 32;
	h *= 0xd6e8feb86659fd93ull;
	return h ^ h >> 32;
}

static void
put_u32(unsigned char *p, uint32_t n)
{
	int i;

	for (i = 0; i < 4; i++)
		p[i] = (unsigned char)(n >> (8 * i));
}

static uint32_t
get_u32(const unsigned char *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint64_t
get_u64(const unsigned char *p)
{
	return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

uint64_t
history_key_id(uint64_t id)
{
	unsigned char p[8];

	put_u32(p, (uint32_t)id);
	put_u32(p + 4, (uint32_t)(id >> 32));
	return hash(HISTORY_KEY_ID, p, sizeof p, false);
}

uint64_t
history_key_text(enum history_key_type type, const void *p, size_t n)
{
	return hash((uint8_t)type, p, n, true);
}

/* ---- making a block ---- */

void
history_body_add(struct buf *body, const void *event, size_t n)
{
	check(n <= HISTORY_EVENT_MAX);
	buf_addc(body, (char)(unsigned char)n);
	buf_addc(body, (char)(unsigned char)(n >> 8));
	buf_add(body, event, n);
}

static size_t
event_length(const char *p)
{
	return (size_t)(unsigned char)p[0] | (size_t)(unsigned char)p[1] << 8;
}

size_t
history_body_cut(const char *body, size_t n, size_t max)
{
	size_t at = 0, next;

	for (; at < n; at = next) {
		next = at + 2 + event_length(body + at);
		if (next > max && at > 0)
			break;
	}
	return at;
}

static void add_key(struct history_keys *k, uint64_t key);

static void
grow(struct history_keys *k)
{
	struct history_keys old = *k;
	size_t i;

	k->cap = old.cap ? old.cap * 2 : 2048;
	k->key = xcalloc(k->cap, sizeof *k->key);
	k->count = 0;
	for (i = 0; i < old.cap; i++)
		if (old.key[i] != 0)
			add_key(k, old.key[i]);
	free(old.key);
}

/* Each once: a set in a table that is at most half full, 0 is nothing. */
static void
add_key(struct history_keys *k, uint64_t key)
{
	size_t at;

	if (k->count * 2 >= k->cap)
		grow(k);
	key += key == 0;
	for (at = key & (k->cap - 1); k->key[at] != 0; at = (at + 1) & (k->cap - 1))
		if (k->key[at] == key)
			return;
	k->key[at] = key;
	k->count++;
}

static void
add_address(struct history_keys *k, enum history_key_type type, enum history_key_type domain, const char *p, size_t n)
{
	const char *at = memrchr(p, '@', n);

	add_key(k, history_key_text(type, p, n));
	if (at != NULL)
		add_key(k, history_key_text(domain, at + 1, n - (size_t)(at + 1 - p)));
}

/* Only what begins a message can be asked for by address: what follows is found by its id. */
static void
add_keys(struct history_keys *k, const struct history_view *e)
{
	struct history_value v;
	size_t at = 0;

	add_key(k, history_key_id(e->id));
	if (e->kind > HISTORY_ABORTED)
		return;
	while (history_next(e, &at, &v))
		switch (v.field) {
		case HISTORY_FROM:
			add_address(k, HISTORY_KEY_FROM, HISTORY_KEY_FROM_DOMAIN, v.text, v.len);
			break;
		case HISTORY_TO:
			add_address(k, HISTORY_KEY_TO, HISTORY_KEY_TO_DOMAIN, v.text, v.len);
			break;
		case HISTORY_CLIENT:
			add_key(k, history_key_text(HISTORY_KEY_CLIENT, v.text, v.len));
			break;
		}
}

static size_t
filter_bytes(size_t keys)
{
	size_t bytes = (keys * KEY_BITS + 63) / 64 * 8;

	return bytes > HISTORY_FILTER_MAX ? HISTORY_FILTER_MAX : bytes < 8 ? 8 : bytes;
}

static uint64_t
probe(uint64_t key, unsigned i, uint64_t bits)
{
	return (key + i * (key >> 32 | 1)) % bits;
}

static void
fill_filter(unsigned char *filter, size_t bytes, const struct history_keys *k)
{
	uint64_t at;
	size_t i;
	unsigned j;

	for (i = 0; i < k->cap; i++)
		for (j = 0; k->key[i] != 0 && j < PROBES; j++) {
			at = probe(k->key[i], j, bytes * 8);
			filter[at / 8] |= (unsigned char)(1u << at % 8);
		}
}

void
history_block_put(struct buf *out, const char *body, size_t n, struct history_keys *keys)
{
	size_t start = out->len, at = 0, bytes;
	int64_t first = INT64_MAX, last = INT64_MIN;
	struct history_view e;
	unsigned char *p;
	uint32_t events = 0;

	check(n > 0 && n <= HISTORY_BODY_MAX);
	keys->count = 0;
	if (keys->cap > 0)
		memset(keys->key, 0, keys->cap * sizeof *keys->key);
	while (history_body_next(body, n, &at, &e)) {
		events++;
		first = e.when < first ? e.when : first;
		last = e.when > last ? e.when : last;
		add_keys(keys, &e);
	}
	bytes = filter_bytes(keys->count);
	p = (unsigned char *)buf_reserve(out, HISTORY_BLOCK_HEAD + bytes);
	memset(p, 0, HISTORY_BLOCK_HEAD + bytes);
	put_u32(p, MAGIC);
	put_u32(p + 8, crc32c(0, body, n));
	put_u32(p + 12, (uint32_t)n);
	put_u32(p + 16, events);
	put_u32(p + 20, (uint32_t)bytes);
	put_u32(p + 24, (uint32_t)(uint64_t)first);
	put_u32(p + 28, (uint32_t)((uint64_t)first >> 32));
	put_u32(p + 32, (uint32_t)(uint64_t)last);
	put_u32(p + 36, (uint32_t)((uint64_t)last >> 32));
	fill_filter(p + HISTORY_BLOCK_HEAD, bytes, keys);
	put_u32(p + 4, crc32c(0, p + 8, HISTORY_BLOCK_HEAD - 8 + bytes));
	out->len += HISTORY_BLOCK_HEAD + bytes;
	buf_add(out, body, n);
	while ((out->len - start) % HISTORY_BLOCK_ALIGN != 0)
		buf_addc(out, '\0');
}

/* ---- reading one ---- */

int
history_block_head(const void *bytes, size_t n, struct history_block *out)
{
	const unsigned char *p = bytes;

	if (n < HISTORY_BLOCK_HEAD)
		return 0;
	if (get_u32(p) != MAGIC)
		return -1;
	out->body_crc = get_u32(p + 8);
	out->body = get_u32(p + 12);
	out->events = get_u32(p + 16);
	out->filter = get_u32(p + 20);
	out->first = (int64_t)get_u64(p + 24);
	out->last = (int64_t)get_u64(p + 32);
	if (out->body == 0 || out->body > HISTORY_BODY_MAX || out->filter == 0 || out->filter > HISTORY_FILTER_MAX ||
	    out->filter % 8 != 0)
		return -1;
	if (n < history_block_before(out))
		return 0;
	return crc32c(0, p + 8, HISTORY_BLOCK_HEAD - 8 + out->filter) == get_u32(p + 4) ? 1 : -1;
}

size_t
history_block_before(const struct history_block *b)
{
	return HISTORY_BLOCK_HEAD + (size_t)b->filter;
}

size_t
history_block_size(const struct history_block *b)
{
	return (history_block_before(b) + b->body + HISTORY_BLOCK_ALIGN - 1) / HISTORY_BLOCK_ALIGN * HISTORY_BLOCK_ALIGN;
}

bool
history_block_may_have(const struct history_block *b, const void *filter, uint64_t key)
{
	const unsigned char *p = filter;
	uint64_t at;
	unsigned i;

	key += key == 0;
	for (i = 0; i < PROBES; i++) {
		at = probe(key, i, (uint64_t)b->filter * 8);
		if (!(p[at / 8] & 1u << at % 8))
			return false;
	}
	return true;
}

bool
history_block_body_ok(const struct history_block *b, const void *body)
{
	return crc32c(0, body, b->body) == b->body_crc;
}

bool
history_body_next(const void *body, size_t n, size_t *at, struct history_view *out)
{
	const char *p = body;
	size_t len;

	if (n - *at < 2)
		return false;
	len = event_length(p + *at);
	if (len > n - *at - 2 || history_event_read(p + *at + 2, len, out) < 0)
		return false;
	*at += 2 + len;
	return true;
}
