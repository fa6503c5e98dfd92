"""restantectl import from imap:// and pop:// URLs: another server's mail, its certificate, cuts in the middle."""

import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

import dovecot
from harness import PATIENCE_S, RESTANTECTL, Server, message, set_limit, wrap

DATE = '"%02d-Jul-1996 02:44:25 -0700"'


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """An authority, and what it signed: for this machine, for another name, and with nothing but a common name."""
    top = tmp_path_factory.mktemp("certificates")
    os.chmod(top, 0o755)

    def openssl(*argv):
        subprocess.run(["openssl"] + list(argv), check=True, capture_output=True, cwd=top)

    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key",
            "-out", "ca.pem", "-subj", "/CN=Test authority", "-days", "3650")
    for name, subject, san in [("good", "/CN=x", "DNS:localhost,IP:127.0.0.1"), ("wrong", "/CN=localhost", "DNS:mail.example.org"),
                               ("common", "/CN=localhost", None)]:
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", name + ".key",
                "-out", name + ".csr", "-subj", subject)
        with open(top / "ext", "w") as f:
            f.write("basicConstraints = CA:FALSE\n" + ("subjectAltName = %s\n" % san if san else ""))
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days",
                "3650", "-extfile", "ext", "-out", name + ".pem")
    return top


@pytest.fixture(scope="module")
def there(certificates):
    """The server that mail comes from."""
    users = {"anna": "her secret", "bert": "his \"secret\""}
    tls = (str(certificates / "good.pem"), str(certificates / "good.key"))
    with dovecot.Dovecot(users, {"admin": "master key"}, tls) as d:
        fill(d)
        yield d


@pytest.fixture
def here():
    with Server({"anna": "x", "bert": "x"}) as s:
        yield s.start()


def fill(d):
    c = d.imap("anna")
    for box in ["INBOX.Sent", "INBOX.Entw&APw-rfe", "INBOX.a.b"]:
        c.create(box)
        c.subscribe(box)
    c.unsubscribe("INBOX.a.b")
    for n in range(1, 31):
        flags = ["\\Seen", "\\Flagged \\Answered $Work", "Junk", ""][n % 4]
        c.append("INBOX", "(%s)" % flags, DATE % n, message("message %d" % n, "..\r\n.\r\n" * n).encode())
    c.append("INBOX.Sent", "(\\Seen)", DATE % 3, message("sent", size=3 << 20).encode())
    c.append("INBOX.a.b", "", DATE % 4, message("deep", "bare\nline\r\n\0 nul").encode().replace(b"\0 ", b""))
    c.append("INBOX.Entw&APw-rfe", "(\\Draft)", DATE % 5, b"Subject: no text\r\n\r\n")
    c.select("INBOX")
    c.store("3:5,9", "+FLAGS", "\\Deleted")
    c.expunge()
    c.logout()


def fetched(c, box):
    """{uid: (flags, day, date, text)} of a mailbox, and its UIDVALIDITY and UIDNEXT."""
    assert c.select('"%s"' % box, readonly=True)[0] == "OK", box
    status = c.status('"%s"' % box, "(UIDVALIDITY UIDNEXT)")[1][0]
    out = {}
    for part in c.uid("fetch", "1:*", "(FLAGS INTERNALDATE BODY.PEEK[])")[1] or []:
        if not isinstance(part, tuple):
            continue
        uid = int(re.search(rb"UID (\d+)", part[0]).group(1))
        flags = re.search(rb"FLAGS \((.*?)\)", part[0]).group(1).split()
        date = re.search(rb'INTERNALDATE " ?(\d+)(.*?)"', part[0])
        out[uid] = (sorted(f for f in flags if f != b"\\Recent"), int(date.group(1)), date.group(2), part[1])
    return out, dict(re.findall(rb"(UID\w+) (\d+)", status))


