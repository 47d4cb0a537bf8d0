#!/usr/bin/python3
"""Makes the corpus of bad data sets (docs/bad-input.md, lines 1 to 25 and 62), and speaks DICOM's upper layer byte by byte, so that what no library would send can be sent.

Every case is made by the code below from a sound CT object; nothing is stored by hand. `corpus.py FOLDER` writes the cases as Part 10 files, for other programs to be tried on.
"""

import os
import socket
import struct
import sys
import zlib

IMPLICIT, EXPLICIT, BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
CT, VERIFICATION = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.1"
ROOT = "1.2.826.0.1.3680043.10.1511"
LONG = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}
UNDEFINED = 0xFFFFFFFF

# ---- data sets


def element(tag, vr, value, length=None, order="<", implicit=False):
    """One element; `length` is what it claims when that is not the truth."""
    vr = vr.encode()
    if isinstance(value, str):
        value = value.encode()
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    size = len(value) if length is None else length
    if implicit:
        return head + struct.pack(order + "I", size) + value
    if vr in LONG:
        return head + vr + b"\0\0" + struct.pack(order + "I", size) + value
    return head + vr + struct.pack(order + "H", size & 0xFFFF) + value


def even(text, pad=b" "):
    value = text.encode() if isinstance(text, str) else text
    return value + pad if len(value) % 2 else value


def uid(text):
    return even(text, b"\0")


def us(number, order="<"):
    return struct.pack(order + "H", number)


def item(content, length=None):
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content) if length is None else length) + content


ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def sound(number, without=(), replace=None, extra=(), order="<", implicit=False):
    """A sound CT data set of 16 x 16 pixels whose UIDs follow from `number`. `replace` and `extra` are elements by tag: (vr, value) or bytes as they are to stand there."""
    rows = {
        0x00080016: ("UI", uid(CT)),
        0x00080018: ("UI", uid(f"{ROOT}.{number}.1")),
        0x00080020: ("DA", "20260102"),
        0x00080060: ("CS", "CT"),
        0x00100010: ("PN", even(f"Bad^Input{number}")),
        0x00100020: ("LO", even(f"BAD{number}")),
        0x0020000D: ("UI", uid(f"{ROOT}.{number}")),
        0x0020000E: ("UI", uid(f"{ROOT}.{number}.0")),
        0x00200013: ("IS", "1 "),
        0x00280002: ("US", us(1, order)),
        0x00280004: ("CS", "MONOCHROME2 "),
        0x00280010: ("US", us(16, order)),
        0x00280011: ("US", us(16, order)),
        0x00280100: ("US", us(16, order)),
        0x00280101: ("US", us(16, order)),
        0x00280102: ("US", us(15, order)),
        0x00280103: ("US", us(0, order)),
        0x7FE00010: ("OW", bytes(range(256)) * 2),
    }
    rows.update(replace or {})
    rows.update(dict(extra))
    out = b""
    for tag in sorted(rows):
        if tag not in without:
            row = rows[tag]
            out += row if isinstance(row, bytes) else element(tag, *row, order=order, implicit=implicit)
    return out


def nested(depth, by_length=False):
    """Sequences in sequences, `depth` of them, around one element."""
    tag = 0x00400275
    if not by_length:
        return (element(tag, "SQ", b"", UNDEFINED) + item(b"", UNDEFINED)) * depth + element(0x00400007, "LO", "deep") + (ITEM_END + SEQUENCE_END) * depth
    content = element(0x00400007, "LO", "deep")
    for _ in range(depth):
        content = element(tag, "SQ", item(content))
    return content


def inserted(number, raw, tag=0x00400275, **rest):
    return sound(number, extra={tag: raw}, **rest)


def deflate(data):
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def bomb(number, size=64 << 20):
    """1000 : 1, with a header of about the truth in front."""
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    out = compressor.compress(sound(number, without=(0x7FE00010,)) + element(0x7FE00010, "OW", b"", size))
    zeros = bytes(1 << 20)
    for _ in range(size >> 20):
        out += compressor.compress(zeros)
    return out + compressor.flush()


def group_length(wrong):
    return element(0x00080000, "UL", struct.pack("<I", wrong))


STORED, FLAG_UID, FLAG_CHARSET, FLAG_PIXELS = "stored", 1, 2, 4
QUARANTINED, REFUSED = "quarantined", "refused"


