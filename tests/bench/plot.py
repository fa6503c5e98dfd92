#!/usr/bin/python3
"""Draw the kept numbers: doc/benchmarks-*.svg from the files of tests/bench/data. Standard library only.

    tests/bench/plot.py [DATA.jsonl [OUTPUT_DIR]]
"""

import html
import json
import math
import os
import statistics
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
WIDTH, LEFT, BAR, GAP, TOP = 720, 250, 22, 12, 56
INK, GRID = "#222222", "#d0d0d0"
OURS, PEER, LIMIT = "#1f6f8b", "#b8860b", "#8a8a8a"


def read(path):
    with open(path) as f:
        return [json.loads(line) for line in f if line.strip()]


def median(rows, what, field, **want):
    """The median of a field over the rows that match, or None."""
    seen = [r[field] for r in rows if r["what"] == what and all(r.get(k) == v for k, v in want.items())]
    return statistics.median(seen) if seen else None


def text(x, y, s, size=13, anchor="start", weight="normal"):
    return ('<text x="%.0f" y="%.0f" font-size="%d" text-anchor="%s" font-weight="%s" fill="%s">%s</text>'
            % (x, y, size, anchor, weight, INK, html.escape(s)))


def nice_step(top):
    """1, 2 or 5 times a power of ten: the largest that leaves four steps or more below the top."""
    power = 10.0 ** math.floor(math.log10(top))
    return next(power * part for part in (1, 0.5, 0.2) if top / (power * part) >= 4)


def chart(title, unit, bars):
    """Horizontal bars: (label, value, colour)."""
    bars = [b for b in bars if b[1] is not None]
    top = max(value for _, value, _ in bars)
    step, scale = nice_step(top), (WIDTH - LEFT - 90) / top
    bottom = TOP + len(bars) * (BAR + GAP)
    out = ['<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" font-family="sans-serif">'
           % (WIDTH, bottom + 40),
           '<rect width="100%" height="100%" fill="white"/>', text(16, 26, title, 16, weight="bold")]
    tick = 0.0
    while tick <= top:
        x = LEFT + tick * scale
        out.append('<line x1="%.1f" y1="%d" x2="%.1f" y2="%d" stroke="%s"/>' % (x, TOP - 8, x, bottom, GRID))
        out.append(text(x, bottom + 16, "%g" % tick, 11, "middle"))
        tick += step
    out.append(text(WIDTH - 16, bottom + 32, unit, 11, "end"))
    for k, (label, value, colour) in enumerate(bars):
        y = TOP + k * (BAR + GAP)
        out.append(text(LEFT - 8, y + 16, label, 13, "end"))
        out.append('<rect x="%d" y="%d" width="%.1f" height="%d" fill="%s"/>' % (LEFT, y, value * scale, BAR, colour))
        out.append(text(LEFT + value * scale + 6, y + 16, "%g" % value, 12))
    return "\n".join(out + ["</svg>"]) + "\n"


def bytes_of_mail(rows):
    """Bytes on the disk for a byte of mail, each server's messages and what it finds them with."""
    labels = (("restante", "log", "Restante, log", OURS), ("restante", "index", "Restante, index", OURS),
              ("dovecot-mdbox-zstd", "mail", "Dovecot mdbox zstd, mail", PEER),
              ("dovecot-mdbox-zstd", "index", "Dovecot mdbox zstd, indexes", PEER),
              ("cyrus", "mail", "Cyrus, spool", PEER), ("cyrus", "index", "Cyrus, index and cache", PEER))
    for server, part, label, colour in labels:
        for row in rows:
            if row["what"] == "disk" and row["server"] == server:
                yield label, round(row[part + "_disk_bytes"] / row["fed"]["bytes"], 3), colour


def maintenance_charts(rows):
    yield "disk", chart("Disk for a byte of mail", "bytes", list(bytes_of_mail(rows)))


def crowd_charts(rows):
    many = max(row["count"] for row in rows if row["what"] == "idle TLS connections")
    few = min(row["count"] for row in rows if row["what"] == "idle TLS connections")

    def first(what, server):
        return next(row for row in rows if row["what"] == what and row.get("server") == server)

    def times(what, server, label, colour):
        return label, first(what, server)["median_ms"], colour

    yield "crowd", chart("An answer, alone and among {:,} idle TLS connections".format(many), "milliseconds, median", [
        times("login alone", "restante", "login over TLS, alone", OURS),
        times("login among the crowd", "restante", "login over TLS, among the crowd", OURS),
        times("delivery alone", "restante", "delivery, alone", OURS),
        times("delivery among the crowd", "restante", "delivery, among the crowd", OURS)])
    each = [next(row for row in rows if row["what"] == "idle TLS connections" and row["server"] == server
                 and row["count"] == few) for server in ("restante", "dovecot")]
    yield "crowd-memory", chart("An idle TLS connection, logged in ({:,} of them)".format(few), "KiB each (PSS)", [
        (name, round(row["bytes_each"] / 1024, 1), colour)
        for name, row, colour in zip(("Restante", "Dovecot 2.3"), each, (OURS, PEER))])


def first_light_charts(rows):
    def rate(recipients):
        return median(rows, "delivery", "rate", recipients=recipients)

    def other(kind, recipients):
        return median(rows, "peer.delivery", "rate", server="dovecot-" + kind, recipients=recipients)

    limit = {field: median(rows, "delivery", field, recipients=1)
             for field in ("appends_with_fdatasync_per_s", "ms_each")}
    yield "delivery", chart("LMTP delivery, 4 KiB, 8 connections, every 250 durable", "messages a second, median", [
        ("disk: fdatasync, one by one", limit["appends_with_fdatasync_per_s"], LIMIT),
        ("Restante, one mailbox", rate(1), OURS),
        ("Dovecot sdbox, one mailbox", other("sdbox", 1), PEER),
        ("Dovecot mdbox, one mailbox", other("mdbox", 1), PEER),
        ("Restante, eight mailboxes", rate(8), OURS),
        ("Dovecot sdbox, eight mailboxes", other("sdbox", 8), PEER),
        ("Dovecot mdbox, eight mailboxes", other("mdbox", 8), PEER)])
    many = "SELECT of {:,} messages".format(median(rows, "select", "messages"))
    yield "latency", chart("Time to an answer", "milliseconds, median", [
        ("disk: one 4 KiB fdatasync", limit["ms_each"], LIMIT),
        ("delivery: final dot to 250", median(rows, "notification", "median_ms", until="250"), OURS),
        ("IDLE: final dot to EXISTS", median(rows, "notification", "median_ms", until="EXISTS"), OURS),
        (many, median(rows, "select", "median_ms"), OURS)])
    yield "memory", chart("Server memory of an idle connection, INBOX selected", "KiB each (RSS)", [
        ("plain", median(rows, "idle.memory", "kb_each", tls=False), OURS),
        ("TLS", median(rows, "idle.memory", "kb_each", tls=True), OURS)])


def charts_of(rows):
    if median(rows, "delivery", "rate") is not None:
        return first_light_charts
    return crowd_charts if any(row["what"] == "idle TLS connections" for row in rows) else maintenance_charts


def main():
    kept = [os.path.join(HERE, "data", name + ".jsonl") for name in ("first-light", "maintenance", "crowd")]
    out = sys.argv[2] if len(sys.argv) > 2 else os.path.join(HERE, "..", "..", "doc")
    for rows in map(read, sys.argv[1:2] or kept):
        for name, svg in charts_of(rows)(rows):
            with open(os.path.join(out, "benchmarks-%s.svg" % name), "w") as f:
                f.write(svg)


if __name__ == "__main__":
    main()
