"""What the admin's verbs do when they are cut, what they refuse, and what the server's log tells the admin."""

import hashlib
import os
import poplib
import random
import signal
import subprocess
import time

import pytest

from harness import RESTANTECTL, Server, message, send


def fill(s, count, size=20000):
    rnd = random.Random(1)
    lmtp = s.lmtp()
    for i in range(count):
        body = "\r\n".join("%070x" % rnd.getrandbits(280) for _ in range(size // 72))
        send(lmtp, "anna", message(subject="number %d" % i, body=body + "\r\n"))
    lmtp.quit()


def wait_for(condition, seconds, what):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.05)


def under_way(s):
    return " under way " in s.ctl("status")


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGKILL], ids=["ctrl-c", "kill"])
@pytest.mark.parametrize("verb", ["compact", "backup"])
def test_a_tool_that_goes_away_ends_its_verb(verb, sig):
    """At 1 byte a second it would go on for weeks, with hardly a word to say."""
    with Server(users={"anna": "secret"}) as s:
        s.start()
        fill(s, 20)
        words = {"compact": ["compact", "--all", "--recompress", "9", "--rate", "1"],
                 "backup": ["backup", "--rate", "1", s.top + "/copies"]}[verb]
        tool = subprocess.Popen([RESTANTECTL, "-c", s.conf] + words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: under_way(s), 10, "it never began")
        tool.send_signal(sig)
        tool.wait(10)
        wait_for(lambda: not under_way(s), 5, "the verb goes on though nobody waits for it")
        wait_for(lambda: "verb=%s" % verb in s.log(), 5, "nothing in the log")
        line = [x for x in s.log().splitlines() if "ev=control.request" in x and "verb=%s" % verb in x][-1]
        assert 'text="cut: restantectl has gone away"' in line and "exit=1" in line
        assert "sound" in s.ctl("check")


