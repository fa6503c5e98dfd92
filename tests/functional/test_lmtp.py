"""LMTP [RFC 2033] as MTAs speak it, and as attackers do."""

import os
import re
import socket

import pytest

from harness import Raw, Server, fetch_all, message, set_limit, strip_trace
from lmtp_client import begin, configured, say, write_aliases


def test_lhlo_lists_what_works(lmtp):
    words = {line[4:].split(b" ")[0] for line in lmtp.hello.split(b"\n")[1:]}
    assert {b"PIPELINING", b"ENHANCEDSTATUSCODES", b"8BITMIME", b"SIZE", b"CHUNKING", b"BINARYMIME", b"SMTPUTF8"} <= words
    assert not {b"DSN", b"IGNOREQUOTA"} & words


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


def test_unknown_users_of_a_damaged_volume_are_postponed():
    """Who is unknown may be an account whose record is damaged: a 550 would bounce its mail, a catch-all give it to
    somebody else, an alias leave it out."""
    conf = configured(aliases="aliases", catch_all="else.example=anna, one.example=anna")
    with Server({"anna": "anna-secret", "boris": "boris-secret"}, conf_edit=conf) as s:
        write_aliases(s, "both: anna, boris\nhers: anna\n@all.example: anna\n")
        s.start()
        s.deliver("anna", message("behind the damage"))
        s.stop()
        log = os.path.join(s.dir, "volumes", "v1", "log")
        hurt = 0
        for name in os.listdir(log):
            with open(os.path.join(log, name), "r+b") as f:
                at = f.read().find(b"boris")
                if at >= 0:
                    f.seek(at)
                    f.write(b"\0")
                    hurt += 1
        assert hurt == 1
        os.unlink(os.path.join(s.dir, "volumes", "v1", "index.db"))
        s.start()
        with s.raw("lmtp") as c:
            c.reply()
            say(c, "LHLO x", "250")
            say(c, "MAIL FROM:<a@example.org>", "250")
            for rcpt in ("boris@example.org", "nobody@example.org", "boris", "boris@one.example", "boris@all.example",
                         "both", "boris+x@else.example"):
                say(c, "RCPT TO:<%s>" % rcpt, "451 4.3.0")
            say(c, "RCPT TO:<anna@example.org>", "250 2.1.5")
            say(c, "RCPT TO:<hers@example.org>", "250 2.1.5")
        assert s.log().count("ev=lmtp.unknown_user_postponed") == 1
        told = re.search(r"level=error ev=volume.damage volume=v1 file=(\S+) offset=\d+ bytes=\d+ first=\d+\.\d+ ", s.log())
        assert told and told.group(1) in os.listdir(log)
        assert "level=info ev=lmtp.unknown_user " not in s.log()


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
    ("MAIL FROM:<" + "a" * 5000 + ">", "50"), ("MAIL FROM:<a@example.org> SIZE=" + "9" * 20, "552 5.3.4"),
    ("MAIL FROM:<a@example.org> SIZE=" + "9" * 21, "501 5.5.4"), ("MAIL FROM:<a@example.org> SIZE", "501 5.5.4"),
    ("MAIL FROM:<a@example.org> BODY=BINARYMIME", "250"), ("MAIL FROM:<a@example.org> BODY=9BIT", "501 5.5.4"), ("MAIL FROM:<a@example.org> BODY=8bitmime", "250"),
    ("MAIL FROM:<\u00e4@example.org>", "553 5.6.7"), ("MAIL FROM:<\u00e4@example.org> SMTPUTF8", "250"),
    ("mail from:<%s@%s>" % ("a" * 64, ".".join(["b" * 63] * 3 + ["c" * 63])), "250"), ("LHLO", "501 5.5.4"),
    ("LHLO m\u00fcller.example", "501 5.5.4"), ("LHLO [192.0.2.1]", "250"), ("LHLO [IPv6:2001:db8::1]", "250"),
    ("QUIT now", "501 5.5.4"), ("DATA now", "501 5.5.4"), ("RSET ", "250"), ("NOOP what you like", "250"),
    ("HELP", "214 2.0.0"), ("EXPN list", "502 5.5.1"), ("VRFY", "501 5.5.4"), ("BDAT 5 LAST\r\nabc", "503 5.5.1"),
    ("MAIL FROM:<a@example.org> RET=hdrs ENVID=QQ314159+2B AUTH=<>", "250"), ("MAIL FROM:<a@example.org> RET=BODY", "501 5.5.4"),
    ("MAIL FROM:<a@example.org> RET=FULL RET=FULL", "501 5.5.4"), ("MAIL FROM:<a@example.org> ENVID=a+0A", "501 5.5.4"),
    ("MAIL FROM:<a@example.org> ENVID=a+2b", "501 5.5.4"), ("MAIL FROM:<a@example.org> ENVID=" + "e" * 101, "501 5.5.4"),
    ("MAIL FROM:<a@example.org> SIZE=1 SIZE=1", "501 5.5.4"), ("MAIL FROM:<a@example.org> NOTIFY=NEVER", "555 5.5.4"),
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


