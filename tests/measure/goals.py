#!/usr/bin/env python3
"""The measurements that the README tells of, one command line after the other, each of three minutes at most.

    tests/measure/goals.py --list
    sudo tests/measure/goals.py                          # all of them: an hour
    sudo tests/measure/goals.py 64k-10-kept idle-tls        # some
    sudo tests/measure/goals.py --brief                  # seconds each: whether they run, not what they show

Every line of ringpost-bench is printed before it runs, so that it can be repeated by hand; what came out is kept in
--out (default target/goals) as JSON, and all of it becomes one page there. Nothing else may run on the machine. As
root, because Postfix wants it; needs postfix, dovecot-imapd, dovecot-lmtpd and a release build of engine and bench.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import time

HOME = pathlib.Path(__file__).resolve().parents[2]
BENCH = HOME / "target/release/ringpost-bench"
THREE = "ringpost,postfix-dovecot,smtp-sink"
TWO = "ringpost,postfix-dovecot"


class Session:
    """What the steps share: where results go, and how long a run may be."""

    def __init__(self, out, brief):
        self.out = out
        self.brief = brief
        self.failed = []

    def bench(self, name, *words):
        """Runs the tool; gives the outcomes. What a peer loses is told and does not end the others."""
        file = self.out / f"{name}.json"
        words = [str(BENCH), *words, "--json", str(file)]
        print("\n$", shlex.join(words), flush=True)
        code = subprocess.run(words, cwd=HOME).returncode
        if code != 0:
            self.failed.append(f"{name}: exit code {code}")
        return json.loads(file.read_text()) if file.exists() else []

    def compare(self, name, scenario, servers, *words, runs=5, secs=4):
        runs, secs = (1, 1) if self.brief else (runs, secs)
        words = ["--servers", servers, "--runs", str(runs), "--for", str(secs), *words]
        return self.bench(name, "compare", scenario, *words)

    def secs(self, usual):
        return str(1 if self.brief else usual)


class Server:
    """A server that runs on while several lines load it; its doors by their names."""

    def __init__(self, name="ringpost"):
        self.name = name

    def __enter__(self):
        # What a run that was interrupted left.
        subprocess.run([BENCH, "peers", "down", self.name], capture_output=True)
        print("\n$", BENCH, "peers up", self.name, flush=True)
        subprocess.run([BENCH, "peers", "up", self.name], check=True, cwd=HOME)
        told = subprocess.run([BENCH, "peers", "list", "--json"], check=True, capture_output=True).stdout
        target = next(one for one in json.loads(told) if one["name"] == self.name)
        self.doors = target["doors"]
        self.folder = target["folder"]
        self.password = ["--password", target["password"]]
        self.login = ["--accounts", "user{0..19}@example.test", *self.password]
        self.subject = ["--pid", str(target["pid"]), "--folder", target["folder"]]
        self.subject += ["--cgroup", target["cgroup"]] if target["cgroup"] else []
        return self

    def __exit__(self, *_):
        subprocess.run([BENCH, "peers", "down", self.name], check=True)


def row(size, connections, is_kept):
    """One row of the README's table, loaded by Postfix's own smtp-source."""
    name = f"{size}-{connections}-{'kept' if is_kept else 'each'}"
    words = ["--generator", "smtp-source", "--size", size, "-c", str(connections)]
    words += [] if is_kept else ["--per-connection", "1"]

    def step(session):
        session.compare(name, "smtp", THREE, *words, secs=3)

    how = "kept" if is_kept else "a connection a message"
    step.__doc__ = f"{size}, {connections} sessions, {how}: beside Postfix + Dovecot and smtp-sink."
    return name, step


def classic(session):
    """The mix `classic`, 10 sessions of our own generator, beside Postfix + Dovecot."""
    session.compare("classic", "smtp", TWO, "--size", "classic", "-c", "10")


def office(session):
    """The mix `office`, 10 sessions of our own generator, beside Postfix + Dovecot."""
    session.compare("office", "smtp", TWO, "--size", "office", "-c", "10", runs=3)


def saturated(session):
    """One shard by our own generator, 1,000 connections: 80,000 a second; with DATA, and in one turn with BDAT."""
    words = ["-c", "1000", "--sources", "4"]
    session.compare("one-shard", "smtp", "ringpost:1", *words, secs=6)
    session.compare("one-shard-bdat", "smtp", "ringpost:1", *words, "--bdat", secs=6)


def scaling(session):
    """One shard and two, 10,000 a second each and all they can: messages a CPU second fall by 10 % at most."""
    words = ["-c", "1000", "--sources", "4"]
    for shards in [1, 2]:
        rate = ["--rate", str(10_000 * shards), "--poisson"]
        session.compare(f"shards-{shards}", "smtp", f"ringpost:{shards}", *words, *rate, runs=3, secs=5)
    session.compare("shards", "smtp", "ringpost:1,ringpost:2", *words, secs=6)


def delivery(session):
    """From submission to the inbox at half of the peak: p50 of 1 ms, p99 of 5 ms."""
    with Server() as server:
        common = ["smtp", server.doors["smtp"], *server.login, "-c", "100", "--for", session.secs(10), "--warm-up", "1"]
        # What the disk alone does to so many commits: a floor of what follows.
        words = ["--rate", "6000", "--octets", "16384", "--for", session.secs(20)]
        session.bench("delivery-disk", "disk", server.folder, *words)
        peak = session.bench("delivery-peak", *common, *server.subject)[0]
        rate = peak["counts"]["acknowledged"] * 1e6 / peak["elapsed_micros"] / 2
        words = ["--rate", f"{rate:.0f}", "--poisson", "--inbox", "1", "--imap", server.doors["imap"]]
        session.bench("delivery-half", *common, *words, *server.subject)


def submission(session):
    """Submission with AUTH under TLS, resumed, a connection a message; and with full handshakes."""
    words = ["-c", "10", "--per-connection", "1"]
    session.compare("submission-resumed", "submission", TWO, *words, runs=3)
    outcomes = session.compare("submission-full", "submission", TWO, *words, "--full-handshakes", runs=3)
    tell_share(outcomes)


def tls_share(session):
    """The share of TLS in it: the same messages under TLS with AUTH, and in clear without."""
    with Server() as server:
        common = [*server.login, "-c", "10", "--per-connection", "1", "--for", session.secs(10), *server.subject]
        clear = session.bench("share-clear", "smtp", server.doors["smtp"], *common)
        under = ["submission", server.doors["submissions"], *common, "--tls", "implicit"]
        resumed = session.bench("share-resumed", *under)
        full = session.bench("share-full", *under, "--full-handshakes")
    base = cpu(clear)
    for name, outcomes in (("resumed", resumed), ("full handshakes", full)):
        spent = cpu(outcomes)
        share = 100 * (spent - base) / spent
        print(f"TLS and AUTH, {name}: {share:.0f} % of the server's {spent:.3f} CPU s per 1,000 ({base:.3f} in clear)")
        tell_share(outcomes)


def cpu(outcomes):
    """CPU seconds of the server per 1,000 messages."""
    outcome = outcomes[0]
    return outcome["usage"]["cpu_micros"] / outcome["counts"]["acknowledged"] / 1e3


def tell_share(outcomes):
    """How much of the time that a message takes with its connection is the handshake's."""
    for outcome in outcomes:
        phases = {phase["name"]: phase["count"] * phase["mean"] for phase in outcome["phases"]}
        steps = [name for name in phases if name not in ("whole", "inbox")]
        tls = sum(phases.get(name, 0) for name in ("tls", "tls resumed"))
        share = 100 * tls / max(sum(phases[name] for name in steps), 1)
        print(f"{outcome['server']}: {share:.0f} % of the time of a client is the handshake's")


