# SPDX-License-Identifier: MIT
"""Delivery by MX (RFC 5321 5.1): order, rotation, fallback, null MX, loops, literals, and a DNS that fails."""

import os
import random
import socket
import unittest

import harness
from zone import NXDOMAIN, REFUSED, RUBBISH, SERVFAIL, SILENT

LETTER = b"Subject: test\r\n\r\nHello\r\n"
QUICK = "queue { retry = { 1s, 2s } }\ndelivery { connect_timeout = 5s  command_timeout = 5s }\n"


class Exchangers(harness.SessionTest):
    """next_hop = mx:NAME:PORT: exchangers on addresses 127.0.0.N that share a port of ours."""

    def group(self, *numbers):
        """Next hops on 127.0.0.N, all on one port."""
        while True:
            made = [self.next_hop(address="127.0.0.%d" % numbers[0])]
            try:
                made += [self.next_hop(address="127.0.0.%d" % n, port=made[0].port) for n in numbers[1:]]
                return made
            except OSError:
                for hop in made:
                    hop.stop()

    def exchangers(self, zone, domain, *rows):
        """Rows (preference, N): the MX and A records of 127.0.0.N, called mxN."""
        for preference, n in rows:
            zone.add(domain, "MX", (preference, "mx%d.example.org" % n))
            if (("mx%d.example.org" % n), "A") not in zone.records:
                zone.add("mx%d.example.org" % n, "A", "127.0.0.%d" % n)

    def relay(self, zone, port, dns="", **kw):
        kw.setdefault("threads", 1)
        return self.gateway(next_hop="mx:example.net:%d" % port, extra=QUICK + zone.block(dns), **kw)

    def send_many(self, gateway, count):
        with gateway.client() as c:
            c.hello()
            for i in range(count):
                self.assertEqual(c.message("a@example.com", "r%d@example.net" % i, LETTER).code, 250)

    def test_least_preference_first_and_equals_in_turn(self):
        zone = self.zone()
        two, three, four = self.group(2, 3, 4)
        self.exchangers(zone, "example.net", (20, 4), (10, 2), (10, 3))
        gateway = self.relay(zone, two.port)
        self.send_many(gateway, 20)
        harness.wait_until(lambda: two.received + three.received == 20, what="all mail")
        self.assertEqual((two.received, three.received, four.received), (10, 10, 0))
        self.assertTrue(gateway.records(event="delivered", hop="mx3.example.org[127.0.0.3]:%d" % two.port))

    def test_next_preference_when_the_first_is_down(self):
        zone = self.zone()
        two, three = self.group(2, 3)
        two.stop()
        self.exchangers(zone, "example.net", (10, 2), (20, 3))
        gateway = self.relay(zone, three.port)
        self.send_many(gateway, 3)
        three.wait_messages(3)
        gateway.wait_log(event="hop-dead", hop="mx2.example.org:%d" % three.port)
        self.assertEqual(gateway.all_records(event="deferred"), [])

    def test_without_mx_the_address_of_the_domain_counts(self):
        zone = self.zone()
        hop, = self.group(2)
        zone.add("example.net", "A", "127.0.0.2")
        gateway = self.relay(zone, hop.port)
        gateway.send()
        hop.wait_messages(1)

    def test_cname_of_domain_and_exchanger_are_followed(self):
        zone = self.zone()
        hop, = self.group(2)
        zone.add("example.net", "CNAME", "real.example.org")
        zone.add("real.example.org", "MX", (10, "alias.example.org"))
        zone.add("alias.example.org", "CNAME", "mx.example.org")
        zone.add("mx.example.org", "A", "127.0.0.2")
        gateway = self.relay(zone, hop.port)
        gateway.send()
        hop.wait_messages(1)

    def test_exchangers_without_address_are_passed_over(self):
        zone = self.zone()
        hop, = self.group(2)
        zone.add("example.net", "MX", (5, "gone.example.org"))
        zone.add("example.net", "MX", (6, "textonly.example.org"))
        zone.add("textonly.example.org", "TXT", "no address")
        self.exchangers(zone, "example.net", (10, 2))
        gateway = self.relay(zone, hop.port)
        gateway.send()
        hop.wait_messages(1)
        self.assertEqual(gateway.all_records(event="hop-dead"), [])

    def test_change_of_mx_counts_after_its_ttl(self):
        zone = self.zone(ttl=1)
        two, three = self.group(2, 3)
        self.exchangers(zone, "example.net", (10, 2))
        gateway = self.relay(zone, two.port)
        gateway.send()
        two.wait_messages(1)
        zone.remove("example.net", "MX")
        self.exchangers(zone, "example.net", (10, 3))
        harness.wait_until(lambda: (gateway.send(), three.received)[1], what="mail to the new exchanger", pause=0.5)
        before = two.received
        self.send_many(gateway, 5)
        harness.wait_until(lambda: three.received >= 6)
        self.assertEqual(two.received, before)

    def test_null_mx_is_bounced(self):
        zone, home = self.zone(), self.next_hop()
        zone.add("example.net", "MX", (0, "."))
        gateway = self.gateway(next_hop="mx:example.net", extra=QUICK + zone.block() + harness.Gateway.domain_block(
            home, domains=["example.com"]))
        gateway.send("a@example.com", "b@example.net", LETTER)
        failed = gateway.wait_log(event="failed", to="b@example.net")
        self.assertIn("takes no mail", failed["reply"])
        report = home.wait_messages(1)[0]
        self.assertEqual((report.sender, report.recipients), ("", ["a@example.com"]))
        self.assertIn(b"Status: 5.1.10", report.data)

    def test_exchangers_from_our_own_place_on_are_left_out(self):
        zone = self.zone()
        two, three, four = self.group(2, 3, 4)
        two.stop()  # the best one is away: mail waits for it and goes to nobody else
        self.exchangers(zone, "example.net", (10, 2), (20, 3), (30, 4))
        zone.add("example.net", "MX", (20, "mx.example.test"))
        gateway = self.relay(zone, three.port, hostname="mx.example.test")
        gateway.send()
        gateway.wait_log(event="hop-dead", hop="mx2.example.org:%d" % three.port, count=2)
        self.assertEqual((three.connections, four.connections), (0, 0))

    def test_best_exchanger_is_ourselves_by_name(self):
        zone = self.zone()
        zone.add("example.net", "MX", (10, "MX.example.TEST"), (20, "mx2.example.org"))
        gateway = self.relay(zone, 25, hostname="mx.example.test")
        gateway.send("", "b@example.net", LETTER)
        failed = gateway.wait_log(event="failed", to="b@example.net")
        self.assertIn("loops back", failed["reply"])
        self.assertEqual(gateway.records(event="mx-refused")[0]["status"], "5.4.6")

    def test_best_exchanger_is_ourselves_by_address(self):
        zone = self.zone()
        zone.add("example.net", "MX", (10, "other.example.org"))
        zone.add("other.example.org", "A", "127.0.0.1")
        gateway = self.relay(zone, 1, start=False)
        gateway.write_config(gateway.config.replace("mx:example.net:1", "mx:example.net:%d" % gateway.port))
        gateway.start()
        gateway.send("", "b@example.net", LETTER)
        self.assertIn("loops back", gateway.wait_log(event="failed", to="b@example.net")["reply"])

    def test_while_dns_does_not_say_mail_waits(self):
        started = []
        hop, = self.group(2)
        for answer in (SERVFAIL, REFUSED, RUBBISH, SILENT, NXDOMAIN):  # NXDOMAIN: what the configuration names
            zone = self.zone()
            self.exchangers(zone, "example.net", (10, 2))
            zone.script("example.net", "MX", answer)
            gateway = self.relay(zone, hop.port, dns="timeout = 1s")
            gateway.send()
            started.append((zone, gateway))
        for zone, gateway in started:
            gateway.wait_log(event="mx-unknown")
            why = gateway.cli("status", "--json")
            self.assertIn('"mx:example.net:%d"' % hop.port, why)
            zone.script("example.net", "MX", None)
        hop.wait_messages(len(started), timeout=40)
        for zone, gateway in started:
            self.assertEqual(gateway.records(event="failed"), [])

    def test_known_exchangers_serve_on_while_dns_is_down(self):
        zone = self.zone(ttl=1)
        hop, = self.group(2)
        self.exchangers(zone, "example.net", (10, 2))
        zone.records["mx2.example.org", "A"] = [(600, socket.inet_aton("127.0.0.2"))]
        gateway = self.relay(zone, hop.port, dns="timeout = 1s")
        gateway.send()
        hop.wait_messages(1)
        zone.default = SERVFAIL
        harness.wait_until(lambda: (gateway.send(), gateway.records(event="mx-unknown"))[1], pause=0.5,
                           what="a failed look-up")
        before = hop.received
        self.send_many(gateway, 3)
        hop.wait_messages(before + 3)


