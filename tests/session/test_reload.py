# SPDX-License-Identifier: MIT
"""A new configuration in a running gateway: nothing is dropped, nothing refused, a bad file changes nothing."""

import json
import os
import re
import socket
import subprocess
import threading
import unittest

import harness
from load import Arrivals, Load


def reloaded(gateway, count=1):
    return gateway.wait_log(event="reloaded", count=count)


class Reload(harness.SessionTest):
    def change(self, gateway, old, new):
        self.assertIn(old, gateway.config)
        gateway.write_config(gateway.config.replace(old, new))

    def test_later_mail_goes_the_new_way_and_a_session_goes_on_by_the_old_one(self):
        first, second = self.next_hop(), self.next_hop()
        gateway = self.gateway(next_hop=first)
        with gateway.client() as old:
            old.hello()
            self.change(gateway, first.text, second.text)
            self.change(gateway, "domain example.net", "limits { message_size = 1MB }\ndomain example.net")
            self.change(gateway, "hostname = mx.example.test", "hostname = mx2.example.test")
            gateway.cli("reload")
            with gateway.client() as new:
                new.expect(220, "mx2.example.test ...")
                self.assertIn("SIZE 1048576", new.command("EHLO client.example", 250).lines)
            self.assertIn("SIZE 52428800", old.command("EHLO client.example", 250).lines)
            self.assertEqual(old.message("a@example.com", "b@example.net", b"Subject: old\r\n\r\n.\r\n").code, 250)
        gateway.send(recipients="after@example.net")
        self.assertEqual(len(second.wait_messages(2)), 2)  # attempts that begin now go by the configuration in force
        self.assertEqual(first.received, 0)

    def test_an_attempt_under_way_ends_where_it_began(self):
        asked, go = threading.Event(), threading.Event()

        def dot(session, argument):
            asked.set()
            go.wait(20 * harness.SLOW)

        first, second = self.next_hop(), self.next_hop()
        first.script("dot", dot)
        gateway = self.gateway(next_hop=first)
        gateway.send()
        self.assertTrue(asked.wait(20 * harness.SLOW))
        self.change(gateway, first.text, second.text)
        gateway.cli("reload")
        gateway.send()
        second.wait_messages(1)
        go.set()
        first.wait_messages(1)
        self.assertEqual((first.received, second.received), (1, 1))
        self.assertEqual(gateway.cli("queue", "count").split()[0], "0")

    def test_an_error_changes_nothing_and_is_told_as_the_check_tells_it(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        good = gateway.config
        gateway.write_config(good + "limits { sesions = 1 }\nlisten { }\n")
        check = subprocess.run([harness.TMAILD, "-t", "-c", gateway.config_path], text=True, capture_output=True,
                               timeout=30)
        self.assertEqual(check.returncode, 1)
        env = dict(gateway.environment(), TMAIL_SOCKET=gateway.admin_socket)
        p = subprocess.run([harness.TMAIL, "reload"], env=env, text=True, capture_output=True, timeout=30)
        self.assertEqual((p.returncode, p.stdout), (1, ""))
        self.assertEqual(p.stderr.splitlines()[:-1], check.stderr.splitlines())
        self.assertIn("nothing was changed", p.stderr.splitlines()[-1])
        told = [r["detail"] for r in gateway.records(event="reload-refused")]
        self.assertEqual(told[:-1], check.stderr.splitlines())
        gateway.send()
        hop.wait_messages(1)
        gateway.write_config(good)
        gateway.reload()
        reloaded(gateway)

    def test_listeners_come_and_go_and_a_kept_one_never_closes(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        port, holder = harness.free_port()
        self.addCleanup(holder.close)
        here = '"127.0.0.1:%d"' % gateway.port
        there = '"127.0.0.1:%d"' % port
        self.change(gateway, "address = { %s }" % here, "address = { %s, %s }" % (here, there))
        self.assertEqual(gateway.cli("reload"), "listens on 127.0.0.1:%d\n" % port)
        old = harness.Client(("127.0.0.1", port))
        self.addCleanup(old.close)
        old.hello()
        self.change(gateway, "address = { %s, %s }" % (here, there), "address = { %s }" % here)
        self.assertEqual(gateway.cli("reload"), "listens no more on 127.0.0.1:%d\n" % port)
        with self.assertRaises(OSError):
            harness.Client(("127.0.0.1", port))
        self.assertEqual(old.message("a@example.com", "b@example.net", b"Subject: x\r\n\r\n").code, 250)
        gateway.send()
        hop.wait_messages(2)

    def test_an_address_that_cannot_be_had_refuses_the_whole(self):
        gateway = self.gateway(next_hop="127.0.0.1:1")
        port, holder = harness.free_port()
        self.addCleanup(holder.close)
        holder.listen(1)
        self.change(gateway, "hostname = mx.example.test", "hostname = mx2.example.test")
        self.change(gateway, 'address = { ', 'address = { "127.0.0.1:%d", ' % port)
        p = gateway.cli_run("reload")
        self.assertEqual(p.returncode, 1)
        self.assertRegex(p.stderr, r"tmail.conf:\d+: cannot listen on 127.0.0.1:%d: Address already in use" % port)
        with gateway.client() as c:
            c.expect(220, "mx.example.test ...")

    def test_what_holds_until_a_restart_is_named_and_stays(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, threads=1)
        state = gateway.state
        self.change(gateway, "threads = 1", "threads = 2")
        self.change(gateway, 'state    = "%s"' % state, 'state    = "%s-other"' % state)
        told = gateway.cli_run("reload", "--socket", gateway.admin_socket).stdout
        self.assertIn("threads stays 1 until tmaild is started again (2 in the file)\n", told)
        self.assertIn("state stays %s until" % state, told)
        self.assertTrue(gateway.records(event="reload", level="warn"))
        gateway.send()
        hop.wait_messages(1)
        self.assertFalse(os.path.exists(state + "-other"))

    def test_a_route_that_is_gone_with_mail_waiting_is_named_and_its_mail_routed_anew(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop="127.0.0.1:1", extra=harness.RETRY_SOON)
        gateway.send()
        gateway.wait_log(event="hop-dead")
        gateway.write_config(gateway.config.replace("domain example.net", "domain other").replace("127.0.0.1:1", hop.text))
        self.assertIn("domain:example.net is gone with mail waiting (1)", gateway.cli("reload"))
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["rcpt@example.net"])

    def test_a_rotated_log_is_opened_again(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, start=False)
        log = os.path.join(gateway.folder, "mail.log")
        self.change(gateway, "log { to = stderr", 'log { to = "%s"' % log)
        gateway.start()
        gateway.log_path = log
        gateway.send()
        gateway.wait_log(event="delivered")
        os.rename(log, log + ".1")
        gateway.reload()
        reloaded(gateway)
        gateway.send()
        gateway.wait_log(event="delivered")
        with open(log + ".1") as f:
            self.assertEqual(len(re.findall("event=delivered ", f.read())), 1)

    def test_log_level_follows(self):
        gateway = self.gateway(next_hop="127.0.0.1:1")
        self.change(gateway, "level = debug", "level = info")
        gateway.cli("reload")
        with gateway.client() as c:
            c.hello("quiet.example")
            c.command("QUIT")
        self.change(gateway, "level = info", "level = debug")
        gateway.cli("reload")
        self.assertFalse(gateway.all_records(event="disconnect", helo="quiet.example"))

    def test_json_has_the_keys_of_the_text(self):
        gateway = self.gateway(next_hop="127.0.0.1:1")
        self.change(gateway, "level = debug", "level = debug format = json")
        gateway.cli("reload")
        name = "a b\"c\\d.example"
        with gateway.client() as c:
            c.hello()
            c.command("HELP " + name)
            c.command("MAIL FROM:<" + name)

        def records():
            found = [json.loads(line) for line in gateway.log_text().splitlines() if line.startswith("{")]
            return [r for r in found if r["event"] == "disconnect"]

        record = harness.wait_until(records)[0]
        self.assertEqual((record["level"], record["helo"], record["stage"]), ("debug", "client.example", "helo"))
        self.assertRegex(record["time"], r"^\d{4}-\d\d-\d\dT")
        told = [json.loads(line) for line in gateway.log_text().splitlines() if line.startswith("{")]
        self.assertIn("reloaded", [r["event"] for r in told])

    def test_a_worker_that_dies_begins_with_what_was_reloaded(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop="127.0.0.1:1")
        self.change(gateway, "127.0.0.1:1", hop.text)
        gateway.cli("reload")
        os.kill(gateway.worker(), 9)
        gateway.wait_log(event="started", count=2)
        gateway.send()
        hop.wait_messages(1)


class Many(harness.SessionTest):
    def setUp(self):
        super().setUp()
        self.hop = self.next_hop(keep=True)
        self.gateway_ = self.gateway(next_hop=self.hop, level="info", threads=2)
        config = self.gateway_.config
        self.configs = (config, config + "limits { recipients = 500 }\n",
                        config.replace("domain example.net {", "domain example.net {\n  connections = 7"))
        self.admin = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.admin.close)
        self.admin.connect(self.gateway_.admin_socket)
        self.answers = self.admin.makefile()
        self.addCleanup(self.answers.close)

    def reload(self, count):
        """COUNT reloads, as fast as they are answered, of three configurations in turn."""
        for i in range(count):
            self.gateway_.write_config(self.configs[i % 3])
            self.admin.sendall(b'{"command": "reload"}\n')
            line = json.loads(self.answers.readline())
            while "progress" in line:
                line = json.loads(self.answers.readline())
            self.assertEqual(line, {"result": {"applied": True, "remarks": []}})
            self.assertEqual(json.loads(self.answers.readline()), {"ok": True})

    def sizes(self):
        """Descriptors and resident KiB of supervisor and worker."""
        found = []
        for pid in self.gateway_.process.pid, self.gateway_.worker():
            with open("/proc/%d/status" % pid) as f:
                memory = int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
            found.append((len(os.listdir("/proc/%d/fd" % pid)), memory))
        return found

    def test_under_load_nothing_is_lost_or_refused(self):
        load = Load(self.gateway_.address, threads=2)
        self.reload(150)
        load.stop()
        self.assertEqual(load.refused, [])
        arrivals = Arrivals(self.hop)
        harness.wait_until(lambda: load.acknowledged <= set(arrivals.update().times), what="every message")
        self.assertEqual((arrivals.broken, arrivals.twice()), ([], {}))
        self.assertEqual(self.gateway_.records(event="restart"), [])

    def test_hundreds_leave_memory_and_descriptors_as_they_were(self):
        self.gateway_.send()
        self.hop.wait_messages(1)
        self.reload(150)
        before = self.sizes()
        self.reload(600)
        for (descriptors, memory), (descriptors_after, memory_after) in zip(before, self.sizes()):
            self.assertLessEqual(descriptors_after, descriptors + 1)  # a connection going idle, or its end
            if harness.SLOW == 1:
                self.assertLess(memory_after, memory + 600)  # a KiB for each would be told


if __name__ == "__main__":
    unittest.main()
