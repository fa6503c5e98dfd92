"""TLS as clients meet it: versions, ciphers, certificates by host name, renewal, resumption, client certificates, and what
becomes of what was said before STARTTLS."""

import base64
import os
import re
import shutil
import socket
import ssl
import subprocess
import time

import pytest

from harness import PATIENCE_S, Raw, Server

LOGOUT = {"imaps": b"a LOGOUT\r\n", "pop3s": b"QUIT\r\n"}


def openssl(*argv, cwd=None, stdin=b"", expect=0):
    r = subprocess.run(["openssl"] + list(argv), cwd=cwd, input=stdin, capture_output=True, timeout=PATIENCE_S)
    if expect is not None:
        assert r.returncode == expect, r.stderr.decode()
    return r.stdout.decode(errors="replace") + r.stderr.decode(errors="replace")


def make_pair(where, name, hosts, kind="ec", days=30):
    """A certificate of its own hand, where/name.pem, and its key, where/name.key."""
    cert, key = os.path.join(where, name + ".pem"), os.path.join(where, name + ".key")
    new = ["-newkey", "rsa:2048"] if kind == "rsa" else ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    san = "subjectAltName=" + ",".join("DNS:" + h for h in hosts)
    openssl("req", "-x509", *new, "-nodes", "-subj", "/CN=" + name, "-addext", san, "-days", str(days),
            "-out", cert, "-keyout", key)
    return cert, key


def wait_for(what, patience=PATIENCE_S):
    deadline = time.monotonic() + patience
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def s_client(server, *options, listener="imaps", expect=0):
    """What openssl s_client tells of a connection that says goodbye at once."""
    return openssl("s_client", "-connect", "127.0.0.1:%d" % server.port(listener), "-ign_eof", *options,
                   stdin=LOGOUT[listener], expect=expect)


