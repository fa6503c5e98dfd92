"""Playing one transcript case against a running server: its connections, what is sent, what must come.

One thread plays one case, with blocking sockets; nothing is shared between cases but the server.
"""

import base64
import select
import socket
import time
import zlib

from case import Flaw, client_bytes, compile_pattern, mail_bytes, mail_file

SETUP_BATCH = 200       # messages of one MULTIAPPEND
GREETINGS = {"imap": b"* OK ", "pop3": b"+OK", "lmtp": b"220 "}
SINGLE_OCTETS = 1500    # so many at each end of what is sent go one by one; the middle in pieces of 7


class Conn:
    """A client connection: octets out, lines in. `said` is the case's list of what went over all its connections."""

    def __init__(self, server, protocol, tls, name, said, patience, split):
        self.name, self.said, self.patience, self.split = name, said, patience, split
        self.server, self.protocol = server, protocol
        port = server.port(protocol + "s" * tls)
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=patience)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:
            self.start_tls()
        self.have, self.ended = b"", False
        self.deflate = self.inflate = None

    def start_tls(self):
        self.sock = self.server.context.wrap_socket(self.sock, server_hostname="localhost")

    def start_deflate(self):
        self.deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
        self.inflate = zlib.decompressobj(-15)
        if self.have:
            self.have = self.inflate.decompress(self.have)

    def end_deflate(self):
        self.deflate = self.inflate = None

    def send(self, data, shown=None):
        self.said.append("C%s: %s" % (self.name, show(shown or data)))
        if self.deflate:
            data = self.deflate.compress(data) + self.deflate.flush(zlib.Z_SYNC_FLUSH)
        try:
            if self.split:
                self.send_split(data)
            else:
                self.sock.sendall(data)
        except OSError:
            pass        # the server has closed; what the case expects next tells whether it should have

    def send_split(self, data):
        at = 0
        while at < len(data):
            single = at < SINGLE_OCTETS or at >= len(data) - SINGLE_OCTETS
            n = 1 if single else min(7, len(data) - SINGLE_OCTETS - at)
            self.sock.sendall(data[at:at + n])
            time.sleep(0.00002)
            at += n

    def fill(self, timeout):
        """Read once. False when nothing came in that time."""
        self.sock.settimeout(timeout)
        try:
            data = self.sock.recv(65536)
        except TimeoutError:
            return False
        except (ConnectionError, OSError):
            data = b""
        if not data:
            self.ended = True
        elif self.inflate:
            self.have += self.inflate.decompress(data)
        else:
            self.have += data
        return True

    def line(self):
        """The next line without CRLF; None at the end of the connection."""
        end = time.monotonic() + self.patience
        while b"\r\n" not in self.have:
            if self.ended:
                if not self.have:
                    return None
                line, self.have = self.have, b""
                return line + b"<closed>"
            left = end - time.monotonic()
            if left <= 0 or not self.fill(left):
                raise TimeoutError
        line, self.have = self.have.split(b"\r\n", 1)
        self.said.append("S%s: %s" % (self.name, show(line)))
        return line

    def quiet(self, seconds):
        """What came in that time: bytes, empty if nothing."""
        end = time.monotonic() + seconds
        while not self.have and not self.ended:
            left = end - time.monotonic()
            if left <= 0 or not self.fill(left):
                return b""
        return self.have or b"<closed>"

    def unread(self):
        """What lies there and nobody has asked for."""
        pending = getattr(self.sock, "pending", lambda: 0)
        if not self.ended and (pending() or select.select([self.sock], [], [], 0)[0]):
            self.fill(0.2)
        return self.have

    def close(self):
        self.sock.close()


def show(data):
    """Bytes for a human: %XX for what is not UTF-8 text, cut when long."""
    text = data.decode("utf-8", "surrogateescape").rstrip("\r\n")
    text = "".join("%%%02X" % (ord(c) & 0xff) if "\udc80" <= c <= "\udcff" or ord(c) < 32 and c != "\t" else c
                   for c in text)
    return text if len(text) < 2000 else text[:1900] + "... (%d octets)" % len(data)


