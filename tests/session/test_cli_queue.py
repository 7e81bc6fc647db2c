# SPDX-License-Identifier: MIT
"""tmail queue ...: what each command shows, changes and exits with, on mail a next hop puts off."""

import json
import os
import pty
import select
import subprocess
import threading
import time

import harness

LETTER = b"From: a@example.com\r\nSubject: put off\r\n\r\nHello\r\n"


class QueueTest(harness.SessionTest):
    """example.net's next hop answers 451 to every recipient until later() says otherwise; example.org's takes mail."""

    def start(self, count=3, **kw):
        self.hop = self.next_hop()
        self.hop.script("rcpt", "451 4.7.1 come back later")
        self.other = self.next_hop()
        self.g = self.gateway(next_hop=self.hop, extra=harness.Gateway.domain_block(self.other, "example.org"), **kw)
        for i in range(count):
            self.g.send("sender%d@example.org" % i, "r%d@example.net" % i, LETTER)
        if count:
            self.wait_count(count, "--state", "deferred")

    def ask(self, *words, code=0):
        """The objects a command prints with --json."""
        return [json.loads(line) for line in self.g.cli("queue", *words, "--json", code=code).splitlines()]

    def count(self, *words):
        return self.ask("count", *words)[0]["entries"]

    def wait_count(self, count, *words):
        harness.wait_until(lambda: self.count(*words) == count, what="%d entries %s" % (count, " ".join(words)))

    def ids(self, *words):
        return [e["id"] for e in self.ask("list", *words)]

    def take_mail(self):
        self.hop.reset()


