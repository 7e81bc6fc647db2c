# SPDX-License-Identifier: MIT
"""What a service manager sees: readiness, reloads, the end, the watchdog; sockets it hands over."""

import os
import re
import socket
import subprocess
import unittest

import harness


class Notify(harness.SessionTest):
    def setUp(self):
        super().setUp()
        self.manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.manager.close)
        self.manager.bind(os.path.join(self.folder(), "notify"))
        self.manager.settimeout(20 * harness.SLOW)

    def hear(self):
        return self.manager.recv(4096).decode()

    def test_ready_reloading_and_stopping_are_told(self):
        gateway = self.gateway(next_hop="127.0.0.1:1", env={"NOTIFY_SOCKET": self.manager.getsockname()})
        self.assertEqual(self.hear(), "READY=1")
        gateway.reload()
        self.assertRegex(self.hear(), r"\ARELOADING=1\nMONOTONIC_USEC=\d+\Z")
        self.assertEqual(self.hear(), "READY=1")
        gateway.write_config(gateway.config + "nonsense = 1\n")
        gateway.reload()
        self.assertRegex(self.hear(), r"\ARELOADING=1\n")
        self.assertEqual(self.hear(), "READY=1")
        gateway.stop()
        self.assertEqual(self.hear(), "STOPPING=1")

    def test_the_watchdog_is_fed(self):
        self.gateway(next_hop="127.0.0.1:1", env={"NOTIFY_SOCKET": self.manager.getsockname(),
                                                  "WATCHDOG_USEC": "400000"})
        heard = [self.hear() for _ in range(6)]
        self.assertGreaterEqual(heard.count("WATCHDOG=1"), 4)


class Activation(harness.SessionTest):
    def test_a_socket_that_is_handed_over_is_the_listeners(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, start=False)
        gateway.port_holder.listen(50)  # bound by us: tmaild could not bind it again
        waiting = gateway.client()      # connected before tmaild runs
        fd = gateway.port_holder.fileno()
        # The manager's part between fork and exec: the socket as descriptor 3, and who is meant.
        wrapper = ["python3", "-c", "import os, sys\nos.dup2(%d, 3)\nos.environ.update(LISTEN_FDS='1', "
                   "LISTEN_PID=str(os.getpid()))\nos.execv(sys.argv[1], sys.argv[1:])" % fd]
        gateway.wrapper = wrapper
        popen = subprocess.Popen
        subprocess.Popen = lambda *a, **kw: popen(*a, pass_fds=(fd,), **kw)
        try:
            gateway.start()
        finally:
            subprocess.Popen = popen
        waiting.hello()
        self.assertEqual(waiting.message("a@example.com", "b@example.net", b"Subject: x\r\n\r\n").code, 250)
        hop.wait_messages(1)
        gateway.write_config(gateway.config + "limits { recipients = 200 }\n")
        gateway.cli("reload")
        gateway.send()


class Unit(unittest.TestCase):
    def test_the_unit_has_its_paths(self):
        with open(os.path.join(os.path.dirname(harness.TMAILD), "contrib", "tmaild.service")) as f:
            text = f.read()
        self.assertRegex(text, r"(?m)^ExecStart=/\S+/tmaild -c /\S+/tmail\.conf$")
        self.assertNotIn("@", re.sub("#.*", "", text))


class Config(harness.SessionTest):
    def test_check_show_and_diff(self):
        gateway = self.gateway(next_hop="127.0.0.1:1", threads=1)
        self.assertEqual(gateway.cli("config", "check", gateway.config_path), gateway.config_path + ": good\n")
        shown = gateway.cli("config", "show")
        self.assertIn("\nthreads = 1\n", shown)
        self.assertIn("\trecipients = 1000  # default\n", shown)
        self.assertIn("\tlevel = debug\n", shown)
        self.assertIn("\tretry = { 5min, 4h }  # default\n", shown)
        self.assertEqual(gateway.cli("config", "diff", gateway.config_path), "")
        gateway.write_config(gateway.config + "limits { recipients = 200 }\n# no difference\n")
        self.assertEqual(gateway.cli("config", "diff", gateway.config_path, code=1),
                         "  limits {\n- \trecipients = 1000\n+ \trecipients = 200\n")
        gateway.cli("reload")
        self.assertEqual(gateway.cli("config", "diff"), "")
        gateway.write_config(gateway.config + "limts { }\n")
        p = gateway.cli_run("config", "check", "--socket", gateway.admin_socket)
        self.assertEqual(p.returncode, 1)
        self.assertIn("did you mean 'limits'?", p.stderr)


if __name__ == "__main__":
    unittest.main()
