"""The runbook is executed: for every heading of doc/runbook.md the situation is made, and its blocks are run in order.

- ```sh is run by `sh -e` as it stands, with the variables that the page's introduction names. A comment
  `# exit status N` in it says how it ends, else it must end with 0.
- ```text behind it: these lines come in its output, in this order; `...` stands for anything.
- ```text log: these lines are in the server's log by then.  ```text answer: a client was told this.
- ```sh new runs on the new machine: the variables name its places.

systemctl and journalctl are stand-ins that run the built restanted. A heading without a situation here fails, and so
does a situation whose heading is gone.
"""

import base64
import glob
import os
import re
import shutil
import signal
import stat
import subprocess
import time

import pytest

import harness
from harness import free_base_port, message, Server

PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "doc", "runbook.md")

SYSTEMCTL = r"""#!/bin/sh
# systemctl VERB restante, as far as the runbook uses it.
alive() { [ -s "$RUN/pid" ] && grep -qs '^State:.[^ZX]' "/proc/$(cat "$RUN/pid")/status"; }
case $1 in
start)
	alive && exit 0
	was=$(grep -c ev=server.ready "$RUN/journal")
	setsid restanted -c "$CONF" </dev/null >/dev/null 2>>"$RUN/journal" &
	echo $! >"$RUN/pid"
	while alive; do
		[ "$(grep -c ev=server.ready "$RUN/journal")" -gt "$was" ] && exit 0
		sleep 0.05
	done
	echo "Job for restante.service failed because the control process exited with error code." >&2
	exit 1
	;;
stop)
	alive && kill "$(cat "$RUN/pid")"
	while alive; do sleep 0.05; done
	;;
restart)
	"$0" stop restante
	exec "$0" start restante
	;;
reload)
	kill -HUP "$(cat "$RUN/pid")"
	;;
esac
"""
JOURNALCTL = r"""#!/bin/sh
# journalctl -u restante -n N
tail -n "${4:-100}" "$RUN/journal"
"""


