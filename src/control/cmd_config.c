/* SPDX-License-Identifier: MIT */
/* config.show: the configuration in force. */
#include "control/commands.h"
#include "directory/settings.h"

static const struct admin_arg show_args[] = {
	{ "mark", ARG_FLAG },
	{ 0 },
};

static bool
show_step(struct job *job)
{
	struct buf text = { 0 };

	if (job->settings != NULL)
		settings_show(job->settings, json_is_true(json_object_get(job->args, "mark")), &text);
	job_result(job, json_pack("{s:o}", "text", json_peer(buf_str(&text))));
	buf_fini(&text);
	return false;
}

const struct admin_command config_show_command = {
	.name = "config.show",
	.args = show_args,
	.step = show_step,
};
