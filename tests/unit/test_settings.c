/* SPDX-License-Identifier: MIT */
#include "directory/settings.h"
#include "directory/settings_fit.h"
#include "util/buf.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <string.h>
#include <cmocka.h>

/* The smallest useful file. */
#define SMALL \
	"hostname = mx.example.com\n" \
	"listener { address = \":25\" }\n" \
	"domain example.net { next_hop = { \"10.0.0.5\" } }\n"

static struct settings *
parse(const char *text, struct buf *errors)
{
	struct settings *s = NULL;

	errors->len = 0;
	settings_parse(&s, "f", text, strlen(text), errors);
	buf_str(errors);
	return s;
}

static struct settings *
good(const char *text)
{
	struct buf errors = { 0 };
	struct settings *s = parse(text, &errors);

	assert_string_equal(errors.data, "");
	assert_non_null(s);
	buf_fini(&errors);
	return s;
}

static const struct route_settings *
route_of(const struct settings *s, const char *sender, const char *recipient)
{
	struct route_query q = { .sender = sender, .recipient = recipient };

	return settings_route(s, &q);
}

/* The defaults the manual promises. */
static void
smallest_useful_file_has_the_documented_defaults(void **state)
{
	struct settings *s = good(SMALL);
	char text[ADDR_TEXT];

	(void)state;
	assert_string_equal(s->hostname, "mx.example.com");
	assert_int_equal(s->listener_count, 1);
	assert_string_equal(s->listener[0].name, ":25");
	assert_int_equal(s->listener[0].tls, TLS_NONE);
	assert_int_equal(s->listener[0].place.line, 2);
	assert_int_equal(s->route_count, 1);
	assert_string_equal(s->route[0].key, "domain:example.net");
	assert_string_equal(s->route[0].domain[0], "example.net");
	assert_string_equal(addr_text(&s->route[0].hop[0].address, text), "10.0.0.5:25");
	assert_int_equal(s->route[0].hop[0].weight, 1);
	assert_false(s->route[0].hop[0].backup);
	assert_int_equal(s->route[0].balance, BALANCE_FAILOVER);
	assert_int_equal(s->route[0].tls, TLS_OPTIONAL);
	assert_int_equal(s->route[0].connections, 20);
	assert_int_equal(s->relay_from_count, 0);
	assert_true(s->limits.message_size == 50u << 20);
	assert_int_equal(s->limits.recipients, 1000);
	assert_int_equal(s->limits.errors, 100);
	assert_int_equal(s->limits.hops, 100);
	assert_int_equal(s->limits.command_timeout, 300);
	assert_int_equal(s->limits.tasks * s->threads / 1000, 16);
	assert_true(s->threads >= 1);
	assert_int_equal(s->queue.retry_min, 300);
	assert_int_equal(s->queue.retry_max, 4 * 3600);
	assert_int_equal(s->queue.lifetime, 5 * 86400);
	assert_true(s->queue.memory_max == 4u << 20);
	assert_true(s->queue.cache == s->queue.memory_total / 4);
	assert_int_equal(s->delivery.connect_timeout, 30);
	assert_int_equal(s->delivery.command_timeout, 300);
	assert_string_equal(s->log.to, "stderr");
	assert_int_equal(s->log.level, LOG_INFO);
	assert_int_equal(s->admin.mode, 0600);
	assert_string_equal(s->state, TMAIL_STATEDIR);
	assert_string_equal(s->admin.socket, TMAIL_STATEDIR "/admin.sock");
	settings_free(&s);
	assert_null(s);
}

