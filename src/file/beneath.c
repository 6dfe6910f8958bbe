/* beneath.c: see beneath.h. */
#include "file/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>

#include "base/base.h"

#define FOLDER_FLAGS (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* Only the bare names: aux.c is a file of the Linux kernel's. */
static bool is_device(const char *part, size_t size) {
    static const char *const plain[] = {"con", "prn", "aux", "nul"}, *const numbered[] = {"com", "lpt"};
    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (size == 3 && strncasecmp(part, plain[i], 3) == 0)
            return true;
    for (size_t i = 0; i < ARRAY_LEN(numbered); i++)
        if (size == 4 && strncasecmp(part, numbered[i], 3) == 0 && part[3] >= '1' && part[3] <= '9')
            return true;
    return false;
}

static const char *part_fault(const char *part, size_t size) {
    if (size == 0)
        return "an empty part";
    if (size > NAME_MAX)
        return "a part of more than 255 bytes";
    if (part[0] == '.' && (size == 1 || (size == 2 && part[1] == '.')))
        return "a part that is . or ..";
    return is_device(part, size) ? "a device's name" : NULL;
}

const char *beneath_fault(const char *name, size_t size) {
    if (size >= PATH_MAX)
        return "too long";
    if (size > 0 && name[0] == '/')
        return "not relative";
    for (size_t i = 0; i < size; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
            return "a control character";
    for (;;) {
        const char *slash = memchr(name, '/', size);
        size_t part = slash ? (size_t)(slash - name) : size;
        const char *fault = part_fault(name, part);
        if (fault || !slash)
            return fault;
        name += part + 1;
        size -= part + 1;
    }
}

static int open_at_once(int root_fd, const char *folder) {
    struct open_how how = {.flags = FOLDER_FLAGS,
                           .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
    long fd = syscall(SYS_openat2, root_fd, folder, &how, sizeof how);
    return fd < 0 ? -errno : (int)fd;
}

/* The same part by part. A link opened with O_PATH, O_DIRECTORY and O_NOFOLLOW is ENOTDIR (open(2)). */
static int open_by_parts(int root_fd, char *folder) {
    int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 3);
    char *rest = folder, *part;
    while (fd >= 0 && (part = strsep(&rest, "/"))) {
        int next = openat(fd, part, FOLDER_FLAGS);
        int r = -errno;
        close(fd);
        if (next < 0)
            return r == -ENOTDIR ? -ELOOP : r;
        fd = next;
    }
    return fd < 0 ? -errno : fd;
}

int beneath_open(int root_fd, const char *name, const char **ret_last) {
    const char *slash = strrchr(name, '/');
    char folder[PATH_MAX] = ".";
    if (slash) {
        memcpy(folder, name, (size_t)(slash - name));
        folder[slash - name] = '\0';
    }
    int fd = open_at_once(root_fd, folder);
    if (fd == -ENOSYS || fd == -EPERM || fd == -EINVAL)
        fd = open_by_parts(root_fd, folder);
    if (fd >= 0)
        *ret_last = slash ? slash + 1 : name;
    return fd;
}
