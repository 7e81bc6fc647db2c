/* SPDX-License-Identifier: MIT */
/* Does a route fit a recipient, and how exactly: the rules settings_route() chooses by, apart from its tables. */
#ifndef TMAIL_DIRECTORY_SETTINGS_FIT_H
#define TMAIL_DIRECTORY_SETTINGS_FIT_H

struct route_query;
struct route_settings;

/* How exactly PATTERN ("user@dom", "@dom", "@.dom"; "" is the null sender) names ADDRESS. 0: not at all. An exact
 * address is more than its domain, that more than a parent domain, of these the longer is more. */
unsigned pattern_fit(const char *pattern, const char *address);

/* All that R names beside recipients, weighed: login, sender, group, listener. 0: something does not match. */
unsigned route_fit(const struct route_settings *r, const struct route_query *q);

/* The same for the recipient. 0: R is not for it. A domain block stands between routes that name recipients and
 * routes that name none. */
unsigned route_fit_recipient(const struct route_settings *r, const struct route_query *q);

#endif
