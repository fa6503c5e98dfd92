"""SASL on the wire: SCRAM and -PLUS by other people's clients, binding that binds, sessions that may only read, admins who
act as others."""

import base64
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import pytest

from clients import need, run
from harness import AT_ONCE_S, BUILD, PATIENCE_S, Server, message


def set_auth(**keys):
    """An edit of the configuration: [auth] with these keys."""
    def edit(text):
        return text + "\n[auth]\n" + "".join("%s = %s\n" % (k, v) for k, v in keys.items())
    return edit


@pytest.fixture(scope="module")
def server():
    with Server(users={"anna": "secret", "bert": "geheim"}, conf_edit=set_auth(admins="anna")) as s:
        yield s.start()


def wait_for_log(s, pattern):
    deadline = time.monotonic() + PATIENCE_S
    while not re.search(pattern, s.log()):
        assert time.monotonic() < deadline, "no %s in the log:\n%s" % (pattern, s.log())
        time.sleep(0.02)


def b64(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


# ---- gsasl ----

def gsasl(s, mechanism, password="secret", tls=True, user="anna", authzid=""):
    argv = [need("gsasl", "gsasl"), "--client", "--imap", "--connect", "127.0.0.1:%d" % s.port("imap"),
            "--authentication-id", user, "--authorization-id", authzid, "--password", password, "--mechanism", mechanism,
            "--x509-ca-file=", "--quiet"] + ([] if tls else ["--no-starttls"])
    return subprocess.run(argv, input=b"", capture_output=True, timeout=PATIENCE_S)


@pytest.mark.parametrize("mechanism, tls", [
    ("SCRAM-SHA-256-PLUS", True), ("SCRAM-SHA-1-PLUS", True), ("SCRAM-SHA-256", False), ("SCRAM-SHA-1", False),
    ("PLAIN", True), ("LOGIN", True)])
def test_gsasl(server, mechanism, tls):
    r = gsasl(server, mechanism, tls=tls)
    assert r.returncode == 0 and b"Logged in" in r.stdout, r
    wait_for_log(server, r"ev=auth\.ok .*user=anna mech=%s tls=%s" % (mechanism, "yes" if tls else "no"))
    r = gsasl(server, mechanism, password="secreT", tls=tls)
    assert r.returncode != 0 and b"Logged in" not in r.stdout, r
    r = gsasl(server, mechanism, user="nobody", tls=tls)
    assert r.returncode != 0 and b"Logged in" not in r.stdout, r


def test_gsasl_as_another(server):
    """An admin acts as another account; somebody else does not, whether that account exists or not."""
    r = gsasl(server, "SCRAM-SHA-256-PLUS", authzid="bert")
    assert r.returncode == 0, r
    wait_for_log(server, r"ev=auth\.ok .*user=bert .*admin=anna")
    for other in ("anna", "nobody"):
        r = gsasl(server, "SCRAM-SHA-256-PLUS", user="bert", password="geheim", authzid=other)
        assert r.returncode != 0 and b"NO [AUTHORIZATIONFAILED]" in r.stdout, r


# ---- clients ----

def test_mbsync(server):
    """libsasl2."""
    top = os.path.join(server.top, "mbsync")
    os.makedirs(os.path.join(top, "mail"))
    for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-1", "LOGIN"):
        rc = os.path.join(top, "rc")
        with open(rc, "w") as f:
            f.write("IMAPAccount a\nHost 127.0.0.1\nPort %d\nUser anna\nPass secret\nSSLType None\nAuthMechs %s\n\n"
                    "IMAPStore far\nAccount a\n\nMaildirStore near\nPath %s/mail/\nInbox %s/mail/INBOX\n\n"
                    "Channel c\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSyncState *\n"
                    % (server.port("imap"), mechanism, top, top))
        run([need("mbsync", "isync"), "-c", rc, "c"], top)
        wait_for_log(server, r"ev=auth\.ok .*user=anna mech=%s tls=no" % mechanism)


def test_mpop(server):
    """GNU SASL, POP3."""
    top = os.path.join(server.top, "mpop")
    os.makedirs(top)
    for i, mechanism in enumerate(("scram-sha-256", "scram-sha-1", "plain", "login")):
        rc = os.path.join(top, "rc%d" % i)
        with open(rc, "w") as f:
            f.write("account a\nhost 127.0.0.1\nport %d\ntls off\nuser bert\npassword geheim\nauth %s\n"
                    "delivery mbox %s/box\nuidls_file %s/uidls\naccount default : a\n"
                    % (server.port("pop3"), mechanism, top, top))
        os.chmod(rc, 0o600)
        run([need("mpop", "mpop"), "-C", rc], top)
        wait_for_log(server, r"ev=auth\.ok .*proto=pop3 .*user=bert mech=%s tls=no" % mechanism.upper())


def test_mutt(server):
    """GNU SASL, IMAP."""
    from clients import run_on_terminal
    top = os.path.join(server.top, "mutt")
    os.makedirs(top)
    rc = os.path.join(top, "muttrc")
    with open(rc, "w") as f:
        f.write('set folder="imap://127.0.0.1:%d/"\nset spoolfile="imap://127.0.0.1:%d/INBOX"\nset imap_user="anna"\n'
                'set imap_pass="secret"\nset imap_authenticators="scram-sha-256"\nset ssl_starttls=no\n'
                'set ssl_force_tls=no\nset confirmcreate=no\npush "<exit>"\n' % (server.port("imap"), server.port("imap")))
    run_on_terminal([need("mutt", "mutt"), "-F", rc], top)
    wait_for_log(server, r"ev=auth\.ok .*user=anna mech=SCRAM-SHA-256 tls=no")


# ---- a SCRAM client of our own, where bytes matter ----

class Scram:
    """[RFC 5802 s3] with SHA-256."""

    def __init__(self, user, password, header="n,,", binding=b""):
        self.user, self.password, self.header, self.binding = user, password, header, binding

    def first(self):
        self.bare = "n=%s,r=%s" % (self.user, b64(os.urandom(12)))
        return self.header + self.bare

    def final(self, server_first):
        import hashlib
        import hmac
        fields = dict(f.split("=", 1) for f in server_first.split(","))
        salted = hashlib.pbkdf2_hmac("sha256", self.password.encode(), base64.b64decode(fields["s"]), int(fields["i"]))
        unproven = "c=%s,r=%s" % (b64(self.header.encode() + self.binding), fields["r"])
        text = ",".join((self.bare, server_first, unproven)).encode()
        key = hmac.digest(salted, b"Client Key", "sha256")
        signature = hmac.digest(hashlib.sha256(key).digest(), text, "sha256")
        self.server_final = "v=" + b64(hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), text, "sha256"))
        return "%s,p=%s" % (unproven, b64(bytes(a ^ b for a, b in zip(key, signature))))


