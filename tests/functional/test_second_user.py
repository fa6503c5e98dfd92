"""User B against user A: for every command that a user can send, B tries to see, infer or change something of A.

For each command of the server's tables there are probes below (a new command without any fails test_every_command_is_probed).
A probe is a script of B's, with holes. It is played twice: with what A has (names, UIDs, MAILBOXIDs ...), and with the
like that nobody has. Both runs must give the same answers, octet by octet but for what the holes hold; no answer may hold a
secret of A that the script did not; and A's whole state, as A sees it, must be the same before and after.

What B may infer, by design: numbers that count for a whole volume (the UIDVALIDITY of a new mailbox, an LMTP session's
id) go up when anybody there makes a mailbox or delivers. They say nothing about who.
"""

import base64
import glob
import os
import re

import pytest

from harness import Raw, Server, message

SRC = os.path.join(os.path.dirname(__file__), "..", "..", "server")
ALL_STATUS = "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN DELETED SIZE HIGHESTMODSEQ MAILBOXID APPENDLIMIT DELETED-STORAGE)"
ALL_ITEMS = "(UID FLAGS MODSEQ INTERNALDATE SAVEDATE EMAILID THREADID RFC822.SIZE BODYSTRUCTURE BODY.PEEK[])"
MAIL = "From: x@example.org\r\nSubject: y\r\n\r\nz\r\n"
LITERAL = "{%d+}\r\n%s" % (len(MAIL), MAIL)


def b64(text):
    return base64.b64encode(text.encode()).decode()


