"""SEARCH against a real server: what takes long disturbs nobody, and Japanese mail is found and shown."""

import base64
import email.header
import re
import threading
import time

import pytest

from harness import Raw, Server, set_limit

MESSAGES = 20000
BATCH = 100
WORDS = " ".join("word%d" % i for i in range(60))
TEXTS = 30              # each is looked for in every message
NOOP_MAX = 2.0          # seconds; an idle machine answers in a few milliseconds


def login(server, user):
    c = Raw(server.port("imap"))
    c.line()
    c.cmd("LOGIN %s secret" % user)
    return c


def fill(c, count):
    """A few by APPEND; COPY does the rest."""
    for i in range(BATCH):
        text = ("From: a@example.org\r\nSubject: number %d\r\n\r\n%s\r\n" % (i, WORDS)).encode()
        c.cmd(b"APPEND INBOX {%d+}\r\n%s" % (len(text), text))
    c.cmd("SELECT INBOX")
    have = BATCH
    while have < count:
        more = min(have, count - have)
        c.cmd("COPY 1:%d INBOX" % more)
        have += more


@pytest.fixture(scope="module")
def large():
    with Server({"anna": "secret"}, conf_edit=lambda t: set_limit(t, "progress_interval", "100")) as server:
        server.start()
        c = login(server, "anna")
        fill(c, MESSAGES)
        c.close()
        yield server


def long_search(extra=""):
    return "SEARCH %s" % " ".join("NOT TEXT zzz%d" % i for i in range(TEXTS)) + extra


def test_long_search(large):
    """It tells its progress, which goes up to a goal that stays; another session's NOOP is answered meanwhile."""
    one, two = login(large, "anna"), login(large, "anna")
    one.cmd("SELECT INBOX")
    two.cmd("SELECT INBOX")
    answers = []
    worker = threading.Thread(target=lambda: answers.extend(one.cmd(long_search())))
    worker.start()
    waits, begun = [], time.monotonic()
    while worker.is_alive():
        began = time.monotonic()
        two.cmd("NOOP")
        waits.append(time.monotonic() - began)
        time.sleep(0.02)
    worker.join()
    whole = time.monotonic() - begun            # on a busy machine all is slower
    assert max(waits) < max(NOOP_MAX, whole / 4), "a NOOP took %.1f s of %.1f s" % (max(waits), whole)
    told = [re.match(rb'\* OK \[INPROGRESS \("\S+" (\d+) (\d+)\)\] ', r) for r in answers[:-2]]
    assert told and all(told), answers[:3]
    done = [int(m.group(1)) for m in told]
    assert done == sorted(done) and done[-1] < MESSAGES
    assert {int(m.group(2)) for m in told} == {MESSAGES}
    assert answers[-2].split()[2:] == [b"%d" % n for n in range(1, MESSAGES + 1)]
    one.close()
    two.close()


def test_search_ends_with_the_connection(large):
    """Who leaves in the middle leaves nothing running: the processor is idle soon after."""
    c = login(large, "anna")
    c.cmd("SELECT INBOX")
    c.send("a %s\r\n" % long_search())
    assert b"INPROGRESS" in c.line()
    c.close()
    time.sleep(1)

    def ticks():
        fields = open("/proc/%d/stat" % large.server_pid()).read().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])
    before = ticks()
    time.sleep(1)
    assert ticks() - before < 30, "still at it"


JAPANESE = [
    ("ISO-2022-JP", "iso-2022-jp"), ("Shift_JIS", "cp932"), ("ISO-2022-JP", "cp932"), ("EUC-JP", "euc-jp"), ("UTF-8", "utf-8"),
]


