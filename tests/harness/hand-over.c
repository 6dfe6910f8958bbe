/* hand-over PATH: a command's end of a connection in a test's hands. Passes its standard input and output to
 * whoever listens on that Unix socket (unix(7), SCM_RIGHTS), gives its own up, says so by a byte, and exits
 * when the test closes the connection. */
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int send_both(int to) {
    static const int fds[] = {STDIN_FILENO, STDOUT_FILENO};
    union {
        struct cmsghdr head;
        char space[CMSG_SPACE(sizeof fds)];
    } control = {
        .head = {.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fds)}};
    struct iovec byte = {.iov_base = (char[]){'.'}, .iov_len = 1};
    const struct msghdr msg = {
        .msg_iov = &byte, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control};
    memcpy(CMSG_DATA(&control.head), fds, sizeof fds);
    return (int)sendmsg(to, &msg, 0);
}

int main(int argc, char **argv) {
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    char byte = '.';
    if (argc != 2 || strlen(argv[1]) >= sizeof addr.sun_path)
        return 2;
    strcpy(addr.sun_path, argv[1]);
    if (connect(fd, (const struct sockaddr *)&addr, sizeof addr) < 0 || send_both(fd) != 1)
        return 1;
    close(STDIN_FILENO);
    close(STDOUT_FILENO);
    return write(fd, &byte, 1) == 1 && read(fd, &byte, 1) == 0 ? 0 : 1;
}
