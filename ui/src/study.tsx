// One study: its images, what the models say of it, and what a person says of that.
import { useEffect, useLayoutEffect, useState } from "preact/hooks";
import { type Finding, type Item, type Job, type Result, get, path, post, search } from "./api";
import { Band, Bands, type Conflicts, NO_CONFLICTS, loadConflicts } from "./conflicts";
import { date } from "./dates";
import { type Dataset, patientName, personName, text } from "./dicom";
import { Judge, useName } from "./judge";
import { Models, NothingFound } from "./models";
import { Viewer, isTyping } from "./viewer";
import { type Mask, type Slice, type Stack, loadMask, loadStacks, sliceAt } from "./volume";

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

// Whose objects these are, where that is in doubt. What came again is told by the bands of conflicts, with more.
function Patients({ patients, flags }: { patients: Dataset[]; flags: string[] }) {
    const doubts = flags.filter((flag) => !flag.includes("came again"));
    if (patients.length > 1 && doubts.length === 0) doubts.push(`objects of ${patients.length} patients`);
    if (doubts.length === 0) return null;
    return (
        <Band line={<bdi class="doubt">{doubts.join("; ")}</bdi>}>
            {patients.length > 1 && (
                <ul>
                    {patients.map((one) => (
                        <li key={patientName(one)}>
                            <bdi>{patientName(one)}</bdi>: {text(one, "00201208")} objects, in stacks of their own
                        </li>
                    ))}
                </ul>
            )}
        </Band>
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
            <h1 class="clip" dir="auto" title={text(patient, "00100010")}>
                {patient ? personName(text(patient, "00100010")) : "Study"}
            </h1>
            {facts.map(
                ([name, value]) =>
                    value && (
                        <span key={name} class="fact" title={value}>
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

// A search gives a series of two patients twice.
function onePerUid(rows: Dataset[]): Dataset[] {
    const byUid = new Map<string, Dataset>();
    for (const row of rows) {
        const before = byUid.get(text(row, "0020000E"));
        const objects = Number(text(before, "00201209")) + Number(text(row, "00201209"));
        byUid.set(text(row, "0020000E"), { ...(before ?? row), "00201209": { vr: "IS", Value: [objects] } });
    }
    return [...byUid.values()];
}

// The stacks of a series, a patient each, with the series they are of, so that one is never shown with the other's.
interface Shown {
    series: string;
    stacks: Stack[];
}

// What was taken of a series: its stack is another one since.
function takenOf({ all }: Conflicts, series: string): string {
    return JSON.stringify(all.rows.filter((one) => one.series === series && one.state === "taken").map(({ id, decided }) => [id, decided]));
}

// `item`: its line on the reading list, where it has one.
export function Study({ study, item, revision }: { study: string; item: Item | undefined; revision: number }) {
    const [series, setSeries] = useState<Dataset[] | null>(null);
    const [chosen, setChosen] = useState("");
    const [shown, setShown] = useState<Shown | null>(null);
    const [mask, setMask] = useState<Mask | null>(null);
    const [who, setWho] = useState(""); // whose stack of them
    const [slice, setSlice] = useState(0);
    const [findings, setFindings] = useState<Finding[] | null>(null);
    const [jobs, setJobs] = useState<Job[]>([]);
    const [results, setResults] = useState<Result[]>([]);
    const [conflicts, setConflicts] = useState(NO_CONFLICTS);
    const [patients, setPatients] = useState<Dataset[]>([]);
    const [flags, setFlags] = useState<string[]>([]);
    const [goal, setGoal] = useState<Finding | null>(null);
    const [error, setError] = useState("");
    const [lost, setLost] = useState("");
    const [maskError, setMaskError] = useState("");
    const [name, setName] = useName();
    const fail = (why: Error) => setError(why.message);

    const refresh = async () => {
        const at = path("api", "studies", study);
        const [all, said, runs, twice, doubts, rows, whose] = await Promise.all([
            get<Finding[]>(`${at}/findings`),
            get<Result[]>(`${at}/results?past=true`),
            get<Job[]>(`/api/jobs?study=${encodeURIComponent(study)}`),
            loadConflicts(study),
            get<string[]>(`${at}/flags`),
            search(`${path("dicom-web", "studies", study)}/series`),
            search(`/dicom-web/studies?StudyInstanceUID=${encodeURIComponent(study)}`),
        ]);
        setFindings(all);
        setResults(said);
        setJobs(runs);
        setConflicts(twice);
        setFlags(doubts);
        setSeries(rows);
        setPatients(whose);
        setLost("");
    };
    const again = () => refresh().catch((why: Error) => setLost(why.message));

    useEffect(() => {
        void again();
    }, [revision]);

    const waiting = jobs.some((job) => job.state === "queued" || job.state === "running");
    useEffect(() => {
        const timer = waiting ? setInterval(() => void again(), LOOK_AGAIN_MS) : undefined;
        return () => clearInterval(timer);
    }, [waiting]);

    // The first finding is looked at when the study is opened, not again when another comes while somebody reads.
    const images = series && onePerUid(series.filter((one) => !NOT_IMAGES.has(text(one, "00080060"))));
    useEffect(() => {
        if (chosen || !images || !findings) return;
        const first = findings[0];
        setGoal(first ?? null);
        setChosen(first?.series ?? text(largest(images), "0020000E"));
    }, [series, findings]);

    const stack = shown?.stacks.find((one) => one.who === who) ?? shown?.stacks[0];
    const look = (at: Stack | undefined, slice = Math.floor((at?.slices.length ?? 0) / 2)) => {
        setWho(at?.who ?? "");
        setSlice(slice);
    };

    // Images that come late, or that are taken for others, make the stacks anew; whoever reads stays at the slice.
    const stored = text(images?.find((one) => text(one, "0020000E") === chosen), "00201209") + takenOf(conflicts, chosen);
    useEffect(() => {
        if (!chosen) return;
        let current = true;
        const before = shown?.series === chosen ? stack?.slices[slice] : undefined;
        if (!before) setShown(null);
        setError("");
        loadStacks(study, chosen)
            .then((stacks) => {
                if (!current) return;
                const isBefore = ({ uid, frame }: Slice) => uid === before?.uid && frame === before.frame;
                const same = stacks.find(({ slices }) => slices.some(isBefore));
                look(same ?? stacks[0], same?.slices.findIndex(isBefore));
                setShown({ series: chosen, stacks });
            })
            .catch((why: Error) => current && fail(why));
        return () => {
            current = false;
        };
    }, [chosen, stored]);

    useEffect(() => {
        if (!goal || !shown || shown.series !== goal.series) return;
        const of = results.find(({ id }) => id === goal.result);
        const own = shown.stacks.find(({ patient }) => text(patient, "00100020") === of?.patientId && text(patient, "00100021") === of.issuer) ?? stack;
        const at = own ? sliceAt(own, goal.centroidMm) : -1;
        if (at >= 0) look(own, at);
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
        if (stack && masks.length > 0)
            loadMask(stack, study, masks)
                .then((loaded) => current && setMask(loaded))
                .catch((why: Error) => current && setMaskError(why.message));
        return () => {
            current = false;
        };
    }, [stack, JSON.stringify(masks)]);

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

    const wrong = error || lost;
    return (
        <main class="study">
            <Header patient={stack?.patient ?? series?.[0]} onRead={name.trim() ? markRead : null} />
            {wrong && (
                <p class="error" role="alert">
                    {wrong}
                </p>
            )}
            <Patients patients={patients} flags={flags} />
            <Bands conflicts={conflicts} name={name.trim()} onDone={again} />
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
                    {shown && shown.stacks.length > 1 && (
                        <label class="series whose">
                            Patient{" "}
                            <select value={stack?.who} onChange={(event) => look(shown.stacks.find((one) => one.who === event.currentTarget.value))}>
                                {shown.stacks.map((one) => (
                                    <option key={one.who} value={one.who}>
                                        {patientName(one.patient)}
                                    </option>
                                ))}
                            </select>
                        </label>
                    )}
                    {patients.length > 1 && shown?.stacks.length === 1 && stack && (
                        <p class="whose">
                            <bdi>{patientName(stack.patient)}</bdi>
                        </p>
                    )}
                    {shown && stack && <Viewer key={shown.series + stack.who} stack={stack} mask={mask} slice={slice} onSlice={setSlice} head={isHead(stack)} />}
                    {shown && !stack && <p>This series has no images.</p>}
                    {series?.length === 0 && <p>No such study is stored here.</p>}
                    {series && series.length > 0 && images?.length === 0 && (
                        <p>This study has no images, only {[...new Set(series.map((one) => text(one, "00080060")))].join(", ")}.</p>
                    )}
                    {!shown && !wrong && (chosen || !series) && <p>Loading images ...</p>}
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
                    {findings?.length === 0 && <NothingFound results={results} jobs={jobs} arriving={item?.arriving ?? false} />}
                    {!findings && <p>{lost ? "Not known: they could not be read." : "Loading ..."}</p>}
                    <h2>Models</h2>
                    <Models results={results} jobs={jobs} findings={findings ?? []} images={images ?? []} arriving={item?.arriving ?? false} nameOf={seriesName} />
                </aside>
            </div>
        </main>
    );
}
