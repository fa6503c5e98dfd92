"""One run: a server, its clients, a seed. The same seed and number of operations give the same commands again.

Operations go one at a time, so that the oracle knows each outcome; sessions that did not act are told when they next
do, those in IDLE at once. Now and then the server is ended or killed, its index removed, its log compacted, or the
oldest tombstones are pruned: all that a client was told before must hold after. Or the volume is lost and its last
backup put back: then no number that was told since may come again, and all clients find their way.
"""

import base64
import collections
import glob
import json
import os
import random
import re
import shutil
import signal
import time

from harness import PATIENCE_S, Server, send

from . import operations
from .oracle import Oracle
from .session import Kind, Session
from .wire import Closed, Condition, Wrong

#                 name        rev2 condstore  qresync uidonly compress partial
KINDS = [
    Kind("plain",    False, "",       False, False, False, False),
    Kind("qresync",  False, "",       True,  False, False, False),
    Kind("condstore", False, "enable", False, False, False, False),
    Kind("partial",  True,  "",       True,  False, False, True),
    Kind("uidonly",  False, "",       True,  True,  False, False),
    Kind("rev2",     True,  "",       False, False, True,  False),
    Kind("select",   False, "select", False, False, True,  False),
    Kind("uids",     True,  "",       False, True,  False, False),
    Kind("late",     False, "late",   False, False, False, False),
    Kind("whole",    True,  "",       True,  False, True,  False),
]
USER = "model"
OF_ALL = ["Archive", "Drafts", "Junk", "Sent", "Trash"]
TOMBSTONES = 100        # as few as can be configured
LOG_LINES = 40
CAPABILITY = {"rev2": "IMAP4rev2", "condstore": "CONDSTORE", "qresync": "QRESYNC", "uidonly": "UIDONLY",
              "compress": "COMPRESS=DEFLATE"}
Entry = collections.namedtuple("Entry", "number session boxes lines")


class Failure(AssertionError):
    """What went wrong, with the operations that led there and how to see it again."""


def kind_as_can(kind, capabilities):
    """The kind without what the server does not have."""
    return kind._replace(**{field: type(getattr(kind, field))() for field, word in CAPABILITY.items()
                            if word not in capabilities})


