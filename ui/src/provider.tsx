// The identity provider that people may log in by: what to register there, what is entered here, and what a look at it said.
import { useState } from "preact/hooks";
import { put, remove } from "./api";
import { Deed, type Entry, type Field, Form, Panel, Table } from "./panel";
import { useStore } from "./store";
import { t } from "./texts";

const words = t.accounts.provider;

const FIELDS: readonly Field[] = [
    { name: "issuer", words: words.fields.issuer, kind: "text", isNeeded: true, hint: words.hints.issuer },
    { name: "client_id", words: words.fields.client_id, kind: "text", isNeeded: true },
    { name: "client_secret", words: words.fields.client_secret, kind: "secret", hint: words.hints.client_secret },
    { name: "roles", words: words.fields.roles, kind: "text", isNeeded: true, hint: words.hints.roles },
    { name: "name", words: words.fields.name, kind: "text", isMore: true },
    { name: "groups_claim", words: words.fields.groups_claim, kind: "text", isMore: true, hint: words.hints.groups_claim },
    { name: "scopes", words: words.fields.scopes, kind: "text", isMore: true },
    { name: "authorities", words: words.fields.authorities, kind: "lines", isMore: true, hint: words.hints.authorities },
];
const START: Entry = { name: words.start, groups_claim: "groups", scopes: "openid profile email" };

export function Provider() {
    const { value, error, again } = useStore("provider");
    const [edited, setEdited] = useState<Entry | null>(null);
    const [warnings, setWarnings] = useState<string[] | null>(null); // null: nothing was entered since
    const provider = value?.provider ?? null;
    const save = async (entry: Entry) => {
        setWarnings((await put("/api/provider", {}, entry)).warnings ?? []);
        await again();
    };
    const takeAway = async () => {
        await remove("/api/provider");
        setWarnings(null);
        await again();
    };
    const says = !value ? t.loading : provider ? provider.issuer : words.nobody;
    return (
        <Panel title={words.title} mood={warnings ? (warnings.length > 0 ? "warning" : "good") : undefined} says={says} error={error} tools={value && !provider && !edited && <button onClick={() => setEdited(START)}>{words.enter}</button>}>
            {value && (
                <p>
                    {words.register} <code>{value.redirectUri}</code>
                </p>
            )}
            {edited && <Form title={words.title} fields={FIELDS} start={edited} button={provider ? t.save : words.enter} onSend={save} onClose={() => setEdited(null)} />}
            {warnings?.map((warning) => (
                <p key={warning} class="error" role="alert">
                    <bdi>{warning}</bdi>
                </p>
            ))}
            {warnings?.length === 0 && <p role="status">{words.well}</p>}
            <Table
                name={words.title}
                columns={[
                    { title: words.columns.name, cell: ({ name }) => <bdi>{name}</bdi> },
                    { title: words.columns.issuer, cell: ({ issuer }) => <bdi>{issuer}</bdi>, kind: "long" },
                    { title: words.columns.client_id, cell: ({ client_id }) => <bdi>{client_id}</bdi> },
                    { title: words.columns.secret, cell: ({ hasSecret }) => (hasSecret ? words.entered : t.none), kind: "short" },
                    { title: words.columns.roles, cell: ({ roles }) => <bdi>{roles}</bdi> },
                    {
                        title: "",
                        cell: ({ hasSecret, ...entry }) => (
                            <>
                                {!edited && <button onClick={() => setEdited(entry)}>{words.change}</button>}
                                <Deed words={t.remove} label={`${t.remove} ${entry.name}`} ask={words.ask} onDo={takeAway} />
                            </>
                        ),
                        kind: "short",
                    },
                ]}
                rows={provider ? [provider] : []}
                keyOf={({ issuer }) => issuer}
            />
        </Panel>
    );
}
