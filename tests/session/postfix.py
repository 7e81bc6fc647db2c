# SPDX-License-Identifier: MIT
"""Postfix with configuration, queue and log of its own, beside whatever the machine runs. Needs root."""

import os
import shutil
import subprocess

MAIN = """\
compatibility_level = 3.6
queue_directory = {folder}/spool
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
setgid_group = postdrop
myhostname = postfix.example.test
mydestination =
local_transport = error:no local mail here
local_recipient_maps =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{relay}
smtp_dns_support_level = disabled
smtp_host_lookup = native
smtpd_peername_lookup = no
maillog_file = {folder}/log/maillog
maillog_file_prefixes = {folder}
"""

MASTER = """\
127.0.0.1:{port} inet n - n - {servers} smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
tlsmgr unix - - n 1000? 1 tlsmgr
postlog unix-dgram n - n - 1 postlogd
"""


def prepare(folder, port, relay, extra="", servers=100):
    """Writes a configuration into FOLDER: listens on PORT, relays to RELAY. Returns the command that runs it."""
    for name in ("etc", "spool", "data", "log"):
        os.mkdir(os.path.join(folder, name))
    shutil.chown(os.path.join(folder, "data"), "postfix", "postfix")
    etc = os.path.join(folder, "etc")
    with open(os.path.join(etc, "main.cf"), "w") as f:
        f.write(MAIN.format(folder=folder, relay=relay) + extra)
    with open(os.path.join(etc, "master.cf"), "w") as f:
        f.write(MASTER.format(port=port, servers=servers))
    subprocess.run(["postfix", "-c", etc, "check"], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return ["/usr/lib/postfix/sbin/master", "-c", etc, "-d"]
