"""Behind a proxy (PROXY protocol, version 2): whose connection it is, in limits, blocks and the log."""

import imaplib
import json
import os
import select
import socket
import struct
import subprocess
import time

import pytest

from clients import need
from harness import AT_ONCE_S, PATIENCE_S, Raw, Server, free_port, set_limit, wait_until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(ip=None, command=0x21):
    if ip is None:
        return SIGNATURE + struct.pack("!BBH", command, 0, 0)
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    raw = socket.inet_pton(family, ip)
    body = raw + raw + struct.pack("!HH", 40000, 143)
    return SIGNATURE + struct.pack("!BBH", command, 0x21 if ":" in ip else 0x11, len(body)) + body


class UnixRaw(Raw):
    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE_S)
        self.sock.connect(path)
        self.have, self.tags = b"", 0


class Behind:
    """A server with a listener for proxies of each protocol."""

    def __init__(self, networks="127.0.0.1", auth="", limits=(), users=("anna", "bert")):
        self.ports = {}

        def edit(text):
            text = text.replace("[server]\n", "[server]\nproxy_networks = %s\n" % networks)
            for protocol in ("imap", "imaps", "pop3", "lmtp"):
                self.ports[protocol] = free_port()
                text += "\n[listen proxied-%s]\nprotocol = %s\nport = %d\nproxy_protocol = yes\n" % (
                    protocol, protocol, self.ports[protocol])
            for key, value in limits:
                text = set_limit(text, key, value)
            return text + "\n[auth]\n" + auth

        self.server = Server({name: name + "-secret" for name in users}, edit)
        self.server.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.close()

    def raw(self, ip, protocol="imap"):
        c = Raw(self.ports[protocol])
        c.send(header(ip))
        return c

    def login(self, ip, name, password, expect=b"OK"):
        with self.raw(ip) as c:
            c.line()
            return c.cmd("LOGIN %s %s" % (name, password), expect)

    def who(self, *words):
        return [json.loads(x) for x in self.server.ctl("who", "--json", *words).splitlines()]

    def blocks(self):
        return [json.loads(x) for x in self.server.ctl("block", "list", "--json").splitlines()]


@pytest.fixture(scope="module")
def shared():
    with Behind() as b:
        yield b


def tls(shared, c):
    c.sock = shared.server.tls().wrap_socket(c.sock, server_hostname="localhost")
    c.line()


@pytest.mark.parametrize("ip", ["192.0.2.7", "2001:db8::7"])
def test_the_clients_address_counts(shared, ip):
    with shared.raw(ip, "imaps") as c:
        tls(shared, c)
        c.cmd("LOGIN anna anna-secret")
        wait_until(lambda: len(shared.who("anna")) == 1)            # one that was ended may be there a while
        row, = shared.who("anna")
        assert row["peer"] == ip and shared.who("--peer", ip) == [row] and not shared.who("--peer", "127.0.0.1")
        assert "peer=%s user=anna" % ip in shared.server.log()
        assert shared.server.ctl("kick", "--peer", ip) == "1 session ended\n"
        assert c.line().startswith(b"* BYE")


def test_it_is_no_loopback(shared):
    """Though the proxy is on this machine, and even if it says so of the client."""
    for ip in ("192.0.2.7", "127.0.0.1", None):
        with shared.raw(ip) as c:
            assert b"LOGINDISABLED" in c.line(), ip
            c.cmd("LOGIN anna anna-secret", b"NO [PRIVACYREQUIRED]")
    with shared.raw("192.0.2.7", "lmtp") as c:
        assert c.reply().startswith(b"220")
        c.send("LHLO x\r\n")
        c.reply()
        c.send("MAIL FROM:<a@example.org>\r\n")
        assert c.reply().startswith(b"530")


