"""LMTP [RFC 2033] as MTAs speak it, and as attackers do."""

import pytest

from harness import Raw, Server, fetch_all, message, set_limit, strip_trace


@pytest.fixture
def lmtp(shared):
    with shared.raw("lmtp") as c:
        assert c.reply().startswith(b"220 ")
        c.send("LHLO mta.example.org\r\n")
        c.hello = c.reply()
        assert c.hello.startswith(b"250")
        yield c


def say(c, line, expect):
    c.send(line + "\r\n")
    got = c.reply()
    assert got.startswith(expect.encode()), (line, got)
    return got


def test_lhlo_lists_what_works(lmtp):
    words = {line[4:].split(b" ")[0] for line in lmtp.hello.split(b"\n")[1:]}
    assert {b"PIPELINING", b"ENHANCEDSTATUSCODES", b"8BITMIME", b"SIZE"} <= words
    assert b"CHUNKING" not in words


def test_helo_and_ehlo_are_refused(shared):
    with shared.raw("lmtp") as c:
        c.reply()
        say(c, "EHLO x", "500")
        say(c, "HELO x", "500")
        say(c, "LHLO x", "250")


def test_unknown_user_is_refused_at_rcpt(lmtp):
    say(lmtp, "MAIL FROM:<a@example.org>", "250 2.1.0")
    say(lmtp, "RCPT TO:<nobody@example.org>", "550 5.1.1")
    say(lmtp, "RCPT TO:<anna@example.org>", "250 2.1.5")
    say(lmtp, "RSET", "250")


def test_a_reply_for_each_recipient(lmtp):
    """One reply per successful RCPT, in order, whatever was refused between."""
    lmtp.send("MAIL FROM:<a@example.org>\r\nRCPT TO:<anna>\r\nRCPT TO:<nobody>\r\nRCPT TO:<boris>\r\nDATA\r\n")
    codes = [lmtp.reply()[:3] for _ in range(5)]
    assert codes == [b"250", b"250", b"550", b"250", b"354"]
    lmtp.send(message("pipelined") + ".\r\n")
    assert lmtp.reply().startswith(b"250 2.")
    assert lmtp.reply().startswith(b"250 2.")
    say(lmtp, "NOOP", "250")


def test_data_without_recipients(lmtp):
    say(lmtp, "DATA", "503")
    say(lmtp, "MAIL FROM:<>", "250")
    say(lmtp, "DATA", "503")
    say(lmtp, "RCPT TO:<nobody>", "550")
    say(lmtp, "DATA", "503")


def test_null_reverse_path(shared):
    shared.add_user("bounced")
    with shared.lmtp() as c:
        c.sendmail("", ["bounced"], message("bounce"))
    with shared.imap("bounced") as c:
        (_, data), = fetch_all(c).values()
    assert data.startswith(b"Return-Path: <>\r\n")


def test_dots_and_odd_line_ends(shared):
    shared.add_user("dots")
    body = b"Subject: dots\r\n\r\n.\r\n..two\r\n.leading\r\nlf only\nbare\rcr\r\nend\r\n"
    stuffed = b"\r\n".join(b"." + x if x.startswith(b".") else x for x in body.split(b"\r\n"))
    with shared.raw("lmtp") as c:
        c.reply()
        say(c, "LHLO x", "250")
        say(c, "MAIL FROM:<a@b.example>", "250")
        say(c, "RCPT TO:<dots>", "250")
        say(c, "DATA", "354")
        c.send(stuffed + b".\r\n")
        assert c.reply().startswith(b"250")
    with shared.imap("dots") as c:
        (_, data), = fetch_all(c).values()
    assert strip_trace(data) == body.replace(b"only\n", b"only\r\n")


@pytest.mark.parametrize("end", [b"\n.\n", b"\r.\r", b"\n.\r\n", b"\r\n.\n"],
                         ids=["lf.lf", "cr.cr", "lf.crlf", "crlf.lf"])
def test_only_crlf_dot_crlf_ends_the_data(shared, end):
    """Nothing else may end a message, or the rest of it would be taken for commands."""
    user = "smuggle" + end.hex()
    shared.add_user(user)
    with shared.raw("lmtp") as c:
        c.reply()
        say(c, "LHLO x", "250")
        say(c, "MAIL FROM:<a@b.example>", "250")
        say(c, "RCPT TO:<%s>" % user, "250")
        say(c, "DATA", "354")
        c.send(b"Subject: x\r\n\r\nbody" + end + b"MAIL FROM:<evil@example.org>\r\n.\r\n")
        assert c.reply().startswith(b"250")
        say(c, "NOOP", "250 2.0.0")
    with shared.imap(user) as c:
        (_, data), = fetch_all(c).values()
    assert b"evil@example.org" in data


@pytest.mark.parametrize("split", [1, 2, 3, 7])
def test_bytes_in_any_pieces(shared, split):
    user = "split%d" % split
    shared.add_user(user)
    text = message("in pieces", body="..\r\nlast\r\n")
    wire = ("LHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<%s>\r\nDATA\r\n" % user).encode()
    with shared.raw("lmtp") as c:
        c.reply()
        for at in range(0, len(wire), split):
            c.send(wire[at:at + split])
        for want in (b"250", b"250", b"250", b"354"):
            assert c.reply().startswith(want)
        data = text.replace("\r\n.", "\r\n..").encode() + b".\r\n"
        for at in range(0, len(data), split):
            c.send(data[at:at + split])
        assert c.reply().startswith(b"250")
    with shared.imap(user) as c:
        (_, got), = fetch_all(c).values()
    assert strip_trace(got) == text.encode()


