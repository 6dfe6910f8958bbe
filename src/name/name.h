/* name.h: what the files of this floor share: literals, zones and ports, as pieces of a longer text. */
#ifndef SOCKEYE_NAME_H
#define SOCKEYE_NAME_H

#include <sockeye/addr.h>

#include "base/base.h"

#define UNIX_PATH_MAX (sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1)

/* Whether the text is such a literal, and which address. IPv4 as inet_pton(3) has it, IPv6 without zone. */
bool name_read_ipv4(const char *text, size_t size, struct in_addr *ret_in);
bool name_read_ipv6(const char *text, size_t size, struct in6_addr *ret_in6);

/* The index of the interface that a zone names. Numbers need not belong to an interface of today. Returns
 * 0 or -ENODEV. */
int name_read_zone(const char *zone, size_t size, uint32_t *ret_index);

/* Whether the text could be a port: a number up to 65535, or a service's name, which is letters, digits
 * and inner hyphens with at least one letter (RFC 6335, 5.1). Returns 0; EYE_ESYNTAX; -ERANGE for too
 * high a number. */
int name_check_port(const char *text, size_t size);

/* Whether a text says by its beginning that it is a Unix socket's path or abstract name. */
bool name_is_path(const char *text);

/* Fails where a path or abstract name ('@' and more), found in a text, is empty or does not fit a socket
 * address. */
int name_check_path(const char *path, const char *text, struct eye_err *reterr);

#endif
