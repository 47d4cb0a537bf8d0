// Objects that came again under a known SOP Instance UID with something else in them: what waits for a decision, and who decided.
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { type Conflict, type Rows, getRows, post, search } from "./api";
import { date } from "./dates";
import { type Dataset, patientName, personName, text } from "./dicom";
import { useStore } from "./store";
import { t } from "./texts";

// Those of a study, decided ones too. They are asked for by themselves, so that many decided ones push no open one out.
export interface Conflicts {
    open: Rows<Conflict>;
    all: Rows<Conflict>;
}

export const NO_CONFLICTS: Conflicts = { open: { rows: [], more: "" }, all: { rows: [], more: "" } };

export async function loadConflicts(study: string): Promise<Conflicts> {
    const [open, all] = await Promise.all([getRows("/api/conflicts", { study }), getRows("/api/conflicts", { study, state: "all" })]);
    return { open, all };
}

// Alike: decided as one. What names another patient is never alike with what does not.
function alike(conflict: Conflict): string {
    const { study, kind, state, how, from, decidedBy, differences } = conflict;
    return JSON.stringify([study, kind, state, how, from, decidedBy, differences.map(({ tag, object }) => (tag.startsWith("0010") ? [tag, object] : tag))]);
}

function groupsOf(conflicts: Conflict[]): [string, Conflict[]][] {
    const groups = new Map<string, Conflict[]>();
    for (const conflict of conflicts) groups.set(alike(conflict), [...(groups.get(alike(conflict)) ?? []), conflict]);
    return [...groups];
}

function what(group: Conflict[]): string {
    const { kind, differences } = group[0]!;
    const patient = differences.some(({ tag }) => tag === "00100020" || tag === "00100021");
    const words = { pixels: "other pixels", attributes: "other attributes", "not compared": "a content that could not be compared", meaning: "another place, scale, part of the body or contrast of the same pixels" }[kind];
    return `${words}${patient ? " and another patient" : kind === "pixels" && differences.length > 0 ? " and other attributes" : ""}`;
}

// `more`: the server holds more than it gave, and so may the group.
function count(group: Conflict[], more: string): string {
    const word = group[0]!.kind === "pixels" || group[0]!.kind === "meaning" ? "image" : "object";
    return `${group.length}${more && " or more"} ${word}${group.length === 1 ? "" : "s"}`;
}

function from({ how, from }: Conflict): string {
    return from || { "c-store": "a sender without a name", import: "an import", job: "a model's run" }[how] || "a sender that was not noted";
}

function newest(group: Conflict[]): Conflict {
    return group.reduce((a, b) => (a.received > b.received ? a : b));
}

function Differences({ conflict }: { conflict: Conflict }) {
    if (conflict.differences.length === 0) return null;
    return (
        <table class="differences">
            <thead>
                <tr>
                    <th scope="col">{t.conflicts.differs}</th>
                    <th scope="col">{t.conflicts.asItWas}</th>
                    <th scope="col">{t.conflicts.cameAs}</th>
                </tr>
            </thead>
            <tbody>
                {conflict.differences.map(({ tag, attribute, known, object }) => (
                    <tr key={tag}>
                        <td>{attribute.replace(/([a-z])([A-Z])/g, "$1 $2")}</td>
                        {[known, object].map((value) => (
                            <td>
                                <bdi class="clip" title={value}>
                                    {tag === "00100010" ? personName(value) : value}
                                </bdi>
                            </td>
                        ))}
                    </tr>
                ))}
            </tbody>
        </table>
    );
}

// Of what came more than once the newest: older ones are settled with it.
function newestOfEach(group: Conflict[]): Conflict[] {
    const byInstance = new Map<string, Conflict>();
    for (const conflict of group) if (conflict.id > (byInstance.get(conflict.instance)?.id ?? 0)) byInstance.set(conflict.instance, conflict);
    return [...byInstance.values()];
}

const SAID = { keep: "kept as they are", take: "replaced by the newer ones", again: "taken after all" };

// Whoever takes the newer one sets aside what was shown before: that is among the decided ones then, and can be taken back.
const DECIDED = { open: "waits", kept: "set aside", taken: "taken" };

function Decided({ group, more, disabled, onTake }: { group: Conflict[]; more: string; disabled: boolean; onTake: () => void }) {
    const { state, decidedBy } = group[0]!;
    const last = group.reduce((a, b) => ((a.decided ?? "") > (b.decided ?? "") ? a : b));
    return (
        <li>
            {count(group, more)} with {what(group)}, from <bdi>{from(newest(group))}</bdi> at {date(newest(group).received)}: {DECIDED[state]} by <bdi>{decidedBy}</bdi> {date(last.decided)}{" "}
            {state === "kept" && (
                <button disabled={disabled} onClick={onTake}>
                    {t.conflicts.takeAfterAll}
                </button>
            )}
        </li>
    );
}

// What has to be seen before the study is read, in one line above the images, so that it pushes none of them away; the rest is shown on a click.
export function Band({ line, children }: { line: ComponentChildren; children: ComponentChildren }) {
    return (
        <details class="band" role="group">
            <summary>
                <span>{line}</span>
            </summary>
            {children}
        </details>
    );
}

