"""What is measured: the rows of doc/benchmarks.md, each with the load generator's arguments, its figure and its target.

A target is a function of the other servers' medians and the machine's limits; it gives the figure to reach, or None when what
it compares with is missing. Words like {mail} in arguments are the counts below.
"""

RESTANTE, PEERS = ("restante",), ("dovecot", "cyrus")
THREE = RESTANTE + PEERS

COUNTS = {          # whole, quick
    "big": (100000, 20000),     # messages of the mailbox whose metadata is read
    "mail": (3000, 600),        # of that whose bodies are read
    "drop": (600, 200),         # of each of four maildrops
    "small": (1000, 300),       # of each mailbox whose flags are changed, or that sessions read
    "bulk": (10000, 2000),      # copied, moved and expunged
    "lmtp": (3000, 800),
    "many": (200, 60),
    "append": (2000, 500),
    "multi": (40, 10),
    "change": (2000, 800),
    "idle": (2000, 300),        # connections to Restante; a peer gets a tenth
    "crowd": (10000, 1000),     # likewise, while EXISTS is measured
    "sessions": (160, 48),
    "seconds": (2, 1),
}
QUOTED = "real", "text"         # fills whose disk is
CORPUS = "lmtp", "fetch-meta", "bodies", "random", "search-subject", "disk"     # of real mail
NOT_QUICK = "memory-tls", "memory-tls-compress", "start"        # a quick run leaves them out
ACCOUNTS = (["big", "mail", "late", "bulk"] + ["%s%d" % (kind, k) for kind in ("box", "text", "store", "app", "sess")
                                               for k in range(8)] +
            ["drop%d" % k for k in range(4)] + ["many%d" % k for k in range(10)] + ["idle%d" % k for k in range(50)])


class Target:
    """`text` for the table; `of(peers, limits)` the figure to reach: the peers' medians by name, limits by name."""

    def __init__(self, text, of):
        self.text, self.of = text, of


def times(k, only=None):
    """So many times the better peer's rate, or that of one."""
    def of(peers, limits):
        rates = [v for name, v in peers.items() if only in (None, name)]
        return k * max(rates) if rates else None
    return Target("%g x %s" % (k, only.capitalize() if only else "the better"), of)


def part(k, only):
    """So many times a peer's time, or less."""
    return Target("%g x %s" % (k, only.capitalize()), lambda peers, limits: k * peers[only] if only in peers else None)


def at_most(value, unit):
    return Target("%g %s" % (value, unit), lambda peers, limits: value)


def of_limit(k, name):
    return Target("%d %% of OpenSSL alone" % (k * 100), lambda peers, limits: k * limits[name] if name in limits else None)


class Mode:
    """`args`: of the load generator. `port`: which of the server's. `figure`: the field of its line that counts; `lower`:
    less of it is better; `partly`: what it prepares is not timed, but would be in the server's CPU time, which is left out;
    `warm`: run once before, as a server may learn what clients ask for. `runner`: how the driver measures it; "load" runs the
    generator once."""

    def __init__(self, key, title, args, *targets, port="imap", figure="rate", unit="/s", lower=False, servers=THREE,
                 partly=False, warm=False, runner="load"):
        self.key, self.title, self.args, self.targets = key, title, args.split(), targets
        self.port, self.figure, self.unit, self.lower = port, figure, unit, lower
        self.servers, self.partly, self.warm, self.runner = servers, partly, warm, runner

    def words(self, counts, **more):
        return [w.format(**counts, **more) if w.startswith("{") else w.replace("_", " ") for w in self.args]


def took(key, title, args, *targets, **more):
    return Mode(key, title, args, *targets, figure="p50_ms", unit="ms", lower=True, **more)


def flow(key, title, args, *targets, **more):
    return Mode(key, title, args, *targets, figure="mb_per_s", unit="MB/s", **more)


def memory(key, title, args, *targets, **more):
    return Mode(key, title, args, *targets, figure="kb_each", unit="kB", lower=True, runner="idle", **more)


METADATA = "(UID_FLAGS_INTERNALDATE_RFC822.SIZE_ENVELOPE_BODYSTRUCTURE)"
EIGHT = "-c 8 --users 8 "
LOGINS = "-c 16 --users 8 -u box%d -t {seconds} login"
TLS, FULL, RESUMED = "--tls ", "TLS handshakes, full", "TLS handshakes, resumed"

