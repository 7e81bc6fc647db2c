# SPDX-License-Identifier: MIT
"""The supervisor and its worker: accounts, crashes, a message that kills whoever handles it."""

import os
import signal
import subprocess
import time

import faults
import harness


def status_of(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":", 1) for line in f if ":" in line)


class Supervisor(harness.SessionTest):
    def test_worker_is_unprivileged_and_confined(self):
        if os.getuid() != 0:
            self.skipTest("needs root: without it there is nothing to give up")
        gateway = self.gateway(next_hop=self.next_hop())
        s = status_of(gateway.worker())
        self.assertNotIn("0", s["Uid"].split())
        self.assertNotIn("0", s["Gid"].split())
        self.assertEqual(int(s["CapEff"], 16), 0)
        self.assertEqual(s["NoNewPrivs"].strip(), "1")
        self.assertEqual(s["Seccomp"].strip(), "2")

    def test_worker_dies_with_its_supervisor(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        worker = gateway.worker()
        os.kill(gateway.process.pid, signal.SIGKILL)
        harness.wait_until(lambda: not os.path.exists("/proc/%d" % worker), what="the worker's end")
        gateway.kill9()
        gateway.start()
        gateway.send()
        hop.wait_messages(1)

    @staticmethod
    def held(gateway):
        return "poison" in gateway.cli_run("queue", "list", "--state", "held", "--json").stdout

    def test_message_that_crashes_the_worker_twice_is_held_and_the_others_go_on(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, start=False, extra=harness.RETRY_SOON)
        gateway.preload = faults.LIBRARY
        gateway.env["FAULTFS_POISON"] = "X-Poison: this one kills"
        gateway.start()
        with gateway.client() as c:  # no QUIT: the worker may be gone before it could answer
            c.hello()
            c.message("sender@example.com", "poison@example.net", b"X-Poison: this one kills\r\n\r\nx\r\n")
        harness.wait_until(lambda: self.held(gateway), timeout=60, what="the poisoned message to be held")
        gateway.send(data=b"Subject: healthy\r\n\r\nx\r\n")
        self.assertEqual(hop.wait_messages(1)[0].header("Subject"), "healthy")
        crashes = [r for r in gateway.records(event="crash") if "while it handled" in r.get("detail", "")]
        self.assertEqual(len(crashes), 2)
        self.assertIn("will be held", crashes[1]["detail"])
        worker = gateway.worker()
        gateway.cli("queue", "drop", "--state", "held", "--yes")
        time.sleep(0.2)
        self.assertEqual(gateway.worker(), worker, "the worker died again")


class Signals(harness.SessionTest):
    def test_second_daemon_on_the_same_state_is_refused(self):
        gateway = self.gateway(next_hop=self.next_hop())
        again = subprocess.run([harness.TMAILD, "-c", gateway.config_path], env=gateway.environment(), timeout=30,
                               stdin=subprocess.DEVNULL, capture_output=True, text=True)
        self.assertEqual(again.returncode, 1)
        self.assertIn("another tmaild", again.stderr)


if __name__ == "__main__":
    harness.main()
