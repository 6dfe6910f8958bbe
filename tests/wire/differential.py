#!/usr/bin/python3
"""Compares what `sockeye sniff --json` says of a capture file with what tshark says, field by field.

    tests/wire/differential.py FILE...      any capture files, pcap or pcapng

The command is $SOCKEYE, or the one in build/, or the one in $PATH. Of each packet the headers of a protocol are paired
in their order, from outside to inside, and each field in FIELDS that either has must be the same in both. A packet
that either finds malformed or cut is compared as far as both have the header. Where the two differ because
they chose to, CHOICES says why. Prints of each file how many fields were compared, each difference that has no such
reason, and how often each reason was one. Exits with 1 where there is a difference without a reason.
"""

import argparse
import codecs
import collections
import datetime
import ipaddress
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

TSHARK = ["tshark", "-n", "-T", "pdml", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE",
          "-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.relative_sequence_numbers:FALSE",
          "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
          "-o", "sctp.checksum:crc-32c",
          "-d", "tcp.port==8000,http", "-d", "tcp.port==8443,tls"]


def number(text):
    return int(text, 0)


def boolean(text):
    return int(text, 0) if text[:1].isdigit() else int(text == "True")


def word(text):
    return text


def address(text):
    return str(ipaddress.ip_address(text))


def colons(text):
    return text.replace(":", "").replace(".", "").lower()


def string(text):
    return text.encode("latin-1", "backslashreplace").decode("unicode_escape")


def eights(text):
    return number(text) * 8


def quads(text):
    """A length in units of four bytes, none where it is not said."""
    return number(text) * 4 or None


def option(text):
    """The number of an option, none for padding and ends."""
    return number(text) if number(text) not in (0, 255) else None


def signed(text):
    """A byte of two's complement."""
    return (number(text) ^ 0x80) - 0x80


def name(text):
    return {"<Root>": "."}.get(text, text)


def unescaped(text):
    """A name of ours as tshark has it: without the escapes of RFC 1035, and what is not UTF-8 replaced."""
    plain = re.sub(r"\\(\d{3}|.)", lambda found: chr(int(found[1])) if len(found[1]) == 3 else found[1], text)
    return plain.encode("latin-1", "backslashreplace").decode(errors="each_byte")


def flag_letters(text):
    """TCP's flags as tcpdump's letters, of tshark's row of letters and dots."""
    theirs, ours = "FSRPAUECN", "FSRP.UEWe"
    return "".join(ours[theirs.index(c)] for c in reversed(text) if c in theirs) or "none"


def each_byte(error):
    return "\ufffd", error.start + 1


codecs.register_error("each_byte", each_byte)


def size_of(text):
    return len(bytes.fromhex(text))


def text_of(text):
    return bytes.fromhex(text).decode(errors="each_byte")


def says(text):
    """What a number means: our word must stand in tshark's explanation, or the word that it has for it."""
    return re.sub("[^a-z0-9]", "", text.lower())


def raw(text):
    """The bytes on the wire, where what tshark shows is more or less than them."""
    return int(text, 16)


def some(text):
    """A number that we show of some of several messages or options; the bytes of some of several options."""
    return number(text)


def inside(text):
    return text.lower()


def link(text):
    return {"1": "ethernet", "7": "raw", "15": "null", "25": "sll", "129": "ip", "130": "ip6", "174": "loop",
            "210": "sll2"}.get(text)


def above_version(text):
    return number(text) >> 3


def first_byte(text):
    return number(text) >> 8


def behind_tags(text):
    """An EtherType, none where it announces a tag."""
    return number(text) if number(text) not in (0x8100, 0x88a8, 0x9100) else None


def six_option(text):
    """The number of an option, none for a byte of padding."""
    return number(text) or None


def sum_is_good(text):
    return {"1": True, "0": False, "4": False, "2": None, "3": None}[text]


def sum_is_absent(text):
    return "none" if text == "3" else None


