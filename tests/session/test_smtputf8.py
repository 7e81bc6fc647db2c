# SPDX-License-Identifier: MIT
"""SMTPUTF8 (RFC 6531): addresses and headers beyond ASCII, only where it was asked for and only to hops that offer it."""

import email
import email.policy
import quopri

import harness

OFFERS = ("SIZE 2147483648", "8BITMIME", "ENHANCEDSTATUSCODES", "SMTPUTF8")
LETTER = "Subject: Grüße\r\nFrom: jörg@example.com\r\n\r\nschön\r\n".encode()
PLAIN = b"Subject: hello\r\nFrom: a@example.com\r\n\r\nHello\r\n"


class Utf8(harness.SessionTest):
    def setUp(self):
        super().setUp()
        self.hop = self.next_hop(extensions=OFFERS)
        self.gw = self.gateway(next_hop=self.hop)

    def send(self, gateway, sender="jörg@example.com", rcpt="bäcker@example.net", data=LETTER, more=""):
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<%s> SMTPUTF8 %s" % (sender, more), 250)
            c.command("RCPT TO:<%s>" % rcpt, 250)
            c.command("DATA", 354)
            c.send(harness.dot_stuffed(data))
            c.expect(250)

    def test_offered(self):
        with self.gw.client() as c:
            self.assertIn("SMTPUTF8", c.hello().lines)

    def test_relayed_as_it_is_to_a_hop_that_offers_it(self):
        self.send(self.gw, more="BODY=8BITMIME")
        got = self.hop.wait_messages(1)[0]
        self.assertEqual((got.sender, got.recipients), ("jörg@example.com", ["bäcker@example.net"]))
        self.assertEqual(got.content, LETTER)
        words = got.mail_parameters.split()
        self.assertIn("SMTPUTF8", words)
        self.assertIn("BODY=8BITMIME", words)  # RFC 6531 3.6
        received = got.data.split(b"\r\n\r\n")[0].decode()
        self.assertIn("with UTF8SMTP", received)
        self.assertIn("for <bäcker@example.net>", received)
        self.assertEqual(self.gw.wait_log(event="received")["from"].encode("latin-1").decode(), "jörg@example.com")

    def test_kept_over_a_restart(self):
        hop = self.next_hop(extensions=OFFERS, listen=False)
        gateway = self.gateway(next_hop=hop, extra=harness.RETRY_SOON)
        self.send(gateway)
        gateway.kill9()
        gateway.start()
        hop.listen()
        got = hop.wait_messages(1)[0]
        self.assertEqual((got.sender, got.recipients), ("jörg@example.com", ["bäcker@example.net"]))
        self.assertIn("SMTPUTF8", got.mail_parameters.split())

    def test_only_with_the_parameter(self):
        with self.gw.client() as c:
            c.hello()
            c.command("MAIL FROM:<jörg@example.com>", 553)
            c.command("MAIL FROM:<jörg@example.com> BODY=8BITMIME", 553)
            c.command("MAIL FROM:<a@example.com> SMTPUTF8=yes", 501)
            c.command("MAIL FROM:<a@example.com> SMTPUTF8 SMTPUTF8", 501)
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<bäcker@example.net>", 553)
            c.command("RCPT TO:<b@example.net> SMTPUTF8", 555)  # RFC 6531 3.4: of MAIL only
            c.command("RCPT TO:<b@example.net> ORCPT=utf-8;bäcker@example.net", 501)
            c.command("RCPT TO:<b@example.net> ORCPT=utf-8;b\\x{E4}cker@example.net", 250)
            c.command("RSET", 250)
            c.command("MAIL FROM:<jörg@example.com> smtputf8", 250)
            c.command("RCPT TO:<bäcker@example.net> ORCPT=utf-8;bäcker@example.net", 250)
            c.command("RSET", 250)
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<bäcker@example.net>", 553)

    def test_what_is_no_utf8(self):
        bad = [b"\xff", b"\xc3", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\x80", b"\xc2\x85", b"a\xe2\x82"]
        with self.gw.client() as c:
            c.hello()
            for octets in bad:
                with self.subTest(octets):
                    c.send(b"MAIL FROM:<x" + octets + b"@example.com> SMTPUTF8\r\n")
                    c.expect(501)
                    c.send(b"MAIL FROM:<x@ex" + octets + b".com> SMTPUTF8\r\n")
                    c.expect(501)
                    c.send(b"MAIL FROM:<x@example.com> SMTPUTF8 ENVID=" + octets + b"\r\n")
                    c.expect(501)
            c.command("MAIL FROM:<a@example.com> SMTPUTF8", 250)
            for octets in bad:
                with self.subTest(octets):
                    c.send(b"RCPT TO:<x" + octets + b"@example.net>\r\n")
                    c.expect(501)
                    c.send(b'RCPT TO:<"x' + octets + b'"@example.net>\r\n')
                    c.expect(501)
                    c.send(b"RCPT TO:<x@example.net> ORCPT=utf-8;" + octets + b"\r\n")
                    c.expect(501)
            c.command('RCPT TO:<"ä ö"@example.net>', 250)

    def test_domains_are_compared_as_the_dns_has_them(self):
        for ours, given in (("xn--bcher-kva.example", "Bücher.example"), ("bücher.example", "xn--bcher-kva.example")):
            gateway = self.gateway(next_hop=self.hop, domains=(ours,))
            before = self.hop.received
            self.send(gateway, rcpt="b@" + given)
            self.assertEqual(self.hop.wait_messages(before + 1)[before].recipients, ["b@" + given])
            with gateway.client() as c:
                c.hello()
                c.command("MAIL FROM:<a@example.com> SMTPUTF8", 250)
                c.command("RCPT TO:<b@böcher.example>", 550)

    def test_other_commands_stay_ascii(self):
        with self.gw.client() as c:
            c.expect(220)
            c.command("EHLO clïent.example", 501)
            c.command("EHLO client.example", 250)
            c.command("VRFY jörg SMTPUTF8", 501)
            c.command("VRFY joerg SMTPUTF8", 252)
            c.command("NOOP", 250)


class Elsewhere(harness.SessionTest):
    """Next hops without SMTPUTF8."""

    def relay(self, home_offers=OFFERS):
        self.hop, self.home = self.next_hop(), self.next_hop(extensions=home_offers)
        return self.gateway(next_hop=self.hop, extra=harness.Gateway.domain_block(self.home, ["example.com"]))

    send = Utf8.send

    def returned(self, message):
        report = email.message_from_bytes(message.data, policy=email.policy.default)
        self.assertEqual(message.sender, "")
        self.assertEqual(report.get_content_type(), "multipart/report")
        text, status, original = report.get_payload()
        return status, original, quopri.decodestring(message.data)

    def test_fails_and_is_never_sent(self):
        gateway = self.relay()
        self.send(gateway, sender="a@example.com")
        status, original, fields = self.returned(self.home.wait_messages(1)[0])
        self.assertEqual(status.get_content_type(), "message/global-delivery-status")
        self.assertEqual(original.get_content_type(), "message/global-headers")
        self.assertIn("Final-Recipient: utf-8; bäcker@example.net".encode(), fields)
        self.assertIn(b"Status: 5.6.7", fields)
        self.assertEqual(self.home.messages[0].recipients, ["a@example.com"])
        self.assertTrue(self.home.messages[0].data.isascii())
        self.assertNotIn("SMTPUTF8", self.home.messages[0].mail_parameters)
        gateway.stop()
        self.assertEqual((self.hop.received, self.hop.transactions), (0, 0))

    def test_the_report_to_such_a_sender_is_such_a_message(self):
        gateway = self.relay()
        self.send(gateway)
        got = self.home.wait_messages(1)[0]
        self.assertEqual(got.recipients, ["jörg@example.com"])
        self.assertIn("SMTPUTF8", got.mail_parameters.split())
        status, _, _ = self.returned(got)
        self.assertEqual(status["Content-Transfer-Encoding"], "8bit")
        self.assertIn("Final-Recipient: utf-8; bäcker@example.net".encode(), got.data)

    def test_a_report_nobody_can_take_ends_there(self):
        gateway = self.relay(home_offers=("8BITMIME",))
        self.send(gateway)
        self.assertEqual(gateway.wait_log(event="bounce-dropped")["reason"], "null sender")
        gateway.stop()
        self.assertEqual(self.home.received, 0)

    def test_a_header_beyond_ascii_needs_it(self):
        gateway = self.relay()
        self.send(gateway, "a@example.com", "b@example.net", LETTER)
        _, _, fields = self.returned(self.home.wait_messages(1)[0])
        self.assertIn(b"Status: 5.6.7", fields)

    def test_what_is_ascii_goes_everywhere(self):
        gateway = self.relay()
        self.send(gateway, "a@example.com", "b@example.net", PLAIN)
        self.send(gateway, "a@example.com", "b@example.net", PLAIN + "schön\r\n".encode())
        got = self.hop.wait_messages(2)
        self.assertEqual([m.content for m in got], [PLAIN, PLAIN + "schön\r\n".encode()])
        self.assertNotIn("SMTPUTF8", got[0].mail_parameters)
        gateway.stop()
        self.assertEqual(self.home.received, 0)


if __name__ == "__main__":
    harness.unittest.main()
