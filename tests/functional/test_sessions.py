"""Sessions as the admin sees and ends them, and how many an account may have."""

import json
import os
import re
import resource
import smtplib
import socket
import statistics
import threading
import time

import pytest

from harness import AT_ONCE_S, Raw, Server, free_port, send, set_limit, wait_until


@pytest.fixture(scope="module")
def shared():
    with Server({"anna": "anna-secret", "bert": "bert-secret"}) as s:
        s.start()
        yield s


def login(server, name, listener="imap"):
    c = server.raw(listener)
    c.line()
    c.cmd("LOGIN %s %s-secret" % (name, name))
    return c


def who(server, *words):
    return [json.loads(x) for x in server.ctl("who", "--json", *words).splitlines()]


def wait_for_nobody(server, *words):
    wait_until(lambda: not who(server, "--all", *words), lambda: who(server, "--all", *words))


def wait_for_room(server):
    """A session that ended may hold its place a moment behind its client's end."""
    def let_in():
        with server.raw("pop3") as c:
            return c.line().startswith(b"+OK")

    wait_until(let_in)


def test_who(shared):
    with login(shared, "anna") as a, login(shared, "bert") as b, shared.raw("imap") as nobody:
        nobody.line()
        a.cmd("SELECT INBOX")
        a.send("i IDLE\r\n")
        a.line()
        assert len(who(shared)) == 2 and len(who(shared, "--all")) == 3
        row, = who(shared, "anna")
        assert row["account"] == "anna" and row["volume"] == "v1" and row["protocol"] == "imap", row
        assert row["peer"] == "127.0.0.1" and row["mailbox"] == "INBOX" and row["command"] == "IDLE", row
        assert row["mechanism"] == "LOGIN" and "tls" not in row and row["bytes_in"] > 30, row
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row["since"])
        assert "sid=%s " % row["session"] in shared.log()
        other, = who(shared, "bert")
        assert "command" not in other and "mailbox" not in other, other
        assert who(shared, "--peer", "127.0.0.0/8", "bert") == [other] and not who(shared, "--peer", "::1")
        line = shared.ctl("who", "anna").rstrip("\n").split("\t")
        assert len(line) == 11 and line[:4] == [row["session"], "anna", "imap", "127.0.0.1"], line
        b.cmd("LOGOUT")
    wait_for_nobody(shared)
    with shared.raw("imaps") as c:
        c.sock = shared.tls().wrap_socket(c.sock, server_hostname="localhost")
        c.line()
        c.cmd("AUTHENTICATE PLAIN AGFubmEAYW5uYS1zZWNyZXQ=")
        row, = who(shared)
        assert row["tls"].startswith("TLSv1") and row["mechanism"] == "PLAIN", row
        c.cmd("UNAUTHENTICATE")
        assert not who(shared)


def test_kick(shared):
    with login(shared, "anna") as a, login(shared, "anna") as idling, login(shared, "bert") as b:
        idling.send("i IDLE\r\n")
        idling.line()
        assert shared.ctl("kick", "anna") == "2 sessions ended\n"
        began = time.monotonic()
        assert a.line() == b"* BYE [UNAVAILABLE] Ended by the administrator" and a.line() == b""
        assert idling.line() == b"* BYE [UNAVAILABLE] Ended by the administrator" and idling.line() == b""
        assert time.monotonic() - began < AT_ONCE_S
        b.cmd("NOOP")
        row, = who(shared, "bert")
        assert json.loads(shared.ctl("kick", "--json", "--session", row["session"])) == {"ended": 1}
        assert b.line().startswith(b"* BYE ")
    wait_for_nobody(shared)
    assert shared.ctl("kick", "anna") == "0 sessions ended\n"
    with shared.raw("imap") as c, shared.raw("pop3") as p, shared.raw("lmtp") as m:
        for x in (c, p, m):
            x.line()
        assert shared.ctl("kick", "--peer", "127.0.0.1") == "3 sessions ended\n"
        assert c.line().startswith(b"* BYE ")
        assert p.line().startswith(b"-ERR [SYS/TEMP] ")
        assert m.line().startswith(b"421 4.3.2 ")


