/* tree.c: walking over the fields of a tree. */
#include <errno.h>

#include "wire/wire.h"

const char *wire_word_of(const struct wire_word *words, uint64_t num) {
    for (; words && words->word; words++)
        if (words->num == num)
            return words->word;
    return NULL;
}

static void field_of_row(struct eye_field *field, const struct wire_row *row, size_t layer) {
    *field = (struct eye_field){
        .name = row->name,
        .title = row->title,
        .kind = row->kind,
        .layer = (uint8_t)layer,
        .scale = row->scale,
        .word_too = row->word_too,
    };
}

int eye_tree_next(const struct eye_tree *tree, const struct eye_packet *packet, struct eye_cursor *cursor,
                  struct eye_field *ret_field) {
    for (; cursor->layer < tree->layer_count; *cursor = (struct eye_cursor){.layer = cursor->layer + 1}) {
        const struct eye_layer *layer = &tree->layer[cursor->layer];
        const struct wire_dissector *dissector = wire_of(layer->proto);
        while (cursor->row < dissector->row_count) {
            const struct wire_row *row = &dissector->rows[cursor->row++];
            bool is_sum = row->kind == EYE_KIND_SUM && layer->sum != EYE_SUM_UNKNOWN;
            if (!is_sum && (row->size == 0 || row->off + row->size > layer->len))
                continue;
            field_of_row(ret_field, row, cursor->layer);
            ret_field->off = layer->off + row->off;
            ret_field->len = row->size;
            ret_field->num = is_sum ? layer->sum : wire_row_num(row, packet->data + layer->off);
            ret_field->word = wire_word_of(row->words, ret_field->num);
            return 1;
        }
        if (cursor->item < layer->item_count) {
            const struct eye_item *item = &tree->item[layer->item + cursor->item++];
            const struct wire_row *row = &dissector->rows[item->row];
            field_of_row(ret_field, row, cursor->layer);
            ret_field->depth = item->depth;
            ret_field->off = item->off;
            ret_field->len = item->len;
            ret_field->num = item->num;
            ret_field->word = wire_word_of(row->words, item->num);
            return 1;
        }
    }
    return 0;
}

int eye_tree_find(const struct eye_tree *tree, const struct eye_packet *packet, const char *path,
                  struct eye_field *ret_field) {
    const char *dot = strchr(path, '.');
    if (!dot)
        return -ENOENT;
    for (uint16_t i = 0; i < tree->layer_count; i++) {
        const char *name = wire_of(tree->layer[i].proto)->name;
        if (strlen(name) != (size_t)(dot - path) || strncmp(name, path, strlen(name)) != 0)
            continue;
        struct eye_cursor cursor = {.layer = i};
        struct eye_field field;
        while (eye_tree_next(tree, packet, &cursor, &field) && field.layer == i) {
            if (field.depth > 0 || !field.name || strcmp(field.name, dot + 1) != 0)
                continue;
            *ret_field = field;
            return 0;
        }
        return -ENOENT;
    }
    return -ENOENT;
}
