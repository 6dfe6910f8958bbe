"""A stream through a TCP relay."""

from table import Goal, Rival, Row, Serve, bare, sockeye

HAPROXY = """
global
    maxconn 9650
    maxpipes 100
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 1h
    timeout server 1h
    {option}
frontend in
    bind 127.0.0.1:{port}
    default_backend out
backend out
    server one 127.0.0.1:{to}
"""

NGINX = """
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes 1;
daemon off;
user root;
pid {folder}/nginx.pid;
error_log {folder}/nginx.log;
events { worker_connections 19500; }
stream {
    server {
        listen 127.0.0.1:{port} backlog=4096;
        proxy_pass 127.0.0.1:{to};
        proxy_timeout 1h;
    }
}
"""


def haproxy(name, option):
    return Rival(name, ["haproxy", "-f", "{folder}/" + f"{name.replace(' ', '-')}.cfg", "-db"], "haproxy",
                 {f"{name.replace(' ', '-')}.cfg": HAPROXY.replace("{option}", option)})


NGINX_STREAM = Rival("nginx stream", ["nginx", "-c", "{folder}/nginx.conf"], "nginx", {"nginx.conf": NGINX})
OURS = sockeye("sockeye {engine}", "relay", "--engine", "{engine}", "tcp:127.0.0.1:{port}", "tcp:127.0.0.1:{to}")
OTHERS = [
    haproxy("haproxy splice", "option splice-request\n    option splice-response"),
    haproxy("haproxy", ""),
    NGINX_STREAM,
    Rival("socat", ["socat", "TCP-LISTEN:{port},fork,reuseaddr", "TCP:127.0.0.1:{to}"], "socat"),
    Rival("socat -b131072", ["socat", "-b131072", "TCP-LISTEN:{port},fork,reuseaddr", "TCP:127.0.0.1:{to}"], "socat"),
    Rival("ncat", ["ncat", "-l", "-k", "127.0.0.1", "{port}", "--sh-exec", "exec ncat 127.0.0.1 {to}"], "ncat"),
]

ROWS = [
    Row("relay", "a stream through a TCP relay", "CPU s per GB", Serve(["stream", 1, 131072, "{seconds}"], 1e9),
        [OURS, bare("bare splice", "bare_splice", "{port}", "{to}"), *OTHERS], Goal(1.05, ("bare splice",))),
    Row("relay-50", "50 streams through a TCP relay", "CPU s per GB", Serve(["stream", 50, 131072, "{seconds}"], 1e9),
        [OURS, bare("bare splice", "bare_splice", "{port}", "{to}"), *OTHERS], Goal(1.05, ("bare splice",))),
]
