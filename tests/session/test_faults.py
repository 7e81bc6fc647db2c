# SPDX-License-Identifier: MIT
"""A machine in trouble: full disks, failing disks, no descriptors. Refused for a while, never lost, never 5xx."""

import os
import re
import subprocess
import time

import harness
from faults import Faults
from load import Arrivals, Load

LETTER = b"Subject: x\r\n\r\nHello\r\n"



class Faulty(harness.SessionTest):
    def attempt(self, gateway, data=LETTER, declared=None):
        """One message; the first reply that is not positive, or the reply to end-of-data."""
        with gateway.client() as c:
            c.hello()
            mail = "MAIL FROM:<a@example.com>" + (" SIZE=%d" % declared if declared else "")
            for line, code in ((mail, 250), ("RCPT TO:<b@example.net>", 250), ("DATA", 354)):
                reply = c.command(line)
                if reply.code != code:
                    return reply
            c.send(harness.dot_stuffed(data))
            return c.recv_reply()

    def assert_refused_for_now(self, reply):
        self.assertIn(reply.code, (421, 450, 451, 452), reply)

    def recovers(self, gateway, timeout=30):
        harness.wait_until(lambda: self.attempt(gateway).code == 250, timeout, "a message taken again", 0.2)

    def faulty_gateway(self, hop, **kw):
        faults = Faults(self)
        gateway = self.gateway(next_hop=hop, start=False, **kw)
        faults.options(gateway)
        gateway.start()
        gateway.send()
        hop.wait_messages(1)
        self.wait_for_stock(gateway)
        return gateway, faults

    def wait_for_stock(self, gateway):
        """Until the log has its prepared segments, so that no fault strikes their making instead."""
        def ready():
            names = [n for _, _, files in os.walk(os.path.join(gateway.state, "spool")) for n in files]
            return sum(n.endswith(".seg") for n in names) >= 5 and not any(n.endswith(".new") for n in names)
        harness.wait_until(ready, what="prepared segments")


class FailingDisk(Faulty):
    def refused_while(self, kind, error):
        hop = self.next_hop()
        gateway, faults = self.faulty_gateway(hop)
        faults.arm(kind, error)
        replies = [self.attempt(gateway) for _ in range(5)]
        for reply in replies:
            self.assert_refused_for_now(reply)
        self.assertGreater(faults.hits(kind), 0)
        faults.disarm(kind)
        self.recovers(gateway)
        hop.wait_messages(2)
        gateway.restart()
        gateway.send()
        got = hop.wait_messages(3)
        self.assertEqual(len(got), 3, "a refused message was relayed")

    def test_write_error_is_answered_4xx_and_recovers(self):
        self.refused_while("write", "EIO")

    def test_full_disk_at_write_is_answered_4xx_and_recovers(self):
        self.refused_while("write", "ENOSPC")

    def test_sync_error_is_answered_4xx_and_recovers(self):
        self.refused_while("sync", "EIO")

    def test_one_failed_sync_is_not_retried_as_if_it_had_succeeded(self):
        hop = self.next_hop()
        gateway, faults = self.faulty_gateway(hop)
        faults.arm("sync", "EIO", times=1)
        self.assert_refused_for_now(self.attempt(gateway))
        self.assertEqual(faults.hits("sync"), 1)
        self.recovers(gateway)
        gateway.kill9()
        gateway.start()
        hop.wait_messages(2)

    def test_errors_under_load_lose_nothing_that_was_acknowledged(self):
        hop = self.next_hop()
        gateway, faults = self.faulty_gateway(hop, level="info", extra=harness.RETRY_SOON)
        load = Load(gateway.address, first=1000)
        for kind, error in (("sync", "EIO"), ("write", "ENOSPC"), ("write", "EIO")):
            time.sleep(0.3)
            faults.arm(kind, error, times=3)
            harness.wait_until(lambda: faults.hits(kind) > 0, what="a failing " + kind)
            time.sleep(0.3)
            faults.disarm(kind)
        self.recovers(gateway)
        time.sleep(0.3)
        load.stop()
        gateway.kill9()
        gateway.start()
        arrivals = Arrivals(hop)
        harness.wait_until(lambda: not load.acknowledged - arrivals.update().times.keys(), 60,
                           "all that was acknowledged", 0.3)
        self.assertTrue(load.acknowledged)

    def test_read_error_keeps_the_message_and_is_told(self):
        hop = self.next_hop(listen=False)
        gateway, faults = self.faulty_gateway_deferred(hop)
        faults.arm("read", "EIO")
        hop.listen()
        gateway.cli("queue", "retry", "--all", "--yes", code=None)
        harness.wait_until(lambda: faults.hits("read") > 0, what="a failing read")
        time.sleep(0.3)
        self.assertEqual(hop.received, 0)
        faults.disarm("read")
        gateway.wait_log(event="unreadable", level="error")
        # Waiting or held, as the gateway judged: the administrator lets it go.
        for action in ("release", "retry"):
            gateway.cli("queue", action, "--all", "--yes", code=None)
        self.assertEqual(hop.wait_messages(1)[0].content, LETTER)

    def faulty_gateway_deferred(self, hop):
        """One deferred message, read from disk after a restart."""
        faults = Faults(self)
        gateway = self.gateway(next_hop=hop, start=False)
        faults.options(gateway)
        gateway.start()
        gateway.send(data=LETTER)
        gateway.restart()
        return gateway, faults