def test_rcpt_pipelined_behind_a_refused_mail(lmtp):
    """However many: they are no mistakes of the client, which could not know [RFC 2920 s3.1]."""
    lmtp.send("MAIL FROM:<a@example.org> SIZE=99999999999\r\n" + "RCPT TO:<anna>\r\n" * 100 + "DATA\r\nNOOP\r\n")
    codes = [lmtp.reply()[:9] for _ in range(103)]
    assert codes == [b"552 5.3.4"] + [b"503 5.5.1"] * 101 + [b"250 2.0.0"]


@pytest.mark.parametrize("params,expect", [
    ("NOTIFY=NEVER", "250"), ("NOTIFY=success,FAILURE,delay ORCPT=rfc822;anna+2Bx@example.org", "250"),
    ("NOTIFY=NEVER,DELAY", "501 5.5.4"), ("NOTIFY=", "501 5.5.4"), ("NOTIFY=SUCCESS,", "501 5.5.4"), ("NOTIFY", "501 5.5.4"),
    ("NOTIFY=NEVER NOTIFY=NEVER", "501 5.5.4"), ("ORCPT=anna@example.org", "501 5.5.4"), ("ORCPT=rfc822;a+", "501 5.5.4"),
    ("ORCPT=rfc822;" + "a" * 494, "501 5.5.4"), ("ORCPT=rfc822;" + "a" * 493, "250"), ("RET=FULL", "555 5.5.4"),
    ("ORCPT=utf-8;\u00e4@example.org", "501 5.5.4"),
])
def test_dsn_parameters(lmtp, params, expect):
    """Taken and checked [RFC 3461 s5.1], though DSN is not offered."""
    say(lmtp, "MAIL FROM:<a@example.org>", "250")
    say(lmtp, "RCPT TO:<anna> " + params, expect)
    say(lmtp, "NOOP", "250")


def test_too_many_bad_commands_end_the_connection(lmtp):
    lmtp.send("FOO\r\n" * 30)
    replies = [lmtp.reply() for _ in range(20)]
    assert all(r.startswith(b"500 5.5.1") for r in replies[:19]), replies
    assert replies[19].startswith(b"421 4.7.0")
    assert lmtp.at_eof()


def test_every_reply_has_an_enhanced_code(lmtp):
    """Of its own class, on all replies but greeting, LHLO's and 354 [RFC 2034 s3]."""
    lines = ["MAIL FROM:<a@example.org>", "MAIL FROM:<a@example.org>", "RCPT TO:<anna>", "RCPT TO:<nobody>", "RCPT TO:<>",
             "RCPT TO:<anna> NOTIFY=NEVER", "RCPT TO:<anna> X=1", "RCPT anna", "DATA x", "RSET", "DATA", "VRFY a", "HELP", "EXPN", "FOO", "EHLO x",
             "STARTTLS x", "QUIT"]
    for line in lines:
        lmtp.send(line + "\r\n")
        r = lmtp.reply()
        assert re.match(rb"([245])\d\d \1\.\d{1,3}\.\d{1,3} ", r), (line, r)


