"""What the mailboxes hold, and held at every MODSEQ: the law that servers and clients are compared with.

A mailbox's next MODSEQ is max(last + 1, epoch * 2^32); the epoch goes up with each start of the server. A message is
known by its UID; its `modseq` names its state, since no MODSEQ is given to two states.

Below its expunge floor a mailbox does not remember which UIDs it has expunged: all that are not there count. A volume
that was put back from a backup passes over UIDs, and raises floor and all MODSEQs above what the lost one can have told.
"""

import bisect
import copy

UIDS_PASSED = 1 << 20

SYSTEM = ("\\Answered", "\\Flagged", "\\Deleted", "\\Seen", "\\Draft")


class Message:
    def __init__(self, uid, flags, modseq, content):
        self.uid, self.flags, self.modseq, self.content = uid, frozenset(flags), modseq, content
        self.before = None          # (modseq, flags) that the command under way replaced
        self.gone = None            # the MODSEQ of its expunge


class Mailbox:
    def __init__(self, oracle, name):
        self.oracle, self.name = oracle, name
        self.uidvalidity = self.mailboxid = None        # as first told
        self.uidnext, self.highest = 1, max(1, oracle.epoch << 32)
        self.messages, self.expunged = {}, {}           # by UID, ascending
        self.keywords = set()
        self.deleted = False
        self.floor = 0                                  # of expunges
        self.passed = []                                # [(first, last)] of UIDs that are never given

    def __repr__(self):
        return "<%s %s>" % (self.name, self.uidvalidity)

    def next_modseq(self):
        self.highest = max(self.highest + 1, self.oracle.epoch << 32)
        return self.highest

    # -- changes --

    def append(self, flags, content, modseq=None):
        m = Message(self.uidnext, flags, modseq or self.next_modseq(), content)
        self.uidnext += 1
        self.messages[m.uid] = m
        self.keywords |= {f for f in flags if f[0] != "\\"}
        return m

    def store(self, uids, op, flags, unchangedsince=None):
        """(UIDs that passed the test, those that failed it, those whose flags are different now)."""
        passed, failed, changed = [], [], []
        for uid in sorted(uids):
            m = self.messages.get(uid)
            if m is None:
                continue
            if fails_test(m, op, flags, unchangedsince):
                failed.append(uid)
                continue
            passed.append(uid)
            self.keywords |= {f for f in flags if f[0] != "\\"} if op != "-" else set()
            if flags_after(m.flags, op, flags) != m.flags:
                changed.append(uid)
        if changed:
            modseq = self.next_modseq()
        for uid in changed:
            m = self.messages[uid]
            m.before = (m.modseq, m.flags)
            m.modseq, m.flags = modseq, flags_after(m.flags, op, flags)
        return passed, failed, changed

    def expunge(self, uids):
        if uids:
            modseq = self.next_modseq()
        for uid in sorted(uids):
            self.expunged[uid] = self.messages.pop(uid)
            self.expunged[uid].gone = modseq

    def copy_to(self, target, uids):
        """[(source UID, target UID)]; all copies have one MODSEQ."""
        if not uids:
            return []
        modseq = target.next_modseq()
        return [(uid, target.append(self.messages[uid].flags, self.messages[uid].content, modseq).uid)
                for uid in sorted(uids)]

    def put_back(self, state):
        """As it was when `state` was kept, which is used up."""
        self.name, self.messages, self.expunged, self.keywords, self.passed, self.uidnext, self.highest = state
        self.deleted = False

    def kept(self):
        messages, expunged = ({uid: copy.copy(m) for uid, m in of.items()} for of in (self.messages, self.expunged))
        return self.name, messages, expunged, set(self.keywords), list(self.passed), self.uidnext, self.highest

    def pass_over_uids(self):
        self.passed.append((self.uidnext, self.uidnext + UIDS_PASSED - 1))
        self.uidnext += UIDS_PASSED

    def renew(self, modseq):
        self.highest = self.floor = modseq
        for m in self.messages.values():
            m.modseq = modseq

    # -- questions --

    def ever(self, first, last):
        """The UIDs from first to last, of those never given only the ends of their ranges."""
        at = first
        for a, b in self.passed:
            if at <= a <= last:
                yield from range(at, a + 1)
            at = max(at, b) if a <= last else at
        yield from range(at, last + 1)

    def vanished_since(self, modseq, uids):
        modseq = modseq if modseq <= self.highest else 0        # from a future that was lost: everything counts
        if modseq < self.floor:
            return {u for u in uids if u < self.uidnext and u not in self.messages}
        return {u for u in uids if u in self.expunged and self.expunged[u].gone > modseq}

    def changed_since(self, modseq, uids):
        modseq = modseq if modseq <= self.highest else 0
        return {u for u in uids if u in self.messages and self.messages[u].modseq > modseq}

    def changed_test(self, uids, op, flags, unchangedsince):
        """Which of them fail UNCHANGEDSINCE."""
        return {u for u in uids if fails_test(self.messages[u], op, flags, unchangedsince)}

    def with_flag(self, flag):
        return [u for u, m in self.messages.items() if flag in m.flags]


