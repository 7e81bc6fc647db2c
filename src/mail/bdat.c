/* SPDX-License-Identifier: MIT */
#include "mail/bdat.h"

#include "util/str.h"

#include <string.h>

int
bdat_parse(const char *s, size_t n, struct bdat *out)
{
	size_t digits = 0;

	memset(out, 0, sizeof *out);
	while (digits < n && ascii_is_digit(s[digits]))
		digits++;
	if (digits == 0 || (digits < n && s[digits] != ' ') || str_u64(s, digits, UINT64_MAX, &out->size) != 0)
		return -1;
	out->sized = true;
	if (digits == n)
		return 0;
	while (digits < n && s[digits] == ' ')
		digits++;
	out->last = n - digits == 4 && str_nieq(s + digits, "LAST", 4);
	return out->last ? 0 : -1;
}
