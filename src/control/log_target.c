/* SPDX-License-Identifier: MIT */
#include "control/log_target.h"
#include "directory/settings.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

int
log_target_open(const struct settings *s, int original, struct err *err)
{
	int fd;

	if (strcmp(s->log.to, "stderr") == 0)
		fd = fcntl(original, F_DUPFD_CLOEXEC, 3);
	else
		fd = open(s->log.to, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (fd < 0)
		return err_sys(err, "cannot open the log %s", s->log.to);
	return fd;
}

void
log_target_redirect(const struct settings *s, int fd, int original)
{
	log_set_format(s->log.format);
	dup2(s->log.to[0] == '/' ? fd : original, STDERR_FILENO);
}
