// What the page asks of the server and docs/openapi.json does not describe yet. A row goes away when its path is described there.
import type { Session } from "./types.gen";

export type Provider = { name: string; words: string; url: string };
export type LoginWays = { needed: boolean; password: boolean; first: boolean; providers: Provider[] };
export type Account = { name: string; shown: string; roles: string[]; labels?: string[]; enabled: boolean; hasPassword: boolean; issuer: string; subject: string; version: number };
export type Token = { name: string; roles: string[]; labels?: string[]; made: string; ends: string; madeBy: string };
export type OpenSession = { id: string; name: string; shown: string; way: string; began: string; used: string; ends: string };
export type Step = { step: string; state: "unknown" | "ok" | "warning" | "failed"; said: string; remedy: string };
export type Connection = { kind: string; name: string; about: string; state: Step["state"]; steps: Step[]; checked: string | null };
export type AuditLine = { file: number; seq: number; time: string; event: string; outcome: "success" | "failure"; actor: string; address: string; patient: string; study: string; detail: string; count: number };

export interface Coming {
    "GET /api/login": LoginWays;
    "GET /api/accounts": Account[];
    "PUT /api/accounts/{name}": Account;
    "DELETE /api/accounts/{name}": null;
    "PUT /api/accounts/{name}/password": Session;
    "GET /api/tokens": Token[];
    "POST /api/tokens": { token: string };
    "DELETE /api/tokens/{name}": null;
    "GET /api/sessions": OpenSession[];
    "DELETE /api/sessions/{id}": null;
    "POST /api/session": Session;
    "DELETE /api/session": null;
    "POST /api/login/first": Session;
    "GET /api/connections": Connection[];
    "POST /api/connections/{kind}/{name}/check": Connection;
    "GET /api/audit": { lines: AuditLine[]; more: boolean; before: string; unreadable: number };
}