def seconds(text):
    """Our time and tshark's as nanoseconds."""
    if text.endswith(" UTC"):
        whole, fraction = text[:-4].split(".")
        moment = datetime.datetime.strptime(whole + " +0000", "%b %d, %Y %H:%M:%S %z")
        return int(moment.timestamp()) * 10**9 + int(fraction)
    if text.endswith("Z"):
        whole, fraction = text[:-1].split(".")
        moment = datetime.datetime.fromisoformat(whole + "+00:00")
        return int(moment.timestamp()) * 10**9 + int(fraction)
    whole, fraction = text.split(".")
    return int(whole) * 10**9 + int(fraction)


# Of each protocol: our path below it, tshark's names for it, and how tshark's values are read.
FIELDS = {
    "frame": [("number", "frame.number", number), ("len", "frame.len", number), ("caplen", "frame.cap_len", number),
              ("time", "frame.time_epoch", seconds), ("link", "frame.encap_type", link)],
    "eth": [("dst", "eth.dst", word), ("src", "eth.src", word), ("length", "eth.len", number),
            ("type", "eth.type", behind_tags)],
    "vlan": [("id", "vlan.id ieee8021ad.id", number), ("type", "vlan.etype ieee8021ad.etype", behind_tags)],
    "sll": [("type", "sll.pkttype", number), ("hw_type", "sll.hatype", number), ("src", "sll.src.eth", word),
            ("ifindex", "sll.ifindex", number), ("proto", "sll.etype sll.ltype", number)],
    "arp": [("hw_type", "arp.hw.type", number), ("proto_type", "arp.proto.type", number),
            ("hw_len", "arp.hw.size", number), ("proto_len", "arp.proto.size", number), ("op", "arp.opcode", number),
            ("sha", "arp.src.hw_mac", word), ("spa", "arp.src.proto_ipv4", word),
            ("tha", "arp.dst.hw_mac", word), ("tpa", "arp.dst.proto_ipv4", word)],
    "ip": [("version", "ip.version", number), ("hdr_len", "ip.hdr_len", number), ("tos", "ip.dsfield ip.tos", number),
           ("len", "ip.len", raw), ("id", "ip.id", number), ("df", "ip.flags.df", boolean),
           ("mf", "ip.flags.mf", boolean), ("frag_offset", "ip.frag_offset", eights), ("ttl", "ip.ttl", number),
           ("proto", "ip.proto", number), ("checksum", "ip.checksum", number),
           ("checksum_ok", "ip.checksum.status", sum_is_good), ("src", "ip.src", word), ("dst", "ip.dst", word),
           ("options.type", "ip.opt.type", option), ("options.pointer", "ip.opt.ptr", number),
           ("options.route", "ip.rec_rt ip.cur_rt ip.empty_rt ip.src_rt", word),
           ("options.overflow", "ip.opt.overflow", number), ("options.flag", "ip.opt.flag", number),
           ("options.stamps.address", "ip.opt.time_stamp_addr", word),
           ("options.stamps.time", "ip.opt.time_stamp", number),
           ("options.type_text", "ip.opt.type.number", says), ("options.value", "ip.opt.ra", number)],
    "ip6": [("version", "ipv6.version", number), ("tclass", "ipv6.tclass", number), ("flow", "ipv6.flow", number),
            ("plen", "ipv6.plen", number), ("next", "ipv6.nxt", number), ("hop_limit", "ipv6.hlim", number),
            ("src", "ipv6.src", address), ("dst", "ipv6.dst", address),
            ("ext.next", "ipv6.hopopts.nxt ipv6.dstopts.nxt ipv6.routing.nxt ipv6.fraghdr.nxt ah.next_header", number),
            ("ext.frag_offset", "ipv6.fraghdr.offset", eights), ("ext.mf", "ipv6.fraghdr.more", boolean),
            ("ext.id", "ipv6.fraghdr.ident", number), ("ext.routing_type", "ipv6.routing.type", number),
            ("ext.segments_left", "ipv6.routing.segleft", number),
            ("ext.addresses", "ipv6.routing.src.addr", address), ("ext.spi", "ah.spi", number),
            ("ext.seq", "ah.sequence", number), ("ext.options.type", "ipv6.opt.type", six_option),
            ("ext.options.value", "ipv6.opt.router_alert", number),
            ("ext.type", "ext.type", number), ("ext.type_text", "ext.type", says),
            ("ext.len", "ext.len", number), ("ext.options.type_text", "ipv6.opt.type", says)],
    "icmp": [("type", "icmp.type", number), ("code", "icmp.code", number), ("checksum", "icmp.checksum", number),
             ("id", "icmp.ident", number), ("seq", "icmp.seq", number), ("gateway", "icmp.redir_gw", word),
             ("mtu", "icmp.mtu", number), ("pointer", "icmp.pointer", number),
             ("mask", "icmp.address_mask", address), ("checksum_ok", "icmp.checksum.status", sum_is_good),
             ("originate", "icmp.originate_timestamp", number), ("receive", "icmp.receive_timestamp", number),
             ("transmit", "icmp.transmit_timestamp", number), ("lifetime", "icmp.lifetime", number),
             ("length", "icmp.length", quads), ("routers.address", "icmp.router_address", word),
             ("routers.preference", "icmp.pref_level", number)],
    "icmp6": [("type", "icmpv6.type", number), ("code", "icmpv6.code", number), ("checksum", "icmpv6.checksum", number),
              ("id", "icmpv6.echo.identifier", number), ("seq", "icmpv6.echo.sequence_number", number),
              ("mtu", "icmpv6.mtu", number), ("cur_hop_limit", "icmpv6.nd.ra.cur_hop_limit", number),
              ("managed", "icmpv6.nd.ra.flag.m", boolean), ("other", "icmpv6.nd.ra.flag.o", boolean),
              ("router_lifetime", "icmpv6.nd.ra.router_lifetime", number),
              ("reachable_time", "icmpv6.nd.ra.reachable_time", number),
              ("retrans_timer", "icmpv6.nd.ra.retrans_timer", number),
              ("router", "icmpv6.nd.na.flag.r", boolean), ("solicited", "icmpv6.nd.na.flag.s", boolean),
              ("override", "icmpv6.nd.na.flag.o", boolean),
              ("target", "icmpv6.nd.ns.target_address icmpv6.nd.na.target_address "
               "icmpv6.nd.rd.target_address", address),
              ("destination", "icmpv6.rd.na.destination_address", address),
              ("options.type", "icmpv6.opt.type", number), ("options.prefix", "icmpv6.opt.prefix", address),
              ("options.prefix_len", "icmpv6.opt.prefix.length", number),
              ("options.valid_lifetime", "icmpv6.opt.prefix.valid_lifetime", number),
              ("options.preferred_lifetime", "icmpv6.opt.prefix.preferred_lifetime", number),
              ("options.mtu", "icmpv6.opt.mtu", number), ("options.servers", "icmpv6.opt.rdnss", address),
              ("options.lifetime", "icmpv6.opt.rdnss.lifetime", number),
              ("options.address", "icmpv6.opt.linkaddr", word),
              ("options.on_link", "icmpv6.opt.prefix.flag.l", boolean),
              ("options.autonomous", "icmpv6.opt.prefix.flag.a", boolean),
              ("options.type_text", "icmpv6.opt.type", says), ("pointer", "icmpv6.pointer", number),
              ("checksum_ok", "icmpv6.checksum.status", sum_is_good),
              ("group records.group", "icmpv6.mld.multicast_address icmpv6.mldr.mar.multicast_address", address),
              ("max_delay", "icmpv6.mld.maximum_response_delay icmpv6.mld.maximum_response_code", number),
              ("suppress", "icmpv6.mld.flag.s", boolean), ("qrv", "icmpv6.mld.flag.qrv", number),
              ("qqic", "icmpv6.mld.qqi", number),
              ("sources records.sources", "icmpv6.mld.source_address icmpv6.mldr.mar.source_address", address),
              ("records.type", "icmpv6.mldr.mar.record_type", number),
              ("records.type_text", "icmpv6.mldr.mar.record_type", says)],
    "igmp": [("type", "igmp.type", number), ("checksum", "igmp.checksum", number),
             ("records.type", "igmp.record_type", number), ("sources records.sources", "igmp.saddr", word),
             ("checksum_ok", "igmp.checksum.status", sum_is_good), ("max_resp", "igmp.max_resp", number),
             ("group records.group", "igmp.maddr", word), ("suppress", "igmp.s", boolean), ("qrv", "igmp.qrv", number),
             ("qqic", "igmp.qqic", number), ("records.type_text", "igmp.record_type", says)],
    "tcp": [("src_port", "tcp.srcport", number), ("dst_port", "tcp.dstport", number), ("seq", "tcp.seq", number),
            ("ack", "tcp.ack", number), ("hdr_len", "tcp.hdr_len", number), ("flags", "tcp.flags", number),
            ("window", "tcp.window_size_value", number), ("checksum", "tcp.checksum", number),
            ("checksum_ok", "tcp.checksum.status", sum_is_good), ("urgent", "tcp.urgent_pointer", number),
            ("options.kind", "tcp.option_kind", option), ("options.mss", "tcp.options.mss_val", number),
            ("options.shift", "tcp.options.wscale.shift", number),
            ("options.tsval", "tcp.options.timestamp.tsval", number),
            ("options.tsecr", "tcp.options.timestamp.tsecr", number),
            ("options.blocks.left", "tcp.options.sack_le", number),
            ("options.blocks.right", "tcp.options.sack_re", number),
            ("options.cookie", "tcp.options.tfo.cookie", colons),
            ("options.minutes", "tcp.options.user_to_granularity", boolean),
            ("options.timeout", "tcp.options.user_to_val", number), ("options.kind_text", "tcp.option_kind", says),
            ("options.subtype", "tcp.options.mptcp.subtype", number), ("options.data", "tcp.options", inside),
            ("flags_text", "tcp.flags.str", flag_letters)],
    "udp": [("src_port", "udp.srcport", number), ("dst_port", "udp.dstport", number), ("len", "udp.length", number),
            ("checksum", "udp.checksum", number), ("checksum_ok", "udp.checksum.status", sum_is_good),
            ("checksum_text", "udp.checksum.status", sum_is_absent)],
    "sctp": [("src_port", "sctp.srcport", number), ("dst_port", "sctp.dstport", number),
             ("vtag", "sctp.verification_tag", number), ("checksum", "sctp.checksum", number),
             ("checksum_ok", "sctp.checksum.status", sum_is_good)],
    "gre": [("proto", "gre.proto", number), ("key", "gre.key", number), ("seq", "gre.sequence_number", number),
            ("checksum", "gre.checksum", number), ("checksum_ok", "gre.checksum.status", sum_is_good),
            ("flags", "gre.flags_and_version", above_version), ("version", "gre.flags.version", number),
            ("offset", "gre.offset", number)],
    "vxlan": [("vni", "vxlan.vni", number), ("flags", "vxlan.flags", first_byte)],
    "dns": [("id", "dns.id", number), ("qr", "dns.flags.response", boolean), ("opcode", "dns.flags.opcode", number),
            ("tc", "dns.flags.truncated", boolean), ("rd", "dns.flags.recdesired", boolean),
            ("qdcount", "dns.count.queries", number), ("ancount", "dns.count.answers", number),
            ("nscount", "dns.count.auth_rr", number), ("arcount", "dns.count.add_rr", number),
            ("aa", "dns.flags.authoritative", boolean), ("ra", "dns.flags.recavail", boolean),
            ("ad", "dns.flags.authenticated", boolean), ("cd", "dns.flags.checkdisable", boolean),
            ("rcode", "dns.flags.rcode", number), ("rcode_text", "dns.flags.rcode", says),
            ("length", "dns.length", number),
            ("questions.name", "dns.qry.name", name), ("questions.type", "dns.qry.type", number),
            ("questions.class", "dns.qry.class", raw), ("questions.type_text", "dns.qry.type", says),
            *[(" ".join(f"{section}.{field}" for section in ("answers", "authorities", "additionals")), theirs, read)
              for field, theirs, read in (
                  ("name", "dns.resp.name", name), ("type", "dns.resp.type", number),
                  ("type_text", "dns.resp.type", says), ("class", "dns.resp.class", raw),
                  ("ttl", "dns.resp.ttl", number), ("rdlength", "dns.resp.len", number),
                  ("address", "dns.a dns.aaaa", address), ("cname", "dns.cname", name), ("nsdname", "dns.ns", name),
                  ("ptrdname", "dns.ptr.domain_name", name), ("preference", "dns.mx.preference", number),
                  ("exchange", "dns.mx.mail_exchange", name), ("priority", "dns.srv.priority", number),
                  ("weight", "dns.srv.weight", number), ("port", "dns.srv.port", number),
                  ("target", "dns.srv.target", name), ("mname", "dns.soa.mname", name),
                  ("rname", "dns.soa.rname", name), ("serial", "dns.soa.serial_number", number),
                  ("refresh", "dns.soa.refresh_interval", number), ("retry", "dns.soa.retry_interval", number),
                  ("expire", "dns.soa.expire_limit", number), ("minimum", "dns.soa.minimum_ttl", number),
                  ("txt", "dns.txt", string))],
            ("additionals.udp_size", "dns.rr.udp_payload_size", number),
            ("additionals.extended_rcode", "dns.resp.ext_rcode", number),
            ("additionals.edns_version", "dns.resp.edns0_version", number),
            ("additionals.do", "dns.resp.z.do", boolean)],
    "dhcp": [("op", "dhcp.type", number), ("htype", "dhcp.hw.type", number), ("hlen", "dhcp.hw.len", number),
             ("hops", "dhcp.hops", number), ("xid", "dhcp.id", number), ("secs", "dhcp.secs", number),
             ("flags", "dhcp.flags", number), ("ciaddr", "dhcp.ip.client", word), ("yiaddr", "dhcp.ip.your", word),
             ("siaddr", "dhcp.ip.server", word), ("giaddr", "dhcp.ip.relay", word),
             ("chaddr", "dhcp.hw.mac_addr", word), ("sname", "dhcp.server", word), ("file", "dhcp.file", word),
             ("options.code", "dhcp.option.type", option), ("options.code_text", "dhcp.option.type", says),
             ("options.value", "dhcp.option.dhcp dhcp.option.ip_address_lease_time", number),
             ("options.value_text", "dhcp.option.dhcp", says),
             ("options.addresses", "dhcp.option.requested_ip_address dhcp.option.dhcp_server_id "
              "dhcp.option.subnet_mask dhcp.option.router dhcp.option.domain_name_server", word),
             ("options.text", "dhcp.option.hostname dhcp.option.domain_name", string),
             ("options.data", "dhcp.option.value", inside)],
    "ntp": [("leap", "ntp.flags.li", number), ("version", "ntp.flags.vn", number), ("mode", "ntp.flags.mode", number),
            ("stratum", "ntp.stratum", number), ("reference_id", "ntp.refid", colons),
            ("poll", "ntp.ppoll", number), ("precision", "ntp.precision", signed),
            ("root_delay", "ntp.rootdelay", number), ("root_dispersion", "ntp.rootdispersion", number),
            ("reference", "ntp.reftime", seconds), ("origin", "ntp.org", seconds),
            ("receive", "ntp.rec", seconds), ("transmit", "ntp.xmt", seconds)],
    "tls": [("records.type", "tls.record.content_type tls.record.opaque_type", number),
            ("records.version", "tls.record.version", number),
            ("records.len", "tls.record.length", number), ("sni", "tls.handshake.extensions_server_name", string),
            ("alpn", "tls.handshake.extensions_alpn_str", word),
            ("records.handshakes.type", "tls.handshake.type", number),
            ("records.handshakes.len", "tls.handshake.length", number),
            ("records.handshakes.version", "tls.handshake.version", number),
            ("records.handshakes.type_text", "tls.handshake.type", says),
            ("records.handshakes.cipher_suite", "tls.handshake.ciphersuite", some),
            ("selected_version", "tls.handshake.extensions.supported_version", some),
            ("records.type_text", "tls.record.content_type tls.record.opaque_type", says),
            ("records.level", "tls.alert_message.level", number),
            ("records.level_text", "tls.alert_message.level", says),
            ("records.description", "tls.alert_message.desc", number),
            ("records.description_text", "tls.alert_message.desc", says)],
    "http": [("method", "http.request.method", word), ("target", "http.request.uri", string),
             ("version", "http.request.version http.response.version", word), ("status", "http.response.code", number),
             ("reason", "http.response.phrase", word)],
    "quic": [("version", "quic.version", number), ("dcid", "quic.dcid", colons), ("scid", "quic.scid", colons),
             ("versions", "quic.supported_version", number),
             ("type", "quic.long.packet_type quic.long.packet_type_v2", number),
             ("type_text", "quic.long.packet_type quic.long.packet_type_v2", says),
             ("token", "quic.token", colons), ("length", "quic.length", number)],
    "payload": [("len", "payload", size_of), ("text", "payload", text_of)],
}
# Our word for what tshark calls otherwise.
WORDS = {"FORMERR": "format error", "NXDOMAIN": "no such name", "SERVFAIL": "server failure",
         "dns-servers": "domain name server", "loose-route": "loose source route", "mptcp": "multipath tcp",
         "padding": "padn", "strict-route": "strict source route", "mss": "maximum segment size", "nop": "no-operation",
         "parameter-list": "parameter request list", "rdnss": "recursive dns server", "routers": "router",
         "timestamps": "timestamp", "wscale": "window scale"}