def url(d, scheme, user, path=""):
    return "%s://%s@127.0.0.1:%d%s" % (scheme, user, d.ports[{"pop": "pop3", "pops": "pop3s"}.get(scheme, scheme)], path)


def run(here, *argv, password="her secret", expect=0):
    """stdout and stderr of restantectl import."""
    code, out, err = here.ctl_raw(["-c", here.conf, "import"] + list(argv), password + "\n", expect)
    return out, err


def same(there, here, names, keep_uids=True):
    a, b = there.imap("anna"), here.imap("anna")
    for theirs, ours in names:
        want, have = fetched(a, theirs), fetched(b, ours)
        if keep_uids:
            assert want == have, theirs
        else:
            assert list(want[0].values()) == list(have[0].values()), theirs
    a.logout()
    b.logout()


NAMES = [("INBOX", "INBOX"), ("INBOX.Sent", "Sent"), ("INBOX.Entw&APw-rfe", "Entw&APw-rfe"), ("INBOX.a.b", "a/b")]


def test_all_of_dovecot_with_its_uids(there, here, certificates):
    out, err = run(here, "--keep-uids", "--ca-file", str(certificates / "ca.pem"), "anna", url(there, "imaps", "anna"))
    assert "29 messages imported" in out, out + err
    same(there, here, NAMES)
    c = here.imap("anna")
    listed = c.lsub()[1]
    assert any(b"Entw&APw-rfe" in line for line in listed) and not any(b"a/b" in line for line in listed)
    # Again: nothing comes twice.
    out, err = run(here, "--keep-uids", "--ca-file", str(certificates / "ca.pem"), "anna", url(there, "imaps", "anna"))
    assert "0 messages imported" in out and "29 were there" in out, out + err
    same(there, here, NAMES)
    c.logout()


ODD_NAMES = ["a.b", " lead", "trail ", 'quo"te', "back\\slash", "per%cent", "st*ar", "amp&-ersand", "INBOX/child/deep",
             "foo/INBOX", "Inbox2", "Entw&APw-rfe/x.y", "&2D3eAA-", "br{ace}", "(paren)", "[br]", "#hash", "{5}", "NIL",
             "semi;colon", "q?mark", "cur", "d/" * 15 + "end"]
ODD_FLAGS = ["$Forwarded NonJunk", "\\Seen a[b", "\\Draft $MDNSent", "", "\\Deleted \\Flagged x.y:z/w"]
ODD_DATES = ["01-Jan-2020 00:00:00 +1300", " 2-Feb-2021 23:59:59 -1200", "29-Feb-2024 12:00:00 +0545",
             "01-Jan-1970 00:00:01 +0000", "01-Jan-1971 00:00:00 +1400"]


def test_odd_names_keywords_and_dates(here):
    def quoted(name):
        return name.replace("\\", "\\\\").replace('"', '\\"')

    with dovecot.Dovecot({"anna": "her secret"}, slashes=True) as d:
        c = d.imap("anna")
        for n, name in enumerate(ODD_NAMES):
            assert c.create('"%s"' % quoted(name))[0] == "OK", name
            c.append('"%s"' % quoted(name), "(%s)" % ODD_FLAGS[n % 5], '"%s"' % ODD_DATES[n % 5], message("m %d" % n).encode())
        run(here, "--keep-uids", "anna", url(d, "imap", "anna"))
        ours = here.imap("anna")
        for name in ODD_NAMES:
            have = fetched(ours, quoted(name))
            assert len(have[0]) == 1 and have == fetched(c, quoted(name)), name
        # By its name in the URL, here and there the same.
        out, err = run(here, "--into", "again", "anna", url(d, "imap", "anna", "/Entw%C3%BCrfe/x.y"))
        assert "1 message imported" in out, out + err
        assert len(fetched(ours, "again/Entw&APw-rfe/x.y")[0]) == 1
        ours.logout()


