"""Deleting the index changes no answer [design I6]."""

import os
import random

from harness import Server, message


def answers(s, user):
    """All a client can ask, as one list."""
    out = []
    with s.raw("imap") as c:
        c.line()
        c.cmd("LOGIN %s %s" % (user, s.users[user]))
        boxes = c.cmd('LIST "" "*"')[:-1]
        out += boxes + c.cmd('LSUB "" "*"')[:-1]
        for line in boxes:
            name = line.rsplit(b" ", 1)[1]
            out += c.cmd(b"STATUS " + name + b" (MESSAGES UIDNEXT UIDVALIDITY UNSEEN)")[:-1]
            out += [r for r in c.cmd(b"EXAMINE " + name)[:-1] if b"RECENT" not in r]
            out += c.cmd("UID SEARCH ALL")[:-1]
            out += c.cmd("UID SEARCH KEYWORD $Label1")[:-1]
            items = "UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE BODY.PEEK[]"
            out += [r.replace(b"\\Recent ", b"").replace(b" \\Recent", b"").replace(b"\\Recent", b"")
                    for r in c.cmd("UID FETCH 1:* (%s)" % items)[:-1]]
    p = s.pop(user)
    out += p.uidl()[1] + p.list()[1]
    p.quit()
    return out


def scramble(s, rng):
    """Random work on anna's mailboxes."""
    with s.imap("anna") as c:
        names = ["INBOX", "Archive", "one", "one/two"]
        for n in names[2:]:
            c.create(n)
        c.subscribe("one")
        c.unsubscribe("Junk")
        c.subscribe("never-made")
        for _ in range(40):
            c.select(rng.choice(names))
            typ, data = c.uid("SEARCH", "ALL")
            uids = data[0].decode().split() if data[0] else []
            if not uids:
                continue
            u = rng.choice(uids)
            rng.choice([
                lambda: c.uid("STORE", u, "+FLAGS", "(\\Seen $Label1)"),
                lambda: c.uid("STORE", u, "-FLAGS", "(\\Seen)"),
                lambda: c.uid("STORE", u, "FLAGS", "(\\Answered $LABEL1 other)"),
                lambda: c.uid("COPY", u, rng.choice(names)),
                lambda: c.uid("MOVE", u, rng.choice(names)),
                lambda: (c.uid("STORE", u, "+FLAGS", "(\\Deleted)"), c.expunge()),
            ])()
        c.rename("one", "renamed")
        c.create("gone")
        c.append("gone", "", None, message("in a doomed mailbox").encode())
        c.delete("gone")


def test_index_deleted_all_answers_equal(server):
    seed = random.randrange(1 << 32)
    print("seed", seed)
    rng = random.Random(seed)
    for i in range(25):
        server.deliver(rng.choice([["anna"], ["boris"], ["anna", "boris"]]), message("m%d" % i, size=rng.randrange(9000)))
    scramble(server, rng)
    before = {u: answers(server, u) for u in server.users}
    assert len(before["anna"]) > 30
    server.stop()
    index_files(server, os.unlink)
    server.start()
    assert {u: answers(server, u) for u in server.users} == before
    server.ctl("check")


def index_files(server, act):
    found = 0
    for root, _, files in os.walk(os.path.join(server.dir, "volumes")):
        for name in files:
            if name.startswith("index.db"):
                act(os.path.join(root, name))
                found += 1
    assert found


def test_damaged_index_is_rebuilt(server):
    server.deliver(["anna"], message("kept"))
    before = answers(server, "anna")
    server.stop()

    def damage(path):
        with open(path, "r+b") as f:
            f.write(b"this is no database" * 20)
    index_files(server, damage)
    server.start()
    assert answers(server, "anna") == before


def test_reindex_offline(server):
    server.deliver(["anna"], message("kept"))
    before = answers(server, "anna")
    server.stop()
    server.ctl("reindex")
    server.ctl("check")
    server.start()
    assert answers(server, "anna") == before


def test_reindex_of_damaged_log(server):
    """A lost segment: status counts it, reindex does not give up the better index, and what comes back heals."""
    server.deliver(["anna"], message("kept"))
    server.stop()
    server.start()      # what follows is in a segment of its own
    server.deliver(["anna"], message("later"))
    before = answers(server, "anna")
    server.stop()
    log = os.path.join(server.dir, "volumes", os.listdir(os.path.join(server.dir, "volumes"))[0], "log")
    first = min((n for n in os.listdir(log) if n.endswith(".seg")), key=lambda n: int(n.split("-")[1]))
    os.rename(os.path.join(log, first), os.path.join(server.dir, first))
    assert '"damage":1' in server.ctl("status", "--json")
    _, _, err = server.ctl_raw(["-c", server.conf, "reindex"], expect=3)
    assert "would lack" in err and "--force" in err
    server.start()
    assert answers(server, "anna") == before
    server.stop()
    assert "index.db.old" in server.ctl("reindex", "--force", expect=3)
    os.rename(os.path.join(server.dir, first), os.path.join(log, first))
    server.start()
    assert answers(server, "anna") == before
    server.ctl("check")
    server.stop()
    os.rename(os.path.join(log, first), os.path.join(server.dir, first))
    assert "index.db.old.2" in server.ctl("reindex", "--force", expect=3), "the first one kept is not overwritten"
