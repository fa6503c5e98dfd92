"""COMPRESS=DEFLATE against a real server, with zlib as the peer: nothing is held back, nothing is lost, little is kept."""

import binascii
import contextlib
import os
import random
import re
import time
import zlib

import pytest

from harness import AT_ONCE_S, Raw, Server, message, wait_until

CPU_OF_A_BOMB = 2               # of the server's, for a line without end
CPU_BEFORE_ANOTHER = 0.5        # seconds of the server's between another's NOOP and its answer
FLUSHES = {"sync": zlib.Z_SYNC_FLUSH, "full": zlib.Z_FULL_FLUSH}


class Deflated:
    """A socket whose octets are raw deflate in both directions; `wire_in` counts what came, `keep` keeps it."""

    def __init__(self, sock, flush=zlib.Z_SYNC_FLUSH, level=6):
        self.sock, self.flush, self.wire_in, self.keep = sock, flush, 0, None
        self.deflate = zlib.compressobj(level, zlib.DEFLATED, -15)
        self.inflate = zlib.decompressobj(-15)

    def pack(self, data):
        return self.deflate.compress(data) + self.deflate.flush(self.flush)

    def sendall(self, data):
        self.sock.sendall(self.pack(data))

    def recv(self, n):
        while True:
            data = self.sock.recv(n)
            self.wire_in += len(data)
            if self.keep is not None:
                self.keep += data
            out = self.inflate.decompress(data)
            if out or not data:
                return out

    def settimeout(self, t):
        self.sock.settimeout(t)

    def close(self):
        self.sock.close()


def compress(c, **options):
    c.cmd("COMPRESS DEFLATE")
    c.sock = Deflated(c.sock, **options)


@pytest.fixture
def box(shared, request):
    """A raw session, logged in to an account of its own."""
    user = re.sub(r"\W", "-", request.node.name)[:60]
    shared.add_user(user)
    c = login(shared, user)
    yield c
    c.close()


def login(server, user, tls=False):
    c = server.raw("imaps" if tls else "imap")
    if tls:
        c.sock = server.tls().wrap_socket(c.sock)
    c.line()
    c.cmd("LOGIN %s secret" % user)
    c.user, c.server = user, server
    return c


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("flush", FLUSHES)
def test_commands(shared, flush, tls):
    shared.add_user("commands-%s-%s" % (flush, tls))
    c = login(shared, "commands-%s-%s" % (flush, tls), tls)
    assert b" COMPRESS=DEFLATE " in c.cmd("CAPABILITY")[0] + b" "
    compress(c, flush=FLUSHES[flush])
    assert b"COMPRESS" not in c.cmd("CAPABILITY")[0]
    assert b"[COMPRESSIONACTIVE]" in c.cmd("COMPRESS DEFLATE", expect=b"BAD")[-1]
    c.cmd("SELECT INBOX")
    for _ in range(50):
        c.cmd("NOOP")
    c.cmd("LOGOUT")
    assert c.sock.recv(1) == b""
    c.close()


def test_unknown_algorithm_and_before_login(box):
    box.cmd("COMPRESS GZIP", expect=b"BAD")
    box.cmd("COMPRESS", expect=b"BAD")
    box.cmd("COMPRESS DEFLATE DEFLATE", expect=b"BAD")
    box.cmd("NOOP")
    c = box.server.raw("imap")
    assert b"COMPRESS" not in c.line()
    c.cmd("COMPRESS DEFLATE", expect=b"BAD")
    c.close()


def test_octet_by_octet(box):
    compress(box)
    for octet in box.sock.pack(b"a NOOP\r\nb NOOP\r\n"):
        box.sock.sock.sendall(bytes([octet]))
        time.sleep(0.001)
    assert box.line().startswith(b"a OK") and box.line().startswith(b"b OK")


def test_pipelined_behind_the_command(box):
    """Not allowed by RFC 4978 s3, but what follows the command can only be compressed."""
    packed = zlib.compressobj(6, zlib.DEFLATED, -15)
    box.send(b"a COMPRESS DEFLATE\r\n" + packed.compress(b"b NOOP\r\nc CAPABILITY\r\n") + packed.flush(zlib.Z_SYNC_FLUSH))
    assert box.line().startswith(b"a OK")
    sock = Deflated(box.sock)
    have, box.have = box.have, b""
    box.have = sock.inflate.decompress(have)
    box.sock = sock
    assert box.line().startswith(b"b OK")
    assert box.line().startswith(b"* CAPABILITY")
    assert box.line().startswith(b"c OK")


