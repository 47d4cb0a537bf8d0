// The reading list, in the server's order.
import { useEffect, useRef } from "preact/hooks";
import type { Item } from "./api";
import { CONFLICTS } from "./conflicts";
import { personName } from "./dicom";
import { Looked } from "./models";

function wait(seconds: number): string {
    const minutes = Math.floor(seconds / 60);
    return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
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
export function List({ list, from }: { list: Item[] | null; from: string }) {
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
            <table>
                <thead>
                    <tr>
                        {["Urgency", "Patient", "ID", "Study", "Accession", "Waiting", "Why here", "Models"].map((name) => (
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
                                {item.capped && ", waited too long"}
                            </td>
                            <td class="wide">
                                <a class="clip" dir="auto" title={item.patientName} href={`#${encodeURIComponent(item.study)}`}>
                                    {personName(item.patientName)}
                                </a>
                            </td>
                            <td>
                                <bdi class="id" title={item.patientId}>
                                    {item.patientId}
                                </bdi>
                            </td>
                            <td class="wide">
                                <bdi class="modality">{item.modality.replaceAll("\\", ", ")}</bdi>
                                <bdi class="clip" title={item.description}>
                                    {item.description}
                                </bdi>
                            </td>
                            <td>
                                <bdi class="id" title={item.accession}>
                                    {item.accession}
                                </bdi>
                            </td>
                            <td class="wait">{wait(item.waiting_s)}</td>
                            <td class="why">
                                {item.flags.map((flag) => (
                                    <bdi key={flag} class="clip badge" title={flag}>
                                        {flag}
                                    </bdi>
                                ))}
                                <bdi class="clip" title={item.reason}>
                                    {item.reason}
                                </bdi>
                                {!item.reason && item.flags.length === 0 && <span class="unasked">not read yet</span>}
                            </td>
                            <td class="why">
                                <Looked item={item} />
                            </td>
                        </tr>
                    ))}
                </tbody>
            </table>
            {list?.length === 0 && <p>Nothing waits to be read.</p>}
            {!list && <p>Loading the list ...</p>}
        </main>
    );
}
