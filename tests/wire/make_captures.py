#!/usr/bin/python3
"""Writes the golden captures, captures/NAME.pcap, and from each packet a seed for the fuzzer.

    tests/wire/make_captures.py          writes both anew; they are committed

A row of CAPTURES is a name, a link type and packets. Nothing is random, so that the files change only when
a row does. Made with scapy (Debian's python3-scapy), except for what it would fill with random bytes.
"""

import pathlib
import struct

from scapy.config import conf

conf.ipv6_enabled = False  # the host's own addresses play no part

from scapy.layers.dhcp import BOOTP, DHCP  # noqa: E402
from scapy.layers.dns import (DNS, DNSQR, DNSRR, DNSRRMX, DNSRROPT, DNSRRSOA, DNSRRSRV)  # noqa: E402
from scapy.layers.inet import (ICMP, IP, TCP, UDP, IPOption_LSRR, IPOption_NOP, IPOption_Router_Alert,
                               IPOption_RR, IPOption_Timestamp, fragment)  # noqa: E402
from scapy.layers.inet6 import (ICMPv6DestUnreach, ICMPv6EchoReply, ICMPv6EchoRequest, ICMPv6MLReport,
                                ICMPv6MLQuery2, ICMPv6MLReport2, ICMPv6MLDMultAddrRec, ICMPv6ND_NA,
                                ICMPv6ND_NS, ICMPv6ND_RA, ICMPv6ND_RS, ICMPv6ND_Redirect, ICMPv6NDOptDstLLAddr,
                                ICMPv6NDOptMTU, ICMPv6NDOptPrefixInfo, ICMPv6NDOptRDNSS,
                                ICMPv6NDOptSrcLLAddr, ICMPv6PacketTooBig, IPv6, IPv6ExtHdrDestOpt,
                                IPv6ExtHdrFragment, IPv6ExtHdrHopByHop, IPv6ExtHdrRouting, PadN,
                                RouterAlert)  # noqa: E402
from scapy.layers.ipsec import AH  # noqa: E402
from scapy.layers.l2 import ARP, GRE, Dot1AD, Dot1Q, Ether  # noqa: E402
from scapy.layers.ntp import NTPHeader  # noqa: E402
from scapy.layers.sctp import SCTP, SCTPChunkInit  # noqa: E402
from scapy.layers.vxlan import VXLAN  # noqa: E402
from scapy.contrib.igmp import IGMP  # noqa: E402
from scapy.contrib.igmpv3 import IGMPv3, IGMPv3gr, IGMPv3mq, IGMPv3mr  # noqa: E402
from scapy.packet import Raw  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
CORPUS = HERE.parents[1] / "fuzz/corpus/dissect"

ETHERNET, NULL, RAW, LOOP, SLL, SLL2 = 1, 0, 101, 108, 113, 276
LINKS = [ETHERNET, NULL, RAW, LOOP, SLL, SLL2, 228, 229]  # as fuzz_dissect.c numbers them
FIRST_SECOND = 1_764_000_000

ETH = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
IP4 = IP(src="10.2.0.1", dst="10.9.0.2", id=7)
IP6 = IPv6(src="2001:db8::1", dst="2001:db8::2")


def udp(sport, dport, payload, ip=IP4):
    return ETH / ip / UDP(sport=sport, dport=dport) / payload


def tcp(sport, dport, payload=b"", **fields):
    options = [("NOP", None), ("NOP", None), ("Timestamp", (7, 9))]
    return ETH / IP4 / TCP(**{"sport": sport, "dport": dport, "flags": "PA", "seq": 2907799351, "ack": 1,
                              "window": 342, "options": options, **fields}) / payload


def sized(size, data):
    return len(data).to_bytes(size, "big") + data


def extension(number, data):
    return struct.pack("!H", number) + sized(2, data)


def handshake(kind, body):
    return bytes([kind]) + sized(3, body)


