#!/usr/bin/python3
"""Compares what `sockeye sniff --json` says of a capture file with what tshark says, field by field.

    tests/wire/differential.py FILE...      any capture files; $SOCKEYE is the command

Of each packet the headers of a protocol are paired in their order, from outside to inside, and each field in
FIELDS that either has must be the same in both. A packet that either finds malformed or cut is compared as
far as both have the header. Prints each difference, and at the end how many fields were compared.
"""

import datetime
import ipaddress
import json
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

TSHARK = ["tshark", "-n", "-T", "pdml", "-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE",
          "-o", "tcp.desegment_tcp_streams:FALSE", "-o", "tcp.relative_sequence_numbers:FALSE",
          "-o", "tcp.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE",
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


def option(text):
    """The number of an option, none for padding and ends."""
    return number(text) if number(text) not in (0, 255) else None


def sum_is_good(text):
    return {"1": True, "0": False, "2": None, "3": None}[text]


def seconds(text):
    """Our time and tshark's as nanoseconds."""
    if text.endswith("Z"):
        whole, fraction = text[:-1].split(".")
        moment = datetime.datetime.fromisoformat(whole + "+00:00")
        return int(moment.timestamp()) * 10**9 + int(fraction)
    whole, fraction = text.split(".")
    return int(whole) * 10**9 + int(fraction)


# Of each protocol: our path below it, tshark's names for it, and how tshark's values are read.
FIELDS = {
    "frame": [("number", "frame.number", number), ("len", "frame.len", number), ("caplen", "frame.cap_len", number),
              ("time", "frame.time_epoch", seconds)],
    "eth": [("dst", "eth.dst", word), ("src", "eth.src", word), ("length", "eth.len", number)],
    "vlan": [("id", "vlan.id ieee8021ad.id", number)],
    "sll": [("type", "sll.pkttype", number), ("hw_type", "sll.hatype", number), ("src", "sll.src.eth", word),
            ("ifindex", "sll.ifindex", number), ("proto", "sll.etype sll.ltype", number)],
    "arp": [("hw_type", "arp.hw.type", number), ("proto_type", "arp.proto.type", number),
            ("hw_len", "arp.hw.size", number), ("proto_len", "arp.proto.size", number), ("op", "arp.opcode", number),
            ("sha", "arp.src.hw_mac", word), ("spa", "arp.src.proto_ipv4", word),
            ("tha", "arp.dst.hw_mac", word), ("tpa", "arp.dst.proto_ipv4", word)],
    "ip": [("version", "ip.version", number), ("hdr_len", "ip.hdr_len", number), ("tos", "ip.dsfield ip.tos", number),
           ("len", "ip.len", number), ("id", "ip.id", number), ("df", "ip.flags.df", boolean),
           ("mf", "ip.flags.mf", boolean), ("frag_offset", "ip.frag_offset", eights), ("ttl", "ip.ttl", number),
           ("proto", "ip.proto", number), ("checksum", "ip.checksum", number),
           ("checksum_ok", "ip.checksum.status", sum_is_good), ("src", "ip.src", word), ("dst", "ip.dst", word),
           ("options.type", "ip.opt.type", option)],
    "ip6": [("version", "ipv6.version", number), ("tclass", "ipv6.tclass", number), ("flow", "ipv6.flow", number),
            ("plen", "ipv6.plen", number), ("next", "ipv6.nxt", number), ("hop_limit", "ipv6.hlim", number),
            ("src", "ipv6.src", address), ("dst", "ipv6.dst", address)],
    "icmp": [("type", "icmp.type", number), ("code", "icmp.code", number), ("checksum", "icmp.checksum", number),
             ("id", "icmp.ident", number), ("seq", "icmp.seq", number), ("gateway", "icmp.redir_gw", word),
             ("mtu", "icmp.mtu", number), ("pointer", "icmp.pointer", number),
             ("mask", "icmp.address_mask", address)],
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
              ("options.mtu", "icmpv6.opt.mtu", number), ("options.servers", "icmpv6.opt.rdnss", address)],
    "igmp": [("type", "igmp.type", number), ("checksum", "igmp.checksum", number),
             ("records.type", "igmp.record_type", number), ("sources records.sources", "igmp.saddr", word)],
    "tcp": [("src_port", "tcp.srcport", number), ("dst_port", "tcp.dstport", number), ("seq", "tcp.seq", number),
            ("ack", "tcp.ack", number), ("hdr_len", "tcp.hdr_len", number), ("flags", "tcp.flags", number),
            ("window", "tcp.window_size_value", number), ("checksum", "tcp.checksum", number),
            ("checksum_ok", "tcp.checksum.status", sum_is_good), ("urgent", "tcp.urgent_pointer", number),
            ("options.kind", "tcp.option_kind", option), ("options.mss", "tcp.options.mss_val", number),
            ("options.shift", "tcp.options.wscale.shift", number),
            ("options.tsval", "tcp.options.timestamp.tsval", number),
            ("options.tsecr", "tcp.options.timestamp.tsecr", number),
            ("options.blocks.left", "tcp.options.sack_le", number),
            ("options.blocks.right", "tcp.options.sack_re", number)],
    "udp": [("src_port", "udp.srcport", number), ("dst_port", "udp.dstport", number), ("len", "udp.length", number),
            ("checksum", "udp.checksum", number), ("checksum_ok", "udp.checksum.status", sum_is_good)],
    "sctp": [("src_port", "sctp.srcport", number), ("dst_port", "sctp.dstport", number),
             ("vtag", "sctp.verification_tag", number), ("checksum", "sctp.checksum", number)],
    "gre": [("proto", "gre.proto", number), ("key", "gre.key", number), ("seq", "gre.sequence_number", number),
            ("checksum", "gre.checksum", number)],
    "vxlan": [("vni", "vxlan.vni", number)],
    "dns": [("id", "dns.id", number), ("qr", "dns.flags.response", boolean), ("opcode", "dns.flags.opcode", number),
            ("tc", "dns.flags.truncated", boolean), ("rd", "dns.flags.recdesired", boolean),
            ("qdcount", "dns.count.queries", number), ("ancount", "dns.count.answers", number),
            ("nscount", "dns.count.auth_rr", number), ("arcount", "dns.count.add_rr", number),
            ("questions.name", "dns.qry.name", word), ("questions.type", "dns.qry.type", number),
            ("answers.address", "dns.a dns.aaaa", address), ("answers.cname", "dns.cname", word),
            ("answers.nsdname", "dns.ns", word), ("answers.ptrdname", "dns.ptr.domain_name", word),
            ("answers.preference", "dns.mx.preference", number), ("answers.exchange", "dns.mx.mail_exchange", word),
            ("answers.port", "dns.srv.port", number), ("answers.target", "dns.srv.target", word),
            ("authorities.mname", "dns.soa.mname", word), ("authorities.rname", "dns.soa.rname", word),
            ("authorities.serial", "dns.soa.serial_number", number),
            ("authorities.minimum", "dns.soa.minimum_ttl", number)],
    "dhcp": [("op", "dhcp.type", number), ("htype", "dhcp.hw.type", number), ("hlen", "dhcp.hw.len", number),
             ("hops", "dhcp.hops", number), ("xid", "dhcp.id", number), ("secs", "dhcp.secs", number),
             ("flags", "dhcp.flags", number), ("ciaddr", "dhcp.ip.client", word), ("yiaddr", "dhcp.ip.your", word),
             ("siaddr", "dhcp.ip.server", word), ("giaddr", "dhcp.ip.relay", word),
             ("chaddr", "dhcp.hw.mac_addr", word), ("options.code", "dhcp.option.type", option)],
    "ntp": [("leap", "ntp.flags.li", number), ("version", "ntp.flags.vn", number), ("mode", "ntp.flags.mode", number),
            ("stratum", "ntp.stratum", number), ("reference_id", "ntp.refid", colons)],
    "tls": [("records.type", "tls.record.content_type tls.record.opaque_type", number),
            ("records.version", "tls.record.version", number),
            ("records.len", "tls.record.length", number), ("sni", "tls.handshake.extensions_server_name", string),
            ("alpn", "tls.handshake.extensions_alpn_str", word),
            ("records.handshakes.type", "tls.handshake.type", number)],
    "http": [("method", "http.request.method", word), ("target", "http.request.uri", string),
             ("version", "http.request.version http.response.version", word), ("status", "http.response.code", number),
             ("reason", "http.response.phrase", word)],
    "quic": [("version", "quic.version", number), ("dcid", "quic.dcid", colons), ("scid", "quic.scid", colons),
             ("versions", "quic.supported_version", number)],
}
THEIR_NAME = {"ipv6": "ip6", "icmpv6": "icmp6", "mdns": "dns", "llmnr": "dns", "ieee8021ad": "vlan"}
FIRST_ONLY = ("dhcp.hw.type", "dhcp.hw.mac_addr")  # a client's identifier has them once more


