/* SPDX-License-Identifier: MIT */
#include "mail/idn.h"

#include <idn2.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

bool
idn_needed(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s > 127)
			return true;
	return false;
}

const char *
idn_ascii(const char *text, char *out)
{
	const char *at = strrchr(text, '@'), *domain = at != NULL ? at + 1 : text;
	char *ascii = NULL;
	int n = -1;

	if (!idn_needed(domain))
		return text;
	domain += *domain == '.';
	if (idn2_to_ascii_8z(domain, &ascii, IDN2_NONTRANSITIONAL | IDN2_NFC_INPUT) == IDN2_OK)
		n = snprintf(out, IDN_TEXT, "%.*s%s", (int)(domain - text), text, ascii);
	idn2_free(ascii);
	return n >= 0 && n < IDN_TEXT ? out : NULL;
}
