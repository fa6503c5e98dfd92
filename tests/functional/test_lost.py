"""Messages whose blob the index does not know: its record was damaged in the log when the index was made.

What is left of one is its row: UID, flags, dates. It is told as damaged wherever its octets or their number are asked
for, and never becomes a sound message of no octets.
"""

import os
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
        for name in os.listdir(s.dir + "/volumes/v1"):
            if name.startswith("index.db"):
                os.unlink(os.path.join(s.dir, "volumes/v1", name))
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
