# SPDX-License-Identifier: MIT
"""Python's smtplib as the client."""

import email.message
import email.policy
import os
import smtplib
import ssl

import harness


class Smtplib(harness.SessionTest):
    def letter(self, **parts):
        m = email.message.EmailMessage(policy=email.policy.SMTP)
        m["From"] = "alice@example.com"
        m["To"] = "bob@example.net"
        m["Subject"] = "façade"
        m.set_content("Bonjour\n.\n..\nfin\n")
        for name, data in parts.items():
            m.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
        return m

    def connect(self, gateway):
        s = smtplib.SMTP(*gateway.address, timeout=20)
        self.addCleanup(s.close)
        return s

    def test_several_messages_over_one_connection(self):
        hop = self.next_hop()
        s = self.connect(self.gateway(next_hop=hop))
        letter = self.letter()
        for _ in range(3):
            self.assertEqual(s.send_message(letter), {})
        s.quit()
        for m in hop.wait_messages(3):
            self.assertEqual(m.content, letter.as_bytes())

    def test_starttls_with_a_verified_certificate(self):
        hop = self.next_hop()
        cert, key = self.certificate()
        gateway = self.gateway(next_hop=hop, extra='tls { certificate = "%s" key = "%s" }\n' % (cert, key))
        context = ssl.create_default_context(cafile=cert)
        context.check_hostname = False  # we connect by address
        s = self.connect(gateway)
        s.starttls(context=context)
        self.assertFalse(s.has_extn("starttls") and s.ehlo() and s.has_extn("starttls"))
        s.send_message(self.letter())
        s.quit()
        self.assertIn("ESMTPS", hop.wait_messages(1)[0].header("Received"))

    def test_refused_recipients_are_told_and_the_others_served(self):
        hop = self.next_hop()
        s = self.connect(self.gateway(next_hop=hop))
        refused = s.sendmail("a@example.com", ["b@example.net", "c@elsewhere.example"], "Subject: x\r\n\r\nx\r\n")
        self.assertEqual(list(refused), ["c@elsewhere.example"])
        self.assertEqual(refused["c@elsewhere.example"][0] // 100, 5)
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["b@example.net"])

    def test_large_attachment(self):
        hop = self.next_hop()
        s = self.connect(self.gateway(next_hop=hop))
        letter = self.letter(blob=os.urandom(7 << 20)).as_bytes()
        s.sendmail("alice@example.com", ["bob@example.net"], letter)
        self.assertEqual(hop.wait_messages(1, 60)[0].content, letter)

    def test_size_is_announced_and_kept(self):
        s = self.connect(self.gateway(next_hop=self.next_hop(), extra="limits { message_size = 100KB }\n"))
        s.ehlo()
        limit = int(s.esmtp_features["size"])
        with self.assertRaises(smtplib.SMTPSenderRefused) as e:
            s.sendmail("a@example.com", ["b@example.net"], b"x" * 70 + b"\r\n" * limit)
        self.assertEqual(e.exception.smtp_code, 552)