static void
every_built_key_reaches_its_field(void **state)
{
	struct settings *s = good(
	    "hostname = mx.example.com state = /s user = mail threads = 3 relay_from = { 10.0.0.0/8, 2001:db8::/32 }\n"
	    "listener a { address = { \"0.0.0.0:25\", \"[::1]:26\" } tls = required }\n"
	    "listener b { address = \"unix:/x\" tls = implicit }\n"
	    "listener c { address = \"127.0.0.1:27\" }\n"
	    "tls { certificate = { /c.pem, /d.pem } key = { /k.pem, /l.pem } }\n"
	    "limits { sessions = 1 sessions_per_client = 2 tasks = 300 recipients = 4 errors = 5 "
	    "messages_per_session = 6\n"
	    "  hops = 7 message_size = 8MB header_size = 9KB command_timeout = 10s data_timeout = 11min\n"
	    "  message_timeout = 12h min_rate = 13B/s }\n"
	    "admin { socket = /a.sock mode = 0660 } log { to = /l level = debug }\n"
	    "queue { retry = { 1s, 2s } lifetime = 3s bounce_lifetime = 4s warn_after = 5s hold_lifetime = 6s "
	    "min_free = 7MB\n"
	    "  memory_max = 8MB memory_total = 9MB cache = 0B }\n"
	    "delivery { connect_timeout = 1s command_timeout = 2s data_timeout = 3s end_timeout = 4s idle_timeout = "
	    "5s }\n"
	    "domain d { name = { Example.NET, .example.org } recipients = any tls = none connections = 9 balance = "
	    "round-robin\n"
	    "  next_hop = { \"10.0.0.1 weight=3\", \"[2001:db8::1]:2525\", \"unix:/run/x backup weight=2\", "
	    "Mail.Example.NET.:26, mx:Example.NET } }\n"
	    "dns { forward = { 10.0.0.53, \"[::1]:5353\" } trust_anchor = root timeout = 2s }\n"
	    "route r { match { recipient = { \"A@Example.com\", \"@example.com\" } sender = { \"\", \"@.x.example\" "
	    "} }\n"
	    "  tls = required next_hop = \"10.0.0.2:26\" }\n");
	const struct route_settings *d = &s->route[0], *r = &s->route[1];

	(void)state;
	assert_string_equal(s->state, "/s");
	assert_string_equal(s->user, "mail");
	assert_int_equal(s->threads, 3);
	assert_int_equal(s->relay_from_count, 2);
	assert_int_equal(s->relay_from[1].bits, 32);
	assert_int_equal(s->listener_count, 3);
	assert_int_equal(s->listener[0].address_count, 2);
	assert_int_equal(s->listener[0].tls, TLS_REQUIRED);
	assert_int_equal(s->listener[1].tls, TLS_IMPLICIT);
	assert_int_equal(s->listener[2].tls, TLS_OPTIONAL);
	assert_string_equal(s->listener[2].name, "c");
	assert_string_equal(s->tls.certificate[1], "/d.pem");
	assert_string_equal(s->tls.key[1], "/l.pem");
	assert_int_equal(s->limits.sessions, 1);
	assert_int_equal(s->limits.sessions_per_client, 2);
	assert_int_equal(s->limits.tasks, 300);
	assert_int_equal(s->limits.recipients, 4);
	assert_int_equal(s->limits.errors, 5);
	assert_int_equal(s->limits.messages_per_session, 6);
	assert_int_equal(s->limits.hops, 7);
	assert_true(s->limits.message_size == 8u << 20);
	assert_true(s->limits.header_size == 9u << 10);
	assert_int_equal(s->limits.command_timeout, 10);
	assert_int_equal(s->limits.data_timeout, 660);
	assert_int_equal(s->limits.message_timeout, 12 * 3600);
	assert_true(s->limits.min_rate == 13);
	assert_string_equal(s->admin.socket, "/a.sock");
	assert_int_equal(s->admin.mode, 0660);
	assert_string_equal(s->log.to, "/l");
	assert_int_equal(s->log.level, LOG_DEBUG);
	assert_int_equal(s->dns.config.forward_count, 2);
	assert_int_equal(ntohs(s->dns.config.forward[0].u.in.sin_port), 53);
	assert_int_equal(ntohs(s->dns.config.forward[1].u.in6.sin6_port), 5353);
	assert_int_equal(s->dns.config.anchor_count, 2);
	assert_int_equal(s->dns.config.timeout, 2);
	assert_int_equal(d->hop[3].kind, NEXT_HOP_HOST);
	assert_string_equal(d->hop[3].host, "mail.example.net");
	assert_int_equal(d->hop[3].port, 26);
	assert_int_equal(d->hop[4].kind, NEXT_HOP_MX);
	assert_string_equal(d->hop[4].host, "example.net");
	assert_int_equal(d->hop[4].port, 25);
	assert_int_equal(s->queue.retry_min, 1);
	assert_int_equal(s->queue.retry_max, 2);
	assert_int_equal(s->queue.lifetime, 3);
	assert_int_equal(s->queue.bounce_lifetime, 4);
	assert_int_equal(s->queue.warn_after, 5);
	assert_int_equal(s->queue.hold_lifetime, 6);
	assert_true(s->queue.min_free == 7u << 20);
	assert_true(s->queue.memory_max == 8u << 20);
	assert_true(s->queue.memory_total == 9u << 20);
	assert_true(s->queue.cache == 0);
	assert_int_equal(s->delivery.connect_timeout, 1);
	assert_int_equal(s->delivery.command_timeout, 2);
	assert_int_equal(s->delivery.data_timeout, 3);
	assert_int_equal(s->delivery.end_timeout, 4);
	assert_int_equal(s->delivery.idle_timeout, 5);
	assert_int_equal(d->domain_count, 2);
	assert_string_equal(d->domain[0], "example.net");
	assert_string_equal(d->domain[1], ".example.org");
	assert_int_equal(d->hop_count, 5);
	assert_int_equal(d->hop[0].weight, 3);
	assert_int_equal(d->hop[1].weight, 1);
	assert_true(d->hop[2].backup);
	assert_int_equal(d->hop[2].weight, 2);
	assert_int_equal(d->hop[2].address.u.sa.sa_family, AF_UNIX);
	assert_string_equal(d->hop[2].text, "unix:/run/x backup weight=2");
	assert_int_equal(d->balance, BALANCE_ROUND_ROBIN);
	assert_int_equal(d->tls, TLS_NONE);
	assert_int_equal(d->connections, 9);
	assert_string_equal(r->key, "route:r");
	assert_int_equal(r->recipient_count, 2);
	assert_string_equal(r->recipient[0], "a@example.com");
	assert_int_equal(r->sender_count, 2);
	assert_string_equal(r->sender[0], "");
	assert_int_equal(r->tls, TLS_REQUIRED);
	settings_free(&s);
}

static void
demonstration_is_local_and_needs_no_privileges(void **state)
{
	struct settings *s = NULL;
	struct buf errors = { 0 };
	struct addr client;
	char text[ADDR_TEXT];

	(void)state;
	assert_int_equal(settings_load(&s, NULL, &errors), 0);
	assert_string_equal(addr_text(&s->listener[0].address[0], text), "127.0.0.1:2525");
	assert_string_equal(addr_text(&s->route[0].hop[0].address, text), "127.0.0.1:2526");
	assert_non_null(strstr(s->state, "/tmail-state"));
	addr_parse("127.0.0.1:1", 0, &client, NULL);
	assert_true(settings_may_relay(s, &client));
	addr_parse("192.0.2.1:1", 0, &client, NULL);
	assert_false(settings_may_relay(s, &client));
	assert_non_null(route_of(s, "a@b.example", "c@d.example"));
	settings_free(&s);
	buf_fini(&errors);
}

