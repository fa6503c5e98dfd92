"""reindex --reparse: what an older release has parsed is parsed anew, online and offline, and clients see it.

The volume is tests/golden/parser2: its parser left quotes in the local parts of ENVELOPE.
"""

import json
import os
import shutil
import tarfile

import pytest

from harness import Server, message

BOTH = pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
GOLDEN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "golden", "parser2.tar.xz")
CONTENTS = 12
OLD = b'"\\"a b\\"" "example.org"'
NEW = b'"a b" "example.org"'


def volume(s):
    return os.path.join(s.dir, "volumes", "v1")


@pytest.fixture
def server():
    """A server that was upgraded: its volume is of an older release. anna and boris log in with "secret"."""
    with Server() as s:
        owner = os.stat(volume(s))
        shutil.rmtree(volume(s))
        os.mkdir(volume(s), 0o700)
        with tarfile.open(GOLDEN) as t:
            t.extractall(volume(s))
        for root, _, names in os.walk(volume(s)):
            for path in [root] + [os.path.join(root, n) for n in names]:
                os.chown(path, owner.st_uid, owner.st_gid)
        s.users = {"anna": "secret", "boris": "secret"}
        yield s


def reparse(s, *options, expect=0):
    told = json.loads(s.ctl("reindex", "--reparse", "--json", *options, expect=expect))
    assert told["volume"] == "v1" and told["parser"] >= 3
    return told


def parsers(s):
    """Of each content in the log, the parser of its newest summary."""
    latest = {}
    for line in s.ctl("dump", "--json").splitlines():
        r = json.loads(line)
        if r["type"] in ("blob", "summary"):
            latest[r["blob"] if r["type"] == "summary" else r["lsn"]] = r["parser"]
    return sorted(latest.values())


def fetch(c, item):
    return [x if isinstance(x, bytes) else b"".join(x) for x in c.fetch("1:*", "(UID MODSEQ %s)" % item)[1]]


@BOTH
def test_made_anew(server, online):
    s = server
    s.start()
    with s.imap("anna") as c:
        c.select("INBOX")
        before = fetch(c, "ENVELOPE"), fetch(c, "BODYSTRUCTURE"), fetch(c, "BODY.PEEK[] EMAILID THREADID")
    assert sum(OLD in e for e in before[0]) == 1
    if not online:
        s.stop()
    assert parsers(s) == [2] * CONTENTS
    told = reparse(s, "--dry-run")
    assert (told["contents"], told["other_parser"], told["made"]) == (CONTENTS, CONTENTS, CONTENTS)
    assert parsers(s) == [2] * CONTENTS, "a dry run changes nothing"
    told = reparse(s)
    assert (told["contents"], told["made"], told["unreadable"]) == (CONTENTS, CONTENTS, 0)
    assert parsers(s) == [told["parser"]] * CONTENTS
    assert "0 of %d contents got a new summary" % CONTENTS in s.ctl("reindex", "--reparse")
    assert reparse(s, "--all")["made"] == 0
    s.ctl("check")
    if not online:
        s.start()
    for again in (False, True):
        with s.imap("anna") as c:
            c.select("INBOX")
            now = fetch(c, "ENVELOPE"), fetch(c, "BODYSTRUCTURE"), fetch(c, "BODY.PEEK[] EMAILID THREADID")
        assert now[0] == [e.replace(OLD, NEW) for e in before[0]]
        assert now[2] == before[2], "bytes, UIDs, MODSEQs and ids are what they were"
        assert [b.replace(b'"\\"c d\\""', b'"c d"') for b in before[1]] == now[1]
        if again:
            break
        s.ctl("compact", "--all", "--retention", "0s")
        s.stop()
        os.remove(os.path.join(volume(s), "index.db"))
        s.start()
    s.ctl("check")


def test_session_goes_on(server):
    """Whoever has the mailbox open is told of no change, and gets the new ENVELOPE when he asks."""
    s = server.start()
    with s.imap("anna") as c, s.imap("boris") as b:
        c.select("INBOX")
        b.select("INBOX", readonly=True)
        assert OLD in fetch(c, "ENVELOPE")[10]
        assert reparse(s)["made"] == CONTENTS
        c.noop()
        assert c.untagged_responses.get("FETCH") is None
        s.deliver("anna", message("later"))
        assert NEW in fetch(c, "ENVELOPE")[10]
        assert NEW in fetch(b, "ENVELOPE")[0]
        assert b.search(None, "FROM", '"a b"')[1] == [b"1"]
    s.ctl("check")


def test_backup_and_past(server):
    """A copy has the new summaries; so has what comes back out of the past."""
    s = server.start()
    with s.imap("anna") as c:
        c.select("INBOX")
        c.store("11", "+FLAGS", "(\\Deleted)")
        c.expunge()
    assert reparse(s)["made"] == CONTENTS
    s.ctl("undelete", "anna")
    with s.imap("anna") as c:
        c.select("INBOX")
        assert NEW in fetch(c, "ENVELOPE")[-1]
    copy = os.path.join(s.dir, "copy")
    s.ctl("backup", copy)
    assert "sound" in s.ctl("verify", copy)
    s.ctl("history", "anna")
    s.ctl("restore", "--from", os.path.join(copy, "v1"), "--mailbox", "INBOX", "--into", "Back", "anna")
    with s.imap("anna") as c:
        assert c.select("Back")[0] == "OK"
        assert sum(NEW in e for e in fetch(c, "ENVELOPE")) == 1


def test_unreadable(server):
    """A damaged message keeps what it has, is named, and does not stop the others."""
    s = server
    names = sorted(os.listdir(os.path.join(volume(s), "log")))
    path = os.path.join(volume(s), "log", names[-1])
    s.start()
    s.stop()
    with open(path, "r+b") as f:
        data = f.read()
        at = data.rindex(b"RFR1", 0, data.rindex(b"RFR1")) - 60
        f.seek(at)
        f.write(bytes([data[at] ^ 0x55]))
    code, out, err = s.ctl_raw(["-c", s.conf, "reindex", "--reparse"], expect=3)
    assert "%d of %d contents got a new summary" % (CONTENTS - 1, CONTENTS) in out
    assert "keeps the summary that it has" in err and "1 could not be read" in err


def test_usage(server):
    s = server
    for wrong in (["--all"], ["--dry-run"], ["--json"], ["--reparse", "--force"], ["--reparse", "anna"],
                  ["--reparse", "--volume"]):
        s.ctl("reindex", *wrong, expect=2)
    s.ctl("reindex", "--reparse", "--volume", "v9", expect=1)
    s.start()
    s.ctl("reindex", expect=1)
    assert "got a new summary" in s.ctl("reindex", "--reparse", "--volume", "v1")
