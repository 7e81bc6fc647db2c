/* SPDX-License-Identifier: MIT */
#include "spool/record.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/check.h"

#include <string.h>

enum { FORMAT = 1 };

static struct cursor
cursor(const void *p, size_t len)
{
	struct cursor c = { .at = p, .end = (const unsigned char *)p + len };

	return c;
}

static const unsigned char *
take(struct cursor *c, size_t n)
{
	const unsigned char *p = c->at;

	if (c->bad || (size_t)(c->end - p) < n) {
		c->bad = true;
		return NULL;
	}
	c->at += n;
	return p;
}

static uint64_t
take_number(struct cursor *c, unsigned bytes)
{
	const unsigned char *p = take(c, bytes);
	uint64_t v = 0;
	unsigned i;

	for (i = 0; p != NULL && i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

/* Text with a 16-bit length before it; 0xffff stands for NULL. */
enum { NO_TEXT = 0xffff };

static void
put_text(struct buf *b, const char *s, size_t max)
{
	size_t n;

	if (s == NULL) {
		buf_add_u16(b, NO_TEXT);
		return;
	}
	n = strnlen(s, max);
	buf_add_u16(b, (uint16_t)n);
	buf_add(b, s, n);
}

static const char *
take_text(struct cursor *c, size_t *len)
{
	uint16_t n = (uint16_t)take_number(c, 2);

	*len = 0;
	if (c->bad || n == NO_TEXT)
		return NULL;
	*len = n;
	return (const char *)take(c, n);
}

/* What a peer said may go to a terminal or into a report: no line ends, no NUL. */
static void
put_clean(struct buf *b, const char *s)
{
	size_t start, i;

	start = b->len + 2;
	put_text(b, s, RECORD_REPLY_MAX);
	for (i = start; i < b->len; i++)
		if ((unsigned char)b->data[i] < 0x20 || b->data[i] == 0x7f)
			b->data[i] = ' ';
}

static char *
copy_text(struct cursor *c, struct arena *arena)
{
	size_t n;
	const char *s = take_text(c, &n);

	return s != NULL ? arena_strndup(arena, s, n) : NULL;
}

static void
put_head(struct buf *b, uint64_t id)
{
	buf_add_u8(b, FORMAT);
	buf_add_u64(b, id);
}

static uint64_t
take_head(struct cursor *c)
{
	if (take_number(c, 1) != FORMAT)
		c->bad = true;
	return take_number(c, 8);
}

enum { TEXT_MAX = 60000 }; /* addresses and the like: far above what SMTP lets through */

/* What few messages have stands behind the recipients, each as a letter and a text. Unknown letters are skipped, so
 * that an older version reads what a newer one wrote. */
enum { MORE_LOGIN = 'u', MORE_LISTENER = 'l' };

static void
put_more(struct buf *b, char what, const char *text)
{
	if (text == NULL)
		return;
	buf_add_u8(b, (uint8_t)what);
	put_text(b, text, TEXT_MAX);
}

static int
load_more(struct message *m, struct cursor *c)
{
	const char *text;
	uint8_t what;

	while (!c->bad && c->at < c->end) {
		what = (uint8_t)take_number(c, 1);
		text = copy_text(c, m->arena);
		if (what == MORE_LOGIN)
			m->login = text;
		else if (what == MORE_LISTENER)
			m->listener = text;
	}
	return c->bad ? -1 : 0;
}

static void
put_envelope(struct buf *b, const struct message *m)
{
	const struct recipient *r;
	uint32_t i;

	put_text(b, m->sender, TEXT_MAX);
	put_text(b, m->envid, TEXT_MAX);
	buf_add_u8(b, (uint8_t)m->ret);
	put_text(b, m->client, TEXT_MAX);
	put_text(b, m->helo, TEXT_MAX);
	buf_add_u32(b, m->rcpt_count);
	for (i = 0; i < m->rcpt_count; i++) {
		r = &m->rcpt[i];
		buf_add_u16(b, r->group);
		buf_add_u8(b, r->notify);
		put_text(b, r->address, TEXT_MAX);
		put_text(b, r->orcpt, TEXT_MAX);
	}
	put_more(b, MORE_LOGIN, m->login);
	put_more(b, MORE_LISTENER, m->listener);
}

static void
put_groups(struct buf *head, const struct message *m)
{
	uint32_t i, *rcpts, few[8] = { 0 };
	struct arena *arena = NULL;

	rcpts = few;
	if (m->group_count > 8) {
		arena = arena_new(m->group_count * sizeof *rcpts);
		rcpts = arena_zalloc(arena, m->group_count * sizeof *rcpts);
	}
	for (i = 0; i < m->rcpt_count; i++) {
		check(m->rcpt[i].group < m->group_count);
		rcpts[m->rcpt[i].group]++;
	}
	buf_add_u32(head, m->group_count);
	for (i = 0; i < m->group_count; i++) {
		buf_add_u32(head, rcpts[i]);
		put_text(head, m->group[i], RECORD_KEY_MAX);
	}
	arena_free(&arena);
}

void
record_put_message(struct buf *head, struct buf *envelope, const struct message *m)
{
	size_t before = envelope->len;

	put_envelope(envelope, m);
	put_head(head, m->id);
	buf_add_u64(head, (uint64_t)m->received);
	buf_add_u32(head, m->flags);
	buf_add_u64(head, m->size);
	buf_add_u32(head, (uint32_t)(envelope->len - before));
	put_text(head, m->blob[0] != '\0' ? m->blob : NULL, sizeof m->blob - 1);
	if (m->blob[0] != '\0') {
		buf_add_u64(head, m->blob_len);
		buf_add_u32(head, m->blob_crc);
	}
	put_groups(head, m);
}

int
record_get_message(const void *head, size_t len, struct message_head *out)
{
	struct cursor c = cursor(head, len);
	const char *blob;
	size_t n;

	memset(out, 0, sizeof *out);
	out->id = take_head(&c);
	out->received = (int64_t)take_number(&c, 8);
	out->flags = (uint32_t)take_number(&c, 4);
	out->size = take_number(&c, 8);
	out->envelope_len = (uint32_t)take_number(&c, 4);
	blob = take_text(&c, &n);
	if (blob != NULL) {
		if (n == 0 || n >= sizeof out->blob || memchr(blob, '\0', n) != NULL)
			return -1;
		memcpy(out->blob, blob, n);
		out->blob_len = take_number(&c, 8);
		out->blob_crc = (uint32_t)take_number(&c, 4);
	}
	out->group_count = (uint32_t)take_number(&c, 4);
	out->groups = c;
	return c.bad || out->group_count > UINT16_MAX || out->blob_len > out->size ? -1 : 0;
}

int
message_head_group(struct message_head *h, const char **key, size_t *key_len, uint32_t *rcpts)
{
	*rcpts = (uint32_t)take_number(&h->groups, 4);
	*key = take_text(&h->groups, key_len);
	return h->groups.bad || *key == NULL || memchr(*key, '\0', *key_len) != NULL ? -1 : 0;
}

static int
load_groups(struct message *m, struct message_head *h)
{
	const char *key;
	uint32_t rcpts, i;
	size_t n;

	m->group = arena_alloc(m->arena, (h->group_count ? h->group_count : 1) * sizeof *m->group);
	for (i = 0; i < h->group_count; i++) {
		if (message_head_group(h, &key, &n, &rcpts) < 0)
			return -1;
		m->group[i] = arena_strndup(m->arena, key, n);
	}
	m->group_count = h->group_count;
	return 0;
}

static int
load_envelope(struct message *m, struct cursor *c)
{
	struct recipient *r;
	uint32_t i, count;

	m->sender = copy_text(c, m->arena);
	m->envid = copy_text(c, m->arena);
	m->ret = (char)take_number(c, 1);
	m->client = copy_text(c, m->arena);
	m->helo = copy_text(c, m->arena);
	count = (uint32_t)take_number(c, 4);
	/* A recipient takes seven bytes at least: so much room is never asked for in vain. */
	if (c->bad || m->sender == NULL || count > (size_t)(c->end - c->at) / 7)
		return -1;
	m->rcpt = arena_zalloc(m->arena, (count ? count : 1) * sizeof *m->rcpt);
	m->rcpt_count = count;
	for (i = 0; i < count; i++) {
		r = &m->rcpt[i];
		r->group = (uint16_t)take_number(c, 2);
		r->notify = (uint8_t)take_number(c, 1);
		r->address = copy_text(c, m->arena);
		r->orcpt = copy_text(c, m->arena);
		if (c->bad || r->address == NULL || r->group >= m->group_count)
			return -1;
	}
	return load_more(m, c);
}

int
record_load_message(const void *head, size_t head_len, const void *body, size_t len, struct message **out,
    struct err *err)
{
	struct message_head h;
	struct arena *arena;
	struct message *m;
	struct cursor c;

	if (record_get_message(head, head_len, &h) < 0 || h.envelope_len > len)
		return err_set(err, "the message's record is damaged");
	arena = arena_new(1024 + h.envelope_len + h.envelope_len / 2);
	m = message_new(h.id, &arena);
	m->received = h.received;
	m->flags = h.flags;
	memcpy(m->blob, h.blob, sizeof m->blob);
	m->blob_len = h.blob_len;
	m->blob_crc = h.blob_crc;
	c = cursor(body, h.envelope_len);
	if (load_groups(m, &h) < 0 || load_envelope(m, &c) < 0 || len - h.envelope_len != h.size - h.blob_len) {
		message_unref(&m);
		return err_set(err, "the message's envelope is damaged");
	}
	message_append(m, (const char *)body + h.envelope_len, len - h.envelope_len);
	m->size = h.size;
	*out = m;
	return 0;
}

void
record_put_state(struct buf *head, const struct state_head *s)
{
	put_head(head, s->id);
	buf_add_u16(head, s->group);
	buf_add_u8(head, s->state);
	buf_add_u8(head, s->flags);
	buf_add_u16(head, s->attempts);
	buf_add_u64(head, (uint64_t)s->next_attempt);
	if (s->flags & STATE_REKEYED)
		put_text(head, s->key, RECORD_KEY_MAX);
	put_clean(head, s->reason);
}

int
record_get_state(const void *head, size_t len, struct state_head *out)
{
	struct cursor c = cursor(head, len);

	memset(out, 0, sizeof *out);
	out->id = take_head(&c);
	out->group = (uint16_t)take_number(&c, 2);
	out->state = (uint8_t)take_number(&c, 1);
	out->flags = (uint8_t)take_number(&c, 1);
	out->attempts = (uint16_t)take_number(&c, 2);
	out->next_attempt = (int64_t)take_number(&c, 8);
	if (out->flags & STATE_REKEYED) {
		out->key = take_text(&c, &out->key_len);
		if (out->key == NULL || memchr(out->key, '\0', out->key_len) != NULL)
			return -1;
	}
	out->reason = take_text(&c, &out->reason_len);
	return c.bad || (out->state != ENTRY_DUE && out->state != ENTRY_DEFERRED && out->state != ENTRY_HELD) ? -1 : 0;
}

void
record_put_rcpts_head(struct buf *head, const struct rcpts_head *h)
{
	put_head(head, h->id);
	buf_add_u16(head, h->group);
	buf_add_u32(head, h->pending);
}

int
record_get_rcpts_head(const void *head, size_t len, struct rcpts_head *out)
{
	struct cursor c = cursor(head, len);

	out->id = take_head(&c);
	out->group = (uint16_t)take_number(&c, 2);
	out->pending = (uint32_t)take_number(&c, 4);
	return c.bad ? -1 : 0;
}

void
record_put_rcpts(struct buf *body, const struct rcpt_state *rcpt, size_t count, const char *peer)
{
	size_t i;

	buf_add_u8(body, FORMAT);
	put_clean(body, peer);
	buf_add_u32(body, (uint32_t)count);
	for (i = 0; i < count; i++) {
		buf_add_u32(body, rcpt[i].index);
		buf_add_u8(body, (uint8_t)rcpt[i].status);
		put_clean(body, rcpt[i].reply);
	}
}

int
record_get_rcpts(const void *body, size_t len, struct arena *arena, struct rcpt_state **rcpt, size_t *count,
    const char **peer)
{
	struct cursor c = cursor(body, len);
	uint32_t n, i;
	unsigned status;

	if (take_number(&c, 1) != FORMAT)
		return -1;
	*peer = copy_text(&c, arena);
	n = (uint32_t)take_number(&c, 4);
	if (c.bad || n > (size_t)(c.end - c.at) / 7)
		return -1;
	*rcpt = arena_alloc(arena, (n ? n : 1) * sizeof **rcpt);
	*count = n;
	for (i = 0; i < n; i++) {
		(*rcpt)[i].index = (uint32_t)take_number(&c, 4);
		status = (unsigned)take_number(&c, 1);
		(*rcpt)[i].reply = copy_text(&c, arena);
		if (c.bad || status > RCPT_FAILED || (i > 0 && (*rcpt)[i].index <= (*rcpt)[i - 1].index))
			return -1;
		(*rcpt)[i].status = (enum rcpt_status)status;
	}
	return 0;
}

void
record_put_done(struct buf *head, const struct done_head *d)
{
	put_head(head, d->id);
	buf_add_u16(head, d->group);
}

int
record_get_done(const void *head, size_t len, struct done_head *out)
{
	struct cursor c = cursor(head, len);

	out->id = take_head(&c);
	out->group = (uint16_t)take_number(&c, 2);
	return c.bad ? -1 : 0;
}

void
record_put_probe(struct buf *head)
{
	put_head(head, 0);
}
