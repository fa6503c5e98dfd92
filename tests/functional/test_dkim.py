"""A message signed with DKIM [RFC 6376] before its delivery still verifies as it is read: not an octet has changed, and
trace fields stand above it. Signed and verified by python3-dkim."""

import base64
import subprocess

import dkim                     # Debian: python3-dkim
import pytest

from clients import read
from harness import Server

HEAD = ("From: Sender <sender@example.org>\r\nTo: anna@example.org\r\nSubject: signed\r\n"
        "Date: Tue, 03 Nov 2026 10:00:00 +0100\r\nMessage-ID: <%s@example.org>\r\n")
MIME = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"
KINDS = {
    "plain": (HEAD, "one line\r\n"),
    "no-body": (HEAD, ""),
    "dots": (HEAD, ".\r\n..\r\n.x\r\n\r\n.\r\n"),
    "trailing-blank-lines": (HEAD, "text\r\n\r\n\r\n\r\n"),
    "leading-blank-lines": (HEAD, "\r\n\r\ntext\r\n"),
    "spaces": (HEAD, "a  b\t c \r\n \t \r\nd   \r\n"),
    "long-lines": (HEAD, "x" * 998 + "\r\n" + "y" * 5000 + "\r\n"),
    "8bit": (HEAD + MIME, "Gr\u00fc\u00dfe, \u65e5\u672c\u8a9e\r\n"),
    "8bit-header": (HEAD.replace("signed", "sign\u00e9") + MIME, "Gr\u00fc\u00dfe\r\n"),
    "folded": (HEAD + "X-Folded: a\r\n\tb\r\n   c\r\nreferences:  <a@b>\r\n <c@d>\r\n", "x\r\n"),
    "bare-cr": (HEAD, "a\rb\r\n\rc\r\r\n"),
    "large": (HEAD, "".join("line %d of a large message. \r\n" % i for i in range(60000))),
    "multipart": (HEAD + "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=\"=b\"\r\n",
                  "preamble\r\n--=b\r\n\r\ntext=20\r\n--=b\r\nContent-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n"
                  "--=b--\r\nepilogue\r\n\r\n"),
}


@pytest.fixture(scope="module")
def key(tmp_path_factory):
    """(private key in PEM, its path, the TXT record of the public one)."""
    top = tmp_path_factory.mktemp("dkim")
    path = str(top / "key.pem")
    subprocess.run(["openssl", "genrsa", "-traditional", "-out", path, "2048"], check=True, capture_output=True)
    public = subprocess.run(["openssl", "rsa", "-in", path, "-pubout", "-outform", "DER"], check=True, capture_output=True).stdout
    return read(path).encode(), path, b"v=DKIM1; k=rsa; p=" + base64.b64encode(public)


def sign(key, data, how):
    header, body = how.split("/")
    return dkim.sign(data, b"sel", b"example.org", key[0], canonicalize=(header.encode(), body.encode()),
                     include_headers=[b"from", b"to", b"subject", b"date", b"message-id"]) + data


def verifies(key, data):
    return dkim.verify(data, dnsfunc=lambda name, timeout=5: key[2] if name.startswith(b"sel._domainkey.example.org") else None)


def fetched(server, user):
    with server.imap(user) as c:
        c.select(readonly=True)
        return c.fetch("1", "(BODY.PEEK[])")[1][0][1]


def popped(server, user, utf8):
    p = server.pop(user, utf8=utf8)
    data = b"\r\n".join(p.retr(1)[1]) + b"\r\n"
    p.quit()
    return data


def deliver(server, user, data):
    server.add_user(user)
    with server.lmtp() as c:
        c.sendmail("a@example.org", [user], data, mail_options=["BODY=8BITMIME"])


@pytest.mark.parametrize("how", ["simple/simple", "relaxed/relaxed", "relaxed/simple"])
@pytest.mark.parametrize("kind", KINDS)
def test_signature_survives(shared, key, kind, how):
    head, body = KINDS[kind]
    data = (head % kind + "\r\n" + body).encode()
    text = sign(key, data, how)
    assert verifies(key, text) and not verifies(key, text.replace(b"example.org>\r\n\r\n", b"example.com>\r\n\r\n", 1) + b"x\r\n")
    user = "d-%s-%s" % (kind, how.replace("/", "-"))
    deliver(shared, user, text)
    for got in fetched(shared, user), popped(shared, user, utf8=True):
        assert got.startswith(b"Return-Path:") and got.endswith(text)
        assert verifies(key, got)
    if head.isascii():
        assert verifies(key, popped(shared, user, utf8=False))


def test_append_and_copy(shared, key):
    """The same holds for what comes by APPEND, and in a copy; nothing is put above it then."""
    text = sign(key, (KINDS["8bit"][0] % "copy" + "\r\n" + KINDS["8bit"][1]).encode(), "simple/simple")
    shared.add_user("d-copy")
    with shared.imap("d-copy") as c:
        assert c.append("INBOX", None, None, text)[0] == "OK"
        c.select()
        assert c.copy("1", "Archive")[0] == "OK"
        c.select("Archive")
        got = c.fetch("1", "(BODY.PEEK[])")[1][0][1]
    assert got == text and verifies(key, got)


def test_bare_lf_becomes_crlf(shared, key):
    """A signer signs CRLF, whatever its own line ends are; so what came with bare LF verifies as it is stored, with CRLF."""
    data = (HEAD % "lf" + "\r\none\r\ntwo\r\n").encode()
    text = sign(key, data, "simple/simple")
    shared.add_user("d-lf")
    with shared.raw("lmtp") as c:
        c.reply()
        c.send("LHLO x\r\n")
        c.reply()
        c.send(b"MAIL FROM:<a@example.org>\r\nRCPT TO:<d-lf>\r\nDATA\r\n")
        assert [c.reply()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        c.send(text.replace(b"\r\n", b"\n")[:-1] + b"\r\n.\r\n")
        assert c.reply()[:3] == b"250"
    for got in fetched(shared, "d-lf"), popped(shared, "d-lf", utf8=False):
        assert got.endswith(text) and verifies(key, got)


def test_after_restart_rebuild_and_compaction(key):
    with Server({"anna": "secret"}) as s:
        s.start()
        text = sign(key, (HEAD % "kept" + "\r\n" + "kept\r\n" * 5000).encode(), "simple/simple")
        s.deliver("anna", text)
        s.ctl("compact", "--all", "--recompress", "9")
        assert verifies(key, fetched(s, "anna"))
        s.stop()
        s.ctl("reindex")
        s.start()
        assert verifies(key, fetched(s, "anna")) and verifies(key, popped(s, "anna", utf8=False))
