#include "plot.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sockeye/newfile.h>

#define POINTS_MAX 512
#define NAMES_MAX  4
#define PANEL_W    420.0
#define PANEL_H    250.0
#define LEFT       60.0
#define TOP        80.0
#define GAP_X      90.0
#define GAP_Y      80.0

static const char *const colours[NAMES_MAX] = {"#0b6e99", "#d9730d", "#448361", "#9065b0"};

struct point {
    const char *subject, *way;
    size_t series;
    double size, gb_s;
};

struct plot {
    const char *title, *note, *names[NAMES_MAX + 1];
    size_t count;
    struct point points[POINTS_MAX];
};

struct plot *plot_new(const char *title, const char *note, const char *const *names) {
    struct plot *plot = calloc(1, sizeof *plot);
    if (!plot)
        return NULL;
    plot->title = title;
    plot->note = note;
    for (size_t i = 0; i < NAMES_MAX && names[i]; i++)
        plot->names[i] = names[i];
    return plot;
}

void plot_add(struct plot *plot, const char *subject, size_t series, const char *way, double size,
              double gb_s) {
    if (plot->count < POINTS_MAX)
        plot->points[plot->count++] = (struct point){subject, way, series, size, gb_s};
}

/* ---- the scales: both logarithmic ---- */

struct scale {
    double low, high; /* powers of 2 and of 10 */
};

static double x_at(const struct scale *x, double size) {
    return x->high > x->low ? (log2(size) - x->low) / (x->high - x->low) * PANEL_W : PANEL_W / 2;
}

static double y_at(const struct scale *y, double gb_s) {
    return PANEL_H - (log10(gb_s) - y->low) / (y->high - y->low) * PANEL_H;
}

static void scales(const struct plot *plot, struct scale *ret_x, struct scale *ret_y) {
    *ret_x = *ret_y = (struct scale){INFINITY, -INFINITY};
    for (size_t i = 0; i < plot->count; i++) {
        ret_x->low = fmin(ret_x->low, log2(plot->points[i].size));
        ret_x->high = fmax(ret_x->high, log2(plot->points[i].size));
        ret_y->low = fmin(ret_y->low, floor(log10(plot->points[i].gb_s)));
        ret_y->high = fmax(ret_y->high, ceil(log10(plot->points[i].gb_s) + 0.01));
    }
}

static const char *size_text(double size, char *buf, size_t buf_size) {
    if (size >= 1048576)
        snprintf(buf, buf_size, "%.0f MiB", size / 1048576);
    else if (size >= 1024)
        snprintf(buf, buf_size, "%.0f KiB", size / 1024);
    else
        snprintf(buf, buf_size, "%.0f B", size);
    return buf;
}

/* ---- the drawing ---- */

static void escaped(FILE *svg, const char *text) {
    for (; *text; text++) {
        if (*text == '&' || *text == '<' || *text == '>')
            fprintf(svg, "&#%d;", *text);
        else
            fputc(*text, svg);
    }
}

static void axes(FILE *svg, const struct plot *plot, const char *subject, const struct scale *x,
                 const struct scale *y) {
    char text[32];
    fprintf(svg, "<text x='0' y='-12' class='h'>%s</text>\n", subject);
    for (int power = (int)y->low; power <= (int)y->high; power++) {
        double at = y_at(y, pow(10, power));
        fprintf(svg, "<path d='M0 %.1fH%.0f' class='g'/><text x='-8' y='%.1f' class='e'>%g</text>\n", at,
                PANEL_W, at + 4, pow(10, power));
    }
    double drawn = -1;
    for (size_t i = 0; i < plot->count; i++) {
        double at = x_at(x, plot->points[i].size);
        if (strcmp(plot->points[i].subject, subject) != 0 || at <= drawn)
            continue;
        drawn = at;
        fprintf(svg, "<path d='M%.1f 0V%.0f' class='g'/><text x='%.1f' y='%.0f' class='m'>%s</text>\n", at,
                PANEL_H, at, PANEL_H + 18, size_text(plot->points[i].size, text, sizeof text));
    }
}

