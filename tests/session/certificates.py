# SPDX-License-Identifier: MIT
"""An authority for tests, and certificates of it."""

import os
import ssl
import subprocess

import harness

KEYS = {"rsa": ["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"],
        "ec": ["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"]}


def openssl(*words):
    subprocess.run(["openssl", *words], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def read(path):
    with open(path) as f:
        return f.read()


def write(path, text):
    """Replaces PATH at once, as those do who renew certificates."""
    with open(path + ".new", "w") as f:
        f.write(text)
    os.chmod(path + ".new", 0o644)
    os.rename(path + ".new", path)


class Authority:
    """Makes certificates signed by a root of its own; `root` is the root's file."""

    def __init__(self, test, name="Test Root"):
        harness.need(test, "openssl", "openssl")
        self.folder = test.folder()
        self.count = 0
        self.root, self.root_key = self.folder + "/root.pem", self.folder + "/root.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3650",
                "-keyout", self.root_key, "-out", self.root, "-subj", "/CN=" + name)
        os.chmod(self.root, 0o644)

    def make(self, name, names=None, kind="ec", days=90, addresses=(), usage="serverAuth", emails=()):
        """(certificate, key) as PEM texts. NAMES: DNS names, by default NAME alone; NAME is the common name."""
        self.count += 1
        base = "%s/%d" % (self.folder, self.count)
        names = [name] if names is None else names
        alt = ["DNS:" + n for n in names] + ["IP:" + a for a in addresses] + ["email:" + e for e in emails]
        with open(base + ".ext", "w") as f:
            f.write("extendedKeyUsage = %s\nbasicConstraints = CA:FALSE\n" % usage)
            f.write("subjectAltName = %s\n" % ", ".join(alt) if alt else "")
        openssl("genpkey", *KEYS[kind], "-out", base + ".key")
        openssl("req", "-new", "-key", base + ".key", "-out", base + ".csr", "-subj", "/CN=" + name)
        openssl("x509", "-req", "-in", base + ".csr", "-CA", self.root, "-CAkey", self.root_key, "-set_serial",
                str(1000 + self.count), "-days", str(days), "-extfile", base + ".ext", "-out", base + ".crt")
        return read(base + ".crt"), read(base + ".key")

    def pem(self, name, path=None, **kw):
        """One file with certificate and key; its path."""
        path = path or "%s/%s-%d.pem" % (self.folder, name.replace("*", "_"), self.count)
        write(path, "".join(self.make(name, **kw)))
        return path

    def split(self, name, certificate, key, **kw):
        """Two files."""
        texts = self.make(name, **kw)
        write(key, texts[1])
        write(certificate, texts[0])


def client_context(root, certificate=None):
    """A client that verifies against ROOT, and shows CERTIFICATE (a file with its key)."""
    context = ssl.create_default_context(cafile=root)
    if certificate:
        context.load_cert_chain(certificate)
    return context
