# SPDX-License-Identifier: MIT
"""kill -9 of the whole process tree at random moments: what was acknowledged arrives whole, whatever happens.

TMAIL_CRASH_ROUNDS: how many kills (default 10). TMAIL_CRASH_SEED: to repeat a run's choices."""

import os
import random
import time

import harness
from load import Arrivals, Load

ROUNDS = int(os.environ.get("TMAIL_CRASH_ROUNDS", "10"))
SEED = int(os.environ.get("TMAIL_CRASH_SEED", str(random.randrange(1 << 30))))
IN_FLIGHT = 2.0  # seconds around a kill in which an arrival may not be on record: what was in a socket comes after it


class Crash(harness.SessionTest):
    def setUp(self):
        super().setUp()
        self.random = random.Random(SEED)
        self.kills = []

    def kill(self, gateway):
        self.kills.append(time.monotonic())
        gateway.kill9()
        self.kills.append(time.monotonic())

    def start(self, gateway):
        """Starts it, now and then killed while it recovers."""
        while self.random.random() < 0.3:
            gateway.start(ready=False)
            time.sleep(self.random.uniform(0, 0.15))
            self.kill(gateway)
        gateway.start()

    def drained(self, gateway, arrivals, load):
        """Waits until everything acknowledged has arrived, as long as mail arrives; what is missing."""
        seen, quiet_since = 0, time.monotonic()
        while time.monotonic() - quiet_since < 30 * harness.SLOW:
            missing = load.acknowledged - arrivals.update().times.keys()
            if not missing:
                break
            if arrivals.seen > seen:
                seen, quiet_since = arrivals.seen, time.monotonic()
            gateway.cli("queue", "retry", "--all", "--yes", code=None)
            time.sleep(0.5)
        return missing

    def judge(self, arrivals, load, lost):
        seed = "TMAIL_CRASH_SEED=%d" % SEED
        self.assertEqual(sorted(lost), [], "acknowledged and lost; %s" % seed)
        self.assertEqual(arrivals.broken, [], "arrived broken; %s" % seed)
        self.assertEqual(sorted(arrivals.times.keys() - load.sent), [], "arrived, never sent; %s" % seed)
        late = {n: t for n, t in arrivals.twice().items()
                if not all(any(abs(k - at) < IN_FLIGHT * harness.SLOW for k in self.kills) for at in t[:-1])}
        self.assertEqual(late, {}, "arrived again although long delivered; %s" % seed)
        self.assertGreater(len(load.acknowledged), ROUNDS)

    def rounds(self, hop, flaky=False, threads=4, sizes=(200, 2000, 9000)):
        gateway = self.gateway(next_hop=hop, level="info", extra=harness.RETRY_SOON)
        load = Load(gateway.address, threads=threads, sizes=sizes)
        try:
            for _ in range(ROUNDS):
                if flaky:
                    hop.script("dot", *[self.random.choice(("451 4.3.0 later", None)) for _ in range(50)])
                time.sleep(self.random.uniform(0.02, 0.6))
                self.kill(gateway)
                self.start(gateway)
        finally:
            load.stop()
        hop.reset()
        arrivals = Arrivals(hop)
        self.judge(arrivals, load, self.drained(gateway, arrivals, load))
        # What is on record as done stays done: a last start sends nothing again.
        gateway.stop()
        count = hop.received
        gateway.start()
        time.sleep(0.5)
        self.assertEqual(hop.received, count)

    def test_killed_at_random_moments_nothing_acknowledged_is_lost(self):
        self.rounds(self.next_hop())

    def test_killed_while_the_next_hop_defers_half_of_the_mail(self):
        self.rounds(self.next_hop(), flaky=True)

    def test_killed_with_messages_large_enough_for_files_of_their_own(self):
        gateway_sizes = (2000, 6 << 20)
        self.rounds(self.next_hop(), threads=2, sizes=gateway_sizes)

    def test_killed_before_the_dot_nothing_is_left(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<b@example.net>", 250)
            c.command("DATA", 354)
            c.send(b"Subject: unfinished\r\n\r\n" + b"x" * 70 + b"\r\n")
            gateway.kill9()
        gateway.start()
        gateway.send(data=b"Subject: next\r\n\r\nx\r\n")
        self.assertEqual(hop.wait_messages(1)[0].header("Subject"), "next")
        gateway.stop()
        self.assertEqual(hop.received, 1)

    def test_worker_killed_alone_is_started_again_and_loses_nothing(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra=harness.RETRY_SOON)
        load = Load(gateway.address, threads=2)
        for _ in range(3):
            time.sleep(0.3)
            self.kills.append(time.monotonic())
            os.kill(gateway.worker(), 9)
            harness.wait_until(lambda: self.greets(gateway), what="a new worker's greeting")
            self.kills.append(time.monotonic())
        load.stop()
        arrivals = Arrivals(hop)
        self.assertEqual(sorted(self.drained(gateway, arrivals, load)), [])
        self.assertEqual(arrivals.broken, [])

    @staticmethod
    def greets(gateway):
        try:
            with gateway.client(timeout=2) as c:
                return c.recv_reply().code == 220
        except (OSError, harness.Closed):
            return False

    def test_terminated_under_load_it_loses_and_doubles_nothing(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, level="info", extra=harness.RETRY_SOON)
        load = Load(gateway.address)
        for _ in range(3):
            time.sleep(self.random.uniform(0.1, 0.5))
            gateway.stop()
            gateway.start()
        load.stop()
        arrivals = Arrivals(hop)
        self.assertEqual(sorted(self.drained(gateway, arrivals, load)), [])
        self.assertEqual((arrivals.broken, arrivals.twice()), ([], {}))
