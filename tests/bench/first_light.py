#!/usr/bin/python3
"""The numbers of the first release, on this machine: delivery rate, SELECT, FETCH of a large mailbox. On demand.

    tests/bench/first_light.py BUILD_DIR [--messages 100000] [--rounds 5]

Each number stands beside its limit measured in the same run (durable 4 KiB appends of one file). Prints JSON lines.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "functional"))


def compiled(build, name):
    """A load program, built into the build directory."""
    out = os.path.join(build, name)
    subprocess.run(["cc", "-std=c17", "-O2", "-D_DEFAULT_SOURCE", "-D_XOPEN_SOURCE=700", "-o", out,
                    os.path.join(HERE, name + ".c"), "-lpthread"], check=True)
    return out


def say(**kv):
    print(json.dumps(kv), flush=True)


def delivery(server, load, disk, rounds):
    rates = []
    for _ in range(rounds):
        limit = json.loads(subprocess.run([disk, server.top, "2"], capture_output=True, check=True).stdout)
        r = subprocess.run([load, str(server.port("lmtp")), "8", "16000", "4096", "bench"], capture_output=True)
        row = json.loads(r.stdout)
        rates.append(row["rate"])
        say(what="delivery", **row, **limit)
    say(what="delivery.median", rate=statistics.median(rates))


def fill(server, load, count):
    have = int(re.search(rb"MESSAGES (\d+)", status(server)).group(1))
    if have < count:
        subprocess.run([load, str(server.port("lmtp")), "8", str(count - have), "1024", "bench"], check=True,
                       stdout=subprocess.DEVNULL)


def status(server):
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN bench bench-secret")
        return c.cmd("STATUS INBOX (MESSAGES)")[0]


def select(server):
    times = []
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN bench bench-secret")
        for _ in range(200):
            start = time.perf_counter()
            c.cmd("SELECT INBOX")
            times.append((time.perf_counter() - start) * 1e3)
    say(what="select", median_ms=round(statistics.median(times), 3), p99_ms=round(sorted(times)[-2], 3),
        first_ms=round(times[0], 3))


def fetch(server):
    """All of a large mailbox to a client that reads slowly, and the server's memory meanwhile."""
    items = b"(UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN bench bench-secret")
        c.cmd("SELECT INBOX")
        before = peak = server.rss_kb()
        start = time.perf_counter()
        c.send(b"f FETCH 1:* " + items + b"\r\n")
        got, tail = 0, b""
        while b"\r\nf OK" not in tail:
            more = c.sock.recv(262144)
            got += len(more)
            tail = (tail + more)[-4096:]
            time.sleep(0.002)
            peak = max(peak, server.rss_kb())
        seconds = time.perf_counter() - start
    say(what="fetch", bytes=got, seconds=round(seconds, 2), rss_before_kb=before, rss_grown_kb=peak - before)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--messages", type=int, default=100000)
    p.add_argument("--rounds", type=int, default=5)
    args = p.parse_args()
    os.environ["RESTANTE_BUILD"] = args.build
    from harness import Server
    load, disk = compiled(args.build, "lmtp_load"), compiled(args.build, "fdatasync")
    with Server({"bench": "bench-secret"}) as server:
        server.start()
        delivery(server, load, disk, args.rounds)
        fill(server, load, args.messages)
        select(server)
        fetch(server)


main()
