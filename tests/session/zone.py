# SPDX-License-Identifier: MIT
"""A scripted DNS server for the gateway to ask: records, and every way of not answering.

    zone = self.zone()                                  # in a harness.SessionTest; ends with the test
    zone.add("example.net", "MX", (10, "mx.example.net"))
    zone.add("mx.example.net", "A", "127.0.0.1")
    zone.script("slow.example", "A", Delay(2))          # then as usual
    zone.script("broken.example", "MX", SERVFAIL)
    gateway = self.gateway(extra=zone.block(), ...)     # dns { forward = "127.0.0.1:PORT" }

A name that has records of another type, or names below it, has "no data"; any other name does not exist. CNAMEs are
followed."""

import socket
import struct
import threading
import time

from nexthop import Delay

SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 2, 3, 4, 5  # answers without records
NODATA = 0
SILENT = object()    # no answer at all
TRUNCATE = object()  # over UDP: cut, so that TCP has to be tried; over TCP: as usual
RUBBISH = object()   # octets that are no DNS message

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "TLSA": 52, "DNSKEY": 48,
         "DS": 43}
NAMES = {number: name for name, number in TYPES.items()}


def wire_name(name):
    """A name as octets; a str (labels as UTF-8) without escapes, or bytes that are taken as they are."""
    if isinstance(name, bytes):
        return name
    out = b""
    for label in name.rstrip(".").split("."):
        if label:
            raw = label.encode()
            out += bytes([len(raw)]) + raw
    return out + b"\0"


def wire_data(kind, value):
    if isinstance(value, bytes):
        return value
    if kind == "A":
        return socket.inet_pton(socket.AF_INET, value)
    if kind == "AAAA":
        return socket.inet_pton(socket.AF_INET6, value)
    if kind == "MX":
        return struct.pack(">H", value[0]) + wire_name(value[1])
    if kind == "TXT":
        strings = [value] if isinstance(value, str) else value
        return b"".join(bytes([len(s.encode())]) + s.encode() for s in strings)
    return wire_name(value)


class Query:
    """What was asked: name (lower case), kind ("MX", or the number), tcp, when, and the octets."""

    def __init__(self, packet, tcp):
        self.packet = packet
        self.tcp = tcp
        self.when = time.monotonic()
        self.id = packet[:2]
        labels, at = [], 12
        while packet[at]:
            labels.append(packet[at + 1:at + 1 + packet[at]].decode("latin-1").lower())
            at += 1 + packet[at]
        self.name = ".".join(labels)
        number = struct.unpack(">H", packet[at + 1:at + 3])[0]
        self.kind = NAMES.get(number, number)
        self.question = packet[12:at + 5]

    def __repr__(self):
        return "%s %s%s" % (self.name, self.kind, " tcp" if self.tcp else "")


