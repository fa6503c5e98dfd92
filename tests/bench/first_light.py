#!/usr/bin/python3
"""The numbers of the first release, on this machine; doc/benchmarks.md says what they mean. On demand.

    tests/bench/first_light.py BUILD_DIR [--messages 100000] [--rounds 5] [--connections 2000]

Delivery stands beside its limit measured in the same round (durable 4 KiB appends of one file) and, where Dovecot is
installed, beside Dovecot's in the same round. Prints JSON lines; plot.py draws them.
"""

import argparse
import json
import os
import re
import selectors
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


def machine():
    with open("/proc/loadavg") as f:
        say(what="machine", cores=os.cpu_count(), load_1m=float(f.read().split()[0]))


def peer(load, kind, count, recipient):
    """Dovecot's rate in the same round, or nothing."""
    r = subprocess.run(["sh", os.path.join(HERE, "peer_dovecot.sh"), load, kind, "8", str(count), "4096", recipient],
                       capture_output=True)
    if r.returncode == 0:
        say(what="peer.delivery", server="dovecot-" + kind, recipients=8 if "#" in recipient else 1,
            **json.loads(r.stdout))


def delivery(server, load, disk, rounds):
    rates = {"bench": [], "bench#": []}
    for k in range(rounds):
        limit = json.loads(subprocess.run([disk, server.top, "2"], capture_output=True, check=True).stdout)
        for recipient, seen in rates.items():
            r = subprocess.run([load, str(server.port("lmtp")), "8", "16000", "4096", recipient], capture_output=True)
            row = json.loads(r.stdout)
            seen.append(row["rate"])
            say(what="delivery", recipients=8 if "#" in recipient else 1, **row, **limit)
            peer(load, "sdbox" if k % 2 else "mdbox", 2400, recipient)
    for recipient, seen in rates.items():
        say(what="delivery.median", recipients=8 if "#" in recipient else 1, rate=statistics.median(seen))


def count_messages(server):
    return int(re.search(rb"MESSAGES (\d+)", status(server)).group(1))


def fill(server, load, count):
    have = count_messages(server)
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
    say(what="select", messages=count_messages(server),
        median_ms=round(statistics.median(times), 3), p99_ms=round(sorted(times)[-2], 3),
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
    say(what="fetch", messages=count_messages(server), bytes=got,
        seconds=round(seconds, 2), rss_before_kb=before, rss_grown_kb=peak - before)


def log_in(c):
    c.line()
    c.cmd("LOGIN idle idle-secret")
    c.cmd("SELECT INBOX")


def start_idle(c):
    c.send(b"i IDLE\r\n")
    assert c.line().startswith(b"+")


def notification(server, times=500):
    """From the final dot of a delivery to its 250 and to EXISTS on an idle connection."""
    from harness import message
    replies, news = [], []
    with server.raw("imap") as c, server.raw("lmtp") as m, selectors.DefaultSelector() as sel:
        log_in(c)
        start_idle(c)
        m.reply()
        m.send("LHLO bench\r\n")
        m.reply()
        sel.register(c.sock, selectors.EVENT_READ, (c, news))
        sel.register(m.sock, selectors.EVENT_READ, (m, replies))
        text = message("idle", size=4096).encode() + b".\r\n"
        for k in range(times):
            m.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<idle>\r\nDATA\r\n")
            for _ in range(3):
                m.reply()
            start = time.perf_counter()
            m.send(text)
            while len(news) <= k or len(replies) <= k:
                for key, _ in sel.select():
                    conn, seen = key.data
                    line = conn.line()
                    if b"EXISTS" in line or line.startswith(b"250"):
                        seen.append((time.perf_counter() - start) * 1e3)
            time.sleep(0.005)
    for what, seen in (("250", replies), ("EXISTS", news)):
        say(what="notification", until=what, median_ms=round(statistics.median(seen), 3),
            p99_ms=round(sorted(seen)[len(seen) * 99 // 100], 3))


def idle_memory(server, count, tls):
    """What a connection costs that is logged in, has INBOX selected and idles."""
    conns, ctx = [], server.tls()
    server.stop()               # its memory as it was at first
    server.start()
    try:
        for k in range(count + 10):
            if k == 10:         # ten for what is needed once
                time.sleep(1)
                before = server.rss_kb()
            c = server.raw("imaps" if tls else "imap")
            if tls:
                c.sock = ctx.wrap_socket(c.sock)
            log_in(c)
            start_idle(c)
            conns.append(c)
        time.sleep(2)
        grown = server.rss_kb() - before
    finally:
        for c in conns:
            c.close()
    say(what="idle.memory", tls=tls, connections=count, kb_each=round(grown / count, 2), rss_before_kb=before)


def edit(text):
    return text.replace("[limits]\n", "[limits]\nmax_connections_per_ip = 100000\nmax_connections_per_account = 0\n")


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--messages", type=int, default=100000)
    p.add_argument("--rounds", type=int, default=5)
    p.add_argument("--connections", type=int, default=2000)
    args = p.parse_args()
    os.environ["RESTANTE_BUILD"] = args.build
    from harness import Server
    load, disk = compiled(args.build, "lmtp_load"), compiled(args.build, "fdatasync")
    users = {"bench": "bench-secret", "idle": "idle-secret"}
    users.update(("bench%d" % i, "bench-secret") for i in range(8))
    machine()
    with Server(users, conf_edit=edit) as server:
        server.start()
        delivery(server, load, disk, args.rounds)
        fill(server, load, args.messages)
        select(server)
        fetch(server)
        notification(server)
        for tls in (False, True):
            idle_memory(server, args.connections, tls)
    machine()


main()