class Case:
    """One data set, and what is due: STORED bit for bit (with the flags), QUARANTINED (C000H), or REFUSED with any failure status, nothing kept."""

    def __init__(self, line, name, data, due, syntax=EXPLICIT, flags=0, instance=None, decodes=None, message=None, study=None, series=None):
        self.line, self.name, self.data, self.due, self.syntax, self.flags, self.decodes = line, name, data, due, syntax, flags, decodes
        self.instance = instance  # as the data set has it
        self.message = message if message is not None else instance  # as the C-STORE command has it
        self.study, self.series = study, series

    def __repr__(self):
        return f"line {self.line}, {self.name}"


def cases():
    """All of them, each under UIDs of its own."""
    out = []

    def add(line, name, make, due, **rest):
        number = 1000 * line + sum(1 for case in out if case.line == line)
        rest.setdefault("instance", f"{ROOT}.{number}.1")
        out.append(Case(line, name, make(number), due, study=f"{ROOT}.{number}", series=f"{ROOT}.{number}.0", **rest))

    for depth in (1, 63, 64):
        add(1, f"sequences {depth} deep", lambda n, d=depth: inserted(n, nested(d)), STORED)
    add(1, "sequences 64 deep, by length", lambda n: inserted(n, nested(64, True)), STORED)
    for depth in (65, 1000, 100000):
        add(1, f"sequences {depth} deep", lambda n, d=depth: inserted(n, nested(d)), QUARANTINED)
    add(1, "sequences 100 deep, by length", lambda n: inserted(n, nested(100, True)), QUARANTINED)

    open_sequence = element(0x00400275, "SQ", b"", UNDEFINED)
    add(2, "sequence without its delimiter, to the end", lambda n: sound(n, without=(0x7FE00010,)) + open_sequence + item(element(0x00400007, "LO", "x ")), QUARANTINED)
    add(2, "sequence without its delimiter, elements behind", lambda n: inserted(n, open_sequence + item(element(0x00400007, "LO", "x "))), QUARANTINED)
    add(2, "item without its delimiter", lambda n: inserted(n, open_sequence + item(element(0x00400007, "LO", "x "), UNDEFINED) + SEQUENCE_END), QUARANTINED)

    inner = element(0x00400007, "LO", "x ")
    add(3, "item longer than its sequence", lambda n: inserted(n, element(0x00400275, "SQ", item(inner, len(inner) + 100))), QUARANTINED)
    add(3, "element longer than its item", lambda n: inserted(n, element(0x00400275, "SQ", item(element(0x00400007, "LO", "x ", 60)))), QUARANTINED)
    add(3, "item of FFFFFFF0H in a sequence by length", lambda n: inserted(n, element(0x00400275, "SQ", item(inner, 0xFFFFFFF0))), QUARANTINED)

    add(4, "item delimiter at the top", lambda n: inserted(n, ITEM_END), QUARANTINED)
    add(4, "sequence delimiter at the top", lambda n: inserted(n, SEQUENCE_END), QUARANTINED)
    add(4, "item at the top", lambda n: inserted(n, item(b"")), QUARANTINED)
    add(4, "sequence delimiter inside an item by length", lambda n: inserted(n, element(0x00400275, "SQ", item(SEQUENCE_END))), QUARANTINED)
    add(4, "item delimiter behind an item by length", lambda n: inserted(n, element(0x00400275, "SQ", item(inner) + ITEM_END)), QUARANTINED)
    add(4, "item delimiter at the end of an item by length", lambda n: inserted(n, element(0x00400275, "SQ", item(inner + ITEM_END))), STORED)
    add(4, "sequence delimiter at the end of a sequence by length", lambda n: inserted(n, element(0x00400275, "SQ", item(inner) + SEQUENCE_END)), STORED)

    def private(raw):
        return {0x00091000 + 0x10: element(0x00090010, "LO", "MADE BY TEST") + raw}

    implicit_inside = item(element(0x00400007, "LO", "x ", implicit=True), UNDEFINED) + ITEM_END + SEQUENCE_END
    add(5, "private UN of undefined length, implicit inside", lambda n: sound(n, extra=private(element(0x00091001, "UN", b"", UNDEFINED) + implicit_inside)), STORED)
    add(5, "the same two deep", lambda n: sound(n, extra=private(element(0x00091001, "UN", b"", UNDEFINED) + item(element(0x00091002, "UN", b"", UNDEFINED, implicit=True) + implicit_inside, UNDEFINED)
                                                                    + ITEM_END + SEQUENCE_END)), STORED)

    add(6, "length FFFFFFFEH", lambda n: inserted(n, element(0x00400280, "UT", b"text", 0xFFFFFFFE), 0x00400280), QUARANTINED)
    add(6, "pixels of length FFFFFFFEH", lambda n: sound(n, replace={0x7FE00010: element(0x7FE00010, "OW", bytes(512), 0xFFFFFFFE)}), QUARANTINED)
    add(6, "length FFFFFFFEH, implicit", lambda n: sound(n, implicit=True, replace={0x7FE00010: element(0x7FE00010, "OW", bytes(512), 0xFFFFFFFE, implicit=True)}), QUARANTINED, syntax=IMPLICIT)

    add(7, "claims 4 GiB, holds 200 bytes", lambda n: sound(n, replace={0x7FE00010: element(0x7FE00010, "OW", bytes(200), 0xFFFFFFF0)}), QUARANTINED)
    add(7, "a text claims 1 GiB, holds 200 bytes", lambda n: sound(n, without=(0x7FE00010,)) + element(0x7FE00001, "UT", bytes(200), 1 << 30), QUARANTINED)

    add(8, "odd length of a text", lambda n: sound(n, replace={0x00081030: ("LO", "odd")}), STORED)
    add(8, "odd length of the pixels", lambda n: sound(n, replace={0x7FE00010: ("OB", bytes(513))}), STORED)
    add(8, "odd length of an item", lambda n: inserted(n, element(0x00400275, "SQ", item(element(0x00400007, "LO", "odd")))), STORED)

    add(9, "tags in falling order", lambda n: b"".join(reversed([element(0x00080016, "UI", uid(CT)), element(0x00080018, "UI", uid(f"{ROOT}.{n}.1")),
                                                                 element(0x0020000D, "UI", uid(f"{ROOT}.{n}")), element(0x0020000E, "UI", uid(f"{ROOT}.{n}.0")),
                                                                 element(0x00100020, "LO", "BAD9")])), STORED)
    for name, tag, vr, same, other in (("SOP Instance UID", 0x00080018, "UI", "{r}.{n}.1", "{r}.{n}.2"), ("Study Instance UID", 0x0020000D, "UI", "{r}.{n}", "{r}.{n}.8"),
                                       ("Series Instance UID", 0x0020000E, "UI", "{r}.{n}.0", "{r}.{n}.8"), ("Patient ID", 0x00100020, "LO", "BAD{n}", "BAD{n}B")):
        for how, text, due in (("with the same value", same, STORED), ("with another value", other, QUARANTINED)):
            add(9, f"{name} twice {how}", lambda n, t=tag, v=vr, x=text: sound(n, extra={t + 0.5: element(t, v, uid(x.format(r=ROOT, n=n)))}), due)
            add(9, f"{name} twice {how}, far apart", lambda n, t=tag, v=vr, x=text: sound(n) + element(t, v, uid(x.format(r=ROOT, n=n))), due)

    add(10, "unknown VR in group 2", lambda n: struct.pack("<HH", 2, 0x10) + b"ZZ" + struct.pack("<H", 4) + b"1.2\0" + sound(n), QUARANTINED)

    add(11, "implicit labelled explicit", lambda n: sound(n, implicit=True), QUARANTINED)
    add(11, "explicit labelled implicit", lambda n: sound(n), QUARANTINED, syntax=IMPLICIT)
    add(11, "implicit labelled explicit from the middle on", lambda n: sound(n, replace={0x00280010: ("US", us(16))}, without=(0x7FE00010,)) + element(0x7FE00010, "OW", bytes(512), implicit=True), QUARANTINED)
    add(11, "big endian labelled little endian", lambda n: sound(n, order=">"), QUARANTINED)

    def with_vr(tag, vr, value):
        return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + struct.pack("<H", len(value)) + value

    for name, vr in (("two blanks", b"  "), ("??", b"??"), ("zeros", b"\0\0"), ("small letters", b"lo")):
        add(11, f"a VR of {name}", lambda n, v=vr: sound(n, replace={0x00280010: with_vr(0x00280010, v, us(16)), 0x00100020: with_vr(0x00100020, v, even(f"BAD{n}"))}), STORED, decodes=True)
        add(11, f"a VR of {name}, out of order", lambda n, v=vr: sound(n, extra={0x00290010: with_vr(0x00091010, v, b"ab")}), QUARANTINED)
    add(11, "implicit labelled explicit from the middle on, pixels of 512 KiB", lambda n: sound(n, replace={0x7FE00010: element(0x7FE00010, "OW", bytes(range(256)) * 2048, implicit=True)}), QUARANTINED)

    for wrong in (0, 7, 0x7FFFFFFF, 0xFFFFFFFF):
        add(12, f"group length {wrong}", lambda n, w=wrong: group_length(w) + sound(n), STORED)

    add(13, "no SOP Instance UID", lambda n: sound(n, without=(0x00080018,)), REFUSED)
    add(13, "empty SOP Instance UID", lambda n: sound(n, replace={0x00080018: ("UI", "")}), REFUSED)
    add(13, "no SOP Class UID", lambda n: sound(n, without=(0x00080016,)), REFUSED)
    add(13, "no Study Instance UID", lambda n: sound(n, without=(0x0020000D,)), REFUSED)

    long_uid = (ROOT + "." + "1234567890" * 6)[:65]
    for name, text in (("of 65 characters", long_uid), ("of 128 characters", (long_uid * 2)[:127] + "9"), ("with letters", ROOT + ".14.Study-A")):
        add(14, f"SOP Instance UID {name}", lambda n, t=text: sound(n, replace={0x00080018: ("UI", uid(t))}), STORED, flags=FLAG_UID, instance=text)
        add(14, f"Study and Series Instance UID {name}", lambda n, t=text: sound(n, replace={0x0020000D: ("UI", uid(t)), 0x0020000E: ("UI", uid(t))}), STORED, flags=FLAG_UID)
        out[-1].study = out[-1].series = text
    add(14, "leading zeros in a component", lambda n: sound(n, replace={0x00080018: ("UI", uid(f"{ROOT}.14.007"))}), STORED, instance=f"{ROOT}.14.007")

    def image(line, name, **replace):
        tags = {"rows": 0x00280010, "columns": 0x00280011, "bits": 0x00280100, "frames": 0x00280008, "samples": 0x00280002, "lut": 0x00281101}
        add(line, name, lambda n: sound(n, replace={tags[k]: v for k, v in replace.items()}), STORED, flags=FLAG_PIXELS, decodes=False)

    ul = struct.pack("<I", 65537)
    image(15, "Rows as UL 65537", rows=("UL", ul))
    image(15, "Columns as UL 65537", columns=("UL", ul))
    image(15, "Rows as SS -1", rows=("SS", struct.pack("<h", -1)))
    image(15, "Rows 0", rows=("US", us(0)))
    image(15, "Rows empty", rows=("US", ""))
    big = ("US", us(65535))
    image(16, "Rows * Columns * Samples past 2^32", rows=big, columns=big, samples=("US", us(4)))
    image(16, "all past 2^64", rows=big, columns=big, samples=("US", us(65535)), frames=("IS", "2147483647"))
    add(16, "65535 x 65535 in one sample", lambda n: sound(n, replace={0x00280010: big, 0x00280011: big}), STORED, decodes=False)
    out[-1].flags = None
    for bits in (0, 12, 255):
        image(17, f"BitsAllocated {bits}", bits=("US", us(bits)))
    add(18, "LUT descriptor as LO", lambda n: sound(n, replace={0x00280004: ("CS", "PALETTE COLOR "), 0x00281101: ("LO", "256\\0\\16"), 0x00281102: ("SQ", ""), 0x00281201: ("PN", "x^"), 0x00281202: ("FD", bytes(8))}),
        STORED, flags=None, decodes=None)
    for text in ("-1", "1000000000", "abc", "1e9"):
        image(19, f"NumberOfFrames {text}", frames=("IS", even(text)))
    add(19, "NumberOfFrames 0", lambda n: sound(n, replace={0x00280008: ("IS", "0 ")}), STORED, decodes=True)
    add(20, "DS of 10 kB", lambda n: sound(n, replace={0x00281052: ("DS", "1" * 10240)}), STORED)

    def charset(name, term, text, flags):
        add(21, name, lambda n: sound(n, replace={0x00080005: ("CS", even(term)), 0x00100010: ("PN", even(text))}), STORED, flags=flags)

    charset("unknown charset", "ISO_IR 999", b"Bad^\xe4\xf6\xfc", FLAG_CHARSET)
    charset("charset that is no term", "utf8; rm -rf", b"Bad^\xc3\xa4", FLAG_CHARSET)
    charset("cut ISO 2022 escape", "ISO 2022 IR 6\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$", FLAG_CHARSET)
    charset("escape to what was not announced", "ISO 2022 IR 6\\ISO 2022 IR 87", b"Yamada=\x1b$)C\xb1\xe8", 0)
    charset("GB18030 with a backslash as second byte", "GB18030", b"Wang=\x90\x5c\x95\x5c", 0)
    charset("UTF-8 cut", "ISO_IR 192", b"Bad^\xe2\x82", FLAG_CHARSET)
    charset("Latin-1 under no charset", "", b"Bad^\xe4", FLAG_CHARSET)
    charset("UTF-8 under no charset", "", b"Bad^\xc3\xa4", 0)
    charset("Latin-1 under UTF-8", "ISO_IR 192", b"Bad^\xe4", FLAG_CHARSET)
    add(22, "PN of 64 KiB", lambda n: sound(n, replace={0x00100010: ("PN", "x" * 65534)}), STORED)
    add(22, "script in a PN", lambda n: sound(n, replace={0x00100010: ("PN", even("<script>alert(1)</script>^\"'&"))}), STORED)

    add(23, "deflate bomb", bomb, REFUSED, syntax=DEFLATED)
    add(24, "deflate cut", lambda n: deflate(sound(n))[:-20], QUARANTINED, syntax=DEFLATED)
    add(24, "deflate that is none", lambda n: b"\xff" * 200, QUARANTINED, syntax=DEFLATED)
    add(24, "deflate with an odd length", lambda n: odd(deflate(sound(n))), STORED, syntax=DEFLATED)
    add(24, "deflate with a pad byte", lambda n: deflate(sound(n)) + b"\0", STORED, syntax=DEFLATED)

    for name, text in (("..", ".."), ("../..", "../../x"), ("an absolute path", "/etc/passwd"), ("a NUL inside", "1.2.3\0.4"), ("a backslash", "1.2\\1.3"), ("a line end", "1.2\n.3"), ("129 characters", "1." * 64 + "1"),
                       ("an umlaut", "1.2.\xe4"), ("an empty text", "")):
        add(62, f"SOP Instance UID {name}", lambda n, t=text: sound(n, replace={0x00080018: ("UI", uid(t.encode("latin-1")))}), REFUSED, instance=text)
        add(62, f"Study Instance UID {name}", lambda n, t=text: sound(n, replace={0x0020000D: ("UI", uid(t.encode("latin-1")))}), REFUSED)
        add(62, f"Series Instance UID {name}", lambda n, t=text: sound(n, replace={0x0020000E: ("UI", uid(t.encode("latin-1")))}), REFUSED)
    return out


