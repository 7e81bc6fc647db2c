# SPDX-License-Identifier: MIT
"""Certificates that are renewed on disk while the gateway runs, and warnings about those that end soon."""

import json
import os
import shutil
import signal
import ssl

import harness
from certificates import Authority, read, write

LETTER = b"Subject: x\r\n\r\nHello\r\n"


class Renewal(harness.SessionTest):
    def setUp(self):
        super().setUp()
        self.authority = Authority(self)
        self.where = self.folder()

    def secure(self, certificate, tls="", **kw):
        return self.gateway(next_hop=self.next_hop(), extra='tls { certificate = { "%s" } %s }' % (certificate, tls), **kw)

    def session(self, gateway, name="mx.example"):
        c = gateway.client()
        c.hello()
        c.starttls(name=name)
        c.command("EHLO client.example", 250)
        return c

    def serial(self, gateway, name="mx.example"):
        """Of the certificate a new session is shown: the authority numbers them."""
        with self.session(gateway, name) as c:
            der = c.socket.getpeercert(True)
            c.command("QUIT", 221)
        path = os.path.join(self.where, "shown")
        write(path, ssl.DER_cert_to_PEM_cert(der))
        return int(ssl._ssl._test_decode_cert(path)["serialNumber"], 16) - 1000

    def wait_serial(self, gateway, serial, name="mx.example"):
        harness.wait_until(lambda: self.serial(gateway, name) == serial, what="the renewed certificate")

    def test_a_renewed_file_is_taken_over_and_sessions_go_on(self):
        pem = self.authority.pem("mx.example", self.where + "/mx.pem")
        gateway = self.secure(pem)
        old = self.session(gateway)
        old.command("MAIL FROM:<a@example.com>", 250)
        self.authority.pem("mx.example", pem)
        self.wait_serial(gateway, 2)
        self.assertEqual(gateway.wait_log(event="certificate-renewed")["file"], pem)
        old.command("RCPT TO:<b@example.net>", 250)
        old.command("DATA", 354)
        old.send(harness.dot_stuffed(LETTER))
        old.expect(250)
        self.assertEqual(self.hops[0].wait_messages(1)[0].content, LETTER)
        self.assertEqual(json.loads(gateway.cli("tls", "list", "--json"))["problem"], None)

    def test_half_of_a_renewal_keeps_the_old_pair(self):
        pem, key = self.where + "/fullchain.pem", self.where + "/privkey.pem"
        self.authority.split("mx.example", pem, key)
        gateway = self.secure(self.where)
        new_pem, new_key = self.authority.make("mx.example")
        write(pem, new_pem)  # its key is not there yet
        self.assertIn("does not belong", gateway.wait_log(event="certificate")["detail"])
        self.assertEqual(self.serial(gateway), 1)
        self.assertIn("does not belong", json.loads(gateway.cli("tls", "list", "--json"))["problem"])
        write(pem, new_pem[:200])
        self.assertIn("fullchain.pem", gateway.wait_log(event="certificate", count=2)["detail"])
        self.assertEqual(self.serial(gateway), 1)
        os.unlink(pem)
        gateway.wait_log(event="certificate", count=3)
        self.assertEqual(self.serial(gateway), 1)
        write(key, new_key)
        write(pem, new_pem)
        self.wait_serial(gateway, 2)
        harness.wait_until(lambda: json.loads(gateway.cli("tls", "list", "--json"))["problem"] is None)

    def test_a_link_that_is_turned(self):
        """As certbot does it, and kubernetes."""
        for n in 1, 2:
            os.mkdir("%s/archive%d" % (self.where, n))
            self.authority.split("mx.example", "%s/archive%d/tls.crt" % (self.where, n), "%s/archive%d/tls.key" % (self.where, n))
        os.symlink("archive1", self.where + "/live")
        gateway = self.secure(self.where + "/live")
        self.assertEqual(self.serial(gateway), 1)
        os.symlink("archive2", self.where + "/live.new")
        os.rename(self.where + "/live.new", self.where + "/live")
        self.wait_serial(gateway, 2)

    def test_a_file_that_is_written_in_place_behind_a_link(self):
        os.mkdir(self.where + "/elsewhere")
        pem = self.authority.pem("mx.example", self.where + "/elsewhere/real.pem")
        os.symlink(pem, self.where + "/mx.pem")
        gateway = self.secure(self.where + "/mx.pem")
        text = "".join(self.authority.make("mx.example"))
        with open(pem, "w") as f:
            f.write(text)
        self.wait_serial(gateway, 2)

    def test_files_of_a_pattern_come_and_go(self):
        self.authority.pem("mx.example", self.where + "/a.pem")
        gateway = self.secure(self.where + "/*.pem")
        self.authority.pem("customer.example", self.where + "/b.pem")
        self.wait_serial(gateway, 2, "customer.example")
        os.unlink(self.where + "/b.pem")
        self.wait_serial(gateway, 1, "customer.example")

    def test_authorities_are_renewed_too(self):
        ca = self.where + "/ca.pem"
        shutil.copy(self.authority.root, ca)
        stranger = Authority(self, "Stranger")
        folder = self.folder()
        stranger.split("hop", folder + "/crt", folder + "/key", addresses=["127.0.0.1"])
        hop = self.next_hop(tls=harness.server_context(folder + "/crt", folder + "/key"))
        gateway = self.gateway(next_hop=hop, route="tls = verify", extra='tls { ca = "%s" }\n' % ca + harness.RETRY_SOON)
        gateway.send("a@example.com", "b@example.net", LETTER)
        gateway.wait_log(event="hop-dead")
        write(ca, read(stranger.root))
        hop.wait_messages(1)

    def test_files_that_a_reload_brings_are_watched(self):
        gateway = self.gateway(next_hop=self.next_hop())
        with gateway.client() as c:
            self.assertNotIn("STARTTLS", c.hello().lines)
        pem = self.authority.pem("mx.example", self.where + "/mx.pem")
        gateway.write_config(gateway.config + 'tls { certificate = "%s" }\n' % pem)
        gateway.cli("reload")
        self.assertEqual(self.serial(gateway), 1)
        self.authority.pem("mx.example", pem)
        self.wait_serial(gateway, 2)

    def test_a_new_worker_begins_with_the_newest(self):
        pem = self.authority.pem("mx.example", self.where + "/mx.pem")
        gateway = self.secure(pem)
        self.authority.pem("mx.example", pem)
        self.wait_serial(gateway, 2)
        self.allow_reports = True
        os.kill(gateway.worker(), signal.SIGKILL)
        gateway.wait_log(event="started", count=2)
        self.wait_serial(gateway, 2)

    def test_warned_about_before_the_end_once_a_day(self):
        files = {n: self.authority.pem(n, self.where + "/%s.pem" % n, days=d)
                 for n, d in (("month.example", 40), ("fortnight.example", 12), ("soon.example", 2), ("past.example", -1))}
        gateway = self.secure(self.where + "/*.pem")
        gateway.wait_log(event="certificate-expires", file=files["fortnight.example"], level="warn", days_left=True)
        record = gateway.wait_log(event="certificate-expires", file=files["soon.example"], level="warn")
        self.assertIn(record["days_left"], ("1", "2"))
        self.assertEqual(record["detail"], "renew it now")
        gateway.wait_log(event="certificate-expired", file=files["past.example"], level="error")
        self.authority.pem("month.example", files["month.example"], days=50)
        gateway.wait_log(event="certificate-renewed", file=files["month.example"])
        self.wait_serial(gateway, 5, "month.example")
        self.authority.pem("new.example", self.where + "/new.pem", days=3)
        gateway.wait_log(event="certificate-expires", file=self.where + "/new.pem", days_left=True)
        self.assertEqual(len(gateway.records(event="certificate-expires")), 3)
        self.assertEqual(len(gateway.records(event="certificate-expired")), 1)

    def test_a_file_that_is_the_same_is_not_renewed(self):
        pem = self.authority.pem("mx.example", self.where + "/mx.pem")
        gateway = self.secure(pem)
        write(pem, read(pem))
        other = self.authority.pem("other.example", self.where + "/unrelated")
        self.authority.pem("mx.example", pem)
        self.wait_serial(gateway, 3)
        self.assertEqual(len(gateway.records(event="certificate-renewed")), 1)
        self.assertTrue(os.path.exists(other))


if __name__ == "__main__":
    harness.unittest.main()