def test_an_end_of_the_server_is_told_as_such():
    with Server(users={"anna": "secret"}) as s:
        s.start()
        fill(s, 5)
        tool = subprocess.Popen([RESTANTECTL, "-c", s.conf, "compact", "--all", "--recompress", "9", "--rate", "1"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(lambda: under_way(s), 10, "it never began")
        s.stop()
        assert tool.wait(10) == 1
        assert 'text="cut: restanted ends"' in s.log()


def test_a_compaction_by_hand_is_in_the_log():
    with Server(users={"anna": "secret"}) as s:
        s.start()
        fill(s, 3)
        s.ctl("compact", "--all", "--dry-run")
        assert "ev=volume.compacted" not in s.log()
        s.ctl("compact", "--all", "--recompress", "9")
        line = [x for x in s.log().splitlines() if "ev=volume.compacted" in x][0]
        assert "volume=v1" in line and "made=1" in line and "end=done" in line


def tree_hash(top):
    """Of names, modes and bytes of all that is below."""
    h = hashlib.sha256()
    for root, dirs, files in os.walk(top):
        dirs.sort()
        for name in sorted(files):
            path = os.path.join(root, name)
            with open(path, "rb") as f:
                h.update(b"%s\0%o\0" % (os.path.relpath(path, top).encode(), os.stat(path).st_mode))
                h.update(hashlib.sha256(f.read()).digest())
    return h.hexdigest()


DRY = [
    ["compact", "--all", "--retention", "0s"],
    ["expunge", "--older-than", "0s", "--mailbox", "INBOX", "anna"],
    ["purge", "--message-id", "<7@example.org>", "--yes"],
    ["undelete", "anna"],
    ["undelete", "--account", "ben"],
    ["restore", "--at", "0s", "anna"],
    ["backup", "DIR/copies"],
    ["export", "--format", "eml", "anna", "DIR/out"],
    ["reindex", "--reparse", "--all"],
]


def test_an_offline_dry_run_leaves_the_volume_as_it_is():
    with Server(users={"anna": "secret", "ben": "secret"}) as s:
        s.start()
        send(s.lmtp(), "anna", message(**{"Message-ID": "<7@example.org>"}))
        fill(s, 5)
        imap = s.imap("anna")
        imap.select("INBOX")
        imap.store("2:3", "+FLAGS", r"(\Deleted)")
        imap.expunge()
        imap.logout()
        s.ctl("user", "delete", "--yes", "ben")
        time.sleep(1.1)         # older than 0s
        s.stop()
        volume = s.dir + "/volumes"
        for words in DRY:
            before = tree_hash(volume)
            out = s.ctl(words[0], "--dry-run", *[w.replace("DIR", s.top) for w in words[1:]])
            assert out.strip(), words
            assert tree_hash(volume) == before, words
        assert "expunged 4 messages" in s.ctl("expunge", "--older-than", "0s", "--mailbox", "INBOX", "anna")
        assert tree_hash(volume) != before


def test_an_offline_dry_run_after_a_kill_tells_what_is_true():
    """The index lacks what the log has: the volume is taken over, as without --dry-run."""
    with Server(users={"anna": "secret"}) as s:
        s.start()
        fill(s, 3)
        time.sleep(1.1)
        s.kill()
        for name in os.listdir(s.dir + "/volumes/v1"):
            if name.startswith("index.db"):
                os.unlink(os.path.join(s.dir, "volumes", "v1", name))
        assert "would expunge 3 messages" in s.ctl("expunge", "--dry-run", "--older-than", "0s", "--mailbox", "INBOX", "anna")


IS = ["Subject: x\n\nbody\n", "From anna Mon Jan  1 10:00:00 2024\nSubject: x\n\nx\n", "X-Odd: 1\r\n\r\nx\r\n",
      "Received: from a\n by b\nSubject: folded\n\nx\n"]
IS_NOT = ["root:x:0:0:root:/root:/bin/bash\ndaemon:x:1:1::/:/bin/sh\n", "#!/bin/sh\nFrom: me\n", "\n\nSubject: late\n",
          "a b: c\nSubject: x\n", "\x7fELF\x02\x01", "hello\n", "Key: value\n\nFrom: in the body\n"]


def test_import_takes_only_what_begins_like_a_message():
    with Server(users={"anna": "secret"}) as s:
        s.start()
        for i, text in enumerate(IS + IS_NOT):
            with open("%s/%02d.txt" % (s.top, i), "w", newline="") as f:
                f.write(text)
        for i in range(len(IS)):
            s.ctl("import", "--format", "eml", "--mailbox", "INBOX", "anna", "%s/%02d.txt" % (s.top, i))
        for i in range(len(IS), len(IS + IS_NOT)):
            path = "%s/%02d.txt" % (s.top, i)
            code, out, err = s.ctl_raw(["-c", s.conf, "import", "anna", path], expect=1)
            assert path + ": it does not begin like a message" in err and "--force" in err, (i, err)
            assert "0 messages imported" in out and "1 not taken" in out
        assert s.ctl_raw(["-c", s.conf, "import", "anna", "/etc/passwd"], expect=1)[2].count("/etc/passwd") == 1
        s.ctl("import", "--force", "--mailbox", "INBOX", "anna", "%s/%02d.txt" % (s.top, len(IS)))
        imap = s.imap("anna")
        assert int(imap.select("INBOX")[1][0]) == len(IS) + 1


def refused(s, *words):
    return s.ctl_raw(["-c", s.conf] + list(words), expect=1)[2]


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_no_backup_into_a_volume(online):
    with Server(users={"anna": "secret"}) as s:
        if online:
            s.start()
        volume = s.dir + "/volumes/v1"
        os.symlink(volume, s.top + "/link")
        for place in (volume + "/log", volume + "/bodies", volume + "/copies", volume + "/log/copies/", s.top + "/link/new"):
            assert "lies in the volume " + volume in refused(s, "backup", place), place
            assert "lies in the volume " + volume in refused(s, "backup", "--dry-run", place), place
        assert "is a volume" in refused(s, "backup", volume)
        err = refused(s, "backup", s.dir + "/volumes")
        assert volume + " is in use" in err or volume + " is a volume of its own" in err
        s.ctl("backup", s.top + "/copies")
        assert "lies in the volume" in refused(s, "backup", s.top + "/copies/v1/more")
        assert sorted(os.listdir(s.top + "/copies/v1")) == sorted(set(os.listdir(volume)) & {"head", "log", "bodies"})
        s.ctl("backup", s.top + "/copies")


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_a_backup_that_the_servers_user_may_not_write(online):
    with Server(users={"anna": "secret"}, user="nobody") as s:
        if online:
            s.start()
        for place in ("/copies", "/root-only"):
            if place == "/root-only":
                os.mkdir(s.top + place, 0o755)
            err = refused(s, "backup", s.top + place)
            own, then = s.top + place, ""
            if place == "/root-only":       # what is there may hold other things
                own += "/restante"
                then = ", and back up to " + own
            assert "the user nobody" in err and "mkdir -p %s && chown nobody %s%s\n" % (own, own, then) in err, err
        os.mkdir(s.top + "/closed", 0o700)
        assert "nobody, who may not pass %s/closed:" % s.top in refused(s, "backup", s.top + "/closed/copies")
        subprocess.run("mkdir -p %s/copies && chown nobody %s/copies" % (s.top, s.top), shell=True, check=True)
        assert "copied" in s.ctl("backup", s.top + "/copies")


def test_an_export_leaves_out_what_is_lost():
    """A file that is missing costs its message, and not those behind it."""
    with Server(users={"anna": "secret"}) as s:
        s.start()
        s.deliver("anna", message("first"))
        s.deliver("anna", message("large", size=3 << 20))
        s.deliver("anna", message("last"))
        s.stop()
        bodies = [os.path.join(at, name) for at, _, names in os.walk(s.dir + "/volumes") for name in names
                  if name.startswith("b-")]
        assert len(bodies) == 1
        os.unlink(bodies[0])
        s.start()
        out, err = s.ctl_raw(["-c", s.conf, "export", "--format", "eml", "anna", s.top + "/out"], expect=3)[1:]
        assert "INBOX UID 2: " in err and "2 messages" in out
        assert sorted(x for x in os.listdir(s.top + "/out/INBOX") if x.endswith(".eml")) == ["1.eml", "3.eml"]
        assert "UID 2: " in s.ctl_raw(["-c", s.conf, "lint", "--mailbox", "INBOX", "anna"], expect=3)[2]


def test_an_export_of_some_messages_keeps_their_unique_ids():
    """More unique-ids than a page holds lie between the two."""
    with Server(users={"anna": "secret", "ben": "secret"}) as s:
        s.start()
        os.makedirs(s.top + "/md/cur")
        os.makedirs(s.top + "/md/new")
        with open(s.top + "/md/dovecot-uidlist", "w") as f:
            f.write("3 V1234 N500\n")
            for i in range(1, 402):
                f.write("%d Puidl-%d :m%d\n" % (i, i, i))
                with open("%s/md/cur/m%d:2," % (s.top, i), "w") as m:
                    m.write("Subject: %d\n\nx\n" % i)
        s.ctl("import", "--keep-uids", "--keep-uidl", "anna", s.top + "/md")
        s.ctl("export", "--format", "eml", "--mailbox", "INBOX", "--uid", "1,401", "anna", s.top + "/out")
        with open(s.top + "/out/restante-messages") as f:
            text = f.read()
        assert "uidl-1\t" in text and "uidl-401\t" in text, text


def test_check_tells_threads_by_their_number():
    """Lost messages take rows of threads along, which say nothing to anybody and have no UIDs."""
    with Server(users={"anna": "secret"}) as s:
        s.start()
        for i in range(6):
            s.deliver("anna", message(subject="marked %d" % i, **{"Message-ID": "<%d@example.org>" % i,
                                                                  "References": "<%d@example.org>" % (i - 1)}))
        s.stop()
        log = s.dir + "/volumes/v1/log"
        for name in os.listdir(log):
            with open(os.path.join(log, name), "r+b") as f:
                data = bytearray(f.read())
                frames = [i for i in range(len(data)) if data[i:i + 4] == b"RFR1"]
                for at in frames[-8:-4]:
                    data[at + 60] ^= 1
                f.seek(0)
                f.write(data)
        out = s.ctl("check", expect=3)
        threads = [line for line in out.splitlines() if ": thread" in line]
        assert len(threads) == 1 and "rows of index and log differ" in threads[0], out
        assert ": message" in out, out


def test_a_damaged_message_that_is_asked_for_is_told():
    """Whom it hurts and where it lies; not more than ten lines a minute, as clients ask again and again."""
    with Server(users={"anna": "secret"}) as s:
        s.start()
        for i in range(20):
            s.deliver("anna", message(subject="marked %d" % i, size=3000))
        log = s.dir + "/volumes/v1/log"
        name = os.listdir(log)[0]
        with open(os.path.join(log, name), "r+b") as f:
            data = bytearray(f.read())
            large = [i for i in range(len(data)) if data[i:i + 4] == b"RFR1" and
                     1000 < int.from_bytes(data[i + 4:i + 8], "little") < 5000]
            assert len(large) == 20
            for at in large[4:]:
                data[at + 700] ^= 1
            f.seek(0)
            f.write(data)
        imap = s.imap("anna")
        imap.select("INBOX")
        status, text = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")
        assert status == "NO" and b"[CORRUPTION]" in text[-1]
        lines = [x for x in s.log().splitlines() if "ev=imap.fetch.damaged" in x]
        assert len(lines) == 10
        for word in ("level=error", "user=anna", "volume=v1", "mailbox=INBOX", "uid=5 ", "file=" + name, "offset="):
            assert word in lines[0], lines[0]
        with s.raw("pop3") as c:
            for line in ("", "USER anna", "PASS secret", "RETR 5"):
                if line:
                    c.send(line + "\r\n")
                answer = c.line()
            assert answer.startswith(b"-ERR [SYS/PERM]")
        assert "pop3.retr.damaged" not in s.log(), "ten lines for all"


def test_a_damaged_message_is_told_of_pop3():
    with Server(users={"anna": "secret"}) as s:
        s.start()
        s.deliver("anna", message(size=3000))
        log = s.dir + "/volumes/v1/log"
        name = os.listdir(log)[0]
        with open(os.path.join(log, name), "r+b") as f:
            data = f.read().rstrip(b"\0")
            f.seek(data.rfind(b"RFR1", 0, len(data) - 1000) + 700)
            f.write(b"\xff\xfe\xfd")
        pop = s.pop("anna")
        with pytest.raises(poplib.error_proto):
            pop.retr(1)
        line = [x for x in s.log().splitlines() if "ev=pop3.retr.damaged" in x][0]
        for word in ("user=anna", "volume=v1", "mailbox=INBOX", "uid=1 ", "file=" + name):
            assert word in line, line
