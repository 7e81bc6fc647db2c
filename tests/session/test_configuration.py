# SPDX-License-Identifier: MIT
"""What an administrator sees of the configuration: tmaild -t, the shipped examples, and what is in force."""

import glob
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

import harness

CONF = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "conf")


class Check(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="tmail-conf-")
        self.addCleanup(shutil.rmtree, self.folder)

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as f:
            f.write(text)
        return path

    def check(self, path):
        return subprocess.run([harness.TMAILD, "-t", "-c", path], text=True, capture_output=True, timeout=30)

    def test_shipped_examples_and_sample_are_good(self):
        files = sorted(glob.glob(os.path.join(CONF, "*.conf*")))
        self.assertGreaterEqual(len(files), 4)
        for path in files:
            result = self.check(path)
            self.assertEqual((result.returncode, result.stderr), (0, ""), path)

    def test_every_error_is_told_with_file_line_and_remedy(self):
        self.write("more.conf", "# a comment\nlimits { message_size = 25M }\n")
        path = self.write("tmail.conf", 'hostnme = mx.example.com\nlistener { address = ":25" }\n\n'
                          'domain example.net { next_hop = mail.example.net:0  connections = 0 }\n'
                          'include "more.conf"\npipeline inbound { run = { spf } }\n')
        result = self.check(path)
        self.assertEqual(result.returncode, 1)
        self.assertEqual(result.stdout, "")
        d = self.folder
        self.assertEqual(result.stderr.splitlines(), [
            f"{d}/tmail.conf:1: 'hostnme' is unknown, did you mean 'hostname'?",
            f"{d}/tmail.conf:4: 'next_hop = mail.example.net:0': a port is a number from 1 to 65535",
            f"{d}/tmail.conf:4: 'connections = 0': allowed are 1 to 1000",
            f"{d}/more.conf:2: 'message_size = 25M': 'M' is no unit, did you mean 25MB? Allowed are B, KB, MB, GB or TB",
            f"{d}/tmail.conf:6: 'pipeline inbound {{ }}' is not built yet",
            f"{d}/tmail.conf: 'hostname' is missing, as in mx.example.com",
        ])

    def test_a_wrong_configuration_does_not_start(self):
        path = self.write("tmail.conf", "hostname = mx.example.com\n}\n")
        result = subprocess.run([harness.TMAILD, "-c", path], text=True, capture_output=True, timeout=30)
        self.assertEqual(result.returncode, 1)
        self.assertIn("tmail.conf:2: '}' closes nothing", result.stderr)
        self.assertEqual(os.listdir(self.folder), ["tmail.conf"])


class InForce(harness.SessionTest):
    def test_included_files_serve_and_paths_start_at_their_folder(self):
        hop = self.next_hop()
        gateway = self.gateway(config="""
hostname = mx.example.test
state = state
listener smtp { address = "127.0.0.1:{port}" }
queue { segment_size = 1MB }
include "domains.d/*.conf"
""", start=False)
        os.mkdir(os.path.join(gateway.folder, "domains.d"))
        with open(os.path.join(gateway.folder, "domains.d", "net.conf"), "w") as f:
            f.write('domain example.net { next_hop = "%s" }\n' % hop.text)
        gateway.start()
        gateway.send()
        self.assertEqual(hop.wait_messages(1)[0].recipients, ["rcpt@example.net"])
        self.assertTrue(os.path.exists(os.path.join(gateway.folder, "state", "admin.sock")))

    def test_status_has_every_counter(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        gateway.send()
        hop.wait_messages(1)
        status = json.loads(gateway.cli("status", "--json"))
        counters = status["counters"]
        with open(os.path.join(CONF, "..", "src", "util", "counters.def")) as f:
            self.assertEqual(sorted(counters), sorted(re.findall(r"^COUNTER\(\w+, (\w+),", f.read(), re.M)))
        self.assertEqual((counters["messages_received"], counters["recipients_received"]), (1, 1))
        self.assertEqual(counters["connections_opened"], 1)
        self.assertEqual(counters["log_lines_lost"], 0)
        self.assertGreaterEqual(counters["admin_commands"], 1)
