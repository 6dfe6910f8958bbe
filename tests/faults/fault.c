/* fault.c: a library to be preloaded (ld.so(8)) that makes one call of a program fail.
 *
 *     EYE_FAULT=CALL:N:ERROR   the Nth time that CALL is made it fails with ERROR, a number (errno(3)), or
 *                              moves one byte, or one message, where ERROR is "short"
 *     EYE_FAULT_COUNTS=FILE    how often each call was made is written there when the program ends
 *
 * The variables and LD_PRELOAD are taken out of the environment, so that commands of the program's own are
 * left alone. A fault is one that the kernel could produce. So EAGAIN is told of no regular file, which never
 * makes anybody wait; and what was said to wait becomes ready again: edge-triggered, the kernel says so anew
 * (epoll(7)), and is made to here. EIO is told of no terminal, for it is how its end is told, and EPIPE
 * neither, which none says. close(2) closes before it fails. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FD_MAX = 1024, CALLS_MAX = 64, SHORT = -1 };

static struct {
    char call[32];
    long number;
    int error; /* or SHORT; 0 for none */
} wanted;

static struct {
    const char *name;
    long count;
} calls[CALLS_MAX];

/* What epoll was told of each descriptor. */
static struct {
    int epoll; /* and 1, or 0 */
    struct epoll_event event;
} watched[FD_MAX];

static char counts_path[4096];

static long count(const char *name) {
    static char busy; /* with another thread; a mutex could allocate */
    while (__atomic_test_and_set(&busy, __ATOMIC_ACQUIRE))
        ;
    size_t i = 0;
    while (i < CALLS_MAX - 1 && calls[i].name && calls[i].name != name)
        i++;
    calls[i].name = name;
    long number = ++calls[i].count;
    __atomic_clear(&busy, __ATOMIC_RELEASE);
    return number;
}

/* Whether this call is the one, and then how it fails. */
static int strikes(const char *name) {
    long number = count(name);
    return wanted.error && number == wanted.number && strcmp(wanted.call, name) == 0 ? wanted.error : 0;
}

static int fails(const char *name) {
    int error = strikes(name);
    if (error)
        errno = error;
    return error != 0;
}

__attribute__((constructor)) static void begin(void) {
    const char *fault = getenv("EYE_FAULT"), *path = getenv("EYE_FAULT_COUNTS");
    char error[16] = "";
    if (fault && sscanf(fault, "%31[^:]:%ld:%15s", wanted.call, &wanted.number, error) == 3)
        wanted.error = strcmp(error, "short") == 0 ? SHORT : atoi(error);
    snprintf(counts_path, sizeof counts_path, "%s", path ? path : "");
    unsetenv("EYE_FAULT");
    unsetenv("EYE_FAULT_COUNTS");
    unsetenv("LD_PRELOAD");
}

__attribute__((destructor)) static void end(void) {
    FILE *file = *counts_path ? fopen(counts_path, "we") : NULL;
    if (!file)
        return;
    for (size_t i = 0; i < CALLS_MAX && calls[i].name; i++)
        fprintf(file, "%s %ld\n", calls[i].name, calls[i].count);
    fclose(file);
}

#define REAL(name)                                                                                           \
    ({                                                                                                       \
        static __typeof__(&name) real_##name;                                                                \
        if (!real_##name)                                                                                    \
            real_##name = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                                        \
        real_##name;                                                                                         \
    })

/* A program that a signal has ended in good order raises it once more at its end. */
int raise(int signum) {
    end();
    return REAL(raise)(signum);
}

/* ---- calls that move bytes ---- */

static int is_regular(int fd) {
    struct stat st;
    return fstat(fd, &st) == 0 && (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode));
}

static void becomes_ready_again(int fd) {
    if (fd >= 0 && fd < FD_MAX && watched[fd].epoll > 0)
        REAL(epoll_ctl)(watched[fd].epoll - 1, EPOLL_CTL_MOD, fd, &watched[fd].event);
}

/* 0: the call happens, with *size bytes at most; else it fails with errno. */
static int moves(const char *name, int fd, int other, size_t *size) {
    int error = strikes(name);
    if (error == SHORT) {
        *size = *size > 1 ? 1 : *size;
        return 0;
    }
    if (error == EAGAIN && is_regular(fd) && (other < 0 || is_regular(other)))
        return 0;
    if ((error == EIO || error == EPIPE) && isatty(fd))
        return 0;
    if (error == EAGAIN) {
        becomes_ready_again(fd);
        becomes_ready_again(other);
    }
    if (error)
        errno = error;
    return error;
}

