"""A volume is backed up while it works, verified, put back; and clients that saw what was lost find their way."""

import json
import os
import random
import re
import shutil
import threading

from harness import Server, message, wait_until


def session(s, *commands, user="anna"):
    c = s.raw("imap")
    c.line()
    c.cmd("LOGIN %s %s" % (user, s.users[user]))
    for command in commands:
        c.cmd(command)
    return c


def backup(s, target, *options, expect=0):
    return [json.loads(l) for l in s.ctl("backup", "--json", *options, target, expect=expect).splitlines()]


def told(s, argv, status):
    """Standard error of a call that fails."""
    return s.ctl_raw(["-c", s.conf] + argv, expect=status)[2]


def members(text):
    out = set()
    for part in text.decode().split(","):
        a, _, b = part.partition(":")
        out |= set(range(int(a), int(b or a) + 1))
    return out


class Client:
    """What a client remembers of a mailbox: its cache, by UID."""

    def __init__(self, name):
        self.name, self.uidvalidity, self.modseq, self.cache = name, 0, 0, {}

    def take(self, lines):
        for l in lines:
            m = re.match(rb"\* VANISHED (?:\(EARLIER\) )?(\S+)", l)
            if m:
                for uid in members(m.group(1)) & set(self.cache):
                    del self.cache[uid]
            m = re.match(rb"\* \d+ FETCH \(.*UID (\d+)", l)
            if m:
                flags = re.search(rb"FLAGS \(([^)]*)\)", l).group(1)
                modseq = int(re.search(rb"MODSEQ \((\d+)\)", l).group(1))
                uid = int(m.group(1))
                flags = frozenset(flags.split()) - {b"\\Recent"}
                assert modseq >= self.cache.get(uid, (0, 0))[0], "MODSEQ of %d went back" % uid
                self.cache[uid] = (modseq, flags)

    def sync(self, s):
        c = session(s, "ENABLE QRESYNC")
        known = " (QRESYNC (%d %d))" % (self.uidvalidity, self.modseq) if self.uidvalidity else ""
        lines = c.cmd("SELECT %s%s" % (self.name, known))
        text = b"\n".join(lines)
        uidvalidity = int(re.search(rb"UIDVALIDITY (\d+)", text).group(1))
        highest = int(re.search(rb"HIGHESTMODSEQ (\d+)", text).group(1))
        next_uid = int(re.search(rb"UIDNEXT (\d+)", text).group(1))
        if uidvalidity != self.uidvalidity:
            self.cache = {}
        assert highest >= self.modseq
        self.take(lines)
        new = max(self.cache, default=0) + 1
        if new < next_uid:
            self.take(c.cmd("UID FETCH %d:* (FLAGS MODSEQ)" % new))
        self.uidvalidity, self.modseq = uidvalidity, highest
        c.cmd("LOGOUT")

    def state(self):
        return {uid: flags for uid, (modseq, flags) in self.cache.items()}


def work(s, rng, names, rounds):
    c = session(s)
    for i in range(rounds):
        s.deliver("anna", message("round %d" % i, "body %d\r\n" % rng.randrange(10**9)))
        name = rng.choice(names)
        c.cmd("SELECT " + name)
        uids = c.cmd("UID SEARCH ALL")[0].split()[2:]
        if not uids:
            continue
        uid = rng.choice(uids)
        c.cmd(rng.choice([b"UID STORE %s +FLAGS (\\Seen $Label1)", b"UID STORE %s -FLAGS (\\Seen)",
                          b"UID COPY %s " + rng.choice(names).encode(), b"UID MOVE %s " + rng.choice(names).encode(),
                          b"UID STORE %s +FLAGS (\\Deleted)"]) % uid)
        if rng.random() < 0.5:
            c.cmd("EXPUNGE")
    c.cmd("LOGOUT")


def put_back(s, target):
    """The volume is lost; what is in the backup takes its place."""
    s.stop()
    volume = os.path.join(s.dir, "volumes", "v1")
    assert "a volume already" in told(s, ["restore", "--from", target], 1)
    shutil.rmtree(volume)
    s.ctl("restore", "--from", target)
    s.start()


def test_a_copy_of_a_working_volume(server, tmp_path):
    """Incremental, while mail comes in; what is told of it is so; the copy holds."""
    target = str(tmp_path / "copies")
    tmp_path.chmod(0o777)
    stop = threading.Event()

    def deliver():
        n = 0
        while not stop.is_set():
            server.deliver("anna", message("m%d" % n, size=20000))
            n += 1

    assert backup(server, target, "--dry-run")[0]["fresh"]
    assert not os.path.exists(target)
    worker = threading.Thread(target=deliver)
    worker.start()
    try:
        first, = backup(server, target)
        assert first["fresh"] and first["bytes_copied"] == first["bytes"] > 0
        for _ in range(3):
            assert "sound" in server.ctl("verify", target)
            again, = backup(server, target)
            assert not again["fresh"] and again["damage"] == 0
    finally:
        stop.set()
        worker.join()
    # That the last reply was read is written half a second later, if nothing else comes.
    wait_until(lambda: backup(server, target)[0]["bytes_copied"] == 0)
    server.stop()
    # Offline the same, but for what a stop writes: deliveries whose replies have been read.
    assert backup(server, target)[0]["bytes_copied"] < 1000
    assert backup(server, target)[0]["bytes_copied"] == 0
    out = json.loads(server.ctl("verify", "--json", os.path.join(target, "v1")).splitlines()[-1])
    assert out["sound"] and out["index"] == "missing"