# ---- what we say ----

def our_layers(packet):
    """The headers of a packet's object, from outside to inside: pairs of name and fields."""
    for name, value in packet.items():
        if name == "vlan":
            yield name, {"id": value}
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


# ---- what tshark says ----

def their_layers(packet):
    """The same of a packet's element: pairs of our name and the element, a tag or a tunnel's header each."""
    for proto in packet.iter("proto"):
        name = THEIR_NAME.get(proto.get("name"), proto.get("name"))
        if name in FIELDS:
            yield name, proto


def fields_of(proto):
    """The fields of a header, without those of headers in it, and without what tshark made up or repeats."""
    for child in proto:
        if child.tag == "field":
            if child.get("hide") != "yes" or child.get("name") == "ip.opt.type":
                yield child
            yield from fields_of(child)


def their_values(proto, names):
    found = [field.get("show") for field in fields_of(proto) if field.get("name") in names.split()]
    return found[:1] if names in FIRST_ONLY else found


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


def differences(number_, ours, theirs, whole):
    """Yields how many values of a field were compared, its name ("" for a whole header), and what differs, or
    None."""
    our_list, their_list = list(our_layers(ours)), list(their_layers(theirs))
    seen = sorted({name for name, _ in their_list} - {name for name, _ in our_list})
    if whole and seen:
        yield 0, "", f"packet {number_}: tshark sees {', '.join(seen)}"
    for name, layer, protos in pairs(our_list, their_list):
        for path, names, read in FIELDS[name]:
            mine = [value for way in path.split() for value in values_at(layer, way.split("."))]
            mine = [seconds(value) if read is seconds else value for value in mine if value not in (None, "")]
            their = [read(show) for proto in protos for show in their_values(proto, names)]
            their = [value for value in their if value is not None]
            if not mine and (not their or read is sum_is_good):  # we verify only what is whole
                continue
            text = f"packet {number_}: {name}.{path} is {mine}, tshark has {their} in {names}"
            yield max(len(mine), len(their)), f"{name}.{path}", text if mine != their and (
                whole or (mine and their)) else None