class Talk:
    """Lines over any stream."""

    def __init__(self, sock):
        self.sock, self.file = sock, sock.makefile("rb")

    def say(self, line):
        self.sock.sendall(line.encode() + b"\r\n")

    def line(self):
        return self.file.readline().decode().rstrip("\r\n")

    def answer(self):
        """Up to the tagged line, or a challenge."""
        while True:
            line = self.line()
            assert line, "the connection ended"
            if line.startswith(("+", "a ")):
                return line

    def answer_to(self, tag):
        while True:
            line = self.line()
            assert line, "the connection ended"
            if line.startswith(tag + " "):
                return line

    def scram(self, mechanism, client, pause=None):
        self.say("a AUTHENTICATE %s %s" % (mechanism, b64(client.first())))
        line = self.answer()
        if not line.startswith("+"):
            return line
        self.say(b64(client.final(base64.b64decode(line[2:]).decode())))
        line = self.answer()
        if not line.startswith("+"):
            return line
        assert base64.b64decode(line[2:]).decode() == client.server_final
        self.say("")
        return self.answer()

    def close(self):
        self.file.close()
        self.sock.close()


def connect_tls(port, version=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    if version is not None:
        ctx.maximum_version = version
    sock = ctx.wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S))
    talk = Talk(sock)
    talk.line()
    return talk


def end_point(sock):
    """tls-server-end-point of a certificate signed with SHA-256, as init makes them [RFC 5929 s4.1]."""
    import hashlib
    return hashlib.sha256(sock.getpeercert(binary_form=True)).digest()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_end_point(server, version):
    t = connect_tls(server.port("imaps"), version)
    assert "OK" in t.scram("SCRAM-SHA-256-PLUS", Scram("anna", "secret", "p=tls-server-end-point,,", end_point(t.sock)))
    t.close()
    t = connect_tls(server.port("imaps"), version)
    assert "NO [AUTHENTICATIONFAILED]" in t.scram(
        "SCRAM-SHA-256-PLUS", Scram("anna", "secret", "p=tls-server-end-point,,", bytes(32)))
    t.close()


