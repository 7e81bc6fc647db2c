# SPDX-License-Identifier: MIT
"""`tmail message find` and `show`: what happened to messages and refused recipients, through restarts, crashes, damage."""

import glob
import json
import os

import harness

LETTER = b"Subject: a secret matter\r\n\r\nHello\r\n"


class History(harness.SessionTest):
    def start(self, extra="", **kw):
        self.hop = self.next_hop()
        self.g = self.gateway(next_hop=self.hop, extra=extra, **kw)

    def ask(self, *words, code=0):
        return [json.loads(line) for line in self.g.cli("message", *words, "--json", code=code).splitlines()]

    def find(self, *words):
        p = self.g.cli_run("message", "find", *words, "--json")
        self.assertIn(p.returncode, (0, 4), p.stderr)
        return [json.loads(line) for line in p.stdout.splitlines()]

    def events(self, ident):
        return [e["event"] for e in self.ask("show", ident)]

    def send(self, sender="a@example.com", recipients="b@example.net"):
        """The id the client is told."""
        return self.g.send(sender, recipients, LETTER).text.split()[-1]

    def files(self):
        return sorted(glob.glob(os.path.join(self.g.state, "history", "*.hist")))

    def wait_done(self, ident):
        harness.wait_until(lambda: "done" in self.events(ident), what="the end of " + ident)


class Timeline(History):
    def test_a_delivered_message_from_end_to_end(self):
        self.start()
        ident = self.send()
        self.wait_done(ident)
        events = self.ask("show", ident)
        self.assertEqual([e["event"] for e in events], ["received", "committed", "delivered", "done"])
        self.assertTrue(all(e["id"] == ident for e in events))
        self.assertEqual([(e["time"], e["ms"]) for e in events], sorted((e["time"], e["ms"]) for e in events))
        received, delivered = events[0], events[2]
        self.assertEqual((received["from"], received["to"]), ("a@example.com", ["b@example.net"]))
        self.assertEqual((received["client"], received["helo"]), ("127.0.0.1", "client.example"))
        self.assertGreater(received["size"], len(LETTER))
        self.assertEqual((delivered["to"], delivered["hop"]), (["b@example.net"], self.hop.text))
        self.assertEqual(delivered["reply"], "250 2.0.0 taken")
        self.assertEqual(events[3]["route"], "domain:example.net")
        text = self.g.cli("message", "show", ident)
        self.assertEqual(len(text.splitlines()), 4)
        self.assertIn('reply="250 2.0.0 taken"', text)
        self.assertNotIn("secret", text)

    def test_refused_recipients_and_messages(self):
        self.start()
        with self.g.client() as c:
            c.hello()
            c.command("MAIL FROM:<a@example.com>", 250)
            c.command("RCPT TO:<x@elsewhere.example>", 550)
            c.command("RCPT TO:<b@example.net>", 250)
            c.command("DATA", 354)
            c.send(b"Subject: x\r\n\r\na NUL: \0\r\n.\r\n")
            c.expect(550)
        found = self.find("--to", "x@elsewhere.example")
        self.assertEqual([(m["status"], m["from"], m["client"]) for m in found],
                         [("refused", "a@example.com", "127.0.0.1")])
        events = self.ask("show", found[0]["id"])
        self.assertEqual([(e["event"], e["to"]) for e in events],
                         [("refused", ["x@elsewhere.example"]), ("refused", ["b@example.net"])])
        self.assertIn("5.7.1 relaying denied", events[0]["reply"])
        self.assertIn("NUL", events[1]["reply"])

    def test_a_client_that_goes_away(self):
        self.start()
        with self.g.client() as c:
            c.hello()
            c.command("MAIL FROM:<gone@example.com>", 250)
            c.command("RCPT TO:<b@example.net>", 250)
            c.command("DATA", 354)
            c.send(b"Subject: half a mess")
        self.g.wait_log(event="aborted")
        self.assertEqual([m["status"] for m in self.find("--from", "gone@example.com")], ["aborted"])

    def test_deferred_then_touched_by_an_operator_then_bounced(self):
        self.start(extra="queue { retry = { 1h } }\n" + harness.Gateway.domain_block(self.next_hop(), "example.com"))
        self.hop.script("rcpt", "451 4.7.1 come back later")
        ident = self.send()
        self.g.wait_log(event="deferred")
        events = self.ask("show", ident)
        self.assertEqual([e["event"] for e in events], ["received", "committed", "deferred", "queued"])
        self.assertEqual(events[2]["reply"], "451 4.7.1 come back later")
        self.assertGreater(events[2]["next_attempt"], events[2]["time"])
        self.assertEqual(events[3]["state"], "deferred")
        self.assertEqual([m["status"] for m in self.find("--from", "a@example.com")], ["deferred"])
        self.g.cli("queue", "hold", ident, "--reason", "let me see")
        self.g.cli("queue", "bounce", ident, "--reason", "user has left")
        self.wait_done(ident)
        events = self.ask("show", ident)
        self.assertEqual([e["event"] for e in events[3:]],
                         ["admin", "admin", "bounced", "failed", "done"])
        self.assertEqual(events[3]["reason"], "let me see")
        self.assertIn("user has left", events[6]["reply"])
        report = events[5]["report"]
        self.wait_done(report)
        about = self.ask("show", report)[0]
        self.assertEqual((about["event"], about["about"], about["from"]), ("received", ident, ""))
        self.assertEqual([m["status"] for m in self.find("--from", "a@example.com")], ["failed"])

    def test_many_recipients_share_events(self):
        self.start()
        many = ["recipient-with-a-long-name-%d@example.net" % i for i in range(250)]
        self.hop.recipient(many[7], "550 5.1.1 nobody")
        ident = self.send("", many)
        self.wait_done(ident)
        events = self.ask("show", ident)
        for kinds, wanted in ((("received", "recipients"), many), (("delivered",), many[:7] + many[8:]),
                              (("failed",), many[7:8])):
            self.assertEqual(sorted(a for e in events if e["event"] in kinds for a in e["to"]), sorted(wanted))
        self.assertLess(len(events), 30)
        self.assertEqual([m["id"] for m in self.find("--to", many[249])], [ident])
        self.assertEqual(self.find("--to", many[249])[0]["status"], "partly-failed")


