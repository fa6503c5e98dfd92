"""Who may deliver over TCP from beyond the loopback, and be believed about others; for whom, as the administrator has it;
by what a delivery is found again.

The loopback may always deliver, so that clients come through a proxy's header here, from addresses of their own.
"""

import base64
import os
import re
import ssl
import subprocess

import pytest

from harness import Raw, Server, fetch_all, free_port, message
from test_memory import pss_kib
from test_proxy import header

AUTH = "AUTH PLAIN " + base64.b64encode(b"\0mta\0mta-secret").decode()


def make_certificates(folder):
    """An authority, and by it certificates of two MTAs."""
    def openssl(*argv):
        subprocess.run(["openssl", *argv], check=True, capture_output=True, cwd=folder)

    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl("req", "-x509", *key, "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key", "-out", "ca.crt")
    for name in ("mx1", "mx2"):
        openssl("req", *key, "-subj", "/CN=x", "-keyout", name + ".key", "-out", name + ".csr")
        with open(os.path.join(folder, "ext"), "w") as f:
            f.write("subjectAltName=DNS:%s.example.org\nextendedKeyUsage=clientAuth\n" % name)
        openssl("x509", "-req", "-in", name + ".csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2",
                "-extfile", "ext", "-out", name + ".crt")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """For strangers: port `lmtp` with STARTTLS, port `lmtps` with TLS at once."""
    folder = str(tmp_path_factory.mktemp("certificates"))
    make_certificates(folder)
    ports = {"lmtp": free_port(), "lmtps": free_port()}

    def edit(text):
        text = text.replace("[tls]\n", "[tls]\nclient_ca = %s/ca.crt\nclient_name = dns\n" % folder)
        text = text.replace("[server]\n", "[server]\nproxy_networks = 127.0.0.1\n")
        for name, port in ports.items():
            text += "\n[listen far-%s]\nprotocol = %s\nport = %d\nproxy_protocol = yes\n" % (name, name, port)
        return text + "\n[lmtp]\nnetworks = 192.0.2.0/28, 2001:db8::/64\ncertificate_names = mx1.example.org\n" \
                      "auth_accounts = mta\ntrusted_networks = 192.0.2.1\n"

    os.chmod(folder, 0o755)
    with Server({"anna": "x-secret", "carla": "x-secret", "mta": "mta-secret"}, conf_edit=edit) as s:
        s.ports, s.folder = ports, folder
        s.start()
        yield s


def come(site, ip, certificate=None, listener="lmtps"):
    c = Raw(site.ports[listener])
    c.send(header(ip))
    if listener == "lmtps":
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
        if certificate:
            ctx.load_cert_chain(*(os.path.join(site.folder, certificate + end) for end in (".crt", ".key")))
        c.sock = ctx.wrap_socket(c.sock)
    assert c.reply().startswith(b"220 ")
    return c


def say(c, line):
    c.send(line + "\r\n")
    return c.reply()


@pytest.mark.parametrize("ip,certificate,login,may", [
    ("203.0.113.5", None, False, False), ("192.0.2.15", None, False, True), ("192.0.2.16", None, False, False),
    ("2001:db8::9", None, False, True), ("2001:db8:0:1::9", None, False, False), ("203.0.113.5", "mx1", False, True),
    ("203.0.113.5", "mx2", False, False), ("203.0.113.5", "mx2", True, True), ("203.0.113.5", None, True, True),
    ("127.0.0.1", None, False, False),
])
def test_who_may_deliver(site, ip, certificate, login, may):
    """By network, by certificate, after AUTH [RFC 4954]; whoever else is told to log in, and no name of an account."""
    with come(site, ip, certificate) as c:
        assert b"AUTH " in say(c, "LHLO mta.example")
        if login:
            assert say(c, AUTH).startswith(b"235 2.7.0")
        assert say(c, "MAIL FROM:<a@b.example>").startswith(b"250" if may else b"530 5.7.0")
        for rcpt, answer in (("anna", b"250 2.1.5"), ("nobody", b"550 5.1.1")):
            assert say(c, "RCPT TO:<%s>" % rcpt).startswith(answer if may else b"503 5.5.1")


def test_a_crowd_in_the_middle_of_auth(site):
    """Memory of strangers who have half logged in, TLS included. (In clear: test_memory.py.)"""
    def stop_half_way(n):
        c = come(site, "203.0.113.%d" % (n % 250))
        say(c, "LHLO mta.example")
        assert say(c, "AUTH SCRAM-SHA-256 biwsbj1tdGEscj1hYmNkZWZnaGlqa2w=").startswith(b"334 ")
        c.send("Yz1iaXdz")
        return c

    first = [stop_half_way(n) for n in range(10)]
    before = pss_kib(site)
    open_ = [stop_half_way(n) for n in range(500)]
    each = (pss_kib(site) - before) / len(open_)
    print("lmtps, exchange: %.1f KiB each" % each)
    assert site.sanitized() or each < 64, each
    for c in first + open_:
        c.close()


