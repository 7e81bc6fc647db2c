# SPDX-License-Identifier: MIT
"""Logging in at a next hop: SCRAM-SHA-256, PLAIN, LOGIN, what is never said, and what happens when it fails."""

import base64
import hashlib
import hmac
import os

import harness
from test_auth import b64

QUICK = "queue { retry = { 1s, 2s } }\ndelivery { command_timeout = 5s }\n"
LETTER = b"Subject: test\r\n\r\nHello\r\n"


class AuthHop:
    """Gives a next hop a verb AUTH. `cheat` spoils the end of SCRAM: "signature", "none", "weak" or "nonce"."""

    def __init__(self, hop, mechanisms, user="me", password="pass, word=", cheat=None, under_tls=False):
        self.hop, self.mechanisms, self.user, self.password, self.cheat = hop, mechanisms, user, password, cheat
        self.good, self.seen = 0, []
        hop.extensions.append("AUTH " + " ".join(mechanisms))
        hop.verbs["AUTH"] = self.auth

    def ask(self, session, text=b""):
        session.say(None, "334 " + b64(text))
        line = session.line()
        self.seen.append(line)
        return base64.b64decode(line).decode()

    def auth(self, session, rest):
        mechanism, _, initial = rest.partition(" ")
        self.seen.append(rest)
        first = base64.b64decode(initial).decode() if initial else None
        good = getattr(self, "do_" + mechanism.replace("-", "_").lower())(session, first)
        if good:
            self.good += 1
            session.authenticated = True
        session.say(None, "235 2.7.0 welcome" if good else "535 5.7.8 go away")

    def do_plain(self, session, first):
        first = first if first is not None else self.ask(session)
        return first == "\0%s\0%s" % (self.user, self.password)

    def do_login(self, session, first):
        user = first if first is not None else self.ask(session, "User Name\0")
        return (user, self.ask(session, "Password")) == (self.user, self.password)

    def do_scram_sha_256(self, session, first):
        gs2, bare = first[:3], first[3:]
        fields = dict(f.split("=", 1) for f in bare.split(","))
        nonce = ("x" if self.cheat == "nonce" else fields["r"]) + "servernonce"
        iterations = 1000 if self.cheat == "weak" else 4096
        challenge = "r=%s,s=%s,i=%d" % (nonce, b64("saltsalt"), iterations)
        final = self.ask(session, challenge)
        without, proof = final.rsplit(",p=", 1)
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), b"saltsalt", iterations)
        key = hmac.digest(salted, b"Client Key", "sha256")
        message = ",".join((bare, challenge, without)).encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        if (gs2, without) != ("n,,", "c=biws,r=" + nonce) or fields["n"] != self.user.replace(",", "=2C") or \
                base64.b64decode(proof) != bytes(a ^ b for a, b in zip(key, signature)):
            return False
        signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        if self.cheat == "signature":
            signature = bytes(32)
        if self.cheat != "none":
            self.ask(session, "v=" + b64(signature))
        return True


class Login(harness.SessionTest):
    def gateway_to(self, hop, tls="required", secret='user = me  password = "pass, word="', **kw):
        return self.gateway(next_hop=hop, route="tls = %s  login = provider" % tls,
                            extra="secret provider { %s }\n%s" % (secret, QUICK), **kw)

    def sent(self, gateway, hop):
        gateway.send("a@example.com", "b@example.net", LETTER)
        self.assertEqual(hop.wait_messages(1)[0].content, LETTER)
        for word in ("pass, word=", b64("\0me\0pass, word="), b64("pass, word=")):
            self.assertNotIn(word, gateway.log_text())

    def refused(self, gateway, hop, *words):
        gateway.send("a@example.com", "b@example.net", LETTER)
        reason = gateway.wait_log(event="hop-dead")["reason"]
        for word in words + ("secret provider",):
            self.assertIn(word, reason)
        self.assertNotIn("pass, word=", gateway.log_text())
        self.assertEqual((hop.transactions, hop.received), (0, 0))
        self.assertEqual(gateway.all_records(event="failed"), [])
        return reason

    def test_each_mechanism(self):
        for mechanisms, used in ((("PLAIN", "LOGIN"), "PLAIN"), (("LOGIN", "CRAM-MD5"), "LOGIN"),
                                 (("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-1"), "SCRAM-SHA-256"),
                                 (("SCRAM-SHA-256-PLUS", "LOGIN"), "LOGIN")):
            hop = self.tls_hop()
            auth = AuthHop(hop, mechanisms)
            self.sent(self.gateway_to(hop), hop)
            self.assertEqual(auth.good, 1)
            self.assertEqual(auth.seen[0].split(" ")[0], used)

    def test_the_password_from_a_file_only_root_can_read(self):
        folder = self.folder()
        path = os.path.join(folder, "secret")
        with open(path, "w") as f:
            f.write("pass, word=\n")
        os.chmod(path, 0o600)
        hop = self.tls_hop()
        AuthHop(hop, ["PLAIN"])
        self.sent(self.gateway_to(hop, secret='user = me  file = "%s"' % path), hop)

    def test_a_long_password_follows_a_challenge(self):
        hop = self.tls_hop()
        auth = AuthHop(hop, ["PLAIN"], password="x" * 800)
        self.sent(self.gateway_to(hop, secret="user = me  password = " + "x" * 800), hop)
        self.assertEqual(auth.seen[0], "PLAIN")

    def test_a_wrong_password_waits_until_it_is_right(self):
        for mechanism in ("PLAIN", "LOGIN", "SCRAM-SHA-256"):
            hop = self.tls_hop()
            auth = AuthHop(hop, [mechanism], password="another")
            gateway = self.gateway_to(hop)
            self.refused(gateway, hop, "log-in as me", "535 5.7.8 go away")
            auth.password = "pass, word="
            self.assertEqual(hop.wait_messages(1)[0].content, LETTER)

    def test_no_mechanism(self):
        for mechanisms in (["CRAM-MD5", "XOAUTH2"], None):
            hop = self.tls_hop()
            if mechanisms:
                AuthHop(hop, mechanisms)
            self.refused(self.gateway_to(hop), hop, "offers none of")

    def test_a_server_that_does_not_know_the_password_is_not_believed(self):
        for cheat, word in (("signature", "does not know the password"), ("none", "did not show"), ("weak", "1000"),
                            ("nonce", "not for us")):
            hop = self.tls_hop()
            AuthHop(hop, ["SCRAM-SHA-256"], cheat=cheat)
            self.refused(self.gateway_to(hop), hop, word)

    def test_rubbish(self):
        for answer in ("334 not base64", "334-a\n334 b", "250 ok", "454 4.7.0 later", b"nonsense\r\n", harness.CLOSE):
            hop = self.tls_hop()
            hop.extensions.append("AUTH SCRAM-SHA-256")
            hop.verbs["AUTH"] = lambda session, rest, answer=answer: session.say(answer, None)
            self.refused(self.gateway_to(hop), hop, "log-in as me")

    def test_in_clear_only_on_this_machine(self):
        hop = self.next_hop()  # on 127.0.0.1
        auth = AuthHop(hop, ["PLAIN"])
        self.sent(self.gateway_to(hop, tls="optional"), hop)
        self.assertEqual(auth.good, 1)

    def test_a_kept_connection_logs_in_once(self):
        hop = self.tls_hop()
        auth = AuthHop(hop, ["PLAIN"])
        gateway = self.gateway_to(hop)
        for i in range(3):
            gateway.send("a@example.com", "b%d@example.net" % i, LETTER)
            hop.wait_messages(i + 1)
        self.assertEqual((hop.connections, auth.good), (1, 1))

