# SPDX-License-Identifier: MIT
"""What a next hop may answer, or fail to answer, and what becomes of the mail."""

import harness
from harness import CLOSE, HANG, RESET, Delay

QUICK = """
queue { retry = { 1s, 2s } }
delivery { connect_timeout = 2s  command_timeout = 1s  data_timeout = 1s  end_timeout = 1s }
"""
LETTER = b"Subject: test\r\n\r\nHello\r\n"


class Replies(harness.SessionTest):
    def relay(self, hop, **kw):
        kw.setdefault("extra", QUICK)
        return self.gateway(next_hop=hop, **kw)

    def arrives_after(self, stage, *answers, count=1, hop=None):
        """ANSWERS at STAGE put the message off; then it arrives, COUNT times by the hop's own reckoning."""
        hop = hop or self.next_hop()
        hop.script(stage, *answers, b"" if stage == "body" else None)
        gateway = self.relay(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        got = hop.wait_messages(count)
        self.assertEqual([m.recipients for m in got], [["b@example.net"]] * count)
        self.assertTrue(all(m.content == LETTER for m in got))
        gateway.wait_log(event="delivered", to="b@example.net")
        gateway.stop()
        self.assertEqual(len(hop.messages), count)
        return gateway

    # ---- put off, at every stage

    def test_refused_greeting(self):
        gateway = self.arrives_after("connect", "554 no", "421 4.3.2 busy", "450 later")
        self.assertIn("554 no", gateway.wait_log(event="hop-dead")["reason"])
        self.assertEqual(gateway.all_records(event="deferred"), [])

    def test_refused_ehlo(self):
        self.arrives_after("ehlo", "451 4.3.0 later", "421 4.3.2 busy")

    def test_ehlo_not_known_means_helo(self):
        hop = self.next_hop()
        self.arrives_after("ehlo", "502 5.5.1 what?", hop=hop)
        self.assertIn("HELO mx.example.test", hop.commands)
        self.assertEqual(hop.messages[0].mail_parameters, "")

    def test_4xx_to_mail(self):
        gateway = self.arrives_after("mail", "451 4.7.1 greylisted")
        self.assertEqual(gateway.wait_log(event="deferred")["reply"], "451 4.7.1 greylisted")
        self.assertEqual(gateway.wait_log(event="delivered")["attempt"], "2")

    def test_4xx_to_rcpt(self):
        self.arrives_after("rcpt", "450 4.2.0 later")

    def test_4xx_to_data(self):
        self.arrives_after("data", "451 4.3.0 later")

    def test_4xx_to_the_message(self):
        gateway = self.arrives_after("dot", "451 4.3.0 later", "452 4.2.2 full")
        self.assertEqual(gateway.wait_log(event="delivered")["attempt"], "3")

    def test_421_everywhere(self):
        for stage in "mail", "rcpt", "data", "dot":
            with self.subTest(stage=stage):
                self.arrives_after(stage, "421 4.3.2 leaving")

    def test_full_system_at_mail_is_not_counted_against_the_message(self):
        gateway = self.arrives_after("mail", "452 4.3.1 no space")
        self.assertEqual(gateway.wait_log(event="delivered")["attempt"], "1")
        gateway.wait_log(event="hop-dead")

    # ---- dropped and silent connections

    def test_closed_at_every_stage(self):
        for stage in "connect", "ehlo", "mail", "rcpt", "data", "body":
            with self.subTest(stage=stage):
                self.arrives_after(stage, CLOSE)

    def test_reset_at_every_stage(self):
        for stage in "connect", "mail", "data", "body":
            with self.subTest(stage=stage):
                self.arrives_after(stage, RESET)

    def test_dropped_after_the_dot_without_a_reply_is_sent_again(self):
        gateway = self.arrives_after("dot", CLOSE)
        self.assertIn("closed", gateway.wait_log(event="deferred")["reply"])

    def test_hanging_at_every_stage(self):
        for stage in "connect", "ehlo", "mail", "rcpt", "data", "dot":
            with self.subTest(stage=stage):
                self.arrives_after(stage, HANG)

    def test_dribble_is_bounded_by_the_whole_replys_time(self):
        def dribble(session, _):
            for byte in b"250 2.0.0 " + b"x" * 50:
                session.socket.sendall(bytes([byte]))
                if session.hop.stopping.wait(0.1):
                    break
            return CLOSE
        self.arrives_after("mail", dribble)

    # ---- rubbish

    def test_rubbish_instead_of_a_reply(self):
        for rubbish in b"hello\r\n", b"2xx what\r\n", b"\0\0\0\0\r\n", b"99 short\r\n", b"600 no\r\n", b"150 no\r\n":
            with self.subTest(rubbish=rubbish):
                self.arrives_after("mail", rubbish)

    def test_a_reply_of_4_mb(self):
        for stage in "ehlo", "mail", "rcpt":
            with self.subTest(stage=stage):
                self.arrives_after(stage, b"250-" + b"x" * 4000000 + b"\r\n250 ok\r\n")

    def test_a_reply_of_4_mb_to_the_message(self):
        hop = self.next_hop()
        hop.script("dot", b"250-" + b"x" * 4000000 + b"\r\n250 ok\r\n", None)
        gateway = self.relay(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertIn("endless", gateway.wait_log(event="deferred")["reply"])
        gateway.wait_log(event="delivered")

    def test_a_reply_of_many_lines_without_end(self):
        self.arrives_after("rcpt", b"250-more\r\n" * 400000 + b"250 ok\r\n")

    def test_lines_of_different_codes_are_no_success(self):
        self.arrives_after("dot", b"250-taken\r\n451 or not\r\n", count=2)

    def test_250_to_data_is_no_promise(self):
        self.arrives_after("data", "250 ok")

    def test_354_to_the_message_is_no_promise(self):
        self.arrives_after("dot", "354 more")

    def test_replies_nobody_asked_for_close_the_connection(self):
        hop = self.next_hop()
        hop.script("rcpt", b"250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n", None)
        self.arrives_after("mail", None, hop=hop)

    # ---- for good

    def test_5xx_at_every_stage_fails_and_is_not_retried(self):
        for stage in "mail", "rcpt", "data", "dot":
            with self.subTest(stage=stage):
                hop = self.next_hop().script(stage, "550 5.7.1 go away")
                gateway = self.relay(hop)
                gateway.send("", "b@example.net", LETTER)
                record = gateway.wait_log(event="failed", to="b@example.net")
                self.assertEqual(record["reply"], "550 5.7.1 go away")
                hop.reset()
                gateway.send("", "c@example.net", LETTER)
                self.assertEqual(hop.wait_messages(1)[0].recipients, ["c@example.net"])
                gateway.stop()
                self.assertEqual(hop.received, 1)

    # ---- each recipient its own fate

    def test_mixed_recipients(self):
        hop = self.next_hop()
        hop.recipient("bad@example.net", "550 5.1.1 unknown").recipient("late@example.net", "450 4.2.1 later", None)
        gateway = self.relay(hop)
        gateway.send("", ["good@example.net", "bad@example.net", "late@example.net", "fine@example.net"], LETTER)
        first, second = hop.wait_messages(2)
        self.assertEqual(first.recipients, ["good@example.net", "fine@example.net"])
        self.assertEqual(second.recipients, ["late@example.net"])
        self.assertEqual(gateway.wait_log(event="failed")["to"], "bad@example.net")
        gateway.stop()
        self.assertEqual(len(hop.messages), 2)

    def test_all_recipients_refused_and_354_all_the_same(self):
        hop = self.next_hop()
        hop.script("rcpt", "550 5.1.1 no")

        def careless(session, rest):  # DATA is answered 354 although there is nobody to deliver to
            session.recipients = session.recipients or ["nobody"]
        original = hop._serve

        def serve(session):
            do_data = session.do_data
            session.do_data = lambda rest: (careless(session, rest), do_data(rest))[1]
            original(session)
        hop._serve = serve
        gateway = self.relay(hop)
        gateway.send("", "b@example.net", LETTER)
        gateway.wait_log(event="failed", to="b@example.net")
        hop.wait_messages(1)
        self.assertEqual(hop.messages[0].data, b"")  # a lone dot ended it
        hop.reset()
        gateway.send("", "c@example.net", LETTER)
        self.assertEqual(hop.wait_messages(2)[1].recipients, ["c@example.net"])
        self.assertEqual(hop.connections, 1)

    def test_too_many_recipients_go_on_in_another_transaction(self):
        hop = self.next_hop()

        def limit(session, address):
            return None if len(session.recipients) < 3 else "552 5.5.3 too many recipients"
        hop.script("rcpt", limit)
        gateway = self.relay(hop)
        everybody = ["r%d@example.net" % i for i in range(8)]
        gateway.send("a@example.com", everybody, LETTER)
        got = hop.wait_messages(3)
        self.assertEqual([m.recipients for m in got], [everybody[0:3], everybody[3:6], everybody[6:8]])
        self.assertEqual(gateway.all_records(event="deferred"), [])

    def test_more_recipients_than_a_transaction_takes(self):
        hop = self.next_hop()
        gateway = self.relay(hop)
        everybody = ["r%d@example.net" % i for i in range(250)]
        gateway.send("a@example.com", everybody, LETTER)
        got = hop.wait_messages(3)
        self.assertEqual([len(m.recipients) for m in got], [100, 100, 50])
        self.assertEqual(sorted(sum((m.recipients for m in got), [])), sorted(everybody))

    # ---- dialogue

    def test_without_pipelining_commands_go_one_by_one(self):
        hop = self.next_hop(pipelining=False)
        seen = []
        hop.script("mail", lambda session, _: seen.append(session.buffer))
        hop.script("rcpt", lambda session, _: seen.append(session.buffer))
        gateway = self.relay(hop)
        for i in range(5):
            gateway.send("a@example.com", ["b%d@example.net" % i, "c@example.net"], LETTER)
        self.assertEqual(len(hop.wait_messages(5)), 5)
        self.assertEqual(set(seen), {b""})

    def test_no_pipelining_and_a_refused_sender(self):
        hop = self.next_hop(pipelining=False)
        hop.script("mail", "550 5.7.1 no", None)
        gateway = self.relay(hop)
        gateway.send("", "b@example.net", LETTER)
        gateway.wait_log(event="failed", to="b@example.net")
        gateway.send("", "c@example.net", LETTER)
        hop.wait_messages(1)
        self.assertNotIn("RCPT TO:<b@example.net>", hop.commands)

    def test_parameters_where_offered(self):
        hop = self.next_hop()
        gateway = self.relay(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertRegex(hop.wait_messages(1)[0].mail_parameters, r"^SIZE=\d+")

    def test_a_message_over_the_hops_size_fails_without_being_sent(self):
        hop = self.next_hop(extensions=["SIZE 5000"])
        gateway = self.relay(hop)
        gateway.send("", "b@example.net", b"Subject: x\r\n\r\n" + b"y" * 70 + b"\r\n" * 3000)
        record = gateway.wait_log(event="failed")
        self.assertIn("5000", record["reply"])
        gateway.send("", "c@example.net", LETTER)
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["c@example.net"])
        self.assertEqual(hop.transactions, 1)

    def test_a_connection_the_hop_closed_while_idle_is_nobodys_fault(self):
        hop = self.next_hop()
        gateway = self.relay(hop)
        for i in range(3):
            gateway.send("a@example.com", "b%d@example.net" % i, LETTER)
            hop.wait_messages(i + 1)
            gateway.wait_log(event="delivered", count=i + 1)
            hop.drop_connections()
        self.assertEqual(gateway.all_records(event="deferred") + gateway.all_records(event="hop-dead"), [])

    def test_a_hop_that_closes_after_each_message(self):
        hop = self.next_hop()
        hop.script("dot", b"250 ok\r\n221 bye\r\n")
        original = harness.NextHop._serve

        def serve(session):
            do_data = session.do_data
            session.do_data = lambda rest: (do_data(rest), False)[1]
            original(hop, session)
        hop._serve = serve
        gateway = self.relay(hop)
        for i in range(10):
            gateway.send("a@example.com", "b%d@example.net" % i, LETTER)
        hop.wait_messages(10)
        gateway.wait_log(event="delivered", count=10)
        self.assertEqual(gateway.all_records(event="deferred"), [])

    def test_a_slow_reply_within_the_time_is_waited_for(self):
        hop = self.next_hop()
        hop.script("dot", Delay(0.6), None)
        gateway = self.relay(hop)
        gateway.send("a@example.com", "b@example.net", LETTER)
        hop.wait_messages(1)
        self.assertEqual(gateway.wait_log(event="delivered")["attempt"], "1")


if __name__ == "__main__":
    harness.unittest.main()
