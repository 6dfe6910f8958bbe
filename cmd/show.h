/* show.h: how `sniff` shows packets: lines, blocks, JSON, columns or dumps, through one buffer.
 *
 * Everything is formatted into the buffer and written when that is full and when there is nothing more to
 * read: whoever watches sees each packet at once, and a file of millions costs a few hundred writes. */
#ifndef CMD_SHOW_H
#define CMD_SHOW_H

#include <sockeye/packet.h>

enum show_kind { SHOW_LINE, SHOW_DETAIL, SHOW_JSON, SHOW_FIELDS };
enum show_dump { SHOW_NO_DUMP, SHOW_HEX, SHOW_HEX_ASCII, SHOW_ASCII };

#define SHOW_FIELDS_MAX 64

struct show {
    enum show_kind kind;
    enum show_dump dump;
    struct eye_look look;
    bool csv, verify;
    bool each;   /* write after every packet */
    bool headed; /* the line of names is written */
    const char *names[SHOW_FIELDS_MAX];
    struct eye_path fields[SHOW_FIELDS_MAX];
    size_t field_count;

    char *buf;
    size_t used, size;
    struct eye_tree tree;
};

/* Takes a comma-separated list of paths apart, in place. Returns 0 or EYE_ESYNTAX. */
int show_fields(struct show *show, char *list, struct eye_err *reterr);

/* Makes the buffer. Returns 0 or -ENOMEM. */
int show_open(struct show *show);

/* Shows a packet. Returns 0, -ENOMEM, or what write(2) said. */
int show_packet(struct show *show, const struct eye_packet *packet);

/* Writes what is buffered. Returns 0 or what write(2) said. */
int show_flush(struct show *show);

void show_close(struct show *show);

#endif
