/* scheme.c: the table of schemes, the addresses of an endpoint, and the words for what fails on one. */
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "net/net.h"

static const struct scheme *const schemes[] = {
    [EYE_TCP] = &scheme_tcp,   [EYE_UDP] = &scheme_udp,     [EYE_UNIX] = &scheme_unix,
    [EYE_EXEC] = &scheme_exec, [EYE_STDIO] = &scheme_stdio, [EYE_FD] = &scheme_fd,
    [EYE_FILE] = &scheme_file, [EYE_TLS] = &scheme_tcp,
};
_Static_assert(ARRAY_LEN(schemes) == EYE_SCHEME_MAX, "a row for every scheme");

const struct scheme *scheme_of(const struct eye_endpoint *endpoint) {
    if (endpoint->scheme == EYE_TLS && endpoint->path)
        return &scheme_unix;
    return schemes[endpoint->scheme];
}

bool eye_endpoint_listens(const struct eye_endpoint *endpoint) {
    if (endpoint->share)
        return true;
    if (endpoint->scheme == EYE_FD)
        return fd_listens(endpoint->fd);
    return scheme_of(endpoint)->bind && endpoint->role != EYE_ROLE_DIAL;
}

bool eye_endpoint_endless(const struct eye_endpoint *endpoint) {
    return endpoint->scheme == EYE_UDP || (endpoint->scheme == EYE_UNIX && endpoint->type == SOCK_DGRAM);
}

int lookup_new(const struct eye_endpoint *endpoint, bool passive, struct lookup *ret_lookup) {
    struct lookup lookup = {.scheme = endpoint->path ? EYE_UNIX : endpoint->scheme,
                            .family = endpoint->family,
                            .passive = passive};
    /* A group of IPv4 can be joined on a socket of IPv4 only. */
    if (endpoint->join && endpoint->join->u.sa.sa_family == AF_INET)
        lookup.family = 4;
    if (endpoint->path) {
        size_t size = strlen(endpoint->path);
        lookup.unix_addr.u.un.sun_family = AF_UNIX;
        memcpy(lookup.unix_addr.u.un.sun_path, endpoint->path, size); /* the parser has seen that it fits */
        lookup.unix_addr.len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + 1);
        if (endpoint->path[0] == '@') {
            lookup.unix_addr.u.un.sun_path[0] = '\0';
            lookup.unix_addr.len--; /* an abstract name is its bytes, and ends in no NUL */
        }
        *ret_lookup = lookup;
        return 0;
    }
    lookup.host = strdup(endpoint->host);
    lookup.port = strdup(endpoint->port);
    if (!lookup.host || !lookup.port) {
        lookup_done(&lookup);
        return -ENOMEM;
    }
    *ret_lookup = lookup;
    return 0;
}

void lookup_done(struct lookup *lookup) {
    free(lookup->host);
    free(lookup->port);
    *lookup = (struct lookup){0};
}

int lookup_run(const struct lookup *lookup, bool numeric, struct eye_addrs *ret_addrs,
               struct eye_err *reterr) {
    if (lookup->scheme == EYE_UNIX) {
        struct eye_addr *list = malloc(sizeof *list);
        if (!list)
            return err_set(reterr, -ENOMEM, EYE_FAIL_OTHER, "%s", eye_strerror(-ENOMEM));
        *list = lookup->unix_addr;
        *ret_addrs = (struct eye_addrs){.list = list, .count = 1};
        return 0;
    }
    struct eye_resolve_opts opts = {.family = lookup->family,
                                    .protocol = lookup->scheme == EYE_UDP ? IPPROTO_UDP : IPPROTO_TCP,
                                    .passive = lookup->passive,
                                    .numeric = numeric};
    return eye_resolve(*lookup->host ? lookup->host : NULL, lookup->port, &opts, ret_addrs, reterr);
}

/* Likely causes, by error: when dialling, when listening. */
static const struct {
    int error;
    const char *dialling, *listening;
} causes[] = {
    {ECONNREFUSED, "nothing listens there", NULL},
    {ENOENT, "no server has made this socket", "the directory does not exist"},
    {ENOTSOCK, "the file is no socket", NULL},
    {EACCES, "the file's or its directory's permissions, or a firewall",
     "ports below 1024 need CAP_NET_BIND_SERVICE; a path, write permission in its directory"},
    {EPERM, "a firewall on this host", NULL},
    {ETIMEDOUT, "no answer from the host: it is down, or packets are dropped on the way", NULL},
    {ENETUNREACH, "no route to that network", NULL},
    {EHOSTUNREACH, "no route to that host, or it is down", NULL},
    {EADDRINUSE, "no free local port", "another process listens there; see ss -lnp"},
    {EADDRNOTAVAIL, "no free local port, or bind= names an address of another host",
     "the address is of no interface of this host"},
    {EMFILE, "this process's limit of open files; see ulimit -n",
     "this process's limit of open files; see ulimit -n"},
    {ENFILE, "the system's limit of open files; see sysctl fs.file-max",
     "the system's limit of open files; see sysctl fs.file-max"},
    {ENODEV, "no such network interface", "no such network interface"},
    {EPROTOTYPE, "the socket there is of another type; see type=", NULL},
    {EAFNOSUPPORT, "this host has no such address family", "this host has no such address family"},
};

int net_fail(struct eye_err *reterr, const struct eye_endpoint *endpoint, int code, bool listening) {
    err_set(reterr, code, EYE_FAIL_CONNECT, "%s: %s", endpoint->text, eye_strerror(code));
    for (size_t i = 0; i < ARRAY_LEN(causes); i++) {
        const char *cause = listening ? causes[i].listening : causes[i].dialling;
        if (causes[i].error == -code && cause)
            err_cause(reterr, "%s", cause);
    }
    if (code == -EACCES && !listening && endpoint->scheme == EYE_UDP)
        err_cause(reterr, "it is a broadcast address, which needs the option broadcast; else a firewall");
    return code;
}
