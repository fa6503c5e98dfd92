"""Messages go out and come back: restantectl import and export, with the daemon and without it."""

import json
import mailbox
import os
import pty
import random
import re
import select
import shutil
import signal
import subprocess
import time

import pytest

from harness import RESTANTECTL, Server, fetch_all, set_limit

ODD = [
    b"Subject: plain\n\nbody\n",
    b"Subject: crlf\r\n\r\nbody\r\n",
    b"Subject: quoting\n\nFrom here\n>From there\n>>From over there\nFromage\n Fr",
    b"Subject: cr\n\nabc\r\r\nx\ry\r\r\r\nz\r",
    b"Subject: nul\n\na\0b\0\n",
    b"Subject: only a header\n",
    b"\nno header\n",
    b"Subject: blank lines\n\n\n\n\n",
    b"Subject: no end\n\nlast line without its end",
    b"Subject: eight bit\n\n\xff\xfe\x80\n",
    b"Status: RO\nX-Keywords: mine\nContent-Length: 2\nSubject: fields of an mbox\n\nlonger than two\n",
    b"From someone Sat Jan  3 01:05:34 1996\nSubject: it begins so\n\nx\n",
    b">From someone\nSubject: or so\n\nx\n",
    b"Subject: like another\n\nFrom anna@example.org Sat Jan  3 01:05:34 1996\nSubject: inner\n\nx\n",
    b"Subject: long\n\n" + b"x" * 200000 + b"\n" + b"From " * 30000 + b"\n",
]


@pytest.fixture(params=["online", "offline"])
def server(request):
    with Server({"anna": "secret", "bert": "secret"}) as s:
        s.online = request.param == "online"
        if s.online:
            s.start()
        yield s


def summary(s, *argv, expect=0):
    return json.loads(s.ctl(*argv, "--json", expect=expect).splitlines()[-1])


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def as_stored(data):
    return data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n") if b"\r" not in data.replace(b"\r\n", b"") else None


def with_imap(s, user, work):
    """`work` with an IMAP session, the server being started for it if need be."""
    started = s.proc is None
    if started:
        s.start()
    try:
        c = s.imap(user)
        try:
            return work(c)
        finally:
            c.logout()
    finally:
        if started:
            s.stop()


def tree(path):
    """All files of a tree: the path below it and the content."""
    found = {}
    for root, _, files in os.walk(path):
        for name in files:
            p = os.path.join(root, name)
            with open(p, "rb") as f:
                found[os.path.relpath(p, path)] = f.read()
    return found


def odd_maildir(s, count=len(ODD)):
    md = os.path.join(s.top, "md")
    for sub in ("cur", "new", "tmp"):
        os.makedirs(os.path.join(md, sub), exist_ok=True)
    for i, data in enumerate(ODD[:count]):
        name = "%d.M%d.host" % (1000000000 + i, i)
        path = os.path.join(md, "cur", name + (":2,FSb" if i % 2 else ":2,Da"))
        write(path, data)
        os.utime(path, (1100000000 + i, 1100000000 + i))
    write(os.path.join(md, "dovecot-keywords"), b"0 $Forwarded\n1 Work\n")
    write(os.path.join(md, "dovecot-uidlist"), b"3 V1234567890 N5000 Gabc\n" + b"".join(
        b"%d W10 P%s :%d.M%d.host\n" % (100 + 3 * i, b"uidl-%d" % i, 1000000000 + i, i) for i in range(count)))
    write(os.path.join(md, ".Lists.caf&AOk-", "cur", "1.x:2,S"), ODD[0])
    for sub in ("new", "tmp"):
        os.makedirs(os.path.join(md, ".Lists.caf&AOk-", sub))
    write(os.path.join(md, "subscriptions"), b"V\t2\n\nLists\tcaf&AOk-\n")
    return md


