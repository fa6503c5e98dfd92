"""expunge by age, purge of one message, and the report of equal contents; online and offline."""

import hashlib
import json
import time

import pytest

from harness import Server, fetch_all, message

BOTH = pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])


def append(c, mailbox, text):
    typ, data = c.append(mailbox, None, None, text if isinstance(text, bytes) else text.encode())
    assert typ == "OK", data


def exists(s, user, mailbox):
    with s.imap(user) as c:
        return int(c.select(mailbox, readonly=True)[1][0])


def settle(s, online):
    if not online:
        s.stop()


def resume(s, online):
    if not online:
        s.start()


@BOTH
def test_expunge_older_than(online):
    with Server({"anna": "secret", "boris": "secret"}) as s:
        s.start()
        for user in ("anna", "boris"):
            with s.imap(user) as c:
                for mailbox in ("INBOX", "Trash", "Junk"):
                    for i in range(3):
                        append(c, mailbox, message(mailbox + str(i)))
        time.sleep(8.2)
        with s.imap("anna") as c:
            append(c, "Trash", message("young"))
            young = time.monotonic()
            assert c.create("Old")[0] == "OK"

        def age():
            """Older than the young one, for some seconds yet; younger than the others."""
            return "%ds" % (time.monotonic() - young + 7)

        settle(s, online)
        assert s.ctl("expunge", "--older-than", "1h", "anna").splitlines() == [
            "anna: Junk: expunged 0 messages, 0 bytes", "anna: Trash: expunged 0 messages, 0 bytes"]
        told = [json.loads(x) for x in
                s.ctl("expunge", "--older-than", age(), "--dry-run", "--json", "anna").splitlines()]
        assert [(t["mailbox"], t["messages"], t["dry_run"]) for t in told] == [("Junk", 3, True), ("Trash", 3, True)]
        assert told[0]["bytes"] > 300
        out = s.ctl("expunge", "--older-than=" + age(), "--mailbox", "trash", "anna")
        assert out.startswith("anna: Trash: expunged 3 messages, ")
        assert s.ctl("expunge", "--older-than", age(), "--mailbox", "\\Junk", "--all").count("expunged 3 messages") == 2
        for wrong in (["anna"], ["--older-than", "soon", "anna"], ["--older-than", "1d"],
                      ["--older-than", "1d", "--all", "anna"]):
            s.ctl("expunge", *wrong, expect=2)
        s.ctl("expunge", "--older-than", "1d", "--mailbox", "None", "anna", expect=1)
        s.ctl("expunge", "--older-than", "1d", "nobody", expect=1)
        resume(s, online)
        assert [exists(s, "anna", m) for m in ("INBOX", "Trash", "Junk")] == [3, 1, 0]
        assert [exists(s, "boris", m) for m in ("INBOX", "Trash", "Junk")] == [3, 3, 0]


@BOTH
def test_purge(online):
    with Server({"anna": "secret", "boris": "secret"}) as s:
        s.start()
        secret = message("secret", Message_ID="<s@example.org>").encode()
        other = message("other", Message_ID="<o@example.org>").encode()
        for user in ("anna", "boris"):
            with s.imap(user) as c:
                append(c, "INBOX", secret)
                append(c, "INBOX", other)
                c.select("INBOX")
                assert c.copy("1", "Archive")[0] == "OK"
        settle(s, online)
        out = s.ctl("purge", "--message-id", "s@example.org", "--dry-run")
        assert out.count("would be removed from 2 messages") == 2
        s.ctl("purge", "--message-id", "s@example.org", expect=2)           # no terminal, no --yes
        s.ctl("purge", "--message-id", "none@example.org", "--yes", expect=1)
        s.ctl("purge", "--yes", expect=2)
        s.ctl("purge", "--sha256", "abc", "--yes", expect=2)
        told = [json.loads(x) for x in s.ctl(
            "purge", "--message-id", "<s@example.org>", "--json", "--yes", "--reason", "asked for", "anna").splitlines()]
        assert sum(t["messages"] for t in told) == 2 and sum(t["purged"] for t in told) == 1
        digest = hashlib.sha256(secret).hexdigest()
        assert {t["sha256"] for t in told} == {digest}
        assert "removed from 2 messages" in s.ctl("purge", "--sha256", digest, "--yes")
        s.ctl("purge", "--sha256", digest, "--yes", expect=1)
        dump = [json.loads(x) for x in s.ctl("dump", "--json").splitlines()]
        purges = [r for r in dump if r.get("type") == "purge"]
        assert [p["reason"] for p in purges] == ["asked for", ""] and all(p["sha256"] == digest for p in purges)
        s.ctl("check")
        s.stop()
        s.ctl("reindex")
        s.ctl("check")
        s.start()
        for user in ("anna", "boris"):
            assert exists(s, user, "Archive") == 0
            with s.imap(user) as c:
                assert [m for m in fetch_all(c)] and int(c.select("INBOX")[1][0]) == 1


def test_a_session_that_still_shows_it():
    """Its flags are known, its content is not, and other messages go on."""
    with Server({"anna": "secret"}) as s:
        s.start()
        with s.imap("anna") as c:
            append(c, "INBOX", message("secret", Message_ID="<s@example.org>"))
            append(c, "INBOX", message("other"))
        with s.raw("imap") as r:
            r.line()
            r.cmd("LOGIN anna secret")
            r.cmd("SELECT INBOX")
            s.ctl("purge", "--message-id", "s@example.org", "--yes")
            answer = r.cmd("FETCH 1 (BODY[])", expect=b"NO")
            assert b"[EXPUNGEISSUED]" in answer[-1]
            answer = r.cmd("FETCH 1:2 (BODY.PEEK[HEADER])", expect=b"NO")
            assert b"[EXPUNGEISSUED]" in answer[-1] and any(b"* 2 FETCH" in x for x in answer)
            assert any(b"* 1 EXPUNGE" in x for x in r.cmd("NOOP"))
        p = s.pop("anna")
        assert p.stat()[0] == 1
        p.quit()


@BOTH
def test_dedup(online):
    with Server({"anna": "secret", "boris": "secret"}) as s:
        s.start()
        text = message("twice", Message_ID="<t@example.org>").encode()
        for user, times in (("anna", 2), ("boris", 1)):
            with s.imap(user) as c:
                for _ in range(times):
                    append(c, "INBOX", text)
                append(c, "INBOX", message("once" + user))
        settle(s, online)
        total = json.loads(s.ctl("dedup", "--json"))
        assert (total["stored"], total["contents"], total["doubled"], total["copies"]) == (5, 3, 1, 2)
        assert total["bytes"] == 2 * len(text) and 0 < total["log_bytes"] < 2000
        assert json.loads(s.ctl("dedup", "--json", "anna"))["copies"] == 1
        assert s.ctl("dedup", "boris").startswith("v1: 2 stored, 2 contents; 0 of them more than once")
        s.ctl("dedup", "nobody", expect=1)
