"""Reading transcript cases: a file becomes directives and steps, a pattern a regular expression. README.md has the format.

What a file says wrongly is a Flaw with its line, found before anything is played.
"""

import os
import re

ROOT = os.path.dirname(os.path.abspath(__file__))
MAIL = os.path.join(ROOT, "mail")
DIRECTIVES = ("mail", "login", "greeting", "tls", "config", "ctl", "deliver", "plain", "speak")
PROTOCOLS = ("imap", "pop3", "lmtp")
STEP = re.compile(r"([CSW])([BI]|[2-9])?([-%*?&!]*):(?: (.*))?$", re.S)
EVENTS = {"C": ("<close>", "<starttls>", "<deflate>", "<plain>"), "S": ("<closed>",)}
ACCOUNT = ("user", "userb", "password", "plain", "plainb")
FIELD = re.compile(r"\{\{|\{[^{}]*\}")


class Flaw(Exception):
    """A case that cannot be played, or was not answered as it says."""

    def __init__(self, line, text):
        super().__init__(text)
        self.line = line


class Step:
    """One line of the script. kind: "send", "expect", "many", "maybe", "any", "never", "quiet", "event", "ctl", "deliver"."""

    def __init__(self, line, kind, conn=None, text="", event=None, octets=False, crlf=True):
        self.line, self.kind, self.conn, self.text, self.event = line, kind, conn, text, event
        self.octets, self.crlf = octets, crlf


class Case:
    """What one file says."""

    def __init__(self, path):
        self.path = path
        self.name = name_of(path)
        self.mail, self.config, self.steps = [], [], []
        self.login = self.greeting = True
        self.tls = self.plain = False
        self.protocol = "imap"
        with open(path, encoding="utf-8", newline="\n") as f:
            lines = f.read().split("\n")
        for number, line in enumerate(lines, 1):
            if line.strip() and not line.startswith("#"):
                self.read_line(number, line)
        if not lines[0].startswith("# "):
            raise Flaw(1, "the first line must say what is shown: # ...")
        self.check()

    def read_line(self, number, line):
        m = STEP.match(line)
        if m:
            self.steps.append(read_step(number, *m.groups()))
            return
        word, _, rest = line.partition(" ")
        if word not in DIRECTIVES:
            raise Flaw(number, "neither a step nor a directive: " + line)
        if word in ("ctl", "deliver"):
            self.steps.append(Step(number, word, text=rest))
            return
        if self.steps:
            raise Flaw(number, "%s must stand before the script" % word)
        getattr(self, "read_" + word)(number, rest)

    def read_mail(self, number, rest):
        words = [m.group(1) if m.group(1) is not None else m.group(2)
                 for m in re.finditer(r'"([^"]*)"|(\S+)', rest)]
        if len(words) < 2:
            raise Flaw(number, "mail MAILBOX FILE [FLAG...] [\"date-time\"]")
        date = words.pop() if rest.endswith('"') and len(words) > 2 else None
        count, star, name = words[1].partition("*")
        if not star:
            count, name = "1", words[1]
        self.mail.append((number, words[0], mail_file(number, name), int(count), words[2:], date))

    def read_login(self, number, rest):
        if rest != "no":
            raise Flaw(number, "login no")
        self.login = False

    def read_greeting(self, number, rest):
        if rest != "no":
            raise Flaw(number, "greeting no")
        self.login = self.greeting = False

    def read_tls(self, _number, _rest):
        self.tls = True

    def read_plain(self, _number, _rest):
        self.plain = True

    def read_speak(self, number, rest):
        if rest not in PROTOCOLS:
            raise Flaw(number, "speak " + " | ".join(PROTOCOLS))
        self.protocol = rest
        self.login = self.login and rest != "lmtp"

    def read_config(self, number, rest):
        key, equals, value = rest.partition("=")
        if not equals:
            raise Flaw(number, "config KEY = VALUE")
        section, dot, name = key.strip().rpartition(".")
        self.config.append((section if dot else "limits", name, value.strip()))

    def check(self):
        """Each flexible line needs a sure one behind it, before the client speaks on that connection again."""
        loose = {}
        for s in self.steps:
            if s.kind in ("many", "maybe", "never"):
                loose.setdefault(s.conn, s)
            elif s.kind in ("expect", "any") or s.event == "<closed>":
                loose.pop(s.conn, None)
            elif s.conn in loose:
                raise Flaw(loose[s.conn].line, "a line with *, ? or ! needs an S: or S&: behind it")
        if self.tls and self.protocol == "lmtp":
            raise Flaw(1, "there is no listener for LMTP with implicit TLS")
        for s in loose.values():
            raise Flaw(s.line, "a line with *, ? or ! needs an S: or S&: behind it")
        if not any(s.kind in ("expect", "any", "quiet") or s.event == "<closed>" for s in self.steps):
            raise Flaw(1, "nothing is expected")

    def two_accounts(self):
        return any(s.conn == "B" for s in self.steps)

    def only_plain(self):
        return self.plain or self.protocol == "lmtp" or any(s.event == "<starttls>" for s in self.steps)