def shown_to(server, host=None, listener="imaps"):
    """The serial number of the certificate that the server shows."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection(("127.0.0.1", server.port(listener)), timeout=PATIENCE_S) as s:
        with ctx.wrap_socket(s, server_hostname=host) as t:
            return serial(ssl.DER_cert_to_PEM_cert(t.getpeercert(True)))


def serial(pem):
    return openssl("x509", "-noout", "-serial", stdin=pem.encode()).strip()


def serial_of(path):
    with open(path) as f:
        return serial(f.read())


def reconfigured(edit):
    """A server with anna, whose configuration went through `edit(text, directory)`."""
    s = Server({"anna": "secret"})
    try:
        with open(s.conf) as f:
            text = f.read()
        with open(s.conf, "w") as f:
            f.write(edit(text, s.dir))
        return s.start()
    except BaseException:
        s.close()
        raise


def set_tls(text, **values):
    """The configuration with keys of [tls] set."""
    for key, value in values.items():
        text = re.sub(r"(?m)^%s\s*=.*\n" % key, "", text)
        text = text.replace("[tls]\n", "[tls]\n%s = %s\n" % (key, value))
    return text


@pytest.fixture(scope="module")
def many():
    """[tls] for mail.example, the same with an RSA key, and a wildcard."""
    def edit(text, top):
        make_pair(top, "own", ["mail.example", "imap.example"])
        make_pair(top, "rsa", ["mail.example", "imap.example"], "rsa")
        make_pair(top, "wild", ["*.example.org", "example.org"])
        return set_tls(text, certificate="own.pem", key="own.key") + (
            "[certificate rsa]\ncertificate = rsa.pem\nkey = rsa.key\n"
            "[certificate wild]\ncertificate = wild.pem\nkey = wild.key\n")
    with reconfigured(edit) as s:
        yield s


# ---- versions, ciphers, names, protocols ----

@pytest.mark.parametrize("version,works", [("-tls1", False), ("-tls1_1", False), ("-tls1_2", True), ("-tls1_3", True)])
def test_versions(many, version, works):
    told = s_client(many, version, "-cipher", "ALL:@SECLEVEL=0", expect=0 if works else 1)
    assert ("alert protocol version" in told) == (not works)


@pytest.mark.parametrize("cipher,works", [
    ("ECDHE-ECDSA-AES128-GCM-SHA256", True), ("ECDHE-ECDSA-AES256-GCM-SHA384", True),
    ("ECDHE-ECDSA-CHACHA20-POLY1305", True), ("ECDHE-RSA-AES128-GCM-SHA256", True),
    ("ECDHE-RSA-CHACHA20-POLY1305", True),
    ("ECDHE-ECDSA-AES128-SHA256", False), ("ECDHE-RSA-AES128-SHA", False), ("ECDHE-ECDSA-AES128-CCM", False),
    ("AES128-GCM-SHA256", False), ("AES256-SHA", False), ("DHE-RSA-AES128-GCM-SHA256", False), ("aNULL", False)])
def test_ciphers_of_1_2(many, cipher, works):
    """Only those with forward secrecy and AEAD; which key goes with them is found by itself."""
    told = s_client(many, "-tls1_2", "-cipher", cipher + ":@SECLEVEL=0", expect=0 if works else 1)
    assert ("Cipher is " + cipher in told) == works


@pytest.mark.parametrize("suite", ["TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"])
def test_ciphers_of_1_3(many, suite):
    assert "Cipher is " + suite in s_client(many, "-tls1_3", "-ciphersuites", suite)


@pytest.mark.parametrize("group,works", [("X25519", True), ("P-256", True), ("P-384", True), ("ffdhe2048", False)])
def test_groups(many, group, works):
    told = s_client(many, "-tls1_3", "-groups", group, expect=0 if works else 1)
    assert ("New, TLSv1.3" in told) == works


@pytest.mark.parametrize("host,name", [
    (None, "own"), ("mail.example", "own"), ("IMAP.example", "own"), ("a.example.org", "wild"), ("example.org", "wild"),
    ("a.b.example.org", "own"), ("nobody.example", "own")])
def test_certificate_by_host_name(many, host, name):
    for listener in ("imaps", "pop3s"):
        assert shown_to(many, host, listener) == serial_of(os.path.join(many.dir, name + ".pem"))


def test_certificate_by_kind_of_key(many):
    told = s_client(many, "-servername", "mail.example", "-sigalgs", "RSA-PSS+SHA256")
    assert "Peer signature type: RSA-PSS" in told
    told = s_client(many, "-servername", "mail.example", "-sigalgs", "ECDSA+SHA256:RSA-PSS+SHA256")
    assert "Peer signature type: ECDSA" in told


def test_renegotiation_is_refused(many):
    for _ in range(20):
        told = openssl("s_client", "-connect", "127.0.0.1:%d" % many.port("imaps"), "-tls1_2", stdin=b"R\na LOGOUT\r\n",
                       expect=None)
        if "unexpected record" not in told:     # our greeting came while the client waited for its handshake
            break
    assert "RENEGOTIATING" in told and "no renegotiation" in told
    assert "Compression: NONE" in told


@pytest.mark.parametrize("listener,offered,works", [
    ("imaps", "imap", True), ("imaps", "h2,imap", True), ("imaps", "pop3", False), ("imaps", "http/1.1", False),
    ("pop3s", "pop3", True), ("pop3s", "imap", False), ("pop3s", "smtp", False)])
def test_alpn_s_client(many, listener, offered, works):
    told = s_client(many, "-alpn", offered, listener=listener, expect=0 if works else 1)
    assert ("ALPN protocol: " + listener[:-1] in told) == works
    assert ("alert no application protocol" in told) == (not works)


@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_login_is_logged_with_its_cipher(many, password):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    with many.raw("imaps") as c:
        c.sock = ctx.wrap_socket(c.sock)
        c.line()
        c.cmd("LOGIN anna " + password, expect=b"OK" if password == "secret" else b"NO")
    event = "ev=auth.ok" if password == "secret" else "ev=auth.failed"
    assert any("tls=yes cipher=TLS_" in x for x in many.log().splitlines() if event in x), many.log()


# ---- resumption ----

def resumed(server, state, *options, again=False, listener="imaps"):
    """Connects with the session kept in the file `state`, if `again`, and keeps a new one there."""
    told = s_client(server, "-sess_out", state, *(("-sess_in", state) if again else ()), *options, listener=listener)
    assert ("Reused, " in told) != ("New, " in told)
    return "Reused, " in told


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_resumption(server, tmp_path, version):
    state = str(tmp_path / "session")
    options = (version, "-servername", "mail.example")
    assert not resumed(server, state, *options)
    assert resumed(server, state, *options, again=True)
    # Tickets outlive a reload,
    server.proc.send_signal(1)
    wait_for(lambda: "ev=server.reloaded" in server.log())
    assert resumed(server, state, *options, again=True)
    # but not the process; and they count for one protocol.
    assert not resumed(server, state, *options, again=True, listener="pop3s")
    assert not resumed(server, state, *options)
    server.stop()
    server.start()
    assert not resumed(server, state, *options, again=True)


def test_no_early_data(many, tmp_path):
    state, early = str(tmp_path / "session"), str(tmp_path / "early")
    with open(early, "wb") as f:
        f.write(b"e NOOP\r\n")
    assert not resumed(many, state, "-tls1_3")
    told = s_client(many, "-tls1_3", "-sess_in", state, "-early_data", early)
    assert "Early data was not sent" in told or "Early data was rejected" in told
    assert "e OK" not in told


# ---- renewal ----

def reloads(server):
    return server.log().count("ev=tls.reloaded")


def put_pair(server, name, hosts, where=None):
    """Replaces certificate and key as most programs do: each by a rename."""
    make_pair(server.top, "fresh", hosts)
    for suffix in (".pem", ".key"):
        os.rename(os.path.join(server.top, "fresh" + suffix), os.path.join(where or server.dir, name + suffix))


@pytest.fixture
def own():
    """A server whose certificate is own.pem, of the test's own."""
    def edit(text, top):
        make_pair(top, "own", ["mail.example"])
        return set_tls(text, certificate="own.pem", key="own.key")
    with reconfigured(edit) as s:
        yield s


