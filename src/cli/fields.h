/* SPDX-License-Identifier: MIT */
/* Fields of results, read without trust: what is missing or of another type is 0, false or NULL. */
#ifndef TMAIL_CLI_FIELDS_H
#define TMAIL_CLI_FIELDS_H

#include "util/json.h"

#include <stdbool.h>
#include <stdint.h>

static inline int64_t
field_number(const json_t *o, const char *name)
{
	return json_integer_value(json_object_get(o, name));
}

static inline const char *
field_text(const json_t *o, const char *name)
{
	return json_string_value(json_object_get(o, name));
}

static inline bool
field_flag(const json_t *o, const char *name)
{
	return json_is_true(json_object_get(o, name));
}

#endif
