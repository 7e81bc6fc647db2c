# SPDX-License-Identifier: MIT
# One fuzz target a parser: tests/fuzz/fuzz_NAME.c defines LLVMFuzzerTestOneInput(), tests/fuzz/corpus/NAME/ holds
# inputs worth keeping. `make check` replays the corpus through the target (tests/fuzz/replay.c is the main then).
# With `CC=clang ./configure --enable-fuzzing --enable-asan --enable-ubsan` and `make fuzzers` the same targets are
# libFuzzer programs:
#
#	tests/fuzz/fuzz_NAME -max_total_time=300 [-dict=tests/fuzz/fuzz_NAME.dict] NEW_FOLDER tests/fuzz/corpus/NAME
#
# A target adds four lines here:
#
#	fuzz_targets += tests/fuzz/fuzz_NAME
#	tests_fuzz_fuzz_NAME_SOURCES = tests/fuzz/fuzz_NAME.c $(fuzz_main)
#	tests_fuzz_fuzz_NAME_LDADD = $(fuzz_libs)
#	tests_fuzz_fuzz_NAME_LDFLAGS = $(fuzz_ldflags)
fuzz_libs = libtmail.la
fuzz_targets =
EXTRA_DIST += tests/fuzz/corpus

if FUZZING
fuzz_main =
fuzz_ldflags = $(AM_LDFLAGS) -fsanitize=fuzzer
else
fuzz_main = tests/fuzz/replay.c
fuzz_ldflags = $(AM_LDFLAGS)
TESTS += $(fuzz_targets)
endif
check_PROGRAMS += $(fuzz_targets)

.PHONY: fuzzers
fuzzers: $(fuzz_targets)

fuzz_targets += tests/fuzz/fuzz_data
tests_fuzz_fuzz_data_SOURCES = tests/fuzz/fuzz_data.c $(fuzz_main)
tests_fuzz_fuzz_data_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_data_LDFLAGS = $(fuzz_ldflags)

fuzz_targets += tests/fuzz/fuzz_conf
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c $(fuzz_main)
tests_fuzz_fuzz_conf_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_conf_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += tests/fuzz/fuzz_conf.dict
fuzz_targets += tests/fuzz/fuzz_session
tests_fuzz_fuzz_session_SOURCES = tests/fuzz/fuzz_session.c tests/unit/smtp_fixture.c tests/unit/smtp_fixture.h $(fuzz_main)
tests_fuzz_fuzz_session_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_session_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += tests/fuzz/fuzz_data.dict

fuzz_targets += tests/fuzz/fuzz_address
tests_fuzz_fuzz_address_SOURCES = tests/fuzz/fuzz_address.c $(fuzz_main)
tests_fuzz_fuzz_address_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_address_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += tests/fuzz/fuzz_address.dict

fuzz_targets += tests/fuzz/fuzz_command
tests_fuzz_fuzz_command_SOURCES = tests/fuzz/fuzz_command.c $(fuzz_main)
tests_fuzz_fuzz_command_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_command_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += tests/fuzz/fuzz_command.dict

fuzz_targets += tests/fuzz/fuzz_bdat
tests_fuzz_fuzz_bdat_SOURCES = tests/fuzz/fuzz_bdat.c $(fuzz_main)
tests_fuzz_fuzz_bdat_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_bdat_LDFLAGS = $(fuzz_ldflags)

fuzz_targets += tests/fuzz/fuzz_dsn
tests_fuzz_fuzz_dsn_SOURCES = tests/fuzz/fuzz_dsn.c $(fuzz_main)
tests_fuzz_fuzz_dsn_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_dsn_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += tests/fuzz/fuzz_dsn.dict

fuzz_targets += tests/fuzz/fuzz_reply
tests_fuzz_fuzz_reply_SOURCES = tests/fuzz/fuzz_reply.c $(fuzz_main)
tests_fuzz_fuzz_reply_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_reply_LDFLAGS = $(fuzz_ldflags)
EXTRA_DIST += tests/fuzz/fuzz_reply.dict

fuzz_targets += tests/fuzz/fuzz_recovery
tests_fuzz_fuzz_recovery_SOURCES = tests/fuzz/fuzz_recovery.c $(simdisk) $(fuzz_main)
tests_fuzz_fuzz_recovery_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_recovery_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz_transaction
tests_fuzz_fuzz_transaction_SOURCES = tests/fuzz/fuzz_transaction.c $(fuzz_main)
tests_fuzz_fuzz_transaction_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_transaction_LDFLAGS = $(fuzz_ldflags)

fuzz_targets += tests/fuzz/fuzz_record
tests_fuzz_fuzz_record_SOURCES = tests/fuzz/fuzz_record.c $(fuzz_main)
tests_fuzz_fuzz_record_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_record_LDFLAGS = $(fuzz_ldflags)

fuzz_targets += tests/fuzz/fuzz_proxyproto
tests_fuzz_fuzz_proxyproto_SOURCES = tests/fuzz/fuzz_proxyproto.c $(fuzz_main)
tests_fuzz_fuzz_proxyproto_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_proxyproto_LDFLAGS = $(fuzz_ldflags)
fuzz_targets += tests/fuzz/fuzz_history
tests_fuzz_fuzz_history_SOURCES = tests/fuzz/fuzz_history.c $(fuzz_main)
tests_fuzz_fuzz_history_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_history_LDFLAGS = $(fuzz_ldflags)

fuzz_targets += tests/fuzz/fuzz_dns
tests_fuzz_fuzz_dns_SOURCES = tests/fuzz/fuzz_dns.c $(fuzz_main)
tests_fuzz_fuzz_dns_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_dns_LDFLAGS = $(fuzz_ldflags)

fuzz_targets += tests/fuzz/fuzz_sasl
tests_fuzz_fuzz_sasl_SOURCES = tests/fuzz/fuzz_sasl.c $(fuzz_main)
tests_fuzz_fuzz_sasl_LDADD = $(fuzz_libs)
tests_fuzz_fuzz_sasl_LDFLAGS = $(fuzz_ldflags)
