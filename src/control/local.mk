# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/control/control.h \
	src/control/sandbox.c src/control/sandbox.h \
	src/control/supervisor.c src/control/supervisor.h \
	src/control/worker.c src/control/worker.h