/* What is printed reads back as the same. */
static void
printed_settings_read_back_as_the_same(void **state)
{
	struct settings *s = good(
	    "hostname = mx.example.com state = \"/a dir\" relay_from = { 10.0.0.0/8 }\n"
	    "listener a { address = \":25\" }\n"
	    "domain d { name = example.net next_hop = { \"10.0.0.1 weight=3\", 10.0.0.2 } }\n"
	    "route \"r one\" { match { sender = { \"\", \"we\\\"ird@example.com\" } } next_hop = \"10.0.0.2:26\" }\n");
	struct buf first = { 0 }, second = { 0 };

	(void)state;
	settings_print(s, &first);
	settings_free(&s);
	s = good(buf_str(&first));
	settings_print(s, &second);
	assert_string_equal(first.data, buf_str(&second));
	assert_non_null(strstr(first.data, "sender = { \"\", \"we\\\"ird@example.com\" }"));
	assert_non_null(strstr(first.data, "state = \"/a dir\"\n"));
	settings_free(&s);
	buf_fini(&first);
	buf_fini(&second);
}

/* One error each, at its line, with what is allowed. The text stands behind the smallest file. */
static const struct {
	const char *text;
	const char *error;
} bad[] = {
	{ "hostnme = x", "f:4: 'hostnme' is unknown, did you mean 'hostname'?\n" },
	{ "hostname = y.example", "f:4: 'hostname' is given twice, first at f:1\n" },
	{ "threads = many", "f:4: 'threads = many': a whole number is expected, without a unit\n" },
	{ "threads = 1000", "f:4: 'threads = 1000': allowed are 1 to 64\n" },
	{ "threads = { 1 }", "f:4: 'threads' takes one value, without braces\n" },
	{ "threads { }", "f:4: 'threads' is a key: threads = ...\n" },
	{ "limits = 3", "f:4: 'limits' is a block: limits { ... }, without '='\n" },
	{ "limits x { }", "f:4: limits has no name: limits { ... }\n" },
	{ "limits { } limits { }", "f:4: 'limits' is given twice, first at f:4\n" },
	{ "limits {\n\nmesage_size = 1MB }",
	    "f:6: 'mesage_size' is unknown in limits { }, did you mean 'message_size'?\n" },
	{ "limits { message_size = 25 }",
	    "f:4: 'message_size = 25': the unit is missing: B, KB, MB, GB or TB, as in 25KB\n" },
	{ "limits { message_size = 25M }",
	    "f:4: 'message_size = 25M': 'M' is no unit, did you mean 25MB? Allowed are B, KB, MB, GB or TB\n" },
	{ "limits { message_size = 1B }", "f:4: 'message_size = 1B': allowed are 1KB to 1TB\n" },
	{ "limits { command_timeout = 5m }",
	    "f:4: 'command_timeout = 5m': 'm' is no unit: for minutes write 5min; for months write days, as in 30d\n" },
	{ "limits { command_timeout = 300 }",
	    "f:4: 'command_timeout = 300': the unit is missing: s, min, h, d or w, as in 300min\n" },
	{ "limits { min_rate = 100 }",
	    "f:4: 'min_rate = 100': a byte rate is a size for each second, as in 100B/s or 4KB/s\n" },
	{ "log { level = inof }", "f:4: 'level = inof': allowed are error, warn, info, debug; did you mean info?\n" },
	{ "log { to = \"\" }", "f:4: 'to = \"\"': the path is empty\n" },
	{ "admin { mode = 660 }", "f:4: 'mode = 660': permissions are four octal digits, as in 0660\n" },
	{ "relay_from = { 10.0.0.1/8 }", NULL },
	{ "relay_from = { all }", NULL },
	{ "listener x { address = \"127.0.0.1\" }", NULL },
	{ "listener x { address = \"[::]:25\" }", "f:4: listener: the address [::]:25 is already taken, at f:2\n" },
	{ "listener x { address = { } }", "f:4: 'address = { }': the list is empty\n" },
	{ "listener x { address = \":1\" tls = required }",
	    "f:4: listener: its 'tls' needs a certificate: tls { certificate = /etc/tmail/tls/mx.pem }\n" },
	{ "listener x { address = \":1\" } listener x { address = \":2\" }",
	    "f:4: listener 'x' is given twice, first at f:4\n" },
	{ "listener x { }", "f:4: listener: 'address' is missing, as in \"0.0.0.0:25\", \"[::]:25\"\n" },
	{ "domain { next_hop = 10.0.0.1 }", "f:4: a domain needs a name: domain NAME { ... }\n" },
	{ "domain x { name = { a.example, a.example } next_hop = 10.0.0.1 }",
	    "f:4: domain x: 'a.example' is named twice\n" },
	{ "domain x { name = Example.NET next_hop = 10.0.0.1 }",
	    "f:4: domain x: 'example.net' already belongs to domain example.net of f:3\n" },
	{ "domain \"two words\" { next_hop = 10.0.0.1 }",
	    "f:4: domain two words: the block has no 'name', and 'two words' is none: a domain name is expected, as in "
	    "example.com\n" },
	{ "domain x { name = *.example.org next_hop = 10.0.0.1 }",
	    "f:4: 'name = *.example.org': did you mean .example.org? It means every domain below example.org\n" },
	{ "domain x { name = me@example.org next_hop = 10.0.0.1 }",
	    "f:4: 'name = me@example.org': a domain is expected, did you mean example.org?\n" },
	{ "domain x { name = m\303\274.\303.example next_hop = 10.0.0.1 }",
	    "f:4: 'name = m\303\274.\303.example': IDNA (RFC 5891) allows no such domain name\n" },
	{ "domain x.example { }",
	    "f:4: domain: 'next_hop' is missing, as in \"10.0.0.5:25\", \"10.9.0.5:25 backup\"\n" },
	{ "domain x.example { next_hop = { \"10.0.0.1 backup\" } }",
	    "f:4: domain x.example: every next hop is a backup\n" },
	{ "domain x.example { next_hop = { 10.0.0.1, \"10.0.0.1:25\" } }",
	    "f:4: domain x.example: the next hop '10.0.0.1:25' is named twice\n" },
	{ "route r { next_hop = \"10.0.0.1 bakup\" }",
	    "f:4: 'next_hop = 10.0.0.1 bakup': behind the address, 'backup' and 'weight=N' are allowed; did you "
	    "mean backup?\n" },
	{ "route r { next_hop = \"10.0.0.1 weight=0\" }",
	    "f:4: 'next_hop = 10.0.0.1 weight=0': a weight is a number from 1 to 1000\n" },
	{ "route r { next_hop = :25 }", "f:4: 'next_hop = :25': the address is missing, as in 10.0.0.5:25\n" },
	{ "route r { next_hop = 10.0.0.999 }", NULL },
	{ "route r { next_hop = \"mail.example.net:0\" }",
	    "f:4: 'next_hop = mail.example.net:0': a port is a number from 1 to 65535\n" },
	{ "route r { next_hop = mail..example.net }", NULL },
	{ "route r { next_hop = { mail.example.net, \"MAIL.example.net.:25\" } }",
	    "f:4: route r: the next hop 'MAIL.example.net.:25' is named twice\n" },
	{ "route r { next_hop = lmtp:mx:example.net }",
	    "f:4: 'next_hop = lmtp:mx:example.net': mail exchangers speak SMTP: mx:NAME without lmtp:\n" },
	{ "dns { forward = mail.example.net }", NULL },
	{ "dns { forward = { system, 10.0.0.53 } }", "f:4: dns: 'forward': system and none stand alone\n" },
	{ "dns { trust_anchor = /nowhere/anchor }",
	    "f:4: dns: 'trust_anchor': cannot open /nowhere/anchor: No such file or directory\n" },
	{ "route r { match { recipient = example.com } next_hop = 10.0.0.1 }",
	    "f:4: 'recipient = example.com': an address pattern is expected, did you mean @example.com?\n" },
	{ "route r { match { recipient = \"\" } next_hop = 10.0.0.1 }",
	    "f:4: 'recipient = \"\"': an address pattern is expected: user@example.com, @example.com or "
	    "@.example.com\n" },
	{ "queue { retry = { 1s, 2s, 3s } }",
	    "f:4: queue: 'retry' is one wait or two: the first and the longest, as in { 5min, 4h }\n" },
	{ "queue { retry = { 2h, 1h } }", "f:4: queue: the first wait of 'retry' is longer than the longest\n" },
	{ "queue { memory_max = 1GB }", "f:4: queue: 'memory_max' is larger than 'memory_total'\n" },
	{ "queue { cache = 1GB }", "f:4: queue: 'cache' is larger than 'memory_total'\n" },
	{ "listener x { address = \":1\" client_certificate = optional }",
	    "f:4: listener: without TLS there is no 'client_certificate'\n" },
	{ "tls { certificate = /c } listener x { address = \":1\" client_certificate = required }",
	    "f:4: listener: 'client_certificate = required' needs 'tls = required' or 'tls = implicit'\n" },
	{ "domain v { name = v.example next_hop = \"unix:/x\" tls = verify }",
	    "f:4: domain v: a local socket has no name that 'tls = verify' could verify\n" },
	{ "tls { key = /k }", "f:4: tls: 'key' has to name one file for each of 'certificate'\n" },
};