@pytest.mark.parametrize("command", [0x20, 0x21])
def test_no_address_by_a_unix_socket(command):
    """LOCAL is what haproxy sends for its checks, and for clients of unix sockets of its own: nobody is trusted for it. The
    check itself gets the greeting, and may count on the proxy's end of the socket being the peer."""
    extra = "".join("\n[listen u-%s]\nprotocol = %s\nsocket = %s.u\nproxy_protocol = yes\n" % (p, p, p) for p in ("imap", "lmtp"))
    with Behind(auth="\n[lmtp]\ntrust_socket = yes\n" + extra, users=("anna",)) as b:
        with UnixRaw(os.path.join(b.server.dir, "imap.u")) as c:
            c.send(header(command=command))
            assert b"LOGINDISABLED" in c.line()
            row, = b.who("--all")
            assert row["peer"] == "unix"
        with UnixRaw(os.path.join(b.server.dir, "lmtp.u")) as c:
            c.send(header(command=command))
            assert c.reply().startswith(b"220")
            c.send("LHLO x\r\n")
            assert b"XFORWARD" not in c.reply()
            c.send("MAIL FROM:<a@example.org>\r\n")
            assert c.reply().startswith(b"530 5.7.0")
        with UnixRaw(os.path.join(b.server.dir, "lmtp.sock")) as c:
            assert c.reply().startswith(b"220")
            c.send("LHLO x\r\n")
            assert b"XFORWARD" in c.reply()
            c.send("MAIL FROM:<a@example.org>\r\n")
            assert c.reply().startswith(b"250")


def test_cut_anywhere(shared):
    whole = header("2001:db8::7")
    for cut in range(1, len(whole)):
        with Raw(shared.ports["imap"]) as c:
            c.send(whole[:cut])
            time.sleep(0.005)
            c.send(whole[cut:] + b"a NOOP\r\n")
            assert c.line().startswith(b"* OK") and c.line() == b"a OK NOOP completed", cut


@pytest.mark.parametrize("bytes_", [b"a LOGIN anna anna-secret\r\n", b"PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n",
                                    b"\x16\x03\x01\x02\x00", header("192.0.2.7")[:12] + b"\x11",
                                    SIGNATURE + b"\x21\x11\xff\xff"])
def test_no_header(shared, bytes_):
    with Raw(shared.ports["imap"]) as c:
        c.send(bytes_)
        assert c.at_eof()


def test_a_stranger():
    with Behind("192.0.2.99") as b:
        with Raw(b.ports["imap"]) as c:
            try:
                c.send(header("192.0.2.7"))
            except OSError:
                pass
            assert c.at_eof()
        wait_until(lambda: "not one of proxy_networks" in b.server.log(), b.server.log)


def test_who_never_sends_a_header():
    """An octet now and then gains no time."""
    with Behind(limits=[("handshake_timeout", "1s")]) as b:
        with Raw(b.ports["imap"]) as c:
            for byte in header("192.0.2.7")[:-1]:
                c.send(bytes([byte]))
                if select.select([c.sock], [], [], 0.5)[0]:
                    break
            else:
                raise AssertionError("it is still waited for")
            assert c.at_eof()


def test_limit_of_an_address():
    with Behind(limits=[("max_connections_per_ip", 2)]) as b:
        a = [b.raw("2001:db8:0:1::%d" % i) for i in range(2)]
        for c in a:
            assert c.line().startswith(b"* OK")
        for protocol, told in (("imap", b"* BYE [UNAVAILABLE] "), ("pop3", b"-ERR [SYS/TEMP] "), ("lmtp", b"421 4.3.2 "),
                               ("imaps", b"* BYE [UNAVAILABLE] ")):
            with b.raw("2001:db8:0:1:ffff::9", protocol) as c:      # of the same /64
                if protocol == "imaps":
                    c.sock = b.server.tls().wrap_socket(c.sock)
                assert c.line() == told + b"Too many connections (max_connections_per_ip)" and c.at_eof()
        with b.raw("2001:db8:0:2::1") as c, b.raw("192.0.2.1") as d:
            assert c.line().startswith(b"* OK") and d.line().startswith(b"* OK")
        a[0].close()

        def let_in():
            with b.raw("2001:db8:0:1:ffff::9") as c:
                return c.line().startswith(b"* OK")

        wait_until(let_in)
        a[1].close()


