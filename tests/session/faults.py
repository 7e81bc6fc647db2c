# SPDX-License-Identifier: MIT
"""Lets a gateway's system calls fail: the test's side of faultfs.c."""

import errno
import mmap
import os
import struct

LIBRARY = os.path.abspath(os.environ.get("TMAIL_FAULTFS", "tests/session/.libs/faultfs.so"))
KINDS = ("write", "sync", "read", "open", "accept")
ENTRY = struct.Struct("=iiq")


class Faults:
    """Give `gateway(**faults.options)`; then arm() and disarm() while it runs. FOLDER: whose files may fail."""

    def __init__(self, test, folder=None):
        path = os.path.join(test.folder(), "faults")
        with open(path, "wb") as f:
            f.write(bytes(ENTRY.size * len(KINDS)))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), ENTRY.size * len(KINDS))
        test.addCleanup(self.map.close)
        if not os.path.exists(LIBRARY):
            test.fail("no %s: `make check` builds it" % LIBRARY)
        self.path = path
        self.folder = folder

    def options(self, gateway):
        """Makes GATEWAY, not started yet, subject to these faults."""
        gateway.preload = LIBRARY
        gateway.env.update(FAULTFS_CONTROL=self.path, FAULTFS_PATH=self.folder or os.path.join(gateway.state, "spool"))
        return gateway

    def _at(self, kind):
        return KINDS.index(kind) * ENTRY.size

    def arm(self, kind, error, times=-1):
        """The next TIMES calls of KIND fail with errno ERROR (a name); -1: all of them."""
        at = self._at(kind)
        struct.pack_into("=i", self.map, at + 4, 0)
        struct.pack_into("=i", self.map, at, getattr(errno, error))
        struct.pack_into("=i", self.map, at + 4, times)

    def disarm(self, kind):
        struct.pack_into("=ii", self.map, self._at(kind), 0, 0)

    def hits(self, kind):
        """Calls of KIND that failed so far."""
        return ENTRY.unpack_from(self.map, self._at(kind))[2]