class World:
    def __init__(self, seed, server=None, log=None):
        self.seed, self.rng = seed, random.Random(seed)
        self.server = server
        self.user = USER
        self.oracle = Oracle()
        self.log = collections.deque(maxlen=4000)
        self.trace = log
        self.number = self.contents = 0
        self.lmtp = None
        self.modseqs = False
        self.backup = None              # what the mailboxes held when it was made
        self.top_epoch = 0              # of all that were ever told
        self.counts = collections.Counter()

    # -- set-up --

    def begin(self):
        self.server.add_user(self.user)
        self.server.start()
        self.capabilities = self.ask_capabilities()
        self.modseqs = self.can("CONDSTORE")
        kinds = list(dict.fromkeys(kind_as_can(k, self.capabilities) for k in KINDS))
        self.sessions = [Session(self, i, k) for i, k in enumerate(kinds)]
        while len(self.sessions) < 5:
            self.sessions.append(Session(self, len(self.sessions), kinds[0]))
        self.by_the_way("CREATE probe")
        self.oracle.create("probe")
        self.learn_epoch()
        inbox = self.oracle.create("INBOX")
        inbox.highest = 1               # of an earlier epoch
        inbox.append([], "c0")
        self.by_the_way("APPEND INBOX {21+}\r\nX-Content: c0\r\n\r\nbody")
        for name in ("first", "second", "tree/leaf", "crowd"):
            self.by_the_way("CREATE " + name)
            self.oracle.create(name)
        self.crowd()

    def ask_capabilities(self):
        with self.server.raw("imap") as c:
            c.line()
            c.cmd("LOGIN %s secret" % self.user)
            words = set(c.cmd("CAPABILITY")[0].decode().split())
            # What can be enabled is tried also while it is not advertised.
            return words | set(c.cmd("ENABLE IMAP4rev2 CONDSTORE QRESYNC UIDONLY")[0].decode().split())

    def crowd(self):
        made = [operations.make_message(self) for _ in range(operations.CROWD)]
        for content, text in made:
            self.oracle.names["crowd"].append([], content)
        for i in range(0, len(made), 100):
            parts = ["{%d+}\r\n%s" % (len(text), text) for _, text in made[i:i + 100]]
            self.by_the_way("APPEND crowd " + " ".join(parts))

    def can(self, word):
        return word in self.capabilities

    def by_the_way(self, text):
        with self.server.raw("imap") as c:
            c.line()
            c.cmd("LOGIN %s secret" % self.user)
            return c.cmd(text)

    def check_names(self):
        """LIST names the oracle's mailboxes, and those that every account has."""
        lines = self.by_the_way('LIST "" *')[:-1]
        listed = [re.fullmatch(rb'\* LIST \([^)]*\) "/" "?([^"]*)"?', line) for line in lines]
        if None in listed:
            raise Wrong("LIST: not understood")
        names = sorted(m.group(1).decode() for m in listed)
        mine = sorted([self.encode(self.sessions[0], n) for n in self.oracle.names] + OF_ALL)
        if names != mine:
            raise Wrong("LIST gives %r, they are %r" % (names, mine))

    def learn_epoch(self):
        """The first change after a start has the new epoch in its MODSEQ, and it is higher than the one before."""
        box, before = self.oracle.names["probe"], self.oracle.epoch
        self.by_the_way("APPEND probe {4+}\r\n\r\nx\r")
        box.uidnext += 1
        if not self.modseqs:
            self.oracle.epoch += 1
            return
        answer = self.by_the_way("STATUS probe (HIGHESTMODSEQ)")[0].decode()
        box.highest = int(re.search(r"HIGHESTMODSEQ (\d+)", answer).group(1))
        self.oracle.epoch = box.highest >> 32
        if self.oracle.epoch <= max(before, self.top_epoch):
            raise Wrong("MODSEQ %d after a start, the epoch was %d" % (box.highest, before))
        self.top_epoch = self.oracle.epoch

    # -- names --

    def encode(self, s, name):
        if s.kind.rev2:
            return '"%s"' % name
        return re.sub(r"[^\x20-\x7e]+", lambda m: "&%s-" % base64.b64encode(m.group().encode("utf-16-be")).decode()
                      .rstrip("=").replace("/", ","), name)

    def wire_name(self, s, box):
        return self.encode(s, box.name)

    def some_box(self, rng, crowd=0.04):
        if rng.random() < crowd:
            return self.oracle.names["crowd"]
        boxes = [b for n, b in self.oracle.names.items() if n not in ("probe", "crowd")]
        return rng.choice(boxes[:2] * 3 + boxes)

    def move_caches(self, old, new, rng):
        """Some clients recognise a renamed mailbox, others meet another one of the same name."""
        for s in self.sessions:
            for name in [n for n in s.caches if n == old or n.startswith(old + "/")]:
                if rng.random() < 0.7:
                    s.caches[new + name[len(old):]] = s.caches.pop(name)

    # -- what is told about mailboxes --

    def told(self, box, code, args):
        try:
            if code == "UIDVALIDITY":
                self.oracle.met(box, int(args))
            elif code == "MAILBOXID":
                self.oracle.met(box, box.uidvalidity or 0, args) if box.uidvalidity else None
        except AssertionError as e:
            raise Wrong(str(e))

    # -- the log --

    def note(self, s, lines, box=None):
        boxes = {b for b in (box, s.box) if b is not None}
        lines = lines if len(lines) < 60 else lines[:40] + [b"..."] + lines[-10:]
        entry = Entry(self.number, repr(s), boxes, [line[:400] for line in lines])
        self.log.append(entry)
        if self.trace:
            self.print_entry(entry, self.trace)

    @staticmethod
    def print_entry(entry, file):
        for line in entry.lines:
            print("%5d %-12s %s" % (entry.number, entry.session, line.decode("utf-8", "backslashreplace").rstrip()),
                  file=file)

    def history(self, box):
        """The last operations that concern the mailbox."""
        names = {box.name} if box else set()
        hit = [e for e in self.log if box is None or box in e.boxes
               or any(n.encode() in line for n in names for line in e.lines[:1])]
        out = []
        for e in hit[-LOG_LINES:]:
            out += ["%5d %-12s %s" % (e.number, e.session, line.decode("utf-8", "backslashreplace").rstrip())
                    for line in e.lines]
        return "\n".join(out)

    # -- running --

    def deliver(self, rcpt, text):
        if self.lmtp is None:
            self.lmtp = self.server.lmtp()
        send(self.lmtp, rcpt + "@example.org", text)

    def restart(self, rng):
        how = rng.choice(["stop", "kill", "reindex", "prune", "compact"] + ["put back"] * 2 * (self.backup is not None))
        self.counts[how] += 1
        if self.lmtp:
            self.lmtp.close()
            self.lmtp = None
        if how == "kill":
            self.server.kill()
        else:
            self.server.stop()
        for s in self.sessions:
            if s.conn and how != "kill":
                self.expect_end(s)
            s.drop()
        if how == "reindex":
            for path in glob.glob(os.path.join(self.server.dir, "volumes", "*", "index.db*")):
                os.unlink(path)
        if how == "put back":
            self.put_back()
        self.server.start()
        self.check_names()
        self.learn_epoch()
        if how == "put back":
            for box in self.oracle.names.values():
                box.renew(box.highest if box.name == "probe" else self.oracle.epoch << 32)
        if how == "prune":
            self.prune()
        if how in ("prune", "compact"):
            self.server.ctl("compact", "--all", "--retention", "0s")

    # -- what moves the floors --

    def back_up(self):
        self.server.ctl("backup", self.backup_dir())
        self.backup = self.oracle.kept()
        self.counts["backup"] += 1

    def backup_dir(self):
        path = os.path.join(self.server.top, "copies")
        if not os.path.isdir(path):
            os.mkdir(path)
            os.chmod(path, 0o777)
        return os.path.join(path, "v1")

    def put_back(self):
        """The volume is lost, its last backup takes its place. Once: the next one is made of what comes of it."""
        shutil.rmtree(os.path.join(self.server.dir, "volumes", "v1"))
        self.server.ctl("restore", "--from", self.backup_dir())
        self.oracle.put_back(self.backup)
        self.backup = None
        for box in self.oracle.names.values():
            box.pass_over_uids()

    def configure(self, text):
        with open(self.server.conf, "w") as f:
            f.write(text)
        self.server.proc.send_signal(signal.SIGHUP)

    def prune(self):
        """Nobody is connected. The volume is told to forget what was expunged more than a second ago."""
        due = [b for b in self.oracle.names.values() if len([m for m in b.expunged.values() if m.gone > b.floor])
               > TOMBSTONES]
        if not due:
            return
        time.sleep(2.1)                 # ages of tombstones are counted in seconds
        with open(self.server.conf) as f:
            before = f.read()
        self.configure(re.sub(r"(?m)^idle_timeout.*\n", "", before).replace("[server]\n", "[server]\nidle_timeout = 1s\n")
                       + "\n[maintenance]\nretention = 0s\ntombstones = %d\ncompact_threshold = 0\n" % TOMBSTONES)
        deadline = time.monotonic() + PATIENCE_S
        while any(self.floor_of(b) == b.floor for b in due):
            if time.monotonic() > deadline:
                raise Wrong("not pruned: %r" % due)
            time.sleep(0.05)
        self.configure(before)
        for box in due:
            box.floor = self.floor_of(box)
            gone = sorted(m.gone for m in box.expunged.values())
            if box.floor != gone[-TOMBSTONES - 1]:
                raise Wrong("the floor of %r is %d, not %d" % (box, box.floor, gone[-TOMBSTONES - 1]))
            self.counts["mailbox pruned"] += 1

    def floor_of(self, box):
        """As the log has it."""
        latest = {}
        for line in self.server.ctl("dump", "--json").splitlines():
            record = json.loads(line)
            if record.get("type") == "mailbox":
                latest[record["id"]] = record
        return [r for r in latest.values() if r["name"] == box.name and not r["deleted"]][0].get("expunge_floor", 0)

    def expect_end(self, s):
        """What comes before the end of the connection is true, and the last is BYE."""
        try:
            while True:
                r = s.conn.read()
                if isinstance(r, Condition) and r.word == "BYE":
                    return
                if s.idle and s.box:
                    s.hear(r, False, None)
        except Closed:
            raise Wrong("no BYE at the end")

    def step(self):
        rng = self.rng
        if rng.random() < 1 / 250:
            self.restart(rng)
        if rng.random() < 1 / 300:
            self.back_up()
        s = rng.choice(self.sessions)
        self.acting = s
        if s.conn is None:
            s.connect()
        if s.box and s.box.deleted:
            s.expect_bye()
            return
        if s.idle:
            s.end_idle()
        if s.box is None:
            s.select(self.some_box(rng, 0.12), rng)
            return
        f = operations.choose(s, rng)
        self.counts[f.__name__] += 1
        f(self, s, rng)
        for other in self.sessions:
            if other.idle and other is not s:
                self.acting = other
                if other.box.deleted:
                    other.expect_bye()
                else:
                    other.settle()

    def run(self, operations_wanted):
        try:
            self.begin()
            while self.number < operations_wanted:
                self.number += 1
                self.step()
            self.finish()
        except (Wrong, Closed, AssertionError, KeyError, IndexError, ValueError, OSError) as e:
            self.fail(e)

    def finish(self):
        """All come back once more, and all agree."""
        self.check_names()
        for s in self.sessions:
            self.acting = s
            if s.conn is None:
                s.connect()
            if s.box and s.box.deleted:
                s.expect_bye()
                s.connect()
            if s.idle:
                s.end_idle()
            for name, box in list(self.oracle.names.items()):
                if name != "probe":
                    s.select(box, self.rng)
                    s.fetch_all()
            s.drop()
        self.server.ctl("check")

    def fail(self, e):
        s = getattr(self, "acting", None)
        box = s.box if s else None
        lines = s.conn.transcript[:1] + s.conn.transcript[-40:] if s and s.conn else []
        text = "\n".join(line.decode("utf-8", "backslashreplace").rstrip() for line in lines)
        raise Failure("%s: %s\nseed %d, operation %d, client %r, mailbox %r\n--- the mailbox's last operations\n%s\n"
                      "--- the last command\n%s" % (type(e).__name__, e, self.seed, self.number, s, box,
                                                    self.history(box), text)) from e


def run(seed, wanted, log=None):
    """A whole run on a server of its own; its World."""
    with Server() as server:
        world = World(seed, server, log)
        world.run(wanted)
        return world
