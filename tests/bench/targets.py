# SPDX-License-Identifier: MIT
"""What is measured: tmail, Postfix, and nothing at all. Each listens on `port` and relays to the sink."""

import mmap
import os
import socket
import struct
import subprocess
import time

import postfix
from accounting import Account, process_cpu


def free_port():
    with socket.socket() as s:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def greets(port):
    try:
        with socket.create_connection(("127.0.0.1", port), 2) as s:
            s.settimeout(5)
            good = s.recv(512).startswith(b"220")
            s.sendall(b"QUIT\r\n")
            s.recv(512)
            return good
    except OSError:
        return False


def wait_greeting(port, seconds=30, process=None):
    """Until PORT greets; how long it took."""
    begin = time.monotonic()
    while not greets(port):
        if process is not None and process.poll() is not None:
            raise RuntimeError("the target ended with status %d" % process.returncode)
        if time.monotonic() - begin > seconds:
            raise RuntimeError("nothing greets on port %d" % port)
        time.sleep(0.01)
    return time.monotonic() - begin


class Sink:
    """bench-sink and its counters."""

    NAMES = ("messages", "bytes", "first_ns", "latest_ns", "connections", "open", "recipients", "commands")

    def __init__(self, programs, folder, *modes):
        self.counters = os.path.join(folder, "sink.counters")
        self.port = free_port()
        command = [os.path.join(programs, "bench-sink"), str(self.port), self.counters, "quickack", *modes]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
        wait_greeting(self.port, 10, self.process)
        with open(self.counters, "rb") as f:
            self.map = mmap.mmap(f.fileno(), 64, prot=mmap.PROT_READ)

    def get(self, name):
        return struct.unpack_from("=Q", self.map, 8 * self.NAMES.index(name))[0]

    def cpu(self):
        return process_cpu(self.process.pid)

    def stop(self):
        self.process.terminate()
        self.process.wait()

    def drain(self, count, seconds):
        """Waits for COUNT messages; False when they stop coming."""
        end = time.monotonic() + seconds
        seen, when = -1, time.monotonic()
        while time.monotonic() < end:
            n = self.get("messages")
            if n >= count:
                return True
            if n != seen:
                seen, when = n, time.monotonic()
            if time.monotonic() - when > 30:
                return False
            time.sleep(0.01)
        return False


class Target:
    """folder: a fresh one for configuration and queue."""

    name = "null"

    def __init__(self, folder, sink_port, options):
        self.folder = folder
        self.sink_port = sink_port
        self.options = options
        self.port = None
        self.process = None
        self.account = Account()

    def start(self):
        self.port = self.sink_port

    def spawn(self, command, **kw):
        with open(os.path.join(self.folder, "stdio"), "ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            cwd=self.folder, start_new_session=True, preexec_fn=self.account.enter,
                                            **kw)
        self.account.root = self.process.pid

    def stop(self):
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def close(self):
        self.stop()
        self.account.close()


class Tmail(Target):
    name = "tmail"

    CONFIG = """\
hostname = bench.example
state = "{folder}/state"
{threads}
listener smtp {{ address = {{ "127.0.0.1:{port}" }} }}
admin {{ socket = "{folder}/state/admin.sock" }}
log {{ to = "{folder}/log" }}
limits {{ sessions = 20000 sessions_per_client = 20000 }}
domain example.net {{ next_hop = {{ "127.0.0.1:{sink}" }} tls = none recipients = any }}
{extra}
"""

    def start(self, extra="", arguments=(), seconds=30):
        self.port = self.port or free_port()
        with open(os.path.join(self.folder, "tmail.conf"), "w") as f:
            f.write(self.CONFIG.format(folder=self.folder, port=self.port, sink=self.sink_port, extra=extra,
                                       threads=self.options.get("threads", "")))
        self.spawn([self.options["tmaild"], "-c", os.path.join(self.folder, "tmail.conf"), *arguments])
        return wait_greeting(self.port, seconds, self.process)

    def cli(self, *words):
        p = subprocess.run([self.options["tmail"], "-c", os.path.join(self.folder, "tmail.conf"), *words],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, timeout=120)
        return p.stdout


class Secure(Tmail):
    """With a listener that speaks TLS from the first byte on, at `tls_port`."""

    name = "tmail tls"

    def start(self, extra="", arguments=(), seconds=30):
        self.tls_port = free_port()
        pem = os.path.join(self.folder, "tls.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-days", "30", "-subj", "/CN=bench.example", "-keyout", pem + ".part", "-out", pem], check=True,
                       stderr=subprocess.DEVNULL)
        with open(pem, "a") as out, open(pem + ".part") as key:
            out.write(key.read())
        extra += 'tls { certificate = "%s" }\nlistener tls { address = { "127.0.0.1:%d" } tls = implicit }\n' % (
            pem, self.tls_port)
        return super().start(extra, arguments, seconds)


class Discard(Tmail):
    name = "tmail --discard"

    def start(self, extra="", arguments=(), seconds=30):
        return super().start(extra, ("--discard", *arguments), seconds)


class Postfix(Target):
    """Debian's Postfix, as fast as its parameters make it on this load, logging on."""

    name = "postfix"

    TUNING = """\
default_process_limit = 100
max_use = 1000
in_flow_delay = 0
smtpd_recipient_restrictions =
smtpd_client_connection_count_limit = 0
default_destination_concurrency_limit = 20
initial_destination_concurrency = 20
smtp_tls_security_level = none
smtpd_tls_security_level = none
message_size_limit = 104857600
mailbox_size_limit = 0
biff = no
"""

    def start(self, seconds=30):
        self.port = free_port()
        command = postfix.prepare(self.folder, self.port, self.sink_port, self.TUNING,
                                  max(100, self.options.get("sessions", 0) + 10))
        # No name server in sight: every look-up is refused at once instead of costing seconds.
        resolv = os.path.join(self.folder, "resolv.conf")
        with open(resolv, "w") as f:
            f.write("nameserver 127.0.0.1\n")
        self.spawn(["unshare", "-m", "sh", "-c", 'mount --bind "$0" /etc/resolv.conf && exec "$@"', resolv, *command])
        return wait_greeting(self.port, seconds, self.process)


KINDS = {"null": Target, "tmail": Tmail, "discard": Discard, "tls": Secure, "postfix": Postfix}
