# SPDX-License-Identifier: MIT
"""The path everything hangs on: a message goes in, is safe, and comes out whole."""

import harness

LETTER = (b"From: Alice <alice@example.com>\r\nTo: Bob <bob@example.net>\r\nSubject: lunch\r\n"
          b"Message-ID: <1@example.com>\r\n\r\nShall we?\r\n.\r\n..two dots\r\n\r\nAlice\r\n")


class Smoke(harness.SessionTest):
    def test_message_is_relayed_whole(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        with gateway.client() as c:
            c.dialogue("""
                S: 220 mx.example.test ...
                C: EHLO client.example
                S: 250-mx.example.test...
                S: 250-...
                S: 250
                C: MAIL FROM:<alice@example.com>
                S: 250 2.1.0 ...
                C: RCPT TO:<bob@example.net>
                S: 250 2.1.5 ...
                C: DATA
                S: 354
                """)
            c.send(harness.dot_stuffed(LETTER))
            c.expect(250, "2.0.0...")
            c.dialogue("""
                C: QUIT
                S: 221 2.0.0...
                S: <closed>
                """)
        got = hop.wait_messages(1)[0]
        self.assertEqual(got.sender, "alice@example.com")
        self.assertEqual(got.recipients, ["bob@example.net"])
        self.assertEqual(got.content, LETTER)
        self.assertEqual(len(got.headers("Received")), 1)
        self.assertIn("by mx.example.test", got.header("Received"))

    def test_commands_in_one_segment_are_answered_in_order(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        with gateway.client() as c:
            c.hello()
            reply = c.message("a@example.com", ["b@example.net", "c@example.net"], LETTER, pipelined=True)
            self.assertEqual(reply.code, 250)
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["b@example.net", "c@example.net"])

    def test_recipient_without_a_route_is_refused(self):
        gateway = self.gateway(next_hop=self.next_hop())
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<b@elsewhere.example>", "5xx")
            c.command("RCPT TO:<b@example.net>", 250)

    def test_queue_survives_a_restart(self):
        hop = self.next_hop(listen=False)
        gateway = self.gateway(next_hop=hop)
        for i in range(5):
            gateway.send("a@example.com", "r%d@example.net" % i, LETTER)
        gateway.stop()
        hop.listen()
        gateway.start()
        gateway.cli("queue", "retry", "--all", "--yes", code=None)  # some may be on their way already
        got = hop.wait_messages(5)
        self.assertEqual(sorted(m.recipients[0] for m in got), ["r%d@example.net" % i for i in range(5)])
        self.assertTrue(all(m.content == LETTER for m in got))

    def test_stop_under_load_loses_and_doubles_nothing(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        with gateway.client() as c:
            c.hello()
            for i in range(200):
                self.assertEqual(c.message("a@example.com", "r%d@example.net" % i, LETTER).code, 250)
            gateway.stop()
        gateway.start()
        got = hop.wait_messages(200)
        self.assertEqual(sorted(m.recipients[0] for m in got), sorted("r%d@example.net" % i for i in range(200)))


if __name__ == "__main__":
    harness.unittest.main()
