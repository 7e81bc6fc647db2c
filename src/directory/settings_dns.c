/* SPDX-License-Identifier: MIT */
#include "directory/settings_dns.h"

#include "directory/settings.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/file.h"
#include "util/str.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(offsetof(struct dns_settings, place) == offsetof(struct option_head, place) &&
    offsetof(struct dns_settings, block) == offsetof(struct option_head, block) &&
    offsetof(struct dns_settings, name) == offsetof(struct option_head, name), "dns_settings begins with an option_head");

enum { ANCHORS_MAX = 64 * 1024, RESOLV_CONF_MAX = 64 * 1024, SYSTEM_SERVERS_MAX = 8 };

/* TMAIL_TEST_RESOLV_CONF stands in for it in tests. */
static const char resolv_conf[] = "/etc/resolv.conf";

/* The key signing keys of the root, of 2017 and 2024, as IANA publishes them. */
static const char *const root_anchors[] = {
	". IN DS 20326 8 2 E06D44B80B8F1D39A95C0B0D7C65D08458E880409BBC683457104237C7F8EC8D",
	". IN DS 38696 8 2 683D2D0ACB8C9B712A1948B27F741219298D0A450D612C483AF444A4C0FB2B16",
};

/* An address without a port, in IPv6 without brackets; not a link-local one. */
static int
parse_bare(const char *text, struct arena *arena, struct addr *out)
{
	struct err err;

	return addr_parse(strchr(text, ':') != NULL ? arena_printf(arena, "[%s]", text) : text, 53, out, &err);
}

static int
parse_server(const struct option_input *in, void *out, struct err *err)
{
	struct name_server *s = out;

	if (strcmp(in->text, "system") == 0)
		s->kind = SERVER_SYSTEM;
	else if (strcmp(in->text, "none") == 0)
		s->kind = SERVER_NONE;
	else if (*in->text == ':' || str_starts(in->text, "unix:"))
		return err_set(err, "a name server is an address, as in 192.0.2.53 or 127.0.0.1:5353");
	else
		return addr_parse(in->text, 53, &s->address, err);
	return 0;
}

static void
print_server(struct buf *b, const struct option *o, const void *value)
{
	const struct name_server *s = value;
	char text[ADDR_TEXT];

	(void)o;
	buf_adds(b, s->kind == SERVER_SYSTEM ? "system" : s->kind == SERVER_NONE ? "none" : addr_text(&s->address, text));
}

static const struct option_type type_server = { "name server",
	"A numeric address, with its port if it is not 53; or the word system or none.", sizeof(struct name_server),
	parse_server, print_server };

static int
parse_anchor(const struct option_input *in, void *out, struct err *err)
{
	if (strcmp(in->text, "none") != 0 && strcmp(in->text, "root") != 0)
		return option_path.parse(in, out, err);
	*(const char **)out = in->text;
	return 0;
}

static void
print_anchor(struct buf *b, const struct option *o, const void *value)
{
	option_path.print(b, o, value);
}

static const struct option_type type_anchor = { "none | root | path", "The word none or root, or a path.", sizeof(char *),
	parse_anchor, print_anchor };

#define DNS(field) .offset = offsetof(struct dns_settings, field)

const struct option settings_dns_options[] = {
	{ .name = "forward", .type = &type_server, .flags = OPTION_LIST, DNS(forward),
	  .count_offset = offsetof(struct dns_settings, forward_count), .fallback = "system",
	  .help = "The name servers that are asked, numeric addresses with their port if it is not 53. system: those of "
		  "/etc/resolv.conf. none: no such server; tmail asks the authoritative ones, from the root on." },
	{ .name = "trust_anchor", .type = &type_anchor, DNS(trust_anchor),
	  .fallback_help = "root with forward = none, else none", .example = "root",
	  .help = "What DNSSEC begins from. none: nothing is validated. root: the keys of the root zone. A path: a file "
		  "with DS or DNSKEY records, one a line. Where anything but none is set, the servers in forward have to "
		  "pass signatures on, and what does not verify is treated as not resolvable now." },
	{ .name = "timeout", .type = &option_duration, DNS(timeout), .min = 1, .max = 300, .fallback = "10s",
	  .help = "How long the answer to one question is waited for." },
	{ 0 },
};