def test_one_mailbox_into_a_folder(there, here):
    run(here, "--into", "Old", "anna", url(there, "imap", "anna", "/a/b"))
    same(there, here, [("INBOX.a.b", "Old/a/b")], keep_uids=False)
    out, err = run(here, "anna", url(there, "imap", "anna", "/none"), expect=1)
    assert "has no mailbox none" in err


def test_dry_run_changes_nothing(there, here):
    out, err = run(here, "--dry-run", "anna", url(there, "imap", "anna"))
    assert "29 messages" in out
    c = here.imap("anna")
    assert c.select("INBOX")[1] == [b"0"]
    c.logout()


def test_since(there, here):
    out, err = run(here, "--since", "1996-07-20", "anna", url(there, "imap", "anna"))
    assert "11 messages imported" in out, out


def test_the_source_is_not_changed(there, here):
    c = there.imap("anna")
    before = [fetched(c, box) for box, _ in NAMES]
    run(here, "anna", url(there, "imap", "anna"))
    assert before == [fetched(c, box) for box, _ in NAMES]
    c.logout()


def test_for_another_user(there, here):
    """An administrator's name and password, as for moving many accounts."""
    out, err = run(here, "--auth-user", "admin", "anna", url(there, "imap", "anna", "/INBOX"), password="master key")
    assert "26 messages imported" in out, out + err
    same(there, here, NAMES[:1], keep_uids=False)


def test_scram(there, here):
    out, err = run(here, "bert", url(there, "imap", "bert;AUTH=SCRAM-SHA-256"), password='his "secret"')
    assert "0 messages imported" in out
    for scheme in ["imap", "pop"]:
        out, err = run(here, "bert", url(there, scheme, "bert;AUTH=SCRAM-SHA-256"), expect=1)
        assert "refused" in err, err


def test_wrong_password(there, here):
    for scheme in ["imap", "pop"]:
        out, err = run(here, "anna", url(there, scheme, "anna"), password="no", expect=1)
        assert "login as anna refused" in err, err
        assert '"no"' not in err


def test_pop_with_uidls(there, here):
    out, err = run(here, "--keep-uidl", "anna", url(there, "pop", "anna"))
    assert "26 messages imported" in out, out + err
    theirs, ours = there.pop("anna"), here.pop("anna")
    assert [line.split()[1] for line in theirs.uidl()[1]] == [line.split()[1] for line in ours.uidl()[1]]
    for n in range(1, 27):
        assert theirs.retr(n)[1] == ours.retr(n)[1]
    theirs.quit()
    ours.quit()
    # The date is that of the message's Date field: these have no Received.
    c = here.imap("anna")
    assert all(m[1:3] == (3, b"-Nov-2026 10:00:00 +0100") for m in fetched(c, "INBOX")[0].values())
    c.logout()


def test_imap_with_uidls(there, here):
    """UIDs and UIDLs of one mailbox, whose POP3 makes these of those."""
    out, err = run(here, "--keep-uids", "--keep-uidl", "--uidl-format", "%08Xu%08Xv", "anna", url(there, "imap", "anna"))
    same(there, here, NAMES)
    theirs, ours = there.pop("anna"), here.pop("anna")
    assert theirs.uidl()[1] == ours.uidl()[1]
    theirs.quit()
    ours.quit()
    for wrong in ["%v", "%", "%u %v", "%99u", "x%u" + 70 * "x"]:
        assert "like %08Xu%08Xv" in run(here, "--uidl-format", wrong, "anna", url(there, "imap", "anna"), expect=2)[1]


# ---- certificates ----

