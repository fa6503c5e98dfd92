#!/usr/bin/python3
"""Random work by LMTP, IMAP and POP3 clients on one server, for as long as asked; then `check`, a lost index, `check`.

    tests/bench/soak.py BUILD_DIR [--minutes 10] [--clients 12] [--seed N]

Prints the server's memory every few seconds. Fails when a client gets an answer it should not, when the server ends,
or when log and index differ.
"""

import argparse
import os
import random
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "functional"))

USERS = ["u%d" % i for i in range(6)]
BOXES = ["INBOX", "Archive", "Trash", "work"]


class Soak:
    def __init__(self, server, seed, until):
        self.server, self.seed, self.until = server, seed, until
        self.failures, self.done = [], 0

    def client(self, k):
        rng = random.Random("%d-%d" % (self.seed, k))
        acts = [self.deliver, self.imap, self.imap, self.pop]
        while time.monotonic() < self.until and not self.failures:
            try:
                rng.choice(acts)(rng)
                self.done += 1
            except Exception as e:
                self.failures.append("client %d: %r" % (k, e))

    def deliver(self, rng):
        from harness import message, send
        with self.server.lmtp() as c:
            for _ in range(rng.randrange(1, 20)):
                text = message("soak %d" % rng.randrange(10 ** 9), size=int(rng.paretovariate(1) * 500) % 300000)
                send(c, rng.sample(USERS, rng.randrange(1, 4)), text)

    def imap(self, rng):
        c = self.server.imap(rng.choice(USERS), tls=rng.random() < 0.5)
        if c.status("work", "(MESSAGES)")[0] != "OK":
            c.create("work")
        for _ in range(rng.randrange(1, 15)):
            c.select(rng.choice(BOXES))
            n = int(c.untagged_responses.get("EXISTS", [b"0"])[-1] or 0)
            if n == 0:
                continue
            some = "%d:%d" % tuple(sorted((rng.randrange(1, n + 1), rng.randrange(1, n + 1))))
            typ, data = rng.choice([
                lambda: c.fetch(some, "(UID FLAGS ENVELOPE BODYSTRUCTURE)"),
                lambda: c.fetch(some[:some.index(":")], "(BODY.PEEK[])"),
                lambda: c.store(some, "+FLAGS", rng.choice(["(\\Seen)", "(\\Flagged $A)", "(\\Deleted)"])),
                lambda: c.store(some, "-FLAGS", "(\\Seen \\Deleted)"),
                lambda: c.copy(some, rng.choice(BOXES)) if n < 300 else c.expunge(),
                lambda: c.search(None, "UNSEEN", "SUBJECT", "soak"),
                lambda: c.expunge(),
            ])()
            # Another session may expunge what is copied here: NO is right then, BAD never is.
            if typ == "BAD":
                raise AssertionError(data)
        c.logout()

    def pop(self, rng):
        p = self.server.pop(rng.choice(USERS), tls=rng.random() < 0.5)
        n = p.stat()[0]
        for k in rng.sample(range(1, n + 1), min(n, 5)):
            try:
                p.retr(k)
                p.dele(k)
            except Exception as e:
                if b"expunged" not in str(e).encode():
                    raise
        p.quit()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--minutes", type=float, default=10)
    p.add_argument("--clients", type=int, default=12)
    p.add_argument("--seed", type=int, default=random.randrange(1 << 30))
    args = p.parse_args()
    print("seed %d" % args.seed)
    os.environ["RESTANTE_BUILD"] = args.build
    from harness import Server
    with Server({u: u + "-secret" for u in USERS}) as server:
        server.start()
        soak = Soak(server, args.seed, time.monotonic() + args.minutes * 60)
        threads = [threading.Thread(target=soak.client, args=(k,)) for k in range(args.clients)]
        for t in threads:
            t.start()
        while any(t.is_alive() for t in threads):
            time.sleep(5)
            print("%6d rounds, %7d KiB, %.0f s left" % (soak.done, server.rss_kb(),
                                                        max(0, soak.until - time.monotonic())), flush=True)
        for f in soak.failures:
            print(f)
        server.ctl("check")
        server.stop()
        server.ctl("reindex")
        server.ctl("check")
    sys.exit(1 if soak.failures else 0)


main()
