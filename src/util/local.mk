# SPDX-License-Identifier: MIT
libtmail_la_SOURCES += \
	src/util/archive.c src/util/archive.h \
	src/util/arena.c src/util/arena.h \
	src/util/base64.c src/util/base64.h \
	src/util/buf.c src/util/buf.h \
	src/util/check.c src/util/check.h \
	src/util/clock.c src/util/clock.h \
	src/util/conf.c src/util/conf.h \
	src/util/conf_lex.c src/util/conf_lex.h \
	src/util/counters.c src/util/counters.h src/util/counters.def \
	src/util/crc32c.c src/util/crc32c.h \
	src/util/err.c src/util/err.h \
	src/util/file.c src/util/file.h \
	src/util/json.c src/util/json.h \
	src/util/list.h \
	src/util/log.c src/util/log.h \
	src/util/log_format.c src/util/log_format.h \
	src/util/log_record.c src/util/log_record.h \
	src/util/map.c src/util/map.h \
	src/util/option.c src/util/option.h src/util/option_rate.h \
	src/util/option_docs.c \
	src/util/option_keep.c \
	src/util/option_types.c \
	src/util/pool.c src/util/pool.h \
	src/util/random.c src/util/random.h \
	src/util/str.c src/util/str.h \
	src/util/suggest.c src/util/suggest.h \
	src/util/thread.c src/util/thread.h
