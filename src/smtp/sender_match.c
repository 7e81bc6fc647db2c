/* SPDX-License-Identifier: MIT */
#include "smtp/sender_match.h"

#include "mail/header.h"
#include "mail/mailbox.h"
#include "directory/settings.h"
#include "smtp/server.h"
#include "smtp/session.h"

static bool
asks(const struct session *s, enum sender_match what)
{
	return s->login != NULL && (s->listener->settings->sender_match & what);
}

bool
sender_match_envelope(const struct session *s, const char *sender)
{
	return !asks(s, SENDER_MATCH_ENVELOPE) || *sender == '\0' ||
	    settings_login_owns(session_settings(s), s->login, sender);
}

bool
sender_match_wants_header(const struct session *s)
{
	return asks(s, SENDER_MATCH_HEADER);
}

/* With two fields or none, programs differ in whom they show. */
const char *
sender_match_header(const struct session *s, const char *header, size_t n)
{
	struct mailbox_scan m;
	struct header_field f;
	unsigned found = 0;
	int rc;

	if (header_count(header, n, "From") != 1 || !header_find(header, n, "From", &f))
		return "the message needs one From field";
	mailbox_scan(&m, f.value, f.value_len);
	while ((rc = mailbox_next(&m)) == 1) {
		if (!settings_login_owns(session_settings(s), s->login, m.address))
			return "the address in From does not belong to your login";
		found++;
	}
	return rc < 0 || found == 0 ? "the From field has no usable address" : NULL;
}
