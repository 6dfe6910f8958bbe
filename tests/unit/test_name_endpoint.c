/* test_name_endpoint.c: the endpoint parser: what it reads, what it refuses and where, and what it does when
 * memory runs out (the linker's --wrap puts the functions below before the allocator's). */
#include <errno.h>
#include <stdlib.h>

#include <sockeye/endpoint.h>

#include "base/base.h"
#include "tap.h"

static long alloc_live;      /* pieces in use */
static long alloc_fail = -1; /* how many more succeed before one fails; negative: all do */
static bool alloc_failed;

void *__real_malloc(size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void __real_free(void *memory);
void *__wrap_malloc(size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void __wrap_free(void *memory);

static bool alloc_allowed(void) {
    if (alloc_fail >= 0 && alloc_fail-- == 0) {
        alloc_failed = true;
        return false;
    }
    alloc_live++;
    return true;
}

void *__wrap_malloc(size_t size) {
    return alloc_allowed() ? __real_malloc(size) : NULL;
}
char *__wrap_strdup(const char *text) {
    return alloc_allowed() ? __real_strdup(text) : NULL;
}
char *__wrap_strndup(const char *text, size_t size) {
    return alloc_allowed() ? __real_strndup(text, size) : NULL;
}
void __wrap_free(void *memory) {
    if (memory)
        alloc_live--;
    __real_free(memory);
}

/* Appends to a line of words. */
__attribute__((format(printf, 3, 4))) static void add(char *line, size_t size, const char *fmt, ...) {
    size_t len = strlen(line);
    va_list args;
    va_start(args, fmt);
    vsnprintf(line + len, size - len, fmt, args);
    va_end(args);
}

static void add_cidrs(char *line, size_t size, const char *name, const struct eye_cidr *cidrs, size_t count) {
    for (size_t i = 0; i < count; i++)
        add(line, size, " %s=%d:%02x%02x%02x%02x/%d", name, cidrs[i].family, cidrs[i].bytes[0],
            cidrs[i].bytes[1], cidrs[i].bytes[2], cidrs[i].bytes[3], cidrs[i].bits);
}

/* Writes all of an endpoint that is not as it is where nothing was said. */
static void describe(const struct eye_endpoint *e, char *line, size_t size) {
    static const char *const roles[] = {"", " dial", " listen"};
    line[0] = '\0';
    add(line, size, "%s%s", eye_scheme_name(e->scheme), roles[e->role]);
    if (e->host)
        add(line, size, " host=%s port=%s", e->host, e->port);
    if (e->path)
        add(line, size, " path=%s", e->path);
    if (e->fd)
        add(line, size, " fd=%d", e->fd);
    add(line, size, "%s%s", e->bare_port ? " bare" : "", e->any_host ? " any" : "");
    if (e->family)
        add(line, size, " family=%d", e->family);
    add(line, size, "%s%s%s%s%s", e->v6only ? " v6only" : "", e->reuseport ? " reuseport" : "",
        e->nodelay ? " nodelay" : "", e->nagle ? " nagle" : "", e->keepalive ? " keepalive" : "");
    if (e->backlog)
        add(line, size, " backlog=%d", e->backlog);
    if (e->sndbuf_bytes || e->rcvbuf_bytes)
        add(line, size, " sndbuf=%" PRId64 " rcvbuf=%" PRId64, e->sndbuf_bytes, e->rcvbuf_bytes);
    if (e->timeout_ns != 10 * NS_PER_S)
        add(line, size, " timeout=%" PRId64, e->timeout_ns);
    if (e->idle_ns)
        add(line, size, " idle=%" PRId64, e->idle_ns);
    if (e->peers_max)
        add(line, size, " max=%" PRId64, e->peers_max);
    if (e->device)
        add(line, size, " device=%s", e->device);
    if (e->bind) {
        char text[EYE_ADDR_TEXT_MAX];
        eye_addr_format(e->bind, text, sizeof(text));
        add(line, size, " bind=%s", text);
    }
    add_cidrs(line, size, "allow", e->allow, e->allow_count);
    add_cidrs(line, size, "deny", e->deny, e->deny_count);
    if (e->type != SOCK_STREAM)
        add(line, size, " type=%d", e->type);
    if (e->mode != 0600 || e->mode_said)
        add(line, size, " mode=%04o%s", e->mode, e->mode_said ? "" : "?");
    const struct eye_endpoint_tls *tls = &e->tls;
    const char *const texts[][2] = {{"cert", tls->cert},       {"key", tls->key},       {"pass", tls->pass},
                                    {"ca", tls->ca},           {"crl", tls->crl},       {"name", tls->name},
                                    {"ciphers", tls->ciphers}, {"suites", tls->suites}, {"alpn", tls->alpn}};
    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        if (texts[i][1])
            add(line, size, " %s=%s", texts[i][0], texts[i][1]);
    if (tls->version_min || tls->version_max)
        add(line, size, " versions=%d-%d", tls->version_min, tls->version_max);
    for (size_t i = 0; i < tls->pin_count; i++)
        add(line, size, " pin=%02x%02x..%02x", tls->pins[i][0], tls->pins[i][1], tls->pins[i][31]);
    add(line, size, "%s%s", tls->insecure ? " insecure" : "",
        !e->kept == (e->scheme == EYE_TLS) ? " kept?" : "");
    add(line, size, "%s%s%s%s", e->pipes ? " pipes" : "", e->pty ? " pty" : "", e->append ? " append" : "",
        e->create ? " create" : "");
}

static const struct {
    const char *text, *what;
} good[] = {
    {"tcp:127.0.0.1:5566", "tcp host=127.0.0.1 port=5566"},
    {"127.0.0.1:5566", "tcp host=127.0.0.1 port=5566"},
    {"tcp://host:80", "tcp host=host port=80"},
    {"tls:h:443", "tls host=h port=443"},
    {"tls://h:443", "tls host=h port=443"},
    {"tls:[::1]:443,nodelay", "tls host=::1 port=443 nodelay"},
    {"tls:443", "tls host= port=443 bare any"},
    {"tls:/run/a.sock", "tls path=/run/a.sock"},
    {"tls:///run/a.sock,mode=0660", "tls path=/run/a.sock mode=0660"},
    {"tls:@a,name=h,ca=/ca.pem,crl=/crl.pem", "tls path=@a ca=/ca.pem crl=/crl.pem name=h"},
    {"tls,cert=a.pem:./b,c", "tls path=./b,c cert=a.pem"},
    {"tls:h:1,cert=a%2Cb,key=c,pass=env:P,alpn=h2:x",
     "tls host=h port=1 cert=a,b key=c pass=env:P alpn=h2:x"},
    {"tls:h:1,ciphers=A:B,suites=C,tls-min=1.2,tls-max=1.3",
     "tls host=h port=1 ciphers=A:B suites=C versions=12-13"},
    {"tls:h:1,insecure", "tls host=h port=1 insecure"},
    {"tls:h:1,pin=sha256:00ff00000000000000000000000000000000000000000000000000000000000A,"
     "pin=sha256:AQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAM=",
     "tls host=h port=1 pin=00ff..0a pin=0102..03"},
    {"host.example.org:http", "tcp host=host.example.org port=http"},
    {"my_host-1.:65535", "tcp host=my_host-1. port=65535"},
    {"b\xc3\xbc"
     "cher.example:80",
     "tcp host=b\xc3\xbc"
     "cher.example port=80"},
    {"0xc000027b:80", "tcp host=0xc000027b port=80"},
    {"tpc:80", "tcp host=tpc port=80"},
    {"tcp:tcp:80", "tcp host=tcp port=80"},
    {"tcp:tls:443", "tcp host=tls port=443"},
    {"tcp:stdio:80", "tcp host=stdio port=80"},
    {"[::1]:5566", "tcp host=::1 port=5566"},
    {"tcp:[::1]:5566", "tcp host=::1 port=5566"},
    {"tcp:[fe80::1%eth0]:80", "tcp host=fe80::1%eth0 port=80"},
    {"[fe80::1%a,b]:80,nodelay", "tcp host=fe80::1%a,b port=80 nodelay"},
    {"[::ffff:192.0.2.1]:80", "tcp host=::ffff:192.0.2.1 port=80"},
    {"tcp:[::]:0", "tcp host=:: port=0 any"},
    {"[0:0::0]:0", "tcp host=0:0::0 port=0 any"},
    {"0.0.0.0:0", "tcp host=0.0.0.0 port=0"},
    {":80", "tcp host= port=80 any"},
    {"tcp::http", "tcp host= port=http any"},
    {"5566", "tcp host= port=5566 bare any"},
    {"tcp:5566", "tcp host= port=5566 bare any"},
    {"tcp:http", "tcp host= port=http bare any"},
    {"5566,listen", "tcp listen host= port=5566 bare any"},
    {"tcp,nodelay:host:80", "tcp host=host port=80 nodelay"},
    {"host:80,nagle", "tcp host=host port=80 nagle"},
    {"tcp,nodelay,family=6://host:80,keepalive", "tcp host=host port=80 family=6 nodelay keepalive"},
    {"tcp,bind=127.0.0.1%3A99:host:80", "tcp host=host port=80 bind=127.0.0.1:99"},
    {"h:80,family=4,v6only,reuseport,nodelay,keepalive,backlog=16,max=100",
     "tcp host=h port=80 family=4 v6only reuseport nodelay keepalive backlog=16 max=100"},
    {"h:80,sndbuf=64k,rcvbuf=1MiB", "tcp host=h port=80 sndbuf=64000 rcvbuf=1048576"},
    {"h:80,timeout=250ms,idle=2m", "tcp host=h port=80 timeout=250000000 idle=120000000000"},
    {"h:80,device=%65th%30", "tcp host=h port=80 device=eth0"},
    {"h:80,device=a%2Cb%25", "tcp host=h port=80 device=a,b%"},
    {"h:80,bind=[::1]:99", "tcp host=h port=80 bind=[::1]:99"},
    {"h:80,bind=192.0.2.1", "tcp host=h port=80 bind=192.0.2.1:0"},
    {"h:80,bind=fe80::1%25lo", "tcp host=h port=80 bind=[fe80::1%lo]:0"},
    {"h:80,dial,backlog=2147483647", "tcp dial host=h port=80 backlog=2147483647"},
    {":80,allow=192.0.2.0/24,deny=192.0.2.7,allow=2001:db8::/32",
     "tcp host= port=80 any allow=4:c0000200/24 allow=6:20010db8/32 deny=4:c0000207/32"},
    {":80,allow=::ffff:192.0.2.0/120", "tcp host= port=80 any allow=4:c0000200/24"},

    {"/run/a.sock", "unix path=/run/a.sock"},
    {"./a", "unix path=./a"},
    {"../a", "unix path=../a"},
    {"@name", "unix path=@name"},
    {"unix:/run/a", "unix path=/run/a"},
    {"unix:a", "unix path=a"},
    {"unix:///run/a", "unix path=/run/a"},
    {"unix://@a", "unix path=@a"},
    {"/run/a:b=c%20", "unix path=/run/a:b=c%20"},
    {"/run/a,b", "unix path=/run/a,b"},
    {"/run/a,", "unix path=/run/a,"},
    {"/run/a,b,mode=0660", "unix path=/run/a,b mode=0660"},
    {"/run/a,mode=0600", "unix path=/run/a mode=0600"},
    {"/run/a,listen,b", "unix path=/run/a,listen,b"},
    {"/run/a,listen,mode=777", "unix listen path=/run/a mode=0777"},
    {"unix,mode=0660:/run/a,b", "unix path=/run/a,b mode=0660"},
    {"unix,mode=0:/run/a,mode=7,x=y", "unix path=/run/a,mode=7,x=y mode=0000"},
    {"unix,dial:///run/a,b", "unix dial path=/run/a,b"},
    {"@a,type=seqpacket", "unix path=@a type=5"},
    {"@a,type=stream,max=1,backlog=2,timeout=1s,idle=1s,sndbuf=1,rcvbuf=2",
     "unix path=@a backlog=2 sndbuf=1 rcvbuf=2 timeout=1000000000 idle=1000000000 max=1"},

    {"-", "stdio"},
    {"stdio", "stdio"},
    {"stdio:", "stdio"},
    {"stdio://", "stdio"},

    {"exec:cat", "exec path=cat"},
    {"exec:sh -c 'cat, x=1' # :", "exec path=sh -c 'cat, x=1' # :"},
    {"exec:cat,pty", "exec path=cat,pty"},
    {"exec,pty:grep a,b", "exec path=grep a,b pty"},
    {"exec,pipes,idle=5s:cat", "exec path=cat idle=5000000000 pipes"},
    {"exec:///bin/cat", "exec path=/bin/cat"},
    {"exec: ", "exec path= "},

    {"fd:0", "fd"},
    {"fd:3", "fd fd=3"},
    {"fd:2147483647", "fd fd=2147483647"},
    {"fd://3", "fd fd=3"},
    {"fd:3,idle=1s", "fd fd=3 idle=1000000000"},
    {"fd,idle=1s:3", "fd fd=3 idle=1000000000"},

    {"file:/p", "file path=/p"},
    {"file:p:q", "file path=p:q"},
    {"file:/p,append", "file path=/p append"},
    {"file:/p,create", "file path=/p create"},
    {"file:/p,append,create,idle=1s", "file path=/p idle=1000000000 append create"},
    {"file:/p,q", "file path=/p,q"},
    {"file:/p,append,q", "file path=/p,append,q"},
    {"file,append:/p,create", "file path=/p,create append"},
    {"file:///p", "file path=/p"},
};

static void test_good(void) {
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        struct eye_endpoint endpoint;
        struct eye_err err = {0};
        char line[1024];
        tap_case("read '%s'", good[i].text);
        if (!CHECK_INT(eye_endpoint_parse(good[i].text, &endpoint, &err), 0)) {
            CHECK_STR(err.text, "");
            continue;
        }
        CHECK_STR(endpoint.text, good[i].text);
        describe(&endpoint, line, sizeof(line));
        CHECK_STR(line, good[i].what);
        eye_endpoint_done(&endpoint);
        CHECK(!endpoint.text && !endpoint.host && !endpoint.path && !endpoint.bind && !endpoint.timeout_ns);
        CHECK_INT(alloc_live, 0);
    }
}

/* In the words, a text behind " in " that is the whole endpoint is left out. */
static const struct {
    const char *text;
    size_t column;
    const char *words, *cause;
} bad[] = {
    {"", 0, "no host and port", ""},
    {"tcp:", 4, "no host and port", ""},
    {"tcp", 3, "no ':' and target", ""},
    {"unix", 4, "no ':' and target", ""},
    {"tcp,nodelay", 11, "no ':' and target", ""},
    {"exec", 4, "no ':' and target", ""},
    {"exec:", 5, "no command", ""},
    {"exec,pty:", 9, "no command", ""},
    {"exec,ptty:cat", 5, "unknown option 'ptty'", "did you mean 'pty'?"},
    {"tls:h:443,mode=0600", 10, "'mode' is for tls over unix, and this is over tcp,", ""},
    {"tls:/p,nodelay", 7, "'nodelay' is for tls over tcp, and this is over unix,", ""},
    {"tls:h:1,pass=secret", 13, "'pass' takes file:PATH|fd:N|env:NAME, not 'secret',", ""},
    {"tls:h:1,pass=fd:x", 13, "'pass' takes file:PATH|fd:N|env:NAME, not 'fd:x',", ""},
    {"tls:h:1,tls-min=1.1", 16, "'tls-min' takes 1.2|1.3, not '1.1',", ""},
    {"tls:h:1,pin=sha256:00", 12,
     "'pin' takes sha256: and 64 hexadecimal digits, or the 44 characters of base64, not 'sha256:00',", ""},
    {"tls:h:1,pin=sha256:AQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAN=", 12,
     "'pin' takes sha256: and 64 hexadecimal digits, or the 44 characters of base64, not "
     "'sha256:AQIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAN=',",
     ""},
    {"h:80,cert=a.pem", 5, "'cert' is an option of tls endpoints", ""},
    {"exec,nodelay:cat", 5, "'nodelay' is an option of tcp and tls endpoints", ""},
    {"exce:grep x", 0, "unknown scheme 'exce'", "did you mean 'exec'?"},
    {"fd", 2, "no ':' and target", ""},
    {"fd:", 3, "'' is no descriptor's number", ""},
    {"fd:-1", 3, "'-1' is no descriptor's number", ""},
    {"fd:3x", 3, "'3x' is no descriptor's number", ""},
    {"fd:systemd:x", 3, "'systemd:x' is no descriptor's number", ""},
    {"fd:2147483648", 3, "'2147483648' is no descriptor's number", ""},
    {"fd:3,append", 5, "'append' is an option of file endpoints", ""},
    {"fd:3,listen", 5, "'listen' is an option of tcp, udp, unix and tls endpoints", ""},
    {"file", 4, "no ':' and target", ""},
    {"file:", 5, "no path", ""},
    {"file:,append", 5, "no path", ""},
    {"file,create:", 12, "no path", ""},
    {"file:/p,apend,create=1", 20, "'create' takes no value", ""},
    {"file:/p,mode=0600", 8, "'mode' is an option of unix and tls endpoints", ""},
    {"file:/p,x=1", 8, "unknown option 'x'",
     "where a path holds commas, options stand before the colon: file,append:/var/log/a,b"},
    {"fil:/p", 0, "unknown scheme 'fil'", "did you mean 'file'?"},
    {"tpc:host:80", 0, "unknown scheme 'tpc'", "did you mean 'tcp'?"},
    {"TCP:host:80", 0, "unknown scheme 'TCP'", "did you mean 'tcp'?"},
    {"tpc,nodelay:host:80", 0, "unknown scheme 'tpc'", "did you mean 'tcp'?"},
    {"unxi:/run/a", 0, "unknown scheme 'unxi'", "did you mean 'unix'?"},
    {"stdoi:", 0, "unknown scheme 'stdoi'", "did you mean 'stdio'?"},
    {"http://host/", 0, "unknown scheme 'http'",
     "the schemes are tcp, udp, tls, unix, exec, stdio, fd and file"},
    {"myhost:80:90", 0, "unknown scheme 'myhost'",
     "the schemes are tcp, udp, tls, unix, exec, stdio, fd and file"},
    {"::1:80", 0, "an IPv6 literal without brackets", "IPv6 literals stand in brackets: [::1]:80"},
    {"tcp:::1:80", 4, "an IPv6 literal without brackets", "IPv6 literals stand in brackets: [::1]:80"},
    {"2001:db8::1", 0, "an IPv6 literal without brackets",
     "IPv6 literals stand in brackets: [2001:db8::1]:PORT"},
    {"::1,nodelay", 0, "an IPv6 literal without brackets", "IPv6 literals stand in brackets: [::1]:PORT"},
    {"1:2:3:4:5:6:7:8:80", 0, "an IPv6 literal without brackets",
     "IPv6 literals stand in brackets: [1:2:3:4:5:6:7:8]:80"},
    {"fe80::1%lo:80", 0, "an IPv6 literal without brackets",
     "IPv6 literals stand in brackets: [fe80::1%lo]:80"},
    {"fe80::1%lo", 0, "an IPv6 literal without brackets",
     "IPv6 literals stand in brackets: [fe80::1%lo]:PORT"},
    {"host", 4, "no port", ""},
    {"host,bind=1.2.3.4:5", 4, "no port", ""},
    {"tcp:example.org", 15, "no port", ""},
    {"host:", 5, "no port", ""},
    {"tcp:host:,nodelay", 9, "no port", ""},
    {"[::1]", 5, "no port", ""},
    {"[::1]:", 6, "no port", ""},
    {"[::1]80", 5, "text after ']'", ""},
    {"[::1", 0, "'[' without ']'", ""},
    {"[]:80", 1, "no IPv6 literal between the brackets", ""},
    {"[fe80::1%]:80", 1, "no IPv6 literal between the brackets", ""},
    {"tcp:[127.0.0.1]:80", 5, "no IPv6 literal between the brackets", ""},
    {"host:65536", 5, "a port above 65535", ""},
    {"unit:99999", 5, "a port above 65535", ""},
    {"unit:99999,nodelay", 5, "a port above 65535", ""},
    {"65536", 0, "a port above 65535", ""},
    {"tcp:99999999999999999999999", 4, "a port above 65535", ""},
    {"host:-1", 5, "'-1' is neither a port number nor a service's name", ""},
    {"host:80/", 5, "'80/' is neither a port number nor a service's name", ""},
    {"host:a b", 5, "'a b' is neither a port number nor a service's name", ""},
    {"host:http-", 5, "'http-' is neither a port number nor a service's name", ""},
    {"*:80", 0, "'*' cannot stand in a host's name", "':PORT' means every address"},
    {"a b:80", 1, "' ' cannot stand in a host's name", ""},
    {"tcp:user@host:80", 8, "'@' cannot stand in a host's name", ""},

    {"tcp:h:80,nodelai", 9, "unknown option 'nodelai'", "did you mean 'nodelay'?"},
    {"tcp,nodelai:h:80", 4, "unknown option 'nodelai'", "did you mean 'nodelay'?"},
    {"h:80,nodelay,tiemout=5s", 13, "unknown option 'tiemout'", "did you mean 'timeout'?"},
    {"h:80,xyzzy=1", 5, "unknown option 'xyzzy'", ""},
    {"h:80,", 5, "empty option", ""},
    {"h:80,,nodelay", 5, "empty option", ""},
    {"h:80,=5", 5, "empty option", ""},
    {"tcp,:h:80", 4, "empty option", ""},
    {"h:80,mode=0600", 5, "'mode' is an option of unix and tls endpoints", ""},
    {"@a,nodelay", 3, "'nodelay' is an option of tcp and tls endpoints", ""},
    {"-,dial", 2, "'dial' is an option of tcp, udp, unix and tls endpoints", ""},
    {"stdio,listen:", 6, "'listen' is an option of tcp, udp, unix and tls endpoints", ""},
    {"-,xyzzy", 2, "unknown option 'xyzzy'", ""},
    {"stdio:x", 6, "stdio takes no target", ""},
    {"h:80,nodelay=1", 12, "'nodelay' takes no value", ""},
    {"h:80,nodelay=", 12, "'nodelay' takes no value", ""},
    {"h:80,max", 8, "'max' needs a value (max=N)", ""},
    {"h:80,max=", 8, "'max' needs a value (max=N)", ""},
    {"h:80,nodelay,nodelay", 13, "'nodelay' twice", ""},
    {"h:80,nodelay,nagle", 13, "both 'nodelay' and 'nagle'", ""},
    {"h:80,nagle,nodelay", 11, "both 'nodelay' and 'nagle'", ""},
    {"tls:h:80,nagle", 9, "'nagle' is an option of tcp endpoints", ""},
    {"tcp,max=1:h:80,max=2", 15, "'max' twice", ""},
    {"h:80,dial,listen", 10, "both 'dial' and 'listen'", ""},
    {"exec,pty,pipes:cat", 9, "both 'pipes' and 'pty'", ""},
    {"udp:h:80,join=192.0.2.1", 14,
     "'join' takes a multicast group (224.0.0.0/4 or ff00::/8), not '192.0.2.1',", ""},
    {"udp:h:80,join=[2001:db8::1]", 14,
     "'join' takes a multicast group (224.0.0.0/4 or ff00::/8), not '[2001:db8::1]',", ""},
    {"h:80,listen,dial", 12, "both 'dial' and 'listen'", ""},
    {"h:80,family=5", 12, "'family' takes 4|6, not '5',", ""},
    {"h:80,max=0", 9, "'max' takes a whole number from 1 to 2147483647, not '0',", ""},
    {"h:80,max=-1", 9, "'max' takes a whole number from 1 to 2147483647, not '-1',", ""},
    {"h:80,backlog=2147483648", 13, "'backlog' takes a whole number from 1 to 2147483647, not '2147483648',",
     ""},
    {"h:80,sndbuf=0", 12, "'sndbuf' takes a size from 1 to 2147483647, such as 64k or 1MiB, not '0',", ""},
    {"h:80,rcvbuf=2GiB", 12, "'rcvbuf' takes a size from 1 to 2147483647, such as 64k or 1MiB, not '2GiB',",
     ""},
    {"h:80,timeout=5", 13, "'timeout' takes a duration above 0, such as 500ms, 5s or 2m, not '5',", ""},
    {"h:80,idle=0s", 10, "'idle' takes a duration above 0, such as 500ms, 5s or 2m, not '0s',", ""},
    {"h:80,device=0123456789abcdef", 12,
     "'device' takes an interface's name of at most 15 bytes, not '0123456789abcdef',", ""},
    {"h:80,bind=host", 10, "'bind' takes a numeric address, with or without a port, not 'host',",
     "no numeric address in 'host'"},
    {"h:80,bind=fe80::1%25no-such-if", 10,
     "'bind' takes a numeric address, with or without a port, not 'fe80::1%no-such-if',",
     "no interface 'no-such-if' for the zone in 'fe80::1%no-such-if'"},
    {"h:80,bind=/a", 10, "'bind' takes a numeric address, with or without a port, not '/a',", ""},
    {"h:80,allow=10.0.0.1/8", 11,
     "'allow' takes an address or a block such as 192.0.2.0/24, not '10.0.0.1/8',",
     "did you mean the block '10.0.0.0/8' or the host '10.0.0.1'?"},
    {"h:80,deny=x", 10, "'deny' takes an address or a block such as 192.0.2.0/24, not 'x',",
     "no address in 'x'"},
    {"h:80,device=a%", 13, "'%' without two hexadecimal digits", ""},
    {"h:80,device=%4", 12, "'%' without two hexadecimal digits", ""},
    {"h:80,device=%4,nodelay", 12, "'%' without two hexadecimal digits", ""},
    {"h:80,device=a%zz", 13, "'%' without two hexadecimal digits", ""},
    {"h:80,device=%4z", 12, "'%' without two hexadecimal digits", ""},
    {"h:80,device=ab%00", 14, "a NUL byte (%00)", ""},

    {"unix:", 5, "no path", ""},
    {"unix,mode=0600:", 15, "no path", ""},
    {"unix:,mode=0600", 5, "no path", ""},
    {"@", 0, "empty abstract name", ""},
    {"@,mode=0600", 0, "empty abstract name", ""},
    {"./x,mdoe=0600", 4, "unknown option 'mdoe'", "did you mean 'mode'?"},
    {"/a,x=y", 3, "unknown option 'x'",
     "where a path holds commas, options stand before the colon: unix,mode=0600:/run/a,b"},
    {"/a,mode=0600,lisen", 13, "unknown option 'lisen'", "did you mean 'listen'?"},
    {"/a,mode=0800", 8, "'mode' takes an octal number up to 0777, not '0800',", ""},
    {"/a,mode=1777", 8, "'mode' takes an octal number up to 0777, not '1777',", ""},
    {"/a,mode=00600", 8, "'mode' takes an octal number up to 0777, not '00600',", ""},
    {"/a,mode=rw", 8, "'mode' takes an octal number up to 0777, not 'rw',", ""},
    {"@a,type=raw", 8, "'type' takes stream|seqpacket|dgram, not 'raw',", ""},
};

static void test_bad(void) {
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct eye_endpoint endpoint = {.backlog = 4711};
        struct eye_err err = {0};
        char words[512];
        tap_case("refuse '%s'", bad[i].text);
        CHECK_INT(eye_endpoint_parse(bad[i].text, &endpoint, &err), EYE_ESYNTAX);
        CHECK_INT(err.code, EYE_ESYNTAX);
        CHECK_INT(err.fail, EYE_FAIL_USAGE);
        CHECK_INT(err.column, bad[i].column);
        snprintf(words, sizeof(words), "%s in '%s'", bad[i].words, bad[i].text);
        CHECK_STR(err.text, words);
        CHECK_STR(err.cause, bad[i].cause);
        CHECK_INT(endpoint.backlog, 4711);
        CHECK_INT(alloc_live, 0);
        CHECK_INT(eye_endpoint_parse(bad[i].text, &endpoint, NULL), EYE_ESYNTAX);
    }
}