# What we leave out where tshark does not: sums of what is not whole, words that are not known, no EtherType.
UNASKED = (sum_is_good, says, some, inside, behind_tags)
# Where a reader's text stands in an element of tshark's PDML, if not in "show".
PLACES = {says: ("showname",), raw: ("unmaskedvalue", "value"), inside: ("value",)}
OURS = {seconds: seconds, name: unescaped}  # what is done with our values before they are compared
HIDDEN = ("ip.opt.type", "dhcp.option.value")  # what tshark hides and we compare
# What tshark shows in some packets only: answers' flags in answers.
SOMETIMES = ("dns.flags.authoritative", "dns.flags.recavail", "dns.flags.authenticated", "dns.flags.rcode",
             "eth.type", "igmp.max_resp")
THEIR_NAME = {"ipv6": "ip6", "icmpv6": "icmp6", "mdns": "dns", "llmnr": "dns", "ieee8021ad": "vlan"}
# Parts of IPv6's header, with their numbers; and of TCP's.
EXTENSIONS = {"ipv6.hopopts": 0, "ipv6.routing": 43, "ipv6.fraghdr": 44, "ah": 51, "ipv6.dstopts": 60}
PAYLOADS = ("tcp.payload", "udp.payload", "data.data")
FIRST_ONLY = ("dhcp.hw.type", "dhcp.hw.mac_addr")  # a client's identifier has them once more