ssize_t recv(int fd, void *buf, size_t size, int flags) {
    return moves("recv", fd, -1, &size) ? -1 : REAL(recv)(fd, buf, size, flags);
}

ssize_t send(int fd, const void *buf, size_t size, int flags) {
    return moves("send", fd, -1, &size) ? -1 : REAL(send)(fd, buf, size, flags);
}

ssize_t recvmsg(int fd, struct msghdr *msg, int flags) {
    size_t whole = 0;
    return moves("recvmsg", fd, -1, &whole) ? -1 : REAL(recvmsg)(fd, msg, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *msg, int flags) {
    size_t whole = 0;
    return moves("sendmsg", fd, -1, &whole) ? -1 : REAL(sendmsg)(fd, msg, flags);
}

int recvmmsg(int fd, struct mmsghdr *msgs, unsigned most, int flags, struct timespec *timeout) {
    size_t size = most;
    return moves("recvmmsg", fd, -1, &size) ? -1 : REAL(recvmmsg)(fd, msgs, (unsigned)size, flags, timeout);
}

int sendmmsg(int fd, struct mmsghdr *msgs, unsigned most, int flags) {
    size_t size = most;
    return moves("sendmmsg", fd, -1, &size) ? -1 : REAL(sendmmsg)(fd, msgs, (unsigned)size, flags);
}

ssize_t read(int fd, void *buf, size_t size) {
    return moves("read", fd, -1, &size) ? -1 : REAL(read)(fd, buf, size);
}

ssize_t write(int fd, const void *buf, size_t size) {
    return moves("write", fd, -1, &size) ? -1 : REAL(write)(fd, buf, size);
}

ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t size, unsigned flags) {
    return moves("splice", from, to, &size) ? -1
                                            : REAL(splice)(from, from_offset, to, to_offset, size, flags);
}

ssize_t pread(int fd, void *buf, size_t size, off_t offset) {
    return moves("pread", fd, -1, &size) ? -1 : REAL(pread)(fd, buf, size, offset);
}

ssize_t pwrite(int fd, const void *buf, size_t size, off_t offset) {
    return moves("pwrite", fd, -1, &size) ? -1 : REAL(pwrite)(fd, buf, size, offset);
}

ssize_t sendfile(int to, int from, off_t *offset, size_t size) {
    return moves("sendfile", from, to, &size) ? -1 : REAL(sendfile)(to, from, offset, size);
}

ssize_t copy_file_range(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t size,
                        unsigned flags) {
    return moves("copy_file_range", from, to, &size)
               ? -1
               : REAL(copy_file_range)(from, from_offset, to, to_offset, size, flags);
}

/* ---- files ---- */

int ftruncate(int fd, off_t size) {
    return fails("ftruncate") ? -1 : REAL(ftruncate)(fd, size);
}

int fsync(int fd) {
    return fails("fsync") ? -1 : REAL(fsync)(fd);
}

int syncfs(int fd) {
    return fails("syncfs") ? -1 : REAL(syncfs)(fd);
}

int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    return fails("renameat2") ? -1 : REAL(renameat2)(from_folder, from, to_folder, to, flags);
}

/* ---- descriptors ---- */

int open(const char *path, int flags, ...) {
    va_list args;
    va_start(args, flags);
    unsigned mode = va_arg(args, unsigned);
    va_end(args);
    return fails("open") ? -1 : REAL(open)(path, flags, mode);
}

/* Those that make a descriptor, and the one that sizes a pipe. */
int fcntl(int fd, int command, ...) {
    va_list args;
    va_start(args, command);
    void *argument = va_arg(args, void *);
    va_end(args);
    const char *name = command == F_DUPFD_CLOEXEC ? "dup" : command == F_SETPIPE_SZ ? "pipe size" : NULL;
    return name && fails(name) ? -1 : REAL(fcntl)(fd, command, argument);
}

int close(int fd) {
    int error = strikes("close");
    int r = REAL(close)(fd);
    if (fd >= 0 && fd < FD_MAX)
        watched[fd].epoll = 0;
    if (!error)
        return r;
    errno = error;
    return -1;
}

