# SPDX-License-Identifier: MIT
"""What a destination is given at a time, and how long connections are kept: over a limit mail waits, nothing fails."""

import time

import harness
from harness import Delay

LETTER = b"Subject: test\r\n\r\nHello\r\n"


class Limits(harness.SessionTest):
    def send_many(self, gateway, count, domain="example.net"):
        with gateway.client() as c:
            c.hello()
            for i in range(count):
                self.assertEqual(c.message("a@example.com", "r%d@%s" % (i, domain), LETTER).code, 250)

    def assert_nothing_was_put_off(self, gateway):
        self.assertEqual(gateway.all_records(event="deferred") + gateway.all_records(event="failed"), [])
        self.assertTrue(all(r["attempt"] == "1" for r in gateway.all_records(event="delivered")))

    # ---- reuse

    def test_a_connection_takes_so_many_messages(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="delivery { messages_per_connection = 3 }\n")
        self.send_many(gateway, 10)
        messages = hop.wait_messages(10)
        for n in range(1, hop.connections + 1):
            self.assertLessEqual(sum(m.connection == n for m in messages), 3)
        self.assert_nothing_was_put_off(gateway)

    def test_without_pipelining_too(self):
        hop = self.next_hop(pipelining=False)
        gateway = self.gateway(next_hop=hop, route="connections = 1",
                               extra="delivery { messages_per_connection = 1 }\n")
        self.send_many(gateway, 4)
        hop.wait_messages(4)
        self.assertEqual(hop.connections, 4)

    def test_a_connection_gets_so_old(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, route="connections = 1", extra="delivery { connection_age = 1s }\n")
        began = time.monotonic()
        while time.monotonic() - began < 2.5:
            gateway.send("a@example.com", "b@example.net", LETTER)
        hop.wait_messages(1)
        self.assertGreaterEqual(hop.connections, 2)
        self.assert_nothing_was_put_off(gateway)

    def test_one_of_many_recipients_is_one_message(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="delivery { messages_per_connection = 1 }\n")
        gateway.send("a@example.com", ["r%d@example.net" % i for i in range(250)], LETTER)
        messages = hop.wait_messages(3)
        self.assertEqual({m.connection for m in messages}, {1})

    # ---- destination { }

    def test_connections_are_limited_over_all_routes(self):
        hop = self.next_hop()
        hop.script("dot", Delay(0.05))
        extra = "destination slow { match { mx = 127.0.0.1 }  connections = 2 }\n"
        gateway = self.gateway(next_hop=hop, extra=extra + harness.Gateway.domain_block(hop, "example.org"), threads=2)
        self.send_many(gateway, 30)
        self.send_many(gateway, 30, "example.org")
        hop.wait_messages(60)
        self.assertLessEqual(hop.most_open, 2)
        self.assert_nothing_was_put_off(gateway)

    def test_who_waits_for_a_connection_gets_one(self):
        """A busy queue does not keep its connections for ever where another waits for one."""
        hop = self.next_hop()
        hop.script("dot", Delay(0.02))
        extra = "destination slow { match { mx = 127.0.0.1 }  connections = 1 }\n"
        gateway = self.gateway(next_hop=hop, extra=extra + harness.Gateway.domain_block(hop, "example.org"))
        self.send_many(gateway, 300)
        self.send_many(gateway, 1, "example.org")
        hop.wait(lambda: any("@example.org" in m.recipients[0] for m in hop.messages), 30, "the other's message")
        self.assertLess(hop.received, 290)
        self.assertEqual(hop.most_open, 1)

    def test_messages_per_connection_of_a_destination(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="destination d { messages_per_connection = 2 }\n")
        self.send_many(gateway, 6)
        messages = hop.wait_messages(6)
        for n in range(1, hop.connections + 1):
            self.assertLessEqual(sum(m.connection == n for m in messages), 2)

    def test_a_rate_is_kept_and_nothing_fails(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="destination d { match { domain = example.net }  rate = 20/s }\n")
        began = time.monotonic()
        self.send_many(gateway, 60)
        hop.wait_messages(60)
        took = time.monotonic() - began
        # 20 at once, 40 spread over two seconds.
        self.assertGreater(took, 1.5)
        self.assertLess(took, 10 * harness.SLOW)
        self.assert_nothing_was_put_off(gateway)

    def test_a_rate_is_shared_by_routes(self):
        hop = self.next_hop()
        extra = "destination d { match { mx = 127.0.0.1 }  rate = 20/s }\n"
        gateway = self.gateway(next_hop=hop, extra=extra + harness.Gateway.domain_block(hop, "example.org"), threads=2)
        began = time.monotonic()
        self.send_many(gateway, 30)
        self.send_many(gateway, 30, "example.org")
        hop.wait_messages(60)
        self.assertGreater(time.monotonic() - began, 1.5)
        self.assert_nothing_was_put_off(gateway)

    def test_limits_for_each_source(self):
        hop = self.next_hop()
        hop.script("dot", Delay(0.05))
        gateway = self.gateway(next_hop=hop, route="source = pool", extra="""
source pool { address = { 127.0.0.71, 127.0.0.72 }  balance = round-robin }
destination d { connections = 1  per = source }
""")
        self.send_many(gateway, 40)
        messages = hop.wait_messages(40)
        self.assertEqual({m.client for m in messages}, {"127.0.0.71", "127.0.0.72"})
        self.assertEqual(hop.most_open, 2)
        self.assert_nothing_was_put_off(gateway)

    def test_the_rate_of_one_source_leaves_the_other_its_own(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, route="source = pool", extra="""
source pool { address = { 127.0.0.71, 127.0.0.72 } }
destination d { rate = 10/s  per = source }
""")
        self.send_many(gateway, 40)
        messages = hop.wait_messages(40)
        self.assertEqual({m.client for m in messages}, {"127.0.0.71", "127.0.0.72"})
        self.assert_nothing_was_put_off(gateway)

    def test_others_are_not_limited(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="destination d { match { mx = .example.com }  rate = 1/day }\n")
        self.send_many(gateway, 20)
        hop.wait_messages(20)
