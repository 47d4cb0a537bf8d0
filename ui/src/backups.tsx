// How the backups stand: the last one, the one that is being made, why there is none, and which there are.
import { post } from "./api";
import { date, span } from "./dates";
import { type Column, Deed, type Mood, Panel, Table, bytes } from "./panel";
import { may } from "./session";
import { useStore } from "./store";
import { t } from "./texts";
import type { Backups as Standing } from "./types.gen";

const words = t.backups;

type Made = Standing["backups"][number];

function ageOf(time: string): string {
    return span(Math.max(0, (Date.now() - Date.parse(time)) / 1000));
}

function moodOf({ readable, damaged = 0 }: Made): Mood {
    return !readable || damaged > 0 ? "bad" : "good";
}

// The server's alarm says it where the last one is too old; here it is said where there is none, or the last try failed, or what there is has damage.
function standOf({ failed, last, backups, sameDisk }: Standing): Mood {
    if (failed) return "bad";
    if (sameDisk) return "warning"; // it is lost with what it is of
    return last && backups[0] && moodOf(backups[0]) === "good" ? "good" : "warning";
}

const COLUMNS: Column<Made>[] = [
    { title: words.columns.time, cell: ({ time }) => (time ? date(time) : ""), kind: "short" },
    { title: words.columns.name, cell: ({ name }) => <bdi>{name}</bdi>, kind: "short" },
    { title: words.columns.files, cell: ({ files }) => files, kind: "short" },
    { title: words.columns.bytes, cell: ({ bytes: size }) => bytes(size), kind: "short" },
    { title: words.columns.version, cell: ({ version }) => version, kind: "short" },
    { title: words.columns.state, cell: ({ readable, damaged = 0 }) => (!readable ? words.unreadable : damaged > 0 ? words.damaged(damaged) : words.whole), kind: "long" },
];

function Facts({ folder, at, keep, name, sameDisk }: { folder: string; at: string; keep: number; name: string; sameDisk: boolean }) {
    return (
        <>
            <p class="facts">
                <span class="fact">
                    {words.facts.folder} <bdi>{folder}</bdi>
                </span>
                <span class="fact">
                    {words.facts.at} <bdi>{at && !sameDisk ? words.each(at) : words.asked}</bdi>
                </span>
                <span class="fact">
                    {words.facts.keep} <bdi>{keep}</bdi>
                </span>
                <span class="fact">
                    {words.facts.key} <bdi>{name}</bdi>
                </span>
            </p>
            {at && sameDisk && <p class="warning">{words.sameDisk(at)}</p>}
            <p>{words.copy}</p>
        </>
    );
}

// Of what has no known end the bar only moves.
function Running({ running }: { running: NonNullable<Standing["running"]> }) {
    const { since, what, done, total } = running;
    const far = total > 0 ? words.done(what === "database" ? `${Math.floor((100 * done) / total)} %` : bytes(done), what === "database" ? "" : bytes(total)) : "";
    return (
        <p class="making" role="status">
            {words.making(date(since))} <progress aria-label={words.title} max={total || undefined} value={total > 0 ? done : undefined} /> {what && (words.parts[what] ?? what)} {far}
        </p>
    );
}

function None() {
    return (
        <>
            <p class="warning">{words.none}</p>
            <ol class="todo">
                {words.todo.map(([say, write]) => (
                    <li key={say}>
                        {say}
                        <pre>{write}</pre>
                    </li>
                ))}
            </ol>
        </>
    );
}

export function Backups() {
    const { value, error, again } = useStore("backups");
    const why = may("operate the system") ? "" : t.notAllowed("operate the system");
    if (!value) return <Panel title={words.title} says={t.loading} error={error} />;
    const { folder, key, at, keep, last, running, failed, backups } = value;
    if (!folder)
        return (
            <Panel title={words.title} mood="warning" says={words.off} error={error}>
                <None />
            </Panel>
        );
    return (
        <Panel
            title={words.title}
            mood={standOf(value)}
            says={last ? words.last(date(last), ageOf(last)) : words.noneYet}
            error={error}
            tools={<Deed words={words.make} why={why || (running ? words.isMaking : "")} onDo={() => post("/api/backups", {}, {}).then(again)} />}
        >
            <Facts folder={folder} at={at} keep={keep} name={key} sameDisk={value.sameDisk} />
            {running && <Running running={running} />}
            {failed && (
                <p class="error" role="alert">
                    {words.failed(date(failed.time))} <bdi>{failed.reason}</bdi>
                </p>
            )}
            <Table name={words.title} columns={COLUMNS} rows={backups} keyOf={({ name }) => name} moodOf={moodOf} />
        </Panel>
    );
}
