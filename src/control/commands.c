/* SPDX-License-Identifier: MIT */
#include "control/commands.h"

#include <string.h>

static const struct admin_command *const commands[] = {
	&status_command,
	&reload_command,
	&config_show_command,
	&tls_list_command,
	&queue_list_command,
	&queue_count_command,
	&queue_shape_command,
	&queue_show_command,
	&queue_why_command,
	&queue_cat_command,
	&queue_retry_command,
	&queue_hold_command,
	&queue_release_command,
	&queue_bounce_command,
	&queue_drop_command,
	&queue_redirect_command,
	&lockout_list_command,
	&lockout_clear_command,
	&route_test_command,
	&destination_list_command,
	&destination_suspend_command,
	&destination_resume_command,
	&message_find_command,
	&message_show_command,
};

const struct admin_command *
admin_command_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof commands / sizeof *commands; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}
