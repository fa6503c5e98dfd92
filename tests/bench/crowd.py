#!/usr/bin/python3
"""A crowd at the door: does the server still answer the others at once?

    tests/bench/crowd.py BUILD_DIR [--idle 10000] [--half-open 500] [--slow 100] [--rounds 200] [--peer-idle 1000]

Opens so many TLS connections that are logged in and in IDLE, connections that never finish their TLS handshake, and
clients that write a command, a literal or mail data one octet at a time. Then measures, alone on the machine with them, how
long a new login over TLS and a delivery take, and says what an idle connection costs (PSS of all server processes).
Then a smaller crowd for each server: Restante and, where it is installed and we are root, Dovecot. Prints one JSON line
per number; exits 1 when a median of Restante's is above 50 ms.
"""

import argparse
import json
import os
import resource
import signal
import socket
import ssl
import statistics
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "functional"))

from peer import Dovecot  # noqa: E402

USERS = 200         # less than max_connections_per_account each
LIMIT_MS = 50


def say(**values):
    print(json.dumps(values), flush=True)


def limits(text):
    from harness import set_limit
    for key, value in (("max_connections", "20000"), ("max_connections_per_ip", "20000")):
        text = set_limit(text, key, value)
    return text


def processes(pid):
    """The process and its children."""
    found = [pid]
    for p in found:
        with open("/proc/%d/task/%d/children" % (p, p)) as f:
            found += [int(c) for c in f.read().split()]
    return found


def pss_kb(pid):
    total = 0
    for p in processes(pid):
        with open("/proc/%d/smaps_rollup" % p) as f:
            total += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
    return total


class Crowd:
    def __init__(self, server, half_open, slow):
        self.server = server
        self.context = ssl._create_unverified_context()
        self.idle, self.held = [], []
        self.half_open, self.slow = half_open, slow
        self.running = True

    def connect(self):
        c = socket.create_connection(("127.0.0.1", self.server.port("imaps")))
        return self.context.wrap_socket(c)

    @staticmethod
    def until(c, end):
        got = b""
        while end not in got:
            piece = c.recv(4096)
            if not piece:
                raise EOFError(got)
            got += piece
        return got

    def login(self, user):
        c = self.connect()
        self.until(c, b"\r\n")
        c.sendall(b"a LOGIN u%d secret\r\n" % user)
        if b"a OK" not in self.until(c, b"a "):
            raise AssertionError("no login")
        return c

    def open_idle(self, count):
        began = told = time.monotonic()
        for i in range(count):
            c = self.login(i % USERS)
            c.sendall(b"b SELECT INBOX\r\nc IDLE\r\n")
            self.until(c, b"+ ")
            self.idle.append(c)
            if sys.stderr.isatty() and time.monotonic() - told > 0.5:
                told = time.monotonic()
                rate = len(self.idle) / (told - began)
                print("\r%d of %d idle, %.0f/s, %.0f s left " % (i + 1, count, rate, (count - i) / rate), end="",
                      file=sys.stderr)
        if sys.stderr.isatty():
            print(file=sys.stderr)
        return count / (time.monotonic() - began)

    def open_half(self):
        """Half of them say nothing, half the beginning of a ClientHello."""
        for i in range(self.half_open):
            c = socket.create_connection(("127.0.0.1", self.server.port("imaps")))
            if i % 2:
                c.sendall(b"\x16\x03\x01\x02\x00\x01\x00")
            self.held.append(c)

    def open_slow(self):
        """IMAP commands, literals and LMTP data that come one octet at a time."""
        slow = self.slow_ones = []
        for i in range(self.slow):
            if i % 3 == 0:
                c = socket.create_connection(("127.0.0.1", self.server.port("lmtp")))
                c.sendall(b"LHLO x\r\nMAIL FROM:<>\r\nRCPT TO:<u1>\r\nDATA\r\n")
                self.until(c, b"354 ")
            else:
                c = self.login(i % USERS)
                if i % 3 == 1:
                    c.sendall(b"d APPEND INBOX {1000000}\r\n")
                    self.until(c, b"+ ")
                else:
                    c.sendall(b"d SEARCH ")
            slow.append(c)
        self.writer = threading.Thread(target=self.write_slowly, args=(slow,), daemon=True)
        self.writer.start()

    def write_slowly(self, slow):
        while self.running:
            for c in slow:
                c.send(b"x")
            time.sleep(0.2)

    def end(self):
        self.running = False
        self.writer.join()
        for c in self.idle + self.held + self.slow_ones:
            c.close()

    def time_logins(self, first, rounds):
        """Of accounts that never logged in before: their passwords are not remembered, but hashed."""
        times = []
        for i in range(first, first + rounds):
            began = time.monotonic()
            c = self.login(i)
            times.append(time.monotonic() - began)
            c.close()
        return times

    def time_deliveries(self, rounds):
        from harness import message
        data = message("crowd", size=5000).replace("\n.", "\n..").encode() + b"\r\n.\r\n"
        times = []
        for _ in range(rounds):
            began = time.monotonic()
            with socket.create_connection(("127.0.0.1", self.server.port("lmtp"))) as c:
                self.until(c, b"220 ")
                c.sendall(b"LHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u2>\r\nDATA\r\n")
                self.until(c, b"354 ")
                c.sendall(data)
                self.until(c, b"250 2.0.0")
            times.append(time.monotonic() - began)
        return times


