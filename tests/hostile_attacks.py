"""What a hostile caller does, and the world around it: components that take no compiler, as much of
MCP as an agent needs, an upstream with a name server, and the attacks. It judges nothing:
hostile_caller.py does, which starts each attack as a process of its own."""

import http.server
import json
import os
import resource
import signal
import socket
import struct
import threading
import time

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
        # Else the body waits for the head to be acknowledged, 40 ms.
        disable_nagle_algorithm = True

        def do_GET(self):
            if "quick" not in self.path:
                # No answer, until whoever asks has gone: its thread goes with it.
                self.rfile.read(1)
                self.close_connection = True
                return
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
        except Exception as error:  # a fault of this script: what it sends attacks nothing
            count(f"failed: {error!r}")
            return


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
        if read.startswith((b"HTTP/1.1 413", b"HTTP/1.1 401", b"HTTP/1.1 400")):
            raise ValueError(read[:200])
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
                send(made, sent)
                answers(made, 1, over, count)

    def over_unix():
        with knock(place) as made:
            threading.Thread(target=drain, args=(made,), daemon=True).start()
            while not over.is_set():
                send(made, line(1, "rogue_acts", large))

    def send(made, message):
        # A part that was taken is an attack, too: on a slow machine few come to their end.
        for at in range(0, len(message), 1 << 18):
            made.sendall(message[at:at + (1 << 18)])
            count("KiB sent", 256)
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


def half_health(place):
    """The begin of a question for health, and nothing more ever."""
    made = dial(place, 5)
    made.sendall(b"GET /he")
    made.shutdown(socket.SHUT_WR)
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
            count("opened")
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
    "half-health": (holding(half_health, 64), False),
    "many-values": (calling("rogue_verbatim", {"text": f"[{'[0],' * 90_000}[0]]"}, 8), False),
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
