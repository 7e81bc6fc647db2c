# SPDX-License-Identifier: MIT
"""Certificates of clients: asked for, verified, noted; and listeners that serve nobody without one."""

import hashlib
import re
import ssl

import harness
from certificates import Authority, client_context, read

LETTER = b"Subject: x\r\n\r\nHello\r\n"


class ClientCertificates(harness.SessionTest):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self)

    def secure(self, listener, **kw):
        return self.gateway(next_hop=self.next_hop(), listener=listener, extra='tls { certificate = "%s" ca = "%s" }' % (
            self.authority.pem("mx.example"), self.authority.root), **kw)

    def client_pem(self, authority=None, usage="clientAuth", **kw):
        return (authority or self.authority).pem("relay.example", usage=usage, **kw)

    def session(self, gateway, certificate=None):
        c = gateway.client()
        c.hello()
        c.starttls(client_context(self.authority.root, certificate), "mx.example")
        return c

    def fingerprint(self, path):
        pem = re.search("-----BEGIN CERT.*?-----END CERTIFICATE-----\n", read(path), re.S).group(0)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

    def test_a_verified_one_is_noted(self):
        gateway = self.secure("client_certificate = optional")
        pem = self.client_pem()
        c = self.session(gateway, pem)
        c.command("EHLO relay.example", 250)
        self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        c.command("QUIT", 221)
        record = gateway.wait_log(event="client-certificate")
        self.assertEqual((record["verified"], record["name"]), ("yes", "relay.example"))
        self.assertEqual(record["fingerprint"], self.fingerprint(pem))
        self.assertEqual(gateway.wait_log(event="received")["certificate"], "relay.example")

    def test_optional_serves_those_without_and_those_of_strangers(self):
        gateway = self.secure("client_certificate = optional")
        self.session(gateway).command("EHLO x", 250)
        self.assertEqual(gateway.all_records(event="client-certificate"), [])
        for n, (certificate, reason) in enumerate((
                (self.client_pem(Authority(self, "Stranger")), "unable to"),
                (self.client_pem(days=-1), "expired"), (self.client_pem(usage="serverAuth"), "purpose")), 1):
            c = self.session(gateway, certificate)
            c.command("EHLO x", 250)
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
            record = gateway.wait_log(event="client-certificate", count=n)
            self.assertEqual(record["verified"], "no")
            self.assertIn(reason, record["reason"])
            self.assertNotIn("certificate", gateway.wait_log(event="received", count=n))

    def refused(self, gateway, certificate, reason):
        try:
            c = self.session(gateway, certificate)  # TLS 1.3: the client is done before the server has looked
            c.send(b"EHLO x\r\n")
            self.assertEqual(c.socket.recv(100), b"")
        except (ssl.SSLError, ConnectionResetError):
            pass
        found = harness.wait_until(lambda: [r for r in gateway.records(event="tls_failed") if reason in r["reason"]])
        self.assertEqual(found[0]["client"], "127.0.0.1")

    def test_required_serves_nobody_else(self):
        gateway = self.secure("tls = required client_certificate = required")
        c = self.session(gateway, self.client_pem())
        c.command("EHLO x", 250)
        self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        self.refused(gateway, None, "did not return a certificate")
        self.refused(gateway, self.client_pem(Authority(self, "Stranger")), "local issuer")
        self.refused(gateway, self.client_pem(days=-1), "expired")
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 530)

    def test_names_of_any_bytes_are_quoted(self):
        gateway = self.secure("client_certificate = optional")
        pem = self.authority.pem('x" verified=yes\\\\', names=[], usage="clientAuth")
        self.session(gateway, pem).command("EHLO x", 250)
        self.assertEqual(gateway.wait_log(event="client-certificate")["name"], 'x" verified=yes\\')

    def test_not_asked_is_not_shown(self):
        gateway = self.secure("")
        self.session(gateway, self.client_pem()).command("EHLO x", 250)
        self.assertEqual(gateway.all_records(event="client-certificate"), [])

    def test_contradictions_are_refused(self):
        for listener, reason in (("client_certificate = required", "needs 'tls = required'"),
                                 ("tls = none client_certificate = optional", "without TLS")):
            gateway = self.secure(listener, start=False)
            with self.assertRaisesRegex(AssertionError, reason):
                gateway.start()


if __name__ == "__main__":
    harness.unittest.main()
