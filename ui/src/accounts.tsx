// Who may log in, which programs have tokens, and who is logged in now.
import { useState } from "preact/hooks";
import { post, put, remove } from "./api";
import { date } from "./dates";
import { EmergencyAccess } from "./emergency";
import { Deed, type Entry, type Field, Form, Panel, Table } from "./panel";
import { Provider } from "./provider";
import { enter, may, useWho } from "./session";
import { useStore } from "./store";
import { t } from "./texts";

const words = t.accounts;

const FIELDS: readonly Field[] = [
    { name: "name", words: words.fields.name, kind: "text", isNeeded: true },
    { name: "shown", words: words.fields.shown, kind: "text" },
    { name: "password", words: words.fields.password, kind: "secret", hint: words.kept },
    { name: "roles", words: words.fields.roles, kind: "choices", choices: words.roles },
    { name: "labels", words: words.fields.labels, kind: "list", hint: words.commas },
    { name: "enabled", words: words.fields.enabled, kind: "tick" },
    { name: "issuer", words: words.fields.issuer, kind: "text", isMore: true },
    { name: "subject", words: words.fields.subject, kind: "text", isMore: true },
];
// One that is new has no password to keep.
const NEW_FIELDS = FIELDS.map(({ hint, ...field }) => (field.kind === "secret" ? field : { ...field, hint }));
const START: Entry = { enabled: true, roles: [] };

function List() {
    const { value, error, again } = useStore("accounts");
    const [edited, setEdited] = useState<Entry | null>(null);
    const rows = value ?? [];
    const [warnings, setWarnings] = useState<string[]>([]);
    const save = async ({ password, ...entry }: Entry) => {
        setWarnings((await put("/api/accounts/{name}", { name: String(entry.name) }, password ? { ...entry, password } : entry)).warnings ?? []);
        await again();
    };
    return (
        <Panel title={words.title} says={value ? rows.length : t.loading} error={error} tools={!edited && <button onClick={() => setEdited(START)}>{words.add}</button>}>
            {edited && <Form key={String(edited.name)} title={edited.name ? words.edit(String(edited.name)) : words.add} fields={edited.name ? FIELDS : NEW_FIELDS} start={edited} fixed={edited.name ? "name" : undefined} button={t.save} onSend={save} onClose={() => setEdited(null)} />}
            {warnings.map((warning) => (
                <p key={warning} class="error" role="alert">
                    <bdi>{warning}</bdi>
                </p>
            ))}
            <Table
                name={words.title}
                columns={[
                    { title: words.columns.name, cell: ({ name }) => <bdi>{name}</bdi> },
                    { title: words.columns.shown, cell: ({ shown }) => <bdi>{shown}</bdi> },
                    { title: words.columns.roles, cell: ({ roles }) => roles.join(", ") || t.none },
                    { title: words.columns.labels, cell: ({ labels = [] }) => labels.join(", ") || t.none },
                    { title: words.columns.enabled, cell: ({ enabled }) => (enabled ? words.yes : words.no), kind: "short" },
                    {
                        title: "",
                        cell: (account) => (
                            <>
                                <button aria-label={`${t.edit} ${account.name}`} onClick={() => setEdited(account)}>
                                    {t.edit}
                                </button>
                                <Deed words={t.remove} label={`${t.remove} ${account.name}`} ask={words.ask(account.name)} onDo={() => remove("/api/accounts/{name}", { name: account.name }).then((answer) => again().then(() => answer?.warnings.join(" ")))} />
                            </>
                        ),
                        kind: "short",
                    },
                ]}
                rows={rows}
                keyOf={({ name }) => name}
                moodOf={({ enabled }) => (enabled ? "good" : "unknown")}
            />
        </Panel>
    );
}

const TOKEN = words.tokens.fields;
const TOKEN_FIELDS: readonly Field[] = [
    { name: "name", words: TOKEN.name, kind: "text", isNeeded: true },
    { name: "days", words: TOKEN.days, kind: "number", isNeeded: true },
    { name: "roles", words: TOKEN.roles, kind: "choices", choices: words.roles },
    { name: "labels", words: TOKEN.labels, kind: "list", hint: words.commas },
];

