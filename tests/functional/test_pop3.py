"""POP3 [RFC 1939] against a real server."""

import base64
import glob
import hashlib
import os
import poplib
import random
import re
import time

import pytest

from harness import Raw, Server, fetch_all, message, set_limit
from test_full_disk import small_disk  # noqa: F401, a fixture


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
        assert b"SASL SCRAM-SHA-256 SCRAM-SHA-1 PLAIN LOGIN" in caps
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


def test_nul_is_0x80(shared):
    shared.add_user("p-nul")
    with shared.raw("lmtp") as c:
        c.reply()
        c.send("LHLO x\r\n")
        c.reply()
        c.send(b"MAIL FROM:<>\r\nRCPT TO:<p-nul>\r\nDATA\r\nA: b\r\n\r\nx\0y\0\r\n.\r\n")
        assert [c.reply()[:3] for _ in range(4)] == [b"250", b"250", b"354", b"250"]
    p = shared.pop("p-nul")
    assert p.retr(1)[1][-1] == b"x\x80y\x80"
    p.quit()


@pytest.mark.parametrize("password", [" pass  word ", "pässwörd", "=", "a b"])
def test_passwords(shared, password):
    name = "p-pw-%d" % len(shared.users)
    shared.add_user(name, password)
    with shared.raw("pop3") as c:
        c.line()
        say(c, "USER " + name)
        say(c, "PASS " + password)
    with shared.raw("pop3") as c:
        c.line()
        say(c, "AUTH PLAIN " + base64.b64encode(("\0%s\0%s" % (name, password)).encode()).decode())


def split(data, at):
    return [data[:at], data[at:]] if at else [data[i:i + 1] for i in range(len(data))]


def test_every_text_is_translated():
    """What the code says to people stands in the table of texts."""
    folder = os.path.join(os.path.dirname(__file__), "..", "..", "server", "pop3")
    said, table = set(), ""
    for path in glob.glob(os.path.join(folder, "*.c")):
        with open(path, encoding="utf-8") as f:
            text = f.read()
        if path.endswith("texts.c"):
            table = text
            continue
        for call in re.findall(r"(?:pop3_(?:ok|err|refuse|bad)|login_refused|pop3_text)\(([^;]*?)\);", text, re.S):
            said.update(s for s in re.findall(r'"((?:[^"\\]|\\.)*)"', call))
    said = {re.sub(r"^\[[^]]*\] ", "", s) for s in said} - {"%u %llu", " ready"}
    missing = sorted(s for s in said if '{ "%s",' % s not in table)
    assert missing == [] and len(said) > 50


def test_every_split(shared, user):
    """The answers do not depend on how commands are cut into packets."""
    script = ("CAPA\r\nAUTH PLAIN\r\n*\r\nUSER %s\r\nPASS secret\r\nSTAT\r\nUIDL 1\r\nTOP 1 2\r\nRETR 3\r\nDELE 2\r\nRSET\r\n"
              "%s\r\nQUIT\r\n" % (user, "X" * 254)).encode()
    answers = set()
    for at in range(len(script)):
        with shared.raw("pop3") as c:
            for part in split(script, at):
                c.send(part)
            answers.add(b"\n".join(iter(c.line, b"+OK Goodbye")))
    assert len(answers) == 1
    assert b"-ERR The line is too long" in answers.pop()


def test_leaving_at_any_moment_deletes_nothing(shared, user):
    script = ("USER %s\r\nPASS secret\r\nDELE 1\r\nRETR 2\r\nLIST\r\nDELE 3\r\nQUIT" % user).encode()
    for at in range(0, len(script) + 1, 3):
        with shared.raw("pop3") as c:
            c.send(script[:at])
    p = shared.pop(user)
    assert p.stat()[0] == 3
    p.quit()


def damage(server, early):
    """Turn a byte over in the first MiB of the log, or far behind it."""
    path = max(glob.glob(os.path.join(server.dir, "volumes", "v1", "log", "*")), key=os.path.getsize)
    with open(path, "r+b") as f:
        data = f.read().rstrip(b"\0")
        at = 400000 if early else len(data) * 3 // 4
        f.seek(at)
        f.write(bytes([data[at] ^ 0x55]))


def test_damaged_message():
    """Damage is said, or ends the connection without the final dot; the server goes on."""
    with Server({"anna": "secret"}) as s:
        s.start()
        noise = base64.b85encode(random.Random(1).randbytes(3 << 20)).decode()
        body = "\r\n".join(noise[i:i + 76] for i in range(0, len(noise), 76)) + "\r\n"
        s.deliver("anna", message("large", body=body))
        s.deliver("anna", message("whole"))
        for early in (False, True):
            damage(s, early)
            with s.raw("pop3") as c:
                c.line()
                say(c, "USER anna")
                say(c, "PASS secret")
                say(c, "RETR 2")
                lines(c)
                if early:
                    say(c, "RETR 1", b"-ERR [SYS/PERM]")
                    say(c, "NOOP")
                    continue
                say(c, "RETR 1")
                got = b""
                while more := c.sock.recv(1 << 20):
                    got = got[-4:] + more
                assert not got.endswith(b"\r\n.\r\n"), "half a message must not look like a whole one"


