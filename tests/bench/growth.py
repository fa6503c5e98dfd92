#!/usr/bin/python3
"""Whether a mailbox of a million messages, or ten thousand mailboxes, make Restante slower.

    tests/bench/growth.py BUILD_DIR [--messages 1000000] [--mailboxes 10000] [--work DIR] [--page]

At 1k, 10k, 100k ... messages of one mailbox, and 10, 1k, 10k mailboxes of one account: deliveries a second (LMTP, 8
connections), messages a second of FETCH 1:* with metadata and with flags (of a mailbox of 1,000 where mailboxes grow).
What is there between the points is filled without syncs. Prints JSON lines; --page keeps them in tests/bench/data, draws
doc/benchmarks-growth.svg and writes the table of doc/benchmarks.md. About six minutes and 4 GB of disk for a million.
"""

import argparse
import json
import math
import os
import shutil
import socket
import subprocess
import sys

import page
import plot
from bench import Progress, raise_limits
from modes import METADATA
from peer_restante import Restante
from runners import load_line
from server import make_certificate

HERE = os.path.dirname(os.path.abspath(__file__))
MAIL = ["--mail", "text", "--size-mean", "1500"]
EACH = 3000         # deliveries of a measurement
WARM = 300          # before it, as the server has just been started
SERIES = (("deliveries", "LMTP, messages a second", plot.OURS), ("metadata", "FETCH of metadata", plot.PEER),
          ("flags", "FETCH of flags", plot.LIMIT))


class Growth:
    def __init__(self, args):
        self.args, self.lines, self.made = args, [], 0
        self.load = os.path.join(args.build, "load")
        self.top = os.path.join(args.work, "growth")
        shutil.rmtree(self.top, ignore_errors=True)
        os.makedirs(self.top)
        self.nosync = os.path.join(self.top, "nosync.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", self.nosync, os.path.join(HERE, "nosync.c")], check=True)
        self.server = Restante(self.top, make_certificate(self.top), args.build)
        if self.server.why_not:
            sys.exit("growth: " + self.server.why_not)
        self.server.prepare(["grow", "boxes"])

    def run(self, port, *words):
        return load_line([self.load, "-p", str(self.server.ports[port]), *map(str, words)])

    def deliver(self, rcpt, users, count):
        """So many messages, to the mailboxes in turn."""
        self.made += count
        return self.run("lmtp", "-c", 8, "--users", users, "--rcpt", rcpt, "--first", self.made, *MAIL, "--messages", count,
                        "fill")

    def fill(self, rcpt, users, count):
        self.server.stop()
        self.server.start(preload=self.nosync)
        self.deliver(rcpt, users, count)
        self.server.stop()
        os.sync()
        self.server.start()

    def fetch(self, user, mailbox, items):
        words = ["-u", user, "--mailbox", mailbox]
        self.run("imap", *words, "-n", 1, "fetch", items)
        return self.run("imap", *words, "-t", 3, "fetch", items)["messages_per_s"]

    def measure(self, what, count, rcpt, users, user, mailbox):
        self.deliver(rcpt, users, WARM)
        row = {"what": what, "count": count, "deliveries": round(self.deliver(rcpt, users, EACH)["rate"]),
               "metadata": round(self.fetch(user, mailbox, METADATA.replace("_", " "))),
               "flags": round(self.fetch(user, mailbox, "(UID FLAGS)"))}
        print(json.dumps(row), flush=True)
        self.lines.append(row)
        self.args.progress.step("%s: %d" % (what, count))

    def messages(self):
        have = 0
        for count in points(1000, self.args.messages, 10):
            self.fill("grow", 1, count - have)
            have = count + WARM + EACH
            self.measure("messages of a mailbox", count, "grow", 1, "grow", "INBOX")

    def create(self, since, until):
        """Mailboxes m0, m1 ..., their commands sent ahead."""
        with socket.create_connection(("127.0.0.1", self.server.ports["imap"])) as s:
            f = s.makefile("rb")
            f.readline()
            s.sendall(b"a LOGIN boxes secret\r\n")
            for at in range(since, until, 100):
                s.sendall(b"".join(b"c CREATE m%d\r\n" % k for k in range(at, min(until, at + 100))) + b"e NOOP\r\n")
                line = f.readline()
                while not line.startswith(b"e "):
                    if line[2:4] not in (b"OK", b"CA") and not line.startswith(b"*"):
                        sys.exit("growth: CREATE: %r" % line)
                    line = f.readline()

    def mailboxes(self):
        have = 0
        for count in points(10, self.args.mailboxes, 100, self.args.mailboxes):
            self.create(have, count)
            if have == 0:
                self.fill("boxes+m0", 1, 1000)
            self.fill("boxes+m%d", count, 10 * (count - have))
            have = count
            self.measure("mailboxes", count, "boxes+m%d", count, "boxes", "m0")

    def close(self):
        self.server.close()


