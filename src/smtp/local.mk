# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/smtp/server.h