def test_renewed_without_being_told(own):
    """New connections get the new certificate; those that are there go on; nobody sends a signal."""
    path = os.path.join(own.dir, "own.pem")
    before = serial_of(path)
    c = own.imap("anna", tls=True)
    waiting = own.raw("imap")
    waiting.line()
    put_pair(own, "own", ["mail.example"])
    wait_for(lambda: reloads(own) == 1)
    assert shown_to(own) == serial_of(path) != before
    assert c.noop()[0] == "OK"
    waiting.send("a STARTTLS\r\n")
    assert b"OK" in waiting.line()
    ctx = ssl.create_default_context(cafile=path)
    ctx.check_hostname = False
    waiting.sock = ctx.wrap_socket(waiting.sock)
    waiting.cmd("NOOP")
    waiting.close()
    c.logout()
    line, = [x for x in own.log().splitlines() if "ev=tls.reloaded" in x]
    assert "level=info" in line
    assert "tls.reload_failed" not in own.log()


def test_renewed_behind_links():
    """As certbot has it: live/NAME holds links into archive/NAME, which are replaced."""
    def link(top, n):
        for name, suffix in (("fullchain", ".pem"), ("privkey", ".key")):
            at = os.path.join(top, "live", name + ".pem")
            os.symlink("../archive/cert%d%s" % (n, suffix), at + ".new")
            os.rename(at + ".new", at)

    def edit(text, top):
        for d in ("live", "archive"):
            os.mkdir(os.path.join(top, d))
        make_pair(os.path.join(top, "archive"), "cert1", ["mail.example"])
        link(top, 1)
        return set_tls(text, certificate="live/fullchain.pem", key="live/privkey.pem")
    with reconfigured(edit) as s:
        archive = os.path.join(s.dir, "archive")
        assert shown_to(s) == serial_of(os.path.join(archive, "cert1.pem"))
        make_pair(archive, "cert2", ["mail.example"])
        time.sleep(3)
        assert reloads(s) == 0
        link(s.dir, 2)
        wait_for(lambda: reloads(s) == 1)
        assert shown_to(s) == serial_of(os.path.join(archive, "cert2.pem"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has files that others may not read")
def test_renewed_where_only_root_may_look():
    """As certbot leaves them: key and directories are root's; the server is another user."""
    with Server({"anna": "secret"}, user="nobody") as s:
        live = os.path.join(s.top, "letsencrypt")
        os.mkdir(live, 0o700)
        cert, key = make_pair(live, "own", ["mail.example"])
        os.chmod(key, 0o600)
        with open(s.conf) as f:
            text = f.read()
        with open(s.conf, "w") as f:
            f.write(set_tls(text, certificate=cert, key=key))
        s.start()
        before = serial_of(cert)
        assert shown_to(s) == before
        put_pair(s, "own", ["mail.example"], live)
        wait_for(lambda: reloads(s) == 1)
        assert shown_to(s) == serial_of(cert) != before


def test_half_renewed(own):
    """A new certificate with the old key: the pair that was read before stays, and only after a while it is an error."""
    path = os.path.join(own.dir, "own.pem")
    before = serial_of(path)
    make_pair(own.top, "fresh", ["mail.example"])
    began = time.monotonic()
    os.rename(os.path.join(own.top, "fresh.pem"), path)
    time.sleep(6)
    log = own.log()
    if time.monotonic() - began < 10:           # or the machine is so busy that the while may be over
        assert "tls.reload_failed" not in log
    assert reloads(own) == 0
    assert shown_to(own) == before
    wait_for(lambda: "tls.reload_failed" in own.log())
    line, = [x for x in own.log().splitlines() if "tls.reload_failed" in x]
    assert "own.key: the key does not belong to the certificate" in line and "level=error" in line
    assert shown_to(own) == before
    # SIGHUP changes nothing of it.
    own.proc.send_signal(1)
    wait_for(lambda: "server.reload_failed" in own.log())
    assert shown_to(own) == before
    os.rename(os.path.join(own.top, "fresh.key"), os.path.join(own.dir, "own.key"))
    wait_for(lambda: reloads(own) == 1)
    assert shown_to(own) == serial_of(path)
    assert own.log().count("tls.reload_failed") == 1


def test_gone_and_back(own):
    """A file that is away for a moment is no event."""
    path = os.path.join(own.dir, "own.pem")
    before = serial_of(path)
    os.rename(path, path + ".away")
    time.sleep(5)
    assert shown_to(own) == before
    os.rename(path + ".away", path)
    time.sleep(5)
    assert "tls.reload_failed" not in own.log()
    assert shown_to(own) == before


def test_what_is_served_stands_in_the_log(many):
    lines = [x.replace('"', "") for x in many.log().splitlines() if "ev=tls.certificate " in x]
    assert [re.search(r"section=(\[.*?\])", x).group(1) for x in lines] == ["[tls]", "[certificate rsa]", "[certificate wild]"]
    assert "names=imap.example,mail.example" in lines[0] and "until=20" in lines[0]


@pytest.mark.parametrize("spoil,said", [
    (lambda d: os.unlink(d + "/own.key"), "own.key: No such file"),
    (lambda d: open(d + "/own.pem", "w").close(), "own.pem: there is no certificate in it"),
    (lambda d: make_pair(d, "other", ["x.example"]) and shutil.copy(d + "/other.key", d + "/own.key"),
     "the key does not belong to the certificate"),
])
def test_start_with_something_wrong(spoil, said):
    """One line that says which file, and what."""
    with Server() as s:
        make_pair(s.dir, "own", ["mail.example"])
        spoil(s.dir)
        with open(s.conf) as f:
            text = f.read()
        with open(s.conf, "w") as f:
            f.write(set_tls(text, certificate="own.pem", key="own.key"))
        with pytest.raises(RuntimeError) as e:
            s.start()
        assert said in str(e.value)


# ---- clients' certificates ----

class Authority:
    def __init__(self, where):
        self.where = where
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=authority",
                "-days", "30", "-out", where + "/ca.pem", "-keyout", where + "/ca.key")

    def sign(self, name, san):
        """A client's certificate and key; returns the paths."""
        cert, key, ext = (os.path.join(self.where, name + s) for s in (".pem", ".key", ".ext"))
        with open(ext, "w") as f:
            f.write("subjectAltName=%s\nextendedKeyUsage=clientAuth\n" % san)
        asked = openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=" + name,
                        "-keyout", key)
        request = asked[asked.index("-----BEGIN CERT"):asked.index("REQUEST-----\n", asked.index("-----END")) + 13]
        openssl("x509", "-req", "-CA", self.where + "/ca.pem", "-CAkey", self.where + "/ca.key", "-CAcreateserial",
                "-days", "10", "-extfile", ext, "-out", cert, stdin=request.encode())
        return cert, key


