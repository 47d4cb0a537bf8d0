// What the page asks of the server and docs/openapi.json does not describe yet. A row goes away when its path is described there.
export type Step = { step: string; state: "unknown" | "ok" | "warning" | "failed"; said: string; remedy: string };
export type Connection = { kind: string; name: string; about: string; state: Step["state"]; steps: Step[]; checked: string | null };

export interface Coming {
    "GET /api/connections": Connection[];
    "POST /api/connections/{kind}/{name}/check": Connection;
}