def take_all_places(b):
    """All 16 places of those that are told; the last session to have one may hold it a while behind its client's end."""
    silent, deadline = [], time.monotonic() + PATIENCE_S
    while True:
        assert time.monotonic() < deadline, "the places do not become free"
        silent += [Raw(b.ports["imap"]) for _ in range(16 - len(silent))]
        time.sleep(0.2)
        heard = select.select([c.sock for c in silent], [], [], 0)[0]
        if not heard:
            return silent
        silent = [c for c in silent if c.sock not in heard]


def test_too_many_in_all():
    """Who is told so is the client: behind the header, however late that comes, and in TLS; never the proxy's own check."""
    with Behind(limits=[("max_connections", 1)]) as b, b.raw("192.0.2.1") as old:
        assert old.line().startswith(b"* OK")
        for protocol, told in (("imap", b"* BYE [UNAVAILABLE] "), ("pop3", b"-ERR [SYS/TEMP] "), ("lmtp", b"421 4.3.2 "),
                               ("imaps", b"* BYE [UNAVAILABLE] ")):
            with Raw(b.ports[protocol]) as c:
                c.sock.settimeout(0.3)
                with pytest.raises(TimeoutError):
                    c.line()
                c.sock.settimeout(PATIENCE_S)
                c.send(header("192.0.2.9"))
                if protocol == "imaps":
                    c.sock = b.server.tls().wrap_socket(c.sock)
                c.send("a LOGIN anna anna-secret\r\n")
                assert c.line() == told + b"Too many connections (max_connections)" and c.at_eof()
        assert "session.proxied" not in b.server.log() and "auth." not in b.server.log()
        silent = take_all_places(b)
        began = time.monotonic()
        with b.raw("192.0.2.9", "imaps") as c:
            assert c.at_eof()
        assert all(c.at_eof() for c in silent) and time.monotonic() - began < 5 + AT_ONCE_S
        old.cmd("NOOP")


def test_lmtp_of_strangers_ends():
    """Who may not deliver stays no longer than it may take to log in, silent or not."""
    with Behind(limits=[("auth_timeout", "1s")]) as b:
        with b.raw("192.0.2.1", "lmtp") as talks, b.raw("192.0.2.2", "lmtp") as silent, Raw(b.server.port("lmtp")) as ours:
            for c in (talks, silent, ours):
                assert c.reply().startswith(b"220")
            said = b"250"
            deadline = time.monotonic() + AT_ONCE_S
            while said.startswith(b"250") and time.monotonic() < deadline:
                ours.send("NOOP\r\n")
                assert ours.reply().startswith(b"250")
                talks.send("NOOP\r\n")
                said = talks.reply()
                time.sleep(0.03)
            ours.send("NOOP\r\n")
            assert ours.reply().startswith(b"250")
            assert said.startswith(b"421 4.7.0") and talks.at_eof()
            assert silent.reply().startswith(b"421 4.4.2") and silent.at_eof()


def guess(b, ip, name, password, expect=b"NO [AUTHENTICATIONFAILED]"):
    with b.raw(ip, "imaps") as c:
        tls(b, c)
        c.cmd("LOGIN %s %s" % (name, password), expect)


