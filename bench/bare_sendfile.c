/* bare_sendfile.c FILE PORT: a file to a socket by sendfile(2) alone, in slices of 256 KiB. */
#include <fcntl.h>
#include <sys/sendfile.h>

#include "bare.h"

int main(int argc, char **argv) {
    int file = argc > 2 ? open(argv[1], O_RDONLY) : -1, fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = at_port(argc > 2 ? argv[2] : "0");
    ssize_t n;
    if (file < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0)
        die("open, connect");
    while ((n = sendfile(fd, file, NULL, 256 * 1024)) > 0)
        ;
    if (n < 0)
        die("sendfile");
    return 0;
}
