/* SPDX-License-Identifier: MIT */
#include "util/json.h"

#include "util/check.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

void
json_init(void)
{
	json_set_alloc_funcs(xmalloc, free);
}

/* The library has its own limit, far deeper than anything said here: refuse before it recurses. */
static bool
too_deep(const char *p, size_t n)
{
	bool quoted = false;
	unsigned depth = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (quoted) {
			if (p[i] == '\\')
				i++;
			else if (p[i] == '"')
				quoted = false;
		} else if (p[i] == '"') {
			quoted = true;
		} else if (p[i] == '{' || p[i] == '[') {
			if (++depth > JSON_LINE_DEPTH)
				return true;
		} else if ((p[i] == '}' || p[i] == ']') && depth > 0) {
			depth--;
		}
	}
	return false;
}

json_t *
json_from_line(const char *p, size_t n, struct err *err)
{
	json_error_t error;
	json_t *value;

	if (too_deep(p, n)) {
		err_set(err, "nested deeper than %d", JSON_LINE_DEPTH);
		return NULL;
	}
	value = json_loadb(p, n, JSON_REJECT_DUPLICATES, &error);
	if (value == NULL) {
		err_set(err, "not JSON: %s at byte %d", error.text, error.position);
		return NULL;
	}
	if (!json_is_object(value)) {
		json_decref(value);
		err_set(err, "not a JSON object");
		return NULL;
	}
	return value;
}

static int
add_part(const char *p, size_t n, void *out)
{
	buf_add(out, p, n);
	return 0;
}

void
json_to_line(const json_t *value, struct buf *out)
{
	check(json_dump_callback(value, add_part, out, JSON_COMPACT | JSON_ENSURE_ASCII | JSON_ENCODE_ANY) == 0);
	buf_addc(out, '\n');
}

/* Length of the UTF-8 character at P (RFC 3629), 0 when there is none. P is terminated. */
static size_t
utf8_length(const unsigned char *p)
{
	size_t n, i;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	n = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	for (i = 1; i < n; i++)
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) || (p[0] == 0xf0 && p[1] < 0x90) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

json_t *
json_peer(const char *s)
{
	struct buf b = { 0 };
	json_t *value;
	size_t n;

	if (s == NULL)
		return json_null();
	for (; *s != '\0'; s += n) {
		n = utf8_length((const unsigned char *)s);
		if (n > 0) {
			buf_add(&b, s, n);
		} else {
			buf_printf(&b, "\\x%02x", (unsigned char)*s);
			n = 1;
		}
	}
	value = json_string(buf_str(&b));
	check(value != NULL);
	buf_fini(&b);
	return value;
}