def test_auth_wants_tls(site):
    """In the clear AUTH is not offered, and not taken with the right password."""
    with come(site, "203.0.113.5", listener="lmtp") as c:
        told = say(c, "LHLO mta.example")
        assert b"STARTTLS" in told and b"PLAIN" not in told
        assert say(c, AUTH)[:1] == b"5"
        assert say(c, "MAIL FROM:<a@b.example>").startswith(b"530 5.7.0")


@pytest.mark.parametrize("ip,believed", [("192.0.2.1", True), ("192.0.2.2", False), ("203.0.113.5", False)])
def test_who_is_believed_about_others(site, ip, believed):
    """XCLIENT and XFORWARD are offered to trusted_networks, and refused from elsewhere: not even "192.0.2.1 says so"."""
    with come(site, ip) as c:
        told = say(c, "LHLO mta.example")
        assert (b"XCLIENT" in told) == (b"XFORWARD" in told) == believed
        assert say(c, "XFORWARD ADDR=198.51.100.1 IDENT=4Wq1")[:1] == (b"2" if believed else b"5")
        assert say(c, "XCLIENT ADDR=192.0.2.1")[:1] == (b"2" if believed else b"5")
        say(c, "LHLO again.example")
        assert say(c, "MAIL FROM:<a@b.example>")[:3] == (b"530" if ip == "203.0.113.5" else b"250")


def test_a_transaction_is_found_by_its_id(site):
    """The reply's id stands in the log lines and in the trace, is one for all recipients, and another the next time."""
    ids = []
    with come(site, "192.0.2.5") as c:
        say(c, "LHLO mta.example")
        for _ in range(2):
            say(c, "MAIL FROM:<a@b.example>")
            for rcpt in ("anna", "carla"):
                say(c, "RCPT TO:<%s>" % rcpt)
            assert say(c, "DATA").startswith(b"354")
            c.send(message("found") + ".\r\n")
            one, two = (re.fullmatch(rb"250 2\.0\.0 Delivered, id (\S+)", c.reply()).group(1) for _ in range(2))
            assert one == two
            ids.append(one.decode())
    assert ids[0] != ids[1]
    for user in ("anna", "carla"):
        with site.imap(user) as c:
            traces = [re.search(r" id (\S+?);?\s", d.decode()).group(1) for _, d in fetch_all(c).values()]
        assert traces == ids
        lines = [x for x in site.log().splitlines() if "ev=lmtp.delivered" in x and " account=%s " % user in x]
        assert [re.search(r" id=(\S+)", x).group(1) for x in lines] == ids


@pytest.mark.parametrize("full,locked", [("452", "550"), ("552", "450")])
def test_full_and_locked_accounts_as_configured(full, locked):
    """For now or for good, at RCPT and behind the data, each recipient for itself; other recipients get theirs."""
    told = {"452": b"452 4.2.2", "552": b"552 5.2.2", "550": b"550 5.2.1", "450": b"450 4.2.1"}

    def edit(text):
        text = text.replace("[server]\n", "[server]\noverquota_reply = %s\n" % full)
        return text + "\n[lmtp]\nlocked_reply = %s\n" % locked

    with Server({n: "x-secret" for n in ("anna", "boris", "carla")}, conf_edit=edit) as s:
        s.start()
        s.ctl("user", "lock", "boris")
        s.ctl("quota", "set", "carla", "8000")
        with s.raw("lmtp") as c:
            c.reply()
            say(c, "LHLO mta.example")
            say(c, "MAIL FROM:<a@b.example>")
            assert say(c, "RCPT TO:<boris@example.org>").startswith(told[locked])
            for rcpt in ("anna", "carla"):
                assert say(c, "RCPT TO:<%s>" % rcpt).startswith(b"250")
            say(c, "DATA")
            c.send(message("large", size=9000) + ".\r\n")
            assert c.reply().startswith(b"250 2.0.0") and c.reply().startswith(told[full])
            s.ctl("quota", "set", "carla", "1")
            say(c, "MAIL FROM:<a@b.example> SIZE=100")
            assert say(c, "RCPT TO:<carla>").startswith(told[full])
            assert say(c, "RCPT TO:<anna>").startswith(b"250")
        with s.imap("anna") as c:
            assert len(fetch_all(c)) == 1
