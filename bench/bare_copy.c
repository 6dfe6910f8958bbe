/* bare_copy.c FROM TO: a file to a file by copy_file_range(2) alone. */
#include <fcntl.h>

#include "bare.h"

int main(int argc, char **argv) {
    int from = argc > 2 ? open(argv[1], O_RDONLY) : -1;
    int to = argc > 2 ? open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    ssize_t n;
    if (from < 0 || to < 0)
        die("open");
    while ((n = copy_file_range(from, NULL, to, NULL, 1 << 30, 0)) > 0)
        ;
    if (n < 0)
        die("copy_file_range");
    return 0;
}