def routed(packet):
    """Whether a source route is among the options (RFC 791)."""
    return any(option["type"] in (131, 137) for option in packet.get("ip", {}).get("options", ()))


def malformed(packet):
    return "malformed" in packet


# Where the two differ because they chose to: fields, in which packets, and why.
CHOICES = [
    (("ip.dst", "ip.options.route"), routed,
     "the header and the option as they are on the wire; tshark shows the route's last address as the destination"),
    (("payload.len", "payload.text"), malformed,
     "behind a header that is wrong, or eight tunnels, nothing is read, and all of it is payload"),
]


def reason(field, packet):
    return next((why for fields, where, why in CHOICES if field in fields and where(packet)), None)


# ---- what we say ----

def our_layers(packet):
    """The headers of a packet's object, from outside to inside: pairs of name and fields."""
    for name, value in packet.items():
        if name == "vlan":
            yield name, {"id": value, "type": packet.get("eth", {}).get("type")}
        elif name in FIELDS:
            yield name, value
    for name in ("inner", "quoted"):
        if name in packet:
            yield from our_layers(packet[name])


def values_at(value, path):
    """The values at a path, all of them where lists are on the way."""
    if isinstance(value, list):
        return [found for element in value for found in values_at(element, path)]
    if not path:
        return [value]
    if not isinstance(value, dict) or path[0] not in value:
        return []
    return values_at(value[path[0]], path[1:])


