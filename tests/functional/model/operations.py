"""What a client may do next, and what must come of it. Each operation takes (world, session, rng)."""

from .oracle import is_in
from .session import check_apart, check_within
from .wire import Condition, Esearch, Fetch, Search, Status, Vanished, Wrong, format_set, parse_ranges, parse_set

FLAGS = ["\\Seen", "\\Flagged", "\\Answered", "\\Draft", "\\Deleted", "\\Deleted", "$Forwarded", "work", "later", "k1",
         "k2"]
NAMES = ["INBOX", "first", "second", "third", "tree", "tree/leaf", "tree/twig", "日本"]
MAILBOX_MAX = 30
CROWD = 700             # one mailbox has about so many: what is told of them comes in pieces


def some_flags(rng):
    return sorted(set(rng.sample(FLAGS, rng.randrange(1, 4))))


# ---- naming messages ----

def name_messages(s, rng):
    """("UID " or "", the set as written, {UID}), by numbers or UIDs."""
    uid = s.kind.uidonly or rng.random() < 0.5
    numbers = [slot.uid if uid else i + 1 for i, slot in enumerate(s.slots)]
    uids = [slot.uid for slot in s.slots]
    chance = rng.random()
    if len(uids) > 100 and chance < 0.4:
        return ("UID ", "1:%d" % uids[-1], set(uids)) if uid else ("", "1:%d" % len(uids), set(uids))
    if chance < 0.3:
        i = rng.randrange(len(uids))
        return ("UID " if uid else "", str(numbers[i]), {uids[i]})
    if chance < 0.4 and not s.kind.uidonly:
        i = rng.randrange(len(uids))
        return ("UID " if uid else "", "%d:*" % numbers[i], set(uids[i:]))
    if chance < 0.5 and uid:
        first, last = sorted(rng.sample(range(1, uids[-1] + 2), 2))
        return ("UID ", "%d:%d" % (first, last), {u for u in uids if first <= u <= last})
    picked = sorted(rng.sample(range(len(uids)), min(len(uids), rng.randrange(1, 8))))
    return ("UID " if uid else "", format_set(numbers[i] for i in picked), {uids[i] for i in picked})


def number_of(s, prefix, uids):
    """As a response code names them: UIDs, or sequence numbers."""
    return sorted(uids) if prefix else [i + 1 for i, slot in enumerate(s.slots) if slot.uid in uids]


def only(own, types):
    """The one answer of that type."""
    found = [r for r in own if isinstance(r, types)]
    if len(found) != 1:
        raise Wrong("%d answers: %r" % (len(found), own))
    return found[0]


# ---- messages ----

def noop(world, s, rng):
    s.op(rng.choice(["NOOP", "NOOP", "CHECK"] if not s.kind.rev2 else ["NOOP"]))


def old_modseq(s, rng):
    """One that the mailbox has or had, sometimes one that it never had."""
    all_of_them = [m.modseq for m in s.box.messages.values()] + [m.gone for m in s.box.expunged.values()]
    return max(1, rng.choice(all_of_them + [s.box.highest]) + rng.choice([0, 0, 0, -1, 1]))