def sasl_client(port, mechanism, type, password="secret", env=None):
    return subprocess.run([os.path.join(BUILD, "tests", "functional", "sasl_client"), str(port), "anna", password, mechanism,
                           type], capture_output=True, timeout=PATIENCE_S, env=dict(os.environ, **(env or {}))).returncode


@pytest.mark.parametrize("type, tls", [("tls-server-end-point", "1.2"), ("tls-server-end-point", "1.3"),
                                       ("tls-exporter", "1.3")])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS"])
def test_libsasl2_binds(server, mechanism, type, tls):
    """libsasl2's own client side, through the server and through a relay."""
    env = {"TLS12": "1"} if tls == "1.2" else {}
    assert sasl_client(server.port("imaps"), mechanism, type, env=env) == 0
    assert sasl_client(server.port("imaps"), mechanism, type, password="secreT", env=env) == 1
    relay = Relay(server)
    try:
        assert sasl_client(relay.port, mechanism, type, env=env) == 1
        assert sasl_client(relay.port, mechanism[:-5], "", env=env) == 0
    finally:
        relay.close()


def test_downgrade(server):
    """A client that was not told of -PLUS, and says so."""
    t = connect_tls(server.port("imaps"))
    assert "NO [AUTHENTICATIONFAILED]" in t.scram("SCRAM-SHA-256", Scram("anna", "secret", "y,,"))
    t.close()
    wait_for_log(server, r"ev=auth\.failed .*not told of -PLUS")


