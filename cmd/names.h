/* names.h: the names that lines may show in the place of numbers: of interfaces, and of hosts where they are
 * to be looked up. */
#ifndef CMD_NAMES_H
#define CMD_NAMES_H

#include <stdbool.h>

#include <sockeye/packet.h>

/* Puts what finds names into the look. Reads the interfaces' names where the packets are of this host; a
 * file's may be of another. Call it before privileges are given up. Returns 0 or -ENOMEM. */
int names_open(struct eye_look *look, bool live, bool resolve);
void names_close(struct eye_look *look);

#endif