function Tokens() {
    const all = words.tokens;
    const { value, error, again } = useStore("tokens");
    const [isAdding, setAdding] = useState(false);
    const [made, setMade] = useState("");
    const rows = value ?? [];
    const make = (entry: Entry) => post("/api/tokens", {}, entry).then(({ token = "" }) => (setMade(token), again()));
    return (
        <Panel title={all.title} says={value ? all.says(rows.length) : t.loading} error={error} tools={!isAdding && <button onClick={() => setAdding(true)}>{all.add}</button>}>
            {made && (
                <p class="band" role="status">
                    {all.once} <code>{made}</code> <button onClick={() => setMade("")}>{all.done}</button>
                </p>
            )}
            {isAdding && <Form title={all.add} fields={TOKEN_FIELDS} start={{ days: 90, roles: ["service"] }} button={all.add} onSend={make} onClose={() => setAdding(false)} />}
            <Table
                name={all.title}
                columns={[
                    { title: all.columns.name, cell: ({ name }) => <bdi>{name}</bdi> },
                    { title: all.columns.roles, cell: ({ roles }) => roles.join(", ") || t.none },
                    { title: all.columns.labels, cell: ({ labels = [] }) => labels.join(", ") || t.none },
                    { title: all.columns.madeBy, cell: ({ madeBy, makerGone }) => <bdi>{makerGone ? all.gone(madeBy) : madeBy}</bdi> },
                    { title: all.columns.ends, cell: ({ ends }) => date(ends), kind: "short" },
                    { title: "", cell: ({ name }) => <Deed words={all.revoke} label={`${all.revoke} ${name}`} ask={all.ask(name)} onDo={() => remove("/api/tokens/{name}", { name }).then(() => again())} />, kind: "short" },
                ]}
                rows={rows}
                keyOf={({ name }) => name}
            />
        </Panel>
    );
}

const LABEL_FIELDS: readonly Field[] = [
    { name: "name", words: words.labels.fields.name, kind: "text", isNeeded: true },
    { name: "description", words: words.labels.fields.description, kind: "text" },
];

// The labels that there are: studies, accounts, peers and rules name them.
function Labels() {
    const all = words.labels;
    const { value, error, again } = useStore("labels");
    const accounts = useStore("accounts").value ?? [];
    const tokens = useStore("tokens").value ?? [];
    const peers = useStore("peers").value ?? [];
    const rules = useStore("rules").value ?? [];
    const [edited, setEdited] = useState<Entry | null>(null);
    const rows = value ?? [];
    const why = may("change the configuration") ? "" : t.notAllowed("change the configuration");
    // `version`: of the label that was looked at; one that is added takes no other's place.
    const save = async ({ name, description = "", version }: Entry) => {
        if (!version && rows.some((one) => one.name === name)) throw new Error(all.isThere(String(name)));
        await put("/api/labels/{name}", { name: String(name) }, version ? { description, version } : { description });
        await again();
    };
    const seenBy = (label: string) => [
        ...accounts.filter(({ labels }) => labels.includes(label)).map(({ name }) => t.labels.account(name)),
        ...tokens.filter(({ labels }) => labels.includes(label)).map(({ name }) => t.labels.token(name)),
        ...peers.filter(({ labels = [] }) => labels.includes(label)).map(({ name = "" }) => t.labels.peer(name)),
    ];
    const givenBy = (label: string) => [
        ...peers.filter(({ puts = [] }) => puts.includes(label)).map(({ name = "" }) => t.labels.peer(name)),
        ...rules.filter(({ labels = [] }) => labels.includes(label)).map(({ name = "" }) => all.rule(name)),
    ];
    return (
        <Panel title={all.title} says={value ? all.says(rows.length) : t.loading} error={error} tools={!why && !edited && <button onClick={() => setEdited({})}>{all.add}</button>}>
            {edited && <Form key={String(edited.name)} title={edited.name ? all.edit(String(edited.name)) : all.add} fields={LABEL_FIELDS} start={edited} fixed={edited.name ? "name" : undefined} button={edited.name ? t.save : all.add} onSend={save} onClose={() => setEdited(null)} />}
            <Table
                name={all.title}
                columns={[
                    { title: all.columns.name, cell: ({ name }) => <bdi>{name}</bdi> },
                    { title: all.columns.description, cell: ({ description }) => <bdi>{description}</bdi>, kind: "long" },
                    { title: all.columns.seen, cell: ({ name }) => <bdi>{seenBy(name).join(", ") || t.none}</bdi>, kind: "long" },
                    { title: all.columns.given, cell: ({ name }) => <bdi>{givenBy(name).join(", ") || all.byHand}</bdi> },
                    {
                        title: "",
                        cell: (label) => (
                            <>
                                <button disabled={!!why} title={why} aria-label={`${t.edit} ${label.name}`} onClick={() => setEdited({ ...label })}>
                                    {t.edit}
                                </button>
                                <Deed words={t.remove} label={`${t.remove} ${label.name}`} why={why} ask={all.ask(label.name)} onDo={() => remove("/api/labels/{name}", { name: label.name }).then(() => again())} />
                            </>
                        ),
                        kind: "short",
                    },
                ]}
                rows={rows}
                keyOf={({ name }) => `label ${name}`}
            />
        </Panel>
    );
}