def tls_error(here, certificates, name, scheme="imaps", *options):
    """What is said about a server that shows this certificate; it must not get to see a password."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ctx.load_cert_chain(certificates / (name + ".pem"), certificates / (name + ".key"))
    seen = []

    def serve(listener):
        with listener.accept()[0] as plain:
            try:
                with ctx.wrap_socket(plain, server_side=True) as s:
                    s.sendall(b"* BYE go away\r\n" if scheme == "imaps" else b"-ERR go away\r\n")
                    seen.append(s.recv(1000))
            except OSError:
                pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        err = run(here, *options, "anna", "%s://anna@localhost:%d/" % (scheme, listener.getsockname()[1]), expect=1)[1]
        thread.join()
    assert b"secret" not in b"".join(seen)
    return err


def test_certificates(here, certificates):
    ca = str(certificates / "ca.pem")
    for scheme in ["imaps", "pops"]:
        assert "go away" in tls_error(here, certificates, "good", scheme, "--ca-file", ca)
        assert "not to be trusted" in tls_error(here, certificates, "good", scheme)
        assert "hostname mismatch" in tls_error(here, certificates, "wrong", scheme, "--ca-file", ca)
        assert "hostname mismatch" in tls_error(here, certificates, "common", scheme, "--ca-file", ca)
        err = tls_error(here, certificates, "wrong", scheme, "--ca-file", ca, "--insecure")
        assert "warning: the server's certificate is taken" in err and "go away" in err


def test_starttls(there, here, certificates):
    ca = str(certificates / "ca.pem")
    for scheme in ["imap", "pop"]:
        assert "not to be trusted" in run(here, "--starttls", "anna", url(there, scheme, "anna"), expect=1)[1]
        run(here, "--starttls", "--ca-file", ca, "--dry-run", "anna", url(there, scheme, "anna"))


SAY = {"imap": (b"* OK [CAPABILITY IMAP4rev1%s] hello\r\n", b" STARTTLS", b"r1 OK go\r\n"),
       "pop": (b"+OK hello\r\n", b"STLS\r\n", b"+OK go\r\n")}


@pytest.mark.parametrize("scheme", ["imap", "pop"])
@pytest.mark.parametrize("injected", [False, True])
def test_no_tls_to_be_had(here, scheme, injected):
    """A server without TLS, and one with text behind its yes, get nothing."""
    got = []

    def serve(listener):
        greeting, offer, yes = SAY[scheme]
        offer = offer if injected else b""
        with listener.accept()[0] as s:
            s.sendall(greeting % offer if scheme == "imap" else greeting)
            if scheme == "pop":
                s.recv(100)
                s.sendall(b"+OK\r\nUSER\r\n" + offer + b".\r\n")
            got.append(s.recv(1000))
            if injected:
                s.sendall(yes + (b"* CAPABILITY X\r\n" if scheme == "imap" else b"+OK X\r\n"))
                got.append(s.recv(1000))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        err = run(here, "--starttls", "anna", "%s://anna@localhost:%d" % (scheme, listener.getsockname()[1]), expect=1)[1]
        thread.join()
    assert ("somebody has put it there" if injected else "so all would go in the clear") in err, err
    assert b"secret" not in b"".join(got)


def test_the_password_does_not_belong_into_the_url(here):
    out, err = run(here, "anna", "imap://anna:hidden@localhost", expect=2)
    assert "no password may stand there" in err and "hidden" not in err


# ---- several servers ----

def refuse_login(listener, heard):
    """An IMAP server that says NO, after a look at the password."""
    with listener.accept()[0] as s:
        s.sendall(b"* OK [CAPABILITY IMAP4rev1] hello\r\n")
        heard.append(s.recv(1000))
        s.sendall(b"r1 NO no\r\n")
        s.recv(1000)


@pytest.mark.parametrize("file", [False, True])
def test_a_password_for_each_server(there, here, file):
    """One line for each user and server, not for each URL; none gets another's."""
    sources = [url(there, "imap", "anna", "/Sent"), url(there, "imap", "anna", "/a/b")]
    heard = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        other = "imap://anna@127.0.0.1:%d/" % listener.getsockname()[1]
        argv, lines = ["anna"] + sources + [other], "her secret\nquite another\n"
        if file:
            path = os.path.join(here.top, "passwords")
            with open(path, "w") as f:
                f.write(lines)
            os.chmod(path, 0o600)
            argv, lines = ["--password-file", path] + argv, ""
        thread = threading.Thread(target=refuse_login, args=[listener, heard])
        thread.start()
        out, err = run(here, *argv, password=lines, expect=1)
        thread.join(PATIENCE_S)
    assert "login as anna refused: no" in err and "2 messages imported" in out, out + err
    assert heard == [b'r1 LOGIN "anna" "quite another"\r\n']
    same(there, here, [("INBOX.Sent", "Sent"), ("INBOX.a.b", "a/b")], keep_uids=False)