static void
mistakes_are_told_with_line_and_remedy(void **state)
{
	struct buf errors = { 0 }, text = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof *bad; i++) {
		text.len = 0;
		buf_printf(&text, "%s%s", SMALL, bad[i].text);
		assert_null(parse(buf_str(&text), &errors));
		if (bad[i].error != NULL)
			assert_string_equal(errors.data, bad[i].error);
		assert_int_equal(strncmp(errors.data, "f:", 2), 0);
		assert_ptr_equal(strchr(errors.data, '\n'), errors.data + errors.len - 1);
	}
	buf_fini(&errors);
	buf_fini(&text);
}

/* Words of the language whose time has not come: never "unknown", always this. */
static void
rest_of_the_vocabulary_is_not_built_yet(void **state)
{
	static const char *const later[] = {
		"timezone = Europe/Paris",
		"authserv_id = x",
		"pipeline inbound { run = { spf } }",
		"filter x { module = milter }",
		"policy x { limit y { rate = 1/d } }",
		"destination x { connections = 1 }",
		"alias a@b.example { to = c@d.example }",
		"dkim x.example { selector = s }",
		"test \"x\" { expect = accept }",
		"group x { }",
		"quota x { }",
		"node x { }",
		"admin { http = \":80\" }",
		"listener x { address = \":1\" inbound = y }",
		"listener x { address = \":1\" outbound = y }",
		"domain x.example { next_hop = 10.0.0.1 recipients = \"file:/x\" }",
		"domain x.example { next_hop = 10.0.0.1 pipeline = strict }",
		"domain x { name = \"file:/x\" next_hop = 10.0.0.1 }",
	};
	struct buf errors = { 0 }, text = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof later / sizeof *later; i++) {
		text.len = 0;
		buf_printf(&text, "%s%s", SMALL, later[i]);
		assert_null(parse(buf_str(&text), &errors));
		assert_int_equal(strncmp(errors.data, "f:4: ", 5), 0);
		assert_non_null(strstr(errors.data, "not built yet"));
		assert_ptr_equal(strchr(errors.data, '\n'), errors.data + errors.len - 1);
	}
	buf_fini(&errors);
	buf_fini(&text);
}

