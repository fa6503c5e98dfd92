"""CHUNKING and BINARYMIME [RFC 3030]."""

import pytest

from harness import Server, fetch_all, message, set_limit, strip_trace
from lmtp_client import begin, chunk, only_message, say


def test_chunks_make_a_message(shared):
    """Whatever is in them: dots are not stuffed, CRLF.CRLF ends nothing, a reply for each recipient behind the last."""
    for u in ("chunka", "chunkb"):
        shared.add_user(u)
    text = b"Subject: chunks\r\n\r\n.\r\n..\r\n\r\n.\r\nMAIL FROM:<evil@example.org>\r\n.\r\nend\r\n"
    with shared.raw("lmtp") as c:
        begin(c, "chunka", "chunkb")
        chunk(c, text[:20])
        assert c.reply().startswith(b"250 2.0.0 20 octets")
        chunk(c, b"")
        assert c.reply().startswith(b"250 2.0.0 0 octets")
        chunk(c, text[20:])
        assert c.reply().startswith(b"250 2.0.0")
        chunk(c, b"", last=True)
        assert [c.reply()[:24] for _ in range(2)] == [b"250 2.0.0 Delivered, id "] * 2
        chunk(c, b"x", last=True)
        assert c.reply().startswith(b"503 5.5.1")
        begin(c, "chunka", lhlo=False)      # and DATA goes as before
        say(c, "DATA", "354")
        c.send("Subject: data\r\n\r\n.\r\n")
        assert c.reply().startswith(b"250 2.0.0 Delivered")
    assert only_message(shared, "chunkb") == text


@pytest.mark.parametrize("split", [1, 3, 11])
def test_chunks_in_any_pieces(shared, split):
    user = "chunksplit%d" % split
    shared.add_user(user)
    text = message("pieces").encode()
    wire = ("LHLO x\r\nMAIL FROM:<a@b.example> BODY=8BITMIME\r\nRCPT TO:<%s>\r\nBDAT 7\r\n" % user).encode() + text[:7] + \
        b"BDAT %d\r\n" % (len(text) - 7) + text[7:] + b"BDAT 0 LAST\r\nNOOP\r\n"
    with shared.raw("lmtp") as c:
        for at in range(0, len(wire), split):
            c.send(wire[at:at + split])
        assert [c.reply()[:3] for _ in range(8)] == [b"220"] + [b"250"] * 7
    assert only_message(shared, user) == text


def test_chunks_without_a_transaction_are_no_commands(lmtp):
    """The octets of a refused chunk are read, not run."""
    evil = "MAIL FROM:<evil@example.org>\r\n"
    chunk(lmtp, evil)
    assert lmtp.reply().startswith(b"503 5.5.1 MAIL first")
    chunk(lmtp, evil, last=True)
    assert lmtp.reply().startswith(b"503 5.5.1 MAIL first")
    lmtp.send("BDAT 4 LOST\r\nQUIT")
    assert lmtp.reply().startswith(b"501 5.5.4")
    say(lmtp, "NOOP", "250")
    with pytest.raises(AssertionError):
        say(lmtp, "RCPT TO:<anna>", "250")


def test_chunk_before_lhlo(shared):
    with shared.raw("lmtp") as c:
        c.reply()
        chunk(c, "LHLO x\r\n")
        assert c.reply().startswith(b"503 5.5.1 LHLO first")
        say(c, "MAIL FROM:<a@b.example>", "503")


@pytest.mark.parametrize("arg", ["", " ", " x", " -1", " 3x LAST", " " + "9" * 30, " LAST"])
def test_chunk_of_unknown_length_ends_the_session(shared, arg):
    """What follows could be anything: it must not run."""
    with shared.raw("lmtp") as c:
        begin(c, "anna")
        c.send("BDAT%s\r\nRSET\r\nNOOP\r\n" % arg)
        assert c.reply().startswith(b"421 4.5.4")
        assert c.at_eof()


@pytest.mark.parametrize("before", [True, False])
def test_a_refused_chunk_is_missed(shared, before):
    """The message has a hole: it is refused for each recipient, and is delivered to none."""
    users = ["hole%d%d" % (before, i) for i in range(2)]
    for u in users:
        shared.add_user(u)
    with shared.raw("lmtp") as c:
        begin(c, *users)
        if before:
            chunk(c, "Subject: hole\r\n\r\n")
            assert c.reply().startswith(b"250")
        c.send("BDAT 6 LOST\r\nNOOP\r\n")
        assert c.reply().startswith(b"501 5.5.4")
        chunk(c, "more")
        assert c.reply().startswith(b"503 5.5.1 A chunk was refused")
        chunk(c, "end\r\n", last=True)
        assert [c.reply()[:9] for _ in range(2)] == [b"554 5.5.1"] * 2
        say(c, "NOOP", "250")
    with shared.imap(users[0]) as c:
        assert fetch_all(c) == {}


@pytest.mark.parametrize("line", [b"BDAT 6 LAST\n", b"bdat\t6 LAST\r\n", b"BDAT 6\0LAST\r\n", b"BDAT 6 \xff\r\n", b"BDAT 6" + b" " * 2100 + b"\r\n"],
                         ids=["lf", "tab", "nul", "8bit", "long"])