def store(world, s, rng):
    prefix, text, uids = name_messages(s, rng)
    op, silent, flags = rng.choice(["+", "-", "+", ""]), rng.random() < 0.5, some_flags(rng)
    unchangedsince, modifier = None, ""
    if s.aware and rng.random() < 0.5:
        unchangedsince = 0 if rng.random() < 0.1 else old_modseq(s, rng)
        modifier = "(UNCHANGEDSINCE %d) " % unchangedsince
    there = {u for u in uids if u in s.box.messages}
    failing = s.box.changed_test(there, op, flags, unchangedsince)
    unasked = unchangedsince is not None or (s.condstore and silent)
    answered = there if not silent else there - failing if unasked else set()
    numbers = number_of(s, prefix, failing)

    def applied(outcome):
        for slot in s.slots if silent else ():
            if slot.uid in outcome[2]:
                s.apply_own(slot, op, flags)

    # UIDs that are not there are no error [RFC 9051 s6.4.9].
    status = "NO" if uids - there and not silent and not prefix else "OK"
    outcome, own, tagged = s.op("%sSTORE %s %s%sFLAGS%s (%s)" % (
        prefix, text, modifier, op, ".SILENT" if silent else "", " ".join(flags)),
        lambda: s.box.store(there, op, flags, unchangedsince), answered | failing, not prefix,
        status=status, applied=applied)
    if set(numbers) != set(parse_set(tagged.args) if tagged.code == "MODIFIED" else ()):
        raise Wrong("%r, but these fail the test: %r" % (tagged, numbers))
    must = set(outcome[0]) if unchangedsince is not None or not silent else set()
    missing = must - s.heard
    world.counts["store with MODIFIED"] += bool(failing)
    if missing:
        raise Wrong("no FETCH for %s" % format_set(missing))


def expunge(world, s, rng):
    box = s.box
    if rng.random() < 0.4 and s.slots:
        _, text, uids = name_messages_by_uid(s, rng)
        uids = {u for u in uids if u in box.messages} & set(box.with_flag("\\Deleted"))
        command = "UID EXPUNGE " + text
    else:
        uids, command = set(box.with_flag("\\Deleted")), "EXPUNGE"
    _, _, tagged = s.op(command, lambda: box.expunge(uids))
    check_highest(s, tagged, bool(uids))


def check_highest(s, tagged, expunged):
    """[RFC 7162 s3.2.7, s3.2.9]"""
    if not s.kind.qresync or not expunged:
        return
    if tagged.code != "HIGHESTMODSEQ" and s.told_modseq is None:
        raise Wrong("no HIGHESTMODSEQ: %r" % (tagged,))
    if s.modseq != s.box.highest:
        raise Wrong("HIGHESTMODSEQ %d, it is %d" % (s.modseq, s.box.highest))


def name_messages_by_uid(s, rng):
    while True:
        prefix, text, uids = name_messages(s, rng)
        if prefix:
            return prefix, text, uids


def copy(world, s, rng):
    prefix, text, uids = name_messages(s, rng)
    move = rng.random() < 0.5 and not s.read_only
    target = world.some_box(rng)
    if s.box.name == "crowd" and len(s.box.messages) < CROWD:
        target, move = s.box, False
    elif len(target.messages) > MAILBOX_MAX:
        target, move = s.box, True
        if s.read_only:
            return noop(world, s, rng)
    there = {u for u in uids if u in s.box.messages}

    def effect():
        pairs = s.box.copy_to(target, there)
        if move:
            s.box.expunge(there)
        return pairs

    command = "MOVE" if move else "COPY"
    status = "NO" if uids and not there and not prefix else "OK"
    pairs, own, tagged = s.op("%s%s %s %s" % (prefix, command, text, world.wire_name(s, target)), effect,
                              accept={"COPYUID"} if move else (), status=status)
    code = only(own, Condition) if move and pairs else tagged
    if not pairs:
        if code.code not in ("", "EXPUNGEISSUED"):
            raise Wrong("%r, and nothing was copied" % (code,))
        return
    uidvalidity, source, to = code.args.split(" ") if code.code == "COPYUID" else ("0", "1", "1")
    world.told(target, "UIDVALIDITY", uidvalidity)
    if list(zip(parse_set(source), parse_set(to))) != pairs:
        raise Wrong("%r, it is %r" % (code, pairs))
    if move:
        check_highest(s, tagged, True)


def make_message(world):
    world.contents += 1
    content = "c%d" % world.contents
    return content, "Subject: %s\r\nX-Content: %s\r\n\r\nbody\r\n" % (content, content)