def tell(server, what, times):
    """Whether the median is good enough."""
    ms = sorted(1000 * t for t in times)
    median = statistics.median(ms)
    say(what=what, server=server, median_ms=round(median, 2), p99_ms=round(ms[int(len(ms) * 0.99)], 2),
        max_ms=round(ms[-1], 2), count=len(ms))
    return median <= LIMIT_MS


def measure(name, server, idle, half_open, slow, rounds):
    """Everything of one server, which has its accounts and runs."""
    good = True
    crowd = Crowd(server, half_open, slow)
    crowd.login(1).close()
    good &= tell(name, "login alone", crowd.time_logins(USERS, rounds))
    good &= tell(name, "delivery alone", crowd.time_deliveries(rounds))
    before = pss_kb(server.proc.pid)
    rate = crowd.open_idle(idle)
    time.sleep(5)
    after = pss_kb(server.proc.pid)
    say(what="idle TLS connections", server=name, count=idle, logins_per_second=round(rate), pss_before_kb=before,
        pss_kb=after, bytes_each=round((after - before) * 1024 / max(idle, 1)))
    crowd.open_half()
    crowd.open_slow()
    time.sleep(2)
    good &= tell(name, "login among the crowd", crowd.time_logins(USERS + rounds, rounds))
    good &= tell(name, "delivery among the crowd", crowd.time_deliveries(rounds))
    say(what="server with all of them", server=name, pss_kb=pss_kb(server.proc.pid),
        connections=idle + half_open + slow)
    crowd.end()
    return good


def restante(*crowd):
    from harness import Server
    with Server(conf_edit=limits) as server:
        names = range(USERS + 2 * crowd[-1])
        server.ctl("user", "import", stdin="".join("u%d:secret\n" % i for i in names))
        server.start()
        return measure("restante", server, *crowd)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("build")
    parser.add_argument("--idle", type=int, default=10000)
    parser.add_argument("--half-open", type=int, default=500)
    parser.add_argument("--slow", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--peer-idle", type=int, default=1000)
    args = parser.parse_args()
    os.environ["RESTANTE_BUILD"] = args.build
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    say(what="machine", processors=os.cpu_count(), load_average=os.getloadavg()[0])
    good = restante(args.idle, args.half_open, args.slow, args.rounds)
    if Dovecot.is_here():
        smaller = args.peer_idle, args.half_open // 10, args.slow // 10, args.rounds
        good &= restante(*smaller)
        with Dovecot() as peer:
            measure("dovecot", peer, *smaller)
    if not good:
        print("a median is above %d ms" % LIMIT_MS, file=sys.stderr)
    sys.exit(not good)


main()
