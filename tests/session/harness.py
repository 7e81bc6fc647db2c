# SPDX-License-Identifier: MIT
"""Black-box tests: a gateway in a folder of its own, its clients and its next hops.

    class Relay(harness.SessionTest):
        def test_message_arrives(self):
            hop = self.next_hop()
            gateway = self.gateway(next_hop=hop)
            with gateway.client() as c:
                c.hello()
                self.assertEqual(c.message("a@example.com", "b@example.net", LETTER).code, 250)
            self.assertEqual(hop.wait_messages(1)[0].content, LETTER)

TMAILD and TMAIL name the programs (default: those of the current folder, the build folder)."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import unittest

from client import Client, Closed, Reply, dot_stuffed  # noqa: F401 (part of the harness's interface)
from nexthop import CLOSE, HANG, RESET, Delay, Message, NextHop, server_context  # noqa: F401
from zone import Zone

TMAILD = os.path.abspath(os.environ.get("TMAILD", "./tmaild"))
TMAIL = os.path.abspath(os.environ.get("TMAIL", "./tmail"))
SLOW = float(os.environ.get("TMAIL_TEST_SLOW", "1"))  # time limits are multiplied by it (sanitizers, valgrind)
IN_CI = os.environ.get("CI", "") not in ("", "0", "false")

# For `extra`: deferred mail is tried again within a second or two.
RETRY_SOON = "queue { retry = { 1s, 2s } }\n"

# What a sanitizer or a failed check() leaves in the gateway's standard error.
REPORTS = re.compile(r"ERROR: \w+Sanitizer|WARNING: ThreadSanitizer|: runtime error: |SUMMARY: \w+Sanitizer|"
                     r"LeakSanitizer has encountered|check failed|Assertion .* failed")

CONFIG = """\
hostname = {hostname}
state    = "{state}"
{threads}
listener smtp {{ address = {{ {addresses} }} {listener} }}
admin {{ socket = "{socket}" }}
log {{ to = stderr level = {level} }}
"""


def small_segments(text):
    """The four segments a spool begins with are written in full: small ones make a gateway start at once."""
    if "segment_size" in text:
        return text
    if "queue {" in text:
        return text.replace("queue {", "queue { segment_size = 8MB ", 1)
    return text + "queue { segment_size = 8MB }\n"


def free_port(address="127.0.0.1"):
    """A port kept for us: bound, not listening. A server that sets SO_REUSEADDR can bind it too, nobody gets it by
    chance. Returns (port, socket); keep the socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    s = socket.socket(family, socket.SOCK_STREAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind((address, 0))
    return s.getsockname()[1], s


def parse_record(line):
    """A log line as a dict. The words before the first key are the time, the level and the event."""
    record = {}
    bare = []
    for m in re.finditer(r'(?:([^\s="]+)=)?(?:"((?:[^"\\]|\\.)*)"|(\S*))', line):
        key, quoted, plain = m.groups()
        if quoted is not None:
            value = quoted.encode("latin-1", "backslashreplace").decode("unicode_escape")
        else:
            value = plain
        if key is not None:
            record[key] = value
        elif value:
            bare.append(value)
    for name, value in zip(("time", "level", "event"), bare):
        record.setdefault(name, value)
    return record


def process_tree(root):
    """Every living process that descends from ROOT or is in its process group, ROOT included."""
    parents, group = {}, set()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open("/proc/%s/stat" % name) as f:
                fields = f.read().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if fields[0] in "ZX":
            continue
        parents[int(name)] = int(fields[1])
        if int(fields[2]) == root:
            group.add(int(name))
    found = group | ({root} & parents.keys())
    while True:
        more = {p for p, parent in parents.items() if parent in found} - found
        if not more:
            return found
        found |= more


class Gateway:
    """One tmaild with its configuration, state, listener and log in a fresh folder.

    config: a whole configuration; {dir} {port} {state} {socket} are filled in. Otherwise it is made of
    next_hop   a NextHop, a text as "127.0.0.1:25", or a list of them: where mail for `domains` goes
    domains    the recipient domains that are ours (default example.net)
    route      more keys for the domain block, as "tls = required"
    listener   more keys for the listener block
    extra      more statements
    env        more environment; clock_offset: seconds the gateway's clock is ahead
    args       more arguments for tmaild, preload: a shared object for LD_PRELOAD"""

    def __init__(self, config=None, next_hop=None, domains=("example.net",), route="", listener="", extra="",
                 hostname="mx.example.test", address="127.0.0.1", threads=None, level="debug", env=None, args=(),
                 clock_offset=0, preload=None, wrapper=(), start=True):
        self.folder = tempfile.mkdtemp(prefix="tmail-test-")
        os.chmod(self.folder, 0o755)  # the worker's account must get through to the state folder
        self.config_path = os.path.join(self.folder, "tmail.conf")
        self.log_path = os.path.join(self.folder, "log")
        self.state = os.path.join(self.folder, "state")
        self.admin_socket = os.path.join(self.state, "admin.sock")
        self.host = address
        self.port, self.port_holder = free_port(address)
        self.env = dict(env or {})
        self.args = list(args)
        self.wrapper = list(wrapper)
        self.clock_offset = clock_offset
        self.preload = preload
        self.process = None
        self.clients = []
        self.marks = 0  # connections made for all_records()
        self.log_kept = ""
        names = {"dir": self.folder, "port": self.port, "state": self.state, "socket": self.admin_socket}
        if config is None:
            bind = ("[%s]:%d" if ":" in address else "%s:%d") % (address, self.port)
            config = CONFIG.format(hostname=hostname, addresses='"%s"' % bind, listener=listener, level=level,
                                   threads="" if threads is None else "threads = %d" % threads, **names)
            if next_hop is not None:
                config += self.domain_block(next_hop, domains, route)
            config += small_segments(extra.replace("{dir}", self.folder))
        else:
            config = re.sub(r"\{(dir|port|state|socket)\}", lambda m: str(names[m.group(1)]), config)
        self.write_config(config)
        if start:
            self.start()

    @staticmethod
    def domain_block(next_hop, domains=("example.net",), route=""):
        """A domain block that leads to NEXT_HOP, as the constructor writes it."""
        hops = next_hop if isinstance(next_hop, (list, tuple)) else [next_hop]
        hops = ", ".join('"%s"' % (h if isinstance(h, str) else h.text) for h in hops)
        domains = [domains] if isinstance(domains, str) else list(domains)
        if "recipients" not in route:
            route += " recipients = any"  # no call-outs between what a test counts
        return "domain %s {\n  name = { %s }\n  next_hop = { %s }\n  %s\n}\n" % (
            domains[0], ", ".join('"%s"' % d for d in domains), hops, route)

    @property
    def address(self):
        return (self.host, self.port)

    def write_config(self, text):
        self.config = text
        with open(self.config_path, "w", encoding="utf-8") as f:
            f.write(text)

    # ---- life

    def environment(self):
        env = dict(os.environ)
        env.setdefault("ASAN_OPTIONS", "detect_leaks=1:abort_on_error=0:exitcode=99:handle_abort=0")
        env.setdefault("UBSAN_OPTIONS", "print_stacktrace=1")
        env.setdefault("TSAN_OPTIONS", "exitcode=98")
        if self.clock_offset:
            env["TMAIL_TEST_CLOCK_OFFSET"] = str(int(self.clock_offset))
        if self.preload:
            env["LD_PRELOAD"] = self.preload
            env["ASAN_OPTIONS"] += ":verify_asan_link_order=0"
        env.update(self.env)
        return env

    def start(self, timeout=20, ready=True):
        """Starts tmaild and waits until it greets."""
        if self.process is not None:
            raise AssertionError("the gateway is running")
        if not os.path.exists(TMAILD):
            raise AssertionError("no tmaild at %s: set TMAILD or run in the build folder" % TMAILD)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.wrapper + [TMAILD, "-c", self.config_path] + self.args,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment(),
                                            cwd=self.folder, start_new_session=True)
        if ready:
            self.wait_ready(timeout)
        return self

    def wait_ready(self, timeout=20):
        deadline = time.monotonic() + timeout * SLOW
        while time.monotonic() < deadline:
            if self.process.poll() is not None:
                status = self.process.returncode
                self.process = None
                raise AssertionError("tmaild ended with status %d at start:\n%s" % (status, self.log_text()))
            try:
                with socket.create_connection(self.address, 1) as s:
                    s.settimeout(2)
                    if s.recv(512).startswith(b"220"):
                        s.sendall(b"QUIT\r\n")
                        s.recv(512)
                        return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError("tmaild did not greet within %g s:\n%s" % (timeout * SLOW, self.log_text()[-4000:]))

    def stop(self, timeout=30):
        """SIGTERM; it must end with status 0 within TIMEOUT seconds, leaving no process behind."""
        if self.process is None:
            return
        process, self.process = self.process, None
        os.kill(process.pid, signal.SIGTERM)
        try:
            status = process.wait(timeout * SLOW)
        except subprocess.TimeoutExpired:
            self._kill_tree(process)
            raise AssertionError("tmaild did not stop within %g s of SIGTERM" % (timeout * SLOW)) from None
        left = process_tree(process.pid)
        if left:
            self._kill_tree(process)
            raise AssertionError("tmaild left processes behind: %s" % sorted(left))
        if status != 0:
            raise AssertionError("tmaild ended with status %d after SIGTERM" % status)

    def kill9(self):
        """SIGKILL to supervisor and worker at once; returns when they are gone."""
        if self.process is not None:
            process, self.process = self.process, None
            self._kill_tree(process)

    @staticmethod
    def _kill_tree(process):
        deadline = time.monotonic() + 10
        while True:
            left = process_tree(process.pid)
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            if time.monotonic() > deadline:
                raise AssertionError("processes survive SIGKILL: %s" % sorted(left))
            time.sleep(0.005)
        process.wait(10)

    def restart(self, **kw):
        """A clean stop and a new start on the same state, port and configuration."""
        self.stop()
        return self.start(**kw)

    def worker(self):
        """The process id of the worker."""
        others = process_tree(self.process.pid) - {self.process.pid}
        if len(others) != 1:
            raise AssertionError("expected one worker, found %s" % sorted(others))
        return others.pop()

    def reload(self):
        os.kill(self.process.pid, signal.SIGHUP)

    def remove(self):
        """Ends what runs and removes the folder; the log stays in memory."""
        try:
            for client in self.clients:
                client.close()
            self.kill9()
        finally:
            self.log_kept = self.log_text()
            self.port_holder.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    # ---- clients

    def client(self, **kw):
        client = Client(self.address, **kw)
        self.clients.append(client)
        return client

    def send(self, sender="sender@example.com", recipients="rcpt@example.net", data=b"Subject: test\r\n\r\nHello\r\n",
             code=250):
        """One message over a connection of its own; the reply to end-of-data, which must have CODE."""
        with self.client() as c:
            c.hello()
            reply = c.message(sender, recipients, data)
            c.command("QUIT")
        if code is not None and reply.code != code:
            raise AssertionError("expected %d to end-of-data, got %r" % (code, reply))
        return reply

    # ---- command line and log

    def cli(self, *words, code=0, timeout=30):
        """Runs tmail against this gateway; its standard output. CODE is the exit status it must have (None: any)."""
        p = self.cli_run(*words, timeout=timeout)
        if code is not None and p.returncode != code:
            raise AssertionError("tmail %s: status %d, expected %d\n%s%s" % (" ".join(words), p.returncode, code,
                                                                             p.stdout, p.stderr))
        return p.stdout

    def cli_run(self, *words, timeout=30):
        """Runs tmail; the CompletedProcess with text."""
        env = self.environment()
        env.pop("LD_PRELOAD", None)
        return subprocess.run([TMAIL, "-c", self.config_path, *words], env=env, timeout=timeout * SLOW, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def log_text(self):
        try:
            with open(self.log_path, errors="backslashreplace") as f:
                return f.read()
        except OSError:
            return self.log_kept

    def records(self, **wanted):
        """Log records whose keys have the wanted values (event=, msg=, ...); a value of True: the key is there."""
        found = []
        for line in self.log_text().splitlines():
            record = parse_record(line)
            if all(k in record if v is True else record.get(k) == str(v) for k, v in wanted.items()):
                found.append(record)
        return found

    def all_records(self, **wanted):
        """records() of everything that has happened, also what the log's writer still held. The records come in
        order: once that of a connection made now is there, so are those before it. Needs level debug."""
        if self.process is not None:
            self.marks += 1
            name = "mark-%d.example" % self.marks
            with self.client() as c:
                c.hello(name)
                c.command("QUIT")
            self.wait_log(event="disconnect", helo=name)
        return self.records(**wanted)

    def wait_log(self, timeout=20, count=1, **wanted):
        """Waits for the COUNT-th such record and returns it."""
        deadline = time.monotonic() + timeout * SLOW
        while True:
            found = self.records(**wanted)
            if len(found) >= count:
                return found[count - 1]
            if time.monotonic() > deadline:
                raise AssertionError("no log record with %r within %g s" % (wanted, timeout * SLOW))
            time.sleep(0.02)

    def wait_exit(self, timeout=30):
        """Waits until tmaild ends by itself; its status."""
        process, self.process = self.process, None
        return process.wait(timeout * SLOW)

    def reports(self):
        """Sanitizer reports and failed checks in the log."""
        return [line for line in self.log_text().splitlines() if REPORTS.search(line)]


def wait_until(predicate, timeout=20, what="the condition", pause=0.02):
    """Polls PREDICATE until it is true; returns its value."""
    deadline = time.monotonic() + timeout * SLOW
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError("%s not seen within %g s" % (what, timeout * SLOW))
        time.sleep(pause)


def greets(port):
    """Does a foreign server say 220 there?"""
    try:
        with Client(("127.0.0.1", port), timeout=5) as c:
            return c.recv_reply().code == 220
    except (OSError, Closed):
        return False


def end_process(process):
    """SIGTERM, and after ten seconds SIGKILL."""
    process.terminate()
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def end_family(process):
    """The same for a foreign server, and for those it started."""
    end_process(process)
    deadline = time.monotonic() + 5
    while process_tree(process.pid) and time.monotonic() < deadline:
        for pid in process_tree(process.pid):
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


class SessionTest(unittest.TestCase):
    """Makes gateways and next hops that end with the test. A sanitizer's report fails the test."""

    allow_reports = False  # True in tests that crash the worker on purpose

    def setUp(self):
        self.gateways = []
        self.hops = []
        self.zones = []

    def gateway(self, *args, **kw):
        gateway = None
        start = kw.pop("start", True)
        gateway = Gateway(*args, start=False, **kw)
        self.gateways.append(gateway)
        self.addCleanup(self._end_gateway, gateway)
        if start:
            gateway.start()
        return gateway

    def _end_gateway(self, gateway):
        try:
            gateway.stop()
            reports = gateway.reports()
            if reports and not self.allow_reports:
                raise AssertionError("reports in the gateway's log:\n" + "\n".join(reports[:20]))
        finally:
            gateway.remove()

    def next_hop(self, **kw):
        hop = NextHop(**kw)
        self.hops.append(hop)
        self.addCleanup(hop.stop)
        return hop

    def zone(self, **kw):
        """A DNS server to be scripted; zone.block() makes a gateway ask it."""
        zone = Zone(**kw)
        self.zones.append(zone)
        self.addCleanup(zone.stop)
        return zone

    def folder(self):
        path = tempfile.mkdtemp(prefix="tmail-test-")
        os.chmod(path, 0o755)
        self.addCleanup(shutil.rmtree, path, ignore_errors=True)
        return path

    def certificate(self, name="mx.example.test"):
        """A fresh self-signed certificate: (certificate path, key path)."""
        folder = self.folder()
        cert, key = os.path.join(folder, "cert.pem"), os.path.join(folder, "key.pem")
        need(self, "openssl", "openssl")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-keyout", key, "-out", cert, "-days", "30", "-subj", "/CN=" + name,
                        "-addext", "subjectAltName=DNS:" + name], check=True, stderr=subprocess.DEVNULL)
        os.chmod(key, 0o644)
        return cert, key

    def tls_hop(self, **kw):
        """A next hop that offers STARTTLS with a certificate of its own."""
        return self.next_hop(tls=server_context(*self.certificate("hop.example.net")), **kw)

    def diagnose(self):
        """What helps to understand a failure."""
        parts = []
        for i, gateway in enumerate(self.gateways):
            parts.append("---- gateway %d: configuration\n%s" % (i, gateway.config))
            parts.append("---- gateway %d: log (the end)\n%s" % (i, gateway.log_text()[-8000:]))
            for client in gateway.clients[-3:]:
                parts.append("---- client\n" + "\n".join(client.transcript[-60:]))
        for i, hop in enumerate(self.hops):
            parts.append("---- next hop %d: %d messages, %d connections, %d transactions; commands (the end)\n%s" % (
                i, hop.received, hop.connections, hop.transactions, "\n".join(hop.commands[-40:])))
        for i, zone in enumerate(self.zones):
            parts.append("---- DNS server %d: questions (the end)\n%s" % (
                i, "\n".join(repr(q) for q in zone.queries[-40:])))
        return "\n".join(parts)


def need(test, program, package):
    """Skips the test when PROGRAM is missing; where CI is set that is a failure."""
    if not (shutil.which(program) or shutil.which(program, path="/usr/sbin:/sbin")):
        missing(test, package)


def missing(test, package):
    reason = "missing: apt-get install " + package
    if IN_CI:
        test.fail(reason)
    test.skipTest(reason)
