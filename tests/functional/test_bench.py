"""What of the benchmark's driver shows without the servers it measures: the configurations it writes, the root it makes, its pages."""

import json
import os
import re
import shutil
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
BENCH = os.path.join(HERE, "..", "bench")
sys.path.insert(0, BENCH)

import corpus           # noqa: E402
import page             # noqa: E402
import peer_trixie      # noqa: E402
import trixie           # noqa: E402


class Told:
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)

    def passing(self, text):
        pass


# ---- configurations ----

@pytest.mark.parametrize("kind", [peer_trixie.Dovecot24, peer_trixie.Dovecot24Hibernated])
def test_dovecot_24_is_configured(tmp_path, kind):
    server = kind(str(tmp_path), ("/cert.pem", "/key.pem"), "/root-of-trixie")
    try:
        text = server.configuration()
        words = server.inside(["/usr/sbin/dovecot"])
    finally:
        server.close()
    assert text.count(" {\n") == [line.strip() for line in text.splitlines()].count("}") > 10
    assert all("port = %d\n" % port in text for port in server.ports.values())
    assert "mail_path = %s/mail/%%{user}\n" % server.dir in text
    assert ("imap_hibernate_timeout = 1s\n" in text) == server.hibernates
    assert "mail_compress_write_method = zstd\n" in text and "MALLOC_MMAP_THRESHOLD_ = 33554432\n" in text
    assert words[:2] == ["unshare", "--mount"] and words[-3:] == ["/root-of-trixie", str(tmp_path), "/usr/sbin/dovecot"]


# ---- the root ----

PROGRAMS = "usr/sbin/dovecot", "usr/lib/dovecot/lmtp", "usr/lib/cyrus/bin/master", "usr/lib/cyrus/bin/pop3d"


@pytest.fixture
def tools(tmp_path, monkeypatch):
    """Programs that only look like those that make a root; a test says how each does. Nothing is mounted."""
    where = tmp_path / "bin"
    where.mkdir()

    def put(name, text):
        (where / name).write_text("#!/bin/sh\n" + text + "\n")
        (where / name).chmod(0o755)

    put("unshare", 'shift; exec "$@"')
    put("mount", "exit 0")
    put("debootstrap", 'for last; do [ ! "$last" = trixie ] || { shift; root=$1; }; [ -n "$root" ] || shift; done\n'
        'mkdir -p "$root/usr/sbin" "$root/usr/lib/dovecot" "$root/usr/lib/cyrus/bin"\n'
        'touch %s' % " ".join('"$root/%s"' % p for p in PROGRAMS))
    put("chroot", "exit 0")
    monkeypatch.setenv("PATH", "%s:%s" % (where, os.environ["PATH"]))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    return put


def test_root_is_made_once(tmp_path, tools):
    root = trixie.make(str(tmp_path / "cache"), "mirror", Told())
    assert root == str(tmp_path / "cache" / "root") and os.path.exists(root + "/usr/sbin/dovecot")
    tools("debootstrap", "exit 1")
    assert trixie.make(str(tmp_path / "cache"), "mirror", Told()) == root


@pytest.mark.parametrize("tool, what", [("debootstrap", "debootstrap with Dovecot"), ("chroot", "Cyrus unpacked")])
def test_failed_step_is_told_and_done_again(tmp_path, tools, tool, what):
    good = (tmp_path / "bin" / tool).read_text()
    tools(tool, "echo first; echo E: no such mirror >&2; exit 3")
    with pytest.raises(trixie.NotMade) as told:
        trixie.make(str(tmp_path / "cache"), "mirror", Told())
    assert what in str(told.value) and "E: no such mirror" in str(told.value)
    assert not os.path.exists(tmp_path / "cache" / "root")
    (tmp_path / "bin" / tool).write_text(good)
    assert os.path.isdir(trixie.make(str(tmp_path / "cache"), "mirror", Told()))


def test_root_without_a_server_is_none(tmp_path, tools):
    tools("chroot", 'rm "$1/usr/lib/cyrus/bin/pop3d"')
    with pytest.raises(trixie.NotMade, match="pop3d is not in it"):
        trixie.make(str(tmp_path / "cache"), "mirror", Told())


def test_root_needs_root(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(trixie.NotMade, match="needs root"):
        trixie.make(str(tmp_path / "cache"), "", Told())


# ---- pages ----

def part(text, name):
    return re.search("<!-- begin: %s -->(.*?)<!-- end: %s -->" % (name, name), text, re.S).group(1)


def test_two_tables_of_one_page(tmp_path):
    copy = str(tmp_path / "page.md")
    shutil.copy(page.PAGE, copy)
    with open(os.path.join(page.DATA, "fast.jsonl")) as f:
        rows = [json.loads(line) for line in f]
    page.write(rows, copy)
    with open(copy) as f:
        before = f.read()
    for row in rows:
        if row["what"] == "machine":
            row["peers"] = "Debian GNU/Linux 13 (trixie)"
        if row["what"] == "run" and row["server"] == "dovecot":
            row["figure"] = 4711
    page.write(rows, copy)
    with open(copy) as f:
        after = f.read()
    assert part(after, "make bench") == part(before, "make bench") and "4,711" not in part(after, "make bench")
    assert "4,711" in part(after, "make bench-trixie") and "Debian GNU/Linux 13" in part(after, "make bench-trixie")
    assert after.replace(part(after, "make bench-trixie"), "") == before.replace(part(before, "make bench-trixie"), "")


# ---- real mail ----

def test_corpus(tmp_path):
    top = tmp_path / "mail"
    (top / "below").mkdir(parents=True)
    (top / "a.eml").write_bytes(b"Subject: one\r\n\r\n.dot\r\nbare\n\0end")
    (top / "b.txt").write_bytes(b"From a@example.org Mon Nov 23 10:00:00 2026\nSubject: two\n\nFrom here\n\n"
                                b"From b@example.org Mon Nov 23 10:00:01 2026\nSubject: three\n\nx\n")
    (top / "below" / "c").write_bytes(b"Subject: four\n\nx\n")
    (top / "list.json").write_bytes(b"{}: no mail\n")
    (top / "notes").write_bytes(b"no mail\n")
    into = tmp_path / "into"
    assert corpus.gather(str(top), str(into)) == 4
    assert [p.read_bytes() for p in sorted(into.iterdir())] == [
        b"Subject: one\r\n\r\n.dot\r\nbare\r\nend\r\n", b"Subject: two\r\n\r\nFrom here\r\n",
        b"Subject: three\r\n\r\nx\r\n", b"Subject: four\r\n\r\nx\r\n"]
