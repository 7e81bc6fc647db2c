# SPDX-License-Identifier: MIT
"""The content of messages: strict line ends, sizes, loops, and what becomes of large ones."""

import hashlib
import os

import harness

LETTER = b"Subject: x\r\n\r\nHello\r\n"
INNER = b"MAIL FROM:<evil@example.com>\r\nRCPT TO:<b@example.net>\r\nDATA\r\nSubject: smuggled\r\n\r\nEvil\r\n"

# What has been taken for the end of data somewhere (CVE-2023-51764, -51765, -51766 and their kin).
ENDS = (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r", b"\r.\r\n", b"\n.\r", b"\r\r\n.\r\r\n", b"\n\n.\n\n",
        b"\r\n\0.\r\n", b"\r\n.\0\r\n", b"\r\n.\r\r\n", b"\0.\r\n", b"\r\n\r.\r\n", b"\n\r.\r\n")


class Content(harness.SessionTest):
    def begin(self, c, recipient="b@example.net", mail="MAIL FROM:<a@example.com>"):
        c.command(mail, 250)
        c.command("RCPT TO:<%s>" % recipient, 250)
        c.command("DATA", 354)

    def rss(self, gateway):
        """Resident bytes of the worker."""
        with open("/proc/%d/statm" % gateway.worker()) as f:
            return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def test_false_ends_of_data_end_nothing(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        with gateway.client() as c:
            c.hello()
            for end in ENDS:
                self.begin(c)
                c.send(b"Subject: outer\r\n\r\nOuter" + end + INNER + b".\r\n")
                reply = c.recv_reply()
                self.assertEqual((end, reply.code, reply.text[:5]), (end, 550, "5.6.0"))
                c.command("NOOP", 250)
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        hop.wait_messages(1)
        self.assertEqual(hop.received, 1)
        self.assertEqual(len(gateway.all_records(event="received")), 1)

    def test_false_ends_of_data_split_anywhere(self):
        gateway = self.gateway(next_hop=self.next_hop())
        with gateway.client() as c:
            c.hello()
            for end in ENDS[:8]:
                for cut in range(1, len(end) + 1):
                    self.begin(c)
                    c.send(b"Subject: outer\r\n\r\nOuter" + end[:cut])
                    c.silent(0.005)
                    c.send(end[cut:] + INNER + b".\r\n")
                    c.expect(550)
            c.command("NOOP", 250)

    def test_local_networks_are_no_exception(self):
        gateway = self.gateway(next_hop=self.next_hop(), extra="relay_from = { 127.0.0.0/8 }")
        with gateway.client() as c:
            c.hello()
            for bad in (b"a\nb\r\n", b"a\rb\r\n", b"a\0b\r\n", b"a\r\r\n"):
                self.assertEqual(c.message("a@example.com", "b@example.net", LETTER + bad).code, 550)

    def test_the_true_end_split_anywhere(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        text = b"Subject: x\r\n\r\n..\r\n.x\r\n...\r\n\r\n.\r\n"
        with gateway.client() as c:
            c.hello()
            for cut in range(1, len(text)):
                self.begin(c)
                c.send(text[:cut])
                c.silent(0.003)
                c.send(text[cut:])
                c.expect(250)
        got = hop.wait_messages(len(text) - 1)
        self.assertEqual({m.content for m in got}, {b"Subject: x\r\n\r\n.\r\nx\r\n..\r\n\r\n"})

    def test_odd_but_legal_content_passes_unchanged(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        letters = [b"", b"\r\n", b"no header at all\r\n", b"Subject: x\r\n", b"Subject: x\r\n\r\n",
                   b"Bcc: secret@example.net\r\nSubject:\r\n\tfolded\r\n \r\n\r\nx\r\n",
                   b"Subject: \xff\xfe\r\n\r\n" + bytes(range(1, 10)) + bytes(range(128, 256)) + b"\r\n",
                   LETTER + b"x" * 998 + b"\r\n" + b"y" * 5000 + b"\r\n" + b"z" * 60000 + b"\r\n"]
        with gateway.client() as c:
            c.hello()
            for letter in letters:
                self.assertEqual(c.message("a@example.com", "b@example.net", letter).code, 250)
        got = hop.wait_messages(len(letters))
        self.assertEqual(sorted(m.content for m in got), sorted(letters))

    def test_sizes_around_every_piece(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        sizes = [6143, 6144, 6145, 65535, 65536, 65537, 71680, 71681, 200000]
        letters = [b"Subject: %d\r\n\r\n" % n + b".23456\r\n" * (n // 8 - 8) for n in sizes]
        letters = [head + b"x" * (n - len(head) - 2) + b"\r\n" for n, head in zip(sizes, letters)]
        with gateway.client() as c:
            c.hello()
            for letter in letters:
                self.assertEqual(c.message("a@example.com", "b@example.net", letter).code, 250)
                self.begin(c, mail="MAIL FROM:<a@example.com> SIZE=%d" % len(letter))
                c.send(harness.dot_stuffed(letter))
                c.expect(250)
        got = hop.wait_messages(2 * len(letters))
        self.assertEqual(sorted(m.content for m in got), sorted(letters * 2))

    def test_lines_that_are_too_long(self):
        gateway = self.gateway(next_hop=self.next_hop())
        with gateway.client() as c:
            c.hello()
            for n in (70000, 1 << 20):
                reply = c.message("a@example.com", "b@example.net", LETTER + b"x" * n + b"\r\n")
                self.assertEqual((reply.code, reply.text[:5]), (550, "5.6.0"))
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)

    def test_size_is_checked_at_mail_and_at_the_dot(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="limits { message_size = 100KB }")
        with gateway.client() as c:
            self.assertIn("SIZE 10", c.hello().text)
            for size in (200000, 1 << 40, 10 ** 20 - 1):
                self.assertIn("5.3.4", c.command("MAIL FROM:<a@example.com> SIZE=%d" % size, 552).text)
            self.begin(c, mail="MAIL FROM:<a@example.com> SIZE=10")
            c.send(harness.dot_stuffed(LETTER + b"x" * 60 * 70 + b"\r\n"))
            c.expect(250)
            self.begin(c)
            c.send(harness.dot_stuffed(LETTER + (b"x" * 98 + b"\r\n") * 20000) + b"NOOP\r\n")
            c.expect(552, "5.3.4...")
            c.expect(250)
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        hop.wait_messages(2)
        self.assertEqual(hop.received, 2)

    def test_headers_have_a_limit(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="limits { header_size = 256KB }")
        with gateway.client() as c:
            c.hello()
            many = b"".join(b"X-%d: y\r\n" % i for i in range(10000))
            self.assertEqual(c.message("a@example.com", "b@example.net", many + b"\r\nx\r\n").code, 250)
            for big in (b"X: " + b"y" * 990 + b"\r\n", b"X: y\r\n" + b"\t" + b"y" * 990 + b"\r\n"):
                reply = c.message("a@example.com", "b@example.net", big * 1100 + b"\r\nx\r\n")
                self.assertEqual((reply.code, reply.text[:5]), (552, "5.3.4"))
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER + b"x: y\r\n" * 60000).code, 250)
        hop.wait_messages(2)

    def test_loops_are_cut(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        line = b"Received: from a.example by b.example; Sun, 22 Nov 2026 09:26:38 +0100\r\n"
        with gateway.client() as c:
            c.hello()
            self.assertEqual(c.message("a@example.com", "b@example.net", line * 25 + LETTER).code, 250)
            reply = c.message("a@example.com", "b@example.net", line * 120 + LETTER)
            self.assertEqual((reply.code, reply.text[:5]), (554, "5.4.6"))
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER + line * 120).code, 250)
        hop.wait_messages(2)

    def test_nothing_is_kept_of_a_client_that_goes(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="queue { memory_max = 64KB }")
        for end in ("reset", "half_close", "close"):
            for body in (b"Subject: half\r\n\r\nHel", (b"x" * 98 + b"\r\n") * 3000):
                with gateway.client() as c:
                    c.hello()
                    self.begin(c)
                    c.send(body)
                    getattr(c, end)()
        gateway.wait_log(event="aborted", count=6)
        gateway.send(data=LETTER)
        hop.wait_messages(1)
        self.assertEqual(hop.received, 1)
        self.assertEqual(len(gateway.all_records(event="received")), 1)
        left = [f for _, _, files in os.walk(gateway.state) for f in files if "blob" in f.lower()]
        self.assertEqual(left, [])

    def test_large_messages_go_through_a_file(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="queue { memory_max = 64KB }")
        letter = LETTER + b"".join(b".%d\r\n" % i for i in range(300000))
        with gateway.client() as c:
            c.hello()
            self.assertEqual(c.message("a@example.com", "b@example.net", letter).code, 250)
            self.begin(c, mail="MAIL FROM:<a@example.com> SIZE=%d" % len(letter))
            c.send(harness.dot_stuffed(letter) + b"NOOP\r\n")
            c.expect(250)
            c.expect(250)
            for bad in (b"bare\nlf\r\n", b"x" * 70000 + b"\r\n"):
                reply = c.message("a@example.com", "b@example.net", letter + bad)
                self.assertEqual(reply.code, 550)
        for m in hop.wait_messages(2):
            self.assertEqual(m.content, letter)
            self.assertEqual(len(m.headers("Received")), 1)
        self.assertEqual(hop.received, 2)

    def test_large_messages_take_constant_memory(self):
        gateway = self.gateway(next_hop="127.0.0.1:9", extra="limits { message_size = 2GB }")
        size = 1 << 30 if os.environ.get("TMAIL_TEST_BIG") else 160 << 20
        block = (b"x" * 126 + b"\r\n") * 8192
        with gateway.client(timeout=300) as c:
            c.hello()
            gateway.send(data=LETTER)
            before = self.rss(gateway)
            self.begin(c)
            most = 0
            for i in range(size // len(block)):
                c.socket.sendall(block)
                if i % 16 == 0:
                    most = max(most, self.rss(gateway))
            c.send(b".\r\n")
            c.expect(250)
        self.assertLess(most - before, 24 << 20)

    def test_memory_short_means_a_file_not_a_refusal(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="queue { memory_total = 1MB memory_max = 512KB cache = 256KB }")
        letter = LETTER + (b"y" * 98 + b"\r\n") * 4000
        clients = []
        for _ in range(6):
            c = gateway.client()
            c.hello()
            self.begin(c)
            c.send(letter)
            clients.append(c)
        for c in clients:
            c.send(b".\r\n")
            c.expect(250)
            c.close()
        got = hop.wait_messages(6)
        self.assertEqual({hashlib.sha256(m.content).hexdigest() for m in got}, {hashlib.sha256(letter).hexdigest()})


if __name__ == "__main__":
    harness.unittest.main()
