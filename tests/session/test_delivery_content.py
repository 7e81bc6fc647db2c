# SPDX-License-Identifier: MIT
"""A message leaves as it came: dots, bytes, sizes."""

import harness

QUICK = "queue { retry = { 1s, 2s }  memory_max = 256KB }\n"


class Content(harness.SessionTest):
    def relayed(self, letters, **kw):
        hop = self.next_hop(**kw)
        gateway = self.gateway(next_hop=hop, extra=QUICK)
        with gateway.client() as c:
            c.hello()
            for i, letter in enumerate(letters):
                self.assertEqual(c.message("a@example.com", "r%d@example.net" % i, letter).code, 250)
        got = {m.recipients[0]: m for m in hop.wait_messages(len(letters))}
        for i, letter in enumerate(letters):
            self.assertEqual(got["r%d@example.net" % i].content, letter)
        return hop, gateway

    def test_dots_at_every_place(self):
        self.relayed([
            b"Subject: 1\r\n\r\n.\r\n",
            b"Subject: 2\r\n\r\n..\r\n.\r\n...\r\n",
            b".Subject: 3\r\n\r\n",
            b"Subject: 4\r\n\r\nno dot. at. the. start.\r\n.end\r\n",
            b"Subject: 5\r\n\r\n" + b".\r\n" * 5000,
            b"Subject: 6\r\n\r\n" + (b"x" * 70 + b"\r\n.y\r\n") * 3000,
        ])

    def test_dots_in_a_message_kept_in_a_file(self):
        self.relayed([b"Subject: blob\r\n\r\n" + (b"." + b"x" * 77 + b"\r\n") * 8000])

    def test_dots_where_pieces_meet(self):
        for size in 4096, 16384, 65536, 262144:
            letters = []
            for shift in range(-8, 9, 2):
                body = b"Subject: x\r\n\r\n"
                body += b"y" * (size + shift - len(body) - 2) + b"\r\n"
                letters.append(body + b".dot\r\n..\r\n")
            with self.subTest(size=size):
                self.relayed([b"\r\n".join(l[i:i + 900] for i in range(0, len(l), 900)) for l in letters])

    def test_eight_bits_pass(self):
        letter = b"Subject: x\r\n\r\n" + bytes(range(128, 256)) * 5 + b"\r\n"
        self.relayed([letter])
        self.relayed([letter], extensions=["SIZE"])

    def test_an_empty_message(self):
        self.relayed([b"", b"\r\n"])

    def test_ten_megabytes(self):
        line = b"0123456789" * 7 + b"\r\n"
        self.relayed([b"Subject: big\r\n\r\n" + line * (10 * 1024 * 1024 // len(line))])

    def test_many_on_few_connections_in_order_of_pieces(self):
        hop, _ = self.relayed([b"Subject: %d\r\n\r\n" % i + b"x" * (i % 50) * 40 + b"\r\n" for i in range(400)])
        self.assertLessEqual(hop.connections, 20)


if __name__ == "__main__":
    harness.unittest.main()