def test_kick_during_a_handshake(shared):
    wait_for_nobody(shared)
    with shared.raw("imaps") as c:
        c.send(b"\x16\x03")
        wait_until(lambda: len(who(shared, "--all")) == 1)
        assert shared.ctl("kick", "--peer", "127.0.0.1") == "1 session ended\n"
        assert c.line() == b""


def test_a_kicked_pop3_session_deletes_nothing(shared):
    shared.deliver("bert", "Subject: stays\r\n\r\nstays\r\n")
    with shared.raw("pop3") as c:
        c.line()
        for command in ("USER bert", "PASS bert-secret", "DELE 1"):
            c.send(command + "\r\n")
            assert c.line().startswith(b"+OK")
        shared.ctl("kick", "bert")
        assert b"nothing was deleted" in c.line()
    pop = shared.pop("bert")
    assert pop.stat()[0] == 1
    pop.quit()


@pytest.mark.parametrize("words, status, text", [
    (["kick"], 2, "whose sessions?"),
    (["kick", "nobody"], 1, "no such account"),
    (["kick", "--session", "77"], 1, "no such session"),
    (["kick", "--session", "x"], 2, "not the id of a session"),
    (["kick", "--peer", "10.0.0.1/8"], 2, "not a network"),
    (["who", "nobody"], 1, "no such account"),
])
def test_mistakes(shared, words, status, text):
    _, out, err = shared.ctl_raw(["-c", shared.conf] + words, expect=status)
    assert text in err and out == "", (out, err)


def test_a_stopped_server():
    with Server() as s:
        for verb in (["who"], ["kick", "anna"]):
            _, out, err = s.ctl_raw(["-c", s.conf] + verb, expect=1)
            assert "restanted is not running" in err and out == "", (out, err)


def test_connections_of_an_account():
    with Server({"anna": "anna-secret", "bert": "bert-secret"},
                lambda t: set_limit(t, "max_connections_per_account", 2)) as s:
        s.start()
        a, b = login(s, "anna"), login(s, "anna")
        with s.raw("imap") as c:
            c.line()
            c.cmd("LOGIN anna anna-secret", b"NO [LIMIT]")
            c.cmd("LOGIN anna wrong", b"NO [AUTHENTICATIONFAILED]")
            c.cmd("LOGIN bert bert-secret")
        with s.raw("pop3") as c:
            c.line()
            c.send("USER anna\r\nPASS anna-secret\r\n")
            c.line()
            assert c.line().startswith(b"-ERR [IN-USE]")
            a.cmd("UNAUTHENTICATE")
            c.send("USER anna\r\nPASS anna-secret\r\n")
            c.line()
            assert c.line().startswith(b"+OK")
        line, = (x for x in s.log().splitlines() if "ev=auth.limit" in x and "proto=imap" in x)
        assert " level=warn " in line and "user=anna" in line
        a.close()
        b.close()


def with_lmtps(text):
    return text + "\n[listen lmtps]\nprotocol = lmtps\nport = %d\n" % free_port()


def raw_tls(s, listener):
    if listener == "lmtps":
        with open(s.conf) as f:
            c = Raw(int(re.search(r"protocol = lmtps\nport = ([0-9]+)", f.read())[1]))
    else:
        c = s.raw(listener)
    c.sock = s.tls().wrap_socket(c.sock)
    return c


