# SPDX-License-Identifier: MIT
"""swaks as the client."""

import email
import os
import re
import subprocess

import harness


class Swaks(harness.SessionTest):
    def swaks(self, gateway, *arguments, status=0):
        harness.need(self, "swaks", "swaks")
        p = subprocess.run(["swaks", "--server", "127.0.0.1:%d" % gateway.port, "--from", "alice@example.com",
                            "--helo", "client.example", "--suppress-data", *arguments], text=True, timeout=60,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(p.returncode, status, p.stdout)
        return p.stdout

    def need_tls(self):
        if subprocess.run(["perl", "-MNet::SSLeay", "-e1"], stderr=subprocess.DEVNULL).returncode != 0:
            harness.missing(self, "libnet-ssleay-perl")

    def test_plain(self):
        hop = self.next_hop()
        out = self.swaks(self.gateway(next_hop=hop), "--to", "bob@example.net", "--body", "hello\n.\n..\n")
        self.assertRegex(out, r"<-  250 2\.0\.0 ")
        m = hop.wait_messages(1)[0]
        self.assertIn(b"hello\r\n.\r\n..\r\n", m.content)
        self.assertEqual((m.sender, m.recipients), ("alice@example.com", ["bob@example.net"]))

    def test_pipelined(self):
        hop = self.next_hop()
        self.swaks(self.gateway(next_hop=hop), "--to", "bob@example.net,carol@example.net", "--pipeline")
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["bob@example.net", "carol@example.net"])

    def test_tls(self):
        hop = self.next_hop()
        self.need_tls()
        cert, key = self.certificate()
        gateway = self.gateway(next_hop=hop, extra='tls { certificate = "%s" key = "%s" }\n' % (cert, key))
        out = self.swaks(gateway, "--to", "bob@example.net", "--tls")
        self.assertRegex(out, r"TLS started with cipher TLSv1\.[23]")
        self.assertIn("ESMTPS", hop.wait_messages(1)[0].header("Received"))

    def test_tls_on_connect(self):
        hop = self.next_hop()
        self.need_tls()
        cert, key = self.certificate()
        gateway = self.gateway(next_hop=hop, listener="tls = implicit", start=False,
                               extra='tls { certificate = "%s" key = "%s" }\n' % (cert, key))
        gateway.start(ready=False)
        harness.wait_until(lambda: self.tls_greets(gateway), what="a greeting inside TLS")
        self.swaks(gateway, "--to", "bob@example.net", "--tls-on-connect")
        self.assertIn("ESMTPS", hop.wait_messages(1)[0].header("Received"))

    def tls_greets(self, gateway):
        try:
            with gateway.client() as c:
                c.handshake()
                return c.recv_reply().code == 220
        except (OSError, harness.Closed):
            return False

    def test_null_sender(self):
        hop = self.next_hop()
        self.swaks(self.gateway(next_hop=hop), "--from", "<>", "--to", "bob@example.net")
        self.assertEqual(hop.wait_messages(1)[0].sender, "")

    def test_two_hundred_recipients_arrive_once_each(self):
        hop = self.next_hop()
        recipients = ["r%d@example.net" % i for i in range(200)]
        self.swaks(self.gateway(next_hop=hop), "--to", ",".join(recipients))
        harness.wait_until(lambda: sum(len(m.recipients) for m in hop.messages) >= 200, what="200 recipients")
        self.assertEqual(sorted(r for m in hop.messages for r in m.recipients), sorted(recipients))

    def test_attachment_of_any_bytes(self):
        hop = self.next_hop()
        path = os.path.join(self.folder(), "attached.bin")
        data = os.urandom(300000)
        with open(path, "wb") as f:
            f.write(data)
        self.swaks(self.gateway(next_hop=hop), "--to", "bob@example.net", "--attach", "@" + path)
        m = email.message_from_bytes(hop.wait_messages(1)[0].content)
        self.assertEqual(m.get_payload()[-1].get_payload(decode=True), data)

    def test_refused_recipient(self):
        out = self.swaks(self.gateway(next_hop=self.next_hop()), "--to", "bob@elsewhere.example", status=24)
        self.assertTrue(re.search(r"<\*\* 5[0-9][0-9] 5\.", out), out)