static void
all_errors_of_a_file_are_told_at_once(void **state)
{
	struct buf errors = { 0 };

	(void)state;
	assert_null(parse(
	    "threads = x\nlistener { address = 1 }\nfoo = 1\nlog { level = x }\nqueue { retry = 1 }\n}", &errors));
	assert_non_null(strstr(errors.data, "f:1: "));
	assert_non_null(strstr(errors.data, "f:2: "));
	assert_non_null(strstr(errors.data, "f:3: "));
	assert_non_null(strstr(errors.data, "f:4: "));
	assert_non_null(strstr(errors.data, "f:5: "));
	assert_non_null(strstr(errors.data, "f:6: "));
	assert_null(parse("", &errors));
	assert_non_null(strstr(errors.data, "f: 'hostname' is missing, as in mx.example.com\n"));
	assert_non_null(strstr(errors.data, "f: a 'listener { }' is missing\n"));
	assert_non_null(strstr(errors.data, "f: no mail would be accepted: a domain is missing"));
	buf_fini(&errors);
}

/* What the tables find is what a look at every route finds. */
static const struct route_settings *
route_by_hand(const struct settings *s, const struct route_query *q)
{
	const struct route_settings *found = NULL;
	uint64_t best = 0, fit;
	unsigned i;

	for (i = 0; i < s->route_count; i++) {
		if (route_fit(&s->route[i], q) == 0 || route_fit_recipient(&s->route[i], q) == 0)
			continue;
		fit = (uint64_t)route_fit_recipient(&s->route[i], q) << 32 | route_fit(&s->route[i], q);
		if (fit > best) {
			best = fit;
			found = &s->route[i];
		}
	}
	return found;
}

/* Login, sender, group, listener: in this order, whatever the order of the file. */
static void
routes_match_login_group_and_listener(void **state)
{
	static const char text[] =
	    "hostname = h.example listener mx { address = \":25\" } listener sub { address = \":2587\" }\n"
	    "domain ours.example { next_hop = 10.0.0.1 }\n"
	    "route any      { next_hop = 10.0.0.1 }\n"
	    "route sub      { match { listener = sub } next_hop = 10.0.0.1 }\n"
	    "route bulk     { match { group = { bulk, \"mass mail\" } } next_hop = 10.0.0.1 }\n"
	    "route parent   { match { sender = \"@.a.example\" } next_hop = 10.0.0.1 }\n"
	    "route dom      { match { sender = \"@b.a.example\" } next_hop = 10.0.0.1 }\n"
	    "route user     { match { sender = \"x@b.a.example\" } next_hop = 10.0.0.1 }\n"
	    "route joe      { match { login = joe } next_hop = 10.0.0.1 }\n"
	    "route joesub   { match { login = joe listener = sub } next_hop = 10.0.0.1 }\n"
	    "route to       { match { recipient = \"@t.example\" group = bulk } next_hop = 10.0.0.1 }\n";
	static const struct {
		const char *sender, *recipient, *login, *group, *listener, *key;
	} row[] = {
		{ "q@z.example", "r@y.example", NULL, NULL, "mx", "route:any" },
		{ "q@z.example", "r@y.example", NULL, NULL, NULL, "route:any" },
		{ "q@z.example", "r@y.example", NULL, NULL, "sub", "route:sub" },
		{ "q@z.example", "r@y.example", NULL, "bulk", "sub", "route:bulk" },
		{ "q@z.example", "r@y.example", NULL, "mass mail", "mx", "route:bulk" },
		{ "q@z.example", "r@y.example", NULL, "office", "mx", "route:any" },
		{ "q@b.a.example", "r@y.example", NULL, "bulk", "sub", "route:dom" },
		{ "q@c.a.example", "r@y.example", NULL, "bulk", "sub", "route:parent" },
		{ "X@b.a.example", "r@y.example", NULL, "bulk", "sub", "route:user" },
		{ "x@b.a.example", "r@y.example", "joe", "bulk", "mx", "route:joe" },
		{ "x@b.a.example", "r@y.example", "joe", "bulk", "sub", "route:joesub" },
		{ "x@b.a.example", "r@y.example", "Joe", "bulk", "sub", "route:user" },
		{ "q@z.example", "r@t.example", NULL, NULL, "mx", "route:any" },
		{ "x@b.a.example", "r@t.example", "joe", "bulk", "sub", "route:to" },
		{ "x@b.a.example", "r@ours.example", "joe", "bulk", "sub", "domain:ours.example" },
	};
	struct settings *s = good(text);
	struct route_query q;
	size_t i;

	(void)state;
	assert_true(s->routes_by_listener);
	for (i = 0; i < sizeof row / sizeof *row; i++) {
		q = (struct route_query){ row[i].sender, row[i].recipient, row[i].login, row[i].group, row[i].listener };
		assert_non_null(settings_route(s, &q));
		assert_string_equal(settings_route(s, &q)->key, row[i].key);
		assert_ptr_equal(settings_route(s, &q), route_by_hand(s, &q));
	}
	settings_free(&s);
}

