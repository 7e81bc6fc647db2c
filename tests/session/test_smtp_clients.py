# SPDX-License-Identifier: MIT
"""Who the client is when somebody stands between it and the gateway: PROXY headers, XCLIENT and XFORWARD."""

import socket
import struct

import harness

LETTER = b"Subject: x\r\n\r\nHello\r\n"
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def v1(source, destination="192.0.2.25", family="TCP4"):
    return ("PROXY %s %s %s 40000 25\r\n" % (family, source, destination)).encode()


def v2(source=None, command=1, tlv=b""):
    if source is None:
        body, family = b"", 0
    else:
        kind, family = (socket.AF_INET6, 0x21) if ":" in source else (socket.AF_INET, 0x11)
        body = socket.inet_pton(kind, source) * 2 + struct.pack(">HH", 40000, 25)
    return SIGNATURE + bytes([0x20 | command, family]) + struct.pack(">H", len(body + tlv)) + body + tlv


class Middlemen(harness.SessionTest):
    def relays(self, c):
        """Does the gateway take mail from this client for anywhere?"""
        c.command("MAIL FROM:<a@example.com>", 250)
        code = c.command("RCPT TO:<b@elsewhere.example>").code
        c.command("RSET", 250)
        self.assertIn(code, (250, 550))
        return code == 250

    def listening(self, listener, **kw):
        extra = ('relay_from = { 127.0.0.0/8, 198.51.100.0/24, "2001:db8::/32" }\n'
                 'route default { next_hop = { "127.0.0.1:9" } }\n' + kw.pop("extra", ""))
        self.hop = self.next_hop()
        gateway = self.gateway(next_hop=self.hop, listener=listener, extra=extra, start=False, **kw)
        gateway.start(ready=False)
        gateway.wait_log(event="started")
        return gateway