class Find(History):
    def test_what_options_choose(self):
        self.start()
        first = self.send("One@Example.com", ["b@example.net", "c@example.net"])
        second = self.send("two@sub.example.org", "c@example.net")
        third = self.send("", "d@example.net")
        self.wait_done(third)
        for words, ids in (([], [first, second, third]), (["--from", "one@example.com"], [first]),
                           (["--from", "@sub.example.org"], [second]), (["--from", "<>"], [third]),
                           (["--from", "*@*example*"], [first, second]), (["--to", "C@example.NET"], [first, second]),
                           (["--to", "@example.net"], [first, second, third]), (["--to", "@example.com"], []),
                           (["--client", "127.0.0.1"], [first, second, third]), (["--client", "127.0.0.0/8"],
                                                                                [first, second, third]),
                           (["--client", "192.0.2.1"], []), (["--since", "1h"], [first, second, third]),
                           (["--limit", "2"], [second, third]), (["--from", "one@example.com", "--to",
                                                                  "d@example.net"], [])):
            with self.subTest(" ".join(words)):
                self.assertEqual([m["id"] for m in self.find(*words)], ids)
        table = self.g.cli("message", "find").splitlines()
        self.assertRegex(table[0], r"^TIME +ID +STATUS +SIZE +CLIENT +FROM +TO +LAST REPLY$")
        self.assertEqual(len(table), 4)
        self.assertIn("b@example.net +1", table[1])
        self.assertEqual(self.g.cli_run("message", "find", "--client", "nonsense").returncode, 2)
        self.assertEqual(self.g.cli_run("message", "show", "a" * 13).returncode, 4)

    def test_a_peers_bytes_do_no_harm(self):
        self.start()
        self.hop.script("dot", b"250 \x1b[31mred\x80 \"quoted\"\r\n")
        ident = self.send('"od d"@example.com')
        self.wait_done(ident)
        self.assertNotIn("\x1b", self.g.cli("message", "show", ident))
        self.assertEqual(len(self.find("--from", '"od d"@example.com')), 1)


