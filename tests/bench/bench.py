#!/usr/bin/python3
"""Restante beside Dovecot and Cyrus, measured in the same run: the numbers of doc/benchmarks.md.

    tests/bench/bench.py BUILD_DIR [--quick] [--rounds 3] [--modes a,b] [--servers restante,dovecot,cyrus]
                         [--work DIR] [--keep FILE.jsonl] [--page] [--corpus DIR] [--trixie [--cache DIR] [--mirror URL]]

Each server is set up at its best (peer_*.py), filled with the same mail by tests/bench/load, and then every mode is run in
turns, A B C A B C, on servers that otherwise rest. A line of JSON for each run goes to --keep (default: fast.jsonl in the
work directory), the table of medians to the terminal; --page writes doc/benchmarks.md and keeps the lines in tests/bench/data.
A server that is not here is said to be missing, and a mode that fails is told with the generator's own words; the others go
on, and the exit status is 1.

--trixie measures against Dovecot 2.4 and Cyrus 3.10 of Debian 13 instead of this system's. They run in a root of their own
that debootstrap makes at the first time and that is kept in --cache: three minutes, 600 MB, the network. Its packages come from --mirror
(default: where this machine's apt has Debian from). Lines and tables of it are apart: trixie.jsonl, and the second table of the page.

--corpus fills all with the mail in the files below DIR (a message each, or an mbox) instead of generated mail, and measures
what that makes a difference to. tests/volume/fetch-corpus gets the SpamAssassin set.

Run as root, or the peers are missing. Nothing of the system is changed or started; all is in the work directory, of which
DIR/run is emptied.
"""

import argparse
import collections
import json
import os
import platform
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time

import corpus
import modes
import page
import table
import trixie
from peer_cyrus import Cyrus
from peer_dovecot import Dovecot, DovecotHibernated
from peer_restante import Restante, RestanteRelaxed
from peer_trixie import Cyrus310, Dovecot24, Dovecot24Hibernated
from runners import RUNNERS, Failed, load_line
from server import make_certificate

HERE = os.path.dirname(os.path.abspath(__file__))


