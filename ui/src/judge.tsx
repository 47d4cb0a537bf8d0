// Accepting and rejecting a finding, and changing one's mind.
import { useState } from "preact/hooks";
import { type Finding, post } from "./api";
import { date } from "./dates";
import { useDraft, useSigner } from "./session";
import { t } from "./texts";

function Judged({ finding, onChange }: { finding: Finding; onChange: () => void }) {
    return (
        <>
            <p class={`judged ${finding.state}`}>
                {t.judge.by(finding.state)} <bdi>{finding.judgedBy}</bdi> <small>{useSigner().isVerified ? t.judge.notRecorded : t.judge.asTyped}</small> {date(finding.judged)}
            </p>
            {finding.comment && (
                <p class="comment" dir="auto">
                    {finding.comment}
                </p>
            )}
            <button onClick={onChange}>{t.judge.change}</button>
        </>
    );
}

// `why`: it cannot be judged; "": it can.
export function Judge({ finding, name, why, onDone }: { finding: Finding; name: string; why: string; onDone: () => Promise<void> }) {
    const [comment, setComment] = useDraft(finding.id);
    const [changing, setChanging] = useState(false);
    const [error, setError] = useState("");
    const finish = () => {
        setComment("");
        setChanging(false);
    };
    const say = (state: string) => {
        setError("");
        post("/api/findings/{id}/judge", { id: finding.id }, { state, by: name, comment, version: finding.version })
            .then(onDone)
            .then(finish)
            .catch((why: Error) => {
                setError(why.message);
                return onDone(); // somebody else may have judged it
            });
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
            <textarea aria-label={t.judge.comment} placeholder={t.judge.comment} rows={1} maxLength={1000} value={comment} onInput={(event) => setComment(event.currentTarget.value)} />
            <button disabled={!!why} onClick={() => say("accepted")}>
                {t.judge.accept}
            </button>
            <button disabled={!!why} onClick={() => say("rejected")}>
                {t.judge.reject}
            </button>
            {changing && <button onClick={finish}>{t.cancel}</button>}
            {why && <small>{why}</small>}
            {wrong}
        </div>
    );
}
