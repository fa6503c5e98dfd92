"""Programs that collect mail from a server: fetchmail and getmail, over POP3 and IMAP."""

import glob
import os

import pytest

from clients import change, need, read, run, state, subjects, write
from harness import message

MDA = """#!/bin/sh
# Takes one message from standard input into a file of its own.
exec cat >"$(mktemp '{top}/got/XXXXXXXX')"
"""


def collected(top):
    return [read(p) for p in sorted(glob.glob(top + "/got/*"))]


@pytest.fixture
def mda(home):
    top = home[2]
    os.makedirs(top + "/got")
    path = write(top + "/mda", MDA.format(top=top))
    os.chmod(path, 0o700)
    return path


FETCHMAILRC = """
set no bouncemail
set no spambounce
poll 127.0.0.1 protocol {protocol} service {port} no dns tracepolls
  user "{user}" password "secret" {ssl} {keep} mda "{mda}" {options}
"""


class Fetchmail:
    def __init__(self, home, mda, protocol, tls, keep, options=""):
        server, user, self.top = home
        self.program = need("fetchmail", "fetchmail")
        listener = protocol + ("s" if tls else "")
        self.rc = write(self.top + "/fetchmailrc", FETCHMAILRC.format(
            protocol=protocol, port=server.port(listener), user=user, mda=mda, options=options,
            ssl="ssl no sslcertck" if tls else "sslproto ''", keep="keep" if keep else "no keep"))

    def fetch(self, expect=0):
        return run([self.program, "-f", self.rc, "--nosyslog", "-v", "--pidfile", self.top + "/pid",
                    "--idfile", self.top + "/ids"], self.top, expect)


@pytest.mark.parametrize("protocol,tls", [("imap", False), ("imap", True), ("pop3", False), ("pop3", True)])
def test_fetchmail_takes_all_and_deletes(home, mda, protocol, tls):
    server, user, top = home
    sent = [message("m%d" % i, size=2000 * i) for i in range(5)]
    for text in sent:
        server.deliver([user], text)
    f = Fetchmail(home, mda, protocol, tls, keep=False)
    f.fetch()
    got = collected(top)
    assert subjects("".join(got)) == ["m%d" % i for i in range(5)]
    for text in sent:
        body = text.replace("\r\n", "\n").split("\n\n", 1)[1]
        assert any(g.endswith(body) for g in got)
    assert state(server, user) == []
    f.fetch(expect=1)           # 1: nothing to fetch


def test_fetchmail_imap_keeps_and_takes_only_the_new(home, mda):
    server, user, top = home
    for i in range(3):
        server.deliver([user], message("m%d" % i))
    f = Fetchmail(home, mda, "imap", False, keep=True)
    f.fetch()
    assert len(collected(top)) == 3
    assert [flags for _, flags in state(server, user)] == [["\\Seen"]] * 3
    server.deliver([user], message("m3"))
    f.fetch()
    assert subjects("".join(collected(top))) == ["m0", "m1", "m2", "m3"]


GETMAILRC = """
[retriever]
type = Simple{kind}Retriever
server = 127.0.0.1
port = {port}
username = {user}
password = secret
timeout = 60
{more}

[destination]
type = MDA_external
path = {mda}
allow_root_commands = true
unixfrom = false

[options]
read_all = {read_all}
delete = {delete}
verbose = 1
message_log = {top}/getmail.log
received = false
delivered_to = false
"""


class Getmail:
    def __init__(self, home, mda, protocol, tls, read_all, delete):
        server, user, self.top = home
        self.program = need("getmail", "getmail6")
        kind = {"imap": "IMAP", "pop3": "POP3"}[protocol] + ("SSL" if tls else "")
        self.rc = write(self.top + "/getmailrc", GETMAILRC.format(
            kind=kind, port=server.port(protocol + ("s" if tls else "")), user=user, top=self.top, mda=mda,
            more='mailboxes = ("INBOX", "project")' if protocol == "imap" else "",
            read_all="true" if read_all else "false", delete="true" if delete else "false"))

    def fetch(self):
        return run([self.program, "--getmaildir", self.top, "--rcfile", self.rc], self.top)

    def got(self):
        return subjects("".join(collected(self.top)))


@pytest.mark.parametrize("protocol,tls", [("imap", False), ("imap", True), ("pop3", False), ("pop3", True)])
def test_getmail_takes_only_the_new(home, mda, protocol, tls):
    server, user, top = home
    sent = [message("m%d" % i, size=3000) for i in range(4)]
    for text in sent:
        server.deliver([user], text)
    want = ["m%d" % i for i in range(4)]
    if protocol == "imap":
        with server.imap(user) as c:
            c.create("project")
            c.append("project", None, None, message("in project").encode())
        want = ["in project"] + want
    g = Getmail(home, mda, protocol, tls, read_all=False, delete=False)
    g.fetch()
    assert g.got() == want
    # What it has seen it knows by UIDVALIDITY and UID, or by UIDL: only the new ones come.
    server.deliver([user], message("m4"))
    if protocol == "imap":
        change(server, user, "m0", "\\Deleted", expunge=True)
    g.fetch()
    assert g.got() == sorted(want + ["m4"])
    texts = [t.replace("\r\n", "\n") for t in collected(top)]
    for text in sent:
        assert any(t.endswith(text.replace("\r\n", "\n").split("\n\n", 1)[1]) for t in texts)


