# SPDX-License-Identifier: MIT
"""What the README tells newcomers to type works."""

import os
import re
import shutil
import subprocess

import harness

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def text(*path):
    with open(os.path.join(TOP, *path)) as f:
        return f.read()


class Readme(harness.SessionTest):
    def test_configuration_for_a_mail_server_is_good(self):
        section = text("README.md").split("## In front of my mail server")[1].split("\n## ")[0]
        config = "\n".join(re.findall(r"(?m)^    (.*)$", section))
        self.assertIn("listener", config)
        folder = self.folder()
        for source, name in zip(self.certificate(), ("fullchain.pem", "privkey.pem")):
            shutil.copy(source, os.path.join(folder, name))
        path = os.path.join(folder, "tmail.conf")
        with open(path, "w") as f:
            f.write(config.replace("/etc/tmail/tls", folder) + "\n")
        p = subprocess.run([harness.TMAILD, "-t", "-c", path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           text=True)
        self.assertEqual(p.returncode, 0, p.stdout)

    def test_quickstart_shows_the_first_mail_of_the_readme(self):
        line = re.search(r"(?m)^    (python3 -c .*smtplib.*)$", text("README.md")).group(1)
        self.assertIn(line, text("contrib", "quickstart"))

    def test_first_mail_arrives(self):
        line = re.search(r"(?m)^    (python3 -c .*smtplib.*)$", text("README.md")).group(1)
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        subprocess.run(["sh", "-c", line.replace("2525", str(gateway.port))], check=True, timeout=30)
        self.assertEqual(hop.wait_messages(1)[0].header("Subject"), "first")

    def test_files_it_points_to_exist(self):
        for name in ("README.md", "CONTRIBUTING.md"):
            for link in re.findall(r"\]\(([^)#:]+)\)", text(name)):
                self.assertTrue(os.path.exists(os.path.join(TOP, link)), "%s: %s" % (name, link))
