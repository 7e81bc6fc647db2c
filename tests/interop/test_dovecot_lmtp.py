# SPDX-License-Identifier: MIT
"""Dovecot's LMTP server as the next hop, over TCP and over its unix socket, each with folders of its own."""

import glob
import os
import pwd
import shutil
import subprocess

import harness

LETTER = b"From: a@example.com\r\nTo: b@example.net\r\nSubject: x\r\n\r\n.\r\nHello %d\r\n"

CONFIG = """\
base_dir = {dir}/run
state_dir = {dir}/state
log_path = {dir}/dovecot.log
instance_name = tmail-test
protocols = lmtp
listen = 127.0.0.1
ssl = {ssl}
default_internal_user = {user}
default_internal_group = {group}
default_login_user = {user}
first_valid_uid = 0
first_valid_gid = 0
postmaster_address = postmaster@example.net
mail_location = maildir:{dir}/mail/%n
mail_plugins = quota
plugin {{
  quota = maildir:User quota
}}
lmtp_rcpt_check_quota = {at_rcpt}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = passwd-file
  args = username_format=%n {dir}/users
}}
service lmtp {{
  inet_listener lmtp {{
    port = {port}
  }}
  unix_listener lmtp {{
    mode = 0666
  }}
}}
service anvil {{
  chroot =
}}
service stats {{
  chroot =
}}
"""


class Dovecot(harness.SessionTest):
    def setUp(self):
        super().setUp()
        harness.need(self, "dovecot", "dovecot-lmtpd")
        if not os.path.exists("/usr/lib/dovecot/lmtp"):
            harness.need(self, "dovecot-lmtpd", "dovecot-lmtpd")
        if os.geteuid() != 0:
            self.skipTest("Dovecot needs root")

    def dovecot(self, at_rcpt="no", ssl=None):
        """Starts a Dovecot with the mailboxes b, c and the full one `full`; returns its LMTP port."""
        folder = self.root = self.folder()
        os.chmod(folder, 0o755)
        user = pwd.getpwnam("dovecot")
        port, holder = harness.free_port()
        holder.close()
        tls = "no" if ssl is None else "yes\nssl_cert = <%s\nssl_key = <%s" % ssl
        with open(os.path.join(folder, "dovecot.conf"), "w") as f:
            f.write(CONFIG.format(dir=folder, port=port, user=user.pw_name, group="dovecot", at_rcpt=at_rcpt, ssl=tls))
        mail = pwd.getpwnam("mail")
        with open(os.path.join(folder, "users"), "w") as f:
            for name, limit in (("b", "100M"), ("c", "100M"), ("full", "1B")):
                f.write("%s::%d:%d::%s/mail/%s::userdb_quota_rule=*:bytes=%s\n" %
                        (name, mail.pw_uid, mail.pw_gid, folder, name, limit))
        os.mkdir(os.path.join(folder, "mail"))
        shutil.chown(os.path.join(folder, "mail"), "mail", "mail")
        server = subprocess.Popen(["dovecot", "-F", "-c", os.path.join(folder, "dovecot.conf")],
                                  stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  start_new_session=True)
        self.addCleanup(harness.end_family, server)
        self.socket = os.path.join(folder, "run", "lmtp")
        harness.wait_until(lambda: os.path.exists(self.socket) and harness.greets(port), what="Dovecot's greeting")
        return port

    def diagnose(self):
        try:
            with open(os.path.join(self.root, "dovecot.log"), errors="replace") as f:
                return super().diagnose() + "\n---- Dovecot's log (the end)\n" + f.read()[-6000:]
        except (OSError, AttributeError):
            return super().diagnose()

    def mailbox(self, name):
        found = []
        for path in glob.glob(os.path.join(self.root, "mail", name, "new", "*")):
            with open(path, "rb") as f:
                found.append(f.read())
        return found

    def wait_mailbox(self, name, count):
        harness.wait_until(lambda: len(self.mailbox(name)) >= count, what="%d messages for %s" % (count, name))
        return self.mailbox(name)

    def send(self, gateway, count, recipients):
        with gateway.client() as c:
            c.hello()
            for i in range(count):
                self.assertEqual(c.message("a@example.com", recipients, LETTER % i).code, 250)

    def test_dovecot_takes_mail_over_tcp(self):
        gateway = self.gateway(next_hop="lmtp:127.0.0.1:%d" % self.dovecot())
        self.send(gateway, 20, ["b@example.net", "c@example.net"])
        self.assertEqual(len(self.wait_mailbox("b", 20)), 20)
        self.assertEqual(len(self.wait_mailbox("c", 20)), 20)
        # Stored as it came, with Dovecot's line ends.
        self.assertTrue(all(b"\n\n.\nHello " in m.replace(b"\r\n", b"\n") for m in self.mailbox("b")))
        self.assertEqual(gateway.all_records(event="deferred") + gateway.all_records(event="failed"), [])

    def test_dovecot_takes_mail_over_its_socket(self):
        self.dovecot()
        gateway = self.gateway(next_hop="lmtp:unix:" + self.socket)
        self.send(gateway, 5, ["b@example.net"])
        self.wait_mailbox("b", 5)

    def test_dovecot_takes_mail_under_tls(self):
        port = self.dovecot(ssl=self.certificate("dovecot.example.test"))
        gateway = self.gateway(next_hop="lmtp:127.0.0.1:%d" % port, route="tls = required")
        self.send(gateway, 2, ["b@example.net"])
        self.wait_mailbox("b", 2)

    def test_a_full_mailbox_after_the_dot_concerns_its_owner_alone(self):
        back = self.next_hop()
        gateway = self.gateway(next_hop="lmtp:127.0.0.1:%d" % self.dovecot(),
                               extra=harness.Gateway.domain_block(back, "example.com"))
        self.send(gateway, 1, ["b@example.net", "full@example.net", "c@example.net"])
        self.wait_mailbox("b", 1)
        self.wait_mailbox("c", 1)
        self.assertIn("552 5.2.2", gateway.wait_log(event="failed", to="full@example.net")["reply"])
        self.assertIn(b"full@example.net", back.wait_messages(1)[0].data)
        self.assertEqual((len(self.mailbox("b")), len(self.mailbox("c")), len(self.mailbox("full"))), (1, 1, 0))

    def test_an_unknown_user_is_reported_once(self):
        back = self.next_hop()
        gateway = self.gateway(next_hop="lmtp:127.0.0.1:%d" % self.dovecot(),
                               extra=harness.Gateway.domain_block(back, "example.com"))
        self.send(gateway, 1, ["b@example.net", "nobody@example.net"])
        self.wait_mailbox("b", 1)
        self.assertIn(b"nobody@example.net", back.wait_messages(1)[0].data)
