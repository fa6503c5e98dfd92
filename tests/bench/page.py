#!/usr/bin/python3
"""The parts of doc/benchmarks.md that runs of bench.py make: each between two marks, everything else of the page stays.

    tests/bench/page.py [LINES.jsonl [PAGE.md]]       # writes it again from these lines, or all from those that are kept

The table has the medians; a figure that missed its target is said to have.
"""

import json
import os
import re
import sys

import modes
import table

HERE = os.path.dirname(os.path.abspath(__file__))
PAGE = os.path.join(HERE, "..", "..", "doc", "benchmarks.md")
DATA = os.path.join(HERE, "data")
KEPT = "fast.jsonl", "trixie.jsonl"
WORD = {True: "yes", False: "**no**", None: "?"}


def first(rows, what, **want):
    return next((r for r in rows if r["what"] == what and all(r.get(k) == v for k, v in want.items())), {})


def head(rows):
    m = first(rows, "machine")
    versions = ", ".join("%s (%s)" % (r["title"], r["version"]) for r in rows
                         if r["what"] == "version" and r["server"] in modes.THREE)
    yield ("%s on %s: %s, %d cores, %.0f GB, %s; load average %.2f when it began. %d round%s%s. %s." % (
        m["date"], m["system"], m["cpu"], m["cores"], m["memory_kb"] / 1e6, m["kernel"], m["load_1m"], m["rounds"], "s" if m["rounds"] != 1 else "",
        ", with the small counts of bench-quick" if m["quick"] else "", versions))
    if "peers" in m:
        yield "\nDovecot and Cyrus are those of %s, in a root of their own." % m["peers"]
    for r in rows:
        if r["what"] == "missing":
            yield "\n%s was missing: %s." % (r["server"].capitalize(), r["why"])
    counts = m["counts"]
    if counts["big"] != 100000:
        yield "\nWhere it says 100k, the mailbox had {:,} messages; 10,000 were {:,}.".format(counts["big"], counts["bulk"])


def figures(rows):
    yield "| mode | Restante | Dovecot | Cyrus | ratio | to reach | reached |"
    yield "|---|---:|---:|---:|---:|---|---|"
    for mode, here, ours, peers, ratio, target, met in table.cells(rows):
        yield "| %s%s | %s | %s | %s | %s | %s | %s |" % (
            mode.title, ", " + mode.unit if mode.unit else "", table.number(ours), table.number(peers.get("dovecot")),
            table.number(peers.get("cyrus")), "%.1f" % ratio if ratio else "-", target, WORD[met])


def processor(rows):
    yield "| microseconds of processor | Restante | Dovecot | Cyrus |"
    yield "|---|---:|---:|---:|"
    for mode, here, *_ in table.cells(rows):
        cpu = {name: here[name][1] for name in here if here[name][1] is not None}
        if cpu:
            yield "| %s | %s |" % (mode.title, " | ".join(table.number(cpu.get(name)) for name in modes.THREE))


def limits(rows):
    yield "| limit of this machine | |"
    yield "|---|---:|"
    for r in rows:
        if r["what"] == "limit":
            yield "| %s | %s %s |" % (r["name"], table.number(r["value"]), r["unit"])


def remarks(rows):
    hibernated = [here["dovecot-hibernated"][0] for mode, here, *_ in table.cells(rows) if "dovecot-hibernated" in here]
    if hibernated:
        yield "Dovecot's idle sessions hibernated take %s kB (plain, TLS).\n" % " and ".join(map(table.number, hibernated))
    for r in rows:
        if r["what"] == "failed":
            yield "Not measured: %s of %s: `%s`\n" % (r["mode"], r["server"], r["why"].replace("`", "'"))


def section(rows):
    parts = ["\n".join(head(rows)), "\n".join(figures(rows)), "\n".join(remarks(rows)).rstrip(),
             "Processor time of all of a server's processes for each operation; for FETCH, bodies and POP3 each message.",
             "\n".join(processor(rows)), "\n".join(limits(rows))]
    return "\n\n".join(p for p in parts if p)


def put(name, text, path=PAGE):
    """What stands between the marks of that name is `text` from now on."""
    begin, end = "<!-- begin: %s -->" % name, "<!-- end: %s -->" % name
    with open(path) as f:
        old = f.read()
    if begin not in old or end not in old:
        raise SystemExit("page: %s has no %s" % (path, begin))
    new = re.sub(re.escape(begin) + ".*?" + re.escape(end), lambda _: "%s\n\n%s\n\n%s" % (begin, text, end), old, flags=re.S)
    with open(path, "w") as f:
        f.write(new)


def write(rows, path=PAGE):
    put("make bench-trixie" if "peers" in first(rows, "machine") else "make bench", section(rows), path)


def main():
    kept = [os.path.join(DATA, name) for name in KEPT if os.path.exists(os.path.join(DATA, name))]
    page = sys.argv[2] if len(sys.argv) > 2 else PAGE
    for lines in sys.argv[1:2] or kept:
        with open(lines) as f:
            write([json.loads(line) for line in f if line.strip()], page)


if __name__ == "__main__":
    main()
