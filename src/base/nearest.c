/* nearest.c: which name was meant.
 *
 * The distance is Damerau's in its restricted form (optimal string alignment): a letter too many, one too
 * few, a wrong one, or two neighbours swapped count one each; upper and lower case are the same letter. A
 * name is near when at most a third of the longer word, rounded, is wrong. Words longer than any name of
 * ours are near to nothing, which also bounds the work. */
#include <string.h>

#include "base/base.h"

enum { WORD_MAX = 32 };

static size_t distance(const char *a, size_t a_size, const char *b, size_t b_size) {
    /* The rows for the prefixes of a that are two, one and no letters behind. */
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_size; j++)
        row[j] = j;
    for (size_t i = 1; i <= a_size; i++) {
        size_t *oldest = before;
        before = last;
        last = row;
        row = oldest;
        row[0] = i;
        for (size_t j = 1; j <= b_size; j++) {
            bool same = ascii_lower(a[i - 1]) == ascii_lower(b[j - 1]);
            row[j] = MIN(MIN(last[j], row[j - 1]) + 1, last[j - 1] + !same);
            if (i > 1 && j > 1 && ascii_lower(a[i - 1]) == ascii_lower(b[j - 2]) &&
                ascii_lower(a[i - 2]) == ascii_lower(b[j - 1]))
                row[j] = MIN(row[j], before[j - 2] + 1);
        }
    }
    return row[b_size];
}

const char *eye_nearest(const char *word, size_t size, const char *const *names) {
    const char *nearest = NULL;
    size_t nearest_distance = WORD_MAX;

    if (size > WORD_MAX)
        return NULL;
    for (; *names; names++) {
        size_t name_size = strlen(*names);
        if (name_size > WORD_MAX)
            continue;
        size_t d = distance(word, size, *names, name_size);
        if (d <= (MAX(size, name_size) + 1) / 3 && d < MIN(size, name_size) && d < nearest_distance) {
            nearest = *names;
            nearest_distance = d;
        }
    }
    return nearest;
}
