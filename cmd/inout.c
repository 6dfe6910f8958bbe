#include "inout.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "output.h"

#define NONE_OR_DASH(name) (!(name) || strcmp(name, "-") == 0)

/* A file without a name, for what is held back. */
static int temporary(void) {
    const char *folder = getenv("TMPDIR");
    folder = folder && *folder ? folder : "/tmp";
    int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
    char path[4096];
    if ((size_t)snprintf(path, sizeof path, "%s/sockeye-XXXXXX", folder) >= sizeof path)
        return -ENAMETOOLONG;
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        unlink(path);
    return fd < 0 ? -errno : fd;
}

static int open_out(struct inout *inout, const char *name, unsigned flags) {
    int fd = STDOUT_FILENO;
    if (!NONE_OR_DASH(name)) {
        unsigned how = flags & INOUT_NO_SYNC ? EYE_NEWFILE_NO_SYNC : 0;
        int r = eye_newfile_open(AT_FDCWD, name, 0666, how, &inout->file);
        if (r < 0 && r != -EMEDIUMTYPE)
            return r;
        fd = r == 0 ? eye_newfile_fd(inout->file) : open(name, O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return -errno;
    }
    inout->out = fd;
    if (inout->file || !(flags & INOUT_HOLD))
        return 0;
    inout->out = temporary();
    inout->held_for = fd;
    return inout->out < 0 ? inout->out : 0;
}

int inout_open(struct inout *inout, const char *in, const char *out, unsigned flags) {
    struct stat st;
    *inout = (struct inout){.in = STDIN_FILENO, .out = -1, .held_for = -1};
    inout->in_name = NONE_OR_DASH(in) ? "standard input" : in;
    inout->out_name = NONE_OR_DASH(out) ? "standard output" : out;
    if (!NONE_OR_DASH(in))
        inout->in = open(in, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (inout->in < 0 || fstat(inout->in, &st) < 0)
        return report_code(-errno, inout->in_name);
    int r = S_ISDIR(st.st_mode) ? -EISDIR : 0;
    if (r < 0)
        return inout_close(inout, report_code(r, inout->in_name));
    inout->in_bytes = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
    r = open_out(inout, out, flags);
    if (r < 0)
        return inout_close(inout, report_code(r, inout->out_name));
    progress_begin(&inout->progress, flags & INOUT_QUIET);
    return STATUS_OK;
}

void inout_progress(void *user, int64_t bytes) {
    struct inout *inout = user;
    progress_at(&inout->progress, inout->in_name, (uint64_t)bytes, inout->in_bytes);
}

/* What only a write says. */
static bool is_of_writing(int code) {
    return code == -ENOSPC || code == -EFBIG || code == -EDQUOT || code == -EPIPE;
}

int inout_report(struct inout *inout, const struct eye_err *err) {
    struct eye_err named = *err;
    const char *of = is_of_writing(err->code) ? inout->out_name : inout->in_name;
    char name[128];
    progress_clear(&inout->progress);
    eye_escape(of, strlen(of), name, sizeof name);
    int size = snprintf(named.text, sizeof named.text, "%s: ", name);
    strncat(named.text, err->text, sizeof named.text - (size_t)size - 1);
    return report(&named);
}

/* Lets go what was held back. */
static int release(const struct inout *inout) {
    uint8_t buf[65536];
    ssize_t n = 0, written;
    off_t at = 0;
    while ((n = pread(inout->out, buf, sizeof buf, at)) > 0) {
        at += n;
        for (ssize_t done = 0; done < n; done += written) {
            written = TEMP_FAILURE_RETRY(write(inout->held_for, buf + done, (size_t)(n - done)));
            if (written < 0)
                return -errno;
        }
    }
    explicit_bzero(buf, sizeof buf);
    return n < 0 ? -errno : 0;
}

int inout_close(struct inout *inout, int status) {
    int r = 0;
    progress_clear(&inout->progress);
    if (status == STATUS_OK && inout->file)
        r = eye_newfile_commit(inout->file);
    else if (status == STATUS_OK && inout->held_for >= 0)
        r = release(inout);
    bool own = !inout->file && inout->out >= 0;
    inout->file = eye_newfile_free(inout->file);
    if (own && inout->held_for >= 0) {
        close(inout->out);
        inout->out = inout->held_for;
    }
    if (own && inout->out != STDOUT_FILENO && close(inout->out) < 0 && r == 0)
        r = -errno;
    if (inout->in > STDIN_FILENO)
        close(inout->in);
    return r < 0 ? report_code(r, inout->out_name) : status;
}
