# SPDX-License-Identifier: MIT
"""tls = verify towards next hops: whose certificate is good enough, and what becomes of mail where it is not."""

import harness
from certificates import Authority

QUICK = "queue { retry = { 1s, 2s } %s }\ndelivery { command_timeout = 5s }\n"
LETTER = b"Subject: test\r\n\r\nHello\r\n"


class Verify(harness.SessionTest):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self)

    def hop_with(self, authority=None, **kw):
        folder = self.folder()
        (authority or self.authority).split("hop.example", folder + "/crt", folder + "/key", **kw)
        return self.next_hop(tls=harness.server_context(folder + "/crt", folder + "/key"))

    def relay(self, hop, queue="", tls=None, dns="", **kw):
        tls = 'tls { ca = "%s" }\n' % self.authority.root if tls is None else tls
        return self.gateway(next_hop=hop, route="tls = verify", extra=tls + dns + QUICK % queue, **kw)

    def waits(self, hop, reason, **kw):
        gateway = self.relay(hop, **kw)
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertRegex(gateway.wait_log(event="hop-dead", count=2)["reason"], reason)
        self.assertEqual(hop.transactions, 0)
        return gateway

    def test_a_certificate_for_the_address_is_good(self):
        hop = self.hop_with(addresses=["127.0.0.1"])
        gateway = self.relay(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertTrue(hop.wait_messages(1)[0].tls)

    def test_the_authorities_of_the_system(self):
        hop = self.hop_with(addresses=["127.0.0.1"])
        gateway = self.relay(hop, tls="", env={"SSL_CERT_FILE": self.authority.root})
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertTrue(hop.wait_messages(1)[0].tls)

    def by_name(self, hop, **kw):
        zone = self.zone()
        zone.add("mail.hop.example", "A", "127.0.0.1")
        return self.relay("mail.hop.example:%d" % hop.port, dns=zone.block(), **kw)

    def test_a_certificate_for_the_name_is_good_and_the_name_is_sent(self):
        for names in ["mail.hop.example"], ["other.example", "*.hop.example"]:
            hop, asked = self.hop_with(names=names), []
            hop.tls.sni_callback = lambda _socket, name, _context, asked=asked: asked.append(name)
            self.by_name(hop).send("a@example.com", "b@example.net", LETTER)
            self.assertTrue(hop.wait_messages(1)[0].tls)
            self.assertEqual(asked, ["mail.hop.example"])

    def test_a_host_is_not_verified_by_its_address_nor_by_part_of_a_label(self):
        hop = self.hop_with(names=["m*.hop.example", "hop.example"], addresses=["127.0.0.1"])
        gateway = self.by_name(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertIn("is not for mail.hop.example", gateway.wait_log(event="hop-dead")["reason"])
        self.assertEqual(hop.transactions, 0)

    def test_another_name_or_address_waits(self):
        self.waits(self.hop_with(names=["127.0.0.1", "localhost"], addresses=["127.0.0.2"]), "is not for 127.0.0.1")

    def test_a_stranger_s_certificate_waits(self):
        self.waits(self.hop_with(Authority(self, "Stranger"), addresses=["127.0.0.1"]), "unable to get local issuer")

    def test_a_self_signed_certificate_waits(self):
        self.waits(self.tls_hop(), "self.signed certificate")

    def test_a_certificate_for_clients_waits(self):
        self.waits(self.hop_with(addresses=["127.0.0.1"], usage="clientAuth"), "purpose")

    def test_an_old_certificate_waits_until_it_is_renewed(self):
        hop = self.hop_with(addresses=["127.0.0.1"], days=-1)
        gateway = self.waits(hop, "certificate has expired")
        hop.tls = self.hop_with(addresses=["127.0.0.1"]).tls
        hop.wait_messages(1)
        gateway.wait_log(event="hop-alive")

    def test_not_offered_waits(self):
        self.waits(self.next_hop(), "does not offer STARTTLS")

    def test_never_in_plain_text_after_a_refusal(self):
        hop = self.hop_with(addresses=["127.0.0.1"])
        hop.script("starttls", "454 4.7.0 not now")
        gateway = self.relay(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        gateway.wait_log(event="hop-dead", count=2)
        self.assertEqual(hop.transactions, 0)

    def test_the_sender_is_told_why_it_waits(self):
        hop, home = self.tls_hop(), self.next_hop()
        extra = 'tls { ca = "%s" }\n' % self.authority.root + QUICK % "warn_after = 1s"
        gateway = self.gateway(next_hop=hop, route="tls = verify",
                               extra=extra + harness.Gateway.domain_block(home, ["example.com"]))
        gateway.send("a@example.com", "b@example.net", LETTER)
        report = home.wait_messages(1)[0].content
        self.assertIn(b"Action: delayed", report)
        self.assertIn(b"Status: 4.7.5", report)
        self.assertIn(b"certificate", report)

    def test_required_takes_any_certificate(self):
        hop = self.tls_hop()
        gateway = self.gateway(next_hop=hop, route="tls = required", extra=QUICK % "")
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertTrue(hop.wait_messages(1)[0].tls)


if __name__ == "__main__":
    harness.unittest.main()
