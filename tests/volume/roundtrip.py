#!/usr/bin/python3
"""Deliver a corpus of real mail over LMTP from 8 connections, fetch it back over IMAPS and POP3S, compare every byte.

    tests/volume/fetch-corpus DIR && tests/volume/roundtrip.py BUILD_DIR DIR/package/data

Each message must be answered within a second, and every file of the corpus must come back exactly (behind the trace
fields, with CRLF line ends). Exits 1 on any difference.
"""

import argparse
import glob
import hashlib
import os
import re
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "functional"))

CONNECTIONS = 8
SLOWEST_S = 1.0


def load(path):
    """A message as an MTA would send it: no mbox line, line ends CRLF, bare CRs kept."""
    with open(path, "rb") as f:
        data = f.read()
    if data.startswith(b"From "):
        data = data[data.index(b"\n") + 1:]
    data = re.sub(rb"(?<!\r)\n", b"\r\n", data)
    return data if data.endswith(b"\r\n") else data + b"\r\n"


class Progress:
    def __init__(self, total):
        self.total, self.done, self.start = total, 0, time.monotonic()
        self.lock = threading.Lock()
        self.tty = sys.stderr.isatty()

    def step(self):
        with self.lock:
            self.done += 1
            if self.done % (50 if self.tty else 1000) == 0 or self.done == self.total:
                rate = self.done / (time.monotonic() - self.start)
                sys.stderr.write("%s%d of %d, %.0f/s, %.0f s left%s" % (
                    "\r" if self.tty else "", self.done, self.total, rate, (self.total - self.done) / rate,
                    "" if self.tty and self.done < self.total else "\n"))


def deliver(server, mails, slow, progress):
    with server.lmtp() as c:
        c.ehlo_or_helo_if_needed()
        for name, data in mails:
            start = time.monotonic()
            c.mail("corpus@example.org", ["BODY=8BITMIME"])
            code, text = c.rcpt("corpus")
            assert code == 250, text
            c.putcmd("data")
            assert c.getreply()[0] == 354
            c.send(re.sub(rb"(?m)^\.", b"..", data) + b".\r\n")
            code, text = c.getreply()
            assert code == 250, (name, code, text)
            took = time.monotonic() - start
            if took > SLOWEST_S:
                slow.append((name, took))
            progress.step()


def compare(kind, got, want):
    """`got` maps digests of what came back to counts; `want` those of what was sent."""
    missing = {d: n for d, n in want.items() if got.get(d, 0) != n}
    extra = {d: n for d, n in got.items() if want.get(d, 0) != n}
    print("%s: %d messages, %d differ" % (kind, sum(got.values()), len(missing) + len(extra)))
    return not missing and not extra


def count(digests):
    out = {}
    for d in digests:
        out[d] = out.get(d, 0) + 1
    return out


def over_imaps(server, strip):
    c = server.imap("corpus", "corpus-secret", tls=True)
    c.select(readonly=True)
    n = int(c.untagged_responses["EXISTS"][0]) if "EXISTS" in c.untagged_responses else 0
    digests, slow = [], []
    for first in range(1, n + 1, 200):
        start = time.monotonic()
        typ, rows = c.fetch("%d:%d" % (first, min(n, first + 199)), "(ENVELOPE BODYSTRUCTURE BODY.PEEK[])")
        assert typ == "OK"
        for row in rows:
            if isinstance(row, tuple) and b"BODY[]" in row[0]:
                digests.append(hashlib.sha256(strip(row[1])).digest())
        if time.monotonic() - start > 200 * SLOWEST_S:
            slow.append(first)
    c.logout()
    return count(digests), slow


def over_pop3s(server, strip):
    p = server.pop("corpus", "corpus-secret", tls=True)
    n = p.stat()[0]
    digests = [hashlib.sha256(strip(b"".join(x + b"\r\n" for x in p.retr(k)[1]))).digest() for k in range(1, n + 1)]
    p.quit()
    return count(digests)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("data")
    args = p.parse_args()
    os.environ["RESTANTE_BUILD"] = args.build
    from harness import Server, strip_trace
    mails = [(os.path.basename(f), load(f)) for f in sorted(glob.glob(os.path.join(args.data, "*", "*.txt")))]
    print("%d messages" % len(mails))
    slow, failed = [], []
    with Server({"corpus": "corpus-secret"}) as server:
        server.start()
        progress = Progress(len(mails))

        def run(part):
            try:
                deliver(server, part, slow, progress)
            except Exception as e:
                failed.append(e)
        threads = [threading.Thread(target=run, args=(mails[k::CONNECTIONS],)) for k in range(CONNECTIONS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        print("failed deliveries: %s; slower than %.0f s: %s" % (failed, SLOWEST_S, slow))
        # NUL goes out as 0x80 in non-binary FETCH and RETR.
        want = count(hashlib.sha256(data.replace(b"\0", b"\x80")).digest() for _, data in mails)
        imap, slow_fetch = over_imaps(server, strip_trace)
        good = compare("IMAPS", imap, want)
        good = compare("POP3S", over_pop3s(server, strip_trace), want) and good
        server.ctl("check")
        good = good and not failed and not slow and not slow_fetch
    print("all exact" if good else "NOT all exact")
    sys.exit(0 if good else 1)


main()
