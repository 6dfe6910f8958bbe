/* path.c: one field of every packet, by the path that it has in the JSON.
 *
 * A path is read once, into the protocol and the rows of its table, so that a packet costs a look at its
 * layers and one value, or, of what has no fixed place, at its items. There the lists that an item lies in
 * are those that the path names: a row of a name may stand in several. "inner." and "quoted." before it count
 * levels down; the outermost header of a name is the one that is meant otherwise. */
#include <assert.h>
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
    int found = -1; /* the last of its name: version 2 of Linux cooked has all that version 1 has */
    for (unsigned proto = 0; proto < EYE_PROTO_MAX; proto++) {
        const struct wire_dissector *dissector = wire_of((enum eye_proto)proto);
        if (!dissector)
            continue;
        if (is_word(dissector->name, word, size))
            found = (int)proto;
        names[count++] = dissector->name;
    }
    if (found >= 0) {
        *ret_proto = (uint8_t)found;
        return 0;
    }
    return no_such(text, word, size, names, "protocol", NULL, reterr);
}

/* Whether a row goes by a name: by its own, or its word's, as JSON has them. */
static bool is_row(const struct wire_row *row, const char *word, size_t size, bool *ret_word) {
    enum { SUFFIX = sizeof "_text" - 1 };
    *ret_word = false;
    if (is_word(row->name, word, size))
        return true;
    *ret_word = true;
    if (row->kind == EYE_KIND_SUM)
        return is_word("checksum_text", word, size);
    return row->word_too && size > SUFFIX && memcmp(word + size - SUFFIX, "_text", SUFFIX) == 0 &&
           is_word(row->name, word, size - SUFFIX);
}

/* Adds the row of a name to a path: a list's fields stand behind its own row, or, where it shares them with
 * others, anywhere; none of them has a fixed place. */
static int row_add(const struct wire_dissector *dissector, const char *text, const char *word, size_t size,
                   struct eye_path *path, struct eye_err *reterr) {
    const struct wire_row *rows = dissector->rows;
    const unsigned from = path->count > 0 ? path->row[path->count - 1] + 1U : 0;
    const bool is_list = path->count == 0 || rows[path->row[path->count - 1]].kind == EYE_KIND_LIST;
    const char *names[NAMES_MAX + 1];
    size_t count = 0;
    for (unsigned i = 0; is_list && i < dissector->row_count && path->count < EYE_PATH_ROWS_MAX; i++) {
        const unsigned at = (from + i) % dissector->row_count;
        if (!rows[at].name || (path->count > 0 && rows[at].size > 0))
            continue;
        if (is_row(&rows[at], word, size, &path->word)) {
            path->row[path->count++] = (uint8_t)at;
            return 0;
        }
        names[count++] = rows[at].name;
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
        if (*word == 'q')
            path.quoted |= (uint8_t)(1U << path.level);
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
    while (word[size]) {
        word += size + 1;
        size = strcspn(word, ".");
        if ((r = row_add(wire_of(path.proto), text, word, size, &path, reterr)) < 0)
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

static size_t field_put(const struct eye_path *path, const struct eye_packet *packet,
                        const struct eye_field *field, char *buf, size_t size) {
    static const char *const words[] = {[EYE_SUM_OK] = "true",
                                        [EYE_SUM_BAD] = "false",
                                        [EYE_SUM_UNFINISHED] = "unfinished",
                                        [EYE_SUM_NONE] = "none"};
    const char *word = field->kind == EYE_KIND_SUM    ? words[field->num]
                       : path->word                   ? field->word
                       : field->kind == EYE_KIND_BOOL ? (field->num ? "true" : "false")
                                                      : NULL;
    bool has_word = field->kind != EYE_KIND_SUM || field->num > EYE_SUM_BAD;
    if (path->word)
        return word && has_word ? put(buf, size, word, strlen(word)) : 0;
    if (field->kind == EYE_KIND_UINT)
        return put_number(buf, size, field->num);
    return word ? put(buf, size, word, strlen(word)) : eye_field_text(packet, field, buf, size);
}

/* The items of a layer that the path leads to, with commas between them: those in the lists of its names, and
 * of a list its own elements. */
static size_t items_text(const struct eye_path *path, const struct eye_tree *tree,
                         const struct eye_packet *packet, const struct eye_layer *layer, char *buf,
                         size_t size) {
    const struct wire_row *rows = wire_of(layer->proto)->rows, *names = wire_of(path->proto)->rows;
    uint8_t depth[EYE_PATH_ROWS_MAX], beyond = UINT8_MAX; /* of the lists on the way; of one beside it */
    unsigned found = 0;
    struct eye_field field;
    size_t used = 0;
    assert(path->count > 0);
    for (const struct eye_item *item = &tree->item[layer->item], *end = item + layer->item_count; item < end;
         item++) {
        const struct wire_row *row = &rows[item->row];
        if (item->depth > beyond)
            continue;
        beyond = UINT8_MAX;
        while (found > 0 && item->depth <= depth[found - 1])
            found--;
        bool is_next =
            found < path->count && row->name && strcmp(row->name, names[path->row[found]].name) == 0;
        if (row->kind == EYE_KIND_LIST && is_next)
            depth[found++] = item->depth;
        else if (row->kind == EYE_KIND_LIST)
            beyond = item->depth;
        if (row->kind == EYE_KIND_LIST || row->kind == EYE_KIND_GROUP)
            continue;
        if (found == path->count ? item->depth != depth[found - 1] + 1 : !is_next || found + 1 < path->count)
            continue;
        wire_field_item(rows, item, &field);
        size_t comma = used > 0 && used + 1 < size;
        size_t n = field_put(path, packet, &field, buf + used + comma, size - used - comma);
        if (n == 0)
            continue;
        if (comma)
            buf[used] = ',';
        used += comma + n;
    }
    return used;
}

static const struct wire_row *row_of_name(const struct wire_dissector *dissector, const char *name) {
    for (unsigned i = 0; i < dissector->row_count; i++)
        if (dissector->rows[i].name && strcmp(dissector->rows[i].name, name) == 0)
            return &dissector->rows[i];
    return NULL;
}

static size_t layer_text(const struct eye_path *path, const struct eye_tree *tree,
                         const struct eye_packet *packet, const struct eye_layer *layer, char *buf,
                         size_t size) {
    const struct wire_row *row = &wire_of(path->proto)->rows[path->row[0]];
    struct eye_field field;
    if (layer->proto != path->proto)
        row = row_of_name(wire_of(layer->proto), row->name);
    if (!row || !wire_field_fixed(packet, layer, row, &field))
        return items_text(path, tree, packet, layer, buf, size);
    return field_put(path, packet, &field, buf, size);
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
    for (const struct eye_layer *layer = tree->layer, *end = layer + tree->layer_count;
         layer < end && layer->level <= path->level; layer++) {
        bool quoted = layer->nest == EYE_NEST_QUOTED;
        if (layer->nest != EYE_NEST_NONE && quoted != (path->quoted >> (layer->level - 1) & 1))
            break;
        bool is_meant = layer->proto == path->proto ||
                        strcmp(wire_of(layer->proto)->name, wire_of(path->proto)->name) == 0;
        if (is_meant && layer->level == path->level)
            return layer_text(path, tree, packet, layer, buf, size);
    }
    return 0;
}
