// What runs, what is stuck and why, and what an administrator does about it: a section for each, in one line where all is well.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { type Delivery, type Flag, type Hl7Target, type Job, type Rule, post, put, remove } from "./api";
import { Backups } from "./backups";
import { date } from "./dates";
import { type Column, Deed, type Entry, type Field, Form, type Mood, Panel, StudyLink, Table, bytes } from "./panel";
import { type Action, may, useSigner } from "./session";
import { Signature } from "./signature";
import { STUCK } from "./sources";
import { useStore } from "./store";
import { t } from "./texts";

const words = t.operation;

interface Acting {
    by: string; // who acts
    why: string; // nobody signs yet; "": somebody does
}

function whyNot(action: Action, acting?: Acting): string {
    return may(action) ? (acting?.why ?? "") : t.notAllowed(action);
}

// ---- the server

function Server() {
    const { value: health, error } = useStore("health");
    const { value: status } = useStore("status");
    const { value: disk } = useStore("disk");
    const [free, low] = disk ?? [];
    const all = words.server;
    const facts: [string, ComponentChildren][] = [
        [all.facts.version, status?.version],
        [all.facts.started, date(status?.started ?? null)],
        [all.facts.studies, status?.studies],
        [all.facts.series, status?.series],
        [all.facts.instances, status?.instances],
        [all.facts.stored, bytes(status?.bytes)],
        [all.facts.free, bytes(free)],
        [all.facts.low, bytes(low)],
        [all.facts.storing, health?.storing],
        [all.facts.audit, health?.audit],
        [all.facts.folder, status?.modelsFolder],
    ];
    const mood = { ok: "good", warnings: "warning", failed: "bad" } as const;
    const says = health && { ok: all.ok, warnings: all.warnings(health.warnings.length), failed: all.failed }[health.status];
    return (
        <Panel title={all.title} mood={health ? mood[health.status] : undefined} says={says} error={error}>
            <p class="facts">
                {facts.map(
                    ([name, value]) =>
                        value !== undefined &&
                        value !== "" && (
                            <span key={name} class="fact">
                                {name} <bdi>{value}</bdi>
                            </span>
                        ),
                )}
            </p>
            <ul class="alarms">
                {health?.warnings.map((line) => (
                    <li key={line}>{line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, date)}</li>
                ))}
            </ul>
        </Panel>
    );
}

// ---- deliveries

const DELIVERY_STATES = ["dead", "waiting", "sending", "given up", "done", "obsolete"];
const DELIVERY_MOODS: Record<Delivery["state"], Mood> = { dead: "bad", waiting: "warning", sending: "warning", "given up": "unknown", done: "good", obsolete: "unknown" };

function Filter({ state, states, stuck, onState }: { state: string; states: string[]; stuck: string; onState: (state: string) => void }) {
    return (
        <label>
            {words.deliveries.filter}{" "}
            <select value={state} onChange={(event) => onState(event.currentTarget.value)}>
                <option value={STUCK}>{stuck}</option>
                {states.map((one) => (
                    <option key={one}>{one}</option>
                ))}
                <option value="">{t.all}</option>
            </select>
        </label>
    );
}

const isDead = ({ state }: Delivery) => state === "dead";
const isOpen = ({ state }: Delivery) => state === "waiting" || state === "dead";

interface Target {
    kind: string;
    target: string;
    rows: Delivery[];
}

function targetsOf(rows: Delivery[]): Target[] {
    const targets = new Map<string, Target>();
    for (const row of rows) {
        const name = `${row.kind} ${row.target}`;
        const one = targets.get(name) ?? { kind: row.kind, target: row.target, rows: [] };
        one.rows.push(row);
        targets.set(name, one);
    }
    return [...targets.values()];
}

function oldest(rows: Delivery[]): string {
    return rows.map(({ created }) => created).sort()[0] ?? "";
}

