# SPDX-License-Identifier: MIT
"""A scriptable SMTP server to relay to: by default it takes and keeps every message."""

import hashlib
import re
import socket
import ssl
import threading
import time

HANG = object()   # say nothing until the test ends
CLOSE = object()  # close the connection in place of a reply
RESET = object()  # end it by RST

STAGES = ("connect", "ehlo", "lhlo", "helo", "starttls", "mail", "rcpt", "data", "dot", "rset", "noop", "quit", "body")


class Delay:
    """Waits SECONDS, then answers THEN (None: the default)."""

    def __init__(self, seconds, then=None):
        self.seconds = seconds
        self.then = then


class Message:
    """What arrived: sender, recipients (the accepted ones), data (exact bytes, dots unstuffed), parameters of MAIL,
    parameters of each RCPT, helo, tls (None or the version), connection (a number), client (its address), when. Where the hop was asked for a
    digest: no data, but the SHA-256 of what stands below our Received field, dots as on the wire."""

    def __init__(self, session):
        self.sender = session.sender
        self.mail_parameters = session.mail_parameters
        self.recipients = list(session.recipients)
        self.rcpt_parameters = dict(session.rcpt_parameters)
        self.data = bytes(session.body)
        self.digest = session.digest
        self.helo = session.helo
        self.tls = session.tls
        self.connection = session.number
        self.client = session.client
        self.when = time.monotonic()

    def header(self, name):
        """The first value of a header field, unfolded, or None."""
        values = self.headers(name)
        return values[0] if values else None

    def headers(self, name):
        head = self.data.split(b"\r\n\r\n", 1)[0].decode("latin-1")
        head = re.sub(r"\r\n[ \t]+", " ", head)
        return [line.split(":", 1)[1].strip() for line in head.split("\r\n")
                if line.lower().startswith(name.lower() + ":")]

    @property
    def content(self):
        """The message below our own Received field: what the client sent."""
        return re.sub(rb"\AReceived:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", b"", self.data)