/* The points of one line, which are those of one series and way. */
static void line(FILE *svg, const struct plot *plot, const struct point *first, const struct scale *x,
                 const struct scale *y) {
    bool dashed = strcmp(first->way, "decrypt") == 0;
    fprintf(svg, "<path fill='none' stroke='%s' stroke-width='2'%s d='", colours[first->series],
            dashed ? " stroke-dasharray='6 4'" : "");
    for (const struct point *p = first; p < plot->points + plot->count; p++)
        if (p->subject == first->subject && p->series == first->series && p->way == first->way)
            fprintf(svg, "%c%.1f %.1f", p == first ? 'M' : 'L', x_at(x, p->size), y_at(y, p->gb_s));
    fputs("'/>\n", svg);
    for (const struct point *p = first; p < plot->points + plot->count; p++)
        if (p->subject == first->subject && p->series == first->series && p->way == first->way)
            fprintf(svg, "<circle cx='%.1f' cy='%.1f' r='3' fill='%s'/>\n", x_at(x, p->size),
                    y_at(y, p->gb_s), colours[first->series]);
}

static void panel(FILE *svg, const struct plot *plot, const char *subject, const struct scale *x,
                  const struct scale *y) {
    axes(svg, plot, subject, x, y);
    for (size_t i = 0; i < plot->count; i++) {
        const struct point *p = &plot->points[i], *before = plot->points;
        while (before < p &&
               (before->subject != p->subject || before->series != p->series || before->way != p->way))
            before++;
        if (before == p && p->subject == subject)
            line(svg, plot, p, x, y);
    }
}

static void legend(FILE *svg, const struct plot *plot) {
    double x = LEFT;
    for (size_t i = 0; plot->names[i]; i++) {
        bool drawn = false;
        for (size_t p = 0; p < plot->count; p++)
            drawn = drawn || plot->points[p].series == i;
        if (!drawn)
            continue;
        fprintf(svg, "<path d='M%.0f 48h22' stroke='%s' stroke-width='3'/><text x='%.0f' y='52'>%s</text>\n",
                x, colours[i], x + 28, plot->names[i]);
        x += 50 + 7 * (double)strlen(plot->names[i]);
    }
    fprintf(svg, "<text x='%.0f' y='52' class='n'>GB/s by bytes a message; decrypting dashed</text>\n", x);
}

static void draw(FILE *svg, const struct plot *plot) {
    const char *done = NULL;
    struct scale x, y;
    size_t count = 0;
    scales(plot, &x, &y);
    for (size_t i = 0; i < plot->count; i++)
        count += i == 0 || plot->points[i].subject != plot->points[i - 1].subject;
    double width = 2 * LEFT + 2 * PANEL_W + GAP_X,
           height = TOP + ceil((double)count / 2) * (PANEL_H + GAP_Y) + 20;
    fprintf(svg,
            "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 %.0f %.0f' width='%.0f' height='%.0f'>\n"
            "<style>text{font:13px "
            "sans-serif;fill:#222}.h{font-weight:bold}.e{text-anchor:end}.m{text-anchor:middle}"
            ".t{font-size:17px;font-weight:bold}.n{fill:#666}.g{stroke:#ddd}</style>\n"
            "<rect width='100%%' height='100%%' fill='#fff'/>\n<text x='%.0f' y='28' class='t'>%s</text>\n",
            width, height, width, height, LEFT, plot->title);
    legend(svg, plot);
    count = 0;
    for (size_t i = 0; i < plot->count; i++) {
        if (plot->points[i].subject == done)
            continue;
        done = plot->points[i].subject;
        fprintf(svg, "<g transform='translate(%.0f %.0f)'>\n", LEFT + (double)(count % 2) * (PANEL_W + GAP_X),
                TOP + 30 + floor((double)count / 2) * (PANEL_H + GAP_Y));
        panel(svg, plot, done, &x, &y);
        fputs("</g>\n", svg);
        count++;
    }
    fprintf(svg, "<text x='%.0f' y='%.0f' class='n'>", LEFT, height - 14);
    escaped(svg, plot->note);
    fputs("</text>\n</svg>\n", svg);
}

int plot_write(const struct plot *plot, const char *path) {
    eye_newfile *file = NULL;
    int r = eye_newfile_open(AT_FDCWD, path, 0666, 0, &file);
    if (r < 0)
        return r;
    int fd = dup(eye_newfile_fd(file));
    FILE *svg = fd < 0 ? NULL : fdopen(fd, "w");
    if (svg) {
        draw(svg, plot);
        r = ferror(svg) ? -EIO : 0;
        if (fclose(svg) != 0 && r == 0)
            r = -errno;
    } else {
        r = -errno;
    }
    if (r == 0)
        r = eye_newfile_commit(file);
    eye_newfile_free(file);
    return r;
}
