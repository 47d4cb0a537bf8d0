// The audit trail for a reviewer: who did what, to whose data, from where; newest first, by what is asked for.
import { useState } from "preact/hooks";
import type { AuditLine } from "./api";
import { instant, moment } from "./dates";
import { type Column, StudyLink, Table, Wrong } from "./panel";
import { useStore } from "./store";
import { t } from "./texts";

const words = t.audit;
const LINES_AT_ONCE = 100;
const FIELDS = ["from", "until", "actor", "patient", "study", "event"] as const;
type Asked = Record<(typeof FIELDS)[number], string>;
const NOTHING: Asked = { from: "", until: "", actor: "", patient: "", study: "", event: "" };

// null: of what was typed one is no day.
function queryOf(asked: Asked, before: string): string | null {
    const times = [asked.from, asked.until].map((typed) => (typed.trim() ? instant(typed) : ""));
    if (times.includes(null)) return null;
    const given: Record<string, string> = { ...asked, from: times[0] ?? "", until: times[1] ?? "", limit: String(LINES_AT_ONCE), before };
    return String(new URLSearchParams(Object.entries(given).filter(([, value]) => value)));
}

const COLUMNS: Column<AuditLine>[] = [
    { title: words.columns.time, cell: ({ time }) => <span title={time}>{moment(time)}</span>, kind: "short" },
    { title: words.columns.actor, cell: ({ actor, verified }) => <bdi title={verified && words.verified(verified)}>{actor}</bdi> },
    { title: words.columns.event, cell: ({ event, count }) => `${event}${count > 1 ? `, ${words.times(count)}` : ""}` },
    { title: words.columns.outcome, cell: ({ outcome }) => outcome, kind: "short" },
    { title: words.columns.patient, cell: ({ patient }) => <bdi class="id" title={patient}>{patient}</bdi> },
    { title: words.columns.study, cell: ({ study }) => <StudyLink study={study} />, kind: "short" },
    { title: words.columns.detail, cell: ({ detail }) => <bdi class="clip" title={detail}>{detail}</bdi>, kind: "long" },
    { title: words.columns.address, cell: ({ address }) => address, kind: "short" },
];

export function Audit() {
    const [typed, setTyped] = useState(NOTHING);
    const [asked, setAsked] = useState(NOTHING);
    const [before, setBefore] = useState(""); // where the answer before ended; "": the newest
    const [wrong, setWrong] = useState("");
    const { value, error } = useStore("audit", queryOf(asked, before) ?? "");
    const lines = value?.lines ?? [];
    const show = (event: SubmitEvent) => {
        event.preventDefault();
        const isFit = queryOf(typed, "") !== null;
        setWrong(isFit ? "" : words.noDay);
        if (!isFit) return;
        setBefore("");
        setAsked(typed);
    };
    return (
        <main class="audit">
            <header>
                <h1>{t.screens.audit}</h1>
            </header>
            <form class="fields filter" onSubmit={show}>
                {FIELDS.map((name) => (
                    <label key={name}>
                        {words.fields[name]} <input name={name} spellcheck={false} placeholder={name === "from" || name === "until" ? words.day : ""} value={typed[name]} onInput={(event) => setTyped({ ...typed, [name]: event.currentTarget.value })} />
                    </label>
                ))}
                <button class="main">{words.show}</button>
            </form>
            <Wrong error={wrong || error} />
            <Table name={t.screens.audit} columns={COLUMNS} rows={lines} keyOf={({ file, seq }) => `${file} ${seq}`} moodOf={({ outcome }) => (outcome === "success" ? "unknown" : "warning")} />
            {value && lines.length === 0 && <p>{value.more ? words.noneYet : words.none}</p>}
            {value && value.unreadable > 0 && <p class="error">{words.unreadable(value.unreadable)}</p>}
            {!value && !error && <p>{t.loading}</p>}
            <p>
                {before && <button onClick={() => setBefore("")}>{words.newest}</button>} {value?.more && <button onClick={() => setBefore(value.before)}>{words.older}</button>}
            </p>
        </main>
    );
}
