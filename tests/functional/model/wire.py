"""One IMAP connection and a strict parser of responses.

Each response becomes one small tuple. What is not in the grammar here is a failure, so that nothing a server says goes
by unseen: add it here when a test makes the server say it.
"""

import collections
import re
import select
import socket
import zlib

from harness import PATIENCE_S


class Wrong(AssertionError):
    """The server said what it must not say."""


Number = collections.namedtuple("Number", "word n")                     # EXISTS, RECENT, EXPUNGE
Fetch = collections.namedtuple("Fetch", "by_uid n items")               # items: {name: value}
class Vanished(collections.namedtuple("Vanished", "earlier ranges")):
    """Below a mailbox's floor it names what was never given, too: millions of UIDs in a range."""

    @property
    def uids(self):
        return expand(self.ranges)


Flags = collections.namedtuple("Flags", "names")
Status = collections.namedtuple("Status", "name items")
Search = collections.namedtuple("Search", "numbers modseq")
Esearch = collections.namedtuple("Esearch", "tag uid items")
Condition = collections.namedtuple("Condition", "tag word code args text")      # OK NO BAD BYE; code "" if none
Words = collections.namedtuple("Words", "word names")                   # CAPABILITY, ENABLED
Listed = collections.namedtuple("Listed", "word rest")                  # LIST, LSUB

SET = r"\d+(?::\d+)?(?:,\d+(?::\d+)?)*"
# Response codes and their arguments.
CODES = {
    "ALREADYEXISTS": "", "CANNOT": "", "CLOSED": "", "EXPUNGEISSUED": "", "HASCHILDREN": "", "LIMIT": "",
    "NONEXISTENT": "", "READ-ONLY": "", "READ-WRITE": "", "TRYCREATE": "", "UIDREQUIRED": "", "UNAVAILABLE": "",
    "UIDNEXT": r"[1-9]\d*", "UIDVALIDITY": r"[1-9]\d*", "UNSEEN": r"[1-9]\d*", "HIGHESTMODSEQ": r"[1-9]\d*",
    "APPENDUID": r"[1-9]\d* " + SET, "COPYUID": r"[1-9]\d* %s %s" % (SET, SET), "MODIFIED": SET,
    "MAILBOXID": r"\([A-Za-z0-9_-]+\)", "CAPABILITY": r"[^\]]+", "PERMANENTFLAGS": r"\([^)]*\)",
    "INPROGRESS": r"\(.*\)", "COMPRESSIONACTIVE": "",
}
STATUS_ITEMS = {"MESSAGES", "UIDNEXT", "UIDVALIDITY", "UNSEEN", "DELETED", "SIZE", "RECENT", "HIGHESTMODSEQ"}


def parse_ranges(text):
    """A sequence-set without "*", ascending and each number once, as our server writes them: [(first, last)]."""
    out = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition(":")
        a, b = int(first), int(last or first)
        if not (0 < a <= b) or (last and a == b) or (out and a <= out[-1][1]):
            raise Wrong("a set that is not ascending: " + text)
        out.append((a, b))
    return out


def expand(ranges):
    return [n for a, b in ranges for n in range(a, b + 1)]


def parse_set(text):
    return expand(parse_ranges(text))


def format_set(numbers):
    """The shortest sequence-set."""
    out = []
    for n in sorted(numbers):
        if out and out[-1][1] == n - 1:
            out[-1][1] = n
        else:
            out.append([n, n])
    return ",".join("%d" % a if a == b else "%d:%d" % (a, b) for a, b in out)


# ---- FETCH data ----

TOKEN = re.compile(rb'[ ]|[()]|"(?:[^"\\\r\n]|\\["\\])*"|~?\{(\d+)\}\r\n|[^\s()"{]*\[[^\]]*\](?:<\d+>)?|[^\s()"{]+')


