#!/usr/bin/python3
"""Makes the seeds of a fuzz target (targets.tsv): sound and broken inputs that between them enter every branch which a fuzzer would be long in finding. `seeds.py TARGET FOLDER`

Every byte is made by the code below or by tests/outside/corpus.py; nothing comes from files.
"""

import hashlib
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "outside"))
import corpus as dicom  # noqa: E402

SYNTAXES = {dicom.IMPLICIT: 0, dicom.EXPLICIT: 1, dicom.DEFLATED: 2, dicom.BIG_ENDIAN: 3}
LONGEST_SEED = 8192

# ---- data sets (fuzz_reader.c: the first byte is syntax | pieces << 2 | 16 small values | 32 one level deep | 64 stop at the pixels | 128 little memory)


def numbers(order):
    """An element of each binary VR, several values each, with the edges of their ranges."""
    p = lambda form, *values: struct.pack(order + form * len(values), *values)  # noqa: E731
    return {
        0x00280009: ("AT", p("H", 0x0018, 0x1063, 0xFFFC, 0xFFFC)),
        0x00280106: ("US", p("H", 0, 65535)),
        0x00280107: ("SS", p("h", -32768, 32767)),
        0x00186020: ("SL", p("i", -2**31, 2**31 - 1)),
        0x00186018: ("UL", p("I", 0, 2**32 - 1)),
        0x00189094: ("FL", p("f", 0.1, float("nan"), float("inf"), float("-inf"), 3e38)),
        0x00189087: ("FD", p("d", 0.1, 1 / 3, 1e300, -0.0, 9007199254740993.0, float("nan"), 42.0)),
        0x00720082: ("SV", p("q", -2**63, 2**63 - 1)),
        0x00720083: ("UV", p("Q", 0, 2**64 - 1)),
        0x00660016: ("OF", p("f", 1.5, 2.5)),
        0x00660022: ("OD", p("d", 1.5)),
        0x00660040: ("OL", p("I", 7)),
        0x00720081: ("OV", p("Q", 7)),
        0x00189092: ("FD", b"\0\0\0"),  # no whole number
        0x00189093: ("US", b"\0"),
    }


TEXTS = {
    0x00080005: ("CS", "ISO_IR 100"),
    0x00080008: ("CS", "ORIGINAL\\PRIMARY\\\\AXIAL "),
    0x00080050: ("SH", "A1"),
    0x00080054: ("AE", " HILUM  "),
    0x00080030: ("TM", "101112.123456 "),
    0x0008002A: ("DT", "20260102101112"),
    0x00080119: ("UC", "code\\value"),
    0x00080120: ("UR", "http://host/a?b=c "),
    0x00081140: ("SQ", b""),
    0x00100010: ("PN", "M\xfcller^Hans=\\=phonetic^x==".encode("latin-1")),
    0x00101010: ("AS", "042Y"),
    0x00102000: ("LO", "a\\b\\\\c\"\t\x1f<>&"),
    0x00104000: ("LT", " free\r\ntext\\ with \x80\xff "),
    0x00189073: ("FD", b""),
    0x00200011: ("IS", "007\\+5\\-0\\ 12 \\9999999999999999999\\x\\\\-\\1e3"),
    0x00281053: ("DS", "1.50\\-.5\\+00.5\\1e400\\1e5\\1.\\.\\1e\\-1E-5\\nan\\12345678901234567890123456789012345678901234567890123456789012345678\\1e+2"),
    0x00324000: ("ST", "one\\text"),
    0x0040A160: ("UT", b"\xff\xfe"),
    0x00091000: ("LO", "private "),
    0x00091001: ("UN", b"\1\2\3\4"),
    0xFFFCFFFC: ("OB", b"\0\0"),
}