@pytest.fixture(scope="module")
def asking(tmp_path_factory):
    """imaps asks for certificates, pop3s requires them. (server, authority)"""
    where = str(tmp_path_factory.mktemp("authority"))
    authority = Authority(where)

    def edit(text, top):
        shutil.copy(where + "/ca.pem", top + "/clients.pem")
        text = set_tls(text, client_ca="clients.pem")
        return re.sub(r"(?m)^protocol = pop3s$", "protocol = pop3s\nclient_certificates = required", text)
    with reconfigured(lambda t, d: edit(t, d).replace("[server]\n", "[server]\nlog_level = debug\n")
                      if "log_level" not in t else edit(re.sub(r"log_level.*", "log_level = debug", t), d)) as s:
        yield s, authority


def greeted(server, listener, pair=None):
    """The first line under TLS; None when the server wants no connection with this certificate."""
    ctx = server.tls()
    ctx.load_verify_locations(cadata=server_certificate(server))
    if pair:
        ctx.load_cert_chain(*pair)
    with socket.create_connection(("127.0.0.1", server.port(listener)), timeout=PATIENCE_S) as s:
        try:
            with ctx.wrap_socket(s) as t:
                return t.recv(1000) or None
        except (ssl.SSLError, ConnectionResetError):
            return None


