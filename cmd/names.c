#include "names.h"

#include <errno.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <sockeye/err.h>

/* Hosts stand in one place each, by their hash; another one there takes the place. */
#define HOSTS_MAX 1024

struct host {
    uint8_t addr[16];
    size_t size;
    char name[256]; /* escaped; "" where the address has none */
};

struct names {
    struct if_nameindex *interfaces;
    struct host *hosts; /* or NULL: none are looked up */
};

static const char *interface_name(void *user, uint32_t index) {
    const struct names *names = user;
    for (const struct if_nameindex *i = names->interfaces; i && i->if_index; i++) {
        if (i->if_index == index)
            return i->if_name;
    }
    return NULL;
}

static void look_up(struct host *host) {
    struct sockaddr_in in = {.sin_family = AF_INET};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
    bool v6 = host->size == sizeof in6.sin6_addr;
    char name[NI_MAXHOST];

    memcpy(v6 ? (void *)&in6.sin6_addr : (void *)&in.sin_addr, host->addr, host->size);
    host->name[0] = '\0';
    if (getnameinfo(v6 ? (void *)&in6 : (void *)&in, v6 ? sizeof in6 : sizeof in, name, sizeof name, NULL, 0,
                    NI_NAMEREQD) == 0)
        eye_escape(name, strlen(name), host->name, sizeof host->name);
}

static const char *host_name(void *user, const uint8_t *addr, size_t size) {
    const struct names *names = user;
    uint32_t hash = 2166136261u; /* FNV-1a */
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ addr[i]) * 16777619u;
    struct host *host = &names->hosts[hash % HOSTS_MAX];
    if (host->size != size || memcmp(host->addr, addr, size) != 0) {
        memcpy(host->addr, addr, size);
        host->size = size;
        look_up(host);
    }
    return host->name[0] ? host->name : NULL;
}

int names_open(struct eye_look *look, bool live, bool resolve) {
    struct names *names = calloc(1, sizeof *names);
    if (names && resolve && !(names->hosts = calloc(HOSTS_MAX, sizeof *names->hosts))) {
        free(names);
        names = NULL;
    }
    if (!names)
        return -ENOMEM;
    names->interfaces = live ? if_nameindex() : NULL;
    look->interface = interface_name;
    look->host = resolve ? host_name : NULL;
    look->user = names;
    return 0;
}

void names_close(struct eye_look *look) {
    struct names *names = look->user;
    if (!names)
        return;
    if (names->interfaces)
        if_freenameindex(names->interfaces);
    free(names->hosts);
    free(names);
    look->user = NULL;
}
