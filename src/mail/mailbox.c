/* SPDX-License-Identifier: MIT */
#include "mail/mailbox.h"

#include <string.h>

/* What was collected of one address or of the name before it. */
struct words {
	size_t len;
	bool too_long;
	bool gap;    /* white space was passed over since the last piece */
	bool phrase; /* two words with nothing but space between: a name, no address */
};

void
mailbox_scan(struct mailbox_scan *m, const char *value, size_t n)
{
	m->at = value;
	m->end = value + n;
	m->address[0] = '\0';
}

static void
put(struct mailbox_scan *m, struct words *w, char c)
{
	if (w->len + 1 < MAILBOX_MAX)
		m->address[w->len++] = c;
	else
		w->too_long = true;
}

static bool
joins(char c)
{
	return c == '.' || c == '@';
}

/* A piece begins with C: did another end before it, and only space came between? */
static void
begin_piece(const struct mailbox_scan *m, struct words *w, char c)
{
	if (w->gap && w->len > 0 && !joins(c) && !joins(m->address[w->len - 1]))
		w->phrase = true;
	w->gap = false;
}

/* Comments nest and may quote. */
static int
skip_comment(struct mailbox_scan *m)
{
	unsigned depth = 0;

	for (; m->at < m->end; m->at++) {
		if (*m->at == '\\')
			m->at++;
		else if (*m->at == '(')
			depth++;
		else if (*m->at == ')' && --depth == 0) {
			m->at++;
			return 0;
		}
	}
	m->at = m->end;
	return -1;
}

/* A quoted string or a domain literal, taken as it is. */
static int
take_quoted(struct mailbox_scan *m, struct words *w, char close)
{
	put(m, w, *m->at++);
	for (; m->at < m->end; m->at++) {
		put(m, w, *m->at);
		if (*m->at == close) {
			m->at++;
			return 0;
		}
		if (*m->at == '\\' && m->at + 1 < m->end)
			put(m, w, *++m->at);
	}
	return -1;
}

/* Collects up to a character of STOP, which is left, or the end. */
static int
collect(struct mailbox_scan *m, struct words *w, const char *stop)
{
	memset(w, 0, sizeof *w);
	while (m->at < m->end && (*m->at == '\0' || strchr(stop, *m->at) == NULL)) {
		if (strchr(" \t\r\n", *m->at) != NULL && *m->at != '\0') {
			w->gap = true;
			m->at++;
			continue;
		}
		if (*m->at == '(') {
			w->gap = true;
			if (skip_comment(m) < 0)
				return -1;
			continue;
		}
		begin_piece(m, w, *m->at);
		if (*m->at == '"' || *m->at == '[') {
			if (take_quoted(m, w, *m->at == '"' ? '"' : ']') < 0)
				return -1;
			continue;
		}
		if (*m->at == '\0' || *m->at == ')' || *m->at == '>')
			return -1;
		put(m, w, *m->at++);
	}
	m->address[w->len] = '\0';
	return 0;
}

static int
is_address(const struct mailbox_scan *m, const struct words *w)
{
	const char *at = strrchr(m->address, '@');

	return !w->phrase && !w->too_long && at != NULL && at != m->address && at[1] != '\0' ? 1 : -1;
}

/* "<" [ "@a,@b:" ] addr-spec ">", then nothing up to the next comma. */
static int
take_angle(struct mailbox_scan *m)
{
	struct mailbox_scan rest;
	struct words w;

	m->at++;
	if (collect(m, &w, m->at < m->end && *m->at == '@' ? ":>" : ">") < 0)
		return -1;
	if (m->at < m->end && *m->at == ':') {
		m->at++;
		if (collect(m, &w, ">") < 0)
			return -1;
	}
	if (m->at == m->end || is_address(m, &w) < 0)
		return -1;
	m->at++;
	rest = *m;
	if (collect(&rest, &w, ",;") < 0 || w.len > 0)
		return -1;
	m->at = rest.at;
	return 1;
}

int
mailbox_next(struct mailbox_scan *m)
{
	struct words w;

	while (m->at < m->end) {
		if (collect(m, &w, ",;:<") < 0)
			return -1;
		if (m->at < m->end && *m->at == '<')
			return take_angle(m);
		if (m->at < m->end && *m->at == ':') {
			m->at++; /* what was collected is the name of a group */
			continue;
		}
		if (m->at < m->end)
			m->at++;
		if (w.len > 0)
			return is_address(m, &w);
	}
	return 0;
}