def server_certificate(server):
    with open(os.path.join(server.dir, "cert.pem")) as f:
        return f.read()


def test_client_certificate(asking, tmp_path):
    server, authority = asking
    anna = authority.sign("anna", "email:anna")
    stranger = make_pair(str(tmp_path), "stranger", ["x.example"])
    assert greeted(server, "imaps").startswith(b"* OK")
    assert greeted(server, "imaps", anna).startswith(b"* OK")
    assert greeted(server, "imaps", stranger) is None
    assert greeted(server, "pop3s") is None
    assert greeted(server, "pop3s", anna).startswith(b"+OK")
    assert greeted(server, "pop3s", stranger) is None
    assert "client=anna" in server.log()

    def failures():
        return [x for x in server.log().splitlines() if "ev=session.tls_failed" in x]

    wait_for(lambda: len(failures()) >= 3)
    whys = failures()
    assert any('why="unable to get local issuer certificate"' in x or 'why="self-signed certificate"' in x for x in whys), whys
    assert any("peer did not return a certificate" in x for x in whys)


def test_plain_text_at_a_port_for_tls(server):
    with socket.create_connection(("127.0.0.1", server.port("imaps")), timeout=PATIENCE_S) as c:
        c.sendall(b"a LOGIN anna secret\r\n")
        wait_for(lambda: 'why="what came is not TLS"' in server.log())


def test_client_certificate_logs_nobody_in_by_itself(asking):
    server, authority = asking
    pair = authority.sign("anna2", "email:anna")
    ctx = server.tls()
    ctx.load_verify_locations(cadata=server_certificate(server))
    ctx.load_cert_chain(*pair)
    with server.raw("imaps") as c:
        c.sock = ctx.wrap_socket(c.sock)
        assert c.line().startswith(b"* OK")
        c.cmd("SELECT INBOX", expect=b"BAD")


def with_certificate(asking, listener, pair=None):
    """A connection under TLS, greeted."""
    server, _ = asking
    ctx = server.tls()
    ctx.load_verify_locations(cadata=server_certificate(server))
    if pair:
        ctx.load_cert_chain(*pair)
    c = server.raw(listener)
    c.sock = ctx.wrap_socket(c.sock)
    c.greeting = c.line()
    return c


def test_external_imap(asking):
    """The name in the certificate is the account; nobody else can be asked for, and without one it is not offered."""
    server, authority = asking
    anna, nobody = authority.sign("anna3", "email:anna"), authority.sign("nobody", "email:nobody")
    with with_certificate(asking, "imaps") as c:
        assert b"AUTH=EXTERNAL" not in c.greeting
        c.cmd("AUTHENTICATE EXTERNAL =", expect=b"NO")
    with with_certificate(asking, "imaps", anna) as c:
        assert b"AUTH=EXTERNAL" in c.greeting
        c.cmd("AUTHENTICATE EXTERNAL " + base64.b64encode(b"boris").decode(), expect=b"NO")
        c.cmd("AUTHENTICATE EXTERNAL =")
        c.cmd("SELECT INBOX")
    with with_certificate(asking, "imaps", nobody) as c:
        c.cmd("AUTHENTICATE EXTERNAL =", expect=b"NO")
    assert any("mech=EXTERNAL" in x and "user=anna" in x for x in server.log().splitlines() if "ev=auth.ok" in x)


