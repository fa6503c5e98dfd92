"""Compaction: by the admin, online and offline, under load, and by the server itself."""

import json
import os
import random
import signal
import threading
import time

import pytest

from harness import Server, fetch_all, message, send, wait_until


def log_bytes(s):
    log = os.path.join(s.dir, "volumes", "v1", "log")
    return sum(os.stat(os.path.join(log, name)).st_blocks * 512 for name in os.listdir(log))


def everything(s, user):
    """What is lasting: \\Recent is not."""
    got = fetch_all(s.imap(user))
    return {uid: ([f for f in flags if f != rb"\Recent"], body) for uid, (flags, body) in got.items()}


def fill(s, count, size=20000):
    rnd = random.Random(1)
    lmtp = s.lmtp()
    for i in range(count):
        body = "\r\n".join("%070x" % rnd.getrandbits(280) for _ in range(size // 72))
        send(lmtp, "anna", message(subject="number %d" % i, body=body + "\r\n"))
    lmtp.quit()


def expunge(s, first, last):
    imap = s.imap("anna")
    imap.select("INBOX")
    assert imap.uid("STORE", "%d:%d" % (first, last), "+FLAGS", r"(\Deleted)")[0] == "OK"
    assert imap.expunge()[0] == "OK"
    imap.logout()


def compacted(s, *options):
    return json.loads(s.ctl("compact", "--retention", "0s", "--json", *options))


@pytest.mark.parametrize("online", [True, False], ids=["online", "offline"])
def test_verb(online):
    with Server(users={"anna": "secret"}) as s:
        s.start()
        fill(s, 60)
        expunge(s, 1, 55)
        want = everything(s, "anna")
        if not online:
            s.stop()
        before = log_bytes(s)
        told = compacted(s, "--all", "--dry-run")
        assert told["made"] == 0 and told["dead_bytes"] > 400000
        kept = json.loads(s.ctl("compact", "--all", "--json"))
        assert kept["dead_bytes"] == 0, "the retention of a week holds all"
        told = compacted(s, "--all")
        assert told["made"] == 1 and told["reclaimed_bytes"] > 400000 and told["damage"] == 0
        assert log_bytes(s) < before - 400000
        if not online:
            s.start()
        assert everything(s, "anna") == want
        assert "sound" in s.ctl("check")
        status = json.loads(s.ctl("status", "--json"))["volumes"][0]
        assert status["compacted_us"] > 0 and status["dropped_pieces"] == 0
        assert compacted(s, "--recompress", "9")["made"] == 1
        assert everything(s, "anna") == want
        for bad in (["--recompress", "10"], ["--rate", "fast"], ["--retention", "soon"], ["more"]):
            assert s.ctl_raw(["-c", s.conf, "compact", *bad], expect=2)


def test_under_load():
    """Messages come, are read, stored, moved and expunged, while the log is compacted again and again."""
    with Server(users={"anna": "secret", "ben": "secret"}) as s:
        s.start()
        fill(s, 30)
        failed, ending = [], threading.Event()

        def deliver():
            lmtp, n = s.lmtp(), 0
            while not ending.is_set():
                send(lmtp, "ben", message(subject="load %d" % n, body="x" * 3000 + "\r\n"))
                n += 1

        def use():
            imap = s.imap("anna")
            while not ending.is_set():
                imap.select("INBOX")
                _, data = imap.uid("SEARCH", "ALL")
                uids = data[0].split()
                for uid in uids[-5:]:
                    got = imap.uid("FETCH", uid, "(BODY.PEEK[])")
                    if got[0] != "OK" or got[1][0] is None:
                        failed.append(got)
                if len(uids) > 10:
                    imap.uid("STORE", uids[0], "+FLAGS", r"(\Seen $Label1)")
                    imap.uid("COPY", uids[0], "Trash")
                    imap.uid("STORE", uids[0], "+FLAGS", r"(\Deleted)")
                    imap.expunge()

        def guarded(f):
            try:
                f()
            except Exception as e:      # noqa: BLE001: told by the main thread
                failed.append(e)

        threads = [threading.Thread(target=guarded, args=(f,)) for f in (deliver, use)]
        for t in threads:
            t.start()
        made = 0
        for _ in range(6):
            made += compacted(s, "--all")["made"]
            time.sleep(0.2)
        ending.set()
        for t in threads:
            t.join()
        assert not failed and made >= 6
        assert "sound" in s.ctl("check")
        want = everything(s, "ben"), everything(s, "anna")
        s.kill()
        s.start()
        assert (everything(s, "ben"), everything(s, "anna")) == want
        assert "sound" in s.ctl("check")


def test_by_itself():
    """What is dead is given back when it is as old as the retention and as a silent session may be, not before."""
    def edit(text, timeout="1h"):
        text = text.replace("[server]\n", "[server]\nidle_timeout = %s\n" % timeout)
        return text + "\n[maintenance]\nretention = 0s\ncompact_interval = 1s\ncompact_rate = 0\n"

    with Server(users={"anna": "secret"}, conf_edit=edit) as s:
        s.start()
        fill(s, 60)
        expunge(s, 1, 55)
        s.stop()                        # the segment is sealed
        before = log_bytes(s)
        s.start()

        def surveyed():
            status = json.loads(s.ctl("status", "--json"))["volumes"][0]
            return status["surveyed_us"] > 0 and status

        assert wait_until(surveyed)["dead_bytes"] == 0
        with open(s.conf) as f:
            text = f.read()
        with open(s.conf, "w") as f:
            f.write(text.replace("idle_timeout = 1h", "idle_timeout = 2s"))
        s.proc.send_signal(signal.SIGHUP)
        wait_until(lambda: log_bytes(s) < before - 400000, s.log)
        wait_until(lambda: "ev=volume.compacted" in s.log(), s.log)
        assert "sound" in s.ctl("check")
