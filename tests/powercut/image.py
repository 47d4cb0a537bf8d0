#!/usr/bin/python3
"""Builds the folder that a power cut may leave, from the log of powercut-record.so.

    image.py LOG SEED OUT [--ignore CALL:PATH]... [--cut N] [--journal]

The seed chooses where the power goes off and what of the unsynced is on the disk. What is kept for certain: contents that a completed fsync or fdatasync of the
file covers, names that a completed fsync of their folder covers. Everything else is kept or dropped: each 4 KiB page of a file by itself (now and then each 512-byte sector),
each change of a file's size, each name made or taken away. A rename within one folder is whole or not at all; one from folder to folder is two changes. A file's own sync does nothing for its name.

--journal is kinder than what is promised: any completed sync covers every name made or taken away before it, which is what ext4 and xfs do.

--ignore takes syncs out: "fdatasync:lanes/*", "fsync-dir:packs", "*:hilum.db-wal" (shell patterns on the call and on the path).

Prints one line of JSON: the record at which the power went off, of how many, and the time on CLOCK_MONOTONIC in ns up to which things had happened.
"""
import argparse
import fnmatch
import json
import mmap
import os
import random
import struct
import sys

CREATE, WRITE, TRUNCATE, EXTEND, ZERO, LINK, RENAME, UNLINK, MKDIR, SYNC_BEGIN, SYNC_END = range(1, 12)
HEADER = struct.Struct('<IIqQQQ')
PAGE, SECTOR = 4096, 512
TORN = 0.05  # of the pages are a mixture of two versions


def read_log(path):
    """Each record as (type, time_ns, file, offset, length, payload). A file is (inode, how often the number was given)."""
    with open(path, 'rb') as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    records, at, given = [], 0, {}
    while at + HEADER.size <= len(data):
        kind, size, time_ns, file, offset, length = HEADER.unpack_from(data, at)
        at += HEADER.size
        if at + size > len(data):
            break
        if kind in (CREATE, MKDIR):
            given[file] = given.get(file, 0) + 1
        file = (file, given.get(file, 0))
        records.append((kind, time_ns, file, offset, length, memoryview(data)[at:at + size]))
        at += size
    return records


def covered(records, ignore):
    """For each file the number of the record before which all is synced. A sync counts from its end, for what came before its beginning."""
    begun, synced = {}, {}
    for index, (kind, _, file, offset, length, payload) in enumerate(records):
        if kind == SYNC_BEGIN:
            text = bytes(payload).decode()
            call, path = text.split(':', 1)
            if not any(fnmatch.fnmatchcase(call, c) and fnmatch.fnmatchcase(path, p) for c, p in ignore):
                begun[(length, offset)] = index
        elif kind == SYNC_END and (length, offset) in begun:
            synced[file] = max(synced.get(file, 0), begun.pop((length, offset)))  # a process, its number
    return synced


