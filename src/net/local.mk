# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/net/addr.h \
	src/net/io.h \
	src/net/listener.h \
	src/net/loop.h \
	src/net/task.h \
	src/net/tls.h \
	src/net/work.h
