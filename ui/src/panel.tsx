// What the screens of an administrator are made of: sections, tables, deeds that say what came of them, and forms out of a table of fields.
import type { ComponentChildren } from "preact";
import { useId, useState } from "preact/hooks";
import { t } from "./texts";

export type Mood = "good" | "unknown" | "warning" | "bad";

const UID_TAIL = 12;

export function bytes(count: number | null | undefined): string {
    if (count === null || count === undefined) return "";
    const power = count < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(count) / 3));
    return `${(count / 1000 ** power).toFixed(power === 0 || count / 1000 ** power >= 100 ? 0 : 1)} ${["B", "kB", "MB", "GB", "TB"][power]}`;
}

export function Wrong({ error }: { error: string }) {
    if (!error) return null;
    return (
        <p class="error" role="alert">
            {error}
        </p>
    );
}

interface Part {
    title: string;
    mood?: Mood;
    says?: ComponentChildren; // in one line how it is there
    tools?: ComponentChildren;
    error?: string; // why it could not be read
    children?: ComponentChildren;
}

export function Panel({ title, mood, says, tools, error = "", children }: Part) {
    const id = useId();
    return (
        <section class="panel" aria-labelledby={id}>
            <header>
                <h2 id={id}>{title}</h2>
                {says && <span class={mood ?? ""}>{says}</span>}
                <span class="tools">{tools}</span>
            </header>
            <Wrong error={error} />
            {children}
        </section>
    );
}

export interface Column<T> {
    title: string; // "": what can be done with the row
    cell: (row: T) => ComponentChildren;
    kind?: "short" | "long"; // short: never on two lines; long: takes what is left
}

// Nothing where there are no rows: the section's line says so. Many scroll in a box of their own.
export function Table<T>({ name, columns, rows, keyOf, moodOf }: { name: string; columns: Column<T>[]; rows: T[]; keyOf: (row: T) => string | number; moodOf?: (row: T) => Mood }) {
    if (rows.length === 0) return null;
    return (
        <div class="rows" tabIndex={rows.length > 12 ? 0 : undefined} role="region" aria-label={name}>
            <table>
                <thead>
                    <tr>
                        {columns.map(({ title, kind }) => (
                            <th key={title} scope="col" class={kind ?? ""}>
                                {title}
                            </th>
                        ))}
                    </tr>
                </thead>
                <tbody>
                    {rows.map((row) => (
                        <tr key={keyOf(row)} data-key={keyOf(row)} class={moodOf ? `mood ${moodOf(row)}` : ""}>
                            {columns.map(({ title, cell, kind }) => (
                                <td key={title} class={kind ?? ""} data-title={title}>
                                    {title ? cell(row) : <div class="deeds">{cell(row)}</div>}
                                </td>
                            ))}
                        </tr>
                    ))}
                </tbody>
            </table>
        </div>
    );
}

export function StudyLink({ study }: { study: string }) {
    if (!study) return null;
    return (
        <a class="uid" href={`#${encodeURIComponent(study)}`} title={study}>
            {study.length > UID_TAIL ? `...${study.slice(-UID_TAIL)}` : study}
        </a>
    );
}

interface DeedProps {
    words: string;
    label?: string; // for who does not see which row it is in
    ask?: string; // the question before it is done
    reason?: string; // what is asked for in a line of text before it is done
    why?: string; // it cannot be done; "": it can
    onDo: (reason: string) => Promise<string | void>; // what came of it, in words
}

// A button, and beside it what came of it.
export function Deed({ words, label, ask, reason, why = "", onDo }: DeedProps) {
    const [busy, setBusy] = useState(false);
    const [said, setSaid] = useState("");
    const [error, setError] = useState("");
    const [asking, setAsking] = useState(false);
    const [typed, setTyped] = useState("");
    const act = () => {
        if (ask && !confirm(ask)) return;
        setAsking(false);
        setBusy(true);
        setError("");
        setSaid("");
        onDo(typed.trim())
            .then((words) => setSaid(words ?? ""))
            .catch((failed: Error) => setError(failed.message))
            .then(() => setBusy(false));
    };
    return (
        <span class="deed">
            {asking ? (
                <form
                    onSubmit={(event) => {
                        event.preventDefault();
                        act();
                    }}
                >
                    <input autofocus required maxLength={128} aria-label={reason} placeholder={reason} value={typed} onInput={(event) => setTyped(event.currentTarget.value)} onKeyDown={(event) => event.key === "Escape" && setAsking(false)} />
                    <button disabled={!typed.trim()}>{words}</button>{" "}
                    <button type="button" onClick={() => setAsking(false)}>
                        {t.cancel}
                    </button>
                </form>
            ) : (
                <button disabled={busy || !!why} title={why} aria-label={label ?? words} onClick={() => (reason ? setAsking(true) : act())}>
                    {busy ? t.underWay : words}
                    {reason && " ..."}
                </button>
            )}
            {said && <small role="status">{said}</small>}
            {error && (
                <small class="error" role="alert">
                    {error}
                </small>
            )}
        </span>
    );
}

