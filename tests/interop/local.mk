# SPDX-License-Identifier: MIT
# Programs we did not write, around the built gateway: `make interop`. Run as root Postfix takes part, too.
EXTRA_DIST += tests/interop/test_swaks.py tests/interop/test_smtplib.py tests/interop/test_postfix.py tests/interop/test_haproxy.py
EXTRA_DIST += tests/interop/test_nsd.py
EXTRA_DIST += tests/interop/test_dovecot_lmtp.py

.PHONY: interop
interop: all
	@$(MKDIR_P) tests/interop; \
	if PYTHONDONTWRITEBYTECODE=1 $(PYTHON3) $(top_srcdir)/tests/session/run.py $(TMAIL_SESSION_ARGS) \
		$(top_srcdir)/tests/interop >tests/interop/interop.log 2>&1; then r=PASS; else r=FAIL; fi; \
	echo ":test-result: $$r" >tests/interop/interop.trs; cat tests/interop/interop.log; test $$r = PASS
CLEANFILES += tests/interop/interop.log tests/interop/interop.trs
