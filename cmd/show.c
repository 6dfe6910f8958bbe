#include "show.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "options.h"

#define BUFFER_BYTES (256 * 1024)
#define HEX_COLUMNS  16

int show_open(struct show *show) {
    show->size = BUFFER_BYTES;
    show->buf = malloc(show->size);
    return show->buf ? 0 : -ENOMEM;
}

void show_close(struct show *show) {
    free(show->buf);
}

int show_flush(struct show *show) {
    size_t done = 0, used = show->used;
    show->used = 0;
    while (done < used) {
        ssize_t n = write(STDOUT_FILENO, show->buf + done, used - done);
        if (n < 0 && errno == EAGAIN) /* somebody else's O_NONBLOCK on what we were given */
            poll(&(struct pollfd){.fd = STDOUT_FILENO, .events = POLLOUT}, 1, -1);
        else if (n < 0 && errno != EINTR)
            return -errno;
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

/* Makes room for so many bytes. */
static int show_reserve(struct show *show, size_t size) {
    if (show->size - show->used >= size)
        return 0;
    int r = show_flush(show);
    if (r < 0 || show->size >= size)
        return r;
    char *more = realloc(show->buf, size);
    if (!more)
        return -ENOMEM;
    show->buf = more;
    show->size = size;
    return 0;
}

/* ---- dumps ---- */

/* Where the link layer's headers end, or 0 where they are wanted. */
static size_t dump_from(const struct show *show, const struct eye_packet *packet) {
    for (int i = 0; i < show->tree.layer_count && !show->look.link; i++) {
        if (show->tree.layer[i].proto > EYE_PROTO_NULL)
            return show->tree.layer[i].off;
    }
    return show->look.link || show->tree.layer_count == 0 ? 0 : packet->caplen;
}

static char printable(uint8_t byte) {
    return (char)(byte >= ' ' && byte < 0x7f ? byte : '.');
}

/* "\t0x0010:  0000 0000 ...  ...." as tcpdump(8) prints it. */
static char *hex_line(char *out, const uint8_t *data, size_t at, size_t size, bool text) {
    static const char digits[] = "0123456789abcdef";
    char *begin = out;
    out += sprintf(out, "\t0x%04zx: ", at);
    for (size_t i = 0; i < size; i++) {
        if (i % 2 == 0)
            *out++ = ' ';
        *out++ = digits[data[i] >> 4];
        *out++ = digits[data[i] & 15];
    }
    if (text) {
        while (out - begin < 1 + 8 + HEX_COLUMNS / 2 * 5 + 2)
            *out++ = ' ';
        for (size_t i = 0; i < size; i++)
            *out++ = data[i] == ' ' ? '.' : printable(data[i]);
    }
    *out++ = '\n';
    return out;
}

static int show_dump(struct show *show, const struct eye_packet *packet) {
    size_t from = dump_from(show, packet);
    const uint8_t *data = packet->data + from;
    size_t size = packet->caplen - from;
    int r = show_reserve(show, (size / HEX_COLUMNS + 1) * 80 + 2 * size);
    if (r < 0)
        return r;
    char *out = show->buf + show->used;
    if (show->dump == SHOW_ASCII) {
        /* A line of the packet's stands apart from those that are ours. */
        *out++ = '\t';
        for (size_t i = 0; i < size; i++) {
            *out++ = data[i] == '\n' ? '\n' : data[i] == '\t' ? ' ' : printable(data[i]);
            if (data[i] == '\n')
                *out++ = '\t';
        }
        *out++ = '\n';
    } else {
        for (size_t at = 0; at < size; at += HEX_COLUMNS)
            out = hex_line(out, data + at, at, size - at < HEX_COLUMNS ? size - at : HEX_COLUMNS,
                           show->dump == SHOW_HEX_ASCII);
    }
    show->used = (size_t)(out - show->buf);
    return 0;
}

/* ---- columns ---- */

int show_fields(struct show *show, char *list, struct eye_err *reterr) {
    const char *begin = list;
    for (char *path = list, *comma; path; path = comma) {
        comma = strchr(path, ',');
        if (comma)
            *comma++ = '\0';
        int r = !*path ? usage_error(reterr, NULL, "--fields: a path is missing")
                : show->field_count == SHOW_FIELDS_MAX
                    ? usage_error(reterr, NULL, "--fields: at most %d", SHOW_FIELDS_MAX)
                    : eye_path_parse(path, &show->fields[show->field_count], reterr);
        if (r < 0) {
            reterr->column += (size_t)(path - begin);
            return r;
        }
        show->names[show->field_count++] = path;
    }
    return 0;
}

#define FIELD_MAX 65536

/* A value as CSV wants it (RFC 4180): between quotes where it holds what separates, a quote twice. */
static int put_csv(struct show *show, const char *text, size_t size) {
    bool quotes = memchr(text, ',', size) || memchr(text, '"', size);
    int r = show_reserve(show, size * 2 + 2);
    if (r < 0)
        return r;
    char *out = show->buf + show->used;
    if (quotes)
        *out++ = '"';
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '"')
            *out++ = '"';
        *out++ = text[i];
    }
    if (quotes)
        *out++ = '"';
    show->used = (size_t)(out - show->buf);
    return 0;
}

