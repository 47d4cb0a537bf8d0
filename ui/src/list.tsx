// The reading list, in the server's order.
import { useEffect, useRef, useState } from "preact/hooks";
import { type Item, warnings } from "./api";
import { CONFLICTS } from "./conflicts";
import { date } from "./dates";
import { modalities, personName } from "./dicom";
import { Looked, Why } from "./models";

function wait(seconds: number): string {
    const minutes = Math.floor(seconds / 60);
    const hours = Math.floor(minutes / 60);
    if (hours >= 24) return `${Math.floor(hours / 24)} d ${hours % 24} h`;
    return hours > 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`;
}

// What the administrator has to see to: whoever reads should know that something may be missing.
function Warnings({ revision }: { revision: number }) {
    const [lines, setLines] = useState<string[]>([]);
    useEffect(() => {
        let current = true;
        warnings()
            .catch((why: Error) => [`how the server is could not be asked: ${why.message}`])
            .then((found) => current && setLines(found.map((line) => line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, date))));
        return () => {
            current = false;
        };
    }, [revision]);
    if (lines.length === 0) return null;
    return (
        <section class="warnings" aria-label="For the administrator">
            For the administrator ({lines.length}):
            <ul tabIndex={0}>
                {lines.map((line) => (
                    <li key={line} class="clip" title={line}>
                        {line}
                    </li>
                ))}
            </ul>
        </section>
    );
}

// Arrow keys go from study to study; Enter opens, as on any link.
function onKey(event: KeyboardEvent): void {
    const by = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1 }[event.key];
    if (!by || event.ctrlKey || event.altKey || event.metaKey) return;
    const links = [...document.querySelectorAll<HTMLAnchorElement>("tbody a")];
    const at = links.indexOf(document.activeElement as HTMLAnchorElement);
    links[at < 0 ? 0 : Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
    event.preventDefault();
}

// `from`: the study that was just looked at; its line takes the focus.
// `more`: a sentence when the list has more than is here.
export function List({ list, more, from, revision }: { list: Item[] | null; more: string; from: string; revision: number }) {
    const body = useRef<HTMLTableSectionElement>(null);
    useEffect(() => {
        addEventListener("keydown", onKey);
        [...(body.current?.rows ?? [])].find((row) => row.dataset.study === from)?.querySelector("a")?.focus();
        return () => removeEventListener("keydown", onKey);
    }, []);
    return (
        <main>
            <header>
                <h1>Reading list</h1>
                <a href={CONFLICTS}>Conflicts</a>
            </header>
            <Warnings revision={revision} />
            {more && (
                <p class="warnings" role="alert">
                    {more} The others are less urgent, and are on nobody's list until some of these are marked read.
                </p>
            )}
            <table class="list">
                <thead>
                    <tr>
                        {["Urgency", "Patient", "ID", "Study", "Accession", "Study date", "Waiting", "Why here", "Models"].map((name) => (
                            <th key={name} scope="col">
                                {name}
                            </th>
                        ))}
                    </tr>
                </thead>
                <tbody ref={body}>
                    {list?.map((item) => (
                        <tr key={item.study} class={item.capped ? "capped" : item.urgency} data-study={item.study}>
                            <td>
                                {item.urgency}
                                {item.capped && ", overdue"}
                                {item.imported && ", imported"}
                            </td>
                            <td>
                                <a class="clip" dir="auto" title={item.patientName} href={`#${encodeURIComponent(item.study)}`}>
                                    {personName(item.patientName)}
                                </a>
                            </td>
                            <td>
                                <bdi class="id" title={item.patientId}>
                                    {item.patientId}
                                </bdi>
                                {item.issuer && (
                                    <small class="id" title={item.issuer}>
                                        of <bdi>{item.issuer}</bdi>
                                    </small>
                                )}
                            </td>
                            <td>
                                <bdi class="clip" title={`${item.modality.replaceAll("\\", ", ")} ${item.description}`}>
                                    <span class="modality">{modalities(item.modality)}</span> {item.description}
                                </bdi>
                            </td>
                            <td>
                                <bdi class="id" title={item.accession}>
                                    {item.accession}
                                </bdi>
                            </td>
                            <td class="date">{date(item.studyDate) || <span class="unasked">not given</span>}</td>
                            <td class="wait" title={`since ${date(item.arrived)}`}>
                                {wait(item.waiting_s)}
                            </td>
                            <td class="why">
                                <Why item={item} />
                            </td>
                            <td class="why">
                                <Looked item={item} />
                            </td>
                        </tr>
                    ))}
                </tbody>
            </table>
            {list && from && !list.some((item) => item.study === from) && (
                <p>
                    <a href={`#${encodeURIComponent(from)}`}>Back to the study that was open last</a>, which is not on the list
                </p>
            )}
            {list?.length === 0 && <p>Nothing waits to be read.</p>}
            {!list && <p>Loading the list ...</p>}
        </main>
    );
}
