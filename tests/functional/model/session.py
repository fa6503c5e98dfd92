"""One client. It believes what it is told and nothing else, as a real one does; after each command its picture is
compared with the oracle, and each response must be true and have a reason."""

import collections
import time

from harness import PATIENCE_S

from .oracle import flags_after, is_in
from .wire import Closed, Condition, Connection, Fetch, Flags, Number, Vanished, Words, Wrong, format_set

# rev2, qresync, uidonly: enabled after login; condstore: "", "enable", "select", or "late": by the first command that
# happens to use a MODSEQ; partial: keeps only some messages.
Kind = collections.namedtuple("Kind", "name rev2 condstore qresync uidonly compress partial")
# What a client keeps of a mailbox when it goes: states {uid: (flags, modseq)}; `order` all UIDs it had, by number.
Cache = collections.namedtuple("Cache", "uidvalidity modseq states order")

CONDITIONS_ANYWHERE = {"PERMANENTFLAGS", "HIGHESTMODSEQ", "INPROGRESS"}


def check_apart(ranges):
    ranges = sorted(ranges)
    if any(b[0] <= a[1] for a, b in zip(ranges, ranges[1:])):
        raise Wrong("a UID twice: %r" % ranges)


def check_within(ranges, bounds):
    """All of `ranges` lies in `bounds`, ascending."""
    joined = []
    for a, b in bounds:
        if joined and a <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(b, joined[-1][1]))
        else:
            joined.append((a, b))
    for a, b in ranges:
        if not is_in(joined, a) or not any(x <= a and b <= y for x, y in joined):
            raise Wrong("%d:%d is more than was asked for" % (a, b))


class Slot:
    """One message of the view, at its sequence number. None: not told."""

    def __init__(self, uid, seen):
        self.uid, self.flags, self.modseq = uid, None, None
        self.seen = seen                # the oracle's MODSEQ of the state that was told last