def test_external_pop3(asking):
    server, authority = asking
    with with_certificate(asking, "pop3s", authority.sign("anna4", "email:anna")) as c:
        c.send("AUTH EXTERNAL =\r\n")
        assert c.line().startswith(b"+OK")
        c.send("STAT\r\n")
        assert c.line().startswith(b"+OK")


# ---- STARTTLS ----

START = {"imap": b"s STARTTLS\r\n", "pop3": b"STLS\r\n", "lmtp": b"STARTTLS\r\n"}
WELL = {"imap": b"s OK", "pop3": b"+OK", "lmtp": b"220"}
BEFORE = {"imap": b"", "pop3": b"", "lmtp": b"LHLO before.example\r\n"}
# Commands that would leave a trace if they ran, and the trace.
INJECTED = {
    "imap": (b"x LOGIN anna secret\r\n", b"x "),
    "pop3": (b"USER anna\r\nPASS secret\r\n", b"+OK"),
    "lmtp": (b"LHLO injected.example\r\nMAIL FROM:<evil@example.org>\r\n", b"250"),
}


def begin(server, protocol):
    c = server.raw(protocol)
    c.line()
    if BEFORE[protocol]:
        c.send(BEFORE[protocol])
        c.reply()
    return c


def under_tls(server, c):
    c.sock = server.tls().wrap_socket(c.sock)
    c.have = b""
    return c


def quiet_end(c):
    """What comes until the connection has been silent for a moment, or is gone."""
    said = c.have
    c.sock.settimeout(0.7)
    try:
        while True:
            more = c.sock.recv(4096)
            if not more:
                return said
            said += more
    except (TimeoutError, socket.timeout, ConnectionResetError):
        return said


@pytest.mark.parametrize("protocol", ["imap", "pop3", "lmtp"])
@pytest.mark.parametrize("how", ["one packet", "two packets", "byte by byte"])
def test_injection_before_the_handshake(shared, protocol, how):
    """What comes in the clear behind STARTTLS is never a command under TLS, however it is cut into packets: it is thrown
    away, or what the kernel still holds of it breaks the handshake [RFC 3207 s4.2, RFC 2595 s4]."""
    evil, trace = INJECTED[protocol]
    c = begin(shared, protocol)
    if how == "one packet":
        c.send(START[protocol] + evil)
    elif how == "two packets":
        c.send(START[protocol])
        time.sleep(0.05)
        c.send(evil)
    else:
        for i in range(len(START[protocol])):
            c.send(START[protocol][i:i + 1])
        c.send(evil)
    assert c.line().startswith(WELL[protocol])
    try:
        under_tls(shared, c)
    except (ssl.SSLError, ConnectionResetError, OSError):
        c.close()
        return
    assert trace not in quiet_end(c)
    c.close()


@pytest.mark.parametrize("protocol", ["imap", "pop3", "lmtp"])
def test_half_a_command_before_the_handshake(shared, protocol):
    """The beginning of a line in the clear and its end under TLS make no line."""
    c = begin(shared, protocol)
    c.send(START[protocol] + {"imap": b"x LOGIN anna ", "pop3": b"USER ", "lmtp": b"MAIL FROM:<evil@"}[protocol])
    assert c.line().startswith(WELL[protocol])
    under_tls(shared, c)
    c.send({"imap": b"secret\r\n", "pop3": b"anna\r\n", "lmtp": b"example.org>\r\n"}[protocol])
    assert c.line().split(b" ")[-1] != b"" and not c.have
    c.send({"imap": b"y NOOP\r\n", "pop3": b"CAPA\r\n", "lmtp": b"NOOP\r\n"}[protocol])
    assert c.line()[:5].startswith({"imap": b"y OK", "pop3": b"+OK", "lmtp": b"250"}[protocol])
    c.close()


def test_answers_injected_into_the_client(shared):
    """Nothing is said in the clear behind the answer to STARTTLS: a client has nothing to take for an answer under TLS."""
    for protocol in ("imap", "pop3", "lmtp"):
        c = begin(shared, protocol)
        c.send(START[protocol] + INJECTED[protocol][0])
        assert c.line().startswith(WELL[protocol])
        c.sock.settimeout(0.5)
        with pytest.raises((TimeoutError, socket.timeout)):
            c.sock.recv(1)
        c.close()


