"""Real MTAs in front, as in mta.py: Postfix, Exim and OpenSMTPD deliver to our LMTP listeners."""

import email
import os
import random
import re
import shutil
import smtplib
import time

import pytest

from harness import PATIENCE_S, Server, fetch_all, message
from mta import DocumentedExim, DocumentedOpenSMTPD, DocumentedPostfix, DocumentedPostfixSocket, Exim, OpenSMTPD, Postfix

USERS = ("anna", "boris", "carla", "dora", "fulla")


@pytest.fixture(scope="module", params=[Postfix, Exim, OpenSMTPD], ids=lambda p: p.__name__)
def site(request):
    if os.geteuid() != 0:
        pytest.skip("MTAs can be run by root only")
    if not shutil.which("postfix"):
        pytest.fail("Postfix is missing: tools/install-deps tests (on Debian), or deselect this file")
    with Server({n: n + "-secret" for n in USERS + ("mta",)}, lambda t: t + "\n[lmtp]\nauth_accounts = mta\n") as s:
        s.mta = request.param(s)
        try:
            s.start()
            yield s
        finally:
            s.mta.stop()


def subjects(site, user):
    with site.imap(user) as c:
        return [re.search(rb"^Subject: (\w+)", data, re.M).group(1).decode() for _, data in fetch_all(c).values()]


def inbox(site, user):
    with site.imap(user) as c:
        return list(fetch_all(c))


def wait_until(site, happened):
    deadline = time.monotonic() + PATIENCE_S
    while not happened():
        assert time.monotonic() < deadline, site.mta.queue() + site.mta.log()
        time.sleep(0.05)


def wait_for_mail(site, user):
    wait_until(site, lambda: inbox(site, user))


def only_message(site, user):
    """The one message of INBOX, which is emptied."""
    with site.imap() as c:
        # LOGIN of imaplib knows ASCII only.
        c.authenticate("PLAIN", lambda _: ("\0%s\0%s" % (user, site.users[user])).encode())
        (_, data), = fetch_all(c).values()
        c.select()
        c.store("1:*", "+FLAGS.SILENT", "\\Deleted")
        c.expunge()
    return data


@pytest.mark.parametrize("domain", ["example.org", "tcp.example", "tls.example", "auth.example"])
def test_delivery(site, domain):
    """By unix socket, TCP, STARTTLS, with AUTH: two recipients, and one unknown, whose bounce comes to the sender."""
    if domain not in site.mta.protocols:
        domain = "example.org"
    text = message("by " + domain, body=".\r\n..\r\n\r\ndots\r\n.", size=20000) + "\r\n"
    site.mta.send(["anna@" + domain, "nobody@" + domain, "carla@" + domain], text)
    if not site.mta.bounces:
        for user in ("anna", "carla"):
            wait_for_mail(site, user)
        wait_until(site, lambda: "550 5.1.1 User unknown here" in site.mta.queue())
        assert "nobody@" + domain in site.mta.queue()
        site.mta.give_up()
    site.mta.wait_empty()
    protocol = site.mta.protocols[domain]
    for user in ("anna", "carla"):
        data = only_message(site, user)
        assert data.startswith(b"Return-Path: <boris@example.org>\r\nReceived: from "), data[:200]
        assert b" with %s id " % protocol.encode() in data[:400], data[:400]
        assert data.endswith(text.encode()), data[:600]
    if not site.mta.bounces:
        return
    bounce = only_message(site, "boris")
    assert bounce.startswith(b"Return-Path: <>\r\n")
    report = email.message_from_bytes(bounce).as_string()
    assert "nobody@" + domain in report and "User unknown here" in report, report
    assert "carla@" not in re.sub(r"(?m)^To:.*", "", report.split("message/rfc822")[0]), report


