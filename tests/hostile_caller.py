"""The load of hostile_caller.sh: a world, a host, a hostile caller that does everything at once, and
an honest one beside it on every door. Every part is a process of its own, so that what is measured is
the host: this file starts itself again with a role. It needs Python's standard library only.

    TOOLHOST=toolhost GUESTS=folder python3 tests/hostile_caller.py SECONDS [--json] [--only NAME,...]
"""

import argparse
import hashlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time

from hostile_attacks import (ATTACKS, HELLO, NOBODY, attack, dial, flags, http_call, knock, line, variant,
                             world)

# What must hold. Figures of time are shown and not judged: another load on the machine moves them. The
# tools' own deadlines are longer, so that these judge.
BOUNDS = {
    "an honest call ends within": 15,  # seconds
    "resident MiB, at most": 2048,
    "MiB of state a second, at most": 4,
    "MiB of log, at most": 4,  # and a quarter of one a second
    "seconds from SIGTERM to the end, at most": 40,
}
# Beyond it the attacks end at once: the bound is broken, and the machine is others' too.
TOO_MUCH = 4096


# ---- The honest caller.

class Lines:
    """MCP in lines, over a connection or a process."""

    def __init__(self, place, bridged):
        self.number = 0
        if bridged:
            self.process = subprocess.Popen(place["bridge"], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
            self.write, self.lines = self.process.stdin, self.process.stdout
            self.write.write(HELLO)
            self.write.flush()
        else:
            self.socket = knock(place, BOUNDS["an honest call ends within"])
            self.write, self.lines = self.socket.makefile("wb"), self.socket.makefile("rb")

    def call(self, tool, arguments):
        self.number += 1
        self.write.write(line(self.number, tool, arguments))
        self.write.flush()
        while True:
            read = self.lines.readline()
            if not read:
                raise EOFError("the host hung up")
            if b'"id":%d' % self.number in read:
                return read


class Web:
    """MCP over HTTP, on one connection for as long as it is kept open."""

    def __init__(self, place):
        self.place, self.made = place, None

    def call(self, tool, arguments):
        sent = http_call(self.place, self.place["honest"], tool, arguments)
        for fresh in (self.made is None, True):
            if fresh:
                self.made = dial(self.place, BOUNDS["an honest call ends within"])
            self.made.sendall(sent)
            read = b""
            while (more := self.made.recv(1 << 16)):
                read += more
                head, gap, body = read.partition(b"\r\n\r\n")
                if gap and whole(head, body):
                    return body
            # A connection that rested may be closed; a fresh one may not.
            if fresh:
                raise EOFError("the host hung up")


def whole(head, body):
    head = head.lower()
    if b"content-length:" in head:
        return len(body) >= int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    return body.endswith(b"0\r\n\r\n")


def honest(place):
    """Calls one after the other in every row, and says how long each took."""
    site = place["site"]
    rows = {
        "unix": (lambda: Lines(place, False), "test_add", {"a": 2, "b": 3}, b"5"),
        "http": (lambda: Web(place), "test_add", {"a": 2, "b": 3}, b"5"),
        "stdio": (lambda: Lines(place, True), "test_add", {"a": 2, "b": 3}, b"5"),
        "grant": (lambda: Web(place), "rogue_get", {"url": f"http://127.0.0.1:{site}/quick"}, b"ok"),
        "name": (lambda: Web(place), "light_get", {"url": f"http://good.test:{site}/quick"}, b"ok"),
        "compute": (lambda: Web(place), "work_spin", {}, b"out-of-fuel"),
    }
    over = threading.Event()
    took = {row: {"calls": [], "failed": []} for row in rows}

    def go(row, connect, tool, arguments, wanted):
        through = None
        while not over.is_set():
            begin = time.monotonic()
            try:
                through = through or connect()
                answer = through.call(tool, arguments)
                if wanted not in answer:
                    took[row]["failed"].append(answer[-300:].decode(errors="replace"))
            except Exception as error:  # every one of them is a call that did not work
                through = None
                took[row]["failed"].append(repr(error))
            spent = time.monotonic() - begin
            took[row]["calls"].append(spent)
            if spent > BOUNDS["an honest call ends within"]:
                took[row]["failed"].append(f"it took {spent:.1f} s")
            over.wait(0.02)

    threads = [threading.Thread(target=go, args=(row, *how), daemon=True) for row, how in rows.items()]
    for one in threads:
        one.start()
    over.wait(place["seconds"])
    over.set()
    ends = time.monotonic() + BOUNDS["an honest call ends within"] + 2
    for one, row in zip(threads, rows):
        one.join(max(0, ends - time.monotonic()))
        if one.is_alive():
            took[row]["failed"].append("it never came back")
    for row in took.values():
        row["calls"].sort()
        count = len(row["calls"])
        at = lambda part: round(row["calls"][min(count - 1, int(count * part))] * 1e3, 2) if count else None
        row.update(calls=count, p50=at(0.5), p99=at(0.99), most=at(1), failed=row["failed"][:5],
                   failures=len(row["failed"]))
    print(json.dumps(took), flush=True)
    os._exit(0)


# ---- The run.

MANIFEST = """schema = 1
[host]
state = "state"
agents = ["unix:doors/agent.sock", "http://127.0.0.1:{http}"]
[host.egress]
dns = "127.0.0.1:{names}"
[caller.hostile]
token_sha256 = "{hostile}"
{stranger}may = ["*"]
[caller.honest]
token_sha256 = "{honest}"
uid = {uid}
may = ["*"]
[tool.test]
component = "everything.wasm"
[tool.rogue]
component = "rogue.wasm"
log = "info"
limits = {{ fuel = 100_000_000_000, deadline = "20s" }}
[tool.rogue.http.api]
url = "http://127.0.0.1:{site}"
allow = ["GET /**"]
private = ["127.0.0.0/8"]
[tool.rogue.dir.notes]
host = "notes"
guest = "/notes"
access = "read-write"
[tool.loop]
component = "rogue.wasm"
limits = {{ fuel = 10_000_000_000_000, deadline = "20s" }}
[tool.work]
component = "rogue.wasm"
limits = {{ fuel = 50_000_000, deadline = "20s" }}
[tool.dark]
component = "rogue.wasm"
[tool.dark.http.api]
url = "http://silent.test"
allow = ["GET /**"]
[tool.light]
component = "rogue.wasm"
limits = {{ deadline = "20s" }}
[tool.light.http.api]
url = "http://good.test:{site}"
allow = ["GET /**"]
private = ["127.0.0.0/8"]
[tool.flags]
component = "flags.wasm"
[tool.variant]
component = "variant.wasm"
[tool.wasi3]
component = "wasi3.wasm"
wasi = "0.3"
[tool.wasi3.dir.notes]
host = "empty"
guest = "/empty"
access = "read"
"""


def play(role, place):
    """This file in a role, as a process."""
    return subprocess.Popen([sys.executable, __file__, "--role", role, json.dumps(place)],
                            stdout=subprocess.PIPE, text=True)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def folder_bytes(folder):
    total = 0
    for at, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.lstat(os.path.join(at, file)).st_size
            except OSError:
                pass
    return total


class House:
    """A host in a folder of its own."""

    def __init__(self, folder, outside):
        self.folder = folder
        # Others go through it to the socket, and do not look around.
        os.chmod(folder, 0o711)
        program, guests = os.path.abspath(os.environ["TOOLHOST"]), os.environ["GUESTS"]
        self.place = {
            "http": free_port(), "unix": f"{folder}/doors/agent.sock", "hostile": "token-of-the-hostile",
            "honest": "token-of-the-honest", "stranger": os.geteuid() == 0, **outside,
            "bridge": [program, "--manifest", f"{folder}/toolhost.toml", "serve", "--stdio"],
        }
        for name in ("everything", "rogue", "wasi3"):
            os.symlink(f"{guests}/{name}.wasm", f"{folder}/{name}.wasm")
        for name, bytes_ in (("flags", flags()), ("variant", variant())):
            with open(f"{folder}/{name}.wasm", "wb") as file:
                file.write(bytes_)
        for name in ("notes", "empty", "state"):
            os.mkdir(f"{folder}/{name}", 0o700)
        digest = lambda token: hashlib.sha256(self.place[token].encode()).hexdigest()
        with open(f"{folder}/toolhost.toml", "w", encoding="utf-8") as file:
            file.write(MANIFEST.format(
                http=self.place["http"], names=outside["names"], site=outside["site"],
                hostile=digest("hostile"), honest=digest("honest"), uid=os.geteuid(),
                stranger=f"uid = {NOBODY}\n" if self.place["stranger"] else ""))
        self.command = [program, "--manifest", f"{folder}/toolhost.toml"]
        self.run("lock")
        self.log = f"{folder}/log"
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([*self.command, "serve"], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log)
        for _ in range(3000):
            with open(self.log, encoding="utf-8", errors="replace") as log:
                if "functions, ledger segment" in log.read():
                    return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit("the host did not start:\n" + open(self.log, encoding="utf-8").read())

    def run(self, *arguments):
        ended = subprocess.run([*self.command, *arguments], capture_output=True, text=True, timeout=900)
        if ended.returncode:
            raise SystemExit(f"{arguments}: {ended.stdout}{ended.stderr}")

    def held(self):
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as status:
            fields = dict(row.split(":", 1) for row in status)
        return {"resident": int(fields.get("VmRSS", "0").split()[0]) // 1024,
                "descriptors": len(os.listdir(f"/proc/{self.process.pid}/fd")),
                "threads": int(fields["Threads"])}

    def state(self):
        return folder_bytes(f"{self.folder}/state")


def watched(house, process, seconds, enough=lambda held: False):
    """Waits for a process, and gives the most that the host held meanwhile."""
    peak = house.held()
    ends = time.monotonic() + seconds
    while process.poll() is None and time.monotonic() < ends:
        time.sleep(0.2)
        if house.process.poll() is not None:
            break
        now = house.held()
        peak = {what: max(peak[what], now[what]) for what in peak}
        if enough(now):
            break
    return peak


def ended(process):
    """What a process says at its end."""
    process.terminate()
    try:
        said, _ = process.communicate(timeout=20)
        return json.loads(said)
    except (subprocess.TimeoutExpired, ValueError):
        process.kill()
        return {"said nothing": 1}


def measure(house, seconds, enough=lambda held: False):
    """The honest caller for so long: what its calls took, and what the host held."""
    process = play("honest", {**house.place, "seconds": seconds})
    patience = seconds + 2 * BOUNDS["an honest call ends within"] + 10
    peak = watched(house, process, patience, enough)
    if process.poll() is None:
        process.kill()
    said, _ = process.communicate()
    return (json.loads(said) if said else {}), peak


def attacks(house, only, seconds):
    running = {}
    for name_, (_, on_socket) in ATTACKS.items():
        if only and name_ not in only:
            continue
        if on_socket and not house.place["stranger"]:
            continue
        running[name_] = play("attack", {**house.place, "attack": name_, "seconds": seconds})
    return running


def run(house, seconds, only):
    wrong = []
    quiet_for = min(10, max(2, seconds / 4))
    quiet, quiet_held = measure(house, quiet_for)
    state, begin = house.state(), time.monotonic()
    running = attacks(house, only, seconds)
    time.sleep(1)
    beside, held = measure(house, seconds, lambda now: now["resident"] > TOO_MUCH)
    spent = time.monotonic() - begin
    grown = (house.state() - state) / (1 << 20)
    log = os.path.getsize(house.log) / (1 << 20)
    alive = house.process.poll() is None
    # The attacks go on: a host has to end under load.
    term = time.monotonic()
    house.process.terminate()
    try:
        house.process.wait(BOUNDS["seconds from SIGTERM to the end, at most"])
    except subprocess.TimeoutExpired:
        wrong.append("SIGTERM did not end the host")
        house.process.kill()
        house.process.wait()
    term = time.monotonic() - term
    counts = {name_: ended(process) for name_, process in running.items()}
    if not alive:
        wrong.append(f"the host ended by itself, with {house.process.returncode}")
    for row, how in beside.items():
        if how["failures"]:
            wrong.append(f"{how['failures']} honest calls failed ({row}): {how['failed'][0]}")
        if not how["calls"]:
            wrong.append(f"no honest call came to an end ({row})")
    if not beside:
        wrong.append("the honest caller was not heard of again")
    for row, how in quiet.items():
        if how["failures"]:
            wrong.append(f"without any attack {how['failures']} calls failed ({row}): {how['failed'][0]}")
    if held["resident"] > BOUNDS["resident MiB, at most"]:
        wrong.append(f"the host held {held['resident']} MiB")
    if grown > BOUNDS["MiB of state a second, at most"] * spent:
        wrong.append(f"the state grew by {grown:.0f} MiB in {spent:.0f} s")
    if log > BOUNDS["MiB of log, at most"] + spent / 4:
        wrong.append(f"the log has {log:.0f} MiB after {spent:.0f} s")
    for name_, count in counts.items():
        wrong.extend(f"{name_}: {what}" for what in count if what.startswith("failed"))
        if not any(count.get(what) for what in ("sent", "KiB sent", "opened")):
            wrong.append(f"{name_} attacked nothing: {count}")
    verified = subprocess.run([*house.command, "ledger", "verify"], capture_output=True, text=True, timeout=600)
    if verified.returncode:
        wrong.append(f"the record is not whole: {verified.stdout[-300:]}{verified.stderr[-300:]}")
    return {"seconds": round(spent, 1), "quiet": quiet, "beside": beside, "quiet_held": quiet_held,
            "held": held, "state_mib": round(grown, 2), "log_mib": round(log, 2),
            "seconds_to_end": round(term, 2), "attacks": counts, "bounds": BOUNDS, "wrong": wrong}


def table(rows):
    widths = [max(len(str(row[at])) for row in rows) for at in range(len(rows[0]))]
    for row in rows:
        cells = [str(row[0]).ljust(widths[0])] + [str(cell).rjust(width)
                                                   for cell, width in zip(row[1:], widths[1:])]
        print("  ".join(cells).rstrip())
    print()


def show(outcome):
    rows = [("HONEST, MS", "CALLS", "FAILED", "QUIET P50", "P99", "BESIDE P50", "P99", "MOST")]
    for row, how in outcome["beside"].items():
        quiet = outcome["quiet"].get(row, {})
        rows.append((row, how["calls"], how["failures"], quiet.get("p50"), quiet.get("p99"), how["p50"],
                     how["p99"], how["most"]))
    table(rows)
    rows = [("THE HOST", "QUIET", "MOST BESIDE")]
    for what in ("resident", "descriptors", "threads"):
        rows.append((what + (" MiB" if what == "resident" else ""), outcome["quiet_held"][what],
                     outcome["held"][what]))
    rows.append(("state, MiB grown", "", outcome["state_mib"]))
    rows.append(("log, MiB", "", outcome["log_mib"]))
    rows.append(("SIGTERM to its end, s", "", outcome["seconds_to_end"]))
    table(rows)
    table([("ATTACK", "WHAT CAME OF IT")] + [
        (name_, ", ".join(f"{what} {count}" for what, count in sorted(counts.items())) or "nothing")
        for name_, counts in outcome["attacks"].items()])


def main():
    parser = argparse.ArgumentParser(description="One hostile caller, everything at once.")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], metavar="NAME,...")
    asked = parser.parse_args()
    for one in asked.only:
        if one not in ATTACKS:
            parser.error(f"there is no attack {one}; there are {', '.join(ATTACKS)}")
    outside = play("world", {})
    house = None
    with tempfile.TemporaryDirectory(prefix="hostile-caller-") as folder:
        try:
            house = House(folder, json.loads(outside.stdout.readline()))
            outcome = run(house, asked.seconds, asked.only)
        finally:
            outside.kill()
            if house and house.process.poll() is None:
                house.process.kill()
    if asked.json:
        print(json.dumps(outcome, indent=2))
    else:
        show(outcome)
        if os.geteuid():
            print("NOT TESTED: the attacks on the socket are another user's; run this as root\n")
    for what in outcome["wrong"]:
        print("WRONG:", what, file=sys.stderr)
    sys.exit(bool(outcome["wrong"]))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--role"]:
        {"world": world, "honest": honest, "attack": attack}[sys.argv[2]](json.loads(sys.argv[3]))
    else:
        main()
