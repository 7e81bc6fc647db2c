#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the test files of a folder, each in a process of its own, two at a time.

    run.py [-j N] [-k WORD] [-v] [FOLDER | FILE]...

The last line is "N passed, N failed, N skipped". The status is 1 when a test failed. Every skip says why."""

import argparse
import concurrent.futures
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))
FILE_LIMIT = float(os.environ.get("TMAIL_TEST_FILE_LIMIT", "900"))  # seconds for one file


class Recorder(unittest.TestResult):
    """Keeps one entry a test; a failure takes the test's own diagnosis along."""

    def __init__(self):
        super().__init__()
        self.entries = []
        self.began = 0.0

    def startTest(self, test):
        super().startTest(test)
        self.began = time.monotonic()
        self.bad = []

    def stopTest(self, test):
        if self.bad:
            self.entry(test, "failed", "\n".join(self.bad))
        super().stopTest(test)

    def entry(self, test, kind, detail=""):
        self.entries.append(dict(name=test.id(), kind=kind, detail=detail, seconds=time.monotonic() - self.began))

    def problem(self, test, err):
        if not hasattr(self, "bad"):  # setUpClass or the import failed: no startTest
            return self.entry(test, "failed", "".join(traceback.format_exception(*err)))
        text = "".join(traceback.format_exception(*err))
        if not self.bad and hasattr(test, "diagnose"):
            try:
                text += test.diagnose()
            except Exception as e:  # a broken diagnosis must not hide the failure
                text += "(no diagnosis: %r)" % e
        self.bad.append(text)

    addError = addFailure = problem

    def addSubTest(self, test, subtest, err):
        if err is not None:
            self.problem(test, err[0:1] + (AssertionError("%s: %s" % (subtest._subDescription(), err[1])),) + err[2:])

    def addSuccess(self, test):
        if not self.bad:
            self.entry(test, "passed")

    def addSkip(self, test, reason):
        self.began = self.began or time.monotonic()
        self.entry(test, "skipped", reason)

    def addExpectedFailure(self, test, err):
        self.problem(test, (AssertionError, AssertionError("expected failures are not allowed here"), None))

    def addUnexpectedSuccess(self, test):
        self.entry(test, "passed")


def flatten(suite):
    for item in suite:
        if isinstance(item, unittest.TestSuite):
            yield from flatten(item)
        else:
            yield item


def run_file(path, word, out):
    """In the child: the tests of one file; the entries go to OUT as JSON."""
    folder, name = os.path.split(path)
    sys.path[:0] = [folder, HERE]
    loaded = unittest.TestLoader().loadTestsFromName(os.path.splitext(name)[0])
    tests = [t for t in flatten(loaded) if not word or word in t.id()]
    recorder = Recorder()
    unittest.TestSuite(tests).run(recorder)
    with open(out, "w") as f:
        json.dump(recorder.entries, f)


def supervise(path, word):
    """In the parent: runs one file and returns its entries."""
    fd, out = tempfile.mkstemp(prefix="tmail-run-")
    os.close(fd)
    command = [sys.executable, os.path.abspath(__file__), "--file", path, "--out", out] + (["-k", word] if word else [])
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
    try:
        said, _ = child.communicate(timeout=FILE_LIMIT)
        trouble = "the test program ended with status %d" % child.returncode if child.returncode else ""
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        said, _ = child.communicate()
        trouble = "longer than %g s" % FILE_LIMIT
    try:
        with open(out) as f:
            entries = json.load(f)
    except ValueError:
        entries = []
        trouble = trouble or "no result"
    os.unlink(out)
    if trouble:
        entries.append(dict(name=os.path.basename(path), kind="failed", seconds=0,
                            detail=trouble + "\n" + said.decode(errors="replace")))
    return entries


def find(arguments):
    files = []
    for a in arguments:
        if os.path.isdir(a):
            files += sorted(os.path.join(a, n) for n in os.listdir(a) if n.startswith("test_") and n.endswith(".py"))
        else:
            files.append(a)
    return [os.path.abspath(f) for f in files]


def report(path, entries, verbose):
    for e in entries:
        if e["kind"] == "failed":
            print("FAIL %s (%.1f s)\n%s" % (e["name"], e["seconds"], e["detail"].rstrip()))
        elif e["kind"] == "skipped":
            print("SKIP %s: %s" % (e["name"], e["detail"]))
        elif verbose:
            print("ok   %s (%.1f s)" % (e["name"], e["seconds"]))
    counts = [sum(e["kind"] == k for e in entries) for k in ("passed", "failed", "skipped")]
    if entries:
        print("%-24s %3d passed %3d failed %3d skipped  %.1f s" % (os.path.basename(path), *counts,
                                                                   sum(e["seconds"] for e in entries)), flush=True)
    return counts


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("what", nargs="*", default=[HERE])
    ap.add_argument("-j", type=int, default=2, help="files at a time (default 2)")
    ap.add_argument("-k", default="", metavar="WORD", help="only tests whose name contains WORD")
    ap.add_argument("-v", action="store_true", help="name every test")
    ap.add_argument("--file", help=argparse.SUPPRESS)
    ap.add_argument("--out", help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.file:
        run_file(a.file, a.k, a.out)
        return 0
    total = [0, 0, 0]
    with concurrent.futures.ThreadPoolExecutor(a.j) as pool:
        jobs = {pool.submit(supervise, path, a.k): path for path in find(a.what)}
        for job in concurrent.futures.as_completed(jobs):
            counts = report(jobs[job], job.result(), a.v)
            total = [x + y for x, y in zip(total, counts)]
    print("%d passed, %d failed, %d skipped" % tuple(total))
    return 1 if total[1] or not total[0] + total[2] else 0


if __name__ == "__main__":
    sys.exit(main())