def paths(packet):
    """The paths of all values of a packet's object, each with its protocol before it."""
    def below(value, path):
        if isinstance(value, list):
            return {found for element in value for found in below(element, path)}
        if isinstance(value, dict):
            return {found for name, element in value.items() for found in below(element, f"{path}.{name}")}
        return {path}
    return {path for name, fields in our_layers(packet) if name != "vlan" for path in below(fields, name)}


# ---- what tshark says ----

def their_layers(packet):
    """The same of a packet's element: pairs of our name and the element, a tag or a tunnel's header each."""
    for proto in packet.iter("proto"):
        name = THEIR_NAME.get(proto.get("name"), proto.get("name"))
        if name in FIELDS:
            yield name, proto
    carried = [field.get("value") for field in packet.iter("field") if field.get("name") in PAYLOADS]
    if carried:  # ping's payload begins with its time, which stands apart
        times = [field.get("value") for field in packet.iter("field") if field.get("name") == "icmp.data_time"]
        payload = ElementTree.Element("proto")
        ElementTree.SubElement(payload, "field", name="payload", show="".join(times + carried[-1:]))
        yield "payload", payload


def fields_of(proto):
    """The fields of a header, without those of headers in it, and without what tshark made up or repeats."""
    for child in proto:
        if child.tag == "field":
            if child.get("name") == "dns.srv.service":  # a name that tshark takes apart
                yield from server_name(proto)
            elif child.get("hide") != "yes" or child.get("name") in HIDDEN:
                yield child
            yield from fields_of(child)
        elif child.get("name") in EXTENSIONS:
            yield ElementTree.Element("field", name="ext.type", show=str(EXTENSIONS[child.get("name")]),
                                      showname=child.get("showname"))
            yield ElementTree.Element("field", name="ext.len", show=child.get("size"))
            yield from fields_of(child)
        elif child.get("name") == "mptcp":
            yield from fields_of(child)


