# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/spool/blob.c src/spool/blob.h \
	src/spool/committer.c src/spool/committer.h \
	src/spool/disk.c src/spool/disk.h \
	src/spool/encode.c src/spool/encode.h \
	src/spool/entry.c \
	src/spool/index.c \
	src/spool/load.c src/spool/load.h \
	src/spool/log.h \
	src/spool/log_memory.c \
	src/spool/message.c src/spool/message.h \
	src/spool/port.c \
	src/spool/queue.c \
	src/spool/record.c src/spool/record.h \
	src/spool/spool.c src/spool/spool.h \
	src/spool/store.h