CHARSETS = [
    (b"ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3\\~"),
    (b"ISO 2022 IR 13\\ISO 2022 IR 87", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J="),
    (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B"),
    (b"\\ISO 2022 IR 87", b"a\x1b$B;\x00;3 ;\r\n\x7f^;3=\x1b"),
    (b"\\ISO 2022 IR 159", b"a\x1b$(D\x22\x2f\x30\x21\x7e\x7e\x1b(B"),
    (b"\\ISO 2022 IR 149", b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xff"),
    (b"\\ISO 2022 IR 58", b"Wang=\x1b$)A\xcd\xf5^\x80"),
    (b"ISO_IR 192", b"W\xc3\xa4ng^\xe7\x8e\x8b\0\xe2\x82\xff\xf0\x9f\x98\x80"),
    (b"ISO_IR 192", b"W\xc3\xa4ng^\xe7\x8e\x8b"),
    (b"GB18030", b"Wang^\xcd\xf5\0\x90\x5c\x81\x30\x81\x30\xff"),
    (b"GBK", b"\xcd\xf5\\\x80"),
    (b"ISO-IR 144", b"\xbb\xee\xda"), (b"ISO IR 126", b"\xc4\xe9\xff\xae"), (b"ISO_IR 127", b"\xe2\xc8\xff"), (b"ISO_IR 138", b"\xf9\xa1\xff"),
    (b"ISO_IR 166", b"\xb9\xff"), (b"ISO_IR 148", b"\xfd"), (b"ISO_IR 109", b"\xa5\xae"), (b"ISO_IR 110\\ISO 2022 IR 101\\ISO 2022 IR 203", b"\xa5\x1b-B\xa5\x1b-b\xa4\x1b-A\xa4\x1b-H\xe0\x1bxx"),
    (b"ISO_IR 999", b"\xa5\0\x1b"), (b"latin1", b"\xa5"), (b"", b"\xa5\x1b-A\xa5"),
]


def fragments(*pieces, end=True, vr=b"OB"):
    out = struct.pack("<HH", 0x7FE0, 0x10) + vr + b"\0\0" + struct.pack("<I", dicom.UNDEFINED)
    return out + b"".join(dicom.item(p) for p in pieces) + (dicom.SEQUENCE_END if end else b"")


def wide_data_sets():
    """(syntax, data set) beyond the cases of bad input."""
    for syntax, order, implicit in ((dicom.EXPLICIT, "<", False), (dicom.IMPLICIT, "<", True), (dicom.BIG_ENDIAN, ">", False)):
        yield syntax, dicom.sound(1, extra=numbers(order), order=order, implicit=implicit)
        yield syntax, dicom.sound(2, extra=TEXTS, order=order, implicit=implicit)
        for sign in (0, 1):  # US or SS by the pixels' sign, and tables of one entry or many
            pixels = {0x00280103: ("US", dicom.us(sign, order)), 0x00280106: ("US", b"\xff\xfe"), 0x00283002: ("US", struct.pack(order + "HHH", 1, 0, 16)), 0x00283006: ("US", b"\1\2\3\4")}
            yield syntax, dicom.sound(3, replace=pixels, order=order, implicit=implicit)
    yield dicom.DEFLATED, dicom.deflate(dicom.sound(4, extra=numbers("<") | TEXTS))
    yield dicom.DEFLATED, dicom.deflate(dicom.sound(4)) + b"\0\0\0\0\0\0\0\0"
    yield dicom.DEFLATED, dicom.deflate(dicom.sound(4)) + b"more"
    yield dicom.DEFLATED, dicom.deflate(dicom.sound(4) + b"abc")
    yield dicom.DEFLATED, dicom.deflate(dicom.sound(5, replace={0x7FE00010: ("OW", bytes(300000))}))
    for term, text in CHARSETS:
        named = {0x00080005: ("CS", dicom.even(term)), 0x00100010: ("PN", dicom.even(text)), 0x00104000: ("LT", dicom.even(text * 3)), 0x00102000: ("LO", dicom.even(text + b"\\" + text))}
        yield dicom.EXPLICIT, dicom.sound(6, replace=named, without=(0x7FE00010,))
    inner = dicom.element(0x00080005, "CS", "ISO_IR 192") + dicom.element(0x00100010, "PN", "x\xe4".encode()) + dicom.element(0x00280106, "US", b"\xff\xff")
    yield dicom.EXPLICIT, dicom.inserted(7, dicom.element(0x00400275, "SQ", dicom.item(inner) + dicom.item(inner, dicom.UNDEFINED) + dicom.ITEM_END + dicom.item(b"")))
    yield dicom.EXPLICIT, dicom.inserted(7, dicom.element(0x00400275, "SQ", b"", dicom.UNDEFINED) + dicom.SEQUENCE_END)
    implicit_inner = dicom.element(0x00100010, "PN", "x ", implicit=True)
    yield dicom.IMPLICIT, dicom.inserted(8, dicom.element(0x00400275, "SQ", dicom.item(implicit_inner, dicom.UNDEFINED) + dicom.ITEM_END, implicit=True), implicit=True)
    yield dicom.IMPLICIT, dicom.inserted(8, dicom.element(0x00091001, "UN", b"", dicom.UNDEFINED, implicit=True) + dicom.item(implicit_inner) + dicom.SEQUENCE_END, tag=0x00091001, implicit=True)
    for pieces in ((b"",), (struct.pack("<I", 0), b"\xff\xd8\xff\xd9"), (b"", b"ab", b"", b"cd" * 40), ()):
        for end in (True, False):
            yield dicom.EXPLICIT, dicom.sound(9, replace={0x7FE00010: fragments(*pieces, end=end)})
            yield dicom.EXPLICIT, dicom.sound(9, replace={0x7FE00010: fragments(*pieces, end=end, vr=b"OW")}) + dicom.element(0xFFFCFFFC, "OB", b"\0\0")
    nested_pixels = dicom.item(fragments(b"", b"icon"), dicom.UNDEFINED) + dicom.ITEM_END
    yield dicom.EXPLICIT, dicom.inserted(10, dicom.element(0x00880200, "SQ", b"", dicom.UNDEFINED) + nested_pixels + dicom.SEQUENCE_END, tag=0x00880200)
    for vr in (b"XX", b"LT", b"ox", b"OB", b"UT", b"UN", b"SQ"):  # undefined length, unknown and wrong VRs
        yield dicom.EXPLICIT, dicom.inserted(11, struct.pack("<HH", 0x0040, 0x0275) + vr + b"\0\0" + struct.pack("<I", 4) + b"abcd")
        yield dicom.EXPLICIT, dicom.inserted(11, struct.pack("<HH", 0x0040, 0x0275) + vr + b"\4\0" + b"abcd")
        yield dicom.EXPLICIT, dicom.inserted(11, struct.pack("<HH", 0x0040, 0x0275) + vr + b"\0\0" + struct.pack("<I", dicom.UNDEFINED) + dicom.item(b"ab") + dicom.SEQUENCE_END)
    by_implicit = dicom.item(implicit_inner) + dicom.item(implicit_inner + dicom.element(0x00400275, "SQ", dicom.item(implicit_inner), implicit=True))
    for tag, value in ((0x00081140, by_implicit), (0x00081140, by_implicit[:-3]), (0x00081140, b""), (0x00081030, b"known "), (0x00280106, b"\1\0"), (0x00091001, b"unknown ")):  # sent as UN
        yield dicom.EXPLICIT, dicom.inserted(13, dicom.element(tag, "UN", value), tag=tag)
        yield dicom.EXPLICIT, dicom.inserted(13, dicom.element(0x00400275, "SQ", dicom.item(dicom.element(tag, "UN", value))))
    for depth in (2, 3):
        yield dicom.EXPLICIT, dicom.inserted(14, dicom.nested(depth))
        yield dicom.EXPLICIT, dicom.inserted(14, dicom.nested(depth, True))
    yield dicom.EXPLICIT, dicom.sound(15, without=(0x7FE00010,)) + dicom.element(0x00080008, "CS", "twice") * 2
    yield dicom.EXPLICIT, dicom.sound(15, extra={0x00080005: ("CS", "ISO_IR 100\\" * 40), 0x00281052: ("DS", "1\\2\\3 " * 500), 0x00104000: ("LT", "   "), 0x00102000: ("LO", "  ")})
    yield dicom.EXPLICIT, dicom.sound(15, without=(0x7FE00010,)) + fragments(end=False) + dicom.item(b"", dicom.UNDEFINED)
    yield dicom.EXPLICIT, dicom.sound(15, without=(0x7FE00010,)) + dicom.element(0x00400280, "UT", b"")[:9]
    for syntax in (dicom.EXPLICIT, dicom.IMPLICIT, dicom.BIG_ENDIAN):
        for size in (0, 1, 7, 8, 11, 30):
            yield syntax, dicom.sound(12, implicit=syntax == dicom.IMPLICIT, order=">" if syntax == dicom.BIG_ENDIAN else "<")[:size]


def reader():
    for case in dicom.cases():
        if len(case.data) < LONGEST_SEED:
            yield bytes([SYNTAXES[case.syntax]]) + case.data
    for syntax, data in wide_data_sets():
        if len(data) < LONGEST_SEED:
            for choice in (0, 1 << 2, 2 << 2 | 16, 3 << 2 | 64, 32, 128):
                yield bytes([SYNTAXES[syntax] | choice]) + data


# ---- frames (fuzz_frames.c: the first byte is the transfer syntax | 16 all values loaded)

EXPLICIT_, IMPLICIT_, BIG, DEFLATED_, JPEG, J2K, RLE, DEFLATED_FRAMES = range(8)
LOADED = 16


def picture(pixels, order="<", implicit=False, rows=4, columns=6, samples=1, bits=8, stored=None, photometric="MONOCHROME2 ", frames=None, **more):
    u = lambda n: ("US", dicom.us(n, order))  # noqa: E731
    stored = stored or bits
    replace = {0x00280002: u(samples), 0x00280004: ("CS", photometric), 0x00280010: u(rows), 0x00280011: u(columns), 0x00280100: u(bits), 0x00280101: u(stored), 0x00280102: u(stored - 1)}
    if frames is not None:
        replace[0x00280008] = ("IS", dicom.even(str(frames)))
    replace[0x7FE00010] = pixels if isinstance(pixels, bytes) else ("OW", bytes(range(1, 251))[:pixels])
    replace.update(more)
    without = (0x00080016, 0x00080018, 0x00080020, 0x00080060, 0x00100010, 0x00100020, 0x0020000D, 0x0020000E, 0x00200013)
    return dicom.sound(1, without=without, replace=replace, order=order, implicit=implicit)


def native_pictures(order, implicit):
    p = lambda *a, **k: picture(*a, order=order, implicit=implicit, **k)  # noqa: E731
    yield p(24)
    yield p(72, frames=3)
    yield p(71, frames=3)
    yield p(144, frames=3, bits=16, stored=12)
    yield p(82, frames=3, rows=3, columns=3, samples=3, photometric="RGB ")
    for photometric in ("YBR_FULL_422", "YBR_PARTIAL_422 ", "YBR_FULL"):
        for size in (48, 50, 72, 60):
            yield p(size, frames=3, rows=2, columns=4, samples=3, photometric=photometric)
    for size in (8, 7):
        yield p(size, frames=4, rows=3, columns=5, bits=1)
    yield p(6, frames=2, rows=3, columns=8, bits=1)
    yield p(96, bits=32)
    for bad in ("0", "-1", "abc", "1e9", ""):
        yield p(24, frames=bad)
    yield p(24)[:60]


OFFSETS = [[0, 18], [0, 9], [18, 0], [0], [0, 18, 36], [0, 4000000000]]


def encapsulated_pictures():
    heads = {JPEG: b"\xff\xd8\xff\xe0--", J2K: b"\xff\x4f\xff\x51\0\x2f--", RLE: struct.pack("<II", 1, 64).ljust(64, b"\0") + b"\x17\x01", DEFLATED_FRAMES: b"\x63\0\0\0"}
    for syntax, head in heads.items():
        for pieces in ((head,), (head, head), (head, b"more", head), (head, b"more", head, b""), (b"more", head), (head, b"", head), (b"", b"")):
            for frames in (1, 2, 3):
                yield syntax, picture(fragments(b"", *pieces), frames=frames)
                yield syntax | LOADED, picture(fragments(struct.pack("<II", 0, 8 + len(head)), *pieces), frames=frames)
    for table in OFFSETS:
        pieces = (b"\xff\xd8\xff\xe0--more", b"tail", b"\xff\xd8\xff\xe0")
        yield JPEG, picture(fragments(struct.pack(f"<{len(table)}I", *table), *pieces), frames=2)
        yield JPEG, picture(fragments(b"", *pieces), frames=2)
        extended = {0x7FE00001: ("OV", struct.pack(f"<{len(table)}Q", *table))}
        for choice in (JPEG, JPEG | LOADED):
            yield choice, with_extended(pieces, extended)
    yield JPEG, picture(24)  # native, under the name of another
    yield EXPLICIT_, picture(fragments(b"", b"\xff\xd8\xff\xe0"))


def with_extended(pieces, extended):
    data = picture(fragments(b"", *pieces), frames=2)
    at = data.rindex(struct.pack("<HH", 0x7FE0, 0x10))
    return data[:at] + b"".join(dicom.element(tag, *row) for tag, row in extended.items()) + data[at:]


def frames():
    for syntax, order, implicit in ((EXPLICIT_, "<", False), (IMPLICIT_, "<", True), (BIG, ">", False)):
        for data in native_pictures(order, implicit):
            yield bytes([syntax]) + data
            yield bytes([syntax | LOADED]) + data
    for data in native_pictures("<", False):
        yield bytes([DEFLATED_]) + dicom.deflate(data)
        yield bytes([DEFLATED_ | LOADED]) + dicom.deflate(data)
    for syntax, data in encapsulated_pictures():
        yield bytes([syntax]) + data


# ---- codecs (fuzz_codec.c: transfer syntax, kind of samples, rows - 1, columns - 1, code stream)


def packbits(data):
    return b"".join(bytes([len(data[i:i + 100]) - 1]) + data[i:i + 100] for i in range(0, len(data), 100))


def rle(*segments):
    offsets, at = [], 64
    for segment in segments:
        offsets.append(at)
        at += len(segment)
    return struct.pack("<16I", len(segments), *(offsets + [0] * (15 - len(offsets)))) + b"".join(segments)


def jpeg_segment(marker, body):
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def jpeg(process, precision, components, tables, scan, data, restart=None):
    """One scan of 8 x 8 samples; `components` are sampling factors."""
    head = struct.pack(">BHHB", precision, 8, 8, len(components)) + b"".join(bytes([i + 1, f, 0]) for i, f in enumerate(components))
    out = b"\xff\xd8" + jpeg_segment(0xDB, b"\0" + bytes([1] * 64)) + jpeg_segment(process, head)
    for kind, counts, values in tables:
        out += jpeg_segment(0xC4, bytes([kind]) + bytes(counts).ljust(16, b"\0") + bytes(values))
    if restart:
        out += jpeg_segment(0xDD, struct.pack(">H", restart))
    return out + jpeg_segment(0xDA, bytes([len(components)]) + b"".join(bytes([i + 1, 0]) for i in range(len(components))) + scan) + data + b"\xff\xd9"


def codec():
    bytes_64 = bytes(range(64))
    eight = bytes([7, 7])
    for surplus in (b"", b"\0", b"\0x", b"\x80", b"\1xy"):
        yield b"\0\0" + eight + rle(packbits(bytes_64) + surplus)
    yield b"\0\1" + eight + rle(*[packbits(bytes_64)] * 3)
    yield b"\0\2" + eight + rle(*[bytes([257 - 64, 5])] * 2)
    yield b"\0\6" + eight + rle(*[bytes([257 - 64, 5])] * 4)
    yield b"\0\7" + eight + rle(packbits(bytes(8)))
    yield b"\0\7" + eight + rle(packbits(bytes([0, 1] * 32)))
    yield b"\0\7" + eight + rle(packbits(bytes([0, 2] * 32)))
    yield b"\0\7" + eight + rle(b"\x03abc")
    lossless = [(0, [0, 0, 0, 0, 17], range(17))]
    for predictor in range(1, 8):
        for kind, precision in ((0, 8), (2, 12), (3, 12), (5, 12), (5, 16)):
            yield bytes([1, kind]) + eight + jpeg(0xC3, precision, [0x11], lossless, bytes([predictor, 0, 0]), bytes_64, 8 if predictor == 3 else None)
    yield b"\1\1" + eight + jpeg(0xC3, 8, [0x11] * 3, lossless, b"\1\0\0", bytes(120))
    one_code = [(0, [2], [0, 3]), (0x10, [3 - 1], [0, 0xF0])]
    for components in ([0x11], [0x11] * 3, [0x21, 0x11, 0x11], [0x22, 0x11, 0x11], [0x41, 0x31, 0x11]):
        for data in (bytes(40), b"\xaa" * 40, b"\xfe" * 40):
            kind = 4 if len(components) == 3 else 2
            yield bytes([2, kind]) + eight + jpeg(0xC1, 12, components, one_code, b"\0\x3f\0", data, 1 if data[0] == 0xAA else None)
    adobe, jfif = jpeg_segment(0xEE, b"Adobe\0\x64\0\0\0\0\1"), jpeg_segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\0\0")
    for marker in (adobe, jfif, adobe[:-1] + b"\0"):
        stream = jpeg(0xC1, 12, [0x11] * 3, one_code, b"\0\x3f\0", bytes(40))
        yield bytes([2, 4]) + eight + stream[:2] + marker + stream[2:]
    for bad in (jpeg(0xC2, 12, [0x11], one_code, b"\0\x3f\0", bytes(40)), jpeg(0xC1, 12, [0x11], [], b"\0\x3f\0", bytes(40)), b"\xff\xd8\xff\x01", b"\xff\xd8" + b"\xff" * 20):
        yield bytes([2, 2]) + eight + bad
    for kind, size in ((0, 64), (1 | 128, 192), (2, 128), (7, 8), (0, 63), (0, 65)):
        yield bytes([3, kind]) + eight + bytes(range(size))
        yield bytes([4, kind]) + eight + dicom.deflate(bytes(range(size)))
    yield bytes([4, 0]) + eight + b"\xff" * 30


# ---- Part 10 files


def part10():
    data = dicom.sound(1, without=(0x7FE00010,))
    for syntax in SYNTAXES:
        yield dicom.part10(data, syntax, "1.2.3")
    whole = dicom.part10(data, dicom.EXPLICIT, "1.2.3")
    for size in (0, 1, 131, 132, 133, 140, 143, 144, 150, 160, 200):
        yield whole[:size]
    yield bytes(128) + b"DICM"
    yield bytes(128) + b"DICM" + bytes(20)
    yield bytes(128) + b"DICM" + data
    yield whole[132:]  # meta information at once
    yield bytes(128) + whole[132:]
    order = {">": dicom.BIG_ENDIAN, "<": dicom.EXPLICIT}
    for at, syntax in order.items():
        yield dicom.sound(2, order=at, without=(0x7FE00010,))
        yield bytes(128) + dicom.sound(2, order=at, without=(0x7FE00010,))
        yield dicom.part10(dicom.sound(2, order=at), syntax, "1.2.3", b"MZ" + bytes(126))
    yield dicom.sound(3, implicit=True, without=(0x7FE00010,))
    yield dicom.element(0x00080016, "UI", b"", 0xFFFFFFF0, implicit=True)
    title, no_syntax = dicom.element(0x00020016, "AE", " SENDER "), dicom.element(0x00020002, "UI", "1.2.840\0")
    for body in (b"", data, dicom.sound(3, implicit=True), b"\1" * 30):
        yield bytes(128) + b"DICM" + no_syntax + title + body
    yield bytes(128) + b"DICM" + dicom.element(0x00020000, "UL", struct.pack("<I", 7)) + dicom.element(0x00020010, "UI", dicom.uid(dicom.DEFLATED)) + b"\2\0"
    yield bytes(128) + b"DICM" + dicom.element(0x00020000, "UL", struct.pack("<I", 30)) + dicom.element(0x00020010, "UI", dicom.uid(dicom.DEFLATED)) + b"\2\0\0\0\0\0\0\0\0"
    yield bytes(128) + b"DICM" + dicom.element(0x00020010, "UI", "1." * 80) + dicom.element(0x00020003, "UI", "1.2\0003")
    yield bytes(128) + b"DICM" + struct.pack("<HH", 2, 0x10) + b"ZZ\4\0001.2\0"
    yield bytes(128) + b"DICM" + struct.pack("<HH", 2, 0x102) + b"OB\0\0\xff\xff\xff\xff"
    yield bytes(128) + b"DICM" + struct.pack("<HH", 2, 0x102) + b"OB\0\0"
    yield b"no DICOM at all, but a text that is longer than a preamble" * 4


# ---- upper layer (fuzz_pdu.c: bytes a receive, role (even: acceptor), then the peer's bytes)

RELEASE, RELEASED, ABORT = dicom.pdu(5, bytes(4)), dicom.pdu(6, bytes(4)), dicom.pdu(7, b"\0\0\2\1")


def answer(contexts, most=16384, extra=b"", user=True):
    body = struct.pack(">HH", 1, 0) + dicom.title("CALLED") + dicom.title("CALLING") + bytes(32) + dicom.sub_item(0x10, "1.2.840.10008.3.1.1.1")
    for number, result, syntax in contexts:
        body += dicom.sub_item(0x21, bytes([number, 0, result, 0]) + (dicom.sub_item(0x40, syntax) if syntax else b""))
    return dicom.pdu(2, body + (dicom.user_item(most, extra) if user else b""))


def response(command, message, status=0, comment=None, extra=None):
    elements = {0x00000100: dicom.us(command | 0x8000), 0x00000120: dicom.us(message), 0x00000800: dicom.us(0x0101), 0x00000900: dicom.us(status)}
    if comment:
        elements[0x00000902] = dicom.even(comment)
    elements.update(extra or {})
    return dicom.command_set(elements)


def command(number, elements, message=1):
    return dicom.command_set({0x00000100: dicom.us(number), 0x00000110: dicom.us(message), 0x00000800: dicom.us(0x0101)} | elements)


def acceptor():
    ask = dicom.request()
    yield ask + dicom.data_pdus(1, dicom.ECHO, 1) + RELEASE + b"late"
    yield ask + ABORT
    for peer_byte in (RELEASED, ask, answer([]), dicom.pdu(3, b"\0\1\1\1"), dicom.pdu(9, b"xyz"), dicom.pdu(0, b""), dicom.pdu(5, b""), dicom.pdu(4, b"\0\0")):
        yield peer_byte + b"and more"
        yield ask + peer_byte
        yield ask + RELEASE + peer_byte
        yield ask + peer_byte + peer_byte + ABORT  # while the close is awaited
    data = dicom.sound(1, without=(0x7FE00010,))
    for message in (1, 2):  # read, or dropped unread
        store = dicom.store_command("1.2.3", message)
        yield ask + (dicom.data_pdus(3, store, 1) + dicom.data_pdus(3, data, most=100)) * 3 + RELEASE
        yield ask + dicom.data_pdus(3, store, 1, most=16) + dicom.data_pdus(3, data) + RELEASE
        yield ask + dicom.pdu(4, dicom.pdv(3, 3, store) + dicom.pdv(3, 0, data[:50]) + dicom.pdv(3, 2, data[50:]))
        yield ask + dicom.data_pdus(3, store, 1) + RELEASE
        yield ask + dicom.data_pdus(3, store, 1) + dicom.data_pdus(3, store, 1)
        yield ask + dicom.data_pdus(3, store, 1) + dicom.data_pdus(5, data)
        yield ask + dicom.data_pdus(3, store, 1) + dicom.pdu(4, dicom.pdv(3, 0, b"")) * 70
        yield ask + dicom.data_pdus(3, store, 1)[:-4]
    yield ask + dicom.data_pdus(3, data)
    yield ask + dicom.data_pdus(9, dicom.ECHO, 1)
    yield ask + dicom.pdu(4, dicom.pdv(1, 1, dicom.ECHO[:20])) + dicom.pdu(4, dicom.pdv(3, 3, dicom.ECHO[20:]))
    yield ask + dicom.pdu(4, dicom.pdv(1, 1, b"")) * 70
    long_text = command(0x30, {0x00000902: b"x" * 20000})
    yield ask + dicom.data_pdus(1, long_text, 1)
    yield ask + dicom.pdu(4, dicom.pdv(1, 1, long_text[:9000])) + dicom.pdu(4, dicom.pdv(1, 3, long_text[9000:]))
    for bad in (b"abc", struct.pack("<HHI", 8, 0x100, 0), struct.pack("<HHI", 0, 0x100, 99), struct.pack("<HHI", 0, 0x100, 3) + b"abc", struct.pack("<HHI", 0, 0x902, 5000) + b"text", struct.pack("<HHI", 0, 0x1000, 9) + b"1.2.3.4\0",
                struct.pack("<HHI", 0, 0x902, 0xFFFFFFF8) + b"text", dicom.command_set({0x00000100: dicom.us(0x30)}), dicom.command_set({})):
        yield ask + dicom.data_pdus(1, bad, 1)
    yield ask + dicom.data_pdus(1, command(0x21, {0x00000600: "MOVER ", 0x00001030: "FROM", 0x00001031: dicom.us(7), 0x00000003: "1.2", 0x00001001: "1.x.2.", 0x00000002: "1.2\0003"}), 1) + RELEASE
    yield ask + dicom.data_pdus(1, response(1, 5, 0xA700, "no\\room\n"), 1) + dicom.data_pdus(1, command(0xFFF, {0x00000120: dicom.us(3)}), 1) + RELEASE
    # Negotiation
    yield dicom.request(version=2)
    yield dicom.request(application="1.2")
    yield dicom.request(contexts=[])
    for text in ("../x", "a/..", "", "back\\slash", "\xff"):
        yield dicom.request(called=text)
        yield dicom.request(calling=text)
    yield dicom.request(contexts=[(2, dicom.CT, [dicom.IMPLICIT])])
    yield dicom.request(contexts=[(1, dicom.CT, [dicom.IMPLICIT])] * 2)
    yield dicom.request(contexts=[(n, dicom.CT, [dicom.IMPLICIT]) for n in range(1, 257, 2)] + [(1, dicom.CT, [dicom.IMPLICIT])])
    yield dicom.request(contexts=[(1, dicom.CT, [f"1.2.{n}" for n in range(70)])])
    yield dicom.request(contexts=[(1, "no uid", ["no uid", dicom.IMPLICIT])]) + RELEASE
    yield dicom.request(contexts=[dicom.sub_item(0x20, b"\1\0\0\0" + dicom.sub_item(0x40, dicom.IMPLICIT))])
    yield dicom.request(contexts=[dicom.sub_item(0x20, b"\1\0"), dicom.sub_item(0x20, b"\1\0\0\0\x30\0\xff\xff")])
    yield dicom.request(contexts=[dicom.sub_item(0x20, b"\1\0\0\0\x30\0\xff\xff")])
    yield dicom.request(contexts=[b"\x20\0\xff\xff"])
    for most in (None, 0, 1, 4095, 4096, 0xFFFFFFFF):
        yield dicom.request(user=dicom.user_item(most)) + dicom.data_pdus(1, dicom.ECHO, 1)
    identity = lambda kind, first, second, size=None: dicom.sub_item(0x58, struct.pack(">BBH", kind, 0, len(first) if size is None else size) + first + struct.pack(">H", len(second)) + second)  # noqa: E731
    for part in (dicom.sub_item(0x51, b"\0"), dicom.sub_item(0x55, "VERSION\x01 1 with a tail"), identity(1, b"me", b""), identity(5, b"token", b""), identity(2, b"me", b"secret", 999), dicom.sub_item(0x58, b"\1"),
                 dicom.sub_item(0x58, b"\1\0\0\1a\0\xff"), dicom.sub_item(0x58, b"\1\0\0\0\0\xff"), b"\x55\0\xff\xff", dicom.sub_item(0x53, b"\0\1\0\1"), dicom.sub_item(0x54, b"\0\3" + b"1.2" + b"\1\0")):
        yield dicom.request(user=dicom.user_item(extra=part)) + RELEASE
    yield dicom.request(called="NOBODY") + RELEASE
    yield ask + dicom.pdu(4, dicom.pdv(1, 3, dicom.ECHO) + b"\0\0\0")
    yield ask + dicom.pdu(4, dicom.pdv(1, 3, dicom.ECHO, 1)) + RELEASE
    yield ask + dicom.pdu(4, dicom.pdv(1, 3, dicom.ECHO, 9999)) + RELEASE
    for _ in range(15):  # under each of the ends
        yield ask + dicom.data_pdus(1, dicom.ECHO, 1)
        yield ask + dicom.pdu(9, b"x") + bytes(300)
    yield dicom.pdu(1, bytes(20))
    yield dicom.pdu(1, b"", 0xFFFFFFFF)
    yield dicom.pdu(1, bytes(68), 200000)
    yield dicom.request()[:40]
    big = dicom.request(contexts=[(1, dicom.VERIFICATION, [f"1.2.{n}" + ".3" * 20 for n in range(60)])] + [(n, dicom.CT, [f"1.2.{m}" + ".3" * 24 for m in range(20)]) for n in range(3, 90, 2)])
    yield big + dicom.data_pdus(1, dicom.ECHO, 1) + RELEASE


def requestor():
    both = answer([(1, 0, dicom.IMPLICIT), (3, 0, dicom.EXPLICIT)])
    echoed, stored = dicom.data_pdus(1, response(0x30, 1), 1), dicom.data_pdus(3, response(1, 2, 0xB000, "kept", {0x00000002: dicom.uid(dicom.CT), 0x00001000: "1.2.3\0"}), 1)
    data = dicom.data_pdus(3, dicom.sound(1, without=(0x7FE00010,)))
    yield both + echoed + stored + RELEASED
    yield both + echoed + stored + data + RELEASED  # data where none is due any more
    yield both + echoed + stored + RELEASE + RELEASED  # release from both sides
    yield both + echoed + stored + RELEASE + ABORT
    yield both + echoed + stored + RELEASED[:5]
    yield both + echoed + stored + both
    for _ in range(15):  # under each of the ends
        yield both + echoed + stored
        yield both + echoed
        yield both
    yield both + RELEASE
    yield both + ABORT
    yield both + RELEASED
    yield both + dicom.data_pdus(1, response(0x30, 9), 1)
    yield both + dicom.data_pdus(1, response(0x20, 1), 1)
    yield both + echoed + RELEASE
    for contexts in ([(1, 0, dicom.IMPLICIT)], [(3, 0, dicom.IMPLICIT)], [(1, 3, None), (3, 4, "x")], [(1, 99, None)], [(5, 0, dicom.IMPLICIT)], [(1, 0, dicom.DEFLATED)], [(1, 0, None)], []):
        yield answer(contexts) + (echoed if contexts[:1] == [(1, 0, dicom.IMPLICIT)] else dicom.data_pdus(3, response(1, 1), 1)) + RELEASED
    for most in (None, 0, 100, 4096):  # small pieces go out
        yield answer([(1, 0, dicom.IMPLICIT), (3, 0, dicom.EXPLICIT)], most) + echoed + stored + RELEASED
    yield answer([(1, 0, dicom.IMPLICIT)], extra=b"\x55\0\xff\xff")
    yield answer([(1, 0, dicom.IMPLICIT)], extra=dicom.sub_item(0x59, b"\0\0"), user=True)
    yield answer([(1, 0, dicom.IMPLICIT)], user=False) + echoed + RELEASED
    yield both[:-1] + b"\x10\0\xff\xff"
    yield dicom.pdu(2, both[6:] + b"\x21\0\0\1\1")
    yield dicom.pdu(2, both[6:] + b"\x21\0\xff\xff")
    for source, reason in ((1, 1), (1, 7), (2, 2), (3, 1), (9, 9)):
        for result in (1, 2):
            yield dicom.pdu(3, bytes([0, result, source, reason]))
    for peer_byte in (RELEASE, RELEASED, ABORT, dicom.request(), dicom.pdu(9, b"x"), dicom.data_pdus(1, dicom.ECHO, 1), dicom.pdu(3, b"\0"), b"", b"\2\0\0"):
        yield peer_byte


ENDS, DEAF = (0, 2, 4), 8  # bits of the second byte: the connection is closed, silent or broken at the end; ours are not taken


def pdu():
    for role, seeds in ((0, acceptor()), (1, requestor())):
        for number, seed in enumerate(seeds):
            for step in (0, (1, 7, 100)[number % 3]):
                if len(seed) < 70000:
                    yield bytes([step, role | ENDS[number % 3] | (DEAF if number % 5 == 4 else 0)]) + seed


# ---- HL7 (fuzz_hl7.c: 'F' frames, 'A' an answer, else a message)

MESSAGE = ("MSH|^~\\&|HIS|HOSPITAL|HILUM|RADIOLOGY|20260102101112||ORM^O01^ORM_O01|M1|P|2.5.1|||||DEU|{charset}\r"
           "PID|1||4711^^^ISSUER&1.2.3&ISO~0815^^^OTHER||Doe^Jane^^^Dr.||19700101|F\rZ01|a~b^c&d~e|\rOBX|1|TX|1^x||\\F\\ \\S\\ \\T\\ \\R\\ \\E\\ \\X41C3\\ \\X4\\ \\Z1\\ \\.br\\ \\H\\x\\N\\ \\open||||||F\r"
           "OBX|2|ED|2||^application^pdf^Base64^QUJD\r\rOBX|3\r")
TEXT = {"": b"M\xfcller", "8859/1": b"M\xfcller", "UNICODE UTF-8": "M\u00fcller".encode(), "ASCII": b"Muller", "8859/15": b"\xa4", "UNKNOWN": b"\xff", "~ISO IR87": b"\x1b$B;3ED\x1b(B", "GB 18030-2000": b"\xcd\xf5"}


HEAD = b"MSH|^~\\&|A|B|C|D|2026||ORM^O01|%s|P|2.5\r"


def hl7():
    for line in (b"1BX|1", b"OB", b"OBXY", b"MSH|^~\\&|", b"OBX" + b"|x" * 600, b"OBX|1|TX|1||\xff\xfe\x00\\X\\\\Xzz\\\\", b"OBX|1|TX|1||a\x01b\\X0D0A\\\\.sp\\", b"OBX||||" + b"~x" * 50):
        for letter in (b"M", b"A"):
            yield letter + HEAD % b"1" + line + b"\r"
    for control in (b"", b"x" * 300):
        yield b"M" + HEAD % control
        yield b"A" + HEAD % control
    for charset, name in TEXT.items():
        message = MESSAGE.format(charset=charset).encode().replace(b"Doe", name)
        yield b"M" + message
        yield b"A" + message
        for end in (b"\n", b"\r\n"):
            yield b"M" + message.replace(b"\r", end)
        yield b"F\x0b" + message + b"\x1c\r" + b"\x0b" + message + b"\x1c\r"
    for bad in (b"", b"MSH", b"MSH|", b"MSH|^~\\&", b"MSH||||", b"MSH|^^^^|x", b"MSHa^~\\&ax", b"MSH|^~\\&|\rPI", b"PID|1", b"MSH|^~\\&|a\0b\r", b"MSH\r^~\\&", b"MSH|^~\\&#|x^y#z|", b"MSH|^|x^y",
                b"MSH|^~\\&|" + b"x|" * 3000, b"MSH|^~\\&|\r" + b"OBX|1\r" * 2000, b"MSH|^~\\&|\r1BX|\r", b"FHS|^~\\&|\rBHS|^~\\&|\rMSH|^~\\&|x\r", b"\xef\xbb\xbfMSH|^~\\&|x\r"):
        yield b"M" + bad
        yield b"A" + bad
        yield b"F" + bad
    for frame in (b"\x0b\x1c\r", b"\x0bab\x0bc\x1c\r", b"\x0bab\x1cx", b"\r\n\x0bab\x1c\r\n\x0bcd\x1c\r", b"\x0bab", b"\x0b\x1c\x1c\r", b"ab\x0bcd\x1c\r"):
        yield b"F" + frame


# ---- WebSocket frames (fuzz_websocket.c: 'M' a message to write, 'R' a reason, 'K' a key, 'S' a server's frames, else a client's)


def frame(first, payload=b"", mask=None, form=None):
    """`form`: the bytes that the length takes behind the second byte, where they are not the fewest."""
    size = len(payload)
    form = form if form is not None else 0 if size < 126 else 2 if size < 65536 else 8
    length = bytes([size if form == 0 else 126 if form == 2 else 127]) + (size.to_bytes(form, "big") if form else b"")
    if mask is not None:
        payload = bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
        length = bytes([length[0] | 0x80]) + length[1:] + mask
    return bytes([first]) + length + payload


def websocket():
    mask = b"\x37\xfa\x21\x3d"
    for size in (0, 1, 125, 126, 2000, 65536):
        yield b"M" + b"m" * size
        yield b"R" + b"r" * min(size, 200)
    for key in (b"dGhlIHNhbXBsZSBub25jZQ==", b"dGhlIHNhbXBsZSBub25jZQ=", b"dGhlIHNhbXBsZSBub25jZQAA", b"R\xc3\xbc\xff"):
        yield b"K" + key
        yield b"R" + key * 9
    for letter, m in ((b"S", None), (b"C", mask), (b"C", None), (b"S", mask)):
        for text in (b"", b"Hello", "Gr\u00fc\u00dfe \U0001f600".encode(), b"\xed\xa0\x80", b"\xc3", b"x" * 125, b"x" * 126, b"x" * 2000):
            yield letter + frame(0x81, text, m) + frame(0x82, text, m)
            for cut in range(0, min(len(text), 8)):
                yield letter + frame(0x01, text[:cut], m) + frame(0x89, b"ping", m) + frame(0x80, text[cut:], m) + frame(0x88, b"\x03\xe8bye", m)
        for code in (0, 999, 1000, 1004, 1005, 1006, 1014, 1015, 2999, 3000, 4999, 5000):
            yield letter + frame(0x88, code.to_bytes(2, "big"), m)
        for payload in (b"", b"\x03", b"\x03\xe8\xff", b"\x03\xe8" + b"x" * 123, b"x" * 126):
            yield letter + frame(0x88, payload, m) + frame(0x8A, payload[:125], m)
        for first in range(256):
            yield letter + frame(first, b"ab", m) + frame(0x80, b"c", m)
        for form, size in ((2, 5), (8, 5), (8, 200)):
            yield letter + frame(0x82, b"x" * size, m, form)
        yield letter + frame(0x02, b"x" * 60000, m) + frame(0x80, b"x" * 5536, m)
        yield letter + b"\x82" + (b"\xff" if m else b"\x7f") + b"\x80" + bytes(7) + b"abcd"


def main(name, folder):
    os.makedirs(folder, exist_ok=True)
    for seed in {"reader": reader, "part10": part10, "frames": frames, "codec": codec, "pdu": pdu, "hl7": hl7, "websocket": websocket}[name]():
        with open(os.path.join(folder, hashlib.sha1(seed).hexdigest()), "wb") as f:
            f.write(seed)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: seeds.py TARGET FOLDER")
    main(sys.argv[1], sys.argv[2])