def server_name(record):
    """The name of an SRV record (RFC 2782), of which tshark has three parts."""
    parts = [field.get("show") for part in ("service", "proto", "name") for field in record
             if field.get("name") == f"dns.srv.{part}"]
    yield ElementTree.Element("field", name="dns.resp.name", show=".".join(parts))


def their_values(proto, names, read):
    places = PLACES.get(read, ("show",))
    found = [next((field.get(place) for place in places if field.get(place) is not None), None)
             for field in fields_of(proto) if field.get("name") in names.split()]
    found = [text for text in found if text is not None]
    return found[:1] if names in FIRST_ONLY else found


def has_a_field(name, proto):
    """Whether a header of theirs has any that we compare: what goes on from an earlier packet has none."""
    return any(their_values(proto, names, read) for _, names, read in FIELDS[name])


# ---- comparing ----

def pairs(ours, theirs):
    """Headers of the same name, each of ours with that of theirs which stands at its place."""
    their_names = {}
    for name, proto in theirs:
        their_names.setdefault(name, []).append(proto)
    if "vlan" in their_names:  # ours is one list of tags
        yield "vlan", {"id": next(layer["id"] for name, layer in ours if name == "vlan")}, their_names.pop("vlan")
    for name, layer in ours:
        if their_names.get(name):
            yield name, layer, [their_names[name].pop(0)]


