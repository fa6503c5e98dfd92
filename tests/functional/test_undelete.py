"""undelete, restore and history, with mail clients that see what comes back."""

import glob
import json
import os
import re
import shutil
import subprocess
import time

import pytest

import harness
from harness import RESTANTECTL, Server, message, wrap


def fetch_all(imap, mailbox="INBOX"):
    """{uid: (flags, bytes)}, without \\Recent: what comes back is new."""
    return {uid: ([f for f in flags if f != b"\\Recent"], body)
            for uid, (flags, body) in harness.fetch_all(imap, mailbox).items()}


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def subjects(imap, mailbox="INBOX"):
    quoted = '"%s"' % mailbox
    return sorted(re.search(rb"Subject: ([^\r]*)", body).group(1).decode()
                  for _, body in fetch_all(imap, quoted).values())


def deliver(s, user, *names, **headers):
    with s.lmtp() as c:
        for name in names:
            c.sendmail("sender@example.org", [user], message(name, **headers))


def expunge(imap, uids, mailbox="INBOX"):
    imap.select('"%s"' % mailbox)
    assert imap.uid("STORE", uids, "+FLAGS.SILENT", "(\\Deleted)")[0] == "OK"
    assert imap.expunge()[0] == "OK"


def now():
    """A moment with something before and something behind it."""
    time.sleep(0.02)
    t = time.time()
    time.sleep(0.02)
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(t)) + ".%06d" % (t % 1 * 1e6)


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_messages_come_back(server, online):
    s = server
    deliver(s, "anna", "one", "two", "three")
    with s.imap("anna") as c:
        c.select()
        c.store("1:2", "+FLAGS", "(\\Flagged $Label1)")
        before = fetch_all(c)
        expunge(c, "1:2")
    if not online:
        s.stop()
    told = s.ctl("undelete", "--dry-run", "anna")
    assert "INBOX: 2 messages would come back" in told and "nothing was changed" in told
    assert "INBOX: 2 messages are back" in s.ctl("undelete", "anna")
    again = lines(s.ctl("undelete", "--json", "anna"))
    assert again[0]["restored"] == 0 and again[0]["present"] == 2
    if not online:
        s.start()
    with s.imap("anna") as c:
        after = fetch_all(c)
    assert sorted(after) == [3, 4, 5]
    assert after[4] == before[1] and after[5] == before[2]      # \Deleted is not among the flags any more
    assert b"$Label1" in after[4][0]


def test_sessions_see_it_at_once(server):
    s = server
    deliver(s, "anna", "one", "two")
    with s.imap("anna") as c, s.raw("imap") as idle:
        idle.line()
        idle.cmd("LOGIN anna anna-secret")
        expunge(c, "1")
        idle.cmd("SELECT INBOX")
        idle.send("i IDLE\r\n")
        assert idle.line().startswith(b"+")
        s.ctl("undelete", "anna")
        assert idle.line() == b"* 2 EXISTS"
        idle.send("DONE\r\n")


def test_one_message(server):
    s = server
    deliver(s, "anna", "one", Message_ID="<the-one@example.org>")
    deliver(s, "anna", "two", "three")
    with s.imap("anna") as c:
        expunge(c, "1:3")
        s.ctl("undelete", "--message-id", "the-one@example.org", "anna")
        assert subjects(c) == ["one"]
        s.ctl("undelete", "--mailbox", "INBOX", "--uid", "3", "--into", "Found/here", "anna")
        assert subjects(c, "Found/here") == ["three"]
        assert b"Found/here" in b" ".join(c.lsub()[1])
        err = s.ctl_raw(["-c", s.conf, "undelete", "--message-id", "<none@example.org>", "anna"], expect=1)[2]
        assert "there is no message <none@example.org> that was deleted since" in err
        assert "the log remembers since 20" in err


def test_since(server):
    s = server
    deliver(s, "anna", "one", "two")
    with s.imap("anna") as c:
        expunge(c, "1")
        t = now()
        expunge(c, "2")
        s.ctl("undelete", "--since", t, "anna")
        assert subjects(c) == ["two"]
        assert "0 messages in all" in s.ctl("undelete", "--since", "0s", "anna")
        s.ctl("undelete", "--since", "1d", "anna")
        assert subjects(c) == ["one", "two"]


