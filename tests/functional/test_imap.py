"""IMAP against a real server: two sessions, literals, IDLE, the odd things clients send."""

import base64
import quopri
import random
import re
import select
import ssl
import subprocess
import time

import pytest

from harness import AT_ONCE_S, Raw, Server, fetch_all, message, strip_trace

NESTED = (
    "From: a@example.org\r\nSubject: outer\r\nMIME-Version: 1.0\r\n"
    "Content-Type: multipart/mixed; boundary=b1\r\n\r\npreamble\r\n"
    "--b1\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    "caf=C3=A9\r\n"
    "--b1\r\nContent-Type: message/rfc822\r\n\r\n"
    "From: b@example.org\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n"
    "--b2\r\nContent-Type: text/plain\r\n\r\ninner text\r\n"
    "--b2\r\nContent-Type: text/html\r\n\r\n<p>inner</p>\r\n--b2--\r\n"
    "--b1\r\nContent-Type: application/octet-stream; name=x.bin\r\nContent-Transfer-Encoding: base64\r\n"
    "Content-Disposition: attachment; filename=x.bin\r\n\r\n"
    + base64.b64encode(bytes(range(256)) * 4).decode() + "\r\n--b1--\r\n")


@pytest.fixture
def box(shared, request):
    """A raw session, logged in to an account of its own."""
    user = re.sub(r"\W", "-", request.node.name)[:60]
    shared.add_user(user)
    c = shared.raw("imap")
    assert c.line().startswith(b"* OK [CAPABILITY IMAP4rev1")
    c.cmd("LOGIN %s secret" % user)
    c.user, c.server = user, shared
    yield c
    c.close()


def other(box):
    c = box.server.raw("imap")
    c.line()
    c.cmd("LOGIN %s secret" % box.user)
    return c


def append(c, text, mailbox="INBOX", flags=""):
    data = text if isinstance(text, bytes) else text.encode()
    return c.cmd(b"APPEND %s %s{%d+}\r\n%s" % (mailbox.encode(), flags.encode(), len(data), data))


def literal(responses):
    """The bytes of the first literal."""
    for r in responses:
        m = re.search(rb"\{(\d+)\}\r\n", r)
        if m:
            return r[m.end():m.end() + int(m.group(1))]
    raise AssertionError(responses)


def test_new_account_has_its_mailboxes(box):
    lines = b"\n".join(box.cmd('LIST "" "*"'))
    for name, use in ((b"Drafts", b"\\Drafts"), (b"Sent", b"\\Sent"), (b"Junk", b"\\Junk"), (b"Trash", b"\\Trash"),
                      (b"Archive", b"\\Archive")):
        assert re.search(rb'\* LIST \([^)]*' + re.escape(use) + rb'[^)]*\) "/" "?' + name, lines), lines
    assert re.search(rb'\* LIST \([^)]*\) "/" "?INBOX', lines)


def test_select_tells_all(box):
    append(box, message("x"))
    lines = b"\n".join(box.cmd("SELECT inbox"))
    assert b"* 1 EXISTS" in lines and b"* FLAGS (" in lines and b"[UIDVALIDITY " in lines and b"[UIDNEXT 2]" in lines
    assert b"[PERMANENTFLAGS (" in lines and b"\\*)" in lines and b"[READ-WRITE]" in lines
    assert b"[READ-ONLY]" in b"\n".join(box.cmd("EXAMINE INBOX"))


def test_append_gives_its_uid(box):
    r = append(box, message("x"), flags="(\\Seen) ")
    assert re.search(rb"OK \[APPENDUID \d+ 1\]", r[-1])
    assert append(box, message("y"))[-1].split(b"]")[0].endswith(b" 2")


def test_append_to_a_missing_mailbox(box):
    box.send("a APPEND nowhere {10}\r\n")
    assert box.line().startswith(b"a NO [TRYCREATE]")
    data = b"b LOGOUT\r\n" * 20
    box.send(b"c APPEND nowhere {%d+}\r\n" % len(data) + data + b"\r\n")
    assert box.line().startswith(b"c NO [TRYCREATE]")
    box.cmd("NOOP")


def test_synchronising_literals(box):
    box.send("a SELECT {5}\r\n")
    assert box.line().startswith(b"+")
    box.send("INBOX\r\n")
    assert box.imap_until(b"a")[-1].startswith(b"a OK")
    text = message("sync").encode()
    box.send("b APPEND INBOX {%d}\r\n" % len(text))
    assert box.line().startswith(b"+")
    box.send(text + b"\r\n")
    assert box.imap_until(b"b")[-1].startswith(b"b OK [APPENDUID")


def test_multiappend_is_all_or_nothing(box):
    a, b = message("one").encode(), message("two").encode()
    r = box.cmd(b"APPEND INBOX (\\Seen) {%d+}\r\n%s (\\Flagged) {%d+}\r\n%s" % (len(a), a, len(b), b))
    assert re.search(rb"APPENDUID \d+ 1:2\]", r[-1])


