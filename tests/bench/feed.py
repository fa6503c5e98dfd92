#!/usr/bin/python3
"""Deliver every file of mail below a directory over LMTP, one after the other, and say how much it was. On demand.

    tests/bench/feed.py PORT MAIL_DIR RECIPIENT

For comparisons: every server gets the same bytes, a file (*.txt or *.eml) without its mbox From_ line and with CRLF at
each end of a line. Prints one JSON line; `bytes` are those of the messages taken. Needs nothing else of this source.
"""

import json
import os
import re
import smtplib
import sys
import time


def mails(top):
    paths = [os.path.join(root, name) for root, _, names in os.walk(top) for name in names
             if name.endswith((".txt", ".eml"))]
    for path in sorted(paths):
        with open(path, "rb") as f:
            data = f.read()
        if data.startswith(b"From "):
            data = data[data.index(b"\n") + 1:]
        data = re.sub(rb"\r\n|\r|\n", b"\r\n", data)
        yield path, data if data.endswith(b"\r\n") else data + b"\r\n"


def main():
    port, top, recipient = int(sys.argv[1]), sys.argv[2], sys.argv[3]
    taken = size = refused = 0
    start = time.monotonic()
    with smtplib.LMTP("127.0.0.1", port, local_hostname="feed.example.org") as c:
        for path, data in mails(top):
            try:
                c.sendmail("feed@example.org", [recipient], data, mail_options=["BODY=8BITMIME"])
            except (smtplib.SMTPDataError, smtplib.SMTPRecipientsRefused) as e:
                print("feed: %s: %s" % (path, e), file=sys.stderr)
                refused += 1
                continue
            taken, size = taken + 1, size + len(data)
    print(json.dumps({"messages": taken, "bytes": size, "refused": refused,
                      "seconds": round(time.monotonic() - start, 2)}))


main()