MODES = [
    Mode("lmtp", "LMTP, 8 connections", EIGHT + "-n {lmtp} --rcpt box%d lmtp --mail real", times(4), port="lmtp"),
    Mode("lmtp-text", "LMTP, 8 connections, text only", EIGHT + "-n {lmtp} --rcpt text%d lmtp --mail text", times(6),
         port="lmtp"),
    Mode("lmtp-10", "LMTP, 10 recipients each: recipients",
         "-c 8 --users 10 -n {many} --rcpt many%d lmtp --mail real --recipients 10", times(10), port="lmtp",
         figure="messages_per_s"),
    Mode("login", "login, 16 at once, plain", LOGINS, times(4)),
    Mode("login-tls", "login, 16 at once, TLS, full handshake", TLS + LOGINS, times(2), of_limit(.85, FULL),
         port="imaps", warm=True),
    Mode("login-resumed", "login, 16 at once, TLS resumed", TLS + "--resume " + LOGINS, times(4), port="imaps", warm=True),
    took("select", "SELECT of 100k, new session", "-u big -n 200 select INBOX", at_most(.4, "ms"), partly=True),
    Mode("fetch-meta", "FETCH 1:* " + METADATA.replace("_", " ") + " of 100k", "-u big -t {seconds} fetch " + METADATA,
         times(3), figure="messages_per_s", warm=True),
    Mode("fetch-flags", "FETCH 1:* (UID FLAGS) of 100k", "-u big -t {seconds} fetch (UID_FLAGS)", times(2),
         figure="messages_per_s"),
    flow("bodies", "UID FETCH 1:* BODY.PEEK[], plain", "-u mail -n 2 bodies", times(1.5), warm=True),
    flow("bodies-tls", "UID FETCH 1:* BODY.PEEK[], TLS", TLS + "-u mail -n 2 bodies", times(1.5), port="imaps"),
    flow("bodies-compress", "the same, COMPRESS=DEFLATE, plain", "--compress -u mail -n 1 bodies", times(15)),
    flow("bodies-compress-tls", "the same, COMPRESS=DEFLATE, TLS", TLS + "--compress -u mail -n 1 bodies", times(15),
         port="imaps"),
    took("late", "64 KB of a late part of an 11 MB message", "-u late -n 50 late", at_most(.3, "ms"), warm=True),
    Mode("random", "one random body after another", "-u mail -t {seconds} random", times(3), warm=True),
    Mode("pop3", "POP3 RETR of a maildrop, 1 connection", "--users 4 -u drop%d -n 4 pop3", times(2.5), port="pop3",
         figure="messages_per_s", warm=True),
    Mode("pop3-4", "POP3 RETR of a maildrop, 4 connections", "-c 4 --users 4 -u drop%d -n 4 pop3", times(2.5),
         port="pop3", figure="messages_per_s"),
    Mode("store", "STORE one flag, 1 connection, strict", "-u store0 -n {change} store", times(2, "cyrus")),
    Mode("store-8", "STORE one flag, 8 connections, strict", EIGHT + "-u store%d -n {change} store", times(1, "dovecot")),
    Mode("store-relaxed", "STORE one flag, 1 connection, relaxed", "-u store0 -n {change} store", times(1.2, "dovecot")),
    Mode("store-8-relaxed", "STORE one flag, 8 connections, relaxed", EIGHT + "-u store%d -n {change} store",
         times(1.2, "dovecot")),
    Mode("append", "APPEND, 8 connections", EIGHT + "-u app%d -n {append} append", times(4)),
    Mode("multiappend", "MULTIAPPEND of 50", EIGHT + "-u app%d -n {multi} multiappend 50", times(3),
         figure="messages_per_s"),
    took("copy", "COPY of 10,000", "-u bulk -n 1 copy {bulk}", part(.5, "dovecot"), partly=True),
    took("move", "MOVE of 10,000", "-u bulk -n 1 move {bulk}", part(.5, "dovecot"), partly=True),
    took("expunge", "EXPUNGE of 10,000", "-u bulk -n 1 expunge {bulk}", part(.5, "dovecot"), partly=True),
    took("search-subject", "SEARCH SUBJECT in 100k", "-u big -n 5 search SUBJECT meeting", at_most(30, "ms"), warm=True),
    took("search-subject-first", "the same, once after a start", "-u big -n 1 search SUBJECT meeting", at_most(30, "ms"),
         runner="first"),
    took("search-unseen", "SEARCH UNSEEN in 100k", "-u big -n 20 search UNSEEN", at_most(3, "ms")),
    took("search-since", "SEARCH SINCE in 100k", "-u big -n 10 search SINCE 1-Feb-2026", at_most(7, "ms"), warm=True),
    took("qresync", "QRESYNC of 100k after 100 changes, new session", "-u big -n 10 qresync", at_most(2, "ms"),
         partly=True, warm=True),
    Mode("session", "whole user sessions, 8 at once", EIGHT + "-u sess%d -n {sessions} session",
         times(5)),
    memory("memory", "memory of an idle session, plain", "-u idle%d --users 50", at_most(8, "kB"),
           servers=THREE + ("dovecot-hibernated",)),
    memory("memory-tls", "memory of an idle session, TLS", TLS + "-u idle%d --users 50", at_most(20, "kB"), port="imaps",
           servers=THREE + ("dovecot-hibernated",)),
    memory("memory-tls-compress", "memory of an idle session, TLS and COMPRESS", TLS + "--compress -u idle%d --users 50",
           at_most(28, "kB"), port="imaps"),
    Mode("exists", "250 of a delivery to EXISTS among 10,000 idle, p50", "-u store0 --lmtp-port {lmtp_port} -t 5 exists",
         at_most(.5, "ms"), figure="p50_ms", unit="ms", lower=True, runner="crowd"),
    Mode("exists-p99", "the same, p99", "", at_most(3, "ms"), figure="p99_ms", unit="ms", lower=True, runner="of exists"),
    Mode("disk", "disk, bytes per byte of mail, log and index", "", at_most(.62, ""), figure="disk_per_byte", unit="",
         lower=True, runner="of fill real"),
    Mode("disk-text", "disk, text-only mail", "", at_most(.48, ""), figure="disk_per_byte", unit="", lower=True,
         runner="of fill text"),
    Mode("start", "start to first SELECT of 100k", "", at_most(50, "ms"), figure="p50_ms", unit="ms", lower=True,
         runner="start"),
]


