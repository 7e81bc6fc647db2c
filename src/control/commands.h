/* SPDX-License-Identifier: MIT */
/* The commands of the admin socket, one file per command or family; the table is in commands.c. */
#ifndef TMAIL_CONTROL_COMMANDS_H
#define TMAIL_CONTROL_COMMANDS_H

#include "control/job.h"
#include "spool/spool.h"

extern const struct admin_command status_command, reload_command, config_show_command;
extern const struct admin_command route_test_command;
extern const struct admin_command destination_list_command, destination_suspend_command, destination_resume_command;
extern const struct admin_command tls_list_command;
extern const struct admin_command queue_list_command, queue_count_command;
extern const struct admin_command queue_shape_command;
extern const struct admin_command queue_show_command, queue_why_command;
extern const struct admin_command queue_cat_command;
extern const struct admin_command queue_retry_command, queue_hold_command, queue_release_command,
    queue_bounce_command, queue_drop_command, queue_redirect_command;

/* The names that are suspended: a new array. DELIVERY may be NULL. */
struct delivery;
json_t *suspensions_to_json(struct delivery *delivery);

extern const struct admin_command lockout_list_command, lockout_clear_command;
extern const struct admin_command message_find_command, message_show_command;

/* What list, show and why say about an entry: a new object. */
json_t *entry_to_json(const struct entry_info *e);

#endif