class Show(QueueTest):
    def test_list_shows_every_entry_and_filters_choose(self):
        self.start()
        entries = self.ask("list")
        self.assertEqual(sorted(e["from"] for e in entries), ["sender%d@example.org" % i for i in range(3)])
        for e in entries:
            self.assertEqual(e["state"], "deferred")
            self.assertEqual(e["hop"], "domain:example.net")
            self.assertEqual(e["attempts"], 1)
            self.assertEqual(e["to"], ["r%s@example.net" % e["from"][6]])
            self.assertGreater(e["next_attempt"], time.time() - 60)
            self.assertGreater(e["size"], len(LETTER))
        one = [e for e in entries if e["from"].startswith("sender1@")][0]["id"]
        for words, found in (
                (["--from", "sender1@example.org"], 1), (["--from", "@example.org"], 3), (["--from", "SENDER1*"], 1),
                (["--from", "<>"], 0), (["--to", "r2@example.net"], 1), (["--to", "@*.net"], 3),
                (["--domain", "example.net"], 3), (["--domain", "example.com"], 0), (["--hop", "domain:*"], 3),
                (["--hop", "route:*"], 0), (["--state", "held,due"], 0), (["--state", "deferred"], 3),
                (["--older", "1h"], 0), (["--younger", "1h"], 3), (["--id", one], 1), (["--limit", "2"], 2),
                (["--from", "@example.org", "--to", "r0@example.net"], 1)):
            with self.subTest(" ".join(words)):
                self.assertEqual(self.count(*words), found)
                self.assertEqual(len(self.ask("list", *words, code=0 if found else 4)), found)

    def test_list_for_people_is_aligned_and_brief_leaves_addresses_out(self):
        self.start()
        lines = self.g.cli("queue", "list").splitlines()
        self.assertEqual(len(lines), 4)
        self.assertRegex(lines[0], r"^ID +STATE +AGE +NEXT +TRIES +SIZE +HOP +FROM +TO$")
        column = lines[0].index("FROM")
        self.assertTrue(all(line[column:].startswith("sender") for line in lines[1:]))
        brief = self.g.cli("queue", "list", "--brief")
        self.assertNotIn("sender", brief)
        self.assertEqual(len(brief.splitlines()), 4)

    def test_show_and_why_tell_the_last_reply(self):
        self.start(1)
        ident = self.ids()[0]
        shown = self.ask("show", ident)[0]
        self.assertEqual(shown["id"], ident)
        self.assertEqual(shown["from"], "sender0@example.org")
        self.assertEqual(shown["client"], "127.0.0.1")
        self.assertEqual([r["address"] for r in shown["recipients"]], ["r0@example.net"])
        self.assertEqual(shown["recipients"][0]["status"], "pending")
        self.assertIn("come back later", shown["recipients"][0]["reply"])
        self.assertEqual(shown["entries"][0]["state"], "deferred")
        why = self.ask("why", ident)[0]
        self.assertEqual(why["why"], "retry-wait")
        self.assertIn("come back later", why["waiting"][0]["reply"])
        self.assertEqual(why["hops"][0]["hop"], self.hop.text)
        for word in ("show", "why"):
            self.assertIn("come back later", self.g.cli("queue", word, ident))

    def test_why_names_a_dead_next_hop(self):
        self.hop = self.next_hop(listen=False)
        self.g = self.gateway(next_hop=self.hop)
        self.g.send("a@example.com", "b@example.net", LETTER)
        ident = self.ids()[0]
        harness.wait_until(lambda: self.ask("why", ident)[0]["why"] == "hops-dead", what="a dead next hop")
        why = self.ask("why", ident)[0]
        self.assertEqual(why["hops"][0]["state"], "dead")
        self.assertTrue(why["hops"][0]["error"])

    def test_cat_gives_the_message_byte_for_byte(self):
        self.start(1)
        ident = self.ids()[0]
        env = self.g.environment()
        raw = subprocess.run([harness.TMAIL, "-c", self.g.config_path, "queue", "cat", ident], env=env, timeout=30,
                             stdout=subprocess.PIPE, check=True).stdout
        self.take_mail()
        self.g.cli("queue", "retry", ident)
        self.assertEqual(raw, self.hop.wait_messages(1)[0].data)

    def test_cat_streams_a_large_message(self):
        self.start(0)
        body = b"Subject: large\r\n\r\n" + b"0123456789abcdef" * 4 + b"\r\n"
        body += (b"x" * 70 + b"\r\n") * 140000
        self.g.send("a@example.org", "b@example.net", body)
        self.wait_count(1, "--state", "deferred")
        env = self.g.environment()
        raw = subprocess.run([harness.TMAIL, "-c", self.g.config_path, "queue", "cat", self.ids()[0]], env=env,
                             timeout=60, stdout=subprocess.PIPE, check=True).stdout
        self.assertTrue(raw.endswith(body))

    def test_shape_counts_by_hop_domain_and_sender(self):
        self.start()
        for by, name in (("hop", "domain:example.net"), ("domain", "example.net"), ("sender", "example.org")):
            rows = self.ask("shape", "--by", by)
            self.assertEqual([(r["name"], r["total"], r["ages"][0]) for r in rows], [(name, 3, 3)])
        self.assertIn("domain:example.net", self.g.cli("queue", "shape"))

    def test_old_mail_is_found_by_age(self):
        self.start(1)
        self.g.stop()
        self.g.clock_offset = 2 * 3600
        self.g.start()
        self.assertEqual(self.count("--older", "2h"), 1)
        self.assertEqual(self.count("--older", "3h"), 0)
        self.assertEqual(self.count("--younger", "2h"), 0)

    def test_a_next_hops_control_characters_do_not_reach_the_terminal(self):
        self.start(0)
        self.hop.script("rcpt", b"451 4.7.1 \x1b[2Jgotcha\x07\x9b\r\n")
        self.g.send("a@example.org", "b@example.net", LETTER)
        self.wait_count(1, "--state", "deferred")
        ident = self.ids()[0]
        for words in (["show", ident], ["why", ident], ["show", ident, "--json"], ["why", ident, "--json"]):
            out = self.g.cli("queue", *words)
            self.assertIn("gotcha", out)
            self.assertFalse([c for c in out if c != "\n" and (ord(c) < 32 or 127 <= ord(c) < 160)], repr(out))