def append(world, s, rng):
    box = world.some_box(rng)
    if len(box.messages) > MAILBOX_MAX:
        return expunge(world, s, rng) if not s.read_only else noop(world, s, rng)
    parts, made = "", []
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        content, text = make_message(world)
        flags = some_flags(rng) if rng.random() < 0.5 else []
        made.append((flags, content))
        parts += " (%s) {%d+}\r\n%s" % (" ".join(flags), len(text), text)
    _, _, tagged = s.op("APPEND %s%s" % (world.wire_name(s, box), parts),
                        lambda: [box.append(*m) for m in made])
    uidvalidity, uids = tagged.args.split(" ") if tagged.code == "APPENDUID" else ("0", "1")
    world.told(box, "UIDVALIDITY", uidvalidity)
    if parse_set(uids) != list(box.messages)[-len(made):]:
        raise Wrong("%r, they are %r" % (tagged, list(box.messages)[-len(made):]))


def replace(world, s, rng):
    """[RFC 8508]"""
    box = world.some_box(rng)
    i = rng.randrange(len(s.slots))
    uid = s.slots[i].uid
    if not world.can("REPLACE") or (len(box.messages) > MAILBOX_MAX and box is not s.box):
        return noop(world, s, rng)
    prefix = "UID " if s.kind.uidonly or rng.random() < 0.5 else ""
    (content, text), flags = make_message(world), some_flags(rng)
    there = uid in s.box.messages

    def effect():
        if there:
            box.append(flags, content)
            s.box.expunge([uid])

    _, own, tagged = s.op("%sREPLACE %d %s (%s) {%d+}\r\n%s" % (
        prefix, uid if prefix else i + 1, world.wire_name(s, box), " ".join(flags), len(text), text), effect,
        accept={"APPENDUID"}, status="OK" if there else "NO")
    if there:
        uidvalidity, new = only(own, Condition).args.split(" ")
        world.told(box, "UIDVALIDITY", uidvalidity)
        if int(new) != box.uidnext - 1:
            raise Wrong("%r, it is UID %d" % (own, box.uidnext - 1))
    check_highest(s, tagged, there)         # as after UID EXPUNGE [RFC 8508 s4.5]


def deliver(world, s, rng):
    box = world.some_box(rng)
    if "/" in box.name or not box.name.isascii() or len(box.messages) > MAILBOX_MAX:
        box = world.oracle.names["INBOX"]
    content, text = make_message(world)
    detail = "" if box.name == "INBOX" else "+" + box.name
    world.deliver(world.user + detail, text)
    box.append([], content)
    if s.box:
        s.op("NOOP")


def fetch(world, s, rng):
    prefix, text, uids = name_messages(s, rng)
    items = ["FLAGS", "RFC822.SIZE", "BODY.PEEK[HEADER.FIELDS (X-Content)]", "UID"]
    items = rng.sample(items, rng.randrange(1, 5)) + (["MODSEQ"] if s.aware and rng.random() < 0.5 else [])
    _, own, _ = s.op("%sFETCH %s (%s)" % (prefix, text, " ".join(items)), named=uids, uses_seq=not prefix, asked=True)
    if uids - s.heard:
        raise Wrong("no FETCH of %s" % format_set(uids - s.heard))


def fetch_body(world, s, rng):
    """Sets \\Seen."""
    i = rng.randrange(len(s.slots))
    uid, by_uid = s.slots[i].uid, s.kind.uidonly or rng.random() < 0.5
    there = {uid} & set(s.box.messages) if not s.read_only else set()
    s.op("%sFETCH %d BODY[TEXT]" % ("UID " if by_uid else "", uid if by_uid else i + 1),
         lambda: s.box.store(there, "+", ["\\Seen"]), {uid}, not by_uid, asked=True)


