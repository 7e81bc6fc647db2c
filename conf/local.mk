# SPDX-License-Identifier: MIT
# The manual page and the sample are generated from the option tables and kept in the tree; a stale one fails
# tests/check-docs.sh.
noinst_PROGRAMS += conf/docs
conf_docs_SOURCES = conf/docs.c
conf_docs_LDADD = libtmail.la

dist_man_MANS += man/tmail.conf.5 man/tmaild.8
dist_doc_DATA = conf/tmail.conf.sample
EXTRA_DIST += \
	conf/front-of-my-mail-server.conf \
	conf/isp-smarthost.conf \
	conf/outbound-relay.conf \
	conf/two-mail-servers.conf

.PHONY: update-docs
update-docs: conf/docs$(EXEEXT)
	$(AM_V_GEN)conf/docs manual >$(srcdir)/man/tmail.conf.5
	$(AM_V_GEN)conf/docs sample >$(srcdir)/conf/tmail.conf.sample

dist_check_SCRIPTS = tests/check-docs.sh tests/check-layers.sh
TESTS += $(dist_check_SCRIPTS)
