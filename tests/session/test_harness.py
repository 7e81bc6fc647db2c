# SPDX-License-Identifier: MIT
"""The harness itself: a client talks straight to a next hop, so that a failure elsewhere is the gateway's."""

import harness
from harness import CLOSE, Client, Delay


class Harness(harness.SessionTest):
    def client(self, hop):
        c = Client((hop.address, hop.port), timeout=5)
        self.addCleanup(c.close)
        return c

    def test_message_arrives_byte_for_byte(self):
        hop = self.next_hop()
        body = b"Subject: x\r\n y\r\n\r\n.\r\n..\r\n\x00\xff bytes\r\n"
        c = self.client(hop)
        c.hello()
        self.assertEqual(c.message("a@example.com", ["b@example.net", "c@example.net"], body, pipelined=True).code, 250)
        self.assertEqual(c.message("", "d@example.net", b"").code, 250)
        first, second = hop.wait_messages(2)
        self.assertEqual((first.data, first.recipients), (body, ["b@example.net", "c@example.net"]))
        self.assertEqual((second.data, second.sender), (b"", ""))
        self.assertEqual((hop.connections, hop.transactions), (1, 2))

    def test_body_in_small_pieces(self):
        hop = self.next_hop()
        c = self.client(hop)
        c.hello()
        for line, code in (("MAIL FROM:<a@x.example>", 250), ("RCPT TO:<b@x.example>", 250), ("DATA", 354)):
            c.command(line, code)
        c.send_split(b"a\r\n..b\r\n.\r\n", 1)
        c.expect(250)
        self.assertEqual(hop.messages[0].data, b"a\r\n.b\r\n")

    def test_dialogue_patterns(self):
        hop = self.next_hop(tls=harness.server_context(*self.certificate()))
        c = self.client(hop)
        c.dialogue(r"""
            # a comment
            S: 220 ... ESMTP
            C: EHLO x
            S: 250-hop...
            S: 250-PIPELINING
            S: 250-...
            S: 250 STARTTLS
            C+ NOOP\r\nNO
            S: 250 2.0.0 ok
            C: OP
            S: 250
            C: STARTTLS
            S: 220
            TLS
            C: EHLO y
            S: 250
            C: QUIT
            S: 221
            S: <closed>
            """)
        self.assertEqual(hop.commands, ["EHLO x", "NOOP", "NOOP", "STARTTLS", "EHLO y", "QUIT"])
        with self.assertRaises(AssertionError):
            self.client(hop).dialogue("S: 250")

    def test_scripted_answers(self):
        hop = self.next_hop()
        hop.script("mail", "450 4.2.0 later", None).recipient("bad@x.example", "550 5.1.1 no")
        hop.script("dot", Delay(0.1, "451 4.3.0 no\nreally"), CLOSE)
        c = self.client(hop)
        c.hello()
        c.command("MAIL FROM:<a@x.example>", 450)
        c.command("MAIL FROM:<a@x.example>", 250)
        c.command("RCPT TO:<bad@x.example>", 550)
        c.command("RCPT TO:<good@x.example>", 250)
        c.command("DATA", 354)
        self.assertEqual(c.command(b"x\r\n.\r\n").lines, ["4.3.0 no", "really"])
        c.command("MAIL FROM:<a@x.example>", 250)
        c.command("RCPT TO:<good@x.example>", 250)
        c.command("DATA", 354)
        c.send(b"x\r\n.\r\n")
        self.assertTrue(c.closed())
        self.assertEqual(hop.received, 0)

    def test_refused_until_it_listens(self):
        hop = self.next_hop(listen=False)
        with self.assertRaises(ConnectionRefusedError):
            Client((hop.address, hop.port))
        hop.listen()
        self.client(hop).hello()

    def test_log_records_are_parsed(self):
        record = harness.parse_record('2026-01-01T00:00:00Z info delivered msg=ABC '
                                      'reply="250 2.0.0 \\"ok\\"\\x0a" to= n=1')
        self.assertEqual(record, {"time": "2026-01-01T00:00:00Z", "level": "info", "event": "delivered", "msg": "ABC",
                                  "reply": '250 2.0.0 "ok"\n', "to": "", "n": "1"})
