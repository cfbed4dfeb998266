"""The load of hostile_caller.sh: a world, a host, a hostile caller that does everything at once, and
an honest one beside it on every door. Every part is a process of its own, so that what is measured is
the host: this file starts itself again with a role. It needs Python's standard library only.

    TOOLHOST=toolhost GUESTS=folder python3 tests/hostile_caller.py SECONDS [--json] [--only NAME,...]
"""

import argparse
import hashlib
import http.server
import json
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

# What must hold. Figures of time are shown and not judged: another load on the machine moves them.
BOUNDS = {
    "an honest call ends within": 15,  # seconds
    "resident MiB, at most": 2048,
    "MiB of state a second, at most": 4,
    "MiB of log, at most": 4,  # and a quarter of one a second
    "seconds from SIGTERM to the end, at most": 40,
}
# Beyond it the attacks end at once: the bound is broken, and the machine is others' too.
TOO_MUCH = 4096
NOBODY = 65534

# ---- Components that take no compiler to write: a function `boom` that gives a list of one type.


def leb(number):
    out = b""
    while True:
        byte, number = number & 0x7F, number >> 7
        if not number:
            return out + bytes([byte])
        out += bytes([byte | 0x80])


def sleb(number):
    out = b""
    while True:
        byte, number = number & 0x7F, number >> 7
        if number == 0 and not byte & 0x40:
            return out + bytes([byte])
        out += bytes([byte | 0x80])


def section(kind, content):
    return bytes([kind]) + leb(len(content)) + content


def name(text):
    return leb(len(text)) + text.encode()


def boom(kind, count, width, fill):
    """The component: `count` values of `width` bytes, each byte `fill`."""
    const = lambda value: b"\x41" + sleb(value)
    start, size = 65536, count * width
    body = (b"\0" + const(start) + const(fill) + const(size) + b"\xfc\x0b\0"
            + const(16) + const(start) + b"\x36\x02\0" + const(20) + const(count) + b"\x36\x02\0"
            + const(16) + b"\x0b")
    code = leb(len(body)) + body + b"\x03\0\0\x0b"
    module = (b"\0asm\x01\0\0\0"
              + section(1, b"\x02\x60\0\x01\x7f\x60\x04\x7f\x7f\x7f\x7f\x01\x7f")
              + section(3, b"\x02\0\x01")
              + section(5, b"\x01\0" + leb((size + start) // 65536 + 1))
              + section(7, b"\x03" + name("memory") + b"\x02\0" + name("boom") + b"\0\0"
                        + name("realloc") + b"\0\x01")
              + section(10, b"\x02" + code))
    return (b"\0asm\x0d\0\x01\0" + section(1, module) + section(2, b"\x01\0\0\0")
            + section(7, b"\x01" + kind) + section(11, b"\x01\0" + name("t") + b"\x03\0\0")
            + section(7, b"\x02\x70\x01\x40\0\0\x02")
            + section(6, b"\x03\0\0\x01\0" + name("boom") + b"\0\x02\x01\0" + name("memory")
                      + b"\0\0\x01\0" + name("realloc"))
            + section(8, b"\x01\0\0\0\x02\x03\0\x04\x01\x03")
            + section(11, b"\x01\0" + name("boom") + b"\x01\0\0"))


def flags():
    kind = b"\x6e" + leb(32) + b"".join(name(f"f{number}") for number in range(32))
    return boom(kind, 850_000, 4, 255)


def variant():
    cases = b"".join(name(f"cccccccc{number:04}") + b"\0\0" for number in range(3950))
    return boom(b"\x71" + leb(3950) + cases, 290_000, 2, 15)


# ---- MCP, as little of it as an agent needs.

META = {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "hostile", "version": "0"},
        "io.modelcontextprotocol/clientCapabilities": {}}


def request(place, token, body, method, tool=None, length=None):
    """A request of MCP over HTTP, as bytes."""
    head = (f"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:{place['http']}\r\nAuthorization: Bearer {token}\r\n"
            "Content-Type: application/json\r\nAccept: application/json, text/event-stream\r\n"
            f"MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n"
            + (f"Mcp-Name: {tool}\r\n" if tool else "")
            + f"Content-Length: {len(body) if length is None else length}\r\n\r\n")
    return head.encode() + body


def http_call(place, token, tool, arguments):
    """The bytes of one call; `arguments` may be JSON text already."""
    text = arguments if isinstance(arguments, bytes) else json.dumps(arguments).encode()
    body = (b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":' + json.dumps(tool).encode()
            + b',"arguments":' + text + b',"_meta":' + json.dumps(META).encode() + b"}}")
    return request(place, token, body, "tools/call", tool)


def dial(place, timeout=20):
    made = socket.create_connection(("127.0.0.1", place["http"]), timeout)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def line(number, tool, arguments):
    text = arguments if isinstance(arguments, bytes) else json.dumps(arguments).encode()
    return (b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"%s","arguments":%s}}\n'
            % (number, tool.encode(), text))


