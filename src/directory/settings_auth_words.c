/* SPDX-License-Identifier: MIT */
/* The words of the blocks auth, user and secret; the vocabulary's table points here. */
#include "directory/settings_auth.h"
#include "directory/settings_types.h"
#include "mail/sasl.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/str.h"

#include <stddef.h>
#include <string.h>

static int
parse_source(const struct option_input *in, void *out, struct err *err)
{
	struct auth_source *source = out;

	source->text = in->text;
	if (strcmp(in->text, "directory") == 0)
		return 0;
	if (!str_starts(in->text, "dovecot:"))
		return err_set(err, "directory (the user blocks) is expected, or a Dovecot, as in "
		    "\"dovecot:unix:/run/dovecot/auth-tmail\"");
	source->dovecot = true;
	if (addr_parse(in->text + sizeof "dovecot:" - 1, 0, &source->address, err) < 0)
		return -1;
	if (source->address.u.sa.sa_family != AF_UNIX && !addr_is_loopback(&source->address))
		return err_set(err, "passwords are told to Dovecot in clear: its socket has to be on this machine, unix:/path "
		    "or 127.0.0.1:port");
	return 0;
}

static void
print_source(struct buf *b, const struct option *o, const void *value)
{
	(void)o;
	buf_adds(b, ((const struct auth_source *)value)->text);
}

static const struct option_type type_auth_source = { "source of passwords",
	"The word directory, which is the user blocks; or \"dovecot:unix:/run/dovecot/auth-tmail\", a socket of Dovecot's "
	"service auth.",
	sizeof(struct auth_source), parse_source, print_source };

/* The duration at *AT up to the next space, which is skipped. */
static int
take_duration(const char **at, uint32_t *seconds)
{
	size_t n = strcspn(*at, " ");
	char text[32];

	if (n == 0 || n >= sizeof text)
		return -1;
	memcpy(text, *at, n);
	text[n] = '\0';
	*at += n + strspn(*at + n, " ");
	return option_parse_duration(text, seconds, NULL) == 0 && *seconds > 0 ? 0 : -1;
}

static int
take_word(const char **at, const char *word)
{
	size_t n = strlen(word);

	if (strncmp(*at, word, n) != 0 || (*at)[n] != ' ')
		return -1;
	*at += n + strspn(*at + n, " ");
	return 0;
}

static int
parse_lockout(const struct option_input *in, void *out, struct err *err)
{
	struct lockout_rule *rule = out;
	const char *at = in->text;
	size_t n = strspn(at, "0123456789");
	uint64_t failures;

	memset(rule, 0, sizeof *rule);
	if (strcmp(at, "none") == 0)
		return 0;
	if (n == 0 || str_u64(at, n, 1000000, &failures) < 0 || failures == 0)
		goto bad;
	at += n + strspn(at + n, " ");
	if (take_word(&at, "in") < 0 || take_duration(&at, &rule->within) < 0 || take_word(&at, "for") < 0 ||
	    take_duration(&at, &rule->lock) < 0 || *at != '\0')
		goto bad;
	rule->failures = (uint32_t)failures;
	return 0;
bad:
	return err_set(err, "a rule is expected as in \"10 in 10min for 1h\", or none");
}

static void
print_duration(struct buf *b, uint32_t seconds)
{
	if (seconds % 3600 == 0)
		buf_printf(b, "%uh", seconds / 3600);
	else if (seconds % 60 == 0)
		buf_printf(b, "%umin", seconds / 60);
	else
		buf_printf(b, "%us", seconds);
}

static void
print_lockout(struct buf *b, const struct option *o, const void *value)
{
	const struct lockout_rule *rule = value;

	(void)o;
	if (rule->failures == 0) {
		buf_adds(b, "none");
		return;
	}
	buf_printf(b, "%u in ", rule->failures);
	print_duration(b, rule->within);
	buf_adds(b, " for ");
	print_duration(b, rule->lock);
}

static const struct option_type type_lockout = { "lockout",
	"\"10 in 10min for 1h\": so many failures within so much time lock for so long; or none.",
	sizeof(struct lockout_rule), parse_lockout, print_lockout };

/* Nothing that prints the configuration shows what somebody could log in with. */
static int
parse_hidden(const struct option_input *in, void *out, struct err *err)
{
	if (*in->text == '\0')
		return err_set(err, "it is empty");
	*(const char **)out = in->text;
	return 0;
}

static void
print_hidden(struct buf *b, const struct option *o, const void *value)
{
	(void)o;
	if (*(const char *const *)value != NULL)
		buf_adds(b, "(hidden)");
}

static const struct option_type type_hidden = { "secret text",
	"A text that is never shown: tmail prints (hidden) in its place.", sizeof(char *), parse_hidden, print_hidden };

