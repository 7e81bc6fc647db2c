# SPDX-License-Identifier: MIT
"""Dovecot as the source of passwords: its auth socket, its own hashes, its absence."""

import base64
import os
import pwd
import signal
import smtplib
import ssl
import subprocess
import sys

import harness

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "session"))
from test_auth import LETTER, Scram, b64, plain  # noqa: E402

CONFIG = """\
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
instance_name = tmail-test
protocols =
listen = 127.0.0.1
ssl = no
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
auth_mechanisms = plain {mechanisms}
auth_failure_delay = 0
passdb {{
  driver = passwd-file
  args = username_format=%u {dir}/users
}}
userdb {{
  driver = static
  args = uid=8 gid=8 home=/nonexistent
}}
service auth {{
  unix_listener auth-tmail {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service stats {{
  chroot =
}}
"""


class DovecotAuth(harness.SessionTest):
    def setUp(self):
        super().setUp()
        harness.need(self, "dovecot", "dovecot-core")
        if os.geteuid() != 0:
            self.skipTest("Dovecot needs root")
        self.root = self.folder()
        self.socket = os.path.join(self.root, "run", "auth-tmail")
        self.server = None

    def dovecot(self, mechanisms="login scram-sha-256"):
        user = pwd.getpwnam("dovecot")
        scram = subprocess.run(["doveadm", "pw", "-s", "SCRAM-SHA-256", "-p", "s3 c:ret"], check=True, text=True,
                               capture_output=True).stdout.strip()
        with open(os.path.join(self.root, "dovecot.conf"), "w") as f:
            f.write(CONFIG.format(dir=self.root, user=user.pw_name, group="dovecot", mechanisms=mechanisms))
        with open(os.path.join(self.root, "users"), "w") as f:
            f.write("eve@example.com:%s\nold@example.com:{PLAIN}plain password\n" % scram)
        self.start()

    def start(self):
        self.server = subprocess.Popen(["dovecot", "-F", "-c", os.path.join(self.root, "dovecot.conf")],
                                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                       start_new_session=True)
        self.addCleanup(self.end, self.server)
        harness.wait_until(lambda: os.path.exists(self.socket), what="Dovecot's socket")

    @staticmethod
    def end(server):
        harness.end_process(server)
        try:
            os.killpg(server.pid, signal.SIGKILL)  # its auth process goes on serving whom it serves
        except ProcessLookupError:
            pass

    def secure(self, extra="", source=None, **kw):
        cert, key = self.certificate()
        return self.gateway(next_hop=self.next_hop(), listener="auth = required", extra=(
            'tls { certificate = "%s" key = "%s" }\nauth { source = { %s } lockout = none timeout = 5s }\n%s'
            % (cert, key, source or '"dovecot:unix:%s"' % self.socket, extra)), **kw)

    def client(self, gateway):
        c = gateway.client()
        c.hello()
        c.starttls()
        c.ehlo = c.command("EHLO client.example", 250)
        return c

    def test_plain_and_login(self):
        self.dovecot()
        gateway = self.secure(threads=2)
        for _ in range(3):
            c = self.client(gateway)
            c.command("AUTH PLAIN " + plain("old@example.com", "wrong"), 535)
            c.command("AUTH PLAIN " + plain("nobody@example.com", "plain password"), 535)
            c.command("AUTH PLAIN " + plain("EVE@example.com", "s3 c:ret"), 235)
            self.assertEqual(c.message("eve@example.com", "b@example.net", LETTER).code, 250)
        self.assertEqual(gateway.wait_log(event="received")["login"], "eve@example.com")  # as Dovecot knows it
        c = self.client(gateway)
        c.command("AUTH LOGIN", 334)
        c.command(b64("old@example.com"), 334)
        c.command(b64("plain password"), 235)

    def test_scram(self):
        self.dovecot()
        gateway = self.secure()
        self.client(gateway).command("AUTH PLAIN " + plain("x", "y"), 535)  # now it is known what Dovecot can
        for password, code in (("wrong", 535), ("s3 c:ret", 235)):
            c = self.client(gateway)
            self.assertIn("AUTH PLAIN LOGIN SCRAM-SHA-256", c.ehlo.lines)
            x = Scram("eve@example.com", password)
            reply = c.command("AUTH SCRAM-SHA-256 " + b64(x.first), 334)
            c.send(b64(x.final(base64.b64decode(reply.text).decode())))
            if code == 235:
                self.assertEqual(base64.b64decode(c.expect(334).text).decode(), x.expected)
                c.command("", 235)
            else:
                c.expect(535)
                c.command("NOOP", 250)
        c = self.client(gateway)
        c.command("AUTH SCRAM-SHA-256 " + b64(Scram("eve@example.com", "s3 c:ret").first), 334)
        c.command("*", 501)
        c.command("AUTH PLAIN " + plain("eve@example.com", "s3 c:ret"), 235)

    def test_scram_only_where_dovecot_can(self):
        self.dovecot(mechanisms="")
        gateway = self.secure()
        c = self.client(gateway)
        self.assertIn("AUTH PLAIN LOGIN", c.ehlo.lines)
        c.command("AUTH LOGIN " + b64("old@example.com"), 334)  # is ours, Dovecot is asked for PLAIN
        c.command(b64("plain password"), 235)
        c = self.client(gateway)
        c.command("AUTH SCRAM-SHA-256", 504)

    def test_down_and_up_again(self):
        gateway = self.secure()
        c = self.client(gateway)
        self.assertTrue(c.command("AUTH PLAIN " + plain("eve@example.com", "s3 c:ret"), 454).text.startswith("4.7.0"))
        self.dovecot()
        harness.wait_until(lambda: c.command("AUTH PLAIN " + plain("eve@example.com", "s3 c:ret")).code == 235,
                           what="Dovecot being asked again")
        self.end(self.server)
        c = self.client(gateway)
        c.command("AUTH PLAIN " + plain("eve@example.com", "s3 c:ret"), 454)
        self.start()
        harness.wait_until(lambda: c.command("AUTH PLAIN " + plain("eve@example.com", "s3 c:ret")).code == 235,
                           what="Dovecot being asked again")
        gateway.wait_log(event="auth-source", level="warn")

    def test_after_the_users_of_the_configuration(self):
        self.dovecot()
        text = subprocess.run([harness.TMAIL, "user", "hash"], input="here\n", text=True, capture_output=True,
                              check=True).stdout.strip()
        gateway = self.secure('user me { password = "%s" }\n' % text,
                              source='directory, "dovecot:unix:%s"' % self.socket)
        for login, password in (("me", "here"), ("eve@example.com", "s3 c:ret")):
            self.client(gateway).command("AUTH PLAIN " + plain(login, password), 235)
        for login, password in (("me", "here"), ("eve@example.com", "s3 c:ret")):
            c = self.client(gateway)
            x = Scram(login, password)
            reply = c.command("AUTH SCRAM-SHA-256 " + b64(x.first), 334)
            reply = c.command(b64(x.final(base64.b64decode(reply.text).decode())), 334)
            self.assertEqual(base64.b64decode(reply.text).decode(), x.expected)
            c.command("", 235)
        self.end(self.server)
        c = self.client(gateway)
        c.command("AUTH PLAIN " + plain("me", "here"), 235)
        self.client(gateway).command("AUTH PLAIN " + plain("eve@example.com", "s3 c:ret"), 454)

    def test_smtplib_and_swaks(self):
        self.dovecot()
        gateway = self.secure()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with smtplib.SMTP(*gateway.address, timeout=20) as s:
            s.starttls(context=context)
            self.assertRaises(smtplib.SMTPAuthenticationError, s.login, "old@example.com", "wrong")
            s.login("old@example.com", "plain password")
            s.sendmail("old@example.com", "b@example.net", LETTER.replace(b"eve@", b"old@"))
        harness.need(self, "swaks", "swaks")
        for mechanism in ("PLAIN", "LOGIN"):
            subprocess.run(["swaks", "-s", "%s:%d" % gateway.address, "--from", "old@example.com", "--to", "b@example.net",
                            "-tls", "--auth", mechanism, "--auth-user", "old@example.com", "--auth-password",
                            "plain password"], check=True, stdout=subprocess.DEVNULL, timeout=30)
        self.hops[0].wait_messages(3)


if __name__ == "__main__":
    harness.unittest.main()
