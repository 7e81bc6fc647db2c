# SPDX-License-Identifier: MIT
"""AUTH (RFC 4954) against users of the configuration: mechanisms, replies, lock-out, whose sender it is."""

import base64
import hashlib
import hmac
import subprocess

import harness

LETTER = b"From: Eve <eve@example.com>\r\nSubject: x\r\n\r\nHello\r\n"
FAST = "{SCRAM-SHA-256}4096,"


def b64(data):
    return base64.b64encode(data.encode() if isinstance(data, str) else data).decode()


def plain(login, password, authzid=""):
    return b64("%s\0%s\0%s" % (authzid, login, password))


def verifier(password, iterations=4096, salt=b"0123456789abcdef"):
    """As RFC 5803 has it, in Dovecot's notation."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    stored = hashlib.sha256(hmac.digest(salted, b"Client Key", "sha256")).digest()
    return "{SCRAM-SHA-256}%d,%s,%s,%s" % (iterations, b64(salt), b64(stored),
                                          b64(hmac.digest(salted, b"Server Key", "sha256")))


class Scram:
    """The client's side, by RFC 5802, in another hand than the gateway's."""

    def __init__(self, login, password, gs2="n,,"):
        self.password, self.gs2 = password.encode(), gs2
        self.bare = "n=%s,r=clientnonce" % login.replace("=", "=3D").replace(",", "=2C")
        self.first = gs2 + self.bare

    def final(self, challenge):
        fields = dict(f.split("=", 1) for f in challenge.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        key = hmac.digest(salted, b"Client Key", "sha256")
        without = "c=%s,r=%s" % (b64(self.gs2), fields["r"])
        message = ("%s,%s,%s" % (self.bare, challenge, without)).encode()
        signature = hmac.digest(hashlib.sha256(key).digest(), message, "sha256")
        self.expected = "v=" + b64(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256"))
        return without + ",p=" + b64(bytes(a ^ b for a, b in zip(key, signature)))


class AuthTest(harness.SessionTest):
    users = ('user eve@example.com { password = "%s" }\n' % verifier("s3cret") +
             'user bob { password = "%s"  group = staff  address = { "@bob.example", "info@example.com" } }\n'
             % verifier("bob's"))

    def secure(self, listener="auth = required", extra="", **kw):
        cert, key = self.certificate()
        return self.gateway(next_hop=self.next_hop(), listener=listener,
                            extra='tls { certificate = "%s" key = "%s" }\n%s%s' % (cert, key, self.users, extra), **kw)

    def client(self, gateway):
        c = gateway.client()
        c.hello()
        c.starttls()
        c.ehlo = c.command("EHLO client.example", 250)
        return c

    def logged_in(self, gateway, login="eve@example.com", password="s3cret"):
        c = self.client(gateway)
        c.command("AUTH PLAIN " + plain(login, password), 235)
        return c


class Auth(AuthTest):
    def test_plain_with_an_initial_response(self):
        gateway = self.secure()
        c = self.client(gateway)
        self.assertIn("AUTH PLAIN LOGIN SCRAM-SHA-256", c.ehlo.lines)
        c.command("MAIL FROM:<eve@example.com>", 530)
        c.command("AUTH PLAIN " + plain("eve@example.com", "s3cret"), 235)
        self.assertEqual(c.message("eve@example.com", "b@example.net", LETTER).code, 250)
        self.assertRegex(self.hops[0].wait_messages(1)[0].header("Received"), r"with\s+ESMTPSA\b")
        record = gateway.wait_log(event="received")
        self.assertEqual((record["login"], record["direction"]), ("eve@example.com", "outbound"))
        self.assertEqual(gateway.wait_log(event="auth")["result"], "ok")

    def test_plain_after_a_challenge(self):
        c = self.client(self.secure())
        self.assertEqual(c.command("AUTH PLAIN", 334).lines, [""])
        c.command(plain("eve@example.com", "s3cret", "eve@example.com"), 235)

    def test_login(self):
        c = self.client(self.secure())
        self.assertEqual(c.command("AUTH LOGIN", 334).text, "VXNlcm5hbWU6")
        self.assertEqual(c.command(b64("bob"), 334).text, "UGFzc3dvcmQ6")
        c.command(b64("bob's"), 235)

    def test_login_with_an_initial_response(self):
        c = self.client(self.secure())
        self.assertEqual(c.command("AUTH login " + b64("bob"), 334).text, "UGFzc3dvcmQ6")
        c.command(b64("bob's"), 235)

    def test_scram(self):
        gateway = self.secure()
        for initial in (True, False):
            c = self.client(gateway)
            x = Scram("eve@example.com", "s3cret", "n,a=eve@example.com," if initial else "y,,")
            if initial:
                reply = c.command("AUTH SCRAM-SHA-256 " + b64(x.first), 334)
            else:
                c.command("AUTH SCRAM-SHA-256", 334)
                reply = c.command(b64(x.first), 334)
            reply = c.command(b64(x.final(base64.b64decode(reply.text).decode())), 334)
            self.assertEqual(base64.b64decode(reply.text).decode(), x.expected)
            c.command("", 235)

    def test_scram_refuses(self):
        gateway = self.secure(extra="auth { lockout = none }\n")
        for login, password in (("eve@example.com", "wrong"), ("nobody", "s3cret")):
            c = self.client(gateway)
            challenges = []
            for _ in range(2):
                x = Scram(login, password)
                challenges.append(base64.b64decode(c.command("AUTH SCRAM-SHA-256 " + b64(x.first), 334).text).decode())
                c.command(b64(x.final(challenges[-1])), 535)
            salts = {dict(f.split("=", 1) for f in ch.split(","))["s"] for ch in challenges}
            self.assertEqual(len(salts), 1)  # who does not exist has a salt that stays, as others have
        c = self.client(gateway)
        for first in ("p=tls-unique,,n=eve,r=x", "n,,n=eve", "n,,r=x", "n,,m=x,n=eve,r=x", "n,a=other,n=eve,r=x", "n",
                      "n,,n=e=3,r=x", "", "n,,n=,r=x"):
            c.command("AUTH SCRAM-SHA-256 " + (b64(first) or "="), 501)
        x = Scram("eve@example.com", "s3cret")
        challenge = base64.b64decode(c.command("AUTH SCRAM-SHA-256 " + b64(x.first), 334).text).decode()
        c.command(b64(x.final(challenge).replace("c=biws", "c=eSws")), 501)
        c.command("NOOP", 250)

    def test_argon2id(self):
        text = subprocess.run([harness.TMAIL, "user", "hash", "--scheme=argon2id"], input="geheim\n", text=True,
                              capture_output=True, check=True).stdout.strip()
        gateway = self.secure(extra='user arg { password = "%s" }\nuser arg2 { password = "{ARGON2ID}%s" }\n'
                              % (text, text))
        for login in ("arg", "arg2"):
            c = self.client(gateway)
            c.command("AUTH PLAIN " + plain(login, "wrong"), 535)
            c.command("AUTH PLAIN " + plain(login, "geheim"), 235)
            self.logged_in(gateway, login, "geheim")  # from the cache

    def test_the_hash_that_tmail_makes(self):
        text = subprocess.run([harness.TMAIL, "user", "hash"], input="pass word\n", text=True,
                              capture_output=True, check=True).stdout.strip()
        self.assertRegex(text, r"^\{SCRAM-SHA-256\}\d+,[^,]+,[^,]+,[^,]+$")
        gateway = self.secure(extra='user u { password = "%s" }\n' % text)
        self.logged_in(gateway, "u", "pass word")
        c = self.client(gateway)
        c.command("AUTH PLAIN " + plain("u", "password"), 535)

    def test_wrong_passwords(self):
        gateway = self.secure()
        c = self.client(gateway)
        for what in (plain("eve@example.com", "wrong"), plain("nobody", "s3cret"),
                     plain("eve@example.com", "s3cret", "bob")):
            reply = c.command("AUTH PLAIN " + what, 535)
            self.assertTrue(reply.text.startswith("5.7.8 "))
        self.assertNotIn("s3cret", gateway.log_text())
        self.assertNotIn(plain("nobody", "s3cret"), gateway.log_text())
        c.command("AUTH PLAIN " + plain("EVE@example.com", "s3cret"), 235)

    def test_replies_of_rfc_4954(self):
        c = self.client(self.secure())
        c.command("AUTH", 501)
        c.command("AUTH CRAM-MD5", 504)
        c.command("AUTH PLAIN not*base64", 501)
        c.command("AUTH PLAIN =", 501)
        c.command("AUTH PLAIN " + b64("no nul"), 501)
        c.command("AUTH PLAIN " + b64("\0eve@example.com\0"), 501)
        c.command("AUTH PLAIN", 334)
        c.command("*", 501)
        c.command("AUTH LOGIN", 334)
        c.command("not base64", 501)
        c.command("AUTH LOGIN", 334)
        c.command(b64("bob"), 334)
        c.command("*", 501)
        c.command("AUTH PLAIN", 334)
        c.command("A" * 12289, 500)
        c.command("AUTH PLAIN", 334)
        c.command("A" * 20000, 500)
        c.command("AUTH PLAIN " + "A" * 12288, 501)
        c.command("AUTH PLAIN", 334)
        c.command(b64("x" * 9200), 501)
        c.command("NOOP", 250)
        c.command("AUTH PLAIN " + plain("bob", "bob's"), 235)
        c.command("AUTH PLAIN " + plain("bob", "bob's"), 503)
        c.command("RSET", 250)
        self.assertFalse([x for x in c.command("EHLO again.example", 250).lines if x.startswith("AUTH")])
        c.command("MAIL FROM:<bob@bob.example> AUTH=<>", 250)  # still logged in
        c.command("AUTH PLAIN", 503)
        c.command("RSET", 250)

    def test_not_in_a_transaction(self):
        c = self.client(self.secure("auth = optional"))
        c.command("MAIL FROM:<a@example.com> AUTH=a+40example.com", 250)
        c.command("AUTH PLAIN", 503)
        c.command("RSET", 250)
        c.command("MAIL FROM:<a@example.com> AUTH=bad+4", 501)
        c.command("AUTH PLAIN " + plain("bob", "bob's"), 235)

    def test_under_tls_only(self):
        gateway = self.secure("auth = optional tls = optional")
        with gateway.client() as c:
            self.assertFalse([x for x in c.hello().lines if x.startswith("AUTH")])
            c.command("AUTH PLAIN " + plain("eve@example.com", "s3cret"), 538)
            c.command("MAIL FROM:<a@example.com> AUTH=<>", 555)
        gateway = self.secure("auth = required tls = required")
        with gateway.client() as c:
            c.hello()
            c.command("AUTH PLAIN " + plain("eve@example.com", "s3cret"), 530)

    def test_not_offered_where_not_configured(self):
        c = self.client(self.secure("auth = none"))
        self.assertFalse([x for x in c.ehlo.lines if x.startswith("AUTH")])
        c.command("AUTH PLAIN " + plain("eve@example.com", "s3cret"), 502)

    def test_required(self):
        c = self.client(self.secure())
        for line in ("MAIL FROM:<eve@example.com>", "RCPT TO:<b@example.net>", "DATA", "VRFY b"):
            self.assertTrue(c.command(line, 530).text.startswith("5.7.0"))
        c.send("BDAT 6 LAST\r\nQUIT")
        c.expect(530)
        for line in ("NOOP", "RSET", "EHLO x.example"):
            c.command(line, 250)

    def test_nothing_said_before_the_challenge_is_an_answer(self):
        gateway = self.secure()
        c = self.client(gateway)
        c.send("AUTH PLAIN\r\nMAIL FROM:<eve@example.com>")
        c.expect(554)
        self.assertTrue(c.closed())
        c = self.client(gateway)
        c.send("AUTH PLAIN %s\r\nNOOP\r\nMAIL FROM:<eve@example.com>" % plain("eve@example.com", "s3cret"))
        for code in (235, 250, 250):
            c.expect(code)
        c.command("RSET", 250)

    def test_a_line_in_pieces(self):
        c = self.client(self.secure())
        c.command("AUTH LOGIN", 334)
        c.send_split((b64("bob") + "\r\n").encode())
        c.expect(334)
        c.send_split((b64("bob's") + "\r\n").encode())
        c.expect(235)

    def test_a_client_gone_in_the_exchange(self):
        gateway = self.secure()
        for how in ("close", "reset"):
            c = self.client(gateway)
            c.command("AUTH SCRAM-SHA-256 " + b64(Scram("bob", "x").first), 334)
            getattr(c, how)()
        gateway.all_records()

    def test_they_may_relay(self):
        hop = self.next_hop()
        gateway = self.secure(extra="route default { next_hop = \"%s\" }\n" % hop.text)
        c = self.client(gateway)
        c.command("AUTH PLAIN " + plain("eve@example.com", "s3cret"), 235)
        self.assertEqual(c.message("eve@example.com", "far@elsewhere.example", LETTER).code, 250)
        self.assertEqual(hop.wait_messages(1)[0].sender, "eve@example.com")

    def test_many_at_once(self):
        gateway = self.secure(extra='user slow { password = "%s" }\n' % verifier("slow", 300000))
        clients = [self.client(gateway) for _ in range(12)]
        for i, c in enumerate(clients):
            c.send("AUTH PLAIN " + plain("slow", "slow" if i % 2 else "wrong"))
        c = self.client(gateway)
        c.command("NOOP", 250)  # the loop is not held
        codes = [c.recv_reply().code for c in clients]
        self.assertEqual(sorted(set(codes)), [235, 535])


class Lockout(AuthTest):
    def test_an_address_is_locked_out_and_let_in_again(self):
        gateway = self.secure(extra='auth { lockout = "3 in 10min for 1h" }\n')
        c = self.client(gateway)
        for i in range(3):
            c.command("AUTH PLAIN " + plain("someone%d" % i, "wrong"), 535)
        self.assertEqual(gateway.wait_log(event="lockout")["locked"], "address")
        reply = c.command("AUTH PLAIN " + plain("eve@example.com", "s3cret"), 454)
        self.assertTrue(reply.text.startswith("4.7.0"))
        c.command("AUTH SCRAM-SHA-256 " + b64(Scram("eve@example.com", "s3cret").first), 454)
        listed = gateway.cli("lockout", "list")
        self.assertRegex(listed, r"address +127\.0\.0\.1 +3 +\S+")
        self.assertRegex(listed, r"login +someone0 +1 +-")
        self.assertEqual(gateway.cli("lockout", "clear", "127.0.0.1"), "1 forgotten\n")
        c.command("AUTH PLAIN " + plain("eve@example.com", "s3cret"), 235)

    def test_a_login_is_locked_but_not_for_who_knows_it(self):
        gateway = self.secure(extra='auth { lockout = "2 in 10min for 1h" }\n')
        self.logged_in(gateway, "bob", "bob's")
        for _ in range(2):  # from elsewhere
            c = gateway.client(source=("127.0.0.2", 0))
            c.hello()
            c.starttls()
            c.command("EHLO x.example", 250)
            c.command("AUTH PLAIN " + plain("bob", "guess"), 535)
        c = gateway.client(source=("127.0.0.3", 0))
        c.hello()
        c.starttls()
        c.command("EHLO x.example", 250)
        c.command("AUTH PLAIN " + plain("BOB", "bob's"), 454)
        self.logged_in(gateway, "bob", "bob's")
        self.assertIn("forgotten", gateway.cli("lockout", "clear", "--all"))
        self.assertEqual(gateway.cli("lockout", "list"), "")
        gateway.cli("lockout", "clear", "bob", code=4)
        gateway.cli("lockout", "clear", code=2)
        c.command("AUTH PLAIN " + plain("bob", "bob's"), 235)

    def test_it_ends_by_itself(self):
        gateway = self.secure(extra='auth { lockout = "1 in 10min for 1s" }\n')
        c = self.client(gateway)
        c.command("AUTH PLAIN " + plain("bob", "wrong"), 535)
        c.command("AUTH PLAIN " + plain("bob", "bob's"), 454)
        harness.wait_until(lambda: c.command("AUTH PLAIN " + plain("bob", "bob's")).code == 235, what="the end of it")

    def test_none(self):
        c = self.client(self.secure(extra="auth { lockout = none }\n"))
        for _ in range(12):
            c.command("AUTH PLAIN " + plain("bob", "wrong"), 535)
        c.command("AUTH PLAIN " + plain("bob", "bob's"), 235)


class SenderMatch(AuthTest):
    """bob has "@bob.example" and info@example.com; example.net is ours; the host is mx.example.test."""

    def test_envelope(self):
        c = self.logged_in(self.secure(), "bob", "bob's")
        for sender in ("x@bob.example", "info@example.com", "Info+tag@EXAMPLE.com", "bob@example.net",
                       "bob@mx.example.test", "bob@example.test", ""):
            c.command("MAIL FROM:<%s>" % sender, 250)
            c.command("RSET", 250)
        for sender in ("eve@example.com", "bob@elsewhere.example", "info2@example.com", "x@sub.bob.example",
                       "bobby@example.net", "x@notbob.example", "bob@test"):
            self.assertTrue(c.command("MAIL FROM:<%s>" % sender, 553).text.startswith("5.7.1"))
        c = self.logged_in(self.secure())
        for sender, code in (("eve@example.com", 250), ("eve+x@example.com", 250), ("eve@example.net", 553)):
            c.command("MAIL FROM:<%s>" % sender, code)
            c.command("RSET", 250)

    def test_header(self):
        gateway = self.secure()
        c = self.logged_in(gateway)
        good = (b"From: eve@example.com", b'FROM : "Eve, (mine)" <EVE@Example.com> (a "comment")',
                b"From:\r\n Eve\r\n\t<eve+tag@example.com>", b"From: eve (x) @ example . com",
                b"From: Eve <eve@example.com>, <eve+2@example.com>",
                b"From: =?utf-8?q?eve=40x?= <@relay.example:eve@example.com>")
        bad = (b"From: bob@example.com", b"From: eve@example.com <bob@example.com>", b"From: eve", b"From:", b"X: y",
               b"From: eve@example.com\r\nFrom: eve@example.com", b"From: eve@example.com, bob@example.com",
               b"From: <eve@example.com", b"From: \"eve@example.com", b"From: eve@example.com bob@example.com",
               b"From: (eve@example.com", b"From: <eve@example.com> <bob@example.com>",
               b"From: group: bob@example.com;",
               b"From: eve@example.com\r\n , bob@example.com", b"no header\r\nFrom: eve@example.com")
        for header in good + bad:
            letter = header + b"\r\nSubject: x\r\n\r\nFrom: x@y.example\r\n"
            reply = c.message("eve@example.com", "b@example.net", letter)
            self.assertEqual(reply.code, 250 if header in good else 550, header)
        self.assertTrue(reply.text.startswith("5.7.1"))
        self.hops[0].wait_messages(len(good))
        self.assertEqual(gateway.wait_log(event="refused")["login"], "eve@example.com")

    def test_header_in_chunks(self):
        c = self.logged_in(self.secure())
        for who, code in ((b"eve", 250), (b"bob", 550)):
            letter = b"From: " + who + b"@example.com\r\nSubject: x\r\n\r\nHello\r\n"
            c.command("MAIL FROM:<eve@example.com>", 250)
            c.command("RCPT TO:<b@example.net>", 250)
            c.send(b"BDAT 10\r\n" + letter[:10])
            c.expect(250)
            c.send(b"BDAT %d LAST\r\n" % (len(letter) - 10) + letter[10:])
            c.expect(code)

    def test_header_of_a_large_message(self):
        c = self.logged_in(self.secure())
        for who, code in ((b"eve", 250), (b"bob", 550)):
            letter = (b"X: " + b"y" * 70 + b"\r\n") * 1000 + b"From: " + who + b"@example.com\r\n\r\n"
            letter += (b"z" * 998 + b"\r\n") * 5000
            for declared in ("", " SIZE=6000000"):
                c.command("MAIL FROM:<eve@example.com>" + declared, 250)
                c.command("RCPT TO:<b@example.net>", 250)
                c.command("DATA", 354)
                c.send(letter + b".\r\n")
                c.expect(code)

    def test_what_the_listener_asks(self):
        other = LETTER.replace(b"eve@", b"other@")
        for mode, envelope, header in (("none", 250, 250), ("envelope", 553, 250), ("header", 250, 550)):
            c = self.logged_in(self.secure("auth = required sender_match = " + mode))
            c.command("MAIL FROM:<other@example.com>", envelope)
            c.command("RSET", 250)
            self.assertEqual(c.message("eve@example.com", "b@example.net", other).code, header)

    def test_only_of_those_who_logged_in(self):
        gateway = self.secure("auth = optional")
        with gateway.client() as c:
            c.hello()
            self.assertEqual(c.message("any@where.example", "b@example.net", b"Subject: x\r\n\r\n").code, 250)


class Configuration(AuthTest):
    def refuses(self, text, *wanted):
        folder = self.folder()
        path = folder + "/conf"
        with open(path, "w") as f:
            f.write("hostname = mx.example.test\nstate = %s\ndomain example.net { next_hop = 127.0.0.1:1 }\n%s"
                    % (folder, text))
        p = subprocess.run([harness.TMAILD, "-t", "-c", path], capture_output=True, text=True)
        self.assertEqual(p.returncode == 0, not wanted, p.stderr)
        for word in wanted:
            self.assertIn(word, p.stderr)
        return p

    def test_submission_ports_want_a_login(self):
        cert, key = self.certificate()
        tls = 'tls { certificate = "%s" key = "%s" }\n' % (cert, key)
        self.refuses(tls + "listener { address = 127.0.0.1:587 }\n", "conf:5:", "nobody knows their passwords",
                     "auth = none")
        self.refuses("listener { address = 127.0.0.1:465 }\n" + self.users, "under TLS only")
        self.refuses(tls + "listener { address = 127.0.0.1:587 }\n" + self.users)
        self.refuses(tls + "listener { address = 127.0.0.1:587 auth = none }\n")
        self.refuses("listener { address = 127.0.0.1:25 }\n" + self.users)

    def test_users_and_secrets(self):
        listener = "listener { address = 127.0.0.1:25 }\n"
        p = self.refuses(listener + "user x { password = hunter2 }\n", "conf:5: user x: 'password'", "tmail user hash")
        self.assertNotIn("hunter2", p.stderr)
        twice = self.users + self.users.replace("bob", "BOB").split("\n")[1]
        self.refuses(listener + twice, "user BOB: there is user bob")
        self.refuses(listener + "auth { lockout = \"10 in 10 for 1h\" }\n", "10 in 10min for 1h")
        self.refuses(listener + "auth { source = dovecot:192.0.2.1:99 }\n", "on this machine")
        self.refuses(listener + "auth { source = { \"dovecot:unix:/run/dovecot/auth-tmail\", directory } }\n")
        self.refuses(listener + "secret x { user = u }\n", "either 'file' or 'password'")
        self.refuses(listener + "secret x { user = u  file = /nonexistent/secret }\n", "secret x",
                     "/nonexistent/secret")
        self.refuses(listener + "secret provider { user = u password = p }\n"
                     "route r { login = provder next_hop = 127.0.0.1:1 }\n", "did you mean 'provider'?")