// On the study's page. `why`: nothing can be decided; "": it can.
export function Bands({ conflicts, name, why, onDone }: { conflicts: Conflicts; name: string; why: string; onDone: () => Promise<void> }) {
    const [busy, setBusy] = useState("");
    const [said, setSaid] = useState("");
    const [error, setError] = useState("");
    const open = groupsOf(conflicts.open.rows);
    const decided = groupsOf(conflicts.all.rows.filter(({ state }) => state !== "open"));

    // One after the other, so that what is done when one fails is known.
    const decide = async (group: Conflict[], how: keyof typeof SAID) => {
        const word = how === "keep" ? "keep" : "take";
        const all = word === "take" ? newestOfEach(group) : group;
        let done = 0;
        setError("");
        setSaid("");
        try {
            for (const { id } of all) {
                setBusy(t.conflicts.underWay(done, all.length));
                await post(`/api/conflicts/{id}/${word}`, { id }, { by: name });
                done++;
            }
            setSaid(`${done} of ${all.length} ${SAID[how]}.`);
        } catch (why) {
            setError(`${done} of ${all.length} ${SAID[how]}; then: ${(why as Error).message}`);
        }
        setBusy("");
        await onDone();
    };

    const disabled = !!why || !!busy;
    return (
        <>
            {open.map(([key, group]) => (
                <Band
                    key={key}
                    line={
                        <>
                            {count(group, conflicts.open.more)} of this study came again with {what(group)}, from <bdi>{from(newest(group))}</bdi> at {date(newest(group).received)}. What came first is shown until somebody decides.
                        </>
                    }
                >
                    {conflicts.open.more && <p>{conflicts.open.more}</p>}
                    <Differences conflict={newest(group)} />
                    <p>
                        <button disabled={disabled} onClick={() => void decide(group, "keep")}>
                            {t.conflicts.keep}
                        </button>{" "}
                        <button disabled={disabled} onClick={() => void decide(group, "take")}>
                            {t.conflicts.take(newestOfEach(group).length)}
                        </button>{" "}
                        {why && <small>{why}.</small>}
                    </p>
                </Band>
            ))}
            {(busy || said) && (
                <p class="said" role="status">
                    {busy || said}
                </p>
            )}
            {error && (
                <p class="error undone" role="alert">
                    {error}
                </p>
            )}
            {decided.length > 0 && (
                <details class="past">
                    <summary>{t.conflicts.past}</summary>
                    {conflicts.all.more && <p>{conflicts.all.more}</p>}
                    <ul>
                        {decided.map(([key, group]) => (
                            <Decided key={key} group={group} more={conflicts.all.more} disabled={disabled} onTake={() => void decide(group, "again")} />
                        ))}
                    </ul>
                </details>
            )}
        </>
    );
}

const STUDIES_AT_ONCE = 20;

export async function loadPatients(studies: string[]): Promise<Dataset[]> {
    const rows: Dataset[] = [];
    for (let i = 0; i < studies.length; i += STUDIES_AT_ONCE) rows.push(...(await search(`/dicom-web/studies?StudyInstanceUID=${encodeURIComponent(studies.slice(i, i + STUDIES_AT_ONCE).join(","))}`)));
    return rows;
}

// The administrator's list: all studies, a line for what is alike.
export function ConflictList() {
    const [all, setAll] = useState(false);
    const { value, error } = useStore("conflicts", all ? "all" : "");
    const conflicts = value?.conflicts;
    const patients = value?.patients ?? [];
    const names = (study: string) => patients.filter((row) => text(row, "0020000D") === study).map(patientName);
    return (
        <main class="conflicts">
            <header>
                <h1>{t.conflicts.title}</h1>
                <label>
                    <input type="checkbox" checked={all} onChange={() => setAll(!all)} />
                    {t.conflicts.decidedToo}
                </label>
            </header>
            {error && (
                <p class="error" role="alert">
                    {error}
                </p>
            )}
            <table>
                <thead>
                    <tr>
                        {t.conflicts.columns.map((title) => (
                            <th key={title} scope="col">
                                {title}
                            </th>
                        ))}
                    </tr>
                </thead>
                <tbody>
                    {groupsOf(conflicts?.rows ?? []).map(([key, group]) => {
                        const { study, state, decidedBy } = group[0]!;
                        return (
                            <tr key={key} data-study={study}>
                                <td>
                                    <a class="clip" dir="auto" href={`#${encodeURIComponent(study)}`}>
                                        {names(study).join("; ") || study}
                                    </a>
                                </td>
                                <td>
                                    {count(group, conflicts?.more ?? "")} with {what(group)}
                                </td>
                                <td>
                                    <bdi class="id" title={from(newest(group))}>
                                        {from(newest(group))}
                                    </bdi>
                                </td>
                                <td class="wait">{date(newest(group).received)}</td>
                                <td>
                                    <bdi>{state === "open" ? DECIDED.open : `${DECIDED[state]} by ${decidedBy}`}</bdi>
                                </td>
                            </tr>
                        );
                    })}
                </tbody>
            </table>
            {conflicts?.rows.length === 0 && <p>{t.conflicts.none}</p>}
            {conflicts?.more && <p>{conflicts.more}</p>}
            {!conflicts && !error && <p>{t.loading}</p>}
        </main>
    );
}