def test_a_password_too_few(there, here):
    """Nothing is begun, and the server whose password is missing sees nobody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        other = "imap://anna@127.0.0.1:%d/" % listener.getsockname()[1]
        out, err = run(here, "anna", url(there, "imap", "anna"), other, expect=2)
        assert "no password was given for anna at imap://127.0.0.1:%d:" % listener.getsockname()[1] in err, err
        # The same server under another name or user is another one.
        for more in [url(there, "imap", "bert"), url(there, "imap", "anna").replace("127.0.0.1", "localhost")]:
            assert "no password was given for" in run(here, "anna", url(there, "imap", "anna"), more, expect=2)[1]
        listener.settimeout(0.2)
        with pytest.raises(TimeoutError):
            listener.accept()
    c = here.imap("anna")
    assert c.select("INBOX")[1] == [b"0"]
    c.logout()


# ---- servers without end ----

LISTED = [(b"* OK [CAPABILITY IMAP4rev1] hello\r\n", None), (b"r1 OK [CAPABILITY IMAP4rev1] in\r\n", b"LOGIN"),
          (b"* LIST () \"/\" INBOX\r\nr2 OK x\r\n", b"LIST"), (b"r3 OK x\r\n", b"LSUB"),
          (b"* 2 EXISTS\r\nr4 OK [UIDVALIDITY 7] x\r\n", b"EXAMINE"),
          (b"* SEARCH 1 2\r\nr5 OK x\r\n", b"SEARCH"),
          (b"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 9)\r\n* 2 FETCH (UID 2 FLAGS () RFC822.SIZE 9)\r\nr6 OK x\r\n", b"FETCH")]


def play(s, steps):
    for text, command in steps:
        if command is not None:
            assert command in s.recv(1000)
        s.sendall(text)


def send_ever(s, text):
    """How much was sent until the peer had enough."""
    sent, many = 0, text * (65536 // len(text))
    try:
        while sent < 1 << 30:
            sent += s.send(many)
    except OSError:
        pass
    return sent


def endless_imap(listener, sent, played):
    with listener.accept()[0] as s:
        play(s, LISTED)
        assert b"UID FETCH 1 " in s.recv(1000)
        s.sendall(b"* 1 FETCH (UID 1 BODY[] {99999999999}\r\nSubject: endless\r\n\r\n")
        sent.append(send_ever(s, b"0123456789\r\n"))
    with listener.accept()[0] as s:
        play(s, [(t.replace(b"r4", b"r9").replace(b"r1", b"r8"), c) for t, c in LISTED[:2] + LISTED[4:5]])
        play(s, [(b"* 2 FETCH (UID 2 BODY[] {9}\r\nA: b\r\n\r\nx)\r\nr10 OK x\r\n", b"UID FETCH 2 ")])
        s.recv(1000)
    played.append(True)


def endless_pop(listener, sent, played):
    login = [(b"+OK hello\r\n", None), (b"-ERR\r\n", b"CAPA"), (b"+OK\r\n", b"USER"), (b"+OK\r\n", b"PASS"),
             (b"+OK\r\n1 9\r\n2 9\r\n.\r\n", b"LIST"), (b"+OK\r\n1 a\r\n2 b\r\n.\r\n", b"UIDL")]
    with listener.accept()[0] as s:
        play(s, login + [(b"-ERR\r\n", b"TOP"), (b"+OK\r\nSubject: endless\r\n\r\n", b"RETR 1")])
        sent.append(send_ever(s, b"0123456789\r\n"))
    with listener.accept()[0] as s:
        play(s, login + [(b"+OK\r\nA: b\r\n\r\nx\r\n.\r\n", b"RETR 2")])
        s.recv(1000)
    played.append(True)


@pytest.mark.parametrize("serve", [endless_imap, endless_pop])
@pytest.mark.parametrize("online", [True, False])
def test_a_text_without_end(serve, online):
    """It is given up at the limit message_size, leaves nothing behind, and the next one is taken."""
    with Server({"anna": "x"}, conf_edit=lambda t: set_limit(t, "message_size", "1M")) as here:
        here.online = online
        if online:
            here.start()
        sent, played = [], []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = threading.Thread(target=serve, args=[listener, sent, played])
            thread.start()
            source = "%s://anna@localhost:%d" % (serve.__name__[8:], listener.getsockname()[1])
            out, err = run(here, "anna", source, expect=1)
            thread.join(PATIENCE_S)
        assert played and 1 << 20 <= sent[0] < 64 << 20
        assert "it is over the limit message_size" in err and "1 message imported" in out, out + err
        if not online:
            here.start()
        c = here.imap("anna")
        assert [m[3][:6] for m in fetched(c, "INBOX")[0].values()] == [b"A: b\r\n"]
        c.logout()


# ---- our own server as source, cut in the middle ----

def test_killed_and_run_again(here):
    with Server({"anna": "old"}) as old:
        old.start()
        with old.lmtp() as c:
            for n in range(400):
                c.sendmail("sender@example.org", ["anna"], message("message %d" % n, size=20000))
        source = "imaps://anna@localhost:%d/" % old.port("imaps")
        ca = os.path.join(old.dir, "cert.pem")
        resume = os.path.join(here.top, "resume")
        argv = wrap([RESTANTECTL, "-c", here.conf, "import", "--keep-uids", "--resume", resume, "--ca-file", ca, "anna", source])
        c = here.imap("anna")
        cuts = 0
        for at in [20, 120, 250]:
            p = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            p.stdin.write(b"old\n")
            p.stdin.close()
            deadline = time.monotonic() + PATIENCE_S
            while p.poll() is None and count(c) < at and time.monotonic() < deadline:
                time.sleep(0.005)
            cuts += p.poll() is None
            p.send_signal(signal.SIGKILL)
            p.wait()
        assert cuts > 0
        out, err = run(here, *argv[len(wrap([])) + 4:], password="old")
        want, have = fetched(old.imap("anna"), "INBOX"), fetched(c, "INBOX")
        assert len(want[0]) == 400 and want == have
        c.logout()


def count(c):
    return int(re.search(rb"MESSAGES (\d+)", c.status("INBOX", "(MESSAGES)")[1][0]).group(1))


def test_the_source_is_restarted_in_the_middle(here):
    """The client finds it again and goes on."""
    with Server({"anna": "old"}) as old:
        old.start()
        with old.lmtp() as c:
            for n in range(300):
                c.sendmail("sender@example.org", ["anna"], message("message %d" % n, size=40000))
        p = subprocess.Popen(wrap([RESTANTECTL, "-c", here.conf, "import", "anna", "imap://anna@localhost:%d" % old.port("imap")]),
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        p.stdin.write(b"old\n")
        p.stdin.close()
        c = here.imap("anna")
        while p.poll() is None and count(c) < 30:
            time.sleep(0.005)
        old.kill()
        old.start()
        out = p.stdout.read().decode()
        assert p.wait(PATIENCE_S) == 0 and "300 messages imported" in out, out
        want, have = fetched(old.imap("anna"), "INBOX"), fetched(c, "INBOX")
        assert list(want[0].values()) == list(have[0].values())
        c.logout()