def record(kind, body, version=0x0303):
    return bytes([kind]) + struct.pack("!H", version) + sized(2, body)


def client_hello(name=b"example.org", protocols=(b"h2", b"http/1.1")):
    extensions = extension(43, sized(1, struct.pack("!2H", 0x0304, 0x0303)))
    extensions += extension(0, sized(2, b"\0" + sized(2, name)))
    extensions += extension(16, sized(2, b"".join(sized(1, protocol) for protocol in protocols)))
    return handshake(1, struct.pack("!H", 0x0303) + bytes(range(32)) + sized(1, bytes(32)) +
                     sized(2, struct.pack("!3H", 0x1301, 0xc02b, 0x00ff)) + sized(1, b"\0") +
                     sized(2, extensions))


def server_hello():
    extensions = extension(43, struct.pack("!H", 0x0304))
    return handshake(2, struct.pack("!H", 0x0303) + bytes(range(32)) + sized(1, bytes(32)) +
                     struct.pack("!HB", 0x1301, 0) + sized(2, extensions))


def quic(version, first, token=b""):
    return (bytes([first]) + struct.pack("!I", version) + sized(1, bytes(range(8))) + sized(1, b"\xaa" * 5) +
            (sized(1, token) if first & 0x30 == (0 if version == 1 else 0x10) else b"") + b"\x44\x00" + bytes(64))


def dns(**fields):
    return DNS(**{"id": 0x1234, "rd": 1, **fields})


def chain(*records):
    first, *rest = records
    for record_ in rest:
        first = first / record_
    return first


def fragments(packet, size):
    return [ETH / part for part in fragment(packet, fragsize=size)]


def nested(depth):
    packet = IP4 / UDP(sport=1, dport=2) / b"deep"
    for _ in range(depth):
        packet = IP4 / packet
    return ETH / packet


ERROR = IP(src="10.9.0.254", dst="10.2.0.1", id=9)
QUOTE = bytes(IP4 / UDP(sport=40000, dport=33434) / (b"x" * 32))[:28]
NTP_REPLY = NTPHeader(leap=0, version=4, mode=4, stratum=2, poll=6, precision=0xe9, delay=0.5, dispersion=0.25,
                      id="192.0.2.1", ref=3_972_988_800.5, orig=3_972_988_801, recv=3_972_988_802,
                      sent=3_972_988_803)