function Deliveries({ acting }: { acting: Acting }) {
    const all = words.deliveries;
    const [state, setState] = useState(STUCK);
    const { value, error, again } = useStore("deliveries", state);
    const stuck = useStore("deliveries", STUCK).value?.rows ?? [];
    const why = whyNot("send to other systems again", acting);
    const dead = stuck.filter(isDead).length;
    const then = (said?: string) => again().then(() => said);
    const byTarget: Column<Target>[] = [
        { title: all.columns.target, cell: ({ target }) => <bdi>{target}</bdi> },
        { title: all.columns.kind, cell: ({ kind }) => kind, kind: "short" },
        { title: all.columns.count, cell: ({ rows }) => rows.length, kind: "short" },
        { title: all.columns.created, cell: ({ rows }) => date(oldest(rows)), kind: "short" },
        { title: all.columns.error, cell: ({ rows }) => <span class="clip">{rows.find(({ lastError }) => lastError)?.lastError}</span>, kind: "long" },
        {
            title: "",
            cell: ({ kind, target, rows }) => (
                <>
                    {rows.some(isDead) && <Deed words={all.replayAll} label={`${all.replayAll}: ${target}`} why={why} onDo={() => post("/api/deliveries/replay", {}, { kind, target }).then(({ count }) => then(all.replayed(count)))} />}
                    <Deed words={all.giveUpAll} label={`${all.giveUpAll}: ${target}`} reason={all.reason} why={why} onDo={(reason) => post("/api/deliveries/give-up", {}, { kind, target, by: acting.by, reason }).then(({ count }) => then(all.gaveUp(count)))} />
                </>
            ),
            kind: "short",
        },
    ];
    const columns: Column<Delivery>[] = [
        { title: all.columns.target, cell: ({ target, kind }) => <bdi title={kind}>{target}</bdi> },
        { title: all.columns.state, cell: ({ state }) => state, kind: "short" },
        { title: all.columns.study, cell: ({ study }) => <StudyLink study={study} />, kind: "short" },
        { title: all.columns.attempts, cell: ({ attempts }) => attempts, kind: "short" },
        { title: all.columns.created, cell: ({ created }) => date(created), kind: "short" },
        { title: all.columns.error, cell: ({ lastError }) => <span class="clip" title={lastError}>{lastError}</span>, kind: "long" },
        {
            title: "",
            cell: (row) => (
                <>
                    {(isDead(row) || row.state === "given up") && <Deed words={all.replay} why={why} onDo={() => post("/api/deliveries/{id}/replay", { id: row.id }, {}).then(() => then())} />}
                    {isOpen(row) && <Deed words={all.giveUp} reason={all.reason} why={why} onDo={(reason) => post("/api/deliveries/{id}/give-up", { id: row.id }, { by: acting.by, reason }).then(() => then())} />}
                </>
            ),
            kind: "short",
        },
    ];
    return (
        <Panel
            title={all.title}
            mood={dead > 0 ? "bad" : stuck.length > 0 ? "warning" : "good"}
            says={all.says(dead, stuck.length - dead)}
            tools={<Filter state={state} states={DELIVERY_STATES} stuck={all.stuck} onState={setState} />}
            error={error}
        >
            <Table name={all.byTarget} columns={byTarget} rows={targetsOf(stuck.filter(isOpen))} keyOf={({ kind, target }) => `${kind} ${target}`} moodOf={({ rows }) => (rows.some(isDead) ? "bad" : "warning")} />
            <Table name={all.title} columns={columns} rows={value?.rows ?? []} keyOf={({ id }) => id} moodOf={({ state }) => DELIVERY_MOODS[state]} />
            {value?.more && <p>{value.more}</p>}
        </Panel>
    );
}

// ---- jobs

const JOB_STATES = ["failed", "skipped", "queued", "running", "done"];
const JOB_MOODS: Record<Job["state"], Mood> = { failed: "bad", skipped: "warning", queued: "unknown", running: "unknown", done: "good" };