def siphash(data):
    """SipHash-2-4 without a key, as a slot of the head is summed."""
    mask = (1 << 64) - 1
    v = [0x736f6d6570736575, 0x646f72616e646f6d, 0x6c7967656e657261, 0x7465646279746573]

    def turn(x, n):
        return (x << n | x >> (64 - n)) & mask

    def rounds(n):
        for _ in range(n):
            v[0], v[2] = (v[0] + v[1]) & mask, (v[2] + v[3]) & mask
            v[1], v[3] = turn(v[1], 13) ^ v[0], turn(v[3], 16) ^ v[2]
            v[0], v[2] = (turn(v[0], 32) + v[3]) & mask, (v[2] + v[1]) & mask
            v[1], v[3] = turn(v[1], 17) ^ v[2], turn(v[3], 21) ^ v[0]
            v[2] = turn(v[2], 32)

    data += bytes(7 - len(data) % 8) + bytes([len(data) % 256])
    for at in range(0, len(data), 8):
        word = int.from_bytes(data[at:at + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xff
    rounds(4)
    return (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")


class Site(Server):
    """A server as an admin has it: a unit, a journal, a backup of last night where the situation wants one."""

    def __init__(self):
        super().__init__({})
        self.run_dir = os.path.join(self.top, "run")
        bin_dir = os.path.join(self.top, "bin")
        os.mkdir(self.run_dir)
        os.mkdir(bin_dir)
        self.log_path = os.path.join(self.run_dir, "journal")
        open(self.log_path, "w").close()
        for name, text in (("systemctl", SYSTEMCTL), ("journalctl", JOURNALCTL)):
            path = os.path.join(bin_dir, name)
            with open(path, "w") as f:
                f.write(text)
            os.chmod(path, os.stat(path).st_mode | stat.S_IXUSR)
        self.vol = os.path.join(self.dir, "volumes", "v1")
        self.backup = os.path.join(self.top, "backup")
        self.new = os.path.join(self.top, "new-machine")
        self.env = dict(os.environ, PATH="%s:%s:%s" % (bin_dir, os.path.abspath(harness.BUILD), os.environ["PATH"]),
                        RUN=self.run_dir, SITE=self.dir, CONF=self.conf, VOL=self.vol, BACKUP=self.backup,
                        NEW=self.new, LC_ALL="C.UTF-8")
        self.seen = []
        self.mount = None

    def sh(self, text, extra=None):
        r = subprocess.run(["sh", "-e", "-c", text], env=dict(self.env, **(extra or {})), cwd=self.top,
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=harness.PATIENCE_S * 3)
        return r.returncode, r.stdout.decode("utf-8", "replace")

    def must(self, text):
        code, out = self.sh(text)
        assert code == 0, "%s\n%s\n%s" % (text, out, self.log())

    def start(self, env=None):
        self.must("systemctl start restante")
        return self

    def stop(self):
        self.must("systemctl stop restante")
        self.check_log()

    def close(self):
        try:
            self.stop()
        finally:
            if self.mount:
                subprocess.run(self.mount[0] + ["umount", self.mount[1]], check=False)
            shutil.rmtree(self.top, ignore_errors=True)

    def answer(self, c, *commands):
        """What a client is told, kept for the page's answers."""
        for command in commands:
            c.send("a " + command + "\r\n")
            self.seen += [l.decode("utf-8", "replace") for l in c.imap_until(b"a")]

    def session(self, user="anna"):
        c = self.raw("imap")
        c.line()
        c.cmd("LOGIN %s %s" % (user, self.users[user]))
        return c


def populate(site):
    """anna and boris with some mail, and a backup of it; the server runs."""
    site.start()
    for name in ("anna", "boris"):
        site.add_user(name, name + "-secret")
    for i in range(3):
        site.deliver(["anna", "boris"][:1 + i % 2], message("number %d" % i, size=6000,
                                                           Message_ID="<m%d@example.org>" % i))
    with site.imap("anna") as c:
        c.create("Projects")
        for i in range(2):
            c.append("Projects", "(\\Seen)", None, message("plan", size=3000, Message_ID="<p%d@example.org>" % i).encode())
    site.ctl("backup", site.backup)


def remove_index(site):
    site.stop()
    for path in glob.glob(os.path.join(site.vol, "index.db*")):
        os.unlink(path)


def damage_index(site):
    site.stop()
    with open(os.path.join(site.vol, "index.db"), "r+b") as f:
        f.seek(8192)
        f.write(b"\xff" * 20000)
    site.start()
    with site.session() as c:
        c.cmd("SELECT INBOX")


def damage_segment(site):
    """A bit of anna's message, in the largest segment, which the backup has."""
    site.stop()
    path = max(glob.glob(os.path.join(site.backup, "v1", "log", "s-*")), key=os.path.getsize)
    at = os.path.getsize(path) // 2
    with open(os.path.join(site.vol, "log", os.path.basename(path)), "r+b") as f:
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 4]))
    site.start()
    with site.session() as c:
        c.cmd("SELECT INBOX")
        site.answer(c, *["FETCH %d BODY.PEEK[]" % n for n in (1, 2, 3)], "SELECT Projects",
                    *["FETCH %d BODY.PEEK[]" % n for n in (1, 2)])
    named = re.search(r"(?m)^v1: (\S+) offset ", site.sh("restantectl -c $CONF check")[1])
    site.env["SEGMENT"] = named.group(1)    # as who reads it would type it


def damage_head(site):
    site.stop()
    with open(os.path.join(site.vol, "head"), "r+b") as f:
        for at in (100, 524288 + 100):
            f.seek(at)
            f.write(b"\xff" * 64)


def delete_folder(site):
    with site.imap("anna") as c:
        c.delete("Projects")


def delete_messages(site):
    with site.imap("anna") as c:
        c.select("INBOX")
        c.uid("STORE", "2", "+FLAGS", "(\\Deleted)")
        c.expunge()
    site.ctl("user", "delete", "--yes", "boris")


def lose_a_message(site):
    with site.imap("anna") as c:
        c.select("INBOX")
        c.uid("STORE", "2", "+FLAGS", "(\\Seen)")
        c.uid("MOVE", "2", "Trash")
        c.select("Trash")
        c.uid("STORE", "1", "+FLAGS", "(\\Deleted)")
        c.expunge()


def a_new_machine(site):
    """What init made there, to be replaced: its own certificate and ports, an empty volume."""
    os.mkdir(site.new)


def disk_dies(site):
    site.deliver("anna", message("after the backup"))
    site.stop()
    with open(os.path.join(site.vol, "head"), "r+b") as f:
        f.write(bytes(1 << 20))


def offensive_mail(site):
    site.deliver(["anna", "boris"], message("for nobody", Message_ID="<leak@example.org>"))
    with site.imap("anna") as c:
        c.select("INBOX")
        c.copy("4", "Projects")


