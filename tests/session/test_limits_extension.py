# SPDX-License-Identifier: MIT
"""LIMITS (RFC 9422): said to clients as configured, kept towards next hops."""

import harness

LETTER = b"Subject: limits\r\n\r\nHello\r\n"


class Said(harness.SessionTest):
    def words(self, extra):
        with self.gateway(next_hop=self.next_hop(), extra=extra).client() as c:
            return [line for line in c.hello().lines if line.startswith("LIMITS")]

    def test_what_is_configured(self):
        self.assertEqual(self.words("limits { recipients = 3 messages_per_session = 2 }"),
                         ["LIMITS RCPTMAX=3 MAILMAX=2"])
        self.assertEqual(self.words(""), ["LIMITS RCPTMAX=1000"])

    def test_it_is_true(self):
        gateway = self.gateway(next_hop=self.next_hop(), extra="limits { recipients = 3 messages_per_session = 2 }")
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            for i in range(3):
                c.command("RCPT TO:<r%d@example.net>" % i, 250)
            c.command("RCPT TO:<r4@example.net>", 452)
            c.command("RSET", 250)
            for _ in range(2):
                self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
            c.command("MAIL FROM:<a@example.com>", 421)


class Kept(harness.SessionTest):
    def relay(self, limits, domains=("example.net",), **kw):
        hop = self.next_hop(extensions=("SIZE 100000", "8BITMIME", "ENHANCEDSTATUSCODES", limits), **kw)
        return hop, self.gateway(next_hop=hop, domains=domains)

    def test_recipients_of_a_transaction(self):
        for pipelining in (True, False):
            hop, gateway = self.relay("LIMITS RCPTMAX=3", pipelining=pipelining)
            gateway.send("a@example.com", ["r%d@example.net" % i for i in range(8)], LETTER)
            got = hop.wait_messages(3)
            self.assertEqual([len(m.recipients) for m in got], [3, 3, 2])
            self.assertEqual(sorted(sum((m.recipients for m in got), [])), ["r%d@example.net" % i for i in range(8)])

    def test_domains_of_a_transaction(self):
        hop, gateway = self.relay("limits rcptdomainmax=1", ["example.net", "example.org"])
        gateway.send("a@example.com", ["a@example.net", "b@Example.NET", "c@example.org", "d@example.net"], LETTER)
        got = [m.recipients for m in hop.wait_messages(3)]
        self.assertEqual(got, [["a@example.net", "b@Example.NET"], ["c@example.org"], ["d@example.net"]])

    def test_transactions_of_a_connection(self):
        hop, gateway = self.relay("LIMITS MAILMAX=2 RCPTMAX=1")
        gateway.send("a@example.com", ["r%d@example.net" % i for i in range(5)], LETTER)
        for i in range(4):
            gateway.send("a@example.com", "s%d@example.net" % i, LETTER)
        got = hop.wait_messages(9)
        self.assertEqual(sorted(r for m in got for r in m.recipients),
                         ["r%d@example.net" % i for i in range(5)] + ["s%d@example.net" % i for i in range(4)])
        on = [m.connection for m in got]
        self.assertLessEqual(max(on.count(n) for n in on), 2)

    def test_what_makes_no_sense_limits_nothing(self):
        for limits in ("LIMITS", "LIMITS RCPTMAX", "LIMITS RCPTMAX=0", "LIMITS RCPTMAX=-1", "LIMITS RCPTMAX=9999999",
                       "LIMITS =1 X=1 RCPTMAX= MAILMAX=x", "LIMITS  RCPTMAX=1x"):
            with self.subTest(limits):
                hop, gateway = self.relay(limits)
                gateway.send("a@example.com", ["r%d@example.net" % i for i in range(8)], LETTER)
                self.assertEqual(len(hop.wait_messages(1)[0].recipients), 8)
                gateway.stop()


if __name__ == "__main__":
    harness.unittest.main()
