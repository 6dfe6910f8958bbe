/* bare_packets.c: bare_packets FILE: a pcap file of TCP over IPv4 over Ethernet to lines, and nothing more:
 * no check, no other protocol. What a line costs at the least: one buffer to read into, one to write from. */
#include <endian.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char in[1 << 20], out[1 << 18];

static char *put(char *pos, uint32_t num) {
    char digits[10];
    int count = 0;
    do
        digits[count++] = (char)('0' + num % 10);
    while (num /= 10);
    while (count > 0)
        *pos++ = digits[--count];
    return pos;
}

static char *put_end(char *pos, const uint8_t *addr, const uint8_t *port) {
    for (int i = 0; i < 4; i++) {
        pos = put(pos, addr[i]);
        *pos++ = i < 3 ? '.' : ':';
    }
    return put(pos, (uint32_t)port[0] << 8 | port[1]);
}

static uint32_t be32_at(const uint8_t *at) {
    uint32_t num;
    memcpy(&num, at, sizeof num);
    return be32toh(num);
}

static char *put_line(char *pos, const uint32_t *head, const uint8_t *frame) {
    const uint8_t *ip = frame + 14, *tcp = ip + (ip[0] & 15) * 4;
    pos = put(pos, head[0]);
    *pos++ = '.';
    pos = put(pos, head[1]);
    *pos++ = ' ';
    pos = put_end(pos, ip + 12, tcp);
    *pos++ = '>';
    pos = put_end(pos, ip + 16, tcp + 2);
    *pos++ = ' ';
    pos = put(pos, be32_at(tcp + 4));
    *pos++ = ' ';
    pos = put(pos, be32_at(tcp + 8));
    *pos++ = '\n';
    return pos;
}

int main(int argc, char **argv) {
    int fd = argc > 1 ? open(argv[1], O_RDONLY) : -1;
    size_t begin = 24, end = 0;
    char *pos = out;
    ssize_t n;

    if (fd < 0)
        return 1;
    while ((n = read(fd, in + end, sizeof in - end)) > 0) {
        end += (size_t)n;
        for (;;) {
            uint32_t head[4];
            if (begin + sizeof head > end)
                break;
            memcpy(head, in + begin, sizeof head);
            if (begin + sizeof head + head[2] > end)
                break;
            pos = put_line(pos, head, (const uint8_t *)in + begin + sizeof head);
            begin += sizeof head + head[2];
            if (pos > out + sizeof out - 256) {
                (void)!write(STDOUT_FILENO, out, (size_t)(pos - out));
                pos = out;
            }
        }
        memmove(in, in + begin, end - begin);
        end -= begin;
        begin = 0;
    }
    (void)!write(STDOUT_FILENO, out, (size_t)(pos - out));
    return 0;
}