class Progress:
    """A bar on a terminal, a line for each step in a pipe; on stderr."""

    def __init__(self, steps):
        self.steps, self.done, self.bar, self.since = steps, 0, sys.stderr.isatty(), time.monotonic()

    def step(self, text):
        self.done += 1
        seconds = int(time.monotonic() - self.since)
        if self.bar:
            filled = 30 * self.done // max(1, self.steps)
            print("\r\033[K[%-30s] %d/%d %d:%02d %s" % ("#" * filled, self.done, self.steps, seconds // 60, seconds % 60,
                                                       text[:60]), end="", file=sys.stderr, flush=True)
        else:
            self.say("%d/%d %d:%02d %s" % (self.done, self.steps, seconds // 60, seconds % 60, text))

    def passing(self, text):
        """On a terminal, until the next."""
        if self.bar:
            print("\r\033[K" + text[:100], end="", file=sys.stderr, flush=True)

    def say(self, text):
        print(("\r\033[K" if self.bar else "") + text, file=sys.stderr, flush=True)


class Run:
    """One benchmark: its servers, its lines."""

    def __init__(self, args, counts):
        self.args, self.counts = args, counts
        self.load = os.path.join(args.build, "load")
        self.top = os.path.join(args.work, "run")
        shutil.rmtree(self.top, ignore_errors=True)
        os.makedirs(self.top)
        os.chmod(self.top, 0o755)
        self.rows, self.failed, self.servers = [], [], {}
        self.corpus = self.gather(args.corpus) if args.corpus else None
        self.out = open(args.keep, "w")

    def gather(self, where):
        into = os.path.join(self.top, "corpus")
        count = corpus.gather(where, into)
        if not count:
            sys.exit("bench: no messages in %s" % where)
        self.counts["big"] = self.counts["mail"] = count
        self.args.progress.say("corpus: %d messages" % count)
        return into

    def keep(self, **row):
        self.rows.append(row)
        print(json.dumps(row), file=self.out, flush=True)

    # -- the machine --

    def machine(self):
        with open("/proc/cpuinfo") as f:
            cpu = next((line.split(":", 1)[1].strip() for line in f if line.startswith("model name")), platform.machine())
        with open("/proc/meminfo") as f:
            memory = int(f.readline().split()[1])
        with open("/proc/loadavg") as f:
            load = float(f.read().split()[0])
        self.keep(what="machine", cpu=cpu, cores=os.cpu_count(), memory_kb=memory, kernel=platform.release(),
                  system=system_name(), load_1m=load, date=time.strftime("%Y-%m-%d"), quick=self.args.quick,
                  rounds=self.args.rounds, counts=self.counts,
                  **({"peers": trixie.system_name(self.args.root)} if self.args.root else {}))

    def build_nosync(self):
        self.nosync = os.path.join(self.top, "nosync.so")
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", self.nosync, os.path.join(HERE, "nosync.c")], check=True)

    def limits(self, seconds):
        """The machine's, by a program built for it."""
        program, source = os.path.join(self.top, "limits"), os.path.join(HERE, "limits.c")
        flags = ["cc", "-std=c17", "-O2", "-D_DEFAULT_SOURCE", "-D_XOPEN_SOURCE=700", "-pthread", "-o", program, source]
        libraries = ["-lssl", "-lcrypto", "-lz", "-lm"]
        if subprocess.run(flags + ["-DLIMITS_ISAL"] + libraries + ["-lisal"], capture_output=True).returncode:
            subprocess.run(flags + libraries, check=True)
        out = subprocess.run([program, self.top, *self.cert, str(seconds)], check=True, capture_output=True, text=True)
        for line in out.stdout.splitlines():
            self.keep(**json.loads(line))

    # -- servers and their mail --

    def make_certificate(self):
        self.cert = make_certificate(self.top)
        os.chmod(self.cert[1], 0o644)

    def make_server(self, name):
        made = {"restante": lambda: Restante(self.top, self.cert, self.args.build),
                "restante-relaxed": lambda: RestanteRelaxed(self.top, self.cert, self.args.build),
                "dovecot": lambda: Dovecot(self.top, self.cert),
                "dovecot-hibernated": lambda: DovecotHibernated(self.top, self.cert),
                "cyrus": lambda: Cyrus(self.top, self.cert, os.path.join(self.args.work, "cyrus"))}
        if self.args.root:
            made.update({"dovecot": lambda: Dovecot24(self.top, self.cert, self.args.root),
                         "dovecot-hibernated": lambda: Dovecot24Hibernated(self.top, self.cert, self.args.root),
                         "cyrus": lambda: Cyrus310(self.top, self.cert, self.args.root)})
        return made[name]()

    def make_servers(self, names):
        for name in names:
            server = self.make_server(name)
            if server.why_not:
                self.args.progress.say("%s is missing: %s" % (server.title, server.why_not))
                self.keep(what="missing", server=name, why=server.why_not)
                continue
            self.servers[name] = server
            server.prepare(modes.ACCOUNTS)
            self.keep(what="version", server=name, title=server.title, version=server.version())

    def fill(self, server):
        """The same mail for each, without syncs, as the time is not measured; what it takes on the disk is looked at with the
        server stopped."""
        server.start(preload=self.nosync)
        server.first_start(modes.ACCOUNTS)
        for key, port, words in (modes.corpus_fills(self.counts["big"], self.corpus) if self.corpus
                                 else modes.fills(self.counts, server)):
            is_quoted = key in modes.QUOTED
            before = self.disk_of(server) if is_quoted else 0
            row = load_line([self.load, "-p", str(server.ports[port]), *words])
            line = {"mode": key, "server": server.name, "bytes": row["bytes"], "messages": row["messages"],
                    "seconds": row["seconds"]}
            if is_quoted:
                grown = self.disk_of(server) - before
                line.update(disk_bytes=grown, disk_per_byte=round(grown / row["bytes"], 4))
            self.keep(what="fill", **line)
        server.stop()
        server.start()

    def disk_of(self, server):
        """All is in its place once the server has stopped."""
        server.stop()
        size = server.disk()
        server.start(preload=self.nosync)
        return size

    def fill_all(self):
        """All at the same time, as nothing of it is measured but the disk."""
        threads = [threading.Thread(target=self.fill_one, args=(name,)) for name in list(self.servers)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()

    def fill_one(self, name):
        """One that ended meanwhile (Cyrus' lmtpd has an assertion that now and then fails) gets an empty directory and
        all of it once more."""
        for again in (True, False):
            server = self.servers[name]
            try:
                self.fill(server)
                self.args.progress.step("filled %s" % server.title)
                return
            except (Failed, OSError, RuntimeError) as e:
                server.close()
                if not again:
                    self.fail("fill", server, e)
                    del self.servers[name]
                    return
                self.args.progress.say("fill, %s: %s; once more" % (server.title, e))
                self.keep(what="again", server=name, why=str(e))
                self.servers[name] = self.make_server(name)
                self.servers[name].prepare(modes.ACCOUNTS)

    # -- measuring --

    def fail(self, what, server, error):
        self.failed.append((what, server.name))
        self.args.progress.say("%s, %s: %s" % (what, server.title, error))
        self.keep(what="failed", mode=what, server=server.name, why=str(error))

    def server_of(self, mode, name):
        """A relaxed mode is Restante's with relaxed durability, and anybody else's as it is."""
        return self.servers.get("restante-relaxed" if name == "restante" and mode.key.endswith("-relaxed") else name)

    def measure(self, wanted):
        for mode in wanted:
            if mode.runner.startswith("of "):
                continue
            out = set()
            for turn in range(self.args.rounds):
                for name in mode.servers:
                    server = self.server_of(mode, name)
                    if server is None or name in out:
                        continue
                    self.args.progress.step("%s, %s" % (mode.title, server.title))
                    os.sync()
                    try:
                        if mode.warm and turn == 0:
                            RUNNERS[mode.runner](self, mode, server, -1)
                        row = RUNNERS[mode.runner](self, mode, server, turn)
                        self.keep(what="run", mode=mode.key, server=name, round=turn, **row)
                    except (Failed, OSError, RuntimeError, subprocess.SubprocessError) as e:
                        self.fail(mode.key, server, e)
                        out.add(name)
                        if server.proc is None or server.proc.poll() is not None:
                            server.stop()
                            server.start()

    def close(self):
        for server in self.servers.values():
            try:
                server.close()
            except RuntimeError as e:
                print(e, file=sys.stderr)
        self.out.close()


def system_name():
    with open("/etc/os-release") as f:
        return next((line.split("=", 1)[1].strip().strip('"') for line in f if line.startswith("PRETTY_NAME=")), "")


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build")
    p.add_argument("--quick", action="store_true")
    p.add_argument("--rounds", type=int)
    p.add_argument("--modes", help="keys, or the beginnings of keys with a *: " + " ".join(m.key for m in modes.MODES))
    p.add_argument("--servers", default="restante,dovecot,cyrus")
    p.add_argument("--work", default="/var/tmp/restante-bench")
    p.add_argument("--keep")
    p.add_argument("--page", action="store_true")
    p.add_argument("--corpus", metavar="DIR")
    p.add_argument("--trixie", action="store_true")
    p.add_argument("--cache", help="of the root that --trixie makes (default: trixie in the work directory)")
    p.add_argument("--mirror", help="of Debian, for --trixie")
    args = p.parse_args()
    args.build, args.work, args.root = os.path.abspath(args.build), os.path.abspath(args.work), None
    args.cache = os.path.abspath(args.cache or os.path.join(args.work, "trixie"))
    if args.corpus:
        if args.page:
            p.error("--page is for generated mail")
        args.modes = args.modes or ",".join(modes.CORPUS)
    args.rounds = args.rounds or (1 if args.quick else 3)
    os.makedirs(args.work, exist_ok=True)
    args.keep = args.keep or os.path.join(os.path.join(HERE, "data") if args.page else args.work,
                                          "trixie.jsonl" if args.trixie else "fast.jsonl")
    return args


def chosen(names, quick):
    """The modes asked for."""
    if not names:
        return [m for m in modes.MODES if not (quick and m.key in modes.NOT_QUICK)]
    words = names.split(",")
    found = [m for m in modes.MODES if any(m.key == w or w.endswith("*") and m.key.startswith(w[:-1]) for w in words)]
    for w in words:
        if not any(m.key == w or w.endswith("*") and m.key.startswith(w[:-1]) for m in modes.MODES):
            sys.exit("bench: there is no mode %s" % w)
    return found


def raise_limits():
    for limit, want in ((resource.RLIMIT_NOFILE, 200000), (resource.RLIMIT_NPROC, resource.RLIM_INFINITY)):
        try:
            resource.setrlimit(limit, (want, want))
        except (ValueError, OSError):
            resource.setrlimit(limit, (resource.getrlimit(limit)[1],) * 2)


def main():
    args = arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    raise_limits()
    wanted = chosen(args.modes, args.quick)
    counts = {k: v[args.quick] for k, v in modes.COUNTS.items()}
    names = [s for s in args.servers.split(",")]
    extra = [n for m in wanted for n in m.servers if n not in modes.THREE and n.split("-")[0] in names]
    if "restante" in names and any(m.key.endswith("-relaxed") for m in wanted):
        extra.append("restante-relaxed")
    names = list(collections.OrderedDict.fromkeys(names + extra))
    measured = [m for m in wanted if not m.runner.startswith("of ")]
    args.progress = Progress(len(names) + 1 + args.rounds * sum(
        len([n for n in m.servers if n in names]) for m in measured))
    if args.trixie:
        try:
            args.root = trixie.make(args.cache, args.mirror, args.progress)
        except trixie.NotMade as e:
            sys.exit("bench: no root of trixie: %s" % e)
    run = Run(args, counts)
    try:
        run.machine()
        run.build_nosync()
        run.make_certificate()
        run.make_servers(names)
        args.progress.step("limits of the machine")
        run.limits(0.5 if args.quick else 2)
        run.wanted = wanted
        run.fill_all()
        run.measure(wanted)
    finally:
        run.close()
    print(table.text(run.rows))
    if args.page:
        page.write(run.rows)
    print("The lines of this run: %s" % args.keep)
    return 1 if run.failed else 0


if __name__ == "__main__":
    sys.exit(main())
