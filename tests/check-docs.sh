#!/bin/sh
# SPDX-License-Identifier: MIT
# The manual page and the sample say what the option tables say, the manual pages are well-formed, and every declared
# counter is counted somewhere.
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
# A counter that nothing counts would tell people that it never happens.
for counter in $(sed -n 's/^COUNTER(\([A-Z_]*\),.*/\1/p' "$srcdir/src/util/counters.def"); do
	grep -rqw "COUNTER_$counter" "$srcdir/src" --include='*.c' || {
		echo "src/util/counters.def: nothing counts $counter" >&2
		status=1
	}
done
exit $status