@pytest.mark.parametrize("form", ["maildir", "mbox", "eml"])
def test_round_trip(server, form):
    """Out and in again: octets, flags, keywords, dates with their zones, UIDs and POP3 unique-ids are the same."""
    s, out = server, os.path.join(server.top, "out")
    md = odd_maildir(s)
    got = summary(s, "import", "--keep-uids", "--keep-uidl", "anna", md)
    assert (got["imported"], got["bad"], got["left"]) == (len(ODD) + 1, 0, 0)
    assert summary(s, "export", "--format", form, "anna", out)["messages"] == len(ODD) + 1
    got = summary(s, "import", "--keep-uids", "--keep-uidl", "--format", form, "bert", out)
    assert (got["imported"], got["bad"]) == (len(ODD) + 1, 0)
    trees = []
    for user in ("anna", "bert"):
        dump = os.path.join(s.top, "dump-" + user)
        s.ctl("export", "--format", "eml", user, dump)
        trees.append({k: v for k, v in tree(dump).items() if k.startswith(("INBOX/", "Lists/caf"))})
    assert len([k for k in trees[0] if k.endswith(".eml")]) == len(ODD) + 1
    assert trees[0] == trees[1]
    inbox = trees[0]["INBOX/restante-messages"].decode().splitlines()
    assert inbox[0].split("\t")[2:4] == ["1234567890", "5000"]
    assert inbox[1].split("\t")[:8] == ["100.eml", "100", "1100000000", "0", "D", "$Forwarded", "uidl-0",
                                        str(len(ODD[0]) + 3)]
    for i, data in enumerate(ODD):
        stored = as_stored(data)
        if stored is not None:
            assert trees[0]["INBOX/%d.eml" % (100 + 3 * i)] == stored


def test_served(server):
    """What was imported is served so: IMAP's UIDs, flags, keywords and dates, POP3's unique-ids."""
    s = server
    s.ctl("import", "--keep-uids", "--keep-uidl", "anna", odd_maildir(s, 3))

    def look(c):
        assert c.select("INBOX")[1] == [b"3"]
        assert c.response("UIDVALIDITY")[1] == [b"1234567890"]
        assert c.response("UIDNEXT")[1] == [b"5000"]
        kind, data = c.uid("FETCH", "103", "(FLAGS INTERNALDATE)")
        assert b"\\Flagged" in data[0] and b"\\Seen" in data[0] and b"Work" in data[0]
        assert b" 9-Nov-2004" in data[0]
        assert b"Lists/caf" in b"".join(c.lsub()[1])
        pop = s.pop("anna")
        assert pop.uidl()[1] == [b"1 uidl-0", b"2 uidl-1", b"3 uidl-2"]
        assert pop.uidl(2).split()[-1] == b"uidl-1"
        c.copy("1", "INBOX")            # a copy is another message
        pop.quit()
        pop = s.pop("anna")
        told = [line.split()[1] for line in pop.uidl()[1]]
        assert told[:3] == [b"uidl-0", b"uidl-1", b"uidl-2"] and len(set(told)) == 4
        pop.quit()

    with_imap(s, "anna", look)


def test_again_and_dry_run(server):
    """A second run takes nothing; three alike in the source are three, once."""
    s = server
    src = os.path.join(s.top, "eml")
    for i in range(3):
        write("%s/%d.eml" % (src, i), b"Subject: same\n\nx\n")
        os.utime("%s/%d.eml" % (src, i), (1200000000, 1200000000))
    write(src + "/other.eml", b"Subject: other\n\nx\n")
    assert summary(s, "import", "--dry-run", "--into", "Old", "anna", src)["imported"] == 4
    assert "Old" not in s.ctl("mailbox", "list", "anna")
    assert summary(s, "import", "--into", "Old", "anna", src)["imported"] == 4
    again = summary(s, "import", "--into", "Old", "anna", src)
    assert (again["imported"], again["there"]) == (0, 4)
    write(src + "/new.eml", b"Subject: new\n\nx\n")
    again = summary(s, "import", "--into", "Old", "anna", src)
    assert (again["imported"], again["there"]) == (1, 4)
    assert "Old/INBOX" in s.ctl("mailbox", "list", "anna")
    assert summary(s, "import", "--since", "2020-01-01", "bert", src)["imported"] == 2


