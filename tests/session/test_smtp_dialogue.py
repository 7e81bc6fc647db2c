# SPDX-License-Identifier: MIT
"""What the server says to each command, in order and out of order (RFC 5321 4.1, 4.2, 4.3)."""

import harness

LETTER = b"Subject: x\r\n\r\nHello\r\n"


class Dialogue(harness.SessionTest):
    def setUp(self):
        super().setUp()
        self.hop = self.next_hop()
        self.mx = self.gateway(next_hop=self.hop)

    def play(self, text):
        with self.mx.client() as c:
            c.dialogue(text)

    def test_ehlo_lists_the_extensions(self):
        with self.mx.client() as c:
            c.expect(220, "mx.example.test ESMTP")
            lines = c.command("EHLO client.example", 250).lines
        self.assertEqual(lines[0].split()[0], "mx.example.test")
        words = {line.split()[0] for line in lines[1:]}
        self.assertEqual(words, {"PIPELINING", "SIZE", "8BITMIME", "CHUNKING", "BINARYMIME", "SMTPUTF8", "LIMITS", "DSN",
                                 "ENHANCEDSTATUSCODES", "HELP"})
        size = [line for line in lines if line.startswith("SIZE ")]
        self.assertEqual(size, ["SIZE %d" % (50 * 1000 * 1000)] if size[0].endswith("000") else
                         ["SIZE %d" % (50 << 20)])

    def test_helo_offers_nothing(self):
        self.play("""
            S: 220
            C: HELO client.example
            S: 250 mx.example.test...
            C: MAIL FROM:<a@example.com>
            S: 250 2.1.0...
            """)

    def test_verbs_and_keywords_in_any_case(self):
        self.play("""
            S: 220
            C: ehlo client.example
            S: 250
            C: mAiL fRoM:<a@example.com> size=100 body=8bitmime
            S: 250
            C: rcpt to:<b@EXAMPLE.Net>
            S: 250
            C: data
            S: 354
            C: hello
            C: .
            S: 250 2.0.0 queued as ...
            C: quit
            S: 221 2.0.0...
            S: <closed>
            """)

    def test_greeting_needs_a_sane_name(self):
        with self.mx.client() as c:
            c.expect(220)
            for bad in ("EHLO", "HELO", "EHLO ", "EHLO a b", "EHLO <script>", "EHLO \u00e9t\u00e9", "HELO a\"b",
                        "EHLO " + "x" * 300):
                c.command(bad, 501)
            c.command("EHLO a\tb", 500)
            for good in ("EHLO a", "EHLO [192.0.2.1]", "EHLO [IPv6:2001:db8::1]", "HELO my_pc", "HELO a.b-c.example.",
                         "EHLO 192.0.2.1"):
                c.command(good, 250)

    def test_order_errors_are_503_and_forgiven(self):
        self.play("""
            S: 220
            C: MAIL FROM:<a@example.com>
            S: 503 5.5.1...
            C: RCPT TO:<b@example.net>
            S: 503 5.5.1...
            C: EHLO client.example
            S: 250
            C: RCPT TO:<b@example.net>
            S: 503 5.5.1...
            C: DATA
            S: 503 5.5.1...
            C: MAIL FROM:<a@example.com>
            S: 250
            C: MAIL FROM:<a@example.com>
            S: 503 5.5.1...
            C: DATA
            S: 554 5.5.1...
            C: RCPT TO:<b@example.net>
            S: 250
            C: DATA
            S: 354
            C: .
            S: 250
            C: DATA
            S: 503 5.5.1...
            """)

    def test_second_ehlo_ends_the_transaction(self):
        self.play("""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<a@example.com>
            S: 250
            C: EHLO other.example
            S: 250
            C: RCPT TO:<b@example.net>
            S: 503
            """)

    def test_rset_ends_the_transaction_and_keeps_the_greeting(self):
        self.play("""
            S: 220
            C: RSET
            S: 250
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<a@example.com>
            S: 250
            C: RCPT TO:<b@example.net>
            S: 250
            C: RSET
            S: 250 2.0.0...
            C: RCPT TO:<b@example.net>
            S: 503
            C: MAIL FROM:<a@example.com>
            S: 250
            C: RSET now
            S: 501
            """)

    def test_noop_vrfy_help_and_the_unknown(self):
        self.play("""
            S: 220
            C: NOOP
            S: 250 2.0.0...
            C: NOOP any thing
            S: 250
            C: VRFY
            S: 501
            C: VRFY bob@example.net
            S: 252 2...
            C: HELP
            S: 214 2.0.0...EHLO...QUIT...
            C: HELP mail
            S: 214 2.0.0...MAIL FROM:...
            C: HELP XYZZY
            S: 504
            C: EXPN staff
            S: 502 5.5.1...
            C: AUTH PLAIN AGEAYg==
            S: 502 5.5.1...
            C: XYZZY
            S: 500 5.5.1...
            C: RCPTTO:<b@example.net>
            S: 500
            C:  NOOP
            S: 500
            C+ \\r\\n
            S: 500
            C: QUIT now
            S: 501
            C: QUIT
            S: 221
            S: <closed>
            """)

    def test_a_browser_is_sent_away(self):
        self.play("""
            S: 220
            C: POST / HTTP/1.1
            C: Host: mx.example.test
            C:
            C: MAIL FROM:<a@example.com>
            S: 421 4.7.0...
            S: <closed>
            """)

    def test_paths_and_parameters_are_checked(self):
        with self.mx.client() as c:
            c.hello()
            for line, code in (
                    ("MAIL", 501), ("MAIL FROM", 501), ("MAIL FROM:", 501), ("MAIL TO:<a@example.com>", 501),
                    ("MAIL FROM:a@example.com", 501), ("MAIL FROM:<a@example.com", 501),
                    ("MAIL FROM:<a@@example.com>", 501), ("MAIL FROM:<> =\"", 501),
                    ("MAIL FROM:<a@example.com> SIZE=abc", 501), ("MAIL FROM:<a@example.com> SIZE=", 501),
                    ("MAIL FROM:<a@example.com> SIZE=1 SIZE=1", 501), ("MAIL FROM:<a@example.com> BODY=9BIT", 501),
                    ("MAIL FROM:<a@example.com> FOO=bar", 555), ("MAIL FROM:<a@example.com> NOTIFY=NEVER", 555),
                    ("MAIL FROM:<a@example.com> AUTH=<>", 555), ("MAIL FROM:<a@example.com> SMTPUTF8=1", 501),
                    ("MAIL FROM:<\u00e9@example.com>", 553), ("MAIL FROM:<;cmd;>", 501),
                    ("MAIL FROM:<a@example.com>x", 501)):
                self.assertEqual((line, c.command(line).code), (line, code))
            c.command("MAIL FROM: <\"odd one\"@example.com> SIZE=10 BODY=7BIT", 250)
            for line, code in (
                    ("RCPT", 501), ("RCPT TO:", 501), ("RCPT TO:<>", 501), ("RCPT TO:<bob>", 501),
                    ("RCPT TO:<bob@>", 501), ("RCPT TO:<@example.net>", 501), ("RCPT TO:<b@example.net> FOO", 555),
                    ("RCPT TO:<b@example.net> RET=FULL", 555), ("RCPT FROM:<b@example.net>", 501),
                    ("RCPT TO:<\u00e9@example.net>", 553)):
                self.assertEqual((line, c.command(line).code), (line, code))
            c.command("RCPT TO:<@relay.example:\"odd one\"@example.net>", 250)
            c.command("RCPT TO:<${run{x}}@example.net>", 250)
            c.command("DATA", 354)
            c.send(harness.dot_stuffed(LETTER))
            c.expect(250)
        got = self.hop.wait_messages(1)[0]
        self.assertEqual(got.sender, "\"odd one\"@example.com")
        self.assertEqual(got.recipients, ["\"odd one\"@example.net", "${run{x}}@example.net"])

    def test_dialogue_byte_by_byte(self):
        with self.mx.client() as c:
            c.expect(220)
            c.send_split(b"EHLO client.example\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n")
            for code in (250, 250, 250, 354):
                c.expect(code)
            c.send_split(b"Subject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
            c.expect(250)
            c.expect(221)
        self.assertEqual(self.hop.wait_messages(1)[0].content, b"Subject: x\r\n\r\n.dot\r\n")

    def test_everything_in_one_segment(self):
        one = ("MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nRCPT TO:<c@elsewhere.example>\r\nDATA\r\n"
               "Subject: %d\r\n\r\nHello\r\n.\r\n")
        with self.mx.client() as c:
            c.send("EHLO client.example\r\n" + one % 1 + one % 2 + "QUIT")
            for code in (220, 250, 250, 250, 550, 354, 250, 250, 250, 550, 354, 250, 221):
                c.expect(code)
            self.assertTrue(c.closed())
        got = self.hop.wait_messages(2)
        self.assertEqual(sorted(m.header("Subject") for m in got), ["1", "2"])

    def test_a_body_behind_a_refused_data_is_not_run(self):
        self.play("""
            S: 220
            C: EHLO client.example
            S: 250
            C: MAIL FROM:<a@example.com>
            C: RCPT TO:<b@elsewhere.example>
            C: DATA
            C: Subject: x
            C: RSET
            C: MAIL FROM:<x@example.com>
            C: RCPT TO:<b@example.net>
            S: 250
            S: 550
            S: 554 5.5.1...
            S: 421 4.7.0...
            S: <closed>
            """)

    def test_half_close_still_gets_the_answers(self):
        with self.mx.client() as c:
            c.send("EHLO client.example\r\nMAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\n"
                   "Subject: x\r\n\r\nHello\r\n.")
            c.half_close()
            for code in (220, 250, 250, 250, 354, 250):
                c.expect(code)
            self.assertTrue(c.closed())
        self.hop.wait_messages(1)

    def test_a_line_without_its_end_is_not_run(self):
        with self.mx.client() as c:
            c.hello()
            c.send(b"NOOP")
            c.half_close()
            self.assertTrue(c.closed())

    def test_bare_lf_ends_the_session(self):
        for text in (b"NOOP\n", b"NOOP\nNOOP\r\n", b"MAIL FROM:<a@example.com>\nRCPT TO:<b@example.net>\r\n"):
            with self.mx.client() as c:
                c.hello()
                c.send(text)
                c.expect(500, "5.5.2...")
                self.assertTrue(c.closed())

    def test_control_characters_in_a_command_are_refused(self):
        with self.mx.client() as c:
            c.hello()
            for bad in (b"NOOP \0\r\n", b"NO\0OP\r\n", b"NOOP\r x\r\n", b"MAIL FROM:<a\rb@example.com>\r\n",
                        b"NOOP \x7f\r\n", b"\x1b[2J\r\n", b"NOOP \xff\xfe\r\n"):
                c.send(bad)
                reply = c.expect("5xx")
                self.assertTrue(all(32 <= ord(ch) < 127 for ch in "".join(reply.lines)), reply)
            c.command("NOOP", 250)

    def test_one_log_line_a_message(self):
        with self.mx.client() as c:
            c.hello("helo.example")
            reply = c.message("a@example.com", ["b@example.net", "c@example.net"], LETTER)
            msg = reply.text.split()[-1]
        record = self.mx.wait_log(event="received")
        self.assertEqual(record["msg"], msg)
        self.assertEqual((record["client"], record["helo"], record["from"], record["rcpts"]),
                         ("127.0.0.1", "helo.example", "a@example.com", "2"))
        self.assertEqual(record["to"], "b@example.net,c@example.net")
        self.assertEqual(record["tls"], "none")

    def test_refusals_are_logged_with_their_reason(self):
        with self.mx.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<b@elsewhere.example>", 550)
        record = self.mx.wait_log(event="refused")
        self.assertEqual((record["verb"], record["from"], record["to"], record["code"]),
                         ("RCPT", "a@example.com", "b@elsewhere.example", "550"))
        self.assertIn("relay", record["reason"])


if __name__ == "__main__":
    harness.unittest.main()
