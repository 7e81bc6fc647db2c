# SPDX-License-Identifier: MIT
"""An SMTP client that says exactly what a test tells it to, byte by byte or as a transcript."""

import re
import socket
import ssl
import time


class Reply:
    """One reply: .code, .lines (text without the code) and .text (all lines, joined by a newline)."""

    def __init__(self, lines):
        self.raw = lines
        self.code = int(lines[-1][:3])
        self.lines = [line[4:] for line in lines]
        self.text = "\n".join(self.lines)

    def __repr__(self):
        return "Reply(%d %r)" % (self.code, self.text)


class Closed(Exception):
    """The peer closed the connection where more was expected."""


def _matches(pattern, line):
    """`...` in a pattern stands for any run of characters."""
    regex = ".*".join(re.escape(part) for part in pattern.split("..."))
    return re.fullmatch(regex, line) is not None


class Client:
    """A connection to a gateway. The greeting is left to the test (or to hello())."""

    def __init__(self, address, timeout=20, source=None):
        self.address = address
        self.timeout = timeout
        self.transcript = []
        self.buffer = b""
        self.socket = socket.create_connection(address, timeout, source_address=source)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    # ---- bytes

    def send(self, data):
        """Bytes as they are; a str gets CRLF at its end."""
        if isinstance(data, str):
            data = data.encode("utf-8", "surrogateescape") + b"\r\n"
        shown = data if len(data) < 200 else data[:200] + b" ... %d bytes" % len(data)
        self.transcript.append("C: %r" % shown)
        self.socket.sendall(data)

    def send_split(self, data, size=1, pause=0.001):
        """The bytes in pieces of SIZE, each a segment of its own."""
        for i in range(0, len(data), size):
            self.socket.sendall(data[i:i + size])
            time.sleep(pause)
        self.transcript.append("C: %r in pieces of %d" % (data[:200], size))

    def recv_line(self):
        """One line of a reply without its CRLF; Closed at the end of the stream, TimeoutError when none comes."""
        while b"\n" not in self.buffer:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                self.transcript.append("S: <closed> %r" % self.buffer)
                raise Closed("connection closed, unread %r" % self.buffer)
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        if not line.endswith(b"\r"):
            raise AssertionError("the server ended a line without CR: %r" % line)
        text = line[:-1].decode("utf-8", "backslashreplace")
        self.transcript.append("S: " + text)
        return text

    def recv_reply(self):
        """One whole reply, however many lines it has."""
        lines = [self.recv_line()]
        while lines[-1][3:4] == "-":
            lines.append(self.recv_line())
        for line in lines:
            if not re.match(r"[2-5][0-9][0-9]([ -]|$)", line) or line[:3] != lines[0][:3]:
                raise AssertionError("not a reply: %r" % lines)
        return Reply(lines)

    def closed(self, timeout=None):
        """True when the peer closes the connection within TIMEOUT without saying more."""
        self.socket.settimeout(timeout or self.timeout)
        try:
            return not self.buffer and self.socket.recv(1) == b""
        except ConnectionResetError:
            return True
        except TimeoutError:
            return False
        finally:
            self.socket.settimeout(self.timeout)

    def silent(self, seconds):
        """True when nothing comes for SECONDS."""
        self.socket.settimeout(seconds)
        try:
            more = self.socket.recv(65536)
            self.buffer += more
            return False
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(self.timeout)

    def half_close(self):
        self.socket.shutdown(socket.SHUT_WR)

    def reset(self):
        """Ends the connection by RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.socket.close()

    def close(self):
        self.socket.close()

    # ---- commands

    def expect(self, code, text="..."):
        """The next reply, which must have CODE (an int, or the first digit as in "4xx") and match TEXT."""
        reply = self.recv_reply()
        wanted = str(code)
        if wanted.endswith("xx"):
            good = str(reply.code)[0] == wanted[0]
        else:
            good = reply.code == int(wanted)
        if not good or not any(_matches(text, line) for line in reply.lines):
            raise AssertionError("expected %s %s, got %r" % (code, text, reply))
        return reply

    def command(self, line, code=None):
        """Sends a line and returns its reply, which must have CODE if one is given."""
        self.send(line)
        return self.recv_reply() if code is None else self.expect(code)

    def hello(self, name="client.example"):
        """The greeting and EHLO; returns the EHLO reply."""
        self.expect(220)
        return self.command("EHLO " + name, 250)

    def starttls(self, context=None, name=None):
        """STARTTLS and the handshake; certificates are not verified unless CONTEXT does."""
        self.command("STARTTLS", 220)
        self.handshake(context, name)

    def handshake(self, context=None, name=None):
        if context is None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket, server_hostname=name)
        self.transcript.append("-- " + str(self.socket.version()))

    def message(self, sender, recipients, data, pipelined=False):
        """One whole transaction; returns the reply to end-of-data. DATA is not dot-stuffed yet. Replies before
        the last must be good."""
        if isinstance(recipients, str):
            recipients = [recipients]
        lines = ["MAIL FROM:<%s>" % sender] + ["RCPT TO:<%s>" % r for r in recipients] + ["DATA"]
        if pipelined:
            self.send("\r\n".join(lines))
        for line in lines:
            if not pipelined:
                self.send(line)
            self.expect(354 if line == "DATA" else 250)
        self.send(dot_stuffed(data))
        return self.recv_reply()

    # ---- transcripts

    def dialogue(self, text):
        """Plays a transcript. Each line is one of

            C: text        a line sent with CRLF; lines not divided by an S: go out in one segment
            C+ text        bytes sent as they are, with \\r \\n \\t \\\\ and \\xHH
            S: 250         one whole reply with this code, whatever its text
            S: 250 text    the last (or only) line of a reply; `...` stands for any characters
            S: 250-text    one continuation line
            S: 250-...     any number of continuation lines, none included
            S: <closed>    the server closes the connection
            TLS            the handshake
            # text         a comment

        and returns the lines received."""
        got = []
        pending = b""
        steps = [s.strip() for s in text.strip().splitlines()]
        steps = [s for s in steps if s and not s.startswith("#")]
        for step in steps:
            if step.startswith("C:"):
                pending += step[3:].encode() + b"\r\n"
            elif step.startswith("C+"):
                pending += step[3:].encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
            elif step.startswith("S:"):
                if pending:
                    self.send(pending)
                    pending = b""
                got += self._dialogue_expect(step[3:].strip())
            elif step == "TLS":
                self.handshake()
            else:
                raise ValueError("not a step of a dialogue: %r" % step)
        if pending:
            self.send(pending)
        return got

    def _dialogue_expect(self, pattern):
        if pattern == "<closed>":
            if not self.closed():
                raise AssertionError("the connection is still open, unread %r" % self.buffer)
            return []
        if re.fullmatch(r"\d\d\d", pattern):
            return self.expect(int(pattern)).raw
        if pattern[3:] == "-...":
            return self._skip_continuations(pattern[:4])
        line = self.recv_line()
        if not _matches(pattern, line):
            raise AssertionError("expected %r, got %r" % (pattern, line))
        return [line]

    def _skip_continuations(self, prefix):
        got = []
        while True:
            line = self.recv_line()
            if not line.startswith(prefix):
                self.buffer = (line + "\r\n").encode() + self.buffer
                return got
            got.append(line)


def dot_stuffed(data):
    """A message as it goes over the wire: dots stuffed, CRLF.CRLF at the end."""
    if isinstance(data, str):
        data = data.encode()
    data = re.sub(rb"(?m)^\.", b"..", data) if data else data
    if data and not data.endswith(b"\r\n"):
        data += b"\r\n"
    return data + b".\r\n"