def mixed(session):
    """Days of 1,000 users, a minute a second, beside Postfix + Dovecot."""
    users = "100" if session.brief else "1000"
    session.compare("mixed", "mixed", TWO, "--users", users, "--size", "classic", runs=1, secs=30)


def idle(session, door, *words):
    count = "1000" if session.brief else "10000"
    with Server() as server:
        population = ["--do", "idle", "-c", count, "--sources", "8", "--levels", "4", "--deliveries", "5"]
        target = ["imap", server.doors[door], *server.login, *population, *words, *server.subject]
        session.bench(f"idle-{door}", *target)


def idle_clear(session):
    """10,000 connections in IDLE: 8 KiB of server memory each, linear."""
    idle(session, "imap")


def idle_tls(session):
    """10,000 connections in IDLE under TLS: 16 KiB each."""
    idle(session, "imaps", "--tls", "implicit")


def bytes_each(session):
    """Octets written a message at 100 sessions, once segments are recycled: 6 KB at most."""
    session.compare("bytes", "smtp", "ringpost", "-c", "100", runs=3, secs=20)


LOOKS = {
    "select": ["--do", "select"],
    "flags": ["--do", "fetch-all", "--fetch", "(FLAGS UID MODSEQ)"],
    "envelope": ["--do", "fetch-all", "--fetch", "(ENVELOPE)"],
    "bodies": ["--do", "fetch-all", "--fetch", "(BODY.PEEK[])"],
    "subject": ["--do", "search", "--search", "SUBJECT zyzzyva"],
    "body": ["--do", "search", "--search", "BODY zyzzyva"],
    "sort": ["--do", "sort"],
    "thread": ["--do", "thread"],
}