static int put_char(struct show *show, char c) {
    int r = show_reserve(show, 1);
    if (r == 0)
        show->buf[show->used++] = c;
    return r;
}

static int show_header(struct show *show) {
    int r = 0;
    for (size_t i = 0; i < show->field_count && r == 0; i++) {
        r = put_csv(show, show->names[i], strlen(show->names[i]));
        if (r == 0)
            r = put_char(show, i + 1 < show->field_count ? ',' : '\n');
    }
    return r;
}

static int show_columns(struct show *show, const struct eye_packet *packet) {
    char text[FIELD_MAX];
    int r = show->csv && !show->headed ? show_header(show) : 0;
    show->headed = true;
    for (size_t i = 0; i < show->field_count && r == 0; i++) {
        r = show_reserve(show, sizeof text);
        if (r < 0)
            break;
        if (show->csv)
            r = put_csv(show, text, eye_path_text(&show->fields[i], &show->tree, packet, text, sizeof text));
        else
            show->used +=
                eye_path_text(&show->fields[i], &show->tree, packet, show->buf + show->used, sizeof text);
        if (r == 0)
            r = put_char(show, i + 1 == show->field_count ? '\n' : show->csv ? ',' : '\t');
    }
    return r;
}

/* ---- a packet ---- */

static int show_style(struct show *show, const struct eye_packet *packet) {
    static const enum eye_style styles[] = {
        [SHOW_LINE] = EYE_STYLE_LINE, [SHOW_DETAIL] = EYE_STYLE_DETAIL, [SHOW_JSON] = EYE_STYLE_JSON};
    for (;;) {
        int n = eye_tree_show(&show->tree, packet, styles[show->kind], &show->look, show->buf + show->used,
                              show->size - show->used);
        if (n >= 0) {
            show->used += (size_t)n;
            return 0;
        }
        /* It did not fit: into the emptied buffer, or into one of twice the size. */
        int r = show_reserve(show, show->used > 0 ? show->size : show->size * 2);
        if (r < 0)
            return r;
    }
}

int show_packet(struct show *show, const struct eye_packet *packet) {
    bool verify = show->verify || show->kind == SHOW_DETAIL;
    eye_dissect(packet, verify ? EYE_DISSECT_VERIFY : 0, &show->tree);
    if (show->look.clock == EYE_CLOCK_SINCE && !show->look.since_ns)
        show->look.since_ns = packet->time_ns;
    int r = show->kind == SHOW_FIELDS ? show_columns(show, packet) : show_style(show, packet);
    show->look.since_ns = packet->time_ns;
    if (r == 0 && show->dump)
        r = show_dump(show, packet);
    if (r == 0 && show->each)
        r = show_flush(show);
    return r;
}