def expunge_much(site):
    with site.session() as c:
        for i in range(5):
            site.deliver("anna", message("large %d" % i) + base64.encodebytes(os.urandom(200000)).decode())
        c.cmd("SELECT INBOX")
        c.cmd("STORE 4:* +FLAGS.SILENT (\\Deleted)")
        c.cmd("EXPUNGE")


def second_disk(site):
    site.env["DISK2"] = os.path.join(site.top, "disk2")
    os.mkdir(site.env["DISK2"])


def unmounted_disk(site):
    second_disk(site)
    site.stop()
    disk = site.env["DISK2"]
    with open(site.conf, "a") as f:
        f.write("\n[volume v2]\npath = %s/v2\n" % disk)
    site.ctl("volume", "create", "v2")
    os.rename(disk, disk + ".off")
    os.mkdir(disk)
    mount = os.path.join(site.env["PATH"].split(":")[0], "mount")
    with open(mount, "w") as f:
        f.write('#!/bin/sh\nrmdir "$1" && mv "$1.off" "$1"\n')
    os.chmod(mount, 0o755)
    site.start()


def misspell(site):
    site.stop()
    with open(site.conf) as f:
        text = f.read()
    with open(site.conf, "w") as f:
        f.write(text.replace("[server]\n", "[server]\nlog_levle = debug\n", 1))


def crash(site):
    """By SIGKILL under a sanitizer, which catches SIGSEGV."""
    with open(os.path.join(site.run_dir, "pid")) as f:
        pid = f.read().strip()
    with open("/proc/%s/maps" % pid) as f:
        maps = f.read()
    sig = signal.SIGKILL if re.search("lib[at]san|valgrind", maps) else signal.SIGSEGV
    with open("/proc/%s/task/%s/children" % (pid, pid)) as f:
        os.kill(int(f.read().split()[0]), sig)
    deadline = time.monotonic() + harness.PATIENCE_S
    while "ev=server.restarted" not in site.log():
        assert time.monotonic() < deadline, site.log()
        time.sleep(0.05)


def fill_quota(site):
    site.ctl("quota", "set", "anna", "10K")
    with site.raw("lmtp") as c:
        c.reply()
        for line in ("LHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<anna@example.org>"):
            c.send(line + "\r\n")
            site.seen.append(c.reply().decode())


def a_maildir(site):
    site.env["MAILDIR"] = os.path.join(site.top, "Maildir")
    for sub in ("", "cur", "new", "tmp"):
        os.mkdir(os.path.join(site.env["MAILDIR"], sub))
    with open(os.path.join(site.env["MAILDIR"], "cur", "1.2.host:2,S"), "w") as f:
        f.write(message("from elsewhere"))


def newer_format(site):
    """What this version says of a volume that a later one made."""
    copy = os.path.join(site.top, "later")
    shutil.copytree(os.path.join(site.backup, "v1"), copy)
    with open(os.path.join(copy, "head"), "r+b") as f:
        for at in (0, 524288):
            f.seek(at)
            slot = bytearray(f.read(524288))
            used = int.from_bytes(slot[8:12], "little")
            slot[7:8] = b"2"
            slot[used - 8:used] = siphash(bytes(slot[:used - 8]))
            f.seek(at)
            f.write(slot)
    site.seen += site.sh("restantectl verify %s || true" % copy)[1].splitlines()


def fill_disk(site):
    """The volume goes onto a tmpfs of 24 MiB, where somebody left a large file; and mail comes."""
    mount = os.path.join(site.top, "disk")
    os.mkdir(mount)
    sudo = [] if os.geteuid() == 0 else ["sudo", "-n"]
    r = subprocess.run(sudo + ["mount", "-t", "tmpfs", "-o", "size=24m,mode=1777", "tmpfs", mount], capture_output=True)
    if r.returncode != 0:
        pytest.skip("mounting a tmpfs needs root or sudo: " + r.stderr.decode().strip())
    site.mount = (sudo, mount)
    site.stop()
    vol = os.path.join(mount, "v1")
    subprocess.run(["cp", "-a", site.vol, vol], check=True)
    os.unlink(os.path.join(vol, "reserve"))
    with open(site.conf) as f:
        text = f.read()
    with open(site.conf, "w") as f:
        f.write(re.sub(r"(?m)^path\s*=.*v1$", "path = " + vol, text))
    site.vol = site.env["VOL"] = vol
    site.env["DISK"] = mount
    site.start()
    with open(os.path.join(mount, "core.4711"), "wb", buffering=0) as f:
        try:
            for size in (65536, 4096, 1):
                while f.write(bytes(size)):
                    pass
        except OSError:
            pass
    with site.raw("lmtp") as c:
        c.reply()
        for line in ("LHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<anna>", "DATA",
                     message("x") + base64.encodebytes(os.urandom(300000)).decode().replace("\n", "\r\n") + "."):
            c.send(line + "\r\n")
            site.seen.append(c.reply().decode())
    with site.session() as c:
        data = message("x", size=300000)
        site.answer(c, "APPEND INBOX {%d+}\r\n%s" % (len(data), data))


