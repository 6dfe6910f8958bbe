/* list.h: a doubly linked list through its members; an element that is in no list links to itself. */
#ifndef SOCKEYE_LIST_H
#define SOCKEYE_LIST_H

#include <stdbool.h>

struct list {
    struct list *next, *prev;
};

static inline void list_init(struct list *list) {
    list->next = list->prev = list;
}

static inline bool list_empty(const struct list *list) {
    return list->next == list;
}

static inline void list_append(struct list *list, struct list *element) {
    element->prev = list->prev;
    element->next = list;
    list->prev->next = element;
    list->prev = element;
}

static inline void list_remove(struct list *element) {
    element->prev->next = element->next;
    element->next->prev = element->prev;
    list_init(element);
}

#endif
