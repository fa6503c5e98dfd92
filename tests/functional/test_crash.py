"""SIGKILL under load: what was acknowledged is there, byte for byte and with its UID, and nothing goes back.

Eight LMTP connections deliver, a client of each kind of the model stores, copies, moves, expunges and appends, a compaction
is under way, and the server is killed in between: RESTANTE_KILLS times (20; `make sigkill KILLS=200`). What the clients of
the model were told is checked as model/parallel.py says: no UID, UIDNEXT, MODSEQ, HIGHESTMODSEQ or UIDVALIDITY goes back,
none names two things, and who has a QRESYNC cache knows exactly the mailbox afterwards. What was delivered is looked at
after each restart, before anybody else is connected.
"""

import collections
import hashlib
import json
import os
import random
import re
import smtplib
import socket
import threading
import time

from harness import PATIENCE_S, Server, send, strip_trace
from model import parallel
from test_rebuild import answers

KILLS = int(os.environ.get("RESTANTE_KILLS", "20"))
SENDERS = 8
FILLER = "".join("".join(random.choices("abcdefghij klmnopqrstuvwxyz", k=70)) + "\r\n" for _ in range(1000)).encode() * 25
USERS = ("anna", "boris")       # get mail, and change none of it


def digest(data):
    return hashlib.sha256(data).digest()


