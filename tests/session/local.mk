# SPDX-License-Identifier: MIT
# Whole dialogues against the built programs. TMAIL_SESSION_ARGS: arguments for run.py, as "-k smoke".
TESTS += tests/session/session.test
EXTRA_DIST += tests/session/session.test tests/session/run.py tests/session/harness.py tests/session/client.py \
	tests/session/nexthop.py \
	tests/session/test_cli_queue.py tests/session/test_cli_status.py \
	tests/session/test_harness.py tests/session/test_smoke.py
EXTRA_DIST += tests/session/test_delivery_bounce.py tests/session/test_delivery_content.py \
	tests/session/test_delivery_hops.py tests/session/test_delivery_replies.py tests/session/test_delivery_tls.py