def test_moved_is_not_deleted(server):
    s = server
    deliver(s, "anna", "one", "two")
    with s.imap("anna") as c:
        c.select()
        assert c._simple_command("UID", "MOVE", "1", "Archive")[0] == "OK"
        assert c._simple_command("UID", "MOVE", "2", "Trash")[0] == "OK"
        expunge(c, "1", "Trash")
        told = s.ctl("undelete", "anna")
        assert "INBOX: 0 messages are back, 2 moved elsewhere" in told and "Trash: 1 message is back" in told
        assert subjects(c) == [] and subjects(c, "Trash") == ["two"] and subjects(c, "Archive") == ["one"]
        s.ctl("undelete", "--moved", "--mailbox", "INBOX", "anna")
        assert subjects(c) == ["one", "two"]


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_deleted_mailbox(server, online):
    s = server
    with s.imap("anna") as c:
        c.create("Work/Old")
        c.subscribe("Work/Old")
        for name in ("a", "b", "c"):
            c.append("Work/Old", "(\\Seen)" if name == "a" else "()", None, message(name).encode())
        c.select("Work/Old")
        expunge(c, "3", "Work/Old")
        old = re.search(rb"UIDVALIDITY (\d+)", c.status("Work/Old", "(UIDVALIDITY)")[1][0]).group(1)
        c.select("INBOX")
        assert c.delete("Work/Old")[0] == "OK"
        hint = s.ctl("undelete", "anna")
        assert "1 deleted mailbox with messages was left out" in hint
    if not online:
        s.stop()
    assert "Work/Old (deleted at 20" in s.ctl("undelete", "--mailbox", "Work/Old", "anna")
    err = s.ctl_raw(["-c", s.conf, "undelete", "--mailbox", "Nowhere", "anna"], expect=1)[2]
    assert 'there is no mailbox "Nowhere", and none of this name was deleted since' in err
    if not online:
        s.start()
    with s.imap("anna") as c:
        got = fetch_all(c, "Work/Old")
        assert sorted(flags for flags, _ in got.values()) == sorted([[b"\\Seen"], []]) or len(got) == 2
        assert subjects(c, "Work/Old") == ["a", "b"]
        new = re.search(rb"UIDVALIDITY (\d+)", c.status("Work/Old", "(UIDVALIDITY)")[1][0]).group(1)
        assert int(new) > int(old)
        assert b"Work/Old" in b" ".join(c.lsub()[1])


def test_mailbox_made_anew_meanwhile(server):
    s = server
    with s.imap("anna") as c:
        c.create("Work")
        c.append("Work", None, None, message("old").encode())
        c.delete("Work")
        c.create("Work")
        c.append("Work", None, None, message("new").encode())
        s.ctl("undelete", "--mailbox", "Work", "anna")
        assert subjects(c, "Work") == ["new", "old"]
        s.ctl("undelete", "--mailbox", "Work", "anna")
        assert subjects(c, "Work") == ["new", "old"]


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_account(server, online):
    s = server
    s.ctl("quota", "set", "--messages", "2", "anna", "5M")
    deliver(s, "anna", "one", "two")
    with s.imap("anna") as c:
        c.create("Work")
        c.subscribe("Work")
        c.unsubscribe("Junk")
        c.select()
        assert c._simple_command("UID", "MOVE", "1", "Work")[0] == "OK"
    s.ctl("user", "delete", "--yes", "anna")
    if not online:
        s.stop()
    err = s.ctl_raw(["-c", s.conf, "undelete", "anna"], expect=1)[2]
    assert "it was deleted at" in err and "undelete --account anna" in err
    assert "2 messages in all; nothing was changed" in s.ctl("undelete", "--account", "--dry-run", "anna")
    told = lines(s.ctl("undelete", "--account", "--json", "anna"))
    assert {t["mailbox"]: t["restored"] for t in told}["Work"] == 1
    assert "0 messages in all" in s.ctl("undelete", "--account", "anna")          # a second time changes nothing
    if not online:
        s.start()
    with s.imap("anna", "anna-secret") as c:
        assert subjects(c) == ["two"] and subjects(c, "Work") == ["one"]
        subscribed = b" ".join(c.lsub()[1])
        assert b"Work" in subscribed and b"Junk" not in subscribed
    row = json.loads(s.ctl("user", "show", "--json", "anna"))
    assert row["quota"] == 5 << 20 and row["quota_messages"] == 2 and row["messages"] == 2