def test_getmail_deletes(home, mda):
    server, user, top = home
    for i in range(3):
        server.deliver([user], message("m%d" % i))
    with server.imap(user) as c:
        c.create("project")
    Getmail(home, mda, "imap", True, read_all=True, delete=True).fetch()
    assert state(server, user) == []


# ---- mpop ----

MPOPRC = """
defaults
tls_trust_file {cert}
delivery maildir {top}/box
uidls_file {top}/uidls

account here
host localhost
port {port}
user {user}
password secret
auth {auth}
tls {tls}
tls_starttls {starttls}
keep {keep}
only_new {only_new}
{more}
"""


class Mpop:
    """What it collects comes into a Maildir."""

    def __init__(self, home, auth="on", tls=True, starttls=False, keep=False, only_new=True, more=""):
        server, user, self.top = home
        self.program = need("mpop", "mpop")
        for name in "cur", "new", "tmp":
            os.makedirs("%s/box/%s" % (self.top, name), exist_ok=True)
        onoff = {True: "on", False: "off"}
        self.rc = write(self.top + "/mpoprc", MPOPRC.format(
            cert=certificate(server), top=self.top, port=server.port("pop3s" if tls and not starttls else "pop3"), user=user,
            auth=auth, tls=onoff[tls], starttls=onoff[starttls], keep=onoff[keep], only_new=onoff[only_new], more=more))
        os.chmod(self.rc, 0o600)

    def fetch(self, expect=0):
        return run([self.program, "--file=" + self.rc, "--debug", "here"], self.top, expect)

    def got(self):
        return [read(p) for p in glob.glob(self.top + "/box/new/*")]


def certificate(server):
    for root, _, files in os.walk(server.dir):
        for name in files:
            if name.endswith((".pem", ".crt")) and "BEGIN CERTIFICATE" in read(os.path.join(root, name)):
                return os.path.join(root, name)
    raise RuntimeError("no certificate")


@pytest.mark.parametrize("auth", ["on", "user", "plain", "login", "scram-sha-1", "scram-sha-256"])
def test_mpop_logs_in_and_takes_all(home, auth):
    """Over POP3S, pipelined, with each mechanism that it shares with us; all is deleted at QUIT."""
    server, user, _ = home
    sent = [message("m%d" % i, size=3000 * i, body=".\r\n..x\r\n") for i in range(5)]
    for text in sent:
        server.deliver([user], text)
    m = Mpop(home, auth)
    said = m.fetch()
    assert sorted(subjects("".join(m.got()))) == ["m%d" % i for i in range(5)]
    for text in sent:
        assert any(g.endswith(text.replace("\r\n", "\n").split("\n\n", 1)[1]) for g in m.got())
    if auth.startswith("scram"):
        assert "AUTH " + auth.upper() in said and "secret" not in said
    assert state(server, user) == []


def test_mpop_stls_keeps_and_takes_only_the_new(home):
    server, user, _ = home
    for i in range(3):
        server.deliver([user], message("m%d" % i))
    m = Mpop(home, starttls=True, keep=True)
    assert "STLS" in m.fetch()
    assert len(m.got()) == 3
    server.deliver([user], message("m3"))
    m.fetch()
    assert sorted(subjects("".join(m.got()))) == ["m0", "m1", "m2", "m3"]
    assert len(state(server, user)) == 4


def test_mpop_wrong_password(home):
    server, user, top = home
    m = Mpop(home)
    write(m.rc, read(m.rc).replace("password secret", "password wrong"))
    os.chmod(m.rc, 0o600)
    run([m.program, "--file=" + m.rc, "here"], top, expect=77)          # EX_NOPERM


# ---- curl ----

def curl(home, *args, path="", expect=0):
    server, user, top = home
    return run([need("curl", "curl"), "-sS", "--insecure", "--user", user + ":secret"] + list(args) +
               ["pop3s://127.0.0.1:%d/%s" % (server.port("pop3s"), path)], top, expect)


def test_curl_over_pop3s(home):
    server, user, _ = home
    text = message("for curl", body=".dot\r\n..\r\nend\r\n")
    server.deliver([user], text)
    server.deliver([user], message("another"))
    listed = curl(home).split()
    assert listed[0::2] == ["1", "2"]
    got = curl(home, path="1").replace("\r\n", "\n")
    assert got.endswith(text.replace("\r\n", "\n").split("\n\n", 1)[1])
    assert len(curl(home, "-X", "UIDL").split()) == 4
    assert "Subject: another" in curl(home, "-X", "TOP 2 0")
    assert "for curl" in curl(home, "--login-options", "AUTH=PLAIN", "--sasl-ir", path="1")
    curl(home, "-X", "DELE 1", "--head")
    assert len(state(server, user)) == 1
    curl(home, path="7", expect=8)