function Sessions() {
    const all = words.sessions;
    const { value, error, again } = useStore("sessions");
    const rows = value ?? [];
    return (
        <Panel title={all.title} says={value ? rows.length : t.loading} error={error}>
            <Table
                name={all.title}
                columns={[
                    { title: all.columns.name, cell: ({ name }) => <bdi>{name}</bdi> },
                    { title: all.columns.shown, cell: ({ shown }) => <bdi>{shown}</bdi> },
                    { title: all.columns.way, cell: ({ way }) => way, kind: "short" },
                    { title: all.columns.began, cell: ({ began }) => date(began), kind: "short" },
                    { title: all.columns.used, cell: ({ used }) => date(used), kind: "short" },
                    { title: all.columns.ends, cell: ({ ends }) => date(ends), kind: "short" },
                    { title: "", cell: ({ id, name }) => <Deed words={all.end} label={`${all.end}: ${name}`} onDo={() => remove("/api/sessions/{id}", { id }).then(() => again())} />, kind: "short" },
                ]}
                rows={rows}
                keyOf={({ id }) => id}
            />
        </Panel>
    );
}

const OWN_FIELDS: readonly Field[] = [
    { name: "old", words: words.own.old, kind: "secret", isNeeded: true },
    { name: "new", words: words.own.new, kind: "secret", isNeeded: true },
];

// What everybody may see and change of his own.
export function Me() {
    const { session } = useWho();
    const [said, setSaid] = useState("");
    if (!session) return null;
    const change = (entry: Entry) => put("/api/accounts/{name}/password", { name: session.name }, entry).then((next) => {
            enter(next); // the others of his have ended
            setSaid(words.own.changed);
        });
    return (
        <main class="accounts">
            <header>
                <h1>{session.shown || session.name}</h1>
                <span class="fact">
                    {words.own.roles} <bdi>{session.roles.join(", ") || t.none}</bdi>
                </span>
                {session.labels.length > 0 && (
                    <span class="fact">
                        {words.own.labels} <bdi>{session.labels.join(", ")}</bdi>
                    </span>
                )}
            </header>
            {session.kind === "user" && (
                <Panel title={words.own.title} mood="good" says={said}>
                    {session.way === "password" ? <Form title={words.own.title} fields={OWN_FIELDS} button={words.own.change} onSend={change} /> : <p>{words.own.provider}</p>}
                </Panel>
            )}
            <EmergencyAccess />
        </main>
    );
}

export function Accounts() {
    return (
        <main class="accounts">
            <header>
                <h1>{t.screens.accounts}</h1>
            </header>
            <List />
            <Provider />
            <Tokens />
            {may("see the status") && <Labels />}
            <Sessions />
        </main>
    );
}