class Zone:
    def __init__(self, ttl=60, negative_ttl=1, address="127.0.0.1"):
        self.ttl = ttl
        self.negative_ttl = negative_ttl
        self.records = {}    # (name, kind): [(ttl, data)]
        self.scripts = {}    # (name, kind): answers still to come; the last one stays
        self.queries = []
        self.default = None  # an answer for what has no script, as SERVFAIL: the whole server is down
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.address = address
        while True:  # the same port for both, which somebody else may have for UDP
            self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.tcp.bind((address, 0))
            self.port = self.tcp.getsockname()[1]
            try:
                self.udp.bind((address, self.port))
                break
            except OSError:
                self.tcp.close()
                self.udp.close()
        self.tcp.listen(64)
        threading.Thread(target=self._serve_udp, daemon=True).start()
        threading.Thread(target=self._serve_tcp, daemon=True).start()

    @property
    def text(self):
        return "%s:%d" % (self.address, self.port)

    def block(self, more=""):
        """The configuration that makes a gateway ask here."""
        return 'dns { forward = "%s"  %s }\n' % (self.text, more)

    # ---- what is answered

    def add(self, name, kind, *values, ttl=None):
        """Records: MX values are (preference, host), TXT a str or a list of them, others text; or RDATA as bytes."""
        with self.changed:
            found = self.records.setdefault((name.lower(), kind), [])
            found += [(self.ttl if ttl is None else ttl, wire_data(kind, v)) for v in values]
        return self

    def remove(self, name, kind=None):
        with self.changed:
            for key in [k for k in self.records if k[0] == name.lower() and kind in (None, k[1])]:
                del self.records[key]

    def script(self, name, kind, *answers):
        """What is said to the next such questions, one a time, the last one from then on: None (as usual), SERVFAIL,
        NXDOMAIN, NOTIMP, REFUSED, NODATA, SILENT, TRUNCATE, RUBBISH, bytes (sent behind the question's id),
        Delay(seconds, then), or a function(query) that returns one of them."""
        with self.changed:
            self.scripts[name.lower(), kind] = list(answers)
        return self

    # ---- what was asked

    def asked(self, name=None, kind=None):
        """The questions so far."""
        with self.changed:
            return [q for q in self.queries if name in (None, q.name) and kind in (None, q.kind)]

    def wait_asked(self, name=None, kind=None, count=1, timeout=20):
        deadline = time.monotonic() + timeout
        while len(self.asked(name, kind)) < count:
            with self.changed:
                self.changed.wait(0.2)
            if time.monotonic() > deadline:
                raise AssertionError("%s %s was not asked %d times: %r" % (name, kind, count, self.asked()))
        return self.asked(name, kind)

    def stop(self):
        self.stopping.set()
        with self.changed:
            self.changed.notify_all()
        for s in (self.udp, self.tcp):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            s.close()

    # ---- the server

    def _answer(self, query):
        with self.changed:
            self.queries.append(query)
            self.changed.notify_all()
            left = self.scripts.get((query.name, query.kind), [self.default])
            answer = left.pop(0) if len(left) > 1 else left[0]
        while callable(answer) or isinstance(answer, Delay):
            if isinstance(answer, Delay):
                self.stopping.wait(answer.seconds)
                answer = answer.then
            else:
                answer = answer(query)
        if answer is SILENT:
            return None
        if answer is RUBBISH:
            return query.id + b"\xff" * 40
        if isinstance(answer, bytes):
            return query.id + answer
        if answer is TRUNCATE and not query.tcp:
            return query.id + struct.pack(">HHHHH", 0x8780, 1, 0, 0, 0) + query.question
        if answer in (None, TRUNCATE):
            return self._from_records(query)
        return self.message(query, answer)

    def message(self, query, rcode=0, answers=(), authority=()):
        """A whole message; ANSWERS and AUTHORITY are made by record()."""
        return query.id + struct.pack(">HHHHH", 0x8580 | rcode, 1, len(answers), len(authority), 0) + query.question + \
            b"".join(answers) + b"".join(authority)

    @staticmethod
    def record(name, kind, ttl, data):
        return wire_name(name) + struct.pack(">HHIH", TYPES[kind], 1, ttl, len(data)) + data

    def _from_records(self, query):
        answers, name = [], query.name
        with self.changed:
            while (name, query.kind) not in self.records and (name, "CNAME") in self.records and len(answers) < 20:
                ttl, data = self.records[name, "CNAME"][0]
                answers.append(self.record(name, "CNAME", ttl, data))
                name = self._text(data)
            found = self.records.get((name, query.kind), [])
            answers += [self.record(name, query.kind, ttl, data) for ttl, data in found]
            exists = any(n == name or n.endswith("." + name) for n, _ in self.records)
        if found:
            message = self.message(query, 0, answers)
        else:
            soa = wire_name("ns.invalid") + wire_name("hostmaster.invalid") + \
                struct.pack(">IIIII", 1, 3600, 600, 86400, self.negative_ttl)
            message = self.message(query, NODATA if exists else NXDOMAIN, answers,
                                   [self.record("", "SOA", self.negative_ttl, soa)])
        if not query.tcp and len(message) > 1232:
            return query.id + struct.pack(">HHHHH", 0x8780, 1, 0, 0, 0) + query.question
        return message

    @staticmethod
    def _text(data):
        labels, at = [], 0
        while data[at]:
            labels.append(data[at + 1:at + 1 + data[at]].decode("latin-1").lower())
            at += 1 + data[at]
        return ".".join(labels)

    def _serve_udp(self):
        while not self.stopping.is_set():
            try:
                packet, peer = self.udp.recvfrom(65535)
            except OSError:
                return
            threading.Thread(target=self._reply_udp, args=(packet, peer), daemon=True).start()

    def _reply_udp(self, packet, peer):
        try:
            answer = self._answer(Query(packet, False))
            if answer is not None:
                self.udp.sendto(answer, peer)
        except (OSError, IndexError, struct.error):
            pass

    def _serve_tcp(self):
        while not self.stopping.is_set():
            try:
                s, _ = self.tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._reply_tcp, args=(s,), daemon=True).start()

    def _reply_tcp(self, s):
        with s:
            s.settimeout(30)
            try:
                while True:
                    head = s.recv(2, socket.MSG_WAITALL)
                    if len(head) < 2:
                        return
                    packet = s.recv(struct.unpack(">H", head)[0], socket.MSG_WAITALL)
                    answer = self._answer(Query(packet, True))
                    if answer is None:
                        self.stopping.wait(30)
                        return
                    s.sendall(struct.pack(">H", len(answer)) + answer)
            except (OSError, IndexError, struct.error):
                pass
