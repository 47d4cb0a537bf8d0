// Who is at the page, what he may do, and the end of that: one session for all tabs.
import { useEffect, useState } from "preact/hooks";
import { Refusal, type Session, askAs, get, post, remove, tellActive, whenNobody } from "./api";

// The words of the server's own table (`hilum access table`).
export type Action =
    | "load the page"
    | "see the status"
    | "see the operation"
    | "operate the system"
    | "see the configuration"
    | "change the configuration"
    | "enter models"
    | "query patients and studies"
    | "retrieve objects"
    | "see results"
    | "say who sees a study"
    | "judge"
    | "send to other systems again"
    | "see the audit trail"
    | "acknowledge in the audit trail"
    | "manage accounts";

const AGAIN_MS = 3_000;
const WARNING_S = 60;
const BACK = "back"; // sessionStorage: where one was before a provider's login
const ACTIVE = "active"; // localStorage: when the server was last told that somebody is at one of the tabs
const TOLD_PER_IDLE = 10; // so often in the time that a session may be idle

export interface Elsewhere {
    provider: string;
    url: string; // where that is ended
}

interface Who {
    session: Session | null | undefined; // null: nobody; undefined: not known yet
    error: string; // why it is not known
    ended: boolean; // by time, with nobody at it
    elsewhere: Elsewhere | null; // where one that was logged off here is logged in still
}

let who: Who = { session: undefined, error: "", ended: false, elsewhere: null };
const hearers = new Set<(who: Who) => void>();
const tabs = new BroadcastChannel("hilum session");

function become(next: Partial<Who>): void {
    who = { ...who, error: "", ...next };
    askAs(who.session?.csrf ?? "");
    for (const hear of hearers) hear(who);
}

// What is answered after somebody has come or gone here may be of before: it is asked again.
export async function askWho(): Promise<void> {
    const before = who;
    const answer = await get("/api/session").catch((why: Error) => why);
    if (who !== before) return askWho();
    if (!(answer instanceof Error)) {
        become({ session: JSON.stringify(answer) === JSON.stringify(who.session) ? who.session : answer }); // the same one: nothing begins anew
    } else if (answer instanceof Refusal && answer.status === 401) {
        become({ session: null });
    } else {
        become({ error: answer.message });
        setTimeout(() => void askWho(), AGAIN_MS);
    }
}

whenNobody(() => void (who.session && askWho())); // it may be of a request of before the login
tabs.onmessage = () => void askWho();

export function useWho(): Who {
    const [present, setPresent] = useState(who);
    useEffect(() => {
        hearers.add(setPresent);
        setPresent(who);
        return () => void hearers.delete(setPresent);
    }, []);
    return present;
}

export function may(action: Action): boolean {
    return who.session?.actions.includes(action) ?? false;
}

// ---- in and out

export async function logIn(name: string, password: string): Promise<void> {
    enter(await post("/api/session", {}, { name, password }));
}

export async function logInFirst(code: string, name: string, password: string): Promise<void> {
    enter(await post("/api/login/first", {}, { code, name, password }));
}

// As who has just shown who he is.
export function enter(session: Session): void {
    localStorage.setItem(ACTIVE, String(Date.now()));
    become({ session, ended: false, elsewhere: null });
    tabs.postMessage("in");
}

// By hand: what was not sent is not kept either. By time it is.
export async function logOff(ended = false): Promise<void> {
    if (!ended) for (const key of Object.keys(sessionStorage)) if (key.startsWith(DRAFT)) sessionStorage.removeItem(key);
    const elsewhere = await remove("/api/session").catch(() => null); // it has ended there already, or ends by itself
    become({ session: null, ended, elsewhere });
    tabs.postMessage("out");
}

// A provider's login leaves the page: where one was is kept.
export function remember(): void {
    sessionStorage.setItem(BACK, location.hash);
}

export function comeBack(): void {
    const back = sessionStorage.getItem(BACK);
    sessionStorage.removeItem(BACK);
    if (back && !location.hash) location.replace(back);
}

// ---- the end with nobody at it

// What the page reads by itself keeps no session going: that somebody is here is told by this alone, now and then.
function noteActivity(session: Session): void {
    const now = Date.now();
    const often = Math.max(1, Math.min(session.idle_s / TOLD_PER_IDLE, session.idle_s - WARNING_S)); // who is warned is heard
    if (now - Number(localStorage.getItem(ACTIVE)) < often * 1000) return;
    localStorage.setItem(ACTIVE, String(now));
    void tellActive();
}

// Seconds until the session ends, in its last minute; null before. `forSure`: whatever somebody does.
export function useEnd(session: Session): { left: number; forSure: boolean } | null {
    const [end, setEnd] = useState<{ left: number; forSure: boolean } | null>(null);
    useEffect(() => {
        if (session.kind !== "user") return;
        const look = () => {
            const idle = session.idle_s > 0 ? Number(localStorage.getItem(ACTIVE)) + session.idle_s * 1000 : Infinity;
            const last = session.ends ? Date.parse(session.ends) : Infinity;
            const left = Math.ceil((Math.min(idle, last) - Date.now()) / 1000);
            setEnd(left <= WARNING_S ? { left, forSure: last < idle } : null);
            if (left <= 0) void logOff(true);
        };
        const note = () => noteActivity(session);
        note();
        const kinds = ["pointerdown", "pointermove", "keydown", "wheel"];
        for (const kind of kinds) addEventListener(kind, note, { passive: true });
        const timer = setInterval(look, 1000);
        return () => {
            clearInterval(timer);
            for (const kind of kinds) removeEventListener(kind, note);
        };
    }, [session.kind, session.idle_s, session.ends]);
    return end;
}

// ---- whose word it is

// The verified name of who is logged in, or the one that was typed last in this browser.
export interface Signer {
    name: string;
    shown: string; // for people
    isVerified: boolean;
    type: (name: string) => void;
}

export function useSigner(): Signer {
    const { session } = useWho();
    const [typed, setTyped] = useState(localStorage.getItem("name") ?? "");
    const isVerified = session?.kind === "user";
    const type = (name: string) => {
        localStorage.setItem("name", name);
        setTyped(name);
    };
    return { name: isVerified ? session.name : typed, shown: isVerified ? session.shown || session.name : typed, isVerified, type };
}

// ---- what was typed and not sent yet: it outlasts a logoff by time, for the same person in the same tab

const DRAFT = "draft ";

export function useDraft(what: string): [string, (text: string) => void] {
    const key = `${DRAFT}${who.session?.name ?? ""} ${what}`;
    const [text, setText] = useState(sessionStorage.getItem(key) ?? "");
    const keep = (value: string) => {
        setText(value);
        if (value) sessionStorage.setItem(key, value);
        else sessionStorage.removeItem(key);
    };
    return [text, keep];
}
