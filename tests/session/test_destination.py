# SPDX-License-Identifier: MIT
"""tmail destination: what is suspended waits, untouched, over restarts; what limits are used is shown."""

import json

import harness

LETTER = b"Subject: test\r\n\r\nHello\r\n"


class Destination(harness.SessionTest):
    def send_many(self, gateway, count, domain="example.net"):
        with gateway.client() as c:
            c.hello()
            for i in range(count):
                self.assertEqual(c.message("a@example.com", "r%d@%s" % (i, domain), LETTER).code, 250)

    def hop_states(self, gateway):
        return {h["hop"]: h["state"] for h in json.loads(gateway.cli("--json", "status"))["hops"]}

    def test_what_is_suspended_waits_and_goes_on_after_resume(self):
        hop, other = self.next_hop(), self.next_hop()
        gateway = self.gateway(next_hop=hop, extra=harness.Gateway.domain_block(other, "example.org"))
        self.send_many(gateway, 1)
        hop.wait_messages(1)
        name = hop.text
        self.assertIn("1 next hops", gateway.cli("destination", "suspend", name, "--reason", "they asked"))
        hop.wait(lambda: hop.open == 0, 10, "the end of the idle connection")
        self.send_many(gateway, 20)
        self.send_many(gateway, 5, "example.org")
        other.wait_messages(5)
        self.assertEqual((hop.received, hop.connections), (1, 1))
        self.assertEqual(self.hop_states(gateway)[hop.text], "suspended")
        status = gateway.cli("status")
        self.assertRegex(status, r"suspended +%s since .*: they asked" % name)
        self.assertIn("they asked", gateway.cli("destination", "list"))
        entry = json.loads(gateway.cli("--json", "queue", "list").splitlines()[0])
        why = json.loads(gateway.cli("--json", "queue", "why", entry["id"]))
        self.assertEqual((why["why"], entry["state"], entry["attempts"]), ("suspended", "due", 0))
        # Attempts asked for by hand do not go round it.
        gateway.cli("queue", "retry", "--all", "--yes")
        self.assertIn("already", gateway.cli("destination", "suspend", name.upper()))
        self.assertEqual(hop.connections, 1)
        self.assertIn("0 next hops", gateway.cli("destination", "resume", name))
        hop.wait_messages(21)
        self.assertIn("already", gateway.cli("destination", "resume", name))
        self.assertEqual(gateway.all_records(event="deferred"), [])

    def test_it_survives_a_restart_and_a_crash(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop)
        gateway.cli("destination", "suspend", "domain:example.net")
        self.send_many(gateway, 3)
        gateway.restart()
        self.assertIn("domain:example.net", gateway.cli("status"))
        gateway.kill9()
        gateway.start()
        self.send_many(gateway, 1)
        self.assertIn("domain:example.net", gateway.cli("destination", "list"))
        self.assertEqual(hop.connections, 0)
        gateway.cli("destination", "resume", "domain:example.net")
        hop.wait_messages(4)
        gateway.restart()
        self.assertNotIn("domain:example.net", gateway.cli("status").split("ROUTE")[0])

    def test_a_destination_of_the_configuration_is_suspended_as_a_whole(self):
        one, two = self.next_hop(), self.next_hop()
        extra = "destination both { match { mx = 127.0.0.1 } }\n" + harness.Gateway.domain_block(two, "example.org")
        gateway = self.gateway(next_hop=one, extra=extra)
        gateway.cli("destination", "suspend", "both")
        self.send_many(gateway, 2)
        self.send_many(gateway, 2, "example.org")
        harness.wait_until(lambda: set(self.hop_states(gateway).values()) == {"suspended"}, what="both suspended")
        gateway.cli("destination", "resume", "both")
        one.wait_messages(2)
        two.wait_messages(2)

    def test_one_of_two_hops_suspended_leaves_the_other(self):
        one, two = self.next_hop(), self.next_hop()
        gateway = self.gateway(next_hop=[one, two])
        gateway.cli("destination", "suspend", one.text)
        self.send_many(gateway, 5)
        two.wait_messages(5)
        self.assertEqual(one.connections, 0)

    def test_suspended_mail_still_gets_old(self):
        hop, back = self.next_hop(), self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="queue { lifetime = 2s  retry = { 1s, 1s } }\n" +
                               harness.Gateway.domain_block(back, "example.com"))
        gateway.cli("destination", "suspend", hop.text)
        self.send_many(gateway, 1)
        self.assertIn(b"suspended", back.wait_messages(1)[0].data)

    def test_list_shows_limits_and_their_use(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra="""
destination ours { match { mx = 127.0.0.1 }  connections = 3  rate = 600/min }
destination default { connections = 20  per = source }
""")
        self.send_many(gateway, 4)
        hop.wait_messages(4)
        rows = json.loads(gateway.cli("--json", "destination", "list"))["destinations"]
        self.assertEqual([(d["destination"], d["connections"], d["rate_count"], d["per"]) for d in rows],
                         [("ours", 3, 600, "node"), ("default", 20, 0, "source")])
        self.assertEqual([(n["group"], n["sent"]) for n in rows[0]["now"]], [("ours", 4)])
        self.assertIn("600/min", gateway.cli("destination", "list"))
