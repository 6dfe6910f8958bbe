"""TLS at large: a thousand clients at once, and what a scanner says."""

import json
import resource
import ssl
import subprocess

import pytest

from certificates import Certificates
from peers import connect, tool


@pytest.fixture
def certs(needs, tmp_path):
    needs("tls", "library")
    return Certificates(tmp_path / "certs")


def test_a_thousand_at_once(start_sockeye, certs, engine):
    """All have shaken hands before the first of them speaks."""
    count = 1000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8000)), hard))
    server = start_sockeye("echo", "--engine", engine, f"tls:127.0.0.1:0,cert={certs.good},max={count}")
    address = server.listening()
    context = ssl.create_default_context(cafile=certs.ca)
    clients = [context.wrap_socket(connect(address), server_hostname="localhost") for _ in range(count)]
    for number, client in enumerate(clients):
        client.sendall(b"%d" % number)
    for number, client in enumerate(clients):
        assert client.recv(100) == b"%d" % number
        client.close()
    assert len(server.wait_events(count, "tls")) == count
    server.wait_events(count, "closed")


def test_what_a_scanner_says(start, start_sockeye, certs, tmp_path):
    """testssl.sh finds nothing worse than "ok" or "info" in versions and ciphers."""
    server = start_sockeye("echo", f"tls:127.0.0.1:0,cert={certs.good}")
    out = tmp_path / "scan.json"
    scan = start(tool("testssl"), "--quiet", "--fast", "--warnings", "off", "--protocols", "--std", "--jsonfile", out,
                 "--ip", "127.0.0.1", f"localhost:{server.listening().port}", stdin=subprocess.DEVNULL)
    scan.wait(300)
    rows = {row["id"]: row["severity"] for row in json.loads(out.read_text())}
    assert {"TLS1_2", "TLS1_3", "cipherlist_STRONG_NOFS", "cipherlist_STRONG_FS"} & set(rows), rows
    del rows["engine_problem"]  # testssl's own
    assert set(rows.values()) <= {"OK", "INFO", "DEBUG"}, rows