@pytest.mark.parametrize("key", ["max_connections", "max_connections_per_ip"])
def test_one_too_many_is_told_so(key):
    """In words that clients and MTAs take for "later", also in TLS; and nothing that they say is heard."""
    with Server({"anna": "anna-secret"}, lambda t: with_lmtps(set_limit(t, key, 2))) as s:
        s.start()
        with login(s, "anna") as old, s.raw("imap") as other:
            other.line()
            for listener, told in (("imap", b"* BYE [UNAVAILABLE] "), ("pop3", b"-ERR [SYS/TEMP] "), ("lmtp", b"421 4.3.2 ")):
                text = told + b"Too many connections (%s)" % key.encode()
                with s.raw(listener) as c:
                    assert c.line() == text, listener
                    assert c.at_eof()
                with raw_tls(s, listener + "s") as c:
                    c.send("a LOGIN anna anna-secret\r\nLHLO x\r\nCAPA\r\n")
                    assert c.line() == text, listener
                    assert c.at_eof()
            assert s.log().count("ev=auth.ok") == 1
            old.cmd("NOOP")
            assert s.log().count("ev=server.refused why=%s" % key) >= 1
        wait_for_room(s)


def hold_input(s):
    """More than the others have left."""
    held = [s.raw("imap") for _ in range(8)]
    for c in held:
        c.line()
    for c in held:
        c.send(b"a LOGIN anna \"" + b"x" * 6000)
    wait_until(lambda: all(x["bytes_in"] > 6000 for x in who(s, "--all") if x["protocol"] == "imap" and "account" not in x))
    return held


def test_short_of_memory_is_told_so():
    """A handshake that does not go on and commands that do not end hold what clients may have before login."""
    with Server({"anna": "anna-secret"}, lambda t: set_limit(t, "login_memory", "64K")) as s:
        s.start()
        with login(s, "anna") as old, s.raw("imaps") as a:
            wait_until(lambda: len(who(s, "--all")) == 2)
            with raw_tls(s, "imaps") as c:                              # let in, and then there is no room for its handshake
                assert c.line() == b"* BYE [UNAVAILABLE] Short of memory, try again later" and c.at_eof()
            began = time.monotonic()
            with s.raw("imaps") as c:                                   # likewise, and it says nothing
                assert c.at_eof() and time.monotonic() - began < 5 + AT_ONCE_S
            b = hold_input(s)
            for listener, told in (("imap", b"* BYE [UNAVAILABLE] "), ("pop3", b"-ERR [SYS/TEMP] ")):
                for c in (s.raw(listener), raw_tls(s, listener + "s")):
                    with c:
                        assert c.line() == told + b"Short of memory, try again later", listener
                        assert c.at_eof()
            with s.raw("lmtp") as c:                                    # of the loopback: no stranger
                assert c.line().startswith(b"220")
            old.cmd("NOOP")
            for c in [a] + b:
                c.close()
            wait_for_room(s)


def test_who_is_refused_in_tls_has_few_places():
    """Who takes all of them and says nothing keeps others from being told, for seconds, and from nothing else."""
    with Server({"anna": "anna-secret"}, lambda t: set_limit(t, "max_connections", 1)) as s:
        s.start()
        with login(s, "anna") as old:
            began = time.monotonic()
            idle = [s.raw("imaps") for _ in range(16)]
            wait_until(lambda: len(who(s, "--all")) == 17)
            with s.raw("pop3s") as c:
                assert c.at_eof()
            with s.raw("pop3") as c:
                assert c.line().startswith(b"-ERR [SYS/TEMP]")
            assert s.lmtp(unix=True).noop()[0] == 250
            for c in idle:
                assert c.at_eof()
            assert 4 < time.monotonic() - began < 5 + AT_ONCE_S
            with raw_tls(s, "pop3s") as c:
                assert c.line().startswith(b"-ERR [SYS/TEMP]")
            wait_until(lambda: len(who(s, "--all")) == 1)
            old.cmd("NOOP")
        wait_for_room(s)


