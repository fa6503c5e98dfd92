"""The socket that answers like saslauthd(8): asked directly, by Cyrus SASL's own tester, by Postfix and by Exim."""

import json
import os
import smtplib
import socket
import struct
import subprocess
import time

import pytest

import mta
from clients import need
from harness import PATIENCE_S, Server, message

USERS = {"anna@example.org": "secret", "plain": "first", "other@example.org": "x"}
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="MTAs change their identity")


def listen(path, **more):
    keys = dict({"protocol": "saslauthd", "socket": path, "mode": "0600"}, **more)
    return "\n[listen sasl]\n" + "".join("%s = %s\n" % pair for pair in keys.items())


def edit(text):
    text = text.replace("allow_plaintext_on_loopback = yes", "allow_plaintext_on_loopback = no")
    return text.replace("[server]\n", "[server]\nhostname = mail.example.org\n", 1) + listen("sasl.sock")


@pytest.fixture(scope="module")
def server():
    with Server(USERS, edit) as s:
        s.start()
        yield s


def path(server):
    return os.path.join(server.dir, "sasl.sock")


def counted(*fields):
    return b"".join(struct.pack(">H", len(f)) + f for f in (f if isinstance(f, bytes) else f.encode() for f in fields))


def connect(server):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(PATIENCE_S)
    s.connect(path(server))
    return s


def response(sock):
    """What saslauthd's clients read: a length, and so much; b"" when nothing came."""
    have = b""
    while len(have) < 2 or len(have) < 2 + struct.unpack(">H", have[:2])[0]:
        more = sock.recv(4096)
        if not more:
            assert have == b""
            return b""
        have += more
    return have[2:]


def ask(server, login, password, service="smtp", realm=""):
    with connect(server) as s:
        s.sendall(counted(login, password, service, realm))
        return response(s)


@pytest.mark.parametrize("login, password, realm, right", [
    ("anna@example.org", "secret", "", True),
    ("anna", "secret", "example.org", True),
    ("ANNA", "secret", "EXAMPLE.org", True),
    ("anna@example.org", "secret", "elsewhere.example", True),          # the name has its realm
    ("anna", "secret", "elsewhere.example", False),
    ("anna", "secret", "", False),
    ("anna@example.org", "wrong", "", False),
    ("anna@example.org", "", "", False),
    ("nobody", "secret", "example.org", False),
    ("plain", "first", "", True),
    ("plain", "first", "mail.example.org", True),                       # the server's own name
    ("plain", "first", "example.org", False),
    ("", "secret", "example.org", False),
    ("", "", "", False),
    ("anna\0@example.org", "secret", "", False),
    (b"\xff\xfe", "secret", "", False),
])
def test_answers(server, login, password, realm, right):
    got = ask(server, login, password, realm=realm)
    assert got.startswith(b"OK" if right else b"NO"), got


def test_log(server):
    before = len(server.log())
    ask(server, "anna@example.org", "secret")
    ask(server, "anna@example.org", "geheim")
    text = server.log()[before:]
    assert "ev=auth.ok" in text and "ev=auth.failed" in text and "proto=saslauthd" in text and "user=anna@example.org" in text
    assert "geheim" not in text and "secret" not in text


def test_octet_by_octet(server):
    with connect(server) as s:
        for octet in counted("anna@example.org", "secret", "smtp", ""):
            s.sendall(bytes([octet]))
        assert response(s) == b"OK"


def test_more_than_asked(server):
    """Newer clients may add fields."""
    with connect(server) as s:
        s.sendall(counted("anna@example.org", "secret", "smtp", "", "192.0.2.1"))
        assert response(s) == b"OK"