def odd(data):
    return data if len(data) % 2 else data[:0] + data + b"\0"


def part10(data, syntax, instance, preamble=bytes(128)):
    meta = element(0x00020001, "OB", b"\0\1") + element(0x00020002, "UI", uid(CT)) + element(0x00020003, "UI", uid(instance)) + element(0x00020010, "UI", uid(syntax))
    return preamble + b"DICM" + element(0x00020000, "UL", struct.pack("<I", len(meta))) + meta + data


# ---- the upper layer (PS3.8) and DIMSE (PS3.7), byte by byte


def sub_item(kind, value):
    value = value.encode() if isinstance(value, str) else value
    return struct.pack(">BBH", kind, 0, len(value)) + value


def context_item(number, abstract, syntaxes):
    return sub_item(0x20, struct.pack("BBBB", number, 0, 0, 0) + sub_item(0x30, abstract) + b"".join(sub_item(0x40, s) for s in syntaxes))


def user_item(most=16384, extra=b""):
    return sub_item(0x50, (sub_item(0x51, struct.pack(">I", most)) if most is not None else b"") + sub_item(0x52, ROOT) + extra)


def title(text):
    return (text.encode("latin-1") if isinstance(text, str) else text).ljust(16)[:16]


def pdu(kind, body, length=None):
    return struct.pack(">BBI", kind, 0, len(body) if length is None else length) + body


