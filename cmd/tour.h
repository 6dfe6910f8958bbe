/* tour.h: the recipes that `sockeye tour` runs. */
#ifndef CMD_TOUR_H
#define CMD_TOUR_H

#include <stdio.h>

#include "child.h"

enum tour_mark { TOUR_OK, TOUR_FAILED, TOUR_SKIPPED, TOUR_MARK_MAX };

#define TOUR_CHILDREN_MAX 6

/* A recipe while it runs. Its children and its folder are cleared away by the tour. */
struct tour_step {
    FILE *log;        /* what the reader is shown: commands, and what they printed */
    char reason[160]; /* why it failed or was skipped */
    char folder[64];  /* one of its own for files and Unix sockets */
    struct child *children[TOUR_CHILDREN_MAX];
    size_t child_count;
};

struct tour_recipe {
    int row; /* the recipe's number in the cookbook, or 0 */
    const char *title;
    enum tour_mark (*run)(struct tour_step *step);
};

/* Ended by a row without a title. */
extern const struct tour_recipe tour_recipes[];

#endif
