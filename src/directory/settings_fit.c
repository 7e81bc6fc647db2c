/* SPDX-License-Identifier: MIT */
#include "directory/settings_fit.h"
#include "directory/settings.h"
#include "util/buf.h"
#include "util/str.h"

#include <string.h>

/* What pattern_fit() answers: a parent domain its length, which is below 255. */
enum { FIT_DOMAIN = 255, FIT_ADDRESS = 256, FIT_BITS = 9 };

unsigned
pattern_fit(const char *pattern, const char *address)
{
	const char *at = strrchr(address, '@');

	if (*pattern != '@')
		return str_ieq(pattern, address) ? FIT_ADDRESS : 0;
	if (at == NULL)
		return 0;
	if (pattern[1] != '.')
		return str_ieq(at, pattern) ? FIT_DOMAIN : 0;
	return str_ends_nocase(at + 1, pattern + 1) ? (unsigned)strlen(pattern + 1) : 0;
}

static unsigned
best_pattern(const char **pattern, unsigned count, const char *address)
{
	unsigned best = 0, fit, i;

	for (i = 0; i < count; i++) {
		fit = pattern[i] != NULL ? pattern_fit(pattern[i], address) : 0;
		if (fit > best)
			best = fit;
	}
	return best;
}

static bool
names(const char **list, unsigned count, const char *value)
{
	unsigned i;

	for (i = 0; value != NULL && i < count; i++)
		if (strcmp(list[i], value) == 0)
			return true;
	return false;
}

/* From the right: always 1, listener, group, sender (FIT_BITS), login. */
unsigned
route_fit(const struct route_settings *r, const struct route_query *q)
{
	unsigned sender = 0;

	if (r->login_count > 0 && !names(r->login, r->login_count, q->login))
		return 0;
	if (r->group_count > 0 && !names(r->group, r->group_count, q->group))
		return 0;
	if (r->listener_count > 0 && !names(r->listener, r->listener_count, q->listener))
		return 0;
	if (r->sender_count > 0 && (sender = best_pattern(r->sender, r->sender_count, q->sender)) == 0)
		return 0;
	return 1u | (unsigned)(r->listener_count > 0) << 1 | (unsigned)(r->group_count > 0) << 2 | sender << 3 |
	    (unsigned)(r->login_count > 0) << (3 + FIT_BITS);
}

/* As pattern_fit() for "@" and the domain. */
static unsigned
best_of_domains(const struct route_settings *r, const char *recipient)
{
	const char *at = strrchr(recipient, '@');
	unsigned best = 0, fit, i;

	for (i = 0; at != NULL && i < r->domain_count; i++) {
		if (r->domain[i][0] == '.')
			fit = str_ends_nocase(at + 1, r->domain[i]) ? (unsigned)strlen(r->domain[i]) : 0;
		else
			fit = str_ieq(at + 1, r->domain[i]) ? FIT_DOMAIN : 0;
		if (fit > best)
			best = fit;
	}
	return best;
}

unsigned
route_fit_recipient(const struct route_settings *r, const struct route_query *q)
{
	unsigned fit;

	if (strcmp(r->block, "domain") == 0) {
		fit = best_of_domains(r, q->recipient);
		return fit > 0 ? 1 + fit : 0;
	}
	if (r->recipient_count == 0)
		return 1;
	fit = best_pattern(r->recipient, r->recipient_count, q->recipient);
	return fit > 0 ? (1u << FIT_BITS) + fit : 0;
}

/* What of R does not match, or NULL. */
static const char *
mismatch(const struct route_settings *r, const struct route_query *q)
{
	if (route_fit_recipient(r, q) == 0)
		return r->domain_count > 0 ? "the recipient is in none of its domains" : "the recipient does not match";
	if (r->login_count > 0 && !names(r->login, r->login_count, q->login))
		return q->login != NULL ? "the login does not match" : "it is for some logins, and nobody has logged in";
	if (r->sender_count > 0 && best_pattern(r->sender, r->sender_count, q->sender) == 0)
		return "the sender does not match";
	if (r->group_count > 0 && !names(r->group, r->group_count, q->group))
		return q->group != NULL ? "the group does not match" : "it is for some groups, and no group is known";
	if (r->listener_count > 0 && !names(r->listener, r->listener_count, q->listener))
		return q->listener != NULL ? "the listener does not match"
		    : "it is for some listeners, and none is given";
	return NULL;
}

static const char *
how_exactly(unsigned fit)
{
	return fit == FIT_ADDRESS ? "by address" : fit == FIT_DOMAIN ? "by domain" : "by parent domain";
}

/* What R matched by: "recipient by domain, sender by address, group". */
static void
matched_by(const struct route_settings *r, const struct route_query *q, struct buf *out)
{
	unsigned fit;

	if (r->domain_count > 0)
		buf_printf(out, "the recipient's domain is ours (%s)", how_exactly(best_of_domains(r, q->recipient)));
	else if (r->recipient_count > 0)
		buf_printf(out, "it names the recipient %s",
		    how_exactly(best_pattern(r->recipient, r->recipient_count, q->recipient)));
	else
		buf_adds(out, "it is for every recipient that nothing more specific matches");
	if (r->login_count > 0)
		buf_adds(out, ", the login");
	if (r->sender_count > 0) {
		fit = best_pattern(r->sender, r->sender_count, q->sender);
		buf_printf(out, ", the sender %s", how_exactly(fit));
	}
	if (r->group_count > 0)
		buf_adds(out, ", the group");
	if (r->listener_count > 0)
		buf_adds(out, ", the listener");
}

/* Both match: what decided. */
static const char *
decided_by(const struct route_settings *r, const struct route_settings *taken, const struct route_query *q)
{
	unsigned differs;

	if (route_fit_recipient(r, q) != route_fit_recipient(taken, q))
		return "the other names the recipient more exactly";
	differs = route_fit(r, q) ^ route_fit(taken, q);
	if (differs >> (3 + FIT_BITS) != 0)
		return "the other names the login";
	if (differs >> 3 != 0)
		return "the other names the sender more exactly";
	if (differs >> 2 != 0)
		return "the other names the group";
	return differs != 0 ? "the other names the listener" : "the other stands before it";
}

void
settings_route_explain(const struct route_query *q, const struct route_settings *r,
    const struct route_settings *taken, struct buf *out)
{
	const char *why = mismatch(r, q);

	if (why != NULL)
		buf_adds(out, why);
	else if (r == taken || taken == NULL)
		matched_by(r, q, out);
	else
		buf_adds(out, decided_by(r, taken, q));
}
