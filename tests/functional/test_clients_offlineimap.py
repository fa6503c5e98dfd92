"""offlineimap keeps a Maildir and the server alike, both ways."""

import hashlib
import mailbox
import os
import ssl

from clients import change, maildir_subjects, need, run, state, write
from harness import message

RC = """
[general]
accounts = here
ui = quiet
metadata = {top}/state
socktimeout = 60

[Account here]
localrepository = near
remoterepository = far
maxsyncaccounts = 1

[Repository near]
type = Maildir
localfolders = {top}/mail
sep = /

[Repository far]
type = IMAP
remotehost = 127.0.0.1
remoteport = {port}
ssl = yes
cert_fingerprint = {fingerprint}
remoteuser = {user}
remotepass = secret
auth_mechanisms = {mechanism}
maxconnections = 2
"""


def fingerprint(server):
    """Of the certificate that the server shows: what a user would be asked to trust."""
    pem = ssl.get_server_certificate(("127.0.0.1", server.port("imaps")))
    return hashlib.sha1(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()


class Offlineimap:
    def __init__(self, home, mechanism="PLAIN"):
        server, user, self.top = home
        self.program = need("offlineimap", "offlineimap3")
        self.mail = os.path.join(self.top, "mail")
        self.rc = write(self.top + "/offlineimaprc", RC.format(
            top=self.top, port=server.port("imaps"), user=user, mechanism=mechanism, fingerprint=fingerprint(server)))

    def sync(self):
        return run([self.program, "-o", "-c", self.rc], self.top)

    def state(self, box="INBOX"):
        return maildir_subjects(os.path.join(self.mail, box))


def find(path, subject):
    """The file of a message."""
    box = mailbox.Maildir(path, create=False)
    for key in box.keys():
        if box[key]["Subject"] == subject:
            return os.path.join(path, box._toc[key])
    raise AssertionError("no message " + subject)


def set_flags(path, subject, flags):
    """The name holds the UID that offlineimap knows it by: only what is behind the colon changes."""
    old = find(path, subject)
    os.rename(old, os.path.join(path, "cur", os.path.basename(old).split(":")[0] + ":2," + flags))


def test_offlineimap_both_ways(home):
    server, user, top = home
    for i in range(5):
        server.deliver([user], message("m%d" % i, size=3000))
    o = Offlineimap(home)
    o.sync()
    assert [s for s, _ in o.state()] == ["m%d" % i for i in range(5)]

    # Here: a flag, a deletion, a new message, a new mailbox.
    inbox = os.path.join(o.mail, "INBOX")
    set_flags(inbox, "m0", "FS")
    os.remove(find(inbox, "m1"))
    mailbox.Maildir(inbox, create=False).add(message("written here").replace("\r\n", "\n").encode())
    mailbox.Maildir(os.path.join(o.mail, "project"), create=True).add(b"Subject: in project\n\nx\n")
    o.sync()
    there = dict(state(server, user))
    assert "m1" not in there and there["m0"] == ["\\Flagged", "\\Seen"] and "written here" in there
    assert [s for s, _ in state(server, user, "project")] == ["in project"]

    # There: a flag, a deletion, a delivery, a mailbox below another.
    change(server, user, "m2", "\\Answered \\Seen")
    change(server, user, "m3", "\\Deleted", expunge=True)
    with server.imap(user) as c:
        c.create("work/sub")
        c.append("work/sub", "(\\Seen)", None, message("in sub").encode())
    server.deliver([user], message("m5"))
    o.sync()
    here = dict(o.state())
    assert "m3" not in here and sorted(here["m2"]) == ["R", "S"] and "m5" in here
    assert o.state("work/sub") == [("in sub", "S")]

    # Nothing moves any more.
    for _ in range(2):
        before = (o.state(), state(server, user))
        o.sync()
        assert (o.state(), state(server, user)) == before
    assert sorted(here) == [s for s, _ in state(server, user)] == ["m0", "m2", "m4", "m5", "written here"]