class Proxy(Middlemen):
    def behind(self, **kw):
        return self.listening("proxy = { 127.0.0.1 } " + kw.pop("listener", ""), **kw)

    def introduced(self, gateway, header, split=False):
        c = gateway.client()
        if split:
            c.send_split(header)
        else:
            c.send(header)
        c.hello()
        return c

    def test_the_address_in_the_header_is_the_clients(self):
        gateway = self.behind()
        for header in (v1("203.0.113.9"), v2("203.0.113.9"), v2("203.0.113.9", tlv=b"\4\0\0\1\0\4smtp")):
            for split in False, True:
                with self.introduced(gateway, header, split) as c:
                    self.assertFalse(self.relays(c))
                    self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        for m in self.hop.wait_messages(6):
            self.assertIn("([203.0.113.9])", m.header("Received"))
        gateway.wait_log(event="received", client="203.0.113.9", via="127.0.0.1", count=6)

    def test_relay_from_is_asked_for_the_address_in_the_header(self):
        gateway = self.behind()
        for header in (v1("198.51.100.4"), v2("198.51.100.4"), v2("2001:db8::4"),
                       v1("2001:db8::4", "2001:db8::5", "TCP6")):
            with self.introduced(gateway, header) as c:
                self.assertTrue(self.relays(c), header)

    def test_a_proxy_itself_is_nobody(self):
        """LOCAL, UNKNOWN and UNSPEC leave the proxy's own address, which is in relay_from and grants nothing."""
        gateway = self.behind(listener="xclient = { 127.0.0.0/8 }")
        for header in (v2(command=0), v2("198.51.100.4", command=0), v2(), b"PROXY UNKNOWN\r\n",
                       b"PROXY UNKNOWN 198.51.100.4 192.0.2.25 1 2\r\n"):
            with self.introduced(gateway, header) as c:
                self.assertFalse(self.relays(c), header)
                c.command("XCLIENT ADDR=198.51.100.4", 550)

    def test_a_proxy_is_nobody_on_other_listeners_too(self):
        port, holder = harness.free_port()
        self.addCleanup(holder.close)
        gateway = self.behind(extra='listener plain { address = { "127.0.0.1:%d" } }\n' % port)
        with harness.Client(("127.0.0.1", port)) as c:
            c.hello()
            self.assertFalse(self.relays(c))
        with harness.Client(("127.0.0.1", port), source=("127.0.0.2", 0)) as c:
            c.hello()
            self.assertTrue(self.relays(c))
        self.assertTrue(gateway.process)

    def test_others_need_no_header_and_may_send_none(self):
        gateway = self.behind()
        with gateway.client(source=("127.0.0.2", 0)) as c:
            c.hello()
            self.assertTrue(self.relays(c))
        with gateway.client(source=("127.0.0.2", 0)) as c:
            c.expect(220)
            c.send(v1("198.51.100.4"))
            c.expect(500)

    def test_a_wrong_header_ends_the_connection_without_a_word(self):
        gateway = self.behind()
        for bad in (b"EHLO client.example\r\n", b"PROXY TCP4 203.0.113.9\r\n", b"PROXY " + b"x" * 120,
                    v1("203.0.113.300"), SIGNATURE + b"\x31\x11\0\0", v2("203.0.113.9")[:15] + b"\1" + b"x" * 30):
            with gateway.client() as c:
                c.send(bad)
                self.assertTrue(c.closed(), bad)
        gateway.wait_log(event="proxy_failed", count=6)

    def test_a_missing_header_is_waited_for_a_moment(self):
        gateway = self.behind()
        with gateway.client() as silent, gateway.client() as half:
            half.send(v2("203.0.113.9")[:20])
            self.assertTrue(silent.closed(12))
            self.assertTrue(half.closed(12))
        gateway.wait_log(event="proxy_failed", reason="no header came in time", count=2)

    def test_implicit_tls_begins_behind_the_header(self):
        cert, key = self.certificate()
        gateway = self.behind(listener="tls = implicit",
                              extra='tls { certificate = "%s" key = "%s" }\n' % (cert, key))
        with gateway.client() as c:
            c.send(v2("198.51.100.4"))
            c.handshake()
            c.hello()
            self.assertTrue(self.relays(c))

    def test_limits_count_the_client_not_the_proxy(self):
        gateway = self.behind(extra="limits { sessions_per_client = 2 }\n")
        kept = [self.introduced(gateway, v1("203.0.113.%d" % i)) for i in (1, 1, 2, 2, 3)]
        with gateway.client() as c:
            c.send(v1("203.0.113.1"))
            c.expect(421, "4.7.0 ...your address...")
            self.assertTrue(c.closed())
        kept[0].command("QUIT", 221)
        self.assertTrue(kept[0].closed())
        self.introduced(gateway, v1("203.0.113.1"))


