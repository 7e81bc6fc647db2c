/* SPDX-License-Identifier: MIT */
#include "directory/settings_types.h"
#include "directory/settings.h"
#include "mail/idn.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/str.h"
#include "util/suggest.h"

#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

enum { SMTP_PORT = 25, LMTP_PORT = 24 };
enum { HOST_MAX = 253, LABEL_MAX = 63, LOCAL_MAX = 64, WEIGHT_MAX = 1000 };

static bool
is_label(const char *s, size_t n)
{
	size_t i;

	if (n == 0 || n > LABEL_MAX || s[0] == '-' || s[n - 1] == '-')
		return false;
	for (i = 0; i < n; i++)
		if (!ascii_is_alnum(s[i]) && s[i] != '-' && s[i] != '_')
			return false;
	return true;
}

static bool
is_host_name(const char *s)
{
	size_t n;

	if (strlen(s) > HOST_MAX)
		return false;
	for (;;) {
		n = strcspn(s, ".");
		if (!is_label(s, n))
			return false;
		if (s[n] == '\0')
			return true;
		s += n + 1;
	}
}

static bool
has_high_bytes(const char *s)
{
	for (; *s != '\0'; s++)
		if ((unsigned char)*s >= 0x80)
			return true;
	return false;
}

static int
check_domain(const char *domain, struct err *err)
{
	size_t n = strlen(domain);

	if (is_host_name(domain))
		return 0;
	if (has_high_bytes(domain))
		return err_set(err, "IDNA (RFC 5891) allows no such domain name");
	if (n > 1 && domain[n - 1] == '.')
		return err_set(err, "a domain is written without the dot at its end");
	return err_set(err, "a domain name is expected, as in example.com");
}

/* Names are kept as the DNS has them. */
static const char *
a_labels(const struct option_input *in)
{
	char text[IDN_TEXT];
	const char *plain = idn_ascii(in->text, text);

	return plain == NULL || plain == in->text ? in->text : arena_strdup(in->arena, plain);
}

static int
parse_host_name(const struct option_input *in, void *out, struct err *err)
{
	const char *name = a_labels(in);

	if (check_domain(name, err) < 0)
		return -1;
	if (strspn(name, "0123456789.") == strlen(name))
		return err_set(err, "a name is expected, not an address, as in mx.example.com");
	*(const char **)out = name;
	return 0;
}

static void
print_text(struct buf *b, const struct option *o, const void *value)
{
	(void)o;
	if (*(const char *const *)value != NULL)
		buf_adds(b, *(const char *const *)value);
}

static const char *
lowered(const struct option_input *in, const char *text)
{
	char *s = arena_strdup(in->arena, text);

	str_lower(s);
	return s;
}

static int
parse_domain(const struct option_input *in, void *out, struct err *err)
{
	const char *s = a_labels(in);

	if (str_starts(s, "file:"))
		return err_set(err, "a file is allowed for the names of a domain { } alone");
	if (str_starts(s, "*."))
		return err_set(err, "did you mean %.200s? It means every domain below %.200s", s + 1, s + 2);
	if (strchr(s, '@') != NULL)
		return err_set(err, "a domain is expected, did you mean %.200s?", strchr(s, '@') + 1);
	if (check_domain(*s == '.' ? s + 1 : s, err) < 0)
		return -1;
	*(const char **)out = lowered(in, s);
	return 0;
}

static int
parse_address(const struct option_input *in, void *out, struct err *err)
{
	return addr_parse(in->text, 0, out, err);
}

static void
print_address(struct buf *b, const struct option *o, const void *value)
{
	char text[ADDR_TEXT];

	(void)o;
	buf_adds(b, addr_text(value, text));
}

static int
parse_network(const struct option_input *in, void *out, struct err *err)
{
	return network_parse(in->text, out, err);
}

static void
print_network(struct buf *b, const struct option *o, const void *value)
{
	const struct network *n = value;
	char text[INET6_ADDRSTRLEN];

	(void)o;
	inet_ntop(n->family, n->ip, text, sizeof text);
	buf_printf(b, "%s/%u", text, n->bits);
}

