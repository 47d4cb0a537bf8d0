// What the page knows of the server, once: screens subscribe to keys, and the store reads them, again when an event says that they may have changed, and by the clock. No screen reads by itself.
import { useEffect, useState } from "preact/hooks";
import { type Event, type Stream, share } from "./live";
import { SOURCES } from "./sources";

const GATHER_MS = 300; // many events at once, such as a series that arrives, are one reading
const CLOCK_MS = 30_000; // waits grow without events

type Sources = typeof SOURCES;
export type Key = keyof Sources;
type Value<K extends Key> = Awaited<ReturnType<Sources[K]["load"]>>;

// A row of the table of sources.
export interface Source<T> {
    load: (of: string) => Promise<T>;
    on: readonly Event[] | "anything"; // after which events it is read again
    every?: (value: T) => number; // ms until it is read again without one, 0: never; CLOCK_MS without it
}

interface Entry {
    source: Source<unknown>;
    of: string;
    value: unknown;
    error: string;
    read: Date | null; // when the value was
    asked: number; // readings that began
    taken: number; // the newest whose answer came: an older one that comes later is dropped
    timer: ReturnType<typeof setTimeout> | undefined;
    hearers: Set<() => void>;
}

// `of` names which one where a source has several: a study, a filter.
const entries = new Map<string, Entry>();

function entryOf(key: Key, of: string): [string, Entry] {
    const name = `${key} ${of}`;
    const entry = entries.get(name) ?? { source: SOURCES[key] as Source<unknown>, of, value: null, error: "", read: null, asked: 0, taken: 0, timer: undefined, hearers: new Set() };
    entries.set(name, entry);
    return [name, entry];
}

function readLater(entry: Entry): void {
    const ms = entry.value === null || !entry.source.every ? CLOCK_MS : entry.source.every(entry.value);
    if (ms > 0 && entry.hearers.size > 0) entry.timer = setTimeout(() => void read(entry), ms);
}

async function read(entry: Entry): Promise<void> {
    const turn = ++entry.asked;
    clearTimeout(entry.timer);
    const outcome = await entry.source.load(entry.of).then(
        (value) => ({ value, read: new Date(), error: "" }),
        (why: Error) => ({ error: why.message }),
    );
    if (turn < entry.taken) return;
    Object.assign(entry, outcome, { taken: turn });
    if (turn === entry.asked) readLater(entry);
    for (const hear of entry.hearers) hear();
}

function subscribe(name: string, entry: Entry, hear: () => void): () => void {
    entries.set(name, entry);
    entry.hearers.add(hear);
    if (entry.hearers.size === 1) void read(entry); // while nobody heard, nothing was read
    return () => {
        entry.hearers.delete(hear);
        if (entry.hearers.size > 0) return;
        clearTimeout(entry.timer);
        if (entries.get(name) === entry) entries.delete(name);
    };
}

export interface Held<T> {
    value: T | null; // the last that was read; null: none yet
    error: string; // why it could not be read again
    read: Date | null;
    again: () => Promise<void>; // reads it now, as after a change that was made here; never fails
}

export function useStore<K extends Key>(key: K, of = ""): Held<Value<K>> {
    const [name, entry] = entryOf(key, of);
    const [, redraw] = useState(0);
    useEffect(() => subscribe(name, entry, () => redraw((n) => n + 1)), [entry]);
    return { value: entry.value as Value<K> | null, error: entry.error, read: entry.read, again: () => read(entry) };
}

// ---- what it is fed by

const heard = new Set<Event | "anything">();
let gathering: ReturnType<typeof setTimeout> | undefined;

function readHeard(): void {
    gathering = undefined;
    for (const entry of entries.values()) {
        const { on } = entry.source;
        if (entry.hearers.size > 0 && (heard.has("anything") || on === "anything" || on.some((event) => heard.has(event)))) void read(entry);
    }
    heard.clear();
}

// Reads whatever an event may have changed, for as long as it is used; how the stream is. `may`: whoever is here may have it.
export function useFeed(may: boolean): Stream {
    const [stream, setStream] = useState<Stream>(may ? "connecting" : "none");
    useEffect(() => {
        if (!may) return;
        return share((message) => {
            if (message === "open" || message === "lost" || message === "connecting" || message === "none") {
                setStream(message);
                return;
            }
            heard.add(message);
            gathering ??= setTimeout(readHeard, GATHER_MS);
        });
    }, [may]);
    return stream;
}