static void
why_a_route_was_not_taken_is_told(void **state)
{
	static const char text[] =
	    "hostname = h.example listener mx { address = \":25\" }\n"
	    "domain ours.example { next_hop = 10.0.0.1 }\n"
	    "route any   { next_hop = 10.0.0.1 }\n"
	    "route more  { next_hop = 10.0.0.1 }\n"
	    "route bulk  { match { group = bulk } next_hop = 10.0.0.1 }\n"
	    "route news  { match { sender = \"@news.example\" } next_hop = 10.0.0.1 }\n"
	    "route other { match { recipient = \"@b.example\" } next_hop = 10.0.0.1 }\n";
	static const char *const why[] = {
		"the recipient is in none of its domains",
		"the other names the sender more exactly",
		"the other names the sender more exactly",
		"it is for some groups, and no group is known",
		"it is for every recipient that nothing more specific matches, the sender by domain",
		"the recipient does not match",
	};
	struct settings *s = good(text);
	struct route_query q = { .sender = "a@news.example", .recipient = "x@a.example" };
	struct buf out = { 0 };
	unsigned i;

	(void)state;
	for (i = 0; i < s->route_count; i++) {
		out.len = 0;
		settings_route_explain(&q, &s->route[i], settings_route(s, &q), &out);
		assert_string_equal(buf_str(&out), why[i]);
	}
	out.len = 0;
	q.sender = "a@else.example";
	settings_route_explain(&q, &s->route[2], settings_route(s, &q), &out);
	assert_string_equal(buf_str(&out), "the other stands before it");
	buf_fini(&out);
	settings_free(&s);
}

static const char *
client_at(const struct settings *s, const char *text)
{
	const struct client_settings *c;
	struct addr a;

	assert_int_equal(addr_parse(text, 25, &a, NULL), 0);
	c = settings_client(s, &a);
	assert_int_equal(settings_may_relay(s, &a), c != NULL);
	return c != NULL ? c->name : "";
}

static void
clients_are_known_by_the_longest_prefix(void **state)
{
	static const char text[] = SMALL
	    "client isp   { network = { 198.51.0.0/16, \"2001:db8::/32\" } group = office }\n"
	    "client acme  { network = { 198.51.100.16/29, \"2001:db8:7::/48\" } sender = { \"@acme.example\", "
	    "\"@.acme.example\" } group = bulk }\n"
	    "client one   { network = { 198.51.100.18, \"2001:db8:7::1\" } }\n";
	struct settings *s = good(text);
	struct addr a;

	(void)state;
	assert_string_equal(client_at(s, "198.51.100.16:1"), "acme");
	assert_string_equal(client_at(s, "198.51.100.23:1"), "acme");
	assert_string_equal(client_at(s, "198.51.100.24:1"), "isp");
	assert_string_equal(client_at(s, "198.51.100.15:1"), "isp");
	assert_string_equal(client_at(s, "198.51.100.18:1"), "one");
	assert_string_equal(client_at(s, "198.52.100.18:1"), "");
	assert_string_equal(client_at(s, "[2001:db8:8::1]:1"), "isp");
	assert_string_equal(client_at(s, "[2001:db8:7::2]:1"), "acme");
	assert_string_equal(client_at(s, "[2001:db8:7::1]:1"), "one");
	assert_string_equal(client_at(s, "[2001:db9::1]:1"), "");
	assert_true(client_may_send(&s->client[0], "x@else.example"));
	assert_true(client_may_send(&s->client[1], "x@ACME.example"));
	assert_true(client_may_send(&s->client[1], "x@sub.acme.example"));
	assert_true(client_may_send(&s->client[1], ""));
	assert_false(client_may_send(&s->client[1], "x@notacme.example"));
	assert_false(client_may_send(&s->client[1], "x@else.example"));
	addr_parse("198.51.100.20:1", 0, &a, NULL);
	assert_string_equal(settings_group(s, NULL, &a), "bulk");
	assert_null(settings_group(s, "joe", &a)); /* who logs in is not the network */
	assert_null(settings_group(s, NULL, NULL));
	settings_free(&s);
}

static void
what_clients_and_routes_name_has_to_be_there_and_once(void **state)
{
	struct buf errors = { 0 };

	(void)state;
	assert_null(parse(SMALL "client a { network = 10.0.0.0/8 }\nclient b { network = { 10.1.0.0/16, 10.0.0.0/8 } }\n",
	    &errors));
	assert_string_equal(errors.data,
	    "f:5: client b: the network 10.0.0.0/8 already belongs to client a of f:4\n");
	assert_null(parse(SMALL "route r { match { listener = smpt } next_hop = 10.0.0.1 }\n", &errors));
	assert_string_equal(errors.data, "f:4: route r: there is no listener 'smpt'\n");
	assert_null(parse(SMALL "client a { group = x }\n", &errors));
	assert_non_null(strstr(errors.data, "'network' is missing"));
	buf_fini(&errors);
}

