# SPDX-License-Identifier: MIT
"""CHUNKING and BINARYMIME (RFC 3030): each octet counted, none ever taken for a command."""

import os

import harness

LETTER = b"Subject: chunks\r\n\r\nHello\r\n"


def bdat(data, last=False):
    return b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b"") + data


class Chunks(harness.SessionTest):
    hop_arguments = {}
    extra = ""

    def setUp(self):
        super().setUp()
        self.hop = self.next_hop(**self.hop_arguments)
        self.gw = self.gateway(next_hop=self.hop, extra=self.extra)

    def begin(self, c, mail="", rcpt="b@example.net"):
        c.hello()
        self.again(c, mail, rcpt)

    def again(self, c, mail="", rcpt="b@example.net"):
        c.command("MAIL FROM:<a@example.com> " + mail, 250)
        c.command("RCPT TO:<%s>" % rcpt, 250)

    def say(self, c, data, code, text="..."):
        c.send(data)
        return c.expect(code, text)

    def taken(self, count=1):
        return self.hop.wait_messages(count)[count - 1].content


class Accepted(Chunks):
    def test_ehlo_offers_both(self):
        with self.gw.client() as c:
            words = c.hello().lines
            self.assertIn("CHUNKING", words)
            self.assertIn("BINARYMIME", words)

    def test_one_chunk(self):
        with self.gw.client() as c:
            self.begin(c)
            self.say(c, bdat(LETTER, True), 250, "2.0.0 queued as ...")
            c.command("QUIT", 221)
        self.assertEqual(self.taken(), LETTER)

    def test_every_chunk_has_a_reply_and_the_cuts_leave_no_trace(self):
        with self.gw.client() as c:
            self.begin(c)
            for i, data in enumerate((LETTER[:1], b"", LETTER[1:16], LETTER[16:17], LETTER[17:])):
                self.say(c, bdat(data), 250, "2.0.0 %d octets..." % len(data))
            self.say(c, b"bdat 0 last\r\n", 250, "2.0.0 queued as ...")
        self.assertEqual(self.taken(), LETTER)

    def test_octet_by_octet(self):
        with self.gw.client() as c:
            self.begin(c)
            c.send_split(bdat(LETTER[:20]) + bdat(LETTER[20:], True), 1, 0)
            c.expect(250)
            c.expect(250, "2.0.0 queued as ...")
        self.assertEqual(self.taken(), LETTER)

    def test_all_in_one_segment(self):
        with self.gw.client() as c:
            c.hello()
            one = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.net>\r\n"
            one += bdat(LETTER[:9]) + bdat(LETTER[9:], True)
            c.send(one + one + b"QUIT\r\n")
            for _ in range(2):
                for code in (250, 250, 250):
                    c.expect(code)
                c.expect(250, "2.0.0 queued as ...")
            c.expect(221)
        self.assertEqual(self.taken(2), LETTER)

    def test_octets_are_no_end_and_no_commands(self):
        data = (b"Subject: x\r\n\r\n.\r\n..\r\n\r\n.\r\nMAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.net>\r\n"
                b"DATA\r\nSubject: y\r\n\r\n.\r\nQUIT\r\n")
        with self.gw.client() as c:
            self.begin(c)
            for i in range(0, len(data), 7):
                self.say(c, bdat(data[i:i + 7]), 250)
            self.say(c, b"BDAT 0 LAST\r\n", 250)
            c.command("NOOP", 250)
        self.assertEqual(self.taken(), data)
        self.assertEqual(self.hop.received, 1)

    def test_no_line_end_at_the_end(self):
        with self.gw.client() as c:
            self.begin(c)
            self.say(c, bdat(LETTER[:-2], True), 250)
        self.assertEqual(self.taken(), LETTER)

    def test_an_empty_message(self):
        with self.gw.client() as c:
            self.begin(c)
            self.say(c, b"BDAT 0 LAST\r\n", 250)
        self.assertEqual(self.taken(), b"")

    def test_large_in_chunks_of_many_sizes(self):
        line = b"x" * 70 + b"\r\n"
        data = LETTER + line * 20000
        with self.gw.client() as c:
            self.begin(c, "SIZE=%d" % len(data))
            at = 0
            for size in [1, 16383, 16384, 16385, 100000, 65536, 3, 500000]:
                self.say(c, bdat(data[at:at + size]), 250)
                at += size
            self.say(c, bdat(data[at:], True), 250)
        self.assertEqual(self.taken(), data)

    def test_tls(self):
        gateway = self.gateway(next_hop=self.hop, extra='tls { certificate = "%s" key = "%s" }' % self.certificate())
        with gateway.client() as c:
            c.hello()
            c.starttls()
            c.command("EHLO client.example", 250)
            self.again(c)
            data = LETTER + b"y" * 70 + b"\r\n"
            c.send(bdat(data[:30]) + bdat(data[30:] * 1, True))
            c.expect(250)
            c.expect(250)
        self.assertEqual(self.taken(), data)


