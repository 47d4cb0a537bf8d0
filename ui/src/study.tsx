// One study: its images, what the models say of it, and what a person says of that.
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { type Finding, type Job, type Result, get, path, post } from "./api";
import { type Dataset, date, personName, text } from "./dicom";
import { Judge, useName } from "./judge";
import { Viewer, isTyping } from "./viewer";
import { type Mask, type Stack, loadMask, loadStack, sliceAt } from "./volume";

const NOT_IMAGES = new Set(["SR", "SEG", "PR", "KO", "DOC", "RTSTRUCT", "RTPLAN", "REG", "AU", "ECG", "HD"]);
const LOOK_AGAIN_MS = 2_000; // while a job runs: its start is no event

function isHead(stack: Stack): boolean {
    return /HEAD|BRAIN|SKULL/i.test(stack.bodyPart);
}

function FindingCard({ finding, name, onShow, onDone }: { finding: Finding; name: string; onShow: () => void; onDone: () => Promise<void> }) {
    return (
        <li class={`finding ${finding.urgency} ${finding.state}`}>
            <button class="sentence" title="Show it in the images" onClick={onShow}>
                {finding.concept.meaning}, {finding.side || "side unknown"}, {finding.volumeMl.toFixed(1)} mL
            </button>
            <p>
                {finding.urgency} · {finding.model} {finding.modelVersion}
            </p>
            <p class="label">{finding.label}</p>
            <Judge finding={finding} name={name} onDone={onDone} />
        </li>
    );
}

// What the models say now. A negative of a study that still comes in is no answer yet.
function Results({ results }: { results: Result[] }) {
    return (
        <ul class="results">
            {results.map((result) => (
                <li key={result.id} class={result.outcome.replace(" ", "-")}>
                    {result.model} {result.modelVersion}
                    {result.volume && `, ${result.volume}`}: {result.told ? result.outcome : "nothing found so far; images may still come"}
                    {result.objects > 0 && ` (${result.objects} images)`} {result.reason && <em>{result.reason}</em>} {result.notes && <small>{result.notes}</small>}
                </li>
            ))}
        </ul>
    );
}

function Jobs({ jobs }: { jobs: Job[] }) {
    if (jobs.length === 0) return <p>No model has looked at this study.</p>;
    return (
        <ul class="jobs">
            {jobs.map((job) => (
                <li key={job.key} class={job.state}>
                    {job.model}: {job.state} {job.outcome && `(${job.outcome})`} {job.reason && <em>{job.reason}</em>}
                </li>
            ))}
        </ul>
    );
}

function Header({ patient, onRead }: { patient: Dataset | undefined; onRead: (() => void) | null }) {
    const facts: [string, string][] = [
        ["ID", text(patient, "00100020")],
        ["born", date(text(patient, "00100030"))],
        ["sex", text(patient, "00100040")],
        ["study of", date(text(patient, "00080020"))],
        ["accession", text(patient, "00080050")],
        ["", text(patient, "00081030")],
    ];
    return (
        <header>
            <a href="#">Reading list</a>
            <h1 class="clip" dir="auto">
                {patient ? personName(text(patient, "00100010")) : "Study"}
            </h1>
            {facts.map(
                ([name, value]) =>
                    value && (
                        <span key={name} class="fact">
                            {name} <bdi>{value}</bdi>
                        </span>
                    ),
            )}
            <button disabled={!onRead} title={onRead ? "" : "Type your name first"} onClick={() => onRead?.()}>
                Mark as read
            </button>
        </header>
    );
}

function seriesName(series: Dataset): string {
    const words = [text(series, "00200011"), text(series, "00080060"), text(series, "0008103E"), `(${text(series, "00201209")})`];
    return words.filter(Boolean).join(" ");
}

function largest(series: Dataset[]): Dataset | undefined {
    return [...series].sort((a, b) => Number(text(b, "00201209")) - Number(text(a, "00201209")))[0];
}

// A stack and which slice of it is looked at, with the series it is of, so that one is never shown with the other's.
interface Shown {
    series: string;
    stack: Stack;
}