def test_a_crowd_that_is_refused_in_tls():
    with Server({"anna": "anna-secret"}, lambda t: set_limit(t, "max_connections", 2)) as s:
        s.start()
        with login(s, "anna") as old, login(s, "anna", "imap") as other:
            before, took, told = s.rss_kb(), [], []
            stop = threading.Event()

            def crowd():
                while len(told) < 500 and not stop.is_set():
                    try:
                        with raw_tls(s, "imaps") as c:
                            told.append(c.line())
                    except OSError:                                     # beyond those that are told
                        told.append(b"")

            threads = [threading.Thread(target=crowd) for _ in range(30)]
            for t in threads:
                t.start()
            while any(t.is_alive() for t in threads):
                began = time.monotonic()
                old.cmd("NOOP")
                took.append(time.monotonic() - began)
                time.sleep(0.01)
            stop.set()
            assert set(told) <= {b"", b"* BYE [UNAVAILABLE] Too many connections (max_connections)"}
            assert sum(x != b"" for x in told) > 50, len(told)
            assert statistics.median(took) < 0.1 * s.memory_slack(), statistics.median(took)
            assert s.rss_kb() - before < 16384 * s.memory_slack()
            assert s.log().count("ev=session.end") == 0 and s.log().count("ev=server.refused") < 100
            other.cmd("LOGOUT")
        wait_for_room(s)


def test_sockets_have_places_of_their_own():
    """A crowd on TCP keeps no MTA of this machine out, nor the other way round."""
    with Server({"anna": "anna-secret"}, lambda t: set_limit(t, "max_connections", 2)) as s:
        s.start()
        with login(s, "anna") as old, s.raw("imap") as other:
            other.line()
            with s.raw("lmtp") as c:
                assert c.line().startswith(b"421 4.3.2")
            with s.lmtp(unix=True) as a, s.lmtp(unix=True) as b:
                send(a, "anna", "Subject: comes\r\n\r\nin\r\n")
                assert b.noop()[0] == 250
                with pytest.raises(smtplib.SMTPConnectError) as e:
                    s.lmtp(unix=True)
                assert e.value.smtp_code == 421
                other.close()
                wait_for_room(s)
            assert b"* 1 EXISTS" in old.cmd("SELECT INBOX")


@pytest.mark.skipif(os.geteuid() != 0, reason="lowers a limit of another process")
def test_no_descriptors_left():
    """Whoever comes then is told so and not left hanging; nobody else notices, and the server does not spin."""
    with Server({"anna": "anna-secret"}, lambda t: t.replace("[server]\n", "[server]\nreactors = 1\n")) as s:
        s.start()
        pid = s.server_pid()
        with login(s, "anna") as old:
            open_now = max(int(x) for x in os.listdir("/proc/%d/fd" % pid)) + 1
            was = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now + 6, was[1]))
            crowd = [s.raw("imap") for _ in range(24)]
            greeted = refused = 0
            for c in crowd:
                line = c.line()
                greeted += line.startswith(b"* OK")
                refused += line == b"* BYE [UNAVAILABLE] Too many connections (no descriptors left)" and c.at_eof()
            assert 1 <= greeted <= 6 and refused == 24 - greeted
            assert " why=\"accept failed\" os=\"Too many open files\"" in s.log()
            began = s.cpu_seconds()
            for _ in range(20):
                old.cmd("NOOP")
                time.sleep(0.05)
            assert s.cpu_seconds() - began < 0.5
            for c in crowd:
                c.close()
            resource.prlimit(pid, resource.RLIMIT_NOFILE, was)
            wait_for_room(s)


@pytest.mark.parametrize("listener, bytes_", [("imap", b"a LOGIN anna anna-secret" * 9), ("imap", b"a NOOP\r\n" * 99),
                                              ("pop3", b"USER anna" * 20), ("pop3", b"CAPA\r\n" * 99),
                                              ("imaps", b"\x16\x03\x01\x02\x00" * 30)])
def test_a_byte_now_and_then_gains_no_time_to_log_in(listener, bytes_):
    with Server({"anna": "anna-secret"}, lambda t: set_limit(set_limit(t, "auth_timeout", "2s"),
                                                             "handshake_timeout", "2s")) as s:
        s.start()
        began = time.monotonic()
        with s.raw(listener) as c:
            c.sock.settimeout(0.2)
            for i in range(100):
                try:
                    c.send(bytes_[i:i + 1])
                    while c.sock.recv(4096):
                        pass
                    break
                except TimeoutError:
                    continue
                except OSError:
                    break
            else:
                raise AssertionError("it is still heard")
            assert time.monotonic() - began > 1.5