class ToDisk(Chunks):
    extra = "queue { memory_max = 64KB }"

    def test_large_ones_go_to_a_file(self):
        data = LETTER + (b"z" * 70 + b"\r\n") * 6000
        with self.gw.client() as c:
            self.begin(c)
            for i in range(0, len(data), 50000):
                self.say(c, bdat(data[i:i + 50000]), 250)
            self.say(c, b"BDAT 0 LAST\r\n", 250)
        self.assertEqual(self.taken(), data)

    def test_broken_off_leaves_no_file(self):
        data = LETTER + (b"z" * 70 + b"\r\n") * 6000
        def blobs():
            return [f for top, _, names in os.walk(self.gw.state) for f in names if "blob" in top and f != "lock"]

        with self.gw.client() as c:
            self.begin(c)
            self.say(c, bdat(data), 250)
            self.assertNotEqual(blobs(), [])
            c.command("RSET", 250)
            harness.wait_until(lambda: blobs() == [], what="the file gone")
            self.again(c)
            self.say(c, bdat(data), 250)
        harness.wait_until(lambda: blobs() == [], what="the file gone")
        self.gw.wait_log(event="aborted", count=2)


class Refused(Chunks):
    extra = "limits { message_size = 100KB }"

    def test_out_of_order_octets_are_read_and_thrown_away(self):
        with self.gw.client() as c:
            c.expect(220)
            self.say(c, b"BDAT 6\r\nQUIT\r\n", 503)
            c.command("EHLO client.example", 250)
            self.say(c, b"BDAT 6 LAST\r\nQUIT\r\n", 503)
            c.command("MAIL FROM:<a@example.com>", 250)
            self.say(c, b"BDAT 6 LAST\r\nRSET\r\n", 503)
            c.command("RCPT TO:<b@elsewhere.example>", 550)
            self.say(c, b"BDAT 6 LAST\r\nRSET\r\n", 554)
            c.command("RCPT TO:<b@example.net>", 250)
            self.say(c, bdat(LETTER, True), 250)
            self.say(c, b"BDAT 6 LAST\r\nQUIT\r\n", 503)  # RFC 3030 2: nothing follows LAST
            c.command("NOOP", 250)
        self.assertEqual(self.taken(), LETTER)

    def test_sizes_that_are_none(self):
        for size in ("", "-1", "+5", "0x10", "5x", "LAST", "18446744073709551616", "99999999999999999999999", "5,LAST",
                     " ", "1.5", "5\tLAST"):
            with self.subTest(size), self.gw.client() as c:
                self.begin(c)
                c.send("BDAT " + size)
                self.assertIn(c.recv_reply().code, (500, 501))
                c.command("NOOP", 250)
                self.assertEqual(c.command("MAIL FROM:<a@example.com>").code, 503 if "\t" in size else 250)

    def test_octets_behind_such_a_size_are_no_commands(self):
        with self.gw.client() as c:
            self.begin(c)
            c.send(b"BDAT -1\r\nRSET\r\n")
            c.expect(501)
            c.expect(421)
            self.assertTrue(c.closed())

    def test_the_octets_of_a_misspelt_end_are_counted(self):
        with self.gw.client() as c:
            self.begin(c)
            self.say(c, b"BDAT 6 FIRST\r\nQUIT\r\n", 501)
            self.say(c, b"BDAT 6 LAST LAST\r\nQUIT\r\n", 501)
            c.command("RCPT TO:<c@example.net>", 503)  # its message cannot be whole any more
            self.again(c)
            self.say(c, bdat(LETTER[:5]), 250)
            self.say(c, b"BDAT 6 FIRST\r\nQUIT\r\n", 501)
            self.say(c, bdat(LETTER[5:], True), 501)
            self.again(c)
            self.say(c, bdat(LETTER, True), 250)
        self.assertEqual(self.taken(), LETTER)
        self.assertEqual(self.hop.received, 1)

    def test_a_refused_chunk_takes_those_behind_it_along(self):
        bad = b"Subject: x\r\n\r\nbare\nline\r\n"
        with self.gw.client() as c:
            self.begin(c)
            c.send(bdat(bad) + bdat(LETTER) + bdat(b"") + bdat(LETTER, True) + b"NOOP\r\n")
            for _ in range(4):
                c.expect(550, "5.6.0...")
            c.expect(250)
            self.say(c, bdat(LETTER, True), 503)
            self.again(c)
            self.say(c, bdat(bad), 550)
            c.command("RSET", 250)
            self.say(c, bdat(LETTER, True), 503)
            self.again(c)
            self.say(c, bdat(LETTER, True), 250)
        self.assertEqual(self.taken(), LETTER)

    def test_a_new_message_may_follow_a_refused_chunk(self):
        with self.gw.client() as c:
            self.begin(c)
            self.say(c, bdat(b"\0"), 550)
            self.again(c)
            self.say(c, bdat(LETTER, True), 250)
        self.assertEqual(self.taken(), LETTER)

    def test_what_text_may_not_hold(self):
        for data in (b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n", b"a\r\r\n", b"a\r", b"x" * 70000 + b"\r\n"):
            with self.subTest(data[:10]), self.gw.client() as c:
                self.begin(c)
                self.say(c, bdat(b"Subject: x\r\n\r\n"), 250)
                self.say(c, bdat(data, True), 550)
                c.command("NOOP", 250)

    def test_a_line_end_may_be_cut_in_two(self):
        with self.gw.client() as c:
            self.begin(c)
            self.say(c, bdat(b"Subject: x\r\n\r"), 250)
            self.say(c, bdat(b"\nHello\r\n", True), 250)
            self.again(c)
            self.say(c, bdat(b"Subject: x\r\n\r"), 250)
            self.say(c, bdat(b"\r\nHello\r\n", True), 550)
        self.assertEqual(self.taken(), b"Subject: x\r\n\r\nHello\r\n")

    def test_too_large(self):
        with self.gw.client() as c:
            self.begin(c)
            self.say(c, bdat(b"x" * 200000), 552, "5.3.4...")
            self.say(c, bdat(LETTER, True), 552)
            self.again(c)
            for _ in range(10):
                self.say(c, bdat((b"x" * 98 + b"\r\n") * 100), 250)
            self.say(c, bdat((b"x" * 98 + b"\r\n") * 100, True), 552, "5.3.4...")
            c.command("MAIL FROM:<a@example.com> SIZE=102401", 552)
            self.again(c)
            self.say(c, bdat(LETTER, True), 250)
        self.assertEqual(self.taken(), LETTER)

    def test_a_chunk_that_never_ends_is_not_kept(self):
        gateway = self.gateway(next_hop=self.hop, extra="limits { data_timeout = 1s }")
        with gateway.client() as c:
            self.begin(c)
            c.send(b"BDAT 18446744073709551615 LAST\r\n" + b"x" * 100000)
            c.expect(421, "4.4.2...")
            self.assertTrue(c.closed())
        with gateway.client() as c:
            c.hello()
            c.send(b"BDAT 18446744073709551615\r\n" + b"NOOP\r\n" * 1000)
            c.expect(421, "4.4.2...")
            self.assertTrue(c.closed())
        gateway.wait_log(event="aborted")

    def test_data_and_chunks_do_not_mix(self):
        with self.gw.client() as c:
            self.begin(c)
            self.say(c, bdat(LETTER[:5]), 250)
            c.command("DATA", 503)
            c.command("RCPT TO:<c@example.net>", 503)
            c.command("MAIL FROM:<c@example.com>", 503)
            c.command("NOOP", 250)
            self.say(c, bdat(LETTER[5:], True), 250)
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        self.hop.wait_messages(2)
        self.assertEqual([m.content for m in self.hop.messages], [LETTER] * 2)
        self.assertEqual(self.hop.messages[0].recipients, ["b@example.net"])

    def test_rset_between_chunks(self):
        with self.gw.client() as c:
            self.begin(c)
            self.say(c, bdat(b"X-Old: y\r\n"), 250)
            c.command("RSET", 250)
            self.say(c, bdat(LETTER, True), 503)
            self.again(c)
            self.say(c, bdat(LETTER, True), 250)
            self.again(c)
            self.say(c, bdat(b"X-Old: y\r\n"), 250)
            c.command("EHLO again.example", 250)
            self.again(c)
            self.say(c, bdat(LETTER, True), 250)
        self.assertEqual([m.content for m in self.hop.wait_messages(2)], [LETTER] * 2)

    def test_gone_in_the_middle(self):
        for data in (b"BDAT 100 LAST\r\nSubject: x\r\n", bdat(LETTER), b"BDAT 10", b"BDAT 100\r\n"):
            with self.gw.client() as c:
                self.begin(c)
                c.send(data)
                c.half_close()
                while not c.closed():
                    c.recv_line()
        self.gw.stop()
        self.assertEqual(self.hop.received, 0)

    def test_tls_required(self):
        gateway = self.gateway(next_hop=self.hop, listener="tls = required",
                               extra='tls { certificate = "%s" key = "%s" }' % self.certificate())
        with gateway.client() as c:
            c.hello()
            self.say(c, b"BDAT 6 LAST\r\nQUIT\r\n", 530)
            c.command("NOOP", 250)

    def test_a_loop_is_seen(self):
        with self.gw.client() as c:
            self.begin(c)
            self.say(c, bdat(b"Received: x\r\n" * 120 + b"\r\n", True), 554, "5.4.6...")


BINARY = b"Subject: x\r\nContent-Transfer-Encoding: binary\r\n\r\n\x00\n.\r\n.\r\n\r\r\n\xff" + b"y" * 70000 + b"\n."
OFFERS = ("SIZE 2147483648", "8BITMIME", "ENHANCEDSTATUSCODES", "CHUNKING", "BINARYMIME")


class Binary(Chunks):
    hop_arguments = {"extensions": OFFERS}

    def binary(self, gateway, recipients=("b@example.net",), data=BINARY):
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com> BODY=BINARYMIME", 250)
            for r in recipients:
                c.command("RCPT TO:<%s>" % r, 250)
            self.say(c, bdat(data[:80]), 250)
            self.say(c, bdat(data[80:], True), 250)

    def test_goes_by_bdat_as_it_is(self):
        for _ in range(3):
            self.binary(self.gw)
        for got in self.hop.wait_messages(3):
            self.assertEqual(got.content, BINARY)
            self.assertIn("BODY=BINARYMIME", got.mail_parameters.split())
        self.assertNotIn("DATA", self.hop.commands)

    def test_without_pipelining(self):
        hop = self.next_hop(extensions=OFFERS, pipelining=False)
        hop.recipient("c@example.net", "550 5.1.1 no")
        gateway = self.gateway(next_hop=hop)
        self.binary(gateway, ["b@example.net", "c@example.net"])
        self.binary(gateway, ["c@example.net"])
        self.binary(gateway, ["b@example.net"])
        self.assertEqual([m.content for m in hop.wait_messages(2)], [BINARY] * 2)

    def test_recipients_that_are_refused(self):
        self.hop.recipient("c@example.net", "550 5.1.1 no")
        self.binary(self.gw, ["c@example.net", "b@example.net"])
        self.binary(self.gw, ["c@example.net"])
        self.gw.wait_log(event="failed", count=2)
        self.binary(self.gw)
        got = self.hop.wait_messages(2)
        self.assertEqual([m.recipients for m in got], [["b@example.net"]] * 2)

    def test_between_messages_of_the_other_kind(self):
        with self.gw.client() as c:
            c.hello()
            for _ in range(3):
                self.again(c, "BODY=BINARYMIME")
                self.say(c, bdat(BINARY, True), 250)
                self.again(c)
                self.say(c, bdat(LETTER, True), 250)
        got = sorted(m.content for m in self.hop.wait_messages(6))
        self.assertEqual(got, sorted([BINARY, LETTER] * 3))
        self.assertEqual(len([c for c in self.hop.commands if c.startswith("BDAT")]), 3)

    def test_large_ones_from_a_file(self):
        gateway = self.gateway(next_hop=self.hop, extra="queue { memory_max = 64KB }")
        data = BINARY + os.urandom(1000000)
        self.binary(gateway, data=data)
        self.assertEqual(self.taken(), data)

    def test_lmtp(self):
        hop = self.next_hop(lmtp=True, extensions=OFFERS)
        gateway = self.gateway(next_hop=hop)
        self.binary(gateway, ["b@example.net", "c@example.net"])
        got = hop.wait_messages(1)[0]
        self.assertEqual((got.content, len(got.recipients)), (BINARY, 2))

    def test_a_hop_without_it_never_sees_it(self):
        home = self.next_hop()
        for offers in (("8BITMIME",), ("8BITMIME", "CHUNKING"), ("8BITMIME", "BINARYMIME")):
            with self.subTest(offers):
                hop = self.next_hop(extensions=offers)
                gateway = self.gateway(next_hop=hop, extra=harness.Gateway.domain_block(home, ["example.com"]))
                self.binary(gateway)
                home.wait_messages(self.gateways.index(gateway))
                self.assertIn(b"Status: 5.6.3", home.messages[-1].data)
                self.assertNotIn(b"\0", home.messages[-1].data)
                gateway.stop()
                self.assertEqual((hop.received, hop.transactions), (0, 0))

    def test_header_and_hops_are_counted_all_the_same(self):
        with self.gw.client() as c:
            self.begin(c, "BODY=BINARYMIME")
            self.say(c, bdat(b"Received: x\r\n" * 120 + b"\r\n\0", True), 554, "5.4.6...")

    def test_needs_bdat(self):
        with self.gw.client() as c:
            self.begin(c, "BODY=BINARYMIME")
            c.command("DATA", 503)
            self.say(c, bdat(LETTER, True), 250)

    def test_is_not_taken_without_being_named(self):
        with self.gw.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com> BODY=BINARY", 501)


if __name__ == "__main__":
    harness.unittest.main()