def fetch_changed(world, s, rng):
    prefix, text, uids = name_messages(s, rng)
    since = old_modseq(s, rng)
    vanished = s.kind.qresync and prefix and rng.random() < 0.7
    if vanished and rng.random() < 0.5:
        text = "1:%d" % (s.box.uidnext + 3)
        uids = set(s.box.messages) & {slot.uid for slot in s.slots}
    vanished = vanished and "*" not in text
    ghosts = {u for u in uids if u in s.box.expunged}
    pending, view, uidnext = s.pending(), {slot.uid for slot in s.slots}, s.uidnext
    _, own, _ = s.op("%sFETCH %s (FLAGS) (CHANGEDSINCE %d%s)" % (prefix, text, since, " VANISHED" if vanished else ""),
                     named=s.box.changed_since(since, uids) | ghosts, uses_seq=not prefix, asked=True,
                     accept={"Vanished"} if vanished else ())
    exact = s.box.changed_since(since, uids)
    heard = s.heard - ghosts
    if not exact <= heard or not heard <= exact | pending:
        raise Wrong("changed since %d is %s, told were %s" % (since, format_set(exact), format_set(heard)))
    if vanished:
        told, asked = [n for r in own if isinstance(r, Vanished) for n in r.ranges], parse_ranges(text)
        check_apart(told)
        check_within(told, asked)
        asked_uids = [u for a, b in asked for u in s.box.ever(a, b)]
        gone = {u for u in asked_uids if is_in(told, u)}
        world.counts["fetch with VANISHED below the floor"] += since < s.box.floor
        # Those that the client still counts are told without EARLIER. Of those that came and went between two of its
        # commands it may hear, or not.
        exact = s.box.vanished_since(since, asked_uids) - view
        world.counts["fetch with VANISHED"] += bool(exact)
        if {u for u in exact ^ gone if u < uidnext or u not in exact}:
            raise Wrong("vanished since %d is %s, told were %s" % (since, format_set(exact), format_set(gone)))
        kinds = [type(r) for r in own]
        if Vanished in kinds[kinds.index(Fetch):] if Fetch in kinds else False:
            raise Wrong("VANISHED (EARLIER) after FETCH")


def search(world, s, rng):
    uid = s.kind.uidonly or rng.random() < 0.5
    flag = rng.choice(["\\Seen", "\\Flagged", "\\Deleted", "k1"])
    key = "KEYWORD k1" if flag == "k1" else flag[1:].upper()
    found = {slot.uid for slot in s.slots if slot.uid in s.box.messages and flag in s.message(slot.uid).flags}
    modseq = None
    if s.aware and rng.random() < 0.6:
        modseq = old_modseq(s, rng)
        key = "MODSEQ %d" % modseq
        found = {slot.uid for slot in s.slots
                 if slot.uid in s.box.messages and s.message(slot.uid).modseq >= modseq}
    returned = rng.random() < 0.3
    numbers = sorted(found) if uid else [i + 1 for i, slot in enumerate(s.slots) if slot.uid in found]
    highest = max([s.message(u).modseq for u in found], default=0) if modseq else 0
    _, own, _ = s.op("%sSEARCH %s%s" % ("UID " if uid else "", "RETURN (ALL) " if returned else "", key),
                     uses_seq=not uid, accept={"Search", "Esearch"})
    r = only(own, (Search, Esearch))
    if isinstance(r, Esearch) != (returned or s.kind.rev2) or (isinstance(r, Esearch) and r.uid != bool(uid)):
        raise Wrong("%r" % (r,))
    if isinstance(r, Esearch):
        r = Search(parse_set(r.items["ALL"]) if "ALL" in r.items else [], int(r.items.get("MODSEQ", 0)))
    if r.numbers != numbers or r.modseq != highest:
        raise Wrong("found %r, it is %r with MODSEQ %d" % (r, numbers, highest))


