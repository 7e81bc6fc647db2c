# SPDX-License-Identifier: MIT
# Whole dialogues against the built programs. TMAIL_SESSION_ARGS: arguments for run.py, as "-k smoke".
TESTS += tests/session/session.test
EXTRA_DIST += tests/session/session.test
EXTRA_DIST += tests/session/run.py
EXTRA_DIST += tests/session/harness.py
EXTRA_DIST += tests/session/client.py
EXTRA_DIST += tests/session/nexthop.py
EXTRA_DIST += tests/session/faults.py
EXTRA_DIST += tests/session/load.py
EXTRA_DIST += tests/session/postfix.py
EXTRA_DIST += tests/session/zone.py
EXTRA_DIST += tests/session/certificates.py
EXTRA_DIST += tests/session/test_cli_queue.py
EXTRA_DIST += tests/session/test_cli_redirect.py
EXTRA_DIST += tests/session/test_cli_status.py
EXTRA_DIST += tests/session/test_cli_tls.py
EXTRA_DIST += tests/session/test_configuration.py
EXTRA_DIST += tests/session/test_crash.py
EXTRA_DIST += tests/session/test_delivery_bounce.py
EXTRA_DIST += tests/session/test_delivery_content.py
EXTRA_DIST += tests/session/test_delivery_hops.py
EXTRA_DIST += tests/session/test_delivery_limits.py
EXTRA_DIST += tests/session/test_delivery_lmtp.py
EXTRA_DIST += tests/session/test_delivery_replies.py
EXTRA_DIST += tests/session/test_delivery_source.py
EXTRA_DIST += tests/session/test_delivery_tls.py
EXTRA_DIST += tests/session/test_dsn.py
EXTRA_DIST += tests/session/test_dns_hosts.py
EXTRA_DIST += tests/session/test_dns_mx.py
EXTRA_DIST += tests/session/test_destination.py
EXTRA_DIST += tests/session/test_faults.py
EXTRA_DIST += tests/session/test_harness.py
EXTRA_DIST += tests/session/test_memory.py
EXTRA_DIST += tests/session/test_readme.py
EXTRA_DIST += tests/session/test_reload.py
EXTRA_DIST += tests/session/test_routing.py
EXTRA_DIST += tests/session/test_smoke.py
EXTRA_DIST += tests/session/test_smtp_bdat.py
EXTRA_DIST += tests/session/test_smtp_clients.py
EXTRA_DIST += tests/session/test_smtp_content.py
EXTRA_DIST += tests/session/test_smtp_dialogue.py
EXTRA_DIST += tests/session/test_smtp_limits.py
EXTRA_DIST += tests/session/test_smtp_relay.py
EXTRA_DIST += tests/session/test_smtp_tls.py
EXTRA_DIST += tests/session/test_supervisor.py
EXTRA_DIST += tests/session/test_delivery_verify.py
EXTRA_DIST += tests/session/test_tls_certificates.py
EXTRA_DIST += tests/session/test_tls_clients.py

# To be preloaded, also into programs that are not built with sanitizers: so it is not, either.
check_LTLIBRARIES += tests/session/faultfs.la
tests_session_faultfs_la_SOURCES = tests/session/faultfs.c
tests_session_faultfs_la_CFLAGS = -std=gnu11 $(WARN)
tests_session_faultfs_la_LDFLAGS = -module -avoid-version -rpath /nowhere
tests_session_faultfs_la_LIBADD = -ldl