@pytest.mark.parametrize("section,want", [
    ("BODY.PEEK[]", NESTED),
    ("BODY.PEEK[TEXT]", NESTED.split("\r\n\r\n", 1)[1]),
    ("BODY.PEEK[HEADER]", NESTED.split("\r\n\r\n", 1)[0] + "\r\n\r\n"),
    ("BODY.PEEK[1]", "caf=C3=A9"),
    ("BODY.PEEK[1.MIME]",
     "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"),
    ("BODY.PEEK[2.HEADER]",
     "From: b@example.org\r\nSubject: inner\r\nContent-Type: multipart/alternative; boundary=b2\r\n\r\n"),
    ("BODY.PEEK[2.1]", "inner text"),
    ("BODY.PEEK[2.2]", "<p>inner</p>"),
    ("BODY.PEEK[2.1.MIME]", "Content-Type: text/plain\r\n\r\n"),
    ("BODY.PEEK[HEADER.FIELDS (SUBJECT)]", "Subject: outer\r\n\r\n"),
    ("BODY.PEEK[2.HEADER.FIELDS (Subject From)]", "From: b@example.org\r\nSubject: inner\r\n\r\n"),
    ("BODY.PEEK[]<6.10>", NESTED[6:16]),
    ("RFC822.HEADER", NESTED.split("\r\n\r\n", 1)[0] + "\r\n\r\n"),
    ("BINARY.PEEK[1]", "caf\u00e9"),
], ids=lambda v: v if v.startswith(("B", "R")) and len(v) < 50 else "")
def test_sections(shared, section, want):
    with shared.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna anna-secret")
        box_name = "sections"
        c.send("x CREATE sections\r\n")
        created = c.imap_until(b"x")[-1].startswith(b"x OK")
        if created:
            append(c, NESTED, box_name)
        c.cmd("SELECT sections")
        r = c.cmd("FETCH 1 %s" % section)
        m = re.search(rb'"([^"]*)"\)$', r[0])
        got = literal(r) if b"{" in r[0] else m.group(1)
        assert got == want.encode()


def test_binary_of_an_attachment(box):
    append(box, NESTED)
    box.cmd("SELECT INBOX")
    assert b"BINARY.SIZE[3] 1024" in box.cmd("FETCH 1 BINARY.SIZE[3]")[0]
    box.send("q FETCH 1 BINARY.PEEK[3]\r\n")
    head = box.line()
    assert head.endswith(b"~{1024}"), head
    assert box.exactly(1024) == bytes(range(256)) * 4
    assert box.imap_until(b"q")[-1].startswith(b"q OK")


def test_structure(box):
    append(box, NESTED)
    box.cmd("SELECT INBOX")
    r = box.cmd("FETCH 1 (BODYSTRUCTURE ENVELOPE)")[0]
    assert b'"mixed"' in r.lower() and b'"rfc822"' in r.lower() and b'"alternative"' in r.lower()
    assert r.count(b'"outer"') == 1 and r.count(b'"inner"') == 1


def test_fetch_sets_seen_and_peek_does_not(box):
    append(box, message("x"))
    box.cmd("SELECT INBOX")
    assert b"\\Seen" not in b"".join(box.cmd("FETCH 1 BODY.PEEK[TEXT]") + box.cmd("FETCH 1 FLAGS"))
    assert b"\\Seen" in b"".join(box.cmd("FETCH 1 BODY[TEXT]"))
    assert b"\\Seen" in b"".join(box.cmd("FETCH 1 FLAGS"))


def test_store_and_search(box):
    for i in range(6):
        append(box, message("subject %d" % i, size=100 * i), flags="(\\Seen) " if i % 2 else "")
    box.cmd("SELECT INBOX")
    assert box.cmd("SEARCH SEEN")[0] == b"* SEARCH 2 4 6"
    assert box.cmd("SEARCH NOT SEEN 2:*")[0] == b"* SEARCH 3 5"
    r = box.cmd("STORE 1:2 +FLAGS ($Work \\Flagged)")
    assert r[0].startswith(b"* FLAGS (") and b"$Work" in r[0] and r[1].startswith(b"* OK [PERMANENTFLAGS (")
    assert len(r) == 5 and b"$Work" in r[2]
    assert len(box.cmd("STORE 1 FLAGS.SILENT (\\Answered)")) == 1
    assert box.cmd("SEARCH KEYWORD $work")[0] == b"* SEARCH 2"
    assert box.cmd("SEARCH OR ANSWERED FLAGGED")[0] == b"* SEARCH 1 2"
    assert box.cmd('SEARCH SUBJECT "subject 3"')[0] == b"* SEARCH 4"
    assert box.cmd("SEARCH SENTON 3-Nov-2026 LARGER 100 UID 1:3")[0].startswith(b"* SEARCH 1 2 3")
    assert box.cmd("UID SEARCH HEADER Message-ID example.org UID 5:*")[0] == b"* SEARCH 5 6"
    assert box.cmd("SEARCH SUBJECT nothing-like-it")[0] == b"* SEARCH"


def encoded(charset, data):
    return "=?%s?B?%s?=" % (charset, base64.b64encode(data).decode())


