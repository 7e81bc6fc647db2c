# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/delivery/delivery.h