def request(calling="BADSCU", called="HILUM", contexts=None, user=None, application="1.2.840.10008.3.1.1.1", version=1):
    if contexts is None:
        contexts = [(1, VERIFICATION, [IMPLICIT]), (3, CT, [EXPLICIT]), (5, CT, [IMPLICIT]), (7, CT, [DEFLATED])]
    body = struct.pack(">HH", version, 0) + title(called) + title(calling) + bytes(32) + sub_item(0x10, application)
    body += b"".join(context if isinstance(context, bytes) else context_item(*context) for context in contexts)
    return pdu(1, body + (user_item() if user is None else user))


def command_set(elements):
    body = b"".join(element(tag, "UL", value, implicit=True) for tag, value in sorted(elements.items()))
    return element(0x00000000, "UL", struct.pack("<I", len(body)), implicit=True) + body


def store_command(instance, message=1, sop_class=CT, data=True):
    elements = {0x00000002: uid(sop_class), 0x00000100: us(1), 0x00000110: us(message), 0x00000700: us(0), 0x00000800: us(0 if data else 0x0101)}
    if instance is not None:
        elements[0x00001000] = uid(instance.encode("latin-1"))
    return command_set(elements)


ECHO = command_set({0x00000002: uid(VERIFICATION), 0x00000100: us(0x30), 0x00000110: us(1), 0x00000800: us(0x0101)})


