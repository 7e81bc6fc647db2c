# SPDX-License-Identifier: MIT
"""The gateway's own addresses towards next hops: `source`."""

import socket

import harness

LETTER = b"Subject: test\r\n\r\nHello\r\n"
QUICK = "queue { retry = { 1s, 2s } }\ndelivery { connect_timeout = 2s  command_timeout = 5s  idle_timeout = 1s }\n"


class Source(harness.SessionTest):
    def relay(self, hop, source, **kw):
        return self.gateway(next_hop=hop, route="source = pool", extra=QUICK + "source pool { %s }\n" % source, **kw)

    def send_one_a_connection(self, gateway, hop, count):
        """COUNT messages, each over a connection of its own."""
        for i in range(count):
            gateway.send("a@example.com", "b%d@example.net" % i, LETTER)
            hop.wait_messages(i + 1)
            hop.drop_connections()
            hop.wait(lambda: hop.open == 0, 10, "the end of the connection")

    @staticmethod
    def where_from(hop):
        return [(m.client, m.helo) for m in hop.messages]

    def test_connections_are_bound_and_ehlo_says_the_addresss_name(self):
        hop = self.next_hop()
        gateway = self.relay(hop, 'address = "127.0.0.77 hostname=out1.example.test"')
        gateway.send("a@example.com", "b@example.net", LETTER)
        hop.wait_messages(1)
        self.assertEqual(self.where_from(hop), [("127.0.0.77", "out1.example.test")])
        self.assertIn("127.0.0.77", gateway.wait_log(event="delivered")["source"])

    def test_without_a_name_it_is_the_gateways(self):
        hop = self.next_hop()
        gateway = self.relay(hop, "address = 127.0.0.77")
        gateway.send("a@example.com", "b@example.net", LETTER)
        hop.wait_messages(1)
        self.assertEqual(self.where_from(hop), [("127.0.0.77", "mx.example.test")])

    def test_round_robin_shares_connections_by_weight(self):
        hop = self.next_hop()
        gateway = self.relay(hop, 'address = { "127.0.0.71 weight=3", 127.0.0.72 }  balance = round-robin')
        self.send_one_a_connection(gateway, hop, 8)
        self.assertEqual(sorted(a for a, _ in self.where_from(hop)), ["127.0.0.71"] * 6 + ["127.0.0.72"] * 2)

    def test_failover_stays_with_the_first(self):
        hop = self.next_hop()
        gateway = self.relay(hop, "address = { 127.0.0.71, 127.0.0.72 }")
        self.send_one_a_connection(gateway, hop, 3)
        self.assertEqual({a for a, _ in self.where_from(hop)}, {"127.0.0.71"})

    def test_an_address_this_machine_has_not_is_passed_over(self):
        hop = self.next_hop()
        gateway = self.relay(hop, "address = { 192.0.2.10, 127.0.0.72 }  balance = round-robin")
        self.send_one_a_connection(gateway, hop, 3)
        self.assertEqual({a for a, _ in self.where_from(hop)}, {"127.0.0.72"})
        self.assertEqual(gateway.wait_log(event="source-unusable")["address"], "192.0.2.10")
        self.assertEqual(gateway.all_records(event="hop-dead"), [])

    def test_an_address_a_hop_refuses_is_passed_over(self):
        hop = self.next_hop()
        hop.script("connect", lambda session, _: "554 5.7.1 not you" if session.client == "127.0.0.71" else None)
        gateway = self.relay(hop, "address = { 127.0.0.71, 127.0.0.72 }")
        self.send_one_a_connection(gateway, hop, 3)
        self.assertEqual({a for a, _ in self.where_from(hop)}, {"127.0.0.72"})
        self.assertEqual(gateway.all_records(event="hop-dead"), [])
        self.assertEqual(hop.connections, 4)  # the refused address is not tried again at once

    def test_a_dead_hop_is_dead_from_every_address(self):
        hop = self.next_hop(listen=False)
        gateway = self.relay(hop, "address = { 127.0.0.71, 127.0.0.72 }")
        gateway.send("a@example.com", "b@example.net", LETTER)
        gateway.wait_log(event="hop-dead")
        hop.listen()
        self.assertEqual(len(hop.wait_messages(1)), 1)

    def test_no_address_of_the_hops_kind_is_said(self):
        hop = self.next_hop()
        gateway = self.relay(hop, 'address = "::1"')
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertIn("source pool has no address", gateway.wait_log(event="hop-dead")["reason"])
        self.assertEqual(hop.connections, 0)

    def test_each_family_has_its_addresses(self):
        if not socket.has_ipv6:
            self.skipTest("no IPv6")
        try:
            hop = self.next_hop(address="::1")
        except OSError:
            self.skipTest("no IPv6 here")
        gateway = self.relay(hop, 'address = { "127.0.0.71 hostname=v4.example.test", "::1 hostname=v6.example.test" }')
        gateway.send("a@example.com", "b@example.net", LETTER)
        hop.wait_messages(1)
        self.assertEqual(self.where_from(hop), [("::1", "v6.example.test")])

    def test_unix_sockets_need_none(self):
        import os
        hop = self.next_hop(address=self.folder() + "/hop", lmtp=True)
        os.chmod(hop.address, 0o777)
        gateway = self.relay(hop, "address = 127.0.0.71")
        gateway.send("a@example.com", "b@example.net", LETTER)
        hop.wait_messages(1)

    def test_route_test_shows_it(self):
        gateway = self.relay("127.0.0.1:9", 'address = { "127.0.0.71 hostname=v4.example.test weight=3", "::1" }')
        self.assertRegex(gateway.cli("route", "test", "--to", "b@example.net"),
                         r"source +pool \(.*:\d+\): 127.0.0.71 hostname=v4.example.test weight=3, ::1\n")