class Survives(History):
    def test_restarts(self):
        self.start()
        first = self.send()
        self.wait_done(first)
        self.g.restart()
        second = self.send()
        self.wait_done(second)
        self.assertEqual(self.events(first), ["received", "committed", "delivered", "done"])
        self.assertEqual([m["id"] for m in self.find()], [first, second])
        self.assertEqual(len(self.files()), 2)

    def test_a_kill_loses_seconds_and_no_mail(self):
        self.start(extra=harness.RETRY_SOON)
        self.hop.script("rcpt", "451 4.7.1 come back later")
        first = self.send()
        self.g.wait_log(event="deferred")
        self.assertIn("deferred", self.events(first))  # asking has it written
        second = self.send("late@example.com")
        self.g.kill9()
        with open(self.files()[-1], "ab") as f:
            f.write(b"tmH1 and then nothing that makes sense")
        self.hop.reset()
        self.g.start()
        self.hop.wait_messages(2)
        self.assertIn("deferred", self.events(first))
        self.wait_done(second)
        self.assertIn("delivered", self.events(second))

    def test_a_damaged_file(self):
        self.start()
        ids = []
        for i in range(3):
            ids.append(self.send("s%d@example.com" % i))
            self.wait_done(ids[-1])  # asking ends a block
        self.g.stop()
        name = self.files()[0]
        with open(name, "r+b") as f:
            data = f.read()
            blocks = [i for i in range(0, len(data), 8) if data[i:i + 4] == b"tmH1"]
            self.assertGreaterEqual(len(blocks), 3)
            f.seek(data.index(b"s0@example.com"))
            f.write(b"X")
        with open(os.path.join(os.path.dirname(name), "20200101T000000Z-0000.hist"), "wb") as f:
            f.write(os.urandom(100000))
        os.mkdir(os.path.join(os.path.dirname(name), "20200102T000000Z-0000.hist"))
        self.g.start()
        self.assertEqual([m["id"] for m in self.find("--from", "@example.com")], ids[1:])
        later = self.send()
        self.wait_done(later)

    def test_a_folder_that_cannot_be_used_costs_history_only(self):
        self.start(start=False)
        os.makedirs(self.g.state)
        with open(os.path.join(self.g.state, "history"), "w"):
            pass
        self.g.start()
        ident = self.send()
        self.hop.wait_messages(1)
        self.g.wait_log(event="history-lost")
        self.assertEqual(self.g.cli_run("message", "find").returncode, 1)
        self.assertEqual(self.g.cli_run("message", "show", ident).returncode, 1)
        status = json.loads(self.g.cli("status", "--json"))
        self.assertGreater(status["counters"]["history_lost"], 0)


class Bounds(History):
    def test_what_is_old_goes(self):
        self.start(extra="history = 2d\n")
        first = self.send()
        self.wait_done(first)
        old = self.files()
        self.g.stop()
        self.g.clock_offset = 3 * 86400
        self.g.start()
        second = self.send()
        self.wait_done(second)
        self.assertEqual([m["id"] for m in self.find()], [second])
        self.assertFalse(os.path.exists(old[0]))

    def test_off_keeps_nothing_and_removes_what_there_was(self):
        self.start()
        self.wait_done(self.send())
        self.g.stop()
        self.g.write_config(self.g.config + "history = 0s\n")
        self.g.start()
        self.hop.script("rcpt", "451 4.7.1 come back later")
        ident = self.send()
        self.g.wait_log(event="deferred")
        self.assertEqual(self.files(), [])
        p = self.g.cli_run("message", "find")
        self.assertEqual(p.returncode, 1)
        self.assertIn("history = 0s", p.stderr)
        # What is in the queue is known all the same.
        self.assertEqual(self.events(ident), ["received", "queued"])


if __name__ == "__main__":
    harness.unittest.main()