def test_idle(box):
    other = login(box.server, box.user)
    compress(box)
    box.cmd("SELECT INBOX")
    box.send("a IDLE\r\n")
    assert box.line().startswith(b"+ ")
    for n in range(1, 4):
        time.sleep(0 if n < 3 else 4)   # so long that memory has been given back
        text = message(subject="n%d" % n).encode()
        other.cmd(b"APPEND INBOX {%d+}\r\n%s" % (len(text), text))
        began = time.monotonic()
        assert box.line() == b"* %d EXISTS" % n
        assert time.monotonic() - began < AT_ONCE_S
        while b"RECENT" not in box.line():
            pass
    box.send("DONE\r\n")
    box.imap_until(b"a")
    other.close()


@pytest.mark.parametrize("sync", [True, False], ids=["sync", "nonsync"])
def test_append_and_fetch_5_mb(box, sync):
    """Mail that shrinks and mail that does not, in and out, through 5 MB of each."""
    rng = random.Random(1)
    compress(box)
    box.cmd("SELECT INBOX")
    for body in ("a line of text that says little\r\n" * 160000, rng.randbytes(2500000).hex() + "\r\n"):
        text = ("Subject: large\r\n\r\n" + re.sub("([0-9a-f]{76})", "\\1\r\n", body)).encode()
        if sync:
            box.send(b"a APPEND INBOX {%d}\r\n" % len(text))
            assert box.line().startswith(b"+ ")
            box.send(text + b"\r\n")
        else:
            box.send(b"a APPEND INBOX {%d+}\r\n" % len(text) + text + b"\r\n")
        uid = re.search(rb"APPENDUID \d+ (\d+)", box.imap_until(b"a")[-1]).group(1)
        before = box.sock.wire_in
        got = box.cmd(b"UID FETCH %s BODY.PEEK[]" % uid)
        assert any(text in x for x in got)
        assert box.sock.wire_in - before < len(text) * 0.75