class Xclient(Middlemen):
    def trusted(self, listener="", **kw):
        return self.listening("xclient = { 127.0.0.1 } " + listener, **kw)

    def test_it_is_offered_to_listed_clients_alone(self):
        gateway = self.trusted()
        with gateway.client() as c:
            lines = c.hello().lines
            self.assertIn("XCLIENT NAME ADDR PORT PROTO HELO DESTADDR DESTPORT", lines)
            self.assertIn("XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE", lines)
        with gateway.client(source=("127.0.0.2", 0)) as c:
            self.assertNotIn("XCLIENT", c.hello().text)
            c.command("XCLIENT ADDR=198.51.100.4", 550)
            c.command("XFORWARD ADDR=198.51.100.4", 550)

    def test_the_session_begins_anew_as_the_client(self):
        gateway = self.trusted()
        with gateway.client() as c:
            c.hello()
            self.assertTrue(self.relays(c))
            c.command("XCLIENT NAME=spike.example ADDR=203.0.113.9 PORT=4000", 220)
            c.command("MAIL FROM:<a@example.com>", 503)
            c.command("EHLO spike.example", 250)
            self.assertFalse(self.relays(c))
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
            c.command("XCLIENT ADDR=IPV6:2001:db8::9 NAME=[UNAVAILABLE]", 220)
            c.command("EHLO other.example", 250)
            self.assertTrue(self.relays(c))
        received = self.hop.wait_messages(1)[0].header("Received")
        self.assertIn("from spike.example (spike.example [203.0.113.9])", " ".join(received.split()))
        gateway.wait_log(event="received", client="203.0.113.9", name="spike.example", via="127.0.0.1")

    def test_helo_and_proto_are_the_clients(self):
        gateway = self.trusted()
        with gateway.client() as c:
            c.hello()
            c.command("XCLIENT ADDR=203.0.113.9 HELO=far+2Eexample PROTO=SMTP", 220)
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        received = self.hop.wait_messages(1)[0].header("Received")
        self.assertIn("from far.example", received)
        self.assertIn("with SMTP", received)

    def test_dialogue(self):
        gateway = self.trusted("xclient_login = yes")
        with gateway.client() as c:
            c.dialogue("""
                S: 220
                C: XCLIENT ADDR=203.0.113.9
                S: 220 mx.example.test ESMTP
                C: EHLO x.example
                S: 250
                C: XCLIENT
                S: 501
                C: XCLIENT ADDR
                S: 501
                C: XCLIENT ADDR=
                S: 501
                C: XCLIENT ADDR=nonsense
                S: 501
                C: XCLIENT ADDR=203.0.113.9 FOO=1
                S: 501
                C: XCLIENT PORT=65536
                S: 501
                C: XCLIENT NAME=a+0Ab
                S: 501
                C: XCLIENT NAME=a+zzb
                S: 501
                C: XCLIENT PROTO=UUCP
                S: 501
                C: XCLIENT ADDR=203.0.113.9
                S: 220
                C: EHLO x.example
                S: 250
                C: MAIL FROM:<a@example.com>
                S: 250
                C: XCLIENT ADDR=203.0.113.9
                S: 503
                C: XFORWARD ADDR=203.0.113.9
                S: 503
                C: RSET
                S: 250
                C: xclient addr=[unavailable] name=[TEMPUNAVAIL] destaddr=192.0.2.1 destport=25
                S: 220
                C: QUIT
                S: 221
                """)

    def test_a_login_is_believed_only_where_that_is_said(self):
        gateway = self.trusted()
        with gateway.client() as c:
            c.hello()
            c.command("XCLIENT ADDR=203.0.113.9 LOGIN=alice", 550)
        gateway = self.trusted("xclient_login = yes  sender_match = none")
        with gateway.client() as c:
            self.assertIn("XCLIENT NAME ADDR PORT PROTO HELO LOGIN DESTADDR DESTPORT", c.hello().lines)
            c.command("XCLIENT ADDR=203.0.113.9 LOGIN=alice", 220)
            c.command("EHLO x.example", 250)
            self.assertTrue(self.relays(c))
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
            c.command("XCLIENT LOGIN=[UNAVAILABLE]", 220)
            c.command("EHLO x.example", 250)
            self.assertFalse(self.relays(c))
        gateway.wait_log(event="received", login="alice", client="203.0.113.9")

    def test_an_unknown_address_is_nobody(self):
        gateway = self.trusted()
        with gateway.client() as c:
            c.hello()
            c.command("XCLIENT ADDR=[UNAVAILABLE]", 220)
            c.command("EHLO x.example", 250)
            self.assertFalse(self.relays(c))
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        gateway.wait_log(event="received", client="unknown")

    def test_xforward_is_logged_for_one_transaction(self):
        gateway = self.trusted()
        with gateway.client() as c:
            c.hello()
            c.command("XFORWARD NAME=far.example ADDR=203.0.113.9 PORT=99 PROTO=ESMTP", 250)
            c.command("XFORWARD HELO=a+0Db IDENT=4711 SOURCE=REMOTE", 250)
            self.assertTrue(c.message("a@example.com", "b@example.net", LETTER).code, 250)
            self.assertTrue(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        gateway.wait_log(event="received", count=2)
        first, second = gateway.records(event="received")
        self.assertEqual((first["client"], first["forwarded_name"], first["forwarded_client"], first["forwarded_port"],
                          first["forwarded_proto"], first["forwarded_helo"], first["forwarded_ident"],
                          first["forwarded_source"]),
                         ("127.0.0.1", "far.example", "203.0.113.9", "99", "ESMTP", "a?b", "4711", "REMOTE"))
        self.assertNotIn("forwarded_name", second)

    def test_starttls_keeps_who_the_client_is(self):
        cert, key = self.certificate()
        gateway = self.trusted(extra='tls { certificate = "%s" key = "%s" }\n' % (cert, key))
        with gateway.client() as c:
            c.hello()
            c.command("XCLIENT ADDR=203.0.113.9", 220)
            c.command("EHLO x.example", 250)
            c.starttls()
            c.command("EHLO x.example", 250)
            self.assertFalse(self.relays(c))


class EarlyTalkers(harness.SessionTest):
    def delayed(self, listener):
        return self.gateway(next_hop=self.next_hop(), listener=listener)

    def test_who_waits_is_served(self):
        gateway = self.delayed("greet_delay = 1s")
        with gateway.client() as c:
            self.assertTrue(c.silent(0.3))
            c.hello()
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER, pipelined=True).code, 250)
        self.assertEqual(gateway.records(event="early_talker"), [])

    def test_who_speaks_before_the_greeting_is_let_go(self):
        gateway = self.delayed("greet_delay = 1s")
        with gateway.client() as c:
            c.send("EHLO client.example")
            c.expect(554, "5.5.1 ...before the greeting...")
            self.assertTrue(c.closed())
        gateway.wait_log(event="early_talker", before="greeting", code=554)

    def test_who_does_not_wait_for_ehlo_is_let_go(self):
        gateway = self.delayed("greet_delay = 1s")
        with gateway.client() as c:
            c.expect(220)
            c.send("EHLO client.example\r\nMAIL FROM:<a@example.com>")
            c.expect(554)
            self.assertTrue(c.closed())
        gateway.wait_log(event="early_talker", before="EHLO")

    def test_early_talkers_may_be_served_and_are_logged(self):
        gateway = self.delayed("greet_delay = 1s early_talkers = accept")
        with gateway.client() as c:
            c.send("EHLO client.example\r\nNOOP")
            c.expect(220)
            c.expect(250)
            c.expect(250)
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        self.assertEqual(len(gateway.all_records(event="early_talker")), 1)
        gateway.wait_log(event="early_talker", before="greeting", code=220)

    def test_by_default_nobody_is_looked_at(self):
        gateway = self.gateway(next_hop=self.next_hop())
        with gateway.client() as c:
            c.send("EHLO client.example\r\nMAIL FROM:<a@example.com>")
            c.expect(220)
            c.expect(250)
            c.expect(250)

    def test_silence_under_tls_is_silence(self):
        cert, key = self.certificate()
        gateway = self.gateway(next_hop=self.next_hop(), listener="tls = implicit greet_delay = 1s", start=False,
                               extra='tls { certificate = "%s" key = "%s" }\n' % (cert, key))
        gateway.start(ready=False)
        gateway.wait_log(event="started")
        with gateway.client() as c:
            c.handshake()
            c.hello()
        with gateway.client() as c:
            c.handshake()
            c.send("EHLO client.example")
            c.expect(554)


