# SPDX-License-Identifier: MIT
"""Several certificates: which one a client is shown, where they may be, and what is refused at start."""

import os
import shutil
import subprocess

import harness
from certificates import Authority, client_context, read, write


class Certificates(harness.SessionTest):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self)

    def secure(self, certificates, tls="", **kw):
        listed = ", ".join('"%s"' % c for c in certificates)
        return self.gateway(next_hop="127.0.0.1:9", extra="tls { certificate = { %s } %s }" % (listed, tls), **kw)

    def shown(self, gateway, name=None, sigalgs=None):
        """The common name of the certificate a client sees that asks for NAME."""
        command = ["openssl", "s_client", "-connect", "127.0.0.1:%d" % gateway.port, "-starttls", "smtp", "-quiet",
                   "-ign_eof", "-name", "client.example"]
        command += ["-servername", name] if name is not None else ["-noservername"]
        command += ["-sigalgs", sigalgs] if sigalgs else []
        p = subprocess.run(command + ["-showcerts"], input=b"QUIT\r\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=20 * harness.SLOW)
        for line in p.stdout.decode("latin-1").splitlines():
            if line.startswith("depth=0 "):
                return line.split("CN = ", 1)[1]
        return None

    def test_by_name_and_by_kind_of_key(self):
        a = self.authority
        gateway = self.secure([a.pem("mx.example", names=["mx.example"], kind="rsa"),
                               a.pem("mx-ec", names=["mx.example"], kind="ec"),
                               a.pem("wild", names=["*.wild.example"], kind="ec"),
                               a.pem("customer", names=["customer.example"], kind="rsa")])
        for name, sigalgs, expected in (
                (None, "RSA-PSS+SHA256", "mx.example"), ("mx.example", "RSA-PSS+SHA256", "mx.example"),
                ("mx.example", "ECDSA+SHA256", "mx-ec"), ("a.wild.example", None, "wild"),
                ("customer.example", None, "customer"), ("stranger.example", "RSA-PSS+SHA256", "mx.example"),
                ("a\\", "RSA-PSS+SHA256", "mx.example"), ("x" * 250, "RSA-PSS+SHA256", "mx.example")):
            self.assertEqual(self.shown(gateway, name, sigalgs), expected, name)

    def test_a_hostile_name_ends_at_most_its_own_session(self):
        gateway = self.secure([self.authority.pem("mx.example")])
        for name in (b"a\\", b"\xff\xfe", b"..", b"a\0b", b"%n%n", b"x" * 255, b"x" * 256, b"${run{/bin/id}}"):
            with gateway.client() as c:
                c.hello()
                c.command("STARTTLS", 220)
                c.send(client_hello(name))
                c.socket.settimeout(10)
                self.assertTrue(c.socket.recv(100))  # a server's hello or an alert
        self.assertEqual(self.shown(gateway), "mx.example")

    def test_files_folders_and_patterns(self):
        a = self.authority
        folder = self.folder()
        os.makedirs(folder + "/live/one.example")
        os.makedirs(folder + "/live/notes")
        os.makedirs(folder + "/kube")
        a.split("one.example", folder + "/live/one.example/fullchain.pem", folder + "/live/one.example/privkey.pem")
        a.split("two.example", folder + "/kube/tls.crt", folder + "/kube/tls.key")
        a.split("three.example", folder + "/three.pem", folder + "/three.key")
        shutil.copy(a.pem("four.example"), folder + "/four.pem")
        with open(folder + "/live/README", "w") as f:
            f.write("not a certificate\n")
        gateway = self.secure([folder + "/kube", folder + "/live/*", folder + "/*.pem", folder + "/four.pem",
                               folder + "/nothing/*.pem"])
        for name, expected in (("one.example", "one.example"), ("three.example", "three.example"),
                               ("four.example", "four.example"), (None, "two.example")):
            self.assertEqual(self.shown(gateway, name), expected)
        self.assertEqual(gateway.records(event="certificate"), [])

    def test_a_damaged_file_of_a_pattern_is_left_out(self):
        folder = self.folder()
        shutil.copy(self.authority.pem("good.example"), folder + "/good.pem")
        with open(folder + "/bad.pem", "w") as f:
            f.write(read(folder + "/good.pem")[:700])
        gateway = self.secure([folder + "/*.pem"])
        self.assertIn("bad.pem", gateway.wait_log(event="certificate")["detail"])
        self.assertEqual(self.shown(gateway, "good.example"), "good.example")

    def test_what_is_named_must_be_good(self):
        a = self.authority
        folder = self.folder()
        a.split("x.example", folder + "/cert.pem", folder + "/cert.other")
        mismatch = folder + "/mismatch.pem"
        write(mismatch, read(folder + "/cert.pem") + a.make("y.example")[1])
        for certificates, tls, reason in (
                ([folder + "/missing.pem"], "", "missing.pem"), ([folder + "/cert.pem"], "", "no private key"),
                ([mismatch], "", "does not belong"), ([folder], "", "no fullchain.pem"),
                ([folder + "/nothing/*.pem"], "", "nothing matches"),
                ([a.pem("z.example")], 'key = { "%s/a", "%s/b" }' % (folder, folder), "one file for each")):
            gateway = self.secure(certificates, tls, start=False)
            p = subprocess.run([harness.TMAILD, "-t", "-c", gateway.config_path], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True, timeout=20 * harness.SLOW)
            self.assertEqual(p.returncode, 1, p.stdout)
            self.assertIn(reason, p.stdout)
            self.assertRegex(p.stdout, r"tmail\.conf:\d+: ")

    def test_keys_in_files_of_their_own(self):
        folder = self.folder()
        for name in "one", "two":
            self.authority.split(name + ".example", folder + "/%s.crt" % name, folder + "/secret-%s" % name)
        gateway = self.secure([folder + "/one.crt", folder + "/two.crt"],
                              'key = { "%s/secret-one", "%s/secret-two" }' % (folder, folder))
        self.assertEqual(self.shown(gateway, "two.example"), "two.example")
        with gateway.client() as c:
            c.hello()
            c.starttls(client_context(self.authority.root), "one.example")


def client_hello(name):
    """A ClientHello of TLS 1.2 whose server name is NAME, as a record."""
    entry = b"\0" + len(name).to_bytes(2, "big") + name
    sni = len(entry).to_bytes(2, "big") + entry
    extensions = b"\0\0" + len(sni).to_bytes(2, "big") + sni
    extensions += b"\0\x0d\0\x06\0\x04\x04\x03\x08\x04" + b"\0\x0a\0\x04\0\x02\0\x17"
    body = b"\x03\x03" + b"r" * 32 + b"\0" + b"\0\x04\xc0\x2b\xc0\x2f" + b"\x01\0"
    body += len(extensions).to_bytes(2, "big") + extensions
    hello = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(hello).to_bytes(2, "big") + hello


if __name__ == "__main__":
    harness.unittest.main()