@pytest.mark.parametrize("at", ["rcpt", "data", "dot", "quit"])
def test_half_closed(shared, at):
    """Who has closed its sending side gets all its replies, and what was complete is delivered."""
    user = "half" + at
    shared.add_user(user)
    text = "LHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<%s>\r\n" % user
    want = [b"220", b"250", b"250", b"250"]
    if at != "rcpt":
        text += "DATA\r\nSubject: half\r\n\r\nbody\r\n"
        want.append(b"354")
    if at in ("dot", "quit"):
        text += ".\r\n"
        want.append(b"250")
    if at == "quit":
        text += "QUIT\r\n"
        want.append(b"221")
    with shared.raw("lmtp") as c:
        c.send(text)
        c.sock.shutdown(socket.SHUT_WR)
        assert [c.reply()[:3] for _ in want] == want
        assert c.at_eof()
    with shared.imap(user) as c:
        assert len(fetch_all(c)) == (at in ("dot", "quit"))


def test_a_thousand_recipients():
    names = ["many%d" % i for i in range(20)]
    with Server({n: "x-secret" for n in names}) as s:
        s.start()
        with s.raw("lmtp") as c:
            c.reply()
            say(c, "LHLO x", "250")
            say(c, "MAIL FROM:<a@b.example>", "250")
            c.send("".join("RCPT TO:<%s+%d@example.org>\r\n" % (names[i % 20], i) for i in range(1001)))
            replies = [c.reply() for _ in range(1001)]
            assert all(r.startswith(b"250 2.1.5") for r in replies[:1000])
            assert replies[1000].startswith(b"452 4.5.3")
            say(c, "DATA", "354")
            c.send(message("to many") + ".\r\n")
            assert all(c.reply().startswith(b"250 2.0.0") for _ in range(1000))
            say(c, "QUIT", "221")
        for n in names:
            with s.imap(n) as c:
                assert len(fetch_all(c)) == 1


def test_refused_recipients_take_no_memory():
    """However many: a transaction keeps those that were accepted."""
    line = b'RCPT TO:<"n"@example.org>' + b" " * 2000 + b"\r\n"
    with Server({"anna": "x-secret"}) as s:
        s.start()
        with s.raw("lmtp") as c:
            begin(c, "anna")
            before = s.rss_kb()
            for _ in range(80):
                c.send(line * 100)
                assert {c.reply()[:9] for _ in range(100)} == {b"550 5.1.1"}
            assert s.rss_kb() - before < 8000 * s.memory_slack()


def test_a_line_without_end(shared):
    """Forty megabytes without a line end, and the memory does not grow with them."""
    shared.add_user("longline")
    with shared.raw("lmtp") as c:
        c.reply()
        say(c, "LHLO x", "250")
        say(c, "MAIL FROM:<a@b.example>", "250")
        say(c, "RCPT TO:<longline@example.org>", "250")
        say(c, "DATA", "354")
        before = shared.rss_kb()
        c.send("Subject: long\r\n\r\n")
        for _ in range(40):
            c.send(b"." * (1 << 20))
        c.send("\r\n.\r\n")
        assert c.reply().startswith(b"250 2.0.0")
        if not os.environ.get("RESTANTE_WRAP"):
            assert shared.rss_kb() - before < 16384 * shared.memory_slack()
    with shared.imap("longline") as c:
        (_, data), = fetch_all(c).values()
    # The first dot of a line is stuffing.
    assert strip_trace(data) == b"Subject: long\r\n\r\n" + b"." * ((40 << 20) - 1) + b"\r\n"


@pytest.mark.parametrize("sender,rcpt,smtputf8", [
    ("a@b.example", "traced@example.org", False), ("", "traced", False), ("\u00e4@b.example", "traced@example.org", True),
])
def test_trace(shared, sender, rcpt, smtputf8):
    """Return-Path and Received as [RFC 5321 s4.4] spells them, types of [RFC 3848] and [RFC 6531]."""
    if "traced" not in shared.users:
        shared.add_user("traced")
    with shared.raw("lmtp") as c:
        c.reply()
        say(c, "LHLO [IPv6:2001:db8::1]", "250")
        say(c, "MAIL FROM:<%s>%s" % (sender, " SMTPUTF8" if smtputf8 else ""), "250")
        say(c, "RCPT TO:<%s>" % rcpt, "250")
        say(c, "DATA", "354")
        c.send(message("traced") + ".\r\n")
        assert c.reply().startswith(b"250")
    with shared.imap("traced") as c:
        data = fetch_all(c).popitem()[1][1].decode()
    forward = r"\r\n\tfor <%s>" % re.escape(rcpt) if "@" in rcpt else ""
    assert re.match(r"Return-Path: <%s>\r\nReceived: from \[IPv6:2001:db8::1\] \(\[127\.0\.0\.1\]\)\r\n"
                    r"\tby \S+ with %s id [0-9a-f]+-1%s;\r\n"
                    r"\t\w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}\r\nFrom: "
                    % (sender, "UTF8LMTP" if smtputf8 else "LMTP", forward), data), data[:400]