# A line is a command of B's, sent when the one before is answered; "!" before it: B is not logged in yet.
PROBES = {
    "CAPABILITY": [["CAPABILITY"]],
    "NOOP": [["SELECT INBOX", "NOOP"]],
    "CHECK": [["SELECT INBOX", "CHECK"]],
    "LOGOUT": [["LOGOUT"]],
    "ID": [["ID NIL"], ['ID ("user" "{user}")']],
    "ENABLE": [["ENABLE CONDSTORE QRESYNC UTF8=ACCEPT UIDONLY IMAP4rev2"]],
    "COMPRESS": [["COMPRESS LZ77"]],
    "STARTTLS": [["!STARTTLS now"], ["STARTTLS"]],
    "LOGIN": [["!LOGIN {user} wrong"], ["!LOGIN {user} boris-secret"], ['!LOGIN "{user}" ""'], ["LOGIN {user} x"]],
    "AUTHENTICATE": [["!AUTHENTICATE PLAIN {plain_wrong}"], ["!AUTHENTICATE PLAIN {plain_as}"],
                     ["AUTHENTICATE PLAIN {plain_as}"]],
    "UNAUTHENTICATE": [["SELECT INBOX", "UNAUTHENTICATE", "LIST \"\" *", "SELECT {name}", "LOGIN boris boris-secret", "LIST \"\" *"]],
    "NAMESPACE": [["NAMESPACE"]],
    "IDLE": [["SELECT INBOX", "IDLE\r\nDONE"]],
    "SELECT": [["SELECT {name}"], ["SELECT {path}"], ["SELECT {name} (CONDSTORE)"],
               ["ENABLE QRESYNC", "SELECT INBOX (QRESYNC ({uidvalidity} {modseq} 1:{uid}))"],
               ["ENABLE QRESYNC", "SELECT {name} (QRESYNC ({uidvalidity} 1))"]],
    "EXAMINE": [["EXAMINE {name}"], ["EXAMINE {path}"]],
    "STATUS": [["STATUS {name} " + ALL_STATUS], ["STATUS {path} (MESSAGES)"]],
    "LIST": [['LIST "" {name}'], ['LIST "" "{name}*"'], ['LIST "{name}" "*"'], ['LIST "" *'], ['LIST {path} *'], ['LIST "" {path}'],
             ['LIST (SUBSCRIBED REMOTE RECURSIVEMATCH) "" * RETURN (CHILDREN SPECIAL-USE STATUS ' + ALL_STATUS + ')']],
    "LSUB": [['LSUB "" *'], ['LSUB "" {name}'], ['LSUB {path} %']],
    "CREATE": [["CREATE {name}", "STATUS {name} (MESSAGES UIDNEXT)", "DELETE {name}"], ["CREATE {name}/x", "DELETE {name}/x", "DELETE {name}"]],
    "DELETE": [["DELETE {name}"], ["DELETE {path}"]],
    "RENAME": [["RENAME {name} mine"], ["RENAME {path} mine"], ["CREATE other", "RENAME other {name}", "DELETE {name}"]],
    "SUBSCRIBE": [["SUBSCRIBE {name}", 'LSUB "" *', "UNSUBSCRIBE {name}"], ["SUBSCRIBE {path}", "UNSUBSCRIBE {path}"]],
    "UNSUBSCRIBE": [["UNSUBSCRIBE {name}"]],
    "GETQUOTA": [["GETQUOTA {user}"], ['GETQUOTA "user/{user}"'], ["GETQUOTA {name}"], ["GETQUOTA {mailboxid}"], ["GETQUOTA user"]],
    "GETQUOTAROOT": [["GETQUOTAROOT {name}"], ["GETQUOTAROOT {path}"], ["GETQUOTAROOT INBOX"]],
    "APPEND": [["APPEND {name} " + LITERAL], ["APPEND {path} ({keyword}) " + LITERAL]],
    "REPLACE": [["SELECT INBOX", "REPLACE 1 {name} " + LITERAL], ["SELECT INBOX", "REPLACE {uid} INBOX " + LITERAL]],
    "UID REPLACE": [["SELECT INBOX", "UID REPLACE {uid} INBOX " + LITERAL], ["SELECT INBOX", "UID REPLACE 1 {name} " + LITERAL]],
    "FETCH": [["SELECT INBOX", "FETCH {uid} " + ALL_ITEMS], ["SELECT INBOX", "FETCH 1:* (UID EMAILID THREADID MODSEQ FLAGS)"],
              ["FETCH 1:{uid} (BODY[])"], ["SELECT INBOX", "FETCH 1:* (UID) (CHANGEDSINCE {modseq})"]],
    "UID FETCH": [["SELECT INBOX", "UID FETCH {uid} " + ALL_ITEMS], ["UID FETCH {uid} (BODY[])"],
                  ["ENABLE QRESYNC", "SELECT INBOX", "UID FETCH 1:{uid} (FLAGS) (CHANGEDSINCE 1 VANISHED)"]],
    "STORE": [["SELECT INBOX", "STORE {uid} +FLAGS (\\Deleted)"], ["CREATE k", "APPEND k " + LITERAL, "SELECT k", "STORE 1 FLAGS ({keyword})", "UNSELECT", "DELETE k"]],
    "UID STORE": [["SELECT INBOX", "UID STORE {uid} FLAGS.SILENT (\\Deleted)"],
                  ["SELECT INBOX", "UID STORE 1:{uid} (UNCHANGEDSINCE 1) +FLAGS (\\Deleted)"]],
    "SEARCH": [["SELECT INBOX", "SEARCH EMAILID {emailid}"], ["SELECT INBOX", "SEARCH THREADID {threadid}"],
               ["SELECT INBOX", "SEARCH KEYWORD {keyword}"], ["SELECT INBOX", 'SEARCH HEADER Message-ID "{msgid}"'],
               ["SELECT INBOX", "SEARCH UID {uid}"], ["SELECT INBOX", 'SEARCH OR TEXT "{text}" SUBJECT "{text}"'],
               ["SELECT INBOX", "SEARCH MODSEQ {modseq}"], ["SELECT INBOX", "SEARCH RETURN (ALL COUNT SAVE) ALL", "FETCH $ (UID)"]],
    "UID SEARCH": [["SELECT INBOX", "UID SEARCH EMAILID {emailid}"], ["SELECT INBOX", "UID SEARCH {uid}:*"],
                   ["SELECT INBOX", 'UID SEARCH TEXT "{text}"']],
    "EXPUNGE": [["SELECT INBOX", "EXPUNGE"]],
    "UID EXPUNGE": [["SELECT INBOX", "UID EXPUNGE {uid}"], ["UID EXPUNGE {uid}"]],
    "CLOSE": [["SELECT INBOX", "CLOSE", "FETCH 1 (UID)"]],
    "UNSELECT": [["SELECT INBOX", "UNSELECT"]],
    "COPY": [["SELECT INBOX", "COPY 1 {name}"], ["SELECT INBOX", "COPY 1 {path}"], ["SELECT INBOX", "COPY {uid} Archive"]],
    "UID COPY": [["SELECT INBOX", "UID COPY {uid} Archive"], ["SELECT INBOX", "UID COPY 1 {name}"]],
    "MOVE": [["SELECT INBOX", "MOVE 1 {name}"], ["SELECT INBOX", "MOVE 1 {path}"], ["SELECT INBOX", "MOVE {uid} Archive"]],
    "UID MOVE": [["SELECT INBOX", "UID MOVE {uid} Archive"], ["SELECT INBOX", "UID MOVE 1 {name}"]],
}