static const struct option_word mechanism_words[] = {
	{ "PLAIN", SASL_PLAIN, false, "RFC 4616: login and password as they are." },
	{ "LOGIN", SASL_LOGIN, false, "The same in two steps, for old programs." },
	{ "SCRAM-SHA-256", SASL_SCRAM_SHA_256, false, "RFC 7677: the password stays with the client. Needs a "
	    "SCRAM-SHA-256 verifier in the user block, or a Dovecot that offers it." },
	{ 0 },
};

#define AUTH(field) .offset = offsetof(struct auth_settings, field)

const struct option auth_options[] = {
	{ .name = "source", .type = &type_auth_source, .flags = OPTION_LIST, AUTH(source),
	  .count_offset = offsetof(struct auth_settings, source_count), .fallback = "directory",
	  .example = "\"dovecot:unix:/run/dovecot/auth-tmail\"",
	  .help = "Who knows passwords, asked in this order until one says yes. Where one cannot be asked and no other "
		  "says yes, the client is told to try again later (454)." },
	{ .name = "mechanisms", .type = &option_enum, .flags = OPTION_LIST, AUTH(mechanism),
	  .count_offset = offsetof(struct auth_settings, mechanism_count), .words = mechanism_words,
	  .fallback = "PLAIN, LOGIN, SCRAM-SHA-256",
	  .help = "How clients may log in; always under TLS, and only as far as a source can." },
	{ .name = "lockout", .type = &type_lockout, AUTH(lockout), .fallback = "10 in 10min for 1h",
	  .help = "What failures to log in lead to, counted for each client address (of IPv6, its /64) and for each "
		  "login: further attempts are answered 454 without a look at the password. A client that has logged in "
		  "within a week is not locked out by what others do with its login. See tmail lockout list." },
	{ .name = "timeout", .type = &option_duration, AUTH(timeout), .min = 1, .max = 300, .fallback = "30s",
	  .help = "How long Dovecot may take for an answer; then 454." },
	{ 0 },
};

static const char *
named(const struct option_context *c, const char *block, const char *name)
{
	return arena_printf(c->arena, "%s %s", block, name);
}

void
verify_user(void *block, const struct option_context *c)
{
	struct user_settings *u = block;
	struct err err;

	if (!sasl_login_valid(u->name, strlen(u->name)))
		conf_error(c->errors, &u->place, "%s: a login has at most %d characters, none of them a control character",
		    named(c, u->block, u->name), SASL_LOGIN_MAX);
	if (u->password_text != NULL && password_parse(u->password_text, &u->password, &err) < 0)
		conf_error(c->errors, &u->place, "%s: 'password': %s", named(c, u->block, u->name), err.text);
}

#define USER(field) .offset = offsetof(struct user_settings, field)

const struct option user_options[] = {
	{ .name = "password", .type = &type_hidden, .flags = OPTION_REQUIRED, USER(password_text),
	  .example = "$argon2id$v=19$m=65536,t=3,p=1$TN6Q6sp4x2qNiLBBh50XwQ$1rbojXwz2Mih6BofF1E6HNKG0T2NUYsRo0JDAEoVpKw",
	  .help = "The password's SCRAM-SHA-256 verifier or argon2id hash, in quotes, as tmail user hash prints it (or "
		  "doveadm pw). With an argon2id hash the mechanism SCRAM-SHA-256 cannot be used." },
	{ .name = "group", .type = &option_string, USER(group), .fallback_help = "none", .example = "staff",
	  .help = "For routes and policies that match a group." },
	{ .name = "address", .type = &type_pattern, .flags = OPTION_LIST, USER(address),
	  .count_offset = offsetof(struct user_settings, address_count),
	  .fallback_help = "the login itself; where it has no domain, that name in the domains that are ours and in the "
			   "domain of hostname",
	  .example = "\"eve@example.com\", \"@eve.example\"",
	  .help = "More addresses the user may send as, where a listener's sender_match asks." },
	{ 0 },
};

void
verify_secret(void *block, const struct option_context *c)
{
	struct secret_settings *s = block;

	if (s->file == NULL && s->password == NULL)
		conf_error(c->errors, &s->place, "secret %s: either 'file' or 'password' is needed", s->name);
	if (s->user != NULL && !sasl_login_valid(s->user, strlen(s->user)))
		conf_error(c->errors, &s->place, "secret %s: 'user' has at most %d characters, none of them a control "
		    "character", s->name, SASL_LOGIN_MAX);
}

#define SECRET(field) .offset = offsetof(struct secret_settings, field)

const struct option secret_options[] = {
	{ .name = "user", .type = &option_string, .flags = OPTION_REQUIRED, SECRET(user), .example = "me",
	  .help = "The login." },
	{ .name = "file", .type = &option_path, SECRET(file), .example = "/etc/tmail/secrets/provider",
	  .help = "A file with the password on its only line. Read at start by the supervisor, so root alone need be able "
		  "to." },
	{ .name = "password", .type = &type_hidden, SECRET(password), .example = "correct horse",
	  .help = "The password itself; where file is given, too, it is not used." },
	{ 0 },
};
