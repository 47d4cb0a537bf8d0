// What the models say of a study: on the list in short, on the study's page whole. Nothing found is not the same as not looked at.
import { useState } from "preact/hooks";
import { type Asked, type Finding, type Item, type Job, type Result, type Said, post } from "./api";
import { type Dataset, text } from "./dicom";

const NOT_ASKED = "no rule asked for it";
const ARRIVING = "images are still coming";
// After a rebuild, or of another system: somebody may have looked, and what was found is in the document alone.
const REPORTED = "a report (SR) or segmentation (SEG) is stored, which is not read here";

// A negative that waits until its study is quiet is none yet, and of earlier images it says nothing of those that are there.
function kindOf({ outcome, told, images }: Result | Said): string {
    return outcome === "negative" && (!told || images === "earlier") ? "waiting" : outcome.replace(" ", "-");
}

export function isReported(modalities: string[]): boolean {
    return modalities.some((one) => one === "SR" || one === "SEG");
}

// What came again is told by the bands of conflicts, with more.
export function doubtsOf(flags: string[]): string[] {
    return flags.filter((flag) => !flag.includes("came again"));
}

// Where it is in doubt whose a study is, each answer names its patient.
function whoseOn(item: Item): (said: Said) => string {
    const isClear = doubtsOf(item.flags).length === 0 && item.models.every(({ patientId }) => !patientId || patientId === item.patientId);
    return ({ patientId, issuer }) => (isClear || !patientId ? "" : `ID ${patientId}${issuer && ` of ${issuer}`}: `);
}

// Why a study is where it is: what was found, and in whom.
export function Why({ item }: { item: Item }) {
    const whose = new Set(item.models.filter(({ said }) => said === "positive").map(whoseOn(item)));
    const reason = item.reason && item.findings > 0 ? `${[...whose].join("")}${item.reason}` : item.reason;
    return (
        <>
            {item.flags.map((flag) => (
                <bdi key={flag} class="clip badge" title={flag}>
                    {flag}
                </bdi>
            ))}
            {reason && (
                <bdi class="clip" title={reason}>
                    {reason}
                </bdi>
            )}
            {!reason && item.flags.length === 0 && <span class="unasked">not read yet</span>}
        </>
    );
}