static void
most_specific_route_counts(void **state)
{
	static const char text[] =
	    "hostname = h.example listener { address = \":25\" }\n"
	    "route any      { next_hop = 10.0.0.1 }\n"
	    "route below    { match { recipient = \"@.example.com\" } next_hop = 10.0.0.1 }\n"
	    "route deeper   { match { recipient = \"@.b.example.com\" } next_hop = 10.0.0.1 }\n"
	    "route exactly  { match { recipient = \"@example.com\" } next_hop = 10.0.0.1 }\n"
	    "route late     { match { recipient = \"@example.com\" } next_hop = 10.0.0.1 }\n"
	    "route user     { match { recipient = \"joe@example.com\" } next_hop = 10.0.0.1 }\n"
	    "route ours     { match { recipient = \"vip@ours.example\" } next_hop = 10.0.0.1 }\n"
	    "route bysender { match { recipient = \"@example.com\" sender = \"@partner.example\" } next_hop = "
	    "10.0.0.1 }\n"
	    "route nulls    { match { sender = \"\" } next_hop = 10.0.0.1 }\n"
	    "route bulk     { match { sender = { \"@.news.example\", \"list@news.example\" } } next_hop = 10.0.0.1 }\n"
	    "domain ours    { name = { ours.example, .ours.example } next_hop = 10.0.0.1 }\n"
	    "domain sub     { name = special.ours.example next_hop = 10.0.0.1 }\n";
	static const struct {
		const char *sender, *recipient, *key;
	} row[] = {
		{ "a@b.example", "x@other.example", "route:any" },
		{ "a@b.example", "x@example.com", "route:exactly" },
		{ "a@b.example", "X@EXAMPLE.COM", "route:exactly" },
		{ "a@b.example", "x@a.example.com", "route:below" },
		{ "a@b.example", "x@b.example.com", "route:below" },
		{ "a@b.example", "x@a.b.example.com", "route:deeper" },
		{ "a@b.example", "x@c.a.b.example.com", "route:deeper" },
		{ "a@b.example", "Joe@example.com", "route:user" },
		{ "a@partner.example", "joe@example.com", "route:user" },
		{ "a@partner.example", "x@example.com", "route:bysender" },
		{ "a@sub.partner.example", "x@example.com", "route:exactly" },
		{ "a@b.example", "x@ours.example", "domain:ours" },
		{ "a@b.example", "x@any.ours.example", "domain:ours" },
		{ "a@b.example", "x@special.ours.example", "domain:sub" },
		{ "a@b.example", "x@below.special.ours.example", "domain:ours" },
		{ "a@b.example", "x@yours.example", "route:any" },
		{ "a@b.example", "vip@ours.example", "route:ours" },
		{ "", "x@other.example", "route:nulls" },
		{ "", "x@example.com", "route:exactly" },
		{ "list@news.example", "x@other.example", "route:bulk" },
		{ "other@news.example", "x@other.example", "route:any" },
		{ "a@b.news.example", "x@other.example", "route:bulk" },
		{ "a@b.example", "postmaster", "route:any" },
		{ "a@b.example", "x@", "route:any" },
		{ "a@b.example", "\"a@example.com\"@other.example", "route:any" },
		{ "a@b.example", "x@.", "route:any" },
		{ "a@b.example", "x@...example.com", "route:below" },
	};
	struct settings *s = good(text);
	const struct route_settings *r;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof row / sizeof *row; i++) {
		r = route_of(s, row[i].sender, row[i].recipient);
		assert_non_null(r);
		assert_string_equal(r->key, row[i].key);
		assert_ptr_equal(settings_route_by_key(s, r->key), r);
		if (strcmp(row[i].recipient, "x@...example.com") != 0)
			assert_ptr_equal(r, route_by_hand(s,
			    &(struct route_query){ .sender = row[i].sender, .recipient = row[i].recipient }));
	}
	assert_null(settings_route_by_key(s, "route:gone"));
	assert_null(settings_route_by_key(s, "domain:any"));
	assert_true(settings_is_ours(s, "OURS.example"));
	assert_true(settings_is_ours(s, "a.b.ours.example"));
	assert_false(settings_is_ours(s, "yours.example"));
	assert_false(settings_is_ours(s, "example.com"));
	assert_false(settings_is_ours(s, ""));
	settings_free(&s);
}

/* No open relay by any default. */
static void
without_a_matching_route_there_is_none(void **state)
{
	struct settings *s = good(SMALL);
	struct addr client;

	(void)state;
	assert_null(route_of(s, "a@b.example", "x@elsewhere.example"));
	assert_null(route_of(s, "a@b.example", "x@sub.example.net"));
	assert_null(route_of(s, "a@b.example", "x"));
	addr_parse("127.0.0.1:1", 0, &client, NULL);
	assert_false(settings_may_relay(s, &client));
	settings_free(&s);
}

/* Each domain is a queue of its own where a route delivers by MX; what was queued finds its way back. */
static void
keys_name_the_domain_where_a_route_delivers_by_mx(void **state)
{
	struct settings *s = good(SMALL "route \"r@x\" { match { recipient = \"@named.example\" } next_hop = 10.0.0.1 }\n"
	    "route default { }\n");
	const struct route_settings *named = route_of(s, "", "a@named.example");
	const struct route_settings *by_mx = route_of(s, "", "a@Other.Example");
	char key[SETTINGS_KEY_TEXT];

	(void)state;
	assert_string_equal(settings_key(named, "a@named.example", key), "route:r@x");
	assert_null(settings_key_domain(named, key));
	assert_ptr_equal(settings_route_by_key(s, "route:r@x"), named);
	assert_string_equal(settings_key(by_mx, "a@b@Other.Example", key), "route:default@other.example");
	assert_string_equal(settings_key_domain(by_mx, key), "other.example");
	assert_ptr_equal(settings_route_by_key(s, key), by_mx);
	assert_string_equal(settings_key(by_mx, "a@[192.0.2.1]", key), "route:default@[192.0.2.1]");
	assert_null(settings_route_by_key(s, "route:default"));
	assert_null(settings_route_by_key(s, "route:r@x@other.example"));
	assert_null(settings_route_by_key(s, "route:gone@other.example"));
	settings_free(&s);
}

/* As people write them in the file, and as they come in addresses: either way the same. */
static void
international_domains_are_the_same_in_both_spellings(void **state)
{
	struct settings *s = good(SMALL "domain m\303\274ller.example { next_hop = { b\303\274ro.example, "
	    "\"mx:b\303\234ro.example:26\" } }\n"
	    "route r { match { recipient = { \"@.xn--bro-hoa.example\" } sender = \"@m\303\274ller.example\" } "
	    "next_hop = 10.0.0.1 }\nroute default { }\n");
	const struct route_settings *r;
	char key[SETTINGS_KEY_TEXT];

	(void)state;
	assert_true(settings_is_ours(s, "xn--mller-kva.example"));
	assert_true(settings_is_ours(s, "M\303\234LLER.example"));
	assert_false(settings_is_ours(s, "m\303ller.example"));
	r = route_of(s, "", "us\303\251r@m\303\274ller.example");
	assert_string_equal(r->domain[0], "xn--mller-kva.example");
	assert_string_equal(r->hop[0].host, "xn--bro-hoa.example");
	assert_string_equal(r->hop[1].host, "xn--bro-hoa.example");
	r = route_of(s, "a@xn--mller-kva.example", "x@a.b\303\274ro.example");
	assert_string_equal(r->key, "route:r");
	r = route_of(s, "", "x@\346\227\245\346\234\254.example");
	assert_string_equal(settings_key(r, "x@\346\227\245\346\234\254.example", key), "route:default@xn--wgv71a.example");
	settings_free(&s);
}

