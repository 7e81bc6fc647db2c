# SPDX-License-Identifier: MIT
"""Postfix sending through the gateway, and Postfix behind it, each with configuration and queue of its own."""

import os
import re
import subprocess

import harness
import postfix

LETTER = (b"From: a@example.com\r\nTo: b@example.net\r\nSubject: x\r\nMessage-ID: <%d@example.com>\r\n\r\n"
          b".\r\nHello %d\r\n")


class Postfix(harness.SessionTest):
    def setUp(self):
        super().setUp()
        harness.need(self, "postfix", "postfix")
        if os.geteuid() != 0:
            self.skipTest("Postfix needs root")

    def postfix(self, relay, extra=""):
        """Starts a Postfix that relays everything to port RELAY; returns its own port."""
        folder = self.folder()
        port, holder = harness.free_port()
        holder.close()  # Postfix binds without SO_REUSEADDR games
        command = postfix.prepare(folder, port, relay, "minimal_backoff_time = 2s\nqueue_run_delay = 2s\n" + extra)
        master = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                  stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(harness.end_family, master)
        self.maillog = os.path.join(folder, "log", "maillog")
        harness.wait_until(lambda: harness.greets(port), what="Postfix's greeting")
        return port

    def diagnose(self):
        try:
            with open(self.maillog, errors="replace") as f:
                log = f.read()[-6000:]
        except (OSError, AttributeError):
            log = ""
        return super().diagnose() + "\n---- Postfix's log (the end)\n" + log

    def send(self, port, count, recipients=("b@example.net",)):
        with harness.Client(("127.0.0.1", port)) as c:
            c.hello()
            for i in range(count):
                self.assertEqual(c.message("a@example.com", list(recipients), LETTER % (i, i)).code, 250)

    def assert_all_once(self, hop, count):
        got = sorted(int(re.search(rb"Message-ID: <(\d+)@", m.data).group(1)) for m in hop.wait_messages(count, 60))
        self.assertEqual(got, list(range(count)))
        for m in hop.messages:
            self.assertTrue(m.data.endswith(b"\r\n\r\n.\r\nHello " + re.search(rb"<(\d+)@", m.data).group(1) + b"\r\n"))

    def test_postfix_sends_through_the_gateway(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        self.send(self.postfix(gateway.port), 50)
        self.assert_all_once(hop, 50)

    def test_postfix_sends_through_the_gateway_under_tls(self):
        hop = self.next_hop()
        cert, key = self.certificate()
        gateway = self.gateway(next_hop=hop, extra='tls { certificate = "%s" key = "%s" }\n' % (cert, key))
        self.send(self.postfix(gateway.port, "smtp_tls_security_level = encrypt"), 20)
        self.assert_all_once(hop, 20)
        self.assertTrue(all("ESMTPS" in m.headers("Received")[0] for m in hop.messages))

    def test_postfix_behind_the_gateway(self):
        hop = self.next_hop()
        port = self.postfix(hop.port)
        gateway = self.gateway(next_hop="127.0.0.1:%d" % port)
        with gateway.client() as c:
            c.hello()
            for i in range(50):
                self.assertEqual(c.message("a@example.com", "b@example.net", LETTER % (i, i)).code, 250)
        self.assert_all_once(hop, 50)

    def test_postfix_behind_the_gateway_under_tls(self):
        hop = self.next_hop()
        cert, key = self.certificate("postfix.example.test")
        port = self.postfix(hop.port, "smtpd_tls_security_level = may\nsmtpd_tls_cert_file = %s\n"
                            "smtpd_tls_key_file = %s\nsmtpd_tls_received_header = yes" % (cert, key))
        gateway = self.gateway(next_hop="127.0.0.1:%d" % port, route="tls = required")
        gateway.send("a@example.com", "b@example.net", LETTER % (0, 0))
        self.assertIn("using TLSv1.3", hop.wait_messages(1, 60)[0].headers("Received")[0])

    def test_refusal_by_postfix_becomes_one_bounce(self):
        hop, back = self.next_hop(), self.next_hop()
        port = self.postfix(hop.port, "smtpd_recipient_restrictions =\n"
                            "  check_recipient_access inline:{ { bad@example.net = REJECT gone } }")
        gateway = self.gateway(next_hop="127.0.0.1:%d" % port,
                               extra=harness.Gateway.domain_block(back, "example.com"))
        gateway.send("a@example.com", ["bad@example.net", "b@example.net"], LETTER % (0, 0))
        bounce = back.wait_messages(1, 60)[0]
        self.assertEqual((bounce.sender, bounce.recipients), ("", ["a@example.com"]))
        self.assertIn(b"Final-Recipient: rfc822; bad@example.net", bounce.data.replace(b"rfc822;bad", b"rfc822; bad"))
        self.assertEqual(hop.wait_messages(1, 60)[0].recipients, ["b@example.net"])
