# SPDX-License-Identifier: MIT
"""HAProxy in front with the PROXY protocol, and swaks speaking XCLIENT and PROXY."""

import os
import shutil
import socket
import subprocess

import harness

LETTER = b"Subject: x\r\n\r\nHello\r\n"

HAPROXY = """\
global
    maxconn 100
    stats socket {folder}/stats mode 600 level admin
defaults
    mode tcp
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend mail
    bind 127.0.0.1:{port}
    default_backend gateway
backend gateway
    {check}
    server tmail 127.0.0.1:{gateway} {words}
"""


class HAProxy(harness.SessionTest):
    def behind(self, words, check="", listener="", extra=""):
        harness.need(self, "haproxy", "haproxy")
        self.hop = self.next_hop()
        gateway = self.gateway(next_hop=self.hop, listener="proxy = { 127.0.0.1 } " + listener, start=False,
                               extra="relay_from = { 127.0.0.0/8 }\n" + extra)
        gateway.start(ready=False)
        gateway.wait_log(event="started")
        self.port, holder = harness.free_port()
        self.addCleanup(holder.close)
        self.haproxy(HAPROXY.format(folder=gateway.folder, port=self.port, gateway=gateway.port, words=words,
                                    check=check), gateway.folder)
        return gateway

    def haproxy(self, config, folder):
        path = os.path.join(folder, "haproxy.cfg")
        with open(path, "w") as f:
            f.write(config)
        program = shutil.which("haproxy") or "/usr/sbin/haproxy"
        process = subprocess.Popen([program, "-db", "-f", path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait, 20)
        self.addCleanup(process.terminate)
        harness.wait_until(lambda: os.path.exists(os.path.join(folder, "stats")), what="HAProxy")

    def client(self, source="127.0.0.7"):
        return harness.Client(("127.0.0.1", self.port), source=(source, 0))

    def passes_the_client_on(self, words):
        gateway = self.behind(words)
        with self.client() as c:
            c.hello()
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
            c.command("QUIT", 221)
        self.assertIn("([127.0.0.7])", self.hop.wait_messages(1)[0].header("Received"))
        gateway.wait_log(event="received", client="127.0.0.7", via="127.0.0.1")

    def test_version_1(self):
        self.passes_the_client_on("send-proxy")

    def test_version_2(self):
        self.passes_the_client_on("send-proxy-v2")

    def test_version_2_with_everything_behind_the_addresses(self):
        self.passes_the_client_on("send-proxy-v2 proxy-v2-options crc32c,unique-id")

    def test_implicit_tls_through_it(self):
        cert, key = self.certificate()
        self.behind("send-proxy-v2", listener="tls = implicit",
                    extra='tls { certificate = "%s" key = "%s" }\n' % (cert, key))
        with self.client() as c:
            c.handshake()
            c.hello()
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        self.assertIn("([127.0.0.7])", self.hop.wait_messages(1)[0].header("Received"))

    def test_its_health_checks(self):
        """They come with LOCAL, greet and leave; the server stays up and nothing is complained about."""
        gateway = self.behind("send-proxy-v2 check check-send-proxy inter 100ms", check="option smtpchk EHLO check.example")
        harness.wait_until(lambda: "L7OK" in self.statistics(gateway.folder), what="a good health check")
        gateway.wait_log(event="disconnect", helo="check.example", client="127.0.0.1", count=2)
        self.assertEqual(gateway.records(event="proxy_failed"), [])

    @staticmethod
    def statistics(folder):
        with socket.socket(socket.AF_UNIX) as s:
            s.connect(os.path.join(folder, "stats"))
            s.sendall(b"show stat\n")
            return b"".join(iter(lambda: s.recv(65536), b"")).decode()


class Swaks(harness.SessionTest):
    def swaks(self, gateway, *arguments):
        harness.need(self, "swaks", "swaks")
        p = subprocess.run(["swaks", "--server", "127.0.0.1:%d" % gateway.port, "--from", "a@example.com",
                            "--to", "b@example.net", "--helo", "client.example", *arguments], text=True, timeout=60,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self.assertEqual(p.returncode, 0, p.stdout)

    def test_xclient(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, listener="xclient = { 127.0.0.1 }")
        self.swaks(gateway, "--xclient-addr", "203.0.113.9", "--xclient-name", "far.example", "--xclient-port", "999")
        self.assertIn("(far.example [203.0.113.9])", hop.wait_messages(1)[0].header("Received"))

    def test_proxy_headers(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, listener="proxy = { 127.0.0.1 }", start=False)
        gateway.start(ready=False)
        gateway.wait_log(event="started")
        for version in "1", "2":
            self.swaks(gateway, "--proxy-version", version, "--proxy-family",
                       "TCP4" if version == "1" else "AF_INET", "--proxy-source", "203.0.113.9",
                       "--proxy-source-port", "4000", "--proxy-dest", "192.0.2.25", "--proxy-dest-port", "25",
                       *(("--proxy-protocol", "STREAM") if version == "2" else ()))
        for m in hop.wait_messages(2):
            self.assertIn("([203.0.113.9])", m.header("Received"))
