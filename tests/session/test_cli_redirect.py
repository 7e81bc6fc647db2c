# SPDX-License-Identifier: MIT
"""tmail queue redirect: waiting mail goes another way, once, and stays there."""

import harness

LETTER = b"Subject: test\r\n\r\nHello\r\n"


class Redirect(harness.SessionTest):
    def setUp(self):
        super().setUp()
        self.stuck, self.spare, self.back = self.next_hop(), self.next_hop(), self.next_hop()
        self.stuck.script("mail", "450 4.2.0 not now")
        self.gw = self.gateway(next_hop=self.stuck, extra="""
queue { retry = { 1h, 1h } }
route spare { match { recipient = "@spare.example" }  next_hop = "%s" }
""" % self.spare.text + harness.Gateway.domain_block(self.back, "example.org"), threads=2)

    def send_many(self, count):
        with self.gw.client() as c:
            c.hello()
            for i in range(count):
                self.assertEqual(c.message("a@example.com", "r%d@example.net" % i, LETTER).code, 250)

    def test_deferred_mail_goes_the_other_way_after_a_count(self):
        self.send_many(20)
        self.gw.wait_log(event="deferred", count=20)
        asked = self.gw.cli_run("queue", "redirect", "--hop", "domain:example.net", "--route", "spare")
        self.assertEqual(asked.returncode, 5)
        self.assertIn("20 entries chosen", asked.stderr)
        self.assertEqual(self.spare.received, 0)
        self.assertIn("20 of 20", self.gw.cli("queue", "redirect", "--hop", "domain:example.net", "--route", "spare",
                                              "--yes"))
        self.spare.wait_messages(20)
        harness.wait_until(lambda: '"entries":0,' in self.gw.cli("--json", "queue", "count"), what="an empty queue")
        self.assertEqual(sorted(m.recipients[0] for m in self.spare.messages),
                         sorted("r%d@example.net" % i for i in range(20)))

    def test_by_id_without_asking_and_only_that_one(self):
        self.send_many(3)
        record = self.gw.wait_log(event="deferred", count=3)
        self.gw.cli("queue", "redirect", record["msg"], "--route", "route:spare")
        self.spare.wait_messages(1)
        self.assertIn('"entries":2,', self.gw.cli("--json", "queue", "count"))

    def test_it_holds_over_a_restart(self):
        self.spare.script("mail", "450 4.2.0 not now either")
        self.send_many(3)
        self.gw.wait_log(event="deferred", count=3)
        self.gw.cli("queue", "redirect", "--all", "--route", "spare", "--yes")
        self.gw.wait_log(event="deferred", count=6)
        self.gw.restart()
        self.assertIn('"entries":3,', self.gw.cli("--json", "queue", "count", "--hop", "route:spare"))
        self.spare.reset()
        self.gw.cli("queue", "retry", "--all", "--yes")
        self.spare.wait_messages(3)

    def test_as_configured_brings_it_back(self):
        self.spare.script("mail", "450 4.2.0 not now either")
        self.send_many(3)
        self.gw.wait_log(event="deferred", count=3)
        self.gw.cli("queue", "redirect", "--all", "--route", "spare", "--yes")
        self.gw.wait_log(event="deferred", count=6)
        self.stuck.reset()
        self.gw.cli("queue", "redirect", "--all", "--as-configured", "--yes")
        self.stuck.wait_messages(3)
        self.assertEqual(self.spare.received, 0)

    def test_a_dead_hops_mail_goes_the_other_way(self):
        self.stuck.stop()
        self.send_many(5)
        self.gw.wait_log(event="hop-dead")
        self.gw.cli("queue", "redirect", "--all", "--route", "spare", "--yes")
        self.spare.wait_messages(5)

    def test_mistakes_change_nothing(self):
        self.send_many(1)
        self.gw.wait_log(event="deferred")
        self.assertIn("no route", self.gw.cli_run("queue", "redirect", "--all", "--route", "nowhere", "--yes").stderr)
        self.assertEqual(self.gw.cli_run("queue", "redirect", "--all", "--yes").returncode, 2)
        self.gw.cli("queue", "hold", "--all", "--yes")
        self.assertIn("0 of 1", self.gw.cli("queue", "redirect", "--all", "--route", "spare", "--yes"))
        self.assertEqual(self.spare.received, 0)
