"""Bodies of a whole mailbox in one FETCH, which is read ahead: all of them as they came, whatever the client does meanwhile."""

import random
import time

import pytest

from harness import Raw, Server, set_limit

COUNT = 60
FETCH = b"a UID FETCH 1:* BODY.PEEK[]\r\n"


def mail(i):
    """Lines that do not shrink much; some short, some of several pieces."""
    rng = random.Random(i)
    size = 300000 if i % 20 == 7 else rng.randrange(100000)
    body = b"".join(rng.randbytes(36).hex().encode() + b"\r\n" for _ in range(size // 74))
    return b"Subject: %d\r\n\r\n" % i + body


def fill(server):
    server.start()
    with server.imap("anna") as c:
        for i in range(COUNT):
            assert c.append("INBOX", None, None, mail(i))[0] == "OK"


@pytest.fixture(scope="module")
def full():
    with Server({"anna": "anna-secret"}) as s:
        fill(s)
        yield s
        s.check_log()


def connect(server, tls):
    c = Raw(server.port("imaps" if tls else "imap"))
    if tls:
        c.sock = server.tls().wrap_socket(c.sock)
    c.line()
    c.cmd("LOGIN anna anna-secret")
    c.cmd("SELECT INBOX")
    return c


def expect_all(answers):
    assert answers[-1].startswith(b"a OK"), answers[-1]
    assert len(answers) == COUNT + 1
    for i, answer in enumerate(answers[:-1]):
        want = mail(i)
        assert answer == b"* %d FETCH (UID %d BODY[] {%d}\r\n%s)" % (i + 1, i + 1, len(want), want)


@pytest.mark.parametrize("tls", [False, True])
def test_all_and_logout_behind(full, tls):
    with connect(full, tls) as c:
        c.send(FETCH + b"b LOGOUT\r\n")
        expect_all(c.imap_until(b"a"))
        assert c.line().startswith(b"* BYE")
        assert c.line().startswith(b"b OK")


@pytest.mark.parametrize("tls", [False, True])
def test_who_stops_reading_for_a_while(full, tls):
    with connect(full, tls) as c:
        c.send(FETCH)
        c.have += c.sock.recv(100)
        time.sleep(.5)
        expect_all(c.imap_until(b"a"))


def test_two_at_a_time(full):
    clients = [connect(full, k % 2) for k in range(4)]
    for c in clients:
        c.send(FETCH)
    for c in clients:
        expect_all(c.imap_until(b"a"))
        c.close()


@pytest.mark.parametrize("tls", [False, True])
def test_who_goes_away(full, tls):
    for k in range(15):
        c = connect(full, tls)
        c.send(FETCH)
        got = 0
        while got < k * 70000:
            got += len(c.sock.recv(65536))
        c.close()
    with connect(full, tls) as c:
        c.send(FETCH)
        expect_all(c.imap_until(b"a"))


def test_expunged_in_between(full):
    """Who was not told of it gets the bodies all the same."""
    with connect(full, False) as c, connect(full, False) as other:
        other.cmd("CREATE Other")
        other.cmd("COPY 1:* Other")
        c.cmd("SELECT Other")
        other.cmd("SELECT Other")
        c.send(FETCH)
        c.have += c.sock.recv(100)
        other.cmd(r"STORE 20:50 +FLAGS.SILENT (\Deleted)")
        other.cmd("EXPUNGE")
        answers = [a for a in c.imap_until(b"a") if not a.endswith(b"EXPUNGE") and b"FLAGS" not in a[:60]]
        expect_all(answers)


def test_little_memory():
    """What is read ahead takes none that a session needs: who has none of it is served as before."""
    with Server({"anna": "anna-secret"}, lambda t: set_limit(t, "memory", "3M")) as s:
        fill(s)
        clients = [connect(s, k % 2) for k in range(6)]
        for c in clients:
            c.send(FETCH)
        for c in clients:
            c.have += c.sock.recv(100)
        time.sleep(.5)
        for c in clients:
            expect_all(c.imap_until(b"a"))
            c.close()
