// The server's API, in the types that are made of its description (docs/openapi.json), and what every request and refusal has in common.
import type { Dataset } from "./dicom";
import { t } from "./texts";
import type { Answers, WorklistItem } from "./types.gen";

export type { Conflict, Connection, ConnectionStep as Step, Delivery, Finding, Flagged as Flag, Hl7Target, Job, Model, Peer, Refused, Result, Rule, Session, WorklistItem as Item } from "./types.gen";

type Paths<Method extends string> = keyof Answers extends infer Row ? (Row extends `${Method} ${infer Path}` ? Path : never) : never;
type Answer<Method extends string, Path extends string> = `${Method} ${Path}` extends keyof Answers ? Answers[`${Method} ${Path}`] : never;
export type Readable = Paths<"GET">;

// Who has read a study that is off the list; read null: it is on it, or never was.
export type Mark = Answer<"GET", "/api/worklist/{study}/read">;
export type AuditLine = Answer<"GET", "/api/audit">["lines"][number];
// How one can log in.
export type LoginWays = Answer<"GET", "/api/login">;
// What a model says of a volume, in short.
export type Said = WorklistItem["models"][number];
// What came of asking the models again about a study's series.
export type Asked = Answer<"POST", "/api/studies/{study}/ask">;

// A refusal, with what the server said of it.
export class Refusal extends Error {
    constructor(
        readonly status: number,
        why: string,
    ) {
        super(why);
    }
}

// What every request carries, and who hears that nobody is logged in any more (session.ts).
const asker = { csrf: "", onNobody: () => {} };

export function askAs(csrf: string): void {
    asker.csrf = csrf;
}

export function whenNobody(hear: () => void): void {
    asker.onNobody = hear;
}

// What is read may be read by the page itself, with nobody there: it keeps no session going.
// Errors are problem+json, whose detail is a sentence; without an answer the browser's own words say nothing to a reader.
async function ask(path: string, init: RequestInit = {}): Promise<Response> {
    const own: Record<string, string> = !init.method ? { "X-Hilum-Background": "1" } : asker.csrf ? { "X-Hilum-CSRF": asker.csrf } : {};
    const headers = { ...own, ...init.headers };
    const answer = await fetch(path, { ...init, headers }).catch(() => {
        throw new Error(t.server.unreachable);
    });
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => ({}))) as { detail?: string };
    const why = problem.detail ?? t.server.answered(answer.status, answer.statusText);
    if (answer.status === 401 && path !== "/api/session" && !path.startsWith("/api/login")) asker.onNobody();
    throw new Refusal(answer.status, answer.status === 500 ? t.server.broken(why) : why);
}

// That somebody is at the page.
export async function tellActive(): Promise<void> {
    await fetch("/api/login").catch(() => {}); // he sees what cannot be reached
}

type Values = Record<string, string | number | boolean>;

// A route with its parts filled in; whatever it has no part for is a query, unless it is "". Names come from outside and may be anything.
export function address(route: string, values: Values = {}): string {
    const rest = { ...values };
    const path = route.replace(/\{(\w+)\}/g, (_, name: string) => {
        const value = rest[name]!;
        delete rest[name];
        return encodeURIComponent(value);
    });
    const query = Object.entries(rest).filter(([, value]) => value !== "");
    return path + (query.length > 0 ? `?${query.map(([name, value]) => `${name}=${encodeURIComponent(value)}`).join("&")}` : "");
}

// Of a path that the description does not have in JSON: DICOMweb's.
export async function getAt<T>(path: string): Promise<T> {
    return (await ask(path)).json() as Promise<T>;
}

export async function get<Path extends Readable>(route: Path, values?: Values): Promise<Answer<"GET", Path>> {
    return getAt(address(route, values));
}

// The first rows of a list, and a sentence where the server holds more than it gave.
export interface Rows<T> {
    rows: T[];
    more: string;
}

export async function getRows<Path extends Readable>(route: Path, values?: Values): Promise<Rows<Answer<"GET", Path> extends (infer Row)[] ? Row : never>> {
    const answer = await ask(address(route, values));
    const rows = await answer.json();
    const total = Number(answer.headers.get("X-Total-Count") ?? rows.length);
    return { rows, more: total > rows.length ? t.more(rows.length, total) : "" };
}

// Whatever changes something; an answer without a body is null.
async function change(method: string, route: string, values?: Values, body?: unknown) {
    const init = body === undefined ? { method } : { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
    const text = await (await ask(address(route, values), init)).text();
    return text ? JSON.parse(text) : null;
}

export function post<Path extends Paths<"POST">>(route: Path, values: Values, body: unknown): Promise<Answer<"POST", Path>> {
    return change("POST", route, values, body);
}

export function put<Path extends Paths<"PUT">>(route: Path, values: Values, body: unknown): Promise<Answer<"PUT", Path>> {
    return change("PUT", route, values, body);
}

export function remove<Path extends Paths<"DELETE">>(route: Path, values: Values = {}): Promise<Answer<"DELETE", Path>> {
    return change("DELETE", route, values);
}

// A gauge of /metrics; null where it is not there.
export async function gauges(names: string[]): Promise<(number | null)[]> {
    const text = await (await ask("/metrics")).text();
    return names.map((name) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? NaN)).map((value) => (Number.isNaN(value) ? null : value));
}

const ROWS_AT_ONCE = 5000; // the most that one search gives

// All that a search of QIDO-RS finds.
export async function search(path: string): Promise<Dataset[]> {
    const all: Dataset[] = [];
    for (let more = true; more; ) {
        const some = await getAt<Dataset[]>(`${path}${path.includes("?") ? "&" : "?"}limit=${ROWS_AT_ONCE}&offset=${all.length}`);
        all.push(...some);
        more = some.length === ROWS_AT_ONCE;
    }
    return all;
}

// A path of these parts. UIDs come from outside and may be anything.
export function path(...parts: (string | number)[]): string {
    return parts.map((part) => `/${encodeURIComponent(part)}`).join("");
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