class Relay:
    """Somebody between: speaks TLS with a certificate of his own to the client, TLS to the server, and passes on every
    byte."""

    def __init__(self, server):
        self.server = server
        pem = os.path.join(server.top, "relay.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days",
                        "2", "-subj", "/CN=localhost", "-keyout", pem, "-out", pem + ".crt"], check=True,
                       capture_output=True)
        self.ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ctx.load_cert_chain(pem + ".crt", pem)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    def serve(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            try:
                client = self.ctx.wrap_socket(sock, server_side=True)
            except OSError:
                continue
            far = connect_tls(self.server.port("imaps")).sock
            client.sendall(b"* OK relayed\r\n")
            for a, b in ((client, far), (far, client)):
                threading.Thread(target=self.pump, args=(a, b), daemon=True).start()

    def pump(self, a, b):
        try:
            while True:
                data = a.recv(65536)
                if not data:
                    break
                b.sendall(data)
        except OSError:
            pass
        for s in (a, b):
            try:
                s.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join(PATIENCE_S)


def test_relay(server):
    """Binding binds: through a relay, SCRAM gets in, and -PLUS does not."""
    relay = Relay(server)
    try:
        t = connect_tls(relay.port)
        assert "OK" in t.scram("SCRAM-SHA-256", Scram("anna", "secret"))
        t.close()
        t = connect_tls(relay.port)
        r = t.scram("SCRAM-SHA-256-PLUS", Scram("anna", "secret", "p=tls-server-end-point,,", end_point(t.sock)))
        assert "NO [AUTHENTICATIONFAILED]" in r
        t.close()
        wait_for_log(server, r"ev=auth\.failed .*mech=SCRAM-SHA-256-PLUS .*channel binding does not match")
    finally:
        relay.close()


def test_end_anywhere(server):
    """A client that leaves, or says too much, at each point of an exchange."""
    for cut in range(5):
        with server.raw("imap") as c:
            c.line()
            client = Scram("anna", "secret")
            if cut > 0:
                c.send(b"a AUTHENTICATE SCRAM-SHA-256\r\n")
                assert c.line().startswith(b"+")
            if cut > 1:
                c.send(b64(client.first()).encode() + b"\r\n")
                first = base64.b64decode(c.line()[2:]).decode()
            if cut > 2:
                c.send(b64(client.final(first)).encode() + b"\r\n")
                c.line()
            if cut > 3:
                c.send(b64("and more").encode() + b"\r\n")
                assert c.line().startswith(b"a BAD")
                c.cmd("NOOP")
    with server.imap("anna") as c:
        assert c.noop()[0] == "OK"


def test_same_shape(server):
    """An unknown name is shown what a known one is: salt and count, the same each time, in each spelling, also behind a
    restart."""
    def shown(user):
        with server.raw("imap") as c:
            c.line()
            c.send(("a AUTHENTICATE SCRAM-SHA-256 %s\r\n" % b64(Scram(user, "x").first())).encode())
            fields = base64.b64decode(c.line()[2:]).decode().split(",")
            return [f for f in fields if f[0] != "r"]

    anna, nemo = shown("anna"), shown("nemo")
    assert anna == shown("ANNA") and nemo == shown("Nemo") == shown("nEMO")
    assert [len(f) for f in anna] == [len(f) for f in nemo] and anna[1] == nemo[1] and anna[0] != nemo[0]
    server.stop()
    server.start()
    assert anna == shown("anna") and nemo == shown("nemo")


def two_volumes(s, users):
    """v2 beside v1, with these accounts, whose passwords are their names; started."""
    with open(s.conf, "a") as f:
        f.write("\n[volume v2]\npath = volumes/v2\n")
    s.ctl("volume", "create", "v2")
    s.start()
    for name, volume in users:
        s.ctl("user", "add", "--volume", volume, "--", name, stdin=name + "\n")


def plain(s, user, password, authzid=""):
    with s.raw("imap") as c:
        c.line()
        c.send("a AUTHENTICATE PLAIN %s\r\n" % b64("%s\0%s\0%s" % (authzid, user, password)))
        return c.line().decode()


def scram(s, user, password, authzid=""):
    t = Talk(socket.create_connection(("127.0.0.1", s.port("imap")), timeout=PATIENCE_S))
    t.line()
    answer = t.scram("SCRAM-SHA-256", Scram(user, password, "n,%s," % ("a=" + authzid if authzid else "")))
    t.close()
    return answer


def account_id(s, name):
    return json.loads(s.ctl("user", "show", "--json", name))["id"]


def make_alike(s, one, other):
    """Both anew, in a volume each, with the same id: the number of the record that made them."""
    for _ in range(5):
        s.ctl("user", "add", "--volume", "v1", "--", one, stdin=one + "\n")
        s.ctl("user", "add", "--volume", "v2", "--", other, stdin=other + "\n")
        ids = [int(account_id(s, name).split(".")[1]) for name in (one, other)]
        if ids[0] == ids[1]:
            break
        for i in range(abs(ids[0] - ids[1])):
            s.ctl("quota", "set", one if ids[0] < ids[1] else other, str(1000 + i))
        for name in (one, other):
            s.ctl("user", "delete", "--yes", name)
    assert account_id(s, one) == account_id(s, other)


def test_two_volumes():
    """An account of the second volume gets in by every mechanism. Ids of two volumes may be alike: that makes nobody another,
    nor an admin."""
    with Server(conf_edit=set_auth(admins="boss")) as s:
        two_volumes(s, [("anna", "v2")])
        for login in (plain, scram):
            assert "OK" in login(s, "anna", "anna") and "OK" in login(s, "anna", "anna", authzid="Anna")
            assert "[AUTHENTICATIONFAILED]" in login(s, "anna", "wrong")
        s.ctl("user", "delete", "--yes", "anna")
        make_alike(s, "boss", "anna")
        s.ctl("user", "add", "--volume", "v1", "--", "bert", stdin="bert\n")
        for login in (plain, scram):
            for other in ("boss", "bert"):
                assert "[AUTHORIZATIONFAILED]" in login(s, "anna", "anna", authzid=other)
            assert "OK" in login(s, "boss", "boss", authzid="anna")


def test_a_name_that_is_given_anew():
    """Proven for an account that is then deleted, or renamed: whoever has the name when the exchange ends stays alone."""
    with Server(users={"anna": "secret"}) as s:
        s.start()
        for away in (("user", "delete", "--yes", "anna"), ("user", "rename", "anna", "old")):
            t = Talk(socket.create_connection(("127.0.0.1", s.port("imap")), timeout=PATIENCE_S))
            t.line()
            client = Scram("anna", "secret")
            t.say("a AUTHENTICATE SCRAM-SHA-256 %s" % b64(client.first()))
            t.say(b64(client.final(base64.b64decode(t.answer()[2:]).decode())))
            assert base64.b64decode(t.answer()[2:]).decode() == client.server_final
            s.ctl(*away)
            s.add_user("anna", "secret")
            t.say("")
            assert t.answer().startswith("a NO ")
            t.say("b NOOP")
            assert t.line().startswith("b OK")
            t.say("c STATUS INBOX (MESSAGES)")
            assert t.line().startswith("c BAD")
            t.close()
            s.imap("anna", "secret").logout()


def ends_soon(t):
    began = time.monotonic()
    while t.line():
        pass
    assert time.monotonic() - began < AT_ONCE_S
    t.close()


def test_an_admin_who_is_locked_or_changed():
    """What an admin opened of others ends with the admin's own sessions, also during the exchange; and with theirs."""
    with Server(users={"boss": "secret", "anna": "secret"}, conf_edit=set_auth(admins="boss")) as s:
        s.start()

        def talk():
            t = Talk(socket.create_connection(("127.0.0.1", s.port("imap")), timeout=PATIENCE_S))
            t.line()
            return t

        def opened():
            t = talk()
            assert "OK" in t.scram("SCRAM-SHA-256", Scram("boss", "secret", "n,a=anna,"))
            return t

        app = s.ctl("user", "app-password", "add", "boss", "x").strip()
        assert app
        for change, after in ((("user", "lock", "boss"), ("user", "unlock", "boss")),
                              (("user", "app-password", "revoke", "boss", "x"), None),
                              (("user", "lock", "anna"), ("user", "unlock", "anna"))):
            one, own = opened(), talk()
            assert "OK" in own.scram("SCRAM-SHA-256", Scram("anna", "secret"))
            s.ctl(*change)
            ends_soon(one)
            if change[-1] == "anna":
                ends_soon(own)
            else:
                own.say("b NOOP")
                assert own.line().startswith("b OK")
                own.close()
            if after:
                s.ctl(*after)
        one, own = opened(), talk()
        assert "OK" in own.scram("SCRAM-SHA-256", Scram("anna", "secret"))
        rows = [json.loads(row) for row in s.ctl("who", "--json", "boss").splitlines()]
        assert [(r["account"], r["admin"]) for r in rows] == [("anna", "boss")]
        assert len(s.ctl("who", "--json", "anna").splitlines()) == 2 and s.ctl("kick", "boss") == "1 session ended\n"
        ends_soon(one)
        assert any("admin" not in json.loads(row) for row in s.ctl("who", "--json").splitlines())
        own.close()
        t, client = talk(), Scram("boss", "secret", "n,a=anna,")
        t.say("a AUTHENTICATE SCRAM-SHA-256 %s" % b64(client.first()))
        t.say(b64(client.final(base64.b64decode(t.answer()[2:]).decode())))
        assert t.answer().startswith("+")
        s.ctl("user", "passwd", "boss", stdin="another\n")
        t.say("")
        assert "NO [UNAVAILABLE]" in t.answer()
        t.close()
        one = talk()
        assert "OK" in one.scram("SCRAM-SHA-256", Scram("boss", "another", "n,a=anna,"))
        one.say("b UNAUTHENTICATE")
        assert one.answer_to("b").startswith("b OK")
        s.ctl("user", "lock", "boss")
        one.say("c NOOP")
        assert one.answer_to("c").startswith("c OK")
        one.close()


# ---- ANONYMOUS ----

CHANGES = (
    "APPEND INBOX {1+}\r\nx", "APPEND INBOX (\\Seen) {12+}\r\nSubject: x\r\n", "CREATE New", "DELETE Archive", "RENAME Archive Old", "SUBSCRIBE Archive",
    "UNSUBSCRIBE Archive", "STORE 1 +FLAGS (\\Seen)", "UID STORE 1 FLAGS ()", "COPY 1 Archive", "UID COPY 1 Archive", "MOVE 1 Archive",
    "UID MOVE 1 Archive", "EXPUNGE", "UID EXPUNGE 1", "REPLACE 1 INBOX {12+}\r\nSubject: x\r\n",
    "UID REPLACE 1 INBOX {12+}\r\nSubject: x\r\n",
)


@pytest.fixture(scope="module")
def library():
    with Server(users={"library": "secret"}, conf_edit=set_auth(anonymous="library")) as s:
        s.start()
        s.deliver("library@example.org", message("a book"))
        yield s


def test_anonymous_only_reads(library):
    """Every command: what changes something is refused, and afterwards nothing has changed."""
    with library.imap("library") as c:
        before = sorted(str(x) for x in c.list()[1] + c.lsub()[1])
    with library.raw("imap") as c:
        c.line()
        c.cmd("AUTHENTICATE ANONYMOUS " + b64("me@example.org"))
        lines = c.cmd("SELECT INBOX")
        assert any(b"[READ-ONLY]" in line for line in lines), lines
        for command in CHANGES:
            lines = c.cmd(command, expect=b"NO")
            assert b"[NOPERM]" in lines[-1], (command, lines)
        lines = c.cmd("FETCH 1 (FLAGS BODY[])")
        assert b"\\Seen" not in b"".join(lines)
        for command in ("SEARCH ALL", "STATUS INBOX (MESSAGES)", "LIST \"\" *", "NAMESPACE", "CLOSE", "EXAMINE INBOX", "UNSELECT",
                        "GETQUOTAROOT INBOX", "ENABLE CONDSTORE", "NOOP", "ID NIL"):
            c.cmd(command)
    wait_for_log(library, r"ev=auth\.ok .*user=library mech=ANONYMOUS")
    with library.imap("library") as c:
        assert before == sorted(str(x) for x in c.list()[1] + c.lsub()[1])
        assert c.select("INBOX")[1] == [b"1"]
        assert b"Seen" not in c.fetch("1", "(FLAGS)")[1][0]


def test_anonymous_knows_every_command(library):
    """No command of the table is missing above: each is either refused to an anonymous session or in the list of those
    that only read."""
    source = os.path.join(os.path.dirname(__file__), "..", "..", "server", "imap")
    with open(os.path.join(source, "imap_table.c")) as f:
        table, readers = re.findall(r"\[\] = \{(.*?)\};", f.read(), re.S)[:2]
    names = {n.upper().replace("UID_", "UID ") for n in re.findall(r"imap_cmd_(\w+)", table)}
    readers = {n.upper().replace("UID_", "UID ") for n in re.findall(r"imap_cmd_(\w+)", readers)}
    tried = {re.match(r"(UID )?\w+", c).group(0) for c in CHANGES}
    assert names - readers - {"LOGIN", "AUTHENTICATE", "STARTTLS"} == tried
    assert readers <= names


def test_anonymous_pop3(library):
    with library.raw("pop3") as c:
        c.line()
        c.send(b"AUTH ANONYMOUS %s\r\n" % b64("me").encode())
        assert c.line().startswith(b"+OK")
        c.send(b"DELE 1\r\n")
        assert c.line().startswith(b"-ERR")
        c.send(b"RETR 1\r\n")
        assert c.line().startswith(b"+OK")
    with library.imap("library") as c:
        assert c.select("INBOX")[1] == [b"1"]


def test_anonymous_is_off(server):
    with server.raw("imap") as c:
        c.line()
        c.cmd("AUTHENTICATE ANONYMOUS " + b64("me"), expect=b"NO")


# ---- EXTERNAL ----

def make_ca(folder):
    """A certificate authority, and by it certificates of anna, bert and nemo."""
    def openssl(*argv):
        subprocess.run(["openssl", *argv], check=True, capture_output=True, cwd=folder)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    for ca in ("ca", "other"):
        openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=" + ca, "-keyout", ca + ".key", "-out", ca + ".crt")
    for name, ca in (("anna", "ca"), ("bert", "ca"), ("nemo", "ca"), ("forged", "other")):
        openssl("req", *key, "-subj", "/CN=x", "-keyout", name + ".key", "-out", name + ".csr")
        with open(os.path.join(folder, name + ".ext"), "w") as f:
            f.write("subjectAltName=email:%s@example.org\nextendedKeyUsage=clientAuth\n"
                    % ("anna" if name == "forged" else name))
        openssl("x509", "-req", "-in", name + ".csr", "-CA", ca + ".crt", "-CAkey", ca + ".key", "-CAcreateserial", "-days", "2",
                "-extfile", name + ".ext", "-out", name + ".crt")


def with_certificate(s, folder, name):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    if name:
        ctx.load_cert_chain(os.path.join(folder, name + ".crt"), os.path.join(folder, name + ".key"))
    t = Talk(ctx.wrap_socket(socket.create_connection(("127.0.0.1", s.port("imaps")), timeout=PATIENCE_S)))
    t.greeting = t.line()
    return t


def test_external():
    """A certificate is its account's login, and with it an admin acts as another; without one EXTERNAL is not there."""
    folder = tempfile.mkdtemp(prefix="restante-ca-")
    os.chmod(folder, 0o755)
    make_ca(folder)

    def edit(text):
        return set_auth(admins="anna@example.org")(re.sub(r"(?m)^\[tls\]$", "[tls]\nclient_ca = %s/ca.crt" % folder, text))
    with Server(users={"anna@example.org": "x", "bert@example.org": "y"}, conf_edit=edit) as s:
        s.start()
        for name, authzid, want in (("anna", "", "OK"), ("bert", "", "OK"), ("anna", "bert@example.org", "OK"),
                                    ("anna", "anna@example.org", "OK"), ("bert", "anna@example.org", "NO [AUTHORIZATIONFAILED]"),
                                    ("bert", "nobody", "NO [AUTHORIZATIONFAILED]"), ("nemo", "", "NO [AUTHENTICATIONFAILED]"),
                                    (None, "", "NO [CANNOT]"), (None, "anna@example.org", "NO [CANNOT]")):
            t = with_certificate(s, folder, name)
            assert ("AUTH=EXTERNAL" in t.greeting) == (name is not None)
            t.say("a AUTHENTICATE EXTERNAL " + (b64(authzid) or "="))
            assert t.answer().startswith("a " + want), (name, authzid)
            t.close()
        wait_for_log(s, r"ev=auth\.ok .*user=bert@example.org mech=EXTERNAL .*admin=anna@example.org")
        with pytest.raises((AssertionError, OSError)):
            t = with_certificate(s, folder, "forged")
            assert t.greeting.startswith("* OK")
    shutil.rmtree(folder)


# ---- configuration ----

@pytest.mark.parametrize("keys, text", [
    ({"mechanisms": "PLAIN, CRAM-MD5"}, "mechanism CRAM-MD5 is never offered: it needs"),
    ({"mechanisms": "digest-md5"}, "mechanism DIGEST-MD5 is never offered"),
    ({"mechanisms": "NTLM"}, "mechanism NTLM is never offered"),
    ({"mechanisms": "APOP"}, "mechanism APOP is never offered"),
    ({"mechanisms": "GSSAPI"}, "mechanism GSSAPI is not known; there are: EXTERNAL"),
    ({"password_sources": "restante, ../x"}, "is no source of passwords"),
    ({"password_sources": "restante, saslauthd, saslauthd"}, "saslauthd comes twice"),
    ({"password_sources": "restante, nosuchplugin"}, "libsasl2 finds no auxprop plugin nosuchplugin"),
])
def test_refused_configuration(keys, text):
    with Server(conf_edit=set_auth(**keys)) as s:
        with pytest.raises(RuntimeError) as e:
            s.start()
        assert text in str(e.value)


def test_chosen_mechanisms():
    with Server(users={"anna": "secret"}, conf_edit=set_auth(mechanisms="SCRAM-SHA-256, SCRAM-SHA-256-PLUS")) as s:
        s.start()
        t = connect_tls(s.port("imaps"))
        t.say("a CAPABILITY")
        line = t.line()
        assert " AUTH=SCRAM-SHA-256-PLUS AUTH=SCRAM-SHA-256" in line and "PLAIN" not in line and "=LOGIN" not in line
        assert " LOGINDISABLED" in line
        t.answer()
        t.say("a AUTHENTICATE PLAIN " + b64("\0anna\0secret"))
        assert t.answer().startswith("a NO")
        t.say("a LOGIN anna secret")            # no mechanism, but a password all the same
        assert t.answer().startswith("a NO [CANNOT]")
        t.close()
        with s.raw("pop3") as c:
            c.line()
            c.send(b"CAPA\r\nUSER anna\r\nPASS secret\r\n")
            while (line := c.line()) != b".":
                assert line != b"USER"
            assert c.line().startswith(b"+OK") and c.line().startswith(b"-ERR")
        assert "OK" in scram(s, "anna", "secret")