class Session:
    def __init__(self, world, number, kind):
        self.world, self.number, self.kind = world, number, kind
        self.conn = self.box = self.idle = None
        self.caches = {}                # by name, as the client knows no better

    def __repr__(self):
        return "%s%d" % (self.kind.name, self.number)

    # -- connection --

    def connect(self):
        self.conn = Connection(self.world.server.port("imap"))
        self.box = self.idle = None
        self.condstore = False          # the server knows that we are CONDSTORE-aware
        self.simple("LOGIN %s secret" % self.world.user)
        if self.kind.compress:
            self.simple("COMPRESS DEFLATE")
            self.conn.compress()
        wanted = [w for w, on in (("IMAP4rev2", self.kind.rev2), ("CONDSTORE", self.kind.condstore == "enable"),
                                  ("QRESYNC", self.kind.qresync), ("UIDONLY", self.kind.uidonly)) if on]
        if wanted:
            untagged = self.simple("ENABLE " + " ".join(wanted))
            named = {w.upper() for r in untagged if isinstance(r, Words) and r.word == "ENABLED" for w in r.names}
            if not {w.upper() for w in wanted} <= named:
                raise Wrong("ENABLE %s gives %r" % (wanted, untagged))
        self.condstore = bool(self.kind.qresync or self.kind.condstore == "enable")

    def simple(self, text, status="OK"):
        """A command outside any mailbox."""
        untagged, tagged = self.conn.command(text)
        self.world.note(self, self.conn.transcript)
        if tagged.word != status:
            raise Wrong("%s: %r" % (text, tagged))
        return untagged

    def drop(self):
        """The connection is gone, whyever; what the client knew stays."""
        self.keep()
        if self.conn:
            self.conn.close()
        self.conn = self.box = self.idle = None

    def keep(self):
        if self.box is None:
            return
        known = {s.uid: (s.flags, s.modseq) for s in self.slots
                 if s.flags is not None and (s.modseq is not None or not self.condstore)}
        if self.kind.partial:
            known = {u: known[u] for u in list(known)[::2]}
        self.caches[self.box.name] = Cache(self.box.uidvalidity, self.modseq, known, [s.uid for s in self.slots])

    @property
    def aware(self):
        """It may use MODSEQs."""
        return self.condstore or self.kind.condstore == "late"

    # -- responses --

    def slot_of_uid(self, uid):
        for s in self.slots:
            if s.uid == uid:
                return s
        raise Wrong("UID %d is not in the view" % uid)

    def message(self, uid):
        return self.box.messages.get(uid) or self.box.expunged[uid]

    def pending(self):
        """UIDs in the view whose flags changed since they were told."""
        return {s.uid for s in self.slots if s.uid in self.box.messages and self.box.messages[s.uid].modseq != s.seen}

    def hear_exists(self, n):
        for uid, m in self.box.messages.items():
            if uid >= self.uidnext:
                self.slots.append(Slot(uid, m.modseq))
        self.uidnext = self.box.uidnext
        if n != len(self.slots):
            raise Wrong("%d EXISTS, but there are %d" % (n, len(self.slots)))

    def hear_gone(self, slot):
        if slot.uid not in self.box.expunged:
            raise Wrong("UID %d is said to be gone, and is there" % slot.uid)
        self.slots.remove(slot)

    def hear_fetch(self, r, allowed):
        if r.by_uid != bool(self.kind.uidonly):
            raise Wrong("FETCH or UIDFETCH: %r" % (r,))
        if not r.by_uid and not 1 <= r.n <= len(self.slots):
            raise Wrong("no such message: %r" % (r,))
        slot = self.slot_of_uid(r.n) if r.by_uid else self.slots[r.n - 1]
        if r.items.get("UID", slot.uid) != slot.uid:
            raise Wrong("%r, and it has UID %d" % (r, slot.uid))
        if allowed is not None and slot.uid not in allowed:
            raise Wrong("%r of UID %d has no reason" % (r, slot.uid))
        self.heard.add(slot.uid)
        m = self.message(slot.uid)
        self.check_content(r, m)
        flags = r.items["FLAGS"] - {"\\Recent"} if "FLAGS" in r.items else None
        modseq = r.items.get("MODSEQ")
        states = [s for s in ((m.modseq, m.flags), m.before) if s and (flags is None or flags == s[1])
                  and (modseq is None or modseq == s[0])]
        if not states:
            raise Wrong("%r of UID %d; it is %r, and was %r" % (r, slot.uid, (m.modseq, sorted(m.flags)), m.before))
        if flags is not None:
            if not {f for f in flags if f[0] != "\\"} <= self.named:
                raise Wrong("%r has a keyword that FLAGS did not name" % (r,))
            slot.flags, slot.seen = flags, states[0][0]
        if modseq is not None:
            slot.modseq = modseq
            self.modseqs.append(modseq)
        return slot

    @staticmethod
    def check_content(r, m):
        for name, value in r.items.items():
            if name.startswith("BODY[HEADER") and value.strip() != b"X-Content: " + m.content.encode():
                raise Wrong("%r of UID %d is not %s" % (r, m.uid, m.content))

    def check_unasked(self, r, uid_command):
        """What a FETCH must hold that no FETCH command asked for [RFC 7162 s3.2.4, RFC 9051 s7.5.2]."""
        if self.condstore and "MODSEQ" not in r.items:
            raise Wrong("no MODSEQ in %r" % (r,))
        if (self.condstore or self.kind.rev2 or uid_command) and not self.kind.uidonly and "UID" not in r.items:
            raise Wrong("no UID in %r" % (r,))

    def hear(self, r, uses_seq=False, allowed=None, accept=()):
        """One untagged response about the selected mailbox. True: it is the command's own."""
        if isinstance(r, Number) and r.word == "EXISTS":
            self.hear_exists(r.n)
        elif isinstance(r, Number) and r.word == "RECENT" and not self.kind.rev2:
            pass
        elif isinstance(r, Number) and r.word == "EXPUNGE":
            if uses_seq or self.kind.qresync or self.kind.uidonly or r.n > len(self.slots):
                raise Wrong("%r" % (r,))
            self.hear_gone(self.slots[r.n - 1])
        elif isinstance(r, Vanished) and not r.earlier:
            if uses_seq or not (self.kind.qresync or self.kind.uidonly):
                raise Wrong("%r" % (r,))
            for uid in r.uids:
                self.hear_gone(self.slot_of_uid(uid))
        elif isinstance(r, Fetch):
            self.hear_fetch(r, allowed)
            return True
        elif isinstance(r, Flags):
            self.named = {f for f in r.names if f[0] != "\\"}
        elif isinstance(r, Condition) and r.word == "OK" and r.code in CONDITIONS_ANYWHERE:
            if r.code == "HIGHESTMODSEQ":
                self.told_modseq = int(r.args)
        elif type(r).__name__ in accept or (isinstance(r, Condition) and r.word == "OK" and r.code in accept):
            return True
        else:
            raise Wrong("unexpected %r" % (r,))
        return False

    # -- one command in the selected mailbox --

    def op(self, text, effect=None, named=(), uses_seq=False, accept=(), asked=False, status="OK", applied=None):
        """Send a command, which does `effect` to the oracle, may show the UIDs in `named` and must end with `status`.
        `asked`: it is a FETCH. `applied` does to the picture what the client knows without being told.
        Returns (effect's result, its own responses, the tagged one)."""
        for m in self.box.messages.values():
            m.before = None
        uid_command = text.startswith("UID ")
        # A CONDSTORE-enabling command [RFC 7162 s3.1].
        enabling = not self.condstore and ("MODSEQ" in text or "CHANGEDSINCE" in text)
        self.condstore = self.condstore or enabling
        allowed = self.pending() | set(named)
        result = effect() if effect else None
        self.begin_hearing()
        own = []
        try:
            untagged, tagged = self.conn.command(text)
        finally:
            self.world.note(self, self.conn.transcript)
        for r in untagged:
            if self.hear(r, uses_seq, allowed, accept):
                own.append(r)
                if isinstance(r, Fetch) and not asked:
                    self.check_unasked(r, uid_command)
        if tagged.word != status:
            raise Wrong("%r instead of %s" % (tagged, status))
        if applied:
            applied(result)
        if enabling:
            self.world.counts["CONDSTORE enabled late"] += 1
            if self.told_modseq is None:
                raise Wrong("%s is the first command with a MODSEQ, and no HIGHESTMODSEQ came" % text)
        self.end_of_command(tagged)
        self.verify(uses_seq)
        return result, own, tagged

    def begin_hearing(self):
        """Of one command: MODSEQs and HIGHESTMODSEQ told, UIDs with a FETCH."""
        self.modseqs, self.told_modseq, self.heard = [], None, set()

    def apply_own(self, slot, op, flags):
        """The client's own .SILENT change, which nobody tells it."""
        slot.flags = flags_after(slot.flags, op, flags) if slot.flags is not None else None
        slot.seen = self.message(slot.uid).modseq

    def end_of_command(self, tagged):
        """The client's HIGHESTMODSEQ [RFC 7162 s6]."""
        if tagged.code == "HIGHESTMODSEQ":
            self.told_modseq = int(tagged.args)
        if not self.condstore:
            return
        if self.told_modseq is not None:
            self.modseq = self.told_modseq
        elif self.modseqs:
            self.modseq = max([self.modseq] + self.modseqs)

    def verify(self, uses_seq=False):
        """The picture is the oracle's; with `uses_seq`, only expunges may be unknown."""
        uids = [s.uid for s in self.slots if s.uid in self.box.messages or not uses_seq]
        if uids != list(self.box.messages):
            raise Wrong("the client has %s, the mailbox %s" % (format_set(uids), format_set(self.box.messages)))
        for s in self.slots:
            m = self.box.messages.get(s.uid)
            if m is None:
                continue
            if s.seen != m.modseq:
                raise Wrong("UID %d: not told of MODSEQ %d, only %d" % (s.uid, m.modseq, s.seen))
            if s.flags is not None and s.flags != m.flags:
                raise Wrong("UID %d: the client has %s, it is %s" % (s.uid, sorted(s.flags), sorted(m.flags)))
            if self.condstore and s.modseq is not None and s.modseq != m.modseq:
                raise Wrong("UID %d: the client has MODSEQ %d, it is %d" % (s.uid, s.modseq, m.modseq))
        if self.condstore:
            self.verify_modseq()

    def verify_modseq(self):
        if self.modseq > self.box.highest:
            raise Wrong("HIGHESTMODSEQ %d told, it is %d" % (self.modseq, self.box.highest))
        for s in self.slots:
            m = self.message(s.uid)
            if m.gone is None and s.seen < m.modseq <= self.modseq:
                raise Wrong("HIGHESTMODSEQ %d, but of UID %d only %d was told" % (self.modseq, s.uid, s.seen))
            self.world.counts["expunge held back"] += m.gone is not None
            if m.gone is not None and m.gone <= self.modseq and self.kind.qresync:
                raise Wrong("HIGHESTMODSEQ %d, but the expunge of UID %d at %d was not told" % (
                    self.modseq, s.uid, m.gone))

    # -- selecting --

    def select(self, box, rng):
        """SELECT or EXAMINE; with what was kept of an earlier time, if anything was."""
        self.keep()
        self.idle = None
        cache = self.caches.get(box.name)
        for m in box.messages.values():
            m.before = None
        word = "EXAMINE" if rng.random() < 0.1 else "SELECT"
        params, resume = "", None
        if self.kind.qresync and cache and cache.modseq and rng.random() < 0.9:
            params, resume = self.qresync_params(box, cache, rng)
        elif self.kind.condstore == "select":
            params = " (CONDSTORE)"
            self.condstore = True
        closed = self.box is not None
        untagged, tagged = self.conn.command("%s %s%s" % (word, self.world.wire_name(self, box), params))
        self.world.note(self, self.conn.transcript, box)
        if tagged.word != "OK" or tagged.code != ("READ-ONLY" if word == "EXAMINE" else "READ-WRITE"):
            raise Wrong("%r" % (tagged,))
        self.read_only = word == "EXAMINE"
        if closed:
            first = untagged.pop(0)
            if not (isinstance(first, Condition) and first.code == "CLOSED"):
                raise Wrong("no CLOSED first: %r" % (first,))
        self.begin_view(box, untagged, tagged, resume)
        if resume is None and cache and cache.uidvalidity == box.uidvalidity and self.aware and cache.modseq:
            self.resume_condstore(cache)
        elif rng.random() < 0.8:
            self.fetch_all()

    def begin_view(self, box, untagged, tagged, resume):
        self.box, self.slots = box, [Slot(uid, m.modseq) for uid, m in box.messages.items()]
        self.uidnext, self.modseq, self.named = box.uidnext, 0, set()
        self.begin_hearing()
        codes, rest = {}, []
        for r in untagged:
            if isinstance(r, Condition) and r.word == "OK" and r.code:
                if r.code in codes:
                    raise Wrong("twice: %r" % (r,))
                codes[r.code] = r.args
                self.world.told(box, r.code, r.args)
            else:
                rest.append(r)
        if codes.get("UIDNEXT") != str(box.uidnext) or "UIDVALIDITY" not in codes or "PERMANENTFLAGS" not in codes:
            raise Wrong("SELECT: %r; UIDNEXT is %d" % (codes, box.uidnext))
        if self.condstore and "HIGHESTMODSEQ" not in codes:
            raise Wrong("SELECT: no HIGHESTMODSEQ")
        self.modseq = int(codes.get("HIGHESTMODSEQ", 0))
        if self.world.modseqs and self.modseq and self.modseq != box.highest:
            raise Wrong("SELECT: HIGHESTMODSEQ %d, it is %d" % (self.modseq, box.highest))
        rest = [r for r in rest if self.hear_at_select(r, resume)]
        if resume:
            self.check_resumed(rest, *resume)
        elif rest:
            raise Wrong("SELECT: unexpected %r" % rest)
        self.verify()

    def hear_at_select(self, r, resume):
        """False: dealt with."""
        if isinstance(r, Number) and r.word == "EXISTS":
            self.hear_exists(r.n)
        elif isinstance(r, Number) and r.word == "RECENT" and not self.kind.rev2 or type(r).__name__ == "Listed":
            pass
        elif isinstance(r, Flags):
            self.named = {f for f in r.names if f[0] != "\\"}
        elif isinstance(r, (Fetch, Vanished)):
            return True
        else:
            raise Wrong("SELECT: unexpected %r" % (r,))
        return False

    def fetch_all(self):
        items = "(FLAGS MODSEQ)" if self.condstore else "(FLAGS)"
        uids = {s.uid for s in self.slots}
        _, own, _ = self.op("UID FETCH 1:* " + items, named=uids, asked=True)
        if {s.uid for s in self.slots if s.flags is None}:
            raise Wrong("UID FETCH 1:* left some out")

    # -- resuming --

    def qresync_params(self, box, cache, rng):
        """The parameter, and (UIDVALIDITY, MODSEQ, known UIDs or None, matching pairs, cache)."""
        modseq = cache.modseq
        chance = rng.random()
        if chance < 0.2:
            modseq = max(1, modseq - rng.randrange(40))
        elif chance < 0.25:
            modseq = 1
        elif chance < 0.3:
            modseq = box.highest + rng.randrange(1, 1000)
        known = None
        if self.kind.partial or rng.random() < 0.5:
            known = sorted(cache.states)
        elif rng.random() < 0.2:
            first = rng.randrange(1, box.uidnext + 5)
            known = list(range(first, first + rng.randrange(1, 50)))
        if known == []:
            known = None
        text = "%d %d" % (cache.uidvalidity, modseq)
        if known is not None:
            text += " " + format_set(known)
        pairs = []
        if known is not None and cache.order and not self.kind.uidonly and rng.random() < 0.5:
            count = len(cache.order)
            seqs = sorted(rng.sample(range(1, count + 1), rng.choice([count, rng.randrange(1, count + 1)])))
            pairs = [(n, cache.order[n - 1]) for n in seqs]
            text += " (%s %s)" % (format_set(seqs), format_set(u for _, u in pairs))
        return " (QRESYNC (%s))" % text, (cache.uidvalidity, modseq, known, pairs, cache)

    def check_resumed(self, responses, uidvalidity, modseq, known, pairs, cache):
        """VANISHED (EARLIER) and FETCH are exactly what happened to the known UIDs since."""
        vanished, fetched, after_fetch = [], [], False
        for r in responses:
            if isinstance(r, Vanished):
                if not r.earlier or after_fetch:
                    raise Wrong("%r at SELECT" % (r,))
                vanished += r.ranges
            else:
                after_fetch = True
                self.hear_fetch(r, None)
                self.check_unasked(r, False)
                fetched.append(r.n if r.by_uid else r.items["UID"])
        check_apart(vanished)
        if len(set(fetched)) != len(fetched):
            raise Wrong("a UID twice: %r" % responses)
        count = self.world.counts
        count["resumed"] += 1
        count["resumed with VANISHED"] += bool(vanished)
        count["resumed with FETCH"] += bool(fetched)
        if uidvalidity != self.box.uidvalidity:
            count["resumed with another UIDVALIDITY"] += 1
            if responses:
                raise Wrong("UIDVALIDITY is another one, and still %r" % responses)
            return
        count["resumed below the floor"] += modseq < self.box.floor
        bounds = [(1, self.box.uidnext - 1)] if known is None else [(u, u) for u in known]
        known = list(self.box.ever(1, self.box.uidnext - 1)) if known is None else known
        check_within(vanished, bounds)
        vanished = {u for u in known if is_in(vanished, u)}
        self.check_exact("VANISHED (EARLIER)", vanished, self.box.vanished_since(modseq, known), self.matched(pairs))
        self.check_exact("FETCH", fetched, self.box.changed_since(modseq, known))
        known = set(known)
        if modseq <= cache.modseq or modseq > self.box.highest:
            self.load(cache, known)

    def matched(self, pairs):
        """The highest UID of a pair that is so in the mailbox: expunges up to there need not be told [RFC 7162
        s3.2.5.2]."""
        order = list(self.box.messages)
        return max([u for n, u in pairs if n <= len(order) and order[n - 1] == u], default=0)

    def check_exact(self, what, told, exact, matched=0):
        told = set(told)
        if told not in (exact, {u for u in exact if u > matched}):
            raise Wrong("%s of %s, exact is %s; missing %s, too many %s" % (
                what, format_set(told), format_set(exact), format_set(exact - told), format_set(told - exact)))

    def load(self, cache, known):
        """What was known before, and was not told to have changed, is so still."""
        for s in self.slots:
            if s.flags is None and s.uid in known and s.uid in cache.states:
                s.flags, s.modseq = cache.states[s.uid]

    def resume_condstore(self, cache):
        """As a client without QRESYNC does [RFC 7162 s3.1.2.1]."""
        uids = {s.uid for s in self.slots}
        since = cache.modseq
        _, own, _ = self.op("UID FETCH 1:* (FLAGS) (CHANGEDSINCE %d)" % since, named=uids, asked=True)
        fetched = [r.n if r.by_uid else r.items["UID"] for r in own]
        self.check_exact("FETCH", fetched, self.box.changed_since(since, uids))
        self.world.counts["resumed by CHANGEDSINCE"] += 1
        self.load(cache, uids)
        self.verify()

    # -- IDLE --

    def begin_idle(self):
        for m in self.box.messages.values():
            m.before = None
        self.begin_hearing()
        self.idle = self.conn.begin_idle()
        self.world.note(self, self.conn.transcript)
        self.settle()

    def caught_up(self):
        return [s.uid for s in self.slots] == list(self.box.messages) and not self.pending()

    def settle(self):
        """In IDLE: wait until all is told."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.caught_up():
            if not self.conn.readable(max(0, deadline - time.monotonic())):
                self.verify()
                raise Wrong("IDLE does not tell")
            allowed = self.pending()
            at = len(self.conn.transcript)
            r = self.conn.read()
            self.world.note(self, self.conn.transcript[at:])
            self.hear(r, False, allowed)
            if isinstance(r, Fetch):
                self.check_unasked(r, False)
            if self.told_modseq is not None:
                self.modseq, self.told_modseq = self.told_modseq, None
                self.verify_modseq()
        self.verify()

    def end_idle(self):
        at = len(self.conn.transcript)
        self.conn.write(b"DONE\r\n")
        untagged, tagged = self.conn.finish(self.idle)
        self.world.note(self, self.conn.transcript[at:])
        for r in untagged:
            self.hear(r, False, set())
        if tagged.word != "OK":
            raise Wrong("%r" % (tagged,))
        self.idle = None
        self.end_of_command(tagged)
        self.verify()

    def expect_bye(self):
        """The selected mailbox was deleted by another: BYE, at the latest after the next command."""
        try:
            if not self.idle:
                self.conn.begin("NOOP")
            while True:
                r = self.conn.read()
                if isinstance(r, Condition) and r.word == "BYE":
                    break
                if isinstance(r, Condition) and r.tag != "*":
                    raise Wrong("no BYE but %r" % (r,))
        except Closed:
            raise Wrong("no BYE before the connection ends")
        self.world.note(self, self.conn.transcript)
        self.box = None
        self.drop()
