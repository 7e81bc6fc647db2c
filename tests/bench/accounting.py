# SPDX-License-Identifier: MIT
"""What the processes of one target cost: CPU time (also of those that have ended) and memory."""

import os
import threading
import time

TICK = os.sysconf("SC_CLK_TCK")


def usable_hierarchy():
    """(folder, kind) of a control group hierarchy we may make groups in, or None."""
    for folder, kind, mark in (("/sys/fs/cgroup/cpuacct", "v1", "cpuacct.usage"),
                               ("/sys/fs/cgroup/cpu,cpuacct", "v1", "cpuacct.usage"),
                               ("/sys/fs/cgroup", "v2", "cgroup.controllers")):
        if not os.path.exists(os.path.join(folder, mark)):
            continue
        probe = "%s/tmail-bench-%d" % (folder, os.getpid())
        try:
            os.mkdir(probe)
            os.rmdir(probe)
            return folder, kind
        except OSError:
            pass
    return None


def stat_fields(pid):
    with open("/proc/%d/stat" % pid) as f:
        return f.read().rsplit(")", 1)[1].split()


def process_cpu(pid):
    """Seconds of one process, its waited-for children not included."""
    fields = stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / TICK


class Account:
    """The processes of a target: give enter() to Popen as preexec_fn and set root to its pid."""

    hierarchy = None
    serial = 0

    def __init__(self):
        self.root = None
        self.folder = None
        if Account.hierarchy:
            Account.serial += 1
            self.folder = "%s/tmail-bench-%d-%d" % (Account.hierarchy[0], os.getpid(), Account.serial)
            os.mkdir(self.folder)

    def enter(self):
        if self.folder:
            with open(self.folder + "/cgroup.procs", "w") as f:
                f.write(str(os.getpid()))

    def pids(self):
        if self.folder:
            with open(self.folder + "/cgroup.procs") as f:
                return [int(line) for line in f]
        children = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    children.setdefault(int(stat_fields(int(name))[1]), []).append(int(name))
                except (OSError, IndexError):
                    continue
        found, todo = [], [self.root] if self.root else []
        while todo:
            pid = todo.pop()
            found.append(pid)
            todo += children.get(pid, [])
        return [p for p in found if os.path.exists("/proc/%d" % p)]

    def cpu(self):
        """Seconds so far, user and system together."""
        if self.folder and Account.hierarchy[1] == "v1":
            with open(self.folder + "/cpuacct.usage") as f:
                return int(f.read()) / 1e9
        if self.folder:
            with open(self.folder + "/cpu.stat") as f:
                return int(dict(line.split() for line in f)["usage_usec"]) / 1e6
        total = 0
        for pid in self.pids():
            try:
                total += sum(int(x) for x in stat_fields(pid)[11:15])
            except OSError:
                pass
        return total / TICK

    def rss(self):
        """Bytes resident, shared pages counted in each process."""
        return self.mapped("Rss:")

    def pss(self):
        """Bytes resident, shared pages divided among those who share them."""
        return self.mapped("Pss:")

    def mapped(self, kind):
        """From smaps_rollup: statm is cheaper, and off by the kernel's per-CPU counters."""
        total = 0
        for pid in self.pids():
            try:
                with open("/proc/%d/smaps_rollup" % pid) as f:
                    total += sum(int(line.split()[1]) * 1024 for line in f if line.startswith(kind))
            except OSError:
                pass
        return total

    def settle(self, seconds=4):
        """Waits until the target has nothing more to do."""
        end = time.monotonic() + seconds
        before = self.cpu()
        while time.monotonic() < end:
            time.sleep(0.3)
            now = self.cpu()
            if now - before < 0.006:
                return
            before = now

    def close(self):
        """After the target has ended."""
        end = time.monotonic() + 5
        while self.folder and time.monotonic() < end:
            try:
                os.rmdir(self.folder)
                return
            except OSError:
                for pid in self.pids():
                    try:
                        os.kill(pid, 9)
                    except ProcessLookupError:
                        pass
                time.sleep(0.05)


class Peak(threading.Thread):
    """The largest memory use until stop()."""

    def __init__(self, account):
        super().__init__(daemon=True)
        self.account = account
        self.rss = self.pss = 0
        self.ended = threading.Event()
        self.start()

    def run(self):
        while not self.ended.wait(1):
            self.rss = max(self.rss, self.account.rss())
            self.pss = max(self.pss, self.account.pss())

    def stop(self):
        self.ended.set()
        self.join()
        self.rss = max(self.rss, self.account.rss())
        self.pss = max(self.pss, self.account.pss())


def busy():
    """Seconds all cores were busy since boot."""
    with open("/proc/stat") as f:
        v = [int(x) for x in f.readline().split()[1:9]]
    return (sum(v) - v[3] - v[4] - v[7]) / TICK
