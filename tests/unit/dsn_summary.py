# SPDX-License-Identifier: MIT
"""Reads a delivery report as Python's email package sees it and prints what matters, for test_dsn.c."""
import email
import email.policy
import sys

raw = sys.stdin.buffer.read()
report = email.message_from_bytes(raw, policy=email.policy.default)


def walk(message):
    yield message
    for part in message.get_payload() if message.is_multipart() else []:
        yield from walk(part)


defects = [d for part in walk(report) for d in part.defects]
print("defects", defects)
print(report.get_content_type(), report.get_param("report-type"))
for name in ("From", "To", "Subject", "Message-ID", "In-Reply-To", "Auto-Submitted", "MIME-Version"):
    print(f"{name}: {report[name]}")
print("date", report["Date"].datetime.isoformat())
text, status, original = report.get_payload()
print(text.get_content_type(), text.get_content_charset())
print(status.get_content_type())
for block in status.get_payload():
    print("block")
    for name, value in block.items():
        print(f"  {name}: {value}")
print(original.get_content_type())
if original.get_content_type() == "message/rfc822":
    inner = original.get_payload()[0]
else:
    inner = email.message_from_bytes(original.get_payload(decode=True), policy=email.policy.compat32)
for name, value in inner.items():
    print(f"  {name}: {value if isinstance(value, str) else str(value)}".encode("unicode_escape").decode())
if original.get_content_type() == "message/rfc822":
    print("  body", repr(inner.get_payload(decode=True)))
