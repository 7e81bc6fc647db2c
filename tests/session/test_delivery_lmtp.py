# SPDX-License-Identifier: MIT
"""Next hops that speak LMTP (RFC 2033): over TCP and a unix socket, each recipient with a reply of its own."""

import os

import harness
from harness import CLOSE, HANG

LETTER = b"Subject: test\r\n\r\nHello\r\n"


class Lmtp(harness.SessionTest):
    def lmtp(self, **kw):
        hop = self.next_hop(lmtp=True, **kw)
        if hop.port == 0:
            os.chmod(hop.address, 0o777)
        return hop

    def relay(self, hop, **kw):
        kw.setdefault("extra", harness.RETRY_SOON)
        return self.gateway(next_hop=hop, **kw)

    def test_mail_goes_by_lhlo_over_tcp(self):
        hop = self.lmtp()
        gateway = self.relay(hop)
        gateway.send("a@example.com", ["x@example.net", "y@example.net"], LETTER)
        message = hop.wait_messages(1)[0]
        self.assertEqual(message.recipients, ["x@example.net", "y@example.net"])
        self.assertEqual(message.content, LETTER)
        self.assertEqual(hop.commands[0], "LHLO mx.example.test")
        record = gateway.wait_log(event="delivered", to="y@example.net")
        self.assertEqual(record["hop"], "lmtp:127.0.0.1:%d" % hop.port)

    def test_mail_goes_by_lhlo_over_a_unix_socket(self):
        hop = self.lmtp(address=self.folder() + "/lmtp")
        gateway = self.relay(hop)
        for i in range(5):
            gateway.send("a@example.com", "b@example.net", LETTER)
            hop.wait_messages(i + 1)
        self.assertEqual(hop.connections, 1)

    def test_each_recipient_has_its_own_fate_after_the_dot(self):
        hop, back = self.lmtp(), self.next_hop()
        hop.end("full@example.net", "452 4.2.2 mailbox full", "452 4.2.2 still full", "250 2.0.0 emptied")
        hop.end("never@example.net", "550 5.7.1 not from you")
        hop.recipient("gone@example.net", "550 5.1.1 nobody")
        gateway = self.relay(hop, extra=harness.RETRY_SOON + harness.Gateway.domain_block(back, "example.com"))
        gateway.send("a@example.com", ["x@example.net", "full@example.net", "gone@example.net", "never@example.net",
                                       "y@example.net"], LETTER)
        bounce = back.wait_messages(1)[0]
        self.assertIn(b"never@example.net", bounce.data)
        self.assertIn(b"gone@example.net", bounce.data)
        self.assertNotIn(b"rfc822;full@example.net", bounce.data.replace(b"rfc822; ", b"rfc822;"))
        hop.wait_messages(2)
        gateway.wait_log(event="delivered", to="full@example.net")
        self.assertEqual([m.recipients for m in hop.messages], [["x@example.net", "y@example.net"],
                                                                ["full@example.net"]])
        self.assertEqual(gateway.wait_log(event="failed", to="never@example.net")["reply"], "550 5.7.1 not from you")

    def test_replies_stay_matched_from_message_to_message(self):
        hop = self.lmtp()
        hop.end("odd@example.net", "450 4.2.0 not now", "250 2.0.0 in")
        gateway = self.relay(hop)
        with gateway.client() as c:
            c.hello()
            for i in range(40):
                to = ["r%d@example.net" % i, "odd@example.net" if i == 7 else "s%d@example.net" % i]
                self.assertEqual(c.message("a@example.com", to, LETTER).code, 250)
        hop.wait(lambda: sum(len(m.recipients) for m in hop.messages) >= 80, 30, "80 recipients")
        self.assertEqual(len(gateway.all_records(event="deferred")), 1)
        got = sorted(r for m in hop.messages for r in m.recipients)
        self.assertEqual(len(set(got)), 80)

    def test_a_close_between_replies_puts_off_only_who_had_none(self):
        hop = self.lmtp()
        hop.end("second@example.net", CLOSE, "250 2.0.0 in")
        gateway = self.relay(hop)
        gateway.send("a@example.com", ["first@example.net", "second@example.net", "third@example.net"], LETTER)
        # What the hop sent before it closed counts: the first is delivered, once.
        gateway.wait_log(event="delivered", to="first@example.net")
        gateway.wait_log(event="deferred", to="second@example.net")
        gateway.wait_log(event="delivered", to="second@example.net")
        gateway.wait_log(event="delivered", to="third@example.net")
        self.assertEqual(hop.wait_messages(1)[-1].recipients, ["second@example.net", "third@example.net"])

    def test_silence_after_the_dot_has_a_limit(self):
        hop = self.lmtp()
        hop.end("b@example.net", HANG)
        gateway = self.relay(hop, extra=harness.RETRY_SOON + "delivery { end_timeout = 1s }\n")
        gateway.send("a@example.com", ["a@example.net", "b@example.net"], LETTER)
        gateway.wait_log(event="delivered", to="a@example.net")
        self.assertIn("no reply", gateway.wait_log(event="deferred", to="b@example.net")["reply"])

    def test_there_is_no_helo_after_a_refused_lhlo(self):
        hop = self.lmtp()
        hop.script("lhlo", "550 5.5.1 no")
        gateway = self.relay(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertIn("LHLO", gateway.wait_log(event="hop-dead")["reason"])
        self.assertFalse(any(c.upper().startswith(("EHLO", "HELO")) for c in hop.commands))

    def test_without_pipelining(self):
        hop = self.lmtp(pipelining=False)
        hop.recipient("no@example.net", "550 5.1.1 nobody")
        hop.end("b@example.net", "550 5.7.1 no")
        gateway = self.relay(hop)
        gateway.send("", ["a@example.net", "no@example.net", "b@example.net"], LETTER)
        gateway.wait_log(event="failed", to="b@example.net")
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["a@example.net"])
