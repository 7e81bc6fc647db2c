# SPDX-License-Identifier: MIT
"""Who may relay, with what sender, and which route mail takes."""

import json

import harness

LETTER = b"Subject: test\r\n\r\nHello\r\n"

# The tests' clients are 127.0.0.1, 127.0.0.2, ...: every address of 127.0.0.0/8 is this machine.
CLIENTS = """
client acme  { network = { 127.0.0.2, 127.0.1.0/24 }  sender = { "@acme.example", "@.acme.example" }  group = office }
client shop  { network = 127.0.1.9  sender = "@shop.example"  group = bulk }
"""


class Routing(harness.SessionTest):
    def dialogue(self, gateway, source, sender, *recipients):
        """The replies to MAIL and each RCPT for a client at SOURCE."""
        with gateway.client(source=(source, 0)) as c:
            c.hello()
            replies = [c.command("MAIL FROM:<%s>" % sender)]
            replies += [c.command("RCPT TO:<%s>" % r) for r in recipients]
            c.command("QUIT")
        return [str(r.code) + " " + r.text.split(" ")[0] for r in replies]

    # ---- client { }

    def test_a_client_relays_with_its_own_senders_alone(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra=CLIENTS + 'route default { next_hop = "%s" }\n' % hop.text)
        ok, to = ["250 2.1.0", "250 2.1.5"], "b@else.example"
        self.assertEqual(self.dialogue(gateway, "127.0.0.2", "a@acme.example", to), ok)
        self.assertEqual(self.dialogue(gateway, "127.0.0.2", "A@Sub.ACME.example", to), ok)
        self.assertEqual(self.dialogue(gateway, "127.0.0.2", "", to), ok)
        self.assertEqual(self.dialogue(gateway, "127.0.0.2", "a@shop.example", to), ["553 5.7.1", "503 5.5.1"])
        # The longest prefix: 127.0.1.9 is the shop's, its neighbours are acme's.
        self.assertEqual(self.dialogue(gateway, "127.0.1.9", "a@shop.example", to), ok)
        self.assertEqual(self.dialogue(gateway, "127.0.1.9", "a@acme.example", to), ["553 5.7.1", "503 5.5.1"])
        self.assertEqual(self.dialogue(gateway, "127.0.1.8", "a@acme.example", to), ok)
        # Strangers reach our domains, with any sender, and nothing else.
        self.assertEqual(self.dialogue(gateway, "127.0.0.3", "a@acme.example", to, "x@example.net"),
                         ["250 2.1.0", "550 5.7.1", "250 2.1.5"])

    def test_mail_of_a_client_is_outbound(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra=CLIENTS)
        with gateway.client(source=("127.0.0.2", 0)) as c:
            c.hello()
            self.assertEqual(c.message("a@acme.example", "b@example.net", LETTER).code, 250)
        self.assertEqual(gateway.wait_log(event="received")["direction"], "outbound")

    def test_nobody_unknown_gets_past_rcpt_where_relay_is_only(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, listener="relay = only", extra=CLIENTS)
        self.assertEqual(self.dialogue(gateway, "127.0.0.3", "a@b.example", "x@example.net", "postmaster"),
                         ["250 2.1.0", "550 5.7.1", "550 5.7.1"])
        self.assertEqual(self.dialogue(gateway, "127.0.0.2", "a@acme.example", "x@example.net"),
                         ["250 2.1.0", "250 2.1.5"])

    # ---- route { match { } }

    def test_mail_takes_the_route_of_its_group(self):
        bulk, clean = self.next_hop(), self.next_hop()
        gateway = self.gateway(next_hop=self.next_hop(), extra=CLIENTS + """
route bulk    { match { group = bulk }  next_hop = "%s" }
route default { next_hop = "%s" }
""" % (bulk.text, clean.text))
        for source, sender in (("127.0.1.9", "a@shop.example"), ("127.0.0.2", "a@acme.example")):
            with gateway.client(source=(source, 0)) as c:
                c.hello()
                self.assertEqual(c.message(sender, "b@else.example", LETTER).code, 250)
        self.assertEqual([m.sender for m in bulk.wait_messages(1)], ["a@shop.example"])
        self.assertEqual([m.sender for m in clean.wait_messages(1)], ["a@acme.example"])

    def test_queued_mail_is_routed_again_by_group_and_listener(self):
        """Routes may go while mail waits: what they matched on is kept with it."""
        first, by_listener, by_group, other = (self.next_hop() for _ in range(4))
        first.script("mail", "450 4.2.0 later")
        text = CLIENTS + 'queue { retry = { 1h, 1h } }\nroute default { next_hop = "%s" }\n'
        extra = 'route unused { match { listener = smtp  recipient = "@none.example" }  next_hop = "%s" }\n' % other.text
        gateway = self.gateway(next_hop=other, extra=extra + text % first.text)
        for source, sender in (("127.0.1.9", "a@shop.example"), ("127.0.0.2", "a@acme.example")):
            with gateway.client(source=(source, 0)) as c:
                c.hello()
                self.assertEqual(c.message(sender, "b@else.example", LETTER).code, 250)
        gateway.wait_log(event="deferred", count=2)
        gateway.stop()
        gateway.write_config(gateway.config.replace("route default", "route renamed").replace(
            'route unused', 'route bulk { match { group = bulk }  next_hop = "%s" }\n'
            'route smtp { match { listener = smtp }  next_hop = "%s" }\nroute unused'
            % (by_group.text, by_listener.text)))
        gateway.start()
        gateway.cli("queue", "retry", "--all", "--yes")
        self.assertEqual(by_group.wait_messages(1)[0].sender, "a@shop.example")
        self.assertEqual(by_listener.wait_messages(1)[0].sender, "a@acme.example")
        self.assertEqual(other.received, 0)

    # ---- tmail route test

    def test_route_test_says_what_a_session_says(self):
        hop = self.next_hop()
        gateway = self.gateway(next_hop=hop, extra=CLIENTS + """
route bulk    { match { group = bulk }  next_hop = "192.0.2.1"  tls = required }
route news    { match { sender = "@news.example" }  next_hop = "192.0.2.2" }
route default { next_hop = { "192.0.2.3 weight=3", "lmtp:192.0.2.4 backup" }  balance = round-robin }
""")
        self.assertEqual(gateway.clients, [])
        for source, sender, to in (("127.0.0.2", "a@acme.example", "b@else.example"),
                                   ("127.0.0.2", "a@else.example", "b@else.example"),
                                   ("127.0.1.9", "a@shop.example", "b@else.example"),
                                   ("127.0.0.3", "a@shop.example", "b@else.example"),
                                   ("127.0.0.3", "a@shop.example", "b@example.net")):
            o = json.loads(gateway.cli("--json", "route", "test", "--from", sender, "--to", to, "--client", source))
            said = self.dialogue(gateway, source, sender, to)
            if o["accepted"]:
                self.assertEqual(said, ["250 2.1.0", "250 2.1.5"], o)
            else:
                self.assertIn(" ".join(o["reply"].split()[:2]), said)

    def test_route_test_prints_decision_and_reasons(self):
        gateway = self.gateway(next_hop="127.0.0.1:9", extra=CLIENTS + """
route bulk    { match { group = bulk }  next_hop = "192.0.2.1"  tls = required }
route news    { match { sender = "@news.example" }  next_hop = "192.0.2.2" }
route default { next_hop = { "192.0.2.3 weight=3", "lmtp:192.0.2.4 backup" }  balance = round-robin }
""")
        text = gateway.cli("route", "test", "--from", "a@shop.example", "--to", "b@else.example", "--client",
                           "127.0.1.9")
        line = {x.split()[0]: " ".join(x.split()[1:]) for x in text.splitlines() if x.strip()}
        lines = gateway.config.splitlines()

        def place(start):
            return "%s:%d" % (gateway.config_path, 1 + [x.startswith(start) for x in lines].index(True))

        self.assertEqual(line["decision"], "accepted, outbound")
        self.assertEqual(line["client"], "shop (%s)" % place("client shop"))
        self.assertEqual(line["group"], "bulk")
        self.assertEqual(line["route"], "route:bulk (%s)" % place("route bulk"))
        self.assertEqual(line["because"], "it is for every recipient that nothing more specific matches, the group")
        self.assertEqual(line["next"], "hops 192.0.2.1:25")
        self.assertEqual(line["tls"], "required")
        self.assertEqual(line["domain:example.net"], place("domain example.net") +
                         " the recipient is in none of its domains")
        self.assertEqual(line["route:news"], place("route news") + " the sender does not match")
        self.assertEqual(line["route:default"], place("route default") + " the other names the group")
        text = gateway.cli("route", "test", "--to", "b@else.example", "--user", "joe")
        self.assertIn("192.0.2.3:25 weight=3, lmtp:192.0.2.4:24 backup (round-robin)", text)
        self.assertIn("550 5.7.1", gateway.cli("route", "test", "--to", "b@else.example"))
        gateway.cli("route", "test", code=2)
        self.assertEqual(gateway.cli_run("route", "test", "--to", "x").returncode, 2)