def mailbox(session):
    """A mailbox of 100,000 messages: the first look at it and the later ones, Ringpost and Dovecot."""
    count = "1000" if session.brief else "100000"
    seen = {name: {} for name in ("ringpost", "dovecot")}
    for name, looks in seen.items():
        with Server(name) as server:
            common = ["imap", server.doors["imap"], "--accounts", "user0@example.test", *server.password]
            common += ["-c", "1", "--threads", "1", "--fill", count, "--timeout", "300"]
            session.bench(f"mailbox-{name}-fill", *common, "--do", "select", "-m", "1")
            time.sleep(float(session.secs(30)))  # What a server does behind the deliveries.
            for look, words in LOOKS.items():
                first = session.bench(f"mailbox-{name}-{look}-first", *common, *words, "-m", "1")
                later = session.bench(f"mailbox-{name}-{look}-later", *common, *words, "-m", "15")
                looks[look] = millis(first, "slowest"), millis(later, "median")
    print(f"\n{'':10} {'Ringpost, first':>16} {'later':>10} {'Dovecot, first':>16} {'later':>10}   milliseconds")
    for look in LOOKS:
        times = [time for name in seen for time in seen[name][look]]
        print(f"{look:10} {times[0]:16.2f} {times[1]:10.2f} {times[2]:16.2f} {times[3]:10.2f}")


def millis(outcomes, which):
    """Milliseconds of the commands that were measured: the slowest of them or their median."""
    names = ("select", "fetch", "search", "sort", "thread")
    phases = [phase for outcome in outcomes for phase in outcome["phases"] if phase["name"] in names]
    if not phases:
        return float("nan")
    # SELECT opens the mailbox in any case; what else is measured comes behind it.
    micros = {"slowest": phases[-1]["max"], "median": dict(phases[-1]["percentiles"])[50]}
    return micros[which] / 1e3


def visits(session):
    """LOGIN, SELECT, LOGOUT, ten at once, a connection each."""
    session.compare("imap-visits", "imap", "ringpost,dovecot", "--do", "visit", "-c", "10")


def fetch_one(session):
    """FETCH of random single messages, 8 connections."""
    session.compare("imap-fetch", "imap", "ringpost,dovecot", "-c", "8", "--users", "8", "--fill", "2000")


def flags(session):
    """STORE of a flag, 50 connections, durable."""
    session.compare("imap-store", "imap", "ringpost,dovecot", "--do", "flags", "-c", "50", "--users", "50")


def append(session):
    """APPEND of 4 KiB, 50 connections, durable."""
    words = ["--do", "append", "-c", "50", "--users", "50", "--fill", "0"]
    session.compare("imap-append", "imap", "ringpost,dovecot", *words)


def polls(session):
    """POP3: login, UIDL, RETR of two new messages, quit."""
    words = ["--users", "100", "-c", "10", "--poll", "uidl,retr", "--each", "2", "--fill", "20"]
    session.compare("pop3", "pop3", "ringpost,dovecot", *words)


def relay(session):
    """Passed on, 4 KiB by 10 and 50 sessions, 64 KiB by 50, beside Postfix."""
    for size, count in (("4k", "10"), ("4k", "50"), ("64k", "50")):
        session.compare(f"relay-{size}-{count}", "relay", "ringpost,postfix", "--size", size, "-c", count)


STEPS = {
    **dict(row(size, count, is_kept) for size in ("4k", "64k") for is_kept in (True, False) for count in (10, 100)),
    "classic": classic,
    "office": office,
    "saturated": saturated,
    "scaling": scaling,
    "delivery": delivery,
    "submission": submission,
    "tls-share": tls_share,
    "mixed": mixed,
    "idle": idle_clear,
    "idle-tls": idle_tls,
    "bytes": bytes_each,
    "mailbox": mailbox,
    "visits": visits,
    "fetch": fetch_one,
    "store": flags,
    "append": append,
    "pop3": polls,
    "relay": relay,
}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("steps", nargs="*", metavar="STEP", help="all, if none is named")
    parser.add_argument("--list", action="store_true", help="say what there is")
    parser.add_argument("--brief", action="store_true", help="seconds each, to see whether they run")
    parser.add_argument("--out", type=pathlib.Path, default=HOME / "target/goals")
    chosen = parser.parse_args()
    if chosen.list:
        for name, step in STEPS.items():
            print(f"{name:14} {step.__doc__}")
        return
    unknown = [name for name in chosen.steps if name not in STEPS]
    if unknown:
        parser.error(f"no such step: {', '.join(unknown)}; --list names them")
    if not BENCH.exists():
        raise SystemExit("there is no release build; try: cargo build --release -p engine -p bench")
    chosen.out.mkdir(parents=True, exist_ok=True)
    session = Session(chosen.out, chosen.brief)
    for name in chosen.steps or STEPS:
        print(f"\n== {name}: {STEPS[name].__doc__}", flush=True)
        STEPS[name](session)
    files = [str(file) for file in sorted(chosen.out.glob("*.json"))]
    page = chosen.out / "goals.html"
    subprocess.run([BENCH, "report", *files, "--html", str(page)], check=True, stdout=subprocess.DEVNULL)
    print(f"\neverything so far: {page}")
    if session.failed:
        sys.exit("; ".join(session.failed))


main()