def of_corpus(words, where):
    """The same with mail from files."""
    return [where if w in ("real", "text") else w for w in words]


def corpus_fills(count, where):
    """As fills: each message once over four mailboxes, once in each of two. By LMTP, as APPEND takes no 8-bit header."""
    def deliver(users, rcpt, seed):
        return "lmtp", ["-c", "4", "--users", str(users), "--rcpt", rcpt, "--messages", str(count), "--mail", where,
                        "--seed", seed, "fill"]

    return [("real", *deliver(4, "drop%d", "1")), ("mail", *deliver(1, "mail", "5")), ("big", *deliver(1, "big", "7"))]


def fills(counts, server):
    """(what, port, words for the generator) that make the mail which is there before anything is measured. Mailboxes of one user come by MULTIAPPEND, which is quicker everywhere."""
    def deliver(users, rcpt, messages, *more):
        return "lmtp", ["-c", str(min(8, users)), "--users", str(users), "--rcpt", rcpt, "--messages", str(messages), *more,
                        "fill"]

    def append(user, messages, *more):
        return "imap", ["-u", user, "-n", str(messages // 50), *more, "multiappend", "50"]

    small = "--mail", "text", "--size-mean", "2000", "--seed", "4"
    if server.name == "restante-relaxed":
        return [("small", *deliver(8, "store%d", 8 * counts["small"], *small))]
    if server.name == "dovecot-hibernated":
        return [("small", *deliver(50, "idle%d", 250, *small))]
    return [
        ("real", *deliver(4, "drop%d", 4 * counts["drop"], "--mail", "real", "--seed", "1")),
        ("text", *deliver(8, "sess%d", 8 * counts["small"], "--mail", "text", "--seed", "2")),
        ("small", *deliver(8, "store%d", 8 * counts["small"], *small)),
        ("idle", *deliver(50, "idle%d", 250, *small)),
        ("late", *deliver(1, "late", 10, "--largest", "11000000", "--seed", "3")),
        ("mail", *append("mail", counts["mail"], "--mail", "real", "--seed", "5")),
        ("bulk", *append("bulk", counts["bulk"], "--mail", "text", "--size-mean", "2000", "--seed", "6")),
        ("big", *append("big", counts["big"], "--mail", "text", "--seed", "7")),
    ]