def test_blocks():
    with Behind(auth="max_failures = 4\nmax_network_failures = 7\nblock_time = 1h\n") as b:
        guess(b, "198.51.100.1", "anna", "anna-secret", b"OK")
        for i in range(4):
            guess(b, "203.0.113.5", "anna", "guess%d" % i)
        row, = b.blocks()
        assert row["account"] == "anna" and row["network"] == "203.0.113.5", row
        began = b.server.cpu_seconds()
        for _ in range(50):
            guess(b, "203.0.113.5", "anna", "anna-secret")          # right, and answered alike
        guess(b, "203.0.113.5", "bert", "bert-secret", b"OK")
        guess(b, "198.51.100.1", "anna", "anna-secret", b"OK")
        guess(b, "203.0.113.6", "anna", "anna-secret", b"OK")
        lines = [x for x in b.server.log().splitlines() if "ev=auth.blocked" in x]
        assert len(lines) == 1 and "network=203.0.113.5 user=anna seconds=3600" in lines[0], lines
        for i in range(3):                                          # spraying
            guess(b, "203.0.113.5", "user%d" % i, "Summer2026")
        assert len(b.blocks()) == 2
        guess(b, "203.0.113.5", "carl", "x")
        guess(b, "203.0.113.5", "bert", "bert-secret", b"OK")       # known there
        assert b.server.ctl("block", "clear", "203.0.113.0/24") == "2 blocks cleared\n"
        guess(b, "203.0.113.5", "anna", "anna-secret", b"OK")


def test_blocks_of_every_way_in():
    """POP3 and mechanisms are kept out by the same blocks."""
    with Behind(auth="max_failures = 3\n") as b:
        for i in range(3):
            guess(b, "203.0.113.5", "anna", "guess%d" % i)
        with b.raw("203.0.113.5", "imaps") as c:
            tls(b, c)
            c.cmd("AUTHENTICATE PLAIN AGFubmEAYW5uYS1zZWNyZXQ=", b"NO [AUTHENTICATIONFAILED]")
            c.cmd("AUTHENTICATE SCRAM-SHA-256 biwsbj1hbm5hLHI9MTIzNDU2Nzg5MDEyMzQ1Njc4OTA=", b"NO [AUTHENTICATIONFAILED]")
        with b.raw("203.0.113.5", "pop3") as c:
            c.line()
            c.send("STLS\r\n")
            c.line()
            c.sock = b.server.tls().wrap_socket(c.sock, server_hostname="localhost")
            c.send("USER anna\r\nPASS anna-secret\r\n")
            c.line()
            assert c.line().startswith(b"-ERR [AUTH]")
        failed = [x for x in b.server.log().splitlines() if "ev=auth.failed" in x]
        assert len(failed) == 6 and all('text="blocked after too many failures"' in x for x in failed[3:]), failed


CONF = """
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend f
  bind 127.0.0.1:%d
  default_backend b
backend b
  server s 127.0.0.1:%d send-proxy-v2 check
"""


def test_haproxy(shared, tmp_path):
    """TLS goes through it to us; its checks are no clients."""
    port = free_port()
    conf = tmp_path / "haproxy.cfg"
    conf.write_text(CONF % (port, shared.ports["imaps"]))
    proxy = subprocess.Popen([need("haproxy", "haproxy"), "-db", "-f", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                c = imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=shared.server.tls(), timeout=PATIENCE_S)
                break
            except OSError:
                assert time.monotonic() < deadline
                time.sleep(0.1)
        c.login("bert", "bert-secret")
        row, = shared.who("bert")
        assert row["peer"] == "127.0.0.1" and row["tls"].startswith("TLSv1")
        assert c.select("INBOX")[0] == "OK"
        c.logout()
    finally:
        proxy.terminate()
        proxy.wait()


@pytest.mark.parametrize("ip,expect", [("192.0.2.7", b"250 2.1.0"), ("2001:db8::7", b"530 5.7.0"), ("127.0.0.1", b"530 5.7.0"),
                                       (None, b"530 5.7.0")])
def test_lmtp_behind_a_proxy(ip, expect):
    """Who may deliver is decided by the client's address; the proxy's own gives no right, nor may the client use XCLIENT."""
    with Behind(auth="\n[lmtp]\nnetworks = 192.0.2.0/24\n", users=("anna",)) as b, b.raw(ip, "lmtp") as c:
        assert c.reply().startswith(b"220")
        c.send("LHLO x\r\n")
        if ip not in (None, "127.0.0.1"):
            assert b"XCLIENT" not in c.reply()
        else:
            c.reply()
        c.send("MAIL FROM:<a@b.example>\r\n")
        assert c.reply().startswith(expect)