class Rates(harness.SessionTest):
    def limited(self, limits, **kw):
        return self.gateway(next_hop=self.next_hop(), extra="limits { %s }\n" % limits + kw.pop("extra", ""), **kw)

    def refused(self, gateway, text, source=("127.0.0.5", 0)):
        with gateway.client(source=source) as c:
            c.expect(421, "4.7.0 ...%s..." % text)
            self.assertTrue(c.closed())

    def greeted(self, gateway, source=("127.0.0.5", 0)):
        c = gateway.client(source=source)
        c.hello()
        return c

    def test_connections_of_one_client(self):
        gateway = self.limited("connection_rate_per_client = 3/h")
        for _ in range(3):
            self.greeted(gateway).close()
        self.refused(gateway, "connections")
        self.greeted(gateway, ("127.0.0.6", 0))

    def test_a_rate_gives_back_with_time(self):
        gateway = self.limited("connection_rate_per_client = 2/s")
        self.greeted(gateway)
        self.greeted(gateway)
        harness.wait_until(lambda: self.is_greeted(gateway), what="room in the rate")

    @staticmethod
    def is_greeted(gateway):
        with gateway.client(source=("127.0.0.5", 0)) as c:
            return c.recv_reply().code == 220

    def test_connections_in_all(self):
        gateway = self.limited("connection_rate = 4/h")  # the first is the harness's
        for i in range(3):
            self.greeted(gateway, ("127.0.0.%d" % (i + 5), 0)).close()
        self.refused(gateway, "connections", ("127.0.0.9", 0))

    def test_messages(self):
        for limits in "message_rate_per_client = 2/h", "message_rate = 2/h":
            gateway = self.limited(limits)
            with self.greeted(gateway) as c:
                self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
                self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
                c.send("MAIL FROM:<a@example.com>")
                c.expect(450, "4.7.1 ...too many messages...")
                c.command("NOOP", 250)
            with self.greeted(gateway, ("127.0.0.6", 0)) as c:
                c.command("MAIL FROM:<a@example.com>", 250 if "client" in limits else 450)

    def test_errors_of_a_client_end_its_sessions_and_refuse_it(self):
        gateway = self.limited("error_rate_per_client = 3/h")
        with self.greeted(gateway) as c:
            c.command("XYZZY", 500)
            c.command("XYZZY", 500)
        with self.greeted(gateway) as c:
            c.command("XYZZY", 500)
            c.command("XYZZY", 500)
            c.expect(421, "4.7.0 ...too many errors...")
            self.assertTrue(c.closed())
        self.refused(gateway, "errors")
        self.greeted(gateway, ("127.0.0.6", 0))

    def test_those_who_may_relay_are_not_held_to_a_clients_rates(self):
        gateway = self.limited("connection_rate_per_client = 2/h message_rate_per_client = 1/h",
                               extra="relay_from = { 127.0.0.5 }\n")
        for _ in range(4):
            with self.greeted(gateway) as c:
                self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)

    def test_a_client_of_ipv6_is_its_network(self):
        gateway = self.limited("connection_rate_per_client = 2/h", listener="proxy = { 127.0.0.5 }")
        for source, code in (("2001:db8::1", 220), ("2001:db8::2", 220), ("2001:db8::3", 421),
                             ("2001:db8:0:1::1", 220)):
            with gateway.client(source=("127.0.0.5", 0)) as c:
                c.send(v2(source))
                c.expect(code)

    def test_few_descriptors_left_are_421(self):
        gateway = self.gateway(next_hop=self.next_hop(), wrapper=["prlimit", "--nofile=100:100"])
        kept, refused = [], None
        for _ in range(120):
            c = gateway.client()
            kept.append(c)
            if c.recv_reply().code == 421:
                refused = c
                break
        self.assertIsNotNone(refused)
        self.assertGreater(len(kept), 30)
        for c in kept[:-1]:
            c.command("EHLO client.example", 250)
        self.assertEqual(kept[0].message("a@example.com", "b@example.net", LETTER).code, 250)
        for c in kept:
            c.close()
        harness.wait_until(lambda: self.is_greeted(gateway), what="descriptors")


