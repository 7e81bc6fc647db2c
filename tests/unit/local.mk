# SPDX-License-Identifier: MIT
# One cmocka program a module: tests/unit/test_NAME.c. A module adds three lines here.
unit_libs = libtmail.la $(CMOCKA_LIBS)
unit_tests =
scratch = tests/unit/scratch.c tests/unit/scratch.h

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif

unit_tests += tests/unit/test_util
tests_unit_test_util_SOURCES = tests/unit/test_util.c
tests_unit_test_util_LDADD = $(unit_libs)

unit_tests += tests/unit/test_log
tests_unit_test_log_SOURCES = tests/unit/test_log.c
tests_unit_test_log_LDADD = $(unit_libs)

unit_tests += tests/unit/test_net
tests_unit_test_net_SOURCES = tests/unit/test_net.c $(scratch)
tests_unit_test_net_LDADD = $(unit_libs) $(LIBEVENT_LIBS)

unit_tests += tests/unit/test_dns
tests_unit_test_dns_SOURCES = tests/unit/test_dns.c
tests_unit_test_dns_LDADD = $(unit_libs)
unit_tests += tests/unit/test_tls
tests_unit_test_tls_SOURCES = tests/unit/test_tls.c
tests_unit_test_tls_LDADD = $(unit_libs) $(OPENSSL_LIBS)

unit_tests += tests/unit/test_counters
tests_unit_test_counters_SOURCES = tests/unit/test_counters.c
tests_unit_test_counters_LDADD = $(unit_libs)

unit_tests += tests/unit/test_conf
tests_unit_test_conf_SOURCES = tests/unit/test_conf.c
tests_unit_test_conf_LDADD = $(unit_libs)
unit_tests += tests/unit/test_smtp
tests_unit_test_smtp_SOURCES = tests/unit/test_smtp.c tests/unit/smtp_fixture.c tests/unit/smtp_fixture.h
tests_unit_test_smtp_LDADD = $(unit_libs)
unit_tests += tests/unit/test_delivery
tests_unit_test_delivery_SOURCES = tests/unit/test_delivery.c
tests_unit_test_delivery_LDADD = $(unit_libs)
unit_tests += tests/unit/test_cli
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c
tests_unit_test_cli_LDADD = $(unit_libs) $(JANSSON_LIBS)

unit_tests += tests/unit/test_settings
tests_unit_test_settings_SOURCES = tests/unit/test_settings.c
tests_unit_test_settings_LDADD = $(unit_libs)
unit_tests += tests/unit/test_spool
tests_unit_test_spool_SOURCES = tests/unit/test_spool.c tests/unit/spool_rig.c tests/unit/spool_rig.h $(scratch)
tests_unit_test_spool_LDADD = $(unit_libs)
unit_tests += tests/unit/test_spool_log
tests_unit_test_spool_log_SOURCES = tests/unit/test_spool_log.c tests/unit/log_rig.c tests/unit/log_rig.h
tests_unit_test_spool_log_LDADD = $(unit_libs)

# A disk in memory that loses what was not synced: for the log, and for the whole spool.
simdisk = tests/unit/simdisk.c tests/unit/simdisk.h

unit_tests += tests/unit/test_crash
tests_unit_test_crash_SOURCES = tests/unit/test_crash.c $(simdisk)
tests_unit_test_crash_LDADD = $(unit_libs)
unit_tests += tests/unit/test_address
tests_unit_test_address_SOURCES = tests/unit/test_address.c
tests_unit_test_address_LDADD = $(unit_libs)

unit_tests += tests/unit/test_command
tests_unit_test_command_SOURCES = tests/unit/test_command.c
tests_unit_test_command_LDADD = $(unit_libs)

unit_tests += tests/unit/test_datastream
tests_unit_test_datastream_SOURCES = tests/unit/test_datastream.c
tests_unit_test_datastream_LDADD = $(unit_libs)

unit_tests += tests/unit/test_dsn
tests_unit_test_dsn_SOURCES = tests/unit/test_dsn.c
tests_unit_test_dsn_LDADD = $(unit_libs)

unit_tests += tests/unit/test_header
tests_unit_test_header_SOURCES = tests/unit/test_header.c
tests_unit_test_header_LDADD = $(unit_libs)

unit_tests += tests/unit/test_reply
tests_unit_test_reply_SOURCES = tests/unit/test_reply.c
tests_unit_test_reply_LDADD = $(unit_libs)

unit_tests += tests/unit/test_trace
tests_unit_test_trace_SOURCES = tests/unit/test_trace.c
tests_unit_test_trace_LDADD = $(unit_libs)
EXTRA_DIST += tests/unit/dsn_summary.py

unit_tests += tests/unit/test_log_faults
tests_unit_test_log_faults_SOURCES = tests/unit/test_log_faults.c tests/unit/log_rig.c tests/unit/log_rig.h $(simdisk)
tests_unit_test_log_faults_LDADD = $(unit_libs)
unit_tests += tests/unit/test_spool_crash
tests_unit_test_spool_crash_SOURCES = tests/unit/test_spool_crash.c $(simdisk)
tests_unit_test_spool_crash_LDADD = $(unit_libs)
unit_tests += tests/unit/test_control
tests_unit_test_control_SOURCES = tests/unit/test_control.c $(scratch)
tests_unit_test_control_LDADD = $(unit_libs) $(JANSSON_LIBS)
unit_tests += tests/unit/test_option
tests_unit_test_option_SOURCES = tests/unit/test_option.c
tests_unit_test_option_LDADD = $(unit_libs)

unit_tests += tests/unit/test_spool_memory
tests_unit_test_spool_memory_SOURCES = tests/unit/test_spool_memory.c $(scratch)
tests_unit_test_spool_memory_LDADD = $(unit_libs)

unit_tests += tests/unit/test_spool_threads
tests_unit_test_spool_threads_SOURCES = tests/unit/test_spool_threads.c tests/unit/spool_rig.c tests/unit/spool_rig.h $(scratch) $(simdisk)
tests_unit_test_spool_threads_LDADD = $(unit_libs)

unit_tests += tests/unit/test_sasl
tests_unit_test_sasl_SOURCES = tests/unit/test_sasl.c
tests_unit_test_sasl_LDADD = $(unit_libs)
unit_tests += tests/unit/test_scratch
tests_unit_test_scratch_SOURCES = tests/unit/test_scratch.c $(scratch)
tests_unit_test_scratch_LDADD = $(unit_libs)
unit_tests += tests/unit/test_proxyproto
tests_unit_test_proxyproto_SOURCES = tests/unit/test_proxyproto.c
tests_unit_test_proxyproto_LDADD = $(unit_libs)

unit_tests += tests/unit/test_mailbox
tests_unit_test_mailbox_SOURCES = tests/unit/test_mailbox.c
tests_unit_test_mailbox_LDADD = $(unit_libs)
unit_tests += tests/unit/test_history
tests_unit_test_history_SOURCES = tests/unit/test_history.c $(scratch)
tests_unit_test_history_LDADD = $(unit_libs)