class Sender(threading.Thread):
    """Delivers as long as the run goes; remembers what was acknowledged, and what may have arrived."""

    def __init__(self, run, k):
        super().__init__(daemon=True)
        self.run_, self.k, self.rng = run, k, random.Random("%d/%d" % (run.seed, k))
        self.acked, self.offered, self.error, self.sent = {}, {}, None, 0

    def deliver(self, lmtp):
        self.sent += 1
        subject = "s%d-%d" % (self.k, self.sent)
        size = self.rng.choice([200, 500, 3000, 3000, 20000, 90000])
        if self.rng.random() < 0.002:
            size = 1500000                      # out of line
        at = self.rng.randrange(len(FILLER) - size) // 72 * 72
        text = b"Subject: %s\r\nFrom: a@example.org\r\n\r\n%s" % (subject.encode(), FILLER[at:at + size // 72 * 72])
        to = USERS if self.rng.random() < 0.1 else USERS[:1]
        self.offered[subject] = digest(text)
        send(lmtp, list(to), text)
        self.acked[subject] = to

    def run(self):
        try:
            while not self.run_.over:
                self.run_.up.wait(PATIENCE_S)
                try:
                    with self.run_.server.lmtp() as lmtp:
                        while not self.run_.over:
                            self.deliver(lmtp)
                            time.sleep(self.rng.random() * 0.02)
                except (smtplib.SMTPException, OSError):
                    time.sleep(0.01)
        except Exception as e:                  # pylint: disable=broad-except
            self.error = e


class Compactor(threading.Thread):
    """One compaction after the other, slowed down to last as long as the time between two kills, or less: so nearly every
    kill hits one, in any of its phases. Most rewrite all there is, the others what is dead or small."""

    def __init__(self, run):
        super().__init__(daemon=True)
        self.run_, self.rng, self.error = run, random.Random("%d/compact" % run.seed), None
        self.done, self.made = 0, 0
        self.hit = collections.Counter()        # kills while one was under way: in which phase
        self.unreaped = 0                       # restarts that found what a swap had replaced and nobody reaped yet

    def request(self):
        log = os.path.join(self.run_.server.dir, "volumes", "v1", "log")
        work = 4 * sum(e.stat().st_size for e in os.scandir(log))       # read; read, written, read back
        rate = int(work / self.rng.choice([0.1, 0.3, 0.6, 1.2])) + 1
        return "compact --json --retention 0s --rate %d%s\n" % (rate, self.rng.choice(["", " --all", " --all", " --all"]))

    def compact(self):
        """The phase in which the server went away; None: it came to its end."""
        phase = "begun"
        with socket.socket(socket.AF_UNIX) as c:
            c.connect(os.path.join(self.run_.server.dir, "control.sock"))
            c.sendall(self.request().encode())
            for line in c.makefile("r"):
                word, rest = line.rstrip("\n").split(" ", 1)
                if word == "progress":
                    phase = rest.split(" ")[2]
                elif word == "out":
                    self.made += json.loads(rest)["made"]
                elif word == "exit":
                    assert rest == "0", line
                    return None
                else:
                    raise AssertionError(line)
        return phase

    def run(self):
        try:
            while not self.run_.over:
                self.run_.up.wait(PATIENCE_S)
                try:
                    phase = self.compact()
                except OSError:                 # killed before it took the request, or with its last words unread
                    time.sleep(0.01)
                    continue
                if phase is None:
                    self.done += 1
                elif not self.run_.over:
                    self.hit[phase] += 1
        except Exception as e:                  # pylint: disable=broad-except
            self.error = e

    def restarted(self):
        volume = json.loads(self.run_.server.ctl("status", "--json"))["volumes"][0]
        self.unreaped += volume["dropped_pieces"] > 0

    def __str__(self):
        return "%d kills hit a compaction (%s), %d came between swap and reap; %d compactions done, %d segments made" % (
            sum(self.hit.values()), ", ".join("%d %s" % (n, phase) for phase, n in sorted(self.hit.items())),
            self.unreaped, self.done, self.made)


class Inbox:
    """What is in one, and was: what is there was sent and is there once, what was there stays."""

    def __init__(self, user):
        self.user, self.subjects = user, set()
        self.known, self.uidvalidity, self.uidnext, self.highest = {}, None, 0, 0

    def look(self, c, offered):
        self.see_select(c.cmd("EXAMINE INBOX (CONDSTORE)"))
        uids = {int(u) for line in c.cmd("UID SEARCH ALL")[:-1] for u in line.split()[2:]}
        lost = set(self.known) - uids
        assert not lost, "UIDs are gone: %r" % sorted(lost)[:10]
        last = max(self.known, default=0)
        for line in c.cmd("UID FETCH %d:* (UID BODY.PEEK[])" % (last + 1))[:-1]:
            self.see_message(line, last, offered)
        assert uids == set(self.known), "found and not fetched: %r" % sorted(uids - set(self.known))[:10]

    def see_select(self, lines):
        text = b"\n".join(lines)
        uidvalidity, uidnext, highest = (int(re.search(rb"\[%s (\d+)\]" % w, text).group(1))
                                         for w in (b"UIDVALIDITY", b"UIDNEXT", b"HIGHESTMODSEQ"))
        assert self.uidvalidity in (None, uidvalidity)
        assert uidnext >= self.uidnext and highest >= self.highest, (uidnext, self.uidnext, highest, self.highest)
        self.uidvalidity, self.uidnext, self.highest = uidvalidity, uidnext, highest

    def see_message(self, line, last, offered):
        m = re.match(rb"\* \d+ FETCH \(UID (\d+) BODY\[\] \{(\d+)\}\r\n", line)
        if not m or int(m.group(1)) <= last:
            return
        uid, data = int(m.group(1)), strip_trace(line[m.end():m.end() + int(m.group(2))])
        subject = re.search(rb"Subject: (\S+)\r\n", data).group(1).decode()
        assert offered.get(subject) == digest(data), "UID %d is not byte for byte: %s" % (uid, subject)
        assert subject not in self.subjects, "delivered twice: " + subject
        self.known[uid] = subject
        self.subjects.add(subject)


class KillRun(parallel.Run):
    def __init__(self, server, seed, kills):
        super().__init__(server, seed, 1 << 30, 40)
        self.kills, self.count = kills, 0
        self.inboxes = [Inbox(u) for u in USERS]
        self.senders = [Sender(self, k) for k in range(SENDERS)]
        self.compactor = Compactor(self)

    def look(self):
        super().look()
        self.over = self.count >= self.kills

    def restarted(self):
        """Each INBOX is as it must be; nobody is connected yet."""
        self.compactor.restarted()
        offered = {subject: d for s in self.senders for subject, d in list(s.offered.items())}
        for box in self.inboxes:
            acked = {subject for s in self.senders for subject, to in list(s.acked.items()) if box.user in to}
            with self.server.raw("imap") as c:
                c.line()
                c.cmd("LOGIN %s %s" % (box.user, self.server.users[box.user]))
                box.look(c, offered)
            missing = acked - box.subjects
            assert not missing, "acknowledged and lost: %s" % sorted(missing)[:10]

    def finish(self):
        for user in USERS:
            self.server.add_user(user)
        self.start()
        for t in self.senders + [self.compactor]:
            t.start()
        while any(c.is_alive() for c in self.clients):
            time.sleep(0.1 + self.rng.random() * 0.5)
            if self.count < self.kills:
                self.restart()
                self.count += 1
        self.over = True
        for t in self.senders + [self.compactor]:
            t.join(PATIENCE_S)
        self.tell_errors()
        errors = [t.error for t in self.senders + [self.compactor] if t.error]
        assert not errors, errors
        self.restarted()
        assert self.delivered() > 5 * self.kills, "too few deliveries to prove anything: %d" % self.delivered()
        assert sum(self.compactor.hit.values()) > self.kills / 2, "too few kills hit a compaction: %s" % self.compactor

    def delivered(self):
        return sum(len(box.known) for box in self.inboxes)


def test_kill_under_load():
    seed = random.SystemRandom().randrange(1 << 31)
    print("seed %d, %d kills" % (seed, KILLS))
    with Server() as s:
        run = KillRun(s, seed, KILLS)
        run.finish()
        print("%d messages delivered; %s" % (run.delivered(), run.compactor))
        s.ctl("check")
        before = {user: answers(s, user) for user in s.users}
        s.stop()
        os.unlink(os.path.join(s.dir, "volumes", "v1", "index.db"))
        s.start()
        for user, was in before.items():
            assert answers(s, user) == was, "an index made anew answers otherwise"
        s.ctl("check")