def test_account_made_anew_meanwhile(server):
    s = server
    deliver(s, "anna", "old")
    s.ctl("user", "delete", "--yes", "anna")
    s.ctl("user", "add", "anna", stdin="other\n")
    deliver(s, "anna", "new")
    err = s.ctl_raw(["-c", s.conf, "undelete", "--account", "anna"], expect=1)[2]
    assert "there is an account of this name" in err and "--merge" in err
    s.ctl("undelete", "--account", "--merge", "anna")
    with s.imap("anna", "other") as c:
        assert subjects(c) == ["new", "old"]
    s.ctl_raw(["-c", s.conf, "undelete", "--account", "nobody"], expect=1)


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_restore_at(server, online):
    s = server
    deliver(s, "anna", "one", "two")
    with s.imap("anna") as c:
        c.create("Work")
        c.append("Work", "(\\Flagged)", None, message("w").encode())
        t = now()
        c.select()
        c.store("1", "+FLAGS", "\\Seen")
        expunge(c, "2")
        c.delete("Work")
        c.create("Later")
    if not online:
        s.stop()
    told = s.ctl("restore", "--at", t, "anna")
    folder = re.search(r"INBOX into (Restored .*)/INBOX: 2", told).group(1)
    assert folder == "Restored " + t[:19]
    assert "3 messages in all" in told and "Later" not in told
    assert "0 messages in all" in s.ctl("restore", "--at", t, "anna")
    s.ctl("restore", "--at", t, "--mailbox", "Work", "--into", "Work", "anna")
    for bad, text in (("2035-01-01", "yet to come"), ("2001-01-01", "the log remembers since 20")):
        assert text in s.ctl_raw(["-c", s.conf, "restore", "--at", bad, "anna"], expect=1)[2]
    assert "is no time" in s.ctl_raw(["-c", s.conf, "restore", "--at", "tuesday", "anna"], expect=2)[2]
    assert "--at says" in s.ctl_raw(["-c", s.conf, "restore", "anna"], expect=2)[2]
    if not online:
        s.start()
    with s.imap("anna") as c:
        assert subjects(c, folder + "/INBOX") == ["one", "two"]
        assert [f for f, _ in fetch_all(c, '"%s/INBOX"' % folder).values()] == [[], []]
        assert [f for f, _ in fetch_all(c, '"%s/Work"' % folder).values()] == [[b"\\Flagged"]]
        assert [f for f, _ in fetch_all(c, "Work").values()] == [[b"\\Flagged"]]
        assert subjects(c) == ["one"]


def test_restore_over_quota(server):
    s = server
    deliver(s, "anna", "one", "two")
    with s.imap("anna") as c:
        expunge(c, "1:2")
    s.ctl("quota", "set", "anna", "1")
    s.ctl("undelete", "anna")
    assert json.loads(s.ctl("user", "show", "--json", "anna"))["messages"] == 2


def copy_volume(s, to):
    """What a backup is: head and log, nothing else."""
    src = os.path.join(s.dir, "volumes", "v1")
    os.makedirs(to)
    shutil.copy(os.path.join(src, "head"), to)
    shutil.copytree(os.path.join(src, "log"), os.path.join(to, "log"))
    subprocess.run(["chmod", "-R", "a+rX", to], check=True)


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_restore_from_backup(server, online):
    s = server
    big = message("big", size=3 << 20)
    deliver(s, "anna", "one", "two")
    s.deliver("anna", big)
    s.stop()
    backup = os.path.join(s.top, "backup")
    copy_volume(s, backup)
    s.start()
    with s.imap("anna") as c:
        want = fetch_all(c)
        expunge(c, "1:3")
    if not online:
        s.stop()
    told = s.ctl("restore", "--from", backup, "--into", "Back", "anna")
    assert "INBOX into Back/INBOX: 3 messages are back" in told
    assert "3 there already" in s.ctl("restore", "--from=" + backup, "--into", "Back", "--dry-run", "anna")
    assert "no such account" in s.ctl_raw(["-c", s.conf, "restore", "--from", backup, "boriss"], expect=1)[2]
    s.ctl_raw(["-c", s.conf, "restore", "--from", "/nonexistent", "anna"], expect=1)
    if not online:
        s.start()
    with s.imap("anna") as c:
        assert [b for _, b in fetch_all(c, "Back/INBOX").values()] == [b for _, b in want.values()]