class Change(QueueTest):
    def test_a_bulk_change_without_yes_changes_nothing(self):
        self.start()
        for verb in ("retry", "hold", "release", "bounce", "drop"):
            for words in (["--all"], ["--from", "@example.org"]):
                p = self.g.cli_run("queue", verb, *words)
                self.assertEqual(p.returncode, 5, p)
                self.assertIn("3 entries", p.stderr)
                self.assertEqual(p.stdout, "")
        p = self.g.cli_run("queue", "drop", "--all", "--json")
        self.assertEqual(p.returncode, 5)
        self.assertEqual(json.loads(p.stdout), {"would_change": 3})
        self.assertEqual(self.count("--state", "deferred"), 3)

    def test_ids_need_no_confirmation(self):
        self.start()
        first, second, third = self.ids()
        self.assertEqual(self.ask("hold", first, second)[-1], {"matched": 2, "changed": 2, "failed": 0})
        self.assertEqual(sorted(self.ids("--state", "held")), sorted([first, second]))

    def terminal(self, answer, *words):
        """Runs tmail queue on a terminal of its own, types ANSWER; its exit status and output."""
        pid, fd = pty.fork()
        if pid == 0:
            os.execve(harness.TMAIL, [harness.TMAIL, "-c", self.g.config_path, "queue", *words], self.g.environment())
        out = b""
        try:
            while True:
                if not select.select([fd], [], [], 30)[0]:
                    raise AssertionError("no answer on the terminal: %r" % out)
                more = os.read(fd, 4096)
                if not more:
                    break
                out += more
                if answer and b"[y/N]" in out:
                    os.write(fd, answer)
                    answer = b""
        except OSError:
            pass  # the other side is gone
        os.close(fd)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), out

    def test_on_a_terminal_it_asks(self):
        self.start()
        status, out = self.terminal(b"n\n", "hold", "--all")
        self.assertEqual(status, 5, out)
        self.assertIn(b"hold 3 entries?", out)
        self.assertEqual(self.count("--state", "held"), 0)
        status, out = self.terminal(b"y\n", "hold", "--all")
        self.assertEqual(status, 0, out)
        self.assertEqual(self.count("--state", "held"), 3)

    def test_cat_on_a_terminal_escapes(self):
        self.start(0)
        self.g.send("a@example.org", "b@example.net", b"Subject: x\r\n\r\n\x1b]0;owned\x07\r\n")
        self.wait_count(1, "--state", "deferred")
        status, out = self.terminal(b"", "cat", self.ids()[0])
        self.assertEqual(status, 0)
        self.assertIn(b"owned", out)
        self.assertNotIn(b"\x1b", out)

    def test_hold_survives_a_restart_and_release_delivers(self):
        self.start()
        self.g.cli("queue", "hold", "--all", "--yes", "--reason", "moving the server")
        self.assertEqual(self.count("--state", "held"), 3)
        self.take_mail()
        self.g.restart()
        self.assertEqual(self.count("--state", "held"), 3)
        ident = self.ids()[0]
        why = self.ask("why", ident)[0]
        self.assertEqual(why["why"], "held")
        self.assertIn("moving the server", why["text"])
        self.g.cli("queue", "retry", "--all", "--yes")
        self.assertEqual(self.count("--state", "held"), 3)
        self.assertEqual(self.hop.received, 0)
        self.g.cli("queue", "release", "--all", "--yes")
        self.assertEqual(len({m.recipients[0] for m in self.hop.wait_messages(3)}), 3)
        self.wait_count(0)

    def test_retry_delivers_now(self):
        self.start()
        self.take_mail()
        first = self.ids()[0]
        self.g.cli("queue", "retry", first)
        self.hop.wait_messages(1)
        self.wait_count(2)
        self.g.cli("queue", "retry", "--to", "@example.net", "--yes")
        self.hop.wait_messages(3)
        self.wait_count(0)

    def test_retry_tries_a_dead_next_hop(self):
        self.hop = self.next_hop(listen=False)
        self.g = self.gateway(next_hop=self.hop)
        self.g.send("a@example.com", "b@example.net", LETTER)
        ident = self.ids()[0]

        def hop():
            return json.loads(self.g.cli("status", "--json"))["hops"][0]

        harness.wait_until(lambda: hop()["failures"] >= 2 and hop()["state"] == "dead", what="a second failure")
        until = hop()["dead_until"]
        self.hop.listen()
        self.g.cli("queue", "retry", ident)
        self.hop.wait_messages(1)
        self.assertLess(time.time(), until - 2)

    def test_drop_deletes_and_only_the_log_knows(self):
        self.start()
        first = self.ids("--from", "sender0@example.org")[0]
        self.g.cli("queue", "drop", "--from", "sender0@example.org", "--yes", "--reason", "not wanted")
        self.assertEqual(self.count(), 2)
        self.assertEqual(self.g.cli_run("queue", "show", first).returncode, 4)
        record = self.g.wait_log(event="admin", msg=first)
        self.assertEqual(record["command"], "queue.drop")
        self.assertEqual(record["uid"], str(os.getuid()))
        self.assertEqual(record["reason"], "not wanted")
        self.g.restart()
        self.assertEqual(self.count(), 2)
        self.assertEqual(self.other.received, 0)

    def test_bounce_reports_to_the_sender(self):
        self.start()
        first = self.ids("--from", "sender1@example.org")[0]
        self.g.cli("queue", "bounce", first, "--reason", "user has left")
        report = self.other.wait_messages(1)[0]
        self.assertEqual(report.sender, "")
        self.assertEqual(report.recipients, ["sender1@example.org"])
        self.assertIn(b"r1@example.net", report.data)
        self.assertIn(b"Diagnostic-Code: x-tmail; returned by the administrator: user has left", report.data)
        self.wait_count(2)
        self.assertEqual(self.g.cli_run("queue", "show", first).returncode, 4)

    def test_the_reason_of_a_bounce_survives_a_crash(self):
        self.start(1)
        self.hop.script("connect", harness.HANG)  # the attempt that makes the report does not come to it
        self.hop.drop_connections()
        first = self.ids()[0]
        self.g.cli("queue", "bounce", first, "--reason", "user has left")
        self.ask("show", first)  # answers behind what was handed to the disk
        self.g.kill9()
        self.hop.reset()
        self.g.start()
        self.assertIn(b"returned by the administrator: user has left", self.other.wait_messages(1)[0].data)

    def test_bounce_of_everything_leaves_the_reports_alone(self):
        self.start()
        self.g.cli("queue", "bounce", "--all", "--yes")
        self.assertEqual(len({m.recipients[0] for m in self.other.wait_messages(3)}), 3)
        self.wait_count(0)

    def test_mail_from_the_null_sender_is_not_bounced(self):
        self.start(0)
        self.g.send("", "r@example.net", LETTER)
        self.wait_count(1, "--state", "deferred")
        self.g.cli("queue", "bounce", "--from", "<>", "--yes")
        self.wait_count(0)
        self.assertEqual(self.other.received, 0)