def test_detail_files_into_its_folder(shared):
    shared.add_user("detail")
    with shared.imap("detail") as c:
        c.create("lists")
    shared.deliver(["detail+lists@example.org"], message("for lists"))
    shared.deliver(["detail+unknown@example.org"], message("for inbox"))
    with shared.imap("detail") as c:
        assert len(fetch_all(c, "lists")) == 1
        assert len(fetch_all(c, "INBOX")) == 1


def test_what_is_logged_of_a_delivery(shared):
    """Who, where and which message; a Message-ID of any length does no harm."""
    shared.add_user("logged")
    with shared.imap("logged") as c:
        c.create("lists")
    shared.deliver(["logged+lists@example.org"], message("one", Message_ID="<first \"one\"@x.example>"))
    shared.deliver(["logged"], message("two", Message_ID="<" + "y" * 4000 + ">"))
    first, second = (x for x in shared.log().splitlines() if "ev=lmtp.delivered" in x and "account=logged " in x)
    assert " to=logged+lists@example.org account=logged mailbox=lists " in first
    assert "one" in first.split("msgid=")[1] and first.count("ev=") == 1
    assert " mailbox=INBOX msgid=<" + "y" * 249 + " size=" in second


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
    lines = [line for line in shared.log().splitlines() if "ev=lmtp.overquota" in line]
    assert len(lines) == 2
    assert all(re.search(r" account=quota quota=5000 used=3[0-9]{3}$", line) for line in lines), lines
    shared.ctl("quota", "set", "quota", "0")
    shared.deliver(["quota"], message("fits again", size=9000))


def test_message_quota(shared):
    shared.add_user("few")
    assert shared.ctl("quota", "set", "few", "--messages", "2", "0") == "few: quota 2 messages\n"
    shared.deliver(["few"], message("one"))
    with shared.raw("lmtp") as c:
        c.reply()
        say(c, "LHLO x", "250")
        say(c, "MAIL FROM:<a@b.example>", "250")
        say(c, "RCPT TO:<few>", "250")
        shared.deliver(["few"], message("two"))
        say(c, "DATA", "354")
        c.send(message("three") + ".\r\n")
        assert c.reply().startswith(b"452 4.2.2")
        say(c, "MAIL FROM:<a@b.example>", "250")
        say(c, "RCPT TO:<few>", "452 4.2.2")
    lines = [line for line in shared.log().splitlines() if "ev=lmtp.overquota" in line and "account=few" in line]
    assert len(lines) == 2 and lines[1].endswith(" quota_messages=2 messages=2"), lines
    assert "\t2 messages\t" in shared.ctl("quota", "show", "few")
    shared.ctl("quota", "set", "few", "--messages", "0", "0")
    shared.deliver(["few"], message("three"))


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


LINE_ENDS = (b"\n", b"\r", b"\r\n", b"\r\r\n", b"\n\r", b"\r\0\n", b"\0\r\n", b" \r\n")


@pytest.mark.parametrize("end", [e for e in (a + b"." + z for a in LINE_ENDS for z in LINE_ENDS) if b"\r\n.\r\n" not in e],
                         ids=lambda e: e.hex())
def test_nothing_smuggles(lmtp, end):
    """No other end of a message than CRLF.CRLF: what comes behind is never a command."""
    begin(lmtp, "boris", lhlo=False)
    say(lmtp, "DATA", "354")
    lmtp.send(b"Subject: smuggled\r\n\r\nbody" + end + b"QUIT\r\nMAIL FROM:<evil@example.org>\r\n.\r\n")
    assert lmtp.reply().startswith(b"250 2.0.0 Delivered")
    say(lmtp, "NOOP", "250")