def test_damaged_message_ahead():
    """One that is read before it is asked for is told to be damaged when it is, and hides none of its neighbours."""
    with Server({"anna": "secret"}) as s:
        s.start()
        path, ends = os.path.join(s.dir, "volumes", "v1", "log", "*"), []
        for k in range(4):
            noise = base64.b85encode(random.Random(k).randbytes(6000)).decode()
            s.deliver("anna", message("m%d" % k, body="\r\n".join(noise[i:i + 76] for i in range(0, len(noise), 76)) + "\r\n"))
            log = max(glob.glob(path), key=os.path.getsize)
            with open(log, "rb") as f:
                ends.append(len(f.read().rstrip(b"\0")))
        with open(log, "r+b") as f:
            f.seek((ends[1] + ends[2]) // 2)
            byte = f.read(1)[0]
            f.seek(-1, 1)
            f.write(bytes([byte ^ 0x55]))
        with s.raw("pop3") as c:
            c.line()
            say(c, "USER anna")
            say(c, "PASS secret")
            for k in (1, 2):
                say(c, "RETR %d" % k)
                lines(c)
            say(c, "RETR 3", b"-ERR [SYS/PERM]")
            say(c, "RETR 4")
            lines(c)


def test_damaged_message_foreseen():
    """Long ones, of which the beginning is made while the client is silent: damage there is told, damage behind it ends the
    connection without the final dot, and the neighbours are whole."""
    sizes = 9000, 200 << 10, 600 << 10, 150 << 10, 3 << 20
    with Server({"anna": "secret"}) as s:
        s.start()
        log, ends, mail = os.path.join(s.dir, "volumes", "v1", "log"), [], []
        for k, size in enumerate(sizes):
            noise = base64.b85encode(random.Random(k).randbytes(size)).decode()
            mail.append(message("m%d" % k, body="\r\n".join(noise[i:i + 76] for i in range(0, len(noise), 76)) + "\r\n"))
            s.deliver("anna", mail[-1])
            segment = max(glob.glob(log + "/*.seg"), key=os.path.getsize)
            with open(segment, "rb") as f:
                ends.append(len(f.read().rstrip(b"\0")))

        def flip(path, at):
            with open(path, "r+b") as f:
                f.seek(at)
                byte = f.read(1)[0]
                f.seek(-1, 1)
                f.write(bytes([byte ^ 0x55]))

        def take(c, number):
            time.sleep(.05)
            say(c, "RETR %d" % number)
            assert b"".join(x + b"\r\n" for x in lines(c)).endswith(mail[number - 1].encode()[-2000:])

        for damaged in None, 3, 2:
            if damaged is not None:
                flip(segment, (ends[damaged - 2] + ends[damaged - 1]) // 2)
            with s.raw("pop3") as c:
                c.line()
                say(c, "USER anna")
                say(c, "PASS secret")
                for k in (1, 2, 3, 4, 5):
                    if k == damaged or k == 3 and damaged:
                        time.sleep(.05)
                        say(c, "RETR %d" % k, b"-ERR [SYS/PERM]")
                    else:
                        take(c, k)
        blob, = glob.glob(log + "/*.blob")
        flip(blob, os.path.getsize(blob) - 50000)
        with s.raw("pop3") as c:
            c.line()
            say(c, "USER anna")
            say(c, "PASS secret")
            for k in (4, 5):
                time.sleep(.05)
                say(c, "RETR %d" % k)
                if k == 4:
                    lines(c)
            got = b""
            while more := c.sock.recv(1 << 20):
                got = got[-4:] + more
            assert not got.endswith(b"\r\n.\r\n")


def test_foreseen_and_expunged():
    """Of a long message a part is made when another session expunges it: all of it is served, as ever."""
    with Server({"anna": "secret"}) as s:
        s.start()
        body = ("x" * 70 + "\r\n") * 9000
        for k in range(3):
            s.deliver("anna", message("m%d" % k, body=body))
        with s.raw("pop3") as c, s.imap("anna") as i:
            c.line()
            say(c, "USER anna")
            say(c, "PASS secret")
            say(c, "RETR 1")
            lines(c)
            i.select()
            i.store("2", "+FLAGS", "\\Deleted")
            i.expunge()
            say(c, "RETR 2")
            assert len(lines(c)) > 9000
            say(c, "RETR 3")
            assert len(lines(c)) > 9000


def test_quit_on_a_full_disk(small_disk):
    """Deleted or refused with SYS/TEMP: either way the answer is the truth."""
    s = small_disk.start()
    for i in range(3):
        s.deliver("anna", message("m%d" % i))
    try:
        with open(os.path.join(s.mount, "fill"), "wb") as f:
            while True:
                f.write(b"x" * 4096)
                f.flush()
    except OSError:
        pass
    with s.raw("pop3") as c:
        c.line()
        say(c, "USER anna")
        say(c, "PASS x-secret")
        say(c, "DELE 1")
        c.send("QUIT\r\n")
        answer = c.line()
    assert answer.startswith((b"+OK 1 message deleted", b"-ERR [SYS/TEMP]")), answer
    with s.raw("pop3") as c:
        c.line()
        say(c, "USER anna")
        say(c, "PASS x-secret")
        assert say(c, "STAT").split()[1] == (b"2" if answer.startswith(b"+OK") else b"3"), answer


def uidls(s, name="anna"):
    p = s.pop(name)
    got = [x.split()[1] for x in p.uidl()[1]]
    p.quit()
    return got


def test_unique_ids_stay():
    """Through restarts, a kill, a rebuilt index and compaction; and none is given twice."""
    with Server({"anna": "secret"}) as s:
        s.start()
        for i in range(6):
            s.deliver("anna", message("m%d" % i))
        before = uidls(s)
        assert len(set(before)) == 6
        s.stop()
        s.start()
        assert uidls(s) == before
        s.kill()
        s.ctl("reindex")
        s.start()
        assert uidls(s) == before
        p = s.pop("anna")
        p.dele(6)
        p.dele(2)
        p.quit()
        s.ctl("compact", "--all")
        s.stop()
        s.ctl("reindex")
        s.start()
        s.deliver("anna", message("new"))
        after = uidls(s)
        assert after[:-1] == [before[i] for i in (0, 2, 3, 4)] and after[-1] not in before


def test_a_kill_at_quit_deletes_all_or_nothing():
    """QUIT is one change: the server is killed at some moment of it, again and again."""
    with Server({"anna": "secret"}) as s:
        s.start()
        for i in range(40):
            s.deliver("anna", message("m%d" % i))
        left = 40
        for round in range(6):
            with s.raw("pop3") as c:
                c.line()
                say(c, "USER anna")
                say(c, "PASS secret")
                for n in range(1, 6):
                    say(c, "DELE %d" % n)
                c.send("QUIT\r\n")
                time.sleep(round * 0.002)
                s.kill()
                try:
                    told = c.line().startswith(b"+OK 5 messages deleted")
                except ConnectionResetError:
                    told = False
            s.start()
            now = len(uidls(s))
            assert now == left - 5 if told else now in (left, left - 5), (now, left, told)
            left = now


def test_killed_in_a_session_nothing_is_lost():
    with Server({"anna": "secret"}) as s:
        s.start()
        for i in range(3):
            s.deliver("anna", message("m%d" % i))
        with s.raw("pop3") as c:
            c.line()
            say(c, "USER anna")
            say(c, "PASS secret")
            say(c, "RETR 1")
            lines(c)
            say(c, "DELE 1")
            s.kill()
        s.start()
        assert len(uidls(s)) == 3


def test_shutdown_tells_and_deletes_nothing():
    with Server({"anna": "secret"}) as s:
        s.start()
        s.deliver("anna", message("m"))
        with s.raw("pop3") as c:
            c.line()
            say(c, "USER anna")
            say(c, "PASS secret")
            say(c, "DELE 1")
            s.stop()
            assert c.line().startswith(b"-ERR [SYS/TEMP] ") and c.at_eof()
        s.start()
        assert len(uidls(s)) == 1


def test_too_many_sessions_of_an_account():
    """[IN-USE]: the password was right [RFC 2449 8.1.2]."""
    with Server({"anna": "secret"}, conf_edit=lambda t: set_limit(t, "max_connections_per_account", 2)) as s:
        s.start()
        with s.raw("pop3") as a, s.raw("pop3") as b, s.raw("pop3") as c:
            for conn in a, b, c:
                conn.line()
                say(conn, "USER anna")
                say(conn, "PASS secret", b"+OK" if conn is not c else b"-ERR [IN-USE] ")
            say(a, "QUIT")
            say(c, "USER anna")
            say(c, "PASS secret", b"")


def test_a_large_message_is_streamed():
    """RETR takes no more memory for 48 MiB than for a few KiB, nor when the client hardly reads."""
    with Server({"anna": "anna-secret"}) as s:
        s.start()
        body = os.urandom(64 << 10).hex().encode()
        line = b"\r\n".join(body[i:i + 72] for i in range(0, len(body), 72)) + b"\r\n"
        s.deliver("anna", message("large").encode() + line * ((48 << 20) // len(line)))
        s.pop("anna").quit()
        before = s.rss_kb()
        slow = [s.raw("pop3") for _ in range(4)]
        for c in slow:
            c.line()
            for word in ("USER anna", "PASS anna-secret"):
                say(c, word)
            c.send("RETR 1\r\n")
            assert c.line().startswith(b"+OK ")
        time.sleep(1)
        got = hashlib.sha256()
        c, size = slow[0], 0
        while not c.have.endswith(b"\r\n.\r\n"):
            size += max(0, len(c.have) - 5)
            got.update(c.have[:-5])
            c.have = c.have[-5:] + c.sock.recv(1 << 20)
        got.update(c.have[:-3])
        size += len(c.have) - 3
        assert s.rss_kb() - before < (12 << 10) * s.memory_slack()
        with s.imap("anna") as i:
            (_, data), = fetch_all(i).values()
        assert len(data) == size and hashlib.sha256(data).digest() == got.digest()
        for c in slow:
            c.close()
