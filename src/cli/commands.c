/* SPDX-License-Identifier: MIT */
/* The tables everything else reads: commands, nouns, options that several commands share, topics, exit codes. */
#include "cli/commands.h"

#include <stddef.h>

const struct cli_command *const cli_commands[] = {
	&cmd_status,
	&cmd_reload,
	&cmd_config_check,
	&cmd_config_show,
	&cmd_config_diff,
	&cmd_queue_list,
	&cmd_queue_show,
	&cmd_queue_cat,
	&cmd_queue_count,
	&cmd_queue_shape,
	&cmd_queue_why,
	&cmd_queue_retry,
	&cmd_queue_hold,
	&cmd_queue_release,
	&cmd_queue_bounce,
	&cmd_queue_drop,
	&cmd_queue_redirect,
	&cmd_user_hash,
	&cmd_lockout_list,
	&cmd_lockout_clear,
	&cmd_message_find,
	&cmd_message_show,
	&cmd_route_test,
	&cmd_destination_list,
	&cmd_destination_suspend,
	&cmd_destination_resume,
	&cmd_tls_list,
	&cmd_help,
	NULL,
};

const struct cli_noun cli_nouns[] = {
	{ "config", "the configuration: the file's, and the one in force",
	    "A running gateway goes by what it read last: tmail reload has it read its file again." },
	{ "queue", "mail that was accepted and is not delivered yet",
	    "A message waits once for each next hop it has to go to: with recipients behind two next hops it has two "
	    "entries, each with its own state. An entry is due (an attempt is about to begin), active (an attempt is in "
	    "progress), deferred (an attempt failed, the next one has its time) or held (an operator said so)." },
	{ "destination", "how much receivers are given, and stopping them",
	    "A destination is one or several next hops that share limits; the configuration names them." },
	{ "user", "those who may log in",
	    "Users stand in the configuration, in user blocks; see tmail.conf(5)." },
	{ "lockout", "addresses and logins that failed to log in too often",
	    "The rule is auth { lockout } in tmail.conf(5). Counts are kept in memory: a restart forgets them." },
	{ "route", "where mail goes, and by which rule",
	    "A recipient takes one route: that of the domain or route block of the configuration that matches it most "
	    "exactly. tmail.conf(5) has the order." },
	{ "tls", "certificates",
	    "What the gateway shows to clients that use TLS. Files are named in tls { certificate } of the configuration, "
	    "and watched: when one is renewed the gateway takes it over by itself." },
	{ "message", "what happened to messages, delivered and refused ones too",
	    "History keeps what happened to every message and every refused recipient for as long as the configuration's "
	    "history says, 7 days unless it says otherwise: when it came, from whom, through which client; what each next "
	    "hop answered; what operators did. It keeps neither content nor subject. Its order is that of time." },
	{ 0 },
};

const struct cli_option global_options[] = {
	{ "--json", NULL, NULL, OPTION_FLAG, NULL, "Print JSON, one object a line, in ASCII. Times are seconds since 1970." },
	{ "--socket", NULL, "PATH", OPTION_TEXT, NULL, "Talk to the admin socket PATH." },
	{ "--config", "-c", "FILE", OPTION_TEXT, NULL, "Find the admin socket in this configuration." },
	{ "--help", "-h", NULL, OPTION_FLAG, NULL, "Explain the command; works anywhere on the line." },
	{ "--version", NULL, NULL, OPTION_FLAG, NULL, "Print the version." },
	{ 0 },
};

const struct cli_option filter_options[] = {
	{ "--from", NULL, "PATTERN", OPTION_TEXT, "from", "The address of the sender." },
	{ "--to", NULL, "PATTERN", OPTION_TEXT, "to", "A recipient that is still waited for." },
	{ "--domain", NULL, "DOMAIN", OPTION_TEXT, "domain", "The domain of a recipient that is still waited for; may have *." },
	{ "--hop", NULL, "KEY", OPTION_TEXT, "hop", "Route, as tmail queue list shows it; may have *." },
	{ "--older", NULL, "TIME", OPTION_TIME, "older", "In the queue for at least TIME." },
	{ "--younger", NULL, "TIME", OPTION_TIME, "younger", "In the queue for less than TIME." },
	{ "--state", NULL, "STATE", OPTION_STATES, "state", "due, active, deferred or held; several with commas." },
	{ "--id", NULL, "ID", OPTION_ID, "ids", "This message; may be given several times." },
	{ "--limit", NULL, "N", OPTION_COUNT, "limit", "No more than N entries." },
	{ 0 },
};

const struct cli_option bulk_options[] = {
	{ "--all", NULL, NULL, OPTION_FLAG, "all", "Every entry of the queue." },
	{ "--yes", "-y", NULL, OPTION_FLAG, NULL, "Do not ask before changing what a filter chose." },
	{ 0 },
};

const struct cli_exit_text cli_exits[] = {
	{ CLI_OK, "Done." },
	{ CLI_FAILED, "The gateway could not do it, or only a part of it; the reason is on standard error." },
	{ CLI_USAGE, "The command line is wrong, or the file given by -c is." },
	{ CLI_UNREACHABLE, "The gateway cannot be reached or does not answer." },
	{ CLI_NOTHING, "Nothing matched: no such message, or no entry the filter chooses." },
	{ CLI_UNCONFIRMED, "Nothing was changed: the change would touch what a filter chose, and nobody said yes." },
	{ 0 },
};

const struct cli_topic cli_topics[] = {
	{ "filters", "how to choose entries of the queue",
	    "Options that choose entries may be combined; an entry must pass all of them.\n\n"
	    "PATTERN is a whole address (user@example.com), a domain (@example.com), <> for the null sender, or any of "
	    "them with * standing for anything: *@example.com, @*.example.com, news-*@*. Capital and small letters are "
	    "the same.\n\n"
	    "TIME is a number with a unit: 30s, 10min, 1h, 2d, 1w.\n\n"
	    "--from, --to and --domain have to read envelopes from disk; the others are answered from memory." },
	{ "exit-codes", "what the exit status means", NULL },
	{ "environment", "variables tmail reads",
	    "TMAIL_SOCKET is the admin socket when neither --socket nor -c is given. Without it the configuration "
	    "tmail/tmail.conf in the system's configuration folder names the socket, and where that cannot be read, it is "
	    "admin.sock in the state folder of an installed tmail." },
	{ "manual-page", "the source of tmail(1)", NULL },
	{ 0 },
};
