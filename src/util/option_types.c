/* SPDX-License-Identifier: MIT */
#include "util/arena.h"
#include "util/buf.h"
#include "util/option.h"
#include "util/str.h"
#include "util/suggest.h"

#include <inttypes.h>
#include <string.h>

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit size_unit[] = { { "B", 1 }, { "KB", 1 << 10 }, { "MB", 1 << 20 }, { "GB", 1 << 30 },
	{ "TB", 1ull << 40 }, { NULL, 0 } };
static const struct unit time_unit[] = { { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 }, { "w", 604800 },
	{ NULL, 0 } };
static const struct unit per_unit[] = { { "s", 1 }, { "min", 60 }, { "h", 3600 }, { "d", 86400 }, { "day", 86400 },
	{ "w", 604800 }, { NULL, 0 } };

#define SIZE_UNITS "B, KB, MB, GB or TB"
#define TIME_UNITS "s, min, h, d or w"

static size_t
digits(const char *s)
{
	return strspn(s, "0123456789");
}

static const struct unit *
unit_find(const struct unit *u, const char *name)
{
	for (; u->name != NULL; u++)
		if (strcmp(u->name, name) == 0)
			return u;
	return NULL;
}

/* The unit somebody may have meant: another case, or another name of it. */
static const char *
unit_meant(const struct unit *u, const char *name)
{
	static const struct {
		const char *written, *meant;
	} other[] = { { "sec", "s" }, { "secs", "s" }, { "second", "s" }, { "seconds", "s" }, { "mins", "min" },
		{ "minute", "min" }, { "minutes", "min" }, { "hr", "h" }, { "hrs", "h" }, { "hour", "h" },
		{ "hours", "h" }, { "day", "d" }, { "days", "d" }, { "week", "w" }, { "weeks", "w" }, { "k", "KB" },
		{ "kib", "KB" }, { "m", "MB" }, { "mib", "MB" }, { "g", "GB" }, { "gib", "GB" }, { "t", "TB" },
		{ "tib", "TB" } };
	const struct unit *at;
	size_t i;

	for (at = u; at->name != NULL; at++)
		if (str_ieq(at->name, name))
			return at->name;
	for (i = 0; i < sizeof other / sizeof *other; i++)
		if (str_ieq(other[i].written, name) && unit_find(u, other[i].meant) != NULL)
			return other[i].meant;
	return NULL;
}

/* A whole number directly followed by a unit. KIND and ALLOWED are for messages. */
static int
parse_with_unit(const char *text, const struct unit *u, const char *kind, const char *allowed, uint64_t *out,
    struct err *err)
{
	size_t n = digits(text);
	const char *meant;
	const struct unit *found;
	uint64_t v;

	if (n == 0)
		return err_set(err, "a %s is a whole number with a unit (%s), as in 5%s", kind, allowed, u[1].name);
	if (text[n] == '\0')
		return err_set(err, "the unit is missing: %s, as in %s%s", allowed, text, u[1].name);
	if (u == time_unit && strcmp(text + n, "m") == 0)
		return err_set(
		    err, "'m' is no unit: for minutes write %.*smin; for months write days, as in 30d", (int)n, text);
	found = unit_find(u, text + n);
	if (found == NULL) {
		meant = unit_meant(u, text + n);
		if (meant != NULL)
			return err_set(err, "'%.20s' is no unit, did you mean %.*s%s? Allowed are %s", text + n, (int)n,
			    text, meant, allowed);
		return err_set(err, "'%.20s' is no unit of a %s: %s", text + n, kind, allowed);
	}
	if (str_u64(text, n, UINT64_MAX / found->factor, &v) < 0)
		return err_set(err, "the number is too large");
	*out = v * found->factor;
	return 0;
}

int
option_parse_size(const char *text, uint64_t *bytes, struct err *err)
{
	return parse_with_unit(text, size_unit, "size", SIZE_UNITS, bytes, err);
}

int
option_parse_duration(const char *text, uint32_t *seconds, struct err *err)
{
	uint64_t v;

	if (parse_with_unit(text, time_unit, "duration", TIME_UNITS, &v, err) < 0)
		return -1;
	if (v > UINT32_MAX)
		return err_set(err, "the duration is too long");
	*seconds = (uint32_t)v;
	return 0;
}

/* The largest unit without a remainder. */
static void
print_with_unit(struct buf *b, const struct unit *u, uint64_t v)
{
	const struct unit *best = u;

	for (; u->name != NULL; u++)
		if (v != 0 && v % u->factor == 0)
			best = u;
	buf_printf(b, "%" PRIu64 "%s", v / best->factor, best->name);
}