// ---- forms

export interface Field {
    name: string;
    words: string;
    kind: "text" | "number" | "tick" | "choice" | "choices" | "list" | "secret" | "lines"; // list: texts with commas between
    choices?: readonly string[];
    say?: Record<string, string>; // a choice in other words
    hint?: string;
    isNeeded?: boolean;
    isMore?: boolean; // stands behind "more"
}

export type Entry = Record<string, unknown>;

interface InputProps {
    field: Field;
    value: unknown;
    disabled: boolean;
    onValue: (value: unknown) => void;
}

function Input({ field, value, disabled, onValue }: InputProps) {
    const { name, words, kind, choices = [], say = {}, isNeeded } = field;
    const all = (value ?? []) as string[];
    switch (kind) {
        case "tick":
            return <input type="checkbox" name={name} checked={!!value} disabled={disabled} onChange={(event) => onValue(event.currentTarget.checked)} />;
        case "choice":
            return (
                <select name={name} value={String(value ?? choices[0])} disabled={disabled} onChange={(event) => onValue(event.currentTarget.value)}>
                    {choices.map((choice) => (
                        <option key={choice}>{choice}</option>
                    ))}
                </select>
            );
        case "choices":
            return (
                <span class="choices" role="group" aria-label={words}>
                    {choices.map((choice) => (
                        <label key={choice}>
                            <input type="checkbox" name={name} value={choice} checked={all.includes(choice)} disabled={disabled} onChange={(event) => onValue(event.currentTarget.checked ? [...all, choice] : all.filter((one) => one !== choice))} /> {say[choice] ?? choice}
                        </label>
                    ))}
                </span>
            );
        case "list":
            return <input name={name} defaultValue={all.join(", ")} disabled={disabled} onChange={(event) => onValue(event.currentTarget.value.split(",").map((one) => one.trim()).filter(Boolean))} />;
        case "number":
            return <input name={name} inputMode="decimal" required={isNeeded} value={value === undefined ? "" : String(value)} disabled={disabled} onInput={(event) => onValue(event.currentTarget.value === "" ? undefined : Number(event.currentTarget.value))} />;
        case "lines":
            return <textarea name={name} rows={4} spellcheck={false} value={String(value ?? "")} disabled={disabled} onInput={(event) => onValue(event.currentTarget.value)} />;
        default:
            return <input name={name} type={kind === "secret" ? "password" : "text"} autocomplete={kind === "secret" ? "new-password" : "off"} spellcheck={false} required={isNeeded} value={String(value ?? "")} disabled={disabled} onInput={(event) => onValue(event.currentTarget.value)} />;
    }
}

interface FormProps {
    title: string;
    fields: readonly Field[];
    start?: Entry;
    fixed?: string; // the field that names what is there already
    button: string;
    onSend: (entry: Entry) => Promise<unknown>;
    onClose?: () => void; // after it was sent, and where it was given up
    other?: (entry: Entry) => ComponentChildren; // what else can be done with what is typed
}

// One that is sent begins anew.
export function Form({ title, fields, start = {}, fixed, button, onSend, onClose, other }: FormProps) {
    const [entry, setEntry] = useState<Entry>(start);
    const [error, setError] = useState("");
    const [busy, setBusy] = useState(false);
    const send = (event: SubmitEvent) => {
        event.preventDefault();
        setBusy(true);
        setError("");
        onSend(entry)
            .then(() => {
                setEntry(start);
                onClose?.();
            })
            .catch((why: Error) => setError(why.message))
            .then(() => setBusy(false));
    };
    const row = (field: Field) => {
        const Box = field.kind === "choices" ? "div" : "label"; // its choices have labels of their own
        return (
            <Box key={field.name} class="field">
                <span>
                    {field.words}
                    {field.hint && <small> {field.hint}</small>}
                </span>
                <Input field={field} value={entry[field.name]} disabled={field.name === fixed} onValue={(value) => setEntry({ ...entry, [field.name]: value })} />
            </Box>
        );
    };
    const more = fields.filter(({ isMore }) => isMore);
    return (
        <form class="fields across" aria-label={title} onSubmit={send}>
            <div>{fields.filter(({ isMore }) => !isMore).map(row)}</div>
            {more.length > 0 && (
                <details>
                    <summary>{t.moreFields}</summary>
                    <div>{more.map(row)}</div>
                </details>
            )}
            <Wrong error={error} />
            <p>
                <button class="main" disabled={busy}>
                    {button}
                </button>{" "}
                {other?.(entry)}{" "}
                {onClose && (
                    <button type="button" onClick={onClose}>
                        {t.cancel}
                    </button>
                )}
            </p>
        </form>
    );
}