def read_step(number, side, conn, marks, text):
    text = text or ""
    conn = conn or "1"
    octets = "%" in marks
    marks = marks.replace("%", "")
    if side == "W":
        if marks or not text.isdigit():
            raise Flaw(number, "W: MILLISECONDS")
        return Step(number, "quiet", conn, text)
    if text in EVENTS[side] and not marks:
        return Step(number, "event", conn, text, event=text)
    if side == "C":
        if marks not in ("", "-"):
            raise Flaw(number, "C:, C-: or C%:")
        return Step(number, "send", conn, text, octets=octets, crlf=not (marks or octets))
    kinds = {"": "expect", "*": "many", "?": "maybe", "&": "any", "!": "never"}
    if marks not in kinds:
        raise Flaw(number, "S:, S*:, S?:, S&: or S!:")
    step = Step(number, kinds[marks], conn, text, octets=octets)
    compile_pattern(step, None)
    return step


def mail_file(number, name):
    path = os.path.join(MAIL, name)
    if not os.path.isfile(path):
        raise Flaw(number, "there is no tests/transcripts/mail/" + name)
    return path


def mail_bytes(path):
    """The file with CRLF line ends, whatever it has itself; one that ends in .raw is taken as it is."""
    with open(path, "rb") as f:
        data = f.read()
    return data if path.endswith(".raw") else re.sub(rb"\r?\n", b"\r\n", data)


def percent(text):
    """%XX undone: bytes."""
    return re.sub(rb"%([0-9A-Fa-f]{2})", lambda m: bytes([int(m.group(1), 16)]), text.encode())


def compute(name, known):
    """{$x}, {$x+2}: what was kept, or a number beside it."""
    m = re.fullmatch(r"(\w+)([+-]\d+)?", name)
    if not m:
        raise ValueError("{$%s}" % name)
    if known is None:
        return b"0"
    if m.group(1) not in known:
        raise ValueError("nothing is kept as {$%s}" % m.group(1))
    value = known[m.group(1)]
    return value if not m.group(2) else b"%d" % (int(value) + int(m.group(2)))


def client_bytes(step, known):
    """What a C: line sends, without the line's end."""
    def replace(m):
        field = m.group(0)[1:-1]
        if field in ACCOUNT:
            return known[field].decode()
        if field.startswith("$"):
            return compute(field[1:], known).decode("utf-8", "surrogateescape")
        return m.group(0)
    try:
        text = FIELD.sub(replace, step.text)
    except ValueError as e:
        raise Flaw(step.line, str(e)) from None
    return percent(text) if step.octets else text.encode("utf-8", "surrogateescape")


class Pattern:
    """A line's pattern with what was kept so far filled in."""

    def __init__(self, regex, names, above):
        self.regex, self.names, self.above = regex, names, above

    def match(self, line, known):
        """{name: bytes} of what the line gives, or None. `known` holds the numbers that some must exceed."""
        m = self.regex.fullmatch(line)
        if not m:
            return None
        kept = {}
        for name, value in zip(self.names, m.groups()):
            if name in kept and kept[name] != value:
                return None
            kept[name] = value
        for name, floor in self.above:
            if int(kept[name]) <= int({**known, **kept}.get(floor, b"0")):
                return None
        return kept


def compile_pattern(step, known):
    """The step's Pattern; with known=None only its form is tried."""
    regex, names, above, at = b"", [], [], 0

    def literal(text):
        return re.escape(percent(text) if step.octets else text.encode("utf-8", "surrogateescape"))

    for m in FIELD.finditer(step.text):
        regex += literal(step.text[at:m.start()])
        at = m.end()
        field = m.group(0)[1:-1]
        keep = re.fullmatch(r"(\w+)=([*n])", field)
        more = re.fullmatch(r"(\w+)>(\w+)", field)
        try:
            if m.group(0) == "{{":
                regex += rb"\{"
            elif field in ("*", "n"):
                regex += b".*?" if field == "*" else rb"\d+"
            elif keep or more:
                names.append((keep or more).group(1))
                regex += b"(.*?)" if keep and keep.group(2) == "*" else rb"(\d+)"
                if more:
                    above.append(more.groups())
            elif field in ACCOUNT:
                regex += re.escape((known or {}).get(field, b""))
            elif field.startswith("$"):
                regex += re.escape(compute(field[1:], known))
            else:
                raise ValueError("{%s} means nothing; a brace is {{" % field)
        except ValueError as e:
            raise Flaw(step.line, str(e)) from None
    rest = step.text[at:]
    if "{" in rest:
        raise Flaw(step.line, "a { without its }; a brace is {{")
    return Pattern(re.compile(regex + literal(rest), re.S), names, above)


def name_of(path):
    return os.path.relpath(os.path.abspath(path), ROOT)[:-len(".txt")]


def find(names):
    """The case files of these names, files or folders; all of them without a name. selftest is played when asked for."""
    out = []
    for name in names or [ROOT]:
        for path in (os.path.join(ROOT, name), os.path.join(ROOT, name) + ".txt", name):
            if os.path.isfile(path):
                out.append(path)
                break
            if os.path.isdir(path):
                out += walk(path, bool(names))
                break
        else:
            raise FileNotFoundError("there is no case or folder " + name)
    return sorted(set(map(os.path.abspath, out)))


def walk(top, named):
    for folder, folders, files in os.walk(top):
        folders[:] = [f for f in folders if f not in ("mail", "__pycache__") and (named or f != "selftest")]
        for name in files:
            if name.endswith(".txt"):
                yield os.path.join(folder, name)