function Jobs({ acting }: { acting: Acting }) {
    const all = words.jobs;
    const [state, setState] = useState(STUCK);
    const { value, error, again } = useStore("jobs", state);
    const stuck = useStore("jobs", STUCK).value?.rows ?? [];
    const failed = stuck.filter(({ state }) => state === "failed").length;
    const unanswered = stuck.filter((job) => job.unanswered).length;
    const why = whyNot("judge", acting);
    const columns: Column<Job>[] = [
        { title: all.columns.model, cell: ({ model }) => model },
        { title: all.columns.study, cell: ({ study }) => <StudyLink study={study} />, kind: "short" },
        { title: all.columns.state, cell: ({ state }) => state, kind: "short" },
        { title: all.columns.finished, cell: ({ finished, created }) => date(finished ?? created), kind: "short" },
        { title: all.columns.reason, cell: ({ reason }) => <span class="clip" title={reason}>{reason}</span>, kind: "long" },
        {
            title: "",
            cell: ({ study, state }) =>
                (state === "failed" || state === "skipped") && (
                    <Deed words={all.ask} why={why} onDo={() => post("/api/studies/{study}/ask", { study }, { by: acting.by }).then(({ jobs, waiting, unasked }) => again().then(() => all.asked(jobs, waiting, unasked)))} />
                ),
            kind: "short",
        },
    ];
    return (
        <Panel title={all.title} mood={failed > 0 ? "bad" : unanswered > 0 ? "warning" : "good"} says={all.says(failed, unanswered)} tools={<Filter state={state} states={JOB_STATES} stuck={all.stuck} onState={setState} />} error={error}>
            <Table name={all.title} columns={columns} rows={value?.rows ?? []} keyOf={({ key }) => key} moodOf={({ state }) => JOB_MOODS[state]} />
            {value?.more && <p>{value.more}</p>}
        </Panel>
    );
}

// ---- what came in wrong

function Conflicts() {
    const { value, error } = useStore("status");
    const count = value?.conflicts ?? 0;
    return (
        <Panel title={words.conflicts.title} mood={count > 0 ? "warning" : "good"} says={value ? words.conflicts.says(count) : t.loading} error={error} tools={count > 0 && <a href="#/conflicts">{words.conflicts.open}</a>} />
    );
}

function Quarantine() {
    const all = words.quarantine;
    const { value, error, again } = useStore("quarantine");
    const rows = value?.rows ?? [];
    const why = whyNot("operate the system");
    return (
        <Panel title={all.title} mood={rows.length > 0 ? "warning" : "good"} says={value ? all.says(rows.length) : t.loading} error={error}>
            <Table
                name={all.title}
                columns={[
                    { title: all.columns.refused, cell: ({ refused }) => date(refused), kind: "short" },
                    { title: all.columns.reason, cell: ({ reason }) => reason, kind: "long" },
                    { title: all.columns.about, cell: ({ about }) => <bdi class="clip" title={about}>{about}</bdi>, kind: "long" },
                    { title: all.columns.size, cell: ({ size }) => bytes(size), kind: "short" },
                    { title: "", cell: ({ number, file }) => <Deed words={t.remove} label={`${t.remove} ${file}`} why={why} ask={all.ask(file)} onDo={() => remove("/api/quarantine/{number}", { number }).then(() => again())} />, kind: "short" },
                ]}
                rows={rows}
                keyOf={({ number }) => number}
            />
            {value?.more && <p>{value.more}</p>}
        </Panel>
    );
}

// Objects of a study with the same wrong: a line.
interface Alike {
    study: string;
    flags: string;
    differences: string;
    received: string; // the newest
    count: number;
}

