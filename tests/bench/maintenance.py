#!/usr/bin/python3
"""What maintenance costs with many messages in a volume; doc/benchmarks.md says what the numbers mean. On demand.

    tests/bench/maintenance.py BUILD_DIR MAIL_DIR [--messages 200000] [--rounds 3] [--pairs 5] [--only PART,...] [--work DIR]

MAIL_DIR: files of real mail, as tests/volume/fetch-corpus gets them. PART: start, reindex, compact, online, disk. DIR
keeps the filled volumes for the next run. Prints JSON lines; plot.py draws them.
"""

import argparse
import json
import os
import pty
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "functional"))
ACCOUNTS, EXPUNGED_PERCENT = 10, 40
LOAD = ["8", "2000", "4096"]            # connections, messages, bytes
WINDOW = 2000                           # deliveries that a p99 rests on


def compiled(build, name):
    """A load program, built into the build directory."""
    out = os.path.join(build, name)
    subprocess.run(["cc", "-std=c17", "-O2", "-D_DEFAULT_SOURCE", "-D_XOPEN_SOURCE=700", "-o", out,
                    os.path.join(HERE, name + ".c"), "-lpthread"], check=True)
    return out


def say(**kv):
    with open("/proc/loadavg") as f:
        print(json.dumps(dict(kv, load_1m=float(f.read().split()[0]))), flush=True)


class Bench:
    def __init__(self, args):
        self.args = args
        self.load = compiled(args.build, "lmtp_load")

    def filled(self, name, *fill_args):
        """A volume made by fill.c, and by itself only once."""
        path = os.path.join(self.args.work, name)
        if not os.path.exists(path + ".json"):
            done = subprocess.run([os.path.join(self.args.build, "tests/bench/fill"), path, str(ACCOUNTS),
                                   *fill_args], check=True, capture_output=True).stdout
            with open(path + ".json", "wb") as f:
                f.write(done)
        return path

    def base(self):
        return self.filled("base", str(self.args.messages), self.args.mail)

    def expunged(self):
        path = os.path.join(self.args.work, "expunged")
        if not os.path.exists(path + ".json"):
            shutil.rmtree(path, ignore_errors=True)
            shutil.copytree(self.base(), path)
        return self.filled("expunged", "0", self.args.mail, str(EXPUNGED_PERCENT))

    def serve(self, volume):
        """A server, not started, with a copy of the volume on the disk."""
        from harness import Server
        server = Server(conf_edit=edit)
        place = volume_of(server)
        shutil.rmtree(place)
        shutil.copytree(volume, place)
        os.sync()
        server.ctl("user", "passwd", "user0", stdin="bench-secret\n")
        return server

    def lmtp(self, server, user):
        r = subprocess.run([self.load, str(server.port("lmtp")), *LOAD, user], capture_output=True, check=True)
        return json.loads(r.stdout)


def edit(text):
    """The server does not compact by itself: a compaction that is asked for would wait for the end of the other."""
    return text.replace("[limits]\n", "[limits]\nmax_connections_per_ip = 1000\nmax_connections_per_account = 0\n") + \
        "\n[maintenance]\ncompact_threshold = 0\n"


def volume_of(server):
    return os.path.join(server.dir, "volumes", "v1")


def files(top):
    return [os.path.join(root, name) for root, _, names in os.walk(top) for name in names]


def part_of(path):
    name = os.path.basename(path)
    return "index" if name.startswith("index.db") else "other" if name == "reserve" else "log"


def sizes(server):
    """What lies in the volume: the log with its head, the index, and the room kept for a full disk."""
    out = {}
    for part in ("log", "index", "other"):
        stats = [os.stat(p) for p in files(volume_of(server)) if part_of(p) == part]
        out[part + "_bytes"] = sum(s.st_size for s in stats)
        out[part + "_disk_bytes"] = sum(s.st_blocks * 512 for s in stats)
        out[part + "_files"] = len(stats)
    return out


# --- a start after kill -9 ---

def forget_pages(server):
    for path in files(volume_of(server)):
        fd = os.open(path, os.O_RDONLY)
        os.fdatasync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