def may_bind_port_25():
    try:
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("127.%d.%d.%d" % tuple(random.randrange(1, 255) for _ in range(3)), 25))
        return True
    except OSError:
        return False


@unittest.skipUnless(may_bind_port_25(), "port 25 of a loopback address cannot be bound: run as root")
class RouteByMx(harness.SessionTest):
    """A route without next hops: every recipient's domain by its MX, on port 25 of loopback addresses of our own."""

    def exchanger(self, **kw):
        for _ in range(20):
            address = "127.%d.%d.%d" % tuple(random.randrange(1, 255) for _ in range(3))
            try:
                return self.next_hop(address=address, port=25, **kw)
            except OSError:
                pass
        raise AssertionError("no loopback address has port 25 free")

    def relay(self, zone, extra="", **kw):
        return self.gateway(extra="relay_from = { 127.0.0.0/8 }\nroute default { }\n" + QUICK + zone.block() + extra, **kw)

    def test_each_domain_goes_its_own_way(self):
        zone, one, two = self.zone(), self.exchanger(), self.exchanger()
        zone.add("one.example", "MX", (10, "mx.one.example")).add("mx.one.example", "A", one.address)
        zone.add("two.example", "A", two.address)
        gateway = self.relay(zone)
        gateway.send("a@example.com", ["x@one.example", "y@Two.Example", "z@one.example"], LETTER)
        self.assertEqual(sorted(one.wait_messages(1)[0].recipients), ["x@one.example", "z@one.example"])
        self.assertEqual(two.wait_messages(1)[0].recipients, ["y@Two.Example"])
        gateway.wait_log(event="delivered", to="x@one.example", hop="mx.one.example[%s]:25" % one.address)
        self.assertIn("route:default@one.example", gateway.cli("status", "--json"))

    def test_address_literals(self):
        zone, hop = self.zone(), self.exchanger()
        gateway = self.relay(zone)
        gateway.send("a@example.com", "b@[%s]" % hop.address, LETTER)
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["b@[%s]" % hop.address])
        self.assertEqual(zone.asked(), [])

    def test_what_cannot_be_is_bounced_with_its_status(self):
        zone, home = self.zone(), self.exchanger()
        zone.add("example.com", "A", home.address)
        zone.add("null.example", "MX", (0, "."))
        zone.add("noaddress.example", "MX", (10, "gone.noaddress.example"))
        zone.add("nothing.example", "TXT", "no mail here")
        zone.add("loop.example", "MX", (10, "mx.example.test"))
        gateway = self.relay(zone, hostname="mx.example.test")
        for domain, status in (("null.example", "5.1.10"), ("missing.example", "5.1.2"), ("noaddress.example", "5.4.4"),
                               ("nothing.example", "5.1.2"), ("loop.example", "5.4.6"), ("a.test", "5.1.2")):
            with self.subTest(domain=domain):
                before = home.received
                gateway.send("a@example.com", "b@" + domain, LETTER)
                report = home.wait_messages(before + 1)[-1]
                self.assertIn(b"Status: %s\r\n" % status.encode(), report.data)
                self.assertIn(b"Final-Recipient: rfc822; b@" + domain.encode(), report.data)

    def test_temporary_failure_of_one_domain_holds_up_no_other(self):
        zone, hop = self.zone(), self.exchanger()
        zone.add("good.example", "A", hop.address)
        zone.script("slow.example", "MX", SILENT)
        gateway = self.relay(zone)
        gateway.send("a@example.com", ["x@slow.example", "y@good.example"], LETTER)
        hop.wait_messages(1)
        self.assertEqual(gateway.records(event="failed"), [])

    def test_mail_survives_a_restart_and_a_change_to_named_hops(self):
        zone, hop = self.zone(), self.exchanger()
        zone.default = SERVFAIL
        gateway = self.relay(zone)
        gateway.send("a@example.com", ["x@one.example", "y@two.example"], LETTER)
        gateway.wait_log(event="mx-unknown", count=2)
        gateway.restart()
        gateway.wait_log(event="mx-unknown", count=4)
        gateway.stop()
        gateway.write_config(gateway.config.replace("route default { }",
                                                    'route default { next_hop = "%s:25" }' % hop.address))
        gateway.start()
        hop.wait_messages(2)


if __name__ == "__main__":
    unittest.main()