function alikeOf(rows: Flag[]): Alike[] {
    const groups = new Map<string, Alike>();
    for (const { study, flags, differences, received } of rows) {
        const one = { study, flags: flags.join(", "), differences: differences.map(({ attribute, object, known }) => `${attribute}: ${object} (${known})`).join("; ") };
        const key = JSON.stringify(one);
        const before = groups.get(key);
        groups.set(key, { ...one, count: (before?.count ?? 0) + 1, received: [before?.received ?? "", received].sort()[1] ?? received });
    }
    return [...groups.values()];
}

function Flagged() {
    const all = words.flagged;
    const { value, error } = useStore("flagged");
    const rows = value?.rows ?? [];
    return (
        <Panel title={all.title} mood={rows.length > 0 ? "warning" : "good"} says={value ? all.says(rows.length, value.more !== "") : t.loading} error={error}>
            <Table
                name={all.title}
                columns={[
                    { title: all.columns.study, cell: ({ study }) => <StudyLink study={study} />, kind: "short" },
                    { title: all.columns.count, cell: ({ count }) => count, kind: "short" },
                    { title: all.columns.flags, cell: ({ flags }) => flags },
                    { title: all.columns.received, cell: ({ received }) => date(received), kind: "short" },
                    { title: all.columns.differences, cell: ({ differences }) => <bdi class="clip" title={differences}>{differences}</bdi>, kind: "long" },
                ]}
                rows={alikeOf(rows)}
                keyOf={({ study, flags, differences }) => study + flags + differences}
            />
            {value?.more && <p>{value.more}</p>}
        </Panel>
    );
}

// ---- rules

function conditionsOf(rule: Rule): string {
    const say = words.rules.words;
    const parts = [rule.modality, rule.body_part && say.body(rule.body_part), rule.description && say.description(rule.description), rule.calling && say.calling(rule.calling), rule.spacing_max_mm && say.spacing(rule.spacing_max_mm), rule.slices_min && say.slices(rule.slices_min), rule.no_contrast && say.noContrast];
    return parts.filter(Boolean).join(", ") || words.rules.every;
}

const RULE = words.rules.fields;
const RULE_FIELDS: readonly Field[] = [
    { name: "name", words: RULE.name, kind: "text", isNeeded: true },
    { name: "modality", words: RULE.modality, kind: "text" },
    { name: "body_part", words: RULE.body_part, kind: "text" },
    { name: "model", words: RULE.model, kind: "text", isNeeded: true },
    { name: "send_to", words: RULE.send_to, kind: "list", hint: words.rules.commas },
    { name: "hl7_to", words: RULE.hl7_to, kind: "list", hint: words.rules.commas },
    { name: "labels", words: RULE.labels, kind: "list", hint: words.rules.commas, isMore: true },
    { name: "description", words: RULE.description, kind: "text", isMore: true },
    { name: "calling", words: RULE.calling, kind: "text", isMore: true },
    { name: "spacing_max_mm", words: RULE.spacing_max_mm, kind: "number", isMore: true },
    { name: "slices_min", words: RULE.slices_min, kind: "number", isMore: true },
    { name: "priority", words: RULE.priority, kind: "number", isMore: true },
    { name: "no_contrast", words: RULE.no_contrast, kind: "tick", isMore: true },
];

// A trial is of the conditions: the entry's name, version and warnings are not part of them.
function Try({ rule }: { rule: Entry }) {
    const body = Object.fromEntries(Object.entries(rule).filter(([name]) => !["name", "version", "warnings"].includes(name)));
    return <Deed words={words.rules.try} why={whyNot("change the configuration")} onDo={() => post("/api/rules/try", {}, body).then(({ matching, looked, more }) => words.rules.tried(matching.length, looked, more))} />;
}

