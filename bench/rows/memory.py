"""What a connection costs that has nothing to say. An unprivileged user may often have 20,000 descriptors, of which a
relay needs two for each connection."""

from rows import echo, relay
from table import Goal, Idle, Row, bare

ECHO, RELAY = 15000, 9000
BARE = bare("bare epoll", "bare_epoll", "{port}")

ROWS = [
    Row("idle", f"memory of an idle connection, one of {ECHO}", "bytes", Idle(ECHO), [*echo.OURS, BARE, *echo.PEERS],
        Goal(256)),
    Row("idle-relay", f"memory of an idle relayed connection, one of {RELAY}", "bytes", Idle(RELAY, behind=BARE),
        [relay.OURS, relay.haproxy("haproxy", ""), relay.NGINX_STREAM], Goal(1, ("haproxy", "nginx stream"))),
]