def tokens(data):
    """Atoms as str, strings as bytes, " ", "(" and ")"."""
    at = 0
    while at < len(data):
        m = TOKEN.match(data, at)
        if not m:
            raise Wrong("not IMAP at %r" % data[at:at + 40])
        at = m.end()
        if m.group(1):
            n = int(m.group(1))
            yield data[at:at + n]
            at += n
        elif m.group()[:1] == b'"':
            yield re.sub(rb"\\(.)", rb"\1", m.group()[1:-1])
        else:
            yield m.group().decode()


def nest(data):
    """Nested lists of what tokens() gives, with exactly one space between members."""
    stack, last = [[]], " "
    for t in tokens(data):
        if t == " ":
            if last in (" ", "("):
                raise Wrong("a space too many: %r" % data)
        elif t == ")":
            if last == " " or len(stack) < 2:
                raise Wrong("parentheses: %r" % data)
            done = stack.pop()
            stack[-1].append(done)
        else:
            if last not in (" ", "("):
                raise Wrong("a space is missing: %r" % data)
            if t == "(":
                stack.append([])
            else:
                stack[-1].append(t)
        last = t if isinstance(t, str) else "string"
    if len(stack) != 1 or last == " ":
        raise Wrong("parentheses: %r" % data)
    return stack[0]


def parse_flags(names):
    if not all(isinstance(n, str) for n in names) or len({n.lower() for n in names}) != len(names):
        raise Wrong("flags %r" % names)
    return frozenset(names)


def parse_fetch_items(data):
    items = {}
    top = nest(data)
    if len(top) != 1 or not isinstance(top[0], list) or len(top[0]) % 2 or not top[0]:
        raise Wrong("msg-att %r" % data)
    for name, value in zip(top[0][::2], top[0][1::2]):
        if not isinstance(name, str) or name in items:
            raise Wrong("msg-att %r" % data)
        if name == "FLAGS":
            value = parse_flags(value)
        elif name in ("UID", "RFC822.SIZE"):
            value = int(value)
        elif name == "MODSEQ":
            if len(value) != 1 or not 0 < int(value[0]) < 1 << 63:
                raise Wrong("MODSEQ %r" % data)
            value = int(value[0])
        elif not name.startswith("BODY["):
            raise Wrong("data item %r" % name)
        items[name] = value
    return items


# ---- responses ----

CONDITION = re.compile(rb"(\S+) (OK|NO|BAD|BYE|PREAUTH) (?:\[([A-Z0-9-]+)(?: (.*?))?\](?: |$))?(.*)", re.S)


def parse_condition(line):
    m = CONDITION.fullmatch(line)
    if not m:
        raise Wrong("not understood: %r" % line)
    tag, word, code, args, text = [(g or b"").decode("utf-8") for g in m.groups()]
    if code and (code not in CODES or not re.fullmatch(CODES[code], args)):
        raise Wrong("response code: %r" % line)
    if not text.strip():
        raise Wrong("no text: %r" % line)
    return Condition(tag, word, code, args, text)


def parse_search(line):
    m = re.fullmatch(r"\* SEARCH((?: [1-9]\d*)*)(?: \(MODSEQ ([1-9]\d*)\))?", line.decode())
    if not m:
        raise Wrong("not understood: %r" % line)
    return Search([int(n) for n in m.group(1).split()], int(m.group(2) or 0))


def parse_esearch(line):
    m = re.fullmatch(r'\* ESEARCH(?: \(TAG "([^"]*)"\))?( UID)?((?: [A-Z]+ \S+)*)', line.decode())
    if not m:
        raise Wrong("not understood: %r" % line)
    words = m.group(3).split()
    return Esearch(m.group(1), bool(m.group(2)), dict(zip(words[::2], words[1::2])))


def parse_status(line):
    m = re.fullmatch(rb'\* STATUS ("[^"]*"|[^\s()"]+) \(((?:[A-Z]+ \d+ ?)*)\)', line)
    if not m:
        raise Wrong("not understood: %r" % line)
    words = m.group(2).decode().split(" ")
    if not set(words[::2]) <= STATUS_ITEMS:
        raise Wrong("status items: %r" % line)
    return Status(m.group(1).strip(b'"').decode("utf-8"), dict(zip(words[::2], map(int, words[1::2]))))