class Player:
    """One run of one case. play() returns or raises Flaw; `said` holds the conversation."""

    def __init__(self, case, server, users, patience, tls=False, split=False):
        self.case, self.server, self.patience = case, server, patience
        self.tls = case.tls or tls and not case.only_plain()
        self.split = split
        self.users = users
        self.known = {"user": users[0].encode(), "userb": users[1].encode(), "password": b"secret"}
        self.known["plain"] = base64.b64encode(b"\0%s\0secret" % self.known["user"])
        self.known["plainb"] = base64.b64encode(b"%s\0%s\0secret" % (self.known["userb"], self.known["user"]))
        self.conns, self.said = {}, []

    def play(self):
        try:
            if self.case.mail:
                self.append_mail()
            at = 0
            while at < len(self.case.steps):
                at = self.play_step(at)
            for conn in self.conns.values():
                rest = conn.unread()
                if rest:
                    raise Flaw(self.case.steps[-1].line, "more came that nothing expects: " + show(rest))
        finally:
            for conn in self.conns.values():
                conn.close()

    def play_step(self, at):
        """Plays step `at`, or the group of lines that begins there; the number of the next one."""
        step = self.case.steps[at]
        if step.kind == "ctl":
            words = step.text.replace("{userb}", self.users[1]).replace("{user}", self.users[0]).split()
            try:
                self.server.ctl(*words)
            except AssertionError as e:
                raise Flaw(step.line, str(e)) from None
        elif step.kind == "deliver":
            self.deliver(step)
        elif step.kind == "quiet":
            came = self.conn(step).quiet(int(step.text) / 1000)
            if came:
                raise Flaw(step.line, "silence for %s ms was expected\n  came:     %s" % (step.text, show(came)))
        elif step.kind == "send":
            data = client_bytes(step, self.known) + (b"\r\n" if step.crlf else b"")
            self.conn(step).send(data)
        elif step.kind == "event" and step.event != "<closed>":
            self.client_event(step)
        else:
            end = at
            while end < len(self.case.steps) and self.expects(self.case.steps[end], step.conn):
                end += 1
                if self.case.steps[end - 1].event:
                    break
            self.expect_group(self.case.steps[at:end])
            return end
        return at + 1

    def expects(self, step, conn):
        return step.conn == conn and (step.event == "<closed>" or
                                      step.kind in ("expect", "many", "maybe", "any", "never"))

    # -- connections --

    def conn(self, step):
        conn = self.conns.get(step.conn)
        if conn is None:
            name = "" if step.conn == "1" else step.conn
            protocol = "imap" if step.conn == "I" else self.case.protocol
            conn = Conn(self.server, protocol, self.tls, name, self.said, self.patience, self.split)
            self.conns[step.conn] = conn
            self.begin(conn, step)
        return conn

    def begin(self, conn, step):
        before = len(self.said)
        if self.case.greeting or step.conn == "I":
            self.must(conn, step, GREETINGS[conn.protocol])
        if self.case.login or step.conn == "I":
            self.log_in(conn, step, self.users[1 if step.conn == "B" else 0].encode())
        del self.said[before:]

    def log_in(self, conn, step, user):
        if conn.protocol == "imap":
            self.command(conn, step, b"login LOGIN %s secret" % user)
            return
        for text in b"USER " + user, b"PASS secret":
            conn.send(text + b"\r\n")
            self.must(conn, step, b"+OK")

    def must(self, conn, step, prefix):
        """The next line begins so; for what the player itself says and not the case."""
        try:
            line = conn.line()
        except TimeoutError:
            line = b"(nothing)"
        if line is None or not line.startswith(prefix):
            raise Flaw(step.line, "before the script: %s expected\n  came:     %s" % (show(prefix), show(line or b"<closed>")))
        return line

    def command(self, conn, step, text, expect=b"OK"):
        """A command of the player's own, its untagged answers skipped; the tagged line."""
        tag = text.split(b" ", 1)[0]
        conn.send(text + b"\r\n", text[:200])
        while True:
            line = self.must(conn, step, b"")
            if line.startswith(tag + b" "):
                if not line.startswith(tag + b" " + expect):
                    raise Flaw(step.line, "before the script: %s\n  came:     %s" % (show(text[:200]), show(line)))
                return line

    def client_event(self, step):
        conn = self.conn(step)
        self.said.append("C%s: %s" % (conn.name, step.event))
        if step.event == "<close>":
            conn.close()
            del self.conns[step.conn]
            return
        try:
            {"<starttls>": conn.start_tls, "<deflate>": conn.start_deflate, "<plain>": conn.end_deflate}[step.event]()
        except (OSError, zlib.error) as e:
            raise Flaw(step.line, "%s: %s" % (step.event, e)) from None

    # -- what is put in place --

    def append_mail(self):
        first = self.case.steps[0]
        conn = Conn(self.server, "imap", False, "0", self.said, self.patience, False)
        self.must(conn, first, b"* OK ")
        self.command(conn, first, b"p LOGIN %s secret" % self.users[0].encode())
        made = {"INBOX"}
        for number, mailbox, path, count, flags, date in self.case.mail:
            first.line, line = number, first.line
            name = quote(mailbox)
            if mailbox not in made:
                self.command(conn, first, b"p CREATE " + name, b"")
                made.add(mailbox)
            data = mail_bytes(path)
            one = b" (%s)" % " ".join(flags).encode() if flags else b""
            one += b' "%s"' % date.encode() if date else b""
            one += b" {%d+}\r\n%s" % (len(data), data)
            batch = max(1, min(SETUP_BATCH, 1000000 // len(data)))
            while count:
                n = min(count, batch)
                self.command(conn, first, b"p APPEND " + name + one * n)
                count -= n
            first.line = line
        conn.send(b"p LOGOUT\r\n")
        conn.close()
        del self.said[:]

    def deliver(self, step):
        data = mail_bytes(mail_file(step.line, step.text))
        try:
            self.server.deliver([self.users[0]], data)
        except (OSError, AssertionError) as e:
            raise Flaw(step.line, "delivery: %s" % e) from None

    # -- what must come --

    def expect_group(self, group):
        """Consecutive S lines of one connection. Loose ones (*, ?, !) are tried until the sure one behind them comes."""
        conn = self.conn(group[0])
        loose, at = [], 0
        while at < len(group):
            if group[at].kind in ("many", "maybe", "never"):
                loose.append((group[at], compile_pattern(group[at], self.known)))
                at += 1
                continue
            if group[at].event:
                self.expect_closed(conn, group[at], loose)
                return
            end = at + 1
            while group[at].kind == "any" and end < len(group) and group[end].kind == "any":
                end += 1
            self.expect_lines(conn, loose, group[at:end])
            loose, at = [], end

    def expect_closed(self, conn, step, loose):
        while True:
            line = self.next_line(conn, step)
            if line is None:
                conn.close()
                self.conns.pop(step.conn)
                return
            if not self.take_loose(loose, line):
                raise mismatch(step, line)

    def expect_lines(self, conn, loose, steps):
        """One S: line, or S&: lines in any order, with what may stand before."""
        patterns = [compile_pattern(s, self.known) for s in steps]
        lines = []
        while len(lines) < len(steps):
            left = unmatched(patterns, lines, self.known)
            line = self.next_line(conn, steps[left[0]])
            maybe_first = loose and loose[0][0].kind == "maybe" and not lines
            if maybe_first and self.take_loose(loose, line):
                continue
            if line is not None and assign(patterns, lines + [line], self.known) is not None:
                lines.append(line)
            elif line is None or not self.take_loose(loose, line):
                raise mismatch(steps[left[0]], line)
        for i, j in enumerate(assign(patterns, lines, self.known)):
            self.known.update(patterns[j].match(lines[i], self.known))

    def take_loose(self, loose, line):
        """Whether a loose line takes this one; those before it can take no more."""
        if line is None:
            return False
        for step, pattern in loose:
            if step.kind == "never" and pattern.match(line, self.known) is not None:
                raise Flaw(step.line, "must not come: %s\n  came:     %s" % (step.text, show(line)))
        for i, (step, pattern) in enumerate(loose):
            kept = None if step.kind == "never" else pattern.match(line, self.known)
            if kept is None:
                continue
            self.known.update(kept)
            gone = i + (step.kind == "maybe")
            loose[:] = [x for k, x in enumerate(loose) if k >= gone or x[0].kind == "never"]
            return True
        return False

    def next_line(self, conn, step):
        try:
            return conn.line()
        except TimeoutError:
            came = "nothing in %g s" % self.patience
            if conn.have:
                came += ", but for the unfinished line: " + show(conn.have)
            raise Flaw(step.line, "expected: %s\n  came:     %s" % (step.text, came)) from None


def mismatch(step, line):
    came = "<closed>" if line is None else show(line)
    return Flaw(step.line, "expected: %s\n  came:     %s" % (step.text, came))


def assign(patterns, lines, known):
    """For each line the number of a pattern of its own, as a list; None when that cannot be."""
    if not lines:
        return []
    taken = {}

    def place(i, tried):
        for j, p in enumerate(patterns):
            if j in tried or p.match(lines[i], known) is None:
                continue
            tried.add(j)
            if j not in taken or place(taken[j], tried):
                taken[j] = i
                return True
        return False

    if not all(place(i, set()) for i in range(len(lines))):
        return None
    return [j for _, j in sorted((i, j) for j, i in taken.items())]


def unmatched(patterns, lines, known):
    used = assign(patterns, lines, known)
    return [j for j in range(len(patterns)) if j not in used]


def quote(mailbox):
    """A mailbox name as a literal, in modified UTF-7."""
    out, wide = "", ""
    for c in mailbox + "\0":
        if " " <= c <= "~" or c == "\0":
            if wide:
                out += "&" + b64(wide) + "-"
                wide = ""
            out += "&-" if c == "&" else c
        else:
            wide += c
    name = out[:-1].encode()
    return b"{%d+}\r\n%s" % (len(name), name)


def b64(text):
    return base64.b64encode(text.encode("utf-16-be")).decode().rstrip("=").replace("/", ",")
