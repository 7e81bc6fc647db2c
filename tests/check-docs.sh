#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual page and the sample say what the option tables say, and the manual pages are well-formed.
# Runs in the build folder; $srcdir is the source.
set -u
srcdir=${srcdir:-..}
status=0

drift() { # what file
	if ! conf/docs "$1" | diff -u "$srcdir/$2" - ; then
		echo "$2 is stale: make update-docs" >&2
		status=1
	fi
}

drift manual man/tmail.conf.5
drift sample conf/tmail.conf.sample

if command -v mandoc >/dev/null; then
	for page in "$srcdir"/man/*.[1-8]; do
		mandoc -T lint -W warning "$page" || status=1
	done
fi
exit $status