POP_PROBES = {
    "CAPA": [["CAPA"], ["!CAPA"]],
    "LANG": [["LANG"], ["!LANG *", "USER {user}", "LANG *"]],
    "UTF8": [["!UTF8", "USER {user}"]],
    "USER": [["!USER {user}"], ["!USER {user}", "STAT"]],
    "PASS": [["!USER {user}", "PASS wrong"], ["!USER {user}", "PASS boris-secret"], ["!PASS x"]],
    "AUTH": [["!AUTH PLAIN {plain_wrong}"], ["!AUTH PLAIN {plain_as}"], ["AUTH PLAIN {plain_as}"]],
    "STLS": [["STLS"], ["!STLS now"]],
    "STAT": [["STAT"]],
    "LIST": [["LIST {number}"], ["LIST"]],
    "UIDL": [["UIDL {number}"], ["UIDL"], ["UIDL {uid}"]],
    "RETR": [["RETR {number}"], ["RETR {uid}"]],
    "TOP": [["TOP {number} 1"]],
    "DELE": [["DELE {number}", "STAT", "QUIT"]],
    "RSET": [["RSET"]],
    "NOOP": [["NOOP"]],
    "QUIT": [["QUIT"]],
}

MULTI = re.compile(r"(CAPA|LANG|LIST|UIDL|AUTH)$|(RETR|TOP) ")         # answers of POP3 with many lines, if +OK


class World:
    """A server with both, and what A has."""

    def __init__(self, server):
        self.server = server
        for i in range(12):
            server.deliver("anna", message("annas-subject-%d" % i, body="annas-text\r\n", Message_ID="<annas-%d@example.org>" % i))
        for i in range(2):
            server.deliver("boris", message("ours %d" % i))
        with server.raw("imap") as c:
            c.line()
            c.cmd("LOGIN anna anna-secret")
            c.cmd("CREATE annas-plans")
            c.cmd("CREATE annas-plans/deep")
            c.cmd("SUBSCRIBE annas-plans/deep")
            c.cmd("SELECT INBOX")
            c.cmd("STORE 1:3 +FLAGS (AnnasKeyword \\Flagged)")
            c.cmd("COPY 2:9 annas-plans")
            c.cmd("STORE 10 +FLAGS (\\Deleted)")
            c.cmd("SELECT annas-plans")
            for i in range(20):             # no number of B's gets as high
                c.cmd("STORE 1 %sFLAGS (\\Answered)" % "+-"[i % 2])
            c.cmd("SELECT INBOX")
            rows = b"\n".join(c.cmd("FETCH 7 (UID EMAILID THREADID MODSEQ)"))
            box = b"\n".join(c.cmd("STATUS annas-plans (MAILBOXID UIDVALIDITY HIGHESTMODSEQ)"))
        with server.imap("boris") as c:         # so that nothing is \\Recent any more
            c.select()
        server.ctl("quota", "set", "anna", "5000000")
        self.uid = 9
        emailid, threadid = (re.search(k + rb" \(([^)]*)\)", rows).group(1).decode() for k in (b"EMAILID", b"THREADID"))
        mailboxid = re.search(rb"MAILBOXID \(([^)]*)\)", box).group(1).decode()
        modseq = re.search(rb"HIGHESTMODSEQ (\d+)", box).group(1).decode()
        uidvalidity = re.search(rb"UIDVALIDITY (\d+)", box).group(1).decode()
        self.secrets = [s.encode() for s in ("annas-", emailid, threadid, mailboxid, "AnnasKeyword", "annaskeyword", modseq)]
        self.theirs = dict(name="annas-plans", path="user/anna/INBOX", user="anna", uid="9", number="9", emailid=emailid,
                           threadid=threadid, mailboxid=mailboxid, keyword="AnnasKeyword", msgid="<annas-7@example.org>",
                           text="annas-text", modseq=modseq, uidvalidity=uidvalidity)
        self.nobodys = dict(name="zelda-plans", path="user/zeld/INBOX", user="zeld", uid="5", number="5", emailid=turned(emailid),
                            threadid=turned(threadid), mailboxid=turned(mailboxid), keyword="ZeldasKeyworb",
                            msgid="<zelda-7@example.org>", text="zelda-text", modseq=str(int(modseq) + 1),
                            uidvalidity=str(int(uidvalidity) + 1000))
        for d in self.theirs, self.nobodys:
            d["plain_wrong"] = b64("\0%s\0boris-secret" % d["user"])
            d["plain_as"] = b64("%s\0boris\0boris-secret" % d["user"])

    def state(self):
        """All that A has, as A sees it."""
        out = []
        with self.server.raw("imap") as c:
            c.line()
            c.cmd("LOGIN anna anna-secret")
            boxes = c.cmd('LIST "" * RETURN (SUBSCRIBED SPECIAL-USE CHILDREN STATUS %s)' % ALL_STATUS)
            out += sorted(boxes[:-1]) + sorted(c.cmd('LSUB "" *')[:-1]) + c.cmd("GETQUOTAROOT INBOX")[:-1]
            for name in re.findall(rb'^\* LIST \([^)]*\) "/" (\S+)', b"\n".join(boxes), re.M):
                out += c.cmd(b"EXAMINE " + name)[:-1]
                out += c.cmd("FETCH 1:* " + ALL_ITEMS)[:-1]
        return out


