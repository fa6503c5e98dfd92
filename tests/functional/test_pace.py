"""Clients that send and read an octet now and then: a session lives as long as the limits say and no longer."""

import threading
import time

import pytest

from harness import Server, set_limit

TIMEOUT_S = 2           # command_timeout
RATE = 200              # min_rate
OCTETS = 200            # for ten times as long as a session may live on


@pytest.fixture(scope="module")
def shared():
    with Server({"anna": "anna-secret"}, lambda t: set_limit(set_limit(t, "command_timeout", "%ds" % TIMEOUT_S),
                                                             "min_rate", RATE)) as s:
        s.start()
        yield s


def imap(c):
    c.line()
    c.cmd("LOGIN anna anna-secret")


def imap_append(c):
    imap(c)
    c.send("a APPEND INBOX {100000}\r\n")
    assert c.line().startswith(b"+")


def imap_refused(c):
    imap(c)
    c.send("a APPEND Nowhere {100000+}\r\n")


def imap_idle(c):
    imap(c)
    c.send("a IDLE\r\n")
    c.line()


def pop3(c):
    c.line()
    for line in ("USER anna", "PASS anna-secret"):
        c.send(line + "\r\n")
        assert c.line().startswith(b"+OK")


def lmtp(c):
    c.line()
    c.send("LHLO there\r\n")
    c.reply()


def lmtp_data(c, how="DATA\r\n", code=b"354"):
    lmtp(c)
    for line in ("MAIL FROM:<>", "RCPT TO:<anna>"):
        c.send(line + "\r\n")
        assert c.reply().startswith(b"250")
    c.send(how)
    assert code == b"" or c.reply().startswith(code)


def lmtp_chunk(c):
    lmtp_data(c, "BDAT 100000 LAST\r\n", b"")


CASES = [("imap", imap, b"a STATUS INBOX (" + b"MESSAGES UNSEEN UIDNEXT " * 9),
         ("imap", imap, b'a STATUS "' + b"x" * OCTETS),
         ("imap", imap, b"a LIST {999+}\r\n" + b"x" * OCTETS),
         ("imap", imap_append, b"x" * OCTETS), ("imap", imap_refused, b"x" * OCTETS), ("imap", imap_idle, b"D" * OCTETS),
         ("pop3", pop3, b"RETR 1" * 33), ("pop3", pop3, b"x" * OCTETS + b"\r"),
         ("lmtp", lmtp, b"MAIL FROM:<" * 18), ("lmtp", lmtp_data, b"x\r\n" * 66), ("lmtp", lmtp_chunk, b"x" * OCTETS)]
FAREWELLS = {"imap": b"* BYE Autologout", "pop3": b"", "lmtp": b"421 4.4.2 Timeout"}


@pytest.mark.parametrize("number", range(len(CASES)))
def test_an_octet_now_and_then_gains_no_time(shared, number):
    listener, begin, octets = CASES[number]
    began = time.monotonic()
    with shared.raw(listener) as c:
        begin(c)
        c.sock.settimeout(0.1)
        got = b""
        for i in range(len(octets)):
            try:
                c.send(octets[i:i + 1])
                got = c.sock.recv(4096)
                break
            except TimeoutError:
                continue
            except OSError:
                break
        else:
            raise AssertionError("it is still heard")
        assert time.monotonic() - began > TIMEOUT_S - 0.6, got
        assert got.startswith(FAREWELLS[listener]), got


def steady(c, octets, done):
    for i in range(0, len(octets), 100):
        c.send(octets[i:i + 100])
        time.sleep(0.1)
    assert done(c)


def test_what_keeps_the_rate_may_take_long(shared):
    body = (b"X-A: " + b"y" * 70 + b"\r\n") * 70
    jobs = []
    failed = []

    def run(listener, begin, octets, done):
        try:
            with shared.raw(listener) as c:
                begin(c)
                steady(c, octets, done)
        except Exception as e:                  # told by the main thread
            failed.append((listener, repr(e)))

    def append_of_body(c):
        imap(c)
        c.send("a APPEND INBOX {%d}\r\n" % len(body))
        assert c.line().startswith(b"+")

    for job in (("imap", append_of_body, body + b"\r\n", lambda c: c.line().startswith(b"a OK")),
                ("lmtp", lmtp_data, body + b".\r\n", lambda c: c.reply().startswith(b"250"))):
        jobs.append(threading.Thread(target=run, args=job))
        jobs[-1].start()
    for job in jobs:
        job.join()
    assert failed == []


def test_the_silent_are_not_meant(shared):
    """IDLE, a session between two commands, an MTA between two transactions: idle_timeout is theirs."""
    with shared.raw("imap") as idle, shared.raw("imap") as quiet, shared.raw("lmtp") as mta, shared.raw("pop3") as p:
        imap_idle(idle)
        imap(quiet)
        lmtp(mta)
        pop3(p)
        time.sleep(TIMEOUT_S * 2.5)
        idle.send("DONE\r\n")
        assert idle.line().startswith(b"a OK")
        quiet.cmd("NOOP")
        mta.send("NOOP\r\n")
        assert mta.reply().startswith(b"250")
        p.send("NOOP\r\n")
        assert p.line().startswith(b"+OK")


def test_many_commands_are_many(shared):
    """Each command has its time, also when the next one has always begun."""
    with shared.raw("imap") as c:
        imap(c)
        c.send("n0 NO")
        for i in range(40):
            c.send("OP\r\nn%d NO" % (i + 1))
            assert c.line().startswith(b"n%d OK" % i)
            time.sleep(0.1)
