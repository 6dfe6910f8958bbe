/* plot.h: gigabytes in a second by size, as an SVG: a panel for each subject, a colour for each series. */
#ifndef CMD_PLOT_H
#define CMD_PLOT_H

#include <stddef.h>

struct plot;

/* names: of the series, ended by NULL, at most 4; what is given has to live as long. free(3) ends it; NULL:
 * no memory. */
struct plot *plot_new(const char *title, const char *note, const char *const *names);

/* A point. Subjects come one after another; a second line of one series in a panel is dashed, by its way. */
void plot_add(struct plot *plot, const char *subject, size_t series, const char *way, double size,
              double gb_s);

/* Writes the file, whole or not at all. Returns 0 or a negative code. */
int plot_write(const struct plot *plot, const char *path);

#endif
