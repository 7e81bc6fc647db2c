/* SPDX-License-Identifier: MIT */
#include "history/event.h"

#include "util/check.h"

#include <string.h>

static const struct {
	uint8_t kind;
	const char *name;
} kinds[] = {
	{ HISTORY_RECEIVED, "received" },
	{ HISTORY_RECIPIENTS, "recipients" },
	{ HISTORY_REFUSED, "refused" },
	{ HISTORY_ABORTED, "aborted" },
	{ HISTORY_FILTERED, "filtered" },
	{ HISTORY_COMMITTED, "committed" },
	{ HISTORY_DELIVERED, "delivered" },
	{ HISTORY_DEFERRED, "deferred" },
	{ HISTORY_FAILED, "failed" },
	{ HISTORY_BOUNCED, "bounced" },
	{ HISTORY_WARNED, "delay-warning" },
	{ HISTORY_UNREPORTED, "bounce-dropped" },
	{ HISTORY_DONE, "done" },
	{ HISTORY_REROUTED, "rerouted" },
	{ HISTORY_HELD, "held" },
	{ HISTORY_ADMIN, "admin" },
	{ HISTORY_CONFIRMED, "success-reported" },
};

static const struct {
	uint8_t field;
	const char *name;
} fields[] = {
	{ HISTORY_FROM, "from" },
	{ HISTORY_TO, "to" },
	{ HISTORY_CLIENT, "client" },
	{ HISTORY_HELO, "helo" },
	{ HISTORY_LOGIN, "login" },
	{ HISTORY_TLS, "tls" },
	{ HISTORY_HOP, "hop" },
	{ HISTORY_REPLY, "reply" },
	{ HISTORY_ROUTE, "route" },
	{ HISTORY_REASON, "reason" },
	{ HISTORY_COMMAND, "command" },
	{ HISTORY_FILTER, "filter" },
	{ HISTORY_VERDICT, "verdict" },
	{ HISTORY_DIRECTION, "direction" },
	{ HISTORY_RULE, "rule" },
	{ HISTORY_SIZE, "size" },
	{ HISTORY_RCPTS, "recipients" },
	{ HISTORY_ATTEMPT, "attempt" },
	{ HISTORY_NEXT, "next_attempt" },
	{ HISTORY_REPORT, "report" },
	{ HISTORY_ABOUT, "about" },
	{ HISTORY_UID, "uid" },
	{ HISTORY_AS, "as" },
};

const char *
history_kind_name(uint8_t kind)
{
	size_t i;

	for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].kind == kind)
			return kinds[i].name;
	return NULL;
}

const char *
history_field_name(uint8_t field)
{
	size_t i;

	for (i = 0; i < sizeof fields / sizeof *fields; i++)
		if (fields[i].field == field)
			return fields[i].name;
	return NULL;
}

/* ---- writing ---- */

static void
put_u64(char *p, uint64_t n)
{
	int i;

	for (i = 0; i < 8; i++)
		p[i] = (char)(unsigned char)(n >> (8 * i));
}

static size_t
put_varint(char *p, uint64_t n)
{
	size_t len = 0;

	for (; n >= 0x80; n >>= 7)
		p[len++] = (char)(unsigned char)(n | 0x80);
	p[len++] = (char)(unsigned char)n;
	return len;
}

void
history_event_start(struct history_event *e, enum history_kind kind, uint64_t id, int64_t when)
{
	e->live = true;
	e->data[0] = (char)kind;
	put_u64(e->data + 1, id);
	put_u64(e->data + 9, (uint64_t)when);
	e->len = HISTORY_EVENT_HEAD;
}

bool
history_bytes(struct history_event *e, enum history_field field, const void *p, size_t n)
{
	if (!e->live)
		return true;
	if (n > HISTORY_TEXT_MAX)
		n = HISTORY_TEXT_MAX;
	if (sizeof e->data - e->len < n + 3)
		return false;
	check(field < HISTORY_NUMBERS);
	e->data[e->len++] = (char)field;
	e->len += put_varint(e->data + e->len, n);
	memcpy(e->data + e->len, p, n);
	e->len += n;
	return true;
}

bool
history_str(struct history_event *e, enum history_field field, const char *text)
{
	return !e->live || text == NULL || history_bytes(e, field, text, strlen(text));
}

bool
history_u64(struct history_event *e, enum history_field field, uint64_t number)
{
	if (!e->live)
		return true;
	if (sizeof e->data - e->len < 11)
		return false;
	e->data[e->len++] = (char)(unsigned char)field;
	e->len += put_varint(e->data + e->len, number);
	return true;
}

/* ---- reading ---- */

static uint64_t
get_u64(const char *p)
{
	uint64_t n = 0;
	int i;

	for (i = 7; i >= 0; i--)
		n = n << 8 | (unsigned char)p[i];
	return n;
}

/* -1: it is cut, or too long for 64 bits. */
static int
get_varint(const struct history_view *e, size_t *at, uint64_t *out)
{
	unsigned shift = 0, byte;

	*out = 0;
	do {
		if (*at == e->len || shift > 63)
			return -1;
		byte = (unsigned char)e->fields[(*at)++];
		if (shift == 63 && (byte & 0x7f) > 1)
			return -1;
		*out |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	return 0;
}

static int
get_field(const struct history_view *e, size_t *at, struct history_value *out)
{
	uint64_t n;

	memset(out, 0, sizeof *out);
	out->field = (uint8_t)e->fields[(*at)++];
	if (get_varint(e, at, &n) < 0)
		return -1;
	if (out->field >= HISTORY_NUMBERS) {
		out->number = n;
		return 0;
	}
	if (n > e->len - *at)
		return -1;
	out->text = e->fields + *at;
	out->len = (size_t)n;
	*at += (size_t)n;
	return 0;
}

int
history_event_read(const void *p, size_t n, struct history_view *out)
{
	struct history_value v;
	size_t at = 0;

	if (n < HISTORY_EVENT_HEAD || n > HISTORY_EVENT_MAX)
		return -1;
	out->kind = *(const uint8_t *)p;
	out->id = get_u64((const char *)p + 1);
	out->when = (int64_t)get_u64((const char *)p + 9);
	out->fields = (const char *)p + HISTORY_EVENT_HEAD;
	out->len = n - HISTORY_EVENT_HEAD;
	while (at < out->len)
		if (get_field(out, &at, &v) < 0)
			return -1;
	return 0;
}

bool
history_next(const struct history_view *e, size_t *at, struct history_value *out)
{
	return *at < e->len && get_field(e, at, out) == 0;
}

bool
history_find(const struct history_view *e, enum history_field field, struct history_value *out)
{
	size_t at = 0;

	while (history_next(e, &at, out))
		if (out->field == field)
			return true;
	return false;
}