def turned(ident):
    """An id of the same form that nobody has."""
    return ident[:-6] + "".join("A" if c != "A" else "B" for c in ident[-6:])


@pytest.fixture(scope="module")
def world():
    with Server({"anna": "anna-secret", "boris": "boris-secret"}) as s:
        s.start()
        yield World(s)


def commands(pattern, regex):
    out = set()
    for path in glob.glob(os.path.join(SRC, pattern)):
        with open(path, encoding="utf-8") as f:
            out.update(re.findall(regex, f.read(), re.M))
    return out


def test_every_command_is_probed():
    assert commands("imap/cmd_*.c", r'^\t?\.name = "([A-Z0-9 ]+)"') == set(PROBES)
    assert commands("pop3/commands.c", r'^\t\t\{ "([A-Z0-9]+)", POP3_') == set(POP_PROBES)


def fill(script, values):
    """The script with its holes filled; braces of literals stay."""
    return [re.sub(r"\{(\w+)\}", lambda m: values.get(m.group(1), m.group(0)), line) for line in script]


def play_imap(server, script):
    out = []
    with server.raw("imap") as c:
        c.line()
        if not script[0].startswith("!"):
            c.cmd("LOGIN boris boris-secret")
        for line in script:
            c.tags += 1
            tag = b"t%d" % c.tags
            c.send(tag + b" " + line.lstrip("!").encode() + b"\r\n")
            out += [re.sub(rb"^t\d+ ", b"t ", row) for row in c.imap_until(tag)]
    return out


def play_pop(server, script):
    out = []
    with server.raw("pop3") as c:
        out.append(c.line())
        if not script[0].startswith("!"):
            for line in "USER boris", "PASS boris-secret":
                c.send(line + "\r\n")
                c.line()
        for line in script:
            line = line.lstrip("!")
            c.send(line + "\r\n")
            out.append(c.line())
            while MULTI.match(line) and out[-1] != b"." and out[-1][:4] != b"-ERR":
                out.append(c.line())
    return out


def normal(answers, script, values):
    """Answers with what the holes held taken out again, and ids of mailboxes just made."""
    out = []
    values = {k: v for k, v in values.items() if "{%s}" % k in "".join(script) and len(v) > 3}
    for row in answers:
        row = re.sub(rb"MAILBOXID \([^)]*\)", b"MAILBOXID ()", row)
        if any(line.startswith("CREATE ") for line in script):
            row = re.sub(rb"(UIDVALIDITY|APPENDUID) \d+", rb"\1 N", row)
        row = re.sub(rb"(number|Message|UID) \d+ (of|is)", rb"\1 N \2", row)
        for key in sorted(values, key=lambda k: -len(values[k])):
            row = re.sub(re.escape(values[key].encode()), b"<" + key.encode() + b">", row, flags=re.I)
        out.append(row)
    return out


def probe(world, play, script):
    before = world.state()
    got = []
    for values in world.theirs, world.nobodys:
        lines = fill(script, values)
        answers = play(world.server, lines)
        said = "\n".join(lines).encode()
        for row in answers:
            for secret in world.secrets:
                assert secret not in row or secret.lower() in said.lower(), (secret, row)
        got.append(normal(answers, script, values))
    assert got[0] == got[1], "what A has is answered otherwise than what nobody has"
    assert world.state() == before, "A's state has changed"