class FullDisk(Faulty):
    """A real file system of its own, filled for real."""

    def disk(self, megabytes, *options):
        if os.geteuid() != 0:
            self.skipTest("mounting a file system needs root")
        harness.need(self, "mkfs.ext4", "e2fsprogs")
        folder = self.folder()
        image, mount = os.path.join(folder, "image"), os.path.join(folder, "disk")
        os.mkdir(mount)
        with open(image, "wb") as f:
            f.truncate(megabytes << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", *options, image], check=True)
        p = subprocess.run(["mount", "-o", "loop", image, mount], stderr=subprocess.PIPE, text=True)
        if p.returncode != 0:
            self.skipTest("no loop mount here: " + p.stderr.strip())
        self.addCleanup(subprocess.run, ["umount", "-l", mount])
        os.chmod(mount, 0o755)
        return mount

    def gateway_on(self, mount, hop):
        gateway = self.gateway(next_hop=hop, start=False, extra="queue { min_free = 64MB }\n")
        os.symlink(mount, gateway.state)
        return gateway.start()

    def test_full_disk_refuses_new_mail_and_recovers_by_itself(self):
        hop = self.next_hop()
        mount = self.disk(2048)
        gateway = self.gateway_on(mount, hop)
        gateway.send()
        filler = os.path.join(mount, "filler")
        free = os.statvfs(mount)
        with open(filler, "wb") as f:
            os.posix_fallocate(f.fileno(), 0, free.f_bavail * free.f_frsize - (8 << 20))
        harness.wait_until(lambda: self.attempt(gateway).code != 250, 30, "a refusal", 0.2)
        for _ in range(5):
            self.assert_refused_for_now(self.attempt(gateway))
        self.assertRegex(self.attempt(gateway).text, r"^4\.3\.1 ")
        os.unlink(filler)
        self.recovers(gateway)

    def test_no_free_inode_is_survived(self):
        hop = self.next_hop()
        mount = self.disk(2048, "-N", "200")
        gateway = self.gateway_on(mount, hop)
        gateway.send()
        kept = 0
        try:
            while True:
                with open(os.path.join(mount, "f%d" % kept), "x"):
                    kept += 1
        except OSError:
            pass
        for _ in range(20):
            reply = self.attempt(gateway)
            if reply.code != 250:
                self.assert_refused_for_now(reply)
        big = b"Subject: big\r\n\r\n" + (b"x" * 70 + b"\r\n") * 80000  # more than memory_max: a file of its own
        self.assert_refused_for_now(self.attempt(gateway, big))
        for i in range(kept):
            os.unlink(os.path.join(mount, "f%d" % i))
        self.recovers(gateway)
        self.assertEqual(self.attempt(gateway, big).code, 250)


class Descriptors(Faulty):
    def test_accept_without_descriptors_pauses_and_recovers(self):
        hop = self.next_hop()
        gateway, faults = self.faulty_gateway(hop)
        faults.arm("accept", "EMFILE")
        clients = [gateway.client() for _ in range(3)]
        harness.wait_until(lambda: faults.hits("accept") > 0, what="a failing accept")
        before = faults.hits("accept")
        time.sleep(1)
        self.assertLess(faults.hits("accept") - before, 200, "accept is retried in a tight loop")
        faults.disarm("accept")
        for c in clients:
            c.hello()
        gateway.send()

    def test_more_clients_than_descriptors(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, wrapper=["prlimit", "--nofile=160:160"])
        clients = []
        for _ in range(300):
            clients.append(gateway.client(timeout=5))
        served = 0
        for c in clients:
            try:
                if not c.silent(0.005 if served > 20 else 1) and c.recv_line().startswith("220"):
                    served += 1
            except harness.Closed:
                pass
        self.assertGreater(served, 20)
        for c in clients:
            c.close()
        harness.wait_until(lambda: self.attempt(gateway).code == 250, 30, "service after the flood", 0.3)
        hop.wait_messages(1)


class Order(Faulty):
    """The promise behind 250, as the kernel saw it."""

    def trace(self, data, name):
        """Runs one message under strace; its calls, see joined()."""
        harness.need(self, "strace", "strace")
        out = os.path.join(self.folder(), name)
        hop = self.next_hop()
        calls = "pwritev,pwritev2,pwrite64,write,writev,sendto,sendmsg,fdatasync,fsync,openat,rename,renameat"
        gateway = self.gateway(next_hop=hop, env={"ASAN_OPTIONS": "detect_leaks=0"},
                               wrapper=["strace", "-DD", "-f", "-y", "-s", "8192", "-e", "abbrev=none",
                                        "-e", "trace=" + calls, "-o", out])
        gateway.send(data=data)
        hop.wait_messages(1)
        root = gateway.process.pid
        gateway.stop()
        harness.wait_until(lambda: re.search(r"(?m)^%d +\+\+\+ " % root, self.text(out)), what="the end of the trace")
        return self.joined(self.text(out).splitlines())

    @staticmethod
    def text(path):
        with open(path, errors="replace") as f:
            return f.read()

    @staticmethod
    def joined(lines):
        """(begin, end, text) of each call: where in the trace it was entered and where it had returned."""
        calls, open_calls = [], {}
        for i, line in enumerate(lines):
            pid, _, text = line.partition(" ")
            text = text.strip()
            if text.endswith("<unfinished ...>"):
                open_calls[pid] = (i, text[:-len("<unfinished ...>")])
            elif text.startswith("<... ") and pid in open_calls:
                begin, start = open_calls.pop(pid)
                calls.append((begin, i, start + text.split("resumed>", 1)[1]))
            else:
                calls.append((i, i, text))
        return calls

    def test_message_is_synced_before_its_250(self):
        calls = self.trace(b"Subject: TRACED-ONE\r\n\r\nx\r\n", "small")
        wrote = [c for c in calls if "TRACED-ONE" in c[2] and re.match(r"pwrite", c[2])]
        self.assertTrue(wrote, "no write with the message in the trace")
        segment = re.search(r"<([^>]*spool[^>]*)>", wrote[0][2]).group(1)
        synced = [c for c in calls if c[2].startswith(("fdatasync(", "fsync(")) and segment in c[2] and
                  c[2].endswith("= 0") and c[0] > wrote[0][1]]
        self.assertTrue(synced, "no sync of the segment after the write")
        data = [c for c in calls if '"354 ' in c[2]]
        answered = [c for c in calls if '"250 2.0.0' in c[2] and c[0] > data[0][0]]
        self.assertTrue(answered)
        self.assertGreater(answered[0][0], synced[0][1], "250 was sent before the sync had returned")

    def test_message_in_a_file_of_its_own_is_synced_with_its_folder_before_its_250(self):
        calls = self.trace(b"Subject: TRACED-TWO\r\n\r\n" + (b"y" * 70 + b"\r\n") * 80000, "large")
        data = [c for c in calls if '"354 ' in c[2]]
        answered = [c for c in calls if '"250 2.0.0' in c[2] and c[0] > data[0][0]][0]
        before = [c[2] for c in calls if c[1] < answered[0] and c[0] > data[0][0]]
        wrote = [c for c in before if re.match(r"p?writev?2?(64)?\(\d+<[^>]*spool", c) and "y" * 70 in c]
        self.assertTrue(wrote, "no write of the content below the spool")
        blob = re.search(r"<([^>]*)>", wrote[0]).group(1)
        syncs = [re.search(r"<([^>]*)>", c).group(1) for c in before
                 if re.match(r"f(data)?sync\(", c) and c.endswith("= 0")]
        self.assertIn(blob, syncs)
        self.assertIn(os.path.dirname(blob), syncs)
