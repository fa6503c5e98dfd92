"""POP3 [RFC 1939] against a real server."""

import base64
import poplib
import re

import pytest

from harness import Raw, fetch_all, message


@pytest.fixture
def user(shared, request):
    name = "p-" + re.sub(r"\W", "-", request.node.name)[:60]
    shared.add_user(name)
    for i in range(3):
        shared.deliver([name], message("mail %d" % i, body="line 1\r\n.dot\r\n..\r\nline 4\r\n"))
    return name


def say(c, line, expect=b"+OK"):
    c.send(line + "\r\n")
    got = c.line()
    assert got.startswith(expect), (line, got)
    return got


def lines(c):
    out = []
    while True:
        line = c.line()
        if line == b".":
            return out
        out.append(line)


def test_read_and_delete(shared, user):
    p = shared.pop(user)
    count, size = p.stat()
    assert count == 3
    assert sum(int(x.split()[1]) for x in p.list()[1]) == size
    uids = p.uidl()[1]
    assert len({x.split()[1] for x in uids}) == 3
    got = b"\r\n".join(p.retr(2)[1])
    assert b".dot\r\n..\r\nline 4" in got
    p.dele(2)
    with pytest.raises(poplib.error_proto):
        p.retr(2)
    assert p.stat()[0] == 2
    p.rset()
    assert p.stat()[0] == 3
    p.dele(1)
    p.quit()
    p = shared.pop(user, tls=True)
    assert p.stat()[0] == 2
    assert [x.split()[1] for x in p.uidl()[1]] == [x.split()[1] for x in uids[1:]], "UIDLs stay"
    p.quit()


def test_nothing_is_deleted_without_quit(shared, user):
    p = shared.pop(user)
    p.dele(1)
    p.close()
    with shared.imap(user) as c:
        assert len(fetch_all(c)) == 3


def test_a_session_is_a_snapshot(shared, user):
    p = shared.pop(user)
    with shared.imap(user) as c:
        c.select()
        c.store("1", "+FLAGS", "(\\Deleted)")
        c.expunge()
    shared.deliver([user], message("new"))
    assert p.stat()[0] == 3
    assert b"mail 1" in b"".join(p.retr(2)[1])
    p.dele(2)
    p.quit()
    with shared.imap(user) as c:
        assert len(fetch_all(c)) == 2


def test_top(shared, user):
    p = shared.pop(user)
    head = p.top(1, 0)[1]
    assert any(x.startswith(b"Subject: mail 0") for x in head) and b"line 1" not in head
    assert p.top(1, 2)[1][-2:] == [b"line 1", b".dot"]
    p.quit()


@pytest.mark.parametrize("line", ["RETR", "RETR 0", "RETR 9", "RETR x", "DELE 99", "LIST 4", "TOP 1", "TOP 1 x", "UIDL 0",
                                  "FROB", "", "STAT 1", "RETR 99999999999999999999", "USER x", "APOP x y"])
def test_bad_commands(shared, user, line):
    with shared.raw("pop3") as c:
        assert c.line().startswith(b"+OK")
        say(c, "USER " + user)
        say(c, "PASS secret")
        say(c, line, b"-ERR")
        say(c, "NOOP")


def test_capa_in_both_states(shared, user):
    with shared.raw("pop3") as c:
        c.line()
        say(c, "CAPA")
        caps = lines(c)
        assert {b"TOP", b"UIDL", b"USER", b"STLS", b"PIPELINING"} <= set(caps)
        assert b"SASL PLAIN" in caps
        say(c, "STAT", b"-ERR")
        say(c, "USER " + user)
        say(c, "PASS secret")
        say(c, "CAPA")
        assert b"STLS" not in lines(c)


@pytest.mark.parametrize("name", ["anna", "nobody"])
def test_wrong_password(shared, name):
    with shared.raw("pop3") as c:
        c.line()
        say(c, "USER " + name)
        say(c, "PASS wrong", b"-ERR [AUTH]")
        say(c, "AUTH PLAIN " + base64.b64encode(b"\0" + name.encode() + b"\0wrong").decode(), b"-ERR [AUTH]")


def test_auth_plain(shared, user):
    plain = base64.b64encode(b"\0" + user.encode() + b"\0secret").decode()
    with shared.raw("pop3") as c:
        c.line()
        say(c, "AUTH PLAIN " + plain)
        say(c, "STAT")
    with shared.raw("pop3") as c:
        c.line()
        say(c, "AUTH PLAIN", b"+ ")
        say(c, plain)
        say(c, "STAT")
    with shared.raw("pop3") as c:
        c.line()
        say(c, "AUTH PLAIN", b"+ ")
        say(c, "*", b"-ERR")
        say(c, "NOOP", b"-ERR")


def test_pipelining(shared, user):
    with shared.raw("pop3") as c:
        c.line()
        c.send("USER %s\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n" % user)
        for _ in range(3):
            assert c.line().startswith(b"+OK")
        assert c.line().startswith(b"+OK")
        lines(c)
        assert c.line().startswith(b"+OK")
        assert c.line().startswith(b"+OK")
        assert c.at_eof()
    with shared.imap(user) as c:
        assert len(fetch_all(c)) == 2


def test_stls_drops_what_was_pipelined(shared, user):
    c = Raw(shared.port("pop3"))
    c.line()
    c.send("STLS\r\nUSER %s\r\nPASS secret\r\n" % user)
    assert c.line().startswith(b"+OK")
    c.sock = shared.tls().wrap_socket(c.sock)
    c.have = b""
    say(c, "STAT", b"-ERR")
    say(c, "USER " + user)
    say(c, "PASS secret")
    say(c, "STAT")
    c.close()


def test_empty_mailbox(shared):
    shared.add_user("p-empty")
    p = shared.pop("p-empty")
    assert p.stat() == (0, 0)
    assert p.list()[1] == [] and p.uidl()[1] == []
    p.quit()
