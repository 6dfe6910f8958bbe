/* json.h: a writer of JSON lines (RFC 8259), one object a line, each with "v":1.
 *
 * It writes to a file, or to a buffer of a fixed size in which what does not fit is left out and `cut`
 * is set. It keeps no tree: keys and values are written as they are said, and the caller says them in
 * their order. Strings hold no raw control character: C0, DEL, C1, bidirectional controls and line
 * separators become \uXXXX, and each byte that is not UTF-8 becomes U+FFFD, which every reader takes. */
#ifndef CMD_JSON_H
#define CMD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
    FILE *file; /* or NULL: into buf */
    char *buf;
    size_t size, used;
    size_t string_max; /* strings are cut to so many bytes and end in "..." then; 0: never */
    bool comma;        /* the next value follows another */
    bool cut;          /* something did not fit */
};

/* A line: {"v":1 ... } and its newline. */
void json_begin(struct json *json);
void json_end(struct json *json);

/* Values. The key is NULL inside an array; a NULL text is null. */
void json_string(struct json *json, const char *key, const char *text);
void json_bytes(struct json *json, const char *key, const char *text, size_t size);
void json_int(struct json *json, const char *key, int64_t value);
void json_uint(struct json *json, const char *key, uint64_t value);
/* With so many decimals; what is no number (RFC 8259, 6) is null. */
void json_real(struct json *json, const char *key, double value, int decimals);
void json_bool(struct json *json, const char *key, bool value);

/* Containers: '{' or '[' opens one, '}' or ']' closes it. */
void json_open(struct json *json, const char *key, char bracket);
void json_close(struct json *json, char bracket);

#endif
