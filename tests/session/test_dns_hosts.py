# SPDX-License-Identifier: MIT
"""Next hops written as host names: their addresses come from the DNS, and mail waits while it does not say."""

import socket
import time
import unittest

import harness
from zone import NXDOMAIN, REFUSED, RUBBISH, SERVFAIL, SILENT, TRUNCATE

LETTER = b"Subject: test\r\n\r\nHello\r\n"
QUICK = "queue { retry = { 1s, 2s } }\ndelivery { connect_timeout = 5s  command_timeout = 5s }\n"


def has_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


class Hosts(harness.SessionTest):
    def relay(self, zone, hop, host="mail.example.net", dns="", **kw):
        return self.gateway(next_hop="%s:%d" % (host, hop.port), extra=QUICK + zone.block(dns), **kw)

    def test_name_is_resolved_and_named_in_the_log(self):
        zone, hop = self.zone(), self.next_hop()
        zone.add("mail.example.net", "A", "127.0.0.1")
        gateway = self.relay(zone, hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertEqual(hop.wait_messages(1)[0].content, LETTER)
        record = gateway.wait_log(event="delivered", to="b@example.net")
        self.assertEqual(record["hop"], "mail.example.net[127.0.0.1]:%d" % hop.port)
        status = gateway.cli("status", "--json")
        self.assertIn('"mail.example.net:%d"' % hop.port, status)

    def test_cname_is_followed(self):
        zone, hop = self.zone(), self.next_hop()
        zone.add("mail.example.net", "CNAME", "alias.example.org")
        zone.add("alias.example.org", "CNAME", "host.example.org")
        zone.add("host.example.org", "A", "127.0.0.1")
        gateway = self.relay(zone, hop)
        gateway.send()
        hop.wait_messages(1)

    def test_truncated_answer_is_asked_again_over_tcp(self):
        zone, hop = self.zone(), self.next_hop()
        zone.add("mail.example.net", "A", "127.0.0.1").script("mail.example.net", "A", TRUNCATE)
        gateway = self.relay(zone, hop)
        gateway.send()
        hop.wait_messages(1)
        self.assertTrue(any(q.tcp for q in zone.asked("mail.example.net", "A")))

    def test_equal_questions_are_asked_once_and_answers_kept(self):
        zone, hop = self.zone(), self.next_hop()
        zone.add("mail.example.net", "A", "127.0.0.1")
        gateway = self.relay(zone, hop, threads=1)
        for _ in range(5):
            gateway.send()
        hop.wait_messages(5)
        self.assertEqual(len(zone.asked("mail.example.net", "A")), 1)

    def test_while_dns_does_not_say_mail_waits(self):
        started = []
        for answer in (SERVFAIL, REFUSED, RUBBISH, SILENT, NXDOMAIN):
            zone, hop = self.zone(), self.next_hop()
            zone.add("mail.example.net", "A", "127.0.0.1")
            zone.script("mail.example.net", "A", answer)
            gateway = self.relay(zone, hop, dns="timeout = 1s", threads=1)
            gateway.send()
            started.append((zone, hop, gateway))
        for zone, hop, gateway in started:
            dead = gateway.wait_log(event="hop-dead", hop="mail.example.net:%d" % hop.port)
            self.assertIn("DNS", dead["reason"])
            zone.script("mail.example.net", "A", None)
        for zone, hop, gateway in started:
            hop.wait_messages(1, timeout=40)
            self.assertEqual(gateway.records(event="failed"), [])

    def test_server_that_comes_later(self):
        zone, hop = self.zone(), self.next_hop()
        text = zone.block("timeout = 1s")
        zone.add("mail.example.net", "A", "127.0.0.1")
        zone.default = SILENT
        gateway = self.gateway(next_hop="mail.example.net:%d" % hop.port, extra=QUICK + text)
        gateway.send()
        gateway.wait_log(event="hop-dead", count=2)
        zone.default = None
        hop.wait_messages(1)

    @unittest.skipUnless(has_ipv6(), "this machine has no ::1")
    def test_ipv6_first_and_ipv4_when_it_does_not_answer(self):
        zone, four = self.zone(), self.next_hop()
        zone.add("mail.example.net", "A", "127.0.0.1").add("mail.example.net", "AAAA", "::1")
        deaf = socket.socket(socket.AF_INET6)  # its queue is full: whoever else connects hears nothing
        self.addCleanup(deaf.close)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        deaf.bind(("::1", four.port))
        deaf.listen(0)
        for _ in range(4):
            filler = socket.socket(socket.AF_INET6)
            self.addCleanup(filler.close)
            filler.setblocking(False)
            filler.connect_ex(("::1", four.port))
        gateway = self.relay(zone, four)
        began = time.monotonic()
        gateway.send()
        four.wait_messages(1)
        self.assertGreater(time.monotonic() - began, 2.5)
        self.assertEqual(gateway.records(event="hop-dead"), [])

    @unittest.skipUnless(has_ipv6(), "this machine has no ::1")
    def test_ipv6_is_used_where_it_answers(self):
        zone, six = self.zone(), self.next_hop(address="::1")
        zone.add("mail.example.net", "A", "127.0.0.1").add("mail.example.net", "AAAA", "::1")
        gateway = self.relay(zone, six)
        gateway.send()
        six.wait_messages(1)
        gateway.wait_log(event="delivered", hop="mail.example.net[::1]:%d" % six.port)

    def test_slow_ipv6_answer_of_the_dns_does_not_hold_up_ipv4(self):
        zone, hop = self.zone(), self.next_hop()
        zone.add("mail.example.net", "A", "127.0.0.1").script("mail.example.net", "AAAA", SILENT)
        gateway = self.relay(zone, hop)
        began = time.monotonic()
        gateway.send()
        hop.wait_messages(1)
        self.assertLess(time.monotonic() - began, 8 * harness.SLOW)

    def test_international_names(self):
        zone, hop = self.zone(), self.next_hop()
        zone.add("xn--bro-hoa.example", "A", "127.0.0.1")
        gateway = self.relay(zone, hop, "b\u00fcro.example")
        gateway.send()
        hop.wait_messages(1)
        gateway.wait_log(event="delivered", hop="xn--bro-hoa.example[127.0.0.1]:%d" % hop.port)

    def test_reload_asks_the_new_servers_and_questions_under_way_end(self):
        old, new, hop = self.zone(), self.zone(), self.next_hop()
        old.default = SILENT
        new.add("mail.example.net", "A", "127.0.0.1")
        gateway = self.relay(old, hop)
        gateway.send()
        old.wait_asked("mail.example.net", "A")
        gateway.write_config(gateway.config.replace(old.text, new.text))
        gateway.cli("reload")
        gateway.send()
        hop.wait_messages(2, timeout=40)
        gateway.cli("reload")  # nothing is other than it was: nothing is forgotten
        asked = len(new.asked())
        gateway.send()
        hop.wait_messages(3)
        self.assertEqual(len(new.asked()), asked)

    def test_all_addresses_are_tried(self):
        zone, hop = self.zone(), self.next_hop()
        zone.add("mail.example.net", "A", "127.0.0.2", "127.0.0.3", "127.0.0.1")
        zone.add("mail.example.net", "AAAA", "::1")
        gateway = self.relay(zone, hop)
        for _ in range(4):
            gateway.send()
        hop.wait_messages(4)
        self.assertEqual(gateway.records(event="hop-dead"), [])


if __name__ == "__main__":
    unittest.main()