HELLO = b"".join(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n" for message in (
    {"id": "hello", "method": "initialize", "params": {
        "protocolVersion": "2025-11-25", "capabilities": {},
        "clientInfo": {"name": "hostile", "version": "0"}}},
    {"method": "notifications/initialized"}))


def knock(place, timeout=20):
    """A connection to the socket, as whoever this process is."""
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(timeout)
    made.connect(place["unix"])
    made.sendall(HELLO)
    return made


# ---- The world outside: what the tools are granted to reach.

def world(_place):
    """An upstream that answers on one path and on no other, and a name server that knows one name
    and is silent about another."""

    class Site(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            if "quick" not in self.path:
                time.sleep(3600)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, *_):
            pass

    class Crowded(http.server.ThreadingHTTPServer):
        request_queue_size = 512
        daemon_threads = True

    site = Crowded(("127.0.0.1", 0), Site)
    names = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", 0))

    def answer():
        while True:
            asked, whom = names.recvfrom(4096)
            end = 12
            while asked[end]:
                end += asked[end] + 1
            if b"silent" in asked.lower():
                continue
            question = asked[12:end + 5]
            kind, = struct.unpack(">H", asked[end + 1:end + 3])
            found = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 1, 4) + b"\x7f\0\0\x01" if kind == 1 else b""
            counts = struct.pack(">HHHH", 1, 1 if found else 0, 0, 0)
            names.sendto(asked[:2] + b"\x81\x80" + counts + question + found, whom)

    threading.Thread(target=answer, daemon=True).start()
    print(json.dumps({"site": site.server_address[1], "names": names.getsockname()[1]}), flush=True)
    site.serve_forever()


# ---- The attacks. Each is a function of (place, over, count), goes on until `over` is set, and opens no
# more than it says. `count` notes what came of it.

def repeatedly(work, over, count):
    """Does something again and again. That the host cuts it is what is wanted."""
    while not over.is_set():
        try:
            work()
        except OSError as error:
            count("cut" if not isinstance(error, TimeoutError) else "timed out")
            over.wait(0.2)


def at_once(times, work, over, count):
    for _ in range(times):
        threading.Thread(target=repeatedly, args=(work, over, count), daemon=True).start()
    over.wait()


def answers(made, wanted, over, count):
    """Reads so many HTTP answers, by their first lines."""
    got, kept = 0, b""
    while got < wanted and not over.is_set():
        read = made.recv(1 << 16)
        if not read:
            raise ConnectionResetError
        kept = kept[-8:] + read
        got += kept.count(b"HTTP/1.1 ")
    count("answered", got)


def calling(tool, arguments, times):
    """So many calls of a function at once, over HTTP, again and again."""

    def attack(place, over, count):
        told = json.dumps(arguments).replace("SITE", f"127.0.0.1:{place['site']}").encode()
        sent = http_call(place, place["hostile"], tool, told)

        def one():
            with dial(place, 60) as made:
                made.sendall(sent)
                count("sent")
                answers(made, 1, over, count)

        at_once(times, one, over, count)

    return attack