def flip(directory):
    """A bit in the middle of the largest file of a log."""
    path = max(glob.glob(os.path.join(directory, "log", "*")), key=os.path.getsize)
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        byte = f.read(1)[0]
        f.seek(-1, os.SEEK_CUR)
        f.write(bytes([byte ^ 1]))


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_restore_of_a_damaged_message(server, online):
    """What the volume has of it is damaged, though the index knows it: the backup's bytes come, here and where it is."""
    s = server
    deliver(s, "anna", "one")
    s.deliver("anna", message("big", size=900 << 10))
    deliver(s, "anna", "two")
    with s.imap("anna") as c:
        want = [b for _, b in fetch_all(c).values()]
    s.stop()
    backup = os.path.join(s.top, "backup")
    copy_volume(s, backup)
    flip(os.path.join(s.dir, "volumes", "v1"))
    if online:
        s.start()
        with s.imap("anna") as c:
            c.select()
            assert c.uid("FETCH", "1:*", "BODY.PEEK[]")[0] == "NO"
    restore = ["restore", "--from", backup, "--mailbox", "INBOX", "--into"]
    assert "INBOX into Back: 3 messages are back" in s.ctl(*restore, "Back", "anna")
    assert "0 messages are back, 3 there already" in s.ctl(*restore, "Back", "anna")
    assert "INBOX: 1 message is back, 2 there already" in s.ctl(*restore, "INBOX", "anna")
    assert "INBOX: 0 messages are back, 3 there already" in s.ctl(*restore, "INBOX", "anna")
    if not online:
        s.start()
    with s.imap("anna") as c:
        assert [b for _, b in fetch_all(c, "Back").values()] == want
        c.select()
        assert c.uid("FETCH", "4", "BODY.PEEK[]")[1][0][1] == want[1]
    s.stop()
    s.ctl_raw(["-c", s.conf, "reindex", "--force"], expect=3)
    s.start()
    with s.imap("anna") as c:
        assert [b for _, b in fetch_all(c, "Back").values()] == want


def test_check_says_what_the_next_start_does(server):
    """Of an index that was made of a damaged log, which was mended; and of damage to a deleted account's message."""
    s = server
    volume = os.path.join(s.dir, "volumes", "v1")
    s.deliver("boris", message("big", size=900 << 10))
    s.ctl("user", "delete", "--yes", "boris")
    deliver(s, "anna", "one")
    s.stop()
    flip(volume)
    out = s.ctl_raw(["-c", s.conf, "check"], expect=3)[1]
    assert re.search(r"; a deleted or unknown account [0-9.]+(/\S+ UID 1)?\n", out), out
    for name in glob.glob(os.path.join(volume, "index.db*")):
        os.unlink(name)
    s.start()
    s.stop()
    flip(volume)
    out = s.ctl_raw(["-c", s.conf, "check"], expect=3)[1]
    assert "INDEX WRONG (made of the damaged log; the next start makes it anew)" in out, out
    s.start()
    assert "v1: sound: " in s.ctl("check")


def test_restore_from_another_volume(server):
    """Nothing of it is in our log: all bytes are taken over."""
    s = server
    with Server({"anna": "x"}) as other:
        other.start()
        other.deliver("anna", message("big", size=3 << 20))
        deliver(other, "anna", *["m%d" % i for i in range(20)])
        with other.imap("anna") as c:
            want = fetch_all(c)
        other.stop()
        backup = os.path.join(s.top, "backup")
        copy_volume(other, backup)
    s.ctl("quota", "set", "anna", "1")
    assert "21 messages in all" in s.ctl("restore", "--from", backup, "--mailbox", "INBOX", "--into", "Back", "anna")
    assert "0 messages in all" in s.ctl("restore", "--from", backup, "--mailbox", "INBOX", "--into", "Back", "anna")
    with s.imap("anna") as c:
        assert [b for _, b in fetch_all(c, "Back").values()] == [b for _, b in want.values()]
    s.ctl("check")


