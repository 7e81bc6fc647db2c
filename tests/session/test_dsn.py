# SPDX-License-Identifier: MIT
"""RFC 3461: what a sender asks to be told is checked, kept, relayed to next hops that know DSN, and honoured here
where they do not."""

import email
import email.policy

import harness
from test_delivery_bounce import LETTER, QUICK, status_groups

DSN = ("SIZE 2147483648", "8BITMIME", "ENHANCEDSTATUSCODES", "DSN")


def send(gateway, recipients, sender="alice@example.com", mail="", data=LETTER):
    """RECIPIENTS: (address, parameters) each."""
    with gateway.client() as c:
        c.hello()
        c.command("MAIL FROM:<%s> %s" % (sender, mail), 250)
        for address, parameters in recipients:
            c.command("RCPT TO:<%s> %s" % (address, parameters), 250)
        c.command("DATA", 354)
        c.send(harness.dot_stuffed(data))
        c.expect(250)


class Asked(harness.SessionTest):
    """What the server takes."""

    def setUp(self):
        super().setUp()
        self.hop = self.next_hop(extensions=DSN)
        self.gw = self.gateway(next_hop=self.hop)

    def test_ehlo_offers_it(self):
        with self.gw.client() as c:
            self.assertIn("DSN", c.hello().lines)

    def test_values_are_checked(self):
        mail = [("RET=FULL", 250), ("ret=hdrs", 250), ("RET=BODY", 501), ("RET=", 501), ("RET", 501),
                ("RET=FULL RET=FULL", 501), ("ENVID=abc+3Ddef", 250), ("ENVID=", 501), ("ENVID=a+3d", 501),
                ("ENVID=a+3", 501), ("ENVID=a+", 501), ("ENVID=a=b", 501), ("ENVID=x+0D+0ARCPT", 501),
                ("ENVID=" + "x" * 100, 250), ("ENVID=" + "x" * 101, 501), ("NOTIFY=NEVER", 555),
                ("ORCPT=rfc822;x", 555)]
        rcpt = [("NOTIFY=NEVER", 250), ("NOTIFY=SUCCESS", 250), ("NOTIFY=success,Failure,DELAY", 250),
                ("NOTIFY=NEVER,SUCCESS", 501), ("NOTIFY=SUCCESS,NEVER", 501), ("NOTIFY=", 501), ("NOTIFY=,", 501),
                ("NOTIFY=SUCCESS,", 501), ("NOTIFY=SOMETIMES", 501), ("NOTIFY", 501),
                ("NOTIFY=NEVER NOTIFY=NEVER", 501),
                ("ORCPT=rfc822;bob+2Bx@example.net", 250), ("ORCPT=X-400;/a/b/", 250), ("ORCPT=bob@example.net", 501),
                ("ORCPT=;bob", 501), ("ORCPT=rfc822;", 501), ("ORCPT=rfc822;a+0Ab", 501), ("ORCPT=rfc822;a=b", 501),
                ("ORCPT=r@c;a", 501), ("ORCPT=rfc822;" + "x" * 493, 250), ("ORCPT=rfc822;" + "x" * 494, 501),
                ("ORCPT=rfc822;" + "x" * 1900, 501), ("RET=FULL", 555), ("ENVID=x", 555)]
        with self.gw.client() as c:
            c.hello()
            for parameters, code in mail:
                with self.subTest(parameters):
                    c.command("MAIL FROM:<a@example.com> " + parameters, code)
                    c.command("RSET", 250)
            c.command("MAIL FROM:<a@example.com>", 250)
            for parameters, code in rcpt:
                with self.subTest(parameters):
                    c.command("RCPT TO:<b@example.net> " + parameters, code)

    def test_a_broken_off_transaction_leaves_nothing_behind(self):
        with self.gw.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com> RET=FULL ENVID=old", 250)
            c.command("RCPT TO:<b@example.net> NOTIFY=NEVER ORCPT=rfc822;old@example.net", 250)
            c.command("RSET", 250)
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        got = self.hop.wait_messages(1)[0]
        self.assertNotRegex(got.mail_parameters, "RET|ENVID")
        self.assertEqual(got.rcpt_parameters["b@example.net"], "")