function Rules() {
    const all = words.rules;
    const { value, error, again } = useStore("rules");
    const [edited, setEdited] = useState<Entry | null>(null);
    const rules = value ?? [];
    const why = whyNot("change the configuration");
    const on = rules.filter(({ enabled }) => enabled).length;
    const save = (entry: Entry) => put("/api/rules/{name}", { name: String(entry.name) }, entry).then(again);
    return (
        <Panel title={all.title} says={value ? all.says(on, rules.length - on) : t.loading} error={error} tools={!why && !edited && <button onClick={() => setEdited({})}>{all.add}</button>}>
            <Table
                name={all.title}
                columns={[
                    { title: all.columns.name, cell: ({ name }) => <bdi>{name}</bdi> },
                    { title: all.columns.what, cell: conditionsOf, kind: "long" },
                    { title: all.columns.model, cell: ({ model }) => model },
                    { title: all.columns.to, cell: ({ send_to = [], hl7_to = [] }) => [...send_to, ...hl7_to].join(", ") || t.none },
                    {
                        title: "",
                        cell: (rule) => (
                            <>
                                <Try rule={rule} />
                                <Deed words={rule.enabled ? all.off : all.on} label={`${rule.enabled ? all.off : all.on}: ${rule.name}`} why={why} onDo={() => save({ ...rule, enabled: !rule.enabled })} />
                                <button disabled={!!why} title={why} onClick={() => setEdited(rule)}>
                                    {t.edit}
                                </button>
                                <Deed words={t.remove} label={`${t.remove} ${rule.name}`} why={why} ask={all.ask(rule.name ?? "")} onDo={() => remove("/api/rules/{name}", { name: rule.name ?? "" }).then(() => again())} />
                            </>
                        ),
                        kind: "short",
                    },
                ]}
                rows={rules}
                keyOf={({ name }) => name ?? ""}
                moodOf={({ enabled }) => (enabled ? "good" : "unknown")}
            />
            {edited && <Form key={String(edited.name)} title={all.add} fields={RULE_FIELDS} start={edited} fixed={edited.name ? "name" : undefined} button={t.save} onSend={save} onClose={() => setEdited(null)} other={(entry) => <Try rule={entry} />} />}
        </Panel>
    );
}

// ---- models and receivers

function Models() {
    const all = words.models;
    const { value, error, again } = useStore("models");
    const rows = value ?? [];
    return (
        <Panel
            title={all.title}
            says={value ? all.says(rows.length) : t.loading}
            error={error}
            tools={<Deed words={all.rescan} why={whyNot("enter models")} onDo={() => post("/api/models/rescan", {}, {}).then(({ models, refused }) => again().then(() => all.found(models.length, refused)))} />}
        >
            <Table
                name={all.title}
                columns={[
                    { title: all.columns.name, cell: ({ name }) => name },
                    { title: all.columns.version, cell: ({ version }) => version, kind: "short" },
                    { title: all.columns.title, cell: ({ title }) => title, kind: "long" },
                    { title: all.columns.label, cell: ({ label }) => label },
                ]}
                rows={rows}
                keyOf={({ name, version }) => `${name} ${version}`}
            />
        </Panel>
    );
}

const RECEIVER = words.receivers.fields;
const RECEIVER_FIELDS: readonly Field[] = [
    { name: "name", words: RECEIVER.name, kind: "text", isNeeded: true },
    { name: "host", words: RECEIVER.host, kind: "text", isNeeded: true },
    { name: "port", words: RECEIVER.port, kind: "number", isNeeded: true },
    { name: "tls", words: RECEIVER.tls, kind: "choice", choices: ["no", "required"] },
    { name: "application", words: RECEIVER.application, kind: "text", isMore: true },
    { name: "facility", words: RECEIVER.facility, kind: "text", isMore: true },
    { name: "certificate", words: RECEIVER.certificate, kind: "text", isMore: true },
    { name: "unsigned_status", words: RECEIVER.unsigned_status, kind: "choice", choices: ["R", "P", "F"], isMore: true },
    { name: "filler", words: RECEIVER.filler, kind: "choice", choices: ["topic", "accession"], isMore: true },
    { name: "not_analysed", words: RECEIVER.not_analysed, kind: "tick", isMore: true },
];

