// Accepting and rejecting a finding, and changing one's mind. The name is the one typed: there are no logins yet.
import { useState } from "preact/hooks";
import { type Finding, path, post } from "./api";
import { date } from "./dates";

// The name that was typed last in this browser.
export function useName(): [string, (name: string) => void] {
    const [name, setName] = useState(localStorage.getItem("name") ?? "");
    const keep = (value: string) => {
        localStorage.setItem("name", value);
        setName(value);
    };
    return [name, keep];
}

function Judged({ finding, onChange }: { finding: Finding; onChange: () => void }) {
    return (
        <>
            <p class={`judged ${finding.state}`}>
                {finding.state} by <bdi>{finding.judgedBy}</bdi> <small>(name as typed, not verified)</small> {date(finding.judged)}
            </p>
            {finding.comment && (
                <p class="comment" dir="auto">
                    {finding.comment}
                </p>
            )}
            <button onClick={onChange}>Change</button>
        </>
    );
}

export function Judge({ finding, name, onDone }: { finding: Finding; name: string; onDone: () => Promise<void> }) {
    const [comment, setComment] = useState("");
    const [changing, setChanging] = useState(false);
    const [error, setError] = useState("");
    const say = (state: string) => {
        setError("");
        post(`${path("api", "findings", finding.id)}/judge`, { state, by: name, comment, version: finding.version })
            .then(onDone)
            .then(() => setChanging(false))
            .catch((why: Error) => {
                setError(why.message);
                return onDone(); // somebody else may have judged it
            })
            .catch(() => {}); // the study says that it could not be read
    };
    const change = () => {
        setError("");
        setComment(finding.comment);
        setChanging(true);
    };
    const wrong = error && (
        <p class="error" role="alert">
            {error}
        </p>
    );
    if (finding.state !== "unverified" && !changing)
        return (
            <>
                {wrong}
                <Judged finding={finding} onChange={change} />
            </>
        );
    return (
        <div class="judge">
            <textarea aria-label="Comment" placeholder="Comment" rows={1} maxLength={1000} value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
            <button disabled={!name} onClick={() => say("accepted")}>
                Accept
            </button>
            <button disabled={!name} onClick={() => say("rejected")}>
                Reject
            </button>
            {changing && <button onClick={() => setChanging(false)}>Cancel</button>}
            {!name && <small>Type your name above first.</small>}
            {wrong}
        </div>
    );
}
