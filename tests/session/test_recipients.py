# SPDX-License-Identifier: MIT
"""Which recipients of a domain exist: call-outs to the next hop, and what is remembered of them."""

import os
import re

import harness

LETTER = b"Subject: x\r\n\r\nHello\r\n"


class Verify(harness.SessionTest):
    def backend(self, *known, **kw):
        """A next hop that knows these recipients of example.net and no others."""
        hop = self.next_hop(**kw)
        hop.script("rcpt", "550 5.1.1 no such user")
        for user in known:
            hop.recipient(user + "@example.net", "250 2.1.5 ok")
        return hop

    def verifying(self, hop, route="recipients = verify", **kw):
        return self.gateway(next_hop=hop, route=route, **kw)

    def rcpt(self, gateway, address, code, text="..."):
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            c.send("RCPT TO:<%s>" % address)
            c.expect(code, text)

    def test_it_is_the_default(self):
        hop = self.backend("good")
        gateway = self.gateway(extra='domain example.net { next_hop = { "%s" } }\n' % hop.text)
        self.rcpt(gateway, "good@example.net", 250)
        self.rcpt(gateway, "bad@example.net", 550, "5.1.1 ...")

    def test_unknown_recipients_are_refused_and_answers_remembered(self):
        hop = self.backend("good")
        gateway = self.verifying(hop)
        for _ in range(3):
            self.rcpt(gateway, "good@example.net", 250)
            self.rcpt(gateway, "bad@example.net", 550, "5.1.1 ...")
            self.rcpt(gateway, "good@EXAMPLE.net", 250)
        self.assertEqual(hop.connections, 2)
        self.assertIn("MAIL FROM:<>", hop.commands)
        self.assertNotIn("DATA", hop.commands)
        gateway.wait_log(event="refused", verb="RCPT", code=550, to="bad@example.net", count=3)

    def test_a_message_in_one_go_reaches_the_good_recipients(self):
        hop = self.backend("good", "fine")
        gateway = self.verifying(hop)
        with gateway.client() as c:
            c.hello()
            c.send("MAIL FROM:<a@example.com>\r\nRCPT TO:<good@example.net>\r\nRCPT TO:<bad@example.net>\r\n"
                   "RCPT TO:<fine@example.net>\r\nDATA")
            c.expect(250)
            c.expect(250)
            c.expect(550)
            c.expect(250)
            c.expect(354)
            c.send(LETTER + b".\r\n")
            c.expect(250)
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["good@example.net", "fine@example.net"])

    def test_what_was_learnt_survives_restarts_and_kills(self):
        hop = self.backend("good")
        gateway = self.verifying(hop)
        path = os.path.join(gateway.state, "spool", "known-recipients")
        self.rcpt(gateway, "good@example.net", 250)
        gateway.restart()
        self.rcpt(gateway, "bad@example.net", 550)
        harness.wait_until(lambda: "bad@example.net" in open(path).read(), what="the line in the file")
        gateway.kill9()
        with open(path, "ab") as f:
            f.write(b"rubbish\n\xff\0\n+ 99999999999 torn@exam")
        hop.stop()
        gateway.start()
        self.rcpt(gateway, "good@example.net", 250)
        self.rcpt(gateway, "bad@example.net", 550)
        self.assertEqual(len(gateway.records(event="callout_failed")), 0)

    def test_bad_is_forgotten_after_three_hours_and_good_after_thirty_days(self):
        hop = self.backend("good")
        gateway = self.verifying(hop)
        self.rcpt(gateway, "good@example.net", 250)
        self.rcpt(gateway, "bad@example.net", 550)
        hop.recipient("bad@example.net", "250 2.1.5 ok")
        hop.recipient("good@example.net", "550 5.1.1 gone")
        for offset, good, bad in ((3 * 3600 - 60, 250, 550), (3 * 3600 + 60, 250, 250), (30 * 86400 + 60, 550, 250)):
            gateway.clock_offset = offset
            gateway.restart()
            self.rcpt(gateway, "good@example.net", good)
            self.rcpt(gateway, "bad@example.net", bad)

    def test_backend_down(self):
        """Known-good and new ones are accepted, known-bad ones refused; a next hop that is down is not asked each time."""
        hop = self.backend("good")
        gateway = self.verifying(hop)
        self.rcpt(gateway, "good@example.net", 250)
        self.rcpt(gateway, "bad@example.net", 550)
        hop.stop()
        self.rcpt(gateway, "good@example.net", 250)
        self.rcpt(gateway, "bad@example.net", 550)
        self.rcpt(gateway, "new@example.net", 250)
        self.rcpt(gateway, "newer@example.net", 250)
        self.assertEqual(len(gateway.all_records(event="callout_failed")), 1)

    def test_temporary_answers_and_refusals_of_the_question_say_nothing(self):
        for stage, answer in (("rcpt", "451 4.3.0 later"), ("mail", "550 5.7.1 no null senders"),
                              ("rcpt", "550 5.7.1 relaying denied"), ("connect", "554 no"), ("rcpt", harness.CLOSE),
                              ("connect", b"rubbish\r\n")):
            hop = self.next_hop()
            hop.script(stage, answer)
            gateway = self.verifying(hop)
            self.rcpt(gateway, "x@example.net", 250)
            gateway.wait_log(event="callout_failed")

    def test_a_backend_that_hangs_is_waited_for_a_while(self):
        hop = self.next_hop()
        hop.script("rcpt", harness.HANG)
        gateway = self.verifying(hop)
        self.rcpt(gateway, "x@example.net", 250)
        self.rcpt(gateway, "y@example.net", 250)
        self.assertEqual(hop.connections, 1)

    def test_a_backend_that_accepts_anything_is_said_once_and_asked_no_more(self):
        hop = self.next_hop()
        gateway = self.verifying(hop)
        for i in range(4):
            self.rcpt(gateway, "user%d@example.net" % i, 250)
        self.assertEqual(hop.connections, 1)
        self.assertEqual(len(gateway.all_records(event="recipients_any")), 1)
        probes = [c for c in hop.commands if re.match(r"RCPT TO:<no-such-user-[0-9a-z]+@example\.net>", c)]
        self.assertEqual(len(probes), 1)
        gateway.restart()
        self.rcpt(gateway, "user9@example.net", 250)
        self.assertEqual(hop.connections, 1)

    def test_backups_are_asked_when_the_first_is_away(self):
        hop = self.backend("good")
        port, holder = harness.free_port()
        self.addCleanup(holder.close)
        gateway = self.verifying(["127.0.0.1:%d" % port, hop.text + " backup"])
        self.rcpt(gateway, "bad@example.net", 550)

    def test_it_asks_over_tls_and_lmtp(self):
        hop = self.tls_hop()
        hop.script("rcpt", "550 5.1.1 no such user")
        gateway = self.verifying(hop, "recipients = verify tls = required")
        self.rcpt(gateway, "bad@example.net", 550)
        gateway = self.verifying(self.backend("good", lmtp=True))
        self.rcpt(gateway, "bad@example.net", 550)
        self.rcpt(gateway, "good@example.net", 250)

    def test_postmaster_is_never_asked_for(self):
        hop = self.backend()
        gateway = self.verifying(hop)
        self.rcpt(gateway, "Postmaster@example.net", 250)
        self.rcpt(gateway, "postmaster", 250)
        self.assertEqual(hop.connections, 0)

    def test_a_client_that_leaves_meanwhile_leaves_nothing(self):
        hop = self.next_hop()
        hop.script("rcpt", harness.Delay(1, "550 5.1.1 no"))
        gateway = self.verifying(hop)
        with gateway.client() as c:
            c.hello("leaver.example")
            c.command("MAIL FROM:<a@example.com>", 250)
            c.send("RCPT TO:<bad@example.net>")
            harness.wait_until(lambda: hop.connections, what="the call-out")
        gateway.wait_log(event="disconnect", helo="leaver.example")
        self.rcpt(gateway, "bad@example.net", 550)
        self.assertEqual(hop.connections, 1)

    def test_any_asks_nobody(self):
        hop = self.backend()
        gateway = self.verifying(hop, "recipients = any")
        self.rcpt(gateway, "bad@example.net", 250)
        self.assertEqual(hop.connections, 0)