class NextHop:
    """A threaded SMTP server on a loopback port.

    script(stage, *answers) sets what is said at a stage, one answer a time, the last repeated; None is the default
    answer. An answer is a reply text (str, lines divided by a newline), bytes sent as they are, HANG, CLOSE, RESET,
    Delay(), or a function(session, argument) that returns one of them. recipient(address, answer) sets the answer
    to one recipient. With lmtp=True it speaks LMTP (RFC 2033): LHLO, and after the dot an answer for each accepted
    recipient, the stage "dot" unless end(address, answer) has set another. A body answer (stage "body") is given in mid-data, after `body_limit` bytes."""

    def __init__(self, port=0, address="127.0.0.1", tls=None, pipelining=True, listen=True, hostname="hop.example.net",
                 extensions=("SIZE 2147483648", "8BITMIME", "ENHANCEDSTATUSCODES"), quick_ack=True, keep=True,
                 digest=False, lmtp=False, nagle=False):
        self.tls = tls  # an ssl.SSLContext of a server: STARTTLS is offered
        self.hostname = hostname
        self.extensions = list(extensions)
        if pipelining:
            self.extensions.insert(0, "PIPELINING")
        self.body_limit = 0
        self.keep = keep
        self.digest = digest  # of large messages only the SHA-256 is kept
        self.quick_ack = quick_ack
        self.nagle = nagle  # True: as servers do that never heard of TCP_NODELAY
        self.lmtp = lmtp
        self.verbs = {}  # more of them: name to function(session, argument)
        self.answers = {}
        self.recipients = {}
        self.ends = {}
        self.messages = []
        self.commands = []
        self.connections = 0
        self.transactions = 0
        self.open = 0
        self.most_open = 0
        self.received = 0
        self.changed = threading.Condition()
        self.stopping = threading.Event()
        self.sockets = set()
        self.family = socket.AF_UNIX if "/" in address else socket.AF_INET6 if ":" in address else socket.AF_INET
        self.listener = socket.socket(self.family, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(address if self.family == socket.AF_UNIX else (address, port))
        self.address = address
        self.port = 0 if self.family == socket.AF_UNIX else self.listener.getsockname()[1]
        if listen:
            self.listen()

    @property
    def text(self):
        """As a configuration writes it."""
        before = "lmtp:" if self.lmtp else ""
        if self.family == socket.AF_UNIX:
            return before + "unix:" + self.address
        return before + ("[%s]:%d" if self.family == socket.AF_INET6 else "%s:%d") % (self.address, self.port)

    def listen(self):
        """Begins to answer; before it, connections are refused although the port is ours."""
        self.listener.listen(512)
        threading.Thread(target=self._accept, daemon=True).start()

    def script(self, stage, *answers):
        if stage not in STAGES:
            raise ValueError("no stage %r" % stage)
        self.answers[stage] = list(answers)
        return self

    def recipient(self, address, *answers):
        self.recipients[address.lower()] = list(answers)
        return self

    def end(self, address, *answers):
        """LMTP: what the end of the message is answered for one recipient."""
        self.ends[address.lower()] = list(answers)
        return self

    def reset(self):
        """Back to the defaults."""
        self.ends.clear()
        self.answers.clear()
        self.recipients.clear()

    def next_answer(self, answers):
        if not answers:
            return None
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def stop(self):
        self.stopping.set()
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for s in list(self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        with self.changed:
            self.changed.wait_for(lambda: self.open == 0, 5)

    def drop_connections(self):
        """Closes every connection as it stands."""
        for s in list(self.sockets):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # ---- waiting

    def wait(self, predicate, timeout, what):
        with self.changed:
            if not self.changed.wait_for(predicate, timeout):
                raise AssertionError("%s not seen within %g s (%d messages, %d connections, %d transactions)" %
                                     (what, timeout, len(self.messages), self.connections, self.transactions))

    def wait_messages(self, count, timeout=30):
        """The first COUNT messages or more; an AssertionError when they do not arrive in time."""
        self.wait(lambda: self.received >= count, timeout, "%d messages" % count)
        with self.changed:
            return list(self.messages)

    def wait_connections(self, count, timeout=30):
        self.wait(lambda: self.connections >= count, timeout, "%d connections" % count)

    def wait_command(self, verb, count=1, timeout=30):
        """Until the COUNT-th command VERB was received."""
        self.wait(lambda: sum(c.upper().startswith(verb.upper()) for c in self.commands) >= count, timeout,
                  "%d %s" % (count, verb))

    def note(self, **changes):
        with self.changed:
            for name, by in changes.items():
                setattr(self, name, getattr(self, name) + by)
            self.most_open = max(self.most_open, self.open)
            self.changed.notify_all()

    def note_command(self, line):
        with self.changed:
            self.commands.append(line)
            self.changed.notify_all()

    def note_message(self, message):
        with self.changed:
            if self.keep:
                self.messages.append(message)
            self.received += 1
            self.changed.notify_all()

    def _accept(self):
        while not self.stopping.is_set():
            try:
                s, _ = self.listener.accept()
            except OSError:
                return
            if self.family != socket.AF_UNIX and not self.nagle:
                s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.sockets.add(s)
            self.note(connections=1, open=1)
            session = HopSession(self, s, self.connections)
            threading.Thread(target=self._serve, args=(session,), daemon=True).start()

    def _serve(self, session):
        first = session.socket
        try:
            session.run()
        except (OSError, EOFError, ValueError):
            pass
        finally:
            session.close()
            self.sockets.discard(first)
            self.note(open=-1)


class HopSession:
    """One connection to the next hop."""

    def __init__(self, hop, sock, number):
        self.hop = hop
        self.socket = sock
        self.number = number
        self.client = sock.getpeername()[0] if hop.family != socket.AF_UNIX else "unix"
        self.buffer = b""
        self.helo = None
        self.tls = None
        self.clear()

    def clear(self):
        self.sender = None
        self.mail_parameters = ""
        self.recipients = []
        self.rcpt_parameters = {}
        self.body = bytearray()
        self.digest = None

    def close(self):
        try:
            self.socket.close()
        except OSError:
            pass

    def fill(self):
        more = self.socket.recv(262144)
        if not more:
            raise EOFError
        if self.hop.quick_ack and self.tls is None and self.hop.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.buffer += more

    def line(self):
        while b"\n" not in self.buffer:
            self.fill()
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r").decode("utf-8", "backslashreplace")

    def say(self, answer, default, argument=None):
        """Gives an answer; the code of what was said, or 0 when it is no reply."""
        if callable(answer):
            answer = answer(self, argument)
        if isinstance(answer, Delay):
            if self.hop.stopping.wait(answer.seconds):
                raise EOFError
            answer = answer.then
        if answer is None:
            answer = default
        if answer is HANG:
            self.hop.stopping.wait()
            raise EOFError
        if answer is RESET:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        if answer is RESET or answer is CLOSE:
            raise EOFError
        if isinstance(answer, bytes):
            self.socket.sendall(answer)
            return int(answer[:3]) if re.match(rb"[2-5]\d\d", answer) else 0
        lines = answer.split("\n")
        code = lines[0][:3]
        texts = [lines[0][4:]] + [x[4:] if x[:3] == code else x for x in lines[1:]]
        marks = ["-"] * (len(texts) - 1) + [" "]
        self.socket.sendall("".join("%s%s%s\r\n" % (code, m, t) for m, t in zip(marks, texts)).encode())
        return int(code)

    def stage(self, stage, default, argument=None):
        return self.say(self.hop.next_answer(self.hop.answers.get(stage)), default, argument)

    def run(self):
        self.stage("connect", "220 %s ESMTP" % self.hop.hostname)
        while True:
            line = self.line()
            self.hop.note_command(line)
            verb, _, rest = line.partition(" ")
            handler = getattr(self, "do_" + verb.lower(), None)
            if verb.upper() in self.hop.verbs:
                self.hop.verbs[verb.upper()](self, rest)
            elif handler is None:
                self.say(None, "500 5.5.1 what?")
            elif handler(rest) is False:
                return

    def do_lhlo(self, rest):
        if not self.hop.lmtp:
            return self.say(None, "500 5.5.1 what?")
        return self.hello("lhlo", rest)

    def do_ehlo(self, rest):
        if self.hop.lmtp:
            return self.say(None, "500 5.5.1 this is LMTP")
        return self.hello("ehlo", rest)

    def hello(self, stage, rest):
        self.helo = rest
        extensions = list(self.hop.extensions)
        if self.hop.tls is not None and self.tls is None:
            extensions.append("STARTTLS")
        self.stage(stage, "\n".join(["250 " + self.hop.hostname] + extensions), rest)

    def do_helo(self, rest):
        if self.hop.lmtp:
            return self.say(None, "500 5.5.1 this is LMTP")
        self.helo = rest
        self.stage("helo", "250 " + self.hop.hostname, rest)

    def do_starttls(self, rest):
        if self.stage("starttls", "220 2.0.0 go") != 220:
            return
        self.buffer = b""
        self.socket = self.hop.tls.wrap_socket(self.socket, server_side=True)
        self.tls = self.socket.version()
        self.clear()

    def do_mail(self, rest):
        self.hop.note(transactions=1)
        m = re.match(r"FROM:<([^>]*)> ?(.*)", rest, re.I)
        code = self.stage("mail", "250 2.1.0 ok", rest)
        if code == 250 and m:
            self.clear()
            self.sender, self.mail_parameters = m.group(1), m.group(2)

    def do_rcpt(self, rest):
        m = re.match(r"TO:<([^>]*)> ?(.*)", rest, re.I)
        if m is None or self.sender is None:
            return self.say(None, "503 5.5.1 no")
        address = m.group(1)
        answers = self.hop.recipients.get(address.lower(), self.hop.answers.get("rcpt"))
        if self.say(self.hop.next_answer(answers), "250 2.1.5 ok", address) in (250, 251):
            self.recipients.append(address)
            self.rcpt_parameters[address] = m.group(2)

    def do_data(self, rest):
        if not self.recipients:
            return self.say(None, "554 5.5.1 no valid recipients")
        if self.stage("data", "354 go ahead") != 354:
            return
        if self.hop.digest:
            self.digest_body()
        else:
            self.read_body()
        self.end_of_data()

    def end_of_data(self):
        message = Message(self)
        if self.hop.lmtp:
            return self.end_each(message)
        code = self.stage("dot", "250 2.0.0 taken", message)
        if code == 250:
            self.hop.note_message(message)
        self.clear()

    def end_each(self, message):
        """RFC 2033 4.2: one reply for each accepted recipient, in the order of the RCPTs."""
        taken = []
        for address in message.recipients:
            answers = self.hop.ends.get(address.lower(), self.hop.answers.get("dot"))
            if self.say(self.hop.next_answer(answers), "250 2.0.0 taken", message) == 250:
                taken.append(address)
        message.recipients = taken
        if taken:
            self.hop.note_message(message)
        self.clear()

    def do_bdat(self, rest):
        words = rest.split()
        size = int(words[0])
        while len(self.buffer) < size:
            self.fill()
        self.body += self.buffer[:size]
        self.buffer = self.buffer[size:]
        if not self.recipients:
            return self.say(None, "503 5.5.1 no recipients")
        if len(words) == 1:
            return self.say(None, "250 2.0.0 %d octets" % size)
        self.end_of_data()

    def read_body(self):
        """Everything up to CRLF.CRLF, unstuffed."""
        data = bytearray(b"\r\n") + self.buffer  # an empty body begins with the dot
        self.buffer = b""
        seen = 0
        while True:
            end = data.find(b"\r\n.\r\n", max(seen - 4, 0))
            if end >= 0:
                break
            seen = len(data)
            if "body" in self.hop.answers and seen - 2 >= self.hop.body_limit:
                if self.stage("body", "451 4.3.0 enough") != 0:
                    raise EOFError
            self.fill()
            data += self.buffer
            self.buffer = b""
        self.buffer = bytes(data[end + 5:])
        self.body = re.sub(rb"(?m)^\.\.", b".", bytes(data[2:end + 2]))

    def digest_body(self):
        """Like read_body(), for messages that do not begin with a dot, in constant memory."""
        digest = hashlib.sha256()
        while b"\r\n\r\n" not in self.buffer:
            self.fill()
        self.buffer = re.sub(rb"\AReceived:[^\r]*\r\n(?:[ \t][^\r]*\r\n)*", b"", self.buffer)
        while b"\r\n.\r\n" not in self.buffer:
            digest.update(self.buffer[:-4])
            self.buffer = self.buffer[-4:]
            self.fill()
        raw, self.buffer = self.buffer.split(b"\r\n.\r\n", 1)
        digest.update(raw + b"\r\n")
        self.digest = digest.hexdigest()

    def do_rset(self, rest):
        self.clear()
        self.stage("rset", "250 2.0.0 ok")

    def do_noop(self, rest):
        self.stage("noop", "250 2.0.0 ok")

    def do_quit(self, rest):
        self.stage("quit", "221 2.0.0 bye")
        return False


def server_context(certificate, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context