def points(first, last, factor, *more):
    found = set(more)
    while first <= last:
        found.add(first)
        first *= factor
    return sorted(found)


def panel(title, rows, left, width, top, height):
    """Lines over a logarithmic axis on both sides."""
    xs = [math.log10(r["count"]) for r in rows]
    values = [r[key] for r in rows for key, _, _ in SERIES]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))

    def x(v):
        return left + width * (math.log10(v) - xs[0]) / max(1e-9, xs[-1] - xs[0])

    def y(v):
        return top + height * (high - math.log10(v)) / max(1, high - low)

    yield plot.text(left, top - 14, title, 13, weight="bold")
    for power in range(low, high + 1):
        yield '<line x1="%d" y1="%.1f" x2="%d" y2="%.1f" stroke="%s"/>' % (left, y(10 ** power), left + width,
                                                                          y(10 ** power), plot.GRID)
        yield plot.text(left - 6, y(10 ** power) + 4, "{:,}".format(10 ** power), 11, "end")
    for r in rows:
        yield plot.text(x(r["count"]), top + height + 18, "{:,}".format(r["count"]), 11, "middle")
    for key, _, colour in SERIES:
        yield '<polyline fill="none" stroke="%s" stroke-width="2.5" points="%s"/>' % (
            colour, " ".join("%.1f,%.1f" % (x(r["count"]), y(r[key])) for r in rows))
        for r in rows:
            yield '<circle cx="%.1f" cy="%.1f" r="3.5" fill="%s"/>' % (x(r["count"]), y(r[key]), colour)


def draw(rows, path):
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="820" height="380" font-family="sans-serif">',
           '<rect width="100%" height="100%" fill="white"/>',
           plot.text(16, 26, "Throughput as mailboxes grow", 16, weight="bold")]
    for k, (_, label, colour) in enumerate(SERIES):
        out.append('<rect x="%d" y="352" width="14" height="10" fill="%s"/>' % (80 + 230 * k, colour))
        out.append(plot.text(100 + 230 * k, 361, label, 12))
    for k, what in enumerate(("messages of a mailbox", "mailboxes")):
        mine = [r for r in rows if r["what"] == what]
        if mine:
            out += panel(what, mine, 80 + 390 * k, 310, 76, 220)
    with open(path, "w") as f:
        f.write("\n".join(out + ["</svg>"]) + "\n")


def table(rows):
    yield "| there are | messages delivered a second | FETCH of metadata | FETCH of flags |"
    yield "|---|---:|---:|---:|"
    for r in rows:
        yield "| {count:,} {what} | {deliveries:,} | {metadata:,} | {flags:,} |".format(**r)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--messages", type=int, default=1000000)
    p.add_argument("--mailboxes", type=int, default=10000)
    p.add_argument("--work", default="/var/tmp/restante-bench")
    p.add_argument("--page", action="store_true")
    args = p.parse_args()
    raise_limits()
    args.progress = Progress(len(points(1000, args.messages, 10)) + len(points(10, args.mailboxes, 100, args.mailboxes)))
    growth = Growth(args)
    try:
        growth.server.start()
        growth.messages()
        growth.mailboxes()
    finally:
        growth.close()
    if args.page:
        with open(os.path.join(HERE, "data", "growth.jsonl"), "w") as f:
            f.writelines(json.dumps(row) + "\n" for row in growth.lines)
        page.put("make bench-growth", "\n".join(table(growth.lines)))
        draw(growth.lines, os.path.join(HERE, "..", "..", "doc", "benchmarks-growth.svg"))


if __name__ == "__main__":
    main()
