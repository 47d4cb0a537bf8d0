// The reading list, in the server's order.
import { useEffect, useRef } from "preact/hooks";
import { date, span } from "./dates";
import { modalities, personName } from "./dicom";
import { Looked, Why } from "./models";
import type { Shown } from "./routes";
import { useStore } from "./store";
import { t } from "./texts";

// What the administrator has to see to: whoever reads should know that something may be missing.
function Warnings() {
    const { value, error } = useStore("health");
    const lines = error ? [t.list.unasked(error)] : (value?.warnings ?? []).map((line) => line.replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, date));
    if (lines.length === 0) return null;
    return (
        <section class="warnings" aria-label={t.list.warnings}>
            {t.list.warnings} ({lines.length}):
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

// `last`: the study that was just looked at; its line takes the focus.
export function List({ last }: Shown) {
    const { value } = useStore("worklist");
    const list = value?.rows ?? null;
    const body = useRef<HTMLTableSectionElement>(null);
    useEffect(() => {
        addEventListener("keydown", onKey);
        [...(body.current?.rows ?? [])].find((row) => row.dataset.study === last)?.querySelector("a")?.focus();
        return () => removeEventListener("keydown", onKey);
    }, []);
    return (
        <main>
            <header>
                <h1>{t.screens.list}</h1>
            </header>
            <Warnings />
            {value?.more && (
                <p class="warnings" role="alert">
                    {value.more} {t.list.others}
                </p>
            )}
            <table class="list">
                <thead>
                    <tr>
                        {t.list.columns.map((name) => (
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
                                {item.capped && t.list.overdue}
                                {item.imported && t.list.imported}
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
                                        {t.list.of} <bdi>{item.issuer}</bdi>
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
                            <td class="date">{date(item.studyDate) || <span class="unasked">{t.list.noDate}</span>}</td>
                            <td class="wait" title={t.list.since(date(item.arrived))}>
                                {span(item.waiting_s)}
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
            {list && last && !list.some((item) => item.study === last) && (
                <p>
                    <a href={`#${encodeURIComponent(last)}`}>{t.list.back}</a>
                    {t.list.notOnIt}
                </p>
            )}
            {list?.length === 0 && <p>{t.list.empty}</p>}
            {!list && <p>{t.list.loading}</p>}
        </main>
    );
}