export function Study({ study, revision }: { study: string; revision: number }) {
    const [series, setSeries] = useState<Dataset[] | null>(null);
    const [chosen, setChosen] = useState("");
    const [shown, setShown] = useState<Shown | null>(null);
    const [mask, setMask] = useState<Mask | null>(null);
    const [slice, setSlice] = useState(0);
    const [findings, setFindings] = useState<Finding[] | null>(null);
    const [jobs, setJobs] = useState<Job[]>([]);
    const [results, setResults] = useState<Result[]>([]);
    const [goal, setGoal] = useState<Finding | null>(null);
    const [error, setError] = useState("");
    const [maskError, setMaskError] = useState("");
    const [name, setName] = useName();
    const fail = (why: Error) => setError(why.message);

    const refresh = async () => {
        const [all, said, runs] = await Promise.all([
            get<Finding[]>(`${path("api", "studies", study)}/findings`),
            get<Result[]>(`${path("api", "studies", study)}/results`),
            get<Job[]>(`/api/jobs?study=${encodeURIComponent(study)}`),
        ]);
        setFindings(all);
        setResults(said);
        setJobs(runs);
    };

    useEffect(() => {
        refresh().catch(fail);
    }, [revision]);

    const waiting = jobs.some((job) => job.state === "queued" || job.state === "running");
    useEffect(() => {
        const timer = waiting ? setInterval(() => void refresh().catch(fail), LOOK_AGAIN_MS) : undefined;
        return () => clearInterval(timer);
    }, [waiting]);

    useEffect(() => {
        get<Dataset[]>(`${path("dicom-web", "studies", study)}/series`).then(setSeries).catch(fail);
    }, [revision]);

    // The first finding is looked at when the study is opened, not again when another comes while somebody reads.
    const images = series?.filter((one) => !NOT_IMAGES.has(text(one, "00080060")));
    useEffect(() => {
        if (chosen || !images || !findings) return;
        const first = findings[0];
        setGoal(first ?? null);
        setChosen(first?.series ?? text(largest(images), "0020000E"));
    }, [series, findings]);

    // Images that come late make the stack anew; whoever reads stays at the slice.
    const stored = text(series?.find((one) => text(one, "0020000E") === chosen), "00201209");
    useEffect(() => {
        if (!chosen) return;
        let current = true;
        const before = shown?.series === chosen ? shown.stack.slices[slice] : undefined;
        if (!before) setShown(null);
        setError("");
        loadStack(study, chosen)
            .then((stack) => {
                if (!current) return;
                const same = before ? stack.slices.findIndex(({ uid, frame }) => uid === before.uid && frame === before.frame) : -1;
                setSlice(same >= 0 ? same : Math.floor(stack.slices.length / 2));
                setShown({ series: chosen, stack });
            })
            .catch((why: Error) => current && fail(why));
        return () => {
            current = false;
        };
    }, [chosen, stored]);

    useEffect(() => {
        if (!goal || !shown || shown.series !== goal.series) return;
        const at = sliceAt(shown.stack, goal.centroidMm);
        if (at >= 0) setSlice(at);
        setGoal(null);
    }, [goal, shown]);

    const show = (finding: Finding) => {
        setChosen(finding.series);
        setGoal(finding);
    };

    // What was rejected is drawn no more.
    const drawn = (findings ?? []).filter((finding) => finding.series === shown?.series && finding.seg && finding.state !== "rejected");
    const masks = [...new Set(drawn.map((finding) => finding.seg))].map((seg) => ({ seg, segments: drawn.filter((finding) => finding.seg === seg).map((finding) => finding.segment) }));
    useEffect(() => {
        let current = true;
        setMask(null);
        setMaskError("");
        if (shown && masks.length > 0)
            loadMask(shown.stack, study, masks)
                .then((loaded) => current && setMask(loaded))
                .catch((why: Error) => current && setMaskError(why.message));
        return () => {
            current = false;
        };
    }, [shown, JSON.stringify(masks)]);

    // Before the first paint: a key pressed as soon as the study is seen counts.
    useLayoutEffect(() => {
        let next = 0;
        const onKey = (event: KeyboardEvent) => {
            if (isTyping(event.target) || event.ctrlKey || event.altKey || event.metaKey) return;
            if (event.key === "Escape") location.hash = "";
            const finding = event.key === "f" && findings?.[next++ % findings.length];
            if (finding) show(finding);
        };
        addEventListener("keydown", onKey);
        return () => removeEventListener("keydown", onKey);
    }, [findings]);

    const markRead = () => {
        if (!confirm("Take this study off the reading list? Its images stay.")) return;
        post(`${path("api", "worklist", study)}/read`, { by: name })
            .then(() => (location.hash = ""))
            .catch(fail);
    };

    return (
        <main class="study">
            <Header patient={series?.[0]} onRead={name.trim() ? markRead : null} />
            {error && (
                <p class="error" role="alert">
                    {error}
                </p>
            )}
            <div class="panes">
                <section>
                    {images && images.length > 1 && (
                        <label class="series">
                            Series{" "}
                            <select value={chosen} onChange={(event) => setChosen(event.currentTarget.value)}>
                                {images.map((one) => (
                                    <option key={text(one, "0020000E")} value={text(one, "0020000E")}>
                                        {seriesName(one)}
                                    </option>
                                ))}
                            </select>
                        </label>
                    )}
                    {shown && shown.stack.slices.length > 0 && (
                        <Viewer key={shown.series} stack={shown.stack} mask={mask} slice={slice} onSlice={setSlice} head={isHead(shown.stack)} />
                    )}
                    {shown && shown.stack.slices.length === 0 && <p>This series has no images.</p>}
                    {series?.length === 0 && <p>No such study is stored here.</p>}
                    {series && series.length > 0 && images?.length === 0 && (
                        <p>This study has no images, only {[...new Set(series.map((one) => text(one, "00080060")))].join(", ")}.</p>
                    )}
                    {!shown && !error && (chosen || !series) && <p>Loading images ...</p>}
                    {maskError && (
                        <p class="error" role="alert">
                            Mask: {maskError}
                        </p>
                    )}
                </section>
                <aside>
                    <label class="name">
                        Your name <input value={name} maxLength={128} autocomplete="name" onInput={(event) => setName(event.currentTarget.value)} /> <small>as typed, not verified</small>
                    </label>
                    <h2>Findings</h2>
                    <ul>
                        {findings?.map((finding) => (
                            <FindingCard key={finding.id} finding={finding} name={name.trim()} onShow={() => show(finding)} onDone={refresh} />
                        ))}
                    </ul>
                    {findings?.length === 0 && <p>None.</p>}
                    <h2>Models</h2>
                    <Results results={results} />
                    <Jobs jobs={jobs} />
                </aside>
            </div>
        </main>
    );
}
