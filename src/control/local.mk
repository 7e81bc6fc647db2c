# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/control/control.h
