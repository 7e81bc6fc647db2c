# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/spool/batch.c src/spool/batch.h \
	src/spool/disk.c src/spool/disk.h \
	src/spool/log.c src/spool/log.h src/spool/log_ops.h \
	src/spool/log_adopt.c \
	src/spool/log_discard.c \
	src/spool/log_epoch.c \
	src/spool/log_file.c src/spool/log_file.h \
	src/spool/log_free.c \
	src/spool/log_index.c src/spool/log_index.h \
	src/spool/log_scan.c \
	src/spool/log_stock.c \
	src/spool/log_use.c \
	src/spool/segment.c src/spool/segment.h
EXTRA_DIST += doc/spool.md
