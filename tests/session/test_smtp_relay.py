# SPDX-License-Identifier: MIT
"""Who may send to whom, and what the message and its envelope become."""

import re

import harness

LETTER = b"Subject: x\r\n\r\nHello\r\n"


class Relay(harness.SessionTest):
    def rcpt(self, gateway, address, sender="a@example.com"):
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<%s>" % sender, 250)
            return c.command("RCPT TO:<%s>" % address)

    def test_strangers_reach_our_domains_only(self):
        gateway = self.gateway(next_hop=self.next_hop(), domains=("example.net", ".sub.example.net"))
        for good in ("b@example.net", "B@Example.NET", "b@x.sub.example.net", "a%b@example.net", "a!b@example.net"):
            self.assertEqual((good, self.rcpt(gateway, good).code), (good, 250))
        for bad in ("b@example.org", "b@other.example.net", "b@example.net.example.org", "b@notexample.net",
                    "\"b@example.net\"@example.org", "b@[127.0.0.1]", "b@[IPv6:::1]"):
            reply = self.rcpt(gateway, bad)
            self.assertEqual((bad, reply.code, reply.text.split()[0]), (bad, 550, "5.7.1"))

    def test_being_ours_as_sender_opens_nothing(self):
        gateway = self.gateway(next_hop=self.next_hop())
        for sender in ("", "a@example.net", "postmaster@mx.example.test"):
            self.assertEqual(self.rcpt(gateway, "b@example.org", sender).code, 550)

    def test_relay_from_may_send_where_a_route_leads(self):
        hop, smart = self.next_hop(), self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="""
            relay_from = { 127.0.0.1 }
            route smart { match { recipient = { "@example.org" } } next_hop = { "%s" } }
            """ % smart.text)
        self.assertEqual(self.rcpt(gateway, "b@example.org").code, 250)
        reply = self.rcpt(gateway, "b@example.com")
        self.assertEqual((reply.code, reply.text.split()[0]), (550, "5.4.4"))
        gateway.send("a@example.com", ["b@example.net", "c@example.org"], LETTER)
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["b@example.net"])
        self.assertEqual(smart.wait_messages(1)[0].recipients, ["c@example.org"])
        self.assertEqual(gateway.wait_log(event="received")["direction"], "outbound")

    def test_relay_from_is_by_address(self):
        gateway = self.gateway(next_hop=self.next_hop(), extra="""
            relay_from = { 127.0.0.2 }
            route smart { next_hop = { "127.0.0.1:9" } }
            """)
        self.assertEqual(self.rcpt(gateway, "b@example.org").code, 550)
        with gateway.client(source=("127.0.0.2", 0)) as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<b@example.org>", 250)

    def test_a_bad_recipient_does_not_spoil_the_good_ones(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        with gateway.client() as c:
            c.hello()
            c.dialogue("""
                C: MAIL FROM:<a@example.com>
                C: RCPT TO:<b@example.org>
                C: RCPT TO:<b@example.net>
                C: RCPT TO:<<bad>>
                C: DATA
                S: 250
                S: 550
                S: 250
                S: 501
                S: 354
                C: Subject: x
                C:
                C: .
                S: 250
                """)
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["b@example.net"])

    def test_null_sender_is_welcome(self):
        hop = self.next_hop()
        self.gateway(next_hop=hop).send("", "b@example.net", LETTER)
        self.assertEqual(hop.wait_messages(1)[0].sender, "")

    def test_bare_postmaster_is_ours(self):
        hop = self.next_hop()
        self.gateway(next_hop=hop).send("a@example.com", "Postmaster", LETTER)
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["Postmaster@example.net"])
        own = self.next_hop()
        gateway = self.gateway(next_hop=own, domains=("example.net", "mx.example.test"))
        gateway.send("a@example.com", "postmaster", LETTER)
        self.assertEqual(own.wait_messages(1)[0].recipients, ["postmaster@mx.example.test"])

    def test_the_same_recipient_twice_gets_one(self):
        hop = self.next_hop()
        many = ["r%d@example.net" % i for i in range(40)]
        self.gateway(next_hop=hop).send("a@example.com", many + ["r3@EXAMPLE.net", "r39@example.net", "R3@example.net"],
                                        LETTER)
        self.assertEqual(sorted(hop.wait_messages(1)[0].recipients), sorted(many + ["R3@example.net"]))

    def test_recipients_over_the_limit_come_later(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="limits { recipients = 3 }")
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            for i in range(3):
                c.command("RCPT TO:<r%d@example.net>" % i, 250)
            c.command("RCPT TO:<r2@example.net>", 250)
            for _ in range(2):
                self.assertIn("4.5.3", c.command("RCPT TO:<r9@example.net>", 452).text)
            c.command("DATA", 354)
            c.send(harness.dot_stuffed(LETTER))
            c.expect(250)
        self.assertEqual(len(hop.wait_messages(1)[0].recipients), 3)

    def test_received_names_a_lone_recipient_and_no_crowd(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        with gateway.client() as c:
            c.hello("client.example")
            msg = c.message("a@example.com", "b@example.net", LETTER).text.split()[-1]
            c.message("a@example.com", ["b@example.net", "c@example.net"], LETTER)
        one, two = sorted(hop.wait_messages(2), key=lambda m: len(m.recipients))
        for m in (one, two):
            self.assertEqual(len(m.headers("Received")), 1)
            self.assertEqual(m.content, LETTER)
        text = re.sub(r"\s+", " ", one.header("Received"))
        self.assertRegex(text, r"^from client\.example \(.*\[127\.0\.0\.1\]\) by mx\.example\.test .*with ESMTP id %s "
                               r"for <b@example\.net>; \w{3}, +\d+ \w{3} \d{4} [\d:]{8} [+-]\d{4}" % msg)
        self.assertNotIn(" for ", two.header("Received"))

    def test_helo_makes_it_smtp(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        with gateway.client() as c:
            c.expect(220)
            c.command("HELO client.example", 250)
            c.message("a@example.com", "b@example.net", LETTER)
        self.assertRegex(hop.wait_messages(1)[0].header("Received"), r"with\s+SMTP\s")

    def test_messages_a_session(self):
        gateway = self.gateway(next_hop=self.next_hop(), extra="limits { messages_per_session = 2 }")
        with gateway.client() as c:
            c.hello()
            for _ in range(2):
                self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
            c.command("MAIL FROM:<a@example.com>", 421)
            self.assertTrue(c.closed())


if __name__ == "__main__":
    harness.unittest.main()
