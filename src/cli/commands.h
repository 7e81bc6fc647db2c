/* SPDX-License-Identifier: MIT */
/* The rows of the command table, one file per command; the table is in commands.c. */
#ifndef TMAIL_CLI_COMMANDS_H
#define TMAIL_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct cli_command cmd_status, cmd_config_check, cmd_config_show, cmd_config_diff, cmd_reload, cmd_help;
extern const struct cli_command cmd_queue_list, cmd_queue_show, cmd_queue_cat, cmd_queue_count, cmd_queue_shape,
    cmd_queue_why;
extern const struct cli_command cmd_tls_list;
extern const struct cli_command cmd_queue_retry, cmd_queue_hold, cmd_queue_release, cmd_queue_bounce, cmd_queue_drop,
    cmd_queue_redirect;
extern const struct cli_command cmd_message_find, cmd_message_show;

extern const struct cli_command cmd_user_hash, cmd_lockout_list, cmd_lockout_clear;
extern const struct cli_command cmd_route_test;
extern const struct cli_command cmd_destination_list, cmd_destination_suspend, cmd_destination_resume;

/* What retry, hold, release, bounce and drop do: count, ask, act. */
enum cli_exit cli_queue_act(struct cli *cli);

#endif
