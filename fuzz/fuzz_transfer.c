/* fuzz_transfer.c: any bytes as what a sender says after its hello.
 *
 * Nothing may come to be outside the receiver's folder, what is there before stays, and no file may stand in
 * it that is not whole: so each file's name has to be one that the protocol allows. */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <sockeye/transfer.h>

#include "fuzz.h"

static char folder[64];

static int clear_entry(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind;
    if (at->level > 0)
        MUST(remove(path) == 0);
    return 0;
}

static void clear(const char *path) {
    nftw(path, clear_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void end(void) {
    clear(folder);
    rmdir(folder);
}

static void begin(void) {
    char inbox[80];
    if (folder[0])
        return;
    snprintf(folder, sizeof folder, "%s/eye-fuzz-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    MUST(mkdtemp(folder));
    snprintf(inbox, sizeof inbox, "%s/in", folder);
    MUST(mkdir(inbox, 0700) == 0);
    atexit(end);
}

/* The folder around the receiver's holds that and nothing else. */
static void check_outside(void) {
    DIR *dir = opendir(folder);
    for (struct dirent *entry; (entry = readdir(dir));)
        MUST(strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0 ||
             strcmp(entry->d_name, "in") == 0);
    closedir(dir);
}

static int check_entry(const char *path, const struct stat *st, int kind, struct FTW *at) {
    MUST(kind == FTW_F || kind == FTW_D);
    MUST((st->st_mode & 07000) == 0);
    for (const char *c = path + at->base; *c; c++)
        MUST((unsigned char)*c >= ' ' && *c != 0x7f);
    return 0;
}

static void done(eye_op *op, int64_t result) {
    *(int64_t *)op->user = result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const char hello[24] = "sockeye\n\1s\1";
    char inbox[80], text[32];
    struct eye_endpoint endpoint;
    struct eye_transfer_result ret;
    struct eye_err err;
    int64_t result = 1;
    eye_op op = {.user = &result};
    eye_loop *loop;
    int fd[2];

    begin();
    snprintf(inbox, sizeof inbox, "%s/in", folder);
    MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fd) == 0);
    MUST(write(fd[0], hello, sizeof hello) == sizeof hello);
    if (write(fd[0], data, size) != (ssize_t)size) { /* more than a socket takes at once: not of interest */
        close(fd[0]);
        close(fd[1]);
        return -1;
    }
    shutdown(fd[0], SHUT_WR);
    snprintf(text, sizeof text, "fd:%d", fd[1]);
    MUST(eye_endpoint_parse(text, &endpoint, &err) == 0 && eye_loop_new(NULL, &loop, &err) == 0);
    const struct eye_transfer_opts opts = {.endpoint = &endpoint, .folder = inbox, .no_sync = true};
    eye_transfer_receive(loop, &op, &opts, &ret, done);
    MUST(eye_loop_run(loop, -1) == 0 && result <= 0);
    MUST((result == 0) == (ret.err.code == 0));
    eye_loop_free(loop);
    eye_endpoint_done(&endpoint);
    close(fd[0]);
    close(fd[1]); /* /dev/null stands in its place */
    check_outside();
    nftw(inbox, check_entry, 8, FTW_PHYS);
    clear(inbox);
    return 0;
}
