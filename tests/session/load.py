# SPDX-License-Identifier: MIT
"""Load with a memory: which messages were acknowledged, and whether what arrived is what was sent."""

import hashlib
import random
import re
import threading

from client import Client, Closed, dot_stuffed

ID = re.compile(rb"(?m)^Message-ID: <(\d+)@load\.example>\r$")


def letter(number, size):
    """A message of about SIZE bytes that says whether it is whole: its body ends with the digest of what is above."""
    rng = random.Random(number)
    lines = [b"From: <sender@example.com>", b"To: <rcpt@example.net>", b"Subject: load",
             b"Message-ID: <%d@load.example>" % number, b""]
    while size > 0:
        n = min(size, rng.choice((1, 20, 70, 300, 900)))
        lines.append((b"." if rng.random() < 0.1 else b"x") + b"%0*d" % (n, rng.getrandbits(60)))
        size -= n
    text = b"\r\n".join(lines) + b"\r\n"
    return text + hashlib.sha256(text).hexdigest().encode() + b"\r\n"


def number_of(content):
    """The number of a message that arrived whole, or None."""
    m = ID.search(content)
    if m is None or not content.endswith(b"\r\n"):
        return None
    text, _, digest = content[:-2].rpartition(b"\r\n")
    good = hashlib.sha256(text + b"\r\n").hexdigest().encode() == digest
    return int(m.group(1)) if good else None


class Load:
    """THREADS clients that send one message after the other until stop(), through connections that may break.

    acknowledged: numbers that got 250; sent: numbers whose data began; refused: replies that were no 250."""

    def __init__(self, address, threads=4, sizes=(200, 2000, 9000), first=0, sender="sender@example.com",
                 recipient="rcpt@example.net"):
        self.address = address
        self.sizes = sizes
        self.sender = sender
        self.recipient = recipient
        self.acknowledged = set()
        self.sent = set()
        self.refused = []
        self.strange = []
        self.lock = threading.Lock()
        self.next = first
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(i,), daemon=True) for i in range(threads)]
        for t in self.threads:
            t.start()

    def stop(self):
        self.stopping.set()
        for t in self.threads:
            t.join(30)
        if self.strange:
            raise AssertionError("clients saw: %s" % self.strange[:5])
        return self

    def _run(self, index):
        rng = random.Random(index)
        while not self.stopping.is_set():
            try:
                with Client(self.address, timeout=10) as c:
                    c.hello()
                    while not self.stopping.is_set():
                        self._one(c, rng)
            except (OSError, Closed):
                self.stopping.wait(0.01)
            except AssertionError as e:  # a reply that is no answer to what was sent
                if "expected" not in str(e) or " got Reply(4" not in str(e):
                    self.strange.append(str(e))
                self.stopping.wait(0.05)

    def _one(self, c, rng):
        with self.lock:
            number = self.next
            self.next += 1
        data = letter(number, rng.choice(self.sizes))
        c.send("MAIL FROM:<%s>\r\nRCPT TO:<%s>\r\nDATA" % (self.sender, self.recipient))
        c.expect(250)
        c.expect(250)
        c.expect(354)
        with self.lock:
            self.sent.add(number)
        c.send(dot_stuffed(data))
        reply = c.recv_reply()
        with self.lock:
            if reply.code == 250:
                self.acknowledged.add(number)
            else:
                self.refused.append(reply)


class Arrivals:
    """What reached a next hop, by number: the times of arrival; and the ends of messages that were not whole. One for a
    hop: content that was looked at is dropped, or long runs would not fit in memory."""

    def __init__(self, hop):
        self.hop = hop
        self.seen = 0
        self.times = {}
        self.broken = []
        self.update()

    def update(self):
        """Takes in what arrived since; returns self."""
        with self.hop.changed:
            new = self.hop.messages[self.seen:]
        self.seen += len(new)
        for m in new:
            number = number_of(m.content)
            if number is None:
                self.broken.append(m.data[-200:])
            else:
                self.times.setdefault(number, []).append(m.when)
                m.data = b""
        return self

    def twice(self):
        return {n: sorted(t) for n, t in self.times.items() if len(t) > 1}
