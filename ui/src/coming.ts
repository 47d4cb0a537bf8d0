// What the page asks of the server and docs/openapi.json does not describe yet. A row goes away when its path is described there.
export type Step = { step: string; state: "unknown" | "ok" | "warning" | "failed"; said: string; remedy: string };
export type Connection = { kind: string; name: string; about: string; state: Step["state"]; steps: Step[]; checked: string | null };
export type AuditLine = { file: number; seq: number; time: string; event: string; outcome: "success" | "failure"; actor: string; address: string; patient: string; study: string; detail: string; count: number };

export interface Coming {
    "GET /api/connections": Connection[];
    "POST /api/connections/{kind}/{name}/check": Connection;
    "GET /api/audit": { lines: AuditLine[]; more: boolean; before: string; unreadable: number };
}
