// Whether this server and the others understand each other: each connection step by step, what is wrong, on which side, and what to do.
import { useState } from "preact/hooks";
import { type Connection, type Step, post } from "./api";
import { date } from "./dates";
import { Deed, type Mood, Panel, Wrong } from "./panel";
import { Peers } from "./peers";
import { may } from "./session";
import { useStore } from "./store";
import { t } from "./texts";

const words = t.connections;
const MOODS: Record<Step["state"], Mood> = { unknown: "unknown", ok: "good", warning: "warning", failed: "bad" };

function Steps({ steps }: { steps: Step[] }) {
    return (
        <ol class="steps">
            {steps.map(({ step, state, said, remedy }) => (
                <li key={step} class={MOODS[state]}>
                    <b>{step}</b> {words.states[state]}
                    {said && (
                        <>
                            : <bdi class="said-there">{said}</bdi>
                        </>
                    )}
                    {remedy && (
                        <p class="remedy">
                            {words.remedy} <bdi>{remedy}</bdi>
                        </p>
                    )}
                </li>
            ))}
        </ol>
    );
}

const check = ({ kind, name }: Connection) => post("/api/connections/{kind}/{name}/check", { kind, name }, {});

// What is well is one line; what is not stands open.
function Row({ connection, onDone }: { connection: Connection; onDone: () => Promise<void> }) {
    const { kind, name, about, state, steps, checked } = connection;
    const why = may("operate the system") ? "" : t.notAllowed("operate the system");
    return (
        <details class="connection" open={state === "failed" || state === "warning"} data-key={`${kind} ${name}`}>
            <summary>
                <span class={`state ${MOODS[state]}`}>{words.states[state]}</span>
                <b>
                    <bdi>{name}</bdi>
                </b>
                <span class="fact">
                    {words.kinds[kind] ?? kind}
                    {about && (
                        <>
                            , <bdi>{about}</bdi>
                        </>
                    )}
                </span>
                <span class="fact when">{checked && `${words.checked} ${date(checked)}`}</span>
            </summary>
            <Steps steps={steps} />
            <p>
                <Deed words={words.check} label={`${words.check}: ${name}`} why={why} onDo={() => check(connection).then(onDone)} />
            </p>
        </details>
    );
}

const ORDER: Step["state"][] = ["failed", "warning", "unknown", "ok"];

// One after the other, so that what is seen of one is not the other's doing.
function CheckAll({ rows, onDone }: { rows: Connection[]; onDone: () => Promise<void> }) {
    const [done, setDone] = useState(0);
    const all = async () => {
        const failed: string[] = [];
        for (const [at, row] of rows.entries()) {
            setDone(at);
            await check(row).catch((why: Error) => failed.push(`${row.name}: ${why.message}`));
        }
        setDone(0);
        await onDone();
        if (failed.length > 0) throw new Error(failed.join("; "));
    };
    return (
        <>
            {done > 0 && <small role="status">{words.checking(done, rows.length)}</small>} <Deed words={words.checkAll} why={may("operate the system") ? "" : t.notAllowed("operate the system")} onDo={all} />
        </>
    );
}

function Checks() {
    const { value, error, again } = useStore("connections");
    const rows = [...(value ?? [])].sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state));
    const count = (wanted: Step["state"]) => rows.filter(({ state }) => state === wanted).length;
    const mood = MOODS[ORDER.find((state) => count(state) > 0) ?? "ok"];
    return (
        <Panel title={words.title} mood={mood} says={value ? words.says(count("failed"), count("warning"), count("unknown")) : t.loading} tools={rows.length > 0 && <CheckAll rows={rows} onDone={again} />}>
            <Wrong error={error} />
            {rows.map((row) => (
                <Row key={`${row.kind} ${row.name}`} connection={row} onDone={again} />
            ))}
        </Panel>
    );
}

export function Connections() {
    return (
        <main class="connections">
            <header>
                <h1>{t.screens.connections}</h1>
            </header>
            <Checks />
            <Peers />
        </main>
    );
}