def refused_flood(place, over, count):
    """Calls of functions that do not exist, with long names, twenty at a time on 4 connections."""
    sent = http_call(place, place["hostile"], "n" * 255, {}) * 20

    def flood():
        with dial(place) as made:
            while not over.is_set():
                made.sendall(sent)
                count("sent", 20)
                answers(made, 20, over, count)

    at_once(4, flood, over, count)


def unread_answers(place, over, count):
    """80 answers of 3 MiB each on 8 connections of either door, and nobody reads."""

    def http_unread():
        with dial(place) as made:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            made.settimeout(5)
            one = http_call(place, place["hostile"], "rogue_flood", {"mib": 3})
            for _ in range(80):
                made.sendall(one)
                count("sent")
            over.wait(20)

    def unix_unread():
        with knock(place, 5) as made:
            for number in range(80):
                made.sendall(line(number, "rogue_flood", {"mib": 3}))
                count("sent")
            over.wait(20)

    for _ in range(8):
        threading.Thread(target=repeatedly, args=(http_unread, over, count), daemon=True).start()
    at_once(8 if place["stranger"] else 0, unix_unread, over, count)


def big_messages(place, over, count):
    """4 MiB of `[[],[],...` on 8 connections of either door."""
    large = b'{"acts":[' + b"[]," * ((4 << 20) // 3 - 400) + b"[]]}"
    sent = http_call(place, place["hostile"], "rogue_acts", large)

    def over_http():
        with dial(place) as made:
            while not over.is_set():
                made.sendall(sent)
                count("sent")
                answers(made, 1, over, count)

    def over_unix():
        with knock(place) as made:
            threading.Thread(target=drain, args=(made,), daemon=True).start()
            while not over.is_set():
                made.sendall(line(1, "rogue_acts", large))
                count("sent")

    for _ in range(8):
        threading.Thread(target=repeatedly, args=(over_http, over, count), daemon=True).start()
    at_once(8 if place["stranger"] else 0, over_unix, over, count)


def drain(made):
    try:
        while made.recv(1 << 16):
            pass
    except OSError:
        pass


def holding(open_one, most):
    """Opens connections and keeps them, up to `most`; those that the host lets go are opened anew."""

    def attack(place, over, count):
        held = []
        while not over.is_set():
            for made in list(held):
                try:
                    if made.recv(1 << 16) == b"":
                        raise ConnectionResetError
                except BlockingIOError:
                    pass
                except OSError:
                    held.remove(made)
                    made.close()
                    count("let go")
            try:
                while len(held) < most and not over.is_set():
                    made = open_one(place)
                    made.setblocking(False)
                    held.append(made)
                    count("opened")
            except OSError:
                count("cut")
            over.wait(0.2)

    return attack


def unread_health(place):
    """Asks for health without a token, far more often than it reads."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    made.settimeout(5)
    made.connect(("127.0.0.1", place["http"]))
    made.setblocking(False)
    try:
        made.send(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n" * 2000)
    except OSError:
        pass
    return made


def listening(place):
    """A stream of events that is kept open."""
    made = dial(place, 5)
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen", "params": {
        "notifications": {"toolsListChanged": True}, "_meta": META}}).encode()
    made.sendall(request(place, place["hostile"], body, "subscriptions/listen"))
    return made


def session(place):
    """A session of the older protocol that is never used."""
    made = dial(place, 5)
    body = HELLO.split(b"\n")[0]
    made.sendall(request(place, place["hostile"], body, "initialize").replace(b"2026-07-28", b"2025-11-25"))
    return made


def half_a_request(place):
    """A request that is never sent to its end."""
    made = dial(place, 5)
    made.sendall(request(place, place["hostile"], b'{"jsonrpc":', "tools/call", length=4 << 20))
    return made


def silent_unix(place):
    made = socket.socket(socket.AF_UNIX)
    made.settimeout(5)
    made.connect(place["unix"])
    return made


def slow_reader(place, over, count):
    """Pings whose ids repeat, read slowly, on 8 connections that hang up when nothing moves."""
    sent = b"".join(b'{"jsonrpc":"2.0","id":%d,"method":"ping"}\n' % (number % 8) for number in range(64))

    def spin():
        with knock(place) as made:
            made.setblocking(False)
            at, moved = 0, time.monotonic()
            while not over.is_set() and time.monotonic() - moved < 0.5:
                try:
                    at = (at + made.send(sent[at:])) % len(sent)
                    moved = time.monotonic()
                except BlockingIOError:
                    pass
                try:
                    if made.recv(3000):
                        moved = time.monotonic()
                except BlockingIOError:
                    over.wait(0.001)
            count("hung up")

    at_once(8, spin, over, count)


def hang_up(place, over, count):
    """Calls that last, and nobody who waits for them."""
    sent = http_call(place, place["hostile"], "rogue_nap", {"ms": 5_000})

    def leave():
        with dial(place) as made:
            made.sendall(sent * 8)
            count("sent", 8)
        over.wait(0.05)

    at_once(4, leave, over, count)


# Name: the attack, and whether it is one on the socket.
ATTACKS = {
    "refused-flood": (refused_flood, False),
    "unread-answers": (unread_answers, False),
    "big-messages": (big_messages, False),
    "unread-health": (holding(unread_health, 256), False),
    "open-streams": (holding(listening, 256), False),
    "open-sessions": (holding(session, 256), False),
    "half-requests": (holding(half_a_request, 256), False),
    "silent-sockets": (holding(silent_unix, 512), True),
    "slow-reader": (slow_reader, True),
    "hang-up": (hang_up, False),
    "cpu-of-one-caller": (calling("loop_spin", {}, 64), False),
    "grant-places": (calling("rogue_crowd", {"count": 60, "authority": "SITE"}, 2), False),
    "dns-places": (calling("dark_crowd", {"count": 60, "authority": "silent.test"}, 2), False),
    "many-files": (calling("rogue_many_handles", {"n": 1_000_000, "path": "/notes"}, 4), False),
    "log-flood": (calling("rogue_log", {"text": "x" * 1000, "times": 100_000}, 4), False),
    "large-answers": (calling("rogue_litter", {"n": 1_000_000}, 2), False),
    "flags-flood": (calling("flags_boom", {}, 4), False),
    "variant-flood": (calling("variant_boom", {}, 4), False),
    "pending-calls": (calling("wasi3_ask", {"n": 200, "size": 8_000_000, "ms": 500}, 2), False),
    "pending-sleeps": (calling("wasi3_sleepers", {"n": 5_000, "ms": 5_000}, 2), False),
}


def attack(place):
    """One attack, until it is told to end; what came of it is printed then."""
    # The honest one's client is not what is attacked.
    os.nice(10)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(most, 8192), most))
    over, counts, lock = threading.Event(), {}, threading.Lock()
    signal.signal(signal.SIGTERM, lambda *_: over.set())

    def count(what, times=1):
        with lock:
            counts[what] = counts.get(what, 0) + times

    if place["stranger"]:
        # Python loads this when it first names a host, and nobody may not be able to read it.
        "".encode("idna")
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    work, _ = ATTACKS[place["attack"]]

    def guarded():
        try:
            work(place, over, count)
        except Exception as error:  # every one of them is a fault of this script
            count(f"failed: {error!r}")

    threading.Thread(target=guarded, daemon=True).start()
    # Also when whoever started it is gone.
    over.wait(place["seconds"] + 60)
    over.set()
    with lock:
        print(json.dumps(counts), flush=True)
    os._exit(0)


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
limits = {{ fuel = 100_000_000_000 }}
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
limits = {{ fuel = 50_000_000 }}
[tool.dark]
component = "rogue.wasm"
[tool.dark.http.api]
url = "http://silent.test"
allow = ["GET /**"]
[tool.light]
component = "rogue.wasm"
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
        return {"resident": int(fields["VmRSS"].split()[0]) // 1024,
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