def test_framing(server):
    for junk in (b"GET / HTTP/1.0\r\n\r\n", b"\xff\xff", counted("x" * 256, "y", "", ""), counted("x", "y" * 1025),
                 counted("x", "y", "z" * 65)):
        with connect(server) as s:
            s.sendall(junk)
            assert response(s).startswith(b"NO")
    whole = counted("anna@example.org", "secret", "smtp", "")
    for cut in range(len(whole)):
        with connect(server) as s:
            s.sendall(whole[:cut])
            s.shutdown(socket.SHUT_WR)
            assert response(s) == b""
    assert ask(server, "anna@example.org", "secret") == b"OK"


def test_changed_password(server):
    assert ask(server, "other@example.org", "x") == b"OK"
    server.ctl("user", "passwd", "other@example.org", stdin="y\n")
    assert ask(server, "other@example.org", "x").startswith(b"NO")
    assert ask(server, "other@example.org", "y") == b"OK"


def test_app_password(server):
    """It counts where its scope says."""
    def app(label, only):
        out = server.ctl("user", "app-password", "add", "--only", only, "--json", "other@example.org", label)
        return json.loads(out)["password"]
    mail, submit = app("phone", "imap"), app("laptop", "submission")
    for service in ("smtp", "submission", "", "exim"):
        assert ask(server, "other@example.org", submit, service) == b"OK"
        assert ask(server, "other@example.org", mail, service).startswith(b"NO")
    assert ask(server, "other@example.org", mail, "imap") == b"OK"
    assert ask(server, "other@example.org", submit, "imap").startswith(b"NO")


def test_locked(server):
    server.add_user("locked@example.org", "x")
    for verb, answer in (("lock", b"NO"), ("unlock", b"OK")):
        server.ctl("user", verb, "locked@example.org")
        assert ask(server, "locked@example.org", "x").startswith(answer)


def test_many_at_once(server):
    socks = [connect(server) for _ in range(60)]
    for i, s in enumerate(socks):
        s.sendall(counted("anna@example.org", "secret" if i % 2 else "no", "smtp", ""))
    for i, s in enumerate(socks):
        assert response(s).startswith(b"OK" if i % 2 else b"NO")
        s.close()


def test_testsaslauthd(server):
    def run(password):
        return subprocess.run([need("testsaslauthd", "sasl2-bin"), "-u", "anna", "-r", "example.org", "-p", password, "-s", "smtp",
                               "-f", path(server)], capture_output=True, text=True, timeout=PATIENCE_S)
    assert '0: OK "Success."' in run("secret").stdout
    assert "NO" in run("wrong").stdout


def test_permissions(tmp_path):
    os.chmod(tmp_path, 0o755)
    where = str(tmp_path / "mux")
    with Server(USERS, lambda t: t + listen(where, mode="0660", group="mail" if os.geteuid() == 0 else "")) as s:
        s.start()
        st = os.stat(where)
        assert st.st_mode & 0o777 == 0o660
        if os.geteuid() == 0:
            import grp
            assert grp.getgrgid(st.st_gid).gr_name == "mail"
    assert not os.path.exists(where)


@pytest.mark.parametrize("text, says", [
    ("[listen sasl]\nprotocol = saslauthd\nport = 1234\n", "wants a socket"),
    (listen("sasl.sock", group="no-such-group"), "no-such-group"),
])
def test_configuration(text, says):
    with Server(conf_edit=lambda t: t + text) as s:
        with pytest.raises(RuntimeError) as caught:
            s.start()
        assert says in str(caught.value)


# ---- MTAs ----

POSTFIX_MORE = """
mynetworks = 192.0.2.0/24
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = cyrus
smtpd_sasl_path = smtpd
cyrus_sasl_config_path = {top}/conf/sasl
smtpd_sasl_security_options = noanonymous
smtpd_recipient_restrictions = permit_sasl_authenticated, reject
"""

EXIM_MORE = r"""
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if saslauthd{{{{$auth2}}{{$auth3}}{{smtp}}{{}}}}}}
  server_set_id = $auth2
login:
  driver = plaintext
  public_name = LOGIN
  server_prompts = Username:: : Password::
  server_condition = ${{if saslauthd{{{{$auth1}}{{$auth2}}{{smtp}}{{}}}}}}
  server_set_id = $auth1
"""


