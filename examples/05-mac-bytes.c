/* A MAC address as text and as bytes: 00:11:32:3c:c3:0b, 00-11-32-3c-c3-0b, 0011.323c.c30b, 0011323cc30b.
 *
 * The first byte's lowest bit says whether it is a group's address, and the next one whether it was given
 * by an administrator (local) or by the maker (universal): IEEE 802, 8.2. */
#include <ctype.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* How it is written: what stands between two groups, and the bytes of a group. */
static const struct form {
    char separator;
    int group;
} forms[] = {{':', 1}, {'-', 1}, {'.', 2}, {0, 6}};
#define FORMS (sizeof forms / sizeof forms[0])

static int digit(char c) {
    return isdigit((unsigned char)c) ? c - '0' : tolower((unsigned char)c) - 'a' + 10;
}

static bool read_as(const struct form *form, const char *text, uint8_t mac[6]) {
    for (int i = 0; i < 6; i++, text += 2) {
        if (i > 0 && i % form->group == 0 && *text++ != form->separator)
            return false;
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]))
            return false;
        mac[i] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
    }
    return *text == '\0';
}

static void print_as(const struct form *form, const uint8_t mac[6]) {
    for (int i = 0; i < 6; i++) {
        if (i > 0 && i % form->group == 0)
            putchar(form->separator);
        printf("%02x", mac[i]);
    }
    putchar('\n');
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        uint8_t mac[6];
        size_t f = 0;

        while (f < FORMS && !read_as(&forms[f], argv[i], mac))
            f++;
        if (f == FORMS) {
            fprintf(stderr, "%s: not a MAC address\n", argv[i]);
            return 1;
        }
        for (f = 0; f < FORMS; f++)
            print_as(&forms[f], mac);
        printf("%s, %s\n", mac[0] & 1 ? "group" : "unicast", mac[0] & 2 ? "local" : "universal");
    }
    return 0;
}