int dup3(int from, int to, int flags) {
    return fails("dup3") ? -1 : REAL(dup3)(from, to, flags);
}

int pipe2(int fd[2], int flags) {
    return fails("pipe2") ? -1 : REAL(pipe2)(fd, flags);
}

int eventfd(unsigned value, int flags);
int eventfd(unsigned value, int flags) {
    return fails("eventfd") ? -1 : REAL(eventfd)(value, flags);
}

/* ---- sockets ---- */

int socket(int family, int type, int protocol) {
    return fails("socket") ? -1 : REAL(socket)(family, type, protocol);
}

int socketpair(int family, int type, int protocol, int fd[2]) {
    return fails("socketpair") ? -1 : REAL(socketpair)(family, type, protocol, fd);
}

int accept4(int fd, struct sockaddr *addr, socklen_t *size, int flags) {
    size_t none = 0;
    return moves("accept4", fd, -1, &none) ? -1 : REAL(accept4)(fd, addr, size, flags);
}

int connect(int fd, const struct sockaddr *addr, socklen_t size) {
    return fails("connect") ? -1 : REAL(connect)(fd, addr, size);
}

int bind(int fd, const struct sockaddr *addr, socklen_t size) {
    return fails("bind") ? -1 : REAL(bind)(fd, addr, size);
}

int listen(int fd, int backlog) {
    return fails("listen") ? -1 : REAL(listen)(fd, backlog);
}

int setsockopt(int fd, int level, int name, const void *value, socklen_t size) {
    return fails("setsockopt") ? -1 : REAL(setsockopt)(fd, level, name, value, size);
}

int getsockname(int fd, struct sockaddr *addr, socklen_t *size) {
    return fails("getsockname") ? -1 : REAL(getsockname)(fd, addr, size);
}

int getpeername(int fd, struct sockaddr *addr, socklen_t *size) {
    return fails("getpeername") ? -1 : REAL(getpeername)(fd, addr, size);
}

int shutdown(int fd, int how) {
    return fails("shutdown") ? -1 : REAL(shutdown)(fd, how);
}

/* ---- waiting ---- */

int epoll_create1(int flags) {
    return fails("epoll_create1") ? -1 : REAL(epoll_create1)(flags);
}

int epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    if (operation != EPOLL_CTL_DEL && fails("epoll_ctl"))
        return -1;
    int r = REAL(epoll_ctl)(epoll, operation, fd, event);
    if (r == 0 && fd >= 0 && fd < FD_MAX) {
        watched[fd].epoll = operation == EPOLL_CTL_DEL ? 0 : epoll + 1;
        if (operation != EPOLL_CTL_DEL)
            watched[fd].event = *event;
    }
    return r;
}

int epoll_wait(int epoll, struct epoll_event *events, int max, int timeout) {
    return fails("epoll_wait") ? -1 : REAL(epoll_wait)(epoll, events, max, timeout);
}

struct pollfd;
int poll(struct pollfd *fds, unsigned long count_of, int timeout);
int poll(struct pollfd *fds, unsigned long count_of, int timeout) {
    return fails("poll") ? -1 : REAL(poll)(fds, count_of, timeout);
}

int select(int count_of, fd_set *in, fd_set *out, fd_set *other, struct timeval *timeout) {
    return fails("select") ? -1 : REAL(select)(count_of, in, out, other, timeout);
}

/* ---- commands ---- */

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
                const posix_spawnattr_t *attr, char *const argv[], char *const env[]) {
    int error = strikes("posix_spawn");
    return error ? error : REAL(posix_spawn)(pid, path, actions, attr, argv, env);
}

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *), void *user) {
    int error = strikes("pthread_create");
    return error ? error : REAL(pthread_create)(thread, attr, run, user);
}

int waitid(idtype_t type, id_t id, siginfo_t *info, int options) {
    return fails("waitid") ? -1 : REAL(waitid)(type, id, info, options);
}

/* ---- memory: as in malloc(3), for what dlsym does, too ---- */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t members, size_t size);
extern void *__libc_realloc(void *memory, size_t size);

void *malloc(size_t size) {
    return fails("malloc") ? NULL : __libc_malloc(size);
}

void *calloc(size_t members, size_t size) {
    return fails("calloc") ? NULL : __libc_calloc(members, size);
}

void *realloc(void *memory, size_t size) {
    return fails("realloc") ? NULL : __libc_realloc(memory, size);
}
