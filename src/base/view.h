/* view.h: the checked reader, for bytes that nobody vouches for.
 *
 * A view reads forward through a buffer and knows two ends: where the bytes that are here end, and where
 * those end that there were (a capture may have cut the packet, a length field may end it sooner). A read
 * past the first gives 0, takes nothing more, and is remembered; so a caller reads a few fields and then
 * asks once whether they were there. All offsets count from the buffer's beginning. */
#ifndef SOCKEYE_VIEW_H
#define SOCKEYE_VIEW_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct view {
    const uint8_t *data;
    uint32_t pos;    /* where the next read begins */
    uint32_t end;    /* where what is here ends */
    uint32_t whole;  /* where it ended before it was cut: never less than end */
    uint32_t short_; /* where the first read that went past end would have ended, or 0 */
};

static inline uint16_t be16(const uint8_t *p) {
    uint16_t n;
    memcpy(&n, p, sizeof(n));
    return be16toh(n);
}

static inline uint32_t be32(const uint8_t *p) {
    uint32_t n;
    memcpy(&n, p, sizeof(n));
    return be32toh(n);
}

static inline uint64_t be64(const uint8_t *p) {
    uint64_t n;
    memcpy(&n, p, sizeof(n));
    return be64toh(n);
}

/* How many bytes are left to read, and how many there would have been. */
static inline uint32_t view_left(const struct view *view) {
    return view->end - view->pos;
}
static inline uint32_t view_left_whole(const struct view *view) {
    return view->whole - view->pos;
}

/* Takes size bytes; NULL where they are not all there. */
static inline const uint8_t *view_bytes(struct view *view, uint32_t size) {
    if (size > view->end - view->pos) {
        if (!view->short_)
            view->short_ = size > UINT32_MAX - view->pos ? UINT32_MAX : view->pos + size;
        view->pos = view->end;
        return NULL;
    }
    const uint8_t *bytes = view->data + view->pos;
    view->pos += size;
    return bytes;
}

static inline uint8_t view_u8(struct view *view) {
    const uint8_t *p = view_bytes(view, 1);
    return p ? *p : 0;
}
static inline uint16_t view_be16(struct view *view) {
    const uint8_t *p = view_bytes(view, 2);
    return p ? be16(p) : 0;
}
static inline uint32_t view_be24(struct view *view) {
    const uint8_t *p = view_bytes(view, 3);
    return p ? (uint32_t)p[0] << 16 | be16(p + 1) : 0;
}
static inline uint32_t view_be32(struct view *view) {
    const uint8_t *p = view_bytes(view, 4);
    return p ? be32(p) : 0;
}

/* Ends the view size bytes from here, as a length field says. False where the field claims more than there
 * was; then the view stays as it is. */
static inline bool view_limit(struct view *view, uint32_t size) {
    if (size > view->whole - view->pos)
        return false;
    view->whole = view->pos + size;
    if (view->end > view->whole)
        view->end = view->whole;
    return true;
}

/* A view of the next size bytes, which are taken from this one as far as they are here. Where this one has
 * fewer, it is as a read past its end, and the part is what there is. */
static inline struct view view_part(struct view *view, uint32_t size) {
    struct view part = *view;
    part.short_ = 0;
    view_limit(&part, size);
    if (size > view->end - view->pos)
        view_bytes(view, size);
    else
        view->pos += size;
    return part;
}

#endif