class Traffic(QueueTest):
    def test_listing_while_mail_flows(self):
        self.start(0)
        self.take_mail()
        failed = []

        def pump(n):
            try:
                with self.g.client() as c:
                    c.hello()
                    for i in range(150):
                        if c.message("s%d@example.org" % n, "r%d@example.net" % i, LETTER).code != 250:
                            failed.append("refused")
            except Exception as e:
                failed.append(e)

        threads = [threading.Thread(target=pump, args=(n,)) for n in range(3)]
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            p = self.g.cli_run("queue", "list", "--json")
            self.assertIn(p.returncode, (0, 4), p)
            self.assertEqual(len({json.loads(line)["id"] for line in p.stdout.splitlines()}),
                             len(p.stdout.splitlines()))
            self.g.cli("status", "--json")
        for t in threads:
            t.join()
        self.assertFalse(failed)
        self.hop.wait_messages(450)
        self.wait_count(0)

    def test_bulk_changes_while_mail_flows(self):
        self.start(20)
        stop = threading.Event()
        sent = []

        def pump():
            with self.g.client() as c:
                c.hello()
                while not stop.is_set():
                    sent.append(c.message("s@example.org", "x@example.org", LETTER).code)

        t = threading.Thread(target=pump)
        t.start()
        for _ in range(3):
            self.g.cli("queue", "hold", "--to", "@example.net", "--yes")
            self.g.cli("queue", "release", "--to", "@example.net", "--yes")
        stop.set()
        t.join()
        self.assertEqual(set(sent), {250})
        self.other.wait_messages(len(sent))
        self.assertEqual(self.count("--domain", "example.net"), 20)


if __name__ == "__main__":
    harness.unittest.main()
