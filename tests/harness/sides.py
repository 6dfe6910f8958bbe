"""The two sides of a relay, whatever they are made of, held by the test: each can send, end its sending,
receive, take no more, and some can reset.

A command's side is held too: the command is hand-over, which passes its standard input and output to the
test and exits when the test lets it.
"""

import contextlib
import os
import select
import shlex
import socket
import threading

from peers import connect, listen_tcp, reset
from processes import DEADLINE_S


def helper():
    """hand-over, which the build has made."""
    return os.path.join(os.environ["SOCKEYE_BUILD"], "tests", "harness", "hand-over")


def await_readable(fd):
    assert select.select([fd], [], [], DEADLINE_S)[0], "nothing came in time"


class Side:
    """Two descriptors of the test: what it reads there came from the relay, what it writes goes to it."""

    can_send = can_take = True  # a file can do but one of them
    resets = False              # it can reset the connection
    stops = True                # it can stop taking and go on sending
    sees_resets = False         # a reset of the other side reaches it as one

    def __init__(self, tmp_path, name, takes):
        self.path = str(tmp_path / name)
        self.takes = takes  # the relay is to write to it, where it has to be one or the other
        self.fd_in = self.fd_out = None

    def text(self, first):
        """The endpoint, and what stands behind it: FROM of the relay, or TO."""
        raise NotImplementedError

    def options(self):
        """For starting the relay's process."""
        return {}

    def started(self):
        """The relay's process has been started."""

    def open(self, relay, first):
        """Waits until the relay has this side."""

    def send(self, data):
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd_out, view):]

    def finish(self):
        os.close(self.fd_out)
        self.fd_out = None

    def send_all(self, data):
        """Sends and ends on a thread of its own, since the relay may be waiting for us to read."""
        def run():
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.send(data)
                self.finish()
        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def receive(self, size):
        data = b""
        while len(data) < size:
            await_readable(self.fd_in)
            piece = os.read(self.fd_in, size - len(data))
            assert piece, f"ended after {len(data)} of {size} bytes"
            data += piece
        return data

    def receive_all(self):
        pieces = []
        while True:
            await_readable(self.fd_in)
            piece = os.read(self.fd_in, 65536)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)

    def await_arrived(self):
        """Waits until something has come, without taking it."""
        await_readable(self.fd_in)

    def stop_taking(self):
        os.close(self.fd_in)
        self.fd_in = None

    def release(self):
        """Lets it leave: nothing more is asked of it."""

    def close(self):
        for fd in (self.fd_in, self.fd_out):
            if fd is not None:
                os.close(fd)
        self.fd_in = self.fd_out = None


class SocketSide(Side):
    sock = None

    def hold(self, sock):
        sock.settimeout(DEADLINE_S)
        self.sock = sock
        self.fd_in = sock.fileno()

    def send(self, data):
        self.sock.sendall(data)

    def finish(self):
        self.sock.shutdown(socket.SHUT_WR)

    def receive_all(self):
        pieces = []
        while piece := self.sock.recv(65536):
            pieces.append(piece)
        return b"".join(pieces)

    def stop_taking(self):
        self.sock.shutdown(socket.SHUT_RD)

    def close(self):
        if self.sock:
            self.sock.close()
        self.sock = self.fd_in = None


class Tcp(SocketSide):
    resets = sees_resets = True
    stops = False  # TCP has no word for it: a peer that is gone resets

    def __init__(self, *args):
        super().__init__(*args)
        self._listener = listen_tcp()

    def text(self, first):
        return "tcp:127.0.0.1:0" if first else "tcp:127.0.0.1:%d" % self._listener.getsockname()[1]

    def open(self, relay, first):
        if first:
            self.hold(connect(relay.listening()))
        else:
            self.hold(self._listener.accept()[0])

    def reset(self):
        reset(self.sock)
        self.sock = None

    def close(self):
        self._listener.close()
        super().close()


class Unix(SocketSide):
    """It resets by leaving with bytes unread (unix(7)): some must have come."""

    resets = True
    _listener = None

    def text(self, first):
        if not first:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(self.path)
            self._listener.listen(1)
            self._listener.settimeout(DEADLINE_S)
        return f"unix:{self.path}"

    def open(self, relay, first):
        if first:
            relay.listening()
            self.hold(connect(self.path))
        else:
            self.hold(self._listener.accept()[0])

    def reset(self):
        self.await_arrived()
        self.sock.close()
        self.sock = None

    def close(self):
        if self._listener:
            self._listener.close()
            os.unlink(self.path)
        super().close()


class Exec(SocketSide):
    kind = "exec"
    _control = None

    def text(self, first):
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(1)
        self._listener.settimeout(DEADLINE_S)
        return f"{self.kind}:exec {shlex.quote(helper())} {shlex.quote(self.path)}"

    def open(self, relay, first):
        self._control, _ = self._listener.accept()
        self._control.settimeout(DEADLINE_S)
        _, fds, _, _ = socket.recv_fds(self._control, 1, 2)
        assert self._control.recv(1) == b"."  # it holds them no more
        self.hold_both(*fds)

    def hold_both(self, fd_in, fd_out):
        os.close(fd_out)  # the same socket
        self.hold(socket.socket(fileno=fd_in))

    def release(self):
        if self._control:
            self._control.close()

    def close(self):
        self.release()
        self._listener.close()
        os.unlink(self.path)
        super().close()


class Pipes(Exec):
    kind = "exec,pipes"
    send, finish, receive_all, stop_taking = Side.send, Side.finish, Side.receive_all, Side.stop_taking

    def hold_both(self, fd_in, fd_out):
        self.fd_in, self.fd_out = fd_in, fd_out

    def close(self):
        super().close()
        Side.close(self)


class Stdio(Side):
    def text(self, first):
        self._stdin, self.fd_out = os.pipe()
        self.fd_in, self._stdout = os.pipe()
        return "-"

    def options(self):
        return {"stdin": self._stdin, "stdout": self._stdout}

    def started(self):
        os.close(self._stdin)
        os.close(self._stdout)


class File(Side):
    """Where it takes, it is made anew and has nothing to give; else it gives what was put there before."""

    stops = False

    def __init__(self, *args):
        super().__init__(*args)
        self.can_send, self.can_take = not self.takes, self.takes

    def text(self, first):
        return f"file:{self.path}" + (",create" if self.takes else "")

    def put(self, data):
        """Bytes to be read, or None for a file that cannot be read: of a process's memory at address 0."""
        if data is None:
            self.path = "/proc/self/mem"
            return
        with open(self.path, "wb") as file:
            file.write(data)

    def send(self, data):
        raise AssertionError("a file is put there before")

    def finish(self):
        pass

    def receive_all(self):
        with open(self.path, "rb") as file:
            return file.read()


SIDES = {"tcp": Tcp, "unix": Unix, "exec": Exec, "pipes": Pipes, "stdio": Stdio, "file": File}
