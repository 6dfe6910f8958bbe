"""The peers that sockeye is tested against: other people's programs, and servers inside the test."""

import contextlib
import functools
import hashlib
import http.server
import os
import random
import shutil
import socket
import struct
import threading

import pytest

from processes import DEADLINE_S, Address

LINGER_S = str(int(DEADLINE_S))  # how long socat waits for the other way's end; half a second unless said
TCP_CLIENTS = ("nc", "ncat", "socat")


def tool(*names):
    """The first of these programs that is installed; without any the test is skipped."""
    for name in names:
        path = shutil.which(name)
        if path:
            return path
    pytest.skip(f"{names[-1]} is not installed")


def tcp_ports(pid):
    """The TCP ports that a process listens on, for programs that do not tell (proc_pid_net(5))."""
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(FileNotFoundError):
            inodes.add(os.readlink(f"/proc/{pid}/fd/{name}"))
    ports = []
    for family in ("tcp", "tcp6"):
        with open(f"/proc/{pid}/net/{family}", encoding="ascii") as table:
            for row in list(table)[1:]:
                local, state, inode = (row.split()[i] for i in (1, 3, 9))
                if state == "0A" and f"socket:[{inode}]" in inodes:
                    ports.append(int(local.rpartition(":")[2], 16))
    return ports


class Peers:
    """Starts peers. Clients take their arguments as the program does; the _listen kind waits until
    the program listens and returns it with its Address as .address. Extra keywords go to Process."""

    def __init__(self, start):
        self._start = start

    # OpenBSD's nc

    def nc(self, *args, **options):
        return self._start(tool("nc.openbsd", "nc"), *args, **options)

    def nc_listen(self, *args, host="127.0.0.1", path=None, **options):
        if path:
            process = self.nc("-v", "-l", "-U", *args, path, **options)
            process.wait_stderr(r"Listening on .*\n")
            process.unlink_at_end.append(path)
            return _listening(process, path)
        process = self.nc("-v", "-n", "-l", *args, host, "0", **options)
        port = process.wait_stderr(r"Listening on \S+ (\d+)\n")[1]
        return _listening(process, host, int(port))

    # Nmap's ncat

    def ncat(self, *args, **options):
        return self._start(tool("ncat"), *args, **options)

    def ncat_listen(self, *args, host="127.0.0.1", path=None, **options):
        if path:
            process = self.ncat("-v", "-l", "-U", *args, path, **options)
            process.wait_stderr(r"Listening on .*\n")
            process.unlink_at_end.append(path)
            return _listening(process, path)
        process = self.ncat("-v", "-n", "-l", *args, host, "0", **options)
        process.wait_stderr(r"Listening on .*\n")
        return _listening(process, host, tcp_ports(process.pid)[0])

    # socat

    def socat(self, *args, **options):
        return self._start(tool("socat"), *args, **options)

    def socat_listen(self, target, *args, options="", host="127.0.0.1", path=None, kind=None, **more):
        """socat LISTENER TARGET, where options are further ones of the listener (",fork"). kind is
        the listener's: TCP4-LISTEN or UNIX-LISTEN unless said."""
        if path:
            listener = f"{kind or 'UNIX-LISTEN'}:{path}{options}"
        else:
            listener = f"{kind or 'TCP4-LISTEN'}:0,bind={host}{options}"
        process = self.socat("-d", "-d", *args, listener, target, **more)
        port = process.wait_stderr(r'listening on AF=\d+ (?:".*"|.*:(\d+))\n')[1]
        if path:
            process.unlink_at_end.append(path)
            return _listening(process, path)
        return _listening(process, host, int(port))

    # any of them, by name

    def client(self, name, address, *args, **options):
        """A client of an Address that sends its standard input, and then the end, and goes on printing
        what comes."""
        if name == "socat":
            kind = "TCP" if address.port is not None else "UNIX-CONNECT"
            return self.socat("-t", LINGER_S, *args, "-", f"{kind}:{address.text}", **options)
        where = ("-U", address.host) if address.port is None else (address.host, address.port)
        return getattr(self, name)(*(("-N",) if name == "nc" else ()), *args, *where, **options)

    def listener(self, name, **options):
        """A server of one client that does the same."""
        if name == "socat":
            return self.socat_listen("-", "-t", LINGER_S, **options)
        return getattr(self, f"{name}_listen")(*(("-N",) if name == "nc" else ()), **options)

    # curl

    def curl(self, *args, **options):
        return self._start(tool("curl"), "--silent", "--show-error", "--noproxy", "*",
                           "--max-time", str(int(DEADLINE_S)), *args, **options)


def _listening(process, host, port=None):
    bracketed = f"[{host}]" if ":" in host else host
    process.address = Address(host, port, host if port is None else f"{bracketed}:{port}")
    return process


class _QuietHandler(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format, *args):  # noqa: A002, the name is the base class's
        pass


class HttpServer:
    """A real HTTP server over a folder, on a thread."""

    def __init__(self, folder):
        handler = functools.partial(_QuietHandler, directory=folder)
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        host, port = self._server.server_address
        self.address = Address(host, port, f"{host}:{port}")
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def listen_tcp(host="127.0.0.1", backlog=128):
    """A listening socket in the test itself, for peers that misbehave on purpose."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.create_server((host, 0), family=family, backlog=backlog)
    listener.settimeout(DEADLINE_S)
    return listener


def connect(address, kind=socket.SOCK_STREAM):
    """A connected socket: to an Address, a (host, port) pair, or a Unix path ("@name": abstract)."""
    host, port = (address, None) if isinstance(address, (str, os.PathLike)) else address[:2]
    if port is None:
        path = os.fspath(host)
        sock = socket.socket(socket.AF_UNIX, kind)
        sock.settimeout(DEADLINE_S)
        sock.connect("\0" + path[1:] if path.startswith("@") else path)
        return sock
    sock = socket.create_connection((host, port), DEADLINE_S)
    return sock


def receive_all(sock):
    """Everything until the peer ends its sending."""
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def receive_exactly(sock, size):
    """size bytes, or an assertion that says how far it got."""
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(min(65536, size - len(data)))
        assert piece, f"the peer ended after {len(data)} of {size} bytes: {bytes(data[-80:])!r}"
        data += piece
    return bytes(data)


def payload(size, seed=0):
    """Bytes that do not repeat, the same at each call."""
    return random.Random(seed).randbytes(size)


def digest(data):
    """The SHA-256 of bytes or of a file at a path."""
    if isinstance(data, os.PathLike):
        with open(data, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    return hashlib.sha256(data).hexdigest()


def reset(sock):
    """Closes a TCP connection by a reset."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