/* " backup" or " weight=N". */
static int
next_hop_word(const char *word, struct next_hop *hop, struct err *err)
{
	struct suggest near;
	uint64_t v;

	if (strcmp(word, "backup") == 0) {
		hop->backup = true;
		return 0;
	}
	if (str_starts(word, "weight=")) {
		if (str_u64(word + 7, strlen(word + 7), WEIGHT_MAX, &v) < 0 || v == 0)
			return err_set(err, "a weight is a number from 1 to %d", WEIGHT_MAX);
		hop->weight = (unsigned)v;
		return 0;
	}
	suggest_init(&near, word);
	suggest_try(&near, "backup");
	suggest_try(&near, "weight=N");
	return err_set(err, "behind the address, 'backup' and 'weight=N' are allowed%s%s%s",
	    near.best ? "; did you mean " : "", near.best ? near.best : "", near.best ? "?" : "");
}

static int
host_and_port(const char *text, struct next_hop *hop, struct arena *arena, struct err *err)
{
	size_t n = strcspn(text, ":");
	char *host = arena_strndup(arena, text, n), ascii[IDN_TEXT];
	uint64_t port = hop->lmtp ? LMTP_PORT : SMTP_PORT;

	if (n > 1 && host[n - 1] == '.')
		host[n - 1] = '\0';
	if (idn_needed(host) && idn_ascii(host, ascii) != NULL)
		host = arena_strdup(arena, ascii);
	if (check_domain(host, err) < 0)
		return -1;
	if (text[n] == ':' && (str_u64(text + n + 1, strlen(text + n + 1), UINT16_MAX, &port) < 0 || port == 0))
		return err_set(err, "a port is a number from 1 to 65535");
	str_lower(host);
	hop->host = host;
	hop->port = (uint16_t)port;
	return 0;
}

/* A name, in contrast to an address: with a letter in it, and no colon but that of a port. */
static bool
looks_like_name(const char *s)
{
	size_t n = strcspn(s, ":");

	return *s != '[' && !str_starts(s, "unix:") && strchr(s + n + (s[n] == ':'), ':') == NULL &&
	    strspn(s, "0123456789./") < n;
}

static int
parse_destination(const char *text, struct next_hop *hop, struct arena *arena, struct err *err)
{
	hop->lmtp = str_starts(text, "lmtp:");
	if (hop->lmtp)
		text += 5;
	if (*text == ':')
		return err_set(err, "the address is missing, as in 10.0.0.5:25");
	if (str_starts(text, "mx:")) {
		hop->kind = NEXT_HOP_MX;
		if (hop->lmtp)
			return err_set(err, "mail exchangers speak SMTP: mx:NAME without lmtp:");
		return host_and_port(text + 3, hop, arena, err);
	}
	if (looks_like_name(text)) {
		hop->kind = NEXT_HOP_HOST;
		return host_and_port(text, hop, arena, err);
	}
	return addr_parse(text, hop->lmtp ? LMTP_PORT : SMTP_PORT, &hop->address, err);
}

bool
next_hop_same(const struct next_hop *a, const struct next_hop *b)
{
	if (a->kind != b->kind)
		return false;
	if (a->kind != NEXT_HOP_ADDRESS)
		return a->port == b->port && a->host != NULL && b->host != NULL && strcmp(a->host, b->host) == 0;
	return a->address.len == b->address.len && memcmp(&a->address.u, &b->address.u, a->address.len) == 0;
}

static int
parse_next_hop(const struct option_input *in, void *out, struct err *err)
{
	char *copy = arena_strdup(in->arena, in->text), *rest, *word;
	struct next_hop *hop = out;

	hop->text = in->text;
	hop->weight = 1;
	word = strtok_r(copy, " \t", &rest);
	if (word == NULL)
		return err_set(err, "an address is expected, as in 10.0.0.5:25");
	if (parse_destination(word, hop, in->arena, err) < 0)
		return -1;
	while ((word = strtok_r(NULL, " \t", &rest)) != NULL)
		if (next_hop_word(word, hop, err) < 0)
			return -1;
	return 0;
}

static void
print_next_hop(struct buf *b, const struct option *o, const void *value)
{
	(void)o;
	buf_adds(b, ((const struct next_hop *)value)->text);
}

