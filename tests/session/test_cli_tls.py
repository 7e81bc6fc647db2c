# SPDX-License-Identifier: MIT
"""tmail tls list."""

import json
import time

import harness
from certificates import Authority


class TlsList(harness.SessionTest):
    def listed(self, gateway, **kw):
        return [json.loads(line) for line in gateway.cli("tls", "list", "--json", **kw).splitlines()]

    def test_what_is_shown_and_until_when(self):
        a = Authority(self)
        files = [a.pem("mx.example", names=["mx.example", "mail.example"], kind="rsa", days=60),
                 a.pem("ec", names=["mx.example"]), a.pem("again", names=["mx.example"], kind="rsa", days=-1)]
        gateway = self.gateway(next_hop="127.0.0.1:9", extra="tls { certificate = { %s } }" % ", ".join(
            '"%s"' % f for f in files))
        got = self.listed(gateway)
        self.assertEqual([g["file"] for g in got], files)
        self.assertEqual([g["kind"] for g in got], ["RSA 2048", "ECDSA P-256", "RSA 2048"])
        self.assertEqual([g["in_use"] for g in got], [True, True, False])
        self.assertEqual(got[0]["names"], ["mx.example", "mail.example"])
        self.assertIn(got[0]["days_left"], (59, 60))
        self.assertIn(got[1]["days_left"], (89, 90))
        self.assertLess(got[2]["days_left"], 0)
        self.assertAlmostEqual(got[0]["not_after"], time.time() + 60 * 86400, delta=600)
        self.assertEqual([g["problem"] for g in got], [None] * 3)
        text = gateway.cli("tls", "list").splitlines()
        self.assertEqual(len(text), 4)
        for word in "NAME", "KIND", "NOT AFTER", "DAYS", "IN USE", "FILE":
            self.assertIn(word, text[0])
        self.assertRegex(text[1], r"^mx\.example \+1 +RSA 2048 +20\d\d-\d\d-\d\d +(59|60) +yes +/")
        self.assertRegex(text[3], r" -\d+ +no +/")

    def test_without_certificates(self):
        gateway = self.gateway(next_hop="127.0.0.1:9")
        self.assertEqual(self.listed(gateway, code=4), [])


if __name__ == "__main__":
    harness.unittest.main()