def parse_response(line):
    """One response, its literals inside, without the last CRLF."""
    m = re.match(rb"\* (\d+) (EXISTS|RECENT|EXPUNGE|FETCH|UIDFETCH)(?: (.*))?$", line, re.S)
    if m:
        word, n = m.group(2).decode(), int(m.group(1))
        if word.endswith("FETCH"):
            return Fetch(word == "UIDFETCH", n, parse_fetch_items(m.group(3) or b""))
        if m.group(3) is not None:
            raise Wrong("not understood: %r" % line)
        return Number(word, n)
    m = re.fullmatch(rb"\* VANISHED( \(EARLIER\))? (%s)" % SET.encode(), line)
    if m:
        return Vanished(bool(m.group(1)), parse_ranges(m.group(2).decode()))
    for word, parse in ((b"* SEARCH", parse_search), (b"* ESEARCH", parse_esearch), (b"* STATUS", parse_status)):
        if line.startswith(word):
            return parse(line)
    if line.startswith(b"* FLAGS "):
        return Flags(parse_flags(nest(line[8:])[0]))
    m = re.fullmatch(rb"\* (CAPABILITY|ENABLED)((?: \S+)*)", line)
    if m:
        return Words(m.group(1).decode(), m.group(2).decode().split())
    if re.match(rb"\* (LIST|LSUB) \(", line):
        return Listed(line.split()[1].decode(), line.split(None, 2)[2])
    return parse_condition(line)


class Closed(Exception):
    """The connection ended."""


class Connection:
    """Commands out, parsed responses in. `transcript` holds the lines of the last command."""

    def __init__(self, port):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.have = b""
        self.tags = 0
        self.inflate = self.deflate = None
        self.transcript = []
        greeting = self.read()
        if greeting.word != "OK":
            raise Wrong("greeting %r" % (greeting,))

    def close(self):
        self.sock.close()

    def compress(self):
        """From here on both directions are raw deflate [RFC 4978]."""
        self.deflate = zlib.compressobj(wbits=-15)
        self.inflate = zlib.decompressobj(wbits=-15)

    def write(self, data):
        self.transcript.append(b"C: " + data)
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        try:
            self.sock.sendall(data)
        except OSError as e:
            raise Closed(str(e))

    def more(self):
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        if not data:
            raise Closed("after %r" % self.transcript[-5:])
        self.have += self.inflate.decompress(data) if self.inflate else data

    def take(self, n):
        while len(self.have) < n:
            self.more()
        data, self.have = self.have[:n], self.have[n:]
        return data

    def line(self):
        while b"\r\n" not in self.have:
            self.more()
        return self.take(self.have.index(b"\r\n") + 2)[:-2]

    def read_raw(self):
        line = part = self.line()
        while True:
            m = re.search(rb"\{(\d+)\}$", part)
            if not m:
                break
            literal = self.take(int(m.group(1)))
            part = self.line()
            line += b"\r\n" + literal + part
        self.transcript.append(b"S: " + line)
        return line

    def read(self):
        return parse_response(self.read_raw())

    def readable(self, seconds):
        return b"\r\n" in self.have or bool(select.select([self.sock], [], [], seconds)[0])

    def begin(self, text):
        """Send one command; its tag."""
        self.transcript = []
        self.tags += 1
        tag = "t%d" % self.tags
        self.write(tag.encode() + b" " + (text if isinstance(text, bytes) else text.encode()) + b"\r\n")
        return tag

    def finish(self, tag):
        """All untagged responses, and the tagged one."""
        untagged = []
        while True:
            r = self.read()
            if isinstance(r, Condition) and r.tag != "*":
                if r.tag != tag:
                    raise Wrong("tag %r instead of %r" % (r.tag, tag))
                return untagged, r
            untagged.append(r)

    def command(self, text):
        return self.finish(self.begin(text))

    def begin_idle(self):
        tag = self.begin("IDLE")
        line = self.line()
        if not line.startswith(b"+ "):
            raise Wrong("IDLE: %r" % line)
        return tag
