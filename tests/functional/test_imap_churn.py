"""Three IMAP sessions change one mailbox at random; what each was told must always describe one mailbox that can be.

The model is the client's: untagged EXISTS, EXPUNGE, FETCH and FLAGS alone move it. A sequence number that means another
UID than before, an EXPUNGE where none may be, a keyword that FLAGS did not name: the test fails with the command.
"""

import random
import re

import pytest

from harness import message

OPERATIONS = 1500
SMALL = b"Subject: x\r\n\r\nbody\r\n"
MAILBOX_MAX = 40


class Session:
    def __init__(self, server, user):
        self.c = server.raw("imap")
        self.c.line()
        self.c.cmd("LOGIN %s secret" % user)
        self.select()

    def select(self):
        self.uids, self.keywords = [], set()
        self.cmd(b"SELECT INBOX")

    def cmd(self, text):
        self.c.tags += 1
        tag = b"t%d" % self.c.tags
        self.c.send(tag + b" " + text + b"\r\n")
        responses = self.c.imap_until(tag)
        assert responses[-1].split()[1] in (b"OK", b"NO"), (text, responses[-1])
        for r in responses[:-1]:
            self.told(r, text, responses)
        known = [u for u in self.uids if u]
        assert known == sorted(set(known)), (text, responses)

    def told(self, r, text, responses):
        if r.startswith(b"* FLAGS ("):
            self.keywords = set(r[9:-1].split())
        m = re.match(rb"\* (\d+) (EXISTS|EXPUNGE|FETCH)(?: \((.*)\))?", r, re.S)
        if not m:
            return
        n = int(m.group(1))
        if m.group(2) == b"EXISTS":
            assert n >= len(self.uids), (text, responses)
            self.uids += [None] * (n - len(self.uids))
            return
        assert 1 <= n <= len(self.uids), (text, responses)
        if m.group(2) == b"EXPUNGE":
            assert not text.startswith((b"FETCH", b"STORE", b"SEARCH")), (text, responses)
            del self.uids[n - 1]
        else:
            self.told_fetch(n, m.group(3), text)

    def told_fetch(self, n, data, text):
        uid = re.search(rb"UID (\d+)", data)
        if uid:
            assert self.uids[n - 1] in (None, int(uid.group(1))), (text, n, data, self.uids)
            self.uids[n - 1] = int(uid.group(1))
        flags = re.search(rb"FLAGS \(([^)]*)\)", data)
        for word in flags.group(1).split() if flags else ():
            assert word == b"\\Recent" or word in self.keywords, (text, word, self.keywords)

    def number(self, rng):
        return b"%d" % rng.randint(1, len(self.uids))


def append(s, rng):
    flags = rng.choice([b"", b"\\Seen", b"a%d" % rng.randrange(500)])
    return b"APPEND INBOX (%s) {%d+}\r\n%s" % (flags, len(SMALL), SMALL)


def store(s, rng):
    return b"STORE %s:%s %sFLAGS%s (%s)" % (
        s.number(rng), s.number(rng), rng.choice([b"", b"+", b"-"]), rng.choice([b"", b".SILENT"]),
        rng.choice([b"\\Seen", b"\\Flagged", b"s%d" % rng.randrange(500)]))


# Each gives a command; the second kind needs a message to name.
ANY = [lambda s, rng: b"NOOP", lambda s, rng: b"EXPUNGE", lambda s, rng: b"UID FETCH 1:* FLAGS",
       lambda s, rng: b"SEARCH ALL", lambda s, rng: b"UID SEARCH UNSEEN"]
NAMING = [store, lambda s, rng: b"STORE %s +FLAGS (\\Deleted)" % s.number(rng),
          lambda s, rng: b"FETCH %s:%s (UID FLAGS)" % (s.number(rng), s.number(rng)),
          lambda s, rng: b"FETCH %s BODY[TEXT]" % s.number(rng), lambda s, rng: b"MOVE %s INBOX" % s.number(rng)]
GROWING = [append, append, lambda s, rng: b"COPY %s INBOX" % s.number(rng) if s.uids else b"NOOP"]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_three_sessions_agree(shared, seed):
    rng = random.Random(seed)
    user = "churn%d" % seed
    shared.add_user(user)
    sessions = [Session(shared, user) for _ in range(3)]
    for _ in range(OPERATIONS):
        s = rng.choice(sessions)
        kinds = ANY + (NAMING if s.uids else []) + (GROWING if len(s.uids) < MAILBOX_MAX else [])
        s.cmd(rng.choice(kinds)(s, rng))
        if rng.random() < 0.02:
            shared.deliver([user], message("delivered"))
        if rng.random() < 0.01:
            s.c.cmd("UNSELECT")
            s.select()
    for s in sessions:
        s.cmd(b"NOOP")
        s.cmd(b"UID FETCH 1:* FLAGS")
    assert all(s.uids == sessions[0].uids for s in sessions), [s.uids for s in sessions]
    for s in sessions:
        s.c.close()
