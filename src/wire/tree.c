/* tree.c: walking over the fields of a tree. */
#include <errno.h>

#include "wire/wire.h"

const char *wire_word_of(const struct wire_word *words, uint64_t num) {
    for (; words && words->word; words++)
        if (words->num == num)
            return words->word;
    return NULL;
}

static void field_of_row(struct eye_field *field, const struct wire_row *row, uint64_t num) {
    *field = (struct eye_field){
        .name = row->name,
        .title = row->title,
        .word = wire_word_of(row->words, num),
        .kind = row->kind,
        .scale = row->scale,
        .word_too = row->word_too,
        .num = num,
    };
}

bool wire_field_fixed(const struct eye_packet *packet, const struct eye_layer *layer,
                      const struct wire_row *row, struct eye_field *ret_field) {
    bool is_sum = row->kind == EYE_KIND_SUM && layer->sum != EYE_SUM_UNKNOWN;
    if (!is_sum && (row->size == 0 || row->off + row->size > layer->len))
        return false;
    field_of_row(ret_field, row, is_sum ? layer->sum : wire_row_num(row, packet->data + layer->off));
    ret_field->off = layer->off + row->off;
    ret_field->len = row->size;
    return true;
}

void wire_field_item(const struct wire_row *rows, const struct eye_item *item, struct eye_field *ret_field) {
    field_of_row(ret_field, &rows[item->row], item->num);
    ret_field->depth = item->depth;
    ret_field->off = item->off;
    ret_field->len = item->len;
}

int eye_tree_next(const struct eye_tree *tree, const struct eye_packet *packet, struct eye_cursor *cursor,
                  struct eye_field *ret_field) {
    for (; cursor->layer < tree->layer_count; *cursor = (struct eye_cursor){.layer = cursor->layer + 1}) {
        const struct eye_layer *layer = &tree->layer[cursor->layer];
        const struct wire_dissector *dissector = wire_of(layer->proto);
        bool found = false;
        while (!found && cursor->row < dissector->row_count)
            found = wire_field_fixed(packet, layer, &dissector->rows[cursor->row++], ret_field);
        if (!found && cursor->item < layer->item_count) {
            wire_field_item(dissector->rows, &tree->item[layer->item + cursor->item++], ret_field);
            found = true;
        }
        if (found) {
            ret_field->layer = (uint8_t)cursor->layer;
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
