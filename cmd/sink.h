/* sink.h: where `--events` writes: whole lines, never waiting for the reader.
 *
 * What the reader does not take at once waits in a queue of 64 KiB that empties as the loop finds the
 * descriptor writable; a line that does not fit is refused, and the caller counts it. An inherited
 * descriptor is never set to O_NONBLOCK, which would outlive us (fcntl(2)): pipes and terminals are
 * opened anew through /proc/self/fd, sockets are sent to with MSG_DONTWAIT, regular files are written
 * to as they are, and whatever cannot be opened anew is asked first by poll(2). A FIFO that is named is
 * opened for reading too, as Linux allows (fifo(7)), so that its reader may come later. */
#ifndef CMD_SINK_H
#define CMD_SINK_H

#include <pthread.h>
#include <sys/types.h>

#include <sockeye/loop.h>

struct sink {
    int fd; /* our own, or -1 */
    int (*ready)(int fd);
    ssize_t (*put)(int fd, const void *data, size_t size);
    bool gone; /* nobody reads any more: nothing is written */

    pthread_mutex_t lock; /* for what stands below */
    pthread_t home;       /* the thread that runs loop */
    int news_fd;          /* wakes loop where another thread has left something in the queue; or -1 */
    eye_loop *loop;
    eye_op op;
    char *queue;
    size_t head, used;
};

/* Opens a descriptor's number or a path. */
int sink_open(struct sink *ret_sink, const char *spec, struct eye_err *reterr);

/* From now on the loop empties the queue. */
void sink_attach(struct sink *sink, eye_loop *loop);

/* Takes a line of at most 64 KiB, or refuses it: false. From any thread, where news_fd is set: there it
 * writes to that eventfd, and the loop's thread calls sink_tend. */
bool sink_write(struct sink *sink, const char *line, size_t size);
void sink_tend(struct sink *sink);

/* Gives the reader a last, short moment, and cancels what waits on the loop, which must then be run
 * before sink_close. */
void sink_finish(struct sink *sink);
void sink_close(struct sink *sink);

#endif