def test_over_quota(site):
    """A full account holds up nobody else, and gets its mail as soon as it has room: 452 is no bounce."""
    domain = "tcp.example"
    site.ctl("quota", "set", "fulla", "3000")
    site.mta.send(["fulla@" + domain, "anna@" + domain], message("full", size=5000))
    wait_for_mail(site, "anna")
    only_message(site, "anna")
    for _ in range(3):
        site.mta.retry()
        time.sleep(0.3)
    assert site.mta.queue() and inbox(site, "fulla") == [] and inbox(site, "anna") == []
    site.ctl("quota", "set", "fulla", "0")
    site.mta.wait_empty()
    assert b"Subject: full" in only_message(site, "fulla")
    assert inbox(site, "anna") == [] and inbox(site, "boris") == []


def test_large_message(site):
    text = message("large", size=3 << 20)
    site.mta.send(["anna@example.org", "carla@tcp.example"], text)
    site.mta.wait_empty()
    for user in ("anna", "carla"):
        assert only_message(site, user).endswith(text.encode())


@pytest.mark.parametrize("site", [Postfix, Exim], indirect=True, ids=lambda p: p.__name__)
def test_utf8_address(site):
    """SMTPUTF8 all the way [RFC 6531]. OpenSMTPD does not know it."""
    site.add_user("zoë")
    site.mta.send(["zoë@tcp.example"], message("für zoë").encode(), sender="zoë@example.org",
                  mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    site.mta.wait_empty()
    data = only_message(site, "zoë").decode()
    assert data.startswith("Return-Path: <zoë@example.org>\r\n") and " with UTF8%s id " % site.mta.protocols["tcp.example"] in data, data


def empty(site, user):
    with site.imap(user) as c:
        c.select()
        c.store("1:*", "+FLAGS.SILENT", "\\Deleted")
        c.expunge()


def send_numbered(site, count, before):
    """So many messages to dora, by both ways; `before(i)` happens meanwhile. None is lost and none comes twice.

    A client of OpenSMTPD that writes to a connection that has gone dies of SIGPIPE, which it takes for a permanent
    failure: such a message comes back to its sender."""
    sent = ["n%03d" % i for i in range(count)]
    for i, subject in enumerate(sent):
        before(i)
        site.mta.send(["dora@example.org", "dora@tcp.example"][i % 2], message(subject, size=5000))
    site.mta.wait_empty()
    got = subjects(site, "dora")
    with site.imap("boris") as c:
        bounced = {re.findall(rb"(?m)^Subject: (\w+)", data)[-1].decode() for _, data in fetch_all(c).values()}
    assert not bounced or not site.mta.bounces, bounced
    assert len(set(got)) == len(got) and bounced | set(got) == set(sent), (sorted(got), bounced)
    empty(site, "dora")
    empty(site, "boris")


def test_stops(site):
    """The server is stopped and started while mail comes."""
    send_numbered(site, 60, lambda i: site.stop() if i in (15, 35) else site.start() if i in (20, 40) else None)


def test_kills(site):
    """It is killed in the middle of transactions."""
    rng = random.Random(5)
    kills = sorted(rng.sample(range(5, 80), 6))
    print("kills", kills)

    def before(i):
        if i in kills:
            time.sleep(rng.random() * 0.05)
            site.kill()
            site.start()

    send_numbered(site, 80, before)


@pytest.mark.parametrize("site", [DocumentedPostfix, DocumentedPostfixSocket, DocumentedExim,
                                  DocumentedOpenSMTPD], indirect=True, ids=lambda p: p.__name__)
def test_as_the_page_has_it(site):
    """doc/mta.md: who is unknown is refused at once, and gets mail as soon as there is an account."""
    site.mta.send(["anna@example.org"], message("wanted"))
    wait_for_mail(site, "anna")
    assert b"Subject: wanted" in only_message(site, "anna")
    with pytest.raises(smtplib.SMTPRecipientsRefused) as refused:
        site.mta.send(["late@example.org"], message("too early"))
    assert refused.value.recipients["late@example.org"][0] in (550, 524), refused.value.recipients
    assert not site.mta.queue().strip()
    if not site.mta.bounces:            # its table names them
        return
    site.add_user("late", "late-secret")

    def taken():
        try:
            site.mta.send(["late@example.org"], message("in time"))
        except smtplib.SMTPRecipientsRefused:
            return False
        return True

    wait_until(site, taken)
    wait_for_mail(site, "late")
