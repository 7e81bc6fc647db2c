/* SPDX-License-Identifier: MIT */
/* All words of the configuration, with their prose: the parser, tmail.conf(5) and the sample are made from this. */
#include "directory/settings.h"
#include "directory/settings_dns.h"
#include "directory/settings_source.h"
#include "directory/settings_types.h"
#include "util/arena.h"

#include <stddef.h>
#include <string.h>

#define HEAD_FITS(type) \
	_Static_assert(offsetof(struct type, place) == offsetof(struct option_head, place) && \
	    offsetof(struct type, block) == offsetof(struct option_head, block) && \
	    offsetof(struct type, name) == offsetof(struct option_head, name), #type " begins with an option_head")

HEAD_FITS(listener_settings);
HEAD_FITS(client_settings);
HEAD_FITS(tls_settings);
HEAD_FITS(limit_settings);
HEAD_FITS(admin_settings);
HEAD_FITS(log_settings);
HEAD_FITS(route_settings);
HEAD_FITS(source_settings);
HEAD_FITS(queue_settings);
HEAD_FITS(delivery_settings);
HEAD_FITS(auth_settings);
HEAD_FITS(user_settings);
HEAD_FITS(secret_settings);

enum { MINUTE = 60, HOUR = 3600, DAY = 86400 };

#define KB 1024ull
#define MB (1024 * KB)
#define GB (1024 * MB)
#define TB (1024 * GB)

static const struct option_word listener_tls[] = {
	{ "auto", TLS_AUTO, false, "optional when tls { } names a certificate, else none." },
	{ "none", TLS_NONE, false, "Never." },
	{ "optional", TLS_OPTIONAL, false, "STARTTLS is offered." },
	{ "required", TLS_REQUIRED, false, "STARTTLS is offered, and nothing but it allowed before." },
	{ "implicit", TLS_IMPLICIT, false, "TLS from the first byte on, as on port 465." },
	{ 0 },
};

static const struct option_word listener_auth[] = {
	{ "auto", AUTH_AUTO, false, "required on ports 587 and 465, none on others." },
	{ "none", AUTH_NONE, false, "They cannot." },
	{ "optional", AUTH_OPTIONAL, false, "They may." },
	{ "required", AUTH_REQUIRED, false, "No mail is taken from a client that has not." },
	{ 0 },
};

static const struct option_word sender_match_words[] = {
	{ "none", SENDER_MATCH_NONE, false, "None." },
	{ "envelope", SENDER_MATCH_ENVELOPE, false, "That of MAIL FROM, else 553 5.7.1." },
	{ "header", SENDER_MATCH_HEADER, false, "Every address in the field From, else 550 5.7.1 at the end of the message." },
	{ "both", SENDER_MATCH_BOTH, false, "Both." },
	{ 0 },
};

static const struct option_word client_certificates[] = {
	{ "none", CLIENT_CERTIFICATE_NONE, false, "They are not asked." },
	{ "optional", CLIENT_CERTIFICATE_OPTIONAL, false,
	  "They are asked, and served whatever they show. It is verified and noted." },
	{ "required", CLIENT_CERTIFICATE_REQUIRED, false,
	  "A client without one that is verified is not served. tls has to be required or implicit." },
	{ 0 },
};

static const struct option_word early_words[] = {
	{ "refuse", EARLY_REFUSE, false, "It gets 554 and is let go." },
	{ "accept", EARLY_ACCEPT, false, "It is served." },
	{ 0 },
};

static const struct option_word relay_words[] = {
	{ "any", RELAY_ANY, false, "Everybody reaches the recipients of a domain { }; those who may relay reach more." },
	{ "only", RELAY_ONLY, false, "Only those who may relay get a recipient accepted; others 550 5.7.1." },
	{ 0 },
};

#define LISTENER(field) .offset = offsetof(struct listener_settings, field)

static const struct option listener_options[] = {
	{ .name = "address", .type = &type_address, .flags = OPTION_LIST | OPTION_REQUIRED,
	  .offset = offsetof(struct listener_settings, address),
	  .count_offset = offsetof(struct listener_settings, address_count), .example = "\"0.0.0.0:25\", \"[::]:25\"",
	  .help = "Where clients connect to: numeric addresses with a port, 192.0.2.1:25 or [2001:db8::1]:25. "
		  "Without the address, as in :25, every address of this machine." },
	{ .name = "tls", .type = &option_enum, .offset = offsetof(struct listener_settings, tls), .words = listener_tls,
	  .fallback = "auto", .help = "Whether clients use TLS. All but none need a certificate in tls { }." },
	{ .name = "auth", .type = &option_enum, .offset = offsetof(struct listener_settings, auth),
	  .words = listener_auth, .fallback = "auto",
	  .help = "Whether clients log in, under TLS only. Mail of those who did is taken for every recipient that a "
		  "domain or a route leads to." },
	{ .name = "sender_match", .type = &option_enum, .offset = offsetof(struct listener_settings, sender_match),
	  .words = sender_match_words, .fallback = "both",
	  .help = "Which senders of a client that has logged in have to belong to its login: see address in user. The "
		  "null sender belongs to everybody." },
	{ .name = "client_certificate", .type = &option_enum,
	  .offset = offsetof(struct listener_settings, client_certificate), .words = client_certificates,
	  .fallback = "none",
	  .help = "Whether clients are asked for a certificate of their own. It is verified when its chain leads to "
		  "an authority of tls { ca }; its name and fingerprint are in the log." },
	{ .name = "proxy", .type = &type_network, .flags = OPTION_LIST | OPTION_EMPTY, LISTENER(proxy),
	  .count_offset = offsetof(struct listener_settings, proxy_count), .fallback_help = "nobody",
	  .example = "192.0.2.10, 192.0.2.11",
	  .help = "Proxies in front of the gateway, as HAProxy with send-proxy or send-proxy-v2. A connection from "
		  "them has to begin, within 5 seconds, with a header of the PROXY protocol, version 1 or 2, and the "
		  "address in it is the client's; without one it is closed. On no listener is the address of such a "
		  "proxy itself ever found in relay_from or xclient." },
	{ .name = "xclient", .type = &type_network, .flags = OPTION_LIST | OPTION_EMPTY, LISTENER(xclient),
	  .count_offset = offsetof(struct listener_settings, xclient_count), .fallback_help = "nobody",
	  .example = "192.0.2.12",
	  .help = "Clients that may say who the client is they speak for: with XCLIENT, which is believed for "
		  "everything, relay_from included, and with XFORWARD, which is logged." },
	{ .name = "xclient_login", .type = &option_bool, LISTENER(xclient_login), .fallback = "no",
	  .help = "Whether the LOGIN of XCLIENT is believed: its mail is that of a client who has logged in." },
	{ .name = "greet_delay", .type = &option_duration, LISTENER(greet_delay), .max = 60, .fallback = "0s",
	  .help = "How long a client waits for the greeting. RFC 5321 has a client be silent until then, and until "
		  "the reply to EHLO offers PIPELINING; many senders of spam are not. With 0s the greeting comes at "
		  "once and nobody is looked at, which costs nothing and delays nobody." },
	{ .name = "early_talkers", .type = &option_enum, LISTENER(early_talkers), .words = early_words,
	  .fallback = "refuse",
	  .help = "What becomes of a client that speaks before its turn, on a listener with a greet_delay. Either way "
		  "it is logged and counted." },
	{ .name = "relay", .type = &option_enum, .offset = offsetof(struct listener_settings, relay),
	  .words = relay_words, .fallback = "any",
	  .help = "Whose recipients are accepted. Clients in relay_from and of a client { } may relay." },
	{ .name = "inbound", .flags = OPTION_LATER },
	{ .name = "outbound", .flags = OPTION_LATER },
	{ 0 },
};

#define TLS(field) .offset = offsetof(struct tls_settings, field), .count_offset = offsetof(struct tls_settings, field##_count)

static const struct option tls_options[] = {
	{ .name = "certificate", .type = &option_path, .flags = OPTION_LIST, TLS(certificate),
	  .fallback_help = "none, TLS is not offered",
	  .example = "/etc/tmail/tls/mx.pem, /etc/tmail/tls/mx-rsa.pem",
	  .help = "What the gateway shows to clients. A PEM file with a certificate and its chain, and the private "
		  "key unless key or a file of the same name that ends in .key has it; a folder that holds "
		  "fullchain.pem and privkey.pem, or tls.crt and tls.key; or a pattern of such files and folders, "
		  "where * and ? stand for anything. A client is shown the certificate of the name it asks for "
		  "(SNI), wildcards included, else the first one. There may be an RSA and an ECDSA certificate for "
		  "a name: a client gets the one it can use. Read with the privileges of the supervisor, again when the "
		  "files change; sessions go on." },
	{ .name = "key", .type = &option_path, .flags = OPTION_LIST, TLS(key),
	  .fallback_help = "the keys are with their certificates", .example = "/etc/tmail/tls/mx.key, /etc/tmail/tls/mx-rsa.key",
	  .help = "PEM files with the private keys, one for each file of certificate, in their order." },
	{ .name = "ca", .type = &option_path, .flags = OPTION_LIST, TLS(ca),
	  .fallback_help = "those of the system", .example = "/etc/tmail/tls/ca.pem",
	  .help = "PEM files with the certificates of the authorities that are trusted, for tls = verify towards next "
		  "hops and for client_certificate." },
	{ 0 },
};

#define LIMIT(field) .offset = offsetof(struct limit_settings, field)

/* So many at once, and then one after the other at that pace. */
#define RATE(text, which, what, beyond, all, client) \
	{ .name = text, .type = &option_rate, LIMIT(rate[which]), .min = 1, .max = UINT32_MAX, \
	  .fallback_help = "any", .example = all, \
	  .help = what " of all clients together. So many are taken at once and then as many as the rate " \
		  "gives back; more are " beyond "." }, \
	{ .name = text "_per_client", .type = &option_rate, LIMIT(rate_per_client[which]), .min = 1, \
	  .max = UINT32_MAX, .fallback_help = "any", .example = client, \
	  .help = what " of one client: an IPv4 address, or a /64 network of IPv6. More are " beyond ". It does not " \
		  "hold for those who may relay." }

static const struct option limit_options[] = {
	{ .name = "sessions", .type = &option_integer, LIMIT(sessions), .min = 1, .max = 1000000, .fallback = "20000",
	  .help = "SMTP sessions at the same time. Further connections are answered 421." },
	{ .name = "sessions_per_client", .type = &option_integer, LIMIT(sessions_per_client), .min = 1, .max = 1000000,
	  .fallback = "500",
	  .help = "SMTP sessions at the same time from one client: an IPv4 address, or a /64 network of IPv6. "
		  "Further ones are answered 421." },
	{ .name = "tasks", .type = &option_integer, .flags = OPTION_RESTART, LIMIT(tasks), .min = 100, .max = 30000,
	  .fallback_help = "16000 divided by threads", .example = "8000",
	  .help = "What one loop does at the same time besides keeping idle sessions: messages being received or "
		  "stored, deliveries. Above it sessions are answered 421. Each takes two memory mappings of the "
		  "kernel's vm.max_map_count." },
	{ .name = "recipients", .type = &option_integer, LIMIT(recipients), .min = 1, .max = 50000, .fallback = "1000",
	  .help = "Recipients of one message; those above it are answered 452 4.5.3 and come in a second "
		  "transaction. RFC 5321 wants 100 at least." },
	{ .name = "errors", .type = &option_integer, LIMIT(errors), .min = 1, .max = 100000, .fallback = "100",
	  .help = "Replies 4xx and 5xx in one session, then 421 ends it." },
	{ .name = "tarpit", .type = &option_duration, LIMIT(tarpit), .max = 60, .fallback = "0s",
	  .help = "How long each reply 4xx or 5xx is held back once a session had tarpit_after of them: guessing "
		  "addresses becomes slow. 0s is not at all." },
	{ .name = "tarpit_after", .type = &option_integer, LIMIT(tarpit_after), .min = 1, .max = 100000,
	  .fallback = "10", .help = "Errors of a session before tarpit holds." },
	RATE("connection_rate", 0, "Connections", "answered 421", "600/min", "60/min"),
	RATE("message_rate", 1, "Messages begun with MAIL", "answered 450 4.7.1", "10000/min", "100/min"),
	RATE("error_rate", 2, "Replies 4xx and 5xx", "answered with 421 and the end of the session, and so are new "
		"connections of the client", "1000/min", "30/min"),
	{ .name = "messages_per_session", .type = &option_integer, LIMIT(messages_per_session), .min = 0,
	  .max = 1000000,
	  .fallback = "0", .help = "Messages in one session, then 421 ends it. 0 is any number." },
	{ .name = "hops", .type = &option_integer, LIMIT(hops), .min = 1, .max = 1000, .fallback = "100",
	  .help = "Received fields of a message. With more it goes round in a loop and is refused, 554 5.4.6." },
	{ .name = "message_size", .type = &option_size, LIMIT(message_size), .min = KB, .max = TB, .fallback = "50MB",
	  .help = "The largest message, refused with 552 5.3.4 at MAIL when the client tells its size, else at "
		  "the end of the data." },
	{ .name = "header_size", .type = &option_size, LIMIT(header_size), .min = KB, .max = 64 * MB, .fallback = "1MB",
	  .help = "The largest header of a message." },
	{ .name = "command_timeout", .type = &option_duration, LIMIT(command_timeout), .min = 1, .max = DAY,
	  .fallback = "5min", .help = "How long a client may be silent between commands, and may take to send one." },
	{ .name = "data_timeout", .type = &option_duration, LIMIT(data_timeout), .min = 1, .max = DAY,
	  .fallback = "3min",
	  .help = "How long a client may be silent within a message." },
	{ .name = "message_timeout", .type = &option_duration, LIMIT(message_timeout), .min = 1, .max = 7 * DAY,
	  .fallback = "1h", .help = "How long a client may take to send one message." },
	{ .name = "min_rate", .type = &option_byte_rate, LIMIT(min_rate), .min = 0, .max = GB, .fallback = "100B/s",
	  .help = "How fast a client has to send a message, averaged over the message and looked at after 30 s. "
		  "0B/s is any speed." },
	{ 0 },
};

static const struct option admin_options[] = {
	{ .name = "socket", .type = &type_socket_path, .flags = OPTION_RESTART, .offset = offsetof(struct admin_settings, socket),
	  .fallback_help = "admin.sock in the folder named by state", .example = "/run/tmail/admin.sock",
	  .help = "The local socket that tmail(1) talks to." },
	{ .name = "mode", .type = &option_mode, .flags = OPTION_RESTART, .offset = offsetof(struct admin_settings, mode), .fallback = "0600",
	  .help = "Permissions of that socket: who may write to it may administer the gateway." },
	{ .name = "http", .flags = OPTION_LATER },
	{ 0 },
};

static const struct option_word log_levels[] = {
	{ "error", LOG_ERROR, false, "What an administrator has to act on." },
	{ "warn", LOG_WARN, false, "And what is degraded and goes on." },
	{ "info", LOG_INFO, false, "And every decision about mail." },
	{ "debug", LOG_DEBUG, false, "And what helps to find errors in the gateway." },
	{ 0 },
};

static const struct option_word log_formats[] = {
	{ "text", LOG_TEXT, false, "A line of key=value a record; values with other than plain characters are quoted." },
	{ "json", LOG_JSON, false, "A JSON object a line, with the same keys; every value is a string." },
	{ 0 },
};

static const struct option log_options[] = {
	{ .name = "to", .type = &type_log_target, .offset = offsetof(struct log_settings, to), .fallback = "stderr",
	  .example = "/var/log/tmail.log",
	  .help = "A file that lines are appended to, or stderr, which is right under systemd and in containers." },
	{ .name = "level", .type = &option_enum, .offset = offsetof(struct log_settings, level), .words = log_levels,
	  .fallback = "info", .help = "What is logged." },
	{ .name = "format", .type = &option_enum, .offset = offsetof(struct log_settings, format), .words = log_formats,
	  .fallback = "text", .help = "How it is written." },
	{ 0 },
};

static const struct option_word balance_words[] = {
	{ "failover", BALANCE_FAILOVER, false, "The first one that is alive, in the order written." },
	{ "round-robin", BALANCE_ROUND_ROBIN, false, "All that are alive, in turn, by weight." },
	{ 0 },
};

static const struct option_word route_tls[] = {
	{ "none", TLS_NONE, false, "Never." },
	{ "optional", TLS_OPTIONAL, false, "Where the next hop offers STARTTLS, whatever its certificate." },
	{ "required", TLS_REQUIRED, false, "Always; mail waits for a next hop that does not offer it." },
	{ "verify", TLS_VERIFY, false,
	  "Always, and the next hop's certificate has to lead to an authority of tls { ca } and be for the name of the "
	  "next hop, or for its address where that is all there is; else mail waits (4.7.5)." },
	{ 0 },
};

static const struct option_word recipient_words[] = {
	{ "any", RECIPIENTS_ANY, false, "Every address of the domain is accepted." },
	{ "verify", RECIPIENTS_VERIFY, false,
	  "The next hop is asked, as if a report were to be sent (MAIL FROM:<>, RCPT), and the answer remembered: for "
	  "30 days when it is good, for 3 hours when it is bad (550 5.1.1), over restarts. While no next hop answers, all are "
	  "accepted but those known to be bad. A next hop that accepts a random address is said so once in the log and not "
	  "asked for a day." },
	{ 0 },
};

#define ROUTE(field) .offset = offsetof(struct route_settings, field)
#define ROUTE_COUNT(field) .count_offset = offsetof(struct route_settings, field)

/* What a domain and a route have in common. */
#define DELIVERY_OPTIONS \
	{ .name = "balance", .type = &option_enum, ROUTE(balance), .words = balance_words, .fallback = "failover", \
	  .help = "Which of several next hops is used." }, \
	{ .name = "tls", .type = &option_enum, ROUTE(tls), .words = route_tls, .fallback = "optional", \
	  .help = "Whether mail is delivered over TLS." }, \
	{ .name = "connections", .type = &option_integer, ROUTE(connections), .min = 1, .max = 1000, .fallback = "20", \
	  .help = "Connections at the same time to each next hop. Fewer are used while it is slow or refuses." }, \
	{ .name = "source", .type = &option_string, ROUTE(source_name), \
	  .fallback_help = "the system chooses the address", .example = "name", \
	  .help = "The source { } whose addresses connections are made from." }

#define LOGIN_OPTION \
	{ .name = "login", .type = &option_string, ROUTE(secret_name), .fallback_help = "nobody", .example = "provider", \
	  .help = "The secret to log in with at these next hops: by SCRAM-SHA-256 where they offer it, else PLAIN or LOGIN. " \
		  "Passwords are told in clear under TLS alone, or on this machine; to be sure who hears them, use tls = verify. " \
		  "While the log-in fails, mail waits." }

#define NEXT_HOP_HELP \
	"Host names or numeric addresses, with their port if it is not 25; mx:NAME, the mail exchangers of a domain; " \
	"or unix:/path; with lmtp: before it, servers that speak LMTP. In the same quotes may follow backup, for one " \
	"that is used only while no other is alive, and weight=N, its share of the mail under round-robin."

static const struct option domain_options[] = {
	{ .name = "name", .type = &type_domain, .flags = OPTION_LIST, ROUTE(domain), ROUTE_COUNT(domain_count),
	  .fallback_help = "the name of the block", .example = "example.com, .example.com",
	  .help = "The domains. With a dot before it, every domain below that name, not the name itself." },
	{ .name = "next_hop", .type = &type_next_hop, .flags = OPTION_LIST | OPTION_REQUIRED, ROUTE(hop),
	  ROUTE_COUNT(hop_count), .example = "\"10.0.0.5:25\", \"10.9.0.5:25 backup\"",
	  .help = "The mail servers of these domains. " NEXT_HOP_HELP },
	DELIVERY_OPTIONS,
	{ .name = "recipients", .type = &type_recipients, ROUTE(recipients), .words = recipient_words,
	  .fallback = "verify",
	  .help = "Which recipients exist." },
	{ .name = "pipeline", .flags = OPTION_LATER },
	LOGIN_OPTION,
	{ 0 },
};

static const struct option match_options[] = {
	{ .name = "recipient", .type = &type_pattern, .flags = OPTION_LIST, ROUTE(recipient),
	  ROUTE_COUNT(recipient_count),
	  .fallback_help = "every recipient", .example = "\"@example.net\", \"@.example.net\"",
	  .help = "Recipients: user@example.com, every address of a domain as @example.com, or of the domains "
		  "below it as @.example.com." },
	{ .name = "sender", .type = &type_sender, .flags = OPTION_LIST, ROUTE(sender), ROUTE_COUNT(sender_count),
	  .fallback_help = "every sender", .example = "\"@example.com\", \"\"",
	  .help = "Senders, written likewise; the empty text is the null sender of reports." },
	{ .name = "login", .type = &option_string, .flags = OPTION_LIST, ROUTE(login), ROUTE_COUNT(login_count),
	  .fallback_help = "everybody", .example = "newsletter", .help = "Names clients have logged in with." },
	{ .name = "group", .type = &option_string, .flags = OPTION_LIST, ROUTE(group), ROUTE_COUNT(group_count),
	  .fallback_help = "everybody", .example = "bulk",
	  .help = "Groups, of the user who has logged in or of the client { }." },
	{ .name = "listener", .type = &option_string, .flags = OPTION_LIST, ROUTE(listener),
	  ROUTE_COUNT(listener_count), .fallback_help = "every listener", .example = "name",
	  .help = "Names of listeners the mail came in by." },
	{ .name = "direction", .flags = OPTION_LATER },
	{ 0 },
};

static const struct option route_options[] = {
	{ .name = "next_hop", .type = &type_next_hop, .flags = OPTION_LIST, ROUTE(hop), ROUTE_COUNT(hop_count),
	  .fallback_help = "the mail exchangers of each recipient's domain", .example = "\"192.0.2.25:25\"",
	  .help = "Where this mail goes. " NEXT_HOP_HELP },
	DELIVERY_OPTIONS,
	LOGIN_OPTION,
	{ 0 },
};

static const struct option_block route_blocks[] = {
	{ .name = "match", .flags = BLOCK_INLINE, .options = match_options,
	  .help = "Which mail the route is for; all that is named has to match. Without it, all that nothing else "
		  "matches." },
	{ 0 },
};

#define CLIENT(field) .offset = offsetof(struct client_settings, field)
#define CLIENT_COUNT(field) .count_offset = offsetof(struct client_settings, field)

static const struct option client_options[] = {
	{ .name = "network", .type = &type_network, .flags = OPTION_LIST | OPTION_REQUIRED, CLIENT(network),
	  CLIENT_COUNT(network_count), .example = "198.51.100.16/29, \"2001:db8:7::/48\"",
	  .help = "Where it connects from. An address that is in networks of several clients belongs to the one with "
		  "the longest prefix." },
	{ .name = "sender", .type = &type_pattern, .flags = OPTION_LIST, CLIENT(sender), CLIENT_COUNT(sender_count),
	  .fallback_help = "any sender", .example = "\"@example.com\", \"@.example.com\"",
	  .help = "Senders it may use; others are answered 553 5.7.1. The null sender of reports is always allowed." },
	{ .name = "group", .type = &option_string, CLIENT(group), .fallback_help = "none", .example = "bulk",
	  .help = "A group that routes and policies may match." },
	{ 0 },
};

#define QUEUE(field) .offset = offsetof(struct queue_settings, field)

static const struct option queue_options[] = {
	{ .name = "retry", .type = &option_duration, .flags = OPTION_LIST, QUEUE(retry),
	  .count_offset = offsetof(struct queue_settings, retry_count), .min = 1, .max = 7 * DAY,
	  .fallback = "5min, 4h",
	  .help = "The first wait before another attempt, and the longest: waits double in between, and vary by "
		  "some per cent. One value is both." },
	{ .name = "lifetime", .type = &option_duration, QUEUE(lifetime), .min = 1, .max = 60 * DAY, .fallback = "5d",
	  .help = "How long delivery is tried, then the sender gets a report." },
	{ .name = "bounce_lifetime", .type = &option_duration, QUEUE(bounce_lifetime), .min = 1, .max = 60 * DAY,
	  .fallback = "2d", .help = "The same for mail from the null sender, which nobody gets a report about." },
	{ .name = "warn_after", .type = &option_duration, QUEUE(warn_after), .min = 0, .max = 60 * DAY,
	  .fallback = "4h",
	  .help = "After this time the sender is told once that the mail is late and still tried. 0s is never." },
	{ .name = "hold_lifetime", .type = &option_duration, QUEUE(hold_lifetime), .min = 1, .max = 3650u * DAY,
	  .fallback = "30d", .help = "How long mail is kept that is held for an operator." },
	{ .name = "min_free", .type = &option_size, .flags = OPTION_RESTART, QUEUE(min_free), .min = 0, .max = TB, .fallback = "256MB",
	  .help = "With less room than this on the disk of the queue, mail is answered 452 4.3.1 until there is "
		  "more." },
	{ .name = "segment_size", .type = &option_size, .flags = OPTION_RESTART, QUEUE(segment_size), .min = MB, .max = GB, .fallback = "64MB",
	  .help = "The queue is kept in files of this size; four of them are there from the start. A message larger "
		  "than a quarter of it goes to a file of its own." },
	{ .name = "memory_max", .type = &option_size, .flags = OPTION_RESTART, QUEUE(memory_max), .min = 64 * KB, .max = GB, .fallback = "4MB",
	  .help = "A message is received in memory up to this size, a larger one into a file of its own." },
	{ .name = "memory_total", .type = &option_size, .flags = OPTION_RESTART, QUEUE(memory_total), .min = MB, .max = TB, .fallback = "512MB",
	  .help = "Memory for the messages being received and the cache together. Above it messages go to files, "
		  "and if that cannot be, are answered 452." },
	{ .name = "cache", .type = &option_size, .flags = OPTION_RESTART, QUEUE(cache), .min = 0, .max = TB,
	  .fallback_help = "a quarter of memory_total", .example = "128MB",
	  .help = "Of that memory, what may hold messages between reception and their first delivery, so that "
		  "they need not be read from the disk." },
	{ 0 },
};

#define DELIVERY(field) .offset = offsetof(struct delivery_settings, field)

static const struct option delivery_options[] = {
	{ .name = "connect_timeout", .type = &option_duration, DELIVERY(connect_timeout), .min = 1, .max = HOUR,
	  .fallback = "30s", .help = "For the connection." },
	{ .name = "command_timeout", .type = &option_duration, DELIVERY(command_timeout), .min = 1, .max = HOUR,
	  .fallback = "5min", .help = "For the greeting, and for the reply to a command; to DATA 2min at most." },
	{ .name = "data_timeout", .type = &option_duration, DELIVERY(data_timeout), .min = 1, .max = HOUR,
	  .fallback = "3min", .help = "For the next piece of a message to be taken." },
	{ .name = "end_timeout", .type = &option_duration, DELIVERY(end_timeout), .min = 1, .max = HOUR,
	  .fallback = "10min", .help = "For the reply to the end of a message." },
	{ .name = "idle_timeout", .type = &option_duration, DELIVERY(idle_timeout), .min = 1, .max = HOUR,
	  .fallback = "30s", .help = "A connection is kept without work for so long." },
	{ 0 },
};

static void
verify_tls(void *block, const struct option_context *c)
{
	const struct tls_settings *t = block;

	if (t->key_count > 0 && t->key_count != t->certificate_count)
		conf_error(c->errors, &t->place, "tls: 'key' has to name one file for each of 'certificate'");
}

static void
verify_queue(void *block, const struct option_context *c)
{
	const struct queue_settings *q = block;
	const struct place *at = &q->place;

	if (q->retry_count > 2)
		conf_error(c->errors, at,
		    "queue: 'retry' is one wait or two: the first and the longest, as in { 5min, 4h }");
	if (q->retry[0] > q->retry[q->retry_count - 1])
		conf_error(c->errors, at, "queue: the first wait of 'retry' is longer than the longest");
	if (q->memory_max > q->memory_total)
		conf_error(c->errors, at, "queue: 'memory_max' is larger than 'memory_total'");
	if (q->cache != SETTINGS_UNSET && q->cache > q->memory_total)
		conf_error(c->errors, at, "queue: 'cache' is larger than 'memory_total'");
}

static void
verify_hops(const struct route_settings *r, const struct option_context *c)
{
	bool all_backup = true;
	unsigned i, k;

	if (r->hop_count > SETTINGS_HOPS_MAX) {
		conf_error(c->errors, &r->place, "%s %s: more than %d next hops", r->block, r->name, SETTINGS_HOPS_MAX);
		return;
	}
	for (i = 0; i < r->hop_count; i++) {
		all_backup = all_backup && r->hop[i].backup;
		if (r->tls == TLS_VERIFY && r->hop[i].address.u.sa.sa_family == AF_UNIX)
			conf_error(c->errors, &r->place, "%s %s: a local socket has no name that 'tls = verify' could "
			    "verify", r->block, r->name);
		for (k = 0; k < i; k++)
			if (next_hop_same(&r->hop[i], &r->hop[k]))
				conf_error(c->errors, &r->place, "%s %s: the next hop '%s' is named twice", r->block,
				    r->name, r->hop[i].text);
	}
	if (all_backup && r->hop_count > 0)
		conf_error(c->errors, &r->place, "%s %s: every next hop is a backup", r->block, r->name);
}

static void
verify_domain(void *block, const struct option_context *c)
{
	struct route_settings *r = block;
	struct option_input in = { .text = r->name, .place = &r->place, .arena = c->arena };
	struct err err;

	verify_hops(r, c);
	if (r->domain_count > 0)
		return;
	r->domain = arena_zalloc(c->arena, sizeof *r->domain);
	r->domain_count = 1;
	if (type_domain.parse(&in, r->domain, &err) < 0)
		conf_error(c->errors, &r->place, "domain %s: the block has no 'name', and '%s' is none: %s", r->name,
		    r->name, err.text);
}

static void
verify_route(void *block, const struct option_context *c)
{
	struct route_settings *r = block;

	verify_hops(r, c);
	if (strlen(r->name) > SETTINGS_ROUTE_NAME_MAX)
		conf_error(c->errors, &r->place, "route: the name is longer than %d characters", SETTINGS_ROUTE_NAME_MAX);
}

static const struct option root_options[] = {
	{ .name = "hostname", .type = &type_host_name, .flags = OPTION_REQUIRED,
	  .offset = offsetof(struct settings, hostname),
	  .example = "mx.example.com",
	  .help = "The full name of this gateway, as it stands in DNS. It is in the greeting, in EHLO and in "
		  "Received." },
	{ .name = "state", .type = &option_path, .flags = OPTION_RESTART, .offset = offsetof(struct settings, state),
	  .fallback_help = "chosen when tmail was built, /var/lib/tmail in packages", .example = "/var/lib/tmail",
	  .help = "The folder that holds the queue. It is made if missing." },
	{ .name = "user", .type = &option_string, .flags = OPTION_RESTART, .offset = offsetof(struct settings, user),
	  .fallback_help = "tmail where that account exists, else nobody", .example = "tmail",
	  .help = "The account the worker runs as when tmaild is started by root." },
	{ .name = "threads", .type = &option_integer, .flags = OPTION_RESTART, .offset = offsetof(struct settings, threads), .min = 1, .max = 64,
	  .fallback_help = "half as many as there are processors, at least 1", .example = "1",
	  .help = "Event loops. One serves some ten thousand messages a second." },
	{ .name = "relay_from", .type = &type_network, .flags = OPTION_LIST | OPTION_EMPTY,
	  .offset = offsetof(struct settings, relay_from), .count_offset = offsetof(struct settings, relay_from_count),
	  .fallback_help = "nobody", .example = "192.0.2.0/24, \"2001:db8::/32\"",
	  .help = "Clients whose mail is accepted for every recipient that a domain or a route leads to. All "
		  "others reach only the recipients of a domain { }." },
	{ .name = "history", .type = &option_duration, .flags = OPTION_RESTART, .offset = offsetof(struct settings, history), .min = 0,
	  .max = 3650u * DAY, .fallback = "7d",
	  .help = "How long tmail message finds what happened to messages and refused recipients: sender, recipients, "
		  "client, replies; no content, no subject. 0s keeps nothing and removes what there is." },
	{ .name = "history_size", .type = &option_size, .flags = OPTION_RESTART,
	  .offset = offsetof(struct settings, history_size), .min = 16 * MB,
	  .max = TB, .fallback = "2GB",
	  .help = "How much room history may take in the state folder: the oldest goes first, whatever its age. A "
		  "message takes some 400 bytes." },
	{ .name = "timezone", .flags = OPTION_LATER },
	{ .name = "authserv_id", .flags = OPTION_LATER },
	{ 0 },
};

#define ROOT(field) .offset = offsetof(struct settings, field)
#define ROUTES \
	ROOT(route), .count_offset = offsetof(struct settings, route_count), .size = sizeof(struct route_settings)

static const struct option_block root_blocks[] = {
	{ .name = "listener", .flags = BLOCK_TITLE_OPTIONAL | BLOCK_REPEAT | BLOCK_REQUIRED,
	  .options = listener_options,
	  ROOT(listener), .count_offset = offsetof(struct settings, listener_count),
	  .size = sizeof(struct listener_settings), .title = "name", .help = "Where mail comes in." },
	{ .name = "tls", .options = tls_options, ROOT(tls), .verify = verify_tls, .help = "Certificates of the gateway, and authorities "
		  "it trusts." },
	{ .name = "domain", .flags = BLOCK_TITLE | BLOCK_REPEAT, .options = domain_options, ROUTES,
	  .verify = verify_domain, .title = "name",
	  .help = "Domains that are ours: mail for them is accepted from everybody and goes to their mail "
		  "servers. The name is the domain, or any word when the block has a name key. It is kept with "
		  "queued mail, which needs an operator after it was changed." },
	{ .name = "route", .flags = BLOCK_TITLE | BLOCK_REPEAT, .options = route_options,
	  .blocks = route_blocks, ROUTES,
	  .verify = verify_route, .title = "name",
	  .help = "Where other mail goes, from those who may relay. The most specific match counts: a "
		  "recipient's address, its domain, the longest parent domain; then the domain blocks; then "
		  "routes without recipients. Among equals one that names the login comes first, then the one that "
		  "names the sender more exactly (its address, its domain, the longest parent domain), then one that "
		  "names the group, then the listener, then the order of the file. tmail route test shows it." },
	{ .name = "client", .flags = BLOCK_TITLE | BLOCK_REPEAT, .options = client_options, ROOT(client),
	  .count_offset = offsetof(struct settings, client_count), .size = sizeof(struct client_settings),
	  .title = "name",
	  .help = "Somebody known by network: trusted to relay, as those in relay_from are, with senders and a group of "
		  "its own." },
	{ .name = "source", .flags = BLOCK_TITLE | BLOCK_REPEAT, .options = settings_source_options, ROOT(source),
	  .count_offset = offsetof(struct settings, source_count), .size = sizeof(struct source_settings),
	  .verify = settings_source_verify, .title = "name",
	  .help = "Addresses of this machine that mail leaves from, for the routes and domains that name it." },
	{ .name = "limits", .options = limit_options, ROOT(limits),
	  .help = "Limits on sessions and messages." },
	{ .name = "queue", .options = queue_options, ROOT(queue), .verify = verify_queue,
	  .help = "How long mail is tried, and the room it may take." },
	{ .name = "delivery", .options = delivery_options, ROOT(delivery),
	  .help = "How long a next hop is waited for, each wait by itself. The defaults are those of RFC 5321, "
		  "4.5.3.2." },
	{ .name = "auth", .options = auth_options, ROOT(auth), .help = "How clients log in. Which ones may or must is said "
		  "by auth in listener." },
	{ .name = "user", .flags = BLOCK_TITLE | BLOCK_REPEAT, .options = user_options, ROOT(auth_user),
	  .count_offset = offsetof(struct settings, auth_user_count), .size = sizeof(struct user_settings),
	  .verify = verify_user, .title = "login", .help = "Somebody who may log in, for auth { source = directory }." },
	{ .name = "secret", .flags = BLOCK_TITLE | BLOCK_REPEAT, .options = secret_options, ROOT(secret),
	  .count_offset = offsetof(struct settings, secret_count), .size = sizeof(struct secret_settings),
	  .verify = verify_secret, .title = "provider",
	  .help = "How we log in at a next hop: a domain or route names it by login." },
	{ .name = "dns", .options = settings_dns_options, ROOT(dns), .help = "How names are resolved." },
	{ .name = "admin", .options = admin_options, ROOT(admin), .help = "The socket for administration." },
	{ .name = "log", .options = log_options, ROOT(log), .help = "The log: one line a decision, key=value." },
	{ .name = "pipeline", .flags = BLOCK_LATER },
	{ .name = "filter", .flags = BLOCK_LATER },
	{ .name = "policy", .flags = BLOCK_LATER },
	{ .name = "destination", .flags = BLOCK_LATER },
	{ .name = "alias", .flags = BLOCK_LATER },
	{ .name = "dkim", .flags = BLOCK_LATER },
	{ .name = "test", .flags = BLOCK_LATER },
	{ .name = "group", .flags = BLOCK_LATER },
	{ .name = "quota", .flags = BLOCK_LATER },
	{ .name = "node", .flags = BLOCK_LATER },
	{ 0 },
};

const struct option_block settings_vocabulary = { .options = root_options, .blocks = root_blocks };
