# SPDX-License-Identifier: Apache-2.0
"""Archives, honest and hostile, made by code: nothing binary is kept in the tree.

HOSTILE is {name: (kind, bytes)}: each must be refused, or leave nothing outside of where it is unpacked.
"""
import bz2
import gzip
import io
import lzma
import stat
import struct
import tarfile
import zipfile


def tar(*items, form=tarfile.PAX_FORMAT, pax=None):
    """Items: (name, content) for files, or a TarInfo with or without content."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form, pax_headers=pax) as t:
        for item in items:
            if isinstance(item, tarfile.TarInfo):
                t.addfile(item)
                continue
            name, content = item
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            t.addfile(info, io.BytesIO(content))
    return out.getvalue()


def entry(name, kind=tarfile.REGTYPE, target="", mode=0o644, pax=None):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, mode
    info.pax_headers = pax or {}
    return info


def link(name, target):
    return entry(name, tarfile.SYMTYPE, target)


def hardlink(name, target):
    return entry(name, tarfile.LNKTYPE, target)


def directory(name, mode=0o755):
    return entry(name, tarfile.DIRTYPE, mode=mode)


def raw_tar(name, kind=b"0", content=b"", linkname=b"", magic=b"ustar\x0000", size=None):
    """One member whose head says exactly what is given."""
    head = bytearray(512)
    head[0:len(name)] = name[:100]
    head[100:108], head[108:116], head[116:124] = b"0000644\0", b"0000000\0", b"0000000\0"
    head[124:136] = b"%011o\0" % (len(content) if size is None else size)
    head[136:148] = b"%011o\0" % 0
    head[156:157], head[157:157 + len(linkname)] = kind, linkname
    head[257:265] = magic
    head[148:156] = b"        "
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + content + b"\0" * (-len(content) % 512)


END = b"\0" * 1024


def zipped(*items, streamed=False):
    """Items: (name, content) or (name, content, unix mode)."""
    class Pipe(io.RawIOBase):
        def __init__(self):
            self.bytes = bytearray()

        def writable(self):
            return True

        def write(self, data):
            self.bytes += data
            return len(data)

    out = Pipe() if streamed else io.BytesIO()
    with zipfile.ZipFile(out, "w") as z:
        for name, content, *mode in items:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.create_system = 3
            info.external_attr = (mode[0] if mode else stat.S_IFREG | 0o644) << 16
            z.writestr(info, content)
    return bytes(out.bytes) if streamed else out.getvalue()


def ordinary():
    return [directory("d"), ("d/f", b"content"), link("d/l", "f"), hardlink("d/h", "d/f"), ("top", b"x" * 100_000)]


def compressed(data):
    return {"plain": data, "gzip": gzip.compress(data), "bzip2": bz2.compress(data), "xz": lzma.compress(data)}


def local_name_lies():
    """The table of contents says "good", the head in front of the data says "../evil"."""
    data = bytearray(zipped(("goodgood", b"x")))
    data[30:38] = b"../evil1"
    return bytes(data)


def nested(levels):
    return "/".join(["d"] * levels)


HOSTILE = {
    "dotdot": ("tar", tar(("../evil", b"x"))),
    "dotdot-inside": ("tar", tar(("a/../../evil", b"x"))),
    "dotdot-dir": ("tar", tar(directory("../evil"))),
    "dotdot-last": ("tar", tar(("a/..", b"x"))),
    "absolute": ("tar", tar(entry("/tmp/evil"))),
    "double-slash": ("tar", tar(entry("//tmp/evil"))),
    "the-directory-itself": ("tar", tar(("./", b"x"), form=tarfile.GNU_FORMAT)),
    "long-name": ("tar", tar(("n" * 300, b"x"))),
    "long-path": ("tar", tar(("/".join(["n" * 200] * 26), b"x"))),
    "deep": ("tar", tar((nested(65) + "/f", b"x"))),
    "link-then-file-through-it": ("tar", tar(link("l", ".."), ("l/evil", b"x"))),
    "link-absolute-then-file": ("tar", tar(link("l", "/tmp"), ("l/evil", b"x"))),
    "link-chain": ("tar", tar(link("a", ".."), link("b", "a"), ("b/evil", b"x"))),
    "link-to-dot-then-up": ("tar", tar(link("a", "."), link("a/b", ".."), ("a/b/evil", b"x"))),
    "dir-replaced-by-link": ("tar", tar(directory("a"), ("a/f", b"1"), link("a", ".."), ("a/evil", b"x"))),
    "dir-over-link": ("tar", tar(link("a", ".."), directory("a"), ("a/evil", b"x"))),
    "hardlink-outside": ("tar", tar(hardlink("h", "../canary"))),
    "hardlink-absolute": ("tar", tar(hardlink("h", "/etc/passwd"))),
    "hardlink-to-older-file": ("tar", tar(hardlink("h", "before"))),
    "hardlink-to-link": ("tar", tar(link("l", "../canary"), hardlink("h", "l"))),
    "hardlink-through-link": ("tar", tar(link("l", ".."), hardlink("h", "l/canary"))),
    "hardlink-to-nothing": ("tar", tar(hardlink("h", "absent"))),
    "char-device": ("tar", tar(entry("dev", tarfile.CHRTYPE))),
    "block-device": ("tar", tar(entry("dev", tarfile.BLKTYPE))),
    "fifo": ("tar", tar(entry("fifo", tarfile.FIFOTYPE))),
    "contiguous-dotdot": ("tar", raw_tar(b"../evil", b"7", b"x") + END),
    "unknown-type-dotdot": ("tar", raw_tar(b"../evil", b"Q", b"x") + END),
    "pax-path-override": ("tar", tar(entry("good", pax={"path": "../evil"}))),
    "pax-linkpath-override": ("tar", tar(entry("h", tarfile.LNKTYPE, "x", pax={"linkpath": "../canary"}))),
    "pax-global-path": ("tar", tar(("good", b"x"), pax={"path": "../evil"})),
    "gnu-longname-dotdot": ("tar", tar(("a/" * 60 + "../" * 61 + "evil", b"x"), form=tarfile.GNU_FORMAT)),
    "truncated": ("tar", tar(("f", b"x" * 10_000))[:4_000]),
    "bad-checksum": ("tar", b"f" * 148 + b"9" * 8 + b"f" * 868),
    "no-archive": ("tar", b"this is a text, and not at all an archive\n" * 100),
    "empty": ("tar", b""),
    "huge-size-in-head": ("tar", raw_tar(b"f", b"0", b"x", size=0o77777777777) + END),
    "truncated-gzip": ("tar", gzip.compress(tar(("f", bytes(range(256)) * 100)))[:-40]),
    "gzip-of-nothing-known": ("tar", gzip.compress(b"no tar" * 1000)),
    "zip-dotdot": ("zip", zipped(("../evil", b"x"))),
    "zip-absolute": ("zip", zipped(("/tmp/evil", b"x"))),
    "zip-link-then-file": ("zip", zipped(("l", b"..", stat.S_IFLNK | 0o777), ("l/evil", b"x"))),
    "zip-device": ("zip", zipped(("dev", b"", stat.S_IFCHR | 0o666))),
    "zip-truncated": ("zip", zipped(("f", b"x" * 1000))[:-30]),
    "zip-empty": ("zip", b""),
    "zip-no-archive": ("zip", b"PK\x03\x04" + b"\xff" * 1000),
    "zip-names-that-differ": ("zip", local_name_lies()),
    "zip-bad-crc": ("zip", zipped(("f", b"x" * 1000)).replace(struct.pack("<I", zipfile.crc32(b"x" * 1000)), b"abcd")),
}