static void test_limits(void) {
    struct eye_endpoint endpoint;
    struct eye_err err;
    char text[2048];

    tap_case("a path of 107 bytes fits, one of 108 does not");
    snprintf(text, sizeof(text), "unix:/%0106d", 0);
    CHECK_INT(eye_endpoint_parse(text, &endpoint, &err), 0);
    eye_endpoint_done(&endpoint);
    snprintf(text, sizeof(text), "unix:/%0107d", 0);
    CHECK_INT(eye_endpoint_parse(text, &endpoint, &err), EYE_ESYNTAX);
    CHECK(strstr(err.text, "path of 108 bytes, where at most 107 fit, in 'unix:/0") == err.text);
    CHECK_INT(err.column, 5);

    tap_case("options do not count");
    snprintf(text, sizeof(text), "/%0106d,mode=0660", 0);
    CHECK_INT(eye_endpoint_parse(text, &endpoint, &err), 0);
    eye_endpoint_done(&endpoint);

    tap_case("an abstract name of 107 bytes fits, one of 108 does not");
    snprintf(text, sizeof(text), "@%0107d", 0);
    CHECK_INT(eye_endpoint_parse(text, &endpoint, &err), 0);
    eye_endpoint_done(&endpoint);
    snprintf(text, sizeof(text), "@%0108d", 0);
    CHECK_INT(eye_endpoint_parse(text, &endpoint, &err), EYE_ESYNTAX);

    tap_case("%d blocks, and no more", EYE_CIDR_MAX);
    strcpy(text, ":80");
    for (int i = 0; i < EYE_CIDR_MAX; i++)
        add(text, sizeof(text), ",allow=10.0.0.%d", i);
    CHECK_INT(eye_endpoint_parse(text, &endpoint, &err), 0);
    CHECK_INT(endpoint.allow_count, EYE_CIDR_MAX);
    eye_endpoint_done(&endpoint);
    size_t column = strlen(text) + strlen(",allow=");
    strcat(text, ",allow=::1");
    CHECK_INT(eye_endpoint_parse(text, &endpoint, &err), EYE_ESYNTAX);
    CHECK(strstr(err.text, "'allow' more than 32 times in ") == err.text);
    CHECK_INT(err.column, column);

    tap_case("a value longer than any");
    snprintf(text, sizeof(text), "h:80,device=%01024d", 0);
    CHECK_INT(eye_endpoint_parse(text, &endpoint, &err), EYE_ESYNTAX);
    CHECK(strstr(err.text, "a value longer than 1023 bytes in ") == err.text);
    CHECK_INT(err.column, 12);
    CHECK_INT(alloc_live, 0);
}

