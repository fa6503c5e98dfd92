"""The whole path: mail comes in over LMTP and is read over IMAP and POP3."""

import glob
import os

import pytest

from harness import Server, fetch_all, message, strip_trace

DEMO = os.path.join(os.path.dirname(__file__), "..", "demo-mail")


def crlf(data):
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def demo_mail():
    files = sorted(glob.glob(os.path.join(DEMO, "*.eml")))
    assert len(files) >= 6
    return files


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_lmtp_to_imap_and_pop3(server, tls):
    text = message("first light")
    server.deliver("anna@example.org", text)
    with server.imap("anna", tls=tls) as c:
        mails = fetch_all(c)
        assert list(mails) == [1]
        assert strip_trace(mails[1][1]) == text.encode()
    p = server.pop("anna", tls=tls)
    assert p.stat()[0] == 1
    got = b"\r\n".join(p.retr(1)[1]) + b"\r\n"
    p.quit()
    assert got == mails[1][1]


def test_unix_socket(server):
    with server.lmtp(unix=True) as c:
        c.sendmail("a@example.org", ["anna"], message("over the unix socket"))
    with server.imap("anna") as c:
        assert len(fetch_all(c)) == 1


@pytest.mark.parametrize("path", demo_mail(), ids=os.path.basename)
def test_demo_mail_is_exact(shared, path):
    with open(path, "rb") as f:
        data = crlf(f.read())
    user = "u-" + os.path.basename(path).split(".")[0]
    shared.add_user(user)
    with shared.lmtp() as c:
        c.sendmail("a@example.org", [user], data, mail_options=["BODY=8BITMIME"])
    with shared.imap(user) as c:
        (flags, got), = fetch_all(c).values()
        assert strip_trace(got) == data
        typ, rows = c.fetch("1", "(FLAGS UID INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)")
        assert typ == "OK"
    p = shared.pop(user, tls=True, utf8=True)
    popped = b"\r\n".join(p.retr(1)[1]) + b"\r\n"
    p.quit()
    assert popped.replace(b"\x80", b"\x00") == got or popped == got


@pytest.mark.parametrize("path", demo_mail(), ids=os.path.basename)
def test_demo_mail_in_ascii(shared, path):
    """Without UTF8 headers are ASCII, and what was ASCII is exact."""
    with open(path, "rb") as f:
        data = crlf(f.read())
    user = "a-" + os.path.basename(path).split(".")[0]
    shared.add_user(user)
    with shared.lmtp() as c:
        c.sendmail("a@example.org", [user], data, mail_options=["BODY=8BITMIME"])
    p = shared.pop(user)
    popped = strip_trace(b"\r\n".join(p.retr(1)[1]) + b"\r\n")
    p.quit()
    head, end, body = data.partition(b"\r\n\r\n")
    assert popped.partition(b"\r\n\r\n")[0].isascii()
    if head.isascii():
        assert popped.replace(b"\x80", b"\x00") == data.replace(b"\x80", b"\x00")
    else:
        assert popped.endswith(end + body)


def test_mail_moves_over_pop3_as_it_is(server):
    """restantectl import asks for originals, so headers in UTF-8 come as they are, and unique-ids come along."""
    for path in demo_mail():
        with open(path, "rb") as f:
            data = crlf(f.read())
        with server.lmtp() as c:
            c.sendmail("a@example.org", ["anna"], data, mail_options=["BODY=8BITMIME"])
    with Server({"anna": "anna-secret"}) as other:
        other.start()
        _, out, err = other.ctl_raw(["-c", other.conf, "import", "--no-tls", "--keep-uidl", "anna",
                                     "pop://anna@127.0.0.1:%d" % server.port("pop3")], "anna-secret\n")
        assert "%d messages imported" % len(demo_mail()) in out, out + err
        with server.imap("anna") as a, other.imap("anna") as b:
            theirs, ours = (sorted(m[1] for m in fetch_all(c).values()) for c in (a, b))
        assert theirs == ours
        uids = []
        for s in server, other:
            p = s.pop("anna")
            uids.append(p.uidl()[1])
            p.quit()
        assert uids[0] == uids[1]


def test_trace_headers(server):
    server.deliver(["anna@example.org"], message("one"), sender="from@example.org")
    server.deliver(["anna@example.org", "boris"], message("two"), sender="from@example.org")
    with server.imap("anna") as c:
        mails = [m[1] for _, m in sorted(fetch_all(c).items())]
    with server.imap("boris") as c:
        (_, other), = fetch_all(c).values()
    assert mails[0].startswith(b"Return-Path: <from@example.org>\r\n")
    head = mails[0].split(b"\r\n\r\n")[0]
    assert b"with LMTP" in head
    assert other == mails[1], "one blob for all recipients of a transaction"
    assert b"for <" not in mails[1].split(b"Subject:")[0]
    assert b"boris" not in mails[1] and b"Delivered-To" not in mails[1]


def test_survives_restart_and_lost_index(server):
    for i in range(5):
        server.deliver(["anna", "boris"], message("mail %d" % i))
    with server.imap("anna") as c:
        c.select()
        c.store("2", "+FLAGS", "(\\Seen $Label)")
        c.store("4", "+FLAGS", "(\\Deleted)")
        c.expunge()
        before = fetch_all(c)
    server.stop()
    server.start()
    with server.imap("anna") as c:
        assert fetch_all(c) == before
    server.stop()
    for root, _, files in os.walk(os.path.join(server.dir, "volumes")):
        for name in files:
            if name.startswith("index.db"):
                os.unlink(os.path.join(root, name))
    server.start()
    with server.imap("anna") as c:
        assert fetch_all(c) == before


def test_a_second_daemon_is_refused(server):
    import subprocess
    from harness import RESTANTED, wrap
    r = subprocess.run(wrap([RESTANTED, "-c", server.conf]), capture_output=True, timeout=60)
    assert r.returncode in (1, 2)
    assert server.log().count("ev=server.ready") == 1


def test_messages_of_many_sizes():
    with Server({"anna": "x-secret"}) as s:
        s.start()
        sizes = [0, 1000, 65000, 70000, 200000, 1500000, 6000000]
        texts = [message("size %d" % n, size=n).encode() for n in sizes]
        with s.lmtp() as c:
            for t in texts:
                c.sendmail("a@example.org", ["anna"], t)
        with s.imap("anna", tls=True) as c:
            got = [m[1] for _, m in sorted(fetch_all(c).items())]
        assert [strip_trace(g) for g in got] == texts
