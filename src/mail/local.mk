# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/mail/address.h \
	src/mail/command.h \
	src/mail/datastream.h \
	src/mail/dsn.h \
	src/mail/header.h \
	src/mail/params.h \
	src/mail/reply.h \
	src/mail/trace.h
