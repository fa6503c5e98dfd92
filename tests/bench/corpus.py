"""Real mail for the load generator: files of a directory and those below it, each a message or a mailbox in mbox format.

Line ends become CRLF, NUL octets and an mbox's own lines go; what servers differ about is not to be measured here.
"""

import os
import re

NOT_MAIL = ".json", ".js", ".md", ".gz", ".bz2", ".tgz", ".zip"
FROM = re.compile(rb"(?m)^From .*\n")


def normal(data):
    return data.replace(b"\0", b"").replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def messages(data):
    """Of one file. A "From " within a message begins one only behind an empty line, and only where the file begins so."""
    data = normal(data)
    if not data.startswith(b"From "):
        return [data]
    return [FROM.sub(b"", m, count=1) for m in re.split(rb"(?<=\n)\n(?=From \S+ .*\d{4}\n)", data)]


def files_below(top):
    for root, dirs, names in os.walk(top):
        dirs.sort()
        for name in sorted(names):
            if not name.startswith(".") and not name.endswith(NOT_MAIL):
                yield os.path.join(root, name)


def gather(top, into):
    """How many there are; one file each below `into`."""
    os.makedirs(into)
    count = 0
    for path in files_below(top):
        with open(path, "rb") as f:
            data = f.read()
        for message in messages(data):
            if b":" not in message.split(b"\n", 1)[0]:
                continue                # no header: not mail
            if not message.endswith(b"\n"):
                message += b"\n"
            with open(os.path.join(into, "%07d" % count), "wb") as f:
                f.write(message.replace(b"\n", b"\r\n"))
            count += 1
    return count
