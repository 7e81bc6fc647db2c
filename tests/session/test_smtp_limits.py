# SPDX-License-Identifier: MIT
"""Limits in time, number and size, and what those beyond them are told; hostile clients and the others beside them."""

import os
import time

import harness

LETTER = b"Subject: x\r\n\r\nHello\r\n"


class Limits(harness.SessionTest):
    def limited(self, limits, **kw):
        return self.gateway(next_hop=self.next_hop(), extra="limits { %s }" % limits, **kw)

    def serves(self, gateway, source=None):
        """A message goes in as if nothing were the matter."""
        with gateway.client(source=source) as c:
            c.hello()
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)

    # ---- numbers

    def test_sessions_in_all(self):
        gateway = self.limited("sessions = 3 sessions_per_client = 100")
        harness.wait_until(lambda: gateway.records(event="disconnect"))
        kept = [gateway.client() for _ in range(3)]
        for c in kept:
            c.hello()
        with gateway.client() as c:
            c.expect(421, "4.7.0 ...too many...")
            self.assertTrue(c.closed())
        for c in kept:
            c.command("NOOP", 250)
        kept[0].command("QUIT", 221)
        harness.wait_until(lambda: len(gateway.records(event="disconnect")) >= 2)
        self.serves(gateway)

    def test_sessions_of_one_address(self):
        gateway = self.limited("sessions_per_client = 2")
        harness.wait_until(lambda: gateway.records(event="disconnect"))
        kept = [gateway.client() for _ in range(2)]
        for c in kept:
            c.hello()
        with gateway.client() as c:
            c.expect(421, "4.7.0 ...your address...")
            self.assertTrue(c.closed())
        self.serves(gateway, source=("127.0.0.3", 0))
        kept[1].close()
        harness.wait_until(lambda: len(gateway.records(event="disconnect")) >= 3)
        self.serves(gateway)

    def test_errors_of_a_session(self):
        gateway = self.limited("errors = 5")
        with gateway.client() as c:
            c.hello()
            c.send("\r\n".join(["XYZZY"] * 20))
            for _ in range(5):
                c.expect(500)
            c.expect(421, "4.7.0 ...too many errors...")
            self.assertTrue(c.closed())

    def test_recipient_floods_end_in_421(self):
        gateway = self.gateway(next_hop=self.next_hop())
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            lines = 20000
            c.socket.settimeout(60)
            try:
                for i in range(0, lines, 100):
                    c.socket.sendall(b"".join(b"RCPT TO:<r%d@example.net>\r\n" % (i + j) for j in range(100)))
                    c.silent(0.001)
            except OSError:
                pass  # closed under us, as it should be
            codes = []
            try:
                while True:
                    codes.append(c.recv_reply().code)
            except harness.Closed:
                pass
        self.assertEqual(codes.count(250), 1000)
        self.assertEqual(codes[-1], 421)
        self.assertEqual(set(codes[1000:-1]), {452})
        self.serves(gateway)

    def test_tasks_exhausted(self):
        gateway = self.limited("tasks = 100", threads=1)
        busy = []
        for _ in range(100):
            c = gateway.client()
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<b@example.net>", 250)
            c.command("DATA", 354)
            busy.append(c)
        with gateway.client() as c:
            c.expect(220)
            c.send("EHLO client.example")
            c.expect(421, "4.3.2 ...")
            self.assertTrue(c.closed())
        for c in busy:
            c.send(b"Subject: x\r\n\r\nHello\r\n.\r\n")
            c.expect(250)
        self.serves(gateway)

    # ---- time

    def test_silence_ends_a_session(self):
        gateway = self.limited("command_timeout = 1s")
        with gateway.client() as c:
            c.hello()
            c.expect(421, "4.4.2 ...")
            self.assertTrue(c.closed())

    def test_dribbling_a_command_gains_no_time(self):
        gateway = self.limited("command_timeout = 1s")
        with gateway.client() as c:
            c.hello()
            began = time.monotonic()
            for _ in range(40):
                c.send(b"x")
                if not c.silent(0.1):
                    break
            c.expect(421, "4.4.2 ...")
            self.assertLess(time.monotonic() - began, 3 * harness.SLOW)

    def test_silence_in_a_message(self):
        gateway = self.limited("data_timeout = 1s")
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<b@example.net>", 250)
            c.command("DATA", 354)
            c.send(b"Subject: x\r\n")
            c.expect(421, "4.4.2 ...")
            self.assertTrue(c.closed())
        self.assertEqual(gateway.wait_log(event="aborted")["reason"], "timeout")

    def dribble(self, gateway, seconds):
        """Sends a message byte by byte; the reply that ends it."""
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<b@example.net>", 250)
            c.command("DATA", 354)
            began = time.monotonic()
            while c.silent(0.05):
                self.assertLess(time.monotonic() - began, seconds * harness.SLOW)
                c.send(b"x")
            c.expect(421, "4.4.2 ...")
            self.assertTrue(c.closed())
        return gateway.wait_log(event="aborted")

    def test_a_whole_message_has_its_time(self):
        self.assertEqual(self.dribble(self.limited("message_timeout = 1s min_rate = 0B/s"), 5)["reason"], "timeout")

    def test_too_slow_a_message_is_broken_off(self):
        record = self.dribble(self.limited("message_timeout = 4s min_rate = 1KB/s"), 3.5)
        self.assertEqual(record["reason"], "too slow")

    def test_slow_clients_do_not_slow_the_others(self):
        gateway = self.limited("sessions_per_client = 1000")
        slow = []
        for i in range(60):
            c = gateway.client()
            c.hello()
            if i % 2:
                c.command("MAIL FROM:<a@example.com>", 250)
                c.command("RCPT TO:<b@example.net>", 250)
                c.command("DATA", 354)
                c.send(b"Subj")
            else:
                c.send(b"MAIL FR")
            slow.append(c)
        began = time.monotonic()
        for _ in range(20):
            self.serves(gateway)
        self.assertLess(time.monotonic() - began, 10 * harness.SLOW)
        for c in slow:
            c.close()

    # ---- sizes

    def test_long_command_lines_are_not_run(self):
        gateway = self.gateway(next_hop=self.next_hop())
        with gateway.client() as c:
            c.hello()
            for n in (600, 2100, 10000, 70000, 1000000):
                c.send(b"EHLO " + b"x" * n + b"\r\n")
                c.expect("5xx")
                c.send(b"x" * n + b" \nMAIL FROM:<a@example.com>\r\nNOOP\r\n" if n > 2100 else b"NOOP\r\n")
                if n > 2100:
                    c.expect(500, "5.5.2...")
                c.expect(250)
            c.command("RCPT TO:<b@example.net>", 503)

    def test_a_command_without_an_end_is_cut_off(self):
        gateway = self.gateway(next_hop=self.next_hop())
        with gateway.client() as c:
            c.hello()
            try:
                for _ in range(64):
                    c.socket.sendall(b"x" * 65536)
            except OSError:
                pass
            c.expect(421, "4.7.0 ...")
        self.serves(gateway)

    def test_unread_replies_do_not_wedge(self):
        gateway = self.limited("command_timeout = 2s")
        with gateway.client() as c:
            c.socket.settimeout(1)
            sent = 0
            try:
                for _ in range(200):
                    c.socket.sendall(b"HELP\r\n" * 10000)
                    sent += 10000
            except TimeoutError:
                pass  # the server has stopped reading: what it cannot say it does not ask for
            self.assertLess(sent, 2000000)
            self.serves(gateway)
        with gateway.client() as c:
            c.hello()
            c.send(b"NOOP\r\n" * 20000)
            time.sleep(0.2)
            self.serves(gateway)
            for _ in range(20000):
                c.expect(250)
            c.command("QUIT", 221)

    def test_idle_sessions_are_small(self):
        gateway = self.limited("sessions = 3000 sessions_per_client = 3000 command_timeout = 5min")
        with gateway.client() as warm:
            warm.hello()
            self.serves(gateway)  # what a first message takes is not the sessions'
            before = self.resident(gateway)
            idle = [gateway.client() for _ in range(1000)]
            for c in idle:
                c.hello("a-rather-long-host-name.client.example")
            self.serves(gateway)
            each = (self.resident(gateway) - before) / len(idle)
            for c in idle:
                c.close()
        if harness.SLOW == 1:
            self.assertLess(each, 4096)

    def resident(self, gateway):
        with open("/proc/%d/statm" % gateway.worker()) as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    # ---- the end

    def test_drain_lets_a_transaction_end(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        idle, busy = gateway.client(), gateway.client()
        idle.hello()
        busy.hello()
        busy.command("MAIL FROM:<a@example.com>", 250)
        busy.command("RCPT TO:<b@example.net>", 250)
        busy.command("DATA", 354)
        os.kill(gateway.process.pid, 15)
        idle.expect(421, "4.3.2 ...")
        self.assertTrue(idle.closed())
        busy.send(b"Subject: x\r\n\r\nHello\r\n.\r\n")
        busy.expect(250)
        busy.expect(421, "4.3.2 ...")
        busy.close()
        self.assertEqual(gateway.wait_exit(), 0)
        gateway.start()
        hop.wait_messages(1)
        self.assertEqual(hop.received, 1)


if __name__ == "__main__":
    harness.unittest.main()
