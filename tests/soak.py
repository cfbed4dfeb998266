"""The load of soak.sh: agents that loop, hoard, flood, crash, hang up and wait, one that is honest,
and a look at the host every minute."""

import json
import os
import random
import socket
import sys
import threading
import time

HOST, DOOR, MINUTES = int(sys.argv[1]), sys.argv[2], float(sys.argv[3])

ACTS = [
    ("rogue_spin", {}),
    ("rogue_copy_for_ever", {"mib": 16}),
    ("rogue_touch_for_ever", {"mib": 32}),
    ("rogue_hog", {"mib": 4000}),
    ("rogue_nap", {"ms": 3_600_000}),
    ("rogue_nap", {"ms": 20}),
    ("rogue_recurse", {}),
    ("rogue_crash", {}),
    ("rogue_quit", {}),
    ("rogue_babble", {"mib": 1_000_000}),
    ("rogue_flood", {"mib": 8}),
    ("rogue_wrong_output", {}),
    ("rogue_not_json", {}),
    ("rogue_many_handles", {"n": 1_000_000}),
    ("rogue_many_handles", {"n": 1_000_000, "path": "/notes"}),
    ("rogue_write", {"path": "/notes/a", "text": "a"}),
    ("rogue_read", {"path": "/notes/../../etc/passwd"}),
    ("rogue_random", {"n": 1_000_000_000}),
    ("rogue_get", {"url": "http://169.254.169.254/"}),
    ("rogue_connect", {"addr": "127.0.0.1:22"}),
    ("rogue_progress", {"n": 1_000_000}),
    ("rogue_log", {"text": "x" * 1000, "times": 100_000}),
    ("nobody_knows", {}),
]

FORESEEN = {
    "out-of-fuel", "out-of-memory", "deadline-exceeded", "stack-overflow", "too-many-resources",
    "output-too-large", "invalid-output", "invalid-arguments", "trapped", "busy", "cancelled",
    "failed", "denied", "not-found", "invalid-arguments", "unavailable",
}

over = threading.Event()
counts, lock = {}, threading.Lock()
wrong = []
slowest = [0.0]


def count(what):
    with lock:
        counts[what] = counts.get(what, 0) + 1


class Agent:
    def __init__(self):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.connect(DOOR)
        self.lines = self.socket.makefile("r", encoding="utf-8")
        self.next = 0
        self.send({"method": "initialize", "id": self.number(), "params": {
            "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": {"name": "soak", "version": "0"}}})
        self.answer()
        self.send({"method": "notifications/initialized"})

    def number(self):
        self.next += 1
        return self.next

    def send(self, message):
        self.socket.sendall((json.dumps({"jsonrpc": "2.0", **message}) + "\n").encode())

    def call(self, name, arguments):
        self.send({"method": "tools/call", "id": self.number(),
                   "params": {"name": name, "arguments": arguments}})

    def answer(self):
        while True:
            line = self.lines.readline()
            if not line:
                raise EOFError("the host hung up")
            message = json.loads(line)
            if "id" in message:
                return message

    def close(self):
        self.lines.close()
        self.socket.close()


def end_of(message):
    if "error" in message:
        return "refused"
    result = message["result"]
    return result.get("_meta", {}).get("toolhost/code", "ok") if result.get("isError") else "ok"


def hostile(seed):
    """Sends some calls at once, reads some of their ends, and hangs up on the rest."""
    dice = random.Random(seed)
    while not over.is_set():
        agent = Agent()
        sent = dice.randint(1, 12)
        for _ in range(sent):
            agent.call(*dice.choice(ACTS))
        if dice.random() < 0.2:
            agent.send({"method": "notifications/cancelled", "params": {"requestId": agent.next}})
            sent -= 1
        for _ in range(dice.randint(0, sent)):
            end = end_of(agent.answer())
            count(end)
            if end not in FORESEEN | {"ok", "refused"}:
                wrong.append(end)
        agent.close()


def honest():
    agent = Agent()
    while not over.is_set():
        start = time.monotonic()
        agent.call("test_add", {"a": 2, "b": 3})
        message = agent.answer()
        slowest[0] = max(slowest[0], time.monotonic() - start)
        if end_of(message) != "ok":
            wrong.append(f"an honest call: {message}")
        count("honest")
        time.sleep(0.01)
    agent.close()


def guarded(work, *arguments):
    try:
        work(*arguments)
    except Exception as error:  # every one of them is a finding
        wrong.append(f"{work.__name__}: {error!r}")
        over.set()


def held():
    with open(f"/proc/{HOST}/status", encoding="utf-8") as status:
        fields = dict(line.split(":", 1) for line in status)
    mib = lambda field: int(fields[field].split()[0]) // 1024
    return {"resident": mib("VmRSS"), "anonymous": mib("RssAnon"),
            "descriptors": len(os.listdir(f"/proc/{HOST}/fd")),
            "threads": int(fields["Threads"])}


def show(when, now):
    print(f"{when:>8}  resident {now['resident']:>5} MiB  anonymous {now['anonymous']:>5} MiB  "
          f"descriptors {now['descriptors']:>4}  threads {now['threads']:>4}", flush=True)


def burst(seconds):
    """The whole load for so long, and then rest."""
    over.clear()
    crowd = [threading.Thread(target=guarded, args=(hostile, seed)) for seed in range(40)]
    crowd.append(threading.Thread(target=guarded, args=(honest,)))
    for one in crowd:
        one.start()
    ends = time.monotonic() + seconds
    minute = 0
    while time.monotonic() < ends and not over.is_set():
        over.wait(min(60, max(0, ends - time.monotonic())))
        minute += 1
        if seconds >= 60:
            show(f"{minute} min", held())
    over.set()
    for one in crowd:
        one.join()


show("idle", held())
# What is reserved once and kept (threads, allocator arenas, warm slots) is no leak: the start is
# after a first burst and a rest.
burst(15)
time.sleep(10)
before = held()
show("start", before)
burst(MINUTES * 60)
time.sleep(10)
after = held()
show("end", after)
print("ends:", dict(sorted(counts.items())))
print(f"slowest honest call: {slowest[0] * 1e3:.1f} ms")
for what, most in (("descriptors", before["descriptors"] + 8), ("threads", before["threads"] + 8),
                   ("anonymous", before["anonymous"] + max(32, before["anonymous"] // 4))):
    if after[what] > most:
        wrong.append(f"{what}: {before[what]} at the start, {after[what]} at the end")
for what in sorted(set(wrong)):
    print("WRONG:", what)
sys.exit(bool(wrong))