static void test_admits(void) {
    static const struct {
        const char *endpoint, *addr;
        bool admits;
    } rows[] = {
        {":80", "192.0.2.1", true},
        {":80,allow=192.0.2.0/24", "192.0.2.1", true},
        {":80,allow=192.0.2.0/24", "::ffff:192.0.2.1", true},
        {":80,allow=192.0.2.0/24", "192.0.3.1", false},
        {":80,allow=192.0.2.0/24", "2001:db8::1", false},
        {":80,allow=192.0.2.0/24,allow=::/0", "2001:db8::1", true},
        {":80,deny=192.0.2.7", "192.0.2.7", false},
        {":80,deny=192.0.2.7", "::ffff:192.0.2.7", false},
        {":80,deny=::ffff:192.0.2.7", "192.0.2.7", false},
        {":80,deny=192.0.2.7", "192.0.2.8", true},
        {":80,deny=192.0.2.7,allow=192.0.2.0/24", "192.0.2.7", false},
        {":80,allow=192.0.2.0/24,deny=192.0.2.7", "192.0.2.8", true},
        {"@a", "@b", true},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct eye_endpoint endpoint;
        struct eye_addr addr;
        tap_case("'%s' admits %s%s", rows[i].endpoint, rows[i].admits ? "" : "not ", rows[i].addr);
        if (CHECK_INT(eye_endpoint_parse(rows[i].endpoint, &endpoint, NULL), 0) &&
            CHECK_INT(eye_addr_parse(rows[i].addr, &addr, NULL), 0)) {
            CHECK_INT(eye_endpoint_admits(&endpoint, &addr), rows[i].admits);
            eye_endpoint_done(&endpoint);
        }
    }
}