@pytest.mark.parametrize("line,expect", [
    ("MAIL FROM:a@example.org", "50"), ("MAIL FROM:<a@example.org", "50"), ("MAIL FROM:<a b@example.org>", "50"),
    ("MAIL FROM:<\"\"@example.org> FOO=1", "555"), ("MAIL TO:<a@example.org>", "50"), ("MAIL", "50"),
    ("MAIL FROM:<a@example.org> SIZE=abc", "50"), ("MAIL FROM:<a@example.org> SIZE=99999999999", "552 5.3.4"),
    ("RCPT TO:<anna>", "503"), ("FOO", "500"), ("VRFY anna", "25"), ("", "500"), ("NOOP \0", "50"),
    ("MAIL FROM:<" + "a" * 5000 + ">", "50"),
], ids=lambda v: repr(v)[:24])
def test_bad_commands_get_a_clear_answer(lmtp, line, expect):
    say(lmtp, line, expect)
    say(lmtp, "NOOP", "250")


@pytest.mark.parametrize("path", ["<\"\"@example.org>", "<\"an na\"@example.org>", "<@relay.example:anna@example.org>",
                                  "<anna@[127.0.0.1]>", "<\"anna\"@example.org>"])
def test_odd_recipient_paths(lmtp, path):
    say(lmtp, "MAIL FROM:<a@example.org>", "250")
    lmtp.send("RCPT TO:%s\r\n" % path)
    assert lmtp.reply()[:3] in (b"250", b"550", b"501")
    say(lmtp, "NOOP", "250")


def test_detail_files_into_its_folder(shared):
    shared.add_user("detail")
    with shared.imap("detail") as c:
        c.create("lists")
    shared.deliver(["detail+lists@example.org"], message("for lists"))
    shared.deliver(["detail+unknown@example.org"], message("for inbox"))
    with shared.imap("detail") as c:
        assert len(fetch_all(c, "lists")) == 1
        assert len(fetch_all(c, "INBOX")) == 1


def test_quota(shared):
    shared.add_user("quota")
    shared.ctl("quota", "set", "quota", "5000")
    shared.deliver(["quota"], message("fits", size=3000))
    with shared.raw("lmtp") as c:
        c.reply()
        say(c, "LHLO x", "250")
        say(c, "MAIL FROM:<a@b.example> SIZE=4000", "250")
        say(c, "RCPT TO:<quota>", "452 4.2.2")
        say(c, "RCPT TO:<boris>", "250")
        say(c, "RSET", "250")
        say(c, "MAIL FROM:<a@b.example>", "250")
        say(c, "RCPT TO:<quota>", "250")
        say(c, "RCPT TO:<boris>", "250")
        say(c, "DATA", "354")
        c.send(message("too much", size=4000) + ".\r\n")
        assert c.reply().startswith(b"452 4.2.2")
        assert c.reply().startswith(b"250")
    shared.ctl("quota", "set", "quota", "0")
    shared.deliver(["quota"], message("fits again", size=9000))


def test_too_big_a_message():
    with Server({"anna": "x-secret"}, conf_edit=lambda t: set_limit(t, "message_size", "100K")) as s:
        s.start()
        with s.raw("lmtp") as c:
            c.reply()
            c.send("LHLO x\r\n")
            assert b"SIZE 102400" in c.reply()
            say(c, "MAIL FROM:<a@b.example> SIZE=200000", "552 5.3.4")
            say(c, "MAIL FROM:<a@b.example>", "250")
            say(c, "RCPT TO:<anna>", "250")
            say(c, "DATA", "354")
            c.send(message("huge", size=300000) + ".\r\n")
            assert c.reply().startswith(b"552 5.3.4")
            say(c, "NOOP", "250")


def test_client_that_leaves_in_the_middle(shared):
    shared.add_user("leaver")
    for cut in ("LHLO x\r\n", "MAIL FROM:<a@b.example>\r\nRCPT TO:<leaver>\r\nDATA\r\nSubject: x\r\n\r\nhalf"):
        with shared.raw("lmtp") as c:
            c.reply()
            c.send("LHLO y\r\n" + cut)
            c.reply()
    with shared.raw("lmtp") as c:
        assert c.reply().startswith(b"220")
    with shared.imap("leaver") as c:
        assert fetch_all(c) == {}


def test_starttls_drops_what_was_pipelined(shared):
    c = Raw(shared.port("lmtp"))
    c.reply()
    c.send("LHLO x\r\n")
    if b"STARTTLS" not in c.reply():
        pytest.fail("STARTTLS is not offered")
    c.send("STARTTLS\r\nMAIL FROM:<injected@example.org>\r\n")
    assert c.reply().startswith(b"220")
    c.sock = shared.tls().wrap_socket(c.sock)
    c.have = b""
    say(c, "RCPT TO:<anna>", "503")
    say(c, "LHLO x", "250")
    say(c, "MAIL FROM:<a@b.example>", "250")
    c.close()