static void
add_anchor(struct dns_config *config, const char *record, struct arena *arena)
{
	const char **more = arena_alloc(arena, (config->anchor_count + 1) * sizeof *more);

	if (config->anchor_count > 0)
		memcpy(more, config->anchor, config->anchor_count * sizeof *more);
	more[config->anchor_count++] = record;
	config->anchor = more;
}

/* One record a line, comments aside; the resolver says what it cannot read. */
static void
read_anchors(struct dns_settings *d, const struct option_context *c)
{
	struct buf text = { 0 };
	char *line, *rest;
	struct err err;

	if (file_read(d->trust_anchor, ANCHORS_MAX, &text, &err) < 0) {
		conf_error(c->errors, &d->place, "dns: 'trust_anchor': %s", err.text);
		buf_fini(&text);
		return;
	}
	for (line = strtok_r(buf_str(&text), "\r\n", &rest); line != NULL; line = strtok_r(NULL, "\r\n", &rest)) {
		line[strcspn(line, ";")] = '\0';
		if (line[strspn(line, " \t")] != '\0')
			add_anchor(&d->config, arena_strdup(c->arena, line), c->arena);
	}
	buf_fini(&text);
	if (d->config.anchor_count == 0)
		conf_error(c->errors, &d->place, "dns: 'trust_anchor': no DS or DNSKEY record in %s", d->trust_anchor);
	else if (dns_check(&d->config, &err) < 0)
		conf_error(c->errors, &d->place, "dns: 'trust_anchor': %s: %s", d->trust_anchor, err.text);
}

/* The servers of resolv.conf(5), read here with all privileges: it may be a link to where the worker cannot go. Without
 * it, or a server in it, the authoritative servers are asked. */
static void
add_system_servers(struct dns_config *config, struct arena *arena)
{
	const char *path = getenv("TMAIL_TEST_RESOLV_CONF");
	struct addr *forward = arena_zalloc(arena, SYSTEM_SERVERS_MAX * sizeof *forward);
	char *line, *rest, *word, *more;
	struct buf text = { 0 };
	struct err err;

	config->forward = forward;
	if (file_read(path != NULL ? path : resolv_conf, RESOLV_CONF_MAX, &text, &err) < 0) {
		buf_fini(&text);
		return;
	}
	for (line = strtok_r(buf_str(&text), "\r\n", &rest); line != NULL; line = strtok_r(NULL, "\r\n", &rest)) {
		word = strtok_r(line, " \t", &more);
		if (word == NULL || strcmp(word, "nameserver") != 0 || config->forward_count == SYSTEM_SERVERS_MAX)
			continue;
		word = strtok_r(NULL, " \t", &more);
		if (word != NULL && parse_bare(word, arena, &forward[config->forward_count]) == 0)
			config->forward_count++;
	}
	buf_fini(&text);
}

static void
settle_servers(struct dns_settings *d, const struct option_context *c)
{
	struct addr *forward = arena_zalloc(c->arena, d->forward_count * sizeof *forward);

	for (unsigned i = 0; i < d->forward_count; i++) {
		const struct name_server *s = &d->forward[i];

		if (s->kind != SERVER_ADDRESS && d->forward_count > 1) {
			conf_error(c->errors, &d->place, "dns: 'forward': system and none stand alone");
			return;
		}
		if (s->kind == SERVER_SYSTEM) {
			add_system_servers(&d->config, c->arena);
			return;
		}
		if (s->kind == SERVER_ADDRESS)
			forward[d->config.forward_count++] = s->address;
	}
	d->config.forward = forward;
}

void
settings_dns_settle(struct dns_settings *d, const struct option_context *c)
{
	const char *anchor = d->trust_anchor;

	d->config.timeout = d->timeout;
	settle_servers(d, c);
	if (anchor == NULL)
		anchor = d->forward_count == 1 && d->forward[0].kind == SERVER_NONE ? "root" : "none";
	if (strcmp(anchor, "root") == 0)
		for (size_t i = 0; i < sizeof root_anchors / sizeof *root_anchors; i++)
			add_anchor(&d->config, root_anchors[i], c->arena);
	else if (strcmp(anchor, "none") != 0)
		read_anchors(d, c);
}