def agree(mine, their, read):
    if read is says:  # ours leaves out what has no word; each of ours, in this order
        left = iter(their)
        return all(any(says(WORDS.get(text, text)) in said for said in left) for text in mine)
    if read is some:
        left = iter(their)
        return all(value in left for value in mine)
    if read is inside:
        return all(any(text in said for said in their) for text in mine)
    return mine == their


def differences(number_, ours, theirs, whole):
    """Yields how many values of a field were compared, its name ("" for a whole header), and what differs, or
    None."""
    our_list, their_list = list(our_layers(ours)), list(their_layers(theirs))
    seen = sorted({name for name, proto in their_list if has_a_field(name, proto)} - {name for name, _ in our_list})
    if whole and seen:
        yield 0, "", f"packet {number_}: tshark sees {', '.join(seen)}"
    for name, layer, protos in pairs(our_list, their_list):
        for path, names, read in FIELDS[name]:
            mine = [value for way in path.split() for value in values_at(layer, way.split("."))]
            mine = [OURS[read](value) if read in OURS else value for value in mine
                    if value not in (None, "", "unfinished")]  # of these only we know
            their = [read(show) for proto in protos for show in their_values(proto, names, read)]
            their = [value for value in their if value not in (None, "")]
            if not their and names in SOMETIMES:
                continue
            if not mine and (not their or read in UNASKED):
                continue
            text = f"packet {number_}: {name}.{path} is {mine}, tshark has {their} in {names}"
            yield max(len(mine), len(their)), f"{name}.{path.split()[0]}", text if not agree(mine, their, read) and (
                whole or (mine and their)) else None