def test_lmtp_forgets_what_was_said(shared):
    """The client's name and the transaction go [RFC 3207 s4.2]."""
    c = begin(shared, "lmtp")
    c.send(b"MAIL FROM:<a@example.org>\r\n")
    assert c.reply().startswith(b"250")
    c.send(b"STARTTLS\r\n")
    if not c.reply().startswith(b"220"):                    # in a transaction it may be refused
        c.send(b"RSET\r\nSTARTTLS\r\n")
        assert c.reply().startswith(b"250") and c.reply().startswith(b"220")
    under_tls(shared, c)
    c.send(b"RCPT TO:<anna>\r\n")
    assert c.reply().startswith(b"503")
    c.send(b"MAIL FROM:<a@example.org>\r\n")
    assert c.reply().startswith(b"503")
    c.send(b"LHLO after.example\r\n")
    assert b"STARTTLS" not in c.reply()
    c.close()


def test_pop3_forgets_what_was_said(shared):
    """A name given before STLS counts no more [RFC 2595 s4]."""
    with shared.raw("pop3") as c:
        c.line()
        c.send(b"USER anna\r\n")
        c.line()
        c.send(b"STLS\r\n")
        assert c.line().startswith(b"+OK")
        under_tls(shared, c)
        c.send(b"PASS anna-secret\r\n")
        assert c.line().startswith(b"-ERR")


def test_imap_forgets_what_was_said(shared):
    """Capabilities are told anew, and hold what counts under TLS [RFC 9051 s6.2.1]."""
    with shared.raw("imap") as c:
        c.line()
        c.send(b"s STARTTLS\r\n")
        assert c.line().startswith(b"s OK")
        under_tls(shared, c)
        told = c.cmd("CAPABILITY")[0]
        assert b"STARTTLS" not in told and b"LOGINDISABLED" not in told and b"AUTH=PLAIN" in told
        c.cmd("STARTTLS", expect=b"BAD")


def test_starttls_can_be_turned_off():
    with reconfigured(lambda t, d: set_tls(t, starttls="no")) as s:
        for protocol, ask in (("imap", b"a CAPABILITY\r\n"), ("pop3", b"CAPA\r\n"), ("lmtp", b"LHLO x.example\r\n")):
            with s.raw(protocol) as c:
                greeting = c.line()
                c.send(ask)
                told = greeting + quiet_end(c)
                assert b"STARTTLS" not in told and b"STLS" not in told, told
                c.sock.settimeout(PATIENCE_S)
                c.send(START[protocol])
                assert not c.line().startswith(WELL[protocol])
        assert s.imap("anna", tls=True).noop()[0] == "OK"


def test_passwords_in_the_clear_are_refused():
    """Without TLS nothing asks for a password, and nothing takes one, right or wrong alike [RFC 8314 s4.1]."""
    with reconfigured(lambda t, d: re.sub(r"allow_plaintext_on_loopback.*", "allow_plaintext_on_loopback = no", t)) as s:
        good = base64.b64encode(b"\0anna\0secret").decode()
        with s.raw("imap") as c:
            assert b"LOGINDISABLED" in c.line()
            told = c.cmd("CAPABILITY")[0]
            assert b"LOGINDISABLED" in told and b"AUTH=PLAIN" not in told
            for text in ("LOGIN anna secret", "LOGIN anna wrong", "AUTHENTICATE PLAIN " + good):
                assert b"[PRIVACYREQUIRED]" in c.cmd(text, expect=b"NO")[-1]
        with s.raw("pop3") as c:
            c.line()
            c.send(b"CAPA\r\n")
            told = quiet_end(c)
            assert b"SASL" not in told and b"\r\nUSER" not in told and b"STLS" in told
            c.sock.settimeout(PATIENCE_S)
            for text in ("USER anna", "AUTH PLAIN " + good):
                c.send(text + "\r\n")
                assert c.line().startswith(b"-ERR")
        with s.raw("lmtp") as c:
            c.line()
            c.send("LHLO x.example\r\n")
            assert b"PLAIN" not in c.reply()
            c.send("AUTH PLAIN %s\r\n" % good)
            assert c.reply()[:1] == b"5"
