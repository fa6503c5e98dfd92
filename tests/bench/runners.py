"""How a mode is measured: each runner measures once and returns the fields of a line.

CPU is the server's alone, all its processes, from just before to just after; where the generator prepares something that is not
timed (Mode.partly) it would be wrong and is left out.
"""

import json
import select
import signal
import socket
import statistics
import subprocess
import time

import modes

PATIENCE_S = 300
SETTLED_S = 4           # Restante's give COMPRESS' state back after three, Dovecot's hibernate after one
PEERS_CROWD = 50        # beyond 128 inotify instances of a user, Linux' limit, Dovecot looks every 30 s and does not hibernate


class Failed(Exception):
    pass


def load_line(argv):
    """What the generator says of a run."""
    try:
        r = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        raise Failed("not done after %d s: %s" % (PATIENCE_S, " ".join(argv)))
    if r.returncode:
        raise Failed("%s (exit %d)" % ((r.stderr.strip().splitlines() or ["nothing said"])[0][:300], r.returncode))
    return json.loads(r.stdout)


def command(run, mode, server, turn, host="127.0.0.1"):
    words = mode.words(run.counts, lmtp_port=server.ports["lmtp"])
    if run.corpus:
        words = modes.of_corpus(words, run.corpus)
    return [run.load, "-H", host, "-p", str(server.ports[mode.port]), "--seed", str(100 + turn),
            *(["--quickack"] if server.delays else []), *words]


def run_load(run, mode, server, turn):
    before = server.cpu()
    row = load_line(command(run, mode, server, turn))
    used = server.cpu() - before
    row["figure"] = row[mode.figure]
    row.pop("mode")
    if not mode.partly:
        each = row.get("messages") or row["ops"]
        row.update(cpu_s=round(used, 4), cpu_us=round(used * 1e6 / each, 2))
    return row


def run_first(run, mode, server, turn):
    """Once after a start: what the server has learnt in memory is gone."""
    server.stop()
    server.start()
    return run_load(run, mode, server, turn)


class Sessions:
    """So many idle sessions, held by the generator; `with` ends them."""

    def __init__(self, argv, count):
        self.argv, self.count = argv, count

    def __enter__(self):
        self.proc = subprocess.Popen(self.argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if not select.select([self.proc.stdout], [], [], PATIENCE_S)[0]:
            self.__exit__()
            raise Failed("%d idle sessions are not there after %d s" % (self.count, PATIENCE_S))
        line = self.proc.stdout.readline()
        if not line:
            raise Failed((self.proc.communicate()[1].decode().splitlines() or ["no idle sessions"])[0][:300])
        self.ready = json.loads(line)["ready"]
        return self

    def __exit__(self, *exc):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
        self.proc.communicate()


def share(server, count, most=10000):
    """Peers with a process for each session get a tenth of them."""
    return count if server.name.startswith("restante") else max(1, min(most, count // 10))


def idle_words(run, mode, server, count):
    words = mode.words(run.counts)
    return [run.load, "-p", str(server.ports[mode.port]), *words, "-c", str(count), "-n", str(count), "idle"]


def run_idle(run, mode, server, turn):
    """What each of many sessions takes beyond the first ten, and all of them at rest."""
    server.stop()               # memory as it is at first
    server.start()
    count = share(server, run.counts["idle"], PEERS_CROWD if server.hibernates else 10000)
    with Sessions(idle_words(run, mode, server, 10), 10):
        time.sleep(2)
        before = server.pss()
    time.sleep(0.2)
    with Sessions(idle_words(run, mode, server, count + 10), count):
        time.sleep(SETTLED_S)
        grown = server.pss() - before
        cpu, since = server.cpu(), time.monotonic()
        time.sleep(1)
        rest = (server.cpu() - cpu) / (time.monotonic() - since)
    return {"ops": count, "kb_each": round(grown / count / 1024, 2), "figure": round(grown / count / 1024, 2),
            "before_kb": before // 1024, "rest_cpu_percent": round(rest * 100, 3)}


def run_crowd(run, mode, server, turn):
    """Notification among a crowd. Sessions that were, hold inotify instances of Dovecot's that serve nobody."""
    server.stop()
    server.start()
    count = share(server, run.counts["crowd"], PEERS_CROWD)
    crowd = [run.load, "-p", str(server.ports["imap"]), "-u", "idle%d", "--users", "50", "-c", str(count), "-n", str(count),
             "idle"]
    with Sessions(crowd, count):
        row = load_line(command(run, mode, server, turn))
    row.pop("mode")
    row.update(figure=row[mode.figure], crowd=count)
    return row


def first_select(server, mailbox):
    """From the start of the program to the answer to SELECT."""
    since = time.monotonic()
    server.start(wait=False)
    with socket.create_connection(("127.0.0.1", server.ports["imap"])) as s:
        s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        f = s.makefile("rb")
        f.readline()
        for tag, text in ((b"a", b"LOGIN big secret"), (b"b", b"SELECT " + mailbox)):
            s.sendall(tag + b" " + text + b"\r\n")
            line = f.readline()
            while not line.startswith(tag + b" "):
                if not line:
                    raise Failed("the connection ended at the first SELECT")
                line = f.readline()
            if not line.startswith(tag + b" OK"):
                raise Failed(line.decode("latin-1").strip())
    return (time.monotonic() - since) * 1e3


def run_start(run, mode, server, turn):
    seen = []
    for _ in range(5):
        server.stop()
        cpu = server.cpu()
        seen.append(first_select(server, b"INBOX"))
    cpu = server.cpu() - cpu
    return {"ops": len(seen), "p50_ms": round(statistics.median(seen), 2), "figure": round(statistics.median(seen), 2),
            "max_ms": round(max(seen), 2), "cpu_us": round(cpu * 1e6)}


RUNNERS = {"load": run_load, "first": run_first, "idle": run_idle, "crowd": run_crowd, "start": run_start}