@pytest.mark.parametrize("name", PROBES)
def test_imap(world, name):
    for script in PROBES[name]:
        probe(world, play_imap, script)


@pytest.mark.parametrize("name", POP_PROBES)
def test_pop3(world, name):
    for script in POP_PROBES[name]:
        probe(world, play_pop, script)


@pytest.mark.parametrize("path", ["../anna/INBOX", "/anna", "~anna/INBOX", "#user/anna/INBOX", "#shared/anna", "anna/INBOX", "anna",
                                  "INBOX/../annas-plans", "user.anna", "Other Users/anna/annas-plans", "\"anna@/INBOX\"",
                                  "boris/../anna/annas-plans", "*", "%", "annas-plans/%"])
def test_names_of_other_servers(world, path):
    """Ways by which other servers reach another's mailboxes."""
    values = dict(world.theirs, path=path)
    before = world.state()
    for line in ("SELECT {path}", "STATUS {path} (MESSAGES)", 'LIST "" {path}', "DELETE {path}", "GETQUOTAROOT {path}",
                 'LIST {path} *', "RENAME {path} stolen"):
        for row in play_imap(world.server, fill([line], values)):
            for secret in world.secrets:
                assert secret not in row or secret in path.encode(), row
    assert world.state() == before


def test_silence(world):
    """B's own answers are the same whatever A does, before and after; and while it happens B is told nothing."""
    own = ["CAPABILITY", "NAMESPACE", 'LIST "" * RETURN (STATUS %s)' % ALL_STATUS, 'LSUB "" *', "GETQUOTAROOT INBOX", "SELECT INBOX",
           "FETCH 1:* " + ALL_ITEMS, "SEARCH RETURN (ALL COUNT) ALL", "NOOP"]
    listing = ["STAT", "LIST", "UIDL"]
    before = play_imap(world.server, own), play_pop(world.server, listing)
    with world.server.raw("imap") as watch, world.server.raw("imap") as c:
        watch.line()
        watch.cmd("LOGIN boris boris-secret")
        watch.cmd("SELECT INBOX")
        watch.send("w IDLE\r\n")
        assert watch.line().startswith(b"+ ")
        c.line()
        c.cmd("LOGIN anna anna-secret")
        c.cmd("CREATE annas-new")
        c.cmd("SELECT INBOX")
        c.cmd("COPY 1:5 annas-new")
        c.cmd("STORE 1:* +FLAGS (AnnasOther)")
        c.cmd("RENAME annas-new annas-newer")
        c.cmd("DELETE annas-newer")
        c.cmd("STORE 1:* -FLAGS (AnnasOther)")
        world.server.deliver("anna", message("annas-late", body="x" * 100000))
        watch.sock.settimeout(0.7)
        with pytest.raises(TimeoutError):
            watch.line()
        watch.send("DONE\r\n")
        watch.sock.settimeout(60)
        assert watch.imap_until(b"w")[:-1] == []
        assert watch.cmd("NOOP")[:-1] == []
    world.server.ctl("quota", "set", "anna", "6000000")
    assert (play_imap(world.server, own), play_pop(world.server, listing)) == before


def test_threads_are_ones_own(world):
    """A reply to a message of A's in B's mailbox is in no thread of A's, and a copy of A's message shows nothing but itself."""
    mine = "From: b@example.org\r\nSubject: annas-subject-7\r\nReferences: <annas-7@example.org>\r\n\r\nx\r\n"
    before = world.state()
    with world.server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN boris boris-secret")
        c.cmd("CREATE threads")
        c.cmd("APPEND threads {%d+}\r\n%s" % (len(mine), mine))
        c.cmd("SELECT threads")
        got = b"\n".join(c.cmd("FETCH 1 (THREADID EMAILID)"))
        assert b"THREADID" in got and world.theirs["threadid"].encode() not in got
        c.cmd("UNSELECT")
        c.cmd("DELETE threads")
    assert world.state() == before


