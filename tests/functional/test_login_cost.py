"""What logins cost: not the reactor's time, and no more or less for a name that there is not."""

import base64
import select
import statistics
import time
import warnings

import pytest

from harness import Server
from test_sasl import Scram, b64

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import crypt

WORKERS = 4
AT_ONCE = 12 * WORKERS
ROUNDS = 10


def server_keys(**keys):
    lines = "".join("%s = %s\n" % kv for kv in keys.items())
    return lambda text: text.replace("[server]\n", "[server]\n" + lines, 1) + "\n[auth]\nremember = 0\n"


# ---- a reactor answers while logins hash ----

def begin_logins(s, kind):
    """Right and wrong ones, all said before the first is answered."""
    open_ = [s.raw(kind) for _ in range(AT_ONCE)]
    for c in open_:
        c.line()
    for i, c in enumerate(open_):
        text = b64("\0anna\0" + ("secret" if i % 2 == 0 else "wrong"))
        c.send(("a AUTHENTICATE PLAIN %s\r\n" if kind == "imap" else "AUTH PLAIN %s\r\n") % text)
    return open_


def end_logins(open_):
    lines = [c.line() for c in open_]
    for line in lines[::2]:
        assert line.startswith((b"a OK", b"+OK")), line
    for line in lines[1::2]:
        assert line.startswith((b"a NO", b"-ERR")), line
    for c in open_:
        c.close()


@pytest.mark.parametrize("kind", ["imap", "pop3"])
def test_a_reactor_answers_while_logins_hash(kind):
    """Many more logins at once than there are workers. While some of them wait for their answer, a session of the only
    reactor gets twenty and more of its own; if it hashed itself, a few."""
    with Server({"anna": "secret"}, server_keys(reactors=1, pool_threads=WORKERS)) as s:
        s.start()
        with s.raw("imap") as c:
            c.line()
            c.cmd("LOGIN anna secret")
            noops = 0
            for _ in range(ROUNDS):
                open_ = begin_logins(s, kind)
                waiting = open_
                while waiting:
                    c.cmd("NOOP")
                    done = select.select([w.sock for w in waiting], [], [], 0)[0]
                    waiting = [w for w in waiting if w.sock not in done]
                    noops += waiting != []
                end_logins(open_)
            print("%s: %d NOOPs beside %d logins" % (kind, noops, ROUNDS * AT_ONCE))
            assert noops >= 20 * ROUNDS, noops


# ---- a failure takes as long whoever it is ----

# An account without a password cannot be made by restantectl: test_sasl_exchange.c has one.
NAMES = ["known", "nobody", "locked", "phone"]


@pytest.fixture(scope="module")
def server():
    """auth_delay is 0, so that nothing hides what is there."""
    with Server({"known": "secret", "locked": "secret", "phone": "secret"},
                server_keys(reactors=1, pool_threads=WORKERS)) as s:
        s.start()
        s.ctl("user", "lock", "locked")
        s.ctl("user", "app-password", "add", "phone", "telephone")
        yield s


def exchange(c, text):
    """One line, one answer; how long that took."""
    began = time.monotonic()
    c.send(text + "\r\n")
    line = c.line()
    return time.monotonic() - began, line


def imap_plain(c, user):
    took, line = exchange(c, "a AUTHENTICATE PLAIN " + b64("\0%s\0wrong" % user))
    assert line.startswith(b"a NO"), line
    return took


def imap_scram(c, user):
    client = Scram(user, "wrong")
    took, line = exchange(c, "a AUTHENTICATE SCRAM-SHA-256 " + b64(client.first()))
    assert line.startswith(b"+ "), line
    return client, took, base64.b64decode(line[2:]).decode()


def imap_scram_first(c, user):
    return imap_scram(c, user)[1]


def imap_scram_final(c, user):
    client, _, first = imap_scram(c, user)
    took, line = exchange(c, b64(client.final(first)))
    assert line.startswith(b"a NO"), line
    return took


def pop3_user(c, user):
    took, line = exchange(c, "USER " + user)
    assert line.startswith(b"+OK"), line
    return took


def pop3_pass(c, user):
    pop3_user(c, user)
    took, line = exchange(c, "PASS wrong")
    assert line.startswith(b"-ERR [AUTH]"), line
    return took


WAYS = [("imap", imap_plain), ("imap", imap_scram_first), ("imap", imap_scram_final), ("pop3", pop3_user),
        ("pop3", pop3_pass)]


def quartiles(s, port, way, rounds):
    """The first, by name: the machine's other work is in the upper ones. Names take turns, as its speed changes."""
    took = {name: [] for name in NAMES}
    for n in range(rounds):
        for name in NAMES[n % len(NAMES):] + NAMES[:n % len(NAMES)]:
            with s.raw(port) as c:
                c.line()
                took[name].append(way(c, name))
    return {name: statistics.quantiles(took[name], n=4)[0] for name in NAMES}


@pytest.mark.parametrize("port,way", WAYS, ids=[way.__name__ for _, way in WAYS])
def test_a_failure_takes_as_long(server, port, way):
    """Whether there is such an account, and whether it could be entered at all."""
    most = 2 if server.sanitized() else 1.4     # a sanitizer's build differs by a third for one and the same
    for rounds in (60, 240, 240, 480):
        found = quartiles(server, port, way, rounds)
        print(way.__name__, {name: "%.3f ms" % (t * 1000) for name, t in found.items()})
        if max(found.values()) < most * min(found.values()):
            return
    raise AssertionError(found)


def seconds_apart(s, names):
    """Between the first answer and the last to wrong passwords that are said at once."""
    open_ = [s.raw("imap") for _ in names]
    for c in open_:
        c.line()
    for c, name in zip(open_, names):
        c.send("a AUTHENTICATE PLAIN %s\r\n" % b64("\0%s\0wrong" % name))
    at = []
    for c in open_:
        assert c.line().startswith(b"a NO")
        at.append(time.monotonic())
        c.close()
    return max(at) - min(at)


@pytest.mark.parametrize("scheme", ["{BLF-CRYPT}$2b$12$abcdefghijklmnopqrstuu", "{CRYPT}$6$rounds=500000$abcdefgh$"])
def test_an_imported_hash_is_not_told_by_the_clock(scheme):
    """It takes as long to check as it was made to, three of them in turn many times what an unknown name takes: all are
    refused in the same tick of the clock, so long behind the question as auth_delay says."""
    kind, salt = scheme.split("}", 1)
    line = "%s:" + kind + "}" + crypt.crypt("secret", salt) + "\n"
    for delay_ms in (3000, 10000):              # a busy machine may take longer than the first for three hashes
        with Server(conf_edit=server_keys(reactors=1, pool_threads=1), auth_delay=delay_ms) as s:
            s.start()
            s.ctl("user", "import", stdin="".join(line % ("old%d" % n) for n in range(9)))
            apart = [seconds_apart(s, ["nobody%d" % n] + ["old%d" % (3 * n + i) for i in range(3)]) for n in range(3)]
        if sorted(apart)[1] < 0.25:
            return
    raise AssertionError(apart)
