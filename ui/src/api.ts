// The server's API, typed as far as the page uses it (docs/openapi.json).

export interface Item {
    study: string;
    patientId: string;
    patientName: string;
    accession: string;
    modality: string;
    description: string;
    urgency: "routine" | "urgent" | "stat";
    reason: string;
    waiting_s: number;
    capped: boolean;
    findings: number;
}

export interface Code {
    value: string;
    scheme: string;
    meaning: string;
}

export interface Finding {
    id: string;
    study: string;
    series: string;
    model: string;
    modelVersion: string;
    label: string;
    concept: Code;
    site: Code;
    side: string;
    volumeMl: number;
    score: number;
    centroidMm: [number, number, number];
    segment: number;
    seg: string;
    urgency: string;
    state: "unverified" | "accepted" | "rejected" | "superseded";
    judgedBy: string;
    comment: string;
    sentence: string;
}

export interface Job {
    key: string;
    series: string;
    model: string;
    state: string;
    outcome: string;
    reason: string;
}

// DICOM JSON (PS3.18 Annex F).
export type Dataset = Record<string, { vr: string; Value?: unknown[] }>;

async function check(answer: Response): Promise<Response> {
    if (answer.ok) return answer;
    const problem = await answer.json().catch(() => ({ detail: answer.statusText }));
    throw new Error(problem.detail ?? `HTTP ${answer.status}`);
}

export async function get<T>(path: string): Promise<T> {
    return (await check(await fetch(path))).json() as Promise<T>;
}

export async function post(path: string, body: unknown): Promise<void> {
    await check(await fetch(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }));
}

export function text(dataset: Dataset, tag: string): string {
    const value = dataset[tag]?.Value?.[0];
    if (value === undefined || value === null) return "";
    return typeof value === "object" ? ((value as { Alphabetic?: string }).Alphabetic ?? "") : String(value);
}

export function numbers(dataset: Dataset, tag: string): number[] {
    return (dataset[tag]?.Value ?? []).map(Number);
}

export function items(dataset: Dataset | undefined, tag: string): Dataset[] {
    return (dataset?.[tag]?.Value ?? []) as Dataset[];
}

// One frame's bytes out of the multipart answer of WADO-RS.
export async function frame(instance: string, number: number): Promise<Uint8Array> {
    const answer = await check(await fetch(`${instance}/frames/${number}`, { headers: { Accept: 'multipart/related; type="application/octet-stream"' } }));
    const bytes = new Uint8Array(await answer.arrayBuffer());
    const boundary = /boundary=([^;]+)/.exec(answer.headers.get("Content-Type") ?? "")?.[1] ?? "";
    let start = 0;
    while (start + 4 <= bytes.length && !(bytes[start] === 13 && bytes[start + 1] === 10 && bytes[start + 2] === 13 && bytes[start + 3] === 10)) start++;
    return bytes.slice(start + 4, bytes.length - boundary.length - 8); // CR LF -- boundary -- CR LF
}