HALF_KANA_JIS = b"\x1b(I" + bytes(x & 0x7f for x in "\uff92\uff70\uff99".encode("cp932")) + "請求".encode("iso-2022-jp")
ROW_13_JIS = b"\x1b$B\x2d\x21" + "請求書".encode("iso-2022-jp")[3:]
JAPANESE = [
    # how it was written, subject, charset of the body, transfer encoding, body
    ("iso-2022-jp", encoded("ISO-2022-JP", "ご請求書".encode("iso-2022-jp")), "iso-2022-jp", "7bit",
     "ご請求書".encode("iso-2022-jp")),
    ("cp932 said to be Shift_JIS", encoded("Shift_JIS", "①㈱請求".encode("cp932")), "shift_jis", "base64",
     "髙㈱請求".encode("cp932")),
    ("cp932 said to be iso-2022-jp", encoded("ISO-2022-JP", "請求".encode("cp932")), "iso-2022-jp", "8bit",
     "請求".encode("cp932")),
    ("NEC row 13 in iso-2022-jp", encoded("ISO-2022-JP", ROW_13_JIS), "iso-2022-jp", "7bit", ROW_13_JIS),
    ("euc-jp", encoded("EUC-JP", "ご請求書".encode("euc-jp")), "euc-jp", "quoted-printable", "ご請求書".encode("euc-jp")),
    ("a character split between encoded words",
     encoded("UTF-8", "請求".encode()[:4]) + "\r\n " + encoded("UTF-8", "請求".encode()[4:]), "utf-8", "base64", "請求".encode()),
    ("a word split between encoded words",
     encoded("ISO-2022-JP", "請".encode("iso-2022-jp")) + "\r\n " + encoded("ISO-2022-JP", "求".encode("iso-2022-jp")),
     "utf-8", "8bit", "請求".encode()),
    ("half-width kana in cp932", encoded("Shift_JIS", "ﾒｰﾙ請求".encode("cp932")), "shift_jis", "8bit",
     "ﾒｰﾙ請求".encode("cp932")),
    ("half-width kana in iso-2022-jp", encoded("ISO-2022-JP", HALF_KANA_JIS), "iso-2022-jp", "7bit", HALF_KANA_JIS),
    ("wave dash", encoded("ISO-2022-JP", "請求〜".encode("iso-2022-jp")), "shift_jis", "8bit",
     b"\x90\xbf\x8b\x81\x81\x60"),
]


def japanese_mail(subject, charset, encoding, body):
    body = {"base64": base64.encodebytes, "quoted-printable": quopri.encodestring}.get(encoding, bytes)(body)
    return (("From: a@example.org\r\nSubject: %s\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=%s\r\n"
             "Content-Transfer-Encoding: %s\r\n\r\n" % (subject, charset, encoding)).encode() + body.replace(b"\n", b"\r\n"))


def test_japanese_search(box):
    for row in JAPANESE:
        append(box, japanese_mail(*row[1:]))
    append(box, message("plain"))
    box.cmd("SELECT INBOX")

    def search(key, text, charset="UTF-8"):
        data = text.encode(charset)
        r = box.cmd(b"SEARCH CHARSET %s %s {%d+}\r\n%s" % (charset.encode(), key, len(data), data))
        return [JAPANESE[int(n) - 1][0] for n in r[0].split()[2:]]
    every = [row[0] for row in JAPANESE]
    for key in (b"SUBJECT", b"BODY", b"TEXT"):
        assert search(key, "請求") == every
        assert search(key, "メール") == search(key, "ﾒｰﾙ") == [name for name in every if "kana" in name]
        assert search(key, "〜") == search(key, "～") == ["wave dash"]
        assert search(key, "請求求") == []
    assert search(b"SUBJECT", "請求", "ISO-2022-JP") == search(b"BODY", "請求", "Shift_JIS") == every
    assert b"BADCHARSET" in box.cmd("SEARCH CHARSET x-unheard-of SUBJECT a", expect=b"NO")[-1]


