// The server's API, typed as far as the page uses it (docs/openapi.json).
import type { Dataset } from "./dicom";

export interface Item {
    study: string;
    patientId: string;
    issuer: string; // who gave the ID; "" where nobody has said
    patientName: string;
    accession: string;
    modality: string;
    description: string;
    studyDate: string; // a DA; "" where it names none
    urgency: "routine" | "urgent" | "stat";
    reason: string;
    version: number; // grows with all that has to be seen before it is read
    arrived: string;
    waiting_s: number;
    capped: boolean;
    imported: boolean; // or rebuilt: nobody waits for it
    findings: number;
    flags: string[]; // sentences to be seen before it is read
    models: Said[];
    arriving: boolean; // images may still come
}

// Who has read a study that is off the list; read null: it is on it, or never was.
export interface Mark {
    read: string | null;
    by: string;
    version: number;
}

// What a model says of a volume, in short.
export interface Said {
    model: string;
    patientId: string;
    issuer: string;
    outcome: Result["outcome"] | "waiting";
    said: string;
    reason: string;
    images: Result["images"];
    told: boolean;
}

export interface Code {
    value: string;
    scheme: string;
    meaning: string;
}

export interface Finding {
    id: string;
    result: string;
    study: string;
    series: string;
    model: string;
    modelVersion: string;
    label: string;
    concept: Code;
    site: Code;
    sentence: string;
    centroidMm: [number, number, number];
    segment: number;
    seg: string;
    urgency: string;
    state: "unverified" | "accepted" | "rejected" | "superseded";
    version: number; // how often it was judged
    judgedBy: string;
    judged: string | null;
    comment: string;
}

// What one model says of one volume of a series.
export interface Result {
    id: string;
    study: string;
    series: string;
    volume: string;
    patientId: string;
    issuer: string;
    model: string;
    modelVersion: string;
    outcome: "positive" | "negative" | "not analysed" | "failed";
    standing: "current" | "superseded" | "withdrawn";
    said: string;
    reason: string;
    images: "present" | "earlier"; // earlier: the series has other images now
    notes: string;
    objects: number;
    coverageMm: number;
    told: boolean;
    made: string;
}

export interface Job {
    key: string;
    study: string;
    series: string;
    model: string;
    state: "queued" | "running" | "done" | "failed" | "skipped";
    outcome: string;
    reason: string;
    unanswered: boolean; // skipped without a result: only the reason says why nobody looked
}

// What came of asking the models again about a study's series.
export interface Asked {
    series: number;
    arriving: number; // series
    unasked: number; // series
    jobs: number;
    waiting: number; // jobs
    answered: number; // jobs
}

// An object that came under a known SOP Instance UID with something else in it.
export interface Conflict {
    id: number;
    study: string;
    series: string;
    instance: string;
    received: string;
    kind: "attributes" | "pixels" | "not compared" | "meaning";
    state: "open" | "kept" | "taken";
    how: string;
    from: string;
    decidedBy: string;
    decided: string | null;
    differences: { tag: string; attribute: string; object: string; known: string }[];
}

// Errors are problem+json, whose detail is a sentence; without an answer the browser's own words say nothing to a reader.
async function ask(path: string, init?: RequestInit): Promise<Response> {
    const answer = await fetch(path, init).catch(() => {
        throw new Error("The server cannot be reached.");
    });
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
    const why = problem.detail ?? `The server answered ${answer.status} ${answer.statusText}`;
    throw new Error(answer.status === 500 ? `${why} (an administrator has to see to this)` : why);
}

export async function get<T>(path: string): Promise<T> {
    return (await ask(path)).json() as Promise<T>;
}

// The first rows of a list, and a sentence where the server holds more than it gave.
export interface Rows<T> {
    rows: T[];
    more: string;
}

export async function getRows<T>(path: string): Promise<Rows<T>> {
    const answer = await ask(path);
    const rows = (await answer.json()) as T[];
    const total = Number(answer.headers.get("X-Total-Count") ?? rows.length);
    return { rows, more: total > rows.length ? `These are the first ${rows.length} of ${total}.` : "" };
}

export async function post(path: string, body: unknown): Promise<Response> {
    return ask(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
}

const ROWS_AT_ONCE = 5000; // the most that one search gives

// All that a search of QIDO-RS finds.
export async function search(path: string): Promise<Dataset[]> {
    const all: Dataset[] = [];
    for (let more = true; more; ) {
        const some = await get<Dataset[]>(`${path}${path.includes("?") ? "&" : "?"}limit=${ROWS_AT_ONCE}&offset=${all.length}`);
        all.push(...some);
        more = some.length === ROWS_AT_ONCE;
    }
    return all;
}

// A path of these parts. UIDs come from outside and may be anything.
export function path(...parts: (string | number)[]): string {
    return parts.map((part) => `/${encodeURIComponent(part)}`).join("");
}

// What an administrator has to see to, a sentence each.
export async function warnings(): Promise<string[]> {
    return (await get<{ warnings: string[] }>("/healthz")).warnings;
}

// One frame's bytes out of the multipart answer of WADO-RS.
export async function frame(instance: string, number: number): Promise<Uint8Array> {
    const answer = await ask(`${instance}/frames/${number}`, { headers: { Accept: 'multipart/related; type="application/octet-stream"' } });
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const boundary = /boundary=([^;]+)/.exec(answer.headers.get("Content-Type") ?? "")?.[1] ?? "";
    let start = 0;
    while (start + 4 <= bytes.length && !(bytes[start] === 13 && bytes[start + 1] === 10 && bytes[start + 2] === 13 && bytes[start + 3] === 10)) start++;
    return bytes.slice(start + 4, bytes.length - boundary.length - 8); // CR LF -- boundary -- CR LF
}
