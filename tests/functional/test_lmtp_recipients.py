"""Who gets the mail for an address, in which mailbox, and for whom an MTA speaks: aliases, details, junk, XFORWARD, AUTH."""

import base64
import re
import subprocess
import time

import pytest

from clients import need
from harness import PATIENCE_S, Server, fetch_all, message
from lmtp_client import begin, chunk, configured, delivered, say, subjects, write_aliases


@pytest.fixture(scope="module")
def post():
    """Aliases, catch-alls, a postmaster, mailboxes made by mail, and junk."""
    conf = configured(aliases="aliases", catch_all="one.example=anna, two.example = boris+strays", postmaster="boris",
                      create_detail="yes", create_detail_limit="12",
                      junk_headers="X-Spam-Flag: YES, X-Spam-Status: Yes*, X-Virus")
    s = Server({"anna": "x-secret", "boris": "x-secret", "carla": "x-secret", "anna@three.example": "x-secret"}, conf_edit=conf)
    write_aliases(s, """
# of the test
team:             anna,\tboris+Projects
sales@example.org: anna,
                   carla
Anna@two.example: carla
gone: dora, eva
half: dora, carla
@all.example: carla+every
""")
    with s:
        s.start()
        with s.imap("boris") as c:
            c.create("projects")
            c.create("strays")
        yield s


@pytest.mark.parametrize("rcpt,where", [
    ("team", "anna/INBOX boris/projects"), ("TEAM@any.example", "anna/INBOX boris/projects"),
    ("sales@example.org", "anna/INBOX carla/INBOX"), ("sales@example.com", "550 5.1.1"), ("sales", "550 5.1.1"),
    ("anna@two.example", "carla/INBOX"), ("anna@one.example", "anna/INBOX"), ("anna@three.example", "anna@three.example/INBOX"),
    ("anyone@one.example", "anna/INBOX"), ("anyone@Two.Example", "boris/strays"), ("anyone@example.com", "550 5.1.1"),
    ("anyone@all.example", "carla/every"), ("gone", "550 5.1.1"), ("half", "carla/INBOX"), ("postmaster", "boris/INBOX"),
    ("PostMaster@example.com", "boris/INBOX"), ("postmaster+x@one.example", "boris/INBOX"), ("team+x@example.com", "anna/x boris/projects"),
])
def test_who_gets_it(post, rcpt, where):
    subject = "for %s %d" % (rcpt, id(where))
    with post.raw("lmtp") as c:
        begin(c)
        if where.startswith("5"):
            say(c, "RCPT TO:<%s>" % rcpt, where)
            return
        say(c, "RCPT TO:<%s>" % rcpt, "250 2.1.5")
        say(c, "DATA", "354")
        c.send(message(subject) + ".\r\n")
        assert c.reply().startswith(b"250 2.0.0")
        say(c, "NOOP", "250")
    for place in where.split():
        assert subject in subjects(post, *place.split("/")), place


def test_an_alias_is_all_or_none():
    """A full account keeps the message from the others, at RCPT and when it fills up behind it."""
    with Server({n: "x-secret" for n in ("anna", "boris", "carla")}, conf_edit=configured(aliases="aliases")) as s:
        write_aliases(s, "both: anna, boris\n")
        s.start()
        s.ctl("quota", "set", "boris", "5000")
        with s.raw("lmtp") as c:
            begin(c, "both", "carla", "anna")
            say(c, "DATA", "354")
            c.send(message("large", size=9000) + ".\r\n")
            assert [c.reply()[:9] for _ in range(3)] == [b"452 4.2.2", b"250 2.0.0", b"452 4.2.2"]
            begin(c, "both", "carla", lhlo=False)
            say(c, "DATA", "354")
            c.send(message("small") + ".\r\n")
            assert [c.reply()[:9] for _ in range(2)] == [b"250 2.0.0"] * 2
            s.ctl("quota", "set", "boris", "1")
            say(c, "MAIL FROM:<a@b.example>", "250")
            say(c, "RCPT TO:<both>", "452 4.2.2")
        assert [subjects(s, n) for n in ("anna", "boris", "carla")] == [["small"], ["small"], ["large", "small"]]


def test_aliases_are_read_again_when_they_change():
    with Server({"anna": "x-secret", "boris": "x-secret"}, conf_edit=configured(aliases="aliases")) as s:
        with pytest.raises(RuntimeError, match="aliases"):
            s.start()
        write_aliases(s, "one: anna\n")
        s.start()

        def rcpt(name, expect):
            deadline = time.monotonic() + PATIENCE_S
            while True:
                with s.raw("lmtp") as c:
                    begin(c)
                    c.send("RCPT TO:<%s>\r\n" % name)
                    if c.reply().startswith(expect):
                        return
                assert time.monotonic() < deadline, s.log()
                time.sleep(0.1)

        rcpt("one", b"250")
        write_aliases(s, "two: boris\n")
        rcpt("two", b"250")
        rcpt("one", b"550")
        write_aliases(s, "two: boris\nthree: /etc/passwd\n")
        while "ev=aliases.failed" not in s.log():
            rcpt("two", b"250")
        assert re.search(r"level=error ev=aliases.failed .*aliases:2: no account of this server: /etc/passwd", s.log())
        rcpt("two", b"250")
        assert s.log().count("ev=aliases.failed") == 1