def test_killed_in_the_middle(server):
    """However often restantectl is cut, in the end everything is back once."""
    s = server
    deliver(s, "anna", "seed")
    count = 1
    with s.imap("anna") as c:
        c.select()
        for _ in range(13):
            c.uid("COPY", "1:*", "INBOX")
            count *= 2
            c.noop()
        t = now()
        expunge(c, "1:*")
    s.stop()
    for cut in (0.02, 0.1, 0.2, 0.3, 0.4):
        p = subprocess.Popen(wrap([RESTANTECTL, "-c", s.conf, "restore", "--at", t, "--mailbox", "INBOX", "--into", "Back",
                                   "anna"]), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(cut)
        p.kill()
        p.wait()
    told = lines(s.ctl("restore", "--json", "--at", t, "--mailbox", "INBOX", "--into", "Back", "anna"))[0]
    assert told["restored"] + told["present"] == count
    s.start()
    with s.imap("anna") as c:
        assert c.select("Back")[1] == [b"%d" % count]
    s.ctl("check")
    assert not [n for n in os.listdir(os.path.join(s.dir, "volumes", "v1")) if n.startswith("past-")]


def test_server_killed_in_the_middle(server):
    s = server
    deliver(s, "anna", "seed")
    count = 1
    with s.imap("anna") as c:
        c.select()
        for _ in range(14):
            c.uid("COPY", "1:*", "INBOX")
            count *= 2
            c.noop()
    s.ctl("user", "delete", "--yes", "anna")
    parts = []
    for cut in (0.1, 0.2, 0.3, 0.4):
        p = subprocess.Popen(wrap([RESTANTECTL, "-c", s.conf, "undelete", "--account", "anna"]), stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
        time.sleep(cut)
        s.kill()
        p.wait()
        s.start()
        parts += [row["messages"] for row in lines(s.ctl("user", "list", "--json")) if row["name"] == "anna"]
    s.ctl("undelete", "--account", "anna")
    assert json.loads(s.ctl("user", "show", "--json", "anna"))["messages"] == count
    assert parts == sorted(parts)
    s.ctl("check")


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_history(server, online):
    s = server
    deliver(s, "anna", "one", Message_ID="<the-one@example.org>")
    deliver(s, "anna", "two")
    with s.imap("anna") as c:
        c.select()
        c.uid("STORE", "1", "+FLAGS", "(\\Seen $Label1)")
        c.create("Work")
        c.uid("COPY", "1", "Work")
        assert c._simple_command("UID", "MOVE", "1", "Trash")[0] == "OK"
        c.rename("Work", "Play")
        c.append("Play", None, None, message("appended").encode())
        expunge(c, "1", "Trash")
        c.select("INBOX")
        c.delete("Play")
    s.ctl("undelete", "--message-id", "the-one@example.org", "anna")
    if not online:
        s.stop()
    got = lines(s.ctl("history", "--json", "--message-id", "<the-one@example.org>", "anna"))
    assert [(e["by"], e["event"], e["mailbox"], e["uids"]) for e in got] == [
        ("lmtp", "delivered", "INBOX", "1"),
        ("imap", "flags", "INBOX", "1"),
        ("imap", "copied", "Work", "1"),
        ("imap", "moved", "Trash", "1"),
        ("imap", "flags", "Trash", "1"),
        ("imap", "expunged", "Trash", "1"),
        ("admin", "restored", "Play", "1"),
        ("admin", "restored", "Trash", "2"),
    ]
    assert got[1]["text"] == "\\Seen $Label1" and got[2]["from"] == "INBOX" and got[3]["from"] == "INBOX"
    assert got[0]["session"] != "0" and got[1]["session"] == got[2]["session"] != got[0]["session"]
    assert [e["time"] for e in got] == sorted(e["time"] for e in got)

    got = lines(s.ctl("history", "--json", "--mailbox", "Work", "anna"))
    assert [e["event"] for e in got] == ["mailbox created", "copied", "mailbox renamed", "appended", "mailbox deleted"]
    assert got[2]["from"] == "Work" and got[2]["mailbox"] == "Play" and got[4]["text"] == "with 2 messages"

    text = s.ctl("history", "--mailbox", "INBOX", "--uid", "1", "anna")
    assert re.search(r'^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}  lmtp [0-9a-f]+  "INBOX" UID 1: delivered$', text, re.M)
    assert re.search(r'imap [0-9a-f]+  "INBOX" UID 1: moved to "Trash" UID 1$', text, re.M)

    everything = lines(s.ctl("history", "--json", "anna"))
    assert everything[0]["event"] == "account created" and "credential set:" in [e["event"] for e in everything]
    late = everything[-3]["time"]
    assert len(lines(s.ctl("history", "--json", "--since", late, "anna"))) == 3
    err = s.ctl_raw(["-c", s.conf, "history", "--message-id", "<none@x>", "anna"], expect=1)[2]
    assert "the log knows no message <none@x>; the log remembers since 20" in err
    s.ctl("user", "delete", "--yes", "anna")
    assert "account deleted" in s.ctl("history", "anna")
    s.ctl("history", "nobody", expect=1)


def test_usage(server):
    s = server
    for argv in (["undelete"], ["undelete", "--uid", "1", "anna"], ["undelete", "--mailbox", "INBOX", "--uid", "0", "anna"],
                 ["undelete", "--account", "--mailbox", "X", "anna"], ["undelete", "--merge", "anna"],
                 ["undelete", "--since", "x", "anna"], ["restore"], ["history", "--uid", "1", "anna"]):
        s.ctl(*argv, expect=2)
    s.ctl("undelete", "--into", "a//b", "anna", expect=1)
    s.ctl("undelete", "nobody", expect=1)
