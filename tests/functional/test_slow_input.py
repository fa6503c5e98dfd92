"""Messages made to be slow: thousands of parts, hundreds of levels, lines of a megabyte, half a million addresses.

Each kind comes in two sizes. The delivery and every question about the larger one cost less than a second of the
server's CPU time, and it grows no more than the size does. Wall-clock time would be that of the machine's other work.
"""

import pytest

FACTOR = 4              # between the two sizes
ROUNDS = 4              # of each question, so that the clock's ticks count little
SLACK = 1.6             # above linear
TICKS = 0.08            # seconds that do not count
SECOND = 1.0

QUESTIONS = ["FETCH 1 ENVELOPE", "FETCH 1 BODYSTRUCTURE", "FETCH 1 BODY", "FETCH 1 BODY.PEEK[HEADER.FIELDS (X-Last)]",
             "FETCH 1 PREVIEW", "FETCH 1 BODY.PEEK[1]", "SEARCH TEXT nowhere", "SEARCH SUBJECT nowhere"]


def parts(n):
    return (b"Content-Type: multipart/mixed; boundary=b\r\nX-Last: y\r\n\r\n"
            + b"--b\r\nContent-Type: text/plain; name=a\r\n\r\nx\r\n" * n + b"--b--\r\n")


def empty_parts(n):
    return b"Content-Type: multipart/digest; boundary=b\r\nX-Last: y\r\n\r\n" + b"--b\r\n\r\n\r\n" * n


def multiparts(n):
    levels = b"".join(b"Content-Type: multipart/mixed; boundary=\"b%05d\"\r\nX-Last: y\r\n\r\n--b%05d\r\n" % (i, i)
                      for i in range(n))
    return levels + b"\r\nx\r\n" + b"".join(b"--b%05d--\r\n" % i for i in range(n - 1, -1, -1))


def messages(n):
    return b"Content-Type: message/rfc822\r\nX-Last: y\r\n\r\n" * n + b"\r\nx\r\n"


def one_line(n):
    return b"Subject: " + b"word " * (n // 5) + b"\r\nX-Last: y\r\n\r\nx\r\n"


def unknown_line(n):
    return b"X-Long: " + b"=?utf-8?q?a?= " * (n // 14) + b"\r\nX-Last: y\r\n\r\nx\r\n"


def folded(n):
    return b"References:" + b" <a@b>\r\n" * (n // 8) + b"X-Last: y\r\n\r\nx\r\n"


def parameters(n):
    return b"Content-Type: text/plain" + b";\r\n a*1*=%41" * (n // 12) + b"\r\nX-Last: y\r\n\r\nx\r\n"


def addresses(n):
    return b"To: " + b"a@b.example,\r\n " * n + b"\r\nX-Last: y\r\n\r\nx\r\n"


def addresses_everywhere(n):
    return b"".join(f + b": " + b"a@b, " * (n // 6) + b"\r\n"
                    for f in (b"From", b"Sender", b"Reply-To", b"To", b"Cc", b"Bcc")) + b"X-Last: y\r\n\r\nx\r\n"


KINDS = [(parts, 10000), (empty_parts, 10000), (multiparts, 500), (messages, 500), (one_line, 1 << 20),
         (unknown_line, 1 << 20), (folded, 1 << 20), (parameters, 1 << 20), (addresses, 500000),
         (addresses_everywhere, 500000)]


def timed(server, act):
    before = server.cpu_seconds()
    answer = act()
    return answer, server.cpu_seconds() - before


def append(c, mailbox, mail):
    c.send(b"a APPEND %s {%d+}\r\n" % (mailbox, len(mail)) + mail + b"\r\n")
    assert c.imap_until(b"a")[-1].startswith(b"a OK")


def ask(server, mailbox, mail, limit):
    """The CPU seconds of the delivery and of each question."""
    with server.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna anna-secret")
        c.cmd(b"CREATE " + mailbox)
        spent = {}
        _, spent["APPEND"] = timed(server, lambda: append(c, mailbox, mail))
        assert spent["APPEND"] < limit
        c.cmd(b"SELECT " + mailbox)
        for q in QUESTIONS:
            answers, spent[q] = timed(server, lambda: [c.cmd(q) for _ in range(ROUNDS)])
            assert spent[q] / ROUNDS < limit, (q, spent[q])
            assert all(a[:-1] == answers[0][:-1] for a in answers), q
            if q.endswith("(X-Last)]"):
                assert answers[0][0].endswith(b"X-Last: y\r\n\r\n)"), answers[0][0][:200]
        return spent


@pytest.mark.parametrize("make,size", KINDS, ids=[make.__name__ for make, _ in KINDS])
def test_slow_input(shared, make, size):
    limit = SECOND * (20 if shared.sanitized() else 1)
    name = make.__name__.encode()
    for n in range(3):                          # beside other work the processor is now faster, now slower
        small = ask(shared, name + b"-small%d" % n, make(size // FACTOR), limit)
        large = ask(shared, name + b"-large%d" % n, make(size), limit)
        slow = [(q, small[q], large[q]) for q in small if large[q] > FACTOR * SLACK * small[q] + TICKS * limit]
        if not slow:
            return
        print(slow)
    raise AssertionError(slow)


def test_all_parts_are_there(shared):
    """10,000 parts and 100 levels are described and can be fetched, none cut."""
    with shared.raw("imap") as c:
        c.line()
        c.cmd("LOGIN anna anna-secret")
        c.cmd("CREATE whole")
        append(c, b"whole", parts(9999))
        append(c, b"whole", multiparts(99))
        c.cmd("SELECT whole")
        assert c.cmd("FETCH 1 BODY")[0].count(b'("text" "plain"') == 9999
        assert c.cmd("FETCH 1 BODY.PEEK[9999]")[0] == b"* 1 FETCH (BODY[9999] {1}\r\nx)"
        deep = c.cmd("FETCH 2 BODY")[0]
        assert deep.count(b'"mixed"') == 99 and deep.count(b'("text" "plain"') == 1
        assert c.cmd("FETCH 2 BODY.PEEK[%s]" % ".".join(["1"] * 99))[0].endswith(b"{1}\r\nx)")


def test_long_recipient_list(shared):
    """What real mailing programs send: thousands of recipients, all of them in ENVELOPE."""
    mail = b"To: " + b",\r\n ".join(b"Person %d <person%d@department.example.org>" % (i, i) for i in range(5000)) + b"\r\n\r\nx\r\n"
    with shared.raw("imap") as c:
        c.line()
        c.cmd("LOGIN boris boris-secret")
        append(c, b"INBOX", mail)
        c.cmd("SELECT INBOX")
        assert c.cmd("FETCH 1 ENVELOPE")[0].count(b'"department.example.org"') == 5000