class Tarpit(harness.SessionTest):
    def test_errors_are_answered_slowly_after_some(self):
        gateway = self.gateway(next_hop=self.next_hop(), extra="limits { tarpit = 1s tarpit_after = 2 }")
        with gateway.client() as c, gateway.client() as other:
            c.hello()
            other.hello()
            c.command("XYZZY", 500)
            c.command("XYZZY", 500)
            c.send("XYZZY\r\nNOOP\r\nXYZZY")
            self.assertTrue(c.silent(0.5))
            other.command("NOOP", 250)
            c.expect(500)
            c.expect(250)
            c.expect(500)
            c.command("NOOP", 250)

    def test_it_ends_with_the_gateway(self):
        gateway = self.gateway(next_hop=self.next_hop(), extra="limits { tarpit = 60s tarpit_after = 1 }")
        with gateway.client() as c:
            c.hello()
            c.command("XYZZY", 500)
            c.send("XYZZY")
            self.assertTrue(c.silent(0.2))
            gateway.stop(10)
            c.expect(421)

    def test_a_client_that_leaves_is_forgotten(self):
        gateway = self.gateway(next_hop=self.next_hop(), extra="limits { tarpit = 1s tarpit_after = 1 }")
        with gateway.client() as c:
            c.hello("leaver.example")
            c.command("XYZZY", 500)
            c.send("XYZZY")
        gateway.wait_log(event="disconnect", helo="leaver.example")
