"""Mail programs that people use, driven against a real server: what their authors took IMAP to mean."""

import glob
import mailbox
import os
import re

import pytest

from clients import need, run
from harness import fetch_all, message, strip_trace


# ---- curl ----

def curl(home, *args, scheme="imap", path="", expect=0):
    server, user, top = home
    url = "%s://127.0.0.1:%d/%s" % (scheme, server.port(scheme), path)
    argv = [need("curl", "curl"), "-sS", "--insecure", "--user", user + ":secret"] + list(args) + [url]
    return run(argv, top, expect)


def test_curl_reads_lists_and_searches(home):
    server, user, _ = home
    text = message("for curl", size=5000)
    server.deliver([user], text)
    server.deliver([user], message("another"))
    assert '* LIST (\\HasNoChildren) "/" INBOX' in curl(home)
    got = curl(home, path="INBOX;UID=1").encode()
    assert strip_trace(got.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")) == text.encode()
    assert "Subject: for curl" in curl(home, path="INBOX;UID=1;SECTION=HEADER.FIELDS%20(SUBJECT)")
    assert "* SEARCH 2" in curl(home, path="INBOX?SUBJECT%20another")
    assert "Subject: another" in curl(home, scheme="imaps", path="INBOX;UID=2")
    assert "* 1 FETCH (FLAGS (\\Seen $x))" in curl(home, "-X", "STORE 1 +FLAGS ($x)", path="INBOX")


def test_curl_starttls_and_wrong_password(home):
    server, user, top = home
    assert "INBOX" in curl(home, "--ssl-reqd")
    url = "imap://127.0.0.1:%d/" % server.port("imap")
    run([need("curl", "curl"), "-sS", "--user", user + ":wrong", url], top, expect=67)


def test_curl_appends(home):
    server, user, top = home
    text = message("sent by curl", size=200000)
    with open(os.path.join(top, "mail"), "w", newline="") as f:
        f.write(text)
    curl(home, "-T", os.path.join(top, "mail"), path="INBOX")
    with server.imap(user) as c:
        (_, data), = fetch_all(c).values()
    assert data == text.encode()


# ---- mbsync ----

MBSYNCRC = """
IMAPStore far
Host 127.0.0.1
Port {port}
User {user}
Pass secret
SSLType None
AuthMechs {mechs}

MaildirStore near
Path {mail}/
Inbox {mail}/INBOX
SubFolders Verbatim

Channel all
Far :far:
Near :near:
Patterns *
Create Both
Remove Both
Expunge Both
CopyArrivalDate yes
SyncState *
"""


class Mbsync:
    def __init__(self, home, mechs):
        server, user, top = home
        self.program = need("mbsync", "isync")
        self.top, self.mail, self.rc = top, os.path.join(top, "mail"), os.path.join(top, "mbsyncrc")
        os.makedirs(self.mail)
        with open(self.rc, "w") as f:
            f.write(MBSYNCRC.format(port=server.port("imap"), user=user, mechs=mechs, mail=self.mail))

    def sync(self):
        run([self.program, "-c", self.rc, "-a"], self.top)

    def box(self, name="INBOX"):
        return mailbox.Maildir(os.path.join(self.mail, name), create=False)

    def state(self):
        """[(mailbox, subject, flags)] of all that lies here."""
        out = []
        for path in glob.glob(self.mail + "/**/cur", recursive=True):
            name = os.path.relpath(os.path.dirname(path), self.mail)
            out += [(name, m["Subject"], m.get_flags()) for m in self.box(name)]
        return sorted(out)


def state(server, user):
    """[(subject, flags)] of INBOX."""
    with server.imap(user) as c:
        return sorted((re.search(rb"(?m)^Subject: (.*?)\r$", data).group(1).decode(), flags)
                      for flags, data in fetch_all(c).values())


def settled(sync, server, user):
    """More runs change nothing on either side."""
    before = (sync.state(), state(server, user))
    for _ in range(2):
        sync.sync()
        assert (sync.state(), state(server, user)) == before


def set_flag(box, subject, flag):
    for key in box.keys():
        m = box[key]
        if m["Subject"] == subject:
            m.add_flag(flag)
            m.set_subdir("cur")
            box[key] = m
            return
    raise AssertionError("no message " + subject)


@pytest.mark.parametrize("mechs", ["LOGIN", "PLAIN"])
def test_mbsync_both_ways(home, mechs):
    server, user, _ = home
    for i in range(6):
        server.deliver([user], message("m%d" % i, size=3000))
    sync = Mbsync(home, mechs)
    sync.sync()
    box = sync.box()
    assert sorted(m["Subject"] for m in box) == ["m%d" % i for i in range(6)]
    settled(sync, server, user)

    # Changes here: a flag, a deletion, a message, a mailbox.
    set_flag(box, "m0", "F")
    set_flag(box, "m1", "T")
    box.add(message("written here").replace("\r\n", "\n").encode())
    mailbox.Maildir(os.path.join(sync.mail, "project"), create=True).add(b"Subject: in project\n\nx\n")
    sync.sync()
    far = dict(state(server, user))
    assert "m1" not in far and far["m0"] == [b"\\Flagged"] and far["written here"] == []
    with server.imap(user) as c:
        assert c.status("project", "(MESSAGES)") == ("OK", [b"project (MESSAGES 1)"])
    settled(sync, server, user)

    # Changes there: a flag, a deletion, a message, a nested mailbox.
    with server.imap(user) as c:
        c.select("INBOX")
        c.uid("STORE", "3", "+FLAGS", "(\\Answered)")
        c.uid("STORE", "4", "+FLAGS", "(\\Deleted)")
        c.create("work/sub")
    server.deliver([user], message("m6"))
    sync.sync()
    near = {m["Subject"]: m.get_flags() for m in sync.box()}
    assert near["m2"] == "R" and "m3" not in near and "m6" in near
    assert os.path.isdir(os.path.join(sync.mail, "work", "sub", "cur"))
    settled(sync, server, user)
    left = ["m0", "m2", "m4", "m5", "m6", "written here"]
    assert [subject for subject, _ in state(server, user)] == sorted(m["Subject"] for m in sync.box()) == left