def test_mbox_of_others(server):
    """What mutt, Dovecot and UW-IMAP write: Status, X-Status, X-UID, X-IMAPbase, mboxcl2's Content-Length."""
    s = server
    text = (b"From MAILER-DAEMON Thu Jan  1 00:00:00 2004\nX-IMAP: 1094807374 0000000022 Work\nStatus: RO\n"
            b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\n\ninternal\n\n"
            b"From a@example.org Sat Sep 11 10:00:00 2004\nX-IMAPbase: 1094807374 0000000022 Work\nSubject: one\n"
            b"Status: RO\nX-Status: AF\nX-Keywords: Work                 \nX-UID: 20\n\nbody\n>From quoted\n\n"
            b"From b@example.org Sat Sep 11 11:00:00 2004\nSubject: two\nX-UID: 22\nContent-Length: 34\n\n"
            b"From c Sat Sep 11 11:00:00 2004\nx\n\n"
            b"From d@example.org Sat Sep 11 12:00:00 2004\nSubject: three\n\nFrom nobody in particular\n")
    write(s.top + "/box/work.mbox", text)
    write(s.top + "/box/work.sbd/sub", b"From a Sat Sep 11 12:00:00 2004\nSubject: sub\n\nx\n")
    got = summary(s, "import", "anna", s.top + "/box")
    assert (got["imported"], got["bad"]) == (4, 0)

    def look(c):
        assert c.select("work")[1] == [b"3"]
        data = c.fetch("1", "(FLAGS INTERNALDATE BODY.PEEK[])")[1]
        for word in (b"\\Seen", b"\\Answered", b"\\Flagged", b"Work", b'11-Sep-2004 10:00:00'):
            assert word in data[0][0]
        assert data[0][1] == b"Subject: one\r\n\r\nbody\r\nFrom quoted\r\n"
        assert c.fetch("2", "BODY.PEEK[TEXT]")[1][0][1] == b"From c Sat Sep 11 11:00:00 2004\r\nx\r\n"
        assert c.fetch("3", "BODY.PEEK[TEXT]")[1][0][1] == b"From nobody in particular\r\n"
        assert c.select("work/sub")[1] == [b"1"]

    with_imap(s, "anna", look)


def test_broken_and_refused(server):
    """What cannot be taken is named, the rest is taken; what cannot be a source is told why."""
    s = server
    md = odd_maildir(s, 2)
    write(md + "/cur/3.empty:2,S", b"")
    os.makedirs(md + "/cur/4.dir:2,S")
    code, out, err = s.ctl_raw(["-c", s.conf, "import", "--json", "anna", md], expect=1)
    got = json.loads(out.splitlines()[-1])
    assert (got["imported"], got["bad"]) == (3, 2)
    assert "3.empty" in err and "4.dir" in err
    write(s.top + "/dbox/mailboxes/INBOX/dbox-Mails/u.1", b"x")
    assert "doveadm" in s.ctl_raw(["-c", s.conf, "import", "anna", s.top + "/dbox"], expect=1)[2]
    assert "no such account" in s.ctl_raw(["-c", s.conf, "import", "nobody", md], expect=1)[2]
    s.ctl("import", "anna", s.top + "/nothing", expect=1)
    s.ctl("import", "--format", "dbx", "anna", md, expect=2)
    # UIDs cannot be kept where there was mail already.
    assert "UIDVALIDITY" in s.ctl_raw(["-c", s.conf, "import", "--keep-uids", "anna", md], expect=1)[2]


def test_over_quota(server):
    s = server
    src = s.top + "/eml"
    for i in range(250):
        write("%s/%03d.eml" % (src, i), b"Subject: %d\n\nx\n" % i)
    s.ctl("quota", "set", "--messages", "120", "anna", "0")
    code, out, err = s.ctl_raw(["-c", s.conf, "import", "--json", "anna", src], expect=1)
    got = json.loads(out.splitlines()[-1])
    assert got["imported"] == 120 and got["left"] > 0 and "over quota" in err
    s.ctl("quota", "set", "--messages", "0", "anna", "0")
    got = summary(s, "import", "anna", src)
    assert (got["imported"], got["there"]) == (130, 120)


