"""Connects standard input and output to a Unix socket, for clients that only start commands."""

import socket
import sys
import threading

host = socket.socket(socket.AF_UNIX)
host.connect(sys.argv[1])


def ask():
    while chunk := sys.stdin.buffer.read1(65536):
        host.sendall(chunk)
    host.shutdown(socket.SHUT_WR)


threading.Thread(target=ask, daemon=True).start()
while chunk := host.recv(65536):
    sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()