static int
parse_pattern(const struct option_input *in, void *out, struct err *err)
{
	const char *text = a_labels(in), *at = strrchr(text, '@'), *domain;

	if (at == NULL && is_host_name(text))
		return err_set(err, "an address pattern is expected, did you mean @%.200s?", text);
	if (at == NULL)
		return err_set(err, "an address pattern is expected: user@example.com, @example.com or @.example.com");
	if (at - text > LOCAL_MAX)
		return err_set(err, "what is before the @ is longer than %d characters", LOCAL_MAX);
	domain = at + 1;
	if (str_starts(domain, "*."))
		return err_set(err, "did you mean @%.200s? It means every domain below %.200s", domain + 1, domain + 2);
	if (*domain == '.' && at > text)
		return err_set(err, "a user below a domain is not a pattern: user@example.com or @.example.com");
	if (check_domain(*domain == '.' ? domain + 1 : domain, err) < 0)
		return -1;
	*(const char **)out = lowered(in, text);
	return 0;
}

static int
parse_sender(const struct option_input *in, void *out, struct err *err)
{
	if (*in->text != '\0')
		return parse_pattern(in, out, err);
	*(const char **)out = in->text;
	return 0;
}

static int
parse_log_target(const struct option_input *in, void *out, struct err *err)
{
	if (strcmp(in->text, "stderr") != 0)
		return option_path.parse(in, out, err);
	*(const char **)out = in->text;
	return 0;
}

static int
parse_recipients(const struct option_input *in, void *out, struct err *err)
{
	if (str_starts(in->text, "file:"))
		return err_set(err, "recipients from a file are not built yet");
	return option_enum.parse(in, out, err);
}

static void
print_recipients(struct buf *b, const struct option *o, const void *value)
{
	option_enum.print(b, o, value);
}

static int
parse_socket_path(const struct option_input *in, void *out, struct err *err)
{
	const struct sockaddr_un un;

	if (option_path.parse(in, out, err) < 0)
		return -1;
	if (strlen(*(const char **)out) >= sizeof un.sun_path)
		return err_set(err, "the path of a socket has at most %zu characters", sizeof un.sun_path - 1);
	return 0;
}

const struct option_type type_host_name = { "host name", "A full domain name.", sizeof(char *), parse_host_name,
	print_text };
const struct option_type type_domain = { "domain",
	"A domain name, international ones as they are or in A-labels (xn--...). With a dot before it, every domain below "
	"that name, not the name itself.", sizeof(char *),
	parse_domain, print_text };
const struct option_type type_address = { "address",
	"A numeric address with a port, 192.0.2.1:25 or [2001:db8::1]:25; without the address, :25, every address "
	"of this "
	"machine; unix:/path is a local socket.",
	sizeof(struct addr), parse_address, print_address };
const struct option_type type_network = { "network",
	"A numeric address, or a network with its prefix length: 192.0.2.0/24, 2001:db8::/32.", sizeof(struct network),
	parse_network, print_network };
const struct option_type type_next_hop = { "next hop",
	"A host name or a numeric address, its port if it is not 25; mx:NAME for the mail exchangers of a domain; or "
	"unix:/path; with lmtp: before it, as in lmtp:10.0.0.5:24 or lmtp:unix:/run/dovecot/lmtp, a server that speaks "
	"LMTP (port 24 unless given). In the same quotes may follow backup, for one that is used only while no other is "
	"alive, and weight=N, its share among those in turn.",
	sizeof(struct next_hop), parse_next_hop, print_next_hop };
const struct option_type type_pattern = { "pattern",
	"user@example.com is one address, @example.com every address of that domain, @.example.com every address of "
	"the "
	"domains below it. Letters match in either case.",
	sizeof(char *), parse_pattern, print_text };
const struct option_type type_sender = { "sender pattern",
	"As a pattern; the empty text, written in quotes, is the null sender of reports.", sizeof(char *), parse_sender,
	print_text };
const struct option_type type_log_target = { "stderr | path", "The word stderr, or a path.", sizeof(char *),
	parse_log_target, print_text };
const struct option_type type_recipients = { "word", "One of the words listed.", sizeof(int), parse_recipients,
	print_recipients };
const struct option_type type_socket_path = { "socket path", "A path of at most 107 characters.", sizeof(char *),
	parse_socket_path, print_text };
