# SPDX-License-Identifier: MIT
# Whole dialogues against the built programs. TMAIL_SESSION_ARGS: arguments for run.py, as "-k smoke".
TESTS += tests/session/session.test
EXTRA_DIST += tests/session/session.test tests/session/run.py tests/session/harness.py tests/session/client.py \
	tests/session/nexthop.py \
	tests/session/test_cli_queue.py tests/session/test_cli_status.py \
	tests/session/test_harness.py tests/session/test_smoke.py
EXTRA_DIST += tests/session/test_smtp_content.py tests/session/test_smtp_dialogue.py \
	tests/session/test_smtp_limits.py tests/session/test_smtp_relay.py tests/session/test_smtp_tls.py
	tests/session/nexthop.py tests/session/faults.py tests/session/load.py tests/session/postfix.py \
	tests/session/test_crash.py \
	tests/session/test_faults.py \
	tests/session/test_harness.py \
	tests/session/test_smoke.py

# To be preloaded, also into programs that are not built with sanitizers: so it is not, either.
check_LTLIBRARIES += tests/session/faultfs.la
tests_session_faultfs_la_SOURCES = tests/session/faultfs.c
tests_session_faultfs_la_CFLAGS = -std=gnu11 $(WARN)
tests_session_faultfs_la_LDFLAGS = -module -avoid-version -rpath /nowhere
tests_session_faultfs_la_LIBADD = -ldl
EXTRA_DIST += tests/session/test_delivery_bounce.py tests/session/test_delivery_content.py \
	tests/session/test_delivery_hops.py tests/session/test_delivery_replies.py tests/session/test_delivery_tls.py