class Relayed(harness.SessionTest):
    def test_to_a_hop_that_knows_it_as_given(self):
        hop = self.next_hop(extensions=DSN)
        gateway = self.gateway(next_hop=hop)
        send(gateway, [("b@example.net", "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Bx@example.org"),
                       ("c@example.net", "NOTIFY=NEVER"), ("d@example.net", "")], mail="RET=HDRS ENVID=QQ+3D314")
        got = hop.wait_messages(1)[0]
        self.assertIn("RET=HDRS", got.mail_parameters.split())
        self.assertIn("ENVID=QQ+3D314", got.mail_parameters.split())
        self.assertEqual(got.rcpt_parameters, {
            "b@example.net": "NOTIFY=SUCCESS,DELAY ORCPT=rfc822;first+2Bx@example.org",
            "c@example.net": "NOTIFY=NEVER", "d@example.net": ""})

    def test_to_another_without(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        send(gateway, [("b@example.net", "NOTIFY=NEVER ORCPT=rfc822;x@example.org")], mail="RET=FULL ENVID=q")
        got = hop.wait_messages(1)[0]
        self.assertNotRegex(got.mail_parameters, "RET|ENVID")
        self.assertEqual(got.rcpt_parameters["b@example.net"], "")

    def test_kept_over_a_restart(self):
        hop = self.next_hop(extensions=DSN, listen=False)
        gateway = self.gateway(next_hop=hop, extra=harness.RETRY_SOON)
        orcpt = "ORCPT=rfc822;" + "x" * 480  # once a spool of lines was broken by its length
        send(gateway, [("b@example.net", "NOTIFY=FAILURE " + orcpt)], mail="RET=FULL ENVID=kept")
        gateway.kill9()
        gateway.start()
        hop.listen()
        got = hop.wait_messages(1)[0]
        self.assertIn("RET=FULL", got.mail_parameters.split())
        self.assertIn("ENVID=kept", got.mail_parameters.split())
        self.assertEqual(got.rcpt_parameters["b@example.net"], "NOTIFY=FAILURE " + orcpt)


class Honoured(harness.SessionTest):
    """What the gateway reports itself."""

    def relay(self, hop, home, queue=""):
        return self.gateway(next_hop=hop, extra=QUICK % queue + harness.Gateway.domain_block(home, ["example.com"]))

    def parse(self, message):
        """The report, the fields about the message, and those about each recipient by its final address."""
        self.assertEqual(message.sender, "")
        report = email.message_from_bytes(message.data, policy=email.policy.default)
        self.assertEqual([type(d).__name__ for p in report.walk() for d in p.defects], [])
        groups = status_groups(report)
        return report, groups[0], {g["Final-Recipient"].split(";")[1].strip(): g for g in groups[1:]}

    def test_handing_on_to_a_hop_without_dsn_is_reported_as_relayed(self):
        hop, home = self.next_hop(), self.next_hop()
        gateway = self.relay(hop, home)
        send(gateway, [("bob@example.net", "NOTIFY=SUCCESS ORCPT=rfc822;Bob+2Bx@example.org"),
                       ("eve@example.net", "NOTIFY=FAILURE"), ("joe@example.net", "")], mail="RET=FULL ENVID=QQ+3D314")
        report, about, groups = self.parse(home.wait_messages(1)[0])
        self.assertEqual(list(groups), ["bob@example.net"])
        self.assertEqual(groups["bob@example.net"]["Action"], "relayed")
        self.assertRegex(groups["bob@example.net"]["Status"], r"^2\.\d+\.\d+$")
        self.assertEqual(groups["bob@example.net"]["Original-Recipient"], "rfc822; Bob+x@example.org")
        self.assertEqual(about["Original-Envelope-Id"], "QQ=314")
        self.assertEqual(list(report.iter_parts())[2].get_content_type(), "text/rfc822-headers")
        self.assertNotIn(b"Shall we?", home.messages[0].data)
        gateway.stop()
        self.assertEqual(home.received, 1)

    def test_lmtp_is_the_delivery(self):
        hop, home = self.next_hop(lmtp=True), self.next_hop()
        gateway = self.relay(hop, home)
        send(gateway, [("bob@example.net", "NOTIFY=SUCCESS")])
        _, _, groups = self.parse(home.wait_messages(1)[0])
        self.assertEqual(groups["bob@example.net"]["Action"], "delivered")
        self.assertIn("[127.0.0.1]", groups["bob@example.net"]["Remote-MTA"])

    def test_a_hop_with_dsn_reports_success_itself(self):
        hop, home = self.next_hop(extensions=DSN), self.next_hop()
        gateway = self.relay(hop, home)
        send(gateway, [("bob@example.net", "NOTIFY=SUCCESS,FAILURE,DELAY")])
        hop.wait_messages(1)
        gateway.stop()
        self.assertEqual(home.received, 0)

    def test_failures_only_to_those_who_want_them(self):
        hop, home = self.next_hop(extensions=DSN), self.next_hop()
        hop.script("rcpt", "550 5.1.1 no such user")
        gateway = self.relay(hop, home)
        send(gateway, [("never@example.net", "NOTIFY=NEVER"), ("success@example.net", "NOTIFY=SUCCESS"),
                       ("delay@example.net", "NOTIFY=DELAY"), ("failure@example.net", "NOTIFY=FAILURE"),
                       ("all@example.net", "NOTIFY=SUCCESS,FAILURE,DELAY"), ("none@example.net", "")])
        _, _, groups = self.parse(home.wait_messages(1)[0])
        self.assertEqual(sorted(groups), ["all@example.net", "failure@example.net", "none@example.net"])
        send(gateway, [("never@example.net", "NOTIFY=NEVER")])
        gateway.wait_log(event="failed", count=7)
        gateway.stop()
        self.assertEqual(home.received, 1)

    def test_delays_only_to_those_who_want_them(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.script("rcpt", "450 4.2.1 try again")
        gateway = self.relay(hop, home, "lifetime = 1h  warn_after = 1s")
        send(gateway, [("never@example.net", "NOTIFY=NEVER"), ("failure@example.net", "NOTIFY=FAILURE"),
                       ("delay@example.net", "NOTIFY=DELAY"), ("none@example.net", "")], mail="RET=FULL")
        report, _, groups = self.parse(home.wait_messages(1)[0])
        self.assertEqual(sorted(groups), ["delay@example.net", "none@example.net"])
        self.assertEqual({g["Action"] for g in groups.values()}, {"delayed"})
        self.assertNotIn(b"Shall we?", home.messages[0].data)

    def test_what_is_returned(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.script("rcpt", "550 5.1.1 no such user")
        gateway = self.relay(hop, home)
        for i, (mail, kind) in enumerate([("RET=FULL", "message/rfc822"), ("RET=HDRS", "text/rfc822-headers"),
                                          ("", "text/rfc822-headers")]):
            with self.subTest(mail):
                send(gateway, [("bob@example.net", "")], mail=mail)
                report, _, _ = self.parse(home.wait_messages(i + 1)[i])
                part = list(report.iter_parts())[2]
                self.assertEqual(part.get_content_type(), kind)
                self.assertEqual(b"Shall we?" in home.messages[i].data, mail == "RET=FULL")

    def test_success_and_failure_share_a_report(self):
        hop, home = self.next_hop(), self.next_hop()
        hop.recipient("eve@example.net", "550 5.1.1 no such user")
        gateway = self.relay(hop, home)
        send(gateway, [("bob@example.net", "NOTIFY=SUCCESS,FAILURE"), ("eve@example.net", "NOTIFY=SUCCESS,FAILURE")])
        _, _, groups = self.parse(home.wait_messages(1)[0])
        self.assertEqual({a: g["Action"] for a, g in groups.items()},
                         {"bob@example.net": "relayed", "eve@example.net": "failed"})
        self.assertEqual(groups["eve@example.net"]["Status"], "5.1.1")

    def test_the_null_sender_is_told_nothing(self):
        hop, home = self.next_hop(), self.next_hop()
        gateway = self.relay(hop, home)
        send(gateway, [("bob@example.net", "NOTIFY=SUCCESS")], sender="")
        hop.wait_messages(1)
        gateway.stop()
        self.assertEqual(home.received, 0)


if __name__ == "__main__":
    harness.unittest.main()
