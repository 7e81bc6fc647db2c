# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/dns/answer.c src/dns/answer.h \
	src/dns/context.c src/dns/context.h \
	src/dns/dns.h \
	src/dns/host.c src/dns/host.h \
	src/dns/mx.c src/dns/mx.h \
	src/dns/resolver.c