// On the list. What is cut off there has its title.
export function Looked({ item }: { item: Item }) {
    const several = new Set(item.models.map(({ model }) => model.split(" ")[0])).size > 1;
    const whose = whoseOn(item);
    const lines = new Map<string, { kind: string; title: string }>();
    for (const one of item.models) {
        const [name] = one.model.split(" ");
        const reason = one.reason && `: ${one.reason}`;
        lines.set(`${whose(one)}${one.said}${several ? ` (${name})` : ""}${reason}`, { kind: kindOf(one), title: `${whose(one)}${one.model}: ${one.said}${reason}` });
    }
    const none = item.arriving ? ARRIVING : isReported(item.modality.split("\\")) ? `${NOT_ASKED}; ${REPORTED}` : NOT_ASKED;
    if (lines.size === 0) lines.set(none, { kind: "unasked", title: none });
    return (
        <ul class="models">
            {[...lines].map(([line, { kind, title }]) => (
                <li key={line} class={`clip ${kind}`} title={title}>
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

function nothing(result: Result): string {
    if (kindOf(result) !== "waiting") return NO_FINDING[result.outcome];
    return result.images === "earlier" ? "The images that are there now have no answer yet" : "Nothing found so far";
}

// What stands in place of findings: who looked and found nothing, who could not look and why, or that nobody looked. An absence is never told as an answer.
export function NothingFound({ results, jobs, arriving, reported, whereOf }: { results: Result[]; jobs: Job[]; arriving: boolean; reported: boolean; whereOf: WhereOf }) {
    const lines = new Set<string>();
    const add = (said: string, of: Result | Job, reason = "") => lines.add(`${said} by ${[of.model, whereOf(of)].filter(Boolean).join(", ")}${reason && `: ${reason}`}`);
    for (const result of results.filter(({ standing }) => standing === "current")) add(nothing(result), result, result.reason);
    for (const job of jobs.filter(isWaiting)) add("Not answered yet", job);
    for (const job of jobs.filter(({ unanswered }) => unanswered)) add(NO_FINDING["not analysed"], job, job.reason);
    if (lines.size === 0) lines.add(arriving ? "No model has looked at this study yet: images are still coming." : reported ? `No answer is known for this study; ${REPORTED}.` : "No model has looked at this study.");
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

// Of which series and of whom something is said, in words; "" where there is but one.
export type WhereOf = (of: Result | Job | Finding) => string;

function ResultLine({ result, where }: { result: Result; where: string }) {
    const past = result.standing === "current" ? "" : `${result.standing}: `;
    // What is the reason is no note beside it.
    const parts = result.reason ? result.notes.split(result.reason) : [result.notes];
    const notes = parts
        .map((part) => part.replace(/^; |; $/g, ""))
        .filter(Boolean)
        .join("; ");
    return (
        <li class={kindOf(result)}>
            {result.model} {result.modelVersion}
            {[result.volume, where].filter(Boolean).map((part) => (
                <bdi key={part}>, {part}</bdi>
            ))}
            : {past}
            <b>{result.said}</b>
            {lookedAt(result) && `; ${lookedAt(result)}`}
            {result.reason && <em>{result.reason}</em>}
            {notes && <small>{notes}</small>}
        </li>
    );
}

function askedIn({ series, arriving, unasked, jobs, waiting, answered }: Asked): string {
    const facts: [number, string][] = [
        [jobs, jobs === 1 ? "look is queued" : "looks are queued"],
        [waiting, waiting === 1 ? "waits already" : "wait already"],
        [answered, answered === 1 ? "answer stands" : "answers stand"],
        [unasked, `of ${series} series ${unasked === 1 ? "has" : "have"} no rule that asks`],
        [arriving, "series still coming"],
    ];
    return facts
        .filter(([count]) => count > 0)
        .map(([count, what]) => `${count} ${what}`)
        .join("; ");
}

// Where nobody has looked, or in vain: by the rules and packages that there are now.
function AskAgain({ study, name, why, onDone }: { study: string; name: string; why: string; onDone: () => Promise<void> }) {
    const [said, setSaid] = useState("");
    const [error, setError] = useState("");
    const ask = () => {
        setSaid("");
        setError("");
        post("/api/studies/{study}/ask", { study }, { by: name })
            .then((asked) => setSaid(askedIn(asked)))
            .catch((why: Error) => setError(why.message))
            .then(onDone);
    };
    return (
        <p class="ask">
            <button disabled={!!why} title={why} onClick={ask}>
                Ask the models again
            </button>{" "}
            {said && <small>{said}</small>}
            {error && (
                <span class="error" role="alert">
                    {error}
                </span>
            )}
        </p>
    );
}

interface Props {
    study: string;
    name: string; // of who asks again
    why: string; // it cannot be asked; "": it can
    onDone: () => Promise<void>;
    results: Result[]; // past ones too
    jobs: Job[];
    images: Dataset[]; // series of images
    arriving: boolean;
    nameOf: (series: Dataset) => string;
    whereOf: WhereOf;
}

// On the study's page. What does not stand any more is folded away.
export function Models({ study, name, why, onDone, results, jobs, images, arriving, nameOf, whereOf }: Props) {
    const [again, setAgain] = useState(false); // somebody has asked here, and reads what came of it
    const past = results.filter(({ standing }) => standing !== "current");
    const done = () => {
        setAgain(true);
        return onDone();
    };
    const asked = new Set([...results, ...jobs].map(({ series }) => series));
    const unasked = images.filter((one) => !asked.has(text(one, "0020000E")));
    const unanswered = results.some(({ standing, outcome }) => standing === "current" && outcome !== "positive" && outcome !== "negative") || jobs.some((job) => job.unanswered);
    const line = (result: Result) => <ResultLine key={result.id} result={result} where={whereOf(result)} />;
    return (
        <>
            <ul class="results">
                {results.filter(({ standing }) => standing === "current").map(line)}
                {jobs
                    .filter((job) => isWaiting(job) || job.unanswered)
                    .map((job) => (
                        <li key={job.key} class={job.unanswered ? "not-analysed" : "waiting"}>
                            {job.model}
                            {whereOf(job) && <bdi>, {whereOf(job)}</bdi>}: <b>{job.unanswered ? "not analysed" : job.state === "running" ? "looking now" : "waiting"}</b> {job.reason && <em>{job.reason}</em>}
                        </li>
                    ))}
            </ul>
            {arriving && <p class="unasked">Images are still coming.</p>}
            {!arriving && unasked.length > 0 && (
                <p class="unasked">{unasked.length === images.length ? "No rule asked for it." : `No rule asked for ${unasked.map(nameOf).join("; ")}`}</p>
            )}
            {(again || unanswered || (!arriving && unasked.length > 0)) && <AskAgain study={study} name={name} why={why} onDone={done} />}
            {past.length > 0 && (
                <details class="past">
                    <summary>{past.length === 1 ? "1 earlier result" : `${past.length} earlier results`}</summary>
                    <ul class="results">{past.map(line)}</ul>
                </details>
            )}
        </>
    );
}
