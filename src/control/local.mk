# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/control/certificates.c src/control/certificates.h \
	src/control/credentials.c src/control/credentials.h \
	src/control/channel.c src/control/channel.h \
	src/control/desk.c src/control/desk.h \
	src/control/log_target.c src/control/log_target.h \
	src/control/ports.c src/control/ports.h \
	src/control/reload.c src/control/reload.h \
	src/control/sandbox.c src/control/sandbox.h \
	src/control/sockets.c src/control/sockets.h \
	src/control/systemd.c src/control/systemd.h \
	src/control/supervisor.c src/control/supervisor.h \
	src/control/watch.c src/control/watch.h \
	src/control/worker.c src/control/worker.h \
	src/control/worker_apply.c src/control/worker_private.h
libtmail_la_SOURCES += \
	src/control/client.c src/control/client.h \
	src/control/cmd_destination.c \
	src/control/cmd_lockout.c \
	src/control/cmd_message_find.c \
	src/control/cmd_message_show.c \
	src/control/cmd_queue_act.c \
	src/control/cmd_queue_cat.c \
	src/control/cmd_queue_list.c \
	src/control/cmd_queue_shape.c \
	src/control/cmd_queue_show.c \
	src/control/cmd_config.c \
	src/control/cmd_reload.c \
	src/control/cmd_route_test.c \
	src/control/cmd_status.c \
	src/control/cmd_tls_list.c \
	src/control/commands.c src/control/commands.h \
	src/control/control.c src/control/control.h \
	src/control/filter.c src/control/filter.h \
	src/control/job.c src/control/job.h \
	src/control/scan.c src/control/scan.h \
	src/control/trace.c src/control/trace.h
