/* path.c: one field of every packet, by the path that it has in the JSON.
 *
 * A path is read once, into the protocol and the row of its table, so that a packet costs a look at its
 * layers and one value. "inner." and "quoted." before it count levels down; the outermost header of a name is
 * the one that is meant otherwise. */
#include <stdio.h>

#include "wire/format.h"

enum {
    PATH_ROW,
    PATH_NUMBER,
    PATH_TIME,
    PATH_LEN,
    PATH_CAPLEN,
    PATH_LINK,
    PATH_VLAN,
    PATH_TRUNCATED,
    PATH_MALFORMED
};

/* What is no field of a protocol. */
static const struct {
    const char *name;
    uint8_t what;
} specials[] = {
    {"frame.number", PATH_NUMBER}, {"frame.time", PATH_TIME},     {"frame.len", PATH_LEN},
    {"frame.caplen", PATH_CAPLEN}, {"frame.link", PATH_LINK},     {"vlan", PATH_VLAN},
    {"truncated", PATH_TRUNCATED}, {"malformed", PATH_MALFORMED},
};

enum { NAMES_MAX = 256 };

static bool is_word(const char *name, const char *text, size_t size) {
    return name && strlen(name) == size && memcmp(name, text, size) == 0;
}

static int no_such(const char *text, const char *word, size_t size, const char *const *names,
                   const char *what, const char *in, struct eye_err *reterr) {
    const char *near = eye_nearest(word, size, names);
    err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: there is no %s '%.*s'%s%s", text, what, (int)size, word,
            in ? " in " : "", in ? in : "");
    if (near)
        err_cause(reterr, "did you mean '%s'?", near);
    err_column(reterr, (size_t)(word - text));
    return EYE_ESYNTAX;
}

static int proto_of(const char *text, const char *word, size_t size, uint8_t *ret_proto,
                    struct eye_err *reterr) {
    const char *names[EYE_PROTO_MAX + ARRAY_LEN(specials) + 1] = {"frame"};
    size_t count = 1;
    for (unsigned proto = 0; proto < EYE_PROTO_MAX; proto++) {
        const struct wire_dissector *dissector = wire_of((enum eye_proto)proto);
        if (!dissector)
            continue;
        if (is_word(dissector->name, word, size)) {
            *ret_proto = (uint8_t)proto;
            return 0;
        }
        names[count++] = dissector->name;
    }
    return no_such(text, word, size, names, "protocol", NULL, reterr);
}

/* The row of a name, from a row on: what a list's fields are called stands behind the list's own row. */
static int row_of(const struct wire_dissector *dissector, unsigned from, const char *text, const char *word,
                  size_t size, uint8_t *ret_row, struct eye_err *reterr) {
    const char *names[NAMES_MAX + 1];
    size_t count = 0;
    for (unsigned row = from; row < dissector->row_count; row++) {
        if (is_word(dissector->rows[row].name, word, size)) {
            *ret_row = (uint8_t)row;
            return 0;
        }
        if (dissector->rows[row].name)
            names[count++] = dissector->rows[row].name;
    }
    names[count] = NULL;
    return no_such(text, word, size, names, "field", dissector->name, reterr);
}

int eye_path_parse(const char *text, struct eye_path *ret_path, struct eye_err *reterr) {
    struct eye_path path = {.what = PATH_ROW};
    const char *word = text;
    for (;; path.level++) {
        size_t size = strncmp(word, "inner.", 6) == 0 ? 6 : strncmp(word, "quoted.", 7) == 0 ? 7 : 0;
        if (size == 0 || path.level == WIRE_NESTED_MAX)
            break;
        word += size;
    }
    for (size_t i = 0; i < ARRAY_LEN(specials); i++) {
        if (strcmp(specials[i].name, word) != 0)
            continue;
        path.what = specials[i].what;
        *ret_path = path;
        return 0;
    }
    size_t size = strcspn(word, ".");
    int r = proto_of(text, word, size, &path.proto, reterr);
    if (r < 0)
        return r;
    if (!word[size]) {
        err_set(reterr, EYE_ESYNTAX, EYE_FAIL_USAGE, "%s: which field of it?", text);
        err_column(reterr, strlen(text));
        return EYE_ESYNTAX;
    }
    for (unsigned from = 0; word[size]; from = path.row + 1U) {
        word += size + 1;
        size = strcspn(word, ".");
        if ((r = row_of(wire_of(path.proto), from, text, word, size, &path.row, reterr)) < 0)
            return r;
    }
    *ret_path = path;
    return 0;
}

/* ---- values ---- */

