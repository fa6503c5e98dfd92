"""A real MTA in front: a private Postfix (its own configuration, queue and ports) that delivers to our LMTP listeners.

Postfix changes its identity, so this needs root. /etc/postfix and a service of the system are neither used nor touched.
"""

import email
import os
import re
import shutil
import smtplib
import socket
import subprocess
import time

import pytest

from harness import PATIENCE_S, Server, fetch_all, message

MAIN_CF = """
compatibility_level = 3.6
queue_directory = {top}/queue
data_directory = {top}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = {top}/log
maillog_file_prefixes = {top}
myhostname = mta.example.net
mydestination =
mynetworks = 127.0.0.0/8
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
alias_maps =
alias_database =
message_size_limit = 52428800
mailbox_size_limit = 0
virtual_mailbox_domains = example.org, tcp.example, tls.example
virtual_transport = lmtp:unix:{sock}
transport_maps = inline:{{ tcp.example=lmtp:inet:127.0.0.1:{port}, tls.example=lmtptls:inet:127.0.0.1:{port} }}
default_transport = error:this MTA delivers to the server under test only
smtputf8_enable = yes
notify_classes =
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""

MASTER_CF = """
{smtp} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 1 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
lmtptls unix - - n - - lmtp
  -o lmtp_tls_security_level=encrypt
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Postfix:
    def __init__(self, server):
        self.top = os.path.join(server.top, "postfix")
        self.smtp = free_port()
        for name in ("", "conf", "queue", "data"):
            os.mkdir(os.path.join(self.top, name))
            os.chmod(os.path.join(self.top, name), 0o755)
        shutil.chown(os.path.join(self.top, "data"), "postfix")
        values = {"top": self.top, "sock": os.path.join(server.dir, "lmtp.sock"), "port": server.port("lmtp"),
                  "smtp": self.smtp}
        for name, text in (("main.cf", MAIN_CF), ("master.cf", MASTER_CF)):
            with open(os.path.join(self.top, "conf", name), "w") as f:
                f.write(text.format(**values).lstrip())
        self.run("postfix", "start")

    def run(self, command, *args):
        r = subprocess.run([command, "-c", os.path.join(self.top, "conf"), *args], capture_output=True, text=True,
                           stdin=subprocess.DEVNULL, timeout=PATIENCE_S)
        assert r.returncode == 0, (command, args, r.stdout, r.stderr, self.log())
        return r.stdout

    def log(self):
        try:
            with open(os.path.join(self.top, "log"), errors="replace") as f:
                return f.read()
        except FileNotFoundError:
            return ""

    def send(self, rcpts, text, sender="boris@example.org", **options):
        with smtplib.SMTP("127.0.0.1", self.smtp, local_hostname="client.example.net", timeout=PATIENCE_S) as c:
            assert c.sendmail(sender, rcpts, text, **options) == {}

    def wait_empty(self):
        """Until the queue is empty: everything is delivered or bounced."""
        deadline = time.monotonic() + PATIENCE_S
        while "is empty" not in self.run("postqueue", "-p"):
            assert time.monotonic() < deadline, self.run("postqueue", "-p") + self.log()
            time.sleep(0.1)


@pytest.fixture(scope="module")
def site():
    if os.geteuid() != 0:
        pytest.skip("Postfix can be run by root only")
    if not shutil.which("postfix"):
        pytest.fail("Postfix is missing: tools/install-deps tests (on Debian), or deselect this file")
    with Server({n: n + "-secret" for n in ("anna", "boris", "carla", "dora")}) as s:
        s.start()
        s.mta = Postfix(s)
        try:
            yield s
        finally:
            s.mta.run("postfix", "stop")


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


@pytest.mark.parametrize("domain,protocol", [("example.org", "LMTP"), ("tcp.example", "LMTP"), ("tls.example", "LMTPS")])
def test_delivery(site, domain, protocol):
    """By unix socket, TCP, STARTTLS: two recipients and one unknown, whose bounce comes to the sender."""
    text = message("by " + domain, body=".\r\n..\r\n\r\ndots\r\n.", size=20000) + "\r\n"
    site.mta.send(["anna@" + domain, "nobody@" + domain, "carla@" + domain], text)
    site.mta.wait_empty()
    for user in ("anna", "carla"):
        data = only_message(site, user)
        assert data.startswith(b"Return-Path: <boris@example.org>\r\nReceived: from mta.example.net"), data[:200]
        assert b" with %s id " % protocol.encode() in data[:400], data[:400]
        assert data.endswith(text.encode()), data[:600]
    bounce = only_message(site, "boris")
    assert bounce.startswith(b"Return-Path: <>\r\n")
    report = email.message_from_bytes(bounce)
    status = report.get_payload(1).as_string()
    assert "Status: 5.1.1" in status and "nobody@" in status and "550 5.1.1" in status, status
    assert "carla@" not in status


def test_large_message(site):
    text = message("large", size=3 << 20)
    site.mta.send(["anna@example.org", "carla@tcp.example"], text)
    site.mta.wait_empty()
    for user in ("anna", "carla"):
        assert only_message(site, user).endswith(text.encode())


def test_utf8_address(site):
    """SMTPUTF8 all the way [RFC 6531]."""
    site.add_user("zoë")
    site.mta.send(["zoë@example.org"], message("für zoë").encode(), sender="zoë@example.org",
                  mail_options=["SMTPUTF8", "BODY=8BITMIME"])
    site.mta.wait_empty()
    data = only_message(site, "zoë").decode()
    assert data.startswith("Return-Path: <zoë@example.org>\r\n") and " with UTF8LMTP id " in data, data


def test_many_at_once_and_restarts(site):
    """Two hundred messages while the server is stopped and started twice: none is lost and none comes twice."""
    sent = set()
    for i in range(200):
        sent.add("n%03d" % i)
        site.mta.send(["dora@example.org", "dora@tcp.example"][i % 2], message("n%03d" % i, size=5000))
        if i in (60, 120):
            site.stop()
        if i in (70, 130):
            site.start()
    site.mta.run("postqueue", "-f")
    site.mta.wait_empty()
    with site.imap("dora") as c:
        got = [re.search(rb"^Subject: (\w+)", data, re.M).group(1).decode() for _, data in fetch_all(c).values()]
    assert sorted(got) == sorted(sent)