def test_garbled_chunk_ends_the_session(shared, line):
    """So does what is a BDAT to everybody but us."""
    with shared.raw("lmtp") as c:
        begin(c, "anna")
        c.send(line + b"RSET\r\nNOOP\r\n")
        assert c.reply().startswith(b"421 4.5.4")
        assert c.at_eof()


def test_last_chunk_answers_accepted_recipients_only(lmtp):
    """None accepted: no reply at all [RFC 2033 s4.3], so that a client that pipelines stays in step."""
    lmtp.send("MAIL FROM:<a@b.example>\r\nRCPT TO:<nobody>\r\nBDAT 4\r\nNOOPBDAT 6 LAST\r\nNOOP\r\nRSET\r\n")
    assert [lmtp.reply()[:9] for _ in range(4)] == [b"250 2.1.0", b"550 5.1.1", b"503 5.5.1", b"250 2.0.0"]
    lmtp.send("MAIL FROM:<a b>\r\nRCPT TO:<anna>\r\nBDAT 6 LAST\r\nNOOP\r\nVRFY a\r\n")
    assert [lmtp.reply()[:9] for _ in range(3)] == [b"501 5.1.7", b"503 5.5.1", b"252 2.5.0"]


def test_data_and_bdat_do_not_mix(lmtp):
    begin(lmtp, "anna", lhlo=False)
    chunk(lmtp, "Subject: x\r\n")
    assert lmtp.reply().startswith(b"250")
    say(lmtp, "DATA", "503 5.5.1")
    say(lmtp, "RCPT TO:<boris>", "503 5.5.1")
    say(lmtp, "MAIL FROM:<b@b.example>", "503 5.5.1")
    say(lmtp, "RSET", "250")
    begin(lmtp, "anna", params=" BODY=BINARYMIME", lhlo=False)
    say(lmtp, "DATA", "503 5.5.1")
    say(lmtp, "RSET", "250")


@pytest.mark.parametrize("end", ["RSET", "LHLO y", "eof", "half"])
def test_chunks_that_are_given_up(shared, end):
    user = "given%s" % end[:4].lower().strip()
    shared.add_user(user)
    with shared.raw("lmtp") as c:
        begin(c, user)
        chunk(c, message("given up"))
        assert c.reply().startswith(b"250")
        if end == "half":
            c.send("BDAT 100 LAST\r\nhalf of it")
        elif end != "eof":
            say(c, end, "250")
            begin(c, user, lhlo=False)
            chunk(c, "Subject: kept\r\n\r\n", last=True)
            assert c.reply().startswith(b"250 2.0.0 Delivered")
    if end in ("eof", "half"):
        with shared.imap(user) as c:
            assert fetch_all(c) == {}
    else:
        assert only_message(shared, user) == b"Subject: kept\r\n\r\n"


def test_binary_octets_are_kept(shared):
    """What BODY=BINARYMIME announces is stored as it came, bare LF and NUL too [RFC 3030 s3]."""
    shared.add_user("binary")
    head = b"Subject: binary\r\nMIME-Version: 1.0\r\nContent-Type: application/octet-stream\r\n" \
        b"Content-Transfer-Encoding: binary\r\n\r\n"
    body = bytes(range(256)) + b"a\nb\rc\r\n.\r\n\n.\n\0" + bytes(reversed(range(256)))
    with shared.raw("lmtp") as c:
        begin(c, "binary", params=" BODY=BINARYMIME")
        chunk(c, head + body, last=True)
        assert c.reply().startswith(b"250 2.0.0 Delivered")
    with shared.imap("binary") as c:
        (_, data), = fetch_all(c).values()
        assert strip_trace(data) == head + body.replace(b"\0", b"\x80")
        typ, data = c.fetch("1", "(BINARY.SIZE[1] BINARY.PEEK[1] RFC822.SIZE)")
        assert typ == "OK"
        assert data[0][1] == body
        assert b"BINARY.SIZE[1] %d" % len(body) in data[0][0] + data[1]


def test_too_big_chunks():
    """One refusal each, the octets read; the last one is refused for each recipient."""
    with Server({"anna": "x-secret", "boris": "x-secret"}, conf_edit=lambda t: set_limit(t, "message_size", "100K")) as s:
        s.start()
        with s.raw("lmtp") as c:
            begin(c, "anna", "boris")
            chunk(c, b"x" * 60000)
            assert c.reply().startswith(b"250")
            chunk(c, b"QUIT\r\n" * 10000)
            assert c.reply().startswith(b"552 5.3.4")
            chunk(c, b"more")
            assert c.reply().startswith(b"503 5.5.1")
            chunk(c, b"more", last=True)
            assert [c.reply()[:9] for _ in range(2)] == [b"552 5.3.4"] * 2
            begin(c, "anna", lhlo=False)
            chunk(c, b"x" * 200000, last=True)
            assert c.reply().startswith(b"552 5.3.4")
            begin(c, "anna", lhlo=False)
            chunk(c, "Subject: fits\r\n\r\n" + "x" * 100000, last=True)
            assert c.reply().startswith(b"250 2.0.0 Delivered")