CAPTURES = [
    ("arp", ETHERNET, [
        Ether(dst="ff:ff:ff:ff:ff:ff", src="f0:25:72:52:f5:ca") / ARP(
            op=1, hwsrc="f0:25:72:52:f5:ca", psrc="140.112.91.254", hwdst="00:00:00:00:00:00",
            pdst="140.112.91.20") / Raw(bytes(18)),
        ETH / ARP(op=2, hwsrc="02:00:00:00:00:02", psrc="10.0.0.2", hwdst="02:00:00:00:00:01", pdst="10.0.0.1"),
    ]),
    ("tcp", ETHERNET, [
        tcp(38352, 8000, flags="S", seq=2907799350, ack=0, window=64240,
            options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (7, 0)), ("NOP", None), ("WScale", 7)]),
        tcp(8000, 38352, flags="SA", seq=398995856, ack=2907799351,
            options=[("MSS", 1460), ("SAckOK", b""), ("Timestamp", (9, 7)), ("NOP", None), ("WScale", 7)]),
        tcp(38352, 8000, flags="A"),
        tcp(38352, 8000, flags="A", options=[("NOP", None), ("NOP", None), ("SAck", (100, 200, 300, 400))]),
        tcp(38352, 8000, b"hi", flags="PAU", urgptr=1),
        tcp(38352, 8000, flags="R", options=[]),
        tcp(38352, 8000, flags="FPAEC", options=[]),
        tcp(38352, 8000, flags="S", options=[(34, b"cookie12"), (28, b"\x80\x05"), (30, bytes(10))]),
        tcp(38352, 8000, b"\x1b[31m\0\xff\"\\", options=[]),
        tcp(1, 2, flags=0, options=[], chksum=1),
    ]),
    ("udp", ETHERNET, [
        udp(5566, 5567, b"Hello\n"),
        udp(5566, 5567, b""),
        ETH / IP4 / UDP(sport=1, dport=2, chksum=0) / b"no checksum",
        ETH / IP6 / UDP(sport=5566, dport=5567) / b"six",
    ]),
    ("icmp", ETHERNET, [
        ETH / IP4 / ICMP(type=8, id=1, seq=1) / bytes(range(48)),
        ETH / IP4 / ICMP(type=0, id=1, seq=1) / bytes(range(48)),
        ETH / ERROR / ICMP(type=3, code=3) / QUOTE,
        ETH / ERROR / ICMP(type=3, code=4, nexthopmtu=1280) / QUOTE,
        ETH / ERROR / ICMP(type=11, code=0) / QUOTE,
        ETH / ERROR / ICMP(type=5, code=1, gw="10.2.0.254") / QUOTE,
        ETH / ERROR / ICMP(type=12, code=0, ptr=20) / QUOTE,
        ETH / IP4 / ICMP(type=13, id=3, seq=4, ts_ori=1, ts_rx=2, ts_tx=3),
        ETH / IP4 / ICMP(type=17, id=3, seq=4, addr_mask="255.255.255.0"),
        ETH / IP4 / ICMP(type=10),
        ETH / IP4 / ICMP(type=9) / b"",
    ]),
    ("ip-options", ETHERNET, [
        ETH / IP(src="10.2.0.1", dst="10.9.0.2", id=7, options=[IPOption_RR(
            pointer=8, routers=["192.0.2.1", "0.0.0.0"]), IPOption_NOP()]) / ICMP(id=1, seq=1),
        ETH / IP(src="10.2.0.1", dst="10.9.0.2", id=7, options=[IPOption_Router_Alert()]) / ICMP(id=1, seq=1),
        ETH / IP(src="10.2.0.1", dst="10.9.0.2", id=7, options=[IPOption_LSRR(routers=["192.0.2.9"])]) /
        ICMP(id=1, seq=1),
        ETH / IP(src="10.2.0.1", dst="10.9.0.2", id=7, options=[IPOption_Timestamp(timestamp=77)]) /
        ICMP(id=1, seq=1),
        ETH / IP(src="10.2.0.1", dst="10.9.0.2", id=7, options=[IPOption_Timestamp(
            flg=0, oflw=2, timestamp=77)]) / ICMP(id=1, seq=1),
    ]),
    ("ip-fragments", ETHERNET, fragments(IP4 / UDP(sport=1, dport=2, chksum=0) / (b"f" * 100), 48)),
    ("ip-checksum", ETHERNET, [ETH / IP(src="10.2.0.1", dst="10.9.0.2", id=7, chksum=0x1234) / UDP(sport=1, dport=2)]),
    ("ip6", ETHERNET, [
        ETH / IPv6(src="fe80::1", dst="ff02::2", tc=0xb8, fl=0x12345, hlim=255) / UDP(sport=1, dport=2) / b"x",
        ETH / IP6 / IPv6ExtHdrHopByHop(options=[RouterAlert(value=0), PadN(optdata=b"")]) / UDP(sport=1, dport=2),
        ETH / IP6 / IPv6ExtHdrDestOpt(options=[PadN(optdata=b"\0" * 4)]) / TCP(sport=1, dport=2, seq=1),
        ETH / IP6 / IPv6ExtHdrRouting(addresses=["2001:db8::9"], segleft=1, type=0) / UDP(sport=1, dport=2) / b"x",
        ETH / IP6 / IPv6ExtHdrFragment(offset=0, m=1, id=99) / UDP(sport=1, dport=2, len=100, chksum=1) / b"first...",
        ETH / IP6 / IPv6ExtHdrFragment(offset=2, m=0, id=99) / Raw(b"the rest"),
        ETH / IP6 / AH(nh=17, spi=5, seq=6, icv=b"\1" * 12, payloadlen=4) / UDP(sport=1, dport=2) / b"x",
        ETH / IPv6(src="2001:db8::1", dst="2001:db8::2", nh=59) / Raw(b"none"),
        ETH / IPv6(src="2001:db8::1", dst="2001:db8::2", nh=50) / Raw(b"encrypted"),
    ]),
    ("icmp6", ETHERNET, [
        ETH / IP6 / ICMPv6EchoRequest(id=1, seq=2, data=b"ping"),
        ETH / IP6 / ICMPv6EchoReply(id=1, seq=2, data=b"ping"),
        ETH / IP6 / ICMPv6DestUnreach(code=4) / IPv6(src="2001:db8::2", dst="2001:db8::1") / UDP(sport=1, dport=2),
        ETH / IP6 / ICMPv6PacketTooBig(mtu=1280) / IPv6(src="2001:db8::2", dst="2001:db8::1") / UDP(sport=1, dport=2),
        ETH / IP6 / ICMPv6ND_NS(tgt="2001:db8::7") / ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:00:02"),
        ETH / IP6 / ICMPv6ND_NA(tgt="2001:db8::7", R=0, S=1, O=1) / ICMPv6NDOptDstLLAddr(lladdr="02:00:00:00:00:07"),
        ETH / IP6 / ICMPv6ND_RS(),
        ETH / IP6 / ICMPv6ND_RA(chlim=64, M=0, O=1, routerlifetime=1800) / ICMPv6NDOptMTU(mtu=1500) /
        ICMPv6NDOptPrefixInfo(prefix="2001:db8::", prefixlen=64, L=1, A=1, validlifetime=3600,
                              preferredlifetime=1800) /
        ICMPv6NDOptRDNSS(dns=["2001:db8::53"], lifetime=600),
        ETH / IP6 / ICMPv6ND_Redirect(tgt="fe80::9", dst="2001:db8::5"),
        ETH / IP6 / ICMPv6MLReport(mladdr="ff02::fb"),
        ETH / IP6 / ICMPv6MLQuery2(mladdr="ff02::fb", mrd=1000, QRV=2, QQIC=125, sources=["2001:db8::1"]),
        ETH / IP6 / ICMPv6MLReport2(records=[ICMPv6MLDMultAddrRec(rtype=4, dst="ff02::fb")]),
    ]),
    ("igmp", ETHERNET, [
        ETH / IP(src="10.2.0.1", dst="224.0.0.1", id=7, ttl=1) / IGMP(type=0x11, mrcode=100, gaddr="0.0.0.0"),
        ETH / IP(src="10.2.0.1", dst="224.0.0.251", id=7, ttl=1) / IGMP(type=0x16, mrcode=0, gaddr="224.0.0.251"),
        ETH / IP(src="10.2.0.1", dst="224.0.0.1", id=7, ttl=1) / IGMPv3(type=0x11, mrcode=100) / IGMPv3mq(
            gaddr="224.0.0.251", qrv=2, qqic=125, srcaddrs=["192.0.2.1"]),
        ETH / IP(src="10.2.0.1", dst="224.0.0.22", id=7, ttl=1) / IGMPv3(type=0x22) / IGMPv3mr(
            records=[IGMPv3gr(rtype=4, maddr="224.0.0.251"), IGMPv3gr(rtype=1, maddr="232.1.1.1",
                                                                      srcaddrs=["192.0.2.1"])]),
    ]),
    ("vlan", ETHERNET, [
        ETH / Dot1Q(vlan=5, prio=3) / IP4 / UDP(sport=1, dport=2),
        ETH / Dot1AD(vlan=5, type=0x8100) / Dot1Q(vlan=7, id=1) / IP4 / UDP(sport=1, dport=2),
        ETH / Dot1Q(vlan=1) / ARP(op=1, hwsrc="02:00:00:00:00:02", psrc="10.0.0.2", pdst="10.0.0.1"),
    ]),
    ("ethernet", ETHERNET, [
        Ether(dst="01:80:c2:00:00:00", src="02:00:00:00:00:02", type=38) / Raw(b"\x42\x42\x03" + bytes(35) + bytes(8)),
        Ether(dst="01:80:c2:00:00:0e", src="02:00:00:00:00:02", type=0x88cc) / Raw(b"lldp"),
        ETH / IP4 / Raw(b"of no known protocol"),
    ]),
    ("sll", SLL, [
        struct.pack("!3H8sH", 0, 1, 6, b"\2\0\0\0\0\2", 0x0800) + bytes(IP4 / UDP(sport=1, dport=2) / b"x"),
        struct.pack("!3H8sH", 4, 772, 6, bytes(8), 0x86dd) + bytes(IP6 / UDP(sport=1, dport=2) / b"x"),
        struct.pack("!3H8sH", 0, 824, 0, bytes(8), 0) + b"netlink",
    ]),
    ("sll2", SLL2, [
        struct.pack("!HHIHBB8s", 0x0800, 0, 2, 1, 0, 6, b"\2\0\0\0\0\2") + bytes(IP4 / UDP(sport=1, dport=2) / b"x"),
        struct.pack("!HHIHBB8s", 0x0806, 0, 2, 1, 1, 6, b"\2\0\0\0\0\2") + bytes(
            ARP(op=1, hwsrc="02:00:00:00:00:02", psrc="10.0.0.2", pdst="10.0.0.1")),
        struct.pack("!HHIHBB8s", 0x8100, 0, 2, 1, 0, 6, b"\2\0\0\0\0\2") + b"\0\5\x08\0" +
        bytes(IP4 / UDP(sport=1, dport=2)),
    ]),
    ("null", NULL, [
        struct.pack("<I", 2) + bytes(IP4 / UDP(sport=1, dport=2) / b"x"),
        struct.pack(">I", 2) + bytes(IP4 / UDP(sport=1, dport=2) / b"x"),
        struct.pack("<I", 30) + bytes(IP6 / UDP(sport=1, dport=2) / b"x"),
    ]),
    ("loop", LOOP, [struct.pack(">I", 24) + bytes(IP6 / UDP(sport=1, dport=2) / b"x")]),
    ("raw", RAW, [
        IP4 / UDP(sport=1, dport=2) / b"x",
        IP6 / UDP(sport=1, dport=2) / b"x",
    ]),
    ("sctp", ETHERNET, [ETH / IP4 / SCTP(sport=5000, dport=5001, tag=7) / SCTPChunkInit(init_tag=1, init_tsn=1)]),
    ("gre", ETHERNET, [
        ETH / IP4 / GRE() / IP(src="172.16.0.1", dst="172.16.0.2", id=8) / ICMP(id=1, seq=1),
        ETH / IP4 / GRE(chksum_present=1, key_present=1, key=42, seqnum_present=1, sequence_number=9) / IP6 /
        UDP(sport=1, dport=2),
        ETH / IP4 / GRE(proto=0x6558) / ETH / ARP(op=1, hwsrc="02:00:00:00:00:02", psrc="10.0.0.2", pdst="10.0.0.1"),
    ]),
    ("ip-in-ip", ETHERNET, [
        ETH / IP4 / IP(src="172.16.0.1", dst="172.16.0.2", id=8) / UDP(sport=1, dport=2) / b"x",
        ETH / IP4 / IP6 / UDP(sport=1, dport=2) / b"x",
        ETH / IP6 / IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1, dport=2) / b"x",
    ]),
    ("vxlan", ETHERNET, [
        udp(50000, 4789, VXLAN(vni=42, flags="Instance") / ETH / IP(src="172.16.0.1", dst="172.16.0.2", id=8) /
            TCP(sport=80, dport=2, seq=1) / b"HTTP/1.1 200 OK\r\n\r\n"),
    ]),
    ("dns", ETHERNET, [
        udp(40000, 53, dns(qd=DNSQR(qname="example.org", qtype="A"))),
        udp(53, 40000, dns(qr=1, ra=1, qd=DNSQR(qname="www.example.org"), an=chain(
            DNSRR(rrname="www.example.org", type="CNAME", ttl=60, rdata="example.org"),
            DNSRR(rrname="example.org", type="A", ttl=60, rdata="192.0.2.1")))),
        udp(53, 40000, dns(qr=1, ra=1, qd=DNSQR(qname="example.org", qtype="AAAA"), an=DNSRR(
            rrname="example.org", type="AAAA", ttl=60, rdata="2001:db8::1"))),
        udp(53, 40000, dns(qr=1, aa=1, qd=DNSQR(qname="example.org", qtype="MX"), an=chain(
            DNSRRMX(rrname="example.org", type="MX", preference=10, exchange="mail.example.org", ttl=5),
            DNSRR(rrname="example.org", type="TXT", ttl=5, rdata=[b"v=spf1", b"-all \x1b"]),
            DNSRR(rrname="example.org", type="NS", ttl=5, rdata="ns.example.org"),
            DNSRRSRV(rrname="_x._tcp.example.org", priority=1, weight=2, port=3, target="s.example.org", ttl=5)))),
        udp(53, 40000, dns(qr=1, rcode=3, qd=DNSQR(qname="nx.example.org"), ns=DNSRRSOA(
            rrname="example.org", mname="ns.example.org", rname="host.example.org", serial=1, refresh=2, retry=3,
            expire=4, minimum=5, ttl=6), ar=DNSRROPT(rclass=1232, z=0x8000))),
        udp(5353, 5353, dns(id=0, rd=0, qd=DNSQR(qname="_ipp._tcp.local", qtype="PTR", qclass=0x8001))),
        udp(53, 40000, dns(qr=1, qd=DNSQR(qname="1.2.0.192.in-addr.arpa", qtype="PTR"), an=DNSRR(
            rrname="1.2.0.192.in-addr.arpa", type="PTR", ttl=60, rdata="host.example.org"))),
        udp(53, 40000, b"\x12\x34\x81\x80\0\1\0\0\0\0\0\0\7exa.ple\2\xff\"\0\0\1\0\1"),
        tcp(40000, 53, sized(2, bytes(dns(qd=DNSQR(qname="example.org"))))),
    ]),
    ("dhcp", ETHERNET, [
        Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:00:00:00:02") / IP(src="0.0.0.0", dst="255.255.255.255", id=7) /
        UDP(sport=68, dport=67) / BOOTP(op=1, xid=0x3903f326, secs=2, flags=0x8000, chaddr=b"\2\0\0\0\0\2") /
        DHCP(options=[("message-type", "discover"), ("client_id", b"\1\2\0\0\0\0\2"), ("hostname", b"box"),
                      ("requested_addr", "10.0.0.5"), ("param_req_list", [1, 3, 6, 15]), "end"]),
        udp(67, 68, BOOTP(op=2, xid=0x3903f326, yiaddr="10.0.0.5", siaddr="10.0.0.1", chaddr=b"\2\0\0\0\0\2",
                          sname=b"server", file=b"boot.img") /
            DHCP(options=[("message-type", "ack"), ("server_id", "10.0.0.1"), ("lease_time", 3600),
                          ("subnet_mask", "255.255.255.0"), ("router", "10.0.0.1"),
                          ("name_server", "10.0.0.1", "10.0.0.2"), ("domain", b"lan"), "pad", "end"])),
    ]),
    ("ntp", ETHERNET, [
        udp(123, 123, NTP_REPLY),
        udp(40000, 123, b"\x16\x02\0\1" + bytes(8)),
    ]),
    ("tls", ETHERNET, [
        tcp(40000, 443, record(22, client_hello(), 0x0301)),
        tcp(443, 40000, record(22, server_hello()) + record(20, b"\1") + record(23, bytes(40))),
        tcp(443, 40000, record(21, b"\2\x28")),
        tcp(40000, 8443, record(22, client_hello(b"a\x1b\"b"))[:150]),
        tcp(40000, 443, record(23, bytes(300))[:200]),
    ]),
    ("http", ETHERNET, [
        tcp(38352, 8000, b"GET /index.html HTTP/1.1\r\nHost: localhost:8000\r\n\r\n"),
        tcp(8000, 38352, b"HTTP/1.0 404 File not found\r\nServer: x\r\n\r\n"),
        tcp(38352, 8000, b"POST /\x1b"),
    ]),
    ("quic", ETHERNET, [
        udp(40000, 443, quic(1, 0xc3, b"token")),
        udp(40000, 443, quic(0x6b3343cf, 0xd3)),
        udp(443, 40000, quic(1, 0xe3)),
        udp(443, 40000, b"\x80" + bytes(4) + sized(1, b"12345678") + sized(1, b"") + struct.pack("!2I", 1, 0x6b3343cf)),
        udp(443, 40000, b"\x40" + bytes(40)),
    ]),
    ("nested", ETHERNET, [nested(8), nested(9)]),
    ("malformed", ETHERNET, [
        Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02", type=0x0800) / Raw(
            bytes(IP4 / UDP(sport=1, dport=2))[:10]),
        ETH / IP(src="10.2.0.1", dst="10.9.0.2", id=7, len=600) / UDP(sport=1, dport=2) / b"x",
        ETH / IP(src="10.2.0.1", dst="10.9.0.2", id=7, ihl=4, chksum=0) / UDP(sport=1, dport=2),
        ETH / IP(src="10.2.0.1", dst="10.9.0.2", id=7, version=5) / UDP(sport=1, dport=2),
        ETH / IP4 / UDP(sport=1, dport=2, len=4),
        ETH / IP4 / UDP(sport=1, dport=2, len=600),
        ETH / IP4 / TCP(sport=1, dport=2, dataofs=4, seq=1),
        ETH / IP4 / TCP(sport=1, dport=2, dataofs=15, seq=1),
        ETH / IP4 / TCP(sport=1, dport=2, seq=1, dataofs=6) / Raw(b"\2\0\0\0"),
        ETH / IP4 / TCP(sport=1, dport=2, seq=1, dataofs=6) / Raw(b"\2\x14\0\0"),
        ETH / IP(src="10.2.0.1", dst="10.9.0.2", id=7, len=0) / TCP(sport=1, dport=2, seq=1) / b"offloaded",
        udp(53, 40000, b"\0\1\x80\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1"),
        udp(53, 40000, b"\0\1\x80\0\xff\xff\0\0\0\0\0\0"),
        ETH / Raw(b"\x08"),
    ]),
]


def packets_of(packets):
    for packet in packets:
        yield bytes(packet)


def pcap(link, packets):
    """A file of pcap's old form, little-endian, with times in nanoseconds."""
    out = [struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, link)]
    for number, data in enumerate(packets_of(packets)):
        out.append(struct.pack("<4I", FIRST_SECOND + number, 1000 * number, len(data), len(data)) + data)
    return b"".join(out)


def main():
    captures = HERE / "captures"
    for folder in (captures, CORPUS):
        folder.mkdir(parents=True, exist_ok=True)
    for name, link, packets in CAPTURES:
        (captures / f"{name}.pcap").write_bytes(pcap(link, packets))
        for number, data in enumerate(packets_of(packets)):
            head = bytes([LINKS.index(link) | 0x80, 0])
            (CORPUS / f"{name}-{number}").write_bytes(head + data)


if __name__ == "__main__":
    main()
