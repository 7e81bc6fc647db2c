# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/spool/blob.c src/spool/blob.h \
	src/spool/committer.c src/spool/committer.h src/spool/committer_private.h \
	src/spool/committer_apply.c \
	src/spool/committer_house.c \
	src/spool/compact.c src/spool/compact.h \
	src/spool/disk.c src/spool/disk.h \
	src/spool/parcel.c src/spool/parcel.h \
	src/spool/entry.c \
	src/spool/entry_job.c src/spool/entry_job.h \
	src/spool/forward.c src/spool/forward.h \
	src/spool/index.c \
	src/spool/load.c src/spool/load.h \
	src/spool/message.c src/spool/message.h \
	src/spool/port.c \
	src/spool/queue.c \
	src/spool/record.c src/spool/record.h \
	src/spool/recovery.c src/spool/recovery.h \
	src/spool/spool.c src/spool/spool.h \
	src/spool/store.h \
	src/spool/stored.c \
	src/spool/walk.c \
	src/spool/operate.c \
	src/spool/batch.c src/spool/batch.h \
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