def flags_after(old, op, flags):
    flags = frozenset(flags)
    return old | flags if op == "+" else old - flags if op == "-" else flags


def fails_test(m, op, flags, unchangedsince):
    """0 passes where only keywords are named and none of them is set [RFC 7162 s3.1.3]."""
    if unchangedsince is None or m.modseq <= unchangedsince:
        return False
    return unchangedsince > 0 or op == "" or any(f[0] == "\\" or f in m.flags for f in flags)


def is_in(ranges, n):
    i = bisect.bisect(ranges, (n + 1,)) - 1
    return i >= 0 and ranges[i][0] <= n <= ranges[i][1]


class Oracle:
    def __init__(self):
        self.epoch = 0
        self.names = {}
        self.uidvalidities = set()
        self.mailboxids = set()

    def create(self, name):
        parent = name.rpartition("/")[0]
        if parent and parent not in self.names:
            self.create(parent)
        self.names[name] = Mailbox(self, name)
        return self.names[name]

    def delete(self, name):
        self.names.pop(name).deleted = True

    def below(self, name):
        return [n for n in self.names if n.startswith(name + "/")]

    def rename(self, old, new):
        """Also of INBOX: its messages move to a new mailbox, it stays [RFC 9051 s6.3.6]."""
        if old == "INBOX":
            source, target = self.names[old], self.create(new)
            uids = set(source.messages)
            source.copy_to(target, uids)
            source.expunge(uids)
            return
        parent = new.rpartition("/")[0]
        if parent and parent not in self.names:
            self.create(parent)
        for name in [old] + self.below(old):
            box = self.names.pop(name)
            box.name = new + name[len(old):]
            self.names[box.name] = box

    def kept(self):
        return {box: box.kept() for box in self.names.values()}

    def put_back(self, kept):
        """What is told of numbers stays told."""
        for box in self.names.values():
            box.deleted = True
        for box, state in kept.items():
            box.put_back(state)
        self.names = {box.name: box for box in kept}

    def met(self, box, uidvalidity, mailboxid=None):
        """A UIDVALIDITY or MAILBOXID was told: the same as ever, or of a new mailbox and never used before."""
        assert box.uidvalidity in (None, uidvalidity), "UIDVALIDITY of %r is now %d" % (box, uidvalidity)
        if box.uidvalidity is None:
            assert uidvalidity not in self.uidvalidities, "UIDVALIDITY %d was used before" % uidvalidity
            self.uidvalidities.add(uidvalidity)
            box.uidvalidity = uidvalidity
        if mailboxid is None:
            return
        assert box.mailboxid in (None, mailboxid), "MAILBOXID of %r is now %s" % (box, mailboxid)
        if box.mailboxid is None:
            assert mailboxid not in self.mailboxids, "MAILBOXID %s was used before" % mailboxid
            self.mailboxids.add(mailboxid)
            box.mailboxid = mailboxid
