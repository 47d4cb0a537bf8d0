// What the models say of a study: on the list in short, on the study's page whole. Nothing found is not the same as not looked at.
import { type Finding, type Item, type Job, type Result, type Said } from "./api";
import { type Dataset, text } from "./dicom";

const NOT_ASKED = "no rule asked for it";
const ARRIVING = "images are still coming";
const SO_FAR = "nothing found so far; images may still come";

// A negative that waits until its study is quiet is none yet.
function isEarly({ outcome, told }: Result | Said): boolean {
    return outcome === "negative" && !told;
}

// On the list.
export function Looked({ item }: { item: Item }) {
    const several = new Set(item.models.map(({ model }) => model.split(" ")[0])).size > 1;
    const lines = new Map<string, string>(); // what is said, and of which class it is
    for (const one of item.models) {
        const { model, outcome, reason } = one;
        const said = outcome === "positive" && item.findings === 0 ? "positive, rejected by a reader" : isEarly(one) ? SO_FAR : outcome;
        lines.set(`${several ? `${model}: ` : ""}${said}${reason && `: ${reason}`}`, outcome.replace(" ", "-"));
    }
    if (lines.size === 0) lines.set(item.arriving ? ARRIVING : NOT_ASKED, "unasked");
    return (
        <ul class="models">
            {[...lines].map(([line, kind]) => (
                <li key={line} class={`clip ${kind}`} title={line}>
                    {line}
                </li>
            ))}
        </ul>
    );
}

// What an answer stands on.
function lookedAt({ outcome, objects, coverageMm }: Result): string {
    if (outcome !== "positive" && outcome !== "negative") return "";
    return `looked at ${objects} images${coverageMm > 0 ? `, ${coverageMm} mm` : ""}`;
}

const NO_FINDING: Record<Result["outcome"], string> = {
    positive: "Positive, without a finding,",
    negative: "Nothing found",
    "not analysed": "Not analysed",
    failed: "Not analysed",
};

// What stands in place of findings: who looked and found nothing, who could not look and why, or that nobody looked. An absence is never told as an answer.
export function NothingFound({ results, jobs, arriving }: { results: Result[]; jobs: Job[]; arriving: boolean }) {
    const lines = new Set<string>();
    for (const result of results.filter(({ standing }) => standing === "current")) {
        const said = isEarly(result) ? "Nothing found so far" : NO_FINDING[result.outcome];
        lines.add(`${said} by ${result.model}${result.reason && `: ${result.reason}`}`);
    }
    for (const job of jobs.filter(isWaiting)) lines.add(`Not answered yet by ${job.model}`);
    if (lines.size === 0) lines.add(arriving ? "No model has looked at this study yet: images are still coming." : "No model has looked at this study.");
    return (
        <ul class="nothing">
            {[...lines].map((line) => (
                <li key={line}>
                    <bdi>{line}</bdi>
                </li>
            ))}
        </ul>
    );
}

function isWaiting({ state }: Job): boolean {
    return state === "queued" || state === "running";
}

// Every finding of it was rejected by a reader.
function isRejected(result: Result, findings: Finding[]): boolean {
    const own = findings.filter((finding) => finding.result === result.id);
    return result.outcome === "positive" && own.length > 0 && own.every((finding) => finding.state === "rejected");
}

function ResultLine({ result, where, rejected }: { result: Result; where: string; rejected: boolean }) {
    const past = result.standing === "current" ? "" : `${result.standing}: `;
    return (
        <li class={result.outcome.replace(" ", "-")}>
            {result.model} {result.modelVersion}
            {[result.volume, where].filter(Boolean).map((part) => (
                <bdi key={part}>, {part}</bdi>
            ))}
            : {past}
            <b>{isEarly(result) ? SO_FAR : result.outcome}</b>
            {rejected && ", rejected by a reader"}
            {lookedAt(result) && `; ${lookedAt(result)}`}
            {result.reason && <em>{result.reason}</em>}
            {result.notes && <small>{result.notes}</small>}
        </li>
    );
}

interface Props {
    results: Result[]; // past ones too
    jobs: Job[];
    findings: Finding[];
    images: Dataset[]; // series of images
    arriving: boolean;
    nameOf: (series: Dataset) => string;
}

// On the study's page. What does not stand any more is folded away.
export function Models({ results, jobs, findings, images, arriving, nameOf }: Props) {
    const where = (uid: string) => {
        const series = images.find((one) => text(one, "0020000E") === uid);
        return images.length > 1 && series ? `series ${nameOf(series)}` : "";
    };
    const waiting = jobs.filter(isWaiting);
    const past = results.filter(({ standing }) => standing !== "current");
    const asked = new Set([...results, ...jobs].map(({ series }) => series));
    const unasked = images.filter((one) => !asked.has(text(one, "0020000E")));
    const line = (result: Result) => <ResultLine key={result.id} result={result} where={where(result.series)} rejected={isRejected(result, findings)} />;
    return (
        <>
            <ul class="results">
                {results.filter(({ standing }) => standing === "current").map(line)}
                {waiting.map((job) => (
                    <li key={job.key} class="waiting">
                        {job.model}
                        {where(job.series) && <bdi>, {where(job.series)}</bdi>}: <b>{job.state === "running" ? "looking now" : "waiting"}</b> {job.reason && <em>{job.reason}</em>}
                    </li>
                ))}
            </ul>
            {arriving && <p class="unasked">Images are still coming.</p>}
            {!arriving && unasked.length > 0 && (
                <p class="unasked">{unasked.length === images.length ? "No rule asked for it." : `No rule asked for ${unasked.map(nameOf).join("; ")}`}</p>
            )}
            {past.length > 0 && (
                <details class="past">
                    <summary>{past.length === 1 ? "1 earlier result" : `${past.length} earlier results`}</summary>
                    <ul class="results">{past.map(line)}</ul>
                </details>
            )}
        </>
    );
}
