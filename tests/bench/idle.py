#!/usr/bin/python3
"""Fifty thousand idle plain connections, or as many as this machine allows: their memory and what they cost at rest.

    tests/bench/idle.py BUILD_DIR [--connections 50000] [--work DIR] [--page]

Each is logged in, has INBOX selected and is in IDLE; they come to several addresses of the loopback, as one has ports for
about 28,000. Prints one JSON line; --page keeps it in tests/bench/data and writes what doc/benchmarks.md says of it.
"""

import argparse
import contextlib
import json
import os
import resource
import shutil
import sys
import time

import page
from bench import raise_limits
from peer_restante import Restante
from runners import Failed, Sessions
from server import make_certificate

PER_ADDRESS = 17000
SPARE = 2000        # files that a server has open besides


def keep(row):
    with open(os.path.join(os.path.dirname(page.PAGE), "..", "tests", "bench", "data", "idle.jsonl"), "w") as f:
        print(json.dumps(row), file=f)
    page.put("make bench-idle", "\n".join((
        "| at rest | |", "|---|---:|",
        "| idle connections (the limit of open files here is {files:,}) | {connections:,} |",
        "| memory (PSS) before and with them, MB | {:.1f}, {:.1f} |".format(row["before_kb"] / 1024, row["after_kb"] / 1024),
        "| each, kB | {kb_each} |", "| processor in 20 seconds, % of one | {rest_cpu_percent} |",
        "| logins a second while they came | {logins_per_s:,} |")).format(**row))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--connections", type=int, default=50000)
    p.add_argument("--work", default="/var/tmp/restante-bench")
    p.add_argument("--page", action="store_true")
    args = p.parse_args()
    build = os.path.abspath(args.build)
    raise_limits()
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - SPARE
    count = min(args.connections, allowed, 58000)
    if count < args.connections:
        print("idle: only %d of %d connections: the limit of open files is %d" % (count, args.connections, allowed + SPARE),
              file=sys.stderr)
    top = os.path.join(args.work, "idle")
    shutil.rmtree(top, ignore_errors=True)
    os.makedirs(top)
    Restante.addresses = -(-count // PER_ADDRESS)
    server = Restante(top, make_certificate(top), build)
    if server.why_not:
        sys.exit("idle: " + server.why_not)
    try:
        server.prepare(["idle%d" % k for k in range(50)])
        server.start()
        before, since, left = server.pss(), time.monotonic(), count
        with contextlib.ExitStack() as held:
            for k in range(Restante.addresses):
                here = min(PER_ADDRESS, left)
                left -= here
                held.enter_context(Sessions([
                    os.path.join(build, "load"), "-H", "127.0.0.%d" % (k + 1), "-p", str(server.ports["imap"]), "-u", "idle%d",
                    "--users", "50", "-c", str(here), "-n", str(here), "idle"], here))
            took = time.monotonic() - since
            time.sleep(5)
            after, cpu, since = server.pss(), server.cpu(), time.monotonic()
            time.sleep(20)
            rest = (server.cpu() - cpu) / (time.monotonic() - since)
        row = {"what": "idle", "connections": count, "addresses": Restante.addresses, "files": allowed + SPARE,
               "logins_per_s": round(count / took), "before_kb": before // 1024, "after_kb": after // 1024,
               "kb_each": round((after - before) / 1024 / count, 2), "rest_cpu_percent": round(rest * 100, 3)}
        print(json.dumps(row))
        if args.page:
            keep(row)
    except Failed as e:
        sys.exit("idle: %s" % e)
    finally:
        server.close()


if __name__ == "__main__":
    main()