class Content:
    """A file's bytes while operations are applied; tells which pages each one touched."""

    def __init__(self):
        self.data = bytearray()

    def apply(self, kind, offset, length, payload):
        data = self.data
        if kind == WRITE:
            end = offset + len(payload)
            if end > len(data):
                data.extend(bytes(end - len(data)))
            data[offset:end] = payload
            return range(offset // PAGE, (end + PAGE - 1) // PAGE)
        if kind == TRUNCATE and offset < len(data):
            pages = range(offset // PAGE, (len(data) + PAGE - 1) // PAGE)
            del data[offset:]
            return pages
        if kind in (TRUNCATE, EXTEND) and offset > len(data):
            data.extend(bytes(offset - len(data)))
        if kind == ZERO:
            end = min(offset + length, len(data))
            if end > offset:
                data[offset:end] = bytes(end - offset)
                return range(offset // PAGE, (end + PAGE - 1) // PAGE)
        return range(0)

    def page(self, number):
        part = bytes(self.data[number * PAGE:(number + 1) * PAGE])
        return part + bytes(PAGE - len(part))


def pick(chance, versions):
    """The first version is what is synced, the last what the program wrote last; the kernel may have written any between to the disk."""
    kind = chance.random()
    if kind < 0.45:
        return versions[0]
    if kind < 0.9:
        return versions[-1]
    return chance.choice(versions)


def pick_page(chance, versions):
    if chance.random() >= TORN:
        return pick(chance, versions)
    return b''.join(pick(chance, versions)[at:at + SECTOR] for at in range(0, PAGE, SECTOR))


def content_after(operations, synced, chance):
    content = Content()
    pages, sizes = {}, None
    for index, kind, offset, length, payload in operations:
        if index >= synced and sizes is None:
            kept = bytes(content.data)
            sizes = [len(kept)]
        before = len(content.data)
        changed = content.apply(kind, offset, length, payload)
        if sizes is None:
            continue
        for page in changed:
            if page not in pages:
                start = kept[page * PAGE:(page + 1) * PAGE]
                pages[page] = [start + bytes(PAGE - len(start))]
            pages[page].append(content.page(page))
        if len(content.data) != before:
            sizes.append(len(content.data))
    if sizes is None:
        return bytes(content.data)
    out = bytearray(kept)
    for page in sorted(pages):
        version = pick_page(chance, pages[page])
        if len(out) < (page + 1) * PAGE:
            out.extend(bytes((page + 1) * PAGE - len(out)))
        out[page * PAGE:(page + 1) * PAGE] = version
    size = pick(chance, sizes)
    if len(out) < size:
        out.extend(bytes(size - len(out)))
    return bytes(out[:size])


def changes_of(kind, file, payload):
    """The changes of names that an operation makes: (path, file or None)."""
    path = bytes(payload).decode()
    if kind in (CREATE, LINK, MKDIR):
        return [(path, file)]
    if kind == UNLINK:
        return [(path, None)]
    source, target = path.split('\0')
    return [(source, None), (target, file)]


def names_after(records, synced, chance, journaled):
    """Path to file, of all names that are there. Changes before `journaled` are on the disk whatever folder they are in."""
    folders = {'': None}  # path of a folder to its file number
    for kind, _, file, _, _, payload in records:
        if kind == MKDIR:
            folders[bytes(payload).decode()] = file
        if kind == SYNC_BEGIN and bytes(payload).decode().endswith('-dir:'):
            folders[''] = file
    names = {}
    for index, (kind, _, file, _, _, payload) in enumerate(records):
        if kind not in (CREATE, LINK, RENAME, UNLINK, MKDIR):
            continue
        coins = {}
        for path, target in changes_of(kind, file, payload):
            parent = os.path.dirname(path)
            coin = coins.setdefault(parent, chance.random() < 0.5)
            if index < max(synced.get(folders.get(parent), 0), journaled) or coin:
                if target is None:
                    names.pop(path, None)
                else:
                    names[path] = target
    return names


def build(records, synced, chance, out, journal):
    names = names_after(records, synced, chance, max(synced.values(), default=0) if journal else 0)
    folders = {bytes(r[5]).decode() for r in records if r[0] == MKDIR}
    operations = {}
    for index, (kind, _, file, offset, length, payload) in enumerate(records):
        if kind in (WRITE, TRUNCATE, EXTEND, ZERO):
            operations.setdefault(file, []).append((index, kind, offset, length, payload))
    os.makedirs(out, mode=0o700)
    contents, made = {}, {''}
    for path in sorted(names):
        if os.path.dirname(path) not in made:
            continue  # its folder is not there
        if path in folders:
            os.mkdir(os.path.join(out, path), 0o700)
            made.add(path)
            continue
        file = names[path]
        if file in contents:
            os.link(contents[file], os.path.join(out, path))
            continue
        contents[file] = os.path.join(out, path)
        with open(contents[file], 'wb') as target:
            target.write(content_after(operations.get(file, []), synced.get(file, 0), chance))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('log')
    parser.add_argument('seed', type=int)
    parser.add_argument('out')
    parser.add_argument('--ignore', action='append', default=[], metavar='CALL:PATH')
    parser.add_argument('--cut', type=int, help='the record before which the power goes off')
    parser.add_argument('--journal', action='store_true')
    args = parser.parse_args()
    records = read_log(args.log)
    chance = random.Random(args.seed)
    cut = chance.randint(1, len(records))
    cut = min(args.cut, len(records)) if args.cut else cut
    # Between the last record taken and the next nothing happened to the files, so whatever else was done until the next was done before the cut.
    cut_ns = records[cut][1] if cut < len(records) else records[-1][1]
    ignore = [tuple(pattern.split(':', 1)) for pattern in args.ignore]
    before = records[:cut]
    build(before, covered(before, ignore), chance, args.out, args.journal)
    json.dump({'cut': cut, 'records': len(records), 'cut_ns': cut_ns}, sys.stdout)
    print()


if __name__ == '__main__':
    main()