def kill_under_load(bench, server):
    load = subprocess.Popen([bench.load, str(server.port("lmtp")), "8", "1000000", "4096", "user1"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(2)
    server.kill()
    load.wait()


def start_once(bench, server, cold):
    kill_under_load(bench, server)
    if cold:
        forget_pages(server)
    start = time.perf_counter()
    server.start()
    ready = time.perf_counter()
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN user0 bench-secret")
        login = time.perf_counter()
        exists = [line for line in c.cmd("SELECT INBOX") if line.endswith(b" EXISTS")][0]
        done = time.perf_counter()
    row = {"total_ms": round((done - start) * 1e3, 1), "ready_ms": round((ready - start) * 1e3, 1),
           "login_ms": round((login - ready) * 1e3, 1), "select_ms": round((done - login) * 1e3, 1)}
    say(what="start", cold=cold, exists=int(exists.split()[1]), **row)
    return row["total_ms"]


def bench_start(bench):
    server = bench.serve(bench.base())
    try:
        server.start()
        for cold in (False, True):
            seen = [start_once(bench, server, cold) for _ in range(5)]
            say(what="start.median", cold=cold, messages=bench.args.messages, total_ms=statistics.median(seen))
    finally:
        server.close()


# --- reindex and check ---

def timed(server, *argv):
    """Of a verb without a daemon: seconds by the clock, and of the processors."""
    def used():
        r = resource.getrusage(resource.RUSAGE_CHILDREN)
        return r.ru_utime + r.ru_stime

    start, cpu = time.perf_counter(), used()
    out = server.ctl(*argv)
    return round(time.perf_counter() - start, 2), round(used() - cpu, 2), out


def bench_reindex(bench):
    server = bench.serve(bench.base())
    try:
        rates = []
        for verb in ["reindex"] * bench.args.rounds + ["check"] * bench.args.rounds:
            seconds, cpu, _ = timed(server, verb)
            rate = round(bench.args.messages / seconds)
            say(what=verb, messages=bench.args.messages, seconds=seconds, cpu_seconds=cpu, rate=rate)
            if verb == "reindex":
                rates.append(rate)
        say(what="reindex.median", rate=statistics.median(rates))
    finally:
        server.close()


# --- compaction ---

def bench_compact(bench):
    for _ in range(bench.args.rounds):
        server = bench.serve(bench.expunged())
        try:
            before = sizes(server)
            seconds, cpu, out = timed(server, "compact", "--all", "--retention", "0s", "--rate", "0", "--json")
            after = sizes(server)
        finally:
            server.close()
        told = json.loads(out)
        assert told["damage"] == 0 and told["left_alone"] == 0 and told["no_room"] == 0, told
        say(what="compact", messages=bench.args.messages, expunged_percent=EXPUNGED_PERCENT, seconds=seconds,
            cpu_seconds=cpu, log_before=before["log_disk_bytes"], log_after=after["log_disk_bytes"],
            mb_per_s=round(before["log_bytes"] / seconds / 1e6, 1), rate=round(bench.args.messages / seconds), **told)


class Load:
    """Deliveries that go on and on; when each was answered is known at the end."""

    def __init__(self, bench, server):
        self.path = os.path.join(bench.args.work, "samples")
        self.proc = subprocess.Popen([bench.load, str(server.port("lmtp")), LOAD[0], "4000000", LOAD[2], "user1",
                                      self.path], stdout=subprocess.PIPE)

    def end(self):
        """[(seconds of the monotonic clock, latency in ms)], by time."""
        self.proc.terminate()
        out = json.loads(self.proc.communicate()[0])
        assert not out["failed"]
        with open(self.path) as f:
            rows = [line.split() for line in f]
        return sorted((float(at) / 1e3, float(ms)) for at, ms in rows)


def lines_of_terminal(fd):
    """What is written to the terminal whose other side this is, until all writers have gone."""
    try:
        while True:
            yield os.read(fd, 4096)
    except OSError:
        os.close(fd)


def compaction(server, rate):
    """[(name, when it began)] of its phases, and the end."""
    from harness import RESTANTECTL
    argv = [RESTANTECTL, "-c", server.conf, "compact", "--all", "--retention", "0s", "--json"]
    ours, theirs = pty.openpty()        # a terminal is told the phase soon
    ctl = subprocess.Popen(argv + (["--rate", rate] if rate else []), stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    phases = [("survey", time.monotonic())]
    for text in lines_of_terminal(ours):
        if b"compacting" in text and len(phases) == 1:
            phases.append(("rewrite", time.monotonic()))
    told = json.loads(ctl.stdout.read())
    assert ctl.wait() == 0 and told["made"] > 0 and len(phases) == 2, (told, phases)
    return phases + [("end", time.monotonic())]


def p99(latencies):
    return sorted(latencies)[len(latencies) * 99 // 100]


def windows(latencies):
    """p99 of each WINDOW deliveries, one behind the other."""
    return [round(p99(latencies[i:i + WINDOW]), 1) for i in range(0, len(latencies) - WINDOW + 1, WINDOW)]


def online_once(bench, rate):
    """Without, with, without, with: each pair lasts as long with as without, on one server under one load."""
    server = bench.serve(bench.expunged())
    pairs = []
    try:
        server.start()
        bench.lmtp(server, "user1")     # what is needed once
        load, rounds = Load(bench, server), []
        for _ in range(bench.args.pairs):
            begun = time.monotonic()
            time.sleep(bench.args.calm)
            rounds.append([("none", begun)] + compaction(server, rate))
            say(what="online.round", compaction=rate or "default",
                seconds=[round(b - a, 1) for (_, a), (_, b) in zip(rounds[-1], rounds[-1][1:])])
        samples = load.end()
    finally:
        server.close()
    for marks in rounds:
        row = {}
        for (name, begin), (_, end) in zip(marks, marks[1:]):
            ms = [m for at, m in samples if begin <= at < end]
            row[name] = {"deliveries": len(ms), "p50_ms": statistics.median(ms), "p99_ms": round(p99(ms), 1),
                         "windows": windows(ms)}
        ratio = round(row["rewrite"]["p99_ms"] / row["none"]["p99_ms"], 2)
        pairs.append((row, ratio))
        say(what="online.pair", compaction=rate or "default", ratio=ratio, **row)
    single = [w / row["none"]["p99_ms"] for row, _ in pairs for w in row["rewrite"]["windows"]]
    calm = [w / row["none"]["p99_ms"] for row, _ in pairs for w in row["none"]["windows"]]
    say(what="online", compaction=rate or "default", pairs=len(pairs), ratio=statistics.median(r for _, r in pairs),
        worst_ratio=max(r for _, r in pairs), windows=len(single), above_3=sum(w > 3 for w in single),
        calm_windows=len(calm), calm_above_3=sum(w > 3 for w in calm))


def bench_online(bench):
    for rate in bench.args.rates.split(","):
        online_once(bench, rate if rate != "default" else None)


# --- bytes on the disk ---

def bench_disk(bench):
    from harness import Server
    with Server({"bench": "bench-secret"}) as server:
        server.start()
        fed = json.loads(subprocess.run([os.path.join(HERE, "feed.py"), str(server.port("lmtp")), bench.args.mail,
                                         "bench"], check=True, stdout=subprocess.PIPE).stdout)
        server.stop()
        say(what="disk", server="restante", fed=fed, **sizes(server))
    for script in ("peer_dovecot_disk.sh", "peer_cyrus.sh"):
        r = subprocess.run(["sh", os.path.join(HERE, script), bench.args.mail], stdout=subprocess.PIPE)
        if r.returncode == 0:
            say(**json.loads(r.stdout))


PARTS = {"start": bench_start, "reindex": bench_reindex, "compact": bench_compact, "online": bench_online,
         "disk": bench_disk}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("mail")
    p.add_argument("--messages", type=int, default=200000)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--pairs", type=int, default=5, help="of loads without and with a compaction")
    p.add_argument("--rates", default="64M,default", help="of compactions beside deliveries")
    p.add_argument("--calm", type=float, default=20, help="seconds of each load without")
    p.add_argument("--only", default=",".join(PARTS))
    p.add_argument("--work")
    args = p.parse_args()
    os.environ["RESTANTE_BUILD"] = args.build
    os.environ.setdefault("RESTANTE_TEST_PATIENCE", "300")
    with tempfile.TemporaryDirectory(prefix="restante-bench-") as scratch:
        args.work = args.work or scratch
        os.makedirs(args.work, exist_ok=True)
        bench = Bench(args)
        for part in args.only.split(","):
            PARTS[part](bench)


main()
