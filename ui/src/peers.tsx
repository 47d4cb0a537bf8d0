// The entries of other DICOM systems. Five fields make one that works; the rest has its defaults.
import { useState } from "preact/hooks";
import { post, put, remove } from "./api";
import { Deed, type Entry, type Field, Form, Panel, Table } from "./panel";
import { may } from "./session";
import { useStore } from "./store";
import { t } from "./texts";

const words = t.peers;
const RIGHTS = ["store", "find", "get", "target"] as const;

const FIELDS: readonly Field[] = [
    { name: "title", words: words.fields.title, kind: "text", isNeeded: true },
    { name: "host", words: words.fields.host, kind: "text", isNeeded: true },
    { name: "port", words: words.fields.port, kind: "number", isNeeded: true },
    { name: "rights", words: words.fields.rights, kind: "choices", choices: RIGHTS, say: words.rights },
    { name: "plain", words: words.fields.plain, kind: "choice", choices: ["refused", "accepted"] },
    { name: "name", words: words.fields.name, kind: "text", hint: words.named, isMore: true },
    { name: "tls", words: words.fields.tls, kind: "choice", choices: ["no", "required"], isMore: true },
    { name: "certificate", words: words.fields.certificate, kind: "text", isMore: true },
    { name: "issuer", words: words.fields.issuer, kind: "text", isMore: true },
    { name: "charset", words: words.fields.charset, kind: "text", isMore: true },
    { name: "versions", words: words.fields.versions, kind: "choice", choices: ["first", "newest"], isMore: true },
    { name: "labels", words: words.fields.labels, kind: "list", hint: words.commas, isMore: true },
    { name: "puts", words: words.fields.puts, kind: "list", hint: words.commas, isMore: true },
    { name: "associations_max", words: words.fields.associations_max, kind: "number", isMore: true },
];
const START: Entry = { port: 104, rights: ["store"] };

export function Peers() {
    const { value, error, again } = useStore("peers");
    const [edited, setEdited] = useState<Entry | null>(null);
    const rows = value ?? [];
    const why = may("change the configuration") ? "" : t.notAllowed("change the configuration");
    const whyNoEcho = may("operate the system") ? "" : t.notAllowed("operate the system");
    // Where nothing else is said a peer is called as its title is.
    const save = (entry: Entry) => {
        const name = String(entry.name || String(entry.title).trim().toLowerCase().replace(/[^a-z0-9._-]+/g, "-"));
        return put("/api/peers/{name}", { name }, { ...entry, name }).then(again);
    };
    const echo = (name: string) => post("/api/peers/{name}/echo", { name }, {}).then(({ status, ms }) => (status === 0 ? words.echoed(ms) : words.refused(status)));
    return (
        <Panel title={words.title} says={value ? words.says(rows.length) : t.loading} error={error} tools={!why && !edited && <button onClick={() => setEdited(START)}>{words.add}</button>}>
            {edited && <Form key={String(edited.name)} title={edited.name ? words.edit(String(edited.name)) : words.add} fields={FIELDS} start={edited} fixed={edited.name ? "name" : undefined} button={edited.name ? t.save : words.add} onSend={save} onClose={() => setEdited(null)} />}
            <Table
                name={words.title}
                columns={[
                    { title: words.columns.name, cell: ({ name }) => <bdi>{name}</bdi> },
                    { title: words.columns.title, cell: ({ title }) => <bdi>{title}</bdi> },
                    { title: words.columns.at, cell: ({ host, port }) => <bdi>{`${host}:${port}`}</bdi> },
                    { title: words.columns.rights, cell: ({ rights = [] }) => rights.map((right) => words.rights[right] ?? right).join(", "), kind: "long" },
                    { title: words.columns.tls, cell: ({ tls }) => tls, kind: "short" },
                    { title: words.columns.labels, cell: ({ labels = [] }) => labels.join(", ") || t.none },
                    {
                        title: "",
                        cell: (peer) => (
                            <>
                                <Deed words={words.echo} label={`${words.echo} ${peer.name}`} why={whyNoEcho} onDo={() => echo(peer.name ?? "")} />
                                <button disabled={!!why} title={why} aria-label={`${t.edit} ${peer.name}`} onClick={() => setEdited(peer)}>
                                    {t.edit}
                                </button>
                                <Deed words={t.remove} label={`${t.remove} ${peer.name}`} why={why} ask={words.ask(peer.name ?? "")} onDo={() => remove("/api/peers/{name}", { name: peer.name ?? "" }).then((answer) => again().then(() => answer?.warnings.join(" ")))} />
                            </>
                        ),
                        kind: "short",
                    },
                ]}
                rows={rows}
                keyOf={({ name }) => name ?? ""}
            />
        </Panel>
    );
}