def test_export_overwrites_nothing(server):
    s, out = server, server.top + "/out"
    s.ctl("import", "anna", odd_maildir(s, 2))
    write(out, b"mine")
    s.ctl("export", "--format", "mbox", "--mailbox", "INBOX", "anna", out, expect=1)
    with open(out, "rb") as f:
        assert f.read() == b"mine"
    s.ctl("export", "--format", "mbox", "anna", s.top + "/many")
    os.rename(s.top + "/many", s.top + "/few.partial")
    assert "cut" in s.ctl_raw(["-c", s.conf, "export", "--format", "mbox", "anna", s.top + "/few"], expect=1)[2]
    assert not os.path.exists(s.top + "/few")
    s.ctl("export", "--format", "mbox", "--mailbox", "Nowhere", "anna", s.top + "/x", expect=1)
    s.ctl("export", "anna", s.top + "/x", expect=2)
    assert summary(s, "export", "--dry-run", "--format", "eml", "--uid", "2:*", "anna", s.top + "/y")["messages"] == 1
    assert not os.path.exists(s.top + "/y")
    one = subprocess.run([RESTANTECTL, "-c", s.conf, "export", "--format", "eml", "--mailbox", "INBOX", "--uid", "2",
                          "anna", "-"], capture_output=True, timeout=60)
    assert one.returncode == 0 and one.stdout == ODD[1]


def test_mailbox_module_reads_it(server):
    """Python's mailbox module, as one of those who have read these formats for long."""
    s = server
    s.ctl("import", "anna", odd_maildir(s, 3))
    s.ctl("export", "--format", "maildir", "anna", s.top + "/md2")
    md = mailbox.Maildir(s.top + "/md2", create=False)
    assert sorted(m["Subject"] for m in md) == ["crlf", "plain", "quoting"]
    assert sorted(m.get_flags() for m in md) == ["Da", "Da", "FSb"] or len(md) == 3
    assert "Lists.caf&AOk-" in md.list_folders()
    s.ctl("export", "--format", "mbox", "--mailbox", "INBOX", "anna", s.top + "/one.mbox")
    assert [m["Subject"] for m in mailbox.mbox(s.top + "/one.mbox")] == ["plain", "crlf", "quoting"]


