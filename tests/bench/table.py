"""Medians, ratios and targets of a run's lines."""

import statistics

import modes


def medians(rows):
    """{mode: {server: (figure, cpu_us or None)}}"""
    seen = {}
    for row in rows:
        if row["what"] == "run":
            seen.setdefault((row["mode"], row["server"]), []).append(row)
    found = {}
    for (mode, server), runs in seen.items():
        cpu = [r["cpu_us"] for r in runs if "cpu_us" in r]
        found.setdefault(mode, {})[server] = (statistics.median(r["figure"] for r in runs),
                                              statistics.median(cpu) if cpu else None)
    for mode in modes.MODES:
        if mode.runner.startswith("of fill "):
            for row in rows:
                if row["what"] == "fill" and row["mode"] == mode.runner[8:] and row["server"] in modes.THREE:
                    found.setdefault(mode.key, {})[row["server"]] = (row[mode.figure], None)
        elif mode.runner.startswith("of "):
            for server in found.get(mode.runner[3:], {}):
                runs = [r[mode.figure] for r in seen[mode.runner[3:], server]]
                found.setdefault(mode.key, {})[server] = (statistics.median(runs), None)
    return found


def limits_of(rows):
    return {r["name"]: r["value"] for r in rows if r["what"] == "limit"}


def number(value):
    if value is None:
        return "-"
    return "{:,.0f}".format(value) if abs(value) >= 100 else "%.3g" % value


def verdict(mode, ours, peers, limits):
    """(the targets' text with what they are here, whether all are met; None when nothing can be said)."""
    texts, met = [], None
    for target in mode.targets:
        goal = target.of(peers, limits)
        if goal is None or ours is None:
            texts.append(target.text)
            continue
        good = ours <= goal if mode.lower else ours >= goal
        met = good if met is None else met and good
        texts.append(target.text if number(goal) == target.text.split()[0] else "%s: %s" % (target.text, number(goal)))
    return "; ".join(texts), met


def ratio(mode, ours, peers):
    """Ours against the better peer, above 1 where ours is better."""
    values = [v for name, v in peers.items() if name in modes.PEERS and v]
    if not values or not ours:
        return None
    return min(values) / ours if mode.lower else ours / max(values)


def cells(rows):
    found, limits = medians(rows), limits_of(rows)
    for mode in modes.MODES:
        if mode.key not in found:
            continue
        here = found[mode.key]
        ours = here.get("restante", (None, None))
        peers = {name: here[name][0] for name in modes.PEERS if name in here}
        target, met = verdict(mode, ours[0], peers, limits)
        yield mode, here, ours[0], peers, ratio(mode, ours[0], peers), target, met


def text(rows):
    """For a terminal."""
    out = ["%-62s %10s %10s %10s %-5s %7s  %s" % ("", "Restante", "Dovecot", "Cyrus", "", "ratio", "target")]
    for mode, here, ours, peers, times, target, met in cells(rows):
        out.append("%-62.62s %10s %10s %10s %-5s %7s  %s%s" % (
            mode.title, number(ours), number(peers.get("dovecot")), number(peers.get("cyrus")), mode.unit,
            "%.2f" % times if times else "", {True: "met ", False: "MISSED ", None: ""}[met], target))
        cpu = {name: here[name][1] for name in here if here[name][1] is not None}
        if cpu:
            out.append("%-62s %10s %10s %10s us" % ("    server CPU for each", *(
                number(cpu.get(name)) for name in modes.THREE)))
    for r in rows:
        if r["what"] == "limit":
            out.append("%-62s %10s %s" % ("limit: " + r["name"], number(r["value"]), r["unit"]))
    return "\n".join(out)


