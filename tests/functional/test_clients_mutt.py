"""mutt and neomutt on a terminal of their own: header cache, CONDSTORE, QRESYNC, COMPRESS, and what the user does."""

import os
import re

import pytest

from clients import change, need, read, run_on_terminal, state, subjects, write
from harness import message

RC = """
set imap_user = "{user}"
set imap_pass = "secret"
set folder = "imap://127.0.0.1:{port}/"
set spoolfile = "+INBOX"
set ssl_starttls = no
set ssl_force_tls = no
set imap_idle = no
set header_cache = "{top}/headers"
set message_cachedir = "{top}/bodies"
set imap_condstore = {condstore}
set imap_qresync = {qresync}
{more}
set delete = yes
set move = no
set confirmappend = no
set confirmcreate = no
set mark_old = no
set pipe_decode = no
set wait_key = no
set quit = yes
set beep = no
set sort = mailbox-order
set crypt_use_gpgme = no
set record = ""
"""


class Mutt:
    """One program with its caches. Each `use` is a start, some keys, and a quit."""

    def __init__(self, home, program, condstore=False, qresync=False, deflate=False):
        self.server, self.user, self.top = home
        self.neo = program == "neomutt"
        self.program = need(program, program)
        more = "" if self.neo else "set imap_deflate = %s" % ("yes" if deflate else "no")
        os.makedirs(self.top + "/headers")
        os.makedirs(self.top + "/bodies")
        self.rc = write(self.top + "/muttrc", RC.format(
            user=self.user, port=self.server.port("imap"), top=self.top, more=more,
            condstore="yes" if condstore else "no", qresync="yes" if qresync else "no"))

    def use(self, keys=""):
        """What it wrote into its debug log: every command it sent."""
        self.log = os.path.join(self.top, "log0")
        # mutt writes ~/.muttdebug0 and turns older ones; neomutt writes where it is told.
        for name in (self.log, self.top + "/.muttdebug0"):
            if os.path.exists(name):
                os.remove(name)
        debug = ["-d", "3", "-l", self.log[:-1]] if self.neo else ["-d", "3"]
        push = 'push "%s<quit>"' % keys
        self.screen = run_on_terminal([self.program, "-n", "-F", self.rc] + debug + ["-e", push], self.top)
        return read(self.log if self.neo else self.top + "/.muttdebug0")

    def seen(self, pattern="~A"):
        """The messages that match a pattern, as the program has them: (text, debug log)."""
        out = os.path.join(self.top, "out")
        if os.path.exists(out):
            os.remove(out)
        log = self.use("<tag-pattern>%s<enter><tag-prefix-cond><pipe-message>cat >>%s<enter><end-cond>" % (pattern, out))
        return (read(out) if os.path.exists(out) else ""), log


VARIANTS = [
    ("mutt", {}),
    ("mutt", {"condstore": True}),
    ("mutt", {"condstore": True, "qresync": True, "deflate": True}),
    ("neomutt", {}),
    ("neomutt", {"condstore": True}),
    ("neomutt", {"condstore": True, "qresync": True}),
]


@pytest.mark.parametrize("program,options", VARIANTS,
                         ids=["-".join([p] + sorted(o)) for p, o in VARIANTS])
def test_reads_changes_and_resynchronises(home, program, options):
    server, user, _ = home
    sent = [message("m%d" % i, size=4000) for i in range(6)]
    for text in sent:
        server.deliver([user], text)
    m = Mutt(home, program, **options)

    # All of it, octet for octet but for the line ends.
    text, log = m.seen()
    assert subjects(text) == ["m%d" % i for i in range(6)], m.screen
    for one in sent:
        assert one.replace("\r\n", "\n").strip() in text
    if options.get("qresync"):
        assert re.search(r"ENABLE [^\r\n]*QRESYNC", log), log
    if options.get("deflate"):
        assert "COMPRESS DEFLATE" in log and "OK" in log.split("COMPRESS DEFLATE", 1)[1]

    # The user flags, deletes, files away, and marks as read.
    m.use("<jump>1<enter><flag-message><jump>2<enter><delete-message>"
          "<jump>3<enter><save-message><kill-line>=project<enter><jump>4<enter><toggle-new>")
    there = dict(state(server, user))
    assert sorted(there) == ["m0", "m3", "m4", "m5"], m.screen
    assert "\\Flagged" in there["m0"] and there["m3"] == ["\\Seen"] and there["m4"] == []
    assert [s for s, _ in state(server, user, "project")] == ["m2"]

    # Others change the mailbox while the program is away; its cache must follow.
    change(server, user, "m4", "\\Deleted", expunge=True)
    change(server, user, "m3", "\\Answered")
    server.deliver([user], message("m6"))
    text, log = m.seen()
    assert subjects(text) == ["m0", "m3", "m5", "m6"], m.screen
    if options.get("qresync"):
        assert re.search(r"UID FETCH \S+ \(FLAGS\) \(CHANGEDSINCE \d+ VANISHED\)", log), log
    elif options.get("condstore"):
        assert re.search(r"UID FETCH \S+ \(FLAGS\) \(CHANGEDSINCE \d+\)", log), log
    assert subjects(m.seen("~Q")[0]) == ["m3"], m.screen
    assert subjects(m.seen("~F")[0]) == ["m0"], m.screen

    # Nothing has changed: the same again, from the cache.
    assert subjects(m.seen()[0]) == ["m0", "m3", "m5", "m6"], m.screen
    assert sorted(s for s, _ in state(server, user)) == ["m0", "m3", "m5", "m6"]


def test_mutt_uploads(home):
    """A message copied from a local mailbox to the server is what it was."""
    server, user, top = home
    text = message("from a file", size=20000)
    m = Mutt(home, "mutt", condstore=True, qresync=True, deflate=True)
    write(top + "/box", "From sender@example.org Tue Nov  3 10:00:00 2026\n" + text.replace("\r\n", "\n") + "\n")
    m.rc = write(top + "/muttrc2", read(m.rc) + 'set spoolfile = "%s/box"\n' % top)
    m.use("<copy-message><kill-line>=INBOX<enter>")
    with server.imap(user) as c:
        c.select("INBOX")
        (_, data), = [x for x in c.fetch("1", "(BODY.PEEK[])")[1] if isinstance(x, tuple)]
    # mutt adds fields of its own (Status, Content-Length, Lines); the body is the user's.
    assert data.split(b"\r\n\r\n", 1)[1].strip() == text.encode().split(b"\r\n\r\n", 1)[1].strip()
    assert b"\r\nSubject: from a file\r\n" in data
