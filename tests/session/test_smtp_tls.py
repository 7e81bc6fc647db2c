# SPDX-License-Identifier: MIT
"""STARTTLS and implicit TLS (RFC 3207), and what must not pass from plain text into TLS."""

import socket
import ssl

import harness

LETTER = b"Subject: x\r\n\r\nHello\r\n"


class Tls(harness.SessionTest):
    def secure(self, listener="", extra="", **kw):
        cert, key = self.certificate()
        return self.gateway(next_hop=self.next_hop(), listener=listener,
                            extra='tls { certificate = "%s" key = "%s" }\n%s' % (cert, key, extra), **kw)

    def test_starttls(self):
        gateway = self.secure()
        with gateway.client() as c:
            self.assertIn("STARTTLS", c.hello().lines)
            c.starttls()
            c.command("MAIL FROM:<a@example.com>", 503)
            reply = c.command("EHLO client.example", 250)
            self.assertNotIn("STARTTLS", reply.lines)
            c.command("STARTTLS", 503)
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
            c.command("QUIT", 221)
        received = self.hops[0].wait_messages(1)[0].header("Received")
        self.assertRegex(received, r"with\s+ESMTPS")
        self.assertIn("TLS", received)
        self.assertRegex(gateway.wait_log(event="received")["tls"], r"TLSv1\.[23]")

    def test_a_large_message_and_pipelining_under_tls(self):
        gateway = self.secure()
        letter = LETTER + b"".join(b".%d\r\n" % i for i in range(200000))
        with gateway.client() as c:
            c.hello()
            c.starttls()
            c.command("EHLO client.example", 250)
            self.assertEqual(c.message("a@example.com", "b@example.net", letter, pipelined=True).code, 250)
            c.send(b"NOOP\r\n" * 3000)
            for _ in range(3000):
                c.expect(250)
        self.assertEqual(self.hops[0].wait_messages(1)[0].content, letter)

    def test_not_offered_without_a_certificate(self):
        gateway = self.gateway(next_hop=self.next_hop())
        with gateway.client() as c:
            self.assertNotIn("STARTTLS", c.hello().lines)
            c.command("STARTTLS", 502)

    def test_not_offered_where_the_listener_says_none(self):
        gateway = self.secure("tls = none")
        with gateway.client() as c:
            self.assertNotIn("STARTTLS", c.hello().lines)
            c.command("STARTTLS", 502)

    def test_argument_is_an_error(self):
        with self.secure().client() as c:
            c.hello()
            c.command("STARTTLS now", 501)
            c.starttls()

    def test_required(self):
        gateway = self.secure("tls = required")
        with gateway.client() as c:
            c.hello()
            for line in ("MAIL FROM:<a@example.com>", "RCPT TO:<b@example.net>", "DATA", "RSET", "VRFY x", "HELP"):
                self.assertIn("5.7.0", c.command(line, 530).text)
            c.command("NOOP", 250)
            c.starttls()
            c.command("EHLO client.example", 250)
            self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        with gateway.client() as c:
            c.hello()
            c.command("QUIT", 221)

    def test_nothing_said_before_is_known_after(self):
        gateway = self.secure()
        with gateway.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<b@example.net>", 250)
            c.starttls()
            c.command("DATA", 503)
            c.command("EHLO client.example", 250)
            c.command("RCPT TO:<b@example.net>", 503)

    def test_plain_text_behind_starttls_is_never_run(self):
        gateway = self.secure()
        for injected in (b"RSET\r\n", b"MAIL FROM:<evil@example.com>\r\n", b"NOO", b"\r\n"):
            with gateway.client() as c:
                c.hello()
                c.send(b"STARTTLS\r\n" + injected)
                c.expect(554, "5.5.1...")
                self.assertTrue(c.closed())

    def test_plain_text_right_behind_starttls_breaks_the_handshake(self):
        gateway = self.secure()
        with gateway.client() as c:
            c.hello()
            c.command("STARTTLS", 220)
            c.send(b"MAIL FROM:<evil@example.com>\r\n")
            c.socket.settimeout(10)
            try:
                while c.socket.recv(4096):
                    pass
            except ConnectionResetError:
                pass
        self.assertTrue(gateway.wait_log(event="tls_failed")["reason"])
        with gateway.client() as c:
            c.hello()

    def test_a_handshake_has_its_time(self):
        gateway = self.secure(extra="limits { command_timeout = 1s }")
        with gateway.client() as c:
            c.hello()
            c.command("STARTTLS", 220)
            self.assertTrue(c.closed(10))

    def test_implicit(self):
        port, holder = harness.free_port()
        self.addCleanup(holder.close)
        gateway = self.secure(extra='listener tls { address = { "127.0.0.1:%d" } tls = implicit }' % port)
        c = harness.Client(("127.0.0.1", port))
        self.addCleanup(c.close)
        c.handshake()
        self.assertNotIn("STARTTLS", c.hello().lines)
        c.command("STARTTLS", 503)
        self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
        with harness.Client(("127.0.0.1", port)) as plain:
            plain.send(b"EHLO client.example\r\n")
            plain.socket.settimeout(10)
            got = b""
            try:
                while more := plain.socket.recv(4096):
                    got += more
            except ConnectionResetError:
                pass
            self.assertNotIn(b"220", got)

    def test_half_a_command_then_the_end_of_tls(self):
        gateway = self.secure()
        with gateway.client() as c:
            c.hello()
            c.starttls()
            c.command("EHLO client.example", 250)
            c.send(b"NOOP\r\nMAIL FROM:<a@exam")
            c.expect(250)
            raw = c.socket.unwrap()
            raw.sendall(b"ple.com>\r\nNOOP\r\n")
            raw.settimeout(10)
            try:
                self.assertEqual(raw.recv(100), b"")
            except ConnectionResetError:
                pass
            raw.close()
        with gateway.client() as c:
            c.hello()

    def test_old_versions_are_refused(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        try:
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        except ValueError:
            self.skipTest("this OpenSSL cannot speak TLS 1.1")
        with self.secure().client() as c:
            c.hello()
            c.command("STARTTLS", 220)
            with self.assertRaises((ssl.SSLError, ConnectionResetError, socket.timeout)):
                c.handshake(context)


if __name__ == "__main__":
    harness.unittest.main()
