# SPDX-License-Identifier: MIT
"""Messages to so many recipients that they need several transactions, and next hops that write piece by piece."""

import json

import harness
from harness import HANG

LETTER = b"Subject: to many\r\n\r\nHello\r\n"
MANY = ["r%d@example.net" % i for i in range(250)]


class Many(harness.SessionTest):
    def status(self, gateway, address):
        ident = json.loads(gateway.cli("queue", "list", "--json").splitlines()[0])["id"]
        shown = json.loads(gateway.cli("queue", "show", ident, "--json"))
        return {r["address"]: r["status"] for r in shown["recipients"]}[address]

    def test_a_kill_between_transactions_does_not_repeat_those_that_ended(self):
        hop = self.next_hop()
        hop.script("dot", None, None, HANG)
        gateway = self.gateway(next_hop=hop)
        gateway.send("a@example.com", MANY, LETTER)
        hop.wait_messages(2)
        hop.wait_command("DATA", 3)
        gateway.wait_log(event="delivered", count=200)  # one line each, before the last transaction has ended
        # The command answers from the disk, behind what was handed over: the states are written when it says so.
        self.assertEqual(self.status(gateway, "r199@example.net"), "delivered")
        self.assertEqual(self.status(gateway, "r200@example.net"), "pending")
        gateway.kill9()
        hop.reset()
        gateway.start()
        got = hop.wait_messages(3)
        gateway.wait_log(event="delivered", to="r249@example.net")
        gateway.stop()
        self.assertEqual([m.recipients for m in got], [MANY[:100], MANY[100:200], MANY[200:]])
        self.assertEqual(hop.received, 3)

    def test_who_was_refused_in_an_early_transaction_is_reported_with_the_rest(self):
        hop, home = self.next_hop(), self.next_hop()
        for i in (3, 120, 230):
            hop.recipient("r%d@example.net" % i, "550 5.1.1 nobody")
        gateway = self.gateway(next_hop=hop, extra=harness.Gateway.domain_block(home, "example.com"))
        gateway.send("a@example.com", MANY, LETTER)
        got = hop.wait_messages(3)
        report = home.wait_messages(1)[0].data
        for i in (3, 120, 230):
            self.assertIn(b"r%d@example.net" % i, report)
        self.assertEqual(sum(len(m.recipients) for m in got), 247)
        self.assertEqual(len(gateway.all_records(event="delivered")), 247 + 1)
        gateway.stop()
        self.assertEqual((hop.received, home.received), (3, 1))

    def test_a_break_after_a_transaction_leaves_only_the_rest_to_do(self):
        hop = self.next_hop()
        hop.script("dot", None, harness.CLOSE, None)
        gateway = self.gateway(next_hop=hop, extra=harness.RETRY_SOON)
        gateway.send("a@example.com", MANY[:150], LETTER)
        got = hop.wait_messages(2)
        self.assertEqual([m.recipients for m in got], [MANY[:100], MANY[100:150]])
        gateway.wait_log(event="delivered", to="r149@example.net")
        gateway.stop()
        self.assertEqual(hop.received, 2)


class Pieces(harness.SessionTest):
    def test_a_hop_that_writes_reply_by_reply_without_nodelay_is_not_held_by_our_late_acks(self):
        hop = self.next_hop(nagle=True)
        gateway = self.gateway(next_hop=hop, route="connections = 1")
        count = 100
        with gateway.client() as c:
            c.hello()
            for _ in range(count):
                self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        got = hop.wait_messages(count)
        # A late ACK costs 40 ms: 4 s in all.
        self.assertLess(got[-1].when - got[0].when, 2 * harness.SLOW)


if __name__ == "__main__":
    harness.unittest.main()
