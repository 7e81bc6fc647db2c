# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/smtp/auth.c src/smtp/auth.h \
	src/smtp/arrival.c src/smtp/arrival.h \
	src/smtp/clients.c src/smtp/clients.h \
	src/smtp/cmd_auth.c \
	src/smtp/cmd_bdat.c \
	src/smtp/cmd_data.c \
	src/smtp/cmd_helo.c \
	src/smtp/cmd_mail.c \
	src/smtp/cmd_misc.c \
	src/smtp/cmd_rcpt.c \
	src/smtp/cmd_starttls.c \
	src/smtp/cmd_xclient.c \
	src/smtp/content.c src/smtp/content.h \
	src/smtp/dovecot.c src/smtp/dovecot.h \
	src/smtp/lockout.c src/smtp/lockout.h \
	src/smtp/defence.c src/smtp/defence.h \
	src/smtp/identity.c src/smtp/identity.h \
	src/smtp/input.c src/smtp/input.h \
	src/smtp/sender_match.c src/smtp/sender_match.h \
	src/smtp/server.c src/smtp/server.h \
	src/smtp/server_private.h \
	src/smtp/session.c src/smtp/session.h \
	src/smtp/session_history.c src/smtp/session_history.h \
	src/smtp/session_reply.c \
	src/smtp/transaction.c src/smtp/transaction.h \
	src/smtp/verify.c src/smtp/verify.h \
	src/smtp/verify_known.c src/smtp/verify_known.h \
	src/smtp/verbs.c src/smtp/verbs.h
EXTRA_DIST += doc/smtp.md