/* Is V in the row's range? Says the range as it would be written. */
static int
in_range(const struct option *o, uint64_t v, const struct unit *u, struct err *err)
{
	struct buf b = { 0 };

	if ((o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max))
		return 0;
	if (u == NULL) {
		buf_printf(&b, "%" PRIu64 " to %" PRIu64, o->min, o->max);
	} else {
		print_with_unit(&b, u, o->min);
		buf_adds(&b, " to ");
		print_with_unit(&b, u, o->max);
	}
	err_set(err, "allowed are %s", buf_str(&b));
	buf_fini(&b);
	return -1;
}

static int
parse_string(const struct option_input *in, void *out, struct err *err)
{
	if (*in->text == '\0' && !(in->option->flags & OPTION_EMPTY))
		return err_set(err, "the text is empty");
	*(const char **)out = in->text;
	return 0;
}

static void
print_string(struct buf *b, const struct option *o, const void *value)
{
	const char *s = *(const char *const *)value;

	(void)o;
	if (s != NULL)
		buf_adds(b, s);
}

static int
parse_path(const struct option_input *in, void *out, struct err *err)
{
	if (*in->text == '\0')
		return err_set(err, "the path is empty");
	*(const char **)out = conf_path(in->arena, in->place->file, in->text);
	return 0;
}

static int
parse_bool(const struct option_input *in, void *out, struct err *err)
{
	static const char *const no[] = { "no", "false", "off", "0" }, *const yes[] = { "yes", "true", "on", "1" };
	size_t i;

	for (i = 0; i < 4; i++) {
		if (str_ieq(in->text, yes[i]) || str_ieq(in->text, no[i])) {
			*(bool *)out = str_ieq(in->text, yes[i]);
			if (i == 0)
				return 0;
			return err_set(err, "allowed are yes and no, did you mean %s?", *(bool *)out ? "yes" : "no");
		}
	}
	return err_set(err, "allowed are yes and no");
}

static void
print_bool(struct buf *b, const struct option *o, const void *value)
{
	(void)o;
	buf_adds(b, *(const bool *)value ? "yes" : "no");
}

static int
parse_integer(const struct option_input *in, void *out, struct err *err)
{
	uint64_t v;

	if (in->text[digits(in->text)] != '\0' || *in->text == '\0')
		return err_set(err, "a whole number is expected, without a unit");
	if (str_u64(in->text, strlen(in->text), UINT32_MAX, &v) < 0)
		return err_set(err, "the number is too large");
	if (in_range(in->option, v, NULL, err) < 0)
		return -1;
	*(uint32_t *)out = (uint32_t)v;
	return 0;
}

static void
print_integer(struct buf *b, const struct option *o, const void *value)
{
	(void)o;
	buf_printf(b, "%" PRIu32, *(const uint32_t *)value);
}

static int
parse_size(const struct option_input *in, void *out, struct err *err)
{
	if (option_parse_size(in->text, out, err) < 0)
		return -1;
	return in_range(in->option, *(uint64_t *)out, size_unit, err);
}

static void
print_size(struct buf *b, const struct option *o, const void *value)
{
	(void)o;
	print_with_unit(b, size_unit, *(const uint64_t *)value);
}

static int
parse_duration(const struct option_input *in, void *out, struct err *err)
{
	if (option_parse_duration(in->text, out, err) < 0)
		return -1;
	return in_range(in->option, *(uint32_t *)out, time_unit, err);
}

static void
print_duration(struct buf *b, const struct option *o, const void *value)
{
	(void)o;
	print_with_unit(b, time_unit, *(const uint32_t *)value);
}

static int
parse_rate(const struct option_input *in, void *out, struct err *err)
{
	struct option_rate *rate = out;
	size_t n = digits(in->text);
	const struct unit *u;

	if (n == 0 || in->text[n] != '/')
		return err_set(err, "a rate is a number for a span of time, as in 500/day or 30/min");
	u = unit_find(per_unit, in->text + n + 1);
	if (u == NULL && strcmp(in->text + n, "/m") == 0)
		return err_set(err,
		    "'m' is no span: for minutes write %.*s/min; there is none of months, the longest is w", (int)n,
		    in->text);
	if (u == NULL)
		return err_set(
		    err, "'%.20s' is no span of a rate: s, min, h, day or w, as in 500/day", in->text + n + 1);
	if (str_u64(in->text, n, UINT32_MAX, &rate->count) < 0)
		return err_set(err, "the number is too large");
	rate->seconds = (uint32_t)u->factor;
	return in_range(in->option, rate->count, NULL, err);
}

