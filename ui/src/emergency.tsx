// "Break the glass": who reads, and lacks a study's labels, sees it in an emergency for an hour, with a reason that stays.
import { useEffect, useState } from "preact/hooks";
import { type Session, post } from "./api";
import { date } from "./dates";
import { Wrong } from "./panel";
import { askWho, enter, logOff, may, useWho } from "./session";
import { useStore } from "./store";
import { t } from "./texts";

const words = t.emergency;
const REASON_MIN = 10;
const REASON_MAX = 500;
const LOOK_MS = 30_000; // it ends by itself, and with the server

function ReasonForm() {
    const [reason, setReason] = useState("");
    const [error, setError] = useState("");
    const [busy, setBusy] = useState(false);
    const given = reason.trim().replace(/\s+/g, " "); // on one line, as the trail has it
    const begin = (event: SubmitEvent) => {
        event.preventDefault();
        setError("");
        setBusy(true);
        post("/api/session/break-glass", {}, { reason: given })
            .then(enter)
            .catch((why: Error) => {
                setError(why.message);
                setBusy(false);
            });
    };
    return (
        <form class="fields" onSubmit={begin}>
            <p>{words.follows}</p>
            <ul class="follows">
                {words.consequences.map((line) => (
                    <li key={line}>{line}</li>
                ))}
            </ul>
            <label>
                {words.reason(REASON_MIN, REASON_MAX)}
                <textarea name="reason" rows={2} maxLength={REASON_MAX} value={reason} onInput={(event) => setReason(event.currentTarget.value)} />
            </label>
            <Wrong error={error} />
            <button class="main" disabled={busy || given.length < REASON_MIN}>
                {words.begin}
            </button>
        </form>
    );
}

// Nothing where no study can be hidden from whoever is here.
function Entry({ session }: { session: Session }) {
    const { value: labels } = useStore("labels");
    if (!labels?.some(({ name }) => !session.labels.includes(name))) return null;
    return (
        <details class="emergency">
            <summary>{words.title}</summary>
            <ReasonForm />
        </details>
    );
}

// What the server takes it for: a person who reads, and is logged in.
export function EmergencyAccess() {
    const { session } = useWho();
    if (!session || session.kind !== "user" || session.emergency || !may("judge") || !may("see the status")) return null;
    return <Entry session={session} />;
}

export function Emergency({ session }: { session: Session }) {
    const until = session.emergency;
    useEffect(() => {
        if (!until) return;
        const timer = setInterval(() => void askWho(), LOOK_MS);
        return () => clearInterval(timer);
    }, [until]);
    if (!until) return null;
    return (
        <p class="banner emergency-banner" role="status">
            <span>
                <b>{words.stands(date(until))}</b> {words.meanwhile}
            </span>{" "}
            <button onClick={() => void logOff()}>{words.end}</button>
        </p>
    );
}
