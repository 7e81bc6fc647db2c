# SPDX-License-Identifier: MIT
"""tmail status, help, and what every command has in common: finding the gateway, exit statuses, JSON."""

import json
import os
import socket
import stat
import subprocess

import harness

LETTER = b"Subject: x\r\n\r\nHello\r\n"


class Status(harness.SessionTest):
    def status(self, gateway):
        return json.loads(gateway.cli("status", "--json"))

    def test_status_counts_what_happened(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        for i in range(3):
            gateway.send("a@example.com", "r%d@example.net" % i, LETTER)
        hop.wait_messages(3)
        harness.wait_until(lambda: self.status(gateway)["queue"]["messages"] == 0, what="an empty queue")
        s = self.status(gateway)
        self.assertEqual(s["hostname"], "mx.example.test")
        self.assertEqual(s["smtp"]["messages"], 3)
        self.assertEqual(s["delivery"]["delivered"], 3)
        self.assertEqual(s["restarts"], 0)
        self.assertEqual(s["log_lost"], 0)
        self.assertTrue(s["complete"])
        self.assertFalse(s["spool"]["degraded"])
        self.assertGreaterEqual(s["spool"]["segments"], 1)
        self.assertGreater(s["spool"]["syncs"], 0)
        self.assertGreaterEqual(len(s["loops"]), 1)
        self.assertEqual([(h["key"], h["hop"], h["state"]) for h in s["hops"]],
                         [("domain:example.net", hop.text, "alive")])
        text = gateway.cli("status")
        for word in ("mx.example.test", "accepted", "delivered", "queue", "spool", "memory", hop.text, "alive"):
            self.assertIn(word, text)

    def test_status_shows_sessions_and_a_dead_next_hop(self):
        hop = self.next_hop(listen=False)
        gateway = self.gateway(next_hop=hop)
        gateway.send("a@example.com", "r@example.net", LETTER)
        with gateway.client() as c:
            c.hello()
            harness.wait_until(lambda: self.status(gateway)["hops"][0]["state"] == "dead", what="a dead next hop")
            s = self.status(gateway)
            self.assertGreaterEqual(s["smtp"]["sessions"], 1)
            self.assertEqual(s["queue"]["messages"], 1)
            self.assertTrue(s["hops"][0]["error"])


class Common(harness.SessionTest):
    def run_tmail(self, *words, **env):
        e = {k: v for k, v in os.environ.items() if k != "TMAIL_SOCKET"}
        e.update(env)
        return subprocess.run([harness.TMAIL, *words], env=e, timeout=30 * harness.SLOW, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def test_help_and_version_need_no_gateway(self):
        for words in (["help"], ["--help"], ["help", "queue"], ["queue", "--help"], ["help", "queue", "list"],
                      ["queue", "list", "--help"], ["help", "exit-codes"], ["help", "filters"]):
            p = self.run_tmail(*words)
            self.assertEqual((p.returncode, p.stderr), (0, ""), words)
            self.assertGreater(len(p.stdout), 100)
        self.assertRegex(self.run_tmail("--version").stdout, r"^tmail \d+\.\d+")

    def test_wrong_command_lines_exit_with_2_and_a_hint(self):
        for words, hint in ((["quee", "list"], "queue"), (["queue", "lits"], "list"),
                            (["queue", "list", "--form", "x"], "--from"), ([], "help"),
                            (["queue", "hold"], "--all"), (["queue", "show", "nonsense", "x"], "takes no"),
                            (["help", "exit-code"], "exit-codes")):
            p = self.run_tmail(*words)
            self.assertEqual(p.returncode, 2, words)
            self.assertEqual(p.stdout, "")
            self.assertIn(hint, p.stderr)

    def test_an_absent_or_silent_gateway_exits_with_3(self):
        folder = self.folder()
        path = os.path.join(folder, "admin")
        self.assertEqual(self.run_tmail("--socket", path, "status").returncode, 3)
        with socket.socket(socket.AF_UNIX) as s:
            s.bind(path)
            self.assertEqual(self.run_tmail("--socket", path, "status").returncode, 3)
            s.listen()
            p = subprocess.Popen([harness.TMAIL, "--socket", path, "status"], stderr=subprocess.PIPE)
            s.accept()[0].close()
            p.communicate(timeout=30)
            self.assertEqual(p.returncode, 3)
        p = self.run_tmail("-c", os.path.join(folder, "none.conf"), "status")
        self.assertEqual(p.returncode, 2)
        self.assertIn("none.conf", p.stderr)

    def test_the_socket_is_found_in_every_documented_way(self):
        gateway = self.gateway(next_hop=self.next_hop())
        for words, env in ((["-c", gateway.config_path], {}), (["--socket", gateway.admin_socket], {}),
                           ([], {"TMAIL_SOCKET": gateway.admin_socket}),
                           (["--socket=" + gateway.admin_socket], {"TMAIL_SOCKET": "/nonexistent"})):
            self.assertEqual(self.run_tmail(*words, "status", **env).returncode, 0, (words, env))
        self.assertEqual(stat.S_IMODE(os.stat(gateway.admin_socket).st_mode), 0o600)

    def test_nothing_found_exits_with_4(self):
        gateway = self.gateway(next_hop=self.next_hop())
        for words in (["list"], ["shape"], ["show", "2222222222222"], ["why", "2222222222222"],
                      ["cat", "2222222222222"], ["drop", "2222222222222"], ["drop", "--all", "--yes"], ["drop", "--all"]):
            p = gateway.cli_run("queue", *words)
            self.assertEqual(p.returncode, 4, p)
            self.assertEqual(gateway.cli_run("queue", *words, "--json").returncode, 4)
        self.assertEqual(gateway.cli("queue", "count", code=0).split()[0], "0")

    def test_hostile_clients_of_the_socket_harm_nobody(self):
        gateway = self.gateway(next_hop=self.next_hop())
        sockets = []
        for data in (b"", b"{", b"\n\n\n", b"\xff\xfe\n", b"[" * 5000 + b"\n", b"x" * 200000, b"{}\n" * 2000):
            s = socket.socket(socket.AF_UNIX)
            s.settimeout(5)
            s.connect(gateway.admin_socket)
            try:
                s.sendall(data)
            except OSError:
                pass
            sockets.append(s)
        self.assertEqual(json.loads(gateway.cli("status", "--json"))["queue"]["messages"], 0)
        for s in sockets:
            s.close()
        gateway.cli("status")


if __name__ == "__main__":
    harness.unittest.main()
