/* beneath.h: names that come from elsewhere, looked up so that they cannot lead out of a folder.
 *
 * A name is a relative path. It is refused before it is looked up where a part of it is empty, `.` or `..`,
 * over-long or a device's name (CON, NUL, COM1: what they are on a share of Windows), or where it holds a
 * control character. Then it is looked up so that no symbolic link on the way is followed, whoever made it:
 * by openat2(2) with RESOLVE_BENEATH and RESOLVE_NO_SYMLINKS, or where that is refused (before Linux 5.6, or
 * by a seccomp filter) part by part with O_NOFOLLOW. */
#ifndef SOCKEYE_BENEATH_H
#define SOCKEYE_BENEATH_H

#include <stddef.h>

/* Why a name is refused, or NULL where it may be looked up. It need not end in a NUL. */
const char *beneath_fault(const char *name, size_t size);

/* Opens the folder that the name's last part is in (O_PATH). *ret_last points into name. The name has no
 * fault. Returns a descriptor, the caller's; -ELOOP for a symbolic link on the way, and as openat(2). */
int beneath_open(int root_fd, const char *name, const char **ret_last);

#endif