def with_postfix(server, monkeypatch):
    monkeypatch.setattr(mta, "POSTFIX_MAIN", mta.overridden(mta.POSTFIX_MAIN, POSTFIX_MORE))
    monkeypatch.setattr(mta.Postfix, "master", mta.chrooted(mta.POSTFIX_MASTER).replace("lmtp unix - - y", "lmtp unix - - n"))
    sasl = os.path.join(server.top, "postfix", "conf", "sasl")  # where Debian's Postfix looks in any case
    mux = os.path.join(server.top, "postfix", "queue", "restante-mux")  # seen by smtpd in its chroot
    run = mta.Postfix.run

    def prepare(self, command, *args):
        if args == ("start",):
            os.mkdir(sasl)
            os.chmod(sasl, 0o755)
            with open(os.path.join(sasl, "smtpd.conf"), "w") as f:
                f.write("pwcheck_method: saslauthd\nsaslauthd_path: /restante-mux\nmech_list: PLAIN LOGIN\n")
            with open(server.conf, "a") as f:
                f.write(listen(mux, mode="0660", group="postfix"))
            server.start()
        return run(self, command, *args)

    monkeypatch.setattr(mta.Postfix, "run", prepare)
    return mta.Postfix(server)


def with_exim(server, monkeypatch):
    conf = mta.EXIM_CONF.replace("accept_all:\n  accept", "accept_all:\n  accept authenticated = *\n  deny message = log in")
    monkeypatch.setattr(mta, "EXIM_CONF", conf + EXIM_MORE)
    it = mta.Exim(server)
    mux = it.root.path("var/run/saslauthd")     # built into Debian's Exim
    os.makedirs(mux)
    with open(server.conf, "a") as f:
        f.write(listen(os.path.join(mux, "mux"), mode="0660"))
    server.start()
    os.chown(os.path.join(mux, "mux"), 0, 101)
    return it


def submit(it, mechanism, user, password):
    with smtplib.SMTP("127.0.0.1", it.smtp, local_hostname="client.example.net", timeout=PATIENCE_S) as c:
        c.ehlo()
        assert mechanism in c.esmtp_features["auth"]
        c.user, c.password = user, password
        c.auth(mechanism, getattr(c, "auth_" + mechanism.lower()))
        assert c.sendmail(user, ["anna@example.org"], message("by " + mechanism)) == {}


@needs_root
@pytest.mark.parametrize("start", [with_postfix, with_exim])
def test_submission(start, monkeypatch):
    with Server(USERS) as s:
        it = start(s, monkeypatch)
        try:
            with smtplib.SMTP("127.0.0.1", it.smtp, timeout=PATIENCE_S) as c:
                with pytest.raises(smtplib.SMTPRecipientsRefused):
                    c.sendmail("anna@example.org", ["anna@example.org"], message())
            for mechanism in ("PLAIN", "LOGIN"):
                submit(it, mechanism, "anna@example.org", "secret")
                with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
                    submit(it, mechanism, "anna@example.org", "wrong")
                assert refused.value.smtp_code == 535
            with pytest.raises(smtplib.SMTPAuthenticationError):
                submit(it, "PLAIN", "plain", "wrong")
            it.wait_empty()
            deadline = time.monotonic() + PATIENCE_S
            while int(s.imap("anna@example.org").select("INBOX")[1][0]) < 2:
                assert time.monotonic() < deadline, it.log()
                time.sleep(0.1)
            assert s.log().count("ev=auth.ok") >= 2
            s.ctl("user", "passwd", "anna@example.org", stdin="new\n")
            with pytest.raises(smtplib.SMTPAuthenticationError):
                submit(it, "PLAIN", "anna@example.org", "secret")
        finally:
            it.stop()
