"""The same clients at once, each in a thread of its own, over a few mailboxes; the server may be killed in between.

Nobody knows the order in which things happen, so what is checked is what holds in any order: UIDs, UIDNEXT, MODSEQs
and HIGHESTMODSEQ never go back, also from one connection to the next; no MODSEQ names two states; no UID is given
twice or comes back; and when all is quiet, each client's picture is the mailbox's.
"""

import collections
import itertools
import random
import re
import threading
import time

from harness import PATIENCE_S, Server

from .oracle import flags_after
from .wire import (Closed, Condition, Connection, Esearch, Fetch, Number, Search, Vanished, Wrong, format_set,
                   parse_fetch_items, parse_set)
from .world import KINDS, kind_as_can

BOXES = ("INBOX", "left", "right")
WORDS = ["\\Seen", "\\Flagged", "\\Answered", "\\Deleted", "work", "later"]
MAILBOX_MAX = 40
USER = "parallel"


class Shared:
    """What anybody was ever told, by mailbox name; a lock around each look."""

    def __init__(self):
        self.lock = threading.Lock()
        self.uidvalidity = {}
        self.highest = collections.Counter()            # the highest MODSEQ told
        self.uidnext = collections.Counter()
        self.states = {}                                # (name, uid, modseq): flags
        self.latest = {}                                # (name, uid): modseq
        self.given, self.gone = set(), set()            # (name, uid)

    def floor(self, name):
        """What a command that begins now must at least see."""
        with self.lock:
            return (self.highest[name], self.uidnext[name], {u for n, u in self.gone if n == name},
                    {u: m for (n, u), m in self.latest.items() if n == name})

    def told_validity(self, name, value):
        with self.lock:
            if self.uidvalidity.setdefault(name, value) != value:
                raise Wrong("UIDVALIDITY of %s was %d, is %d" % (name, self.uidvalidity[name], value))

    def told_modseq(self, name, modseq):
        with self.lock:
            self.highest[name] = max(self.highest[name], modseq)

    def told_uidnext(self, name, uidnext):
        with self.lock:
            self.uidnext[name] = max(self.uidnext[name], uidnext)

    def told_state(self, name, uid, modseq, flags):
        with self.lock:
            if self.states.setdefault((name, uid, modseq), flags) != flags:
                raise Wrong("%s: UID %d has %s and %s with MODSEQ %d" % (
                    name, uid, sorted(flags), sorted(self.states[name, uid, modseq]), modseq))
            self.latest[name, uid] = max(self.latest.get((name, uid), 0), modseq)
            self.highest[name] = max(self.highest[name], modseq)

    def told_given(self, name, uids):
        with self.lock:
            twice = {(name, u) for u in uids} & self.given
            if twice:
                raise Wrong("UIDs were given twice: %r" % twice)
            self.given |= {(name, u) for u in uids}

    def told_gone(self, name, uids):
        with self.lock:
            self.gone |= {(name, u) for u in uids}


class Slot:
    def __init__(self):
        self.uid = self.flags = self.modseq = None


