"""TCP segments of a capture file, as far as the cases ask about them. Ethernet, IPv4 and IPv6 without extensions."""

import collections
import ipaddress
import struct

Segment = collections.namedtuple("Segment", "time source target source_port target_port seq ack flags window payload")

FIN, SYN, RST, PSH, ACK = 1, 2, 4, 8, 16


def frames(path):
    """(time in seconds, octets kept) of each frame of a classic pcap file."""
    with open(path, "rb") as file:
        head = file.read(24)
        if len(head) < 24:
            return
        magic = struct.unpack("<I", head[:4])[0]
        order = "<" if magic in (0xA1B2C3D4, 0xA1B23C4D) else ">"
        magic = struct.unpack(order + "I", head[:4])[0]
        fraction = {0xA1B2C3D4: 1e-6, 0xA1B23C4D: 1e-9}[magic]
        while True:
            record = file.read(16)
            if len(record) < 16:
                return
            seconds, parts, kept, _ = struct.unpack(order + "4I", record)
            data = file.read(kept)
            if len(data) < kept:
                return
            yield seconds + parts * fraction, data


def segments(paths):
    for path in paths:
        for when, frame in frames(path):
            found = parse(when, frame)
            if found:
                yield found


def parse(when, frame):
    kind = struct.unpack_from("!H", frame, 12)[0]
    if kind == 0x0800 and frame[23] == 6:
        header = (frame[14] & 15) * 4
        source, target = ipaddress.ip_address(frame[26:30]), ipaddress.ip_address(frame[30:34])
        length = struct.unpack_from("!H", frame, 16)[0] - header
    elif kind == 0x86DD and frame[20] == 6:
        header = 40
        source, target = ipaddress.ip_address(frame[22:38]), ipaddress.ip_address(frame[38:54])
        length = struct.unpack_from("!H", frame, 18)[0]
    else:
        return None
    at = 14 + header
    source_port, target_port, seq, ack, offset, flags, window = struct.unpack_from("!HHIIBBH", frame, at)
    return Segment(when, str(source), str(target), source_port, target_port, seq, ack, flags, window,
                   length - (offset >> 4) * 4)
