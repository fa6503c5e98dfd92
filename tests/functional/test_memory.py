"""Budgets: what one connection may make the server hold before login, and what all of them may together."""

import re
import resource
import select
import time

import pytest

from harness import PATIENCE_S, Server, set_limit, wait_until


def limits(text):
    return set_limit(set_limit(text, "memory", "2M"), "login_memory", "256K")


@pytest.fixture(scope="module")
def shared():
    with Server({"anna": "anna-secret"}) as s:
        s.start()
        yield s


# What one connection sends before login, as much as it is let; the answer is an error and the memory is small.
GREEDY = [
    ("imap", b"a NOOP " + b"(" * 4000000),
    ("imap", b"a LOGIN " + b"{10+}\r\n0123456789" * 100000),
    ("imap", b"a LOGIN {4000000+}\r\n" + b"x" * 4000000),
    ("imap", b"a AUTHENTICATE PLAIN " + b"A" * 4000000),
    ("imap", b"a ID (" + b'"a" "b" ' * 500000),
    ("pop3", b"USER " + b"a" * 4000000),
    ("pop3", b"AUTH PLAIN " + b"A" * 4000000),
    ("lmtp", b"LHLO " + b"a" * 4000000),
]


@pytest.mark.parametrize("number", range(len(GREEDY)))
def test_one_connection_before_login(shared, number):
    """Twenty of them, left open in the middle of what they say: less than 128 KiB each, the server's own first use of memory
    included."""
    listener, octets = GREEDY[number]
    before = shared.rss_kb()
    open_ = []
    for _ in range(20):
        c = shared.raw(listener)
        c.line()
        c.sock.settimeout(0.05)
        try:
            for i in range(0, len(octets), 65536):
                c.send(octets[i:i + 65536])
                if i > 262144:
                    break
        except OSError:                         # it has been closed, or takes no more
            pass
        open_.append(c)
    grown = shared.rss_kb() - before
    for c in open_:
        c.close()
    assert grown < 20 * 128 * shared.memory_slack(), grown
    with shared.imap("anna") as c:
        c.noop()


def hold_input(s, listener, octets):
    c = s.raw(listener)
    if c.line() == b"":
        return c, b""
    c.send(octets)
    if select.select([c.sock], [], [], 0.1)[0]:
        return c, what_came(c.sock)
    return c, None


def what_came(sock):
    try:
        return sock.recv(4096)
    except OSError:
        return b""


def test_strangers_together():
    """Each holds a command that is not complete. The budget is theirs alone: who is logged in, and LMTP, go on."""
    with Server({"anna": "anna-secret"}, limits) as s:
        s.start()
        inside = s.imap("anna")
        asked = [hold_input(s, "imap", b"a LOGIN anna \"" + b"x" * 12000) for _ in range(100)]
        open_, answers = [c for c, _ in asked], [answer for _, answer in asked if answer is not None]
        asked = [c for c, answer in asked if answer is None]

        def few_are_held():
            for c in select.select([c.sock for c in asked], [], [], 0)[0]:
                answers.append(what_came(c))
                asked[:] = [x for x in asked if x.sock is not c]
            return len(asked) <= 24

        wait_until(few_are_held, lambda: len(asked))
        assert len(asked) >= 8, len(asked)
        assert all(a == b"" or a.startswith(b"* BYE [UNAVAILABLE]") for a in answers), set(answers)
        assert any(b"memory" in a for a in answers), set(answers)
        inside.noop()
        inside.select()
        s.deliver("anna", b"Subject: a\r\n\r\nx\r\n")
        assert re.search(r"ev=(server\.refused why=login_memory|session\.end .*why=memory)", s.log())
        for c in open_:
            c.close()

        def let_in():
            with s.raw("imap") as c:
                return c.line().startswith(b"* OK") and c.cmd("LOGIN anna anna-secret")

        wait_until(let_in)
        inside.logout()


