"""Deliveries that come again, as our reply was lost."""

import os
import re
import time

import pytest

from harness import PATIENCE_S, Server, message
from lmtp_client import begin, chunk, configured, count, delivered, say, talk


def wait_for(server, what, times):
    deadline = time.monotonic() + PATIENCE_S
    while server.log().count(what) < times:
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.02)


def lose_reply(server, rcpt, text, ident=None):
    """The message is delivered, but its client never reads so; its session is over when this returns."""
    done = len(delivered(server, rcpt))
    with server.raw("lmtp") as c:
        talk(c, rcpt, text, ident)
        wait_for(server, " account=%s " % rcpt, done + 1)
    sid = re.search(r" sid=(\S+)", delivered(server, rcpt)[done]).group(1)
    wait_for(server, "ev=session.end sid=%s " % sid, 1)


def test_lost_reply_then_again_is_one_message(shared):
    shared.add_user("again")
    text = message("again")
    lose_reply(shared, "again", text)
    for turn in ("before", None):
        with shared.raw("lmtp") as c:
            talk(c, "again", text)
            assert (b"Delivered before, id" in c.reply()) == (turn is not None)
            say(c, "QUIT", "221")
        # Now the client has read it: an equal message is another one.
        assert count(shared, "again") == (1 if turn else 2)
    assert shared.log().count("ev=lmtp.duplicate") >= 1


def test_confirmed_deliveries_of_equal_octets_are_two(shared):
    """In one session and in several; also of who reads one reply and says QUIT; over BDAT."""
    shared.add_user("twice")
    shared.add_user("twice2")
    text = message("twice")
    with shared.raw("lmtp") as c:
        talk(c, "twice", text)
        assert b"Delivered, id" in c.reply()
        talk(c, "twice", text, hello=False)
        assert b"Delivered, id" in c.reply()
        say(c, "QUIT", "221")
    for _ in range(2):
        with shared.raw("lmtp") as c:
            talk(c, ["twice", "twice2"], text)
            assert b"Delivered, id" in c.reply()        # one of two
            c.send("QUIT\r\n")
            assert c.reply().startswith(b"250") and c.reply().startswith(b"221")
    for _ in range(2):
        with shared.raw("lmtp") as c:
            begin(c, "twice")
            chunk(c, text, last=True)
            assert b"Delivered, id" in c.reply()
            say(c, "NOOP", "250")
    assert count(shared, "twice") == 6 and count(shared, "twice2") == 2


def test_what_was_sent_before_the_reply_confirms_nothing(shared):
    """A QUIT pipelined behind the dot does not show that the reply arrived."""
    shared.add_user("pipelined")
    text = message("pipelined")
    with shared.raw("lmtp") as c:
        c.reply()
        c.send("LHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<pipelined>\r\nDATA\r\n")
        assert [c.reply()[:3] for _ in range(4)] == [b"250", b"250", b"250", b"354"]
        c.send(text + ".\r\nQUIT\r\n")
        wait_for(shared, " account=pipelined ", 1)
    sid = re.search(r" sid=(\S+)", delivered(shared, "pipelined")[0]).group(1)
    wait_for(shared, "ev=session.end sid=%s " % sid, 1)
    with shared.raw("lmtp") as c:
        talk(c, "pipelined", text)
        assert b"Delivered before" in c.reply()
    assert count(shared, "pipelined") == 1


def test_a_session_that_is_alive_is_no_retry(shared):
    shared.add_user("alive")
    text = message("alive")
    with shared.raw("lmtp") as first, shared.raw("lmtp") as second:
        talk(first, "alive", text)
        assert b"Delivered, id" in first.reply()
        talk(second, "alive", text)
        assert b"Delivered, id" in second.reply()
    assert count(shared, "alive") == 2


@pytest.mark.parametrize("other", ["ident", "sender", "octets", "rcpt"])
def test_another_key_is_another_message(shared, other):
    user, second = "key" + other, "key%s2" % other
    shared.add_user(user)
    shared.add_user(second)
    text = message("keys")
    lose_reply(shared, user, text, ident="4Wq1")
    with shared.raw("lmtp") as c:
        c.reply()
        say(c, "LHLO x", "250")
        say(c, "XFORWARD IDENT=" + ("4Wq2" if other == "ident" else "4Wq1"), "250")
        say(c, "MAIL FROM:<%s@b.example>" % ("b" if other == "sender" else "a"), "250")
        say(c, "RCPT TO:<%s>" % (second if other == "rcpt" else user), "250")
        say(c, "DATA", "354")
        c.send(text + ("more\r\n" if other == "octets" else "") + ".\r\n")
        assert b"Delivered, id" in c.reply()
    assert count(shared, user) == (1 if other == "rcpt" else 2)
    lose_reply(shared, second, text, ident="5Wq1")
    with shared.raw("lmtp") as c:
        talk(c, second, text, ident="5Wq1")
        assert b"Delivered before" in c.reply()


@pytest.mark.parametrize("wait", ["no reply", "reply read"])
def test_a_killed_server_and_the_retry_make_one_message(wait):
    """SIGKILL behind the commit: whether the reply got out or not, the client had not gone on."""
    with Server({"anna": "x-secret"}) as s:
        s.start()
        text = message("killed")
        with s.raw("lmtp") as c:
            talk(c, "anna", text, ident="4Wq1")
            if wait == "reply read":
                assert b"Delivered, id" in c.reply()
            else:
                wait_for(s, "ev=lmtp.delivered", 1)
            s.kill()
        s.start()
        with s.raw("lmtp") as c:
            talk(c, "anna", text, ident="4Wq1")
            assert b"Delivered before" in c.reply()
            say(c, "QUIT", "221")
        assert count(s, "anna") == 1
        s.stop()
        os.unlink(os.path.join(s.dir, "volumes", "v1", "index.db"))
        s.start()
        with s.raw("lmtp") as c:
            talk(c, "anna", text, ident="4Wq1")
            assert b"Delivered, id" in c.reply()        # confirmed before the stop
        assert count(s, "anna") == 2


def test_a_stop_keeps_what_was_confirmed():
    """What the writer still holds is written, and the next start has nothing to make up for."""
    with Server({"anna": "x-secret"}) as s:
        text = message("stopped")
        for turn in range(4):
            s.start()
            assert turn == 0 or " index=kept replayed=0 " in s.log(), s.log()
            with s.raw("lmtp") as c:
                talk(c, "anna", text)
                assert b"Delivered, id" in c.reply()
                say(c, "NOOP", "250")
                s.stop()
        s.start()
        assert count(s, "anna") == 4


def test_no_window_no_memory():
    with Server({"anna": "x-secret"}, conf_edit=configured(duplicate_window="0")) as s:
        s.start()
        text = message("twice")
        lose_reply(s, "anna", text)
        with s.raw("lmtp") as c:
            talk(c, "anna", text)
            assert b"Delivered, id" in c.reply()
        assert count(s, "anna") == 2