def status(world, s, rng):
    box = world.some_box(rng)
    items = {"MESSAGES": len(box.messages), "UIDNEXT": box.uidnext,
             "UNSEEN": len(box.messages) - len(box.with_flag("\\Seen"))}
    if world.can("STATUS=SIZE"):
        items["DELETED"] = len(box.with_flag("\\Deleted"))
    if s.condstore or (s.aware and rng.random() < 0.3):
        items["HIGHESTMODSEQ"] = box.highest
    asked = " ".join(list(items) + ["UIDVALIDITY"])
    _, own, _ = s.op("STATUS %s (%s)" % (world.wire_name(s, box), asked), accept={"Status"})
    given = dict(only(own, Status).items)
    world.told(box, "UIDVALIDITY", given.pop("UIDVALIDITY", 0))
    if given != items:
        raise Wrong("STATUS %s gives %r, it is %r" % (box.name, given, items))


# ---- mailboxes ----

def create(world, s, rng):
    names = [n for n in NAMES if n not in world.oracle.names]
    if names:
        name = rng.choice(names)
        s.op("CREATE " + world.encode(s, name), lambda: world.oracle.create(name), accept={"Listed", "MAILBOXID"})


def delete(world, s, rng):
    names = [n for n in NAMES[1:] if n in world.oracle.names and not world.oracle.below(n)]
    if len(names) < 3:
        return create(world, s, rng)
    name = rng.choice(names)
    box = world.oracle.names[name]
    if s.box is box:
        return delete_own(world, s, box)
    s.op("DELETE " + world.encode(s, name), lambda: world.oracle.delete(name))


def delete_own(world, s, box):
    s.box = None
    world.oracle.delete(box.name)
    untagged = s.simple("DELETE " + world.wire_name(s, box))
    if [r.code for r in untagged if isinstance(r, Condition)] != ["CLOSED"]:
        raise Wrong("DELETE of the selected mailbox: %r" % untagged)


def rename(world, s, rng):
    old = rng.choice([n for n in NAMES if n in world.oracle.names])
    new = [n for n in NAMES if n not in world.oracle.names and not n.startswith(old + "/")]
    if not new or (old == "INBOX" and rng.random() < 0.7):
        return
    name = rng.choice(new)
    s.op("RENAME %s %s" % (world.encode(s, old), world.encode(s, name)), lambda: world.oracle.rename(old, name),
         accept={"Listed"})
    if old != "INBOX":
        world.move_caches(old, name, rng)


# ---- sessions ----

def select(world, s, rng):
    s.select(world.some_box(rng, 0.12), rng)


def unselect(world, s, rng):
    s.keep()
    s.box = None
    s.simple("UNSELECT")


def close(world, s, rng):
    """Expunges without telling; the client's MODSEQ stays below that [RFC 7162 s3.2.8]."""
    s.keep()
    box, s.box = s.box, None
    untagged, tagged = s.conn.command("CLOSE")
    world.note(s, s.conn.transcript, box)
    if untagged or tagged.word != "OK" or tagged.code == "HIGHESTMODSEQ":
        raise Wrong("CLOSE: %r %r" % (untagged, tagged))
    if not s.read_only:
        box.expunge(box.with_flag("\\Deleted"))


def leave(world, s, rng):
    if rng.random() < 0.5:
        s.conn.begin("LOGOUT")
    s.drop()


def idle(world, s, rng):
    s.begin_idle()


# (weight, function, needs a message, changes the selected mailbox)
ALL = [
    (3, noop, False, False), (16, store, True, True), (5, expunge, False, True), (8, copy, True, False),
    (10, append, False, False), (4, deliver, False, False), (8, fetch, True, False), (2, fetch_body, True, False),
    (3, replace, True, True),
    (5, search, True, False), (3, status, False, False), (1, create, False, False), (0.4, delete, False, False),
    (0.5, rename, False, False), (4, select, False, False), (1, unselect, False, False), (1, close, False, False),
    (4, leave, False, False), (2, idle, False, False),
]
WITH_MODSEQ = [(8, fetch_changed, True, False)]


def choose(s, rng):
    fit = [(w, f) for w, f, message, changes in ALL + (WITH_MODSEQ if s.aware else [])
           if (s.slots or not message) and not (changes and s.read_only)]
    return rng.choices([f for _, f in fit], [w for w, _ in fit])[0]
