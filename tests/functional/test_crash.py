"""kill -9 during concurrent deliveries and flag changes: what was acknowledged is there, byte for byte, with its UID."""

import imaplib
import os
import smtplib
import threading
import time

from harness import Server, fetch_all, message, strip_trace

ROUNDS = int(os.environ.get("RESTANTE_CRASH_ROUNDS", "50"))
SENDERS = 4


class Sender(threading.Thread):
    """Delivers until the connection dies; remembers what was acknowledged and what may have been."""

    def __init__(self, server, round_no, k):
        super().__init__()
        self.server, self.name = server, "r%d-s%d" % (round_no, k)
        self.acked, self.unsure = {}, {}

    def run(self):
        n = 0
        try:
            with self.server.lmtp() as c:
                while True:
                    subject = "%s-%d" % (self.name, n)
                    text = message(subject, size=500 + 3000 * (n % 7)).encode()
                    self.unsure = {subject: text}
                    c.sendmail("a@example.org", ["anna"], text)
                    self.acked[subject] = text
                    self.unsure = {}
                    n += 1
        except (smtplib.SMTPException, OSError):
            pass


class Flagger(threading.Thread):
    """Marks messages \\Flagged one by one; remembers which were answered OK."""

    def __init__(self, server):
        super().__init__()
        self.server, self.acked = server, set()

    def run(self):
        try:
            c = self.server.imap("anna")
            c.select()
            uid = 0
            while True:
                uid += 1
                typ, data = c.uid("STORE", str(uid), "+FLAGS", "(\\Flagged)")
                if typ == "OK" and data != [None]:
                    self.acked.add(uid)
                elif data == [None]:
                    c.noop()
                    uid -= 1
                    time.sleep(0.001)
        except (imaplib.IMAP4.error, OSError):
            pass


def test_kill_during_deliveries():
    known = {}          # uid -> bytes, as first seen
    flagged = set()
    acked_all, sent_all = {}, {}
    with Server({"anna": "x-secret"}) as s:
        for r in range(ROUNDS):
            s.start()
            threads = [Sender(s, r, k) for k in range(SENDERS)]
            flagger = Flagger(s)
            for t in threads + [flagger]:
                t.start()
            time.sleep(0.05 + (r % 10) * 0.02)
            s.kill()
            for t in threads + [flagger]:
                t.join()
            for t in threads:
                acked_all.update(t.acked)
                sent_all.update(t.acked)
                sent_all.update(t.unsure)
            flagged |= flagger.acked
            if r % 10 == 9 or r == ROUNDS - 1:
                known = check(s, known, acked_all, sent_all, flagged)
        assert len(acked_all) > ROUNDS, "too few deliveries to prove anything: %d" % len(acked_all)
        s.ctl("check")


def check(s, known, acked, sent, flagged):
    s.start()
    with s.imap("anna") as c:
        mails = fetch_all(c)
    subjects = {}
    for uid, (flags, data) in mails.items():
        text = strip_trace(data)
        subject = text.split(b"Subject: ")[1].split(b"\r\n")[0].decode()
        assert subject not in subjects, "delivered twice: " + subject
        subjects[subject] = uid
        assert text == sent[subject], "not byte for byte: " + subject
    missing = set(acked) - set(subjects)
    assert not missing, "acknowledged and lost: %s" % sorted(missing)[:10]
    for uid, data in known.items():
        assert mails[uid][1] == data, "UID %d names another message now" % uid
    unflagged = {u for u in flagged if b"\\Flagged" not in mails[u][0]}
    assert not unflagged, "acknowledged flags lost: %s" % sorted(unflagged)[:10]
    s.kill()
    return {uid: data for uid, (_, data) in mails.items()}
