/* send_file.c: a file's bytes to a socket inside the kernel (sendfile(2)), in slices, so that no turn is
 * long: a file that is not in memory is read from its disk here, and the loop waits that long. */
#include <errno.h>

#include "loop/io.h"
#include "sys/sys.h"

#define SLICE_BYTES (256 * 1024)
#define TURN_BYTES  (1024 * 1024)

bool io_of_file(int64_t code) {
    return code == -EIO || code == -EINVAL || code == -EOVERFLOW || code == -ENOMEM || code == -ESTALE;
}

static int64_t perform_send_file(struct slot *slot, eye_op *op) {
    struct op *p = op_of(op);
    int64_t turn_end = p->moved + TURN_BYTES;
    while (p->moved < p->u.file.size) {
        if (p->moved >= turn_end)
            return OP_MORE;
        int64_t at = p->u.file.offset + p->moved;
        size_t slice = (size_t)MIN(p->u.file.size - p->moved, (int64_t)SLICE_BYTES);
        int64_t n = sys_sendfile(slot->fd, p->u.file.fd, &at, slice);
        if (n == 0 || (io_of_file(n) && p->moved > 0))
            return p->moved;
        if (n < 0)
            return n;
        p->moved += n;
    }
    return p->moved;
}

static const struct op_kind op_send_file = {
    .name = "send file", .way = EYE_OUT, .perform = perform_send_file};

void io_send_file(struct slot *slot, eye_op *op, int fd, int64_t offset, int64_t size, eye_done *done) {
    op_of(op)->u.file.fd = fd;
    op_of(op)->u.file.offset = offset;
    op_of(op)->u.file.size = size;
    slot_submit(slot, op, &op_send_file, done);
}