class Client(threading.Thread):
    """One thread. Its operations of a round are a number; then it waits for the others."""

    def __init__(self, run, number, kind, seed):
        super().__init__(daemon=True, name="%s%d" % (kind.name, number))
        self.run_, self.kind, self.rng = run, kind, random.Random("%d/%d" % (seed, number))
        self.shared, self.conn, self.box = run.shared, None, None
        self.caches, self.error = {}, None

    # -- the connection --

    def connect(self):
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.run_.up.wait(PATIENCE_S)
            try:
                self.conn = Connection(self.run_.server.port("imap"))
                break
            except (OSError, Closed):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
        self.box = None
        self.command("LOGIN %s secret" % USER)
        if self.kind.compress:
            self.command("COMPRESS DEFLATE")
            self.conn.compress()
        wanted = [w for w, on in (("IMAP4rev2", self.kind.rev2), ("CONDSTORE", self.kind.condstore),
                                  ("QRESYNC", self.kind.qresync), ("UIDONLY", self.kind.uidonly)) if on]
        if wanted:
            self.command("ENABLE " + " ".join(wanted))
        self.condstore = bool(self.kind.condstore or self.kind.qresync)

    def drop(self):
        self.keep()
        if self.conn:
            self.conn.close()
        self.conn = self.box = None

    def keep(self):
        if self.box and self.kind.qresync:
            states = {s.uid: (s.flags, s.modseq) for s in self.slots if s.uid and s.flags is not None and s.modseq}
            self.caches[self.box] = (self.modseq, states)

    def command(self, text):
        untagged, tagged = self.conn.command(text)
        if tagged.word not in ("OK", "NO"):
            raise Wrong("%r" % (tagged,))
        return untagged, tagged

    # -- the selected mailbox --

    def slot(self, r):
        if r.by_uid:
            found = [s for s in self.slots if s.uid == r.n]
            if not found:       # its place is not known yet
                return None
            return found[0]
        if not 1 <= r.n <= len(self.slots):
            raise Wrong("no such message: %r of %d" % (r, len(self.slots)))
        return self.slots[r.n - 1]

    def hear(self, r):
        if isinstance(r, Number) and r.word == "EXISTS":
            if r.n < len(self.slots):
                raise Wrong("%d EXISTS after %d" % (r.n, len(self.slots)))
            self.slots += [Slot() for _ in range(r.n - len(self.slots))]
        elif isinstance(r, Number) and r.word == "EXPUNGE":
            if self.uses_seq or self.kind.qresync or self.kind.uidonly or r.n > len(self.slots):
                raise Wrong("%r" % (r,))
            self.hear_gone(self.slots[r.n - 1])
        elif isinstance(r, Vanished) and not r.earlier:
            if self.uses_seq or not (self.kind.qresync or self.kind.uidonly):
                raise Wrong("%r" % (r,))
            self.shared.told_gone(self.box, r.uids)
            for uid in r.uids:
                self.hear_gone(self.place(uid))
        elif isinstance(r, Fetch):
            self.hear_fetch(r)
        elif isinstance(r, Condition) and r.code == "HIGHESTMODSEQ":
            self.told = int(r.args)
        elif isinstance(r, Condition) and r.word == "BYE":
            raise Closed("BYE")

    def hear_gone(self, slot):
        if slot.uid:
            self.shared.told_gone(self.box, [slot.uid])
        self.slots.remove(slot)

    def place(self, uid):
        """The slot of a UID; if that is not known, one of those where it may be, and nothing is known of the others."""
        at = [s for s in self.slots if s.uid == uid]
        if at:
            return at[0]
        first = max([i + 1 for i, s in enumerate(self.slots) if s.uid and s.uid < uid], default=0)
        gap = list(itertools.takewhile(lambda s: s.uid is None, self.slots[first:]))
        if not gap:
            raise Wrong("UID %d is said to be gone, and was never there" % uid)
        for s in gap:
            s.flags = s.modseq = None
        return gap[0]

    def hear_fetch(self, r):
        uid = r.n if r.by_uid else r.items.get("UID")
        modseq, flags = r.items.get("MODSEQ"), r.items.get("FLAGS")
        flags = flags - {"\\Recent"} if flags is not None else None
        if uid and uid in self.gone_before:
            raise Wrong("UID %d was told to be gone before the mailbox was selected: %r" % (uid, r))
        if uid and modseq:
            if modseq < self.floors.get(uid, 0):
                raise Wrong("%r, but %d was told before" % (r, self.floors[uid]))
            if flags is not None:
                self.shared.told_state(self.box, uid, modseq, flags)
            self.modseqs.append(modseq)
        slot = self.slot(r)
        if slot is None:
            self.loose[uid] = (flags, modseq)
            return
        if uid and slot.uid not in (None, uid):
            raise Wrong("%r was UID %d" % (r, slot.uid))
        slot.uid = uid or slot.uid
        if modseq and slot.modseq and modseq < slot.modseq:
            raise Wrong("MODSEQ of UID %d goes back from %d: %r" % (uid, slot.modseq, r))
        if flags is None and modseq and slot.flags is not None and modseq != slot.modseq and self.own:
            flags = flags_after(slot.flags, *self.own)
        if flags not in (None, slot.flags):
            slot.flags, slot.modseq = flags, None       # which MODSEQ has these is not known, unless it is told
        slot.modseq = modseq or slot.modseq

    def op(self, text, own=None):
        self.modseqs, self.told, self.own = [], None, own
        self.uses_seq = text.split()[0] in ("FETCH", "STORE", "SEARCH")
        self.floors = self.shared.floor(self.box)[3]
        untagged, tagged = self.command(text)
        for r in untagged:
            self.hear(r)
        if tagged.code == "HIGHESTMODSEQ":
            self.told = int(tagged.args)
        if self.told is not None:
            self.modseq = self.told
        elif self.modseqs:
            self.modseq = max([self.modseq] + self.modseqs)
        self.check_order()
        return untagged, tagged

    def check_order(self):
        known = [s.uid for s in self.slots if s.uid]
        if known != sorted(set(known)):
            raise Wrong("UIDs do not ascend: %r" % known)
        for s in self.slots:
            if s.uid and s.modseq and s.flags is not None and self.condstore:
                self.shared.told_state(self.box, s.uid, s.modseq, s.flags)

    def select(self, name):
        self.keep()
        modseq, states = self.caches.get(name, (0, {}))
        params = ""
        if modseq and self.kind.qresync:
            known = sorted(u for u in states if self.rng.random() < 0.7 or not self.kind.partial)
            states = {u: states[u] for u in known}
            params = " (QRESYNC (%d %d%s))" % (self.shared.uidvalidity[name], modseq,
                                               " " + format_set(known) if known else "")
        highest, uidnext, self.gone_before, self.floors = self.shared.floor(name)
        untagged, _ = self.command("SELECT %s%s" % (name, params))
        self.box, self.slots, self.modseq, self.own, self.uses_seq = name, [], 0, None, False
        self.modseqs, self.told, self.loose = [], None, {}
        for r in untagged:
            if isinstance(r, Condition) and r.code == "UIDVALIDITY":
                self.shared.told_validity(name, int(r.args))
            elif isinstance(r, Condition) and r.code == "UIDNEXT":
                if int(r.args) < uidnext:
                    raise Wrong("UIDNEXT %s, %d was told before" % (r.args, uidnext))
                self.shared.told_uidnext(name, int(r.args))
            elif isinstance(r, Condition) and r.code == "HIGHESTMODSEQ":
                if int(r.args) < highest:
                    raise Wrong("HIGHESTMODSEQ %s, %d was told before" % (r.args, highest))
                self.modseq = int(r.args)
                self.shared.told_modseq(name, self.modseq)
            elif isinstance(r, Vanished):
                self.shared.told_gone(name, r.uids)
                for u in r.uids:
                    states.pop(u, None)
            elif isinstance(r, Fetch):
                uid = r.n if r.by_uid else r.items["UID"]
                states[uid] = (r.items["FLAGS"] - {"\\Recent"}, r.items["MODSEQ"])
                self.hear(r)
            elif isinstance(r, Number):
                self.hear(r)
        self.find_places(states if params else {})

    def find_places(self, states):
        """Which UID has which number, and what was known of it before."""
        if self.kind.uidonly:
            untagged, _ = self.op("UID SEARCH ALL")
            gone = {uid for r in untagged if isinstance(r, Vanished) for uid in r.uids}
            for r in untagged:
                if isinstance(r, (Search, Esearch)):
                    found = r.numbers if isinstance(r, Search) else parse_set(r.items.get("ALL", ""))
                    # What others expunged since the SELECT is found, and told to be gone behind it.
                    for slot, uid in zip(self.slots, [u for u in found if u not in gone]):
                        slot.uid = uid
        else:
            self.op("UID FETCH 1:* (UID)")
        for s in self.slots:
            flags, modseq = self.loose.get(s.uid) or states.get(s.uid) or (None, None)
            if s.flags is None and flags is not None:
                s.flags, s.modseq = flags, modseq
        if not states:
            self.fetch_all()

    def fetch_all(self):
        self.op("UID FETCH 1:* (UID FLAGS%s)" % (" MODSEQ" if self.condstore else ""))

    # -- operations --

    def some_uids(self):
        known = [s.uid for s in self.slots if s.uid]
        return format_set(self.rng.sample(known, min(len(known), self.rng.randrange(1, 6)))) if known else None

    def numbers(self, uids):
        """A command on messages by UID or, where that is allowed, by number."""
        if self.kind.uidonly or self.rng.random() < 0.6:
            return "UID ", uids
        return "", format_set([i + 1 for i, s in enumerate(self.slots) if s.uid in parse_set(uids)])

    def store(self):
        prefix, numbers = self.numbers(self.some_uids())
        op, flags = self.rng.choice("+-"), self.rng.sample(WORDS, self.rng.randrange(1, 3))
        silent = self.condstore and self.rng.random() < 0.5
        modifier = "(UNCHANGEDSINCE %d) " % max(1, self.modseq) if self.condstore and self.rng.random() < 0.3 else ""
        self.op("%sSTORE %s %s%sFLAGS%s (%s)" % (prefix, numbers, modifier, op, ".SILENT" if silent else "",
                                                 " ".join(flags)), (op, flags))

    def append(self):
        name = self.rng.choice(BOXES)
        text = "Subject: x\r\n\r\nbody\r\n"
        _, tagged = self.op("APPEND %s (%s) {%d+}\r\n%s" % (name, self.rng.choice(WORDS), len(text), text))
        if tagged.code != "APPENDUID":
            raise Wrong("%r" % (tagged,))
        self.note_given(name, tagged.args.split()[0], parse_set(tagged.args.split()[1]))

    def note_given(self, name, uidvalidity, uids):
        self.shared.told_validity(name, int(uidvalidity))
        self.shared.told_given(name, uids)
        self.shared.told_uidnext(name, uids[-1] + 1)

    def copy(self):
        prefix, numbers = self.numbers(self.some_uids())
        name = self.rng.choice([b for b in BOXES if b != self.box])
        word = "COPY" if len(self.slots) < MAILBOX_MAX / 2 else "MOVE"
        untagged, tagged = self.op("%s%s %s %s" % (prefix, word, numbers, name))
        for r in untagged + [tagged]:
            if isinstance(r, Condition) and r.code == "COPYUID":
                self.note_given(name, r.args.split()[0], parse_set(r.args.split()[2]))

    def step(self):
        chance = self.rng.random()
        if self.conn is None:
            self.connect()
        if self.box is None or chance < 0.03:
            self.select(self.rng.choice(BOXES))
        elif chance < 0.06:
            self.drop()
        elif chance < 0.1:
            self.fetch_all()
        elif chance < 0.2 or not any(s.uid for s in self.slots):
            self.op("NOOP") if len(self.slots) > MAILBOX_MAX else self.append()
        elif chance < 0.3:
            self.op("EXPUNGE")
        elif chance < 0.4:
            self.copy()
        elif chance < 0.5:
            prefix, numbers = self.numbers(self.some_uids())
            self.op("%sFETCH %s (UID FLAGS)" % (prefix, numbers))
        elif chance < 0.55:
            self.fetch_all()
        else:
            self.store()

    def run(self):
        try:
            for _ in range(self.run_.rounds):
                for _ in range(self.run_.operations):
                    try:
                        self.step()
                    except Closed:
                        self.drop()
                        if not self.run_.killed:
                            raise
                self.quiet()
                if self.run_.over:
                    break
        except Exception as e:                  # pylint: disable=broad-except
            self.error = e
            self.run_.barrier.abort()

    def catch_up(self):
        """False: the server was killed meanwhile."""
        try:
            if self.conn is None:
                self.connect()
            if self.box is None:
                self.select(self.rng.choice(BOXES))
            self.op("NOOP")
        except Closed:
            if not self.run_.killed:
                raise
            return False
        return True

    def quiet(self):
        """All have stopped: what is known now must be so."""
        self.run_.barrier.wait(PATIENCE_S * 2)          # nobody changes anything any more
        while not self.catch_up():
            self.drop()
        truth = self.run_.truth[self.box]
        told = [s.uid for s in self.slots]
        if len(told) != len(truth) or any(u and u != t for u, t in zip(told, truth)):
            raise Wrong("%s: the client has %r, the mailbox %r" % (self.box, told, list(truth)))
        for s, (uid, (flags, modseq)) in zip(self.slots, truth.items()):
            if s.flags is not None and s.flags != flags:
                raise Wrong("%s: UID %d is %s, the client has %s" % (self.box, uid, sorted(flags), sorted(s.flags)))
            if self.condstore and s.modseq and modseq and s.modseq != modseq:
                raise Wrong("%s: UID %d has MODSEQ %d, the client has %d" % (self.box, uid, modseq, s.modseq))
        self.run_.barrier.wait(PATIENCE_S * 2)