def test_many_small_parts():
    """A message of many small parts costs a search what its octets cost, not the whole chunk of the log for each; and the
    parts are found wherever they lie."""
    count = 4000
    text = b"".join(b"--b\r\nContent-Type: text/plain\r\n\r\npart number %d.\r\n" % i for i in range(count))
    text = (b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n%s--b--\r\n" % text)
    with Server({"anna": "secret"}).start() as server:
        c = login(server, "anna")
        for _ in range(5):
            c.cmd(b"APPEND INBOX {%d+}\r\n%s" % (len(text), text))
        c.cmd("SELECT INBOX")
        before = server.cpu_seconds()
        assert c.cmd('SEARCH TEXT "number nothing"')[0] == b"* SEARCH"
        took = server.cpu_seconds() - before
        print("%d parts: %.3f s" % (5 * count, took))
        assert took < (10 if server.sanitized() else 0.5)
        for i in range(0, count, 97):
            assert c.cmd('SEARCH 1 TEXT "number %d."' % i)[0] == b"* SEARCH 1"


@pytest.mark.parametrize("label,codec", JAPANESE, ids=["%s in %s" % row for row in JAPANESE])
def test_japanese_is_shown(shared, label, codec):
    """SEARCH finds it; ENVELOPE gives the subject as sent, which decodes; PREVIEW gives the body in UTF-8."""
    user = re.sub(r"\W", "-", "jp-%s-%s" % (label, codec))
    shared.add_user(user)
    c = login(shared, user)
    octets = "ご請求の件".encode(codec)
    subject = "=?%s?B?%s?=" % (label, base64.b64encode(octets).decode())
    name = "".join("%%%02X" % b for b in "請求.pdf".encode(codec))
    mail = (("From: a@example.jp\r\nSubject: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=%s\r\n"
             "Content-Disposition: inline; filename*=%s'ja'%s\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
             % (subject, label, label, name)).encode() + octets + b"\r\n")
    c.cmd(b"APPEND INBOX {%d+}\r\n%s" % (len(mail), mail))
    c.cmd("SELECT INBOX")
    wanted = "請求".encode()
    for key in (b"SUBJECT", b"BODY", b"TEXT", b"HEADER Content-Disposition"):
        assert c.cmd(b"SEARCH CHARSET UTF-8 %s {%d+}\r\n%s" % (key, len(wanted), wanted))[0] == b"* SEARCH 1", key
    envelope = b"".join(c.cmd("FETCH 1 ENVELOPE"))
    shown = re.search(rb'=\?[^"]*\?=', envelope).group()
    (raw, _), = email.header.decode_header(shown.decode())
    assert raw.decode(codec) == "ご請求の件"
    assert wanted in b"".join(c.cmd("FETCH 1 PREVIEW"))
    c.close()


# What stands in front of the blank line, and which of NEEDLES its Subject has.
SUBJECTS = [
    (b"Subject: Tea at five\r\n", {"", "tea", "EA AT"}),
    (b"subject:  =?UTF-8?B?U3RyYcOfZSB0ZWE=?=\r\n", {"", "tea", "strasse"}),
    (b"Subject: folded\r\n tea\r\n", {"", "tea", "folded tea"}),
    (b"Subject: first\r\nX: tea\r\nSubject: second\r\n", {"", "first", "second"}),
    (b"Subject:\r\n", {""}),
    (b"X-Subject: tea\r\n", set()),
    (b"Content-Type: text/plain; charset=iso-8859-1\r\nSubject: Stra\xdfe\r\n", {"", "strasse"}),
    (b"Subject: " + b"tea " * 1000 + b"end\r\n", {"", "tea", "tea end"}),
]
NEEDLES = ["", "tea", "EA AT", "strasse", "folded tea", "first", "second", "firstsecond", "tea end"]


def subject_search(c, needle):
    line = c.cmd('UID SEARCH SUBJECT "%s"' % needle)[0]
    return {int(n) for n in line.split()[2:]}


def test_subjects_again():
    """What was learnt of Subjects at one search answers the next as it did; so it does beside other keys, and news come in."""
    with Server({"anna": "secret"}) as server:
        c = login(server.start(), "anna")
        c.cmd("SELECT INBOX")
        for turn in range(3):
            for head, _ in SUBJECTS:
                text = b"From: a@example.org\r\n" + head + b"\r\ntea first\r\n"
                server.deliver("anna", text)
            c.cmd("NOOP")
            for needle in NEEDLES * 2:
                want = {t * len(SUBJECTS) + i + 1 for t in range(turn + 1)
                        for i, (_, has) in enumerate(SUBJECTS) if needle in has}
                assert subject_search(c, needle) == want, needle
                every = set(range(1, (turn + 1) * len(SUBJECTS) + 1))
                line = c.cmd('UID SEARCH NOT SUBJECT "%s" UNSEEN' % needle)[0]
                assert {int(n) for n in line.split()[2:]} == every - want, needle
                line = c.cmd('UID SEARCH OR SUBJECT "%s" BODY "tea first"' % needle)[0]
                assert {int(n) for n in line.split()[2:]} == every, needle