def mixed_mail(rng):
    """Text, base64, octets that do not shrink, and a NUL: chunks of all kinds, in messages of all sizes."""
    text = "".join("%s %d says little, again and again\r\n" % (rng.choice(["anna", "bert", "carl"]), rng.randrange(10000))
                   for _ in range(9000)).encode()
    base64 = re.sub(rb"(.{76})", rb"\1\r\n", binascii.b2a_base64(rng.randbytes(150000), newline=False))
    octets = rng.randbytes(200000).replace(b"\0", b"0").replace(b"\r", b"r").replace(b"\n", b"n")
    parts = [(b"", text), (b"Content-Transfer-Encoding: base64\r\n", base64),
             (b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n", octets)]
    multi = b"".join(b"\r\n--x\r\n%s\r\n%s" % part for part in parts) + b"\r\n--x--\r\n"
    yield b"Subject: mixed\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n" + multi
    yield b"Subject: header alone\r\n\r\n"
    yield b"Subject: a line\r\n\r\nshort\r\n"
    yield b"Subject: nul\r\n\r\n" + b"a line of text\0 that says little\r\n" * 4000
    for n in (1000, 3000, 20000, 65536, 65537, 140000):
        yield b"Subject: text %d\r\n\r\n" % n + text[:n] + b"\r\n"


def append_binary(c, text):
    c.cmd(b"APPEND INBOX ~{%d+}\r\n%s" % (len(text), text))


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_stored_chunks_are_sent_as_they_are(shared, tls):
    """The same octets as without compression, whole and in part, whatever stands before and behind; and some of what
    is on the wire is on the disk, too."""
    rng = random.Random(3)
    user = "splice-%s" % tls
    shared.add_user(user)
    plain, c = login(shared, user), login(shared, user, tls)
    mails = list(mixed_mail(rng))
    for text in mails:
        append_binary(plain, text)
    compress(c)
    plain.cmd("SELECT INBOX")
    c.cmd("SELECT INBOX")
    c.sock.keep = bytearray()
    whole = c.cmd("UID FETCH 1:* BODY.PEEK[]")
    wire = bytes(c.sock.keep)
    assert whole[:-1] == plain.cmd("UID FETCH 1:* BODY.PEEK[]")[:-1]
    for text in mails:
        assert any(text.replace(b"\0", b"\x80") in x for x in whole)
    disk = b"".join(open(path, "rb").read() for path in log_files(shared))
    spliced = sum(wire[at:at + 64] in disk for at in range(0, len(wire), 1024))
    base64 = 160000         # of the wire: kept as the octets that it says, and made anew
    assert spliced > (len(wire) - base64) / 1024 * 0.9
    for _ in range(60):
        size = rng.choice([1, 5000, 70000, 200000])
        command = "UID FETCH 1:* (RFC822.SIZE BODY.PEEK[]<%d.%d> BODY.PEEK[1]<%d.%d> BODY.PEEK[TEXT])" % (
            rng.randrange(300000), size, rng.randrange(200000), size)
        assert c.cmd(command)[:-1] == plain.cmd(command)[:-1], command
    plain.close()
    c.close()


def log_files(server):
    for at, _, names in os.walk(server.dir):
        if os.path.basename(at) == "log":
            yield from (os.path.join(at, name) for name in names)


def test_a_damaged_chunk_is_not_sent(box):
    """It is found before the literal is announced; others of the same command are sent."""
    rng = random.Random(4)
    texts = [b"Subject: %d\r\n\r\n" % n + b"".join(b"a line of %d\r\n" % rng.randrange(10 ** 9) for _ in range(3000)) for n in range(3)]
    for text in texts:
        append_binary(box, text)
    compress(box)
    box.cmd("SELECT INBOX")
    box.sock.keep = bytearray()
    box.cmd("FETCH 2 BODY.PEEK[]")
    piece = bytes(box.sock.keep)[-300:-200]
    damaged = 0
    for path in log_files(box.server):
        with open(path, "r+b") as f:
            at = f.read().find(piece)
            if at >= 0:
                f.seek(at + 50)
                f.write(bytes([piece[50] ^ 1]))
                damaged += 1
    assert damaged == 1
    got = box.cmd("FETCH 1:3 BODY.PEEK[]", expect=b"NO [CORRUPTION]")
    assert [any(text in x for x in got) for text in texts] == [True, False, True]


def test_slow_reader_of_a_large_answer(box):
    text = ("Subject: large\r\n\r\n" + random.Random(2).randbytes(4000000).hex()).encode()
    box.cmd(b"APPEND INBOX {%d+}\r\n%s" % (len(text), text))
    compress(box)
    box.cmd("SELECT INBOX")
    box.send("a FETCH 1 BODY.PEEK[]\r\nb NOOP\r\n")
    time.sleep(1)
    assert any(text in x for x in box.imap_until(b"a"))
    box.imap_until(b"b")


def test_garbage_ends_the_connection(box):
    compress(box)
    box.cmd("NOOP")
    box.sock.sock.sendall(b"b NOOP\r\n\xff\xff\xff\xff")
    assert box.sock.recv(1) == b""
    wait_until(lambda: 'why="compressed input is damaged"' in box.server.log(), lambda: box.server.log()[-2000:])


def test_a_bomb_meets_the_limits(box):
    """A line without end, 16 MB of it in 16 KB: the connection is closed at the limit, and others are served meanwhile."""
    compress(box)
    line = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = line.compress(b"a NOOP " + b"x" * (1 << 24)) + line.flush(zlib.Z_FULL_FLUSH)
    more = line.compress(b"x" * (1 << 24)) + line.flush(zlib.Z_FULL_FLUSH)
    rss = box.server.rss_kb()
    other, most, began = login(box.server, box.user), 0, box.server.cpu_seconds()
    with contextlib.suppress(ConnectionError):     # a reset when what was sent is not read any more
        box.sock.sock.sendall(block)
        for _ in range(200):
            box.sock.sock.sendall(more)
            before = box.server.cpu_seconds()
            other.cmd("NOOP")
            most = max(most, box.server.cpu_seconds() - before)
        while data := box.sock.recv(65536):
            assert data.startswith(b"* BYE [TOOBIG]")
    slow = 20 if box.server.sanitized() else 1
    assert most < CPU_BEFORE_ANOTHER * slow
    assert box.server.cpu_seconds() - began < CPU_OF_A_BOMB * slow
    assert box.server.rss_kb() - rss < (32 << 10) * (4 if box.server.sanitized() else 1)
    other.close()


def test_client_that_leaves_in_the_middle(box):
    text = message(size=3000000).encode()
    for cut in (1, 100, 5000):
        c = login(box.server, box.user)
        compress(c)
        packed = c.sock.pack(b"a APPEND INBOX {%d+}\r\n" % len(text) + text)
        c.sock.sock.sendall(packed[:-cut])
        c.close()
    assert b"(MESSAGES 0)" in box.cmd("STATUS INBOX (MESSAGES)")[0]


def test_unauthenticate_ends_compression(shared):
    """The next login comes in clear, in the same segment [RFC 8437 s4.1]; then COMPRESS again."""
    for name in ("first", "second"):
        shared.add_user(name)
    c = login(shared, "first")
    for n in range(3):
        compress(c, flush=zlib.Z_SYNC_FLUSH if n != 1 else zlib.Z_FINISH)
        deflated, c.sock = c.sock, c.sock.sock
        c.send(deflated.pack(b"u UNAUTHENTICATE\r\n") + b"l LOGIN second secret\r\n")
        data = b""
        while not deflated.inflate.eof:
            data += deflated.inflate.decompress(c.sock.recv(65536))
        c.have = deflated.inflate.unused_data
        assert data.startswith(b"u OK") and data.endswith(b"\r\n")
        assert c.line().startswith(b"l OK"), n
        c.cmd("NOOP")
    c.close()


def test_compressed_login_behind_unauthenticate_is_refused(box):
    compress(box)
    box.send("u UNAUTHENTICATE\r\nl LOGIN %s secret\r\n" % box.user)
    data = box.sock.recv(1000)
    assert data.startswith(b"u OK") and b"l " not in data
    assert box.sock.sock.recv(1) == b""


@pytest.mark.parametrize("more", [0, 20000], ids=["alone", "crowd"])
def test_starttls_right_behind_unauthenticate(box, more):
    """In clear and in the same segment; what else came before the handshake counts for nothing."""
    compress(box)
    deflated, box.sock = box.sock, box.sock.sock
    box.send(deflated.pack(b"u UNAUTHENTICATE\r\n") + b"s STARTTLS\r\n" + b"x" * more)
    data = b""
    while not deflated.inflate.eof:
        data += deflated.inflate.decompress(box.sock.recv(65536))
    assert data.startswith(b"u OK")
    box.have = deflated.inflate.unused_data
    assert box.line().startswith(b"s OK")
    if more < 16384:
        box.sock = box.server.tls().wrap_socket(box.sock)
        assert b"COMPRESS" not in b"".join(box.cmd("CAPABILITY"))
        box.cmd("LOGIN %s secret" % box.user)
        compress(box)
    other = login(box.server, box.user)
    other.cmd("NOOP")
    other.close()


@pytest.fixture(scope="module")
def narrow():
    """A server with one reactor: who holds it holds all."""
    with Server(users={"anna": "secret"}, conf_edit=lambda text: text.replace("[server]", "[server]\nreactors = 1")) as s:
        yield s.start()


def packed(octets):
    line = zlib.compressobj(9, zlib.DEFLATED, -15)
    return line.compress(octets) + line.flush(zlib.Z_FULL_FLUSH)


@pytest.mark.parametrize("octets", [b"\0\0\0\xff\xff" * 20000, b"\x02\x08\x20\x80\x00" * 20000, packed(b"x" * (1 << 24))],
                         ids=["stored-empty", "fixed-empty", "bomb"])
def test_others_are_served_during_a_flood(narrow, octets):
    def attacker():
        c = login(narrow, "anna")
        c.cmd("COMPRESS DEFLATE")
        c.sock.setblocking(False)
        return c

    other, c = login(narrow, "anna"), attacker()
    end, most, rest = time.monotonic() + 3, 0, b""
    while time.monotonic() < end:
        for _ in range(8):
            try:
                rest = rest or octets
                rest = rest[c.sock.send(rest):]
            except BlockingIOError:
                break
            except ConnectionError:             # a line above what is skipped ends the session: another takes its place
                c.close()
                c, rest = attacker(), b""
        before = narrow.cpu_seconds()
        other.cmd("NOOP")
        most = max(most, narrow.cpu_seconds() - before)
    assert most < CPU_BEFORE_ANOTHER * (20 if narrow.sanitized() else 1)
    c.close()
    other.close()


def test_idle_sessions_give_memory_back(shared):
    """What 300 compressed sessions cost that have fetched and then sleep."""
    names = ["many%d" % i for i in range(4)]       # an account may have 100 connections
    text = message(size=20000).encode()
    for name in names:
        shared.add_user(name)
        with login(shared, name) as first:
            first.cmd(b"APPEND INBOX {%d+}\r\n%s" % (len(text), text))
    sizes = {}
    for how in ("plain", "compressed"):
        before, sessions = shared.rss_kb(), []
        for i in range(300):
            c = login(shared, names[i % len(names)])
            if how == "compressed":
                compress(c)
            c.cmd("SELECT INBOX")
            c.cmd("FETCH 1 BODY.PEEK[]")
            c.send("i IDLE\r\n")
            c.line()
            sessions.append(c)
        time.sleep(6)
        sizes[how] = (shared.rss_kb() - before) * 1024 / 300
        if how == "compressed":                 # a busy machine's server looks later
            wait_until(lambda: (shared.rss_kb() - before) * 1024 / 300 < sizes["plain"] + 16384, lambda: sizes)
        for c in sessions:
            c.close()