def test_a_client_from_the_lost_future(server, tmp_path):
    target, names, rng = str(tmp_path / "copies"), ["INBOX", "Archive", "Junk"], random.Random(4)
    tmp_path.chmod(0o777)
    work(server, rng, names, 60)
    clients = [Client(n) for n in names]
    for c in clients:
        c.sync(server)
    backup(server, target)
    old = [Client(n) for n in names]            # they were last there before the backup
    for c in old:
        c.sync(server)
    kept = {(c.name, uid) for c in old for uid in c.cache}
    work(server, rng, names, 60)
    for c in clients:
        c.sync(server)
    given = {(c.name, uid): f for c in clients for uid, f in c.state().items()}
    c = session(server, "CREATE later", "CREATE later2")
    lost = re.search(rb"UIDVALIDITY (\d+)", b"".join(c.cmd("STATUS later2 (UIDVALIDITY)"))).group(1)
    put_back(server, target)
    work(server, rng, names, 20)
    fresh = [Client(n) for n in names]
    for c in fresh:
        c.sync(server)
    for group in (clients, old):
        for c, want in zip(group, fresh):
            c.sync(server)
            assert c.state() == want.state()
            assert (c.uidvalidity, c.modseq) == (want.uidvalidity, want.modseq)
    # No UID that was given after the backup came again: what is new lies above all of them.
    assert all(uid < 1 << 20 for _, uid in given)
    new = {(c.name, uid) for c in fresh for uid in c.cache} - kept
    assert new and all(uid > 1 << 20 for _, uid in new)
    c = session(server, "CREATE later")
    new = re.search(rb"UIDVALIDITY (\d+)", b"".join(c.cmd("STATUS later (UIDVALIDITY)"))).group(1)
    assert int(new) > int(lost)
    assert "sound" in server.ctl("check")


def test_one_backup_put_back_twice(server, tmp_path):
    """The two lives that come of it give no UID, no MODSEQ and no UIDVALIDITY twice."""
    target = str(tmp_path / "copies")
    tmp_path.chmod(0o777)
    server.deliver("anna", message("before"))
    backup(server, target)
    told_uids, told_modseqs, told_validities = [], [], []
    for life in range(3):
        put_back(server, target)
        for i in range(3):
            server.deliver("anna", message("life %d, %d" % (life, i)))
        c = session(server, "CREATE new")
        lines = b"".join(c.cmd("SELECT INBOX") + c.cmd("UID FETCH 2:* (MODSEQ)"))
        uids = [int(n) for n in re.findall(rb"FETCH \(UID (\d+)", lines)]
        assert len(uids) == 3
        told_uids += uids
        told_modseqs += [int(n) for n in re.findall(rb"MODSEQ \((\d+)\)", lines)]
        told_validities.append(int(re.search(rb"UIDVALIDITY (\d+)", b"".join(c.cmd("STATUS new (UIDVALIDITY)"))).group(1)))
        line, = [line for line in server.log().splitlines() if "ev=volume.put_back" in line]
        assert line.endswith(" lives=%d" % (life + 1)), line
    assert len(set(told_uids)) == len(set(told_modseqs)) == 9 and len(set(told_validities)) == 3
    assert told_uids == sorted(told_uids) and told_modseqs == sorted(told_modseqs)
    assert "sound" in server.ctl("check")
    # What comes of the last one goes on into the same backup, and no more is passed over than once.
    backup(server, target)
    put_back(server, target)
    assert " lives=1\n" in server.log()
    server.stop()
    (tmp_path / "copies" / "v1" / "next-epoch").write_text("many")
    shutil.rmtree(os.path.join(server.dir, "volumes", "v1"))
    assert "holds no epoch" in told(server, ["restore", "--from", target], 3)


def test_refusals(server, tmp_path):
    target = str(tmp_path / "copies")
    tmp_path.chmod(0o777)
    volumes = os.path.join(server.dir, "volumes")
    assert "v1 is " in told(server, ["backup", volumes], 1)
    backup(server, target)
    assert "is a volume; name the directory" in told(server, ["backup", target + "/v1"], 1)
    (tmp_path / "other" / "v1").mkdir(parents=True)
    (tmp_path / "other" / "v1" / "letter").write_text("mine")
    assert "is not empty, and no backup" in told(server, ["backup", str(tmp_path / "other")], 1)
    assert "there is no backup" in told(server, ["verify", str(tmp_path / "other")], 1)
    assert "no backup of v1" in told(server, ["restore", "--from", str(tmp_path)], 1)
    told(server, ["restore"], 2)
    told(server, ["backup", "--rate", "x", target], 2)


def test_damage_is_told(server, tmp_path):
    target = str(tmp_path / "copies")
    tmp_path.chmod(0o777)
    server.deliver("anna", message("one", size=20000))
    server.deliver("anna", message("two", size=20000))
    server.stop()
    log = os.path.join(server.dir, "volumes", "v1", "log")
    name = max(os.listdir(log), key=lambda n: int(n.split("-")[1]))
    with open(os.path.join(log, name), "r+b") as f:
        f.seek(1000)
        byte = f.read(1)
        f.seek(-1, 1)
        f.write(bytes([byte[0] ^ 1]))
    out, = backup(server, target, expect=3)
    assert out["damage"] == 1
    server.ctl("verify", target, expect=3)
