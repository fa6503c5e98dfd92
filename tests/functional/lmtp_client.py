"""What the tests of LMTP share: the client's half of a transaction, and what became of it."""

import os
import re

from harness import fetch_all, strip_trace


def say(c, line, expect):
    c.send(line + "\r\n")
    got = c.reply()
    assert got.startswith(expect.encode()), (line, got)
    return got


def begin(c, *rcpts, params="", lhlo=True):
    if lhlo:
        assert c.reply().startswith(b"220")
        say(c, "LHLO x", "250")
    say(c, "MAIL FROM:<a@b.example>" + params, "250")
    for r in rcpts:
        say(c, "RCPT TO:<%s>" % r, "250")


def chunk(c, data, last=False):
    data = data if isinstance(data, bytes) else data.encode()
    c.send(b"BDAT %d%s\r\n" % (len(data), b" LAST" if last else b"") + data)


def only_message(server, user, box="INBOX"):
    with server.imap(user) as c:
        (_, data), = fetch_all(c, box).values()
    return strip_trace(data)


def configured(**keys):
    """An edit of the configuration that sets keys of [lmtp]."""
    return lambda text: text + "\n[lmtp]\n" + "".join("%s = %s\n" % kv for kv in keys.items())


def subjects(server, user, box="INBOX"):
    with server.imap(user) as c:
        return sorted(re.search(rb"\r\nSubject: ([^\r]*)", d).group(1).decode() for _, d in fetch_all(c, box).values())


def write_aliases(server, text):
    with open(os.path.join(server.dir, "aliases"), "w") as f:
        f.write(text)


def delivered(server, account):
    return [x for x in server.log().splitlines() if "ev=lmtp.delivered" in x and "account=%s " % account in x]


def talk(c, rcpt, text, ident=None, hello=True):
    """Everything up to the final dot; what comes behind it is the caller's."""
    if hello:
        c.reply()
        say(c, "LHLO mta.example", "250")
    if ident:
        say(c, "XFORWARD IDENT=" + ident, "250")
    say(c, "MAIL FROM:<a@b.example>", "250")
    for r in [rcpt] if isinstance(rcpt, str) else rcpt:
        say(c, "RCPT TO:<%s>" % r, "250")
    say(c, "DATA", "354")
    c.send(text + ".\r\n")


def count(server, user):
    with server.imap(user) as c:
        return len(fetch_all(c))