# What compare() gives: how many values were compared, and what differs, each a packet's number, a field's name and
# words; and of what differs by choice the reason in their place.
Compared = collections.namedtuple("Compared", "count wrong chosen")


def compare(path, sockeye):
    lines = subprocess.run([sockeye, "sniff", "--json", "--verify", "--quiet", "-r", path], check=True,
                           stdout=subprocess.PIPE).stdout
    with open(path, "rb") as file:  # by standard input: tshark may have given up the right to open it
        pdml = subprocess.run([*TSHARK, "-r", "-"], check=True, stdin=file, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout
    ours = [json.loads(line) for line in lines.splitlines()]
    theirs = ElementTree.fromstring(pdml).findall("packet")
    count, wrong, chosen = 0, [], []
    if len(ours) != len(theirs):
        wrong.append((0, "", f"{len(ours)} packets, tshark has {len(theirs)}"))
    for number_, (packet, element) in enumerate(zip(ours, theirs), 1):
        broken = "malformed" in packet or "truncated" in packet or any(
            proto.get("name") == "_ws.malformed" for proto in element.iter("proto"))
        for compared, field, text in differences(number_, packet, element, not broken):
            count += compared
            why = text and reason(field, packet)
            if why:
                chosen.append((number_, field, why))
            elif text:
                wrong.append((number_, field, text))
    return Compared(count, wrong, chosen)


def command():
    built = pathlib.Path(__file__).resolve().parents[2] / "build/cmd/sockeye"
    return os.environ.get("SOCKEYE") or (str(built) if built.exists() else shutil.which("sockeye"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="FILE")
    files = parser.parse_args().files
    for program, what in ((command(), "sockeye: build it, or say where it is in $SOCKEYE"),
                          (shutil.which("tshark"), "tshark")):
        if not program:
            parser.error(f"there is no {what}")
    failed = False
    for path in files:
        told = compare(path, command())
        print(f"{path}: {told.count} fields compared, {len(told.wrong)} differ, {len(told.chosen)} by choice")
        for _, _, text in told.wrong:
            print(f"    {text}")
        for why, times in collections.Counter(why for _, _, why in told.chosen).items():
            print(f"    by choice, {times} times: {why}")
        failed = failed or bool(told.wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main())