static void
name_servers_of_the_system_are_read(void **state)
{
	char path[] = "/tmp/tmail-resolv-XXXXXX";
	const char text[] = "# nameserver 10.0.0.1\nsearch example.net\nnameserver 192.0.2.53\nnameserver\t2001:db8::53 \n"
	    "nameserver ::1\nnameserver fe80::1%eth0\nnameserver\nnameserver nonsense\nnameserver 192.0.2.54";
	struct settings *s;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	close(fd);
	setenv("TMAIL_TEST_RESOLV_CONF", path, 1);
	s = good(SMALL);
	assert_int_equal(s->dns.config.forward_count, 4);
	assert_int_equal(s->dns.config.forward[0].u.in.sin_addr.s_addr, htonl(0xc0000235));
	assert_int_equal(ntohs(s->dns.config.forward[1].u.in6.sin6_port), 53);
	assert_int_equal(s->dns.config.forward[1].u.in6.sin6_addr.s6_addr[15], 0x53);
	assert_int_equal(s->dns.config.forward[2].u.in6.sin6_addr.s6_addr[15], 1);
	assert_int_equal(s->dns.config.anchor_count, 0);
	settings_free(&s);
	unlink(path);
	s = good(SMALL);
	assert_int_equal(s->dns.config.forward_count + s->dns.config.anchor_count, 0);
	settings_free(&s);
	unsetenv("TMAIL_TEST_RESOLV_CONF");
	s = good(SMALL "dns { forward = none }\n");
	assert_int_equal(s->dns.config.forward_count, 0);
	assert_int_equal(s->dns.config.anchor_count, 2);
	settings_free(&s);
}

static void
many_domains_load_quickly(void **state)
{
	struct settings *s;
	struct buf b = { 0 };
	int i;

	(void)state;
	buf_adds(&b, SMALL);
	for (i = 0; i < 20000; i++)
		buf_printf(&b,
		    "domain d%d.example { next_hop = 10.0.0.1 }\nlistener l%d { address = \"10.%d.%d.1:25\" }\n", i, i,
		    i / 256, i % 256);
	s = good(buf_str(&b));
	assert_int_equal(s->route_count, 20001);
	assert_string_equal(route_of(s, "", "x@d19999.example")->key, "domain:d19999.example");
	settings_free(&s);
	buf_fini(&b);
}

/* The folder conf/ of the source; `make check` says where that is. */
static void
example_files_load(void **state)
{
	const char *srcdir = getenv("srcdir");
	struct buf pattern = { 0 }, errors = { 0 };
	struct settings *s;
	size_t i;
	glob_t g;

	(void)state;
	buf_printf(&pattern, "%s/conf/*.conf*", srcdir ? srcdir : ".");
	assert_int_equal(glob(buf_str(&pattern), 0, NULL, &g), 0);
	assert_true(g.gl_pathc >= 4);
	for (i = 0; i < g.gl_pathc; i++) {
		settings_load(&s, g.gl_pathv[i], &errors);
		assert_string_equal(buf_str(&errors), "");
		settings_free(&s);
	}
	globfree(&g);
	buf_fini(&pattern);
	buf_fini(&errors);
}

/* Removing the # before any statement of the sample must not lead into an error. */
static void
sample_is_right_line_by_line(void **state)
{
	struct buf sample = { 0 }, text = { 0 };
	struct settings *s;
	char *line;

	(void)state;
	settings_sample(&sample);
	for (line = strtok(buf_str(&sample), "\n"); line != NULL; line = strtok(NULL, "\n")) {
		line += strspn(line, "\t");
		if (line[0] == '#' && line[1] != ' ')
			buf_printf(&text, "%s\n", line + 1);
	}
	s = good(buf_str(&text));
	assert_int_equal(s->route_count, 2);
	assert_non_null(s->tls.key);
	settings_free(&s);
	buf_fini(&sample);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(smallest_useful_file_has_the_documented_defaults),
		cmocka_unit_test(every_built_key_reaches_its_field),
		cmocka_unit_test(demonstration_is_local_and_needs_no_privileges),
		cmocka_unit_test(printed_settings_read_back_as_the_same),
		cmocka_unit_test(mistakes_are_told_with_line_and_remedy),
		cmocka_unit_test(rest_of_the_vocabulary_is_not_built_yet),
		cmocka_unit_test(all_errors_of_a_file_are_told_at_once),
		cmocka_unit_test(most_specific_route_counts),
		cmocka_unit_test(routes_match_login_group_and_listener),
		cmocka_unit_test(why_a_route_was_not_taken_is_told),
		cmocka_unit_test(clients_are_known_by_the_longest_prefix),
		cmocka_unit_test(what_clients_and_routes_name_has_to_be_there_and_once),
		cmocka_unit_test(without_a_matching_route_there_is_none),
		cmocka_unit_test(keys_name_the_domain_where_a_route_delivers_by_mx),
		cmocka_unit_test(international_domains_are_the_same_in_both_spellings),
		cmocka_unit_test(name_servers_of_the_system_are_read),
		cmocka_unit_test(many_domains_load_quickly),
		cmocka_unit_test(example_files_load),
		cmocka_unit_test(sample_is_right_line_by_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