def test_two_sessions_and_sequence_numbers(box):
    for i in range(5):
        append(box, message("m%d" % i))
    two = other(box)
    box.cmd("SELECT INBOX")
    two.cmd("SELECT INBOX")
    two.cmd("STORE 2,4 +FLAGS.SILENT (\\Deleted)")
    assert [r for r in two.cmd("EXPUNGE") if b"EXPUNGE" in r][:2] == [b"* 2 EXPUNGE", b"* 3 EXPUNGE"]
    r = box.cmd("FETCH 4 (UID BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
    assert b"Subject: m3" in b"".join(r), "expunged by another session, not told here: still to be fetched"
    assert not any(b"EXPUNGE" in x for x in r[:-1])
    r = box.cmd("NOOP")
    assert r[:2] == [b"* 2 EXPUNGE", b"* 3 EXPUNGE"]
    assert b"UID 5" in box.cmd("FETCH 3 UID")[0]
    two.close()


def test_others_changes_are_told(box):
    append(box, message("x"))
    two = other(box)
    box.cmd("SELECT INBOX")
    two.cmd("SELECT INBOX")
    two.cmd("STORE 1 +FLAGS.SILENT (\\Flagged)")
    assert b"\\Flagged" in b"".join(box.cmd("NOOP"))
    append(two, message("y"))
    assert b"* 2 EXISTS" in box.cmd("NOOP")
    two.close()


@pytest.mark.parametrize("event", ["delivery", "flag", "expunge"])
def test_idle_tells_at_once(box, event):
    append(box, message("x"))
    two = other(box)
    two.cmd("SELECT INBOX")
    if event == "expunge":
        two.cmd("STORE 1 +FLAGS.SILENT (\\Deleted)")
    box.cmd("SELECT INBOX")
    box.send("i IDLE\r\n")
    assert box.line().startswith(b"+")
    if event == "delivery":
        box.server.deliver([box.user], message("y"))
        want = b"* 2 EXISTS"
    elif event == "flag":
        two.cmd("STORE 1 +FLAGS.SILENT (\\Answered)")
        want = b"\\Answered"
    else:
        two.cmd("EXPUNGE")
        want = b"* 1 EXPUNGE"
    assert want in box.line()
    box.send("DONE\r\n")
    assert box.imap_until(b"i")[-1].startswith(b"i OK")
    two.close()


def test_copy_and_move(box):
    for i in range(4):
        append(box, message("m%d" % i), flags="(\\Flagged $Keep) ")
    box.cmd("SELECT INBOX")
    assert re.search(rb"OK \[COPYUID \d+ 1:2 1:2\]", box.cmd("COPY 1:2 Archive")[-1])
    r = box.cmd("UID MOVE 3 Archive")
    assert re.search(rb"\* OK \[COPYUID \d+ 3 3\]", r[0]) and b"* 3 EXPUNGE" in r
    assert b"[TRYCREATE]" in box.cmd("COPY 1 nowhere", expect=b"NO")[-1]
    box.cmd("SELECT Archive")
    assert all(b"\\Flagged" in x and b"$Keep" in x for x in box.cmd("FETCH 1:3 FLAGS")[:3])
    box.cmd("UID EXPUNGE 1:*")
    assert b"MESSAGES 3" in box.cmd("STATUS Archive (MESSAGES)")[0]


def test_mailbox_names(box):
    box.cmd("CREATE a/b/c")
    assert len(box.cmd('LIST "" "a*"')) == 4
    assert len(box.cmd('LIST "" "a/%"')) == 2
    box.cmd("CREATE &ZeVnLIqe-")
    assert b"&ZeVnLIqe-" in box.cmd('LIST "" "&ZeVnLIqe-"')[0]
    assert b"[ALREADYEXISTS]" in box.cmd("CREATE a/b", expect=b"NO")[-1]
    assert b"[NONEXISTENT]" in box.cmd("DELETE nothing", expect=b"NO")[-1]
    append(box, message("kept"), "a/b/c")
    before = box.cmd("STATUS a/b/c (UIDVALIDITY UIDNEXT MESSAGES)")[0]
    box.cmd("RENAME a z")
    after = box.cmd("STATUS z/b/c (UIDVALIDITY UIDNEXT MESSAGES)")[0]
    assert after == before.replace(b"a/b/c", b"z/b/c")
    box.cmd("DELETE INBOX", expect=b"NO")
    box.cmd("DELETE z/b/c")
    box.cmd("CREATE z/b/c")
    uv = rb"UIDVALIDITY (\d+)"
    again = box.cmd("STATUS z/b/c (UIDVALIDITY)")[0]
    assert int(re.search(uv, again).group(1)) > int(re.search(uv, before).group(1)), "UIDVALIDITY is never reused"


def test_subscriptions(box):
    assert len(box.cmd('LSUB "" "*"')) == 7
    box.cmd("UNSUBSCRIBE Junk")
    box.cmd("SUBSCRIBE Trash")
    assert not any(b"Junk" in x for x in box.cmd('LSUB "" "*"'))


def test_close_expunges_and_unselect_does_not(box):
    append(box, message("x"), flags="(\\Deleted) ")
    box.cmd("SELECT INBOX")
    box.cmd("UNSELECT")
    assert b"MESSAGES 1" in box.cmd("STATUS INBOX (MESSAGES)")[0]
    box.cmd("EXAMINE INBOX")
    box.cmd("CLOSE")
    assert b"MESSAGES 1" in box.cmd("STATUS INBOX (MESSAGES)")[0]
    box.cmd("SELECT INBOX")
    box.cmd("CLOSE")
    assert b"MESSAGES 0" in box.cmd("STATUS INBOX (MESSAGES)")[0]


def test_pipelined_commands(box):
    append(box, message("x"))
    box.send("a SELECT INBOX\r\nb FETCH 1 FLAGS\r\nc STORE 1 +FLAGS (\\Seen)\r\nd NOOP\r\n")
    for tag in (b"a", b"b", b"c", b"d"):
        assert box.imap_until(tag)[-1].startswith(tag + b" OK")


@pytest.mark.parametrize("split", [1, 3])
def test_commands_in_pieces(box, split):
    wire = b'a APPEND INBOX {5+}\r\nSubje\r\nb SELECT "INBOX"\r\nc FETCH 1 BODY.PEEK[]\r\n'
    for at in range(0, len(wire), split):
        box.send(wire[at:at + split])
    for tag in (b"a", b"b", b"c"):
        assert box.imap_until(tag)[-1].startswith(tag + b" OK")


@pytest.mark.parametrize("line", [
    "FETCH", "FETCH 1", "FETCH 0 FLAGS", "FETCH 1 FROB", "FETCH 1 BODY[", "FETCH 1 BODY[]<5>", "STORE 1 FROBS (x)",
    "SEARCH", "SEARCH FROB", "SEARCH ((((", "SELECT", "SELECT a b c", "LOGIN a", "UID", "UID FROB 1", "FROB",
    "APPEND INBOX", "COPY 1", "LIST", "STATUS INBOX", "STATUS INBOX (FROB)", "IDLE now", "FETCH 1:99999999999 FLAGS",
    "FETCH 1,,2 FLAGS", "STORE 1 FLAGS (\\Frob \\Recent)", "ENABLE",
])
def test_bad_syntax_is_bad(box, line):
    append(box, message("x"))
    box.cmd("SELECT INBOX")
    box.cmd(line, expect=b"BAD")
    box.cmd("NOOP")


def test_too_many_bad_commands_end_the_session(box):
    for _ in range(100):
        box.send("x FROB\r\n")
        if box.line().startswith(b"* BYE"):
            return
    pytest.fail("a hundred bad commands and still there")


def test_a_long_line_is_refused_and_the_session_lives(box):
    box.send(b"a NOOP " + b"x" * 200000 + b"\r\n")
    assert box.line().startswith((b"a BAD", b"* BAD"))
    box.cmd("NOOP")


@pytest.mark.parametrize("line,expect", [
    ("SEARCH " + "(" * 5000 + "ALL" + ")" * 5000, b"NO [LIMIT]"),
    ("SEARCH " + "OR ALL " * 5000 + "ALL", b"NO [LIMIT]"),
    ("SEARCH " + "NOT " * 10000 + "ALL", b"OK"),
    ("SEARCH " + " ".join(["SUBJECT {1+}\r\nm"] * 300), b"BAD"),
    ("ID (" + " ".join(["{0+}\r\n"] * 5000) + ")", b"BAD"),
    ("FETCH " + ",".join(["1:1"] * 5000) + " UID", b"NO [LIMIT]"),
    ("UID FETCH 1:4294967295 UID", b"OK"),
    ("UID FETCH " + ",".join(str(2 * i + 1) for i in range(4000)) + " UID", b"OK"),
    ("FETCH 1 (" + " ".join(["UID"] * 500) + ")", b"NO [LIMIT]"),
    ("FETCH 1 BODY[" + ".".join(["1"] * 500) + "]", b"NO [LIMIT]"),
    ('LIST "" "' + "*a" * 450 + '"', b"OK"),
    ("STORE 1 +FLAGS (" + " ".join("k%d" % i for i in range(5000)) + ")", b"NO [LIMIT]"),
    ("CREATE " + "n" * 1001, b"NO"), ("CREATE " + "/".join(["n"] * 300), b"NO"),
    ("NOOP " + "x" * 65530, b"BAD"), ('SEARCH SUBJECT "' + "x" * 65000 + '"', b"NO [LIMIT]"),
], ids=lambda v: str(v)[:24])
def test_greedy_commands_cost_little(box, line, expect):
    append(box, message("x"))
    box.cmd("SELECT INBOX")
    before = box.server.cpu_seconds()
    box.cmd(line, expect=expect)
    box.cmd("NOOP")
    assert box.server.cpu_seconds() - before < 5


@pytest.mark.parametrize("begin", ["NOOP ", "FROB ", "LOGIN ", "STORE 1 FLAGS ", "SELECT ", "APPEND nowhere ",
                                   "APPEND INBOX (\\Foo) ", "APPEND INBOX x "])
@pytest.mark.parametrize("size", [12, 3000, 200000])
def test_refused_literals_are_skipped(box, begin, size):
    data = (b"x LOGOUT\r\n" * (size // 10 + 1))[:size]
    box.send(b"a %s{%d+}\r\n%s\r\nb NOOP\r\n" % (begin.encode(), size, data))
    first = box.line()
    assert first.startswith((b"a BAD", b"a NO")), first
    assert box.line() == b"b OK NOOP completed"


def with_attachment(octets):
    """A message of two parts; the attachment is noise, as pictures are."""
    noise = random.Random(octets).randbytes(octets * 57 // 78)
    return (b"Subject: %d\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
            b"--b\r\n\r\nsee there\r\n--b\r\nContent-Type: image/jpeg\r\n"
            b"Content-Transfer-Encoding: base64\r\n\r\n%s\r\n--b--\r\n"
            % (octets, base64.encodebytes(noise).replace(b"\n", b"\r\n")))


SIZES = (3000, 40000, 62000, 66000, 100000, 130000, 160000, 190000, 260000, 600000)


def test_bodies_read_again(box):
    """What was read lately is remembered in part: each time the whole message comes."""
    mails = [with_attachment(n) for n in SIZES]
    for m in mails:
        append(box, m)
    box.cmd("SELECT INBOX")
    for _ in range(3):
        for uid, m in enumerate(mails, 1):
            assert literal(box.cmd("UID FETCH %d BODY.PEEK[]" % uid)) == m
            assert literal(box.cmd("UID FETCH %d (BODY.PEEK[]<100.90000>)" % uid)) == m[100:90100]
            assert literal(box.cmd("UID FETCH %d (UID RFC822.SIZE BODY.PEEK[] BODY.PEEK[]<7.60000>)" % uid)) == m


def test_bodies_asked_for_before_any_is_read(box):
    """Commands sent together, whose answers do not fit what the server keeps of output."""
    mails = [with_attachment(n) for n in SIZES]
    for m in mails:
        append(box, m)
    box.cmd("SELECT INBOX")
    order = [i % len(mails) for i in range(5 * len(mails))] + [1] * 60
    box.send("".join("f%d UID FETCH %d BODY.PEEK[]\r\n" % (n, i + 1) for n, i in enumerate(order)))
    for n, i in enumerate(order):
        assert literal(box.imap_until(b"f%d" % n)) == mails[i], (n, i)


def test_a_literal_too_large_to_skip_ends_the_session(box):
    box.send(b"a APPEND INBOX {999999999999+}\r\nx LOGOUT\r\n")
    assert box.line().startswith(b"* BYE")
    assert box.at_eof()


@pytest.mark.parametrize("sent,said", [
    (b"a LOGIN {9000+}\r\n" + b"x LOGOUT\r\n" * 900 + b"\r\n", [b"a BAD"]),
    (b"a NOOP " + b"x" * 30000 + b"\r\n", [b"a BAD"]),
    (b"a NOOP " + b"x" * 300000, [b"* BYE [TOOBIG]", b""]),
    (b"a ID (" + b"{1+}\r\nx " * 5 + b")\r\n", [b"a BAD"]),
    (b"a ID " + b"(" * 8000 + b"\r\n", [b"a BAD"]),
    (b"a LOGIN {70000+}\r\n", [b"* BYE [TOOBIG]", b""]),
], ids=["literal", "line", "huge line", "literals", "parentheses", "huge literal"])
def test_little_is_kept_before_login(shared, sent, said):
    with shared.raw("imap") as c:
        c.line()
        c.send(sent)
        for begin in said:
            assert c.line().startswith(begin)
        if said[-1]:
            c.cmd("NOOP")


def test_many_half_logins_cost_little(shared):
    before = shared.rss_kb()
    many = [shared.raw("imap") for _ in range(100)]
    for c in many:
        c.line()
        c.send(b"a LOGIN anna {8000+}\r\n" + b"x" * 7999)
    with shared.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna anna-secret")
    grown = shared.rss_kb() - before
    for c in many:
        c.close()
    assert grown < 100 * 64 * shared.memory_slack(), "%d KiB for 100 sessions" % grown


def test_append_split_at_each_octet(box):
    text = message("split").encode()[:100]
    wire = (b"a APPEND INBOX (\\Seen) {%d+}\r\n%s\r\nb NOOP\r\nc UID FETCH 1 UID\r\n"
            b"d APPEND none {10+}\r\nx LOGOUT\r\n\r\ne NOOP\r\n" % (len(text), text))
    box.cmd("SELECT INBOX")
    for cut in range(1, len(wire)):
        box.send(wire[:cut])
        time.sleep(0.0005)
        box.send(wire[cut:])
        for end in (b"a OK", b"b OK", b"c OK", b"d NO [TRYCREATE]", b"e OK"):
            assert box.imap_until(end[:1])[-1].startswith(end), cut


@pytest.mark.parametrize("sent", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /a", b"PUT /", b"HEAD / HTTP/1.0\r\n",
                                  b"OPTIONS * HTTP/1.1\r\n", b"CONNECT x:443 HTTP/1.1\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n",
                                  b"\x16\x03\x01\x02\x00\x01"], ids=lambda x: repr(x[:7])[2:-1])
def test_other_protocols_get_one_bad(shared, sent):
    """Web browsers, and TLS on the port in clear; most of them before a line has ended."""
    with shared.raw("imap") as c:
        c.line()
        c.send(sent)
        assert c.line().startswith(b"* BAD ")
        assert c.line().startswith(b"* BYE ")
        assert c.at_eof()


@pytest.mark.parametrize("how", ["LOGIN", "PLAIN", "PLAIN-IR"])
def test_wrong_password(shared, how):
    with shared.raw("imap") as c:
        c.line()
        for user in ("anna", "nobody"):
            plain = base64.b64encode(b"\0" + user.encode() + b"\0wrong").decode()
            if how == "LOGIN":
                r = c.cmd("LOGIN %s wrong" % user, expect=b"NO")
            elif how == "PLAIN-IR":
                r = c.cmd("AUTHENTICATE PLAIN " + plain, expect=b"NO")
            else:
                c.send("p AUTHENTICATE PLAIN\r\n")
                assert c.line().startswith(b"+")
                c.send(plain + "\r\n")
                r = c.imap_until(b"p")
            assert b"NO [AUTHENTICATIONFAILED]" in r[-1]
        c.cmd("SELECT INBOX", expect=b"BAD")
        c.cmd("LOGIN anna anna-secret")


def test_failed_logins_are_answered_late():
    with Server({"anna": "anna-secret"}, auth_delay=600) as s:
        s.start()
        with s.raw("imap") as c, s.raw("imap") as d:
            c.line(), d.line()
            for least in (0.6, 1.2):
                began = time.monotonic()
                c.send("a LOGIN anna wrong\r\nb NOOP\r\n")
                assert c.line().startswith(b"a NO")
                assert least <= time.monotonic() - began < least + AT_ONCE_S
                assert c.line().startswith(b"b OK")
            for _ in range(4):                  # on a busy machine another's login may take longer than the delay
                c.send("c LOGIN anna wrong\r\n")
                d.cmd("LOGIN anna anna-secret")
                if not select.select([c.sock], [], [], 0)[0]:
                    return
                assert c.line().startswith(b"c NO")
                d.cmd("UNAUTHENTICATE")
            raise AssertionError("others wait")


@pytest.mark.parametrize("how", ["LOGIN", "PLAIN"])
def test_a_failed_login_is_logged_with_its_name(shared, how):
    user = "who-is-" + how.lower()
    with shared.raw("imap") as c:
        c.line()
        if how == "LOGIN":
            c.cmd("LOGIN %s wrong" % user, expect=b"NO")
        else:
            c.cmd("AUTHENTICATE PLAIN " + base64.b64encode(b"\0" + user.encode() + b"\0wrong").decode(), expect=b"NO")
    line, = (x for x in shared.log().splitlines() if "ev=auth.failed" in x and user in x)
    assert 'user="%s"' % user in line or "user=%s" % user in line
    assert "wrong" not in line.replace("wrong password", "")


def test_previews_are_logged_with_the_account(server):
    """At the level debug [RFC 8970 s8]."""
    server.stop()
    with open(server.conf) as f:
        text = f.read()
    with open(server.conf, "w") as f:
        f.write(text.replace("log_level = info", "log_level = debug"))
    server.start()
    server.deliver(["anna"], message("one"))
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna anna-secret")
        c.cmd("SELECT INBOX")
        c.cmd("FETCH 1 FLAGS")
        assert "imap.fetch.preview" not in server.log()
        c.cmd("FETCH 1 PREVIEW")
    line, = (x for x in server.log().splitlines() if "imap.fetch.preview" in x)
    assert "user=anna" in line and "messages=1" in line


def test_authenticate_plain(shared):
    with shared.raw("imap") as c:
        c.line()
        c.send("p AUTHENTICATE PLAIN\r\n")
        assert c.line().startswith(b"+")
        c.send("*\r\n")
        assert c.line().startswith(b"p BAD")
        c.cmd("AUTHENTICATE PLAIN " + base64.b64encode(b"\0anna\0anna-secret").decode())
        c.cmd("SELECT INBOX")


def test_one_user_never_sees_another(shared):
    shared.deliver(["boris"], message("private"))
    with shared.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna anna-secret")
        for name in ("boris", "boris/INBOX", "user/boris", "../boris", "#user/boris", "Other Users/boris/INBOX"):
            c.send('q SELECT "%s"\r\n' % name)
            assert not c.imap_until(b"q")[-1].startswith(b"q OK")


@pytest.mark.parametrize("probe", [
    "SELECT hidden", "EXAMINE hidden", "STATUS hidden (MESSAGES)", "COPY 1 hidden", "MOVE 1 hidden",
    "RENAME hidden mine", "DELETE hidden", "SUBSCRIBE hidden", "APPEND hidden {4+}\r\na: b"])
def test_two_users(box, probe):
    two = box.server.raw("imap")
    two.line()
    two.cmd("LOGIN boris boris-secret")
    two.send("x CREATE hidden\r\n")
    two.imap_until(b"x")
    append(two, message("topsecret"), "hidden")
    append(box, message("mine"))
    box.cmd("SELECT INBOX")
    box.cmd(probe, expect=b"NO")
    box.cmd("SELECT INBOX")
    said = b"".join(box.cmd('LIST "" "*"') + box.cmd('LSUB "" "*"') + box.cmd("UID SEARCH RETURN (ALL) TEXT topsecret"))
    assert b"hidden" not in said and b" ALL " not in said
    two.cmd("SELECT hidden")
    two.close()


@pytest.mark.parametrize("before", ["", "x NOOP\r\ny ID NIL\r\n"], ids=["alone", "behind others"])
@pytest.mark.parametrize("behind", ["b LOGIN anna anna-secret\r\n", "b LOGIN anna {11+}\r\nanna-se", "b APPEND"], ids=["command", "literal", "part"])
def test_starttls_drops_what_was_pipelined(shared, before, behind):
    c = Raw(shared.port("imap"))
    assert b"STARTTLS" in c.line()
    c.send(before + "a STARTTLS\r\n" + behind)
    assert c.imap_until(b"a")[-1].startswith(b"a OK")
    assert c.have == b""
    c.sock = shared.tls().wrap_socket(c.sock)
    c.have = b""
    r = c.cmd("CAPABILITY")
    assert not any(x.startswith(b"b ") for x in r)
    assert b"STARTTLS" not in r[0] and b"AUTH=PLAIN" in r[0]
    c.cmd("SELECT INBOX", expect=b"BAD")
    c.close()


@pytest.mark.parametrize("starttls", [False, True], ids=["implicit", "starttls"])
@pytest.mark.parametrize("name,other", [("imap", "pop3"), ("pop3", "imap")])
@pytest.mark.parametrize("how", ["none", "right", "both", "http", "other"])
def test_alpn(shared, how, name, other, starttls):
    """What is offered must hold the protocol spoken here; the alert says so. Nothing offered is fine [RFC 7301 s3.2]."""
    offered = {"none": [], "right": [name], "both": ["http/1.1", name], "http": ["http/1.1"], "other": [other]}[how]
    ctx = shared.tls()
    if offered:
        ctx.set_alpn_protocols(offered)
    c = shared.raw(name if starttls else name + "s")
    if starttls:
        c.line()
        c.send("a STARTTLS\r\n" if name == "imap" else "STLS\r\n")
        assert b"OK" in c.line()
    if name not in offered and offered:
        with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
            ctx.wrap_socket(c.sock)
        return
    c.sock = ctx.wrap_socket(c.sock)
    assert c.sock.selected_alpn_protocol() == (name if offered else None)
    c.send("a LOGOUT\r\n" if name == "imap" else "QUIT\r\n")
    assert b"OK" in c.line() + c.line()
    c.close()


def tls_of(server, version, cipher="ALL"):
    """(version, cipher) of a connection that offers these alone."""
    ctx = server.tls()
    ctx.set_ciphers(cipher + ":@SECLEVEL=0")
    ctx.minimum_version = ctx.maximum_version = version
    with server.raw("imaps") as c:
        c.sock = ctx.wrap_socket(c.sock)
        assert c.line().startswith(b"* OK")
        return c.sock.version(), c.sock.cipher()[0]


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_tls_versions(shared):
    """TLS 1.2 and 1.3, and nothing older [RFC 9051 s11.1]."""
    assert tls_of(shared, ssl.TLSVersion.TLSv1_3)[0] == "TLSv1.3"
    assert tls_of(shared, ssl.TLSVersion.TLSv1_2)[0] == "TLSv1.2"
    for version in (ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1):
        with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
            tls_of(shared, version)


def test_tls_cipher_with_rsa(server):
    """The cipher of TLS 1.2 that every server has to know, and others that are good, with an RSA key [RFC 9051 s11.1]."""
    server.stop()
    paths = {kind: subprocess.check_output(["grep", "-rlI", "^-----BEGIN %s" % kind, server.dir], text=True).split()
             for kind in ("CERTIFICATE", "PRIVATE KEY")}
    subprocess.check_call(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-days", "2",
                           "-out", paths["CERTIFICATE"][0], "-keyout", paths["PRIVATE KEY"][0]], stderr=subprocess.DEVNULL)
    server.start()
    for name in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384"):
        assert tls_of(server, ssl.TLSVersion.TLSv1_2, name) == ("TLSv1.2", name)


def test_alpn_is_nothing_to_lmtp(shared):
    ctx = shared.tls()
    ctx.set_alpn_protocols(["smtp"])
    c = shared.raw("lmtp")
    c.line()
    c.send("LHLO x\r\n")
    c.reply()
    c.send("STARTTLS\r\n")
    assert c.line().startswith(b"220")
    c.sock = ctx.wrap_socket(c.sock)
    assert c.sock.selected_alpn_protocol() is None
    c.close()


def test_logout(box):
    r = box.cmd("LOGOUT")
    assert r[0].startswith(b"* BYE")
    assert box.at_eof()


def test_slow_reader_costs_little(shared):
    """A client that asks for much and reads nothing must not make the server keep it all."""
    shared.add_user("slow")
    text = message("big", body=("0123456789abcdef" * 4 + "\r\n") * 60000)
    for _ in range(10):
        shared.deliver(["slow"], text)
    with shared.raw("imap") as c:
        c.line()
        c.cmd("LOGIN slow secret")
        c.cmd("SELECT INBOX")
        before = shared.rss_kb()
        c.send("a FETCH 1:* BODY.PEEK[]\r\n")
        time.sleep(1.0)
        grown = shared.rss_kb() - before
        r = c.imap_until(b"a")
        assert r[-1].startswith(b"a OK") and len(r) == 11
    assert grown < 20000 * shared.memory_slack(), "%d KiB for one slow reader" % grown


def test_nul_is_masked_except_in_binary():
    with Server({"anna": "x-secret"}) as s:
        s.start()
        data = message("nul").encode() + b"a\0b\r\n"
        with s.raw("lmtp") as c:
            c.reply()
            c.send(b"LHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<anna>\r\nDATA\r\n" + data + b".\r\n")
            for _ in range(4):
                c.reply()
            assert c.reply().startswith(b"250")
        with s.imap("anna") as c:
            (_, got), = fetch_all(c).values()
        assert strip_trace(got) == data.replace(b"\0", b"\x80")