function Receivers() {
    const all = words.receivers;
    const { value, error, again } = useStore("receivers");
    const [edited, setEdited] = useState<Hl7Target | Entry | null>(null);
    const rows = value ?? [];
    const why = whyNot("change the configuration");
    const save = (entry: Entry) => put("/api/hl7-targets/{name}", { name: String(entry.name) }, entry).then(again);
    return (
        <Panel title={all.title} says={value ? all.says(rows.length) : t.loading} error={error} tools={!why && !edited && <button onClick={() => setEdited({})}>{all.add}</button>}>
            <Table
                name={all.title}
                columns={[
                    { title: all.columns.name, cell: ({ name }) => <bdi>{name}</bdi> },
                    { title: all.columns.at, cell: ({ host, port }) => <bdi>{`${host}:${port}`}</bdi> },
                    { title: all.columns.application, cell: ({ application, facility }) => [application, facility].filter(Boolean).join(", ") },
                    { title: all.columns.tls, cell: ({ tls }) => tls, kind: "short" },
                    {
                        title: "",
                        cell: (receiver) => (
                            <>
                                <button disabled={!!why} title={why} onClick={() => setEdited(receiver)}>
                                    {t.edit}
                                </button>
                                <Deed words={t.remove} label={`${t.remove} ${receiver.name}`} why={why} ask={all.ask(receiver.name ?? "")} onDo={() => remove("/api/hl7-targets/{name}", { name: receiver.name ?? "" }).then((answer) => again().then(() => answer?.warnings.join(" ")))} />
                            </>
                        ),
                        kind: "short",
                    },
                ]}
                rows={rows}
                keyOf={({ name }) => name ?? ""}
            />
            {edited && <Form key={String(edited.name)} title={all.add} fields={RECEIVER_FIELDS} start={edited as Entry} fixed={edited.name ? "name" : undefined} button={t.save} onSend={save} onClose={() => setEdited(null)} />}
        </Panel>
    );
}

function Unknown({ acting }: { acting: Acting }) {
    const all = words.unknown;
    const { value, error, again } = useStore("unknown");
    const tells = value?.tells ?? [];
    const acknowledge = () => post("/api/audit/acknowledge", {}, { by: acting.by, version: value?.version }).then(() => again());
    return (
        <Panel
            title={all.title}
            mood={tells.length > 0 ? "bad" : "good"}
            says={value ? (tells.length > 0 ? all.says(tells.length) : all.ok) : t.loading}
            error={error}
            tools={tells.length > 0 && <Deed words={all.acknowledge} ask={all.ask} why={whyNot("acknowledge in the audit trail", acting)} onDo={acknowledge} />}
        >
            <ul class="alarms">
                {tells.map((line) => (
                    <li key={line}>{line}</li>
                ))}
            </ul>
        </Panel>
    );
}

// What each takes to be seen: whoever may not see it is not asked to wonder.
const SECTIONS: [Action, (props: { acting: Acting }) => ComponentChildren][] = [
    ["see the status", Server],
    ["see the operation", Deliveries],
    ["see results", Jobs],
    ["query patients and studies", Conflicts],
    ["see the operation", Quarantine],
    ["query patients and studies", Flagged],
    ["see the configuration", Rules],
    ["see the configuration", Models],
    ["see the configuration", Receivers],
    ["see the operation", Backups],
    ["see the audit trail", Unknown],
];

export function Operation() {
    const signer = useSigner();
    const acting = { by: signer.name.trim(), why: signer.name.trim() ? "" : t.nameFirst };
    return (
        <main class="operation">
            <header>
                <h1>{t.screens.operation}</h1>
                <Signature signer={signer} verified={words.signs} typed={words.name} />
            </header>
            {SECTIONS.map(([action, Section], at) => may(action) && <Section key={at} acting={acting} />)}
        </main>
    );
}
