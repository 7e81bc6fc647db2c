# SPDX-License-Identifier: MIT
"""Several next hops, kept connections, and hops that are slow, dead or come back."""

import socket
import time

import harness
from harness import HANG, Delay

QUICK = """
queue { retry = { 1s, 2s } }
delivery { connect_timeout = 2s  command_timeout = 5s  data_timeout = 5s  end_timeout = 5s }
"""
LETTER = b"Subject: test\r\n\r\nHello\r\n"


class Hops(harness.SessionTest):
    def relay(self, hops, **kw):
        kw.setdefault("extra", QUICK)
        return self.gateway(next_hop=hops, **kw)

    def send_many(self, gateway, count, first=0):
        with gateway.client() as c:
            c.hello()
            for i in range(first, first + count):
                self.assertEqual(c.message("a@example.com", "r%d@example.net" % i, LETTER).code, 250)

    # ---- which hop

    def test_failover_takes_the_first_alive(self):
        first, second = self.next_hop(listen=False), self.next_hop()
        gateway = self.relay([first, second])
        self.send_many(gateway, 10)
        second.wait_messages(10)
        dead = gateway.wait_log(event="hop-dead", hop=first.text)
        self.assertIn("refused", dead["reason"])
        self.assertEqual(gateway.all_records(event="deferred"), [])
        first.listen()
        harness.wait_until(lambda: (gateway.send("a@example.com", "later@example.net", LETTER), first.received)[1],
                           what="mail to the first again", pause=0.2)
        gateway.wait_log(event="hop-alive", hop=first.text)
        before = second.received
        self.send_many(gateway, 10)
        first.wait_messages(10)
        self.assertEqual(second.received, before)

    def test_backup_is_used_only_while_no_other_is_alive(self):
        one, two, backup = self.next_hop(), self.next_hop(), self.next_hop()
        gateway = self.relay([one, two, backup.text + " backup"], route="balance = round-robin")
        self.send_many(gateway, 20)
        harness.wait_until(lambda: one.received + two.received == 20)
        self.assertEqual(backup.received, 0)
        one.stop()
        two.stop()
        self.send_many(gateway, 5)
        backup.wait_messages(5)

    def test_round_robin_keeps_the_weights(self):
        heavy, light = self.next_hop(), self.next_hop()
        gateway = self.relay([heavy.text + " weight=3", light], route="balance = round-robin")
        for i in range(24):
            gateway.send("a@example.com", "r%d@example.net" % i, LETTER)
            harness.wait_until(lambda: heavy.received + light.received == i + 1)
        self.assertEqual((heavy.received, light.received), (18, 6))
        # In a burst a hop that keeps up gets more while the other is late, and the balance is made up for.
        self.send_many(gateway, 120, first=24)
        harness.wait_until(lambda: heavy.received + light.received == 144)
        self.assertAlmostEqual(heavy.received, 108, delta=20)

    def test_round_robin_goes_on_when_one_is_stuck(self):
        stuck, fine = self.next_hop(), self.next_hop()
        stuck.script("dot", HANG)
        gateway = self.relay([stuck, fine], route="balance = round-robin")
        self.send_many(gateway, 60)
        began = time.monotonic()
        fine.wait_messages(40, timeout=10)
        self.assertLess(time.monotonic() - began, 5)

    def test_a_full_hop_sends_mail_to_the_other(self):
        full, other = self.next_hop(), self.next_hop()
        full.script("mail", "452 4.3.1 insufficient system resources")
        gateway = self.relay([full, other])
        self.send_many(gateway, 5)
        other.wait_messages(5, timeout=5)
        self.assertEqual(gateway.all_records(event="deferred"), [])

    def test_a_unix_socket_is_a_next_hop(self):
        hop = self.next_hop(address=self.folder() + "/hop.sock")
        import os
        os.chmod(hop.address, 0o777)
        gateway = self.relay(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        hop.wait_messages(1)

    # ---- dead hops

    def test_all_dead_pauses_the_queue_and_counts_nothing(self):
        hop = self.next_hop(listen=False)
        gateway = self.relay(hop)
        self.send_many(gateway, 50)
        gateway.wait_log(event="hop-dead", count=2)
        hop.listen()
        hop.wait_messages(50)
        for record in gateway.all_records(event="delivered"):
            self.assertEqual(record["attempt"], "1")
        self.assertEqual(gateway.all_records(event="deferred"), [])

    def test_a_dead_hop_gets_one_connection_at_a_time(self):
        hop = self.next_hop()
        hop.script("connect", "421 4.3.2 closed for maintenance")
        gateway = self.relay(hop)
        self.send_many(gateway, 30)
        gateway.wait_log(event="hop-dead", count=3)
        self.assertLessEqual(hop.most_open, 2)
        self.assertLessEqual(hop.connections, 5)

    def test_a_poisonous_message_does_not_stop_the_others(self):
        hop = self.next_hop()

        def crash(session, message):
            return harness.CLOSE if b"poison" in message.data else None
        hop.script("dot", crash)
        gateway = self.relay(hop)
        gateway.send("a@example.com", "bad@example.net", b"Subject: poison\r\n\r\n")
        self.send_many(gateway, 10)
        self.assertEqual(len(hop.wait_messages(10)), 10)
        gateway.wait_log(event="deferred", to="bad@example.net", count=2)

    def test_a_sender_that_kills_the_hop_does_not_stop_the_others(self):
        hop = self.next_hop()
        hop.script("mail", lambda session, rest: harness.CLOSE if "poison" in rest else None)
        gateway = self.relay(hop)
        gateway.send("poison@example.com", "bad@example.net", LETTER)
        self.send_many(gateway, 10)
        hop.wait_messages(10)

    # ---- slow hops

    def test_a_hanging_hop_slows_neither_acceptance_nor_other_hops(self):
        stuck, fine = self.next_hop(), self.next_hop()
        stuck.script("connect", HANG)
        gateway = self.relay(stuck, domains=["stuck.example"], extra=QUICK +
                             harness.Gateway.domain_block(fine, ["example.net"]))
        with gateway.client() as c:
            c.hello()
            began = time.monotonic()
            for i in range(100):
                self.assertEqual(c.message("a@example.com", "r%d@stuck.example" % i, LETTER).code, 250)
                self.assertEqual(c.message("a@example.com", "r%d@example.net" % i, LETTER).code, 250)
            fine.wait_messages(100, timeout=5)
        self.assertLess(time.monotonic() - began, 5 * harness.SLOW)

    def test_an_envelope_sent_ahead_does_not_wait_behind_a_stuck_message(self):
        hop = self.next_hop()
        hop.script("dot", lambda session, message: HANG if b"slow" in message.data else None)
        gateway = self.relay(hop, extra="delivery { end_timeout = 60s }\nqueue { retry = { 1s, 2s } }\n",
                             route="connections = 2")
        with gateway.client() as c:
            c.hello()
            for i in range(20):
                c.message("a@example.com", "r%d@example.net" % i, LETTER)
                if i == 5:
                    c.message("a@example.com", "s@example.net", b"Subject: slow\r\n\r\n")
        hop.wait_messages(20, timeout=20)

    def test_sites_on_several_loops(self):
        hops = {name: self.next_hop() for name in ("a.example", "b.example", "c.example", "d.example", "e.example")}
        hops["e.example"].script("rcpt", "550 5.1.1 no")
        blocks = "".join(harness.Gateway.domain_block(hop, [name]) for name, hop in hops.items())
        gateway = self.gateway(threads=3, extra=QUICK + blocks)
        clients = [gateway.client() for _ in range(4)]
        for c in clients:
            c.hello()
        for i in range(25):
            for c in clients:
                reply = c.message("s@a.example", ["r%d@%s" % (i, name) for name in hops], LETTER)
                self.assertEqual(reply.code, 250)
            gateway.cli("status")
        hops["a.example"].wait_messages(200)  # 100 of the mail, 100 reports about e.example
        for name in "b.example", "c.example", "d.example":
            self.assertEqual(len(hops[name].wait_messages(100)), 100)
        gateway.stop()
        self.assertEqual([hops[n].received for n in hops], [200, 100, 100, 100, 0])

    # ---- connections

    def test_one_connection_serves_a_trickle(self):
        hop = self.next_hop()
        gateway = self.relay(hop)
        for i in range(20):
            gateway.send("a@example.com", "r%d@example.net" % i, LETTER)
            hop.wait_messages(i + 1)
        self.assertEqual(hop.connections, 1)

    def test_slow_answers_get_more_connections_up_to_the_limit(self):
        hop = self.next_hop()
        hop.script("dot", Delay(0.3))
        gateway = self.relay(hop, route="connections = 4")
        self.send_many(gateway, 40)
        hop.wait_messages(40)
        self.assertEqual(hop.most_open, 4)

    def test_concurrency_gives_way_to_a_hop_that_takes_few(self):
        hop = self.next_hop()
        hop.script("connect", lambda session, _: "421 4.7.0 too many connections" if session.hop.open > 2 else None)
        hop.script("dot", Delay(0.05))
        gateway = self.relay(hop)
        self.send_many(gateway, 60)
        hop.wait_messages(60)
        self.assertEqual(gateway.all_records(event="hop-dead") + gateway.all_records(event="deferred"), [])

    def test_a_message_and_the_next_envelope_go_out_together(self):
        hop = self.next_hop()
        segments = []
        original = harness.NextHop._serve

        def serve(session):
            fill = session.fill

            def watched():
                before = len(session.buffer)
                fill()
                segments.append(session.buffer[before:])
            session.fill = watched
            original(hop, session)
        hop._serve = serve
        hop.script("dot", Delay(0.005))
        gateway = self.relay(hop, route="connections = 1")
        self.send_many(gateway, 60)
        hop.wait_messages(60)
        together = [s for s in segments if b"\r\n.\r\nMAIL FROM" in s and s.endswith(b"DATA\r\n")]
        self.assertGreater(len(together), 40)
        self.assertEqual(hop.connections, 1)

    def test_idle_connections_are_closed_with_quit(self):
        hop = self.next_hop()
        gateway = self.relay(hop, extra="delivery { idle_timeout = 1s }")
        gateway.send("a@example.com", "b@example.net", LETTER)
        hop.wait_command("QUIT", timeout=5)
        harness.wait_until(lambda: hop.open == 0)

    def test_a_stop_says_quit_on_kept_connections(self):
        hop = self.next_hop()
        gateway = self.relay(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        gateway.wait_log(event="delivered")
        gateway.stop()
        hop.wait_command("QUIT", timeout=5)

    def test_a_stop_lets_a_running_transaction_end(self):
        hop = self.next_hop()
        hop.script("dot", Delay(1))
        gateway = self.relay(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        hop.wait_command("DATA")
        gateway.stop()
        hop.script("dot", None)
        gateway.start()
        gateway.send("a@example.com", "c@example.net", LETTER)
        hop.wait_messages(2)
        gateway.wait_log(event="delivered", to="c@example.net")
        self.assertEqual(sorted(m.recipients[0] for m in hop.messages), ["b@example.net", "c@example.net"])

    def test_a_stop_does_not_wait_for_a_hanging_hop(self):
        hop = self.next_hop()
        hop.script("dot", HANG)
        gateway = self.relay(hop, extra="delivery { end_timeout = 10min }")
        gateway.send("a@example.com", "b@example.net", LETTER)
        hop.wait_command("DATA")
        gateway.stop(timeout=30)
        hop.reset()
        gateway.start()
        hop.wait_messages(1)

    # ---- routes that change

    def test_mail_of_a_route_that_is_gone_is_routed_again(self):
        old, new, other = self.next_hop(listen=False), self.next_hop(), self.next_hop()
        gateway = self.gateway(next_hop=old, domains=["old", "a.example", "b.example", "c.example"], extra=QUICK)
        gateway.send("s@a.example", ["x@a.example"], LETTER)
        gateway.send("s@a.example", ["y@a.example", "y@b.example", "y@c.example"], LETTER)
        gateway.wait_log(event="hop-dead")
        gateway.stop()
        block = harness.Gateway.domain_block
        head = gateway.config.split("domain old")[0]
        gateway.write_config(head + QUICK + block(new, ["a.example"]) + block(other, ["b.example"]))
        gateway.start()
        got = new.wait_messages(3)
        self.assertEqual(sorted(m.recipients[0] for m in got if m.sender), ["x@a.example", "y@a.example"])
        self.assertEqual(other.wait_messages(1)[0].recipients, ["y@b.example"])
        self.assertTrue(all(m.content == LETTER for m in got if m.sender))
        report = [m for m in got if not m.sender][0]
        self.assertIn(b"5.4.4", report.data)
        self.assertIn(b"y@c.example", report.data)


if __name__ == "__main__":
    harness.unittest.main()
