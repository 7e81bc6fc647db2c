# SPDX-License-Identifier: MIT
"""nsd as the name server: MX of a real zone, a server that is away, zones it does not serve, and DNSSEC."""

import os
import random
import socket
import subprocess
import unittest

import harness

LETTER = b"Subject: test\r\n\r\nHello\r\n"
QUICK = "queue { retry = { 1s, 2s } }\ndelivery { connect_timeout = 5s  command_timeout = 5s }\n"

CONFIG = """\
server:
  ip-address: 127.0.0.1@{port}
  username: ""
  chroot: ""
  zonesdir: "{dir}"
  zonelistfile: "{dir}/zone.list"
  xfrdfile: "{dir}/xfrd.state"
  xfrdir: "{dir}"
  database: ""
  pidfile: "{dir}/nsd.pid"
  logfile: "{dir}/nsd.log"
  server-count: 1
remote-control:
  control-enable: no
zone:
  name: "example.net"
  zonefile: "{dir}/example.net.zone"
"""

ZONE = """\
$ORIGIN example.net.
$TTL 60
@      IN SOA ns hostmaster 1 3600 600 86400 5
       IN NS  ns
       IN MX  10 mx1
       IN MX  20 mx2
ns     IN A   127.0.0.1
mx1    IN A   127.0.0.2
mx2    IN A   127.0.0.3
alias  IN CNAME plain
plain  IN A   127.0.0.3
null   IN MX  0 .
empty  IN TXT "nothing else"
"""


class Nsd:
    def __init__(self, folder, port=0):
        self.folder = folder
        self.port = port or self.free_port()
        self.process = None
        self.write(ZONE)
        with open(os.path.join(folder, "nsd.conf"), "w") as f:
            f.write(CONFIG.format(dir=folder, port=self.port))

    @staticmethod
    def free_port():
        """Below the range the kernel hands out: a server that starts late must find its port still free."""
        while True:
            port = random.randrange(20000, 32000)
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp, socket.socket() as tcp:
                try:
                    udp.bind(("127.0.0.1", port))
                    tcp.bind(("127.0.0.1", port))
                    return port
                except OSError:
                    continue

    def write(self, text):
        with open(os.path.join(self.folder, "example.net.zone"), "w") as f:
            f.write(text)

    def start(self):
        self.process = subprocess.Popen(["/usr/sbin/nsd", "-d", "-c", os.path.join(self.folder, "nsd.conf")],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        query = b"\x12\x34\x00\x00\x00\x01\x00\x00\x00\x00\x00\x00\x07example\x03net\x00\x00\x06\x00\x01"
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.settimeout(0.1)

            def answers():
                try:
                    s.sendto(query, ("127.0.0.1", self.port))
                    return s.recv(512)
                except OSError:
                    return None
            harness.wait_until(answers, what="an answer of nsd")
        return self

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def block(self, more=""):
        return 'dns { forward = "127.0.0.1:%d"  timeout = 2s  %s }\n' % (self.port, more)

    def sign(self):
        """Signs the zone; the path of a file with its key, as a trust anchor."""
        key = subprocess.run(["ldns-keygen", "-k", "-a", "ECDSAP256SHA256", "example.net"], cwd=self.folder, check=True,
                             capture_output=True, text=True, timeout=60).stdout.strip()
        subprocess.run(["ldns-signzone", "-f", "example.net.signed", "example.net.zone", key], cwd=self.folder,
                       check=True, timeout=60)
        os.replace(os.path.join(self.folder, "example.net.signed"), os.path.join(self.folder, "example.net.zone"))
        return os.path.join(self.folder, key + ".key")


class NsdZones(harness.SessionTest):
    def setUp(self):
        super().setUp()
        harness.need(self, "nsd", "nsd")

    def server(self, **kw):
        nsd = Nsd(self.folder(), **kw)
        self.addCleanup(nsd.stop)
        return nsd

    def relay(self, nsd, hop, name="example.net", more="", **kw):
        return self.gateway(next_hop="mx:%s:%d" % (name, hop.port), extra=QUICK + nsd.block(more), threads=1, **kw)

    def test_mx_by_preference(self):
        nsd = self.server().start()
        first = self.next_hop(address="127.0.0.2")
        try:
            second = self.next_hop(address="127.0.0.3", port=first.port)
        except OSError:
            self.skipTest("the port is taken on 127.0.0.3")
        gateway = self.relay(nsd, first)
        gateway.send("a@example.com", "b@example.net", LETTER)
        first.wait_messages(1)
        first.stop()
        gateway.send("a@example.com", "c@example.net", LETTER)
        second.wait_messages(1)

    def test_cname_and_address_without_mx(self):
        nsd = self.server().start()
        hop = self.next_hop(address="127.0.0.3")
        gateway = self.relay(nsd, hop, "alias.example.net")
        gateway.send()
        hop.wait_messages(1)

    def test_null_mx(self):
        nsd, hop = self.server().start(), self.next_hop()
        gateway = self.relay(nsd, hop, "null.example.net")
        gateway.send("", "b@example.net", LETTER)
        self.assertIn("null MX", gateway.wait_log(event="failed")["reply"])

    def test_mail_waits_for_a_server_that_is_away_and_for_a_zone_it_does_not_serve(self):
        nsd = self.server()
        hop = self.next_hop(address="127.0.0.2")
        away = self.relay(nsd, hop)
        away.send()
        away.wait_log(event="mx-unknown")
        nsd.start()
        refused = self.relay(nsd, hop, "example.org")
        refused.send()
        refused.wait_log(event="mx-unknown")
        hop.wait_messages(1)
        self.assertEqual(away.records(event="failed") + refused.records(event="failed"), [])

    def test_dnssec(self):
        harness.need(self, "ldns-signzone", "ldnsutils")
        signed, other = self.server(), self.server()
        anchor, wrong = signed.sign(), other.sign()
        signed.start()
        hop = self.next_hop(address="127.0.0.2")
        good = self.relay(signed, hop, more='trust_anchor = "%s"' % anchor)
        good.send()
        hop.wait_messages(1)
        bad = self.relay(signed, hop, more='trust_anchor = "%s"' % wrong)
        bad.send()
        self.assertIn("DNSSEC", bad.wait_log(event="mx-unknown")["reason"])
        self.assertEqual(bad.records(event="failed"), [])


if __name__ == "__main__":
    unittest.main()
