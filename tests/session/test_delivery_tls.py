# SPDX-License-Identifier: MIT
"""STARTTLS towards next hops: none, optional, required; and hops where it is broken."""

import harness

QUICK = "queue { retry = { 1s, 2s } }\ndelivery { command_timeout = 2s }\n"
LETTER = b"Subject: test\r\n\r\nHello\r\n" + b"x" * 60 + b"\r\n"


class Tls(harness.SessionTest):
    def relay(self, hop, mode):
        return self.gateway(next_hop=hop, route="tls = %s" % mode, extra=QUICK)

    def relayed(self, hop, mode, count=3):
        gateway = self.relay(hop, mode)
        for i in range(count):
            gateway.send("a@example.com", "r%d@example.net" % i, LETTER)
        got = hop.wait_messages(count)
        self.assertTrue(all(m.content == LETTER for m in got))
        return gateway, got

    def test_optional_uses_it_where_offered(self):
        _, got = self.relayed(self.tls_hop(), "optional")
        self.assertTrue(all(m.tls for m in got))

    def test_optional_goes_without_where_not_offered(self):
        _, got = self.relayed(self.next_hop(), "optional")
        self.assertFalse(any(m.tls for m in got))

    def test_none_does_not_use_it(self):
        hop = self.tls_hop()
        _, got = self.relayed(hop, "none")
        self.assertFalse(any(m.tls for m in got))
        self.assertNotIn("STARTTLS", hop.commands)

    def test_required_uses_it(self):
        hop = self.tls_hop()
        _, got = self.relayed(hop, "required", count=20)
        self.assertTrue(all(m.tls for m in got))
        self.assertEqual(hop.commands.count("EHLO mx.example.test"), 2 * hop.connections)

    def test_a_kept_tls_connection_serves_again(self):
        hop = self.tls_hop()
        gateway = self.relay(hop, "required")
        for i in range(3):
            gateway.send("a@example.com", "r%d@example.net" % i, LETTER)
            hop.wait_messages(i + 1)
        self.assertEqual(hop.connections, 1)

    def test_a_big_message_through_tls(self):
        hop = self.tls_hop()
        gateway = self.relay(hop, "required")
        big = b"Subject: big\r\n\r\n" + (b"z" * 76 + b"\r\n") * 40000
        gateway.send("a@example.com", "b@example.net", big)
        self.assertEqual(hop.wait_messages(1)[0].content, big)

    def test_required_waits_while_not_offered(self):
        hop = self.next_hop()
        gateway = self.relay(hop, "required")
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertIn("STARTTLS", gateway.wait_log(event="hop-dead", count=2)["reason"])
        self.assertEqual(hop.transactions, 0)
        self.assertEqual(gateway.all_records(event="failed") + gateway.all_records(event="deferred"), [])

    def test_a_broken_handshake_with_optional_goes_on_in_plain_text(self):
        hop = self.next_hop()
        hop.extensions.append("STARTTLS")
        hop.script("starttls", b"220 go\r\n")  # and then it goes on in plain text
        gateway, got = self.relayed(hop, "optional")
        self.assertFalse(any(m.tls for m in got))
        gateway.wait_log(event="tls-broken")
        self.assertEqual(sum(c.startswith("STARTTLS") for c in hop.commands), 1)  # remembered

    def test_a_broken_handshake_with_required_waits(self):
        hop = self.next_hop()
        hop.extensions.append("STARTTLS")
        hop.script("starttls", b"220 go\r\n")
        gateway = self.relay(hop, "required")
        gateway.send("a@example.com", "b@example.net", LETTER)
        gateway.wait_log(event="hop-dead", count=2)
        self.assertEqual(hop.transactions, 0)

    def test_a_refused_starttls_with_optional_goes_on(self):
        hop = self.tls_hop()
        hop.script("starttls", "454 4.7.0 not now")
        _, got = self.relayed(hop, "optional")
        self.assertFalse(any(m.tls for m in got))

    def test_a_refused_starttls_with_required_waits(self):
        hop = self.tls_hop()
        hop.script("starttls", "454 4.7.0 not now")
        gateway = self.relay(hop, "required")
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertIn("454", gateway.wait_log(event="hop-dead")["reason"])
        hop.script("starttls", None)
        self.assertTrue(hop.wait_messages(1)[0].tls)

    def test_plain_text_behind_the_answer_to_starttls_is_an_attack(self):
        hop = self.next_hop()
        hop.extensions.append("STARTTLS")
        hop.script("starttls", b"220 go\r\n250 injected\r\n")
        gateway = self.relay(hop, "required")
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertIn("more behind", gateway.wait_log(event="hop-dead")["reason"])
        self.assertEqual(hop.transactions, 0)


if __name__ == "__main__":
    harness.unittest.main()
