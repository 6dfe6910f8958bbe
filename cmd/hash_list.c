/* hash_list.c: lists of digests, see hash.h. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "hash.h"

static const char *alg_by_length(size_t digits) {
    static const char *const names[] = {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "crc32c"};
    for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
        const struct eye_hash_alg *alg;
        for (size_t i = 0; (alg = eye_hash_alg(i)); i++)
            if (strcmp(alg->name, names[n]) == 0 && 2 * alg->digest_bytes == digits)
                return alg->name;
    }
    return NULL;
}

static bool is_hex(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (!isxdigit((unsigned char)text[i]))
            return false;
    return size > 0;
}

/* Takes \\, \n and \r out of a name; false where something else is escaped. */
static bool unescape(char *name) {
    char *to = name;
    for (; *name; name++) {
        if (*name != '\\') {
            *to++ = *name;
            continue;
        }
        name++;
        if (*name != '\\' && *name != 'n' && *name != 'r')
            return false;
        *to++ = *name == 'n' ? '\n' : *name == 'r' ? '\r' : '\\';
    }
    *to = '\0';
    return true;
}

/* "ALG (NAME) = HEX"; coreutils writes BLAKE2b. */
static bool split_tagged(char *text, struct hash_line *ret) {
    char *open = strstr(text, " ("), *end = NULL;
    for (char *at = open; at && (at = strstr(at, ") = ")); at++)
        end = at;
    if (!open || !end || end < open + 2)
        return false;
    *open = *end = '\0';
    for (char *c = text; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    *ret = (struct hash_line){.alg = text, .hex = end + 4, .name = open + 2};
    return is_hex(ret->hex, strlen(ret->hex));
}

/* "HEX  NAME" or "HEX *NAME". */
static bool split_plain(char *text, const char *alg, struct hash_line *ret) {
    size_t digits = strcspn(text, " ");
    if (!is_hex(text, digits) || text[digits] != ' ' ||
        (text[digits + 1] != ' ' && text[digits + 1] != '*') || !text[digits + 2])
        return false;
    text[digits] = '\0';
    *ret = (struct hash_line){
        .alg = alg ? alg : alg_by_length(digits), .hex = text, .name = text + digits + 2, .guessed = !alg};
    return ret->alg != NULL;
}

int hash_list_read(FILE *list, const char *alg, int (*found)(void *user, const struct hash_line *line),
                   void *user, size_t *ret_malformed) {
    char *text = NULL;
    size_t size = 0;
    int status = 0;
    ssize_t n;
    while (status == 0 && (n = getline(&text, &size, list)) >= 0) {
        struct hash_line line;
        if (n > 0 && text[n - 1] == '\n')
            text[--n] = '\0';
        if (n == 0 || text[0] == '#')
            continue;
        bool escaped = text[0] == '\\';
        char *start = text + escaped;
        if ((split_plain(start, alg, &line) || split_tagged(start, &line)) &&
            (!escaped || unescape((char *)line.name)))
            status = found(user, &line);
        else
            (*ret_malformed)++;
    }
    free(text);
    return status;
}