def test_messages_together():
    """Messages on their way in, each in another connection: some are put off, as an MTA understands it."""
    with Server({"anna": "anna-secret"}, limits) as s:
        s.start()
        open_, answers = [], []
        for _ in range(60):
            c = s.raw("lmtp")
            first = c.line()
            if not first.startswith(b"220"):
                answers.append(first)
                continue
            c.send(b"LHLO a\r\n")
            c.reply()
            for line in (b"MAIL FROM:<>\r\n", b"RCPT TO:<anna>\r\n", b"DATA\r\n"):
                c.send(line)
                c.reply()
            c.send(b"Subject: a\r\n\r\n" + b"0123456789abcde\r\n" * 600)
            c.sock.settimeout(0.1)
            try:
                answers.append(c.have + c.sock.recv(4096))
            except TimeoutError:
                open_.append(c)
        time.sleep(1)

        def few_are_held():
            told = select.select([c.sock for c in open_], [], [], 0)[0]     # it took them longer
            answers.extend(c.have + c.sock.recv(4096) for c in open_ if c.sock in told)
            open_[:] = [c for c in open_ if c.sock not in told]
            return len(open_) <= 16

        wait_until(few_are_held, lambda: len(open_))
        assert len(open_) >= 4, len(open_)
        assert all(a.startswith(b"421 4.3.2") for a in answers), set(answers)
        last = open_.pop()
        last.sock.settimeout(PATIENCE_S)
        last.send(b".\r\n")
        assert last.reply().startswith(b"250")
        last.close()
        for c in open_:
            c.close()


# What each of a crowd of strangers says, by protocol: a reply is read behind each piece but the last ...
GARBAGE = bytes(range(1, 256)).replace(b"\r", b"").replace(b"\n", b"") * 16
CROWD = {
    "garbage": {"pop3": [GARBAGE], "lmtp": [GARBAGE], "imap": [GARBAGE]},
    "long": {"pop3": [b"USER " + b"a" * 70000], "lmtp": [b"LHLO " + b"a" * 70000], "imap": [b"a LOGIN " + b"a" * 70000]},
    "errors": {"pop3": [b"\x80\xff\r\n", b"NOSUCH\r\n", b"US"], "lmtp": [b"\x80\xff\r\n", b"NOSUCH\r\n", b"LH"],
               "imap": [b"\x80\xff\r\n", b"a NOSUCH\r\n", b"a LO"]},
    "half": {"pop3": [b"USER anna\r\n", b"PASS anna-s"], "lmtp": [b"LHLO a\r\n", b"MAIL FROM:<a@exam"],
             "imap": [b'a LOGIN "anna" "anna-s']},
    "exchange": {"pop3": [b"AUTH SCRAM-SHA-256 biwsbj1hbm5hLHI9YWJjZGVmZ2hpamts\r\n", b"Yz1iaXdz"],
                 "lmtp": [b"LHLO a\r\n", b"MAIL FROM:<>\r\n", b"RCPT TO:<anna>\r\n", b"RC"],
                 "imap": [b"a AUTHENTICATE SCRAM-SHA-256 biwsbj1hbm5hLHI9YWJjZGVmZ2hpamts\r\n", b"Yz1iaXdz"]},
}
# ... and KiB that one may cost; measured: doc/benchmarks.md.
MOST_KIB = {"garbage": 12, "long": 24, "errors": 6, "half": 6, "exchange": 32}


def pss_kib(s):
    """Of the server. Pages that it shares with others count in part."""
    with open("/proc/%d/smaps_rollup" % s.server_pid()) as f:
        return int(re.search(r"(?m)^Pss:\s+(\d+)", f.read()).group(1))


def say_and_stay(s, listener, pieces):
    c = s.raw(listener)
    c.line()
    for piece in pieces[:-1]:
        c.send(piece)
        c.reply()
    try:
        c.send(pieces[-1])
    except OSError:                             # it has been closed
        pass
    return c


@pytest.mark.parametrize("what", CROWD)
@pytest.mark.parametrize("listener", ["pop3", "lmtp", "imap"])
def test_a_thousand_strangers(listener, what):
    """Each stops in the middle of what it says."""
    count = 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, count + 500), hard))
    with Server({"anna": "anna-secret"}, lambda t: set_limit(t, "max_connections_per_ip", count)) as s:
        s.start()
        s.imap("anna").logout()
        before = pss_kib(s)
        open_ = [say_and_stay(s, listener, CROWD[what][listener]) for _ in range(count)]
        with_all = pss_kib(s)
        each = (with_all - before) / count
        print("%s, %s: %.1f KiB each" % (listener, what, each))
        assert s.sanitized() or each < MOST_KIB[what], each
        for c in open_:
            c.close()
        s.imap("anna").logout()
        s.deliver("anna", b"Subject: a\r\n\r\nx\r\n")
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
