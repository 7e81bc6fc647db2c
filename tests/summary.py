#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""summary.py BUILD...: what the test runners of build folders reported, test by test.

Reads what `make check` and `make interop` leave there: a .trs file a program, and beside it its .log. Prints every
failure and every skip with its reason; the last line is "N passed, N failed, N skipped"."""

import os
import re
import sys

RUNNER = re.compile(r"(?m)^(\d+) passed, (\d+) failed, (\d+) skipped$")


def count_log(path, result):
    """(passed, failed, skipped) of one program and the lines that say what failed or was skipped."""
    with open(path, errors="replace") as f:
        text = f.read()
    own = RUNNER.findall(text)
    if own:
        counts = [int(n) for n in own[-1]]
        lines = re.findall(r"(?m)^(?:FAIL|SKIP) .*$", text)
    elif "[==========]" in text:  # cmocka; below its last line of that kind it names the failures again
        text = text[:text.rindex("[==========]")]
        counts = [len(re.findall(r"(?m)^\[ +%s +\] (?!\d+ test)" % word, text)) for word in ("OK", "FAILED", "SKIPPED")]
        lines = re.findall(r"(?m)^\[ +(?:FAILED|SKIPPED) +\] (?!\d+ test).*$", text)
    else:
        counts = [0, 0, 0]
        lines = []
    if result == "SKIP" and not any(counts):
        counts[2] = 1
        lines.append("SKIP " + (text.strip().splitlines() or ["no reason given"])[0])
    elif result == "PASS" and not any(counts):
        counts[0] = 1
    elif result not in ("PASS", "SKIP") and not counts[1]:
        counts[1] = 1
        lines.append("FAIL the program ended with %s:\n%s" % (result, "\n".join(text.splitlines()[-30:])))
    return counts, lines


def main():
    total = [0, 0, 0]
    programs = 0
    for top in sys.argv[1:]:
        for folder, _, names in sorted(os.walk(top)):
            for name in sorted(n for n in names if n.endswith(".trs")):
                path = os.path.join(folder, name)
                with open(path) as f:
                    result = re.search(r":test-result: (\w+)", f.read()).group(1)
                counts, lines = count_log(path[:-4] + ".log", result)
                programs += 1
                total = [a + b for a, b in zip(total, counts)]
                for line in lines:
                    print("%s: %s" % (os.path.relpath(path[:-4], top), line))
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return 1 if total[1] or not programs else 0


if __name__ == "__main__":
    sys.exit(main())
