"""The admin's hand on mailboxes, names and counters, beside the sessions that are open."""

import json
import os
import sqlite3

import pytest

from harness import Server, message


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_mailboxes(online):
    with Server({"anna": "secret"}) as s:
        if online:
            s.start()
        assert s.ctl("mailbox", "create", "--special-use", "snoozed", "anna", "Work/Later") == "anna: Work/Later made\n"
        s.ctl("mailbox", "create", "anna", "work/later")
        assert "Work/Later already" not in s.ctl("mailbox", "create", "anna", "Work/Later", expect=1)
        s.ctl("mailbox", "create", "--special-use", "frob", "anna", "X", expect=2)
        s.ctl("mailbox", "create", "nobody", "X", expect=1)
        assert s.ctl("mailbox", "rename", "anna", "Work", "Office") == "anna: Work is Office now\n"
        assert s.ctl("mailbox", "subscribe", "anna", "Office/Later") == "anna: Office/Later subscribed\n"
        assert s.ctl("mailbox", "unsubscribe", "anna", "Drafts") == "anna: Drafts unsubscribed\n"
        s.ctl("mailbox", "delete", "anna", "work/later", expect=2)
        assert s.ctl("mailbox", "delete", "--yes", "anna", "work/later") == "anna: work/later deleted\n"
        s.ctl("mailbox", "delete", "--yes", "anna", "work/later", expect=1)
        s.ctl("mailbox", "delete", "--yes", "anna", "INBOX", expect=1)
        s.ctl("mailbox", "delete", "--yes", "anna", "Office", expect=1)
        boxes = {b["name"]: b for b in map(json.loads, s.ctl("mailbox", "list", "--json", "anna").splitlines())}
        assert boxes["Office/Later"]["special_use"] == ["\\Snoozed"] and boxes["Office/Later"]["subscribed"]
        assert not boxes["Drafts"]["subscribed"] and "work/later" not in boxes
        if not online:
            s.start()
        with s.raw("imap") as c:
            c.line()
            c.cmd("LOGIN anna secret")
            assert any(b"\\Snoozed" in line for line in c.cmd("LIST (SPECIAL-USE) \"\" *"))


def test_a_session_is_told(server):
    server.ctl("user", "add", "mina", stdin="secret\n")
    server.ctl("mailbox", "create", "mina", "Old")
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN mina secret")
        c.cmd("SELECT Old")
        c.send(b"i IDLE\r\n")
        assert c.line().startswith(b"+")
        server.ctl("mailbox", "delete", "--yes", "mina", "Old")
        assert c.line().startswith(b"* BYE The selected mailbox was deleted")


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_rename_account(online):
    with Server({"anna": "secret", "boris": "secret"}) as s:
        s.start()
        s.deliver("anna", message("to anna"))
        if not online:
            s.stop()
        s.ctl("user", "rename", "anna", "Boris", expect=1)
        s.ctl("user", "rename", "anna", "two words", expect=1)
        s.ctl("user", "rename", "nobody", "x", expect=1)
        assert s.ctl("user", "rename", "anna", "ANNA") == "anna: is ANNA now\n"
        assert s.ctl("user", "rename", "anna", "clara@example.org") == "anna: is clara@example.org now\n"
        if not online:
            s.start()
        c = s.imap("clara@example.org", "secret")
        assert c.select("INBOX")[1] == [b"1"]
        with pytest.raises(Exception):
            s.imap("anna", "secret")


def test_recount():
    with Server({"anna": "secret", "boris": "secret"}) as s:
        s.start()
        for i in range(3):
            s.deliver("anna", message("%d" % i))
        text = s.ctl("quota", "recount", "anna")
        assert "3 messages" in text and "difference 0" in text
        assert len(s.ctl("quota", "recount").splitlines()) == 2
        s.stop()
        db = sqlite3.connect(os.path.join(s.dir, "volumes", "v1", "index.db"))
        db.execute("UPDATE account SET used_bytes = used_bytes + 7 WHERE name = CAST('anna' AS BLOB)")
        db.commit()
        db.close()
        row = json.loads(s.ctl("quota", "recount", "--json", "anna", expect=3))
        assert row["bytes"] == row["counted_bytes"] + 7 and row["messages"] == row["counted_messages"] == 3
        assert "difference 0" in s.ctl("quota", "recount", "boris")
        s.ctl("quota", "recount", expect=3)
        s.ctl("reindex")
        assert "difference 0" in s.ctl("quota", "recount", "anna")


def two_volumes(s):
    with open(s.conf, "a") as f:
        f.write("\n[volume v2]\npath = %s\n" % os.path.join(s.dir, "volumes", "v2"))
    s.ctl("volume", "create", "v2")


def contents(c):
    """All of the selected mailbox, but for what is of a session."""
    text = repr(c.fetch("1:*", "(UID FLAGS INTERNALDATE EMAILID THREADID BODY.PEEK[])"))
    return text.replace(" \\\\Recent", "").replace("\\\\Recent", "")


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_move_account(online):
    with Server({"anna": "secret", "boris": "secret"}) as s:
        two_volumes(s)
        s.start()
        for i in range(20):
            s.deliver("anna", message("mail %d" % i))
        c = s.imap("anna", "secret")
        c.select("INBOX")
        c.store("3", "+FLAGS", "(\\Seen $Label1)")
        seen = contents(c)
        validity = c.response("UIDVALIDITY")
        if not online:
            c.logout()
            s.stop()
        s.ctl("user", "move", "anna", "v3", expect=1)
        s.ctl("user", "move", "nobody", "v2", expect=1)
        row = json.loads(s.ctl("user", "move", "--json", "anna", "v2"))
        assert row["from"] == "v1" and row["to"] == "v2" and row["messages"] == 20
        assert "already" in s.ctl("user", "move", "anna", "v2")
        assert json.loads(s.ctl("user", "show", "--json", "anna"))["volume"] == "v2"
        if online:
            with pytest.raises(Exception):      # the old session is ended, not left with an empty mailbox
                c.fetch("1:*", "(FLAGS)")
        else:
            s.start()
        c = s.imap("anna", "secret")
        c.select("INBOX")
        assert c.response("UIDVALIDITY") == validity
        assert contents(c) == seen
        s.deliver("anna", message("after"))
        assert c.noop()[0] == "OK" and len(c.fetch("21", "(UID)")[1]) == 1
        s.ctl("check")


def test_retire():
    with Server({"anna": "a", "boris": "b", "clara": "c"}) as s:
        two_volumes(s)
        s.start()
        s.deliver("boris", message("kept"))
        s.ctl("volume", "retire", "v1", expect=2)
        s.ctl("volume", "retire", "--to", "v1", "v1", expect=2)
        out = s.ctl("volume", "retire", "--to", "v2", "v1")
        assert "3 accounts moved" in out
        rows = [json.loads(line) for line in s.ctl("user", "list", "--json").splitlines()]
        assert [(r["name"], r["volume"]) for r in rows] == [("anna", "v2"), ("boris", "v2"), ("clara", "v2")]
        assert s.imap("boris", "b").select("INBOX")[1] == [b"1"]
