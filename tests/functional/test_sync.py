"""What others do is announced at once; and a client that comes back to a large mailbox is told in bounded memory."""

import re
import statistics
import time

from harness import PATIENCE_S, Server, send

SMALL = b"Subject: x\r\n\r\nbody\r\n"
ROUNDS = 30
MANY = 100_000
LONG = 330_000


def session(server, user, *commands):
    c = server.raw("imap")
    c.line()
    c.cmd("LOGIN %s secret" % user)
    for command in commands:
        c.cmd(command)
    return c


def announced(c, wanted):
    while not re.match(wanted, line := c.line()):
        assert line.startswith(b"* "), line


def test_idle_announces_at_once():
    """A delivery, a change of flags, an expunge by another session: each within 10 ms of its acknowledgement; the first
    quartile, as a machine may be busy with other tests."""
    with Server({"anna": "secret"}).start() as server:
        idler = session(server, "anna", "ENABLE QRESYNC", "SELECT INBOX")
        other = session(server, "anna", "SELECT INBOX")
        idler.send(b"i IDLE\r\n")
        assert idler.line().startswith(b"+")
        took = []
        with server.lmtp() as lmtp:
            for n in range(1, ROUNDS + 1):
                send(lmtp, ["anna"], SMALL)
                begun = time.monotonic()
                announced(idler, rb"\* 1 EXISTS$")
                took.append(time.monotonic() - begun)
                other.cmd("NOOP")
                other.cmd("UID STORE %d +FLAGS.SILENT (\\Deleted)" % n)
                begun = time.monotonic()
                announced(idler, rb"\* 1 FETCH .*Deleted")
                took.append(time.monotonic() - begun)
                other.cmd("EXPUNGE")
                begun = time.monotonic()
                announced(idler, rb"\* VANISHED %d$" % n)
                took.append(time.monotonic() - begun)
        idler.send(b"DONE\r\n")
        assert statistics.quantiles(took, n=4)[0] < (0.050 if server.sanitized() else 0.010), sorted(took)


def resync(c, uidvalidity, modseq):
    """(UIDs in VANISHED, messages fetched, lines of VANISHED)."""
    vanished, fetched, lines = set(), 0, 0
    c.send(b"r SELECT INBOX (QRESYNC (%s %s))\r\n" % (uidvalidity, modseq))
    while not (line := c.line()).startswith(b"r "):
        if line.startswith(b"* VANISHED (EARLIER) "):
            assert fetched == 0
            lines += 1
            for r in line[21:].split(b","):
                first, _, last = r.partition(b":")
                vanished.update(range(int(first), int(last or first) + 1))
        elif b" FETCH (UID " in line:
            fetched += 1
    assert line.startswith(b"r OK"), line
    return vanished, fetched, lines


def test_resync_of_a_large_mailbox():
    with Server({"anna": "secret"}).start() as server:
        c = session(server, "anna")
        c.cmd(b"APPEND INBOX {%d+}\r\n%s" % (len(SMALL), SMALL))
        c.cmd("ENABLE QRESYNC")
        c.cmd("SELECT INBOX")
        while (n := int(c.cmd("STATUS INBOX (MESSAGES)")[0].split()[-1].rstrip(b")"))) < MANY:
            c.cmd("UID COPY 1:%d INBOX" % min(n, MANY - n))
        lines = c.cmd("SELECT INBOX")
        uidvalidity, modseq = (re.search(rb"\[%s (\d+)\]" % what, b"\n".join(lines)).group(1)
                               for what in (b"UIDVALIDITY", b"HIGHESTMODSEQ"))
        for first in range(1, MANY, 6000):
            gone = b",".join(b"%d" % u for u in range(first, min(first + 6000, MANY), 2))
            c.cmd(b"UID STORE %s +FLAGS.SILENT (\\Deleted)" % gone)
        c.cmd("EXPUNGE")
        c.cmd("UID STORE 1:* +FLAGS.SILENT (\\Seen)")
        fresh = session(server, "anna", "ENABLE QRESYNC")
        rss, begun = server.rss_kb(), time.monotonic()
        vanished, fetched, lines = resync(fresh, uidvalidity, modseq)
        took = time.monotonic() - begun
        print("resync of %d and %d in %.2f s, %d KB more" % (len(vanished), fetched, took, server.rss_kb() - rss))
        assert vanished == set(range(1, MANY, 2)) and fetched == MANY // 2
        assert lines > 5
        assert server.rss_kb() - rss < 60_000 * server.memory_slack()
        # Up to date: nothing, and at once.
        lines = fresh.cmd("SELECT INBOX")
        now = re.search(rb"\[HIGHESTMODSEQ (\d+)\]", b"\n".join(lines)).group(1)
        begun = time.monotonic()
        assert resync(fresh, uidvalidity, now) == (set(), 0, 0)
        print("nothing new: %.3f s" % (time.monotonic() - begun))


def every_second(line, code):
    """The set that the code names, which must be each second UID of LONG; written in more than a megabyte."""
    named = re.search(rb"\[%s ([0-9,]+)" % code, line).group(1)
    assert len(named) > 1 << 20
    assert named == b",".join(b"%d" % u for u in range(1, LONG, 2))


def test_sets_of_any_length():
    """MODIFIED and COPYUID name all their messages, however many ranges it takes."""
    with Server({"anna": "secret"}).start() as server:
        c = session(server, "anna", b"APPEND INBOX {%d+}\r\n%s" % (len(SMALL), SMALL), "CREATE Other", "SELECT INBOX")
        c.sock.settimeout(10 * PATIENCE_S)      # each of these is a lot of work, and how long it takes is not the point
        while (n := int(c.cmd("STATUS INBOX (MESSAGES)")[0].split()[-1].rstrip(b")"))) < LONG:
            c.cmd("UID COPY 1:%d INBOX" % min(n, LONG - n))
        before = re.search(rb"HIGHESTMODSEQ (\d+)", c.cmd("STATUS INBOX (HIGHESTMODSEQ)")[0]).group(1)
        for first in range(1, LONG, 8000):
            some = b",".join(b"%d" % u for u in range(first, min(first + 8000, LONG), 2))
            c.cmd(b"UID STORE %s +FLAGS.SILENT (\\Flagged)" % some)
        every_second(c.cmd(b"UID STORE 1:* (UNCHANGEDSINCE %s) +FLAGS.SILENT (\\Seen)" % before)[-1], b"MODIFIED")
        c.cmd("UID SEARCH RETURN (SAVE) FLAGGED")
        every_second(c.cmd("UID COPY $ Other")[-1], rb"COPYUID \d+")
        moved = c.cmd("UID MOVE $ Other")
        assert moved[0].endswith(b" %d:%d] Moved" % (LONG // 2 + 1, LONG))
        every_second(moved[0], rb"COPYUID \d+")