def test_mail_makes_mailboxes_within_bounds(post):
    """None for who only asks, none that is called as a special one, a limited number."""
    post.add_user("maker")
    with post.raw("lmtp") as c:
        begin(c, "maker+asked/for")
    for i, (detail, box) in enumerate([
            ("lists/dev", "lists/dev"), ("LISTS/dev", "lists/dev"), ("a/b/c/d", "INBOX"), ("Trash", "Trash"),
            ("trash/x", "INBOX"), ("important", "INBOX"), ("inbox/x", "INBOX"), ("/x", "INBOX"), ("x//y", "INBOX"),
            ("x" * 65, "INBOX"), ("50%", "INBOX"), ("b\u00fccher", "b\u00fccher")]):
        with post.raw("lmtp") as c:
            begin(c, params=" SMTPUTF8")
            say(c, "RCPT TO:<maker+%s@example.org>" % detail, "250")
            say(c, "DATA", "354")
            c.send(message("m%d" % i) + ".\r\n")
            assert c.reply().startswith(b"250")
        assert "m%d" % i in subjects(post, "maker", '"%s"' % box.replace("\u00fc", "&APw-")), detail
    with post.imap("maker") as c:
        names = [x.decode().rsplit(" ", 1)[1] for x in c.list()[1]]
        assert "asked" not in names and "a" not in names
        assert any(x.endswith(b" lists/dev") for x in c.lsub()[1])
    with post.raw("lmtp") as c:        # has 9; all of one transaction count
        begin(c, *["maker+n%d" % (i // 2) for i in range(20)])
        say(c, "DATA", "354")
        c.send(message("many") + ".\r\n")
        assert all(c.reply().startswith(b"250") for _ in range(20))
    with post.imap("maker") as c:
        assert len(c.list()[1]) == 12
    assert "many" in subjects(post, "maker") and "many" in subjects(post, "maker", "n2")


@pytest.mark.parametrize("header,junk", [
    ("X-Spam-Flag: YES", True), ("x-spam-flag:  yes ", True), ("X-Spam-Flag: NO", False), ("X-Spam-Flag: YES!", False),
    ("X-Spam-Status: Yes, score=7\r\n tests=A,B", True), ("X-Spam-Status: No, score=1", False), ("X-Virus:", True),
    ("X-Virus-Scanned: yes", False), ("X-Spam-Flag:\r\n YES", True), ("X: 1\r\n\r\nX-Spam-Flag: YES", False),
])
def test_junk(post, header, junk):
    user = "junk%x" % (hash(header) & 0xFFFFFFFF)
    post.add_user(user)
    text = "Subject: filtered\r\n%s\r\n\r\nbody\r\n" % header
    post.deliver([user], text)
    post.deliver([user + "+lists"], text)
    assert subjects(post, user, "Junk") == ["filtered"] * junk
    assert subjects(post, user) == ["filtered"] * (not junk)
    assert subjects(post, user, "lists") == ["filtered"]


# -- XCLIENT, XFORWARD, AUTH --


def test_xforward_is_for_one_message(shared):
    shared.add_user("forwarded")
    with shared.raw("lmtp") as c:
        c.reply()
        c.send("LHLO x\r\n")
        assert b"250-XFORWARD NAME ADDR PORT PROTO HELO IDENT SOURCE" in c.reply()
        say(c, "XFORWARD NAME=mx.example.net ADDR=IPV6:2001:db8::5 PROTO=ESMTP HELO=a+20b", "250")
        say(c, "XFORWARD IDENT=4WqB1 SOURCE=REMOTE", "250")
        for i in range(2):
            begin(c, "forwarded", lhlo=False)
            say(c, "DATA", "354")
            c.send(message("m%d" % i) + ".\r\n")
            assert c.reply().startswith(b"250")
        say(c, "XFORWARD IDENT=4WqB2", "250")
        c.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<nobody>\r\nBDAT 1 LAST\r\nx")
        assert [c.reply()[:3] for _ in range(2)] == [b"250", b"550"]
        begin(c, "forwarded", lhlo=False)
        chunk(c, message("m2"), last=True)
        assert c.reply().startswith(b"250")
    first, second, third = delivered(shared, "forwarded")
    assert " queue_id=4WqB1 client=2001:db8::5 client_name=mx.example.net " in first
    assert "queue_id" not in second and "client" not in second
    assert "queue_id" not in third


def test_xclient_is_who_the_trace_names(shared):
    shared.add_user("proxied")
    with shared.raw("lmtp") as c:
        c.reply()
        say(c, "LHLO proxy", "250")
        say(c, "XCLIENT NAME=client.example ADDR=198.51.100.7 LOGIN=joe", "220")
        say(c, "LHLO client.example", "250")
        begin(c, "proxied@example.org", lhlo=False)
        say(c, "DATA", "354")
        c.send(message("proxied") + ".\r\n")
        assert c.reply().startswith(b"250")
    with shared.imap("proxied") as c:
        (_, data), = fetch_all(c).values()
    assert b"\r\nReceived: from client.example (client.example [198.51.100.7])\r\n" in data
    assert " client=198.51.100.7 client_name=client.example client_login=joe " in delivered(shared, "proxied")[0]


def test_swaks_delivers_with_auth():
    with Server({"anna": "x-secret", "mta": "mta-secret"}, conf_edit=configured(auth_accounts="mta")) as s:
        s.start()

        def swaks(*argv):
            r = subprocess.run([need("swaks", "swaks"), "--protocol", "LMTP", "--server", "127.0.0.1", "--port", str(s.port("lmtp")), "--to",
                                "anna@example.org", "--from", "a@b.example", "--ehlo", "mta.example", "-n"] + list(argv),
                               capture_output=True, timeout=60)
            return r.returncode, r.stdout.decode()

        code, out = swaks("--pipeline")
        assert code == 0 and "250-CHUNKING" in out, out
        code, out = swaks("--auth", "PLAIN", "--auth-user", "mta", "--auth-password", "mta-secret")
        assert code == 0 and "235 2.7.0" in out, out
        code, out = swaks("--auth", "LOGIN", "--auth-user", "mta", "--auth-password", "mta-secret")
        assert code == 0 and "235 2.7.0" in out, out
        code, out = swaks("--auth", "PLAIN", "--auth-user", "mta", "--auth-password", "wrong")
        assert code != 0 and "535 5.7.8" in out, out
        code, out = swaks("--auth", "PLAIN", "--auth-user", "anna", "--auth-password", "x-secret")
        assert code != 0 and "535 5.7.8" in out, out
        with s.imap("anna") as c:
            traces = sorted(re.search(rb"\n\tby \S+ with (\S+) id", d).group(1) for _, d in fetch_all(c).values())
        assert traces == [b"LMTP", b"LMTPA", b"LMTPA"]


def test_app_passwords_for_lmtp():
    """One that is for lmtp lets an MTA deliver; one for submission or imap does not."""
    with Server({"mta": "mta-secret"}, conf_edit=configured(auth_accounts="mta")) as s:
        s.start()
        for only, answer in (("lmtp", b"235 "), ("imap,lmtp", b"235 "), ("submission", b"535 "), ("imap,pop3", b"535 ")):
            app = s.ctl("user", "app-password", "add", "--only", only, "mta", only.replace(",", "-")).strip()
            with s.raw("lmtp") as c:
                c.line()
                c.send(b"LHLO x\r\n")
                while not c.line().startswith(b"250 "):
                    pass
                c.send(b"AUTH PLAIN " + base64.b64encode(b"\0mta\0" + app.encode()) + b"\r\n")
                assert c.line().startswith(answer), only


def test_who_had_mail_a_moment_ago_is_asked_for_anew_when_he_changes():
    """At once, on the same connection: a lock, a quota, another INBOX, another name."""
    with Server({"anna": "x-secret", "boris": "x-secret"}) as s:
        s.start()
        with s.raw("lmtp") as c:
            begin(c, *["anna"] * 3)
            say(c, "RSET", "250")
            s.ctl("user", "lock", "anna")
            begin(c, lhlo=False)
            say(c, "RCPT TO:<anna>", "550 5.2.1")
            s.ctl("user", "unlock", "anna")
            say(c, "RCPT TO:<anna>", "250")
            say(c, "RCPT TO:<anna>", "250")
            with s.imap("anna") as i:
                i.rename("INBOX", "old")
            say(c, "RCPT TO:<anna>", "250")
            say(c, "RSET", "250")
            begin(c, "anna", lhlo=False)
            say(c, "DATA", "354")
            c.send(message("new") + ".\r\n")
            assert c.reply().startswith(b"250 2.0.0")
            assert subjects(s, "anna") == ["new"]
            begin(c, "anna", lhlo=False)
            s.ctl("quota", "set", "anna", "1")
            say(c, "RCPT TO:<anna>", "452 4.2.2")
            s.ctl("user", "rename", "anna", "carla")
            say(c, "RCPT TO:<anna>", "550 5.1.1")