def pdv(context, control, data, length=None):
    return struct.pack(">IBB", len(data) + 2 if length is None else length, context, control) + data


def data_pdus(context, data, control=0, most=65536):
    pieces = [data[at:at + most] for at in range(0, len(data), most)] or [b""]
    return b"".join(pdu(4, pdv(context, control | (2 if piece is pieces[-1] else 0), piece)) for piece in pieces)


class Ended(Exception):
    """The server ended the association: `how` is "abort", "closed" or "reset"."""

    def __init__(self, how, detail=b""):
        super().__init__(f"{how} {detail.hex()}")
        self.how, self.detail = how, detail


class Peer:
    """A raw connection to the DICOM port."""

    def __init__(self, port, timeout=20, source=""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=(source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.messages = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read(self, size):
        out = b""
        while len(out) < size:
            piece = self.socket.recv(size - len(out))
            if not piece:
                raise Ended("closed", out)
            out += piece
        return out

    def receive(self):
        """(type, body) of the next PDU; an A-ABORT or the end raises Ended."""
        try:
            kind, _, length = struct.unpack(">BBI", self.read(6))
            body = self.read(length)
        except ConnectionError:
            raise Ended("reset") from None
        if kind == 7:
            raise Ended("abort", body)
        return kind, body

    def ended(self):
        """How the server ends it, whatever it says before."""
        try:
            while True:
                self.receive()
        except Ended as end:
            return end.how

    def associate(self, **rest):
        """The answer: 2 accepted, 3 rejected (then `reject` has result, source, reason)."""
        self.send(request(**rest))
        kind, body = self.receive()
        self.reject = tuple(body[1:4]) if kind == 3 else None
        return kind

    def answer(self):
        """The status of the next response."""
        kind, body = self.receive()
        if kind != 4:
            raise Ended(f"PDU of type {kind}")
        at, body = 0, body[6:]
        while at + 8 <= len(body):
            tag, length = struct.unpack("<HHI", body[at:at + 8])[1:]
            if tag == 0x0900:
                return struct.unpack("<H", body[at + 8:at + 10])[0]
            at += 8 + length
        raise Ended("an answer without a status")

    def echo(self):
        self.send(data_pdus(1, ECHO, 1))
        return self.answer()

    def store(self, data, instance, syntax=EXPLICIT, sop_class=CT):
        context = {EXPLICIT: 3, IMPLICIT: 5, DEFLATED: 7}[syntax]
        self.messages += 1
        self.send(data_pdus(context, store_command(instance, self.messages, sop_class), 1) + data_pdus(context, data))
        return self.answer()

    def release(self):
        self.send(pdu(5, bytes(4)))
        kind, _ = self.receive()
        self.socket.close()
        return kind == 6


def main(folder):
    os.makedirs(folder, exist_ok=True)
    for number, case in enumerate(cases()):
        with open(os.path.join(folder, f"{case.line:02d}-{number:03d}.dcm"), "wb") as f:
            f.write(part10(case.data, case.syntax, (case.instance or "").encode("latin-1").decode("ascii", "replace")))
    print(f"{number + 1} files in {folder}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: corpus.py FOLDER")
    main(sys.argv[1])
