# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/cli/args.c \
	src/cli/cli.c src/cli/cli.h \
	src/cli/cmd_destination.c \
	src/cli/cmd_lockout.c \
	src/cli/cmd_user_hash.c \
	src/cli/cmd_help.c \
	src/cli/cmd_message_find.c \
	src/cli/cmd_message_show.c \
	src/cli/cmd_queue_bounce.c \
	src/cli/cmd_queue_cat.c \
	src/cli/cmd_queue_count.c \
	src/cli/cmd_queue_drop.c \
	src/cli/cmd_queue_hold.c \
	src/cli/cmd_queue_list.c \
	src/cli/cmd_queue_redirect.c \
	src/cli/cmd_queue_release.c \
	src/cli/cmd_queue_retry.c \
	src/cli/cmd_queue_shape.c \
	src/cli/cmd_queue_show.c \
	src/cli/cmd_config.c \
	src/cli/cmd_reload.c \
	src/cli/cmd_route_test.c \
	src/cli/cmd_tls_list.c \
	src/cli/cmd_status.c \
	src/cli/commands.c src/cli/commands.h \
	src/cli/connection.c src/cli/connection.h \
	src/cli/fields.h \
	src/cli/help.c src/cli/help.h \
	src/cli/queue_act.c \
	src/cli/render.c src/cli/render.h

dist_man_MANS += man/tmail.1
EXTRA_DIST += tests/unit/tmail-man.test doc/admin-protocol.md doc/administration.md
TESTS += tests/unit/tmail-man.test