static void
print_rate(struct buf *b, const struct option *o, const void *value)
{
	const struct option_rate *rate = value;
	const struct unit *u = per_unit;

	(void)o;
	while (u->name != NULL && u->factor != rate->seconds)
		u++;
	if (u->name != NULL)
		buf_printf(b, "%" PRIu64 "/%s", rate->count, u->name);
}

static int
parse_byte_rate(const struct option_input *in, void *out, struct err *err)
{
	size_t n = strlen(in->text);

	if (n < 3 || strcmp(in->text + n - 2, "/s") != 0)
		return err_set(err, "a byte rate is a size for each second, as in 100B/s or 4KB/s");
	if (option_parse_size(arena_strndup(in->arena, in->text, n - 2), out, err) < 0)
		return -1;
	return in_range(in->option, *(uint64_t *)out, size_unit, err);
}

static void
print_byte_rate(struct buf *b, const struct option *o, const void *value)
{
	print_size(b, o, value);
	buf_adds(b, "/s");
}

static int
parse_mode(const struct option_input *in, void *out, struct err *err)
{
	size_t n = strlen(in->text), i;
	unsigned v = 0;

	if (n != 4 || in->text[0] != '0' || strspn(in->text, "01234567") != n)
		return err_set(err, "permissions are four octal digits, as in 0660");
	for (i = 0; i < n; i++)
		v = v * 8 + (unsigned)(in->text[i] - '0');
	*(unsigned *)out = v;
	return 0;
}

static void
print_mode(struct buf *b, const struct option *o, const void *value)
{
	(void)o;
	buf_printf(b, "%04o", *(const unsigned *)value);
}

static int
refuse_word(const struct option *o, const char *text, struct err *err)
{
	const struct option_word *w;
	struct buf all = { 0 };
	struct suggest near;

	suggest_init(&near, text);
	for (w = o->words; w->name != NULL; w++) {
		suggest_try(&near, w->name);
		if (!w->later)
			buf_printf(&all, "%s%s", all.len ? ", " : "", w->name);
	}
	err_set(err, "allowed are %s%s%s%s", buf_str(&all), near.best ? "; did you mean " : "",
	    near.best ? near.best : "", near.best ? "?" : "");
	buf_fini(&all);
	return -1;
}

static int
parse_enum(const struct option_input *in, void *out, struct err *err)
{
	const struct option_word *w;

	for (w = in->option->words; w->name != NULL; w++) {
		if (strcmp(w->name, in->text) != 0)
			continue;
		if (w->later)
			return err_set(err, "'%s' is not built yet", w->name);
		*(int *)out = w->value;
		return 0;
	}
	return refuse_word(in->option, in->text, err);
}

static void
print_enum(struct buf *b, const struct option *o, const void *value)
{
	const struct option_word *w;

	for (w = o->words; w->name != NULL; w++)
		if (w->value == *(const int *)value && !w->later) {
			buf_adds(b, w->name);
			return;
		}
}

const struct option_type option_string = { "text", "A bare word, or any text in quotes.", sizeof(char *), parse_string,
	print_string };
const struct option_type option_path = { "path",
	"A file or folder. A relative path starts at the folder of the configuration file it stands in.",
	sizeof(char *), parse_path, print_string };
const struct option_type option_bool = { "yes | no", "One of the words yes and no.", sizeof(bool), parse_bool,
	print_bool };
const struct option_type option_integer = { "number", "A whole number, without a unit.", sizeof(uint32_t),
	parse_integer, print_integer };
const struct option_type option_size = { "size",
	"A whole number directly followed by its unit: B, KB, MB, GB or TB, each 1024 times the one before.",
	sizeof(uint64_t), parse_size, print_size };
const struct option_type option_duration = { "duration",
	"A whole number directly followed by its unit: s, min, h, d or w. A bare m is an error, it could mean months.",
	sizeof(uint32_t), parse_duration, print_duration };
const struct option_type option_rate = { "rate",
	"A whole number, a slash and a span of time: s, min, h, day or w, as in 500/day.", sizeof(struct option_rate),
	parse_rate, print_rate };
const struct option_type option_byte_rate = { "byte rate", "A size for each second, as in 100B/s.", sizeof(uint64_t),
	parse_byte_rate, print_byte_rate };
const struct option_type option_mode = { "permissions", "Four octal digits, as in 0660.", sizeof(unsigned), parse_mode,
	print_mode };
const struct option_type option_enum = { "word", "One of the words listed.", sizeof(int), parse_enum, print_enum };