class Run:
    def __init__(self, server, seed, rounds, operations, kill=True):
        self.server, self.rounds, self.operations, self.kill = server, rounds, operations, kill
        self.seed, self.rng = seed, random.Random(seed)
        self.shared, self.truth, self.killed = Shared(), {}, False
        self.over = False                               # set while all wait: this round was the last one
        self.up = threading.Event()

    def look(self):
        """What the mailboxes hold, by one more client; runs while all others wait. Again if the server is killed."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.up.wait(PATIENCE_S)
            try:
                return self.look_once()
            except (OSError, AssertionError):
                if not self.killed or time.monotonic() > deadline:
                    raise
                time.sleep(0.02)

    def look_once(self):
        with self.server.raw("imap") as c:
            c.line()
            c.cmd("LOGIN %s secret" % USER)
            for name in BOXES:
                c.cmd("EXAMINE " + name)
                truth = {}
                for line in c.cmd("UID FETCH 1:* (UID FLAGS%s)" % (" MODSEQ" if self.modseqs else "")):
                    m = re.match(rb"\* \d+ FETCH (.*)", line)
                    if m:
                        items = parse_fetch_items(m.group(1))
                        truth[items["UID"]] = (items["FLAGS"] - {"\\Recent"}, items.get("MODSEQ"))
                self.truth[name] = truth

    def start(self):
        self.server.add_user(USER)
        self.server.start()
        with self.server.raw("imap") as c:
            c.line()
            c.cmd("LOGIN %s secret" % USER)
            words = set(c.cmd("CAPABILITY")[0].decode().split())
            words |= set(c.cmd("ENABLE IMAP4rev2 CONDSTORE QRESYNC UIDONLY")[0].decode().split())
            for name in BOXES[1:]:
                c.cmd("CREATE " + name)
        self.modseqs = "CONDSTORE" in words
        kinds = [kind_as_can(k, words) for k in KINDS]
        self.barrier = threading.Barrier(len(kinds), action=self.look)
        self.clients = [Client(self, i, k, self.seed) for i, k in enumerate(kinds)]
        self.up.set()
        for c in self.clients:
            c.start()

    def restart(self):
        self.killed = True
        self.up.clear()
        self.server.kill()
        self.server.start()
        self.restarted()
        self.up.set()

    def restarted(self):
        """Nobody is connected yet."""

    def finish(self):
        self.start()
        while any(c.is_alive() for c in self.clients):
            if self.kill and self.rng.random() < 0.2:
                self.restart()
            time.sleep(0.3)
        self.tell_errors()

    def tell_errors(self):
        errors = [(c.name, c.error, c.conn.transcript[-12:] if c.conn else []) for c in self.clients
                  if c.error and not isinstance(c.error, threading.BrokenBarrierError)]
        assert not errors, "seed %d: %s" % (self.seed, "\n".join("%s: %s: %s\n%s" % (
            name, type(e).__name__, e, "\n".join(repr(line[:300]) for line in lines)) for name, e, lines in errors))
        assert not any(c.error for c in self.clients), [c.error for c in self.clients]


def run(seed, rounds=10, operations=60, kill=True):
    with Server() as server:
        Run(server, seed, rounds, operations, kill).finish()
