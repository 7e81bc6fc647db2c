# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/history/block.c src/history/block.h \
	src/history/event.c src/history/event.h \
	src/history/files.c src/history/files.h \
	src/history/history.c src/history/history.h \
	src/history/scan.c src/history/scan.h
EXTRA_DIST += doc/history.md
