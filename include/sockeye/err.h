/* err.h: how libsockeye reports failure.
 *
 * A function that returns int (or int64_t) returns 0 or more, or a negative code, and leaves its
 * out-parameters alone on failure. A code is either -errno (errno(3)) or one of the EYE_E... codes
 * below. A function that can say more takes a struct eye_err, which may be NULL; what it holds after
 * success is unspecified. */
#ifndef SOCKEYE_ERR_H
#define SOCKEYE_ERR_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define EYE_API __attribute__((visibility("default")))

/* Codes of our own, below every -errno. */
enum {
    EYE_ESYNTAX = -5001,      /* a text that cannot be read as what it should be */
    EYE_EUNAVAILABLE = -5002, /* the engine or mechanism asked for is not to be had on this host */
    EYE_EDEADLINE = -5003,    /* a deadline that the user or a default set has passed */
    EYE_ETRUNCATED = -5004,   /* a stream or message ended before its end */
    EYE_EDENIED = -5005,      /* an address that allow= or deny= shuts out */
    EYE_EFDSETSIZE = -5006,   /* a descriptor number that select(2) cannot watch */
    EYE_EHANDSHAKE = -5007,   /* the TLS handshake failed, or the peer broke the protocol later */
    EYE_EAUTHENTIC = -5008,   /* a certificate, name, pin, tag or digest did not verify */
    EYE_EAI_BASE = -5100,     /* EYE_EAI_BASE + EAI_...: what getaddrinfo(3) said (EAI codes are negative) */
    EYE_EALERT_BASE = -5300,  /* EYE_EALERT_BASE - N: the peer's TLS alert number N (RFC 8446, 6.2) */
};

/* What kind of failure it was, for those who only need to decide what to do next. The command's exit
 * statuses are these kinds, one to one. */
enum eye_fail {
    EYE_FAIL_OTHER,       /* none of the below */
    EYE_FAIL_USAGE,       /* the caller's text or option was wrong */
    EYE_FAIL_RESOLVE,     /* a name did not resolve */
    EYE_FAIL_CONNECT,     /* could not connect, listen or bind */
    EYE_FAIL_HANDSHAKE,   /* the TLS handshake failed */
    EYE_FAIL_AUTHENTIC,   /* something did not verify */
    EYE_FAIL_TRUNCATED,   /* a stream was reset or ended before its end */
    EYE_FAIL_UNAVAILABLE, /* not available on this host */
    EYE_FAIL_DEADLINE,    /* a deadline has passed */
    EYE_FAIL_MAX
};

#define EYE_NO_COLUMN SIZE_MAX

struct eye_err {
    int code;           /* as returned */
    enum eye_fail fail; /* what kind of failure */
    size_t column;      /* byte offset of the fault in the text that was parsed, or EYE_NO_COLUMN */
    char text[256];     /* one line, complete without the rest; control characters are escaped */
    char cause[256];    /* the likely cause or the nearest name, one line, or "" */
};

/* The words for a code, system's and sockeye's alike; never NULL. Not to be freed. strerror(3),
 * gai_strerror(3) */
EYE_API const char *eye_strerror(int code);

/* Writes size bytes of text into out, one line that is safe on a terminal: control characters
 * (C0, DEL, C1), bidirectional controls, line separators and bytes that are not UTF-8 become \n, \t,
 * \r, \xHH or \u{HHHH}; a backslash becomes \\. Always ends out with a NUL when out_size > 0; a text
 * that does not fit is cut at a whole character and ends in "...". Returns the bytes written without
 * the NUL. */
EYE_API size_t eye_escape(const char *text, size_t size, char *out, size_t out_size);

/* Finds the entry of names (ended by NULL) that is nearest to word by edit distance, when it is near
 * enough to be a slip of the keyboard; else NULL. The result is one of names. */
EYE_API const char *eye_nearest(const char *word, size_t size, const char *const *names);

#ifdef __cplusplus
}
#endif
#endif
