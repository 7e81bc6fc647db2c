# SPDX-License-Identifier: MIT
"""Reports to senders: well-formed, once, and never to the null sender."""

import email
import email.policy
import time

import harness

QUICK = "queue { retry = { 1s, 1s }  %s }\ndelivery { command_timeout = 2s }\n"
LETTER = (b"From: Alice <alice@example.com>\r\nTo: Bob <bob@example.net>\r\nSubject: lunch\r\n"
          b"Message-ID: <1@example.com>\r\n\r\nShall we?\r\n")


def status_groups(report):
    """The groups of fields in the message/delivery-status part, the first about the message."""
    parts = [p for p in report.walk() if p.get_content_type() == "message/delivery-status"]
    assert len(parts) == 1
    return parts[0].get_payload()


class Bounce(harness.SessionTest):
    def relay(self, hop, home, queue="", **kw):
        """example.net goes to HOP, the senders' example.com to HOME."""
        return self.gateway(next_hop=hop, extra=QUICK % queue + harness.Gateway.domain_block(home, ["example.com"]),
                            **kw)

    def parse(self, message, action):
        self.assertEqual(message.sender, "")
        report = email.message_from_bytes(message.data, policy=email.policy.default)
        self.assertEqual([type(d).__name__ for p in report.walk() for d in p.defects], [])
        self.assertEqual(report.get_content_type(), "multipart/report")
        self.assertEqual(report.get_param("report-type"), "delivery-status")
        self.assertEqual(len(report.get_all("Message-ID")), 1)
        self.assertTrue(report["Date"] and report["From"] and report["Subject"])
        self.assertEqual(report["Auto-Submitted"], "auto-replied")
        kinds = [p.get_content_type() for p in report.iter_parts()]
        self.assertEqual(kinds[:2], ["text/plain", "message/delivery-status"])
        self.assertIn(kinds[2], ("text/rfc822-headers", "message/rfc822"))
        groups = status_groups(report)
        self.assertIn("mx.example.test", groups[0]["Reporting-MTA"])
        for group in groups[1:]:
            self.assertEqual(group["Action"], action)
            self.assertRegex(group["Final-Recipient"], r"^rfc822; ?\S+@\S+$")
        return report, groups[1:]

    def test_a_refused_recipient_is_reported(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.recipient("bob@example.net", "550 5.1.1 no such user here")
        gateway = self.relay(hop, home)
        gateway.send("alice@example.com", ["bob@example.net", "eve@example.net"], LETTER)
        message = home.wait_messages(1)[0]
        self.assertEqual(message.recipients, ["alice@example.com"])
        report, groups = self.parse(message, "failed")
        self.assertEqual(len(groups), 1)
        self.assertIn("bob@example.net", groups[0]["Final-Recipient"])
        self.assertEqual(groups[0]["Status"], "5.1.1")
        self.assertIn("no such user here", groups[0]["Diagnostic-Code"])
        self.assertIn("no such user here", report.get_body().get_content())
        headers = list(report.iter_parts())[2].as_string()
        self.assertIn("Subject: lunch", headers)
        self.assertNotIn("Shall we?", headers)
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["eve@example.net"])
        self.assertEqual(gateway.wait_log(event="bounced")["to"], "alice@example.com")

    def test_recipients_that_fail_together_share_a_report(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.script("rcpt", "550 5.1.1 no")
        gateway = self.relay(hop, home)
        gateway.send("alice@example.com", ["r%d@example.net" % i for i in range(150)], LETTER)
        _, groups = self.parse(home.wait_messages(1)[0], "failed")
        self.assertEqual(len(groups), 150)
        gateway.stop()
        self.assertEqual(home.received, 1)

    def test_the_null_sender_gets_none(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.script("rcpt", "550 5.1.1 no")
        gateway = self.relay(hop, home)
        gateway.send("", "bob@example.net", LETTER)
        self.assertEqual(gateway.wait_log(event="bounce-dropped")["reason"], "null sender")
        gateway.stop()
        self.assertEqual(home.received, 0)

    def test_a_report_that_cannot_be_delivered_is_not_reported(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.script("rcpt", "550 5.1.1 no")
        home.script("rcpt", "550 5.1.1 gone too")
        gateway = self.relay(hop, home)
        gateway.send("alice@example.com", "bob@example.net", LETTER)
        gateway.wait_log(event="bounced")
        gateway.wait_log(event="bounce-dropped")
        gateway.stop()
        self.assertEqual(home.received + hop.received, 0)
        self.assertEqual(len(gateway.all_records(event="bounced")), 1)

    def test_a_sender_without_a_route_gets_none(self):
        hop = self.next_hop().script("rcpt", "550 5.1.1 no")
        gateway = self.gateway(next_hop=hop)
        gateway.send("alice@elsewhere.example", "bob@example.net", LETTER)
        self.assertEqual(gateway.wait_log(event="bounce-dropped")["reason"], "no route to the sender")

    def test_the_end_of_life_is_reported(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.script("rcpt", "450 4.2.1 try again")
        gateway = self.relay(hop, home, "lifetime = 3s  warn_after = 0s")
        began = time.monotonic()
        gateway.send("alice@example.com", "bob@example.net", LETTER)
        report, groups = self.parse(home.wait_messages(1)[0], "failed")
        self.assertGreater(time.monotonic() - began, 2)
        self.assertEqual(groups[0]["Status"], "5.4.7")
        self.assertIn("try again", report.as_string())
        self.assertGreaterEqual(len(gateway.all_records(event="deferred")), 2)

    def test_the_end_of_life_while_no_hop_answers(self):
        hop, home = self.next_hop(listen=False), self.next_hop()
        gateway = self.relay(hop, home, "lifetime = 3s  warn_after = 0s")
        for i in range(5):
            gateway.send("alice@example.com", "b%d@example.net" % i, LETTER)
        got = home.wait_messages(5)
        for message in got:
            self.assertEqual(self.parse(message, "failed")[1][0]["Status"], "5.4.7")
        self.assertIn(b"refused", got[0].data)

    def test_the_null_senders_life_may_be_shorter(self):
        hop, home = self.next_hop(listen=False), self.next_hop()
        gateway = self.relay(hop, home, "lifetime = 1h  bounce_lifetime = 2s")
        gateway.send("", "bob@example.net", LETTER)
        gateway.send("alice@example.com", "bob@example.net", LETTER)
        gateway.wait_log(event="bounce-dropped")
        self.assertEqual(gateway.all_records(event="bounced"), [])

    def test_one_delay_warning_then_the_message_arrives(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.script("rcpt", "450 4.2.1 try again")
        gateway = self.relay(hop, home, "lifetime = 1h  warn_after = 2s")
        gateway.send("alice@example.com", "bob@example.net", LETTER)
        _, groups = self.parse(home.wait_messages(1)[0], "delayed")
        self.assertTrue(groups[0]["Status"].startswith("4."))
        self.assertTrue(groups[0]["Will-Retry-Until"])
        gateway.wait_log(event="deferred", count=4)
        hop.reset()
        self.assertEqual(hop.wait_messages(1)[0].content, LETTER)
        gateway.stop()
        self.assertEqual(home.received, 1)

    def test_one_delay_warning_while_no_hop_answers(self):
        hop, home = self.next_hop(listen=False), self.next_hop()
        gateway = self.relay(hop, home, "lifetime = 1h  warn_after = 2s")
        gateway.send("alice@example.com", "bob@example.net", LETTER)
        gateway.send("", "bob@example.net", LETTER)
        self.parse(home.wait_messages(1)[0], "delayed")
        gateway.restart()
        gateway.wait_log(event="hop-dead", count=3)
        hop.listen()
        hop.wait_messages(2)
        self.assertEqual(home.received, 1)

    def test_an_administrators_bounce(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.script("rcpt", "450 4.2.1 try again")
        gateway = self.relay(hop, home)
        gateway.send("alice@example.com", "bob@example.net", LETTER)
        gateway.wait_log(event="deferred")
        gateway.cli("queue", "bounce", "--all", "--yes")
        self.parse(home.wait_messages(1)[0], "failed")
        self.assertIn(b"administrator", home.messages[0].data)

    def test_hostile_replies_do_not_break_the_report(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.script("rcpt", b"550-5.1.1 \x00\x01\x80 --boundary\r\n550-\r\n550 " + b"\xff" * 3000 + b"\r\n")
        gateway = self.relay(hop, home)
        gateway.send("alice@example.com", "bob@example.net", b"Subject: \xe9\r\n" + LETTER)
        self.parse(home.wait_messages(1)[0], "failed")


if __name__ == "__main__":
    harness.unittest.main()
