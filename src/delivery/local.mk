# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/delivery/apply.c \
	src/delivery/errand.c src/delivery/errand.h \
	src/delivery/callout.c src/delivery/callout.h \
	src/delivery/errand_history.c src/delivery/errand_history.h \
	src/delivery/bounce.c src/delivery/bounce.h \
	src/delivery/conn.c src/delivery/conn.h \
	src/delivery/content.c src/delivery/content.h \
	src/delivery/delivery.c src/delivery/delivery.h \
	src/delivery/exchange.c src/delivery/exchange.h \
	src/delivery/hop.c src/delivery/hop.h \
	src/delivery/login.c src/delivery/login.h \
	src/delivery/own.c src/delivery/own.h \
	src/delivery/reach.c \
	src/delivery/limits.c src/delivery/limits.h \
	src/delivery/reroute.c \
	src/delivery/routing.c src/delivery/routing.h \
	src/delivery/schedule.c src/delivery/schedule.h \
	src/delivery/session.c \
	src/delivery/site.c src/delivery/site.h \
	src/delivery/source.c src/delivery/source.h \
	src/delivery/status.c \
	src/delivery/sweep.c \
	src/delivery/transaction.c src/delivery/transaction.h \
	src/delivery/transfer.c
EXTRA_DIST += doc/delivery.md