static void test_option_rows(void) {
    struct eye_option_row row;
    size_t count = 0;
    for (; eye_endpoint_option(count, &row) == 1; count++) {
        tap_case("option row %s", row.name);
        CHECK(row.name[0] && row.help[0] && (!row.value || row.value[0]));
        CHECK(row.schemes != 0 && row.schemes < 1U << EYE_SCHEME_MAX);
    }
    tap_case("option rows and scheme names end");
    CHECK(count >= 23);
    CHECK_INT(eye_endpoint_option(count, &row), 0);
    CHECK_STR(eye_scheme_name(EYE_TCP), "tcp");
    CHECK_STR(eye_scheme_name(EYE_UNIX), "unix");
    CHECK_STR(eye_scheme_name(EYE_EXEC), "exec");
    CHECK_STR(eye_scheme_name(EYE_STDIO), "stdio");
    CHECK_STR(eye_scheme_name(EYE_FD), "fd");
    CHECK_STR(eye_scheme_name(EYE_FILE), "file");
    CHECK_STR(eye_scheme_name(EYE_SCHEME_MAX), NULL);
    CHECK_STR(eye_scheme_name(SIZE_MAX), NULL);
}

/* Fails each allocation in turn, until there is none left to fail. */
static void test_no_memory(void) {
    static const char *const texts[] = {
        "tcp:[::1]:80,bind=127.0.0.1:99,device=lo,allow=10.0.0.0/8",
        "host:http,device=lo",
        "tcp:80",
        "unix,mode=0600:/run/a",
        "exec,pty:cat",
        "fd:3",
        "file:/p,append",
        "-",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        struct eye_endpoint endpoint = {.backlog = 4711};
        struct eye_err err;
        long runs = 0;
        int r;
        tap_case("no memory for '%s'", texts[i]);
        for (;; runs++) {
            alloc_fail = runs;
            alloc_failed = false;
            r = eye_endpoint_parse(texts[i], &endpoint, &err);
            alloc_fail = -1;
            if (r != -ENOMEM)
                break;
            CHECK_INT(err.code, -ENOMEM);
            CHECK_INT(err.fail, EYE_FAIL_OTHER);
            CHECK_INT(endpoint.backlog, 4711);
            CHECK_INT(alloc_live, 0);
        }
        CHECK(runs > 0);
        CHECK(!alloc_failed);
        if (CHECK_INT(r, 0))
            eye_endpoint_done(&endpoint);
        CHECK_INT(alloc_live, 0);
    }
}

int main(void) {
    test_good();
    test_bad();
    test_limits();
    test_admits();
    test_option_rows();
    test_no_memory();
    return tap_done();
}
