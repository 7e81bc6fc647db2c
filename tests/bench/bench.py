#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""bench.py [SCENARIO]...: how fast and how small, beside Postfix, in one run. doc/performance.md explains the columns.

Needs root (Postfix, control groups) and `make bench` in the build folder, which is where it is run.
Scenarios: %s; default: all."""

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "session")]

import targets  # noqa: E402
from accounting import Account, Peak, busy, usable_hierarchy  # noqa: E402

KB = 1024

# name: options of bench-source, bytes a message, messages for each target.
THROUGHPUT = {
    "kept20": (["-d", "-s", "20"], 4 * KB, dict(null=40000, tmail=40000, postfix=5000)),
    "kept100": (["-d", "-s", "100"], 4 * KB, dict(null=40000, tmail=40000, postfix=5000)),
    "conn": (["-s", "50"], 4 * KB, dict(null=20000, tmail=20000, postfix=3000)),
    "50k": (["-d", "-s", "20"], 50 * KB, dict(null=20000, tmail=20000, postfix=3000)),
    "1m": (["-d", "-s", "20"], KB * KB, dict(null=2000, tmail=2000, postfix=300)),
}


class Bench:
    def __init__(self, a):
        self.a = a
        self.options = dict(tmaild=os.path.abspath(a.tmaild), tmail=os.path.abspath(a.tmail),
                            threads="threads = %d" % a.threads if a.threads else "")
        self.work = tempfile.mkdtemp(prefix="tmail-bench-", dir=a.queue)
        os.chmod(self.work, 0o755)
        self.sink = targets.Sink(a.programs, self.work)
        self.serial = 0

    def close(self):
        self.sink.stop()
        shutil.rmtree(self.work, ignore_errors=True)

    def target(self, kind, **options):
        """A target that is not started yet, in a fresh folder."""
        self.serial += 1
        folder = os.path.join(self.work, "%d-%s" % (self.serial, kind))
        os.mkdir(folder)
        os.chmod(folder, 0o755)
        os.sync()
        return targets.KINDS[kind](folder, self.sink.port, dict(self.options, **options))

    def end(self, target):
        target.close()
        if not self.a.keep:
            shutil.rmtree(target.folder, ignore_errors=True)

    def source_command(self, port, options, size, messages):
        if self.a.smtp_source:
            wanted = [o for o in options if o != "-p"]
            return ["smtp-source", *wanted, "-m", str(messages), "-l", str(size), "-f", "sender@example.com",
                    "-t", "rcpt@example.net", "127.0.0.1:%d" % port]
        return [os.path.join(self.a.programs, "bench-source"), *options, "-m", str(messages), "-l", str(size),
                str(port)]

    def load(self, port, options, size, messages, timeout=600):
        """Runs the generator; its own result as a dict."""
        begin = time.monotonic_ns()
        p = subprocess.run(self.source_command(port, options, size, messages), stdout=subprocess.PIPE,
                           stdin=subprocess.DEVNULL, timeout=timeout)
        seconds = (time.monotonic_ns() - begin) / 1e9
        if self.a.smtp_source:
            return dict(sent=messages if p.returncode == 0 else 0, seconds=seconds, start_ns=begin, cpu_s=0,
                        per_second=messages / seconds, p50_us=0, p99_us=0, p999_us=0)
        return json.loads(p.stdout)

    def drained(self, count):
        if not self.sink.drain(count, self.a.timeout):
            raise RuntimeError("the sink has %d of %d messages" % (self.sink.get("messages"), count))

    def throughput_run(self, kind, options, size, messages):
        """One repetition: the rates, and what they cost."""
        target = self.target(kind)
        try:
            target.start()
            at = self.sink.get("messages")
            self.load(target.port, ["-d", "-s", "10"], 4 * KB, 200)  # warm
            self.drained(at + 200)
            target.account.settle(3)
            at, cpu, sink_cpu, cores = self.sink.get("messages"), target.account.cpu(), self.sink.cpu(), busy()
            peak = Peak(target.account)
            result = self.load(target.port, options, size, messages)
            self.drained(at + messages)
            wall = (self.sink.get("latest_ns") - result["start_ns"]) / 1e9
            cores = busy() - cores
            sink_cpu = self.sink.cpu() - sink_cpu
            if kind != "null":
                target.account.settle()
            peak.stop()
            return {"in/s": result["per_second"], "e2e/s": messages / wall,
                    "us/msg": (target.account.cpu() - cpu) / messages * 1e6, "rss": peak.rss / KB / KB,
                    "pss": peak.pss / KB / KB, "gen": result["cpu_s"] / wall, "sink": sink_cpu / wall,
                    "busy": cores / wall, "p50 us": result["p50_us"], "p99 us": result["p99_us"]}
        finally:
            self.end(target)

    def throughput(self, name):
        options, size, counts = THROUGHPUT[name]
        kinds = [k for k in counts if k in self.a.targets]
        runs = {k: [] for k in kinds}
        for _ in range(self.a.reps):
            for kind in kinds:  # in turn, so that a slow minute of the machine hits all
                runs[kind].append(self.throughput_run(kind, options, size, int(counts[kind] * self.a.scale)))
        medians = {k: {c: statistics.median(r[c] for r in v) for c in v[0]} for k, v in runs.items()}
        table("%s: %s, %d bytes" % (name, " ".join(options), size), medians)
        if "tmail" in runs and "postfix" in runs:
            pairs = [t["e2e/s"] / p["e2e/s"] for t, p in zip(runs["tmail"], runs["postfix"])]
            print("tmail/postfix: %.1f times the rate (pairs %s), 1/%.1f of the CPU a message" % (
                medians["tmail"]["e2e/s"] / medians["postfix"]["e2e/s"], " ".join("%.1f" % r for r in pairs),
                medians["postfix"]["us/msg"] / medians["tmail"]["us/msg"]))
        if "tmail" in runs and "null" in runs:
            print("tmail/null: %.0f %%" % (100 * medians["tmail"]["e2e/s"] / medians["null"]["e2e/s"]))
        sys.stdout.flush()
        return medians

    # ---- TLS

    def tls20(self):
        """kept20 in plain text and under TLS, in turn."""
        messages = int(40000 * self.a.scale)
        runs = {"plain": [], "tls": []}
        for _ in range(self.a.reps):
            for way in runs:
                runs[way].append(self.tls_run(way == "tls", messages))
        medians = {k: {c: statistics.median(r[c] for r in v) for c in v[0]} for k, v in runs.items()}
        table("tls20: 20 kept sessions, 4096 bytes, next hop in plain text", medians)
        pairs = [t["e2e/s"] / p["e2e/s"] for t, p in zip(runs["tls"], runs["plain"])]
        print("tls/plain: %.0f %% (pairs %s)" % (100 * medians["tls"]["e2e/s"] / medians["plain"]["e2e/s"],
                                                " ".join("%.0f" % (100 * r) for r in pairs)))

    def tls_run(self, tls, messages):
        target = self.target("tls")
        options = ["-d", "-s", "20"] + (["-T"] if tls else [])
        try:
            target.start()
            port = target.tls_port if tls else target.port
            at = self.sink.get("messages")
            self.load(port, options, 4 * KB, 200)
            self.drained(at + 200)
            target.account.settle(3)
            at, cpu = self.sink.get("messages"), target.account.cpu()
            result = self.load(port, options, 4 * KB, messages)
            self.drained(at + messages)
            wall = (self.sink.get("latest_ns") - result["start_ns"]) / 1e9
            target.account.settle()
            return {"in/s": result["per_second"], "e2e/s": messages / wall,
                    "us/msg": (target.account.cpu() - cpu) / messages * 1e6, "gen": result["cpu_s"] / wall,
                    "p50 us": result["p50_us"], "p99 us": result["p99_us"]}
        finally:
            self.end(target)

    # ---- receiving alone

    def receive_run(self, kind, sessions, messages):
        """The rate of acknowledged messages while no next hop takes any."""
        target = self.target(kind)
        target.sink_port = targets.free_port()  # nobody listens there
        try:
            target.start()
            self.load(target.port, ["-d", "-s", "10"], 4 * KB, 200)
            time.sleep(0.5)
            cpu = target.account.cpu()
            result = self.load(target.port, ["-d", "-s", str(sessions)], 4 * KB, messages)
            if result["sent"] != messages:
                raise RuntimeError("%d of %d taken" % (result["sent"], messages))
            return {"in/s": result["per_second"], "us/msg": (target.account.cpu() - cpu) / messages * 1e6,
                    "p50 us": result["p50_us"], "p99 us": result["p99_us"], "p99.9 us": result["p999_us"]}
        finally:
            self.end(target)

    def receive(self):
        for sessions in (20, 40, 100):
            runs = {"discard": [], "tmail": []}
            for _ in range(self.a.reps):
                for kind in runs:
                    runs[kind].append(self.receive_run(kind, sessions, int(40000 * self.a.scale)))
            medians = {k: {c: statistics.median(r[c] for r in v) for c in v[0]} for k, v in runs.items()}
            table("receive: %d kept sessions, 4096 bytes, no delivery" % sessions, medians)
            print("durably/discarding: %.0f %%" % (100 * medians["tmail"]["in/s"] / medians["discard"]["in/s"]))

    # ---- latency

    def latency(self):
        full = self.throughput_run("tmail", ["-d", "-s", "20"], 4 * KB, int(20000 * self.a.scale))["e2e/s"]
        rows = {}
        for kind in [k for k in ("tmail", "postfix") if k in self.a.targets]:
            rate = full / 2
            if kind == "postfix":
                rate = self.throughput_run(kind, ["-d", "-s", "20"], 4 * KB, int(3000 * self.a.scale))["e2e/s"] / 2
            rows[kind] = self.latency_run(kind, int(rate))
        table("latency: the reply to end-of-data at half load, 20 kept sessions, 4096 bytes", rows)

    def latency_run(self, kind, rate):
        target = self.target(kind)
        try:
            target.start()
            at = self.sink.get("messages")
            self.load(target.port, ["-d", "-s", "10"], 4 * KB, 200)
            count = rate * 10
            result = self.load(target.port, ["-d", "-s", "20", "-r", str(rate)], 4 * KB, count)
            self.drained(at + 200 + count)
            return {"rate": rate, "p50 us": result["p50_us"], "p99 us": result["p99_us"],
                    "p99.9 us": result["p999_us"], "max us": result["max_us"], "late ms": result["late_ms"]}
        finally:
            self.end(target)

    # ---- idle sessions

    def idle(self):
        rows = {}
        for kind in [k for k in ("tmail", "postfix") if k in self.a.targets]:
            count = int((10000 if kind == "tmail" else 500) * self.a.scale)
            rows[kind] = self.idle_run(kind, count, 20000 if kind == "tmail" else 2000)
        table("idle: silent sessions, KiB each, and 20 kept sessions at full speed beside them", rows)

    def idle_tls(self):
        count = int(10000 * self.a.scale)
        table("idle-tls: silent sessions under TLS, KiB each, and 20 kept plain sessions at full speed beside them",
              {"tmail": self.idle_run("tls", count, 20000)})

    def idle_run(self, kind, count, messages):
        target = self.target(kind, sessions=count + 100)
        try:
            target.start()
            self.load(target.port, ["-d", "-s", "20"], KB, 20)  # little: memory it leaves free would be taken first
            target.account.settle(5)
            rss, pss, free = target.account.rss(), target.account.pss(), available()
            where = [str(target.port), str(count)] if kind != "tls" else [str(target.tls_port), str(count), "tls"]
            holder = subprocess.Popen([os.path.join(self.a.programs, "bench-idle"), *where],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            if not holder.stdout.readline().startswith(b"ready"):
                raise RuntimeError("the idle sessions were refused")
            time.sleep(2)
            row = {"sessions": count, "rss KiB": (target.account.rss() - rss) / KB / count,
                   "pss KiB": (target.account.pss() - pss) / KB / count,
                   "with kernel": (free - available()) / KB / count}
            at = self.sink.get("messages")
            result = self.load(target.port, ["-d", "-s", "20"], 4 * KB, messages)
            self.drained(at + messages)
            row["e2e/s"] = messages / ((self.sink.get("latest_ns") - result["start_ns"]) / 1e9)
            holder.stdin.close()
            holder.wait()
            return row
        finally:
            self.end(target)

    # ---- a million deferred messages

    def million(self):
        count = int(1000000 * self.a.scale)
        target = self.target("tmail")
        busy_folder = os.path.join(target.folder, "deferring")
        os.mkdir(busy_folder)
        hop = targets.Sink(self.a.programs, busy_folder, "defer")
        target.sink_port = hop.port  # for example.net; new.example has the sink that takes mail
        extra = "queue { retry = { 4h, 4h } }\ndomain new.example { next_hop = \"127.0.0.1:%d\" tls = none recipients = any }\n" % \
            self.sink.port
        row = {"messages": count}
        try:
            target.start(extra)
            row["p50 us empty"], row["p99 us empty"] = self.new_mail(target)
            target.account.settle(5)
            before = target.account.pss()
            row["filled/s"] = self.load(target.port, ["-d", "-s", "50"], 400, count, timeout=3600)["per_second"]
            self.all_tried(hop, count)
            target.account.settle(30)
            row["bytes each"] = (target.account.pss() - before) / count
            row["p50 us full"], row["p99 us full"] = self.new_mail(target)
            row["idle CPU %"] = self.idle_cpu(target)
            target.stop()
            row["220 after s"] = target.start(extra, seconds=300)
            begin = time.monotonic()
            self.new_mail(target, 1)
            row["delivery after s"] = row["220 after s"] + time.monotonic() - begin
            target.account.settle(30)
            row["bytes each again"] = (target.account.pss() - before) / count
            row["idle CPU % again"] = self.idle_cpu(target)
            table("million: deferred messages", {"tmail": row})
        finally:
            hop.stop()
            self.end(target)

    @staticmethod
    def all_tried(hop, count):
        """Until each of COUNT messages was attempted once."""
        end = time.monotonic() + 3600
        while hop.get("recipients") < count:
            if time.monotonic() > end:
                raise RuntimeError("%d of %d attempted" % (hop.get("recipients"), count))
            time.sleep(0.2)

    def new_mail(self, target, count=5000):
        """Mail to the domain whose next hop takes it; the p50 and p99 of its replies."""
        at = self.sink.get("messages")
        result = self.load(target.port, ["-d", "-s", "4", "-r", "1000", "-t", "rcpt@new.example"], 4 * KB, count)
        self.drained(at + count)
        return result["p50_us"], result["p99_us"]

    @staticmethod
    def idle_cpu(target, seconds=20):
        target.account.settle(30)
        before = target.account.cpu()
        time.sleep(seconds)
        return 100 * (target.account.cpu() - before) / seconds


def available():
    """What the machine could still give, kernel memory accounted for, in bytes."""
    with open("/proc/meminfo") as f:
        return next(int(line.split()[1]) * KB for line in f if line.startswith("MemAvailable:"))


def table(title, rows):
    """{row: {column: number}} as aligned text."""
    columns = list(dict.fromkeys(c for r in rows.values() for c in r))
    print("\n%s\n%-16s %s" % (title, "", " ".join("%*s" % (max(8, len(c)), c) for c in columns)))
    for name, row in rows.items():
        cells = ["%*s" % (max(8, len(c)), shown(row[c]) if c in row else "-") for c in columns]
        print("%-16s %s" % (name, " ".join(cells)))
    sys.stdout.flush()


def shown(value):
    return "%.2f" % value if abs(value) < 10 else "%.1f" % value if abs(value) < 100 else "%.0f" % value


SCENARIOS = dict({name: (lambda b, n=name: b.throughput(n)) for name in THROUGHPUT},
                 receive=Bench.receive, latency=Bench.latency, idle=Bench.idle, million=Bench.million,
                 tls20=Bench.tls20, **{"idle-tls": Bench.idle_tls})
__doc__ %= " ".join(SCENARIOS)


def mounted_image(path):
    """An ext4 with a journal in the file PATH, mounted; the mount point."""
    folder = tempfile.mkdtemp(prefix="tmail-bench-queue-")
    with open(path, "wb") as f:
        f.truncate(20 << 30)
    subprocess.run(["mkfs.ext4", "-q", "-F", path], check=True)
    subprocess.run(["mount", "-o", "loop", path, folder], check=True)
    return folder


def arguments():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("scenarios", nargs="*", metavar="SCENARIO")
    ap.add_argument("--reps", type=int, default=3, help="repetitions, medians are shown (3)")
    ap.add_argument("--scale", type=float, default=1, help="times the number of messages (1)")
    ap.add_argument("--targets", default="null,tmail,postfix", help="of null,tmail,postfix (all)")
    ap.add_argument("--threads", type=int, default=0, help="loops of tmaild (its default)")
    ap.add_argument("--smtp-source", action="store_true", help="Postfix's generator in place of bench-source")
    ap.add_argument("--queue", default=os.getcwd(), help="where queues are kept (here)")
    ap.add_argument("--queue-image", metavar="FILE", help="make FILE an ext4 with a journal and keep queues there")
    ap.add_argument("--tmaild", default="./tmaild")
    ap.add_argument("--tmail", default="./tmail")
    ap.add_argument("--programs", default="tests/bench", help="folder of the load programs (tests/bench)")
    ap.add_argument("--timeout", type=float, default=300, help="seconds to wait for the sink")
    ap.add_argument("--keep", action="store_true", help="leave the targets' folders behind")
    a = ap.parse_args()
    a.programs = os.path.abspath(a.programs)
    a.targets = a.targets.split(",")
    unknown = [s for s in a.scenarios if s not in SCENARIOS] + [t for t in a.targets if t not in targets.KINDS]
    if unknown:
        ap.error("unknown: " + " ".join(unknown))
    return a


def main():
    a = arguments()
    if os.geteuid() != 0:
        sys.exit("bench.py: run as root")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # runs the finally clauses
    Account.hierarchy = usable_hierarchy()
    image = None
    if a.queue_image:
        image = a.queue = mounted_image(a.queue_image)
    print("%s, load %.2f: %s" % (time.strftime("%F %T"), os.getloadavg()[0], " ".join(sys.argv[1:]) or "everything"))
    bench = Bench(a)
    try:
        for name in a.scenarios or SCENARIOS:
            SCENARIOS[name](bench)
    finally:
        bench.close()
        if image:
            subprocess.run(["umount", image])
            os.rmdir(image)
            os.unlink(a.queue_image)


if __name__ == "__main__":
    main()
