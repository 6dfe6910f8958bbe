"""Relays that end TLS: streams, handshakes, and what a connection costs that waits. The cipher is AES-128-GCM, the
certificate ECDSA P-256."""

import copy
import dataclasses
import pathlib
import subprocess
import typing

from rows.relay import HAPROXY, NGINX
from table import Goal, Idle, Rival, Row, Serve, bare, sockeye

CERT = "{folder}/cert.pem"
IDLE = 2000


def certificate(folder):
    """Certificate and key in one file."""
    path = pathlib.Path(folder, "cert.pem")
    if not path.exists():
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                        "-subj", "/CN=localhost", "-days", "30", "-keyout", path, "-out", f"{path}.new"],
                       check=True, capture_output=True)
        path.write_bytes(pathlib.Path(f"{path}.new").read_bytes() + path.read_bytes())


@dataclasses.dataclass
class Secured:
    """The same work with clients that speak TLS (load_tls.c)."""
    work: typing.Any

    def measure(self, context, rival):
        certificate(context.folder)
        context = copy.copy(context)
        context.load = f"{context.build}/bench/load_tls"
        return self.work.measure(context, rival)


STUNNEL = """
foreground = yes
pid =
debug = 3
[a]
accept = 127.0.0.1:{port}
connect = 127.0.0.1:{to}
cert = {folder}/cert.pem
"""


def nginx(name, options=""):
    file = f"{name.replace(' ', '-')}.conf"
    return Rival(name, ["nginx", "-c", "{folder}/" + file], "nginx", {file: NGINX.replace(
        "backlog=4096;", "ssl backlog=4096;\n        ssl_certificate {folder}/cert.pem;\n"
        "        ssl_certificate_key {folder}/cert.pem;\n        ssl_protocols TLSv1.2 TLSv1.3;" + options)})


OURS = sockeye("sockeye {engine}", "relay", "--engine", "{engine}", "tls:127.0.0.1:{port},cert=" + CERT,
               "tcp:127.0.0.1:{to}")
BARE = bare("bare OpenSSL", "bare_tls", "{port}", "{to}", CERT)
HAPROXY_TLS = Rival("haproxy", ["haproxy", "-f", "{folder}/haproxy.cfg", "-db"], "haproxy", {
    "haproxy.cfg": HAPROXY.replace("{option}", "").replace("bind 127.0.0.1:{port}",
                                                           "bind 127.0.0.1:{port} ssl crt {folder}/cert.pem")})
NGINX_TLS = nginx("nginx stream")
# Unless told so it takes one way's end for that of both: an answer behind it is lost, and a connection costs less.
NGINX_HALF = nginx("nginx stream, half-close", "\n        proxy_half_close on;")
STUNNEL_TLS = Rival("stunnel", ["stunnel4", "{folder}/stunnel.conf"], "stunnel4", {"stunnel.conf": STUNNEL})
SOCAT = Rival("socat", ["socat", "OPENSSL-LISTEN:{port},fork,reuseaddr,verify=0,cert=" + CERT, "TCP:127.0.0.1:{to}"],
              "socat")
STREAMS = [OURS, BARE, HAPROXY_TLS, NGINX_TLS,
           nginx("nginx stream, 64 KiB", "\n        proxy_buffer_size 64k;"), STUNNEL_TLS, SOCAT]
S_SERVER = Rival("openssl s_server, no relay", ["openssl", "s_server", "-quiet", "-rev", "-accept", "127.0.0.1:{port}",
                                      "-cert", CERT, "-key", CERT], "openssl")
BEHIND = bare("bare epoll", "bare_epoll", "{port}")
PROXIES = [OURS, BARE, HAPROXY_TLS, NGINX_TLS, STUNNEL_TLS]
SHORT = [OURS, BARE, HAPROXY_TLS, NGINX_TLS, NGINX_HALF, STUNNEL_TLS, S_SERVER]


def handshakes(kind, title, version):
    return Row(f"tls-{kind}-1.{version - 10}", f"{title}, TLS 1.{version - 10}: a relayed connection with one request",
               "CPU ms", Secured(Serve([kind, 1, 64, "{seconds}", version], 1e3)), SHORT,
               Goal(1.05, ("bare OpenSSL",)))


ROWS = [
    Row("tls-relay", "a stream through a relay, from TLS to TCP", "CPU s per GB",
        Secured(Serve(["stream", 1, 131072, "{seconds}"], 1e9)), STREAMS, Goal(1.05, ("bare OpenSSL",))),
    Row("tls-fetch", "a stream through a relay, from TCP to TLS", "CPU s per GB",
        Secured(Serve(["fetch", 1, 131072, "{seconds}"], 1e9)), STREAMS, Goal(1.05, ("bare OpenSSL",))),
    handshakes("full", "full handshakes", 13),
    handshakes("full", "full handshakes", 12),
    handshakes("resumed", "resumed handshakes", 13),
    handshakes("resumed", "resumed handshakes", 12),
    Row("tls-idle", f"memory of an idle connection through a relay from TLS to TCP, one of {IDLE}", "bytes",
        Secured(Idle(IDLE, behind=BEHIND)), PROXIES, Goal(1, ("haproxy", "nginx stream", "stunnel"))),
]
