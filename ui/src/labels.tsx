// The labels of a study, which say who sees it: shown to all who do, changed by who may.
import { useState } from "preact/hooks";
import { Refusal, get, put } from "./api";
import { Wrong } from "./panel";
import { may, useWho } from "./session";
import { useStore } from "./store";
import { t } from "./texts";

const words = t.labels;

// Who has all of `rest` and not `label`, by name: he sees the study once it is taken away. Told where the server tells it.
async function gainers(label: string, rest: string[]): Promise<string[]> {
    const gains = ({ labels = [] }: { labels?: string[] }) => !labels.includes(label) && rest.every((one) => labels.includes(one));
    const [accounts, tokens, peers] = await Promise.all([
        may("manage accounts") ? get("/api/accounts") : [],
        may("manage accounts") ? get("/api/tokens") : [],
        may("see the configuration") ? get("/api/peers") : [],
    ]);
    return [
        ...accounts.filter((one) => one.enabled && gains(one)).map(({ name }) => words.account(name)),
        ...tokens.filter(gains).map(({ name }) => words.token(name)),
        ...peers.filter(gains).map(({ name = "" }) => words.peer(name)),
    ];
}

interface Tags {
    labels: string[];
    missing: string[]; // there are, and the study has not
    busy: boolean;
    onTake: (label: string) => void;
    onAdd: (label: string) => void;
}

function Changeable({ labels, missing, busy, onTake, onAdd }: Tags) {
    return (
        <>
            {labels.map((label) => (
                <span key={label} class="tag">
                    <bdi>{label}</bdi>{" "}
                    <button disabled={busy} title={words.take(label)} aria-label={words.take(label)} onClick={() => onTake(label)}>
                        ×
                    </button>
                </span>
            ))}
            {missing.length > 0 && (
                <select aria-label={words.add} disabled={busy} value="" onChange={(event) => event.currentTarget.value && onAdd(event.currentTarget.value)}>
                    <option value="">{words.add} ...</option>
                    {missing.map((label) => (
                        <option key={label}>{label}</option>
                    ))}
                </select>
            )}
        </>
    );
}

export function StudyLabels({ study }: { study: string }) {
    const { session } = useWho();
    const { value, error: lost, again } = useStore("studyLabels", study);
    const all = useStore("labels").value ?? [];
    const [error, setError] = useState("");
    const [busy, setBusy] = useState(false);
    if (!value) return lost ? <Wrong error={words.lost(lost)} /> : null;
    const { labels, version } = value;
    const missing = all.map(({ name }) => name).filter((name) => !labels.includes(name));

    const change = (next: string[]) =>
        put("/api/studies/{study}/labels", { study }, { labels: next, version })
            .catch(async (why: Error) => {
                const isConflict = why instanceof Refusal && why.status === 409;
                const now = isConflict ? await get("/api/studies/{study}/labels", { study }).catch(() => null) : null;
                throw isConflict ? new Error(words.conflict(now?.labels ?? null)) : why;
            })
            .catch((why: Error) => setError(why.message))
            .then(again);
    const begin = (doing: () => Promise<unknown>) => {
        setError("");
        setBusy(true);
        void doing()
            .catch((why: Error) => setError(why.message))
            .then(() => setBusy(false));
    };
    const take = (label: string) =>
        begin(async () => {
            const rest = labels.filter((one) => one !== label);
            if (confirm(words.askTake(label, rest, await gainers(label, rest)))) await change(rest);
        });
    // Who lacks it himself sees the study no more.
    const add = (label: string) =>
        begin(async () => {
            if (!session?.labels.includes(label) && session?.kind === "user" && !confirm(words.askLose(label))) return;
            await change([...labels, label]);
        });
    const mayChange = may("say who sees a study");
    if (labels.length === 0 && !(mayChange && missing.length > 0)) return null;
    return (
        <span class="tags" role="group" aria-label={words.title}>
            {mayChange ? (
                <Changeable labels={labels} missing={missing} busy={busy} onTake={take} onAdd={add} />
            ) : (
                labels.map((label) => (
                    <bdi key={label} class="tag" title={all.find(({ name }) => name === label)?.description}>
                        {label}
                    </bdi>
                ))
            )}
            <Wrong error={error} />
        </span>
    );
}