def compare(path, sockeye):
    """The number of values that were compared, and what differs: triples of packet, field and words."""
    lines = subprocess.run([sockeye, "sniff", "--json", "--verify", "--quiet", "-r", path], check=True,
                           stdout=subprocess.PIPE).stdout
    with open(path, "rb") as file:  # by standard input: tshark may have given up the right to open it
        pdml = subprocess.run([*TSHARK, "-r", "-"], check=True, stdin=file, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout
    ours = [json.loads(line) for line in lines.splitlines()]
    theirs = ElementTree.fromstring(pdml).findall("packet")
    count, wrong = 0, []
    if len(ours) != len(theirs):
        wrong.append((0, "", f"{len(ours)} packets, tshark has {len(theirs)}"))
    for number_, (packet, element) in enumerate(zip(ours, theirs), 1):
        broken = "malformed" in packet or "truncated" in packet or any(
            proto.get("name") == "_ws.malformed" for proto in element.iter("proto"))
        for compared, field, text in differences(number_, packet, element, not broken):
            count += compared
            if text:
                wrong.append((number_, field, text))
    return count, wrong


def main(paths):
    failed = False
    for path in paths:
        count, wrong = compare(path, os.environ["SOCKEYE"])
        print(f"{pathlib.Path(path).name}: {count} fields compared, {len(wrong)} differ")
        for _, _, text in wrong:
            print(f"    {text}")
        failed = failed or bool(wrong)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
