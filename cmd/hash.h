/* hash.h: `sockeye hash`, and the lists that its --check reads. */
#ifndef CMD_HASH_H
#define CMD_HASH_H

#include <stdio.h>

#include "commands.h"
#include "secret.h"

struct hash_options {
    struct secret_options secret;
    const char *algs;
    bool check;
};

struct hash_line {
    const char *alg, *hex, *name;
    bool
        guessed; /* the line does not name its algorithm: that of SHA-2 and the old ones with such a length */
};

/* Reads a list of digests as sha256sum writes it ("HEX  NAME", "HEX *NAME", "ALG (NAME) = HEX", with a
 * backslash before a line whose name is escaped) and hands each to found, until that returns another status
 * than 0, which is returned. alg: of lines that do not name theirs; NULL: by the digest's length. Empty lines
 * and those that begin with # are nothing, others are counted. */
int hash_list_read(FILE *list, const char *alg, int (*found)(void *user, const struct hash_line *line),
                   void *user, size_t *ret_malformed);

#endif