@pytest.mark.skipif(shutil.which("mutt") is None and shutil.which("neomutt") is None, reason="no mutt here")
def test_mutt_reads_it(server):
    s = server
    s.ctl("import", "anna", odd_maildir(s, 3))
    s.ctl("export", "--format", "mbox", "--mailbox", "INBOX", "anna", s.top + "/one.mbox")
    s.ctl("export", "--format", "maildir", "anna", s.top + "/md2")
    mutt = shutil.which("mutt") or shutil.which("neomutt")
    for box in ("one.mbox", "md2"):
        out = s.top + "/copy-" + box
        master, slave = pty.openpty()
        p = subprocess.Popen([mutt, "-n", "-F", "/dev/null", "-e", "set quit=yes copy=no confirmappend=no confirmcreate=no delete=no mbox_type=mbox",
                              "-e", "push '" + "".join("%d<enter><copy-message>%s<enter>" % (n, out) for n in (1, 2, 3)) + "<exit>'",
                              "-f", os.path.join(s.top, box)], env=dict(os.environ, TERM="vt100", HOME=s.top),
                             stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        deadline = time.monotonic() + 60
        while p.poll() is None and time.monotonic() < deadline:
            if select.select([master], [], [], 0.1)[0]:
                try:
                    os.read(master, 65536)
                except OSError:         # mutt has closed the terminal
                    p.wait(60)
        p.kill()
        p.wait()
        os.close(master)
        # Python takes a "From " in a body that mutt has left as it is for a message's begin.
        assert sorted(m["Subject"] for m in mailbox.mbox(out) if m["Subject"]) == ["crlf", "plain", "quoting"]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to be root")
def test_root_reads_files_of_others():
    """Root imports and exports what the server's user may not reach; the volume stays that user's alone."""
    with Server({"anna": "secret"}, user="nobody") as s:
        md = odd_maildir(s, 3)
        os.chmod(md, 0o700)
        os.makedirs(s.top + "/private", 0o700)
        assert summary(s, "import", "anna", md)["imported"] == 4
        s.ctl("export", "--format", "eml", "anna", s.top + "/private/offline")
        s.start()
        s.ctl("export", "--format", "eml", "anna", s.top + "/private/online")
        assert tree(s.top + "/private/offline") == tree(s.top + "/private/online")
        for root, dirs, files in os.walk(os.path.join(s.dir, "volumes")):
            for name in dirs + files:
                assert os.stat(os.path.join(root, name)).st_uid != 0, name


def test_killed_and_run_again():
    """kill -9 of the tool, or of the server: run again, no message is there twice and none is missing."""
    with Server({"anna": "secret"}) as s:
        s.start()
        src = s.top + "/eml"
        for i in range(1500):
            write("%s/%04d.eml" % (src, i), b"Message-ID: <%d@example.org>\nSubject: %d\n\n%s\n" % (i, i, b"x" * (i % 90)))
        for turn in range(6):
            p = subprocess.Popen([RESTANTECTL, "-c", s.conf, "import", "--resume", s.top + "/resume", "anna", src],
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(random.uniform(0.01, 0.12))
            if turn % 2:
                s.kill()
                p.wait(60)
                s.start()
            else:
                p.send_signal(signal.SIGKILL)
                p.wait()
        s.ctl("import", "--resume", s.top + "/resume", "anna", src)
        c = s.imap("anna")
        got = sorted(int(m.split(b"Subject: ")[1].split(b"\r\n")[0]) for _, m in fetch_all(c).values())
        assert got == list(range(1500))
        c.logout()
        assert summary(s, "import", "anna", src)["there"] == 1500


def test_a_reader_that_leaves():
    """An export into a pipe that is closed ends, and the server goes on."""
    with Server({"anna": "secret"}) as s:
        s.start()
        for i in range(20):
            write("%s/eml/%d.eml" % (s.top, i), b"Subject: %d\n\n" % i + b"x" * 500000 + b"\n")
        s.ctl("import", "anna", s.top + "/eml")
        p = subprocess.Popen([RESTANTECTL, "-c", s.conf, "export", "--format", "mbox", "--mailbox", "INBOX", "anna", "-"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        p.stdout.read(100000)
        p.stdout.close()
        assert p.wait(60) == 1
        p.stderr.close()
        assert s.ctl("user", "list")


def test_odd_names_and_links(server):
    """Names that no file can have are exported and found again; links in a source are told and not followed."""
    s = server
    write(s.top + "/one.eml", ODD[0])
    names = {"..", ".x", "&AC4-x", "a", "a.mbox/c", "a/1.eml", "a/../b", "z" * 300, "\u3042" * 90, "restante-mailbox-1",
             "v1.2", "mbox", "x.sbd/y", "caf\u00e9.x/&AC4-"}
    for name in names:
        assert summary(s, "import", "--mailbox", name, "anna", s.top + "/one.eml")["imported"] == 1
    for form in ("maildir", "mbox", "eml"):
        out = os.path.join(s.top, form)
        assert summary(s, "export", "--format", form, "anna", out)["messages"] == len(names)
        assert summary(s, "import", "--format", form, "--into", form, "bert", out)["imported"] == len(names)
        got = {json.loads(line)["name"] for line in s.ctl("mailbox", "list", "--json", "bert").splitlines()}
        assert {form + "/" + name for name in names} <= got
    assert not os.path.lexists(os.path.join(s.top, "b"))
    write(s.top + "/secret", b"Subject: secret\n\nx\n")
    for sub in ("cur", "new", "tmp", ".Other/cur", ".Other/new"):
        os.makedirs(os.path.join(s.top, "md", sub))
    os.symlink(s.top + "/secret", s.top + "/md/cur/1.x:2,S")
    os.symlink(s.top + "/md", s.top + "/md/.Again")
    os.symlink(s.top + "/md/cur", s.top + "/md/.Other/tmp")
    os.rmdir(s.top + "/md/.Other/new")
    os.symlink(s.top + "/eml/a", s.top + "/md/.Other/new")
    os.symlink(s.top + "/md", s.top + "/link")
    code, out, err = s.ctl_raw(["-c", s.conf, "import", "--json", "anna", s.top + "/link"], expect=1)
    got = json.loads(out.splitlines()[-1])
    assert (got["imported"], got["bad"]) == (0, 3) and err.count("symbolic link") == 3
    os.symlink(s.top + "/secret", s.top + "/eml/a/9.eml")
    got = summary(s, "import", "--format", "eml", "anna", s.top + "/eml/a", expect=1)
    assert (got["imported"], got["bad"]) == (1, 1)


def test_no_control_characters_told(server):
    """Names of files reach the admin's terminal without what it would obey."""
    s = server
    write(s.top + "/md/cur/1.\x1b[2J\x9b\n:2,S", b"")
    os.makedirs(s.top + "/md/new")
    err = s.ctl_raw(["-c", s.conf, "import", "anna", s.top + "/md"], expect=1)[2]
    assert "1.?[2J" in err and "it is empty" in err and "\x1b" not in err and len(err.splitlines()) == 1


def test_uids_that_cannot_be_kept(server):
    """A broken list of UIDs costs the messages that it names badly, not the others."""
    s = server
    md = odd_maildir(s, 4)
    names = ["%d.M%d.host" % (1000000000 + i, i) for i in range(4)]
    uids = [5, 4294967295, 5, 4294967294]
    write(md + "/dovecot-uidlist", b"3 V1234567890 N1\n" + b"".join(
        b"%d :%s\n" % (uid, name.encode()) for uid, name in zip(uids, names)))
    got = summary(s, "import", "--keep-uids", "anna", md, expect=1)
    assert (got["imported"], got["bad"], got["left"]) == (3, 2, 0)


# ---- the limit of a message ----

@pytest.mark.parametrize("online", [True, False])
def test_messages_over_the_limit(online):
    """message_size counts as by LMTP, with the CRs that an import adds; the others are taken."""
    limit = 100 * 1024
    with Server({"anna": "secret"}, conf_edit=lambda t: set_limit(t, "message_size", "100K")) as s:
        s.online = online
        if online:
            s.start()
        top = os.path.join(s.top, "source")
        head = b"Subject: x\n\n"
        fits = b"x\n" * ((limit - 14) // 3)
        fits += b"y" * (limit - 14 - len(fits) // 2 * 3)
        for name, data in [("fits", head + fits), ("with-crs", head + fits + b"z"), ("long", head + b"x" * limit),
                           ("small", head), ("very-long", head + b"y\n" * (3 * limit))]:
            write(os.path.join(top, "INBOX", name + ".eml"), data)
        code, out, err = s.ctl_raw(["-c", s.conf, "import", "--json", "anna", top], expect=1)
        got = json.loads(out.splitlines()[-1])
        assert (got["imported"], got["bad"], got["left"]) == (2, 3, 0), (out, err)
        for name in ["with-crs", "long", "very-long"]:
            assert re.search("/%s.eml: it is over the limit message_size" % name, err), err
        if not online:
            s.start()
        with_imap(s, "anna", lambda c: sizes_are(c, {len(head) + 2, limit}))


def sizes_are(c, want):
    c.select("INBOX", readonly=True)
    parts = c.fetch("1:*", "(RFC822.SIZE)")[1]
    assert {int(re.search(rb"RFC822.SIZE (\d+)", p).group(1)) for p in parts} == want
