"""Messages whose blob the index does not know: its record was damaged in the log when the index was made.

What is left of one is its row: UID, flags, dates. It is told as damaged wherever its octets or their number are asked
for, and never becomes a sound message of no octets.
"""

import contextlib
import os
import poplib
import re

import pytest

from harness import Server, message

LOST = "the message's blob is not in the log"


def frames(data):
    return [at.start() for at in re.finditer(b"RFR1", data) if 500 < int.from_bytes(data[at.start() + 4:at.start() + 8], "little") < 5000]


def segments(server):
    log = server.dir + "/volumes/v1/log"
    return [os.path.join(log, name) for name in os.listdir(log) if name.endswith(".seg")]


def flip(server, which):
    """A bit in the frame of the so manieth message that is in the log."""
    for path in segments(server):
        with open(path, "r+b") as f:
            found = frames(f.read())
            if len(found) > which:
                f.seek(found[which] + 300)
                byte = f.read(1)[0]
                f.seek(found[which] + 300)
                f.write(bytes([byte ^ 1]))
                return
    raise AssertionError("no such frame")


def drop_index(server):
    for name in os.listdir(server.dir + "/volumes/v1"):
        if name.startswith("index.db"):
            os.unlink(os.path.join(server.dir, "volumes/v1", name))


def fill(server):
    """Kept has three messages, copies of those in INBOX."""
    for n in range(3):
        server.deliver("anna", message("number %d" % n, size=2000))
    with server.imap("anna") as c:
        c.create("Kept")
        c.select("INBOX")
        assert c.copy("1:3", "Kept")[0] == "OK"


@pytest.fixture
def lost():
    """Of Kept's messages the second one's blob is lost; INBOX lacks it, as it was in the same frame."""
    with Server(users={"anna": "secret"}) as s:
        with open(s.conf, "a") as f:
            f.write("\n[volume v2]\npath = volumes/v2\n")
        s.ctl("volume", "create", "v2")
        s.start()
        fill(s)
        s.stop()
        flip(s, 1)
        drop_index(s)
        s.start()
        yield s


def answers(server):
    """What a client is told of Kept."""
    with server.imap("anna") as c:
        c.select("Kept", readonly=True)
        return [c.fetch(str(n), "(FLAGS BODY.PEEK[])") for n in (1, 2, 3)]


def test_is_not_moved(lost):
    """The account stays where it is, as with any other damage, and the other volume has nothing of it."""
    before = answers(lost)
    assert [x[0] for x in before] == ["OK", "NO", "OK"]
    for argv in (["user", "move", "anna", "v2"], ["volume", "retire", "v1", "--to", "v2"]):
        _, out, err = lost.ctl_raw(["-c", lost.conf] + argv, expect=3)
        assert out == "" and "anna: mailbox Kept: message 2: " + LOST in err, err
    assert answers(lost) == before
    assert '"volume":"v1"' in lost.ctl("user", "show", "--json", "anna")


@pytest.mark.parametrize("form", ["eml", "maildir", "mbox"])
def test_is_left_out_of_an_export(lost, form):
    _, out, err = lost.ctl_raw(["-c", lost.conf, "export", "anna", "--format", form, "--mailbox", "Kept", lost.top + "/out"], expect=3)
    assert "Kept UID 2: " + LOST in err and "exported: 2 messages" in out
    whole = ""
    for at, _, names in os.walk(lost.top + "/out") if form != "mbox" else [(lost.top, [], ["out"])]:
        for name in names:
            size = os.path.getsize(os.path.join(at, name))
            assert size > 0, name
            with open(os.path.join(at, name), errors="replace") as f:
                whole += f.read()
    assert [n for n in range(3) if "Subject: number %d" % n in whole] == [0, 2]


def test_a_dry_run_of_an_export_names_it(lost):
    _, out, err = lost.ctl_raw(["-c", lost.conf, "export", "--dry-run", "anna", "--format", "eml", lost.top + "/out"], expect=3)
    assert "Kept UID 2: " + LOST in err and out.startswith("would be exported: 4 messages, ")


def test_reindex_counts_its_contents():
    """Nothing else would be lacking: the frame has nothing but the blob of a message whose row is in another."""
    with Server(users={"anna": "secret"}) as s:
        s.start()
        fill(s)
        with s.imap("anna") as c:
            c.select("INBOX")
            c.store("2", "+FLAGS", r"\Deleted")
            c.expunge()
        s.stop()
        flip(s, 1)
        err = s.ctl_raw(["-c", s.conf, "reindex"], expect=3)[2]
        assert "accounts: 0, mailboxes: 0, messages: 0, contents of messages: 1 of the present one" in err, err


def test_pop3_tells_it():
    """The log says whose it is and where, as of any other damage; TOP is as RETR."""
    with Server(users={"anna": "secret"}) as s:
        s.start()
        fill(s)
        with s.imap("anna") as c:
            c.select("INBOX")
            c.store("1:3", "+FLAGS", r"\Deleted")
            c.expunge()
            c.select("Kept")
            c.copy("1:3", "INBOX")
        s.stop()
        flip(s, 1)
        drop_index(s)
        s.start()
        for utf8 in (False, True):
            with contextlib.closing(s.pop("anna", utf8=utf8)) as c:
                for ask in (c.retr, lambda n: c.top(n, 0), lambda n: (c.retr(1), c.retr(n))):
                    with pytest.raises(poplib.error_proto, match=r"-ERR \[SYS/PERM\] The message is damaged"):
                        ask(2)
                assert c.retr(3)[0].startswith(b"+OK")
        lines = [x for x in s.log().splitlines() if "ev=pop3.retr." in x]
        assert len(lines) == 6
        for line in lines:
            for word in ("level=error", "ev=pop3.retr.damaged", "user=anna", "volume=v1", "mailbox=INBOX", "uid=5 "):
                assert word in line, line


def test_imap_tells_it(lost):
    """As damage: its size is as little known as its octets."""
    with lost.imap("anna") as c:
        c.select("Kept")
        for items in ("(RFC822.SIZE)", "(FLAGS RFC822.SIZE)", "(BODY.PEEK[])", "(ENVELOPE)", "(EMAILID)", "FAST"):
            status, told = c.fetch("1:3", items)
            assert status == "NO" and b"[CORRUPTION]" in told[-1], (items, told)
            assert not any(b"2 (" == x[:3] for x in told if isinstance(x, bytes)), told
        assert c.fetch("2", "(FLAGS UID INTERNALDATE)")[0] == "OK"
        for keys, found in (("SMALLER 1", b""), ("SMALLER 100000", b"1 3"), ("LARGER 0", b"1 3"),
                            ("SMALLER 100000 TEXT number", b"1 3")):
            assert c.search(None, keys) == ("OK", [found]), keys


def test_its_copy_is_damaged_too(lost):
    with lost.imap("anna") as c:
        c.select("Kept")
        c.create("Other")
        if c.copy("2", "Other")[0] == "OK":
            c.select("Other")
            status, told = c.fetch("1", "(RFC822.SIZE BODY.PEEK[])")
            assert status == "NO" and b"[CORRUPTION]" in told[-1]


def test_lint_names_it(lost):
    _, _, err = lost.ctl_raw(["-c", lost.conf, "lint", "anna", "--mailbox", "Kept"], expect=None)
    assert "UID 2: " + LOST in err and "UID 1:" not in err and "UID 3:" not in err