def test_one_connection_after_another(world):
    """UNAUTHENTICATE [RFC 8437]: what A left on the connection is not B's."""
    with world.server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna anna-secret")
        c.cmd("ENABLE CONDSTORE UTF8=ACCEPT")
        c.cmd("SELECT INBOX")
        c.cmd("SEARCH RETURN (SAVE) ALL")
        c.cmd("UNAUTHENTICATE")
        c.cmd("FETCH 1 (UID)", b"BAD")
        c.cmd("LOGIN boris boris-secret")
        c.cmd("FETCH 1 (UID)", b"BAD")
        c.cmd("SEARCH $", b"BAD")
        got = b"\n".join(c.cmd('LIST "" *') + c.cmd('LSUB "" *') + c.cmd("GETQUOTAROOT INBOX"))
        assert b"annas" not in got and b"5000" not in got
        world.server.deliver("anna", message("annas-later"))
        assert c.cmd("NOOP")[:-1] == []
        c.cmd("SELECT INBOX")
        got = b"\n".join(c.cmd("FETCH $ (UID)", b"") + c.cmd("FETCH 1:* (UID ENVELOPE)"))
        assert b"annas" not in got and b"UID 12 " not in got
        c.cmd("LOGOUT")


def test_what_is_appended_after_another_login():
    """The volumes began alike, so the accounts have the same id there."""
    with Server() as s:
        s.ctl("user", "add", "anna", stdin="anna-secret\n")
        with open(s.conf, "a") as f:
            f.write("\n[volume v2]\npath = volumes/v2\n")
        s.ctl("volume", "create", "v2")
        s.ctl("user", "add", "--volume", "v2", "boris", stdin="boris-secret\n")
        s.start()
        for user in ("anna", "boris"):
            with s.raw("imap") as c:
                c.line()
                c.cmd("LOGIN %s %s-secret" % (user, user))
                c.cmd("CREATE Work")
        s.stop()
        s.start()
        with s.raw("imap") as c:
            c.line()
            for user in ("anna", "boris"):
                c.cmd("LOGIN %s %s-secret" % (user, user))
                c.cmd("APPEND Work " + LITERAL)
                assert b"MESSAGES 1" in c.cmd("STATUS Work (MESSAGES)")[0]
                c.cmd("UNAUTHENTICATE")


@pytest.mark.parametrize("word", ["VRFY", "EXPN"])
def test_lmtp_tells_no_names(world, word):
    answers = []
    for name in "anna", "zeld":
        with world.server.raw("lmtp") as c:
            c.reply()
            c.send("LHLO x\r\n")
            c.reply()
            c.send("%s %s\r\n" % (word, name))
            answers.append(c.reply().replace(name.encode(), b"NAME"))
    assert answers[0] == answers[1]


def test_a_delivery_names_no_other_recipient(world):
    world.server.deliver(["boris", "anna"], message("to both", To="undisclosed:;"))
    with world.server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN boris boris-secret")
        c.cmd("SELECT INBOX")
        assert b"anna" not in b"\n".join(c.cmd("FETCH * (BODY.PEEK[])"))


def scram(server, listener, name, mechanism):
    """What SCRAM shows of an account before and behind a wrong proof: (salt, its length, rounds, the last answer)."""
    with server.raw(listener) as c:
        c.line()
        start, no = (b"t AUTHENTICATE ", b"t NO") if listener == "imap" else (b"AUTH ", b"-ERR")
        c.send(start + mechanism.encode() + b" " + b64("n,,n=%s,r=probe" % name).encode() + b"\r\n")
        line = c.line()
        assert line.startswith(b"+ "), line
        first = dict(x.split("=", 1) for x in base64.b64decode(line[2:]).decode().split(","))
        proof = "A" * {"SCRAM-SHA-1": 27, "SCRAM-SHA-256": 43}[mechanism] + "="
        c.send(b64("c=biws,r=%s,p=%s" % (first["r"], proof)) + "\r\n")
        last = c.line()
        assert last.startswith(no), last
        return first["s"], len(base64.b64decode(first["s"])), first["i"], last


@pytest.mark.parametrize("listener", ["imap", "pop3"])
@pytest.mark.parametrize("mechanism", ["SCRAM-SHA-1", "SCRAM-SHA-256"])
def test_scram_shows_no_account(world, listener, mechanism):
    """A salt is the same each time, of an account that is there and of one that is not; all else is equal."""
    theirs, nobodys = ([scram(world.server, listener, name, mechanism) for _ in range(2)] for name in ("anna", "zeld"))
    assert theirs[0] == theirs[1] and nobodys[0] == nobodys[1]
    assert theirs[0][1:] == nobodys[0][1:] and theirs[0][0] != nobodys[0][0]