static size_t put(char *buf, size_t size, const char *text, size_t text_size) {
    size_t n = MIN(text_size, size - 1);
    memcpy(buf, text, n);
    buf[n] = '\0';
    return n;
}

static size_t put_number(char *buf, size_t size, uint64_t num) {
    char text[20];
    return put(buf, size, text, (size_t)(wire_put_uint(text, num) - text));
}

static size_t field_put(const struct eye_packet *packet, const struct eye_field *field, char *buf,
                        size_t size) {
    static const char *const words[] = {[EYE_SUM_OK] = "true",
                                        [EYE_SUM_BAD] = "false",
                                        [EYE_SUM_UNFINISHED] = "unfinished",
                                        [EYE_SUM_NONE] = "none"};
    const char *word = field->kind == EYE_KIND_SUM    ? words[field->num]
                       : field->kind == EYE_KIND_BOOL ? (field->num ? "true" : "false")
                                                      : NULL;
    if (field->kind == EYE_KIND_UINT)
        return put_number(buf, size, field->num);
    return word ? put(buf, size, word, strlen(word)) : eye_field_text(packet, field, buf, size);
}

/* A layer's fields of that row, with commas between them. */
static size_t row_text(const struct eye_path *path, const struct eye_tree *tree,
                       const struct eye_packet *packet, uint16_t at, char *buf, size_t size) {
    const struct wire_row *row = &wire_of(path->proto)->rows[path->row];
    /* A field at a fixed place is the first that a walk from its row on gives. */
    bool fixed = row->size > 0 || row->kind == EYE_KIND_SUM;
    struct eye_cursor cursor = {.layer = at, .row = fixed ? path->row : UINT8_MAX};
    struct eye_field field;
    size_t used = 0;
    while (eye_tree_next(tree, packet, &cursor, &field) && field.layer == at) {
        if (field.name != row->name || field.kind == EYE_KIND_LIST || field.kind == EYE_KIND_GROUP)
            continue;
        if (used > 0 && used + 1 < size)
            buf[used++] = ',';
        used += field_put(packet, &field, buf + used, size - used);
        if (fixed)
            break;
    }
    return used;
}

static size_t vlan_text(const struct eye_path *path, const struct eye_tree *tree,
                        const struct eye_packet *packet, char *buf, size_t size) {
    struct eye_field field;
    size_t used = 0;
    for (uint16_t i = 0; i < tree->layer_count; i++) {
        struct eye_cursor cursor = {.layer = i};
        if (tree->layer[i].proto != EYE_PROTO_VLAN || tree->layer[i].level != path->level)
            continue;
        while (eye_tree_next(tree, packet, &cursor, &field) && field.layer == i) {
            if (strcmp(field.name, "id") != 0)
                continue;
            if (used > 0 && used + 1 < size)
                buf[used++] = ',';
            used += put_number(buf + used, size - used, field.num);
        }
    }
    return used;
}

static size_t special_text(const struct eye_path *path, const struct eye_tree *tree,
                           const struct eye_packet *packet, char *buf, size_t size) {
    char text[128];
    const char *link;
    switch (path->what) {
    case PATH_NUMBER:
        return put_number(buf, size, packet->number);
    case PATH_TIME:
        return put(buf, size, text, (size_t)(format_time_utc(text, packet->time_ns, 9) - text));
    case PATH_LEN:
        return put_number(buf, size, packet->len);
    case PATH_CAPLEN:
        return put_number(buf, size, packet->caplen);
    case PATH_LINK:
        link = format_link_name(packet->link);
        return link ? put(buf, size, link, strlen(link)) : put_number(buf, size, packet->link);
    case PATH_VLAN:
        return vlan_text(path, tree, packet, buf, size);
    case PATH_TRUNCATED:
        return tree->truncated ? put(buf, size, tree->truncated, strlen(tree->truncated)) : 0;
    default: /* PATH_MALFORMED */
        if (!tree->malformed)
            return 0;
        snprintf(text, sizeof text, "%s, %s", tree->malformed, tree->malformed_where);
        return put(buf, size, text, strlen(text));
    }
}

size_t eye_path_text(const struct eye_path *path, const struct eye_tree *tree,
                     const struct eye_packet *packet, char *buf, size_t size) {
    buf[0] = '\0';
    if (path->what != PATH_ROW)
        return special_text(path, tree, packet, buf, size);
    for (uint16_t i = 0; i < tree->layer_count; i++)
        if (tree->layer[i].proto == path->proto && tree->layer[i].level == path->level)
            return row_text(path, tree, packet, i, buf, size);
    return 0;
}