def taken_over(site):
    site.ctl("user", "app-password", "add", "anna", "phone")
    site.thief = site.session()
    site.thief.cmd("SELECT INBOX")


def thief_is_out(site):
    assert site.thief.line().startswith(b"* BYE ") and site.thief.at_eof()
    site.thief.close()
    for password, answer in (("anna-secret", b"NO"), ("\"correct horse battery staple\"", b"OK")):
        with site.raw("imap") as c:
            c.line()
            c.cmd("LOGIN anna " + password, answer)


# What must be true behind a part's commands, besides what they said.
AFTER = {
    "Somebody else knows a user's password": thief_is_out,
}
SITUATIONS = {
    "The index is gone": remove_index,
    "The index is damaged": damage_index,
    "The disk is full": fill_disk,
    "A segment is damaged": damage_segment,
    "The head is damaged": damage_head,
    "A user deleted a folder last Tuesday": delete_folder,
    "A user deleted a message, or an account was deleted": delete_messages,
    "What happened to this message?": lose_a_message,
    "Move to a new machine": a_new_machine,
    "Backup every night, and its test": lambda site: shutil.rmtree(site.backup),
    "Put back a whole volume": disk_dies,
    "Remove a message from everybody": offensive_mail,
    "The space does not come back": expunge_much,
    "Move an account to another disk, retire a disk": second_disk,
    "The server does not start": misspell,
    "One volume cannot be opened": unmounted_disk,
    "The server crashes": crash,
    "Somebody guesses passwords": lambda site: None,
    "Somebody else knows a user's password": taken_over,
    "Mail is refused": fill_quota,
    "A certificate runs out, or is renewed": lambda site: None,
    "Import from another server": a_maildir,
    "Upgrade, and going back": newer_format,
}


def parts():
    """{heading: [(info, text)]}, in order."""
    with open(PAGE) as f:
        page = f.read()
    out = {}
    for part in re.split(r"(?m)^## ", page)[1:]:
        heading, _, rest = part.partition("\n")
        out[heading.strip()] = [(m.group(1).strip(), m.group(2)) for m in re.finditer(r"(?ms)^```([^\n]*)\n(.*?)^```$", rest)]
    return out


def matches(pattern, line):
    return re.search(r"^\s*" + ".*".join(re.escape(p) for p in pattern.strip().split("...")) + r"\s*$", line)


def in_order(wanted, lines):
    """The first wanted line that does not come, or None."""
    lines = iter(lines)
    for w in wanted:
        if w.strip() != "..." and not any(matches(w, l) for l in lines):
            return w
    return None


def run_part(site, blocks):
    out, new = "", {}
    for info, text in blocks:
        if info.split()[:1] == ["sh"]:
            # The page names ports of its own for a second site.
            text = re.sub(r"--base-port \d+", "--base-port %d" % free_base_port(), text)
            if info == "sh new":
                new = {"CONF": os.path.join(site.new, "restante.conf"), "VOL": os.path.join(site.new, "volumes", "v1")}
            status = re.search(r"# exit status (\d+)", text)
            code, out = site.sh(text, new if info == "sh new" else None)
            assert code == int(status.group(1) if status else 0), "%s\n%sexit %d\n%s" % (text, out, code, site.log())
            continue
        if info == "ini":               # files of other programs
            continue
        have = {"text": out.splitlines(), "text log": site.log().splitlines(), "text answer": site.seen}[info]
        missing = in_order(text.splitlines(), have)
        assert missing is None, "not there: %s\nof:\n%s" % (missing, "\n".join(have))


def test_every_heading_has_a_situation():
    assert list(parts()) == list(SITUATIONS)


@pytest.mark.parametrize("heading", list(SITUATIONS))
def test_runbook(heading):
    blocks = parts()[heading]
    assert any(info.startswith("sh") for info, _ in blocks), "nothing to run"
    with Site() as site:
        populate(site)
        SITUATIONS[heading](site)
        run_part(site, blocks)
        AFTER.get(heading, lambda site: None)(site)
