# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/mail/address.c src/mail/address.h \
	src/mail/authline.c src/mail/authline.h \
	src/mail/bdat.c src/mail/bdat.h \
	src/mail/command.c src/mail/command.h \
	src/mail/datastream.c src/mail/datastream.h \
	src/mail/dsn.c src/mail/dsn.h src/mail/dsn_private.h src/mail/dsn_text.c \
	src/mail/header.c src/mail/header.h \
	src/mail/mailbox.c src/mail/mailbox.h \
	src/mail/idn.c src/mail/idn.h \
	src/mail/mime.c src/mail/mime.h \
	src/mail/params.c src/mail/params.h \
	src/mail/reply.c src/mail/reply.h \
	src/mail/sasl.c src/mail/sasl.h \
	src/mail/scram.c src/mail/scram.h \
	src/mail/trace.c src/mail/trace.h \
	src/mail/utf8.c src/mail/utf8.h
